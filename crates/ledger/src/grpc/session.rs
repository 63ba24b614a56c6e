//! `Session`: many frames of packed transfers in flight on one call.
//!
//! They are prepared and handed to the writer in the order in which they arrive, and answered in the same order. When
//! as many wait as the limit says, no further one is received, so that flow control holds the client up.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use lombard_chassis::{Problem, problems};
use lombard_grpc::{Call, Incoming, Outgoing, status};
use lombard_ledger_core::Evidence;
use lombard_proto::ledger::v1::{SessionRequest, SessionResponse, session_response};
use lombard_types::RequestId;

use super::{frame, results};
use crate::{
    problem,
    rest::{Api, evidence, sets::Asked},
};

/// How a session is brought to an end, once what is in flight is answered.
enum Ending {
    /// The client has sent everything.
    Sent,
    /// No further frame is taken.
    Stopped(Problem),
}

/// The token is checked again for each frame, and what it permits for each record.
pub(super) async fn run(
    api: Api,
    mut call: Call,
    mut incoming: Incoming<SessionRequest>,
    outgoing: &mut Outgoing<SessionResponse>,
) -> Result<(), Option<Problem>> {
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
        let may_take = ending.is_none() && in_flight.len() < api.config.session_frames_max;
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
                Ok(Some(SessionRequest { sequence, transfers })) => {
                    if last_sequence.is_some_and(|last| sequence <= last) {
                        let reason = "must be larger with each request of the session";
                        let problem = problem::invalid_field("sequence", reason);
                        ending = Some(Ending::Stopped(problem));
                        continue;
                    }
                    last_sequence = Some(sequence);
                    if let Err(problem) = call.check_token() {
                        ending = Some(Ending::Stopped(problem));
                        continue;
                    }
                    let prepared = prepare(&api, &call, &transfers).await;
                    in_flight.push_back(answer(&api, &request_id, sequence, prepared));
                }
            },
            () = &mut stopping, if ending.is_none() => {
                ending = Some(Ending::Stopped(Problem::new(&problems::STOPPING)));
            }
        }
    }
}

type Prepared = (Vec<Asked>, Arc<Evidence>);

async fn prepare(api: &Api, call: &Call, transfers: &[u8]) -> Result<Prepared, Problem> {
    let caller = super::caller(call)?;
    let asked = frame::prepare(api, &caller, transfers).await?;
    Ok((asked, evidence::of(&caller, call.context.clone(), None)))
}

async fn answer(
    api: &Api,
    request_id: &RequestId,
    sequence: u64,
    prepared: Result<Prepared, Problem>,
) -> SessionResponse {
    let result = match done(api, prepared).await {
        Ok(results) => session_response::Result::Results(results),
        Err(problem) => session_response::Result::Error(status::status(&problem, Some(request_id))),
    };
    SessionResponse { sequence, result: Some(result) }
}

async fn done(api: &Api, prepared: Result<Prepared, Problem>) -> Result<Bytes, Problem> {
    let (asked, evidence) = prepared?;
    let ended = api.submit_sets(&asked, evidence, false).await;
    results::pack(&asked, ended.map_err(problem::from_submit_error)?)
}
