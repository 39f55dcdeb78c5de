//! The end of the report, where a terminal has stopped: the verdict, a line a contract, and what explains most of it. Nothing
//! where all agreed.

use std::io::{self, Write};

use super::super::escape::{columns, count, counted, lines, shorten, visible};
use super::{Style, WIDTH, color, painted};
use crate::audit::{Audit, ContractAudit, Verdict};
use crate::causes::Cause;

/// How wide a name may be.
const NAME: usize = 32;
/// More contracts than these that agreed are counted, not named.
const AGREED: usize = 8;
/// How many causes are told.
const CAUSES: usize = 3;
/// How much of a line its label takes, with the space behind it.
const LABEL: usize = 12;

pub(super) fn write(audit: &Audit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (agreed, open): (Vec<_>, Vec<_>) =
        audit.contracts.iter().partition(|contract| contract.verdict == Verdict::Agreed);
    if open.is_empty() {
        return Ok(());
    }
    if !audit.warnings.is_empty() || audit.narrowed().is_some() || audit.interrupted.is_some() || style.verbose {
        writeln!(out)?;
    }
    if audit.contracts.len() > 1 {
        let verdict = audit.verdict();
        writeln!(out, "{:<LABEL$}{}", "verdict", painted(verdict.name(), color(verdict), style))?;
    }
    let named: Vec<_> = open.into_iter().chain(agreed.iter().copied().filter(|_| agreed.len() <= AGREED)).collect();
    let names: Vec<String> = named.iter().map(|contract| shorten(&visible(&contract.name), NAME)).collect();
    let wide = names.iter().map(|name| columns(name)).max().unwrap_or(0);
    for (contract, name) in named.iter().zip(&names) {
        contract_line(contract, name, wide, style, out)?;
    }
    if agreed.len() > AGREED {
        let verdict = painted(&format!("{:<LABEL$}", "agreed"), color(Verdict::Agreed), style);
        writeln!(out, "{verdict}{}", counted(agreed.len() as u64, "contract"))?;
    }
    causes(audit, out)?;
    writeln!(out)
}

fn contract_line(
    contract: &ContractAudit,
    name: &str,
    wide: usize,
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let blanks = " ".repeat(wide - columns(name) + 2);
    let room = WIDTH - LABEL - wide - 2;
    let because = lines(&visible(&contract.because), room - 2);
    let more = if because.len() > 1 { " …" } else { "" };
    let because = because.first().map(|line| shorten(line, room - 2)).unwrap_or_default();
    let verdict = painted(&format!("{:<LABEL$}", contract.verdict.name()), color(contract.verdict), style);
    writeln!(out, "{verdict}{}", format!("{name}{blanks}{because}{more}").trim_end())
}

/// What explains most keys, whichever contract's.
fn causes(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    let all = audit.contracts.iter().flat_map(|contract| contract.causes.iter().map(move |cause| (contract, cause)));
    let mut all: Vec<(&ContractAudit, &Cause)> = all.collect();
    // The sort is stable, so equal causes stay in the order of the file.
    all.sort_by_key(|(_, cause)| std::cmp::Reverse(cause.keys));
    for (contract, cause) in all.iter().take(CAUSES) {
        let attribute = cause.attribute.as_deref().map(|name| format!(" of {}", visible(name))).unwrap_or_default();
        let of = if audit.contracts.len() > 1 { format!("  {}", visible(&contract.name)) } else { String::new() };
        let text = format!("{}: {}{attribute}{of}", counted(cause.keys, "key"), cause.cause);
        writeln!(out, "{:<LABEL$}{}", "cause", shorten(&text, WIDTH - LABEL))?;
    }
    if all.len() > CAUSES {
        writeln!(out, "{:<LABEL$}and {} more", "", count((all.len() - CAUSES) as u64))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn told(audit: &Audit) -> String {
        let mut out = Vec::new();
        write(audit, Style::default(), &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn nothing_is_told_where_all_agreed() {
        let mut audit = sample::audit();
        audit.contracts.truncate(1);
        assert_eq!(told(&audit), "");
    }

    #[test]
    fn the_verdict_comes_first_then_a_line_a_contract_then_the_causes_within_the_width() {
        let mut audit = sample::audit();
        audit.warnings.clear();
        let cause = |name: &str, keys: u64| Cause {
            cause: name.to_owned(),
            attribute: Some("a \u{1b} rather long name of an attribute that goes on and on".to_owned()),
            keys,
            of: keys,
            evidence: String::new(),
            option: None,
        };
        audit.contracts[1].causes = vec![cause("rounding", 1200), cause("trimming", 3)];
        audit.contracts[2].causes = vec![cause("case", 7), cause("zone", 1)];
        audit.contracts[1].because = "many keys at or above `high` ".repeat(5);
        insta::assert_snapshot!(told(&audit), @r"
        verdict     unverified
        drifted     crm-policy-view  many keys at or above `high` many keys at or …
        unverified  claims-view      projection could not be read
        agreed      billing-view     1 key at or above `low`, 10 are allowed
        cause       1,200 keys: rounding of a \u{1b} r…t goes on and on  crm-policy-view
        cause       7 keys: case of a \u{1b} rather lo… that goes on and on  claims-view
        cause       3 keys: trimming of a \u{1b} rathe…t goes on and on  crm-policy-view
                    and 1 more
        ");
        assert!(told(&audit).lines().all(|line| columns(line) <= WIDTH));
        let many: Vec<_> = std::iter::repeat_with(sample::audit).flat_map(|one| one.contracts).take(30).collect();
        let many = Audit { contracts: many, ..audit };
        assert!(told(&many).contains("\nagreed      10 contracts\n"), "{}", told(&many));
    }
}
