//! Ordered maps from fixed-size keys to fixed-size values, larger than memory, derived from a log.
//!
//! A role whose state does not fit in memory (every event id that was ever used, every stream's appends) keeps it in the
//! [`Map`]s of one [`Index`]. The log stays the truth: an index says up to which position of the log it stands, the rest
//! is replayed into it, and an index that is damaged or gone is made again.
//!
//! ```text
//!  insert ──► active table ──freeze──► frozen tables ──(durable in the log)──► sealed runs ──merge──► larger runs
//!               memory                    memory                               files: sorted blocks, filter, CRCs
//! ```
//!
//! **Invariants**
//! - What is sealed is durable in the log: a writer that applies before its log is durable loses nothing but memory.
//! - All maps of an index stand at one position, because one manifest names all their files and is replaced as a whole.
//! - A damaged file is an error, when it is opened or when the damaged block is read; never a wrong answer.
//!
//! **Memory**: the tables, at most what was inserted between three or so freezes; and for each sealed entry 10 bits of
//! filter (only where the map has one) and a four-hundredth of the entry.
//!
//! **Loading**: while an index is made again from the log, entries are kept as they come and put in order by the sealer
//! ([`Index::set_loading`]): a table in order, entry by entry, would take most of the time.
//!
//! **Disk**: what the entries of a block have in common is stored once (`block.rs`): ids that begin with a time take 14
//! bytes with their record instead of 22.
//!
//! What it is **not**: a database. There are no transactions, deletions or values of variable size, and one writer.
//!
//! Start reading at [`Map`], then `sealer.rs`.
#![warn(missing_docs)]

mod block;
mod filter;
mod index;
mod manifest;
mod map;
mod order;
mod range;
mod run;
mod sealer;
mod table;
mod tables;

pub use index::{Index, OpenError, Opening};
pub use map::{FilterOn, Map, MapSpec, Reads};
pub use range::{Range, RangeBack};
pub use run::ReadError;
