//! People and others whose data can be erased.

use reqwest::Method;
use serde::{Deserialize, Deserializer};

use super::{EventStore, PREFIX, segment};
use crate::{Call, Error};

/// A data subject: what an event names with `datasubject`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DataSubject {
    /// Its name.
    pub subject: String,
    /// Whether it is erased.
    pub state: SubjectState,
    /// The record of the log that says so.
    #[serde(deserialize_with = "optional_number")]
    pub log_position: Option<u64>,
    /// Since when (RFC 3339).
    pub erased_at: Option<String>,
}

/// What became of a data subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SubjectState {
    /// Its events are readable.
    Active,
    /// Its key is destroyed: nobody can read any more what its events said.
    Erased,
}

impl EventStore {
    /// What is known of a data subject. Needs the scope `events:erase:<subject>`.
    pub async fn subject(&self, subject: &str) -> Result<DataSubject, Error> {
        self.about(Method::GET, subject).await
    }

    /// Destroys the key that a data subject's events are encrypted with, for ever; when this returns it is done. Again is
    /// no error. Needs the scope `events:erase:<subject>`.
    pub async fn erase_subject(&self, subject: &str) -> Result<DataSubject, Error> {
        self.about(Method::DELETE, subject).await
    }

    async fn about(&self, method: Method, subject: &str) -> Result<DataSubject, Error> {
        let call = |url| Call::new(method, url).repeatable();
        let path = format!("/subjects/{}", segment(subject));
        Ok(self.platform.call(PREFIX, &path, call).await?.body)
    }
}

fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}
