//! Runs one deterministic state machine on one log.
//!
//! A role that keeps state writes two pure functions, `decide` and `apply` ([`Machine`]), and an encoding for its
//! events ([`Codec`]). [`Engine::start`] replays the log through `apply`, from where the machine stands ([`StateAt`]), and
//! then serves commands:
//!
//! ```text
//!  submit -> bounded queue -> decide -> encode -> apply -> append (async, grouped) -> durable -> answer
//!                                \______ next group _______/        sync of the last group
//! ```
//!
//! **Invariants**
//! - Nothing is answered (success, rejection or query) before everything the answer depends on is durable.
//! - A command's events are one record: all of them happen or none.
//! - The clock that `decide` sees strictly increases, also over restarts, and is recorded; replay sees the same.
//! - A command is refused, not half done, when the log has no room for it.
//! - After a failed append the engine stops for good; restarting recovers.
//!
//! - A state is a function of the log: one from a snapshot and the tail has the same [`state_hash`] as one from the whole
//!   log.
//!
//! Everything else follows the durable log on a thread of its own, and the writer waits for none of it:
//!
//! ```text
//!  durable log ─┬─► Follower   a read model, which can be slow, rebuilt, or run in another process
//!               ├─► Feed       history and live for thousands of subscribers, each only a position
//!               └─► Snapshots  now and then, a state at a position: where the next start begins
//! ```
//!
//! What it is **not**: it knows no domain, no network, and no file but its snapshots.
//!
//! Start reading at [`Machine`], then [`Engine::start`].
#![warn(missing_docs)]

mod alone;
mod codec;
mod courier;
mod engine;
mod error;
mod feed;
pub mod fields;
mod follower;
mod handle;
mod limits;
mod machine;
mod queue;
mod record;
mod replay;
mod snapshot;
mod unanswered;
mod writer;

pub use codec::{Codec, DecodeError};
pub use engine::{Clock, Engine};
pub use error::{StartError, StoppedError};
pub use feed::{Fed, Feed, FeedError, FeedItem, FeedLimits, RingUsage, Subscription};
pub use follower::{Follower, Lagging, View};
pub use handle::{Committed, Handle, QueryError, SubmitError};
pub use limits::Limits;
pub use machine::{At, Decided, Decision, Machine};
pub use record::{decode_record, decode_record_time, encode_record};
pub use replay::StateAt;
pub use snapshot::{
    Snapshot, SnapshotInfo, SnapshotPolicy, Snapshots, StateHash, StateReader, StateWriter,
    copy_snapshots, state_from_bytes, state_hash, state_to_bytes,
};
