//! Reads and subscriptions.

use lombard_client::grpc::v1::{Criterion, Direction, Filter, ReadRequest, SubscribeRequest};

use super::{append, of, read};
use crate::support::TestServer;

#[tokio::test]
async fn selections_limits_and_directions() {
    let server = TestServer::new();
    let client = server.own_client();
    for number in 0..40 {
        client.append(&append(&format!("payment-{}", number % 4), [number])).await.unwrap();
    }
    let positions = |events: Vec<lombard_client::grpc::v1::RecordedEvent>| {
        events.into_iter().map(|event| event.position).collect::<Vec<_>>()
    };
    let all = positions(read(&client, ReadRequest::default()).await);
    assert_eq!(all, (0..40).collect::<Vec<_>>());
    let backwards =
        ReadRequest { direction: Direction::Backwards.into(), limit: 3, ..of("payment-1") };
    assert_eq!(positions(read(&client, backwards).await), [37, 33, 29]);
    let some = ReadRequest { from: Some(10), until: Some(12), ..ReadRequest::default() };
    assert_eq!(positions(read(&client, some).await), [10, 11, 12]);
    let tagged = Filter {
        any_of: vec![Criterion { types: vec![], tags: vec!["order:17".to_owned()] }],
        ..Filter::default()
    };
    let tagged = ReadRequest { filter: Some(tagged), ..ReadRequest::default() };
    assert_eq!(positions(read(&client, tagged).await), [17]);
    let prefix = Filter { stream_prefix: "payment-2".to_owned(), ..Filter::default() };
    let prefix = ReadRequest { filter: Some(prefix), limit: 2, ..ReadRequest::default() };
    assert_eq!(positions(read(&client, prefix).await), [2, 6]);
}

#[tokio::test]
async fn a_subscription_has_neither_gap_nor_repetition_at_the_seam() {
    let server = TestServer::new();
    let client = server.own_client();
    let writer = client.clone();
    client.append(&append("payment-0", 0..10)).await.unwrap();
    let mut subscription = client.subscribe(SubscribeRequest::default());
    let writing = tokio::spawn(async move {
        for number in 10..200 {
            writer.append(&append(&format!("payment-{}", number % 3), [number])).await.unwrap();
        }
    });
    let mut expected = 0;
    while expected < 200 {
        for append in subscription.next().await.unwrap() {
            for event in append.events {
                assert_eq!(event.position, expected);
                expected += 1;
            }
        }
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn what_a_token_does_not_permit_is_refused() {
    let server = TestServer::new();
    server.own_client().append(&append("payment-1", 0..1)).await.unwrap();
    let narrow = server.own_client_with("events:append:order-* events:read:order-*");
    let refused = narrow.append(&append("payment-1", 1..2)).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("insufficient-scope"), "{refused}");
    for request in [of("payment-1"), ReadRequest::default()] {
        let refused = narrow.read(&request).await.unwrap().next().await.unwrap_err();
        assert_eq!(refused.slug().as_deref(), Some("insufficient-scope"), "{refused}");
    }
    let refused = narrow.subscribe(SubscribeRequest::default()).next().await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("insufficient-scope"), "{refused}");
}
