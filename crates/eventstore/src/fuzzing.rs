//! What reads bytes from outside, for the fuzzer. There only when it builds the crate (`--cfg fuzzing`).
#![allow(missing_docs, reason = "not part of the crate")]

use std::{path::Path, sync::Arc};

use lombard_chassis::Problem;
use lombard_log::disk::Simulated;
use lombard_master_key::MasterKey;
use lombard_types::Position;
use tokio::sync::watch;

use crate::subjects::SubjectKeys;
use crate::{
    Config,
    cloud_event::{self, CloudEvent, Members},
    prepare::Preparing,
    rest::Selection,
    schema::Schemas,
};

pub fn cloud_event(bytes: &[u8]) {
    if let Ok(members) = serde_json::from_slice::<Members>(bytes) {
        prepare(vec![members]);
    }
}

pub fn cloud_events_batch(bytes: &[u8]) {
    if let Ok(members) = serde_json::from_slice::<Vec<Members>>(bytes) {
        prepare(members);
    }
}

fn prepare(events: Vec<Members>) {
    let events: Result<Vec<CloudEvent<'_>>, _> =
        events.into_iter().map(cloud_event::read).collect();
    if let Ok(events) = events {
        let preparing = preparing();
        drop(preparing.check(events).and_then(|checked| preparing.finish(&stream(), checked)));
    }
}

fn preparing() -> Preparing {
    let (_, durable) = watch::channel(Position::START);
    let master = MasterKey::new(&[1; 32]).unwrap();
    let disk = Arc::new(Simulated::new(1));
    let keys = SubjectKeys::open(disk, Path::new("/keys"), master, (10, 10)).unwrap();
    Preparing::new(&Config::default(), Schemas::new(durable, 1), keys)
}

fn stream() -> lombard_types::StreamName {
    "s".parse().unwrap()
}

pub fn event_query(query: Option<String>, types: Option<String>, tags: Option<String>) {
    let selection = Selection { query, types, tags, ..Selection::default() };
    let filter: Result<_, Problem> = selection.filter();
    drop(filter);
}
