//! Writes the canonical bytes of rows, a column at a time. The format is drawn in the module above.
//! It never reads what an earlier batch left: every row writes or clears all of its own bytes.

use std::ops::Range;

use arrow::array::Array;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::normalise::CanonicalColumn;
use crate::sides::Side;

mod fixed;
mod strings;

use fixed::{Fixed, write_fixed};
use strings::LONG;
pub(super) use strings::Variable;

/// A BLAKE3 block; rows are padded to whole ones.
pub(super) const BLOCK: usize = 64;

/// Bytes after each row that belong to none and may be written over, so that strings and zeros are written in steps of a
/// known size, up to a block, in whatever order of rows.
const SLACK: usize = BLOCK;

/// The bytes of some rows, each padded to whole blocks.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Grows and is never cleared.
    bytes: Vec<u8>,
    /// Where each row begins, and at the end where the next would.
    starts: Vec<usize>,
}

impl Encoded {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The padded bytes of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[u8] {
        &self.bytes[self.starts[row]..self.starts[row + 1] - SLACK]
    }
}

/// The nulls of a column, where there are any.
pub(super) fn some_nulls(values: &dyn Array) -> Option<&NullBuffer> {
    values.nulls().filter(|nulls| nulls.null_count() > 0)
}

/// Rows that are written together, so that they stay in the first-level cache while the columns pass over them.
const ROWS_AT_ONCE: usize = 128;

/// Encodes the rows of a range over the given columns into `encoded`, whose former content is forgotten.
pub fn encode(columns: &[CanonicalColumn], side: Side, range: Range<usize>, encoded: &mut Encoded) {
    encode_some(columns, side, range, usize::MAX, encoded);
}

/// The same for as many of the rows, one at least, as take about so many bytes.
pub(super) fn encode_some(
    columns: &[CanonicalColumn],
    side: Side,
    range: Range<usize>,
    bytes: usize,
    encoded: &mut Encoded,
) {
    encoded.starts.clear();
    encoded.starts.push(0);
    let mut table = Table::new(columns);
    let mut start = range.start;
    while start < range.end && encoded.starts[start - range.start] < bytes {
        let some = start..range.end.min(start + ROWS_AT_ONCE);
        start += table.encode(side, some, bytes, encoded);
    }
}

/// A column of strings, and how long they are in the rows that are written together.
struct Strings<'a> {
    values: Variable<'a>,
    nulls: Option<&'a NullBuffer>,
    lengths: [usize; ROWS_AT_ONCE],
    /// All of them under OR, so none is greater, and it has no more digits than the greatest: quicker found than that.
    bound: usize,
}

/// The columns, and where their parts lie in a row.
struct Table<'a> {
    columns: &'a [CanonicalColumn],
    fixed: Vec<Fixed<'a>>,
    strings: Vec<Strings<'a>>,
    /// The bytes that tell the strings' lengths, of eight columns together.
    length_bytes: Vec<[u64; ROWS_AT_ONCE]>,
    /// Where the fixed widths begin: after fault byte and NULL bits.
    fixed_at: usize,
    /// Where the lengths begin.
    lengths_at: usize,
    /// Where the variable bytes begin.
    head: usize,
}

impl<'a> Table<'a> {
    fn new(columns: &'a [CanonicalColumn]) -> Self {
        let (mut fixed, mut strings) = (Vec::new(), Vec::new());
        for column in columns {
            let values = column.values.as_ref();
            if let Some(column) = Fixed::of(values) {
                fixed.push(column);
            } else if values.data_type() != &DataType::Null {
                let (values, nulls) = (Variable::of(values), some_nulls(values));
                strings.push(Strings { values, nulls, lengths: [0; ROWS_AT_ONCE], bound: 0 });
            }
        }
        let fixed_at = 1 + columns.len().div_ceil(8);
        let lengths_at = fixed_at + fixed.iter().map(Fixed::width).sum::<usize>();
        let head = lengths_at + strings.len();
        let length_bytes = vec![[0; ROWS_AT_ONCE]; strings.len().div_ceil(8)];
        Self { columns, fixed, strings, length_bytes, fixed_at, lengths_at, head }
    }

    /// Appends some rows, and tells how many. In each row every step may write over what comes later in it.
    fn encode(&mut self, side: Side, range: Range<usize>, most: usize, encoded: &mut Encoded) -> usize {
        let first = encoded.rows();
        let rows = self.lay_out(&range, most, encoded);
        let range = &(range.start..range.start + rows);
        let (starts, bytes) = (&encoded.starts[first..], &mut encoded.bytes);
        let (nexts, starts) = (&starts[1..], &starts[..rows]);
        self.write_null_bits(range, starts, bytes);
        write_fixed(&self.fixed, self.fixed_at, range, starts, bytes);
        for (at, lengths) in (self.lengths_at..).step_by(8).zip(&self.length_bytes) {
            for (&start, lengths) in starts.iter().zip(lengths) {
                bytes[start + at..start + at + 8].copy_from_slice(&lengths.to_le_bytes());
            }
        }
        let mut ends = [0; ROWS_AT_ONCE];
        let ends = &mut ends[..rows];
        ends.iter_mut().zip(starts).for_each(|(end, start)| *end = start + self.head);
        for Strings { values, lengths, bound, .. } in &self.strings {
            values.write(range, &lengths[..rows], *bound, ends, bytes);
        }
        for (&end, &next) in ends.iter().zip(nexts) {
            bytes[end..end + BLOCK].fill(0);
            // Room for a tail of faults.
            if next - end > BLOCK + SLACK {
                bytes[end + BLOCK..next - SLACK].fill(0);
            }
        }
        write_faults(self.columns, side, range, starts, ends, bytes);
        rows
    }

    /// Decides where each row begins and ends, and how many there are.
    fn lay_out(&mut self, range: &Range<usize>, most: usize, encoded: &mut Encoded) -> usize {
        let mut taken = [self.head; ROWS_AT_ONCE];
        let taken = &mut taken[..range.len()];
        self.length_bytes.fill([0; ROWS_AT_ONCE]);
        for (index, Strings { values, nulls, lengths, bound }) in self.strings.iter_mut().enumerate() {
            let lengths = &mut lengths[..range.len()];
            values.lengths(*nulls, range, lengths);
            *bound = lengths.iter().fold(0, |bound, length| bound | length);
            let (length_bytes, shift) = (&mut self.length_bytes[index / 8], 8 * (index % 8));
            let rows = taken.iter_mut().zip(length_bytes).zip(lengths);
            if *bound < LONG {
                for ((taken, length_bytes), length) in rows {
                    *taken += *length;
                    *length_bytes |= (*length as u64) << shift;
                }
            } else {
                for ((taken, length_bytes), length) in rows {
                    *taken += *length + if *length >= LONG { 8 } else { 0 };
                    *length_bytes |= ((*length).min(LONG) as u64) << shift;
                }
            }
        }
        for column in self.columns {
            for (row, fault) in faults_in(column, range) {
                taken[row] += FAULT_HEAD + fault.shown.len();
            }
        }
        let mut end = encoded.starts.last().copied().unwrap_or_default();
        let mut rows = 0;
        for taken in taken {
            if end >= most {
                break;
            }
            end += taken.next_multiple_of(BLOCK) + SLACK;
            encoded.starts.push(end);
            rows += 1;
        }
        if encoded.bytes.len() < end {
            encoded.bytes.resize(end, 0);
        }
        rows
    }

    /// Writes the NULL bits, after a fault byte that says that there is none.
    fn write_null_bits(&self, range: &Range<usize>, starts: &[usize], bytes: &mut [u8]) {
        for &start in starts {
            bytes[start..start + 8].fill(0);
            if self.fixed_at > 8 {
                bytes[start + 8..start + self.fixed_at].fill(0);
            }
        }
        for (index, column) in self.columns.iter().enumerate() {
            write_nulls(column, index, range, starts, bytes);
        }
    }
}

/// Column index, reason and length before a faulted value.
const FAULT_HEAD: usize = 4 + 1 + 8;

fn faults_in<'a>(
    column: &'a CanonicalColumn,
    range: &Range<usize>,
) -> impl Iterator<Item = (usize, &'a crate::normalise::Fault)> {
    let (start, end) = (range.start, range.end);
    let first = column.faults.partition_point(|fault| (fault.row as usize) < start);
    column.faults[first..]
        .iter()
        .take_while(move |fault| (fault.row as usize) < end)
        .map(move |fault| (fault.row as usize - start, fault))
}

/// Writes the tails from where each row's strings end.
fn write_faults(
    columns: &[CanonicalColumn],
    side: Side,
    range: &Range<usize>,
    starts: &[usize],
    ends: &mut [usize],
    bytes: &mut [u8],
) {
    let mark = match side {
        Side::Authority => 1,
        Side::Projection => 2,
    };
    for (index, column) in columns.iter().enumerate() {
        for (row, fault) in faults_in(column, range) {
            bytes[starts[row]] = mark;
            let reason = fault.reason.code();
            let shown = fault.shown.as_bytes();
            let index = u32::try_from(index).expect("a table has fewer than 2³² columns");
            let mut put = |part: &[u8]| {
                bytes[ends[row]..ends[row] + part.len()].copy_from_slice(part);
                ends[row] += part.len();
            };
            put(&index.to_le_bytes());
            put(&[reason]);
            put(&(shown.len() as u64).to_le_bytes());
            put(shown);
        }
    }
}

fn write_nulls(column: &CanonicalColumn, index: usize, range: &Range<usize>, starts: &[usize], bytes: &mut [u8]) {
    let (byte, bit) = (1 + index / 8, index % 8);
    if column.values.data_type() == &DataType::Null {
        for &start in starts {
            bytes[start + byte] |= 1 << bit;
        }
    } else if let Some(nulls) = some_nulls(&column.values) {
        for (&start, row) in starts.iter().zip(range.clone()) {
            bytes[start + byte] |= u8::from(nulls.is_null(row)) << bit;
        }
    }
}

#[cfg(test)]
mod tests;
