//! Frames of HTTP/2 as bytes, also such as no library would send.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const WITH_PRIORITY: u8 = 0x20;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![high, middle, low, kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A header field without indexing (RFC 7541 section 6.2.2).
pub(crate) fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let length = |length: usize| u8::try_from(length).unwrap();
    let mut field = vec![0, length(name.len())];
    field.extend(name.as_bytes());
    field.push(length(value.len()));
    field.extend(value);
    field
}

/// The header block of a request to a role, with these fields beside or instead of the usual ones.
pub(crate) fn request(extra: &[(&str, &str)]) -> Vec<u8> {
    let mut head = Vec::new();
    let usual =
        [(":method", "POST"), (":scheme", "http"), (":path", "/oauth/token"), (":authority", "a")];
    for (name, value) in usual {
        if !extra.iter().any(|(other, _)| *other == name) {
            head.extend(field(name, value.as_bytes()));
        }
    }
    let (pseudo, others): (Vec<_>, Vec<_>) =
        extra.iter().partition(|(name, _)| name.starts_with(':'));
    for (name, value) in pseudo.into_iter().chain(others) {
        head.extend(field(name, value.as_bytes()));
    }
    head
}
