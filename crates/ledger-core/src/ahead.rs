//! Reading accounts before they are needed.
//!
//! Deciding and applying a transfer is a chain of steps, and a processor that meets an account that is not in its cache at
//! the end of it waits. Read in a row before, it waits for many at once. It is not more than that: nothing depends on what
//! was read.

use crate::{Book, account::AccountIndex};

/// How many transfers are read ahead together: their accounts are not more than a fraction of the smallest cache that
/// matters (64 transfers, two accounts of 200 bytes each: 25 kB).
const TRANSFERS: usize = 64;

/// How far accounts were read.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Transfers that were read and not done.
    read: usize,
}

impl Ahead {
    /// Reads on, where all that was read is done. `rest` are the accounts of all transfers that are not done.
    pub(crate) fn look<A: Copy + Into<Option<AccountIndex>>>(
        &mut self,
        book: &Book,
        rest: &[(A, A)],
    ) {
        if self.read > 0 {
            return;
        }
        let next = rest.get(..TRANSFERS).unwrap_or(rest);
        self.read = next.len();
        // One or two accounts are read soon enough by whoever needs them.
        if next.len() < 2 {
            return;
        }
        let mut read = 0u64;
        for index in next.iter().flat_map(|(debit, credit)| [*debit, *credit]) {
            if let Some(index) = index.into() {
                let Some(account) =
                    usize::try_from(index.0).ok().and_then(|index| book.accounts.get(index))
                else {
                    continue;
                };
                // All lines that an account is in.
                read ^= account.version ^ u64::from(account.floor.is_some());
                read ^= u64::from(account.totals.debits_pending == 0);
                read ^= u64::from(account.totals.credits_posted == 0);
            }
        }
        std::hint::black_box(read);
    }

    /// So many transfers were done.
    pub(crate) fn done(&mut self, transfers: usize) {
        self.read = self.read.saturating_sub(transfers);
    }
}
