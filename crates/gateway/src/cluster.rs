//! An upstream: its instances at this moment, and what is known of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use lombard_gateway_core::{
    BalanceRules, Breaker, BreakerRules, BreakerState, Load, OutlierRules, Outliers, PeakEwma,
    RetryBudget, choose,
};
use lombard_types::ServiceName;
use parking_lot::Mutex;

use crate::tls::UpstreamTls;

/// The clock of balancing: time since the gateway started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }
}

/// As a number of milliseconds that wraps around.
#[expect(clippy::cast_possible_truncation, reason = "the clock of latencies wraps around")]
const fn wrapping_ms(now: Duration) -> u32 {
    now.as_millis() as u32
}

/// Where an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `host:port`
    pub(crate) authority: Box<str>,
    pub(crate) zone: Option<Box<str>>,
}

/// How the instances of an upstream are spoken to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transport {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<UpstreamTls>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protocol {
    #[default]
    Http1,
    Http2,
}

/// Told apart in pools, also from an earlier one at the same address.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// One instance. Workers share what is counted.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: u64,
    pub(crate) transport: Arc<Transport>,
    /// `host:port`
    pub(crate) authority: Box<str>,
    /// The same, as the Host header.
    pub(crate) host: HeaderValue,
    zone: Option<Box<str>>,
    is_near: bool,
    since: Duration,
    in_flight: AtomicU32,
    latency: AtomicU64,
    /// Whether it failed since it last answered: an answer is then told to the outliers.
    has_failed: AtomicBool,
    /// In milliseconds since the gateway started.
    ejected_until_ms: AtomicU64,
}

impl Endpoint {
    /// `None` where the authority cannot be a Host header.
    fn new(
        address: &Address,
        transport: &Arc<Transport>,
        own_zone: Option<&str>,
        since: Duration,
    ) -> Option<Self> {
        let is_near = match (&address.zone, own_zone) {
            (Some(zone), Some(own)) => **zone == *own,
            _ => true,
        };
        Some(Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            transport: Arc::clone(transport),
            authority: address.authority.clone(),
            host: HeaderValue::from_str(&address.authority).ok()?,
            zone: address.zone.clone(),
            is_near,
            since,
            in_flight: AtomicU32::new(0),
            latency: AtomicU64::new(PeakEwma::default().to_bits()),
            has_failed: AtomicBool::new(false),
            ejected_until_ms: AtomicU64::new(0),
        })
    }

    fn load(&self, now: Duration) -> Load {
        Load {
            in_flight: self.in_flight.load(Relaxed),
            latency: PeakEwma::from_bits(self.latency.load(Relaxed)),
            now_ms: wrapping_ms(now),
            is_ejected: Duration::from_millis(self.ejected_until_ms.load(Relaxed)) > now,
            is_tried: false,
            is_near: self.is_near,
            age: now.saturating_sub(self.since),
        }
    }
}

/// Where the instances of an upstream come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A role of the platform.
    Role,
    /// The registry.
    Service(ServiceName),
    /// A list.
    Static,
    /// The addresses of a host name, asked for again after a while.
    Dns { host: Box<str>, port: u16, refresh: Duration },
}

/// How an upstream is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClusterRules {
    pub(crate) balance: BalanceRules,
    pub(crate) outliers: OutlierRules,
    pub(crate) breaker: BreakerRules,
    /// Retries in percent of first tries.
    pub(crate) retry_percent: u32,
    /// Requests under way at once.
    pub(crate) in_flight_max: usize,
}

impl Default for ClusterRules {
    fn default() -> Self {
        Self {
            balance: BalanceRules { slow_start: Duration::from_secs(10), spill_over_in_flight: 32 },
            outliers: OutlierRules {
                failures: 3,
                ejection: Duration::from_millis(500),
                ejection_max: Duration::from_secs(30),
                ejected_percent_max: 50,
            },
            breaker: BreakerRules {
                failure_percent: 80,
                requests_min: 20,
                window: Duration::from_secs(10),
                open: Duration::from_secs(2),
            },
            retry_percent: 20,
            in_flight_max: 4096,
        }
    }
}

/// A role, a service, or an upstream of the configuration.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: Box<str>,
    pub(crate) source: Source,
    pub(crate) rules: ClusterRules,
    pub(crate) transport: Arc<Transport>,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Touched when an instance fails, and when one that failed answers again.
    outliers: Mutex<Outliers>,
    /// Touched when a request fails, and while it is not closed.
    breaker: Mutex<Breaker>,
    is_tripped: AtomicBool,
    /// Requests that ended well since the breaker was last told.
    successes: AtomicU32,
    budget: AtomicU32,
    in_flight: AtomicUsize,
}

/// What became of a request at an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer.
    Answered { latency: Duration },
    /// An answer that says that the instance is not well (5xx). It counts against the instance; against the upstream as a
    /// whole only where it says that it was not served (502, 503, 504).
    Unwell { latency: Duration, is_unserved: bool },
    /// No answer.
    Failed,
}

impl Cluster {
    pub(crate) fn new(name: &str, source: Source, rules: ClusterRules) -> Self {
        Self::with_transport(name, source, rules, Transport::default())
    }

    pub(crate) fn with_transport(
        name: &str,
        source: Source,
        rules: ClusterRules,
        transport: Transport,
    ) -> Self {
        Self {
            transport: Arc::new(transport),
            name: name.into(),
            source,
            rules,
            endpoints: ArcSwap::default(),
            outliers: Mutex::default(),
            breaker: Mutex::default(),
            is_tripped: AtomicBool::new(false),
            successes: AtomicU32::new(0),
            budget: AtomicU32::new(RetryBudget::default().to_bits()),
            in_flight: AtomicUsize::new(0),
        }
    }

    pub(crate) fn is_role(&self) -> bool {
        self.source == Source::Role
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.load().is_empty()
    }

    /// Replaces the instances. Those that stay keep what is known of them.
    pub(crate) fn set_members(&self, addresses: &[Address], own_zone: Option<&str>, now: Duration) {
        let mut outliers = self.outliers.lock();
        let known = self.endpoints.load();
        let endpoint = |address: &Address| {
            let is_same = |known: &&Arc<Endpoint>| {
                known.authority == address.authority && known.zone == address.zone
            };
            let kept = known.iter().find(is_same).cloned();
            kept.or_else(|| Endpoint::new(address, &self.transport, own_zone, now).map(Arc::new))
        };
        let mut endpoints: Vec<Arc<Endpoint>> = Vec::with_capacity(addresses.len());
        for endpoint in addresses.iter().filter_map(endpoint) {
            if !endpoints.iter().any(|other| other.authority == endpoint.authority) {
                endpoints.push(endpoint);
            }
        }
        let names = endpoints.iter().map(|endpoint| &*endpoint.authority);
        outliers.set_members(names, &self.rules.outliers, now);
        for endpoint in &endpoints {
            show_ejection(endpoint, outliers.ejected_until(&endpoint.authority));
        }
        self.endpoints.store(Arc::new(endpoints));
    }

    /// Takes over what another one knows of the same instances.
    pub(crate) fn inherit(&self, other: &Self) {
        let mut outliers = self.outliers.lock();
        *outliers = other.outliers.lock().clone();
        self.endpoints.store(other.endpoints.load_full());
    }

    /// The instance for the next try; counted as busy until the guard is dropped.
    pub(crate) fn choose(
        &self,
        tried: &[Arc<Endpoint>],
        now: Duration,
        random: u64,
    ) -> Option<Busy> {
        let endpoints = self.endpoints.load();
        let load = |index: usize| {
            let Some(endpoint) = endpoints.get(index) else { return Load::default() };
            let is_tried = tried.iter().any(|other| Arc::ptr_eq(other, endpoint));
            Load { is_tried, ..endpoint.load(now) }
        };
        let index = choose(endpoints.len(), load, &self.rules.balance, random)?;
        let endpoint = Arc::clone(endpoints.get(index)?);
        endpoint.in_flight.fetch_add(1, Relaxed);
        Some(Busy(endpoint))
    }

    /// Whether a request may be sent; counted until the guard is dropped.
    pub(crate) fn admit(self: &Arc<Self>, now: Duration) -> Result<Admitted, NotAdmitted> {
        if self.is_tripped.load(Relaxed) {
            let admitted = self.breaker.lock().admit(&self.rules.breaker, now);
            admitted.map_err(|wait| NotAdmitted::CircuitOpen { wait })?;
        }
        let admitted = Admitted(Arc::clone(self));
        if self.in_flight.fetch_add(1, Relaxed) >= self.rules.in_flight_max {
            return Err(NotAdmitted::Full);
        }
        self.change_budget(|budget| budget.sent(self.rules.retry_percent));
        Ok(admitted)
    }

    /// Whether a request may be sent once more.
    pub(crate) fn take_retry(&self) -> bool {
        let mut is_taken = false;
        self.change_budget(|budget| is_taken = budget.take());
        is_taken
    }

    fn change_budget(&self, mut change: impl FnMut(&mut RetryBudget)) {
        let mut before = self.budget.load(Relaxed);
        loop {
            let mut budget = RetryBudget::from_bits(before);
            change(&mut budget);
            let after = budget.to_bits();
            // A budget that is full stays so without being written.
            if after == before {
                return;
            }
            match self.budget.compare_exchange_weak(before, after, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(other) => before = other,
            }
        }
    }

    /// A request at an instance ended.
    pub(crate) fn record(&self, endpoint: &Endpoint, outcome: Outcome, now: Duration) {
        if let Outcome::Answered { latency } | Outcome::Unwell { latency, .. } = outcome {
            let ewma = PeakEwma::from_bits(endpoint.latency.load(Relaxed));
            let ewma = ewma.observe(latency, wrapping_ms(now));
            // Another worker's observation may be lost: the next one comes soon.
            endpoint.latency.store(ewma.to_bits(), Relaxed);
        }
        if let Outcome::Answered { .. } = outcome {
            if endpoint.has_failed.load(Relaxed) {
                endpoint.has_failed.store(false, Relaxed);
                self.outliers.lock().succeeded(&endpoint.authority, now);
            }
        } else {
            endpoint.has_failed.store(true, Relaxed);
            let mut outliers = self.outliers.lock();
            if let Some(until) = outliers.failed(&endpoint.authority, &self.rules.outliers, now) {
                show_ejection(endpoint, Some(until));
                tracing::warn!(
                    upstream = &*self.name,
                    endpoint = &*endpoint.authority,
                    "ejected: it fails"
                );
            }
        }
        let is_failure =
            matches!(outcome, Outcome::Failed | Outcome::Unwell { is_unserved: true, .. });
        self.tell_breaker(is_failure, now);
    }

    fn tell_breaker(&self, is_failure: bool, now: Duration) {
        if !is_failure && !self.is_tripped.load(Relaxed) {
            self.successes.fetch_add(1, Relaxed);
            return;
        }
        let mut breaker = self.breaker.lock();
        let successes = self.successes.swap(0, Relaxed) + u32::from(!is_failure);
        if breaker.record(successes, u32::from(is_failure), &self.rules.breaker, now) {
            tracing::warn!(
                upstream = &*self.name,
                "the circuit breaker is open: too many failures"
            );
        }
        let is_closed = matches!(breaker.state(), BreakerState::Closed { .. });
        self.is_tripped.store(!is_closed, Relaxed);
    }

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

fn show_ejection(endpoint: &Endpoint, until: Option<Duration>) {
    let until = until.map_or(0, |until| u64::try_from(until.as_millis()).unwrap_or(u64::MAX));
    endpoint.ejected_until_ms.store(until, Relaxed);
}

/// Why a request is not sent to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAdmitted {
    CircuitOpen { wait: Duration },
    Full,
}

/// A request that an upstream has admitted.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Cluster>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A request at an instance.
#[derive(Debug)]
pub(crate) struct Busy(pub(crate) Arc<Endpoint>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(authorities: &[&str]) -> Vec<Address> {
        let address = |authority: &&str| Address { authority: (*authority).into(), zone: None };
        authorities.iter().map(address).collect()
    }

    fn cluster(authorities: &[&str]) -> Arc<Cluster> {
        let cluster = Cluster::new("payments", Source::Static, ClusterRules::default());
        cluster.set_members(&addresses(authorities), None, Duration::ZERO);
        Arc::new(cluster)
    }

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn an_instance_that_stays_keeps_its_counts() {
        let cluster = cluster(&["a:1", "b:1"]);
        let busy = cluster.choose(&[], NOW, 0).unwrap();
        let stays = busy.0.authority.to_string();
        cluster.set_members(&addresses(&[&stays, "c:1", "c:1"]), None, NOW);
        let after = cluster.endpoints.load_full();
        assert_eq!(after.len(), 2);
        assert!(Arc::ptr_eq(&busy.0, &after[0]));
        assert_eq!(after[0].load(NOW).in_flight, 1);
        drop(busy);
        assert_eq!(after[0].load(NOW).in_flight, 0);
        cluster.set_members(&[], None, NOW);
        assert!(cluster.is_empty());
    }

    #[test]
    fn an_instance_that_fails_is_avoided_until_it_is_the_last() {
        let cluster = cluster(&["a:1", "b:1"]);
        let endpoints = cluster.endpoints.load_full();
        for _ in 0..3 {
            cluster.record(&endpoints[0], Outcome::Failed, NOW);
        }
        for random in 0..50_u64 {
            let busy = cluster.choose(&[], NOW, random << 32 | random).unwrap();
            assert_eq!(&*busy.0.authority, "b:1");
        }
        for _ in 0..10 {
            cluster.record(&endpoints[1], Outcome::Failed, NOW);
        }
        assert!(!endpoints[1].load(NOW).is_ejected, "never all of them");
        assert!(!endpoints[0].load(NOW + Duration::from_secs(1)).is_ejected);
    }

    #[test]
    fn the_breaker_opens_on_failures_and_lets_one_try_later() {
        let cluster = cluster(&["a:1"]);
        let endpoint = Arc::clone(&cluster.endpoints.load()[0]);
        let well = Outcome::Answered { latency: Duration::from_millis(1) };
        for _ in 0..4 {
            cluster.record(&endpoint, well, NOW);
        }
        for _ in 0..16 {
            drop(cluster.admit(NOW).unwrap());
            cluster.record(&endpoint, Outcome::Failed, NOW);
        }
        assert!(matches!(cluster.admit(NOW), Err(NotAdmitted::CircuitOpen { .. })));
        let later = NOW + Duration::from_secs(2);
        let probe = cluster.admit(later).unwrap();
        assert!(cluster.admit(later).is_err());
        cluster.record(&endpoint, well, later);
        drop(probe);
        assert!(cluster.admit(later).is_ok());
        assert_eq!(cluster.in_flight.load(Relaxed), 0);
    }

    #[test]
    fn the_limit_of_requests_and_of_retries() {
        let rules = ClusterRules { in_flight_max: 1, ..ClusterRules::default() };
        let cluster = Arc::new(Cluster::new("x", Source::Static, rules));
        let first = cluster.admit(NOW).unwrap();
        assert_eq!(cluster.admit(NOW).unwrap_err(), NotAdmitted::Full);
        drop(first);
        assert!(cluster.admit(NOW).is_ok());
        assert_eq!((0..20).filter(|_| cluster.take_retry()).count(), 10);
    }
}
