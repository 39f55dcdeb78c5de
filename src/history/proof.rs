//! The proof that one run is in the ledger, which can be checked without the others: the run's line, a later line, and the
//! path from the run's manifest to that line's Merkle root. It never changes ledger or runs.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ledger::{self, Ledger, Line, Record, RunRecord};
use super::merkle::path::{Step, path, root_of, steps};
use super::place::{at, invalid};
use super::sign::PublicKeys;
use super::verify::check_folder;

/// No proof is longer.
pub(super) const MOST_BYTES: u64 = 64 << 20;
const FORMAT_VERSION: u32 = 1;
const RECORD: &str = "inclusion";

/// A proof as it is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    record: String,
    format_version: u32,
    /// The run that is proved.
    pub run_id: String,
    /// The BLAKE3 of its manifest.
    pub manifest: String,
    leaf_index: u64,
    tree_size: u64,
    path: Vec<String>,
    /// The root that the path leads to.
    pub merkle_root: String,
    /// The number of the line that holds it.
    pub sequence: u64,
    /// The run's own line of the ledger.
    pub run_line: String,
    /// The line that holds the root.
    pub root_line: String,
}

/// What a proof is held against, besides itself.
#[derive(Clone, Debug, Default)]
pub struct Against<'a> {
    /// Who may have signed both lines and the manifest.
    pub keys: PublicKeys,
    /// A root that was kept elsewhere.
    pub root: Option<&'a str>,
    /// The run's folder.
    pub folder: Option<&'a Path>,
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct Included {
    /// The proof.
    pub proof: Proof,
    /// What does not hold, each a sentence; where there is none, the run is in the ledger as the proof says.
    pub problems: Vec<String>,
    /// What the proof alone cannot tell.
    pub notes: Vec<String>,
}

/// Proves a run by the root in a line, by its number; else by that in the newest line.
///
/// # Errors
/// That there is no such run or line, or that the ledger was changed.
pub fn prove(reports: &Path, run: &str, line: Option<u64>) -> io::Result<Proof> {
    let _lock = ledger::lock_shared(reports)?;
    let ledger = Ledger::read(reports)?;
    if let Some(complaint) = ledger.complaints().first() {
        return Err(invalid(reports, format!("{complaint}; nothing is proved by a ledger that was changed")));
    }
    let (number, record) = find(reports, &ledger, run)?;
    let lines = ledger.lines.len();
    let upto = line.map_or(lines, |line| usize::try_from(line).unwrap_or(usize::MAX));
    if upto < number || upto > lines {
        let problem = format!("line {upto}: expected one from {number} (that of run `{}`) to {lines}", record.run_id);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    of(&ledger, number, record, upto).map_err(|problem| invalid(reports, problem))
}

fn of(ledger: &Ledger, number: usize, record: &RunRecord, upto: usize) -> Result<Proof, String> {
    let before: Vec<(usize, &RunRecord)> = ledger.runs().filter(|(line, _)| *line <= upto).collect();
    let digest = |text: &str| blake3::Hash::from_hex(text).map_err(|_| format!("`{text}` is not a BLAKE3 in hex"));
    let leaves = before.iter().map(|(_, run)| digest(&run.manifest)).collect::<Result<Vec<_>, _>>()?;
    let index = before.iter().position(|(line, _)| *line == number).ok_or("the run is not before that line")?;
    let text = |number: usize| String::from_utf8_lossy(&ledger.lines[number - 1].text).into_owned();
    let root_line = ledger.lines[upto - 1].record.as_ref().map_err(Clone::clone)?;
    Ok(Proof {
        record: RECORD.to_owned(),
        format_version: FORMAT_VERSION,
        run_id: record.run_id.clone(),
        manifest: record.manifest.clone(),
        leaf_index: index as u64,
        tree_size: leaves.len() as u64,
        path: path(&leaves, index).iter().map(|root| root.to_hex().to_string()).collect(),
        merkle_root: root_line.merkle_root().to_owned(),
        sequence: root_line.sequence(),
        run_line: text(number),
        root_line: text(upto),
    })
}

/// The line of a run, by the run's id, the beginning of one, `latest`, or the path of its folder. A run that was pruned is
/// found by its whole id.
fn find<'l>(reports: &Path, ledger: &'l Ledger, run: &str) -> io::Result<(usize, &'l RunRecord)> {
    let by_id = |id: &str| ledger.runs().find(|(_, record)| record.run_id == id);
    if let Some(found) = by_id(run) {
        return Ok(found);
    }
    let folder = super::find(reports, run)?;
    let id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    by_id(&id).ok_or_else(|| invalid(reports, format!("{} has no line of run `{id}`", ledger::FILE)))
}

impl Proof {
    /// Reads a proof.
    ///
    /// # Errors
    /// What kept it from being read, or that it is none.
    pub fn read(file: &Path) -> io::Result<Self> {
        if fs::metadata(file).map_err(at(file))?.len() > MOST_BYTES {
            return Err(invalid(file, "is too long for a proof"));
        }
        let text = fs::read(file).map_err(at(file))?;
        let proof: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(file, format!("not a proof: {error}")))?;
        if (proof.record.as_str(), proof.format_version) != (RECORD, FORMAT_VERSION) {
            let seen = format!("`{}`, format version {}", proof.record, proof.format_version);
            return Err(invalid(file, format!("not a proof: {seen}; expected `{RECORD}`, {FORMAT_VERSION}")));
        }
        Ok(proof)
    }

    /// The proof as it is written.
    ///
    /// # Errors
    /// A defect.
    pub fn text(&self) -> io::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// The steps from the manifest to the root; None where the path is none.
    pub(super) fn steps(&self) -> Option<Vec<Step>> {
        let path: Option<Vec<_>> = self.path.iter().map(|root| blake3::Hash::from_hex(root).ok()).collect();
        steps(self.leaf_index, self.tree_size, &path?)
    }

    /// Holds the proof against itself and what else is known.
    ///
    /// # Errors
    /// What kept the run's folder from being read.
    pub fn check(self, against: &Against<'_>) -> io::Result<Included> {
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        let leads = self.steps().zip(blake3::Hash::from_hex(&self.manifest).ok());
        match leads.map(|(steps, manifest)| root_of(&manifest, &steps)) {
            Some(root) if root.to_hex().as_str() == self.merkle_root => {}
            _ => problems.push("its path does not lead from the manifest to the Merkle root".to_owned()),
        }
        let run = self.run(&mut problems);
        let line = Line::read(self.root_line.as_bytes());
        match &line.record {
            Err(problem) => problems.push(format!("its later line was changed: {problem}")),
            Ok(line) if line.merkle_root() != self.merkle_root || line.sequence() != self.sequence => {
                problems.push("its later line holds another Merkle root or number".to_owned());
            }
            Ok(_) => {}
        }
        if let Some(root) = against.root.filter(|root| *root != self.merkle_root) {
            problems.push(format!("its Merkle root is {}, not {root}", self.merkle_root));
        }
        if against.keys.is_empty() && against.root.is_none() {
            notes.push(
                "a proof without `--key` or `--root` shows that run and root belong together, not who wrote them"
                    .to_owned(),
            );
        }
        problems.extend(unsigned(
            &against.keys,
            [(&self.run_line, "the line of the run"), (&self.root_line, "the later line")],
        ));
        if let Some(folder) = against.folder {
            problems.extend(check_folder(folder, &self.run_id, run.as_ref())?.0);
        }
        Ok(Included { proof: self, problems, notes })
    }

    /// What the run's own line says.
    fn run(&self, problems: &mut Vec<String>) -> Option<RunRecord> {
        match Line::read(self.run_line.as_bytes()).record {
            Ok(Record::Run(run)) if run.run_id == self.run_id && run.manifest == self.manifest => Some(run),
            Ok(_) => {
                problems.push("the line of the run is that of another run or manifest".to_owned());
                None
            }
            Err(problem) => {
                problems.push(format!("the line of the run was changed: {problem}"));
                None
            }
        }
    }
}

/// Which of these lines were not signed by any of the keys, where there are any.
pub(super) fn unsigned(keys: &PublicKeys, lines: [(&String, &str); 2]) -> Vec<String> {
    if keys.is_empty() {
        return Vec::new();
    }
    let problem = |(text, what): (&String, &str)| {
        let line = Line::read(text.as_bytes());
        let checked = match line.signed() {
            None => Err("is not signed".to_owned()),
            Some((content, signature)) => keys.check(content.as_bytes(), &signature),
        };
        checked.err().map(|problem| format!("{what} {problem}"))
    };
    lines.into_iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests;
