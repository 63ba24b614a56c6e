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
//!              count    events; each as in `events.rs`
//!
//!  stored    1 byte   2
//!            1 byte   kind of document: 1 stream snapshot, 2 stream metadata, 3 schema, 4 erased subject
//!            text     name
//!            number   revision
//!            evidence
//!            slice    content
//! ```
//!
//! *Evidence* is as in `evidence.rs`.
//!
//! A *number* is LEB128; a *text* or *slice* its length as a number, then its bytes; a *count* a number.

pub(crate) mod bytes;
mod content;
mod events;
mod evidence;
mod frame;
mod hex;

pub(crate) use content::{
    decode as decode_content, decode_hidden, encode as encode_content, encode_hidden,
};
pub(crate) use frame::{Recorded, StoredRecord, decode_record};

use bytes::{Reader, Writer};
use events::{EventsReader, EventsWriter};
use lombard_engine::{Codec, DecodeError};
use lombard_eventstore_core::{
    Appended, Content, DocumentKey, DocumentKind, DocumentStored, Event, EventPosition, EventType,
    NewEvent, StreamAppended,
};
use lombard_types::Revision;

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
    evidence::write(evidence, out);
    let types = distinct_types(streams);
    out.count(types.len());
    for event_type in &types {
        out.text(event_type.as_str());
    }
    out.count(streams.len());
    let mut writer = EventsWriter::new(&types);
    for StreamAppended { stream, first_revision, events } in streams {
        out.text(stream.as_str());
        out.number(first_revision.get());
        out.count(events.len());
        events.iter().for_each(|event| writer.write(event, out));
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
    let evidence = evidence::read(bytes)?;
    let type_count = bytes.count()?;
    let types: Vec<EventType> =
        (0..type_count).map(|_| read_type(bytes)).collect::<Result<_, _>>()?;
    let stream_count = bytes.count()?;
    let mut reader = EventsReader::new(&types);
    let mut streams: Vec<StreamAppended> = Vec::with_capacity(stream_count.min(STREAMS_EXPECTED));
    for _ in 0..stream_count {
        let before = streams.iter().rev().find_map(|part| part.events.last());
        streams.push(read_stream(bytes, &mut reader, before)?);
    }
    Ok(Appended { first_position, streams, evidence })
}

/// Of more the room is taken as they come: a damaged count does not ask for it.
const STREAMS_EXPECTED: usize = 4;
const EVENTS_EXPECTED: usize = 1024;

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
    evidence::write(evidence, out);
    out.slice(&content.0);
}

fn read_stored(bytes: &mut Reader<'_>) -> Result<DocumentStored, DecodeError> {
    let number = bytes.byte()?;
    let kind = KINDS.iter().find(|(_, known)| *known == number);
    let (kind, _) = kind.ok_or(DecodeError("unknown kind of document"))?;
    Ok(DocumentStored {
        key: DocumentKey { kind: *kind, name: bytes.text()?.into() },
        revision: Revision::new(bytes.number()?),
        evidence: evidence::read(bytes)?,
        content: Content(bytes.slice()?.into()),
    })
}

fn read_stream(
    bytes: &mut Reader<'_>,
    reader: &mut EventsReader<'_>,
    before: Option<&NewEvent>,
) -> Result<StreamAppended, DecodeError> {
    let stream = bytes.text()?.parse().map_err(|_| DecodeError("a stream's name is malformed"))?;
    let first_revision = Revision::new(bytes.number()?);
    let event_count = bytes.count()?;
    let mut events = Vec::with_capacity(event_count.min(EVENTS_EXPECTED));
    for _ in 0..event_count {
        let before = events.last().or(before);
        events.push(reader.read(bytes, before)?);
    }
    Ok(StreamAppended { stream, first_revision, events })
}

#[cfg(test)]
mod tests;
