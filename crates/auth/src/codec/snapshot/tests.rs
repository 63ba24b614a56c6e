//! Golden bytes; a state from a snapshot goes on as the one it was taken of.

use std::time::Duration;

use lombard_auth_core::{
    Acr, Authentication, Client, ClientName, Code, Command, CredentialId, GrantId, GrantType,
    Lives, Passkey, SecondFactor, Session, SessionId, Target, Telling, User, UserGrant, UserId,
    clients, grants, logouts, opaque_tokens, passkeys, second_factors, sessions, signing_keys,
    users,
};
use lombard_engine::{At, Decision, Machine as _, state_from_bytes, state_to_bytes};
use lombard_token::SigningKey;
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;

use super::*;

const TELLING: Telling = Telling { patience: Duration::from_nanos(25), logouts_max: 3 };
const LIVES: Lives = Lives { access_token: Duration::from_nanos(20), telling: TELLING };

fn registered(id: u8, authentication: Authentication) -> Client {
    Client {
        id: format!("shop{id}").parse().unwrap(),
        name: ClientName::new("Shop").unwrap(),
        scope: "ledger:read".parse().unwrap(),
        authorization_details_types: ["payment".parse().unwrap()].into(),
        profile: lombard_auth_core::Profile::OAuth21,
        authentication,
        grant_types: [GrantType::ClientCredentials].into(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        backchannel_logout_uri: id
            .is_multiple_of(2)
            .then(|| "https://shop.example/out".parse().unwrap()),
        options: Default::default(),
        registered_at: Timestamp::EPOCH,
        registered_by: "admin".into(),
    }
}

fn register(id: u8, authentication: Authentication) -> Command {
    let client = registered(id, authentication);
    Command::Client(clients::Command::Register { client: Box::new(client), clients_max: 5 }, LIVES)
}

fn secret(byte: u8) -> Authentication {
    Authentication::Secret { sha256: [byte; 32] }
}

/// Decides and applies; answers what the caller would be told.
fn submit(machine: &mut AuthMachine, position: u64, command: Command) -> String {
    let time = Timestamp::from_unix_nanos(1000 + position);
    match machine.decide(command, time) {
        Ok(Decision::Commit { events, reply }) => {
            for (index, event) in (0..).zip(&events) {
                let at = At { position: Position::new(position), index, time };
                lombard_engine::Machine::apply(machine, event, at);
            }
            format!("{reply:?}")
        }
        Ok(Decision::Answer(reply)) => format!("again {reply:?}"),
        Ok(Decision::First { .. }) => panic!("nothing happens by itself"),
        Err(rejection) => format!("{rejection:?}"),
    }
}

/// These bytes are in people's snapshots. A failing test means that a new version is needed.
#[test]
fn golden_bytes_of_version_9() {
    let mut machine = AuthMachine::default();
    let mut nothing = b"\x69\0\0\0".to_vec();
    nothing.extend([0; 105]);
    assert_eq!(state_to_bytes(&machine), nothing);
    submit(&mut machine, 6, register(1, secret(7)));
    let target = Target::Token("t1".into());
    let until = Timestamp::from_unix_nanos(9999);
    submit(&mut machine, 7, Command::Revoke { target, until, revocations_max: 1 });
    let mut expected = b"\x69\0\0\0\x01".to_vec();
    expected.extend([1u64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0].map(u64::to_le_bytes).concat());
    expected.extend(b"\x51\0\0\0\x05shop1\x04Shop\x0bledger:read\0");
    expected.extend([7; 32]);
    expected.extend(b"\xee\x03\0\0\0\0\0\0\x05admin");
    expected.extend(b"\x01\x01\x08\x07payment");
    expected.extend(b"\x28\0\0\0\x01\0\0\0\0\0\0\0");
    expected.extend(RevocationKey::of_token("t1").to_bytes());
    expected.extend([1007u64, 9999].map(u64::to_le_bytes).concat());
    assert_eq!(state_to_bytes(&machine), expected);
}

#[test]
fn a_client_with_a_key_round_trips_and_every_cut_is_refused() {
    let mut machine = AuthMachine::default();
    let key = SigningKey::generate().unwrap().public_jwk().clone();
    submit(&mut machine, 0, register(1, Authentication::Key(Box::new(key))));
    let bytes = state_to_bytes(&machine);
    let restored = state_from_bytes(AuthMachine::default(), &bytes).unwrap();
    assert_eq!(restored.state, machine.state);
    for length in 0..bytes.len() {
        assert!(state_from_bytes(AuthMachine::default(), &bytes[..length]).is_err());
    }
}

fn user(id: u8) -> User {
    User {
        id: UserId([id; 16]),
        name: format!("user{id}").parse().unwrap(),
        display_name: None,
        email: None,
        scope: "ledger:read".parse().unwrap(),
        groups: [].into(),
        password: Some("$argon2id$x".parse().unwrap()),
        is_disabled: false,
        created_at: Timestamp::EPOCH,
        created_by: "admin".into(),
    }
}

fn start_session(id: u8, user: u8, secret_sha256: [u8; 32]) -> Command {
    let session = Session {
        id: SessionId([id; 16]),
        secret_sha256,
        user: UserId([user; 16]),
        acr: Acr::Password,
        authenticated_at: Timestamp::EPOCH,
        expires_at: Timestamp::EPOCH,
    };
    let (life, per_user_max, sessions_max) = (Duration::from_nanos(30), 2, 5);
    let replaces = id.is_multiple_of(2).then_some(SessionId([1; 16]));
    let start = sessions::Command::Start { session, replaces, life, per_user_max, sessions_max };
    Command::Session(start, LIVES)
}

fn start_grant(id: u8, user: u8) -> Command {
    let none = Timestamp::EPOCH;
    let grant = UserGrant {
        id: GrantId([id; 16]),
        user: UserId([user; 16]),
        client: format!("shop{}", id % 3).parse().unwrap(),
        session: SessionId([user; 16]),
        is_offline: id.is_multiple_of(2),
        audience: "a".into(),
        scope: "openid ledger:read".parse().unwrap(),
        authorization_details: Default::default(),
        authenticated_at: none,
        acr: Acr::Password,
        page_sha256: None,
        started_at: none,
        expires_at: none,
        lasts_until: Timestamp::from_unix_nanos(1060),
        key_thumbprint: None,
        code: Some(Box::new(Code {
            sha256: [id; 32],
            redirect_uri: "u".into(),
            challenge: [id; 32],
            key_thumbprint: None,
            nonce: None,
            expires_at: none,
            redeemed_at: None,
            remembered_until: none,
        })),
        refresh: None,
    };
    let (code_life, code_memory) = (Duration::from_nanos(10), Duration::from_nanos(10));
    let (grant, per_user_max, grants_max) = (Box::new(grant), 3, 9);
    let start = grants::Command::Start { grant, code_life, code_memory, per_user_max, grants_max };
    Command::Grant(start, LIVES)
}

fn redeem(id: u8) -> Command {
    let redemption = grants::Redemption {
        code_sha256: [id; 32],
        client: format!("shop{}", id % 3).parse().unwrap(),
        redirect_uri: None,
        challenge: [id; 32],
        key_thumbprint: Some("k".into()),
        binds_refresh: id.is_multiple_of(4),
        may_refresh: true,
    };
    Command::Grant(grants::Command::Redeem(redemption), LIVES)
}

fn refresh(id: u8, generation: u32) -> Command {
    let refreshing = grants::Refreshing {
        id: GrantId([id; 16]),
        generation,
        client: format!("shop{}", id % 3).parse().unwrap(),
        key_thumbprint: Some("k".into()),
        rotates: true,
        grace: Duration::from_nanos(5),
    };
    Command::Grant(grants::Command::Refresh(refreshing), LIVES)
}

fn key_command() -> impl Strategy<Value = Command> {
    use signing_keys::Command as Keys;
    let command = (0u8..4, any::<u8>(), any::<u8>()).prop_map(|(kind, one, other)| {
        let jwk = |number: u8| {
            let point = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
            let jwk = serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": point, "kid": format!("k{number}"),
            });
            lombard_token::PublicJwk::parse(jwk.to_string().as_bytes()).unwrap()
        };
        match kind {
            0 => Keys::Begin { active: jwk(one), standby: jwk(other) },
            1 => Keys::Rotate { next: jwk(one), prepublish: Duration::from_nanos(3) },
            2 => Keys::Retire { kid: format!("k{one}").into(), retire: Duration::from_nanos(9) },
            _ => Keys::Compromise { kid: format!("k{other}").into(), next: jwk(one) },
        }
    });
    command.prop_map(|command| Command::SigningKey(command, LIVES))
}

fn client_command() -> impl Strategy<Value = Command> {
    let id = || 0u8..8;
    prop_oneof![
        4 => (id(), any::<u8>()).prop_map(|(id, byte)| register(id, secret(byte))),
        2 => (id(), any::<u8>()).prop_map(|(id, byte)| {
            let id = format!("shop{id}").parse().unwrap();
            Command::Client(clients::Command::RotateSecret { id, sha256: [byte; 32] }, LIVES)
        }),
        2 => (id(), any::<bool>()).prop_map(|(id, is_other)| {
            let scope = if is_other { "ledger:write" } else { "ledger:read" };
            let client = Client { scope: scope.parse().unwrap(), ..registered(id, secret(0)) };
            Command::Client(clients::Command::Replace { client: Box::new(client) }, LIVES)
        }),
        1 => id().prop_map(|id| {
            let id = format!("shop{id}").parse().unwrap();
            Command::Client(clients::Command::Remove { id }, LIVES)
        }),
    ]
}

fn user_command() -> impl Strategy<Value = Command> {
    let id = || 0u8..3;
    let command = prop_oneof![
        4 => id().prop_map(|id| users::Command::Create { user: user(id), users_max: 3 }),
        1 => (id(), any::<bool>()).prop_map(|(id, is_disabled)| {
            users::Command::SetDisabled { id: UserId([id; 16]), is_disabled }
        }),
        1 => id().prop_map(|id| users::Command::Remove { id: UserId([id; 16]) }),
        1 => id().prop_map(|id| users::Command::PutGroup {
            name: format!("g{id}").parse().unwrap(),
            scope: "a:b".parse().unwrap(),
            groups_max: 2,
        }),
    ];
    command.prop_map(|command| Command::User(command, LIVES))
}

fn factor_command() -> impl Strategy<Value = Command> {
    use second_factors::Command as Factors;
    let command = (0u8..4, 0u8..3, 0u8..4).prop_map(|(kind, user, byte)| {
        let user = UserId([user; 16]);
        match kind {
            0 => Factors::Enrol {
                factor: SecondFactor {
                    user,
                    sealed_secret: [byte; 3].into(),
                    used_step: 0,
                    recovery_codes_sha256: [[1; 32], [byte; 32]].into(),
                    enrolled_at: Timestamp::EPOCH,
                    enrolled_by: "admin".into(),
                },
            },
            1 => {
                let enrolled_at = Timestamp::from_unix_nanos(1000 + u64::from(byte));
                Factors::UseStep { user, enrolled_at, step: byte.into() }
            }
            2 => Factors::UseRecoveryCode { user, sha256: [byte; 32] },
            _ => Factors::Remove { user },
        }
    });
    command.prop_map(|command| Command::SecondFactor(command, LIVES))
}

fn passkey_command() -> impl Strategy<Value = Command> {
    use passkeys::Command as Keys;
    let command = (0u8..3, 0u8..3, 0u8..4, 0u32..3).prop_map(|(kind, user, byte, sign_count)| {
        let (id, user) = (CredentialId([byte; 5].into()), UserId([user; 16]));
        match kind {
            0 => Keys::Register {
                passkey: Passkey {
                    id,
                    user,
                    name: "phone".parse().unwrap(),
                    public_key: [byte; 3].into(),
                    sign_count,
                    created_at: Timestamp::EPOCH,
                    used_at: None,
                },
                per_user_max: 2,
            },
            1 => Keys::Use { id, sign_count },
            _ => Keys::Remove { user, id },
        }
    });
    command.prop_map(|command| Command::Passkey(command, LIVES))
}

/// Claims are kept in whole seconds: these expire with the first second after the beginning, or long after.
fn opaque_token_command() -> impl Strategy<Value = Command> {
    (any::<u8>(), any::<bool>()).prop_map(|(byte, is_short)| {
        let claims = lombard_token::Claims {
            issuer: "i".into(),
            subject: "s".into(),
            audience: "a".into(),
            client_id: format!("shop{}", byte % 3).into(),
            scope: "ledger:read".parse().unwrap(),
            token_id: format!("t{byte}").into(),
            expires_at: Timestamp::from_unix_seconds(if is_short { 0 } else { 9 }),
            ..Default::default()
        };
        let claims = claims.into();
        Command::OpaqueToken(opaque_tokens::Command::Issue {
            handle_sha256: [byte; 32],
            claims,
            tokens_max: 20,
        })
    })
}

fn command() -> impl Strategy<Value = Command> {
    let id = || 0u8..8;
    prop_oneof![
        1 => prop::collection::vec((id(), any::<u8>()), 0..3).prop_map(|clients| {
            let clients = clients.into_iter().map(|(id, byte)| registered(id, secret(byte)));
            Command::Bootstrap { clients: clients.collect() }
        }),
        8 => client_command(),
        3 => key_command(),
        6 => user_command(),
        4 => factor_command(),
        4 => passkey_command(),
        3 => opaque_token_command(),
        2 => (0u64..9, any::<bool>()).prop_map(|(number, is_told)| {
            Command::Logout(logouts::Command::Settle { number, is_told }, LIVES)
        }),
        6 => (0u8..4, 0u8..3, any::<[u8; 32]>())
            .prop_map(|(id, user, secret_sha256)| start_session(id, user, secret_sha256)),
        1 => (0u8..4).prop_map(|id| {
            Command::Session(sessions::Command::End { id: SessionId([id; 16]) }, LIVES)
        }),
        6 => (id(), 0u8..3).prop_map(|(id, user)| start_grant(id, user)),
        8 => id().prop_map(redeem),
        8 => (id(), 0u32..3).prop_map(|(id, generation)| refresh(id, generation)),
        1 => id().prop_map(|id| {
            Command::Grant(grants::Command::End { id: GrantId([id; 16]) }, LIVES)
        }),
        2 => (id(), any::<bool>(), 0u64..200).prop_map(|(id, is_client, nanos)| {
            let id = format!("shop{id}").into();
            let target = if is_client { Target::Client(id) } else { Target::Token(id) };
            let until = Timestamp::from_unix_nanos(1000 + nanos);
            Command::Revoke { target, until, revocations_max: 9 }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Snapshot and tail against the whole history.
    #[test]
    fn a_state_from_a_snapshot_goes_on_as_the_whole_one(
        before in prop::collection::vec(command(), 0..60),
        after in prop::collection::vec(command(), 0..60),
    ) {
        let mut whole = AuthMachine::default();
        for (position, command) in (0..).zip(before) {
            submit(&mut whole, position, command);
        }
        let bytes = state_to_bytes(&whole);
        let mut restored = state_from_bytes(AuthMachine::default(), &bytes).unwrap();
        prop_assert_eq!(state_to_bytes(&restored), bytes);
        prop_assert_eq!(&restored.state.sessions, &whole.state.sessions);
        prop_assert_eq!(&restored.state.grants, &whole.state.grants);
        prop_assert_eq!(&restored.state.second_factors, &whole.state.second_factors);
        prop_assert_eq!(&restored.state.logouts, &whole.state.logouts);
        prop_assert_eq!(&restored.state.opaque_tokens, &whole.state.opaque_tokens);
        prop_assert_eq!(&restored.state.passkeys, &whole.state.passkeys);
        prop_assert_eq!(&restored.state.signing_keys, &whole.state.signing_keys);
        for (position, command) in (60..).zip(after) {
            let told = submit(&mut whole, position, command.clone());
            prop_assert_eq!(submit(&mut restored, position, command), told);
        }
        prop_assert_eq!(restored.state, whole.state);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(state_from_bytes(AuthMachine::default(), &bytes));
    }
}
