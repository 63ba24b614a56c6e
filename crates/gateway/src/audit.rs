//! Appends what the gateway tells of requests that may change something to the event store, in the background.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lombard_chassis::CancellationToken;
use tokio::sync::mpsc;

use crate::{Resource, TokenSource};

/// Where the events go.
const STREAM: &str = "gateway-audit";
/// Events of one append.
const BATCH_MAX: usize = 100;
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure; doubled with each, up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How long what is left is tried after the last request has ended.
const LEFT_TIMEOUT: Duration = Duration::from_secs(3);

/// Appends until the requests have ended and the rest is appended, or given up.
pub(crate) async fn follow(
    eventstore: SocketAddr,
    tokens: Arc<dyn TokenSource>,
    mut events: mpsc::Receiver<String>,
    have_ended: CancellationToken,
) {
    let client = reqwest::Client::new();
    let url = format!("http://{eventstore}/v1/eventstore/streams/{STREAM}/events");
    let append_all = async {
        loop {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            tokio::select! {
                biased;
                count = events.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return },
                () = have_ended.cancelled() => return,
            }
            append(&client, &url, &*tokens, &batch).await;
        }
    };
    let give_up = async {
        have_ended.cancelled().await;
        tokio::time::sleep(LEFT_TIMEOUT).await;
    };
    tokio::select! {
        () = append_all => {}
        () = give_up => tracing::error!("what was left of the audit could not be appended in time"),
    }
}

/// Tries until it succeeds. Events have ids, so that none is there twice.
async fn append(client: &reqwest::Client, url: &str, tokens: &dyn TokenSource, batch: &[String]) {
    let body = format!("[{}]", batch.join(","));
    let mut pause = PAUSE_MIN;
    loop {
        match append_once(client, url, tokens, body.clone()).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(error, events = batch.len(), "failed to append to the audit")
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn append_once(
    client: &reqwest::Client,
    url: &str,
    tokens: &dyn TokenSource,
    body: String,
) -> Result<(), String> {
    let token = tokens.token(Resource::Eventstore).await?;
    let request = client
        .post(url)
        .bearer_auth(token)
        .header("content-type", "application/cloudevents-batch+json")
        .timeout(APPEND_TIMEOUT)
        .body(body);
    let response = request.send().await.map_err(|error| error.without_url().to_string())?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(format!("the event store answers {}", response.status()))
}
