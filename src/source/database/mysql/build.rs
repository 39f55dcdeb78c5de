//! Builds Arrow columns of the server's values. Dates and times begin as numbers; a column that holds one which has none
//! becomes text as a whole, so that no value is lost and none is guessed.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, Decimal128Array, Decimal128Builder, Decimal256Builder,
    NullArray, PrimitiveArray, PrimitiveBuilder, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use mysql_async::Value;

use super::super::spool::Finish;
use super::kind::{Column, Kind};
use super::stamp::{Stamp, is_stamp, stamp, text};

/// The columns of the next batch.
pub(super) struct Columns {
    told: Vec<Column>,
    builders: Vec<Builder>,
    /// For each column whether some value so far is no number of its kind.
    odd: Vec<bool>,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Null,
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt8(PrimitiveBuilder<UInt8Type>),
    UInt16(PrimitiveBuilder<UInt16Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(Decimal128Builder),
    Decimal256(Decimal256Builder),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    /// Dates and times, cast to their type when the batch is made.
    Stamps(PrimitiveBuilder<Int64Type>),
}

impl Columns {
    /// Bytes of text and bytes at which a batch ends.
    pub(super) const MOST_BYTES: usize = 4 << 20;

    pub(super) fn new(columns: &[Column]) -> Self {
        let odd = vec![false; columns.len()];
        let builders = columns.iter().map(|column| Builder::new(&column.kind, false)).collect();
        Self { told: columns.to_vec(), builders, odd, rows: 0, bytes: 0 }
    }

    /// Adds which columns of others are odd; both have given their batches.
    pub(super) fn with(mut self, other: Self) -> Self {
        self.odd.iter_mut().zip(other.odd).for_each(|(odd, other)| *odd |= other);
        self
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a row whole, or not at all.
    ///
    /// # Errors
    /// Which column cannot be read, and why.
    pub(super) fn append(&mut self, row: Vec<Option<Value>>) -> Result<(), String> {
        let values: Vec<Value> = row.into_iter().map(|value| value.unwrap_or(Value::NULL)).collect();
        if values.len() != self.told.len() {
            return Err("has another number of columns than the server told".to_owned());
        }
        for (column, value) in self.told.iter().zip(&values) {
            if let Some(problem) = problem(&column.kind, value) {
                return Err(format!("column `{}` {problem}", column.name));
            }
        }
        for (index, value) in values.into_iter().enumerate() {
            self.append_value(index, value);
        }
        self.rows += 1;
        Ok(())
    }

    fn append_value(&mut self, index: usize, value: Value) {
        let kind = &self.told[index].kind;
        self.bytes += match self.builders[index].append(kind, value) {
            Ok(bytes) => bytes,
            Err(odd) => {
                let mut texts = StringBuilder::new();
                if let Builder::Stamps(builder) = &mut self.builders[index] {
                    let numbers = builder.finish();
                    numbers.iter().for_each(|number| texts.append_option(number.map(|number| text(kind, number))));
                }
                let bytes = append_text(&mut texts, kind, odd);
                self.builders[index] = Builder::Text(texts);
                self.odd[index] = true;
                bytes
            }
        };
    }

    /// Takes the rows since the last batch, in the types that they have so far.
    ///
    /// # Errors
    /// Columns that make no batch.
    pub(super) fn batch(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let (mut arrays, mut fields) = (Vec::new(), Vec::new());
        for ((column, builder), odd) in self.told.iter().zip(&mut self.builders).zip(&self.odd) {
            let array = builder.finish(rows, &column.kind, &column.field())?;
            // Metadata are of no use here, and names may be there twice.
            fields.push(Field::new("", array.data_type().clone(), true));
            arrays.push(array);
            *builder = Builder::new(&column.kind, *odd);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
    }

    /// The schema that holds every value of all batches, and what brings each of them to it.
    pub(super) fn schema(self) -> (SchemaRef, Arc<Finish>) {
        let field = |(column, odd): (&Column, &bool)| match odd {
            true => Field::new(&column.name, DataType::Utf8, true),
            false => column.field(),
        };
        let schema: SchemaRef = Arc::new(Schema::new(self.told.iter().zip(&self.odd).map(field).collect::<Vec<_>>()));
        let (kinds, own) = (self.told, Arc::clone(&schema));
        let finish = move |batch: RecordBatch| {
            let arrays = batch.columns().iter().zip(&kinds).zip(own.fields());
            let arrays = arrays.map(|((array, column), field)| finished(array, &column.kind, field.data_type()));
            let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(Arc::clone(&own), arrays, &options)
        };
        (schema, Arc::new(finish))
    }
}

/// A column of a batch that was made before another value made all of it text.
fn finished(array: &ArrayRef, kind: &Kind, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let numbers = match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(array, &DataType::Int64)?,
    };
    let mut texts = StringBuilder::new();
    for number in numbers.as_primitive::<Int64Type>() {
        texts.append_option(number.map(|number| text(kind, number)));
    }
    Ok(Arc::new(texts.finish()))
}

/// Why a value cannot be read as its column's kind.
fn problem(kind: &Kind, value: &Value) -> Option<&'static str> {
    let fits = match (kind, value) {
        (Kind::Text | Kind::Json, Value::Bytes(bytes)) => {
            return std::str::from_utf8(bytes).err().map(|_| "holds text that is no UTF-8");
        }
        (_, Value::NULL)
        | (Kind::Binary | Kind::Unmapped(_), Value::Bytes(_))
        | (Kind::Float32, Value::Float(_))
        | (Kind::Float64, Value::Float(_) | Value::Double(_)) => true,
        (Kind::Bits, Value::Bytes(bytes)) => bytes.len() <= 8,
        (Kind::Decimal { precision, scale }, Value::Bytes(bytes)) => scaled(bytes, *precision, *scale).is_some(),
        (Kind::Date | Kind::Local | Kind::Instant | Kind::Time, value) => is_stamp(kind, value),
        (Kind::Bits, value) => integer(value).is_some_and(|value| u64::try_from(value).is_ok()),
        (_, value) => integer(value).is_some_and(|value| range(kind).is_some_and(|range| range.contains(&value))),
    };
    (!fits).then_some("holds a value that its type does not have")
}

/// A whole number.
pub(super) fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::UInt(value) => Some(i128::from(*value)),
        _ => None,
    }
}

fn range(kind: &Kind) -> Option<std::ops::RangeInclusive<i128>> {
    let (bits, signed) = match kind {
        Kind::Int8 => (8, true),
        Kind::Int16 => (16, true),
        Kind::Int32 => (32, true),
        Kind::Int64 => (64, true),
        Kind::UInt8 => (8, false),
        Kind::UInt16 => (16, false),
        Kind::UInt32 => (32, false),
        Kind::UInt64 => (64, false),
        _ => return None,
    };
    let limit = 1_i128 << if signed { bits - 1 } else { bits };
    Some(if signed { -limit } else { 0 }..=limit - 1)
}

/// A decimal's digits as one number of a scale; None where it has more than its type.
fn scaled(bytes: &[u8], precision: u8, scale: i8) -> Option<i256> {
    /// So many digits fit into 128 bits.
    const SHORT: usize = 38;
    let (negative, text) = bytes.strip_prefix(b"-").map_or((false, bytes), |text| (true, text));
    let point = text.iter().position(|byte| *byte == b'.');
    if let Some(value) = shortly_scaled(text, point, precision, scale) {
        return Some(i256::from_i128(i128::from(if negative { -value } else { value })));
    }
    let (whole, fraction) = point.map_or((text, &b""[..]), |point| (&text[..point], &text[point + 1..]));
    let lacking = usize::try_from(scale).ok()?.checked_sub(fraction.len())?;
    let digits = || whole.iter().chain(fraction).copied().chain(std::iter::repeat_n(b'0', lacking));
    let (all, zeros) = (digits().count(), digits().take_while(|digit| *digit == b'0').count());
    if all == 0 || all - zeros > usize::from(precision) || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value = if all - zeros <= SHORT {
        i256::from_i128(digits().fold(0, |value, digit| value * 10 + i128::from(digit - b'0')))
    } else {
        i256::from_string(&digits().map(char::from).collect::<String>())?
    };
    Some(if negative { value.wrapping_neg() } else { value })
}

/// The same for most: digits with all of the scale behind their point, no more of them than 64 bits surely hold.
fn shortly_scaled(text: &[u8], point: Option<usize>, precision: u8, scale: i8) -> Option<i64> {
    /// So many digits fit into 64 bits.
    const SHORT: usize = 18;
    let behind = point.map_or(0, |point| text.len() - point - 1);
    let digits = text.len() - usize::from(point.is_some());
    if i8::try_from(behind) != Ok(scale) || digits == 0 || digits > SHORT.min(usize::from(precision)) {
        return None;
    }
    let number = |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
    let (whole, fraction) = point.map_or((text, &b""[..]), |point| (&text[..point], &text[point + 1..]));
    whole.iter().chain(fraction).try_fold(0, number)
}

fn decimal_type(kind: &Kind) -> (u8, i8) {
    match kind {
        Kind::Decimal { precision, scale } => (*precision, *scale),
        _ => (38, 0),
    }
}

impl Builder {
    /// A builder for a kind; `odd`: as text, whatever it is.
    fn new(kind: &Kind, odd: bool) -> Self {
        if odd {
            return Self::Text(StringBuilder::new());
        }
        match kind {
            Kind::Null => Self::Null,
            Kind::Int8 => Self::Int8(PrimitiveBuilder::new()),
            Kind::Int16 => Self::Int16(PrimitiveBuilder::new()),
            Kind::Int32 => Self::Int32(PrimitiveBuilder::new()),
            Kind::Int64 => Self::Int64(PrimitiveBuilder::new()),
            Kind::UInt8 => Self::UInt8(PrimitiveBuilder::new()),
            Kind::UInt16 => Self::UInt16(PrimitiveBuilder::new()),
            Kind::UInt32 => Self::UInt32(PrimitiveBuilder::new()),
            Kind::UInt64 | Kind::Bits => Self::UInt64(PrimitiveBuilder::new()),
            Kind::Float32 => Self::Float32(PrimitiveBuilder::new()),
            Kind::Float64 => Self::Float64(PrimitiveBuilder::new()),
            Kind::Decimal { precision, .. } if *precision <= 38 => Self::Decimal128(Decimal128Builder::new()),
            Kind::Decimal { .. } => Self::Decimal256(Decimal256Builder::new()),
            Kind::Text | Kind::Json | Kind::Unmapped(_) => Self::Text(StringBuilder::new()),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
            Kind::Date | Kind::Local | Kind::Instant | Kind::Time => Self::Stamps(PrimitiveBuilder::new()),
        }
    }

    /// Appends a value that `problem` found none in; its length.
    ///
    /// # Errors
    /// The value, where it is no number of its kind.
    fn append(&mut self, kind: &Kind, value: Value) -> Result<usize, Value> {
        match self {
            Self::Null => {}
            Self::Int8(builder) => whole(builder, &value),
            Self::Int16(builder) => whole(builder, &value),
            Self::Int32(builder) => whole(builder, &value),
            Self::Int64(builder) => whole(builder, &value),
            Self::UInt8(builder) => whole(builder, &value),
            Self::UInt16(builder) => whole(builder, &value),
            Self::UInt32(builder) => whole(builder, &value),
            Self::UInt64(builder) => match value {
                Value::Bytes(bits) => {
                    builder.append_value(bits.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
                }
                value => whole(builder, &value),
            },
            Self::Float32(builder) => builder.append_option(match value {
                Value::Float(value) => Some(value),
                _ => None,
            }),
            Self::Float64(builder) => builder.append_option(match value {
                Value::Float(value) => Some(f64::from(value)),
                Value::Double(value) => Some(value),
                _ => None,
            }),
            Self::Decimal128(builder) => builder.append_option(decimal(kind, &value).and_then(i256::to_i128)),
            Self::Decimal256(builder) => builder.append_option(decimal(kind, &value)),
            Self::Binary(builder) => match value {
                Value::Bytes(bytes) => {
                    builder.append_value(&bytes);
                    return Ok(bytes.len());
                }
                _ => builder.append_null(),
            },
            Self::Stamps(builder) => match stamp(kind, &value) {
                Some(Stamp::Number(number)) => builder.append_value(number),
                Some(Stamp::Odd(_)) => return Err(value),
                None => builder.append_null(),
            },
            Self::Text(builder) => return Ok(append_text(builder, kind, value)),
        }
        Ok(8)
    }

    fn finish(&mut self, rows: usize, kind: &Kind, field: &Field) -> Result<ArrayRef, ArrowError> {
        let (precision, scale) = decimal_type(kind);
        Ok(match self {
            Self::Null => Arc::new(NullArray::new(rows)),
            Self::Int8(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::UInt8(builder) => Arc::new(builder.finish()),
            Self::UInt16(builder) => Arc::new(builder.finish()),
            Self::UInt32(builder) => Arc::new(builder.finish()),
            Self::UInt64(builder) => Arc::new(builder.finish()),
            Self::Float32(builder) => Arc::new(builder.finish()),
            Self::Float64(builder) => Arc::new(builder.finish()),
            Self::Decimal128(builder) => {
                let array: Decimal128Array = builder.finish().with_precision_and_scale(precision, scale)?;
                Arc::new(array)
            }
            Self::Decimal256(builder) => Arc::new(builder.finish().with_precision_and_scale(precision, scale)?),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Binary(builder) => Arc::new(builder.finish()),
            Self::Stamps(builder) => {
                let numbers: PrimitiveArray<Int64Type> = builder.finish();
                let numbers: ArrayRef = Arc::new(numbers);
                let numbers = if *kind == Kind::Date { cast(&numbers, &DataType::Int32)? } else { numbers };
                cast(&numbers, field.data_type())?
            }
        })
    }
}

/// Appends a value as text; its length.
fn append_text(builder: &mut StringBuilder, kind: &Kind, value: Value) -> usize {
    let written = written(kind, value);
    let length = written.as_ref().map_or(0, String::len);
    builder.append_option(written);
    length
}

fn whole<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, value: &Value)
where
    T::Native: TryFrom<i128>,
{
    builder.append_option(integer(value).and_then(|value| T::Native::try_from(value).ok()));
}

fn decimal(kind: &Kind, value: &Value) -> Option<i256> {
    let (precision, scale) = decimal_type(kind);
    match value {
        Value::Bytes(bytes) => scaled(bytes, precision, scale),
        _ => None,
    }
}

/// A value as text: its own, that of a date or time, or the bytes of a type that is not mapped in hexadecimal.
fn written(kind: &Kind, value: Value) -> Option<String> {
    match (kind, value) {
        (_, Value::NULL) => None,
        (Kind::Unmapped(_), Value::Bytes(bytes)) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        (_, Value::Bytes(bytes)) => String::from_utf8(bytes).ok(),
        (kind, value) => stamp(kind, &value).map(|found| match found {
            Stamp::Number(number) => text(kind, number),
            Stamp::Odd(odd) => odd.text(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(kinds: &[Kind]) -> Columns {
        let column = |kind: &Kind| Column { name: "v".to_owned(), kind: kind.clone() };
        Columns::new(&kinds.iter().map(column).collect::<Vec<_>>())
    }

    #[test]
    fn a_column_with_one_odd_date_becomes_text_as_a_whole_and_loses_none() {
        let date = |day: u8| Some(Value::Date(2024, 5, day, 0, 0, 0, 0));
        let mut made = columns(&[Kind::Date]);
        let mut batches = Vec::new();
        for row in [vec![date(1), Some(Value::NULL)], vec![date(2), date(0), date(3)], vec![date(4)]] {
            row.into_iter().for_each(|value| made.append(vec![value]).unwrap());
            batches.push(made.batch().unwrap());
        }
        assert_eq!(*batches[0].column(0).data_type(), DataType::Date32);
        let (schema, finish) = made.schema();
        assert_eq!(*schema.field(0).data_type(), DataType::Utf8);
        let texts: Vec<Option<String>> = batches
            .into_iter()
            .flat_map(|batch| {
                let batch = finish(batch).unwrap();
                let texts = batch.column(0).as_string::<i32>();
                texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>()
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(|text| text.as_deref().unwrap_or("-")).collect();
        assert_eq!(texts, ["2024-05-01", "-", "2024-05-02", "2024-05-00", "2024-05-03", "2024-05-04"]);
    }

    #[test]
    fn decimals_keep_all_their_digits() {
        let most = format!("-{}.{}", "9".repeat(35), "9".repeat(30));
        let cases = [
            (12, 2, "12.34", Some("1234")),
            (12, 2, "-0.01", Some("-1")),
            (12, 2, "3", Some("300")),
            (3, 0, "1000", None),
            (12, 2, "0.001", None),
            (12, 2, "x", None),
        ];
        for (precision, scale, text, expected) in cases {
            let found = scaled(text.as_bytes(), precision, scale).map(|value| value.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        assert_eq!(scaled(most.as_bytes(), 65, 30).unwrap().to_string(), format!("-{}", "9".repeat(65)));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_not_taken_in_part() {
        let mut made = columns(&[Kind::Int8, Kind::Text]);
        made.append(vec![Some(Value::Int(1)), Some(Value::Bytes(b"a".to_vec()))]).unwrap();
        let said = made.append(vec![Some(Value::Int(2)), Some(Value::Bytes(vec![0xff]))]).unwrap_err();
        assert_eq!(said, "column `v` holds text that is no UTF-8");
        assert!(made.append(vec![Some(Value::Int(128)), None]).is_err());
        assert_eq!(made.batch().unwrap().num_rows(), 1);
    }
}
