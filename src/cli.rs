//! The command line as data (clap derive), and one file per command below it.
//!
//! This file declares: it never decides. Defaults that a contract also has are not repeated here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::console::ColorChoice;
use values::{ColumnPair, ColumnType, Columns, ToleranceOf};

mod apply;
mod audit;
mod browse;
mod cgroup;
mod check;
mod clock;
mod configuration;
mod contracts;
mod diff;
mod execute;
mod exit_status;
mod explain;
mod failure;
mod generate;
mod help;
mod history;
mod init;
mod interrupt;
mod manual;
mod map;
mod opener;
mod otlp;
mod outcome;
mod ownership;
mod parity;
mod people;
mod plan;
mod propose;
mod report;
mod resume;
mod review;
mod run;
mod scripts;
mod signing;
mod table;
mod tell;
mod values;
mod watch;

pub use audit::options::{AuditVerify, Export, Prove, Reproduce};
pub use execute::{execute, parse};
pub use exit_status::ExitStatus;

/// Proves that copies of data agree with their authority, or says where they do not.
#[derive(Debug, Parser)]
#[command(name = "reconcile", version, max_term_width = 100, after_help = help::top())]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
}

/// What every command understands.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The contract file [default: reconcile.toml here or in a parent folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How the result is written to stdout
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: Format,

    /// Worker threads, at most 256; 0 means all cores [default: the contract file's, or all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<u64>,

    /// How much memory a run may take, like `4GiB` or `512 MB`; beyond it work spills to the disk
    #[arg(long, global = true, value_name = "SIZE", value_parser = values::size)]
    pub memory_limit: Option<u64>,

    /// Say nothing on stderr but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say more: settings on stderr, details in text reports
    #[arg(long, short, global = true)]
    pub verbose: bool,

    /// Draw no progress bars, not even on a terminal
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// Whether text is coloured; `auto`: on a terminal, unless `NO_COLOR` is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
}

/// How a result is written to stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, on a terminal
    #[default]
    Text,
    /// One JSON document, the same as `summary.json`
    Json,
    /// A JSON line for each divergence, then the summary as the last line
    Ndjson,
    /// For people, in a ticket or a pull request
    Markdown,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare every contract in `reconcile.toml`, or the named ones
    ///
    /// The scheduled job. Writes a folder of reports and a repair plan, and adds a line to the ledger. A contract that
    /// cannot be compared never hides another: the rest run, and the worst verdict decides the exit status.
    #[command(after_help = help::run())]
    Run(Run),

    /// Compare two tables without a contract file
    ///
    /// The operator's check on demand. The first location is the authority, which is right by definition; the second is
    /// the projection, which copies it. Nothing is kept unless `--out` names a folder.
    #[command(after_help = help::diff())]
    Diff(Diff),

    /// Report every problem in `reconcile.toml` at once
    ///
    /// Each problem comes with file, line, column and what would be accepted. Run it before a contract is merged.
    #[command(after_help = help::CHECK)]
    Check(Check),

    /// List the contracts with their last verdicts
    ///
    /// Shows who owns what, and which contracts are overdue by their cadence.
    #[command(after_help = help::CONTRACTS)]
    Contracts(Contracts),

    /// Tell what a kind, a reason or a verdict means; or everything known of a key in a run
    ///
    /// Without words it lists everything that can be explained. With a run and a key it shows the key's divergences, its
    /// repair, since when it diverges, and both rows, read again where contract and inputs are still those of the run.
    #[command(after_help = help::EXPLAIN)]
    Explain(Explain),

    /// Render a finished run again
    ///
    /// Reads the files of a published run; nothing is compared again, and nothing is written but to stdout.
    #[command(after_help = help::REPORT)]
    Report(Report),

    /// Look through a run's divergences on the terminal, and mark some for review
    ///
    /// Lists them by contract, cause, kind and attribute, shows both values side by side with what differs marked, searches, and
    /// exports what was marked as `review export` does. `?` tells every key. Nothing is written but that file.
    #[command(after_help = help::BROWSE)]
    Browse(Browse),

    /// Prove that runs and ledger are unchanged, or remove old runs
    ///
    /// The ledger chains every run to the one before it, so that a changed, cut or reordered record is found.
    #[command(subcommand, after_help = help::AUDIT)]
    Audit(Audit),

    /// Print the JSON Schema of `reconcile.toml`
    ///
    /// For editors, which then complete and check the file while it is written.
    #[command(after_help = help::SCHEMA)]
    Schema,

    /// Print the completions of a shell
    ///
    /// The script completes commands, options and their values.
    #[command(after_help = help::COMPLETIONS)]
    Completions(Completions),

    /// Print the manual page, or write the pages of all commands to a folder
    ///
    /// The pages say what `--help` says, and what the commands read from the environment and from files.
    #[command(after_help = help::MAN)]
    Man(Man),

    /// Write a first `reconcile.toml` from two tables
    ///
    /// Proposes key, column pairs, types, maps of values and tolerances, each with what was seen in a comment. Both tables
    /// are read whole. A file that is there is not overwritten.
    #[command(after_help = help::INIT)]
    Init(Init),

    /// Decide whether the last runs are clean enough for a cutover
    ///
    /// The gate is the contract's `parity`: so many runs in a row over inputs of their own, whole, agreed, nothing critical,
    /// nothing that waits for a person, and a contract that did not change.
    #[command(after_help = help::PARITY)]
    Parity(Parity),

    /// Show and filter a run's repair plan
    ///
    /// Nothing is written: an action is what would be done, with the guard under which it may be.
    #[command(after_help = help::PLAN)]
    Plan(Plan),

    /// Apply a repair plan, or undo what was applied
    ///
    /// Shows what it would do; `--execute` does it. A row that has moved since is skipped and said, never overwritten. What is
    /// done stands in a receipt, which the ledger holds and `--rollback` undoes.
    #[command(after_help = help::APPLY)]
    Apply(Apply),

    /// Hand divergences to people and take their decisions back
    ///
    /// Decisions enter the ledger. The next runs apply them where the rows are still what they were, and say so.
    #[command(subcommand, after_help = help::REVIEW)]
    Review(Review),

    /// Show how verdicts and counts went over time
    ///
    /// One column a run, the newest at the right. A run that was pruned, changed or narrowed is shown as such.
    #[command(after_help = help::HISTORY)]
    History(History),
}

/// What `run` and `diff` have in common.
#[derive(Debug, Clone, Default, Args)]
pub struct Comparison {
    /// Where run folders and ledger go [default: for `run` the contract file's `reports`; `diff` keeps nothing]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Compare only keys where this predicate over attributes holds for either side's row
    #[arg(long = "where", value_name = "SQL")]
    pub row_filter: Option<String>,

    /// How many divergences of each contract are printed; files and counts stay whole [default: 20; ndjson: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Draft no repair actions
    #[arg(long)]
    pub no_plan: bool,

    /// Where to keep what spares the next run from reading unchanged files again [default: for `run` the contract file's
    /// `cache`, or `.cache` where run folders go; `diff` keeps nothing]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub cache: Option<PathBuf>,

    /// Read everything, and keep nothing for the next run
    #[arg(long)]
    pub no_cache: bool,

    /// Also write the metrics to this file, for a collector of text files [default: for `run` of all contracts the contract
    /// file's `metrics`]
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,

    /// Also write the result as JUnit to this file, for a pipeline
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Send trace and metrics to this collector by OTLP over HTTP [default: `OTEL_EXPORTER_OTLP_ENDPOINT`]
    #[arg(long, value_name = "URL")]
    pub otlp: Option<String>,
}

/// `reconcile run`.
#[derive(Debug, Clone, Default, Args)]
pub struct Run {
    /// Contracts to compare; with `--tag`, these and the tagged ones [default: all]
    #[arg(value_name = "CONTRACT")]
    pub contracts: Vec<String>,

    /// Compare the contracts that carry this tag; may be given more than once
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,

    /// Go on from this run, which was cut off (its id, the beginning of it, `latest`, or its folder): the same contracts,
    /// without what it compared to the end
    #[arg(long, value_name = "RUN", conflicts_with_all = ["contracts", "tags"])]
    pub resume: Option<String>,

    /// Tell nobody, whatever `[run.notify]` says
    #[arg(long)]
    pub no_notify: bool,

    /// What `run` and `diff` have in common.
    #[command(flatten)]
    pub comparison: Comparison,
}

/// `reconcile diff`.
#[derive(Debug, Clone, Default, Args)]
pub struct Diff {
    /// The table that is right: a file, glob or directory
    #[arg(value_name = "AUTHORITY")]
    pub authority: String,

    /// The table that copies it
    #[arg(value_name = "PROJECTION")]
    pub projection: String,

    /// Attributes that identify a row on both sides, as CSV: `id`, `country,code`, `'"a,b",c'`
    #[arg(long, value_name = "COLUMNS", value_parser = values::columns, conflicts_with = "no_key")]
    pub key: Vec<Columns>,

    /// Compare rows as a multiset: no row has an identity, surplus copies are missing or orphan
    #[arg(long)]
    pub no_key: bool,

    /// An attribute's column in the projection, where its name is another; split at the first `=` (an attribute whose
    /// name holds `=` goes in double quotes: `'"a=b"=c'`)
    #[arg(long, value_name = "ATTRIBUTE=COLUMN", value_parser = values::pair)]
    pub map: Vec<ColumnPair>,

    /// Columns that are not compared, as CSV; globs, and one side only: `'etl_*,authority:note'`
    #[arg(long, value_name = "COLUMNS", value_parser = values::columns)]
    pub ignore: Vec<Columns>,

    /// Compare nothing but these columns and the key, as CSV
    #[arg(long, value_name = "COLUMNS", value_parser = values::columns)]
    pub only: Vec<Columns>,

    /// How far apart is still equal, like `0.01`, `1%` or `price=500ms`; bare: for every numeric attribute. Split at the
    /// last `=`
    #[arg(long, value_name = "[COLUMN=]VALUE", value_parser = values::tolerance)]
    pub tolerance: Vec<ToleranceOf>,

    /// The type that a column is compared under, like `price=decimal(12,2)`; split at the last `=`
    #[arg(long = "type", value_name = "COLUMN=TYPE", value_parser = values::column_type)]
    pub types: Vec<ColumnType>,

    /// Ignore white space at both ends of texts
    #[arg(long)]
    pub trim: bool,

    /// Ignore case in texts (full Unicode default case folding)
    #[arg(long)]
    pub ignore_case: bool,

    /// A text that stands for NULL, like `N/A`; may be given more than once
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub null_equals: Vec<String>,

    /// What `run` and `diff` have in common.
    #[command(flatten)]
    pub comparison: Comparison,
}

/// `reconcile check`.
#[derive(Debug, Clone, Default, Args)]
pub struct Check {
    /// Also open each source and check that the columns are there and can be compared
    #[arg(long)]
    pub sources: bool,
}

/// `reconcile contracts`.
#[derive(Debug, Clone, Default, Args)]
pub struct Contracts {
    /// Draw the contexts, their sources and what flows between them, instead of the list [default: mermaid]
    #[arg(long, value_name = "LANGUAGE", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "mermaid")]
    pub map: Option<MapFormat>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// The language of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// For Markdown that draws it
    Mermaid,
    /// For Graphviz
    Dot,
}

/// Where runs were written.
#[derive(Debug, Clone, Default, Args)]
pub struct Reports {
    /// The folder of run folders and ledger [default: the contract file's `reports`, or `reports` here]
    #[arg(long, value_name = "DIR", visible_alias = "out")]
    pub reports: Option<PathBuf>,
}

/// `reconcile explain`.
#[derive(Debug, Clone, Default, Args)]
pub struct Explain {
    /// A kind, a reason or a verdict, as a report shows it; or a run (an id, the start of one, `latest`, a path) and a key
    /// (a JSON object, or the bare value of a key of one attribute)
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile browse`.
#[derive(Debug, Clone, Default, Args)]
pub struct Browse {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile report`.
#[derive(Debug, Clone, Default, Args)]
pub struct Report {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN")]
    pub run: String,

    /// How many divergences of each contract are printed [default: 20]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Open the run's `report.html` in the browser instead; where none can be opened, print its path
    #[arg(long, conflicts_with = "limit")]
    pub open: bool,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Prove that every run folder and every ledger line is unchanged
    ///
    /// Names each file that was changed and each line that was changed, cut or put in another order; with `--key` also
    /// each line and run that was not signed by that key.
    #[command(after_help = help::audit_verify())]
    Verify(AuditVerify),

    /// Write the proof that a run is in the ledger, or that a line continues an earlier one
    ///
    /// The path from the run's manifest to the Merkle root in a line; or, with `--since`, the parts of which the roots of two
    /// lines are made. `audit verify --proof` checks either without the runs.
    #[command(
        after_help = help::AUDIT_PROVE,
        override_usage = "reconcile audit prove <RUN> [OPTIONS]\n       reconcile audit prove --since <N> [OPTIONS]"
    )]
    Prove(Prove),

    /// Write one archive with all that is needed to verify a run elsewhere
    ///
    /// The run's folder, its ledger line, the proof, public keys and the contract's files as the run read them, with a walk
    /// through verifying it with nothing but `b3sum` and `minisign`.
    #[command(after_help = help::AUDIT_EXPORT)]
    Export(Export),

    /// Do a run again and compare what comes of it
    ///
    /// With the contract file of today and the instants of the run. Nothing is published. The inputs are compared first.
    #[command(after_help = help::AUDIT_REPRODUCE)]
    Reproduce(Reproduce),

    /// Remove old run folders; their ledger lines stay
    ///
    /// What was removed is itself a line in the ledger, so `audit verify` still holds afterwards. A run is kept where
    /// either option keeps it.
    #[command(after_help = help::AUDIT_PRUNE)]
    Prune(Prune),
}

/// `reconcile audit prune`.
#[derive(Debug, Clone, Default, Args)]
pub struct Prune {
    /// Keep the newest so many runs
    #[arg(long, value_name = "N", required_unless_present = "keep_days")]
    pub keep_runs: Option<usize>,

    /// Keep runs younger than so many days
    #[arg(long, value_name = "N")]
    pub keep_days: Option<u32>,

    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile completions`.
#[derive(Debug, Clone, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: clap_complete::Shell,
}

/// `reconcile man`.
#[derive(Debug, Clone, Default, Args)]
pub struct Man {
    /// Write a page for each command to this folder, instead of the first page to stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `reconcile init`.
#[derive(Debug, Clone, Default, Args)]
pub struct Init {
    /// The table that is right: a file, glob or directory
    #[arg(value_name = "AUTHORITY")]
    pub authority: String,

    /// The table that copies it
    #[arg(value_name = "PROJECTION")]
    pub projection: String,

    /// The file to write [default: reconcile.toml here]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The contract's name [default: from the names of the tables]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Overwrite the file if it is there
    #[arg(long)]
    pub force: bool,
}

/// `reconcile parity`.
#[derive(Debug, Clone, Default, Args)]
pub struct Parity {
    /// The contract
    #[arg(value_name = "CONTRACT")]
    pub contract: String,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile plan`.
#[derive(Debug, Clone, Default, Args)]
pub struct Plan {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN", default_value = "latest", hide_default_value = false)]
    pub run: String,

    /// Only this contract's; may be given more than once
    #[arg(long = "contract", value_name = "CONTRACT")]
    pub contracts: Vec<String>,

    /// Only what answers this kind; may be given more than once
    #[arg(long = "kind", value_name = "KIND")]
    pub kinds: Vec<String>,

    /// Only what answers a key whose worst severity is this; may be given more than once
    #[arg(long = "severity", value_name = "SEVERITY")]
    pub severities: Vec<String>,

    /// Only actions of this safety: safe, review, manual; may be given more than once
    #[arg(long = "safety", value_name = "SAFETY")]
    pub safeties: Vec<String>,

    /// How many actions are printed [default: 20; ndjson: all]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Print the commands for the owner's own tools instead: a JSON line for each key that is to be sent again
    #[arg(long, conflicts_with_all = ["limit", "safeties"])]
    pub replay: bool,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile apply`.
#[derive(Debug, Clone, Default, Args)]
pub struct Apply {
    /// A run whose plan is applied: a run id, the start of one, `latest`, the path of a run folder or of its plan.ndjson
    #[arg(value_name = "PLAN", required_unless_present = "rollback")]
    pub plan: Option<String>,

    /// Write, instead of only saying what would be written
    #[arg(long)]
    pub execute: bool,

    /// Undo an apply: the id of its receipt, the start of one, `latest`, or its path
    #[arg(long, value_name = "RECEIPT", conflicts_with_all = ["plan", "only", "contracts", "include_review", "out"])]
    pub rollback: Option<String>,

    /// Only what answers this kind, this severity or this key (a JSON object, or the bare value); may be given more than once
    #[arg(long, value_name = "KIND|SEVERITY|KEY")]
    pub only: Vec<String>,

    /// Only this contract's; may be given more than once
    #[arg(long = "contract", value_name = "CONTRACT")]
    pub contracts: Vec<String>,

    /// Do no more than so many actions; the rest is said
    #[arg(long, value_name = "N")]
    pub max_actions: Option<usize>,

    /// Only what is safe (this is so unless `--include-review` is given)
    #[arg(long, conflicts_with = "include_review")]
    pub safe_only: bool,

    /// Also what a person ought to look at first
    #[arg(long)]
    pub include_review: bool,

    /// Refuse a plan whose run began longer ago, like `24h` or `90m`
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = values::length)]
    pub max_age: jiff::SignedDuration,

    /// Write a repaired copy of a projection that is one CSV or Parquet file; the file itself is never touched
    #[arg(long, value_name = "FILE", conflicts_with = "execute")]
    pub out: Option<PathBuf>,

    /// How many actions are printed [default: 20]
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Where runs were written.
    #[arg(long, value_name = "DIR")]
    pub reports: Option<PathBuf>,
}

/// `reconcile review`.
#[derive(Debug, Subcommand)]
pub enum Review {
    /// Write what needs a person as CSV, a line a divergence, with empty columns for the decision
    ///
    /// Left out is what a safe action repairs and what was decided already.
    #[command(after_help = help::REVIEW_EXPORT)]
    Export(ReviewExport),
    /// Take decisions from such a file: all of them, or none where one is not right
    ///
    /// A decision about rows that have changed since is refused.
    #[command(after_help = help::REVIEW_IMPORT)]
    Import(ReviewImport),
}

/// `reconcile review export`.
#[derive(Debug, Clone, Default, Args)]
pub struct ReviewExport {
    /// A run id, the start of one, `latest`, or the path of a run folder
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,

    /// Only this contract's; may be given more than once
    #[arg(long = "contract", value_name = "CONTRACT")]
    pub contracts: Vec<String>,

    /// Also what needs nobody: what safe actions repair, what is on its way, what was decided
    #[arg(long)]
    pub all: bool,

    /// The file to write, which must not be there yet [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// The folder of run folders and ledger [default: the contract file's `reports`, or `reports` here]
    #[arg(long, value_name = "DIR")]
    pub reports: Option<PathBuf>,
}

/// `reconcile review import`.
#[derive(Debug, Clone, Default, Args)]
pub struct ReviewImport {
    /// The file with the decisions
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Who decided, where the file's `who` is empty
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

/// `reconcile history`.
#[derive(Debug, Clone, Default, Args)]
pub struct History {
    /// Contracts to show [default: all of the ledger and of the file]
    #[arg(value_name = "CONTRACT")]
    pub contracts: Vec<String>,

    /// How many runs of each, the newest [default: 30]
    #[arg(long, value_name = "N")]
    pub last: Option<usize>,

    /// Draw with ASCII alone
    #[arg(long)]
    pub ascii: bool,

    /// Where runs were written.
    #[command(flatten)]
    pub reports: Reports,
}

#[cfg(test)]
mod tests;
