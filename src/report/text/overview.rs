//! Of several contracts those that did not agree, a line each at the end of the report, where a terminal has stopped.

use std::io::{self, Write};

use super::super::escape::{columns, lines, shorten, visible};
use super::{Style, WIDTH, color, painted};
use crate::audit::{Audit, Verdict};

/// How wide a name may be.
const NAME: usize = 32;

pub(super) fn write(audit: &Audit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if audit.contracts.len() < 2 {
        return Ok(());
    }
    let open: Vec<_> = audit.contracts.iter().filter(|contract| contract.verdict != Verdict::Agreed).collect();
    let names: Vec<String> = open.iter().map(|contract| shorten(&visible(&contract.name), NAME)).collect();
    let wide = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    let verdicts = open.iter().map(|contract| contract.verdict.name().len()).max().unwrap_or(0);
    if !open.is_empty() && (!audit.warnings.is_empty() || audit.interrupted.is_some()) {
        writeln!(out)?;
    }
    for (contract, name) in open.iter().zip(&names) {
        let verdict = contract.verdict.name();
        let [after_verdict, after_name] =
            [verdicts - verdict.len(), wide - columns(name)].map(|more| " ".repeat(more + 2));
        let room = WIDTH - verdicts - wide - 4;
        let because = lines(&visible(&contract.because), room - 2);
        let more = if because.len() > 1 { " …" } else { "" };
        let because = because.first().map(|line| shorten(line, room - 2)).unwrap_or_default();
        let verdict = painted(verdict, color(contract.verdict), style);
        writeln!(out, "{verdict}{after_verdict}{name}{after_name}{because}{more}")?;
    }
    if open.is_empty() { Ok(()) } else { writeln!(out) }
}
