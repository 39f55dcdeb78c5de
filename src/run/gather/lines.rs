//! Candidate rows as bytes, and bytes as the rows that they were. It looks at no value and never drops a bit of one.
//!
//! A row is its length (4 bytes), the order of its key (8), a bit for each column that is NULL, the values of a fixed width side by
//! side, the lengths of the strings (4 each), and the strings. What has other types (lists, structs) is one more string, as
//! Arrow's row format writes it. NULL leaves zeros. It is read by no other process than the one that wrote it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BooleanArray, GenericByteArray, GenericByteViewArray, RecordBatch,
    RecordBatchOptions, make_array, make_view,
};
use arrow::buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, BinaryViewType, ByteArrayType, ByteViewType, DataType, FieldRef, LargeBinaryType, LargeUtf8Type,
    Schema, StringViewType, Utf8Type,
};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use super::stretches::Spare;

/// Rows as bytes that stand for themselves: cut by partition, held or spilled, they need no more than their length and the
/// order of their key.
pub(super) struct Lines {
    schema: Arc<Schema>,
    layouts: Vec<Layout>,
    /// Where the first string begins.
    strings_at: usize,
    /// What writes the columns that have no layout of their own, and the place of their length.
    others: Option<(RowConverter, usize)>,
}

/// How a column is laid out in a row, and where: its value, or the length of its string.
#[derive(Clone, Copy)]
enum Layout {
    Boolean(usize),
    Fixed { at: usize, width: usize },
    String(usize),
    Other,
}

impl Layout {
    fn of(of: &DataType) -> Self {
        let at = 0;
        match of {
            DataType::Boolean => Self::Boolean(at),
            DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Self::String(at),
            DataType::FixedSizeBinary(16) => Self::Fixed { at, width: 16 },
            other => other.primitive_width().map_or(Self::Other, |width| Self::Fixed { at, width }),
        }
    }
}

/// Some rows as bytes.
pub(super) struct Written {
    bytes: Vec<u8>,
    /// Where each row begins, and at the end where the last one ends.
    starts: Vec<usize>,
    orders: Vec<u64>,
}

impl Written {
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes, which nobody reads any more.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The rows, each with the order of its key.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let rows = self.starts.windows(2).map(|bounds| &self.bytes[bounds[0]..bounds[1]]);
        self.orders.iter().copied().zip(rows)
    }
}

/// A row among the bytes of some stretches.
struct Line<'a> {
    order: u64,
    /// Which stretch, and where in it the row begins.
    stretch: u32,
    at: u32,
    bytes: &'a [u8],
}

impl Line<'_> {
    fn number(&self, at: usize) -> usize {
        let number = self.bytes[at..].first_chunk().expect("a row has its whole head");
        u32::from_le_bytes(*number) as usize
    }

    fn is_null(&self, column: usize) -> bool {
        self.bytes[Lines::HEAD + column / 8] >> (column % 8) & 1 == 1
    }
}

impl Lines {
    /// Bytes before each row: its length, and the order of its key.
    const HEAD: usize = 4 + 8;
    /// Bytes of several rows that are written at once, at most.
    pub(super) const LONGEST: usize = 1 << 30;

    /// Of rows with these columns.
    pub(super) fn new(schema: &Schema) -> Self {
        let plain = |field: &FieldRef| match field.data_type() {
            // What is read back is plain.
            DataType::Dictionary(_, values) => Arc::new(field.as_ref().clone().with_data_type((**values).clone())),
            _ => Arc::clone(field),
        };
        let fields: Vec<FieldRef> = schema.fields().iter().map(plain).collect();
        let mut layouts: Vec<Layout> = fields.iter().map(|field| Layout::of(field.data_type())).collect();
        let mut end = Self::HEAD + fields.len().div_ceil(8);
        for layout in &mut layouts {
            match layout {
                Layout::Boolean(at) => (*at, end) = (end, end + 1),
                Layout::Fixed { at, width } => (*at, end) = (end, end + *width),
                Layout::String(_) | Layout::Other => {}
            }
        }
        for layout in &mut layouts {
            if let Layout::String(at) = layout {
                (*at, end) = (end, end + 4);
            }
        }
        let others: Vec<SortField> = fields
            .iter()
            .zip(&layouts)
            .filter(|(_, layout)| matches!(layout, Layout::Other))
            .map(|(field, _)| SortField::new(field.data_type().clone()))
            .collect();
        let others = (!others.is_empty()).then(|| {
            let at = end;
            end += 4;
            (RowConverter::new(others).expect("every type that a source can have has rows"), at)
        });
        Self { schema: Arc::new(Schema::new(fields)), layouts, strings_at: end, others }
    }

    /// Rows as bytes, with the orders of their keys, which are given back where the bytes would be too many to be written at once.
    pub(super) fn write(&self, batch: &RecordBatch, orders: Vec<u64>, spare: &Spare) -> Result<Written, Vec<u64>> {
        let plain = |(column, field): (&ArrayRef, &FieldRef)| match column.data_type() {
            DataType::Dictionary(..) => cast(column, field.data_type()).expect("a dictionary has its values' type"),
            _ => Arc::clone(column),
        };
        let columns: Vec<ArrayRef> = batch.columns().iter().zip(self.schema.fields()).map(plain).collect();
        let same = |(column, field): (&ArrayRef, &FieldRef)| field.data_type().equals_datatype(column.data_type());
        assert!(columns.iter().zip(self.schema.fields()).all(same), "the columns are those of the schema");
        let others = self.others.as_ref().map(|(converter, at)| {
            let others: Vec<ArrayRef> = self.of_others(&columns).cloned().collect();
            (converter.convert_columns(&others).expect("the columns are those of the schema"), *at)
        });
        let mut starts = vec![self.strings_at; batch.num_rows() + 1];
        for (column, layout) in columns.iter().zip(&self.layouts) {
            if let Layout::String(_) = layout {
                each_string(column, |row, string| starts[row] += string.len());
            }
        }
        if let Some((rows, _)) = &others {
            rows.iter().zip(&mut starts).for_each(|(row, length)| *length += row.data().len());
        }
        let mut end = 0;
        for start in &mut starts {
            end += std::mem::replace(start, end);
        }
        let all = starts.last().copied().unwrap_or_default();
        if all > Self::LONGEST && batch.num_rows() > 1 {
            return Err(orders);
        }
        let mut bytes = spare.take(all);
        for (bounds, order) in starts.windows(2).zip(&orders) {
            let length = u32::try_from(bounds[1] - bounds[0]).expect("a row is shorter than a batch may be");
            let head = &mut bytes[bounds[0]..bounds[0] + Self::HEAD];
            head[..4].copy_from_slice(&length.to_le_bytes());
            head[4..].copy_from_slice(&order.to_le_bytes());
        }
        let starts_of_rows = &starts[..batch.num_rows()];
        let mut ends: Vec<usize> = starts_of_rows.iter().map(|start| start + self.strings_at).collect();
        let mut put = |at: usize, row: usize, string: &[u8]| {
            let length = u32::try_from(string.len()).expect("a string is shorter than a batch may be");
            bytes[starts[row] + at..][..4].copy_from_slice(&length.to_le_bytes());
            bytes[ends[row]..][..string.len()].copy_from_slice(string);
            ends[row] += string.len();
        };
        for (column, layout) in columns.iter().zip(&self.layouts) {
            if let Layout::String(at) = *layout {
                each_string(column, |row, string| put(at, row, string));
            }
        }
        if let Some((rows, at)) = &others {
            rows.iter().enumerate().for_each(|(row, other)| put(*at, row, other.data()));
        }
        for (index, (column, layout)) in columns.iter().zip(&self.layouts).enumerate() {
            write_nulls(column.nulls(), Self::HEAD + index / 8, index % 8, starts_of_rows, &mut bytes);
            write_fixed(column, *layout, starts_of_rows, &mut bytes);
        }
        Ok(Written { bytes, starts, orders })
    }

    /// The columns that have no layout of their own.
    fn of_others<'c>(&self, columns: &'c [ArrayRef]) -> impl Iterator<Item = &'c ArrayRef> {
        let others = columns.iter().zip(&self.layouts).filter(|(_, layout)| matches!(layout, Layout::Other));
        others.map(|(column, _)| column)
    }

    /// The rows of some stretches in the order of their keys, so that the values of both sides' pairs are met one after the other.
    pub(super) fn read(&self, stretches: &[Buffer]) -> (RecordBatch, Vec<u64>) {
        let mut lines: Vec<Line<'_>> = Vec::new();
        for (stretch, bytes) in (0..).zip(stretches) {
            let mut rest = bytes.as_slice();
            while let Some((length, after)) = rest.split_first_chunk() {
                let (order, _) = after.split_first_chunk().expect("a length is followed by an order");
                let order = u64::from_le_bytes(*order);
                let (row, others) = rest.split_at(u32::from_le_bytes(*length) as usize);
                let at = u32::try_from(bytes.len() - rest.len()).expect("a stretch is shorter than 4 GiB");
                lines.push(Line { order, stretch, at, bytes: row });
                rest = others;
            }
        }
        lines.sort_by_key(|line| line.order);
        let columns = self.columns(&lines, stretches).expect("rows are read as they were written");
        // A dictionary within a list or struct is plain as well.
        let same = |(field, column): (&FieldRef, &ArrayRef)| field.data_type() == column.data_type();
        let schema = if self.schema.fields().iter().zip(&columns).all(same) {
            Arc::clone(&self.schema)
        } else {
            let typed = |(field, column): (&FieldRef, &ArrayRef)| {
                field.as_ref().clone().with_data_type(column.data_type().clone())
            };
            Arc::new(Schema::new(self.schema.fields().iter().zip(&columns).map(typed).collect::<Vec<_>>()))
        };
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        (batch.expect("the columns are those of the schema"), lines.iter().map(|line| line.order).collect())
    }

    fn columns(&self, lines: &[Line<'_>], stretches: &[Buffer]) -> Result<Vec<ArrayRef>, ArrowError> {
        // Where the next string of each row begins.
        let mut ends = vec![self.strings_at; lines.len()];
        let mut columns: Vec<Option<ArrayRef>> = Vec::with_capacity(self.layouts.len());
        for (index, (layout, field)) in self.layouts.iter().zip(self.schema.fields()).enumerate() {
            let nulls = || {
                let valid = BooleanBuffer::collect_bool(lines.len(), |row| !lines[row].is_null(index));
                Some(NullBuffer::new(valid)).filter(|nulls| nulls.null_count() > 0)
            };
            columns.push(match *layout {
                Layout::Other => None,
                Layout::Boolean(at) => {
                    let values = BooleanBuffer::collect_bool(lines.len(), |row| lines[row].bytes[at] == 1);
                    Some(Arc::new(BooleanArray::new(values, nulls())))
                }
                Layout::Fixed { at, width } => {
                    let data = ArrayData::builder(field.data_type().clone()).len(lines.len()).nulls(nulls());
                    let data = data.add_buffer(read_fixed(lines, at, width)).align_buffers(true).build()?;
                    Some(make_array(data))
                }
                Layout::String(at) => Some(read_strings(field.data_type(), lines, at, &mut ends, stretches, nulls())?),
            });
        }
        if let Some((converter, at)) = &self.others {
            let parser = converter.parser();
            let rows = lines.iter().zip(&ends).map(|(line, &end)| parser.parse(&line.bytes[end..][..line.number(*at)]));
            let mut others = converter.convert_rows(rows)?.into_iter();
            columns.iter_mut().filter(|column| column.is_none()).for_each(|column| *column = others.next());
        }
        Ok(columns.into_iter().flatten().collect())
    }
}

/// Hands over the strings of a column that are not NULL, with their rows.
fn each_string(column: &dyn Array, each: impl FnMut(usize, &[u8])) {
    fn all<'a, S: AsRef<[u8]> + ?Sized + 'a>(
        strings: impl Iterator<Item = Option<&'a S>>,
        mut each: impl FnMut(usize, &[u8]),
    ) {
        for (row, string) in strings.enumerate() {
            if let Some(string) = string {
                each(row, string.as_ref());
            }
        }
    }
    match column.data_type() {
        DataType::Utf8 => all(column.as_string::<i32>().iter(), each),
        DataType::LargeUtf8 => all(column.as_string::<i64>().iter(), each),
        DataType::Utf8View => all(column.as_string_view().iter(), each),
        DataType::Binary => all(column.as_binary::<i32>().iter(), each),
        DataType::LargeBinary => all(column.as_binary::<i64>().iter(), each),
        _ => all(column.as_binary_view().iter(), each),
    }
}

fn write_nulls(nulls: Option<&NullBuffer>, at: usize, bit: usize, starts: &[usize], bytes: &mut [u8]) {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else { return };
    for (row, start) in starts.iter().enumerate() {
        bytes[start + at] |= u8::from(nulls.is_null(row)) << bit;
    }
}

fn write_fixed(column: &dyn Array, layout: Layout, starts: &[usize], bytes: &mut [u8]) {
    fn write<const WIDTH: usize>(column: &dyn Array, at: usize, starts: &[usize], bytes: &mut [u8]) {
        let (data, nulls) = (column.to_data(), column.nulls());
        let values = &data.buffers()[0].as_slice()[data.offset() * WIDTH..];
        for (row, (start, value)) in starts.iter().zip(values.as_chunks::<WIDTH>().0).enumerate() {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                bytes[start + at..start + at + WIDTH].copy_from_slice(value);
            }
        }
    }
    match layout {
        Layout::Boolean(at) => {
            let values = column.as_boolean();
            for (row, start) in starts.iter().enumerate() {
                bytes[start + at] = u8::from(values.is_valid(row) && values.value(row));
            }
        }
        Layout::Fixed { at, width: 1 } => write::<1>(column, at, starts, bytes),
        Layout::Fixed { at, width: 2 } => write::<2>(column, at, starts, bytes),
        Layout::Fixed { at, width: 4 } => write::<4>(column, at, starts, bytes),
        Layout::Fixed { at, width: 8 } => write::<8>(column, at, starts, bytes),
        Layout::Fixed { at, width: 16 } => write::<16>(column, at, starts, bytes),
        Layout::Fixed { at, width: 32 } => write::<32>(column, at, starts, bytes),
        Layout::Fixed { width, .. } => unreachable!("no value has {width} bytes"),
        Layout::String(_) | Layout::Other => {}
    }
}

fn read_fixed(lines: &[Line<'_>], at: usize, width: usize) -> Buffer {
    fn read<const WIDTH: usize>(lines: &[Line<'_>], at: usize) -> Buffer {
        let mut values = MutableBuffer::from_len_zeroed(lines.len() * WIDTH);
        for (value, line) in values.as_slice_mut().as_chunks_mut::<WIDTH>().0.iter_mut().zip(lines) {
            value.copy_from_slice(&line.bytes[at..at + WIDTH]);
        }
        values.into()
    }
    match width {
        1 => read::<1>(lines, at),
        2 => read::<2>(lines, at),
        4 => read::<4>(lines, at),
        8 => read::<8>(lines, at),
        16 => read::<16>(lines, at),
        32 => read::<32>(lines, at),
        _ => unreachable!("no value has {width} bytes"),
    }
}

/// A column of strings, whose bytes stay where they are if it has views. `ends`: where each row's string begins, and then ends.
fn read_strings(
    of: &DataType,
    lines: &[Line<'_>],
    at: usize,
    ends: &mut [usize],
    stretches: &[Buffer],
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    fn views<T: ByteViewType + ?Sized>(
        strings: impl Iterator<Item = (u32, usize, usize)>,
        lines: &[Line<'_>],
        stretches: &[Buffer],
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let view = |(line, (stretch, start, length)): (&Line<'_>, (u32, usize, usize))| {
            let offset = u32::try_from(start).expect("a row is shorter than 4 GiB") + line.at;
            make_view(&line.bytes[start..start + length], stretch, offset)
        };
        let views: ScalarBuffer<u128> = lines.iter().zip(strings).map(view).collect();
        Ok(Arc::new(GenericByteViewArray::<T>::try_new(views, stretches, nulls)?))
    }
    fn offsets<T: ByteArrayType>(
        strings: impl Iterator<Item = (u32, usize, usize)>,
        lines: &[Line<'_>],
        nulls: Option<NullBuffer>,
    ) -> Result<ArrayRef, ArrowError> {
        let mut bytes = Vec::new();
        let mut lengths = Vec::with_capacity(lines.len());
        for (line, (_, start, length)) in lines.iter().zip(strings) {
            bytes.extend_from_slice(&line.bytes[start..start + length]);
            lengths.push(length);
        }
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(GenericByteArray::<T>::try_new(offsets, bytes.into(), nulls)?))
    }
    let strings = lines.iter().zip(ends).map(|(line, end)| {
        let (start, length) = (*end, line.number(at));
        *end += length;
        (line.stretch, start, length)
    });
    match of {
        DataType::Utf8 => offsets::<Utf8Type>(strings, lines, nulls),
        DataType::LargeUtf8 => offsets::<LargeUtf8Type>(strings, lines, nulls),
        DataType::Utf8View => views::<StringViewType>(strings, lines, stretches, nulls),
        DataType::Binary => offsets::<BinaryType>(strings, lines, nulls),
        DataType::LargeBinary => offsets::<LargeBinaryType>(strings, lines, nulls),
        _ => views::<BinaryViewType>(strings, lines, stretches, nulls),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, BinaryArray, BinaryViewArray, BooleanArray, Decimal256Array, DictionaryArray, FixedSizeBinaryArray,
        Float64Array, Int8Array, Int16Array, Int32Array, LargeStringArray, ListArray, MapArray, NullArray, StringArray,
        StringViewArray, StructArray, TimestampNanosecondArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Int32Type, i256};

    use super::*;

    #[test]
    fn rows_of_any_type_are_read_as_they_were_written() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("")]));
        let labels: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x"), None, Some("x")]));
        let member = |name: &str, array: &ArrayRef| Arc::new(Field::new(name, array.data_type().clone(), true));
        let list = |of: &ArrayRef| -> ArrayRef {
            Arc::new(ListArray::new(member("item", of), OffsetBuffer::from_lengths([2, 0, 1]), Arc::clone(of), None))
        };
        let names: ArrayRef = Arc::new(StringArray::from(vec!["p", "q", "r"]));
        let name = Arc::new(Field::new("key", DataType::Utf8, false));
        let pair = StructArray::from(vec![(name, names), (member("value", &texts), Arc::clone(&texts))]);
        let entries = Arc::new(Field::new("entries", pair.data_type().clone(), false));
        let map = MapArray::new(entries, OffsetBuffer::from_lengths([1, 2, 0]), pair.clone(), None, false);
        let long = "long".repeat(100);
        let columns: Vec<ArrayRef> = vec![
            Arc::clone(&texts),
            Arc::clone(&labels),
            Arc::new(Float64Array::from(vec![Some(-0.0), Some(f64::NAN), None])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(StringViewArray::from(vec![Some(long.as_str()), Some("short"), None])),
            Arc::new(BinaryViewArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b"")])),
            Arc::new(FixedSizeBinaryArray::try_from(vec![&[1_u8, 2][..], &[3, 4], &[5, 6]]).unwrap()),
            Arc::new(FixedSizeBinaryArray::try_from(vec![&[7_u8; 16][..], &[8; 16], &[0; 16]]).unwrap()),
            Arc::new(LargeStringArray::from(vec![None, Some(long.as_str()), Some("ü")])),
            Arc::new(BinaryArray::from(vec![Some(&b"\x00"[..]), None, Some(b"\xff\xfe")])),
            Arc::new(Decimal256Array::from(vec![Some(i256::MAX), Some(i256::MIN), None])),
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("Europe/Rome")),
            Arc::new(NullArray::new(3)),
            Arc::new(pair),
            Arc::new(map),
            list(&texts),
            list(&labels),
            list(&(Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef)),
            Arc::new(Int8Array::from(vec![Some(-1), None, Some(1)])),
            Arc::new(Int16Array::from(vec![Some(-1), None, Some(1)])),
        ];
        let named = columns.iter().enumerate().map(|(index, column)| (index.to_string(), Arc::clone(column), true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let lines = Lines::new(&batch.schema());
        // They come in another order than that of their keys, and from two stretches.
        assert_eq!(read_back(&lines, &batch, vec![7, 8, 9], |rows| [vec![rows[2], rows[0]], vec![rows[1]]]), [7, 8, 9]);
        // Some rows of longer columns, whose strings lie elsewhere.
        assert_eq!(read_back(&lines, &batch.slice(1, 2), vec![1, 2], |rows| [vec![rows[1]], vec![rows[0]]]), [1, 2]);
        assert!(read_back(&lines, &batch.slice(2, 0), vec![], |_| [vec![], vec![]]).is_empty());
    }

    /// Writes rows, brings them into stretches, reads them and makes sure that they are the same; tells the orders that were read.
    fn read_back(
        lines: &Lines,
        batch: &RecordBatch,
        orders: Vec<u64>,
        stretches: impl for<'r> Fn(&[&'r [u8]]) -> [Vec<&'r [u8]>; 2],
    ) -> Vec<u64> {
        let spare = Spare::default();
        spare.give(vec![0xFF; 1 << 20], usize::MAX);
        let written = lines.write(batch, orders, &spare).unwrap();
        let rows: Vec<&[u8]> = written.rows().map(|(_, row)| row).collect();
        let stretches = stretches(&rows).map(|rows| Buffer::from_vec(rows.concat()));
        let (read, orders) = lines.read(&stretches);
        assert_eq!(read.num_rows(), batch.num_rows());
        for (read, column) in read.columns().iter().zip(batch.columns()) {
            let plain = match column.data_type() {
                DataType::Dictionary(_, values) => cast(column, values).unwrap(),
                DataType::List(item) if matches!(item.data_type(), DataType::Dictionary(..)) => {
                    cast(column, read.data_type()).unwrap()
                }
                _ => Arc::clone(column),
            };
            // Both zeros and all NaNs keep their bits, which equality of floats would not tell.
            assert_eq!(format!("{read:?}"), format!("{plain:?}"));
            assert_eq!(read.data_type(), plain.data_type());
        }
        orders
    }
}
