//! Checks proofs: RFC 9162, sections 2.1.3.2 and 2.1.4.2.

use super::TreeHash;

/// Whether `path` proves that the leaf stands at `index` in the tree of `size` leaves with this root.
#[must_use]
pub fn verify_inclusion(
    leaf: &TreeHash,
    index: u64,
    size: u64,
    path: &[TreeHash],
    root: &TreeHash,
) -> bool {
    if index >= size {
        return false;
    }
    let mut walk = Walk { node: index, last: size - 1 };
    let mut hash = *leaf;
    for other in path {
        if walk.last == 0 {
            return false;
        }
        hash = if walk.is_right() {
            TreeHash::of_node(other, &hash)
        } else {
            TreeHash::of_node(&hash, other)
        };
        walk.climb();
    }
    walk.last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `old_size` leaves is a beginning of that of `new_size` leaves.
#[must_use]
pub fn verify_consistency(
    old_size: u64,
    old_root: &TreeHash,
    new_size: u64,
    new_root: &TreeHash,
    path: &[TreeHash],
) -> bool {
    if old_size == 0 || old_size >= new_size {
        let is_equal = old_size == new_size && old_root == new_root;
        let is_from_nothing = old_size == 0 && *old_root == TreeHash::empty();
        return path.is_empty() && (is_equal || (is_from_nothing && old_size < new_size));
    }
    let mut walk = Walk { node: old_size - 1, last: new_size - 1 };
    while walk.node & 1 == 1 {
        walk.up();
    }
    // The old tree as a whole is a node of the new one: its hash is known to the verifier and not sent.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, path)
    } else {
        match path.split_first() {
            Some((first, rest)) => (first, rest),
            None => return false,
        }
    };
    let (mut old, mut new) = (*first, *first);
    for other in rest {
        if walk.last == 0 {
            return false;
        }
        if walk.is_right() {
            old = TreeHash::of_node(other, &old);
            new = TreeHash::of_node(other, &new);
        } else {
            new = TreeHash::of_node(&new, other);
        }
        walk.climb();
    }
    walk.last == 0 && old == *old_root && new == *new_root
}

/// A node on its way to the root, and the last node of its level.
struct Walk {
    node: u64,
    last: u64,
}

impl Walk {
    /// Whether the next hash of the path stands to the left of this node.
    fn is_right(&self) -> bool {
        self.node & 1 == 1 || self.node == self.last
    }

    /// One level up, and past the levels on which the last node has no sibling.
    fn climb(&mut self) {
        if self.is_right() {
            while self.node & 1 == 0 && self.node != 0 {
                self.up();
            }
        }
        self.up();
    }

    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}
