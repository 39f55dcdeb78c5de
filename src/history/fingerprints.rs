//! The fingerprints of a run, sorted, each once, in bounded memory: some megabytes are held, more goes to a nameless
//! temporary file in sorted stretches that are merged at the end. It never looks at a divergence.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::path::Path;

use crate::diff::{Extent, Spill};
use crate::spill::SpillFile;

/// BLAKE3 of a divergence.
pub(super) type Fingerprint = [u8; 32];

const WIDTH: u64 = 32;
/// Fingerprints held of all contracts together before they are spilled.
const HELD: usize = (8 << 20) / 32;
/// Bytes that all stretches of a contract are read by at once.
const READ_AT_ONCE: u64 = 8 << 20;

/// The fingerprints of each contract.
pub(super) struct Fingerprints {
    contracts: BTreeMap<String, Stretches>,
    held: usize,
    most: usize,
    spill: SpillFile,
}

#[derive(Default)]
struct Stretches {
    held: Vec<Fingerprint>,
    spilled: Vec<Extent>,
}

impl Fingerprints {
    /// None yet.
    pub(super) fn new(spill_folder: &Path) -> Self {
        Self { contracts: BTreeMap::new(), held: 0, most: HELD, spill: SpillFile::new(spill_folder) }
    }

    #[cfg(test)]
    fn holding(most: usize, spill_folder: &Path) -> Self {
        Self { most, ..Self::new(spill_folder) }
    }

    /// Adds one of a contract.
    pub(super) fn add(&mut self, contract: &str, fingerprint: Fingerprint) -> io::Result<()> {
        if let Some(stretches) = self.contracts.get_mut(contract) {
            stretches.held.push(fingerprint);
        } else {
            let stretches = Stretches { held: vec![fingerprint], spilled: Vec::new() };
            self.contracts.insert(contract.to_owned(), stretches);
        }
        self.held += 1;
        if self.held < self.most {
            return Ok(());
        }
        self.held = 0;
        for stretches in self.contracts.values_mut() {
            let mut held = std::mem::take(&mut stretches.held);
            if held.is_empty() {
                continue;
            }
            held.sort_unstable();
            held.dedup();
            stretches.spilled.push(self.spill.write(held.as_flattened())?);
        }
        Ok(())
    }

    /// Those of a contract, ascending, each once.
    pub(super) fn sorted(&mut self, contract: &str) -> io::Result<Sorted<'_>> {
        let Stretches { mut held, spilled } = self.contracts.remove(contract).unwrap_or_default();
        held.sort_unstable();
        held.dedup();
        let at_once = (READ_AT_ONCE / (spilled.len() as u64).max(1) / WIDTH).clamp(32, 4096);
        let mut merge = Sorted { cursors: Vec::new(), next: BinaryHeap::new(), last: None, spill: &self.spill };
        let of_extent = |rest: Extent| Cursor { loaded: Vec::new().into_iter(), rest, at_once };
        merge.cursors.extend(spilled.into_iter().map(of_extent));
        let nothing = Extent { offset: 0, length: 0 };
        merge.cursors.push(Cursor { loaded: held.into_iter(), rest: nothing, at_once });
        for index in 0..merge.cursors.len() {
            merge.advance(index)?;
        }
        Ok(merge)
    }
}

/// One sorted stretch: what is loaded of it, and what is still spilled.
struct Cursor {
    loaded: std::vec::IntoIter<Fingerprint>,
    rest: Extent,
    /// Fingerprints that are loaded at once.
    at_once: u64,
}

impl Cursor {
    fn next(&mut self, spill: &dyn Spill) -> io::Result<Option<Fingerprint>> {
        if let Some(fingerprint) = self.loaded.next() {
            return Ok(Some(fingerprint));
        }
        if self.rest.length == 0 {
            return Ok(None);
        }
        let length = self.rest.length.min(self.at_once * WIDTH);
        let bytes = spill.read(Extent { offset: self.rest.offset, length })?;
        self.rest = Extent { offset: self.rest.offset + length, length: self.rest.length - length };
        let (loaded, _) = bytes.as_chunks::<32>();
        self.loaded = Vec::from(loaded).into_iter();
        Ok(self.loaded.next())
    }
}

/// Stretches as they are merged.
pub(super) struct Sorted<'a> {
    cursors: Vec<Cursor>,
    next: BinaryHeap<Reverse<(Fingerprint, usize)>>,
    last: Option<Fingerprint>,
    spill: &'a SpillFile,
}

impl Sorted<'_> {
    fn advance(&mut self, index: usize) -> io::Result<()> {
        if let Some(fingerprint) = self.cursors[index].next(self.spill)? {
            self.next.push(Reverse((fingerprint, index)));
        }
        Ok(())
    }

    /// The next one.
    pub(super) fn next(&mut self) -> io::Result<Option<Fingerprint>> {
        while let Some(Reverse((fingerprint, index))) = self.next.pop() {
            self.advance(index)?;
            if self.last != Some(fingerprint) {
                self.last = Some(fingerprint);
                return Ok(Some(fingerprint));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn all(mut sorted: Sorted<'_>) -> Vec<Fingerprint> {
        std::iter::from_fn(|| sorted.next().expect("the spill file can be read")).collect()
    }

    proptest! {
        #[test]
        fn they_come_sorted_and_once_however_many_are_held(
            numbers in prop::collection::vec((0..3_u8, 0..500_u64), 0..400),
            most in 1..60_usize,
        ) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let mut fingerprints = Fingerprints::holding(most, folder.path());
            let mut expected: BTreeMap<String, BTreeSet<Fingerprint>> = BTreeMap::new();
            for (contract, number) in numbers {
                let fingerprint = *blake3::hash(&number.to_le_bytes()).as_bytes();
                fingerprints.add(&contract.to_string(), fingerprint).expect("there is room");
                expected.entry(contract.to_string()).or_default().insert(fingerprint);
            }
            for (contract, expected) in expected {
                let sorted = all(fingerprints.sorted(&contract).expect("the spill file can be read"));
                prop_assert_eq!(sorted, expected.into_iter().collect::<Vec<_>>());
            }
            prop_assert!(all(fingerprints.sorted("none").expect("nothing is read")).is_empty());
        }
    }

    #[test]
    fn a_stretch_longer_than_what_is_read_at_once_is_read_to_its_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut fingerprints = Fingerprints::holding(10_000, folder.path());
        for number in 0..25_000_u64 {
            fingerprints.add("pair", *blake3::hash(&number.to_le_bytes()).as_bytes()).expect("there is room");
        }
        let sorted = all(fingerprints.sorted("pair").expect("it can be read"));
        assert_eq!(sorted.len(), 25_000);
        assert!(sorted.is_sorted());
    }
}
