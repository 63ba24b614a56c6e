//! Sessions of many callers.

use futures_util::future::{join_all, try_join_all};
use lombard_client::grpc::{
    GrpcError,
    ledger::{
        LedgerSession, PackedSets, PackedTransfer, SessionOptions, TransferKind, v1::TransferResult,
    },
};

use super::{ALL, TestServer, balances, id, transfer};

async fn submitted(session: &LedgerSession, sets: impl Into<PackedSets>) -> Vec<TransferResult> {
    let outcomes = session.submit(sets).await.unwrap().await.unwrap();
    outcomes.iter().map(|outcome| outcome.result().unwrap()).collect()
}

#[tokio::test]
async fn callers_share_a_session() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    let options = SessionOptions { in_flight_max: 16, ..SessionOptions::default() };
    let session = client.session(options);
    let paid = (1..=300).map(|number| {
        let session = session.clone();
        async move { submitted(&session, &transfer(number, 1, 2, 1)).await }
    });
    for results in join_all(paid).await {
        assert_eq!(results, [TransferResult::Created]);
    }
    assert_eq!(balances(&client, &["shop/a"]).await[0].posted, "3.00");
    // What is sent again is told so, and nothing happens.
    let again = session.submit(&transfer(7, 1, 2, 1)).await.unwrap().await.unwrap();
    let outcome = again.iter().next().unwrap();
    assert!(outcome.is_replayed && outcome.is_created() && outcome.position.is_some());
    assert_eq!(balances(&client, &["shop/a"]).await[0].posted, "3.00");
    assert_eq!(
        submitted(&session, &transfer(7, 1, 2, 2)).await,
        [TransferResult::ExistsWithDifferentAmount]
    );
}

#[tokio::test]
async fn sets_go_together_and_end_each_by_itself() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    let session = client.session(SessionOptions::default());
    let mut sets = PackedSets::new();
    sets.push(&transfer(1, 1, 2, 100));
    sets.push_set(&[transfer(2, 2, 3, 60), transfer(2, 2, 3, 60)]);
    sets.push_set(&[transfer(3, 2, 3, 60), transfer(3, 2, 3, 40)]);
    sets.push(&transfer(4, 1, 2, 50).pending(0));
    sets.push(&PackedTransfer::whole(id(5), TransferKind::Post { pending: id(4) }));
    use TransferResult as R;
    assert_eq!(
        submitted(&session, sets).await,
        [
            R::Created,
            R::LinkedEventFailed,
            R::ExceedsCredits,
            R::Created,
            R::Created,
            R::Created,
            R::Created
        ]
    );
    let balances = balances(&client, &["shop/a", "shop/b"]).await;
    assert_eq!((balances[0].posted.as_str(), balances[1].posted.as_str()), ("0.50", "1.00"));
    for count in [0, 8191] {
        let sets = PackedSets::with_capacity(0);
        let sets = (0..count).fold(sets, |mut sets, number| {
            sets.push(&transfer(100 + number, 1, 2, 1));
            sets
        });
        let refused = session.submit(sets).await.unwrap_err();
        assert!(matches!(refused, GrpcError::Invalid { .. }), "{refused}");
    }
}

/// A frame that is sent again is answered as the first time: from one record, also where one transfer of it is about a
/// whole set of several.
#[tokio::test]
async fn a_frame_is_repeated() {
    let server = TestServer::new().await;
    let client = server.own_client(ALL);
    let session = client.session(SessionOptions::default());
    let mut reserved = PackedSets::new();
    reserved.push_set(&[transfer(1, 1, 2, 5).pending(0), transfer(1, 1, 3, 5).pending(0)]);
    assert_eq!(submitted(&session, reserved).await, [TransferResult::Created; 2]);
    let mut frame = PackedSets::new();
    frame.push(&PackedTransfer::whole(id(2), TransferKind::Post { pending: id(1) }));
    frame.push_set(&[transfer(3, 2, 3, 1), transfer(3, 2, 3, 1000)]);
    (10..200).for_each(|number| frame.push(&transfer(number, 1, 2, 1)));
    let first = session.submit(frame.clone()).await.unwrap().await.unwrap();
    let again = session.submit(frame).await.unwrap().await.unwrap();
    use TransferResult as R;
    let results: Vec<_> = first.iter().take(4).map(|one| one.result().unwrap()).collect();
    assert_eq!(results, [R::Created, R::LinkedEventFailed, R::ExceedsCredits, R::Created]);
    assert_eq!((first.len(), again.len()), (193, 193));
    for (first, again) in first.iter().zip(again.iter()) {
        assert!(!first.is_replayed && again.is_replayed);
        assert_eq!(
            (first.result_code, first.position, first.recorded_at),
            (again.result_code, again.position, again.recorded_at)
        );
    }
    assert_eq!(balances(&client, &["shop/a"]).await[0].posted, "1.95");
}

#[tokio::test]
async fn who_may_not_pay_does_not_hold_up_others() {
    let server = TestServer::new().await;
    let all = server.own_client(ALL).session(SessionOptions::default());
    assert_eq!(submitted(&all, &transfer(1, 1, 2, 1000)).await, [TransferResult::Created]);
    let options = SessionOptions { frames_in_flight_max: 1, ..SessionOptions::default() };
    let session = server.own_client("ledger:write:shop/*").session(options);
    // What is submitted while the first frame is under way shares the next one.
    let asked = (0..40).map(|number| {
        let debit = if number % 4 == 3 { 1 } else { 2 };
        session.submit(PackedSets::from(&transfer(10 + number, debit, 3, 1)))
    });
    for (number, submitted) in (0..).zip(join_all(asked).await) {
        let answer = submitted.unwrap().await;
        if number % 4 == 3 {
            assert_eq!(answer.unwrap_err().slug().as_deref(), Some("insufficient-scope"));
        } else {
            assert_eq!(answer.unwrap().first_refused(), None);
        }
    }
}

/// Two hundred sessions, on one connection and then on one each: all are under way at once.
#[tokio::test]
async fn there_is_no_cap_at_64_sessions() {
    const SESSIONS: u128 = 200;
    let server = TestServer::new().await;
    let shared = server.own_client(ALL);
    for (round, is_shared) in [(1, true), (2, false)] {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| match is_shared {
                true => shared.session(SessionOptions::default()),
                false => server.own_client(ALL).session(SessionOptions::default()),
            })
            .collect();
        let pay = |step: u128| {
            let sessions = &sessions;
            try_join_all((0..).zip(sessions).map(move |(number, session)| async move {
                let id = (round << 32) + (step << 16) + number + 1;
                session.submit(&transfer(id, 1, 2, 1)).await?.await
            }))
        };
        // In the second step every session of the first is still open.
        for step in 0..2 {
            let outcomes = pay(step).await.unwrap();
            assert!(outcomes.iter().all(|outcomes| outcomes.first_refused().is_none()));
        }
    }
    let paid = balances(&shared, &["shop/a"]).await;
    assert_eq!(paid[0].posted, "8.00");
}
