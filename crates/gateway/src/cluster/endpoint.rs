//! One instance of an upstream: where it is, how it is spoken to, and what is known of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http::HeaderValue;
use lombard_gateway_core::{Load, PeakEwma};

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
pub(super) const fn wrapping_ms(now: Duration) -> u32 {
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
    pub(super) zone: Option<Box<str>>,
    is_near: bool,
    since: Duration,
    pub(super) in_flight: AtomicU32,
    pub(super) latency: AtomicU64,
    /// Whether it failed since it last answered: an answer is then told to the outliers.
    pub(super) has_failed: AtomicBool,
    /// In milliseconds since the gateway started.
    pub(super) ejected_until_ms: AtomicU64,
}

impl Endpoint {
    /// `None` where the authority cannot be a Host header.
    pub(super) fn new(
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

    pub(super) fn load(&self, now: Duration) -> Load {
        let in_flight = self.in_flight.load(Relaxed);
        let ejected_until = Duration::from_millis(self.ejected_until_ms.load(Relaxed));
        // One that comes back has to show that it is well: until it has answered, one request at a time tries.
        let is_on_trial = !ejected_until.is_zero() && self.has_failed.load(Relaxed);
        Load {
            in_flight,
            latency: PeakEwma::from_bits(self.latency.load(Relaxed)),
            now_ms: wrapping_ms(now),
            is_ejected: ejected_until > now || (is_on_trial && in_flight > 0),
            is_tried: false,
            is_near: self.is_near,
            age: now.saturating_sub(self.since),
        }
    }
}
