//! An apply as a deed that is recorded: its journal begins beside the runs, becomes a receipt, and the ledger holds it. What an
//! apply that was stopped left is ended first. It decides nothing about rows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::engine::{Outcome, Steps};
use super::journal::{Begun, Ended, Story, remove_unborn};
use super::work::{Again, Recording, Target, Told};
use crate::contract::Database;
use crate::history::{self, Applied, Signer};

pub use crate::database::place as place_of;

/// What every deed needs.
pub struct Deed<'a> {
    /// The folder of runs and ledger.
    pub reports: &'a Path,
    /// What digests of personal values are keyed with.
    pub key: [u8; 32],
    /// The clock.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Who is told each step.
    pub steps: &'a dyn Steps,
    /// What signs the ledger's line.
    pub signer: Option<&'a Arc<Signer>>,
}

/// An apply that had been stopped, and is ended now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its id.
    pub apply_id: String,
    /// How many of its actions were done.
    pub done: u64,
    /// Transactions of which it is not known whether they are durable.
    pub unknown: usize,
}

impl Deed<'_> {
    /// Writes what a target holds, has the touched keys compared again, and records the receipt; nothing is recorded of one that
    /// did not come to its end.
    ///
    /// # Errors
    /// What kept the receipt from being written or recorded.
    pub fn carry_out(
        &self,
        target: &mut Target,
        begun: Begun,
        again: &mut dyn FnMut(&[(usize, Outcome)]) -> Again,
    ) -> io::Result<Told> {
        let path = history::receipt_path(self.reports, &begun.apply_id)?;
        let (told, ended) = target.write(&self.recording(&path, begun.clone()), again)?;
        if told.halted.is_none() {
            self.record(begun, &ended)?;
            target.link.release();
        }
        Ok(told)
    }

    /// Ends every apply to this target that was stopped, and records it. The target must have been taken.
    ///
    /// # Errors
    /// What kept one from being ended, as a sentence.
    pub fn settle(&self, target: &mut Target, database: &Database) -> Result<Vec<Settled>, String> {
        let mut settled = Vec::new();
        for path in history::unfinished(self.reports).map_err(|error| error.to_string())? {
            let Some(begun) = Story::read(&path).map_err(|error| error.to_string())?.begun else {
                remove_unborn(&path).map_err(|error| error.to_string())?;
                continue;
            };
            if !begun.is_of(database) {
                continue;
            }
            let (story, ended) = target.settle(&path, &self.recording(&path, begun.clone()))?;
            let unknown = story.batches.iter().filter(|batch| batch.durable.is_none()).count();
            settled.push(Settled { apply_id: begun.apply_id.clone(), done: ended.done, unknown });
            self.record(begun, &ended).map_err(|error| error.to_string())?;
        }
        Ok(settled)
    }

    fn recording<'a>(&'a self, path: &'a Path, begun: Begun) -> Recording<'a> {
        Recording { path, begun, key: self.key, now: self.now, steps: self.steps }
    }

    fn record(&self, begun: Begun, ended: &Ended) -> io::Result<()> {
        let applied = Applied {
            apply_id: begun.apply_id,
            run_id: begun.run_id,
            rolls_back: begun.rolls_back,
            done: ended.done,
            skipped: ended.skipped,
            receipt: String::new(),
        };
        history::record_apply(self.reports, applied, (self.now)(), self.signer)?;
        self.steps.taken("receipt recorded");
        Ok(())
    }
}
