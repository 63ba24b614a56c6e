//! Random histories of the reference model through the codec: what is replayed from bytes, from the beginning or from a snapshot
//! and the tail, is the book that lived through it.

use lombard_engine::{
    At, Codec as _, Machine as _, StateHash, state_from_bytes, state_hash, state_to_bytes,
};
use lombard_ledger_core::{Book, Recorded};

use super::tests::{Plain, empty};
use crate::codec::EventCodec;

#[path = "../../../../ledger-core/tests/proof/mod.rs"]
mod proof;

const HISTORIES: u64 = 60;
const OPERATIONS: usize = 400;

fn hash(book: &Book, seed: u128) -> StateHash {
    state_hash(&Plain { book: book.clone(), ..empty(seed) })
}

#[test]
fn replays_from_bytes_come_to_the_same_state() {
    for seed in 0..HISTORIES {
        let lived = proof::run(seed, OPERATIONS)
            .unwrap_or_else(|(number, how)| panic!("seed {seed}, operation {number}: {how}"));
        let encoded: Vec<(Vec<u8>, Recorded)> = lived
            .history
            .iter()
            .map(|(event, recorded)| {
                let mut bytes = Vec::new();
                EventCodec.encode(event, &mut bytes);
                (bytes, *recorded)
            })
            .collect();
        let expected = hash(&lived.book, u128::from(seed));
        // A snapshot at one place of the history, another for each seed.
        let cut = usize::try_from(seed).unwrap() * 7919 % encoded.len();
        let mut whole = empty(1000);
        let mut snapshot = Vec::new();
        for (number, ((event, _), (bytes, recorded))) in
            lived.history.iter().zip(&encoded).enumerate()
        {
            if number == cut {
                snapshot = state_to_bytes(&whole);
            }
            let decoded = EventCodec.decode(bytes).unwrap();
            assert_eq!(decoded, *event, "seed {seed}, record {number}");
            apply(&mut whole, bytes, *recorded);
        }
        assert_eq!(state_hash(&whole), expected, "seed {seed}: replayed from the beginning");
        let mut restored = state_from_bytes(empty(2000), &snapshot).unwrap();
        for (bytes, recorded) in &encoded[cut..] {
            apply(&mut restored, bytes, *recorded);
        }
        assert_eq!(state_hash(&restored), expected, "seed {seed}: from the snapshot at {cut}");
        assert_eq!(restored.book.state_hash(), lived.book.state_hash(), "seed {seed}");
    }
}

fn apply(machine: &mut Plain, bytes: &[u8], Recorded { position, time }: Recorded) {
    let event = EventCodec.decode(bytes).unwrap();
    machine.apply(&event, At { position, index: 0, time });
}
