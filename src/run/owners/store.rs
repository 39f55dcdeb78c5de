//! The rows of a source that is joined, by key: in memory while the budget lasts, else partition by partition on disk.
//!
//! A key is the first half of the BLAKE3 of its canonical bytes, 128 bits. Rows of one key are folded into one row with their
//! number as soon as they meet, so no key, however often it occurs, makes a partition large.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, RecordBatch, UInt64Array, new_null_array};
use arrow::compute::{concat_batches, interleave};
use arrow::datatypes::{DataType, Decimal128Type, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use rayon::prelude::*;

use super::super::Halt;
use super::super::scan::take_rows;
use crate::diff::{Budget, Extent, Spill, partition_of};
use crate::spill::SpillFile;

/// A key's digest.
pub(super) type Key = i128;

/// The columns before the values: key, and how many rows have it.
const LEADING: usize = 2;

/// What a partition takes besides its values: slices of batches have their own headers.
const SLICE_BYTES: u64 = 4 << 10;

/// Rows on their way into a store.
pub(super) struct Filling {
    schema: SchemaRef,
    bits: u32,
    partitions: Vec<Mutex<Vec<Part>>>,
    budget: Budget,
    spill: SpillFile,
}

/// Some rows of one partition.
enum Part {
    Held(RecordBatch, u64),
    Spilled(Extent),
}

impl Filling {
    /// Nothing yet; `bytes` is what the rows take, about, and `values` are their columns.
    pub(super) fn new(values: &[Field], bytes: u64, limit: u64, spill: SpillFile) -> Self {
        let leading =
            [Field::new("key", DataType::Decimal128(38, 0), false), Field::new("rows", DataType::UInt64, false)];
        let schema = Schema::new(leading.into_iter().chain(values.iter().cloned()).collect::<Vec<_>>());
        let small = (limit / 32).max(1);
        // So many that one is a small part of the budget, and none is small by itself.
        let bits = (4 * bytes / small).min(bytes >> 12).clamp(1, 1 << 10).next_power_of_two().ilog2();
        let partitions = (0..1_usize << bits).map(|_| Mutex::default()).collect();
        Self { schema: schema.into(), bits, partitions, budget: Budget::new(limit), spill }
    }

    /// Adds rows: the key of each, and their values.
    pub(super) fn add(&self, keys: &[Key], values: Vec<ArrayRef>) -> Result<(), Halt> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut of_each: Vec<Vec<u32>> = vec![Vec::new(); self.partitions.len()];
        for (row, key) in (0_u32..).zip(keys) {
            of_each[self.partition(*key)].push(row);
        }
        let count = UInt64Array::from(vec![1; keys.len()]);
        let mut columns: Vec<ArrayRef> = vec![keys_array(keys.to_vec()), std::sync::Arc::new(count)];
        columns.extend(values);
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(arrow)?;
        for (partition, rows) in of_each.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let rows = if rows.len() == batch.num_rows() { batch.clone() } else { take_rows(&batch, rows) };
            self.keep(partition, rows)?;
        }
        Ok(())
    }

    fn partition(&self, key: Key) -> usize {
        partition_of(high_half(key), self.bits)
    }

    fn keep(&self, partition: usize, rows: RecordBatch) -> Result<(), Halt> {
        let bytes = rows.get_array_memory_size() as u64 + SLICE_BYTES;
        let part = if self.budget.take(bytes) {
            Part::Held(rows, bytes)
        } else {
            let mut written = Vec::new();
            write_batch(&rows, &mut written).map_err(Halt::Spill)?;
            Part::Spilled(self.spill.write(&written).map_err(Halt::Spill)?)
        };
        self.partitions[partition].lock().unwrap_or_else(PoisonError::into_inner).push(part);
        Ok(())
    }

    /// All rows, when all are there.
    pub(super) fn filled(self) -> Result<Store, Halt> {
        let Self { schema, bits, partitions, budget, spill } = self;
        let (budget_of, spill_of) = (&budget, &spill);
        let one = |parts: Mutex<Vec<Part>>| {
            let parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
            let mut folded = RecordBatch::new_empty(schema.clone());
            let (mut pending, mut bytes) = (Vec::new(), 0);
            for part in parts {
                let rows = match part {
                    Part::Held(rows, bytes) => {
                        budget_of.give(bytes);
                        rows
                    }
                    Part::Spilled(extent) => read_batch(spill_of, extent).map_err(Halt::Spill)?,
                };
                bytes += rows.get_array_memory_size() as u64;
                pending.push(rows);
                if bytes > budget_of.limit() / 64 {
                    pending.push(folded);
                    folded = fold(&schema, &std::mem::take(&mut pending))?;
                    bytes = 0;
                }
            }
            pending.push(folded);
            Partition::new(fold(&schema, &pending)?, budget_of, spill_of)
        };
        let partitions = partitions.into_par_iter().map(one).collect::<Result<Vec<_>, Halt>>()?;
        Ok(Store { schema, bits, partitions, held: budget.held(), limit: budget.limit(), spill })
    }
}

fn high_half(key: Key) -> u64 {
    (key.cast_unsigned() >> 64) as u64
}

fn keys_array(keys: Vec<Key>) -> ArrayRef {
    std::sync::Arc::new(Decimal128Array::from(keys).with_data_type(DataType::Decimal128(38, 0)))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn arrow(error: ArrowError) -> Halt {
    Halt::Contract(format!("the rows of another source cannot be joined: {error}"))
}

/// Some rows sorted by key, those of one key folded into the first.
fn fold(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, Halt> {
    let all = concat_batches(schema, batches).map_err(arrow)?;
    let (keys, counts) = (keys_of(&all), all.column(1).as_primitive::<UInt64Type>().values());
    let mut order: Vec<u32> = (0..u32::try_from(keys.len()).map_err(|_| too_many())?).collect();
    order.sort_unstable_by_key(|&row| (keys[row as usize], row));
    let (mut firsts, mut totals): (Vec<u32>, Vec<u64>) = (Vec::new(), Vec::new());
    for row in order {
        match firsts.last() {
            Some(&last) if keys[last as usize] == keys[row as usize] => {
                *totals.last_mut().expect("as many as firsts") += counts[row as usize];
            }
            _ => {
                firsts.push(row);
                totals.push(counts[row as usize]);
            }
        }
    }
    let taken = take_rows(&all, firsts);
    let mut columns = taken.columns().to_vec();
    columns[1] = std::sync::Arc::new(UInt64Array::from(totals));
    RecordBatch::try_new(schema.clone(), columns).map_err(arrow)
}

fn too_many() -> Halt {
    Halt::Contract("one part of another source's keys has more than 2³² rows".to_owned())
}

fn keys_of(batch: &RecordBatch) -> &[Key] {
    batch.column(0).as_primitive::<Decimal128Type>().values()
}

/// Rows by key.
pub(super) struct Store {
    schema: SchemaRef,
    bits: u32,
    partitions: Vec<Partition>,
    held: u64,
    limit: u64,
    spill: SpillFile,
}

/// Keys of one part of the digests, sorted.
struct Partition {
    place: Place,
    /// A bit for each key that was asked for.
    asked: Vec<AtomicU64>,
    /// Rows of keys that have several.
    duplicate: u64,
}

enum Place {
    Held(RecordBatch),
    Spilled(Extent),
}

impl Partition {
    fn new(rows: RecordBatch, budget: &Budget, spill: &dyn Spill) -> Result<Self, Halt> {
        let counts = rows.column(1).as_primitive::<UInt64Type>().values();
        let duplicate = counts.iter().filter(|count| **count > 1).sum();
        let asked = (0..rows.num_rows().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let bytes = rows.get_array_memory_size() as u64;
        let place = if budget.take(bytes) {
            Place::Held(rows)
        } else {
            let mut written = Vec::new();
            write_batch(&rows, &mut written).map_err(Halt::Spill)?;
            Place::Spilled(spill.write(&written).map_err(Halt::Spill)?)
        };
        Ok(Self { place, asked, duplicate })
    }

    fn ask(&self, position: usize) {
        self.asked[position / 64].fetch_or(1 << (position % 64), Ordering::Relaxed);
    }
}

/// What a key found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// One row.
    Row,
    /// None.
    Nothing,
    /// Several.
    Several,
}

impl Store {
    /// Bytes that it holds in memory.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// How many bytes of rows should ask together: every asking reads what is on disk once.
    pub(super) fn at_once(&self) -> u64 {
        let spilled = self.partitions.iter().any(|partition| matches!(partition.place, Place::Spilled(_)));
        if spilled { self.limit / 16 } else { 0 }
    }

    /// What each key finds, and the values: NULL where it is not one row. A key that `counts` says is noted as asked for.
    pub(super) fn ask(
        &self,
        keys: &[Option<Key>],
        counts: &dyn Fn(usize) -> bool,
    ) -> Result<(Vec<Found>, Vec<ArrayRef>), Halt> {
        let mut found = vec![Found::Nothing; keys.len()];
        let mut from: Vec<(usize, usize)> = vec![(0, 0); keys.len()];
        let mut slots = vec![nothing(&self.schema)?];
        let mut of_each: Vec<(usize, usize)> =
            keys.iter().enumerate().filter_map(|(row, key)| Some((self.partition((*key)?), row))).collect();
        of_each.sort_unstable();
        for some in of_each.chunk_by(|one, other| one.0 == other.0) {
            let partition = &self.partitions[some[0].0];
            let spilled;
            let rows = match &partition.place {
                Place::Held(rows) => rows,
                Place::Spilled(extent) => {
                    spilled = read_batch(&self.spill, *extent).map_err(Halt::Spill)?;
                    &spilled
                }
            };
            let (sorted, totals) = (keys_of(rows), rows.column(1).as_primitive::<UInt64Type>().values());
            let mut taken: Vec<u32> = Vec::new();
            for &(_, row) in some {
                let Some(Ok(position)) = keys[row].map(|key| sorted.binary_search(&key)) else { continue };
                if totals[position] > 1 {
                    found[row] = Found::Several;
                    continue;
                }
                if counts(row) {
                    partition.ask(position);
                }
                found[row] = Found::Row;
                match partition.place {
                    Place::Held(_) => from[row] = (slots.len(), position),
                    Place::Spilled(_) => {
                        from[row] = (slots.len(), taken.len());
                        taken.push(u32::try_from(position).map_err(|_| too_many())?);
                    }
                }
            }
            slots.push(match partition.place {
                Place::Held(_) => rows.clone(),
                Place::Spilled(_) => take_rows(rows, taken),
            });
        }
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> = slots.iter().map(|slot| slot.column(index).as_ref()).collect();
            interleave(&arrays, &from).map_err(arrow)
        };
        let values = (LEADING..self.schema.fields().len()).map(column).collect::<Result<_, Halt>>()?;
        Ok((found, values))
    }

    fn partition(&self, key: Key) -> usize {
        partition_of(high_half(key), self.bits)
    }

    /// Rows whose key was asked for, rows whose key was not, rows of keys that occur more than once.
    pub(super) fn accounts(&self) -> Result<(u64, u64, u64), Halt> {
        let (mut asked, mut unasked, mut duplicate) = (0, 0, 0);
        for partition in &self.partitions {
            duplicate += partition.duplicate;
            let rows = match &partition.place {
                Place::Held(rows) => rows.clone(),
                Place::Spilled(extent) => read_batch(&self.spill, *extent).map_err(Halt::Spill)?,
            };
            let totals = rows.column(1).as_primitive::<UInt64Type>().values();
            for (position, _) in totals.iter().enumerate().filter(|(_, total)| **total == 1) {
                let bit = partition.asked[position / 64].load(Ordering::Relaxed) >> (position % 64) & 1;
                (asked, unasked) = (asked + bit, unasked + (1 - bit));
            }
        }
        Ok((asked, unasked, duplicate))
    }
}

fn write_batch(batch: &RecordBatch, into: &mut Vec<u8>) -> io::Result<()> {
    let mut writer = StreamWriter::try_new(into, &batch.schema()).map_err(io::Error::other)?;
    writer.write(batch).and_then(|()| writer.finish()).map_err(io::Error::other)
}

fn read_batch(spill: &dyn Spill, extent: Extent) -> io::Result<RecordBatch> {
    let bytes = spill.read(extent)?;
    let mut reader = StreamReader::try_new(bytes.as_slice(), None).map_err(io::Error::other)?;
    reader.next().ok_or_else(|| io::Error::other("a spilled batch is empty"))?.map_err(io::Error::other)
}

/// One row of nothing, which rows without a partner are taken from.
fn nothing(schema: &SchemaRef) -> Result<RecordBatch, Halt> {
    let column = |(index, field): (usize, &std::sync::Arc<Field>)| -> ArrayRef {
        match index {
            0 => keys_array(vec![0]),
            1 => std::sync::Arc::new(UInt64Array::from(vec![0])),
            _ => new_null_array(field.data_type(), 1),
        }
    };
    RecordBatch::try_new(schema.clone(), schema.fields().iter().enumerate().map(column).collect()).map_err(arrow)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    use super::*;

    /// Every key has its own upper bits, so that all partitions are walked.
    fn key(number: i64) -> Key {
        i128::from_be_bytes(blake3::hash(&number.to_le_bytes()).as_bytes()[..16].try_into().unwrap())
    }

    fn store(limit: u64, folder: &std::path::Path) -> Store {
        let fields = [Field::new("value", DataType::Int64, true)];
        let filling = Filling::new(&fields, 100_000, limit, SpillFile::new(folder));
        for start in (0..10_000).step_by(1000) {
            let keys: Vec<Key> = (start..start + 1000).map(key).collect();
            filling
                .add(&keys, vec![Arc::new((start..start + 1000).map(|number| number * 10).collect::<Int64Array>())])
                .unwrap();
        }
        let twice = vec![key(7); 500];
        filling.add(&twice, vec![Arc::new(Int64Array::from(vec![1; 500]))]).unwrap();
        filling.filled().unwrap()
    }

    #[test]
    fn what_is_held_and_what_is_spilled_answer_alike() {
        let folder = tempfile::tempdir().unwrap();
        for limit in [1 << 30, 100_000, 0] {
            let store = store(limit, folder.path());
            assert_eq!(store.at_once() > 0 || limit == 0, limit < 1 << 30, "limit {limit}");
            let asked = [Some(key(3)), None, Some(key(7)), Some(key(10_001)), Some(key(9999)), Some(key(3))];
            let (found, values) = store.ask(&asked, &|_| true).unwrap();
            let (one, none) = (Found::Row, Found::Nothing);
            assert_eq!(found, [one, none, Found::Several, none, one, one], "limit {limit}");
            let values: Vec<Option<i64>> = values[0].as_primitive::<Int64Type>().iter().collect();
            assert_eq!(values, [Some(30), None, None, None, Some(99_990), Some(30)], "limit {limit}");
            assert_eq!(store.accounts().unwrap(), (2, 9997, 501), "limit {limit}");
        }
    }

    #[test]
    fn a_key_that_does_not_count_is_not_noted() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(1 << 30, folder.path());
        store.ask(&[Some(key(3)), Some(key(4))], &|row| row == 1).unwrap();
        assert_eq!(store.accounts().unwrap(), (1, 9998, 501));
    }
}
