//! HTTP/2: by a library, and frame by frame where a library would not send it.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    frames::{
        CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
        SETTINGS, field, frame, request,
    },
    support::{World, config},
};

async fn connect(world: &World) -> SendRequest<Full<bytes::Bytes>> {
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender
}

async fn body(response: http::Response<hyper::body::Incoming>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn requests_in_clear_text_with_prior_knowledge() {
    let world = World::start().await;
    let mut sender = connect(&world).await;
    let request = Request::post("http://lombard.example/oauth/token?x=1")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-lombard-client", "forged")
        .body(Full::from("body"))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let got = body(response).await;
    assert_eq!((&got["target"], &got["body_bytes"]), (&"/oauth/token?x=1".into(), &4.into()));
    assert_eq!(got["headers"]["x-forwarded-host"], "lombard.example");
    assert_eq!(got["headers"]["cookie"], "a=1; b=2");
    assert!(got["headers"].get("x-lombard-client").is_none());
    // Several at once on the same connection.
    let asked = (0..50).map(|_| {
        let request =
            Request::get("http://lombard.example/oauth/token").body(Full::default()).unwrap();
        sender.send_request(request)
    });
    for response in futures_util::future::join_all(asked).await {
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn routes_go_by_the_authority() {
    let world = World::with(config(
        "
        [[route]]
        name = \"host\"
        host = \"api.example.com\"
        prefix = \"/\"
        upstream = \"auth\"
        auth = \"none\"
        ",
    ))
    .await;
    let mut sender = connect(&world).await;
    let ask = |uri: &str| Request::get(uri).body(Full::default()).unwrap();
    let response = sender.send_request(ask("http://api.example.com/any")).await.unwrap();
    assert_eq!(response.status(), 200);
    let response = sender.send_request(ask("http://other.example.com/any")).await.unwrap();
    assert_ne!(response.status(), 200);
}

#[tokio::test]
async fn a_drain_says_goaway_and_finishes_what_is_there() {
    let world = World::start().await;
    let mut sender = connect(&world).await;
    let response = sender
        .send_request(Request::get("http://a/oauth/token").body(Full::default()).unwrap())
        .await
        .unwrap();
    world.drain.cancel();
    assert_eq!(body(response).await["upstream"], "roles");
    // The connection ends by itself.
    while !sender.is_closed() {
        tokio::task::yield_now().await;
    }
}

/// Sends bytes, and says what came back: the kinds of frames with their stream, and whether the gateway closed.
async fn exchange(world: &World, frames: &[Vec<u8>]) -> (Vec<(u8, u32, Vec<u8>)>, bool) {
    let (mut reader, mut writer) = TcpStream::connect(world.address).await.unwrap().into_split();
    let bytes = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
    let frames = frames.concat();
    let writing = tokio::spawn(async move {
        // The gateway may close before all is sent.
        drop(writer.write_all(&bytes).await);
        drop(writer.write_all(&frames).await);
        writer
    });
    let mut got = Vec::new();
    let is_closed = loop {
        let mut head = [0; 9];
        // What is still open after a while stays so.
        match tokio::time::timeout(Duration::from_secs(2), reader.read_exact(&mut head)).await {
            Err(_) => break false,
            Ok(Err(_)) => break true,
            Ok(Ok(_)) => {}
        }
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let mut payload =
            vec![0; usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)];
        if reader.read_exact(&mut payload).await.is_err() {
            break true;
        }
        let stream = u32::from_be_bytes(stream);
        got.push((kind, stream, payload));
        // The answer to the first request, or its end, is all that is waited for.
        if stream == 1 && (kind == RST_STREAM || flags & END_STREAM != 0) {
            break false;
        }
    };
    drop(writing);
    (got, is_closed)
}

#[tokio::test]
async fn what_would_be_another_request_in_http_1_is_refused() {
    let world = World::start().await;
    for extra in [
        &[("transfer-encoding", "chunked")][..],
        &[("connection", "close")],
        &[("keep-alive", "1")],
        &[("upgrade", "h2c")],
        &[("te", "gzip")],
        &[("content-length", "5")],
        &[("content-length", "0"), ("content-length", "1")],
        &[("content-length", "+0")],
        &[("X-Upper", "a")],
        &[("x y", "a")],
        &[("x:y", "a")],
        &[("x", "a\r\nhost: b")],
        &[("x", "a\0b")],
        &[("x\r\ny", "a")],
        &[("host", "b")],
        &[("host", "a"), ("host", "a")],
        &[(":path", "/oauth/token HTTP/1.1\r\nhost: b")],
        &[(":path", "/oauth/../v1/auth")],
        &[(":path", "oauth/token")],
        &[(":path", "")],
        &[(":authority", "a\r\nb")],
        &[(":authority", "u@a")],
        &[(":method", "POST /x HTTP/1.1\r\nx:")],
        &[(":method", "CONNECT")],
        &[(":unknown", "a")],
    ] {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &request(extra));
        let (got, is_closed) = exchange(&world, &[head]).await;
        let refused = got.iter().any(|(kind, stream, payload)| match (*kind, *stream) {
            (RST_STREAM, 1) | (GOAWAY, 0) => true,
            // A status that is not 200, which is the static table's entry 8.
            (HEADERS, 1) => payload.first() != Some(&0x88),
            _ => false,
        });
        assert!(refused || is_closed, "{extra:?} {got:?}");
        assert_eq!(world.roles.requests(), 0, "{extra:?}");
    }
    let head = frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &request(&[("content-length", "0"), ("host", "a")]),
    );
    let (got, _) = exchange(&world, &[head]).await;
    assert!(
        got.iter().any(|(kind, _, payload)| *kind == HEADERS && payload.first() == Some(&0x88)),
        "{got:?}"
    );
    assert_eq!(world.roles.requests(), 1);
}

#[tokio::test]
async fn floods_end_the_connection() {
    let world = World::start().await;
    let head = request(&[]);
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &head);
    let streams = || (0..20_000_u32).map(|number| 2 * number + 1);
    let rapid_reset: Vec<_> = streams()
        .flat_map(|stream| [open(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])])
        .collect();
    // A window update of zero makes the receiver reset the stream.
    let made_you_reset: Vec<_> =
        streams().flat_map(|stream| [open(stream), frame(8, 0, stream, &[0; 4])]).collect();
    let continuation: Vec<_> = std::iter::once(frame(HEADERS, 0, 1, &head))
        .chain((0..20_000).map(|_| frame(CONTINUATION, 0, 1, &field("x", b"y"))))
        .collect();
    for (name, flood) in [
        ("rapid reset", rapid_reset),
        ("made you reset", made_you_reset),
        ("continuation", continuation),
        ("ping", vec![frame(PING, 0, 0, &[0; 8]); 20_000]),
        ("settings", vec![frame(SETTINGS, 0, 0, &[]); 20_000]),
        ("priority", vec![frame(2, 0, 1, &[0, 0, 0, 0, 1]); 20_000]),
        ("unknown frames", vec![frame(0xfa, 0, 0, &[]); 20_000]),
    ] {
        let (got, is_closed) = exchange(&world, &flood).await;
        let said = got.iter().any(|(kind, ..)| *kind == GOAWAY);
        let ended_stream = got.iter().any(|(kind, stream, _)| *kind == RST_STREAM && *stream == 1)
            || got.iter().any(|(kind, stream, payload)| {
                *kind == HEADERS && *stream == 1 && payload.first() != Some(&0x88)
            });
        assert!(said || is_closed || ended_stream, "{name}");
    }
    // Nobody else noticed.
    assert_eq!(world.get("/livez", "").await.status(), 200);
}

#[tokio::test]
async fn keeping_a_connection_alive_is_no_flood() {
    let world = World::start().await;
    let mut frames = vec![frame(PING, 0, 0, &[0; 8]); 500];
    frames.push(frame(HEADERS, END_HEADERS | END_STREAM, 1, &request(&[])));
    let (got, is_closed) = exchange(&world, &frames).await;
    assert!(!is_closed);
    assert_eq!(got.iter().filter(|(kind, ..)| *kind == PING).count(), 500);
}

/// A server of gRPC as far as the wire goes: answers a message and trailers.
async fn grpc_upstream() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        let te = request.headers().get("te").cloned().unwrap();
                        let mut incoming = request.into_body();
                        let response = http::Response::builder()
                            .header("content-type", "application/grpc")
                            .header("x-te", te);
                        let mut stream =
                            respond.send_response(response.body(()).unwrap(), false).unwrap();
                        // Each message is sent back as it comes.
                        while let Some(Ok(data)) = incoming.data().await {
                            incoming.flow_control().release_capacity(data.len()).unwrap();
                            stream.send_data(data, false).unwrap();
                        }
                        let mut trailers = http::HeaderMap::new();
                        trailers.insert("grpc-status", "0".parse().unwrap());
                        stream.send_trailers(trailers).unwrap();
                    });
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn grpc_streams_both_ways_with_trailers() {
    let address = grpc_upstream().await;
    let world = World::with(config(&format!(
        "
        [[upstream]]
        name = \"echo\"
        addresses = [\"{address}\"]
        protocol = \"http2\"
        [[route]]
        name = \"echo\"
        prefix = \"/echo.v1.Echo\"
        upstream = \"echo\"
        auth = \"none\"
        [[route]]
        name = \"closed\"
        prefix = \"/closed.v1.Closed\"
        upstream = \"echo\"
        audience = \"/closed\"
        "
    )))
    .await;
    let stream = TcpStream::connect(world.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    let ask = |path: &str| {
        Request::post(format!("http://lombard.example{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", "20S")
            .body(())
            .unwrap()
    };
    let (response, mut sending) = client.send_request(ask("/echo.v1.Echo/Chat"), false).unwrap();
    sending.send_data("one".into(), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-te"]),
        (200, &"trailers".parse().unwrap())
    );
    let mut incoming = response.into_body();
    // The second message is sent after the answer to the first has come: nothing waits for the end.
    assert_eq!(incoming.data().await.unwrap().unwrap(), "one");
    sending.send_data("two".into(), true).unwrap();
    assert_eq!(incoming.data().await.unwrap().unwrap(), "two");
    assert!(incoming.data().await.is_none());
    assert_eq!(incoming.trailers().await.unwrap().unwrap()["grpc-status"], "0");

    let (response, _) = client.send_request(ask("/closed.v1.Closed/Any"), true).unwrap();
    let refused = response.await.unwrap();
    assert_eq!(refused.status(), 200);
    assert_eq!(refused.headers()["grpc-status"], "16", "UNAUTHENTICATED");
}
