//! What a mirror asks of the role whose log it copies.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use lombard_log::{Record, merkle::TreeHash};

/// Some records, as the source sent them.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order, from the position that was asked for. Empty where there was none in time.
    pub records: Vec<Record>,
    /// How many durable records the source has.
    pub durable: u64,
}

/// A log that can be read and proves itself.
pub trait Source: Send + Sync + 'static {
    /// The key that it signs with, as text.
    fn key(&self) -> impl Future<Output = Result<String, SourceError>> + Send;

    /// Its newest signed checkpoint.
    fn checkpoint(&self) -> impl Future<Output = Result<Bytes, SourceError>> + Send;

    /// The proof that the tree of `from` records is the beginning of that of `to`.
    fn consistency(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<TreeHash>, SourceError>> + Send;

    /// Records from `from` on; waits for the first one up to `wait`.
    fn records(
        &self,
        from: u64,
        wait: Duration,
    ) -> impl Future<Output = Result<Page, SourceError>> + Send;
}

/// The source did not answer as it should. All of it may pass.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No access token could be had.
    #[error("no access token: {0}")]
    Token(#[from] lombard_client::Error),
    /// It could not be reached, or not in time.
    #[error("no answer: {0}")]
    Http(#[source] reqwest::Error),
    /// It said no.
    #[error("it answers {status} {slug}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The last part of the problem's type.
        slug: String,
    },
    /// The answer is cut short, or longer than the limit.
    #[error("the answer did not arrive whole: {0}")]
    Body(String),
    /// The answer is not of the expected form.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
}
