//! Writes logical values as a side would hold them: in its format, its column types, its spelling.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, PrimitiveArray, RecordBatch, StringArray,
    StructArray, new_null_array, types::*,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, i256};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::random::Random;
use super::value::{Family, JSON, SECOND, Value, at_scale};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Arrow,
    ArrowStream,
    Csv,
    CsvGz,
    Ndjson,
    Json,
}

impl Format {
    pub(crate) const ALL: [Self; 7] =
        [Self::Parquet, Self::Arrow, Self::ArrowStream, Self::Csv, Self::CsvGz, Self::Ndjson, Self::Json];

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::ArrowStream => "arrows",
            Self::Csv => "csv",
            Self::CsvGz => "csv.gz",
            Self::Ndjson => "ndjson",
            Self::Json => "json",
        }
    }

    pub(crate) fn is_columnar(self) -> bool {
        matches!(self, Self::Parquet | Self::Arrow | Self::ArrowStream)
    }

    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Ndjson | Self::Json)
    }

    pub(crate) fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::CsvGz)
    }
}

/// One column of one side.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) family: Family,
    /// The column type in a columnar format.
    pub(crate) data_type: DataType,
    /// The field says that its 16 bytes are a UUID.
    pub(crate) uuid: bool,
    /// In JSON: a number or boolean is written as text.
    pub(crate) as_text: bool,
    pub(crate) values: Vec<Value>,
}

impl Column {
    fn field(&self) -> Field {
        let field = Field::new(&self.name, self.data_type.clone(), true);
        if !self.uuid {
            return field;
        }
        field.with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())].into())
    }
}

/// Writes a table in one file.
pub(crate) fn write(path: &Path, format: Format, columns: &[Column], random: &mut Random) {
    let rows = columns[0].values.len();
    let file = File::create(path).unwrap();
    match format {
        Format::Parquet | Format::Arrow | Format::ArrowStream => write_columnar(file, format, columns, rows, random),
        Format::Csv => (&file).write_all(csv(columns, rows, random).as_bytes()).unwrap(),
        Format::CsvGz => {
            let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            file.write_all(csv(columns, rows, random).as_bytes()).unwrap();
            file.finish().unwrap();
        }
        Format::Ndjson => (&file).write_all((objects(columns, rows, random).join("\n") + "\n").as_bytes()).unwrap(),
        Format::Json => write!(&file, "[{}]", objects(columns, rows, random).join(",\n ")).unwrap(),
    }
}

fn write_columnar(file: File, format: Format, columns: &[Column], rows: usize, random: &mut Random) {
    let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let arrays = columns.iter().map(|column| array(&column.values, &column.data_type, column.family, random)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let step = random.pick(&[1, 2, 3, 7, 1_000]);
    let batches = (0..rows).step_by(step).map(|start| batch.slice(start, step.min(rows - start)));
    match format {
        Format::Arrow => {
            let mut writer = FileWriter::try_new(file, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
        Format::ArrowStream => {
            let mut writer = StreamWriter::try_new(file, &schema).unwrap();
            batches.for_each(|batch| writer.write(&batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(step))
                .set_dictionary_enabled(random.percent(50))
                .build();
            let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
    }
}

fn csv(columns: &[Column], rows: usize, random: &mut Random) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(",") + "\n";
    for row in 0..rows {
        let fields: Vec<String> = columns
            .iter()
            .map(|column| match &column.values[row] {
                Value::Null => String::new(),
                Value::Text(text) => quoted(text),
                value => match spelled(value, column.family, random) {
                    text if text.contains([',', '"']) || random.percent(20) => quoted(&text),
                    text => text,
                },
            })
            .collect();
        text += &(fields.join(",") + random.pick(&["\n", "\n", "\r\n"]));
    }
    text
}

fn objects(columns: &[Column], rows: usize, random: &mut Random) -> Vec<String> {
    (0..rows)
        .map(|row| {
            let mut members = Vec::new();
            for column in columns {
                let value = &column.values[row];
                // The first row names every column; later ones may leave out what is NULL.
                if row == 0 || *value != Value::Null || random.percent(50) {
                    let value = json(value, column.family, column.as_text, row == 0, random);
                    members.push(format!("{}:{value}", quoted_json(&column.name)));
                }
            }
            if row > 0 {
                random.shuffle(&mut members);
            }
            format!("{{{}}}", members.join(","))
        })
        .collect()
}

fn quoted_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json(value: &Value, family: Family, as_text: bool, whole: bool, random: &mut Random) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Number { .. } if !as_text => json_number(value, random),
        Value::Bool(value) if !as_text => value.to_string(),
        Value::Json(_) => spelled(value, family, random),
        Value::List(items) => {
            let inner = element(family);
            let items: Vec<String> = items.iter().map(|item| json(item, inner, false, whole, random)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Struct(members) => {
            let mut members: Vec<String> = members
                .iter()
                .filter(|(_, member)| whole || **member != Value::Null)
                .map(|(name, member)| {
                    format!("{}: {}", quoted_json(name), json(member, member_family(name), false, whole, random))
                })
                .collect();
            random.shuffle(&mut members);
            format!("{{{}}}", members.join(","))
        }
        other => quoted_json(&spelled(other, family, random)),
    }
}

pub(crate) fn element(family: Family) -> Family {
    if family == Family::IntegerList { Family::Integer } else { Family::Text }
}

fn member_family(name: &str) -> Family {
    match name {
        "m" => Family::Integer,
        "p" => Family::Decimal,
        _ => Family::Text,
    }
}

/// A number as it is plainly written.
pub(crate) fn plain(value: &Value) -> String {
    let Value::Number { units, scale } = value else { unreachable!("only numbers are written so") };
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = *scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - *scale as usize);
    let sign = if *units < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn json_number(value: &Value, random: &mut Random) -> String {
    let plain = plain(value);
    let Value::Number { units, scale } = value else { return plain };
    let random = &mut random.spelling(value);
    match random.below(4) {
        0 if *scale == 0 => format!("{plain}.0"),
        0 => format!("{plain}00"),
        1 => format!("{units}e-{scale}"),
        2 if *units != 0 => format!("{units}0E-{}", scale + 1),
        _ => plain,
    }
}

/// A value as text, in one of its usual spellings.
fn spelled(value: &Value, family: Family, random: &mut Random) -> String {
    let random = &mut random.spelling(value);
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Number { units, .. } => match random.below(4) {
            0 if *units > 0 => format!("+{}", plain(value)),
            0 if *units == 0 && family == Family::Float => "-0.0".to_owned(),
            1 if *units >= 0 => format!("00{}", plain(value)),
            _ => json_number(value, random),
        },
        Value::Special(name) => (*name).to_owned(),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => uuid(bytes, random),
        Value::Moment(nanoseconds) => moment(*nanoseconds, family, random),
        Value::Json(index) => random.pick(JSON[*index]).to_owned(),
        Value::Garbage => "garbage".to_owned(),
        Value::Null | Value::List(_) | Value::Struct(_) => unreachable!("is not written as text"),
    }
}

fn uuid(bytes: &[u8], random: &mut Random) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let hyphens = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    match random.below(3) {
        0 => hex,
        1 => hyphens.to_uppercase(),
        _ => hyphens,
    }
}

fn moment(nanoseconds: i128, family: Family, random: &mut Random) -> String {
    let instant = jiff::Timestamp::from_nanosecond(nanoseconds).unwrap();
    let local = jiff::tz::Offset::UTC.to_datetime(instant);
    match family {
        Family::Date => local.date().to_string(),
        Family::Time => local.time().to_string(),
        Family::Local if random.percent(30) => local.to_string().replace('T', " "),
        Family::Local => local.to_string(),
        _ => match random.below(3) {
            0 => instant.to_string(),
            1 => instant.display_with_offset(jiff::tz::Offset::constant(2)).to_string(),
            _ => instant.display_with_offset(jiff::tz::Offset::from_seconds(-19_800).unwrap()).to_string(),
        },
    }
}

pub(crate) fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

macro_rules! integers {
    ($type:ty, $values:expr) => {
        Arc::new(PrimitiveArray::<$type>::from_iter(
            $values.iter().map(|value| at_scale(&as_number(value), 0).map(|units| units.try_into().unwrap())),
        )) as ArrayRef
    };
}

macro_rules! decimals {
    ($type:ty, $values:expr, $precision:expr, $scale:expr, $convert:expr) => {
        Arc::new(
            PrimitiveArray::<$type>::from_iter(
                $values.iter().map(|value| at_scale(value, u32::try_from(*$scale).unwrap()).map($convert)),
            )
            .with_precision_and_scale(*$precision, *$scale)
            .unwrap(),
        ) as ArrayRef
    };
}

/// A boolean held as 0 or 1.
fn as_number(value: &Value) -> Value {
    match value {
        Value::Bool(value) => Value::Number { units: i128::from(*value), scale: 0 },
        other => other.clone(),
    }
}

/// The values as an Arrow array.
pub(crate) fn array(values: &[Value], data_type: &DataType, family: Family, random: &mut Random) -> ArrayRef {
    match data_type {
        DataType::Null => new_null_array(&DataType::Null, values.len()),
        DataType::Boolean => Arc::new(
            values
                .iter()
                .map(|value| if let Value::Bool(value) = value { Some(*value) } else { None })
                .collect::<BooleanArray>(),
        ),
        DataType::Int8 => integers!(Int8Type, values),
        DataType::Int16 => integers!(Int16Type, values),
        DataType::Int32 => integers!(Int32Type, values),
        DataType::Int64 => integers!(Int64Type, values),
        DataType::UInt8 => integers!(UInt8Type, values),
        DataType::UInt16 => integers!(UInt16Type, values),
        DataType::UInt32 => integers!(UInt32Type, values),
        DataType::UInt64 => integers!(UInt64Type, values),
        DataType::Decimal32(precision, scale) => {
            decimals!(Decimal32Type, values, precision, scale, |units| i32::try_from(units).unwrap())
        }
        DataType::Decimal64(precision, scale) => {
            decimals!(Decimal64Type, values, precision, scale, |units| i64::try_from(units).unwrap())
        }
        DataType::Decimal128(precision, scale) => decimals!(Decimal128Type, values, precision, scale, |units| units),
        DataType::Decimal256(precision, scale) => decimals!(Decimal256Type, values, precision, scale, i256::from_i128),
        DataType::Float32 => Arc::new(
            floats(values, random)
                .map(|text| text.map(|text| text.parse::<f32>().unwrap()))
                .collect::<PrimitiveArray<Float32Type>>(),
        ),
        DataType::Float64 => Arc::new(
            floats(values, random)
                .map(|text| text.map(|text| text.parse::<f64>().unwrap()))
                .collect::<PrimitiveArray<Float64Type>>(),
        ),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            cast(&values.iter().map(bytes).collect::<BinaryArray>(), data_type).unwrap()
        }
        DataType::FixedSizeBinary(width) => {
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.iter().map(bytes), *width).unwrap())
        }
        DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..)
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_) => times(values, data_type),
        DataType::List(_) | DataType::LargeList(_) | DataType::Struct(_) => nested(values, data_type, family, random),
        text => {
            let texts = values.iter().map(|value| (*value != Value::Null).then(|| spelled(value, family, random)));
            cast(&texts.collect::<StringArray>(), text).unwrap()
        }
    }
}

fn nested(values: &[Value], data_type: &DataType, family: Family, random: &mut Random) -> ArrayRef {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) => {
            let lengths = values.iter().map(|value| if let Value::List(items) = value { items.len() } else { 0 });
            let offsets = OffsetBuffer::from_lengths(lengths);
            let items: Vec<Value> = values
                .iter()
                .flat_map(|value| if let Value::List(items) = value { items.clone() } else { Vec::new() })
                .collect();
            let items = array(&items, field.data_type(), element(family), random);
            let list = ListArray::new(Arc::clone(field), offsets, items, Some(nulls(values)));
            let list_type = DataType::List(Arc::clone(field));
            if *data_type == list_type { Arc::new(list) } else { cast(&list, data_type).unwrap() }
        }
        DataType::Struct(fields) => {
            let arrays = fields
                .iter()
                .map(|field| {
                    let of = |value: &Value| {
                        if let Value::Struct(members) = value {
                            members[field.name().as_str()].clone()
                        } else {
                            Value::Null
                        }
                    };
                    let members: Vec<Value> = values.iter().map(of).collect();
                    array(&members, field.data_type(), member_family(field.name()), random)
                })
                .collect();
            Arc::new(StructArray::new(fields.clone(), arrays, Some(nulls(values))))
        }
        other => unreachable!("{other} is not nested"),
    }
}

fn nulls(values: &[Value]) -> NullBuffer {
    values.iter().map(|value| *value != Value::Null).collect::<Vec<bool>>().into()
}

fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}

fn floats<'a>(values: &'a [Value], random: &'a mut Random) -> impl Iterator<Item = Option<String>> + 'a {
    values.iter().map(|value| match value {
        Value::Special(name) => Some((*name).to_owned()),
        Value::Number { units: 0, .. } => Some(random.pick(&["0.0", "-0.0"]).to_owned()),
        Value::Number { .. } => Some(plain(value)),
        _ => None,
    })
}

fn times(values: &[Value], data_type: &DataType) -> ArrayRef {
    let unit = match data_type {
        DataType::Date32 => 86_400 * SECOND,
        DataType::Date64 => 1_000_000,
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) | DataType::Duration(unit) => {
            nanoseconds(*unit)
        }
        other => unreachable!("{other} holds no times"),
    };
    let counts = values.iter().map(|value| match value {
        Value::Moment(nanoseconds) => Some(i64::try_from(nanoseconds / unit).unwrap()),
        _ => None,
    });
    let counts: PrimitiveArray<Int64Type> = counts.collect();
    match data_type {
        DataType::Date32 | DataType::Time32(_) => {
            let counts = cast(&counts, &DataType::Int32).unwrap();
            cast(&counts, data_type).unwrap()
        }
        _ => cast(&counts, data_type).unwrap(),
    }
}
