//! A Merkle tree over the records of a log: what makes its history provable.
//!
//! The tree is that of RFC 9162, section 2.1, with SHA-256. The leaf of a record is its position as 8 bytes little
//! endian, then its payload, so a record proves its place as well as its content:
//!
//! ```text
//!  leaf hash = SHA-256(0x00 || position || payload)
//!  node hash = SHA-256(0x01 || left || right)
//! ```
//!
//! [`Tree`] answers roots and proofs for any size it has had; [`verify_inclusion`] and [`verify_consistency`] need no
//! tree. [`MerkleFollower`] keeps a tree behind a running log. Its leaf hashes stand in the file `leaves.merkle`
//! beside the segments, 32 bytes each, nothing else, and the roots over each 1024 of them in `tiles.merkle`; all else
//! is recomputed when it starts.
//!
//! The files are a cache: whoever deletes them loses time. They are believed only as far as they are looked at: when
//! loaded each tile must fit its root, the last leaves are compared with the log, and each leaf that is proved with its
//! record. They are not held up as evidence: a checkpoint that somebody else keeps is.

use std::fmt;

use aws_lc_rs::digest;
use lombard_types::Position;

mod follower;
mod leaves;
mod proof;
mod tree;

pub use follower::{Inclusion, MerkleError, MerkleFollower};
pub use leaves::{LEAVES_FILE, LeafFile, Leaves, TILES_FILE};
pub use proof::{verify_consistency, verify_inclusion};
pub use tree::{RootOnly, Tree};

/// A SHA-256 hash of a leaf or a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash([u8; Self::BYTES]);

impl TreeHash {
    /// Its size.
    pub const BYTES: usize = 32;

    /// A hash that was stored or sent.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// The root of a tree without leaves: the hash of nothing.
    pub fn empty() -> Self {
        Self::of(&[])
    }

    /// The leaf of a record.
    pub fn of_record(position: Position, payload: &[u8]) -> Self {
        Self::of(&[&[0], &position.get().to_le_bytes(), payload])
    }

    /// A leaf of any bytes, as RFC 9162 has it.
    pub fn of_leaf(leaf: &[u8]) -> Self {
        Self::of(&[&[0], leaf])
    }

    /// The node above two others.
    pub fn of_node(left: &Self, right: &Self) -> Self {
        Self::of(&[&[1], &left.0, &right.0])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut hash = [0; Self::BYTES];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
