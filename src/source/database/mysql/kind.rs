//! What a column of a result is, from what the server tells of it. Types that have no Arrow type are named, never skipped.

use arrow::datatypes::{DataType, Field, TimeUnit};
use mysql_async::consts::{ColumnFlags, ColumnType};

use crate::notation::{Notation, field, unmapped};

/// The character set of bytes.
const BINARY: u16 = 63;

/// The most digits of a decimal.
const MOST_DIGITS: u32 = 65;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// How a column's values are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only NULL.
    Null,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    /// `bit(n)` as the number that it is.
    Bits,
    Float32,
    Float64,
    Decimal {
        precision: u8,
        scale: i8,
    },
    Text,
    Binary,
    /// A JSON document.
    Json,
    Date,
    /// A date and time without zone.
    Local,
    /// An instant.
    Instant,
    /// A time of day, or any length of time.
    Time,
    /// What has no Arrow type.
    Unmapped(String),
}

/// What a column of a result is.
pub(super) fn column(told: &mysql_async::Column) -> Column {
    Column { name: told.name_str().into_owned(), kind: kind(told) }
}

fn kind(told: &mysql_async::Column) -> Kind {
    use ColumnType as T;
    let unsigned = told.flags().contains(ColumnFlags::UNSIGNED_FLAG);
    let is_binary = told.character_set() == BINARY;
    let either = |signed: Kind, other: Kind| if unsigned { other } else { signed };
    match told.column_type() {
        T::MYSQL_TYPE_NULL => Kind::Null,
        T::MYSQL_TYPE_TINY => either(Kind::Int8, Kind::UInt8),
        T::MYSQL_TYPE_SHORT => either(Kind::Int16, Kind::UInt16),
        T::MYSQL_TYPE_LONG | T::MYSQL_TYPE_INT24 => either(Kind::Int32, Kind::UInt32),
        T::MYSQL_TYPE_LONGLONG => either(Kind::Int64, Kind::UInt64),
        T::MYSQL_TYPE_YEAR => Kind::UInt16,
        T::MYSQL_TYPE_BIT => Kind::Bits,
        T::MYSQL_TYPE_FLOAT => Kind::Float32,
        T::MYSQL_TYPE_DOUBLE => Kind::Float64,
        T::MYSQL_TYPE_DECIMAL | T::MYSQL_TYPE_NEWDECIMAL => decimal(told.column_length(), told.decimals(), unsigned),
        T::MYSQL_TYPE_DATE | T::MYSQL_TYPE_NEWDATE => Kind::Date,
        T::MYSQL_TYPE_DATETIME | T::MYSQL_TYPE_DATETIME2 => Kind::Local,
        T::MYSQL_TYPE_TIMESTAMP | T::MYSQL_TYPE_TIMESTAMP2 => Kind::Instant,
        T::MYSQL_TYPE_TIME | T::MYSQL_TYPE_TIME2 => Kind::Time,
        T::MYSQL_TYPE_JSON => Kind::Json,
        T::MYSQL_TYPE_ENUM | T::MYSQL_TYPE_SET => Kind::Text,
        T::MYSQL_TYPE_VARCHAR
        | T::MYSQL_TYPE_VAR_STRING
        | T::MYSQL_TYPE_STRING
        | T::MYSQL_TYPE_BLOB
        | T::MYSQL_TYPE_TINY_BLOB
        | T::MYSQL_TYPE_MEDIUM_BLOB
        | T::MYSQL_TYPE_LONG_BLOB => {
            if is_binary {
                Kind::Binary
            } else {
                Kind::Text
            }
        }
        T::MYSQL_TYPE_GEOMETRY => Kind::Unmapped("geometry".to_owned()),
        T::MYSQL_TYPE_VECTOR => Kind::Unmapped("vector".to_owned()),
        other => Kind::Unmapped(format!("{other:?}").trim_start_matches("MYSQL_TYPE_").to_lowercase()),
    }
}

/// A decimal, of whose display length its sign and point are no digits.
fn decimal(length: u32, scale: u8, unsigned: bool) -> Kind {
    let scale = scale.min(38);
    let marks = u32::from(!unsigned) + u32::from(scale > 0);
    let digits = length.saturating_sub(marks).clamp(u32::from(scale).max(1), MOST_DIGITS);
    Kind::Decimal { precision: u8::try_from(digits).unwrap_or(65), scale: i8::try_from(scale).unwrap_or(38) }
}

impl Column {
    /// The Arrow field, where all its values have a place in its type.
    pub(super) fn field(&self) -> Field {
        let plain = |data_type: DataType| Field::new(&self.name, data_type, true);
        match &self.kind {
            Kind::Null => plain(DataType::Null),
            Kind::Int8 => plain(DataType::Int8),
            Kind::Int16 => plain(DataType::Int16),
            Kind::Int32 => plain(DataType::Int32),
            Kind::Int64 => plain(DataType::Int64),
            Kind::UInt8 => plain(DataType::UInt8),
            Kind::UInt16 => plain(DataType::UInt16),
            Kind::UInt32 => plain(DataType::UInt32),
            Kind::UInt64 | Kind::Bits => plain(DataType::UInt64),
            Kind::Float32 => plain(DataType::Float32),
            Kind::Float64 => plain(DataType::Float64),
            Kind::Decimal { precision, scale } if *precision <= 38 => plain(DataType::Decimal128(*precision, *scale)),
            Kind::Decimal { precision, scale } => plain(DataType::Decimal256(*precision, *scale)),
            Kind::Text => plain(DataType::Utf8),
            Kind::Binary => plain(DataType::Binary),
            Kind::Json => field(&self.name, DataType::Utf8, Notation::JsonDocument),
            Kind::Date => plain(DataType::Date32),
            Kind::Local => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
            Kind::Instant => plain(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            Kind::Time => plain(DataType::Time64(TimeUnit::Microsecond)),
            Kind::Unmapped(name) => unmapped(&self.name, name),
        }
    }
}
