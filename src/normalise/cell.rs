//! One value of a canonical column: read out, written as text or JSON, and packed into the bytes of nested values.
//! It reads only what normalise itself has written.

use arrow::array::{Array, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, i256};

use super::json::{self, Json};
use super::number::Number;
use super::numeric::decimal_text;
use super::time::{Length, date_text, duration_text, length_text, stamp_text, time_text};
use super::{Comparison, Nested};

/// A canonical value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    /// NULL, or a fault.
    Null,
    /// `Boolean`
    Boolean(bool),
    /// `Date`
    Day(i32),
    /// `Integer`, `Time`, and `Decimal` of at most 18 digits.
    Int(i64),
    /// `Decimal` of at most 38 digits, and counts of nanoseconds.
    Wide(i128),
    /// `Decimal`
    Huge(i256),
    /// `Float`
    Float(f64),
    /// Everything else.
    Bytes(&'a [u8]),
}

/// A canonical column whose layout was looked at once.
pub(super) enum Cells<'a> {
    /// No values.
    Null,
    /// Bits.
    Boolean(&'a BooleanArray),
    /// 32 bits.
    Day(&'a PrimitiveArray<Date32Type>),
    /// 64 bits.
    Int(&'a PrimitiveArray<Int64Type>),
    /// 128 bits.
    Wide(&'a PrimitiveArray<Decimal128Type>),
    /// 256 bits.
    Huge(&'a PrimitiveArray<Decimal256Type>),
    /// Floats.
    Float(&'a PrimitiveArray<Float64Type>),
    /// Bytes of any layout.
    Bytes(&'a dyn Array, Box<dyn Fn(usize) -> &'a [u8] + 'a>),
}

impl<'a> Cells<'a> {
    /// Looks at the layout.
    pub(super) fn new(values: &'a dyn Array) -> Self {
        macro_rules! bytes {
            ($array:expr, $value:expr) => {{
                let array = $array;
                Self::Bytes(values, Box::new(move |row| $value(array.value(row))))
            }};
        }
        match values.data_type() {
            DataType::Boolean => Self::Boolean(values.as_boolean()),
            DataType::Date32 => Self::Day(values.as_primitive()),
            DataType::Int64 => Self::Int(values.as_primitive()),
            DataType::Decimal128(..) => Self::Wide(values.as_primitive()),
            DataType::Decimal256(..) => Self::Huge(values.as_primitive()),
            DataType::Float64 => Self::Float(values.as_primitive()),
            DataType::Utf8 => bytes!(values.as_string::<i32>(), str::as_bytes),
            DataType::LargeUtf8 => bytes!(values.as_string::<i64>(), str::as_bytes),
            DataType::Utf8View => bytes!(values.as_string_view(), str::as_bytes),
            DataType::Binary => bytes!(values.as_binary::<i32>(), std::convert::identity),
            DataType::LargeBinary => bytes!(values.as_binary::<i64>(), std::convert::identity),
            DataType::BinaryView => bytes!(values.as_binary_view(), std::convert::identity),
            DataType::FixedSizeBinary(_) => bytes!(values.as_fixed_size_binary(), std::convert::identity),
            _ => Self::Null,
        }
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Cell<'a> {
        match self {
            Self::Boolean(values) if values.is_valid(row) => Cell::Boolean(values.value(row)),
            Self::Day(values) if values.is_valid(row) => Cell::Day(values.value(row)),
            Self::Int(values) if values.is_valid(row) => Cell::Int(values.value(row)),
            Self::Wide(values) if values.is_valid(row) => Cell::Wide(values.value(row)),
            Self::Huge(values) if values.is_valid(row) => Cell::Huge(values.value(row)),
            Self::Float(values) if values.is_valid(row) => Cell::Float(values.value(row)),
            Self::Bytes(values, value) if values.is_valid(row) => Cell::Bytes(value(row)),
            _ => Cell::Null,
        }
    }
}

/// The value of one row of a canonical column.
pub(super) fn cell(values: &dyn Array, row: usize) -> Cell<'_> {
    Cells::new(values).get(row)
}

/// Appends a value so that it can be read back where its comparison is known: a byte that says whether it is there, then
/// its fixed width big endian, or its length (`u64`) and bytes.
pub(super) fn pack(cell: Cell<'_>, out: &mut Vec<u8>) {
    out.push(u8::from(!matches!(cell, Cell::Null)));
    match cell {
        Cell::Null => {}
        Cell::Boolean(value) => out.push(u8::from(value)),
        Cell::Day(value) => out.extend_from_slice(&value.to_be_bytes()),
        Cell::Int(value) => out.extend_from_slice(&value.to_be_bytes()),
        Cell::Wide(value) => out.extend_from_slice(&value.to_be_bytes()),
        Cell::Huge(value) => out.extend_from_slice(&value.to_be_bytes()),
        Cell::Float(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
        Cell::Bytes(value) => {
            out.extend_from_slice(&(value.len() as u64).to_be_bytes());
            out.extend_from_slice(value);
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

/// Reads a packed value back.
pub(super) fn unpack<'a>(comparison: &Comparison, bytes: &mut &'a [u8]) -> Option<Cell<'a>> {
    if take::<1>(bytes)? == [0] {
        return Some(Cell::Null);
    }
    Some(match comparison {
        Comparison::Null => Cell::Null,
        Comparison::Boolean => Cell::Boolean(take::<1>(bytes)? == [1]),
        Comparison::Date => Cell::Day(i32::from_be_bytes(take(bytes)?)),
        Comparison::Integer | Comparison::Time | Comparison::Decimal { precision: ..=18, .. } => {
            Cell::Int(i64::from_be_bytes(take(bytes)?))
        }
        Comparison::Decimal { precision: ..=38, .. }
        | Comparison::Timestamp
        | Comparison::Instant
        | Comparison::Duration => Cell::Wide(i128::from_be_bytes(take(bytes)?)),
        Comparison::Decimal { .. } => Cell::Huge(i256::from_be_bytes(take(bytes)?)),
        Comparison::Float => Cell::Float(f64::from_bits(u64::from_be_bytes(take(bytes)?))),
        Comparison::Number
        | Comparison::Text
        | Comparison::Binary
        | Comparison::Interval
        | Comparison::Uuid
        | Comparison::Json
        | Comparison::Nested(_) => {
            let length = usize::try_from(u64::from_be_bytes(take(bytes)?)).ok()?;
            let (taken, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Cell::Bytes(taken)
        }
    })
}

/// Lowercase hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn uuid_text(bytes: &[u8]) -> String {
    let digits = hex(bytes);
    if digits.len() != 32 {
        return digits;
    }
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

fn interval_text(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let months = i64::from(i32::from_be_bytes(take(&mut rest)?));
    let days = i64::from(i32::from_be_bytes(take(&mut rest)?));
    let nanoseconds = i128::from(i64::from_be_bytes(take(&mut rest)?));
    Some(length_text(Length { months, days, nanoseconds }))
}

/// The shortest text that reads back as this float.
pub(super) fn float_text<F: zmij::Float>(value: F) -> String {
    zmij::Buffer::new().format(value).to_owned()
}

/// The value as a number, where it is one.
pub(super) fn number(comparison: &Comparison, cell: Cell<'_>) -> Option<Number> {
    let scale = match comparison {
        Comparison::Decimal { scale, .. } => *scale,
        Comparison::Integer => 0,
        Comparison::Float => match cell {
            Cell::Float(value) => return Some(Number::from_f64(value)),
            _ => return None,
        },
        Comparison::Number => match cell {
            Cell::Bytes(bytes) => return Number::from_canonical(bytes),
            _ => return None,
        },
        _ => return None,
    };
    match cell {
        Cell::Int(value) => Some(Number::from_scaled(i128::from(value), scale)),
        Cell::Wide(value) => Some(Number::from_scaled(value, scale)),
        Cell::Huge(value) => Some(Number::from_scaled_256(value, scale)),
        _ => None,
    }
}

/// The value as text; None for NULL.
pub(super) fn text(comparison: &Comparison, cell: Cell<'_>) -> Option<String> {
    match (comparison, cell) {
        (_, Cell::Null) => None,
        (_, Cell::Boolean(value)) => Some(value.to_string()),
        (_, Cell::Day(days)) => Some(date_text(i64::from(days))),
        (Comparison::Decimal { scale, .. }, Cell::Int(value)) => Some(decimal_text(i256::from(value), *scale)),
        (Comparison::Decimal { scale, .. }, Cell::Wide(value)) => Some(decimal_text(i256::from_i128(value), *scale)),
        (Comparison::Decimal { scale, .. }, Cell::Huge(value)) => Some(decimal_text(value, *scale)),
        (Comparison::Time, Cell::Int(value)) => Some(time_text(i128::from(value))),
        (_, Cell::Int(value)) => Some(value.to_string()),
        (_, Cell::Float(value)) => Some(float_text(value)),
        (Comparison::Timestamp, Cell::Wide(value)) => Some(stamp_text(value)),
        (Comparison::Instant, Cell::Wide(value)) => Some(format!("{}Z", stamp_text(value))),
        (Comparison::Duration, Cell::Wide(value)) => Some(duration_text(value)),
        (_, Cell::Wide(value)) => Some(value.to_string()),
        (_, Cell::Huge(value)) => Some(value.to_string()),
        (Comparison::Number, Cell::Bytes(bytes)) => Number::from_canonical(bytes).map(|number| number.to_string()),
        (Comparison::Text, Cell::Bytes(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        (Comparison::Interval, Cell::Bytes(bytes)) => interval_text(bytes),
        (Comparison::Uuid, Cell::Bytes(bytes)) => Some(uuid_text(bytes)),
        (Comparison::Json | Comparison::Nested(_), cell) => value(comparison, cell).map(|json| json::text(&json)),
        (_, Cell::Bytes(bytes)) => Some(hex(bytes)),
    }
}

/// The value as JSON: numbers exact, structs as objects, lists as arrays, maps as objects where their keys are text and as
/// pairs elsewhere, everything else as text. None where the bytes are not what normalise writes.
pub(super) fn value(comparison: &Comparison, cell: Cell<'_>) -> Option<Json> {
    match (comparison, cell) {
        (_, Cell::Null) => Some(Json::Null),
        (_, Cell::Boolean(value)) => Some(Json::Boolean(value)),
        (Comparison::Json, Cell::Bytes(bytes)) => json::from_canonical(bytes),
        (Comparison::Nested(nested), Cell::Bytes(bytes)) => nested_value(nested, bytes),
        (comparison, cell) => match number(comparison, cell) {
            Some(number) => Some(Json::Number(number)),
            None => text(comparison, cell).map(Json::Text),
        },
    }
}

fn nested_value(nested: &Nested, mut bytes: &[u8]) -> Option<Json> {
    let bytes = &mut bytes;
    let mut next = |comparison: &Comparison| value(comparison, unpack(comparison, bytes)?);
    let json = match nested {
        Nested::Struct(members) => {
            let member = |(name, comparison): &(String, Comparison)| Some((name.clone(), next(comparison)?));
            Json::Object(members.iter().map(member).collect::<Option<_>>()?)
        }
        Nested::List(element) => {
            let count = count(bytes)?;
            let elements = (0..count).map(|_| value(element, unpack(element, bytes)?));
            Json::Array(elements.collect::<Option<_>>()?)
        }
        Nested::Map(key, entry) => {
            let count = count(bytes)?;
            let mut pair = || Some((value(key, unpack(key, bytes)?)?, value(entry, unpack(entry, bytes)?)?));
            let pairs: Vec<(Json, Json)> = (0..count).map(|_| pair()).collect::<Option<_>>()?;
            if *key == Comparison::Text {
                let named = |(key, value)| match key {
                    Json::Text(name) => Some((name, value)),
                    _ => None,
                };
                Json::Object(pairs.into_iter().map(named).collect::<Option<_>>()?)
            } else {
                Json::Array(pairs.into_iter().map(|(key, value)| Json::Array(vec![key, value])).collect())
            }
        }
    };
    Some(json)
}

fn count(bytes: &mut &[u8]) -> Option<usize> {
    usize::try_from(u64::from_be_bytes(take(bytes)?)).ok()
}
