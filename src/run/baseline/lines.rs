//! The lines of one comparison, sorted, in bounded memory: some thousands are held, more goes to a nameless temporary file in
//! sorted stretches that are merged at the end. What people see of a line is spilled at once.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::diff::{Extent, Spill};
use crate::spill::SpillFile;
use crate::spill::sorted::{self, Stretches};

/// Bytes of a line.
const WIDTH: usize = 64;
/// Lines that are held before they are spilled.
const HELD: usize = (4 << 20) / WIDTH;
/// Bytes that all stretches are read by at once.
const READ_AT_ONCE: u64 = 4 << 20;

/// A digest; half of a BLAKE3 is enough to tell what is unlike.
pub(super) type Digest = [u8; 16];

/// One divergence of one copy. They are sorted by key, then attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// What identifies the row, or the column.
    pub(super) key: Digest,
    /// Which attribute; zeros: the row as a whole.
    pub(super) attribute: Digest,
    /// What the copy says.
    pub(super) value: Digest,
    /// It may still be on its way.
    pub(super) in_flight: bool,
    /// The attribute was not compared with the other copy.
    pub(super) untold: bool,
    /// Where its text lies.
    pub(super) text: Extent,
}

impl Line {
    /// The row as a whole.
    pub(super) const ROW: Digest = [0; 16];

    /// Whether it is about the row as a whole.
    pub(super) fn is_row(&self) -> bool {
        self.attribute == Self::ROW
    }

    fn bytes(&self) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..32].copy_from_slice(&self.attribute);
        bytes[32..48].copy_from_slice(&self.value);
        bytes[48..56].copy_from_slice(&self.text.offset.to_be_bytes());
        // Two bits of the length, which no text reaches, are the marks.
        let marks = u64::from(self.in_flight) << 63 | u64::from(self.untold) << 62;
        bytes[56..].copy_from_slice(&(self.text.length | marks).to_be_bytes());
        bytes
    }

    fn of(bytes: &[u8; WIDTH]) -> Self {
        let digest = |from: usize| -> Digest { bytes[from..from + 16].try_into().expect("sixteen bytes") };
        let number = |from: usize| u64::from_be_bytes(bytes[from..from + 8].try_into().expect("eight bytes"));
        let last = number(56);
        Self {
            key: digest(0),
            attribute: digest(16),
            value: digest(32),
            in_flight: last >> 63 == 1,
            untold: last >> 62 & 1 == 1,
            text: Extent { offset: number(48), length: last & (u64::MAX >> 2) },
        }
    }
}

/// The lines of one comparison.
pub(super) struct Lines {
    /// Lines that are alike are several all the same.
    stretches: Mutex<Stretches<WIDTH>>,
    most: usize,
    spill: SpillFile,
}

impl Lines {
    /// None yet.
    pub(super) fn new(spill_folder: &Path) -> Self {
        Self { stretches: Mutex::new(Stretches::new(false)), most: HELD, spill: SpillFile::new(spill_folder) }
    }

    /// Forgets what was added.
    pub(super) fn forget(&self) {
        *self.lock() = Stretches::new(false);
    }

    /// Adds some lines whose texts lie one after the other.
    pub(super) fn add(&self, lines: Vec<Line>, texts: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let first = self.spill.write(texts)?.offset;
        let mut stretches = self.lock();
        for mut line in lines {
            line.text.offset += first;
            stretches.push(line.bytes());
            if stretches.held() >= self.most {
                stretches.spill(&self.spill)?;
            }
        }
        Ok(())
    }

    /// The text of a line.
    pub(super) fn text(&self, line: &Line) -> io::Result<Vec<u8>> {
        self.spill.read(line.text)
    }

    /// All lines, ascending.
    pub(super) fn sorted(&self) -> io::Result<Sorted<'_>> {
        let stretches = std::mem::replace(&mut *self.lock(), Stretches::new(false));
        Ok(Sorted(stretches.sorted(&self.spill, READ_AT_ONCE)?))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Stretches<WIDTH>> {
        self.stretches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lines as they are merged.
pub(super) struct Sorted<'a>(sorted::Sorted<'a, WIDTH>);

impl Sorted<'_> {
    /// The next one.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        Ok(self.0.next()?.map(|line| Line::of(&line)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_come_back_sorted_with_their_texts_however_many_are_held(
            numbers in prop::collection::vec((0..40_u8, 0..4_u8, 0..4_u8, any::<bool>(), any::<bool>()), 0..300),
            most in 1..50_usize,
        ) {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let lines = Lines { most, ..Lines::new(folder.path()) };
            let mut expected = Vec::new();
            for part in numbers.chunks(7) {
                let (mut some, mut texts) = (Vec::new(), Vec::new());
                for &(key, attribute, value, in_flight, untold) in part {
                    let text = format!("{key} {attribute} {value}");
                    expected.push(([key; 16], [attribute; 16], [value; 16], in_flight, untold, text.clone()));
                    let extent = Extent { offset: texts.len() as u64, length: text.len() as u64 };
                    let (key, attribute, value) = ([key; 16], [attribute; 16], [value; 16]);
                    some.push(Line { key, attribute, value, in_flight, untold, text: extent });
                    texts.extend_from_slice(text.as_bytes());
                }
                lines.add(some, &texts).expect("there is room");
            }
            let mut sorted = lines.sorted().expect("the spill file can be read");
            let mut seen = Vec::new();
            let mut order = Vec::new();
            while let Some(line) = sorted.next().expect("the spill file can be read") {
                let text = String::from_utf8(lines.text(&line).expect("it can be read")).expect("a text");
                order.push((line.key, line.attribute, line.value));
                seen.push((line.key, line.attribute, line.value, line.in_flight, line.untold, text));
            }
            prop_assert!(order.is_sorted());
            seen.sort();
            expected.sort();
            prop_assert_eq!(seen, expected);
        }
    }
}
