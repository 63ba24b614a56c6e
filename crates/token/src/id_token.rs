//! ID tokens (OpenID Connect Core section 2), as they come back to who made them.

use serde_json::{Map, Value};

use crate::{
    JwsError, PublicJwk,
    jws::{HeaderRules, KeyRule, Unverified},
};

/// The `typ` of ID tokens: whoever takes access tokens takes none of these.
pub const ID_TOKEN_TYPE: &str = "JWT";
const RULES: HeaderRules =
    HeaderRules { types: &[ID_TOKEN_TYPE], may_omit_type: false, key: KeyRule::Kid };

/// The claims of an ID token that `key` has signed. Whether it has expired is not looked at: as a hint it says whose it was,
/// and permits nothing.
pub fn verify_own_id_token(token: &str, key: &PublicJwk) -> Result<Map<String, Value>, JwsError> {
    let unverified = Unverified::parse(token, RULES)?;
    if unverified.header.kid.as_deref() != Some(key.kid()) {
        return Err(JwsError::KeyId);
    }
    unverified.verify(key.verification_key().map_err(|_| JwsError::Signature)?)
}
