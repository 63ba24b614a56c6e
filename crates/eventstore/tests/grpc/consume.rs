//! Consumer groups on one call: the same group as over HTTP.

use std::time::Duration;

use http_body_util::BodyExt as _;
use lombard_client::grpc::{
    Consumed, GrpcConsumer, GrpcEventStore,
    v1::{
        self as proto, ConsumeRequest, ConsumeResponse, ConsumeStart, Delivery, Nack, Settle,
        SettleResult, consume_request::Request, settle::Settlement,
    },
};
use lombard_eventstore::Config;
use serde_json::{Value, json};
use tonic::{Code, Status, Streaming};
use tower::ServiceExt as _;

use super::support::{TestServer, append_to, event, reason};

const SCOPE: &str = "events:append events:read events:consume events:manage";

impl TestServer {
    /// The same store over HTTP.
    async fn http(&self, method: &str, path: &str, body: &Value) -> Value {
        let router = self.store.router();
        let router = router.layer(axum::middleware::from_fn(lombard_chassis::context::layer));
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/v1/eventstore/groups/mail{path}"))
            .header("authorization", format!("Bearer {}", self.token(SCOPE)))
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{status} {body:?}");
        serde_json::from_slice(&body).unwrap()
    }

    /// Events in two streams, and a group of them.
    async fn with_group(&self, settings: Value, count: u128) -> GrpcEventStore {
        let store = GrpcEventStore::with_token(self.address.to_string(), &self.token(SCOPE));
        for id in 1..=count {
            let request = append_to(if id % 2 == 0 { "even" } else { "odd" }, vec![event(id, "t")]);
            store.append(&request).await.unwrap();
        }
        self.http("PUT", "", &settings).await;
        store
    }
}

fn start(consumer: &str, credits: u32) -> ConsumeStart {
    let (group, consumer) = ("mail".to_owned(), Some(consumer.to_owned()));
    ConsumeStart { group, consumer, credits: Some(credits), visibility_ms: None }
}

async fn deliveries(consumer: &mut GrpcConsumer) -> Vec<Delivery> {
    match consumer.next().await.unwrap() {
        Some(Consumed::Deliveries(deliveries)) => deliveries,
        other => panic!("{other:?}"),
    }
}

/// What became of a settlement; deliveries that come before are collected.
async fn settled(
    consumer: &mut GrpcConsumer,
    wanted: u64,
    deliveries: &mut Vec<Delivery>,
) -> Vec<SettleResult> {
    loop {
        match consumer.next().await.unwrap() {
            Some(Consumed::Deliveries(more)) => deliveries.extend(more),
            Some(Consumed::Settled { sequence, results }) => {
                assert_eq!(sequence, wanted);
                return results.unwrap();
            }
            None => panic!("the call ended"),
        }
    }
}

fn receipts(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|it| it.receipt.clone()).collect()
}

fn position(delivery: &Delivery) -> u64 {
    delivery.append.as_ref().unwrap().events.first().unwrap().position
}

#[tokio::test]
async fn credits_bound_what_is_unsettled_and_settling_brings_more() {
    let server = TestServer::new();
    let store = server.with_group(json!({ "order_by": "nothing" }), 10).await;
    let mut consumer = store.consume(start("one", 4)).await.unwrap();
    let first = deliveries(&mut consumer).await;
    assert_eq!(first.iter().map(position).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let shown = first[0].append.as_ref().unwrap();
    assert_eq!((shown.events.len(), shown.events[0].stream.as_str()), (1, "odd"));
    assert_eq!(shown.evidence.as_ref().unwrap().client_id, "payments");
    assert_eq!((first[0].attempt, shown.events[0].id.len()), (1, 16));
    // The same group over HTTP: it has what this call has not.
    let pulled =
        server.http("POST", "/deliveries", &json!({ "consumer": "two", "count": 2 })).await;
    assert_eq!(pulled["deliveries"][0]["event"]["position"], "4");

    let mut more = Vec::new();
    let sequence = consumer.ack(receipts(&first[..3])).unwrap();
    let results = settled(&mut consumer, sequence, &mut more).await;
    assert_eq!(results, [SettleResult::Done; 3]);
    while more.len() < 3 {
        more.extend(deliveries(&mut consumer).await);
    }
    assert_eq!(more.iter().map(position).collect::<Vec<_>>(), [6, 7, 8]);
    let sequence = consumer.ack(receipts(&first[2..])).unwrap();
    let results = settled(&mut consumer, sequence, &mut more).await;
    assert_eq!(results, [SettleResult::AlreadySettled, SettleResult::Done]);
    // Settled over HTTP, and found settled here.
    let receipt = pulled["deliveries"][0]["receipt"].as_str().unwrap();
    server.http("POST", "/acks", &json!({ "receipts": [receipt] })).await;
    let sequence = consumer.ack(vec![receipt.to_owned(), "9.1.1".to_owned()]).unwrap();
    let results = settled(&mut consumer, sequence, &mut more).await;
    assert_eq!(results, [SettleResult::AlreadySettled, SettleResult::Unknown]);

    consumer.finish().unwrap();
    while let Some(consumed) = consumer.next().await.unwrap() {
        assert!(matches!(consumed, Consumed::Deliveries(_)), "{consumed:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_is_refused_comes_again_under_the_same_id_and_then_is_dead() {
    let server = TestServer::new();
    let settings = json!({ "attempts_max": 2, "retry_ms_min": 1, "retry_ms_max": 1 });
    let store = server.with_group(settings, 2).await;
    let mut consumer = store.consume(start("one", 10)).await.unwrap();
    let mut more = Vec::new();
    while more.len() < 2 {
        more.extend(deliveries(&mut consumer).await);
    }
    let sequence = consumer.extend(receipts(&more), Duration::from_secs(60)).unwrap();
    let results = settled(&mut consumer, sequence, &mut Vec::new()).await;
    assert_eq!(results, [SettleResult::Done; 2]);
    let nack = Nack { reason: "no paper".to_owned(), ..Nack::default() };
    let sequence = consumer.nack(receipts(&more), nack.clone()).unwrap();
    let mut again = Vec::new();
    settled(&mut consumer, sequence, &mut again).await;
    while again.len() < 2 {
        again.extend(deliveries(&mut consumer).await);
    }
    for delivery in &again {
        let first = more.iter().find(|it| position(it) == position(delivery)).unwrap();
        assert_eq!((&first.delivery_id, delivery.attempt), (&delivery.delivery_id, 2));
    }
    let sequence = consumer.ack(receipts(&more)).unwrap();
    let results = settled(&mut consumer, sequence, &mut Vec::new()).await;
    assert_eq!(results, [SettleResult::Lost; 2]);
    let sequence = consumer.nack(receipts(&again[..1]), nack).unwrap();
    settled(&mut consumer, sequence, &mut Vec::new()).await;
    let dead_letter = Nack { dead_letter: true, ..Nack::default() };
    let sequence = consumer.nack(receipts(&again[1..]), dead_letter).unwrap();
    settled(&mut consumer, sequence, &mut Vec::new()).await;
    let letters = server.http("GET", "/dead-letters", &Value::Null).await;
    assert_eq!(letters["items"].as_array().unwrap().len(), 2);
    assert_eq!(server.http("GET", "", &Value::Null).await["dead_letters"], 2);
}

/// A consumer that goes away gives back what it has when its time is over.
#[tokio::test]
async fn another_consumer_gets_what_a_broken_call_had() {
    let server = TestServer::new();
    let store = server.with_group(json!({ "visibility_ms": 50 }), 3).await;
    let mut first = store.consume(start("one", 10)).await.unwrap();
    let had = deliveries(&mut first).await;
    drop(first);
    let mut second = store.consume(start("two", 10)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(deliveries(&mut second).await);
        let sequence = second.ack(receipts(&got)).unwrap();
        settled(&mut second, sequence, &mut got).await;
    }
    for had in had {
        let again = got.iter().find(|it| position(it) == position(&had)).unwrap();
        assert_eq!((&again.delivery_id, again.attempt > 1), (&had.delivery_id, true));
    }
}

impl super::support::Client {
    async fn consume(&self, requests: Vec<Request>) -> Result<Streaming<ConsumeResponse>, Status> {
        let requests = requests.into_iter().map(|it| ConsumeRequest { request: Some(it) });
        let request = self.request(futures_util::stream::iter(requests));
        self.streaming("/lombard.eventstore.v1.EventStore/Consume", request).await
    }

    /// Why a call ended.
    async fn refused(&self, requests: Vec<Request>) -> Status {
        let mut answers = match self.consume(requests).await {
            Ok(answers) => answers,
            Err(status) => return status,
        };
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the call ended well"),
                Err(status) => return status,
            }
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_call_ends_it_and_with_a_settlement_does_not() {
    let config = Config { group_receipts_max: 2, group_in_flight_max: 50, ..Config::default() };
    let server = TestServer::with(config);
    let store = server.with_group(json!({}), 1).await;
    let client = server.client(SCOPE).await;
    let settle = |sequence, receipts: &[&str]| {
        let receipts = receipts.iter().map(|it| (*it).to_owned()).collect();
        let settlement = Some(Settlement::Ack(proto::Ack {}));
        Request::Settle(Settle { sequence, receipts, settlement })
    };
    let begin = |credits| Request::Start(start("one", credits));
    let other = ConsumeStart { group: "none".to_owned(), ..start("one", 1) };
    let nameless = ConsumeStart { group: "no name".to_owned(), ..start("one", 1) };
    for (requests, code, wanted) in [
        (vec![settle(1, &["1.0.1"])], Code::InvalidArgument, "invalid-body"),
        (vec![begin(0)], Code::InvalidArgument, "invalid-body"),
        (vec![begin(51)], Code::InvalidArgument, "invalid-body"),
        (vec![begin(1), begin(1)], Code::InvalidArgument, "invalid-body"),
        (
            vec![begin(1), settle(1, &["1.0.1"]), settle(1, &["1.0.1"])],
            Code::InvalidArgument,
            "invalid-body",
        ),
        (vec![Request::Start(other)], Code::NotFound, "group-not-found"),
        (vec![Request::Start(nameless)], Code::InvalidArgument, "invalid-body"),
    ] {
        let refused = client.refused(requests).await;
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, wanted));
    }
    let reader = server.client("events:read events:consume:other-*").await;
    let refused = reader.refused(vec![begin(1)]).await;
    assert_eq!(reason(&refused), "insufficient-scope");

    let mut consumer = store.consume(start("two", 1)).await.unwrap();
    for receipts in [vec![], vec!["x".to_owned()], vec!["1.0.1".to_owned(); 3]] {
        let wanted = consumer.ack(receipts).unwrap();
        loop {
            match consumer.next().await.unwrap().unwrap() {
                Consumed::Deliveries(_) => {}
                Consumed::Settled { sequence, results } => {
                    assert_eq!(sequence, wanted);
                    assert_eq!(results.unwrap_err().error_info().unwrap().reason, "invalid-body");
                    break;
                }
            }
        }
    }
    let long = Nack { reason: "x".repeat(501), ..Nack::default() };
    consumer.nack(vec!["1.0.1".to_owned()], long).unwrap();
    server.drain.cancel();
    let ended = loop {
        match consumer.next().await {
            Ok(Some(Consumed::Settled { results, .. })) => assert!(results.is_err()),
            Ok(other) => assert!(other.is_some(), "the call ended well"),
            Err(error) => break error,
        }
    };
    assert!(ended.is_temporary(), "{ended}");
}
