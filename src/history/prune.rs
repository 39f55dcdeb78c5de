//! Retention: which run folders go, and in which order things happen so that `audit verify` stays clean whenever the power
//! fails. It never takes the newest run, a run without a line, or one that was changed: that would remove evidence.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::folder::{PRUNED, remove_leftovers};
use super::ledger::{self, Draft, Ledger};
use super::place::{at, invalid, sync_folder};
use super::sign::Signer;
use super::size;
use super::verify::check_folder_heard;
use super::watch::Watch;

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

/// Removes old run folders; their ledger lines stay, and a ledger line says what was pruned. A run goes only where
/// everything that `retention` says lets it go, so saying nothing removes nothing. Returns the runs, oldest first. A ledger
/// that is signed takes no line that is not. `watch` is told how far it is.
///
/// # Errors
/// What could not be removed or written, or a run that was changed and is therefore kept, with all others.
pub fn prune(
    reports: &Path,
    retention: Retention,
    now: jiff::Timestamp,
    signer: Option<&Arc<Signer>>,
    watch: &dyn Watch,
) -> io::Result<Vec<String>> {
    watch.reads("looking at the ledger", 0);
    fs::read_dir(reports).map_err(at(reports))?;
    let lock = ledger::lock(reports)?;
    let mut ledger = Ledger::read(reports)?.signed_with(signer);
    ledger.unsigned_line(signer.is_some()).map_err(|problem| invalid(reports, problem))?;
    if let Some(complaint) = ledger.complaints().first() {
        return Err(invalid(reports, format!("{complaint}; nothing is pruned from a ledger that was changed")));
    }
    let already = ledger.pruned();
    // A prune that a crash cut short: the line is there, the folder still is. Its removal is finished now.
    let unfinished: Vec<String> = ledger
        .runs()
        .filter(|(_, run)| already.contains(run.run_id.as_str()) && reports.join(&run.run_id).is_dir())
        .map(|(_, run)| run.run_id.clone())
        .collect();
    let gone = going(reports, &ledger, retention, now)?;
    if !retention.dry_run {
        watch.reads("proving what goes", gone.iter().map(|run_id| size(&reports.join(run_id))).sum());
        for run_id in &gone {
            let line = ledger.runs().find(|(_, run)| &run.run_id == run_id).map(|(_, run)| run);
            if let Some(problem) =
                check_folder_heard(&reports.join(run_id), run_id, line, &|bytes| watch.did(0, bytes))?.0.first()
            {
                return Err(invalid(reports, format!("{problem}; nothing is pruned before that is looked at")));
            }
        }
        if !gone.is_empty() {
            ledger.append(&lock, Draft::Prune { recorded_at: now.to_string(), runs: gone.clone() })?;
        }
        watch.goes_through("removing", "run", (unfinished.len() + gone.len()) as u64);
        for run_id in unfinished.iter().chain(&gone) {
            let folder = reports.join(run_id);
            // Renamed first, so that no half-removed folder ever stands under a run's name.
            let aside = reports.join(format!(".{run_id}{PRUNED}"));
            fs::rename(&folder, &aside).map_err(at(&folder))?;
            fs::remove_dir_all(&aside).map_err(at(&aside))?;
            watch.did(1, 0);
        }
        remove_leftovers(reports)?;
        sync_folder(reports)?;
    }
    Ok(unfinished.into_iter().chain(gone).collect())
}

/// The runs that nothing in `retention` keeps, oldest first.
fn going(reports: &Path, ledger: &Ledger, retention: Retention, now: jiff::Timestamp) -> io::Result<Vec<String>> {
    if retention.keep_runs.is_none() && retention.keep_days.is_none() {
        return Ok(Vec::new());
    }
    let pruned = ledger.pruned();
    let mut gone = Vec::new();
    let present = ledger
        .runs()
        .rev()
        .filter(|(_, run)| !pruned.contains(run.run_id.as_str()) && reports.join(&run.run_id).is_dir());
    for (newer, (_, run)) in present.enumerate() {
        let recorded_at: jiff::Timestamp = run
            .recorded_at
            .parse()
            .map_err(|_| invalid(reports, format!("`{}` is not an instant", run.recorded_at)))?;
        let age = now.duration_since(recorded_at);
        let young =
            retention.keep_days.is_some_and(|days| age < jiff::SignedDuration::from_hours(24 * i64::from(days)));
        let among_newest = newer < retention.keep_runs.unwrap_or(0).max(1);
        if !young && !among_newest {
            gone.push(run.run_id.clone());
        }
    }
    gone.reverse();
    Ok(gone)
}
