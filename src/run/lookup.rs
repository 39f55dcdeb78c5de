//! Looks one key up in both sources, by reading them: `explain RUN KEY` shows what stands there. It compares nothing, and
//! reads only where the content of every file is still what a run digested.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use jiff::Timestamp;
use rayon::prelude::*;

use super::input::{Input, Inputs, open};
use super::owners::Owners;
use super::privacy::Privacy;
use super::tally::Tally;
use super::{Batch, Progress, Settings, Stop, Tuning};
use crate::audit::{InputFile, OwnerFacts};
use crate::classify::{Bench, Scale};
use crate::contract::Contract;
use crate::diff::resolve::{RowAt, Rows};
use crate::normalise::{CanonicalColumn, normalise, show};
use crate::sides::{Side, Sides};
use crate::source::{self, Opened, Piece, Unit};

/// How many rows of each side are shown.
const MOST: usize = 10;

/// What stands under one key.
#[derive(Debug)]
pub struct LookedUp {
    /// The attributes, those of the key first.
    pub attributes: Vec<String>,
    /// Which of them are personal.
    pub personal: Vec<bool>,
    /// The first rows of each side as they stand, in the order of the source; None for NULL.
    pub rows: Sides<Vec<Vec<Option<String>>>>,
    /// How many rows there are.
    pub count: Sides<u64>,
    /// Rows that could not be read, among which it may be too.
    pub unreadable: Sides<u64>,
}

/// What a run read, which must be the same now.
#[derive(Clone, Copy, Debug)]
pub struct Then<'a> {
    /// The files of both sides.
    pub files: Sides<&'a [InputFile]>,
    /// The sources besides.
    pub owners: &'a [OwnerFacts],
    /// The instant that decided who owns what.
    pub instant: Timestamp,
}

/// Reads both sources, and what the authority is composed of, for the rows whose key, as JSON text, `is` the one that is looked
/// for.
///
/// # Errors
/// Why nothing can be said, as a sentence part.
pub fn look_up(
    contract: &Contract,
    then: &Then<'_>,
    (threads, memory_limit): (usize, Option<u64>),
    progress: &dyn Progress,
    is: &(dyn Fn(&str) -> bool + Sync),
) -> Result<LookedUp, String> {
    let hidden = Privacy::new(contract, None);
    let said = |text: String| hidden.scrubbed(&contract.secrets.redact(&text)).into_owned();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| error.to_string())?;
    progress.begin(&contract.name, "opening", 0);
    // Whoever owned what then does so here, whatever a file's time says by now.
    let resolved = contract.at(then.instant);
    let inputs = open(&resolved, &Tuning::default(), then.instant)
        .map_err(|halts| said(halts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let bound = inputs.contract.as_ref().unwrap_or(&resolved);
    let privacy = Privacy::new(contract, None).bound(bound, &inputs.binding);
    progress.begin(&contract.name, "digesting", inputs.sides.iter().map(|(_, input)| bytes_of(&input.opened)).sum());
    let by = By { contract, privacy: &privacy, progress };
    for (side, input) in inputs.sides.iter() {
        by.same_content(side.name(), &input.opened, then.files.get(side)).map_err(said)?;
    }
    by.same_owners(&inputs, then.owners).map_err(said)?;
    let contract = inputs.contract.as_ref().unwrap_or(&resolved);
    if let Some(owners) = &inputs.owners {
        load(owners, contract, (&pool, memory_limit), then.instant, progress).map_err(said)?;
    }
    progress.begin(&contract.name, "reading", inputs.sides.iter().map(|(_, input)| bytes_of(&input.opened)).sum());
    pool.install(|| {
        let looked_up = Sides::from_fn(|side| look_at(contract, &inputs, side, (is, progress)));
        let Sides { authority, projection } = looked_up;
        let found = Sides { authority: authority.map_err(said)?, projection: projection.map_err(said)? };
        for (side, input) in inputs.sides.iter() {
            source::unchanged(&input.opened).map_err(|error| said(format!("{side}: {error}")))?;
        }
        for (source, opened) in inputs.owners.iter().flat_map(Owners::opened) {
            source::unchanged(opened).map_err(|error| said(format!("source `{}`: {error}", source.name)))?;
        }
        progress.end();
        Ok(LookedUp {
            personal: inputs.binding.attributes.iter().map(|one| is_personal(contract, &one.name)).collect(),
            attributes: inputs.binding.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
            count: found.as_ref().map(|_, found| found.count),
            unreadable: found.as_ref().map(|_, found| found.unreadable),
            rows: found.map(|_, found| found.rows),
        })
    })
}

/// Reads what the authority is composed of, as a run does, and keeps nothing but its rows.
fn load(
    owners: &Owners,
    contract: &Contract,
    (threads, memory_limit): (&rayon::ThreadPool, Option<u64>),
    instant: Timestamp,
    progress: &dyn Progress,
) -> Result<(), String> {
    let settings = Settings {
        run_id: String::new(),
        started_at: instant,
        command: "explain".to_owned(),
        threads: threads.current_num_threads(),
        memory_limit,
        spill_folder: std::env::temp_dir(),
        cache: None,
        examples: 0,
        draft_plan: false,
        digest_inputs: false,
        signed: false,
        pii_key: None,
        decisions: Arc::default(),
        earlier: None,
        shown: BTreeMap::new(),
        tuning: Tuning::default(),
    };
    let stop = Stop::default();
    let budget = settings.budget(owners.memory());
    let began = std::time::Instant::now();
    let (stop, notes, beside) = (&stop, None, None);
    let batch = Batch { contract, settings: &settings, began, progress, stop, threads, budget, notes, beside };
    let mut tally = Tally::new(contract, &settings);
    owners.load(&batch, &mut tally).map(drop).map_err(|halt| halt.to_string())
}

/// The bytes of a source, as far as it tells.
fn bytes_of(opened: &Opened) -> u64 {
    opened.units.iter().map(|unit| unit.bytes()).sum()
}

/// Nobody is told how far it is.
#[derive(Clone, Copy, Debug)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str, _: &str, _: u64) {}

    fn advance(&self, _: u64, _: u64) {}

    fn end(&self) {}
}

/// What is held against the run, and who is told.
struct By<'a> {
    contract: &'a Contract,
    privacy: &'a Privacy,
    progress: &'a dyn Progress,
}

impl By<'_> {
    /// Whether the sources besides the sides are those of the run, with the content that it digested.
    fn same_owners(&self, inputs: &Inputs, then: &[OwnerFacts]) -> Result<(), String> {
        let now: Vec<_> = inputs.owners.iter().flat_map(Owners::opened).collect();
        if now.len() != then.len() {
            return Err("its rows are composed of other sources than in the run".to_owned());
        }
        for ((source, opened), then) in now.iter().zip(then) {
            if source.name != then.input.source {
                return Err(format!(
                    "its rows are composed of source `{}` now, of `{}` then",
                    source.name, then.input.source
                ));
            }
            self.same_content(&format!("source `{}`", source.name), opened, &then.input.files)?;
        }
        Ok(())
    }

    /// Whether the files of a source hold what the run digested; `what` it is, for people.
    fn same_content(&self, what: &str, opened: &Opened, files: &[InputFile]) -> Result<(), String> {
        let Self { contract, privacy, progress } = self;
        if opened.snapshot.is_some() {
            return Err(format!("{what}: a database may hold other rows by now than in the run"));
        }
        if files.is_empty() || files.iter().any(|file| file.blake3.is_empty()) {
            return Err(format!("{what}: the run did not digest the content of its inputs"));
        }
        let digests = source::digest_files(opened, |_| None, &|bytes| progress.advance(0, bytes))
            .map_err(|error| format!("{what}: {error}"))?;
        // The run wrote no personal value, nor one in the name of a folder.
        let shown = opened.files.iter().map(|file| privacy.path(&contract.secrets.redact(&file.shown)));
        let now: Vec<(String, String)> = shown.zip(digests).collect();
        let then = files.iter().map(|file| (file.path.clone(), file.blake3.clone()));
        match now.iter().zip(then.clone()).find(|(now, then)| **now != *then) {
            Some(((path, _), _)) => Err(format!("{what}: {path} is not what it was in the run")),
            None if now.len() != files.len() => Err(format!("{what}: there are other files than in the run")),
            None => Ok(()),
        }
    }
}

fn is_personal(contract: &Contract, name: &str) -> bool {
    contract.personal().any(|(attribute, _)| attribute.name == name)
}

#[derive(Default)]
struct Found {
    rows: Vec<Vec<Option<String>>>,
    count: u64,
    unreadable: u64,
}

fn look_at(
    contract: &Contract,
    inputs: &Inputs,
    side: Side,
    (is, progress): (&(dyn Fn(&str) -> bool + Sync), &dyn Progress),
) -> Result<Found, String> {
    let input = inputs.sides.get(side);
    let scale = Scale::new(contract, &inputs.binding);
    // By unit, so that the rows come in the order of the source whoever reads first.
    let rows = Mutex::new(Vec::new());
    let (count, unreadable) = (AtomicU64::new(0), AtomicU64::new(0));
    input.opened.units.par_iter().enumerate().try_for_each(|(number, unit)| {
        let mut first = Vec::new();
        each_batch(input, &**unit, (&unreadable, progress), |batch| {
            let mut looked = Sides::<Rows>::default();
            let canonical = normalise(&inputs.binding, side, &batch);
            let of_batch = canonical.rows;
            *looked.get_mut(side) = Rows { raw: vec![batch], canonical: vec![canonical], ..Rows::default() };
            let bench = Bench { contract, binding: &inputs.binding, rows: &looked, scale: &scale };
            for row in 0..of_batch {
                if !is(&bench.key(side, RowAt { batch: 0, row })) {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                if first.len() < MOST {
                    let raw: &RecordBatch = &looked.get(side).raw[0];
                    let values = 0..inputs.binding.attributes.len();
                    let standing = |index: usize| {
                        let column = &looked.get(side).canonical[0].columns[index];
                        show(&inputs.binding, side, index, raw, row).or_else(|| instead(column, row))
                    };
                    first.push(values.map(standing).collect());
                }
            }
        })
        .map_err(|problem| format!("{side}: {problem}"))?;
        if !first.is_empty() {
            rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, first));
        }
        Ok::<(), String>(())
    })?;
    let mut rows = rows.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    rows.sort_by_key(|(number, _)| *number);
    let rows = rows.into_iter().flat_map(|(_, rows)| rows).take(MOST).collect();
    Ok(Found { rows, count: count.into_inner(), unreadable: unreadable.into_inner() })
}

/// What stands for a value that its owner does not have: what people know a key by, or why there is none.
fn instead(column: &CanonicalColumn, row: usize) -> Option<String> {
    let fault = column.fault(row)?;
    Some(if fault.shown.is_empty() { format!("({})", fault.reason.name()) } else { fault.shown.to_string() })
}

/// The compared columns of the rows that `filter` keeps, batch by batch.
fn each_batch(
    input: &Input,
    unit: &dyn Unit,
    (unreadable, progress): (&AtomicU64, &dyn Progress),
    mut each: impl FnMut(RecordBatch),
) -> Result<(), String> {
    for piece in unit.read(&input.columns).map_err(|error| error.to_string())? {
        let batch = match piece.map_err(|error| error.to_string())? {
            Piece::Rows(batch) => batch,
            Piece::Unreadable(range) => {
                unreadable.fetch_add(range.rows, Ordering::Relaxed);
                continue;
            }
        };
        progress.advance(batch.num_rows() as u64, 0);
        let kept = match &input.filter {
            Some(predicate) => {
                let mask = predicate.mask(&batch).map_err(|said| format!("filter: {said}"))?;
                filter_record_batch(&batch, &mask).map_err(|error| error.to_string())?
            }
            None => batch,
        };
        each(kept.project(&input.compared).map_err(|error| error.to_string())?);
    }
    progress.advance(0, unit.bytes());
    Ok(())
}
