//! The ledger's limits, each with its unit.

use std::time::Duration;

use lombard_engine::{Limits, SnapshotPolicy};
use lombard_ledger_core::Metadata;
use serde::{Deserialize, Serialize};

/// How the ledger is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Longest body of a request.
    pub body_bytes_max: usize,
    /// Longest body of a batch.
    pub batch_bytes_max: usize,
    /// Posting sets of a batch, at most.
    pub batch_sets_max: usize,
    /// Refused rows that the answer to an import tells of; the others are only counted. A row is at most `body_bytes_max`.
    pub import_problems_max: usize,
    /// Longest metadata of a transfer, as compact JSON; at most 2048.
    pub metadata_bytes_max: usize,
    /// How long a write waits before its outcome is reported as unknown.
    pub submit_ms_max: u64,
    /// Commands that may wait for the writer; one more is refused as overloaded.
    pub queue_commands_max: usize,
    /// Commands decided before their records are handed to the log together.
    pub group_commands_max: usize,
    /// Spent ids after which what their index has in memory is sealed: about 100 bytes of memory each, and what a restart
    /// reads again from the log.
    pub index_memory_ids: u64,
    /// A snapshot of the state is made after this many records,
    pub snapshot_records: u64,
    /// or after this many bytes of records, whichever comes first.
    pub snapshot_bytes: u64,
    /// Accounts whose balances are asked for at once over gRPC, at most.
    pub balances_max: usize,
    /// Frames of a gRPC session that wait for their answers; no further one is received meanwhile.
    pub session_frames_max: usize,
    /// Transfers of a frame, at most.
    pub frame_transfers_max: usize,
    /// What the gRPC server takes on at once.
    pub grpc: lombard_grpc::Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 10,
            batch_bytes_max: 4 << 20,
            batch_sets_max: 1000,
            import_problems_max: 1000,
            metadata_bytes_max: Metadata::BYTES_MAX,
            submit_ms_max: 10_000,
            queue_commands_max: 8192,
            group_commands_max: 1024,
            index_memory_ids: 512 << 10,
            snapshot_records: SnapshotPolicy::default().records,
            snapshot_bytes: SnapshotPolicy::default().bytes,
            balances_max: 1000,
            session_frames_max: 32,
            frame_transfers_max: 8190,
            grpc: lombard_grpc::Limits::default(),
        }
    }
}

impl Config {
    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |is_right: bool, mistake: &str| {
            if !is_right {
                mistakes.push(mistake.to_owned());
            }
        };
        expect(self.body_bytes_max >= 1024, "body_bytes_max is below 1024");
        expect(self.batch_bytes_max >= 1024, "batch_bytes_max is below 1024");
        expect(self.batch_sets_max > 0, "batch_sets_max is 0");
        expect(
            self.metadata_bytes_max <= Metadata::BYTES_MAX,
            "metadata_bytes_max is over 2048, which is all that a record holds",
        );
        expect(self.submit_ms_max > 0, "submit_ms_max is 0");
        expect(self.queue_commands_max > 0, "queue_commands_max is 0");
        expect(self.group_commands_max > 0, "group_commands_max is 0");
        expect(self.index_memory_ids > 0, "index_memory_ids is 0");
        expect(self.snapshot_records > 0, "snapshot_records is 0");
        expect(self.snapshot_bytes > 0, "snapshot_bytes is 0");
        expect(self.balances_max > 0, "balances_max is 0");
        expect(self.session_frames_max > 0, "session_frames_max is 0");
        expect(self.frame_transfers_max > 0, "frame_transfers_max is 0");
        mistakes.extend(self.grpc.mistakes().into_iter().map(|mistake| format!("grpc.{mistake}")));
        mistakes
    }

    pub(crate) const fn snapshot_policy(&self) -> SnapshotPolicy {
        SnapshotPolicy { records: self.snapshot_records, bytes: self.snapshot_bytes }
    }

    pub(crate) fn engine_limits(&self) -> Limits {
        Limits {
            queue_commands_max: self.queue_commands_max,
            group_commands_max: self.group_commands_max,
            submit_timeout: Duration::from_millis(self.submit_ms_max),
            ..Limits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let config = Config {
            metadata_bytes_max: 4096,
            batch_bytes_max: 0,
            batch_sets_max: 0,
            index_memory_ids: 0,
            session_frames_max: 0,
            frame_transfers_max: 0,
            ..Config::default()
        };
        assert_eq!(config.mistakes().len(), 6);
    }
}
