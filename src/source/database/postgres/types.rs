//! Which Arrow type each type of PostgreSQL becomes, before the first row. A type that has none is handed on by its name,
//! so that it is told as a difference of schemas. docs/types.md has a row for each.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use std::sync::Arc;
use tokio_postgres::types::{Kind as Sort, Type};

use crate::notation::{Notation, field, unmapped};

/// How a value's bytes are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Int16,
    Int32,
    Int64,
    UInt32,
    UInt64,
    Float32,
    Float64,
    /// NUMERIC whose digits are declared, at most 38.
    Decimal128 {
        precision: u8,
        scale: i8,
    },
    /// NUMERIC whose digits are declared, at most 76.
    Decimal256 {
        precision: u8,
        scale: i8,
    },
    /// NUMERIC of any length, as text.
    Number,
    /// `money`, whose digits after the point the server tells.
    Money {
        scale: i8,
    },
    Text,
    /// `char(n)`: what fills it up is no part of the value.
    Padded,
    Binary,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Interval,
    /// The text of `json`.
    Json,
    /// `jsonb`: a version, then the text.
    Jsonb,
    /// `inet` and `cidr`.
    Network,
    /// `hstore`
    Pairs,
    /// An array of one dimension, or one whose elements are lists.
    List(FieldRef, Box<Kind>),
    /// A row of named members.
    Struct(Fields, Vec<Kind>),
}

/// A column of a table or query.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) field: Field,
    pub(super) kind: Kind,
    /// What the server turns the value into before it sends it, as SQL with `$` for the column.
    pub(super) sent: Option<&'static str>,
}

/// What the mapping needs to know of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Digits after the point of `money`.
    pub(super) money_scale: i8,
}

/// Maps a column by its type; `is_wide` where some value did not fit the usual mapping.
pub(super) fn column(name: &str, of: &Type, modifier: i32, facts: Facts, is_wide: bool) -> Column {
    let make =
        |field: Field, kind: Kind, sent: Option<&'static str>| Column { name: name.to_owned(), field, kind, sent };
    let text = |sent| make(Field::new(name, DataType::Utf8, true), Kind::Text, sent);
    if is_wide {
        match (of, of.kind()) {
            (_, Sort::Array(_)) => {
                return make(field(name, DataType::Utf8, Notation::Json), Kind::Text, Some("to_json($)::text"));
            }
            (&Type::NUMERIC, _) => return make(field(name, DataType::Utf8, Notation::Number), Kind::Number, None),
            _ => return text(Some("$::text")),
        }
    }
    if let Some(kind) = kind(of, modifier, facts) {
        return make(named(name, &kind), kind, None);
    }
    match of.kind() {
        _ if is_spelled(of) => text(Some("$::text")),
        Sort::Range(of) | Sort::Multirange(of) if is_known(of, facts) => text(Some("$::text")),
        Sort::Array(of) if is_spelled(of) || is_known_range(of, facts) => {
            let item = Arc::new(Field::new("item", DataType::Utf8, true));
            let field = Field::new(name, DataType::List(Arc::clone(&item)), true);
            make(field, Kind::List(item, Box::new(Kind::Text)), Some("$::text[]"))
        }
        _ => make(unmapped(name, &type_name(of)), Kind::Text, Some("$::text")),
    }
}

/// Whether values of this type are what the server writes them as: it has no other form that we could read.
fn is_spelled(of: &Type) -> bool {
    const SPELLED: [&Type; 28] = [
        &Type::BIT,
        &Type::VARBIT,
        &Type::CHAR,
        &Type::TIMETZ,
        &Type::MACADDR,
        &Type::MACADDR8,
        &Type::XML,
        &Type::TS_VECTOR,
        &Type::TSQUERY,
        &Type::JSONPATH,
        &Type::POINT,
        &Type::LINE,
        &Type::LSEG,
        &Type::BOX,
        &Type::PATH,
        &Type::POLYGON,
        &Type::CIRCLE,
        &Type::PG_LSN,
        &Type::TID,
        &Type::PG_SNAPSHOT,
        &Type::TXID_SNAPSHOT,
        &Type::REGCLASS,
        &Type::REGTYPE,
        &Type::REGPROC,
        &Type::REGPROCEDURE,
        &Type::REGROLE,
        &Type::REGNAMESPACE,
        &Type::REFCURSOR,
    ];
    SPELLED.contains(&of)
}

fn is_known(of: &Type, facts: Facts) -> bool {
    is_spelled(of) || kind(of, -1, facts).is_some()
}

fn is_known_range(of: &Type, facts: Facts) -> bool {
    matches!(of.kind(), Sort::Range(inner) | Sort::Multirange(inner) if is_known(inner, facts))
}

/// A type as PostgreSQL's users write it.
fn type_name(of: &Type) -> String {
    match of.kind() {
        Sort::Array(element) => format!("{}[]", type_name(element)),
        _ if of.schema() == "pg_catalog" || of.schema() == "public" => of.name().to_owned(),
        _ => format!("{}.{}", of.schema(), of.name()),
    }
}

/// How values of a type are read from their own bytes; None where they are not.
fn kind(of: &Type, modifier: i32, facts: Facts) -> Option<Kind> {
    Some(match *of {
        Type::BOOL => Kind::Boolean,
        Type::INT2 => Kind::Int16,
        Type::INT4 => Kind::Int32,
        Type::INT8 => Kind::Int64,
        Type::OID | Type::XID | Type::CID => Kind::UInt32,
        Type::XID8 => Kind::UInt64,
        Type::FLOAT4 => Kind::Float32,
        Type::FLOAT8 => Kind::Float64,
        Type::NUMERIC => numeric(modifier),
        Type::MONEY => Kind::Money { scale: facts.money_scale },
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => Kind::Text,
        Type::BPCHAR => Kind::Padded,
        Type::BYTEA => Kind::Binary,
        Type::UUID => Kind::Uuid,
        Type::DATE => Kind::Date,
        Type::TIME => Kind::Time,
        Type::TIMESTAMP => Kind::Timestamp,
        Type::TIMESTAMPTZ => Kind::TimestampTz,
        Type::INTERVAL => Kind::Interval,
        Type::JSON => Kind::Json,
        Type::JSONB => Kind::Jsonb,
        Type::INET | Type::CIDR => Kind::Network,
        _ => return nested(of, facts),
    })
}

fn nested(of: &Type, facts: Facts) -> Option<Kind> {
    match of.kind() {
        Sort::Enum(_) => Some(Kind::Text),
        // By its name: extensions have no number of their own. Case is told apart unless the contract says otherwise.
        Sort::Simple if of.name() == "citext" => Some(Kind::Text),
        Sort::Simple if of.name() == "hstore" => Some(Kind::Pairs),
        Sort::Domain(base) => kind(base, -1, facts),
        Sort::Array(element) => {
            let kind = kind(element, -1, facts)?;
            Some(Kind::List(Arc::new(named("item", &kind)), Box::new(kind)))
        }
        Sort::Composite(members) => {
            let kinds: Option<Vec<Kind>> = members.iter().map(|member| kind(member.type_(), -1, facts)).collect();
            let kinds = kinds?;
            let fields = members.iter().zip(&kinds).map(|(member, kind)| named(member.name(), kind)).collect();
            Some(Kind::Struct(fields, kinds))
        }
        _ => None,
    }
}

/// `numeric(p, s)`, where Arrow has room for it. PostgreSQL has negative scales, and scales beyond the precision.
fn numeric(modifier: i32) -> Kind {
    let Ok(packed) = u32::try_from(modifier - 4) else { return Kind::Number };
    let precision = i64::from((packed >> 16) & 0xffff);
    // Eleven bits with their sign.
    let scale = i64::from(((packed & 0x7ff) ^ 1024).cast_signed() - 1024);
    let digits = (precision - scale.min(0)).max(scale);
    let (Ok(digits), Ok(scale)) = (u8::try_from(digits), i8::try_from(scale.max(0))) else { return Kind::Number };
    match digits {
        0..=38 => Kind::Decimal128 { precision: digits, scale },
        39..=76 => Kind::Decimal256 { precision: digits, scale },
        _ => Kind::Number,
    }
}

/// The field of a column, element or member.
fn named(name: &str, kind: &Kind) -> Field {
    let plain = |data_type| Field::new(name, data_type, true);
    match kind {
        Kind::Boolean => plain(DataType::Boolean),
        Kind::Int16 => plain(DataType::Int16),
        Kind::Int32 => plain(DataType::Int32),
        Kind::Int64 => plain(DataType::Int64),
        Kind::UInt32 => plain(DataType::UInt32),
        Kind::UInt64 => plain(DataType::UInt64),
        Kind::Float32 => plain(DataType::Float32),
        Kind::Float64 => plain(DataType::Float64),
        Kind::Decimal128 { precision, scale } => plain(DataType::Decimal128(*precision, *scale)),
        Kind::Decimal256 { precision, scale } => plain(DataType::Decimal256(*precision, *scale)),
        Kind::Money { scale } => plain(DataType::Decimal128(19, *scale)),
        Kind::Number => field(name, DataType::Utf8, Notation::Number),
        Kind::Text | Kind::Padded | Kind::Network => plain(DataType::Utf8),
        Kind::Binary => plain(DataType::Binary),
        Kind::Uuid => field(name, DataType::FixedSizeBinary(16), Notation::Uuid),
        Kind::Date => plain(DataType::Date32),
        Kind::Time => plain(DataType::Time64(TimeUnit::Microsecond)),
        Kind::Timestamp => plain(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Kind::TimestampTz => plain(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        Kind::Interval => plain(DataType::Interval(IntervalUnit::MonthDayNano)),
        Kind::Json | Kind::Jsonb => field(name, DataType::Utf8, Notation::JsonDocument),
        Kind::Pairs => {
            let entry =
                Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
            plain(DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry), false)), false))
        }
        Kind::List(item, _) => plain(DataType::List(Arc::clone(item))),
        Kind::Struct(fields, _) => plain(DataType::Struct(fields.clone())),
    }
}
