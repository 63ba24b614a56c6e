//! The durable append-only log under every role.
//!
//! A log is a sequence of *records*; one record is one atomic batch of events, opaque to this crate. [`Log`] is the
//! whole contract: append a group of records iff the tail is where the writer believes it to be, read from a
//! position, and be told how far it is durable. Nothing above the trait assumes a file.
//!
//! **Invariants**
//! - A record is acknowledged only when it and all before it are durable.
//! - After a failed write or sync nothing is acknowledged any more; a restart recovers.
//! - Damage before the last durable point is never repaired silently: it is an error that says where.
//!
//! [`SegmentedLog`] keeps a log in files; its layout is drawn in [`segmented`]. [`MemoryLog`] is for tests, and so is
//! [`disk::Simulated`], under which a `SegmentedLog` meets every fault a disk can have.
//!
//! Around the log, not in the way of it: [`merkle`] follows it and proves its history, [`checkpoint`] signs how far it
//! had come, [`maintain`] checks, verifies, backs up, restores and repairs it.
#![warn(missing_docs)]

pub mod checkpoint;
pub mod disk;
mod log;
mod log_id;
pub mod maintain;
mod memory;
pub mod merkle;
mod record;
pub mod segmented;
mod then;

pub use log::{AppendError, Log, RECORD_OVERHEAD_BYTES, ReadError, SharedLog, TrimError};
pub use log_id::LogId;
pub use memory::MemoryLog;
pub use record::{Batch, Record};
pub use segmented::{OpenError, SegmentedConfig, SegmentedLog, Steps};
pub use then::Then;
