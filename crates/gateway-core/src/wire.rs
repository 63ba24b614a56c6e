//! A gate on the bytes of a connection: where each HTTP/1 request begins and ends must have one reading.
//!
//! Requests are smuggled where two readers of the same bytes count them differently. The gate reads along before the
//! HTTP library does, takes the strictest reading of RFC 9112, and says which request of a connection is the first
//! that is not beyond doubt. It keeps no body and changes nothing.

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A line that LF alone ends, or that has CR elsewhere.
    #[error("a line does not end with CR LF, or has a CR inside")]
    LineEnd,
    /// A line over the limit.
    #[error("a line or the head is too long")]
    TooLong,
    /// Not `method SP target SP HTTP/1.x`.
    #[error("the request line is malformed")]
    RequestLine,
    /// No name, a name with a space, or a control in the value.
    #[error("a header line is malformed")]
    HeaderLine,
    /// A line that continues the one before (obsolete line folding).
    #[error("a header line is folded")]
    FoldedLine,
    /// None, several, or one that is no host.
    #[error("there must be exactly one Host header, with a host and perhaps a port")]
    Host,
    /// Not one decimal number, or several headers.
    #[error("Content-Length must be one decimal number")]
    ContentLength,
    /// Anything but `chunked`, once, in HTTP/1.1.
    #[error("Transfer-Encoding must be chunked, once, and needs HTTP/1.1")]
    TransferEncoding,
    /// Both at once.
    #[error("Content-Length and Transfer-Encoding exclude each other")]
    BothLengths,
    /// A chunk's size, end or extension.
    #[error("a chunk of the body is malformed")]
    Chunk,
}

/// Reads along with one connection.
#[derive(Clone, Debug)]
pub struct WireGate {
    state: State,
    line: Vec<u8>,
    head: Head,
    head_bytes: usize,
    head_bytes_max: usize,
    /// Heads that were complete and good.
    requests: u64,
}

/// The first request of a connection that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How many requests were good before.
    pub request: u64,
    /// Whether its head was good, so that it may be under way already.
    pub is_in_body: bool,
    /// Why.
    pub error: WireError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RequestLine,
    HeaderLine,
    Body { remaining: u64 },
    ChunkSize,
    ChunkData { remaining: u64 },
    ChunkEnd,
    Trailer,
    Refused(Refusal),
}

/// What the head says so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_http_10: bool,
    hosts: u32,
    content_length: Option<u64>,
    is_chunked: bool,
}

/// Longest line of a chunk's size with its extensions.
const CHUNK_LINE_BYTES_MAX: usize = 256;

impl WireGate {
    /// A gate for a new connection.
    pub fn new(head_bytes_max: usize) -> Self {
        Self {
            state: State::RequestLine,
            line: Vec::new(),
            head: Head::default(),
            head_bytes: 0,
            head_bytes_max,
            requests: 0,
        }
    }

    /// Reads the next bytes of the connection. After a refusal nothing more is read.
    pub fn read(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Refused(refusal) => return Err(refusal),
                State::Body { remaining } | State::ChunkData { remaining } => {
                    self.skip(bytes, remaining)
                }
                _ => match self.take_line(bytes) {
                    Ok(rest) => rest,
                    Err(error) => return Err(self.refuse(error)),
                },
            };
        }
        Ok(())
    }

    /// How many requests there were, where nothing of another one was read.
    pub fn between_requests(&self) -> Option<u64> {
        let is_between = matches!(self.state, State::RequestLine) && self.line.is_empty();
        is_between.then_some(self.requests)
    }

    fn refuse(&mut self, error: WireError) -> Refusal {
        let is_in_body = !matches!(self.state, State::RequestLine | State::HeaderLine);
        let request = if is_in_body { self.requests.saturating_sub(1) } else { self.requests };
        let refusal = Refusal { request, is_in_body, error };
        self.state = State::Refused(refusal);
        refusal
    }

    fn skip<'a>(&mut self, bytes: &'a [u8], remaining: u64) -> &'a [u8] {
        let count = usize::try_from(remaining).unwrap_or(usize::MAX).min(bytes.len());
        let left = remaining - u64::try_from(count).unwrap_or(remaining);
        self.state = match self.state {
            State::Body { .. } if left == 0 => State::RequestLine,
            State::Body { .. } => State::Body { remaining: left },
            _ if left == 0 => State::ChunkEnd,
            _ => State::ChunkData { remaining: left },
        };
        bytes.get(count..).unwrap_or_default()
    }

    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], WireError> {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = match end {
            Some(end) => bytes.split_at(end + 1),
            None => (bytes, Default::default()),
        };
        let line_bytes_max = match self.state {
            State::ChunkSize | State::ChunkEnd => CHUNK_LINE_BYTES_MAX,
            _ => self.head_bytes_max,
        };
        if self.line.len() + part.len() > line_bytes_max {
            return Err(WireError::TooLong);
        }
        // Nearly always a line is there whole, and is read where it stands.
        if self.line.is_empty() && end.is_some() {
            self.end_of_line(part)?;
            return Ok(rest);
        }
        self.line.extend_from_slice(part);
        if end.is_some() {
            let mut line = std::mem::take(&mut self.line);
            let result = self.end_of_line(&line);
            // Its memory is used again.
            line.clear();
            self.line = line;
            result?;
        }
        Ok(rest)
    }

    /// `line`: with its LF.
    fn end_of_line(&mut self, line: &[u8]) -> Result<(), WireError> {
        match line.strip_suffix(b"\r\n") {
            Some(content) if !content.contains(&b'\r') => self.act_on(content),
            _ => Err(WireError::LineEnd),
        }
    }

    fn act_on(&mut self, line: &[u8]) -> Result<(), WireError> {
        match self.state {
            // An empty line before a request is left over from clients that end bodies with one (RFC 9112 section 2.2).
            State::RequestLine if line.is_empty() => {}
            State::RequestLine => {
                self.head = Head { is_http_10: is_http_10(line)?, ..Head::default() };
                self.head_bytes = line.len();
                self.state = State::HeaderLine;
            }
            State::HeaderLine if line.is_empty() => self.end_of_head()?,
            State::HeaderLine => {
                self.count_head_line(line)?;
                self.head.read(line)?;
            }
            State::ChunkSize => {
                self.state = match chunk_size(line)? {
                    0 => {
                        self.head_bytes = 0;
                        State::Trailer
                    }
                    remaining => State::ChunkData { remaining },
                };
            }
            State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return Err(WireError::Chunk),
            State::Trailer if line.is_empty() => self.state = State::RequestLine,
            State::Trailer => {
                self.count_head_line(line)?;
                header(line)?;
            }
            State::Body { .. } | State::ChunkData { .. } | State::Refused(_) => {}
        }
        Ok(())
    }

    fn count_head_line(&mut self, line: &[u8]) -> Result<(), WireError> {
        self.head_bytes += line.len();
        if self.head_bytes > self.head_bytes_max { Err(WireError::TooLong) } else { Ok(()) }
    }

    fn end_of_head(&mut self) -> Result<(), WireError> {
        let head = self.head;
        if head.hosts != 1 {
            return Err(WireError::Host);
        }
        if head.is_chunked && head.content_length.is_some() {
            return Err(WireError::BothLengths);
        }
        if head.is_chunked && head.is_http_10 {
            return Err(WireError::TransferEncoding);
        }
        self.requests += 1;
        self.state = match head.content_length {
            _ if head.is_chunked => State::ChunkSize,
            None | Some(0) => State::RequestLine,
            Some(remaining) => State::Body { remaining },
        };
        Ok(())
    }
}

impl Head {
    fn read(&mut self, line: &[u8]) -> Result<(), WireError> {
        let (name, value) = header(line)?;
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
            if !is_host(value) {
                return Err(WireError::Host);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            // 19 digits fit into u64.
            let is_number = !value.is_empty()
                && value.len() < 20
                && value.iter().all(u8::is_ascii_digit)
                && self.content_length.is_none();
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            self.content_length =
                Some(number.filter(|_| is_number).ok_or(WireError::ContentLength)?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(WireError::TransferEncoding);
            }
            self.is_chunked = true;
        }
        Ok(())
    }
}

fn is_http_10(line: &[u8]) -> Result<bool, WireError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target, version, rest) = (parts.next(), parts.next(), parts.next(), parts.next());
    let is_method = method.is_some_and(|method| !method.is_empty() && method.iter().all(is_token));
    let is_target =
        target.is_some_and(|target| !target.is_empty() && target.iter().all(u8::is_ascii_graphic));
    match version {
        Some(version) if is_method && is_target && rest.is_none() => match version {
            b"HTTP/1.1" => Ok(false),
            b"HTTP/1.0" => Ok(true),
            _ => Err(WireError::RequestLine),
        },
        _ => Err(WireError::RequestLine),
    }
}

/// Name and value, without the spaces around it.
fn header(line: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(WireError::FoldedLine);
    }
    let colon = memchr::memchr(b':', line).ok_or(WireError::HeaderLine)?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    if name.is_empty() || !name.iter().all(is_token) || !is_text(value) {
        return Err(WireError::HeaderLine);
    }
    Ok((name, value.trim_ascii()))
}

/// Whether a text is a name or an address, and perhaps a port (RFC 9110 section 7.2), without what names may have by the
/// letter and none has. User information is refused (RFC 9110 section 4.2.4).
pub fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|byte| *byte == b':') {
        Some(colon) if !value.get(colon..).is_some_and(|rest| rest.contains(&b']')) => {
            let (host, port) = value.split_at(colon);
            (host, port.get(1..))
        }
        _ => (value, None),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    let is_address = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let inner = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    let is_host = match inner {
        Some(inner) => !inner.is_empty() && inner.iter().all(is_address),
        None => !host.is_empty() && host.iter().all(is_name),
    };
    let is_port = port.is_none_or(|port| {
        let text = std::str::from_utf8(port).unwrap_or_default();
        text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
    });
    is_host && is_port
}

fn chunk_size(line: &[u8]) -> Result<u64, WireError> {
    let end = line.iter().position(|byte| *byte == b';').unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    // 15 digits are 2^60: no sum of them overflows.
    if digits.is_empty()
        || digits.len() > 15
        || !digits.iter().all(u8::is_ascii_hexdigit)
        || !is_text(extension)
    {
        return Err(WireError::Chunk);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(WireError::Chunk)
}

/// No control but the tab. All bytes are looked at, since that way the compiler does many at once.
fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    !bytes.iter().fold(false, |found, byte| found | is_control(*byte))
}

/// `tchar` of RFC 9110 section 5.6.2, in ranges, of which the compiler makes a look-up.
const fn is_token(byte: &u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{WireError as E, *};

    fn read(bytes: &[u8]) -> (Result<(), Refusal>, u64) {
        let mut gate = WireGate::new(1024);
        (gate.read(bytes), gate.requests)
    }

    const GOOD: &[&str] = &[
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nhost:[::1]:80\r\nX:\r\n\r\n",
        "\r\nGET /a?b HTTP/1.1\r\nHost: a\r\nX: a\tb \r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
    ];

    #[test]
    fn good_requests_pass_and_are_counted() {
        for text in GOOD {
            assert_eq!(read(text.as_bytes()), (Ok(()), 1), "{text:?}");
        }
        assert_eq!(read(GOOD.concat().as_bytes()), (Ok(()), 7));
    }

    #[test]
    fn only_whole_requests_are_between_requests() {
        let mut gate = WireGate::new(1024);
        assert_eq!(gate.between_requests(), Some(0));
        for (number, text) in (1..).zip(GOOD) {
            for (place, byte) in text.bytes().enumerate() {
                assert_eq!(gate.read(&[byte]), Ok(()));
                let is_whole = place + 1 == text.len();
                let begins = place == 1 && text.starts_with("\r\n");
                let expected = if is_whole { Some(number) } else { None };
                let expected = if begins { Some(number - 1) } else { expected };
                assert_eq!(gate.between_requests(), expected, "{text:?} up to {place}");
            }
        }
        assert!(gate.read(b"GET\r\n").is_err());
        assert_eq!(gate.between_requests(), None);
    }

    #[test]
    fn doubtful_requests_are_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(2000));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 0123456789\r\n".repeat(100));
        for (text, error) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", E::LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", E::LineEnd),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", E::LineEnd),
            ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", E::LineEnd),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", E::RequestLine),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", E::RequestLine),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", E::RequestLine),
            ("GET /\r\nHost: a\r\n\r\n", E::RequestLine),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", E::RequestLine),
            ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", E::RequestLine),
            ("GET / HTTP/1.1\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: a:+1\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", E::Host),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", E::HeaderLine),
            ("GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", E::HeaderLine),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", E::HeaderLine),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", E::HeaderLine),
            ("GET / HTTP/1.1\r\nHost: a\r\n b: c\r\n\r\n", E::FoldedLine),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", E::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", E::ContentLength),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", E::ContentLength),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
                E::ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
                E::ContentLength,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                E::TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
                E::TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
                E::TransferEncoding,
            ),
            (
                "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                E::TransferEncoding,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                E::BothLengths,
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                E::BothLengths,
            ),
            (&long, E::TooLong),
            (&many, E::TooLong),
        ] {
            let refusal = Refusal { request: 0, is_in_body: false, error };
            assert_eq!(read(text.as_bytes()), (Err(refusal), 0), "{text:?}");
        }
    }

    #[test]
    fn doubtful_bodies_are_refused() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, error) in [
            ("3\nabc\r\n", E::LineEnd),
            ("3\r\nabcd\r\n", E::Chunk),
            ("0x3\r\nabc\r\n", E::Chunk),
            ("-1\r\n", E::Chunk),
            ("\r\n", E::Chunk),
            ("3 \r\nabc\r\n", E::Chunk),
            ("fffffffffffffffff\r\n", E::Chunk),
            ("3;\0\r\nabc\r\n", E::Chunk),
            ("0\r\nX\r\n\r\n", E::HeaderLine),
        ] {
            let refusal = Refusal { request: 0, is_in_body: true, error };
            assert_eq!(read(format!("{head}{body}").as_bytes()).0, Err(refusal), "{body:?}");
        }
    }

    #[test]
    fn the_second_request_is_the_one_refused() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        let refusal = Refusal { request: 1, is_in_body: false, error: E::Host };
        assert_eq!(read(text.as_bytes()), (Err(refusal), 1));
    }

    proptest! {
        /// However the bytes arrive, the reading is the same.
        #[test]
        fn the_reading_does_not_depend_on_packets(
            choice in prop::collection::vec((0..GOOD.len(), any::<bool>()), 1..6),
            cuts in prop::collection::vec(1..40_usize, 1..40),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes: Vec<u8> = choice.iter().flat_map(|(index, _)| GOOD[*index].bytes()).collect();
            if let Some((index, byte)) = damage {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let mut gate = WireGate::new(1024);
            let mut result = Ok(());
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                result = result.and_then(|()| gate.read(part));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!((result, gate.requests), read(&bytes));
        }
    }
}
