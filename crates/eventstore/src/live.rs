//! What subscribers are given of a record: decoded once, and written as JSON once, for all of them.

use std::sync::OnceLock;

use lombard_engine::{DecodeError, Feed, FeedItem, FeedLimits, StartError};
use lombard_eventstore_core::{Appended, Event, Placed};
use lombard_log::{Record, SharedLog};
use lombard_types::Timestamp;

use crate::{
    cloud_event,
    codec::{EventCodec, Recorded, StoredRecord},
    query::Stored,
    showing::Showing,
};

/// A record in the feed.
#[derive(Debug)]
pub(crate) struct Live {
    /// Always there: the machine makes one event of each command.
    stored: Option<StoredRecord>,
    /// Its events in JSON, when somebody has asked for it.
    json: OnceLock<Result<Box<[Box<str>]>, DecodeError>>,
    bytes: usize,
}

/// What decoding adds to a record, about: a second copy in JSON.
const DECODED_FACTOR: usize = 3;

impl FeedItem for Live {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Live {
    /// Its events with their JSON.
    pub(crate) fn events(
        &self,
        showing: &Showing,
    ) -> Result<impl Iterator<Item = (Placed<'_>, &str)>, DecodeError> {
        let json = self.json.get_or_init(|| self.write(showing)).as_ref().map_err(Clone::clone)?;
        let placed = self.appended().into_iter().flat_map(|(appended, _)| appended.events());
        Ok(placed.zip(json.iter().map(|json| &**json)))
    }

    pub(crate) fn appended(&self) -> Option<(&Appended, Recorded)> {
        let stored = self.stored.as_ref()?;
        match &stored.event {
            Event::Appended(appended) => Some((appended, stored.recorded)),
            Event::Stored(_) => None,
        }
    }

    fn write(&self, showing: &Showing) -> Result<Box<[Box<str>]>, DecodeError> {
        let Some((appended, recorded)) = self.appended() else {
            return Ok(Box::default());
        };
        let write = |placed| {
            let mut json = String::new();
            let evidence = &appended.evidence;
            let shown = showing.show(Stored { placed, recorded, evidence })?;
            cloud_event::write(&shown, &mut json);
            Ok(json.into_boxed_str())
        };
        appended.events().map(write).collect()
    }
}

/// What the feed makes of a record.
pub(crate) fn item(record: &Record, time: Timestamp, events: Vec<Event>) -> Live {
    let recorded = Recorded { position: record.position, time };
    let bytes = record.payload.len().saturating_mul(DECODED_FACTOR);
    let stored = events.into_iter().next().map(|event| StoredRecord { recorded, event });
    Live { stored, json: OnceLock::new(), bytes }
}

/// Starts the feed of the store.
pub(crate) fn start(log: SharedLog) -> Result<Feed<Live>, StartError> {
    Feed::start("eventstore", log, EventCodec, FeedLimits::default(), item)
}
