//! Access tokens by `client_credentials`: one for each resource, kept until shortly before they expire.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use lombard_types::Timestamp;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::{
    Authentication, Credentials, Error, Exchange, Problem, credentials::Proof, http::Observer,
};

/// A token is not used any more this long before it expires.
const MARGIN: Duration = Duration::from_secs(20);
/// How long one request for a token may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two requests when the authorization server is away.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a token is asked for when it is not said otherwise.
const DEADLINE: Duration = Duration::from_secs(30);

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
    deadline: Duration,
    observer: Option<Observer>,
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
        Self {
            client,
            credentials,
            issuer,
            token_endpoint,
            deadline: DEADLINE,
            observer: None,
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    /// The same, which asks until `deadline` and shows its requests to `observer`.
    pub(crate) fn with(mut self, deadline: Duration, observer: Option<Observer>) -> Self {
        self.deadline = deadline;
        self.observer = observer;
        self
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

    /// Asks until there is an answer: asking again for a token does no harm.
    async fn fetch(&self, resource: &str) -> Result<AccessToken, Error> {
        let started = Instant::now();
        loop {
            let error = match self.fetch_once(resource).await {
                Err(error) if is_temporary(&error) => error,
                result => return result,
            };
            if started.elapsed() + PAUSE >= self.deadline {
                return Err(error);
            }
            tracing::debug!(%error, "asking for a token again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn fetch_once(&self, resource: &str) -> Result<AccessToken, Error> {
        let started = Instant::now();
        let client_id = self.credentials.client_id.as_str();
        let mut form = vec![("grant_type", "client_credentials"), ("resource", resource)];
        let assertion;
        let mut request = self.client.post(&self.token_endpoint).timeout(TRY_TIMEOUT);
        let authentication = match &self.credentials.proof {
            Proof::Secret(secret) => {
                // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
                request = request.basic_auth(form_encode(client_id), Some(form_encode(secret)));
                Authentication::ClientSecret
            }
            Proof::Key(key) => {
                let now = Timestamp::from_system_time(SystemTime::now());
                let jti = uuid::Uuid::new_v4().to_string();
                assertion =
                    lombard_token::client_assertion(key, client_id, &self.issuer, &jti, now)
                        .map_err(|error| Error::Invalid(error.to_string()))?;
                form.push(("client_assertion_type", lombard_token::CLIENT_ASSERTION_TYPE));
                form.push(("client_assertion", &assertion));
                Authentication::ClientAssertion
            }
        };
        let result = self.send(request.form(&form)).await;
        if let Some(observer) = &self.observer {
            let shown = form.iter().filter(|(name, _)| *name != "client_assertion");
            observer(&Exchange {
                method: reqwest::Method::POST,
                url: self.token_endpoint.clone(),
                headers: Vec::new(),
                authentication,
                body: None,
                form: shown.map(|(name, value)| (*name, (*value).to_owned())).collect(),
                outcome: match &result {
                    Ok((status, body)) => Ok((*status, String::from_utf8_lossy(body).into_owned())),
                    Err(error) => Err(error.to_string()),
                },
                try_number: 1,
                duration: started.elapsed(),
            });
        }
        let (status, body) = result?;
        self.understand(status, &body, started)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(StatusCode, Vec<u8>), Error> {
        let failed = |source: reqwest::Error| Error::NotSent {
            url: self.token_endpoint.clone(),
            source: source.without_url(),
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.bytes().await.map_err(failed)?.to_vec()))
    }

    fn understand(
        &self,
        status: StatusCode,
        body: &[u8],
        asked_at: Instant,
    ) -> Result<AccessToken, Error> {
        let url = || self.token_endpoint.clone();
        if status.is_success() {
            let answer: TokenAnswer = serde_json::from_slice(body)
                .map_err(|error| Error::Unexpected { url: url(), what: error.to_string() })?;
            let life = Duration::from_secs(answer.expires_in).saturating_sub(MARGIN);
            return Ok(AccessToken {
                secret: answer.access_token.into(),
                usable_until: asked_at + life,
            });
        }
        if let Ok(TokenError { error, error_description }) = serde_json::from_slice(body) {
            let client_id = self.credentials.client_id.clone();
            return Err(Error::TokenRefused { client_id, error, description: error_description });
        }
        // Not the authorization server's own words: the gateway says that it is away.
        match serde_json::from_slice::<Problem>(body) {
            Ok(mut problem) => {
                problem.status = status.as_u16();
                Err(Error::Refused(Box::new(problem)))
            }
            Err(error) => Err(Error::Unexpected { url: url(), what: error.to_string() }),
        }
    }
}

/// Whether asking again may help.
fn is_temporary(error: &Error) -> bool {
    match error {
        Error::NotSent { .. } | Error::OutcomeUnknown { .. } => true,
        Error::Refused(problem) => matches!(problem.status, 429 | 502..=504),
        Error::TokenRefused { error, .. } => error == "temporarily_unavailable",
        Error::Unexpected { .. } | Error::Invalid(_) => false,
    }
}

fn form_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
