//! Where differences lie: whether all of a kind are in rows that share one value of another attribute, or in one file.
//!
//! The rows that differ only raise the question. The answer takes how many rows have that value and how many have another,
//! which is counted of every row. It is a cause only where chance would have put many among the others, and none is there.

use std::collections::BTreeMap;

use crate::contract::Kind;
use crate::diff::resolve::{Difference, RowAt};
use crate::normalise::Reading;
use crate::sides::{Side, Sides};

use super::clues::encode;
use super::rank::Firsts;
use super::{Teller, Values};

/// Fewer rows than these lie together by chance.
pub(super) const TOGETHER: u64 = 20;
/// So many rows would lie elsewhere if nothing held them together: that none does is then no chance (one in a million).
const EXPECTED: u128 = 14;
/// In how many attributes a common value is looked for, and of how many mismatching ones.
const LOOKED_AT: usize = 64;
/// Longer values are texts, not the names of tenants.
const LONG: usize = 64;

/// Whether so many rows lie together, and none elsewhere, for another reason than chance.
pub(super) fn is_no_chance(rows: u64, together: u64, elsewhere: u64) -> bool {
    let all = u128::from(together) + u128::from(elsewhere);
    rows >= TOGETHER && elsewhere >= TOGETHER && u128::from(rows) * u128::from(elsewhere) >= EXPECTED * all
}

/// Differences that are looked at together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    /// All of a kind.
    Kind(Kind),
    /// The mismatches of one attribute.
    Attribute(usize),
}

impl Group {
    /// Whose rows are counted: those that can be in the group.
    fn side(self) -> Side {
        if matches!(self, Self::Kind(Kind::Orphan | Kind::Resurrected)) { Side::Projection } else { Side::Authority }
    }
}

/// A value as bytes, and as it stands.
type Value = (Box<[u8]>, Option<Box<str>>);

/// What the rows of a group have in common.
#[derive(Clone, Debug)]
struct Common {
    rows: u64,
    /// The attributes whose value is one in all of them, as it stands in the first.
    values: BTreeMap<usize, Value>,
    /// The file of each side, where it is one.
    files: Sides<Option<u32>>,
    /// The first keys.
    keys: Firsts<String>,
}

impl Common {
    fn add(&mut self, mut other: Self) {
        self.rows += other.rows;
        let earlier = other.keys.least() < self.keys.least();
        self.values.retain(|attribute, value| {
            let Some(same) = other.values.get_mut(attribute).filter(|other| other.0 == value.0) else { return false };
            if earlier {
                value.1 = same.1.take();
            }
            true
        });
        self.files = Sides::from_fn(|side| self.files.get(side).filter(|file| other.files.get(side) == &Some(*file)));
        self.keys.add(other.keys);
    }
}

/// What each group has in common, as far as its rows were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Whereabouts {
    groups: BTreeMap<Group, Common>,
}

/// One row or pair that differs, whose values are read when they are asked for.
struct Seen<'v, 'a> {
    values: &'v Values<'a>,
    at: (Side, RowAt),
    files: Sides<Option<u32>>,
    differing: &'v [usize],
    /// How many attributes are looked at.
    width: usize,
    /// What was read of each so far; empty before the first.
    read: Vec<Read>,
}

impl Seen<'_, '_> {
    /// The value of an attribute that does not differ, where it may be common.
    fn value(&mut self, attribute: usize) -> Option<&[u8]> {
        let (side, at) = self.at;
        self.read.resize(self.width, Read::NotYet);
        if matches!(self.read[attribute], Read::NotYet) {
            let reading = self.values.one(attribute, side, at);
            let told = self.differing.binary_search(&attribute).is_err();
            let value = if told { common(reading) } else { None };
            self.read[attribute] = value.map_or(Read::Nothing, Read::Value);
        }
        match &self.read[attribute] {
            Read::Value(value) => Some(value),
            _ => None,
        }
    }
}

/// What is known of a value.
#[derive(Clone)]
enum Read {
    NotYet,
    Nothing,
    Value(Box<[u8]>),
}

/// A value as bytes, where it is one that rows may have in common.
pub(super) fn common(reading: Reading<'_>) -> Option<Box<[u8]>> {
    let mut bytes = Vec::new();
    common_in(reading, &mut bytes).then(|| bytes.into())
}

/// The same in place of what a buffer held; false where it is none.
pub(super) fn common_in(reading: Reading<'_>, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    let short = match reading {
        // What has no value is no part that has a name.
        Reading::Null | Reading::Fault(_) | Reading::Other | Reading::Nothing => false,
        Reading::Text(text) => text.len() <= LONG && !text.trim().is_empty(),
        Reading::Bytes(bytes) => bytes.len() <= LONG,
        _ => true,
    };
    if short {
        encode(reading, bytes);
    }
    short
}

impl Whereabouts {
    /// Looks at one difference.
    pub(super) fn note(&mut self, values: &Values<'_>, difference: &Difference, kind: Kind, teller: &Teller<'_>) {
        let (at, both, differing): (_, Option<Sides<RowAt>>, &[usize]) = match difference {
            Difference::Unpaired { side, row, .. } => ((*side, *row), None, &[]),
            Difference::Differ { rows, attributes } => ((Side::Authority, rows.authority), Some(*rows), attributes),
            Difference::Tombstone { rows, side } => ((side.other(), *rows.get(side.other())), None, &[]),
            Difference::DuplicateKey { .. } | Difference::NullKey { .. } => return,
        };
        // What is on its way is no divergence yet.
        if kind == Kind::InFlight {
            return;
        }
        let rows = values.scene.rows;
        let file = |side: Side, at: RowAt| rows.get(side).file_of(at);
        let files = match both {
            Some(both) => both.map(file).map(|_, file| file),
            None => Sides::from_fn(|side| if side == at.0 { file(side, at.1) } else { None }),
        };
        let width = values.scene.binding.attributes.len().min(LOOKED_AT);
        let mut seen = Seen { values, at, files, differing, width, read: Vec::new() };
        self.see(Group::Kind(kind), &mut seen, difference, teller);
        if kind == Kind::Mismatch {
            for &attribute in differing.iter().take_while(|attribute| **attribute < width) {
                self.see(Group::Attribute(attribute), &mut seen, difference, teller);
            }
        }
    }

    fn see(&mut self, group: Group, seen: &mut Seen<'_, '_>, difference: &Difference, teller: &Teller<'_>) {
        let rank = seen.values.rank(difference);
        let Some(common) = self.groups.get_mut(&group) else {
            let mut values = BTreeMap::new();
            for attribute in 0..seen.width {
                let shown = seen.values.shown(attribute, seen.at.0, seen.at.1);
                if let Some(value) = seen.value(attribute) {
                    values.insert(attribute, (value.into(), shown));
                }
            }
            let mut keys = Firsts::default();
            keys.offer(rank, || (teller.key)(difference));
            self.groups.insert(group, Common { rows: 1, values, files: seen.files, keys });
            return;
        };
        common.rows += 1;
        common.values.retain(|attribute, value| seen.value(*attribute) == Some(&*value.0));
        for side in Side::BOTH {
            let file = common.files.get_mut(side);
            *file = file.filter(|file| seen.files.get(side) == &Some(*file));
        }
        if common.keys.least().is_some_and(|least| rank < least) {
            for (attribute, (_, shown)) in &mut common.values {
                *shown = seen.values.shown(*attribute, seen.at.0, seen.at.1);
            }
        }
        common.keys.offer(rank, || (teller.key)(difference));
    }

    /// Adds what was seen of other differences.
    pub(super) fn add(&mut self, later: Self) {
        for (group, common) in later.groups {
            match self.groups.get_mut(&group) {
                Some(here) => here.add(common),
                None => _ = self.groups.insert(group, common),
            }
        }
    }

    /// The groups whose rows have anything in common, and are many.
    pub(super) fn doubts(self) -> Doubts {
        let mut groups = self.groups;
        groups.retain(|_, common| {
            let filed = common.files.iter().any(|(_, file)| file.is_some());
            common.rows >= TOGETHER && (filed || !common.values.is_empty())
        });
        Doubts { groups }
    }
}

/// What must be counted of all rows before anything can be named.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts {
    groups: BTreeMap<Group, Common>,
}

impl Doubts {
    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The values to be counted on each side, by attribute.
    pub(super) fn values(&self) -> Sides<BTreeMap<usize, Vec<Box<[u8]>>>> {
        let mut wanted: Sides<BTreeMap<usize, Vec<Box<[u8]>>>> = Sides::default();
        for (group, common) in &self.groups {
            for (attribute, (value, _)) in &common.values {
                let of_attribute = wanted.get_mut(group.side()).entry(*attribute).or_default();
                if !of_attribute.contains(value) {
                    of_attribute.push(value.clone());
                }
            }
        }
        wanted
    }

    /// What is no chance, given how many rows have each value and lie in each file.
    pub(super) fn places(
        self,
        rows: Sides<u64>,
        with: impl Fn(Side, usize, &[u8]) -> u64,
        by_file: &Sides<Vec<u64>>,
    ) -> Places {
        let mut found: BTreeMap<Group, Place> = BTreeMap::new();
        for (group, common) in self.groups {
            let side = group.side();
            let Common { rows: of_group, values, files, keys } = common;
            let valued = values.into_iter().map(|(attribute, (value, shown))| {
                let together = with(side, attribute, &value);
                (together, rows.get(side).saturating_sub(together), What::Value { attribute, value, shown })
            });
            let filed = files.iter().filter_map(|(side, file)| {
                let (file, by_file) = ((*file)?, by_file.get(side));
                let together = *by_file.get(file as usize)?;
                let all: u64 = by_file.iter().sum();
                Some((together, all.saturating_sub(together), What::File { side, file }))
            });
            let mut likely: Vec<_> = valued
                .chain(filed)
                .filter(|(together, elsewhere, _)| {
                    *together >= of_group && is_no_chance(of_group, *together, *elsewhere)
                })
                .collect();
            // The narrowest place says the most; of equal ones the first attribute.
            likely.sort_by_key(|(together, ..)| *together);
            if let Some((together, elsewhere, what)) = likely.into_iter().next() {
                found.insert(group, Place { what, rows: of_group, together, elsewhere, keys });
            }
        }
        if found.contains_key(&Group::Kind(Kind::Mismatch)) {
            found.retain(|group, _| matches!(group, Group::Kind(_)));
        }
        Places { found }
    }
}

/// Where a group lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// In rows with this value.
    Value { attribute: usize, value: Box<[u8]>, shown: Option<Box<str>> },
    /// In this file of a side.
    File { side: Side, file: u32 },
}

/// All of a group lie there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) what: What,
    /// How many.
    pub(super) rows: u64,
    /// Rows of the place, whether they differ or not.
    pub(super) together: u64,
    /// Rows elsewhere, of which none differs so.
    pub(super) elsewhere: u64,
    /// The first keys.
    pub(super) keys: Firsts<String>,
}

/// Where differences lie, as far as it is no chance.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    found: BTreeMap<Group, Place>,
}

impl Places {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Each place with the groups that lie there.
    pub(super) fn told(&self) -> impl Iterator<Item = (Group, &Place)> {
        self.found.iter().map(|(group, place)| (*group, place))
    }

    /// Names the lines of a difference that have no other cause.
    pub(super) fn name(&self, kind: Kind, attributes: &[usize], names: &mut [Option<&'static str>]) {
        let of = |group: Group| self.found.get(&group).map(|place| place.what.name());
        let whole = of(Group::Kind(kind));
        for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_none()) {
            let own = attributes.get(index).filter(|_| kind == Kind::Mismatch);
            *name = whole.or_else(|| of(Group::Attribute(*own?)));
        }
    }
}

impl What {
    /// The name of the cause.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Value { .. } => "one_value_only",
            Self::File { .. } => "one_file_only",
        }
    }
}
