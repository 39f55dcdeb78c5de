//! What a run that was cut off leaves to the one that goes on from it: `resume.json`, and the contracts that it compared to their
//! end. A run is proved to be what was published before anything of it is believed. It never compares and never changes a run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::findings::{Findings, Plan};
use super::ledger::{self, Ledger};
use super::manifest::{self, Manifest, digest};
use super::place::{at, invalid};
use super::verify::check_folder;
use crate::audit::{Audit, ContractAudit, Kept, Range, Recorder, Verdict};
use crate::classify::Divergence;
use crate::contract::Contract;
use crate::plan::Action;
use crate::report::json::{SidesRecord, hex};
use crate::report::segments::ReadingRecord;
use crate::sides::Sides;

mod line;
#[cfg(test)]
mod tests;

/// Its name in a run folder.
pub(super) const FILE: &str = "resume.json";
/// Grows with each change of the format that a reader must know of.
const FORMAT_VERSION: u32 = 1;

/// Where the rows of each contract lie, as a digest.
pub(super) type Whereabouts = BTreeMap<String, [u8; 32]>;

#[derive(Debug, Deserialize, Serialize)]
struct Document {
    format_version: u32,
    run_id: String,
    contracts: Vec<ContractRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
struct ContractRecord {
    name: String,
    contract_digest: String,
    sources: String,
    inputs: SidesRecord<Option<String>>,
    readings: Vec<ReadingRecord>,
    ranges: Vec<RangeRecord>,
}

#[derive(Debug, Deserialize, Serialize)]
struct RangeRecord {
    from: i64,
    to: i64,
    rows: u64,
    sum: Option<String>,
    reading: usize,
}

/// Where the rows of contracts lie.
pub(super) fn whereabouts(contracts: &[Arc<Contract>]) -> Whereabouts {
    contracts.iter().map(|contract| (contract.name.clone(), contract.whereabouts())).collect()
}

/// The file of a run that another one may go on from; None where there is nothing to go on with.
pub(super) fn document(audit: &Audit, places: &Whereabouts) -> io::Result<Option<Vec<u8>>> {
    if audit.command != "run" || audit.verdict() != Verdict::Unverified || places.is_empty() {
        return Ok(None);
    }
    let contracts = audit.contracts.iter().filter_map(|contract| {
        let sources = places.get(&contract.name)?;
        let kept = contract.segments.as_ref().and_then(|segments| segments.kept.as_ref());
        let readings = kept.iter().flat_map(|kept| &kept.readings).map(ReadingRecord::of).collect();
        let ranges = kept.iter().flat_map(|kept| &kept.ranges).map(RangeRecord::of).collect();
        let contract_digest = hex(&contract.contract_digest);
        let unknown = Sides::default();
        let inputs = SidesRecord::of(kept.map_or(&unknown, |kept| &kept.inputs), |input| input.as_ref().map(hex));
        let (name, sources) = (contract.name.clone(), hex(sources));
        Some(ContractRecord { name, contract_digest, sources, inputs, readings, ranges })
    });
    let document =
        Document { format_version: FORMAT_VERSION, run_id: audit.run_id.clone(), contracts: contracts.collect() };
    let mut bytes = serde_json::to_vec(&document)?;
    bytes.push(b'\n');
    Ok(Some(bytes))
}

impl RangeRecord {
    fn of(range: &Range) -> Self {
        let Range { low, high, rows, sum, reading } = range;
        Self { from: *low, to: *high, rows: *rows, sum: sum.as_ref().map(hex), reading: *reading }
    }

    fn into_range(self) -> Result<Range, String> {
        let sum = self.sum.as_deref().map(digest).transpose()?;
        Ok(Range { low: self.from, high: self.to, rows: self.rows, sum, reading: self.reading })
    }
}

/// A run that was cut off, proved to be what was published.
#[derive(Debug)]
pub struct CutOff {
    /// What it found.
    pub audit: Audit,
    /// The BLAKE3 of its manifest, in hex.
    pub manifest: String,
    /// The version that wrote it.
    pub tool_version: String,
    /// Whether its digests are of the byte format of this version.
    pub same_digest_format: bool,
    /// Whether it is signed.
    pub is_signed: bool,
    folder: PathBuf,
    places: BTreeMap<String, String>,
    kept: BTreeMap<String, Kept>,
}

/// Reads a run that is to be gone on with.
///
/// # Errors
/// That there is no such run, that it is not what the ledger knows, or that nothing of it is left to do.
pub fn cut_off(reports: &Path, run: &str) -> io::Result<CutOff> {
    if !reports.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("{}: holds no runs", reports.display())));
    }
    let folder = super::find(reports, run).map_err(|error| pruned(reports, run).unwrap_or(error))?;
    let beside = folder.parent().unwrap_or(reports);
    if fs::canonicalize(beside).map_err(at(beside))? != fs::canonicalize(reports).map_err(at(reports))? {
        let problem = format!("lies outside of {}, where this run would be recorded", reports.display());
        return Err(invalid(&folder, problem));
    }
    let _lock = ledger::lock_shared(beside)?;
    let ledger = Ledger::read(beside)?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let line = ledger.runs().find(|(_, line)| line.run_id == name).map(|(_, line)| line);
    let line = line.ok_or_else(|| invalid(beside, format!("{} has no line of run `{name}`", ledger::FILE)))?;
    if let Some(problem) = ledger.broken().into_iter().chain(check_folder(&folder, &name, Some(line))?.0).next() {
        return Err(invalid(beside, format!("{problem}; nothing is taken over from what was changed")));
    }
    let path = folder.join(manifest::FILE);
    let read = Manifest::parse(&fs::read(&path).map_err(at(&path))?).map_err(|problem| invalid(&path, problem))?;
    let (tool_version, same_digest_format) = (read.tool.version.clone(), read.same_digest_format());
    let audit = read.into_audit().map_err(|problem| invalid(&path, problem))?;
    if audit.verdict() != Verdict::Unverified {
        let problem = format!("run `{name}` compared every contract to its end: there is nothing to go on with");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let path = folder.join(FILE);
    let (places, kept) = match fs::read(&path) {
        Ok(bytes) => parsed(&bytes).map_err(|problem| invalid(&path, problem))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(invalid(&folder, format!("holds no {FILE}, so another run cannot go on from it")));
        }
        Err(error) => return Err(at(&path)(error)),
    };
    let (manifest, is_signed) = (line.manifest.clone(), line.manifest_signature.is_some());
    Ok(CutOff { audit, manifest, tool_version, same_digest_format, is_signed, folder, places, kept })
}

/// The error of a run whose folder was removed; None where it is another one.
fn pruned(reports: &Path, run: &str) -> Option<io::Error> {
    let ledger = Ledger::read(reports).ok()?;
    let gone = ledger.pruned().into_iter().find(|gone| !run.is_empty() && gone.starts_with(run))?;
    let problem = format!("run `{gone}` was pruned, so nothing of it can be taken over");
    Some(io::Error::new(io::ErrorKind::NotFound, problem))
}

type Parts = (BTreeMap<String, String>, BTreeMap<String, Kept>);

fn parsed(bytes: &[u8]) -> Result<Parts, String> {
    let document: Document = serde_json::from_slice(bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if document.format_version != FORMAT_VERSION {
        let seen = document.format_version;
        return Err(format!("format version {seen}, this version reads {FORMAT_VERSION}"));
    }
    let (mut places, mut all) = (BTreeMap::new(), BTreeMap::new());
    for contract in document.contracts {
        let readings = contract.readings.into_iter().map(ReadingRecord::into_facts).collect::<Result<Vec<_>, _>>()?;
        let ranges = contract.ranges.into_iter().map(RangeRecord::into_range).collect::<Result<Vec<_>, _>>()?;
        let inputs = contract.inputs.into_sides().try_map(|_, input| input.as_deref().map(digest).transpose())?;
        let kept = Kept { readings, ranges, inputs };
        if let Some(problem) = kept.broken() {
            return Err(format!("contract `{}`: {problem}", contract.name));
        }
        places.insert(contract.name.clone(), contract.sources);
        all.insert(contract.name, kept);
    }
    Ok((places, all))
}

impl CutOff {
    /// Why a contract of now is not the one of the run; None where it is.
    #[must_use]
    pub fn unlike(&self, contract: &Contract) -> Option<String> {
        let name = &contract.name;
        let before = self.audit.contracts.iter().find(|before| before.name == *name)?;
        if before.contract_digest != contract.digest {
            return Some(format!("contract \"{name}\" means something else than in the run"));
        }
        let place = self.places.get(name)?;
        (*place != hex(&contract.whereabouts()))
            .then(|| format!("contract \"{name}\" reads other places than in the run"))
    }

    /// What was found of a contract that was compared to its end.
    #[must_use]
    pub fn found(&self, contract: &str) -> Option<&ContractAudit> {
        let found = self.audit.contracts.iter().find(|found| found.name == contract)?;
        (found.verdict != Verdict::Unverified && self.places.contains_key(contract)).then_some(found)
    }

    /// What can be kept of a contract that was cut off.
    #[must_use]
    pub fn kept(&self, contract: &str) -> Option<&Kept> {
        let found = self.audit.contracts.iter().find(|found| found.name == contract)?;
        let kept = self.kept.get(contract).filter(|kept| !kept.ranges.is_empty());
        kept.filter(|_| found.verdict == Verdict::Unverified)
    }

    /// The contracts whose lines cannot be told again byte for byte, each with what is odd of them.
    ///
    /// # Errors
    /// What kept the files from being read.
    pub fn untellable(&self) -> io::Result<BTreeMap<String, String>> {
        let mut odd = BTreeMap::new();
        for planned in Plan::open(&self.folder)? {
            let planned = planned?;
            if let Err(problem) = line::action(&planned.line) {
                odd.entry(planned.contract).or_insert(problem);
            }
        }
        for finding in Findings::open(&self.folder)? {
            let finding = finding?;
            if let Err(problem) = line::divergence(&finding) {
                odd.entry(finding.contract).or_insert(problem);
            }
        }
        Ok(odd)
    }

    /// Tells what was found of a contract, in the order in which it was told first.
    ///
    /// # Errors
    /// What kept the files from being read, or the recorder from taking it.
    pub fn tell(&self, contract: &str, recorder: &mut dyn Recorder) -> io::Result<()> {
        if !recorder.keeps() {
            return Ok(());
        }
        for finding in Findings::open(&self.folder)? {
            let finding = finding?;
            if finding.contract == contract {
                let divergence: Divergence = line::divergence(&finding).map_err(|said| invalid(&self.folder, said))?;
                recorder.divergence(contract, &divergence)?;
            }
        }
        for planned in Plan::open(&self.folder)? {
            let planned = planned?;
            if planned.contract == contract {
                let action: Action = line::action(&planned.line).map_err(|said| invalid(&self.folder, said))?;
                recorder.action(&action)?;
            }
        }
        Ok(())
    }
}
