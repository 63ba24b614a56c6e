//! Golden bytes; clients from a snapshot go on as those it was taken of.

use std::time::Duration;

use lombard_auth_core::{Authentication, Client, ClientName, Command, Target};
use lombard_engine::{At, Decision, Machine as _, state_from_bytes, state_to_bytes};
use lombard_token::SigningKey;
use lombard_types::{Position, Timestamp};
use proptest::prelude::*;

use super::*;

fn registered(id: u8, authentication: Authentication) -> Client {
    Client {
        id: format!("shop{id}").parse().unwrap(),
        name: ClientName::new("Shop").unwrap(),
        scope: "ledger:read".parse().unwrap(),
        authorization_details_types: ["payment".parse().unwrap()].into(),
        authentication,
        registered_at: Timestamp::EPOCH,
        registered_by: "admin".into(),
    }
}

fn register(id: u8, authentication: Authentication) -> Command {
    Command::Register { client: registered(id, authentication), clients_max: 5 }
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
fn golden_bytes_of_version_3() {
    let mut machine = AuthMachine::default();
    let mut nothing = b"\x19\0\0\0".to_vec();
    nothing.extend([0; 25]);
    assert_eq!(state_to_bytes(&machine), nothing);
    submit(&mut machine, 6, register(1, secret(7)));
    let target = Target::Token("t1".into());
    let until = Timestamp::from_unix_nanos(9999);
    submit(&mut machine, 7, Command::Revoke { target, until, revocations_max: 1 });
    let mut expected = b"\x19\0\0\0\x01".to_vec();
    expected.extend([1u64, 1, 1].map(u64::to_le_bytes).concat());
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
    assert_eq!(restored.clients, machine.clients);
    for length in 0..bytes.len() {
        assert!(state_from_bytes(AuthMachine::default(), &bytes[..length]).is_err());
    }
}

fn command() -> impl Strategy<Value = Command> {
    let id = || 0u8..8;
    prop_oneof![
        1 => prop::collection::vec((id(), any::<u8>()), 0..3).prop_map(|clients| {
            let clients = clients.into_iter().map(|(id, byte)| registered(id, secret(byte)));
            Command::Bootstrap { clients: clients.collect() }
        }),
        4 => (id(), any::<u8>()).prop_map(|(id, byte)| register(id, secret(byte))),
        2 => (id(), any::<u8>()).prop_map(|(id, byte)| {
            let id = format!("shop{id}").parse().unwrap();
            Command::RotateSecret { id, sha256: [byte; 32] }
        }),
        2 => (id(), 1u64..20).prop_map(|(id, nanos)| {
            let token_life = Duration::from_nanos(nanos);
            Command::Remove { id: format!("shop{id}").parse().unwrap(), token_life }
        }),
        3 => (id(), any::<bool>(), 0u64..200).prop_map(|(id, is_client, nanos)| {
            let id = format!("shop{id}").into();
            let target = if is_client { Target::Client(id) } else { Target::Token(id) };
            let until = Timestamp::from_unix_nanos(1000 + nanos);
            Command::Revoke { target, until, revocations_max: 9 }
        }),
    ]
}

proptest! {
    /// Snapshot and tail against the whole history.
    #[test]
    fn clients_from_a_snapshot_go_on_as_the_whole_ones(
        before in prop::collection::vec(command(), 0..30),
        after in prop::collection::vec(command(), 0..30),
    ) {
        let mut whole = AuthMachine::default();
        for (position, command) in (0..).zip(before) {
            submit(&mut whole, position, command);
        }
        let bytes = state_to_bytes(&whole);
        let mut restored = state_from_bytes(AuthMachine::default(), &bytes).unwrap();
        prop_assert_eq!(state_to_bytes(&restored), bytes);
        for (position, command) in (100..).zip(after) {
            let told = submit(&mut whole, position, command.clone());
            prop_assert_eq!(submit(&mut restored, position, command), told);
        }
        prop_assert_eq!(restored.clients, whole.clients);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(state_from_bytes(AuthMachine::default(), &bytes));
    }
}
