//! What a token permits beyond scopes: `authorization_details` (RFC 9396).
//!
//! One type is built in, [`Payment`]: the ledger itself enforces it. Details of other types belong to services of the
//! platform's users; they are kept as they are, within limits, and compared as a whole.

mod decimal;
mod opaque;
mod parse;
mod payment;

use std::fmt;

use serde_json::Value;

pub use decimal::{Decimal, ParseDecimalError};
pub use opaque::OpaqueDetail;
pub use parse::ParseDetailsError;
pub use payment::{ParsePaymentIdError, Payment, PaymentId};

use crate::json;

/// The type of an authorization detail: `payment`, or one that a service of the platform's users understands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DetailType(Box<str>);

/// A text is not the type of an authorization detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a type is 1 to 64 letters, digits, '-', '_', '.', ':' or '/'")]
pub struct ParseDetailTypeError;

impl DetailType {
    const BYTES_MAX: usize = 64;

    /// The built-in type [`Payment`].
    pub fn payment() -> Self {
        Self(Payment::TYPE.into())
    }

    /// The type as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for DetailType {
    type Err = ParseDetailTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(fits) {
            return Err(ParseDetailTypeError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for DetailType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DetailType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing that is permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizationDetail {
    /// Payments from one account to another.
    Payment(Payment),
    /// Of a type that the platform itself knows nothing of.
    Opaque(OpaqueDetail),
}

impl AuthorizationDetail {
    /// Its type.
    pub fn detail_type(&self) -> DetailType {
        match self {
            Self::Payment(_) => DetailType::payment(),
            Self::Opaque(detail) => detail.detail_type().clone(),
        }
    }

    /// Whether whoever holds this detail may give away `narrower`.
    pub fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Payment(own), Self::Payment(narrower)) => own.covers(narrower),
            (Self::Opaque(own), Self::Opaque(narrower)) => own == narrower,
            (Self::Payment(_), Self::Opaque(_)) | (Self::Opaque(_), Self::Payment(_)) => false,
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Payment(payment) => payment.to_value(),
            Self::Opaque(detail) => detail.to_value(),
        }
    }
}

/// What a token permits beyond scopes: a short list, often empty. Each of them permits something; none takes away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationDetails(Vec<AuthorizationDetail>);

impl AuthorizationDetails {
    /// Most details in a list.
    pub const COUNT_MAX: usize = 8;
    /// Longest JSON text of a list, in bytes: it must fit into a token beside everything else.
    pub const BYTES_MAX: usize = 3 << 10;

    /// Reads what a request asks for. A payment gets its id from `new_id`: who asks cannot choose it.
    pub fn parse_request(
        text: &str,
        new_id: impl FnMut() -> PaymentId,
    ) -> Result<Self, ParseDetailsError> {
        parse::request(text, new_id)
    }

    /// Reads a list that was made by [`Self::to_value`], as it stands in tokens and in the log.
    pub fn parse_granted(text: &str) -> Result<Self, ParseDetailsError> {
        let value = json::parse_value(text.as_bytes()).map_err(|_| ParseDetailsError::Malformed)?;
        Self::from_granted(value)
    }

    pub(crate) fn from_granted(value: Value) -> Result<Self, ParseDetailsError> {
        parse::granted(value)
    }

    /// The list as JSON.
    pub fn to_value(&self) -> Value {
        Value::Array(self.0.iter().map(AuthorizationDetail::to_value).collect())
    }

    /// The details.
    pub fn iter(&self) -> impl Iterator<Item = &AuthorizationDetail> {
        self.0.iter()
    }

    /// The payments among them.
    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.0.iter().filter_map(|detail| match detail {
            AuthorizationDetail::Payment(payment) => Some(payment),
            AuthorizationDetail::Opaque(_) => None,
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a payment, which is the ledger's business.
    pub fn has_payment(&self) -> bool {
        self.payments().next().is_some()
    }

    /// What remains of these when `requested` is asked for: each of `requested` must be covered by one of these, no two by
    /// the same one, and a payment keeps the id under which its uses are counted. `None` where one is not covered.
    pub fn narrow(&self, requested: &Self) -> Option<Self> {
        let mut left: Vec<&AuthorizationDetail> = self.0.iter().collect();
        let mut narrowed = Vec::with_capacity(requested.0.len());
        for wanted in &requested.0 {
            let index = left.iter().position(|own| own.covers(wanted))?;
            narrowed.push(match (left.remove(index), wanted) {
                (AuthorizationDetail::Payment(own), AuthorizationDetail::Payment(wanted)) => {
                    AuthorizationDetail::Payment(Payment { id: own.id.clone(), ..wanted.clone() })
                }
                (own, _) => own.clone(),
            });
        }
        Some(Self(narrowed))
    }
}

impl FromIterator<AuthorizationDetail> for AuthorizationDetails {
    fn from_iter<I: IntoIterator<Item = AuthorizationDetail>>(details: I) -> Self {
        Self(details.into_iter().collect())
    }
}
