//! What a posting set carries besides its transfers: kept beside the records, since most sets have none of it.

use lombard_types::{AccountPath, Amount, AssetCode};

use crate::{Balance, Metadata, RecordedTransfer};

/// The caller's own name for a posting set; no two sets of a book have the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId(Box<str>);

impl ExternalId {
    /// Longest, in bytes.
    pub const BYTES_MAX: usize = 100;

    /// Takes 1 to 100 visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, InvalidExternalId> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::BYTES_MAX || !is_visible {
            return Err(InvalidExternalId);
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text is no external id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {max} visible ASCII characters", max = ExternalId::BYTES_MAX)]
pub struct InvalidExternalId;

/// On which side of its account an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntrySide {
    /// The account is debited.
    Debit,
    /// The account is credited.
    Credit,
}

/// What must be true of one entry's account, or else the whole set is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The transfer of the set, from 0.
    pub transfer: u16,
    /// Which of its two entries.
    pub side: EntrySide,
    /// What must be true.
    pub check: Check,
}

/// Balances are those after the entry, on the account's normal side; the version is that before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// What is available is this or more.
    AvailableAtLeast(Balance),
    /// What is available is this or less.
    AvailableAtMost(Balance),
    /// What is posted is this or more.
    PostedAtLeast(Balance),
    /// What is posted is this or less.
    PostedAtMost(Balance),
    /// The account has had this many entries.
    Version(u64),
}

/// A limited right to pay that a token carries (RFC 9396, type `payment`). Who has one may do with it only what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentAuthority {
    /// What its uses are counted by: the same in each token that carries it, and different from any other.
    pub id: u128,
    /// What may be paid with.
    pub asset: AssetCode,
    /// How much at once, at most.
    pub amount_max: Amount,
    /// Which account pays.
    pub debtor: AccountPath,
    /// Which account is paid.
    pub creditor: AccountPath,
    /// How often, at most.
    pub uses_max: u32,
}

/// That a payment authority was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorityUse {
    /// The grant.
    pub id: u128,
    /// The how many'th use it is, from 1.
    pub number: u32,
}

/// What is asked for with a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewNote {
    /// For the caller's own use.
    pub metadata: Metadata,
    /// The caller's own name for the set.
    pub external_id: Option<ExternalId>,
    /// What the caller believes the accounts to hold: nothing, or for each transfer of the set.
    pub assets: Box<[AssetCode]>,
    /// What must be true.
    pub conditions: Box<[Condition]>,
    /// The limited right that it is asked for with.
    pub authority: Option<PaymentAuthority>,
    /// To reverse: the transfers of the reversed set as they were recorded, which whoever asks has looked up. They never
    /// change, unlike how much of them is reversed.
    pub reversed: Box<[RecordedTransfer]>,
}

/// What is kept with a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// For the caller's own use.
    pub metadata: Metadata,
    /// The caller's own name for the set.
    pub external_id: Option<ExternalId>,
    /// What had to be true.
    pub conditions: Box<[Condition]>,
    /// The limited right that was used.
    pub authority: Option<AuthorityUse>,
}

impl Note {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        let Self { metadata, external_id, conditions, authority } = self;
        metadata.as_str().is_empty()
            && external_id.is_none()
            && conditions.is_empty()
            && authority.is_none()
    }
}
