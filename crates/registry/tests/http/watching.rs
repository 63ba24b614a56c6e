//! Watches over server-sent events.

use axum::body::Body;
use axum::http::HeaderValue;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::support::{Harness, path};

/// Events of a watch as they arrive; one chunk of the body is one event.
struct Watch(axum::body::BodyDataStream);

impl Watch {
    async fn start(registry: &Harness, path: &str, last: Option<u64>) -> Self {
        let mut call =
            registry.get(path).header("accept", HeaderValue::from_static("text/event-stream"));
        if let Some(last) = last {
            call = call.header("last-event-id", HeaderValue::from(last));
        }
        let response = call.respond().await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(Body::into_data_stream(response.into_body()))
    }

    async fn next(&mut self) -> Option<(u64, Value)> {
        let chunk = self.0.next().await?.unwrap();
        let text = std::str::from_utf8(&chunk).unwrap();
        let (id, data) = text.trim_end().split_once("\ndata: ").unwrap();
        let id = id.strip_prefix("id: ").unwrap().parse().unwrap();
        Some((id, serde_json::from_str(data).unwrap()))
    }
}

#[tokio::test]
async fn a_watch_shows_what_is_and_then_every_change_of_it() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let mut service = Watch::start(&registry, "/services/payments", None).await;
    let mut catalog = Watch::start(&registry, "/catalog", None).await;
    let (id, body) = service.next().await.unwrap();
    assert_eq!((id, body), (1, registry.get("/services/payments").send().await.body));
    assert_eq!(catalog.next().await.unwrap().0, 1);

    registry.register("accounts", "one").await;
    assert_eq!(catalog.next().await.unwrap().0, 2);
    let drain = format!("{}/drain", path("payments", "one"));
    registry.post(&drain, &json!({})).send().await;
    let (id, body) = service.next().await.unwrap();
    assert_eq!((id, body["instances"][0]["state"].as_str()), (3, Some("draining")));
    let (id, body) = catalog.next().await.unwrap();
    assert_eq!((id, &body["services"]["payments"]), (3, &json!([])));
}

#[tokio::test]
async fn who_comes_back_misses_nothing_that_counts_and_gets_nothing_twice() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    registry.register("payments", "two").await;
    registry.delete(&path("payments", "one")).send().await;
    let mut watch = Watch::start(&registry, "/services/payments", Some(1)).await;
    let (id, body) = watch.next().await.unwrap();
    assert_eq!((id, body["instances"].as_array().unwrap().len()), (3, 1), "at once, the last");
    let mut watch = Watch::start(&registry, "/services/payments", Some(3)).await;
    registry.register("payments", "three").await;
    assert_eq!(watch.next().await.unwrap().0, 4, "what was seen is not said again");
    // An index of a log that is not this one: everything is new.
    let mut watch = Watch::start(&registry, "/services/payments", Some(99)).await;
    assert_eq!(watch.next().await.unwrap().0, 4);
}

#[tokio::test]
async fn watches_end_with_the_drain_and_give_their_places_back() {
    let registry = Harness::new().await;
    registry.register("payments", "one").await;
    let mut watch = Watch::start(&registry, "/services/payments", None).await;
    watch.next().await.unwrap();
    registry.until_waiters(1).await;
    registry.drain.cancel();
    assert!(watch.next().await.is_none());
    drop(watch);
    registry.until_waiters(0).await;
    let bad = registry
        .get("/services/payments")
        .header("accept", HeaderValue::from_static("text/event-stream"))
        .header("last-event-id", HeaderValue::from_static("x"));
    let refused = bad.send().await;
    assert_eq!((refused.status.as_u16(), refused.slug()), (400, "invalid-header"));
}
