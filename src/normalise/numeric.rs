//! Columns of numbers: integers, decimals, floats and texts that are numbers become the comparison's numbers. What already
//! has the layout passes without a copy; the rest is widened over slices, or goes value by value through the exact `Number`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, Float64Array, Int64Array, PrimitiveArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use crate::contract::LogicalType;

use super::column::{Bytes, Converted, Fixed, each_text, each_valid, layout};
use super::ground::{Shape, shape};
use super::number::Number;
use super::rules::SideRules;
use super::{Comparison, FaultReason};

/// Brings a column of numbers into `Integer`, `Decimal`, `Float` or `Number`. None for a column that holds no numbers.
pub(super) fn convert(array: &ArrayRef, comparison: &Comparison, rules: &SideRules) -> Option<Converted> {
    match comparison {
        Comparison::Integer => Some(to_integer(array, rules)),
        Comparison::Decimal { precision, scale } => Some(to_decimal(array, *precision, *scale, rules)),
        Comparison::Float => Some(to_float(array, rules)),
        Comparison::Number => {
            let mut out = Bytes::new(array.len());
            each_number(array, rules, |row, number| {
                out.write(row, |bytes| {
                    number.and_then(|number| typed(number, rules)).map(|number| number.write_canonical(bytes))
                });
            });
            Some(out.finish())
        }
        _ => None,
    }
}

/// Booleans under `type = "boolean"`: the numbers 0 and 1.
pub(super) fn to_boolean(array: &ArrayRef, rules: &SideRules) -> Converted {
    let mut out = Fixed::new(array.len());
    let one = Number::from_scaled(1, 0);
    each_number(array, rules, |row, number| {
        let value = number.and_then(|number| match number {
            Number::ZERO => Ok(false),
            number if number == one => Ok(true),
            _ => Err(FaultReason::OutOfType),
        });
        out.set(row, value);
    });
    out.finish_boolean()
}

/// A number under the contract's `type`, which never rounds, and then `round`.
fn typed(number: Number, rules: &SideRules) -> Result<Number, FaultReason> {
    let out_of_type = FaultReason::OutOfType;
    let number = match rules.logical {
        Some(LogicalType::Float32) => Number::from_f32(number.to_f32().ok_or(out_of_type)?),
        Some(LogicalType::Float64) => Number::from_f64(number.to_f64().ok_or(out_of_type)?),
        Some(LogicalType::Decimal(Some((precision, scale)))) => {
            fitting(number.to_scaled_256(scale), precision)?;
            number
        }
        Some(LogicalType::Decimal(None)) if !number.is_finite() => return Err(out_of_type),
        _ => number,
    };
    Ok(rules.round.map_or_else(|| number.clone(), |places| number.clone().round(places)))
}

fn fitting(value: Option<i256>, precision: u8) -> Result<i256, FaultReason> {
    let limit = i256::from_i128(10).checked_pow(u32::from(precision));
    let fits = |value: &i256| limit.is_none_or(|limit| *value < limit && *value > limit.wrapping_neg());
    value.filter(fits).ok_or(FaultReason::OutOfType)
}

fn integer_range(rules: &SideRules) -> (i128, i128) {
    match rules.logical {
        Some(LogicalType::Integer { bits, signed: true }) => {
            let limit = 1_i128 << (bits - 1);
            (-limit, limit - 1)
        }
        Some(LogicalType::Integer { bits, signed: false }) => (0, (1_i128 << bits) - 1),
        _ => (i128::MIN, i128::MAX),
    }
}

fn to_integer(array: &ArrayRef, rules: &SideRules) -> Converted {
    let (least, greatest) = integer_range(rules);
    let (least, greatest) = (least.max(i128::from(i64::MIN)), greatest.min(i128::from(i64::MAX)));
    if let Shape::Integer { bits, signed } = shape(&rules.field)
        && (signed || bits < 64)
        && rules.logical.is_none()
    {
        if array.data_type() == &DataType::Int64 {
            return Converted::clean(Arc::clone(array));
        }
        if let Ok(values) = cast(array, &DataType::Int64) {
            return Converted::clean(values);
        }
    }
    if let Some(converted) = scaled_i64(array, 0, (least, greatest)) {
        return converted;
    }
    let mut out = Fixed::new(array.len());
    each_number(array, rules, |row, number| {
        let value = number.and_then(|number| {
            let value = number.to_scaled(0).filter(|value| (least..=greatest).contains(value));
            value.and_then(|value| i64::try_from(value).ok()).ok_or(FaultReason::OutOfType)
        });
        out.set(row, value);
    });
    out.finish::<Int64Type>(&DataType::Int64)
}

fn to_decimal(array: &ArrayRef, precision: u8, scale: i8, rules: &SideRules) -> Converted {
    let comparison = Comparison::Decimal { precision, scale };
    let (least, greatest) = integer_range(rules);
    if precision <= 38 {
        let limit = 10_i128.pow(u32::from(precision)) - 1;
        let range = (least.max(-limit), greatest.min(limit));
        let fast =
            if precision <= 18 { scaled_i64(array, scale, range) } else { scaled_i128(array, precision, scale, range) };
        if let Some(converted) = fast {
            return converted;
        }
    }
    let mut out = Fixed::<i256>::new(array.len());
    each_number(array, rules, |row, number| {
        let value = number.and_then(|number| fitting(number.to_scaled_256(scale), precision)).and_then(|value| {
            let narrow = value.to_i128();
            let inside = narrow.is_none_or(|narrow| (least..=greatest).contains(&narrow));
            if inside { Ok(value) } else { Err(FaultReason::OutOfType) }
        });
        out.set(row, value);
    });
    let wide = out.finish::<Decimal256Type>(&DataType::Decimal256(precision.max(1), scale));
    narrowed(wide, &comparison)
}

/// From 256 bits to the layout of the comparison, whose precision was checked on every value.
fn narrowed(wide: Converted, comparison: &Comparison) -> Converted {
    let target = layout(comparison);
    let values = wide.values.as_primitive::<Decimal256Type>();
    let narrow = |value: i256| value.to_i128().unwrap_or(0);
    let values: ArrayRef = match target {
        DataType::Int64 => Arc::new(values.unary::<_, Int64Type>(|value| i64::try_from(narrow(value)).unwrap_or(0))),
        DataType::Decimal128(..) => Arc::new(values.unary::<_, Decimal128Type>(narrow).with_data_type(target)),
        _ => return wide,
    };
    Converted { values, ..wide }
}

/// The scale of a column of exact numbers that fit 128 bits.
fn exact_scale(data_type: &DataType) -> Option<i8> {
    match data_type {
        DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => Some(*scale),
        data_type if data_type.is_integer() => Some(0),
        _ => None,
    }
}

/// Calls with the slice of an exact column, whatever its width.
macro_rules! with_exact_values {
    ($array:expr, |$values:ident| $body:expr) => {
        match $array.data_type() {
            DataType::Int8 => with_exact_values!(@ $array, Int8Type, $values, $body),
            DataType::Int16 => with_exact_values!(@ $array, Int16Type, $values, $body),
            DataType::Int32 => with_exact_values!(@ $array, Int32Type, $values, $body),
            DataType::Int64 => with_exact_values!(@ $array, Int64Type, $values, $body),
            DataType::UInt8 => with_exact_values!(@ $array, UInt8Type, $values, $body),
            DataType::UInt16 => with_exact_values!(@ $array, UInt16Type, $values, $body),
            DataType::UInt32 => with_exact_values!(@ $array, UInt32Type, $values, $body),
            DataType::UInt64 => with_exact_values!(@ $array, UInt64Type, $values, $body),
            DataType::Decimal32(..) => with_exact_values!(@ $array, Decimal32Type, $values, $body),
            DataType::Decimal64(..) => with_exact_values!(@ $array, Decimal64Type, $values, $body),
            DataType::Decimal128(..) => with_exact_values!(@ $array, Decimal128Type, $values, $body),
            _ => return None,
        }
    };
    (@ $array:expr, $type:ty, $values:ident, $body:expr) => {{
        let $values: &[<$type as ArrowPrimitiveType>::Native] = $array.as_primitive::<$type>().values();
        $body
    }};
}

/// The factor from the column's scale up to the comparison's; None where that would cut digits.
fn factor(array: &dyn Array, scale: i8) -> Option<i128> {
    let up = i32::from(scale) - i32::from(exact_scale(array.data_type())?);
    10_i128.checked_pow(u32::try_from(up).ok()?)
}

fn scaled_i64(array: &ArrayRef, scale: i8, range: (i128, i128)) -> Option<Converted> {
    let factor = factor(array, scale)?;
    if factor == 1
        && let Some(values) = same_i64(array)
        && within(&values, range)
    {
        return Some(Converted::clean(Arc::new(Int64Array::new(values, array.nulls().cloned()))));
    }
    let nulls = array.nulls().cloned();
    let (values, faults) = with_exact_values!(array, |values| scale_values(values, nulls.as_ref(), factor, range));
    let nulls = without(nulls, array.len(), &faults);
    Some(Converted { values: Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls)), faults })
}

/// The values of a column that holds 64-bit integers already, whatever they stand for.
fn same_i64(array: &ArrayRef) -> Option<ScalarBuffer<i64>> {
    match array.data_type() {
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Decimal64(..) => Some(array.as_primitive::<Decimal64Type>().values().clone()),
        _ => None,
    }
}

/// Whether all values lie in a range, also those under a NULL.
fn within(values: &[i64], (least, greatest): (i128, i128)) -> bool {
    // The bits of all values beyond their signs are found sooner than the least and the greatest, and mostly say enough.
    let bits = values.iter().fold(0, |bits, value| bits | (value ^ (value >> 63)));
    let beyond = 1_i128 << (i64::BITS - bits.leading_zeros());
    let surely = least <= -beyond && beyond - 1 <= greatest;
    surely || values.iter().all(|value| (least..=greatest).contains(&i128::from(*value)))
}

fn scaled_i128(array: &ArrayRef, precision: u8, scale: i8, range: (i128, i128)) -> Option<Converted> {
    let factor = factor(array, scale)?;
    let target = DataType::Decimal128(precision, scale);
    let nulls = array.nulls().cloned();
    if let (1, DataType::Decimal128(..)) = (factor, array.data_type()) {
        let values = array.as_primitive::<Decimal128Type>();
        if values.values().iter().all(|value| *value >= range.0 && *value <= range.1) {
            return Some(Converted::clean(Arc::new(values.clone().with_data_type(target))));
        }
    }
    let (values, faults) = with_exact_values!(array, |values| scale_values(values, nulls.as_ref(), factor, range));
    let nulls = without(nulls, array.len(), &faults);
    let values = PrimitiveArray::<Decimal128Type>::new(ScalarBuffer::from(values), nulls).with_data_type(target);
    Some(Converted { values: Arc::new(values), faults })
}

/// Multiplies, and notes what leaves the range. What lies under a NULL may leave it unnoticed.
fn scale_values<T: Copy + Into<i128>, O: TryFrom<i128> + Default>(
    values: &[T],
    nulls: Option<&NullBuffer>,
    factor: i128,
    (least, greatest): (i128, i128),
) -> (Vec<O>, Vec<(usize, FaultReason)>) {
    let mut faults = Vec::new();
    let mut scale = |(row, value): (usize, &T)| {
        let value: i128 = (*value).into();
        let scaled = value.checked_mul(factor).filter(|value| *value >= least && *value <= greatest);
        scaled.and_then(|value| O::try_from(value).ok()).unwrap_or_else(|| {
            if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                faults.push((row, FaultReason::OutOfType));
            }
            O::default()
        })
    };
    let scaled = values.iter().enumerate().map(&mut scale).collect();
    (scaled, faults)
}

/// The nulls with the faults among them.
pub(super) fn without(nulls: Option<NullBuffer>, rows: usize, faults: &[(usize, FaultReason)]) -> Option<NullBuffer> {
    if faults.is_empty() {
        return nulls;
    }
    let mut valid: Vec<bool> = nulls.map_or_else(|| vec![true; rows], |nulls| nulls.iter().collect());
    for (row, _) in faults {
        valid[*row] = false;
    }
    Some(NullBuffer::from(valid))
}

fn one_zero_one_nan(value: f64) -> f64 {
    if value == 0.0 {
        0.0
    } else if value.is_nan() {
        f64::NAN
    } else {
        value
    }
}

fn to_float(array: &ArrayRef, rules: &SideRules) -> Converted {
    let single = rules.logical == Some(LogicalType::Float32);
    let widened: Option<Float64Array> = match array.data_type() {
        DataType::Float64 if !single => Some(array.as_primitive::<Float64Type>().unary(one_zero_one_nan)),
        DataType::Float32 => {
            Some(array.as_primitive::<Float32Type>().unary(|value| one_zero_one_nan(f64::from(value))))
        }
        DataType::Float16 => Some(array.as_primitive::<Float16Type>().unary(|value| one_zero_one_nan(value.to_f64()))),
        _ => None,
    };
    if let Some(values) = widened {
        return Converted::clean(Arc::new(values));
    }
    let mut out = Fixed::new(array.len());
    if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        each_valid(values.nulls(), values.len(), |row| out.set(row, nearest_single(values.value(row))));
        return out.finish::<Float64Type>(&DataType::Float64);
    }
    each_number(array, rules, |row, number| {
        let value = number.and_then(|number| {
            let nearest = if single { number.to_f32().map(f64::from) } else { number.to_f64() };
            nearest.map(one_zero_one_nan).ok_or(FaultReason::OutOfType)
        });
        out.set(row, value);
    });
    out.finish::<Float64Type>(&DataType::Float64)
}

fn nearest_single(value: f64) -> Result<f64, FaultReason> {
    #[expect(clippy::cast_possible_truncation, reason = "the contract asks for the nearest float32")]
    let nearest = value as f32;
    if value.is_finite() && !nearest.is_finite() {
        return Err(FaultReason::OutOfType);
    }
    Ok(one_zero_one_nan(f64::from(nearest)))
}

/// Calls for each value that is there with the number it is.
pub(super) fn each_number(
    array: &ArrayRef,
    rules: &SideRules,
    mut call: impl FnMut(usize, Result<Number, FaultReason>),
) {
    macro_rules! walk {
        ($type:ty, $number:expr) => {{
            let values = array.as_primitive::<$type>();
            let slice = values.values();
            each_valid(values.nulls(), values.len(), |row| call(row, Ok($number(slice[row]))));
        }};
    }
    match array.data_type() {
        DataType::Int8 => walk!(Int8Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::Int16 => walk!(Int16Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::Int32 => walk!(Int32Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::Int64 => walk!(Int64Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::UInt8 => walk!(UInt8Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::UInt16 => walk!(UInt16Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::UInt32 => walk!(UInt32Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::UInt64 => walk!(UInt64Type, |value| Number::from_scaled(i128::from(value), 0)),
        DataType::Decimal32(_, scale) => {
            walk!(Decimal32Type, |value| Number::from_scaled(i128::from(value), *scale));
        }
        DataType::Decimal64(_, scale) => {
            walk!(Decimal64Type, |value| Number::from_scaled(i128::from(value), *scale));
        }
        DataType::Decimal128(_, scale) => walk!(Decimal128Type, |value| Number::from_scaled(value, *scale)),
        DataType::Decimal256(_, scale) => walk!(Decimal256Type, |value| Number::from_scaled_256(value, *scale)),
        DataType::Float16 => walk!(Float16Type, Number::from_f16),
        DataType::Float32 => walk!(Float32Type, Number::from_f32),
        DataType::Float64 => walk!(Float64Type, Number::from_f64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => each_number_text(array, rules, call),
        _ => {}
    }
}

fn each_number_text(array: &ArrayRef, rules: &SideRules, mut call: impl FnMut(usize, Result<Number, FaultReason>)) {
    // A source that marks its texts as numbers has read them already: no option and no separator of its own applies.
    let marked = matches!(shape(&rules.field), Shape::NumberText);
    let parse = |text: &str, separator| Number::parse(text, separator).ok_or(FaultReason::Unparseable);
    each_text(array, |row, text| {
        if marked {
            call(row, parse(text, '.'));
        } else if let Some(text) = rules.text.apply(text) {
            let number = parse(&text, rules.spelling.decimal);
            // Text that claims no type but a decimal one is no NaN: it does not parse, rather than not fit.
            call(row, number);
        }
    });
}

/// A decimal as text with its scale.
#[must_use]
pub(super) fn decimal_text(value: i256, scale: i8) -> String {
    Decimal256Type::format_decimal(value, 76, scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_within_a_range_where_each_of_them_is(
            values in proptest::collection::vec(
                prop_oneof![any::<i64>(), -9_i64..9, Just(i64::MIN), Just(i64::MAX), (0_u32..63).prop_map(|bits| 1 << bits)],
                0..4,
            ),
            (least, greatest) in prop_oneof![
                (-9_i128..9, -9_i128..9),
                (0_u32..64).prop_map(|bits| (-(1 << bits), (1 << bits) - 1)),
                (0_u32..64).prop_map(|bits| (1 - (1 << bits), 1 << bits)),
            ],
        ) {
            let each = values.iter().all(|value| i128::from(*value) >= least && i128::from(*value) <= greatest);
            prop_assert_eq!(within(&values, (least, greatest)), each);
        }
    }
}
