//! A run folder while it is written aside, and the moment in which it becomes the run: rename, then the ledger's line. It
//! never changes a folder that was published.
//!
//! ```text
//! reports/.RUNID.partial/.lock     held while the run lives; a folder whose lock is free is a dead run's and is removed
//! reports/RUNID/                   after the rename, under the ledger's lock
//! reports/ledger.ndjson            its line, under the same lock
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fingerprints::Fingerprints;
use super::ledger::{self, Draft, Ledger, Lock};
use super::manifest::{self, ContractFileRecord, FileRecord, Manifest};
use super::place::{Digested, Unsynced, at, invalid, names, record, sync_folder};
use super::sign::Signer;
use super::standing::Standing;
use super::verify;
use super::{resume, runs};
use crate::audit::{Audit, Measured, Recorder};
use crate::cache;
use crate::classify::Divergence;
use crate::contract::{Contract, ContractFile};
use crate::plan::Action;
use crate::report::parquet::DivergenceWriter;
use crate::report::{json, markdown, plan};

mod machines;
mod of_plan;
mod over_time;
mod page;

use page::Gathered;

const PARTIAL: &str = ".partial";
/// A file in a folder that is kept beside the runs and is none.
const NO_RUN: &str = ".not-a-run";
/// A run folder on its way out, see `prune`.
pub(super) const PRUNED: &str = ".pruned";
const STAGING_LOCK: &str = ".lock";

/// A run folder that is being written aside; nothing of it is seen before `publish`.
pub struct RunFolder {
    reports: PathBuf,
    run_id: String,
    staging: Staging,
    /// None once they are finished.
    writers: Option<(DivergenceWriter<Digested>, Digested)>,
    /// Of the divergences that were told, for `over_time`.
    fingerprints: Fingerprints,
    /// `recurrence.parquet`, once it is written.
    recurrence: Option<FileRecord>,
    /// What was made of the plan.
    made_of_plan: Vec<FileRecord>,
    standing: Vec<Standing>,
    signer: Option<Arc<Signer>>,
    measured: Measured,
    contract_files: Vec<ContractFile>,
    /// Where the rows of its contracts lie.
    whereabouts: resume::Whereabouts,
    /// For `report.html`.
    page: Gathered,
    /// What is written but not yet on the disk.
    unsynced: Unsynced,
}

impl RunFolder {
    /// Creates `reports` where it is missing, takes what an earlier crash left (adopted run folders are named in the
    /// result), and begins a folder aside. Fails before anything is compared where `reports` is not writable.
    ///
    /// # Errors
    /// What kept it from being created.
    pub fn begin(reports: &Path, run_id: &str) -> io::Result<(Self, Vec<String>)> {
        Self::begin_signed(reports, run_id, None)
    }

    /// The same of a run whose manifest and line are signed.
    ///
    /// # Errors
    /// What kept it from being created.
    pub fn begin_signed(reports: &Path, run_id: &str, signer: Option<Arc<Signer>>) -> io::Result<(Self, Vec<String>)> {
        let usable = !run_id.is_empty()
            && run_id.chars().all(|character| character.is_ascii_alphanumeric() || "-_.".contains(character));
        if !usable || run_id.starts_with('.') {
            let problem = format!("run id `{run_id}`: expected letters, digits, `-`, `_` and `.`");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        fs::create_dir_all(reports).map_err(at(reports))?;
        let lock = ledger::lock(reports)?;
        let mut ledger = Ledger::read(reports)?.signed_with(signer.as_ref());
        ledger.readable()?;
        let broken = ledger.broken().into_iter().next();
        let mut notes: Vec<_> = match &broken {
            Some(place) => vec![format!(
                "{place}; the ledger was changed before this run, so what it says up to there is not proved, and no run \
                 is adopted; `reconcile audit verify` says more"
            )],
            None => ledger.cut_short().map(|cut| format!("{cut}; `reconcile audit verify` says more")).collect(),
        };
        notes.extend(ledger.unsigned_line(signer.is_some()).err());
        notes.extend(remove_leftovers(reports)?);
        notes.extend(match broken {
            Some(_) => not_adopted(reports, &ledger)?,
            None => adopt(reports, &mut ledger, &lock)?,
        });
        let target = reports.join(run_id);
        if target.exists() || ledger.runs().any(|(_, run)| run.run_id == run_id) {
            return Err(exists(&target));
        }
        let staging = Staging::create(reports, run_id)?;
        let divergences = DivergenceWriter::new(Digested::create(&staging.folder, "divergences.parquet")?)?;
        let plan = Digested::create(&staging.folder, "plan.ndjson")?;
        let (reports, run_id) = (reports.to_owned(), run_id.to_owned());
        let fingerprints = Fingerprints::new(&std::env::temp_dir());
        let writers = Some((divergences, plan));
        let folder = Self {
            reports,
            run_id,
            staging,
            writers,
            fingerprints,
            recurrence: None,
            made_of_plan: Vec::new(),
            standing: Vec::new(),
            signer,
            measured: Measured::default(),
            contract_files: Vec::new(),
            whereabouts: resume::Whereabouts::new(),
            page: Gathered::default(),
            unsynced: Unsynced::default(),
        };
        Ok((folder, notes))
    }

    /// Says which files the contracts were read from.
    pub fn read_from(&mut self, files: &[ContractFile]) {
        self.contract_files = files.to_vec();
    }

    /// Says which contracts it is of, so that another run may go on from it.
    pub fn of_contracts(&mut self, contracts: &[Arc<Contract>]) {
        self.whereabouts = resume::whereabouts(contracts);
    }

    #[cfg(test)]
    pub(super) fn set_whereabouts(&mut self, whereabouts: resume::Whereabouts) {
        self.whereabouts = whereabouts;
    }

    /// Writes the rest, fsyncs all of it, renames into place, appends the ledger line. Returns the folder.
    ///
    /// # Errors
    /// What kept it from being published; then nothing is left under the run's name.
    pub fn publish(mut self, audit: &Audit) -> io::Result<PathBuf> {
        if audit.run_id != self.run_id {
            let problem = format!("run `{}` cannot be published as `{}`", audit.run_id, self.run_id);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let mut manifest = Manifest::of(audit, self.write_files(audit)?);
        manifest.contract_files = self.contract_files.iter().map(ContractFileRecord::of).collect();
        let mut bytes = serde_json::to_vec_pretty(&manifest)?;
        bytes.push(b'\n');
        let digest = self.write(manifest::FILE, |out| out.write_all(&bytes))?.blake3;
        let signature = self.sign(&bytes)?;
        let draft = Draft::run(&manifest, (digest, signature), false)
            .map_err(|problem| invalid(&self.staging.folder, problem))?;
        self.unsynced.sync()?;

        let lock = ledger::lock(&self.reports)?;
        let target = self.reports.join(&self.run_id);
        if target.exists() {
            return Err(exists(&target));
        }
        let mut ledger = Ledger::read(&self.reports)?.signed_with(self.signer.as_ref());
        // Only now, under the lock, may the mark of a live run go: who cleans up holds the same lock.
        self.staging.release()?;
        sync_folder(&self.staging.folder)?;
        fs::rename(&self.staging.folder, &target).map_err(at(&target))?;
        if let Err(error) = sync_folder(&self.reports).and_then(|()| ledger.append(&lock, draft)) {
            // Back aside, where dropping `self` removes it.
            fs::rename(&target, &self.staging.folder).map_err(at(&target))?;
            return Err(error);
        }
        Ok(target)
    }

    fn write_files(&mut self, audit: &Audit) -> io::Result<Vec<FileRecord>> {
        let (divergences, plan) =
            self.writers.take().ok_or_else(|| io::Error::other("the run was already published"))?;
        let mut files = vec![
            divergences.finish()?.finish(&self.unsynced)?,
            plan.finish(&self.unsynced)?,
            self.write("summary.json", |out| json::render(audit, out))?,
            self.write("report.md", |out| markdown::render(audit, out))?,
        ];
        files.extend(self.write_for_machines(audit)?);
        if let Some(document) = resume::document(audit, &self.whereabouts)? {
            files.push(self.write(resume::FILE, |out| out.write_all(&document))?);
        }
        files.extend(self.recurrence.take());
        files.append(&mut self.made_of_plan);
        files.push(self.write_page(audit, &files)?);
        Ok(files)
    }

    /// Writes the manifest's signature and says what its digest is; None where the run is not signed.
    fn sign(&self, manifest: &[u8]) -> io::Result<Option<String>> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let signature = signer.sign(manifest, &format!("{} of run {}", manifest::FILE, self.run_id))?;
        let file = self.write(&manifest::signature_file(), |out| out.write_all(signature.as_bytes()))?;
        Ok(Some(file.blake3))
    }

    fn write(&self, name: &str, render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<FileRecord> {
        let mut file = Digested::create(&self.staging.folder, name)?;
        render(&mut file)?;
        file.finish(&self.unsynced)
    }

    fn writers(&mut self) -> io::Result<&mut (DivergenceWriter<Digested>, Digested)> {
        self.writers.as_mut().ok_or_else(|| io::Error::other("the run was already published"))
    }
}

impl Recorder for RunFolder {
    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        self.fingerprints.add(contract, divergence.fingerprint)?;
        self.page.divergence(contract, divergence);
        self.writers()?.0.write(contract, divergence)
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.page.action(action);
        plan::write_action(action, &mut self.writers()?.1)
    }
}

fn exists(target: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{}: there is a run of this name already", target.display()))
}

/// The folder aside. Whatever of it is left when it is dropped is removed.
struct Staging {
    folder: PathBuf,
    lock: Option<File>,
}

impl Staging {
    /// The ledger's lock must be held.
    fn create(reports: &Path, run_id: &str) -> io::Result<Self> {
        let folder = reports.join(format!(".{run_id}{PARTIAL}"));
        fs::create_dir(&folder).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                io::Error::new(error.kind(), format!("{}: another process is writing this run", folder.display()))
            }
            _ => at(&folder)(error),
        })?;
        let mut staging = Self { folder, lock: None };
        let path = staging.folder.join(STAGING_LOCK);
        let lock = File::create_new(&path).map_err(at(&path))?;
        lock.lock().map_err(at(&path))?;
        staging.lock = Some(lock);
        Ok(staging)
    }

    /// Removes the mark of a live run. The ledger's lock must be held.
    fn release(&mut self) -> io::Result<()> {
        let path = self.folder.join(STAGING_LOCK);
        fs::remove_file(&path).map_err(at(&path))?;
        self.lock = None;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a publication there is nothing under this name. What cannot be removed now the next run removes.
        _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what dead runs and prunes left aside, and says so. The ledger's lock must be held.
pub(super) fn remove_leftovers(reports: &Path) -> io::Result<Vec<String>> {
    let mut notes = Vec::new();
    for name in names(reports)? {
        let folder = reports.join(&name);
        let ours = name.starts_with('.') && (name.ends_with(PARTIAL) || name.ends_with(PRUNED));
        if !ours || !folder.is_dir() || (name.ends_with(PARTIAL) && lives(&folder)?) {
            continue;
        }
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
        if name.ends_with(PARTIAL) {
            notes.push(format!("{}: removed what a run left that did not end", folder.display()));
        }
    }
    Ok(notes)
}

fn lives(staging: &Path) -> io::Result<bool> {
    let path = staging.join(STAGING_LOCK);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at(&path)(error)),
    };
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(at(&path)(error)),
    }
}

/// Says which runs have no line. Where the chain is broken, a line may have been taken out, and adopting its run would hide
/// that.
fn not_adopted(reports: &Path, ledger: &Ledger) -> io::Result<Vec<String>> {
    let runs = without_line(reports, ledger)?.into_iter();
    Ok(runs.map(|run| format!("run `{run}` has no ledger line and was not adopted: the ledger is broken")).collect())
}

/// Appends the line of each whole run folder that has none, in the order of the run ids, and says so.
fn adopt(reports: &Path, ledger: &mut Ledger, lock: &Lock) -> io::Result<Vec<String>> {
    let mut notes = Vec::new();
    for run_id in without_line(reports, ledger)? {
        let folder = reports.join(&run_id);
        // A manifest is written before the folder gets its name, so a crash leaves none without one.
        if !folder.join(manifest::FILE).is_file() {
            notes.push(format!("run `{run_id}` has no ledger line and was not adopted: {} is missing", manifest::FILE));
            continue;
        }
        let (changed, manifest) = verify::check_folder(&folder, &run_id, None)?;
        let digest = record(&folder, manifest::FILE)?;
        match (changed.first(), manifest, digest) {
            (None, Some(manifest), Some(digest)) => {
                let signature = record(&folder, &manifest::signature_file())?.map(|file| file.blake3);
                let draft = Draft::run(&manifest, (digest.blake3, signature), true)
                    .map_err(|problem| invalid(&folder, problem))?;
                ledger.append(lock, draft)?;
                notes.push(format!("run `{run_id}` was adopted: it has a folder but had no ledger line"));
            }
            (problem, ..) => {
                let problem = problem.map_or("its manifest cannot be read", String::as_str);
                notes.push(format!("run `{run_id}` has no ledger line and was not adopted: {problem}"));
            }
        }
    }
    Ok(notes)
}

/// Folders that the ledger does not know, sorted by name: those whose name has the form of a run id, whatever they hold,
/// and those that hold a manifest, unless they say that they are no run.
pub(super) fn without_line(reports: &Path, ledger: &Ledger) -> io::Result<Vec<String>> {
    let known: std::collections::BTreeSet<_> = ledger.runs().map(|(_, run)| run.run_id.as_str()).collect();
    let mut unknown = names(reports)?;
    unknown.retain(|name| !name.starts_with('.') && !known.contains(name.as_str()));
    unknown.retain(|name| {
        let folder = reports.join(name);
        let is_run = folder.join(manifest::FILE).is_file() || (is_run_id(name) && folder.is_dir());
        is_run && !is_set_aside(reports, name)
    });
    Ok(unknown)
}

/// What lies in `reports` and belongs neither to a run nor to the ledger, sorted by name. `without_line` are the folders
/// that are spoken of already.
pub(super) fn strays(reports: &Path, ledger: &Ledger, without_line: &[String]) -> io::Result<Vec<String>> {
    let mut known: std::collections::BTreeSet<_> = ledger.runs().map(|(_, run)| run.run_id.as_str()).collect();
    known.extend(without_line.iter().map(String::as_str));
    // A checkout keeps its runs out of git with the last of these; what is kept between runs proves nothing.
    known.extend([ledger::FILE, ledger::LOCK, cache::FOLDER, ".gitignore", runs::INDEX, runs::INDEX_ASIDE]);
    known.extend([super::decisions::FILE, super::decisions::KEY_FILE, super::applied::FOLDER]);
    let mut strays = Vec::new();
    for name in names(reports)? {
        let staging = name.starts_with('.') && name.ends_with(PARTIAL) && reports.join(&name).is_dir();
        let ours =
            known.contains(name.as_str()) || is_set_aside(reports, &name) || (staging && lives(&reports.join(&name))?);
        if !ours {
            strays.push(name);
        }
    }
    Ok(strays)
}

/// Whether a folder is kept here and says itself that it is no run. One with the name of a run cannot say so.
pub(super) fn is_set_aside(reports: &Path, name: &str) -> bool {
    !is_run_id(name) && reports.join(name).join(NO_RUN).is_file()
}

/// The form of a run id: the instant of its begin in UTC, `Z-`, and what tells runs of the same instant apart.
pub(super) fn is_run_id(name: &str) -> bool {
    let digits = |text: &str, least: usize| text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.split_once('T').and_then(|(day, rest)| Some((day, rest.split_once("Z-")?)));
    parts.is_some_and(|(day, (time, salt))| {
        day.len() == 8
            && digits(day, 8)
            && digits(time, 6)
            && !salt.is_empty()
            && salt.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
