//! Canonical columns as plain Arrow columns for SQL. It loses what SQL has no type for (digits beyond a `Float64` or
//! 38 decimals, less than a microsecond), so it serves to choose rows and never to compare them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, DurationMicrosecondArray, Float64Array, Int64Array, NullArray,
    RecordBatch, RecordBatchOptions, StringArray, Time64NanosecondArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};

use super::cell::{Cells, number, text};
use super::{Binding, CanonicalBatch, CanonicalColumn, Comparison};

/// See `normalise::attribute_view`.
pub(super) fn attribute_view(binding: &Binding, batch: &CanonicalBatch) -> RecordBatch {
    let columns: Vec<ArrayRef> = binding
        .attributes
        .iter()
        .zip(&batch.columns)
        .map(|(attribute, column)| plain(&attribute.comparison, column))
        .collect();
    let field = |(attribute, column): (&super::BoundAttribute, &ArrayRef)| {
        Field::new(&attribute.name, column.data_type().clone(), true)
    };
    let fields: Vec<Field> = binding.attributes.iter().zip(&columns).map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
        .expect("canonical columns have the batch's rows and are nullable")
}

fn plain(comparison: &Comparison, column: &CanonicalColumn) -> ArrayRef {
    let values = &column.values;
    match comparison {
        Comparison::Null => Arc::new(NullArray::new(values.len())),
        Comparison::Boolean | Comparison::Integer | Comparison::Float | Comparison::Date => Arc::clone(values),
        Comparison::Decimal { precision, scale } if *precision <= 38 && *scale >= 0 => {
            let target = DataType::Decimal128((*precision).max(scale.unsigned_abs()), *scale);
            let wide: Decimal128Array = match values.as_primitive_opt::<Int64Type>() {
                Some(narrow) => narrow.unary::<_, Decimal128Type>(i128::from),
                None => values.as_primitive::<Decimal128Type>().clone(),
            };
            Arc::new(wide.with_data_type(target))
        }
        Comparison::Decimal { .. } | Comparison::Number => {
            let cells = Cells::new(values);
            let float = |row| number(comparison, cells.get(row)).map(|number| number.to_f64().unwrap_or(f64::MAX));
            Arc::new((0..values.len()).map(float).collect::<Float64Array>())
        }
        Comparison::Text => cast(values, &DataType::Utf8).unwrap_or_else(|_| texts(comparison, values)),
        Comparison::Binary => cast(values, &DataType::Binary).unwrap_or_else(|_| Arc::clone(values)),
        Comparison::Time => {
            let times = values.as_primitive::<Int64Type>();
            Arc::new(Time64NanosecondArray::new(times.values().clone(), times.nulls().cloned()))
        }
        Comparison::Timestamp => Arc::new(timestamps(values)),
        Comparison::Instant => Arc::new(timestamps(values).with_timezone("UTC")),
        Comparison::Duration => {
            let lengths = microseconds(values);
            Arc::new(DurationMicrosecondArray::new(lengths.values().clone(), lengths.nulls().cloned()))
        }
        Comparison::Interval | Comparison::Uuid | Comparison::Json | Comparison::Nested(_) => texts(comparison, values),
    }
}

fn texts(comparison: &Comparison, values: &ArrayRef) -> ArrayRef {
    let cells = Cells::new(values);
    Arc::new((0..values.len()).map(|row| text(comparison, cells.get(row))).collect::<StringArray>())
}

/// Nanoseconds as microseconds, which reach every year that a calendar has.
fn microseconds(values: &ArrayRef) -> Int64Array {
    let limit =
        |value: i128| i64::try_from(value.div_euclid(1_000)).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
    values.as_primitive::<Decimal128Type>().unary::<_, Int64Type>(limit)
}

fn timestamps(values: &ArrayRef) -> TimestampMicrosecondArray {
    let counts = microseconds(values);
    TimestampMicrosecondArray::new(counts.values().clone(), counts.nulls().cloned())
}
