//! Live events: the same resources as the pages, asked for with `Accept: text/event-stream` (Server-Sent Events, WHATWG
//! HTML section 9.2).
//!
//! History is read as pages are, up to what is durable when the subscription begins; from the next record on the feed
//! gives what happens. The seam is between two records, so nothing is missing and nothing comes twice. A subscriber
//! takes what it can: it holds up nobody, and one that falls behind reads history again.

use std::{convert::Infallible, ops::ControlFlow, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use http::HeaderMap;
use lombard_chassis::{CancellationToken, Problem, event_stream, problems};
use lombard_engine::Subscription;
use lombard_eventstore_core::{EventPosition, Placed};
use lombard_types::{Position, Revision, StreamName};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use crate::{
    api::Api,
    cloud_event,
    live::Live,
    query::{AllReading, Direction, Filter, Horizon, QueryError, Reader, Stored, StreamReading},
    showing::Showing,
};

/// Says that the connection lives, and keeps proxies from closing it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events examined, and bytes written, before the subscriber gets them.
const CHUNK_EVENTS: usize = 1000;
const CHUNK_BYTES: usize = 256 << 10;
/// Records taken from the feed at once.
const CHUNK_RECORDS: usize = 256;
/// How long a client waits before it connects again.
const RETRY: &str = "retry: 1000\n\n";

/// The id of the last event that a client has, after a lost connection.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    event_stream::last_event_id(headers, "must be the id of an event of this subscription")
}

/// Whose events, and from where on.
pub(super) enum Place {
    /// All streams; ids are positions.
    All(EventPosition),
    /// One stream; ids are revisions.
    Stream(StreamName, Revision),
}

impl Place {
    fn id(&self, placed: &Placed<'_>) -> u64 {
        match self {
            Self::All(_) => placed.position.get(),
            Self::Stream(..) => placed.revision.get(),
        }
    }

    /// Whether an event that has just happened is wanted.
    fn includes(&self, placed: &Placed<'_>) -> bool {
        match self {
            Self::All(from) => placed.position >= *from,
            Self::Stream(stream, from) => placed.stream == stream && placed.revision >= *from,
        }
    }
}

/// Answers with the events from a place on, until the client goes away, the token expires or the role drains.
pub(super) fn respond(
    api: &Api,
    place: Place,
    filter: Filter,
    showing: Showing,
    expires_in: Duration,
) -> Result<Response, Problem> {
    let permit = api.subscriptions.clone().try_acquire_owned().map_err(|_| {
        Problem::new(&problems::OVERLOADED)
            .detail("there are as many subscriptions as the limit allows")
            .retry_after(Duration::from_secs(5))
    })?;
    let end = api.reader.durable();
    let subscriber = Subscriber {
        reader: api.reader.clone(),
        showing,
        place,
        filter,
        end,
        is_in_history: true,
        live: api.feed.subscribe(end),
        expires_at: Instant::now() + expires_in,
        drain: api.drain.clone(),
        _permit: permit,
    };
    let chunks = stream::unfold(Some(subscriber), |subscriber| async move {
        let mut subscriber = subscriber?;
        let chunk = subscriber.next().await?;
        Some((Ok::<_, Infallible>(chunk), Some(subscriber)))
    });
    let first = stream::iter([Ok(Bytes::from_static(RETRY.as_bytes()))]);
    let body = Body::from_stream(stream::StreamExt::chain(first, chunks));
    Ok(event_stream::respond(body))
}

struct Subscriber {
    reader: Reader,
    showing: Showing,
    place: Place,
    filter: Filter,
    /// The record at which history ends and the feed begins.
    end: Position,
    is_in_history: bool,
    live: Subscription<Live>,
    expires_at: Instant,
    drain: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Subscriber {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut chunk = String::new();
        loop {
            if self.drain.is_cancelled() || Instant::now() >= self.expires_at {
                return None;
            }
            if self.is_in_history {
                if let Err(error) = self.read_history(&mut chunk).await {
                    tracing::error!(%error, "a subscription ends: history cannot be read");
                    return None;
                }
            } else {
                let (drain, expires_at) = (self.drain.clone(), self.expires_at);
                tokio::select! {
                    () = drain.cancelled() => return None,
                    () = tokio::time::sleep_until(expires_at) => return None,
                    () = tokio::time::sleep(KEEP_ALIVE) => chunk.push_str(": alive\n\n"),
                    taken = self.live.next(CHUNK_RECORDS) => match taken {
                        Ok(taken) => {
                            for fed in taken {
                                self.write_live(&fed.item, &mut chunk)?;
                            }
                        }
                        Err(error) => {
                            tracing::error!(%error, "a subscription ends: the feed has stopped");
                            return None;
                        }
                    },
                }
            }
            if !chunk.is_empty() {
                return Some(Bytes::from(chunk));
            }
        }
    }

    async fn read_history(&mut self, chunk: &mut String) -> Result<(), QueryError> {
        let Self { reader, showing, filter, end, .. } = self;
        let horizon = Horizon { end: *end, until: None };
        let direction = Direction::Forwards;
        let mut failed = None;
        let is_all = matches!(self.place, Place::All(_));
        let take = |stored: Stored<'_>| {
            if chunk.len() >= CHUNK_BYTES {
                return ControlFlow::Break(());
            }
            let placed = stored.placed;
            let id = if is_all { placed.position.get() } else { placed.revision.get() };
            match showing.show(stored) {
                Ok(shown) => {
                    let mut json = String::new();
                    cloud_event::write(&shown, &mut json);
                    write_event(id, &json, chunk);
                }
                Err(source) => {
                    failed = Some(QueryError::Show { record: stored.recorded.position, source });
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        };
        let is_left = match &mut self.place {
            Place::All(from) => {
                let reading = AllReading { from: *from, direction, filter, horizon };
                let next = reader.read_all(reading, CHUNK_EVENTS, take).await?;
                *from = next.unwrap_or(*from);
                next.is_some()
            }
            Place::Stream(stream, from) => {
                let reading = StreamReading { stream, from: *from, direction, filter, horizon };
                let next = reader.read_stream(reading, CHUNK_EVENTS, take).await?;
                *from = next.unwrap_or(*from);
                next.is_some()
            }
        };
        self.is_in_history = is_left;
        failed.map_or(Ok(()), Err)
    }

    fn write_live(&self, live: &Live, chunk: &mut String) -> Option<()> {
        let json = live.json(&self.showing);
        let json = json.inspect_err(|error| {
            tracing::error!(%error, "a subscription ends: an event cannot be decoded");
        });
        for (placed, json) in live.placed().zip(&*json.ok()?) {
            if self.place.includes(&placed) && self.filter.is_met_by(&placed) {
                write_event(self.place.id(&placed), json, chunk);
            }
        }
        Some(())
    }
}

/// JSON has no line breaks of its own here, so it is one `data` line.
fn write_event(id: u64, json: &str, chunk: &mut String) {
    chunk.push_str("id: ");
    chunk.push_str(&id.to_string());
    chunk.push_str("\ndata: ");
    chunk.push_str(json);
    chunk.push_str("\n\n");
}
