//! The rules of the event store: pure functions over what has happened, [`Past`].
//!
//! An [`Append`] names one or more streams, what each is expected to look like, what must not have happened meanwhile,
//! and the events to add. [`decide`] says what would happen; whoever keeps the past then makes it part of it. There is
//! no clock, randomness, I/O or hash order in here.
//!
//! **Invariants**
//! - An append happens as a whole, as one [`Appended`], or not at all.
//! - A stream's revisions and the store's positions begin at 0 and have no gaps.
//! - The id of an event is spent once, for ever: the same append again is answered as the first time, and any other use
//!   of the id is rejected.
//!
//! What it is **not**: it keeps no events, and not even the past, which may be larger than memory ([`MemoryPast`] is
//! its plain definition). It does not look into the events' content, nor know how they are stored.
//!
//! Start reading at [`Append`], then `decide.rs`.
#![warn(missing_docs)]

mod command;
mod decide;
mod document;
mod event;
mod evidence;
pub mod group;
mod memory;
mod past;
mod position;
mod query;
mod rejection;
mod retry;
mod tag;

pub use command::{
    Append, Command, Content, EventType, Expected, NewEvent, ParseEventTypeError, StreamAppend,
};
pub use decide::{Decision, Limits, Reply, StreamRange, decide};
pub use document::{DocumentKey, DocumentKind, DocumentStored, PutDocument};
pub use event::{Appended, Event, Placed, StreamAppended};
pub use evidence::Evidence;
pub use memory::MemoryPast;
pub use past::{Past, Unreadable};
pub use position::{EventPosition, ParseEventPositionError};
pub use query::{Condition, Criterion, Query};
pub use rejection::{Rejection, Reuse};
pub use tag::{ParseTagError, Tag};
