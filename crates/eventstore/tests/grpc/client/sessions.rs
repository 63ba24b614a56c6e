//! Sessions of appends.

use lombard_client::grpc::{GrpcError, v1::ReadRequest};

use super::{append, of, read};
use crate::support::TestServer;

#[tokio::test]
async fn many_appends_are_under_way_and_answered_in_order() {
    let server = TestServer::new();
    let client = server.own_client();
    let session = client.append_session(64).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..1000 {
        waiting.push(session.append(append("payment-1", [number])).await.unwrap());
    }
    for (revision, appending) in (0..).zip(waiting) {
        assert_eq!(appending.await.unwrap().streams[0].first_revision, revision);
    }
    assert_eq!(read(&client, of("payment-1")).await.len(), 1000);
}

#[tokio::test]
async fn a_refused_append_does_not_end_the_session() {
    let server = TestServer::new();
    let session = server.own_client().append_session(8).await.unwrap();
    let good = session.append(append("payment-1", 0..1)).await.unwrap();
    let empty = session.append(append("payment-1", 0..0)).await.unwrap();
    let bad_name = session.append(append("", 1..2)).await.unwrap();
    let after = session.append(append("payment-1", 2..3)).await.unwrap();
    good.await.unwrap();
    assert_eq!(empty.await.unwrap_err().slug().as_deref(), Some("no-events"));
    assert_eq!(bad_name.await.unwrap_err().slug().as_deref(), Some("invalid-body"));
    assert_eq!(after.await.unwrap().streams[0].first_revision, 1);
}

#[tokio::test]
async fn what_a_lost_session_left_open_is_repeated_without_harm() {
    let server = TestServer::new();
    let client = server.own_client();
    let session = client.append_session(100).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..100 {
        waiting.push(session.append(append("payment-1", [number])).await.unwrap());
    }
    server.stop().await;
    for appending in waiting {
        // Answered, refused because the server stops, or unknown: never anything else.
        match appending.await {
            Ok(_) | Err(GrpcError::OutcomeUnknown { .. }) => {}
            Err(error) => assert_eq!(error.slug().as_deref(), Some("stopping"), "{error}"),
        }
    }

    let server = TestServer::new();
    let client = server.own_client();
    for _ in 0..2 {
        let session = client.append_session(100).await.unwrap();
        let mut waiting = Vec::new();
        for number in 0..100 {
            waiting.push(session.append(append("payment-1", [number])).await.unwrap());
        }
        for (revision, appending) in (0..).zip(waiting) {
            assert_eq!(appending.await.unwrap().streams[0].first_revision, revision);
        }
    }
    assert_eq!(read(&client, ReadRequest::default()).await.len(), 100);
}
