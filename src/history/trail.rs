//! The runs that the ledger knows, as far as their folders still tell of them. A manifest is held against the ledger's
//! line before it is believed; the other files of a run are not looked at unless they are asked for. It never writes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::ledger::{self, Ledger, Lock, RunRecord};
use super::manifest::{self, FileRecord, Manifest};
use super::place::{Heard, at, invalid, record_heard};
use super::verify::check_folder_heard;
use crate::audit::{Audit, ContractAudit, Verdict};

/// The runs of a folder of reports, in the order of the ledger.
pub struct Trail {
    reports: PathBuf,
    ledger: Ledger,
    /// Held, so that no run is seen half published or half pruned.
    _lock: Option<Lock>,
}

impl Trail {
    /// Reads the ledger; None where there is none.
    ///
    /// # Errors
    /// What kept it from being read.
    pub fn open(reports: &Path) -> io::Result<Option<Self>> {
        let path = reports.join(ledger::FILE);
        // A folder that may not be entered is not one without a ledger.
        if !path.try_exists().map_err(at(&path))? {
            return Ok(None);
        }
        let lock = ledger::lock_shared(reports)?;
        Ok(Some(Self { reports: reports.to_owned(), ledger: Ledger::read(reports)?, _lock: lock }))
    }

    /// Reads the ledger, which nobody else then reads or writes; one that is not there is empty.
    ///
    /// # Errors
    /// What kept it from being read.
    pub(super) fn alone(reports: &Path) -> io::Result<Self> {
        let lock = ledger::lock(reports)?;
        Ok(Self { reports: reports.to_owned(), ledger: Ledger::read(reports)?, _lock: Some(lock) })
    }

    /// In what the ledger is not as it was written, each a sentence that names the line.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.ledger.complaints()
    }

    /// Where its lines contradict each other; one that was cut short is not counted, since the next run mends it.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        self.ledger.broken()
    }

    /// Run folders that the ledger does not know; the next run adopts them where they are whole.
    ///
    /// # Errors
    /// What kept the folder from being listed.
    pub fn without_line(&self) -> io::Result<Vec<String>> {
        super::folder::without_line(&self.reports, &self.ledger)
    }

    /// The runs, the oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.ledger.runs().map(|(_, line)| Entry { trail: self, line })
    }

    /// The runs in which a contract was meant to be compared, the newest first.
    pub fn of_contract<'t>(&'t self, contract: &'t str) -> impl Iterator<Item = Entry<'t>> {
        self.runs().rev().filter(move |entry| entry.verdict_of(contract).is_some())
    }
}

/// One run, by its line in the ledger.
#[derive(Clone, Copy)]
pub struct Entry<'t> {
    trail: &'t Trail,
    line: &'t RunRecord,
}

impl<'t> Entry<'t> {
    /// Its id.
    #[must_use]
    pub fn run_id(&self) -> &'t str {
        &self.line.run_id
    }

    /// When it ended; None where the line tells no instant.
    #[must_use]
    pub fn recorded_at(&self) -> Option<Timestamp> {
        self.line.recorded_at.parse().ok()
    }

    /// How it ended, by the ledger.
    #[must_use]
    pub fn verdict(&self) -> &'t str {
        &self.line.verdict
    }

    /// The contracts that it was about.
    pub fn contracts(&self) -> impl Iterator<Item = &'t str> + use<'t> {
        self.line.contracts.iter().map(|contract| contract.name.as_str())
    }

    /// How a contract ended, by the ledger.
    #[must_use]
    pub fn verdict_of(&self, contract: &str) -> Option<&'t str> {
        let found = self.line.contracts.iter().find(|known| known.name == contract);
        found.map(|known| known.verdict.as_str())
    }

    /// Where its folder is.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.trail.reports.join(&self.line.run_id)
    }

    /// What its manifest holds.
    ///
    /// # Errors
    /// What kept it from being read, other than that it is not there.
    pub fn read(&self) -> io::Result<Facts> {
        let path = self.folder().join(manifest::FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pruned = self.trail.ledger.pruned().contains(self.run_id());
                let problem =
                    format!("run `{}`: its folder is missing, and no line says that it was pruned", self.run_id());
                return Ok(if pruned { Facts::Pruned } else { Facts::Damaged(problem) });
            }
            Err(error) => return Err(at(&path)(error)),
        };
        let damaged = |problem: String| Facts::Damaged(format!("run `{}`: {problem}", self.run_id()));
        if blake3::hash(&bytes).to_hex().as_str() != self.line.manifest {
            return Ok(damaged(format!("{} was changed: its BLAKE3 is not the one in the ledger", manifest::FILE)));
        }
        let manifest = match Manifest::parse(&bytes) {
            Ok(manifest) => manifest,
            Err(problem) => return Ok(damaged(format!("{}: {problem}", manifest::FILE))),
        };
        let (tool_version, files) = (manifest.tool.version.clone(), manifest.files.clone());
        Ok(match manifest.into_audit() {
            Ok(audit) => Facts::Whole(Box::new(Kept { audit, tool_version, files })),
            Err(problem) => damaged(format!("{}: {problem}", manifest::FILE)),
        })
    }

    /// What in its folder is not as its manifest says, every file looked at; `heard` is told how many bytes were read.
    ///
    /// # Errors
    /// What kept the folder from being read.
    pub fn check(&self, heard: Heard<'_>) -> io::Result<Vec<String>> {
        Ok(check_folder_heard(&self.folder(), self.run_id(), Some(self.line), heard)?.0)
    }

    /// A file of the run, whose bytes were held against the manifest; None where the run has none of the name.
    pub(super) fn open(&self, kept: &Kept, name: &str) -> io::Result<Option<File>> {
        open_file(&self.folder(), &kept.files, name, &|_| {})
    }
}

/// A file of a run folder whose manifest lists these; None where it lists none of the name. `heard` is told how many bytes were
/// read to prove it.
pub(super) fn open_file(folder: &Path, files: &[FileRecord], name: &str, heard: Heard<'_>) -> io::Result<Option<File>> {
    let Some(listed) = files.iter().find(|file| file.name == name) else { return Ok(None) };
    let path = folder.join(name);
    match record_heard(folder, name, heard)? {
        Some(seen) if seen == *listed => File::open(&path).map(Some).map_err(at(&path)),
        Some(_) => Err(invalid(&path, "was changed: its BLAKE3 is not the one in manifest.json")),
        None => Err(invalid(&path, "is missing")),
    }
}

/// What is left of a run.
#[derive(Debug)]
pub enum Facts {
    /// Its manifest is the one that the ledger knows.
    Whole(Box<Kept>),
    /// The ledger says that its folder was removed.
    Pruned,
    /// It is missing or was changed: a sentence that names the run.
    Damaged(String),
}

/// A run whose manifest is the one that the ledger knows.
#[derive(Debug)]
pub struct Kept {
    /// Its facts.
    pub audit: Audit,
    /// The version of this program that wrote it.
    pub tool_version: String,
    files: Vec<FileRecord>,
}

impl Kept {
    /// The predicate that left out a part of the keys, where there was one.
    #[must_use]
    pub fn narrowed(&self) -> Option<&str> {
        self.audit.narrowed()
    }

    /// What it found of a contract.
    #[must_use]
    pub fn contract(&self, name: &str) -> Option<&ContractAudit> {
        self.audit.contracts.iter().find(|contract| contract.name == name)
    }

    /// The same, if the contract was compared to its end and as a whole.
    #[must_use]
    pub fn compared(&self, name: &str) -> Option<&ContractAudit> {
        self.contract(name).filter(|contract| contract.verdict != Verdict::Unverified && self.narrowed().is_none())
    }
}
