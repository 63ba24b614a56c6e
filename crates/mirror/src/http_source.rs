//! A role's log over its HTTP interface.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use lombard_client::AccessTokens;
use lombard_log::{Record, merkle::TreeHash};
use lombard_types::Position;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{Config, Page, Source, SourceError};

/// Answers above this are decoded where nobody waits for it.
const DECODED_INLINE_BYTES_MAX: usize = 64 << 10;

/// The log of a role that listens at a URL.
#[derive(Debug)]
pub struct HttpSource {
    client: reqwest::Client,
    tokens: Arc<AccessTokens>,
    resource: String,
    base: String,
    answer_time: Duration,
    answer_bytes_max: usize,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "type", default)]
    kind: String,
}

#[derive(Deserialize)]
struct ConsistencyBody {
    path: Vec<String>,
}

#[derive(Deserialize)]
struct RecordsBody {
    records: Vec<RecordBody>,
    durable: u64,
}

#[derive(Deserialize)]
struct RecordBody {
    position: u64,
    payload: String,
}

impl HttpSource {
    /// The log of `role`, which listens at `server` (`http://host:port`). `tokens` are asked for one that is for
    /// `resource` and carries the role's `audit` scope.
    pub fn new(
        config: &Config,
        tokens: Arc<AccessTokens>,
        resource: String,
        server: &str,
        role: &str,
    ) -> Self {
        Self {
            client: reqwest::Client::new(),
            tokens,
            resource,
            base: format!("{server}/v1/{role}/log"),
            answer_time: Duration::from_millis(config.answer_ms_max),
            answer_bytes_max: config.answer_bytes_max,
        }
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, u64)],
        wait: Duration,
    ) -> Result<Bytes, SourceError> {
        let failed = |error: reqwest::Error| SourceError::Http(error.without_url());
        let token = self.tokens.for_resource(&self.resource).await?;
        let request = self.client.get(format!("{}{path}", self.base));
        let request = request
            .query(query)
            .bearer_auth(token.secret())
            .timeout(wait.saturating_add(self.answer_time));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = Limited::new(reqwest::Body::from(response), self.answer_bytes_max);
        let body = body.collect().await.map_err(|error| SourceError::Body(error.to_string()))?;
        let body = body.to_bytes();
        if status.is_success() {
            return Ok(body);
        }
        if status == reqwest::StatusCode::UNAUTHORIZED {
            self.tokens.forget(&self.resource).await;
        }
        let kind = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.kind);
        let slug = kind.unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned();
        Err(SourceError::Refused { status: status.as_u16(), slug })
    }
}

impl Source for HttpSource {
    async fn key(&self) -> Result<String, SourceError> {
        let body = self.get("/key", &[], Duration::ZERO).await?;
        let text = std::str::from_utf8(&body).map_err(|_| SourceError::Malformed("the key"))?;
        Ok(text.trim_end().to_owned())
    }

    async fn checkpoint(&self) -> Result<Bytes, SourceError> {
        self.get("/checkpoint", &[], Duration::ZERO).await
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<TreeHash>, SourceError> {
        let query = [("from", from), ("to", to)];
        let body = self.get("/proofs/consistency", &query, Duration::ZERO).await?;
        let ConsistencyBody { path } = parse(&body)?;
        path.iter().map(|text| hash(text)).collect()
    }

    async fn records(&self, from: u64, wait: Duration) -> Result<Page, SourceError> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let body = self.get("/records", &[("from", from), ("wait_ms", wait_ms)], wait).await?;
        if body.len() <= DECODED_INLINE_BYTES_MAX {
            return page(&body);
        }
        let decoded = tokio::task::spawn_blocking(move || page(&body)).await;
        decoded.map_err(|_| SourceError::Malformed("the records"))?
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|_| SourceError::Malformed("the JSON"))
}

fn page(body: &[u8]) -> Result<Page, SourceError> {
    let RecordsBody { records, durable } = parse(body)?;
    let record = |RecordBody { position, payload }| {
        let payload = BASE64_STANDARD
            .decode(payload)
            .map_err(|_| SourceError::Malformed("a record is not in base64"))?;
        Ok(Record { position: Position::new(position), payload: payload.into() })
    };
    let records = records.into_iter().map(record).collect::<Result<_, SourceError>>()?;
    Ok(Page { records, durable })
}

fn hash(text: &str) -> Result<TreeHash, SourceError> {
    let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(TreeHash::new).ok_or(SourceError::Malformed("a hash"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_or_refused() {
        let good = br#"{"records":[{"position":3,"payload":"AQI="}],"durable":7}"#;
        let read = page(good).unwrap();
        assert_eq!((read.durable, read.records[0].payload.as_ref()), (7, [1, 2].as_slice()));
        for bad in [
            b"".as_slice(),
            b"{}",
            br#"{"records":[{"position":-1,"payload":""}],"durable":7}"#,
            br#"{"records":[{"position":1,"payload":"?"}],"durable":7}"#,
        ] {
            assert!(matches!(page(bad), Err(SourceError::Malformed(_))));
        }
        assert!(hash("AQI=").is_err());
    }
}
