//! Checks what a contract says of ownership: `owner`, `column` by source, `derive`, `lookup`, `crosswalk`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::ownership::{Crosswalk, Lookup, Origin, Tenure};
use super::super::raw;
use super::super::shape;
use super::super::tree::{Entry, Node, Problems, Table, Value};
use super::super::values;
use super::super::{Attribute, Baseline, Source};
use super::agreement::{Setting, known_source, place_of};
use super::source;
use crate::sql::Scalar;

/// What an attribute says of where its value comes from.
pub(super) fn check_origin(
    entry: &Entry,
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Origin {
    let Some(own) = entry.node.table() else { return Origin::default() };
    if let (Some(_), Some(derive)) = (own.entry("column"), own.entry("derive")) {
        problems.add(&derive.at, Some(about), "both `column` and `derive` are given, expected one of them", None);
    }
    if let Some(node) = own.node("derive")
        && let Some(Err(said)) = node.text().map(|text| Scalar::parse(&text.text))
    {
        problems.add(&node.at, Some(about), format!("`derive` cannot be used: {said}"), None);
    }
    let owners = check_owners(own, contract, setting, about, problems);
    let lookup =
        own.node("lookup").and_then(|node| check_lookup(node, (&entry.key, own, contract), setting, about, problems));
    if let (Some(_), Some(owner)) = (own.entry("lookup"), own.entry("owner")) {
        let message =
            "both `owner` and `lookup` are given: what is looked up is owned by the source it is looked up in";
        problems.add(&owner.at, Some(about), message, Some("take `owner` out".to_owned()));
    }
    let is_key = contract.texts("key").iter().any(|(name, _)| *name == entry.key);
    let has_key = !matches!(contract.node("key").map(|node| &node.value), Some(Value::List(nodes)) if nodes.is_empty());
    for option in ["derive", "lookup"] {
        if is_key && own.entry(option).is_some() {
            let message = format!("`{option}` on a key attribute: the contract's authority decides which keys exist");
            problems.add(place_of(entry, option), Some(about), message, None);
        }
    }
    if is_key && !owners.is_empty() {
        let message = "a key attribute has no other owner: the contract's authority decides which keys exist";
        problems.add(place_of(entry, "owner"), Some(about), message, Some("take `owner` out".to_owned()));
    } else if !has_key && !owners.is_empty() {
        let message = "another owner without a key: its rows could not be joined";
        problems.add(place_of(entry, "owner"), Some(about), message, Some("name a key".to_owned()));
    }
    let columns = check_columns(own, contract, setting, about, problems);
    Origin { owners, columns, derive: own.text("derive").map(|text| text.text.clone()), lookup }
}

/// `column = { SOURCE = "column" }`.
fn check_columns(
    own: &Table,
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<String>> {
    let Some(table) = own.table("column") else { return BTreeMap::new() };
    let mut columns = BTreeMap::new();
    for entry in &table.0 {
        let name = Node::text_at(&entry.at, &entry.key);
        let is = |role: &str| contract.text(role).is_some_and(|text| text.text == entry.key);
        if is("projection") && !is("authority") {
            let message = format!("column names \"{}\", which is the projection", entry.key);
            problems.add(&entry.at, Some(about), message, Some("use `projected_as` for it".to_owned()));
        } else if known_source(&name, "column names a source that is not declared,", setting, about, problems)
            && let Ok(path) = values::path(&entry.node)
        {
            columns.insert(entry.key.clone(), path);
        }
    }
    columns
}

/// The column at the contract's authority.
pub(super) fn authority_column(own: &Table, contract: &Table, name: &str) -> Vec<String> {
    let default = || vec![name.to_owned()];
    let Some(node) = own.node("column") else { return default() };
    if let Some(table) = node.table() {
        let authority = contract.text("authority").and_then(|authority| table.node(&authority.text));
        return authority.and_then(|node| values::path(node).ok()).unwrap_or_else(default);
    }
    values::path(node).unwrap_or_else(|_| default())
}

/// `owner`: a source, or several with the instants at which one follows the other.
fn check_owners(
    own: &Table,
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Vec<Tenure> {
    let Some(node) = own.node("owner") else { return Vec::new() };
    if let Value::List(nodes) = &node.value {
        return check_tenures(nodes, contract, setting, about, problems);
    }
    let is_authority = |name: &str| contract.text("authority").is_some_and(|authority| authority.text == name);
    let tenure = owner_source(node, contract, setting, about, problems);
    let tenure = tenure.filter(|source| !is_authority(&source.name));
    tenure.map(|source| Tenure { source, until: None }).into_iter().collect()
}

fn owner_source(
    node: &Node,
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Option<Arc<Source>> {
    let owner = node.text()?;
    let is = |role: &str| contract.text(role).is_some_and(|source| source.text == owner.text);
    let known = known_source(node, "owner", setting, about, problems);
    if known && is("projection") && !is("authority") {
        let message = format!("owner \"{}\" is the projection, which owns nothing", owner.shown());
        problems.add(&node.at, Some(about), message, Some("name an authority source".to_owned()));
        return None;
    }
    zoned(contract, setting, &owner.text)
}

/// A source with the contract's zone, where it says none itself.
pub(super) fn zoned(contract: &Table, setting: &Setting<'_>, name: &str) -> Option<Arc<Source>> {
    let zone = contract.node("timezone").and_then(|node| values::zone(node).ok());
    let declared = setting.declared.iter().find(|entry| entry.key == name);
    let own_zone = declared.and_then(|entry| entry.node.table()?.node("timezone"));
    let source = setting.sources.get(name)?;
    // The zone of `[defaults]` is in the source already; a contract's own goes before it, a source's own before both.
    if zone.is_none() || own_zone.is_some() {
        return Some(Arc::clone(source));
    }
    Some(Arc::new(Source { timezone: zone, ..Source::clone(source) }))
}

/// `owner = [{ source, until }, { source, from, until }, …, { source, from }]`, without gap or overlap.
fn check_tenures(
    nodes: &[Node],
    contract: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Vec<Tenure> {
    let mut tenures: Vec<Tenure> = Vec::new();
    // One alone was complained about already.
    if nodes.len() < 2 {
        return tenures;
    }
    let mut held: Option<Timestamp> = None;
    for (index, node) in nodes.iter().enumerate() {
        let Some(table) = node.table() else { continue };
        let Some(source) = table.node("source") else { continue };
        let source = owner_source(source, contract, setting, about, problems);
        let mut instant = |key: &str| instant(table, key, contract, about, problems);
        let (from, until) = (instant("from"), instant("until"));
        let place = if index == 0 {
            Turn::First
        } else if index + 1 == nodes.len() {
            Turn::Last
        } else {
            Turn::Between
        };
        if let Some((message, hint)) = wrong_turn(table, place, (from, until), held) {
            problems.add(&node.at, Some(about), message, Some(hint.to_owned()));
        }
        held = until;
        tenures.extend(source.map(|source| Tenure { source, until }));
    }
    tenures
}

/// Where an owner stands among several.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    Between,
    Last,
}

/// What is wrong with an owner's time, after one whose time ends at `held`.
fn wrong_turn(
    table: &Table,
    turn: Turn,
    (from, until): (Option<Timestamp>, Option<Timestamp>),
    held: Option<Timestamp>,
) -> Option<(String, &'static str)> {
    const MEET: &str = "let `from` be the `until` of the owner before it";
    let says = |key: &str| table.node(key).is_some();
    if turn == Turn::First && says("from") {
        let message = "the first owner has a `from`, and nobody owns the attribute before it".to_owned();
        return Some((message, "take `from` out, or name the owner before it"));
    }
    if turn != Turn::First && !says("from") {
        return Some(("this owner has no `from`".to_owned(), "write the instant at which the owner before it ends"));
    }
    if turn == Turn::Last && says("until") {
        let message = "the last owner has an `until`, and nobody owns the attribute after it".to_owned();
        return Some((message, "take `until` out, or name the owner after it"));
    }
    if turn != Turn::Last && !says("until") {
        return Some(("this owner has no `until`".to_owned(), "write the instant at which the next owner begins"));
    }
    if let (Some(from), Some(held)) = (from, held)
        && from != held
    {
        let message = if from > held {
            format!("nobody owns the attribute from {held} to {from}")
        } else {
            format!("two sources own the attribute from {from} to {held}")
        };
        return Some((message, MEET));
    }
    let until = until.filter(|until| from.or(held).is_some_and(|from| from >= *until))?;
    let message = format!("this owner's time ends at {until}, before it begins");
    Some((message, "write the owners in the order of time"))
}

fn instant(table: &Table, key: &str, contract: &Table, about: &str, problems: &mut Problems) -> Option<Timestamp> {
    let node = table.node(key)?;
    let zone = contract.node("timezone").and_then(|node| values::zone(node).ok());
    let text = match &node.value {
        Value::Text(text) => &text.text,
        Value::Datetime(text) => text,
        _ => return None,
    };
    source::instant(text, zone.as_ref())
        .map_err(|what| {
            let message = format!("{key} is {}, {what}", node.seen());
            let hint = "write a time with its zone, such as \"2026-01-31T23:00:00Z\"".to_owned();
            problems.add(&node.at, Some(about), message, Some(hint));
        })
        .ok()
}

/// `lookup = { source, on, column }`.
fn check_lookup(
    node: &Node,
    (name, own, contract): (&str, &Table, &Table),
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Option<Lookup> {
    let table = node.table()?;
    shape::check_required(table, &raw::LOOKUP, &node.at, Some(about), problems);
    if let Some(column) = own.entry("column") {
        let message = "both `column` and `lookup` are given, expected one of them";
        let hint = "the column that is looked up is `lookup.column`, the column that it is found by `lookup.on`";
        problems.add(&column.at, Some(about), message, Some(hint.to_owned()));
    }
    if let (Some(column), Some(_)) = (table.entry("column"), own.entry("derive")) {
        problems.add(
            &column.at,
            Some(about),
            "both `lookup.column` and `derive` are given, expected one of them",
            None,
        );
    }
    let source = table.node("source")?;
    if !known_source(source, "lookup source", setting, about, problems) {
        return None;
    }
    let source = zoned(contract, setting, &source.text()?.text)?;
    let on = match &table.node("on")?.value {
        Value::Text(text) => vec![(text.text.clone(), text.text.clone())],
        Value::Table(pairs) => {
            pairs.0.iter().filter_map(|pair| Some((pair.key.clone(), pair.node.text()?.text.clone()))).collect()
        }
        _ => return None,
    };
    let column = table.node("column").and_then(|node| values::path(node).ok());
    Some(Lookup { source, on, column: column.unwrap_or_else(|| vec![name.to_owned()]) })
}

/// The sources that an attribute names.
pub(super) fn sources_named(node: &Node) -> Vec<&String> {
    let Some(own) = node.table() else { return Vec::new() };
    let lookup = own.table("lookup").and_then(|lookup| lookup.text("source"));
    let tenures = match own.node("owner").map(|node| &node.value) {
        Some(Value::List(nodes)) => nodes.iter().filter_map(|node| node.table()?.text("source")).collect(),
        Some(Value::Text(text)) => vec![text],
        _ => Vec::new(),
    };
    tenures.into_iter().chain(lookup).map(|text| &text.text).collect()
}

/// The sources that a contract reads besides its two.
pub(super) fn others<'s>(
    attributes: &'s [Attribute],
    crosswalk: Option<&'s Crosswalk>,
    baseline: Option<&'s Baseline>,
) -> impl Iterator<Item = &'s Arc<Source>> {
    let of_attribute = |attribute: &'s Attribute| {
        let owners = attribute.origin.owners.iter().map(|tenure| &tenure.source);
        owners.chain(attribute.origin.lookup.as_ref().map(|lookup| &lookup.source))
    };
    attributes
        .iter()
        .flat_map(of_attribute)
        .chain(crosswalk.map(|crosswalk| &crosswalk.source))
        .chain(baseline.map(|baseline| &baseline.source))
}
