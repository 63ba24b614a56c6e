//! Tells most keys that are not in a run, without reading it: a blocked Bloom filter.

/// Bits for each key: about one absent key in a hundred is looked for in vain.
const KEY_BITS: u64 = 10;
/// Bits that are set for a key.
const PROBES: u32 = 6;
/// One cache line: all bits of a key are in one.
const BLOCK_BYTES: usize = 64;

/// A set of hashes that may claim to have one that it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    /// Room for `keys`.
    pub(crate) fn new(keys: u64) -> Self {
        let bits = keys.saturating_mul(KEY_BITS);
        let blocks = usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX).div_ceil(BLOCK_BYTES);
        Self(vec![0; blocks.max(1) * BLOCK_BYTES])
    }

    /// From its bytes, which are as many as a filter can have.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Option<Self> {
        (!bytes.is_empty() && bytes.len().is_multiple_of(BLOCK_BYTES)).then_some(Self(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn insert(&mut self, key: &[u8]) {
        let (block, bits) = self.place(hash(key));
        if let Some(block) = self.0.get_mut(block..block + BLOCK_BYTES) {
            for (byte, mask) in bits {
                if let Some(byte) = block.get_mut(byte) {
                    *byte |= mask;
                }
            }
        }
    }

    /// Whether a key of this hash may have been inserted.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        let (block, mut bits) = self.place(hash);
        let block = self.0.get(block..block + BLOCK_BYTES).unwrap_or_default();
        bits.all(|(byte, mask)| block.get(byte).is_some_and(|byte| byte & mask != 0))
    }

    /// The block's offset, and which bits of which bytes in it.
    fn place(&self, hash: u64) -> (usize, impl Iterator<Item = (usize, u8)> + use<>) {
        let blocks = u64::try_from(self.0.len() / BLOCK_BYTES).unwrap_or(1);
        let block = ((u128::from(hash) * u128::from(blocks)) >> 64) as u64 as usize * BLOCK_BYTES;
        let mut rest = hash.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (0..PROBES).map(move |_| {
            let bit = (rest >> 55) as usize;
            rest = rest.wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(23);
            (bit / 8, 1_u8 << (bit % 8))
        });
        (block, bits)
    }
}

/// Spreads keys that are alike, such as ids that begin with a time. It need not withstand an adversary: whoever finds
/// keys that collide makes lookups of those slower.
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut hash = 0x2545_F491_4F6C_DD1D_u64;
    for word in key.chunks(8) {
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(word).for_each(|(to, from)| *to = *from);
        hash = (hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
        hash ^= hash >> 32;
    }
    hash = hash.wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_inserted_is_there_and_little_else() {
        let mut filter = Filter::new(10_000);
        let key = |number: u64| number.to_be_bytes();
        (0..10_000).for_each(|number| filter.insert(&key(number)));
        assert!((0..10_000).all(|number| filter.may_have(hash(&key(number)))));
        let wrong = (10_000..110_000).filter(|number| filter.may_have(hash(&key(*number)))).count();
        assert!(wrong < 3000, "{wrong} of 100000 absent keys");
    }
}
