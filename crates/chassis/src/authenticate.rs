//! Who calls: the access token of a request, verified, and what its scopes permit.

use std::{fmt, sync::Arc};

use axum::extract::{FromRequestParts, OriginalUri};
use http::{HeaderMap, Method, header, request::Parts};
use lombard_token::{Claims, DpopRequest, Presented, Verifier, VerifyError};

use crate::{ClientCertificate, Problem, extract::single_header, problems};

/// The verified claims of a request's token. An extractor: the router must carry a [`Verifier`] as an
/// `axum::Extension`. Without a good token the request ends with 401.
#[derive(Clone)]
pub struct Authenticated(pub Arc<Claims>);

impl fmt::Debug for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authenticated").field(&self.0.client_id).finish()
    }
}

impl Authenticated {
    /// The claims, if they permit `operation` of `family` (on `path`); else 403.
    pub fn require(
        &self,
        family: &str,
        operation: &str,
        path: Option<&str>,
    ) -> Result<&Claims, Problem> {
        if self.0.scope.permits(family, operation, path) {
            return Ok(&self.0);
        }
        Err(insufficient_scope(&required_scope(family, operation, path)))
    }

    /// The claims, if they permit `operation` of `family` on anything, whatever it is; else 403. Asked before anything of
    /// a request is looked at, so that a caller without any right learns nothing from it.
    pub fn require_somewhere(&self, family: &str, operation: &str) -> Result<&Claims, Problem> {
        let of = |scope: &str| {
            let rest = scope.strip_prefix(family)?.strip_prefix(':')?.strip_prefix(operation)?;
            Some(rest.is_empty() || rest.starts_with(':'))
        };
        let mut scopes = self.0.scope.iter();
        if scopes.any(|scope| scope.is_admin() || of(scope.as_str()) == Some(true)) {
            return Ok(&self.0);
        }
        Err(insufficient_scope(&required_scope(family, operation, None)))
    }

    /// Whether the claims permit `operation` of `family` on `path`.
    pub fn permits(&self, family: &str, operation: &str, path: &str) -> bool {
        self.0.scope.permits(family, operation, Some(path))
    }
}

/// The scope that permits an operation, as text.
pub fn required_scope(family: &str, operation: &str, path: Option<&str>) -> String {
    match path {
        Some(path) => format!("{family}:{operation}:{path}"),
        None => format!("{family}:{operation}"),
    }
}

/// A good token that does not carry `scope` (RFC 6750 section 3.1).
pub fn insufficient_scope(scope: &str) -> Problem {
    Problem::new(&problems::INSUFFICIENT_SCOPE)
        .detail(format!("this takes the scope {scope}"))
        .with("required_scope", scope)
        .www_authenticate(&format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\""))
}

/// No token, or one that is not accepted.
pub fn unauthenticated(
    detail: impl Into<std::borrow::Cow<'static, str>>,
    is_token_there: bool,
) -> Problem {
    let challenge = if is_token_there { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    Problem::new(&problems::UNAUTHENTICATED).detail(detail).www_authenticate(challenge)
}

/// The token of an `Authorization: Bearer` header (RFC 6750 section 2.1), or of `Authorization: DPoP`, as one that is bound to a
/// key is sent (RFC 9449 section 7.1): the proof beside it is the gateway's to check.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Problem> {
    let value = single_header(headers, header::AUTHORIZATION.as_str())?
        .ok_or_else(|| unauthenticated("send an access token: Authorization: Bearer ...", false))?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let is_known = ["bearer", "dpop"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !is_known || token.is_empty() {
        return Err(unauthenticated(
            "the Authorization header is not of the form: Bearer TOKEN",
            false,
        ));
    }
    Ok(token.trim())
}

/// Verifies the token of a request, and what comes with it where it is bound.
pub async fn authenticate_request(
    verifier: &Verifier,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    certificate: Option<&ClientCertificate>,
) -> Result<Arc<Claims>, Problem> {
    let claims = authenticate_unproved(verifier, headers).await?;
    prove_request(verifier, &claims, method, path, headers, certificate)?;
    Ok(claims)
}

/// Checks what comes with a request whose token says this, where the token is bound: the proof of a key (RFC 9449 section 7), or
/// the certificate (RFC 8705 section 3). The URL that a proof is for is the public one: clients know no other.
pub fn prove_request(
    verifier: &Verifier,
    claims: &Claims,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
    certificate: Option<&ClientCertificate>,
) -> Result<(), Problem> {
    if claims.confirmation.is_none() {
        return Ok(());
    }
    let url = format!("{}{path}", verifier.issuer());
    let access_token = Some(bearer_token(headers)?);
    let request = DpopRequest { method: method.as_str(), url: &url, access_token };
    let certificate_sha256 = certificate.map(|certificate| &certificate.sha256);
    let presented = Presented { proof: single_header(headers, "dpop")?, certificate_sha256 };
    verifier.check_proof(claims, presented, request).map_err(|error| refusal(&error))
}

/// Verifies a token that may be bound to a key, fetching new keys if its key is unknown: whoever acts on it checks the proof.
pub async fn authenticate_unproved(
    verifier: &Verifier,
    headers: &HeaderMap,
) -> Result<Arc<Claims>, Problem> {
    let token = bearer_token(headers)?;
    verifier.inspect_or_refresh(token).await.map_err(|error| refusal(&error))
}

/// Verifies the bearer's token of a request, fetching new keys if its key is unknown.
pub async fn authenticate(
    verifier: &Verifier,
    headers: &HeaderMap,
) -> Result<Arc<Claims>, Problem> {
    let token = bearer_token(headers)?;
    verifier.verify_or_refresh(token).await.map_err(|error| refusal(&error))
}

/// A token that was not accepted.
pub fn refusal(error: &VerifyError) -> Problem {
    if let VerifyError::RevocationsUnknown = error {
        return Problem::new(&problems::AUTH_AWAY)
            .detail("payments are refused while it cannot be told which tokens were revoked")
            .retry_after(std::time::Duration::from_secs(1));
    }
    if let VerifyError::NoKeys = error {
        return Problem::new(&problems::AUTH_AWAY)
            .detail("the keys of the authorization server could not be fetched yet")
            .retry_after(std::time::Duration::from_secs(1));
    }
    let problem = unauthenticated(format!("the access token is not accepted: {error}"), true);
    match error {
        VerifyError::ProofMissing => problem.www_authenticate("DPoP error=\"invalid_token\""),
        VerifyError::NonceNeeded { nonce } => {
            problem.www_authenticate("DPoP error=\"use_dpop_nonce\"").dpop_nonce(nonce)
        }
        VerifyError::Proof(_)
        | VerifyError::ProofOfOtherKey
        | VerifyError::ProofReplayed
        | VerifyError::TooManyProofs => {
            problem.www_authenticate("DPoP error=\"invalid_dpop_proof\"")
        }
        _ => problem,
    }
}

impl<S: Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(verifier) = parts.extensions.get::<Verifier>() else {
            tracing::error!("the router carries no token verifier");
            return Err(Problem::new(&problems::INTERNAL));
        };
        // Routers that are nested see less of the path than the client.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |OriginalUri(uri)| uri);
        let certificate = parts.extensions.get::<ClientCertificate>();
        let (method, headers) = (&parts.method, &parts.headers);
        let claims = authenticate_request(verifier, method, uri.path(), headers, certificate);
        claims.await.map(Self)
    }
}
