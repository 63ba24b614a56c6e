//! What a transfer does to the totals of its two accounts.

use crate::{EntrySide, Totals};

/// Moves, reserves or settles an amount, in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Moves it for good.
    Post(u128),
    /// Reserves it.
    Reserve(u128),
    /// Ends a reservation and moves what was posted of it, which may be nothing, less, or more.
    Settle {
        /// What was reserved.
        reserved: u128,
        /// What is moved.
        posted: u128,
    },
}

impl Change {
    /// The totals after it; `None` where one would overflow, or a reservation was not there.
    pub fn apply(self, totals: Totals, side: EntrySide) -> Option<Totals> {
        let mut after = totals;
        let (pending, posted) = match side {
            EntrySide::Debit => (&mut after.debits_pending, &mut after.debits_posted),
            EntrySide::Credit => (&mut after.credits_pending, &mut after.credits_posted),
        };
        match self {
            Self::Post(amount) => *posted = posted.checked_add(amount)?,
            Self::Reserve(amount) => *pending = pending.checked_add(amount)?,
            Self::Settle { reserved, posted: moved } => {
                *pending = pending.checked_sub(reserved)?;
                *posted = posted.checked_add(moved)?;
            }
        }
        pending.checked_add(*posted)?;
        Some(after)
    }

    /// How much more it takes than was reserved: what limits of balances are asked for.
    pub(crate) const fn excess(self) -> u128 {
        match self {
            Self::Post(amount) | Self::Reserve(amount) => amount,
            Self::Settle { reserved, posted } => posted.saturating_sub(reserved),
        }
    }
}
