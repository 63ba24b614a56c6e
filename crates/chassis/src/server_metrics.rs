//! What a server of HTTP counts: connections, and everything that was refused.

use std::sync::atomic::AtomicI64;

use axum::response::Response;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{Problem, ProblemType};

/// A process's counters, shared by all its servers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerMetrics {
    pub(crate) connections: Gauge<i64, AtomicI64>,
    refused: Family<LimitLabels, Counter>,
    problems: Family<ProblemLabels, Counter>,
}

/// A limit of [`crate::ServerLimits`] that a connection was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `connections_max`.
    Connections,
    /// `head_bytes_max` or `headers_max`.
    Head,
    /// `head_timeout_ms`, also of a connection that was idle for so long.
    HeadTimeout,
}

impl Limit {
    const ALL: [Self; 3] = [Self::Connections, Self::Head, Self::HeadTimeout];

    const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections_max",
            Self::Head => "head",
            Self::HeadTimeout => "head_timeout_ms",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabels {
    limit: &'static str,
}

/// The slug, of which there are as many as pages in `docs/errors`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProblemLabels {
    problem: &'static str,
}

impl ServerMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        for limit in Limit::ALL {
            drop(own.refused.get_or_create(&LimitLabels { limit: limit.name() }));
        }
        registry.register("http_connections", "HTTP connections", own.connections.clone());
        let help = "HTTP connections that were refused or ended at a limit, by the limit";
        registry.register("http_connections_refused", help, own.refused.clone());
        let help = "HTTP requests that were answered with a problem, by the problem";
        registry.register("http_problems", help, own.problems.clone());
        own
    }

    /// A connection was over a limit.
    pub(crate) fn refused(&self, limit: Limit) {
        self.refused.get_or_create(&LimitLabels { limit: limit.name() }).inc();
    }

    /// A request was answered.
    pub(crate) fn answered(&self, response: &Response) {
        let extensions = response.extensions();
        let kind = extensions.get::<Problem>().map(Problem::kind);
        if let Some(ProblemType { slug, .. }) = kind.or_else(|| extensions.get()) {
            self.problems.get_or_create(&ProblemLabels { problem: slug }).inc();
        }
    }
}
