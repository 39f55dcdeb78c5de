//! Key tags of which some row is new or gone since the last run. It may take a tag for one of them that is none, never the other
//! way round.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::diff::Record;

/// Key tags of which some row is new or gone, as bits; some others are among them by chance.
pub(super) struct Hot {
    words: Vec<AtomicU64>,
    mask: u64,
    /// The same of fewer bits, which stay in the first-level cache: where few tags are hot it answers for most others.
    few: Vec<AtomicU64>,
}

impl Hot {
    const FEW_BITS: u64 = 1 << 16;

    /// Room for so many tags.
    pub(super) fn new(expected: u64, most_bytes: u64) -> Self {
        // Most keys are expected twice: they are gone from the old file and new in the other.
        const BITS_EACH: u64 = 8;
        const MOST: u64 = 1 << 29;
        let most = (most_bytes * 8).clamp(64, MOST);
        let bits = expected.saturating_mul(BITS_EACH).clamp(64, most).next_power_of_two();
        let words = |bits: u64| (0..bits / 64).map(|_| AtomicU64::new(0)).collect();
        Self { words: words(bits), mask: bits - 1, few: words(Self::FEW_BITS) }
    }

    /// The bit of a tag: of the part that every record keeps, whatever the partitions.
    #[inline]
    fn bit(&self, key_tag: u64) -> (usize, u64) {
        let bit = (key_tag >> Record::LEFT_OUT) & self.mask;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// The same among the few.
    #[inline]
    fn few_bit(key_tag: u64) -> (usize, u64) {
        let bit = (key_tag >> 40) % Self::FEW_BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Marks some tags. They are only looked at first, so that the memory that each waits for is fetched for many side by side.
    pub(super) fn add(&self, key_tags: impl Iterator<Item = u64> + Clone) {
        let look = |key_tag| self.words[self.bit(key_tag).0].load(Ordering::Relaxed);
        std::hint::black_box(key_tags.clone().fold(0, |looked, key_tag| looked ^ look(key_tag)));
        for key_tag in key_tags {
            for (words, (word, bit)) in [(&self.few, Self::few_bit(key_tag)), (&self.words, self.bit(key_tag))] {
                if words[word].load(Ordering::Relaxed) & bit == 0 {
                    words[word].fetch_or(bit, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether a tag is marked, or another one with its bit.
    #[inline]
    pub(super) fn has(&self, key_tag: u64) -> bool {
        let (few, few_bit) = Self::few_bit(key_tag);
        if self.few[few].load(Ordering::Relaxed) & few_bit == 0 {
            return false;
        }
        let (word, bit) = self.bit(key_tag);
        self.words[word].load(Ordering::Relaxed) & bit != 0
    }
}
