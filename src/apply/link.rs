//! A connection that repairs: statements as text, answers as text, one session to the end. One file a system; what a build
//! leaves out is said. It decides nothing about rows.

use crate::contract::{Database, Rows, System};

use super::table::Table;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// What a server refused or could not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// Its code, which says nothing of any value.
    pub code: String,
    /// What it said, which may name values.
    pub message: String,
    /// The connection is gone or of no further use.
    pub lost: bool,
}

/// Codes of what passes when the whole transaction is tried again: a deadlock, another transaction that came first.
const PASSING: [&str; 4] = ["40001", "40P01", "1213", "1020"];

/// Codes of statements that were ended because they took too long: a lock that somebody else holds, a limit, a person.
const SLOW: [&str; 6] = ["55P03", "57014", "1205", "1317", "1969", "3024"];

impl Refused {
    /// Whether the same transaction may go through a little later.
    #[must_use]
    pub fn passes(&self) -> bool {
        PASSING.contains(&self.code.as_str())
    }

    /// Whether the statement took too long.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        SLOW.contains(&self.code.as_str())
    }
}

/// A row as text, None for NULL.
pub type Answer = Vec<Option<String>>;

/// A session of a target.
pub trait Link {
    /// Carries out a statement that answers nothing.
    ///
    /// # Errors
    /// What the server refused.
    fn run(&mut self, sql: &str) -> Result<(), Refused>;

    /// Carries out a statement that writes, and gives how many rows it wrote.
    ///
    /// # Errors
    /// What the server refused.
    fn write(&mut self, sql: &str) -> Result<u64, Refused>;

    /// Carries out a query. All of it is held, so it is for few rows.
    ///
    /// # Errors
    /// What the server refused.
    fn rows(&mut self, sql: &str) -> Result<Vec<Answer>, Refused>;

    /// What the catalog says of a table; `written` is its name as users write it.
    ///
    /// # Errors
    /// That there is no such table, or what the server refused.
    fn table(&mut self, written: &str) -> Result<Table, Refused>;

    /// Takes the target for this session alone among all repairs; false where another has it.
    ///
    /// # Errors
    /// What the server refused.
    fn take(&mut self) -> Result<bool, Refused>;

    /// Gives it back, before the session ends. That it cannot be is no news: it goes with the session.
    fn release(&mut self) {}

    /// What begins a transaction in which repairs are written.
    fn begin(&self) -> &'static [&'static str];

    /// The number of the transaction that was begun, where the server can be asked later what came of it.
    ///
    /// # Errors
    /// What the server refused.
    fn transaction(&mut self) -> Result<Option<String>, Refused> {
        Ok(None)
    }

    /// Whether the transaction of a number is durable; None where the server does not know.
    ///
    /// # Errors
    /// What the server refused.
    fn fate(&mut self, _transaction: &str) -> Result<Option<bool>, Refused> {
        Ok(None)
    }
}

/// What a session begins with, so that literals mean what they say whatever the server's settings are. The same lines begin
/// `plan.sql`.
#[must_use]
pub fn preamble(system: System) -> &'static [&'static str] {
    match system {
        System::Postgres => &[
            "SET client_encoding = 'UTF8'",
            "SET standard_conforming_strings = on",
            "SET DateStyle = 'ISO, YMD'",
            "SET IntervalStyle = 'postgres'",
            "SET TimeZone = 'UTC'",
            "SET extra_float_digits = 3",
            "SET bytea_output = 'hex'",
            // Rows that a policy hides are an error, never rows that are not there: the server's own deletes see them.
            "SET row_security = off",
        ],
        System::Mysql => &[
            "SET NAMES utf8mb4",
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ERROR_FOR_DIVISION_BY_ZERO'",
            "SET SESSION time_zone = '+00:00'",
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "SET SESSION foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0, sql_safe_updates = 0",
        ],
        System::Sqlite => &["PRAGMA foreign_keys = ON"],
    }
}

/// Opens a session that may write.
///
/// # Errors
/// A server that cannot be reached or refuses, a build without the system.
pub fn open(database: &Database) -> Result<Box<dyn Link>, Refused> {
    let _ = &database.url;
    match database.system {
        #[cfg(feature = "postgres")]
        System::Postgres => postgres::open(database),
        #[cfg(feature = "mysql")]
        System::Mysql => mysql::open(database),
        #[cfg(feature = "sqlite")]
        System::Sqlite => sqlite::open(database),

        #[cfg(not(all(feature = "postgres", feature = "mysql", feature = "sqlite")))]
        system => Err(Refused {
            code: "build".to_owned(),
            message: format!(
                "this build does not repair {}: build it with the feature `{}`",
                system.called(),
                system.name()
            ),
            lost: true,
        }),
    }
}

/// The table that a plan repairs; None for a query, which has none of its own.
#[must_use]
pub fn repaired(database: &Database) -> Option<&str> {
    match &database.rows {
        Rows::Table(written) => Some(written),
        Rows::Query(_) => None,
    }
}

/// A table that is not there.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
fn unknown(written: &str) -> Refused {
    Refused { code: "table".to_owned(), message: format!("there is no table `{written}`"), lost: false }
}
