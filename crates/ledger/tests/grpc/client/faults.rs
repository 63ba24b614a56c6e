//! What goes wrong below a session: it goes on, or says what is not known.

use std::time::Duration;

use futures_util::future::try_join_all;
use lombard_client::grpc::{
    GrpcError,
    ledger::{GrpcLedger, SessionOptions},
};
use tokio::net::TcpListener;

use super::{ALL, TestServer, balances, relay::Relay, transfer};

/// The connection is cut again and again; every transfer happens once, and all are answered.
#[tokio::test]
async fn a_session_goes_on_after_cuts() {
    const CALLERS: u128 = 8;
    const EACH: u128 = 40;
    let server = TestServer::new().await;
    let relay = Relay::start(server.address).await;
    let client = GrpcLedger::with_token(relay.address.to_string(), &server.token(ALL));
    let session = client.session(SessionOptions { frames_in_flight_max: 2, ..Default::default() });
    let callers = (0..CALLERS).map(|caller| {
        let (session, relay) = (session.clone(), &relay);
        async move {
            for number in 0..EACH {
                let paying =
                    session.submit(&transfer((caller << 32) + number + 1, 1, 2, 1)).await?;
                // While transfers are under way.
                if number % 10 == 9 {
                    relay.cut();
                }
                assert_eq!(paying.await?.first_refused(), None);
            }
            Ok::<_, GrpcError>(())
        }
    });
    try_join_all(callers).await.unwrap();
    let direct = server.own_client(ALL);
    let a = balances(&direct, &["shop/a"]).await.remove(0);
    assert_eq!((a.posted.as_str(), u128::from(a.version)), ("3.20", CALLERS * EACH));
}

#[tokio::test]
async fn a_deadline_says_what_is_not_known() {
    let options = SessionOptions { deadline: Duration::from_millis(50), ..Default::default() };
    // It takes connections and says nothing: what was sent may have happened.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let session = GrpcLedger::with_token(&address, "token").session(options);
    let unknown = session.submit(&transfer(1, 1, 2, 1)).await.unwrap().await.unwrap_err();
    assert!(matches!(unknown, GrpcError::OutcomeUnknown { .. }), "{unknown}");
    drop(mute);
    // Nobody is there: nothing was sent.
    let session = GrpcLedger::with_token(&address, "token").session(options);
    let not_sent = session.submit(&transfer(1, 1, 2, 1)).await.unwrap().await.unwrap_err();
    assert!(matches!(not_sent, GrpcError::NotSent { .. }), "{not_sent}");
    assert!(not_sent.is_temporary());
}

/// More than the limit waits for its place, and no longer than its deadline.
#[tokio::test]
async fn a_place_is_waited_for_until_the_deadline() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let deadline = Duration::from_millis(50);
    let options = SessionOptions { deadline, in_flight_max: 1, ..Default::default() };
    let session = GrpcLedger::with_token(&address, "token").session(options);
    let first = session.submit(&transfer(1, 1, 2, 1)).await.unwrap();
    // Whichever ends first: its own wait, or the first one's.
    let second = async { session.submit(&transfer(2, 1, 2, 1)).await?.await };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err() && second.is_err());
}

#[tokio::test]
async fn a_token_that_is_refused_fails_what_is_submitted() {
    let server = TestServer::new().await;
    let client = GrpcLedger::with_token(server.address.to_string(), "not a token");
    let session = client.session(SessionOptions::default());
    for number in 1..3 {
        let refused = session.submit(&transfer(number, 1, 2, 1)).await.unwrap().await.unwrap_err();
        assert_eq!(refused.slug().as_deref(), Some("unauthenticated"), "{refused}");
    }
}

/// The server stops while a session is open, and another takes its place.
#[tokio::test]
async fn a_session_outlives_its_server() {
    let (first, second) = (TestServer::new().await, TestServer::new().await);
    let relay = Relay::start(first.address).await;
    let client = GrpcLedger::with_token(relay.address.to_string(), &first.token(ALL));
    let session = client.session(SessionOptions::default());
    assert_eq!(session.submit(&transfer(1, 1, 2, 1)).await.unwrap().await.unwrap().len(), 1);
    first.stop().await;
    let deadline = Duration::from_millis(200);
    let options = SessionOptions { deadline, ..SessionOptions::default() };
    let late = client.session(options).submit(&transfer(2, 1, 2, 1)).await.unwrap().await;
    assert!(late.unwrap_err().is_temporary());
    let other = second.own_client(ALL).session(SessionOptions::default());
    assert_eq!(other.submit(&transfer(2, 1, 2, 1)).await.unwrap().await.unwrap().len(), 1);
}
