//! Control totals, invariants and the value at risk in Markdown.

use std::io::{self, Write};

use super::super::figures;
use super::{count, list, markup_free, plain};
use crate::audit::{Figures, GroupFigures, TotalFigures};

/// Writes what the contract asks for.
pub(super) fn write(found: &Figures, out: &mut dyn Write) -> io::Result<()> {
    if !found.totals.is_empty() {
        writeln!(out, "### Control totals\n")?;
    }
    for total in &found.totals {
        writeln!(out, "{}\n", markup_free(&figures::total(total)))?;
        if total.worst.is_empty() {
            continue;
        }
        groups(total, out)?;
        let more = total.unbalanced - total.worst.len() as u64;
        if more > 0 {
            writeln!(out, "And {} more.\n", count(more))?;
        }
    }
    list("Invariants", "###", &found.invariants.iter().map(figures::invariant).collect::<Vec<_>>(), out)?;
    let at_risk: Vec<String> =
        found.value_at_risk.iter().flat_map(figures::at_risk).map(|parts| parts.join(", ")).collect();
    list("Value at risk", "###", &at_risk, out)
}

fn groups(total: &TotalFigures, out: &mut dyn Write) -> io::Result<()> {
    let names: String = total.sum.iter().map(|name| format!(" {} |", plain(name))).collect();
    writeln!(out, "| group | side | rows |{names}")?;
    writeln!(out, "| --- | --- | ---: |{}", " ---: |".repeat(total.sum.len()))?;
    for group in &total.worst {
        let name = markup_free(&figures::group(total, group));
        for (side, figure) in group.sides.iter() {
            let sums: String =
                (0..total.sum.len()).map(|place| format!(" {} |", figures::sum(figure, place))).collect();
            writeln!(out, "| {name} | {side} | {} |{sums}", count(figure.rows))?;
        }
        writeln!(out, "| {name} | difference | {} |{}", rows(group), differences(group))?;
    }
    writeln!(out)
}

fn rows(group: &GroupFigures) -> String {
    let (authority, projection) = (group.sides.authority.rows, group.sides.projection.rows);
    let sign = if authority < projection { "-" } else { "" };
    format!("{sign}{}", count(authority.abs_diff(projection)))
}

fn differences(group: &GroupFigures) -> String {
    group.differences.iter().map(|difference| format!(" {difference} |")).collect()
}
