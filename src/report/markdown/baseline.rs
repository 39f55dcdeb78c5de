//! The old copy in `report.md`.

use std::io::{self, Write};

use super::super::baseline;
use super::super::escape::{count, counted};
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
        "The old copy is {old} at {}, as of {captured}: {}, of which {} agree with the authority.\n",
        plain(&held.input.location),
        counted(held.books.read, "row"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_section_tells_counts_and_examples_and_breaks_out_of_nothing() {
        let mut contract = sample::audit().contracts.swap_remove(1);
        contract.baseline = Some(sample::baseline());
        let mut out = Vec::new();
        section(&contract, &mut out).expect("a vector takes all");
        let text = String::from_utf8(out).expect("text");
        for line in [
            "### Three-way parity",
            "The old copy is old\\_projection at data/old/projection/\\*.parquet, as of not told: 9 rows, of which 8 agree with the authority.",
            "| inherited | 1,200 |",
            r#"| changed | \{"id":"&lt;b&gt;\\u\{1b\}\|"\} | premium \| \* | "10" | "\\u\{202e\}11" | missing |"#,
            r#"| healed | \{"id":"&lt;b&gt;\\u\{1b\}\|"\} | premium \| \* |  | right | duplicate\_key |"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("<i>") && !text.contains('\u{1b}') && !text.contains("in_flight | \\{"));
    }
}
