//! Columns of fixed widths, several of one kind side by side. Every byte of their places is written.

use std::ops::Range;

use arrow::array::{Array, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, i256,
};

use super::{ROWS_AT_ONCE, some_nulls};

/// A canonical column that takes as many bytes in each row.
pub(super) enum Fixed<'a> {
    Boolean(&'a BooleanArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Integer(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float64Type>),
    Wide(&'a PrimitiveArray<Decimal128Type>),
    Widest(&'a PrimitiveArray<Decimal256Type>),
}

impl<'a> Fixed<'a> {
    /// Sees the column's values; None where they have no fixed width.
    pub(super) fn of(values: &'a dyn Array) -> Option<Self> {
        Some(match values.data_type() {
            DataType::Boolean => Self::Boolean(values.as_boolean()),
            DataType::Date32 => Self::Date(values.as_primitive()),
            DataType::Int64 => Self::Integer(values.as_primitive()),
            DataType::Float64 => Self::Float(values.as_primitive()),
            DataType::Decimal128(..) => Self::Wide(values.as_primitive()),
            DataType::Decimal256(..) => Self::Widest(values.as_primitive()),
            // Fixed-size binary too: across there may be one of another size.
            _ => return None,
        })
    }

    pub(super) fn width(&self) -> usize {
        match self {
            Self::Boolean(_) => 1,
            Self::Date(_) => 4,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Wide(_) => 16,
            Self::Widest(_) => 32,
        }
    }

    /// Its integers, where none is NULL.
    fn integers(&self, range: &Range<usize>) -> Option<&'a [i64]> {
        match self {
            Self::Integer(array) if some_nulls(*array).is_none() => Some(&array.values()[range.clone()]),
            _ => None,
        }
    }

    /// Its dates, where none is NULL.
    fn dates(&self, range: &Range<usize>) -> Option<&'a [i32]> {
        match self {
            Self::Date(array) if some_nulls(*array).is_none() => Some(&array.values()[range.clone()]),
            _ => None,
        }
    }

    fn write(&self, at: usize, range: &Range<usize>, starts: &[usize], bytes: &mut [u8]) {
        match self {
            Self::Boolean(array) => {
                for (&start, row) in starts.iter().zip(range.clone()) {
                    bytes[start + at] = u8::from(array.is_valid(row) && array.value(row));
                }
            }
            Self::Date(array) => write_values(array, at, range, starts, bytes, i32::to_le_bytes),
            Self::Integer(array) => write_values(array, at, range, starts, bytes, i64::to_le_bytes),
            Self::Float(array) => {
                write_values(array, at, range, starts, bytes, |value: f64| value.to_bits().to_le_bytes());
            }
            Self::Wide(array) => write_values(array, at, range, starts, bytes, i128::to_le_bytes),
            Self::Widest(array) => write_values(array, at, range, starts, bytes, i256::to_le_bytes),
        }
    }
}

/// Writes the columns one after the other from `at` on in each row.
pub(super) fn write_fixed(
    columns: &[Fixed<'_>],
    mut at: usize,
    range: &Range<usize>,
    starts: &[usize],
    bytes: &mut [u8],
) {
    let mut rest = columns;
    while let Some(first) = rest.first() {
        let written = if let Some(integers) = next::<_, 8>(rest, |column| column.integers(range)) {
            write_together(integers, at, starts, bytes, i64::to_le_bytes)
        } else if let Some(integers) = next::<_, 4>(rest, |column| column.integers(range)) {
            write_together(integers, at, starts, bytes, i64::to_le_bytes)
        } else if let Some(dates) = next::<_, 3>(rest, |column| column.dates(range)) {
            write_together(dates, at, starts, bytes, i32::to_le_bytes)
        } else {
            first.write(at, range, starts, bytes);
            1
        };
        at += rest[..written].iter().map(Fixed::width).sum::<usize>();
        rest = &rest[written..];
    }
}

/// The values of the next columns, where `values` gives them of all and there are as many rows as are written at once.
fn next<'a, 'f, T, const COLUMNS: usize>(
    columns: &'f [Fixed<'a>],
    values: impl Fn(&'f Fixed<'a>) -> Option<&'a [T]>,
) -> Option<[&'a [T; ROWS_AT_ONCE]; COLUMNS]> {
    let mut found = [None; COLUMNS];
    for (found, column) in found.iter_mut().zip(columns.get(..COLUMNS)?) {
        *found = Some(values(column)?.try_into().ok()?);
    }
    Some(found.map(|values| values.expect("each was found")))
}

/// Writes columns side by side, and tells how many.
fn write_together<T: Copy, const COLUMNS: usize, const WIDTH: usize>(
    columns: [&[T; ROWS_AT_ONCE]; COLUMNS],
    at: usize,
    starts: &[usize],
    bytes: &mut [u8],
    to_bytes: impl Fn(T) -> [u8; WIDTH],
) -> usize {
    let starts: &[usize; ROWS_AT_ONCE] = starts.try_into().expect("there are as many rows as values");
    for row in 0..ROWS_AT_ONCE {
        let bytes = &mut bytes[starts[row] + at..][..WIDTH * COLUMNS];
        for (bytes, values) in bytes.as_chunks_mut::<WIDTH>().0.iter_mut().zip(&columns) {
            *bytes = to_bytes(values[row]);
        }
    }
    COLUMNS
}

fn write_values<T: ArrowPrimitiveType, const WIDTH: usize>(
    array: &PrimitiveArray<T>,
    at: usize,
    range: &Range<usize>,
    starts: &[usize],
    bytes: &mut [u8],
    to_bytes: impl Fn(T::Native) -> [u8; WIDTH],
) {
    let values = &array.values()[range.clone()];
    match some_nulls(array) {
        None => {
            for (&start, &value) in starts.iter().zip(values) {
                bytes[start + at..start + at + WIDTH].copy_from_slice(&to_bytes(value));
            }
        }
        Some(nulls) => {
            for ((&start, &value), row) in starts.iter().zip(values).zip(range.clone()) {
                let value = if nulls.is_valid(row) { to_bytes(value) } else { [0; WIDTH] };
                bytes[start + at..start + at + WIDTH].copy_from_slice(&value);
            }
        }
    }
}
