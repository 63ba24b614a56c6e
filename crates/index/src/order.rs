//! Putting many entries in order at once.

use crate::run::Entry;

/// Entries in order of key; those of one key in the order in which they came. The beginnings of the keys are sorted with the
/// places of the entries in one number: moving the entries about, and comparing bytes, takes several times as long.
pub(crate) fn in_order<const K: usize, const V: usize>(
    entries: &[Entry<K, V>],
) -> Vec<Entry<K, V>> {
    const PLACE_BITS: u32 = 32;
    const BEGINNING_BYTES: usize = 12;
    let place_of = |number: &u128| usize::try_from(*number & u128::from(u32::MAX)).unwrap_or(0);
    let numbered = |(place, (key, _)): (u32, &Entry<K, V>)| {
        let mut beginning = [0; 16];
        let bytes = key.get(..BEGINNING_BYTES).unwrap_or(key);
        beginning.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        u128::from_be_bytes(beginning) | u128::from(place)
    };
    let mut numbers: Vec<u128> = (0..).zip(entries).map(numbered).collect();
    numbers.sort_unstable();
    if K > BEGINNING_BYTES {
        let key = |number: &u128| entries.get(place_of(number)).map(|(key, _)| key);
        for alike in numbers.chunk_by_mut(|a, b| a >> PLACE_BITS == b >> PLACE_BITS) {
            alike.sort_by_key(key);
        }
    }
    numbers.iter().filter_map(|number| entries.get(place_of(number)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Table;

    proptest! {
        #[test]
        fn loaded_is_as_if_inserted(
            before in prop::collection::vec(([0_u8..3, 0..3], any::<u8>()), 0..20),
            // Beginnings of twelve bytes that are alike, and then different ends.
            keys in prop::collection::vec((0_u8..3, 0_u8..3, any::<u8>()), 0..80),
        ) {
            let long = |(first, last, value): &(u8, u8, u8)| {
                let mut key = [7; 14];
                (key[0], key[13]) = (*first, *last);
                (key, [*value])
            };
            let entries: Vec<_> = keys.iter().map(long).collect();
            let mut table = Table::default();
            table.extend(entries.clone());
            prop_assert!(table.iter().eq(entries.iter().copied().collect::<Table<14, 1>>().iter()));
            let ordered = in_order(&entries);
            let mut sorted = entries;
            sorted.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ordered, sorted);
            let short = before.iter().map(|(key, value)| (*key, [*value]));
            let mut table: Table<2, 1> = short.clone().take(5).collect();
            table.extend(short.clone().collect());
            let wanted: Table<2, 1> = short.clone().take(5).chain(short).collect();
            prop_assert!(table.iter().eq(wanted.iter()));
        }
    }
}
