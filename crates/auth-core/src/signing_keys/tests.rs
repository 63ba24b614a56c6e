use proptest::prelude::*;

use super::*;
use crate::{
    Command as Whole, Event as WholeEvent, Rejection as WholeRejection, State, Target,
    state::tests::{LIVES, at, submit},
};

const SCHEDULE: Schedule = Schedule {
    prepublish: Duration::from_secs(10),
    active: Duration::from_secs(100),
    retire: Duration::from_secs(40),
};

/// A key of this number. Not a real one: nothing is signed here.
pub(crate) fn jwk(number: u8) -> PublicJwk {
    // RFC 8037 appendix A.2 has the point; the `kid` tells them apart.
    let text = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"k{number}"}}"#
    );
    PublicJwk::parse(text.as_bytes()).unwrap()
}

fn command(command: Command) -> Whole {
    Whole::SigningKey(command, LIVES)
}

fn begin(active: u8, standby: u8) -> Whole {
    command(Command::Begin { active: jwk(active), standby: jwk(standby) })
}

fn rotate(next: u8) -> Whole {
    command(Command::Rotate { next: jwk(next), prepublish: SCHEDULE.prepublish })
}

fn retire(kid: &str) -> Whole {
    command(Command::Retire { kid: kid.into(), retire: SCHEDULE.retire })
}

fn compromise(kid: &str, next: u8) -> Whole {
    command(Command::Compromise { kid: kid.into(), next: jwk(next) })
}

/// The `kid`s with their phases.
fn shown(state: &State) -> Vec<(&str, &'static str)> {
    state.signing_keys.iter().map(|key| (key.jwk.kid(), key.phase.name())).collect()
}

fn begun() -> State {
    let mut state = State::default();
    submit(&mut state, 100, begin(1, 2)).unwrap();
    state
}

fn refused(rejection: Rejection) -> WholeRejection {
    WholeRejection::SigningKey(rejection)
}

#[test]
fn a_key_is_published_before_it_is_used_and_after_it_was() {
    let mut state = begun();
    assert_eq!(shown(&state), [("k1", "active"), ("k2", "standby")]);
    assert_eq!(
        state.signing_keys.next_step(SCHEDULE),
        Some((at(200), Step::Rotate(Algorithm::EdDsa)))
    );
    let early = submit(&mut state, 109, rotate(3)).unwrap_err();
    assert_eq!(early, refused(Rejection::TooEarly { ready_at: at(110) }));
    submit(&mut state, 110, rotate(3)).unwrap();
    assert_eq!(shown(&state), [("k1", "retiring"), ("k2", "active"), ("k3", "standby")]);
    let retiring = Step::Retire("k1".into());
    assert_eq!(state.signing_keys.next_step(SCHEDULE), Some((at(150), retiring)));
    for (kid, seconds, expected) in [
        ("k1", 149, Rejection::TooEarly { ready_at: at(150) }),
        ("k2", 500, Rejection::NotRetiring),
        ("k3", 500, Rejection::NotRetiring),
        ("k9", 500, Rejection::KeyNotFound),
    ] {
        assert_eq!(submit(&mut state, seconds, retire(kid)).unwrap_err(), refused(expected));
    }
    let (events, _) = submit(&mut state, 150, retire("k1")).unwrap();
    assert_eq!(events.len(), 1, "nothing is revoked");
    assert_eq!(shown(&state), [("k2", "active"), ("k3", "standby")]);
    // The standby came late: it is not used before it was published for long enough.
    let late = Schedule { active: Duration::ZERO, ..SCHEDULE };
    assert_eq!(state.signing_keys.next_step(late), Some((at(120), Step::Rotate(Algorithm::EdDsa))));
}

#[test]
fn what_a_compromised_key_signed_is_good_no_more() {
    for (kid, expected) in [
        ("k1", vec![("k2", "active"), ("k3", "standby"), ("k9", "retiring")]),
        ("k2", vec![("k1", "active"), ("k3", "standby"), ("k9", "retiring")]),
        ("k9", vec![("k1", "active"), ("k2", "standby")]),
    ] {
        let mut state = State::default();
        submit(&mut state, 1, begin(9, 8)).unwrap();
        submit(&mut state, 2, begin(1, 2)).unwrap();
        let (events, _) = submit(&mut state, 5, compromise(kid, 3)).unwrap();
        assert_eq!(shown(&state), expected, "{kid}");
        let revoked = WholeEvent::Revoked {
            target: Target::Key(kid.into()),
            at: at(5),
            until: at(5).plus(LIVES.access_token),
        };
        assert!(events.contains(&revoked));
        let claims = |kid: &str, issued_at| lombard_token::Claims {
            signed_by: kid.into(),
            issued_at,
            ..Default::default()
        };
        // Whoever has the key can say any time.
        for issued_at in [at(1), at(5), at(9), at(100_000)] {
            assert!(state.revocations.contains(&claims(kid, issued_at)));
        }
        assert!(!state.revocations.contains(&claims("k7", at(1))));
        let again = submit(&mut state, 6, compromise(kid, 4)).unwrap_err();
        assert_eq!(again, refused(Rejection::KeyNotFound));
        // It is forgotten with the next one after the life of tokens, like every other.
        let end = at(6).plus(LIVES.access_token).unix_seconds();
        let active = state.signing_keys.active(Algorithm::EdDsa).unwrap().jwk.kid().to_owned();
        submit(&mut state, end, compromise(&active, 5)).unwrap();
        assert_eq!(state.revocations.count(), 1);
    }
}

#[test]
fn a_key_that_is_lost_is_followed_by_a_new_one_at_once() {
    let mut state = begun();
    submit(&mut state, 101, begin(3, 4)).unwrap();
    assert_eq!(shown(&state), [("k1", "retiring"), ("k3", "active"), ("k4", "standby")]);
    for (active, standby) in [(3, 5), (5, 1)] {
        let refusal = submit(&mut state, 102, begin(active, standby)).unwrap_err();
        assert_eq!(refusal, refused(Rejection::KeyExists));
    }
    let nothing = submit(&mut State::default(), 1, rotate(1)).unwrap_err();
    assert_eq!(nothing, refused(Rejection::KeyNotFound));
}

/// A key of this number on P-256. RFC 7515 appendix A.3.1 has the point.
fn es256(number: u8) -> PublicJwk {
    let text = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"e{number}"}}"#
    );
    PublicJwk::parse(text.as_bytes()).unwrap()
}

#[test]
fn keys_of_two_algorithms_follow_each_other_apart() {
    let mut state = begun();
    let begin = Command::Begin { active: es256(1), standby: es256(2) };
    submit(&mut state, 105, command(begin)).unwrap();
    let both = [("e1", "active"), ("e2", "standby"), ("k1", "active"), ("k2", "standby")];
    assert_eq!(shown(&state), both);
    let algorithms: Vec<_> = state.signing_keys.algorithms().collect();
    assert_eq!(algorithms, [Algorithm::Es256, Algorithm::EdDsa]);
    let next = |state: &State| state.signing_keys.next_step(SCHEDULE);
    assert_eq!(next(&state), Some((at(200), Step::Rotate(Algorithm::EdDsa))));
    submit(&mut state, 200, rotate(3)).unwrap();
    assert_eq!(next(&state), Some((at(205), Step::Rotate(Algorithm::Es256))));
    let e3 = Command::Rotate { next: es256(3), prepublish: SCHEDULE.prepublish };
    submit(&mut state, 205, command(e3)).unwrap();
    let rotated = [
        ("e1", "retiring"),
        ("e2", "active"),
        ("e3", "standby"),
        ("k1", "retiring"),
        ("k2", "active"),
        ("k3", "standby"),
    ];
    assert_eq!(shown(&state), rotated);
    // The successor of a key is of its algorithm.
    for wrong in [
        compromise("e2", 4),
        command(Command::Begin { active: es256(4), standby: jwk(4) }),
        command(Command::Compromise { kid: "k2".into(), next: es256(4) }),
    ] {
        assert_eq!(submit(&mut state, 206, wrong).unwrap_err(), refused(Rejection::OtherAlgorithm));
    }
    let e4 = Command::Compromise { kid: "e2".into(), next: es256(4) };
    submit(&mut state, 206, command(e4)).unwrap();
    let taken_back = [
        ("e1", "retiring"),
        ("e3", "active"),
        ("e4", "standby"),
        ("k1", "retiring"),
        ("k2", "active"),
        ("k3", "standby"),
    ];
    assert_eq!(shown(&state), taken_back);
}

#[test]
fn verifiers_take_so_many_keys() {
    let mut state = begun();
    let at_once =
        |number| command(Command::Rotate { next: jwk(number), prepublish: Duration::ZERO });
    for number in 3..=16 {
        submit(&mut state, 200, at_once(number)).unwrap();
    }
    let refusal = submit(&mut state, 200, at_once(17)).unwrap_err();
    assert_eq!(refusal, refused(Rejection::TooManyKeys));
    submit(&mut state, 240, retire("k1")).unwrap();
    submit(&mut state, 240, at_once(17)).unwrap();
}

proptest! {
    /// Whatever is asked for: one key signs, one is next, and a key is used only after its time, but where it must be.
    #[test]
    fn there_is_always_one_active_and_one_standby(
        steps in prop::collection::vec((0u8..4, 0usize..5, 1u64..60), 0..60),
    ) {
        let mut state = begun();
        let mut now = 100;
        for (number, (kind, which, pause)) in (10u8..).zip(steps) {
            now += pause;
            let kids: Vec<Box<str>> =
                state.signing_keys.iter().map(|key| key.jwk.kid().into()).collect();
            let kid = &kids[which % kids.len()];
            let command = match kind {
                0 => rotate(number),
                1 => retire(kid),
                2 => compromise(kid, number),
                _ => begin(number, number + 100),
            };
            let standby = state.signing_keys.standby(Algorithm::EdDsa).cloned().unwrap();
            let count_before = kids.len();
            let result = submit(&mut state, now, command);
            let count = |name| {
                state.signing_keys.iter().filter(|key| key.phase.name() == name).count()
            };
            prop_assert_eq!((count("active"), count("standby")), (1, 1));
            if kind == 0 {
                let is_ready = standby.published_at.plus(SCHEDULE.prepublish) <= at(now);
                let has_room = count_before < SigningKeys::COUNT_MAX;
                prop_assert_eq!(result.is_ok(), is_ready && has_room);
            }
            prop_assert!(state.signing_keys.next_step(SCHEDULE).is_some());
        }
    }
}
