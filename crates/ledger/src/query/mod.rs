//! The read side: what answers queries.
//!
//! A view of the log that follows it on a thread of its own. It knows nothing of the writer's state, only events, so
//! it can be thrown away and built again, and later run in another process. What it answers is as old as its
//! position, which every answer says.
//!
//! Start reading at [`LedgerView`], then `entries.rs`.

mod accounts;
mod entries;
mod transfers;
mod trial_balance;
mod view;

pub use accounts::AccountRow;
pub use entries::{EntryNumber, EntryRow, Side};
pub use lombard_chassis::Page;
pub use transfers::{PendingStatus, TransferNumber, TransferRow};
pub use trial_balance::AssetTotals;
pub use view::{AssetRow, LedgerView};

#[cfg(test)]
mod tests;
