//! Unary appends.

use lombard_client::grpc::v1::{Condition, Criterion, StreamAppend, stream_append};

use super::{absent, append, event, of, read};
use crate::support::TestServer;

#[tokio::test]
async fn what_is_appended_is_read_back_as_it_was() {
    let server = TestServer::new();
    let client = server.own_client();
    let appended = client.append(&append("payment-1", 0..3)).await.unwrap();
    let range = &appended.streams[0];
    assert_eq!(
        (range.stream.as_str(), range.first_revision, range.last_revision),
        ("payment-1", 0, 2)
    );
    assert!(!appended.is_replayed);
    let events = read(&client, of("payment-1")).await;
    for ((number, revision), found) in (0..3).zip(0..).zip(&events) {
        let sent = event(number);
        assert_eq!(
            (&found.id, &found.r#type, &found.source),
            (&sent.id, &sent.r#type, &sent.source)
        );
        assert_eq!((&found.tags, found.revision, found.position), (&sent.tags, revision, number));
        assert_eq!(format!("{:?}", found.data), format!("{:?}", sent.data));
    }
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn a_repetition_is_answered_as_the_first_time_and_another_content_is_refused() {
    let server = TestServer::new();
    let client = server.own_client();
    let first = client.append(&append("payment-1", 0..2)).await.unwrap();
    let again = client.append(&append("payment-1", 0..2)).await.unwrap();
    assert!(again.is_replayed);
    assert_eq!((again.streams, again.log_position), (first.streams, first.log_position));
    let mut other = append("payment-1", 0..1);
    other.streams[0].events[0].source = "/elsewhere".to_owned();
    let refused = client.append(&other).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("event-id-reused"), "{refused}");
    assert_eq!(read(&client, of("payment-1")).await.len(), 2);
}

#[tokio::test]
async fn expectations_and_conditions_are_kept() {
    let server = TestServer::new();
    let client = server.own_client();
    let mut first = append("payment-1", 0..1);
    first.streams[0].expected = absent();
    client.append(&first).await.unwrap();
    let mut second = append("payment-1", 1..2);
    second.streams[0].expected = absent();
    let refused = client.append(&second).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("wrong-expected-revision"), "{refused}");
    second.streams[0].expected = Some(stream_append::Expected::Revision(0));
    client.append(&second).await.unwrap();

    // Of two who decide on the same past, one succeeds.
    let condition = Condition {
        none_of: vec![Criterion { types: vec![], tags: vec!["order:7".to_owned()] }],
        after: Some(1),
    };
    let mut third = append("payment-2", 7..8);
    third.condition = Some(condition.clone());
    client.append(&third).await.unwrap();
    let mut fourth = append("payment-3", 8..9);
    fourth.condition = Some(condition);
    let refused = client.append(&fourth).await.unwrap_err();
    assert_eq!(refused.slug().as_deref(), Some("condition-failed"), "{refused}");
}

#[tokio::test]
async fn several_streams_are_appended_to_together_or_not_at_all() {
    let server = TestServer::new();
    let client = server.own_client();
    let mut both = append("payment-1", 0..1);
    both.streams.push(StreamAppend {
        stream: "payment-2".to_owned(),
        expected: absent(),
        events: vec![event(1), event(2)],
    });
    let appended = client.append(&both).await.unwrap();
    assert_eq!(appended.streams.len(), 2);
    let mut again = append("payment-3", 3..4);
    again.streams.push(StreamAppend {
        stream: "payment-2".to_owned(),
        expected: absent(),
        events: vec![event(4)],
    });
    client.append(&again).await.unwrap_err();
    assert_eq!(read(&client, of("payment-2")).await.len(), 2);
    let missing = client.read(&of("payment-3")).await.unwrap().next().await.unwrap_err();
    assert_eq!(missing.slug().as_deref(), Some("stream-not-found"));
}

/// A client of somebody else, made from the same contract.
#[tokio::test]
async fn other_clients_are_understood() {
    use lombard_client::grpc::v1::{AppendResponse, ReadResponse};

    const APPEND: &str = "/lombard.eventstore.v1.EventStore/Append";
    const READ: &str = "/lombard.eventstore.v1.EventStore/Read";
    const UNDO: &str = "/lombard.eventstore.v1.EventStore/Undo";
    let server = TestServer::new();
    let mut client = server.client("events:append events:read").await;

    let request = client.request(append("payment-1", 0..2));
    let appended: AppendResponse = client.unary(APPEND, request).await.unwrap();
    assert_eq!(appended.streams[0].last_revision, 1);

    let reading = client.server_streaming(READ, client.request(of("payment-1"))).await;
    let message: ReadResponse = reading.unwrap().message().await.unwrap().unwrap();
    assert_eq!(message.appends[0].events.len(), 2);

    client.authorization = None;
    let request = || client.request(append("payment-1", 2..3));
    let refused = client.unary::<_, AppendResponse>(APPEND, request()).await;
    assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
    let unknown = client.unary::<_, AppendResponse>(UNDO, request()).await;
    assert_eq!(unknown.unwrap_err().code(), tonic::Code::Unimplemented);
}
