//! Columns of text, binary, UUIDs, booleans and JSON. What already has the layout passes without a copy.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::take;
use arrow::datatypes::{DataType, Date64Type, Float16Type, Float32Type, Float64Type};

use crate::notation::{Notation, notation};

use super::cell::{Cells, float_text, text, value};
use super::column::{Bytes, Converted, Fixed, each_bytes, each_text, each_valid, unfold};
use super::ground::{Shape, shape};
use super::json::{self, Json};
use super::number::Number;
use super::rules::SideRules;
use super::time::{DAY, date_text, stamp_text};
use super::{Comparison, FaultReason, convert, numeric};

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Brings a column into `Text`: texts by their options, everything else as it is written.
pub(super) fn to_text(array: &ArrayRef, rules: &SideRules) -> Converted {
    if is_text(array.data_type()) && rules.text.is_identity() {
        return Converted::clean(Arc::clone(array));
    }
    let mut out = Bytes::new(array.len());
    let mut write = |row: usize, text: &str| {
        out.write(row, |bytes| {
            bytes.extend_from_slice(text.as_bytes());
            Ok(())
        });
    };
    if is_text(array.data_type()) {
        each_text(array, |row, text| {
            if let Some(text) = rules.text.apply(text) {
                write(row, &text);
            }
        });
        return out.finish_text();
    }
    written(array, rules)
}

/// Every value as it is written, as a column of text.
pub(super) fn written(array: &ArrayRef, rules: &SideRules) -> Converted {
    let mut out = Bytes::new(array.len());
    each_written(array, rules, |row, text| {
        out.write(row, |bytes| text.map(|text| bytes.extend_from_slice(text.as_bytes())));
    });
    out.finish_text()
}

/// Calls for each value that is there with how it is written: text as it stands, numbers and times in one spelling,
/// binary as hexadecimal, nested values as JSON.
pub(super) fn each_written(
    array: &ArrayRef,
    rules: &SideRules,
    mut call: impl FnMut(usize, Result<Cow<'_, str>, FaultReason>),
) {
    if let Some((values, rows)) = unfold(array)
        && let Ok(spread) = take(&values, &rows, None)
    {
        return each_written(&spread, rules, &mut call as &mut dyn FnMut(usize, Result<Cow<'_, str>, FaultReason>));
    }
    macro_rules! walk {
        ($type:ty, $text:expr) => {{
            let values = array.as_primitive::<$type>();
            each_valid(values.nulls(), values.len(), |row| call(row, Ok(Cow::Owned($text(values.value(row))))));
        }};
    }
    match array.data_type() {
        data_type if is_text(data_type) => each_text(array, |row, text| call(row, Ok(Cow::Borrowed(text)))),
        DataType::Float64 => walk!(Float64Type, float_text),
        DataType::Float32 => walk!(Float32Type, float_text),
        DataType::Float16 => walk!(Float16Type, half_text),
        DataType::Date64 => walk!(Date64Type, date64_text),
        _ => {
            let Some(own) = &rules.own else { return };
            let converted = convert(array, own, &SideRules::plain(&rules.field));
            let mut faults = converted.faults.iter().peekable();
            let cells = Cells::new(&converted.values);
            for row in 0..array.len() {
                if let Some((_, reason)) = faults.next_if(|(fault, _)| *fault == row) {
                    call(row, Err(*reason));
                } else if let Some(text) = text(own, cells.get(row)) {
                    call(row, Ok(Cow::Owned(text)));
                }
            }
        }
    }
}

fn half_text(value: <Float16Type as ArrowPrimitiveType>::Native) -> String {
    let text = Number::from_f16(value).to_string();
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') { format!("{text}.0") } else { text }
}

fn date64_text(milliseconds: i64) -> String {
    let local = i128::from(milliseconds) * 1_000_000;
    if local.rem_euclid(DAY) == 0 {
        date_text(i64::try_from(local.div_euclid(DAY)).unwrap_or(i64::MAX))
    } else {
        stamp_text(local)
    }
}

/// Brings a column into `Boolean`. 0 and 1 reach here only under `type = "boolean"`.
pub(super) fn to_boolean(array: &ArrayRef, rules: &SideRules) -> Converted {
    if array.data_type() == &DataType::Boolean {
        return Converted::clean(Arc::clone(array));
    }
    if !matches!(shape(&rules.field), Shape::Text) {
        return numeric::to_boolean(array, rules);
    }
    let zero_one = rules.logical.is_some();
    let mut out = Fixed::new(array.len());
    each_text(array, |row, text| {
        let Some(text) = rules.text.apply(text) else { return };
        let value = rules.spelling.boolean(&text).or(match text.as_ref() {
            "0" if zero_one => Some(false),
            "1" if zero_one => Some(true),
            _ => None,
        });
        out.set(row, value.ok_or(FaultReason::Unparseable));
    });
    out.finish_boolean()
}

/// Brings a column into `Binary`: bytes as they are, texts as hexadecimal.
pub(super) fn to_binary(array: &ArrayRef, rules: &SideRules) -> Converted {
    if !is_text(array.data_type()) {
        return Converted::clean(Arc::clone(array));
    }
    let mut out = Bytes::new(array.len());
    let is_uuid = matches!(shape(&rules.field), Shape::Uuid);
    each_text(array, |row, text| {
        let Some(text) = rules.text.apply(text) else { return };
        out.write(row, |bytes| {
            if is_uuid {
                bytes.extend_from_slice(&parse_uuid(&text).ok_or(FaultReason::Unparseable)?);
                return Ok(());
            }
            parse_hex(&text, bytes).ok_or(FaultReason::Unparseable)
        });
    });
    out.finish()
}

fn parse_hex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let prefixes = ["0x", "0X", "\\x"];
    let digits = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text).as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    for pair in digits.chunks_exact(2) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(())
}

/// Reads a UUID in any usual spelling: any letter case, with or without hyphens, in braces, or as a URN.
#[must_use]
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let body = match text.get(..9) {
        Some(urn) if urn.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        _ => text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text),
    };
    let hyphens = [8, 13, 18, 23];
    let mut digits = Vec::with_capacity(32);
    let hyphenated = body.len() == 36;
    if !hyphenated && body.len() != 32 {
        return None;
    }
    for (at, byte) in body.bytes().enumerate() {
        if hyphenated && hyphens.contains(&at) {
            if byte != b'-' {
                return None;
            }
        } else {
            digits.push(u8::try_from(char::from(byte).to_digit(16)?).ok()?);
        }
    }
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok()
}

/// Brings a column into `Uuid`: sixteen bytes, or text in any usual spelling.
pub(super) fn to_uuid(array: &ArrayRef, rules: &SideRules) -> Converted {
    if array.data_type() == &DataType::FixedSizeBinary(16) {
        return Converted::clean(Arc::clone(array));
    }
    let mut out = Fixed::<[u8; 16]>::new(array.len());
    if is_text(array.data_type()) {
        each_text(array, |row, text| {
            if let Some(text) = rules.text.apply(text) {
                out.set(row, parse_uuid(&text).ok_or(FaultReason::Unparseable));
            }
        });
    } else {
        each_bytes(array, |row, bytes| out.set(row, bytes.try_into().map_err(|_| FaultReason::OutOfType)));
    }
    out.finish_uuid()
}

/// Brings a column into `Json`: texts are read as documents, everything else becomes the JSON value it is.
pub(super) fn to_json(array: &ArrayRef, rules: &SideRules) -> Converted {
    let notation = notation(&rules.field);
    let mut out = Bytes::new(array.len());
    let is_document = matches!(shape(&rules.field), Shape::Text | Shape::Json);
    if is_document && is_text(array.data_type()) {
        each_text(array, |row, text| {
            let Some(document) = document(text, notation, rules) else { return };
            out.write(row, |bytes| document.map(|json| json::write_canonical(&json, bytes)));
        });
        return out.finish();
    }
    let Some(own) = &own_json(rules) else { return Converted::unreadable(&Comparison::Json, array) };
    // Strings inside take the text options by way of the rules; the type of the whole does not reach them.
    let converted = convert(array, own, &rules.inside(&rules.field));
    let cells = Cells::new(&converted.values);
    let mut faults = converted.faults.iter().peekable();
    for row in 0..array.len() {
        if let Some((_, reason)) = faults.next_if(|(fault, _)| *fault == row) {
            out.write(row, |_| Err(*reason));
        } else if !matches!(cells.get(row), super::cell::Cell::Null) {
            out.write(row, |bytes| {
                let json = value(own, cells.get(row)).and_then(strict).ok_or(FaultReason::OutOfType)?;
                json::write_canonical(&json, bytes);
                Ok(())
            });
        }
    }
    out.finish()
}

fn own_json(rules: &SideRules) -> Option<Comparison> {
    rules.own.clone().or_else(|| super::bind::own(&rules.field))
}

/// What JSON can say: no NaN, no infinity, no member twice, members sorted.
fn strict(json: Json) -> Option<Json> {
    match json {
        Json::Number(number) if !number.is_finite() => None,
        Json::Array(elements) => elements.into_iter().map(strict).collect::<Option<_>>().map(Json::Array),
        Json::Object(members) => {
            let member = |(name, value)| Some((name, strict(value)?));
            json::object(members.into_iter().map(member).collect::<Option<_>>()?)
        }
        other => Some(other),
    }
}

/// A text as a document; None for NULL.
fn document(text: &str, notation: Option<Notation>, rules: &SideRules) -> Option<Result<Json, FaultReason>> {
    if notation == Some(Notation::JsonMember) && text.is_empty() {
        return Some(Ok(Json::Absent));
    }
    let text = if notation.is_none() { rules.text.apply_to_document(text)? } else { text };
    let Some(mut json) = json::parse(text) else { return Some(Err(FaultReason::Unparseable)) };
    if notation == Some(Notation::Json) && json == Json::Null {
        return None;
    }
    json::fold_strings(&mut json, &rules.text);
    Some(Ok(json))
}
