//! What operators ask every role: is it alive, is it ready, what has it counted.

use std::sync::Arc;

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{StatusCode, header};
use parking_lot::{Mutex, RwLock};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::Json;

/// Whether a role can do its work, and if not, why. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    obstacles: Arc<RwLock<Vec<(&'static str, String)>>>,
    notes: Arc<RwLock<Vec<(&'static str, String)>>>,
    changes: watch::Sender<()>,
}

impl Default for Health {
    fn default() -> Self {
        Self::starting()
    }
}

impl Health {
    /// Not ready yet; call [`Health::ready`] when start-up is done.
    pub fn starting() -> Self {
        let obstacles = vec![("start", "starting".to_owned())];
        let (obstacles, notes) = (Arc::new(RwLock::new(obstacles)), Arc::default());
        Self { obstacles, notes, changes: watch::Sender::new(()) }
    }

    /// Start-up is done.
    pub fn ready(&self) {
        self.clear("start");
    }

    /// Waits until nothing is in the way.
    pub async fn wait_until_ready(&self) {
        let mut changes = self.changes.subscribe();
        while !self.is_ready() && changes.changed().await.is_ok() {}
    }

    /// Tells each time that something came into the way or went out of it.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Something is in the way until [`Health::clear`] is called with the same `part`.
    pub fn obstacle(&self, part: &'static str, reason: impl Into<String>) {
        let mut obstacles = self.obstacles.write();
        obstacles.retain(|(existing, _)| *existing != part);
        obstacles.push((part, reason.into()));
        self.changes.send_replace(());
    }

    /// Nothing of this part is in the way any more.
    pub fn clear(&self, part: &'static str) {
        self.obstacles.write().retain(|(existing, _)| *existing != part);
        self.changes.send_replace(());
    }

    /// Something worth knowing of a part that is not in the way, such as how far behind it is.
    pub fn note(&self, part: &'static str, words: impl Into<String>) {
        let mut notes = self.notes.write();
        notes.retain(|(existing, _)| *existing != part);
        notes.push((part, words.into()));
    }

    /// Whether nothing is in the way.
    pub fn is_ready(&self) -> bool {
        self.obstacles.read().is_empty()
    }
}

/// A process's metrics, for `/metrics`. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// An empty set whose names all begin with `lombard_<role>_`.
    pub fn new(role: &str) -> Self {
        Self { registry: Arc::new(Mutex::new(Registry::with_prefix(format!("lombard_{role}")))) }
    }

    /// Registers a role's metrics; call once, at start.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock());
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}

/// `GET /livez`, `/readyz` and `/metrics`.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(health))
        .route("/metrics", get(encoded).with_state(metrics))
}

async fn ready(State(health): State<Health>) -> impl IntoResponse {
    let by_part = |said: &[(&'static str, String)]| -> serde_json::Map<_, _> {
        said.iter().map(|(part, words)| ((*part).to_owned(), words.clone().into())).collect()
    };
    let (obstacles, notes) = (by_part(&health.obstacles.read()), by_part(&health.notes.read()));
    let is_ready = obstacles.is_empty();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({ "ready": is_ready, "obstacles": obstacles, "notes": notes });
    (status, Json(body))
}

async fn encoded(State(metrics): State<Metrics>) -> Result<impl IntoResponse, StatusCode> {
    let text = metrics.encode().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text))
}
