//! One hash over all manifests so far, in their order: the tree of RFC 6962 with BLAKE3 in the place of SHA-256. Whoever keeps
//! one root elsewhere can later prove that no run before it was changed, removed or put in. It is pure.
//!
//! ```text
//! leaf = BLAKE3(0x00 ‖ manifest digest)     node = BLAKE3(0x01 ‖ before ‖ after)
//!
//!              root              five leaves: the first part is always the greatest power of two below the count,
//!            ┌──┴──┐             so that it never changes when leaves are added
//!        ┌───┴──┐  e
//!      ┌─┴─┐  ┌─┴─┐
//!      a   b  c   d
//! ```

pub(super) mod consistency;
pub(super) mod path;

/// The tree of the leaves so far, of which only the roots of its complete parts are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// Count of leaves and root of each complete part, the greatest first; their counts are the bits of the whole count.
    parts: Vec<(u64, blake3::Hash)>,
}

impl Tree {
    /// Adds a leaf at the end.
    pub(super) fn push(&mut self, manifest: &blake3::Hash) {
        let mut part = (1, node(0, &[manifest]));
        while let Some((count, before)) = self.parts.pop_if(|(count, _)| *count == part.0) {
            part = (count * 2, node(1, &[&before, &part.1]));
        }
        self.parts.push(part);
    }

    /// The root of all leaves so far; BLAKE3 of nothing where there are none.
    pub(super) fn root(&self) -> blake3::Hash {
        let roots = self.parts.iter().rev().map(|(_, root)| *root);
        roots.reduce(|after, before| node(1, &[&before, &after])).unwrap_or_else(|| blake3::hash(b""))
    }
}

/// The prefix keeps a leaf from being taken for a node.
fn node(prefix: u8, parts: &[&blake3::Hash]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[prefix]);
    for part in parts {
        hasher.update(part.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(leaves: &[blake3::Hash]) -> blake3::Hash {
        let mut tree = Tree::default();
        for leaf in leaves {
            tree.push(leaf);
        }
        tree.root()
    }

    /// The definition of the standard, word by word.
    fn plain(leaves: &[blake3::Hash]) -> blake3::Hash {
        match leaves {
            [] => blake3::hash(b""),
            [leaf] => blake3::hash(&[&[0], leaf.as_bytes().as_slice()].concat()),
            _ => {
                let (before, after) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                blake3::hash(&[&[1], plain(before).as_bytes().as_slice(), plain(after).as_bytes()].concat())
            }
        }
    }

    fn leaves(count: u8) -> Vec<blake3::Hash> {
        (0..count).map(|number| blake3::hash(&[number])).collect()
    }

    #[test]
    fn the_tree_is_the_one_that_the_standard_defines() {
        for count in 0..70 {
            assert_eq!(root(&leaves(count)), plain(&leaves(count)), "{count} leaves");
        }
    }

    #[test]
    fn any_change_of_order_or_count_changes_the_root() {
        let leaves = leaves(5);
        let mut seen = std::collections::HashSet::new();
        for first in 0..5 {
            for second in first..5 {
                let mut swapped = leaves.clone();
                swapped.swap(first, second);
                seen.insert(root(&swapped));
            }
        }
        for count in 0..5 {
            seen.insert(root(&leaves[..count]));
        }
        assert_eq!(seen.len(), 1 + 10 + 5);
    }
}
