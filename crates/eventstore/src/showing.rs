//! From an event as it is stored to what a reader may see of it, for every edge.

use std::{borrow::Cow, collections::BTreeMap, str::FromStr};

use lombard_eventstore_core::{Content, EventType, Evidence, NewEvent, Placed};

use crate::{
    cloud_event::{Data, EventContent, Extension},
    codec::{self, Recorded},
    query::Stored,
    schema::{DataSchema, SchemaVersion, Schemas},
    subjects::{self, Bound, DATA_SUBJECT, OpenError, Opened, REDACTED, SubjectKeys},
};

/// An event as a reader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Shown<'a> {
    /// Id, type and tags, and where it stands.
    pub(crate) placed: Placed<'a>,
    pub(crate) recorded: Recorded,
    /// Who wrote it.
    pub(crate) evidence: &'a Evidence,
    /// The rest. What it holds in `placed` is not for readers.
    pub(crate) content: EventContent<'a>,
}

/// In which version of its type's schema a reader wants an event's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DataVersion {
    #[default]
    Newest,
    /// As it was appended.
    Stored,
    /// In this one, as far as it is older.
    Exactly(SchemaVersion),
}

impl FromStr for DataVersion {
    type Err = ParseDataVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "newest" => Ok(Self::Newest),
            "stored" => Ok(Self::Stored),
            number if number.bytes().all(|byte| byte.is_ascii_digit()) => number
                .parse()
                .map(|number| Self::Exactly(SchemaVersion(number)))
                .map_err(|_| ParseDataVersionError),
            _ => Err(ParseDataVersionError),
        }
    }
}

/// A text does not say in which version data is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be newest, stored, or the number of a version")]
pub(crate) struct ParseDataVersionError;

/// Shows events. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Showing {
    schemas: Schemas,
    keys: SubjectKeys,
    data_version: DataVersion,
}

impl Showing {
    /// Shows data in its newest form.
    pub(crate) fn new(schemas: Schemas, keys: SubjectKeys) -> Self {
        Self { schemas, keys, data_version: DataVersion::default() }
    }

    /// Shows data in another form.
    #[must_use]
    pub(crate) fn in_version(&self, data_version: DataVersion) -> Self {
        Self { data_version, ..self.clone() }
    }

    /// While this stays the same, an event that is not sealed is shown in the same way; `None` where only some readers see it so.
    pub(crate) fn epoch(&self) -> Option<u64> {
        (self.data_version == DataVersion::Newest).then(|| self.schemas.epoch())
    }

    /// What a reader sees of an event.
    pub(crate) fn show<'a>(&self, stored: Stored<'a>) -> Result<Shown<'a>, OpenError> {
        let Stored { placed, recorded, evidence } = stored;
        let mut content = codec::decode_content(&placed.event.content)?;
        let opened = subjects::open(&self.keys, bound(&placed), &mut content)?;
        if let Some(subject) = content.data_subject.take() {
            content.extensions.insert(DATA_SUBJECT.into(), Extension::Text(subject));
        }
        if matches!(opened, Opened::Erased) {
            content.extensions.insert(REDACTED.into(), Extension::Boolean(true));
        }
        self.bring_forward(&placed.event.event_type, &mut content);
        Ok(Shown { placed, recorded, evidence, content })
    }

    /// Whether an event that is recorded and one that is appended again have the same content. What the store added
    /// does not count: a retry may meet a newer schema than the first try. Of an event whose subject is erased only what is
    /// not sealed can be compared.
    pub(crate) fn is_same(&self, recorded: &Placed<'_>, asked: &NewEvent) -> bool {
        let bound = bound(recorded);
        let (recorded, asked) = (&recorded.event.content, &asked.content);
        recorded == asked
            || match (self.comparable(recorded, bound), self.comparable(asked, bound)) {
                (Some((recorded, Opened::Erased)), Some((asked, _))) => recorded == asked.split().0,
                (Some((recorded, _)), Some((asked, _))) => recorded == asked,
                _ => false,
            }
    }

    /// A content opened and without what the store added; both events that are compared stand in the same place.
    fn comparable<'a>(
        &self,
        content: &'a Content,
        bound: Bound<'_>,
    ) -> Option<(EventContent<'a>, Opened)> {
        let mut content = codec::decode_content(content).ok()?;
        let opened = subjects::open(&self.keys, bound, &mut content).ok()?;
        Some((EventContent { schema_version: None, ..content }, opened))
    }

    /// Brings data into the wanted version of its schema, and says which that is.
    fn bring_forward(&self, event_type: &EventType, content: &mut EventContent<'_>) {
        let Some(schemas) = self.schemas.snapshot() else { return };
        let Some(versions) = BTreeMap::get(&schemas, event_type) else { return };
        let stored = SchemaVersion(content.schema_version.unwrap_or_default());
        let wanted = match self.data_version {
            DataVersion::Newest => self.schemas.newest_visible(versions),
            DataVersion::Stored => stored,
            DataVersion::Exactly(wanted) => wanted.min(self.schemas.newest_visible(versions)),
        };
        let shown = match &content.data {
            Data::Json(data) if wanted > stored => {
                if let Some(data) = versions.upcast(data, stored, wanted) {
                    content.data = Data::Json(Cow::Owned(data));
                }
                wanted
            }
            _ => stored,
        };
        if shown != SchemaVersion::default() {
            let uri = DataSchema { event_type, version: shown }.to_string();
            content.data_schema = Some(Cow::Owned(uri));
        }
    }
}

fn bound<'a>(placed: &Placed<'a>) -> Bound<'a> {
    let event = placed.event;
    let (event_type, tags) = (&event.event_type, &event.tags);
    Bound { id: event.id, stream: placed.stream, event_type, tags }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_versions_are_words_or_numbers() {
        for (text, expected) in [
            ("newest", Some(DataVersion::Newest)),
            ("stored", Some(DataVersion::Stored)),
            ("2", Some(DataVersion::Exactly(SchemaVersion(2)))),
            ("", None),
            ("+2", None),
            ("raw", None),
            ("4294967296", None),
        ] {
            assert_eq!(text.parse().ok(), expected, "{text}");
        }
    }
}
