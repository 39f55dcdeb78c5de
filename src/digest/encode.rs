//! Writes the canonical bytes of rows, a column at a time. The format is drawn in the module above.

use std::ops::Range;

use arrow::array::{
    Array, ArrayAccessor, AsArray, BooleanArray, GenericByteArray, GenericByteViewArray, PrimitiveArray,
};
use arrow::datatypes::{
    ArrowPrimitiveType, ByteArrayType, ByteViewType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type,
    Int64Type,
};

use crate::normalise::{CanonicalColumn, FaultReason};
use crate::sides::Side;

/// A BLAKE3 block; rows are padded to whole ones.
pub(super) const BLOCK: usize = 64;

/// The bytes of some rows, one after the other, each padded to whole blocks.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    /// Where each row begins, and at the end where the last one ends.
    starts: Vec<usize>,
    /// Where the next variable value of each row goes.
    cursors: Vec<usize>,
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
        &self.bytes[self.starts[row]..self.starts[row + 1]]
    }
}

/// How a canonical column is laid out in a row.
enum Layout<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Date(&'a PrimitiveArray<Date32Type>),
    Integer(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float64Type>),
    Wide(&'a PrimitiveArray<Decimal128Type>),
    Widest(&'a PrimitiveArray<Decimal256Type>),
    Variable,
}

impl<'a> Layout<'a> {
    fn of(column: &'a CanonicalColumn) -> Self {
        let values = column.values.as_ref();
        match values.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(values.as_boolean()),
            DataType::Date32 => Self::Date(values.as_primitive()),
            DataType::Int64 => Self::Integer(values.as_primitive()),
            DataType::Float64 => Self::Float(values.as_primitive()),
            DataType::Decimal128(..) => Self::Wide(values.as_primitive()),
            DataType::Decimal256(..) => Self::Widest(values.as_primitive()),
            // Fixed-size binary too: across there may be one of another size.
            _ => Self::Variable,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Null | Self::Variable => 0,
            Self::Boolean(_) => 1,
            Self::Date(_) => 4,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Wide(_) => 16,
            Self::Widest(_) => 32,
        }
    }
}

/// Encodes the rows of a range over the given columns into `encoded`, whose former content is forgotten.
pub fn encode(columns: &[CanonicalColumn], side: Side, range: Range<usize>, encoded: &mut Encoded) {
    let layouts: Vec<Layout<'_>> = columns.iter().map(Layout::of).collect();
    let null_bytes = columns.len().div_ceil(8);
    let fixed: usize = layouts.iter().map(Layout::width).sum();
    let variable = layouts.iter().filter(|layout| matches!(layout, Layout::Variable)).count();
    let head = 1 + null_bytes + fixed + 4 * variable;

    lay_out(columns, &layouts, head, &range, encoded);
    let mut at = 1 + null_bytes;
    let mut length_at = 1 + null_bytes + fixed;
    for (index, (column, layout)) in columns.iter().zip(&layouts).enumerate() {
        write_nulls(column, index, &range, encoded);
        write_fixed(layout, at, &range, encoded);
        at += layout.width();
        if matches!(layout, Layout::Variable) {
            with_bytes(column, VariableWriter { encoded, range: range.clone(), length_at });
            length_at += 4;
        }
    }
    write_faults(columns, side, &range, encoded);
}

/// Decides where each row begins, and clears the buffer.
fn lay_out(
    columns: &[CanonicalColumn],
    layouts: &[Layout<'_>],
    head: usize,
    range: &Range<usize>,
    encoded: &mut Encoded,
) {
    encoded.cursors.clear();
    encoded.cursors.resize(range.len(), head);
    for (column, layout) in columns.iter().zip(layouts) {
        if matches!(layout, Layout::Variable) {
            with_bytes(column, LengthAdder { lengths: &mut encoded.cursors, range: range.clone() });
        }
        for (row, fault) in faults_in(column, range) {
            encoded.cursors[row] += FAULT_HEAD + fault.shown.len();
        }
    }
    encoded.starts.clear();
    encoded.starts.push(0);
    let mut end = 0;
    for cursor in &mut encoded.cursors {
        let start = end;
        end += cursor.div_ceil(BLOCK) * BLOCK;
        encoded.starts.push(end);
        *cursor = start + head;
    }
    encoded.bytes.clear();
    encoded.bytes.resize(end, 0);
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

fn write_faults(columns: &[CanonicalColumn], side: Side, range: &Range<usize>, encoded: &mut Encoded) {
    let mark = match side {
        Side::Authority => 1,
        Side::Projection => 2,
    };
    for (index, column) in columns.iter().enumerate() {
        for (row, fault) in faults_in(column, range) {
            encoded.bytes[encoded.starts[row]] = mark;
            let reason = match fault.reason {
                FaultReason::Unparseable => 1,
                FaultReason::OutOfType => 2,
                FaultReason::AmbiguousTime => 3,
            };
            let shown = fault.shown.as_bytes();
            let index = u32::try_from(index).expect("a table has fewer than 2³² columns");
            let mut put = |bytes: &[u8]| {
                let at = encoded.cursors[row];
                encoded.bytes[at..at + bytes.len()].copy_from_slice(bytes);
                encoded.cursors[row] += bytes.len();
            };
            put(&index.to_le_bytes());
            put(&[reason]);
            put(&(shown.len() as u64).to_le_bytes());
            put(shown);
        }
    }
}

fn write_nulls(column: &CanonicalColumn, index: usize, range: &Range<usize>, encoded: &mut Encoded) {
    let (byte, bit) = (1 + index / 8, 1_u8 << (index % 8));
    if column.values.data_type() == &DataType::Null {
        for &start in &encoded.starts[..range.len()] {
            encoded.bytes[start + byte] |= bit;
        }
    } else if let Some(nulls) = column.values.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (offset, row) in range.clone().enumerate() {
            if nulls.is_null(row) {
                encoded.bytes[encoded.starts[offset] + byte] |= bit;
            }
        }
    }
}

fn write_fixed(layout: &Layout<'_>, at: usize, range: &Range<usize>, encoded: &mut Encoded) {
    match layout {
        Layout::Null | Layout::Variable => {}
        Layout::Boolean(array) => {
            for (offset, row) in range.clone().enumerate() {
                if array.is_valid(row) {
                    encoded.bytes[encoded.starts[offset] + at] = u8::from(array.value(row));
                }
            }
        }
        Layout::Date(array) => write_values(array, at, range, encoded, i32::to_le_bytes),
        Layout::Integer(array) => write_values(array, at, range, encoded, i64::to_le_bytes),
        Layout::Float(array) => write_values(array, at, range, encoded, |value: f64| value.to_bits().to_le_bytes()),
        Layout::Wide(array) => write_values(array, at, range, encoded, i128::to_le_bytes),
        Layout::Widest(array) => write_values(array, at, range, encoded, arrow::datatypes::i256::to_le_bytes),
    }
}

fn write_values<T: ArrowPrimitiveType, const WIDTH: usize>(
    array: &PrimitiveArray<T>,
    at: usize,
    range: &Range<usize>,
    encoded: &mut Encoded,
    to_bytes: impl Fn(T::Native) -> [u8; WIDTH],
) {
    let values = &array.values()[range.clone()];
    let starts = &encoded.starts[..range.len()];
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            for (&start, &value) in starts.iter().zip(values) {
                encoded.bytes[start + at..start + at + WIDTH].copy_from_slice(&to_bytes(value));
            }
        }
        Some(nulls) => {
            for (offset, (&start, &value)) in starts.iter().zip(values).enumerate() {
                if nulls.is_valid(range.start + offset) {
                    encoded.bytes[start + at..start + at + WIDTH].copy_from_slice(&to_bytes(value));
                }
            }
        }
    }
}

/// A loop over a variable column that is compiled once for each Arrow layout.
trait EachBytes {
    fn run<'a>(self, array: &'a dyn Array, value: impl Fn(usize) -> &'a [u8]);
}

struct LengthAdder<'e> {
    lengths: &'e mut [usize],
    range: Range<usize>,
}

impl EachBytes for LengthAdder<'_> {
    fn run<'a>(self, array: &'a dyn Array, value: impl Fn(usize) -> &'a [u8]) {
        for (length, row) in self.lengths.iter_mut().zip(self.range) {
            if array.is_valid(row) {
                let bytes = value(row).len();
                *length += bytes + if bytes >= u32::MAX as usize { 8 } else { 0 };
            }
        }
    }
}

struct VariableWriter<'e> {
    encoded: &'e mut Encoded,
    range: Range<usize>,
    length_at: usize,
}

impl EachBytes for VariableWriter<'_> {
    fn run<'a>(self, array: &'a dyn Array, value: impl Fn(usize) -> &'a [u8]) {
        let Encoded { bytes, starts, cursors } = self.encoded;
        for ((&start, cursor), row) in starts.iter().zip(cursors).zip(self.range) {
            if !array.is_valid(row) {
                continue;
            }
            let value = value(row);
            let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
            let at = start + self.length_at;
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            if length == u32::MAX {
                bytes[*cursor..*cursor + 8].copy_from_slice(&(value.len() as u64).to_le_bytes());
                *cursor += 8;
            }
            bytes[*cursor..*cursor + value.len()].copy_from_slice(value);
            *cursor += value.len();
        }
    }
}

fn with_bytes(column: &CanonicalColumn, job: impl EachBytes) {
    fn offsets<'a, T: ByteArrayType>(array: &'a GenericByteArray<T>, job: impl EachBytes)
    where
        &'a T::Native: AsRef<[u8]>,
        T::Native: AsRef<[u8]>,
    {
        job.run(array, |row| array.value(row).as_ref());
    }
    fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>, job: impl EachBytes)
    where
        T::Native: AsRef<[u8]>,
    {
        job.run(array, |row| array.value(row).as_ref());
    }
    let values = column.values.as_ref();
    match values.data_type() {
        DataType::Utf8 => offsets(values.as_string::<i32>(), job),
        DataType::LargeUtf8 => offsets(values.as_string::<i64>(), job),
        DataType::Utf8View => views(values.as_string_view(), job),
        DataType::Binary => offsets(values.as_binary::<i32>(), job),
        DataType::LargeBinary => offsets(values.as_binary::<i64>(), job),
        DataType::BinaryView => views(values.as_binary_view(), job),
        DataType::FixedSizeBinary(_) => {
            let array = values.as_fixed_size_binary();
            job.run(array, |row| ArrayAccessor::value(&array, row));
        }
        other => unreachable!("`normalise` makes no canonical column of type {other}"),
    }
}
