//! Serves the HTTP/1 requests of one connection.
//!
//! The library keeps buffers of 8 KiB each way for as long as a connection lives. Most connections wait for their next request
//! most of the time, so the library is let go of then, and only the socket and what the wire gate knows are kept.

use std::{
    cell::Cell,
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use lombard_chassis::CancellationToken;
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    body::ResponseBody,
    connection::Http1Stream,
    handle::{Peer, handle},
    worker::Worker,
};

/// How long a connection is quiet before the library is let go of: so long that a client that asks again at once costs nothing
/// more, and so short that thousands who do not ask hold no buffers.
const QUIET: Duration = Duration::from_millis(200);
/// How often a connection is looked at whose answer takes long.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(1600);

/// Why the library does not serve a connection any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It has ended.
    Ended,
    /// It waits for its next request.
    Quiet,
}

/// Since when no request is under way. Bytes that are no whole head win no time.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// How many there were.
    requests: u64,
    since: Instant,
}

/// Serves until the client ends the connection, or until what is under way is finished after `drain`.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    stream: &Http1Stream,
    peer: &Rc<Peer>,
    drain: &CancellationToken,
) -> hyper::Result<()> {
    let mut waiting = Waiting { requests: 0, since: Instant::now() };
    loop {
        // Apart, so that it takes no memory while nobody asks.
        let serving = Box::pin(serve_until_quiet(worker, stream, peer, drain, &mut waiting));
        if serving.await? == Left::Ended {
            return Ok(());
        }
        let _waiting = worker.shared.metrics.waiting();
        let end = waiting.since + worker.config.head_timeout();
        let readable = timeout_at(end, poll_fn(|cx| stream.poll_readable(cx)));
        tokio::select! {
            readable = readable => match readable {
                Ok(Ok(())) => {}
                // It is gone, or was quiet for too long.
                Ok(Err(_)) | Err(_) => return Ok(()),
            },
            () = drain.cancelled() => return Ok(()),
        }
    }
}

async fn serve_until_quiet(
    worker: &Rc<Worker>,
    stream: &Http1Stream,
    peer: &Rc<Peer>,
    drain: &CancellationToken,
    waiting: &mut Waiting,
) -> hyper::Result<Left> {
    let open = Rc::new(Cell::new(0));
    let service = service_fn(|request: Request<Incoming>| {
        let (worker, peer) = (Rc::clone(worker), Rc::clone(peer));
        let (refusal, connection) = (stream.of_next_request(), stream.clone());
        let answering = Open::one_more(&open);
        async move {
            let response = handle(&worker, &peer, refusal, Some(connection), request).await;
            Ok::<_, Infallible>(response.map(|body| OpenBody { body, _answering: answering }))
        }
    });
    // How long a head takes is looked at below: the library would make a timer for each.
    let connection = http1::Builder::new()
        .max_headers(worker.config.headers_max)
        .max_buf_size(worker.config.head_bytes_max)
        .serve_connection(TokioIo::new(stream.clone()), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let head_timeout = worker.config.head_timeout();
    let shortest = QUIET.min(head_timeout);
    let mut every = shortest;
    let mut look = pin!(sleep(every));
    let mut before = None;
    // Whether the role ends is looked at as well: to be told would cost something each time that the connection is polled.
    while !drain.is_cancelled() {
        tokio::select! {
            biased;
            served = &mut connection => return served.map(|()| Left::Ended),
            () = &mut look => {}
        }
        let now = Instant::now();
        let requests = stream.requests();
        if open.get() > 0 || requests != waiting.requests {
            every = if requests == waiting.requests {
                (every * 2).min(LOOK_EVERY_MAX)
            } else {
                shortest
            };
            *waiting = Waiting { requests, since: now };
            before = None;
        } else if now.duration_since(waiting.since) >= head_timeout {
            return Ok(Left::Ended);
        } else {
            every = shortest;
            let between = stream.between_requests();
            if between.is_some() && between == before {
                return Ok(Left::Quiet);
            }
            before = between;
        }
        look.as_mut().reset(now + every);
    }
    connection.as_mut().graceful_shutdown();
    connection.await.map(|()| Left::Ended)
}

/// Counts a request as open until its answer is handed over.
#[derive(Debug)]
struct Open(Rc<Cell<usize>>);

impl Open {
    fn one_more(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A response's body whose request is open until the library has all of it.
struct OpenBody {
    body: ResponseBody,
    _answering: Open,
}

impl Body for OpenBody {
    type Data = <ResponseBody as Body>::Data;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
