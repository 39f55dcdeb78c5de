//! The synchronization contract, fully checked: who owns what, what equal means, what a divergence costs.
//!
//! `raw` mirrors the TOML with its spans, `check` turns it into the types of this room and collects every complaint on
//! the way. After that crossing no stage asks "what if it is missing". Whether the columns exist is known only when the
//! contract meets the schemas, in `normalise::bind`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use globset::GlobMatcher;

use crate::sides::{Side, Sides};

mod baseline;
mod check;
mod controls;
mod database;
mod error;
mod excerpt;
mod kind;
mod meaning;
mod options;
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
mod source;
mod tell;
mod tree;
mod values;
mod whereabouts;

pub use baseline::Baseline;
pub use check::{DiffRequest, for_diff, load, load_text, parse_text};
pub use controls::{Controls, DIVERGENCE_COLUMNS, Invariant, Rule, Total};
pub use database::{Database, Limits, PauseIf, PushDown, Rows, Secret, System};
pub use error::{Error, Errors, Problem, plain};
pub use excerpt::Excerpt;
pub use kind::{Kind, Severity};
pub use options::{ExactDecimal, LogicalType, Options, Tolerance, Trim, UnicodeForm};
pub use ownership::{Crosswalk, Lookup, Origin, Tenure};
pub use pii::PiiKey;
pub use recheck::Recheck;
pub use schema::json_schema;
pub use secrets::Secrets;
pub use sign::{Password, Sign};
pub use source::{CapturedAt, CsvOptions, Format, Location, Source};
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
