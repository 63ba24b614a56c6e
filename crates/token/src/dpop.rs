//! Proofs of possession (RFC 9449): whoever uses a bound token shows that it has the key that the token names.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use lombard_types::Timestamp;
use serde_json::json;

use crate::{
    ClaimsError, JwsError, KeyError, SigningKey,
    claims::{text, time},
    jws::{HeaderRules, KeyRule, Unverified},
};

/// The `typ` of proofs.
const TYPE: &str = "dpop+jwt";
const RULES: HeaderRules =
    HeaderRules { types: &[TYPE], may_omit_type: false, key: KeyRule::Embedded };
/// How old a proof may be. Whoever accepts one remembers it for this long and the skew.
const LIFE: Duration = Duration::from_secs(60);
/// Longest `jti`, in bytes.
const TOKEN_ID_BYTES_MAX: usize = 256;

/// What a proof must be about.
#[derive(Clone, Copy, Debug)]
pub struct DpopRequest<'a> {
    /// The method of the request, such as `POST`.
    pub method: &'a str,
    /// The URL of the request as the client knows it, without query and fragment.
    pub url: &'a str,
    /// The access token that comes with it; none at the token endpoint.
    pub access_token: Option<&'a str>,
}

/// A verified proof. It must be used once only: whoever accepts it keeps `key_thumbprint` and `token_id` until
/// `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// The thumbprint of its key (RFC 7638): what a bound token has in `cnf.jkt`.
    pub key_thumbprint: Box<str>,
    /// The proof's own id.
    pub token_id: Box<str>,
    /// The nonce that a server gave, where there is one.
    pub nonce: Option<Box<str>>,
    /// Until when it could be replayed.
    pub expires_at: Timestamp,
}

/// Why a proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DpopError {
    /// Its form, its key or its signature is bad.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// A claim is bad.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
    /// Made for another method.
    #[error("it is for another method")]
    Method,
    /// Made for another URL.
    #[error("it is for another URL")]
    Url,
    /// Made for another access token, or for none.
    #[error("it is for another access token")]
    AccessToken,
}

/// A proof of `key` for a request.
pub fn dpop_proof(
    key: &SigningKey,
    request: DpopRequest<'_>,
    token_id: &str,
    now: Timestamp,
) -> Result<String, KeyError> {
    dpop_proof_with_nonce(key, request, None, token_id, now)
}

/// The same with the nonce that the server gave in `DPoP-Nonce` (RFC 9449 section 8).
pub fn dpop_proof_with_nonce(
    key: &SigningKey,
    request: DpopRequest<'_>,
    nonce: Option<&str>,
    token_id: &str,
    now: Timestamp,
) -> Result<String, KeyError> {
    let mut claims = json!({
        "jti": token_id, "htm": request.method, "htu": request.url, "iat": now.unix_seconds(),
    });
    if let Some(members) = claims.as_object_mut() {
        let hash = request.access_token.map(access_token_hash);
        members.extend(hash.map(|hash| ("ath".to_owned(), hash.into())));
        members.extend(nonce.map(|nonce| ("nonce".to_owned(), nonce.into())));
    }
    let public = key.public_jwk();
    let mut jwk = public.required_members();
    if let Some(members) = jwk.as_object_mut() {
        members.insert("alg".to_owned(), public.algorithm().name().into());
    }
    let header = json!({ "typ": TYPE, "alg": public.algorithm().name(), "jwk": jwk });
    key.sign_with_header(&header.to_string(), claims.to_string().as_bytes())
}

/// Checks a proof (RFC 9449 section 4.3). Nonces and replay are the caller's to check, which keeps them.
pub fn verify_dpop_proof(
    proof: &str,
    request: DpopRequest<'_>,
    now: Timestamp,
    skew: Duration,
) -> Result<DpopProof, DpopError> {
    let unverified = Unverified::parse(proof, RULES)?;
    let jwk = unverified.header.jwk.clone().ok_or(JwsError::EmbeddedKey)?;
    let key = jwk.verification_key().map_err(|_| JwsError::EmbeddedKey)?;
    let claims = unverified.verify(key)?;
    let token_id = text(&claims, "jti")?;
    if token_id.len() > TOKEN_ID_BYTES_MAX {
        return Err(ClaimsError::Malformed("jti").into());
    }
    if text(&claims, "htm")? != request.method {
        return Err(DpopError::Method);
    }
    if !is_same_url(text(&claims, "htu")?, request.url) {
        return Err(DpopError::Url);
    }
    let issued_at = time(&claims, "iat")?;
    if issued_at > now.plus(skew) {
        return Err(ClaimsError::NotYetValid(issued_at).into());
    }
    let expires_at = issued_at.plus(LIFE).plus(skew);
    if now >= expires_at {
        return Err(ClaimsError::Expired(issued_at.plus(LIFE)).into());
    }
    match request.access_token {
        None => {}
        Some(token) if text(&claims, "ath")? == access_token_hash(token) => {}
        Some(_) => return Err(DpopError::AccessToken),
    }
    let nonce = match claims.get("nonce") {
        None => None,
        Some(_) => Some(text(&claims, "nonce")?.into()),
    };
    let key_thumbprint = jwk.thumbprint().into();
    Ok(DpopProof { key_thumbprint, token_id: token_id.into(), nonce, expires_at })
}

fn access_token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

/// Query and fragment of what the client says do not count. The rest is compared as it stands but for the case of scheme
/// and host (RFC 9449 section 4.3, RFC 3986 section 6.2.2.1); a default port that only one of both says is a difference.
fn is_same_url(claimed: &str, wanted: &str) -> bool {
    let end = claimed.find(['?', '#']).unwrap_or(claimed.len());
    let (claimed, _) = claimed.split_at(end);
    let parts = |url: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let path = if path.is_empty() { "/" } else { path };
        Some((scheme.to_ascii_lowercase(), host.to_ascii_lowercase(), path.to_owned()))
    };
    parts(claimed).is_some_and(|claimed| parts(wanted) == Some(claimed))
}
