//! Signed authorization requests (RFC 9101): what a client asks a person for, in words that no browser can change.

use std::time::Duration;

use lombard_types::Timestamp;
use serde_json::{Map, Value};

use crate::{
    ClaimsError, JwsError, PublicJwk,
    claims::{text, time},
    jws::{HeaderRules, KeyRule, Unverified},
};

/// RFC 9101 section 10.8 and FAPI 2.0 Message Signing section 5.3.1: nothing else that a client signs is taken for one.
const RULES: HeaderRules =
    HeaderRules { types: &["oauth-authz-req+jwt"], may_omit_type: false, key: KeyRule::Known };
/// How old one may be, and how long it may be good (FAPI 2.0 Message Signing section 5.3.1).
const LIFE_MAX: Duration = Duration::from_secs(3600);

/// Why a request object is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestObjectError {
    /// Its form or signature is bad.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is bad.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Its `nbf` is over an hour ago.
    #[error("nbf is over {} seconds ago", LIFE_MAX.as_secs())]
    TooOld,
    /// It would be good for too long.
    #[error("exp is over {} seconds after nbf", LIFE_MAX.as_secs())]
    LifeTooLong,
    /// It says another request within.
    #[error("it has a request or request_uri in it")]
    Nested,
}

/// The parameters of the request that the client whose key is `key` has signed for the authorization server `issuer`; what the JWT
/// says about itself is taken out, but for `client_id`.
pub fn verify_request_object(
    request: &str,
    key: &PublicJwk,
    client_id: &str,
    issuer: &str,
    now: Timestamp,
    skew: Duration,
) -> Result<Map<String, Value>, RequestObjectError> {
    let unverified = Unverified::parse(request, RULES)?;
    let key = key.verification_key().map_err(|_| JwsError::Signature)?;
    let mut members = unverified.verify(key)?;
    for name in ["iss", "client_id"] {
        if text(&members, name)? != client_id {
            return Err(ClaimsError::Malformed(name).into());
        }
    }
    let audience = match members.get("aud") {
        Some(Value::Array(list)) if list.len() == 1 => list.first().and_then(Value::as_str),
        Some(value) => value.as_str(),
        None => None,
    };
    let audience = audience.ok_or(ClaimsError::Malformed("aud"))?;
    if audience != issuer {
        return Err(ClaimsError::Audience { audience: audience.into() }.into());
    }
    let (from, until) = (time(&members, "nbf")?, time(&members, "exp")?);
    if now >= until.plus(skew) {
        return Err(ClaimsError::Expired(until).into());
    }
    if from > now.plus(skew) {
        return Err(ClaimsError::NotYetValid(from).into());
    }
    if now > from.plus(LIFE_MAX).plus(skew) {
        return Err(RequestObjectError::TooOld);
    }
    if until > from.plus(LIFE_MAX) {
        return Err(RequestObjectError::LifeTooLong);
    }
    if members.contains_key("request") || members.contains_key("request_uri") {
        return Err(RequestObjectError::Nested);
    }
    for name in ["iss", "aud", "nbf", "exp", "iat", "jti"] {
        members.remove(name);
    }
    Ok(members)
}
