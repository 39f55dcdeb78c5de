//! Decides which rows of two sides must be looked at again, from their digests alone.
//!
//! Each row leaves a record of 24 bytes: eight of its key's digest, eight of its row's, and its position. Records lie in partitions
//! by key tag, in memory or spilled, and are joined a partition at a time. What agrees in both tags, once on each
//! side, is done with; all else is a candidate, to be read again and told apart by its values (`resolve`).
//!
//! Tags are short, so they only ever *propose* agreement: for each partition the full-width sums of the row digests,
//! less those of the candidates, must be equal on both sides. Where they are not, a tag has collided, and every row of
//! the partition becomes a candidate.
//!
//! It takes for granted that digests were made under one binding. It never reads sources, never shows values, never judges.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::{RowDigest, Sum};
use crate::sides::Sides;

pub mod resolve;

/// Where a row lies: unit and row within it, and whether `--where` holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Bits of the row number within a unit: a trillion rows.
    const ROW_BITS: u32 = 40;
    /// Units of one source: eight million.
    pub const UNITS: usize = 1 << 23;
    /// Rows of one unit.
    pub const ROWS: u64 = 1 << Self::ROW_BITS;

    /// Packs a position. `unit` is below `UNITS` and `row` below `ROWS`.
    #[must_use]
    pub fn new(unit: usize, row: u64, in_scope: bool) -> Self {
        assert!(unit < Self::UNITS && row < Self::ROWS, "more units or rows than a position holds");
        Self(u64::from(in_scope) << 63 | (unit as u64) << Self::ROW_BITS | row)
    }

    /// The unit.
    #[must_use]
    pub fn unit(self) -> usize {
        ((self.0 & !(1 << 63)) >> Self::ROW_BITS) as usize
    }

    /// The row within the unit.
    #[must_use]
    pub fn row(self) -> u64 {
        self.0 & (Self::ROWS - 1)
    }

    /// Whether the row satisfies `--where`.
    #[must_use]
    pub fn in_scope(self) -> bool {
        self.0 >> 63 == 1
    }
}

/// What a row leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of its key.
    pub key_tag: u64,
    /// Of the whole row.
    pub row_tag: u64,
    /// Where to find it again.
    pub position: Position,
}

impl Record {
    /// Bytes of one record, in memory and spilled.
    pub const BYTES: usize = 24;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.key_tag.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.row_tag.to_le_bytes());
        bytes[16..].copy_from_slice(&self.position.0.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Self { key_tag: word(0), row_tag: word(8), position: Position(word(16)) }
    }
}

/// Where bytes go that memory does not hold. The implementation belongs to an edge.
pub trait Spill: Sync {
    /// Keeps the bytes.
    ///
    /// # Errors
    /// What kept them from being written.
    fn write(&self, bytes: &[u8]) -> io::Result<Extent>;
    /// Gives them back.
    ///
    /// # Errors
    /// What kept them from being read.
    fn read(&self, extent: Extent) -> io::Result<Vec<u8>>;
}

/// A spilled stretch of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// How many bytes may be held before they are spilled; shared by all who hold some.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    held: AtomicU64,
}

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, held: AtomicU64::new(0) }
    }

    /// Takes bytes from the budget, if it has them.
    pub fn take(&self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes <= self.limit {
            return true;
        }
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    /// Gives bytes back.
    pub fn give(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// All that may be held.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

enum Chunk {
    Held(Vec<Record>),
    Spilled(Extent),
}

/// The records of one side, in partitions.
pub struct Records<'s> {
    partitions: Vec<Mutex<Partition>>,
    bits: u32,
    budget: &'s Budget,
    spill: &'s dyn Spill,
}

#[derive(Default)]
struct Partition {
    chunks: Vec<Chunk>,
    sum: Sum,
}

/// Which of `2^bits` partitions a key tag belongs to.
#[must_use]
pub fn partition_of(key_tag: u64, bits: u32) -> usize {
    if bits == 0 { 0 } else { usize::try_from(key_tag >> (64 - bits)).expect("a partition's number is small") }
}

impl<'s> Records<'s> {
    /// No records yet, in `2^bits` partitions.
    #[must_use]
    pub fn new(bits: u32, budget: &'s Budget, spill: &'s dyn Spill) -> Self {
        let partitions = (0..1_usize << bits).map(|_| Mutex::default()).collect();
        Self { partitions, bits, budget, spill }
    }

    /// Someone who collects records for one thread and hands them in now and then.
    #[must_use]
    pub fn collector(&self) -> Collector<'_, 's> {
        let partitions = self.partitions.len();
        Collector {
            records: self,
            pending: vec![Vec::new(); partitions],
            sums: vec![Sum::default(); partitions],
            count: 0,
        }
    }

    /// Takes the records of a partition out, and tells the sum of its rows' digests.
    ///
    /// # Errors
    /// What kept spilled records from being read.
    pub fn take(&self, partition: usize) -> io::Result<(Vec<Record>, Sum)> {
        let Partition { chunks, sum } = &*self.lock(partition);
        let held: usize =
            chunks.iter().map(|chunk| if let Chunk::Held(records) = chunk { records.len() } else { 0 }).sum();
        let mut all = Vec::with_capacity(held);
        for chunk in chunks {
            match chunk {
                Chunk::Held(records) => all.extend_from_slice(records),
                Chunk::Spilled(extent) => {
                    let bytes = self.spill.read(*extent)?;
                    all.extend(bytes.as_chunks().0.iter().map(Record::from_bytes));
                }
            }
        }
        Ok((all, *sum))
    }

    /// The sum of the digests of a partition's rows.
    #[must_use]
    pub fn sum(&self, partition: usize) -> Sum {
        self.lock(partition).sum
    }

    /// Lets all records go.
    pub fn clear(&self) {
        for partition in 0..self.partitions.len() {
            for chunk in std::mem::take(&mut self.lock(partition).chunks) {
                if let Chunk::Held(records) = chunk {
                    self.budget.give((records.len() * Record::BYTES) as u64);
                }
            }
        }
    }

    fn lock(&self, partition: usize) -> std::sync::MutexGuard<'_, Partition> {
        self.partitions[partition].lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn add(&self, pending: &mut [Vec<Record>], sums: &mut [Sum], count: usize) -> io::Result<()> {
        let held = self.budget.take((count * Record::BYTES) as u64);
        let mut spilled = Vec::new();
        if !held {
            for record in pending.iter().flatten() {
                spilled.extend_from_slice(&record.to_bytes());
            }
        }
        let mut offset = if held { 0 } else { self.spill.write(&spilled)?.offset };
        for (partition, (records, sum)) in pending.iter_mut().zip(sums).enumerate() {
            if records.is_empty() && *sum == Sum::default() {
                continue;
            }
            let mut into = self.lock(partition);
            into.sum += std::mem::take(sum);
            if held {
                into.chunks.push(Chunk::Held(std::mem::take(records)));
            } else {
                let length = (records.len() * Record::BYTES) as u64;
                into.chunks.push(Chunk::Spilled(Extent { offset, length }));
                offset += length;
                records.clear();
            }
        }
        Ok(())
    }
}

/// Collects one thread's records.
pub struct Collector<'r, 's> {
    records: &'r Records<'s>,
    pending: Vec<Vec<Record>>,
    sums: Vec<Sum>,
    count: usize,
}

impl Collector<'_, '_> {
    /// Records handed in together: some megabytes.
    const AT_ONCE: usize = 1 << 17;

    /// Adds a row that may pair. Its digest is summed.
    ///
    /// # Errors
    /// What kept records from being spilled.
    pub fn pair(&mut self, digest: &RowDigest, position: Position) -> io::Result<()> {
        let partition = partition_of(digest.key_tag, self.records.bits);
        let RowDigest { key_tag, row_tag, row } = *digest;
        self.pending[partition].push(Record { key_tag, row_tag, position });
        self.sums[partition] += row;
        self.count += 1;
        if self.count == Self::AT_ONCE { self.finish() } else { Ok(()) }
    }

    /// Sums the digest of a row that can never pair (it is a candidate from the start).
    pub fn sum_only(&mut self, digest: &RowDigest) {
        self.sums[partition_of(digest.key_tag, self.records.bits)] += digest.row;
    }

    /// Hands in what is pending.
    ///
    /// # Errors
    /// What kept records from being spilled.
    pub fn finish(&mut self) -> io::Result<()> {
        self.records.add(&mut self.pending, &mut self.sums, self.count)?;
        self.count = 0;
        Ok(())
    }
}

/// How a partition is joined.
#[derive(Clone, Copy, Debug)]
pub struct JoinRules {
    /// Without a key, equal rows pair as often as both sides have them.
    pub multiset: bool,
    /// `--where` is given: a key is out of scope where none of its rows satisfies it.
    pub scoped: bool,
    /// A tag has collided: nothing agrees by its tags.
    pub distrust: bool,
}

/// What the tags of one partition say.
#[derive(Debug, Default)]
pub struct Joined {
    /// Rows that agree, on either side.
    pub agree: u64,
    /// Rows of keys that are out of scope.
    pub out_of_scope: Sides<u64>,
    /// Rows that must be looked at again.
    pub candidates: Sides<Vec<Position>>,
}

/// Joins the records of one partition.
#[must_use]
pub fn join(mut records: Sides<Vec<Record>>, rules: JoinRules) -> Joined {
    for side in [&mut records.authority, &mut records.projection] {
        side.sort_unstable_by_key(|record| record.key_tag);
    }
    let mut joined = Joined::default();
    let (mut authority, mut projection) = (records.authority.as_slice(), records.projection.as_slice());
    loop {
        let next = match (authority.first(), projection.first()) {
            (Some(one), Some(other)) => one.key_tag.min(other.key_tag),
            (Some(only), None) | (None, Some(only)) => only.key_tag,
            (None, None) => return joined,
        };
        let group = Sides { authority: split(&mut authority, next), projection: split(&mut projection, next) };
        join_group(group, rules, &mut joined);
    }
}

/// Splits the records of one key tag off the front.
fn split<'a>(records: &mut &'a [Record], key_tag: u64) -> &'a [Record] {
    let count = records.iter().take_while(|record| record.key_tag == key_tag).count();
    let (group, rest) = records.split_at(count);
    *records = rest;
    group
}

fn join_group(group: Sides<&[Record]>, rules: JoinRules, joined: &mut Joined) {
    let Sides { authority, projection } = group;
    if rules.scoped && !authority.iter().chain(projection).any(|record| record.position.in_scope()) {
        joined.out_of_scope.authority += authority.len() as u64;
        joined.out_of_scope.projection += projection.len() as u64;
        return;
    }
    let one_row = |tag: u64| authority.iter().chain(projection).all(|record| record.row_tag == tag);
    let agree = !rules.distrust
        && authority.len() == projection.len()
        && (authority.len() == 1 || rules.multiset)
        && one_row(authority[0].row_tag);
    if agree {
        joined.agree += authority.len() as u64;
        return;
    }
    joined.candidates.authority.extend(authority.iter().map(|record| record.position));
    joined.candidates.projection.extend(projection.iter().map(|record| record.position));
}

/// The candidates of one side: a bit for each row of each unit.
#[derive(Debug, Default)]
pub struct Candidates {
    units: Vec<Vec<AtomicU64>>,
    count: AtomicU64,
}

impl Candidates {
    /// No candidates yet, among units of so many rows.
    #[must_use]
    pub fn new(rows: &[u64]) -> Self {
        let words = |rows: &u64| usize::try_from(rows.div_ceil(64)).expect("a unit's rows fit in memory as bits");
        let unit = |rows: &u64| (0..words(rows)).map(|_| AtomicU64::new(0)).collect();
        Self { units: rows.iter().map(unit).collect(), count: AtomicU64::new(0) }
    }

    /// Marks a row. Each row is marked once at most.
    pub fn mark(&self, unit: usize, row: u64) {
        let (word, bit) = (usize::try_from(row / 64).expect("as in `new`"), row % 64);
        self.units[unit][word].fetch_or(1 << bit, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many rows are marked.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether a unit has any.
    #[must_use]
    pub fn any(&self, unit: usize) -> bool {
        self.units.get(unit).is_some_and(|words| words.iter().any(|word| word.load(Ordering::Relaxed) != 0))
    }

    /// The marked rows of `first .. first + rows` of a unit, as offsets from `first`.
    #[must_use]
    pub fn among(&self, unit: usize, first: u64, rows: usize) -> Vec<u32> {
        let words = &self.units[unit];
        let marked = |row: u64| {
            let word = usize::try_from(row / 64).expect("as in `new`");
            words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) >> (row % 64) & 1 == 1)
        };
        let mut found = Vec::new();
        let mut offset = 0_u64;
        while offset < rows as u64 {
            let row = first + offset;
            let word = usize::try_from(row / 64).expect("as in `new`");
            if row.is_multiple_of(64) && words.get(word).is_none_or(|word| word.load(Ordering::Relaxed) == 0) {
                offset += 64;
                continue;
            }
            if marked(row) {
                found.push(u32::try_from(offset).expect("a batch has fewer than 2³² rows"));
            }
            offset += 1;
        }
        found
    }
}

#[cfg(test)]
mod tests;
