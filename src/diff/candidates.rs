//! Which rows must be looked at again: a bit for each row of each unit.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows of one unit, while it is read.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    words: Vec<u64>,
}

impl Marks {
    /// Marks a row.
    pub fn mark(&mut self, row: u64) {
        let word = usize::try_from(row / 64).expect("a unit's rows fit in memory as bits");
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (row % 64);
    }

    /// Whether a row is marked.
    #[must_use]
    pub fn has(&self, row: u64) -> bool {
        let word = usize::try_from(row / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Rows as bits.
    #[must_use]
    pub fn of(words: Vec<u64>) -> Self {
        Self { words }
    }

    /// The bits.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The marked rows, ascending.
    pub fn rows(&self) -> impl Iterator<Item = u64> {
        let bits = |word: u64| {
            std::iter::successors(Some(word), |rest| Some(rest & rest.wrapping_sub(1))).take_while(|rest| *rest != 0)
        };
        let of_word =
            move |(first, word): (u64, &u64)| bits(*word).map(move |rest| first + u64::from(rest.trailing_zeros()));
        (0..).step_by(64).zip(&self.words).flat_map(of_word)
    }

    /// Marks all rows that the other has marked.
    pub fn join(&mut self, other: &Self) {
        if other.words.len() > self.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        self.words.iter_mut().zip(&other.words).for_each(|(word, more)| *word |= more);
    }
}

/// The candidates of one side that are still to be read again: a bit for each row of each unit.
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

    /// Whether a row is marked.
    #[must_use]
    pub fn has(&self, unit: usize, row: u64) -> bool {
        let word = usize::try_from(row / 64).ok().and_then(|word| self.units[unit].get(word));
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (row % 64) & 1 == 1)
    }

    /// The marked rows of a unit.
    #[must_use]
    pub fn marks(&self, unit: usize) -> Marks {
        Marks::of(self.units[unit].iter().map(|word| word.load(Ordering::Relaxed)).collect())
    }

    /// How many rows are marked.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The marked rows of a unit, ascending, where they are few enough among its rows to be fetched one by one.
    #[must_use]
    pub fn few(&self, unit: usize) -> Option<Vec<u64>> {
        /// Below one row in so many, skipping costs less than decoding.
        const ONE_IN: usize = 16;
        let words = &self.units[unit];
        let count: usize = words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum();
        if count * ONE_IN > words.len() * 64 {
            return None;
        }
        let mut rows = Vec::with_capacity(count);
        for (first, word) in (0..).step_by(64).zip(words) {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                rows.push(first + u64::from(bits.trailing_zeros()));
                bits &= bits - 1;
            }
        }
        Some(rows)
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
