//! What the rows that differ leave open, and what counting every row answers: how many have a value, and which keys there are.
//! It counts what it is shown and reads nothing itself.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::Array;

use crate::diff::Keys;
use crate::diff::resolve::Difference;
use crate::normalise::{Binding, CanonicalBatch, Readings};
use crate::sides::{Side, Sides};

use super::daylight::Doubt;
use super::gap::{Gap, GapCount, GapDoubt};
use super::place::{Doubts, Places, common_in};
use super::suspect::Suspect;
use super::zones::Apart;
use super::{Scene, Teller, Values};

/// Values to be counted, by attribute.
type Wanted = BTreeMap<usize, Vec<Box<[u8]>>>;

/// What must be counted of all rows before it can be named.
#[derive(Clone, Debug)]
pub struct Question {
    doubts: Doubts,
    gap: Option<GapDoubt>,
    daylight: Vec<Doubt>,
    wanted: Sides<Wanted>,
    key_count: usize,
}

/// What was counted of some rows; it adds up in any order.
#[derive(Clone, Debug, Default)]
pub struct Census {
    rows: Sides<u64>,
    /// Beside each value that was asked for, how many rows have it.
    with: Sides<BTreeMap<usize, Vec<u64>>>,
    gap: GapCount,
    /// Times by attribute.
    times: BTreeMap<usize, Apart>,
}

/// Which rows of a batch are counted.
#[derive(Clone, Copy, Default)]
pub struct Counted<'a> {
    /// Whether a row lives; None: all do.
    pub lives: Option<&'a dyn Fn(usize) -> bool>,
    /// Whether a row is in scope; None: all are.
    pub is_in_scope: Option<&'a dyn Fn(usize) -> bool>,
}

impl Counted<'_> {
    fn is_all(&self) -> bool {
        self.lives.is_none() && self.is_in_scope.is_none()
    }

    fn lives(&self, row: usize) -> bool {
        self.lives.is_none_or(|lives| lives(row))
    }

    fn is_in_scope(&self, row: usize) -> bool {
        self.is_in_scope.is_none_or(|is_in_scope| is_in_scope(row))
    }
}

/// Missing keys, counted by where they lie; they add up in any order.
#[derive(Clone, Debug, Default)]
pub struct MissingKeys(GapCount);

impl MissingKeys {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0);
    }
}

impl Census {
    /// How many rows of a side were counted.
    #[must_use]
    pub fn rows(&self, side: Side) -> u64 {
        *self.rows.get(side)
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        for side in Side::BOTH {
            *self.rows.get_mut(side) += other.rows.get(side);
            for (attribute, counts) in other.with.get(side) {
                let here = self.with.get_mut(side).entry(*attribute).or_insert_with(|| vec![0; counts.len()]);
                here.iter_mut().zip(counts).for_each(|(here, there)| *here += there);
            }
        }
        self.gap.add(&other.gap);
        for (attribute, times) in &other.times {
            self.times.entry(*attribute).or_default().add(times);
        }
    }
}

impl Question {
    /// None where nothing is open.
    pub(super) fn new(doubts: Doubts, gap: Option<GapDoubt>, daylight: Vec<Doubt>, key_count: usize) -> Option<Self> {
        let open = !doubts.is_empty() || gap.is_some() || !daylight.is_empty();
        open.then(|| Self { wanted: doubts.values(), doubts, gap, daylight, key_count })
    }

    /// The attributes of a side that must be read, ascending; none where nothing of its rows is asked.
    #[must_use]
    pub fn attributes(&self, side: Side) -> BTreeSet<usize> {
        let keys = if side == Side::Authority && self.gap.is_some() { self.key_count } else { 0 };
        let times = self.daylight.iter().filter(|doubt| doubt.instants == side).map(|doubt| doubt.attribute);
        (0..keys).chain(self.wanted.get(side).keys().copied()).chain(times).collect()
    }

    /// What can be answered where not all rows were compared; None where nothing can. A zone rests on all that agree.
    #[must_use]
    pub fn in_scope(mut self) -> Option<Self> {
        self.daylight.clear();
        let open = !self.doubts.is_empty() || self.gap.is_some();
        open.then_some(self)
    }

    /// Counts the rows of a batch that live, as values and in files only those in scope: of keys it is asked whether any lies
    /// between others, compared or not. The batch holds these attributes, in their order, under a binding of them alone.
    pub fn count(
        &self,
        side: Side,
        (binding, attributes): (&Binding, &[usize]),
        batch: &CanonicalBatch,
        counted: Counted<'_>,
        census: &mut Census,
    ) {
        let living = || (0..batch.rows).filter(|row| counted.lives(*row) && counted.is_in_scope(*row));
        *census.rows.get_mut(side) += if counted.is_all() { batch.rows } else { living().count() } as u64;
        let readings = |place: usize| Readings::new(&binding.attributes[place].comparison, &batch.columns[place]);
        for (place, attribute) in attributes.iter().enumerate() {
            if self.daylight.iter().any(|doubt| doubt.instants == side && doubt.attribute == *attribute) {
                let times = census.times.entry(*attribute).or_default();
                let column = readings(place);
                living().for_each(|row| Doubt::count(&column, row, times));
            }
            let Some(wanted) = self.wanted.get(side).get(attribute) else { continue };
            let counts = census.with.get_mut(side).entry(*attribute).or_insert_with(|| vec![0; wanted.len()]);
            let column = readings(place);
            let mut value = Vec::new();
            for row in living() {
                if !common_in(column.at(row), &mut value) {
                    continue;
                }
                if let Some(found) = wanted.iter().position(|wanted| **wanted == *value) {
                    counts[found] += 1;
                }
            }
        }
        let Some(gap) = self.gap.as_ref().filter(|_| side == Side::Authority) else { return };
        let key = &batch.columns[..self.key_count];
        let Some(keys) = Keys::of(key) else { return };
        // What has no canonical form is NULL there too.
        let whole = |row: usize| key.iter().all(|column| column.values.is_valid(row));
        if counted.lives.is_none() && key.iter().all(|column| column.values.null_count() == 0) {
            gap.count(&keys, batch.rows, &mut census.gap);
        } else {
            let rows = (0..batch.rows).filter(|row| counted.lives(*row) && whole(*row));
            rows.for_each(|row| gap.count_one(&keys, row, &mut census.gap));
        }
    }

    /// Whether what was counted so far answers all that is asked, whatever the other rows hold.
    #[must_use]
    pub fn is_settled(&self, census: &Census) -> bool {
        let keys_alone = self.doubts.is_empty() && self.daylight.is_empty();
        keys_alone && self.gap.as_ref().is_some_and(|gap| gap.is_settled(&census.gap))
    }

    /// Whether the missing keys are not known, because more are missing than were kept.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.gap.as_ref().is_some_and(GapDoubt::is_open)
    }

    /// Whether the differences must be looked at once more for them, given what was counted of all rows.
    #[must_use]
    pub fn must_look(&self, census: &Census) -> bool {
        self.gap.as_ref().is_some_and(|gap| gap.is_open() && gap.may_hold(&census.gap))
    }

    /// Counts the missing keys of some differences.
    pub fn look(&self, scene: Scene<'_>, differences: &[Difference], teller: &Teller<'_>, missing: &mut MissingKeys) {
        let Some(gap) = &self.gap else { return };
        let values = Values::new(scene);
        for difference in differences {
            if let Difference::Unpaired { side: Side::Authority, row, fault: None } = difference
                && !teller.lags(difference)
            {
                gap.count_missing(&values, *row, &mut missing.0);
            }
        }
    }

    /// Takes in how many keys are missing where.
    pub fn looked(&mut self, missing: MissingKeys) {
        if let Some(gap) = &mut self.gap {
            gap.counted(missing.0);
        }
    }

    /// Names the zones that what was counted bears out.
    pub(super) fn settle(&self, census: &Census, suspects: &mut [Vec<Suspect>]) {
        for doubt in &self.daylight {
            let counted = census.times.get(&doubt.attribute).copied().unwrap_or_default();
            doubt.settle(&counted, &mut suspects[doubt.attribute]);
        }
    }

    /// What can be named, given what was counted and how many rows lie in each file.
    pub(super) fn answer(self, census: &Census, by_file: &Sides<Vec<u64>>) -> (Places, Vec<Gap>) {
        let Self { doubts, gap, wanted, .. } = self;
        let with = |side: Side, attribute: usize, value: &[u8]| {
            let place = wanted.get(side).get(&attribute)?.iter().position(|wanted| **wanted == *value)?;
            census.with.get(side).get(&attribute)?.get(place).copied()
        };
        let with = |side: Side, attribute: usize, value: &[u8]| with(side, attribute, value).unwrap_or(0);
        // Where that settles it, counting may have ended early.
        let gap = gap.filter(|gap| !gap.is_settled(&census.gap));
        (doubts.places(census.rows, with, by_file), gap.map(|gap| gap.gaps(&census.gap)).unwrap_or_default())
    }
}
