//! Requests that HTTP libraries do not send.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{World, until};

/// Everything that comes back until the gateway closes.
async fn exchange(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset is a close too.
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn ambiguous_requests_are_refused_and_the_connection_is_closed() {
    let world = World::start().await;
    for head in [
        "Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        "Host: a\r\nContent-Length: 1, 1\r\n\r\na",
        "Host: a\r\nContent-Length: +1\r\n\r\na",
        "Host: a\r\nHost: a\r\n\r\n",
        "X: y\r\n\r\n",
        "Host: a\r\nX: a\r\n b\r\n\r\n",
        "Host: a\r\nX : a\r\n\r\n",
        "Host: a\nX: a\r\n\r\n",
        "Host: a\r\nX: a\0b\r\n\r\n",
        "Host: a\r\nX: a\rb\r\n\r\n",
        "Host: a\r\nX: a\r\r\n\r\n",
        "Host: a\r\nX: y\n\n",
        "Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "Host: a\r\nContent-Length: 0x1\r\n\r\na",
        "Host: a\r\nContent-Length: -1\r\n\r\na",
        "Host: a\r\nContent-Length: 1 1\r\n\r\na",
        "Host: a\r\nContent-Length: 1;\r\n\r\na",
        "Host: a\r\nContent-Length:\r\n\r\n",
        "Host: a\r\nContent-Length: 18446744073709551616\r\n\r\na",
        "Host: a\r\nContent_Length : 1\r\n\r\na",
        "Host: a, b\r\n\r\n",
        "Host: a b\r\n\r\n",
        "Host: a/b\r\n\r\n",
        "Host: u@a\r\n\r\n",
        "Host: a:x\r\n\r\n",
        "Host:\r\n\r\n",
        " Host: a\r\n\r\n",
    ] {
        let request = format!("POST /oauth/token HTTP/1.1\r\n{head}");
        // A second one behind it must not be answered.
        let after = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
        let answer = exchange(&world, format!("{request}{after}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?} {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{head:?} {answer}");
    }
    assert_eq!(world.roles.requests(), 0);
}

#[tokio::test]
async fn ambiguous_targets_are_refused() {
    let world = World::start().await;
    for target in [
        "/v1/ledger/../auth",
        "/oauth/../v1/auth/clients",
        "/oauth/%2e%2e/v1/auth",
        "/oauth%2ftoken",
        "/oauth/%5ctoken",
        "/oauth//token",
        "//oauth/token",
        "/oauth/token;x=1",
        "/oauth/\\token",
        "/oauth/%00",
        "/oauth/%zz",
        "/oauth/%252e",
        "http://other/oauth/token",
        "*",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let answer = exchange(&world, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target:?} {answer}");
    }
    assert_eq!(world.roles.requests(), 0);
    let request = "GET http://a/oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    assert!(exchange(&world, request.as_bytes()).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_up_to_the_doubtful_one() {
    let world = World::start().await;
    let good = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let bad = "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    let answer = exchange(&world, format!("{good}{good}{bad}{good}").as_bytes()).await;
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
    assert_eq!(statuses, ["200", "200", "400"]);
    assert_eq!(world.roles.requests(), 2);
}

#[tokio::test]
async fn a_body_with_a_bad_chunk_is_never_complete_for_the_upstream() {
    let world = World::start().await;
    let request = "POST /oauth/stream-back HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n3\nabc\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = exchange(&world, request.as_bytes()).await;
    assert!(!answer.contains("0\r\n\r\n"), "no complete response: {answer}");
    assert!(!answer.contains("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_cut_off() {
    let config =
        lombard_gateway::Config { workers: 1, request_body_bytes_max: 1000, ..Default::default() };
    let world = World::with(config).await;
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let request = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}0\r\n\r\n"
    );
    let answer = exchange(&world, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_sending_is_told() {
    let config =
        lombard_gateway::Config { workers: 1, response_timeout_ms: 100, ..Default::default() };
    let world = World::with(config).await;
    let request = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    let answer = exchange(&world, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let config = lombard_gateway::Config { workers: 1, head_timeout_ms: 100, ..Default::default() };
    let world = World::with(config).await;
    let answer = exchange(&world, b"GET /livez HTTP/1.1\r\n").await;
    assert!(!answer.contains("200"), "{answer}");
    until(async || world.health.is_ready()).await;
}
