//! Reads two sources whose rows lie in the order of their keys side by side, so that each row meets its partner while both are
//! at hand: no digests for the comparison, no tags, no second reading.
//!
//! The keys are cut into spans by the first keys of some units. Within a span each side's rows whose keys ascend are its *line*;
//! lines are merged by their exact keys, and pairs that are strictly equal are done with. All else is gathered as a candidate: rows
//! without partner, pairs that are not strictly equal, and *stragglers*, which lie outside the line. All keys of a line
//! are different and within the span, so a key can occur again only among stragglers: units whose line spans a straggler's key
//! are read again for it. Where there are many stragglers the sources are not in order after all, and are compared the other way.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering as Atomic};
use std::sync::{Mutex, PoisonError};

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

use super::Halt;
use super::compare::Work;
use super::gather::{Gathered, Pending};
use super::scan::{Reader, UnitFacts};
use crate::diff::resolve::{Standing, standing};
use crate::diff::{Keys, OwnedKey, Run, mark_differing};
use crate::digest::{Buffers, Sum};
use crate::normalise::{Binding, CanonicalBatch, columns_read, normalise};
use crate::sides::{Side, Sides};
use crate::source::{Piece, Pieces};

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
            self.reader(side).find_again(unit, bench.gathered.get(side), held, |tag| tags.contains(&tag), count)
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

/// Rows of a line.
struct Block {
    unit: usize,
    compared: RecordBatch,
    canonical: CanonicalBatch,
    /// The number of each row within its unit.
    numbers: Numbers,
    /// The first row that has not met the other side.
    at: usize,
    caught: Vec<u32>,
}

/// The numbers of a block's rows within their unit.
#[derive(Clone)]
enum Numbers {
    From(u64),
    Each(Vec<u64>),
}

impl Numbers {
    fn of(&self, row: usize) -> u64 {
        match self {
            Self::From(first) => first + row as u64,
            Self::Each(numbers) => numbers[row],
        }
    }

    fn slice(&self, from: usize, rows: usize) -> Self {
        match self {
            Self::From(first) => Self::From(first + from as u64),
            Self::Each(numbers) => Self::Each(numbers[from..from + rows].to_vec()),
        }
    }

    fn pick(&self, rows: &[u32]) -> Self {
        Self::Each(rows.iter().map(|row| self.of(*row as usize)).collect())
    }
}

impl Block {
    fn done(&self) -> bool {
        self.at >= self.canonical.rows
    }

    fn catch(&mut self, rows: std::ops::Range<usize>) {
        self.caught.extend(rows.map(|row| u32::try_from(row).expect("a batch has fewer than 2³² rows")));
    }
}

/// The rows of one side within a span whose keys ascend.
struct Line<'a> {
    bench: &'a Bench<'a>,
    reader: Reader<'a>,
    span: &'a Span,
    /// The unit that is read, and its pieces.
    unit: usize,
    pieces: Option<Pieces<'a>>,
    /// Rows of the unit before those that come next.
    position: u64,
    /// The rows before the span's are behind.
    begun: bool,
    /// The rows after the span's have come.
    ended: bool,
    last: Option<OwnedKey>,
    pending: Pending,
    buffers: Buffers,
    rows: u64,
}

impl<'a> Line<'a> {
    fn new(bench: &'a Bench<'a>, side: Side, span: &'a Span) -> Self {
        let reader = bench.work.reader(side);
        Self {
            bench,
            reader,
            span,
            unit: span.units.get(side).0,
            pieces: None,
            position: 0,
            begun: side == Side::Authority || span.from.is_none(),
            ended: false,
            last: None,
            pending: Pending::default(),
            buffers: Buffers::default(),
            rows: 0,
        }
    }

    /// The next rows of the line.
    fn next(&mut self) -> Result<Option<Block>, Stopped> {
        while !self.ended {
            if self.bench.unsorted.load(Atomic::Relaxed) {
                return Err(Stopped::Unsorted);
            }
            self.reader.go_on()?;
            let Some(pieces) = &mut self.pieces else {
                if self.unit >= self.span.units.get(self.reader.side).1 {
                    break;
                }
                let input = self.reader.input();
                let pieces = input.opened.units[self.unit].read(&input.columns);
                self.pieces = Some(pieces.map_err(|error| self.reader.failed(error))?);
                self.position = 0;
                continue;
            };
            match pieces.next() {
                None => {
                    self.pieces = None;
                    self.unit += 1;
                }
                // What can be read of a damaged source is for the other way to say.
                Some(Err(_) | Ok(Piece::Unreadable(_))) => return Err(self.unsorted()),
                Some(Ok(Piece::Rows(rows))) => {
                    let block = self.block(&rows)?;
                    if block.as_ref().is_some_and(|block| !block.done()) {
                        return Ok(block);
                    }
                }
            }
        }
        Ok(None)
    }

    fn unsorted(&self) -> Stopped {
        self.bench.unsorted.store(true, Atomic::Relaxed);
        Stopped::Unsorted
    }

    /// The rows of a batch that belong to the span; those outside of its line are gathered at once.
    fn block(&mut self, rows: &RecordBatch) -> Result<Option<Block>, Stopped> {
        let input = self.reader.input();
        let first = self.position;
        self.position += rows.num_rows() as u64;
        let kept = self.reader.kept(rows)?;
        let (rows, numbers) = match &kept {
            None => (rows.clone(), Numbers::From(first)),
            Some(mask) => {
                let kept = filter_record_batch(rows, mask).expect("the mask is as long as the batch");
                let numbers = (first..).zip(mask).filter(|(_, kept)| *kept == Some(true)).map(|(row, _)| row);
                (kept, Numbers::Each(numbers.collect()))
            }
        };
        let compared = rows.project(&input.compared).expect("compared columns are among those read");
        let canonical = normalise(&self.bench.work.inputs.binding, self.reader.side, &compared);
        let own = self.own(&canonical);
        let (from, count) = (own.start, own.len());
        let (rows, compared, numbers) =
            (rows.slice(from, count), compared.slice(from, count), numbers.slice(from, count));
        let canonical = if count == canonical.rows {
            canonical
        } else {
            normalise(&self.bench.work.inputs.binding, self.reader.side, &compared)
        };
        self.note(&rows, &compared, &canonical)?;
        self.bench.work.batch.progress.advance(count as u64, self.share(count));
        self.line(compared, canonical, numbers).map(Some)
    }

    /// Which rows of a batch belong to the span: in a unit that two spans share, those from the first one that reaches it.
    fn own(&mut self, canonical: &CanonicalBatch) -> std::ops::Range<usize> {
        let (first, last) = *self.span.units.get(self.reader.side);
        let mut own = 0..canonical.rows;
        self.begun |= self.unit > first;
        if !self.begun {
            let reached = self.span.from.as_ref().and_then(|from| self.reaches(canonical, from));
            self.begun = reached.is_some();
            own.start = reached.unwrap_or(canonical.rows);
        }
        let shared = self.reader.side == Side::Projection && self.unit + 1 == last;
        if let Some(until) = self.span.until.as_ref().filter(|_| shared)
            && let Some(row) = self.reaches(canonical, until)
        {
            own.end = row.max(own.start);
            self.ended = true;
        }
        own
    }

    /// The first row whose key is not less than this one.
    fn reaches(&self, canonical: &CanonicalBatch, bound: &OwnedKey) -> Option<usize> {
        let keys = Keys::of(&canonical.columns[..self.bench.key_count])?;
        let (binding, rules) = (&self.bench.work.inputs.binding, self.reader.rules());
        let reaches = |row: &usize| {
            keys.compare_kept(*row, bound).is_ge() && standing(binding, rules, canonical, *row) == Standing::Keyed
        };
        (0..canonical.rows).find(reaches)
    }

    /// Adds what the unit is to remember of these rows.
    fn note(&mut self, rows: &RecordBatch, compared: &RecordBatch, canonical: &CanonicalBatch) -> Result<(), Stopped> {
        let inputs = self.bench.work.inputs;
        inputs.gauges.see(&inputs.binding, self.reader.side, rows, None, canonical)?;
        let column = self.reader.input().captured_column;
        let captured = column.map(|column| self.reader.greatest_instant(rows.column(column).as_ref(), None));
        let captured = captured.transpose()?.flatten();
        let mut sum = Sum::default();
        // Rows that agree have equal digests, so one side's are enough.
        if self.bench.work.batch.settings.digest_inputs && self.reader.side == Side::Authority {
            self.reader.digester().digest(canonical, &mut self.buffers, |_, digest| sum += digest.row);
        }
        self.rows += canonical.rows as u64;
        let mut facts = lock(&self.bench.facts.get(self.reader.side)[self.unit]);
        facts.unit.rows = facts.unit.rows.max(self.position);
        facts.unit.read += canonical.rows as u64;
        facts.unit.bytes += compared.get_array_memory_size() as u64;
        facts.unit.captured = facts.unit.captured.max(captured);
        facts.unit.sum += sum;
        Ok(())
    }

    fn share(&self, rows: usize) -> u64 {
        let unit = &self.reader.input().opened.units[self.unit];
        unit.bytes() * rows as u64 / unit.rows().unwrap_or(0).max(1)
    }

    /// The rows that continue the line.
    fn line(&mut self, compared: RecordBatch, canonical: CanonicalBatch, numbers: Numbers) -> Result<Block, Stopped> {
        let rows = canonical.rows;
        let mut block = Block { unit: self.unit, compared, canonical, numbers, at: 0, caught: Vec::new() };
        if rows == 0 {
            return Ok(block);
        }
        let Some(keys) = Keys::of(&block.canonical.columns[..self.bench.key_count]) else {
            return Err(self.unsorted());
        };
        let continues = keys.ascend(rows) && self.fits(&keys, 0) && self.fits(&keys, rows - 1);
        if !continues || !self.reader.all_keyed(&block.canonical) {
            let (line, others) = self.part(&keys, &block.canonical);
            self.stray(&block, &others)?;
            let compared = take_record_batch(&block.compared, &UInt32Array::from(line.clone()));
            block.compared = compared.expect("the rows are within the batch");
            block.canonical = normalise(&self.bench.work.inputs.binding, self.reader.side, &block.compared);
            block.numbers = block.numbers.pick(&line);
        }
        let (canonical, rows) = (&block.canonical, block.canonical.rows);
        if rows > 0 {
            let keys = Keys::of(&canonical.columns[..self.bench.key_count]).expect("its keys have an order");
            let (least, greatest) = (keys.keep(0), keys.keep(rows - 1));
            let mut facts = lock(&self.bench.facts.get(self.reader.side)[self.unit]);
            facts.line = Some(match facts.line.take() {
                Some((first, last)) => (first.min(least), last.max(greatest.clone())),
                None => (least, greatest.clone()),
            });
            self.last = Some(greatest);
        }
        Ok(block)
    }

    /// Whether a row's key comes after the line so far, within the span.
    fn fits(&self, keys: &Keys<'_>, row: usize) -> bool {
        let after = |bound: &Option<OwnedKey>, expected: fn(Ordering) -> bool| {
            bound.as_ref().is_none_or(|bound| expected(keys.compare_kept(row, bound)))
        };
        after(&self.last, Ordering::is_gt)
            && after(&self.span.from, Ordering::is_ge)
            && after(&self.span.until, Ordering::is_lt)
    }

    /// Parts the rows of a batch into those of the line and all others.
    fn part(&self, keys: &Keys<'_>, canonical: &CanonicalBatch) -> (Vec<u32>, Vec<u32>) {
        let (binding, rules) = (&self.bench.work.inputs.binding, self.reader.rules());
        let mut last: Option<usize> = None;
        (0..canonical.rows).map(|row| (row, u32::try_from(row).expect("a batch has fewer than 2³² rows"))).fold(
            (Vec::new(), Vec::new()),
            |(mut line, mut others), (row, number)| {
                let ascends = last.is_none_or(|last| keys.compare(row, keys, last).is_gt());
                if standing(binding, rules, canonical, row) == Standing::Keyed && ascends && self.fits(keys, row) {
                    line.push(number);
                    last = Some(row);
                } else {
                    others.push(number);
                }
                (line, others)
            },
        )
    }

    /// Gathers rows outside of the line.
    fn stray(&mut self, block: &Block, others: &[u32]) -> Result<(), Stopped> {
        let straying = self.bench.straying.fetch_add(others.len() as u64, Atomic::Relaxed) + others.len() as u64;
        if straying > Work::STRAGGLERS.min(1024 + self.rows / 4) {
            return Err(self.unsorted());
        }
        let mask: BooleanArray = {
            let mut mask = vec![false; block.canonical.rows];
            others.iter().for_each(|row| mask[*row as usize] = true);
            mask.into()
        };
        let binding = &self.bench.work.inputs.binding;
        let compared = filter_record_batch(&block.compared, &mask).expect("the mask is as long as the batch");
        let canonical = normalise(binding, self.reader.side, &compared);
        if let Some(keys) = Keys::of(&canonical.columns[..self.bench.key_count]) {
            let mut stragglers = self.bench.stragglers.lock().unwrap_or_else(PoisonError::into_inner);
            let (rules, digester) = (self.reader.rules(), self.reader.digester());
            digester.digest(&canonical, &mut self.buffers, |row, digest| {
                if standing(binding, rules, &canonical, row) == Standing::Keyed {
                    stragglers.push(Straggler { key: keys.keep(row), tag: digest.key_tag });
                }
            });
        }
        self.gather(block, others.to_vec())
    }

    /// Gathers what was caught of a block that is behind.
    fn settle(&mut self, block: Option<Block>) -> Result<(), Stopped> {
        let Some(mut block) = block else { return Ok(()) };
        let mut caught = std::mem::take(&mut block.caught);
        caught.sort_unstable();
        self.gather(&block, caught)
    }

    fn gather(&mut self, block: &Block, rows: Vec<u32>) -> Result<(), Stopped> {
        {
            let mut facts = lock(&self.bench.facts.get(self.reader.side)[block.unit]);
            rows.iter().for_each(|row| facts.unit.caught.mark(block.numbers.of(*row as usize)));
        }
        let gathered = self.bench.gathered.get(self.reader.side);
        gathered.catch(self.reader, &block.compared, rows, &mut self.pending)?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stopped> {
        self.bench.gathered.get(self.reader.side).keep(self.reader, &mut self.pending)?;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
