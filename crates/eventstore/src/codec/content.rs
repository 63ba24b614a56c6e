//! How an event's content is stored, version 1: everything of a CloudEvent but its id and type.
//!
//! ```text
//!  1 byte   version: 1
//!  then, until the end, parts; each begins with one byte:
//!    1 text   source              6 slice  data, JSON text without white space between its tokens
//!    2 text   subject             7 slice  data, binary
//!    3 text   time                8 name, text      extension attribute, a string
//!    4 text   datacontenttype     9 name, 4 bytes   extension attribute, a little endian integer
//!    5 text   dataschema         10 name, 1 byte    extension attribute, a boolean
//!   11 number the version of the type's schema that the data was checked against, from 1
//!   12 text   datasubject: whose key the next is sealed with
//!   13 slice  instead of 2 and 6 to 10, which it holds encrypted: 12 bytes nonce, the parts, 16 bytes tag (AES-256-GCM)
//! ```
//!
//! Parts stand in the order of these numbers, extension attributes by name: equal events have equal bytes.

use std::borrow::Cow;

use lombard_engine::DecodeError;
use lombard_eventstore_core::Content;

use super::bytes::{Reader, Writer};
use crate::cloud_event::{Data, EventContent, Extension};

const VERSION: u8 = 1;

const SOURCE: u8 = 1;
const SUBJECT: u8 = 2;
const TIME: u8 = 3;
const DATA_CONTENT_TYPE: u8 = 4;
const DATA_SCHEMA: u8 = 5;
const DATA_JSON: u8 = 6;
const DATA_BINARY: u8 = 7;
const EXTENSION_TEXT: u8 = 8;
const EXTENSION_INTEGER: u8 = 9;
const EXTENSION_BOOLEAN: u8 = 10;
const SCHEMA_VERSION: u8 = 11;
const DATA_SUBJECT: u8 = 12;
const SEALED: u8 = 13;

pub(crate) fn encode(content: &EventContent<'_>) -> Content {
    let mut bytes = Vec::with_capacity(size_hint(content));
    let mut out = Writer(&mut bytes);
    out.byte(VERSION);
    out.byte(SOURCE);
    out.text(&content.source);
    write_parts(content, &mut out);
    Content(bytes.into())
}

/// The parts that are sealed, without the others.
pub(crate) fn encode_hidden(hidden: &EventContent<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_hint(hidden));
    write_parts(hidden, &mut Writer(&mut bytes));
    bytes
}

/// Puts what was sealed back into a content.
pub(crate) fn decode_hidden(
    plain: &[u8],
    content: &mut EventContent<'_>,
) -> Result<(), DecodeError> {
    let mut hidden = EventContent::default();
    read_parts(Reader(plain), &mut hidden)?;
    content.subject = hidden.subject.map(|text| text.into_owned().into());
    let owned = |(name, value): (Cow<'_, str>, Extension<'_>)| {
        (name.into_owned().into(), value.into_owned())
    };
    content.extensions = hidden.extensions.into_iter().map(owned).collect();
    content.data = match hidden.data {
        Data::None => Data::None,
        Data::Json(text) => Data::Json(text.into_owned().into()),
        Data::Binary(data) => Data::Binary(data.into_owned().into()),
    };
    Ok(())
}

fn write_parts(content: &EventContent<'_>, out: &mut Writer<'_>) {
    let EventContent { subject, time, data_content_type, data_schema, .. } = content;
    for (part, text) in [
        (SUBJECT, subject),
        (TIME, time),
        (DATA_CONTENT_TYPE, data_content_type),
        (DATA_SCHEMA, data_schema),
    ] {
        if let Some(text) = text {
            out.byte(part);
            out.text(text);
        }
    }
    match &content.data {
        Data::None => {}
        Data::Json(text) => {
            out.byte(DATA_JSON);
            out.text(text);
        }
        Data::Binary(data) => {
            out.byte(DATA_BINARY);
            out.slice(data);
        }
    }
    for (name, value) in &content.extensions {
        write_extension(name, value, out);
    }
    if let Some(version) = content.schema_version {
        out.byte(SCHEMA_VERSION);
        out.number(version.into());
    }
    if let Some(subject) = &content.data_subject {
        out.byte(DATA_SUBJECT);
        out.text(subject);
    }
    if let Some(sealed) = &content.sealed {
        out.byte(SEALED);
        out.slice(sealed);
    }
}

/// As many bytes as it takes, but for what is rare: then the buffer neither grows nor has to be made smaller.
fn size_hint(content: &EventContent<'_>) -> usize {
    let part = |bytes: usize| 1 + number_bytes(bytes) + bytes;
    let EventContent { source, subject, time, data_content_type, data_schema, .. } = content;
    let attributes = [subject, time, data_content_type, data_schema].into_iter().flatten();
    let data = match &content.data {
        Data::None => 0,
        Data::Json(text) => part(text.len()),
        Data::Binary(data) => part(data.len()),
    };
    let data_subject = content.data_subject.as_ref().map_or(0, |subject| part(subject.len()));
    let sealed = content.sealed.as_ref().map_or(0, |sealed| part(sealed.len()));
    let attributes: usize = attributes.map(|text| part(text.len())).sum();
    1 + part(source.len()) + attributes + data + data_subject + sealed
}

/// Bytes of a number.
const fn number_bytes(number: usize) -> usize {
    match number.checked_ilog2() {
        None => 1,
        Some(highest) => highest as usize / 7 + 1,
    }
}

fn write_extension(name: &str, value: &Extension<'_>, out: &mut Writer<'_>) {
    match value {
        Extension::Text(text) => {
            out.byte(EXTENSION_TEXT);
            out.text(name);
            out.text(text);
        }
        Extension::Integer(number) => {
            out.byte(EXTENSION_INTEGER);
            out.text(name);
            out.put(&number.to_le_bytes());
        }
        Extension::Boolean(is_true) => {
            out.byte(EXTENSION_BOOLEAN);
            out.text(name);
            out.byte(u8::from(*is_true));
        }
    }
}

pub(crate) fn decode(content: &Content) -> Result<EventContent<'_>, DecodeError> {
    let mut bytes = Reader(&content.0);
    if bytes.byte()? != VERSION {
        return Err(DecodeError("unknown version of an event's content"));
    }
    let mut content = EventContent::default();
    read_parts(bytes, &mut content)?;
    Ok(content)
}

fn read_parts<'a>(
    mut bytes: Reader<'a>,
    content: &mut EventContent<'a>,
) -> Result<(), DecodeError> {
    while !bytes.0.is_empty() {
        match bytes.byte()? {
            SOURCE => content.source = bytes.text()?.into(),
            SUBJECT => content.subject = Some(bytes.text()?.into()),
            TIME => content.time = Some(bytes.text()?.into()),
            DATA_CONTENT_TYPE => content.data_content_type = Some(bytes.text()?.into()),
            DATA_SCHEMA => content.data_schema = Some(bytes.text()?.into()),
            DATA_JSON => content.data = Data::Json(bytes.text()?.into()),
            DATA_BINARY => content.data = Data::Binary(bytes.slice()?.into()),
            EXTENSION_TEXT => {
                let name = bytes.text()?.into();
                content.extensions.insert(name, Extension::Text(bytes.text()?.into()));
            }
            EXTENSION_INTEGER => {
                let name = bytes.text()?.into();
                let number = i32::from_le_bytes(bytes.array()?);
                content.extensions.insert(name, Extension::Integer(number));
            }
            EXTENSION_BOOLEAN => {
                let name = bytes.text()?.into();
                content.extensions.insert(name, Extension::Boolean(bytes.byte()? != 0));
            }
            SCHEMA_VERSION => {
                let version = u32::try_from(bytes.number()?);
                let version = version.map_err(|_| DecodeError("a schema version is over 32 bits"));
                content.schema_version = Some(version?);
            }
            DATA_SUBJECT => content.data_subject = Some(bytes.text()?.into()),
            SEALED => content.sealed = Some(bytes.slice()?.into()),
            _ => return Err(DecodeError("unknown part of an event's content")),
        }
    }
    Ok(())
}
