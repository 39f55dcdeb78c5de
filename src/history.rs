//! Runs and the hash-chained ledger: publishes a run folder whole or not at all, appends its line, proves both unchanged.
//!
//! Every file and the hashing are described in docs/formats.md. It never compares data, and takes every instant as a value.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::Audit;

mod applied;
mod consistency;
mod decisions;
mod dossier;
mod export;
mod findings;
mod fingerprints;
mod folder;
mod ledger;
mod manifest;
mod merkle;
mod owners;
mod pages;
mod parity;
mod place;
mod previous;
mod proof;
mod prune;
mod reproduce;
mod resume;
mod runs;
mod sign;
mod signatures;
mod standing;
mod trail;
mod trend;
mod verify;

#[cfg(test)]
mod tests;

pub use applied::{Applied, Proved, may_append, proved, receipt, receipt_path, record_apply, unfinished};
pub use consistency::{Consistency, Continued, End, prove_continued};
pub use decisions::{
    Line as DecisionLine, decisions, decisions_before, line as decision_line, personal_key, personal_key_made,
    record as record_decisions, standing_lines,
};
pub use dossier::{Dossier, Recorded, WantedKey, dossier};
pub use export::{Exported, Extras, export};
pub use findings::{Finding, Findings, Plan, Planned, Proposals, Proposed, Severities, newest_run, run_folder};
pub use folder::RunFolder;
pub use owners::{PastOwners, last_owners};
pub use pages::{LineRef, Pages};
pub use parity::{Condition, Gate, Status, parity};
pub use proof::{Against, Included, Proof, prove};
pub use prune::{Retention, prune};
pub use reproduce::{Comparison, Evidence, Retelling, compare, evidence};
pub use resume::{CutOff, cut_off};
pub use runs::{PAGE, renew_index};
pub use sign::{PublicKeys, Signer};
pub use signatures::Signatures;
pub use standing::{Cadence, Standing};
pub use trail::{Entry, Facts, Kept, Trail};
pub use trend::{Point, State, Trend, trends};
pub use verify::{Verification, verify, verify_signed, verify_signed_from};

use ledger::Ledger;
use manifest::Manifest;
use place::{at, invalid, names};

/// The newest verdict of each contract, with its run id, from the ledger's runs.
///
/// # Errors
/// What could not be read.
pub fn last_verdicts(reports: &Path) -> io::Result<BTreeMap<String, (String, String)>> {
    let ledger = Ledger::read(reports)?;
    let mut verdicts = BTreeMap::new();
    for (_, run) in ledger.runs() {
        for contract in &run.contracts {
            verdicts.insert(contract.name.clone(), (contract.verdict.clone(), run.run_id.clone()));
        }
    }
    Ok(verdicts)
}

/// Reads a published run back as an audit, for `report RUN`. `run` is a run id, a unique prefix, `latest`, or a path. The
/// audit's warnings say where the ledger beside the folder does not know the run.
///
/// # Errors
/// That there is no such run, or that its files contradict themselves.
pub fn load(reports: &Path, run: &str) -> io::Result<Audit> {
    let folder = find(reports, run)?;
    let path = folder.join(manifest::FILE);
    let bytes = fs::read(&path).map_err(at(&path))?;
    let manifest = Manifest::parse(&bytes).map_err(|problem| invalid(&path, problem))?;
    // A folder that was taken out of its place has no ledger beside it; then only what it says itself can be checked.
    let warning = match folder.parent() {
        Some(beside) => unlike_the_ledger(beside, &folder, &manifest, &bytes)?,
        None => None,
    };
    let mut audit = manifest.into_audit().map_err(|problem| invalid(&path, problem))?;
    audit.warnings.extend(warning);
    Ok(audit)
}

/// Where the ledger beside a run folder does not know the run. A manifest other than the one it knows is an error.
fn unlike_the_ledger(beside: &Path, folder: &Path, manifest: &Manifest, bytes: &[u8]) -> io::Result<Option<String>> {
    let ledger_path = beside.join(ledger::FILE);
    if !ledger_path.exists() {
        return Ok(None);
    }
    let ledger = Ledger::read(beside)?;
    let digest = blake3::hash(bytes).to_hex();
    let line_of = |run_id: &str| ledger.runs().find(|(_, line)| line.run_id == run_id);
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let changed = |number: usize| {
        let place = format!("line {number} of {}", ledger_path.display());
        invalid(
            &folder.join(manifest::FILE),
            format!("changed: its BLAKE3 is not the one in the ledger ({place}); `reconcile audit verify` says more"),
        )
    };
    // By the folder's name too, lest a changed run id takes the manifest out of the ledger's reach.
    for run_id in [manifest.run_id.as_str(), &name] {
        if let Some((number, line)) = line_of(run_id)
            && line.manifest != digest.as_str()
        {
            return Err(changed(number));
        }
    }
    let problem = if line_of(&manifest.run_id).is_none() {
        format!("{} has no line of run `{}`", ledger_path.display(), manifest.run_id)
    } else if name != manifest.run_id {
        format!("it holds run `{}`", manifest.run_id)
    } else {
        return Ok(None);
    };
    Ok(Some(format!("{}: {problem}; `reconcile audit verify` says more", folder.display())))
}

/// The folder of a published run: by its id, the beginning of it, `latest`, or a path.
///
/// # Errors
/// That there is no such run.
pub fn locate(reports: &Path, run: &str) -> io::Result<PathBuf> {
    find(reports, run)
}

fn find(reports: &Path, run: &str) -> io::Result<PathBuf> {
    let is_run = |folder: &Path| folder.join(manifest::FILE).is_file();
    let not_found = |problem: String| Err(io::Error::new(io::ErrorKind::NotFound, problem));
    if run.is_empty() {
        return not_found("an empty run id, expected a run id, its beginning, `latest`, or a path".to_owned());
    }
    let as_path = Path::new(run);
    if as_path.components().count() > 1 || run.starts_with('.') {
        if is_run(as_path) {
            // Absolute, so that the ledger beside it is found also from within the folder.
            return std::path::absolute(as_path).map_err(at(as_path));
        }
        return not_found(format!("{run}: not a run folder, it holds no {}", manifest::FILE));
    }
    if is_run(&reports.join(run)) {
        return Ok(reports.join(run));
    }
    let mut runs = names(reports)?;
    runs.retain(|name| !name.starts_with('.') && is_run(&reports.join(name)));
    if run == "latest" {
        // A run id sorts by time.
        return match runs.pop() {
            Some(newest) => Ok(reports.join(newest)),
            None => not_found(format!("{}: holds no runs", reports.display())),
        };
    }
    let matching: Vec<_> = runs.iter().filter(|name| name.starts_with(run)).collect();
    match (matching.as_slice(), runs.as_slice()) {
        ([one], _) => Ok(reports.join(one)),
        ([], [.., newest]) => {
            not_found(format!("{}: no run `{run}` (the newest of {} is `{newest}`)", reports.display(), runs.len()))
        }
        ([], []) => not_found(format!("{}: no run `{run}`, it holds no runs", reports.display())),
        ([first, second, ..], _) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("run `{run}`: {} runs begin like that (`{first}`, `{second}`, …)", matching.len()),
        )),
    }
}
