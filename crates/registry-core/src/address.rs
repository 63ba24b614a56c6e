//! Where an instance is reached.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// The address of an instance: a scheme, a host and a port. Its text form is the URL `scheme://host:port`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// What is spoken at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// HTTP in clear text.
    Http,
    /// HTTP over TLS.
    Https,
    /// gRPC in clear text.
    Grpc,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Host {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Name(Box<str>),
}

/// A text is not the address of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAddressError {
    /// It does not begin with `http://`, `https://` or `grpc://`.
    #[error("must begin with http://, https:// or grpc://")]
    Scheme,
    /// It carries a user or password.
    #[error("must not carry a user or password")]
    UserInfo,
    /// It goes on after the port.
    #[error("must end with the port: no path, no query, no fragment")]
    Path,
    /// No port, or not one from 1 to 65535.
    #[error("must say a port from 1 to 65535")]
    Port,
    /// The host is neither an IP address nor a DNS name.
    #[error("the host must be an IPv4 address, an IPv6 address in brackets or a DNS name")]
    Host,
    /// The host is the unspecified address.
    #[error("the host must be an address to connect to, not the one that means all interfaces")]
    Unspecified,
    /// A link-local, multicast or broadcast address.
    #[error("a link-local, multicast or broadcast address is no service's")]
    NoInstance,
}

impl Scheme {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Http, Self::Https, Self::Grpc];

    /// Its name in URLs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
        }
    }
}

impl Address {
    /// Longest DNS name, in bytes (RFC 1035 section 2.3.4, without the root).
    const NAME_BYTES_MAX: usize = 253;

    /// What is spoken there.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host: a DNS name, or an IP address (IPv6 in brackets).
    pub fn host(&self) -> String {
        self.host.to_string()
    }

    /// The IP address, where the host is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Host::V4(address) => Some(IpAddr::V4(address)),
            Host::V6(address) => Some(IpAddr::V6(address)),
            Host::Name(_) => None,
        }
    }

    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Reads `scheme://host:port` and nothing more. Names are put into small letters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseAddressError::Scheme)?;
        let is_it = |known: &&Scheme| known.name().eq_ignore_ascii_case(scheme);
        let scheme = *Scheme::ALL.iter().find(is_it).ok_or(ParseAddressError::Scheme)?;
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(ParseAddressError::Path);
        }
        if rest.contains('@') {
            return Err(ParseAddressError::UserInfo);
        }
        let (host, port) = split_port(rest)?;
        let host: Host = host.parse()?;
        if host.is_unspecified() {
            return Err(ParseAddressError::Unspecified);
        }
        if host.is_no_instance() {
            return Err(ParseAddressError::NoInstance);
        }
        Ok(Self { scheme, host, port: parse_port(port)? })
    }
}

fn split_port(authority: &str) -> Result<(&str, &str), ParseAddressError> {
    match authority.rsplit_once(':') {
        // The last colon of `[::1]` is inside the brackets.
        Some((_, port)) if port.ends_with(']') => Err(ParseAddressError::Port),
        Some(parts) => Ok(parts),
        None => Err(ParseAddressError::Port),
    }
}

fn parse_port(text: &str) -> Result<u16, ParseAddressError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let port = is_plain.then(|| text.parse().ok()).flatten();
    port.ok_or(ParseAddressError::Port)
}

impl Host {
    const fn is_unspecified(&self) -> bool {
        match self {
            Self::V4(address) => address.is_unspecified(),
            Self::V6(address) => address.is_unspecified(),
            Self::Name(_) => false,
        }
    }

    /// Link-local addresses are where clouds serve their machines' credentials; nobody who registers may point the
    /// gateway there. Multicast and broadcast are nobody's own.
    const fn is_no_instance(&self) -> bool {
        match self {
            Self::V4(address) => {
                address.is_link_local() || address.is_multicast() || address.is_broadcast()
            }
            Self::V6(address) => {
                let mapped = match address.to_ipv4_mapped() {
                    Some(address) => address.is_link_local(),
                    None => false,
                };
                mapped || address.is_unicast_link_local() || address.is_multicast()
            }
            Self::Name(_) => false,
        }
    }
}

impl FromStr for Host {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(bracketed) = text.strip_prefix('[') {
            let inside = bracketed.strip_suffix(']').ok_or(ParseAddressError::Host)?;
            return inside.parse().map(Self::V6).map_err(|_| ParseAddressError::Host);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::V4(address));
        }
        if !is_dns_name(text) {
            return Err(ParseAddressError::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase().into()))
    }
}

fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // `127.1` or `0x7f000001` are addresses to some resolvers: a name's last label begins with a letter.
    let last_is_a_word = text
        .rsplit('.')
        .next()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_alphabetic()));
    text.len() <= Address::NAME_BYTES_MAX && last_is_a_word && text.split('.').all(is_label)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling_per_address() {
        for (text, shown) in [
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
            ("HTTP://Payments.Internal:80", "http://payments.internal:80"),
            ("http://[0:0:0:0:0:0:0:1]:65535", "http://[::1]:65535"),
            ("http://host_1.docker:1", "http://host_1.docker:1"),
            ("HTTPS://a.b:443", "https://a.b:443"),
            ("grpc://10.0.0.1:50051", "grpc://10.0.0.1:50051"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        use ParseAddressError as E;
        let long = format!("http://{}a:1", "a.".repeat(127));
        for (text, error) in [
            ("", E::Scheme),
            ("127.0.0.1:9000", E::Scheme),
            ("grpcs://127.0.0.1:9000", E::Scheme),
            ("://127.0.0.1:9000", E::Scheme),
            ("https://127.0.0.1:9000/", E::Path),
            ("ftp://127.0.0.1:9000", E::Scheme),
            ("http:/127.0.0.1:9000", E::Scheme),
            ("http://127.0.0.1:9000/", E::Path),
            ("http://127.0.0.1:9000/api", E::Path),
            ("http://127.0.0.1:9000?a=b", E::Path),
            ("http://127.0.0.1:9000#a", E::Path),
            ("http://evil.example\\@a:1", E::Path),
            ("http://user:pass@127.0.0.1:9000", E::UserInfo),
            ("http://@127.0.0.1:9000", E::UserInfo),
            ("http://127.0.0.1", E::Port),
            ("http://[::1]", E::Port),
            ("http://127.0.0.1:", E::Port),
            ("http://127.0.0.1:0", E::Port),
            ("http://127.0.0.1:080", E::Port),
            ("http://127.0.0.1:+80", E::Port),
            ("http://127.0.0.1:65536", E::Port),
            ("http://:80", E::Host),
            ("http://::1:80", E::Host),
            ("http://[::1:80", E::Host),
            ("http://[::1%25eth0]:80", E::Host),
            ("http://127.1:80", E::Host),
            ("http://0x7f000001:80", E::Host),
            ("http://256.0.0.1:80", E::Host),
            ("http://a b:80", E::Host),
            ("http://a\r\nb:80", E::Host),
            ("http://-a:80", E::Host),
            ("http://a..b:80", E::Host),
            ("http://ä:80", E::Host),
            (&long, E::Host),
            ("http://0.0.0.0:80", E::Unspecified),
            ("http://[::]:80", E::Unspecified),
            ("http://169.254.169.254:80", E::NoInstance),
            ("http://[::ffff:169.254.169.254]:80", E::NoInstance),
            ("http://[fe80::1]:80", E::NoInstance),
            ("http://224.0.0.1:80", E::NoInstance),
            ("http://[ff02::1]:80", E::NoInstance),
            ("http://255.255.255.255:80", E::NoInstance),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "((http|https|grpc)://)?\\PC*") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse(), Ok(address));
            }
        }
    }
}
