//! The facts of one run, and nothing that is not a fact. A contract's audit can only be made where its books balance.
//!
//! It never reads the clock: instants come in as values.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::causes::Cause;
use crate::classify::Divergence;
use crate::contract::{Kind, Severity};
use crate::plan::Action;
use crate::sides::{Side, Sides};

mod baseline;
mod checksums;
mod controls;
pub mod decision;
pub mod gallery;
pub mod lag;
mod measured;
mod owners;
pub mod places;
pub mod strip;

pub use baseline::{Baseline, Status, ThreeWay, ThreeWayExample};
pub use checksums::Checksums;
pub use controls::{
    Figure, Figures, GroupFigures, InvariantFigures, KindAtRisk, OwnMismatches, SumFigure, TotalFigures, ValueAtRisk,
};
use decision::Decided;
pub use measured::{LineCounts, Measured, Phase, Timing};
pub use owners::{OwnerBooks, OwnerFacts, OwnerRole};
pub use recheck::{Look, SecondLook};
mod recheck;
mod recurrence;
mod segments;

pub use recurrence::{Recurrence, Sighting};
pub use segments::{Kept, Range, Reading, Segments};

/// Whether the copies can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Compared to the end, nothing beyond what the contract allows.
    Agreed,
    /// Compared to the end, something beyond it.
    Drifted,
    /// Not compared to the end.
    Unverified,
}

impl Verdict {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Drifted => "drifted",
            Self::Unverified => "unverified",
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Sorts by time.
    pub run_id: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took.
    pub elapsed_ms: u64,
    /// The command as data: `run` or `diff`.
    pub command: String,
    /// Settings that could matter to a reader: threads, memory limit, limit, where, configuration file.
    pub settings: BTreeMap<String, String>,
    /// One for each contract, in the order of the file.
    pub contracts: Vec<ContractAudit>,
    /// Of the run itself: an adopted folder, an option without effect.
    pub warnings: Vec<String>,
    /// The run was stopped by a signal: 2 (SIGINT) or 15 (SIGTERM).
    pub interrupted: Option<i32>,
    /// The run that this one goes on from.
    pub resumed: Option<Resumed>,
}

impl Audit {
    /// The worst of the contracts' verdicts; `unverified` for a run without contracts or one that was interrupted.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.interrupted.is_some() {
            return Verdict::Unverified;
        }
        self.contracts.iter().map(|contract| contract.verdict).max().unwrap_or(Verdict::Unverified)
    }

    /// The predicate that left out a part of the keys, where there was one.
    #[must_use]
    pub fn narrowed(&self) -> Option<&str> {
        self.settings.get("where").map(String::as_str)
    }
}

/// An earlier run that another one goes on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// Its id.
    pub run_id: String,
    /// The BLAKE3 of its manifest, in hex.
    pub manifest: String,
}

/// What was found of one contract.
#[derive(Clone, Debug)]
pub struct ContractAudit {
    /// Its name.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// For people.
    pub team: Option<String>,
    /// For people.
    pub runbook: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// BLAKE3 of the contract's meaning.
    pub contract_digest: [u8; 32],
    /// How it ended.
    pub verdict: Verdict,
    /// Why the verdict is what it is, one sentence.
    pub because: String,
    /// What could not be compared, if anything: place, problem, hint.
    pub error: Option<String>,
    /// Rows compared over rows in scope.
    pub coverage: f64,
    /// The books, which balance.
    pub books: Sides<Books>,
    /// Keys by kind (spec §6: a mismatch is one key, a null_key one row of either side, a schema one column).
    pub keys: BTreeMap<Kind, u64>,
    /// Lines of `divergences.parquet` by severity.
    pub severities: BTreeMap<Severity, u64>,
    /// Keys whose worst line has this severity (for `allow.severity`).
    pub keys_by_severity: BTreeMap<Severity, u64>,
    /// Mismatches by attribute, every compared attribute in order, zero where none.
    pub attributes: Vec<(String, u64)>,
    /// Key attributes.
    pub key: Vec<String>,
    /// The worst few divergences, in the order of the report.
    pub examples: Vec<Divergence>,
    /// Repair actions by safety.
    pub plan: PlanCounts,
    /// The plan is longer than `max_actions`, so it holds only its first lines and cannot be applied.
    pub plan_truncated: bool,
    /// The source that owns each attribute; empty where the sources did not open.
    pub attribute_owners: BTreeMap<String, String>,
    /// Control totals, invariants, and what the divergences add up to.
    pub figures: Figures,
    /// Each side's input.
    pub inputs: Sides<InputFacts>,
    /// The sources besides the two sides, if any.
    pub owners: Vec<OwnerFacts>,
    /// How far the projection lies behind, where markers tell.
    pub lag: Option<lag::Lag>,
    /// What is worth a word.
    pub warnings: Vec<String>,
    /// What people decided of the divergences.
    pub decided: Decided,
    /// How it stands to the run before, where there is one to be held against.
    pub recurrence: Option<Recurrence>,
    /// What many divergences have in common, the commonest first.
    pub causes: Vec<Cause>,
    /// The old copy that the projection replaces, where the contract has one.
    pub baseline: Option<Baseline>,
    /// What was done about checksums in a database, where one serves a side and may compute them.
    pub checksums: Option<Checksums>,
    /// What a second look made of the differences, where the contract asks for one.
    pub second_look: Option<SecondLook>,
    /// How it stands to the run that it goes on from, or to the one that may go on from it.
    pub segments: Option<Segments>,
}

impl ContractAudit {
    /// The same with one more thing that is worth a word, if there is one.
    #[must_use]
    pub fn warned(mut self, warning: Option<String>) -> Self {
        self.warnings.extend(warning);
        self
    }
}

/// Repair actions by safety.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Without a person.
    pub safe: u64,
    /// After a look.
    pub review: u64,
    /// By a person.
    pub manual: u64,
}

/// What was read on one side.
#[derive(Clone, Debug, Default)]
pub struct InputFacts {
    /// The source's name.
    pub source: String,
    /// The bounded context.
    pub context: Option<String>,
    /// Its location without secrets.
    pub location: String,
    /// The instant it speaks for, where it tells one.
    pub captured_at: Option<Timestamp>,
    /// Its files: shown path, bytes, BLAKE3 where the content was digested.
    pub files: Vec<InputFile>,
    /// Of a database: which server, and which state of it was read.
    pub snapshot: Option<String>,
    /// The order-free sum of the row digests, in hex: equal tables have equal digests.
    pub table_digest: String,
    /// What was not read, because the file is unchanged.
    pub taken_over: TakenOver,
    /// Its columns, by name and type, in the source's order; empty where it did not open.
    pub columns: Vec<Column>,
    /// Those of them that were not compared, because an option says so, sorted; empty where it did not open.
    pub left_out: Vec<String>,
    /// Of a database: a digest of where it is, so that no plan is carried out elsewhere.
    pub place: Option<String>,
}

/// One column of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as Arrow calls it.
    pub data_type: String,
}

/// What was taken over from an earlier run instead of being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// Files of which no part was read but for candidates.
    pub files: u64,
    /// Rows in these and in parts of others.
    pub rows: u64,
    /// Files whose content was not digested again.
    pub digests: u64,
}

impl TakenOver {
    /// The sentence about trust, for whoever reads that something was not read.
    pub const TRUST: &str = "a file counts as unchanged by its path, device, inode, size, and times of modification and of \
        change in nanoseconds, and by its first and last bytes; `--no-cache` reads everything";

    /// Whether anything was.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }
}

/// One input file of a run.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// As reports show it.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its modification time.
    pub modified: Option<Timestamp>,
    /// BLAKE3 of its content, in hex.
    pub blake3: String,
}

/// The rows of one side, each in exactly one account (spec §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Rows read, after `filter`.
    pub read: u64,
    /// Rows that agree.
    pub agree: u64,
    /// Rows in pairs that differ.
    pub differ: u64,
    /// Rows without a partner: missing or orphan.
    pub unpaired: u64,
    /// Tombstones whose key is not across.
    pub tombstone: u64,
    /// Rows of keys that occur more than once.
    pub duplicate: u64,
    /// Rows with NULL in a key.
    pub null_key: u64,
    /// Rows that could not be read.
    pub unreadable: u64,
    /// Rows that could be read but not brought to a comparison (the contract ended early); not covered.
    pub uncompared: u64,
    /// Rows of keys that `--where` leaves out; in no other account and not in `read`.
    pub out_of_scope: u64,
}

impl Books {
    /// Whether every row that was read is in exactly one account.
    #[must_use]
    pub fn balance(&self) -> bool {
        self.read
            == self.agree
                + self.differ
                + self.unpaired
                + self.tombstone
                + self.duplicate
                + self.null_key
                + self.unreadable
                + self.uncompared
    }
}

/// The two sides' books contradict themselves or each other: a defect of this program, never of the data.
#[derive(Debug, thiserror::Error)]
#[error(
    "the books do not balance ({side}: {books:?}): this is a defect of reconcile, the contract's result is withheld"
)]
pub struct Unbalanced {
    /// Where.
    pub side: Side,
    /// The accounts.
    pub books: Books,
}

/// Checks the books of both sides: each adds up, and both have the same rows in pairs.
///
/// # Errors
/// The side whose books do not balance.
pub fn balanced(books: &Sides<Books>) -> Result<(), Unbalanced> {
    for (side, account) in books.iter() {
        if !account.balance() {
            return Err(Unbalanced { side, books: *account });
        }
    }
    let (authority, projection) = (books.authority, books.projection);
    if (authority.agree, authority.differ) != (projection.agree, projection.differ) {
        return Err(Unbalanced { side: Side::Projection, books: projection });
    }
    Ok(())
}

/// Who is told each divergence and each action as they are found, in an order that depends only on the data.
pub trait Recorder {
    /// Whether it keeps any of what it is told. Where it does not, it is told nothing.
    fn keeps(&self) -> bool {
        true
    }
    /// A divergence of the contract.
    ///
    /// # Errors
    /// What kept it from being written.
    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> std::io::Result<()>;
    /// A repair action.
    ///
    /// # Errors
    /// What kept it from being written.
    fn action(&mut self, action: &Action) -> std::io::Result<()>;
    /// Whether it is told actions with the personal values in them, to carry them out. Nothing that is kept does.
    fn reveals(&self) -> bool {
        false
    }
    /// An action as it is written, and the same with its values.
    fn revealed(&mut self, written: &Action, clear: &Action) {
        let _ = (written, clear);
    }
}
