//! Schemas of event types.

use lombard_chassis::Problem;
use lombard_eventstore_core::{
    DocumentKey, DocumentKind, EventType, Evidence, Expected, PutDocument,
};
use lombard_types::{Position, Revision};

use super::{Api, Stored};
use crate::{
    problem,
    schema::{Definition, SchemaVersion, Version, Versions},
};

/// Where a version of a schema is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SchemaStored {
    pub(crate) version: SchemaVersion,
    pub(crate) position: Position,
    /// Whether it was there before: the same was put again.
    pub(crate) is_known: bool,
}

impl Api {
    /// Makes a new version of a type's schema; the same as the newest makes none. `expected` is the newest version that
    /// the caller knows of.
    pub(crate) async fn put_schema(
        &self,
        event_type: &EventType,
        expected: Expected,
        body: &[u8],
        evidence: Evidence,
    ) -> Result<SchemaStored, Problem> {
        let config = &self.config;
        if body.len() > config.schema_bytes_max {
            return Err(problem::document_too_large(body.len(), config.schema_bytes_max));
        }
        let (definition, content) = Definition::read(body, config.definition_limits())
            .map_err(|error| problem::from_invalid_schema(&error))?;
        let versions = self.schemas.versions(event_type);
        let newest = versions.as_deref().map(|versions| (versions.newest(), versions));
        if let Some((version, versions)) = newest
            && let Some(known) = versions.get(version)
            && known.definition.is_same(&definition)
        {
            self.reach(Some(known.record)).await?;
            return Ok(SchemaStored { version, position: known.record, is_known: true });
        }
        self.check_room(&definition, versions.as_deref())?;
        // An upcaster is written for the version before: nobody else's may come between.
        let expected = match (expected, newest) {
            (Expected::Any, None) => Expected::NoStream,
            (Expected::Any | Expected::StreamExists, Some((SchemaVersion(newest), _))) => {
                Expected::Exactly(Revision::new(u64::from(newest.saturating_sub(1))))
            }
            (expected, _) => expected,
        };
        let key = DocumentKey { kind: DocumentKind::Schema, name: event_type.as_str().into() };
        let put = PutDocument { key, expected, content, evidence };
        let Stored { revision, position } = self.put(put).await?;
        let version = u32::try_from(revision.next().get()).unwrap_or(u32::MAX);
        Ok(SchemaStored { version: SchemaVersion(version), position, is_known: false })
    }

    fn check_room(
        &self,
        definition: &Definition,
        versions: Option<&Versions>,
    ) -> Result<(), Problem> {
        let config = &self.config;
        let (count_max, bytes_max) = (config.schemas_max, config.schemas_bytes_max);
        if versions.is_none() && self.schemas.count() >= count_max {
            return Err(problem::too_many_schemas("types with a schema", count_max));
        }
        let count = versions.map_or(0, |versions| versions.newest().0);
        if usize::try_from(count).unwrap_or(usize::MAX) >= config.schema_versions_max {
            let limit = config.schema_versions_max;
            return Err(problem::too_many_schemas("versions of one schema", limit));
        }
        if self.schemas.bytes().saturating_add(definition.bytes()) > bytes_max {
            return Err(problem::too_many_schemas("bytes of all schemas together", bytes_max));
        }
        Ok(())
    }

    /// A version of a type's schema, or the newest, as readers may see it.
    pub(crate) fn schema(
        &self,
        event_type: &EventType,
        wanted: Option<SchemaVersion>,
    ) -> Result<(SchemaVersion, Version), Problem> {
        let key = DocumentKey { kind: DocumentKind::Schema, name: event_type.as_str().into() };
        let versions = self.schemas.versions(event_type);
        let found = versions.and_then(|versions| {
            let newest = self.schemas.newest_visible(&versions);
            let number = wanted.unwrap_or(newest);
            if number > newest { None } else { Some((number, versions.get(number)?.clone())) }
        });
        found.ok_or_else(|| problem::document_not_found(&key))
    }
}
