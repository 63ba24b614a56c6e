//! Consumer groups: who gets which event, and what became of it.
//!
//! A group is a place in the store's events that its consumers share. Behind that place everything is settled; before
//! it nothing has been looked at; between stands the *window*: events that wait, are in flight, or are to be tried
//! again. The [`Command`]s move events through it:
//!
//! ```text
//!             Read            Deliver            Ack
//!  not read ───────► waiting ─────────► in flight ─────► settled
//!                       ▲  ▲               │
//!                       │  └── delayed ◄───┤ Nack, or the time is over (Expire)
//!                       │                  ▼
//!                       └─── Replay ─── dead letter ─────► settled (Discard)
//! ```
//!
//! **Invariants**
//! - An event that was read is waiting, delayed, in flight, dead, or settled: exactly one of them.
//! - Of the events with one key at most one is in flight, and no later one is delivered before the earlier ones are
//!   settled or dead.
//! - An event is with one consumer at most, until that consumer's time is over.
//! - What was delivered is recorded before the consumer has it: attempts are counted also when either side crashes.
//!
//! Time comes in with the command. Delays double and have no jitter, so that a replay gives the same state; consumers
//! of one group do not stampede, since each event is given to one of them.
//!
//! What it is **not**: it does not look at events, which the shell reads and filters, nor does it know their ids.
//!
//! Start reading at [`Command`], then `window.rs`.

mod apply;
mod command;
mod decide;
mod event;
mod rejection;
mod reply;
mod settings;
mod state;
mod window;

pub use command::{Command, Create, Deliver, Nack, Read, Receipt, Which};
pub use decide::{Decision, Limits, decide};
pub use event::{Cause, Event, Failure, Found, Key, Next};
pub use rejection::Rejection;
pub use reply::{Delivery, Outcome, Reply, Supply};
pub use settings::{Backoff, Filter, Order, Settings, Start};
pub use state::{Consumer, DeadLetter, Group, Groups, Tracked};
pub use window::Status;
