//! Writes the canonical bytes of rows, a column at a time. The format is drawn in the module above.

use std::ops::Range;

use arrow::array::{
    Array, AsArray, BooleanArray, ByteView, GenericByteArray, GenericByteViewArray, OffsetSizeTrait, PrimitiveArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, ByteArrayType, ByteViewType, DataType, Date32Type, Decimal128Type,
    Decimal256Type, Float64Type, Int64Type,
};

use crate::normalise::CanonicalColumn;
use crate::sides::Side;

/// A BLAKE3 block; rows are padded to whole ones.
pub(super) const BLOCK: usize = 64;

/// The bytes of some rows, one after the other, each padded to whole blocks.
#[derive(Debug, Default)]
pub struct Encoded {
    /// Grows and is never cleared: every row writes or clears all of its own bytes.
    bytes: Vec<u8>,
    /// Where each row begins, and at the end where the last one ends.
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
    Variable(Variable<'a>),
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
            _ => Self::Variable(Variable::of(values)),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Null | Self::Variable(_) => 0,
            Self::Boolean(_) => 1,
            Self::Date(_) => 4,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Wide(_) => 16,
            Self::Widest(_) => 32,
        }
    }
}

/// A column of strings of bytes, whatever its Arrow layout.
pub(super) enum Variable<'a> {
    Offsets(&'a [i32], &'a [u8]),
    LargeOffsets(&'a [i64], &'a [u8]),
    Views(&'a [u128], &'a [Buffer]),
    FixedSize(usize, &'a [u8]),
}

impl<'a> Variable<'a> {
    /// Sees the column's strings.
    pub(super) fn of(values: &'a dyn Array) -> Self {
        fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Variable<'_> {
            Variable::Views(array.views(), array.data_buffers())
        }
        fn offsets<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>) -> Variable<'_> {
            Variable::Offsets(array.value_offsets(), array.value_data())
        }
        fn large_offsets<T: ByteArrayType<Offset = i64>>(array: &GenericByteArray<T>) -> Variable<'_> {
            Variable::LargeOffsets(array.value_offsets(), array.value_data())
        }
        match values.data_type() {
            DataType::Utf8 => offsets(values.as_string::<i32>()),
            DataType::LargeUtf8 => large_offsets(values.as_string::<i64>()),
            DataType::Utf8View => views(values.as_string_view()),
            DataType::Binary => offsets(values.as_binary::<i32>()),
            DataType::LargeBinary => large_offsets(values.as_binary::<i64>()),
            DataType::BinaryView => views(values.as_binary_view()),
            DataType::FixedSizeBinary(_) => {
                let array = values.as_fixed_size_binary();
                Self::FixedSize(
                    usize::try_from(array.value_length()).expect("a size is not negative"),
                    array.value_data(),
                )
            }
            other => unreachable!("`normalise` makes no canonical column of type {other}"),
        }
    }

    /// Hands over the bytes that a row's slot holds, also where it is NULL.
    pub(super) fn with_value<T>(&self, row: usize, job: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::Views(views, _) if view_length(views[row]) <= INLINE => {
                job(&views[row].to_le_bytes()[4..4 + view_length(views[row])])
            }
            _ => {
                let (data, start, length) = self.stretch(row);
                job(&data[start..start + length])
            }
        }
    }

    /// Where a row's bytes lie that are not within a view.
    #[inline]
    fn stretch(&self, row: usize) -> (&'a [u8], usize, usize) {
        match self {
            Self::Offsets(offsets, data) => {
                let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
                (data, start, end - start)
            }
            Self::LargeOffsets(offsets, data) => {
                let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
                (data, start, end - start)
            }
            Self::Views(views, buffers) => {
                let view = ByteView::from(views[row]);
                (&buffers[view.buffer_index as usize], view.offset as usize, view.length as usize)
            }
            Self::FixedSize(size, data) => (data, row * size, *size),
        }
    }

    /// Adds to each row's length what its slot takes beside the length byte; NULL takes nothing.
    fn add_lengths(&self, nulls: Option<&NullBuffer>, range: &Range<usize>, lengths: &mut [usize]) {
        fn add(lengths: &mut [usize], nulls: Option<&NullBuffer>, start: usize, slots: impl Iterator<Item = usize>) {
            let taken = |length: usize| if length >= LONG { length + 8 } else { length };
            match nulls {
                None => lengths.iter_mut().zip(slots).for_each(|(length, slot)| *length += taken(slot)),
                Some(nulls) => {
                    for ((row, length), slot) in (start..).zip(lengths).zip(slots) {
                        *length += if nulls.is_valid(row) { taken(slot) } else { 0 };
                    }
                }
            }
        }
        fn offsets<O: OffsetSizeTrait>(offsets: &[O], range: &Range<usize>) -> impl Iterator<Item = usize> {
            offsets[range.start..=range.end].windows(2).map(|pair| pair[1].as_usize() - pair[0].as_usize())
        }
        match self {
            Self::Offsets(all, _) => add(lengths, nulls, range.start, offsets(all, range)),
            Self::LargeOffsets(all, _) => add(lengths, nulls, range.start, offsets(all, range)),
            Self::Views(views, _) => {
                add(lengths, nulls, range.start, views[range.clone()].iter().map(|view| view_length(*view)));
            }
            Self::FixedSize(size, _) => add(lengths, nulls, range.start, std::iter::repeat(*size)),
        }
    }
}

/// Writes a stretch of bytes to the beginning of `to`. What follows them may be written over: a copy of a known size takes
/// less time than one that fits.
#[inline]
fn put(to: &mut [u8], data: &[u8], from: usize, length: usize) {
    match data.get(from..from + BLOCK) {
        Some(block) if length <= BLOCK => to[..BLOCK].copy_from_slice(block),
        _ => to[..length].copy_from_slice(&data[from..from + length]),
    }
}

/// Bytes that a view holds itself.
const INLINE: usize = 12;

#[inline]
fn view_length(view: u128) -> usize {
    (view & u128::from(u32::MAX)) as usize
}

/// The nulls of a column, where there are any.
pub(super) fn some_nulls(values: &dyn Array) -> Option<&NullBuffer> {
    values.nulls().filter(|nulls| nulls.null_count() > 0)
}

/// Lengths from here on take eight bytes before the value; below, one byte says all.
const LONG: usize = 0xFF;

/// Bytes after the last row that may be written over.
const SLACK: usize = 2 * BLOCK;

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
    let table = Table::new(columns);
    let mut start = range.start;
    while start < range.end && encoded.starts[start - range.start] < bytes {
        let some = start..range.end.min(start + ROWS_AT_ONCE);
        start += table.encode(columns, side, some, bytes, encoded);
    }
}

/// The columns, and where their parts lie in a row.
struct Table<'a> {
    layouts: Vec<Layout<'a>>,
    /// Where the fixed widths begin: after fault byte and NULL bits.
    fixed_at: usize,
    /// Where the lengths begin.
    lengths_at: usize,
    /// Where the variable bytes begin.
    head: usize,
}

impl<'a> Table<'a> {
    fn new(columns: &'a [CanonicalColumn]) -> Self {
        let layouts: Vec<Layout<'_>> = columns.iter().map(Layout::of).collect();
        let fixed_at = 1 + columns.len().div_ceil(8);
        let lengths_at = fixed_at + layouts.iter().map(Layout::width).sum::<usize>();
        let variable = layouts.iter().filter(|layout| matches!(layout, Layout::Variable(_))).count();
        Self { layouts, fixed_at, lengths_at, head: lengths_at + variable }
    }

    /// Appends some rows, and tells how many.
    fn encode(
        &self,
        columns: &[CanonicalColumn],
        side: Side,
        range: Range<usize>,
        most: usize,
        encoded: &mut Encoded,
    ) -> usize {
        let first = encoded.rows();
        let mut lengths = [self.head; ROWS_AT_ONCE];
        let rows = self.lay_out(columns, &range, &mut lengths[..range.len()], most, encoded);
        let range = &(range.start..range.start + rows);
        let starts = &encoded.starts[first..first + range.len()];
        self.write_variable(columns, range, starts, &mut lengths, &mut encoded.bytes);
        for (index, column) in columns.iter().enumerate() {
            write_nulls(column, index, range, starts, &mut encoded.bytes);
        }
        let mut at = self.fixed_at;
        let mut layouts = self.layouts.as_slice();
        while let Some(first) = layouts.first() {
            let written = if let Some(integers) = some_integers::<4>(layouts, range) {
                write_integers(integers, at, starts, &mut encoded.bytes)
            } else if let Some(integers) = some_integers::<2>(layouts, range) {
                write_integers(integers, at, starts, &mut encoded.bytes)
            } else {
                write_fixed(first, at, range, starts, &mut encoded.bytes);
                1
            };
            at += layouts[..written].iter().map(Layout::width).sum::<usize>();
            layouts = &layouts[written..];
        }
        write_faults(columns, side, range, starts, &mut lengths, &mut encoded.bytes);
        rows
    }

    /// Decides where each row begins and ends, and how many there are.
    fn lay_out(
        &self,
        columns: &[CanonicalColumn],
        range: &Range<usize>,
        lengths: &mut [usize],
        most: usize,
        encoded: &mut Encoded,
    ) -> usize {
        for (column, layout) in columns.iter().zip(&self.layouts) {
            if let Layout::Variable(variable) = layout {
                variable.add_lengths(some_nulls(&column.values), range, lengths);
            }
            for (row, fault) in faults_in(column, range) {
                lengths[row] += FAULT_HEAD + fault.shown.len();
            }
        }
        let mut end = encoded.starts.last().copied().unwrap_or_default();
        let mut rows = 0;
        for length in lengths {
            if end >= most {
                break;
            }
            end += length.div_ceil(BLOCK) * BLOCK;
            encoded.starts.push(end);
            rows += 1;
        }
        if encoded.bytes.len() < end + SLACK {
            encoded.bytes.resize(end + SLACK, 0);
        }
        rows
    }

    /// Clears the head of each row, writes its strings and clears what follows them; `ends` becomes where they end. Rows come in order, for
    /// each writes some way into the next.
    fn write_variable(
        &self,
        columns: &[CanonicalColumn],
        range: &Range<usize>,
        starts: &[usize],
        ends: &mut [usize],
        bytes: &mut [u8],
    ) {
        let variables: Vec<(&Variable<'_>, Option<&NullBuffer>)> = columns
            .iter()
            .zip(&self.layouts)
            .filter_map(|(column, layout)| match layout {
                Layout::Variable(variable) => Some((variable, some_nulls(&column.values))),
                _ => None,
            })
            .collect();
        for ((&start, end), row) in starts.iter().zip(ends).zip(range.clone()) {
            let bytes = &mut bytes[start..];
            // Fault byte and NULL bits; fixed widths are all written later.
            bytes[..8].fill(0);
            if self.fixed_at > 8 {
                bytes[8..self.fixed_at].fill(0);
            }
            let mut at = self.head;
            for (length_at, (variable, nulls)) in (self.lengths_at..).zip(&variables) {
                if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                    bytes[length_at] = 0;
                    continue;
                }
                if let Variable::Views(views, _) = variable
                    && view_length(views[row]) <= INLINE
                {
                    // Most short texts: the view holds all there is to write.
                    let length = view_length(views[row]);
                    let value = (views[row] >> 32) & ((1 << (8 * length)) - 1);
                    bytes[at..at + 16].copy_from_slice(&value.to_le_bytes());
                    bytes[length_at] = length as u8;
                    at += length;
                    continue;
                }
                let (data, from, length) = variable.stretch(row);
                bytes[length_at] = length.min(LONG) as u8;
                if length >= LONG {
                    bytes[at..at + 8].copy_from_slice(&(length as u64).to_le_bytes());
                    at += 8;
                }
                put(&mut bytes[at..], data, from, length);
                at += length;
            }
            bytes[at..at + BLOCK].fill(0);
            // A tail of faults is written later, and what follows it is clear too.
            if *end > at {
                bytes[at..end.next_multiple_of(BLOCK)].fill(0);
            }
            *end = start + at;
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

fn write_fixed(layout: &Layout<'_>, at: usize, range: &Range<usize>, starts: &[usize], bytes: &mut [u8]) {
    match layout {
        Layout::Null | Layout::Variable(_) => {}
        Layout::Boolean(array) => {
            for (&start, row) in starts.iter().zip(range.clone()) {
                bytes[start + at] = u8::from(array.is_valid(row) && array.value(row));
            }
        }
        Layout::Date(array) => write_values(array, at, range, starts, bytes, i32::to_le_bytes),
        Layout::Integer(array) => write_values(array, at, range, starts, bytes, i64::to_le_bytes),
        Layout::Float(array) => {
            write_values(array, at, range, starts, bytes, |value: f64| value.to_bits().to_le_bytes());
        }
        Layout::Wide(array) => write_values(array, at, range, starts, bytes, i128::to_le_bytes),
        Layout::Widest(array) => write_values(array, at, range, starts, bytes, arrow::datatypes::i256::to_le_bytes),
    }
}

/// The values of the next columns, where all are integers without NULL.
fn some_integers<'a, const COLUMNS: usize>(
    layouts: &[Layout<'a>],
    range: &Range<usize>,
) -> Option<[&'a [i64]; COLUMNS]> {
    let mut integers = [&[][..]; COLUMNS];
    for (values, layout) in integers.iter_mut().zip(layouts.get(..COLUMNS)?) {
        match layout {
            Layout::Integer(array) if some_nulls(*array).is_none() => *values = &array.values()[range.clone()],
            _ => return None,
        }
    }
    Some(integers)
}

/// Writes columns of integers side by side, and tells how many.
fn write_integers<const COLUMNS: usize>(
    columns: [&[i64]; COLUMNS],
    at: usize,
    starts: &[usize],
    bytes: &mut [u8],
) -> usize {
    let columns = columns.map(|values| &values[..starts.len()]);
    for (row, &start) in starts.iter().enumerate() {
        let bytes = &mut bytes[start + at..start + at + 8 * COLUMNS];
        for (bytes, values) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(&columns) {
            *bytes = values[row].to_le_bytes();
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
