//! Reads a published run's divergences and repair actions back, line by line in little memory, and brings the two together:
//! both files are in the order in which rows were told apart. It never changes a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ledger::{self, Ledger};
use super::place::{Heard, at, invalid};
use super::verify::check_folder_heard;
use crate::contract::Severity;

/// A line of `divergences.parquet`, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// The contract.
    pub contract: String,
    /// The kind's name.
    pub kind: String,
    /// The severity's name.
    pub severity: String,
    /// What set it.
    pub reason: String,
    /// JSON object text.
    pub key: Option<String>,
    /// The attribute.
    pub attribute: Option<String>,
    /// The authority's value.
    pub authority_value: Option<String>,
    /// The projection's value.
    pub projection_value: Option<String>,
    /// The source that owns the attribute.
    pub authority_source: String,
    /// The cause's name.
    pub cause: Option<String>,
    /// In hex.
    pub fingerprint: String,
    /// In hex; None where a later run could not know the divergence again.
    pub row_digest: Option<String>,
}

/// The divergences of a run, one after the other.
pub struct Findings {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
    batch: Option<(RecordBatch, usize)>,
    lines: u64,
}

impl Findings {
    /// Opens the divergences of a run folder.
    ///
    /// # Errors
    /// What kept them from being read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("divergences.parquet");
        let file = File::open(&path).map_err(at(&path))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| invalid(&path, error))?;
        let lines = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
        let reader = builder.with_batch_size(1024).build().map_err(|error| invalid(&path, error))?;
        Ok(Self { path, reader, batch: None, lines })
    }

    /// How many there are.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl Iterator for Findings {
    type Item = io::Result<Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((batch, row)) = self.batch.as_mut().filter(|(batch, row)| *row < batch.num_rows()) {
                *row += 1;
                return Some(Ok(finding(batch, *row - 1)));
            }
            match self.reader.next()? {
                Ok(batch) => self.batch = Some((batch, 0)),
                Err(error) => return Some(Err(invalid(&self.path, error))),
            }
        }
    }
}

/// A row of a batch.
pub(super) fn finding(batch: &RecordBatch, row: usize) -> Finding {
    let text = |name: &str| {
        let column: &StringArray = batch.column_by_name(name)?.as_string_opt()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    let always = |name: &str| text(name).unwrap_or_default();
    Finding {
        contract: always("contract"),
        kind: always("kind"),
        severity: always("severity"),
        reason: always("reason"),
        key: text("key"),
        attribute: text("attribute"),
        authority_value: text("authority_value"),
        projection_value: text("projection_value"),
        authority_source: always("authority_source"),
        cause: text("cause"),
        fingerprint: always("fingerprint"),
        row_digest: text("row_digest"),
    }
}

/// What the plan proposes for a divergence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proposed {
    /// What would be done.
    pub op: String,
    /// Who may do it.
    pub safety: String,
    /// Why it has its safety.
    pub reason: String,
}

/// A line of `plan.ndjson`.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The line itself.
    pub line: String,
    /// The contract.
    pub contract: String,
    /// The kind's name.
    pub kind: String,
    /// JSON object text.
    pub key: String,
    /// What is proposed.
    pub proposed: Proposed,
    /// The attributes that it touches.
    pub attributes: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Wire {
    contract: String,
    kind: String,
    op: String,
    key: Box<RawValue>,
    before: Option<BTreeMap<String, Box<RawValue>>>,
    after: Option<BTreeMap<String, Box<RawValue>>>,
    safety: String,
    reason: String,
}

/// The repair actions of a run, one after the other.
pub struct Plan {
    path: PathBuf,
    lines: io::Lines<BufReader<File>>,
    number: usize,
    bytes: u64,
}

impl Plan {
    /// Opens the plan of a run folder.
    ///
    /// # Errors
    /// What kept it from being read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join("plan.ndjson");
        let file = File::open(&path).map_err(at(&path))?;
        let bytes = file.metadata().map_err(at(&path))?.len();
        Ok(Self { path, lines: BufReader::new(file).lines(), number: 0, bytes })
    }

    /// How many bytes its lines have, with the ends of lines.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn parse(&self, line: String) -> io::Result<Planned> {
        let wire: Wire = serde_json::from_str(&line)
            .map_err(|error| invalid(&self.path, format!("line {}: not an action: {error}", self.number)))?;
        let attributes = wire.before.into_iter().chain(wire.after).flat_map(BTreeMap::into_keys).collect();
        Ok(Planned {
            line,
            contract: wire.contract,
            kind: wire.kind,
            key: wire.key.get().to_owned(),
            proposed: Proposed { op: wire.op, safety: wire.safety, reason: wire.reason },
            attributes,
        })
    }
}

impl Iterator for Plan {
    type Item = io::Result<Planned>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(line.map_err(at(&self.path)).and_then(|line| self.parse(line)))
    }
}

/// Tells what the plan proposes for each divergence, asked in the order of the file.
pub struct Proposals {
    plan: std::iter::Peekable<Plan>,
    /// Contract and key.
    group: Option<(String, Option<String>)>,
    /// What is proposed for it. Keys that are masked alike are one group, so like actions are held once.
    held: BTreeSet<(Proposed, BTreeSet<String>)>,
}

impl Proposals {
    /// Of a run folder.
    ///
    /// # Errors
    /// What kept the plan from being read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { plan: Plan::open(folder)?.peekable(), group: None, held: BTreeSet::new() })
    }

    /// What is proposed for the next divergence.
    ///
    /// # Errors
    /// What kept the plan from being read.
    pub fn of(&mut self, finding: &Finding) -> io::Result<Option<Proposed>> {
        let group = (finding.contract.clone(), finding.key.clone());
        if self.group.as_ref() != Some(&group) {
            self.held.clear();
            let answers = |planned: &Planned| planned.contract == group.0 && Some(&planned.key) == group.1.as_ref();
            while self.plan.peek().is_some_and(|next| next.as_ref().map_or(true, answers)) {
                let Some(planned) = self.plan.next().transpose()? else { break };
                self.held.insert((planned.proposed, planned.attributes));
            }
            self.group = Some(group);
        }
        let fits = |attributes: &BTreeSet<String>| match &finding.attribute {
            Some(attribute) => attributes.contains(attribute),
            None => true,
        };
        Ok(self.held.iter().find(|(_, attributes)| fits(attributes)).map(|(proposed, _)| proposed.clone()))
    }
}

/// Tells the worst severity of the divergences that actions answer, asked in the order of the plan.
pub struct Severities {
    findings: std::iter::Peekable<Findings>,
    group: Option<(String, String)>,
    worst: Option<Severity>,
}

impl Severities {
    /// Of a run folder.
    ///
    /// # Errors
    /// What kept the divergences from being read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self { findings: Findings::open(folder)?.peekable(), group: None, worst: None })
    }

    /// The worst severity of what the next action answers.
    ///
    /// # Errors
    /// What kept the divergences from being read.
    pub fn of(&mut self, planned: &Planned) -> io::Result<Option<Severity>> {
        let group = (planned.contract.clone(), planned.key.clone());
        if self.group.as_ref() == Some(&group) {
            return Ok(self.worst);
        }
        let answered = |finding: &Finding| finding.contract == group.0 && finding.key.as_ref() == Some(&group.1);
        self.worst = None;
        while let Some(next) = self.findings.peek() {
            let fits = next.as_ref().map_or(true, answered);
            if !fits && self.worst.is_some() {
                break;
            }
            let Some(finding) = self.findings.next().transpose()? else { break };
            if fits {
                let severity = Severity::ALL.into_iter().find(|severity| severity.name() == finding.severity);
                self.worst = self.worst.max(severity);
            }
        }
        self.group = Some(group);
        Ok(self.worst)
    }
}

/// The folder of a run, by its id, the beginning of one, `latest`, or a path.
///
/// # Errors
/// That there is no such run.
pub fn run_folder(reports: &Path, run: &str) -> io::Result<PathBuf> {
    super::find(reports, run)
}

/// The newest run that compared a contract and whose folder is there, proved to be unchanged. `heard` is told how many bytes of it
/// were read.
///
/// # Errors
/// What could not be read, or that the folder was changed.
pub fn newest_run(reports: &Path, contract: &str, heard: Heard<'_>) -> io::Result<Option<(String, PathBuf)>> {
    let _lock = ledger::lock_shared(reports)?;
    let ledger = Ledger::read(reports)?;
    let compared = |run: &ledger::RunRecord| run.contracts.iter().any(|one| one.name == contract);
    let there = |run: &ledger::RunRecord| reports.join(&run.run_id).is_dir();
    let Some((_, run)) = ledger.runs().rev().find(|(_, run)| compared(run) && there(run)) else { return Ok(None) };
    let folder = reports.join(&run.run_id);
    if let Some(problem) = check_folder_heard(&folder, &run.run_id, Some(run), heard)?.0.first() {
        return Err(invalid(reports, format!("{problem}; nothing is decided by a run that was changed")));
    }
    Ok(Some((run.run_id.clone(), folder)))
}
