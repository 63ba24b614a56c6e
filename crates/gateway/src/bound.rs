//! Tokens that are bound: to a key, which is proved anew with each request (RFC 9449), or to a certificate, which was shown when
//! the connection was made (RFC 8705). Here is only which URL a proof must be for, and whose certificate it is; the rest is the
//! verifier's.

use http::{HeaderMap, Method, Uri, header};
use lombard_chassis::{
    Problem,
    authenticate::{bearer_token, refusal},
    extract::single_header,
};
use lombard_token::{Claims, DpopRequest, Presented};

use crate::{handle::Peer, keys::Verifiers};

/// Checks what comes with a bound token; a token that is not bound needs none.
pub(crate) fn check(
    verifiers: &Verifiers,
    claims: &Claims,
    peer: &Peer,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<(), Problem> {
    if claims.confirmation.is_none() {
        return Ok(());
    }
    let url = url(peer, verifiers.issuer(), uri, headers);
    let access_token = Some(bearer_token(headers)?);
    let request = DpopRequest { method: method.as_str(), url: &url, access_token };
    let certificate_sha256 = peer.certificate.as_ref();
    let presented = Presented { proof: single_header(headers, "dpop")?, certificate_sha256 };
    verifiers.check_proof(claims, presented, request).map_err(|error| refusal(&error))
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
