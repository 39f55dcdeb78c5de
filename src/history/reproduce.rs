//! What a run must give again where nothing of its inputs changed: the bytes of `divergences.parquet`, the digests of its
//! tables and its figures. It holds two audits against each other, and never compares data itself.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::ledger::{self, Ledger};
use super::manifest::{self, Manifest};
use super::place::{at, invalid};
use super::size;
use super::verify::check_folder_heard;
use super::watch::Watch;
use crate::audit::{Audit, ContractAudit, InputFacts, Recorder};
use crate::classify::Divergence;
use crate::plan::Action;
use crate::report::parquet::DivergenceWriter;

const DIVERGENCES: &str = "divergences.parquet";

/// A run as it was published, proved to be unchanged.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The run.
    pub audit: Audit,
    /// The version that wrote it.
    pub tool_version: String,
    /// Whether its table digests are of the byte format of this version.
    pub same_digest_format: bool,
    /// Bytes and BLAKE3 of its `divergences.parquet`.
    pub divergences: (u64, String),
}

/// Reads a run that is to be reproduced. `watch` is told how far it is.
///
/// # Errors
/// That there is no such run, or that it is not what the ledger knows.
pub fn evidence(reports: &Path, run: &str, watch: &dyn Watch) -> io::Result<Evidence> {
    watch.reads("proving the run", 0);
    let folder = super::find(reports, run)?;
    watch.reads("proving the run", size(&folder));
    let beside = folder.parent().unwrap_or(reports);
    let _lock = ledger::lock_shared(beside)?;
    let ledger = Ledger::read(beside)?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let line = ledger.runs().find(|(_, line)| line.run_id == name).map(|(_, line)| line);
    let line = line.ok_or_else(|| invalid(beside, format!("{} has no line of run `{name}`", ledger::FILE)))?;
    if let Some(problem) = check_folder_heard(&folder, &name, Some(line), &|bytes| watch.did(0, bytes))?.0.first() {
        return Err(invalid(beside, format!("{problem}; a run that was changed cannot be reproduced")));
    }
    let path = folder.join(manifest::FILE);
    let manifest = Manifest::parse(&fs::read(&path).map_err(at(&path))?).map_err(|problem| invalid(&path, problem))?;
    let file = manifest.files.iter().find(|file| file.name == DIVERGENCES);
    let divergences = file.map(|file| (file.bytes, file.blake3.clone()));
    let divergences = divergences.ok_or_else(|| invalid(&path, format!("lists no {DIVERGENCES}")))?;
    let (tool_version, same_digest_format) = (manifest.tool.version.clone(), manifest.same_digest_format());
    let audit = manifest.into_audit().map_err(|problem| invalid(&path, problem))?;
    Ok(Evidence { audit, tool_version, same_digest_format, divergences })
}

/// Hears what a run would write, and keeps only what tells whether it would be the same.
pub struct Retelling(DivergenceWriter<Digest>);

/// Bytes that are counted and digested, and nowhere written.
struct Digest(blake3::Hasher, u64);

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        self.1 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Retelling {
    /// Nothing was heard yet.
    ///
    /// # Errors
    /// A defect of the writer.
    pub fn new() -> io::Result<Self> {
        DivergenceWriter::new(Digest(blake3::Hasher::new(), 0)).map(Self)
    }

    /// Bytes and BLAKE3 of the file that would have been written.
    ///
    /// # Errors
    /// A defect of the writer.
    pub fn finish(self) -> io::Result<(u64, String)> {
        let Digest(hasher, bytes) = self.0.finish()?;
        Ok((bytes, hasher.finalize().to_hex().to_string()))
    }
}

impl Recorder for Retelling {
    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        self.0.write(contract, divergence)
    }

    fn action(&mut self, _action: &Action) -> io::Result<()> {
        Ok(())
    }
}

/// What two runs of the same contracts have not in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What was read is not what the run read, each a sentence: then nothing follows from the rest.
    pub inputs: Vec<String>,
    /// What was found is not what the run found, each a sentence.
    pub results: Vec<String>,
    /// Inputs of which no content was digested, so that a change shows only in the results.
    pub undigested: Vec<String>,
    /// How many table digests are the same.
    pub tables: usize,
}

/// Holds a run that was done again against the one that was published.
#[must_use]
pub fn compare(then: &Evidence, now: &Audit, divergences: &(u64, String)) -> Comparison {
    let mut found = Comparison::default();
    let again: BTreeMap<&str, &ContractAudit> = now.contracts.iter().map(|one| (one.name.as_str(), one)).collect();
    for before in &then.audit.contracts {
        match again.get(before.name.as_str()) {
            None => found.inputs.push(format!("contract \"{}\": was not compared", before.name)),
            Some(after) => found.contract(before, after, then.same_digest_format),
        }
    }
    if then.divergences != *divergences {
        found.results.push(format!(
            "{DIVERGENCES}: {} bytes with BLAKE3 {}, now {} bytes with BLAKE3 {}",
            then.divergences.0, then.divergences.1, divergences.0, divergences.1
        ));
    }
    found
}

impl Comparison {
    fn contract(&mut self, before: &ContractAudit, after: &ContractAudit, same_format: bool) {
        let name = &before.name;
        if let (None, Some(error)) = (&before.error, &after.error) {
            let first = error.lines().next().unwrap_or_default();
            self.inputs.push(format!("contract \"{name}\": could not be compared: {first}"));
            return;
        }
        let (earlier, later) = (inputs(before), inputs(after));
        for (role, input) in &earlier {
            let place = format!("contract \"{name}\", {role}");
            match later.iter().find(|(other, _)| other == role) {
                None => self.inputs.push(format!("{place}: is not read any more")),
                Some((_, now)) => {
                    self.input(&place, input, now);
                    self.table(&place, input, now, same_format);
                }
            }
        }
        let mut figure = |what: &str, then: String, now: String| {
            if then != now {
                self.results.push(format!("contract \"{name}\", {what}: {then}, now {now}"));
            }
        };
        figure("verdict", before.verdict.name().to_owned(), after.verdict.name().to_owned());
        for side in crate::sides::Side::BOTH {
            let read = |audit: &ContractAudit| audit.books.get(side).read.to_string();
            figure(&format!("rows of the {}", side.name()), read(before), read(after));
        }
        for kind in crate::contract::Kind::ALL {
            let keys = |audit: &ContractAudit| audit.keys.get(&kind).copied().unwrap_or_default().to_string();
            figure(&format!("keys that are {}", kind.name()), keys(before), keys(after));
        }
    }

    /// What was read: the same files with the same content.
    fn input(&mut self, place: &str, before: &InputFacts, after: &InputFacts) {
        let known = |input: &InputFacts| input.files.iter().all(|file| !file.blake3.is_empty());
        if before.files.is_empty() || !known(before) || !known(after) {
            self.undigested.push(place.to_owned());
        }
        // Files whose folders are named by personal values have one path, so a path has as many digests as files.
        let (then, now) = (by_path(before), by_path(after));
        for (path, digests) in &then {
            match now.get(path) {
                None => self.inputs.push(format!("{place}: {path} is not there any more")),
                Some(others) if digests.len() != others.len() => self.inputs.push(format!(
                    "{place}: of {path} there are {} files, not {} as then",
                    others.len(),
                    digests.len()
                )),
                Some(others) if !digests.contains(&"") && !others.contains(&"") && digests != others => {
                    self.inputs.push(format!("{place}: {path} has changed"));
                }
                Some(_) => {}
            }
        }
        for path in now.keys().filter(|path| !then.contains_key(*path)) {
            self.inputs.push(format!("{place}: {path} was not there then"));
        }
    }

    fn table(&mut self, place: &str, before: &InputFacts, after: &InputFacts, same_format: bool) {
        if !same_format || before.table_digest.is_empty() {
            return;
        }
        if before.table_digest == after.table_digest {
            self.tables += 1;
        } else {
            let (then, now) = (&before.table_digest, &after.table_digest);
            self.results.push(format!("{place}: table digest {then}, now {now}"));
        }
    }
}

/// The digests of a side's files by their path, sorted.
fn by_path(input: &InputFacts) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in &input.files {
        found.entry(&file.path).or_default().push(&file.blake3);
    }
    found.values_mut().for_each(|digests| digests.sort_unstable());
    found
}

/// Every input of a contract, by its role.
pub(super) fn inputs(contract: &ContractAudit) -> Vec<(String, &InputFacts)> {
    let sides = contract.inputs.iter().map(|(side, input)| (side.name().to_owned(), input));
    let owners = contract.owners.iter().map(|owner| (format!("source `{}`", owner.input.source), &owner.input));
    let baseline = contract.baseline.iter().map(|old| ("baseline".to_owned(), &old.input));
    sides.chain(owners).chain(baseline).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::InputFile;
    use crate::report::sample;

    fn published() -> Evidence {
        let audit = sample::audit();
        Evidence {
            audit,
            tool_version: "0.1.0".to_owned(),
            same_digest_format: true,
            divergences: (10, "aa".to_owned()),
        }
    }

    #[test]
    fn what_was_done_again_is_the_same_or_told_apart() {
        let then = published();
        let same = compare(&then, &then.audit, &then.divergences);
        assert_eq!((same.inputs.as_slice(), same.results.as_slice()), (&[][..], &[][..]));
        let other = compare(&then, &then.audit, &(10, "bb".to_owned()));
        assert!(other.inputs.is_empty() && other.results[0].starts_with("divergences.parquet: 10 bytes"), "{other:?}");
        let mut now = then.audit.clone();
        let contract = &mut now.contracts[0];
        let changed = contract.inputs.authority.files.first_mut().expect("a file");
        let path = changed.path.clone();
        changed.blake3 = "cc".repeat(32);
        contract.inputs.projection.table_digest = "dd".repeat(32);
        contract.books.authority.read += 1;
        let told = compare(&then, &now, &then.divergences);
        assert_eq!(told.inputs.len(), 1, "{told:?}");
        assert!(told.inputs[0].contains(&path) && told.inputs[0].ends_with("has changed"), "{told:?}");
        assert!(told.results.iter().any(|result| result.contains("projection: table digest")), "{told:?}");
        assert!(told.results.iter().any(|result| result.contains("rows of the authority")), "{told:?}");
        // Two folders whose names are masked have one path: which of them comes first means nothing, a third does.
        let file = |digest: &str| InputFile {
            path: "tel=***/a.csv".to_owned(),
            bytes: 1,
            modified: None,
            blake3: digest.repeat(32),
        };
        let mut masked = then.clone();
        masked.audit.contracts[0].inputs.authority.files = vec![file("aa"), file("bb")];
        let mut again = masked.audit.clone();
        again.contracts[0].inputs.authority.files.reverse();
        assert!(compare(&masked, &again, &masked.divergences).inputs.is_empty());
        again.contracts[0].inputs.authority.files[0] = file("cc");
        assert_eq!(compare(&masked, &again, &masked.divergences).inputs.len(), 1);
        again.contracts[0].inputs.authority.files = vec![file("aa"), file("bb"), file("bb")];
        assert_eq!(compare(&masked, &again, &masked.divergences).inputs.len(), 1);
        now.contracts.clear();
        let none = compare(&then, &now, &then.divergences);
        assert!(none.inputs.iter().all(|input| input.ends_with("was not compared")) && !none.inputs.is_empty());
    }
}
