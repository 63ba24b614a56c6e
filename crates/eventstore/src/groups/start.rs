//! Starting the groups.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, thread};

use lombard_chassis::CancellationToken;
use lombard_engine::{Engine, Handle, SnapshotPolicy, Snapshots, StartError};
use lombard_eventstore_core::{Past as _, group::Command};
use lombard_log::{MemoryLog, SharedLog};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{ConsumerGroups, GroupMachine, GroupMetrics, codec::GroupCodec};
use crate::{Config, machine::EventStoreMachine, query::Reader, showing::Showing};

const NAME: &str = "groups";
/// The log keeps what two snapshots cover, so this bounds its length: two times as much, and a segment.
const SNAPSHOT_BYTES: u64 = 8 << 20;

/// Where the consumer groups are kept.
#[derive(Clone, Debug)]
pub struct GroupsLog {
    /// Their log; nobody else writes to it. It is trimmed behind the snapshots.
    pub log: SharedLog,
    /// Their snapshots, which are worth as much as the log. Without a directory none are made, and the log is kept whole.
    pub snapshot_directory: Option<PathBuf>,
}

impl GroupsLog {
    /// Groups that are forgotten with the process, for tests.
    pub fn in_memory() -> Self {
        Self { log: Arc::new(MemoryLog::new()), snapshot_directory: None }
    }
}

/// What the groups are made with.
pub(crate) struct Parts {
    pub(crate) writer: Handle<EventStoreMachine>,
    pub(crate) reader: Reader,
    pub(crate) showing: Showing,
    pub(crate) drain: CancellationToken,
    pub(crate) metrics: lombard_chassis::Metrics,
    pub(crate) config: Arc<Config>,
}

impl ConsumerGroups {
    /// Reads the groups' log, and goes back where the events' log has.
    pub(crate) fn start(kept: GroupsLog, parts: Parts) -> Result<(Self, Engine), StartError> {
        let Parts { writer, reader, showing, drain, metrics, config } = parts;
        let limits = config.group_limits();
        let policy =
            SnapshotPolicy { records: config.group_snapshot_records, bytes: SNAPSHOT_BYTES };
        let snapshots =
            kept.snapshot_directory.map(|directory| Snapshots::new(directory, policy).trimming());
        let (engine, running) = Engine::start_with_snapshots(
            NAME,
            kept.log,
            snapshots,
            move || GroupMachine::new(limits),
            GroupCodec,
            config.group_engine_limits(),
        )?;
        let end = reader.index.next_position();
        rewind(&engine, Command::Rewind { end })?;
        let groups = Self {
            engine,
            writer,
            reader,
            showing,
            wakes: Arc::new(Mutex::new(BTreeMap::new())),
            waits: Arc::new(Semaphore::new(config.group_waits_max)),
            drain,
            metrics: GroupMetrics::register(&metrics),
            config,
        };
        Ok((groups, running))
    }
}

/// Blocks until it is decided: nobody may be served before. On a thread of its own, since the caller may be in a runtime.
fn rewind(engine: &Handle<GroupMachine>, command: Command) -> Result<(), StartError> {
    let failed = |cause: String| StartError::Thread { name: NAME, cause };
    let submit = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let rewound = runtime.block_on(engine.submit(command));
        let rewound = rewound.map_err(|error| failed(error.to_string()))?;
        if rewound.written {
            tracing::warn!(?rewound.reply, "consumer groups had read more events than there are: they went back");
        }
        Ok(())
    };
    thread::scope(|scope| scope.spawn(submit).join())
        .unwrap_or_else(|_| Err(failed("panicked".to_owned())))
}
