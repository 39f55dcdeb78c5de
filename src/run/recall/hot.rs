//! Key tags of which some row is new or gone since the last run. It may take a tag for one of them that is none, never the other
//! way round.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::diff::Record;

/// Key tags of which some row is new or gone, as bits; some others are among them by chance.
pub(super) struct Hot {
    words: Vec<AtomicU64>,
    mask: u64,
}

impl Hot {
    /// Room for so many tags.
    pub(super) fn new(expected: u64, most_bytes: u64) -> Self {
        // Most keys are expected twice: they are gone from the old file and new in the other.
        const BITS_EACH: u64 = 8;
        const MOST: u64 = 1 << 29;
        let most = (most_bytes * 8).clamp(64, MOST);
        let bits = expected.saturating_mul(BITS_EACH).clamp(64, most).next_power_of_two();
        Self { words: (0..bits / 64).map(|_| AtomicU64::new(0)).collect(), mask: bits - 1 }
    }

    /// The bit of a tag: of the part that every record keeps, whatever the partitions.
    #[inline]
    fn bit(&self, key_tag: u64) -> (usize, u64) {
        let bit = (key_tag >> Record::ROW_BITS) & self.mask;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Marks some tags. They are only looked at first, so that the memory that each waits for is fetched for many side by side.
    pub(super) fn add(&self, key_tags: impl Iterator<Item = u64> + Clone) {
        std::hint::black_box(key_tags.clone().fold(false, |any, key_tag| any | self.has(key_tag)));
        for key_tag in key_tags {
            let (word, bit) = self.bit(key_tag);
            if self.words[word].load(Ordering::Relaxed) & bit == 0 {
                self.words[word].fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// Whether a tag is marked, or another one with its bit.
    #[inline]
    pub(super) fn has(&self, key_tag: u64) -> bool {
        let (word, bit) = self.bit(key_tag);
        self.words[word].load(Ordering::Relaxed) & bit != 0
    }
}
