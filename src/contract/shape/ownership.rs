//! The shapes of what says who owns an attribute: owners, columns by source, columns that are joined.

use super::super::raw::{Section, Shape};
use super::super::tree::{Node, Problems, Value};
use super::super::values::{self, Complaint};
use super::{check_required, check_table, complain};

/// A column, or a table of columns by source.
pub(super) fn check_columns(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    match node.table() {
        Some(table) => {
            for entry in &table.0 {
                if let Err(complaint) = values::path(&entry.node) {
                    complain(&entry.node, &format!("{name}.{}", entry.key), &complaint, about, problems);
                }
            }
            if table.0.is_empty() {
                problems.add(&node.at, about, format!("`{name}` is empty, expected {{ SOURCE = \"column\" }}"), None);
            }
        }
        None => {
            if let Err(complaint) = values::path(node) {
                complain(node, name, &complaint, about, problems);
            }
        }
    }
}

/// A source, or several owners one after the other.
pub(super) fn check_owners(node: &Node, section: &'static Section, about: Option<&str>, problems: &mut Problems) {
    let expected = |expected: &str| Complaint { expected: expected.to_owned(), hint: None };
    let Value::List(nodes) = &node.value else {
        if node.text().is_none() {
            complain(
                node,
                "owner",
                &expected("expected a source, or an array of { source, from, until }"),
                about,
                problems,
            );
        }
        return;
    };
    if nodes.iter().any(|node| node.text().is_some()) {
        let message = "owner is an array of sources, expected one source: an attribute has one owner, never two";
        let hint =
            "where it changes, say when: owner = [{ source = \"…\", until = \"…\" }, { source = \"…\", from = \"…\" }]";
        return problems.add(&node.at, about, message, Some(hint.to_owned()));
    }
    if nodes.len() < 2 {
        let message =
            format!("owner is an array of {}, expected at least two owners, one after the other", nodes.len());
        return problems.add(
            &node.at,
            about,
            message,
            Some("write owner = \"SOURCE\" where it never changes".to_owned()),
        );
    }
    for node in nodes {
        match node.table() {
            Some(table) => {
                check_table(table, section, about, "owner.", problems);
                check_required(table, section, &node.at, about, problems);
            }
            None => complain(node, "owner", &expected("expected { source, from, until }"), about, problems),
        }
    }
}

/// A column that both have, or a table of one column to the other.
pub(super) fn check_on(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    let complaint = Complaint {
        expected: "expected a column, or a table of the authority's column to the source's".to_owned(),
        hint: Some("write { customer_id = \"id\" }".to_owned()),
    };
    match &node.value {
        Value::Text(_) => {}
        Value::Table(table) if !table.0.is_empty() => {
            for entry in table.0.iter().filter(|entry| entry.node.text().is_none()) {
                complain(&entry.node, &format!("{name}.{}", entry.key), &complaint, about, problems);
            }
        }
        _ => complain(node, name, &complaint, about, problems),
    }
}

/// The columns of a crosswalk: one, one for each attribute of the key, or a table of one column to the other.
pub(super) fn check_crossed(node: &Node, name: &str, shape: Shape, about: Option<&str>, problems: &mut Problems) {
    let (expected, hint) = match shape {
        Shape::Crossed => (
            "expected a column, an array of columns, or a table of the authority's columns to the crosswalk's",
            "write one column for each attribute of the key, in its order, or { own_column = \"column\" }",
        ),
        _ => (
            "expected a column, or an array of columns",
            "write one column for each attribute of the key, in its order",
        ),
    };
    let complaint = Complaint { expected: expected.to_owned(), hint: Some(hint.to_owned()) };
    match &node.value {
        Value::Text(_) => {}
        Value::List(nodes) if !nodes.is_empty() => {
            for (index, node) in nodes.iter().enumerate().filter(|(_, node)| node.text().is_none()) {
                complain(node, &format!("{name}[{index}]"), &complaint, about, problems);
            }
        }
        Value::Table(table) if !table.0.is_empty() && matches!(shape, Shape::Crossed) => {
            for entry in table.0.iter().filter(|entry| entry.node.text().is_none()) {
                complain(&entry.node, &format!("{name}.{}", entry.key), &complaint, about, problems);
            }
        }
        _ => complain(node, name, &complaint, about, problems),
    }
}

/// A time, whose zone is known only in `check`.
pub(super) fn check_instant(node: &Node, name: &str, about: Option<&str>, problems: &mut Problems) {
    if !matches!(node.value, Value::Text(_) | Value::Datetime(_)) {
        let complaint = Complaint { expected: "expected a time".to_owned(), hint: None };
        complain(node, name, &complaint, about, problems);
    }
}
