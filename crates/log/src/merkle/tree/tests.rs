#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

use proptest::prelude::*;

use super::*;
use crate::merkle::{verify_consistency, verify_inclusion};

/// The definition of RFC 9162, section 2.1.1, word for word.
fn definition(leaves: &[Vec<u8>]) -> TreeHash {
    match leaves {
        [] => TreeHash::empty(),
        [leaf] => TreeHash::of_leaf(leaf),
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            TreeHash::of_node(&definition(&leaves[..k]), &definition(&leaves[k..]))
        }
    }
}

fn tree_of(count: u64) -> Tree<Vec<TreeHash>> {
    let mut tree = Tree::in_memory();
    let hashes: Vec<_> = (0..count).map(|index| TreeHash::of_leaf(&index.to_le_bytes())).collect();
    tree.append(&hashes).unwrap();
    tree
}

/// The leaves that implementations of RFC 6962 and 9162 are compared with; the roots were computed with another
/// implementation of SHA-256.
#[test]
fn known_roots() {
    let leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    let mut tree = Tree::in_memory();
    for leaf in leaves {
        tree.append(&[TreeHash::of_leaf(&bytes(leaf))]).unwrap();
    }
    for (size, root) in (0..).zip(roots) {
        assert_eq!(tree.root(size).unwrap().to_string(), root, "size {size}");
    }
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_other_does() {
    let tree = tree_of(33);
    for size in 1..=33 {
        let root = tree.root(size).unwrap();
        for index in 0..size {
            let leaf = tree.leaf(index).unwrap();
            let path = tree.inclusion(index, size).unwrap();
            assert!(verify_inclusion(&leaf, index, size, &path, &root), "{index} in {size}");
            for other in (0..34).filter(|&other| other != index) {
                assert!(!verify_inclusion(&leaf, other, size, &path, &root));
            }
        }
        for old in 0..=size {
            let old_root = tree.root(old).unwrap();
            let path = tree.consistency(old, size).unwrap();
            assert!(verify_consistency(old, &old_root, size, &root, &path), "{old} to {size}");
            for other in (0..=size).filter(|&other| other != old) {
                assert!(!verify_consistency(other, &old_root, size, &root, &path));
            }
        }
    }
}

#[test]
fn what_is_asked_beyond_the_tree_is_refused() {
    let tree = tree_of(3);
    assert!(tree.root(4).is_err());
    assert!(tree.inclusion(3, 3).is_err());
    assert!(tree.inclusion(0, 4).is_err());
    assert!(tree.consistency(3, 2).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_are_those_of_the_definition(
        leaves in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..200),
        size in any::<prop::sample::Index>(),
    ) {
        let mut tree = Tree::in_memory();
        for leaf in &leaves {
            tree.append(&[TreeHash::of_leaf(leaf)]).unwrap();
        }
        let size = size.index(leaves.len() + 1);
        prop_assert_eq!(tree.root(size as u64).unwrap(), definition(&leaves[..size]));
    }

    /// Trees of several tiles: every proof verifies, every altered proof fails.
    #[test]
    fn altered_proofs_fail(
        count in 1u64..6000,
        size in any::<prop::sample::Index>(),
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let tree = tree_of(count);
        let size = size.index(count as usize) as u64 + 1;
        let index = index.index(size as usize) as u64;
        let root = tree.root(size).unwrap();
        let leaf = tree.leaf(index).unwrap();
        let alter = |hash: &TreeHash| {
            let mut bytes = *hash.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            TreeHash::new(bytes)
        };

        let path = tree.inclusion(index, size).unwrap();
        prop_assert!(verify_inclusion(&leaf, index, size, &path, &root));
        prop_assert!(!verify_inclusion(&alter(&leaf), index, size, &path, &root));
        prop_assert!(!verify_inclusion(&leaf, index, size, &path, &alter(&root)));
        for altered in alterations(&path, at, alter) {
            prop_assert!(!verify_inclusion(&leaf, index, size, &altered, &root));
        }

        let old_root = tree.root(index).unwrap();
        let path = tree.consistency(index, size).unwrap();
        prop_assert!(verify_consistency(index, &old_root, size, &root, &path));
        prop_assert!(!verify_consistency(index, &alter(&old_root), size, &root, &path));
        // Everything follows on nothing: then there is no path that could fit a root or not.
        prop_assert!(index == 0 || !verify_consistency(index, &old_root, size, &alter(&root), &path));
        for altered in alterations(&path, at, alter) {
            prop_assert!(!verify_consistency(index, &old_root, size, &root, &altered));
        }
    }
}

fn alterations(
    path: &[TreeHash],
    at: prop::sample::Index,
    alter: impl Fn(&TreeHash) -> TreeHash,
) -> Vec<Vec<TreeHash>> {
    let mut longer = path.to_vec();
    longer.push(TreeHash::empty());
    let mut altered = vec![longer];
    if !path.is_empty() {
        let at = at.index(path.len());
        let mut flipped = path.to_vec();
        flipped[at] = alter(&flipped[at]);
        let mut shorter = path.to_vec();
        shorter.remove(at);
        altered.extend([flipped, shorter]);
    }
    altered
}
