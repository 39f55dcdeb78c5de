//! Checks rules, control totals, invariants and what a row is worth. Predicates are parsed here, so that a slip in SQL is
//! said with its place before any row is read; whether a source has the columns is known when it is opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::super::raw::nearest;
use super::super::shape::subject;
use super::super::tree::{Node, Problems, Table, Value};
use super::super::{Attribute, Controls, DIVERGENCE_COLUMNS, Invariant, LogicalType, Rule, Total};
use super::agreement::severity_at;
use crate::sides::Side;
use crate::sql::Predicate;

/// Checks everything that a contract asks for beside the comparison of its rows.
pub(super) fn check_controls(
    table: &Table,
    key: &[String],
    attributes: &[Attribute],
    about: &str,
    problems: &mut Problems,
) -> Controls {
    let declared_only = table.text("compare").is_some_and(|text| text.text == "declared");
    let known = Known { key, attributes, declared_only };
    let rules = each(table, "rule", about, problems, check_rule);
    let totals = each(table, "total", about, problems, |own, name, about, problems| {
        let texts = |key: &str| own.texts(key).into_iter().map(|(text, _)| text.to_owned()).collect();
        known.check_list(own, "by", about, problems);
        known.check_list(own, "sum", about, problems);
        Some(Total { name, by: texts("by"), sum: texts("sum"), severity: severity_at(own, "severity") })
    });
    let invariants = each(table, "invariant", about, problems, check_invariant);
    let value_at_risk = table.node("value_at_risk").and_then(|node| {
        let text = node.text()?;
        known.check(node, &text.text, "value_at_risk", true, about, problems);
        Some(text.text.clone())
    });
    Controls { rules, totals, invariants, value_at_risk }
}

/// Makes one thing of each table of an array; names are not empty, and used once.
fn each<T>(
    table: &Table,
    key: &str,
    about: &str,
    problems: &mut Problems,
    mut make: impl FnMut(&Table, String, &str, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let Some(Value::List(nodes)) = table.node(key).map(|node| &node.value) else { return Vec::new() };
    let mut names = BTreeSet::new();
    let mut made = Vec::new();
    for own in nodes.iter().filter_map(Node::table) {
        // A name is written to reports, so what came from the environment does not go into it.
        let (Some(node), Some(name)) = (own.node("name"), own.text("name").map(|text| text.shown().to_owned())) else {
            continue;
        };
        let about = subject(Some(about), key, &name);
        if name.is_empty() {
            problems.add(&node.at, Some(&about), format!("a {key} needs a name"), None);
        } else if !names.insert(name.clone()) {
            problems.add(&node.at, Some(&about), "the name is taken by an earlier one", None);
        }
        made.extend(make(own, name, &about, problems));
    }
    made
}

fn check_rule(own: &Table, name: String, about: &str, problems: &mut Problems) -> Option<Rule> {
    let node = own.node("when")?;
    let when = predicate(node, about, problems)?;
    for column in when.columns() {
        if column == "cause" {
            let message = "`when` names `cause`, which is found only after severities are set";
            problems.add(&node.at, Some(about), message, None);
        } else if !DIVERGENCE_COLUMNS.contains(&column.as_str()) {
            let hint = nearest(column, DIVERGENCE_COLUMNS).map(|near| format!("did you mean \"{near}\"?"));
            let columns = DIVERGENCE_COLUMNS.iter().filter(|name| **name != "cause").copied().collect::<Vec<_>>();
            let message =
                format!("`when` names no column `{column}` of divergences (columns are: {})", columns.join(", "));
            problems.add(&node.at, Some(about), message, hint);
        } else {
            continue;
        }
        return None;
    }
    // One line of texts tells whether the types fit.
    let text = |name: &str| (name.to_owned(), Arc::new(StringArray::from(vec!["1"])) as ArrayRef);
    let line = RecordBatch::try_from_iter(DIVERGENCE_COLUMNS.map(text)).expect("columns of one line");
    if let Err(said) = when.mask(&line) {
        let hint = "columns of divergences are texts: write `cast(authority_value as double)`".to_owned();
        problems.add(&node.at, Some(about), format!("`when`: {said}"), Some(hint));
        return None;
    }
    Some(Rule { name: name.into(), when, severity: severity_at(own, "severity")? })
}

fn check_invariant(own: &Table, name: String, about: &str, problems: &mut Problems) -> Option<Invariant> {
    let when = predicate(own.node("when")?, about, problems)?;
    let sides = match own.text("side")?.text.as_str() {
        "authority" => vec![Side::Authority],
        "projection" => vec![Side::Projection],
        _ => Side::BOTH.to_vec(),
    };
    Some(Invariant { name, sides, when, severity: severity_at(own, "severity")? })
}

fn predicate(node: &Node, about: &str, problems: &mut Problems) -> Option<Predicate> {
    let text = node.text()?;
    let parsed = Predicate::parse(&text.text);
    let hidden = |said: String| super::predicates::hidden(text, said);
    parsed
        .map_err(|said| problems.add(&node.at, Some(about), format!("`when` cannot be used: {}", hidden(said)), None))
        .ok()
}

/// The attributes that a contract names.
struct Known<'a> {
    key: &'a [String],
    attributes: &'a [Attribute],
    declared_only: bool,
}

impl Known<'_> {
    /// Checks the attributes that a list names.
    fn check_list(&self, own: &Table, key: &str, about: &str, problems: &mut Problems) {
        let Some(Value::List(nodes)) = own.node(key).map(|node| &node.value) else { return };
        let mut seen = BTreeSet::new();
        for node in nodes {
            let Some(text) = node.text() else { continue };
            if seen.insert(&text.text) {
                self.check(node, &text.text, key, key == "sum", about, problems);
            } else {
                problems.add(&node.at, Some(about), format!("`{key}` names \"{}\" twice", text.shown()), None);
            }
        }
    }

    /// Checks one attribute: known where that can be told already, a number where it is summed, and not personal, since what
    /// is written of it cannot be masked.
    fn check(&self, node: &Node, name: &str, key: &str, summed: bool, about: &str, problems: &mut Problems) {
        let declared = self.attributes.iter().find(|attribute| attribute.name == name);
        if self.declared_only && declared.is_none() && !self.key.iter().any(|held| held == name) {
            let names = self.key.iter().chain(self.attributes.iter().map(|attribute| &attribute.name));
            let hint = nearest(name, names.map(String::as_str)).map(|near| format!("did you mean \"{near}\"?"));
            let message = format!("`{key}` names \"{name}\", which the contract does not compare");
            problems.add(&node.at, Some(about), message, hint);
        }
        let Some(declared) = declared else { return };
        if declared.pii.is_some() {
            let message = format!("`{key}` names \"{name}\", whose values are personal (pii) and would be written");
            problems.add(&node.at, Some(about), message, None);
        }
        let number = declared.options.logical_type.is_none_or(|logical_type| {
            use LogicalType::{Decimal, Float32, Float64, Integer};
            matches!(logical_type, Integer { .. } | Float32 | Float64 | Decimal(_))
        });
        if summed && !number {
            let message = format!("`{key}` names \"{name}\", whose type is no number");
            problems.add(&node.at, Some(about), message, Some("give it a numeric `type`".to_owned()));
        }
    }
}
