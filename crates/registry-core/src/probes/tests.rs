use proptest::prelude::*;

use super::*;

const POLICY: ProbePolicy = ProbePolicy { preserve_percent: 30, preserve_times: 3 };
const SILENT: Outcome = Outcome::Failed(Failure::TimedOut);
const REFUSED: Outcome = Outcome::Failed(Failure::Refused);

fn check(successes_min: u8, failures_min: u8) -> Check {
    let (interval_ms, timeout_ms) = (10_000, 1000);
    let question = crate::Question::Tcp;
    Check {
        question,
        at: None,
        interval_ms,
        timeout_ms,
        successes_min,
        failures_min,
        begins_passing: false,
    }
}

fn key(number: u128) -> InstanceKey {
    let service = if number < 100 { "a" } else { "b" };
    InstanceKey { service: service.parse().unwrap(), instance: number.to_string().parse().unwrap() }
}

fn id(number: u128) -> LeaseId {
    LeaseId::from_u128(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834))
}

fn start(probes: &mut Probes, number: u128, check: Check, stays_seconds: u64) {
    let stays = Duration::from_secs(stays_seconds);
    let address = "http://10.0.0.1:80".parse().unwrap();
    probes.start(key(number), id(number), (check, address), stays, Duration::ZERO);
}

/// Asks what is due until `until`; every instance answers what `answer` says.
fn run(
    probes: &mut Probes,
    until: Duration,
    mut answer: impl FnMut(&InstanceKey) -> Outcome,
) -> Vec<(InstanceKey, Finding)> {
    let mut found = Vec::new();
    while let Some(at) = probes.next_at().filter(|at| *at <= until) {
        for probe in probes.take_due(at, 10) {
            let finding = probes.answer(probe.lease_id, answer(&probe.key), at);
            probes.again(probe.lease_id, at);
            found.extend(finding.map(|finding| (probe.key, finding)));
        }
        if probes.take_ended(at).is_empty() {
            continue;
        }
        break;
    }
    found
}

#[test]
fn thresholds_decide() {
    let mut probes = Probes::new(POLICY);
    start(&mut probes, 1, check(2, 3), 0);
    let script = [
        Outcome::Passing,
        Outcome::Passing, // passing
        REFUSED,
        REFUSED,
        Outcome::Passing,
        REFUSED,
        REFUSED,
        REFUSED, // critical
        Outcome::Warning,
        Outcome::Warning, // warning
        Outcome::Passing, // passing, since it served before
    ];
    let mut answers = script.into_iter();
    let found = run(&mut probes, Duration::from_secs(104), |_| answers.next().unwrap());
    let found: Vec<Health> = found.iter().map(|(_, finding)| finding.health).collect();
    assert_eq!(found, [Health::Passing, Health::Critical, Health::Warning, Health::Passing]);
}

#[test]
fn one_that_is_asked_is_not_asked_again_before_it_has_answered() {
    let mut probes = Probes::new(POLICY);
    start(&mut probes, 1, check(1, 1), 0);
    let (first, later) = (FIRST_WITHIN, Duration::from_secs(3600));
    assert_eq!(probes.take_due(first, 10).len(), 1, "soon");
    assert_eq!(probes.take_due(later, 10), []);
    probes.answer(id(1), REFUSED, later);
    assert_eq!(probes.next_at(), None, "nor before that is recorded");
    probes.again(id(1), later);
    let next = probes.next_at().unwrap() - later;
    let (least, most) = (Duration::from_millis(9680), Duration::from_millis(10_320));
    assert!((least..=most).contains(&next), "{next:?}");
    probes.stop(id(1));
    assert_eq!(probes.answer(id(1), Outcome::Passing, later), None, "nobody is there any more");
    probes.again(id(1), later);
    assert_eq!((probes.next_at(), probes.count()), (None, 0));
}

#[test]
fn those_that_began_together_are_spread() {
    let mut probes = Probes::new(POLICY);
    (1..=100).for_each(|number| start(&mut probes, number, check(1, 1), 0));
    let half = probes.take_due(FIRST_WITHIN / 2, 100).len();
    assert!((30..70).contains(&half), "{half}");
    assert_eq!(half + probes.take_due(FIRST_WITHIN, 100).len(), 100);
}

#[test]
fn silence_of_many_is_not_their_death_but_not_for_ever() {
    let mut probes = Probes::new(POLICY);
    (1..=4).for_each(|number| start(&mut probes, number, check(1, 2), 0));
    start(&mut probes, 101, check(1, 2), 0);
    run(&mut probes, Duration::from_secs(5), |_| Outcome::Passing);
    // All of one service fall silent; of the other, one refuses.
    let answer = |key: &InstanceKey| if key.service.as_str() == "a" { SILENT } else { REFUSED };
    let found = run(&mut probes, Duration::from_secs(45), answer);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, key(101), "who refuses is there, and does not serve");
    let found = run(&mut probes, Duration::from_secs(70), answer);
    assert_eq!(found.len(), 4, "six failures are three times two");
}

#[test]
fn one_that_is_silent_alone_is_critical() {
    let mut probes = Probes::new(POLICY);
    (1..=4).for_each(|number| start(&mut probes, number, check(1, 2), 0));
    run(&mut probes, Duration::from_secs(5), |_| Outcome::Passing);
    let answer = |asked: &InstanceKey| if *asked == key(1) { SILENT } else { Outcome::Passing };
    let found = run(&mut probes, Duration::from_secs(26), answer);
    let failure = Some(Failure::TimedOut);
    assert_eq!(found, [(key(1), Finding { health: Health::Critical, failure })]);
}

#[test]
fn who_is_critical_for_long_is_taken_out_and_who_recovers_is_not() {
    let mut probes = Probes::new(POLICY);
    start(&mut probes, 1, check(1, 1), 30);
    start(&mut probes, 101, check(1, 1), 0);
    let at = |seconds| Duration::from_secs(seconds);
    run(&mut probes, at(2), |_| REFUSED);
    run(&mut probes, at(12), |_| Outcome::Passing);
    assert_eq!(probes.take_ended(at(60)), [], "it has recovered");
    run(&mut probes, at(23), |_| REFUSED);
    assert_eq!(probes.take_ended(at(35)), []);
    assert_eq!(probes.take_ended(at(60)), [(key(1), id(1))]);
    assert_eq!(probes.take_ended(at(3600)), [], "told once; the other stays");
    // What is remembered from before a restart counts from now.
    probes.recall(id(1), Health::Critical, at(4000));
    assert_eq!(probes.take_ended(at(4029)), []);
    assert_eq!(probes.take_ended(at(4030)), [(key(1), id(1))]);
}

proptest! {
    /// Beside a model that counts answers in a row: what is concluded, and that nothing is lost on the way.
    #[test]
    fn conclusions_are_those_of_a_model(
        successes_min in 1..4u8,
        failures_min in 1..4u8,
        answers in prop::collection::vec(0..3u8, 1..60),
    ) {
        let mut probes = Probes::new(POLICY);
        start(&mut probes, 1, check(successes_min, failures_min), 0);
        let (mut health, mut run) = (Health::Starting, Vec::new());
        for answer in answers {
            let outcome = [Outcome::Passing, Outcome::Warning, REFUSED][usize::from(answer)];
            let at = probes.next_at().unwrap();
            prop_assert_eq!(probes.take_due(at, 1).len(), 1);
            let finding = probes.answer(id(1), outcome, at);
            probes.again(id(1), at);
            let is_good = outcome != REFUSED;
            if run.last().is_some_and(|last| *last != is_good) {
                run.clear();
            }
            run.push(is_good);
            let expected = match outcome {
                REFUSED if run.len() >= failures_min.into() => Health::Critical,
                Outcome::Passing if health.can_serve() || run.len() >= successes_min.into() => Health::Passing,
                Outcome::Warning if health.can_serve() || run.len() >= successes_min.into() => Health::Warning,
                _ => health,
            };
            prop_assert_eq!(finding.map(|finding| finding.health), (expected != health).then_some(expected));
            health = expected;
            prop_assert_eq!(probes.count(), 1);
        }
    }
}
