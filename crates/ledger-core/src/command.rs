//! What a caller can ask of a book.

use std::sync::Arc;

use lombard_types::{AccountId, AccountPath, AssetCode, Scale};

use crate::{
    Balance, ChartRule, Evidence, LockName, NewNote, NewTransfer, NormalSide, PeriodLock, Statement,
};

/// One command. Everything that is not in the state is in here: ids were chosen and texts parsed outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make an asset known.
    CreateAsset(CreateAsset),
    /// Open an account.
    OpenAccount(OpenAccount),
    /// Let an account take no more transfers.
    CloseAccount(NameAccount),
    /// Let an account take transfers again.
    ReopenAccount(NameAccount),
    /// Set a rule of the chart of accounts, in place of any with the same prefix.
    SetChartRule {
        /// The rule.
        rule: ChartRule,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Remove a rule of the chart of accounts.
    RemoveChartRule {
        /// Its prefix.
        prefix: AccountPath,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Lock a period. Asking again for the same is answered as the first time.
    LockPeriod {
        /// The lock.
        lock: PeriodLock,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Unlock a period.
    UnlockPeriod {
        /// The lock to remove.
        name: LockName,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Seal a statement that was drawn up outside.
    SealStatement {
        /// The statement.
        statement: Box<Statement>,
        /// Who asks.
        evidence: Arc<Evidence>,
    },
    /// Move money.
    CreateTransfers(CreateTransfers),
    /// Record what time has ended, which every other command does first anyway.
    EndPendings,
    /// Decide the command and record nothing: the answer is what it would be.
    DryRun(Box<Command>),
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
    /// What is posted and expected may not go above this.
    pub ceiling: Option<Balance>,
    /// Who asks.
    pub evidence: Arc<Evidence>,
}

/// Names an account to do something with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAccount {
    /// The account.
    pub account: AccountRef,
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

/// Posting sets, each of which happens or not by itself, in order. Asking again with the same id is a retry of its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTransfers {
    /// Their transfers, in order; all but the last of a set are linked.
    pub transfers: Vec<NewTransfer>,
    /// What sets carry besides, by the place of the set (from 0), in order. Most have nothing.
    pub notes: Vec<(u32, NewNote)>,
    /// Who asks.
    pub evidence: Arc<Evidence>,
}

/// Transfers of one posting set, at most.
pub const SET_TRANSFERS_MAX: usize = 256;
