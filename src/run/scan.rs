//! The first reading: every row of a side leaves a record, or asks the other side's; its values are let go, but for those of
//! rows that are candidates at once.

use std::io;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, filter_record_batch, max, take_record_batch};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};

use super::Halt;
use super::carried::MarkerFacts;
use super::gather::{Gathered, Pending};
use super::pairing::Beside;
use super::reader::{Again, Reader};
use super::recall::Recall;
use crate::cache::Seen;
use crate::contract::Source;
use crate::diff::resolve::{Standing, standing};
use crate::diff::{Collector, Index, Marks, Position, Questions, Record, Records, partition_of};
use crate::digest::{Buffers, RowDigest, Sum};
use crate::normalise::normalise;
use crate::sides::Side;
use crate::source::{self, Piece, Unreadable};

/// What one unit left behind, besides its records.
#[derive(Clone, Debug, Default)]
pub(super) struct UnitFacts {
    /// Rows in the unit's numbering, before `filter`.
    pub(super) rows: u64,
    /// Rows after `filter` that were digested.
    pub(super) read: u64,
    /// Bytes that the compared columns took in memory.
    pub(super) bytes: u64,
    /// The sum of all rows' digests.
    pub(super) sum: Sum,
    /// Rows that were candidates at once and are gathered.
    pub(super) caught: Marks,
    /// Rows that were candidates at once and are not yet gathered.
    pub(super) alone: Vec<u32>,
    /// Of those that have no whole key, the ones that `--where` leaves out.
    pub(super) out_of_scope: u64,
    /// What could not be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// The greatest of `captured_at`'s column.
    pub(super) captured: Option<i64>,
    /// What its markers say.
    pub(super) markers: MarkerFacts,
    /// It was not read: an earlier run left all of this.
    pub(super) taken_over: bool,
}

/// Where a scan puts what it sees.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a, 's> {
    /// This side's records.
    pub(super) records: &'a Records<'s>,
    /// The other side's records, where they were read before.
    pub(super) index: Option<&'a Index>,
    /// This side's candidates.
    pub(super) gathered: &'a Gathered<'s>,
    /// What is kept for the next run.
    pub(super) recall: Option<&'a Recall>,
}

/// What a scan of one unit works with.
pub(super) struct Working<'a, 's> {
    collector: Collector<'a, 's>,
    pending: Pending,
    questions: Questions,
    buffers: Buffers,
    facts: UnitFacts,
    /// For the next run.
    seen: Option<Seen>,
    /// Its rows are joined from what is kept of them, as far as they have to be.
    later: bool,
}

/// Where rows that pair go: each asks the other side's index where that holds its partition, or leaves a record.
struct Way<'w, 'a, 's> {
    unit: usize,
    /// Bits of the partition number.
    bits: u32,
    index: Option<&'w Index>,
    collector: &'w mut Collector<'a, 's>,
    questions: &'w mut Questions,
    /// What kept records from being spilled.
    spilled: io::Result<()>,
}

impl Way<'_, '_, '_> {
    #[inline]
    fn take(&mut self, row: usize, number: u64, in_scope: bool, digest: &RowDigest) {
        let partition = partition_of(digest.key_tag, self.bits);
        let position = Position::new(self.unit, number, in_scope);
        let record = Record::new(digest.key_tag, digest.row_tag, self.bits, position);
        if self.index.is_some_and(|index| index.holds(partition)) {
            self.questions.ask(partition, row, record);
        } else if self.spilled.is_ok() {
            self.spilled = self.collector.pair(partition, record);
        }
    }
}

impl Reader<'_> {
    /// Scans one unit, for the comparison beside this one too where there is one.
    pub(super) fn scan(&self, unit: usize, scan: Scan<'_, '_>) -> Result<UnitFacts, Halt> {
        let pairing = self.batch.beside.filter(|_| self.side == Side::Authority);
        let mut beside = pairing.and_then(|pairing| pairing.beside(unit));
        let mut working = self.begin(unit, scan);
        self.each_piece(unit, &self.input().columns, |piece| {
            beside.iter_mut().try_for_each(|beside| beside.take(&piece))?;
            self.scan_piece(unit, &piece, scan, &mut working)
        })?;
        beside.map_or(Ok(()), Beside::end)?;
        self.end(unit, scan, working)
    }

    /// What a scan of one unit begins with.
    pub(super) fn begin<'w, 's>(&self, unit: usize, scan: Scan<'w, 's>) -> Working<'w, 's> {
        let expected = self.input().opened.units[unit].rows().unwrap_or(0);
        // What is noted of a unit lies in memory until the unit is read.
        let noted = expected.saturating_mul(Seen::ROW_BYTES).saturating_mul(self.batch.settings.threads as u64);
        let small = noted <= self.batch.budget / 4;
        let recall = scan.recall.filter(|_| small);
        Working {
            seen: recall.map(|_| Seen::new(scan.records.bits(), expected)),
            later: recall.is_some_and(Recall::active),
            collector: scan.records.collector(),
            pending: Pending::of(*self, unit),
            questions: Questions::default(),
            buffers: Buffers::default(),
            facts: UnitFacts::default(),
        }
    }

    /// Takes a step of the reading of one unit.
    pub(super) fn scan_piece(
        &self,
        unit: usize,
        piece: &Piece,
        scan: Scan<'_, '_>,
        working: &mut Working<'_, '_>,
    ) -> Result<(), Halt> {
        match piece {
            Piece::Unreadable(unreadable) => {
                working.facts.unreadable.push(unreadable.clone());
                Ok(())
            }
            Piece::Rows(rows) => self.scan_rows(unit, rows, scan, working),
        }
    }

    /// The unit was read to its end.
    pub(super) fn end(&self, unit: usize, scan: Scan<'_, '_>, mut working: Working<'_, '_>) -> Result<UnitFacts, Halt> {
        for share in working.seen.iter().flat_map(Seen::shares) {
            working.collector.add_sum(share.partition, share.sum);
        }
        working.collector.finish().map_err(Halt::Spill)?;
        if let (Some(recall), Some(seen)) = (scan.recall, working.seen) {
            recall.keep(self.side, unit, seen, &working.facts);
        }
        scan.gathered.keep(&mut working.pending)?;
        Ok(working.facts)
    }

    /// Whether a unit has no more rows than a position can tell.
    fn countable(&self, unit: usize, rows: u64) -> Result<(), Halt> {
        if rows <= Position::ROWS {
            return Ok(());
        }
        let problem = format!("more than {} rows in one part of a source are too many", Position::ROWS);
        let hint = Some("write the source in smaller parts".to_owned());
        let place = self.input().opened.units[unit].place();
        Err(self.failed(source::Error { place, problem, hint }))
    }

    fn scan_rows(
        &self,
        unit: usize,
        rows: &RecordBatch,
        scan: Scan<'_, '_>,
        working: &mut Working<'_, '_>,
    ) -> Result<(), Halt> {
        let Working { collector, pending, questions, buffers, facts, seen, later } = working;
        let (first, bits) = (facts.rows, collector.bits());
        facts.rows += rows.num_rows() as u64;
        self.countable(unit, facts.rows)?;
        let kept = self.kept(rows)?;
        self.note_captured(rows, kept.as_ref(), facts)?;
        let (compared, numbers) = self.taken_rows(rows, kept.as_ref())?;
        facts.read += compared.num_rows() as u64;
        facts.bytes += compared.get_array_memory_size() as u64;
        self.note_markers(&compared, &mut facts.markers);
        let canonical = normalise(&self.inputs.binding, self.side, &compared);
        self.inputs.gauges.see(&self.inputs.binding, self.side, rows, kept.as_ref(), &canonical)?;
        let scope = self.scope(&compared, &canonical)?;
        let keyed = self.all_keyed(&canonical);
        let number = |row: usize| first + numbers.as_ref().map_or(row as u64, |numbers| u64::from(numbers[row]));
        let (mut caught, mut read) = (Vec::<u32>::new(), Vec::new());
        let mut way = Way { unit, bits, index: scan.index, collector, questions, spilled: Ok(()) };
        let plain = keyed && scope.is_none() && scan.recall.is_none() && self.deleted(&compared).is_none();
        if plain {
            // The same as below for rows that all pair, with nothing to be asked of each: most rows of most comparisons.
            self.digester().digest(&canonical, buffers, |row, digest| {
                way.collector.sum(&digest);
                facts.sum += digest.row;
                way.take(row, number(row), true, &digest);
            });
        } else {
            self.digest(&compared, &canonical, buffers, |row, digest| {
                let in_scope = scope.as_ref().is_none_or(|scope| scope.value(row));
                if in_scope && seen.is_none() {
                    way.collector.sum(&digest);
                }
                if keyed || standing(&self.inputs.binding, self.rules(), &canonical, row) == Standing::Keyed {
                    facts.sum += digest.row;
                    seen.iter_mut().for_each(|seen| seen.pair(&digest, number(row)));
                    if *later {
                        return;
                    }
                    if scan.recall.is_some() {
                        read.push(digest.key_tag);
                    }
                    way.take(row, number(row), in_scope, &digest);
                } else if in_scope {
                    facts.sum += digest.row;
                    seen.iter_mut().for_each(|seen| seen.alone(&digest, number(row)));
                    caught.push(u32::try_from(row).expect("a batch has fewer than 2³² rows"));
                } else {
                    facts.out_of_scope += 1;
                }
            });
        }
        way.spilled.map_err(Halt::Spill)?;
        if let Some(index) = scan.index {
            index.answer(questions, |row| caught.push(row));
            caught.sort_unstable();
        }
        let numbers: Vec<u64> = caught.iter().map(|row| number(*row as usize)).collect();
        numbers.iter().for_each(|number| facts.caught.mark(*number));
        if let Some(recall) = scan.recall {
            recall.read(&read);
            recall.keep_some((self.side, unit), &numbers, &compared, &caught);
        }
        scan.gathered.catch(*self, &compared, caught, pending)
    }

    /// Notes the greatest instant of `captured_at`'s column.
    fn note_captured(
        &self,
        rows: &RecordBatch,
        kept: Option<&BooleanArray>,
        facts: &mut UnitFacts,
    ) -> Result<(), Halt> {
        if let Some(column) = self.input().captured_column {
            let column = rows.column(column);
            facts.captured = facts.captured.max(self.greatest_instant(column.as_ref(), kept)?);
        }
        Ok(())
    }

    /// What `filter` keeps of a batch, as `taken` makes it, and where these rows lay in it where they are not all.
    pub(super) fn taken_rows(
        &self,
        rows: &RecordBatch,
        kept: Option<&BooleanArray>,
    ) -> Result<(RecordBatch, Option<Vec<u32>>), Halt> {
        let taken = self.taken(rows)?;
        let Some(mask) = kept else { return Ok((taken, None)) };
        let numbers = (0_u32..).zip(mask.iter()).filter(|(_, kept)| *kept == Some(true)).map(|(row, _)| row).collect();
        let taken = filter_record_batch(&taken, mask).expect("the mask is as long as the batch");
        Ok((taken, Some(numbers)))
    }

    /// Reads a unit once more for rows that were let go and are candidates after all: those whose key tags `wanted` knows.
    pub(super) fn find_again(
        &self,
        again: Again,
        gathered: &Gathered<'_>,
        held: impl Fn(u64) -> bool,
        wanted: impl Fn(u64) -> bool,
        found: impl Fn(u64),
    ) -> Result<(), Halt> {
        let (mut pending, mut buffers) = (Pending::of(*self, again.unit), Buffers::default());
        let mut first = 0;
        self.each_piece_again(again, &self.input().columns, |rows| {
            let kept = self.kept(&rows)?;
            let compared = self.taken(&rows)?;
            let canonical = normalise(&self.inputs.binding, self.side, &compared);
            let keyed = self.all_keyed(&canonical);
            let mut caught: Vec<u32> = Vec::new();
            self.digest(&compared, &canonical, &mut buffers, |row, digest| {
                if !wanted(digest.key_tag) || held(first + row as u64) {
                    return;
                }
                if kept.as_ref().is_some_and(|kept| kept.is_null(row) || !kept.value(row)) {
                    return;
                }
                let standing = || standing(&self.inputs.binding, self.rules(), &canonical, row);
                // What stands alone was caught, or left out by `--where`, when it was first seen.
                if keyed || standing() == Standing::Keyed {
                    found(first + row as u64);
                    caught.push(u32::try_from(row).expect("a batch has fewer than 2³² rows"));
                }
            });
            first += rows.num_rows() as u64;
            gathered.catch(*self, &compared, caught, &mut pending)
        })?;
        gathered.keep(&mut pending)
    }

    /// The greatest instant of a column, in nanoseconds since 1970 UTC.
    pub(super) fn greatest_instant(
        &self,
        column: &dyn Array,
        kept: Option<&BooleanArray>,
    ) -> Result<Option<i64>, Halt> {
        greatest_instant(self.batch.contract.sources.get(self.side), column, kept)
    }
}

/// The greatest instant of a source's column, in nanoseconds since 1970 UTC.
pub(super) fn greatest_instant(
    source: &Source,
    column: &dyn Array,
    kept: Option<&BooleanArray>,
) -> Result<Option<i64>, Halt> {
    let zone = source.timezone.as_ref().and_then(|zone| zone.iana_name()).unwrap_or("UTC");
    let said = |error: arrow::error::ArrowError| {
        Halt::Contract(format!("source `{}`, captured_at: {error}; expected instants", source.name))
    };
    let column = match kept {
        Some(mask) => arrow::compute::filter(column, mask).map_err(said)?,
        None => arrow::array::make_array(column.to_data()),
    };
    if !matches!(column.data_type(), DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 | DataType::Null)
        && !matches!(column.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    {
        let seen = column.data_type();
        return Err(Halt::Contract(format!(
            "source `{}`, captured_at: its column is {seen}; expected instants",
            source.name
        )));
    }
    let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some(zone.into()));
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let instants = arrow::compute::cast_with_options(&column, &zoned, &options).map_err(said)?;
    let instants = cast(&instants, &DataType::Int64).map_err(said)?;
    Ok(max::<Int64Type>(instants.as_primitive()))
}

/// The rows of `offsets` of a batch.
pub(super) fn take_rows(batch: &RecordBatch, offsets: Vec<u32>) -> RecordBatch {
    compact(&chosen_rows(batch, offsets))
}

/// The rows of `offsets` of a batch, for a short while: views keep all of what they were taken from alive.
pub(super) fn chosen_rows(batch: &RecordBatch, offsets: Vec<u32>) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(offsets)).expect("offsets are within the batch")
}

/// The same rows with no more than their bytes: views would keep all of what they were taken from alive.
pub(super) fn compact(taken: &RecordBatch) -> RecordBatch {
    let compact = |column: &ArrayRef| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => Arc::clone(column),
        }
    };
    let columns = taken.columns().iter().map(compact).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(taken.num_rows()));
    RecordBatch::try_new_with_options(taken.schema(), columns, &options).expect("compacting changes no type")
}
