//! Verifying the tokens of a service's callers.

use std::{fmt, sync::Arc, time::Duration};

use lombard_token::{Jwks, KeySource, KeySourceError};

use crate::Error;

pub use lombard_token::Claims;

/// Keys are fetched again this often, so that rotated ones are known before they are used.
const REFRESH_EVERY: Duration = Duration::from_secs(60);

/// Verifies access tokens that were issued for one service. Cheap to clone.
#[derive(Clone)]
pub struct Verifier {
    inner: lombard_token::Verifier,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

/// The caller may not do this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No token, or not one for this service: answer 401.
    #[error("{0}")]
    Unauthenticated(String),
    /// A good token without the scope: answer 403.
    #[error("the token does not carry the scope {scope}")]
    InsufficientScope {
        /// What it would take.
        scope: String,
    },
}

impl Verifier {
    pub(crate) async fn connect(
        client: reqwest::Client,
        issuer: &str,
        jwks_uri: &str,
        audience: String,
    ) -> Result<Self, Error> {
        let keys = Arc::new(HttpKeys { client, jwks_uri: jwks_uri.to_owned() });
        let inner = lombard_token::Verifier::new(issuer, audience, keys);
        inner.refresh().await.map_err(|error| Error::Unexpected {
            url: jwks_uri.to_owned(),
            what: error.to_string(),
        })?;
        let weak = inner.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(REFRESH_EVERY).await;
                if let Err(error) = weak.refresh().await {
                    tracing::warn!(%error, "failed to refresh the keys that tokens are verified with");
                }
            }
        });
        Ok(Self { inner })
    }

    /// Checks an `Authorization` header's token and that it carries `family:operation`, such as `payments:write`.
    pub async fn authorize(
        &self,
        authorization: Option<&str>,
        family: &str,
        operation: &str,
    ) -> Result<Arc<Claims>, Unauthorized> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| Unauthorized::Unauthenticated("no bearer token".to_owned()))?;
        let claims = self
            .inner
            .verify_or_refresh(token)
            .await
            .map_err(|error| Unauthorized::Unauthenticated(error.to_string()))?;
        if claims.scope.permits(family, operation, None) {
            Ok(claims)
        } else {
            Err(Unauthorized::InsufficientScope { scope: format!("{family}:{operation}") })
        }
    }
}

struct HttpKeys {
    client: reqwest::Client,
    jwks_uri: String,
}

impl KeySource for HttpKeys {
    fn fetch(&self) -> futures_util::future::BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async {
            let failed = |error: reqwest::Error| KeySourceError(error.without_url().to_string());
            let request = self.client.get(&self.jwks_uri).timeout(Duration::from_secs(5));
            let response = request
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
                .map_err(failed)?;
            let bytes = response.bytes().await.map_err(failed)?;
            Jwks::parse(&bytes).map_err(|error| KeySourceError(error.to_string()))
        })
    }
}
