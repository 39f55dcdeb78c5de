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

/// The records of one partition in the order of their key tags, each in the line of slots that its tag has among
/// all tags, or as soon after it as others leave room. So one look at memory finds most.
pub struct Shelf {
    slots: Vec<Slot>,
    /// How many of them hold a record.
    records: usize,
    /// Where the first line begins: so that lines are those of the processor's cache.
    start: usize,
    /// Lines, fewer than there are slots for by those that follow the last one.
    lines: u64,
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

/// Slots of a line, which are compared at once.
const LINE: usize = 64 / Record::BYTES;

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
    /// How many slots so many records take: a fifth stays free, so that of ten keys seven lie in their own line.
    pub(super) fn slots(records: usize) -> usize {
        Self::spread(records) + 64
    }

    fn spread(records: usize) -> usize {
        records + records / 4
    }

    /// Shelves records, in their own memory where it has room.
    #[must_use]
    pub fn new(mut records: Vec<Record>, scratch: &mut Vec<Record>) -> Self {
        order(&records, scratch);
        let lines = (Self::spread(scratch.len()) / LINE) as u64 + 1;
        records.clear();
        records.reserve(Self::slots(scratch.len()));
        let start = records.as_ptr().addr().wrapping_neg() / Record::BYTES % LINE;
        for &record in &*scratch {
            // A search ends at the first free slot, so none lies between a record's line and the record.
            records.resize((start + line(record, lines) * LINE).max(records.len()), FREE);
            records.push(record);
        }
        records.resize(records.len().max(start + lines as usize * LINE) + LINE, FREE);
        Self { slots: records.into_iter().map(Slot::of).collect(), records: scratch.len(), start, lines }
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

    /// The slots from the line of a record's key on.
    #[inline]
    fn from(&self, record: Record) -> &[Slot] {
        self.slots.get(self.start + line(record, self.lines) * LINE..).unwrap_or_default()
    }
}

/// What the first line of these slots says of a row.
#[inline]
fn near(slots: &[Slot], asked: Record) -> Answer {
    let key = asked.key();
    let Some(line) = slots.first_chunk::<LINE>() else { return Answer::Differs };
    // Without asking after each slot whether to go on: that could not be foretold.
    let mut at = LINE;
    for (offset, slot) in line.iter().enumerate().rev() {
        at = if slot.key() == key { offset } else { at };
    }
    match line.get(at) {
        Some(slot) => slot.answer(asked),
        None if line[LINE - 1].key() < key => Answer::Beyond,
        None => Answer::Differs,
    }
}

/// What all of these slots say of a row. They end with free ones, whose key is greater than any.
fn far(slots: &[Slot], asked: Record) -> Answer {
    let slot = slots.iter().find(|slot| slot.key() >= asked.key());
    slot.filter(|slot| slot.key() == asked.key()).map_or(Answer::Differs, |slot| slot.answer(asked))
}

/// What a row is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It agrees with the record of its key, as far as the tags say and until another row has its key.
    Agrees,
    /// It is a candidate.
    Differs,
    /// Its key may lie behind.
    Beyond,
}

impl Slot {
    /// Of a row whose key this record has.
    #[inline]
    fn answer(&self, asked: Record) -> Answer {
        let record = self.record();
        if record.first & CONTESTED != 0 {
            return Answer::Differs;
        }
        // The first row of equal tags is let go; whoever comes later finds it seen, or it finds itself contested.
        if record.same_row(asked) && record.second & SEEN == 0 {
            self.see();
            return Answer::Agrees;
        }
        self.contest();
        Answer::Differs
    }
}

/// The line of a record among so many: that of its key, whatever its row.
#[inline]
fn line(record: Record, lines: u64) -> usize {
    let key = record.key() << Record::ROW_BITS;
    ((u128::from(key) * u128::from(lines)) >> 64) as usize
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
        /// Questions answered together: what they look at stays in the first-level cache.
        const TOGETHER: usize = 256;
        let mut found: [&[Slot]; TOGETHER] = [&[]; TOGETHER];
        let mut open = [0; TOGETHER];
        // Only looks, so that the memory is there when it is read.
        let look = |slots: &[Slot]| slots.first().map_or(0, Slot::first);
        for asked in questions.asked.chunks(TOGETHER) {
            for (number, (found, question)) in found.iter_mut().zip(asked).enumerate() {
                let shelf = self.shelf(question.partition as usize);
                *found = shelf.map(|shelf| shelf.from(question.record)).unwrap_or_default();
                open[number] = number;
            }
            let mut count = asked.len();
            // In passes, so that the memory that rows wait for is fetched for many side by side: what lies in each line is first only
            // looked at, then what lies in the next one of those whose key may lie there.
            for behind in [0, LINE] {
                let slots = |number: usize| &found[number][behind..];
                std::hint::black_box(open[..count].iter().fold(0, |looked, &number| looked ^ look(slots(number))));
                let mut beyond = 0;
                for at in 0..count {
                    let number = open[at];
                    let answer = near(slots(number), asked[number].record);
                    open[beyond] = number;
                    beyond += usize::from(answer == Answer::Beyond);
                    if answer == Answer::Differs {
                        differs(asked[number].row);
                    }
                }
                count = beyond;
            }
            let slots = |number: usize| &found[number][2 * LINE..];
            std::hint::black_box(open[..count].iter().fold(0, |looked, &number| looked ^ look(slots(number))));
            for &number in &open[..count] {
                if far(slots(number), asked[number].record) != Answer::Agrees {
                    differs(asked[number].row);
                }
            }
        }
        questions.asked.clear();
    }
}
