//! Missing keys between which no other lies: a lost batch of times, of whole numbers with holes, or of the last part of a key.
//!
//! `ranges` needs no knowledge of the keys that are there, because its numbers step by one. Here every key of the authority
//! is counted, by whoever can read it: what lies between two missing keys parts them. Keys are in the order of their
//! attributes, each in its own (texts byte by byte).

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::Range;

use rustc_hash::FxBuildHasher;

use crate::diff::resolve::RowAt;
use crate::diff::{Keys, OwnedKey};
use crate::normalise::{Binding, Comparison, Reading};
use crate::sides::Side;

use super::Values;
use super::place::{TOGETHER, is_no_chance};

/// How many missing keys are kept. Where more are missing, ranges begin and end at one of those whose hashes are the least.
const KEYS: usize = 1 << 16;
/// Longer keys have no order that means anything to people.
const LONG: usize = 64;
/// A range that holds less than one in so many of the missing keys is told one by one.
const ONE_IN: u64 = 20;
/// How many ranges are told, the longest first.
const TOLD: usize = 8;

/// Which keys are missing, in the order of keys.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    wanted: bool,
    rows: u64,
    ends: Option<(OwnedKey, OwnedKey)>,
    /// All of them while they are few, else those with the least hashes: the same in whatever order they came.
    kept: BTreeSet<(u64, OwnedKey)>,
}

impl Gaps {
    pub(super) fn new(binding: &Binding) -> Self {
        let ordered = |comparison: &Comparison| {
            matches!(
                comparison,
                Comparison::Integer
                    | Comparison::Decimal { .. }
                    | Comparison::Text
                    | Comparison::Date
                    | Comparison::Time
                    | Comparison::Timestamp
                    | Comparison::Instant
            )
        };
        let key = &binding.attributes[..binding.key_count];
        let wanted = !key.is_empty() && key.iter().all(|attribute| ordered(&attribute.comparison));
        Self { wanted, rows: 0, ends: None, kept: BTreeSet::new() }
    }

    /// Notes a missing row.
    pub(super) fn note(&mut self, values: &Values<'_>, at: RowAt) {
        self.rows += 1;
        let key = if self.wanted { key_of(values, at) } else { None };
        let Some(key) = key else {
            self.give_up();
            return;
        };
        match &mut self.ends {
            Some((first, _)) if key < *first => *first = key.clone(),
            Some((_, last)) if key > *last => *last = key.clone(),
            Some(_) => {}
            None => self.ends = Some((key.clone(), key.clone())),
        }
        let hash = spread(FxBuildHasher.hash_one(&key));
        if self.kept.len() < KEYS || self.kept.last().is_some_and(|(last, _)| hash <= *last) {
            self.kept.insert((hash, key));
        }
        self.shorten();
    }

    fn give_up(&mut self) {
        self.wanted = false;
        self.kept = BTreeSet::new();
    }

    fn shorten(&mut self) {
        while self.kept.len() > KEYS {
            self.kept.pop_last();
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.ends = match (self.ends.take(), other.ends) {
            (Some((first, last)), Some((earlier, later))) => Some((first.min(earlier), last.max(later))),
            (one, other) => one.or(other),
        };
        self.kept.extend(other.kept);
        self.shorten();
        if !(self.wanted && other.wanted) {
            self.give_up();
        }
    }

    /// How many keys are missing.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// What must be counted of the authority's keys, where enough are missing.
    pub(super) fn doubt(self) -> Option<GapDoubt> {
        let (first, last) = self.ends.filter(|_| self.wanted && self.rows >= TOGETHER)?;
        let mut cuts: Vec<OwnedKey> = self.kept.into_iter().map(|(_, key)| key).collect();
        cuts.sort_unstable();
        // Where all are kept each of them begins a part, in which it is alone.
        let is_whole = cuts.len() as u64 == self.rows;
        let missing = is_whole.then(|| (0..=cuts.len()).map(|part| u64::from(part > 0)).collect());
        Some(GapDoubt { rows: self.rows, first, last, cuts, missing })
    }
}

/// The hash of keys that follow one another is no chance: mixed once more (the end of SplitMix64) it is.
fn spread(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The key of a row; None where it has no order, or is long.
fn key_of(values: &Values<'_>, at: RowAt) -> Option<OwnedKey> {
    let count = values.scene.binding.key_count;
    let plain = (0..count).all(|attribute| match values.one(attribute, Side::Authority, at) {
        Reading::Text(text) => text.len() <= LONG,
        reading => matches!(reading, Reading::Number(_) | Reading::Time(_)),
    });
    let columns = &values.scene.rows.authority.canonical[at.batch].columns[..count];
    plain.then(|| Keys::of(columns).map(|keys| keys.keep(at.row))).flatten()
}

/// Whether the missing keys follow one another: a question about all keys of the authority.
#[derive(Clone, Debug)]
pub(super) struct GapDoubt {
    rows: u64,
    first: OwnedKey,
    last: OwnedKey,
    /// Missing keys, ascending: each begins a part, before the first lies another one.
    cuts: Vec<OwnedKey>,
    /// How many missing keys lie in each part; None where they must be counted.
    missing: Option<Vec<u64>>,
}

/// What was counted of keys: how many lie in each part.
#[derive(Clone, Debug, Default)]
pub(super) struct GapCount(Vec<u64>);

impl GapCount {
    fn note(&mut self, part: usize, parts: usize, rows: usize) {
        if self.0.is_empty() {
            self.0 = vec![0; parts];
        }
        self.0[part] += rows as u64;
    }

    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(here, there)| *here += there);
    }
}

impl GapDoubt {
    /// Whether the missing keys of each part must be counted, because they were too many to be kept.
    pub(super) fn is_open(&self) -> bool {
        self.missing.is_none()
    }

    /// Whether so many of the authority's keys leave room for a range that would be told. Missing keys are spread over the parts evenly, for
    /// which of them are cuts is a matter of hashes: where a range holds a sixteenth of them, as the longest of those that are told
    /// does, as many parts in succession hold about as many keys as missing ones.
    pub(super) fn may_hold(&self, count: &GapCount) -> bool {
        let parts = count.0.len();
        if parts < 2 * TOLD * 16 {
            return true;
        }
        // Fewer parts, and a quarter more keys in them, than chance would have it.
        let least = parts / (2 * TOLD) * 4 / 5;
        let (four_parts, five_rows) = (4 * parts as i128, 5 * i128::from(self.rows));
        let (mut sums, mut sum) = (Vec::with_capacity(parts + 1), 0);
        sums.push(0);
        for keys in &count.0 {
            sum += i128::from(*keys) * four_parts - five_rows;
            sums.push(sum);
        }
        let mut highest = i128::MIN;
        (least..sums.len()).any(|end| {
            highest = highest.max(sums[end - least]);
            sums[end] <= highest
        })
    }

    /// Counts a missing row.
    pub(super) fn count_missing(&self, values: &Values<'_>, at: RowAt, count: &mut GapCount) {
        if let Some(key) = key_of(values, at) {
            count.note(self.cuts.partition_point(|cut| *cut <= key), self.cuts.len() + 1, 1);
        }
    }

    /// Takes in how many missing keys lie in each part.
    pub(super) fn counted(&mut self, count: GapCount) {
        self.missing.get_or_insert(count.0);
    }

    /// Counts so many keys of the authority, in whatever order they are.
    pub(super) fn count(&self, keys: &Keys<'_>, rows: usize, count: &mut GapCount) {
        if !keys.ascend(rows) {
            (0..rows).for_each(|row| self.count_one(keys, row, count));
            return;
        }
        // Few cuts lie among the keys of a batch: they are looked for, instead of the place of each key.
        let mut first = 0;
        while first < rows {
            let part = self.part(keys, first);
            let below = |row: usize, cut: &OwnedKey| keys.compare_kept(row, cut).is_lt();
            let end = self.cuts.get(part).map_or(rows, |cut| first_not(first..rows, |row| below(row, cut)));
            count.note(part, self.cuts.len() + 1, end - first);
            first = end;
        }
    }

    /// Counts one key of the authority.
    pub(super) fn count_one(&self, keys: &Keys<'_>, row: usize, count: &mut GapCount) {
        count.note(self.part(keys, row), self.cuts.len() + 1, 1);
    }

    fn part(&self, keys: &Keys<'_>, row: usize) -> usize {
        self.cuts.partition_point(|cut| keys.compare_kept(row, cut).is_ge())
    }

    /// Whether so many parts hold other keys already that no more counting makes a range of half of what is missing.
    pub(super) fn is_settled(&self, count: &GapCount) -> bool {
        let Some(missing) = &self.missing else { return false };
        let open = missing.iter().zip(&count.0).filter(|(missing, all)| all <= missing);
        // The key that ends a range lies in the part behind it.
        let most: u64 = open.map(|(missing, _)| missing + 1).sum();
        missing.len() == count.0.len() && most * 2 < self.rows
    }

    /// The longest ranges in their order, where they hold half of what is missing and are no chance.
    pub(super) fn gaps(self, count: &GapCount) -> Vec<Gap> {
        let Some(missing) = &self.missing else { return Vec::new() };
        let all = &count.0;
        let Some(elsewhere) = all.iter().sum::<u64>().checked_sub(self.rows) else { return Vec::new() };
        if missing.len() != all.len() || missing.iter().sum::<u64>() != self.rows {
            return Vec::new();
        }
        let telling = |gap: &Gap| gap.rows * ONE_IN >= self.rows && is_no_chance(gap.rows, self.rows, elsewhere);
        let mut found: Vec<Gap> = self.whole(missing, all).into_iter().filter(telling).collect();
        found.sort_by(|one, other| other.rows.cmp(&one.rows).then_with(|| one.first.cmp(&other.first)));
        found.truncate(TOLD);
        found.sort_by(|one, other| one.first.cmp(&other.first));
        let together: u64 = found.iter().map(|gap| gap.rows).sum();
        if together * 2 >= self.rows { found } else { Vec::new() }
    }

    /// The stretches of parts in which all keys are missing, with the key that ends each.
    fn whole(&self, missing: &[u64], all: &[u64]) -> Vec<Gap> {
        let mut found = Vec::new();
        let mut from = None;
        for part in 0..=all.len() {
            let is_whole = part < all.len() && missing[part] == all[part];
            match (from, is_whole) {
                (None, true) => from = Some(part),
                (Some(start), false) => {
                    from = None;
                    let first = if start == 0 { &self.first } else { &self.cuts[start - 1] };
                    // The part after the last one begins with a missing key too.
                    let (last, end) = self.cuts.get(part - 1).map_or((&self.last, 0), |cut| (cut, 1));
                    let rows = missing[start..part].iter().sum::<u64>() + end;
                    found.push(Gap { first: first.clone(), last: last.clone(), rows });
                }
                _ => {}
            }
        }
        found
    }
}

/// The first row of a range that is not as those before it are.
fn first_not(rows: Range<usize>, is: impl Fn(usize) -> bool) -> usize {
    let (mut first, mut end) = (rows.start, rows.end);
    while first < end {
        let middle = usize::midpoint(first, end);
        if is(middle) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    first
}

/// Missing keys between which the authority has no other.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    first: OwnedKey,
    last: OwnedKey,
    pub(super) rows: u64,
}

impl Gap {
    /// In which of them a missing row lies, if it does, and where in it.
    pub(super) fn that_holds(gaps: &[Self], values: &Values<'_>, at: RowAt) -> Option<(usize, Held)> {
        let key = if gaps.is_empty() { None } else { key_of(values, at) }?;
        let place = gaps.iter().position(|gap| (&gap.first..=&gap.last).contains(&&key))?;
        Some((
            place,
            if key == gaps[place].first {
                Held::First
            } else if key == gaps[place].last {
                Held::Last
            } else {
                Held::Between
            },
        ))
    }
}

/// A place in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    First,
    Between,
    Last,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};
    use proptest::prelude::*;

    use super::*;
    use crate::normalise::CanonicalColumn;

    /// Keys of two numbers, as an authority has them.
    fn columns(keys: &[i64]) -> Vec<CanonicalColumn> {
        let column = |part: fn(i64) -> i64| -> CanonicalColumn {
            let values: ArrayRef = Arc::new(Int64Array::from_iter_values(keys.iter().map(|key| part(*key))));
            CanonicalColumn { values, faults: Vec::new() }
        };
        vec![column(|key| key / 3), column(|key| key % 3)]
    }

    fn kept(key: i64) -> OwnedKey {
        Keys::of(&columns(&[key])).expect("numbers have an order").keep(0)
    }

    fn doubt(missing: &[i64]) -> GapDoubt {
        let cuts: Vec<OwnedKey> = missing.iter().map(|key| kept(*key)).collect();
        let each = (0..=cuts.len()).map(|part| u64::from(part > 0)).collect();
        let (first, last) = (cuts[0].clone(), cuts[cuts.len() - 1].clone());
        GapDoubt { rows: missing.len() as u64, first, last, cuts, missing: Some(each) }
    }

    proptest! {
        #[test]
        fn batches_in_order_and_keys_one_by_one_are_counted_alike_and_what_is_settled_stays_so(
            rows in 1_i64..400,
            missing in proptest::collection::btree_set(0_i64..400, 20..200),
            step in prop_oneof![Just(1_i64), Just(7), Just(401)],
            size in 1_usize..90,
        ) {
            let missing: Vec<i64> = missing.into_iter().collect();
            let rows = rows.max(missing[missing.len() - 1] + 1);
            // In order, or in one that jumps: 809 is a prime beyond all keys.
            let mut keys: Vec<i64> = (0..rows).collect();
            keys.sort_by_key(|key| if step == 1 { *key } else { key * step % 809 });
            let doubt = doubt(&missing);
            let (mut together, mut single) = (GapCount::default(), GapCount::default());
            let mut settled = false;
            for some in keys.chunks(size) {
                let columns = columns(some);
                let of_batch = Keys::of(&columns).unwrap();
                doubt.count(&of_batch, some.len(), &mut together);
                (0..some.len()).for_each(|row| doubt.count_one(&of_batch, row, &mut single));
                prop_assert!(!settled || doubt.is_settled(&together), "more keys make no range longer");
                settled = doubt.is_settled(&together);
            }
            prop_assert_eq!(&together.0, &single.0);
            prop_assert_eq!(together.0.iter().sum::<u64>(), keys.len() as u64);
            let gaps = doubt.gaps(&together);
            prop_assert!(!settled || gaps.is_empty());
            for gap in gaps {
                let within: Vec<i64> = (0..rows).filter(|key| (&gap.first..=&gap.last).contains(&&kept(*key))).collect();
                prop_assert!(within.iter().all(|key| missing.contains(key)), "no key lies between: {:?}", within);
                prop_assert_eq!(gap.rows, within.len() as u64);
            }
        }
    }

    /// So many keys, of which some are missing, with every sixteenth of those as a cut; and what is counted of them.
    fn sampled(rows: i64, is_missing: impl Fn(i64) -> bool) -> (GapDoubt, GapCount) {
        let missing: Vec<i64> = (0..rows).filter(|key| is_missing(*key)).collect();
        let is_cut = |key: &i64| spread(key.unsigned_abs()) % 16 == 0;
        let cuts: Vec<OwnedKey> = missing.iter().filter(|key| is_cut(key)).map(|key| kept(*key)).collect();
        let (first, last) = (kept(missing[0]), kept(missing[missing.len() - 1]));
        let mut doubt = GapDoubt { rows: missing.len() as u64, first, last, cuts, missing: None };
        let count = |keys: &[i64]| {
            let columns = columns(keys);
            let mut count = GapCount::default();
            doubt.count(&Keys::of(&columns).unwrap(), keys.len(), &mut count);
            count
        };
        let (of_missing, of_all) = (count(&missing), count(&(0..rows).collect::<Vec<_>>()));
        doubt.counted(of_missing);
        (doubt, of_all)
    }

    #[test]
    fn whatever_range_would_be_told_there_is_room_for_it() {
        let scattered = |key: i64| spread(key.unsigned_abs() + 7) % 6 == 0;
        let (doubt, count) = sampled(200_000, scattered);
        assert!(!doubt.may_hold(&count), "keys that are missing here and there leave no room");
        assert!(doubt.gaps(&count).is_empty());
        for (gaps, apart, length) in
            [(1, 200_000, 40_000), (1, 200_000, 60_000), (4, 50_000, 9_000), (8, 25_000, 4_500)]
        {
            for others in [false, true] {
                let is_missing = |key: i64| key % apart < length || (others && spread(key.unsigned_abs()) % 9 == 1);
                let (doubt, count) = sampled(200_000, is_missing);
                assert!(doubt.may_hold(&count), "{gaps} ranges of {length}");
                assert_eq!(doubt.gaps(&count).len(), gaps, "{gaps} ranges of {length}");
            }
        }
    }
}
