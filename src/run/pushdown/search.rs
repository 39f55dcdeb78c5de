//! Asks for the sums of both sides, holds them against each other, and cuts segments that are not equal finer, until few rows are
//! left to be read.

use std::sync::Mutex;

use rayon::prelude::*;

use super::super::input::Inputs;
use super::super::reader::Reader;
use super::super::{Batch, Halt};
use super::remote;
use crate::audit::{Checksums, Range};
use crate::normalise::{Comparison, normalise};
use crate::segment::{Chosen, Cut, Kernel, Stretch, Sums, statement};
use crate::sides::{Side, Sides};
use crate::source::{Error, Piece, Remote};

/// Rows that a segment is meant to have at last.
const SEGMENT_ROWS: u64 = 512;
/// The most segments that are held at a time.
const SEGMENTS: u64 = 1 << 16;
/// Rows that one statement is meant to sum, where a range of keys is found without looking at all rows.
pub(super) const STATEMENT_ROWS: u64 = 100_000;
/// How often segments are cut finer.
const LEVELS: usize = 6;
/// How many are cut finer at a time, the first ones.
const FINER: usize = 256;
/// Leading numbers beyond these are not computed with.
const FARTHEST: i64 = 1 << 62;

/// What was found.
pub(super) struct Found {
    pub(super) checksums: Checksums,
    /// The least and the greatest leading number.
    pub(super) extent: (i64, i64),
    pub(super) chosen: Chosen,
    /// What each side told of the segments that are read, where they were cut by one statement.
    pub(super) told: Sides<Option<Sums>>,
    /// The ranges that are equal, where they were cut by ranges.
    pub(super) agree: Vec<Range>,
}

/// What is asked, of which two sides.
pub(super) struct Search<'a> {
    batch: &'a Batch<'a>,
    inputs: &'a Inputs,
    tables: &'a Sides<Option<statement::Table>>,
    kernel: Kernel,
    /// No key is twice on some side, as its database vouches.
    unique: bool,
    /// Ranges of the leading attribute are found without looking at all rows.
    ordered: Sides<bool>,
    rows: u64,
    /// Rows that a segment is meant to have.
    each: u64,
    extent: Option<(i64, i64)>,
    sent: Mutex<Sides<u64>>,
    /// Rows that are in no segment.
    outside: Mutex<Sides<u64>>,
}

/// What was seen, what is read, and what each side told of that.
type Cutting = (Seen, Chosen, Sides<Option<Sums>>);

/// What was seen so far.
#[derive(Default)]
struct Seen {
    segments: u64,
    read: u64,
    rows: u64,
    proved: u64,
    agree: Vec<Range>,
}

impl<'a> Search<'a> {
    /// Learns what keys there are, or why all rows are read.
    pub(super) fn new(
        batch: &'a Batch<'a>,
        inputs: &'a Inputs,
        tables: &'a Sides<Option<statement::Table>>,
    ) -> Result<Result<Self, &'static str>, Halt> {
        let rows = |side: Side| -> u64 {
            let units = inputs.sides.get(side).opened.units.iter();
            units.map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum()
        };
        let Some(kernel) = Kernel::new(&inputs.binding) else { return Ok(Err("an attribute has no text")) };
        let mut search = Self {
            batch,
            inputs,
            tables,
            kernel,
            unique: false,
            ordered: Sides::from_fn(|_| true),
            rows: rows(Side::Authority).max(rows(Side::Projection)),
            each: batch.settings.tuning.segment_rows.unwrap_or(SEGMENT_ROWS).max(1),
            extent: None,
            sent: Mutex::default(),
            outside: Mutex::default(),
        };
        if inputs.sides.iter().any(|(_, input)| input.opened.units.is_empty()) {
            return Ok(Err("a side has no rows"));
        }
        for side in Side::BOTH {
            let Some(remote) = search.remote(side) else { continue };
            let keys: Vec<usize> = search.key_columns(side);
            let unique = answered(side, remote.is_unique(&keys))?;
            let ordered = answered(side, remote.is_ordered(keys[0]))?;
            search.unique |= unique;
            *search.ordered.get_mut(side) = ordered;
        }
        // What may be another thing the next time is asked by one statement.
        let is_fickle = Side::BOTH.into_iter().any(|side| search.remote(side).is_some_and(Remote::is_fickle));
        search.extent = if is_fickle { None } else { search.extent()? };
        Ok(Ok(search))
    }

    /// Finds what is equal, or says why all rows are read.
    pub(super) fn run(&self) -> Result<Result<Found, String>, Halt> {
        self.batch.progress.begin(&self.batch.contract.name, "summing", 0);
        let found = match self.extent {
            Some(extent) if self.parts(extent) => self.by_ranges(extent),
            _ => self.by_hash(),
        };
        self.batch.progress.end();
        let (seen, chosen, told) = found?;
        // Both sides' rows were counted in each segment; the larger side's are read.
        if seen.rows.saturating_sub(seen.proved) > seen.rows / 2 {
            return Ok(Err("most segments are not equal".to_owned()));
        }
        let checksums = Checksums {
            used: true,
            because: self.because(),
            segments: seen.segments,
            read: seen.read,
            proved: seen.proved,
            statements: self.sent.lock().map(|sent| *sent).unwrap_or_default(),
        };
        let extent = self.extent.unwrap_or((0, -1));
        // Another run could go on from these only where it finds ranges, and keys that occur once.
        let keeps = self.unique && self.ordered.authority && self.ordered.projection;
        let agree = if keeps { seen.agree } else { Vec::new() };
        Ok(Ok(Found { checksums, extent, chosen, told, agree }))
    }

    fn because(&self) -> String {
        let wish = super::wish(self.batch.contract);
        let because = match wish {
            Some(crate::contract::PushDown::Always) => "the contract asks for it",
            _ => "the link is slow, and summing is done sooner",
        };
        because.to_owned()
    }

    /// Whether ranges of the leading number are segments of some hundred rows.
    fn parts(&self, (low, high): (i64, i64)) -> bool {
        let width = i128::from(high) - i128::from(low) + 1;
        self.inputs.binding.key_count == 1 || width >= i128::from(self.rows / self.each)
    }

    /// The least and the greatest leading number of the databases, where it is a whole number that is computed with.
    fn extent(&self) -> Result<Option<(i64, i64)>, Halt> {
        let whole = |comparison: &Comparison| {
            matches!(comparison, Comparison::Integer | Comparison::Decimal { scale: 0, precision: 0..=38 })
        };
        let leading = &self.inputs.binding.attributes[0].comparison;
        let natives = self.tables.iter().filter_map(|(_, table)| table.as_ref());
        if !whole(leading)
            || natives.into_iter().any(|table| table.columns[0].native != crate::database::Native::Integer)
        {
            return Ok(None);
        }
        let mut extent: Option<(i64, i64)> = None;
        for side in Side::BOTH {
            let Some(table) = self.tables.get(side) else { continue };
            let lines = self.ask(side, &table.extent())?;
            let number = |index: usize| -> Option<i128> { lines.first()?.get(index)?.as_ref()?.parse().ok() };
            let (Some(low), Some(high)) = (number(0), number(1)) else { continue };
            let within =
                |number: i128| i64::try_from(number).ok().filter(|number| (-FARTHEST..=FARTHEST).contains(number));
            let (Some(low), Some(high)) = (within(low), within(high)) else { return Ok(None) };
            extent = Some(extent.map_or((low, high), |(least, greatest)| (least.min(low), greatest.max(high))));
        }
        Ok(extent)
    }

    fn by_ranges(&self, (low, high): (i64, i64)) -> Result<Cutting, Halt> {
        let (mut seen, mut chosen) = (Seen::default(), Vec::new());
        let mut level = vec![stretch((low, high), self.rows, self.each)];
        let finer_serves = self.ordered.authority && self.ordered.projection;
        for depth in 0..LEVELS {
            number(&mut level);
            let cut = Cut::Ranges(std::mem::take(&mut level));
            let sums = self.sums(&cut)?;
            let Cut::Ranges(stretches) = &cut else { break };
            for stretch in stretches {
                for index in 0..stretch.count {
                    let (one, two) = pair(&sums, stretch.first + index);
                    let rows = one.rows.max(two.rows);
                    if rows == 0 {
                        continue;
                    }
                    seen.segments += 1;
                    seen.rows += if depth == 0 { rows } else { 0 };
                    let range = stretch.segment(index);
                    let is_large = rows > 4 * self.each && stretch.step > 1 && finer_serves;
                    if one.agree(two, self.unique) {
                        seen.proved += rows;
                        seen.agree.push(Range { low: range.0, high: range.1, rows, sum: None, reading: 0 });
                    } else if is_large && depth + 1 < LEVELS && level.len() < FINER {
                        level.push(self::stretch(range, rows, self.each));
                    } else {
                        seen.read += 1;
                        chosen.push(range);
                    }
                }
            }
            if level.is_empty() {
                break;
            }
        }
        chosen.sort_unstable();
        let mut ranges = Vec::new();
        chosen.into_iter().for_each(|range| Chosen::join(&mut ranges, range));
        Ok((seen, Chosen::Ranges(ranges), Sides::from_fn(|_| None)))
    }

    fn by_hash(&self) -> Result<Cutting, Halt> {
        let segments = (self.rows / self.each).clamp(1, SEGMENTS).next_power_of_two();
        let bits = segments.ilog2().min(16);
        let cut = Cut::Hash { bits };
        let sums = self.sums(&cut)?;
        let (mut seen, mut chosen) = (Seen::default(), Vec::new());
        let mut told = Sides::from_fn(|side| Sums { unsure: self.outside(side), ..Sums::default() });
        for segment in 0..1_u32 << bits {
            let (one, two) = pair(&sums, segment);
            let rows = one.rows.max(two.rows);
            if rows == 0 {
                continue;
            }
            seen.segments += 1;
            seen.rows += rows;
            if one.agree(two, self.unique) {
                seen.proved += rows;
            } else {
                seen.read += 1;
                chosen.push(segment);
                told.authority.merge(one);
                told.projection.merge(two);
            }
        }
        Ok((seen, Chosen::Hash { bits, segments: chosen }, told.map(|_, sums| Some(sums))))
    }

    /// The sums of all segments on both sides, at the same time.
    fn sums(&self, cut: &Cut) -> Result<Sides<Vec<Sums>>, Halt> {
        // A thread each: they wait for answers.
        let (authority, projection) = std::thread::scope(|scope| {
            let other = scope.spawn(|| self.of_side(Side::Projection, cut));
            let own = self.of_side(Side::Authority, cut);
            (own, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        Ok(Sides { authority: authority?, projection: projection? })
    }

    fn of_side(&self, side: Side, cut: &Cut) -> Result<Vec<Sums>, Halt> {
        match self.tables.get(side) {
            Some(table) => self.asked(side, table, cut),
            None => self.computed(side, cut),
        }
    }

    /// What a database tells.
    fn asked(&self, side: Side, table: &statement::Table, cut: &Cut) -> Result<Vec<Sums>, Halt> {
        let mut sums = vec![Sums::default(); cut.count()];
        let counts_keys = self.counts_keys(side);
        let stretches: &[Stretch] = if let Cut::Ranges(stretches) = cut { stretches } else { &[] };
        if stretches.is_empty() {
            let lines = self.ask(side, &table.sums(cut, 0, None, counts_keys))?;
            self.note(side, &lines, 0, &mut sums)?;
        }
        for (index, stretch) in stretches.iter().enumerate() {
            for within in self.chunks(side, stretch, stretches.len()) {
                let lines = self.ask(side, &table.sums(cut, index, Some(within), counts_keys))?;
                self.note(side, &lines, stretch.first, &mut sums)?;
            }
        }
        Ok(sums)
    }

    /// Ranges of whole segments that one statement each sums.
    fn chunks(&self, side: Side, stretch: &Stretch, stretches: usize) -> Vec<(i64, i64)> {
        let whole = (stretch.low, stretch.high);
        if !self.ordered.get(side) || stretches > 1 {
            return vec![whole];
        }
        let statements = (self.rows / STATEMENT_ROWS).clamp(1, u64::from(stretch.count));
        let each = u32::try_from(u64::from(stretch.count).div_ceil(statements)).unwrap_or(u32::MAX);
        let firsts = (0..stretch.count).step_by(each as usize);
        let chunk = |first: u32| {
            let last = first.saturating_add(each - 1).min(stretch.count - 1);
            (stretch.segment(first).0, stretch.segment(last).1)
        };
        firsts.map(chunk).collect()
    }

    /// Whether keys that differ are counted on a side: where no database vouches for them, on the first that can.
    fn counts_keys(&self, side: Side) -> bool {
        let counting = Side::BOTH.into_iter().find(|side| self.tables.get(*side).is_some());
        !self.unique && counting == Some(side)
    }

    /// Adds what a statement told.
    fn note(&self, side: Side, lines: &[Vec<Option<String>>], first: u32, sums: &mut [Sums]) -> Result<(), Halt> {
        let mut rows = 0;
        for line in lines {
            let told = told(line).ok_or_else(|| self.strange(side))?;
            rows += told.1.rows;
            let Some(segment) = told.0 else {
                self.outside.lock().map(|mut outside| *outside.get_mut(side) += told.1.rows).unwrap_or_default();
                continue;
            };
            let place = usize::try_from(u64::from(first) + segment).ok().and_then(|place| sums.get_mut(place));
            let sum = place.ok_or_else(|| self.strange(side))?;
            if sum.rows > 0 {
                return Err(self.strange(side));
            }
            *sum = told.1;
        }
        answered(side, self.remote(side).map_or(Ok(()), |remote| remote.pace(rows)))
    }

    fn outside(&self, side: Side) -> u64 {
        self.outside.lock().map(|outside| *outside.get(side)).unwrap_or_default()
    }

    fn strange(&self, side: Side) -> Halt {
        let place = self.batch.contract.sources.get(side).location.shown().to_owned();
        let problem = "the answer to a question for sums is none".to_owned();
        Halt::Source { side, error: Error { place, problem, hint: None } }
    }

    /// What our own kernel computes of a side that no database serves.
    fn computed(&self, side: Side, cut: &Cut) -> Result<Vec<Sums>, Halt> {
        let reader = Reader { batch: self.batch, inputs: self.inputs, side };
        let sums = Mutex::new(vec![Sums::default(); cut.count()]);
        let unit = |unit: usize| -> Result<(), Halt> {
            reader.each_piece(unit, &reader.input().columns, |piece| {
                let rows = match piece {
                    Piece::Rows(rows) => rows,
                    Piece::Unreadable(range) => {
                        let error = Error { place: range.place, problem: range.problem, hint: None };
                        return Err(Halt::Source { side, error });
                    }
                };
                let kept = reader.kept(&rows)?;
                let compared = reader.taken(&rows)?;
                let canonical = normalise(&self.inputs.binding, side, &compared);
                let mut texts = self.kernel.texts(&canonical, false);
                let mut sums = sums.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                for row in 0..canonical.rows {
                    let is_kept =
                        kept.as_ref().is_none_or(|kept| !arrow::array::Array::is_null(kept, row) && kept.value(row));
                    if let Some(segment) = is_kept.then(|| texts.segment(cut, row)).flatten() {
                        sums[segment as usize].add(texts.lanes(row));
                    }
                }
                Ok(())
            })
        };
        let units = 0..self.inputs.sides.get(side).opened.units.len();
        // No more at a time than there is room for.
        let readers = self.batch.settings.readers(self.inputs.memory());
        let threads = rayon::ThreadPoolBuilder::new().num_threads(readers).build().map_err(std::io::Error::other);
        let threads = threads.map_err(Halt::Spill)?;
        threads.install(|| units.into_par_iter().with_max_len(1).try_for_each(unit))?;
        Ok(sums.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn key_columns(&self, side: Side) -> Vec<usize> {
        let keys = &self.inputs.binding.attributes[..self.inputs.binding.key_count];
        keys.iter().map(|attribute| attribute.columns.get(side).index).collect()
    }

    fn remote(&self, side: Side) -> Option<&dyn Remote> {
        remote(&self.inputs.sides.get(side).opened)
    }

    fn ask(&self, side: Side, sql: &str) -> Result<Vec<Vec<Option<String>>>, Halt> {
        if let Some(signal) = self.batch.stop.requested() {
            return Err(Halt::Interrupted(signal));
        }
        if let Ok(mut sent) = self.sent.lock() {
            *sent.get_mut(side) += 1;
        }
        self.remote(side).map_or(Ok(Vec::new()), |remote| answered(side, remote.ask(sql)))
    }
}

fn answered<T>(side: Side, answer: Result<T, Error>) -> Result<T, Halt> {
    answer.map_err(|error| Halt::Source { side, error })
}

/// Cuts a range into segments that have some hundred rows each where keys lie evenly.
fn stretch((low, high): (i64, i64), rows: u64, each: u64) -> Stretch {
    let width = u64::try_from(i128::from(high) - i128::from(low) + 1).unwrap_or(1);
    let wanted = rows.div_ceil(each).clamp(2, SEGMENTS / 2).min(width.max(1));
    let step = width.div_ceil(wanted).max(1);
    let count = u32::try_from(width.div_ceil(step)).unwrap_or(u32::MAX);
    Stretch { low, high, step, count, first: 0 }
}

/// Numbers the segments of stretches one behind the other.
fn number(stretches: &mut [Stretch]) {
    let mut next = 0;
    for stretch in stretches {
        stretch.first = next;
        next += stretch.count;
    }
}

fn pair(sums: &Sides<Vec<Sums>>, segment: u32) -> (&Sums, &Sums) {
    (&sums.authority[segment as usize], &sums.projection[segment as usize])
}

/// A line of an answer: the segment, and what was counted and summed of it.
fn told(line: &[Option<String>]) -> Option<(Option<u64>, Sums)> {
    let number = |index: usize| -> Option<u128> { line.get(index)?.as_ref()?.parse().ok() };
    let count = |index: usize| number(index).and_then(|count| u64::try_from(count).ok());
    let segment = match line.first()? {
        None => None,
        Some(text) => Some(text.parse().ok()?),
    };
    // The sum of nothing is NULL: no row had a text.
    let lanes = std::array::from_fn(|lane| number(lane + 2).unwrap_or(0));
    let keys = if line.len() > 7 { Some(count(7)?) } else { None };
    Some((segment, Sums { rows: count(1)?, lanes, unsure: count(6)?, keys }))
}
