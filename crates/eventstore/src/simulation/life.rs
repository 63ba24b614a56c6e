//! One life of the store: it starts on what the one before left.

use std::{cell::Cell, path::Path, rc::Rc, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lombard_engine::{Engine, Feed, FeedLimits, Limits, StateAt};
use lombard_eventstore_core as core;
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog, merkle::MerkleFollower};
use lombard_simulation::{Actor, Actors, Auditor, Born, paced, work};
use lombard_types::Position;

use super::{onlookers, world::World, writer::Writer};
use crate::{
    codec::{self, EventCodec, StoredRecord},
    index::EventIndex,
    live,
    machine::EventStoreMachine,
    query::Reader,
    schema::Schemas,
};

// Every limit is tiny, so that each is met.
const LOG: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 8 << 10,
    segment_bytes_max: 16 << 10,
    record_bytes_max: 4 << 10,
    queue_bytes_max: 12 << 10,
};
const ENGINE: Limits = Limits {
    queue_commands_max: 6,
    group_commands_max: 3,
    groups_in_flight_max: 3,
    record_bytes_max: 4 << 10,
    submit_timeout: Duration::from_secs(3600),
};
const STORE: core::Limits = core::Limits { append_streams_max: 2, append_events_max: 10 };
const FEED: FeedLimits = FeedLimits { ring_bytes_max: 16 << 10, ring_records_max: 8 };
/// Events between two seals of the index.
const SEALED_EVENTS: u64 = 40;

pub(super) const WRITERS: usize = 8;
const READERS: u64 = 2;
pub(super) const SUBSCRIBERS: usize = 3;

/// Actors' numbers: the dice and the trace of each are its own.
const RECORDS: u64 = 7;
const DISK: u64 = 2;
const AUDITOR: u64 = 3;
const SEALING: u64 = 4;
const FEEDING: u64 = 5;
const GROWING: u64 = 6;
const FIRST_WRITER: u64 = 100;
const FIRST_READER: u64 = 200;
const FIRST_SUBSCRIBER: u64 = 300;

/// Starts the store on what is there, and whoever has to do with it.
pub(super) async fn begin(world: &Rc<World>, life: u64) -> Born {
    let nature = &world.nature;
    let dice = |actor: u64| world.dice(life << 16 | actor);
    let disk = Arc::new(nature.disk.clone());
    let directory = Path::new("/log");
    let (log, steps) = SegmentedLog::unthreaded(disk.clone(), directory, LOG).unwrap();
    let log: SharedLog = Arc::new(log);
    let records = records(&log).await;
    world.history.borrow_mut().check(&records);
    nature.note(RECORDS, &format!("life {life} begins with {} records", records.len()));

    let (index, position, sealing) =
        EventIndex::unthreaded(&nature.index_directory(), &log, SEALED_EVENTS).unwrap();
    let schemas = Schemas::new(log.durable(), 1);
    let state = StateAt::new(EventStoreMachine::new(index.clone(), schemas, STORE), position);
    let (clock, name) = (nature.clock(), "simulated");
    let (handle, serving) =
        Engine::unthreaded(name, Arc::clone(&log), state, EventCodec, ENGINE, clock).await.unwrap();
    let (feed, feeding) = Feed::unthreaded(name, Arc::clone(&log), EventCodec, FEED, live::item);
    let (tree, growing) = MerkleFollower::unthreaded(disk, directory, Arc::clone(&log));
    let durable = log.durable();
    let reader = Reader { index, log: Arc::clone(&log) };

    let is_stopped = Rc::new(Cell::new(false));
    let stopping = Rc::clone(&is_stopped);
    let actors = Actors::new();
    let start = |actor: Actor| actors.push(actor);
    start(work(steps, dice(DISK)).boxed_local());
    start(serving.map(move |_| stopping.set(true)).boxed_local());
    // None of these waits for anything but the log.
    start(paced(sealing, dice(SEALING)).boxed_local());
    start(paced(feeding, dice(FEEDING)).boxed_local());
    start(paced(growing, dice(GROWING)).boxed_local());
    let world = || Rc::clone(world);
    let auditor = Auditor { actor: AUDITOR, tree, log, dice: dice(AUDITOR) };
    start(audit(world(), auditor).boxed_local());
    for number in 0..WRITERS {
        let actor = FIRST_WRITER + number as u64;
        let (handle, reader) = (handle.clone(), reader.clone());
        let writer = Writer { actor, world: world(), handle, reader, dice: dice(actor) };
        start(writer.run(number).boxed_local());
    }
    for actor in FIRST_READER..FIRST_READER + READERS {
        start(onlookers::read(actor, world(), reader.clone(), dice(actor)).boxed_local());
    }
    for number in 0..SUBSCRIBERS {
        let actor = FIRST_SUBSCRIBER + number as u64;
        let feed = feed.clone();
        let subscriber = onlookers::subscribe(actor, world(), feed, number, dice(actor));
        start(paced(subscriber, dice(actor + 100)).boxed_local());
    }
    Born { actors, is_stopped, durable }
}

async fn audit(world: Rc<World>, auditor: Auditor) {
    auditor.run(&world.nature).await;
}

async fn records(log: &SharedLog) -> Vec<StoredRecord> {
    let mut records = Vec::new();
    loop {
        let more = log.read(Position::new(records.len() as u64), 10_000).await.expect("a read");
        if more.is_empty() {
            return records;
        }
        records.extend(more.iter().map(|record| codec::decode_record(record).expect("a record")));
    }
}
