//! `GET`: the status says it. The body is not read, and a redirect is a status like others.

use axum::http::{Request, header};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lombard_registry_core::{Failure, Outcome};
use tokio::net::TcpStream;

use super::ask;

/// What of an answer's head is read.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
const USER_AGENT: &str = concat!("lombard-registry/", env!("CARGO_PKG_VERSION"));

pub(super) async fn ask(
    stream: TcpStream,
    authority: &str,
    path: &str,
) -> Result<Outcome, Failure> {
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| Failure::Malformed)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failure(&error))?;
    let exchange = async { sender.send_request(request).await.map(|answer| answer.status()) };
    let status = ask::over(connection, exchange).await.map_err(|error| failure(&error))?;
    Ok(match status.as_u16() {
        200..=299 => Outcome::Passing,
        429 => Outcome::Warning,
        status => Outcome::Failed(Failure::Status(status)),
    })
}

fn failure(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Malformed } else { Failure::Broken }
}
