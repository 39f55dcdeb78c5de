//! `ledger.ndjson`: one line a run or a prune, each chained to the exact bytes of the line before.
//!
//! ```text
//! line 1  {… "previous":"000…0",           "merkle_root":…, "line_digest":…}
//!            │ BLAKE3 of the whole line, without its newline
//! line 2  {… "previous":"<of line 1>", …   "line_digest":"<of this line up to here>"}
//! ```
//!
//! `previous` ties a line to those before it, `line_digest` guards the last line, which nothing follows yet, and
//! `merkle_root` ties it to every manifest so far. This module never looks into run folders; it never changes a whole line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::applied::Applied;
use super::decisions::Recorded;
use super::manifest::Manifest;
use super::merkle;
use super::place::{at, invalid, sync_folder};
use super::sign::Signer;

pub(super) mod signed;

pub(super) const FILE: &str = "ledger.ndjson";
pub(super) const LOCK: &str = ".ledger.lock";
const FORMAT_VERSION: u32 = 1;
pub(super) const LINE_DIGEST: &str = r#","line_digest":""#;

/// One line. `record` says which; both know their place in the chain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    Run(RunRecord),
    Prune(PruneRecord),
    Decisions(DecisionsRecord),
    Apply(ApplyRecord),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRecord {
    format_version: u32,
    pub(super) sequence: u64,
    pub(super) run_id: String,
    pub(super) recorded_at: String,
    pub(super) verdict: String,
    pub(super) contracts: Vec<ContractVerdict>,
    /// The line was written by a later run, because a crash came between folder and line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) adopted: bool,
    /// Bytes of a line cut short that this line took the place of.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) torn_bytes: u64,
    previous: String,
    pub(super) manifest: String,
    /// Of `RUNID/manifest.json.minisig`, where the run is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) manifest_signature: Option<String>,
    pub(super) merkle_root: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PruneRecord {
    format_version: u32,
    pub(super) sequence: u64,
    pub(super) recorded_at: String,
    pub(super) runs: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) torn_bytes: u64,
    previous: String,
    merkle_root: String,
}

/// Decisions of people were taken in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct DecisionsRecord {
    format_version: u32,
    pub(super) sequence: u64,
    pub(super) recorded_at: String,
    #[serde(flatten)]
    pub(super) recorded: Recorded,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) torn_bytes: u64,
    previous: String,
    merkle_root: String,
}

/// A plan was applied, or an apply undone.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ApplyRecord {
    format_version: u32,
    pub(super) sequence: u64,
    pub(super) recorded_at: String,
    #[serde(flatten)]
    pub(super) applied: Applied,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) torn_bytes: u64,
    previous: String,
    merkle_root: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContractVerdict {
    pub(super) name: String,
    pub(super) verdict: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    fn format_version(&self) -> u32 {
        match self {
            Self::Run(run) => run.format_version,
            Self::Prune(prune) => prune.format_version,
            Self::Decisions(line) => line.format_version,
            Self::Apply(line) => line.format_version,
        }
    }

    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Run(run) => run.sequence,
            Self::Prune(prune) => prune.sequence,
            Self::Decisions(line) => line.sequence,
            Self::Apply(line) => line.sequence,
        }
    }

    fn previous(&self) -> &str {
        match self {
            Self::Run(run) => &run.previous,
            Self::Prune(prune) => &prune.previous,
            Self::Decisions(line) => &line.previous,
            Self::Apply(line) => &line.previous,
        }
    }

    pub(super) fn merkle_root(&self) -> &str {
        match self {
            Self::Run(run) => &run.merkle_root,
            Self::Prune(prune) => &prune.merkle_root,
            Self::Decisions(line) => &line.merkle_root,
            Self::Apply(line) => &line.merkle_root,
        }
    }

    fn torn_bytes(&self) -> u64 {
        match self {
            Self::Run(run) => run.torn_bytes,
            Self::Prune(prune) => prune.torn_bytes,
            Self::Decisions(line) => line.torn_bytes,
            Self::Apply(line) => line.torn_bytes,
        }
    }
}

/// What a new line says, before it has a place in the chain.
pub(super) enum Draft {
    Run {
        run_id: String,
        recorded_at: String,
        verdict: String,
        contracts: Vec<ContractVerdict>,
        adopted: bool,
        manifest: String,
        manifest_signature: Option<String>,
    },
    Prune {
        recorded_at: String,
        runs: Vec<String>,
    },
    Decisions {
        recorded_at: String,
        recorded: Recorded,
    },
    Apply {
        recorded_at: String,
        applied: Applied,
    },
}

impl Draft {
    /// The line of a run with this manifest. The digests are those of the manifest's file and of its signature's.
    pub(super) fn run(manifest: &Manifest, digests: (String, Option<String>), adopted: bool) -> Result<Self, String> {
        let verdict_of = |contract: &super::manifest::ContractRecord| ContractVerdict {
            name: contract.name.clone(),
            verdict: contract.verdict.clone(),
        };
        Ok(Self::Run {
            run_id: manifest.run_id.clone(),
            recorded_at: manifest.recorded_at()?.to_string(),
            verdict: manifest.verdict.clone(),
            contracts: manifest.contracts.iter().map(verdict_of).collect(),
            adopted,
            manifest: digests.0,
            manifest_signature: digests.1,
        })
    }
}

/// The right to read or write ledger and run folders while nobody else writes them.
pub(super) struct Lock {
    _file: File,
}

/// Waits until nobody else writes or reads. A lock is released by the system also when its holder is killed.
pub(super) fn lock(reports: &Path) -> io::Result<Lock> {
    let path = reports.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    file.lock().map_err(at(&path))?;
    Ok(Lock { _file: file })
}

/// Waits until nobody writes. None where there is no lock file or it may not be opened, as on an archive's read-only
/// copy: nobody writes there.
pub(super) fn lock_shared(reports: &Path) -> io::Result<Option<Lock>> {
    let path = reports.join(LOCK);
    let Ok(file) = File::open(&path) else { return Ok(None) };
    file.lock_shared().map_err(at(&path))?;
    Ok(Some(Lock { _file: file }))
}

/// A ledger as it stands.
pub(super) struct Ledger {
    path: PathBuf,
    pub(super) lines: Vec<Line>,
    /// Bytes after the last newline that are not a whole line: an append that a crash cut short.
    pub(super) torn_bytes: u64,
    /// The last line is whole but for its newline.
    pub(super) unterminated: bool,
    bytes: u64,
    /// What signs new lines.
    signer: Option<Arc<Signer>>,
}

/// One line as it stands.
pub(super) struct Line {
    /// BLAKE3 of its bytes, without the newline.
    digest: String,
    /// What it says, or why it is not a line of a ledger.
    pub(super) record: Result<Record, String>,
    /// The line itself.
    pub(super) text: Box<[u8]>,
}

impl Ledger {
    /// Reads the ledger; one that is not there yet is empty.
    pub(super) fn read(reports: &Path) -> io::Result<Self> {
        let path = reports.join(FILE);
        let content = match fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(at(&path)(error)),
        };
        let bytes = content.len() as u64;
        let mut ledger = Self { path, lines: Vec::new(), torn_bytes: 0, unterminated: false, bytes, signer: None };
        let mut rest = content.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            ledger.lines.push(Line::read(&rest[..end]));
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            let line = Line::read(rest);
            if line.record.is_ok() {
                ledger.unterminated = true;
                ledger.lines.push(line);
            } else {
                ledger.torn_bytes = rest.len() as u64;
            }
        }
        Ok(ledger)
    }

    /// The same ledger, whose new lines are signed.
    pub(super) fn signed_with(mut self, signer: Option<&Arc<Signer>>) -> Self {
        self.signer = signer.map(Arc::clone);
        self
    }

    /// How many lines there are, and the digest of the last one in hex.
    pub(super) fn end(&self) -> Option<(usize, String)> {
        self.lines.last().map(|line| (self.lines.len(), line.digest.clone()))
    }

    /// The lines that can be read, with their numbers from 1.
    pub(super) fn records(&self) -> impl Iterator<Item = (usize, &Record)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| Some((index + 1, line.record.as_ref().ok()?)))
    }

    /// The lines of runs, with their numbers from 1.
    pub(super) fn runs(&self) -> impl DoubleEndedIterator<Item = (usize, &RunRecord)> {
        self.lines.iter().enumerate().filter_map(|(index, line)| match &line.record {
            Ok(Record::Run(run)) => Some((index + 1, run)),
            _ => None,
        })
    }

    /// The runs that a line says were pruned.
    pub(super) fn pruned(&self) -> BTreeSet<&str> {
        let prunes = self.records().filter_map(|(_, record)| match record {
            Record::Prune(prune) => Some(prune),
            Record::Run(_) | Record::Decisions(_) | Record::Apply(_) => None,
        });
        prunes.flat_map(|prune| prune.runs.iter().map(String::as_str)).collect()
    }

    /// Everything in which the ledger is not as it was written, each a sentence that names the line.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.broken().into_iter().chain(self.cut_short()).collect()
    }

    /// Everything in which the lines contradict themselves or each other, each a sentence that names the line.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut expected = 1;
        let mut before = "0".repeat(64);
        let mut tree = merkle::Tree::default();
        let mut run_ids = BTreeMap::new();
        for (index, line) in self.lines.iter().enumerate() {
            let number = index + 1;
            match &line.record {
                Err(problem) => {
                    complaints.push(at_line(number, &format!("changed: {problem}")));
                    expected += 1;
                }
                Ok(record) => {
                    complaints.extend(link_complaints(record, number, expected, &before));
                    expected = record.sequence().saturating_add(1);
                    if let Record::Run(run) = record {
                        if let Some(first) = run_ids.insert(&run.run_id, number) {
                            let problem = format!("run `{}` has a line already, line {first}", run.run_id);
                            complaints.push(at_line(number, &problem));
                        }
                        // One that is not hex cannot be in any root, so the root complains of it.
                        tree.push(&blake3::Hash::from_hex(&run.manifest).unwrap_or_else(|_| blake3::hash(b"")));
                    }
                    // Where the chain is broken, the roots after it say nothing new.
                    if complaints.is_empty() && record.merkle_root() != tree.root().to_hex().as_str() {
                        complaints.push(at_line(number, "its `merkle_root` is not that of the manifests up to it"));
                    }
                }
            }
            before.clone_from(&line.digest);
        }
        complaints
    }

    /// What a crash may have left at the end, which the next append repairs.
    pub(super) fn cut_short(&self) -> impl Iterator<Item = String> {
        let count = self.lines.len();
        let bytes = if self.torn_bytes == 1 { "1 byte".to_owned() } else { format!("{} bytes", self.torn_bytes) };
        let torn = (self.torn_bytes > 0).then(|| at_line(count + 1, &format!("cut short after {bytes}")));
        let unterminated = self.unterminated.then(|| at_line(count, "the newline at its end is missing"));
        torn.into_iter().chain(unterminated)
    }

    /// Appends a line and brings it to the disk; on an error the ledger is what it was. A line that a crash cut short is
    /// taken away, and the new line says how many bytes that were.
    pub(super) fn append(&mut self, _lock: &Lock, draft: Draft) -> io::Result<()> {
        let line = self.chain(draft)?;
        let new = self.bytes == 0;
        let whole_bytes = self.bytes - self.torn_bytes;
        let mut file = OpenOptions::new().append(true).create(true).open(&self.path).map_err(at(&self.path))?;
        let mut text = if self.unterminated { "\n".to_owned() } else { String::new() };
        text.push_str(&line);
        text.push('\n');
        let written = (|| {
            if self.torn_bytes > 0 {
                file.set_len(whole_bytes)?;
            }
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })();
        if let Err(error) = written {
            // What was torn before is not worth keeping; what is whole is. If even this fails, the next append repairs.
            _ = file.set_len(whole_bytes);
            return Err(at(&self.path)(error));
        }
        if new {
            sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        self.bytes = whole_bytes + text.len() as u64;
        (self.torn_bytes, self.unterminated) = (0, false);
        self.lines.push(Line::read(line.as_bytes()));
        Ok(())
    }

    /// Refuses a ledger that cannot be continued.
    pub(super) fn readable(&self) -> io::Result<()> {
        for (index, line) in self.lines.iter().enumerate() {
            if let Err(problem) = &line.record {
                let problem = format!(
                    "line {}: {problem}; nothing can be appended to it (restore it, or move the whole folder aside)",
                    index + 1
                );
                return Err(invalid(&self.path, problem));
            }
        }
        Ok(())
    }

    fn chain(&self, draft: Draft) -> io::Result<String> {
        self.readable()?;
        let last = self.records().last().map_or(0, |(_, record)| record.sequence());
        let sequence = last.checked_add(1).ok_or_else(|| invalid(&self.path, "no sequence number is left"))?;
        let previous = self.lines.last().map_or_else(|| "0".repeat(64), |line| line.digest.clone());
        let new_manifest = match &draft {
            Draft::Run { manifest, .. } => Some(manifest),
            Draft::Prune { .. } | Draft::Decisions { .. } | Draft::Apply { .. } => None,
        };
        let mut tree = merkle::Tree::default();
        for manifest in self.runs().map(|(_, run)| &run.manifest).chain(new_manifest) {
            tree.push(&blake3::Hash::from_hex(manifest).map_err(|error| invalid(&self.path, error))?);
        }
        let merkle_root = tree.root().to_hex().to_string();
        let (format_version, torn_bytes) = (FORMAT_VERSION, self.torn_bytes);
        let record = match draft {
            Draft::Run { run_id, recorded_at, verdict, contracts, adopted, manifest, manifest_signature } => {
                Record::Run(RunRecord {
                    format_version,
                    sequence,
                    run_id,
                    recorded_at,
                    verdict,
                    contracts,
                    adopted,
                    torn_bytes,
                    previous,
                    manifest,
                    manifest_signature,
                    merkle_root,
                })
            }
            Draft::Prune { recorded_at, runs } => Record::Prune(PruneRecord {
                format_version,
                sequence,
                recorded_at,
                runs,
                torn_bytes,
                previous,
                merkle_root,
            }),
            Draft::Decisions { recorded_at, recorded } => Record::Decisions(DecisionsRecord {
                format_version,
                sequence,
                recorded_at,
                recorded,
                torn_bytes,
                previous,
                merkle_root,
            }),
            Draft::Apply { recorded_at, applied } => Record::Apply(ApplyRecord {
                format_version,
                sequence,
                recorded_at,
                applied,
                torn_bytes,
                previous,
                merkle_root,
            }),
        };
        let object = serde_json::to_string(&record)?;
        let signer = self.signer.as_deref();
        Ok(sealed(&signer.map_or(Ok(object.clone()), |signer| signed::sign(&object, sequence, signer))?))
    }
}

/// How a line does not follow the one before it.
fn link_complaints(record: &Record, number: usize, expected: u64, before: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if record.sequence() != expected {
        complaints.push(at_line(
            number,
            &format!(
                "its sequence is {}, expected {expected}: a line before it was removed, repeated or moved",
                record.sequence()
            ),
        ));
    }
    if record.previous() != before {
        complaints.push(at_line(
            number,
            &match number {
                1 => "it follows another line, but is the first: lines before it were removed or moved".to_owned(),
                _ => format!(
                    "its `previous` is not the BLAKE3 of line {}: that line was changed, or a line was removed, \
                     repeated or moved",
                    number - 1
                ),
            },
        ));
    }
    complaints
}

pub(super) fn at_line(number: usize, problem: &str) -> String {
    format!("{FILE}, line {number}: {problem}")
}

impl Line {
    pub(super) fn read(bytes: &[u8]) -> Self {
        Self { digest: blake3::hash(bytes).to_hex().to_string(), record: parse(bytes), text: bytes.into() }
    }
}

/// A JSON object with the BLAKE3 of its bytes, but for the closing brace, as its last member.
fn sealed(object: &str) -> String {
    let content = object.strip_suffix('}').unwrap_or(object);
    format!("{content}{LINE_DIGEST}{}\"}}", blake3::hash(content.as_bytes()).to_hex())
}

fn parse(bytes: &[u8]) -> Result<Record, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let (content, _) = text.rsplit_once(LINE_DIGEST).ok_or("it has no `line_digest` at its end")?;
    let object = format!("{content}}}");
    if sealed(&object) != text {
        return Err("its `line_digest` is not that of its bytes".to_owned());
    }
    let record: Record =
        serde_json::from_str(&signed::without(&object)).map_err(|error| format!("not a line of a ledger: {error}"))?;
    if record.format_version() != FORMAT_VERSION {
        return Err(format!("format version {}, this version reads {FORMAT_VERSION}", record.format_version()));
    }
    Ok(record)
}

/// What a reader of the ledger should know that is not a change: adopted runs, repaired lines.
pub(super) fn notes(ledger: &Ledger) -> Vec<String> {
    let mut notes = Vec::new();
    for (number, record) in ledger.records() {
        if let Record::Run(run) = record
            && run.adopted
        {
            notes.push(format!(
                "{FILE}, line {number}: run `{}` was adopted: its folder was there, its line was not",
                run.run_id
            ));
        }
        if record.torn_bytes() > 0 {
            let torn = record.torn_bytes();
            notes
                .push(format!("{FILE}, line {number}: took the place of a line that was cut short after {torn} bytes"));
        }
    }
    notes
}
