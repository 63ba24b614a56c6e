//! What a caller's token lets it read: everything with `ledger:read`, what is below a path with `ledger:read:PATH/*`.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Authenticated, Problem};
use lombard_token::Claims;
use lombard_types::AccountPath;

use crate::{AccountRow, problem};

const FAMILY: &str = "ledger";
const READ: &str = "read";
const SEAL: &str = "seal";

/// Who asks. An extractor: without a good token the request ends with 401, and with one that may read nothing, with 403.
#[derive(Clone, Debug)]
pub(super) struct Reader(Authenticated);

impl Reader {
    /// Must be permitted to read everything.
    pub(super) fn whole_book(&self) -> Result<(), Problem> {
        self.0.require(FAMILY, READ, None).map(drop)
    }

    /// Must be permitted to read all accounts whose path begins with `prefix`.
    pub(super) fn all_below(&self, prefix: &str) -> Result<(), Problem> {
        // With the star, so that who may read `customers/42` or `customers/42/*` does not see `customers/420`.
        self.0.require(FAMILY, READ, Some(&format!("{prefix}*"))).map(drop)
    }

    /// Must be permitted to read an account.
    pub(super) fn account(&self, path: &AccountPath) -> Result<(), Problem> {
        self.0.require(FAMILY, READ, Some(path.as_str())).map(drop)
    }

    /// The account, unless it does not exist or the caller may not seal its statements.
    pub(super) fn sealable<'a>(
        &self,
        account: Option<&'a AccountRow>,
    ) -> Result<&'a AccountRow, Problem> {
        let account = self.readable(account)?;
        self.0.require(FAMILY, SEAL, Some(account.path.as_str()))?;
        Ok(account)
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.0.0
    }

    pub(super) fn may_read(&self, path: &AccountPath) -> bool {
        self.0.permits(FAMILY, READ, path.as_str())
    }

    /// The account, unless it does not exist or the caller may not read it. Who may read only some accounts is not told
    /// whether another one exists.
    pub(super) fn readable<'a>(
        &self,
        account: Option<&'a AccountRow>,
    ) -> Result<&'a AccountRow, Problem> {
        match account {
            Some(account) => self.account(&account.path).map(|()| account),
            None => {
                self.whole_book()?;
                Err(Problem::new(&problem::ACCOUNT_NOT_FOUND))
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        token.require_somewhere(FAMILY, READ)?;
        Ok(Self(token))
    }
}
