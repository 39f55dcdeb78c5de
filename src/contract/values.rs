//! Reads single values: tolerances, spans, sizes, ratios, types, zones, versions, globs.
//!
//! Each function takes a value as written and gives it checked, or a complaint that says what was expected. Nothing here
//! knows which key the value stands at, reads a file, or takes a number through a float.

use std::path::PathBuf;

use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::raw::nearest;
use super::tree::{Node, Text, Value};
use super::{ExactDecimal, Ignore, LogicalType, Span, Tolerance, Version};
use crate::sides::Side;

/// What was expected, and what the reader can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The rest of the sentence after "KEY is SEEN, ": `expected a boolean`.
    pub(super) expected: String,
    pub(super) hint: Option<String>,
}

fn expected(what: &str) -> Complaint {
    Complaint { expected: format!("expected {what}"), hint: None }
}

fn hinted(what: &str, hint: impl Into<String>) -> Complaint {
    Complaint { expected: format!("expected {what}"), hint: Some(hint.into()) }
}

type Checked<T> = Result<T, Complaint>;

pub(super) fn text(node: &Node) -> Checked<&Text> {
    node.text().ok_or_else(|| expected("a string"))
}

pub(super) fn boolean(node: &Node) -> Checked<bool> {
    match &node.value {
        Value::Boolean(truth) => Ok(*truth),
        Value::Text(text) if matches!(text.text.as_str(), "true" | "false") => {
            Err(hinted("a boolean", format!("write it without quotes: {}", text.text)))
        }
        _ => Err(expected("a boolean, true or false")),
    }
}

/// A whole number between 0 and `most`.
pub(super) fn count(node: &Node, most: u64) -> Checked<u64> {
    let what = if most == u64::MAX { "a whole number".to_owned() } else { format!("a whole number, at most {most}") };
    match &node.value {
        Value::Integer(number) => u64::try_from(*number).ok().filter(|number| *number <= most),
        _ => None,
    }
    .ok_or_else(|| expected(&what))
}

/// One of a fixed list of names.
pub(super) fn one_of<'n>(node: &'n Node, names: &[&str]) -> Checked<&'n str> {
    let Value::Text(text) = &node.value else { return Err(expected(&format!("one of {}", names.join(", ")))) };
    if names.contains(&text.text.as_str()) {
        return Ok(&text.text);
    }
    // A value from the environment is not repeated, and so it is not compared with the names in sight of the reader.
    let near = if text.written.is_none() { nearest(&text.text, names.iter().copied()) } else { None };
    Err(Complaint {
        expected: format!("not one of {}", names.join(", ")),
        hint: near.map(|name| format!("did you mean \"{name}\"?")),
    })
}

/// A semantic version: `MAJOR.MINOR.PATCH`, with a pre-release and build part where wanted.
pub(super) fn version(node: &Node) -> Checked<Version> {
    let what = "a semantic version such as \"1.0.0\"";
    let text = &text(node).map_err(|_| expected(what))?.text;
    let (release, build) =
        text.split_once('+').map_or((text.as_str(), None), |(release, build)| (release, Some(build)));
    let (core, pre) = release.split_once('-').map_or((release, None), |(core, pre)| (core, Some(pre)));
    let numbers: Vec<Option<u64>> = core.split('.').map(version_number).collect();
    let words = |part: &str| {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        part.split('.').all(|word| !word.is_empty() && word.chars().all(fits))
    };
    match numbers[..] {
        [Some(major), Some(_), Some(_)] if pre.is_none_or(words) && build.is_none_or(words) => {
            Ok(Version { text: text.clone(), major })
        }
        [Some(major)] => Err(hinted(what, format!("write \"{major}.0.0\""))),
        [Some(major), Some(minor)] => Err(hinted(what, format!("write \"{major}.{minor}.0\""))),
        _ => Err(expected(what)),
    }
}

fn version_number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if digits && !padded { text.parse().ok() } else { None }
}

/// Powers of ten beyond which no number of any type can lie; it keeps arithmetic on tolerances small.
const EXPONENT_MAX: i64 = 400;

/// A number in usual decimal notation, exactly, without trailing zeros.
pub(super) fn decimal(text: &str) -> Option<ExactDecimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut coefficient: i128 = 0;
    let mut exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    exponent = exponent.checked_add(i64::try_from(all.len() - significant.len()).ok()?)?;
    for digit in significant.bytes() {
        coefficient = coefficient.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    if coefficient == 0 {
        return Some(ExactDecimal { coefficient: 0, exponent: 0 });
    }
    let exponent = Some(exponent).filter(|exponent| exponent.abs() <= EXPONENT_MAX)?;
    let coefficient = if negative { -coefficient } else { coefficient };
    Some(ExactDecimal { coefficient, exponent: i32::try_from(exponent).ok()? })
}

/// A number given as a TOML number or as text, with whether it was followed by `%` (then already divided by 100).
fn number(node: &Node) -> Option<(ExactDecimal, bool)> {
    match &node.value {
        Value::Integer(number) => Some((decimal(&number.to_string())?, false)),
        Value::Float(number) => Some((decimal(number)?, false)),
        Value::Text(text) => match text.text.trim().strip_suffix('%') {
            Some(percent) => {
                let number = decimal(percent.trim_end())?;
                Some((
                    ExactDecimal { exponent: number.exponent - if number.coefficient == 0 { 0 } else { 2 }, ..number },
                    true,
                ))
            }
            None => Some((decimal(text.text.trim())?, false)),
        },
        _ => None,
    }
}

/// Whether a number that is not negative is at most one.
fn at_most_one(number: ExactDecimal) -> bool {
    let digits = number.coefficient.unsigned_abs().to_string();
    let magnitude = i64::try_from(digits.len()).unwrap_or(i64::MAX) + i64::from(number.exponent);
    // Trailing zeros are gone, so one is exactly 1 × 10^0.
    magnitude <= 0 || (number.coefficient == 1 && number.exponent == 0)
}

/// A share of a whole: `"0.01%"`, `"1%"`, `0.0001`.
pub(super) fn ratio(node: &Node) -> Checked<ExactDecimal> {
    let (number, _) = number(node).ok_or_else(|| expected("a share such as \"0.01%\" or 0.0001"))?;
    if number.coefficient < 0 || !at_most_one(number) {
        return Err(expected("a share between 0 and 1, or between \"0%\" and \"100%\""));
    }
    Ok(number)
}

/// `"0.01"`, `"1%"`, `"500ms"`, 0.01.
pub(super) fn tolerance(node: &Node) -> Checked<Tolerance> {
    let what = "a number (\"0.01\"), a percentage (\"1%\") or a time (\"500ms\"; ns us ms s m h d)";
    let not_negative = || expected("a tolerance that is not negative");
    if let Some((number, relative)) = number(node) {
        if number.coefficient < 0 {
            return Err(not_negative());
        }
        if relative && !at_most_one(number) {
            return Err(expected("at most \"100%\" (of the larger magnitude)"));
        }
        return Ok(if relative { Tolerance::Relative(number) } else { Tolerance::Absolute(number) });
    }
    match &node.value {
        Value::Text(text) if text.text.trim_start().starts_with('-') => Err(not_negative()),
        Value::Text(text) => parse_span(&text.text).map(Tolerance::Time).ok_or_else(|| expected(what)),
        _ => Err(expected(what)),
    }
}

const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// Ten thousand years; more is a slip of the pen.
const SPAN_MAX: i128 = 3_652_425 * 86_400_000_000_000;

/// `1d12h`, `15m`, `1.5h`: each unit at most once, from the largest down.
pub(super) fn parse_span(text: &str) -> Option<Span> {
    let (mut rest, mut total, mut unit_before) = (text.trim(), 0_i128, i128::MAX);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits_end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let amount = decimal(&rest[..digits_end])?;
        let tail = rest[digits_end..].trim_start();
        let unit_end = tail.find(|letter: char| !letter.is_alphabetic()).unwrap_or(tail.len());
        let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == &tail[..unit_end])?;
        if *nanoseconds >= unit_before {
            return None;
        }
        unit_before = *nanoseconds;
        total = total.checked_add(scaled(amount, *nanoseconds)?).filter(|total| *total <= SPAN_MAX)?;
        rest = tail[unit_end..].trim_start();
    }
    Some(Span(total))
}

/// `number × unit`, where that is a whole number.
fn scaled(number: ExactDecimal, unit: i128) -> Option<i128> {
    let product = number.coefficient.checked_mul(unit)?;
    let power = 10_i128.checked_pow(number.exponent.unsigned_abs())?;
    if number.exponent >= 0 { product.checked_mul(power) } else { (product % power == 0).then(|| product / power) }
}

/// A length of time that is more than nothing: `"26h"`, `"15m"`, `"1d12h"`.
pub(super) fn span(node: &Node) -> Checked<Span> {
    let what = "a length of time such as \"26h\", \"15m\" or \"1d12h\" (ns us ms s m h d)";
    let span = match &node.value {
        Value::Text(text) => parse_span(&text.text),
        Value::Integer(number) if *number > 0 => {
            return Err(hinted(what, format!("with its unit, for seconds: \"{number}s\"")));
        }
        _ => None,
    };
    span.ok_or_else(|| expected(what))
        .and_then(|span| if span.0 > 0 { Ok(span) } else { Err(expected("a length of time above zero")) })
}

const SIZES: [(&str, u64); 14] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
];

/// Reads a size in bytes as `memory_limit` and `--memory-limit` take it: `4 GiB`, `512MB`, `1048576`.
///
/// # Errors
/// What was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let unit_start = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let unit = text[unit_start..].trim().to_ascii_uppercase();
    let bytes = SIZES.iter().find(|(name, _)| *name == unit).and_then(|(_, factor)| {
        let number = decimal(&text[..unit_start])?;
        u64::try_from(scaled(number, i128::from(*factor))?).ok()
    });
    bytes
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a size such as \"4 GiB\", \"512 MB\" or a number of bytes".to_owned())
}

pub(super) fn size(node: &Node) -> Checked<u64> {
    let size = match &node.value {
        Value::Text(text) => parse_size(&text.text),
        Value::Integer(number) => parse_size(&number.to_string()),
        _ => parse_size(""),
    };
    size.map_err(|expected| Complaint { expected, hint: None })
}

/// The names of the types that take no numbers.
pub(super) const TYPES: [(&str, LogicalType); 22] = [
    ("boolean", LogicalType::Boolean),
    ("int8", LogicalType::Integer { bits: 8, signed: true }),
    ("int16", LogicalType::Integer { bits: 16, signed: true }),
    ("int32", LogicalType::Integer { bits: 32, signed: true }),
    ("int64", LogicalType::Integer { bits: 64, signed: true }),
    ("uint8", LogicalType::Integer { bits: 8, signed: false }),
    ("uint16", LogicalType::Integer { bits: 16, signed: false }),
    ("uint32", LogicalType::Integer { bits: 32, signed: false }),
    ("uint64", LogicalType::Integer { bits: 64, signed: false }),
    ("float32", LogicalType::Float32),
    ("float64", LogicalType::Float64),
    ("decimal", LogicalType::Decimal(None)),
    ("text", LogicalType::Text),
    ("binary", LogicalType::Binary),
    ("date", LogicalType::Date),
    ("time", LogicalType::Time),
    ("timestamp", LogicalType::Timestamp),
    ("timestamptz", LogicalType::TimestampTz),
    ("duration", LogicalType::Duration),
    ("uuid", LogicalType::Uuid),
    ("json", LogicalType::Json),
    // The list that messages show ends with this form, which is not a name.
    ("decimal(p, s)", LogicalType::Decimal(None)),
];

/// Names that other systems give to a type, so that the hint can name ours.
const OTHER_TYPE_NAMES: [(&str, &str); 22] = [
    ("bool", "boolean"),
    ("string", "text"),
    ("str", "text"),
    ("varchar", "text"),
    ("utf8", "text"),
    ("int", "int64"),
    ("integer", "int64"),
    ("bigint", "int64"),
    ("smallint", "int16"),
    ("tinyint", "int8"),
    ("long", "int64"),
    ("float", "float64"),
    ("double", "float64"),
    ("real", "float32"),
    ("number", "decimal"),
    ("numeric", "decimal"),
    ("money", "decimal"),
    ("datetime", "timestamp"),
    ("bytes", "binary"),
    ("blob", "binary"),
    ("interval", "duration"),
    ("instant", "timestamptz"),
];

/// `type`.
pub(super) fn logical_type(node: &Node) -> Checked<LogicalType> {
    let names = || TYPES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let Value::Text(text) = &node.value else { return Err(expected(&format!("one of {}", names()))) };
    let written = text.text.trim();
    if let Some((_, logical_type)) = TYPES.iter().find(|(name, _)| *name == written && !name.contains('(')) {
        return Ok(*logical_type);
    }
    if let Some(inside) = written.strip_prefix("decimal").and_then(|rest| rest.trim_start().strip_prefix('(')) {
        return decimal_type(inside);
    }
    let lower = written.to_lowercase();
    let near = OTHER_TYPE_NAMES.iter().find(|(other, _)| *other == lower).map(|(_, name)| *name);
    let near = near.or_else(|| nearest(&lower, TYPES.iter().map(|(name, _)| *name)));
    let hint = near.filter(|_| text.written.is_none()).map(|name| format!("did you mean \"{name}\"?"));
    Err(Complaint { expected: format!("not one of {}", names()), hint })
}

fn decimal_type(inside: &str) -> Checked<LogicalType> {
    let complaint = || expected("decimal(p, s) with p from 1 to 76 and s from 0 to p, such as \"decimal(12, 2)\"");
    let numbers = inside.trim_end().strip_suffix(')').ok_or_else(complaint)?;
    let (precision, scale) = numbers.split_once(',').unwrap_or((numbers, "0"));
    let precision: u8 = precision.trim().parse().map_err(|_| complaint())?;
    let scale: i8 = scale.trim().parse().map_err(|_| complaint())?;
    let fits = (1..=76).contains(&precision) && u8::try_from(scale).is_ok_and(|scale| scale <= precision);
    if fits { Ok(LogicalType::Decimal(Some((precision, scale)))) } else { Err(complaint()) }
}

/// An IANA zone or a fixed offset. The zones are those of this program, not of the machine, so that a run is the same
/// everywhere.
pub(super) fn zone(node: &Node) -> Checked<TimeZone> {
    let what = "an IANA time zone such as \"Europe/Rome\", or an offset such as \"+02:00\"";
    let text = text(node).map_err(|_| expected(what))?;
    let written = text.text.trim();
    if written == "Z" {
        return Ok(TimeZone::UTC);
    }
    if written.starts_with(['+', '-']) {
        let seconds = offset_seconds(written).ok_or_else(|| expected(what))?;
        return Offset::from_seconds(seconds).map(TimeZone::fixed).map_err(|_| expected(what));
    }
    let zones = TimeZoneDatabase::bundled();
    zones.get(written).map_err(|_| {
        let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
        let near = nearest(written, names.iter().map(String::as_str)).filter(|_| text.written.is_none());
        Complaint { expected: format!("expected {what}"), hint: near.map(|name| format!("did you mean \"{name}\"?")) }
    })
}

/// `+02:00`, `-0330`, `+2`.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = match rest.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        None if rest.len() == 4 && rest.is_ascii() => rest.split_at(2),
        None if rest.len() <= 2 => (rest, "0"),
        _ => return None,
    };
    let number = |text: &str| {
        let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits { text.parse::<i32>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// An entry of `ignore`: a glob over column names, of one side with its name before it.
pub(super) fn ignore(node: &Node) -> Checked<Ignore> {
    let written = text(node)?.text.clone();
    let (side, pattern) = Side::BOTH
        .into_iter()
        .find_map(|side| Some((Some(side), written.strip_prefix(side.name())?.strip_prefix(':')?)))
        .unwrap_or((None, &written));
    if pattern.is_empty() {
        return Err(expected("a column name or a glob such as \"etl_*\""));
    }
    match globset::Glob::new(pattern) {
        Ok(glob) => Ok(Ignore { side, glob: glob.compile_matcher(), written }),
        Err(error) => Err(hinted(
            &format!("a glob ({})", error.kind()),
            "put a sign that is meant as itself into brackets: `[[]`, `[{]`, `[*]`",
        )),
    }
}

/// The path of a column: its name, or a struct's members from the outside in.
pub(super) fn path(node: &Node) -> Checked<Vec<String>> {
    let complaint = || expected("a column's name, or an array of a struct's members such as [\"address\", \"city\"]");
    match &node.value {
        Value::Text(text) => Ok(vec![text.text.clone()]),
        Value::List(nodes) if !nodes.is_empty() => {
            nodes.iter().map(|node| Some(node.text()?.text.clone())).collect::<Option<_>>().ok_or_else(complaint)
        }
        _ => Err(complaint()),
    }
}

/// The delimiter of a text file: one byte.
pub(super) fn delimiter(node: &Node) -> Checked<u8> {
    match node.text().map(|text| text.text.as_bytes()) {
        Some(&[byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(byte),
        Some(b"\\t") => Err(hinted("one ASCII character", "a tab is \"\\t\" in double quotes")),
        _ => Err(expected("one ASCII character that is neither a quote nor a line end")),
    }
}

/// The decimal separator of a text file.
pub(super) fn decimal_separator(node: &Node) -> Checked<char> {
    let mut letters = node.text().map(|text| text.text.chars()).into_iter().flatten();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if !letter.is_alphanumeric() && !letter.is_whitespace() && !"+-\"".contains(letter) => {
            Ok(letter)
        }
        _ => Err(expected("one character such as \",\"")),
    }
}

/// How bytes become text, by any of its usual labels.
pub(super) fn encoding(node: &Node) -> Checked<&'static encoding_rs::Encoding> {
    let what = "an encoding such as \"utf-8\", \"latin1\", \"windows-1252\" or \"utf-16le\"";
    let text = text(node).map_err(|_| expected(what))?;
    encoding_rs::Encoding::for_label_no_replacement(text.text.as_bytes()).ok_or_else(|| expected(what))
}

/// A strptime pattern.
pub(super) fn time_format(node: &Node) -> Checked<String> {
    let what = "a pattern such as \"%d.%m.%Y\"";
    let text = &text(node).map_err(|_| expected(what))?.text;
    if !text.contains('%') {
        return Err(expected(what));
    }
    let sample = jiff::civil::date(2001, 2, 3).at(4, 5, 6, 7).to_zoned(TimeZone::UTC).map_err(|_| expected(what))?;
    match jiff::fmt::strtime::format(text, &sample) {
        Ok(_) => Ok(text.clone()),
        Err(error) => Err(hinted(what, error.to_string())),
    }
}

/// A value of `translate`: text, or a number or truth as its text.
pub(super) fn plain_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.clone()),
        Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A path as written, relative to the folder of the file that holds it.
pub(super) fn resolved(node: &Node, written: &str) -> PathBuf {
    let plain = written.strip_prefix("file://").unwrap_or(written);
    node.at.folder().map_or_else(|| PathBuf::from(plain), |folder| folder.join(plain))
}
