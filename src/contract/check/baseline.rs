//! Checks `baseline`, the old copy, and by what names the columns of both copies go.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::tree::{Node, Problems, Table, Value};
use super::super::values;
use super::super::{Attribute, Baseline, Source};
use super::agreement::{Setting, known_source, place_of};
use super::ownership::zoned;
use crate::contract::shape::subject;

/// An attribute's column at the copy that a key of the contract names: `projection` or `baseline`.
pub(super) fn projected_as(own: &Table, contract: &Table, copy: &str, name: &str) -> Vec<String> {
    let default = || vec![name.to_owned()];
    let Some(node) = own.node("projected_as") else { return default() };
    let node = match node.table() {
        None => Some(node),
        Some(columns) => contract.text(copy).and_then(|source| columns.node(&source.text)),
    };
    node.and_then(|node| values::path(node).ok()).unwrap_or_else(default)
}

/// The old copy, where the contract has one.
pub(super) fn check_baseline(
    table: &Table,
    attributes: &[Attribute],
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Option<Baseline> {
    check_copies(table, about, problems);
    let node = table.node("baseline")?;
    let source = source(node, table, setting, about, problems);
    if matches!(table.node("key").map(|node| &node.value), Some(Value::List(nodes)) if nodes.is_empty()) {
        let message = "a baseline without a key: nobody could tell which row of one copy is which of the other";
        problems.add(&node.at, Some(about), message, Some("name a key, or take `baseline` out".to_owned()));
    }
    let empty = Table::default();
    let entries = &table.table("attribute").unwrap_or(&empty).0;
    let mut columns = BTreeMap::new();
    for attribute in attributes {
        let own = entries.iter().find(|entry| entry.key == attribute.name).and_then(|entry| entry.node.table());
        let path = own.map(|own| projected_as(own, table, "baseline", &attribute.name));
        columns.insert(attribute.name.clone(), path.unwrap_or_else(|| vec![attribute.name.clone()]));
    }
    one_column_each(table, &columns, about, problems);
    Some(Baseline { source: source?, projected_as: columns })
}

fn source(
    node: &Node,
    table: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
) -> Option<Arc<Source>> {
    let name = node.text()?;
    if !known_source(node, "baseline", setting, about, problems) {
        return None;
    }
    let is = |role: &str| table.text(role).is_some_and(|source| source.text == name.text);
    let says =
        [("projection", "it would differ from itself in nothing"), ("authority", "it would be right about everything")];
    if let Some((role, why)) = says.into_iter().find(|(role, _)| is(role)) {
        let message = format!("baseline \"{}\" is the {role}: {why}", name.shown());
        problems.add(&node.at, Some(about), message, Some("name the old copy that is replaced".to_owned()));
        return None;
    }
    zoned(table, setting, &name.text)
}

/// `projected_as = { COPY = … }` names the two copies and nothing else.
fn check_copies(table: &Table, about: &str, problems: &mut Problems) {
    let copies: Vec<&str> =
        ["projection", "baseline"].into_iter().filter_map(|role| Some(table.text(role)?.text.as_str())).collect();
    for entry in table.table("attribute").into_iter().flat_map(|attributes| &attributes.0) {
        let columns = entry.node.table().and_then(|own| own.table("projected_as"));
        for column in columns.into_iter().flat_map(|columns| &columns.0) {
            if !copies.contains(&column.key.as_str()) {
                let about = subject(Some(about), "attribute", &entry.key);
                let message =
                    format!("projected_as names \"{}\", which is neither the projection nor the baseline", column.key);
                problems.add(&column.at, Some(&about), message, Some(format!("copies are: {}", copies.join(", "))));
            }
        }
    }
}

/// A column of the old copy belongs to one attribute. What holds for both copies was complained about already.
fn one_column_each(table: &Table, columns: &BTreeMap<String, Vec<String>>, about: &str, problems: &mut Problems) {
    let empty = Table::default();
    let entries = &table.table("attribute").unwrap_or(&empty).0;
    let mut claimed: BTreeMap<Vec<String>, String> = BTreeMap::new();
    for (name, _) in table.texts("key") {
        if !columns.contains_key(name) {
            claimed.insert(vec![name.to_owned()], name.to_owned());
        }
    }
    // Those that keep their name claim first, so that the complaint is about the one that says another.
    let renamed = |(name, path): &(&String, &Vec<String>)| path[..] != [(*name).clone()];
    let kept = columns.iter().filter(|one| !renamed(one));
    for (name, path) in kept.chain(columns.iter().filter(renamed)) {
        let Some(other) = claimed.get(path) else {
            claimed.insert(path.clone(), name.clone());
            continue;
        };
        let Some(entry) = entries.iter().find(|entry| entry.key == *name) else { continue };
        if entry.node.table().is_some_and(|own| own.table("projected_as").is_some()) {
            let column = path.join(".");
            let message =
                format!("projected_as \"{column}\" of the baseline is the column of attribute \"{other}\" already");
            let about = subject(Some(about), "attribute", name);
            problems.add(place_of(entry, "projected_as"), Some(&about), message, None);
        }
    }
}
