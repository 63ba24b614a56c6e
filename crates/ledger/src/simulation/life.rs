//! One life of the ledger: it starts on what the one before left.

use std::{cell::Cell, panic::AssertUnwindSafe, rc::Rc, sync::Arc};

use futures_util::FutureExt as _;
use lombard_engine::{Engine, Handle};
use lombard_ledger_core::HashSeed;
use lombard_simulation::{Actor, Actors, Born, Dice, ENGINE, Ground, paced};

use super::{flips, think, world::World, writer::Writer};
use crate::{codec::EventCodec, directory::Directory, machine::LedgerMachine, spent::SpentIndex};

/// Ids between two seals of the index.
const SEALED_IDS: u64 = 40;
const SEED: HashSeed = HashSeed(7);

pub(super) const WRITERS: usize = 8;

/// Actors' numbers: the dice and the trace of each are its own.
const SEALING: u64 = 14;
const HISTORY: u64 = 17;
const FLIPS: u64 = 18;
const LOOKING: u64 = 19;
const FIRST_WRITER: u64 = 100;

/// Starts the ledger on what is there, and whoever has to do with it.
pub(super) async fn begin(world: &Rc<World>, life: u64) -> Born {
    let nature = &world.nature;
    let dice = |actor: u64| nature.dice(life << 16 | actor);
    let (ground, records) = Ground::open(nature, life).await;
    let log = Arc::clone(&ground.log);
    let book = world.history.borrow_mut().check(&records, &mut dice(HISTORY));
    flips::try_some(world, &records, &mut dice(FLIPS)).await;

    let (spent, sealing) =
        SpentIndex::unthreaded(&nature.index_directory(), &log, SEALED_IDS).await.unwrap();
    let machine = LedgerMachine::empty(SEED, spent, Directory::new(SEED));
    let (clock, name) = (nature.clock(), "simulated");
    let engine = Engine::unthreaded(name, Arc::clone(&log), machine, EventCodec, ENGINE, clock);
    let (handle, serving) = engine.await.unwrap();
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
    ground.keep(world, dice, &actors);
    if !is_stopped.get() {
        start(serve(Rc::clone(world), serving, Rc::clone(&is_stopped)).boxed_local());
    }
    // It waits for nothing but the log.
    start(paced(sealing, dice(SEALING)).boxed_local());
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

/// Looks at the whole book now and then: debits equal credits, of each asset, whatever is under way.
async fn look(world: Rc<World>, handle: Handle<LedgerMachine>, mut dice: Dice) {
    while !world.nature.is_ending.get() {
        tokio::time::sleep(dice.pause(20)).await;
        let sums = handle.query(|machine| think::sums(machine.book())).await;
        let Ok((sums, position)) = sums else { return };
        for (asset, [debits, credits]) in sums {
            assert_eq!(debits, credits, "{asset} at {position:?}");
        }
    }
}
