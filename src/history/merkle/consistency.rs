//! The proof that a tree is the beginning of a later one: the roots of parts out of which both roots can be made (RFC 9162,
//! 2.1.4). It is pure.

use super::node;
use super::path::root;

/// The proof that the tree of the first so many leaves is the beginning of the tree of all; empty where they are one tree.
/// None where there are no leaves, or not so many.
pub(in super::super) fn consistency(leaves: &[blake3::Hash], first: usize) -> Option<Vec<blake3::Hash>> {
    (1..=leaves.len()).contains(&first).then(|| beginning(leaves, first, true))
}

/// `whole`: the first so many leaves are the whole earlier tree, whose root the reader has.
fn beginning(leaves: &[blake3::Hash], first: usize, whole: bool) -> Vec<blake3::Hash> {
    if first == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (before, after) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut proof, beside) = match first.checked_sub(before.len()) {
        None | Some(0) => (beginning(before, first, whole), after),
        Some(first) => (beginning(after, first, false), before),
    };
    proof.push(root(beside));
    proof
}

/// Both roots that a proof leads to, of the tree of `first` leaves with this root and of that of `second`; None where it is
/// no proof for trees of these sizes.
pub(in super::super) fn roots_of(
    (first, second): (u64, u64),
    first_root: blake3::Hash,
    proof: &[blake3::Hash],
) -> Option<(blake3::Hash, blake3::Hash)> {
    if first == 0 || first > second {
        return None;
    }
    if first == second {
        return proof.is_empty().then_some((first_root, first_root));
    }
    let (mut at, mut last) = (first - 1, second - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A tree that is complete is a part of the later one by itself, and the proof does not repeat its root.
    let (begin, rest) = if first.is_power_of_two() { (first_root, proof) } else { (*proof.first()?, &proof[1..]) };
    let (mut earlier, mut later) = (begin, begin);
    for beside in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            (earlier, later) = (node(1, &[beside, &earlier]), node(1, &[beside, &later]));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            later = node(1, &[&later, beside]);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some((earlier, later))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<blake3::Hash> {
        (0..count).map(|number| blake3::hash(&number.to_le_bytes())).collect()
    }

    #[test]
    fn every_beginning_of_every_tree_is_proved_and_no_other() {
        for second in 1..40 {
            let leaves = leaves(second);
            for first in 1..=second {
                let proof = consistency(&leaves, first).expect("a proof");
                let (earlier, later) = (root(&leaves[..first]), root(&leaves));
                let sizes = (first as u64, second as u64);
                assert_eq!(roots_of(sizes, earlier, &proof), Some((earlier, later)), "{first} of {second}");
                for other in (1..=second).filter(|other| *other != first) {
                    let wrong = roots_of((other as u64, second as u64), root(&leaves[..other]), &proof);
                    assert_ne!(wrong, Some((root(&leaves[..other]), later)), "{first} of {second} as {other}");
                }
                for step in 0..proof.len() {
                    let mut changed = proof.clone();
                    let mut bytes = *changed[step].as_bytes();
                    bytes[step % 32] ^= 1;
                    changed[step] = blake3::Hash::from_bytes(bytes);
                    assert_ne!(
                        roots_of(sizes, earlier, &changed),
                        Some((earlier, later)),
                        "{first} of {second}: {step}"
                    );
                }
                assert_eq!(roots_of(sizes, earlier, &[proof.as_slice(), &[earlier]].concat()), None, "too long");
                assert!(
                    proof.is_empty() || roots_of(sizes, earlier, &proof[1..]) != Some((earlier, later)),
                    "too short"
                );
            }
        }
    }

    #[test]
    fn the_example_of_the_standard_has_the_parts_that_it_names() {
        // RFC 9162, 2.1.5: of seven leaves, the first three, four and six.
        let all = leaves(7);
        let part = |from: usize, to: usize| root(&all[from..to]);
        assert_eq!(consistency(&all, 3), Some(vec![part(2, 3), part(3, 4), part(0, 2), part(4, 7)]));
        assert_eq!(consistency(&all, 4), Some(vec![part(4, 7)]));
        assert_eq!(consistency(&all, 6), Some(vec![part(4, 6), part(6, 7), part(0, 4)]));
    }

    #[test]
    fn a_tree_without_leaves_and_a_longer_beginning_have_no_proof() {
        assert_eq!(consistency(&leaves(3), 0), None);
        assert_eq!(consistency(&leaves(3), 4), None);
        let none = blake3::hash(b"");
        assert_eq!(roots_of((0, 3), none, &[]), None);
        assert_eq!(roots_of((4, 3), none, &[]), None);
        assert_eq!(roots_of((3, 4), none, &[]), None, "no parts at all");
    }
}
