use std::{path::Path, sync::Arc};

use lombard_eventstore_core::{EventType, Tag};
use lombard_log::disk::Simulated;
use lombard_types::{EventId, StreamName};
use proptest::prelude::*;

use super::*;
use crate::{
    cloud_event::{Data, EventContent, Extension},
    subjects::Wanted,
};

fn open_keys(disk: &Simulated) -> Result<SubjectKeys, KeyFileError> {
    let master = MasterKey::new(&[7; 32]).unwrap();
    SubjectKeys::open(Arc::new(disk.clone()), Path::new("/s"), master, (100, 10))
}

fn make(keys: &SubjectKeys, subject: &str) -> Result<SubjectKey, SubjectKeysError> {
    let mut made = keys.keys(std::iter::once(subject), Wanted::Made)?;
    Ok(made.remove(subject).unwrap())
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
                    if subject != "b" && keys.erase(std::iter::once(subject)).is_ok() {
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

#[test]
fn a_failed_sync_stops_writing_until_a_restart() {
    let disk = Simulated::new(3);
    let keys = open_keys(&disk).unwrap();
    disk.fail_syncs(true);
    disk.fail_writes(true);
    make(&keys, "a").unwrap_err();
    disk.fail_syncs(false);
    disk.fail_writes(false);
    assert!(matches!(make(&keys, "a"), Err(SubjectKeysError::Poisoned)));
    drop(keys);
    make(&open_keys(&disk).unwrap(), "a").unwrap();
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
