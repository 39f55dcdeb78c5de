//! Fields of rows become Arrow columns, a builder for each kind. A value that its column cannot hold is told, never bent.

use std::sync::Arc;

use arrow::array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, NullBufferBuilder, PrimitiveBuilder, StringBuilder,
};
use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef, Fields, Float32Type, Float64Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType,
    TimestampMicrosecondType, UInt32Type, UInt64Type,
};

use super::numeric::Numeric;
use super::types::Kind;

/// Why a value has no place in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It is a value, but not one that the column's Arrow type can hold: infinity, NaN, an array of more dimensions.
    Wider,
    /// Its bytes are not what its type says.
    Broken,
}

/// A column on its way.
pub(super) enum Builder {
    Boolean(BooleanBuilder),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    UInt32(PrimitiveBuilder<UInt32Type>),
    UInt64(PrimitiveBuilder<UInt64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal128(PrimitiveBuilder<Decimal128Type>, i8),
    Decimal256(PrimitiveBuilder<Decimal256Type>, i8),
    Money(PrimitiveBuilder<Decimal128Type>),
    Number(StringBuilder, String),
    Text(StringBuilder),
    Padded(StringBuilder),
    Jsonb(StringBuilder),
    Network(StringBuilder),
    Binary(BinaryBuilder),
    Uuid(FixedSizeBinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time64MicrosecondType>),
    Timestamp(PrimitiveBuilder<TimestampMicrosecondType>),
    Interval(PrimitiveBuilder<IntervalMonthDayNanoType>),
    List { item: FieldRef, items: Box<Builder>, lengths: Vec<usize>, nulls: NullBufferBuilder },
    Struct { fields: Fields, members: Vec<Builder>, nulls: NullBufferBuilder },
    Pairs { field: FieldRef, keys: StringBuilder, values: StringBuilder, lengths: Vec<usize>, nulls: NullBufferBuilder },
}

/// Days from 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds of a day.
const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// The days until 2000-01-01 in microseconds.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

impl Builder {
    /// A builder of a column.
    pub(super) fn new(kind: &Kind, data_type: &DataType) -> Self {
        macro_rules! typed {
            () => {
                PrimitiveBuilder::new().with_data_type(data_type.clone())
            };
        }
        match kind {
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Int16 => Self::Int16(PrimitiveBuilder::new()),
            Kind::Int32 => Self::Int32(PrimitiveBuilder::new()),
            Kind::Int64 => Self::Int64(PrimitiveBuilder::new()),
            Kind::UInt32 => Self::UInt32(PrimitiveBuilder::new()),
            Kind::UInt64 => Self::UInt64(PrimitiveBuilder::new()),
            Kind::Float32 => Self::Float32(PrimitiveBuilder::new()),
            Kind::Float64 => Self::Float64(PrimitiveBuilder::new()),
            Kind::Decimal128 { scale, .. } => Self::Decimal128(typed!(), *scale),
            Kind::Decimal256 { scale, .. } => Self::Decimal256(typed!(), *scale),
            Kind::Money { .. } => Self::Money(typed!()),
            Kind::Number => Self::Number(StringBuilder::new(), String::new()),
            Kind::Text | Kind::Json => Self::Text(StringBuilder::new()),
            Kind::Padded => Self::Padded(StringBuilder::new()),
            Kind::Jsonb => Self::Jsonb(StringBuilder::new()),
            Kind::Network => Self::Network(StringBuilder::new()),
            Kind::Binary => Self::Binary(BinaryBuilder::new()),
            Kind::Uuid => Self::Uuid(FixedSizeBinaryBuilder::new(16)),
            Kind::Date => Self::Date(PrimitiveBuilder::new()),
            Kind::Time => Self::Time(PrimitiveBuilder::new()),
            Kind::Timestamp | Kind::TimestampTz => Self::Timestamp(typed!()),
            Kind::Interval => Self::Interval(PrimitiveBuilder::new()),
            Kind::List(item, kind) => Self::List {
                item: Arc::clone(item),
                items: Box::new(Self::new(kind, item.data_type())),
                lengths: Vec::new(),
                nulls: NullBufferBuilder::new(0),
            },
            Kind::Struct(fields, kinds) => Self::Struct {
                fields: fields.clone(),
                members: fields.iter().zip(kinds).map(|(field, kind)| Self::new(kind, field.data_type())).collect(),
                nulls: NullBufferBuilder::new(0),
            },
            Kind::Pairs => {
                let DataType::Map(field, _) = data_type else { unreachable!("pairs are a map") };
                let field = Arc::clone(field);
                let (keys, values) = (StringBuilder::new(), StringBuilder::new());
                Self::Pairs { field, keys, values, lengths: Vec::new(), nulls: NullBufferBuilder::new(0) }
            }
        }
    }

    /// Adds a value, or NULL.
    ///
    /// # Errors
    /// A value that has no place here; nothing is added then.
    pub(super) fn push(&mut self, bytes: Option<&[u8]>) -> Result<(), Misfit> {
        let Some(bytes) = bytes else {
            self.push_null();
            return Ok(());
        };
        match self {
            Self::Boolean(into) => into.append_value(fixed::<1>(bytes)? != [0]),
            Self::Int16(into) => into.append_value(i16::from_be_bytes(fixed(bytes)?)),
            Self::Int32(into) => into.append_value(i32::from_be_bytes(fixed(bytes)?)),
            Self::Int64(into) => into.append_value(i64::from_be_bytes(fixed(bytes)?)),
            Self::UInt32(into) => into.append_value(u32::from_be_bytes(fixed(bytes)?)),
            Self::UInt64(into) => into.append_value(u64::from_be_bytes(fixed(bytes)?)),
            Self::Float32(into) => into.append_value(f32::from_be_bytes(fixed(bytes)?)),
            Self::Float64(into) => into.append_value(f64::from_be_bytes(fixed(bytes)?)),
            Self::Decimal128(into, scale) => into.append_value(numeric(bytes)?.scaled(*scale).ok_or(Misfit::Wider)?),
            Self::Decimal256(into, scale) => into.append_value(numeric(bytes)?.scaled(*scale).ok_or(Misfit::Wider)?),
            Self::Money(into) => into.append_value(i64::from_be_bytes(fixed(bytes)?).into()),
            Self::Number(into, text) => {
                text.clear();
                numeric(bytes)?.write(text);
                into.append_value(text);
            }
            Self::Text(into) => into.append_value(text(bytes)?),
            Self::Padded(into) => into.append_value(text(bytes)?.trim_end_matches(' ')),
            Self::Jsonb(into) => into.append_value(text(bytes.strip_prefix(&[1]).ok_or(Misfit::Broken)?)?),
            Self::Network(into) => into.append_value(network(bytes).ok_or(Misfit::Broken)?),
            Self::Binary(into) => into.append_value(bytes),
            Self::Uuid(into) => into.append_value(fixed::<16>(bytes)?).map_err(|_| Misfit::Broken)?,
            Self::Date(into) => into.append_value(date(bytes)?),
            Self::Time(into) => into.append_value(time(bytes)?),
            Self::Timestamp(into) => into.append_value(timestamp(bytes)?),
            Self::Interval(into) => into.append_value(interval(bytes)?),
            Self::List { items, lengths, nulls, .. } => {
                lengths.push(list(bytes, items)?);
                nulls.append_non_null();
            }
            Self::Struct { members, nulls, .. } => {
                composite(bytes, members)?;
                nulls.append_non_null();
            }
            Self::Pairs { keys, values, lengths, nulls, .. } => {
                lengths.push(pairs(bytes, keys, values)?);
                nulls.append_non_null();
            }
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(into) => into.append_null(),
            Self::Int16(into) => into.append_null(),
            Self::Int32(into) => into.append_null(),
            Self::Int64(into) => into.append_null(),
            Self::UInt32(into) => into.append_null(),
            Self::UInt64(into) => into.append_null(),
            Self::Float32(into) => into.append_null(),
            Self::Float64(into) => into.append_null(),
            Self::Decimal128(into, _) | Self::Money(into) => into.append_null(),
            Self::Decimal256(into, _) => into.append_null(),
            Self::Number(into, _) | Self::Text(into) | Self::Padded(into) | Self::Jsonb(into) | Self::Network(into) => {
                into.append_null();
            }
            Self::Binary(into) => into.append_null(),
            Self::Uuid(into) => into.append_null(),
            Self::Date(into) => into.append_null(),
            Self::Time(into) => into.append_null(),
            Self::Timestamp(into) => into.append_null(),
            Self::Interval(into) => into.append_null(),
            Self::List { lengths, nulls, .. } | Self::Pairs { lengths, nulls, .. } => {
                lengths.push(0);
                nulls.append_null();
            }
            Self::Struct { members, nulls, .. } => {
                members.iter_mut().for_each(Self::push_null);
                nulls.append_null();
            }
        }
    }

    /// The column so far; the builder begins anew.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(from) => Arc::new(from.finish()),
            Self::Int16(from) => Arc::new(from.finish()),
            Self::Int32(from) => Arc::new(from.finish()),
            Self::Int64(from) => Arc::new(from.finish()),
            Self::UInt32(from) => Arc::new(from.finish()),
            Self::UInt64(from) => Arc::new(from.finish()),
            Self::Float32(from) => Arc::new(from.finish()),
            Self::Float64(from) => Arc::new(from.finish()),
            Self::Decimal128(from, _) | Self::Money(from) => Arc::new(from.finish()),
            Self::Decimal256(from, _) => Arc::new(from.finish()),
            Self::Number(from, _) | Self::Text(from) | Self::Padded(from) | Self::Jsonb(from) | Self::Network(from) => {
                Arc::new(from.finish())
            }
            Self::Binary(from) => Arc::new(from.finish()),
            Self::Uuid(from) => Arc::new(from.finish()),
            Self::Date(from) => Arc::new(from.finish()),
            Self::Time(from) => Arc::new(from.finish()),
            Self::Timestamp(from) => Arc::new(from.finish()),
            Self::Interval(from) => Arc::new(from.finish()),
            Self::List { item, items, lengths, nulls } => {
                let offsets = OffsetBuffer::from_lengths(lengths.drain(..));
                Arc::new(ListArray::new(Arc::clone(item), offsets, items.finish(), nulls.finish()))
            }
            Self::Struct { fields, members, nulls } => {
                let rows = nulls.len();
                let (members, nulls) = (members.iter_mut().map(Self::finish).collect(), nulls.finish());
                let made = StructArray::try_new_with_length(fields.clone(), members, nulls, rows);
                Arc::new(made.expect("members are as long as their rows"))
            }
            Self::Pairs { field, keys, values, lengths, nulls } => {
                let DataType::Struct(members) = field.data_type() else { unreachable!("pairs are a struct") };
                let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(values.finish())];
                let entries = StructArray::new(members.clone(), columns, None);
                let offsets = OffsetBuffer::from_lengths(lengths.drain(..));
                Arc::new(MapArray::new(Arc::clone(field), offsets, entries, nulls.finish(), false))
            }
        }
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Misfit> {
    bytes.try_into().map_err(|_| Misfit::Broken)
}

fn text(bytes: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(bytes).map_err(|_| Misfit::Broken)
}

fn numeric(bytes: &[u8]) -> Result<Numeric<'_>, Misfit> {
    Numeric::read(bytes).ok_or(Misfit::Broken)
}

/// Both infinities are the ends of the numbers.
fn date(bytes: &[u8]) -> Result<i32, Misfit> {
    match i32::from_be_bytes(fixed(bytes)?) {
        i32::MIN | i32::MAX => Err(Misfit::Wider),
        days => days.checked_add(EPOCH_DAYS).ok_or(Misfit::Wider),
    }
}

/// Midnight at the end of a day is no time of Arrow's.
fn time(bytes: &[u8]) -> Result<i64, Misfit> {
    match i64::from_be_bytes(fixed(bytes)?) {
        DAY_MICROSECONDS.. => Err(Misfit::Wider),
        microseconds => Ok(microseconds),
    }
}

fn timestamp(bytes: &[u8]) -> Result<i64, Misfit> {
    match i64::from_be_bytes(fixed(bytes)?) {
        i64::MIN | i64::MAX => Err(Misfit::Wider),
        microseconds => microseconds.checked_add(EPOCH_MICROSECONDS).ok_or(Misfit::Wider),
    }
}

fn interval(bytes: &[u8]) -> Result<IntervalMonthDayNano, Misfit> {
    let bytes = fixed::<16>(bytes)?;
    let part = |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let microseconds = i64::from_be_bytes(fixed(&bytes[..8])?);
    let (days, months) = (part(8), part(12));
    if let (i64::MIN, i32::MIN, i32::MIN) | (i64::MAX, i32::MAX, i32::MAX) = (microseconds, days, months) {
        return Err(Misfit::Wider);
    }
    let nanoseconds = microseconds.checked_mul(1000).ok_or(Misfit::Wider)?;
    Ok(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// An address, with the length of its network where that is not the whole, or where it is a network.
fn network(bytes: &[u8]) -> Option<String> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let [_, bits, is_network, length, address @ ..] = bytes else { return None };
    let text = match (length, address.len()) {
        (4, 4) => Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).to_string(),
        (16, 16) => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).to_string(),
        _ => return None,
    };
    Some(if *is_network == 0 && usize::from(*bits) == 8 * address.len() { text } else { format!("{text}/{bits}") })
}

/// What is taken from the front of bytes.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn number(&mut self) -> Option<i32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*head))
    }

    /// A length and so many bytes; a length below zero is NULL.
    fn value(&mut self) -> Result<Option<&'a [u8]>, Misfit> {
        let Ok(length) = usize::try_from(self.number().ok_or(Misfit::Broken)?) else { return Ok(None) };
        let (value, rest) = self.0.split_at_checked(length).ok_or(Misfit::Broken)?;
        self.0 = rest;
        Ok(Some(value))
    }
}

/// Adds an array's elements and tells how many there are.
fn list(bytes: &[u8], items: &mut Builder) -> Result<usize, Misfit> {
    let mut bytes = Bytes(bytes);
    let mut number = || bytes.number().ok_or(Misfit::Broken);
    let (dimensions, _, _) = (number()?, number()?, number()?);
    match dimensions {
        0 => return Ok(0),
        1 => {}
        _ => return Err(Misfit::Wider),
    }
    let (count, _lowest) = (number()?, number()?);
    for _ in 0..count {
        items.push(bytes.value()?)?;
    }
    usize::try_from(count).map_err(|_| Misfit::Broken)
}

fn composite(bytes: &[u8], members: &mut [Builder]) -> Result<(), Misfit> {
    let mut bytes = Bytes(bytes);
    if bytes.number().and_then(|count| usize::try_from(count).ok()) != Some(members.len()) {
        return Err(Misfit::Broken);
    }
    for member in members {
        bytes.number().ok_or(Misfit::Broken)?;
        member.push(bytes.value()?)?;
    }
    Ok(())
}

/// Adds the entries of an hstore and tells how many there are.
fn pairs(bytes: &[u8], keys: &mut StringBuilder, values: &mut StringBuilder) -> Result<usize, Misfit> {
    let mut bytes = Bytes(bytes);
    let count = bytes.number().and_then(|count| usize::try_from(count).ok()).ok_or(Misfit::Broken)?;
    for _ in 0..count {
        keys.append_value(text(bytes.value()?.ok_or(Misfit::Broken)?)?);
        match bytes.value()? {
            Some(value) => values.append_value(text(value)?),
            None => values.append_null(),
        }
    }
    Ok(count)
}
