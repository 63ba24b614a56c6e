//! What operators ask every role: is it alive, is it ready, what has it counted.

use std::sync::{Arc, OnceLock};

use axum::{Router, extract::State, response::IntoResponse, routing::get};
use http::{HeaderMap, StatusCode, header};
use parking_lot::{Mutex, RwLock};
use prometheus_client::{
    encoding::{prometheus_protobuf, text},
    registry::Registry,
};
use tokio::sync::watch;

use crate::{Json, server_metrics::ServerMetrics};

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
    server: Arc<OnceLock<ServerMetrics>>,
}

impl Metrics {
    /// An empty set whose names all begin with `lombard_<role>_`.
    pub fn new(role: &str) -> Self {
        let registry = Registry::with_prefix(format!("lombard_{role}"));
        Self { registry: Arc::new(Mutex::new(registry)), server: Arc::default() }
    }

    /// Registers a role's metrics; call once, at start.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.registry.lock());
    }

    /// What the servers of HTTP count together.
    pub(crate) fn server(&self) -> ServerMetrics {
        let register = || ServerMetrics::register(&mut self.registry.lock());
        self.server.get_or_init(register).clone()
    }

    /// The OpenMetrics text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }

    /// Prometheus' own messages (`io.prometheus.client.MetricFamily`), each with its length before it: the only form in which
    /// histograms have native buckets.
    pub fn encode_protobuf(&self) -> Result<Vec<u8>, prometheus_protobuf::EncodeError> {
        prometheus_protobuf::encode_to_vec(&self.registry.lock())
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

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROTOBUF: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

async fn encoded(
    State(metrics): State<Metrics>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, StatusCode> {
    let (media_type, body) = if prefers_protobuf(&headers) {
        (PROTOBUF, metrics.encode_protobuf().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?)
    } else {
        let text = metrics.encode().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        (OPENMETRICS, text.into_bytes())
    };
    Ok(([(header::CONTENT_TYPE, media_type), (header::VARY, "accept")], body))
}

/// Whether the caller would have Prometheus' messages at least as much as anything else (RFC 9110 section 12.5.1).
fn prefers_protobuf(headers: &HeaderMap) -> bool {
    let (mut protobuf, mut other) = (0.0_f32, 0.0_f32);
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in lists.flat_map(|list| list.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> =
            parts.filter_map(|parameter| parameter.split_once('=')).collect();
        let said = |name: &str| {
            let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim_matches('"'))
        };
        let weight = said("q").map_or(Ok(1.0), str::parse).unwrap_or(0.0);
        let is_ours = media_type.eq_ignore_ascii_case("application/vnd.google.protobuf")
            && said("proto") == Some("io.prometheus.client.MetricFamily")
            && said("encoding") == Some("delimited");
        let best = if is_ours { &mut protobuf } else { &mut other };
        *best = best.max(weight);
    }
    protobuf > 0.0 && protobuf >= other
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use prometheus_client::{
        encoding::prometheus_protobuf::prometheus_data_model::{MetricFamily, MetricType},
        metrics::{
            counter::Counter,
            histogram::{Histogram, NativeHistogramConfig},
        },
    };
    use prost::Message as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn scraped(metrics: &Metrics, accept: &str) -> (String, Vec<u8>) {
        let mut request = Request::get("/metrics").body(Body::empty()).unwrap();
        if !accept.is_empty() {
            request.headers_mut().insert(header::ACCEPT, accept.parse().unwrap());
        }
        let router = router(Health::starting(), metrics.clone());
        let response = router.oneshot(request).await.unwrap();
        let media_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        (media_type, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn metrics_come_in_the_form_that_is_asked_for() {
        let metrics = Metrics::new("test");
        let (requests, seconds) = (
            Counter::<u64>::default(),
            Histogram::new_classic_and_native([0.5, 1.0], NativeHistogramConfig::with_schema(3)),
        );
        requests.inc_by(7);
        seconds.observe(0.75);
        metrics.register(|registry| {
            registry.register("requests", "All", requests);
            registry.register("seconds", "How long", seconds);
        });
        let ours = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, expected) in [
            (String::new(), OPENMETRICS),
            ("*/*".to_owned(), OPENMETRICS),
            (ours.to_owned(), PROTOBUF),
            // Of Prometheus 2.42 and of 3, with native histograms and without.
            (
                format!(
                    "{ours},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
                ),
                PROTOBUF,
            ),
            (
                format!("{ours};q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"),
                PROTOBUF,
            ),
            (format!("application/openmetrics-text;version=1.0.0;q=0.6,{ours};q=0.5"), OPENMETRICS),
            (format!("{ours};q=0"), OPENMETRICS),
            (
                "application/vnd.google.protobuf;proto=other;encoding=delimited".to_owned(),
                OPENMETRICS,
            ),
            ("application/vnd.google.protobuf".to_owned(), OPENMETRICS),
        ] {
            assert_eq!(scraped(&metrics, &accept).await.0, expected, "{accept}");
        }
        let text = String::from_utf8(scraped(&metrics, "").await.1).unwrap();
        assert!(text.contains("lombard_test_seconds_bucket{le=\"1.0\"} 1\n"), "{text}");
        let (_, bytes) = scraped(&metrics, ours).await;
        let mut families = Vec::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
        }
        let [requests, seconds] = families.as_slice() else { panic!("{families:?}") };
        assert_eq!(
            (&*requests.name, requests.r#type()),
            ("lombard_test_requests_total", MetricType::Counter)
        );
        assert_eq!(requests.metric[0].counter.as_ref().unwrap().value, 7.0);
        assert_eq!(
            (&*seconds.name, seconds.r#type()),
            ("lombard_test_seconds", MetricType::Histogram)
        );
        let seconds = seconds.metric[0].histogram.as_ref().unwrap();
        let classic = seconds.bucket.iter().map(|bucket| bucket.cumulative_count);
        assert_eq!(classic.collect::<Vec<_>>(), [0, 1, 1]);
        // 0.75 is over 2^(-4/8) and at most 2^(-3/8): bucket -3 of those that are an eighth of a doubling wide.
        let spans: Vec<_> =
            seconds.positive_span.iter().map(|span| (span.offset, span.length)).collect();
        assert_eq!((seconds.schema, spans, &*seconds.positive_delta), (3, vec![(-3, 1)], &[1][..]));
    }
}
