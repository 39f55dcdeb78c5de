//! Rows of both sides that have the same key, side by side: what column pairs and options are judged by. At most so many
//! rows and bytes; which rows depends on the keys alone.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::Schema;
use rustc_hash::FxHashMap;

use super::keys::{Counted, keys_of};
use super::table::{Table, compact};
use crate::cli::failure::Failure;
use crate::sides::{Side, Sides};
use crate::source::Piece;

/// Rows that are laid side by side.
pub(super) const ROWS_MAX: usize = 3000;

/// As many rows on each side, each with its partner at the same place.
pub(super) struct Aligned {
    pub(super) rows: usize,
    pub(super) batches: Sides<RecordBatch>,
}

/// Finds the rows of the counted key's pairs.
pub(super) fn align(tables: &Sides<Table>, key: &Counted, bytes: usize) -> Result<Aligned, Failure> {
    let numbers: FxHashMap<u128, u32> =
        key.pairs.iter().enumerate().map(|(number, key)| (*key, u32::try_from(number).unwrap_or(u32::MAX))).collect();
    let mut limit = key.pairs.len();
    let mut found = Vec::new();
    for side in Side::BOTH {
        let gathered = gather(tables.get(side), side, key, &numbers, limit, bytes / 2)?;
        limit = gathered.limit;
        found.push(gathered);
    }
    let mut sides = found.into_iter();
    let mut next = || sides.next().expect("one for each side").ordered(limit);
    let batches = Sides { authority: next()?, projection: next()? };
    let rows = batches.authority.num_rows();
    if rows != batches.projection.num_rows() {
        return Err(Failure::new("a table changed while it was read: its keys are others than before"));
    }
    Ok(Aligned { rows, batches })
}

/// Rows with the numbers of their keys; those from `limit` on are let go.
struct Gathered {
    schema: Arc<Schema>,
    parts: Vec<(RecordBatch, Vec<u32>)>,
    bytes: usize,
    limit: usize,
}

fn gather(
    table: &Table,
    side: Side,
    key: &Counted,
    numbers: &FxHashMap<u128, u32>,
    limit: usize,
    bytes_max: usize,
) -> Result<Gathered, Failure> {
    let reader = table.reader();
    let schema = Arc::new(table.opened.schema.project(&reader.read).map_err(|error| Failure::new(error.to_string()))?);
    let mut gathered = Gathered { schema, parts: Vec::new(), bytes: 0, limit };
    let columns: Vec<usize> = key.candidate.columns.iter().map(|pair| *pair.get(side)).collect();
    for unit in &table.opened.units {
        for piece in table.told(unit.as_ref(), &reader.read)? {
            let Piece::Rows(batch) = piece? else { continue };
            let keys = keys_of(table, reader, &columns, &batch);
            let (mut rows, mut of_rows) = (Vec::new(), Vec::new());
            for (row, key) in keys.iter().enumerate() {
                let number = key.and_then(|key| numbers.get(&key)).copied();
                if let Some(number) = number.filter(|number| (*number as usize) < gathered.limit) {
                    rows.push(u32::try_from(row).unwrap_or(u32::MAX));
                    of_rows.push(number);
                }
            }
            gathered.add(&batch, rows, of_rows, bytes_max)?;
        }
    }
    Ok(gathered)
}

impl Gathered {
    fn add(&mut self, batch: &RecordBatch, rows: Vec<u32>, numbers: Vec<u32>, bytes_max: usize) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let part = compact(&picked(batch, rows)?);
        self.bytes += part.get_array_memory_size();
        self.parts.push((part, numbers));
        while self.bytes > bytes_max && self.limit > 1 {
            self.limit /= 2;
            self.shrink(self.limit)?;
        }
        Ok(())
    }

    fn shrink(&mut self, limit: usize) -> Result<(), Failure> {
        for (part, numbers) in &mut self.parts {
            let kept: Vec<u32> = (0..)
                .zip(numbers.iter())
                .filter(|(_, number)| (**number as usize) < limit)
                .map(|(row, _)| row)
                .collect();
            if kept.len() < numbers.len() {
                *numbers = kept.iter().map(|row| numbers[*row as usize]).collect();
                *part = compact(&picked(part, kept)?);
            }
        }
        self.parts.retain(|(part, _)| part.num_rows() > 0);
        self.bytes = self.parts.iter().map(|(part, _)| part.get_array_memory_size()).sum();
        Ok(())
    }

    /// One batch in the order of the keys.
    fn ordered(mut self, limit: usize) -> Result<RecordBatch, Failure> {
        self.shrink(limit)?;
        let numbers: Vec<u32> = self.parts.iter().flat_map(|(_, numbers)| numbers.iter().copied()).collect();
        let whole = concat_batches(&self.schema, self.parts.iter().map(|(part, _)| part))
            .map_err(|error| Failure::new(error.to_string()))?;
        let mut order: Vec<u32> = (0..u32::try_from(numbers.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|row| numbers[*row as usize]);
        picked(&whole, order)
    }
}

fn picked(batch: &RecordBatch, rows: Vec<u32>) -> Result<RecordBatch, Failure> {
    take_record_batch(batch, &UInt32Array::from(rows)).map_err(|error| Failure::new(error.to_string()))
}
