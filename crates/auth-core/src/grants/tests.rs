use proptest::prelude::*;

use super::*;
use crate::{
    Acr, Command as Whole, Rejection as WholeRejection, Reply as WholeReply, State,
    state::tests::{LIVES, at, populated, submit},
};

const CODE_LIFE: u64 = 60;

/// A grant of the first person to `shop` in session 1, with a code of the same number.
pub(crate) fn grant(id: u8) -> UserGrant {
    UserGrant {
        id: GrantId([id; 16]),
        user: UserId([1; 16]),
        client: "shop".parse().unwrap(),
        session: SessionId([1; 16]),
        is_offline: true,
        audience: "https://bank.example/v1/ledger".into(),
        scope: "openid ledger:read".parse().unwrap(),
        authorization_details: Default::default(),
        authenticated_at: at(2),
        acr: Acr::Password,
        page_sha256: Some([9; 32]),
        started_at: Timestamp::EPOCH,
        expires_at: Timestamp::EPOCH,
        lasts_until: at(5000),
        key_thumbprint: None,
        code: Some(Box::new(Code {
            sha256: [id; 32],
            redirect_uri: "https://shop.example/cb".into(),
            challenge: [id; 32],
            key_thumbprint: None,
            nonce: None,
            expires_at: Timestamp::EPOCH,
            redeemed_at: None,
            remembered_until: Timestamp::EPOCH,
        })),
        refresh: None,
    }
}

pub(crate) fn start(grant: UserGrant) -> Whole {
    let command = Command::Start {
        grant: Box::new(grant),
        code_life: Duration::from_secs(CODE_LIFE),
        code_memory: Duration::from_secs(600),
        per_user_max: 10,
        grants_max: 100,
    };
    Whole::Grant(command, LIVES)
}

fn redemption(id: u8) -> Redemption {
    Redemption {
        code_sha256: [id; 32],
        client: "shop".parse().unwrap(),
        redirect_uri: Some("https://shop.example/cb".into()),
        challenge: [id; 32],
        key_thumbprint: None,
        binds_refresh: false,
        may_refresh: true,
    }
}

pub(crate) fn redeem(id: u8) -> Whole {
    Whole::Grant(Command::Redeem(redemption(id)), LIVES)
}

fn refreshing(generation: u32) -> Refreshing {
    Refreshing {
        id: GrantId([1; 16]),
        generation,
        client: "shop".parse().unwrap(),
        key_thumbprint: None,
        rotates: true,
        grace: Duration::from_secs(30),
    }
}

fn refresh(state: &mut State, seconds: u64, refreshing: Refreshing) -> Result<Reply, Rejection> {
    match submit(state, seconds, Whole::Grant(Command::Refresh(refreshing), LIVES)) {
        Ok((_, WholeReply::Grant(reply))) => Ok(reply),
        Err(WholeRejection::Grant(rejection)) => Err(rejection),
        other => panic!("{other:?}"),
    }
}

fn try_redeem(state: &mut State, seconds: u64, redemption: Redemption) -> Result<Reply, Rejection> {
    match submit(state, seconds, Whole::Grant(Command::Redeem(redemption), LIVES)) {
        Ok((_, WholeReply::Grant(reply))) => Ok(reply),
        Err(WholeRejection::Grant(rejection)) => Err(rejection),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_code_is_for_its_client_redirect_uri_verifier_and_key() {
    let mut state = populated();
    let mut bound = grant(1);
    bound.code.as_mut().unwrap().key_thumbprint = Some("key".into());
    submit(&mut state, 3, start(bound)).unwrap();
    let good = || Redemption { key_thumbprint: Some("key".into()), ..redemption(1) };
    for (redemption, rejection) in [
        (Redemption { code_sha256: [7; 32], ..good() }, Rejection::CodeUnknown),
        (Redemption { client: "other".parse().unwrap(), ..good() }, Rejection::OtherClient),
        (
            Redemption { redirect_uri: Some("https://evil".into()), ..good() },
            Rejection::OtherRedirectUri,
        ),
        (Redemption { challenge: [7; 32], ..good() }, Rejection::OtherVerifier),
        (Redemption { key_thumbprint: None, ..good() }, Rejection::OtherKey),
        (Redemption { key_thumbprint: Some("other".into()), ..good() }, Rejection::OtherKey),
    ] {
        assert_eq!(try_redeem(&mut state, 4, redemption), Err(rejection));
    }
    let late = try_redeem(&mut state.clone(), 3 + CODE_LIFE, good());
    assert_eq!(late, Err(Rejection::CodeUnknown));
    // OAuth 2.1 lets the redirect URI be left out: the code's verifier says enough.
    let without = Redemption { redirect_uri: None, ..good() };
    assert!(matches!(try_redeem(&mut state, 4, without), Ok(Reply::Redeemed(_))));
}

#[test]
fn a_code_gives_one_success_and_its_replay_takes_that_back() {
    let mut state = populated();
    submit(&mut state, 3, start(grant(1))).unwrap();
    assert!(matches!(try_redeem(&mut state, 4, redemption(1)), Ok(Reply::Redeemed(_))));
    // Even if the thief knows nothing else, and long after the code's own life.
    let stolen =
        Redemption { client: "thief".parse().unwrap(), challenge: [0; 32], ..redemption(1) };
    let (events, reply) =
        submit(&mut state, 600, Whole::Grant(Command::Redeem(stolen), LIVES)).unwrap();
    assert_eq!(reply, WholeReply::Grant(Reply::CodeReplayed(GrantId([1; 16]))));
    assert_eq!(events.len(), 2, "the grant ends, and its tokens are revoked: {events:?}");
    assert_eq!(refresh(&mut state, 601, refreshing(0)), Err(Rejection::RefreshUnknown));
}

#[test]
fn a_refresh_token_of_a_client_that_rotates_none_stays() {
    let mut state = populated();
    submit(&mut state, 3, start(grant(1))).unwrap();
    submit(&mut state, 4, redeem(1)).unwrap();
    for seconds in [5, 500, 4999] {
        let stays = Refreshing { rotates: false, ..refreshing(0) };
        assert!(matches!(refresh(&mut state, seconds, stays), Ok(Reply::Refreshed(_, 0))));
    }
    assert_eq!(refresh(&mut state, 5000, refreshing(0)), Err(Rejection::RefreshUnknown));
}

#[test]
fn a_refresh_token_is_for_its_client_and_key() {
    let mut state = populated();
    submit(&mut state, 3, start(grant(1))).unwrap();
    let bound =
        Redemption { key_thumbprint: Some("key".into()), binds_refresh: true, ..redemption(1) };
    try_redeem(&mut state, 4, bound).unwrap();
    let good = || Refreshing { key_thumbprint: Some("key".into()), ..refreshing(0) };
    for (refreshing, rejection) in [
        (Refreshing { client: "other".parse().unwrap(), ..good() }, Rejection::OtherClient),
        (Refreshing { key_thumbprint: None, ..good() }, Rejection::OtherKey),
        (Refreshing { generation: 1, ..good() }, Rejection::RefreshUnknown),
        (Refreshing { id: GrantId([2; 16]), ..good() }, Rejection::RefreshUnknown),
    ] {
        assert_eq!(refresh(&mut state, 5, refreshing), Err(rejection));
    }
    assert!(matches!(refresh(&mut state, 6, good()), Ok(Reply::Refreshed(_, 1))));
}

proptest! {
    /// Against a model of three numbers: the newest generation, when it came, whether the family lives.
    #[test]
    fn refresh_tokens_behave_like_the_model(
        steps in prop::collection::vec((0u64..40, 0u32..6), 1..60),
    ) {
        let mut state = populated();
        submit(&mut state, 3, start(grant(1))).unwrap();
        submit(&mut state, 4, redeem(1)).unwrap();
        let (mut now, mut newest, mut since, mut lives) = (4, 0u32, 4, true);
        for (pause, behind) in steps {
            now += pause;
            let generation = newest.saturating_sub(behind.saturating_sub(1)) + u32::from(behind == 0);
            let found = refresh(&mut state, now, refreshing(generation));
            let expected = if !lives || generation > newest {
                Err(Rejection::RefreshUnknown)
            } else if generation == newest {
                (newest, since) = (newest + 1, now);
                Ok(Some(newest))
            } else if generation + 1 == newest && now <= since + 30 {
                Ok(Some(newest))
            } else {
                lives = false;
                Ok(None)
            };
            match (found, expected) {
                (Ok(Reply::Refreshed(_, number)), Ok(Some(expected))) => prop_assert_eq!(number, expected),
                (Ok(Reply::RefreshReused(_)), Ok(None)) => {}
                (Err(found), Err(expected)) => prop_assert_eq!(found, expected),
                (found, expected) => prop_assert!(false, "{found:?} instead of {expected:?}"),
            }
        }
    }

    /// Whatever is shown in whatever order: a code gives at most one success.
    #[test]
    fn a_code_gives_at_most_one_success(
        steps in prop::collection::vec((0u64..50, 0u8..4), 1..30),
    ) {
        let mut state = populated();
        submit(&mut state, 3, start(grant(1))).unwrap();
        let (mut now, mut successes, mut is_replayed) = (4, 0, false);
        for (pause, what) in steps {
            now += pause;
            let mut shown = redemption(1);
            match what {
                1 => shown.challenge = [7; 32],
                2 => shown.client = "other".parse().unwrap(),
                _ => {}
            }
            match try_redeem(&mut state, now, shown) {
                Ok(Reply::Redeemed(_)) => successes += 1,
                Ok(Reply::CodeReplayed(_)) => is_replayed = true,
                Ok(other) => prop_assert!(false, "{other:?}"),
                Err(_) => {}
            }
            prop_assert!(successes <= 1);
            prop_assert!(!is_replayed || (successes == 1 && state.grants.count() == 0));
        }
    }
}
