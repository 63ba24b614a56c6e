//! The rules of double entry: a pure state machine, [`Book`].
//!
//! Commands come in with ids, time and evidence made outside; [`Book::decide`] says what would happen, and
//! [`Book::apply`] makes an event part of the state. There is no clock, randomness, I/O or hash order in here.
//!
//! **Invariants**
//! - For each asset, debits equal credits after every event.
//! - Totals only grow; nothing is ever rounded, and nothing wraps: an overflow is a result.
//! - The id of a transfer is spent once: a retry with the same content is answered as the first time, success or
//!   refusal, and other content is told what differs.
//! - Replaying the same events gives the same state ([`Book::state_hash`]).
//!
//! What it is **not**: it keeps no history and answers no queries beyond what deciding needs; that is the read side's
//! job, which follows the events. It does not know how events are stored.
//!
//! Start reading at [`CreateTransfer`], then `decide.rs`. Names and precedence of results follow TigerBeetle's where
//! the meaning is equal ([`TransferRejection`], [`TransferRefusal`]).
#![warn(missing_docs)]

mod account;
mod asset;
mod balance;
mod book;
mod command;
mod decide;
mod event;
mod evidence;
mod index;
mod result;
mod state;
mod transfer;

pub use account::{Account, NormalSide, Totals};
pub use asset::{Asset, ISO_4217, built_in};
pub use balance::{Balance, DisplayBalance};
pub use book::{Book, Recorded};
pub use command::{AccountIdentity, AccountRef, Command, CreateAsset, CreateTransfer, OpenAccount};
pub use decide::{Decision, Reply, TransferReply};
pub use event::Event;
pub use evidence::{Evidence, Metadata, MetadataTooLong};
pub use index::{FixedState, HashSeed};
pub use result::{
    AccountRejection, AssetRejection, Outcome, Rejection, TransferRefusal, TransferRejection,
};
pub use state::{AccountState, RestoreBook, RestoreError, SpentState};
pub use transfer::{Transfer, UserData};
