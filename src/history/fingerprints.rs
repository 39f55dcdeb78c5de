//! The fingerprints of a run, sorted, each once, in bounded memory: some megabytes are held, more goes to a nameless
//! temporary file in sorted stretches that are merged at the end. It never looks at a divergence.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::spill::SpillFile;
use crate::spill::sorted::{self, Stretches};

/// BLAKE3 of a divergence.
pub(super) type Fingerprint = [u8; WIDTH];
/// Fingerprints as they are merged.
pub(super) type Sorted<'a> = sorted::Sorted<'a, WIDTH>;

const WIDTH: usize = 32;
/// Fingerprints held of all contracts together before they are spilled.
const HELD: usize = (8 << 20) / WIDTH;
/// Bytes that all stretches of a contract are read by at once.
const READ_AT_ONCE: u64 = 8 << 20;

/// The fingerprints of each contract.
pub(super) struct Fingerprints {
    contracts: BTreeMap<String, Stretches<WIDTH>>,
    held: usize,
    most: usize,
    spill: SpillFile,
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
            stretches.push(fingerprint);
        } else {
            let mut stretches = Stretches::new(true);
            stretches.push(fingerprint);
            self.contracts.insert(contract.to_owned(), stretches);
        }
        self.held += 1;
        if self.held < self.most {
            return Ok(());
        }
        self.held = 0;
        self.contracts.values_mut().try_for_each(|stretches| stretches.spill(&self.spill))
    }

    /// Those of a contract, ascending, each once.
    pub(super) fn sorted(&mut self, contract: &str) -> io::Result<Sorted<'_>> {
        let stretches = self.contracts.remove(contract).unwrap_or_else(|| Stretches::new(true));
        stretches.sorted(&self.spill, READ_AT_ONCE)
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
