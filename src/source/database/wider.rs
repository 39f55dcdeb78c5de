//! Columns of which a value was met that their usual type cannot hold (an infinity, NaN, an array of arrays). Who opens the
//! source again gets them in a form that holds every value. Kept for the life of the process, by what identifies the rows.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contract::{Database, Rows};

static MET: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

fn met() -> MutexGuard<'static, BTreeSet<(String, String)>> {
    MET.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What identifies the rows of a database: a digest, so that no password is kept.
pub(super) fn identity(database: &Database) -> String {
    let (kind, rows) = match &database.rows {
        Rows::Table(name) => ("table", name),
        Rows::Query(query) => ("query", query),
    };
    blake3::hash(format!("{}\n{kind}\n{rows}", database.url.reveal()).as_bytes()).to_hex().to_string()
}

/// Remembers a column.
pub(super) fn note(identity: &str, column: &str) {
    met().insert((identity.to_owned(), column.to_owned()));
}

/// Whether a column was remembered.
pub(super) fn knows(identity: &str, column: &str) -> bool {
    met().contains(&(identity.to_owned(), column.to_owned()))
}

/// How many are remembered: more than before means that a source is worth opening again.
pub(in crate::source) fn count() -> usize {
    met().len()
}
