//! How an append is stored, version 1. What any released version has written must be read for ever.
//!
//! ```text
//!  append    1 byte   kind: 1 = appended, version 1
//!            number   position of the first event
//!            text     client id, subject, token id, request id, traceparent (empty: none)
//!            count    streams; for each:
//!              text     name
//!              number   revision of the first event
//!              count    events; for each:
//!                16 bytes  id, big endian (as a UUID is written)
//!                16 bytes  digest
//!                text      type
//!                slice     content, see `content.rs`
//! ```
//!
//! A *number* is LEB128; a *text* or *slice* its length as a number, then its bytes; a *count* a number.

mod bytes;
mod content;
mod frame;

pub(crate) use content::{decode as decode_content, encode as encode_content};
pub(crate) use frame::{StoredRecord, decode_record};

use bytes::{Reader, Writer};
use lombard_engine::{Codec, DecodeError};
use lombard_eventstore_core::{
    Appended, Content, ContentDigest, EventPosition, Evidence, NewEvent, StreamAppended,
};
use lombard_types::{EventId, Revision};

const APPENDED_1: u8 = 1;

/// The stored form of appends.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppendCodec;

impl Codec for AppendCodec {
    type Event = Appended;

    fn encode(&self, appended: &Appended, out: &mut Vec<u8>) {
        let Appended { first_position, streams, evidence } = appended;
        let mut out = Writer(out);
        out.byte(APPENDED_1);
        out.number(first_position.get());
        write_evidence(evidence, &mut out);
        out.count(streams.len());
        for StreamAppended { stream, first_revision, events } in streams {
            out.text(stream.as_str());
            out.number(first_revision.get());
            out.count(events.len());
            for NewEvent { id, event_type, digest, content } in events {
                out.put(&id.as_u128().to_be_bytes());
                out.put(&digest.0);
                out.text(event_type.as_str());
                out.slice(&content.0);
            }
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Appended, DecodeError> {
        let mut bytes = Reader(bytes);
        if bytes.byte()? != APPENDED_1 {
            return Err(DecodeError("unknown kind of event"));
        }
        let first_position = EventPosition::new(bytes.number()?);
        let evidence = read_evidence(&mut bytes)?;
        let stream_count = bytes.count()?;
        let streams =
            (0..stream_count).map(|_| read_stream(&mut bytes)).collect::<Result<_, _>>()?;
        bytes.end()?;
        Ok(Appended { first_position, streams, evidence })
    }
}

fn write_evidence(evidence: &Evidence, out: &mut Writer<'_>) {
    let Evidence { client_id, subject, token_id, request_id, traceparent } = evidence;
    out.text(client_id.as_str());
    out.text(subject);
    out.text(token_id);
    out.text(request_id.as_str());
    out.text(traceparent.as_deref().unwrap_or_default());
}

fn read_evidence(bytes: &mut Reader<'_>) -> Result<Evidence, DecodeError> {
    Ok(Evidence {
        client_id: bytes.text()?.parse().map_err(|_| DecodeError("a client id is malformed"))?,
        subject: bytes.text()?.into(),
        token_id: bytes.text()?.into(),
        request_id: bytes.text()?.parse().map_err(|_| DecodeError("a request id is malformed"))?,
        traceparent: Some(bytes.text()?).filter(|text| !text.is_empty()).map(Into::into),
    })
}

fn read_stream(bytes: &mut Reader<'_>) -> Result<StreamAppended, DecodeError> {
    let stream = bytes.text()?.parse().map_err(|_| DecodeError("a stream's name is malformed"))?;
    let first_revision = Revision::new(bytes.number()?);
    let event_count = bytes.count()?;
    let events = (0..event_count).map(|_| read_event(bytes)).collect::<Result<_, _>>()?;
    Ok(StreamAppended { stream, first_revision, events })
}

fn read_event(bytes: &mut Reader<'_>) -> Result<NewEvent, DecodeError> {
    let id = EventId::from_u128(u128::from_be_bytes(bytes.array()?));
    Ok(NewEvent {
        id: id.map_err(|_| DecodeError("an event's id is malformed"))?,
        digest: ContentDigest(bytes.array()?),
        event_type: bytes
            .text()?
            .parse()
            .map_err(|_| DecodeError("an event's type is malformed"))?,
        content: Content(bytes.slice()?.into()),
    })
}

#[cfg(test)]
mod tests;
