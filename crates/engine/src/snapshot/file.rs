//! One snapshot's file.
//!
//! ```text
//!  offset  size  field
//!  0       8     "LMBDSNAP"
//!  8       2     version of this layout, 1
//!  10      2     version of the machine's state
//!  12      4     CRC32C of bytes 0 to 71, with zeros here
//!  16      8     position
//!  24      8     time of the record before the position, nanoseconds since 1970
//!  32      8     length of the body
//!  40      32    SHA-256 of the body: the state hash
//!  72            body: the state (`stream.rs`)
//! ```
//! Numbers are little endian. The header is written last, but what makes a file whole is its name: it gets it when
//! everything is on the disk.

use std::{io, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use lombard_log::disk::{File, SharedFile};
use lombard_types::{Position, Timestamp};

use super::{Snapshot, SnapshotInfo, StateHash, StateReader, StateWriter};
use crate::DecodeError;

const MAGIC: [u8; 8] = *b"LMBDSNAP";
const LAYOUT: u16 = 1;
const HEADER_BYTES: usize = 72;
const CHECKSUM_OFFSET: usize = 12;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// What a snapshot says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) machine_version: u16,
    pub(crate) position: Position,
    pub(crate) last_time: Timestamp,
    pub(crate) body_bytes: u64,
    pub(crate) state_hash: StateHash,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("it is of version {found} of the state, and this program writes {expected}")]
    OtherVersion { found: u16, expected: u16 },
    #[error("its state is not understood: {}", .0.0)]
    Decode(DecodeError),
    #[error("it is of another history than this log: {0}")]
    OtherLog(&'static str),
}

// === impl Header ===

impl Header {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&LAYOUT.to_le_bytes());
        bytes.extend_from_slice(&self.machine_version.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.position.get().to_le_bytes());
        bytes.extend_from_slice(&self.last_time.unix_nanos().to_le_bytes());
        bytes.extend_from_slice(&self.body_bytes.to_le_bytes());
        bytes.extend_from_slice(self.state_hash.as_bytes());
        let mut header = [0; HEADER_BYTES];
        header.copy_from_slice(&bytes);
        let checksum = crc32c::crc32c(&header);
        header[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Unusable> {
        const CUT_SHORT: fn(DecodeError) -> Unusable = Unusable::Decode;
        let mut fields = crate::fields::Reader(bytes);
        if fields.array().map_err(CUT_SHORT)? != MAGIC {
            return Err(Unusable::Damaged("it does not begin as a snapshot does"));
        }
        let layout = u16::from_le_bytes(fields.array().map_err(CUT_SHORT)?);
        let machine_version = u16::from_le_bytes(fields.array().map_err(CUT_SHORT)?);
        let checksum = u32::from_le_bytes(fields.array().map_err(CUT_SHORT)?);
        let mut plain = *bytes;
        plain[CHECKSUM_OFFSET..CHECKSUM_OFFSET + 4].fill(0);
        if crc32c::crc32c(&plain) != checksum {
            return Err(Unusable::Damaged("the checksum of its header does not fit"));
        }
        if layout != LAYOUT {
            return Err(Unusable::Damaged("its layout is not known to this version"));
        }
        let mut number = || fields.array().map(u64::from_le_bytes).map_err(CUT_SHORT);
        Ok(Self {
            machine_version,
            position: Position::new(number()?),
            last_time: Timestamp::from_unix_nanos(number()?),
            body_bytes: number()?,
            state_hash: StateHash::new(fields.array().map_err(CUT_SHORT)?),
        })
    }

    fn file_bytes(&self) -> u64 {
        self.body_bytes.saturating_add(to_u64(HEADER_BYTES))
    }

    pub(crate) fn info(&self, took: Duration) -> SnapshotInfo {
        let (position, state_hash, bytes) = (self.position, self.state_hash, self.file_bytes());
        SnapshotInfo { position, state_hash, bytes, took }
    }
}

/// Writes the whole file and makes it durable under the name it has now. `may_go_on` is asked for every chunk.
pub(crate) fn write<M: Snapshot>(
    file: &dyn File,
    machine: &M,
    (position, last_time): (Position, Timestamp),
    may_go_on: &dyn Fn() -> bool,
) -> io::Result<Header> {
    let mut context = Context::new(&SHA256);
    let mut offset = to_u64(HEADER_BYTES);
    let mut write = |chunk: &[u8]| {
        if !may_go_on() {
            return Err(io::Error::other("nobody needs the snapshot any more"));
        }
        context.update(chunk);
        file.write_all_at(chunk, offset)?;
        offset += to_u64(chunk.len());
        Ok(())
    };
    let mut state = StateWriter::new(&mut write);
    machine.write_state(&mut state);
    state.finish()?;
    let header = Header {
        machine_version: M::VERSION,
        position,
        last_time,
        body_bytes: offset - to_u64(HEADER_BYTES),
        state_hash: StateHash::of(context),
    };
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    Ok(header)
}

/// Reads the header, and checks that the body is what was written.
pub(crate) fn check(file: &SharedFile) -> Result<Header, Unusable> {
    let mut bytes = [0; HEADER_BYTES];
    let mut reader = FileReader { file, offset: 0 };
    match io::Read::read_exact(&mut reader, &mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Unusable::Damaged("it is cut short"));
        }
        read => read?,
    }
    let header = Header::decode(&bytes)?;
    if file.bytes()? != header.file_bytes() {
        return Err(Unusable::Damaged("its length is not the one in its header"));
    }
    let mut context = Context::new(&SHA256);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match io::Read::read(&mut reader, &mut chunk) {
            Ok(0) => break,
            Ok(count) => context.update(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if StateHash::of(context) != header.state_hash {
        return Err(Unusable::Damaged("the hash of its state does not fit"));
    }
    Ok(header)
}

/// Gives the checked file's state to an empty machine.
pub(crate) fn read<M: Snapshot>(
    file: &SharedFile,
    header: &Header,
    empty: M,
) -> Result<M, Unusable> {
    let (found, expected) = (header.machine_version, M::VERSION);
    if found != expected {
        return Err(Unusable::OtherVersion { found, expected });
    }
    let body = FileReader { file, offset: to_u64(HEADER_BYTES) };
    let mut body = io::BufReader::with_capacity(CHUNK_BYTES, body);
    let mut state = StateReader::new(&mut body);
    let machine = empty.read_state(&mut state);
    let is_whole = state.finish()?;
    let machine = machine.map_err(Unusable::Decode)?;
    if !is_whole {
        return Err(Unusable::Decode(DecodeError("bytes after the end of the state")));
    }
    Ok(machine)
}

struct FileReader<'a> {
    file: &'a SharedFile,
    offset: u64,
}

impl io::Read for FileReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(bytes, self.offset)?;
        self.offset += to_u64(count);
        Ok(count)
    }
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            machine_version: 3,
            position: Position::new(5),
            last_time: Timestamp::from_unix_nanos(6),
            body_bytes: 7,
            state_hash: StateHash::new([8; 32]),
        }
    }

    #[test]
    fn golden_bytes() {
        let mut expected = b"LMBDSNAP\x01\0\x03\0".to_vec();
        expected.extend([0; 4]);
        for number in [5, 6, 7] {
            expected.extend([number, 0, 0, 0, 0, 0, 0, 0]);
        }
        expected.extend([8; 32]);
        let checksum = crc32c::crc32c(&expected).to_le_bytes();
        expected[12..16].copy_from_slice(&checksum);
        assert_eq!(header().encode().as_slice(), expected);
        assert_eq!(Header::decode(&header().encode()).unwrap(), header());
    }

    #[test]
    fn every_turned_bit_of_a_header_is_noticed() {
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&bytes).is_err(), "bit {bit}");
        }
    }
}
