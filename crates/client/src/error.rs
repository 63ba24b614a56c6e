//! What a caller can tell apart: refused, not sent, or outcome unknown.

use std::time::Duration;

use serde::Deserialize;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform understood and said no. Certain: nothing changed.
    #[error("{0}")]
    Refused(Box<Problem>),
    /// The request never reached the platform. Nothing changed.
    #[error("failed to reach {url}")]
    NotSent {
        /// Where it should have gone, without query.
        url: String,
        /// What the system said.
        source: reqwest::Error,
    },
    /// The request may have arrived: a write may or may not have happened. Repeat it with the same idempotency key.
    #[error("the outcome of the request to {url} is unknown")]
    OutcomeUnknown {
        /// Where it went, without query.
        url: String,
        /// What the system said.
        source: Option<reqwest::Error>,
    },
    /// The answer is not what this client understands.
    #[error("unexpected answer of {url}: {what}")]
    Unexpected {
        /// Where it came from, without query.
        url: String,
        /// What is odd.
        what: String,
    },
    /// No access token could be had.
    #[error("no access token for client {client_id}: {error}{}", description.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
    TokenRefused {
        /// Who asked.
        client_id: String,
        /// The code of RFC 6749 section 5.2.
        error: String,
        /// What the server added.
        description: Option<String>,
    },
    /// What the caller gave cannot be used.
    #[error("{0}")]
    Invalid(String),
}

/// A problem document (RFC 9457).
#[derive(Clone, Debug, Deserialize)]
pub struct Problem {
    /// Stable identifier of the kind: `urn:lombard:error:<slug>`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The kind in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What is wrong this time.
    pub detail: Option<String>,
    /// The request's id, for support.
    pub request_id: Option<String>,
    /// Members of this kind of problem.
    #[serde(flatten)]
    pub members: serde_json::Map<String, serde_json::Value>,
    /// When to try again, where trying again makes sense.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

impl Problem {
    /// The last part of [`Problem::kind`], such as `insufficient-funds`.
    pub fn slug(&self) -> &str {
        self.kind.rsplit(':').next().unwrap_or_default()
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.title, self.status)?;
        if !self.slug().is_empty() {
            write!(f, " {}", self.slug())?;
        }
        f.write_str(")")?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}
