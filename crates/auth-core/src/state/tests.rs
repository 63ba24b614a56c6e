use std::collections::BTreeSet;

use super::*;
use crate::{Acr, Session, SessionId, User, UserGrant, UserId, grants::tests as granting};

pub(crate) const LIVES: Lives = Lives { access_token: Duration::from_secs(360), telling: TELLING };
const TELLING: Telling = Telling { patience: Duration::from_secs(60), logouts_max: 9 };

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// Decides and applies.
pub(crate) fn submit(
    state: &mut State,
    seconds: u64,
    command: Command,
) -> Result<(Vec<Event>, Reply), Rejection> {
    match state.decide(command, at(seconds))? {
        Decision::Commit(events, reply) => {
            events.iter().for_each(|event| state.apply(event, at(seconds)));
            Ok((events, reply))
        }
        Decision::Answer(reply) => Ok((Vec::new(), reply)),
    }
}

pub(crate) fn user(id: u8) -> User {
    User {
        id: UserId([id; 16]),
        name: format!("user{id}").parse().unwrap(),
        display_name: None,
        email: None,
        scope: "ledger:read".parse().unwrap(),
        groups: BTreeSet::new(),
        password: None,
        is_disabled: false,
        created_at: Timestamp::EPOCH,
        created_by: "admin".into(),
    }
}

fn start_session(user: u8, id: u8, secret: u8, replaces: Option<u8>) -> Command {
    let session = Session {
        id: SessionId([id; 16]),
        secret_sha256: [secret; 32],
        user: UserId([user; 16]),
        acr: Acr::Password,
        authenticated_at: Timestamp::EPOCH,
        expires_at: Timestamp::EPOCH,
    };
    let command = sessions::Command::Start {
        session,
        replaces: replaces.map(|id| SessionId([id; 16])),
        life: Duration::from_secs(1000),
        per_user_max: 2,
        sessions_max: 5,
    };
    Command::Session(command, LIVES)
}

/// Two persons and the client `shop`; the first person is logged in as session 1 with secret 1.
pub(crate) fn populated() -> State {
    let mut state = State::default();
    let client = Client::of_secret([0; 32]);
    submit(&mut state, 1, Command::Bootstrap { clients: vec![client] }).unwrap();
    for id in [1, 2] {
        let create = users::Command::Create { user: user(id), users_max: 9 };
        submit(&mut state, 1, Command::User(create, LIVES)).unwrap();
    }
    submit(&mut state, 2, start_session(1, 1, 1, None)).unwrap();
    state
}

fn targets(events: &[Event]) -> Vec<Target> {
    let target = |event: &Event| match event {
        Event::Revoked { target, .. } => Some(target.clone()),
        _ => None,
    };
    events.iter().filter_map(target).collect()
}

fn ids(state: &State) -> Vec<u8> {
    state.grants.iter().map(|grant| grant.id.0[0]).collect()
}

fn with_grants() -> State {
    let mut state = populated();
    for (id, is_offline) in [(1, false), (2, true)] {
        let grant = UserGrant { is_offline, ..granting::grant(id) };
        submit(&mut state, 3, granting::start(grant)).unwrap();
        submit(&mut state, 4, granting::redeem(id)).unwrap();
    }
    state
}

#[test]
fn an_audit_changes_nothing_not_even_a_first_start() {
    let entry = AuditEntry {
        at: at(1),
        action: "token".into(),
        refused: Some("invalid_client".into()),
        client: "".into(),
        subject: "".into(),
        address: "".into(),
        request_id: "".into(),
        detail: "".into(),
    };
    let mut state = State::default();
    let (events, reply) = submit(&mut state, 1, Command::Audit(vec![entry.clone()])).unwrap();
    assert_eq!((events, reply), (vec![Event::Audited(vec![entry])], Reply::Audited));
    assert_eq!(state, State::default());
    submit(&mut state, 2, Command::Bootstrap { clients: vec![Client::of_secret([0; 32])] })
        .unwrap();
    assert_eq!(state.clients.count(), 1);
}

#[test]
fn what_was_removed_does_not_come_back_with_the_next_start() {
    let mut state = populated();
    let remove = clients::Command::Remove { id: "shop".parse().unwrap() };
    submit(&mut state, 3, Command::Client(remove, LIVES)).unwrap();
    let again = Command::Bootstrap { clients: vec![Client::of_secret([0; 32])] };
    assert_eq!(submit(&mut state, 4, again), Ok((vec![], Reply::Bootstrapped)));
    assert_eq!(state.clients.count(), 0);
}

#[test]
fn logging_out_ends_what_does_not_go_on_without_the_session() {
    let mut state = with_grants();
    let end = Command::Session(sessions::Command::End { id: SessionId([1; 16]) }, LIVES);
    let (events, _) = submit(&mut state, 5, end.clone()).unwrap();
    assert_eq!(targets(&events), [Target::Session("01".repeat(16).into())]);
    assert_eq!(ids(&state), [2]);
    assert!(state.sessions.with_secret(&[1; 32], at(5)).is_none());
    assert_eq!(submit(&mut state, 6, end), Ok((vec![], Reply::Session(sessions::Reply::Ended))));
}

#[test]
fn a_person_who_is_disabled_or_changes_the_password_has_nothing_left() {
    let id = UserId([1; 16]);
    for command in [
        users::Command::SetDisabled { id, is_disabled: true },
        users::Command::SetPassword { id, password: "$argon2id$x".parse().unwrap() },
        users::Command::Remove { id },
    ] {
        let mut state = with_grants();
        let (events, _) = submit(&mut state, 5, Command::User(command, LIVES)).unwrap();
        assert_eq!(targets(&events), [Target::Subject(id.subject().into())]);
        assert_eq!((state.sessions.count(), state.grants.count()), (0, 0));
        let rejected = Rejection::Grant(grants::Rejection::LoggedOut);
        assert_eq!(submit(&mut state, 6, granting::start(granting::grant(9))), Err(rejected));
    }
}

#[test]
fn a_client_that_is_removed_has_nothing_left() {
    let mut state = with_grants();
    let remove = clients::Command::Remove { id: "shop".parse().unwrap() };
    let (events, _) = submit(&mut state, 5, Command::Client(remove, LIVES)).unwrap();
    assert_eq!(targets(&events), [Target::Client("shop".into())]);
    assert_eq!(state.grants.count(), 0);
}

#[test]
fn logging_in_again_goes_on_under_another_secret_and_as_another_person_does_not() {
    let mut state = with_grants();
    let (events, _) = submit(&mut state, 5, start_session(1, 7, 7, Some(1))).unwrap();
    assert!(targets(&events).is_empty());
    assert!(state.sessions.with_secret(&[1; 32], at(5)).is_none(), "the old secret opens nothing");
    let session = state.sessions.with_secret(&[7; 32], at(5)).unwrap();
    assert_eq!((session.id, session.authenticated_at), (SessionId([1; 16]), at(5)));
    assert_eq!(ids(&state), [1, 2]);
    submit(&mut state, 6, start_session(2, 8, 8, Some(1))).unwrap();
    assert_eq!(state.sessions.count(), 1);
    assert_eq!(ids(&state), [2], "what does not go on without the session is over");
}

#[test]
fn of_too_many_sessions_the_oldest_of_the_person_ends() {
    let mut state = populated();
    submit(&mut state, 3, start_session(1, 2, 2, None)).unwrap();
    submit(&mut state, 4, start_session(1, 3, 3, None)).unwrap();
    let left: Vec<u8> = state.sessions.iter().map(|session| session.id.0[0]).collect();
    assert_eq!(left, [2, 3]);
}

#[test]
fn what_is_over_is_forgotten_with_the_next_event() {
    let mut state = with_grants();
    let unredeemed = granting::start(granting::grant(3));
    submit(&mut state, 5, unredeemed).unwrap();
    assert_eq!((state.sessions.count(), ids(&state)), (1, vec![1, 2, 3]));
    let something = |state: &mut State, seconds| {
        let put = users::Command::PutGroup {
            name: "g".parse().unwrap(),
            scope: if seconds % 2 == 0 { "a:b" } else { "a:c" }.parse().unwrap(),
            groups_max: 1,
        };
        submit(state, seconds, Command::User(put, LIVES)).unwrap();
    };
    something(&mut state, 100);
    assert_eq!(ids(&state), [1, 2], "the code was not redeemed in time");
    assert!(state.grants.iter().all(|grant| grant.code.is_some()));
    something(&mut state, 1001);
    assert!(
        state.grants.iter().all(|grant| grant.code.is_none()),
        "no replay is possible any more"
    );
    something(&mut state, 9998);
    assert_eq!((state.sessions.count(), state.grants.count()), (0, 0));
    assert_eq!(state.grants, Grants::default(), "nothing of it is left in any index");
    assert_eq!(state.sessions, Sessions::default());
}
