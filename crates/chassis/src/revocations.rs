//! Hears what an authorization server takes back: one request that waits, again and again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt, Limited};
use lombard_token::{Revocation, RevokedTokens};
use lombard_types::Timestamp;
use serde::Deserialize;

/// How long the server may wait for something new: well below the silence that counts.
const WAIT: Duration = Duration::from_secs(10);
/// How long a request may take beyond that.
const MARGIN: Duration = Duration::from_secs(5);
/// Before asking again after a failure.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest answer: 10,000 revocations of at most 100 bytes.
const BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    last: u64,
    revocations: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    key: String,
    at: u64,
    until: u64,
}

/// Follows for ever. What the server is not asked for again, since it was heard, is kept here until it expires.
pub(crate) async fn follow(client: &reqwest::Client, server: &str, revoked: Arc<RevokedTokens>) {
    revoked.follow();
    let mut after = 0;
    // The first answer comes at once: it says what is known so far.
    let mut wait = Duration::ZERO;
    loop {
        match ask(client, server, after, wait).await {
            Ok((last, revocations)) => {
                after = last;
                wait = WAIT;
                revoked.hear(revocations, Timestamp::from_system_time(SystemTime::now()));
            }
            Err(error) => {
                tracing::debug!(error, "failed to ask what was revoked");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn ask(
    client: &reqwest::Client,
    server: &str,
    after: u64,
    wait: Duration,
) -> Result<(u64, Vec<Revocation>), String> {
    let wait_ms = wait.as_millis();
    let url = format!("{server}/oauth/revocations?after={after}&wait_ms={wait_ms}");
    let failed = |error: reqwest::Error| error.without_url().to_string();
    let request = client.get(url).timeout(wait + MARGIN);
    let response =
        request.send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let body = Limited::new(reqwest::Body::from(response), BYTES_MAX);
    let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let read = |entry: &Entry| {
        Ok(Revocation {
            key: entry.key.parse().map_err(|_| "a key is malformed".to_owned())?,
            at: Timestamp::from_unix_seconds(entry.at),
            until: Timestamp::from_unix_seconds(entry.until),
        })
    };
    let revocations = answer.revocations.iter().map(read).collect::<Result<_, String>>()?;
    Ok((answer.last, revocations))
}
