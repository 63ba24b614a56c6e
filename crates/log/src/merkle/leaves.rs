//! Where leaf hashes are kept.

use std::{io, path::Path};

use super::TreeHash;
use crate::disk::{Disk, File, SharedFile};

/// The name of the file beside the segments.
pub const LEAVES_FILE: &str = "leaves.merkle";

/// The name of the file with the roots over each 1024 leaves: what the leaf hashes are checked with when loaded.
pub const TILES_FILE: &str = "tiles.merkle";

/// Leaf hashes, one behind the other.
pub trait Leaves {
    /// The next 1024 leaves are whole, and this is the root over them.
    fn tile_done(&mut self, tile: u64, root: &TreeHash) -> io::Result<()> {
        let _ = (tile, root);
        Ok(())
    }

    /// Whether this root is what was told of these 1024 leaves.
    fn tile_fits(&self, tile: u64, root: &TreeHash) -> io::Result<bool> {
        let _ = (tile, root);
        Ok(true)
    }

    /// Adds hashes at the end.
    fn append(&mut self, hashes: &[TreeHash]) -> io::Result<()>;

    /// Exactly `count` hashes from `start` on; an error where there are fewer.
    fn read(&self, start: u64, count: usize) -> io::Result<Vec<TreeHash>>;

    /// What was appended survives a loss of power.
    fn sync(&self) -> io::Result<()>;
}

impl Leaves for Vec<TreeHash> {
    fn append(&mut self, hashes: &[TreeHash]) -> io::Result<()> {
        self.extend_from_slice(hashes);
        Ok(())
    }

    fn read(&self, start: u64, count: usize) -> io::Result<Self> {
        let start = usize::try_from(start).map_err(io::Error::other)?;
        let found = self.get(start..start + count).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(found.to_vec())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Leaf hashes in a file.
#[derive(Debug)]
pub struct LeafFile {
    file: SharedFile,
    tiles: SharedFile,
    count: u64,
}

impl LeafFile {
    /// Opens the file of a log's directory, or makes it. A part of a hash at its end is not counted.
    pub fn open(disk: &dyn Disk, directory: &Path) -> io::Result<Self> {
        let open = |name| {
            let path = directory.join(name);
            match disk.open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&path),
                opened => opened,
            }
        };
        let (file, tiles) = (open(LEAVES_FILE)?, open(TILES_FILE)?);
        let count = file.bytes()? / HASH_BYTES;
        Ok(Self { file, tiles, count })
    }

    /// Opens the file of a directory that is not to be changed; `None` where there is none.
    pub fn open_read(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Self>> {
        let open = |name| match disk.open_read(&directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        };
        let (Some(file), Some(tiles)) = (open(LEAVES_FILE)?, open(TILES_FILE)?) else {
            return Ok(None);
        };
        let count = file.bytes()? / HASH_BYTES;
        Ok(Some(Self { file, tiles, count }))
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Forgets all from `count` on.
    pub fn truncate(&mut self, count: u64) -> io::Result<()> {
        self.count = self.count.min(count);
        self.file.set_bytes(self.count * HASH_BYTES)
    }
}

const HASH_BYTES: u64 = 32;

impl Leaves for LeafFile {
    fn append(&mut self, hashes: &[TreeHash]) -> io::Result<()> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.file.write_all_at(&bytes, self.count * HASH_BYTES)?;
        self.count += u64::try_from(hashes.len()).map_err(io::Error::other)?;
        Ok(())
    }

    fn tile_done(&mut self, tile: u64, root: &TreeHash) -> io::Result<()> {
        self.tiles.write_all_at(root.as_bytes(), tile * HASH_BYTES)
    }

    fn tile_fits(&self, tile: u64, root: &TreeHash) -> io::Result<bool> {
        match read_hashes(&*self.tiles, tile, 1) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            found => Ok(found? == [*root]),
        }
    }

    fn read(&self, start: u64, count: usize) -> io::Result<Vec<TreeHash>> {
        read_hashes(&*self.file, start, count)
    }

    fn sync(&self) -> io::Result<()> {
        self.tiles.sync_data()?;
        self.file.sync_data()
    }
}

fn read_hashes(file: &dyn File, start: u64, count: usize) -> io::Result<Vec<TreeHash>> {
    let mut bytes = vec![0; count * TreeHash::BYTES];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = start * HASH_BYTES + u64::try_from(filled).map_err(io::Error::other)?;
        match file.read_at(rest, at) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (hashes, _) = bytes.as_chunks::<{ TreeHash::BYTES }>();
    Ok(hashes.iter().copied().map(TreeHash::new).collect())
}
