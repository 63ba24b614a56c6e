//! Where the instances of an upstream come from, and how it is used.

use std::time::Duration;

use lombard_gateway_core::{BalanceRules, BreakerRules, OutlierRules};
use lombard_types::ServiceName;

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
