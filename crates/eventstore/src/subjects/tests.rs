use std::{path::Path, sync::Arc};

use lombard_eventstore_core::{EventType, Tag};
use lombard_log::disk::Simulated;
use lombard_master_key::{self as master, MasterKey};
use lombard_types::{EventId, StreamName};
use proptest::prelude::*;

use super::*;
use crate::cloud_event::{Data, EventContent, Extension};

fn open_keys(disk: &Simulated) -> Result<SubjectKeys, KeyFileError> {
    let master = MasterKey::new(&[7; 32]).unwrap();
    SubjectKeys::open(Arc::new(disk.clone()), Path::new("/s"), master, (100, 10))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn make(keys: &SubjectKeys, subject: &str) -> Result<SubjectKey, SubjectKeysError> {
    block_on(keys.make(std::iter::once(subject)))?;
    Ok(keys.find(subject)?.unwrap())
}

fn erase(keys: &SubjectKeys, subject: &str) -> Result<(), SubjectKeysError> {
    block_on(keys.erase(subject))
}

fn is_erased(keys: &SubjectKeys, subject: &str) -> bool {
    matches!(keys.find(subject), Ok(Some(SubjectKey::Erased)))
}

fn content() -> EventContent<'static> {
    EventContent {
        source: "/a".into(),
        subject: Some("b".into()),
        data: Data::Json("{\"name\":\"Ada\"}".into()),
        extensions: [("e".into(), Extension::Integer(3))].into(),
        data_subject: Some("ada".into()),
        ..EventContent::default()
    }
}

/// Whether what was sealed with one key is opened with another.
fn fits(sealed_with: &SubjectKey, opened_with: &SubjectKey) -> bool {
    let (SubjectKey::Live(one), SubjectKey::Live(other)) = (sealed_with, opened_with) else {
        return false;
    };
    master::open(other, &master::seal(one, b"x", b"y").unwrap(), b"y").is_some()
}

#[test]
fn another_master_key_is_refused() {
    let disk = Simulated::new(1);
    make(&open_keys(&disk).unwrap(), "ada").unwrap();
    let other = MasterKey::new(&[8; 32]).unwrap();
    let refused = SubjectKeys::open(Arc::new(disk), Path::new("/s"), other, (100, 10));
    assert!(matches!(refused, Err(KeyFileError::WrongMasterKey)), "{refused:?}");
}

/// Wherever the power goes: a key that was told is there after, and one whose erasure was told is not.
#[test]
fn keys_and_erasures_that_were_told_survive_a_power_cut_at_every_step() {
    for seed in 0..20 {
        for changes in 0..40 {
            let disk = Simulated::new(seed);
            disk.cut_power_after(changes);
            let (mut made, mut erased) = (Vec::new(), Vec::new());
            if let Ok(keys) = open_keys(&disk) {
                for subject in ["a", "b", "c", "d"] {
                    if make(&keys, subject).is_ok() {
                        made.push(subject);
                    }
                    if subject != "b" && erase(&keys, subject).is_ok() {
                        erased.push(subject);
                    }
                }
            }
            let is_done = !disk.restore_power();
            disk.crash();
            let keys = open_keys(&disk).unwrap();
            for subject in &made {
                assert!(keys.find(subject).unwrap().is_some(), "{seed} {changes} {subject}");
            }
            for subject in &erased {
                assert!(is_erased(&keys, subject), "{seed} {changes} {subject}");
            }
            if is_done {
                assert_eq!((made.len(), erased.len()), (4, 3));
            }
        }
    }
}

/// Where the erasure of a key was not written, that key was still used until the next restart, though the log said that the
/// subject is erased.
#[test]
fn after_a_failed_write_no_key_is_given_out_until_a_restart() {
    for is_sync in [true, false] {
        let disk = Simulated::new(3);
        let keys = open_keys(&disk).unwrap();
        let live = make(&keys, "live").unwrap();
        make(&keys, "gone").unwrap();
        let fail = |is_failing| {
            if is_sync { disk.fail_syncs(is_failing) } else { disk.fail_writes(is_failing) }
        };
        fail(true);
        erase(&keys, "gone").unwrap_err();
        fail(false);
        for subject in ["gone", "live", "new"] {
            let found = keys.find(subject);
            assert!(matches!(found, Err(SubjectKeysError::Poisoned)), "{subject} {found:?}");
            assert!(matches!(make(&keys, subject), Err(SubjectKeysError::Poisoned)));
            assert!(matches!(erase(&keys, subject), Err(SubjectKeysError::Poisoned)));
        }
        block_on(keys.poisoned());
        drop(keys);
        let keys = open_keys(&disk).unwrap();
        keys.erase_all(["gone"].into_iter()).unwrap();
        assert!(is_erased(&keys, "gone"));
        assert!(fits(&live, &keys.find("live").unwrap().unwrap()));
    }
}

#[test]
fn from_the_call_on_a_subject_is_erased_for_all() {
    let disk = Simulated::new(4);
    let keys = open_keys(&disk).unwrap();
    make(&keys, "ada").unwrap();
    disk.hold_syncs(0);
    let (erasing, found) = std::thread::scope(|scope| {
        let erasing = scope.spawn(|| erase(&keys, "ada"));
        disk.wait_until_held();
        let found = is_erased(&keys, "ada");
        disk.release_syncs();
        (erasing.join().unwrap(), found)
    });
    erasing.unwrap();
    assert!(found && is_erased(&keys, "ada"));
}

/// What was written before the disk was full, and told to nobody, is written over: a subject never has two keys.
#[test]
fn a_full_disk_refuses_new_keys_and_no_old_ones() {
    for seed in 0..20 {
        let disk = Simulated::new(seed);
        let keys = open_keys(&disk).unwrap();
        let old = make(&keys, "old").unwrap();
        disk.set_bytes_max(disk.bytes_used() + 200);
        let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
        let all = || names.iter().map(String::as_str);
        let refused = block_on(keys.make(all()));
        assert!(matches!(refused, Err(SubjectKeysError::DiskFull)), "{refused:?}");
        assert!(all().all(|name| keys.find(name).unwrap().is_none()));
        assert!(fits(&old, &keys.find("old").unwrap().unwrap()));
        disk.set_bytes_max(u64::MAX);
        let made: Vec<SubjectKey> = all().rev().map(|name| make(&keys, name).unwrap()).collect();
        drop(keys);
        disk.crash();
        let keys = open_keys(&disk).unwrap();
        for (name, made) in all().rev().zip(&made) {
            assert!(fits(made, &keys.find(name).unwrap().unwrap()), "{seed} {name}");
        }
        assert_eq!(keys.count(), 9);
    }
}

#[test]
fn keys_that_are_wanted_at_once_are_made_once_and_as_many_as_may_be() {
    let keys = open_keys(&Simulated::new(6)).unwrap();
    let names: Vec<String> = (0..150).map(|number| (number % 120).to_string()).collect();
    let made = block_on(futures_util::future::join_all(
        names.iter().map(|name| keys.make(std::iter::once(&**name))),
    ));
    let refused = |result: &&Result<(), _>| {
        matches!(result, Err(SubjectKeysError::TooMany { subjects_max: 100 }))
    };
    assert_eq!(keys.count(), 100);
    for (name, made) in names.iter().zip(&made) {
        assert_eq!(made.is_ok(), keys.find(name).unwrap().is_some(), "{name}");
    }
    assert_eq!(
        made.iter().filter(|made| made.is_err()).count(),
        made.iter().filter(refused).count()
    );
}

proptest! {
    /// A seal holds with exactly the event that it was made for.
    #[test]
    fn a_seal_is_bound_to_all_that_is_not_sealed(change in 0_usize..9) {
        let keys = open_keys(&Simulated::new(5)).unwrap();
        let SubjectKey::Live(key) = make(&keys, "ada").unwrap() else { panic!("erased") };
        make(&keys, "bob").unwrap();
        let mut id = EventId::from_u128(1).unwrap();
        let mut stream: StreamName = "s".parse().unwrap();
        let mut event_type: EventType = "t".parse().unwrap();
        let mut tags: Vec<Tag> = vec!["x".parse().unwrap()];
        let bound = Bound { id, stream: &stream, event_type: &event_type, tags: &tags };
        let mut sealed = seal(&key, bound, content()).unwrap();
        prop_assert_eq!((&sealed.subject, &sealed.data), (&None, &Data::None));
        match change {
            1 => id = EventId::from_u128(2).unwrap(),
            2 => stream = "s2".parse().unwrap(),
            3 => event_type = "t2".parse().unwrap(),
            4 => tags.clear(),
            5 => sealed.source = "/c".into(),
            6 => sealed.time = Some("2026-01-31T09:30:00Z".into()),
            7 => sealed.schema_version = Some(1),
            8 => sealed.data_subject = Some("bob".into()),
            _ => {}
        }
        let bound = Bound { id, stream: &stream, event_type: &event_type, tags: &tags };
        let opened = open(&keys, bound, &mut sealed);
        prop_assert_eq!(opened.is_ok(), change == 0);
        if change == 0 {
            prop_assert_eq!(sealed, content());
        }
    }
}
