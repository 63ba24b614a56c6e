//! `Subscribe`: history up to what is durable when the call begins, then the feed from the next record on. The seam is
//! between two records, so nothing is missing and nothing comes twice. A subscriber takes what it can: it holds up
//! nobody, and one that falls behind reads history again.

use std::{ops::ControlFlow, time::Duration};

use lombard_chassis::{Problem, problems};
use lombard_engine::Subscription;
use lombard_eventstore_core::{EventPosition, Placed};
use lombard_grpc::{Call, Outgoing};
use lombard_proto::eventstore::v1::{SubscribeRequest, SubscribeResponse};
use lombard_types::{Position, Revision, StreamName};
use tokio::time::Instant;

use super::{read::permitted, read_message, write_message::EventWriter};
use crate::{
    api::Api,
    authority::Caller,
    live::Live,
    problem,
    query::{AllReading, Direction, Filter, Horizon, QueryError, Stored, StreamReading},
};

/// Says that the call lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events examined, and bytes written, before the subscriber gets them.
const CHUNK_EVENTS: usize = 1000;
const CHUNK_BYTES: usize = 256 << 10;
/// Records taken from the feed at once.
const CHUNK_RECORDS: usize = 256;

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
    let _permit = api.subscriptions.clone().try_acquire_owned().map_err(|_| {
        Problem::new(&problems::OVERLOADED)
            .detail("there are as many subscriptions as the limit allows")
            .retry_after(Duration::from_secs(5))
    })?;
    let end = api.reader.durable();
    let live = api.feed.subscribe(end);
    let mut subscriber = Subscriber { api, place, filter, end, live };
    outgoing.flush().await.map_err(|_| None)?;
    while subscriber.read_history(outgoing).await? {
        outgoing.flush().await.map_err(|_| None)?;
        tokio::task::yield_now().await;
    }
    outgoing.flush().await.map_err(|_| None)?;
    loop {
        call.check_token()?;
        let expires_at = call.token_expires_at();
        let (stopping, alive_at) = (call.drain.clone(), Instant::now() + KEEP_ALIVE);
        tokio::select! {
            biased;
            taken = subscriber.live.next(CHUNK_RECORDS) => {
                let taken = taken.map_err(|error| {
                    tracing::error!(%error, "a subscription ends: the feed has stopped");
                    Problem::new(&problems::STOPPING)
                })?;
                let begun = outgoing.begin();
                let mut writer = EventWriter::new();
                let start = outgoing.buffer().len();
                for fed in taken {
                    subscriber.write_live(&fed.item, &mut writer, outgoing)?;
                }
                writer.end(outgoing.buffer());
                if outgoing.buffer().len() == start {
                    outgoing.cancel(begun);
                    continue;
                }
                outgoing.end(begun);
            }
            () = outgoing.closed() => return Err(None),
            () = stopping.cancelled() => {
                return Err(Some(Problem::new(&problems::STOPPING)));
            }
            () = tokio::time::sleep_until(expires_at.min(alive_at)) => {
                call.check_token()?;
                outgoing.push(&SubscribeResponse::default());
            }
        }
        outgoing.flush().await.map_err(|_| None)?;
    }
}

/// What is wanted, and from where on.
enum Place {
    All(EventPosition),
    Stream(StreamName, Revision),
}

impl Place {
    /// Whether an event that has just happened is wanted.
    fn includes(&self, placed: &Placed<'_>) -> bool {
        match self {
            Self::All(from) => placed.position >= *from,
            Self::Stream(stream, from) => placed.stream == stream && placed.revision >= *from,
        }
    }
}

struct Subscriber {
    api: Api,
    place: Place,
    filter: Filter,
    /// The record at which history ends and the feed begins.
    end: Position,
    live: Subscription<Live>,
}

impl Subscriber {
    /// Writes the next events of history as one message, and answers whether there may be more.
    async fn read_history(
        &mut self,
        outgoing: &mut Outgoing<SubscribeResponse>,
    ) -> Result<bool, Problem> {
        let Self { api, place, filter, end, .. } = self;
        let horizon = Horizon { end: *end, until: None };
        let direction = Direction::Forwards;
        let begun = outgoing.begin();
        let out = outgoing.buffer();
        let mut writer = EventWriter::new();
        let mut failed = None;
        let take = |stored: Stored<'_>| {
            if out.len() >= CHUNK_BYTES {
                return ControlFlow::Break(());
            }
            match api.showing.show(stored) {
                Ok(shown) => {
                    writer.write(&shown, out);
                    ControlFlow::Continue(())
                }
                Err(source) => {
                    failed = Some(QueryError::Show { record: stored.recorded.position, source });
                    ControlFlow::Break(())
                }
            }
        };
        let is_more = match place {
            Place::All(from) => {
                let reading = AllReading { from: *from, direction, filter, horizon };
                let next = api.reader.read_all(reading, CHUNK_EVENTS, take).await;
                next.map(|next| next.inspect(|next| *from = *next).is_some())
            }
            Place::Stream(stream, from) => {
                let reading = StreamReading { stream, from: *from, direction, filter, horizon };
                let next = api.reader.read_stream(reading, CHUNK_EVENTS, take).await;
                next.map(|next| next.inspect(|next| *from = *next).is_some())
            }
        };
        writer.end(outgoing.buffer());
        outgoing.end(begun);
        if let Some(error) = failed {
            return Err(problem::from_query_error(&error));
        }
        is_more.map_err(|error| problem::from_query_error(&error))
    }

    fn write_live(
        &self,
        live: &Live,
        writer: &mut EventWriter,
        outgoing: &mut Outgoing<SubscribeResponse>,
    ) -> Result<(), Problem> {
        for stored in live.stored_events() {
            if self.place.includes(&stored.placed) && self.filter.is_met_by(&stored.placed) {
                let shown = self.api.showing.show(stored).map_err(problem::from_open_error)?;
                writer.write(&shown, outgoing.buffer());
            }
        }
        Ok(())
    }
}
