//! What a caller's token permits here.
//!
//! - `ledger:read` reads everything; `ledger:read:customers/42/*` the accounts below that path, and what concerns them.
//! - `ledger:write` opens any account, debits any account and creates assets; `ledger:write:customers/42/*` opens and
//!   debits accounts below that path. Money may be credited to any account.
//! - `admin` permits everything.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Authenticated, Problem, authenticate};
use lombard_types::{AccountPath, ClientId};

const FAMILY: &str = "ledger";
const READ: &str = "read";
const WRITE: &str = "write";

/// Whose request it is. An extractor: without a good token the request ends with 401.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    token: Authenticated,
    client_id: ClientId,
}

impl Caller {
    pub(super) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    pub(super) fn subject(&self) -> &str {
        &self.token.0.subject
    }

    pub(super) fn token_id(&self) -> &str {
        &self.token.0.token_id
    }

    /// Must be permitted to read something, whatever it is.
    pub(super) fn read_anything(&self) -> Result<(), Problem> {
        self.anything(READ)
    }

    /// Must be permitted to read everything.
    pub(super) fn read_book(&self) -> Result<(), Problem> {
        self.require(READ, None)
    }

    /// Must be permitted to read an account.
    pub(super) fn read(&self, path: &AccountPath) -> Result<(), Problem> {
        self.require(READ, Some(path))
    }

    pub(super) fn may_read(&self, path: &AccountPath) -> bool {
        self.token.0.scope.permits(FAMILY, READ, Some(path.as_str()))
    }

    /// Must be permitted to write something, whatever it is.
    pub(super) fn write_anything(&self) -> Result<(), Problem> {
        self.anything(WRITE)
    }

    /// Must be permitted to write everything.
    pub(super) fn write_book(&self) -> Result<(), Problem> {
        self.require(WRITE, None)
    }

    pub(super) fn may_write_book(&self) -> bool {
        self.token.0.scope.permits(FAMILY, WRITE, None)
    }

    /// Must be permitted to open or debit an account.
    pub(super) fn write(&self, path: &AccountPath) -> Result<(), Problem> {
        self.require(WRITE, Some(path))
    }

    fn require(&self, operation: &str, path: Option<&AccountPath>) -> Result<(), Problem> {
        self.token.require(FAMILY, operation, path.map(AccountPath::as_str)).map(drop)
    }

    /// Asked before anything of the request is looked at, so that a caller without any right learns nothing from it.
    fn anything(&self, operation: &str) -> Result<(), Problem> {
        let wanted = authenticate::required_scope(FAMILY, operation, None);
        let is_some = self.token.0.scope.iter().any(|scope| {
            let rest = scope.as_str().strip_prefix(wanted.as_str());
            scope.is_admin() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        });
        if is_some { Ok(()) } else { Err(authenticate::insufficient_scope(&wanted)) }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = Authenticated::from_request_parts(parts, state).await?;
        let client_id = token.0.client_id.parse().map_err(|error| {
            authenticate::unauthenticated(format!("the token's client_id: {error}"), true)
        })?;
        Ok(Self { token, client_id })
    }
}
