//! One life of the store: it starts on what the one before left, and works until its fate.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{LocalBoxFuture, poll_immediate},
    stream::FuturesUnordered,
};
use lombard_engine::{Engine, Feed, FeedLimits, Limits, StateAt};
use lombard_eventstore_core as core;
use lombard_index::Opening;
use lombard_log::{SegmentedConfig, SegmentedLog, SharedLog, Steps, merkle::MerkleFollower};
use lombard_types::Position;
use tokio::sync::watch;

use super::{
    dice::Dice,
    fate::{Fate, damage_index},
    onlookers,
    world::World,
    writer::Writer,
};
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
const FATE: u64 = 1;
const DISK: u64 = 2;
const AUDITOR: u64 = 3;
const SEALING: u64 = 4;
const FEEDING: u64 = 5;
const GROWING: u64 = 6;
const FIRST_WRITER: u64 = 100;
const FIRST_READER: u64 = 200;
const FIRST_SUBSCRIBER: u64 = 300;

type Actor = LocalBoxFuture<'static, ()>;

/// Lives until the fate that the seed has for this life.
pub(super) async fn live(world: &Rc<World>, life: u64) {
    let mut dice = world.dice(life << 16 | FATE);
    let fate = Fate::draw(&mut dice);
    world.note(FATE, &format!("{fate:?}"));
    let is_thrown_away = world.has_index_complained.replace(false) || dice.is_one_in(10);
    if is_thrown_away {
        Opening::discard(&index_directory(world)).unwrap();
        world.is_index_damaged.set(false);
    } else if life > 0 && damage_index(&index_directory(world), &mut dice) {
        world.is_index_damaged.set(true);
    }
    let born = begin(world, life).await;
    let is_stopped = Rc::clone(&born.is_stopped);
    among(born.actors, fate.happen(world, &is_stopped, &mut dice)).await;
    fate.leave(world);
}

/// A last life without faults, in which everything comes to an end.
pub(super) async fn live_in_peace(world: &Rc<World>, life: u64) {
    world.is_index_damaged.set(false);
    // What was damaged before may be found only now.
    Opening::discard(&index_directory(world)).unwrap();
    let mut dice = world.dice(life << 16 | FATE);
    let born = begin(world, life).await;
    let is_stopped = Rc::clone(&born.is_stopped);
    let fate = Fate::Stop { after: Duration::from_millis(100) };
    let end = async {
        fate.happen(world, &is_stopped, &mut dice).await;
        for _ in 0..10_000 {
            let tail = *born.durable.borrow();
            let is_proved = world.roots.borrow().contains_key(&tail.get());
            if is_proved && world.subscribers.borrow().iter().all(|next| *next == tail) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (next, roots) = (world.subscribers.borrow(), world.roots.borrow());
        panic!("somebody has stayed behind: {next:?} {:?}", roots.last_key_value());
    };
    among(born.actors, end).await;
    fate.leave(world);
}

struct Born {
    actors: FuturesUnordered<Actor>,
    /// Whether the engine has ended.
    is_stopped: Rc<Cell<bool>>,
    durable: watch::Receiver<Position>,
}

fn index_directory(world: &World) -> PathBuf {
    world.place.path().join("index")
}

/// Starts the store on what is there, and whoever has to do with it.
async fn begin(world: &Rc<World>, life: u64) -> Born {
    world.is_ending.set(false);
    world.was_full.set(false);
    let dice = |actor: u64| world.dice(life << 16 | actor);
    let disk = Arc::new(world.disk.clone());
    let directory = Path::new("/log");
    let (log, steps) = SegmentedLog::unthreaded(disk.clone(), directory, LOG).unwrap();
    let log: SharedLog = Arc::new(log);
    let records = records(&log).await;
    world.history.borrow_mut().check(&records);
    world.note(FATE, &format!("life {life} begins with {} records", records.len()));

    let (index, position, sealing) =
        EventIndex::unthreaded(&index_directory(world), &log, SEALED_EVENTS).unwrap();
    let schemas = Schemas::new(log.durable(), 1);
    let state = StateAt::new(EventStoreMachine::new(index.clone(), schemas, STORE), position);
    let (clock, name) = (world.clock(), "simulated");
    let (handle, serving) =
        Engine::unthreaded(name, Arc::clone(&log), state, EventCodec, ENGINE, clock).await.unwrap();
    let (feed, feeding) = Feed::unthreaded(name, Arc::clone(&log), EventCodec, FEED, live::item);
    let (tree, growing) = MerkleFollower::unthreaded(disk, directory, Arc::clone(&log));
    let durable = log.durable();
    let reader = Reader { index, log: Arc::clone(&log) };

    let is_stopped = Rc::new(Cell::new(false));
    let stopping = Rc::clone(&is_stopped);
    let actors = FuturesUnordered::<Actor>::new();
    let start = |actor: Actor| actors.push(actor);
    start(work(steps, dice(DISK)).boxed_local());
    start(serving.map(move |_| stopping.set(true)).boxed_local());
    // None of these waits for anything but the log.
    start(paced(sealing, dice(SEALING)).boxed_local());
    start(paced(feeding, dice(FEEDING)).boxed_local());
    start(paced(growing, dice(GROWING)).boxed_local());
    let world = || Rc::clone(world);
    start(onlookers::audit(AUDITOR, world(), tree, log, dice(AUDITOR)).boxed_local());
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

/// Has everybody act until `end` comes; then they are no more, wherever they are.
async fn among(mut actors: FuturesUnordered<Actor>, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    loop {
        tokio::select! {
            biased;
            () = &mut end => return,
            Some(()) = actors.next() => {}
        }
    }
}

/// Goes on now and then, rather than when it is woken: several are woken by one change, and tokio wakes them in an order
/// that no seed decides.
async fn paced(actor: impl Future<Output = ()>, mut dice: Dice) {
    let mut actor = pin!(actor);
    while poll_immediate(&mut actor).await.is_none() {
        tokio::time::sleep(dice.pause(5)).await;
    }
}

/// Does the log's work, as slowly as a disk.
async fn work(mut steps: Steps, mut dice: Dice) {
    loop {
        tokio::time::sleep(dice.pause(8)).await;
        steps.prepare();
        steps.write();
    }
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
