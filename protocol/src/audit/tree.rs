//! The tree: RFC 6962 §2.1 with SHA-256, by `tlog_tiles`. Nodes are numbered as it numbers them (Crosby and Wallach,
//! §3.3), so a store can keep them under one growing number.

use thiserror::Error;
use tlog_tiles::{Hash, HashReader, node_hash, stored_hash_index, sub_tree_index};

use crate::id::Digest;
use crate::query::InclusionProof;

/// The right edge of a tree: what it takes to append to it and to know its root. At most 64 hashes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots of the complete subtrees the leaves make, largest first: one for each 1 in `size` written in binary.
    peaks: Vec<Hash>,
}

/// Size and root of a tree: what a checkpoint states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// Leaves.
    pub size: u64,
    /// Root over them; of no leaves, SHA-256 of nothing.
    pub root: Digest,
}

/// A node of the tree and the number it is stored under.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredHash {
    /// Its number ([`stored_hash_index`]).
    pub index: u64,
    /// The hash.
    pub hash: Digest,
}

/// Why a proof does not prove, or could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The proof leads to another root.
    #[error("the proof does not lead to this root")]
    NotProven,
    /// Index and sizes do not fit together.
    #[error("the proof is about another position or size")]
    OutOfRange,
    /// A stored hash that the tree needs is not there or cannot be read.
    #[error("a hash of the tree is missing from the store")]
    MissingHash,
}

impl Frontier {
    /// The edge of a stored tree of this size; `read` gives the hash stored under a number.
    ///
    /// # Errors
    /// [`TreeError::MissingHash`].
    pub fn read(size: u64, read: impl Fn(u64) -> Option<Digest>) -> Result<Self, TreeError> {
        if size > SIZE_MAX {
            return Err(TreeError::OutOfRange);
        }
        let numbers = sub_tree_index(0, size, Vec::new());
        let peaks = Stored(read).read_hashes(&numbers).map_err(|_| TreeError::MissingHash)?;
        Ok(Self { size, peaks })
    }

    /// Leaves so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf and hands every node it completes to `store`: the leaf first, then upwards.
    pub fn push(&mut self, leaf: &Digest, mut store: impl FnMut(StoredHash)) {
        let index = self.size;
        let mut hash = Hash(leaf.0);
        let mut level: u8 = 0;
        store(StoredHash { index: stored_hash_index(0, index), hash: *leaf });
        // Each trailing 1 of the index is a complete subtree on the left that this node completes one level up.
        while (index >> level) & 1 == 1
            && let Some(left) = self.peaks.pop()
        {
            hash = node_hash(left, hash);
            level += 1;
            store(StoredHash { index: stored_hash_index(level, index >> level), hash: Digest(hash.0) });
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Size and root.
    #[must_use]
    pub fn head(&self) -> TreeHead {
        let root = self.peaks.iter().rev().copied().reduce(|right, left| node_hash(left, right));
        TreeHead { size: self.size, root: root.map_or_else(|| Digest::of(&[]), |hash| Digest(hash.0)) }
    }

    /// The edge's nodes with their numbers: together with what later pushes store, all that proofs of the later leaves need.
    pub fn stored(&self) -> impl Iterator<Item = StoredHash> {
        let numbers = sub_tree_index(0, self.size, Vec::new());
        numbers.into_iter().zip(&self.peaks).map(|(index, hash)| StoredHash { index, hash: Digest(hash.0) })
    }
}

/// Proves that the leaf at `index` is in the tree of this size (RFC 6962 §2.1.1).
///
/// # Errors
/// When there is no such leaf or a hash cannot be read.
pub fn prove_inclusion(
    index: u64,
    size: u64,
    read: impl Fn(u64) -> Option<Digest>,
) -> Result<InclusionProof, TreeError> {
    if index >= size || size > SIZE_MAX {
        return Err(TreeError::OutOfRange);
    }
    let path = tlog_tiles::prove_record(size, index, &Stored(read)).map_err(|_| TreeError::MissingHash)?;
    Ok(InclusionProof { index, size, path: path.into_iter().map(|hash| Digest(hash.0)).collect() })
}

/// Proves that the tree of size `new` begins with the tree of size `old` (RFC 6962 §2.1.2). Empty for `old` 0: every tree
/// begins with nothing.
///
/// # Errors
/// When `old` is larger than `new` or a hash cannot be read.
pub fn prove_consistency(old: u64, new: u64, read: impl Fn(u64) -> Option<Digest>) -> Result<Vec<Digest>, TreeError> {
    if old > new || new > SIZE_MAX {
        return Err(TreeError::OutOfRange);
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let proof = tlog_tiles::prove_tree(new, old, &Stored(read)).map_err(|_| TreeError::MissingHash)?;
    Ok(proof.into_iter().map(|hash| Digest(hash.0)).collect())
}

/// Checks that `leaf` is where the proof says it is, under a root somebody vouches for.
///
/// # Errors
/// [`TreeError::OutOfRange`] when proof and head are about different sizes, [`TreeError::NotProven`] otherwise.
pub fn verify_inclusion(proof: &InclusionProof, leaf: &Digest, head: &TreeHead) -> Result<(), TreeError> {
    if proof.size != head.size || proof.index >= proof.size || proof.size > SIZE_MAX || proof.path.len() > PATH_MAX {
        return Err(TreeError::OutOfRange);
    }
    let path: Vec<Hash> = proof.path.iter().map(|digest| Hash(digest.0)).collect();
    tlog_tiles::check_record(&path, head.size, Hash(head.root.0), proof.index, Hash(leaf.0))
        .map_err(|_| TreeError::NotProven)
}

/// Checks that the newer tree begins with the older.
///
/// # Errors
/// [`TreeError::OutOfRange`] when the older is larger, [`TreeError::NotProven`] otherwise.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[Digest]) -> Result<(), TreeError> {
    if old.size > new.size || new.size > SIZE_MAX || proof.len() > PATH_MAX {
        return Err(TreeError::OutOfRange);
    }
    if old.size == 0 {
        let nothing = proof.is_empty() && old.root == Digest::of(&[]);
        return if nothing { Ok(()) } else { Err(TreeError::NotProven) };
    }
    let proof: Vec<Hash> = proof.iter().map(|digest| Hash(digest.0)).collect();
    tlog_tiles::check_tree(&proof, new.size, Hash(new.root.0), old.size, Hash(old.root.0))
        .map_err(|_| TreeError::NotProven)
}

/// The root of a stored tree when it had this size.
///
/// # Errors
/// As [`Frontier::read`].
pub fn head(size: u64, read: impl Fn(u64) -> Option<Digest>) -> Result<TreeHead, TreeError> {
    Ok(Frontier::read(size, read)?.head())
}

/// The number the leaf at this position is stored under.
#[must_use]
pub fn leaf_number(index: u64) -> u64 {
    stored_hash_index(0, index)
}

/// Hashes stored for a tree of this size: their numbers are 0 up to one less.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    tlog_tiles::stored_hash_count(size)
}

/// Whatever reads stored hashes, as the tree library wants it.
struct Stored<F>(F);

impl<F: Fn(u64) -> Option<Digest>> HashReader for Stored<F> {
    fn read_hashes(&self, numbers: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        let read = |number: &u64| (self.0)(*number).map(|digest| Hash(digest.0));
        numbers.iter().map(read).collect::<Option<_>>().ok_or(tlog_tiles::Error::IndexesNotInTree)
    }
}

/// Leaves in one log: keeps node numbers, about twice the size, within 64 bits.
pub const SIZE_MAX: u64 = 1 << 62;
/// Hashes in one proof: a path has at most one for each level, a consistency proof at most one more.
const PATH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use sha2::Sha256;

    use super::*;

    type Nodes = HashMap<u64, Digest>;

    fn read(nodes: &Nodes) -> impl Fn(u64) -> Option<Digest> {
        |number| nodes.get(&number).copied()
    }

    fn leaf(n: u64) -> Digest {
        Digest::of(&[&[0x00], &n.to_be_bytes()])
    }

    fn bytes(path: &[Digest]) -> Vec<u8> {
        path.iter().flat_map(|d| d.0).collect()
    }

    #[test]
    fn roots_inclusion_and_consistency_agree_with_another_implementation() {
        let mut oracle = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let (mut nodes, mut frontier, mut heads) = (Nodes::default(), Frontier::default(), Vec::new());
        heads.push(frontier.head());
        assert_eq!(frontier.head().root.as_bytes().as_slice(), oracle.root().as_bytes().as_slice());
        for size in 1..=200u64 {
            oracle.push((size - 1).to_be_bytes().to_vec());
            frontier.push(&leaf(size - 1), |node| {
                assert_eq!(nodes.insert(node.index, node.hash), None);
            });
            let head = frontier.head();
            heads.push(head);
            assert_eq!(nodes.len() as u64, stored_count(size));
            assert_eq!(head.root.as_bytes().as_slice(), oracle.root().as_bytes().as_slice(), "root of {size}");
            assert_eq!(Frontier::read(size, read(&nodes)).unwrap(), frontier);
            for index in 0..size {
                let proof = prove_inclusion(index, size, read(&nodes)).unwrap();
                let theirs = oracle.prove_inclusion(usize::try_from(index).unwrap());
                assert_eq!(bytes(&proof.path), theirs.as_bytes(), "leaf {index} of {size}");
                verify_inclusion(&proof, &leaf(index), &head).unwrap();
            }
            for old in 0..=size {
                let proof = prove_consistency(old, size, read(&nodes)).unwrap();
                if old > 0 {
                    let theirs = oracle.prove_consistency(usize::try_from(size - old).unwrap());
                    assert_eq!(bytes(&proof), theirs.as_bytes(), "{old} to {size}");
                }
                verify_consistency(&heads[usize::try_from(old).unwrap()], &head, &proof).unwrap();
            }
        }
    }

    #[test]
    fn a_proof_fails_for_another_leaf_index_size_root_or_path() {
        let (mut nodes, mut frontier) = (Nodes::default(), Frontier::default());
        for n in 0..77 {
            frontier.push(&leaf(n), |node| assert_eq!(nodes.insert(node.index, node.hash), None));
        }
        let head = frontier.head();
        let proof = prove_inclusion(40, 77, read(&nodes)).unwrap();
        verify_inclusion(&proof, &leaf(40), &head).unwrap();
        assert_eq!(verify_inclusion(&proof, &leaf(41), &head), Err(TreeError::NotProven));
        assert!(verify_inclusion(&InclusionProof { index: 41, ..proof.clone() }, &leaf(40), &head).is_err());
        assert!(verify_inclusion(&InclusionProof { index: u64::MAX, ..proof.clone() }, &leaf(40), &head).is_err());
        assert!(verify_inclusion(&proof, &leaf(40), &TreeHead { size: 78, ..head }).is_err());
        assert!(verify_inclusion(&proof, &leaf(40), &TreeHead { root: leaf(0), ..head }).is_err());
        for cut in 0..proof.path.len() {
            let short = InclusionProof { path: proof.path[..cut].to_vec(), ..proof.clone() };
            assert!(verify_inclusion(&short, &leaf(40), &head).is_err());
        }
        let huge = TreeHead { size: u64::MAX, ..head };
        let long = InclusionProof { index: 5, size: u64::MAX, path: vec![leaf(0); 100_000] };
        assert_eq!(verify_inclusion(&long, &leaf(5), &huge), Err(TreeError::OutOfRange));
        assert_eq!(verify_consistency(&head, &huge, &long.path), Err(TreeError::OutOfRange));
        let largest = InclusionProof { index: SIZE_MAX - 1, size: SIZE_MAX, path: vec![leaf(0); 62] };
        let head = TreeHead { size: SIZE_MAX, ..head };
        assert_eq!(verify_inclusion(&largest, &leaf(5), &head), Err(TreeError::NotProven));
    }

    #[test]
    fn the_edge_alone_proves_the_leaves_that_come_after_it() {
        let mut frontier = Frontier::default();
        for batch in 1..60u64 {
            let start = frontier.size();
            let mut nodes: Nodes = frontier.stored().map(|n| (n.index, n.hash)).collect();
            for n in start..start + batch {
                frontier.push(&leaf(n), |node| assert_eq!(nodes.insert(node.index, node.hash), None));
            }
            let head = frontier.head();
            for n in start..head.size {
                verify_inclusion(&prove_inclusion(n, head.size, read(&nodes)).unwrap(), &leaf(n), &head).unwrap();
            }
        }
    }
}
