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

use super::{
    Api,
    lull::{ALIVE, Lull, Turn, rest_after},
};
use crate::{
    problem,
    watch::{Topic, Waiter},
};

struct Watcher {
    api: Api,
    topic: Topic,
    waiter: Waiter,
    seen: Option<u64>,
    lull: Lull,
    /// Before it is looked again.
    rest: Option<Duration>,
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
    let lull = Lull::new(&api.draining, expires_in);
    let watcher = Watcher { api, topic, waiter: entered?, seen, lull, rest: None };
    let events = stream::unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok::<_, Infallible>(event), watcher))
    });
    Ok(event_stream::respond(Body::from_stream(events)))
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(rest) = self.rest.take()
            && !self.lull.rest(rest).await
        {
            return None;
        }
        loop {
            let (topic, seen) = (&self.topic, self.seen);
            let changed = self.api.view.read(|view| {
                let is_new = seen.is_none_or(|seen| view.has_changed_since(topic, seen));
                is_new.then(|| view.event_of(topic))
            });
            if let Some((index, event)) = changed {
                self.seen = Some(index);
                self.rest = rest_after(event.len());
                self.lull.said();
                return Some(event);
            }
            match self.lull.end(&mut self.waiter).await {
                Turn::Changed => {}
                Turn::Quiet => return Some(Bytes::from_static(ALIVE)),
                Turn::Over => return None,
            }
        }
    }
}
