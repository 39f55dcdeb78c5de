//! Reading in spans of the key, so that a run that is cut off leaves something: the rows of both sides are read span by span,
//! and each segment of a span that holds the same rows on both sides is done with, for this run and for one that goes on from it.
//!
//! ```text
//!   leading number of the key, from the least to the greatest
//!   ├──── kept of the run before ────┤├─ span ─┤├─ span ─┤├─ span ─┤ …      each in the snapshot of its side
//!                                      │ segments of some hundred rows: as many rows, equal sums of their digests?
//!                                      ▼
//!                        yes: they agree, and are kept        no: left to the engine, which reads them like everything else
//! ```
//!
//! It judges nothing, and proves what it proves by the sums of whole BLAKE3 digests of rows that were read. What differs is never
//! kept: a run that goes on reads it again, so that a divergence is always of the newest reading. Where something is said of every
//! row (markers, totals, invariants), where no index finds a range, or no index vouches that a key occurs once, all is read as ever.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::input::Inputs;
use super::pushdown::{leave, needs_every_row, remote};
use super::reader::Reader;
use super::tally::{Spanned, Taken, Tally};
use super::{Batch, Halt};
use crate::audit::{Kept, Range, Reading};
use crate::contract::{Contract, Limits, System};
use crate::digest::Sum;
use crate::sides::{Side, Sides};
use crate::source::{Remote, Unit};

mod grid;
mod seen;

use grid::{Axis, Grid, merged};
use seen::{Seen, Sight};

/// Whether a contract is read so even where nothing is kept of an earlier run: where a source says that reading may be cut
/// short or take long.
pub(super) fn wished(contract: &Contract) -> bool {
    limits(contract).any(|limits| {
        limits.max_duration.is_some() || limits.max_rows_per_second.is_some() || limits.pause_if.is_some()
    })
}

/// Whether reading takes so long that it may well be cut short, of tables that are read by no other way sooner.
fn is_large(batch: &Batch<'_>, inputs: &Inputs) -> bool {
    let remotes: Vec<&dyn Remote> = inputs.sides.iter().filter_map(|(_, input)| remote(&input.opened)).collect();
    let serves = !remotes.is_empty() && remotes.iter().all(|asked| asked.system() == System::Postgres);
    serves && grid::rows(inputs) >= batch.settings.tuning.large_rows
}

/// Whether the number that leads the key is about a person: its ranges are kept nowhere.
fn is_personal(batch: &Batch<'_>, inputs: &Inputs) -> bool {
    let contract = inputs.contract.as_ref().unwrap_or(batch.contract);
    let leading = inputs.binding.attributes.first().map(|attribute| &attribute.name);
    contract.attributes.iter().any(|attribute| Some(&attribute.name) == leading && attribute.pii.is_some())
}

fn limits(contract: &Contract) -> impl Iterator<Item = &Limits> {
    contract.sources.iter().filter_map(|(_, source)| Some(&source.database()?.limits))
}

/// Reads what is not kept of an earlier run, and leaves of each side only the rows that are still to be compared. Tells whether
/// it did.
pub(super) fn read_in_spans(batch: &Batch<'_>, inputs: &mut Inputs, tally: &mut Tally<'_>) -> Result<bool, Halt> {
    let earlier = batch.part();
    if earlier.is_none() && !wished(batch.contract) && !is_large(batch, inputs) {
        return Ok(false);
    }
    let axis = match needs_every_row(batch, inputs).map_or_else(|| Axis::of(batch, inputs), |why| Ok(Err(why)))? {
        Ok(axis) => axis,
        Err(because) => {
            if let Some(earlier) = earlier {
                tally.warn(earlier.not_kept(&because));
            }
            return Ok(false);
        }
    };
    tally.opened(inputs, Taken::default(), batch.progress);
    let other = earlier.and_then(|earlier| {
        let other = || tally.other_inputs(earlier.kept);
        Some(earlier.not_kept(&earlier.too_old(batch).or_else(other)?))
    });
    let before = earlier.filter(|_| other.is_none()).map(|earlier| earlier.kept.clone()).unwrap_or_default();
    other.into_iter().for_each(|said| tally.warn(said));
    let grid = axis.grid(&before);
    let walk = Walk { batch, inputs, grid, agree: Mutex::default() };
    batch.progress.begin(&batch.contract.name, "reading", 0);
    batch.progress.expect(2 * walk.grid.rows);
    let ended = walk.all();
    batch.progress.end();
    let own = reading(batch, inputs);
    let Walk { grid, agree, .. } = walk;
    let agree = agree.into_inner().unwrap_or_else(PoisonError::into_inner);
    let sum = agree.iter().map(|range| range.sum.as_ref().map(Sum::from_bytes)).try_fold(Sum::default(), added);
    let rows = before.rows() + grid.rows;
    let all = merged(before.clone(), own.clone(), agree);
    let (left, proved) = (grid.left(&all.ranges), all.rows());
    let resumed = earlier.map(|earlier| earlier.run_id.to_owned());
    tally.spanned(Spanned { resumed, sum: sum.filter(|_| before.ranges.is_empty()), before, own, all, rows });
    ended?;
    leave(inputs, (grid.extent, proved), left, |side, ranges| grid.conditions(side, ranges));
    Ok(true)
}

/// What a database told of ranges that are equal, for a run that goes on from this one.
pub(super) fn summed(batch: &Batch<'_>, inputs: &Inputs, agree: Vec<Range>) -> Spanned {
    let own = reading(batch, inputs);
    let agree = if is_personal(batch, inputs) { Vec::new() } else { agree };
    let all = merged(Kept::default(), own.clone(), agree);
    Spanned { resumed: None, before: Kept::default(), own, all, rows: grid::rows(inputs), sum: None }
}

/// The reading of now, of which no row was counted yet.
fn reading(batch: &Batch<'_>, inputs: &Inputs) -> Reading {
    let snapshots = inputs.sides.as_ref().map(|_, input| input.opened.snapshot.as_ref());
    Reading {
        run_id: batch.settings.run_id.clone(),
        read_at: snapshots.map(|_, told| Some(told.map_or(batch.settings.started_at, |told| told.taken_at))),
        snapshot: snapshots.map(|_, told| told.map(|told| told.described.clone())),
        rows: Sides::default(),
    }
}

fn added(mut all: Sum, more: Option<Sum>) -> Option<Sum> {
    all += more?;
    Some(all)
}

/// What is read, and what was found.
struct Walk<'a> {
    batch: &'a Batch<'a>,
    inputs: &'a Inputs,
    grid: Grid,
    agree: Mutex<Vec<Range>>,
}

impl Walk<'_> {
    /// Reads all spans.
    fn all(&self) -> Result<(), Halt> {
        // What no database serves is read once, for all segments.
        let here = Sides::from_fn(|side| side).try_map(|side, _| {
            let is_here = remote(&self.inputs.sides.get(side).opened).is_none();
            is_here.then(|| self.whole(side)).transpose()
        })?;
        let spans: Vec<&[(i64, i64)]> = self.grid.spans().collect();
        let one = |(index, span): (usize, &&[(i64, i64)])| self.span(index * self.grid.each_span, span, &here);
        if limits(self.batch.contract).any(|limits| limits.max_rows_per_second.is_some()) {
            // They wait for each other anyway, and one that is ended is worth more than two that are half read.
            return spans.iter().enumerate().try_for_each(one);
        }
        // Both sides at once.
        let readers = self.batch.settings.readers(2 * self.inputs.memory());
        let threads = rayon::ThreadPoolBuilder::new().num_threads(readers).build();
        let threads = threads.map_err(|error| Halt::Spill(std::io::Error::other(error)))?;
        threads.install(|| spans.par_iter().enumerate().with_max_len(1).try_for_each(one))
    }

    /// All segments of a side that no database serves.
    fn whole(&self, side: Side) -> Result<Vec<Seen>, Halt> {
        let units = &self.inputs.sides.get(side).opened.units;
        let none = || vec![Seen::default(); self.grid.segments.len()];
        let seen = Mutex::new(none());
        self.batch.threads.install(|| {
            units.par_iter().with_max_len(1).try_for_each(|unit| {
                let mut sight = Sight::new(self.reader(side), &self.grid.segments);
                sight.look(unit.as_ref())?;
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.iter_mut().zip(sight.seen).for_each(|(all, more)| all.add(more));
                Ok::<(), Halt>(())
            })
        })?;
        Ok(seen.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads a span on both sides, and notes the segments that agree; `first` is the number of its first one.
    fn span(&self, first: usize, span: &[(i64, i64)], here: &Sides<Option<Vec<Seen>>>) -> Result<(), Halt> {
        let of_side = |side: Side| match here.get(side) {
            Some(seen) => Ok(seen[first..first + span.len()].to_vec()),
            None => self.picked(side, span),
        };
        // A thread each: they wait for what comes.
        let (authority, projection) = std::thread::scope(|scope| {
            let other = scope.spawn(|| of_side(Side::Projection));
            let own = of_side(Side::Authority);
            (own, other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (authority, projection) = (authority?, projection?);
        let agree = span.iter().zip(authority.iter().zip(&projection)).filter(|(_, (one, other))| one.agrees(other));
        let range = |((low, high), (seen, _)): (&(i64, i64), (&Seen, &Seen))| Range {
            low: *low,
            high: *high,
            rows: seen.rows,
            sum: Some(seen.sum.to_bytes()),
            reading: 0,
        };
        let agree: Vec<Range> = agree.map(range).collect();
        self.agree.lock().unwrap_or_else(PoisonError::into_inner).extend(agree);
        Ok(())
    }

    /// The segments of a span, of a side that a database serves.
    fn picked(&self, side: Side, span: &[(i64, i64)]) -> Result<Vec<Seen>, Halt> {
        let input = self.inputs.sides.get(side);
        let asked = remote(&input.opened).expect("only a database is asked for spans");
        let unit: Box<dyn Unit> = asked.pick(self.grid.condition(side, span), Some(&input.columns));
        let mut sight = Sight::new(self.reader(side), span);
        sight.look(unit.as_ref())?;
        if sight.has_strays {
            // What lies elsewhere than where it was asked for proves nothing.
            sight.seen.iter_mut().for_each(|seen| seen.is_unsure = true);
        }
        Ok(sight.seen)
    }

    fn reader(&self, side: Side) -> Reader<'_> {
        Reader { batch: self.batch, inputs: self.inputs, side }
    }
}
