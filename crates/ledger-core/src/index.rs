//! The hash function of the book's indexes.
//!
//! Ids are chosen by clients, so the function is seeded: with a seed that nobody outside knows, nobody can choose ids
//! that collide. The seed decides where an entry lies in memory and nothing else, since the indexes are only looked
//! up and never iterated: two books with different seeds decide alike.

use std::hash::{BuildHasher, Hasher};

/// Drawn once per process by the shell; a constant in tests.
#[derive(Clone, Copy, Default)]
pub struct HashSeed(pub u128);

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashSeed")
    }
}

/// Makes hashers with one seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedState(HashSeed);

impl FixedState {
    /// Hashers that all begin with `seed`.
    pub const fn new(seed: HashSeed) -> Self {
        Self(seed)
    }
}

impl BuildHasher for FixedState {
    type Hasher = FoldHasher;

    fn build_hasher(&self) -> FoldHasher {
        let [low, high] = halves(self.0.0);
        FoldHasher { state: low ^ STATE, key: high ^ KEY }
    }
}

/// Fractional digits of pi: odd-looking constants nobody chose for a purpose.
const STATE: u64 = 0x243f_6a88_85a3_08d3;
const KEY: u64 = 0x1319_8a2e_0370_7344;
const LAST: u64 = 0xa409_3822_299f_31d0;

/// Folds the 128-bit product of state and input, so that every input bit reaches every output bit.
#[derive(Clone, Copy, Debug)]
pub struct FoldHasher {
    state: u64,
    key: u64,
}

impl FoldHasher {
    fn mix(&mut self, a: u64, b: u64) {
        let product = u128::from(self.state ^ a).wrapping_mul(u128::from(self.key ^ b));
        let [low, high] = halves(product);
        // Rotating keeps a zero product from wiping out what came before it.
        self.state = low ^ high ^ self.state.rotate_left(23);
    }
}

impl Hasher for FoldHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word), 0);
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.mix(u64::from_le_bytes(last), u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }

    fn write_u8(&mut self, byte: u8) {
        self.mix(u64::from(byte), 0);
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number), 0);
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number, 0);
    }

    fn write_u128(&mut self, number: u128) {
        let [low, high] = halves(number);
        self.mix(low, high);
    }

    fn finish(&self) -> u64 {
        let mut last = *self;
        last.mix(0, LAST);
        last.state
    }
}

/// The lower and upper 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "each half is taken on purpose")]
const fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn hash_u128(seed: u128, number: u128) -> u64 {
        let mut hasher = FixedState::new(HashSeed(seed)).build_hasher();
        hasher.write_u128(number);
        hasher.finish()
    }

    #[test]
    fn close_ids_spread_over_buckets_and_seeds() {
        for step in [1u128, 1 << 40, 1 << 64, 1 << 100] {
            let buckets: BTreeSet<u64> =
                (1..=1024u128).map(|n| hash_u128(1, n * step) % 1024).collect();
            // A random function fills about 1 - 1/e = 63 % of the buckets.
            assert!(buckets.len() > 560, "step {step}: {}", buckets.len());
        }
        assert_ne!(hash_u128(1, 7), hash_u128(2, 7));
    }
}
