//! The synchronization contract, fully checked: who owns what, what equal means, what a divergence costs.
//!
//! `raw` mirrors the TOML with its spans, `check` turns it into the types of this file and collects every complaint on
//! the way. After that crossing no stage asks "what if it is missing". Whether the columns exist is known only when the
//! contract meets the schemas, in `normalise::bind`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use globset::GlobMatcher;
use jiff::tz::TimeZone;

use crate::sides::{Side, Sides};

mod baseline;
mod check;
mod controls;
mod database;
mod error;
mod excerpt;
mod meaning;
mod owners;
mod ownership;
mod pii;
mod raw;
mod read;
mod recheck;
mod schema;
mod secrets;
mod shape;
mod sign;
mod tell;
mod tree;
mod values;
mod whereabouts;

pub use baseline::Baseline;
pub use check::{DiffRequest, for_diff, load, load_text, parse_text};
pub use controls::{Controls, DIVERGENCE_COLUMNS, Invariant, Rule, Total};
pub use database::{Database, Limits, PauseIf, PushDown, Rows, Secret, System};
pub use error::{Error, Errors, Problem};
pub use excerpt::Excerpt;
pub use ownership::{Crosswalk, Lookup, Origin, Tenure};
pub use pii::PiiKey;
pub use recheck::Recheck;
pub use schema::json_schema;
pub use secrets::Secrets;
pub use sign::{Password, Sign};
pub use tell::{Endpoint, NoticeOf, NoticeShape, Notify, Tell};
pub use values::parse_size;

/// A whole `reconcile.toml` with what it includes.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The file that was named or found.
    pub file: PathBuf,
    /// `[run]`.
    pub run: RunSettings,
    /// Every `[source.NAME]`, by name.
    pub sources: BTreeMap<String, Arc<Source>>,
    /// Every `[contract.NAME]`, in the order of the files.
    pub contracts: Vec<Arc<Contract>>,
    /// What is legal but worth a word.
    pub warnings: Vec<Problem>,
    /// Every file that it was read from, sorted by path.
    pub files: Vec<ContractFile>,
    /// What came from the environment, which no text for people repeats.
    pub secrets: Secrets,
}

/// A file that a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractFile {
    /// From the folder of the configuration's main file, without what came from the environment.
    pub path: String,
    /// BLAKE3 of its bytes, in hex.
    pub blake3: String,
}

/// `[run]`: how a run is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSettings {
    /// The folder of run folders and ledger, relative paths already resolved against the file.
    pub reports: PathBuf,
    /// The folder of what is kept between runs; None: `.cache` within the folder of reports.
    pub cache: Option<PathBuf>,
    /// Bytes, if limited.
    pub memory_limit: Option<u64>,
    /// Worker threads; 0 means all cores.
    pub threads: usize,
    /// What digests of personal data are keyed with, where the file says it.
    pub pii_key: Option<PiiKey>,
    /// `sign`: what runs and ledger are signed with.
    pub sign: Option<Sign>,
    /// Who is told of a run.
    pub tell: Tell,
}

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

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i128);

/// `[contract.NAME]`: the agreement about one seam.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name.
    pub name: String,
    /// Semantic version as written, and its major number.
    pub version: Version,
    /// For people.
    pub description: Option<String>,
    /// For people.
    pub team: Option<String>,
    /// For people.
    pub runbook: Option<String>,
    /// For `run --tag`.
    pub tags: Vec<String>,
    /// How often it must have run.
    pub cadence: Option<Span>,
    /// The two sources.
    pub sources: Sides<Arc<Source>>,
    /// Attribute names; empty: rows are a multiset.
    pub key: Vec<String>,
    /// Rows with NULL in a key pair with each other (`null_keys = "match"`).
    pub null_keys_match: bool,
    /// Which attributes are compared.
    pub compare: Compare,
    /// `diff --only`: nothing but these and the key, when not empty.
    pub only: Vec<String>,
    /// Columns that are not compared.
    pub ignore: Vec<Ignore>,
    /// `--where`: a key is compared where either side's row satisfies it.
    pub row_filter: Option<String>,
    /// Changes younger than this may still be on their way.
    pub window: Option<Span>,
    /// The second look at what differs, where it asks for one.
    pub recheck: Option<Recheck>,
    /// Severity from which the contract drifts.
    pub fail_on: Severity,
    /// What is tolerated all the same.
    pub allow: Allow,
    /// `[contract.NAME.attribute.X]`, in the order of the file, their options complete.
    pub attributes: Vec<Attribute>,
    /// Options of every attribute that is not declared (`diff --trim`, `[defaults]`), and of the text side generally.
    pub attribute_defaults: Options,
    /// `diff --tolerance VALUE`: for every undeclared attribute whose comparison is numeric.
    pub numeric_tolerance: Option<Tolerance>,
    /// `[contract.NAME.severity]`.
    pub severity: BTreeMap<Kind, Severity>,
    /// `[contract.NAME.repair]`, which the plan obeys.
    pub repair: RepairPolicy,
    /// Which key of the authority is which key of the projection, where they differ.
    pub crosswalk: Option<Crosswalk>,
    /// The old copy that the projection replaces.
    pub baseline: Option<Baseline>,
    /// `[contract.NAME.parity]`, the cutover gate.
    pub parity: Option<Parity>,
    /// Rules, control totals, invariants, and what a row is worth.
    pub controls: Controls,
    /// Options that parse but that this version does not act on.
    pub unserved: Vec<Unserved>,
    /// What came from the environment, which no text for people repeats.
    pub secrets: Secrets,
    /// BLAKE3 of the contract's meaning in a canonical text, independent of comments and order of tables.
    pub digest: [u8; 32],
}

/// `parity`: when the last runs are clean enough to rely on the copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parity {
    /// How many runs in a row must count, at least 1.
    pub consecutive_runs: u64,
    /// The least coverage of each.
    pub min_coverage: ExactDecimal,
    /// The greatest share of diverging keys of each, if one is set, as an exact fraction of the authority's rows.
    pub max_ratio: Option<ExactDecimal>,
    /// The most regressions of each, where the contract has an old copy.
    pub max_regressions: Option<u64>,
}

/// An option that this version reads but does not act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unserved {
    /// The option as the user finds it, e.g. `attribute.receivable.owner`.
    pub option: String,
    /// Ignoring it could hide a divergence, so the contract ends `unverified`; otherwise it is a warning.
    pub hides: bool,
    /// What is not done, as a sentence part: `ownership by a second source is not compared`.
    pub consequence: String,
}

/// A semantic version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// As written.
    pub text: String,
    /// Its first number.
    pub major: u64,
}

/// `compare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// Every column of either side.
    All,
    /// Only the key and the declared attributes.
    Declared,
}

/// One entry of `ignore`.
#[derive(Clone, Debug)]
pub struct Ignore {
    /// Only this side's columns, if named.
    pub side: Option<Side>,
    /// As written, for messages.
    pub written: String,
    /// The glob over column names.
    pub glob: GlobMatcher,
}

/// `allow`: None means that nothing is said about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allow {
    /// Keys at or above `fail_on`.
    pub keys: Option<u64>,
    /// Keys at or above `fail_on` over authority rows, as an exact fraction of one.
    pub ratio: Option<ExactDecimal>,
    /// Keys at each severity.
    pub severity: BTreeMap<Severity, u64>,
}

/// One attribute as the contract declares it.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Path of its column at the authority: one name, or a struct's members.
    pub column: Vec<String>,
    /// Where its expected value comes from, where that is not the column.
    pub origin: Origin,
    /// Path of its column in the projection.
    pub projected_as: Vec<String>,
    /// How it compares.
    pub options: Options,
    /// Severity of its mismatches.
    pub severity: Option<Severity>,
    /// How a divergence is repaired.
    pub repair: Option<Repair>,
    /// Personal data.
    pub pii: Option<Pii>,
}

/// What equal means for an attribute. Applied in the order of the fields.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Normalization form.
    pub unicode: Option<UnicodeForm>,
    /// Runs of white space become one space.
    pub collapse_spaces: bool,
    /// Which ends are trimmed.
    pub trim: Option<Trim>,
    /// Full Unicode default case folding.
    pub ignore_case: bool,
    /// Texts that are NULL.
    pub null_equals: Vec<String>,
    /// The owner's value to the expected value.
    pub translate: Option<Arc<BTreeMap<String, String>>>,
    /// The logical type both sides are compared under.
    pub logical_type: Option<LogicalType>,
    /// Decimal places, half away from zero.
    pub round: Option<u32>,
    /// How far apart is still equal.
    pub tolerance: Option<Tolerance>,
    /// Zone of its timestamps without zone, on both sides.
    pub timezone: Option<TimeZone>,
}

/// A Unicode normalization form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnicodeForm {
    /// Canonical composition.
    Nfc,
    /// Canonical decomposition.
    Nfd,
    /// Compatibility composition.
    Nfkc,
    /// Compatibility decomposition.
    Nfkd,
}

/// Which ends of a text are trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// The start.
    Left,
    /// The end.
    Right,
    /// Both ends.
    Both,
}

/// How far apart two values may be and still be equal; the bound itself is equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// Of numbers.
    Absolute(ExactDecimal),
    /// Of numbers, as a fraction of the larger magnitude (`"1%"` is 0.01).
    Relative(ExactDecimal),
    /// Of times.
    Time(Span),
}

/// `coefficient × 10^exponent`, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactDecimal {
    /// All digits.
    pub coefficient: i128,
    /// Power of ten.
    pub exponent: i32,
}

impl ExactDecimal {
    /// Whether it is less than the fraction `part / whole`, exactly; of nothing every part is too much.
    #[must_use]
    pub fn less_than(&self, part: u64, whole: u64) -> bool {
        use num_bigint::BigInt;
        let power = |exponent: u32| BigInt::from(10).pow(exponent);
        let (mut bound, mut part) = (BigInt::from(self.coefficient) * whole, BigInt::from(part));
        match self.exponent {
            0.. => bound *= power(self.exponent.unsigned_abs()),
            _ => part *= power(self.exponent.unsigned_abs()),
        }
        bound < part
    }
}

impl std::fmt::Display for ExactDecimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = self.coefficient.unsigned_abs().to_string();
        let sign = if self.coefficient < 0 { "-" } else { "" };
        if self.exponent >= 0 {
            let zeros = "0".repeat(self.exponent.unsigned_abs() as usize);
            return write!(formatter, "{sign}{digits}{zeros}");
        }
        let places = self.exponent.unsigned_abs() as usize;
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(formatter, "{sign}{whole}.{fraction}")
    }
}

/// `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalType {
    /// `boolean`
    Boolean,
    /// `int8` … `uint64`
    Integer {
        /// 8, 16, 32 or 64.
        bits: u8,
        /// Whether negative values fit.
        signed: bool,
    },
    /// `float32`
    Float32,
    /// `float64`
    Float64,
    /// `decimal(p, s)`; a bare `decimal` holds any number exactly.
    Decimal(Option<(u8, i8)>),
    /// `text`
    Text,
    /// `binary`
    Binary,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`: local, without zone
    Timestamp,
    /// `timestamptz`: an instant
    TimestampTz,
    /// `duration`
    Duration,
    /// `uuid`
    Uuid,
    /// `json`
    Json,
}

/// What kind of disagreement (spec §5). In the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Key at the authority, not in the projection.
    Missing,
    /// Key in the projection, not at the authority.
    Orphan,
    /// Both have the key, an attribute differs.
    Mismatch,
    /// The projection lies behind.
    Stale,
    /// The projection lies ahead.
    Ahead,
    /// Still on its way.
    InFlight,
    /// Deleted at the authority, alive in the projection.
    Resurrected,
    /// A key more than once on a side.
    DuplicateKey,
    /// NULL in a key.
    NullKey,
    /// A column missing, added, or of a type that cannot be compared.
    Schema,
    /// A row or range that could not be read.
    Unreadable,
}

impl Kind {
    /// Every kind, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Orphan,
        Self::Mismatch,
        Self::Stale,
        Self::Ahead,
        Self::InFlight,
        Self::Resurrected,
        Self::DuplicateKey,
        Self::NullKey,
        Self::Schema,
        Self::Unreadable,
    ];

    /// The kind's fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Orphan => "orphan",
            Self::Mismatch => "mismatch",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::InFlight => "in_flight",
            Self::Resurrected => "resurrected",
            Self::DuplicateKey => "duplicate_key",
            Self::NullKey => "null_key",
            Self::Schema => "schema",
            Self::Unreadable => "unreadable",
        }
    }

    /// The severity that holds where nothing else is said.
    #[must_use]
    pub fn default_severity(self) -> Severity {
        match self {
            Self::Resurrected => Severity::Critical,
            Self::Missing
            | Self::Orphan
            | Self::Ahead
            | Self::DuplicateKey
            | Self::NullKey
            | Self::Schema
            | Self::Unreadable => Severity::High,
            Self::Mismatch => Severity::Medium,
            Self::Stale => Severity::Low,
            Self::InFlight => Severity::Info,
        }
    }
}

/// What a divergence costs. The greatest is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look.
    Low,
    /// Worth a ticket.
    Medium,
    /// Worth today.
    High,
    /// Worth waking someone.
    Critical,
}

impl Severity {
    /// Every severity, the worst first.
    pub const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    /// The severity's fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Info => "info",
        }
    }
}

/// How a divergence may be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Without a person, where the guard covers it.
    Auto,
    /// After a person has looked.
    Review,
    /// By the owner, who sends it again.
    Replay,
    /// Not at all.
    Ignore,
}

/// `[contract.NAME.repair]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RepairPolicy {
    /// Per kind.
    pub kinds: BTreeMap<Kind, Repair>,
    /// Above it the whole plan needs a person.
    pub max_actions: Option<u64>,
    /// Of authority rows; above it the whole plan needs a person.
    pub max_ratio: Option<ExactDecimal>,
}

/// How personal data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pii {
    /// As asterisks.
    Mask,
    /// As a keyed digest.
    Hash,
    /// Not at all.
    Drop,
}
