//! Where the bytes of candidate rows lie: held, as far as that serves, or spilled. It never looks into them.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::buffer::Buffer;

use super::super::Halt;
use crate::diff::{Budget, Extent, Spill};

/// Buffers whose bytes nobody reads any more, for whoever writes next. Memory that is new to the process has to be cleared by the
/// kernel, which takes longer than to write it.
#[derive(Default)]
pub(super) struct Spare(Mutex<Vec<Vec<u8>>>);

impl Spare {
    /// Smaller ones the allocator has at hand.
    const LEAST: usize = 1 << 16;

    /// So many zeros, in memory that is not much more than they need.
    pub(super) fn take(&self, length: usize) -> Vec<u8> {
        let taken = if length < Self::LEAST { None } else { self.lock().pop() };
        match taken.filter(|taken| (length..=2 * length).contains(&taken.capacity())) {
            Some(mut bytes) => {
                bytes.clear();
                bytes.resize(length, 0);
                bytes
            }
            None => vec![0; length],
        }
    }

    /// Keeps a buffer for the next one, unless it is larger than `most`.
    pub(super) fn give(&self, bytes: Vec<u8>, most: usize) {
        if (Self::LEAST..=most).contains(&bytes.capacity()) {
            self.lock().push(bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What both sides write into.
#[derive(Default)]
pub(in crate::run) struct Room {
    /// Rows of a batch.
    pub(super) rows: Spare,
    /// Rows of several batches by their partitions.
    pub(super) ordered: Spare,
}

/// Rows that were kept together, as `Lines`: a stretch for each partition that has any, one after the other.
pub(super) struct Stretches {
    place: Place,
    /// The partitions, and where their stretches end.
    ends: Box<[(u16, u32)]>,
}

pub(super) enum Place {
    Held(Buffer),
    /// Where they begin in the spill file.
    Spilled(u64),
}

impl Stretches {
    /// Where the rows of partitions lie whose numbers follow each other, and so their stretches.
    fn of(&self, partitions: &Range<usize>) -> Range<u32> {
        let end = |partition: usize| {
            let before = self.ends.partition_point(|(of, _)| usize::from(*of) < partition);
            if before == 0 { 0 } else { self.ends[before - 1].1 }
        };
        end(partitions.start)..end(partitions.end)
    }

    pub(super) fn bytes(&self, partitions: &Range<usize>) -> u64 {
        self.of(partitions).len() as u64
    }

    pub(super) fn read(&self, partitions: &Range<usize>, spill: &dyn Spill) -> Result<Buffer, Halt> {
        let Range { start, end } = self.of(partitions);
        let length = end - start;
        match &self.place {
            Place::Held(bytes) => Ok(bytes.slice_with_length(start as usize, length as usize)),
            Place::Spilled(offset) => {
                let extent = Extent { offset: offset + u64::from(start), length: u64::from(length) };
                spill.read(extent).map(Buffer::from_vec).map_err(Halt::Spill)
            }
        }
    }
}

/// What was kept of one side.
#[derive(Default)]
pub(super) struct Store {
    pub(super) kept: Vec<Stretches>,
    /// Bytes that are held, and taken from the budget.
    pub(super) held: u64,
}

impl Store {
    /// Bytes that are held at most. They are written and read in stretches, once or twice, which costs no more with a
    /// file that lies in the page cache than with memory that has to be cleared first.
    const HELD_MOST: u64 = 128 << 20;

    /// Whether so many more bytes may be held; they count as held from here.
    pub(super) fn hold(&mut self, bytes: u64, budget: &Budget) -> bool {
        // The rest of the budget is for rows that are on their way, in or out.
        let most = Self::HELD_MOST.min(budget.limit() / 4);
        let holds = self.held + bytes <= most && budget.take(bytes);
        self.held += if holds { bytes } else { 0 };
        holds
    }

    /// Keeps a stretch for each partition, of which `ends` tells where they end.
    pub(super) fn keep(&mut self, place: Place, ends: &[usize]) {
        let mut before = 0;
        let some = ends.iter().enumerate().filter(|(_, end)| std::mem::replace(&mut before, **end) < **end);
        let ends = some.map(|(partition, &end)| {
            let partition = u16::try_from(partition).expect("there are fewer than 2¹⁶ partitions");
            (partition, u32::try_from(end).expect("what is kept together is shorter than 4 GiB"))
        });
        self.kept.push(Stretches { place, ends: ends.collect() });
    }

    /// Adds the bytes of each partition.
    pub(super) fn add_bytes(&self, bytes: &mut [u64]) {
        for kept in &self.kept {
            let mut start = 0;
            for &(partition, end) in &kept.ends {
                bytes[usize::from(partition)] += u64::from(end - start);
                start = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_buffer_is_zeros_again_and_never_much_larger_than_what_is_asked_for() {
        let kilobyte = 1 << 10;
        // What is given, what may be kept, and what is asked for next; what is too large for that, or too small, or for anyone, goes
        // back to the allocator.
        for (given, most, next, is_kept) in [
            (100, 1000, 90, true),
            (100, 1000, 70, true),
            (100, 1000, 100, true),
            (200, 1000, 70, false),
            (100, 1000, 101, false),
            (100, 99, 90, false),
            (10, 1000, 8, false),
        ] {
            let spare = Spare::default();
            spare.give(vec![0xFF; given * kilobyte], most * kilobyte);
            let taken = spare.take(next * kilobyte);
            assert_eq!(taken.capacity() == given * kilobyte, is_kept, "{given} {most} {next}");
            assert_eq!(taken, vec![0; next * kilobyte]);
        }
    }
}
