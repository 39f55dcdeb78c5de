//! Candidate rows, kept as they were read: caught while they stream by, or read again. They lie in
//! partitions in the order of the keys' digests, a part of them in memory and the rest spilled. It decides nothing about them and never holds
//! the pages that they were read from.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;

use super::Halt;
use super::carried::with_file;
use super::reader::{Again, Reader};
use super::scan::chosen_rows;
use crate::diff::resolve::key_order;
use crate::diff::{Budget, Candidates, Spill, partition_of};
use crate::digest::{Buffers, Sum};
use crate::normalise::normalise;

mod lines;
mod partitioned;
mod stretches;

use lines::{Lines, Written};
pub(super) use partitioned::{Partitioned, partitioned};
pub(super) use stretches::Room;
use stretches::{Place, Store};

/// Candidate rows of one side, in partitions in the order of the keys' digests.
pub(super) struct Gathered<'s> {
    store: Mutex<Store>,
    /// For each partition of the records, the sum of its candidates' digests.
    sums: Vec<Mutex<Sum>>,
    record_bits: u32,
    /// How rows become bytes; known with the first.
    lines: OnceLock<Lines>,
    room: Arc<Room>,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

impl<'s> Gathered<'s> {
    /// Partitions: so many that few rows share one, however long they are, and that what is noted of them is little.
    const BITS: u32 = 11;

    /// Nothing yet; `2^record_bits` partitions have the records. `room` may be shared with the other side.
    pub(super) fn new(record_bits: u32, room: Arc<Room>, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        Self {
            store: Mutex::default(),
            sums: (0..1_usize << record_bits).map(|_| Mutex::default()).collect(),
            record_bits,
            lines: OnceLock::new(),
            room,
            budget,
            spill,
        }
    }

    pub(super) fn sum(&self, partition: usize) -> Sum {
        *lock(&self.sums[partition])
    }

    /// The sum of all candidates' digests.
    pub(super) fn sum_of_all(&self) -> Sum {
        let mut sum = Sum::default();
        self.sums.iter().for_each(|of_partition| sum += *lock(of_partition));
        sum
    }

    /// Reads the candidates of one unit again.
    pub(super) fn gather(
        &self,
        reader: Reader<'_>,
        again: Again,
        whole: bool,
        candidates: &Candidates,
    ) -> Result<(), Halt> {
        let unit = again.unit;
        let mut pending = Pending::of(reader, unit);
        let few = if whole { candidates.few(unit) } else { None };
        if let Some(rows) = few
            && reader.fetch(unit, &rows, |_, batch| self.push(reader, &batch, &mut pending))?
        {
            return self.keep(&mut pending);
        }
        let mut first = 0;
        // The same columns as in the scan: which rows of a broken file can be read, and so their numbers, depends on them.
        reader.each_piece_again(again, &reader.input().columns, |batch| {
            let batch = reader.taken(&batch)?;
            let offsets = candidates.among(unit, first, batch.num_rows());
            first += batch.num_rows() as u64;
            self.catch(reader, &batch, offsets, &mut pending)
        })?;
        self.keep(&mut pending)
    }

    /// Takes some rows of a batch, as `Reader::taken` makes it.
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
        self.push(reader, &if all { batch.clone() } else { chosen_rows(batch, offsets) }, pending)
    }

    /// Takes all rows of a batch, as bytes: its columns may hold the pages that they were read from.
    fn push(&self, reader: Reader<'_>, batch: &RecordBatch, pending: &mut Pending) -> Result<(), Halt> {
        let with_file = pending.file.map(|file| with_file(batch, file));
        let batch = with_file.as_ref().unwrap_or(batch);
        let lines = self.lines.get_or_init(|| Lines::new(&batch.schema()));
        let orders = self.look_at(reader, batch, &mut pending.buffers)?;
        self.write(lines, batch, orders, pending)
    }

    /// Writes the rows of a batch, half by half where they are too long to be written at once.
    fn write(&self, lines: &Lines, batch: &RecordBatch, orders: Vec<u64>, pending: &mut Pending) -> Result<(), Halt> {
        match lines.write(batch, orders, &self.room.rows) {
            Ok(written) => {
                if written.size() > Lines::LONGEST {
                    // A row that long is kept alone.
                    self.keep(pending)?;
                }
                pending.bytes += written.size();
                pending.batches.push(written);
                if pending.bytes > self.at_once() { self.keep(pending) } else { Ok(()) }
            }
            Err(mut orders) => {
                let half = batch.num_rows() / 2;
                let others = orders.split_off(half);
                self.write(lines, &batch.slice(0, half), orders, pending)?;
                self.write(lines, &batch.slice(half, batch.num_rows() - half), others, pending)
            }
        }
    }

    /// Bytes that may be pending: the more, the longer are the stretches of each partition.
    fn at_once(&self) -> usize {
        usize::try_from(self.budget.limit() / 32)
            .map_or(Pending::MOST, |bytes| bytes.clamp(Pending::LEAST, Pending::MOST))
    }

    /// Keeps what is pending, in memory where there is room.
    pub(super) fn keep(&self, pending: &mut Pending) -> Result<(), Halt> {
        let written = std::mem::take(&mut pending.batches);
        pending.bytes = 0;
        if written.is_empty() {
            return Ok(());
        }
        let mut ends = vec![0; 1 << Self::BITS];
        for (order, row) in written.iter().flat_map(Written::rows) {
            ends[partition_of(order, Self::BITS)] += row.len();
        }
        // A stretch for each partition, the rows in it in the order in which they came: first where each begins, then where it ends.
        let mut all = 0;
        for end in &mut ends {
            all += std::mem::replace(end, all);
        }
        let holds = lock(&self.store).hold(all as u64, self.budget);
        // What is held takes no more than its bytes.
        let mut bytes = if holds { vec![0; all] } else { self.room.ordered.take(all) };
        for (order, row) in written.iter().flat_map(Written::rows) {
            let end = &mut ends[partition_of(order, Self::BITS)];
            bytes[*end..*end + row.len()].copy_from_slice(row);
            *end += row.len();
        }
        written.into_iter().for_each(|written| self.room.rows.give(written.into_bytes(), self.at_once()));
        let place = if holds {
            Place::Held(Buffer::from_vec(bytes))
        } else {
            let extent = self.spill.write(&bytes).map_err(Halt::Spill)?;
            // It ends with the batch that was one too many.
            self.room.ordered.give(bytes, 2 * self.at_once());
            Place::Spilled(extent.offset)
        };
        lock(&self.store).keep(place, &ends);
        Ok(())
    }

    /// Adds up a batch's digests and tells the order of its rows.
    fn look_at(&self, reader: Reader<'_>, batch: &RecordBatch, buffers: &mut Buffers) -> Result<Vec<u64>, Halt> {
        let canonical = normalise(&reader.inputs.binding, reader.side, batch);
        let scope = reader.scope(batch, &canonical)?;
        let mut sums = rustc_hash::FxHashMap::<usize, Sum>::default();
        reader.digest(batch, &canonical, buffers, |row, digest| {
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

    /// All rows, when all are gathered, in the same partitions as others.
    pub(super) fn partitioned_as(self, other: &Partitioned<'_>) -> Partitioned<'s> {
        self.united(Arc::clone(&other.ends))
    }

    fn united(self, ends: Arc<[usize]>) -> Partitioned<'s> {
        let store = self.store.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut of_each = vec![0; 1 << Self::BITS];
        store.add_bytes(&mut of_each);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let bytes = starts.zip(ends.iter()).map(|(start, end)| of_each[start..*end].iter().sum()).collect();
        Partitioned { store, ends, bytes, lines: self.lines, budget: self.budget, spill: self.spill }
    }
}

/// What one unit has gathered and not yet handed in.
#[derive(Default)]
pub(super) struct Pending {
    /// Rows as bytes.
    batches: Vec<Written>,
    bytes: usize,
    /// What digesting works with.
    buffers: Buffers,
    /// The file that the rows come from, where there are several.
    file: Option<u32>,
}

impl Pending {
    const LEAST: usize = 4 << 20;
    const MOST: usize = 32 << 20;

    /// Nothing yet, of one unit.
    pub(super) fn of(reader: Reader<'_>, unit: usize) -> Self {
        Self { file: reader.file_of(unit), ..Self::default() }
    }

    /// What comes next is of this unit.
    pub(super) fn comes_from(&mut self, reader: Reader<'_>, unit: usize) {
        self.file = reader.file_of(unit);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
