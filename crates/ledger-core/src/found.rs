//! What deciding transfers has found out already, for applying them.

use crate::account::AccountIndex;

/// Where the accounts of a record's transfers stand in the book that decided them: so they are looked up once. It is not
/// part of what happened, and is not recorded: it says nothing where it is empty, and a book checks it before it uses it.
/// So all of them are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundAccounts(Vec<(AccountIndex, AccountIndex)>);

impl FoundAccounts {
    /// Those of transfers in their order: the account that is debited, and the one that is credited.
    pub(crate) const fn new(accounts: Vec<(AccountIndex, AccountIndex)>) -> Self {
        Self(accounts)
    }

    pub(crate) const fn as_slice(&self) -> &[(AccountIndex, AccountIndex)] {
        self.0.as_slice()
    }
}

impl PartialEq for FoundAccounts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FoundAccounts {}
