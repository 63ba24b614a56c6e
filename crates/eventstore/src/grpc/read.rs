//! `Read`.

use std::ops::ControlFlow;

use lombard_chassis::Problem;
use lombard_eventstore_core::EventPosition;
use lombard_grpc::{Call, Outgoing};
use lombard_proto::eventstore::v1::{self as proto, ReadRequest, ReadResponse};
use lombard_types::{Position, Revision, StreamName, Timestamp};

use super::{read_message, write_message::EventWriter};
use crate::{
    api::Api,
    authority::Caller,
    problem,
    query::{Cursor, Direction, Filter, Horizon, Place, QueryError, Records, Stored},
};

/// Bytes of events after which a message is sent.
const MESSAGE_BYTES: usize = 256 << 10;
/// Room for a message and the event that makes it long enough, where that is not large itself.
const BUFFER_BYTES: usize = MESSAGE_BYTES + (4 << 10);
/// What an event takes, about.
const EVENT_BYTES: usize = 1 << 10;
/// Events that are looked at before other calls get their turn.
const CHUNK_EVENTS: usize = 4096;

/// What is read, and how far it has come.
struct Reading {
    cursor: Cursor,
    /// Events that may still be sent.
    left: u64,
}

/// Needs `events:read` for the stream, for the prefix of the filter, or for everything.
pub(super) async fn read(
    api: Api,
    call: Call,
    request: ReadRequest,
    outgoing: &mut Outgoing<ReadResponse>,
) -> Result<(), Option<Problem>> {
    let Some(mut reading) = reading(&api, &Caller::new(call.claims), request).await? else {
        return Ok(());
    };
    let mut records = Records::new(&api.reader);
    let mut is_more = true;
    while is_more && reading.left > 0 {
        is_more = reading.read_chunk(&api, &mut records, outgoing).await?;
        outgoing.flush().await.map_err(|_| None)?;
        // Other calls get their turn, also where the client takes everything at once.
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn reading(
    api: &Api,
    caller: &Caller,
    request: ReadRequest,
) -> Result<Option<Reading>, Problem> {
    let ReadRequest { stream, from, limit, filter, until, as_of, at_least, .. } = &request;
    let direction = match proto::Direction::try_from(request.direction) {
        Ok(proto::Direction::Forwards) => Direction::Forwards,
        Ok(proto::Direction::Backwards) => Direction::Backwards,
        Err(_) => return Err(problem::invalid_member("direction", "is not known")),
    };
    let filter = read_message::filter(filter.as_ref())?;
    let stream = permitted(caller, stream.as_deref(), &filter)?;
    api.reach(at_least.map(Position::new)).await?;
    let end = match as_of {
        Some(nanos) => {
            let end = api.reader.end_at(Timestamp::from_unix_nanos(*nanos)).await;
            end.map_err(|error| problem::from_query_error(&error))?
        }
        None => api.reader.durable(),
    };
    let horizon = Horizon { end, until: until.map(EventPosition::new) };
    let place = match stream {
        Some(stream) => {
            let last = api.last_chunk(&stream, end)?.last_revision();
            let from = from.map(Revision::new);
            let from = match direction {
                Direction::Forwards => from.unwrap_or(Revision::START),
                Direction::Backwards => from.unwrap_or(last).min(last),
            };
            Place::Stream(stream, from)
        }
        None => Place::All(match direction {
            Direction::Forwards => from.map_or(EventPosition::START, EventPosition::new),
            Direction::Backwards => EventPosition::new(from.unwrap_or(u64::MAX)),
        }),
    };
    let left = if *limit == 0 { u64::MAX } else { *limit };
    let is_empty = end == Position::default();
    let cursor = Cursor { place, direction, filter, horizon };
    Ok(Some(Reading { cursor, left }).filter(|_| !is_empty))
}

/// The stream to read, if the caller may; else the caller may read all that the filter's prefix lets through.
pub(super) fn permitted(
    caller: &Caller,
    stream: Option<&str>,
    filter: &Filter,
) -> Result<Option<StreamName>, Problem> {
    let Some(stream) = stream else {
        caller.read_prefix(filter.stream_prefix.as_deref())?;
        return Ok(None);
    };
    let stream = stream.parse().map_err(|error| problem::invalid_member("stream", error))?;
    caller.read(&stream)?;
    Ok(Some(stream))
}

impl Reading {
    /// Writes the next events as one message, and answers whether there may be more.
    async fn read_chunk(
        &mut self,
        api: &Api,
        records: &mut Records<'_>,
        outgoing: &mut Outgoing<ReadResponse>,
    ) -> Result<bool, Problem> {
        let Self { cursor, left } = self;
        // A message's buffer that grows is copied many times.
        let expected = usize::try_from(*left).unwrap_or(usize::MAX).saturating_mul(EVENT_BYTES);
        outgoing.buffer().reserve(expected.min(BUFFER_BYTES));
        let begun = outgoing.begin();
        let out = outgoing.buffer();
        let mut writer = EventWriter::new();
        let mut failed = None;
        let count_max = usize::try_from(*left).unwrap_or(usize::MAX);
        let take = |stored: Stored<'_>| {
            if out.len() >= MESSAGE_BYTES || writer.count() >= count_max {
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
        let is_more = cursor.read_on(&api.reader, records, CHUNK_EVENTS, take).await;
        writer.end(outgoing.buffer());
        outgoing.end(begun);
        let count = writer.count();
        *left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        api.metrics.events_read(count);
        match failed {
            Some(error) => Err(problem::from_query_error(&error)),
            None => is_more.map_err(|error| problem::from_query_error(&error)),
        }
    }
}
