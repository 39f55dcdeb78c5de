//! The rows of one side within a span whose keys ascend, batch by batch; what lies outside of them is gathered at once. It meets
//! no other side.

use std::cmp::Ordering;
use std::sync::atomic::Ordering as Atomic;

use arrow::array::{BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, take_record_batch};

use super::super::gather::Pending;
use super::super::reader::Reader;
use super::{Because, Bench, Span, Stopped, Way, lock};
use crate::diff::resolve::{Rows, Standing, key_order, standing};
use crate::diff::{Keys, OwnedKey};
use crate::digest::{Buffers, Sum};
use crate::normalise::{CanonicalBatch, normalise};
use crate::sides::Side;
use crate::source::{Piece, Pieces};

/// Rows of a line.
pub(super) struct Block {
    unit: usize,
    compared: RecordBatch,
    pub(super) canonical: CanonicalBatch,
    /// The number of each row within its unit.
    numbers: Numbers,
    /// The first row that has not met the other side.
    pub(super) at: usize,
    caught: Vec<u32>,
    /// The order of each row's key, once it was asked for.
    order: Option<Vec<u64>>,
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
    pub(super) fn done(&self) -> bool {
        self.at >= self.canonical.rows
    }

    pub(super) fn catch(&mut self, rows: impl Iterator<Item = u32>) {
        self.caught.extend(rows);
    }

    /// The rows that have not met the other side.
    pub(super) fn rest(&self) -> std::ops::Range<u32> {
        let small = |row: usize| u32::try_from(row).expect("a batch has fewer than 2³² rows");
        small(self.at)..small(self.canonical.rows)
    }

    /// All rows as candidates, each known by its number in the block; `ordered`: with the orders of their keys.
    pub(super) fn rows(&mut self, bench: &Bench<'_>, side: Side, ordered: bool) -> Rows {
        let binding = &bench.work.inputs.binding;
        let order =
            ordered.then(|| self.order.get_or_insert_with(|| key_order(binding, side, &self.canonical)).clone());
        let file = bench.work.reader(side).file_of(self.unit);
        Rows {
            raw: vec![self.compared.clone()],
            canonical: vec![self.canonical.clone()],
            order: order.into_iter().collect(),
            files: file.map(|file| vec![file; self.canonical.rows]).into_iter().collect(),
            ..Rows::default()
        }
    }
}

/// The rows of one side within a span whose keys ascend.
pub(super) struct Line<'a> {
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
    /// How many of them are stragglers.
    strayed: u64,
}

impl<'a> Line<'a> {
    pub(super) fn new(bench: &'a Bench<'a>, side: Side, span: &'a Span) -> Self {
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
            strayed: 0,
        }
    }

    /// The next rows of the line.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Stopped> {
        while !self.ended {
            if self.bench.ended.get().is_some() {
                return Err(Stopped::Ended);
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
                Some(Err(error)) if matches!(self.bench.way, Way::ToldAgain) => {
                    return Err(Stopped::Halted(self.reader.failed(error)));
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
        self.bench.end(Because::Unsorted)
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
        if matches!(self.bench.way, Way::ToldAgain) {
            return Ok(());
        }
        let inputs = self.bench.work.inputs;
        inputs.gauges.see(&inputs.binding, self.reader.side, rows, None, canonical)?;
        let column = self.reader.input().captured_column;
        let captured = column.map(|column| self.reader.greatest_instant(rows.column(column).as_ref(), None));
        let captured = captured.transpose()?.flatten();
        let mut sum = Sum::default();
        // Rows that agree have equal digests, so one side's are enough where the others are kept.
        let digested = self.reader.side == Side::Authority || matches!(self.bench.way, Way::Told(_));
        if self.bench.work.batch.settings.digest_inputs && digested {
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
        let mut block = Block { unit: self.unit, compared, canonical, numbers, at: 0, caught: Vec::new(), order: None };
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

    /// More stragglers of a comparison than this are no matter of a few rows.
    fn most_stragglers(&self) -> u64 {
        (self.bench.work.budget.limit() / 48).max(1 << 16)
    }

    /// Gathers rows outside of the line.
    fn stray(&mut self, block: &Block, others: &[u32]) -> Result<(), Stopped> {
        if matches!(self.bench.way, Way::ToldAgain) {
            return Ok(());
        }
        let straying = self.bench.straying.fetch_add(others.len() as u64, Atomic::Relaxed) + others.len() as u64;
        self.strayed += others.len() as u64;
        if straying > self.most_stragglers() || self.strayed > 1024 + self.rows / 2 {
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
            let (mut kept, mut tags) = (Vec::new(), Vec::new());
            let (rules, digester) = (self.reader.rules(), self.reader.digester());
            digester.digest(&canonical, &mut self.buffers, |row, digest| {
                if standing(binding, rules, &canonical, row) == Standing::Keyed {
                    kept.push(keys.keep(row));
                    tags.push(digest.key_tag);
                }
            });
            lock(&self.bench.stragglers).add(kept, tags);
        }
        self.gather(block, others.to_vec())
    }

    /// Gathers what was caught of a block that is behind.
    pub(super) fn settle(&mut self, block: Option<Block>) -> Result<(), Stopped> {
        let Some(mut block) = block else { return Ok(()) };
        let mut caught = std::mem::take(&mut block.caught);
        caught.sort_unstable();
        self.gather(&block, caught)
    }

    fn gather(&mut self, block: &Block, rows: Vec<u32>) -> Result<(), Stopped> {
        let (Way::Gathered(gathered, _) | Way::Told(gathered)) = self.bench.way else { return Ok(()) };
        {
            let mut facts = lock(&self.bench.facts.get(self.reader.side)[block.unit]);
            rows.iter().for_each(|row| facts.unit.caught.mark(block.numbers.of(*row as usize)));
        }
        self.pending.comes_from(self.reader, block.unit);
        gathered.get(self.reader.side).catch(self.reader, &block.compared, rows, &mut self.pending)?;
        Ok(())
    }

    pub(super) fn end(&mut self) -> Result<(), Stopped> {
        if let Way::Gathered(gathered, _) | Way::Told(gathered) = self.bench.way {
            gathered.get(self.reader.side).keep(&mut self.pending)?;
        }
        Ok(())
    }
}
