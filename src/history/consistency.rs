//! The proof that one line of the ledger continues what stood in an earlier one, which can be checked without any run: both
//! lines, and the parts out of which both Merkle roots are made. It never changes the ledger.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ledger::{self, Ledger, Line};
use super::merkle::consistency::{consistency, roots_of};
use super::place::{at, invalid};
use super::proof::{Against, MOST_BYTES, unsigned};

const FORMAT_VERSION: u32 = 1;
const RECORD: &str = "consistency";

/// A proof as it is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    record: String,
    format_version: u32,
    /// The earlier line.
    pub first: End,
    /// The later line.
    pub second: End,
    path: Vec<String>,
}

/// One of the two lines.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Its number.
    pub sequence: u64,
    /// How many runs the ledger held with it.
    pub tree_size: u64,
    /// The root over their manifests.
    pub merkle_root: String,
    /// The line itself.
    pub line: String,
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub struct Continued {
    /// The proof.
    pub proof: Consistency,
    /// What does not hold, each a sentence; where there is none, the later line continues the earlier one.
    pub problems: Vec<String>,
    /// What the proof alone cannot tell.
    pub notes: Vec<String>,
}

/// Proves that a line, by its number (else the newest), continues an earlier one.
///
/// # Errors
/// That there are no such lines, or that the ledger was changed.
pub fn prove_continued(reports: &Path, since: u64, line: Option<u64>) -> io::Result<Consistency> {
    let _lock = ledger::lock_shared(reports)?;
    let ledger = Ledger::read(reports)?;
    if let Some(complaint) = ledger.complaints().first() {
        return Err(invalid(reports, format!("{complaint}; nothing is proved by a ledger that was changed")));
    }
    let lines = ledger.lines.len() as u64;
    let upto = line.unwrap_or(lines);
    if since == 0 || since > upto || upto > lines {
        let problem = format!("lines {since} and {upto}: expected two of 1 to {lines}, the earlier one first");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    of(&ledger, since, upto).map_err(|problem| invalid(reports, problem))
}

fn of(ledger: &Ledger, since: u64, upto: u64) -> Result<Consistency, String> {
    let digest = |text: &str| blake3::Hash::from_hex(text).map_err(|_| format!("`{text}` is not a BLAKE3 in hex"));
    let runs: Vec<(u64, &str)> = ledger.runs().map(|(line, run)| (line as u64, run.manifest.as_str())).collect();
    let until = |line: u64| runs.partition_point(|(number, _)| *number <= line);
    let leaves = runs[..until(upto)].iter().map(|(_, manifest)| digest(manifest)).collect::<Result<Vec<_>, _>>()?;
    let path = consistency(&leaves, until(since)).ok_or_else(|| {
        format!("line {since} stands before the first run, so there is nothing that could be continued")
    })?;
    let end = |number: u64| -> Result<End, String> {
        let line =
            usize::try_from(number).ok().and_then(|number| ledger.lines.get(number - 1)).ok_or("no such line")?;
        let record = line.record.as_ref().map_err(Clone::clone)?;
        Ok(End {
            sequence: record.sequence(),
            tree_size: until(number) as u64,
            merkle_root: record.merkle_root().to_owned(),
            line: String::from_utf8_lossy(&line.text).into_owned(),
        })
    };
    Ok(Consistency {
        record: RECORD.to_owned(),
        format_version: FORMAT_VERSION,
        first: end(since)?,
        second: end(upto)?,
        path: path.iter().map(|root| root.to_hex().to_string()).collect(),
    })
}

impl Consistency {
    /// Reads a proof; None where the file holds another sort of record.
    ///
    /// # Errors
    /// What kept it from being read, or that it is none.
    pub fn read(file: &Path) -> io::Result<Option<Self>> {
        if fs::metadata(file).map_err(at(file))?.len() > MOST_BYTES {
            return Err(invalid(file, "is too long for a proof"));
        }
        let text = fs::read(file).map_err(at(file))?;
        let is_other = |value: &serde_json::Value| value["record"] != RECORD;
        if serde_json::from_slice(&text).ok().as_ref().is_none_or(is_other) {
            return Ok(None);
        }
        let proof: Self =
            serde_json::from_slice(&text).map_err(|error| invalid(file, format!("not a proof: {error}")))?;
        if proof.format_version != FORMAT_VERSION {
            let seen = format!("format version {}, expected {FORMAT_VERSION}", proof.format_version);
            return Err(invalid(file, format!("not a proof that is known here: {seen}")));
        }
        Ok(Some(proof))
    }

    /// The proof as it is written.
    ///
    /// # Errors
    /// A defect.
    pub fn text(&self) -> io::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// Holds the proof against itself, and against keys and a root that was kept elsewhere.
    #[must_use]
    pub fn check(self, against: &Against<'_>) -> Continued {
        let (mut problems, mut notes) = (Vec::new(), Vec::new());
        if !self.leads() {
            problems.push("its parts do not lead from the earlier Merkle root to the later one".to_owned());
        }
        for (end, what) in [(&self.first, "the earlier line"), (&self.second, "the later line")] {
            match &Line::read(end.line.as_bytes()).record {
                Err(problem) => problems.push(format!("{what} was changed: {problem}")),
                Ok(line) if line.merkle_root() != end.merkle_root || line.sequence() != end.sequence => {
                    problems.push(format!("{what} holds another Merkle root or number"));
                }
                Ok(_) => {}
            }
        }
        if self.first.sequence > self.second.sequence {
            problems.push("its later line has the smaller number".to_owned());
        }
        let ends = [&self.first, &self.second];
        if let Some(root) = against.root {
            match ends.iter().find(|end| end.merkle_root == root) {
                Some(end) => notes.push(format!("the root that was kept is that of line {}", end.sequence)),
                None => problems.push(format!("neither of its Merkle roots is {root}")),
            }
        }
        if against.keys.is_empty() && against.root.is_none() {
            let alone = "a proof without `--key` or `--root` shows that two lines belong together, not who wrote them";
            notes.push(alone.to_owned());
        }
        problems.extend(unsigned(
            &against.keys,
            [(&self.first.line, "the earlier line"), (&self.second.line, "the later line")],
        ));
        Continued { proof: self, problems, notes }
    }

    /// Whether the parts make both roots.
    fn leads(&self) -> bool {
        let digest = |text: &String| blake3::Hash::from_hex(text).ok();
        let path: Option<Vec<_>> = self.path.iter().map(digest).collect();
        let roots = || {
            let (first, second) = (digest(&self.first.merkle_root)?, digest(&self.second.merkle_root)?);
            let made = roots_of((self.first.tree_size, self.second.tree_size), first, &path?)?;
            Some(made == (first, second))
        };
        roots().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
