//! Bad clients, limits, and the end.

use bytes::Bytes;
use http::Request;
use lombard_client::grpc::{GrpcError, v1::SubscribeRequest};
use lombard_eventstore::Config;
use tokio::net::TcpStream;

use super::append;
use crate::support::TestServer;

async fn connect(server: &TestServer) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(server: &TestServer, path: &str) -> http::request::Builder {
    Request::post(format!("http://{}{path}", server.address))
        .header("content-type", "application/grpc")
        .header("authorization", format!("Bearer {}", server.token("events:append")))
}

const APPEND: &str = "/lombard.eventstore.v1.EventStore/Append";

/// The status of a call, from its trailers or from its head.
async fn status(server: &TestServer, request: Request<()>, body: &'static [u8]) -> (u16, String) {
    let sender = connect(server).await;
    let mut sender = sender.ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request, false).unwrap();
    stream.send_data(Bytes::from_static(body), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    if let Some(status) = head.headers.get("grpc-status") {
        return (head.status.as_u16(), status.to_str().unwrap().to_owned());
    }
    while let Some(chunk) = body.data().await {
        chunk.unwrap();
    }
    let trailers = body.trailers().await.unwrap().unwrap_or_default();
    let status = trailers.get("grpc-status").map_or("", |status| status.to_str().unwrap());
    (head.status.as_u16(), status.to_owned())
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let server = TestServer::new();
    for (body, code) in [
        (&b"\x00\x00\x00\x00\x03\x01\x02"[..], "3"),
        (b"\x00\x00\x00\x00\x02\xff\xff", "3"),
        (b"\x01\x00\x00\x00\x00", "12"),
        (b"\x07\x00\x00\x00\x00", "3"),
        (b"", "3"),
        (b"\x00\x00\x00\x00\x00", "3"),
    ] {
        let call = request(&server, APPEND).body(()).unwrap();
        assert_eq!(status(&server, call, body).await, (200, code.to_owned()), "{body:?}");
    }
    let malformed = request(&server, APPEND).header("grpc-timeout", "soon").body(()).unwrap();
    assert_eq!(status(&server, malformed, b"\x00\x00\x00\x00\x00").await.1, "3");
    let compressed = request(&server, APPEND).header("grpc-encoding", "gzip").body(()).unwrap();
    assert_eq!(status(&server, compressed, b"\x00\x00\x00\x00\x00").await.1, "12");
    let no_grpc = Request::post(format!("http://{}{APPEND}", server.address)).body(()).unwrap();
    assert_eq!(status(&server, no_grpc, b"").await.0, 415);
}

#[tokio::test]
async fn limits_are_said() {
    let mut config = Config::default();
    config.grpc.message_bytes_max = 1024;
    config.batch_events_max = 3;
    let server = TestServer::with(config);
    let client = server.own_client();
    let refused = client.append(&append("payment-1", 0..4)).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("too-many-events"), "{refused}");
    let refused = client.append(&append("payment-1", 0..50)).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("body-too-large"), "{refused}");
    client.append(&append("payment-1", 0..3)).await.unwrap();
}

/// CVE-2023-44487: calls that are begun and cancelled as fast as a client can.
#[tokio::test]
async fn a_client_that_resets_without_end_loses_its_connection() {
    let server = TestServer::new();
    let mut sender = connect(&server).await;
    let mut begun = 0;
    while begun < 100_000 {
        let Ok(ready) = sender.clone().ready().await else { break };
        sender = ready;
        let call = request(&server, APPEND).body(()).unwrap();
        let Ok((_, mut stream)) = sender.send_request(call, false) else { break };
        stream.send_reset(h2::Reason::CANCEL);
        begun += 1;
        if begun % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(begun < 100_000, "the connection was never closed");
    server.own_client().append(&append("payment-1", 0..1)).await.unwrap();
}

#[tokio::test]
async fn the_drain_ends_what_has_no_end_and_finishes_the_rest() {
    let server = TestServer::new();
    let client = server.own_client();
    client.append(&append("payment-1", 0..1)).await.unwrap();
    let mut subscription = client.subscribe(SubscribeRequest::default());
    subscription.next().await.unwrap();
    server.stop().await;
    let client = client.deadline(std::time::Duration::ZERO);
    let refused = client.append(&append("payment-1", 1..2)).await.unwrap_err();
    assert!(
        matches!(refused, GrpcError::NotSent { .. } | GrpcError::OutcomeUnknown { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let server = TestServer::new();
    server.own_client().append(&append("payment-1", 0..1)).await.unwrap();
    server.own_client_with("events:read").append(&append("payment-1", 1..2)).await.unwrap_err();
    let text = server.metrics.encode().unwrap();
    let lines: Vec<_> =
        text.lines().filter(|line| line.contains("grpc") && line.contains("Append")).collect();
    assert!(lines.iter().any(|line| line.ends_with(" 1")), "{lines:?}");
}
