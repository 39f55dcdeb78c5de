//! Proves that ledger and run folders are what they were when they were written. It never writes.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::folder::{strays, without_line};
use super::ledger::{self, ContractVerdict, FILE, Ledger, RunRecord};
use super::manifest::{self, Manifest};
use super::place::{Heard, at, names, record, record_heard};
use super::sign::PublicKeys;
use super::signatures::Signatures;
use crate::report::segments::ResumedRecord;

/// What `audit verify` found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Runs whose folder and line are unchanged.
    pub unchanged: usize,
    /// What was changed, is missing, or came in another order, each a sentence that names it.
    pub changed: Vec<String>,
    /// Legal but worth a word: an adopted or pruned run, what lies beside the runs and is none.
    pub notes: Vec<String>,
    /// What was signed.
    pub signatures: Signatures,
}

/// Proves that ledger and run folders are unchanged.
///
/// # Errors
/// What could not be read at all. Of kind `NotFound` where there is no folder, or no ledger in it.
pub fn verify(reports: &Path) -> io::Result<Verification> {
    verify_signed(reports, &PublicKeys::default())
}

/// The same, and that every line and every manifest was signed by one of these keys, where there are any.
///
/// # Errors
/// What could not be read at all. Of kind `NotFound` where there is no folder, or no ledger in it.
pub fn verify_signed(reports: &Path, keys: &PublicKeys) -> io::Result<Verification> {
    verify_signed_from(reports, keys, None, &|_| {})
}

/// The same where signing began at some line: those before it, and their runs, need no signature. They are what they were all
/// the same, because the first signed line holds the digest of the one before it. `heard` is told how many bytes of runs were read.
///
/// # Errors
/// What could not be read at all. Of kind `NotFound` where there is no folder, or no ledger in it.
pub fn verify_signed_from(
    reports: &Path,
    keys: &PublicKeys,
    began: Option<u64>,
    heard: Heard<'_>,
) -> io::Result<Verification> {
    // Held to the end, so that neither a publication nor a prune is seen half-way.
    fs::read_dir(reports).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(error.kind(), format!("{}: does not exist", reports.display())),
        _ => at(reports)(error),
    })?;
    let _lock = ledger::lock_shared(reports)?;
    // Without a ledger there is nothing to prove anything with, and silence would look like proof.
    let path = reports.join(FILE);
    fs::symlink_metadata(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("{}: is not there, so nothing can be proved", path.display()))
        }
        _ => at(&path)(error),
    })?;
    let ledger = Ledger::read(reports)?;
    let mut found = Verification { unchanged: 0, changed: ledger.complaints(), ..Verification::default() };
    found.notes = ledger::notes(&ledger);
    let (changed, note) = super::decisions::check(reports, &ledger)?;
    found.changed.extend(changed);
    found.notes.extend(note);
    let (changed, notes) = super::applied::check(reports, &ledger)?;
    found.changed.extend(changed);
    found.notes.extend(notes);
    check_runs(reports, &ledger, heard, &mut found)?;
    found.changed.extend(found.signatures.check(reports, &ledger, keys, began)?);
    found.notes.extend(found.signatures.beginning(&ledger, began));
    let without_line = without_line(reports, &ledger)?;
    let strays = strays(reports, &ledger, &without_line)?;
    found.notes.extend(strays.iter().map(|name| format!("`{name}` is neither a run nor the ledger")));
    for run_id in without_line {
        found.changed.push(format!(
            "run `{run_id}` has no ledger line: the ledger was cut, or the run was stopped before it was recorded \
             (then the next run adopts it)"
        ));
    }
    Ok(found)
}

/// Every run that the ledger knows, once.
fn check_runs(reports: &Path, ledger: &Ledger, heard: Heard<'_>, found: &mut Verification) -> io::Result<()> {
    let pruned = ledger.pruned();
    let mut known = BTreeSet::new();
    for (number, run) in ledger.runs() {
        // A repeated line is complained of already; its run is one run.
        if !known.insert(run.run_id.as_str()) {
            continue;
        }
        let folder = reports.join(&run.run_id);
        let there = folder.is_dir();
        if !there && pruned.contains(run.run_id.as_str()) {
            found.notes.push(format!("run `{}` was pruned", run.run_id));
            continue;
        }
        if !there {
            found
                .changed
                .push(format!("run `{}`: its folder is missing, and no line says that it was pruned", run.run_id));
            continue;
        }
        if pruned.contains(run.run_id.as_str()) {
            found.notes.push(format!("run `{}` was pruned, but its folder is still there", run.run_id));
        }
        let (mut changed, manifest) = check_folder_heard(&folder, &run.run_id, Some(run), heard)?;
        if changed.is_empty() {
            changed = manifest.map(|manifest| contradictions(number, run, &manifest, ledger)).unwrap_or_default();
        }
        found.unchanged += usize::from(changed.is_empty());
        found.changed.extend(changed);
    }
    for run in pruned.difference(&known) {
        found.changed.push(format!("run `{run}` is named as pruned, but no line of {FILE} holds it"));
    }
    Ok(())
}

/// What in a run folder is not as its manifest says, and the manifest where it can be read. `line` is what the ledger says
/// of the run, where it does.
pub(super) fn check_folder(
    folder: &Path,
    run_id: &str,
    line: Option<&RunRecord>,
) -> io::Result<(Vec<String>, Option<Manifest>)> {
    check_folder_heard(folder, run_id, line, &|_| {})
}

/// The same, telling how far it is.
pub(super) fn check_folder_heard(
    folder: &Path,
    run_id: &str,
    line: Option<&RunRecord>,
    heard: Heard<'_>,
) -> io::Result<(Vec<String>, Option<Manifest>)> {
    let mut changed = Vec::new();
    let mut complain = |file: &str, problem: &str| changed.push(format!("run `{run_id}`: {file} {problem}"));
    let Some(seen) = record(folder, manifest::FILE)? else {
        complain(manifest::FILE, "is missing");
        return Ok((changed, None));
    };
    if line.is_some_and(|line| line.manifest != seen.blake3) {
        complain(manifest::FILE, "was changed: its BLAKE3 is not the one in the ledger");
    }
    let path = folder.join(manifest::FILE);
    let manifest = match Manifest::parse(&fs::read(&path).map_err(at(&path))?) {
        Ok(manifest) => manifest,
        Err(problem) => {
            complain(manifest::FILE, &format!("cannot be read: {problem}"));
            return Ok((changed, None));
        }
    };
    if manifest.run_id != run_id {
        complain(manifest::FILE, &format!("is that of run `{}`", manifest.run_id));
    }
    let mut listed = BTreeSet::from([manifest::FILE]);
    for file in &manifest.files {
        // A changed manifest must not lead out of the folder.
        if file.name.contains(['/', '\\']) || file.name.starts_with('.') {
            complain(manifest::FILE, &format!("lists `{}`, which is not a file of a run", file.name));
            continue;
        }
        listed.insert(&file.name);
        match record_heard(folder, &file.name, heard)? {
            None => complain(&file.name, "is missing"),
            Some(seen) if seen.bytes != file.bytes => {
                complain(&file.name, &format!("was changed: it has {} bytes, expected {}", seen.bytes, file.bytes));
            }
            Some(seen) if seen.blake3 != file.blake3 => {
                complain(&file.name, "was changed: its BLAKE3 is not the one in manifest.json");
            }
            Some(_) => {}
        }
    }
    match (record(folder, &manifest::signature_file())?, line) {
        (Some(seen), Some(line)) if line.manifest_signature.as_ref() != Some(&seen.blake3) => {
            complain(&seen.name, "was put in or changed: its BLAKE3 is not the one in the ledger");
        }
        (None, Some(RunRecord { manifest_signature: Some(_), .. })) => {
            complain(&manifest::signature_file(), "is missing");
        }
        _ => {}
    }
    for name in names(folder)? {
        if name != manifest::signature_file() && !listed.contains(name.as_str()) {
            complain(&name, "was put in: manifest.json does not list it");
        }
    }
    Ok((changed, Some(manifest)))
}

/// Where a run goes on from one that the ledger does not hold before it, or holds as another.
fn unlinked(number: usize, run: &RunRecord, resumed: &ResumedRecord, ledger: &Ledger) -> Option<String> {
    let before = ledger.runs().find(|(before, known)| *before < number && known.run_id == resumed.run_id);
    let problem = match before {
        Some((_, known)) if known.manifest == resumed.manifest => return None,
        Some(_) => "whose manifest is another than the one that it names",
        None => "which no line before it holds",
    };
    Some(format!("run `{}`: goes on from run `{}`, {problem}", run.run_id, resumed.run_id))
}

/// Where the ledger's line says something else of the run than its manifest.
fn contradictions(number: usize, run: &RunRecord, manifest: &Manifest, ledger: &Ledger) -> Vec<String> {
    let recorded_at = manifest.recorded_at().map(|instant| instant.to_string()).unwrap_or_default();
    let verdicts: Vec<_> = manifest
        .contracts
        .iter()
        .map(|contract| ContractVerdict { name: contract.name.clone(), verdict: contract.verdict.clone() })
        .collect();
    let agree = [
        ("verdict", run.verdict == manifest.verdict),
        ("recorded_at", run.recorded_at == recorded_at),
        ("contracts", run.contracts == verdicts),
    ];
    let differ = agree.into_iter().filter(|(_, agree)| !agree);
    let differ =
        differ.map(|(field, _)| format!("{FILE}, line {number}: its `{field}` is not that of run `{}`", run.run_id));
    differ.chain(manifest.resumed.iter().filter_map(|resumed| unlinked(number, run, resumed, ledger))).collect()
}
