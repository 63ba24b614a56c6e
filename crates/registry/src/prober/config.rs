//! The limits of the checks that the registry makes itself.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// `[registry.checks]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChecksConfig {
    /// What may be asked: an address outside of these is never connected to, whatever name leads there.
    pub networks: Vec<IpNet>,
    /// The shortest interval that may be asked for.
    pub interval_ms_min: u32,
    /// The longest.
    pub interval_ms_max: u32,
    /// The longest time for an answer that may be asked for.
    pub timeout_ms_max: u32,
    /// Questions under way at once; more wait.
    pub in_flight_max: usize,
}

impl Default for ChecksConfig {
    /// This machine and private networks (RFC 1918, RFC 6598, RFC 4193).
    fn default() -> Self {
        let networks = [
            ([127, 0, 0, 0], 8),
            ([10, 0, 0, 0], 8),
            ([172, 16, 0, 0], 12),
            ([192, 168, 0, 0], 16),
            ([100, 64, 0, 0], 10),
        ];
        let v4 = networks.map(|(address, bits)| (IpAddr::from(address), bits));
        let v6 = [([0, 0, 0, 0, 0, 0, 0, 1], 128), ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7)];
        let v6 = v6.map(|(address, bits): ([u16; 8], u8)| (IpAddr::from(address), bits));
        let networks = v4.into_iter().chain(v6);
        Self {
            networks: networks.map(|(address, bits)| IpNet::new_assert(address, bits)).collect(),
            interval_ms_min: 1000,
            interval_ms_max: 3_600_000,
            timeout_ms_max: 30_000,
            in_flight_max: 256,
        }
    }
}

impl ChecksConfig {
    /// Every mistake in it, one line each.
    pub(crate) fn mistakes(&self) -> Vec<&'static str> {
        [
            (self.interval_ms_min > 0, "checks.interval_ms_min is 0"),
            (
                self.interval_ms_min <= self.interval_ms_max,
                "checks.interval_ms_min is over checks.interval_ms_max",
            ),
            (self.timeout_ms_max > 0, "checks.timeout_ms_max is 0"),
            (self.in_flight_max > 0, "checks.in_flight_max is 0"),
        ]
        .into_iter()
        .filter_map(|(is_right, mistake)| (!is_right).then_some(mistake))
        .collect()
    }

    pub(super) fn may_ask(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(ChecksConfig::default().mistakes(), Vec::<&str>::new());
        let config = ChecksConfig {
            networks: Vec::new(),
            interval_ms_min: 0,
            interval_ms_max: 0,
            timeout_ms_max: 0,
            in_flight_max: 0,
        };
        assert_eq!(config.mistakes().len(), 3);
        let config = ChecksConfig { interval_ms_max: 999, ..ChecksConfig::default() };
        assert_eq!(config.mistakes().len(), 1);
    }

    #[test]
    fn private_networks_may_be_asked_and_others_may_not() {
        let config = ChecksConfig::default();
        for (address, may) in [
            ("127.0.0.1", true),
            ("10.9.8.7", true),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:10.0.0.1", true),
            ("169.254.169.254", false),
            ("::ffff:169.254.169.254", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(config.may_ask(address.parse().unwrap()), may, "{address}");
        }
    }
}
