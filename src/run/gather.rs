//! Candidate rows, kept as they were read: caught while they stream by, or read again. They lie together while they are few;
//! what is spilled lies in partitions in the order of the keys' digests, and so does all in the end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use rayon::prelude::*;

use super::Halt;
use super::scan::{Reader, compact, take_rows};
use crate::diff::resolve::{Rows, key_order};
use crate::diff::{Budget, Candidates, Extent, Spill, partition_of};
use crate::digest::{Buffers, Sum};
use crate::normalise::normalise;
use crate::source::Piece;

/// Candidate rows of one side.
pub(super) struct Gathered<'s> {
    /// What memory holds, in no order.
    held: Mutex<Vec<(RecordBatch, u64)>>,
    /// What is spilled, by partition.
    spilled: Vec<Mutex<Vec<Extent>>>,
    any_spilled: AtomicBool,
    rows: AtomicU64,
    /// For each partition of the records, the sum of its candidates' digests.
    sums: Vec<Mutex<Sum>>,
    record_bits: u32,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

impl<'s> Gathered<'s> {
    /// Nothing yet; what is spilled will lie in `2^bits` partitions.
    pub(super) fn new(bits: u32, record_bits: u32, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        Self {
            held: Mutex::default(),
            spilled: (0..1_usize << bits).map(|_| Mutex::default()).collect(),
            any_spilled: AtomicBool::new(false),
            rows: AtomicU64::new(0),
            sums: (0..1_usize << record_bits).map(|_| Mutex::default()).collect(),
            record_bits,
            budget,
            spill,
        }
    }

    pub(super) fn sum(&self, partition: usize) -> Sum {
        *lock(&self.sums[partition])
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(super) fn any_spilled(&self) -> bool {
        self.any_spilled.load(Ordering::Relaxed)
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
            && fetch(reader, unit, &rows, &mut pending)?
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
        pending.push(if all { compact(batch) } else { take_rows(batch, offsets) });
        if pending.bytes > Pending::AT_ONCE { self.keep(reader, pending) } else { Ok(()) }
    }

    /// Keeps what is pending, in memory while the budget lasts.
    pub(super) fn keep(&self, reader: Reader<'_>, pending: &mut Pending) -> Result<(), Halt> {
        together(std::mem::take(pending).batches).into_iter().try_for_each(|batch| self.keep_batch(reader, batch))
    }

    fn keep_batch(&self, reader: Reader<'_>, batch: RecordBatch) -> Result<(), Halt> {
        self.rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        let canonical = normalise(&reader.inputs.binding, reader.side, &batch);
        let scope = reader.scope(&batch, &canonical)?;
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
        let bytes = batch.get_array_memory_size() as u64;
        if self.budget.take(bytes) {
            lock(&self.held).push((batch, bytes));
            return Ok(());
        }
        self.any_spilled.store(true, Ordering::Relaxed);
        let parts = split(reader, &batch, self.spilled.len());
        let (mut all, mut stretches) = (Vec::new(), Vec::new());
        for (partition, part) in parts {
            let from = all.len() as u64;
            write_batch(&part, &mut all).map_err(Halt::Spill)?;
            stretches.push((partition, from, all.len() as u64 - from));
        }
        let written = self.spill.write(&all).map_err(Halt::Spill)?;
        for (partition, from, length) in stretches {
            lock(&self.spilled[partition]).push(Extent { offset: written.offset + from, length });
        }
        Ok(())
    }

    /// All rows in `2^bits` partitions. Where some are spilled, `bits` is what they were spilled by.
    pub(super) fn partitioned(self, reader: Reader<'_>, bits: u32) -> Partitioned<'s> {
        let held = self.held.into_inner().unwrap_or_else(PoisonError::into_inner);
        let partitions: Vec<Mutex<Vec<(RecordBatch, u64)>>> = (0..1_usize << bits).map(|_| Mutex::default()).collect();
        held.into_par_iter().for_each(|(batch, bytes)| {
            let rows = batch.num_rows().max(1) as u64;
            for (partition, part) in split(reader, &batch, partitions.len()) {
                let share = bytes * part.num_rows() as u64 / rows;
                lock(&partitions[partition]).push((part, share));
            }
        });
        Partitioned { partitions, spilled: self.spilled, budget: self.budget, spill: self.spill }
    }
}

/// Fetches single rows where the source can skip the others; tells whether it could.
fn fetch(reader: Reader<'_>, unit: usize, rows: &[u64], pending: &mut Pending) -> Result<bool, Halt> {
    let read = &reader.input().opened.units[unit];
    let Some(pieces) = read.read_rows(&reader.input().columns, rows) else { return Ok(false) };
    let mut found = 0;
    for piece in pieces.map_err(|error| reader.failed(error))? {
        reader.go_on()?;
        if let Piece::Rows(batch) = piece.map_err(|error| reader.failed(error))? {
            found += batch.num_rows();
            let compared = batch.project(&reader.input().compared).expect("compared columns are among those read");
            pending.push(compact(&compared));
        }
    }
    if found != rows.len() {
        let seen = format!("{found} of {} rows were there when they were read again", rows.len());
        let hint = Some("run again when nothing writes to it, or read a copy".to_owned());
        return Err(reader.failed(crate::source::Error { place: read.place(), problem: seen, hint }));
    }
    reader.batch.progress.advance(rows.len() as u64, read.bytes());
    Ok(true)
}

/// Candidate rows of one side, in partitions in the order of the keys' digests.
pub(super) struct Partitioned<'s> {
    partitions: Vec<Mutex<Vec<(RecordBatch, u64)>>>,
    spilled: Vec<Mutex<Vec<Extent>>>,
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
            || self.spilled.get(partition).is_some_and(|spilled| !lock(spilled).is_empty())
    }

    /// The rows of one partition, normalised again; their memory is the caller's from here.
    pub(super) fn take(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let mut batches = Vec::new();
        for (batch, bytes) in std::mem::take(&mut *lock(&self.partitions[partition])) {
            self.budget.give(bytes);
            batches.push(batch);
        }
        if let Some(spilled) = self.spilled.get(partition) {
            for extent in std::mem::take(&mut *lock(spilled)) {
                batches.push(read_batch(self.spill, extent).map_err(Halt::Spill)?);
            }
        }
        let mut rows = Rows::default();
        for batch in together(batches) {
            let canonical = normalise(&reader.inputs.binding, reader.side, &batch);
            if let Some(scope) = reader.scope(&batch, &canonical)? {
                rows.in_scope.push((0..batch.num_rows()).map(|row| scope.value(row)).collect());
            }
            rows.raw.push(batch);
            rows.canonical.push(canonical);
        }
        Ok(rows)
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

/// The rows of each of so many partitions that has some.
fn split(reader: Reader<'_>, batch: &RecordBatch, partitions: usize) -> Vec<(usize, RecordBatch)> {
    if partitions == 1 {
        return vec![(0, batch.clone())];
    }
    let canonical = normalise(&reader.inputs.binding, reader.side, batch);
    let mut by_partition: Vec<Vec<u32>> = vec![Vec::new(); partitions];
    for (row, tag) in (0_u32..).zip(key_order(&reader.inputs.binding, reader.side, &canonical)) {
        by_partition[partition_of(tag, partitions.ilog2())].push(row);
    }
    let some = by_partition.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty());
    some.map(|(partition, rows)| (partition, take_rows(batch, rows))).collect()
}

/// What one unit has gathered and not yet handed in.
#[derive(Default)]
pub(super) struct Pending {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Pending {
    const AT_ONCE: usize = 8 << 20;

    fn push(&mut self, batch: RecordBatch) {
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
