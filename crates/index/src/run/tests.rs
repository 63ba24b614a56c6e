use std::fs;

use proptest::prelude::*;

use super::*;

type Pair = Entry<4, 2>;

fn write_all(path: &Path, entries: &[Pair]) -> Run<4, 2> {
    let count = entries.len() as u64;
    write(path, 7, FilterOn::First(2), count, entries.iter().copied().map(Ok)).unwrap()
}

fn entries(count: u32) -> Vec<Pair> {
    (0..count).map(|n| ((n * 3).to_be_bytes(), [n.to_le_bytes()[0], 1])).collect()
}

#[test]
fn golden_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    write_all(&path, &[([0, 0, 0, 1], [9, 8]), ([0, 0, 0, 2], [7, 6])]);
    let bytes = fs::read(&path).unwrap();
    // A mask, three zeros in common, then the rest of each entry.
    let block = [0b11_1000, 0, 0, 0, 1, 9, 8, 2, 7, 6];
    assert_eq!(bytes[..10], block);
    assert_eq!(bytes[10..14], crc32c::crc32c(&block).to_le_bytes());
    assert_eq!(bytes[14..22], [0, 0, 0, 1, 14, 0, 0, 0], "the first key of the block, its bytes");
    assert_eq!(bytes[22..26], [0, 0, 0, 2], "the last key");
    assert_eq!(bytes[90..98], *b"LMBRUN\0\x02", "after a filter of one cache line");
    assert_eq!(bytes[98..104], [4, 0, 2, 0, 2, 0]);
    assert_eq!(bytes[104..112], 2_u64.to_le_bytes(), "entries");
    assert_eq!(bytes.len(), 132);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    let entries = entries(1500);
    write_all(&path, &entries);
    let sound = fs::read(&path).unwrap();
    let read = |path: &Path| -> Result<Vec<Pair>, ReadError> {
        let run = Run::<4, 2>::open(path, 7, FilterOn::First(2))?;
        let mut entries = Vec::new();
        for number in 0..run.blocks() {
            let block = run.block(number)?;
            entries.extend((0..block.len()).filter_map(|at| block.entry(at)));
        }
        Ok(entries)
    };
    assert_eq!(read(&path).unwrap(), entries);
    for at in (0..sound.len()).step_by(7).chain(sound.len() - 60..sound.len()) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x10;
        fs::write(&path, &damaged).unwrap();
        assert!(read(&path).is_err(), "byte {at}");
    }
    for length in [0, 1, 41, 42, sound.len() - 1] {
        fs::write(&path, &sound[..length]).unwrap();
        assert!(read(&path).is_err(), "cut to {length}");
    }
}

#[test]
fn a_run_of_another_map_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("run");
    write_all(&path, &entries(3));
    assert!(Run::<4, 3>::open(&path, 7, FilterOn::First(2)).is_err());
    assert!(Run::<4, 2>::open(&path, 7, FilterOn::First(4)).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run");
        fs::write(&path, bytes).unwrap();
        prop_assert!(Run::<4, 2>::open(&path, 7, FilterOn::First(2)).is_err());
    }
}
