//! The SQL that a source holds, `filter` and `deleted`, so that a slip in it is said with its place before anything is opened.
//! Whether the columns are there is known only with the source.

use super::super::tree::{Problems, Table, Text};
use crate::sql::Predicate;

/// Parses both. `deleted` may be the name of a column, which need not be SQL. The `filter` of a database is in its own dialect
/// and is not ours to parse.
pub(super) fn check(
    table: &Table,
    is_database: bool,
    (about, problems, warnings): (&str, &mut Problems, &mut Problems),
) {
    let parsed = |key: &str| {
        let (node, text) = (table.node(key)?, table.text(key)?);
        Some((node, problem(text)?))
    };
    if let Some((node, said)) = parsed("filter").filter(|_| !is_database) {
        let hint = "a filter is a condition over the source's own columns, like `line = 'motor'`".to_owned();
        problems.add(&node.at, Some(about), format!("`filter` cannot be used: {said}"), Some(hint));
    }
    if let Some((node, said)) = parsed("deleted") {
        let message = format!("`deleted` serves only if it is the name of a column; as SQL it cannot be used: {said}");
        warnings.add(&node.at, Some(about), message, None);
    }
}

/// Why a text is no predicate; without what came from the environment.
fn problem(text: &Text) -> Option<String> {
    let said = Predicate::parse(&text.text).err()?;
    Some(hidden(text, said))
}

/// What was said of a predicate, as it was written where the environment has a part in it.
pub(super) fn hidden(text: &Text, said: String) -> String {
    let written =
        text.written.as_ref().map(|written| format!("`{written}` is no condition once its variables are put in"));
    written.unwrap_or(said)
}
