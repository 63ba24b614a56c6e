//! How what happened is stored, version 1. What any released version has written must be read for ever.
//!
//! ```text
//!  appended  1 byte   1
//!            number   position of the first event
//!            evidence
//!            count    types; for each: text
//!            count    streams; for each:
//!              text     name
//!              number   revision of the first event
//!              count    events; for each:
//!                16 bytes  id, big endian (as a UUID is written)
//!                number    type: which of those above, from 0
//!                count     tags; for each: text
//!                slice     content, see `content.rs`
//!
//!  stored    1 byte   2
//!            1 byte   kind of document: 1 stream snapshot, 2 stream metadata, 3 schema, 4 erased subject
//!            text     name
//!            number   revision
//!            evidence
//!            slice    content
//!
//!  evidence  text     client id, subject, token id, request id, traceparent (empty: none)
//! ```
//!
//! A *number* is LEB128; a *text* or *slice* its length as a number, then its bytes; a *count* a number.

pub(crate) mod bytes;
mod content;
mod frame;

pub(crate) use content::{
    decode as decode_content, decode_hidden, encode as encode_content, encode_hidden,
};
pub(crate) use frame::{Recorded, StoredRecord, decode_record};

use bytes::{Reader, Writer};
use lombard_engine::{Codec, DecodeError};
use lombard_eventstore_core::{
    Appended, Content, DocumentKey, DocumentKind, DocumentStored, Event, EventPosition, EventType,
    Evidence, NewEvent, StreamAppended,
};
use lombard_types::{EventId, Revision};

const APPENDED: u8 = 1;
const STORED: u8 = 2;

const KINDS: [(DocumentKind, u8); 4] = [
    (DocumentKind::StreamSnapshot, 1),
    (DocumentKind::StreamMetadata, 2),
    (DocumentKind::Schema, 3),
    (DocumentKind::ErasedSubject, 4),
];

/// The stored form of what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCodec;

impl Codec for EventCodec {
    type Event = Event;

    fn encode(&self, event: &Event, out: &mut Vec<u8>) {
        let mut out = Writer(out);
        match event {
            Event::Appended(appended) => write_appended(appended, &mut out),
            Event::Stored(stored) => write_stored(stored, &mut out),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Event, DecodeError> {
        let mut bytes = Reader(bytes);
        let event = match bytes.byte()? {
            APPENDED => Event::Appended(read_appended(&mut bytes)?),
            STORED => Event::Stored(read_stored(&mut bytes)?),
            _ => return Err(DecodeError("unknown kind of event")),
        };
        bytes.end()?;
        Ok(event)
    }
}

fn write_appended(appended: &Appended, out: &mut Writer<'_>) {
    let Appended { first_position, streams, evidence } = appended;
    out.byte(APPENDED);
    out.number(first_position.get());
    write_evidence(evidence, out);
    let types = distinct_types(streams);
    out.count(types.len());
    for event_type in &types {
        out.text(event_type.as_str());
    }
    out.count(streams.len());
    for StreamAppended { stream, first_revision, events } in streams {
        out.text(stream.as_str());
        out.number(first_revision.get());
        out.count(events.len());
        for NewEvent { id, event_type, tags, content } in events {
            out.put(&id.as_u128().to_be_bytes());
            // Most appends have one type, or a few.
            out.count(types.iter().position(|known| *known == event_type).unwrap_or_default());
            out.count(tags.len());
            for tag in tags {
                out.text(tag.as_str());
            }
            out.slice(&content.0);
        }
    }
}

/// In order of first use.
fn distinct_types(streams: &[StreamAppended]) -> Vec<&EventType> {
    let mut types: Vec<&EventType> = Vec::new();
    for event in streams.iter().flat_map(|part| &part.events) {
        if !types.contains(&&event.event_type) {
            types.push(&event.event_type);
        }
    }
    types
}

fn read_appended(bytes: &mut Reader<'_>) -> Result<Appended, DecodeError> {
    let first_position = EventPosition::new(bytes.number()?);
    let evidence = read_evidence(bytes)?;
    let type_count = bytes.count()?;
    let types: Vec<EventType> =
        (0..type_count).map(|_| read_type(bytes)).collect::<Result<_, _>>()?;
    let stream_count = bytes.count()?;
    let streams =
        (0..stream_count).map(|_| read_stream(bytes, &types)).collect::<Result<_, _>>()?;
    Ok(Appended { first_position, streams, evidence })
}

fn read_type(bytes: &mut Reader<'_>) -> Result<EventType, DecodeError> {
    bytes.text()?.parse().map_err(|_| DecodeError("an event's type is malformed"))
}

fn write_stored(stored: &DocumentStored, out: &mut Writer<'_>) {
    let DocumentStored { key: DocumentKey { kind, name }, revision, content, evidence } = stored;
    out.byte(STORED);
    let number = KINDS.iter().find(|(known, _)| known == kind).map_or(0, |(_, number)| *number);
    out.byte(number);
    out.text(name);
    out.number(revision.get());
    write_evidence(evidence, out);
    out.slice(&content.0);
}

fn read_stored(bytes: &mut Reader<'_>) -> Result<DocumentStored, DecodeError> {
    let number = bytes.byte()?;
    let kind = KINDS.iter().find(|(_, known)| *known == number);
    let (kind, _) = kind.ok_or(DecodeError("unknown kind of document"))?;
    Ok(DocumentStored {
        key: DocumentKey { kind: *kind, name: bytes.text()?.into() },
        revision: Revision::new(bytes.number()?),
        evidence: read_evidence(bytes)?,
        content: Content(bytes.slice()?.into()),
    })
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

fn read_stream(bytes: &mut Reader<'_>, types: &[EventType]) -> Result<StreamAppended, DecodeError> {
    let stream = bytes.text()?.parse().map_err(|_| DecodeError("a stream's name is malformed"))?;
    let first_revision = Revision::new(bytes.number()?);
    let event_count = bytes.count()?;
    let events = (0..event_count).map(|_| read_event(bytes, types)).collect::<Result<_, _>>()?;
    Ok(StreamAppended { stream, first_revision, events })
}

fn read_event(bytes: &mut Reader<'_>, types: &[EventType]) -> Result<NewEvent, DecodeError> {
    let id = EventId::from_u128(u128::from_be_bytes(bytes.array()?))
        .map_err(|_| DecodeError("an event's id is malformed"))?;
    let event_type = usize::try_from(bytes.number()?).ok().and_then(|number| types.get(number));
    let event_type = event_type.ok_or(DecodeError("an event's type is not listed"))?.clone();
    let tag_count = bytes.count()?;
    let tags = (0..tag_count)
        .map(|_| bytes.text()?.parse().map_err(|_| DecodeError("an event's tag is malformed")))
        .collect::<Result<_, _>>()?;
    Ok(NewEvent { id, event_type, tags, content: Content(bytes.slice()?.into()) })
}

#[cfg(test)]
mod tests;
