//! WebSocket and the like: after the upgrade (RFC 9110 section 7.8), bytes are passed both ways until one side ends, or
//! nothing has moved for too long.

use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::body::UpstreamBody;

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const BUFFER_BYTES: usize = 8192;

/// Whether a request asks for a WebSocket (RFC 6455 section 4.1). Other protocols are not passed on.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let has_token = |name: HeaderName, token: &str| {
        let values = request.headers().get_all(name);
        values
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|each| each.trim().eq_ignore_ascii_case(token)))
    };
    *request.method() == Method::GET
        && request.version() == http::Version::HTTP_11
        && has_token(header::UPGRADE, "websocket")
        && has_token(header::CONNECTION, "upgrade")
}

/// Says of a message that it is about the upgrade; such headers never cross by themselves.
pub(crate) fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, WEBSOCKET);
}

/// Passes bytes between both sides. The request counts as under way until the end.
pub(crate) async fn run(
    client: OnUpgrade,
    upstream: OnUpgrade,
    counted: UpstreamBody,
    idle: Duration,
) {
    let sides = async { futures_util::future::try_join(client, upstream).await };
    let (client, upstream) = match sides.await {
        Ok(sides) => sides,
        Err(error) => {
            tracing::debug!(%error, "an upgrade did not take place");
            return;
        }
    };
    if let Err(error) = relay(TokioIo::new(client), TokioIo::new(upstream), idle).await {
        tracing::debug!(%error, "a tunnel broke off");
    }
    drop(counted);
}

async fn relay(
    client: impl AsyncRead + AsyncWrite,
    upstream: impl AsyncRead + AsyncWrite,
    idle: Duration,
) -> io::Result<()> {
    let (client_reader, client_writer) = tokio::io::split(client);
    let (upstream_reader, upstream_writer) = tokio::io::split(upstream);
    let last = Cell::new(Instant::now());
    let both = async {
        futures_util::future::try_join(
            pump(client_reader, upstream_writer, &last),
            pump(upstream_reader, client_writer, &last),
        )
        .await
    };
    tokio::select! {
        passed = both => passed.map(|_| ()),
        () = stands_still(&last, idle) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    last: &Cell<Instant>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        last.set(Instant::now());
    }
}

async fn stands_still(last: &Cell<Instant>, idle: Duration) {
    loop {
        let rest = idle.saturating_sub(last.get().elapsed());
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest).await;
    }
}
