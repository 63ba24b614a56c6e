//! What subscribers are given of a record: decoded once, and written as JSON once, for all who want the same.

use std::sync::Arc;

use lombard_engine::{Feed, FeedItem, FeedLimits, StartError};
use lombard_eventstore_core::{Appended, Event, Placed};
use lombard_log::{Record, SharedLog};
use lombard_types::Timestamp;
use parking_lot::Mutex;

use crate::{
    cloud_event,
    codec::{self, EventCodec, Recorded, StoredRecord},
    query::Stored,
    showing::Showing,
    subjects::OpenError,
};

/// A record in the feed.
#[derive(Debug)]
pub(crate) struct Live {
    /// Always there: the machine makes one event of each command.
    stored: Option<StoredRecord>,
    /// Its events in JSON as most subscribers want them, when somebody has asked for it.
    json: Mutex<Option<Written>>,
    bytes: usize,
    /// Whether it has events that an erasure would change: their text is not kept.
    is_sealed: bool,
}

/// The events of a record in JSON.
type Json = Arc<[Box<str>]>;

/// What was written, and when it will look different ([`Showing::epoch`]).
#[derive(Debug)]
struct Written {
    epoch: u64,
    json: Json,
}

/// What is decoded is there a second time, as JSON, when somebody has asked for it.
const COPIES: usize = 2;

impl FeedItem for Live {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Live {
    /// Its events, with a text for each, in the same order: [`Self::json`].
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        self.appended().into_iter().flat_map(|(appended, _)| appended.events())
    }

    /// Its events in JSON.
    pub(crate) fn json(&self, showing: &Showing) -> Result<Json, OpenError> {
        let Some(epoch) = showing.epoch().filter(|_| !self.is_sealed) else {
            return self.write(showing);
        };
        let mut written = self.json.lock();
        if let Some(written) = &*written
            && written.epoch == epoch
        {
            return Ok(Arc::clone(&written.json));
        }
        let json = self.write(showing)?;
        *written = Some(Written { epoch, json: Arc::clone(&json) });
        Ok(json)
    }

    /// Its events, as they are stored.
    pub(crate) fn stored_events(&self) -> impl Iterator<Item = Stored<'_>> {
        self.appended().into_iter().flat_map(|(appended, recorded)| {
            let evidence = &appended.evidence;
            appended.events().map(move |placed| Stored { placed, recorded, evidence })
        })
    }

    pub(crate) fn appended(&self) -> Option<(&Appended, Recorded)> {
        let stored = self.stored.as_ref()?;
        match &stored.event {
            Event::Appended(appended) => Some((appended, stored.recorded)),
            Event::Stored(_) => None,
        }
    }

    fn write(&self, showing: &Showing) -> Result<Json, OpenError> {
        let Some((appended, recorded)) = self.appended() else {
            return Ok(Arc::default());
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
    let bytes = record.payload.len();
    let stored = events.into_iter().next().map(|event| StoredRecord { recorded, event });
    let mut live = Live { stored, json: Mutex::default(), bytes, is_sealed: false };
    // A record is smaller than the contents that it tells by what they have in common.
    let contents: usize = live.placed().map(|placed| placed.event.content.0.len()).sum();
    live.bytes = live.bytes.saturating_add(contents).saturating_mul(COPIES);
    let is_sealed = live.placed().any(|placed| {
        codec::decode_content(&placed.event.content).is_ok_and(|content| content.sealed.is_some())
    });
    live.is_sealed = is_sealed;
    live
}

/// Starts the feed of the store.
pub(crate) fn start(log: SharedLog) -> Result<Feed<Live>, StartError> {
    Feed::start("eventstore", log, EventCodec, FeedLimits::default(), item)
}
