//! A gateway with its surroundings: a key, a registry, and upstreams that say what they got.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};
use lombard_chassis::{CancellationToken, Health, Metrics};
use lombard_gateway::{Config, Control, Deps, Gateway, Resource, RoleAddresses, TokenSource};
use lombard_token::{Claims, DpopNonces, Jwks, KeySource, KeySourceError, SigningKey};
use lombard_types::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) const ISSUER: &str = "http://gateway.test";
const REGISTRY_TOKEN: &str = "the-gateways-own";
/// Of the one issuer of all gateways.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

/// A running gateway. Dropping it ends it.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: Option<SocketAddr>,
    pub(crate) client: reqwest::Client,
    pub(crate) health: Health,
    pub(crate) control: Control,
    /// What a reload reads.
    pub(crate) file: Arc<Mutex<Result<Config, Vec<String>>>>,
    pub(crate) drain: CancellationToken,
    pub(crate) running: tokio::task::JoinHandle<()>,
    /// What the roles got.
    pub(crate) roles: Upstream,
    catalog: watch::Sender<(u64, Value)>,
    /// Questions that the registry failed to answer.
    failed_asks: Arc<AtomicUsize>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.drain.cancel();
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Config { workers: 1, ..Config::default() }).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::with_eventstore(config, None).await
    }

    /// With an event store of its own; else it is one with the other roles.
    pub(crate) async fn with_eventstore(config: Config, eventstore: Option<SocketAddr>) -> Self {
        Self::with_parts(config, eventstore, None).await
    }

    /// Proofs of possession must have nonces.
    pub(crate) async fn with_nonces(nonces: DpopNonces) -> Self {
        let config = Config { workers: 1, ..Config::default() };
        Self::with_parts(config, None, Some(Arc::new(nonces))).await
    }

    async fn with_parts(
        config: Config,
        eventstore: Option<SocketAddr>,
        dpop_nonces: Option<Arc<DpopNonces>>,
    ) -> Self {
        let roles = Upstream::start("roles").await;
        let (catalog, services) = watch::channel((1, json!({})));
        let failed_asks = Arc::new(AtomicUsize::new(0));
        let registry = serve(
            Router::new()
                .route("/v1/registry/catalog", get(answer_catalog))
                .with_state((services, Arc::clone(&failed_asks))),
        );
        let addresses = RoleAddresses {
            ledger: roles.address,
            query: None,
            auth: roles.address,
            eventstore: eventstore.unwrap_or(roles.address),
            registry,
            console: closed_port(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (health, drain) = (Health::starting(), CancellationToken::new());
        let file = Arc::new(Mutex::new(Ok(config.clone())));
        let read = Arc::clone(&file);
        let deps = Deps {
            listener,
            tls_listener: None,
            issuer: ISSUER.to_owned(),
            roles: addresses,
            tokens: Arc::new(FixedToken),
            reader: Arc::new(move || read.lock().unwrap().clone()),
            dpop_nonces,
            keys: Arc::new(FixedKeys(Jwks { keys: vec![KEY.public_jwk().clone()] })),
            health: health.clone(),
            metrics: Metrics::new("gateway"),
        };
        let gateway = Gateway::new(config, deps).unwrap();
        let tls_address = gateway.tls_address();
        let control = gateway.control();
        let stop = drain.clone();
        let running = tokio::spawn(async move { gateway.run(stop).await.unwrap() });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let world = Self {
            address,
            tls_address,
            client,
            health,
            control,
            file,
            drain,
            running,
            roles,
            catalog,
            failed_asks,
        };
        until(async || world.health.is_ready()).await;
        world
    }

    /// Makes these the instances of a service, and waits until the gateway knows.
    pub(crate) async fn register(&self, service: &str, instances: &[SocketAddr]) {
        let has_instances = !instances.is_empty();
        let instances = described(instances);
        // Named once more, so that the end of the update can be seen whatever the instances are.
        let seen = format!("seen-{}", self.catalog.borrow().0);
        self.catalog.send_modify(|(index, services)| {
            *index += 1;
            services[service] = instances;
            if has_instances {
                services[&seen] =
                    json!([{ "instance": "x", "url": format!("http://{}", self.roles.address) }]);
            }
        });
        if has_instances {
            let token = self.token(&format!("/{seen}"), "admin");
            until(async || self.get(&format!("/{seen}"), &token).await.status() != 503).await;
        }
    }

    /// Makes these the instances of a service, and does not wait.
    pub(crate) fn set_instances(&self, service: &str, instances: &[SocketAddr]) {
        self.catalog.send_modify(|(index, services)| {
            *index += 1;
            services[service] = described(instances);
        });
    }

    /// Makes the registry fail, and waits until the gateway has noticed.
    pub(crate) async fn break_registry(&self) {
        self.catalog.send_modify(|(index, services)| {
            *index += 1;
            *services = Value::Null;
        });
        until(async || self.failed_asks.load(SeqCst) >= 2).await;
    }

    /// A token for a resource.
    pub(crate) fn token(&self, resource: &str, scope: &str) -> String {
        sign(&KEY, &format!("{ISSUER}{resource}"), scope)
    }

    /// A token with claims of one's own.
    pub(crate) fn sign(&self, claims: Claims) -> String {
        claims.sign(&KEY).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> reqwest::Response {
        self.client.get(self.url(path)).bearer_auth(token).send().await.unwrap()
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        token: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        self.client.post(self.url(path)).bearer_auth(token).body(body).send().await.unwrap()
    }
}

pub(crate) fn sign(key: &SigningKey, audience: &str, scope: &str) -> String {
    claims(audience, scope).sign(key).unwrap()
}

pub(crate) fn claims(audience: &str, scope: &str) -> Claims {
    let now = Timestamp::from_system_time(SystemTime::now());
    Claims {
        issuer: ISSUER.into(),
        subject: "tester".into(),
        audience: audience.into(),
        client_id: "tester".into(),
        scope: scope.parse().unwrap(),
        token_id: "t1".into(),
        issued_at: now,
        expires_at: now.plus(Duration::from_secs(300)),
        ..Claims::default()
    }
}

/// Instances as the catalog has them.
fn described(instances: &[SocketAddr]) -> Value {
    instances
        .iter()
        .map(|address| json!({ "instance": address.to_string(), "url": format!("http://{address}") }))
        .collect()
}

/// A configuration of one worker.
pub(crate) fn config(text: &str) -> Config {
    let config: Config = toml::from_str(text).unwrap();
    Config { workers: 1, ..config }
}

/// Waits for a condition; the test's own timeout ends it.
pub(crate) async fn until(mut is_met: impl AsyncFnMut() -> bool) {
    while !is_met().await {
        tokio::task::yield_now().await;
    }
}

/// The status and the slug of a problem, and its detail.
pub(crate) async fn problem(response: reqwest::Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["status"], status);
    let urn = body["type"].as_str().unwrap();
    let slug = urn.strip_prefix("urn:lombard:error:").unwrap().to_owned();
    (status, slug, body["detail"].as_str().unwrap_or_default().to_owned())
}

/// A port that nobody listens on.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An HTTP server that answers what it got, as JSON.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    name: &'static str,
    requests: Arc<AtomicUsize>,
    /// What it answers whatever it is asked; 0 for what it is asked for.
    status: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Upstream {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let own = Self {
            address,
            name,
            requests: Arc::default(),
            status: Arc::default(),
            stop: CancellationToken::new(),
        };
        let router = Router::new().fallback(echo).with_state(own.clone());
        let stop = own.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                served = axum_serve(listener, router, stop.clone()) => served,
            }
        });
        own
    }

    /// Answers everything with this status from now on.
    pub(crate) fn always_answer(&self, status: u16) {
        self.status.store(status.into(), SeqCst);
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }

    /// Closes the socket and all connections at once.
    pub(crate) fn kill(&self) {
        self.stop.cancel();
    }
}

async fn axum_serve(listener: tokio::net::TcpListener, router: Router, stop: CancellationToken) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                served = connection => drop(served),
            }
        });
    }
}

async fn echo(State(upstream): State<Upstream>, request: Request) -> Response {
    upstream.requests.fetch_add(1, SeqCst);
    if let Some(status) =
        u16::try_from(upstream.status.load(SeqCst)).ok().filter(|status| *status > 0)
    {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if path.ends_with("/stream-back") {
        return Response::new(body);
    }
    let bytes = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
        .collect();
    let status =
        path.rsplit_once("/status/").and_then(|(_, code)| code.parse().ok()).unwrap_or(200);
    let answer = json!({
        "upstream": upstream.name,
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body_bytes": bytes.len(),
    });
    let own = [("connection", "x-own"), ("x-own", "1"), ("x-kept", "1")];
    (StatusCode::from_u16(status).unwrap(), own, Json(answer)).into_response()
}

/// The index and the services, and how often they could not be said.
type Registry = (watch::Receiver<(u64, Value)>, Arc<AtomicUsize>);

async fn answer_catalog(
    State((mut services, failed)): State<Registry>,
    Query(query): Query<std::collections::HashMap<String, u64>>,
    headers: HeaderMap,
) -> Response {
    if headers.get("authorization").is_none_or(|value| value != &format!("Bearer {REGISTRY_TOKEN}"))
    {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(known) = query.get("index") {
        let wait = Duration::from_secs(query["wait_seconds"]);
        let changed = services.wait_for(|(index, _)| index > known);
        drop(tokio::time::timeout(wait, changed).await);
    }
    let (index, services) = services.borrow().clone();
    if services.is_null() {
        failed.fetch_add(1, SeqCst);
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({ "index": index, "services": services })).into_response()
}

pub(crate) fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = lombard_chassis::Server {
        router,
        limits: lombard_chassis::ServerLimits::default(),
        metrics: lombard_chassis::Metrics::default(),
    };
    tokio::spawn(lombard_chassis::serve(listener, server, CancellationToken::new()));
    address
}

struct FixedToken;

impl TokenSource for FixedToken {
    fn token(&self, resource: Resource) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            Ok(match resource {
                Resource::Gateway => sign(&KEY, &format!("{ISSUER}/v1/gateway"), "gateway:limits"),
                _ => REGISTRY_TOKEN.to_owned(),
            })
        })
    }
}

struct FixedKeys(Jwks);

impl KeySource for FixedKeys {
    fn fetch(&self) -> BoxFuture<'_, Result<Jwks, KeySourceError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}
