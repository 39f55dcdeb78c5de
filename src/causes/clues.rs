//! What the differing values of one attribute have in common, counted: it adds up in any grouping, and its size is bounded
//! whatever the data. A table that meets more than it holds is of no use any more, in whatever order it met them.

use std::collections::BTreeMap;

use crate::contract::ExactDecimal;
use crate::normalise::Reading;
use crate::sides::{Side, Sides};

use super::class::Class;
use super::rank::Rank;
use super::zones::{Apart, Zones};

/// How a value is shown, made only where it is kept.
pub(super) type Shown = Sides<Option<Box<str>>>;

/// How many unlike values of each sort are kept before the sort is given up.
const OFFSETS: usize = 64;
const SPANS: usize = 1024;
const PAIRS: usize = 128;
const CONSTANTS: usize = 256;
/// Longer values are texts, not codes or defaults.
const CODE: usize = 64;

/// A value as bytes that are equal where values are, and never across sorts.
pub(super) fn encode(reading: Reading<'_>, out: &mut Vec<u8>) {
    let mut number = [0; 20];
    let (tag, bytes): (u8, &[u8]) = match &reading {
        Reading::Null => (0, &[]),
        Reading::Fault(text) => (1, text.as_bytes()),
        Reading::Text(text) => (2, text.as_bytes()),
        Reading::Boolean(value) => (3, if *value { &[1] } else { &[0] }),
        Reading::Bytes(bytes) => (4, bytes),
        Reading::Number(value) => {
            number[..16].copy_from_slice(&value.coefficient.to_be_bytes());
            number[16..].copy_from_slice(&value.exponent.to_be_bytes());
            (5, &number)
        }
        Reading::Time(time) => (6, &time.to_be_bytes()),
        Reading::Other | Reading::Nothing => (7, &[]),
    };
    out.push(tag);
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    // What is longer than a code is kept nowhere: enough that it is seen to be.
    out.extend_from_slice(&bytes[..bytes.len().min(2 * CODE + 1)]);
}

/// Whether such bytes are those of a boolean.
pub(super) fn is_boolean(encoded: &[u8]) -> bool {
    encoded.first() == Some(&3)
}

/// A table that is given up where it would hold too many. Whether it is depends on all that was put in, not on the order.
#[derive(Clone, Debug)]
pub(super) struct Table<V> {
    most: usize,
    /// None: given up.
    held: Option<BTreeMap<Box<[u8]>, V>>,
}

impl<V> Table<V> {
    fn new(most: usize) -> Self {
        Self { most, held: Some(BTreeMap::new()) }
    }

    /// What is held, where it was not given up.
    pub(super) fn held(&self) -> Option<&BTreeMap<Box<[u8]>, V>> {
        self.held.as_ref()
    }

    fn lives(&self) -> bool {
        self.held.is_some()
    }

    fn give_up(&mut self) {
        self.held = None;
    }

    fn note(&mut self, key: &[u8], make: impl FnOnce() -> V, add: impl FnOnce(&mut V)) {
        let Some(held) = &mut self.held else { return };
        if let Some(value) = held.get_mut(key) {
            return add(value);
        }
        if held.len() == self.most {
            return self.give_up();
        }
        let mut value = make();
        add(&mut value);
        held.insert(key.into(), value);
    }

    fn take(&mut self, later: Self, mut add: impl FnMut(&mut V, V)) {
        let (Some(held), Some(others)) = (&mut self.held, later.held) else { return self.give_up() };
        for (key, value) in others {
            match held.get_mut(&key) {
                Some(here) => add(here, value),
                None => _ = held.insert(key, value),
            }
        }
        if held.len() > self.most {
            self.give_up();
        }
    }
}

/// Two values that met.
#[derive(Clone, Debug)]
pub(super) struct PairSeen {
    pub(super) rows: u64,
    pub(super) class: Class,
    /// As they stand in the first row that has them, which comes there.
    pub(super) shown: Shown,
    first: Rank,
    /// How long the authority's part of the key is.
    pub(super) split: usize,
    /// Whether each side is a text, as it stands.
    pub(super) text: Sides<bool>,
}

impl PairSeen {
    fn see(&mut self, rank: Rank, show: impl Fn(Side) -> Option<Box<str>>) {
        self.rows += 1;
        if rank < self.first {
            (self.first, self.shown) = (rank, Sides::from_fn(show));
        }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        if other.first < self.first {
            (self.first, self.shown) = (other.first, other.shown);
        }
    }
}

/// A value that many of the other side's values met.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) rows: u64,
    /// Rows that look like nothing else.
    pub(super) alone: u64,
    /// The first few unlike values that it met, as their hashes, sorted.
    met: Vec<u64>,
    /// Every value that it met lies after it.
    pub(super) behind: bool,
    /// As it stands in the first row that has it, which comes there.
    pub(super) shown: Option<Box<str>>,
    first: Rank,
}

impl Constant {
    const MET: usize = 3;

    fn see(&mut self, rank: Rank, show: impl FnOnce() -> Option<Box<str>>) {
        self.rows += 1;
        if rank < self.first {
            (self.first, self.shown) = (rank, show());
        }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.alone += other.alone;
        self.behind &= other.behind;
        other.met.into_iter().for_each(|hash| self.meet(hash));
        if other.first < self.first {
            (self.first, self.shown) = (other.first, other.shown);
        }
    }

    /// Whether it met at least three unlike values.
    pub(super) fn met_many(&self) -> bool {
        self.met.len() >= Self::MET
    }

    fn meet(&mut self, hash: u64) {
        if let Err(place) = self.met.binary_search(&hash) {
            self.met.insert(place, hash);
            // The least hashes are kept, so that the order in which they came does not matter.
            self.met.truncate(Self::MET);
        }
    }
}

/// What is known of one attribute.
#[derive(Clone, Debug)]
pub(super) struct Clues {
    pub(super) mismatches: u64,
    /// Pairs in which the attribute agrees, whose values are not known: known when all was seen.
    pub(super) equal: u64,
    pub(super) classes: BTreeMap<Class, u64>,
    /// Sorts of classes that were given up: offsets, roundings.
    given_up: [bool; 2],
    pub(super) pairs: Table<PairSeen>,
    /// Values of the projection, NULL aside.
    pub(super) constants: Table<Constant>,
    /// Values that met NULL on the other side.
    pub(super) beside_null: Sides<Table<Constant>>,
    /// The zones whose offset parts all times that lie quarters of an hour apart, where this side's are instants.
    pub(super) zones: Sides<Zones>,
    /// Times of rows that are neither pairs that agree nor such pairs.
    pub(super) others: Sides<Apart>,
}

impl Default for Clues {
    fn default() -> Self {
        Self {
            mismatches: 0,
            equal: 0,
            classes: BTreeMap::new(),
            given_up: [false; 2],
            pairs: Table::new(PAIRS),
            constants: Table::new(CONSTANTS),
            beside_null: Sides::from_fn(|_| Table::new(1)),
            zones: Sides::default(),
            others: Sides::default(),
        }
    }
}

/// Which sort of classes may become too many, and how many are too many.
fn bounded(class: &Class) -> Option<(usize, usize)> {
    match class {
        Class::Offset(_) => Some((0, OFFSETS)),
        Class::Rounded { .. } | Class::Unrounded { .. } => Some((1, SPANS)),
        _ => None,
    }
}

impl Clues {
    /// Notes a pair of this rank that differs. `show` is asked only for what is kept.
    pub(super) fn note(
        &mut self,
        values: Sides<Reading<'_>>,
        class: Class,
        (rank, show): (Rank, impl Fn(Side) -> Option<Box<str>>),
        scratch: &mut Vec<u8>,
    ) {
        self.mismatches += 1;
        if class == Class::Untold {
            return;
        }
        self.count(class, 1);
        if let (Class::Quarters(minutes), Reading::Time(authority), Reading::Time(projection)) =
            (class, values.authority, values.projection)
        {
            self.zones.authority.note(authority, 60 * i64::from(minutes));
            self.zones.projection.note(projection, -60 * i64::from(minutes));
        }
        let wanted = self.pairs.lives() || self.constants.lives() || matches!(class, Class::Null(_));
        if !wanted {
            return;
        }
        scratch.clear();
        encode(values.authority, scratch);
        let split = scratch.len();
        encode(values.projection, scratch);
        if scratch.len() > 2 * CODE {
            self.pairs.give_up();
        }

        if self.pairs.lives() {
            let text = values.map(|_, value| matches!(value, Reading::Text(_) | Reading::Fault(_)));
            let make = || PairSeen { rows: 0, class, shown: Sides::from_fn(&show), first: rank, split, text };
            self.pairs.note(scratch, make, |pair| pair.see(rank, &show));
        }
        let (authority, projection) = scratch.split_at(split);
        let constant = |side| {
            let show = &show;
            move || Constant { rows: 0, alone: 0, met: Vec::new(), behind: true, shown: show(side), first: rank }
        };
        match class {
            Class::Null(null) => {
                let side = null.other();
                let value = if side == Side::Authority { authority } else { projection };
                let table = self.beside_null.get_mut(side);
                if value.len() > CODE {
                    table.give_up();
                }
                table.note(value, constant(side), |constant| constant.see(rank, || show(side)));
            }
            _ if projection.len() > CODE => {}
            _ => self.constants.note(projection, constant(Side::Projection), |constant| {
                constant.see(rank, || show(Side::Projection));
                constant.alone += u64::from(matches!(class, Class::Other | Class::Offset(_) | Class::Unrounded { .. }));
                constant.behind &= lies_behind(values.projection, values.authority);
                constant.meet(hash_of(authority));
            }),
        }
    }

    fn count(&mut self, class: Class, rows: u64) {
        if let Some((sort, most)) = bounded(&class) {
            if self.given_up[sort] {
                return;
            }
            let of_sort = |other: &Class| bounded(other).is_some_and(|(of, _)| of == sort);
            let known = self.classes.contains_key(&class);
            if !known && self.classes.keys().filter(|other| of_sort(other)).count() == most {
                self.given_up[sort] = true;
                self.classes.retain(|other, _| !of_sort(other));
                return;
            }
        }
        *self.classes.entry(class).or_default() += rows;
    }

    /// Adds what was noted of other rows.
    pub(super) fn take(&mut self, later: Self) {
        self.mismatches += later.mismatches;
        for (sort, given_up) in later.given_up.into_iter().enumerate() {
            if given_up {
                self.given_up[sort] = true;
                self.classes.retain(|class, _| bounded(class).is_none_or(|(of, _)| of != sort));
            }
        }
        for (class, rows) in later.classes {
            self.count(class, rows);
        }
        for side in Side::BOTH {
            self.zones.get_mut(side).take(*later.zones.get(side));
            self.others.get_mut(side).add(later.others.get(side));
        }
        self.pairs.take(later.pairs, PairSeen::add);
        self.constants.take(later.constants, Constant::add);
        for (side, table) in
            [(Side::Authority, later.beside_null.authority), (Side::Projection, later.beside_null.projection)]
        {
            self.beside_null.get_mut(side).take(table, Constant::add);
        }
    }
}

/// A hash that tells most values apart.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Whether the first value lies before the second.
fn lies_behind(first: Reading<'_>, second: Reading<'_>) -> bool {
    match (first, second) {
        (Reading::Number(first), Reading::Number(second)) => less(first, second),
        (Reading::Time(first), Reading::Time(second)) => first < second,
        (Reading::Text(first), Reading::Text(second)) => {
            match (crate::normalise::spelled_number(first), crate::normalise::spelled_number(second)) {
                (Some(first), Some(second)) => less(first, second),
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether a number is less than another; false where that would need more than 38 digits.
fn less(first: ExactDecimal, second: ExactDecimal) -> bool {
    let exponent = first.exponent.min(second.exponent);
    let scaled = |number: ExactDecimal| {
        let shift = u32::try_from(number.exponent.checked_sub(exponent)?).ok()?;
        number.coefficient.checked_mul(10_i128.checked_pow(shift)?)
    };
    match (scaled(first), scaled(second)) {
        (Some(first), Some(second)) => first < second,
        _ => false,
    }
}
