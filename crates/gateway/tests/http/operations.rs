//! The gateway's own endpoints, and its end.

use lombard_gateway::Config;
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::MetricFamily;
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Upstream, World, closed_port, config, until};

#[tokio::test]
async fn health_and_metrics() {
    let world = World::start().await;
    let text = async |path| world.get(path, "").await.text().await.unwrap();
    assert_eq!(text("/livez").await, "ok\n");
    assert!(text("/readyz").await.contains("\"ready\":true"));
    let token = world.token("/v1/ledger", "ledger:read");
    assert_eq!(world.get("/v1/ledger/x", &token).await.status(), 200);
    assert_eq!(world.get("/nothing-here/x", "").await.status(), 401);
    let metrics = text("/metrics").await;
    for line in [
        "lombard_gateway_requests_total{route=\"ledger\",status=\"2xx\"} 1",
        "lombard_gateway_requests_total{route=\"service\",status=\"4xx\"} 1",
        "lombard_gateway_upstream_failures_total{kind=\"broken\"} 0",
        "lombard_gateway_in_flight 0",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

#[tokio::test]
async fn prometheus_gets_native_histograms() {
    let world = World::start().await;
    assert_eq!(world.get("/livez", "").await.status(), 200);
    let form = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
    let request = world.client.get(world.url("/metrics")).header("accept", form);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"].to_str().unwrap().replace("; ", ";"), form);
    let bytes = response.bytes().await.unwrap();
    let mut rest = &bytes[..];
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    let seconds =
        families.iter().find(|family| family.name == "lombard_gateway_request_seconds").unwrap();
    let seconds = seconds.metric[0].histogram.as_ref().unwrap();
    assert_eq!(seconds.sample_count, 1);
    assert_eq!((seconds.schema, seconds.positive_span.len(), seconds.bucket.len()), (3, 1, 19));
    assert!(families.iter().any(|family| family.name == "lombard_gateway_requests_total"));
}

#[tokio::test]
async fn workers_share_one_socket() {
    let world = World::with(Config { workers: 3, ..Config::default() }).await;
    let token = world.token("/v1/ledger", "ledger:read");
    let url = world.url("/v1/ledger/x");
    let calls = (0..30).map(|_| {
        // A client each, so that each has a connection of its own.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(&url).bearer_auth(&token).send()
    });
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let mut world = World::start().await;
    let upstream = Upstream::start("files").await;
    world.register("files", &[upstream.address]).await;
    let token = world.token("/files", "files:write");
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "POST /files/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 6\r\n\r\nabc"
    );
    let before = upstream.requests();
    stream.write_all(head.as_bytes()).await.unwrap();
    crate::support::until(async || upstream.requests() > before).await;
    world.drain.cancel();
    stream.write_all(b"def").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"body_bytes\":6"), "{answer}");
    (&mut world.running).await.unwrap();
    assert!(TcpStream::connect(world.address).await.is_err());
}

#[tokio::test]
async fn gateways_tell_each_other_what_they_let_through() {
    let routes = "
        limit_exchange_ms = 10
        [[route]]
        name = \"status\"
        path = \"/status\"
        upstream = \"auth\"
        auth = \"none\"
        limits = [{ by = \"route\", quota = 1000, per = \"day\" }]
        ";
    let one = World::with(config(routes)).await;
    // Another one that is not there takes nothing away.
    let peers = vec![one.address.to_string(), closed_port().to_string()];
    let other = World::with(Config { limit_peers: peers, ..config(routes) }).await;
    for _ in 0..5 {
        assert_eq!(other.get("/status", "").await.status(), 200);
    }
    let mut asked = 0;
    until(async || {
        asked += 1;
        let response = one.get("/status", "").await;
        let said = response.headers()["ratelimit"].to_str().unwrap().to_owned();
        let left = said.split(';').find_map(|part| part.strip_prefix("r=")).unwrap();
        left.parse::<u32>().unwrap() == 1000 - asked - 5
    })
    .await;
    let tell = async |scope: &str, body: &'static str| {
        let token = one.token("/v1/gateway", scope);
        let request = one.client.post(one.url("/v1/gateway/limits")).bearer_auth(token);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!(tell("gateway:write", "{}").await, 403);
    assert_eq!(tell("gateway:limits", "{}").await, 400);
    let unknown = r#"{ "from": "00000000-0000-0000-0000-000000000000", "used": [{ "limit": 1, "requests": 1 }] }"#;
    assert_eq!(tell("gateway:limits", unknown).await, 200);
}

/// What the library for HTTP holds of a connection is let go of while that waits for its next request.
async fn until_connections_wait(world: &World, count: usize) {
    let line = format!("lombard_gateway_waiting_connections {count}\n");
    until(async || world.get("/metrics", "").await.text().await.unwrap().contains(&line)).await;
}

async fn answers(stream: &mut TcpStream, count: usize) -> String {
    let mut answer = String::new();
    while answer.matches("\r\n\r\nok\n").count() < count {
        let mut part = [0; 1024];
        let read = stream.read(&mut part).await.unwrap();
        assert!(read > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&part[..read]).unwrap());
    }
    answer
}

#[tokio::test]
async fn a_connection_that_has_waited_is_served_as_before() {
    let mut world = World::start().await;
    let ask = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(ask.as_bytes()).await.unwrap();
        answers(&mut stream, 1).await;
        streams.push(stream);
    }
    until_connections_wait(&world, 3).await;
    let [first, second, third] = &mut streams[..] else { panic!() };
    // In parts, and several at once.
    let (begin, end) = ask.split_at(20);
    first.write_all(begin.as_bytes()).await.unwrap();
    until_connections_wait(&world, 2).await;
    first.write_all(format!("{end}{ask}{ask}").as_bytes()).await.unwrap();
    answers(first, 3).await;
    until_connections_wait(&world, 3).await;
    // What is not beyond doubt is refused, and what was good before counts.
    let doubtful = "GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n";
    first.write_all(format!("{ask}{doubtful}{ask}").as_bytes()).await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    let statuses: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(|rest| &rest[..3]).collect();
    assert_eq!(statuses, ["200", "400"]);
    // A client that goes is let go of.
    second.shutdown().await.unwrap();
    until_connections_wait(&world, 1).await;
    world.drain.cancel();
    assert_eq!(third.read(&mut [0]).await.unwrap(), 0);
    (&mut world.running).await.unwrap();
}

#[tokio::test]
async fn a_connection_waits_no_longer_than_is_said() {
    let config = Config { workers: 1, head_timeout_ms: 500, ..Config::default() };
    let world = World::with(config).await;
    let ask = async || {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        answers(&mut stream, 1).await;
        stream
    };
    assert_eq!(ask().await.read(&mut [0]).await.unwrap(), 0);
    // Empty lines, which may stand before a request, are none.
    let mut stream = ask().await;
    until(async || {
        let is_sent = stream.write_all(b"\r\n").await.is_ok();
        let closed = matches!(stream.try_read(&mut [0]), Ok(0));
        let broken = stream
            .try_read(&mut [0])
            .is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock);
        !is_sent || closed || broken
    })
    .await;
}
