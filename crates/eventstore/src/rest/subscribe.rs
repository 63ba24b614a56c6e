//! Live events: the same resources as the pages, asked for with `Accept: text/event-stream` (Server-Sent Events, WHATWG
//! HTML section 9.2).

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use http::HeaderMap;
use lombard_chassis::{CancellationToken, Problem, event_stream};
use lombard_eventstore_core::Placed;
use tokio::time::Instant;

use crate::{
    api::Api,
    cloud_event,
    live::Live,
    query::{Filter, Place},
    showing::{Showing, Shown},
    subjects::OpenError,
    subscription::{Form, Subscriber},
};

/// Says that the connection lives, and keeps proxies from closing it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long a client waits before it connects again.
const RETRY: &str = "retry: 1000\n\n";

/// The id of the last event that a client has, after a lost connection.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    event_stream::last_event_id(headers, "must be the id of an event of this subscription")
}

/// Answers with the events from a place on, until the client goes away, the token expires or the role drains.
pub(super) fn respond(
    api: &Api,
    place: Place,
    filter: Filter,
    showing: Showing,
    expires_in: Duration,
) -> Result<Response, Problem> {
    let streaming = Streaming {
        subscriber: Subscriber::begin(api, place, filter, showing)?,
        expires_at: Instant::now() + expires_in,
        drain: api.drain.clone(),
    };
    let chunks = stream::unfold(Some(streaming), |streaming| async move {
        let mut streaming = streaming?;
        let chunk = streaming.next().await?;
        Some((Ok::<_, Infallible>(chunk), Some(streaming)))
    });
    let first = stream::iter([Ok(Bytes::from_static(RETRY.as_bytes()))]);
    let body = Body::from_stream(stream::StreamExt::chain(first, chunks));
    Ok(event_stream::respond(body))
}

struct Streaming {
    subscriber: Subscriber,
    expires_at: Instant,
    drain: CancellationToken,
}

impl Streaming {
    /// What to send next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        let mut chunk = Chunk(String::new());
        while chunk.0.is_empty() {
            if self.drain.is_cancelled() || Instant::now() >= self.expires_at {
                return None;
            }
            if self.subscriber.is_in_history() {
                let read = self.subscriber.read_history(&mut chunk).await;
                read.map_err(|error| ended(&error)).ok()?;
                continue;
            }
            tokio::select! {
                () = self.drain.cancelled() => return None,
                () = tokio::time::sleep_until(self.expires_at) => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => chunk.0.push_str(": alive\n\n"),
                happened = self.subscriber.happened() => {
                    let happened = happened.map_err(|error| ended(&error)).ok()?;
                    let written = self.subscriber.write(&happened, &mut chunk);
                    written.map_err(|error| ended(&error)).ok()?;
                }
            }
        }
        Some(Bytes::from(chunk.0))
    }
}

fn ended(error: &dyn std::error::Error) {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "a subscription ends");
}

/// Server-sent events.
struct Chunk(String);

impl Form for Chunk {
    fn bytes(&self) -> usize {
        self.0.len()
    }

    fn event(&mut self, id: u64, shown: &Shown<'_>) {
        self.push(id, &cloud_event::to_json(shown));
    }

    /// Most subscribers want the same text, which is written once.
    fn record(
        &mut self,
        live: &Live,
        showing: &Showing,
        id: impl Fn(&Placed<'_>) -> Option<u64>,
    ) -> Result<(), OpenError> {
        let json = live.json(showing)?;
        for (placed, json) in live.placed().zip(&*json) {
            if let Some(id) = id(&placed) {
                self.push(id, json);
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// JSON has no line breaks of its own here, so it is one `data` line.
    fn push(&mut self, id: u64, json: &str) {
        self.0.push_str("id: ");
        self.0.push_str(&id.to_string());
        self.0.push_str("\ndata: ");
        self.0.push_str(json);
        self.0.push_str("\n\n");
    }
}
