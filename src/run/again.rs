//! A contract that is compared once more from its start, because a database held a value that its column's usual type cannot
//! hold. What differs in schemas is told when a turn is the last one, or tells anything else: so it is what that turn found, once.

use std::io;

use super::Batch;
use crate::audit::{ContractAudit, Recorder, Verdict};
use crate::classify::Divergence;
use crate::contract::Kind;
use crate::plan::Action;
use crate::source;

/// Compares until every column is read in a form that holds its values. Each turn knows one column more.
pub(super) fn compare(batch: &Batch<'_>, recorder: &mut dyn Recorder) -> io::Result<ContractAudit> {
    let mut once = Once { recorder, held: Vec::new(), has_told: false };
    loop {
        let known = source::widened();
        let audit = batch.one(&mut once)?;
        if audit.verdict != Verdict::Unverified || source::widened() == known || once.has_told {
            once.tell_held()?;
            return Ok(audit);
        }
        // The next turn finds what differs in schemas by itself.
        once.held.clear();
    }
}

/// Holds back what differs in schemas, of which there is no more than there are columns.
struct Once<'a> {
    recorder: &'a mut dyn Recorder,
    held: Vec<(String, Divergence)>,
    /// Something besides was told, so that the contract cannot begin again.
    has_told: bool,
}

impl Once<'_> {
    fn tell_held(&mut self) -> io::Result<()> {
        let mut held = std::mem::take(&mut self.held).into_iter();
        held.try_for_each(|(contract, divergence)| self.recorder.divergence(&contract, &divergence))
    }
}

impl Recorder for Once<'_> {
    fn keeps(&self) -> bool {
        self.recorder.keeps()
    }

    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        if divergence.kind == Kind::Schema && !self.has_told {
            self.held.push((contract.to_owned(), divergence.clone()));
            return Ok(());
        }
        self.has_told = true;
        self.tell_held()?;
        self.recorder.divergence(contract, divergence)
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.has_told = true;
        self.tell_held()?;
        self.recorder.action(action)
    }

    fn reveals(&self) -> bool {
        self.recorder.reveals()
    }

    fn revealed(&mut self, written: &Action, clear: &Action) {
        self.recorder.revealed(written, clear);
    }
}
