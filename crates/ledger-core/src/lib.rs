//! The rules of double entry: a pure state machine, [`Book`].
//!
//! Commands come in with ids, time and evidence made outside; [`Book::decide`] says what would happen, and
//! [`Book::apply`] makes an event part of the state. There is no clock, randomness, I/O or hash order in here.
//!
//! **Invariants**
//! - For each asset, debits equal credits after every event.
//! - Posted totals only grow; nothing is ever rounded, and nothing wraps: an overflow is a result.
//! - A posting set happens as a whole or not at all.
//! - The id of a posting set is spent once: a retry with the same content is answered as the first time, success or
//!   refusal, and other content is told what differs.
//! - What time ends, ends at its nanosecond: nothing is decided on a reservation that is over.
//! - Replaying the same events gives the same state ([`Book::state_hash`]).
//!
//! What it is **not**: it keeps no history and answers no queries beyond what deciding needs; that is the read side's
//! job, which follows the events. Which ids are spent, for ever, is the shell's to keep ([`Past`]). It does not know how
//! events are stored.
//!
//! Start reading at [`NewTransfer`], then `decide/transfers.rs`. Names and precedence of results follow TigerBeetle's
//! where the meaning is equal ([`TransferRejection`], [`TransferRefusal`]).
#![warn(missing_docs)]

mod account;
mod ahead;
mod apply;
mod asset;
mod balance;
mod book;
mod change;
mod chart;
mod command;
mod decide;
mod event;
mod evidence;
mod found;
mod index;
mod note;
mod past;
mod pending;
mod period;
mod result;
mod retry;
mod state;
mod statement;
mod transfer;

pub use account::{Account, NormalSide, Totals};
pub use asset::{Asset, ISO_4217, built_in};
pub use balance::{Balance, DisplayBalance};
pub use book::{Book, Recorded};
pub use change::Change;
pub use chart::ChartRule;
pub use command::{
    AccountIdentity, AccountRef, Command, CreateAsset, CreateTransfers, NameAccount, OpenAccount,
    SET_TRANSFERS_MAX,
};
pub use decide::{
    CHART_RULES_MAX, Decision, ENDED_PENDINGS_MAX, PERIOD_LOCKS_MAX, Reply, SetResult,
    TransfersReply,
};
pub use event::{Ended, Ending, Event, Outcome, RecordedSet, RecordedTransfer, Transfers};
pub use evidence::{Evidence, Metadata, MetadataTooLong};
pub use index::{FixedState, HashSeed};
pub use note::{
    AuthorityUse, Check, Condition, EntrySide, ExternalId, InvalidExternalId, NewNote, Note,
    PaymentAuthority,
};
pub use past::{Lesson, MemoryPast, Past, Spent, SpentStatus, Unreadable};
pub use period::{InvalidLockName, LockName, PeriodLock};
pub use result::{
    AccountRejection, AssetRejection, ChartRejection, ClosingRejection, PeriodRejection, Rejection,
    StatementRejection, TransferRefusal, TransferRejection,
};
pub use retry::compare_retry;
pub use state::{AccountState, PendingState, PendingTransferState, RestoreBook, RestoreError};
pub use statement::{LastStatement, Statement};
pub use transfer::{NewTransfer, Reservation, Transfer, TransferFlags, TransferKind, UserData};
