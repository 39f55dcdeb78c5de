//! What was applied: receipts in `applied`, beside the runs, and their lines in the ledger; and the proof that a run's plan is
//! the one that was written. It never writes to a target and never reads what a receipt says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ledger::{self, Draft, Ledger, Record};
use super::place::{at, invalid, names, record, sync_folder};
use super::sign::Signer;
use super::verify::check_folder;
use super::{find, load};
use crate::audit::Audit;

/// Where receipts are.
pub(super) const FOLDER: &str = "applied";
const EXTENSION: &str = ".ndjson";
/// The locks of applies, which prove nothing.
const LOCK: &str = ".lock";

/// What the ledger says of an apply.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Its id, which names its receipt.
    pub apply_id: String,
    /// The run whose plan it was.
    pub run_id: String,
    /// The apply that it undid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back: Option<String>,
    /// Actions that were done.
    pub done: u64,
    /// Actions that were not.
    pub skipped: u64,
    /// BLAKE3 of the receipt.
    pub receipt: String,
}

/// A receipt that is proved to be the one that was written.
#[derive(Debug)]
pub struct Receipt {
    /// Its file.
    pub path: PathBuf,
    /// What the ledger says of it.
    pub applied: Applied,
    /// The apply that undid it already, unless that was undone in turn.
    pub undone_by: Option<String>,
    /// Receipts of the same call, of other targets.
    pub beside: Vec<String>,
}

/// A run whose files are proved to be those that were written.
#[derive(Debug)]
pub struct Proved {
    /// Its folder.
    pub folder: PathBuf,
    /// The folder of runs and ledger.
    pub reports: PathBuf,
    /// What it found.
    pub audit: Audit,
    /// BLAKE3 of its plan.
    pub plan: String,
}

/// Proves a run by the ledger beside it; `run` as `report` takes it.
///
/// # Errors
/// That there is no such run, that no ledger knows it, or that a file of it was changed.
pub fn proved(reports: &Path, run: &str) -> io::Result<Proved> {
    let folder = find(reports, run)?;
    let audit = load(reports, run)?;
    let reports = folder.parent().unwrap_or(Path::new(".")).to_owned();
    let _lock = ledger::lock_shared(&reports)?;
    let ledger = Ledger::read(&reports)?;
    if let Some(complaint) = ledger.broken().first() {
        return Err(invalid(&reports, format!("{complaint}; nothing is applied by a ledger that was changed")));
    }
    let line = ledger.runs().find(|(_, line)| line.run_id == audit.run_id);
    let Some((_, line)) = line else {
        return Err(invalid(&folder, "no ledger beside it holds the run, so its plan proves nothing"));
    };
    if let Some(problem) = check_folder(&folder, &audit.run_id, Some(line))?.0.first() {
        return Err(invalid(&reports, problem));
    }
    let plan = record(&folder, "plan.ndjson")?.ok_or_else(|| invalid(&folder, "holds no plan.ndjson"))?.blake3;
    Ok(Proved { folder, reports, audit, plan })
}

/// Where the receipt of an apply is; makes the folder.
///
/// # Errors
/// What kept the folder from being made.
pub fn receipt_path(reports: &Path, apply_id: &str) -> io::Result<PathBuf> {
    let folder = reports.join(FOLDER);
    if !folder.is_dir() {
        fs::create_dir(&folder).map_err(at(&folder))?;
        sync_folder(reports)?;
    }
    Ok(folder.join(format!("{apply_id}{EXTENSION}")))
}

/// Journals that no line of the ledger holds: of applies that did not end, in the order of their ids.
///
/// # Errors
/// What could not be read.
pub fn unfinished(reports: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = reports.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let ledger = Ledger::read(reports)?;
    let known = |id: &str| applied(&ledger).any(|(_, applied)| applied.apply_id == id);
    let ids = names(&folder)?.into_iter().filter_map(|name| name.strip_suffix(EXTENSION).map(str::to_owned));
    Ok(ids.filter(|id| !known(id)).map(|id| folder.join(format!("{id}{EXTENSION}"))).collect())
}

/// The receipt of an apply, by its id, the start of one, `latest`, or its path; proved by the ledger. `latest` is the last apply
/// that wrote anything and was no rollback, so that to ask for it twice is the same as once.
///
/// # Errors
/// That there is none, or that it was changed.
pub fn receipt(reports: &Path, wanted: &str) -> io::Result<Receipt> {
    let name = Path::new(wanted).file_name().map_or(wanted.into(), |name| name.to_string_lossy().into_owned());
    let name = name.strip_suffix(EXTENSION).unwrap_or(&name).to_owned();
    let reports = if wanted.ends_with(EXTENSION) {
        let path = std::path::absolute(wanted).map_err(at(Path::new(wanted)))?;
        path.parent().and_then(Path::parent).unwrap_or(reports).to_owned()
    } else {
        reports.to_owned()
    };
    let _lock = ledger::lock_shared(&reports)?;
    let ledger = Ledger::read(&reports)?;
    if let Some(complaint) = ledger.broken().first() {
        return Err(invalid(&reports, format!("{complaint}; nothing is undone by a ledger that was changed")));
    }
    let all: Vec<&Applied> = applied(&ledger).map(|(_, applied)| applied).collect();
    let found: Vec<&Applied> = match name.as_str() {
        "latest" => all.iter().copied().rfind(|applied| wrote(applied)).into_iter().collect(),
        name => all.iter().copied().filter(|applied| applied.apply_id.starts_with(name)).collect(),
    };
    match found.as_slice() {
        [one] => {
            let problem = changed(&reports, one)?;
            if let Some(problem) = problem {
                return Err(invalid(&reports, problem));
            }
            let same_call = |id: &str| id.rsplit_once('-').map(|(time, _)| time.to_owned());
            let beside = all.iter().filter(|other| {
                other.apply_id != one.apply_id && wrote(other) && same_call(&other.apply_id) == same_call(&one.apply_id)
            });
            Ok(Receipt {
                path: reports.join(FOLDER).join(format!("{}{EXTENSION}", one.apply_id)),
                undone_by: undone_by(&all, one).map(str::to_owned),
                beside: beside.map(|other| other.apply_id.clone()).collect(),
                applied: (*one).clone(),
            })
        }
        [] => Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: no receipt `{wanted}`", reports.display()))),
        several => {
            let problem = format!("receipt `{wanted}`: {} begin like that", several.len());
            Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
        }
    }
}

/// Whether an apply wrote what a rollback may be asked for.
fn wrote(applied: &Applied) -> bool {
    applied.rolls_back.is_none() && applied.done > 0
}

/// The rollback of an apply that still stands.
fn undone_by<'a>(all: &[&'a Applied], one: &Applied) -> Option<&'a str> {
    let place = all.iter().position(|applied| applied.apply_id == one.apply_id)?;
    let undoes = |later: &&&'a Applied| later.rolls_back.as_deref() == Some(&one.apply_id) && later.done > 0;
    let undone = all[place..].iter().filter(undoes).find(|later| undone_by(&all[place + 1..], later).is_none());
    undone.map(|later| later.apply_id.as_str())
}

/// Refuses what would append a line without signature to a ledger that is signed, before anything is done.
///
/// # Errors
/// That it would, or what could not be read.
pub fn may_append(reports: &Path, signer: Option<&Arc<Signer>>) -> io::Result<()> {
    Ledger::read(reports)?.unsigned_line(signer.is_some()).map_err(|problem| invalid(reports, problem))
}

/// Records a receipt, which nothing is written to any more.
///
/// # Errors
/// What kept the line from being written.
pub fn record_apply(
    reports: &Path,
    mut applied: Applied,
    now: jiff::Timestamp,
    signer: Option<&Arc<Signer>>,
) -> io::Result<()> {
    let lock = ledger::lock(reports)?;
    let mut ledger = Ledger::read(reports)?.signed_with(signer);
    if let Some(complaint) = ledger.broken().first() {
        return Err(invalid(reports, format!("{complaint}; nothing is added to a ledger that was changed")));
    }
    let folder = reports.join(FOLDER);
    let name = format!("{}{EXTENSION}", applied.apply_id);
    let seen = record(&folder, &name)?.ok_or_else(|| invalid(&folder.join(&name), "is missing"))?;
    applied.receipt = seen.blake3;
    ledger.append(&lock, Draft::Apply { recorded_at: now.to_string(), applied })
}

fn applied(ledger: &Ledger) -> impl Iterator<Item = (usize, &Applied)> {
    ledger.records().filter_map(|(number, record)| match record {
        Record::Apply(line) => Some((number, &line.applied)),
        _ => None,
    })
}

fn changed(reports: &Path, applied: &Applied) -> io::Result<Option<String>> {
    let name = format!("{}{EXTENSION}", applied.apply_id);
    Ok(match record(&reports.join(FOLDER), &name)? {
        None => Some(format!("{FOLDER}/{name} is missing")),
        Some(seen) if seen.blake3 != applied.receipt => {
            Some(format!("{FOLDER}/{name} was changed: its BLAKE3 is not the one in the ledger"))
        }
        Some(_) => None,
    })
}

/// What of the receipts is not as the ledger says, and what is worth a word.
pub(super) fn check(reports: &Path, ledger: &Ledger) -> io::Result<(Vec<String>, Vec<String>)> {
    let mut complaints = Vec::new();
    for (_, applied) in applied(ledger) {
        complaints.extend(changed(reports, applied)?);
    }
    let folder = reports.join(FOLDER);
    let mut notes = Vec::new();
    if folder.is_dir() {
        let known = |id: &str| applied(ledger).any(|(_, applied)| applied.apply_id == id);
        for name in names(&folder)?.iter().filter(|name| !name.ends_with(LOCK)) {
            match name.strip_suffix(EXTENSION) {
                Some(id) if known(id) => {}
                Some(id) => notes.push(format!(
                    "apply `{id}` did not end: `reconcile apply` of the same plan with --execute goes on with it"
                )),
                None => notes.push(format!("`{FOLDER}/{name}` is no receipt")),
            }
        }
    }
    Ok((complaints, notes))
}
