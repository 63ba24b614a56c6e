//! One life of the store: it starts on what the one before left.

use std::{cell::Cell, rc::Rc, sync::Arc};

use futures_util::FutureExt as _;
use lombard_engine::{Engine, Feed, FeedLimits, StateAt};
use lombard_eventstore_core as core;
use lombard_simulation::{Actor, Actors, Born, ENGINE, Ground, paced};

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
const STORE: core::Limits = core::Limits { append_streams_max: 2, append_events_max: 10 };
const FEED: FeedLimits = FeedLimits { ring_bytes_max: 16 << 10, ring_records_max: 8 };
/// Events between two seals of the index.
const SEALED_EVENTS: u64 = 40;

pub(super) const WRITERS: usize = 8;
const READERS: u64 = 2;
pub(super) const SUBSCRIBERS: usize = 3;

/// Actors' numbers: the dice and the trace of each are its own.
const SEALING: u64 = 14;
const FEEDING: u64 = 15;
const FIRST_WRITER: u64 = 100;
const FIRST_READER: u64 = 200;
const FIRST_SUBSCRIBER: u64 = 300;

/// Starts the store on what is there, and whoever has to do with it.
pub(super) async fn begin(world: &Rc<World>, life: u64) -> Born {
    let nature = &world.nature;
    let dice = |actor: u64| world.dice(life << 16 | actor);
    let (ground, records) = Ground::open(nature, life).await;
    let log = Arc::clone(&ground.log);
    let records: Vec<StoredRecord> =
        records.iter().map(|record| codec::decode_record(record).expect("a record")).collect();
    world.history.borrow_mut().check(&records);

    let (index, position, sealing) =
        EventIndex::unthreaded(&nature.index_directory(), &log, SEALED_EVENTS).unwrap();
    let schemas = Schemas::new(log.durable(), 1);
    let state = StateAt::new(EventStoreMachine::new(index.clone(), schemas, STORE), position);
    let (clock, name) = (nature.clock(), "simulated");
    let (handle, serving) =
        Engine::unthreaded(name, Arc::clone(&log), state, EventCodec, ENGINE, clock).await.unwrap();
    let (feed, feeding) = Feed::unthreaded(name, Arc::clone(&log), EventCodec, FEED, live::item);
    let durable = log.durable();
    let reader = Reader { index, log };

    let is_stopped = Rc::new(Cell::new(false));
    let stopping = Rc::clone(&is_stopped);
    let actors = Actors::new();
    let start = |actor: Actor| actors.push(actor);
    ground.keep(world, dice, &actors);
    start(serving.map(move |_| stopping.set(true)).boxed_local());
    // None of these waits for anything but the log.
    start(paced(sealing, dice(SEALING)).boxed_local());
    start(paced(feeding, dice(FEEDING)).boxed_local());
    let world = || Rc::clone(world);
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
