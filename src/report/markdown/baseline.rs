//! The old copy in `report.md`.

use std::io::{self, Write};

use super::super::baseline;
use super::super::escape::count;
use super::{markup_free, plain};
use crate::audit::ContractAudit;

/// The section of a contract; nothing without an old copy.
pub(super) fn section(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let (Some(held), Some(told)) = (&contract.baseline, baseline::told(contract)) else { return Ok(()) };
    let captured = held.input.captured_at.map_or_else(|| "not told".to_owned(), |instant| instant.to_string());
    let old = plain(&held.input.source);
    writeln!(out, "### Three-way parity\n\n{}.\n", plain(&told))?;
    writeln!(
        out,
        "The old copy is {old} at {}, as of {captured}: {} rows, of which {} agree with the authority.\n",
        plain(&held.input.location),
        count(held.books.read),
        count(held.books.agree)
    )?;
    let Some(found) = &held.parity else { return Ok(()) };
    writeln!(out, "| status | divergences |\n| --- | ---: |")?;
    for (status, lines) in found.counts() {
        writeln!(out, "| {status} | {} |", count(lines))?;
    }
    writeln!(out)?;
    let examples: Vec<_> = baseline::shown(found).collect();
    if examples.is_empty() {
        return Ok(());
    }
    let new = plain(&contract.inputs.projection.source);
    writeln!(out, "| status | key | attribute | authority | {new} | {old} |\n| --- | --- | --- | --- | --- | --- |")?;
    for example in examples {
        let cells = baseline::place(example).into_iter().chain(baseline::values(example));
        let cells: Vec<String> = cells.map(|cell| markup_free(&cell)).collect();
        writeln!(out, "| {} | {} |", example.status.name(), cells.join(" | "))?;
    }
    writeln!(out)
}
