//! One path with one reading.
//!
//! Upstreams disagree on what `/a/%2e%2e/b`, `/a//b` or `/a;x/../b` name (RFC 3986 section 6 leaves it to them). What
//! is checked here must be what they act on, so such paths are refused and the rest has one spelling.

use std::fmt;

/// A path with a single reading: begins with `/`, no empty or dot segments (a last empty one, that is a closing `/`,
/// may stand), no reserved character hidden by an encoding, percent-encodings only where they are needed and in
/// capital letters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalPath(Box<str>);

/// A path that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePathError {
    /// `*`, an authority, or nothing.
    #[error("the path does not begin with '/'")]
    NotAbsolute,
    /// Over [`NormalPath::BYTES_MAX`].
    #[error("the path is longer than {} bytes", NormalPath::BYTES_MAX)]
    TooLong,
    /// `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`, also as `%2e`.
    #[error("the path has a dot segment or an encoded dot")]
    DotSegment,
    /// `%` that two hexadecimal digits do not follow.
    #[error("the path has a malformed percent-encoding")]
    MalformedEncoding,
    /// Encodings that are not UTF-8, such as the overlong `%C0%AE`, which old decoders take for a dot.
    #[error("the path's percent-encodings are not UTF-8")]
    NotUtf8,
    /// An encoding that hides a delimiter, a control, or another encoding.
    #[error("the path hides the byte {byte:#04x} behind a percent-encoding")]
    HiddenByte {
        /// What is hidden.
        byte: u8,
    },
    /// Not allowed in a path (RFC 3986 section 3.3), or `;`, whose parameters upstreams read differently.
    #[error("the path has the byte {byte:#04x}, which is not allowed there")]
    ForbiddenByte {
        /// Which one.
        byte: u8,
    },
}

impl NormalPath {
    /// Longest path, in bytes, before and after.
    pub const BYTES_MAX: usize = 8192;

    /// Reads the path of a request target, without its query.
    pub fn parse(raw: &str) -> Result<Self, ParsePathError> {
        if raw.len() > Self::BYTES_MAX {
            return Err(ParsePathError::TooLong);
        }
        let Some(rest) = raw.strip_prefix('/') else {
            return Err(ParsePathError::NotAbsolute);
        };
        let mut normal = String::with_capacity(raw.len());
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            normal.push('/');
            let start = normal.len();
            push_segment(segment, &mut normal)?;
            let is_last = segments.peek().is_none();
            match normal.get(start..).unwrap_or_default() {
                "" if !is_last => return Err(ParsePathError::EmptySegment),
                "." | ".." => return Err(ParsePathError::DotSegment),
                written if hides_an_encoding(written) => {
                    return Err(ParsePathError::HiddenByte { byte: b'%' });
                }
                _ => {}
            }
        }
        Ok(Self(normal.into()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rest after a prefix that ends at a segment's end, with its `/`: `/v1/x` of `/payments/v1/x` after
    /// `/payments`, and `/` where nothing follows. `None` where the path is not under the prefix.
    pub fn after(&self, prefix: &str) -> Option<&str> {
        match self.0.strip_prefix(prefix)? {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }

    /// The first segment; empty for `/`.
    pub fn first_segment(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NormalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn push_segment(segment: &str, normal: &mut String) -> Result<(), ParsePathError> {
    // Nearly always nothing is encoded, and the segment is its own spelling.
    if !segment.contains('%') {
        return match segment.bytes().find(|byte| !is_allowed(*byte)) {
            Some(byte) => Err(ParsePathError::ForbiddenByte { byte }),
            None => {
                normal.push_str(segment);
                Ok(())
            }
        };
    }
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if !is_allowed(byte) {
                return Err(ParsePathError::ForbiddenByte { byte });
            }
            normal.push(char::from(byte));
            decoded.push(byte);
            continue;
        }
        let digit = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit(bytes.next()), digit(bytes.next()));
        let (Some(high), Some(low)) = (high, low) else {
            return Err(ParsePathError::MalformedEncoding);
        };
        let Ok(byte) = u8::try_from(high * 16 + low) else {
            return Err(ParsePathError::MalformedEncoding);
        };
        decoded.push(byte);
        match byte {
            b'.' => return Err(ParsePathError::DotSegment),
            b'/' | b'\\' | b';' | 0..=0x1f | 0x7f => {
                return Err(ParsePathError::HiddenByte { byte });
            }
            byte if is_unreserved(byte) => normal.push(char::from(byte)),
            byte => {
                const HEX: [char; 16] = [
                    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
                ];
                normal.push('%');
                normal.extend(
                    [byte >> 4, byte & 15]
                        .map(|digit| HEX.get(usize::from(digit)).copied().unwrap_or_default()),
                );
            }
        }
    }
    match std::str::from_utf8(&decoded) {
        Ok(_) => Ok(()),
        Err(_) => Err(ParsePathError::NotUtf8),
    }
}

/// `%25` before two digits is an encoding for whoever decodes twice.
fn hides_an_encoding(segment: &str) -> bool {
    segment.split("%25").skip(1).any(|after| {
        let mut bytes = after.bytes();
        let mut is_digit = || bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit());
        is_digit() && is_digit()
    })
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 section 3.3 without `;` and `%`.
const fn is_allowed(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ParsePathError as E, *};

    #[test]
    fn paths_and_their_one_spelling() {
        for (raw, normal) in [
            ("/", "/"),
            ("/v1/ledger/accounts", "/v1/ledger/accounts"),
            ("/payments/", "/payments/"),
            ("/%70ayments/%7Ex%2D", "/payments/~x-"),
            ("/a%3ab%c3%a9", "/a%3Ab%C3%A9"),
            ("/a.b/..c/...", "/a.b/..c/..."),
            ("/100%25", "/100%25"),
            ("/100%25-", "/100%25-"),
            ("/customers:42@x", "/customers:42@x"),
        ] {
            assert_eq!(
                NormalPath::parse(raw).map(|path| path.to_string()),
                Ok(normal.to_owned()),
                "{raw}"
            );
        }
    }

    #[test]
    fn refusals() {
        let long = format!("/{}", "a".repeat(NormalPath::BYTES_MAX));
        for (raw, error) in [
            ("", E::NotAbsolute),
            ("*", E::NotAbsolute),
            ("a/b", E::NotAbsolute),
            ("//", E::EmptySegment),
            ("//a", E::EmptySegment),
            ("/a//b", E::EmptySegment),
            ("/a//", E::EmptySegment),
            ("/.", E::DotSegment),
            ("/a/../b", E::DotSegment),
            ("/a/..", E::DotSegment),
            ("/a/%2e%2E/b", E::DotSegment),
            ("/a%2Eb", E::DotSegment),
            ("/a%2fb", E::HiddenByte { byte: b'/' }),
            ("/a%5Cb", E::HiddenByte { byte: b'\\' }),
            ("/a%00", E::HiddenByte { byte: 0 }),
            ("/a%0d%0ab", E::HiddenByte { byte: b'\r' }),
            ("/a%7f", E::HiddenByte { byte: 0x7f }),
            ("/..%3b/a", E::HiddenByte { byte: b';' }),
            ("/a%252fb", E::HiddenByte { byte: b'%' }),
            ("/a%25%32%66b", E::HiddenByte { byte: b'%' }),
            ("/a\\b", E::ForbiddenByte { byte: b'\\' }),
            ("/a;b", E::ForbiddenByte { byte: b';' }),
            ("/a b", E::ForbiddenByte { byte: b' ' }),
            ("/a\0", E::ForbiddenByte { byte: 0 }),
            ("/a?b", E::ForbiddenByte { byte: b'?' }),
            ("/a#b", E::ForbiddenByte { byte: b'#' }),
            ("/a\u{e9}", E::ForbiddenByte { byte: 0xc3 }),
            ("/%C0%AE%C0%AE/b", E::NotUtf8),
            ("/a%FF", E::NotUtf8),
            ("/a%", E::MalformedEncoding),
            ("/a%4", E::MalformedEncoding),
            ("/a%zz", E::MalformedEncoding),
            ("/a%+1", E::MalformedEncoding),
            (&long, E::TooLong),
        ] {
            assert_eq!(NormalPath::parse(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn prefixes_end_with_a_segment() {
        let path = |raw| NormalPath::parse(raw).unwrap();
        assert_eq!(path("/payments/v1/x").after("/payments"), Some("/v1/x"));
        assert_eq!(path("/payments").after("/payments"), Some("/"));
        assert_eq!(path("/payments/").after("/payments"), Some("/"));
        assert_eq!(path("/paymentsx").after("/payments"), None);
        assert_eq!(path("/payments/v1").first_segment(), "payments");
        assert_eq!(path("/").first_segment(), "");
    }

    /// What a reader that decodes everything and then resolves dot segments makes of a path.
    fn read_naively(path: &str) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = path.bytes();
        while let Some(byte) = rest.next() {
            let byte = if byte == b'%' {
                let text: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&text, 16).unwrap()
            } else {
                byte
            };
            bytes.push(if byte == b'\\' { b'/' } else { byte });
        }
        let mut segments: Vec<Vec<u8>> = Vec::new();
        for segment in bytes.split(|byte| *byte == b'/').skip(1) {
            match segment {
                b"." | b"" => {}
                b".." => drop(segments.pop()),
                other => segments.push(other.to_vec()),
            }
        }
        segments
    }

    fn raw_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z.~:]{0,3}",
            4 => Just("/".to_owned()),
            3 => any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
            2 => prop::sample::select(vec![b'.', b'/', b'%', b'2', b'5', b'e', b'f', b'\\', b';'])
                .prop_map(|byte| format!("%{byte:02X}")),
            1 => "[ -~]",
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// A reader that decodes first and one that splits first see the same segments in what is let through, and in
        /// what came in; and normalizing again changes nothing.
        #[test]
        fn all_readers_agree(raw in raw_path()) {
            if let Ok(path) = NormalPath::parse(&raw) {
                prop_assert_eq!(NormalPath::parse(path.as_str()), Ok(path.clone()));
                let split_first: Vec<Vec<u8>> = path
                    .as_str()
                    .split('/')
                    .flat_map(|segment| read_naively(&format!("/{segment}")))
                    .collect();
                prop_assert_eq!(&split_first, &read_naively(path.as_str()));
                prop_assert_eq!(&split_first, &read_naively(&raw));
            }
        }
    }
}
