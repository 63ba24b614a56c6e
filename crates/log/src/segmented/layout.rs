//! The bytes of segments and records.

use lombard_types::Position;

pub(super) const SEGMENT_HEADER_BYTES: usize = 64;
pub(super) const RECORD_HEADER_BYTES: usize = 32;
const MAGIC: [u8; 8] = *b"LOMBSEG1";
const FORMAT_VERSION: u32 = 1;
const KIND_RECORD: u8 = 1;
const ALIGNMENT: usize = 8;

/// What a payload takes in a segment: header, payload, padding.
pub(super) const fn framed_bytes(payload_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    pub(super) first_position: Position,
    pub(super) log_id: [u8; 16],
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut fields = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        fields.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        fields.extend_from_slice(&self.number.to_le_bytes());
        fields.extend_from_slice(&self.first_position.get().to_le_bytes());
        fields.extend_from_slice(&self.log_id);
        fields.resize(SEGMENT_HEADER_BYTES - 12, 0);
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let (magic, rest) = header.split_at_mut(8);
        let (crc, body) = rest.split_at_mut(4);
        magic.copy_from_slice(&MAGIC);
        crc.copy_from_slice(&crc32c::crc32c(&fields).to_le_bytes());
        body.copy_from_slice(&fields);
        header
    }

    /// `None` where the bytes are not a header of this version.
    pub(super) fn decode(header: &[u8; SEGMENT_HEADER_BYTES]) -> Option<Self> {
        let (magic, rest) = header.split_first_chunk::<8>()?;
        let (crc, body) = rest.split_first_chunk::<4>()?;
        if *magic != MAGIC || crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return None;
        }
        let (version, rest) = body.split_first_chunk::<4>()?;
        let (number, rest) = rest.split_first_chunk::<8>()?;
        let (first_position, rest) = rest.split_first_chunk::<8>()?;
        let (log_id, _) = rest.split_first_chunk::<16>()?;
        (u32::from_le_bytes(*version) == FORMAT_VERSION).then(|| Self {
            number: u64::from_le_bytes(*number),
            first_position: Position::new(u64::from_le_bytes(*first_position)),
            log_id: *log_id,
        })
    }
}

/// A record's header as read; nothing of it is trusted before [`RecordHeader::fits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) length: usize,
    crc: u32,
    pub(super) position: Position,
    pub(super) synced: Position,
}

/// What stands where a record could begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Zeros: the end of the records.
    End,
    /// A header, to be checked.
    Header(RecordHeader),
    /// Neither.
    Garbage,
}

impl RecordHeader {
    pub(super) fn read(header: &[u8; RECORD_HEADER_BYTES]) -> Found {
        if header.iter().all(|&byte| byte == 0) {
            return Found::End;
        }
        let parsed = || {
            let (length, rest) = header.split_first_chunk::<4>()?;
            let (crc, rest) = rest.split_first_chunk::<4>()?;
            let (position, rest) = rest.split_first_chunk::<8>()?;
            let (synced, rest) = rest.split_first_chunk::<8>()?;
            let (kind, reserved) = rest.split_first()?;
            let is_known = *kind == KIND_RECORD && reserved.iter().all(|&byte| byte == 0);
            is_known.then_some(Self {
                length: usize::try_from(u32::from_le_bytes(*length)).ok()?,
                crc: u32::from_le_bytes(*crc),
                position: Position::new(u64::from_le_bytes(*position)),
                synced: Position::new(u64::from_le_bytes(*synced)),
            })
        };
        parsed().map_or(Found::Garbage, Found::Header)
    }

    /// Whether header and payload are what was written.
    pub(super) fn fits(&self, header: &[u8; RECORD_HEADER_BYTES], payload: &[u8]) -> bool {
        let (_, covered) = header.split_at(8);
        payload.len() == self.length
            && crc32c::crc32c_append(crc32c::crc32c(covered), payload) == self.crc
    }
}

/// Appends a framed record to `out`.
pub(super) fn encode_record(
    position: Position,
    synced: Position,
    payload: &[u8],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&position.get().to_le_bytes());
    out.extend_from_slice(&synced.get().to_le_bytes());
    out.extend_from_slice(&[KIND_RECORD, 0, 0, 0, 0, 0, 0, 0]);
    let covered = out.get(start + 8..).unwrap_or_default();
    let crc = crc32c::crc32c_append(crc32c::crc32c(covered), payload);
    if let Some(field) = out.get_mut(start + 4..start + 8) {
        field.copy_from_slice(&crc.to_le_bytes());
    }
    out.extend_from_slice(payload);
    out.resize(start + framed_bytes(payload.len()), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_record() {
        let mut bytes = Vec::new();
        encode_record(Position::new(0x0102), Position::new(0x0100), b"hello", &mut bytes);
        let mut expected = vec![5, 0, 0, 0];
        expected.extend_from_slice(&bytes[4..8]);
        expected.extend_from_slice(&[2, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend_from_slice(b"hello\0\0\0");
        assert_eq!(bytes, expected);
        // Computed with another implementation of CRC32C.
        assert_eq!(bytes[4..8], 0xDB22_BB16u32.to_le_bytes());
        assert_eq!(bytes.len(), framed_bytes(5));
    }

    #[test]
    fn headers_round_trip_and_every_flipped_bit_is_noticed() {
        let header = SegmentHeader {
            number: 7,
            first_position: Position::new(9),
            log_id: *b"0123456789abcdef",
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Some(header));
        for bit in 0..SEGMENT_HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), None, "bit {bit}");
        }
        let mut record = Vec::new();
        encode_record(Position::new(3), Position::new(2), b"payload", &mut record);
        for bit in 0..(RECORD_HEADER_BYTES + 7) * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let head: &[u8; RECORD_HEADER_BYTES] =
                flipped[..RECORD_HEADER_BYTES].try_into().unwrap();
            if let Found::Header(header) = RecordHeader::read(head) {
                let end = (RECORD_HEADER_BYTES + header.length).min(flipped.len());
                assert!(!header.fits(head, &flipped[RECORD_HEADER_BYTES..end]), "bit {bit}");
            }
        }
    }
}
