//! The keys that are looked at again, and what became of each. Rows that cannot pair (NULL or a fault in the key) are known
//! by key and side: of those that were alike, as many stand as are there in every look.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::compare::Work;
use super::ask::KeyTexts;
use crate::diff::resolve::{Difference, RowAt, Rows, Standing, fault_at, key_bytes, standing};
use crate::digest::{Encoded, encode};
use crate::normalise::{CanonicalBatch, canonical_text};
use crate::sides::{Side, Sides};

/// Rows of one reading.
pub(super) struct Known<'a, 'w> {
    pub(super) work: &'a Work<'w>,
    pub(super) rows: &'a Sides<Rows>,
}

/// Some keys, in the order in which they were found.
pub(super) struct Keys {
    list: Vec<Key>,
    by_identity: FxHashMap<Arc<[u8]>, usize>,
    by_partition: BTreeMap<usize, Vec<usize>>,
    bytes: u64,
    room: u64,
    is_full: bool,
}

struct Key {
    /// Differences of the first reading that have it: one, but of rows that cannot pair.
    count: u64,
    /// Of those the ones that the last look still saw.
    still: u64,
    /// The last look saw other rows than the one before.
    moved: bool,
    /// Its rows can pair.
    is_whole: bool,
    /// The projection lacked it.
    is_missing: bool,
    /// The projection lacks it still, and the authority lacked it in the last look.
    is_lost: bool,
    /// A digest of all its rows as they were last seen.
    seen: u128,
    /// How a database is asked for it; None where it cannot be.
    texts: Option<Box<KeyTexts>>,
}

impl Key {
    fn is_unstable(&self) -> bool {
        self.moved || self.is_lost
    }
}

impl Keys {
    /// How many keys are looked at again.
    pub(super) const MOST: usize = 100_000;
    /// What a key takes besides its bytes, about.
    const OVERHEAD: u64 = 160;

    /// None yet; what they take is a small part of the memory limit.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            list: Vec::new(),
            by_identity: FxHashMap::default(),
            by_partition: BTreeMap::new(),
            bytes: 0,
            room: limit / 32,
            is_full: false,
        }
    }

    /// Whether there were more than are looked at again.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// MiB that they may take.
    pub(super) fn room(&self) -> u64 {
        self.room >> 20
    }

    /// Differences that are looked at again.
    pub(super) fn count(&self) -> u64 {
        self.list.iter().map(|key| key.count).sum()
    }

    /// Those that still differ.
    pub(super) fn pending(&self) -> u64 {
        self.list.iter().map(|key| key.still).sum()
    }

    /// Those that are settled, and those that are unstable.
    pub(super) fn fates(&self) -> (u64, u64) {
        let settled = self.list.iter().map(|key| key.count - key.still).sum();
        (settled, self.list.iter().filter(|key| key.is_unstable()).map(|key| key.still).sum())
    }

    /// The partitions that hold any that still differ.
    pub(super) fn partitions(&self) -> Vec<usize> {
        self.by_partition.keys().copied().filter(|partition| self.stands_in(*partition)).collect()
    }

    /// Whether any of a partition still differs.
    pub(super) fn stands_in(&self, partition: usize) -> bool {
        self.by_partition.get(&partition).is_some_and(|keys| keys.iter().any(|key| self.list[*key].still > 0))
    }

    /// Whether the rows of a key changed between the last two looks.
    pub(super) fn is_unstable(&self, key: usize) -> bool {
        self.list[key].is_unstable()
    }

    /// Whether a missing key is in neither side's rows of the last look.
    pub(super) fn is_lost(&self, key: usize) -> bool {
        self.list[key].is_lost
    }

    /// The keys of which a side has rows.
    fn held(&self, known: &Known<'_, '_>, side: Side) -> FxHashSet<usize> {
        let mut held = FxHashSet::default();
        for canonical in &known.rows.get(side).canonical {
            each_identity(known.work, side, canonical, |_, identity| held.extend(self.by_identity.get(identity)));
        }
        held
    }

    /// How a database is asked for those that still differ; None where some cannot be asked for.
    pub(super) fn texts(&self) -> Option<Vec<&KeyTexts>> {
        let pending = self.list.iter().filter(|key| key.still > 0);
        pending.map(|key| key.texts.as_deref()).collect()
    }

    /// Takes the differences of a partition of the first reading.
    pub(super) fn add(&mut self, known: &Known<'_, '_>, partition: usize, differences: &[Difference]) {
        for difference in differences {
            let identity = known.identity(difference);
            if let Some(&key) = self.by_identity.get(&*identity) {
                self.list[key].count += 1;
                self.list[key].still += 1;
                continue;
            }
            let is_whole = identity.last() == Some(&KEYED);
            let texts = known.texts(difference);
            let spelled = texts.iter().flat_map(|texts| texts.iter().flatten()).map(|text| text.len() as u64 + 16);
            let bytes = self.bytes + identity.len() as u64 + spelled.sum::<u64>() + Self::OVERHEAD;
            if self.is_full || self.list.len() == Self::MOST || bytes > self.room {
                // Rows of keys that are held already still count.
                self.is_full = true;
                continue;
            }
            self.bytes = bytes;
            self.by_identity.insert(identity.into(), self.list.len());
            self.by_partition.entry(partition).or_default().push(self.list.len());
            let is_missing = matches!(difference, Difference::Unpaired { side: Side::Authority, fault: None, .. });
            self.list.push(Key {
                count: 1,
                still: 1,
                moved: false,
                is_whole,
                is_missing,
                is_lost: false,
                seen: 0,
                texts,
            });
        }
        for (key, seen) in self.digests(known) {
            self.list[key].seen = seen;
        }
    }

    /// Takes what another look saw of a partition.
    pub(super) fn seen(&mut self, known: &Known<'_, '_>, partition: usize, differences: &[Difference]) {
        let mut still: FxHashMap<usize, u64> = FxHashMap::default();
        for difference in differences {
            if let Some(key) = self.find(known, difference) {
                *still.entry(key).or_default() += 1;
            }
        }
        let digests: FxHashMap<usize, u128> = self.digests(known).into_iter().collect();
        let arrived = self.held(known, Side::Projection);
        for &number in self.by_partition.get(&partition).into_iter().flatten() {
            let key = &mut self.list[number];
            if key.still > 0 {
                let now = still.get(&number).copied().unwrap_or(0);
                // What is gone from the authority has not been repaired: its export may have been cut.
                key.is_lost = key.is_missing && now == 0 && !arrived.contains(&number);
                key.still = if key.is_lost { key.still } else { key.still.min(now) };
                let seen = digests.get(&number).copied().unwrap_or(0);
                // Of rows that cannot pair nobody knows which of them is which.
                key.moved = key.is_whole && seen != key.seen;
                key.seen = seen;
            }
        }
    }

    /// The key of a difference, if it is one of these.
    pub(super) fn find(&self, known: &Known<'_, '_>, difference: &Difference) -> Option<usize> {
        self.by_identity.get(&*known.identity(difference)).copied()
    }

    /// Whether a row of a side is of a key that still differs.
    pub(super) fn wants(&self, identity: &[u8]) -> bool {
        self.by_identity.get(identity).is_some_and(|key| self.list[*key].still > 0)
    }

    /// The differences of the last look by their keys; as many of each as still stand.
    pub(super) fn standing(
        &self,
        known: &Known<'_, '_>,
        differences: Vec<Difference>,
    ) -> FxHashMap<usize, VecDeque<Difference>> {
        let mut standing: FxHashMap<usize, VecDeque<Difference>> = FxHashMap::default();
        for difference in differences {
            let Some(key) = self.find(known, &difference) else { continue };
            let found = standing.entry(key).or_default();
            if (found.len() as u64) < self.list[key].still {
                found.push_back(difference);
            }
        }
        standing
    }

    /// A digest of all rows of each key, whatever their order.
    fn digests(&self, known: &Known<'_, '_>) -> Vec<(usize, u128)> {
        let mut digests: BTreeMap<usize, u128> = BTreeMap::new();
        let mut encoded = Encoded::default();
        for (side, rows) in known.rows.iter() {
            for (number, canonical) in rows.canonical.iter().enumerate() {
                each_identity(known.work, side, canonical, |row, identity| {
                    let Some(&key) = self.by_identity.get(identity) else { return };
                    encode(&canonical.columns, side, row..row + 1, &mut encoded);
                    let at = RowAt { batch: number, row };
                    let mut hasher = blake3::Hasher::new();
                    hasher
                        .update(side.name().as_bytes())
                        .update(encoded.row(0))
                        .update(&[u8::from(rows.is_deleted(at))]);
                    hasher.update(&rows.more.get(&at).copied().unwrap_or(0).to_le_bytes());
                    let mut first = [0; 16];
                    hasher.finalize_xof().fill(&mut first);
                    let sum = digests.entry(key).or_default();
                    *sum = sum.wrapping_add(u128::from_le_bytes(first));
                });
            }
        }
        digests.into_iter().collect()
    }
}

/// What tells rows with whole keys from those of either side that cannot pair.
const KEYED: u8 = 0;

fn alone(side: Side) -> u8 {
    match side {
        Side::Authority => 1,
        Side::Projection => 2,
    }
}

/// By what each row of a batch is known: the exact bytes of its key, and whether it can pair.
pub(super) fn each_identity(
    work: &Work<'_>,
    side: Side,
    canonical: &CanonicalBatch,
    mut each: impl FnMut(usize, &[u8]),
) {
    let mut identity = Vec::new();
    let order = vec![0; canonical.rows];
    crate::diff::resolve::each_key(&work.inputs.binding, side, canonical, &order, |row, _, bytes| {
        let keyed = standing(&work.inputs.binding, work.rules(), canonical, row) == Standing::Keyed;
        identity.clear();
        identity.extend_from_slice(bytes);
        identity.push(if keyed { KEYED } else { alone(side) });
        each(row, &identity);
    });
}

impl Known<'_, '_> {
    /// By what the rows of a difference are known.
    fn identity(&self, difference: &Difference) -> Vec<u8> {
        let (side, at) = difference.named_by();
        let canonical = &self.rows.get(side).canonical[at.batch];
        let mut encoded = Encoded::default();
        let mut identity = key_bytes(&self.work.inputs.binding, side, canonical, at.row, &mut encoded).into_vec();
        let class = match difference {
            Difference::NullKey { side, .. } | Difference::Unpaired { side, fault: Some(_), .. } => alone(*side),
            _ => KEYED,
        };
        identity.push(class);
        identity
    }

    /// The parts of its key as they compare; None where one is not known.
    fn texts(&self, difference: &Difference) -> Option<Box<KeyTexts>> {
        let (side, at) = difference.named_by();
        let canonical = &self.rows.get(side).canonical[at.batch];
        let binding = &self.work.inputs.binding;
        let attributes = binding.attributes.iter().zip(&canonical.columns).take(binding.key_count);
        let text = |(attribute, column): (&crate::normalise::BoundAttribute, &crate::normalise::CanonicalColumn)| {
            let known = fault_at(column, at.row).is_none();
            known.then(|| canonical_text(&attribute.comparison, column, at.row).map(String::into_boxed_str))
        };
        attributes.map(text).collect()
    }
}
