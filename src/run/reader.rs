//! Reads the units of one side, in either reading: batch by batch, once more, or single rows, under `filter` and `--where`. It decides of
//! no row what becomes of it, and keeps none.

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::datatypes::DataType;

use super::input::{Input, Inputs};
use super::{Batch, Halt};
use crate::diff::resolve::ResolveRules;
use crate::digest::Digester;
use crate::normalise::{CanonicalBatch, attribute_view, normalise};
use crate::sides::Side;
use crate::source::{self, Piece};

/// A unit that is read once more.
#[derive(Clone, Copy)]
pub(super) struct Again {
    pub(super) unit: usize,
    /// How many rows it gave first, where that is known of all of it.
    pub(super) rows: Option<u64>,
}

/// What reading needs of a side, in either reading.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) inputs: &'a Inputs,
    pub(super) side: Side,
}

impl<'a> Reader<'a> {
    pub(super) fn input(&self) -> &'a Input {
        self.inputs.sides.get(self.side)
    }

    pub(super) fn digester(&self) -> Digester {
        let tag_bits = self.batch.settings.tuning.tag_bits;
        Digester { key_count: self.inputs.binding.key_count, side: self.side, tag_bits }
    }

    pub(super) fn rules(&self) -> ResolveRules {
        ResolveRules { null_keys_match: self.batch.contract.null_keys_match }
    }

    /// Whether `--where` holds for each row; None where it is not given.
    pub(super) fn scope(&self, rows: &RecordBatch, canonical: &CanonicalBatch) -> Result<Option<BooleanArray>, Halt> {
        let (Some(predicate), Some(as_it_stands)) = (&self.inputs.row_filter, &self.inputs.as_it_stands) else {
            return Ok(None);
        };
        let said = |said: String| Halt::Contract(format!("--where: {said}"));
        let compared = predicate.mask(&attribute_view(&self.inputs.binding, canonical)).map_err(said)?;
        let raw = normalise(as_it_stands, self.side, rows);
        let standing = predicate.mask(&attribute_view(as_it_stands, &raw)).map_err(said)?;
        Ok(Some(arrow::compute::or(&compared, &standing).expect("both masks are of the same rows")))
    }

    /// Which rows of a batch `filter` keeps; None: all.
    pub(super) fn kept(&self, rows: &RecordBatch) -> Result<Option<BooleanArray>, Halt> {
        let Some(predicate) = &self.input().filter else { return Ok(None) };
        let source = &self.batch.contract.sources.get(self.side).name;
        predicate.mask(rows).map(Some).map_err(|said| Halt::Contract(format!("source `{source}`, filter: {said}")))
    }

    pub(super) fn failed(&self, error: source::Error) -> Halt {
        Halt::Source { side: self.side, error }
    }

    /// Whether a signal asks to stop.
    pub(super) fn go_on(&self) -> Result<(), Halt> {
        self.batch.stop.requested().map_or(Ok(()), |signal| Err(Halt::Interrupted(signal)))
    }

    /// Reads a unit, batch by batch, telling the progress.
    pub(super) fn each_piece(
        &self,
        unit: usize,
        columns: &[usize],
        mut each: impl FnMut(Piece) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let unit = &self.input().opened.units[unit];
        let (total_rows, total_bytes) = (unit.rows().unwrap_or(0).max(1), unit.bytes());
        let mut told = 0;
        for piece in unit.read(columns).map_err(|error| self.failed(error))? {
            self.go_on()?;
            let piece = piece.map_err(|error| self.failed(error))?;
            let rows = match &piece {
                Piece::Rows(rows) => rows.num_rows() as u64,
                Piece::Unreadable(unreadable) => unreadable.rows,
            };
            each(piece)?;
            let share = if unit.rows().is_some() { total_bytes * rows / total_rows } else { 0 };
            told += share;
            self.batch.progress.advance(rows, share);
        }
        self.batch.progress.advance(0, total_bytes.saturating_sub(told));
        Ok(())
    }

    /// Reads a unit once more. Rows are known by their numbers, so it must give as many as it did first.
    pub(super) fn each_piece_again(
        &self,
        again: Again,
        columns: &[usize],
        mut each: impl FnMut(RecordBatch) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut read = 0;
        self.each_piece(again.unit, columns, |piece| {
            let Piece::Rows(rows) = piece else { return Ok(()) };
            read += rows.num_rows() as u64;
            if again.rows.is_some_and(|first| read > first) {
                return Err(self.other_rows(again, read));
            }
            each(rows)
        })?;
        if again.rows.is_some_and(|first| read < first) { Err(self.other_rows(again, read)) } else { Ok(()) }
    }

    fn other_rows(&self, again: Again, read: u64) -> Halt {
        let first = again.rows.unwrap_or_default();
        let more = if read > first { "more rows" } else { "fewer rows" };
        let problem = format!("gave {more} when it was read once more than the {first} that it gave first");
        let hint = Some("run again when nothing writes to it, or read a copy".to_owned());
        let place = self.input().opened.units[again.unit].place();
        self.failed(source::Error { place, problem, hint })
    }

    /// Fetches single rows, with their numbers, where the source can skip the others; tells whether it could.
    pub(super) fn fetch(
        &self,
        unit: usize,
        rows: &[u64],
        mut each: impl FnMut(&[u64], RecordBatch) -> Result<(), Halt>,
    ) -> Result<bool, Halt> {
        let read = &self.input().opened.units[unit];
        let Some(pieces) = read.read_rows(&self.input().columns, rows) else { return Ok(false) };
        let mut rest = rows;
        let mut surplus = 0;
        for piece in pieces.map_err(|error| self.failed(error))? {
            self.go_on()?;
            let Piece::Rows(batch) = piece.map_err(|error| self.failed(error))? else { continue };
            let compared = self.taken(&batch)?;
            let Some((numbers, after)) = rest.split_at_checked(batch.num_rows()) else {
                surplus += batch.num_rows() - rest.len();
                break;
            };
            each(numbers, compared)?;
            rest = after;
        }
        if !rest.is_empty() || surplus > 0 {
            let found = rows.len() - rest.len() + surplus;
            let problem = format!("{found} rows were there where {} were read before", rows.len());
            let hint = Some("run again when nothing writes to it, or read a copy".to_owned());
            return Err(self.failed(source::Error { place: read.place(), problem, hint }));
        }
        self.batch.progress.advance(rows.len() as u64, read.bytes());
        Ok(true)
    }

    /// Whether no row of the batch can lack a whole key, so that none need be asked.
    pub(super) fn all_keyed(&self, canonical: &CanonicalBatch) -> bool {
        let count = self.inputs.binding.key_count;
        let columns = if count == 0 { &canonical.columns[..] } else { &canonical.columns[..count] };
        let nulls_matter = count > 0 && !self.rules().null_keys_match;
        columns.iter().all(|column| {
            let whole = column.values.null_count() == 0 && column.values.data_type() != &DataType::Null;
            column.faults.is_empty() && (whole || !nulls_matter)
        })
    }
}
