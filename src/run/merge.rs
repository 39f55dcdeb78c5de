//! Reads two sources whose rows lie in the order of their keys side by side, so that each row meets its partner while both are
//! at hand: no digests for the comparison, no tags, no second reading.
//!
//! The keys are cut into spans by the first keys of some units. Within a span each side's rows whose keys ascend are its *line*;
//! lines are merged by their exact keys, and pairs that are strictly equal are done with. All else is gathered as a candidate: rows
//! without partner, pairs that are not strictly equal, and *stragglers*, which lie outside the line. All keys of a line
//! are different and within the span, so a key can occur again only among stragglers: units whose line spans a straggler's key
//! are read again for it. Where there are too many stragglers the sources are not in order after all, and are compared the other way.
//! Where most rows differ and none need be kept they are told while they are at hand, in as many passes as whoever looks at them takes.
//! It never judges, and never calls rows equal that are so only within a tolerance.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::prelude::*;

use super::Halt;
use super::compare::Work;
use super::gather::Gathered;
use super::reader::Again;
use super::scan::UnitFacts;
use crate::diff::resolve::{Met, Standing, standing};
use crate::diff::{Keys, OwnedKey, Run, Unlike, mark_differing};
use crate::normalise::{Binding, columns_read, normalise};
use crate::sides::{Side, Sides};
use crate::source::Piece;

mod line;
mod told;

use line::{Block, Line};
pub(super) use told::Told;

/// What merging came to.
pub(super) struct Merged {
    pub(super) units: Sides<Vec<UnitFacts>>,
    /// Pairs that are strictly equal.
    pub(super) agree: u64,
}

/// Why merging ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    /// The rows are not in order, or not all of them could be read.
    Unsorted,
    /// So many rows do not agree that to read the sources again costs less than to keep them.
    Dense,
    /// Keys of stragglers may lie within a line, so that its rows must be kept.
    Touched,
}

/// What ends a span before its end.
enum Stopped {
    Halted(Halt),
    /// The bench knows why.
    Ended,
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
    key_count: usize,
    way: Way<'a>,
    facts: Sides<Vec<Mutex<Facts>>>,
    stragglers: Mutex<Stragglers>,
    straying: AtomicU64,
    /// Why all spans end.
    ended: OnceLock<Because>,
}

/// What becomes of rows that do not agree.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// They are kept, where they do not turn out too many for that.
    Gathered(&'a Sides<Gathered<'a>>, Option<&'a Density>),
    /// They are told while they are at hand, and what was read is noted. Stragglers are kept.
    Told(&'a Sides<Gathered<'a>>),
    /// They are told once more.
    ToldAgain,
}

/// How many rows have met, and how many of them do not agree.
struct Density {
    /// Fewer are always kept.
    least: u64,
    /// One row in so many at least.
    share: u64,
    met: AtomicU64,
    caught: AtomicU64,
}

impl Density {
    /// Where more than one row in so many does not agree, telling costs less than keeping.
    const SHARE: u64 = 4;

    fn new(least: u64, share: u64) -> Self {
        Self { least, share, met: AtomicU64::new(0), caught: AtomicU64::new(0) }
    }

    /// How many pairs have agreed, or somewhat fewer or more: threads go on while others count.
    fn agree(&self) -> u64 {
        self.met.load(Atomic::Relaxed).saturating_sub(self.caught.load(Atomic::Relaxed)) / 2
    }

    /// Counts rows, and tells whether those that do not agree are too many to be kept.
    fn exceeds(&self, met: u64, caught: u64) -> bool {
        let met = self.met.fetch_add(met, Atomic::Relaxed) + met;
        let caught = self.caught.fetch_add(caught, Atomic::Relaxed) + caught;
        caught > self.least && caught.saturating_mul(self.share) > met
    }
}

/// What is known of one unit.
#[derive(Default)]
struct Facts {
    unit: UnitFacts,
    /// The least and the greatest key of its line.
    line: Option<(OwnedKey, OwnedKey)>,
}

/// Rows that lie outside of their line: what is needed to find the others of their keys.
#[derive(Default)]
struct Stragglers {
    tags: Vec<u64>,
    /// Where their keys lie: each by itself where few came together, else from the least to the greatest.
    ranges: Vec<(OwnedKey, OwnedKey)>,
}

impl Stragglers {
    /// So many that came together are told apart.
    const FEW: usize = 8;
    /// So many ranges are kept; beyond, neighbours are united.
    const MOST: usize = 4096;

    fn add(&mut self, keys: Vec<OwnedKey>, tags: Vec<u64>) {
        self.tags.extend(tags);
        if keys.len() > Self::FEW {
            self.ranges.extend(keys.iter().min().cloned().zip(keys.iter().max().cloned()));
        } else {
            self.ranges.extend(keys.into_iter().map(|key| (key.clone(), key)));
        }
        if self.ranges.len() > Self::MOST {
            self.ranges.sort_unstable();
            let united = self.ranges.chunks(2).map(|two| {
                let last = two.iter().map(|(_, last)| last).max();
                (two[0].0.clone(), last.unwrap_or(&two[0].1).clone())
            });
            self.ranges = united.collect();
        }
    }

    /// Whether any may have a key of this line.
    fn touch(&self, (least, greatest): &(OwnedKey, OwnedKey)) -> bool {
        self.ranges.iter().any(|(from, to)| from <= greatest && least <= to)
    }
}

impl Work<'_> {
    /// Units whose first keys are looked at before sources are taken to be in order.
    const PROBES: usize = 17;
    /// So many of them may lie before others: where rows were put behind those that are in order.
    const BEHIND: usize = 3;

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
            // Of few units one that lies behind says as much as of many.
            let most = Self::BEHIND * probes.len() / Self::PROBES;
            let (mut last, mut behind): (Option<OwnedKey>, usize) = (None, 0);
            for unit in probes {
                let first = self.first_key(&key, side, unit)?;
                if last.as_ref().is_some_and(|last| *last >= first) {
                    behind += 1;
                } else {
                    last = Some(first);
                }
            }
            if behind > most {
                return None;
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

    /// Merges the spans, and gathers what does not agree. `dense`: it is told instead where it is much.
    pub(super) fn merge(
        &self,
        spans: &[Span],
        gathered: &Sides<Gathered<'_>>,
        dense: bool,
    ) -> Result<Result<Merged, Because>, Halt> {
        // A cluster in a large table is kept.
        let least = self.batch.settings.tuning.dense_rows.max(self.known_rows() / 64);
        let density = dense.then(|| Density::new(least, Density::SHARE));
        let bench = self.bench(Way::Gathered(gathered, density.as_ref()));
        let catch = |(): &mut (), mut blocks: Sides<Option<&mut Block>>, met: &Met| {
            for side in Side::BOTH {
                if let Some(block) = blocks.get_mut(side) {
                    block.catch(met.rows(side));
                }
            }
            Ok(())
        };
        self.begin("comparing");
        let merged = self.merge_all(&bench, spans, (|| (), |()| ()), catch);
        self.batch.progress.end();
        let agree: u64 = match merged? {
            Ok(merged) => merged.into_iter().map(|((), agree)| agree).sum(),
            Err(Because::Dense) if !self.touched(&bench).is_empty() => return Ok(Err(Because::Touched)),
            Err(because) => return Ok(Err(because)),
        };
        let Some(doubted) = self.look_up(&bench, gathered)? else { return Ok(Err(Because::Unsorted)) };
        Ok(Ok(Merged { units: bench.units(), agree: agree - doubted }))
    }

    /// Says what the sources are read for.
    fn begin(&self, phase: &str) {
        self.batch.progress.begin(&self.batch.contract.name, phase, self.bytes());
        self.batch.progress.expect(self.known_rows());
    }

    fn bench<'b>(&'b self, way: Way<'b>) -> Bench<'b> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        Bench {
            work: self,
            key_count: self.inputs.binding.key_count,
            way,
            facts: counts.map(|_, count| (0..count).map(|_| Mutex::default()).collect()),
            stragglers: Mutex::default(),
            straying: AtomicU64::new(0),
            ended: OnceLock::new(),
        }
    }

    /// Merges the spans in parallel: for each, in no order, what was made of its rows that do not agree, and how many pairs do.
    fn merge_all<T, U: Send>(
        &self,
        bench: &Bench<'_>,
        spans: &[Span],
        (begin, end): (impl Fn() -> T + Sync, impl Fn(T) -> U + Sync),
        take: impl Fn(&mut T, Sides<Option<&mut Block>>, &Met) -> Result<(), Stopped> + Sync,
    ) -> Result<Result<Vec<(U, u64)>, Because>, Halt> {
        let one = |span| {
            let mut made = begin();
            let agree = bench.merge(span, |blocks, met| take(&mut made, blocks, met))?;
            Ok((end(made), agree))
        };
        // The last one first: what was put behind all that is in order makes it the longest.
        let merged: Result<Vec<(U, u64)>, Stopped> =
            self.batch.threads.install(|| spans.par_iter().rev().with_max_len(1).map(one).collect());
        match merged {
            Ok(merged) => Ok(Ok(merged)),
            Err(Stopped::Halted(halt)) => Err(halt),
            Err(Stopped::Ended) => Ok(Err(*bench.ended.get().expect("whoever ends it says why"))),
        }
    }

    /// The units in whose lines keys of stragglers may lie.
    fn touched(&self, bench: &Bench<'_>) -> Vec<(Side, usize)> {
        let stragglers = bench.stragglers.lock().unwrap_or_else(PoisonError::into_inner);
        let touched = |(side, unit): &(Side, usize)| {
            lock(&bench.facts.get(*side)[*unit]).line.as_ref().is_some_and(|line| stragglers.touch(line))
        };
        self.units_of(&Side::BOTH).into_iter().filter(touched).collect()
    }

    /// Gathers the pairs whose keys stragglers may have, and tells how many those are.
    fn look_up(&self, bench: &Bench<'_>, gathered: &Sides<Gathered<'_>>) -> Result<Option<u64>, Halt> {
        let units = self.touched(bench);
        if units.is_empty() {
            return Ok(Some(0));
        }
        let mut tags = std::mem::take(&mut lock(&bench.stragglers).tags);
        tags.sort_unstable();
        let sums = || gathered.as_ref().map(|_, gathered| gathered.sum_of_all());
        let (before, found) = (sums(), AtomicU64::new(0));
        self.again(units, |side, unit| {
            let caught = lock(&bench.facts.get(side)[unit]).unit.caught.clone();
            let held = |row| caught.has(row);
            let count = |_| {
                found.fetch_add(u64::from(side == Side::Authority), Atomic::Relaxed);
            };
            let again = Again { unit, rows: None };
            let wanted = |tag| tags.binary_search(&tag).is_ok();
            self.reader(side).find_again(again, gathered.get(side), held, wanted, count)
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
    /// Merges one span, gives away what does not agree, and tells how many pairs do.
    fn merge(
        &self,
        span: &Span,
        mut take: impl FnMut(Sides<Option<&mut Block>>, &Met) -> Result<(), Stopped>,
    ) -> Result<u64, Stopped> {
        let mut lines = Sides::from_fn(|side| Line::new(self, side, span));
        let mut blocks = Sides { authority: lines.authority.next()?, projection: lines.projection.next()? };
        let (mut unlike, mut met) = (Unlike::default(), Met::default());
        let mut agree = 0;
        while let (Some(authority), Some(projection)) = (&mut blocks.authority, &mut blocks.projection) {
            let (rows, equal) = self.meet(Sides { authority, projection }, &mut unlike, &mut met);
            agree += equal;
            if !met.is_empty() {
                take(blocks.as_mut().map(|_, block| block.as_mut()), &met)?;
            }
            self.weigh(rows, &met)?;
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
                met.clear();
                met.alone.get_mut(side).extend(block.rest());
                let mut one = Sides { authority: None, projection: None };
                *one.get_mut(side) = Some(&mut block);
                take(one, &met)?;
                self.weigh(met.alone.get(side).len() as u64, &met)?;
                line.settle(Some(block))?;
                *blocks.get_mut(side) = line.next()?;
            }
            line.end()?;
        }
        Ok(agree)
    }

    /// Ends all spans where so many rows do not agree that they are not to be kept.
    fn weigh(&self, rows: u64, met: &Met) -> Result<(), Stopped> {
        let Way::Gathered(_, Some(density)) = self.way else { return Ok(()) };
        let caught = Side::BOTH.iter().map(|side| met.rows(*side).count() as u64).sum();
        if density.exceeds(rows, caught) { Err(self.end(Because::Dense)) } else { Ok(()) }
    }

    /// Has all spans end.
    fn end(&self, because: Because) -> Stopped {
        self.ended.get_or_init(|| because);
        Stopped::Ended
    }

    /// What is known of the units when all is merged.
    fn units(self) -> Sides<Vec<UnitFacts>> {
        self.facts.map(|_, facts| {
            let facts = facts.into_iter().map(|facts| facts.into_inner().unwrap_or_else(PoisonError::into_inner).unit);
            facts.collect()
        })
    }

    /// Merges two blocks until one of them ends: leaves the rows that do not agree, and tells how many rows have met in all, and how many
    /// pairs agree.
    fn meet(&self, mut blocks: Sides<&mut Block>, unlike: &mut Unlike, met: &mut Met) -> (u64, u64) {
        met.clear();
        let canonical = blocks.as_ref().map(|_, block| block.canonical.clone());
        let keys = canonical.as_ref().map(|_, canonical| {
            Keys::of(&canonical.columns[..self.key_count]).expect("a line holds only keys that have an order")
        });
        let first = blocks.as_ref().map(|_, block| block.at);
        let ends = canonical.as_ref().map(|_, canonical| canonical.rows);
        let small = |row: usize| u32::try_from(row).expect("a batch has fewer than 2³² rows");
        let (mut at, mut pairs, mut runs) = (first, 0, Vec::new());
        while at.authority < ends.authority && at.projection < ends.projection {
            let most = (ends.authority - at.authority).min(ends.projection - at.projection);
            let rows = keys.authority.alike(at.authority, &keys.projection, at.projection, most);
            if rows > 0 {
                runs.push(Run { first: at, rows });
                pairs += rows;
                at = at.map(|_, at| at + rows);
                continue;
            }
            let alone = match keys.authority.compare(at.authority, &keys.projection, at.projection) {
                Ordering::Less => Side::Authority,
                _ => Side::Projection,
            };
            met.alone.get_mut(alone).push(small(*at.get(alone)));
            *at.get_mut(alone) += 1;
        }
        mark_differing(canonical.as_ref(), self.key_count, &runs, unlike);
        for (rows, attributes) in unlike.rows(&runs) {
            met.pairs.push(rows.map(|_, row| small(row)));
            met.unlike.extend_from_slice(attributes);
        }
        for side in Side::BOTH {
            blocks.get_mut(side).at = *at.get(side);
        }
        let rows = at.authority - first.authority + at.projection - first.projection;
        (rows as u64, (pairs - met.pairs.len()) as u64)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
