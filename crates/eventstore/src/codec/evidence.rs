//! Who asked, at a few dozen bytes: most ids are UUIDs, or begin with one.
//!
//! ```text
//!  text     client id
//!  number   0: the subject is the client; or else its bytes and one, then these bytes
//!  id       token id
//!  id       request id
//!  1 byte   0: no traceparent; 1: 26 bytes, its four parts; 2: a text
//!
//!  id       number: twice the bytes of its rest, and one where it begins with a UUID; then 16 bytes, the UUID, where it
//!           does; then the rest
//! ```

use lombard_engine::DecodeError;
use lombard_eventstore_core::Evidence;

use super::{
    bytes::{Reader, Writer},
    hex,
};

const NO_TRACE: u8 = 0;
const TRACE: u8 = 1;
const TRACE_TEXT: u8 = 2;
const TRACE_BYTES: usize = 26;

pub(super) fn write(evidence: &Evidence, out: &mut Writer<'_>) {
    let Evidence { client_id, subject, token_id, request_id, traceparent } = evidence;
    out.text(client_id.as_str());
    if **subject == *client_id.as_str() {
        out.number(0);
    } else {
        out.count(subject.len() + 1);
        out.put(subject.as_bytes());
    }
    write_id(token_id, out);
    write_id(request_id.as_str(), out);
    let traceparent = traceparent.as_deref().unwrap_or_default();
    match hex::pack::<TRACE_BYTES>(traceparent, hex::TRACEPARENT) {
        _ if traceparent.is_empty() => out.byte(NO_TRACE),
        Some((packed, "")) => {
            out.byte(TRACE);
            out.put(&packed);
        }
        _ => {
            out.byte(TRACE_TEXT);
            out.text(traceparent);
        }
    }
}

pub(super) fn read(bytes: &mut Reader<'_>) -> Result<Evidence, DecodeError> {
    let client_id = bytes.text()?;
    let subject = match bytes.number()?.checked_sub(1) {
        None => client_id,
        Some(length) => text(bytes.take(length)?)?,
    };
    let token_id = read_id(bytes)?;
    let request_id = read_id(bytes)?;
    let traceparent = match bytes.byte()? {
        NO_TRACE => None,
        TRACE => {
            let mut text = String::with_capacity(2 * TRACE_BYTES + 3);
            hex::unpack(&bytes.array::<TRACE_BYTES>()?, hex::TRACEPARENT, &mut text);
            Some(text)
        }
        TRACE_TEXT => Some(bytes.text()?.to_owned()).filter(|text| !text.is_empty()),
        _ => return Err(DecodeError("unknown form of a traceparent")),
    };
    Ok(Evidence {
        client_id: client_id.parse().map_err(|_| DecodeError("a client id is malformed"))?,
        subject: subject.into(),
        token_id: token_id.into(),
        request_id: request_id.parse().map_err(|_| DecodeError("a request id is malformed"))?,
        traceparent: traceparent.map(Into::into),
    })
}

fn write_id(id: &str, out: &mut Writer<'_>) {
    let packed = hex::pack::<16>(id, hex::UUID);
    let rest = packed.map_or(id, |(_, rest)| rest);
    out.count(2 * rest.len() + usize::from(packed.is_some()));
    if let Some((uuid, _)) = packed {
        out.put(&uuid);
    }
    out.put(rest.as_bytes());
}

fn read_id(bytes: &mut Reader<'_>) -> Result<String, DecodeError> {
    let head = bytes.number()?;
    let mut id = String::new();
    if head & 1 == 1 {
        hex::unpack(&bytes.array::<16>()?, hex::UUID, &mut id);
    }
    id.push_str(text(bytes.take(head / 2)?)?);
    Ok(id)
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError("a text is not UTF-8"))
}
