//! The schema, the reader and the reference must know the same keys.

use std::collections::BTreeSet;

use super::*;

/// A TOML value as JSON, dates as text.
fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(datetime) => json!(datetime.to_string()),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, as_json(value))).collect(),
        other => serde_json::to_value(other).expect("a plain value"),
    }
}

fn faults(text: &str) -> Vec<String> {
    let validator = jsonschema::validator_for(&json_schema()).expect("a valid schema");
    let document = as_json(text.parse::<toml::Table>().expect("valid TOML").into());
    validator.iter_errors(&document).map(|error| error.to_string()).collect()
}

#[test]
fn the_schema_is_a_valid_schema_of_its_draft() {
    let schema = json_schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    assert!(!schema.to_string().contains("null,\"description\""), "every definition is filled");
}

#[test]
fn the_example_of_the_specification_validates() {
    assert_eq!(faults(EXAMPLE), Vec::<String>::new());
}

#[test]
fn what_the_reader_refuses_by_shape_the_schema_refuses_too() {
    let cases = [
        "",
        "version = 2",
        "version = 1\nsauce = 1",
        "version = 1\n[run]\nthreads = -1",
        "version = 1\n[source.a]\nformat = \"csv\"",
        "version = 1\n[source.a]\nlocation = \"a\"\nformat = \"xls\"",
        "version = 1\n[source.a]\nlocation = \"a\"\nmax_age = \"26\"",
        "version = 1\n[contract.a]\nversion = \"1.0.0\"",
        "version = 1\n[defaults]\nfail_on = \"critcal\"",
        "version = 1\n[contract.a]\nextends = \"b\"\n[contract.a.attribute.x]\ntype = \"decimel\"",
    ];
    for case in cases {
        assert!(!faults(case).is_empty(), "{case}");
        assert!(super::super::parse_text(case).is_err(), "{case}");
    }
}

fn sections() -> Vec<&'static Section> {
    vec![
        &raw::FILE,
        &raw::RUN,
        &raw::NOTIFY,
        &raw::DEFAULTS,
        &raw::SOURCE,
        &raw::CSV,
        &raw::CONTRACT,
        &raw::ALLOW,
        &raw::ALLOW_SEVERITY,
        &raw::ATTRIBUTE,
        &raw::OWNER,
        &raw::LOOKUP,
        &raw::CROSSWALK,
        &raw::SEVERITY,
        &raw::REPAIR,
        &raw::RULE,
        &raw::TOTAL,
        &raw::INVARIANT,
        &raw::PARITY,
        &raw::RECHECK,
    ]
}

/// What the reference says a value looks like.
fn shape_in_words(shape: Shape) -> String {
    match shape {
        Shape::Text => "string".to_owned(),
        Shape::Texts => "array of strings".to_owned(),
        Shape::Boolean => "boolean".to_owned(),
        Shape::Count(u64::MAX) => "whole number".to_owned(),
        Shape::Count(most) => format!("whole number, at most {most}"),
        Shape::OneOf(names) => names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", "),
        Shape::Several(names) => {
            let names = names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(", ");
            format!("array of {names}")
        }
        Shape::FormatVersion => "`1`".to_owned(),
        Shape::Version => "semantic version".to_owned(),
        Shape::Span => "length of time".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Ratio => "share".to_owned(),
        Shape::Tolerance => "tolerance".to_owned(),
        Shape::Type => "type".to_owned(),
        Shape::Zone => "time zone".to_owned(),
        Shape::Ignore => "array of globs".to_owned(),
        Shape::Path => "column, or array of members".to_owned(),
        Shape::Delimiter => "one ASCII character".to_owned(),
        Shape::DecimalSeparator => "one character".to_owned(),
        Shape::Encoding => "encoding label".to_owned(),
        Shape::TimeFormat => "strptime pattern".to_owned(),
        Shape::CapturedAt => "time or table".to_owned(),
        Shape::Translate => "table".to_owned(),
        Shape::Section(section) => format!("table, see [{}]", section.name),
        Shape::Named(section) => format!("named tables, see [{}]", section.name),
        Shape::Each(section) => format!("array of tables, see [[{}]]", section.name),
        Shape::Columns => "column, array of members, or table of such by source".to_owned(),
        Shape::Owners(section) => format!("string, or array of tables, see [{}]", section.name),
        Shape::On => "column, or table of columns".to_owned(),
        Shape::KeyColumns => "column, or array of columns".to_owned(),
        Shape::Crossed => "column, array of columns, or table of columns".to_owned(),
        Shape::Instant => "time".to_owned(),
    }
}

/// The line of the reference about one key.
fn reference_line(key: &Key) -> String {
    let default = match (key.required, key.default) {
        (true, _) => "**required**".to_owned(),
        (false, "") => "—".to_owned(),
        (false, default) => default.replace('|', "\\|"),
    };
    format!("| `{}` | {} | {default} | {} | yes |", key.name, shape_in_words(key.shape), key.says)
}

#[test]
fn every_key_that_the_reader_knows_is_in_the_reference() {
    let reference = include_str!("../../../docs/contract.md");
    let mut missing = Vec::new();
    for section in sections() {
        let start = reference.find(&format!("[{}]", section.name)).unwrap_or(0);
        for key in section.keys {
            let line = reference_line(key);
            if !reference[start..].contains(&line) {
                missing.push(format!("[{}]\n{line}", section.name));
            }
        }
    }
    assert!(missing.is_empty(), "docs/contract.md lacks these lines:\n{}", missing.join("\n"));
}

#[test]
fn every_key_that_the_reader_knows_is_in_the_schema() {
    let schema = json_schema();
    let known: BTreeSet<String> = schema["$defs"]
        .as_object()
        .expect("definitions")
        .iter()
        .chain([(&"file".to_owned(), &schema)])
        .flat_map(|(name, definition)| {
            let keys = definition["properties"].as_object().expect("properties").keys();
            keys.map(move |key| format!("{name}/{key}"))
        })
        .collect();
    for section in sections() {
        for key in section.keys {
            let name = format!("{}/{}", section.name.replace(".NAME", ""), key.name);
            assert!(known.contains(&name), "the schema lacks {name}");
        }
    }
}
