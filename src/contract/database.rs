//! A table or query of a database, as a location: what is asked of the server, and how gently. Connects to nothing, and
//! shows no secret.

use std::fmt;
use std::path::PathBuf;

use super::Span;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

impl System {
    /// As URLs and Cargo features name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Sqlite => "sqlite",
        }
    }

    /// As sentences name it.
    #[must_use]
    pub fn called(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MySQL or MariaDB",
            Self::Sqlite => "SQLite",
        }
    }
}

/// Rows that a database serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Which system answers.
    pub system: System,
    /// The URL as given, with user and password; for SQLite the path of the file. Never shown.
    pub url: Secret,
    /// The location without any secret: no user information and no query string.
    pub shown: String,
    /// What is read.
    pub rows: Rows,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// How gently it is read.
    pub limits: Limits,
}

/// What is read of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// A table or view, schema-qualified or not, as the user wrote it.
    Table(String),
    /// The result of a query, in the database's own dialect.
    Query(String),
}

/// How gently a database is read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// The most connections at a time; None: the source's choice.
    pub max_connections: Option<usize>,
    /// The most rows a second, over all connections.
    pub max_rows_per_second: Option<u64>,
    /// The longest that one statement may take.
    pub statement_timeout: Option<Span>,
    /// The longest that the whole reading may take; what is not read then is `unverified`.
    pub max_duration: Option<Span>,
    /// Whether it computes checksums itself.
    pub pushdown: PushDown,
    /// When reading waits.
    pub pause_if: Option<PauseIf>,
}

/// Whether a database computes checksums of its rows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PushDown {
    /// Where that is sooner than reading them.
    #[default]
    Auto,
    /// Where it can.
    Always,
    /// All rows are read.
    Never,
}

impl PushDown {
    /// Its names in contracts.
    pub(crate) const NAMES: &[&str] = &["auto", "always", "never"];

    /// The one of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "always" => Some(Self::Always),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// A state of the database in which reading waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseIf {
    /// A replica lies further behind than this.
    ReplicaLag(Span),
    /// More connections than this are at work.
    Load(u64),
}

/// A text that no output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps it.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for those who connect with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}
