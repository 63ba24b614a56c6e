//! What outlives every life of the store: the disk, the clock, the clients' memory, and what was seen.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use aws_lc_rs::digest;
use lombard_engine::Clock;
use lombard_log::{disk::Simulated, merkle::TreeHash};
use lombard_types::{Position, Timestamp};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    dice::Dice,
    history::{Ask, History},
    life::{SUBSCRIBERS, WRITERS},
};

/// 2026-03-02T06:00:00Z.
const START_UNIX_NANOS: i64 = 1_772_431_200_000_000_000;

pub(super) struct World {
    pub(super) seed: u64,
    pub(super) disk: Simulated,
    /// The index is made from the log and is not synced with it: a directory of the machine, damaged between lives.
    pub(super) place: TempDir,
    pub(super) history: RefCell<History>,
    /// What auditors keep: the root over so many records.
    pub(super) roots: RefCell<BTreeMap<u64, TreeHash>>,
    /// What each writer has asked for.
    pub(super) asked: RefCell<Vec<Vec<Ask>>>,
    /// Where each subscriber goes on.
    pub(super) subscribers: RefCell<Vec<Position>>,
    /// Whether the index was damaged, so that it may say so.
    pub(super) is_index_damaged: Cell<bool>,
    /// Whether it did; then it is deleted before the next life, as its operator would.
    pub(super) has_index_complained: Cell<bool>,
    /// Whether the disk has been full in this life.
    pub(super) was_full: Cell<bool>,
    /// Clients are asked to come to an end.
    pub(super) is_ending: Cell<bool>,
    clock_offset_nanos: Arc<AtomicI64>,
    started: Instant,
    /// One for each actor: the order in which those woken at the same moment go on is not part of it.
    traces: RefCell<BTreeMap<u64, digest::Context>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            disk: Simulated::new(seed),
            place: place(),
            history: RefCell::default(),
            roots: RefCell::default(),
            asked: RefCell::new(vec![Vec::new(); WRITERS]),
            subscribers: RefCell::new(vec![Position::START; SUBSCRIBERS]),
            is_index_damaged: Cell::default(),
            has_index_complained: Cell::default(),
            was_full: Cell::default(),
            is_ending: Cell::default(),
            clock_offset_nanos: Arc::default(),
            started: Instant::now(),
            traces: RefCell::default(),
        }
    }

    pub(super) fn dice(&self, actor: u64) -> Dice {
        Dice::new(self.seed, actor)
    }

    /// The machine's clock, which [`World::turn_clock`] turns forwards and back.
    pub(super) fn clock(&self) -> Clock {
        let (started, offset) = (self.started, Arc::clone(&self.clock_offset_nanos));
        Arc::new(move || {
            let nanos = i64::try_from(started.elapsed().as_nanos()).unwrap();
            let nanos = START_UNIX_NANOS + nanos + offset.load(Ordering::Relaxed);
            Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap())
        })
    }

    pub(super) fn hear_complaint(&self, cause: &dyn std::fmt::Display) {
        assert!(self.is_index_damaged.get(), "nothing was done to the index: {cause}");
        self.has_index_complained.set(true);
    }

    pub(super) fn turn_clock(&self, dice: &mut Dice) {
        let hour = 3_600_000_000_000;
        let offset = i64::try_from(dice.roll(2 * hour)).unwrap() - 3_600_000_000_000;
        self.clock_offset_nanos.store(offset, Ordering::Relaxed);
    }

    pub(super) fn note(&self, actor: u64, what: &str) {
        let mut traces = self.traces.borrow_mut();
        let trace = traces.entry(actor).or_insert_with(|| digest::Context::new(&digest::SHA256));
        trace.update(what.as_bytes());
        trace.update(&[0]);
    }

    /// What happened, and what the disk looks like.
    pub(super) fn trace(&self) -> Vec<u8> {
        let mut all = digest::Context::new(&digest::SHA256);
        for trace in self.traces.borrow().values() {
            all.update(trace.clone().finish().as_ref());
        }
        all.update(&self.disk.digest());
        all.finish().as_ref().to_vec()
    }
}

/// In memory where there is such a place: what is there is never asked to survive a loss of power.
fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
