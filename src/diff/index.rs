//! The records of one side in memory, made to be asked by the rows of the other as they stream by, so that only one side's
//! records are ever held.
//!
//! A key is settled by its tags only where each side has it once and the rows' tags are equal. Whatever else a row
//! finds, it is handed back to be kept at once, values and all, and the record it found becomes contested.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::places::Places;
use super::records::Short;
use super::{Held, Position, Record, Records};

/// Records of one side, by partition; None where a partition was spilled.
pub struct Index {
    shelves: Vec<Option<Shelf>>,
    places: Arc<Places>,
}

/// The records of one partition in the order of their keys, one for each, each in the line of slots that its key has among
/// all keys, or as soon after it as others leave room. So one look at memory finds most.
pub struct Shelf {
    slots: Vec<Slot>,
    /// Of the records in the slots, in their order.
    places: Vec<u32>,
    /// Of the other records of keys that occur more than once.
    others: Vec<u32>,
    /// Where the first line begins: so that lines are those of the processor's cache.
    start: usize,
    /// Lines, fewer than there are slots for by those that follow the last one.
    lines: u64,
}

/// What a row is compared by: the lower half of what is kept of its key's tag, for the line stands for most of the rest, and the tag
/// of the row. In the bits that they leave free it says what became of the record. All of them are free where there is none.
#[derive(Debug)]
struct Slot(AtomicU64);

/// There is a record.
const TAKEN: u64 = 1;
/// A row across has equal tags and was let go.
const SEEN: u64 = 2;
/// The key is not alone on its side, or a row across has it that differs or is not the only one.
const CONTESTED: u64 = 4;
/// Where the row's tag begins.
const ROW_AT: u32 = 3;
/// Where the key's tag begins.
const KEY_AT: u32 = ROW_AT + Record::ROW_BITS;
/// A slot without its record's row, and without what became of it.
const KEY: u64 = u64::MAX << KEY_AT | TAKEN;

/// No record.
const FREE: u64 = 0;

/// Bits of a key that records keep.
const KEY_BITS: u32 = 44;
/// Those that slots leave out.
const HIGH_BITS: u32 = KEY_BITS - (u64::BITS - KEY_AT);

/// Slots of a line, which are compared at once.
const LINE: usize = 64 / size_of::<Slot>();

/// What the slot of such a record says before any row has asked.
#[inline]
fn slot_of(key: u64, row: u64) -> u64 {
    key << KEY_AT | row << ROW_AT | TAKEN
}

impl Slot {
    #[inline]
    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
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
    pub let_go: Vec<LetGo>,
}

/// A key, as far as a slot tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetGo {
    /// The lower half of what records keep of it.
    pub low: u32,
    /// The least that the rest may be, and the greatest.
    pub high: (u16, u16),
}

impl LetGo {
    /// What records keep of a key, in two parts.
    #[must_use]
    pub fn parts(key: u64) -> (u32, u16) {
        (key as u32, (key >> (KEY_BITS - HIGH_BITS)) as u16)
    }

    /// Whether it may be this key.
    #[must_use]
    pub fn may_be(self, key: u64) -> bool {
        let (low, high) = Self::parts(key);
        self.low == low && (self.high.0..=self.high.1).contains(&high)
    }
}

/// What shelving works with; kept from shelf to shelf.
#[derive(Debug, Default)]
pub struct Scratch {
    ordered: Vec<Short>,
    next: Vec<u32>,
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
    /// How many slots so many records take: a fifth stays free, so that of ten keys eight lie in their own line.
    pub(super) fn slots(records: usize) -> usize {
        Self::spread(records) + 4 * LINE
    }

    fn spread(records: usize) -> usize {
        records + records / 4
    }

    /// Shelves records, in their own memory where it has room.
    #[must_use]
    pub fn new(held: Held, scratch: &mut Scratch) -> Self {
        order(&held, scratch);
        let records = held.len();
        let Held { first: mut slots, mut places, .. } = held;
        let lines = (Self::spread(records) / LINE) as u64 + 1;
        let mut others = Vec::new();
        slots.clear();
        places.clear();
        slots.reserve(Self::slots(records));
        let start = slots.as_ptr().addr().wrapping_neg() / size_of::<Slot>() % LINE;
        let mut before = None;
        for record in &scratch.ordered {
            let key = record.key();
            if before == Some(key) {
                slots.iter_mut().next_back().into_iter().for_each(|slot| *slot |= CONTESTED);
                others.push(record.place);
                continue;
            }
            before = Some(key);
            // A search ends at the first free slot, so none lies between a record's line and the record.
            slots.resize((start + line(key, lines) * LINE).max(slots.len()), FREE);
            slots.push(slot_of(key, record.row()));
            places.push(record.place);
        }
        slots.resize(slots.len().max(start + lines as usize * LINE) + LINE, FREE);
        let slots = slots.into_iter().map(|slot| Slot(AtomicU64::new(slot))).collect();
        Self { slots, places, others, start, lines }
    }

    fn records(&self) -> usize {
        self.places.len() + self.others.len()
    }

    /// What became of the records after all rows across have asked.
    fn sweep(&self, places: &Places) -> Swept {
        let places = places.read();
        let position = |place| places.position(place, true);
        let mut swept = Swept { candidates: self.others.iter().copied().map(position).collect(), ..Swept::default() };
        let (mut all, mut begin) = (self.places.iter(), 0);
        for (at, slot) in self.slots.iter().enumerate() {
            let slot = slot.load();
            if slot == FREE {
                begin = at + 1;
                continue;
            }
            let place = all.next().expect("each record in a slot has its place");
            if slot & (SEEN | CONTESTED) == SEEN {
                swept.agree += 1;
                continue;
            }
            swept.candidates.push(position(*place));
            if slot & SEEN != 0 {
                swept.let_go.push(self.let_go(begin, at, slot));
            }
        }
        swept
    }

    /// The key of a slot in an unbroken row of slots that begins there: its line is not before that, and not after it.
    fn let_go(&self, begin: usize, at: usize, slot: u64) -> LetGo {
        let line = |slot: usize| (slot.saturating_sub(self.start) / LINE) as u64;
        let high = |line: u64| ((line << HIGH_BITS) / self.lines).min((1 << HIGH_BITS) - 1) as u16;
        LetGo { low: (slot >> KEY_AT) as u32, high: (high(line(begin)), high(line(at) + 1)) }
    }

    /// The slots from the line of a record's key on.
    #[inline]
    fn from(&self, record: Record) -> &[Slot] {
        self.slots.get(self.start + line(record.key(), self.lines) * LINE..).unwrap_or_default()
    }
}

/// What the first line of these slots says of a row.
#[inline]
fn near(slots: &[Slot], asked: u64) -> Answer {
    let Some(line) = slots.first_chunk::<LINE>() else { return Answer::Differs };
    // Without asking after each slot whether to go on: that could not be foretold.
    let mut at = LINE;
    for (offset, slot) in line.iter().enumerate().rev() {
        at = if slot.load() & KEY == asked & KEY { offset } else { at };
    }
    match line.get(at) {
        Some(slot) => slot.answer(asked),
        None if line[LINE - 1].load() != FREE => Answer::Beyond,
        None => Answer::Differs,
    }
}

/// What all of these slots say of a row. They end with free ones.
fn far(slots: &[Slot], asked: u64) -> Answer {
    let mut taken = slots.iter().take_while(|slot| slot.load() != FREE);
    taken.find(|slot| slot.load() & KEY == asked & KEY).map_or(Answer::Differs, |slot| slot.answer(asked))
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
    fn answer(&self, asked: u64) -> Answer {
        // The first row of equal tags is let go; whoever comes later finds it seen, or it finds itself contested.
        let once = self.0.compare_exchange(asked, asked | SEEN, Ordering::Relaxed, Ordering::Relaxed);
        if once.is_ok() {
            return Answer::Agrees;
        }
        self.0.fetch_or(CONTESTED, Ordering::Relaxed);
        Answer::Differs
    }
}

/// The line of a key among so many.
#[inline]
fn line(key: u64, lines: u64) -> usize {
    ((u128::from(key << (u64::BITS - KEY_BITS)) * u128::from(lines)) >> 64) as usize
}

/// Brings records into the order of their keys.
fn order(held: &Held, Scratch { ordered, next }: &mut Scratch) {
    let bits = (held.len() / 2).max(1).ilog2();
    next.clear();
    next.resize((1 << bits) + 1, 0);
    for record in held.iter() {
        next[record.bucket(bits) + 1] += 1;
    }
    for bucket in 1..next.len() {
        next[bucket] += next[bucket - 1];
    }
    ordered.clear();
    ordered.resize(held.len(), Short::default());
    for record in held.iter() {
        let at = &mut next[record.bucket(bits)];
        ordered[*at as usize] = record;
        *at += 1;
    }
    // A bucket ends where the next one would have begun.
    let mut start = 0;
    for &end in &next[..1 << bits] {
        ordered[start..end as usize].sort_unstable_by_key(|record| record.first);
        start = end as usize;
    }
}

impl Index {
    /// The shelves in the order of their partitions, of such records.
    #[must_use]
    pub fn new(shelves: Vec<Option<Shelf>>, records: &Records<'_>) -> Self {
        Self { shelves, places: Arc::clone(records.places()) }
    }

    /// Whether a partition is in memory.
    #[must_use]
    pub fn holds(&self, partition: usize) -> bool {
        self.shelves[partition].is_some()
    }

    /// What became of a partition's records after all rows across have asked, if it is in memory.
    #[must_use]
    pub fn sweep(&self, partition: usize) -> Option<Swept> {
        self.shelves[partition].as_ref().map(|shelf| shelf.sweep(&self.places))
    }

    /// How many records it holds.
    #[must_use]
    pub fn records(&self) -> usize {
        self.shelves.iter().flatten().map(Shelf::records).sum()
    }

    /// Answers all questions: tells each row that does not agree.
    pub fn answer(&self, questions: &mut Questions, mut differs: impl FnMut(u32)) {
        /// Questions answered together: what they look at stays in the first-level cache.
        const TOGETHER: usize = 256;
        let mut found: [&[Slot]; TOGETHER] = [&[]; TOGETHER];
        let mut open = [0; TOGETHER];
        // Only looks, so that the memory is there when it is read.
        let look = |slots: &[Slot]| slots.first().map_or(0, Slot::load);
        for asked in questions.asked.chunks(TOGETHER) {
            for (number, (found, question)) in found.iter_mut().zip(asked).enumerate() {
                let shelf = self.shelves[question.partition as usize].as_ref();
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
                    let answer = near(slots(number), slot_of(asked[number].record.key(), asked[number].record.row()));
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
                if far(slots(number), slot_of(asked[number].record.key(), asked[number].record.row())) != Answer::Agrees
                {
                    differs(asked[number].row);
                }
            }
        }
        questions.asked.clear();
    }
}
