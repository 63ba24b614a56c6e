//! The maps of an index against maps in memory, through freezes, seals, merges and restarts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers are small")]

use std::{collections::BTreeMap, fs, path::Path};

use lombard_index::{FilterOn, Index, Map, MapSpec, OpenError, Opening, Reads};
use lombard_types::Position;
use proptest::prelude::*;
use tokio::sync::watch;

const WHOLE: MapSpec = MapSpec { name: "whole", filter: FilterOn::First(3), reads: Reads::Keys };
const PART: MapSpec =
    MapSpec { name: "part", filter: FilterOn::Firsts(1, 2), reads: Reads::Ranges };

struct Store {
    index: Index,
    whole: Map<3, 2>,
    part: Map<3, 2>,
    position: Position,
    mark: u64,
}

fn open(directory: &Path, durable: &watch::Sender<Position>) -> Result<Store, OpenError> {
    let mut opening = Opening::new(directory)?;
    let (whole, part) = (opening.map(WHOLE)?, opening.map(PART)?);
    let (position, mark) = (opening.position(), opening.mark());
    Ok(Store { index: opening.start(durable.subscribe())?, whole, part, position, mark })
}

/// Returns when everything before the position is sealed.
fn wait_until_sealed(index: &Index, position: Position) {
    while index.sealed() < position {
        std::thread::yield_now();
    }
}

type Model = BTreeMap<[u8; 3], [u8; 2]>;

fn check(map: &Map<3, 2>, model: &Model, from: [u8; 3], to: [u8; 3]) -> Result<(), TestCaseError> {
    prop_assert_eq!(map.get(&from).unwrap(), model.get(&from).copied());
    let wanted: Vec<_> = if from <= to {
        model.range(from..=to).map(|(key, value)| (*key, *value)).collect()
    } else {
        vec![]
    };
    let found: Vec<_> = map.range(&from, &to).map(Result::unwrap).collect();
    prop_assert_eq!(&found, &wanted);
    let mut found: Vec<_> = map.range_back(&from, &to).map(Result::unwrap).collect();
    found.reverse();
    prop_assert_eq!(&found, &wanted);
    prop_assert_eq!(map.first_in(&from, &to).unwrap(), wanted.first().copied());
    prop_assert_eq!(map.last_in(&from, &to).unwrap(), wanted.last().copied());
    Ok(())
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<[u8; 3]>),
    Freeze,
    Load(bool),
    Reopen,
    Check([u8; 3], [u8; 3]),
}

fn key() -> impl Strategy<Value = [u8; 3]> {
    (0u8..4, any::<u8>(), 0u8..4).prop_map(|(a, b, c)| [a, b, c])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(key(), 1..60).prop_map(Step::Insert),
        4 => Just(Step::Freeze),
        1 => any::<bool>().prop_map(Step::Load),
        1 => Just(Step::Reopen),
        3 => (key(), key()).prop_map(|(from, to)| Step::Check(from, to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn holds_what_a_map_in_memory_holds(steps in prop::collection::vec(step(), 1..60)) {
        let directory = tempfile::tempdir().unwrap();
        let (durable, _) = watch::channel(Position::new(u64::MAX));
        let mut store = open(directory.path(), &durable).unwrap();
        // The log: what was inserted at each position.
        let mut log: Vec<([u8; 3], [u8; 2])> = Vec::new();
        let mut model = Model::new();
        for step in steps {
            match step {
                Step::Insert(keys) => {
                    for key in keys {
                        let value = [log.len() as u8, (log.len() >> 8) as u8];
                        log.push((key, value));
                        model.insert(key, value);
                        store.whole.insert(key, value);
                        store.part.insert(key, value);
                    }
                }
                Step::Freeze => {
                    let position = Position::new(log.len() as u64);
                    store.index.freeze(position, position.get() * 2);
                }
                Step::Load(is_loading) => store.index.set_loading(is_loading),
                Step::Reopen => {
                    drop(store);
                    store = open(directory.path(), &durable).unwrap();
                    prop_assert_eq!(store.mark, store.position.get() * 2);
                    for (key, value) in &log[store.position.get() as usize..] {
                        store.whole.insert(*key, *value);
                        store.part.insert(*key, *value);
                    }
                }
                Step::Check(from, to) => {
                    check(&store.whole, &model, from, to)?;
                    check(&store.part, &model, from, to)?;
                }
            }
        }
        let (first, last) = ([0; 3], [u8::MAX; 3]);
        check(&store.whole, &model, first, last)?;
        check(&store.part, &model, first, last)?;
    }
}

#[test]
fn the_newest_of_keys_that_grow_is_the_last() {
    let directory = tempfile::tempdir().unwrap();
    let (durable, _) = watch::channel(Position::new(u64::MAX));
    let store = open(directory.path(), &durable).unwrap();
    let mut next = [0_u8; 5];
    for number in 0..100_u64 {
        // Streams with a revision each, some of which are not written to for long.
        let stream = (number * number % 5) as u8;
        let revision = &mut next[usize::from(stream)];
        store.part.insert([stream, *revision, 0], [0; 2]);
        *revision += 1;
        if number % 7 == 6 {
            store.index.freeze(Position::new(number + 1), 1);
        }
        for (stream, next) in (0..).zip(next) {
            let newest = store.part.newest_in(&[stream, 0, 0], &[stream, u8::MAX, 0]).unwrap();
            assert_eq!(newest.map(|(key, _)| key[1]), next.checked_sub(1));
        }
    }
}

#[test]
fn nothing_is_sealed_that_is_not_durable() {
    let directory = tempfile::tempdir().unwrap();
    let (durable, _) = watch::channel(Position::START);
    let store = open(directory.path(), &durable).unwrap();
    store.whole.insert([1; 3], [1; 2]);
    store.index.freeze(Position::new(1), 1);
    store.whole.insert([2; 3], [2; 2]);
    store.index.freeze(Position::new(2), 2);
    durable.send_replace(Position::new(1));
    wait_until_sealed(&store.index, Position::new(1));
    drop(store);
    let store = open(directory.path(), &durable).unwrap();
    assert_eq!((store.position, store.mark), (Position::new(1), 1));
    assert_eq!(store.whole.get(&[1; 3]).unwrap(), Some([1; 2]));
    assert_eq!(store.whole.get(&[2; 3]).unwrap(), None);
}

/// A crash at any step leaves the files of before, of after, or both; the manifest decides.
#[test]
fn every_prefix_of_the_steps_opens() {
    let directory = tempfile::tempdir().unwrap();
    let (durable, _) = watch::channel(Position::new(u64::MAX));
    let store = open(directory.path(), &durable).unwrap();
    let before = tempfile::tempdir().unwrap();
    for number in 0..20_u8 {
        store.whole.insert([number; 3], [number; 2]);
        let position = Position::new(u64::from(number) + 1);
        store.index.freeze(position, 0);
        wait_until_sealed(&store.index, position);
        if number == 6 {
            copy(directory.path(), before.path());
        }
    }
    drop(store);
    // The manifest of before with the files of after beside it, and one half written.
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "manifest" {
            fs::copy(entry.path(), before.path().join(entry.file_name())).unwrap();
        }
    }
    fs::write(before.path().join("manifest.new"), "lombard-in").unwrap();
    fs::write(before.path().join("whole-00000000000000ff.run"), "half").unwrap();
    let store = open(before.path(), &durable).unwrap();
    assert_eq!(store.position, Position::new(7));
    let found: Vec<_> =
        store.whole.range(&[0; 3], &[255; 3]).map(|entry| entry.unwrap().0).collect();
    assert_eq!(found, (0..7).map(|number| [number; 3]).collect::<Vec<_>>());
    // What no manifest names is gone.
    assert_eq!(fs::read_dir(before.path()).unwrap().count(), 8);
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_damaged_index_is_told_and_can_be_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (durable, _) = watch::channel(Position::new(u64::MAX));
    let store = open(directory.path(), &durable).unwrap();
    store.whole.insert([1; 3], [1; 2]);
    store.index.freeze(Position::new(1), 0);
    wait_until_sealed(&store.index, Position::new(1));
    drop(store);
    let manifest = directory.path().join("manifest");
    let sound = fs::read(&manifest).unwrap();
    fs::write(&manifest, &sound[1..]).unwrap();
    assert!(matches!(open(directory.path(), &durable), Err(OpenError::Io { .. })));
    fs::write(&manifest, &sound).unwrap();
    let mut opening = Opening::new(directory.path()).unwrap();
    assert!(matches!(opening.map::<4, 2>(WHOLE), Err(OpenError::OtherShape { .. })));
    fs::remove_file(directory.path().join("whole-0000000000000000.run")).unwrap();
    assert!(matches!(open(directory.path(), &durable), Err(OpenError::Damaged(_))));
    Opening::discard(directory.path()).unwrap();
    assert_eq!(open(directory.path(), &durable).unwrap().position, Position::START);
}
