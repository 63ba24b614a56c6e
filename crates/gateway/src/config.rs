//! The gateway's limits, each with its unit.

use std::{path::Path, time::Duration};

use lombard_chassis::config::{self, ConfigError};
use serde::{Deserialize, Serialize};

use crate::{otlp::Collector, settings::ClientAuthSettings};

/// How the gateway is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Threads, each with its own connections and its own pool to the upstreams; 0: one per core, at most 4.
    pub workers: usize,
    /// Connections of one worker at once; more wait in the listen queue of the system.
    pub connections_max: usize,
    /// Longest body of a request.
    pub request_body_bytes_max: u64,
    /// Bytes of a request's head.
    pub head_bytes_max: usize,
    /// Header lines of a request, and of a response.
    pub headers_max: usize,
    /// How long a request's head may take to arrive, also on an idle connection.
    pub head_timeout_ms: u64,
    /// How long a connection to an upstream may take.
    pub connect_timeout_ms: u64,
    /// How long an upstream may take to begin its response, counted from the last byte it was sent.
    pub response_timeout_ms: u64,
    /// Idle connections to one upstream address that a worker keeps.
    pub pool_idle_max: usize,
    /// How long a worker keeps one. Below the time after which upstreams close idle connections, so that they seldom
    /// do it while a request is on its way.
    pub pool_idle_ms_max: u64,
    /// Services whose tokens are verified with memory of their own.
    pub services_max: usize,
    /// How long requests under way may take after the drain began.
    pub drain_timeout_ms: u64,
    /// Requests of one worker under way at once.
    pub in_flight_max: usize,
    /// Callers and routes that limits remember.
    pub limit_entries_max: usize,
    /// Other gateways that keep the same limits.
    pub limit_peers: Vec<String>,
    /// How often they are told what was let through.
    pub limit_exchange_ms: u64,
    /// The zone of this gateway.
    pub zone: Option<String>,
    /// Whether every registered service can be reached without a route.
    pub expose_services: bool,
    /// Networks whose word on the client's address is believed.
    pub trusted_proxies: Vec<String>,
    /// Whether answers get the usual security headers.
    pub security_headers: bool,
    /// Where clients connect with TLS.
    pub tls_listen: Option<std::net::SocketAddr>,
    /// Whether they show certificates there.
    pub client_auth: ClientAuthSettings,
    /// The authorities whose client certificates are taken.
    pub client_ca_file: Option<std::path::PathBuf>,
    /// Requests of one HTTP/2 connection under way at once.
    pub http2_streams_max: u32,
    /// How long nothing may move in a tunnel.
    pub tunnel_idle_ms_max: u64,
    /// How long a request with an Idempotency-Key that the gateway keeps may take before its outcome counts as unknown.
    pub idempotency_ms_max: u64,
    /// Longest body of a response that is kept.
    pub idempotency_response_bytes_max: usize,
    /// Where a line for each request goes: a file, or `-` for standard output.
    pub access_log: Option<std::path::PathBuf>,
    /// Whether an event is appended for each request that may change something.
    pub audit: bool,
    /// Where spans of requests go: a collector that takes OTLP over HTTP, in JSON.
    pub otlp_traces_url: Option<String>,
    /// Who has signed the collector's certificate, where its URL is `https://`.
    pub otlp_ca_file: Option<std::path::PathBuf>,
    /// New traces that are recorded.
    pub trace_percent: u32,
    /// How often the files of TLS are looked at.
    pub certificate_check_ms: u64,
    /// What clients are shown with TLS. This and the four below are read one by one, so that all mistakes are found.
    pub certificate: Vec<serde_json::Value>,
    /// Other authorization servers.
    pub issuer: Vec<serde_json::Value>,
    /// Keys that stand for tokens.
    pub api_key: Vec<serde_json::Value>,
    /// Where requests can be sent.
    pub upstream: Vec<serde_json::Value>,
    /// Which requests, where to.
    pub route: Vec<serde_json::Value>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 0,
            connections_max: 4096,
            request_body_bytes_max: 16 << 20,
            head_bytes_max: 32 << 10,
            headers_max: 100,
            head_timeout_ms: 60_000,
            connect_timeout_ms: 2000,
            response_timeout_ms: 30_000,
            pool_idle_max: 64,
            pool_idle_ms_max: 20_000,
            services_max: 1024,
            drain_timeout_ms: 10_000,
            in_flight_max: 8192,
            limit_entries_max: 200_000,
            limit_peers: Vec::new(),
            limit_exchange_ms: 200,
            zone: None,
            expose_services: true,
            trusted_proxies: Vec::new(),
            security_headers: true,
            tls_listen: None,
            client_auth: ClientAuthSettings::None,
            client_ca_file: None,
            http2_streams_max: 128,
            tunnel_idle_ms_max: 600_000,
            idempotency_ms_max: 120_000,
            idempotency_response_bytes_max: 64 << 10,
            access_log: None,
            audit: false,
            otlp_traces_url: None,
            otlp_ca_file: None,
            trace_percent: 100,
            certificate_check_ms: 10_000,
            certificate: Vec::new(),
            issuer: Vec::new(),
            api_key: Vec::new(),
            upstream: Vec::new(),
            route: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the table `[gateway]` of a file, and the environment over it. There may be thousands of routes: the lists are taken
    /// as the file has them.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        const LISTS: [&str; 5] = ["certificate", "issuer", "api_key", "upstream", "route"];
        let overrides = serde_json::json!({});
        let (mut config, mut lists) =
            config::load_with_lists::<Self>("gateway", file, &LISTS, overrides)?;
        for (name, list) in LISTS.into_iter().zip(config.lists()) {
            // What the environment says is over the file.
            if list.is_empty() {
                *list = lists.remove(name).unwrap_or_default();
            }
        }
        Ok(config)
    }

    /// What a worker needs of it: all but what is in the table of routes.
    pub(crate) fn of_worker(&self) -> Self {
        let [certificate, issuer, api_key, upstream, route] = [const { Vec::new() }; 5];
        Self { certificate, issuer, api_key, upstream, route, ..self.clone() }
    }

    const fn lists(&mut self) -> [&mut Vec<serde_json::Value>; 5] {
        let Self { certificate, issuer, api_key, upstream, route, .. } = self;
        [certificate, issuer, api_key, upstream, route]
    }

    /// Every mistake in it, one line each.
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = self.own_mistakes();
        mistakes.append(&mut crate::table::mistakes(self));
        mistakes
    }

    /// Those that are not in upstreams, routes, issuers, keys or certificates.
    pub(crate) fn own_mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut expect = |is_right: bool, mistake: &str| {
            if !is_right {
                mistakes.push(mistake.to_owned());
            }
        };
        expect(self.workers <= 256, "workers is over 256");
        expect(self.connections_max > 0, "connections_max is 0");
        expect(self.head_bytes_max >= 8192, "head_bytes_max is below 8192");
        expect(self.headers_max >= 16, "headers_max is below 16");
        expect(self.head_timeout_ms > 0, "head_timeout_ms is 0");
        expect(self.connect_timeout_ms > 0, "connect_timeout_ms is 0");
        expect(self.response_timeout_ms > 0, "response_timeout_ms is 0");
        expect(self.services_max > 0, "services_max is 0");
        expect(self.http2_streams_max > 0, "http2_streams_max is 0");
        expect(
            self.idempotency_ms_max > self.response_timeout_ms,
            "idempotency_ms_max is not over response_timeout_ms",
        );
        expect(
            self.idempotency_response_bytes_max <= 128 << 10,
            "idempotency_response_bytes_max is over 131072",
        );
        expect(self.certificate_check_ms >= 10, "certificate_check_ms is below 10");
        expect(self.tunnel_idle_ms_max > 0, "tunnel_idle_ms_max is 0");
        expect(self.in_flight_max > 0, "in_flight_max is 0");
        expect(self.limit_entries_max >= 64, "limit_entries_max is below 64");
        expect(self.limit_peers.len() <= 64, "limit_peers has more than 64 entries");
        let has_port = |peer: &String| {
            let port = peer.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
        };
        expect(
            self.limit_peers.iter().all(has_port),
            "limit_peers has an entry that is not host:port",
        );
        expect(self.limit_exchange_ms >= 10, "limit_exchange_ms is below 10");
        expect(self.trace_percent <= 100, "trace_percent is over 100");
        expect(
            self.otlp_ca_file.is_none() || self.otlp_traces_url.is_some(),
            "otlp_ca_file is said, but no otlp_traces_url",
        );
        let collector = self.otlp_traces_url.as_deref();
        let collector = collector.map(|url| Collector::new(url, self.otlp_ca_file.as_deref()));
        mistakes.extend(collector.and_then(Result::err));
        mistakes
    }

    pub(crate) fn worker_count(&self) -> usize {
        const DEFAULT_MAX: usize = 4;
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(DEFAULT_MAX),
            count => count,
        }
    }

    pub(crate) const fn head_timeout(&self) -> Duration {
        Duration::from_millis(self.head_timeout_ms)
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) const fn response_timeout(&self) -> Duration {
        Duration::from_millis(self.response_timeout_ms)
    }

    pub(crate) const fn pool_idle(&self) -> Duration {
        Duration::from_millis(self.pool_idle_ms_max)
    }

    pub(crate) const fn certificate_check(&self) -> Duration {
        Duration::from_millis(self.certificate_check_ms)
    }

    pub(crate) const fn limit_exchange(&self) -> Duration {
        Duration::from_millis(self.limit_exchange_ms)
    }

    pub(crate) const fn idempotency_time(&self) -> Duration {
        Duration::from_millis(self.idempotency_ms_max)
    }

    pub(crate) const fn tunnel_idle(&self) -> Duration {
        Duration::from_millis(self.tunnel_idle_ms_max)
    }

    pub(crate) const fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(Config::default().mistakes(), Vec::<String>::new());
        let config = Config { connections_max: 0, head_bytes_max: 1, ..Config::default() };
        assert_eq!(config.mistakes().len(), 2);
    }
}
