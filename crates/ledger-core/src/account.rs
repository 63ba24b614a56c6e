//! Accounts: four totals, and the rule that guards them.

use lombard_types::{AccountId, AccountPath};

use crate::Balance;

/// On which side an account grows: `Debit` for what one owns (cash at a bank), `Credit` for what one owes (a
/// customer's wallet).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NormalSide {
    /// Assets and expenses.
    Debit,
    /// Liabilities, equity and income.
    Credit,
}

/// What has been moved over an account, in minor units. Posted totals only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Reserved, and would be debited.
    pub debits_pending: u128,
    /// Debited for good.
    pub debits_posted: u128,
    /// Expected, and would be credited.
    pub credits_pending: u128,
    /// Credited for good.
    pub credits_posted: u128,
}

impl Totals {
    /// What is there for good, on the normal side.
    pub const fn posted(&self, side: NormalSide) -> Balance {
        match side {
            NormalSide::Debit => Balance::difference(self.debits_posted, self.credits_posted),
            NormalSide::Credit => Balance::difference(self.credits_posted, self.debits_posted),
        }
    }

    /// What would change if everything pending were posted, on the normal side.
    pub const fn pending(&self, side: NormalSide) -> Balance {
        match side {
            NormalSide::Debit => Balance::difference(self.debits_pending, self.credits_pending),
            NormalSide::Credit => Balance::difference(self.credits_pending, self.debits_pending),
        }
    }

    /// What can be spent: what is posted, less all that is reserved against it. Pending increases do not count.
    ///
    /// The sum of posted and pending on one side never overflows in a book, which refuses what would make it.
    pub const fn available(&self, side: NormalSide) -> Balance {
        match side {
            NormalSide::Debit => {
                let reserved = self.credits_posted.saturating_add(self.credits_pending);
                Balance::difference(self.debits_posted, reserved)
            }
            NormalSide::Credit => {
                let reserved = self.debits_posted.saturating_add(self.debits_pending);
                Balance::difference(self.credits_posted, reserved)
            }
        }
    }
}

impl Totals {
    /// What there would be if all pending increases were posted and nothing else.
    pub const fn expected(&self, side: NormalSide) -> Balance {
        match side {
            NormalSide::Debit => {
                let increased = self.debits_posted.saturating_add(self.debits_pending);
                Balance::difference(increased, self.credits_posted)
            }
            NormalSide::Credit => {
                let increased = self.credits_posted.saturating_add(self.credits_pending);
                Balance::difference(increased, self.debits_posted)
            }
        }
    }
}

/// An account of a book.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    /// Its id, chosen by whoever opened it.
    pub id: AccountId,
    /// Where it stands in the tree of accounts; unique in the book.
    pub path: AccountPath,
    /// The index of its asset in the book.
    pub(crate) asset: AssetIndex,
    /// On which side it grows.
    pub normal_side: NormalSide,
    /// What is available may not go below this; `None` lets it go anywhere.
    pub floor: Option<Balance>,
    /// What is posted and expected may not go above this; `None` lets it go anywhere.
    pub ceiling: Option<Balance>,
    /// Whether it takes no transfers.
    pub is_closed: bool,
    /// How many entries it has had, those of reservations and their ends included.
    pub version: u64,
    /// What has been moved over it.
    pub totals: Totals,
}

impl Account {
    /// Whether these totals would be within the floor.
    pub(crate) fn is_above_floor(&self, totals: &Totals) -> bool {
        self.floor.is_none_or(|floor| totals.available(self.normal_side) >= floor)
    }

    /// Whether these totals would be within the ceiling.
    pub(crate) fn is_below_ceiling(&self, totals: &Totals) -> bool {
        self.ceiling.is_none_or(|ceiling| totals.expected(self.normal_side) <= ceiling)
    }
}

/// Where an account stands in a book's list of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AccountIndex(pub(crate) u32);

/// Where an asset stands in a book's list of assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AssetIndex(pub(crate) u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balances_are_on_the_normal_side() {
        let totals = Totals {
            debits_pending: 5,
            debits_posted: 30,
            credits_pending: 7,
            credits_posted: 100,
        };
        let plus = |magnitude| Balance::new(false, magnitude);
        let minus = |magnitude| Balance::new(true, magnitude);
        let credit = NormalSide::Credit;
        assert_eq!(totals.posted(credit), plus(70));
        assert_eq!(totals.pending(credit), plus(2));
        assert_eq!(totals.available(credit), plus(65));
        let debit = NormalSide::Debit;
        assert_eq!(totals.posted(debit), minus(70));
        assert_eq!(totals.pending(debit), minus(2));
        assert_eq!(totals.available(debit), minus(77));
    }
}
