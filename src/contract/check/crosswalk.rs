//! Checks what a contract says of its crosswalk: where it is, and which of its columns are which keys.

use std::sync::Arc;

use super::super::ownership::Crosswalk;
use super::super::raw;
use super::super::shape;
use super::super::tree::{Entry, Node, Problems, Table, Value};
use super::super::values;
use super::super::{Attribute, Source};
use super::agreement::{Setting, known_source, place_of};
use super::ownership::zoned;
use super::source;
use crate::sides::{Side, Sides};

/// `[contract.NAME.crosswalk]`.
pub(super) fn check_crosswalk(
    table: &Table,
    attributes: &[Attribute],
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Option<Crosswalk> {
    let entry = table.entry("crosswalk")?;
    let own = entry.node.table()?;
    let of_contract = about;
    let about = format!("{about}, crosswalk");
    shape::check_required(own, &raw::CROSSWALK, &entry.at, Some(&about), problems);
    let source = where_it_is((entry, own), table, setting, &about, problems, warnings);
    let key = table.texts("key").len();
    if key == 0 {
        let message = "a crosswalk without a key: there is nothing to map";
        problems.add(&entry.at, Some(&about), message, Some("name a key, or take `crosswalk` out".to_owned()));
        return None;
    }
    let columns = Sides::from_fn(|side| columns(own, side));
    for (side, columns) in columns.iter() {
        let name = option(side);
        let (Some(columns), Some(node)) = (columns, own.node(name)) else { continue };
        if node.table().is_none() && columns.len() != key {
            let message = format!(
                "{name} names {}, and the key has {}; expected one for each, in the order of the key",
                counted(columns.len(), "column"),
                counted(key, "attribute")
            );
            let hint = (side == Side::Authority).then(|| {
                "where the authority's key has other columns, write { own_column = \"column\", … }".to_owned()
            });
            problems.add(&node.at, Some(&about), message, hint);
        }
    }
    let own_columns = own.table(option(Side::Authority));
    let own_columns = own_columns.map(|own| own.0.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>());
    if own_columns.is_some() {
        owners_by_own_columns(table, attributes, of_contract, problems);
    }
    let Sides { authority, projection } = columns;
    Some(Crosswalk {
        source: source?,
        own: own_columns,
        columns: Sides { authority: authority?, projection: projection? },
    })
}

fn option(side: Side) -> &'static str {
    match side {
        Side::Authority => "authority_column",
        Side::Projection => "projection_column",
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The crosswalk's columns of a side's keys; None where what is written is none.
fn columns(own: &Table, side: Side) -> Option<Vec<String>> {
    let text = |node: &Node| node.text().map(|text| text.text.clone());
    match &own.node(option(side))?.value {
        Value::Text(one) => Some(vec![one.text.clone()]),
        Value::List(nodes) => nodes.iter().map(text).collect(),
        Value::Table(pairs) if side == Side::Authority => pairs.0.iter().map(|pair| text(&pair.node)).collect(),
        _ => None,
    }
}

/// A source, or a location of its own.
fn where_it_is(
    (entry, own): (&Entry, &Table),
    table: &Table,
    setting: &Setting<'_>,
    about: &str,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Option<Arc<Source>> {
    match (own.node("source"), own.node("location")) {
        (Some(node), None) => {
            known_source(node, "source", setting, about, problems).then_some(())?;
            zoned(table, setting, &node.text()?.text)
        }
        (None, Some(_)) => {
            let options = own.0.iter().filter(|entry| ["location", "format", "csv"].contains(&entry.key.as_str()));
            let node = Node { at: entry.at.clone(), value: Value::Table(Table(options.cloned().collect())) };
            let made = Entry { key: "crosswalk".to_owned(), at: entry.at.clone(), node };
            let zone = table.node("timezone").and_then(|node| values::zone(node).ok());
            source::check_source(&made, zone.as_ref(), problems, warnings).map(Arc::new)
        }
        _ => {
            let message = "expected either `source` or `location`: where the keys are mapped";
            problems.add(&entry.at, Some(about), message, None);
            None
        }
    }
}

/// Other owners are joined by the attributes of the key, which the authority then does not hold.
fn owners_by_own_columns(table: &Table, attributes: &[Attribute], about: &str, problems: &mut Problems) {
    for attribute in attributes.iter().filter(|attribute| !attribute.origin.owners.is_empty()) {
        let entries = table.table("attribute").into_iter().flat_map(|attributes| &attributes.0);
        let Some(entry) = entries.into_iter().find(|entry| entry.key == attribute.name) else { continue };
        let message = "another owner, and a crosswalk whose `authority_column` is a table: the authority does not hold the key's attributes, by which the owner's rows would be joined";
        let hint = "look it up by the authority's own columns: lookup = { source, on, column }".to_owned();
        let about = shape::subject(Some(about), "attribute", &attribute.name);
        problems.add(place_of(entry, "owner"), Some(&about), message, Some(hint));
    }
}
