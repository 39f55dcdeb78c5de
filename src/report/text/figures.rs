//! Control totals, invariants and the value at risk on the terminal: a sentence each, and the groups that do not balance.

use std::io::{self, Write};

use super::super::escape::columns;
use super::super::figures;
use super::{LABEL, WIDTH, sentence, wrapped};
use crate::audit::Figures;

/// How many groups that do not balance are printed; `summary.json` has more.
const GROUPS: usize = 5;

/// Writes what the contract asks for.
pub(super) fn write(found: &Figures, out: &mut dyn Write) -> io::Result<()> {
    for total in &found.totals {
        sentence("total", &figures::total(total), out)?;
        for group in total.worst.iter().take(GROUPS) {
            parts("", &figures::figures(total, group), out)?;
        }
        if total.unbalanced > GROUPS as u64 {
            sentence("", &format!("and {} more", total.unbalanced - GROUPS as u64), out)?;
        }
    }
    for invariant in &found.invariants {
        sentence("invariant", &figures::invariant(invariant), out)?;
    }
    let mut at_risk = found.value_at_risk.iter().flat_map(figures::at_risk).enumerate();
    at_risk.try_for_each(|(index, told)| parts(if index == 0 { "at risk" } else { "" }, &told, out))
}

/// Parts that stay whole where each has room in a line.
fn parts(label: &str, parts: &[String], out: &mut dyn Write) -> io::Result<()> {
    let room = WIDTH - LABEL - 1;
    if parts.iter().any(|part| columns(part) > room) {
        sentence(label, &parts.join(", "), out)
    } else {
        wrapped(label, parts, out)
    }
}
