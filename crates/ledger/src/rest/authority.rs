//! What a caller's token permits here.
//!
//! - `ledger:read` reads everything; `ledger:read:customers/42/*` the accounts below that path, and what concerns them.
//! - `ledger:write` opens any account, debits any account and creates assets; `ledger:write:customers/42/*` opens and
//!   debits accounts below that path. Money may be credited to any account.
//! - `ledger:post`, `ledger:void`, `ledger:reverse` and `ledger:close`, each also for a path, permit only that, which
//!   `ledger:write` permits too.
//! - `ledger:import`, `ledger:override-lock`, `ledger:lock` and `ledger:chart` are not part of `ledger:write`: to import
//!   history, to book in locked periods, to lock them, and to set rules of the chart of accounts.
//! - A token with authorization details of type `payment` (RFC 9396) makes these payments, and changes nothing else,
//!   whatever its scopes say.
//! - `admin` permits everything.

use axum::extract::FromRequestParts;
use http::request::Parts;
use lombard_chassis::{Authenticated, Problem, authenticate};
use lombard_ledger_core::PaymentAuthority;
use lombard_token::Payment;
use lombard_types::{AccountPath, Amount, ClientId};

use super::Api;
use crate::problem;

const FAMILY: &str = "ledger";
const READ: &str = "read";
const WRITE: &str = "write";

/// What a scope of its own permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    Post,
    Void,
    Reverse,
    Close,
    Import,
    OverrideLock,
    Lock,
    Chart,
}

impl Right {
    const fn operation(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Void => "void",
            Self::Reverse => "reverse",
            Self::Close => "close",
            Self::Import => "import",
            Self::OverrideLock => "override-lock",
            Self::Lock => "lock",
            Self::Chart => "chart",
        }
    }

    /// Whether `ledger:write` permits it too.
    const fn is_part_of_write(self) -> bool {
        matches!(self, Self::Post | Self::Void | Self::Reverse | Self::Close)
    }
}

/// Whose request it is. An extractor: without a good token the request ends with 401.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    token: Authenticated,
    client_id: ClientId,
}

impl Caller {
    /// Who has a good token.
    pub(crate) fn new(token: Authenticated) -> Result<Self, Problem> {
        let client_id = token.0.client_id.parse().map_err(|error| {
            authenticate::unauthenticated(format!("the token's client_id: {error}"), true)
        })?;
        Ok(Self { token, client_id })
    }

    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    pub(crate) fn subject(&self) -> &str {
        &self.token.0.subject
    }

    pub(crate) fn token_id(&self) -> &str {
        &self.token.0.token_id
    }

    /// Must be permitted to read something, whatever it is.
    pub(crate) fn read_anything(&self) -> Result<(), Problem> {
        self.anything(READ)
    }

    /// Must be permitted to read everything.
    pub(crate) fn read_book(&self) -> Result<(), Problem> {
        self.require(READ, None)
    }

    /// Must be permitted to read an account.
    pub(crate) fn read(&self, path: &AccountPath) -> Result<(), Problem> {
        self.require(READ, Some(path))
    }

    pub(crate) fn may_read(&self, path: &AccountPath) -> bool {
        self.token.permits(FAMILY, READ, path.as_str())
    }

    /// Must be permitted to write something, whatever it is, be it by a payment.
    pub(crate) fn write_anything(&self) -> Result<(), Problem> {
        if self.has_payment() { Ok(()) } else { self.anything(WRITE) }
    }

    /// Must have a right somewhere, whatever it is for.
    pub(crate) fn may_anywhere(&self, right: Right) -> Result<(), Problem> {
        self.no_payment()?;
        if right.is_part_of_write() && self.anything(WRITE).is_ok() {
            return Ok(());
        }
        self.anything(right.operation())
    }

    /// Must have a right for an account.
    pub(crate) fn may(&self, right: Right, path: &AccountPath) -> Result<(), Problem> {
        self.has_right(right, Some(path))
    }

    /// Must have a right for everything.
    pub(crate) fn may_book(&self, right: Right) -> Result<(), Problem> {
        self.has_right(right, None)
    }

    fn has_right(&self, right: Right, path: Option<&AccountPath>) -> Result<(), Problem> {
        self.no_payment()?;
        if right.is_part_of_write() && self.require(WRITE, path).is_ok() {
            return Ok(());
        }
        self.require(right.operation(), path)
    }

    fn has_payment(&self) -> bool {
        self.token.0.authorization_details.has_payment()
    }

    /// A token with payments is for nothing else.
    fn no_payment(&self) -> Result<(), Problem> {
        if self.has_payment() {
            Err(not_authorized("the token is for payments only"))
        } else {
            Ok(())
        }
    }

    /// Must be permitted to debit an account: by scope, or by one of the token's payments, which is then answered and
    /// limits what the set may be. `paid` is what the set would pay.
    pub(crate) async fn debit(
        &self,
        api: &Api,
        debtor: Option<&AccountPath>,
        creditor: Option<&AccountPath>,
    ) -> Result<Option<PaymentAuthority>, Problem> {
        if !self.has_payment() {
            let permitted = match debtor {
                Some(path) => self.require(WRITE, Some(path)),
                None => self.require(WRITE, None),
            };
            return permitted.map(|()| None);
        }
        let payments = || self.token.0.authorization_details.payments();
        let meant = payments().find(|payment| {
            debtor == Some(&payment.debtor_account) && creditor == Some(&payment.creditor_account)
        });
        // Where none is for these accounts, the rules say in which way the first is not.
        match meant.or_else(|| payments().next()) {
            Some(payment) => authority(api, payment).await.map(Some),
            None => Err(not_authorized("the token has no payment")),
        }
    }

    /// Must be permitted to write everything.
    pub(crate) fn write_book(&self) -> Result<(), Problem> {
        self.require_write(None)
    }

    /// Must be permitted to open an account.
    pub(crate) fn write(&self, path: &AccountPath) -> Result<(), Problem> {
        self.require_write(Some(path))
    }

    /// Must be permitted to change the book otherwise than by payments.
    fn require_write(&self, path: Option<&AccountPath>) -> Result<(), Problem> {
        self.no_payment()?;
        self.require(WRITE, path)
    }

    fn require(&self, operation: &str, path: Option<&AccountPath>) -> Result<(), Problem> {
        self.token.require(FAMILY, operation, path.map(AccountPath::as_str)).map(drop)
    }

    fn anything(&self, operation: &str) -> Result<(), Problem> {
        self.token.require_somewhere(FAMILY, operation).map(drop)
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Self::new(Authenticated::from_request_parts(parts, state).await?)
    }
}

/// What the rules are to hold a set to.
async fn authority(api: &Api, payment: &Payment) -> Result<PaymentAuthority, Problem> {
    let Payment { id, amount, asset, debtor_account, creditor_account, uses } = payment;
    let scale = api.scale_of(asset).await?;
    let amount_max = Amount::parse(amount.as_str(), scale)
        .map_err(|_| not_authorized("the authorized amount has more digits than the asset"))?;
    let id = u128::from_str_radix(id.as_str(), 16)
        .map_err(|_| not_authorized("the payment's id is not one"))?;
    Ok(PaymentAuthority {
        id,
        asset: asset.clone(),
        amount_max,
        debtor: debtor_account.clone(),
        creditor: creditor_account.clone(),
        uses_max: *uses,
    })
}

fn not_authorized(detail: &'static str) -> Problem {
    Problem::new(&problem::PAYMENT_NOT_AUTHORIZED).detail(detail)
}
