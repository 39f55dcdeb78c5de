//! A contract that is compared once more from its start, because a database held a value that its column's usual type cannot
//! hold. Nothing is told twice: what differs in schemas was told before, and nothing else may have been.

use std::io;

use super::Batch;
use crate::audit::{ContractAudit, Recorder, Verdict};
use crate::classify::Divergence;
use crate::contract::Kind;
use crate::plan::Action;
use crate::source;

/// Compares until every column is read in a form that holds its values. Each turn knows one column more.
pub(super) fn compare(batch: &Batch<'_>, recorder: &mut dyn Recorder) -> io::Result<ContractAudit> {
    let mut once = Once { recorder, mutes_schema: false, has_told: false };
    loop {
        let known = source::widened();
        let audit = batch.one(&mut once)?;
        if audit.verdict != Verdict::Unverified || source::widened() == known || once.has_told {
            return Ok(audit);
        }
        once.mutes_schema = true;
    }
}

/// Tells what differs in schemas once.
struct Once<'a> {
    recorder: &'a mut dyn Recorder,
    mutes_schema: bool,
    /// Something besides was told, so that the contract cannot begin again.
    has_told: bool,
}

impl Recorder for Once<'_> {
    fn keeps(&self) -> bool {
        self.recorder.keeps()
    }

    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        if divergence.kind != Kind::Schema {
            self.has_told = true;
        } else if self.mutes_schema {
            return Ok(());
        }
        self.recorder.divergence(contract, divergence)
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.has_told = true;
        self.recorder.action(action)
    }

    fn reveals(&self) -> bool {
        self.recorder.reveals()
    }

    fn revealed(&mut self, written: &Action, clear: &Action) {
        self.recorder.revealed(written, clear);
    }
}
