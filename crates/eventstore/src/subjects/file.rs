//! The file of keys: a header of one sector, then slots of 128 bytes, each of which lies in one sector.
//!
//! ```text
//!  header   8 bytes  "LMBKEYS1"
//!          28 bytes  nothing, wrapped with the master key: another one is noticed
//!           8 bytes  the beginning of the SHA-256 of what stands before
//!  slot     8 bytes  the beginning of the SHA-256 of what follows
//!           1 byte   state: 1 a key, 2 erased
//!          32 bytes  SHA-256 of the subject's name
//!          60 bytes  the key, wrapped with the master key for this subject; zeros where it is erased
//!          27 bytes  zeros
//! ```
//!
//! A slot is written once and overwritten once, when its key is destroyed. One that is all zeros was lost with a power
//! cut before anybody was told of it.

use std::{io, path::Path};

use aws_lc_rs::digest;
use lombard_log::disk::{SharedDisk, SharedFile};
use lombard_master_key::{KEY_BYTES, MasterKey, NONCE_BYTES, TAG_BYTES};

use super::SubjectHash;

pub(super) const SLOT_BYTES: usize = 128;
const HEADER_BYTES: usize = 512;
const MAGIC: &[u8; 8] = b"LMBKEYS1";
const CHECK_BYTES: usize = NONCE_BYTES + TAG_BYTES;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
const SUM_BYTES: usize = 8;
const LIVE: u8 = 1;
const ERASED: u8 = 2;
const NAME: &str = "keys";

/// The file of the subjects' keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The disk refused.
    #[error("failed to read or write the keys of data subjects")]
    Io(#[from] io::Error),
    /// The file was made with another master key.
    #[error("the master key is not the one that the keys of data subjects are wrapped with")]
    WrongMasterKey,
    /// What is there is not what was written.
    #[error("the file of the keys of data subjects is damaged at byte {offset}")]
    Damaged {
        /// Where.
        offset: u64,
    },
    /// The provider refused to encrypt.
    #[error("failed to wrap a key")]
    Wrap,
}

impl KeyFileError {
    pub(super) fn damaged(place: u32) -> Self {
        Self::Damaged { offset: offset(place) }
    }
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Live { hash: SubjectHash, wrapped: Vec<u8> },
    Erased { hash: SubjectHash },
}

impl Slot {
    pub(super) const fn hash(&self) -> &SubjectHash {
        match self {
            Self::Live { hash, .. } | Self::Erased { hash } => hash,
        }
    }

    fn encode(&self) -> [u8; SLOT_BYTES] {
        let (state, wrapped): (u8, &[u8]) = match self {
            Self::Live { wrapped, .. } => (LIVE, wrapped),
            Self::Erased { .. } => (ERASED, &[]),
        };
        let mut body = [&[state][..], self.hash(), wrapped].concat();
        body.resize(SLOT_BYTES - SUM_BYTES, 0);
        let mut bytes = [0; SLOT_BYTES];
        bytes.copy_from_slice(&[&sum(&body)[..], &body].concat());
        bytes
    }

    /// `Ok(None)` for one that was never written; `Err` for damage.
    fn decode(bytes: &[u8]) -> Result<Option<Self>, ()> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let (claimed, body) = bytes.split_first_chunk::<SUM_BYTES>().ok_or(())?;
        if *claimed != sum(body) {
            return Err(());
        }
        let (state, rest) = body.split_first().ok_or(())?;
        let (hash, rest) = rest.split_first_chunk().ok_or(())?;
        match *state {
            LIVE => {
                let wrapped = rest.get(..WRAPPED_BYTES).ok_or(())?.to_vec();
                Ok(Some(Self::Live { hash: *hash, wrapped }))
            }
            ERASED => Ok(Some(Self::Erased { hash: *hash })),
            _ => Err(()),
        }
    }
}

fn sum(bytes: &[u8]) -> [u8; SUM_BYTES] {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The open file. All calls block.
#[derive(Debug)]
pub(super) struct KeyFile(SharedFile);

/// Whether there is a file of keys in a directory.
pub(super) fn exists(disk: &SharedDisk, directory: &Path) -> io::Result<bool> {
    Ok(disk.list(directory)?.contains(&directory.join(NAME)))
}

impl KeyFile {
    /// Opens the file in a directory, or makes it.
    pub(super) fn open(
        disk: &SharedDisk,
        directory: &Path,
        master: &MasterKey,
    ) -> Result<Self, KeyFileError> {
        let path = directory.join(NAME);
        if !exists(disk, directory)? {
            let temporary = directory.join("keys.tmp");
            let file = disk.create(&temporary)?;
            let check = master.wrap(&[], MAGIC).map_err(|_| KeyFileError::Wrap)?;
            let head = [&MAGIC[..], &check].concat();
            let mut header = [&head[..], &sum(&head)].concat();
            header.resize(HEADER_BYTES, 0);
            file.write_all_at(&header, 0)?;
            file.sync_all()?;
            disk.rename(&temporary, &path)?;
            disk.sync_directory(directory)?;
        }
        let file = Self(disk.open(&path)?);
        let mut header = [0; HEADER_BYTES];
        if file.read_at(&mut header, 0)? != HEADER_BYTES {
            return Err(KeyFileError::Damaged { offset: 0 });
        }
        let damaged = KeyFileError::Damaged { offset: 0 };
        let (head, rest) = header.split_at(MAGIC.len() + CHECK_BYTES);
        if !head.starts_with(MAGIC) || !rest.starts_with(&sum(head)) {
            return Err(damaged);
        }
        let check = head.get(MAGIC.len()..).unwrap_or_default();
        master.unwrap(check, MAGIC).ok_or(KeyFileError::WrongMasterKey)?;
        // What an earlier life wrote and did not sync may be seen, and not be there after a power cut.
        file.0.sync_all()?;
        Ok(file)
    }

    /// Tells of each slot that was written, and answers how many places there are.
    pub(super) fn scan(&self, mut tell: impl FnMut(u32, Slot)) -> Result<u32, KeyFileError> {
        const CHUNK_SLOTS: usize = 512;
        let mut chunk = vec![0; CHUNK_SLOTS * SLOT_BYTES];
        let mut next = 0;
        loop {
            let length = self.read_at(&mut chunk, offset(next))?;
            let whole = chunk.get(..length).unwrap_or_default().chunks_exact(SLOT_BYTES);
            if whole.len() == 0 {
                // The rest of a slot that nobody was told of is overwritten by the next.
                return Ok(next);
            }
            for bytes in whole {
                let slot = Slot::decode(bytes);
                let slot = slot.map_err(|()| KeyFileError::damaged(next))?;
                if let Some(slot) = slot {
                    tell(next, slot);
                }
                next += 1;
            }
        }
    }

    pub(super) fn read(&self, slot: u32) -> Result<Option<Slot>, KeyFileError> {
        let mut bytes = [0; SLOT_BYTES];
        let damaged = KeyFileError::damaged(slot);
        if self.read_at(&mut bytes, offset(slot))? != SLOT_BYTES {
            return Err(damaged);
        }
        Slot::decode(&bytes).map_err(|()| damaged)
    }

    /// Durable after [`Self::sync`].
    pub(super) fn write(&self, place: u32, slot: &Slot) -> Result<(), KeyFileError> {
        Ok(self.0.write_all_at(&slot.encode(), offset(place))?)
    }

    pub(super) fn sync(&self) -> Result<(), KeyFileError> {
        Ok(self.0.sync_all()?)
    }

    /// The same, where no slot is new.
    pub(super) fn sync_overwritten(&self) -> Result<(), KeyFileError> {
        Ok(self.0.sync_data()?)
    }

    /// Until the buffer is full or the file ends.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<usize, KeyFileError> {
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            let at = offset + u64::try_from(length).unwrap_or_default();
            match self.0.read_at(rest, at)? {
                0 => break,
                some => length += some,
            }
        }
        Ok(length)
    }
}

fn offset(slot: u32) -> u64 {
    const HEADER: u64 = 512;
    const SLOT: u64 = 128;
    HEADER + u64::from(slot) * SLOT
}
