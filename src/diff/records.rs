//! What rows leave behind: records in partitions by key tag, in memory while the budget lasts, then spilled a partition at a
//! time. Sums of whole digests are kept beside them. It never compares.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::places::{Numbered, Places};
use super::{Budget, Extent, Position, Shelf, Spill, partition_of};
use crate::digest::{RowDigest, Sum};

/// What a row leaves behind in its partition: 44 bits of its key's tag, 29 of its row's, and where to find it again. The bits of
/// the key's tag that the partition tells are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Key tag, then the upper part of the row tag: the order of records.
    first: u64,
    /// The lower part of the row tag, then the position.
    second: u64,
}

impl Record {
    /// Bytes of one record that is spilled.
    const BYTES: usize = 16;
    /// Bits of the row tag.
    pub(super) const ROW_BITS: u32 = 29;
    /// The last bits of a key's tag, which are left out where there is one partition.
    pub const LEFT_OUT: u32 = 20;
    /// Bits of the row tag in the first word.
    const UPPER_BITS: u32 = Self::LEFT_OUT;
    /// Bits of it in the second one.
    const LOWER_BITS: u32 = Self::ROW_BITS - Self::UPPER_BITS;
    /// Where the lower part of the row tag begins.
    const LOWER_AT: u32 = u64::BITS - Self::LOWER_BITS;

    /// The record of a row among `2^bits` partitions.
    #[must_use]
    pub fn new(key_tag: u64, row_tag: u64, bits: u32, position: Position) -> Self {
        let row_tag = row_tag >> (u64::BITS - Self::ROW_BITS);
        let first = (key_tag << bits) >> Self::UPPER_BITS << Self::UPPER_BITS | row_tag >> Self::LOWER_BITS;
        Self { first, second: row_tag << Self::LOWER_AT | position.0 }
    }

    /// What the record keeps of the key's tag.
    #[must_use]
    pub fn key(self) -> u64 {
        self.first >> Self::UPPER_BITS
    }

    /// What it keeps of the row's tag.
    #[inline]
    pub(super) fn row(self) -> u64 {
        (self.first & ((1 << Self::UPPER_BITS) - 1)) << Self::LOWER_BITS | self.second >> Self::LOWER_AT
    }

    /// Whether both tags are equal.
    #[must_use]
    pub fn same_row(self, other: Self) -> bool {
        self.first == other.first && self.second >> Self::LOWER_AT == other.second >> Self::LOWER_AT
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

/// A record whose place is short, on its way to its partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Short {
    pub(super) first: u64,
    pub(super) place: u32,
    /// The second word's bits before the place.
    rest: u16,
    partition: u16,
}

impl Short {
    /// How many bits `rest` leaves out: those that the place stands for.
    const REST_AT: u32 = Position::BITS - 1;

    fn new(record: Record, partition: u16, place: u32) -> Self {
        Self { first: record.first, place, rest: (record.second >> Self::REST_AT) as u16, partition }
    }

    fn whole(self, places: &Numbered) -> Record {
        let second = u64::from(self.rest) << Self::REST_AT;
        let in_scope = Position(second).in_scope();
        Record { first: self.first, second: second | places.position(self.place, in_scope).0 }
    }

    /// The key's tag, as of the record.
    #[inline]
    pub(super) fn key(self) -> u64 {
        self.first >> Record::UPPER_BITS
    }

    /// The row's tag, as of the record.
    #[inline]
    pub(super) fn row(self) -> u64 {
        Record { first: self.first, second: u64::from(self.rest) << Self::REST_AT }.row()
    }

    /// The first bits of the key's tag.
    #[inline]
    pub(super) fn bucket(self, bits: u32) -> usize {
        if bits == 0 { 0 } else { (self.first >> (u64::BITS - bits)) as usize }
    }
}

/// The records of a partition in memory, part by part.
#[derive(Debug, Default)]
pub struct Held {
    pub(super) first: Vec<u64>,
    pub(super) places: Vec<u32>,
    rest: Vec<u16>,
}

impl Held {
    /// Bytes of one record.
    const BYTES: u64 = 14;

    fn reserve(&mut self, slots: usize, records: usize) {
        self.first.reserve_exact(slots);
        self.places.reserve_exact(records);
        self.rest.reserve_exact(records);
    }

    fn extend(&mut self, records: &[Short]) {
        self.first.extend(records.iter().map(|record| record.first));
        self.places.extend(records.iter().map(|record| record.place));
        self.rest.extend(records.iter().map(|record| record.rest));
    }

    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Short> {
        let parts = self.first.iter().zip(&self.places).zip(&self.rest);
        parts.map(|((&first, &place), &rest)| Short { first, place, rest, partition: 0 })
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
    /// Slots that a partition makes room for, and records.
    room: (usize, usize),
    /// What a record costs of the budget.
    cost: u64,
    places: Arc<Places>,
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
    held: Held,
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
            Expected { rows: 0, .. } => (0, 0),
            Expected { rows, shelved: true } => (Shelf::slots(each(rows)), each(rows)),
            Expected { rows, shelved: false } => (each(rows), each(rows)),
        };
        // Of the budget half is left to what the allocator cannot give back at once. That is not so where records stay where they are.
        let cost = if expected.shelved { Held::BYTES / 2 } else { Held::BYTES };
        let fit = usize::try_from(share / (room.1 as u64 * cost).max(1)).unwrap_or(usize::MAX);
        let partition = |number| Mutex::new(Partition { spills: number >= fit, ..Partition::default() });
        let partitions: Vec<_> = (0..1_usize << bits).map(partition).collect();
        // Much at once where it is written, so that what is read back comes in stretches of some kilobytes.
        let at_once = if fit < partitions.len() { 1 << 17 } else { 1 << 16 };
        let (buffers, turn) = (Mutex::default(), AtomicUsize::new(0));
        let places = Arc::new(Places::new(Places::MOST));
        Self { partitions, bits, room, cost, places, at_once, budget, spill, buffers, turn }
    }

    /// The same, where so many stretches of rows can be told in few bits.
    #[cfg(test)]
    pub(super) fn with_places(self, most: usize) -> Self {
        Self { places: Arc::new(Places::new(most)), ..self }
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
        Collector { records: self, buffers, sums: vec![Sum::default(); partitions], stretch: None }
    }

    /// Takes the records of a partition out; their memory is the caller's from here.
    ///
    /// # Errors
    /// What kept spilled records from being read.
    pub fn take(&self, partition: usize) -> io::Result<Vec<Record>> {
        let held = self.keep(partition);
        self.give_back(held.len());
        let mut all: Vec<Record> = {
            let places = self.places.read();
            held.iter().map(|record| record.whole(&places)).collect()
        };
        drop(held);
        let spilled = std::mem::take(&mut lock(&self.partitions[partition]).spilled);
        for extent in spilled {
            let bytes = self.spill.read(extent)?;
            all.extend(bytes.as_chunks().0.iter().map(Record::from_bytes));
        }
        Ok(all)
    }

    /// Takes the records of a partition out that are in memory; their bytes stay taken from the budget.
    #[must_use]
    pub fn keep(&self, partition: usize) -> Held {
        std::mem::take(&mut lock(&self.partitions[partition]).held)
    }

    /// Gives back to the budget what so many records took.
    pub fn give_back(&self, records: usize) {
        self.budget.give(self.costs(records));
    }

    fn costs(&self, records: usize) -> u64 {
        records as u64 * self.cost
    }

    /// Where the rows of records in memory lie.
    #[must_use]
    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
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
    fn add(&self, records: &[Short], ends: &[u32], sums: &mut [Sum]) -> io::Result<()> {
        self.make_room(self.costs(records.len()))?;
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
            if !into.spills && into.spilled.is_empty() && self.budget.take(self.costs(some.len())) {
                if into.held.first.capacity() == 0 {
                    into.held.reserve(self.room.0, self.room.1);
                }
                into.held.extend(some);
                continue;
            }
            // A partition is whole in one place: what is held goes with the first that does not fit.
            self.spill_held(&mut into)?;
            let from = bytes.len() as u64;
            let places = self.places.read();
            bytes.extend(some.iter().flat_map(|record| record.whole(&places).to_bytes()));
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
            self.spill_held(&mut lock(partition))?;
        }
        Ok(())
    }

    /// Spills records whose places cannot be told in few bits, with all of their partitions.
    fn add_beyond(&self, records: &[(usize, Record)]) -> io::Result<()> {
        for some in records.chunk_by(|one, next| one.0 == next.0) {
            let mut into = lock(&self.partitions[some[0].0]);
            into.spills = true;
            self.spill_held(&mut into)?;
            let bytes: Vec<u8> = some.iter().flat_map(|(_, record)| record.to_bytes()).collect();
            into.spilled.push(self.spill.write(&bytes)?);
        }
        Ok(())
    }

    /// Spills what a partition holds.
    fn spill_held(&self, partition: &mut Partition) -> io::Result<()> {
        let held = std::mem::take(&mut partition.held);
        if held.len() == 0 {
            return Ok(());
        }
        let bytes: Vec<u8> = {
            let places = self.places.read();
            held.iter().flat_map(|record| record.whole(&places).to_bytes()).collect()
        };
        partition.spilled.push(self.spill.write(&bytes)?);
        self.give_back(held.len());
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a collector works with; kept for the next one.
#[derive(Default)]
struct Buffers {
    pending: Vec<Short>,
    ordered: Vec<Short>,
    ends: Vec<u32>,
    /// Those whose places cannot be told in few bits.
    beyond: Vec<(usize, Record)>,
}

/// Collects one thread's records.
pub struct Collector<'r, 's> {
    records: &'r Records<'s>,
    buffers: Buffers,
    sums: Vec<Sum>,
    /// The last one, and its number if it has one.
    stretch: Option<(u64, Option<u32>)>,
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
        let position = record.position();
        let Buffers { pending, beyond, .. } = &mut self.buffers;
        if let Some(number) = number_of(&mut self.stretch, &self.records.places, Places::stretch(position)) {
            let partition = u16::try_from(partition).expect("there are at most 4096 partitions");
            pending.push(Short::new(record, partition, Places::place(number, position)));
        } else {
            beyond.push((partition, record));
        }
        if pending.len().max(beyond.len()) == self.records.at_once { self.finish() } else { Ok(()) }
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
        let Buffers { pending, ordered, ends, beyond } = &mut self.buffers;
        // A counting sort: where each partition begins, and after it where it ends.
        ends.clear();
        ends.resize(self.sums.len() + 1, 0);
        for record in &*pending {
            ends[usize::from(record.partition) + 1] += 1;
        }
        for partition in 1..ends.len() {
            ends[partition] += ends[partition - 1];
        }
        ordered.clear();
        ordered.resize(pending.len(), Short::default());
        for record in &*pending {
            let at = &mut ends[usize::from(record.partition)];
            ordered[*at as usize] = *record;
            *at += 1;
        }
        pending.clear();
        self.records.add(ordered, ends, &mut self.sums)?;
        beyond.sort_unstable();
        self.records.add_beyond(beyond)?;
        beyond.clear();
        Ok(())
    }
}

/// The number of a stretch, which most often is the last one.
#[inline]
fn number_of(last: &mut Option<(u64, Option<u32>)>, places: &Places, stretch: u64) -> Option<u32> {
    match *last {
        Some((known, number)) if known == stretch => number,
        _ => {
            let number = places.number(stretch);
            *last = Some((stretch, number));
            number
        }
    }
}

impl Drop for Collector<'_, '_> {
    fn drop(&mut self) {
        self.buffers.pending.clear();
        self.buffers.beyond.clear();
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
