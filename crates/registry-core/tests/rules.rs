//! Each rule once, with its exact answer.
#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::sync::Arc;

use lombard_registry_core::{
    Attributes, Command, Decision, Event, Evidence, Health, InstanceKey, Lease, LeaseId, Limits,
    Reason, Recorded, Rejection, Reply, Services, Ttl,
};
use lombard_types::{Position, Timestamp};

const LIMITS: Limits = Limits { services_max: 2, instances_max: 2 };

fn key(service: &str, instance: &str) -> InstanceKey {
    InstanceKey { service: service.parse().unwrap(), instance: instance.parse().unwrap() }
}

fn evidence(client: &str) -> Arc<Evidence> {
    Arc::new(Evidence {
        client_id: client.parse().unwrap(),
        subject: client.into(),
        token_id: "token".into(),
        request_id: "request".parse().unwrap(),
        traceparent: None,
    })
}

fn register(key: InstanceKey, client: &str, lease: u128) -> Command {
    Command::Register {
        key,
        lease: Lease { id: LeaseId::from_u128(lease), ttl: Ttl::MIN },
        address: "http://127.0.0.1:9000".parse().unwrap(),
        attributes: Attributes::default(),
        health: Health::Passing,
        evidence: evidence(client),
    }
}

fn deregister(key: InstanceKey, client: &str, is_admin: bool) -> Command {
    Command::Deregister { key, is_admin, evidence: evidence(client) }
}

/// Has the command decided and applied, and answers why each instance went away.
fn submit(services: &mut Services, command: Command) -> Result<Vec<Reason>, Rejection> {
    let Decision::Commit(events, _) = services.decide(command, LIMITS)? else {
        return Ok(Vec::new());
    };
    let position = Position::new(services.index());
    for event in &events {
        services.apply(event, Recorded { position, time: Timestamp::EPOCH });
    }
    let reason = |event: &Event| match event {
        Event::Deregistered { reason, .. } => Some(*reason),
        Event::Registered { .. } | Event::Stood { .. } => None,
    };
    Ok(events.iter().filter_map(reason).collect())
}

#[test]
fn an_instance_belongs_to_its_client_while_its_lease_lives() {
    let mut services = Services::default();
    let mine = key("payments", "one");
    assert_eq!(submit(&mut services, register(mine.clone(), "a", 1)), Ok(vec![]));
    let taken = Rejection::InstanceTaken { client_id: "a".parse().unwrap() };
    assert_eq!(submit(&mut services, register(mine.clone(), "b", 2)), Err(taken));
    assert_eq!(
        submit(&mut services, deregister(mine.clone(), "b", false)),
        Err(Rejection::NotRegistrant)
    );
    let again = submit(&mut services, register(mine.clone(), "a", 3));
    assert_eq!(again, Ok(vec![Reason::Replaced]));

    let late = Command::Expire { key: mine.clone(), lease_id: LeaseId::from_u128(1) };
    assert_eq!(services.decide(late, LIMITS), Ok(Decision::Answer(Reply::NotUnderThisLease)));
    let due = Command::Expire { key: mine.clone(), lease_id: LeaseId::from_u128(3) };
    assert_eq!(submit(&mut services, due), Ok(vec![Reason::Expired]));
    assert_eq!(submit(&mut services, register(mine.clone(), "b", 4)), Ok(vec![]));
    assert_eq!(
        submit(&mut services, deregister(mine.clone(), "a", true)),
        Ok(vec![Reason::Requested])
    );
    assert_eq!(
        submit(&mut services, deregister(mine, "a", true)),
        Err(Rejection::InstanceNotFound)
    );
    assert_eq!((services.count(), services.instance_count()), (0, 0));
}

#[test]
fn limits_hold_for_new_instances_only() {
    let mut services = Services::default();
    for (service, instance) in [("a", "1"), ("a", "2"), ("b", "1")] {
        assert_eq!(submit(&mut services, register(key(service, instance), "c", 1)), Ok(vec![]));
    }
    assert_eq!(
        submit(&mut services, register(key("c", "1"), "c", 2)),
        Err(Rejection::TooManyServices { count_max: 2 })
    );
    assert_eq!(
        submit(&mut services, register(key("a", "3"), "c", 2)),
        Err(Rejection::TooManyInstances { count_max: 2 })
    );
    let again = submit(&mut services, register(key("a", "2"), "c", 2));
    assert_eq!(again, Ok(vec![Reason::Replaced]));
}

#[test]
fn only_the_changed_service_gets_a_new_index() {
    let mut services = Services::default();
    submit(&mut services, register(key("a", "1"), "c", 1)).unwrap();
    submit(&mut services, register(key("b", "1"), "c", 2)).unwrap();
    let index = |name: &str| services.get(&name.parse().unwrap()).unwrap().index();
    assert_eq!((index("a"), index("b"), services.index()), (1, 2, 2));
}
