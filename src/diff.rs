//! Decides which rows of two sides must be looked at again, from their digests alone.
//!
//! Each row of a side leaves a record of 14 bytes: a tag of its key, a tag of its digest, and its place. Records lie in
//! partitions by key tag. Where one side's partition is in memory it becomes a shelf of the `index`, which the other
//! side's rows ask as they stream by; where it was spilled, and without a key or with `--where`, both sides leave records that
//! are sorted and joined. What agrees in both tags, once on each side, is done with; all else is a candidate, to be told apart
//! by its values (`resolve`).
//!
//! Tags are short, so they only ever *propose* agreement: for each partition the full-width sums of the row digests,
//! less those of the candidates, must be equal on both sides. Where they are not, a tag has collided, and every row of
//! the partition becomes a candidate.
//!
//! It takes for granted that digests were made under one binding. It never reads sources, never shows values, never judges.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

mod candidates;
mod index;
mod join;
mod ordered;
mod places;
mod records;
pub mod resolve;

pub use candidates::{Candidates, Marks};
pub use index::{Index, LetGo, Questions, Scratch, Shelf, Swept};
pub use join::{JoinRules, Joined, join};
pub use ordered::{Keys, OwnedKey, Run, Unlike, mark_differing};
pub use records::{Collector, Expected, Held, Record, Records};

/// Where a row lies: unit and row within it, and whether `--where` holds for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// All bits of a position.
    const BITS: u32 = 54;
    const MASK: u64 = (1 << Self::BITS) - 1;
    const IN_SCOPE: u64 = 1 << (Self::BITS - 1);
    /// Bits of the row number within a unit: eight thousand million rows.
    const ROW_BITS: u32 = 33;
    /// Units of one source: a million.
    pub const UNITS: usize = 1 << (Self::BITS - 1 - Self::ROW_BITS);
    /// Rows of one unit.
    pub const ROWS: u64 = 1 << Self::ROW_BITS;

    /// Packs a position. `unit` is below `UNITS` and `row` below `ROWS`.
    #[must_use]
    pub fn new(unit: usize, row: u64, in_scope: bool) -> Self {
        assert!(unit < Self::UNITS && row < Self::ROWS, "more units or rows than a position holds");
        let scope = if in_scope { Self::IN_SCOPE } else { 0 };
        Self(scope | (unit as u64) << Self::ROW_BITS | row)
    }

    /// The same wherever `--where` holds.
    fn anywhere(self) -> u64 {
        self.0 & !Self::IN_SCOPE
    }

    /// What `anywhere` tells, in scope or not.
    fn somewhere(anywhere: u64, in_scope: bool) -> Self {
        Self(if in_scope { Self::IN_SCOPE } else { 0 } | anywhere)
    }

    /// The unit.
    #[must_use]
    pub fn unit(self) -> usize {
        (self.anywhere() >> Self::ROW_BITS) as usize
    }

    /// The row within the unit.
    #[must_use]
    pub fn row(self) -> u64 {
        self.0 & (Self::ROWS - 1)
    }

    /// Whether the row satisfies `--where`.
    #[must_use]
    pub fn in_scope(self) -> bool {
        self.0 & Self::IN_SCOPE != 0
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

    /// Whether so many bytes could be taken.
    #[must_use]
    pub fn has(&self, bytes: u64) -> bool {
        self.held.load(Ordering::Relaxed) + bytes <= self.limit
    }

    /// Gives bytes back.
    pub fn give(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// All that may be held.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

/// Which of `2^bits` partitions a key tag belongs to.
#[must_use]
pub fn partition_of(key_tag: u64, bits: u32) -> usize {
    if bits == 0 { 0 } else { usize::try_from(key_tag >> (64 - bits)).expect("a partition's number is small") }
}

#[cfg(test)]
mod tests;
