//! RFC 9113 section 8: what makes a request malformed.

use super::{Case, Expected as E, case, check, open, with_block, *};
use crate::frames::field;

/// A request with these fields beside or instead of the usual ones.
fn with(name: &'static str, extra: &[(&str, &str)]) -> Case {
    case(name, &[with_block(&request(extra))], E::Refused(1))
}

/// A request of these fields alone.
fn of(name: &'static str, fields: &[(&str, &str)]) -> Case {
    let block: Vec<u8> =
        fields.iter().flat_map(|(name, value)| field(name, value.as_bytes())).collect();
    case(name, &[with_block(&block)], E::Refused(1))
}

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/oauth/token");
const AUTHORITY: (&str, &str) = (":authority", "a");

fn of_fields() -> Vec<Case> {
    let mut cases = vec![
        with("8.2 a name with a capital letter", &[("X-Test", "a")]),
        with("8.2.1 a name with a space", &[("x y", "a")]),
        with("8.2.1 a name with a colon", &[("x:y", "a")]),
        with("8.2.1 a name with a control", &[("x\u{1}", "a")]),
        with("8.2.1 a name with DEL", &[("x\u{7f}", "a")]),
        with("8.2.1 a name beyond ASCII", &[("x\u{e9}", "a")]),
        with("8.2.1 an empty name", &[("", "a")]),
        with("8.2.1 a value with NUL", &[("x", "a\0b")]),
        with("8.2.1 a value with CR", &[("x", "a\rb")]),
        with("8.2.1 a value with LF", &[("x", "a\nb")]),
        with("8.2.1 a value that begins with a space", &[("x", " a")]),
        with("8.2.1 a value that ends with a tab", &[("x", "a\t")]),
        with("8.2.2 Connection", &[("connection", "keep-alive")]),
        with("8.2.2 Keep-Alive", &[("keep-alive", "timeout=5")]),
        with("8.2.2 Proxy-Connection", &[("proxy-connection", "keep-alive")]),
        with("8.2.2 Transfer-Encoding", &[("transfer-encoding", "chunked")]),
        with("8.2.2 Upgrade", &[("upgrade", "h2c")]),
        with("8.2.2 TE of something else than trailers", &[("te", "trailers, deflate")]),
        case(
            "8.2.2 TE of trailers",
            &[with_block(&request(&[("te", "trailers")]))],
            E::Answer(1, OK),
        ),
        case(
            "8.2.3 a cookie in parts",
            &[with_block(&request(&[("cookie", "a=1"), ("cookie", "b=2")]))],
            E::Answer(1, OK),
        ),
    ];
    cases.extend([
        with("8.3 an unknown pseudo-header", &[(":test", "a")]),
        with("8.3 one of responses", &[(":status", "200")]),
        of("8.3 one behind a field", &[METHOD, SCHEME, ("x", "y"), PATH, AUTHORITY]),
        of("8.3 one behind all others and a field", &[METHOD, SCHEME, PATH, ("x", "y"), AUTHORITY]),
        with(
            "8.3.1 :protocol without an agreement",
            &[(":method", "CONNECT"), (":protocol", "websocket")],
        ),
        of("8.3.1 without :method", &[SCHEME, PATH, AUTHORITY]),
        of("8.3.1 without :scheme", &[METHOD, PATH, AUTHORITY]),
        of("8.3.1 without :path", &[METHOD, SCHEME, AUTHORITY]),
        of("8.3.1 :method twice", &[METHOD, METHOD, SCHEME, PATH, AUTHORITY]),
        of("8.3.1 :scheme twice", &[METHOD, SCHEME, SCHEME, PATH, AUTHORITY]),
        of("8.3.1 :path twice", &[METHOD, SCHEME, PATH, PATH, AUTHORITY]),
        of("8.3.1 :authority twice", &[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY]),
        of("8.3.1 no field at all", &[]),
        with("8.3.1 an empty :path", &[(":path", "")]),
        with("8.3.1 a :path that does not begin with a slash", &[(":path", "oauth/token")]),
        with("8.3.1 a :path with a space", &[(":path", "/oauth/token HTTP/1.1")]),
        with("8.3.1 a :path with a fragment", &[(":path", "/oauth/token#x")]),
        with("8.3.1 a :method that is no token", &[(":method", "PO ST")]),
        with("8.3.1 an empty :method", &[(":method", "")]),
        with("8.3.1 an empty :scheme", &[(":scheme", "")]),
        with("8.3.1 user information in :authority", &[(":authority", "u@a")]),
        with("8.3.1 Host that is not :authority", &[("host", "b")]),
        of("8.3.1 neither :authority nor Host", &[METHOD, SCHEME, PATH]),
        of(
            "8.5 CONNECT with :path and :scheme",
            &[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY],
        ),
        of("8.5 CONNECT without :authority", &[(":method", "CONNECT")]),
    ]);
    cases
}

fn of_bodies() -> Vec<Case> {
    let begun = |extra: &[(&str, &str)]| frame(HEADERS, END_HEADERS, 1, &request(extra));
    let data = |flags: u8, text: &[u8]| frame(DATA, flags, 1, text);
    let trailers = |flags: u8, block: &[u8]| frame(HEADERS, END_HEADERS | flags, 1, block);
    vec![
        case(
            "8.1 trailers",
            &[open(1), data(0, b"x"), trailers(END_STREAM, &field("x-sum", b"1"))],
            E::Answer(1, OK),
        ),
        case(
            "8.1 trailers without the end of the stream",
            &[open(1), data(0, b"x"), trailers(0, &field("x-sum", b"1"))],
            E::StreamOrConnection(1, PROTOCOL_ERROR),
        ),
        case(
            "8.1 pseudo-headers in trailers",
            &[begun(&[]), data(0, b"x"), trailers(END_STREAM, &field(":method", b"GET"))],
            E::Refused(1),
        ),
        case(
            "8.1 capital letters in trailers",
            &[begun(&[]), data(0, b"x"), trailers(END_STREAM, &field("X-Sum", b"1"))],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length over the body",
            &[begun(&[("content-length", "4")]), data(END_STREAM, b"abc")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length below the body",
            &[begun(&[("content-length", "2")]), data(END_STREAM, b"abc")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length below a body in parts",
            &[begun(&[("content-length", "4")]), data(0, b"abc"), data(END_STREAM, b"de")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length over a body in parts",
            &[begun(&[("content-length", "9")]), data(0, b"abc"), data(END_STREAM, b"de")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length of a body in parts",
            &[begun(&[("content-length", "5")]), data(0, b"abc"), data(END_STREAM, b"de")],
            E::Answer(1, OK),
        ),
        case(
            "8.1.1 Content-Length without a body",
            &[with_block(&request(&[("content-length", "1")]))],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length of 0 without a body",
            &[with_block(&request(&[("content-length", "0")]))],
            E::Answer(1, OK),
        ),
        case(
            "8.1.1 Content-Length twice",
            &[begun(&[("content-length", "3"), ("content-length", "4")]), data(END_STREAM, b"abc")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length that is no number",
            &[begun(&[("content-length", "+3")]), data(END_STREAM, b"abc")],
            E::Refused(1),
        ),
        case(
            "8.1.1 Content-Length and trailers",
            &[
                begun(&[("content-length", "4")]),
                data(0, b"abc"),
                trailers(END_STREAM, &field("x-sum", b"1")),
            ],
            E::Refused(1),
        ),
        case(
            "8.1 an empty DATA frame ends a request",
            &[open(1), data(END_STREAM, b"")],
            E::Answer(1, OK),
        ),
    ]
}

#[tokio::test]
async fn fields_of_requests() {
    check(of_fields()).await;
}

#[tokio::test]
async fn bodies_of_requests() {
    check(of_bodies()).await;
}
