//! The tree: leaves kept elsewhere, the nodes above them in memory.

use std::io;

use super::{Leaves, TreeHash};

/// Leaves below the lowest node that is kept in memory: 1024. Ten million records take 640 KiB, and a proof reads at
/// most this many leaves in ten pieces.
const TILE_LEVEL: u32 = 10;
/// How many leaves that are.
const TILE_LEAVES: u64 = 1 << TILE_LEVEL;
/// Leaves added at once: 1 MiB of hashes.
const PART_LEAVES: usize = 1 << 15;
/// Leaves after which a sync is due. Seldom, because it is the log's disk that it takes its time from.
const SYNC_LEAVES: u64 = 1 << 14;
/// What a loss of power can take: leaves that no sync was due for, and a part whose sync was under way.
pub(super) const UNSYNCED_LEAVES_MAX: u64 = SYNC_LEAVES + (1 << 15);
const _: () = assert!(PART_LEAVES == 1 << 15);

/// A Merkle tree that grows at its end.
#[derive(Clone, Debug)]
pub struct Tree<L> {
    leaves: L,
    size: u64,
    /// The leaves behind the last whole tile.
    open: Vec<TreeHash>,
    /// The complete nodes over 1, 2, 4 ... tiles.
    levels: Vec<Vec<TreeHash>>,
    /// Leaves appended since the last sync that was due.
    unsynced: u64,
}

impl Tree<Vec<TreeHash>> {
    /// An empty tree in memory.
    pub fn in_memory() -> Self {
        Self::empty_on(Vec::new())
    }
}

impl<L: Leaves> Tree<L> {
    /// An empty tree over leaves that are empty too.
    pub fn empty_on(leaves: L) -> Self {
        Self { leaves, size: 0, open: Vec::new(), levels: Vec::new(), unsynced: 0 }
    }

    /// The tree over the first `size` leaves, or over fewer: as far as they are what was kept.
    pub fn load(leaves: L, size: u64) -> io::Result<Self> {
        let mut tree = Self::empty_on(leaves);
        while tree.size < size {
            let count = usize::try_from((size - tree.size).min(TILE_LEAVES)).unwrap_or(0);
            let hashes = tree.leaves.read(tree.size, count)?;
            let is_whole = hashes.len() == 1 << TILE_LEVEL;
            if is_whole && !tree.leaves.tile_fits(tree.size / TILE_LEAVES, &fold(&hashes))? {
                break;
            }
            tree.add(&hashes);
        }
        Ok(tree)
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds leaves at the end. At no time are more than 49,152 leaves not durable.
    pub fn append(&mut self, hashes: &[TreeHash]) -> io::Result<()> {
        for part in hashes.chunks(PART_LEAVES) {
            self.leaves.append(part)?;
            self.grow(part)?;
            self.unsynced += u64::try_from(part.len()).map_err(io::Error::other)?;
            if self.unsynced >= SYNC_LEAVES {
                self.leaves.sync()?;
                self.unsynced = 0;
            }
        }
        Ok(())
    }

    /// What was appended survives a loss of power.
    pub fn sync(&self) -> io::Result<()> {
        self.leaves.sync()
    }

    pub(super) fn leaves_mut(&mut self) -> &mut L {
        &mut self.leaves
    }

    /// The leaves without the tree.
    pub fn into_leaves(self) -> L {
        self.leaves
    }

    fn grow(&mut self, hashes: &[TreeHash]) -> io::Result<()> {
        let tiles = self.size / TILE_LEAVES..;
        tiles.zip(self.add(hashes)).try_for_each(|(tile, root)| self.leaves.tile_done(tile, &root))
    }

    /// Adds to what is in memory. Answers the roots of the tiles that became whole.
    fn add(&mut self, hashes: &[TreeHash]) -> Vec<TreeHash> {
        let mut tiles = Vec::new();
        for hash in hashes {
            self.open.push(*hash);
            self.size += 1;
            if self.size.is_multiple_of(TILE_LEAVES) {
                let tile = fold(&self.open);
                self.open.clear();
                self.add_node(0, tile);
                tiles.push(tile);
            }
        }
        tiles
    }

    fn add_node(&mut self, level: usize, node: TreeHash) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        let Some(nodes) = self.levels.get_mut(level) else { return };
        nodes.push(node);
        if nodes.len().is_multiple_of(2)
            && let [.., left, right] = nodes.as_slice()
        {
            let above = TreeHash::of_node(left, right);
            self.add_node(level + 1, above);
        }
    }

    /// The leaf at `index`.
    pub fn leaf(&self, index: u64) -> io::Result<TreeHash> {
        self.subtree(index, index + 1)
    }

    /// The root over the first `size` leaves; `size` is at most the tree's.
    pub fn root(&self, size: u64) -> io::Result<TreeHash> {
        self.check(size)?;
        self.subtree(0, size)
    }

    /// The path that proves that the leaf at `index` is in the tree over the first `size` leaves.
    pub fn inclusion(&self, index: u64, size: u64) -> io::Result<Vec<TreeHash>> {
        self.check(size)?;
        if index >= size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut path = Vec::new();
        let (mut start, mut end) = (0, size);
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// The path that proves that the tree of `old_size` leaves is a beginning of that of `new_size` leaves.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> io::Result<Vec<TreeHash>> {
        self.check(new_size)?;
        if old_size > new_size {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut path = Vec::new();
        if old_size == 0 {
            return Ok(path);
        }
        let (mut start, mut end) = (0, new_size);
        while old_size != end {
            let middle = start + split(end - start);
            if old_size <= middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        // The old tree itself is not sent; a node of it that is not the whole is.
        if start > 0 {
            path.push(self.subtree(start, end)?);
        }
        path.reverse();
        Ok(path)
    }

    fn check(&self, size: u64) -> io::Result<()> {
        if size > self.size { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
    }

    /// The hash over `start..end`, which is a node of some tree: its start is a multiple of the least power of two that
    /// is not below its length.
    fn subtree(&self, start: u64, end: u64) -> io::Result<TreeHash> {
        let count = end - start;
        if count == 0 {
            return Ok(TreeHash::empty());
        }
        if let Some(node) = self.kept(start, count) {
            return Ok(node);
        }
        if count <= TILE_LEAVES {
            return Ok(fold(&self.read(start, count)?));
        }
        let middle = start + split(count);
        Ok(TreeHash::of_node(&self.subtree(start, middle)?, &self.subtree(middle, end)?))
    }

    fn kept(&self, start: u64, count: u64) -> Option<TreeHash> {
        if !count.is_power_of_two() || count < TILE_LEAVES {
            return None;
        }
        let level = usize::try_from(count.ilog2() - TILE_LEVEL).ok()?;
        self.levels.get(level)?.get(usize::try_from(start / count).ok()?).copied()
    }

    fn read(&self, start: u64, count: u64) -> io::Result<Vec<TreeHash>> {
        let count = usize::try_from(count).map_err(io::Error::other)?;
        let open_start = self.size - self.size % TILE_LEAVES;
        let kept = start.checked_sub(open_start).and_then(|at| {
            let at = usize::try_from(at).ok()?;
            self.open.get(at..at + count)
        });
        kept.map_or_else(|| self.leaves.read(start, count), |kept| Ok(kept.to_vec()))
    }
}

/// Leaves that are not kept: enough for the root of a tree as it grows.
#[derive(Clone, Copy, Debug, Default)]
pub struct RootOnly;

impl Leaves for RootOnly {
    fn append(&mut self, _: &[TreeHash]) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, _: u64, _: usize) -> io::Result<Vec<TreeHash>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over these leaves.
fn fold(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => *leaf,
        _ => {
            let at = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(at);
            TreeHash::of_node(&fold(left), &fold(right))
        }
    }
}

#[cfg(test)]
mod tests;
