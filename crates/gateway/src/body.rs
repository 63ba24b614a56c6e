//! Bodies, streamed both ways: nothing is kept here but what is known of their progress.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use crate::{
    cluster::{Admitted, Busy},
    limits::Running,
    metrics::InFlight,
    pool::Returning,
};

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

/// Why a body that was to be read whole is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// The client stopped sending.
    Stalled,
    Body(RequestBodyError),
}

/// Reads a body to its end. `timeout`: how long it may stand still.
pub(crate) async fn read_whole(
    mut body: RequestBody,
    timeout: Duration,
) -> Result<Bytes, ReadError> {
    let mut whole = BytesMut::new();
    loop {
        match tokio::time::timeout(timeout, body.frame()).await {
            Err(_) => return Err(ReadError::Stalled),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(Err(error))) => return Err(ReadError::Body(error)),
            Ok(Some(Ok(frame))) => {
                // Trailers are left out already.
                if let Ok(data) = frame.into_data() {
                    whole.extend_from_slice(&data);
                }
            }
        }
    }
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
    source: Source,
    bytes_left: u64,
    progress: Rc<Progress>,
}

/// Where a body comes from.
#[derive(Debug)]
enum Source {
    /// The client, while it is sent.
    Stream(Incoming),
    /// It is here whole. `None` once it was taken; an empty one is taken from the start.
    Whole(Option<Bytes>),
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, bytes_max: u64) -> Self {
        let source =
            if inner.is_end_stream() { Source::Whole(None) } else { Source::Stream(inner) };
        Self { source, bytes_left: bytes_max, progress: Rc::new(Progress::new()) }
    }

    /// A body that is here whole.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        let source = Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()));
        Self { source, bytes_left: 0, progress: Rc::new(Progress::new()) }
    }

    /// All of it, where it is here whole and nothing of it was taken.
    pub(crate) fn whole_bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Stream(_) => None,
            Source::Whole(bytes) => Some(bytes.as_deref().unwrap_or_default()),
        }
    }

    /// All of it, to be sent once more, where it is here whole and nothing of it was taken.
    pub(crate) fn kept(&self) -> Option<Bytes> {
        match &self.source {
            Source::Stream(_) => None,
            Source::Whole(bytes) => Some(bytes.clone().unwrap_or_default()),
        }
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
        let inner = match &mut self.source {
            Source::Stream(inner) => inner,
            Source::Whole(bytes) => {
                return Poll::Ready(bytes.take().map(|all| Ok(Frame::data(all))));
            }
        };
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
        match &self.source {
            Source::Stream(inner) => inner.is_end_stream(),
            Source::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Stream(inner) => inner.size_hint(),
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, length)),
        }
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
    /// Something that was read already, and the rest.
    Continued { first: Option<Bytes>, rest: UpstreamBody },
}

impl ResponseBody {
    /// The body again with what was read of it. The gateway's own is never read in part.
    pub(crate) fn after(self, first: Bytes) -> Self {
        match self {
            Self::Upstream(rest) if !first.is_empty() => {
                Self::Continued { first: Some(first), rest }
            }
            other => other,
        }
    }
}

/// What counts a request as under way, until its response has ended.
#[derive(Debug)]
pub(crate) struct UnderWay {
    pub(crate) _in_flight: InFlight,
    pub(crate) _admitted: Admitted,
    pub(crate) _running: Vec<Running>,
}

/// A body that, once it has ended, gives its connection back to the pool. Dropped before, the connection is closed.
#[derive(Debug)]
pub(crate) struct UpstreamBody {
    inner: Incoming,
    returning: Option<Returning>,
    /// Counted as busy until the last byte.
    _busy: Busy,
    _under_way: Option<UnderWay>,
}

impl UpstreamBody {
    pub(crate) fn new(
        inner: Incoming,
        returning: Option<Returning>,
        busy: Busy,
        under_way: Option<UnderWay>,
    ) -> Self {
        let mut body = Self { inner, returning, _busy: busy, _under_way: under_way };
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
            Self::Continued { first, rest } => match first.take() {
                Some(first) => return Poll::Ready(Some(Ok(Frame::data(first)))),
                None => rest,
            },
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
            Self::Continued { first, rest } => first.is_none() && rest.inner.is_end_stream(),
            Self::Upstream(body) => body.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Continued { first, rest } => {
                let mut hint = rest.inner.size_hint();
                let read = first.as_ref().map_or(0, length);
                // The library knows what is left of a body with a length.
                match hint.exact() {
                    Some(exact) => hint.set_exact(exact.saturating_add(read)),
                    None => hint.set_lower(hint.lower().saturating_add(read)),
                }
                hint
            }
            Self::Upstream(body) => body.inner.size_hint(),
        }
    }
}
