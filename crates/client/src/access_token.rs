//! Access tokens by `client_credentials`: one for each resource, kept until shortly before they expire.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lombard_types::Timestamp;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{Credentials, Error, credentials::Proof};

/// A token is not used any more this long before it expires.
const MARGIN: Duration = Duration::from_secs(20);

/// An access token. Never shown by `Debug`.
#[derive(Clone)]
pub struct AccessToken {
    secret: Arc<str>,
    usable_until: Instant,
}

impl AccessToken {
    /// The token itself: handle like a password.
    pub fn secret(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct TokenError {
    error: String,
    error_description: Option<String>,
}

/// Gets tokens from an authorization server and keeps them, for programs that speak to the platform in another way than
/// through [`crate::Platform`].
pub struct AccessTokens {
    client: reqwest::Client,
    pub(crate) credentials: Credentials,
    issuer: String,
    token_endpoint: String,
    /// By resource. The lock is held while a token is fetched, so that one fetch serves all who wait.
    kept: Mutex<BTreeMap<String, AccessToken>>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens")
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// Tokens of the client `credentials` from the authorization server `issuer`, whose token endpoint is at
    /// `token_endpoint`.
    pub fn new(
        client: reqwest::Client,
        credentials: Credentials,
        issuer: String,
        token_endpoint: String,
    ) -> Self {
        Self { client, credentials, issuer, token_endpoint, kept: Mutex::new(BTreeMap::new()) }
    }

    /// A token for `resource`: the URL under which the gateway serves it.
    pub async fn for_resource(&self, resource: &str) -> Result<AccessToken, Error> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = kept.get(resource).filter(|token| token.usable_until > Instant::now())
        {
            return Ok(token.clone());
        }
        let token = self.fetch(resource).await?;
        kept.insert(resource.to_owned(), token.clone());
        Ok(token)
    }

    /// Forgets the token for `resource`, because it was refused.
    pub async fn forget(&self, resource: &str) {
        self.kept.lock().await.remove(resource);
    }

    async fn fetch(&self, resource: &str) -> Result<AccessToken, Error> {
        let started = Instant::now();
        let client_id = self.credentials.client_id.as_str();
        let mut form = vec![("grant_type", "client_credentials"), ("resource", resource)];
        let assertion;
        let mut request = self.client.post(&self.token_endpoint).timeout(Duration::from_secs(10));
        match &self.credentials.proof {
            Proof::Secret(secret) => {
                // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
                request = request.basic_auth(form_encode(client_id), Some(form_encode(secret)));
            }
            Proof::Key(key) => {
                let now = Timestamp::from_system_time(SystemTime::now());
                let jti = uuid::Uuid::new_v4().to_string();
                assertion =
                    lombard_token::client_assertion(key, client_id, &self.issuer, &jti, now)
                        .map_err(|error| Error::Invalid(error.to_string()))?;
                form.push(("client_assertion_type", lombard_token::CLIENT_ASSERTION_TYPE));
                form.push(("client_assertion", &assertion));
            }
        }
        let url = || self.token_endpoint.clone();
        let response = request
            .form(&form)
            .send()
            .await
            .map_err(|source| Error::NotSent { url: url(), source: source.without_url() })?;
        let is_success = response.status().is_success();
        let body = response
            .bytes()
            .await
            .map_err(|source| Error::NotSent { url: url(), source: source.without_url() })?;
        let unexpected =
            |error: serde_json::Error| Error::Unexpected { url: url(), what: error.to_string() };
        if !is_success {
            let TokenError { error, error_description } =
                serde_json::from_slice(&body).map_err(unexpected)?;
            return Err(Error::TokenRefused {
                client_id: client_id.to_owned(),
                error,
                description: error_description,
            });
        }
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(unexpected)?;
        let life = Duration::from_secs(answer.expires_in).saturating_sub(MARGIN);
        Ok(AccessToken { secret: answer.access_token.into(), usable_until: started + life })
    }
}

fn form_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
