//! ID tokens (OpenID Connect Core section 2): who logged in, for the client that asked.

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_auth_core::{SessionId, UserGrant};
use lombard_token::{Algorithm, ID_TOKEN_TYPE, KeyError};
use lombard_types::Timestamp;
use serde_json::{Value, json};

use crate::{service::Api, signing_keys};

/// The ID token that goes with an access token of a grant.
pub(super) fn id_token(
    api: &Api,
    (grant, algorithm): (&UserGrant, Algorithm),
    access_token: &str,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<String, KeyError> {
    let mut claims = json!({
        "iss": &*api.issuer,
        "sub": grant.user.subject(),
        "aud": grant.client.as_str(),
        "iat": now.unix_seconds(),
        "exp": now.plus(api.config.access_token_life()).unix_seconds(),
        "auth_time": grant.authenticated_at.unix_seconds(),
        "acr": grant.acr.name(),
        "amr": grant.acr.methods(),
        "sid": grant.session.to_string(),
        "at_hash": left_half(access_token, algorithm),
    });
    if let (Some(nonce), Value::Object(members)) = (nonce, &mut claims) {
        members.insert("nonce".to_owned(), nonce.into());
    }
    api.keyring.active(algorithm)?.sign(ID_TOKEN_TYPE, claims.to_string().as_bytes())
}

/// Section 3.1.3.6: with the hash of the ID token's algorithm, which for Ed25519 is SHA-512 (RFC 8032 section 5.1).
fn left_half(access_token: &str, algorithm: Algorithm) -> String {
    let hash = match algorithm {
        Algorithm::Es256 | Algorithm::Ps256 => &digest::SHA256,
        Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(hash, access_token.as_bytes());
    let (half, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(half)
}

/// What a client says about a session by an ID token of it.
pub(super) struct Hint {
    pub(super) client_id: String,
    pub(super) session: Option<SessionId>,
}

/// Reads an ID token that this server made, whether or not it has expired (RP-Initiated Logout section 4), for as long as
/// its key is published.
pub(super) fn read_hint(api: &Api, token: &str) -> Option<Hint> {
    let keys = api.view.read(signing_keys::published).keys;
    let mut claims =
        keys.iter().filter_map(|key| lombard_token::verify_own_id_token(token, key).ok());
    let claims = claims.next()?;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(&*api.issuer) || text("at_hash").is_none() {
        return None;
    }
    let session = text("sid").and_then(|sid| sid.parse().ok());
    Some(Hint { client_id: text("aud")?.to_owned(), session })
}
