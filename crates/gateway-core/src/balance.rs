//! Which instance gets a request: the less busy of two chosen at random ("power of two choices", Mitzenmacher 1996),
//! and none that just could not be connected to while there is another.

use std::time::Duration;

/// What is known of an instance at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests under way.
    pub in_flight: u32,
    /// It is avoided until then; times count from any fixed moment.
    pub ejected_until: Duration,
    /// This request was tried there already.
    pub is_tried: bool,
}

/// The index of the instance that gets the request; `None` only where there is none.
///
/// Instances that were not tried yet come first, among them those that are not ejected. Where all are ejected, all are
/// candidates again: a service is never made unreachable by its ejections. `random` should be uniform.
pub fn choose(
    count: usize,
    load: impl Fn(usize) -> Load,
    now: Duration,
    random: u64,
) -> Option<usize> {
    let rank = |index: usize| {
        let load = load(index);
        (load.is_tried, load.ejected_until > now)
    };
    let best = (0..count).map(rank).min()?;
    let candidate =
        |nth: u64| (0..count).filter(|index| rank(*index) == best).nth(usize::try_from(nth).ok()?);
    let candidates = u64::try_from((0..count).filter(|index| rank(*index) == best).count()).ok()?;
    // Both halves of the random number are used, so that the choices do not depend on each other.
    let (high, low) = (random >> 32, random & u64::from(u32::MAX));
    let first = high % candidates;
    if candidates == 1 {
        return candidate(first);
    }
    let second = (first + 1 + low % (candidates - 1)) % candidates;
    let (first, second) = (candidate(first)?, candidate(second)?);
    Some(if load(second).in_flight < load(first).in_flight { second } else { first })
}

/// How long an instance is avoided after this many failed connects in a row: 250 ms, doubled each time, at most 8 s.
pub fn ejection(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_millis(250);
    const DOUBLINGS_MAX: u32 = 5;
    match failures {
        0 => Duration::ZERO,
        count => FIRST * (1 << (count - 1).min(DOUBLINGS_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn ejections_grow_to_a_limit() {
        let millis: Vec<_> = [0, 1, 2, 3, 6, 7, u32::MAX].map(|n| ejection(n).as_millis()).into();
        assert_eq!(millis, [0, 250, 500, 1000, 8000, 8000, 8000]);
    }

    #[test]
    fn equal_instances_get_equal_shares() {
        let mut counts = [0_u32; 3];
        let mut random = 1_u64;
        for _ in 0..30_000 {
            // A linear congruential generator (Knuth's constants), mixed.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let index = choose(3, |_| Load::default(), NOW, random ^ (random >> 29)).unwrap();
            counts[index] += 1;
        }
        assert!(counts.iter().all(|count| (9_000..11_000).contains(count)), "{counts:?}");
    }

    fn load() -> impl Strategy<Value = Load> {
        (0..4_u32, 98..103_u64, any::<bool>()).prop_map(|(in_flight, until, is_tried)| Load {
            in_flight,
            ejected_until: Duration::from_secs(until),
            is_tried,
        })
    }

    proptest! {
        #[test]
        fn the_choice_is_among_the_best(
            loads in prop::collection::vec(load(), 0..6),
            random in any::<u64>(),
        ) {
            let chosen = choose(loads.len(), |index| loads[index], NOW, random);
            // Nobody is chosen only where nobody is.
            prop_assert_eq!(chosen.is_none(), loads.is_empty());
            if let Some(chosen) = chosen {
                let rank = |load: &Load| (load.is_tried, load.ejected_until > NOW);
                prop_assert_eq!(Some(rank(&loads[chosen])), loads.iter().map(rank).min());
                // Of two or more candidates, the busiest is never chosen, unless it shares its rank in busyness.
                let peers: Vec<u32> = loads
                    .iter()
                    .filter(|load| rank(load) == rank(&loads[chosen]))
                    .map(|load| load.in_flight)
                    .collect();
                let busiest = peers.iter().max().copied().unwrap_or_default();
                let is_only_one = peers.iter().filter(|count| **count == busiest).count() == 1;
                if peers.len() > 1 && is_only_one {
                    prop_assert!(loads[chosen].in_flight < busiest);
                }
            }
        }
    }
}
