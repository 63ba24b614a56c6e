//! Golden bytes; a registry from a snapshot goes on as the one it was taken of.

use std::{sync::Arc, time::Duration};

use lombard_engine::{At, Decision, Machine as _, state_from_bytes, state_to_bytes};
use lombard_registry_core::{
    AttributeLimits, Attributes, Check, Command, Doubt, Evidence, Health, InstanceKey, Lease,
    LeaseId, Limits, Question, Ttl,
};
use lombard_types::Position;
use proptest::prelude::*;

use super::*;

fn evidence(client: u8) -> Arc<Evidence> {
    Arc::new(Evidence {
        client_id: format!("c{client}").parse().unwrap(),
        subject: "s".into(),
        token_id: "t".into(),
        request_id: "r".parse().unwrap(),
        traceparent: None,
    })
}

fn key(service: u8, instance: u8) -> InstanceKey {
    InstanceKey {
        service: format!("pay{service}").parse().unwrap(),
        instance: format!("{instance}").parse().unwrap(),
    }
}

fn register(key: InstanceKey, lease: u8, client: u8) -> Command {
    Command::Register {
        key,
        lease: Lease {
            id: LeaseId::from_u128(lease.into()),
            ttl: Ttl::from_seconds(258).unwrap(),
            deregister_after_seconds: 5,
            is_permanent: false,
        },
        address: "http://h:1".parse().unwrap(),
        attributes: Attributes::new(Some("v"), ["a"], [("k", "w")], AttributeLimits::MAX).unwrap(),
        health: Health::Starting,
        evidence: evidence(client),
    }
}

/// The same with a check that the registry makes.
fn register_checked(key: InstanceKey, lease: u8, client: u8) -> Command {
    let mut command = register(key, lease, client);
    if let Command::Register { attributes, .. } = &mut command {
        *attributes = attributes.clone().with_check(Some(Check {
            question: Question::Tcp,
            at: None,
            interval_ms: 1000,
            timeout_ms: 1000,
            successes_min: 1,
            failures_min: 1,
            begins_passing: false,
        }));
    }
    command
}

fn report(key: InstanceKey, lease: u8, health: Health) -> Command {
    let (lease_id, note) = (LeaseId::from_u128(lease.into()), Note::default());
    Command::Report { key, lease_id, health, note, evidence: evidence(3) }
}

fn empty() -> RegistryMachine {
    let flap_window = Duration::from_secs(1);
    RegistryMachine::new(Limits {
        services_max: 3,
        instances_max: 3,
        flaps_max: 1,
        flap_window,
        suspects_percent_max: 50,
    })
}

/// Decides and applies; answers what the caller would be told.
fn submit(machine: &mut RegistryMachine, position: u64, command: Command) -> String {
    let time = Timestamp::from_unix_nanos(1000 + position);
    match machine.decide(command, time) {
        Ok(Decision::Commit { events, reply }) => {
            for (index, event) in (0..).zip(&events) {
                let position = Position::new(position);
                machine.apply(event, At { position, index, time });
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
fn golden_bytes_of_version_5() {
    let mut machine = empty();
    submit(&mut machine, 6, register(key(1, 2), 2, 3));
    submit(&mut machine, 7, report(key(1, 2), 2, Health::Passing));
    submit(&mut machine, 8, report(key(1, 2), 2, Health::Critical));
    submit(&mut machine, 9, report(key(1, 2), 2, Health::Passing));
    let lease_id = LeaseId::from_u128(2);
    submit(&mut machine, 10, Command::Lapse { key: key(1, 2), lease_id });
    let mut expected = b"\x10\0\0\0\x0b\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    expected.extend(b"\x15\0\0\0\x04pay1\x0b\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0");
    expected.extend(b"\x5a\0\0\0\x012\x02");
    expected.extend([0; 15]);
    expected.extend(
        b"\x02\x01\x05\0\0\0\0\x0ahttp://h:1\x01v\x01\0\0\0\x01a\x01\0\0\0\x01k\x01w\0\x01\0\0",
    );
    expected.extend(b"\x02c3\x01s\x01t\x01r\0\xee\x03\0\0\0\0\0\0\x01\0\0\0");
    expected.extend(b"\x04\x01\x01\xf0\x03\0\0\0\0\0\0\0");
    assert_eq!(state_to_bytes(&machine), expected);
}

fn command() -> impl Strategy<Value = Command> {
    let key = || (0u8..4, 0u8..4).prop_map(|(service, instance)| key(service, instance));
    prop_oneof![
        3 => (key(), 0u8..8, 0u8..2)
            .prop_map(|(key, lease, client)| register(key, lease, client)),
        2 => (key(), 0u8..8, 0u8..2)
            .prop_map(|(key, lease, client)| register_checked(key, lease, client)),
        2 => (key(), 0u8..8, prop::sample::select(Health::ALL)).prop_map(|(key, lease, health)| {
            let lease_id = LeaseId::from_u128(lease.into());
            Command::Observe { key, lease_id, health, note: "n".parse().unwrap() }
        }),
        2 => key().prop_map(|key| Command::Suspect {
            key,
            address: "http://h:1".parse().unwrap(),
            note: "n".parse().unwrap(),
            evidence: evidence(4),
        }),
        1 => (key(), any::<bool>(), 0u8..2).prop_map(|(key, is_admin, client)| {
            Command::Deregister { key, is_admin, evidence: evidence(client) }
        }),
        2 => (key(), 0u8..8, prop::sample::select(Health::ALL))
            .prop_map(|(key, lease, health)| report(key, lease, health)),
        1 => (key(), 0u8..8).prop_map(|(key, lease)| {
            Command::Lapse { key, lease_id: LeaseId::from_u128(lease.into()) }
        }),
        1 => (key(), 0u8..8).prop_map(|(key, lease)| {
            let lease_id = LeaseId::from_u128(lease.into());
            Command::Doubt { key, lease_id, doubt: Doubt::BrokenStreams }
        }),
        1 => (key(), 0u8..8).prop_map(|(key, lease)| {
            Command::Expire { key, lease_id: LeaseId::from_u128(lease.into()) }
        }),
    ]
}

proptest! {
    /// Snapshot and tail against the whole history.
    #[test]
    fn a_registry_from_a_snapshot_goes_on_as_the_whole_one(
        before in prop::collection::vec(command(), 0..40),
        after in prop::collection::vec(command(), 0..40),
    ) {
        let mut whole = empty();
        for (position, command) in (0..).zip(before) {
            submit(&mut whole, position, command);
        }
        let bytes = state_to_bytes(&whole);
        let mut restored = state_from_bytes(empty(), &bytes).unwrap();
        prop_assert_eq!(state_to_bytes(&restored), bytes.as_slice());
        prop_assert_eq!(restored.services(), whole.services());
        for length in 0..bytes.len() {
            prop_assert!(state_from_bytes(empty(), &bytes[..length]).is_err());
        }
        for (position, command) in (100..).zip(after) {
            let told = submit(&mut whole, position, command.clone());
            prop_assert_eq!(submit(&mut restored, position, command), told);
        }
        prop_assert_eq!(restored.services(), whole.services());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        drop(state_from_bytes(empty(), &bytes));
    }
}
