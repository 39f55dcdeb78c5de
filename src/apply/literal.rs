//! A value in the SQL of each dialect, so that every byte survives and nothing of it is ever read as SQL; and the condition
//! under which a column holds exactly that value. What a column cannot hold is said, never bent.

use crate::contract::System;

use super::given::Given;
use super::list::array;
use super::table::{Column, Family};
use crate::normalise::Number;

/// The value as a literal of the column's type.
///
/// # Errors
/// Why the column cannot hold it, as a sentence part.
pub fn literal(system: System, column: &Column, given: &Given) -> Result<String, String> {
    let text = match given {
        Given::Number(text) if column.family == Family::Anything => {
            return sqlite_numeric(text).map_err(|what| cannot(column, what));
        }
        Given::Null => return Ok("NULL".to_owned()),
        Given::Nested => return Err(cannot(column, "a list or an object")),
        _ if column.family == Family::Nested => return Err(cannot(column, "a list or an object")),
        Given::Text(text) if column.family == Family::List => return array(column, text),
        _ if column.family == Family::List => return Err(cannot(column, "what is no list")),
        Given::Personal(_) => return Err(format!("the value of `{}` is personal", column.name)),
        Given::Bool(value) => return boolean(system, column, *value),
        Given::Number(text) | Given::Text(text) => text.as_str(),
    };
    let cannot = |what: &'static str| cannot(column, what);
    let spelled = match column.family {
        Family::Boolean => {
            return boolean(system, column, truth(text).ok_or_else(|| cannot("what is no truth value"))?);
        }
        Family::Integer => {
            return whole(text).map(|text| typed_number(system, column, &text)).map_err(cannot);
        }
        Family::Decimal => {
            return decimal(system, column, text).map_err(cannot);
        }
        Family::Float64 if system == System::Sqlite && Number::parse(text, '.').is_none() => text.to_owned(),
        Family::Float32 | Family::Float64 => return float(system, column, text).map_err(cannot),
        Family::Numeric => return sqlite_numeric(text).map_err(cannot),
        Family::Binary if system == System::Sqlite && binary(system, text).is_none() => text.to_owned(),
        Family::Binary => return binary(system, text).ok_or_else(|| cannot("what is no binary value")),
        Family::Bits => return bits(system, column, text).ok_or_else(|| cannot("what are no bits")),
        Family::Date => day(text).ok_or_else(|| cannot("a time of the day"))?,
        Family::Timestamp | Family::Instant if !is_coarse(system, text) => {
            return Err(cannot("less than a microsecond"));
        }
        Family::Timestamp => local(system, text).ok_or_else(|| cannot("a time with a zone"))?,
        Family::Instant => moment(system, text).ok_or_else(|| cannot("a time without a zone"))?,
        Family::Time => {
            time(text).filter(|_| is_coarse(system, text)).ok_or_else(|| cannot("a length of time in this form"))?
        }
        Family::Text
        | Family::Padded
        | Family::Json
        | Family::List
        | Family::Nested
        | Family::Label
        | Family::Spelled
        | Family::Opaque
        | Family::Anything => text.to_owned(),
    };
    let spelled = match (system, column.family) {
        (System::Postgres, Family::Date | Family::Timestamp | Family::Instant) => with_era(&spelled),
        _ => spelled,
    };
    let quoted = quoted(system, &spelled).map_err(cannot)?;
    Ok(match system {
        System::Postgres => format!("{quoted}::{}", column.type_sql),
        System::Mysql if column.family == Family::Json && !column.type_sql.is_empty() => {
            format!("CAST({quoted} AS JSON)")
        }
        System::Mysql | System::Sqlite => quoted,
    })
}

fn cannot(column: &Column, what: &str) -> String {
    format!("column `{}` ({}) cannot hold {what}", column.name, column.shown)
}

/// The condition that a column holds exactly a literal's value.
#[must_use]
pub fn holds(system: System, column: &Column, name: &str, literal: &str) -> String {
    if literal == "NULL" {
        return format!("{name} IS NULL");
    }
    match (system, column.family) {
        (System::Postgres, Family::Text) => {
            format!("{name}::pg_catalog.text COLLATE \"C\" IS NOT DISTINCT FROM {literal}::pg_catalog.text")
        }
        (System::Postgres, Family::Json) => {
            format!("{name}::pg_catalog.jsonb IS NOT DISTINCT FROM {literal}::pg_catalog.jsonb")
        }
        (System::Postgres, Family::Opaque) => {
            format!("{name}::pg_catalog.text IS NOT DISTINCT FROM {literal}::pg_catalog.text")
        }
        (System::Postgres, Family::List) => {
            // Elements of a domain are compared as what is under it; texts, and what has no equality of its own, as they are written.
            let (name, exact) = (format!("{name}::{}", column.type_sql), column.element.as_ref().map(|one| one.family));
            match exact {
                Some(Family::Text) => {
                    format!("{name}::pg_catalog.text COLLATE \"C\" IS NOT DISTINCT FROM {literal}::pg_catalog.text")
                }
                Some(Family::Opaque | Family::Json | Family::Nested) => {
                    format!("{name}::pg_catalog.text IS NOT DISTINCT FROM {literal}::pg_catalog.text")
                }
                _ => format!("{name} IS NOT DISTINCT FROM {literal}"),
            }
        }
        (System::Postgres, _) => format!("{name} IS NOT DISTINCT FROM {literal}"),
        (System::Mysql, Family::Text | Family::Padded) => {
            format!(
                "CAST(CONVERT({name} USING utf8mb4) AS BINARY) <=> CAST(CONVERT({literal} USING utf8mb4) AS BINARY)"
            )
        }
        (System::Mysql, _) => format!("{name} <=> {literal}"),
        (System::Sqlite, _) => format!("{name} IS {literal} COLLATE BINARY"),
    }
}

/// The condition that names a row by a column, which an index can serve.
#[must_use]
pub fn names(system: System, column: &Column, name: &str, literal: &str) -> String {
    let exact = holds(system, column, name, literal);
    if literal == "NULL" {
        return exact;
    }
    match (system, column.family) {
        (System::Postgres, Family::Json | Family::Opaque | Family::List) => exact,
        (System::Mysql, Family::Text | Family::Padded) | (System::Postgres | System::Sqlite, Family::Text) => {
            format!("{name} = {literal} AND {exact}")
        }
        _ => format!("{name} = {literal}"),
    }
}

/// A text in quotes.
///
/// # Errors
/// What the system's texts cannot hold.
pub fn quoted(system: System, text: &str) -> Result<String, &'static str> {
    let doubled = || text.replace('\'', "''");
    match system {
        System::Postgres if text.contains('\0') => Err("the character NUL"),
        System::Postgres if text.contains('\\') => Ok(format!("E'{}'", doubled().replace('\\', "\\\\"))),
        // Whatever the session's character set and modes are.
        System::Mysql if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"'\\".contains(&byte)) => {
            Ok(format!("'{text}'"))
        }
        System::Mysql => Ok(format!("_utf8mb4 x'{}'", hex(text.as_bytes()))),
        System::Sqlite if text.contains('\0') => with_nul(text),
        System::Postgres | System::Sqlite => Ok(format!("'{}'", doubled())),
    }
}

/// A text with NUL in SQLite, whatever the encoding of the file is: a character that it does not hold stands for it.
fn with_nul(text: &str) -> Result<String, &'static str> {
    let other =
        ('\u{e000}'..=char::MAX).find(|one| !text.contains(*one)).ok_or("the character NUL beside all others")?;
    let text = text.replace('\'', "''").replace('\0', &other.to_string());
    Ok(format!("replace('{text}', char({}), char(0))", u32::from(other)))
}

/// Bytes as hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn boolean(system: System, column: &Column, value: bool) -> Result<String, String> {
    match (system, column.family) {
        (System::Postgres, Family::Boolean) => Ok(if value { "TRUE" } else { "FALSE" }.to_owned()),
        (_, Family::Bits) => Ok(bits(system, column, if value { "1" } else { "0" }).unwrap_or_default()),
        (_, Family::Text | Family::Padded) => {
            let text = if value { "true" } else { "false" };
            literal(system, column, &Given::Text(text.to_owned()))
        }
        (System::Postgres, _) => Ok(typed_number(system, column, if value { "1" } else { "0" })),
        (System::Mysql | System::Sqlite, _) => Ok(if value { "1" } else { "0" }.to_owned()),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "t" | "1" | "TRUE" | "T" => Some(true),
        "false" | "f" | "0" | "FALSE" | "F" => Some(false),
        _ => None,
    }
}

/// A whole number, however it is spelled.
fn whole(text: &str) -> Result<String, &'static str> {
    let value = Number::parse(text, '.').and_then(|parsed| parsed.to_scaled(0));
    value.map(|value| value.to_string()).ok_or("what is no whole number")
}

/// An exact number as it is spelled. Only PostgreSQL has others than finite ones; elsewhere their names would be those of columns.
fn decimal(system: System, column: &Column, text: &str) -> Result<String, &'static str> {
    let parsed = Number::parse(text, '.').ok_or("what is no number")?;
    if system == System::Postgres {
        return Ok(typed_number(system, column, text));
    }
    if !parsed.is_finite() {
        return Err("what is no finite number");
    }
    plain(&parsed).ok_or("so many digits")
}

/// A number without a power of ten, which would make a float of it. No column of MySQL has more than 65 digits.
fn plain(number: &Number) -> Option<String> {
    let (digits, exponent) = number.parts()?;
    let negative = digits.sign() == num_bigint::Sign::Minus;
    let digits = digits.magnitude().to_string();
    let places = usize::try_from(exponent.unsigned_abs()).ok()?;
    if places > 65 || digits.len() > 130 {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    if exponent >= 0 {
        return Some(format!("{sign}{digits}{}", "0".repeat(places)));
    }
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    Some(format!("{sign}{whole}.{fraction}"))
}

/// Whether a time has no more digits of a second than the system keeps.
fn is_coarse(system: System, text: &str) -> bool {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.find(|one: char| !one.is_ascii_digit()).map_or(fraction, |end| &fraction[..end]);
    system == System::Sqlite || digits.trim_end_matches('0').len() <= 6
}

fn typed_number(system: System, column: &Column, text: &str) -> String {
    match system {
        System::Postgres => format!("'{}'::{}", text.replace('\'', "''"), column.type_sql),
        System::Mysql | System::Sqlite => text.to_owned(),
    }
}

fn float(system: System, column: &Column, text: &str) -> Result<String, &'static str> {
    let parsed = Number::parse(text, '.').ok_or("what is no number")?;
    let value = parsed.to_f64();
    let plain = match value {
        Some(value) if value.is_finite() => format!("{value:e}"),
        _ => text.to_owned(),
    };
    let lower = text.to_ascii_lowercase();
    let special = !parsed.is_finite();
    match system {
        System::Postgres if special => {
            let name = if lower.contains("nan") {
                "NaN"
            } else if lower.starts_with('-') {
                "-Infinity"
            } else {
                "Infinity"
            };
            Ok(format!("'{name}'::{}", column.type_sql))
        }
        System::Postgres => Ok(format!("'{plain}'::{}", column.type_sql)),
        System::Mysql if special => Err("what is no finite number"),
        System::Mysql if column.family == Family::Float32 => Ok(format!("CAST({plain} AS FLOAT)")),
        System::Sqlite if lower.contains("nan") => Err("NaN"),
        System::Sqlite if special => Ok(if lower.starts_with('-') { "-9e999" } else { "9e999" }.to_owned()),
        System::Mysql | System::Sqlite => Ok(plain),
    }
}

/// A number or another text for a column whose affinity makes numbers of texts that look like them.
fn sqlite_numeric(text: &str) -> Result<String, &'static str> {
    let Some(parsed) = Number::parse(text, '.').filter(Number::is_finite) else {
        return quoted(System::Sqlite, text);
    };
    if parsed.to_scaled(0).is_some_and(|whole| i64::try_from(whole).is_ok()) {
        return Ok(parsed.to_scaled(0).map_or_else(String::new, |whole| whole.to_string()));
    }
    // It is stored as a float, which must be the same number.
    let float = parsed.to_f64().filter(|float| float.is_finite()).ok_or("so large a number")?;
    let digits = parsed.parts().is_some_and(|(digits, _)| digits.to_string().trim_start_matches('-').len() <= 15);
    if digits { Ok(format!("{float:e}")) } else { Err("so many digits exactly") }
}

fn binary(system: System, text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("\\x")).unwrap_or(text);
    let whole = digits.len() % 2 == 0 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| match system {
        System::Postgres => format!("'\\x{digits}'::pg_catalog.bytea"),
        System::Mysql | System::Sqlite => format!("x'{digits}'"),
    })
}

fn bits(system: System, column: &Column, text: &str) -> Option<String> {
    match system {
        System::Postgres => {
            text.bytes().all(|bit| b"01".contains(&bit)).then(|| format!("'{text}'::{}", column.type_sql))
        }
        System::Mysql if text.bytes().all(|digit| digit.is_ascii_digit()) && !text.is_empty() => Some(text.to_owned()),
        System::Mysql | System::Sqlite => binary(system, text),
    }
}

/// A day or time as PostgreSQL writes years before the first one, which are counted from zero here.
fn with_era(text: &str) -> String {
    let text = text.trim_start_matches('+');
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let Some((year, rest)) = rest.split_once('-') else { return text.to_owned() };
    match year.parse::<i64>() {
        Ok(year) if sign * year <= 0 => format!("{:04}-{rest} BC", year + 1),
        _ => text.to_owned(),
    }
}

fn day(text: &str) -> Option<String> {
    match text.split_once(['T', ' ']) {
        None => Some(text.to_owned()),
        Some((day, time)) => time.trim_matches(['0', ':', '.']).is_empty().then(|| day.to_owned()),
    }
}

fn local(system: System, text: &str) -> Option<String> {
    if matches!(text, "infinity" | "-infinity") && system == System::Postgres {
        return Some(text.to_owned());
    }
    let time = text.split_once(['T', ' ']).map_or("", |(_, time)| time);
    let zoned = time.contains(['Z', 'z', '+', '-']);
    (!zoned).then(|| text.replacen('T', " ", 1))
}

fn moment(system: System, text: &str) -> Option<String> {
    if matches!(text, "infinity" | "-infinity") && system == System::Postgres {
        return Some(text.to_owned());
    }
    let utc = if let Some(utc) = text.strip_suffix('Z') {
        utc.replacen('T', " ", 1)
    } else {
        let at: jiff::Timestamp = text.replacen(' ', "T", 1).parse().ok()?;
        at.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string().replacen('T', " ", 1)
    };
    Some(if system == System::Postgres { format!("{utc}+00") } else { utc })
}

fn time(text: &str) -> Option<String> {
    if !text.trim_start_matches('-').starts_with('P') {
        return Some(text.to_owned());
    }
    let length: jiff::SignedDuration = text.parse().ok()?;
    let sign = if length.is_negative() { "-" } else { "" };
    let seconds = length.as_secs().unsigned_abs();
    let nanoseconds = length.subsec_nanos().unsigned_abs();
    let fraction = if nanoseconds == 0 { String::new() } else { format!(".{nanoseconds:09}") };
    Some(format!(
        "{sign}{:02}:{:02}:{:02}{}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        fraction.trim_end_matches('0')
    ))
}

/// An expression that reads a column as text (or NULL) from which `as_read` makes the same value again, to the byte.
#[must_use]
pub fn reading(system: System, column: &Column, name: &str) -> String {
    match (system, column.family) {
        (System::Postgres, Family::Binary) => format!("pg_catalog.encode({name}, 'hex')"),
        (System::Postgres, _) => format!("{name}::pg_catalog.text"),
        (System::Mysql, Family::Text | Family::Padded | Family::Json) => format!("HEX(CONVERT({name} USING utf8mb4))"),
        (System::Mysql, Family::Binary) => format!("HEX({name})"),
        (System::Mysql, Family::Bits) => format!("CAST({name} + 0 AS CHAR)"),
        (System::Mysql, Family::Float32) => format!("CAST(CAST({name} AS DOUBLE) AS CHAR)"),
        (System::Mysql, _) => format!("CAST({name} AS CHAR)"),
        (System::Sqlite, _) => format!(
            "CASE typeof({name}) WHEN 'text' THEN 'T' || hex({name}) WHEN 'blob' THEN 'B' || hex({name}) \
             WHEN 'null' THEN NULL ELSE quote({name}) END"
        ),
    }
}

/// The literal of what `reading` read.
#[must_use]
pub fn as_read(system: System, column: &Column, read: Option<&str>) -> String {
    let Some(read) = read else { return "NULL".to_owned() };
    match (system, column.family) {
        (System::Postgres, Family::Binary) => format!("'\\x{read}'::pg_catalog.bytea"),
        (System::Postgres, _) => {
            let text = quoted(system, read).unwrap_or_else(|_| "NULL".to_owned());
            format!("{text}::{}", column.type_sql)
        }
        (System::Mysql, Family::Json) if !column.type_sql.is_empty() => format!("CAST(_utf8mb4 x'{read}' AS JSON)"),
        (System::Mysql, Family::Text | Family::Padded | Family::Json) => format!("_utf8mb4 x'{read}'"),
        (System::Mysql, Family::Binary) => format!("x'{read}'"),
        // With a power of ten it is a float, which has a negative zero.
        (System::Mysql, Family::Float32 | Family::Float64) => {
            let float = if read.contains(['e', 'E']) { read.to_owned() } else { format!("{read}e0") };
            if column.family == Family::Float32 { format!("CAST({float} AS FLOAT)") } else { float }
        }
        (System::Mysql, Family::Integer | Family::Decimal | Family::Boolean | Family::Bits) => read.to_owned(),
        (System::Mysql, _) => quoted(system, read).unwrap_or_else(|_| "NULL".to_owned()),
        (System::Sqlite, _) => match read.split_at_checked(1) {
            Some(("T", hex)) => format!("CAST(x'{hex}' AS TEXT)"),
            Some(("B", hex)) => format!("x'{hex}'"),
            _ => read.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
