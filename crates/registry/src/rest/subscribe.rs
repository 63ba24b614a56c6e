//! Watches: the same resources, asked for with `Accept: text/event-stream` (Server-Sent Events, WHATWG HTML section 9.2).
//!
//! Each event is the whole body as a `GET` answers it, with its index as the id; what changed twice before the watcher
//! could take it is sent once. So a watcher that comes back with `Last-Event-ID` misses nothing that still counts. Bodies
//! are encoded once a change and shared by all who watch.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, Bytes},
    response::Response,
};
use futures_util::stream;
use http::HeaderMap;
use lombard_chassis::{Problem, event_stream};
use tokio::time::Instant;

use super::Api;
use crate::{
    problem,
    watch::{Topic, Waiter},
};

/// Says that the connection lives, and keeps proxies from closing it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

struct Watcher {
    api: Api,
    topic: Topic,
    waiter: Waiter,
    seen: Option<u64>,
    expires_at: Instant,
}

/// Answers with what a topic shows now, unless the watcher has seen it, and with every change from then on: until it goes
/// away, its token expires, or the role drains.
pub(super) async fn respond(
    api: Api,
    topic: Topic,
    headers: &HeaderMap,
    expires_in: Duration,
) -> Result<Response, Problem> {
    let seen = event_stream::last_event_id(headers, "must be the id of an event of this watch")?;
    api.reach_start().await?;
    let entered = api.watches.enter(topic.clone()).map_err(problem::from_too_many_waiters);
    api.count("watch", &entered);
    let watcher =
        Watcher { api, topic, waiter: entered?, seen, expires_at: Instant::now() + expires_in };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Ok(event_stream::respond(Body::from_stream(events)))
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let (topic, seen) = (&self.topic, self.seen);
            let changed = self.api.view.read(|view| {
                let is_new = seen.is_none_or(|seen| view.has_changed_since(topic, seen));
                is_new.then(|| view.event_of(topic))
            });
            if let Some((index, event)) = changed {
                self.seen = Some(index);
                return Some(event);
            }
            let draining = self.api.draining.clone();
            tokio::select! {
                () = draining.cancelled() => return None,
                () = tokio::time::sleep_until(self.expires_at) => return None,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": alive\n\n")),
                () = self.waiter.changed() => {}
            }
        }
    }
}
