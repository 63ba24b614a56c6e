//! Append sessions: many in flight, answered in order, refused one by one, killed and repeated.

use lombard_eventstore::Config;
use lombard_proto::eventstore::v1::{
    self as proto, AppendSessionRequest, append_session_response::Result as Answer,
};
use tokio::sync::mpsc;
use tonic::Code;

use super::support::{TestServer, append_to, event, reason};

fn request(sequence: u64, id: u128) -> AppendSessionRequest {
    let append = Some(append_to(&format!("s-{}", id % 7), vec![event(id, "t")]));
    AppendSessionRequest { sequence, append }
}

#[tokio::test]
async fn answers_come_in_order_and_errors_are_of_one_append() {
    let config = Config { session_appends_max: 4, ..Config::default() };
    let server = TestServer::with(config);
    let client = server.client("events:append events:read").await;
    let (requests, queue) = mpsc::channel(256);
    let mut answers = client.session(queue).await.unwrap();
    // More than the window: the rest waits.
    for sequence in 1..=100u64 {
        let id = if sequence % 10 == 0 { 1 } else { u128::from(sequence) };
        let mut sent = request(sequence * 3, id);
        if sequence % 10 == 0 {
            sent.append.as_mut().unwrap().streams[0].stream = "elsewhere".into();
        }
        requests.send(sent).await.unwrap();
    }
    drop(requests);
    for sequence in 1..=100u64 {
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!(answer.sequence, sequence * 3);
        match answer.result.unwrap() {
            Answer::Appended(appended) => assert!(!appended.is_replayed && sequence % 10 != 0),
            Answer::Error(error) => {
                assert_eq!(error.error_info().unwrap().reason, "event-id-reused");
                assert_eq!(sequence % 10, 0);
            }
        }
    }
    assert!(answers.message().await.unwrap().is_none());
    assert_eq!(client.read(proto::ReadRequest::default()).await.unwrap().len(), 90);
}

#[tokio::test]
async fn a_session_that_breaks_is_repeated_without_a_second_effect() {
    let server = TestServer::new();
    for round in 0..5u64 {
        let client = server.client("events:append").await;
        let (requests, queue) = mpsc::channel(64);
        let mut answers = client.session(queue).await.unwrap();
        for sequence in 0..50u64 {
            requests.send(request(sequence, u128::from(sequence + 1))).await.unwrap();
        }
        for _ in 0..round * 10 {
            assert!(matches!(
                answers.message().await.unwrap().unwrap().result,
                Some(Answer::Appended(_))
            ));
        }
        // The connection goes away with appends in flight.
    }
    let client = server.client("events:append events:read").await;
    let (requests, queue) = mpsc::channel(64);
    let mut answers = client.session(queue).await.unwrap();
    for sequence in 0..50u64 {
        requests.send(request(sequence, u128::from(sequence + 1))).await.unwrap();
    }
    drop(requests);
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(matches!(answer.result, Some(Answer::Appended(_))), "{answer:?}");
    }
    let mut ids: Vec<_> = client.read(proto::ReadRequest::default()).await.unwrap();
    ids.sort_by(|a, b| a.id.cmp(&b.id));
    let ids: Vec<u128> =
        ids.iter().map(|e| u128::from_be_bytes(e.id[..].try_into().unwrap())).collect();
    assert_eq!(ids, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_sequence_that_does_not_grow_ends_the_session() {
    let server = TestServer::new();
    let client = server.client("events:append").await;
    let (requests, queue) = mpsc::channel(8);
    let mut answers = client.session(queue).await.unwrap();
    requests.send(request(5, 1)).await.unwrap();
    requests.send(request(5, 2)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().sequence, 5);
    let ended = answers.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::InvalidArgument, "invalid-body"));
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_drain_ends_the_session() {
    let server = TestServer::new();
    let client = server.client("events:append").await;
    let (requests, queue) = mpsc::channel(8);
    let mut answers = client.session(queue).await.unwrap();
    requests.send(request(1, 1)).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().sequence, 1);
    server.drain.cancel();
    let ended = answers.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "stopping"));
    server.stop().await;
}
