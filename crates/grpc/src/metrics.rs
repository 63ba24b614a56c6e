//! What the server counts.

use std::sync::atomic::AtomicI64;

use lombard_chassis::Metrics;
use lombard_proto::Code;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};

/// The server's metrics. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrpcMetrics {
    calls: Family<CallLabels, Counter>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) calls_open: Gauge<i64, AtomicI64>,
    pub(crate) connections_refused: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: &'static str,
}

impl GrpcMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let name = "grpc_calls";
            registry.register(name, "gRPC calls that have ended, by code", own.calls.clone());
            let name = "grpc_calls_open";
            registry.register(name, "gRPC calls under way", own.calls_open.clone());
            let name = "grpc_connections";
            registry.register(name, "gRPC connections", own.connections.clone());
            let (name, help) = ("grpc_connections_refused", "Connections ended for a fault");
            registry.register(name, help, own.connections_refused.clone());
        });
        own
    }

    /// The counters of a method, by code.
    pub(crate) fn of_method(&self, method: &'static str) -> MethodMetrics {
        let of_code = |code: Code| {
            self.calls.get_or_create(&CallLabels { method, code: code.name() }).clone()
        };
        MethodMetrics(Code::ALL.map(of_code))
    }
}

/// The counters of one method: found once, so that a call adds to a number and looks nothing up.
#[derive(Clone, Debug)]
pub(crate) struct MethodMetrics([Counter; Code::ALL.len()]);

impl MethodMetrics {
    pub(crate) fn ended(&self, code: Code) {
        let counter = usize::try_from(code.number()).ok().and_then(|index| self.0.get(index));
        if let Some(counter) = counter {
            counter.inc();
        }
    }
}
