//! `report.md` and `--format markdown`: verdict first, then what was compared with what as of when, counts, examples, plan,
//! evidence. No text out of the data can become markup. It says nothing that depends on when it is rendered.

use std::io::{self, Write};

use super::escape::{count, counted, elapsed, percent, shorten, visible};
use super::json::{hex, matched};
use super::lag;
use super::sum::{signal_name, sum};
use super::told::{Told, taken_over};
use crate::audit::{Audit, ContractAudit, InputFacts, Verdict};
use crate::contract::{Kind, Severity};
use crate::sides::Side;

mod baseline;
mod figures;
mod fit;
mod over_time;
mod owners;

pub use fit::{COMMENT, fit};

/// How many columns of a side are named that were left out.
const LEFT_OUT: usize = 100;

/// Writes the audit.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Reconciliation: {}\n", audit.verdict().name())?;
    writeln!(out, "{}\n", sum(audit))?;
    if let Some(signal) = audit.interrupted {
        writeln!(out, "The run was interrupted by {}; it holds what was finished.\n", signal_name(signal))?;
    }
    if let Some(told) = super::segments::of_run(audit) {
        writeln!(out, "The run {}.\n", plain(&told))?;
    }
    if let Some(predicate) = audit.narrowed() {
        writeln!(out, "Only keys that satisfy `--where` were compared: {}\n", plain(predicate))?;
    }
    if !audit.contracts.is_empty() {
        overview(audit, out)?;
    }
    list("Warnings", "##", &audit.warnings, out)?;
    for contract in &audit.contracts {
        section(contract, out)?;
    }
    evidence(audit, out)
}

fn overview(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| contract | version | verdict | because | coverage |")?;
    writeln!(out, "| --- | --- | --- | --- | ---: |")?;
    for contract in &audit.contracts {
        writeln!(
            out,
            "| {} | {} | **{}** | {} | {} |",
            plain(&contract.name),
            plain(&contract.version),
            contract.verdict.name(),
            plain(&contract.because),
            percent(contract.coverage)
        )?;
    }
    writeln!(out)
}

fn section(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## {} {}: {}\n", plain(&contract.name), plain(&contract.version), contract.verdict.name())?;
    for text in contract.description.iter().chain([&contract.because]) {
        writeln!(out, "{}\n", plain(text))?;
    }
    for line in contract.error.iter().flat_map(|error| error.lines()) {
        match line.strip_prefix("hint: ") {
            Some(hint) => writeln!(
                out,
                "> **hint:** {}
",
                plain(hint)
            )?,
            None => writeln!(
                out,
                "> **error:** {}
",
                plain(line)
            )?,
        }
    }
    let people = [("Team", &contract.team), ("Runbook", &contract.runbook)];
    for (label, text) in people.into_iter().filter_map(|(label, text)| Some((label, text.as_ref()?))) {
        writeln!(out, "- {label}: {}", plain(text))?;
    }
    let key =
        if contract.key.is_empty() { "none, rows are a multiset".to_owned() } else { plain(&contract.key.join(", ")) };
    writeln!(out, "- Key: {key}\n- Coverage: {}\n", percent(contract.coverage))?;
    compared(contract, out)?;
    owners::owners(contract, out)?;
    counts(contract, out)?;
    super::causes::markdown(contract, plain, out)?;
    figures::write(&contract.figures, out)?;
    examples(contract, out)?;
    plan(contract, out)?;
    super::decided::markdown(&contract.decided, plain, out)?;
    over_time::section(contract, out)?;
    baseline::section(contract, out)?;
    if let Some(told) = super::checksums::told(contract) {
        writeln!(out, "Checksums in the database: {}.\n", plain(&told))?;
    }
    if let Some(told) = super::recheck::told(contract) {
        writeln!(out, "Second look: {}.\n", plain(&told))?;
    }
    if let Some(told) = super::segments::told(contract) {
        writeln!(out, "Kept: {}.\n", plain(&told))?;
    }
    list("Warnings", "###", &contract.warnings, out)
}

/// What was compared with what, as of when.
fn compared(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "### What was compared\n")?;
    writeln!(out, "| | authority | projection |\n| --- | --- | --- |")?;
    let context = |input: &InputFacts| input.context.as_deref().map_or_else(|| "—".to_owned(), plain);
    let captured =
        |input: &InputFacts| input.captured_at.map_or_else(|| "not told".to_owned(), |instant| instant.to_string());
    input_row("source", contract, |input| plain(&input.source), out)?;
    input_row("context", contract, context, out)?;
    input_row("location", contract, |input| plain(&input.location), out)?;
    input_row("as of", contract, captured, out)?;
    // What no file holds has none, which is another thing than an empty folder.
    let files = |input: &InputFacts| match input.snapshot {
        Some(_) if input.files.is_empty() => "—".to_owned(),
        _ => count(input.files.len() as u64),
    };
    input_row("files", contract, files, out)?;
    if contract.inputs.iter().any(|(_, input)| input.snapshot.is_some()) {
        input_row("state", contract, |input| input.snapshot.as_deref().map_or_else(|| "—".to_owned(), plain), out)?;
    }
    let (authority, projection) = (&contract.books.authority, &contract.books.projection);
    let accounts = [
        ("rows read", authority.read, projection.read),
        ("rows that agree", authority.agree, projection.agree),
        ("rows in pairs that differ", authority.differ, projection.differ),
        ("rows without a partner", authority.unpaired, projection.unpaired),
        ("rows of duplicate keys", authority.duplicate, projection.duplicate),
        ("rows with NULL in a key", authority.null_key, projection.null_key),
        ("rows that could not be read", authority.unreadable, projection.unreadable),
        ("rows not compared", authority.uncompared, projection.uncompared),
        ("rows out of scope", authority.out_of_scope, projection.out_of_scope),
    ];
    for (label, authority, projection) in accounts {
        writeln!(out, "| {label} | {} | {} |", count(authority), count(projection))?;
    }
    if authority.tombstone + projection.tombstone > 0 {
        let [authority, projection] = [authority, projection].map(|books| count(books.tombstone));
        writeln!(out, "| tombstones without a partner | {authority} | {projection} |")?;
    }
    writeln!(out, "\nRows in pairs: {}.\n", count(matched(&contract.books)))?;
    if let Some(told) = super::left_out::told(contract, LEFT_OUT) {
        writeln!(out, "Columns left out: {}.\n", plain(&told))?;
    }
    for (label, text) in lag::sentences(contract) {
        writeln!(out, "- {label}: {}", plain(&text))?;
    }
    if contract.lag.is_some() {
        writeln!(out)?;
    }
    match taken_over(contract) {
        Some(told) => writeln!(out, "Not read: {}.\n", plain(&told)),
        None => Ok(()),
    }
}

fn input_row(
    label: &str,
    contract: &ContractAudit,
    cell: impl Fn(&InputFacts) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    let [authority, projection] = Side::BOTH.map(|side| cell(contract.inputs.get(side)));
    writeln!(out, "| {label} | {authority} | {projection} |")
}

fn counts(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let kinds: Vec<_> =
        Kind::ALL.into_iter().map(|kind| (kind.name(), contract.keys.get(&kind).copied().unwrap_or(0))).collect();
    if kinds.iter().all(|(_, keys)| *keys == 0) {
        // Where not all was compared, "none" alone would say more than is known.
        return match contract.verdict {
            Verdict::Unverified => writeln!(out, "No divergences were found in what was compared.\n"),
            Verdict::Agreed | Verdict::Drifted => writeln!(out, "No divergences.\n"),
        };
    }
    writeln!(out, "### Divergences\n\n| kind | keys |\n| --- | ---: |")?;
    for (kind, keys) in kinds.into_iter().filter(|(_, keys)| *keys > 0) {
        writeln!(out, "| {kind} | {} |", count(keys))?;
    }
    writeln!(out, "\n| severity | lines | keys |\n| --- | ---: | ---: |")?;
    for severity in Severity::ALL {
        let of = |counts: &std::collections::BTreeMap<Severity, u64>| counts.get(&severity).copied().unwrap_or(0);
        let (lines, keys) = (of(&contract.severities), of(&contract.keys_by_severity));
        writeln!(out, "| {} | {} | {} |", severity.name(), count(lines), count(keys))?;
    }
    let mut differing: Vec<_> = contract.attributes.iter().filter(|(_, mismatches)| *mismatches > 0).collect();
    differing.sort_by_key(|(_, mismatches)| std::cmp::Reverse(*mismatches));
    if !differing.is_empty() {
        writeln!(out, "\n| attribute | mismatches |\n| --- | ---: |")?;
    }
    for (name, mismatches) in differing {
        writeln!(out, "| {} | {} |", plain(name), count(*mismatches))?;
    }
    writeln!(out)
}

fn examples(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    if contract.examples.is_empty() {
        return Ok(());
    }
    let lines: u64 = contract.severities.values().sum();
    writeln!(out, "### The worst {} of {}\n", count(contract.examples.len() as u64), counted(lines, "line"))?;
    writeln!(out, "| severity | kind | key | attribute | authority | projection | reason |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for divergence in &contract.examples {
        let values = Told::of(divergence).by_side();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            divergence.severity.name(),
            divergence.kind.name(),
            markup_free(&shorten(&visible(divergence.key.as_deref().unwrap_or_default()), 100)),
            plain(divergence.attribute.as_deref().unwrap_or_default()),
            markup_free(&values.authority),
            markup_free(&values.projection),
            plain(&divergence.reason.to_string())
        )?;
    }
    writeln!(out)
}

fn plan(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let plan = contract.plan;
    if plan.safe + plan.review + plan.manual == 0 {
        return Ok(());
    }
    writeln!(out, "### Plan\n\n| safety | actions |\n| --- | ---: |")?;
    for (safety, actions) in [("safe", plan.safe), ("review", plan.review), ("manual", plan.manual)] {
        writeln!(out, "| {safety} | {} |", count(actions))?;
    }
    if contract.plan_truncated {
        writeln!(out, "\nThe plan is over `max_actions`: it holds only its first actions and cannot be applied.")?;
    }
    writeln!(out)
}

/// Who, when, with what, and how to prove it.
fn evidence(audit: &Audit, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Evidence\n\n| | |\n| --- | --- |")?;
    writeln!(out, "| run | {} |\n| command | {} |", plain(&audit.run_id), plain(&audit.command))?;
    writeln!(out, "| started at | {} |\n| took | {} |", audit.started_at, elapsed(audit.elapsed_ms))?;
    for (name, value) in &audit.settings {
        writeln!(out, "| {} | {} |", plain(name), plain(value))?;
    }
    writeln!(out, "\n| contract | what | BLAKE3 |\n| --- | --- | --- |")?;
    for contract in &audit.contracts {
        let name = plain(&contract.name);
        writeln!(out, "| {name} | the contract's meaning | `{}` |", hex(&contract.contract_digest))?;
        let sides = contract.inputs.iter().map(|(side, input)| (side.name(), input));
        for (role, input) in sides.chain(contract.owners.iter().map(|owner| (owner.role.name(), &owner.input))) {
            if !input.table_digest.is_empty() {
                writeln!(out, "| {name} | {role}: sum of row digests | {} |", plain(&input.table_digest))?;
            }
            for file in &input.files {
                let digest = if file.blake3.is_empty() { "not digested".to_owned() } else { plain(&file.blake3) };
                let bytes = counted(file.bytes, "byte");
                writeln!(out, "| {name} | {role}: {}, {bytes} | {digest} |", plain(&file.path))?;
            }
        }
    }
    writeln!(
        out,
        "\n`manifest.json` lists every file of this run with its BLAKE3, and `ledger.ndjson` holds the manifest's;\n\
         `reconcile audit verify` proves that none of them was changed."
    )
}

fn list(title: &str, level: &str, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "{level} {title}\n")?;
    for line in lines {
        writeln!(out, "- {}", plain(line))?;
    }
    writeln!(out)
}

/// A text that a Markdown reader shows as it stands, on one line.
fn plain(text: &str) -> String {
    markup_free(&visible(text))
}

fn markup_free(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // GitHub makes links out of bare addresses, and a value must not become one.
            '@' => shown.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                shown.push('\\');
                shown.push(character);
            }
            _ => shown.push(character),
        }
    }
    shown.replace("://", "&#58;//").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests;
