//! `Subscribe`.

use std::time::Duration;

use bytes::BytesMut;
use lombard_chassis::{Problem, problems};
use lombard_eventstore_core::EventPosition;
use lombard_grpc::{Begun, Call, Outgoing};
use lombard_proto::eventstore::v1::{SubscribeRequest, SubscribeResponse};
use lombard_types::Revision;
use tokio::time::Instant;

use super::{read::permitted, read_message, write_message::EventWriter};
use crate::{
    api::Api,
    authority::Caller,
    problem,
    query::Place,
    showing::Shown,
    subscription::{Form, Subscriber},
};

/// Says that the call lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Needs `events:read` for the stream, for the prefix of the filter, or for everything.
pub(super) async fn subscribe(
    api: Api,
    mut call: Call,
    request: SubscribeRequest,
    outgoing: &mut Outgoing<SubscribeResponse>,
) -> Result<(), Option<Problem>> {
    let SubscribeRequest { stream, from, filter } = request;
    let filter = read_message::filter(filter.as_ref())?;
    let stream = permitted(&Caller::new(call.claims.clone()), stream.as_deref(), &filter)?;
    let place = match stream {
        Some(stream) => Place::Stream(stream, Revision::new(from.unwrap_or_default())),
        None => Place::All(EventPosition::new(from.unwrap_or_default())),
    };
    let mut subscriber = Subscriber::begin(&api, place, filter, api.showing.clone())?;
    outgoing.flush().await?;
    while subscriber.is_in_history() {
        let begun = outgoing.begin();
        let mut events = Events::begin(outgoing.buffer());
        let read = subscriber.read_history(&mut events).await;
        let has_some = events.end();
        finish(outgoing, begun, has_some);
        read.map_err(|error| problem::from_query_error(&error))?;
        outgoing.flush().await?;
        tokio::task::yield_now().await;
    }
    loop {
        call.check_token()?;
        let until = call.token_expires_at().min(Instant::now() + KEEP_ALIVE);
        let stopping = call.drain.clone();
        tokio::select! {
            biased;
            happened = subscriber.happened() => {
                let happened = happened.map_err(|error| {
                    tracing::error!(%error, "a subscription ends: the feed has stopped");
                    Problem::new(&problems::STOPPING)
                })?;
                let begun = outgoing.begin();
                let mut events = Events::begin(outgoing.buffer());
                let written = subscriber.write(&happened, &mut events);
                let has_some = events.end();
                finish(outgoing, begun, has_some);
                written.map_err(problem::from_open_error)?;
            }
            () = outgoing.closed() => return Err(None),
            () = stopping.cancelled() => return Err(Some(Problem::new(&problems::STOPPING))),
            () = tokio::time::sleep_until(until) => {
                call.check_token()?;
                outgoing.push(&SubscribeResponse::default());
            }
        }
        outgoing.flush().await?;
    }
}

/// Ends a message; one without events would say that the call lives.
fn finish(outgoing: &mut Outgoing<SubscribeResponse>, begun: Begun, has_events: bool) {
    if has_events {
        outgoing.end(begun);
    } else {
        outgoing.cancel(begun);
    }
}

/// A message's events.
struct Events<'a> {
    writer: EventWriter,
    start: usize,
    out: &'a mut BytesMut,
}

impl<'a> Events<'a> {
    fn begin(out: &'a mut BytesMut) -> Self {
        Self { writer: EventWriter::new(), start: out.len(), out }
    }

    /// Whether there are any.
    fn end(mut self) -> bool {
        self.writer.end(self.out);
        self.writer.count() > 0
    }
}

impl Form for Events<'_> {
    fn bytes(&self) -> usize {
        self.out.len().saturating_sub(self.start)
    }

    fn event(&mut self, _: u64, shown: &Shown<'_>) {
        self.writer.write(shown, self.out);
    }
}
