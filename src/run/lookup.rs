//! Looks one key up in both sources, by reading them: `explain RUN KEY` shows what stands there. It compares nothing, and
//! reads only where the content of every file is still what a run digested.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use jiff::Timestamp;
use rayon::prelude::*;

use super::Tuning;
use super::input::{Input, Inputs, open};
use super::privacy::Privacy;
use crate::audit::InputFile;
use crate::classify::{Bench, Scale};
use crate::contract::Contract;
use crate::diff::resolve::{RowAt, Rows};
use crate::normalise::{normalise, show};
use crate::sides::{Side, Sides};
use crate::source::{self, Piece, Unit};

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

/// Reads both sources for the rows whose key, as JSON text, `is` the one that is looked for. `files` are those of the run,
/// whose content must be the same now.
///
/// # Errors
/// Why nothing can be said, as a sentence part.
pub fn look_up(
    contract: &Contract,
    files: &Sides<&[InputFile]>,
    threads: usize,
    is: &(dyn Fn(&str) -> bool + Sync),
) -> Result<LookedUp, String> {
    if contract.crosswalk.is_some() || contract.attributes.iter().any(|attribute| attribute.origin.is_composed()) {
        return Err("its rows are composed of several sources or columns".to_owned());
    }
    let hidden = Privacy::new(contract, None);
    let said = |text: String| hidden.scrubbed(&contract.secrets.redact(&text)).into_owned();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| error.to_string())?;
    pool.install(|| {
        // No attribute has an owner that could change with the time.
        let inputs = open(contract, &Tuning::default(), Timestamp::UNIX_EPOCH)
            .map_err(|halts| said(halts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        for side in Side::BOTH {
            same_content(contract, &inputs, side, files.get(side)).map_err(said)?;
        }
        let looked_up = Sides::from_fn(|side| look_at(contract, &inputs, side, is));
        let Sides { authority, projection } = looked_up;
        let found = Sides { authority: authority.map_err(said)?, projection: projection.map_err(said)? };
        for (side, input) in inputs.sides.iter() {
            source::unchanged(&input.opened).map_err(|error| said(format!("{side}: {error}")))?;
        }
        Ok(LookedUp {
            personal: inputs.binding.attributes.iter().map(|one| is_personal(contract, &inputs, &one.name)).collect(),
            attributes: inputs.binding.attributes.iter().map(|attribute| attribute.name.clone()).collect(),
            count: found.as_ref().map(|_, found| found.count),
            unreadable: found.as_ref().map(|_, found| found.unreadable),
            rows: found.map(|_, found| found.rows),
        })
    })
}

fn is_personal(contract: &Contract, inputs: &Inputs, name: &str) -> bool {
    inputs.contract.as_ref().unwrap_or(contract).personal().any(|(attribute, _)| attribute.name == name)
}

/// Whether a side's files hold what the run digested.
fn same_content(contract: &Contract, inputs: &Inputs, side: Side, files: &[InputFile]) -> Result<(), String> {
    let input = inputs.sides.get(side);
    if input.opened.snapshot.is_some() {
        return Err(format!("{side}: a database may hold other rows by now than in the run"));
    }
    if files.is_empty() || files.iter().any(|file| file.blake3.is_empty()) {
        return Err(format!("{side}: the run did not digest the content of its inputs"));
    }
    let digests = source::digest_files(&input.opened, |_| None).map_err(|error| format!("{side}: {error}"))?;
    // The run wrote no personal value, nor one in the name of a folder.
    let bound = inputs.contract.as_ref().unwrap_or(contract);
    let privacy = Privacy::new(contract, None).bound(bound, &inputs.binding);
    let shown = input.opened.files.iter().map(|file| privacy.path(&contract.secrets.redact(&file.shown)));
    let now: Vec<(String, String)> = shown.zip(digests).collect();
    let then = files.iter().map(|file| (file.path.clone(), file.blake3.clone()));
    match now.iter().zip(then.clone()).find(|(now, then)| **now != *then) {
        Some(((path, _), _)) => Err(format!("{side}: {path} is not what it was in the run")),
        None if now.len() != files.len() => Err(format!("{side}: there are other files than in the run")),
        None => Ok(()),
    }
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
    is: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Found, String> {
    let input = inputs.sides.get(side);
    let scale = Scale::new(contract, &inputs.binding);
    // By unit, so that the rows come in the order of the source whoever reads first.
    let rows = Mutex::new(Vec::new());
    let (count, unreadable) = (AtomicU64::new(0), AtomicU64::new(0));
    input.opened.units.par_iter().enumerate().try_for_each(|(number, unit)| {
        let mut first = Vec::new();
        each_batch(input, &**unit, &unreadable, |batch| {
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
                    first.push(values.map(|index| show(&inputs.binding, side, index, raw, row)).collect());
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

/// The compared columns of the rows that `filter` keeps, batch by batch.
fn each_batch(
    input: &Input,
    unit: &dyn Unit,
    unreadable: &AtomicU64,
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
        let kept = match &input.filter {
            Some(predicate) => {
                let mask = predicate.mask(&batch).map_err(|said| format!("filter: {said}"))?;
                filter_record_batch(&batch, &mask).map_err(|error| error.to_string())?
            }
            None => batch,
        };
        each(kept.project(&input.compared).map_err(|error| error.to_string())?);
    }
    Ok(())
}
