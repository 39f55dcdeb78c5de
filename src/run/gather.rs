//! The second reading: only the rows whose digests left a doubt, kept as they were read, in partitions by key tag.

use std::io;
use std::sync::Mutex;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::Halt;
use super::scan::{Reader, compact, take_rows};
use crate::diff::resolve::Rows;
use crate::diff::{Budget, Candidates, Extent, Spill, partition_of};
use crate::digest::Sum;
use crate::normalise::normalise;
use crate::source::Piece;

/// Candidate rows of one side.
pub(super) struct Gathered<'s> {
    partitions: Vec<Mutex<Vec<Held>>>,
    /// Bits of the candidates' partition number.
    bits: u32,
    /// For each partition of the records, the sum of its candidates' digests.
    sums: Vec<Mutex<Sum>>,
    record_bits: u32,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

enum Held {
    Memory(RecordBatch, u64),
    Spilled(Extent),
}

impl<'s> Gathered<'s> {
    pub(super) fn new(bits: u32, record_bits: u32, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        let partitions = (0..1_usize << bits).map(|_| Mutex::default()).collect();
        let sums = (0..1_usize << record_bits).map(|_| Mutex::default()).collect();
        Self { partitions, bits, sums, record_bits, budget, spill }
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn sum(&self, partition: usize) -> Sum {
        *lock(&self.sums[partition])
    }

    /// Reads the candidates of one unit.
    pub(super) fn gather(
        &self,
        reader: Reader<'_>,
        unit: usize,
        whole: bool,
        candidates: &Candidates,
    ) -> Result<(), Halt> {
        let mut pending = Pending::new(self.partitions.len());
        let few = if whole { candidates.few(unit) } else { None };
        if let Some(rows) = few
            && self.fetch(reader, unit, &rows, &mut pending)?
        {
            return self.keep(&mut pending);
        }
        let mut first = 0;
        // The same columns as in the scan: which rows of a broken file can be read, and so their numbers, depends on them.
        reader.each_piece(unit, &reader.input().columns, |piece| {
            let Piece::Rows(batch) = piece else { return Ok(()) };
            let batch = batch.project(&reader.input().compared).expect("compared columns are among those read");
            let offsets = candidates.among(unit, first, batch.num_rows());
            first += batch.num_rows() as u64;
            if offsets.is_empty() {
                return Ok(());
            }
            self.route(reader, &take_rows(&batch, offsets), &mut pending);
            if pending.bytes > Pending::AT_ONCE { self.keep(&mut pending) } else { Ok(()) }
        })?;
        self.keep(&mut pending)
    }

    /// Fetches single rows where the source can skip the others; tells whether it could.
    fn fetch(&self, reader: Reader<'_>, unit: usize, rows: &[u64], pending: &mut Pending) -> Result<bool, Halt> {
        let read = &reader.input().opened.units[unit];
        let Some(pieces) = read.read_rows(&reader.input().columns, rows) else { return Ok(false) };
        let mut found = 0;
        for piece in pieces.map_err(|error| reader.failed(error))? {
            reader.go_on()?;
            if let Piece::Rows(batch) = piece.map_err(|error| reader.failed(error))? {
                found += batch.num_rows();
                let compared = batch.project(&reader.input().compared).expect("compared columns are among those read");
                self.route(reader, &compact(&compared), pending);
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

    fn route(&self, reader: Reader<'_>, rows: &RecordBatch, pending: &mut Pending) {
        let canonical = normalise(&reader.inputs.binding, reader.side, rows);
        let mut by_partition: Vec<Vec<u32>> = vec![Vec::new(); self.partitions.len()];
        reader.digester().digest(&canonical, |row, digest| {
            *lock(&self.sums[partition_of(digest.key_tag, self.record_bits)]) += digest.row;
            let row = u32::try_from(row).expect("a batch has fewer than 2³² rows");
            by_partition[partition_of(digest.key_tag, self.bits)].push(row);
        });
        pending.bytes += rows.get_array_memory_size();
        if let [_] = by_partition.as_slice() {
            pending.batches[0].push(rows.clone());
            return;
        }
        for (batches, offsets) in pending.batches.iter_mut().zip(by_partition) {
            if !offsets.is_empty() {
                batches.push(take_rows(rows, offsets));
            }
        }
    }

    fn keep(&self, pending: &mut Pending) -> Result<(), Halt> {
        pending.bytes = 0;
        for (batches, partition) in pending.batches.iter_mut().zip(&self.partitions) {
            let Some(first) = batches.first() else { continue };
            let batch = concat_batches(&first.schema(), batches.iter()).expect("batches of one unit have one schema");
            batches.clear();
            let bytes = batch.get_array_memory_size() as u64;
            let held = if self.budget.take(bytes) {
                Held::Memory(batch, bytes)
            } else {
                Held::Spilled(spill_batch(self.spill, &batch).map_err(Halt::Spill)?)
            };
            lock(partition).push(held);
        }
        Ok(())
    }

    /// The rows of one partition, normalised again; their memory is the caller's from here.
    pub(super) fn take(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let mut rows = Rows::default();
        for held in std::mem::take(&mut *lock(&self.partitions[partition])) {
            let batch = match held {
                Held::Memory(batch, bytes) => {
                    self.budget.give(bytes);
                    batch
                }
                Held::Spilled(extent) => unspill_batch(self.spill, extent).map_err(Halt::Spill)?,
            };
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

/// What one unit has gathered and not yet handed in.
struct Pending {
    batches: Vec<Vec<RecordBatch>>,
    bytes: usize,
}

impl Pending {
    const AT_ONCE: usize = 8 << 20;

    fn new(partitions: usize) -> Self {
        Self { batches: vec![Vec::new(); partitions], bytes: 0 }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn spill_batch(spill: &dyn Spill, batch: &RecordBatch) -> io::Result<Extent> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).map_err(io::Error::other)?;
    writer.write(batch).map_err(io::Error::other)?;
    spill.write(&writer.into_inner().map_err(io::Error::other)?)
}

fn unspill_batch(spill: &dyn Spill, extent: Extent) -> io::Result<RecordBatch> {
    let bytes = spill.read(extent)?;
    let mut reader = StreamReader::try_new(bytes.as_slice(), None).map_err(io::Error::other)?;
    reader.next().ok_or_else(|| io::Error::other("a spilled batch is empty"))?.map_err(io::Error::other)
}
