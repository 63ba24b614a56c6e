//! From an event as a client sent it to one that can be appended, for every edge.

use lombard_eventstore_core::NewEvent;

use crate::{
    Config,
    cloud_event::{self, CloudEvent, InvalidEvent},
    codec,
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
}

/// What events are prepared by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Preparing {
    limits: cloud_event::Limits,
    event_bytes_max: usize,
}

impl Preparing {
    pub(crate) const fn new(config: &Config) -> Self {
        let limits = cloud_event::Limits {
            extensions_max: config.event_extensions_max,
            attribute_bytes_max: config.attribute_bytes_max,
            tags_max: config.event_tags_max,
        };
        Self { limits, event_bytes_max: config.event_bytes_max }
    }

    /// The events of one stream, as they are to be stored.
    pub(crate) fn prepare(self, events: Vec<CloudEvent<'_>>) -> Result<Vec<NewEvent>, Refused> {
        let mut prepared = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let event = self.prepare_one(event).map_err(|source| Refused { index, source })?;
            prepared.push(event);
        }
        Ok(prepared)
    }

    fn prepare_one(self, mut event: CloudEvent<'_>) -> Result<NewEvent, Reason> {
        cloud_event::check(&mut event, self.limits)?;
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
