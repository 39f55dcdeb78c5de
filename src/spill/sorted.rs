//! Many lines of the same width, sorted in bounded memory: whoever adds them says when those that are held are spilled as a sorted
//! stretch, and all stretches are merged at the end. It never knows what a line says; lines are in the order of their bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use super::SpillFile;
use crate::diff::{Extent, Spill};

/// Lines that are held, and the sorted stretches of those that are spilled.
#[derive(Debug)]
pub struct Stretches<const WIDTH: usize> {
    held: Vec<[u8; WIDTH]>,
    spilled: Vec<Extent>,
    /// Lines that are alike are one.
    distinct: bool,
}

impl<const WIDTH: usize> Stretches<WIDTH> {
    /// Without lines; `distinct` where lines that are alike are one.
    #[must_use]
    pub fn new(distinct: bool) -> Self {
        Self { held: Vec::new(), spilled: Vec::new(), distinct }
    }

    /// Adds a line.
    pub fn push(&mut self, line: [u8; WIDTH]) {
        self.held.push(line);
    }

    /// How many lines are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Spills what is held as one sorted stretch.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn spill(&mut self, file: &SpillFile) -> io::Result<()> {
        if !self.held.is_empty() {
            let held = self.take();
            self.spilled.push(file.write(held.as_flattened())?);
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<[u8; WIDTH]> {
        let mut held = std::mem::take(&mut self.held);
        held.sort_unstable();
        if self.distinct {
            held.dedup();
        }
        held
    }

    /// All lines, ascending; the stretches together are read by about so many bytes at once.
    ///
    /// # Errors
    /// What kept the first ones from being read.
    pub fn sorted(mut self, file: &SpillFile, read_at_once: u64) -> io::Result<Sorted<'_, WIDTH>> {
        let stretches = (self.spilled.len() as u64).max(1);
        let at_once = (read_at_once / stretches / WIDTH as u64).clamp(16, 4096);
        let held = self.take();
        let mut sorted = Sorted {
            cursors: Vec::with_capacity(self.spilled.len() + 1),
            next: BinaryHeap::new(),
            last: None,
            distinct: self.distinct,
            file,
        };
        let of_extent = |rest: Extent| Cursor { loaded: Vec::new().into_iter(), rest, at_once };
        sorted.cursors.extend(self.spilled.into_iter().map(of_extent));
        let nothing = Extent { offset: 0, length: 0 };
        sorted.cursors.push(Cursor { loaded: held.into_iter(), rest: nothing, at_once });
        for index in 0..sorted.cursors.len() {
            sorted.advance(index)?;
        }
        Ok(sorted)
    }
}

/// One sorted stretch: what is loaded of it, and what is still spilled.
#[derive(Debug)]
struct Cursor<const WIDTH: usize> {
    loaded: std::vec::IntoIter<[u8; WIDTH]>,
    rest: Extent,
    /// Lines that are loaded at once.
    at_once: u64,
}

impl<const WIDTH: usize> Cursor<WIDTH> {
    fn next(&mut self, file: &SpillFile) -> io::Result<Option<[u8; WIDTH]>> {
        if let Some(line) = self.loaded.next() {
            return Ok(Some(line));
        }
        if self.rest.length == 0 {
            return Ok(None);
        }
        let length = self.rest.length.min(self.at_once * WIDTH as u64);
        let bytes = file.read(Extent { offset: self.rest.offset, length })?;
        self.rest = Extent { offset: self.rest.offset + length, length: self.rest.length - length };
        let (loaded, _) = bytes.as_chunks::<WIDTH>();
        self.loaded = Vec::from(loaded).into_iter();
        Ok(self.loaded.next())
    }
}

/// Lines as their stretches are merged.
#[derive(Debug)]
pub struct Sorted<'a, const WIDTH: usize> {
    cursors: Vec<Cursor<WIDTH>>,
    next: BinaryHeap<Reverse<([u8; WIDTH], usize)>>,
    last: Option<[u8; WIDTH]>,
    distinct: bool,
    file: &'a SpillFile,
}

impl<const WIDTH: usize> Sorted<'_, WIDTH> {
    fn advance(&mut self, index: usize) -> io::Result<()> {
        if let Some(line) = self.cursors[index].next(self.file)? {
            self.next.push(Reverse((line, index)));
        }
        Ok(())
    }

    /// The next line.
    ///
    /// # Errors
    /// What kept it from being read.
    #[expect(clippy::should_implement_trait, reason = "what ends with an error is no iterator that goes on")]
    pub fn next(&mut self) -> io::Result<Option<[u8; WIDTH]>> {
        while let Some(Reverse((line, index))) = self.next.pop() {
            self.advance(index)?;
            if !self.distinct || self.last.replace(line) != Some(line) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_sorted_and_alike_ones_once_or_each(
            lines in prop::collection::vec(any::<[u8; 2]>().prop_map(|[one, other]| [one % 8, other % 8, 7]), 0..500),
            most in 1..40_usize,
            at_once in 1..200_u64,
            distinct in any::<bool>(),
        ) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let file = SpillFile::new(folder.path());
            let mut stretches = Stretches::new(distinct);
            for line in &lines {
                stretches.push(*line);
                if stretches.held() >= most {
                    stretches.spill(&file).expect("there is room");
                }
            }
            let mut expected = lines;
            expected.sort_unstable();
            if distinct {
                expected.dedup();
            }
            let mut sorted = stretches.sorted(&file, at_once).expect("it can be read");
            let seen: Vec<[u8; 3]> = std::iter::from_fn(|| sorted.next().expect("it can be read")).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
