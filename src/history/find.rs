//! Which folder a run is in: by its id, the beginning of it, `latest`, or a path. The newest run is the one that the ledger says was
//! the last, whatever other folders are called; one that is missing is an error, never an older run in its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::{is_run_id, is_set_aside};
use super::ledger::Ledger;
use super::manifest::{self, Manifest};
use super::place::{at, names};

/// The folder of a published run: by its id, the beginning of it, `latest`, or a path.
///
/// # Errors
/// That there is no such run.
pub fn locate(reports: &Path, run: &str) -> io::Result<PathBuf> {
    find(reports, run)
}

pub(super) fn find(reports: &Path, run: &str) -> io::Result<PathBuf> {
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
    let runs = runs(reports)?;
    if run == "latest" {
        return newest(reports, &runs);
    }
    let folder = reports.join(run);
    if folder.is_dir() && is_run_id(run) {
        let problem = format!("{}: holds no {}, so it is not a run that is whole", folder.display(), manifest::FILE);
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
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

/// That there is no run of such a name, with what there is instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchRun(String);

impl NoSuchRun {
    /// Whether this is what an error says.
    #[must_use]
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).is_some()
    }
}

fn not_found<T>(problem: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::NotFound, NoSuchRun(problem)))
}

fn is_run(folder: &Path) -> bool {
    folder.join(manifest::FILE).is_file()
}

/// The names of the run folders, sorted, without those that say that they are none.
fn runs(reports: &Path) -> io::Result<Vec<String>> {
    let mut runs = match names(reports) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return not_found(format!("{}: is not there, so there are no runs", reports.display()));
        }
        names => names?,
    };
    runs.retain(|name| !name.starts_with('.') && is_run(&reports.join(name)) && !is_set_aside(reports, name));
    Ok(runs)
}

/// The last run of the ledger that was not pruned, or a later one that a crash kept from its line. Without a ledger the last by its id,
/// which sorts by time.
fn newest(reports: &Path, runs: &[String]) -> io::Result<PathBuf> {
    let ledger = Ledger::read(reports)?;
    let pruned = ledger.pruned();
    let mut kept = ledger.runs().map(|(_, line)| line.run_id.as_str()).filter(|run| !pruned.contains(run));
    let of_line = kept.next_back();
    // A copy under another name is not the run that its name says.
    let itself = |name: &&String| is_run_id(name) && run_id_of(&reports.join(name)).as_deref() == Some(name.as_str());
    let recorded = |name: &str| ledger.runs().any(|(_, line)| line.run_id == name);
    let later = runs.iter().rev().filter(|name| of_line.is_none_or(|last| name.as_str() > last));
    let later = later.filter(|name| !recorded(name)).find(itself);
    match (later, of_line) {
        (Some(later), _) => Ok(reports.join(later)),
        (None, Some(last)) if is_run(&reports.join(last)) => Ok(reports.join(last)),
        (None, Some(last)) => not_found(format!(
            "{}: the newest run in the ledger is `{last}`, and its folder is missing, though no line says that it was pruned; \
             `reconcile audit verify` says more, and an older run can be named by its id",
            reports.display()
        )),
        (None, None) => not_found(format!("{}: holds no runs", reports.display())),
    }
}

fn run_id_of(folder: &Path) -> Option<String> {
    let bytes = fs::read(folder.join(manifest::FILE)).ok()?;
    Manifest::parse(&bytes).ok().map(|manifest| manifest.run_id)
}
