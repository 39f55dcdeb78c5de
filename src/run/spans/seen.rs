//! What was seen of segments: their rows, and the sum of the rows' digests. It holds no row and no key.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};

use super::super::Halt;
use super::super::reader::Reader;
use crate::diff::resolve::{Standing, standing};
use crate::digest::{Buffers, Sum};
use crate::normalise::normalise;
use crate::source::{Piece, Unit};

/// What was seen of one segment on one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    pub(super) sum: Sum,
    /// Some row could not be read, has no whole key, or lay elsewhere: nothing is proved.
    pub(super) is_unsure: bool,
}

impl Seen {
    /// Whether both sides hold the same rows, each of them once.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        !self.is_unsure && !other.is_unsure && self.rows == other.rows && self.sum == other.sum
    }

    pub(super) fn add(&mut self, more: Self) {
        self.rows += more.rows;
        self.sum += more.sum;
        self.is_unsure |= more.is_unsure;
    }
}

/// A look at segments that are next to each other.
pub(super) struct Sight<'a> {
    reader: Reader<'a>,
    /// In ascending order, first and last number of each.
    segments: &'a [(i64, i64)],
    pub(super) seen: Vec<Seen>,
    /// Some row lay in none of them.
    pub(super) has_strays: bool,
    buffers: Buffers,
}

impl<'a> Sight<'a> {
    pub(super) fn new(reader: Reader<'a>, segments: &'a [(i64, i64)]) -> Self {
        let seen = vec![Seen::default(); segments.len()];
        Self { reader, segments, seen, has_strays: false, buffers: Buffers::default() }
    }

    /// Reads a unit.
    pub(super) fn look(&mut self, unit: &dyn Unit) -> Result<(), Halt> {
        let reader = self.reader;
        for piece in unit.read(&reader.input().columns).map_err(|error| reader.failed(error))? {
            reader.go_on()?;
            match piece.map_err(|error| reader.failed(error))? {
                Piece::Rows(rows) => {
                    reader.batch.progress.advance(rows.num_rows() as u64, 0);
                    self.add(&rows)?;
                }
                // It may have been of any segment.
                Piece::Unreadable(_) => self.seen.iter_mut().for_each(|seen| seen.is_unsure = true),
            }
        }
        Ok(())
    }

    fn add(&mut self, rows: &RecordBatch) -> Result<(), Halt> {
        let Self { reader, segments, seen, has_strays, buffers } = self;
        let kept = reader.kept(rows)?;
        let (taken, _) = reader.taken_rows(rows, kept.as_ref())?;
        let canonical = normalise(&reader.inputs.binding, reader.side, &taken);
        let numbers = canonical.columns.first().map(|column| column.values.clone());
        let is_keyed = reader.all_keyed(&canonical);
        reader.digest(&taken, &canonical, buffers, |row, digest| {
            let place = numbers.as_ref().and_then(|numbers| number(numbers, row)).and_then(|it| place(segments, it));
            let Some(seen) = place.map(|place| &mut seen[place]) else {
                *has_strays = true;
                return;
            };
            seen.rows += 1;
            seen.sum += digest.row;
            let has_key =
                is_keyed || standing(&reader.inputs.binding, reader.rules(), &canonical, row) == Standing::Keyed;
            seen.is_unsure |= !has_key;
        });
        Ok(())
    }
}

/// A whole number of a column.
fn number(values: &ArrayRef, row: usize) -> Option<i64> {
    match values.data_type() {
        _ if values.is_null(row) => None,
        DataType::Int64 => Some(values.as_primitive::<Int64Type>().value(row)),
        DataType::Decimal128(_, 0) => i64::try_from(values.as_primitive::<Decimal128Type>().value(row)).ok(),
        _ => None,
    }
}

/// The segment that a number lies in.
fn place(segments: &[(i64, i64)], number: i64) -> Option<usize> {
    let behind = segments.partition_point(|(low, _)| *low <= number);
    behind.checked_sub(1).filter(|place| number <= segments[*place].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_lies_in_one_segment_or_in_none() {
        let segments = [(i64::MIN, -3), (-2, 4), (5, 5), (9, 20)];
        let cases =
            [(i64::MIN, Some(0)), (-3, Some(0)), (-2, Some(1)), (5, Some(2)), (6, None), (9, Some(3)), (21, None)];
        for (number, expected) in cases {
            assert_eq!(place(&segments, number), expected, "{number}");
        }
        assert_eq!(place(&[], 1), None);
    }

    #[test]
    fn what_is_unsure_never_agrees() {
        let sure = Seen { rows: 2, ..Seen::default() };
        let unsure = Seen { is_unsure: true, ..sure };
        assert!(sure.agrees(&sure) && Seen::default().agrees(&Seen::default()));
        assert!(!sure.agrees(&unsure) && !unsure.agrees(&sure) && !unsure.agrees(&unsure));
        assert!(!sure.agrees(&Seen { rows: 3, ..sure }));
        assert!(!sure.agrees(&Seen { sum: Sum::from_bytes(&[1; 32]), ..sure }));
        let mut all = sure;
        all.add(unsure);
        assert!(all.is_unsure && all.rows == 4);
    }
}
