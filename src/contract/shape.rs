//! Holds a tree against the tables of `raw`: unknown keys, missing keys, wrong types, bad values, all of them at once.
//!
//! It looks at one value at a time and never at how two of them fit together; that is `check`.

use super::raw::{Key, Section, Shape, nearest};
use super::tree::{Node, Place, Problems, Table, Value};
use super::values::{self, Complaint};

mod ownership;

/// Checks a whole file (or what stands for one).
pub(super) fn check_file(table: &Table, section: &'static Section, problems: &mut Problems) {
    check_table(table, section, None, "", problems);
}

/// Checks one table: keys that are not known, and the value of each that is.
pub(super) fn check_table(
    table: &Table,
    section: &'static Section,
    about: Option<&str>,
    prefix: &str,
    problems: &mut Problems,
) {
    for entry in &table.0 {
        if let Some(key) = section.key(&entry.key) {
            check_value(&entry.node, key, about, prefix, problems);
            continue;
        }
        let names = section.keys.iter().map(|key| key.name);
        let hint = match nearest(&entry.key, names.clone()) {
            Some(name) => Some(format!("did you mean `{name}`?")),
            None => belongs_elsewhere(&entry.key, section),
        };
        let allowed = names.collect::<Vec<_>>().join(", ");
        let message = format!("unknown key `{}`, allowed here: {allowed}", entry.key);
        problems.add(&entry.at, about, message, hint);
    }
}

/// Where a key that is unknown here would be known.
fn belongs_elsewhere(name: &str, section: &Section) -> Option<String> {
    use super::raw;
    let others = [&raw::FILE, &raw::RUN, &raw::DEFAULTS, &raw::SOURCE, &raw::CSV, &raw::CONTRACT, &raw::ATTRIBUTE];
    let other = others.into_iter().find(|other| other.name != section.name && other.key(name).is_some());
    other.map(|other| match other.name {
        "file" => format!("`{name}` belongs at the top of the main file"),
        place => format!("`{name}` belongs in [{place}]"),
    })
}

/// Complains about keys that must be there and are not; `at` is where the table begins.
pub(super) fn check_required(
    table: &Table,
    section: &Section,
    at: &Place,
    about: Option<&str>,
    problems: &mut Problems,
) {
    for key in section.keys.iter().filter(|key| key.required && table.node(key.name).is_none()) {
        let hint = match key.shape {
            Shape::FormatVersion => Some("write `version = 1`".to_owned()),
            Shape::Version => Some("write `version = \"1.0.0\"`".to_owned()),
            Shape::Texts => Some(format!("name the attributes that identify a row: `{} = [\"id\"]`", key.name)),
            _ => None,
        };
        problems.add(at, about, format!("`{}` is missing", key.name), hint);
    }
}

fn check_value(node: &Node, key: &Key, about: Option<&str>, prefix: &str, problems: &mut Problems) {
    let name = format!("{prefix}{}", key.name);
    if matches!(node.value, Value::Unknown) {
        return;
    }
    match key.shape {
        Shape::Section(section) => match node.table() {
            Some(table) => check_table(table, section, about, &format!("{name}."), problems),
            None => complain(node, &name, &expected_table(), about, problems),
        },
        Shape::Named(section) => check_named(node, key, section, about, problems),
        Shape::Each(section) => check_each(node, key, section, about, problems),
        Shape::Texts => check_texts(node, &name, about, problems),
        Shape::Several(names) => check_several(node, names, &name, about, problems),
        Shape::Ignore => check_ignore(node, &name, about, problems),
        Shape::Translate => check_translate(node, &name, about, problems),
        Shape::CapturedAt => check_captured_at(node, &name, about, problems),
        Shape::Columns => ownership::check_columns(node, &name, about, problems),
        Shape::Owners(section) => ownership::check_owners(node, section, about, problems),
        Shape::On => ownership::check_on(node, &name, about, problems),
        Shape::KeyColumns | Shape::Crossed => ownership::check_crossed(node, &name, key.shape, about, problems),
        Shape::Instant => ownership::check_instant(node, &name, about, problems),
        _ => {
            if let Err(complaint) = check_scalar(node, key.shape) {
                complain(node, &name, &complaint, about, problems);
            }
        }
    }
}

fn check_scalar(node: &Node, shape: Shape) -> Result<(), Complaint> {
    match shape {
        Shape::Text => values::text(node).map(drop),
        Shape::Boolean => values::boolean(node).map(drop),
        Shape::Count(most) => values::count(node, most).map(drop),
        Shape::OneOf(names) => values::one_of(node, names).map(drop),
        Shape::FormatVersion => match node.value {
            Value::Integer(1) => Ok(()),
            _ => Err(Complaint { expected: "expected 1".to_owned(), hint: Some("write `version = 1`".to_owned()) }),
        },
        Shape::Version => values::version(node).map(drop),
        Shape::Span => values::span(node).map(drop),
        Shape::Size => values::size(node).map(drop),
        Shape::Ratio => values::ratio(node).map(drop),
        Shape::Tolerance => values::tolerance(node).map(drop),
        Shape::Type => values::logical_type(node).map(drop),
        Shape::Zone => values::zone(node).map(drop),
        Shape::Path => values::path(node).map(drop),
        Shape::Delimiter => values::delimiter(node).map(drop),
        Shape::DecimalSeparator => values::decimal_separator(node).map(drop),
        Shape::Encoding => values::encoding(node).map(drop),
        Shape::TimeFormat => values::time_format(node).map(drop),
        Shape::Section(_)
        | Shape::Named(_)
        | Shape::Each(_)
        | Shape::Texts
        | Shape::Several(_)
        | Shape::Ignore
        | Shape::Translate
        | Shape::CapturedAt
        | Shape::Columns
        | Shape::Owners(_)
        | Shape::On
        | Shape::KeyColumns
        | Shape::Crossed
        | Shape::Instant => Ok(()),
    }
}

fn expected_table() -> Complaint {
    Complaint { expected: "expected a table".to_owned(), hint: None }
}

fn check_named(node: &Node, key: &Key, section: &'static Section, about: Option<&str>, problems: &mut Problems) {
    let Some(table) = node.table() else { return complain(node, key.name, &expected_table(), about, problems) };
    for entry in &table.0 {
        let name = subject(about, key.name, &entry.key);
        if let Some(inner) = entry.node.table() {
            check_table(inner, section, Some(&name), "", problems);
        } else {
            let what = format!("{}.{}", key.name, entry.key);
            complain(&entry.node, &what, &expected_table(), about, problems);
        }
        if entry.key.is_empty() && key.name != "attribute" {
            problems.add(&entry.at, about, format!("a {} needs a name", key.name), None);
        }
    }
}

/// `contract "orders", attribute "premium"`.
pub(super) fn subject(about: Option<&str>, what: &str, name: &str) -> String {
    match about {
        Some(about) => format!("{about}, {what} \"{name}\""),
        None => format!("{what} \"{name}\""),
    }
}

fn check_each(node: &Node, key: &Key, section: &'static Section, about: Option<&str>, problems: &mut Problems) {
    let complaint = || Complaint {
        expected: "expected an array of tables".to_owned(),
        hint: Some(format!("write [[{}]]", section.name)),
    };
    let Value::List(nodes) = &node.value else { return complain(node, key.name, &complaint(), about, problems) };
    for item in nodes {
        let Some(table) = item.table() else {
            complain(item, key.name, &complaint(), about, problems);
            continue;
        };
        let inner = table.text("name").map_or_else(
            || about.map_or_else(|| key.name.to_owned(), |about| format!("{about}, {}", key.name)),
            |name| subject(about, key.name, name.shown()),
        );
        check_table(table, section, Some(&inner), "", problems);
        check_required(table, section, &item.at, Some(&inner), problems);
    }
}

fn check_texts(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    let complaint = |node: &Node| Complaint {
        expected: "expected an array of strings".to_owned(),
        hint: node.text().map(|text| format!("write `{name} = [\"{}\"]`", text.shown())),
    };
    let Value::List(nodes) = &node.value else { return complain(node, name, &complaint(node), about, problems) };
    for item in nodes.iter().filter(|item| item.text().is_none() && !matches!(item.value, Value::Unknown)) {
        let seen = item.seen();
        problems.add(&item.at, about, format!("`{name}` holds {seen}, expected strings"), None);
    }
}

fn check_several(node: &Node, names: &[&str], name: &str, about: Option<&str>, problems: &mut Problems) {
    check_texts(node, name, about, problems);
    let Value::List(nodes) = &node.value else { return };
    for item in nodes.iter().filter(|item| item.text().is_some()) {
        if let Err(complaint) = values::one_of(item, names) {
            complain(item, name, &complaint, about, problems);
        }
    }
}

fn check_ignore(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    check_texts(node, name, about, problems);
    let Value::List(nodes) = &node.value else { return };
    for item in nodes.iter().filter(|item| item.text().is_some()) {
        if let Err(complaint) = values::ignore(item) {
            complain(item, name, &complaint, about, problems);
        }
    }
}

fn check_translate(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    let complaint = Complaint {
        expected: "expected a table of values, or { file = \"map.csv\" }".to_owned(),
        hint: Some("write { OLD = \"new\", … }".to_owned()),
    };
    let Some(table) = node.table() else { return complain(node, name, &complaint, about, problems) };
    for entry in &table.0 {
        if values::plain_text(&entry.node).is_none() && !matches!(entry.node.value, Value::Unknown) {
            let message = format!(
                "`{name}` turns \"{}\" into {}, expected a string, number or boolean",
                entry.key,
                entry.node.seen()
            );
            problems.add(&entry.node.at, about, message, None);
        }
    }
}

fn check_captured_at(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    let complaint =
        Complaint { expected: "expected a time, { column = \"…\" } or { file = \"mtime\" }".to_owned(), hint: None };
    let entry = match &node.value {
        // Whether it is a time is known with the zone, in `check`.
        Value::Text(_) | Value::Datetime(_) => return,
        Value::Table(Table(entries)) if entries.len() == 1 => &entries[0],
        _ => return complain(node, name, &complaint, about, problems),
    };
    let fits = match (entry.key.as_str(), &entry.node.value) {
        ("column" | "file", Value::Unknown) | ("column", Value::Text(_)) => true,
        ("file", Value::Text(text)) => text.text == "mtime",
        _ => false,
    };
    if !fits {
        let seen = format!("{{ {} = {} }}", entry.key, entry.node.seen());
        problems.add(&node.at, about, format!("`{name}` is {seen}, {}", complaint.expected), None);
    }
}

/// Words a complaint about one value.
pub(super) fn complain(node: &Node, name: &str, complaint: &Complaint, about: Option<&str>, problems: &mut Problems) {
    if matches!(node.value, Value::Unknown) {
        return;
    }
    let (seen, expected) = (node.seen(), &complaint.expected);
    let message = if expected.starts_with("not one of") {
        format!("{name} {seen} is {expected}")
    } else {
        format!("{name} is {seen}, {expected}")
    };
    problems.add(&node.at, about, message, complaint.hint.clone());
}
