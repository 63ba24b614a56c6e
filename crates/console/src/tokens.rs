//! Access tokens for the browser's client: one for each resource, kept until shortly before they expire.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use crate::{
    credentials::Credentials,
    read::{Http, Unreadable},
};

/// A token is not used any more this long before it expires.
const MARGIN: Duration = Duration::from_secs(20);

/// What the console reads from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    Ledger,
    Registry,
    EventStore,
}

impl Resource {
    /// Where the gateway serves it.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Ledger => "/v1/ledger",
            Self::Registry => "/v1/registry",
            Self::EventStore => "/v1/eventstore",
        }
    }

    /// All that the console needs there.
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Ledger => "ledger:read",
            Self::Registry => "registry:read",
            Self::EventStore => "events:read",
        }
    }

    /// In a sentence.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "the ledger",
            Self::Registry => "the registry",
            Self::EventStore => "the event store",
        }
    }
}

/// An access token. Never shown by `Debug`.
#[derive(Clone)]
pub(crate) struct AccessToken(Arc<str>);

impl AccessToken {
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    /// The client's id or secret is wrong.
    #[error("the client's id or secret is wrong")]
    WrongCredentials,
    /// The credentials may be right, but there is no token.
    #[error("there is no token")]
    NoToken(Unreadable),
}

/// By a digest of the credentials: whoever can read this memory must not find secrets.
type Key = ([u8; 32], Resource);

/// Gets and keeps tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    http: Http,
    issuer: String,
    tokens_max: usize,
    kept: Mutex<HashMap<Key, Kept>>,
}

#[derive(Debug)]
struct Kept {
    token: AccessToken,
    usable_until: Instant,
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What the token endpoint said.
enum Asked {
    Issued(Issued),
    InvalidScope,
    WrongCredentials,
}

const AUTHORIZATION_SERVER: &str = "the authorization server";

impl Tokens {
    pub(crate) fn new(http: Http, issuer: String, tokens_max: usize) -> Self {
        Self { http, issuer, tokens_max, kept: Mutex::default() }
    }

    /// A token that permits what the console needs of a resource; where the client may not have that, one that permits
    /// what the client may have there.
    pub(crate) async fn get(
        &self,
        credentials: &Credentials,
        resource: Resource,
    ) -> Result<AccessToken, TokenError> {
        let key = (credentials.digest(), resource);
        let now = Instant::now();
        let kept = self.kept.lock().get(&key).map(|kept| (kept.token.clone(), kept.usable_until));
        if let Some((token, _)) = kept.filter(|(_, usable_until)| *usable_until > now) {
            return Ok(token);
        }
        let mut asked = self.ask(credentials, resource, Some(resource.scope())).await?;
        if let Asked::InvalidScope = asked {
            asked = self.ask(credentials, resource, None).await?;
        }
        let issued = match asked {
            Asked::Issued(issued) => issued,
            Asked::WrongCredentials => return Err(TokenError::WrongCredentials),
            Asked::InvalidScope => return Err(TokenError::NoToken(Unreadable::NoScope(resource))),
        };
        let life = Duration::from_secs(issued.expires_in.min(MAX_LIFE_SECONDS));
        let token = AccessToken(issued.access_token.into());
        self.keep(key, &token, now + life.saturating_sub(MARGIN));
        Ok(token)
    }

    /// Forgets a token, because it was refused.
    pub(crate) fn forget(&self, credentials: &Credentials, resource: Resource) {
        self.kept.lock().remove(&(credentials.digest(), resource));
    }

    fn keep(&self, key: Key, token: &AccessToken, usable_until: Instant) {
        let mut kept = self.kept.lock();
        if kept.len() >= self.tokens_max {
            let now = Instant::now();
            kept.retain(|_, kept| kept.usable_until > now);
        }
        if kept.len() >= self.tokens_max {
            let first = kept.iter().min_by_key(|(_, kept)| kept.usable_until).map(|(key, _)| *key);
            first.map(|first| kept.remove(&first));
        }
        kept.insert(key, Kept { token: token.clone(), usable_until });
    }

    /// The client credentials grant (RFC 6749 section 4.4) for one resource (RFC 8707).
    async fn ask(
        &self,
        credentials: &Credentials,
        resource: Resource,
        scope: Option<&str>,
    ) -> Result<Asked, TokenError> {
        let target = format!("{}{}", self.issuer, resource.prefix());
        let mut form = vec![("grant_type", "client_credentials"), ("resource", target.as_str())];
        form.extend(scope.map(|scope| ("scope", scope)));
        // RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let request = self
            .http
            .post(&format!("{}/oauth/token", self.issuer))
            .basic_auth(encode(&credentials.client_id), Some(encode(&credentials.secret)))
            .form(&form);
        let answer =
            self.http.send(AUTHORIZATION_SERVER, request).await.map_err(TokenError::NoToken)?;
        match answer.status.as_u16() {
            200 => answer.json().map(Asked::Issued).map_err(TokenError::NoToken),
            401 => Ok(Asked::WrongCredentials),
            400 => match answer.json::<Refusal>() {
                Ok(refusal) if refusal.error == "invalid_scope" => Ok(Asked::InvalidScope),
                _ => Err(TokenError::NoToken(answer.refused())),
            },
            _ => Err(TokenError::NoToken(answer.refused())),
        }
    }
}

/// A day: no token is used for longer, whatever its issuer says.
const MAX_LIFE_SECONDS: u64 = 24 * 60 * 60;
