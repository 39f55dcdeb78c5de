//! Goes on from a run that was cut off: takes over the contracts that it compared to their end, and says what it keeps of the
//! others. It never takes over what is older than a contract allows,
//! what was found of another database, nor what files have changed since.

use std::fmt::Debug;
use std::io;

use jiff::Timestamp;

use super::Batch;
use super::input::check_age;
use crate::audit::{ContractAudit, InputFacts, InputFile, Kept, Reading, Recorder, Segments, Verdict};
use crate::contract::{Location, Source};
use crate::database::place;
use crate::sides::Sides;
use crate::source::{self, OpenOptions};

/// The run that this one goes on from, which was proved to be what was published, and to be of the same contracts and settings.
pub trait Earlier: Debug + Send + Sync {
    /// Its id.
    fn run_id(&self) -> &str;
    /// When it began.
    fn started_at(&self) -> Timestamp;
    /// What it found of a contract that it compared to its end.
    fn found(&self, contract: &str) -> Option<&ContractAudit>;
    /// Tells what it found, in its order.
    ///
    /// # Errors
    /// What kept it from being read, or the recorder from taking it.
    fn tell(&self, contract: &str, recorder: &mut dyn Recorder) -> io::Result<()>;
    /// What can be kept of a contract that was cut off.
    fn kept(&self, contract: &str) -> Option<&Kept>;
}

/// What is kept of one contract that was cut off.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) run_id: &'a str,
    pub(super) kept: &'a Kept,
}

impl Part<'_> {
    /// Why a source does not allow what is kept.
    pub(super) fn too_old(&self, batch: &Batch<'_>) -> Option<String> {
        let now = batch.settings.started_at;
        let old = batch.contract.sources.iter().find_map(|(side, source)| {
            let read_at = self.kept.oldest(side)?;
            check_age(source, side.name(), Some(read_at), now).err()
        });
        old.map(|_| "it was read longer ago than the `max_age` of a source allows".to_owned())
    }

    /// What is still kept for another run, where this one could not even begin.
    pub(super) fn still(self, mut audit: ContractAudit) -> ContractAudit {
        if audit.verdict == Verdict::Unverified && audit.segments.is_none() {
            let (resumed, readings) = (Some(self.run_id.to_owned()), self.kept.readings.clone());
            audit.segments = Some(Segments { resumed, whole: false, readings, kept: Some(self.kept.clone()) });
        }
        audit
    }

    /// The sentence for people, where nothing is kept after all.
    pub(super) fn not_kept(&self, because: &str) -> String {
        format!("nothing of run {} is kept, and all rows are read: {because}", self.run_id)
    }
}

impl<'a> Batch<'a> {
    /// What was found, and what is kept for another run all the same.
    pub(super) fn still(&self, audit: ContractAudit) -> ContractAudit {
        match self.part() {
            Some(part) => part.still(audit),
            None => audit,
        }
    }

    /// What is kept of the contract.
    pub(super) fn part(&self) -> Option<Part<'a>> {
        let earlier = self.settings.earlier.as_ref()?;
        Some(Part { run_id: earlier.run_id(), kept: earlier.kept(&self.contract.name)? })
    }
}

/// The contract as the earlier run found it, told to the recorder; or why it is compared now, where that is worth a word.
pub(super) fn take_over(
    batch: &Batch<'_>,
    recorder: &mut dyn Recorder,
) -> io::Result<Result<ContractAudit, Option<String>>> {
    let Some(earlier) = &batch.settings.earlier else { return Ok(Err(None)) };
    let Some(found) = earlier.found(&batch.contract.name) else { return Ok(Err(None)) };
    if let Some(because) = gone_by(batch, found) {
        let run = earlier.run_id();
        return Ok(Err(Some(format!(
            "what run {run} found of it is not taken over, and it is compared anew: {because}"
        ))));
    }
    earlier.tell(&batch.contract.name, recorder)?;
    Ok(Ok(taken(found, earlier.run_id(), earlier.started_at())))
}

/// What an earlier run found, as this run tells it.
fn taken(found: &ContractAudit, run_id: &str, began: Timestamp) -> ContractAudit {
    let own = Reading {
        run_id: run_id.to_owned(),
        // A database tells its own instant; files were read from when the run began.
        read_at: found
            .inputs
            .as_ref()
            .map(|_, input| input.captured_at.filter(|_| input.snapshot.is_some()).or(Some(began))),
        snapshot: found.inputs.as_ref().map(|_, input| input.snapshot.clone()),
        rows: found.books.as_ref().map(|_, books| books.read),
    };
    let readings = match &found.segments {
        Some(segments) if segments.is_sum() => segments.readings.clone(),
        _ => vec![own],
    };
    let segments = Segments { resumed: Some(run_id.to_owned()), whole: true, readings, kept: None };
    ContractAudit { segments: Some(segments), recurrence: None, ..found.clone() }
}

/// Why what was found says nothing any more.
fn gone_by(batch: &Batch<'_>, found: &ContractAudit) -> Option<String> {
    let old = |because: &str| Some(because.to_owned());
    let now = batch.settings.started_at;
    for (side, source) in batch.contract.sources.iter() {
        if check_age(source, side.name(), found.inputs.get(side).captured_at, now).is_err() {
            return old("a source is older by now than its `max_age` allows");
        }
    }
    for owner in &found.owners {
        let source = batch.contract.every_source().find(|source| source.name == owner.input.source);
        let is_old = |source: &crate::contract::Source| check_age(source, "", owner.input.captured_at, now).is_err();
        if source.is_some_and(|source| is_old(source)) {
            return old("a source is older by now than its `max_age` allows");
        }
    }
    if is_elsewhere(batch, found) {
        return old("a database that it read is another one now");
    }
    match same_files(batch, found) {
        Ok(true) => None,
        Ok(false) => old("a file that it read has changed since"),
        Err(_) => old("a file that it read cannot be read any more"),
    }
}

/// Whether some database lies elsewhere than the one that was read, whatever its location is called in the contract file.
fn is_elsewhere(batch: &Batch<'_>, found: &ContractAudit) -> bool {
    let sides = found.inputs.iter().map(|(_, input)| input);
    let besides = found.owners.iter().map(|owner| &owner.input).chain(found.baseline.iter().map(|old| &old.input));
    let inputs: Vec<&InputFacts> = sides.chain(besides).collect();
    let stays = |source: &Source| {
        let then = inputs.iter().find(|input| input.source == source.name).and_then(|input| input.place.as_ref());
        source.database().is_none_or(|database| then == Some(&place(database)))
    };
    !batch.contract.every_source().all(|source| stays(source))
}

/// Whether every file that was read is there and holds what it held.
fn same_files(batch: &Batch<'_>, found: &ContractAudit) -> Result<bool, source::Error> {
    let mut now = Vec::new();
    let mut known = std::collections::BTreeSet::new();
    for source in batch.contract.every_source() {
        if !matches!(source.location, Location::Files { .. }) || !known.insert(&source.name) {
            continue;
        }
        let opened = source::open(source, &OpenOptions::default())?;
        let digests = source::digest_files(&opened, |_| None, &|_| ())?;
        now.extend(opened.files.iter().map(|file| file.bytes).zip(digests));
    }
    let sides = found.inputs.iter().map(|(_, input)| input);
    let besides = found.owners.iter().map(|owner| &owner.input).chain(found.baseline.iter().map(|old| &old.input));
    let mut seen = std::collections::BTreeSet::new();
    let inputs = sides.chain(besides).filter(|input| seen.insert(&input.source));
    Ok(is_same(inputs.flat_map(|input| &input.files), now))
}

/// Whether files hold the same, whatever they are called: names may be masked.
fn is_same<'f>(then: impl Iterator<Item = &'f InputFile>, mut now: Vec<(u64, String)>) -> bool {
    let mut then: Vec<(u64, String)> = then.map(|file| (file.bytes, file.blake3.clone())).collect();
    then.sort_unstable();
    now.sort_unstable();
    then == now && then.iter().all(|(_, digest)| !digest.is_empty())
}

/// By which a side's input is known again: the digest of the database that it lies in, of its columns and of the content of its files. None where it did not open,
/// or a file was not digested.
pub(super) fn identity(input: &InputFacts) -> Option<[u8; 32]> {
    if input.columns.is_empty() || input.files.iter().any(|file| file.blake3.is_empty()) {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    for column in &input.columns {
        add(&column.name);
        add(&column.data_type);
    }
    if let Some(place) = &input.place {
        add("place");
        add(place);
    }
    let mut files: Vec<&str> = input.files.iter().map(|file| file.blake3.as_str()).collect();
    files.sort_unstable();
    add("files");
    files.into_iter().for_each(add);
    Some(*hasher.finalize().as_bytes())
}

/// In what inputs are others than they were, as far as that can be told.
pub(super) fn other_inputs(kept: &Kept, now: &Sides<InputFacts>) -> Option<String> {
    let (side, _) = kept.inputs.iter().find(|(side, then)| then.is_none() || **then != identity(now.get(*side)))?;
    Some(match now.get(side).files.len() {
        0 => format!("the database or the columns of the {side} are others than they were"),
        _ => format!("the {side} has changed since, its columns or the content of its files"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Column;

    fn inputs(columns: &[&str], files: &[&str]) -> Sides<InputFacts> {
        let column = |name: &&str| Column { name: (*name).to_owned(), data_type: "Int64".to_owned() };
        let file =
            |digest: &&str| InputFile { path: String::new(), bytes: 1, modified: None, blake3: (*digest).to_owned() };
        let columns: Vec<Column> = columns.iter().map(column).collect();
        let authority = InputFacts { columns: columns.clone(), ..InputFacts::default() };
        let files = files.iter().map(file).collect();
        Sides { authority, projection: InputFacts { files, columns, ..InputFacts::default() } }
    }

    fn kept(then: &Sides<InputFacts>) -> Kept {
        Kept { inputs: then.as_ref().map(|_, input| identity(input)), ..Kept::default() }
    }

    #[test]
    fn inputs_are_known_again_by_columns_and_content() {
        let then = kept(&inputs(&["id", "n"], &["aa", "bb"]));
        assert_eq!(other_inputs(&then, &inputs(&["id", "n"], &["bb", "aa"])), None);
        for (now, expected) in [
            (inputs(&["id"], &["aa", "bb"]), "the columns of the authority"),
            (inputs(&["id", "n"], &["aa", "cc"]), "the projection has changed since"),
            (inputs(&["id", "n"], &["aa"]), "the projection has changed since"),
        ] {
            assert!(other_inputs(&then, &now).unwrap_or_default().contains(expected), "{now:?}");
        }
        // What was not digested, or did not open, is not known again.
        let unknown = inputs(&["id"], &[""]);
        assert!(other_inputs(&kept(&unknown), &unknown).is_some());
        assert_eq!(identity(&InputFacts::default()), None);
    }
}
