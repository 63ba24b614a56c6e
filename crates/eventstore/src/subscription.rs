//! A subscriber's way through the events, for every edge: history up to what is durable when it begins, then the feed from
//! the next record on.
//!
//! The seam is between two records, so nothing is missing and nothing comes twice. A subscriber takes what it can: it
//! holds up nobody, and one that falls behind reads the log again.

use std::ops::ControlFlow;

use lombard_chassis::Problem;
use lombard_engine::{Fed, FeedError, Subscription};
use lombard_eventstore_core::Placed;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    api::Api,
    live::Live,
    query::{Cursor, Direction, Filter, Horizon, Place, QueryError, Reader, Stored},
    showing::{Showing, Shown},
    subjects::OpenError,
};

/// Events examined, and bytes written, before the subscriber gets them.
const CHUNK_EVENTS: usize = 1000;
const CHUNK_BYTES: usize = 256 << 10;
/// Records taken from the feed at once.
const CHUNK_RECORDS: usize = 256;

/// The form in which an edge sends events.
pub(crate) trait Form: Send {
    /// Bytes that were written.
    fn bytes(&self) -> usize;

    /// Writes an event; `id` is where it stands in what was subscribed to.
    fn event(&mut self, id: u64, shown: &Shown<'_>);

    /// Writes those events of a record that have an id.
    fn record(
        &mut self,
        live: &Live,
        showing: &Showing,
        id: impl Fn(&Placed<'_>) -> Option<u64>,
    ) -> Result<(), OpenError> {
        for stored in live.stored_events() {
            if let Some(id) = id(&stored.placed) {
                self.event(id, &showing.show(stored)?);
            }
        }
        Ok(())
    }
}

/// One subscriber, and how far it has come.
#[derive(Debug)]
pub(crate) struct Subscriber {
    reader: Reader,
    showing: Showing,
    cursor: Cursor,
    is_in_history: bool,
    live: Subscription<Live>,
    _permit: OwnedSemaphorePermit,
}

/// What happened and was not written yet.
pub(crate) type Happened = Vec<Fed<Live>>;

impl Subscriber {
    /// Begins, where there is room for one more.
    pub(crate) fn begin(
        api: &Api,
        place: Place,
        filter: Filter,
        showing: Showing,
    ) -> Result<Self, Problem> {
        let permit = api.subscription_permit()?;
        let end = api.reader.durable();
        let horizon = Horizon { end, until: None };
        let direction = Direction::Forwards;
        Ok(Self {
            reader: api.reader.clone(),
            showing,
            cursor: Cursor { place, direction, filter, horizon },
            is_in_history: true,
            live: api.feed.subscribe(end),
            _permit: permit,
        })
    }

    /// Whether there may be more events from before it began.
    pub(crate) const fn is_in_history(&self) -> bool {
        self.is_in_history
    }

    /// Writes the next events from before it began.
    pub(crate) async fn read_history(&mut self, form: &mut impl Form) -> Result<(), QueryError> {
        let Self { reader, showing, cursor, .. } = self;
        let place = cursor.place.clone();
        let mut failed = None;
        let take = |stored: Stored<'_>| {
            if form.bytes() >= CHUNK_BYTES {
                return ControlFlow::Break(());
            }
            let id = place.id(&stored.placed);
            match showing.show(stored) {
                Ok(shown) => {
                    form.event(id, &shown);
                    ControlFlow::Continue(())
                }
                Err(source) => {
                    failed = Some(QueryError::Show { record: stored.recorded.position, source });
                    ControlFlow::Break(())
                }
            }
        };
        self.is_in_history = cursor.read(reader, CHUNK_EVENTS, take).await?;
        failed.map_or(Ok(()), Err)
    }

    /// Waits for what happens. Cancel safe.
    pub(crate) async fn happened(&mut self) -> Result<Happened, FeedError> {
        self.live.next(CHUNK_RECORDS).await
    }

    /// Writes what happened, as far as it is wanted.
    pub(crate) fn write(&self, happened: &Happened, form: &mut impl Form) -> Result<(), OpenError> {
        let cursor = &self.cursor;
        let id = |placed: &Placed<'_>| cursor.wants(placed).then(|| cursor.place.id(placed));
        happened.iter().try_for_each(|fed| form.record(&fed.item, &self.showing, id))
    }
}
