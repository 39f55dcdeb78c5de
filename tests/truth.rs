//! What a database hides, cuts short or makes up anew is never taken for agreement: each case once said "agreed".

use crate::support::Workspace;

/// Settings and privileges of MySQL and MariaDB.
#[cfg(feature = "mysql")]
mod mysql;
/// Policies, privileges, sessions and replicas of PostgreSQL.
#[cfg(feature = "postgres")]
mod postgres;
/// What SQLite leaves to who reads it.
#[cfg(feature = "sqlite")]
mod sqlite;

/// A contract `pair` with two sources, each given by its lines, and with lines of its own.
fn contract(workspace: &Workspace, sides: [&str; 2], lines: &str) {
    let [authority, projection] = sides;
    let text = format!(
        "version = 1\n[source.authority]\n{authority}\n[source.projection]\n{projection}\n[contract.pair]\n\
         version = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"projection\"\nkey = [\"id\"]\n{lines}\n"
    );
    workspace.file("reconcile.toml", &text);
}
