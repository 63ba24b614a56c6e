//! What a caller can ask of a book.

use std::sync::Arc;

use lombard_types::{AccountId, AccountPath, Amount, AssetCode, Scale, Timestamp, TransferId};

use crate::{Balance, Evidence, Metadata, NormalSide, UserData};

/// One command. Everything that is not in the state is in here: ids were chosen and texts parsed outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make an asset known.
    CreateAsset(CreateAsset),
    /// Open an account.
    OpenAccount(OpenAccount),
    /// Move money.
    CreateTransfer(CreateTransfer),
}

/// Makes an asset known. Asking again for the same is answered as the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAsset {
    /// Its code.
    pub code: AssetCode,
    /// Its digits after the point, for ever.
    pub scale: Scale,
    /// Who asks.
    pub evidence: Arc<Evidence>,
}

/// Opens an account. Asking again for the same is answered as the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAccount {
    /// Its id.
    pub identity: AccountIdentity,
    /// Where it stands; unique in the book.
    pub path: AccountPath,
    /// What it holds.
    pub asset: AssetCode,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this.
    pub floor: Option<Balance>,
    /// Who asks.
    pub evidence: Arc<Evidence>,
}

/// Where the id of a new account comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountIdentity {
    /// The caller chose it, and an account with this id is the one that is meant.
    Chosen(AccountId),
    /// It was drawn for this request; an account with the same path is the one that is meant.
    Fresh(AccountId),
}

/// How a caller names an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccountRef {
    /// By its id.
    Id(AccountId),
    /// By its path.
    Path(AccountPath),
}

/// Moves an amount from one account to another. Asking again with the same id is a retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTransfer {
    /// The caller's id for it.
    pub id: TransferId,
    /// The account to debit.
    pub debit_account: AccountRef,
    /// The account to credit.
    pub credit_account: AccountRef,
    /// What the caller believes both accounts to hold.
    pub asset: AssetCode,
    /// How much, in minor units.
    pub amount: Amount,
    /// For the caller's own use.
    pub user_data: UserData,
    /// What kind of transfer it is; 0 where there is none.
    pub code: u16,
    /// When it counts; `None` means when it is recorded.
    pub effective_at: Option<Timestamp>,
    /// For the caller's own use.
    pub metadata: Metadata,
    /// Who asks.
    pub evidence: Arc<Evidence>,
}
