//! What a name asks for:
//!
//! ```text
//!  [TAG.]SERVICE.service[.dc1].DOMAIN
//!  _SERVICE._tcp[.service][.dc1].DOMAIN       as RFC 2782 has it; another word than tcp is a tag
//!  lombard.node[.dc1].DOMAIN
//!  HEX.addr[.dc1].DOMAIN                      the address that the hexadecimal digits are: what SRV records point to
//! ```

use std::net::IpAddr;

use hickory_proto::rr::Name;
use lombard_types::ServiceName;

use crate::view::consul::{DATACENTER, NODE};

/// What is below a name of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The domain itself.
    Apex,
    /// Instances of a service.
    Instances { service: ServiceName, tag: Option<String> },
    /// The only node.
    Node,
    /// An address by its digits.
    Address(IpAddr),
    /// Nothing, but there are names below it: resolvers that ask label by label must get past it (RFC 8020).
    Between,
    /// Nothing, nor anything below it.
    Nothing,
}

/// Reads a name below `domain`.
pub(super) fn read(name: &Name, domain: &Name) -> Asked {
    let below = name.iter().count().saturating_sub(domain.iter().count());
    let labels: Option<Vec<String>> = name
        .iter()
        .take(below)
        .map(|label| std::str::from_utf8(label).ok().map(str::to_ascii_lowercase))
        .collect();
    let Some(labels) = labels else { return Asked::Nothing };
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match labels.as_slice() {
        [] => Asked::Apex,
        [DATACENTER] => Asked::Between,
        [below @ .., DATACENTER] => read_labels(below),
        labels => read_labels(labels),
    }
}

fn read_labels(labels: &[&str]) -> Asked {
    match labels {
        ["service" | "node" | "addr"] => Asked::Between,
        [word] | [word, "service"] if word.starts_with('_') => Asked::Between,
        [service, tag, "service"] | [service, tag]
            if service.starts_with('_') && tag.starts_with('_') =>
        {
            let tag = tag.trim_start_matches('_');
            instances(service.trim_start_matches('_'), Some(tag).filter(|tag| *tag != "tcp"))
        }
        [service, "service"] => instances(service, None),
        [tag, service, "service"] => instances(service, Some(tag)),
        [NODE, "node"] => Asked::Node,
        [digits, "addr"] => address(digits).map_or(Asked::Nothing, Asked::Address),
        _ => Asked::Nothing,
    }
}

fn instances(service: &str, tag: Option<&str>) -> Asked {
    let tag = tag.map(ToOwned::to_owned);
    service.parse().map_or(Asked::Nothing, |service| Asked::Instances { service, tag })
}

/// The label that is an address.
pub(super) fn digits(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08x}", address.to_bits()),
        IpAddr::V6(address) => format!("{:032x}", address.to_bits()),
    }
}

fn address(digits: &str) -> Option<IpAddr> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    match digits.len() {
        8 => u32::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V4(bits.into())),
        32 => u128::from_str_radix(digits, 16).ok().map(|bits| IpAddr::V6(bits.into())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Asked {
        let domain = Name::from_ascii("lombard.internal.").unwrap();
        read(&Name::from_ascii(format!("{name}lombard.internal.")).unwrap(), &domain)
    }

    #[test]
    fn names_as_consul_has_them() {
        let pay = |tag: Option<&str>| {
            let (service, tag) = ("pay".parse().unwrap(), tag.map(ToOwned::to_owned));
            Asked::Instances { service, tag }
        };
        for (name, expected) in [
            ("", Asked::Apex),
            ("pay.service.", pay(None)),
            ("PAY.Service.DC1.", pay(None)),
            ("blue.pay.service.", pay(Some("blue"))),
            ("_pay._tcp.", pay(None)),
            ("_pay._tcp.service.", pay(None)),
            ("_pay._blue.service.dc1.", pay(Some("blue"))),
            ("lombard.node.", Asked::Node),
            ("7f000001.addr.", Asked::Address([127, 0, 0, 1].into())),
        ] {
            assert_eq!(asked(name), expected, "{name}");
        }
        for name in ["service.", "_tcp.", "_tcp.service.", "dc1.", "service.dc1.", "addr."] {
            assert_eq!(asked(name), Asked::Between, "{name}");
        }
        for name in
            ["*.", "pay.", "a.b.pay.service.", "pay.service.dc2.", "other.node.", "7f0001.addr."]
        {
            assert_eq!(asked(name), Asked::Nothing, "{name}");
        }
    }

    #[test]
    fn addresses_round_trip() {
        for address in ["127.0.0.1", "10.0.0.255", "::1", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(super::address(&digits(address)), Some(address));
        }
    }
}
