//! What every role stands on: a log on the simulated disk, with its Merkle tree, and who keeps them.

use std::{fmt, path::Path, rc::Rc, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lombard_engine::Limits;
use lombard_log::{
    ReadError, Record, SegmentedConfig, SegmentedLog, SharedLog, Steps, disk::Simulated,
    merkle::MerkleFollower,
};
use lombard_types::Position;

use crate::{Actors, Dice, Nature, Role, actors::work, audit::Auditor, paced};

/// The log's sizes: tiny, so that each limit is met.
pub const LOG: SegmentedConfig = SegmentedConfig {
    segment_bytes_min: 8 << 10,
    segment_bytes_max: 16 << 10,
    record_bytes_max: 4 << 10,
    queue_bytes_max: 12 << 10,
};

/// The engine's limits: tiny, so that each is met.
pub const ENGINE: Limits = Limits {
    queue_commands_max: 6,
    group_commands_max: 3,
    groups_in_flight_max: 3,
    record_bytes_max: 4 << 10,
    submit_timeout: Duration::from_secs(3600),
};

/// Actors' numbers, which no actor of a role has: the dice and the trace of each are its own.
const DISK: u64 = 2;
const AUDITOR: u64 = 3;
const GROWING: u64 = 6;
const RECORDS: u64 = 7;

const DIRECTORY: &str = "/log";

/// A log in one life of a role.
pub struct Ground {
    /// The log.
    pub log: SharedLog,
    disk: Arc<Simulated>,
    steps: Steps,
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Ground {
    /// Opens the log as the life before has left it, and reads all that is in it.
    pub async fn open(nature: &Nature, life: u64) -> (Self, Vec<Record>) {
        let disk = Arc::new(nature.disk.clone());
        let directory = Path::new(DIRECTORY);
        let (log, steps) =
            SegmentedLog::unthreaded(Arc::clone(&disk) as _, directory, LOG).unwrap();
        let log: SharedLog = Arc::new(log);
        let records = all_records(&log).await.unwrap();
        nature.note(RECORDS, &format!("life {life} begins with {} records", records.len()));
        (Self { log, disk, steps }, records)
    }

    /// Starts the disk, the tree behind the log, and an auditor. `dice` is each actor's chance in this life.
    pub fn keep<R: Role>(self, role: &Rc<R>, dice: impl Fn(u64) -> Dice, actors: &Actors) {
        let Self { log, disk, steps } = self;
        let (tree, growing) =
            MerkleFollower::unthreaded(disk, Path::new(DIRECTORY), Arc::clone(&log));
        actors.push(work(steps, dice(DISK)).boxed_local());
        // It waits for nothing but the log.
        actors.push(paced(growing, dice(GROWING)).boxed_local());
        let auditor = Auditor { actor: AUDITOR, tree, log, dice: dice(AUDITOR) };
        let role = Rc::clone(role);
        actors.push(async move { auditor.run(role.nature()).await }.boxed_local());
    }
}

/// All records of a log.
pub async fn all_records(log: &SharedLog) -> Result<Vec<Record>, ReadError> {
    let mut records = Vec::new();
    loop {
        let more = log.read(Position::new(records.len() as u64), 10_000).await?;
        if more.is_empty() {
            return Ok(records);
        }
        records.extend(more);
    }
}
