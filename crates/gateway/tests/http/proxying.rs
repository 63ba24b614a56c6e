//! What arrives at an upstream, and what comes back.

use std::{collections::BTreeSet, convert::Infallible};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body::Frame;
use http_body_util::{BodyStream, StreamBody};
use serde_json::Value;

use crate::support::{Upstream, World, problem};

async fn json(response: reqwest::Response) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test]
async fn roles_get_the_path_as_it_is() {
    let world = World::start().await;
    let token = world.token("/v1/ledger", "ledger:read");
    let got = json(world.get("/v1/ledger/accounts?page=2&x=%2F", &token).await).await;
    assert_eq!(got["method"], "GET");
    assert_eq!(got["target"], "/v1/ledger/accounts?page=2&x=%2F");
    assert_eq!(got["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(got["headers"]["host"], world.roles.address.to_string());
    let got = json(world.get("/.well-known/oauth-authorization-server", "").await).await;
    assert_eq!(got["target"], "/.well-known/oauth-authorization-server");
}

#[tokio::test]
async fn services_get_the_path_after_their_name() {
    let world = World::start().await;
    let upstream = Upstream::start("payments").await;
    world.register("payments", &[upstream.address]).await;
    let token = world.token("/payments", "payments:read payments:write");
    for (path, target) in [
        ("/payments/v1/x?a=b", "/v1/x?a=b"),
        ("/payments", "/"),
        ("/payments/", "/"),
        ("/%70ayments/a%3ab", "/a%3Ab"),
    ] {
        assert_eq!(json(world.get(path, &token).await).await["target"], target, "{path}");
    }
    let got = json(world.post("/payments/v1/x", &token, "hello").await).await;
    assert_eq!((&got["method"], &got["body_bytes"]), (&"POST".into(), &5.into()));
}

#[tokio::test]
async fn headers_that_are_not_the_clients_to_set_are_replaced() {
    let world = World::start().await;
    let token = world.token("/v1/ledger", "ledger:read");
    let response = world
        .client
        .get(world.url("/v1/ledger"))
        .bearer_auth(&token)
        .header("x-request-id", "mine-1")
        .header("x-lombard-subject", "root")
        .header("x-forwarded-for", "6.6.6.6")
        .header("connection", "x-secret")
        .header("x-secret", "1")
        .header("x-mine", "1")
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    assert!(!response.headers().contains_key("x-own"));
    assert_eq!(response.headers()["x-kept"], "1");
    let got = json(response).await;
    let headers = &got["headers"];
    assert_eq!(headers["x-request-id"], "mine-1");
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
    assert_eq!(headers["x-forwarded-host"], world.address.to_string());
    assert_eq!(headers["x-mine"], "1");
    assert!(headers["traceparent"].as_str().unwrap().starts_with("00-"));
    for gone in ["x-lombard-subject", "x-secret", "connection"] {
        assert_eq!(headers[gone], Value::Null, "{gone}");
    }
}

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    let world = World::start().await;
    let upstream = Upstream::start("files").await;
    world.register("files", &[upstream.address]).await;
    let token = world.token("/files", "files:write");
    // The next part is only sent when the one before has come back: nothing on the way waits for the whole.
    let (parts, rest) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let body = futures_util::stream::unfold(rest, async |mut rest| {
        let part = rest.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(part))), rest))
    });
    let part = vec![7_u8; 256 << 10];
    parts.send(part.clone()).await.unwrap();
    let request = world.client.post(world.url("/files/stream-back")).bearer_auth(token);
    let body = reqwest::Body::wrap(StreamBody::new(Box::pin(body)));
    let response = request.body(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let mut back = BodyStream::new(reqwest::Body::from(response));
    let mut count = 0;
    for number in 1..=20 {
        while count < number * part.len() {
            count += back.next().await.unwrap().unwrap().into_data().unwrap().len();
        }
        if number < 20 {
            parts.send(part.clone()).await.unwrap();
        }
    }
    drop(parts);
    assert!(back.next().await.is_none());
    assert_eq!(count, 20 * part.len());
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    let config = lombard_gateway::Config {
        workers: 1,
        request_body_bytes_max: 100_000,
        ..Default::default()
    };
    let world = World::with(config).await;
    let token = world.token("/v1/ledger", "ledger:write");
    let body = vec![0_u8; 100_000];
    assert_eq!(json(world.post("/v1/ledger", &token, body).await).await["body_bytes"], 100_000);
    let before = world.roles.requests();
    let refused = world.post("/v1/ledger", &token, vec![0_u8; 100_001]).await;
    assert_eq!(problem(refused).await.0, 413);
    assert_eq!(world.roles.requests(), before, "it says its length: nothing is sent");
}

#[tokio::test]
async fn instances_share_the_requests() {
    let world = World::start().await;
    let upstreams = [Upstream::start("a").await, Upstream::start("b").await];
    world.register("payments", &upstreams.each_ref().map(|upstream| upstream.address)).await;
    let token = world.token("/payments", "payments:read");
    let mut names = BTreeSet::new();
    for _ in 0..100 {
        let got = json(world.get("/payments/x", &token).await).await;
        names.insert(got["upstream"].as_str().unwrap().to_owned());
    }
    // How many each gets depends on how fast each has answered.
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn statuses_and_empty_bodies_pass() {
    let world = World::start().await;
    let token = world.token("/v1/ledger", "ledger:read");
    for status in [200, 204, 304, 404, 422, 500, 503] {
        let response = world.get(&format!("/v1/ledger/status/{status}"), &token).await;
        assert_eq!(response.status(), status);
    }
    let response =
        world.client.head(world.url("/v1/ledger")).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
}
