//! The old copy on the terminal: what was read of it, how the projection stands to it, some examples.

use std::io::{self, Write};

use super::super::baseline;
use super::super::escape::{count, counted, visible};
use super::{Style, flow, input_parts, labelled, sentence, wrapped};
use crate::audit::ContractAudit;

/// What was read of it.
pub(super) fn facts(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Some(baseline) = &contract.baseline else { return Ok(()) };
    let mut parts = input_parts(&baseline.input);
    parts.push(counted(baseline.books.read, "row"));
    parts.push(format!("{} agree", count(baseline.books.agree)));
    wrapped("baseline", &parts, out)?;
    for file in baseline.input.files.iter().filter(|_| style.verbose) {
        labelled("", &format!("{}, {}", visible(&file.path), counted(file.bytes, "byte")), out)?;
    }
    Ok(())
}

/// How the projection stands to it.
pub(super) fn line(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    baseline::told(contract).map_or(Ok(()), |told| sentence("three-way", &told, out))
}

/// Some of each status.
pub(super) fn examples(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Some(held) = &contract.baseline else { return Ok(()) };
    let examples: Vec<_> = held.parity.iter().flat_map(baseline::shown).take(style.limit).collect();
    if !examples.is_empty() {
        writeln!(
            out,
            "\n  new is {}, old is {}",
            visible(&contract.inputs.projection.source),
            visible(&held.input.source)
        )?;
    }
    for example in examples {
        let [key, attribute] = baseline::place(example);
        let [authority, projection, old] = baseline::values(example);
        writeln!(out, "  {:<10}  {key}", example.status.name())?;
        let mut parts = Vec::new();
        parts.extend([attribute, authority].into_iter().filter(|part| !part.is_empty()).map(|part| ("  ", part)));
        parts.extend([("  ", format!("new {projection}")), ("  ", format!("old {old}"))]);
        flow(&parts, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn the_three_are_told_side_by_side_and_nothing_deceives() {
        let mut contract = sample::audit().contracts.swap_remove(1);
        contract.baseline = Some(sample::baseline());
        let style = Style { limit: 10, ..Style::default() };
        let mut out = Vec::new();
        for part in [facts, examples] {
            part(&contract, style, &mut out).expect("a vector takes all");
        }
        line(&contract, &mut out).expect("a vector takes all");
        insta::assert_snapshot!(String::from_utf8(out).expect("text"), @r#"
          baseline    old_projection (Policy | Administration),
                      data/old/projection/*.parquet, 9 rows, 8 agree

          new is policy_projection, old is old_projection
          regression  {"id":"<b>\u{1b}|"}
                    premium | *  "10"  new "\u{202e}11"  old right
          changed     {"id":"<b>\u{1b}|"}
                    premium | *  "10"  new "\u{202e}11"  old missing
          inherited   {"id":"<b>\u{1b}|"}
                    premium | *  "10"  new "\u{202e}11"  old null
          healed      {"id":"<b>\u{1b}|"}
                    premium | *  new right  old duplicate_key
          three-way   1 regression (old_projection is right), 1 changed, 1,200
                      inherited, 1 healed, 1 in flight, 2 in what old_projection does
                      not tell (name <i>)
        "#);
    }
}
