//! The report on the terminal, for a person at three in the morning: each contract's verdict first, then why, then where;
//! the last line is the sum. Colour only adds. It never prints a character that could move the cursor or hide another.

use std::io::{self, Write};

use super::decided;
use super::escape::{columns, count, counted, elapsed, lines, percent, shorten, visible};
use super::json::matched;
use super::lag;
use super::left_out;
use super::sum::{severities, signal_name, sum};
use super::told::{Told, rows_sentence, taken_over};
use crate::audit::{Audit, ContractAudit, InputFacts, Verdict};
use crate::classify::Divergence;
use crate::contract::{Kind, Severity};

mod baseline;
mod figures;
mod over_time;
mod overview;
mod owners;

/// How the terminal wants it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style<'a> {
    /// ANSI colours; they add, never inform.
    pub color: bool,
    /// How many divergences of each contract are printed.
    pub limit: usize,
    /// More detail.
    pub verbose: bool,
    /// Where the run is kept, for whoever sits at a terminal.
    pub kept: Option<&'a str>,
}

/// How many attributes with mismatches are named unless all are asked for.
const ATTRIBUTES_NAMED: usize = 12;
/// How wide a line may be where its parts can be parted.
const WIDTH: usize = 80;
/// What stands before a warning of the run itself.
const WARNING: &str = "warning: ";
/// How much of it a label takes, with the space around it.
const LABEL: usize = 14;
/// How much of it stands before an example's key.
const HEAD: usize = 27;
/// How far in stands what is told below an example's head.
const INDENT: usize = 12;

/// Writes the audit; the last line is the sum a person wants.
///
/// # Errors
/// What kept it from being written.
pub fn render(audit: &Audit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for contract in &audit.contracts {
        heading(contract, style, out)?;
        facts(contract, style, out)?;
        divergences(contract, style, out)?;
        plan(contract, out)?;
        for told in decided::sentences(&contract.decided) {
            sentence("decided", &told, out)?;
        }
        figures::write(&contract.figures, out)?;
        over_time::line(contract, out)?;
        baseline::line(contract, out)?;
        if let Some(told) = super::checksums::told(contract) {
            sentence("checksums", &told, out)?;
        }
        if let Some(told) = super::recheck::told(contract) {
            sentence("recheck", &told, out)?;
        }
        if let Some(told) = super::segments::told(contract) {
            sentence("kept", &told, out)?;
        }
        for warning in &contract.warnings {
            sentence("warning", warning, out)?;
        }
        super::causes::text(contract, style.verbose, out)?;
        examples(contract, style, out)?;
        baseline::examples(contract, style, out)?;
        writeln!(out)?;
    }
    if let Some(predicate) = audit.narrowed() {
        let told = format!("narrowed by --where: {}", visible(predicate));
        lines(&told, WIDTH).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    for warning in &audit.warnings {
        for (index, line) in lines(&visible(warning), WIDTH - WARNING.len()).iter().enumerate() {
            let label = if index == 0 { WARNING } else { "" };
            writeln!(out, "{label:<9}{line}")?;
        }
    }
    if let Some(told) = super::segments::of_run(audit) {
        sentence("resumed", &told, out)?;
    }
    if let Some(signal) = audit.interrupted {
        writeln!(out, "interrupted by {}: what was finished is above", signal_name(signal))?;
    }
    if style.verbose {
        writeln!(out, "run {}, {}, took {}", visible(&audit.run_id), audit.started_at, elapsed(audit.elapsed_ms))?;
    }
    overview::write(audit, style, out)?;
    if let Some(next) = next_command(audit, style) {
        writeln!(out, "next: {next}")?;
    }
    writeln!(out, "{}", sum(audit))
}

/// `drifted  crm-policy-view 2.1.0  team crm`, and the sentence that says why.
fn heading(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let verdict = painted(contract.verdict.name(), color(contract.verdict), style);
    write!(out, "{verdict}  {} {}", visible(&contract.name), visible(&contract.version))?;
    if let Some(team) = &contract.team {
        write!(out, "  team {}", visible(team))?;
    }
    writeln!(out)?;
    if let Some(description) = contract.description.as_ref().filter(|_| style.verbose) {
        writeln!(out, "  {}", visible(description))?;
    }
    sentence("because", &contract.because, out)?;
    // The error brings its hint on a line of its own, as everywhere.
    for line in contract.error.iter().flat_map(|error| error.lines()) {
        match line.strip_prefix("hint: ") {
            Some(hint) => sentence("hint", hint, out)?,
            None => sentence("error", line, out)?,
        }
    }
    if let Some(runbook) = contract.runbook.as_ref().filter(|_| contract.verdict != Verdict::Agreed) {
        labelled("runbook", &visible(runbook), out)?;
    }
    Ok(())
}

/// What was compared with what, and how much of it.
fn facts(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for (side, input) in contract.inputs.iter() {
        wrapped(side.name(), &input_parts(input), out)?;
        for file in input.files.iter().filter(|_| style.verbose) {
            labelled("", &format!("{}, {}", visible(&file.path), counted(file.bytes, "byte")), out)?;
        }
    }
    owners::owners(contract, style, out)?;
    baseline::facts(contract, style, out)?;
    let books = &contract.books;
    let rows = format!(
        "authority {}, projection {}, matched {}",
        count(books.authority.read),
        count(books.projection.read),
        count(matched(books))
    );
    labelled("rows", &rows, out)?;
    labelled("coverage", &percent(contract.coverage), out)?;
    for (label, text) in lag::sentences(contract) {
        sentence(label, &text, out)?;
    }
    if let Some(told) = left_out::told(contract, if style.verbose { usize::MAX } else { ATTRIBUTES_NAMED }) {
        sentence("left out", &told, out)?;
    }
    if let Some(told) = taken_over(contract) {
        sentence("not read", &told, out)?;
    }
    if style.verbose {
        for (side, account) in books.iter() {
            let accounts = [
                (account.agree, "agree"),
                (account.differ, "differ"),
                (account.unpaired, "unpaired"),
                (account.duplicate, "duplicate"),
                (account.null_key, "null key"),
                (account.unreadable, "unreadable"),
                (account.uncompared, "uncompared"),
                (account.out_of_scope, "out of scope"),
            ];
            let mut parts = vec![format!("{side} {}", count(account.read))];
            parts.extend(accounts.map(|(rows, name)| format!("{} {name}", count(rows))));
            if account.tombstone > 0 {
                parts.push(format!("{} tombstones alone", count(account.tombstone)));
            }
            wrapped("books", &parts, out)?;
        }
    }
    Ok(())
}

fn input_parts(input: &InputFacts) -> Vec<String> {
    let context = input.context.as_ref().map(|context| format!(" ({})", visible(context))).unwrap_or_default();
    let mut parts = vec![format!("{}{context}", visible(&input.source))];
    if input.location != input.source {
        parts.push(visible(&input.location));
    }
    parts.extend(input.captured_at.map(|instant| format!("as of {instant}")));
    parts.extend(input.snapshot.as_deref().map(visible));
    parts
}

/// The kinds with their keys, the severities, the attributes.
fn divergences(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let lines: u64 = contract.severities.values().sum();
    if lines == 0 && contract.keys.values().all(|keys| *keys == 0) {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "  {:<14} {:>14}", "kind", "keys")?;
    for kind in Kind::ALL {
        let keys = contract.keys.get(&kind).copied().unwrap_or(0);
        if keys > 0 {
            writeln!(out, "  {:<14} {:>14}", kind.name(), count(keys))?;
        }
    }
    writeln!(out)?;
    if lines > 0 {
        labelled("severity", &severities(&contract.severities), out)?;
    }
    attributes(contract, style, out)
}

fn examples(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let lines: u64 = contract.severities.values().sum();
    let shown: Vec<_> = contract.examples.iter().take(style.limit).collect();
    if !shown.is_empty() {
        writeln!(out, "\n  the worst {} of {}", count(shown.len() as u64), counted(lines, "divergence"))?;
    }
    for divergence in shown {
        example(divergence, style, out)?;
        over_time::example(contract, divergence, out)?;
    }
    Ok(())
}

fn attributes(contract: &ContractAudit, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut differing: Vec<_> = contract.attributes.iter().filter(|(_, mismatches)| *mismatches > 0).collect();
    // The sort is stable, so equal counts stay in the contract's order.
    differing.sort_by_key(|(_, mismatches)| std::cmp::Reverse(*mismatches));
    let named = if style.verbose { differing.len() } else { ATTRIBUTES_NAMED };
    let mut parts: Vec<String> = differing
        .iter()
        .take(named)
        .map(|(name, mismatches)| format!("{} {}", shorten(&visible(name), 40), count(*mismatches)))
        .collect();
    if differing.len() > named {
        parts.push(format!("and {} more", counted((differing.len() - named) as u64, "attribute")));
    }
    wrapped("attributes", &parts, out)
}

/// `  critical  mismatch  {"policy_id":18}`, and below it attribute, values and reason.
fn example(divergence: &Divergence, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let severity = format!("{:<8}", divergence.severity.name());
    let color = match divergence.severity {
        Severity::Critical => "1;31",
        Severity::High => "31",
        Severity::Medium => "33",
        Severity::Low | Severity::Info => "2",
    };
    let reason = shorten(&visible(&divergence.reason.to_string()), 60);
    let told = Told::of(divergence);
    let room = WIDTH - HEAD;
    let key = match (&told, divergence.key.as_deref()) {
        (Told::Problem(side, _), None) => side.name().to_owned(),
        (_, key) => shorten(&visible(key.unwrap_or_default()), room),
    };
    let head = format!("  {}  {:<13}  {key}", painted(&severity, color, style), divergence.kind.name());
    let head = head.trim_end();
    let beside = matches!(told, Told::Nothing | Told::Problem(..)) && columns(&key) + 2 + columns(&reason) <= room;
    if beside {
        writeln!(out, "{head}  {reason}")?;
    } else {
        writeln!(out, "{head}")?;
    }
    let mut parts = Vec::new();
    match told {
        Told::Nothing => {}
        Told::Pair { authority, projection } => {
            parts.extend(divergence.attribute.as_deref().map(|name| ("  ", shorten(&visible(name), 60))));
            parts.extend([("  ", authority), (" ", format!("→ {projection}"))]);
        }
        Told::Rows(rows) => parts.push(("  ", rows_sentence(&rows))),
        Told::Problem(_, problem) => {
            for line in lines(&problem, WIDTH - INDENT) {
                writeln!(out, "{:INDENT$}{line}", "")?;
            }
        }
    }
    if !beside {
        parts.push(("  ", reason));
    }
    flow(&parts, out)
}

/// Parts below an example's head, each after what parts it from the one before, on as many lines as they need.
fn flow(parts: &[(&str, String)], out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (space, part) in parts {
        if !line.is_empty() && INDENT + columns(&line) + space.len() + columns(part) > WIDTH {
            writeln!(out, "{:INDENT$}{line}", "")?;
            line.clear();
        }
        line.extend([if line.is_empty() { "" } else { space }, part.as_str()]);
    }
    if line.is_empty() { Ok(()) } else { writeln!(out, "{:INDENT$}{line}", "") }
}

fn plan(contract: &ContractAudit, out: &mut dyn Write) -> io::Result<()> {
    let plan = contract.plan;
    let actions = plan.safe + plan.review + plan.manual;
    if actions == 0 {
        return Ok(());
    }
    let parts = [(plan.safe, "safe"), (plan.review, "after a look"), (plan.manual, "by a person")]
        .map(|(actions, who)| if actions == 0 { String::new() } else { format!("{} {who}", count(actions)) });
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let cut = if contract.plan_truncated { "; over `max_actions`, so it is cut and cannot be applied" } else { "" };
    labelled("plan", &format!("{} ({}){cut}", counted(actions, "action"), parts.join(", ")), out)
}

/// What the reader would type next, if anything is to be done.
fn next_command(audit: &Audit, style: Style) -> Option<String> {
    let drifted = audit.contracts.iter().filter(|contract| contract.verdict == Verdict::Drifted);
    let worst = drifted.filter_map(|contract| contract.examples.first()).max_by_key(|divergence| divergence.severity);
    if let Some(next) = mend(audit) {
        return Some(next);
    }
    match (audit.verdict(), style.kept) {
        (Verdict::Agreed, _) => None,
        (_, Some(kept)) if worst.is_some() => Some(format!("reconcile browse {}", word(kept))),
        _ => worst.map(|divergence| format!("reconcile explain {}", divergence.kind.name())),
    }
}

/// What helps where a contract could not be compared: to go on from what was finished; `check` of sources that did not open; nothing
/// else of what a signal stopped.
fn mend(audit: &Audit) -> Option<String> {
    if audit.verdict() == Verdict::Unverified && super::segments::is_open(audit) {
        return Some(format!("reconcile run --resume {}", word(&audit.run_id)));
    }
    if audit.interrupted.is_some() {
        return None;
    }
    let unverified = || audit.contracts.iter().filter(|contract| contract.verdict == Verdict::Unverified);
    let closed = |contract: &ContractAudit| contract.inputs.iter().any(|(_, input)| input.columns.is_empty());
    if audit.command == "run" && unverified().any(closed) {
        let config = audit.settings.get("config").filter(|file| *file != "reconcile.toml");
        let config = config.map(|file| format!(" --config {}", word(file))).unwrap_or_default();
        return Some(format!("reconcile check --sources{config}"));
    }
    let unreadable = unverified().any(|contract| contract.keys.contains_key(&Kind::Unreadable));
    unreadable.then(|| format!("reconcile explain {}", Kind::Unreadable.name()))
}

/// A path as a shell takes it.
fn word(path: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "/._-+:,@%".contains(character);
    let path = visible(path);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Parts with commas between them, on as many lines as they need.
fn wrapped(label: &str, parts: &[String], out: &mut dyn Write) -> io::Result<()> {
    let mut label = label;
    let mut line = String::new();
    for (index, part) in parts.iter().enumerate() {
        let comma = if index + 1 < parts.len() { "," } else { "" };
        if !line.is_empty() && LABEL + columns(&line) + 1 + columns(part) + comma.len() > WIDTH {
            labelled(label, &line, out)?;
            label = "";
            line.clear();
        }
        let space = if line.is_empty() { "" } else { " " };
        line.extend([space, part.as_str(), comma]);
    }
    if line.is_empty() { Ok(()) } else { labelled(label, &line, out) }
}

/// A text on as many lines as it needs.
fn sentence(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    for (index, line) in lines(&visible(text), WIDTH - LABEL).iter().enumerate() {
        labelled(if index == 0 { label } else { "" }, line, out)?;
    }
    Ok(())
}

fn labelled(label: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "  {label:<10}  {text}")
}

fn color(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agreed => "32",
        Verdict::Drifted => "31",
        Verdict::Unverified => "33",
    }
}

fn painted(text: &str, color: &str, style: Style) -> String {
    if style.color { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn rendered(audit: &Audit, style: Style) -> String {
        let mut out = Vec::new();
        render(audit, style, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    const PLAIN: Style = Style { color: false, limit: 10, verbose: false, kept: None };

    #[test]
    fn the_report_reads_from_verdict_to_sum() {
        insta::assert_snapshot!(rendered(&sample::audit(), PLAIN), @r#"
        agreed  billing-view 1.0.0
          because     1 key at or above `low`, 10 are allowed
          authority   billing_authority (Policy | Administration),
                      data/billing/authority/*.parquet
          projection  billing_projection (Policy | Administration),
                      data/billing/projection/*.parquet
          rows        authority 3,001, projection 3,000, matched 3,000
          coverage    100%

          kind                     keys
          missing                     1

          severity    1 low

        drifted  crm-policy-view 2.1.0  team crm
          because     3 keys at or above `high`, none is allowed
          runbook     https://wiki.example/crm-policy-view
          authority   policy_authority (Policy | Administration),
                      data/policy/authority/*.parquet, as of 2026-03-01T00:00:00Z
          projection  policy_projection (Policy | Administration),
                      data/policy/projection/*.parquet, as of 2026-03-01T00:00:00Z
          rows        authority 12,004, projection 12,002, matched 12,002
          coverage    99.99%

          kind                     keys
          missing                     2
          mismatch                    2

          severity    2 critical, 2 medium
          attributes  holder 1, premium 1
          plan        4 actions (2 safe, 2 after a look)
          warning     projection: 1 file holds no rows

          the worst 4 of 4 divergences
          critical  missing        {"policy_id":17}  kind:missing
          critical  missing        {"policy_id":12345678901234567890123456789012345678}
                    rule:old | policies
          medium    mismatch       {"policy_id":18}
                    premium  "10.00" → "n/a"  unparseable
          medium    mismatch       {"policy_id":19}
                    holder  "<b>`Anna|\n\u{202e}" → null  attribute:holder

        unverified  claims-view 1.2.3  team claims
          because     projection could not be read
          error       claims.csv:812: 7 fields, expected 9 as in the header
          hint        quote the field that holds a delimiter
          authority   claims_authority (Policy | Administration),
                      data/claims/authority/*.parquet
          projection  claims_projection (Policy | Administration),
                      data/claims/projection/*.parquet
          rows        authority 0, projection 0, matched 0
          coverage    0.00%

        warning: run `20260228T020000Z-0001` was adopted: it has a folder but no ledger
                 line

        verdict     unverified
        drifted     crm-policy-view  3 keys at or above `high`, none is allowed
        unverified  claims-view      projection could not be read
        agreed      billing-view     1 key at or above `low`, 10 are allowed

        next: reconcile explain missing
        3 contracts: 1 agreed (1 low), 1 drifted (2 critical, 2 medium), 1 unverified
        "#);
    }

    #[test]
    fn each_kind_is_told_in_its_own_way_within_the_width() {
        let mut audit = sample::audit();
        let contract = &mut audit.contracts[1];
        let of = |kind, key: Option<&str>, authority: Option<&str>, projection: Option<&str>| {
            let mut divergence = sample::divergences().swap_remove(0);
            divergence.kind = kind;
            divergence.key = key.map(Box::from);
            divergence.values.authority = authority.map(Box::from);
            divergence.values.projection = projection.map(Box::from);
            divergence
        };
        let problem = "exports/claims-2026-03-01.csv:812: 7 fields, expected 9 as in the header of the file";
        let wide = "木".repeat(60);
        contract.examples = vec![
            of(Kind::Unreadable, None, None, Some(problem)),
            of(Kind::DuplicateKey, Some(r#"{"id":1}"#), Some("1"), Some("2")),
            of(Kind::NullKey, Some(r#"{"id":null}"#), None, Some("1")),
            of(Kind::Missing, Some(&wide), None, None),
            of(Kind::Mismatch, Some(r#"{"id":2}"#), Some(&wide), Some("a value of some forty columns, no more")),
        ];
        contract.because = "3 keys at or above `high` and ".repeat(5);
        let text = rendered(&audit, PLAIN);
        assert!(text.lines().all(|line| columns(line) <= WIDTH), "{text}");
        let examples = text.split("divergences\n").nth(1).and_then(|rest| rest.split("\n\n").next());
        insta::assert_snapshot!(examples.unwrap_or_default(), @r#"
        critical  unreadable     projection  kind:missing
                  exports/claims-2026-03-01.csv:812: 7 fields, expected 9 as in the
                  header of the file
        critical  duplicate_key  {"id":1}
                  1 row at the authority, 2 in the projection  kind:missing
        critical  null_key       {"id":null}
                  1 row in the projection  kind:missing
        critical  missing        木木木木木木木木木木木木木…木木木木木木木木木木木木木
                  kind:missing
        critical  mismatch       {"id":2}
                  "木木木木木木木木木木木木木木…木木木木木木木木木木木木木木"
                  → "a value of some forty columns, no more"  kind:missing
        "#);
    }

    #[test]
    fn colour_adds_and_never_informs() {
        let colored = rendered(&sample::audit(), Style { color: true, ..PLAIN });
        let without =
            regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a valid pattern").replace_all(&colored, "").into_owned();
        assert_ne!(colored, without);
        assert_eq!(without, rendered(&sample::audit(), PLAIN));
    }

    #[test]
    fn the_limit_is_of_printed_divergences_only() {
        let none = rendered(&sample::audit(), Style { limit: 0, ..PLAIN });
        let one = rendered(&sample::audit(), Style { limit: 1, ..PLAIN });
        assert!(!none.contains("the worst") && one.contains("the worst 1 of 4 divergences"));
        assert_eq!(none.lines().last(), one.lines().last());
        assert!(none.contains("missing"));
    }

    #[test]
    fn no_line_lets_a_value_control_the_terminal() {
        let verbose = rendered(&sample::audit(), Style { verbose: true, ..PLAIN });
        assert!(verbose.chars().all(|character| character == '\n' || !character.is_control()));
        assert!(!verbose.contains('\u{202e}'));
        assert!(verbose.contains("books"));
    }
}
