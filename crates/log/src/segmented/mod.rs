//! A log in segment files.
//!
//! ```text
//!  directory/
//!    lock                 held by the one process that has the log open
//!    0000000001.seg       segments in order; the last ones are prepared: all zeros, waiting for their turn
//!    0000000002.seg
//!    trimmed              up to where records were given up (`trim.rs`); not there before the first time
//!
//!  segment   64 bytes header, then records one behind the other, then zeros to its fixed end
//!
//!  segment header                              record
//!   0   8  "LOMBSEG1"                           0   4  length of the payload
//!   8   4  CRC32C of bytes 12..64               4   4  CRC32C of bytes 8..32 and the payload
//!  12   4  format version, 1                    8   8  position
//!  16   8  number of the segment               16   8  synced: all before this position was durable when written
//!  24   8  position of its first record        24   1  kind, 1
//!  32  16  id of the log                       25   7  zero
//!  48  16  zero                                32      payload, then zeros to a multiple of 8
//! ```
//!
//! All numbers are little endian. A segment's whole space is written with zeros and synced before its first record, in
//! the background: an append writes into space that exists, so `fdatasync` has no metadata to write and a full disk
//! shows before a command is decided, not after. A segment is begun only after all records before it are durable.
//!
//! **Recovery** reads the last begun segment from its start. Where the records end there are zeros, or the torn rest
//! of a write that was never acknowledged, which is zeroed and reported. A bad record is *damage* instead if anything
//! behind it says that it had been durable (`synced`): then the log refuses to open and says where and what to do.
//! What is left of the last group is written and synced again before anybody reads it: the process may have ended
//! between the write and its sync, or after a sync that failed, and what was read once must not vanish later.

mod gather;
mod index;
mod layout;
mod log;
mod open;
mod plan;
mod prepare;
mod read;
mod scan;
mod steps;
mod trim;
mod write;

pub use log::{SegmentedConfig, SegmentedLog};
pub use open::OpenError;
pub(crate) use read::read_all;
pub(crate) use scan::{FIRST_RECORD_OFFSET, Scan, clear_from, log_id, scan, segment_files};
pub use steps::Steps;
pub(crate) use trim::TRIM_MARK_FILE;
