//! The entries of an account: what each transfer did to it, with the balance after.

use lombard_ledger_core::Balance;

use super::TransferNumber;

/// On which side of the account a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The account was debited.
    Debit,
    /// The account was credited.
    Credit,
}

impl Side {
    /// `debit` or `credit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }
}

/// The place of an entry among those of its account; the first has 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryNumber(pub u64);

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its place in the account.
    pub number: EntryNumber,
    /// The transfer that made it.
    pub transfer: TransferNumber,
    /// Which side of the account it stands on.
    pub side: Side,
    /// What is posted after it, on the account's normal side.
    pub balance: Balance,
}

/// All entries of one account, oldest first, 24 bytes each.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries(Vec<Packed>);

#[derive(Clone, Copy, Debug)]
struct Packed {
    /// The magnitude of the balance in halves, since a `u128` would round the size up to 32.
    balance_low: u64,
    balance_high: u64,
    transfer: TransferNumber,
    is_debit: bool,
    is_negative: bool,
}

const _: () = assert!(size_of::<Packed>() == 24);

impl Entries {
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken on purpose")]
    pub(super) fn push(&mut self, transfer: TransferNumber, side: Side, balance: Balance) {
        self.0.push(Packed {
            balance_low: balance.magnitude() as u64,
            balance_high: (balance.magnitude() >> 64) as u64,
            transfer,
            is_debit: side == Side::Debit,
            is_negative: balance.is_negative(),
        });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entries after the one with this number.
    pub(super) fn after(&self, number: EntryNumber) -> impl Iterator<Item = EntryRow> {
        let skipped = usize::try_from(number.0).unwrap_or(usize::MAX).min(self.0.len());
        let rest = self.0.get(skipped..).unwrap_or_default();
        (number.0.saturating_add(1)..)
            .zip(rest)
            .map(|(number, packed)| packed.row(EntryNumber(number)))
    }

    /// The entry that a transfer made. They are in the order of transfers, but for those of pending transfers that
    /// posted themselves later.
    pub(super) fn of(&self, transfer: TransferNumber) -> Option<EntryRow> {
        let index = match self.0.binary_search_by_key(&transfer, |packed| packed.transfer) {
            Ok(index) => index,
            Err(_) => self.0.iter().position(|packed| packed.transfer == transfer)?,
        };
        let number = EntryNumber(u64::try_from(index).ok()? + 1);
        self.0.get(index).map(|packed| packed.row(number))
    }
}

impl Packed {
    fn row(&self, number: EntryNumber) -> EntryRow {
        let magnitude = u128::from(self.balance_high) << 64 | u128::from(self.balance_low);
        EntryRow {
            number,
            transfer: self.transfer,
            side: if self.is_debit { Side::Debit } else { Side::Credit },
            balance: Balance::new(self.is_negative, magnitude),
        }
    }
}
