//! Calls on which many numbered requests are under way at once.
//!
//! Requests are prepared in the order in which they arrive, and answered in the same order. When as many wait as the limit
//! says, no further one is received, so that flow control holds the client up. A request that is refused does not end the
//! session.

use std::future::Future;

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesOrdered};
use lombard_chassis::{Problem, problems};
use prost::Message;

use crate::{Call, Incoming, Outgoing};

/// What a session does with its requests.
pub trait Session: Sync {
    /// One request; it has a sequence number.
    type Request: Message + Default + 'static;
    /// The answer to one request.
    type Response: Message + 'static;
    /// A request that was read and may be carried out, or why not.
    type Prepared: Send;

    /// How many requests may wait for their answers.
    fn in_flight_max(&self) -> usize;

    /// The number of a request, chosen by the client: larger with each.
    fn sequence(request: &Self::Request) -> u64;

    /// Reads a request, and hands it on in its order. The next one is not looked at before.
    fn prepare(
        &self,
        call: &Call,
        request: Self::Request,
    ) -> impl Future<Output = Self::Prepared> + Send;

    /// Carries a request out, beside others, and answers it.
    fn answer(
        &self,
        sequence: u64,
        prepared: Self::Prepared,
    ) -> impl Future<Output = Self::Response> + Send;
}

/// How a session is brought to an end, once what is in flight is answered.
enum Ending {
    /// The client has sent everything.
    Sent,
    /// No further request is taken.
    Stopped(Problem),
}

/// Runs a session. The token is checked again for each request.
pub async fn run<S: Session>(
    session: &S,
    mut call: Call,
    mut incoming: Incoming<S::Request>,
    outgoing: &mut Outgoing<S::Response>,
) -> Result<(), Option<Problem>> {
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
        let may_take = ending.is_none() && in_flight.len() < session.in_flight_max();
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
                Ok(Some(request)) => {
                    let sequence = S::sequence(&request);
                    match may_follow(&mut last_sequence, sequence).and_then(|()| call.check_token()) {
                        Err(problem) => ending = Some(Ending::Stopped(problem)),
                        Ok(()) => {
                            let prepared = session.prepare(&call, request).await;
                            in_flight.push_back(session.answer(sequence, prepared));
                        }
                    }
                }
            },
            () = &mut stopping, if ending.is_none() => {
                ending = Some(Ending::Stopped(Problem::new(&problems::STOPPING)));
            }
        }
    }
}

fn may_follow(last: &mut Option<u64>, sequence: u64) -> Result<(), Problem> {
    if last.is_some_and(|last| sequence <= last) {
        return Err(Problem::new(&problems::INVALID_BODY)
            .detail("sequence: must be larger with each request of the session")
            .with("field", "sequence"));
    }
    *last = Some(sequence);
    Ok(())
}
