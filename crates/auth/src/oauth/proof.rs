//! Proofs of possession at the server's own endpoints (RFC 9449 sections 5 and 10): what is issued is bound to their key.

use axum::http::HeaderMap;
use lombard_token::{DpopError, DpopRequest, verify_dpop_proof};
use lombard_types::Timestamp;

use super::error::{Code, OAuthError};
use crate::{replay::Use, service::Api};

/// The thumbprint of the key that the request proves, where it proves one. `path` is that of the endpoint.
pub(super) fn proved_key(
    api: &Api,
    headers: &HeaderMap,
    path: &str,
    now: Timestamp,
) -> Result<Option<Box<str>>, OAuthError> {
    let mut proofs = headers.get_all("dpop").iter();
    let Some(proof) = proofs.next() else { return Ok(None) };
    let refused = |cause: String| OAuthError::new(Code::InvalidDpopProof, cause);
    let proof = proof.to_str().ok().filter(|_| proofs.next().is_none());
    let proof = proof.ok_or_else(|| refused("one DPoP header, in ASCII".to_owned()))?;
    let verify = |base: &str| {
        let url = format!("{base}{path}");
        let request = DpopRequest { method: "POST", url: &url, access_token: None };
        verify_dpop_proof(proof, request, now, api.config.clock_skew())
    };
    // The endpoint has another URL where certificates are shown (RFC 8705 section 5).
    let verified = match (verify(&api.issuer), &api.config.mtls.url) {
        (Err(DpopError::Url), Some(alias)) => verify(alias),
        (verified, _) => verified,
    };
    let proof = verified.map_err(|error| refused(format!("the proof is not accepted: {error}")))?;
    if let Some(nonces) = &api.dpop_nonces
        && !proof.nonce.as_deref().is_some_and(|nonce| nonces.is_good(nonce, now))
    {
        let cause = "the proof has no nonce of this server, or an old one";
        let dpop_nonce = Some(nonces.fresh(now));
        return Err(OAuthError { dpop_nonce, ..OAuthError::new(Code::UseDpopNonce, cause) });
    }
    let spent = api.used_assertions.spend(
        // No client has an id with a space in it: assertions and proofs are not confused.
        &format!("dpop {}", proof.key_thumbprint),
        &proof.token_id,
        proof.expires_at,
        now,
    );
    match spent {
        Use::First => Ok(Some(proof.key_thumbprint)),
        Use::Replay => Err(refused("the proof was used before".to_owned())),
        Use::Full => Err(OAuthError::new(Code::TemporarilyUnavailable, "too many proofs at once")),
    }
}
