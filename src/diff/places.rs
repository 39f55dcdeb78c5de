//! Where rows lie, told in 32 bits instead of 53: stretches of rows get numbers in the order in which they are met.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use rustc_hash::FxHashMap;

use super::Position;

/// The numbers of all stretches.
#[derive(Debug)]
pub(super) struct Places {
    /// How many have a number at most.
    most: usize,
    numbered: RwLock<Numbered>,
}

/// The stretches that have a number.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    numbers: FxHashMap<u64, u32>,
    stretches: Vec<u64>,
}

impl Places {
    /// Bits of the row within its stretch.
    const ROW_BITS: u32 = 12;
    /// As many as the other bits can number: four thousand million rows.
    pub(super) const MOST: usize = 1 << (u32::BITS - Self::ROW_BITS);

    /// No numbers yet, and so many at most.
    pub(super) fn new(most: usize) -> Self {
        Self { most, numbered: RwLock::default() }
    }

    /// The stretch of a row.
    pub(super) fn stretch(position: Position) -> u64 {
        position.anywhere() >> Self::ROW_BITS
    }

    /// The place of a row whose stretch has this number.
    pub(super) fn place(number: u32, position: Position) -> u32 {
        number << Self::ROW_BITS | (position.anywhere() & ((1 << Self::ROW_BITS) - 1)) as u32
    }

    /// The number of a stretch; None where there are no more of them.
    pub(super) fn number(&self, stretch: u64) -> Option<u32> {
        let mut numbered = self.numbered.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbered.numbers.get(&stretch) {
            return Some(*number);
        }
        let number = numbered.stretches.len();
        if number >= self.most {
            return None;
        }
        let number = u32::try_from(number).expect("there are fewer than 2²⁰ stretches");
        numbered.numbers.insert(stretch, number);
        numbered.stretches.push(stretch);
        Some(number)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Numbered> {
        self.numbered.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbered {
    /// The row at a place.
    pub(super) fn position(&self, place: u32, in_scope: bool) -> Position {
        let row = u64::from(place) & ((1 << Places::ROW_BITS) - 1);
        let stretch = self.stretches[(place >> Places::ROW_BITS) as usize];
        Position::somewhere(stretch << Places::ROW_BITS | row, in_scope)
    }
}
