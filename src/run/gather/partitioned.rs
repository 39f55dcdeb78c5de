//! Candidate rows, all of them, brought out a partition at a time as often as they are asked for. It reads no source and keeps nothing
//! of what it brings out.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;

use super::super::Halt;
use super::super::reader::Reader;
use super::super::scan::take_rows;
use super::lines::Lines;
use super::stretches::Store;
use super::{Gathered, lock};
use crate::diff::resolve::{RowAt, Rows, Standing, each_key, standing};
use crate::diff::{Budget, Spill};
use crate::normalise::normalise;
use crate::sides::Sides;

/// All rows of both sides, when all are gathered. Partitions that lie side by side are united up to the bytes that `most` tells of those
/// of all rows: those of short rows are, those of long ones stay apart.
pub(in crate::run) fn partitioned(
    gathered: Sides<Gathered<'_>>,
    most: impl FnOnce(u64) -> u64,
) -> Sides<Partitioned<'_>> {
    let mut bytes = vec![0; 1 << Gathered::BITS];
    for (_, side) in gathered.iter() {
        lock(&side.store).add_bytes(&mut bytes);
    }
    let most = most(bytes.iter().sum());
    let (mut ends, mut together) = (Vec::new(), 0);
    for (partition, bytes) in bytes.iter().enumerate() {
        if together > 0 && together + bytes > most {
            ends.push(partition);
            together = 0;
        }
        together += bytes;
    }
    ends.push(bytes.len());
    let ends: Arc<[usize]> = ends.into();
    gathered.map(|_, gathered| gathered.united(Arc::clone(&ends)))
}

/// Candidate rows of one side, all of them.
pub(in crate::run) struct Partitioned<'s> {
    pub(super) store: Store,
    /// Which partitions were united: for each, the number of the first one behind it.
    pub(super) ends: Arc<[usize]>,
    /// Bytes of each one's rows.
    pub(super) bytes: Vec<u64>,
    pub(super) lines: OnceLock<Lines>,
    pub(super) budget: &'s Budget,
    pub(super) spill: &'s dyn Spill,
}

impl Drop for Partitioned<'_> {
    fn drop(&mut self) {
        self.budget.give(self.store.held);
    }
}

impl<'s> Partitioned<'s> {
    pub(in crate::run) fn partitions(&self) -> usize {
        self.ends.len()
    }

    /// Those that were united to be this partition.
    fn united(&self, partition: usize) -> Range<usize> {
        let start = if partition == 0 { 0 } else { self.ends[partition - 1] };
        start..self.ends[partition]
    }

    /// Whether a partition has any rows.
    pub(in crate::run) fn has(&self, partition: usize) -> bool {
        self.bytes[partition] > 0
    }

    /// Bytes of a partition's rows.
    pub(in crate::run) fn bytes(&self, partition: usize) -> u64 {
        self.bytes[partition]
    }

    /// Room for other rows of the same partitions.
    pub(in crate::run) fn anew(&self) -> Gathered<'s> {
        Gathered::new(0, Arc::default(), self.budget, self.spill)
    }

    /// The rows of one partition, normalised again.
    pub(in crate::run) fn rows(&self, reader: Reader<'_>, partition: usize) -> Result<Rows, Halt> {
        let mut kept = Kept::default();
        let Some(lines) = self.lines.get() else { return Ok(kept.rows) };
        let large = self.bytes(partition) > self.budget.limit() / Self::LARGE;
        let partitions = self.united(partition);
        let stretches = self.store.kept.iter().filter(|kept| kept.bytes(&partitions) > 0);
        let stretches = stretches.map(|kept| kept.read(&partitions, self.spill));
        let mut together = Vec::new();
        for stretch in stretches {
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
            let fit = rest.iter().take_while(|stretch| {
                bytes += stretch.len();
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
