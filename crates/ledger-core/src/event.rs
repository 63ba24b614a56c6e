//! What happened: the only thing that is stored.

use std::sync::Arc;

use lombard_types::{AccountId, AccountPath, AssetCode, Scale};

use crate::{Balance, Evidence, Metadata, NormalSide, Transfer, TransferRefusal};

/// One event of a book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An asset became known.
    AssetCreated {
        /// Its code.
        code: AssetCode,
        /// Its digits after the point.
        scale: Scale,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// An account was opened.
    AccountOpened {
        /// Its id.
        id: AccountId,
        /// Where it stands.
        path: AccountPath,
        /// What it holds.
        asset: AssetCode,
        /// On which side it grows.
        normal_side: NormalSide,
        /// What is available may not go below this.
        floor: Option<Balance>,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// Money moved.
    TransferPosted {
        /// What was moved.
        transfer: Transfer,
        /// What the caller wants kept with it.
        metadata: Metadata,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
    /// Money did not move, because of the state at that time. Recorded, so that the id is spent and a retry gets the
    /// same answer.
    TransferRefused {
        /// What would have been moved.
        transfer: Transfer,
        /// Why it was not.
        refusal: TransferRefusal,
        /// What the caller wants kept with it.
        metadata: Metadata,
        /// Who asked.
        evidence: Arc<Evidence>,
    },
}

impl Event {
    /// Who asked for it.
    pub fn evidence(&self) -> &Evidence {
        match self {
            Self::AssetCreated { evidence, .. }
            | Self::AccountOpened { evidence, .. }
            | Self::TransferPosted { evidence, .. }
            | Self::TransferRefused { evidence, .. } => evidence,
        }
    }
}
