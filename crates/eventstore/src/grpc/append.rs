//! `Append`.

use lombard_chassis::Problem;
use lombard_eventstore_core::Evidence;
use lombard_grpc::Call;
use lombard_proto::eventstore::v1::{AppendRequest, AppendResponse, StreamRange};

use super::read_message;
use crate::{
    api::{Api, Draft, Outcome, Ready, StreamDraft},
    authority::Caller,
    problem,
};

/// Needs `events:append` for each of the streams.
pub(super) async fn append(
    api: Api,
    call: Call,
    request: AppendRequest,
) -> Result<AppendResponse, Problem> {
    let caller = Caller::new(call.claims);
    let evidence = caller.evidence(call.context)?;
    let append = prepare(&api, &caller, evidence, &request).await?;
    // What was sent is not kept while the append waits for the disk.
    drop(request);
    api.submit(append).await.map(response)
}

/// Reads a request, and makes what can be appended of it, where the caller's token permits it.
pub(super) async fn prepare(
    api: &Api,
    caller: &Caller,
    evidence: Evidence,
    request: &AppendRequest,
) -> Result<Ready, Problem> {
    let mut streams = Vec::with_capacity(request.streams.len());
    for part in &request.streams {
        let stream = part.stream.parse();
        let stream = stream.map_err(|error| problem::invalid_member("streams.stream", error))?;
        caller.append(&stream)?;
        let expected = read_message::expected(part)?;
        let events = read_message::events(&part.events)?;
        streams.push(StreamDraft { stream, expected, events });
    }
    let condition = request.condition.as_ref().map(read_message::condition).transpose()?;
    api.prepare(Draft { streams, condition, evidence }).await
}

pub(super) fn response(outcome: Outcome) -> AppendResponse {
    let Outcome { streams, recorded, is_replayed } = outcome;
    let range = |range: lombard_eventstore_core::StreamRange| StreamRange {
        stream: range.stream.to_string(),
        first_revision: range.first_revision.get(),
        last_revision: range.last_revision.get(),
        first_position: range.first_position.get(),
        last_position: range.last_position.get(),
    };
    AppendResponse {
        streams: streams.into_iter().map(range).collect(),
        log_position: recorded.position.get(),
        recorded_at: recorded.time.unix_nanos(),
        is_replayed,
    }
}
