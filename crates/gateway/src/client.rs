//! Whose address a request counts for, and whether it may call.

use std::net::IpAddr;

use http::{HeaderMap, header};
use lombard_gateway_core::{ForwardedFor, client_address};

use crate::table::Network;

/// The address of the client: the peer's, or what proxies that are trusted say of it.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if trusted.is_empty() || !is_trusted(peer) {
        return peer.to_canonical();
    }
    // A proxy writes one of the two; where both are there, the standard one counts.
    let values = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let forwarded = values(header::FORWARDED.as_str());
    if forwarded.is_empty() {
        let lists = values("x-forwarded-for");
        return client_address(peer, lists.iter().map(|list| ForwardedFor::List(list)), is_trusted);
    }
    client_address(peer, forwarded.iter().map(|value| ForwardedFor::Forwarded(value)), is_trusted)
}
