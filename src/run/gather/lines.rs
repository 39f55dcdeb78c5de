//! Candidate rows as bytes, and bytes as the rows that they were. It looks at no value and never drops a bit of one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::row::{RowConverter, SortField};

use super::Stretch;

/// Rows as bytes that stand for themselves: cut by partition, held or spilled, they need no more than their length and the
/// order of their key.
pub(super) struct Lines {
    schema: Arc<Schema>,
    converter: RowConverter,
}

impl Lines {
    /// Bytes before each row: its length, and the order of its key.
    pub(super) const HEAD: usize = 4 + 8;

    /// Of rows with these columns.
    pub(super) fn new(schema: &Schema) -> Self {
        let plain = |field: &FieldRef| match field.data_type() {
            // What is read back is plain.
            DataType::Dictionary(_, values) => Arc::new(field.as_ref().clone().with_data_type((**values).clone())),
            _ => Arc::clone(field),
        };
        let fields: Vec<FieldRef> = schema.fields().iter().map(plain).collect();
        let sorted = fields.iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let converter = RowConverter::new(sorted).expect("every type that a source can have has rows");
        Self { schema: Arc::new(Schema::new(fields)), converter }
    }

    pub(super) fn write(&self, batch: &RecordBatch) -> arrow::row::Rows {
        let plain = |(column, field): (&ArrayRef, &FieldRef)| match column.data_type() {
            DataType::Dictionary(..) => cast(column, field.data_type()).expect("a dictionary has its values' type"),
            _ => Arc::clone(column),
        };
        let columns: Vec<ArrayRef> = batch.columns().iter().zip(self.schema.fields()).map(plain).collect();
        self.converter.convert_columns(&columns).expect("the columns are those of the schema")
    }

    /// Writes one row, and tells how many bytes it takes.
    pub(super) fn put(to: &mut [u8], order: u64, row: &[u8]) -> usize {
        let length = u32::try_from(row.len()).expect("a row is shorter than a batch may be");
        to[..4].copy_from_slice(&length.to_le_bytes());
        to[4..Self::HEAD].copy_from_slice(&order.to_le_bytes());
        to[Self::HEAD..Self::HEAD + row.len()].copy_from_slice(row);
        Self::HEAD + row.len()
    }

    /// The rows of some stretches in the order of their keys, so that the values of both sides' pairs are met one after the other.
    pub(super) fn read(&self, stretches: &[Stretch]) -> (RecordBatch, Vec<u64>) {
        let mut rows: Vec<(u64, &[u8])> = Vec::new();
        for (bytes, range) in stretches {
            let mut rest = &bytes[range.clone()];
            while let Some((head, after)) = rest.split_first_chunk::<{ Self::HEAD }>() {
                let (length, order) = head.split_first_chunk().expect("a head is longer than a length");
                let order = u64::from_le_bytes(order.try_into().expect("eight bytes"));
                let (row, after) = after.split_at(u32::from_le_bytes(*length) as usize);
                rows.push((order, row));
                rest = after;
            }
        }
        rows.sort_by_key(|(order, _)| *order);
        let parser = self.converter.parser();
        let columns = self.converter.convert_rows(rows.iter().map(|(_, row)| parser.parse(row)));
        let columns = columns.expect("rows are read as they were written");
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
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options);
        (batch.expect("the columns are those of the schema"), rows.iter().map(|(order, _)| *order).collect())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        Array, BinaryViewArray, BooleanArray, Decimal256Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
        Int32Array, ListArray, MapArray, NullArray, StringArray, StringViewArray, StructArray,
        TimestampNanosecondArray,
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
            Arc::new(Decimal256Array::from(vec![Some(i256::MAX), Some(i256::MIN), None])),
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None, Some(-1)]).with_timezone("Europe/Rome")),
            Arc::new(NullArray::new(3)),
            Arc::new(pair),
            Arc::new(map),
            list(&texts),
            list(&labels),
            list(&(Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef)),
        ];
        let named = columns.iter().enumerate().map(|(index, column)| (index.to_string(), Arc::clone(column), true));
        let batch = RecordBatch::try_from_iter_with_nullable(named).unwrap();
        let lines = Lines::new(&batch.schema());
        let rows = lines.write(&batch);
        let mut bytes = vec![0; rows.iter().map(|row| Lines::HEAD + row.data().len()).sum()];
        let mut end = 0;
        // They come in another order than that of their keys.
        for (row, order) in [(2, 9), (0, 7), (1, 8)] {
            end += Lines::put(&mut bytes[end..], order, rows.row(row).data());
        }
        let all = 0..bytes.len();
        let (read, order) = lines.read(&[(Arc::new(bytes), all)]);
        assert_eq!(order, [7, 8, 9]);
        for (read, column) in read.columns().iter().zip(&columns) {
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
    }
}
