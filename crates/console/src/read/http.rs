//! Outgoing calls: bounded in time and in length, never redirected.

use std::fmt;

use http::StatusCode;
use reqwest::{RequestBuilder, redirect};
use serde::{Deserialize, de::DeserializeOwned};

use super::Unreadable;
use crate::{Config, metrics::ConsoleMetrics};

/// Makes calls. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    answer_bytes_max: usize,
    metrics: ConsoleMetrics,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    who: &'static str,
    body: Vec<u8>,
}

impl fmt::Debug for Answer {
    /// Without the body, which may be a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.status).finish()
    }
}

/// RFC 9457, as far as the page shows it.
#[derive(Debug, Default, Deserialize)]
struct Problem {
    title: Option<String>,
    required_scope: Option<String>,
}

impl Http {
    pub(crate) fn new(config: &Config, metrics: ConsoleMetrics) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(config.call_timeout())
            .redirect(redirect::Policy::none())
            // Tokens and secrets go to the addresses of the configuration and nowhere else.
            .no_proxy()
            .build()?;
        Ok(Self { client, answer_bytes_max: config.answer_bytes_max, metrics })
    }

    pub(crate) fn get(&self, url: &str) -> RequestBuilder {
        self.client.get(url)
    }

    pub(crate) fn post(&self, url: &str) -> RequestBuilder {
        self.client.post(url)
    }

    /// Any answer that arrived whole, whatever its status.
    pub(crate) async fn send(
        &self,
        who: &'static str,
        request: RequestBuilder,
    ) -> Result<Answer, Unreadable> {
        let answer = self.receive(who, request).await;
        self.metrics.call(answer.is_ok());
        answer
    }

    async fn receive(
        &self,
        who: &'static str,
        request: RequestBuilder,
    ) -> Result<Answer, Unreadable> {
        let failed = |error: reqwest::Error| {
            let error = error.without_url();
            tracing::debug!(who, %error, "a call failed");
            if error.is_timeout() { Unreadable::Slow { who } } else { Unreadable::Away { who } }
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.answer_bytes_max {
                tracing::warn!(who, limit_bytes = self.answer_bytes_max, "an answer is too long");
                return Err(Unreadable::Misunderstood { who });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, who, body })
    }
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        serde_json::from_slice(&self.body).map_err(|error| {
            // Only where it went wrong: the text of the error may repeat what it read.
            let (line, column) = (error.line(), error.column());
            tracing::warn!(who = self.who, line, column, "an answer is not of the expected form");
            Unreadable::Misunderstood { who: self.who }
        })
    }

    /// What an answer that is not a success says.
    pub(crate) fn refused(&self) -> Unreadable {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        let who = self.who;
        match self.status {
            StatusCode::UNAUTHORIZED => Unreadable::TokenRefused { who },
            StatusCode::FORBIDDEN => Unreadable::Forbidden { scope: problem.required_scope },
            status => Unreadable::Refused { who, status, title: problem.title },
        }
    }
}
