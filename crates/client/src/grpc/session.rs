//! Many appends under way on one call.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use lombard_proto::{
    eventstore::v1::{
        AppendRequest, AppendResponse, AppendSessionRequest, AppendSessionResponse,
        append_session_response::Result as Answer,
    },
    frame,
};
use tokio::{
    select,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
};

use super::{
    APPEND_SESSION, GrpcError,
    call::Messages,
    channel::{Begun, Channel},
};

/// Appends that are taken to be sent together, at most.
const TAKEN_MAX: usize = 256;

/// A session of appends. They are done, and answered, in the order in which they were sent. Cheap to clone; it ends when
/// the last clone is dropped and everything is answered.
#[derive(Clone)]
pub struct AppendSession {
    requests: mpsc::UnboundedSender<Asked>,
    places: Arc<Semaphore>,
    address: Arc<str>,
}

impl fmt::Debug for AppendSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppendSession").field("address", &self.address).finish_non_exhaustive()
    }
}

struct Asked {
    append: AppendRequest,
    waiting: Waiting,
}

/// Who waits for an answer, and the place that it takes meanwhile.
struct Waiting {
    answer: oneshot::Sender<Result<AppendResponse, GrpcError>>,
    _place: OwnedSemaphorePermit,
}

/// The answer to one append of a session, to be awaited. It is under way whether or not this is.
#[derive(Debug)]
pub struct Appending {
    answer: oneshot::Receiver<Result<AppendResponse, GrpcError>>,
    address: Arc<str>,
}

impl Future for Appending {
    type Output = Result<AppendResponse, GrpcError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.answer).poll(cx);
        let lost = || GrpcError::unknown(&self.address, "the session ended");
        answer.map(|answer| answer.unwrap_or_else(|_| Err(lost())))
    }
}

impl AppendSession {
    pub(super) async fn start(channel: &Channel, in_flight_max: usize) -> Result<Self, GrpcError> {
        let Begun { requests, response } = channel.begin(APPEND_SESSION, None).await?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let messages = Messages::new(channel.address(), response);
        let run =
            Run { asked: receiver, requests, messages, waiting: VecDeque::new(), sequence: 0 };
        tokio::spawn(run.run());
        let places = Arc::new(Semaphore::new(in_flight_max.max(1)));
        Ok(Self { requests: sender, places, address: channel.address().into() })
    }

    /// Sends an append as soon as fewer are in flight than the limit, and answers what to await.
    pub async fn append(&self, append: AppendRequest) -> Result<Appending, GrpcError> {
        let gone = || GrpcError::not_sent(&self.address, "the session has ended");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| gone())?;
        let (answer, waited) = oneshot::channel();
        let asked = Asked { append, waiting: Waiting { answer, _place: place } };
        self.requests.send(asked).map_err(|_| gone())?;
        Ok(Appending { answer: waited, address: Arc::clone(&self.address) })
    }
}

struct Run {
    asked: mpsc::UnboundedReceiver<Asked>,
    requests: SendStream<Bytes>,
    messages: Messages<AppendSessionResponse>,
    /// In the order of the requests, which is that of the answers; the first has the sequence number `answered`.
    waiting: VecDeque<(u64, Waiting)>,
    sequence: u64,
}

impl Run {
    /// Ends when everything that was asked for is answered and nobody can ask any more, or the call has ended. Those who
    /// still wait then are told by the drop of what they wait for.
    async fn run(mut self) {
        let mut taken = Vec::with_capacity(TAKEN_MAX);
        let mut is_open = true;
        while is_open || !self.waiting.is_empty() {
            select! {
                biased;
                answer = self.messages.next() => match answer {
                    Ok(Some(answer)) => {
                        if !self.answer(answer) {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => {
                        if let Some((_, first)) = self.waiting.pop_front() {
                            drop(first.answer.send(Err(error)));
                        }
                        return;
                    }
                },
                count = self.asked.recv_many(&mut taken, TAKEN_MAX), if is_open => {
                    is_open = count > 0;
                    if !self.send(&mut taken, !is_open) {
                        return;
                    }
                }
            }
        }
    }

    /// Sends what was taken in one piece. `false`: the call has ended.
    fn send(&mut self, taken: &mut Vec<Asked>, is_last: bool) -> bool {
        let mut out = BytesMut::new();
        for Asked { append, waiting } in taken.drain(..) {
            let request = AppendSessionRequest { sequence: self.sequence, append: Some(append) };
            frame::encode(&request, &mut out);
            self.waiting.push_back((self.sequence, waiting));
            self.sequence += 1;
        }
        self.requests.send_data(out.freeze(), is_last).is_ok()
    }

    /// `false`: it answers nothing that was asked.
    fn answer(&mut self, answer: AppendSessionResponse) -> bool {
        let Some((sequence, waiting)) = self.waiting.pop_front() else { return false };
        let answered = match answer.result {
            Some(Answer::Appended(appended)) if answer.sequence == sequence => Ok(appended),
            Some(Answer::Error(status)) if answer.sequence == sequence => {
                Err(GrpcError::Refused(Box::new(status)))
            }
            _ => return false,
        };
        // Who asked may have gone away.
        drop(waiting.answer.send(answered));
        true
    }
}
