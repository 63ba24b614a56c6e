//! A random order that follows weights: what has twice the weight of another is twice as often the first of both.

/// Numbers that nobody needs to be unable to guess: they spread traffic and protect nothing. SplitMix64 (Steele, Lea and
/// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Over 0 and at most 1.
    fn throw(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // As many bits as the fraction of such a number has.
        let upper = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
        (f64::from(upper) + 1.0) / (f64::from(u32::MAX) + 1.0)
    }
}

/// Shuffles by weight: sorted by exponential variates with the weights as rates (Efraimidis and Spirakis, "Weighted random
/// sampling with a reservoir", 2006).
pub(super) fn shuffle<T>(items: &mut Vec<T>, dice: &mut Dice, weight: impl Fn(&T) -> u16) {
    let mut keyed: Vec<(f64, T)> = items
        .drain(..)
        .map(|item| (-dice.throw().ln() / f64::from(weight(&item).max(1)), item))
        .collect();
    keyed.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    items.extend(keyed.into_iter().map(|(_, item)| item));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_follows_the_weights() {
        let mut dice = Dice::new(7);
        let mut first = [0u32; 3];
        for _ in 0..10_000 {
            let mut items = vec![(0, 1u16), (1, 2), (2, 7)];
            shuffle(&mut items, &mut dice, |(_, weight)| *weight);
            let mut found: Vec<_> = items.iter().map(|(which, _)| *which).collect();
            first[found[0]] += 1;
            found.sort_unstable();
            assert_eq!(found, [0, 1, 2], "nothing is lost");
        }
        // Ten standard deviations at least.
        for (count, expected) in first.iter().zip([1000u32, 2000, 7000]) {
            assert!(count.abs_diff(expected) < 500, "{first:?}");
        }
    }
}
