//! An upstream as operators see it.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use lombard_gateway_core::BreakerState;

use super::{Cluster, Source};

impl Cluster {
    /// What is known of it, for operators.
    pub(crate) fn describe(&self, now: Duration) -> serde_json::Value {
        let endpoints = self.endpoints.load();
        let instances = endpoints.iter().map(|endpoint| {
            let load = endpoint.load(now);
            serde_json::json!({
                "address": &*endpoint.authority,
                "zone": endpoint.zone.as_deref(),
                "in_flight": load.in_flight,
                "latency_us": load.latency.expected_us(load.now_ms).round(),
                "ejected": load.is_ejected,
            })
        });
        let (source, detail) = match &self.source {
            Source::Role => ("role", None),
            Source::Service(service) => ("registry", Some(service.to_string())),
            Source::Static => ("static", None),
            Source::Dns { host, port, .. } => ("dns", Some(format!("{host}:{port}"))),
        };
        let breaker = match self.breaker.lock().state() {
            BreakerState::Closed { .. } => "closed",
            BreakerState::Open { .. } => "open",
            BreakerState::HalfOpen { .. } => "half_open",
        };
        serde_json::json!({
            "name": &*self.name,
            "source": source,
            "of": detail,
            "breaker": breaker,
            "in_flight": self.in_flight.load(Relaxed),
            "instances": instances.collect::<Vec<_>>(),
        })
    }
}
