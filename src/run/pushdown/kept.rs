//! The rows of a unit whose segments are not known to be equal: what a source has to read all the same, and no other row.
//! Where something is asked of every row after all, such as how many follow one another, the same units give all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use crate::normalise::{Binding, columns_read, normalise};
use crate::segment::{self, Cut, Kernel};
use crate::sides::Side;
use crate::source::{Error, Piece, Pieces, Unit};

/// Which rows of a side are read.
pub(super) struct Choice {
    /// Of the key alone.
    binding: Binding,
    side: Side,
    kernel: Kernel,
    cut: Cut,
    /// The numbers that were asked about, first and last.
    extent: (i64, i64),
    chosen: segment::Chosen,
    /// The columns of the key, as indices in the schema.
    columns: Vec<usize>,
}

impl Choice {
    /// None where the key has no text.
    pub(super) fn new(binding: &Binding, side: Side, extent: (i64, i64), chosen: &segment::Chosen) -> Option<Self> {
        let mut binding = binding.clone();
        binding.attributes.truncate(binding.key_count);
        let kernel = Kernel::new(&binding)?;
        let columns = columns_read(&binding, side);
        let cut = match chosen {
            segment::Chosen::Ranges(_) => Cut::Ranges(Vec::new()),
            segment::Chosen::Hash { bits, .. } => Cut::Hash { bits: *bits },
        };
        Some(Self { binding, side, kernel, cut, extent, chosen: chosen.clone(), columns })
    }

    fn mask(&self, keys: &RecordBatch) -> BooleanArray {
        let canonical = normalise(&self.binding, self.side, keys);
        let mut texts = self.kernel.texts(&canonical, true);
        let is_read = |row: usize| match &self.chosen {
            segment::Chosen::Ranges(_) => {
                let number = texts.number(row);
                let outside = number.is_none_or(|number| number < self.extent.0 || number > self.extent.1);
                self.chosen.has_number(number, outside)
            }
            segment::Chosen::Hash { segments, .. } => {
                texts.segment(&self.cut, row).is_none_or(|segment| segments.binary_search(&segment).is_ok())
            }
        };
        (0..keys.num_rows()).map(is_read).map(Some).collect()
    }
}

/// A unit without the rows that are not read.
pub(super) struct Kept {
    pub(super) inner: Arc<dyn Unit>,
    pub(super) choice: Arc<Choice>,
    /// While it is set all rows are read.
    pub(super) whole: Arc<AtomicBool>,
}

impl Unit for Kept {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn memory(&self, columns: &[usize]) -> u64 {
        self.inner.memory(columns)
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        if self.whole.load(Ordering::SeqCst) {
            return self.inner.read(columns);
        }
        let mut all: Vec<usize> = columns.iter().chain(&self.choice.columns).copied().collect();
        all.sort_unstable();
        all.dedup();
        let within = |wanted: &[usize]| -> Vec<usize> {
            wanted.iter().map(|index| all.binary_search(index).expect("every wanted column is read")).collect()
        };
        let (keys, wanted) = (within(&self.choice.columns), within(columns));
        let pieces = self.inner.read(&all)?;
        Ok(Box::new(pieces.map(move |piece| {
            let rows = match piece? {
                Piece::Rows(rows) => rows,
                unreadable @ Piece::Unreadable(_) => return Ok(unreadable),
            };
            let keys = rows.project(&keys).expect("the columns were read");
            let mask = self.choice.mask(&keys);
            let rows = rows.project(&wanted).expect("the columns were read");
            Ok(Piece::Rows(filter_record_batch(&rows, &mask).expect("the mask is as long as the batch")))
        })))
    }
}

/// Rows that a database chooses.
pub(super) struct Chosen {
    pub(super) picked: Box<dyn Unit>,
    /// Rows and bytes that it has, about.
    pub(super) size: (u64, u64),
    /// All rows of the side, at its first unit.
    pub(super) all: Option<Box<dyn Unit>>,
    /// While it is set all rows are read.
    pub(super) whole: Arc<AtomicBool>,
}

impl Unit for Chosen {
    fn place(&self) -> String {
        self.picked.place()
    }

    fn rows(&self) -> Option<u64> {
        self.picked.rows().or(Some(self.size.0))
    }

    fn bytes(&self) -> u64 {
        self.picked.bytes().max(self.size.1)
    }

    fn memory(&self, columns: &[usize]) -> u64 {
        self.picked.memory(columns)
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        if !self.whole.load(Ordering::SeqCst) {
            return self.picked.read(columns);
        }
        // No more columns than are asked for: there are many rows.
        self.all.as_ref().map_or_else(|| Ok(Box::new(std::iter::empty()) as Pieces<'_>), |all| all.read(columns))
    }
}
