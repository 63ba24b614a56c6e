//! What the ledger's write side and its read side say alike over HTTP: bodies, headers, parameters and problems.
//!
//! A transfer is answered by the writer when it is made and by the read side ever after: in the same words, since they are
//! written here.
//!
//! **Invariants**
//! - Amounts are decimal strings, and positions and numbers of 64 bits are strings too: no reader rounds them.
//!
//! What it is **not**: it has no handlers and no state, and does not know where what it says comes from.
#![warn(missing_docs)]
#![recursion_limit = "512"]

mod account;
mod answer;
mod asset;
mod page;
pub mod problem;
mod schemas;
mod transfer;

pub use account::{AccountBody, AccountParts, SideBody};
pub use answer::{Answer, IDEMPOTENCY_REPLAYED, LOMBARD_POSITION, set_headers};
pub use asset::AssetBody;
pub use page::{PageBody, limit, parameter};
pub use schemas::schemas;
pub use transfer::{PendingStatus, SetBody, TransferBody, TransferParts, effective_at};

use lombard_types::{Amount, Position, Scale};

/// An amount in units of its asset.
pub fn amount_text(amount: Amount, scale: Scale) -> String {
    amount.display(scale).to_string()
}

/// A string, since programs that read JSON numbers as floats would round large ones.
pub fn position_text(position: Position) -> String {
    position.to_string()
}
