//! Finds the common ground of two columns: what both become, from their Arrow types, notations and the contract's `type`,
//! before the first row is read. Where there is none it says so; it never falls back to comparing texts.

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use jiff::tz::TimeZone;

use crate::contract::LogicalType;
use crate::notation::{Notation, notation, unmapped_type};
use crate::sides::{Side, Sides};

use super::{Comparison, Nested, SchemaReason};

/// The digits that a `Decimal256` holds.
const DECIMAL_DIGITS: i32 = 76;

/// A column's type without its layout: what its values are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'a> {
    /// Every value is NULL.
    Null,
    /// `true`, `false`
    Boolean,
    /// A whole number.
    Integer {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether negative values fit.
        signed: bool,
    },
    /// An exact number.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits after the point.
        scale: i8,
    },
    /// A binary float of 16, 32 or 64 bits.
    Float {
        /// 16, 32 or 64.
        bits: u8,
    },
    /// Text that is a number of any length.
    NumberText,
    /// Text.
    Text,
    /// Bytes.
    Binary,
    /// A UUID, as text or sixteen bytes.
    Uuid,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A date and time without zone.
    Local,
    /// An instant.
    Zoned,
    /// A length of time.
    Duration,
    /// Months, days and nanoseconds.
    Interval,
    /// Text that is JSON.
    Json,
    /// Elements in order.
    List(&'a Field),
    /// Members by name.
    Struct(&'a Fields),
    /// Entries without order.
    Map(&'a Field, &'a Field),
    /// What is never compared.
    Unsupported,
}

/// What a field's values are.
#[must_use]
pub(super) fn shape(field: &Field) -> Shape<'_> {
    shape_of(field.data_type(), notation(field))
}

fn shape_of(data_type: &DataType, notation: Option<Notation>) -> Shape<'_> {
    match data_type {
        DataType::Dictionary(_, values) => shape_of(values, notation),
        DataType::RunEndEncoded(_, values) => shape_of(values.data_type(), notation),
        DataType::Null => Shape::Null,
        DataType::Boolean => Shape::Boolean,
        DataType::Int8 => Shape::Integer { bits: 8, signed: true },
        DataType::Int16 => Shape::Integer { bits: 16, signed: true },
        DataType::Int32 => Shape::Integer { bits: 32, signed: true },
        DataType::Int64 => Shape::Integer { bits: 64, signed: true },
        DataType::UInt8 => Shape::Integer { bits: 8, signed: false },
        DataType::UInt16 => Shape::Integer { bits: 16, signed: false },
        DataType::UInt32 => Shape::Integer { bits: 32, signed: false },
        DataType::UInt64 => Shape::Integer { bits: 64, signed: false },
        DataType::Float16 => Shape::Float { bits: 16 },
        DataType::Float32 => Shape::Float { bits: 32 },
        DataType::Float64 => Shape::Float { bits: 64 },
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => Shape::Decimal { precision: *precision, scale: *scale },
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => match notation {
            Some(Notation::Number) => Shape::NumberText,
            Some(Notation::Json | Notation::JsonDocument | Notation::JsonMember) => Shape::Json,
            Some(Notation::Uuid) => Shape::Uuid,
            Some(Notation::Unmapped) => Shape::Unsupported,
            None => Shape::Text,
        },
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            if notation == Some(Notation::Uuid) { Shape::Uuid } else { Shape::Binary }
        }
        DataType::Date32 | DataType::Date64 => Shape::Date,
        DataType::Time32(_) | DataType::Time64(_) => Shape::Time,
        DataType::Timestamp(_, None) => Shape::Local,
        DataType::Timestamp(_, Some(_)) => Shape::Zoned,
        DataType::Duration(_) => Shape::Duration,
        DataType::Interval(_) => Shape::Interval,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => Shape::List(element),
        DataType::Struct(members) => Shape::Struct(members),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => Shape::Map(&entry[0], &entry[1]),
            _ => Shape::Unsupported,
        },
        DataType::Union(..) => Shape::Unsupported,
    }
}

/// What decides the comparison besides the two columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    /// The zone that is named for each side's local times.
    pub zones: Sides<Option<&'a TimeZone>>,
    /// The contract's `type`.
    pub logical: Option<LogicalType>,
    /// Whether a tolerance of numbers is given.
    pub tolerance: bool,
    /// Whether `round` is given.
    pub round: bool,
    /// Whether floats below 64 bits stand for the shortest decimal of their own width even among themselves.
    pub narrow_floats: bool,
    /// Whether a side's numeric type is only what its values so far need (JSON), so that it bounds no text across.
    pub inferred: bool,
}

impl Ground<'_> {
    fn inside(&self) -> Self {
        Self { logical: None, tolerance: false, round: false, ..*self }
    }

    /// Whether each side's local times are of another zone, so that equal clocks are not equal instants.
    fn zones_differ(&self) -> bool {
        matches!((self.zones.authority, self.zones.projection), (Some(one), Some(two)) if one != two)
    }
}

/// What both sides become.
///
/// # Errors
/// That they have no common ground, or that a zone is not known.
pub(super) fn choose(shapes: Sides<Shape<'_>>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    use Shape as S;
    let (authority, projection) = (shapes.authority, shapes.projection);
    if let (S::Unsupported, _) | (_, S::Unsupported) = (authority, projection) {
        return Err(SchemaReason::Incomparable);
    }
    if let Some(logical) = ground.logical {
        return under_type(shapes, logical, ground);
    }
    match (authority, projection) {
        (S::Null, S::Null) => Ok(Comparison::Null),
        // What is all NULL takes the other's zone too, or a zone would be asked for that nothing needs.
        (S::Null, other) | (other, S::Null) => choose(Sides { authority: other, projection: other }, ground),
        (S::Json, _) | (_, S::Json) => json_ground(shapes),
        (S::Text, S::Text) if ground.tolerance || ground.round => Ok(Comparison::Number),
        (S::Text, S::Text) => Ok(Comparison::Text),
        (S::Text, other) | (other, S::Text) => text_against(other, ground),
        (S::Boolean, S::Boolean) => Ok(Comparison::Boolean),
        (S::Uuid, S::Uuid | S::Binary) | (S::Binary, S::Uuid) => Ok(Comparison::Uuid),
        (S::Binary, S::Binary) => Ok(Comparison::Binary),
        (S::Time, S::Time) => Ok(Comparison::Time),
        (S::Duration, S::Duration) => Ok(Comparison::Duration),
        (S::Interval, S::Interval) => Ok(Comparison::Interval),
        (S::Date, S::Date) => Ok(Comparison::Date),
        (S::Date | S::Local | S::Zoned, S::Date | S::Local | S::Zoned) => stamps(shapes, ground),
        (S::List(one), S::List(two)) => {
            let element = inside(Sides { authority: one, projection: two }, ground)?;
            Ok(Comparison::Nested(Box::new(Nested::List(element))))
        }
        (S::Map(..), S::Map(..)) | (S::Struct(_), S::Struct(_)) => nested(shapes, ground),
        _ if is_numeric(authority) && is_numeric(projection) => Ok(numbers(shapes, ground)),
        _ => Err(SchemaReason::Incomparable),
    }
}

fn inside(fields: Sides<&Field>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    choose(fields.map(|_, field| shape(field)), &Ground { inferred: any_inferred(fields), ..ground.inside() })
}

/// Whether one of the columns holds numbers whose type was inferred.
pub(super) fn any_inferred(fields: Sides<&Field>) -> bool {
    fields.iter().any(|(_, field)| notation(field) == Some(Notation::Number))
}

fn nested(shapes: Sides<Shape<'_>>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    let nested = match (shapes.authority, shapes.projection) {
        (Shape::Map(key_one, value_one), Shape::Map(key_two, value_two)) => Nested::Map(
            inside(Sides { authority: key_one, projection: key_two }, ground)?,
            inside(Sides { authority: value_one, projection: value_two }, ground)?,
        ),
        (Shape::Struct(one), Shape::Struct(two)) => {
            Nested::Struct(members(Sides { authority: one, projection: two }, ground)?)
        }
        _ => return Err(SchemaReason::Incomparable),
    };
    Ok(Comparison::Nested(Box::new(nested)))
}

fn members(fields: Sides<&Fields>, ground: &Ground<'_>) -> Result<Vec<(String, Comparison)>, SchemaReason> {
    let mut names: Vec<&String> =
        fields.iter().flat_map(|(_, fields)| fields.iter().map(|field| field.name())).collect();
    names.sort_unstable();
    names.dedup();
    let lacking = Field::new("", DataType::Null, true);
    let member = |fields: &Fields, name: &String| -> Result<Option<FieldRef>, SchemaReason> {
        let mut found = fields.iter().filter(|field| field.name() == name);
        match (found.next(), found.next()) {
            (found, None) => Ok(found.cloned()),
            // Two members of one name: no way to say which is meant.
            (_, Some(_)) => Err(SchemaReason::Incomparable),
        }
    };
    let pair = |name: &String| {
        let found = fields.try_map(|_, fields| member(fields, name))?;
        let sides = found.as_ref().map(|_, field| field.as_deref().unwrap_or(&lacking));
        Ok((name.clone(), inside(sides, ground)?))
    };
    names.into_iter().map(pair).collect()
}

fn is_numeric(shape: Shape<'_>) -> bool {
    matches!(shape, Shape::Integer { .. } | Shape::Decimal { .. } | Shape::Float { .. } | Shape::NumberText)
}

fn is_nested(shape: Shape<'_>) -> bool {
    matches!(shape, Shape::List(_) | Shape::Struct(_) | Shape::Map(..))
}

fn within_i64(shape: Shape<'_>) -> bool {
    matches!(shape, Shape::Integer { bits, signed } if signed || bits < 64)
}

/// Digits before and after the point.
fn digits(shape: Shape<'_>) -> Option<(i32, i32)> {
    match shape {
        Shape::Integer { bits, signed } => {
            let whole = match bits {
                8 => 3,
                16 => 5,
                32 => 10,
                _ => 19 + i32::from(!signed),
            };
            Some((whole, 0))
        }
        Shape::Decimal { precision, scale } => {
            let scale = i32::from(scale);
            Some(((i32::from(precision) - scale).max(0), scale.max(0)))
        }
        _ => None,
    }
}

fn numbers(shapes: Sides<Shape<'_>>, ground: &Ground<'_>) -> Comparison {
    let (authority, projection) = (shapes.authority, shapes.projection);
    if within_i64(authority) && within_i64(projection) {
        return Comparison::Integer;
    }
    if let (Shape::Float { bits: one }, Shape::Float { bits: two }) = (authority, projection) {
        // Narrow floats with a tolerance: their shortest decimals are those of their own width, which the widened
        // value no longer shows.
        let narrow = one.min(two) < 64 && (ground.tolerance || ground.narrow_floats && one == two);
        return if ground.round || narrow { Comparison::Number } else { Comparison::Float };
    }
    match (digits(authority), digits(projection)) {
        (Some(one), Some(two)) if !ground.round => exact((one.0.max(two.0), one.1.max(two.1))),
        _ => Comparison::Number,
    }
}

fn exact((whole, fraction): (i32, i32)) -> Comparison {
    let precision = (whole + fraction).max(1);
    match (u8::try_from(precision), i8::try_from(fraction)) {
        (Ok(precision), Ok(scale)) if i32::from(precision) <= DECIMAL_DIGITS => {
            Comparison::Decimal { precision, scale }
        }
        _ => Comparison::Number,
    }
}

/// The typed side's type, under which the text is read.
fn text_against(typed: Shape<'_>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    Ok(match typed {
        // With a tolerance or `round` the text keeps its full value, as far as it lies from the type.
        Shape::Integer { .. } | Shape::Decimal { .. } if ground.tolerance || ground.round || ground.inferred => {
            Comparison::Number
        }
        Shape::Integer { .. } | Shape::Decimal { .. } => numbers(Sides { authority: typed, projection: typed }, ground),
        // The typed side's type holds, and a float type holds the nearest of a text.
        Shape::Float { bits: 32 | 64 } if !ground.tolerance && !ground.round => Comparison::Float,
        Shape::Float { .. } | Shape::NumberText => Comparison::Number,
        Shape::Boolean => Comparison::Boolean,
        Shape::Binary => Comparison::Binary,
        Shape::Uuid => Comparison::Uuid,
        Shape::Date => Comparison::Date,
        Shape::Time => Comparison::Time,
        Shape::Local if ground.zones_differ() => Comparison::Instant,
        Shape::Local => Comparison::Timestamp,
        Shape::Zoned => Comparison::Instant,
        Shape::Duration => Comparison::Duration,
        Shape::Interval => Comparison::Interval,
        Shape::Null
        | Shape::Text
        | Shape::Json
        | Shape::List(_)
        | Shape::Struct(_)
        | Shape::Map(..)
        | Shape::Unsupported => return Err(SchemaReason::Incomparable),
    })
}

/// Dates, local times and instants together.
fn stamps(shapes: Sides<Shape<'_>>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    let any_zoned = shapes.iter().any(|(_, shape)| matches!(shape, Shape::Zoned));
    if !any_zoned {
        return Ok(if ground.zones_differ() { Comparison::Instant } else { Comparison::Timestamp });
    }
    instants(shapes, ground)
}

/// Instants: a side of local times needs a zone; a text may say its offset.
fn instants(shapes: Sides<Shape<'_>>, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    for side in Side::BOTH {
        let local = matches!(shapes.get(side), Shape::Date | Shape::Local);
        if local && ground.zones.get(side).is_none() {
            return Err(SchemaReason::ZoneUnknown);
        }
    }
    Ok(Comparison::Instant)
}

fn json_ground(shapes: Sides<Shape<'_>>) -> Result<Comparison, SchemaReason> {
    let supported = shapes.iter().all(|(_, shape)| json_ready(*shape));
    if supported { Ok(Comparison::Json) } else { Err(SchemaReason::Incomparable) }
}

/// Whether every value inside has a place in JSON.
fn json_ready(of: Shape<'_>) -> bool {
    match of {
        Shape::Unsupported => false,
        Shape::List(element) => json_ready(shape(element)),
        Shape::Struct(members) => {
            let mut names: Vec<&String> = members.iter().map(|member| member.name()).collect();
            names.sort_unstable();
            let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
            !twice && members.iter().all(|member| json_ready(shape(member)))
        }
        Shape::Map(key, value) => matches!(shape(key), Shape::Text) && json_ready(shape(value)),
        _ => true,
    }
}

fn under_type(shapes: Sides<Shape<'_>>, logical: LogicalType, ground: &Ground<'_>) -> Result<Comparison, SchemaReason> {
    if let (Shape::Null, Shape::Null) = (shapes.authority, shapes.projection) {
        return Ok(Comparison::Null);
    }
    if !shapes.iter().all(|(_, shape)| accepts(logical, *shape)) {
        return Err(SchemaReason::Incomparable);
    }
    let any_zoned = shapes.iter().any(|(_, shape)| matches!(shape, Shape::Zoned));
    Ok(match logical {
        LogicalType::Boolean => Comparison::Boolean,
        LogicalType::Integer { bits: 64, signed: false } => Comparison::Decimal { precision: 20, scale: 0 },
        LogicalType::Integer { .. } => Comparison::Integer,
        LogicalType::Float32 if ground.round || ground.tolerance => Comparison::Number,
        LogicalType::Float64 if ground.round => Comparison::Number,
        LogicalType::Float32 | LogicalType::Float64 => Comparison::Float,
        LogicalType::Decimal(Some((precision, scale))) if !ground.round => Comparison::Decimal { precision, scale },
        LogicalType::Decimal(_) => Comparison::Number,
        LogicalType::Text => Comparison::Text,
        LogicalType::Binary => Comparison::Binary,
        LogicalType::Date => {
            for (side, shape) in shapes.iter() {
                if matches!(shape, Shape::Zoned) && ground.zones.get(side).is_none() {
                    return Err(SchemaReason::ZoneUnknown);
                }
            }
            Comparison::Date
        }
        LogicalType::Time => Comparison::Time,
        // Instants stay instants: two of them may show the same clock.
        LogicalType::Timestamp if any_zoned || ground.zones_differ() => instants(shapes, ground)?,
        LogicalType::Timestamp => Comparison::Timestamp,
        LogicalType::TimestampTz => instants(shapes, ground)?,
        LogicalType::Duration => Comparison::Duration,
        LogicalType::Uuid => Comparison::Uuid,
        LogicalType::Json => return json_ground(shapes),
    })
}

fn accepts(logical: LogicalType, shape: Shape<'_>) -> bool {
    use LogicalType as L;
    if matches!(shape, Shape::Null | Shape::Text) {
        return true;
    }
    match logical {
        L::Boolean => matches!(shape, Shape::Boolean) || is_numeric(shape),
        L::Integer { .. } | L::Float32 | L::Float64 | L::Decimal(_) => is_numeric(shape),
        L::Text => !is_nested(shape),
        L::Binary => matches!(shape, Shape::Binary | Shape::Uuid),
        L::Uuid => matches!(shape, Shape::Binary | Shape::Uuid),
        L::Date | L::Timestamp | L::TimestampTz => matches!(shape, Shape::Date | Shape::Local | Shape::Zoned),
        L::Time => matches!(shape, Shape::Time),
        L::Duration => matches!(shape, Shape::Duration),
        L::Json => true,
    }
}

/// A field's type as people say it.
#[must_use]
pub fn describe(field: &Field) -> String {
    match shape(field) {
        Shape::Null => "only NULL".to_owned(),
        Shape::Boolean => "boolean".to_owned(),
        Shape::Integer { bits, signed } => format!("{}int{bits}", if signed { "" } else { "u" }),
        Shape::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        Shape::Float { bits } => format!("float{bits}"),
        Shape::NumberText => "number".to_owned(),
        Shape::Text => "text".to_owned(),
        Shape::Binary => "binary".to_owned(),
        Shape::Uuid => "uuid".to_owned(),
        Shape::Date => "date".to_owned(),
        Shape::Time => "time".to_owned(),
        Shape::Local => "timestamp without zone".to_owned(),
        Shape::Zoned => "timestamp with zone".to_owned(),
        Shape::Duration => "duration".to_owned(),
        Shape::Interval => "interval".to_owned(),
        Shape::Json => "json".to_owned(),
        Shape::List(element) => format!("list of {}", describe(element)),
        Shape::Struct(members) => {
            let members: Vec<String> =
                members.iter().map(|member| format!("{} {}", member.name(), describe(member))).collect();
            format!("struct of {}", members.join(", "))
        }
        Shape::Map(key, value) => format!("map of {} to {}", describe(key), describe(value)),
        Shape::Unsupported => match unmapped_type(field) {
            Some(foreign) => format!("{foreign} (not supported)"),
            None => format!("{} (not supported)", field.data_type()),
        },
    }
}

/// A comparison as people say it.
#[must_use]
pub(super) fn describe_comparison(comparison: &Comparison) -> &'static str {
    match comparison {
        Comparison::Null => "NULL only",
        Comparison::Boolean => "booleans",
        Comparison::Decimal { .. } | Comparison::Integer | Comparison::Float | Comparison::Number => "numbers",
        Comparison::Text => "text",
        Comparison::Binary => "binary",
        Comparison::Date => "dates",
        Comparison::Time => "times of day",
        Comparison::Timestamp | Comparison::Instant => "timestamps",
        Comparison::Duration => "durations",
        Comparison::Interval => "intervals",
        Comparison::Uuid => "UUIDs",
        Comparison::Json => "JSON",
        Comparison::Nested(nested) => match nested.as_ref() {
            Nested::List(_) => "lists",
            Nested::Struct(_) => "structs",
            Nested::Map(..) => "maps",
        },
    }
}
