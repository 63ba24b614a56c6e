//! Why an engine does not start, and why it stops.

use lombard_log::{AppendError, ReadError};
use lombard_types::Position;

use crate::DecodeError;

/// Why an engine did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    /// The log could not be read.
    #[error("failed to replay the log of {name}")]
    Read {
        /// The engine's name.
        name: &'static str,
        /// What the log said.
        source: ReadError,
    },
    /// A record is whole but its content is unknown to this version.
    #[error("failed to replay record {position} of {name}: was it written by a newer version?")]
    Decode {
        /// The engine's name.
        name: &'static str,
        /// The record.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The machine has applied more than the log holds: it is not this log's, or the log was cut off.
    #[error("the state of {name} stands at {position}, but its log ends at {tail}")]
    Ahead {
        /// The engine's name.
        name: &'static str,
        /// Where the machine stands.
        position: Position,
        /// Where the log ends.
        tail: Position,
    },
    /// The system gave no thread.
    #[error("failed to start the thread of {name}: {cause}")]
    Thread {
        /// The engine's name.
        name: &'static str,
        /// What the system said.
        cause: String,
    },
}

/// Why a running engine stopped.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoppedError {
    /// An append failed, so the state in memory is ahead of the log. The process must end; restarting recovers.
    #[error("{name} stopped: its log refused an append")]
    Append {
        /// The engine's name.
        name: &'static str,
        /// What the log said.
        source: AppendError,
    },
    /// The writer's thread panicked.
    #[error("{name} stopped: its thread panicked")]
    Panicked {
        /// The engine's name.
        name: &'static str,
    },
}
