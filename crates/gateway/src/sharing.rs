//! Limits that several gateways keep together, approximately: each tells the others, a few times a second, what it has let through
//! since. What two let through before they heard of each other is missing afterwards, so that over time the limit is the limit.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use lombard_chassis::{Problem, problems};
use serde::{Deserialize, Serialize};

use crate::{
    Resource, admin,
    body::ResponseBody,
    handle::Peer,
    limits::Told,
    worker::{Shared, Worker},
};

/// Where gateways hear from each other.
pub(crate) const PATH: &str = "/v1/gateway/limits";
/// The operation of the scope that they have for it.
const OPERATION: &str = "limits";
/// Longest message: about ten times what a full one takes.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// How long one may take. What arrives later is of no use.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What one gateway tells another.
#[derive(Debug, Serialize, Deserialize)]
struct Message {
    /// Who tells: a gateway that is on its own list does not listen to itself.
    from: uuid::Uuid,
    used: Vec<Told>,
}

/// Tells the others, for ever. `peers`: addresses, or names that stand for some.
pub(crate) async fn follow(shared: &Shared, peers: &[String], every: Duration) {
    let client = reqwest::Client::new();
    let mut is_broken = false;
    loop {
        tokio::time::sleep(every).await;
        let used = shared.limits.take_told();
        if used.is_empty() {
            continue;
        }
        let message = Message { from: shared.id, used };
        let errors = tell(shared, &client, peers, &message).await;
        shared.metrics.not_shared(errors.len());
        match errors.first() {
            // Once, not each time.
            Some(error) if !is_broken => {
                tracing::warn!(error, "failed to tell another gateway what was let through");
            }
            _ => {}
        }
        is_broken = !errors.is_empty();
    }
}

async fn tell(
    shared: &Shared,
    client: &reqwest::Client,
    peers: &[String],
    message: &Message,
) -> Vec<String> {
    let token = match shared.tokens.token(Resource::Gateway).await {
        Ok(token) => token,
        Err(error) => return vec![error],
    };
    let looked_up = join_all(peers.iter().map(tokio::net::lookup_host)).await;
    let (mut addresses, mut errors) = (Vec::<SocketAddr>::new(), Vec::new());
    for found in looked_up {
        match found {
            Ok(found) => addresses.extend(found),
            Err(error) => errors.push(error.to_string()),
        }
    }
    addresses.sort_unstable();
    addresses.dedup();
    let sent = addresses.into_iter().map(async |address| {
        let request = client.post(format!("http://{address}{PATH}")).bearer_auth(&token);
        let response = request.timeout(SEND_TIMEOUT).json(message).send().await;
        match response {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("{address} answers {}", response.status())),
            Err(error) => Some(error.without_url().to_string()),
        }
    });
    errors.extend(join_all(sent).await.into_iter().flatten());
    errors
}

/// Hears from another gateway.
pub(crate) async fn hear(
    worker: &Worker,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Problem> {
    if *request.method() != Method::POST {
        return Err(Problem::new(&problems::METHOD_NOT_ALLOWED));
    }
    admin::authorize(worker, peer, &request, OPERATION).await?;
    let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect().await;
    let invalid = |detail: String| Problem::new(&problems::INVALID_BODY).detail(detail);
    let body = body.map_err(|error| invalid(error.to_string()))?.to_bytes();
    let message: Message =
        serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
    let shared = &worker.shared;
    if message.from != shared.id {
        let table = shared.table.load();
        // Limits that are not known here are of another configuration.
        let known = message.used.iter().filter_map(|told| Some((table.limit(told.limit)?, told)));
        known.for_each(|(limit, told)| shared.limits.charge(limit, told));
    }
    Ok(Response::new(ResponseBody::Own(Full::new(Bytes::new()))))
}
