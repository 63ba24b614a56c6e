//! Fetches the authorization server's public keys, and keeps them fresh.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Limited};
use lombard_token::{Jwks, KeySource, KeySourceError, RevokedTokens, Verifier};
use tokio_util::sync::CancellationToken;

use crate::Health;

/// Longest key set that is read.
const JWKS_BYTES_MAX: usize = 64 << 10;
/// How long one fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the keys are fetched again, so that a new one is known before it is used.
const REFRESH_EVERY: Duration = Duration::from_secs(60);
/// How long to wait after a fetch that failed while there are no keys yet.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// The keys and revocations that an authorization server serves.
#[derive(Clone, Debug)]
pub struct HttpKeySource {
    client: reqwest::Client,
    server: String,
}

impl HttpKeySource {
    /// Those of the authorization server at this URL.
    pub fn new(server: impl Into<String>) -> Self {
        Self { client: reqwest::Client::new(), server: server.into() }
    }
}

impl KeySource for HttpKeySource {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async {
            let failed = |error: reqwest::Error| KeySourceError(error.without_url().to_string());
            let request =
                self.client.get(format!("{}/oauth/jwks", self.server)).timeout(FETCH_TIMEOUT);
            let response = request
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
                .map_err(failed)?;
            let body = Limited::new(reqwest::Body::from(response), JWKS_BYTES_MAX);
            let bytes =
                body.collect().await.map_err(|error| KeySourceError(error.to_string()))?.to_bytes();
            Jwks::parse(&bytes).map_err(|error| KeySourceError(error.to_string()))
        })
    }

    fn follow_revocations(&self, revoked: Arc<RevokedTokens>) -> BoxFuture<'_, ()> {
        Box::pin(crate::revocations::follow(&self.client, &self.server, revoked))
    }
}

/// A verifier of tokens that `issuer` made for `audience`, whose keys are kept fresh until `drain`, and which hears what
/// the authorization server at `server` takes back.
///
/// Health shows an obstacle until the keys have been fetched once. When the issuer goes away later, the keys that are
/// known keep working.
pub fn verifier(
    issuer: &str,
    audience: String,
    server: impl Into<String>,
    health: &Health,
    drain: CancellationToken,
) -> Verifier {
    let source = Arc::new(HttpKeySource::new(server));
    let verifier = Verifier::new(issuer, audience, Arc::clone(&source) as _);
    let (revoked, hearing) = (Arc::clone(verifier.revoked()), drain.clone());
    tokio::spawn(async move {
        hearing.run_until_cancelled(source.follow_revocations(revoked)).await;
    });
    let (keeping, health) = (verifier.clone(), health.clone());
    health.obstacle("keys", "the authorization server's keys are not fetched yet");
    tokio::spawn(async move {
        let mut is_known = false;
        loop {
            match keeping.refresh().await {
                Ok(()) => {
                    is_known = true;
                    health.clear("keys");
                }
                Err(error) if is_known => {
                    tracing::warn!(%error, "failed to refresh the keys of the authorization server")
                }
                Err(error) => {
                    tracing::debug!(%error, "waiting for the authorization server's keys")
                }
            }
            let pause = if is_known { REFRESH_EVERY } else { RETRY_EVERY };
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    verifier
}
