//! Which headers cross the gateway.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use lombard_chassis::{
    Context,
    context::{REQUEST_ID, TRACEPARENT},
};

use crate::{random::Random, span::Span, values::Values};

/// Headers about one connection (RFC 9110 section 7.6.1), whether the Connection header names them or not. `Expect` is
/// answered here; trailers are not passed on, so nobody is promised any.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authorization"
            | "expect"
            | "keep-alive"
            | "proxy-connection"
    )
}

/// What the gateway says of where a request comes from.
const FORWARDED: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-host"),
];
/// What upstreams believe because only the gateway can have said it. Certificates of clients are as in RFC 9440, which those who
/// trust a proxy believe.
const TRUSTED: [&str; 3] = ["forwarded", "client-cert", "client-cert-chain"];
const TRUSTED_PREFIXES: [&str; 2] = ["x-lombard-", "x-forwarded-"];

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct From<'a> {
    /// Where a new trace gets its ids.
    pub(crate) random: &'a Random,
    pub(crate) values: &'a Values,
    /// The request's id, as a value.
    pub(crate) request_id: Option<&'a HeaderValue>,
    /// The gateway's own part of the trace, where it keeps one.
    pub(crate) span: Option<&'a Span>,
    pub(crate) address: IpAddr,
    pub(crate) scheme: &'static str,
    /// The authority of the target, where it has one.
    pub(crate) authority: Option<&'a str>,
}

/// Makes a request's headers those that an upstream gets: nothing about the client's connection, nothing that only the
/// gateway may say, and who asked, under which id.
pub(crate) fn to_upstream(headers: &mut HeaderMap, context: &Context, from: &From<'_>) {
    remove(headers, is_trusted);
    join_cookies(headers);
    let [forwarded_for, forwarded_proto, forwarded_host] = FORWARDED;
    if let Some(peer) = from.values.write(format_args!("{}", from.address)) {
        headers.insert(forwarded_for, peer);
    }
    headers.insert(forwarded_proto, HeaderValue::from_static(from.scheme));
    // In HTTP/2 it is the target that names the host.
    let named = || from.authority.and_then(|authority| from.values.text(authority));
    if let Some(host) = headers.remove(header::HOST).or_else(named) {
        headers.insert(forwarded_host, host);
    }
    set_context(headers, context, from);
}

/// HTTP/2 may send a cookie in parts, which are one header again where they leave it (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(header::COOKIE).iter();
    if cookies.next().is_none() || cookies.next().is_none() {
        return;
    }
    let parts: Vec<&[u8]> =
        headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    match HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        Ok(cookie) => drop(headers.insert(header::COOKIE, cookie)),
        Err(_) => drop(headers.remove(header::COOKIE)),
    }
}

fn set_context(headers: &mut HeaderMap, context: &Context, from: &From<'_>) {
    if let Some(id) = from.request_id {
        headers.insert(REQUEST_ID, id.clone());
    }
    if context.traceparent.is_none() {
        // What belongs to a trace that cannot be read cannot be read either.
        headers.remove("tracestate");
    }
    let traceparent = match (from.span, &context.traceparent) {
        (Some(span), _) => span.traceparent(from.values),
        (None, Some(traceparent)) => from.values.text(traceparent),
        (None, None) => from.random.traceparent(from.values),
    };
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent);
    }
}

/// Says to the upstream which certificate the client has shown: its SHA-256 in hexadecimal digits.
pub(crate) fn add_certificate(headers: &mut HeaderMap, thumbprint: &[u8; 32]) {
    const CERTIFICATE: HeaderName = HeaderName::from_static("x-lombard-client-certificate");
    let text: String = thumbprint.iter().map(|byte| format!("{byte:02x}")).collect();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(CERTIFICATE, value);
    }
}

/// Tells browsers to be careful, where the upstream has not told them something itself.
pub(crate) fn secure(headers: &mut HeaderMap) {
    const SAID: [(HeaderName, HeaderValue); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    for (name, value) in SAID {
        headers.entry(name).or_insert(value);
    }
}

/// Makes a response's headers those that the client gets.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    remove(headers, |_| false);
}

/// Whether a header is one that upstreams believe.
fn is_trusted(name: &HeaderName) -> bool {
    let name = name.as_str();
    TRUSTED.contains(&name) || TRUSTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Removes what is about one connection, and more. The names are read once: looking each of those up that may be there would cost more
/// than all that are.
fn remove(headers: &mut HeaderMap, is_more: impl Fn(&HeaderName) -> bool) {
    // What is removed anyway need not be read: an empty list takes no memory.
    let is_usual =
        |name: &str| ["keep-alive", "close"].iter().any(|usual| usual.eq_ignore_ascii_case(name));
    let mut removed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !is_usual(name))
        .filter_map(|name| name.parse().ok())
        .collect();
    removed.extend(headers.keys().filter(|name| is_hop_by_hop(name) || is_more(name)).cloned());
    for name in removed {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_upstream_gets() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "lombard.example"),
            ("connection", "keep-alive, X-Mine"),
            ("connection", "x-too"),
            ("x-mine", "1"),
            ("x-too", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic eA=="),
            ("transfer-encoding", "chunked"),
            ("x-lombard-subject", "root"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-user", "root"),
            ("forwarded", "for=1.2.3.4"),
            ("client-cert", ":AQID:"),
            ("client-cert-chain", ":AQID:"),
            ("tracestate", "a=b"),
            ("traceparent", "nonsense"),
            ("authorization", "Bearer x"),
            ("idempotency-key", "k"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let context = Context::from_headers(&headers);
        headers.append("cookie", HeaderValue::from_static("a=1"));
        headers.append("cookie", HeaderValue::from_static("b=2"));
        let address = [10, 0, 0, 1].into();
        let random = Random::new();
        let values = Values::new();
        let request_id = values.text(context.request_id.as_str());
        let from = From {
            address,
            scheme: "https",
            authority: None,
            random: &random,
            values: &values,
            request_id: request_id.as_ref(),
            span: None,
        };
        to_upstream(&mut headers, &context, &from);
        assert!(lombard_chassis::context::is_traceparent(headers[TRACEPARENT].to_str().unwrap()));
        assert_eq!(headers[REQUEST_ID], context.request_id.as_str());
        headers.remove(TRACEPARENT);
        headers.remove(REQUEST_ID);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("authorization", "Bearer x"),
                ("cookie", "a=1; b=2"),
                ("idempotency-key", "k"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-host", "lombard.example"),
                ("x-forwarded-proto", "https"),
            ]
        );
    }
}
