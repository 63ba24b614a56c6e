//! The ledger's read side: indexes that follow its log and answer questions about any moment of it.
//!
//! ```text
//!  ledger's log ──► follower ──► memory: accounts, open reservations ──┐
//!       │                └─────► maps on disk, sealed behind the log ──┼──► answers, as of a position or a time
//!       └──────────── one record, where who and why is asked ──────────┘
//! ```
//!
//! **Invariants**
//! - It knows events and nothing of the writer's state; all of it can be thrown away and made again from the log.
//! - An answer is of a [`Cut`]: everything before a position, and nothing after. What was true then is answered the same
//!   for ever.
//! - A reservation is over at its nanosecond, whether or not anybody has recorded that by then.
//! - Nothing here holds up the writer: what lags is a read.
//!
//! What it is **not**: it decides nothing, and does not know how events are stored (it is given a codec).
//!
//! [`Query`] runs an index beside a log and serves all reads below `/v1/ledger` but those that only the writer can answer.
//!
//! Start reading at [`LedgerIndex`], then `store/mod.rs`.
#![warn(missing_docs)]

mod books;
mod bytes;
mod config;
mod history;
mod index;
mod latest;
mod metrics;
pub mod openapi;
mod place;
pub mod problem;
mod rest;
mod sealer;
mod service;
mod store;

pub use books::{AccountRow, AssetRow};
pub use config::Config;
pub use history::{DecodedRecord, History, HistoryError, TransferInRecord};
pub use index::{
    Cut, DrawError, EntryRow, HoldRow, LedgerIndex, OpenError, PrefixTotals, Standing,
    StatementLine, TooMany,
};
pub use latest::Latest;
pub use lombard_chassis::Page;
pub use lombard_types::Sum;
pub use place::{AccountNumber, AssetNumber, ParsePlaceError, Place};
pub use sealer::Sealer;
pub use service::{Deps, NewError, Query};
pub use store::{AssetSums, CodeSums, EntryKind, ParseEntryKindError, StatementRow};
