//! Which instance gets a request: of two drawn at random the one with the smaller cost ("power of two choices",
//! Mitzenmacher 1996), where the cost is the expected latency times the requests that are under way.

use std::time::Duration;

/// What is known of an instance at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Requests under way.
    pub in_flight: u32,
    /// What was observed of its latency.
    pub latency: PeakEwma,
    /// Now, on the clock of the latency.
    pub now_ms: u32,
    /// It has failed and is avoided for now.
    pub is_ejected: bool,
    /// This request was tried there already.
    pub is_tried: bool,
    /// In the gateway's own zone, or zones are not told apart.
    pub is_near: bool,
    /// How long it has been known.
    pub age: Duration,
}

/// How the choice is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceRules {
    /// A new instance gets a share that grows for this long.
    pub slow_start: Duration,
    /// An instance of another zone is taken where the one of the own zone has so many requests under way.
    pub spill_over_in_flight: u32,
}

/// The smallest share of a new instance, in parts of the whole one.
const SHARE_MIN: f64 = 0.1;
/// Latency is not told apart below this, so that noise does not decide.
const LATENCY_US_MIN: f32 = 100.0;

impl Load {
    /// What another request costs here.
    fn cost(&self) -> f64 {
        f64::from(self.latency.expected_us(self.now_ms).max(LATENCY_US_MIN))
            * (f64::from(self.in_flight) + 1.0)
    }

    /// Which part of its full share an instance of this age gets.
    fn share(&self, rules: &BalanceRules) -> f64 {
        if self.age >= rules.slow_start {
            return 1.0;
        }
        (self.age.as_secs_f64() / rules.slow_start.as_secs_f64()).max(SHARE_MIN)
    }

    /// Candidates are those of the best rank: not tried, then not ejected.
    const fn rank(&self) -> u8 {
        match (self.is_tried, self.is_ejected) {
            (false, false) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (true, true) => 3,
        }
    }
}

/// The index of the instance that gets the request; `None` only where there is none.
///
/// Instances that were not tried yet come first, among them those that are not ejected. Where all are ejected, all are
/// candidates again: a service is never made unreachable by its ejections. Instances of the own zone are preferred until
/// they are full. `random` should be uniform.
pub fn choose(
    count: usize,
    load: impl Fn(usize) -> Load,
    rules: &BalanceRules,
    random: u64,
) -> Option<usize> {
    let best = (0..count).map(|index| load(index).rank()).min()?;
    let draw = Draw { count, load: &load, best, rules };
    let near = draw.pick(random, true);
    let is_full = |index: usize| load(index).in_flight >= rules.spill_over_in_flight;
    match near {
        Some(index) if !is_full(index) => Some(index),
        Some(index) => {
            let any = draw.pick(random.rotate_left(17), false)?;
            Some(if load(any).in_flight < load(index).in_flight { any } else { index })
        }
        None => draw.pick(random, false),
    }
}

struct Draw<'a, L> {
    count: usize,
    load: &'a L,
    best: u8,
    rules: &'a BalanceRules,
}

impl<L: Fn(usize) -> Load> Draw<'_, L> {
    fn candidates(&self, only_near: bool) -> impl Iterator<Item = usize> {
        (0..self.count).filter(move |index| {
            let load = (self.load)(*index);
            load.rank() == self.best && (load.is_near || !only_near)
        })
    }

    fn pick(&self, random: u64, only_near: bool) -> Option<usize> {
        let candidates = self.candidates(only_near).count();
        match candidates {
            0 => return None,
            1 => return self.candidates(only_near).next(),
            _ => {}
        }
        let nth = |nth: u64| self.candidates(only_near).nth(usize::try_from(nth).ok()?);
        let count = u64::try_from(candidates).ok()?;
        // Both halves of the random number are used, so that the choices do not depend on each other.
        let (high, low) = (random >> 32, random & u64::from(u32::MAX));
        let first = high % count;
        let second = (first + 1 + low % (count - 1)) % count;
        let (first, second) = (nth(first)?, nth(second)?);
        let (one, other) = ((self.load)(first), (self.load)(second));
        Some(match (self.is_taken(&one, random), self.is_taken(&other, random.rotate_left(32))) {
            (true, false) => first,
            (false, true) => second,
            _ if other.cost() < one.cost() => second,
            _ => first,
        })
    }

    /// Whether a new instance counts this time: as often as its share says.
    fn is_taken(&self, load: &Load, random: u64) -> bool {
        let share = load.share(self.rules);
        // The lowest 16 bits as a part of one.
        share >= 1.0 || f64::from(u16::try_from(random & 0xffff).unwrap_or(0)) / 65536.0 < share
    }
}

/// Expected latency: the mean of what was observed, where older observations count less, and a peak counts at once
/// ("peak EWMA").
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeakEwma {
    /// In microseconds; 0 before the first observation.
    pub latency_us: f32,
    /// When it was last observed, in milliseconds of any clock that may wrap around.
    pub at_ms: u32,
}

/// After this time an observation counts for 1/e.
const DECAY_MS: f32 = 10_000.0;

impl PeakEwma {
    /// With another observation.
    #[must_use]
    pub fn observe(self, latency: Duration, now_ms: u32) -> Self {
        let observed = latency.as_secs_f32() * 1e6;
        let latency_us = if observed >= self.latency_us {
            observed
        } else {
            let weight = self.weight(now_ms);
            // Also many observations within one millisecond must bring it down: each counts for 1 in 100 at least.
            let weight = weight.min(0.99);
            self.latency_us * weight + observed * (1.0 - weight)
        };
        Self { latency_us, at_ms: now_ms }
    }

    /// What is expected now: what was observed long ago counts less and less, so that an instance that was slow once is
    /// tried again.
    pub fn expected_us(self, now_ms: u32) -> f32 {
        self.latency_us * self.weight(now_ms)
    }

    fn weight(self, now_ms: u32) -> f32 {
        let age = now_ms.wrapping_sub(self.at_ms);
        // A time before the last observation is no age: clocks of threads differ by moments.
        let age = if age > u32::MAX / 2 { 0 } else { age };
        let age = u16::try_from(age / 16).map_or(f32::from(u16::MAX), f32::from) * 16.0;
        (-age / DECAY_MS).exp()
    }

    /// Both numbers in one, to be kept in one atomic.
    pub fn to_bits(self) -> u64 {
        u64::from(self.latency_us.to_bits()) << 32 | u64::from(self.at_ms)
    }

    /// The other way round.
    pub fn from_bits(bits: u64) -> Self {
        let high = u32::try_from(bits >> 32).unwrap_or(0);
        let at_ms = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        Self { latency_us: f32::from_bits(high), at_ms }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: BalanceRules =
        BalanceRules { slow_start: Duration::from_secs(30), spill_over_in_flight: 8 };
    const OLD: Load = Load {
        in_flight: 0,
        latency: PeakEwma { latency_us: 1000.0, at_ms: 0 },
        now_ms: 0,
        is_ejected: false,
        is_tried: false,
        is_near: true,
        age: Duration::from_secs(60),
    };

    fn shares(loads: &[Load]) -> Vec<u32> {
        let mut counts = vec![0; loads.len()];
        let mut random = 1_u64;
        for _ in 0..30_000 {
            // A linear congruential generator (Knuth's constants), mixed.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mixed = (random ^ (random >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            counts[choose(loads.len(), |index| loads[index], &RULES, mixed ^ (mixed >> 31))
                .unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn equal_instances_get_equal_shares() {
        assert!(shares(&[OLD; 3]).iter().all(|count| (9_000..11_000).contains(count)));
    }

    #[test]
    fn the_slowest_of_three_gets_nothing_and_a_busy_one_less() {
        let slow = Load { latency: PeakEwma { latency_us: 9000.0, at_ms: 0 }, ..OLD };
        assert_eq!(shares(&[OLD, slow, OLD])[1], 0);
        let busy = Load { in_flight: 5, ..OLD };
        assert_eq!(shares(&[busy, OLD, OLD])[0], 0);
        // Nine times as slow, but the other has ten requests under way.
        assert_eq!(shares(&[slow, Load { in_flight: 10, ..OLD }]), [30_000, 0]);
    }

    #[test]
    fn a_new_instance_gets_a_growing_share() {
        let mut before = 0;
        for (age, least, most) in
            [(0, 500, 4000), (10, 3000, 11_000), (20, 7000, 14_000), (30, 14_000, 16_000)]
        {
            let new = Load { age: Duration::from_secs(age), ..OLD };
            let share = shares(&[OLD, new])[1];
            assert!((least..most).contains(&share), "{age} {share}");
            assert!(share > before);
            before = share;
        }
    }

    #[test]
    fn the_own_zone_comes_first_until_it_is_full() {
        let far = Load { is_near: false, ..OLD };
        assert_eq!(shares(&[OLD, far, far]), [30_000, 0, 0]);
        let ejected = Load { is_ejected: true, ..OLD };
        assert_eq!(shares(&[ejected, far])[1], 30_000);
        let full = Load { in_flight: 8, ..OLD };
        let spilt = shares(&[full, far, far]);
        assert!(spilt[0] == 0 && spilt[1] > 10_000 && spilt[2] > 10_000, "{spilt:?}");
        assert_eq!(shares(&[full, Load { in_flight: 9, ..far }]), [30_000, 0]);
    }

    #[test]
    fn latency_rises_at_once_and_falls_slowly() {
        let ms = Duration::from_millis;
        let slow = PeakEwma::default().observe(ms(1), 0).observe(ms(50), 10);
        assert!((slow.latency_us - 50_000.0).abs() < 1.0);
        let after = (1..=100).fold(slow, |ewma, at| ewma.observe(ms(1), 10 + at * 100));
        assert!((10_000.0..30_000.0).contains(&after.latency_us), "{after:?}");
        assert!(slow.expected_us(60_000) < 200.0);
        assert_eq!(PeakEwma::from_bits(slow.to_bits()), slow);
        // The clock wraps around after 49 days.
        assert!(PeakEwma { latency_us: 9.0, at_ms: u32::MAX }.expected_us(10) > 8.9);
        assert!((PeakEwma { latency_us: 9.0, at_ms: 10 }.expected_us(9) - 9.0).abs() < 0.01);
    }

    fn load() -> impl Strategy<Value = Load> {
        (0..12_u32, 0..3_u16, any::<[bool; 3]>(), 0..40_u64).prop_map(
            |(in_flight, latency, [is_ejected, is_tried, is_near], age)| Load {
                in_flight,
                latency: PeakEwma { latency_us: f32::from(latency) * 1000.0, at_ms: 0 },
                now_ms: 0,
                is_ejected,
                is_tried,
                is_near,
                age: Duration::from_secs(age),
            },
        )
    }

    proptest! {
        #[test]
        fn the_choice_is_among_the_best(
            loads in prop::collection::vec(load(), 0..6),
            random in any::<u64>(),
        ) {
            let chosen = choose(loads.len(), |index| loads[index], &RULES, random);
            // Nobody is chosen only where nobody is.
            prop_assert_eq!(chosen.is_none(), loads.is_empty());
            if let Some(chosen) = chosen {
                let chosen = loads[chosen];
                prop_assert_eq!(Some(chosen.rank()), loads.iter().map(Load::rank).min());
                // Another zone only where there is nobody near, or the near one that was drawn is full.
                let near = || loads.iter().filter(|load| load.rank() == chosen.rank() && load.is_near);
                prop_assert!(chosen.is_near || near().count() == 0 || near().any(|load| load.in_flight >= 8));
            }
        }
    }
}
