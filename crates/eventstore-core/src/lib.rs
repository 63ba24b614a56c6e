//! The rules of the event store: a pure state machine, [`Store`].
//!
//! An [`Append`] names one or more streams, what each is expected to look like, and the events to add. [`Store::decide`]
//! says what would happen, and [`Store::apply`] makes it part of the state. There is no clock, randomness, I/O or hash
//! order in here.
//!
//! **Invariants**
//! - An append happens as a whole, as one [`Appended`], or not at all.
//! - A stream's revisions and the store's positions begin at 0 and have no gaps.
//! - The id of an event is spent once, for ever: the same append again is answered as the first time, and any other use
//!   of the id is rejected.
//!
//! What it is **not**: it keeps no events, only what deciding needs (a stream's last revision, the ids that are spent).
//! Reading is the shell's job, which follows the events. It does not look into their content, nor know how they are
//! stored.
//!
//! Start reading at [`Append`], then `decide.rs`.
#![warn(missing_docs)]

mod command;
mod decide;
mod event;
mod evidence;
mod position;
mod rejection;
mod store;

pub use command::{
    Append, Content, ContentDigest, EventType, Expected, NewEvent, ParseEventTypeError,
    StreamAppend,
};
pub use decide::{AppendReply, Decision, StreamRange};
pub use event::{Appended, StreamAppended};
pub use evidence::Evidence;
pub use position::{EventPosition, ParseEventPositionError};
pub use rejection::{Rejection, Reuse};
pub use store::{Limits, Recorded, Store};
