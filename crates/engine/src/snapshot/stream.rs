//! A machine's state as a sequence of items, written and read without ever holding the whole encoding.
//!
//! ```text
//!  per item: 4 bytes length, little endian, then its fields
//! ```

use std::io;

use crate::{DecodeError, fields};

/// Bytes that are collected before they are handed on.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes of one item, at most: what a reader holds in memory.
const ITEM_BYTES_MAX: usize = 16 << 20;

/// Takes a machine's state, item by item.
pub struct StateWriter<'a> {
    chunk: Vec<u8>,
    sink: &'a mut dyn FnMut(&[u8]) -> io::Result<()>,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for StateWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateWriter").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<'a> StateWriter<'a> {
    pub(crate) fn new(sink: &'a mut dyn FnMut(&[u8]) -> io::Result<()>) -> Self {
        Self { chunk: Vec::new(), sink, failed: None }
    }

    /// Appends an item, such as one account: at most 16 MiB. After a failure, which the caller of the machine learns
    /// of in the end, nothing more is written.
    pub fn item(&mut self, write: impl FnOnce(&mut fields::Writer<'_>)) {
        if self.failed.is_some() {
            return;
        }
        let start = self.chunk.len();
        self.chunk.extend_from_slice(&[0; 4]);
        write(&mut fields::Writer(&mut self.chunk));
        let length = self.chunk.len() - start - 4;
        match (u32::try_from(length), self.chunk.get_mut(start..start + 4)) {
            (Ok(bytes), Some(prefix)) if length <= ITEM_BYTES_MAX => {
                prefix.copy_from_slice(&bytes.to_le_bytes());
            }
            _ => {
                let cause = format!("an item of {length} bytes is over the limit");
                self.failed = Some(io::Error::other(cause));
                return;
            }
        }
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Err(error) = (self.sink)(&self.chunk) {
            self.failed = Some(error);
        }
        self.chunk.clear();
    }

    /// Everything was handed on, or why not.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.failed.is_none() {
            self.flush();
        }
        self.failed.map_or(Ok(()), Err)
    }
}

/// Gives a machine's state back, item by item.
pub struct StateReader<'a> {
    source: &'a mut dyn io::Read,
    item: Vec<u8>,
    failed: Option<io::Error>,
}

impl std::fmt::Debug for StateReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateReader").field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl<'a> StateReader<'a> {
    pub(crate) fn new(source: &'a mut dyn io::Read) -> Self {
        Self { source, item: Vec::new(), failed: None }
    }

    /// Takes the next item; `read` must take all of it.
    pub fn item<T>(
        &mut self,
        read: impl FnOnce(&mut fields::Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut prefix = [0; 4];
        let filled = self.source.read_exact(&mut prefix);
        self.check(filled)?;
        let length = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
        if length > ITEM_BYTES_MAX {
            return Err(DecodeError("an item of the state is over the limit"));
        }
        self.item.resize(length, 0);
        let filled = self.source.read_exact(&mut self.item);
        self.check(filled)?;
        let mut fields = fields::Reader(&self.item);
        let value = read(&mut fields)?;
        fields.end()?;
        Ok(value)
    }

    fn check(&mut self, filled: io::Result<()>) -> Result<(), DecodeError> {
        filled.map_err(|error| {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                self.failed = Some(error);
            }
            DecodeError("the state is cut short")
        })
    }

    /// Nothing is left; and if reading failed, that is the error.
    pub(crate) fn finish(self) -> io::Result<bool> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut byte = [0];
        loop {
            match self.source.read(&mut byte) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return Ok(read? == 0),
            }
        }
    }
}
