//! Tokens that are bound to a key (RFC 9449): whoever uses one proves to have the key, anew for each request.

use std::{
    hash::{BuildHasher, RandomState},
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, Method, Uri, header};
use lombard_chassis::{Problem, authenticate::bearer_token, problems};
use lombard_token::{Claims, DpopRequest, verify_dpop_proof};
use lombard_types::Timestamp;
use parking_lot::Mutex;

use crate::handle::Peer;

const DPOP: HeaderName = HeaderName::from_static("dpop");
/// How far the client's clock and ours may differ.
const SKEW: Duration = Duration::from_secs(30);
/// Proofs that are remembered until nobody could use them again. Where there are more, the next ones are refused.
const PROOFS_MAX: usize = 200_000;

/// Proofs that were used, each until it expires.
#[derive(Debug, Default)]
pub(crate) struct UsedProofs {
    hasher: RandomState,
    used: Mutex<std::collections::HashMap<u64, Timestamp>>,
}

impl UsedProofs {
    /// Whether a proof is used for the first time.
    fn take(
        &self,
        key: &str,
        id: &str,
        expires_at: Timestamp,
        now: Timestamp,
        count_max: usize,
    ) -> bool {
        let proof = self.hasher.hash_one((key, id));
        let mut used = self.used.lock();
        if used.len() >= count_max {
            used.retain(|_, until| *until > now);
        }
        if used.len() >= count_max {
            return false;
        }
        used.insert(proof, expires_at).is_none()
    }
}

/// Checks the proof that comes with a bound token; a token that is not bound needs none.
pub(crate) fn check(
    used: &UsedProofs,
    claims: &Claims,
    peer: &Peer,
    issuer: &str,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<(), Problem> {
    let Some(thumbprint) = &claims.key_thumbprint else { return Ok(()) };
    let mut proofs = headers.get_all(DPOP).iter();
    let proof = proofs.next().filter(|_| proofs.next().is_none());
    let proof = proof.and_then(|proof| proof.to_str().ok());
    let proof =
        proof.ok_or_else(|| refused("the token is bound to a key: send one DPoP header"))?;
    let url = url(peer, issuer, uri, headers);
    let request = DpopRequest {
        method: method.as_str(),
        url: &url,
        access_token: Some(bearer_token(headers)?),
    };
    let now = Timestamp::from_system_time(SystemTime::now());
    let proof = verify_dpop_proof(proof, request, now, SKEW)
        .map_err(|error| refused(format!("the DPoP proof is not accepted: {error}")))?;
    if proof.key_thumbprint != *thumbprint {
        return Err(refused("the DPoP proof is of another key than the token"));
    }
    if !used.take(&proof.key_thumbprint, &proof.token_id, proof.expires_at, now, PROOFS_MAX) {
        return Err(refused("the DPoP proof was used before"));
    }
    Ok(())
}

/// The URL as the client knows it: the platform's public one where it names that host, since TLS may end before the gateway.
fn url(peer: &Peer, issuer: &str, uri: &Uri, headers: &HeaderMap) -> String {
    let named = uri.authority().map(http::uri::Authority::as_str);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(named);
    let host = host.unwrap_or_default();
    let public = issuer.split_once("://").map_or("", |(_, rest)| rest);
    if host.eq_ignore_ascii_case(public) {
        return format!("{issuer}{}", uri.path());
    }
    let scheme = if peer.is_tls { "https" } else { "http" };
    format!("{scheme}://{host}{}", uri.path())
}

fn refused(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(&problems::UNAUTHENTICATED)
        .detail(detail)
        .www_authenticate("DPoP error=\"invalid_dpop_proof\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_used_once_and_memory_is_bounded() {
        let used = UsedProofs::default();
        let at = Timestamp::from_unix_seconds;
        let take = |id: &str, now| used.take("key", id, at(100), at(now), 2);
        assert!(take("a", 1) && !take("a", 1) && take("b", 1));
        assert!(!take("c", 1), "there is no room, and nothing is forgotten too early");
        assert!(take("c", 100));
    }
}
