//! Follows the registry's catalog of services. What is known stays in use while the registry is away.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Limited};
use lombard_chassis::{CancellationToken, Health};
use lombard_types::ServiceName;
use serde::Deserialize;

use crate::{cluster::Address, worker::Shared};

/// Whom the gateway calls for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// For the catalog of services.
    Registry,
    /// For what is kept of Idempotency-Keys.
    Eventstore,
    /// For what the other gateways are told of limits.
    Gateway,
}

/// Where the gateway gets the tokens that it shows to the roles.
pub trait TokenSource: Send + Sync + 'static {
    /// An access token for this role that is good for the next minute at least; else what was wrong.
    fn token(&self, resource: Resource) -> BoxFuture<'_, Result<String, String>>;
}

/// How long the registry may hold a question back.
const WAIT: Duration = Duration::from_secs(30);
/// How long an answer may take: the wait, and some more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// Longest catalog that is read.
const CATALOG_BYTES_MAX: usize = 16 << 20;
/// Pause after the first failure; doubled with each, up to the maximum.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Without a catalog for this long the gateway counts as ready: the roles can be used without it.
const READY_WITHOUT_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
struct Catalog {
    index: u64,
    services: BTreeMap<String, Vec<Instance>>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    url: String,
    /// Where it is, if the registry says so.
    zone: Option<String>,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("no token: {0}")]
    Token(String),
    #[error("no answer")]
    Http(#[source] reqwest::Error),
    #[error("the registry answers {0}")]
    Status(http::StatusCode),
    #[error("the answer did not arrive whole: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is not a catalog: {0}")]
    Json(#[from] serde_json::Error),
}

/// Follows the catalog until `drain` is cancelled. The obstacle `catalog` is cleared with the first one.
pub(crate) async fn follow(
    registry: SocketAddr,
    tokens: Arc<dyn TokenSource>,
    shared: &Shared,
    health: &Health,
    drain: &CancellationToken,
) {
    tokio::select! {
        () = drain.cancelled() => {}
        () = follow_for_ever(registry, tokens, shared, health) => {}
        () = give_up_waiting(health) => {}
    }
}

async fn give_up_waiting(health: &Health) {
    tokio::time::sleep(READY_WITHOUT_AFTER).await;
    health.clear("catalog");
    std::future::pending().await
}

async fn follow_for_ever(
    registry: SocketAddr,
    tokens: Arc<dyn TokenSource>,
    shared: &Shared,
    health: &Health,
) {
    let client = reqwest::Client::new();
    let url = format!("http://{registry}/v1/registry/catalog");
    let mut index = None;
    let mut pause = PAUSE_MIN;
    loop {
        let asked = Instant::now();
        match ask(&client, &url, index, &*tokens).await {
            Ok(catalog) => {
                // A registry that does not hold questions back must not be asked without end.
                if index == Some(catalog.index) && asked.elapsed() < PAUSE_MAX {
                    tokio::time::sleep(PAUSE_MAX).await;
                }
                if index.is_none() {
                    tracing::info!(services = catalog.services.len(), "the catalog is here");
                }
                // A registry that starts over may count from the beginning: nothing is concluded from the order.
                index = Some(catalog.index);
                shared.endpoints.replace(read(catalog.services));
                health.clear("catalog");
                pause = PAUSE_MIN;
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::debug!(%error, source, "failed to fetch the catalog; the last one stays in use");
                // Asked without an index, the next answer comes at once and says everything.
                index = None;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn ask(
    client: &reqwest::Client,
    url: &str,
    index: Option<u64>,
    tokens: &dyn TokenSource,
) -> Result<Catalog, AskError> {
    let token = tokens.token(Resource::Registry).await.map_err(AskError::Token)?;
    let mut request = client.get(url).bearer_auth(token).timeout(ANSWER_TIMEOUT);
    if let Some(index) = index {
        request = request.query(&[("index", index), ("wait_seconds", WAIT.as_secs())]);
    }
    let response = request.send().await.map_err(|error| AskError::Http(error.without_url()))?;
    if !response.status().is_success() {
        return Err(AskError::Status(response.status()));
    }
    let body = Limited::new(reqwest::Body::from(response), CATALOG_BYTES_MAX);
    let bytes = body.collect().await.map_err(AskError::Body)?.to_bytes();
    Ok(serde_json::from_slice(&bytes)?)
}

/// The authorities of the instances. What the gateway cannot connect to is left out, and logged.
fn read(services: BTreeMap<String, Vec<Instance>>) -> HashMap<ServiceName, Vec<Address>> {
    let mut read = HashMap::with_capacity(services.len());
    for (name, instances) in services {
        let Ok(service) = name.parse::<ServiceName>() else {
            tracing::warn!(service = name, "the catalog has a service without a valid name");
            continue;
        };
        let authorities = instances.iter().filter_map(|instance| {
            let authority = authority(&instance.url);
            if authority.is_none() {
                tracing::warn!(%service, url = instance.url, "an instance's URL is not http://host:port");
            }
            let zone = instance.zone.as_deref().map(Into::into);
            authority.map(|authority| Address { authority, zone })
        });
        read.insert(service.clone(), authorities.collect());
    }
    read
}

fn authority(url: &str) -> Option<Box<str>> {
    let uri: http::Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let is_plain = uri.scheme_str() == Some("http")
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none()
        && !authority.as_str().contains('@');
    let port = authority.port_u16().unwrap_or(80);
    is_plain.then(|| format!("{}:{port}", authority.host()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_instances() {
        for (url, expected) in [
            ("http://127.0.0.1:9000", Some("127.0.0.1:9000")),
            ("http://127.0.0.1:9000/", Some("127.0.0.1:9000")),
            ("http://payments.internal", Some("payments.internal:80")),
            ("http://[::1]:9000", Some("[::1]:9000")),
            ("https://127.0.0.1:9000", None),
            ("http://user@127.0.0.1:9000", None),
            ("http://127.0.0.1:9000/base", None),
            ("http://127.0.0.1:9000/?q", None),
            ("127.0.0.1:9000", None),
            ("/", None),
        ] {
            assert_eq!(authority(url).as_deref(), expected, "{url}");
        }
    }
}
