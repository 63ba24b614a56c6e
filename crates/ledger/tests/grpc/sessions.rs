//! Sessions: many frames in flight, answered in order, refused one by one, repeated without a second effect.

use lombard_ledger::Config;
use lombard_proto::ledger::v1::{
    SessionRequest, SessionResponse, TransferResult, session_response::Result as Answer,
};
use tonic::{Code, Streaming};

use super::support::{Client, TestServer, reason, record, results};

const ALL: &str = "ledger:read ledger:write";
const LINKED: u16 = 1;

fn frame(sequence: u64, records: &[Vec<u8>]) -> SessionRequest {
    SessionRequest { sequence, transfers: records.concat().into() }
}

async fn next(answers: &mut Streaming<SessionResponse>) -> (u64, Answer) {
    let SessionResponse { sequence, result } = answers.message().await.unwrap().unwrap();
    (sequence, result.unwrap())
}

/// The results of one frame.
async fn sent(client: &Client, records: &[Vec<u8>]) -> Vec<(u16, bool, u64, u64)> {
    let mut answers = client.session(vec![frame(1, records)]).await.unwrap();
    match next(&mut answers).await {
        (1, Answer::Results(bytes)) => results(&bytes),
        other => panic!("{other:?}"),
    }
}

/// Why one frame was refused.
async fn refused(client: &Client, records: &[Vec<u8>]) -> String {
    let mut answers = client.session(vec![frame(1, records)]).await.unwrap();
    match next(&mut answers).await {
        (1, Answer::Error(status)) => status.error_info().unwrap().reason,
        other => panic!("{other:?}"),
    }
}

fn codes(results: &[(u16, bool, u64, u64)]) -> Vec<i32> {
    results.iter().map(|(code, ..)| i32::from(*code)).collect()
}

#[tokio::test]
async fn more_frames_than_the_window_are_answered_in_order() {
    let server = TestServer::with(Config { session_frames_max: 4, ..Config::default() });
    server.open_accounts().await;
    let client = server.client(ALL).await;
    let frames = (1..=100u64).map(|number| {
        let records = (0..10u128).map(|n| record(u128::from(number) * 10 + n, 1, 2, 1, 0));
        frame(number * 3, &records.collect::<Vec<_>>())
    });
    let mut answers = client.session(frames.collect()).await.unwrap();
    let mut last = 0;
    for number in 1..=100u64 {
        let (sequence, Answer::Results(bytes)) = next(&mut answers).await else { panic!() };
        assert_eq!(sequence, number * 3);
        let results = results(&bytes);
        assert_eq!(results.len(), 10);
        for (code, is_replay, position, time) in results {
            assert!(code == 0 && !is_replay && position >= last && time > 0);
            last = position;
        }
    }
    assert!(answers.message().await.unwrap().is_none());
    // Again: the same answers, and nothing happens.
    let again = sent(&client, &[record(10, 1, 2, 1, 0)]).await;
    assert!(matches!(again[..], [(0, true, position, _)] if position <= last));
}

#[tokio::test]
async fn each_set_of_a_frame_ends_by_itself() {
    let server = TestServer::new().await;
    let client = server.client(ALL).await;
    let results = sent(
        &client,
        &[
            record(1, 1, 2, 100, 0),
            record(2, 2, 3, 60, LINKED),
            record(2, 2, 3, 60, 0),
            record(3, 2, 9, 1, LINKED),
            record(3, 2, 3, 1, 0),
            record(4, 2, 3, 100, 0),
        ],
    )
    .await;
    let (linked, short, none) = (
        TransferResult::LinkedEventFailed.into(),
        TransferResult::ExceedsCredits.into(),
        TransferResult::CreditAccountNotFound.into(),
    );
    assert_eq!(codes(&results), [0, linked, short, none, linked, 0]);
    let positions: Vec<u64> = results.iter().map(|(_, _, position, _)| *position).collect();
    assert!(positions[0] > 0 && positions[1] == positions[0] && positions[3..5] == [0, 0]);
}

#[tokio::test]
async fn reservations_are_posted_voided_and_reversed() {
    let server = TestServer::new().await;
    let client = server.client(ALL).await;
    let act = |id: u128, other: u128, flag: u16| {
        let mut record = record(id, 0, 0, 0, flag | 0x800);
        record[64..80].copy_from_slice(&other.to_le_bytes());
        record
    };
    let reserved = [record(1, 1, 2, 100, 2), record(2, 1, 2, 50, 2)];
    assert_eq!(codes(&sent(&client, &reserved).await), [0, 0]);
    let ended = [act(3, 1, 4), act(4, 2, 8), act(5, 1, 4)];
    let over = TransferResult::PendingTransferAlreadyPosted.into();
    assert_eq!(codes(&sent(&client, &ended).await), [0, 0, over]);
    // Who may do only that, for the accounts below a path.
    let other = server.client("ledger:reverse:shop/*").await;
    assert_eq!(codes(&sent(&other, &[act(6, 3, 0x200)]).await), [0]);
    assert_eq!(refused(&other, &[act(7, 1, 4)]).await, "insufficient-scope");
    let none: i32 = TransferResult::ReversedTransferNotFound.into();
    assert_eq!(codes(&sent(&client, &[act(8, 99, 0x200)]).await), [none]);
}

#[tokio::test]
async fn a_frame_is_refused_as_a_whole_and_the_session_goes_on() {
    let server = TestServer::with(Config { frame_transfers_max: 3, ..Config::default() });
    server.open_accounts().await;
    let client = server.client(ALL).await;
    for records in [
        vec![],
        vec![vec![0; 127]],
        vec![record(1, 1, 2, 1, LINKED)],
        vec![record(1, 1, 2, 1, 0x4000)],
        vec![record(1, 1, 2, 1, 0); 4],
    ] {
        assert_eq!(refused(&client, &records).await, "invalid-body");
    }
    let writer = server.client("ledger:write:shop/*").await;
    let foreign = [record(1, 2, 3, 1, 0), record(2, 1, 2, 1, 0)];
    assert_eq!(refused(&writer, &foreign).await, "insufficient-scope");
    for flag in [0x100, 0x1000] {
        assert_eq!(refused(&client, &[record(1, 1, 2, 1, flag)]).await, "insufficient-scope");
    }
    let frames = vec![frame(1, &[]), frame(2, &[record(1, 1, 2, 1, 0)]), frame(2, &[])];
    let mut answers = client.session(frames).await.unwrap();
    assert!(matches!(next(&mut answers).await, (1, Answer::Error(_))));
    // The first frame in which the id was used left no trace.
    assert!(
        matches!(next(&mut answers).await, (2, Answer::Results(bytes)) if results(&bytes)[0].0 == 0)
    );
    let ended = answers.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::InvalidArgument, "invalid-body"));
}
