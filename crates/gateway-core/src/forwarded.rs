//! Whose request it is, where proxies before the gateway say so: `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::IpAddr;

/// What the headers say, in the order in which they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedFor<'a> {
    /// A value of `Forwarded`.
    Forwarded(&'a str),
    /// A value of `X-Forwarded-For`.
    List(&'a str),
}

/// The address of the client. Beginning with the peer, each proxy that is trusted is believed on who asked it; the first
/// that is not trusted is the client. What cannot be read ends the search: the proxy before it is the client then.
pub fn client_address<'a>(
    peer: IpAddr,
    headers: impl DoubleEndedIterator<Item = ForwardedFor<'a>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    for header in headers.rev() {
        let (ForwardedFor::Forwarded(list) | ForwardedFor::List(list)) = header;
        for element in list.rsplit(',') {
            if !is_trusted(client) {
                return client;
            }
            let node = match header {
                ForwardedFor::Forwarded(_) => node_of(element),
                ForwardedFor::List(_) => Some(element.trim()),
            };
            match node.and_then(address) {
                Some(address) => client = address,
                None => return client,
            }
        }
    }
    client
}

/// The `for` of one element of `Forwarded`.
fn node_of(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"'))
    })
}

/// An address, also with a port, and in brackets as version 6 has it.
fn address(node: &str) -> Option<IpAddr> {
    let plain = || node.parse::<IpAddr>().ok();
    let with_port = || node.parse::<std::net::SocketAddr>().ok().map(|both| both.ip());
    let in_brackets = || node.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    plain().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{ForwardedFor as F, *};

    #[test]
    fn only_trusted_proxies_are_believed() {
        // 10.x are ours.
        let is_trusted =
            |address: IpAddr| matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10);
        for (peer, headers, expected) in [
            ("1.1.1.1", &[F::List("9.9.9.9")][..], "1.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[F::List("9.9.9.9")], "9.9.9.9"),
            ("::ffff:10.0.0.1", &[F::List("9.9.9.9")], "9.9.9.9"),
            ("10.0.0.1", &[F::List("6.6.6.6, 9.9.9.9, 10.0.0.2")], "9.9.9.9"),
            ("10.0.0.1", &[F::List("6.6.6.6"), F::List("9.9.9.9,10.0.0.2")], "9.9.9.9"),
            ("10.0.0.1", &[F::List("9.9.9.9, nonsense")], "10.0.0.1"),
            ("10.0.0.1", &[F::List("9.9.9.9:4711")], "9.9.9.9"),
            (
                "10.0.0.1",
                &[F::Forwarded("for=6.6.6.6, For=\"[2001:db8::1]:47\";proto=https")],
                "2001:db8::1",
            ),
            ("10.0.0.1", &[F::Forwarded("by=10.0.0.1")], "10.0.0.1"),
            ("10.0.0.1", &[F::Forwarded("for=unknown")], "10.0.0.1"),
            ("10.0.0.1", &[F::List("10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ] {
            let client = client_address(peer.parse().unwrap(), headers.iter().copied(), is_trusted);
            assert_eq!(client, expected.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
        }
    }
}
