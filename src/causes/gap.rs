//! Missing keys between which no other lies: a lost batch of times, of whole numbers with holes, or of the last part of a key.
//!
//! `ranges` needs no knowledge of the keys that are there, because its numbers step by one. Here every key of the authority
//! is counted, by whoever can read it: what lies between two missing keys parts them. Keys are in the order of their
//! attributes, each in its own (texts byte by byte).

use crate::diff::resolve::RowAt;
use crate::diff::{Keys, OwnedKey};
use crate::normalise::{Binding, Comparison, Reading};
use crate::sides::Side;

use super::Values;
use super::place::{TOGETHER, is_no_chance};

/// How many missing keys are kept one by one; where more are missing, only all of them together can be a range.
const KEYS: usize = 1 << 16;
/// Longer keys have no order that means anything to people.
const LONG: usize = 64;

/// Which keys are missing, in the order of keys.
#[derive(Clone, Debug)]
pub(super) struct Gaps {
    wanted: bool,
    rows: u64,
    ends: Option<(OwnedKey, OwnedKey)>,
    /// All of them, while they are few.
    all: Option<Vec<OwnedKey>>,
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
        Self { wanted, rows: 0, ends: None, all: Some(Vec::new()) }
    }

    /// Notes a missing row.
    pub(super) fn note(&mut self, values: &Values<'_>, at: RowAt) {
        let key = if self.wanted { key_of(values, at) } else { None };
        self.wanted = key.is_some();
        self.take(1, key.clone().map(|key| (key.clone(), key)), key.map(|key| vec![key]));
    }

    fn take(&mut self, rows: u64, ends: Option<(OwnedKey, OwnedKey)>, all: Option<Vec<OwnedKey>>) {
        self.rows += rows;
        self.ends = match (self.ends.take(), ends) {
            (Some((first, last)), Some((other, later))) => Some((first.min(other), last.max(later))),
            (one, other) => one.or(other),
        };
        match (&mut self.all, all) {
            (Some(here), Some(more)) if self.rows <= KEYS as u64 => here.extend(more),
            _ => self.all = None,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.wanted &= other.wanted;
        self.take(other.rows, other.ends, other.all);
    }

    /// How many keys are missing.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// What must be counted of the authority's keys, where enough are missing.
    pub(super) fn doubt(self) -> Option<GapDoubt> {
        let (first, last) = self.ends.filter(|_| self.wanted && self.rows >= TOGETHER)?;
        let all = self.all.map(|mut all| {
            all.sort_unstable();
            all
        });
        Some(GapDoubt { rows: self.rows, first, last, all })
    }
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
    all: Option<Vec<OwnedKey>>,
}

/// What was counted of keys.
#[derive(Clone, Debug, Default)]
pub(super) struct GapCount {
    /// Keys that are not missing; where the missing ones are too many to be kept, those outside of their ends.
    elsewhere: u64,
    /// Keys within the ends, missing or not, where those that are missing are not kept.
    within: u64,
    /// Before which of the missing ones, or after the last, another key lies.
    parted: Vec<bool>,
}

impl GapCount {
    /// Adds what was counted elsewhere.
    pub(super) fn add(&mut self, other: &Self) {
        self.elsewhere += other.elsewhere;
        self.within += other.within;
        if self.parted.len() < other.parted.len() {
            self.parted.resize(other.parted.len(), false);
        }
        self.parted.iter_mut().zip(&other.parted).for_each(|(here, there)| *here |= there);
    }
}

impl GapDoubt {
    /// Counts one key of the authority.
    pub(super) fn count(&self, keys: &Keys<'_>, row: usize, count: &mut GapCount) {
        let Some(all) = &self.all else {
            let within = keys.compare_kept(row, &self.first).is_ge() && keys.compare_kept(row, &self.last).is_le();
            *if within { &mut count.within } else { &mut count.elsewhere } += 1;
            return;
        };
        if let Err(place) = all.binary_search_by(|kept| keys.compare_kept(row, kept).reverse()) {
            count.parted.resize(all.len() + 1, false);
            count.parted[place] = true;
            count.elsewhere += 1;
        }
    }

    /// The longest range, where it holds half of what is missing and is no chance.
    pub(super) fn gap(self, count: &GapCount) -> Option<Gap> {
        let telling = |rows: u64| rows * 2 >= self.rows && is_no_chance(rows, self.rows, count.elsewhere);
        let Some(all) = self.all else {
            let whole = count.within == self.rows && telling(self.rows);
            return whole.then_some(Gap { first: self.first, last: self.last, rows: self.rows });
        };
        let mut longest = 0..0;
        let mut from = 0;
        for until in 1..=all.len() {
            let ends = until == all.len() || count.parted.get(until).copied().unwrap_or(false);
            if ends {
                if until - from > longest.len() {
                    longest = from..until;
                }
                from = until;
            }
        }
        let rows = longest.len() as u64;
        let (first, last) = (all.get(longest.start)?.clone(), all.get(longest.end.checked_sub(1)?)?.clone());
        telling(rows).then_some(Gap { first, last, rows })
    }
}

/// Missing keys between which the authority has no other.
#[derive(Clone, Debug)]
pub(super) struct Gap {
    first: OwnedKey,
    last: OwnedKey,
    pub(super) rows: u64,
}

impl Gap {
    /// Where in it a missing row lies, if it does.
    pub(super) fn holds(&self, values: &Values<'_>, at: RowAt) -> Option<Held> {
        let key = key_of(values, at).filter(|key| (&self.first..=&self.last).contains(&key))?;
        Some(if key == self.first {
            Held::First
        } else if key == self.last {
            Held::Last
        } else {
            Held::Between
        })
    }
}

/// A place in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    First,
    Between,
    Last,
}
