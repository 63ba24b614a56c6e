//! The role as a component: made from a configuration and what it depends on, then run until it is told to drain.

use std::{convert::Infallible, sync::Arc, time::SystemTime};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use lombard_chassis::{CancellationToken, Health, Metrics, Problem, Query, problems};
use lombard_types::Timestamp;
use maud::Markup;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::{
    Config,
    credentials::Credentials,
    metrics::{ConsoleMetrics, PageResult},
    page::{self, Refresh, Stylesheet},
    read::{Http, Reader},
    tokens::Tokens,
};

/// What the role is given.
#[derive(Debug)]
pub struct Deps {
    /// Told when the role is ready.
    pub health: Health,
    /// Where the role counts.
    pub metrics: Metrics,
}

/// The console role.
#[derive(Debug)]
pub struct Console {
    shared: Shared,
    health: Health,
}

/// The role did not start.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The configuration cannot be used.
    #[error("the configuration of the console has mistakes:\n{}", mistakes.join("\n"))]
    Config {
        /// One line each.
        mistakes: Vec<String>,
    },
    /// The HTTP client could not be made.
    #[error("failed to make an HTTP client")]
    Http(#[from] reqwest::Error),
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shared {
    reader: Reader,
    metrics: ConsoleMetrics,
    stylesheet: Arc<Stylesheet>,
    pages: Arc<Semaphore>,
}

impl Console {
    /// Does not call anybody yet.
    pub fn new(config: Config, deps: Deps) -> Result<Self, NewError> {
        let mistakes = config.mistakes();
        if !mistakes.is_empty() {
            return Err(NewError::Config { mistakes });
        }
        let Deps { health, metrics } = deps;
        let metrics = ConsoleMetrics::register(&metrics);
        let http = Http::new(&config, metrics.clone())?;
        let tokens = Tokens::new(http.clone(), config.issuer.clone(), config.tokens_max);
        let pages = Arc::new(Semaphore::new(config.pages_max));
        let reader = Reader { http, tokens: Arc::new(tokens), config: Arc::new(config) };
        let stylesheet = Arc::new(Stylesheet::new());
        Ok(Self { shared: Shared { reader, metrics, stylesheet, pages }, health })
    }

    /// The pages.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/console", get(overview))
            .route(self.shared.stylesheet.path(), get(stylesheet))
            .with_state(self.shared.clone())
    }

    /// There is nothing behind the pages that runs: ready at once, until `drain` is cancelled.
    pub async fn run(self, drain: CancellationToken) -> Result<(), Infallible> {
        self.health.ready();
        drain.cancelled().await;
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    refresh: Refresh,
}

async fn overview(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Query(options): Query<Options>,
) -> Result<Response, Problem> {
    let Shared { reader, metrics, stylesheet, pages } = shared;
    let Some(credentials) = Credentials::from_headers(&headers) else {
        metrics.page(PageResult::Unauthenticated);
        return Ok(unauthenticated(&stylesheet, false));
    };
    let Ok(_permit) = pages.try_acquire() else {
        metrics.page(PageResult::Overloaded);
        return Err(Problem::new(&problems::OVERLOADED)
            .detail("too many pages at once")
            .retry_after(std::time::Duration::from_secs(1)));
    };
    let Ok(overview) = reader.read(&credentials).await else {
        metrics.page(PageResult::Unauthenticated);
        return Ok(unauthenticated(&stylesheet, true));
    };
    metrics.page(PageResult::Shown);
    let now = Timestamp::from_system_time(SystemTime::now());
    let view = page::View {
        client_id: &credentials.client_id,
        time: Timestamp::from_unix_seconds(now.unix_seconds()),
        refresh: options.refresh,
        refresh_seconds: reader.config.refresh_seconds,
        stylesheet: stylesheet.path(),
        overview: &overview,
    };
    Ok(html(StatusCode::OK, page::overview(&view)))
}

fn unauthenticated(stylesheet: &Stylesheet, is_wrong: bool) -> Response {
    let page = page::unauthenticated(stylesheet.path(), is_wrong);
    let mut response = html(StatusCode::UNAUTHORIZED, page);
    let challenge = HeaderValue::from_static("Basic realm=\"Lombard\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// No script, no frame, no form, no other site: a page that is only read.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

fn html(status: StatusCode, page: Markup) -> Response {
    let headers: [(HeaderName, &str); 8] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (status, headers, page.into_string()).into_response()
}

/// Its name changes with its content, so it may be kept for ever.
async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Stylesheet::TEXT)
}
