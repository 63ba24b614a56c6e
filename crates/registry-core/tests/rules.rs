//! Each rule once, with its exact answer.
#![expect(clippy::unwrap_used, reason = "a test's helpers may panic")]

use std::{sync::Arc, time::Duration};

use lombard_registry_core::{
    Attributes, Check, Command, Decision, Doubt, Event, Evidence, Health, InstanceKey, Lease,
    LeaseId, Limits, Liveness, Note, Question, Reason, Recorded, Rejection, Reply, Services, Ttl,
};
use lombard_types::{Position, Timestamp};

const LIMITS: Limits = Limits {
    services_max: 2,
    instances_max: 2,
    flaps_max: 3,
    flap_window: Duration::from_secs(60),
    suspects_percent_max: 50,
};

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
        lease: Lease {
            id: LeaseId::from_u128(lease),
            ttl: Ttl::MIN,
            deregister_after_seconds: 0,
            is_permanent: false,
        },
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
    submit_at(services, command, Timestamp::EPOCH)
}

fn submit_at(
    services: &mut Services,
    command: Command,
    now: Timestamp,
) -> Result<Vec<Reason>, Rejection> {
    let Decision::Commit(events, _) = services.decide(command, LIMITS, now)? else {
        return Ok(Vec::new());
    };
    let position = Position::new(services.index());
    for event in &events {
        services.apply(event, Recorded { position, time: now });
    }
    let reason = |event: &Event| match event {
        Event::Deregistered { reason, .. } => Some(*reason),
        _ => None,
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
    assert_eq!(
        services.decide(late, LIMITS, Timestamp::EPOCH),
        Ok(Decision::Answer(Reply::NotUnderThisLease))
    );
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

#[test]
fn an_instance_in_doubt_is_served_and_one_that_lapsed_is_not() {
    let mut services = Services::default();
    let (key, lease_id) = (key("payments", "one"), LeaseId::from_u128(1));
    submit(&mut services, register(key.clone(), "a", 1)).unwrap();
    let seen = |services: &Services| {
        let instance = services.instance(&key).unwrap();
        (instance.state(), instance.takes_traffic(), instance.is_stale())
    };
    let doubt = |lease_id| Command::Doubt { key: key.clone(), lease_id, doubt: Doubt::Silence };
    let confirm = Command::Confirm { key: key.clone(), lease_id };
    let lapse = Command::Lapse { key: key.clone(), lease_id };
    for (command, state) in [
        (confirm.clone(), ("passing", true, false)),
        (doubt(lease_id), ("unknown", true, true)),
        (confirm.clone(), ("passing", true, false)),
        (lapse, ("critical", false, false)),
        (doubt(lease_id), ("critical", false, false)),
        (confirm, ("passing", true, false)),
        (doubt(LeaseId::from_u128(2)), ("passing", true, false)),
    ] {
        let before = services.index();
        submit(&mut services, command.clone()).unwrap();
        let has_changed = services.index() > before;
        assert_eq!(seen(&services), state, "{command:?}");
        submit(&mut services, command.clone()).unwrap();
        assert_eq!(services.index() - before, u64::from(has_changed), "said twice, done once");
    }
    let other = LeaseId::from_u128(2);
    let stale = services.decide(doubt(other), LIMITS, Timestamp::EPOCH);
    assert_eq!(stale, Ok(Decision::Answer(Reply::NotUnderThisLease)));
    submit(&mut services, doubt(lease_id)).unwrap();
    submit(&mut services, register(key.clone(), "a", 3)).unwrap();
    assert_eq!(services.instance(&key).unwrap().liveness, Liveness::Confirmed);
}

#[test]
fn who_goes_up_and_down_too_often_must_be_steady_first() {
    let mut services = Services::default();
    let (key, lease_id) = (key("payments", "one"), LeaseId::from_u128(1));
    submit(&mut services, register(key.clone(), "a", 1)).unwrap();
    let mut report = |second: u64, health| {
        let (key, note, evidence) = (key.clone(), Note::default(), evidence("a"));
        let command = Command::Report { key: key.clone(), lease_id, health, note, evidence };
        submit_at(&mut services, command, Timestamp::from_unix_seconds(second)).unwrap();
        let instance = services.instance(&key).unwrap();
        (instance.takes_traffic(), instance.state())
    };
    for (second, health, seen) in [
        (1, Health::Critical, (false, "critical")),
        (2, Health::Passing, (true, "passing")),
        (3, Health::Starting, (false, "starting")),
        (4, Health::Passing, (true, "passing")),
        // The first is forgotten by now.
        (62, Health::Critical, (false, "critical")),
        (62, Health::Warning, (true, "warning")),
        (63, Health::Critical, (false, "critical")),
        (63, Health::Passing, (false, "critical")),
        (63, Health::Warning, (false, "critical")),
    ] {
        assert_eq!(report(second, health), seen, "{second} {health:?}");
    }
    let release =
        |lease| Command::Release { key: key.clone(), lease_id: LeaseId::from_u128(lease) };
    submit(&mut services, release(2)).unwrap();
    assert!(services.instance(&key).unwrap().is_damped, "another lease's");
    submit(&mut services, release(1)).unwrap();
    assert_eq!(services.instance(&key).unwrap().state(), "warning");
    let again = services.decide(release(1), LIMITS, Timestamp::EPOCH);
    assert_eq!(again, Ok(Decision::Answer(Reply::Stands)));
}

#[test]
fn what_callers_say_counts_for_a_part_of_a_service() {
    let limits = Limits { instances_max: 9, ..LIMITS };
    let mut services = Services::default();
    let names = ["a", "b", "c", "d"];
    let mut position = 0;
    let mut decide = |services: &mut Services, command, percent| {
        let limits = Limits { suspects_percent_max: percent, ..limits };
        match services.decide(command, limits, Timestamp::EPOCH).unwrap() {
            Decision::Commit(events, reply) => {
                position += 1;
                let recorded =
                    Recorded { position: Position::new(position), time: Timestamp::EPOCH };
                events.iter().for_each(|event| services.apply(event, recorded));
                (events.len(), reply)
            }
            Decision::Answer(reply) => (0, reply),
        }
    };
    for (lease, name) in (1..).zip(names) {
        decide(&mut services, register(key("payments", name), "a", lease), 50);
    }
    let suspect = |name: &str, url: &str| Command::Suspect {
        key: key("payments", name),
        address: url.parse().unwrap(),
        note: "no answer".parse().unwrap(),
        evidence: evidence("gateway"),
    };
    let here = services.instance(&key("payments", "a")).unwrap().address.to_string();
    for (command, percent, expected) in [
        (suspect("nobody", &here), 50, (0, Reply::NotUnderThisLease)),
        (suspect("a", "http://10.9.9.9:1"), 50, (0, Reply::NotUnderThisLease)),
        (suspect("a", &here), 0, (0, Reply::Spared)),
        (suspect("a", &here), 24, (0, Reply::Spared)),
        (suspect("a", &here), 25, (1, Reply::Stands)),
        (suspect("a", &here), 25, (0, Reply::Stands)),
        (suspect("b", &here), 49, (0, Reply::Spared)),
        (suspect("b", &here), 50, (1, Reply::Stands)),
        (suspect("c", &here), 100, (1, Reply::Stands)),
        (suspect("d", &here), 100, (0, Reply::Spared)),
    ] {
        assert_eq!(decide(&mut services, command, percent), expected);
    }
    let states = |services: &Services| {
        let instance = |name| services.instance(&key("payments", name)).unwrap();
        names.map(|name| (instance(name).state(), instance(name).note().to_owned()))
    };
    let suspected = || ("critical", "no answer".to_owned());
    let well = || ("passing", String::new());
    assert_eq!(states(&services), [suspected(), suspected(), suspected(), well()]);
    // The last one goes: three are released with it.
    let drain = Command::Drain {
        key: key("payments", "d"),
        is_admin: false,
        note: Note::default(),
        evidence: evidence("a"),
    };
    assert_eq!(decide(&mut services, drain, 50), (4, Reply::Stands));
    let drained = ("draining", String::new());
    assert_eq!(states(&services), [well(), well(), well(), drained]);
}

#[test]
fn what_the_registry_finds_counts_beside_what_is_said() {
    let mut services = Services::default();
    let (key, lease_id) = (key("payments", "one"), LeaseId::from_u128(1));
    let observe = |lease: u128, health, note: &str| {
        let (key, lease_id) = (key.clone(), LeaseId::from_u128(lease));
        Command::Observe { key, lease_id, health, note: note.parse().unwrap() }
    };
    submit(&mut services, register(key.clone(), "a", 1)).unwrap();
    let unasked = services.decide(observe(1, Health::Critical, ""), LIMITS, Timestamp::EPOCH);
    assert_eq!(unasked, Ok(Decision::Answer(Reply::NotUnderThisLease)), "it has no check");

    let check = Check {
        question: Question::Tcp,
        at: None,
        interval_ms: 1000,
        timeout_ms: 1000,
        successes_min: 1,
        failures_min: 1,
        begins_passing: false,
    };
    let mut command = register(key.clone(), "a", 1);
    if let Command::Register { attributes, .. } = &mut command {
        *attributes = Attributes::default().with_check(Some(check));
    }
    submit(&mut services, command).unwrap();
    let (note, reporter) = (Note::default(), evidence("a"));
    let report = |health| {
        let (key, note, evidence) = (key.clone(), note.clone(), Arc::clone(&reporter));
        Command::Report { key, lease_id, health, note, evidence }
    };
    let expect = |services: &Services, state, takes_traffic, note| {
        let instance = services.instance(&key).unwrap();
        let found = (instance.state(), instance.takes_traffic(), instance.note());
        assert_eq!(found, (state, takes_traffic, note));
    };
    expect(&services, "starting", false, "");
    submit(&mut services, observe(2, Health::Passing, "")).unwrap();
    expect(&services, "starting", false, "");
    submit(&mut services, observe(1, Health::Passing, "")).unwrap();
    expect(&services, "passing", true, "");
    submit(&mut services, report(Health::Critical)).unwrap();
    expect(&services, "critical", false, "");
    submit(&mut services, report(Health::Passing)).unwrap();
    submit(&mut services, observe(1, Health::Critical, "refused")).unwrap();
    expect(&services, "critical", false, "refused");
    let again = services.decide(observe(1, Health::Critical, "broke"), LIMITS, Timestamp::EPOCH);
    assert_eq!(again, Ok(Decision::Answer(Reply::Stands)));
    for _ in 0..2 {
        submit(&mut services, observe(1, Health::Warning, "")).unwrap();
        submit(&mut services, observe(1, Health::Critical, "")).unwrap();
    }
    submit(&mut services, observe(1, Health::Passing, "")).unwrap();
    assert!(services.instance(&key).unwrap().is_damped, "four falls, one of them said");
}
