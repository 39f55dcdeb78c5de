//! What rows leave behind: records in partitions by key tag, in memory while the budget lasts, then spilled a partition at a
//! time. Sums of whole digests are kept beside them. It never compares.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Budget, Extent, Position, Shelf, Spill, partition_of};
use crate::digest::{RowDigest, Sum};

/// What a row leaves behind in its partition: 44 bits of its key's tag, 27 of its row's, and where to find it again. The bits of
/// the key's tag that the partition tells are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Key tag, then the upper part of the row tag, then a bit that the index uses: the order of records.
    pub(super) first: u64,
    /// The lower part of the row tag, two bits of which the index uses one, then the position.
    pub(super) second: u64,
}

impl Record {
    /// Bytes of one record, in memory and spilled.
    pub const BYTES: usize = 16;
    /// Bits of the row tag in the first word, and one that is free.
    pub const ROW_BITS: u32 = 20;

    /// Where the lower part of the row tag begins.
    const TAG_AT: u32 = 56;

    /// The record of a row among `2^bits` partitions.
    #[must_use]
    pub fn new(key_tag: u64, row_tag: u64, bits: u32, position: Position) -> Self {
        let row_tag = row_tag >> (64 - (Self::ROW_BITS - 1) - 8);
        let first = (key_tag << bits) >> Self::ROW_BITS << Self::ROW_BITS | row_tag >> 8 << 1;
        Self { first, second: row_tag << Self::TAG_AT | position.0 }
    }

    /// What the record keeps of the key's tag.
    #[must_use]
    pub fn key(self) -> u64 {
        self.first >> Self::ROW_BITS
    }

    /// The first bits of what is kept of the key's tag.
    pub(super) fn bucket(self, bits: u32) -> usize {
        if bits == 0 { 0 } else { (self.first >> (64 - bits)) as usize }
    }

    /// Whether both tags are equal.
    #[must_use]
    pub fn same_row(self, other: Self) -> bool {
        self.first == other.first && self.second >> Self::TAG_AT == other.second >> Self::TAG_AT
    }

    /// Where the row lies.
    #[must_use]
    pub fn position(self) -> Position {
        Position(self.second & Position::MASK)
    }

    fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.first) << 64 | u128::from(self.second)).to_le_bytes()
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let both = u128::from_le_bytes(*bytes);
        Self { first: (both >> 64) as u64, second: both as u64 }
    }
}

/// How many records are expected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expected {
    /// Of rows, about.
    pub rows: u64,
    /// They will be shelved, which takes more room.
    pub shelved: bool,
}

/// The records of one side, in partitions.
pub struct Records<'s> {
    partitions: Vec<Mutex<Partition>>,
    bits: u32,
    /// Records that a partition makes room for.
    room: usize,
    /// Records handed in together.
    at_once: usize,
    budget: &'s Budget,
    spill: &'s dyn Spill,
    /// Buffers that collectors have given back.
    buffers: Mutex<Vec<Buffers>>,
    /// How often records were handed in.
    turn: AtomicUsize,
}

#[derive(Default)]
struct Partition {
    /// Nothing is held.
    spills: bool,
    held: Vec<Record>,
    spilled: Vec<Extent>,
    sum: Sum,
}

impl<'s> Records<'s> {
    /// No records yet, in `2^bits` partitions, with room for those that are expected. Where so many are that they pass `share` bytes
    /// of the budget, the last partitions are spilled from the first record on.
    #[must_use]
    pub fn new(bits: u32, expected: Expected, share: u64, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        // Tags spread evenly: four standard deviations hold nearly all partitions.
        let each = |rows: u64| usize::try_from((rows >> bits) + 4 * (rows >> bits).isqrt()).unwrap_or(0);
        let room = match expected {
            Expected { rows: 0, .. } => 0,
            Expected { rows, shelved: true } => Shelf::slots(each(rows)),
            Expected { rows, shelved: false } => each(rows),
        };
        let fit = usize::try_from(share / (room * Record::BYTES).max(1) as u64).unwrap_or(usize::MAX);
        let partition = |number| Mutex::new(Partition { spills: number >= fit, ..Partition::default() });
        let partitions: Vec<_> = (0..1_usize << bits).map(partition).collect();
        // Much at once where it is written, so that what is read back comes in stretches of some kilobytes.
        let at_once = if fit < partitions.len() { 1 << 17 } else { 1 << 16 };
        Self { partitions, bits, room, at_once, budget, spill, buffers: Mutex::default(), turn: AtomicUsize::new(0) }
    }

    /// Bits of the partition number.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Someone who collects records for one thread and hands them in now and then.
    #[must_use]
    pub fn collector(&self) -> Collector<'_, 's> {
        let partitions = self.partitions.len();
        let buffers = lock(&self.buffers).pop().unwrap_or_default();
        Collector { records: self, buffers, sums: vec![Sum::default(); partitions] }
    }

    /// Takes the records of a partition out; their memory is the caller's from here.
    ///
    /// # Errors
    /// What kept spilled records from being read.
    pub fn take(&self, partition: usize) -> io::Result<Vec<Record>> {
        let mut all = self.keep(partition);
        self.budget.give((all.len() * Record::BYTES) as u64);
        let spilled = std::mem::take(&mut lock(&self.partitions[partition]).spilled);
        for extent in spilled {
            let bytes = self.spill.read(extent)?;
            all.extend(bytes.as_chunks().0.iter().map(Record::from_bytes));
        }
        Ok(all)
    }

    /// Takes the records of a partition out that are in memory; their bytes stay taken from the budget.
    #[must_use]
    pub fn keep(&self, partition: usize) -> Vec<Record> {
        std::mem::take(&mut lock(&self.partitions[partition]).held)
    }

    /// Whether all of a partition's records are in memory.
    #[must_use]
    pub fn resident(&self, partition: usize) -> bool {
        let partition = lock(&self.partitions[partition]);
        !partition.spills && partition.spilled.is_empty()
    }

    /// The sum of the digests of a partition's rows.
    #[must_use]
    pub fn sum(&self, partition: usize) -> Sum {
        lock(&self.partitions[partition]).sum
    }

    /// Takes in records that lie in the order of their partitions, of which `ends` tells where they end.
    fn add(&self, records: &[Record], ends: &[u32], sums: &mut [Sum]) -> io::Result<()> {
        self.make_room((records.len() * Record::BYTES) as u64)?;
        let (mut bytes, mut stretches) = (Vec::new(), Vec::new());
        for number in self.in_turn() {
            let (partition, sum) = (&self.partitions[number], &mut sums[number]);
            let start = if number == 0 { 0 } else { ends[number - 1] };
            let some = &records[start as usize..ends[number] as usize];
            if some.is_empty() && *sum == Sum::default() {
                continue;
            }
            let mut into = lock(partition);
            into.sum += std::mem::take(sum);
            if !into.spills && into.spilled.is_empty() && self.budget.take((some.len() * Record::BYTES) as u64) {
                if into.held.capacity() == 0 {
                    into.held.reserve_exact(self.room);
                }
                into.held.extend_from_slice(some);
                continue;
            }
            // A partition is whole in one place: what is held goes with the first that does not fit.
            if !into.held.is_empty() {
                self.spill_held(&mut into)?;
            }
            let from = bytes.len() as u64;
            bytes.extend(some.iter().flat_map(|record| record.to_bytes()));
            stretches.push((number, from, bytes.len() as u64 - from));
        }
        if !bytes.is_empty() {
            let written = self.spill.write(&bytes)?;
            for (number, from, length) in stretches {
                lock(&self.partitions[number]).spilled.push(Extent { offset: written.offset + from, length });
            }
        }
        Ok(())
    }

    /// The partitions in an order that begins elsewhere each time: threads that hand in at once touch the memory of different ones
    /// first, which the kernel clears, rather than wait for each other.
    fn in_turn(&self) -> impl Iterator<Item = usize> {
        let (turn, count) = (self.turn.fetch_add(1, Ordering::Relaxed), self.partitions.len());
        // At the first, in the middle, at a quarter, at three quarters (van der Corput's sequence): each lies far from those before.
        let begin = ((u128::from((turn as u64).reverse_bits()) * count as u128) >> 64) as usize;
        (begin..count).chain(0..begin)
    }

    /// Spills partitions, from the last one on, until the budget has room or nothing is left to be spilled.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut held = self.partitions.iter().rev();
        while !self.budget.has(bytes) {
            let Some(partition) = held.next() else { return Ok(()) };
            let mut partition = lock(partition);
            if !partition.held.is_empty() {
                self.spill_held(&mut partition)?;
            }
        }
        Ok(())
    }

    fn spill_held(&self, partition: &mut Partition) -> io::Result<()> {
        let held = std::mem::take(&mut partition.held);
        let bytes: Vec<u8> = held.iter().flat_map(|record| record.to_bytes()).collect();
        partition.spilled.push(self.spill.write(&bytes)?);
        self.budget.give((held.len() * Record::BYTES) as u64);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a collector works with; kept for the next one.
#[derive(Default)]
struct Buffers {
    pending: Vec<Record>,
    partitions: Vec<u16>,
    ordered: Vec<Record>,
    ends: Vec<u32>,
}

/// Collects one thread's records.
pub struct Collector<'r, 's> {
    records: &'r Records<'s>,
    buffers: Buffers,
    sums: Vec<Sum>,
}

impl Collector<'_, '_> {
    /// Bits of the partition number.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.records.bits
    }

    /// Adds the record of a row that may pair.
    ///
    /// # Errors
    /// What kept records from being spilled.
    pub fn pair(&mut self, partition: usize, record: Record) -> io::Result<()> {
        self.buffers.pending.push(record);
        self.buffers.partitions.push(u16::try_from(partition).expect("there are at most 4096 partitions"));
        if self.buffers.pending.len() == self.records.at_once { self.finish() } else { Ok(()) }
    }

    /// Sums the digest of a row that takes part in the proof.
    pub fn sum(&mut self, digest: &RowDigest) {
        self.sums[partition_of(digest.key_tag, self.records.bits)] += digest.row;
    }

    /// Adds to a partition's sum.
    pub fn add_sum(&mut self, partition: usize, sum: Sum) {
        self.sums[partition] += sum;
    }

    /// Hands in what is pending.
    ///
    /// # Errors
    /// What kept records from being spilled.
    pub fn finish(&mut self) -> io::Result<()> {
        let Buffers { pending, partitions, ordered, ends } = &mut self.buffers;
        // A counting sort: where each partition begins, and after it where it ends.
        ends.clear();
        ends.resize(self.sums.len() + 1, 0);
        for &partition in &*partitions {
            ends[usize::from(partition) + 1] += 1;
        }
        for partition in 1..ends.len() {
            ends[partition] += ends[partition - 1];
        }
        ordered.clear();
        ordered.resize(pending.len(), Record { first: 0, second: 0 });
        for (record, &partition) in pending.iter().zip(&*partitions) {
            let at = &mut ends[usize::from(partition)];
            ordered[*at as usize] = *record;
            *at += 1;
        }
        pending.clear();
        partitions.clear();
        self.records.add(ordered, ends, &mut self.sums)
    }
}

impl Drop for Collector<'_, '_> {
    fn drop(&mut self) {
        self.buffers.pending.clear();
        self.buffers.partitions.clear();
        lock(&self.records.buffers).push(std::mem::take(&mut self.buffers));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps nothing, for nothing is spilled.
    struct Nowhere;

    impl Spill for Nowhere {
        fn write(&self, _: &[u8]) -> io::Result<Extent> {
            unreachable!("nothing is spilled")
        }

        fn read(&self, _: Extent) -> io::Result<Vec<u8>> {
            unreachable!("nothing is spilled")
        }
    }

    #[test]
    fn each_turn_passes_all_partitions_and_begins_far_from_the_one_before() {
        let budget = Budget::new(0);
        for bits in [0, 1, 3, 8] {
            let records = Records::new(bits, Expected::default(), 0, &budget, &Nowhere);
            let turns: Vec<Vec<usize>> = (0..9).map(|_| records.in_turn().collect()).collect();
            for turn in &turns {
                let mut sorted = turn.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..1 << bits).collect::<Vec<_>>());
            }
            for pair in turns.windows(2) {
                assert!(
                    pair[0][0].abs_diff(pair[1][0]) * 4 >= 1 << bits || bits < 2,
                    "{} and {}",
                    pair[0][0],
                    pair[1][0]
                );
            }
        }
    }
}
