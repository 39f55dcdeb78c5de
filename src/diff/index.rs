//! The records of one side in memory, made to be asked by the rows of the other as they stream by, so that only one side's
//! records are ever held.
//!
//! A key is settled by its tags only where each side has it once and the rows' tags are equal. Whatever else a row
//! finds, it is handed back to be kept at once, values and all, and the record it found becomes contested.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Position, Record};

/// Records of one side, by partition; None where a partition was spilled.
pub struct Index {
    shelves: Vec<Option<Shelf>>,
}

/// The records of one partition, in buckets by key tag.
pub struct Shelf {
    /// Bits of the bucket number.
    bits: u32,
    /// Where each bucket begins, and at the end where the last one ends.
    starts: Vec<u32>,
    /// By bucket, and in a bucket in order.
    slots: Vec<Slot>,
}

/// A record, and in the bits that it leaves free what became of it.
struct Slot {
    first: u64,
    second: AtomicU64,
}

/// A row across has equal tags.
const SEEN: u64 = 1 << Position::BITS;
/// The key is not alone on its side, or a row across has it that differs or is not the only one.
const CONTESTED: u64 = 2 << Position::BITS;

impl Slot {
    fn of(record: Record) -> Self {
        Self { first: record.first, second: AtomicU64::new(record.second) }
    }

    #[inline]
    fn record(&self) -> Record {
        Record { first: self.first, second: self.second.load(Ordering::Relaxed) }
    }

    /// Two threads at the same record at once may both think that they were first. Then one row too many is let go, which the sums
    /// tell; a locked operation for every row would cost more than all else here.
    #[inline]
    fn add(&self, state: u64) {
        self.second.store(self.second.load(Ordering::Relaxed) | state, Ordering::Relaxed);
    }
}

/// What became of a partition's records.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Rows that agree, on either side.
    pub agree: u64,
    /// Rows of this side that must be looked at again.
    pub candidates: Vec<Position>,
    /// Keys that a row across was let go for before another came: that row must be found again.
    pub let_go: Vec<u64>,
}

/// What a batch of rows asks the index; kept from batch to batch.
#[derive(Debug, Default)]
pub struct Questions {
    asked: Vec<Question>,
    /// Where the bucket of each begins and ends.
    found: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    partition: u32,
    /// The row within its batch.
    row: u32,
    record: Record,
}

impl Questions {
    /// Asks for a row of the batch.
    pub fn ask(&mut self, partition: usize, row: usize, record: Record) {
        let narrow = |number: usize| u32::try_from(number).expect("partitions and rows of a batch are few");
        self.asked.push(Question { partition: narrow(partition), row: narrow(row), record });
    }
}

impl Shelf {
    /// Puts records into buckets of about four.
    #[must_use]
    pub fn new(mut records: Vec<Record>, scratch: &mut Vec<Record>) -> Self {
        let bits = (records.len() / 2).max(1).ilog2();
        let mut starts = vec![0_u32; (1 << bits) + 1];
        for record in &records {
            starts[record.bucket(bits) + 1] += 1;
        }
        for bucket in 1..starts.len() {
            starts[bucket] += starts[bucket - 1];
        }
        scratch.clear();
        scratch.extend_from_slice(&records);
        let mut next = starts.clone();
        for record in &*scratch {
            let at = &mut next[record.bucket(bits)];
            records[*at as usize] = *record;
            *at += 1;
        }
        for range in starts.windows(2) {
            settle(&mut records[range[0] as usize..range[1] as usize]);
        }
        Self { bits, starts, slots: records.into_iter().map(Slot::of).collect() }
    }

    /// What became of the records after all rows across have asked.
    #[must_use]
    pub fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        for slot in &self.slots {
            let record = slot.record();
            match record.second & (SEEN | CONTESTED) {
                SEEN => swept.agree += 1,
                state => {
                    swept.candidates.push(record.position());
                    if state & SEEN != 0 {
                        swept.let_go.push(record.key());
                    }
                }
            }
        }
        swept
    }

    /// Whether a row agrees with the record of its key, as far as the tags say and until another row has its key.
    #[inline]
    fn agrees(&self, (start, end): (u32, u32), asked: Record) -> bool {
        let bucket = &self.slots[start as usize..end as usize];
        let Some(slot) = bucket.iter().find(|slot| slot.first >> Record::ROW_BITS >= asked.key()) else { return false };
        let record = slot.record();
        if record.key() != asked.key() || record.second & CONTESTED != 0 {
            return false;
        }
        // The first row of equal tags is let go; whoever comes later finds it seen, or it finds itself contested.
        if record.same_row(asked) && record.second & SEEN == 0 {
            slot.add(SEEN);
            return true;
        }
        slot.add(CONTESTED);
        false
    }
}

/// Brings a bucket into order and contests keys that occur more than once.
fn settle(bucket: &mut [Record]) {
    bucket.sort_unstable();
    for at in 1..bucket.len() {
        if bucket[at - 1].key() == bucket[at].key() {
            bucket[at - 1].second |= CONTESTED;
            bucket[at].second |= CONTESTED;
        }
    }
}

impl Index {
    /// The shelves in the order of their partitions.
    #[must_use]
    pub fn new(shelves: Vec<Option<Shelf>>) -> Self {
        Self { shelves }
    }

    /// A partition's shelf, if it is in memory.
    #[must_use]
    pub fn shelf(&self, partition: usize) -> Option<&Shelf> {
        self.shelves[partition].as_ref()
    }

    /// Bytes of its records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let shelves = self.shelves.iter().flatten();
        shelves.map(|shelf| (shelf.slots.len() * Record::BYTES) as u64).sum()
    }

    /// Answers all questions: tells each row that does not agree.
    pub fn answer(&self, questions: &mut Questions, mut differs: impl FnMut(u32)) {
        /// Questions answered together: what they look at stays in the second-level cache.
        const TOGETHER: usize = 1024;
        let Questions { asked, found } = questions;
        for asked in asked.chunks(TOGETHER) {
            // In passes, so that the memory that rows wait for is fetched for many side by side: where the buckets lie, then
            // the first and the last of what lies there, which only has to be looked at.
            found.clear();
            found.extend(asked.iter().map(|question| match &self.shelves[question.partition as usize] {
                Some(shelf) => {
                    let bucket = question.record.bucket(shelf.bits);
                    (shelf.starts[bucket], shelf.starts[bucket + 1])
                }
                None => (0, 0),
            }));
            let look = |(question, found): (&Question, &(u32, u32))| {
                let shelf = self.shelves[question.partition as usize].as_ref();
                let slot = |at: u32| shelf.and_then(|shelf| shelf.slots.get(at as usize)).map_or(0, |slot| slot.first);
                slot(found.0) ^ slot(found.1)
            };
            std::hint::black_box(asked.iter().zip(&*found).map(look).fold(0, std::ops::BitXor::bitxor));
            for (question, found) in asked.iter().zip(&*found) {
                let shelf = self.shelves[question.partition as usize].as_ref();
                if !shelf.is_some_and(|shelf| shelf.agrees(*found, question.record)) {
                    differs(question.row);
                }
            }
        }
        asked.clear();
    }
}
