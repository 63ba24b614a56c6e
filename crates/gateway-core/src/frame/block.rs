//! Header blocks (RFC 7541), as far as it takes to know whether they can be read, and what the library would not tell of them.
//!
//! The library says PROTOCOL_ERROR where COMPRESSION_ERROR is demanded, drops pseudo-headers of trailers, and cuts fragments off
//! paths. Of what was said before, only sizes and kinds are kept.

use std::collections::VecDeque;

use super::{FrameError, huffman};

/// Reads the blocks of one connection, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    /// The newest first.
    table: VecDeque<Entry>,
    table_bytes: usize,
    table_bytes_max: usize,
}

/// A field that later blocks can name by its index.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: Name,
    has_fragment: bool,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    kind: Kind,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Field,
    Path,
    Pseudo,
}

/// The size of the table while nobody has agreed on another one (RFC 9113 section 6.5.2).
const TABLE_BYTES_MAX: usize = 4096;
/// What an entry counts beyond its texts (RFC 7541 section 4.1).
const ENTRY_BYTES: usize = 32;
/// Bytes of an integer beyond its prefix: enough for every size there is.
const INTEGER_BYTES_MAX: u32 = 4;

/// The names of the static table (appendix A).
const STATIC: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

impl Blocks {
    pub(super) const fn new() -> Self {
        Self { table: VecDeque::new(), table_bytes: 0, table_bytes_max: TABLE_BYTES_MAX }
    }

    /// Reads a whole block.
    pub(super) fn read(&mut self, block: &[u8], is_trailers: bool) -> Result<(), FrameError> {
        let mut rest = Rest(block);
        let (mut may_resize, mut is_malformed) = (true, false);
        while let Some(first) = rest.peek() {
            if let 0x20..=0x3f = first {
                let bytes_max = rest.integer(5)?;
                if !may_resize || bytes_max > TABLE_BYTES_MAX {
                    return Err(FrameError::Compression);
                }
                self.table_bytes_max = bytes_max;
                self.evict(0);
                continue;
            }
            may_resize = false;
            let entry = match first {
                0x80.. => {
                    let index = rest.integer(7)?;
                    self.entry(index)?
                }
                0x40.. => {
                    let entry = self.literal(&mut rest, 6)?;
                    self.insert(entry);
                    entry
                }
                _ => self.literal(&mut rest, 4)?,
            };
            // Known only once the whole block was read: one that cannot be read is the worse error.
            is_malformed |= entry.has_fragment || (is_trailers && entry.name.kind != Kind::Field);
        }
        if is_malformed { Err(FrameError::Malformed) } else { Ok(()) }
    }

    fn literal(&self, rest: &mut Rest<'_>, prefix: u32) -> Result<Entry, FrameError> {
        let name = match rest.integer(prefix)? {
            0 => rest.name()?,
            index => self.entry(index)?.name,
        };
        let mut has_hash = false;
        let bytes = rest.text(|byte| has_hash |= byte == b'#')?;
        let has_fragment = has_hash && name.kind == Kind::Path;
        Ok(Entry { name, has_fragment, bytes: name.bytes + bytes + ENTRY_BYTES })
    }

    /// What an index stands for (section 2.3.3).
    fn entry(&self, index: usize) -> Result<Entry, FrameError> {
        let place = index.checked_sub(1).ok_or(FrameError::Compression)?;
        if let Some(name) = STATIC.get(place) {
            let name = Name { kind: Kind::of(name.as_bytes()), bytes: name.len() };
            return Ok(Entry { name, has_fragment: false, bytes: 0 });
        }
        self.table.get(place - STATIC.len()).copied().ok_or(FrameError::Compression)
    }

    /// One that is larger than the table empties it (section 4.4).
    fn insert(&mut self, entry: Entry) {
        self.evict(entry.bytes);
        if entry.bytes <= self.table_bytes_max {
            self.table_bytes += entry.bytes;
            self.table.push_front(entry);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.table_bytes + room > self.table_bytes_max {
            let Some(oldest) = self.table.pop_back() else { return };
            self.table_bytes -= oldest.bytes;
        }
    }
}

impl Kind {
    fn of(name: &[u8]) -> Self {
        match name {
            b":path" => Self::Path,
            [b':', ..] => Self::Pseudo,
            _ => Self::Field,
        }
    }
}

/// What is left of a block.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn byte(&mut self) -> Result<u8, FrameError> {
        let (first, rest) = self.0.split_first().ok_or(FrameError::Compression)?;
        self.0 = rest;
        Ok(*first)
    }

    /// An integer whose first bits are the last ones of a byte (section 5.1).
    fn integer(&mut self, prefix: u32) -> Result<usize, FrameError> {
        let mask = (1 << prefix) - 1;
        let first = usize::from(self.byte()?) & mask;
        if first < mask {
            return Ok(first);
        }
        let mut value = mask;
        for place in 0..INTEGER_BYTES_MAX {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FrameError::Compression)
    }

    /// A text (section 5.2), and how long it is.
    fn text(&mut self, mut each: impl FnMut(u8)) -> Result<usize, FrameError> {
        let is_coded = self.peek().is_some_and(|first| first & 0x80 != 0);
        let length = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(FrameError::Compression)?;
        self.0 = rest;
        if !is_coded {
            text.iter().copied().for_each(each);
            return Ok(length);
        }
        let mut bytes = 0;
        let decoded = huffman::decode(text, |byte| {
            bytes += 1;
            each(byte);
        });
        decoded.map(|()| bytes).map_err(|huffman::Unreadable| FrameError::Compression)
    }

    fn name(&mut self) -> Result<Name, FrameError> {
        // One byte more than the only name that must be known.
        let (mut begins, mut count) = ([0; 6], 0);
        let bytes = self.text(|byte| {
            if let Some(place) = begins.get_mut(count) {
                *place = byte;
                count += 1;
            }
        })?;
        Ok(Name { kind: Kind::of(begins.get(..count).unwrap_or_default()), bytes })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_as_large_as_that_of_the_rfc() {
        // RFC 7541 appendix C.5: responses with a table of 256 bytes.
        let hex = |text: &str| -> Vec<u8> {
            let digits: Vec<char> = text.chars().filter(|digit| !digit.is_whitespace()).collect();
            let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
            digits.chunks(2).map(|pair| byte(pair).unwrap()).collect()
        };
        let mut blocks = Blocks { table_bytes_max: 256, ..Blocks::new() };
        for (block, bytes, count) in [
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                 6c65 2e63 6f6d",
                222,
                4,
            ),
            ("4803 3330 37c1 c0bf", 222, 4),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                 3d31",
                215,
                3,
            ),
        ] {
            blocks.read(&hex(block), false).unwrap();
            assert_eq!((blocks.table_bytes, blocks.table.len()), (bytes, count));
        }
    }

    #[test]
    fn what_no_request_has_is_malformed() {
        let path =
            |text: &str| [&[0x44, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let mut blocks = Blocks::new();
        assert_eq!(blocks.read(&path("/a?b"), false), Ok(()));
        assert_eq!(blocks.read(&path("/a#b"), false), Err(FrameError::Malformed));
        // By its index too, and whatever the name is written as.
        assert_eq!(blocks.read(&[0xbe], false), Err(FrameError::Malformed));
        assert_eq!(blocks.read(&[0xbf], false), Ok(()));
        assert_eq!(blocks.read(b"\0\x05:path\x02/#", false), Err(FrameError::Malformed));
        assert_eq!(blocks.read(b"\0\x01x\x02/#", false), Ok(()));
        for trailers in [&[0x82][..], b"\0\x04:any\x00", &[0xbf]] {
            assert_eq!(blocks.read(trailers, true), Err(FrameError::Malformed));
            assert_eq!(blocks.read(trailers, false), Ok(()));
        }
        assert_eq!(blocks.read(b"\0\x01x\x00", true), Ok(()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_in_bounded_memory(
            all in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        ) {
            let mut blocks = Blocks::new();
            for block in &all {
                let _judged = blocks.read(block, false);
                let bytes: usize = blocks.table.iter().map(|entry| entry.bytes).sum();
                prop_assert_eq!(bytes, blocks.table_bytes);
                prop_assert!(bytes <= blocks.table_bytes_max && blocks.table_bytes_max <= TABLE_BYTES_MAX);
            }
        }
    }
}
