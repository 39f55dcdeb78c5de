//! The proof that a manifest is in the tree: the roots of the parts beside it, from the leaf up (RFC 9162, 2.1.3). It is pure.

use super::{Tree, node};

/// The roots beside leaf `index`, the nearest first; empty for the only leaf.
pub(in super::super) fn path(leaves: &[blake3::Hash], index: usize) -> Vec<blake3::Hash> {
    if leaves.len() < 2 || index >= leaves.len() {
        return Vec::new();
    }
    let (before, after) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut inner, beside) = match index.checked_sub(before.len()) {
        None => (path(before, index), after),
        Some(index) => (path(after, index), before),
    };
    inner.push(root(beside));
    inner
}

/// The root of some leaves.
pub(super) fn root(leaves: &[blake3::Hash]) -> blake3::Hash {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(leaf));
    tree.root()
}

/// A step from a leaf to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// What is beside comes before.
    Before(blake3::Hash),
    /// What is beside comes after.
    After(blake3::Hash),
}

/// On which side each root of a path stands; None where a path for this leaf of so many has another length.
pub(in super::super) fn steps(index: u64, count: u64, path: &[blake3::Hash]) -> Option<Vec<Step>> {
    let mut last = count.checked_sub(1)?;
    let mut at = index;
    if at > last {
        return None;
    }
    let mut steps = Vec::with_capacity(path.len());
    for beside in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            steps.push(Step::Before(*beside));
            // A part without a neighbour is its parent.
            while at % 2 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            steps.push(Step::After(*beside));
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(steps)
}

/// The root that these steps lead to from a manifest.
pub(in super::super) fn root_of(manifest: &blake3::Hash, steps: &[Step]) -> blake3::Hash {
    steps.iter().fold(node(0, &[manifest]), |root, step| match step {
        Step::Before(beside) => node(1, &[beside, &root]),
        Step::After(beside) => node(1, &[&root, beside]),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: usize) -> Vec<blake3::Hash> {
        (0..count).map(|number| blake3::hash(&number.to_le_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_tree_is_proved_and_no_other() {
        for count in 1..=70 {
            let leaves = leaves(count);
            let root = root(&leaves);
            for index in 0..count {
                let path = path(&leaves, index);
                let steps = |index: usize, path: &[blake3::Hash]| steps(index as u64, count as u64, path);
                let own = steps(index, &path).expect("a path of the right length");
                assert_eq!(root_of(&leaves[index], &own), root, "leaf {index} of {count}");
                assert_ne!(root_of(&blake3::hash(b"another"), &own), root, "another manifest");
                for other in (0..count).filter(|other| *other != index) {
                    let led = steps(other, &path).map(|steps| root_of(&leaves[index], &steps));
                    assert_ne!(led, Some(root), "leaf {index} of {count} as leaf {other}");
                }
                assert!(path.is_empty() || steps(index, &path[1..]).is_none(), "too short");
                assert!(steps(index, &[path.as_slice(), &[root]].concat()).is_none(), "too long");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_path_can_be_changed(count in 2_usize..40, index in 0_usize..40, bit in 0_usize..4096) {
            let (leaves, index) = (leaves(count), index % count);
            let mut path = path(&leaves, index);
            let step = bit / 256 % path.len();
            let mut bytes = *path[step].as_bytes();
            bytes[bit / 8 % 32] ^= 1 << (bit % 8);
            path[step] = blake3::Hash::from_bytes(bytes);
            let steps = steps(index as u64, count as u64, &path).expect("a path of the right length");
            prop_assert_ne!(root_of(&leaves[index], &steps), root(&leaves));
        }
    }
}
