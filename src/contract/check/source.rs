//! Checks one `[source.NAME]`: its location, its options, and how they fit together.

use jiff::tz::TimeZone;

use super::super::raw;
use super::super::shape;
use super::super::tree::{Entry, Problems, Table, Value};
use super::super::values;
use super::super::{CapturedAt, CsvOptions, Format, Location, Source};
use super::{database, location};

/// Checks a source, whose own zone (if any) it keeps; `zone` is what instants without one are read in besides.
pub(super) fn check_source(
    entry: &Entry,
    zone: Option<&TimeZone>,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Option<Source> {
    let table = entry.node.table()?;
    let about = format!("source \"{}\"", entry.key);
    shape::check_required(table, &raw::SOURCE, &entry.at, Some(&about), problems);
    let timezone = table.node("timezone").and_then(|node| values::zone(node).ok());
    let captured_at = captured_at(table, timezone.as_ref().or(zone), &about, problems);
    let csv = csv_options(table.table("csv"), &about, problems);
    let location = check_location(table, &about, problems, warnings)?;
    if let (CapturedAt::SourceTells, Some(max_age), Location::Files { .. }) =
        (&captured_at, table.entry("max_age"), &location)
    {
        warnings.add(
            &max_age.at,
            Some(&about),
            "`max_age` needs an age, and files do not tell when they were captured",
            Some("say `captured_at = { column = \"…\" }`, a time, or { file = \"mtime\" }".to_owned()),
        );
    }
    super::predicates::check(table, matches!(location, Location::Database(_)), (&about, problems, warnings));
    let text = |key: &str| table.text(key).map(|text| text.text.clone());
    Some(Source {
        name: entry.key.clone(),
        context: text("context"),
        location,
        format: table.text("format").and_then(|text| format_of(&text.text)),
        filter: text("filter"),
        version_column: text("version_column"),
        updated_at: text("updated_at"),
        deleted: text("deleted"),
        captured_at,
        max_age: table.node("max_age").and_then(|node| values::span(node).ok()),
        timezone,
        csv,
    })
}

fn check_location(table: &Table, about: &str, problems: &mut Problems, warnings: &mut Problems) -> Option<Location> {
    let node = table.node("location")?;
    let written = node.text()?;
    let mut location = match location::parse(written, |path| values::resolved(node, path)) {
        Ok(location) => location,
        Err(message) => {
            problems.add(&node.at, Some(about), message, None);
            return None;
        }
    };
    if let Location::Database(found) = &mut location {
        database::complete(found, table, &node.at, about, problems, warnings)?;
    } else {
        for entry in database::KEYS.iter().filter_map(|key| table.entry(key)) {
            let message = format!("`{}` is for databases and says nothing here, the location is none", entry.key);
            let hint =
                matches!(entry.key.as_str(), "table" | "query").then(|| "use `filter` to choose rows".to_owned());
            warnings.add(&entry.at, Some(about), message, hint);
        }
    }
    Some(location)
}

fn format_of(name: &str) -> Option<Format> {
    Some(match name {
        "parquet" => Format::Parquet,
        "arrow" => Format::Arrow,
        "csv" => Format::Csv,
        "tsv" => Format::Tsv,
        "ndjson" => Format::Ndjson,
        "json" => Format::Json,
        _ => return None,
    })
}

fn captured_at(table: &Table, zone: Option<&TimeZone>, about: &str, problems: &mut Problems) -> CapturedAt {
    let Some(node) = table.node("captured_at") else { return CapturedAt::SourceTells };
    let text = match &node.value {
        Value::Text(text) => &text.text,
        Value::Datetime(text) => text,
        Value::Table(inner) => {
            return match inner.text("column") {
                Some(column) => CapturedAt::Column(column.text.clone()),
                None => CapturedAt::FileModified,
            };
        }
        _ => return CapturedAt::SourceTells,
    };
    match instant(text, zone) {
        Ok(instant) => CapturedAt::At(instant),
        Err(what) => {
            let message = format!("captured_at is {}, {what}", node.seen());
            let hint = "write a time with its zone, such as \"2026-01-31T23:00:00Z\"".to_owned();
            problems.add(&node.at, Some(about), message, Some(hint));
            CapturedAt::SourceTells
        }
    }
}

/// Reads an instant; one without a zone is in `zone`.
pub(super) fn instant(text: &str, zone: Option<&TimeZone>) -> Result<jiff::Timestamp, &'static str> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant);
    }
    let local: jiff::civil::DateTime = text.parse().map_err(|_| "expected a time")?;
    let zone = zone.ok_or("which has no zone, and no `timezone` says one")?;
    zone.to_ambiguous_timestamp(local).unambiguous().map_err(|_| "a time that its zone does not have, or has twice")
}

fn csv_options(table: Option<&Table>, about: &str, problems: &mut Problems) -> CsvOptions {
    let mut options = CsvOptions::default();
    let Some(table) = table else { return options };
    let owned = |key: &str| table.texts(key).into_iter().map(|(text, _)| text.to_owned()).collect::<Vec<String>>();
    options.delimiter = table.node("delimiter").and_then(|node| values::delimiter(node).ok());
    options.header = table.node("header").and_then(|node| values::boolean(node).ok()).unwrap_or(true);
    options.null = table.node("null").map(|_| owned("null"));
    if let Some(encoding) = table.node("encoding").and_then(|node| values::encoding(node).ok()) {
        options.encoding = encoding;
    }
    if let Some(decimal) = table.node("decimal").and_then(|node| values::decimal_separator(node).ok()) {
        options.decimal = decimal;
    }
    options.date_format = table.node("date_format").and_then(|node| values::time_format(node).ok());
    options.timestamp_format = table.node("timestamp_format").and_then(|node| values::time_format(node).ok());
    options.true_texts = owned("true");
    options.false_texts = owned("false");
    no_text_twice(table, about, problems);
    options
}

/// One text cannot be NULL and true, or true and false.
fn no_text_twice(table: &Table, about: &str, problems: &mut Problems) {
    let mut meanings: Vec<(&str, &str)> = Vec::new();
    for key in ["null", "true", "false"] {
        for (text, at) in table.texts(key) {
            match meanings.iter().find(|(held, meaning)| *held == text && *meaning != key) {
                Some((_, meaning)) => {
                    let message = format!("csv: one text stands for both `{meaning}` and `{key}`");
                    problems.add(at, Some(about), message, None);
                }
                None => meanings.push((text, key)),
            }
        }
    }
}
