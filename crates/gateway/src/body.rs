//! Bodies, streamed both ways: nothing is kept here but what is known of their progress.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{endpoints::Busy, metrics::InFlight, pool::Returning};

/// Why a request's body is not passed on to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestBodyError {
    /// Over the limit.
    #[error("the body is over the limit")]
    TooLarge,
    /// The client broke off, or sent chunks that are not beyond doubt.
    #[error("the body did not arrive whole")]
    Incomplete,
}

/// What the sender of a request knows of its body while the connection has it.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the last part of it was taken.
    pub(crate) last: Cell<Instant>,
    /// Whether the client is asked for more right now.
    pub(crate) is_waiting: Cell<bool>,
    pub(crate) error: Cell<Option<RequestBodyError>>,
}

/// A request's body on its way to an upstream, at most as long as the limit. Trailers are left out.
#[derive(Debug)]
pub(crate) struct RequestBody {
    inner: Option<Incoming>,
    bytes_left: u64,
    progress: Rc<Progress>,
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, bytes_max: u64) -> Self {
        Self { inner: Some(inner), bytes_left: bytes_max, progress: Rc::new(Progress::new()) }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self { inner: None, bytes_left: 0, progress: Rc::new(Progress::new()) }
    }

    pub(crate) fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    fn fail(
        &mut self,
        error: RequestBodyError,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        self.progress.error.set(Some(error));
        Poll::Ready(Some(Err(error)))
    }
}

impl Progress {
    fn new() -> Self {
        Self {
            last: Cell::new(Instant::now()),
            is_waiting: Cell::new(false),
            error: Cell::new(None),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(cx);
        self.progress.is_waiting.set(polled.is_pending());
        if polled.is_ready() {
            self.progress.last.set(Instant::now());
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => match self.bytes_left.checked_sub(length(&data)) {
                    Some(left) => {
                        self.bytes_left = left;
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    None => self.fail(RequestBodyError::TooLarge),
                },
                // Trailers are the last frame.
                Err(_) => Poll::Ready(None),
            },
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a request's body broke off");
                self.fail(RequestBodyError::Incomplete)
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

fn length(data: &Bytes) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

/// A response's body on its way to the client.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// The gateway's own.
    Own(Full<Bytes>),
    /// An upstream's.
    Upstream(UpstreamBody),
}

/// A body that, once it has ended, gives its connection back to the pool. Dropped before, the connection is closed.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    inner: Incoming,
    returning: Option<Returning>,
    /// Counted as busy until the last byte.
    _busy: Busy,
    _in_flight: InFlight,
}

impl UpstreamBody {
    pub(crate) fn new(
        inner: Incoming,
        returning: Returning,
        busy: Busy,
        in_flight: InFlight,
    ) -> Self {
        let mut body =
            Self { inner, returning: Some(returning), _busy: busy, _in_flight: in_flight };
        body.check_end();
        body
    }

    fn check_end(&mut self) {
        if self.inner.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(returning) = self.returning.take() {
            returning.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let body = match self.get_mut() {
            Self::Own(body) => {
                return Pin::new(body).poll_frame(cx).map_err(|never| match never {});
            }
            Self::Upstream(body) => body,
        };
        let polled = Pin::new(&mut body.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(None) => body.end(),
            Poll::Ready(Some(Ok(_))) => body.check_end(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Upstream(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Upstream(body) => body.inner.size_hint(),
        }
    }
}
