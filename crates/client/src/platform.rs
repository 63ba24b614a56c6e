//! The way in: one platform, reached through its gateway.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    AccessToken, Call, Credentials, Error, EventStore, Exchange, Ledger, Received, Registry,
    Verifier,
    access_token::AccessTokens,
    http::{self, Http, Observer},
};

/// A platform as seen by one OAuth client. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    issuer: String,
    jwks_uri: String,
    tokens: AccessTokens,
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform")
            .field("issuer", &self.inner.issuer)
            .field("credentials", &self.inner.tokens.credentials)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Platform`].
pub struct PlatformBuilder {
    gateway: String,
    credentials: Credentials,
    deadline: Duration,
    observer: Option<Observer>,
}

impl fmt::Debug for PlatformBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformBuilder").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// What is read of the authorization server's metadata (RFC 8414).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    token_endpoint: String,
    jwks_uri: String,
}

impl PlatformBuilder {
    /// How long a call may take with all its tries; 30 s unless said otherwise.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Has every request and answer shown to `observer`.
    #[must_use]
    pub fn observer(mut self, observer: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Reads the authorization server's metadata through the gateway.
    pub async fn connect(self) -> Result<Platform, Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(2))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::Invalid(error.to_string()))?;
        let observer = self.observer.clone();
        let http =
            Http { client: client.clone(), deadline: self.deadline, observer: self.observer };
        let gateway = self.gateway.trim_end_matches('/');
        let url = format!("{gateway}/.well-known/oauth-authorization-server");
        let metadata: Received<Metadata> =
            http.send(&Call::new(reqwest::Method::GET, &url)).await?;
        let Metadata { issuer, token_endpoint, jwks_uri } = metadata.body;
        if issuer != gateway {
            // RFC 8414 section 3.3: the issuer must be where its metadata was asked for.
            let what = format!("it says that it is {issuer}; connect to that address");
            return Err(Error::Unexpected { url, what });
        }
        let tokens = AccessTokens::new(client, self.credentials, issuer.clone(), token_endpoint)
            .with(self.deadline, observer);
        Ok(Platform { inner: Arc::new(Inner { http, issuer, jwks_uri, tokens }) })
    }
}

impl Platform {
    /// The platform behind `gateway` (such as `http://127.0.0.1:8080`), with settings to choose.
    pub fn builder(gateway: impl Into<String>, credentials: Credentials) -> PlatformBuilder {
        PlatformBuilder {
            gateway: gateway.into(),
            credentials,
            deadline: Duration::from_secs(30),
            observer: None,
        }
    }

    /// The platform behind `gateway`, with the usual settings.
    pub async fn connect(
        gateway: impl Into<String>,
        credentials: Credentials,
    ) -> Result<Self, Error> {
        Self::builder(gateway, credentials).connect().await
    }

    /// The platform that the environment names: `LOMBARD_URL`, `LOMBARD_CLIENT_ID`, `LOMBARD_CLIENT_SECRET`.
    pub async fn from_env() -> Result<Self, Error> {
        let read = |name: &str| {
            std::env::var(name)
                .map_err(|_| Error::Invalid(format!("{name} is not set in the environment")))
        };
        let (client_id, secret) = (read("LOMBARD_CLIENT_ID")?, read("LOMBARD_CLIENT_SECRET")?);
        Self::connect(read("LOMBARD_URL")?, Credentials::secret(client_id, &secret)).await
    }

    /// The issuer of tokens, which is also the gateway's public URL.
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// The id of the client that this is.
    pub fn client_id(&self) -> &str {
        self.inner.tokens.credentials.client_id()
    }

    /// The ledger.
    pub fn ledger(&self) -> Ledger {
        Ledger { platform: self.clone() }
    }

    /// The event store.
    pub fn eventstore(&self) -> EventStore {
        EventStore { platform: self.clone() }
    }

    /// The registry.
    pub fn registry(&self) -> Registry {
        Registry { platform: self.clone() }
    }

    /// Verifies the tokens of callers of the service `name`.
    pub async fn verifier(&self, name: &str) -> Result<Verifier, Error> {
        let audience = format!("{}/{name}", self.issuer());
        Verifier::connect(
            self.inner.http.client.clone(),
            self.issuer(),
            &self.inner.jwks_uri,
            audience,
        )
        .await
    }

    /// A token for what the gateway serves under `prefix` (`/v1/ledger`, `/payments`).
    pub async fn access_token(&self, prefix: &str) -> Result<AccessToken, Error> {
        self.inner.tokens.for_resource(&format!("{}{prefix}", self.issuer())).await
    }

    /// The token for `prefix` was refused: the next call gets another.
    pub(crate) async fn forget_token(&self, prefix: &str) {
        self.inner.tokens.forget(&format!("{}{prefix}", self.issuer())).await;
    }

    /// Calls what the gateway serves under `prefix`, with a token for it. `path` continues the prefix.
    pub async fn call<T: DeserializeOwned>(
        &self,
        prefix: &str,
        path: &str,
        call: impl FnOnce(String) -> Call,
    ) -> Result<Received<T>, Error> {
        let call = call(format!("{}{prefix}{path}", self.issuer()));
        http::parse(&call, self.send(prefix, &call).await?)
    }

    /// The same, for what answers with text.
    pub async fn text(&self, prefix: &str, path: &str) -> Result<String, Error> {
        let call = Call::new(reqwest::Method::GET, format!("{}{prefix}{path}", self.issuer()));
        let received = self.send(prefix, &call).await?;
        String::from_utf8(received.body)
            .map_err(|_| Error::Unexpected { url: call.url, what: "not text".to_owned() })
    }

    /// Begins a call whose answer has no end.
    pub(crate) async fn open(
        &self,
        prefix: &str,
        mut call: Call,
    ) -> Result<reqwest::Response, Error> {
        let resource = format!("{}{prefix}", self.issuer());
        call.bearer = Some(self.inner.tokens.for_resource(&resource).await?.secret().to_owned());
        let answer = self.inner.http.open(&call).await;
        if matches!(&answer, Err(Error::Refused(problem)) if problem.status == 401) {
            self.inner.tokens.forget(&resource).await;
        }
        answer
    }

    pub(crate) async fn send(&self, prefix: &str, call: &Call) -> Result<Received<Vec<u8>>, Error> {
        let resource = format!("{}{prefix}", self.issuer());
        let mut call = call.clone();
        call.bearer = Some(self.inner.tokens.for_resource(&resource).await?.secret().to_owned());
        match self.inner.http.send_for_bytes(&call).await {
            Err(Error::Refused(problem)) if problem.status == 401 => {
                // The token expired or was revoked before its time; once more with a new one.
                self.inner.tokens.forget(&resource).await;
                call.bearer =
                    Some(self.inner.tokens.for_resource(&resource).await?.secret().to_owned());
                self.inner.http.send_for_bytes(&call).await
            }
            answer => answer,
        }
    }
}
