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

/// The records of one partition in the order of their key tags, each at the place among the slots that its tag has among
/// all tags, or as soon after it as others leave room. So one look at memory finds most.
pub struct Shelf {
    slots: Vec<Slot>,
    /// How many of them hold a record.
    records: usize,
    /// Places, fewer than slots by those that follow the last place.
    places: u64,
}

/// A record, and in the bits that it leaves free what became of it.
struct Slot {
    first: AtomicU64,
    second: AtomicU64,
}

/// In the second word: a row across has equal tags.
const SEEN: u64 = 1 << Position::BITS;
/// In the first word, so that nobody who writes the other one takes it back: the key is not alone on its side, or a row across has
/// it that differs or is not the only one.
const CONTESTED: u64 = 1;

/// What no record is: the place of none.
const FREE: Record = Record { first: u64::MAX, second: u64::MAX };

/// Slots that are compared at once.
const WINDOW: usize = 4;

impl Slot {
    fn of(record: Record) -> Self {
        Self { first: AtomicU64::new(record.first), second: AtomicU64::new(record.second) }
    }

    #[inline]
    fn first(&self) -> u64 {
        self.first.load(Ordering::Relaxed)
    }

    #[inline]
    fn key(&self) -> u64 {
        self.first() >> Record::ROW_BITS
    }

    #[inline]
    fn record(&self) -> Record {
        Record { first: self.first(), second: self.second.load(Ordering::Relaxed) }
    }

    /// Two threads at the same record at once may both think that they were first. Then one row too many is let go, which the sums
    /// tell; a locked operation for every row would cost more than all else here.
    #[inline]
    fn see(&self) {
        self.second.store(self.second.load(Ordering::Relaxed) | SEEN, Ordering::Relaxed);
    }

    /// For few rows, and never lost: a row that was let go beside one that differs is told by no sum.
    fn contest(&self) {
        self.first.fetch_or(CONTESTED, Ordering::Relaxed);
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
    /// The place of each.
    found: Vec<usize>,
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
    /// How many slots so many records take: a sixth stays free.
    pub(super) fn slots(records: usize) -> usize {
        records + records / 5 + 64
    }

    /// Shelves records, in their own memory where it has room.
    #[must_use]
    pub fn new(mut records: Vec<Record>, scratch: &mut Vec<Record>) -> Self {
        order(&records, scratch);
        let places = (records.len() + records.len() / 5) as u64 + 1;
        records.clear();
        records.reserve(Self::slots(scratch.len()));
        for &record in &*scratch {
            // A search ends at the first free slot, so none lies between a record's place and the record.
            records.resize(place(record, places).max(records.len()), FREE);
            records.push(record);
        }
        records.resize(records.len().max(places as usize) + WINDOW, FREE);
        Self { slots: records.into_iter().map(Slot::of).collect(), records: scratch.len(), places }
    }

    /// What became of the records after all rows across have asked.
    #[must_use]
    pub fn sweep(&self) -> Swept {
        let mut swept = Swept::default();
        for slot in &self.slots {
            let record = slot.record();
            match (record.second & SEEN != 0, record.first & CONTESTED != 0) {
                _ if record == FREE => {}
                (true, false) => swept.agree += 1,
                (seen, _) => {
                    swept.candidates.push(record.position());
                    if seen {
                        swept.let_go.push(record.key());
                    }
                }
            }
        }
        swept
    }

    /// Whether a row agrees with the record of its key, as far as the tags say and until another row has its key.
    #[inline]
    fn agrees(&self, place: usize, asked: Record) -> bool {
        let key = asked.key();
        // Nearly all lie within a few slots, which are compared without asking after each whether to go on: that could not be
        // foretold.
        let (slots, _) = self.slots[place..].as_chunks::<WINDOW>();
        let Some(window) = slots.first() else { return false };
        let mut at = WINDOW;
        for (offset, slot) in window.iter().enumerate().rev() {
            at = if slot.key() == key { offset } else { at };
        }
        let near = window.get(at);
        // The slots end with free ones, whose key is greater than any.
        let Some(slot) = near.or_else(|| self.slots[place..].iter().find(|slot| slot.key() >= key)) else {
            return false;
        };
        let record = slot.record();
        if record.key() != key || record.first & CONTESTED != 0 {
            return false;
        }
        // The first row of equal tags is let go; whoever comes later finds it seen, or it finds itself contested.
        if record.same_row(asked) && record.second & SEEN == 0 {
            slot.see();
            return true;
        }
        slot.contest();
        false
    }
}

/// The place of a record among so many: that of its key, whatever its row.
#[inline]
fn place(record: Record, places: u64) -> usize {
    let key = record.key() << Record::ROW_BITS;
    ((u128::from(key) * u128::from(places)) >> 64) as usize
}

/// Copies records in order, and contests keys that occur more than once.
fn order(records: &[Record], ordered: &mut Vec<Record>) {
    let bits = (records.len() / 2).max(1).ilog2();
    let mut next = vec![0_u32; (1 << bits) + 1];
    for record in records {
        next[record.bucket(bits) + 1] += 1;
    }
    for bucket in 1..next.len() {
        next[bucket] += next[bucket - 1];
    }
    ordered.clear();
    ordered.resize(records.len(), FREE);
    for record in records {
        let at = &mut next[record.bucket(bits)];
        ordered[*at as usize] = *record;
        *at += 1;
    }
    // A bucket ends where the next one would have begun.
    let mut start = 0;
    for &end in &next[..1 << bits] {
        ordered[start..end as usize].sort_unstable();
        start = end as usize;
    }
    for at in 1..ordered.len() {
        if ordered[at - 1].key() == ordered[at].key() {
            ordered[at - 1].first |= CONTESTED;
            ordered[at].first |= CONTESTED;
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
        shelves.map(|shelf| (shelf.records * Record::BYTES) as u64).sum()
    }

    /// Answers all questions: tells each row that does not agree.
    pub fn answer(&self, questions: &mut Questions, mut differs: impl FnMut(u32)) {
        /// Questions answered together: what they look at stays in the second-level cache.
        const TOGETHER: usize = 1024;
        let Questions { asked, found } = questions;
        for asked in asked.chunks(TOGETHER) {
            // In passes, so that the memory that rows wait for is fetched for many side by side: first what lies at each
            // place, and at the end of what is compared with it, is only looked at.
            found.clear();
            let mut looked = 0;
            for question in asked {
                let shelf = self.shelves[question.partition as usize].as_ref();
                let place = shelf.map_or(0, |shelf| place(question.record, shelf.places));
                let slot = |at: usize| shelf.and_then(|shelf| shelf.slots.get(at)).map_or(0, Slot::first);
                looked ^= slot(place) ^ slot(place + WINDOW - 1);
                found.push(place);
            }
            std::hint::black_box(looked);
            for (question, place) in asked.iter().zip(&*found) {
                let shelf = self.shelves[question.partition as usize].as_ref();
                if !shelf.is_some_and(|shelf| shelf.agrees(*place, question.record)) {
                    differs(question.row);
                }
            }
        }
        asked.clear();
    }
}
