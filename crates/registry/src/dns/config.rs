//! How services are answered for by DNS.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use hickory_proto::rr::Name;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// `[registry.dns]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// The domain that is answered for.
    pub domain: String,
    /// Other domains that have the same names.
    pub aliases: Vec<String>,
    /// Who may ask; others are refused.
    pub networks: Vec<IpNet>,
    /// How long an answer may be kept, at most; less where a lease is shorter. 0 for not at all.
    pub ttl_seconds: u32,
    /// How long it may be kept that something is not there.
    pub negative_ttl_seconds: u32,
    /// Longest answer in one datagram, for clients that say they take as much (EDNS); 512 to 4096.
    pub udp_bytes_max: u16,
    /// Connections at once; more wait.
    pub tcp_connections_max: usize,
    /// Questions of one connection, which is closed then.
    pub tcp_questions_max: usize,
    /// How long a connection may take for its next question, and for taking its answer.
    pub tcp_idle_ms_max: u64,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            domain: "lombard.internal".to_owned(),
            aliases: vec!["consul".to_owned()],
            networks: vec![
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
            ],
            ttl_seconds: 5,
            negative_ttl_seconds: 1,
            udp_bytes_max: 1232,
            tcp_connections_max: 64,
            tcp_questions_max: 1000,
            tcp_idle_ms_max: 5000,
        }
    }
}

impl DnsConfig {
    /// The most that may be kept for: addresses that are a day old help nobody.
    const TTL_SECONDS_MAX: u32 = 86_400;

    /// Every mistake in it, one line each.
    pub(crate) fn mistakes(&self) -> Vec<&'static str> {
        let are_names = self.domains().count() == 1 + self.aliases.len();
        let ttls = [self.ttl_seconds, self.negative_ttl_seconds];
        [
            (are_names, "dns.domain or dns.aliases is no domain name"),
            (ttls.iter().all(|ttl| *ttl <= Self::TTL_SECONDS_MAX), "a TTL of dns is over 86400"),
            ((512..=4096).contains(&self.udp_bytes_max), "dns.udp_bytes_max is not 512 to 4096"),
            (self.tcp_connections_max > 0, "dns.tcp_connections_max is 0"),
            (self.tcp_questions_max > 0, "dns.tcp_questions_max is 0"),
            (self.tcp_idle_ms_max > 0, "dns.tcp_idle_ms_max is 0"),
        ]
        .into_iter()
        .filter_map(|(is_right, mistake)| (!is_right).then_some(mistake))
        .collect()
    }

    /// The domains that are answered for, as far as they are names.
    pub(super) fn domains(&self) -> impl Iterator<Item = Name> {
        let named = [&self.domain].into_iter().chain(&self.aliases);
        named.filter_map(|domain| {
            let mut name = Name::from_ascii(domain).ok().filter(|name| !name.is_root())?;
            name.set_fqdn(true);
            (name.num_labels() > 0).then_some(name)
        })
    }

    pub(super) fn may_ask(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    pub(super) const fn idle(&self) -> Duration {
        Duration::from_millis(self.tcp_idle_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_named() {
        assert_eq!(DnsConfig::default().mistakes(), Vec::<&str>::new());
        let config = DnsConfig {
            domain: ".".to_owned(),
            ttl_seconds: 86_401,
            udp_bytes_max: 511,
            tcp_connections_max: 0,
            tcp_questions_max: 0,
            tcp_idle_ms_max: 0,
            ..DnsConfig::default()
        };
        assert_eq!(config.mistakes().len(), 6);
        let config = DnsConfig { aliases: vec!["a..b".to_owned()], ..DnsConfig::default() };
        assert_eq!(config.mistakes().len(), 1);
    }

    #[test]
    fn who_may_ask_is_a_matter_of_the_network() {
        let config = DnsConfig::default();
        for (peer, may) in
            [("127.0.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)]
        {
            assert_eq!(config.may_ask(peer.parse().unwrap()), may, "{peer}");
        }
    }
}
