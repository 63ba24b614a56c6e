//! How far the ledger is, where its log is not followed itself but a copy.

use std::fmt;

use futures_util::future::BoxFuture;
use lombard_types::Position;

/// Asks the ledger how much of its log is durable: whatever it has answered to anybody is.
pub trait Latest: Send + Sync + fmt::Debug {
    /// Everything before this position is durable; `None` where the ledger cannot be asked.
    fn durable(&self) -> BoxFuture<'_, Option<Position>>;
}
