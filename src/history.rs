//! Runs and the hash-chained ledger: publishes a run folder whole or not at all, appends its line, proves both unchanged.
//!
//! Every file and the hashing are described in docs/formats.md. It never compares data, and takes every instant as a value.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::audit::Audit;

mod applied;
mod consistency;
mod decisions;
mod dossier;
mod export;
mod find;
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
mod watch;

#[cfg(test)]
mod tests;

pub use applied::{Applied, Proved, Receipt, may_append, proved, receipt, receipt_path, record_apply, unfinished};
pub use consistency::{Consistency, Continued, End, prove_continued};
pub use decisions::{
    Line as DecisionLine, decisions, decisions_before, line as decision_line, personal_key, personal_key_made,
    record as record_decisions, standing_lines,
};
pub use dossier::{Dossier, Recorded, WantedKey, dossier};
pub use export::{Exported, Extras, export};
pub use find::{NoSuchRun, locate};
pub use findings::{Finding, Findings, Plan, Planned, Proposals, Proposed, Severities, newest_run, run_folder};
pub use folder::RunFolder;
pub use owners::{PastOwners, last_owners};
pub use pages::{LineRef, Pages};
pub use parity::{Condition, Gate, Status, parity};
pub use place::{Heard, plain};
pub use proof::{Against, Included, Proof, prove};
pub use prune::{Retention, prune};
pub use reproduce::{Comparison, Evidence, Retelling, compare, evidence};
pub use resume::{CutOff, cut_off};
pub use runs::{PAGE, renew_index};
pub use sign::{PublicKeys, Signer};
pub use signatures::Signatures;
pub use standing::{Cadence, Standing};
pub use trail::{Entry, Facts, Kept, Trail};
pub use trend::{Point, Spoke, State, Trend, Worth, trends};
pub use verify::{Verification, verify, verify_signed, verify_signed_from};
pub use watch::{Unwatched, Watch};

use find::find;
use ledger::Ledger;
use manifest::Manifest;
use place::{at, invalid};

/// The newest verdict of each contract, with its run id, from the ledger's runs. A run that `--where` narrowed says nothing of the
/// whole and is passed over, as `Standing::of` does.
///
/// # Errors
/// What could not be read.
pub fn last_verdicts(reports: &Path) -> io::Result<BTreeMap<String, (String, String)>> {
    let mut verdicts = BTreeMap::new();
    let Some(trail) = Trail::open(reports)? else { return Ok(verdicts) };
    for entry in trail.runs().rev() {
        if entry.contracts().all(|name| verdicts.contains_key(name)) {
            continue;
        }
        if let Facts::Whole(kept) = entry.read()?
            && kept.narrowed().is_some()
        {
            continue;
        }
        for name in entry.contracts() {
            let said = (entry.verdict_of(name).unwrap_or_default().to_owned(), entry.run_id().to_owned());
            verdicts.entry(name.to_owned()).or_insert(said);
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
    if !ledger_path.try_exists().map_err(at(&ledger_path))? {
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

/// How many bytes the files of a folder of runs hold, one level deep, or of one run; what cannot be seen counts nothing. For
/// telling how far something is, never for a result.
#[must_use]
pub fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() && !entry.file_name().to_string_lossy().starts_with('.') => {
            let files = fs::read_dir(entry.path()).into_iter().flatten().flatten();
            files.filter_map(|file| file.metadata().ok()).filter(fs::Metadata::is_file).map(|file| file.len()).sum()
        }
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.flatten().map(of).sum()
}
