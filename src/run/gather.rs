//! Candidate rows, kept as they were read: caught while they stream by, or read again. They lie in
//! partitions in the order of the keys' digests, in memory while the budget lasts. It decides nothing about them and never holds
//! the pages that they were read from.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arrow::array::RecordBatch;

use super::Halt;
use super::carried::with_file;
use super::scan::{Again, Reader, chosen_rows, take_rows};
use crate::diff::resolve::{RowAt, Rows, Standing, each_key, key_order, standing};
use crate::diff::{Budget, Candidates, Extent, Spill, partition_of};
use crate::digest::{Buffers, Sum};
use crate::normalise::normalise;

mod lines;

use lines::Lines;

/// Candidate rows of one side, in partitions in the order of the keys' digests.
pub(super) struct Gathered<'s> {
    partitions: Vec<Mutex<Parts>>,
    /// For each partition of the records, the sum of its candidates' digests.
    sums: Vec<Mutex<Sum>>,
    record_bits: u32,
    /// How rows become bytes; known with the first.
    lines: OnceLock<Lines>,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

/// Some bytes of what was kept together.
type Stretch = (Arc<Vec<u8>>, Range<usize>);

/// The rows of one partition as `Lines`, in stretches of what was kept together.
#[derive(Clone, Default)]
struct Parts {
    held: Vec<Stretch>,
    spilled: Vec<Extent>,
}

impl Parts {
    fn bytes(&self) -> u64 {
        let held: u64 = self.held.iter().map(|(_, range)| range.len() as u64).sum();
        held + self.spilled.iter().map(|extent| extent.length).sum::<u64>()
    }
}

impl<'s> Gathered<'s> {
    /// Nothing yet, in `2^bits` partitions.
    pub(super) fn new(bits: u32, record_bits: u32, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        Self {
            partitions: (0..1_usize << bits).map(|_| Mutex::default()).collect(),
            sums: (0..1_usize << record_bits).map(|_| Mutex::default()).collect(),
            record_bits,
            lines: OnceLock::new(),
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
        let order = self.look_at(reader, batch)?;
        let rows = lines.write(batch);
        pending.bytes += rows.size();
        pending.batches.push((rows, order));
        if pending.bytes > self.at_once() { self.keep(pending) } else { Ok(()) }
    }

    /// Bytes that may be pending: the more, the longer are the stretches of each partition.
    fn at_once(&self) -> usize {
        usize::try_from(self.budget.limit() / 32)
            .map_or(Pending::MOST, |bytes| bytes.clamp(Pending::LEAST, Pending::MOST))
    }

    /// Keeps what is pending, in memory while the budget lasts.
    pub(super) fn keep(&self, pending: &mut Pending) -> Result<(), Halt> {
        let written = std::mem::take(&mut pending.batches);
        pending.bytes = 0;
        if written.is_empty() {
            return Ok(());
        }
        let bits = self.partitions.len().ilog2();
        let mut lengths = vec![0; self.partitions.len()];
        for (rows, order) in &written {
            for (row, tag) in rows.iter().zip(order) {
                lengths[partition_of(*tag, bits)] += Lines::HEAD + row.data().len();
            }
        }
        // A stretch for each partition, the rows in it in the order in which they came.
        let mut ends: Vec<usize> = Vec::with_capacity(lengths.len());
        let mut all = 0;
        for length in lengths {
            ends.push(all);
            all += length;
        }
        let starts = ends.clone();
        let mut bytes = vec![0; all];
        for (rows, order) in written {
            for (row, tag) in rows.iter().zip(order) {
                let end = &mut ends[partition_of(tag, bits)];
                *end += Lines::put(&mut bytes[*end..], tag, row.data());
            }
        }
        self.keep_stretches(bytes, starts.into_iter().zip(ends))
    }

    /// Keeps a stretch for each partition.
    fn keep_stretches(&self, bytes: Vec<u8>, stretches: impl Iterator<Item = (usize, usize)>) -> Result<(), Halt> {
        let stretches = stretches.enumerate().filter(|(_, (start, end))| start < end);
        if self.budget.take(bytes.len() as u64) {
            let bytes = Arc::new(bytes);
            for (partition, (start, end)) in stretches {
                lock(&self.partitions[partition]).held.push((Arc::clone(&bytes), start..end));
            }
            return Ok(());
        }
        let whole = self.spill.write(&bytes).map_err(Halt::Spill)?;
        for (partition, (start, end)) in stretches {
            let extent = Extent { offset: whole.offset + start as u64, length: (end - start) as u64 };
            lock(&self.partitions[partition]).spilled.push(extent);
        }
        Ok(())
    }

    /// Adds up a batch's digests and tells the order of its rows.
    fn look_at(&self, reader: Reader<'_>, batch: &RecordBatch) -> Result<Vec<u64>, Halt> {
        let canonical = normalise(&reader.inputs.binding, reader.side, batch);
        let scope = reader.scope(batch, &canonical)?;
        let mut sums = rustc_hash::FxHashMap::<usize, Sum>::default();
        reader.digest(batch, &canonical, &mut Buffers::default(), |row, digest| {
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

    /// All rows, when all are gathered.
    pub(super) fn partitioned(self) -> Partitioned<'s> {
        Partitioned { partitions: self.partitions, lines: self.lines, budget: self.budget, spill: self.spill }
    }
}

/// Candidate rows of one side, all of them.
pub(super) struct Partitioned<'s> {
    partitions: Vec<Mutex<Parts>>,
    lines: OnceLock<Lines>,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

impl<'s> Partitioned<'s> {
    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Whether a partition has any rows.
    pub(super) fn has(&self, partition: usize) -> bool {
        self.bytes(partition) > 0
    }

    /// Bytes of a partition's rows.
    pub(super) fn bytes(&self, partition: usize) -> u64 {
        lock(&self.partitions[partition]).bytes()
    }

    /// The rows of one partition, normalised again; their memory is the caller's from here.
    pub(super) fn take(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let parts = std::mem::take(&mut *lock(&self.partitions[partition]));
        self.budget.give(parts.held.iter().map(|(_, range)| range.len() as u64).sum());
        self.rows(reader, parts)
    }

    /// Room for other rows of the same partitions.
    pub(super) fn anew(&self) -> Gathered<'s> {
        Gathered::new(self.partitions.len().ilog2(), 0, self.budget, self.spill)
    }

    /// Lets all rows go.
    pub(super) fn clear(&self) {
        (0..self.partitions.len()).for_each(|partition| self.drop(partition));
    }

    /// Lets the rows of one partition go.
    pub(super) fn drop(&self, partition: usize) {
        let parts = std::mem::take(&mut *lock(&self.partitions[partition]));
        self.budget.give(parts.held.iter().map(|(_, range)| range.len() as u64).sum());
    }

    /// The rows of one partition, which stay where they are.
    pub(super) fn look(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let parts = lock(&self.partitions[partition]).clone();
        self.rows(reader, parts)
    }

    fn rows(&self, reader: Reader<'_>, parts: Parts) -> Result<Rows, Halt> {
        let mut kept = Kept::default();
        let Some(lines) = self.lines.get() else { return Ok(kept.rows) };
        let large = parts.bytes() > self.budget.limit() / Self::LARGE;
        let held = parts.held.into_iter().map(Ok::<Stretch, Halt>);
        let spilled = parts.spilled.into_iter().map(|extent| {
            let bytes = self.spill.read(extent).map_err(Halt::Spill)?;
            let all = 0..bytes.len();
            Ok((Arc::new(bytes), all))
        });
        let mut together = Vec::new();
        for stretch in held.chain(spilled) {
            if large {
                let (batch, order) = lines.read(&[stretch?]);
                kept.add_first_ones(reader, &batch, &order)?;
            } else {
                together.push(stretch?);
            }
        }
        // As few batches as may be, so that columns are brought into their comparison once.
        let mut rest = together.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|(_, range)| {
                bytes += range.len();
                bytes <= Self::AT_ONCE
            });
            let (some, others) = rest.split_at(fit.count().max(1));
            let (batch, order) = lines.read(some);
            kept.add(reader, batch, order)?;
            rest = others;
        }
        Ok(kept.rows)
    }

    /// Bytes that surely fit into one array.
    const AT_ONCE: usize = 1 << 30;

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
        reader.add_carried(&batch, &mut self.rows);
        self.rows.raw.push(batch);
        self.rows.canonical.push(canonical);
        self.rows.order.push(order);
        Ok(())
    }

    /// Of each key that can pair only the first row, and how many more there are.
    fn add_first_ones(&mut self, reader: Reader<'_>, raw: &RecordBatch, order: &[u64]) -> Result<(), Halt> {
        let binding = &reader.inputs.binding;
        let canonical = normalise(binding, reader.side, raw);
        let scope = reader.scope(raw, &canonical)?;
        let number = self.rows.raw.len();
        let Self { rows, seen } = self;
        let mut firsts: Vec<u32> = Vec::new();
        each_key(binding, reader.side, &canonical, order, |row, tag, key| {
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
        let first_rows = take_rows(raw, firsts);
        reader.add_carried(&first_rows, rows);
        rows.canonical.push(normalise(binding, reader.side, &first_rows));
        rows.raw.push(first_rows);
        rows.order.push(order);
        Ok(())
    }
}

/// What one unit has gathered and not yet handed in.
#[derive(Default)]
pub(super) struct Pending {
    /// Rows, and the orders of their keys.
    batches: Vec<(arrow::row::Rows, Vec<u64>)>,
    bytes: usize,
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
