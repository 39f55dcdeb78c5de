//! Checks the attributes of a contract: what equal means for each, and that no two claim one column of the projection.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::shape::subject;
use super::super::tree::{Entry, Node, Problems, Table, Value};
use super::super::values;
use super::super::{Attribute, LogicalType, Options, Pii, Tolerance, Trim, UnicodeForm};
use super::agreement::{Setting, place_of, repair_at, severity_at};
use super::{baseline, ownership};

/// Checks every `[contract.NAME.attribute.X]`.
pub(super) fn check_attributes(
    table: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Vec<Attribute> {
    let empty = Table::default();
    let entries = &table.table("attribute").unwrap_or(&empty).0;
    let attributes = entries.iter().filter_map(|entry| {
        let name = subject(Some(about), "attribute", &entry.key);
        check_attribute(entry, table, setting, &name, problems)
    });
    let attributes: Vec<Attribute> = attributes.collect();
    one_column_each(entries, &attributes, table, about, problems);
    attributes
}

fn check_attribute(
    entry: &Entry,
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Option<Attribute> {
    let own = entry.node.table()?;
    let origin = ownership::check_origin(entry, contract, setting, about, problems);
    let mut options = text_options(Some(own), contract);
    options.translate = own
        .node("translate")
        .and_then(|node| translate(node, setting, (about, own.text("pii").is_some()), problems))
        .map(Arc::new);
    options.logical_type = own.node("type").and_then(|node| values::logical_type(node).ok());
    let round = own.node("round").and_then(|node| values::count(node, 76).ok());
    options.round = round.and_then(|places| u32::try_from(places).ok());
    options.tolerance = own.node("tolerance").and_then(|node| values::tolerance(node).ok());
    options.timezone = own.node("timezone").and_then(|node| values::zone(node).ok());
    check_fit(entry, own, &options, contract, about, problems);
    Some(Attribute {
        name: entry.key.clone(),
        column: ownership::authority_column(own, contract, &entry.key),
        origin,
        projected_as: baseline::projected_as(own, contract, "projection", &entry.key),
        options,
        severity: severity_at(own, "severity"),
        repair: repair_at(own, "repair"),
        pii: own.text("pii").and_then(|text| match text.text.as_str() {
            "mask" => Some(Pii::Mask),
            "hash" => Some(Pii::Hash),
            "drop" => Some(Pii::Drop),
            _ => None,
        }),
    })
}

/// The options that `[defaults]` and the contract may say for all attributes; the attribute's own go before them.
pub(super) fn text_options(own: Option<&Table>, contract: &Table) -> Options {
    let node = |key: &str| own.and_then(|own| own.node(key)).or_else(|| contract.node(key));
    let word = |key: &str| node(key).and_then(Node::text).map_or("", |text| text.text.as_str());
    let null_equals = if own.is_some_and(|own| own.node("null_equals").is_some()) { own } else { Some(contract) };
    Options {
        unicode: match word("unicode") {
            "nfc" => Some(UnicodeForm::Nfc),
            "nfd" => Some(UnicodeForm::Nfd),
            "nfkc" => Some(UnicodeForm::Nfkc),
            "nfkd" => Some(UnicodeForm::Nfkd),
            _ => None,
        },
        collapse_spaces: word("spaces") == "collapse",
        trim: match word("trim") {
            "left" => Some(Trim::Left),
            "right" => Some(Trim::Right),
            "both" => Some(Trim::Both),
            _ => None,
        },
        ignore_case: word("case") == "ignore",
        null_equals: null_equals
            .into_iter()
            .flat_map(|table| table.texts("null_equals"))
            .map(|(text, _)| text.to_owned())
            .collect(),
        ..Options::default()
    }
}

/// Options that contradict each other.
fn check_fit(entry: &Entry, own: &Table, options: &Options, contract: &Table, about: &str, problems: &mut Problems) {
    let written = own.node("type").map_or_else(String::new, Node::seen);
    let distance = options.logical_type.map(Distance::of);
    let mut complain = |key: &str, message: String, hint: Option<&str>| {
        problems.add(place_of(entry, key), Some(about), message, hint.map(ToOwned::to_owned));
    };
    if let Some(tolerance) = &options.tolerance {
        let timely = matches!(tolerance, Tolerance::Time(_));
        match distance {
            Some(Distance::None) => {
                complain("tolerance", format!("tolerance on type {written}, which has no distance"), None);
            }
            Some(Distance::Time) if !timely => complain(
                "tolerance",
                format!("tolerance on type {written} is a number, expected a time"),
                Some("write it with its unit, such as \"500ms\""),
            ),
            Some(Distance::Number) if timely => {
                complain(
                    "tolerance",
                    format!("tolerance on type {written} is a time, expected a number or percentage"),
                    None,
                );
            }
            _ => {}
        }
        let keys = contract.texts("key");
        if keys.iter().any(|(name, _)| *name == entry.key) {
            complain(
                "tolerance",
                "tolerance on a key attribute, which must be equal to be found".to_owned(),
                Some("use `round`"),
            );
        } else if matches!(contract.node("key").map(|node| &node.value), Some(Value::List(nodes)) if nodes.is_empty()) {
            let message = "tolerance without a key: rows of a multiset are equal or not".to_owned();
            complain("tolerance", message, Some("use `round`, or name a key"));
        }
    }
    if options.round.is_some() && distance.is_some_and(|distance| distance != Distance::Number) {
        complain("round", format!("round on type {written}, which is not numeric"), None);
    }
}

/// What lies between two values of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distance {
    Number,
    Time,
    None,
}

impl Distance {
    fn of(logical_type: LogicalType) -> Self {
        match logical_type {
            LogicalType::Integer { .. } | LogicalType::Float32 | LogicalType::Float64 | LogicalType::Decimal(_) => {
                Self::Number
            }
            LogicalType::Date
            | LogicalType::Time
            | LogicalType::Timestamp
            | LogicalType::TimestampTz
            | LogicalType::Duration => Self::Time,
            LogicalType::Boolean | LogicalType::Text | LogicalType::Binary | LogicalType::Uuid | LogicalType::Json => {
                Self::None
            }
        }
    }
}

/// `translate`, inline or from a file of two columns.
fn translate(
    node: &Node,
    setting: &Setting<'_>,
    (about, personal): (&str, bool),
    problems: &mut Problems,
) -> Option<BTreeMap<String, String>> {
    let table = node.table()?;
    if let [Entry { key, node: file, .. }] = &table.0[..]
        && key == "file"
    {
        let written = file.text()?;
        let path = values::resolved(file, &written.text);
        let shown = written.shown();
        let read =
            setting.disk.read(&path).map_err(|error| vec![format!("translate file {shown} cannot be read: {error}")]);
        return match read.and_then(|bytes| translate_file(&bytes, shown, personal)) {
            Ok(map) => Some(map),
            Err(messages) => {
                for message in messages {
                    problems.add(&file.at, Some(about), message, None);
                }
                None
            }
        };
    }
    Some(table.0.iter().filter_map(|entry| Some((entry.key.clone(), values::plain_text(&entry.node)?))).collect())
}

/// A CSV of two columns under a header: the owner's value, the value expected in the projection.
fn translate_file(bytes: &[u8], shown: &str, personal: bool) -> Result<BTreeMap<String, String>, Vec<String>> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let (mut map, mut lines, mut messages) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut headed = false;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                messages.push(format!("translate file {shown}, line {line}: not valid UTF-8"));
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let (Some(from), Some(to), 2) = (record.get(0), record.get(1), record.len()) else {
            let seen = record.len();
            messages.push(format!("translate file {shown}, line {line}: {seen} field(s), expected two (from, to)"));
            headed = true;
            continue;
        };
        if !headed {
            headed = true;
            continue;
        }
        if let Some(first) = lines.insert(from.to_owned(), line) {
            let from = if personal { "its value".to_owned() } else { format!("\"{from}\"") };
            messages.push(format!("translate file {shown}, line {line}: {from} is already on line {first}"));
        }
        map.insert(from.to_owned(), to.to_owned());
    }
    if !headed {
        messages
            .push(format!("translate file {shown} is empty, expected a header (from, to) and a line for each value"));
    }
    if messages.is_empty() { Ok(map) } else { Err(messages) }
}

/// A column of the projection belongs to one attribute, and so has one owner.
fn one_column_each(
    entries: &[Entry],
    attributes: &[Attribute],
    contract: &Table,
    about: &str,
    problems: &mut Problems,
) {
    let authority = contract.text("authority").map_or("", |text| text.text.as_str());
    let owner = |name: &str| {
        let entry = entries.iter().find(|entry| entry.key == name)?;
        Some(entry.node.table()?.text("owner")?.text.as_str())
    };
    let mut claimed: Vec<(Vec<&str>, &str)> = Vec::new();
    let key = contract.texts("key");
    let undeclared = key.iter().filter(|(name, _)| entries.iter().all(|entry| entry.key != *name));
    claimed.extend(undeclared.map(|(name, _)| (vec![*name], *name)));
    // Those that keep their name claim first, so that the complaint is about the one that says `projected_as`.
    let renamed = |attribute: &&Attribute| attribute.projected_as != [attribute.name.as_str()];
    let kept = attributes.iter().filter(|attribute| !renamed(attribute));
    for attribute in kept.chain(attributes.iter().filter(renamed)) {
        let path: Vec<&str> = attribute.projected_as.iter().map(String::as_str).collect();
        let Some((_, other)) = claimed.iter().find(|(held, _)| *held == path) else {
            claimed.push((path, &attribute.name));
            continue;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == attribute.name) else { continue };
        let owners = [owner(other).unwrap_or(authority), owner(&attribute.name).unwrap_or(authority)];
        let column = path.join(".");
        let message = if owners[0] == owners[1] {
            format!("projected_as \"{column}\" is the column of attribute \"{other}\" already")
        } else {
            format!(
                "projected_as \"{column}\" is the column of attribute \"{other}\" already, so that it has two owners (\"{}\" and \"{}\")",
                owners[0], owners[1]
            )
        };
        let name = subject(Some(about), "attribute", &attribute.name);
        problems.add(place_of(entry, "projected_as"), Some(&name), message, None);
    }
}
