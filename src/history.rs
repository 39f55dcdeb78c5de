//! Runs and the hash-chained ledger: publishes a run folder whole or not at all, appends its line, proves both unchanged.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::{Audit, Recorder};
use crate::classify::Divergence;
use crate::plan::Action;

/// A run folder that is being written aside; nothing of it is seen before `publish`.
pub struct RunFolder {}

impl RunFolder {
    /// Creates `reports` where it is missing, takes what an earlier crash left (adopted run folders are named in the
    /// result), and begins a folder aside. Fails before anything is compared where `reports` is not writable.
    ///
    /// # Errors
    /// What kept it from being created.
    pub fn begin(reports: &Path, run_id: &str) -> io::Result<(Self, Vec<String>)> {
        let _ = (reports, run_id);
        todo!()
    }

    /// Writes the rest, fsyncs, renames into place, appends the ledger line. Returns the folder.
    ///
    /// # Errors
    /// What kept it from being published; then nothing is left under the run's name.
    pub fn publish(self, audit: &Audit) -> io::Result<PathBuf> {
        let _ = audit;
        todo!()
    }
}

impl Recorder for RunFolder {
    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        let _ = (contract, divergence);
        todo!()
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        let _ = action;
        todo!()
    }
}

/// What `audit verify` found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Runs whose folder and line are unchanged.
    pub unchanged: usize,
    /// What was changed, is missing, or came in another order, each a sentence that names it.
    pub changed: Vec<String>,
    /// Legal but worth a word: a folder without a line yet, a pruned run.
    pub notes: Vec<String>,
}

/// Proves that ledger and run folders are unchanged.
///
/// # Errors
/// What could not be read at all.
pub fn verify(reports: &Path) -> io::Result<Verification> {
    let _ = reports;
    todo!()
}

/// What `audit prune` is asked to keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// The newest so many runs.
    pub keep_runs: Option<usize>,
    /// Runs younger than so many days.
    pub keep_days: Option<u32>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Removes old run folders; their ledger lines stay, and a ledger line says what was pruned.
///
/// # Errors
/// What could not be removed or written.
pub fn prune(reports: &Path, retention: Retention, now: jiff::Timestamp) -> io::Result<Vec<String>> {
    let _ = (reports, retention, now);
    todo!()
}

/// The newest verdict of each contract, with its run id, from the ledger's runs.
///
/// # Errors
/// What could not be read.
pub fn last_verdicts(reports: &Path) -> io::Result<BTreeMap<String, (String, String)>> {
    let _ = reports;
    todo!()
}

/// Reads a published run back as an audit, for `report RUN`. `run` is a run id, a unique prefix, `latest`, or a path.
///
/// # Errors
/// That there is no such run, or that its files contradict themselves.
pub fn load(reports: &Path, run: &str) -> io::Result<Audit> {
    let _ = (reports, run);
    todo!()
}
