//! Words that every part of Lombard shares: [`Amount`], [`Timestamp`], [`Position`], [`Revision`], names and ids.
//!
//! This crate depends on no sibling and does no I/O. Everything here is a small value with one meaning, so that two
//! integers of the same type never stand side by side in a signature.
//!
//! Start reading at [`Amount`] (money is an integer of minor units and is parsed without ever rounding) and
//! [`Position`] (the coordinate of a log).
#![warn(missing_docs)]

mod amount;
mod asset;
mod id;
mod name;
mod position;
mod sum;
mod timestamp;

pub use amount::{Amount, ParseAmountError};
pub use asset::{AssetCode, ParseAssetCodeError, Scale, ScaleOutOfRange};
pub use id::{AccountId, EventId, ParseIdError, TransferId};
pub use name::{
    AccountPath, ClientId, ConsumerName, GroupName, InstanceId, ParseNameError, RequestId,
    ServiceName, StreamName,
};
pub use position::{ParsePositionError, Position, Revision};
pub use sum::Sum;
pub use timestamp::{ParseTimestampError, Timestamp};
