//! Instances that answer with failures are avoided for a while, but never more of them than the cap permits.

use std::{collections::BTreeMap, time::Duration};

/// When instances are ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierRules {
    /// Failures in a row that eject an instance.
    pub failures: u32,
    /// For how long, the first time; doubled with each ejection in a row.
    pub ejection: Duration,
    /// The longest ejection.
    pub ejection_max: Duration,
    /// Most instances that are ejected at once, in percent of all.
    pub ejected_percent_max: u32,
}

impl OutlierRules {
    /// How many of so many instances may be ejected at once: never more than the percentage, and never all.
    pub const fn cap(&self, count: usize) -> usize {
        let percent = if self.ejected_percent_max > 100 { 100 } else { self.ejected_percent_max };
        let part = count * percent as usize / 100;
        let all_but_one = count.saturating_sub(1);
        if part < all_but_one { part } else { all_but_one }
    }
}

/// The instances of one upstream, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outliers {
    members: BTreeMap<Box<str>, Member>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Member {
    failures: u32,
    ejections: u32,
    ejected_until: Option<Duration>,
}

impl Member {
    fn is_ejected(&self, now: Duration) -> bool {
        self.ejected_until.is_some_and(|until| until > now)
    }
}

impl Outliers {
    /// Makes these the instances. Those that stay keep what is known of them; where fewer may be ejected than are, those
    /// that would come back first come back now.
    pub fn set_members<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
        rules: &OutlierRules,
        now: Duration,
    ) {
        let before = std::mem::take(&mut self.members);
        self.members = names
            .map(|name| (name.into(), before.get(name).copied().unwrap_or_default()))
            .collect();
        while self.ejected(now) > rules.cap(self.members.len()) {
            let first = self
                .members
                .values_mut()
                .filter(|member| member.is_ejected(now))
                .min_by_key(|member| member.ejected_until);
            let Some(first) = first else { break };
            first.ejected_until = None;
        }
    }

    /// How many are ejected.
    pub fn ejected(&self, now: Duration) -> usize {
        self.members.values().filter(|member| member.is_ejected(now)).count()
    }

    /// An instance failed. Says until when it is ejected, if this ejects it.
    pub fn failed(&mut self, name: &str, rules: &OutlierRules, now: Duration) -> Option<Duration> {
        let has_room = self.ejected(now) < rules.cap(self.members.len());
        let member = self.members.get_mut(name)?;
        // What was sent before the ejection and fails after it says nothing new.
        if member.is_ejected(now) {
            return None;
        }
        member.failures = member.failures.saturating_add(1);
        if member.failures < rules.failures || !has_room {
            return None;
        }
        let doublings = member.ejections.min(16);
        member.ejections = member.ejections.saturating_add(1);
        // One failure after the return is enough: it has not shown that it is well.
        member.failures = rules.failures.saturating_sub(1);
        let until = now + rules.ejection.saturating_mul(1 << doublings).min(rules.ejection_max);
        member.ejected_until = Some(until);
        Some(until)
    }

    /// An instance answered: it is well.
    pub fn succeeded(&mut self, name: &str, now: Duration) {
        if let Some(member) = self.members.get_mut(name)
            && !member.is_ejected(now)
        {
            *member = Member::default();
        }
    }

    /// Those that are ejected not for the first time in a row: since their return they have answered nothing.
    pub fn ejected_again(&self, now: Duration) -> impl Iterator<Item = &str> {
        let is_again = move |member: &Member| member.is_ejected(now) && member.ejections > 1;
        let found = self.members.iter().filter(move |(_, member)| is_again(member));
        found.map(|(name, _)| &**name)
    }

    /// Until when an instance is ejected.
    pub fn ejected_until(&self, name: &str) -> Option<Duration> {
        self.members.get(name)?.ejected_until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: OutlierRules = OutlierRules {
        failures: 3,
        ejection: Duration::from_secs(1),
        ejection_max: Duration::from_secs(8),
        ejected_percent_max: 50,
    };

    #[test]
    fn the_cap_is_exact() {
        let cap =
            |percent, count| OutlierRules { ejected_percent_max: percent, ..RULES }.cap(count);
        let of = |percent| [0, 1, 2, 3, 4, 10].map(|count| cap(percent, count));
        assert_eq!(of(0), [0; 6]);
        assert_eq!(of(33), [0, 0, 0, 0, 1, 3]);
        assert_eq!(of(50), [0, 0, 1, 1, 2, 5]);
        assert_eq!(of(67), [0, 0, 1, 2, 2, 6]);
        assert_eq!(of(100), [0, 0, 1, 2, 3, 9]);
    }

    #[test]
    fn ejections_grow_and_end_with_an_answer() {
        let at = Duration::from_secs;
        let mut outliers = Outliers::default();
        outliers.set_members(["a", "b"].into_iter(), &RULES, at(0));
        assert_eq!(outliers.failed("a", &RULES, at(0)), None);
        outliers.succeeded("a", at(0));
        assert_eq!(outliers.failed("a", &RULES, at(0)), None);
        assert_eq!(outliers.failed("a", &RULES, at(0)), None);
        assert_eq!(outliers.failed("a", &RULES, at(0)), Some(at(1)));
        // Two instances at 50 %: the other one stays, whatever it does.
        for _ in 0..10 {
            assert_eq!(outliers.failed("b", &RULES, at(0)), None);
        }
        outliers.succeeded("b", at(1));
        // One failure after its return is enough, and it stays away for longer.
        assert_eq!(outliers.ejected_again(at(0)).count(), 0, "once may be chance");
        assert_eq!(outliers.failed("a", &RULES, at(2)), Some(at(4)));
        assert_eq!(outliers.ejected_again(at(3)).collect::<Vec<_>>(), ["a"]);
        assert_eq!(outliers.ejected_again(at(4)).count(), 0);
        assert_eq!(outliers.failed("a", &RULES, at(10)), Some(at(14)));
        assert_eq!(outliers.failed("a", &RULES, at(20)), Some(at(28)));
        assert_eq!(outliers.failed("a", &RULES, at(30)), Some(at(38)), "the longest");
        outliers.succeeded("a", at(40));
        assert_eq!(outliers.failed("a", &RULES, at(41)), None);
        assert_eq!(outliers.failed("unknown", &RULES, at(41)), None);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Fail(usize),
        Succeed(usize),
        Wait(u64),
        Members(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..10_usize).prop_map(Step::Fail),
            1 => (0..10_usize).prop_map(Step::Succeed),
            1 => (0..3000_u64).prop_map(Step::Wait),
            1 => (0..10_usize).prop_map(Step::Members),
        ]
    }

    proptest! {
        /// Whatever happens, no more are ejected than the cap says, and never all.
        #[test]
        fn the_cap_holds_at_every_moment(
            percent in 0..=120_u32,
            count in 1..10_usize,
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let rules = OutlierRules { failures: 2, ejected_percent_max: percent, ..RULES };
            let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
            let (mut outliers, mut count, mut now) = (Outliers::default(), count, Duration::ZERO);
            outliers.set_members(names.iter().take(count).map(String::as_str), &rules, now);
            for step in steps {
                match step {
                    Step::Fail(number) => drop(outliers.failed(&names[number], &rules, now)),
                    Step::Succeed(number) => outliers.succeeded(&names[number], now),
                    Step::Wait(ms) => now += Duration::from_millis(ms),
                    Step::Members(other) => {
                        count = other;
                        let names = names.iter().take(count).map(String::as_str);
                        outliers.set_members(names, &rules, now);
                    }
                }
                prop_assert!(outliers.ejected(now) <= rules.cap(count));
                prop_assert!(count == 0 || outliers.ejected(now) < count);
            }
        }
    }
}
