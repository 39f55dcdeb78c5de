//! Candidate rows, kept as they were read: caught while they stream by, or read again. They lie in
//! partitions in the order of the keys' digests, in memory while the budget lasts.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::{cast, concat_batches, interleave_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::Halt;
use super::scan::{Reader, take_rows};
use crate::diff::resolve::{RowAt, Rows, Standing, each_key, key_order, standing};
use crate::diff::{Budget, Candidates, Extent, Spill, partition_of};
use crate::digest::{Buffers, Sum};
use crate::normalise::normalise;
use crate::source::Piece;

/// Candidate rows of one side, in partitions in the order of the keys' digests.
pub(super) struct Gathered<'s> {
    partitions: Vec<Mutex<Vec<Part>>>,
    /// For each partition of the records, the sum of its candidates' digests.
    sums: Vec<Mutex<Sum>>,
    record_bits: u32,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

/// Some rows of one partition, with their order as a last column.
enum Part {
    /// A stretch of what was kept together, and its share of those bytes.
    Held(RecordBatch, u64),
    Spilled(Extent),
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Self::Held(_, bytes) => *bytes,
            Self::Spilled(extent) => extent.length,
        }
    }
}

impl<'s> Gathered<'s> {
    /// Nothing yet, in `2^bits` partitions.
    pub(super) fn new(bits: u32, record_bits: u32, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        Self {
            partitions: (0..1_usize << bits).map(|_| Mutex::default()).collect(),
            sums: (0..1_usize << record_bits).map(|_| Mutex::default()).collect(),
            record_bits,
            budget,
            spill,
        }
    }

    pub(super) fn sum(&self, partition: usize) -> Sum {
        *lock(&self.sums[partition])
    }

    /// Reads the candidates of one unit again.
    pub(super) fn gather(
        &self,
        reader: Reader<'_>,
        unit: usize,
        whole: bool,
        candidates: &Candidates,
    ) -> Result<(), Halt> {
        let mut pending = Pending::default();
        let few = if whole { candidates.few(unit) } else { None };
        if let Some(rows) = few
            && reader.fetch(unit, &rows, |_, batch| pending.push(&batch))?
        {
            return self.keep(reader, &mut pending);
        }
        let mut first = 0;
        // The same columns as in the scan: which rows of a broken file can be read, and so their numbers, depends on them.
        reader.each_piece(unit, &reader.input().columns, |piece| {
            let Piece::Rows(batch) = piece else { return Ok(()) };
            let batch = batch.project(&reader.input().compared).expect("compared columns are among those read");
            let offsets = candidates.among(unit, first, batch.num_rows());
            first += batch.num_rows() as u64;
            self.catch(reader, &batch, offsets, &mut pending)
        })?;
        self.keep(reader, &mut pending)
    }

    /// Takes some rows of a batch, which holds the compared columns.
    pub(super) fn catch(
        &self,
        reader: Reader<'_>,
        batch: &RecordBatch,
        offsets: Vec<u32>,
        pending: &mut Pending,
    ) -> Result<(), Halt> {
        if offsets.is_empty() {
            return Ok(());
        }
        let all = offsets.len() == batch.num_rows();
        pending.push(&if all { batch.clone() } else { take_rows(batch, offsets) });
        if pending.bytes > self.at_once() { self.keep(reader, pending) } else { Ok(()) }
    }

    /// Bytes that may be pending: the more, the longer are the stretches of each partition.
    fn at_once(&self) -> usize {
        usize::try_from(self.budget.limit() / 32)
            .map_or(Pending::MOST, |bytes| bytes.clamp(Pending::LEAST, Pending::MOST))
    }

    /// Keeps what is pending, in memory while the budget lasts.
    pub(super) fn keep(&self, reader: Reader<'_>, pending: &mut Pending) -> Result<(), Halt> {
        let batches = std::mem::take(pending).batches;
        if batches.is_empty() {
            return Ok(());
        }
        let orders = batches.iter().map(|batch| self.look_at(reader, batch)).collect::<Result<Vec<_>, Halt>>()?;
        let bits = self.partitions.len().ilog2();
        let mut of_each: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.partitions.len()];
        for (batch, order) in orders.iter().enumerate() {
            for (row, tag) in order.iter().enumerate() {
                of_each[partition_of(*tag, bits)].push((batch, row));
            }
        }
        let tagged: Vec<RecordBatch> =
            batches.iter().zip(orders).map(|(batch, order)| with_order(batch, order)).collect();
        drop(batches);
        let all: Vec<(usize, usize)> = of_each.iter().flatten().copied().collect();
        match interleave_record_batch(&tagged.iter().collect::<Vec<_>>(), &all) {
            Ok(sorted) => {
                drop(tagged);
                self.keep_sorted(&sorted, of_each.iter().map(Vec::len))
            }
            // Together they would pass what an array holds.
            Err(_) => tagged.iter().enumerate().try_for_each(|(number, batch)| {
                let rows =
                    |of: &Vec<(usize, usize)>| of.iter().filter(|at| at.0 == number).map(|at| at.1).collect::<Vec<_>>();
                let rows: Vec<Vec<usize>> = of_each.iter().map(rows).collect();
                let small = |row: &usize| u32::try_from(*row).expect("a batch has fewer than 2³² rows");
                self.keep_sorted(
                    &take_rows(batch, rows.iter().flatten().map(small).collect()),
                    rows.iter().map(Vec::len),
                )
            }),
        }
    }

    /// Adds up a batch's digests and tells the order of its rows.
    fn look_at(&self, reader: Reader<'_>, batch: &RecordBatch) -> Result<Vec<u64>, Halt> {
        let canonical = normalise(&reader.inputs.binding, reader.side, batch);
        let scope = reader.scope(batch, &canonical)?;
        let mut sums = rustc_hash::FxHashMap::<usize, Sum>::default();
        reader.digester().digest(&canonical, &mut Buffers::default(), |row, digest| {
            if scope.as_ref().is_none_or(|scope| scope.value(row)) {
                *sums.entry(partition_of(digest.key_tag, self.record_bits)).or_default() += digest.row;
            }
        });
        #[expect(clippy::iter_over_hash_type, reason = "sums add up in any order")]
        for (partition, sum) in sums {
            *lock(&self.sums[partition]) += sum;
        }
        Ok(key_order(&reader.inputs.binding, reader.side, &canonical))
    }

    /// Keeps rows that are sorted by partition, so many of each.
    fn keep_sorted(&self, sorted: &RecordBatch, rows: impl Iterator<Item = usize>) -> Result<(), Halt> {
        let bytes = sorted.get_array_memory_size() as u64;
        let held = self.budget.take(bytes);
        let (mut first, mut written, mut stretches) = (0, Vec::new(), Vec::new());
        for (partition, rows) in rows.enumerate().filter(|(_, rows)| *rows > 0) {
            let stretch = sorted.slice(first, rows);
            first += rows;
            if held {
                let share = bytes * rows as u64 / sorted.num_rows() as u64;
                lock(&self.partitions[partition]).push(Part::Held(stretch, share));
                continue;
            }
            let from = written.len() as u64;
            write_batch(&stretch, &mut written).map_err(Halt::Spill)?;
            stretches.push((partition, from, written.len() as u64 - from));
        }
        if !held {
            let whole = self.spill.write(&written).map_err(Halt::Spill)?;
            for (partition, from, length) in stretches {
                let extent = Extent { offset: whole.offset + from, length };
                lock(&self.partitions[partition]).push(Part::Spilled(extent));
            }
        }
        Ok(())
    }

    /// All rows, when all are gathered.
    pub(super) fn partitioned(self) -> Partitioned<'s> {
        Partitioned { partitions: self.partitions, budget: self.budget, spill: self.spill }
    }
}

/// Candidate rows of one side, all of them.
pub(super) struct Partitioned<'s> {
    partitions: Vec<Mutex<Vec<Part>>>,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

impl Partitioned<'_> {
    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Whether a partition has any rows.
    pub(super) fn has(&self, partition: usize) -> bool {
        !lock(&self.partitions[partition]).is_empty()
    }

    /// The rows of one partition, normalised again; their memory is the caller's from here.
    pub(super) fn take(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let parts = std::mem::take(&mut *lock(&self.partitions[partition]));
        let bytes: u64 = parts.iter().map(Part::bytes).sum();
        let mut batches = parts.into_iter().map(|part| match part {
            Part::Held(batch, bytes) => {
                self.budget.give(bytes);
                Ok(batch)
            }
            Part::Spilled(extent) => read_batch(self.spill, extent).map_err(Halt::Spill),
        });
        let mut kept = Kept::default();
        if bytes > self.budget.limit() / Self::LARGE {
            batches.try_for_each(|batch| kept.add_first_ones(reader, &batch?))?;
        } else {
            for batch in together(batches.collect::<Result<_, Halt>>()?) {
                let (batch, order) = without_order(&batch);
                kept.add(reader, batch, order)?;
            }
        }
        Ok(kept.rows)
    }

    /// A partition above this part of the budget is likely to hold keys with many rows, of which one is enough.
    const LARGE: u64 = 4;
}

/// The rows of a partition as they are read.
#[derive(Default)]
struct Kept {
    rows: Rows,
    /// The first row of each key.
    seen: rustc_hash::FxHashMap<(u64, Box<[u8]>), RowAt>,
}

impl Kept {
    fn add(&mut self, reader: Reader<'_>, batch: RecordBatch, order: Vec<u64>) -> Result<(), Halt> {
        let canonical = normalise(&reader.inputs.binding, reader.side, &batch);
        if let Some(scope) = reader.scope(&batch, &canonical)? {
            self.rows.in_scope.push((0..batch.num_rows()).map(|row| scope.value(row)).collect());
        }
        self.rows.raw.push(batch);
        self.rows.canonical.push(canonical);
        self.rows.order.push(order);
        Ok(())
    }

    /// Of each key that can pair only the first row, and how many more there are.
    fn add_first_ones(&mut self, reader: Reader<'_>, batch: &RecordBatch) -> Result<(), Halt> {
        let (raw, order) = without_order(batch);
        let binding = &reader.inputs.binding;
        let canonical = normalise(binding, reader.side, &raw);
        let scope = reader.scope(&raw, &canonical)?;
        let number = self.rows.raw.len();
        let Self { rows, seen } = self;
        let mut firsts: Vec<u32> = Vec::new();
        each_key(binding, reader.side, &canonical, &order, |row, tag, key| {
            if standing(binding, reader.rules(), &canonical, row) == Standing::Keyed {
                let here = RowAt { batch: number, row: firsts.len() };
                let first = *seen.entry((tag, key.into())).or_insert(here);
                if first != here {
                    *rows.more.entry(first).or_default() += 1;
                    if let Some(in_scope) = rows.in_scope.get_mut(first.batch)
                        && scope.as_ref().is_some_and(|scope| scope.value(row))
                    {
                        in_scope[first.row] = true;
                    }
                    return;
                }
            }
            if let Some(scope) = &scope {
                if rows.in_scope.len() == number {
                    rows.in_scope.push(Vec::new());
                }
                rows.in_scope[number].push(scope.value(row));
            }
            firsts.push(u32::try_from(row).expect("a batch has fewer than 2³² rows"));
        });
        if firsts.is_empty() {
            return Ok(());
        }
        let order = firsts.iter().map(|&row| order[row as usize]).collect();
        let first_rows = take_rows(&raw, firsts);
        rows.canonical.push(normalise(binding, reader.side, &first_rows));
        rows.raw.push(first_rows);
        rows.order.push(order);
        Ok(())
    }
}

/// One batch instead of many small ones, so that columns are brought into their comparison once; as they are where together
/// they would pass what an array holds.
fn together(batches: Vec<RecordBatch>) -> Vec<RecordBatch> {
    let Some(first) = batches.first().filter(|_| batches.len() > 1) else { return batches };
    match concat_batches(&first.schema(), batches.iter()) {
        Ok(batch) => vec![batch],
        Err(_) => batches,
    }
}

/// The batch with plain texts and bytes for views: a stretch of those can be written by itself, and they keep nothing else
/// alive.
fn plain(batch: &RecordBatch) -> RecordBatch {
    fn large(views: &[u128]) -> bool {
        // The length is a view's lowest 32 bits.
        let total: u64 = views.iter().map(|view| (view & u128::from(u32::MAX)) as u64).sum();
        i32::try_from(total).is_err()
    }
    let plain = |column: &ArrayRef| {
        let data_type = match column.data_type() {
            DataType::Utf8View if large(column.as_string_view().views()) => DataType::LargeUtf8,
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView if large(column.as_binary_view().views()) => DataType::LargeBinary,
            DataType::BinaryView => DataType::Binary,
            _ => return Arc::clone(column),
        };
        cast(column, &data_type).expect("offsets of this width hold all of it")
    };
    with_columns(batch, batch.columns().iter().map(plain).collect())
}

/// The batch with the order of its rows as a last column.
fn with_order(batch: &RecordBatch, order: Vec<u64>) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(UInt64Array::from(order)));
    with_columns(batch, columns)
}

/// Other columns under the names of a batch's; one more is the order.
fn with_columns(batch: &RecordBatch, columns: Vec<ArrayRef>) -> RecordBatch {
    let schema = batch.schema();
    let order = Arc::new(Field::new("order", DataType::UInt64, false));
    let named = schema.fields().iter().chain([&order]).zip(&columns);
    let field =
        |(field, column): (&FieldRef, &ArrayRef)| field.as_ref().clone().with_data_type(column.data_type().clone());
    let fields: Vec<Field> = named.map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("the fields are those of the columns")
}

/// The batch as it was, and the order of its rows.
fn without_order(batch: &RecordBatch) -> (RecordBatch, Vec<u64>) {
    let (last, columns) = batch.columns().split_last().expect("the order is a column");
    let order = last.as_primitive::<UInt64Type>().values().to_vec();
    let schema = batch.schema();
    let fields: Vec<_> = schema.fields().iter().take(columns.len()).cloned().collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let rest = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns.to_vec(), &options);
    (rest.expect("the fields are those of the columns"), order)
}

/// What one unit has gathered and not yet handed in.
#[derive(Default)]
pub(super) struct Pending {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Pending {
    const LEAST: usize = 4 << 20;
    const MOST: usize = 32 << 20;

    fn push(&mut self, batch: &RecordBatch) {
        let batch = plain(batch);
        self.bytes += batch.get_array_memory_size();
        self.batches.push(batch);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
