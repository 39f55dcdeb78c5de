//! Reads two sources whose rows lie in the order of their keys side by side, so that each row meets its partner while both are
//! at hand: no digests for the comparison, no tags, no second reading.
//!
//! The keys are cut into spans by the first keys of some units. Within a span each side's rows whose keys ascend are its *line*;
//! lines are merged by their exact keys, and pairs that are strictly equal are done with. All else is gathered as a candidate: rows
//! without partner, pairs that are not strictly equal, and *stragglers*, which lie outside the line. All keys of a line
//! are different and within the span, so a key can occur again only among stragglers: units whose line spans a straggler's key
//! are read again for it. Where there are many stragglers the sources are not in order after all, and are compared the other way.
//! It never judges, and never calls rows equal that are so only within a tolerance.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::Halt;
use super::compare::Work;
use super::gather::Gathered;
use super::reader::Again;
use super::scan::UnitFacts;
use crate::diff::resolve::{Standing, standing};
use crate::diff::{Keys, OwnedKey, Run, mark_differing};
use crate::normalise::{Binding, columns_read, normalise};
use crate::sides::{Side, Sides};
use crate::source::Piece;

mod line;

use line::{Block, Line};

/// What merging came to.
pub(super) struct Merged {
    pub(super) units: Sides<Vec<UnitFacts>>,
    /// Pairs that are strictly equal.
    pub(super) agree: u64,
}

/// Why merging ended before its end.
enum Stopped {
    Halted(Halt),
    /// The rows are not in order, or not all of them could be read.
    Unsorted,
}

impl From<Halt> for Stopped {
    fn from(halt: Halt) -> Self {
        Self::Halted(halt)
    }
}

/// A part of the keys: some units of the authority, and what of the projection lies within their keys.
pub(super) struct Span {
    /// The least key; None: no bound.
    from: Option<OwnedKey>,
    /// The first key that belongs to the next span.
    until: Option<OwnedKey>,
    /// Units of each side, the last one exclusive. A unit of the projection may be in two spans, which share its rows.
    units: Sides<(usize, usize)>,
}

/// What all spans of a comparison share.
struct Bench<'a> {
    work: &'a Work<'a>,
    gathered: &'a Sides<Gathered<'a>>,
    key_count: usize,
    facts: Sides<Vec<Mutex<Facts>>>,
    stragglers: Mutex<Vec<Straggler>>,
    straying: AtomicU64,
    unsorted: AtomicBool,
}

/// What is known of one unit.
#[derive(Default)]
struct Facts {
    unit: UnitFacts,
    /// The least and the greatest key of its line.
    line: Option<(OwnedKey, OwnedKey)>,
}

struct Straggler {
    key: OwnedKey,
    tag: u64,
}

impl Work<'_> {
    /// More stragglers than this are not looked up.
    const STRAGGLERS: u64 = 1 << 16;
    /// Units whose first keys are looked at before sources are taken to be in order.
    const PROBES: usize = 9;

    /// The spans, where both sources seem to be in the order of their keys and can tell single rows; None otherwise, and where
    /// rows carry markers or tombstones, which are looked at in the other way only.
    pub(super) fn spans(&self) -> Option<Vec<Span>> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        let keyed = self.inputs.binding.key_count > 0 && self.inputs.row_filter.is_none();
        if !self.merges()
            || !keyed
            || self.batch.contract.null_keys_match
            || self.inputs.carries()
            || counts.iter().any(|(_, count)| *count == 0)
        {
            return None;
        }
        let key = key_binding(&self.inputs.binding);
        for (side, &count) in counts.iter() {
            let probes =
                (0..Self::PROBES).map(|probe| probe * (count - 1) / (Self::PROBES - 1)).collect::<BTreeSet<_>>();
            let mut last: Option<OwnedKey> = None;
            for unit in probes {
                let first = self.first_key(&key, side, unit)?;
                if last.is_some_and(|last| last >= first) {
                    return None;
                }
                last = Some(first);
            }
        }
        let wanted = (2 * self.batch.settings.threads).min(counts.authority);
        let mut spans = vec![Span { from: None, until: None, units: Sides { authority: (0, 0), projection: (0, 0) } }];
        for number in 1..wanted {
            let begins = number * counts.authority / wanted;
            let bound = self.first_key(&key, Side::Authority, begins)?;
            let shared = self.unit_with(&key, &bound, counts.projection)?;
            let last = spans.last_mut().expect("there is a first one");
            if last.from.as_ref().is_some_and(|from| *from >= bound) || shared < last.units.projection.0 {
                return None;
            }
            last.until = Some(bound.clone());
            last.units.authority.1 = begins;
            last.units.projection.1 = shared + 1;
            let units = Sides { authority: (begins, begins), projection: (shared, shared) };
            spans.push(Span { from: Some(bound), until: None, units });
        }
        let last = spans.last_mut().expect("there is a first one");
        last.units.authority.1 = counts.authority;
        last.units.projection.1 = counts.projection;
        Some(spans)
    }

    /// The last unit of the projection whose first key is not beyond this one.
    fn unit_with(&self, key: &Binding, bound: &OwnedKey, count: usize) -> Option<usize> {
        let (mut least, mut beyond) = (0, count);
        while beyond - least > 1 {
            let middle = usize::midpoint(least, beyond);
            let first = self.first_key(key, Side::Projection, middle)?;
            if first <= *bound {
                least = middle;
            } else {
                beyond = middle;
            }
        }
        Some(least)
    }

    /// The key of a unit's first row; None where it has none, or the format cannot tell it by itself.
    fn first_key(&self, key: &Binding, side: Side, unit: usize) -> Option<OwnedKey> {
        let reader = self.reader(side);
        let unit = &reader.input().opened.units[unit];
        if unit.rows().is_none_or(|rows| rows == 0) {
            return None;
        }
        let pieces = unit.read_rows(&columns_read(key, side), &[0])?.ok()?;
        for piece in pieces {
            let Ok(Piece::Rows(rows)) = piece else { return None };
            if rows.num_rows() > 0 {
                let canonical = normalise(key, side, &rows);
                let whole = standing(key, reader.rules(), &canonical, 0) == Standing::Keyed;
                return if whole { Keys::of(&canonical.columns).map(|keys| keys.keep(0)) } else { None };
            }
        }
        None
    }

    /// Merges the spans. None: the sources are not in order after all, and what was gathered is to be forgotten.
    pub(super) fn merge(&self, spans: Vec<Span>, gathered: &Sides<Gathered<'_>>) -> Result<Option<Merged>, Halt> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        let bench = Bench {
            work: self,
            gathered,
            key_count: self.inputs.binding.key_count,
            facts: counts.map(|_, count| (0..count).map(|_| Mutex::default()).collect()),
            stragglers: Mutex::default(),
            straying: AtomicU64::new(0),
            unsorted: AtomicBool::new(false),
        };
        self.batch.progress.begin(&self.batch.contract.name, "comparing", self.bytes());
        self.batch.progress.expect(self.known_rows());
        let merged: Result<Vec<u64>, Stopped> = self
            .batch
            .threads
            .install(|| spans.into_par_iter().with_max_len(1).map(|span| bench.merge(&span)).collect());
        self.batch.progress.end();
        let agree: u64 = match merged {
            Ok(agree) => agree.into_iter().sum(),
            Err(Stopped::Halted(halt)) => return Err(halt),
            Err(Stopped::Unsorted) => return Ok(None),
        };
        let Some(doubted) = self.look_up(&bench)? else { return Ok(None) };
        let units = bench.facts.map(|_, facts| {
            let facts = facts.into_iter().map(|facts| facts.into_inner().unwrap_or_else(PoisonError::into_inner).unit);
            facts.collect::<Vec<UnitFacts>>()
        });
        Ok(Some(Merged { units, agree: agree - doubted }))
    }

    /// Gathers the pairs whose keys stragglers may have, and tells how many those are.
    fn look_up(&self, bench: &Bench<'_>) -> Result<Option<u64>, Halt> {
        let stragglers = bench.stragglers.lock().unwrap_or_else(PoisonError::into_inner);
        let tags: FxHashSet<u64> = stragglers.iter().map(|straggler| straggler.tag).collect();
        let spans_one = |(_, unit): &(Side, usize), side: Side| {
            let facts = lock(&bench.facts.get(side)[*unit]);
            let within = |straggler: &Straggler| {
                facts.line.as_ref().is_some_and(|(least, greatest)| (least..=greatest).contains(&&straggler.key))
            };
            stragglers.iter().any(within)
        };
        let units: Vec<(Side, usize)> =
            self.units_of(&Side::BOTH).into_iter().filter(|unit| spans_one(unit, unit.0)).collect();
        if units.is_empty() {
            return Ok(Some(0));
        }
        let sums = || bench.gathered.as_ref().map(|_, gathered| gathered.sum_of_all());
        let (before, found) = (sums(), AtomicU64::new(0));
        self.again(units, |side, unit| {
            let caught = lock(&bench.facts.get(side)[unit]).unit.caught.clone();
            let held = |row| caught.has(row);
            let count = |_| {
                found.fetch_add(u64::from(side == Side::Authority), Atomic::Relaxed);
            };
            let again = Again { unit, rows: None };
            self.reader(side).find_again(again, bench.gathered.get(side), held, |tag| tags.contains(&tag), count)
        })?;
        // Both rows of each pair must have been found, and pairs that agree have equal digests.
        let mut more = sums();
        more.authority -= before.authority;
        more.projection -= before.projection;
        Ok((more.authority == more.projection).then(|| found.into_inner()))
    }
}

/// The comparison of the key alone.
fn key_binding(binding: &Binding) -> Binding {
    let mut key = binding.clone();
    key.attributes.truncate(binding.key_count);
    key
}

impl Bench<'_> {
    /// Merges one span and tells how many pairs agree.
    fn merge(&self, span: &Span) -> Result<u64, Stopped> {
        let mut lines = Sides::from_fn(|side| Line::new(self, side, span));
        let mut blocks = Sides { authority: lines.authority.next()?, projection: lines.projection.next()? };
        let mut differing = Vec::new();
        let mut agree = 0;
        while let (Some(authority), Some(projection)) = (&mut blocks.authority, &mut blocks.projection) {
            agree += self.meet(Sides { authority, projection }, &mut differing);
            for side in Side::BOTH {
                if blocks.get(side).as_ref().is_some_and(Block::done) {
                    let line = lines.get_mut(side);
                    line.settle(blocks.get_mut(side).take())?;
                    *blocks.get_mut(side) = line.next()?;
                }
            }
        }
        for side in Side::BOTH {
            let line = lines.get_mut(side);
            while let Some(mut block) = blocks.get_mut(side).take() {
                let rest = block.at..block.canonical.rows;
                block.catch(rest);
                line.settle(Some(block))?;
                *blocks.get_mut(side) = line.next()?;
            }
            line.end()?;
        }
        Ok(agree)
    }

    /// Merges two blocks until one of them ends, and tells how many pairs agree.
    fn meet(&self, mut blocks: Sides<&mut Block>, differing: &mut Vec<bool>) -> u64 {
        let canonical = blocks.as_ref().map(|_, block| block.canonical.clone());
        let keys = canonical.as_ref().map(|_, canonical| {
            Keys::of(&canonical.columns[..self.key_count]).expect("a line holds only keys that have an order")
        });
        let mut agree = 0;
        while !blocks.iter().any(|(_, block)| block.done()) {
            let at = blocks.as_ref().map(|_, block| block.at);
            let most = blocks.as_ref().map(|_, block| block.canonical.rows - block.at);
            let most = most.authority.min(most.projection);
            let rows = keys.authority.alike(at.authority, &keys.projection, at.projection, most);
            if rows > 0 {
                let batches = canonical.as_ref();
                mark_differing(batches, self.key_count, Run { first: at, rows }, differing);
                for (index, _) in differing.iter().enumerate().filter(|(_, differs)| **differs) {
                    for side in Side::BOTH {
                        let row = at.get(side) + index;
                        blocks.get_mut(side).catch(row..row + 1);
                    }
                    agree -= 1_i64;
                }
                agree += i64::try_from(rows).expect("a batch has fewer than 2³² rows");
                blocks.authority.at += rows;
                blocks.projection.at += rows;
                continue;
            }
            let alone = match keys.authority.compare(at.authority, &keys.projection, at.projection) {
                Ordering::Less => Side::Authority,
                _ => Side::Projection,
            };
            let (block, row) = (blocks.get_mut(alone), *at.get(alone));
            block.catch(row..row + 1);
            block.at += 1;
        }
        u64::try_from(agree).expect("no more rows differ than there are")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
