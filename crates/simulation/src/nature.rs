//! What is outside of a role and outlives every life of it: the disk, the clock, and what is noted down.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use aws_lc_rs::digest;
use lombard_engine::Clock;
use lombard_log::{disk::Simulated, merkle::TreeHash};
use lombard_types::Timestamp;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::Dice;

/// 2026-03-02T06:00:00Z.
const START_UNIX_NANOS: i64 = 1_772_431_200_000_000_000;
const HOUR_NANOS: i64 = 3_600_000_000_000;

/// The outside of a role.
pub struct Nature {
    /// Of this run.
    pub seed: u64,
    /// Where the log is.
    pub disk: Simulated,
    /// The index is made from the log and is not synced with it: a directory of the machine, damaged between lives.
    place: TempDir,
    /// What auditors keep: the root over so many records.
    pub roots: RefCell<BTreeMap<u64, TreeHash>>,
    /// Whether the index was damaged, so that it may say so.
    pub is_index_damaged: Cell<bool>,
    /// Whether it did; then it is deleted before the next life, as its operator would.
    pub has_index_complained: Cell<bool>,
    /// Whether the disk has been full in this life.
    pub was_full: Cell<bool>,
    /// Clients are asked to come to an end.
    pub is_ending: Cell<bool>,
    clock_offset_nanos: Arc<AtomicI64>,
    started: Instant,
    /// One for each actor: the order in which those woken at the same moment go on is not part of it.
    traces: RefCell<BTreeMap<u64, digest::Context>>,
}

impl fmt::Debug for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nature").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl Nature {
    /// Of a run from this seed. Must be made inside the runtime whose time is virtual.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            disk: Simulated::new(seed),
            place: place(),
            roots: RefCell::default(),
            is_index_damaged: Cell::default(),
            has_index_complained: Cell::default(),
            was_full: Cell::default(),
            is_ending: Cell::default(),
            clock_offset_nanos: Arc::default(),
            started: Instant::now(),
            traces: RefCell::default(),
        }
    }

    /// The chance of an actor.
    pub fn dice(&self, actor: u64) -> Dice {
        Dice::new(self.seed, actor)
    }

    /// Where the role keeps its index.
    pub fn index_directory(&self) -> PathBuf {
        self.place.path().join("index")
    }

    /// The machine's clock, which [`Nature::turn_clock`] turns forwards and back.
    pub fn clock(&self) -> Clock {
        let (started, offset) = (self.started, Arc::clone(&self.clock_offset_nanos));
        Arc::new(move || {
            let nanos = i64::try_from(started.elapsed().as_nanos()).unwrap();
            let nanos = START_UNIX_NANOS + nanos + offset.load(Ordering::Relaxed);
            Timestamp::from_unix_nanos(u64::try_from(nanos).unwrap())
        })
    }

    /// By up to an hour, in either direction.
    pub fn turn_clock(&self, dice: &mut Dice) {
        let offset = dice.roll(2 * HOUR_NANOS.unsigned_abs());
        let offset = i64::try_from(offset).unwrap() - HOUR_NANOS;
        self.clock_offset_nanos.store(offset, Ordering::Relaxed);
    }

    /// The index says that it cannot be read: only one that was damaged may.
    pub fn hear_complaint(&self, cause: &dyn fmt::Display) {
        assert!(self.is_index_damaged.get(), "nothing was done to the index: {cause}");
        self.has_index_complained.set(true);
    }

    /// Takes note of what an actor did or saw.
    pub fn note(&self, actor: u64, what: &str) {
        // The only name that no seed decides.
        let what = what.replace(&*self.place.path().to_string_lossy(), "");
        let mut traces = self.traces.borrow_mut();
        let trace = traces.entry(actor).or_insert_with(|| digest::Context::new(&digest::SHA256));
        trace.update(what.as_bytes());
        trace.update(&[0]);
    }

    /// What happened, and what the disk looks like.
    pub fn trace(&self) -> Vec<u8> {
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
