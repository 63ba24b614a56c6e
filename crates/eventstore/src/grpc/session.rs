//! `AppendSession`: many appends in flight on one call.
//!
//! They are prepared and handed to the writer in the order in which they arrive, and answered in the same order. When
//! as many wait as the limit says, no further one is received, so that flow control holds the client up.

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use lombard_chassis::{Problem, problems};
use lombard_grpc::{Call, Incoming, Outgoing, status};
use lombard_proto::eventstore::v1::{
    AppendResponse, AppendSessionRequest, AppendSessionResponse, append_session_response,
};
use lombard_types::RequestId;

use super::append;
use crate::{
    api::{Api, Ready},
    authority::Caller,
    problem,
};

/// How a session is brought to an end, once what is in flight is answered.
enum Ending {
    /// The client has sent everything.
    Sent,
    /// No further append is taken.
    Stopped(Problem),
}

/// Needs `events:append` for each stream of each append. The token is checked again for each.
pub(super) async fn run(
    api: Api,
    mut call: Call,
    mut incoming: Incoming<AppendSessionRequest>,
    outgoing: &mut Outgoing<AppendSessionResponse>,
) -> Result<(), Option<Problem>> {
    let caller = Caller::new(call.claims.clone());
    let evidence = caller.evidence(call.context.clone())?;
    let request_id = call.context.request_id.clone();
    let drain = call.drain.clone();
    let mut stopping = std::pin::pin!(drain.cancelled());
    let mut last_sequence = None;
    let mut ending = None;
    let mut in_flight = FuturesOrdered::new();
    // The client learns at once that it may send.
    outgoing.flush().await.map_err(|_| None)?;
    loop {
        if in_flight.is_empty() {
            match ending.take() {
                None => {}
                Some(Ending::Sent) => return Ok(()),
                Some(Ending::Stopped(problem)) => return Err(Some(problem)),
            }
        }
        let may_take = ending.is_none() && in_flight.len() < api.config.session_appends_max;
        tokio::select! {
            biased;
            Some(response) = in_flight.next(), if !in_flight.is_empty() => {
                outgoing.push(&response);
                // What became durable together is answered together.
                while let Some(Some(response)) = in_flight.next().now_or_never() {
                    outgoing.push(&response);
                }
                outgoing.flush().await.map_err(|_| None)?;
            }
            request = incoming.next(), if may_take => match request {
                Ok(None) => ending = Some(Ending::Sent),
                Err(problem) => ending = Some(Ending::Stopped(problem)),
                Ok(Some(AppendSessionRequest { sequence, append })) => {
                    if last_sequence.is_some_and(|last| sequence <= last) {
                        let reason = "must be larger with each request of the session";
                        let problem = problem::invalid_member("sequence", reason);
                        ending = Some(Ending::Stopped(problem));
                        continue;
                    }
                    last_sequence = Some(sequence);
                    let append = match call.check_token() {
                        Ok(()) => {
                            let append = append.unwrap_or_default();
                            append::prepare(&api, &caller, evidence.clone(), &append)
                        }
                        Err(problem) => {
                            ending = Some(Ending::Stopped(problem));
                            continue;
                        }
                    };
                    in_flight.push_back(answer(&api, &request_id, sequence, append));
                }
            },
            () = &mut stopping, if ending.is_none() => {
                ending = Some(Ending::Stopped(Problem::new(&problems::STOPPING)));
            }
        }
    }
}

async fn answer(
    api: &Api,
    request_id: &RequestId,
    sequence: u64,
    append: Result<Ready, Problem>,
) -> AppendSessionResponse {
    let outcome: Result<AppendResponse, Problem> = match append {
        Ok(append) => api.submit(append).await.map(append::response),
        Err(problem) => Err(problem),
    };
    let result = match outcome {
        Ok(appended) => append_session_response::Result::Appended(appended),
        Err(problem) => {
            append_session_response::Result::Error(status::status(&problem, Some(request_id)))
        }
    };
    AppendSessionResponse { sequence, result: Some(result) }
}
