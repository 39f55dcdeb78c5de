//! What `report.md` tells of time: how many divergences are new, recur, are resolved, and since when.

use std::io::{self, Write};

use super::plain;
use crate::audit::{ContractAudit, Recurrence};
use crate::report::escape::{count, counted};

/// The section of a contract; nothing where nothing was held against it.
pub(super) fn section(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let Some(recurrence) = contract.recurrence.as_ref() else { return Ok(()) };
    let Recurrence { new, recurring, resolved, unseen, .. } = *recurrence;
    if new + recurring + resolved + unseen == 0 {
        return Ok(());
    }
    writeln!(out, "### Over time\n\nHeld against run {}.\n", plain(&recurrence.since))?;
    writeln!(out, "| | divergences |\n| --- | ---: |")?;
    for (status, divergences) in [("new", new), ("recurring", recurring), ("resolved", resolved)] {
        writeln!(out, "| {status} | {} |", count(divergences))?;
    }
    if unseen > 0 {
        writeln!(out, "| not seen, but a column was not compared | {} |", count(unseen))?;
    }
    writeln!(out)?;
    if let Some(oldest) = &recurrence.oldest {
        let run = plain(&oldest.first_run);
        let runs = counted(oldest.runs, "run");
        writeln!(
            out,
            "The oldest that recurs was first seen at {} in run {run}, in {runs} by now.\n",
            oldest.first_seen
        )?;
    }
    Ok(())
}
