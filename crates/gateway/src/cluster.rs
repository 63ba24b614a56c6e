//! An upstream: its instances at this moment, and what is known of each.

mod describe;
mod endpoint;
mod rules;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use lombard_gateway_core::{Breaker, BreakerState, Load, Outliers, PeakEwma, RetryBudget, choose};
use parking_lot::Mutex;

use self::endpoint::wrapping_ms;
pub(crate) use self::{
    endpoint::{Address, Clock, Endpoint, Protocol, Transport},
    rules::{ClusterRules, Source},
};

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

    /// The authorities of instances that fail again and again.
    pub(crate) fn failing(&self, now: Duration) -> Vec<Box<str>> {
        self.outliers.lock().ejected_again(now).map(Into::into).collect()
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
mod tests;
