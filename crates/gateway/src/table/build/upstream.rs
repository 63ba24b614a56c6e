//! Upstreams: where they are, and how they are used.

use std::time::Duration;

use super::{Builder, ROLES, Surroundings, is_name};
use crate::{
    cluster::{Address, ClusterRules, Protocol, Source, Transport},
    settings::{AddressSettings, ProtocolSettings, UpstreamSettings},
    tls::UpstreamTls,
};

impl<S: Surroundings> Builder<'_, S> {
    pub(super) fn upstream(&mut self, settings: &UpstreamSettings) {
        self.place = format!("upstream {}", settings.name);
        let is_name = is_name(&settings.name) && !ROLES.contains(&settings.name.as_str());
        self.check(is_name, "a name is small letters, digits and '-', and not that of a role");
        self.check(
            !self.clusters.contains_key(&*settings.name),
            "there is another one with this name",
        );
        let mut fixed = Vec::new();
        let sources =
            [settings.service.is_some(), !settings.addresses.is_empty(), settings.dns.is_some()];
        let source = match sources {
            [true, false, false] => {
                let service = settings.service.as_deref().unwrap_or_default().parse();
                self.expect("service", service).map(Source::Service)
            }
            [false, true, false] => {
                for address in &settings.addresses {
                    let (address, zone) = match address {
                        AddressSettings::Plain(address) => (address, None),
                        AddressSettings::InZone(both) => (&both.address, Some(&both.zone)),
                    };
                    if host_and_port(address).is_none() {
                        self.mistake(format_args!("addresses: {address} is not host:port"));
                    }
                    let zone = zone.map(|zone| zone.as_str().into());
                    fixed.push(Address { authority: address.as_str().into(), zone });
                }
                Some(Source::Static)
            }
            [false, false, true] => {
                let text = settings.dns.as_deref().unwrap_or_default();
                match host_and_port(text) {
                    Some((host, port)) => {
                        let refresh =
                            Duration::from_millis(settings.dns_refresh_ms.unwrap_or(5000));
                        self.check(
                            refresh >= Duration::from_millis(100),
                            "dns_refresh_ms is below 100",
                        );
                        Some(Source::Dns { host: host.into(), port, refresh })
                    }
                    None => {
                        self.mistake(format_args!("dns: {text} is not host:port"));
                        None
                    }
                }
            }
            _ => {
                self.mistake("exactly one of service, addresses and dns is needed");
                None
            }
        };
        let rules = self.cluster_rules(settings);
        let transport = self.transport(settings);
        if let Some(source) = source {
            let cluster =
                self.surroundings.cluster(&settings.name, source, rules, transport, &fixed);
            self.clusters.insert(settings.name.as_str().into(), cluster);
        }
    }

    fn transport(&mut self, settings: &UpstreamSettings) -> Transport {
        let protocol = match settings.protocol {
            ProtocolSettings::Http1 => Protocol::Http1,
            ProtocolSettings::Http2 => Protocol::Http2,
        };
        let tls = settings
            .tls
            .as_ref()
            .and_then(|tls| self.expect("tls", UpstreamTls::new(tls, protocol == Protocol::Http2)));
        Transport { protocol, tls }
    }

    fn cluster_rules(&mut self, settings: &UpstreamSettings) -> ClusterRules {
        let mut rules = ClusterRules::default();
        let set_ms = |value: Option<u64>, to: &mut Duration| {
            if let Some(ms) = value {
                *to = Duration::from_millis(ms);
            }
        };
        set_ms(settings.slow_start_ms, &mut rules.balance.slow_start);
        set_ms(settings.ejection_ms, &mut rules.outliers.ejection);
        set_ms(settings.ejection_ms_max, &mut rules.outliers.ejection_max);
        set_ms(settings.breaker_window_ms, &mut rules.breaker.window);
        set_ms(settings.breaker_open_ms, &mut rules.breaker.open);
        let set = |value: Option<u32>, to: &mut u32| *to = value.unwrap_or(*to);
        set(settings.spill_over_in_flight, &mut rules.balance.spill_over_in_flight);
        set(settings.ejection_failures, &mut rules.outliers.failures);
        set(settings.ejected_percent_max, &mut rules.outliers.ejected_percent_max);
        set(settings.breaker_failure_percent, &mut rules.breaker.failure_percent);
        set(settings.breaker_requests_min, &mut rules.breaker.requests_min);
        set(settings.retry_percent, &mut rules.retry_percent);
        rules.in_flight_max = settings.in_flight_max.unwrap_or(rules.in_flight_max);
        self.check(rules.outliers.failures > 0, "ejection_failures is 0");
        self.check(rules.in_flight_max > 0, "in_flight_max is 0");
        self.check(rules.outliers.ejected_percent_max <= 100, "ejected_percent_max is over 100");
        self.check(
            (1..=100).contains(&rules.breaker.failure_percent),
            "breaker_failure_percent is not 1 to 100",
        );
        self.check(rules.breaker.requests_min > 0, "breaker_requests_min is 0");
        self.check(rules.retry_percent <= 100, "retry_percent is over 100");
        rules
    }
}

/// `host:port`, the host also an address of version 6 in brackets.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let authority: http::uri::Authority = text.parse().ok()?;
    let port = authority.port_u16()?;
    let host = text.get(..text.rfind(':')?)?;
    let is_plain = !text.contains('@') && !host.is_empty() && port > 0;
    is_plain.then_some((host, port))
}
