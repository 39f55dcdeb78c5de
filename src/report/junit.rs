//! `junit.xml`: the run as pipelines show it, a testcase a contract. What drifted is a failure, what could not be compared an
//! error. No text out of the data can become markup, and the file grows with the contracts, never with the data.

use std::io::{self, Write};
use std::time::Duration;

use super::escape::{counted, visible};
use super::told::{Told, rows_sentence};
use crate::audit::{Audit, ContractAudit, Measured, Verdict};
use crate::classify::Divergence;
use crate::contract::Kind;

/// How many divergences of a contract are shown.
const SHOWN: usize = 10;
/// How many causes.
const CAUSES: usize = 5;
/// How many characters of one sentence.
const LONGEST: usize = 4_000;

/// Writes the run.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, measured: &Measured, out: &mut dyn Write) -> io::Result<()> {
    let of = |verdict| audit.contracts.iter().filter(|contract| contract.verdict == verdict).count();
    let time = seconds(Duration::from_millis(audit.elapsed_ms));
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{time}\"",
        audit.contracts.len(),
        of(Verdict::Drifted),
        of(Verdict::Unverified)
    );
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuites name=\"reconcile\" {counts}>")?;
    let began = audit.started_at.strftime("%Y-%m-%dT%H:%M:%S");
    writeln!(out, "  <testsuite name=\"reconcile {}\" id=\"0\" timestamp=\"{began}\" {counts}>", text(&audit.command))?;
    writeln!(out, "    <properties>")?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    for (name, value) in
        [("run_id", &audit.run_id), ("verdict", &audit.verdict().name().to_owned()), ("tool_version", &version)]
    {
        writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", text(value))?;
    }
    if let Some(predicate) = audit.narrowed() {
        writeln!(out, "      <property name=\"where\" value=\"{}\"/>", text(predicate))?;
    }
    writeln!(out, "    </properties>")?;
    for contract in &audit.contracts {
        case(contract, measured, out)?;
    }
    if !audit.warnings.is_empty() {
        writeln!(out, "    <system-err>{}</system-err>", block(&audit.warnings))?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn case(contract: &ContractAudit, measured: &Measured, out: &mut dyn Write) -> io::Result<()> {
    let took = measured.timing(&contract.name).map_or(Duration::ZERO, |timing| timing.took);
    writeln!(
        out,
        "    <testcase name=\"{}\" classname=\"reconcile\" time=\"{}\">",
        text(&contract.name),
        seconds(took)
    )?;
    let element = match contract.verdict {
        Verdict::Agreed => None,
        Verdict::Drifted => Some("failure"),
        Verdict::Unverified => Some("error"),
    };
    if let Some(element) = element {
        writeln!(
            out,
            "      <{element} type=\"{}\" message=\"{}\">{}</{element}>",
            contract.verdict.name(),
            text(&contract.because),
            block(&story(contract))
        )?;
    }
    // Of what agreed nothing else tells why.
    let why = (contract.verdict == Verdict::Agreed).then(|| contract.because.clone());
    let mut said: Vec<String> = why.into_iter().chain([counts(contract)]).collect();
    said.extend(contract.warnings.iter().map(|warning| format!("warning: {warning}")));
    writeln!(out, "      <system-out>{}</system-out>", block(&said))?;
    writeln!(out, "    </testcase>")
}

/// What whoever looks at the pipeline needs: what failed, why, the worst of it, and whom to ask.
fn story(contract: &ContractAudit) -> Vec<String> {
    let mut lines = vec![format!("{} {}: {}", contract.name, contract.version, contract.because)];
    lines.extend(contract.error.iter().flat_map(|error| error.lines()).map(str::to_owned));
    lines.push(counts(contract));
    for cause in contract.causes.iter().take(CAUSES) {
        lines.push(format!("cause: {} ({}): {}", cause.cause, counted(cause.keys, "key"), cause.evidence));
    }
    lines.extend(contract.examples.iter().take(SHOWN).map(example));
    let all: u64 = contract.severities.values().sum();
    let more = all.saturating_sub(contract.examples.len().min(SHOWN) as u64);
    if more > 0 {
        lines.push(format!("… and {} more in divergences.parquet", counted(more, "divergence")));
    }
    let people = [("team", &contract.team), ("runbook", &contract.runbook)];
    lines.extend(people.iter().filter_map(|(label, text)| Some(format!("{label}: {}", text.as_ref()?))));
    lines
}

/// What was read and what diverges, in one line.
fn counts(contract: &ContractAudit) -> String {
    let found = Kind::ALL.iter().filter_map(|kind| {
        let keys = contract.keys.get(kind).copied().filter(|keys| *keys > 0)?;
        Some(format!("{} {keys}", kind.name()))
    });
    let found: Vec<String> = found.collect();
    let found = if found.is_empty() { "nothing diverges".to_owned() } else { found.join(", ") };
    format!(
        "{} at the authority, {} in the projection: {found}",
        counted(contract.books.authority.read, "row"),
        counted(contract.books.projection.read, "row")
    )
}

fn example(divergence: &Divergence) -> String {
    let mut line = format!("{} {}", divergence.severity.name(), divergence.kind.name());
    for part in divergence.key.as_deref().into_iter().chain(divergence.attribute.as_deref()) {
        line.extend([" ", part]);
    }
    match Told::of(divergence) {
        Told::Nothing => {}
        Told::Pair { authority, projection } => line.extend([" authority ", &authority, ", projection ", &projection]),
        Told::Rows(rows) => line.extend([" ", &rows_sentence(&rows)]),
        Told::Problem(side, problem) => line.extend([" ", side.name(), ": ", &problem]),
    }
    line
}

/// Lines between tags.
fn block(lines: &[String]) -> String {
    lines.iter().map(|line| text(line)).collect::<Vec<_>>().join("\n")
}

/// A text on one line that is a valid attribute's value and content: no character that XML forbids, and nothing that could
/// end a tag or a quote.
fn text(value: &str) -> String {
    let mut written = String::new();
    for (count, character) in visible(value).chars().enumerate() {
        if count == LONGEST {
            written.push('…');
            break;
        }
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => written.extend(character.escape_unicode()),
            _ => written.push(character),
        }
    }
    written
}

fn seconds(took: Duration) -> String {
    format!("{}.{:03}", took.as_secs(), took.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn rendered(audit: &Audit) -> String {
        let mut out = Vec::new();
        render(audit, &Measured::default(), &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_contract_is_a_testcase_with_its_verdict() {
        let xml = rendered(&sample::audit());
        assert!(
            xml.contains(
                "<testsuites name=\"reconcile\" tests=\"3\" failures=\"1\" errors=\"1\" skipped=\"0\" time=\"1.250\">"
            ),
            "{xml}"
        );
        assert!(xml.contains("timestamp=\"2026-03-01T02:00:00\""), "{xml}");
        assert!(
            xml.contains("<failure type=\"drifted\" message=\"3 keys at or above `high`, none is allowed\">"),
            "{xml}"
        );
        assert!(xml.contains("<error type=\"unverified\""), "{xml}");
        assert!(xml.contains("runbook: https://wiki.example/crm-policy-view"), "{xml}");
        let agreed =
            xml.split("<testcase name=\"billing-view\"").nth(1).and_then(|rest| rest.split("</testcase>").next());
        assert!(agreed.is_some_and(|case| !case.contains("<failure") && !case.contains("<error")), "{xml}");
    }

    #[test]
    fn no_value_can_become_markup_or_a_character_that_xml_forbids() {
        let mut audit = sample::audit();
        let evil = "</failure>\u{1}\u{1b}[2J]]>&\"\u{fffe}\u{ffff}\u{202e}\r\n<script>";
        audit.contracts[1].because = evil.to_owned();
        audit.contracts[1].name = evil.to_owned();
        audit.warnings.push(evil.to_owned());
        let xml = rendered(&audit);
        assert_eq!(xml.matches("</failure>").count(), 1, "{xml}");
        let forbidden = |character: char| {
            (character.is_control() && character != '\n') || matches!(character, '\u{fffe}' | '\u{ffff}' | '\u{202e}')
        };
        assert!(!xml.contains(forbidden), "{xml:?}");
        assert!(!xml.contains("<script") && xml.contains("&lt;script&gt;"), "{xml}");
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let mut audit = sample::small("20260301T020000Z-0001");
        audit.warnings.push("x".repeat(100_000));
        assert!(rendered(&audit).len() < 10_000);
    }
}
