//! The task behind a session: it connects, makes frames of what was submitted, and hands out the answers.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use lombard_proto::{
    frame,
    ledger::v1::{SessionRequest, SessionResponse, session_response::Result as Answer},
    rpc::Status,
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};

use super::{Outcomes, SESSION, SessionOptions, outcome, packed};
use crate::grpc::{
    GrpcError, PAUSE_MAX, PAUSE_MIN,
    call::Messages,
    channel::{Begun, Channel},
};

/// Submissions that are taken over together, at most.
const TAKEN_MAX: usize = 1024;

/// What was submitted together.
pub(super) struct Part {
    records: Bytes,
    latest: Instant,
    /// Taken when it is answered.
    answer: Option<oneshot::Sender<Result<Outcomes, GrpcError>>>,
    _place: OwnedSemaphorePermit,
    /// It may be what a frame was refused for, and must not share one again.
    is_alone: bool,
    /// It was sent in a call that was lost.
    may_have_happened: bool,
}

impl Part {
    pub(super) fn new(
        records: Bytes,
        latest: Instant,
        answer: oneshot::Sender<Result<Outcomes, GrpcError>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let answer = Some(answer);
        Self { records, latest, answer, _place: place, is_alone: false, may_have_happened: false }
    }

    fn transfers(&self) -> usize {
        self.records.len() / packed::BYTES
    }

    fn end(&mut self, answer: Result<Outcomes, GrpcError>) {
        if let Some(waiting) = self.answer.take() {
            // Who asked may have gone away.
            drop(waiting.send(answer));
        }
    }
}

/// Parts that were sent in one message.
struct Frame {
    sequence: u64,
    parts: Vec<Part>,
}

/// Why a call is over.
enum Ended {
    /// Everything is answered, and nobody can submit any more.
    Finished,
    /// It must be made again.
    Lost(GrpcError),
}

pub(super) struct Driver {
    channel: Arc<Channel>,
    options: SessionOptions,
    submitted: mpsc::UnboundedReceiver<Part>,
    is_open: bool,
    /// To be sent.
    queued: VecDeque<Part>,
    /// Sent in this call, in the order of the answers.
    in_flight: VecDeque<Frame>,
    sequence: u64,
    /// Whether this call has answered anything.
    has_answered: bool,
}

impl Driver {
    pub(super) fn new(
        channel: Arc<Channel>,
        options: SessionOptions,
        submitted: mpsc::UnboundedReceiver<Part>,
    ) -> Self {
        Self {
            channel,
            options,
            submitted,
            is_open: true,
            queued: VecDeque::new(),
            in_flight: VecDeque::new(),
            sequence: 0,
            has_answered: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        // Refused with a token that was new.
        let mut refusals = 0;
        while self.has_work().await {
            self.has_answered = false;
            let Ended::Lost(error) = self.call().await else { return };
            self.take_back(&error);
            if self.has_answered {
                (pause, refusals) = (PAUSE_MIN, 0);
            }
            if error.is_unauthenticated() {
                self.channel.forget_token().await;
                refusals += 1;
            }
            if !error.is_temporary() || refusals > 1 {
                self.fail_all(&error);
                continue;
            }
            tracing::debug!(%error, "a session of the ledger is begun again");
            if !self.queued.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Waits until there is something to send; `false`: there never will be.
    async fn has_work(&mut self) -> bool {
        while self.queued.is_empty() {
            match self.submitted.recv().await {
                Some(part) => self.queued.push_back(part),
                None => return false,
            }
            self.expire();
        }
        true
    }

    /// One call, from its head to its end.
    async fn call(&mut self) -> Ended {
        let channel = Arc::clone(&self.channel);
        let Some(latest) = self.earliest() else { return Ended::Finished };
        let Begun { mut requests, response } =
            match timeout_at(latest, channel.begin(SESSION, None)).await {
                Ok(Ok(begun)) => begun,
                Ok(Err(error)) => return Ended::Lost(error),
                Err(_) => return Ended::Lost(channel.unknown("connecting takes too long")),
            };
        let mut messages: Messages<SessionResponse> = Messages::new(channel.address(), response);
        let mut taken = Vec::new();
        loop {
            if let Err(error) = self.send(&mut requests) {
                return Ended::Lost(error);
            }
            let earliest = match self.earliest() {
                Some(earliest) => earliest,
                None if self.is_open => Instant::now() + self.options.deadline,
                None => {
                    // The call may have ended already.
                    drop(requests.send_data(Bytes::new(), true));
                    return Ended::Finished;
                }
            };
            select! {
                biased;
                answer = messages.next() => {
                    let answered = match answer {
                        Ok(Some(answer)) => self.answer(answer),
                        Ok(None) => Err(self.channel.unknown("the call ended")),
                        Err(error) => Err(error),
                    };
                    if let Err(error) = answered {
                        return Ended::Lost(error);
                    }
                }
                count = self.submitted.recv_many(&mut taken, TAKEN_MAX), if self.is_open => {
                    self.is_open = count > 0;
                    self.queued.extend(taken.drain(..));
                }
                () = sleep_until(earliest) => {
                    if self.expire() {
                        self.channel.forget_connection().await;
                        return Ended::Lost(self.channel.unknown("no answer until the deadline"));
                    }
                }
            }
        }
    }

    /// Makes frames of what is queued, and sends them in one piece.
    fn send(&mut self, requests: &mut SendStream<Bytes>) -> Result<(), GrpcError> {
        let mut out = BytesMut::new();
        while self.in_flight.len() < self.options.frames_in_flight_max {
            let Some(parts) = self.next_parts() else { break };
            self.sequence += 1;
            let transfers = match parts.as_slice() {
                [one] => one.records.clone(),
                parts => parts
                    .iter()
                    .flat_map(|part| &part.records[..])
                    .copied()
                    .collect::<Vec<_>>()
                    .into(),
            };
            let request = SessionRequest { sequence: self.sequence, transfers };
            frame::encode(&request, &mut out);
            self.in_flight.push_back(Frame { sequence: self.sequence, parts });
        }
        if out.is_empty() {
            return Ok(());
        }
        let sent = requests.send_data(out.freeze(), false);
        sent.map_err(|error| self.channel.unknown(error))
    }

    /// What goes in the next frame.
    fn next_parts(&mut self) -> Option<Vec<Part>> {
        let first = self.queued.pop_front()?;
        let (mut transfers, is_alone) = (first.transfers(), first.is_alone);
        let mut parts = vec![first];
        while !is_alone
            && let Some(next) = self.queued.front()
            && !next.is_alone
            && transfers + next.transfers() <= self.options.frame_transfers_max
            && let Some(next) = self.queued.pop_front()
        {
            transfers += next.transfers();
            parts.push(next);
        }
        Some(parts)
    }

    /// Hands out one answer. An error ends the call.
    fn answer(&mut self, answer: SessionResponse) -> Result<(), GrpcError> {
        let address = self.channel.address();
        let unexpected = |what: &str| GrpcError::unexpected(&address, what);
        let Some(frame) = self.in_flight.pop_front() else {
            return Err(unexpected("an answer to nothing"));
        };
        let sequence = frame.sequence;
        let answered = match answer.result {
            _ if answer.sequence != sequence => Err((frame, unexpected("another frame's answer"))),
            None => Err((frame, unexpected("an answer without a result"))),
            Some(Answer::Results(results)) => hand_out(frame, results)
                .map_err(|frame| (frame, unexpected("results of another number of transfers"))),
            Some(Answer::Error(status)) => self.refuse(frame, status),
        };
        match answered {
            Ok(()) => {
                self.has_answered = true;
                Ok(())
            }
            Err((frame, error)) => {
                self.in_flight.push_front(frame);
                Err(error)
            }
        }
    }

    /// A frame was refused as a whole. Where it had several parts, each is sent again by itself: nothing of it was done.
    fn refuse(&mut self, mut frame: Frame, status: Status) -> Result<(), (Frame, GrpcError)> {
        let error = GrpcError::Refused(Box::new(status));
        if error.is_temporary() {
            return Err((frame, error));
        }
        if let [only] = frame.parts.as_mut_slice() {
            only.end(Err(error));
            return Ok(());
        }
        for mut part in frame.parts.into_iter().rev().filter(|part| part.answer.is_some()) {
            part.is_alone = true;
            self.queued.push_front(part);
        }
        Ok(())
    }

    /// The call is lost: what has no answer is sent again in the next one.
    fn take_back(&mut self, error: &GrpcError) {
        // Before a server refuses a token it answers what it took with another.
        let may_have_happened = !error.is_unauthenticated();
        while let Some(frame) = self.in_flight.pop_back() {
            for mut part in frame.parts.into_iter().rev().filter(|part| part.answer.is_some()) {
                part.may_have_happened |= may_have_happened;
                self.queued.push_front(part);
            }
        }
        self.expire();
    }

    /// Tells those whose time is over. `true`: nothing of the oldest frame can be answered in time any more.
    fn expire(&mut self) -> bool {
        let now = Instant::now();
        let address = self.channel.address();
        let late = |may_have_happened: bool| match may_have_happened {
            true => GrpcError::unknown(&address, "no answer until the deadline"),
            false => GrpcError::not_sent(&address, "no connection until the deadline"),
        };
        for part in self.queued.iter_mut().filter(|part| part.latest <= now) {
            part.end(Err(late(part.may_have_happened)));
        }
        self.queued.retain(|part| part.answer.is_some());
        let sent = self.in_flight.iter_mut().flat_map(|frame| &mut frame.parts);
        for part in sent.filter(|part| part.latest <= now) {
            part.end(Err(late(true)));
        }
        let oldest = self.in_flight.front();
        oldest.is_some_and(|frame| frame.parts.iter().all(|part| part.answer.is_none()))
    }

    /// When the next one's time is over.
    fn earliest(&self) -> Option<Instant> {
        let sent = self.in_flight.iter().flat_map(|frame| &frame.parts);
        let sent = sent.filter(|part| part.answer.is_some()).map(|part| part.latest).next();
        let queued = self.queued.front().map(|part| part.latest);
        sent.into_iter().chain(queued).min()
    }

    /// No further call will go better.
    fn fail_all(&mut self, error: &GrpcError) {
        let address = self.channel.address();
        for mut part in self.queued.drain(..) {
            part.end(Err(match error {
                error if part.may_have_happened => GrpcError::unknown(&address, error),
                GrpcError::Refused(status) => GrpcError::Refused(status.clone()),
                error => GrpcError::not_sent(&address, error),
            }));
        }
    }
}

/// Each part gets its results; the frame is given back where these are not its.
fn hand_out(mut frame: Frame, mut results: Bytes) -> Result<(), Frame> {
    let transfers: usize = frame.parts.iter().map(Part::transfers).sum();
    if results.len() != transfers * outcome::BYTES {
        return Err(frame);
    }
    for part in &mut frame.parts {
        let own = results.split_to(part.transfers() * outcome::BYTES);
        part.end(Ok(Outcomes(own)));
    }
    Ok(())
}
