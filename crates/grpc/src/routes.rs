//! Which function answers which method.

use std::{collections::BTreeMap, fmt, future::poll_fn, sync::Arc, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use h2::RecvStream;
use lombard_chassis::{Problem, ProblemType};
use lombard_token::Claims;
use prost::Message;
use tokio::time::Instant;

use crate::{
    Call, Incoming, Outgoing,
    metrics::{GrpcMetrics, MethodMetrics},
    outgoing::Sink,
};

/// A method of a service.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// What a caller is told whose deadline passes first: that the outcome is unknown, or that nothing happened.
    pub when_late: &'static ProblemType,
}

/// How a handler ended: well, with a problem to be told, or with nobody there to be told.
pub(crate) enum Ended {
    Well,
    Problem(Problem),
    Gone,
}

/// What a call brings along, beside its metadata.
pub(crate) struct Exchange {
    pub(crate) body: RecvStream,
    pub(crate) sink: Sink,
    pub(crate) message_bytes_max: usize,
    /// The longest that a call with one answer may take.
    pub(crate) call_max: Duration,
}

type Handler = dyn Fn(Call, Exchange) -> BoxFuture<'static, (Ended, Sink)> + Send + Sync;

/// One method, ready to be called.
pub(crate) struct Route {
    pub(crate) handler: Box<Handler>,
    pub(crate) metrics: MethodMetrics,
}

/// The methods of a server.
#[derive(Default)]
pub struct Routes {
    handlers: BTreeMap<&'static str, Box<Handler>>,
    local_caller: Option<Claims>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.handlers.keys()).finish()
    }
}

impl Routes {
    /// No method yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a program on this machine that sends no token for a caller with these claims, which never expire. Without this,
    /// nobody is served without a token.
    #[must_use]
    pub fn with_local_caller(mut self, claims: Claims) -> Self {
        self.local_caller = Some(claims);
        self
    }

    pub(crate) const fn local_caller(&self) -> Option<&Claims> {
        self.local_caller.as_ref()
    }

    /// A method with one request and one answer. It is awaited at most until the caller's deadline, or as long as the
    /// server's limit for a call.
    #[must_use]
    pub fn unary<Q, A, F, Fut>(mut self, method: Method, handler: F) -> Self
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
        F: Fn(Call, Q) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let handler: Box<Handler> = Box::new(move |call, exchange| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let Exchange { body, mut sink, message_bytes_max, call_max } = exchange;
                let latest = Instant::now() + call_max;
                let deadline = call.deadline.map_or(latest, |deadline| deadline.min(latest));
                let mut incoming = Incoming::<Q>::new(body, message_bytes_max);
                let answered = async {
                    let request = incoming.only().await?;
                    handler(call, request).await
                };
                let answered = until(deadline, answered).await;
                let ended = match answered.unwrap_or_else(|_| Err(Problem::new(method.when_late))) {
                    Ok(answer) => {
                        sink.push(&answer);
                        Ended::Well
                    }
                    Err(problem) => Ended::Problem(problem),
                };
                (ended, sink)
            })
        });
        self.handlers.insert(method.path, handler);
        self
    }

    /// A method with one request and any number of answers. Without a deadline of the caller it takes as long as it
    /// takes.
    #[must_use]
    pub fn server_stream<Q, A, F>(self, method: Method, handler: F) -> Self
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
        F: for<'a> Fn(Call, Q, &'a mut Outgoing<A>) -> BoxFuture<'a, Result<(), Option<Problem>>>
            + Send
            + Sync
            + 'static,
    {
        let handler = Arc::new(handler);
        self.bidi(method, move |call, mut incoming: Incoming<Q>, outgoing| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let request = incoming.only().await?;
                handler(call, request, outgoing).await
            })
        })
    }

    /// A method with any number of requests and answers. The error `None` means that the client has gone away: nobody
    /// is there to be told anything. Without a deadline of the caller it takes as long as it takes.
    #[must_use]
    pub fn bidi<Q, A, F>(mut self, method: Method, handler: F) -> Self
    where
        Q: Message + Default + 'static,
        A: Message + 'static,
        F: for<'a> Fn(
                Call,
                Incoming<Q>,
                &'a mut Outgoing<A>,
            ) -> BoxFuture<'a, Result<(), Option<Problem>>>
            + Send
            + Sync
            + 'static,
    {
        let handler = Arc::new(handler);
        let handler: Box<Handler> = Box::new(move |call, exchange| {
            let handler = Arc::clone(&handler);
            Box::pin(async move {
                let Exchange { body, sink, message_bytes_max, .. } = exchange;
                let deadline = call.deadline;
                let incoming = Incoming::new(body, message_bytes_max);
                let mut outgoing = Outgoing::new(sink);
                let handling = handler(call, incoming, &mut outgoing);
                let ended = match deadline {
                    Some(deadline) => until(deadline, handling).await,
                    None => Ok(handling.await),
                };
                let ended = match ended {
                    Ok(Ok(())) => Ended::Well,
                    Ok(Err(Some(problem))) => Ended::Problem(problem),
                    Ok(Err(None)) => Ended::Gone,
                    Err(_) => Ended::Problem(Problem::new(method.when_late)),
                };
                (ended, outgoing.into_sink())
            })
        });
        self.handlers.insert(method.path, handler);
        self
    }

    /// The same methods, with the counters of each.
    pub(crate) fn finish(self, metrics: &GrpcMetrics) -> BTreeMap<&'static str, Route> {
        let route = |(path, handler)| (path, Route { handler, metrics: metrics.of_method(path) });
        self.handlers.into_iter().map(route).collect()
    }
}

/// Awaits `future` until `deadline`. What is ready at once needs no timer.
async fn until<T>(
    deadline: Instant,
    future: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    let mut future = std::pin::pin!(future);
    let first = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
    match first {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => tokio::time::timeout_at(deadline, future).await,
    }
}

/// A call as HTTP/2 gives it: its head with what follows, and where the answer goes.
pub(crate) type Accepted = (http::Request<RecvStream>, h2::server::SendResponse<Bytes>);
