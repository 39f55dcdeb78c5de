//! The instant that decides which of several owners holds: the one that the projection speaks for. Where a column of the
//! projection tells it, that column is read before anything is composed, and afterwards it must have been the same.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rayon::prelude::*;

use super::super::scan::greatest_instant;
use super::super::tally::Tally;
use super::super::{Batch, Halt};
use super::filter_of;
use crate::contract::{CapturedAt, Contract, Source};
use crate::sides::Side;
use crate::source::{self, Opened, Piece};

/// What tells the instant where the projection does not.
#[derive(Clone, Copy)]
pub(in super::super) enum Clock<'a> {
    /// Nothing is read, this is the instant.
    Says(Timestamp),
    /// A column is read where one tells it, else it is when the run began.
    Reads(&'a Batch<'a>),
}

/// The instant that decided.
#[derive(Clone, Copy)]
pub(in super::super) struct Decided {
    pub(in super::super) at: Timestamp,
    /// Whether a column was read for it, and what that said.
    is_read: bool,
    told: Option<Timestamp>,
}

/// The instant that the projection speaks for, as far as owners depend on it.
pub(in super::super) fn instant(contract: &Contract, opened: &Opened, clock: Clock<'_>) -> Result<Decided, Halt> {
    let source = &contract.sources.projection;
    let told = source::captured_at(source, opened).map_err(|error| Halt::Source { side: Side::Projection, error })?;
    let batch = match clock {
        Clock::Says(now) => return Ok(Decided { at: told.unwrap_or(now), is_read: false, told }),
        Clock::Reads(batch) => batch,
    };
    let (is_read, told) = match &source.captured_at {
        CapturedAt::Column(column) if !contract.handovers().is_empty() => {
            (true, greatest(batch, source, opened, column)?)
        }
        _ => (false, told),
    };
    Ok(Decided { at: told.unwrap_or(batch.settings.started_at), is_read, told })
}

impl Decided {
    /// Refuses what came of it where the projection told another instant when its rows were compared.
    pub(in super::super) fn still_holds(&self, tally: &Tally<'_>) -> Result<(), Halt> {
        let now = tally.captured_at(Side::Projection);
        if !self.is_read || !tally.complete().projection || now == self.told {
            return Ok(());
        }
        let shown = |instant: Option<Timestamp>| instant.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
        Err(Halt::Contract(format!(
            "projection: its rows spoke for {} when the owners were chosen, and for {} when they were compared\nhint: run again when nobody writes",
            shown(self.told),
            shown(now)
        )))
    }
}

/// The greatest instant of a column of the projection, over the rows that its `filter` keeps.
fn greatest(batch: &Batch<'_>, source: &Source, opened: &Opened, column: &str) -> Result<Option<Timestamp>, Halt> {
    // One that is not there is refused where the side is bound.
    let Ok(index) = opened.schema.index_of(column) else { return Ok(None) };
    let filter = filter_of(source, &opened.schema)?;
    let mut columns = vec![index];
    columns.extend(filter.iter().flat_map(|(_, columns)| columns));
    columns.sort_unstable();
    columns.dedup();
    let within = columns.binary_search(&index).expect("it was put there");
    let failed = |error| Halt::Source { side: Side::Projection, error };
    let found = Mutex::new(None);
    let bytes = opened.units.iter().map(|unit| unit.bytes()).sum();
    batch.progress.begin(&batch.contract.name, "reading captured_at", bytes);
    let read = batch.threads.install(|| {
        opened.units.par_iter().with_max_len(1).try_for_each(|unit| {
            for piece in unit.read(&columns).map_err(failed)? {
                if let Some(signal) = batch.stop.requested() {
                    return Err(Halt::Interrupted(signal));
                }
                // What cannot be read leaves the contract unverified when its rows are compared.
                let Piece::Rows(rows) = piece.map_err(failed)? else { continue };
                batch.progress.advance(rows.num_rows() as u64, 0);
                let said = |said| Halt::Contract(format!("projection, filter: {said}"));
                let kept = filter.as_ref().map(|(filter, _)| filter.mask(&rows)).transpose().map_err(said)?;
                let greatest = greatest_instant(source, rows.column(within).as_ref(), kept.as_ref())?;
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                *found = (*found).max(greatest);
            }
            batch.progress.advance(0, unit.bytes());
            Ok(())
        })
    });
    batch.progress.end();
    read?;
    let found: Option<i64> = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(found.and_then(|nanoseconds| Timestamp::from_nanosecond(i128::from(nanoseconds)).ok()))
}
