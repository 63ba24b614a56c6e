//! Client assertions: a client proves who it is with its private key (RFC 7523 section 3, FAPI 2.0).

use std::time::Duration;

use lombard_types::Timestamp;
use serde_json::json;

use crate::{
    ClaimsError, JwsError, KeyError, PublicJwk, SigningKey,
    claims::{text, time},
    jws::{self, HeaderRules, KeyRule, Unverified},
};

/// The value of the parameter `client_assertion_type`.
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// RFC 7523 asks for no `typ`, and many clients send none. That confuses nothing: what else a client signs, request
/// objects and proofs of possession, has a `typ` that must be there.
const RULES: HeaderRules = HeaderRules {
    types: &["JWT", "client-authentication+jwt"],
    may_omit_type: true,
    key: KeyRule::Known,
};
/// How long an assertion that we make is good.
const LIFE: Duration = Duration::from_secs(60);
/// How long an assertion may be good at most, so that what is kept against replay stays small.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// A verified assertion. It must be used once only: whoever accepts it keeps `token_id` until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAssertion {
    /// The client.
    pub client_id: Box<str>,
    /// The assertion's own id.
    pub token_id: Box<str>,
    /// Until when it could be replayed.
    pub expires_at: Timestamp,
}

/// Why an assertion is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Its form or signature is bad.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is bad.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// It would be good for too long.
    #[error("it is good for longer than {} seconds", LIFE_MAX.as_secs())]
    LifeTooLong,
}

/// An assertion of `client_id` for the authorization server `issuer`.
pub fn client_assertion(
    key: &SigningKey,
    client_id: &str,
    issuer: &str,
    token_id: &str,
    now: Timestamp,
) -> Result<String, KeyError> {
    let claims = json!({
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": token_id,
        "iat": now.unix_seconds(),
        "exp": now.plus(LIFE).unix_seconds(),
    });
    key.sign("JWT", claims.to_string().as_bytes())
}

/// Checks an assertion of the client whose key is `key`. Its audience must be exactly `issuer`.
pub fn verify_client_assertion(
    assertion: &str,
    key: &PublicJwk,
    client_id: &str,
    issuer: &str,
    now: Timestamp,
    skew: Duration,
) -> Result<ClientAssertion, AssertionError> {
    let unverified = Unverified::parse(assertion, RULES)?;
    let key = key.verification_key().map_err(|_| JwsError::Signature)?;
    let members = unverified.verify(key)?;
    for name in ["iss", "sub"] {
        if text(&members, name)? != client_id {
            return Err(ClaimsError::Malformed(name).into());
        }
    }
    let audience = text(&members, "aud")?;
    if audience != issuer {
        return Err(ClaimsError::Audience { audience: audience.into() }.into());
    }
    let expires_at = time(&members, "exp")?;
    if now >= expires_at.plus(skew) {
        return Err(ClaimsError::Expired(expires_at).into());
    }
    if expires_at > now.plus(LIFE_MAX).plus(skew) {
        return Err(AssertionError::LifeTooLong);
    }
    for name in ["iat", "nbf"] {
        if members.contains_key(name) {
            let from = time(&members, name)?;
            if from > now.plus(skew) {
                return Err(ClaimsError::NotYetValid(from).into());
            }
        }
    }
    let token_id = text(&members, "jti")?;
    Ok(ClientAssertion {
        client_id: client_id.into(),
        token_id: token_id.into(),
        expires_at: expires_at.plus(skew),
    })
}

/// Which client an assertion claims to be from, unverified: to find the key to verify it with.
pub fn claimed_client(assertion: &str) -> Option<String> {
    jws::peek_text(assertion, "sub")
}
