//! From an event as a client sent it to one that can be appended, for every edge.

use std::collections::BTreeMap;

use lombard_eventstore_core::{EventType, NewEvent};
use lombard_types::StreamName;

use crate::{
    Config,
    cloud_event::{self, CloudEvent, InvalidEvent, invalid},
    codec,
    schema::{DataSchema, Mismatch, SchemaVersion, Schemas, Snapshot, is_own_dataschema},
    subjects::{self, Bound, SubjectKey, SubjectKeys, SubjectKeysError},
};

/// An event cannot be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event at {index} cannot be appended")]
pub(crate) struct Refused {
    /// Which of the stream's, from 0.
    pub(crate) index: usize,
    pub(crate) source: Reason,
}

/// Why an event cannot be appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    #[error("an event of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge { bytes: usize, bytes_max: usize },
    #[error("the data is not as version {version} of its schema wants it")]
    Mismatch { version: SchemaVersion, source: Mismatch },
    #[error("the data subject is erased")]
    SubjectErased,
    /// Their file cannot be used before the store is started again.
    #[error("the keys of data subjects cannot be used")]
    NoKeys,
    /// For the log of the role, where it is told already.
    #[error("the event cannot be sealed")]
    Seal,
}

/// The events of one stream that can be sealed and stored.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    events: Vec<CloudEvent<'a>>,
    refused: Option<Refused>,
}

impl Checked<'_> {
    /// Whose keys are needed. Nobody's where an event is refused already.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &str> {
        let events = self.events.iter().filter(|_| self.refused.is_none());
        events.filter_map(|event| event.content.data_subject.as_deref())
    }
}

/// The events of one stream, as they are to be stored.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) events: Vec<NewEvent>,
    /// Why none of them may be appended, though an append that has been recorded may have had them: what is asked of
    /// events changes, and a retry gets the first answer all the same.
    pub(crate) refused: Option<Refused>,
}

/// What events are prepared by. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Preparing {
    limits: cloud_event::Limits,
    event_bytes_max: usize,
    schemas: Schemas,
    keys: SubjectKeys,
}

impl Preparing {
    pub(crate) const fn new(config: &Config, schemas: Schemas, keys: SubjectKeys) -> Self {
        let limits = cloud_event::Limits {
            extensions_max: config.event_extensions_max,
            attribute_bytes_max: config.attribute_bytes_max,
            tags_max: config.event_tags_max,
        };
        Self { limits, event_bytes_max: config.event_bytes_max, schemas, keys }
    }

    /// Checks the events of one stream, and notes the versions of their schemas.
    pub(crate) fn check<'a>(
        &self,
        mut events: Vec<CloudEvent<'a>>,
    ) -> Result<Checked<'a>, Refused> {
        let schemas = self.schemas.snapshot();
        let mut first_refused = None;
        for (index, event) in events.iter_mut().enumerate() {
            let refused = |source| Refused { index, source };
            cloud_event::check(event, self.limits).map_err(|error| refused(error.into()))?;
            if let Err(reason) = self.check_schema(schemas.as_ref(), event) {
                first_refused.get_or_insert(refused(reason));
            }
        }
        Ok(Checked { events, refused: first_refused })
    }

    /// The events of one stream, as they are to be stored. Those with a data subject are sealed with its key, which has
    /// to be there.
    pub(crate) fn finish(
        &self,
        stream: &StreamName,
        checked: Checked<'_>,
    ) -> Result<Prepared, Refused> {
        let Checked { events, refused } = checked;
        let mut prepared = Prepared { events: Vec::with_capacity(events.len()), refused };
        for (index, mut event) in events.into_iter().enumerate() {
            let refused = |source| Refused { index, source };
            if let Err(reason) = self.seal(stream, &mut event) {
                prepared.refused.get_or_insert(refused(reason));
            }
            prepared.events.push(self.encode(event).map_err(refused)?);
        }
        Ok(prepared)
    }

    /// Checks the data against its schema, where its type has one, and notes the version.
    fn check_schema(
        &self,
        schemas: Option<&Snapshot>,
        event: &mut CloudEvent<'_>,
    ) -> Result<(), Reason> {
        let CloudEvent { event_type, content, .. } = event;
        let wanted = content.data_schema.as_deref();
        let Some(versions) = schemas.and_then(|schemas| BTreeMap::get(schemas, event_type)) else {
            return match wanted {
                Some(uri) if is_own_dataschema(uri) => Err(unknown_version(event_type)),
                _ => Ok(()),
            };
        };
        let number = match wanted {
            None => versions.newest(),
            Some(uri) => match DataSchema::parse(uri, event_type) {
                Some(DataSchema { version, .. }) => version,
                None => return Err(unknown_version(event_type)),
            },
        };
        let version = versions.get(number).ok_or_else(|| unknown_version(event_type))?;
        let checked = self.schemas.check(event_type, number, &version.definition, &content.data);
        content.schema_version = Some(number.0);
        // It is said again when the event is read.
        content.data_schema = None;
        checked.map_err(|source| Reason::Mismatch { version: number, source })
    }

    /// Seals an event that has a data subject. Where that cannot be, nothing is left of what had to be sealed.
    fn seal(&self, stream: &StreamName, event: &mut CloudEvent<'_>) -> Result<(), Reason> {
        let CloudEvent { id, event_type, tags, content } = event;
        let Some(subject) = content.data_subject.as_deref() else { return Ok(()) };
        let key = self.keys.find(subject);
        let bound = Bound { id: *id, stream, event_type, tags };
        let whole = std::mem::take(content);
        let reason = match key {
            Ok(Some(SubjectKey::Live(key))) => {
                *content = subjects::seal(&key, bound, whole).map_err(|_| Reason::Seal)?;
                return Ok(());
            }
            Ok(Some(SubjectKey::Erased)) => Reason::SubjectErased,
            Err(SubjectKeysError::Poisoned) => Reason::NoKeys,
            Ok(None) => Reason::Seal,
            Err(error) => {
                tracing::error!(%error, "no key for the data of a subject");
                Reason::Seal
            }
        };
        *content = whole.split().0;
        Err(reason)
    }

    fn encode(&self, event: CloudEvent<'_>) -> Result<NewEvent, Reason> {
        let CloudEvent { id, event_type, tags, content } = event;
        let content = codec::encode_content(&content);
        let (bytes, bytes_max) =
            (content.0.len() + event_type.as_str().len(), self.event_bytes_max);
        if bytes > bytes_max {
            return Err(Reason::TooLarge { bytes, bytes_max });
        }
        Ok(NewEvent { id, event_type, tags: tags.into(), content })
    }
}

fn unknown_version(event_type: &EventType) -> Reason {
    let newest = DataSchema { event_type, version: SchemaVersion(1) };
    let reason = format!(
        "must name a version of the type's schema, such as {newest} for the first, or be left out for the newest"
    );
    Reason::Invalid(invalid("dataschema", reason))
}
