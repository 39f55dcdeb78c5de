//! Checks what a source says of a database: which rows, with which password, how gently.

use super::super::tree::{Place, Problems, Table};
use super::super::values;
use super::super::{Database, Limits, PushDown, Rows};

/// The keys that say nothing of files.
pub(super) const KEYS: [&str; 9] = [
    "table",
    "query",
    "password_file",
    "max_connections",
    "max_rows_per_second",
    "statement_timeout",
    "max_duration",
    "pushdown",
    "pause_if",
];

/// Completes what the location began; `at` is where it stands. None where a problem was found.
pub(super) fn complete(
    database: &mut Database,
    table: &Table,
    at: &Place,
    about: &str,
    problems: &mut Problems,
) -> Option<()> {
    let named = matches!(&database.rows, Rows::Table(name) if !name.is_empty());
    match (table.text("table"), table.entry("query").and_then(|query| Some((query, query.node.text()?)))) {
        (Some(_), Some((query, _))) => {
            problems.add(&query.at, Some(about), "both `table` and `query` are given, expected one of them", None);
            return None;
        }
        (Some(name), None) => database.rows = Rows::Table(name.text.clone()),
        (None, Some((_, query))) => database.rows = Rows::Query(query.text.clone()),
        (None, None) if named => {}
        (None, None) => {
            let message = format!("neither `table` nor `query` says what is read of {}", database.system.called());
            problems.add(at, Some(about), message, Some("for instance table = \"public.orders\"".to_owned()));
            return None;
        }
    }
    let count = |key: &str| table.node(key).and_then(|node| values::count(node, u64::MAX).ok());
    let span = |key: &str| table.node(key).and_then(|node| values::span(node).ok());
    database.limits = Limits {
        max_connections: count("max_connections").and_then(|count| usize::try_from(count).ok()),
        max_rows_per_second: count("max_rows_per_second"),
        statement_timeout: span("statement_timeout"),
        max_duration: span("max_duration"),
        pushdown: table.text("pushdown").and_then(|name| PushDown::named(&name.text)).unwrap_or_default(),
    };
    database.password_file =
        table.node("password_file").and_then(|node| Some(values::resolved(node, &node.text()?.text)));
    Some(())
}
