//! A copy of another role's log: read over the network as it grows, and checked against what that role signs.
//!
//! ```text
//!  the role ── GET /v1/<role>/log/records ──► SegmentedLog here ──► whoever follows a log (indexes, projections)
//!          └── GET /v1/<role>/log/checkpoint ──► Merkle tree over the copy: same root?
//! ```
//!
//! **Invariants**
//! - A record has the position that it has at its source, and is durable here before anybody follows it.
//! - What a checkpoint covers is compared with it, while catching up by proofs of consistency. Records that are newer
//!   than the newest checkpoint, about a second's worth, are served before they are proved.
//! - A copy is of one log. A source that is another log, signs with another key, ends before the copy, or contradicts
//!   it is an error that nothing here repairs.
//! - When the source is away, the copy stays readable.
//!
//! What it is **not**: it knows no events, and does not take over from its source; nobody else writes to the copy.
//!
//! Start reading at [`Mirror`].
#![warn(missing_docs)]

mod config;
mod fetch;
mod http_source;
mod kept;
mod metrics;
mod mirror;
mod source;
#[cfg(test)]
mod tests;
mod verify;

pub use config::Config;
pub use http_source::HttpSource;
pub use kept::KeptError;
pub use mirror::{Deps, Mirror, MirrorError, OpenError};
pub use source::{Page, Source, SourceError};
