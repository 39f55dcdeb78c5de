//! A source as the contract names it: where its rows are, how its files are read, and when its snapshot was taken. It opens
//! nothing.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use super::{Database, Span};

/// `[source.NAME]`: a named place that rows are read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name in the file; for `diff` the location as written.
    pub name: String,
    /// The bounded context that the source belongs to.
    pub context: Option<String>,
    /// Where the rows are.
    pub location: Location,
    /// Only where the extension does not tell.
    pub format: Option<Format>,
    /// SQL predicate over the source's own columns.
    pub filter: Option<String>,
    /// A marker that grows with each change of a row.
    pub version_column: Option<String>,
    /// When the row changed last.
    pub updated_at: Option<String>,
    /// SQL predicate or boolean column: the row is a tombstone.
    pub deleted: Option<String>,
    /// When the snapshot was taken.
    pub captured_at: CapturedAt,
    /// Older than that: unverified.
    pub max_age: Option<Span>,
    /// Of its timestamps without zone; `defaults.timezone` is already applied.
    pub timezone: Option<TimeZone>,
    /// How its text files are read.
    pub csv: CsvOptions,
}

impl Source {
    /// The `filter` that is evaluated here, on what was read: a database evaluates its own.
    #[must_use]
    pub fn filter_here(&self) -> Option<&str> {
        self.filter.as_deref().filter(|_| self.database().is_none())
    }

    /// The database that serves the rows, if one does.
    #[must_use]
    pub fn database(&self) -> Option<&Database> {
        match &self.location {
            Location::Database(database) => Some(database),
            Location::Files { .. } | Location::Remote { .. } => None,
        }
    }
}

/// Where a source's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A path, glob or directory.
    Files {
        /// As the user wrote it, after environment variables, for messages and reports.
        written: String,
        /// The same as an absolute or working-directory path (relative to the contract file's folder already resolved).
        path: PathBuf,
    },
    /// A table or query of a database.
    Database(Box<Database>),
    /// A location that another system serves; it parses, and says which build or version would serve it.
    Remote {
        /// `kafka`, `s3`, `gs`, `az`, `http`, `https`, …
        scheme: String,
        /// The location without any secret: no user information and no query string.
        shown: String,
    },
}

impl Location {
    /// What reports and messages may print.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self {
            Self::Files { written, .. } => written,
            Self::Database(database) => &database.shown,
            Self::Remote { shown, .. } => shown,
        }
    }
}

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC, file or stream.
    Arrow,
    /// Delimited text, comma unless `csv.delimiter` says otherwise.
    Csv,
    /// Delimited text, tab.
    Tsv,
    /// A JSON object a line.
    Ndjson,
    /// One array of JSON objects.
    Json,
}

/// When a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CapturedAt {
    /// What the source itself can tell (files: nothing that can be trusted, so no instant).
    SourceTells,
    /// A fixed instant from the file or the environment.
    At(jiff::Timestamp),
    /// The greatest value of a column.
    Column(String),
    /// The oldest modification time of its files.
    FileModified,
}

/// `csv = { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// One byte; None: comma, or tab for TSV.
    pub delimiter: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Texts that are NULL, quoted or not; None: an unquoted empty field is NULL, a quoted one is ''.
    pub null: Option<Vec<String>>,
    /// How bytes become text.
    pub encoding: &'static encoding_rs::Encoding,
    /// The decimal separator, `.` unless said otherwise.
    pub decimal: char,
    /// strptime pattern of dates.
    pub date_format: Option<String>,
    /// strptime pattern of timestamps.
    pub timestamp_format: Option<String>,
    /// Texts that stand for true.
    pub true_texts: Vec<String>,
    /// Texts that stand for false.
    pub false_texts: Vec<String>,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: None,
            header: true,
            null: None,
            encoding: encoding_rs::UTF_8,
            decimal: '.',
            date_format: None,
            timestamp_format: None,
            true_texts: Vec::new(),
            false_texts: Vec::new(),
        }
    }
}
