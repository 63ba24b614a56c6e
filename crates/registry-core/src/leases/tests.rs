use super::*;
use crate::Doubt;

const POLICY: LeasePolicy = LeasePolicy {
    restart_grace: Duration::from_secs(5),
    preserve_percent: 30,
    preserve_ttls: 3,
    stream_grace: Duration::from_millis(500),
    damping: Duration::from_secs(30),
};

fn key(instance: &str) -> InstanceKey {
    InstanceKey { service: "payments".parse().unwrap(), instance: instance.parse().unwrap() }
}

fn id(number: u128) -> LeaseId {
    LeaseId::from_u128(number)
}

fn lease(number: u128, seconds: u64) -> Lease {
    let ttl = Ttl::from_seconds(seconds).unwrap();
    Lease { id: id(number), ttl, deregister_after_seconds: 0, is_permanent: false }
}

const fn at(seconds: u64) -> Uptime {
    Uptime::from_secs(seconds)
}

/// Looks as often as the owner of the table does; answers what was due at which second (or part of it).
fn run(leases: &mut Leases, until: Uptime) -> Vec<(f64, u128, Verdict)> {
    let mut found = Vec::new();
    while leases.seen < until {
        let now = (leases.seen + Leases::TICK).min(until);
        let due = leases.take_due(now).into_iter();
        found.extend(due.map(|due| (now.as_secs_f64(), due.lease_id.as_u128(), due.verdict)));
    }
    found
}

fn table(count: u128, seconds: u64) -> Leases {
    let mut leases = Leases::new(POLICY);
    for number in 1..=count {
        leases.grant(lease(number, seconds), key(&number.to_string()), at(0));
    }
    leases
}

#[test]
fn leases_run_out_in_order() {
    let mut leases = Leases::new(LeasePolicy { preserve_percent: 0, ..POLICY });
    for (number, seconds, instance) in [(3, 5, "c"), (2, 5, "b"), (1, 9, "a"), (4, 2, "d")] {
        leases.grant(lease(number, seconds), key(instance), at(0));
    }
    assert_eq!(leases.next_deadline(), Some(at(2)));
    let due = run(&mut leases, at(5));
    let expired = |at: f64, number| (at, number, Verdict::Expire);
    assert_eq!(due, [expired(2.0, 4), expired(5.0, 2), expired(5.0, 3)]);
    assert_eq!((leases.count(), leases.next_deadline()), (1, Some(at(9))));
}

#[test]
fn a_renewed_lease_lives_its_whole_time_again() {
    let mut leases = table(1, 5);
    run(&mut leases, at(4));
    assert!(leases.renew(id(1), &key("1"), at(4)).is_some());
    assert_eq!(run(&mut leases, at(8)), []);
    assert_eq!(leases.renew(id(1), &key("b"), at(8)), None, "another instance");
    assert_eq!(leases.renew(id(2), &key("1"), at(8)), None, "unknown");
    assert_eq!(run(&mut leases, at(9)), [(9.0, 1, Verdict::Expire)]);
    assert_eq!(leases.renew(id(1), &key("1"), at(9)), None, "taken");
}

#[test]
fn one_silent_instance_is_dead_and_many_are_not_heard() {
    // One of ten.
    let mut leases = table(10, 10);
    let renewed = |leases: &mut Leases, silent: u128, seconds| {
        for number in silent + 1..=10 {
            assert!(leases.renew(id(number), &key(&number.to_string()), at(seconds)).is_some());
        }
    };
    for seconds in [3, 6, 9] {
        run(&mut leases, at(seconds));
        renewed(&mut leases, 1, seconds);
    }
    assert_eq!(run(&mut leases, at(10)), [(10.0, 1, Verdict::Expire)]);

    // Four of ten: marked, and gone when it has lasted for too long.
    let mut leases = table(10, 10);
    for seconds in (3..40).step_by(3) {
        let due = run(&mut leases, at(seconds));
        for (when, number, verdict) in due {
            assert!(number <= 4, "{number} lives");
            let expected = match verdict {
                Verdict::Doubt(Doubt::Silence) => 10.0,
                Verdict::Expire => 30.0,
                other => panic!("{other:?}"),
            };
            assert!((when - expected).abs() < f64::EPSILON, "{when} {verdict:?}");
        }
        renewed(&mut leases, 4, seconds);
    }
    assert_eq!(leases.count(), 6);
}

#[test]
fn who_is_heard_again_is_preserved_no_more() {
    let mut leases = table(4, 10);
    let doubts = run(&mut leases, at(10));
    assert_eq!(doubts.len(), 4);
    assert!(!leases.is_living(id(1)));
    for number in 1..=4 {
        assert!(leases.renew(id(number), &key(&number.to_string()), at(29)).is_some());
    }
    assert!(leases.is_living(id(1)));
    assert_eq!(run(&mut leases, at(38)), []);
}

#[test]
fn the_time_in_which_the_process_did_not_run_counts_for_nobody() {
    let mut leases = table(1, 5);
    run(&mut leases, at(4));
    // Suspended for half a minute.
    assert_eq!(leases.take_due(at(34)), []);
    assert_eq!(run(&mut leases, Uptime::from_millis(34_750)), []);
    assert_eq!(run(&mut leases, at(35)), [(35.0, 1, Verdict::Expire)]);
}

#[test]
fn a_restart_gives_time_and_grace() {
    let mut leases = table(1, 5);
    leases.grant(Lease { deregister_after_seconds: 7, ..lease(2, 5) }, key("2"), at(0));
    leases.lapse(id(2), at(0));
    leases.restart(at(100));
    assert_eq!(leases.unconfirmed(), [(key("1"), id(1))]);
    let expired = [(107.0, 2, Verdict::Expire), (110.0, 1, Verdict::Expire)];
    assert_eq!(run(&mut leases, at(110)), expired);
}

#[test]
fn what_is_to_stay_lapses_first_and_can_come_back() {
    let mut leases = Leases::new(POLICY);
    leases.grant(Lease { deregister_after_seconds: 60, ..lease(1, 5) }, key("1"), at(0));
    assert_eq!(run(&mut leases, at(64)), [(5.0, 1, Verdict::Lapse)]);
    assert!(leases.renew(id(1), &key("1"), at(64)).is_some());
    let due = run(&mut leases, at(129));
    assert_eq!(due, [(69.0, 1, Verdict::Lapse), (129.0, 1, Verdict::Expire)]);
}

#[test]
fn a_broken_stream_ends_a_lease_unless_many_break_at_once() {
    let mut leases = table(9, 3600);
    let open = |leases: &mut Leases, number: u128, at| {
        assert!(leases.open_stream(id(number), &key(&number.to_string()), at).is_some());
    };
    for number in 1..=9 {
        open(&mut leases, number, at(0));
    }
    leases.close_stream(id(1), Ended::ByPeer, at(0));
    leases.close_stream(id(2), Ended::ByRegistry, at(0));
    leases.close_stream(id(3), Ended::ByPeer, at(0));
    open(&mut leases, 3, at(0));
    assert_eq!(run(&mut leases, at(5)), [(0.5, 1, Verdict::Expire)], "the others are heard");

    for number in 3..=6 {
        leases.close_stream(id(number), Ended::ByPeer, at(5));
    }
    let doubt = |number| (5.5, number, Verdict::Doubt(Doubt::BrokenStreams));
    assert_eq!(run(&mut leases, at(9)), [3, 4, 5, 6].map(doubt), "many at once");
    open(&mut leases, 3, at(9));
    assert!(leases.is_living(id(3)));
    assert_eq!((leases.streaming_count, leases.broken.len()), (4, 3));
    let due = run(&mut leases, at(3 * 3600 + 9));
    let gone = due.iter().filter(|(.., verdict)| *verdict == Verdict::Expire).count();
    assert_eq!(gone, 8, "what is not renewed ends, streams or not: {due:?}");
    assert_eq!((leases.streaming_count, leases.broken.len(), leases.count()), (0, 0, 0));
}

#[test]
fn damping_ends_by_itself_and_begins_again() {
    let mut leases = table(1, 3600);
    leases.damp(id(1), true, at(0));
    run(&mut leases, at(20));
    leases.damp(id(1), true, at(20));
    assert_eq!(run(&mut leases, at(60)), [(50.0, 1, Verdict::Release)]);
    leases.damp(id(1), true, at(60));
    leases.remove(id(1));
    assert_eq!(leases.next_deadline(), None);
}

#[test]
fn a_permanent_lease_has_no_end() {
    let mut leases = table(1, 5);
    leases.grant(Lease { is_permanent: true, ..lease(2, 5) }, key("2"), at(0));
    leases.restart(at(0));
    assert_eq!(run(&mut leases, at(60)), [(10.0, 1, Verdict::Expire)]);
    assert!(leases.renew(id(2), &key("2"), at(60)).is_some());
    assert_eq!((leases.next_deadline(), leases.is_living(id(2))), (None, true));
}
