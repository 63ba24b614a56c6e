//! Fixed-size keys and values are joined from parts and taken apart again. Numbers are big endian, so that keys are in
//! their order.

use lombard_types::Sum;

/// A sum's high part, then its low.
pub(crate) const SUM_BYTES: usize = 24;

pub(crate) fn sum_bytes(sum: Sum) -> [u8; SUM_BYTES] {
    let (high, low) = sum.parts();
    join(&[&high.to_be_bytes(), &low.to_be_bytes()])
}

pub(crate) fn sum_at(whole: &[u8], offset: usize) -> Sum {
    Sum::from_parts(u64_at(whole, offset), u128_at(whole, offset + 8))
}

/// Joins parts that are as long as the whole.
pub(crate) fn join<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    debug_assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), N, "the length of a key");
    let mut whole = [0; N];
    let mut rest = whole.as_mut_slice();
    for part in parts {
        let Some((here, after)) = rest.split_at_mut_checked(part.len()) else { break };
        here.copy_from_slice(part);
        rest = after;
    }
    whole
}

/// The `N` bytes at `offset`.
pub(crate) fn part<const N: usize>(whole: &[u8], offset: usize) -> [u8; N] {
    let part = whole.get(offset..).and_then(|rest| rest.first_chunk::<N>());
    debug_assert!(part.is_some(), "a part beyond the end");
    part.copied().unwrap_or([0; N])
}

/// The bytes from `offset` on.
pub(crate) fn from(whole: &[u8], offset: usize) -> &[u8] {
    whole.get(offset..).unwrap_or_default()
}

pub(crate) fn u128_at(whole: &[u8], offset: usize) -> u128 {
    u128::from_be_bytes(part(whole, offset))
}

pub(crate) fn u64_at(whole: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(part(whole, offset))
}

pub(crate) fn u32_at(whole: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(part(whole, offset))
}
