//! Writes events as readers get them, straight into what goes onto the wire: a `ReadResponse` or `SubscribeResponse`,
//! which have the same form, is `repeated RecordedAppend appends = 1`.
//!
//! No message is built in between, and nothing is measured before it is written: the length of an append and of an
//! event is written over four bytes that were left for it. Protocol Buffers allow a length more bytes than it needs.

use bytes::{BufMut as _, BytesMut};
use lombard_eventstore_core::Evidence;
use lombard_types::Position;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::{
    cloud_event::{Data, Extension},
    groups::{Delivered, write_receipt},
    showing::Shown,
};

/// An event as the `append` of a `Delivery`: a `RecordedAppend` of its own, with key and length.
#[derive(Clone, Debug)]
pub(super) struct EncodedAppend(BytesMut);

impl EncodedAppend {
    pub(super) fn of(shown: &Shown<'_>) -> Self {
        let mut bytes = BytesMut::new();
        let mut writer = EventWriter { append: None, count: 0, field: 5 };
        writer.write(shown, &mut bytes);
        writer.end(&mut bytes);
        Self(bytes)
    }
}

/// Writes deliveries into a buffer: the `deliveries` of a `ConsumeResponse`.
pub(super) struct DeliveryWriter {
    start: usize,
}

impl DeliveryWriter {
    pub(super) fn begin(out: &mut BytesMut) -> Self {
        Self { start: begin(1, out) }
    }

    pub(super) fn write(&mut self, delivered: &Delivered<EncodedAppend>, out: &mut BytesMut) {
        let Delivered { id, receipt, deadline, event: EncodedAppend(append) } = delivered;
        let delivery = begin(1, out);
        put_text(1, id, out);
        put_text(2, &write_receipt(*receipt), out);
        prost::encoding::uint32::encode(3, &receipt.attempt, out);
        encode_key(4, WireType::SixtyFourBit, out);
        out.put_u64_le(deadline.unix_nanos());
        out.extend_from_slice(append);
        end(delivery, out);
    }

    /// How much was written.
    pub(super) fn bytes(&self, out: &BytesMut) -> usize {
        out.len().saturating_sub(self.start)
    }

    pub(super) fn end(self, out: &mut BytesMut) {
        end(self.start, out);
    }
}

/// Bytes that are left for a length: enough for 256 MiB.
const LENGTH_BYTES: usize = 4;

/// Writes events into a buffer, those of one append together.
pub(super) struct EventWriter {
    /// The append that is being written.
    append: Option<(Position, usize)>,
    count: usize,
    /// The field of the message around it that each append is.
    field: u32,
}

impl EventWriter {
    pub(super) const fn new() -> Self {
        Self { append: None, count: 0, field: 1 }
    }

    /// How many events were written.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    pub(super) fn write(&mut self, shown: &Shown<'_>, out: &mut BytesMut) {
        let position = shown.recorded.position;
        if self.append.is_none_or(|(current, _)| current != position) {
            self.end(out);
            let start = begin(self.field, out);
            self.append = Some((position, start));
            put_number(1, position.get(), out);
            encode_key(2, WireType::SixtyFourBit, out);
            out.put_u64_le(shown.recorded.time.unix_nanos());
            let evidence = begin(3, out);
            put_evidence(shown.evidence, out);
            end(evidence, out);
        }
        let event = begin(4, out);
        put_event(shown, out);
        end(event, out);
        self.count += 1;
    }

    /// Ends the message.
    pub(super) fn end(&mut self, out: &mut BytesMut) {
        if let Some((_, start)) = self.append.take() {
            end(start, out);
        }
    }
}

fn put_evidence(evidence: &Evidence, out: &mut BytesMut) {
    put_text(1, evidence.client_id.as_str(), out);
    put_text(2, &evidence.subject, out);
    put_text(3, &evidence.token_id, out);
    put_text(4, evidence.request_id.as_str(), out);
    put_text(5, evidence.traceparent.as_deref().unwrap_or_default(), out);
}

fn put_event(shown: &Shown<'_>, out: &mut BytesMut) {
    let Shown { placed, content, .. } = shown;
    let event = placed.event;
    put_bytes(1, &event.id.as_u128().to_be_bytes(), out);
    put_text(2, event.event_type.as_str(), out);
    put_text(3, &content.source, out);
    for (field, text) in [
        (4, &content.subject),
        (5, &content.time),
        (6, &content.data_content_type),
        (7, &content.data_schema),
    ] {
        if let Some(text) = text {
            put_bytes(field, text.as_bytes(), out);
        }
    }
    for (name, value) in &content.extensions {
        let extension = begin(8, out);
        put_text(1, name, out);
        match value {
            Extension::Text(text) => put_bytes(2, text.as_bytes(), out),
            Extension::Integer(number) => prost::encoding::sint32::encode(3, number, out),
            Extension::Boolean(is_true) => prost::encoding::bool::encode(4, is_true, out),
        }
        end(extension, out);
    }
    for tag in &event.tags {
        put_bytes(9, tag.as_str().as_bytes(), out);
    }
    match &content.data {
        Data::None => {}
        Data::Binary(data) => put_bytes(10, data, out),
        Data::Json(text) => put_bytes(11, text.as_bytes(), out),
    }
    put_text(12, placed.stream.as_str(), out);
    put_number(13, placed.revision.get(), out);
    put_number(14, placed.position.get(), out);
    if let Some(version) = content.schema_version {
        prost::encoding::uint32::encode(15, &version, out);
    }
}

/// A field whose default need not be written.
fn put_text(field: u32, text: &str, out: &mut BytesMut) {
    if !text.is_empty() {
        put_bytes(field, text.as_bytes(), out);
    }
}

fn put_number(field: u32, number: u64, out: &mut BytesMut) {
    if number != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(number, out);
    }
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(bytes);
}

/// Begins a message within a message, and answers where.
fn begin(field: u32, out: &mut BytesMut) -> usize {
    encode_key(field, WireType::LengthDelimited, out);
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    start
}

/// Writes the length of what was written since `start`, seven bits a byte, all but the last marked.
fn end(start: usize, out: &mut BytesMut) {
    let length = out.len().saturating_sub(start + LENGTH_BYTES);
    debug_assert!(encoded_len_varint(u64::try_from(length).unwrap_or(u64::MAX)) <= LENGTH_BYTES);
    let Some(place) = out.get_mut(start..start + LENGTH_BYTES) else { return };
    for (index, byte) in place.iter_mut().enumerate() {
        let low = u8::try_from((length >> (7 * index)) & 0x7f).unwrap_or_default();
        *byte = if index + 1 < LENGTH_BYTES { low | 0x80 } else { low };
    }
}
