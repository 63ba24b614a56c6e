//! Reads queries, for every edge.

use lombard_eventstore_core::{Criterion, EventType, Query, Tag};

/// Criteria of one query.
const CRITERIA_MAX: usize = 16;
/// Types, and tags, of one criterion.
const ITEMS_MAX: usize = 32;

/// Reads criteria, each as types and tags; the error says what is wrong with them.
pub(crate) fn read<'a>(
    criteria: impl ExactSizeIterator<Item = (&'a [String], &'a [String])>,
) -> Result<Query, String> {
    let count = criteria.len();
    if count > CRITERIA_MAX {
        return Err(format!("{count} criteria are over the limit of {CRITERIA_MAX}"));
    }
    criteria.map(|(types, tags)| read_one(types, tags)).collect::<Result<_, _>>().map(Query)
}

fn read_one(types: &[String], tags: &[String]) -> Result<Criterion, String> {
    let most = types.len().max(tags.len());
    if most > ITEMS_MAX {
        return Err(format!("{most} types or tags are over the limit of {ITEMS_MAX}"));
    }
    let types = types
        .iter()
        .map(|name| name.parse::<EventType>().map_err(|error| format!("{name:?}: {error}")))
        .collect::<Result<_, _>>()?;
    let mut tags = tags
        .iter()
        .map(|tag| tag.parse::<Tag>().map_err(|error| format!("{tag:?}: {error}")))
        .collect::<Result<Vec<_>, _>>()?;
    tags.sort();
    tags.dedup();
    Ok(Criterion { types, tags })
}
