//! One life of the ledger: it starts on what the one before left.

use std::{cell::Cell, panic::AssertUnwindSafe, path::Path, rc::Rc, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lombard_engine::{Engine, Handle, Limits};
use lombard_ledger_core::HashSeed;
use lombard_log::{Record, SegmentedConfig, SegmentedLog, SharedLog, merkle::MerkleFollower};
use lombard_simulation::{Actor, Actors, Auditor, Born, paced, work};
use lombard_types::Position;

use super::{flips, think, world::World, writer::Writer};
use crate::{codec::EventCodec, directory::Directory, machine::LedgerMachine, spent::SpentIndex};

// Every limit is tiny, so that each is met.
pub(super) const LOG: SegmentedConfig = SegmentedConfig {
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
/// Ids between two seals of the index.
const SEALED_IDS: u64 = 40;
const SEED: HashSeed = HashSeed(7);

pub(super) const WRITERS: usize = 8;

/// Actors' numbers: the dice and the trace of each are its own.
const DISK: u64 = 2;
const AUDITOR: u64 = 3;
const SEALING: u64 = 4;
const GROWING: u64 = 6;
const RECORDS: u64 = 7;
const FLIPS: u64 = 8;
const LOOKING: u64 = 9;
const FIRST_WRITER: u64 = 100;

/// Starts the ledger on what is there, and whoever has to do with it.
pub(super) async fn begin(world: &Rc<World>, life: u64) -> Born {
    let nature = &world.nature;
    let dice = |actor: u64| nature.dice(life << 16 | actor);
    let disk = Arc::new(nature.disk.clone());
    let directory = Path::new("/log");
    let (log, steps) = SegmentedLog::unthreaded(disk.clone(), directory, LOG).unwrap();
    let log: SharedLog = Arc::new(log);
    let records = records(&log).await.expect("a read");
    let book = world.history.borrow_mut().check(&records, &mut dice(RECORDS));
    nature.note(RECORDS, &format!("life {life} begins with {} records", records.len()));
    flips::try_some(world, &records, &mut dice(FLIPS)).await;

    let (spent, sealing) =
        SpentIndex::unthreaded(&nature.index_directory(), &log, SEALED_IDS).await.unwrap();
    let machine = LedgerMachine::empty(SEED, spent, Directory::new(SEED));
    let (clock, name) = (nature.clock(), "simulated");
    let engine = Engine::unthreaded(name, Arc::clone(&log), machine, EventCodec, ENGINE, clock);
    let (handle, serving) = engine.await.unwrap();
    let (tree, growing) = MerkleFollower::unthreaded(disk, directory, Arc::clone(&log));
    let durable = log.durable();

    let is_stopped = Rc::new(Cell::new(false));
    let mut serving = Box::pin(AssertUnwindSafe(serving).catch_unwind());
    // Before anybody writes: the machine is the book that follows from the log.
    tokio::select! {
        biased;
        _ = &mut serving => is_stopped.set(true),
        hash = handle.query(|machine| machine.book().state_hash()) => {
            // Where the disk has died meanwhile, nobody answers.
            if let Ok((hash, _)) = hash {
                assert_eq!(hash, book.state_hash(), "another state than that of the log");
            }
        }
    }
    let actors = Actors::new();
    let start = |actor: Actor| actors.push(actor);
    start(work(steps, dice(DISK)).boxed_local());
    if !is_stopped.get() {
        start(serve(Rc::clone(world), serving, Rc::clone(&is_stopped)).boxed_local());
    }
    // None of these waits for anything but the log.
    start(paced(sealing, dice(SEALING)).boxed_local());
    start(paced(growing, dice(GROWING)).boxed_local());
    let auditor = Auditor { actor: AUDITOR, tree, log: Arc::clone(&log), dice: dice(AUDITOR) };
    start(audit(Rc::clone(world), auditor).boxed_local());
    start(look(Rc::clone(world), handle.clone(), dice(LOOKING)).boxed_local());
    for number in 0..WRITERS {
        let actor = FIRST_WRITER + number as u64;
        let (world, handle, log) = (Rc::clone(world), handle.clone(), Arc::clone(&log));
        let writer = Writer { actor, world, handle, log, dice: dice(actor) };
        start(writer.run(number).boxed_local());
    }
    Born { actors, is_stopped, durable }
}

/// An event that cannot be made part of a damaged index ends the process: the next one makes the index again.
async fn serve<T>(
    world: Rc<World>,
    serving: impl Future<Output = Result<T, Box<dyn std::any::Any + Send>>>,
    is_stopped: Rc<Cell<bool>>,
) {
    if let Err(panic) = serving.await {
        match world.nature.is_index_damaged.get() {
            true => world.nature.hear_complaint(&"the writer panicked"),
            false => std::panic::resume_unwind(panic),
        }
    }
    is_stopped.set(true);
}

async fn audit(world: Rc<World>, auditor: Auditor) {
    auditor.run(&world.nature).await;
}

/// Looks at the whole book now and then: debits equal credits, of each asset, whatever is under way.
async fn look(world: Rc<World>, handle: Handle<LedgerMachine>, mut dice: lombard_simulation::Dice) {
    while !world.nature.is_ending.get() {
        tokio::time::sleep(dice.pause(20)).await;
        let sums = handle.query(|machine| think::sums(machine.book())).await;
        let Ok((sums, position)) = sums else { return };
        for (asset, [debits, credits]) in sums {
            assert_eq!(debits, credits, "{asset} at {position:?}");
        }
    }
}

/// All records of a log.
pub(super) async fn records(log: &SharedLog) -> Result<Vec<Record>, lombard_log::ReadError> {
    let mut records = Vec::new();
    loop {
        let more = log.read(Position::new(records.len() as u64), 10_000).await?;
        if more.is_empty() {
            return Ok(records);
        }
        records.extend(more);
    }
}
