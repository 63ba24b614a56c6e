//! Where a browser may be sent with an answer (RFC 6749 section 3.1.2, RFC 9700 section 4.1).

use std::{fmt, str::FromStr};

/// A redirect URI of a client: `https://`, `http://` on a loopback address, or a scheme of a native app's own such as
/// `com.example.app:/done` (RFC 8252).
///
/// Requests are compared with it as it stands, byte for byte. The one exception is the port of a loopback address that was
/// registered without one: a native app listens on whatever port is free (RFC 8252 section 7.3).
#[derive(Clone, PartialEq, Eq)]
pub struct RedirectUri(Box<str>);

/// A text is not a redirect URI that can be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a redirect URI is absolute, without fragment, user, '*', '\\', '..' or parameters of an answer, at most 500 bytes: \
     https, http on 127.0.0.1, [::1] or localhost, or a scheme of your own domain such as com.example.app:/done"
)]
pub struct ParseRedirectUriError;

/// Loopback addresses whose port is free (RFC 8252 section 7.3 and 8.3: not the name, which may be resolved elsewhere).
const LOOPBACK: [&str; 2] = ["127.0.0.1", "[::1]"];
/// Parameters that an answer adds: one that is there already could be taken for the answer.
const ANSWER_PARAMETERS: [&str; 9] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "response",
    "id_token",
    "access_token",
];

impl RedirectUri {
    const BYTES_MAX: usize = 500;

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a server is there, and not an app on a device.
    pub fn is_http(&self) -> bool {
        self.0.starts_with("https://") || self.0.starts_with("http://")
    }

    /// Whether a request may name `uri` for this one.
    pub fn accepts(&self, uri: &str) -> bool {
        *self.0 == *uri || self.accepts_with_port(uri).is_some_and(|accepts| accepts)
    }

    fn accepts_with_port(&self, uri: &str) -> Option<bool> {
        let own = self.0.strip_prefix("http://")?;
        let host = LOOPBACK.into_iter().find(|host| own.starts_with(host))?;
        let rest = own.strip_prefix(host)?;
        if rest.starts_with(':') {
            return Some(false);
        }
        let asked = uri.strip_prefix("http://")?.strip_prefix(host)?.strip_prefix(':')?;
        let end = asked.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(asked.len());
        let (port, asked_rest) = asked.split_at(end);
        Some(port.parse::<u16>().is_ok_and(|port| port > 0) && asked_rest == rest)
    }

    /// Scheme and authority, or a scheme of an app's own: what a page's policy lets its form lead to.
    pub fn origin_of(uri: &str) -> &str {
        match uri.split_once("://") {
            Some((scheme, rest)) => {
                let authority = rest.find(['/', '?']).unwrap_or(rest.len());
                uri.get(..scheme.len() + 3 + authority).unwrap_or(uri)
            }
            None => uri.split_inclusive(':').next().unwrap_or(uri),
        }
    }
}

impl FromStr for RedirectUri {
    type Err = ParseRedirectUriError;

    fn from_str(text: &str) -> Result<Self, ParseRedirectUriError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#*\\\"'<>`{}|^;,".contains(&byte);
        if text.len() > Self::BYTES_MAX || !text.bytes().all(is_plain) || !is_absolute(text) {
            return Err(ParseRedirectUriError);
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let climbs =
            |segment: &str| matches!(&*segment.to_ascii_lowercase(), "." | ".." | "%2e%2e");
        let answers = |parameter: &str| {
            let name = parameter.split('=').next().unwrap_or_default();
            ANSWER_PARAMETERS.contains(&name) || name.contains('%')
        };
        if path.split('/').any(climbs) || query.split('&').any(answers) {
            return Err(ParseRedirectUriError);
        }
        Ok(Self(text.into()))
    }
}

fn is_absolute(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let authority = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.split_at(end).0
    });
    match (scheme, authority) {
        ("https", Some(authority)) => is_authority(authority),
        ("http", Some(authority)) => {
            let is_local = |host: &str| LOOPBACK.contains(&host) || host == "localhost";
            is_authority(authority) && is_local(host_of(authority))
        }
        // RFC 8252 section 7.1: a domain name turned around, so that it is somebody's; and no authority.
        (scheme, None) => {
            let is_scheme = |byte: u8| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte)
            };
            scheme.contains('.') && scheme.bytes().all(is_scheme) && rest.starts_with('/')
        }
        _ => false,
    }
}

fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn is_authority(authority: &str) -> bool {
    let host = host_of(authority);
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let port_is_good = authority.len() == host.len()
        || authority
            .get(host.len() + 1..)
            .is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_v6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'));
    port_is_good && !host.is_empty() && (is_v6 || host.bytes().all(is_name))
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_can_be_registered() {
        for uri in [
            "https://shop.example/cb",
            "https://shop.example",
            "https://shop.example:8443/cb?tenant=7",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:8090/cb",
            "http://[::1]/cb",
            "http://localhost:3000/cb",
            "com.example.app:/done",
        ] {
            assert!(uri.parse::<RedirectUri>().is_ok(), "{uri}");
        }
        for uri in [
            "",
            "/cb",
            "shop.example/cb",
            "http://shop.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://localhost.evil.example/cb",
            "http://127.0.0.1@evil.example/cb",
            "https://user@shop.example/cb",
            "https://shop.example/cb#fragment",
            "https://*.shop.example/cb",
            "https://shop.example/*",
            "https://shop.example/a/../b",
            "https://shop.example/a/%2E%2e/b",
            "https://shop.example\\@evil.example/",
            "https://shop.example/cb?code=1",
            "https://shop.example/cb?a=1&iss=x",
            "https://shop.example/cb?%63ode=1",
            "https://Shop.example/cb",
            "https:///cb",
            "https://shop.example:0/cb",
            "https://shop.example:99999/cb",
            "https://shop.example/a b",
            "https://shop.example/;form-action",
            "https://shop.example/\u{e9}",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "myapp://done",
            "myapp:/done",
            "com.example.app://done",
        ] {
            assert!(uri.parse::<RedirectUri>().is_err(), "{uri}");
        }
        assert!(
            format!("https://shop.example/{}", "x".repeat(500)).parse::<RedirectUri>().is_err()
        );
    }

    #[test]
    fn the_port_of_a_loopback_address_is_free_where_none_was_registered() {
        let free: RedirectUri = "http://127.0.0.1/cb".parse().unwrap();
        for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
            assert!(free.accepts(uri), "{uri}");
        }
        for uri in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80",
            "http://127.0.0.1:80/cb/",
            "http://127.0.0.1:80/cb?x",
            "http://127.0.0.1:80@evil.example/cb",
            "http://[::1]:80/cb",
            "http://localhost:80/cb",
            "https://127.0.0.1:80/cb",
        ] {
            assert!(!free.accepts(uri), "{uri}");
        }
        let fixed: RedirectUri = "http://127.0.0.1:8090/cb".parse().unwrap();
        assert!(
            fixed.accepts("http://127.0.0.1:8090/cb") && !fixed.accepts("http://127.0.0.1:8091/cb")
        );
        let name: RedirectUri = "http://localhost/cb".parse().unwrap();
        assert!(!name.accepts("http://localhost:8090/cb"));
    }

    #[test]
    fn origins() {
        for (uri, origin) in [
            ("https://shop.example/cb?x", "https://shop.example"),
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("https://shop.example?x=/", "https://shop.example"),
            ("com.example.app:/done", "com.example.app:"),
        ] {
            assert_eq!(RedirectUri::origin_of(uri), origin);
        }
    }

    proptest! {
        /// Nothing but the very same text is accepted where no port is free.
        #[test]
        fn anything_else_is_another_uri(asked in "(https?://)?(shop|sh0p)\\.example(:[0-9]{1,3})?/(cb|CB|c%62)?(/|\\?a=1|#x)?") {
            let own: RedirectUri = "https://shop.example/cb".parse().unwrap();
            prop_assert_eq!(own.accepts(&asked), asked == "https://shop.example/cb");
        }
    }
}
