//! Which events a request wants to see: `prefix`, `types`, `tags`, `query`, `until`, `as_of`.

use lombard_chassis::Problem;
use lombard_eventstore_core::{EventPosition, Query};
use lombard_types::{Position, Timestamp};
use serde::Deserialize;

use super::paging;
use crate::{
    api::Api,
    criteria, problem,
    query::{Filter, Horizon},
    showing::Showing,
};

/// The parameters of a selection, as they came.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Streams whose name begins so.
    pub(crate) prefix: Option<String>,
    /// Event types, separated by commas; any of them.
    pub(crate) types: Option<String>,
    /// Tags, separated by commas; all of them.
    pub(crate) tags: Option<String>,
    /// JSON: `[{"types": [...], "tags": [...]}, ...]`, any of them.
    pub(crate) query: Option<String>,
    /// The last position to be looked at.
    pub(crate) until: Option<String>,
    /// Only what had been recorded at this time (RFC 3339).
    pub(crate) as_of: Option<String>,
    /// Wait until this record of the log can be read.
    pub(crate) at_least: Option<String>,
    /// In which version of its schema data is wanted: `newest` (the default), `stored`, or a number.
    pub(crate) schema_version: Option<String>,
}

/// One criterion in JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CriterionForm {
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

impl Selection {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let criterion = match (&self.types, &self.tags) {
            (None, None) => None,
            (types, tags) => {
                let split = |text: &Option<String>| match text {
                    Some(text) => text.split(',').map(str::to_owned).collect(),
                    None => Vec::new(),
                };
                Some(CriterionForm { types: split(types), tags: split(tags) })
            }
        };
        let forms = match (&self.query, criterion) {
            (Some(_), Some(_)) => {
                return Err(problem::invalid_parameter(
                    "query",
                    "cannot stand beside types or tags",
                ));
            }
            (Some(query), None) => Some(
                serde_json::from_str(query)
                    .map_err(|error| problem::invalid_parameter("query", error))?,
            ),
            (None, Some(criterion)) => Some(vec![criterion]),
            (None, None) => None,
        };
        let query = forms.map(read_query).transpose();
        let query = query.map_err(|reason| problem::invalid_parameter("query", reason))?;
        Ok(Filter { stream_prefix: self.prefix.as_deref().map(Into::into), query })
    }

    /// How its events are shown.
    pub(super) fn showing(&self, api: &Api) -> Result<Showing, Problem> {
        let wanted = self.schema_version.as_deref();
        let data_version = paging::parameter("schema_version", wanted)?;
        Ok(api.showing.in_version(data_version.unwrap_or_default()))
    }

    /// Whether it has no end: what is to come belongs to it too.
    pub(super) const fn is_open_ended(&self) -> bool {
        self.until.is_none() && self.as_of.is_none()
    }

    /// Waits for `at_least`, and says how far the reader may look.
    pub(super) async fn horizon(&self, api: &Api) -> Result<Horizon, Problem> {
        let at_least: Option<Position> = paging::parameter("at_least", self.at_least.as_deref())?;
        let until: Option<EventPosition> = paging::parameter("until", self.until.as_deref())?;
        let as_of: Option<Timestamp> = paging::parameter("as_of", self.as_of.as_deref())?;
        api.reach(at_least).await?;
        let end = match as_of {
            Some(time) => {
                api.reader.end_at(time).await.map_err(|error| problem::from_query_error(&error))?
            }
            None => api.reader.durable(),
        };
        Ok(Horizon { end, until })
    }

    /// The parameters again, for the link to the next page; each begins with `&`.
    pub(super) fn link(&self) -> String {
        let mut link = String::new();
        for (name, value) in [
            ("prefix", &self.prefix),
            ("types", &self.types),
            ("tags", &self.tags),
            ("query", &self.query),
            ("until", &self.until),
            ("as_of", &self.as_of),
            ("schema_version", &self.schema_version),
        ] {
            if let Some(value) = value {
                link.push_str(&format!("&{name}={}", percent_encode(value)));
            }
        }
        link
    }
}

/// Everything but unreserved characters (RFC 3986 section 2.3).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Reads criteria; the error says what is wrong with them.
pub(super) fn read_query(forms: Vec<CriterionForm>) -> Result<Query, String> {
    criteria::read(forms.iter().map(|form| (&form.types[..], &form.tags[..])))
}
