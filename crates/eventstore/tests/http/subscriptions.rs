//! Live events: everything once, in order, with no seam between history and what happens.

use futures_util::StreamExt as _;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Call, TestStore, event, events};

/// Reads events from a subscription until it has `count`: their ids and data.
struct Subscriber {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Subscriber {
    async fn open(store: &TestStore, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("accept", "text/event-stream")];
        all.extend_from_slice(headers);
        let call = Call {
            method: Method::GET,
            path,
            scope: Some("events:read"),
            headers: all,
            body: String::new(),
        };
        let response = store.send(call).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn take(&mut self, count: usize) -> Vec<(u64, Value)> {
        let mut taken = Vec::new();
        while taken.len() < count {
            let Some((block, rest)) = self.text.split_once("\n\n") else {
                let chunk = self.body.next().await.unwrap().unwrap();
                self.text.push_str(std::str::from_utf8(&chunk).unwrap());
                continue;
            };
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                taken.push((id.parse().unwrap(), serde_json::from_str(data).unwrap()));
            }
            self.text = rest.to_owned();
        }
        taken
    }
}

fn numbers(taken: &[(u64, Value)]) -> Vec<u64> {
    taken.iter().map(|(_, event)| event["data"]["number"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn history_and_then_what_happens() {
    let store = TestStore::new();
    let path = |number: u64| format!("/v1/eventstore/streams/s{}/events", number % 3);
    for number in 0..50 {
        store.append(&path(number), &[], events([number])).await;
    }
    let mut all = Subscriber::open(&store, "/v1/eventstore/events", &[]).await;
    let mut one = Subscriber::open(&store, "/v1/eventstore/streams/s1/events?from=2", &[]).await;
    let mut later =
        Subscriber::open(&store, "/v1/eventstore/events", &[("last-event-id", "59")]).await;
    let mut absent = Subscriber::open(&store, "/v1/eventstore/streams/new/events", &[]).await;
    let appending = async {
        for number in 50..100 {
            store.append(&path(number), &[], events([number])).await;
        }
        store.append("/v1/eventstore/streams/new/events", &[], events([100])).await;
    };
    let (all, one, later, absent, ()) =
        tokio::join!(all.take(101), one.take(31), later.take(41), absent.take(1), appending);
    assert_eq!(numbers(&all), (0..=100).collect::<Vec<_>>());
    assert!(all.iter().all(|(id, event)| event["position"] == json!(id.to_string())));
    assert_eq!(numbers(&one), (0..100).filter(|n| n % 3 == 1).skip(2).collect::<Vec<_>>());
    assert!(one.iter().all(|(id, event)| event["revision"] == json!(id.to_string())));
    assert_eq!(numbers(&later), (60..=100).collect::<Vec<_>>());
    assert_eq!(absent.first().map(|(id, _)| *id), Some(0));
}

#[tokio::test]
async fn only_what_was_asked_for() {
    let store = TestStore::new();
    let mut all = Subscriber::open(&store, "/v1/eventstore/events?tags=odd&prefix=a", &[]).await;
    for number in 0..20 {
        let mut event = event(number);
        event["tags"] = json!(if number % 2 == 1 { "odd,number" } else { "number" });
        let path =
            format!("/v1/eventstore/streams/{}/events", if number < 10 { "a1" } else { "b1" });
        store.append(&path, &[], json!([event])).await;
    }
    let live = all.take(5).await;
    assert_eq!(numbers(&live), [1, 3, 5, 7, 9]);
    let mut again =
        Subscriber::open(&store, "/v1/eventstore/events?tags=odd&prefix=a&after=4", &[]).await;
    assert_eq!(numbers(&again.take(3).await), [5, 7, 9]);
}

#[tokio::test]
async fn what_a_subscription_cannot_have() {
    let store = TestStore::new();
    for (path, headers, status, problem) in [
        ("/v1/eventstore/events?limit=1", vec![], 400, "invalid-query"),
        ("/v1/eventstore/events?direction=backwards", vec![], 400, "invalid-query"),
        ("/v1/eventstore/events?until=5", vec![], 400, "invalid-query"),
        ("/v1/eventstore/events", vec![("last-event-id", "x")], 400, "invalid-header"),
        (
            "/v1/eventstore/streams/a/events?as_of=2026-01-01T00:00:00Z",
            vec![],
            400,
            "invalid-query",
        ),
    ] {
        let mut all = vec![("accept", "application/json, text/event-stream;q=0.9")];
        all.extend(headers);
        let (method, scope) = (Method::GET, Some("events:read"));
        let body = String::new();
        let reply = store.call(Call { method, path, scope, headers: all, body }).await;
        assert_eq!((reply.status.as_u16(), reply.problem().as_str()), (status, problem), "{path}");
    }
}
