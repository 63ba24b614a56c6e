//! One call: sent, tried again where that is safe, and understood.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Problem};

/// Shortest and longest pause between tries.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(1000);
/// How long one try may take before the next.
const TRY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to the platform.
#[derive(Clone, Debug)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    /// A body that is no JSON, and its media type.
    pub(crate) text: Option<(&'static str, String)>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) bearer: Option<String>,
    pub(crate) retries_writes: bool,
}

impl Call {
    /// A call of `method` on `url`.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            query: Vec::new(),
            body: None,
            text: None,
            idempotency_key: None,
            headers: Vec::new(),
            bearer: None,
            retries_writes: false,
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Sends this JSON.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends this text, of this media type.
    #[must_use]
    pub fn text(mut self, media_type: &'static str, body: impl Into<String>) -> Self {
        self.text = Some((media_type, body.into()));
        self
    }

    /// Makes the call safe to repeat.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Adds a header, such as `traceparent`.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Says that repeating this write has no second effect.
    #[must_use]
    pub(crate) fn repeatable(mut self) -> Self {
        self.retries_writes = true;
        self
    }

    fn is_repeatable(&self) -> bool {
        self.retries_writes || self.idempotency_key.is_some() || self.method.is_safe()
    }
}

/// An understood answer.
#[derive(Clone, Debug)]
pub struct Received<T> {
    /// The body.
    pub body: T,
    /// The status.
    pub status: StatusCode,
    /// `Lombard-Position`: the record that the answer includes.
    pub position: Option<u64>,
    /// `X-Request-Id` of the last try.
    pub request_id: Option<String>,
    /// Tries it took.
    pub try_count: u32,
}

/// One try as it went over the wire, for whoever wants to show or count it. Carries no credentials.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The URL with its query.
    pub url: String,
    /// Headers that were said explicitly, without `Authorization`.
    pub headers: Vec<(&'static str, String)>,
    /// How the caller proved who it is; the proof itself is not here.
    pub authentication: Authentication,
    /// The JSON that was sent.
    pub body: Option<Value>,
    /// The form that was sent, without secrets.
    pub form: Vec<(&'static str, String)>,
    /// The status and body that came back, or why none did.
    pub outcome: Result<(StatusCode, String), String>,
    /// Which try this was, from 1.
    pub try_number: u32,
    /// How long it took.
    pub duration: Duration,
}

/// How a request is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Not at all.
    None,
    /// With an access token.
    AccessToken,
    /// With the client's id and secret, by HTTP Basic.
    ClientSecret,
    /// With an assertion signed by the client's private key.
    ClientAssertion,
}

/// Called with every [`Exchange`].
pub(crate) type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) client: reqwest::Client,
    pub(crate) deadline: Duration,
    pub(crate) observer: Option<Observer>,
}

/// What one try says about the next.
enum Tried {
    Answered(reqwest::Response),
    Failed(Error),
}

impl Http {
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
    ) -> Result<Received<T>, Error> {
        parse(call, self.send_for_bytes(call).await?)
    }

    pub(crate) async fn send_for_bytes(&self, call: &Call) -> Result<Received<Vec<u8>>, Error> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut try_count = 0;
        loop {
            try_count += 1;
            let left = self.deadline.saturating_sub(started.elapsed());
            let error = match self.try_once(call, try_count, left.min(TRY_TIMEOUT)).await {
                Ok(mut received) => {
                    received.try_count = try_count;
                    return Ok(received);
                }
                Err(error) => error,
            };
            let wait = jittered(retry_after(&error).unwrap_or(pause).max(pause));
            if !may_retry(call, &error) || started.elapsed() + wait >= self.deadline {
                return Err(error);
            }
            tracing::debug!(url = call.url, try_count, %error, "trying again");
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Sends once; the answer's body is left to be read, however long it takes.
    pub(crate) async fn open(&self, call: &Call) -> Result<reqwest::Response, Error> {
        let mut request = self.client.request(call.method.clone(), &call.url).query(&call.query);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &call.bearer {
            request = request.bearer_auth(token);
        }
        let response = tokio::time::timeout(TRY_TIMEOUT, request.send()).await;
        let response = response
            .map_err(|_| Error::OutcomeUnknown { url: call.url.clone(), source: None })?
            .map_err(|source| unsent(call, source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        match receive(call, response).await {
            Err(error) => Err(error),
            Ok(_) => {
                Err(Error::Unexpected { url: call.url.clone(), what: format!("status {status}") })
            }
        }
    }

    async fn try_once(
        &self,
        call: &Call,
        try_number: u32,
        timeout: Duration,
    ) -> Result<Received<Vec<u8>>, Error> {
        let started = Instant::now();
        let mut request = self.client.request(call.method.clone(), &call.url).timeout(timeout);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        let mut headers = call.headers.clone();
        if let Some(key) = &call.idempotency_key {
            headers.push(("idempotency-key", key.clone()));
        }
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        if let Some(token) = &call.bearer {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        if let Some((media_type, body)) = &call.text {
            request = request.header(header::CONTENT_TYPE, *media_type).body(body.clone());
        }
        let tried = match request.send().await {
            Ok(response) => Tried::Answered(response),
            Err(source) => Tried::Failed(unsent(call, source)),
        };
        let result = match tried {
            Tried::Answered(response) => receive(call, response).await,
            Tried::Failed(error) => Err(error),
        };
        if let Some(observer) = &self.observer {
            observer(&Exchange {
                method: call.method.clone(),
                url: with_query(call),
                headers,
                authentication: match call.bearer {
                    Some(_) => Authentication::AccessToken,
                    None => Authentication::None,
                },
                body: call.body.clone(),
                form: Vec::new(),
                outcome: outcome(&result),
                try_number,
                duration: started.elapsed(),
            });
        }
        result
    }
}

fn unsent(call: &Call, source: reqwest::Error) -> Error {
    let url = call.url.clone();
    let source = source.without_url();
    if source.is_connect() || source.is_builder() {
        Error::NotSent { url, source }
    } else {
        Error::OutcomeUnknown { url, source: Some(source) }
    }
}

/// Longest body that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

async fn receive(call: &Call, mut response: reqwest::Response) -> Result<Received<Vec<u8>>, Error> {
    let unknown = |source: reqwest::Error| Error::OutcomeUnknown {
        url: call.url.clone(),
        source: Some(source.without_url()),
    };
    let text = |name: &str| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let position = text("lombard-position").and_then(|position| position.parse().ok());
    let request_id = text("x-request-id");
    let retry_after = text(header::RETRY_AFTER.as_str())
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unknown)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Error::Unexpected {
                url: call.url.clone(),
                what: format!("more than {ANSWER_BYTES_MAX} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        return Ok(Received { body, status, position, request_id, try_count: 1 });
    }
    let mut problem: Problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
        kind: String::new(),
        title: status.canonical_reason().unwrap_or("refused").to_owned(),
        status: status.as_u16(),
        detail: None,
        request_id: None,
        members: serde_json::Map::new(),
        retry_after: None,
    });
    problem.status = status.as_u16();
    problem.retry_after = retry_after;
    problem.request_id = problem.request_id.or(request_id);
    Err(Error::Refused(Box::new(problem)))
}

pub(crate) fn parse<T: DeserializeOwned>(
    call: &Call,
    received: Received<Vec<u8>>,
) -> Result<Received<T>, Error> {
    let bytes: &[u8] = if received.body.is_empty() { b"null" } else { &received.body };
    let body = serde_json::from_slice(bytes)
        .map_err(|error| Error::Unexpected { url: call.url.clone(), what: error.to_string() })?;
    let Received { status, position, request_id, try_count, .. } = received;
    Ok(Received { body, status, position, request_id, try_count })
}

/// Whether the error may go away by itself, and repeating the call cannot do harm.
fn may_retry(call: &Call, error: &Error) -> bool {
    match error {
        Error::NotSent { .. } => true,
        Error::OutcomeUnknown { .. } => call.is_repeatable(),
        Error::Refused(problem) => match problem.status {
            // Overloaded or away: nothing was done.
            429 | 503 => true,
            502 | 504 => call.is_repeatable(),
            // The first request with this key is still under way.
            409 => problem.slug() == "idempotency-key-in-progress",
            _ => false,
        },
        Error::Unexpected { .. } | Error::TokenRefused { .. } | Error::Invalid(_) => false,
    }
}

fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        // A server that restarts says one second; it is often back much sooner, and asking is cheap.
        Error::Refused(problem) if problem.status == 429 => problem.retry_after,
        _ => None,
    }
}

/// Between half and all of `pause`, so that callers that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let random = uuid::Uuid::new_v4().as_u128();
    let thousandths = u32::try_from(random % 500).unwrap_or(0) + 500;
    pause * thousandths / 1000
}

fn with_query(call: &Call) -> String {
    match url::Url::parse_with_params(&call.url, &call.query) {
        Ok(url) if !call.query.is_empty() => url.into(),
        _ => call.url.clone(),
    }
}

fn outcome(result: &Result<Received<Vec<u8>>, Error>) -> Result<(StatusCode, String), String> {
    match result {
        Ok(received) => Ok((received.status, String::from_utf8_lossy(&received.body).into_owned())),
        Err(Error::Refused(problem)) => {
            let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_GATEWAY);
            Ok((status, problem.to_string()))
        }
        Err(error) => Err(error.to_string()),
    }
}
