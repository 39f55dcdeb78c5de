//! Checks what a source says of a database: which rows, with which password, how gently.

use super::super::tree::{Place, Problems, Table};
use super::super::values;
use super::super::{Database, Limits, PauseIf, PushDown, Rows, System};

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
    warnings: &mut Problems,
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
    let asked = table.node("pause_if").and_then(|node| Some((node, node.text()?)));
    let pause_if = asked.and_then(|(_, text)| pause_if(&text.text));
    if let Some((node, _)) = asked.filter(|_| pause_if.is_none()) {
        let message = "`pause_if` is no state of a database, expected `replica_lag > SPAN` or `load > NUMBER`";
        let hint = "for instance pause_if = \"replica_lag > 5s\", or \"load > 8\" (connections at work)";
        problems.add(&node.at, Some(about), message, Some(hint.to_owned()));
        return None;
    }
    if pause_if.is_some() && database.system == System::Sqlite {
        let message = format!("`pause_if` is not told by {}: reading never waits", database.system.called());
        warnings.add(at, Some(about), message, None);
    }
    let span = |key: &str| table.node(key).and_then(|node| values::span(node).ok());
    database.limits = Limits {
        max_connections: count("max_connections").and_then(|count| usize::try_from(count).ok()),
        max_rows_per_second: count("max_rows_per_second"),
        statement_timeout: span("statement_timeout"),
        max_duration: span("max_duration"),
        pushdown: table.text("pushdown").and_then(|name| PushDown::named(&name.text)).unwrap_or_default(),
        pause_if,
    };
    database.password_file =
        table.node("password_file").and_then(|node| Some(values::resolved(node, &node.text()?.text)));
    Some(())
}

/// `replica_lag > 5s`, `load > 8`.
fn pause_if(text: &str) -> Option<PauseIf> {
    let (what, most) = text.split_once('>')?;
    match (what.trim(), most.trim()) {
        ("replica_lag", most) => values::parse_span(most).filter(|span| span.0 > 0).map(PauseIf::ReplicaLag),
        ("load", most) => most.parse().ok().map(PauseIf::Load),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Span;

    #[test]
    fn a_state_to_wait_for_is_a_lag_or_a_load() {
        let cases = [
            ("replica_lag > 5s", Some(PauseIf::ReplicaLag(Span(5_000_000_000)))),
            ("load>8", Some(PauseIf::Load(8))),
            ("load > many", None),
            ("replica_lag > 5", None),
            ("load < 8", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(pause_if(text), expected, "{text}");
        }
    }
}
