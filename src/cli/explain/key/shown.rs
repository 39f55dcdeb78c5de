//! How everything known of a key is written: for people, in Markdown, as a document.

use serde_json::{Map, Value, json};

use super::{Known, counts, side_by_side};
use crate::audit::Verdict;
use crate::history::{Dossier, Recorded};
use crate::report::escape::visible;
use crate::sides::Side;

/// The columns of a divergence that have a place of their own, or say nothing to a person.
const TOLD: [&str; 9] = [
    "contract",
    "kind",
    "severity",
    "key",
    "attribute",
    "authority_value",
    "projection_value",
    "fingerprint",
    "row_digest",
];

pub(super) fn text(
    key: &str,
    dossier: &Dossier,
    known: &[Known<'_>],
    earlier: Option<&Dossier>,
    indent: &str,
) -> String {
    let audit = &dossier.audit;
    let mut text = format!("key {} in run {}, {}\n", visible(key), visible(&audit.run_id), audit.started_at);
    for known in known {
        let contract = known.contract;
        let (name, version) = (visible(&contract.name), visible(&contract.version));
        text.push_str(&format!("\ncontract {name} {version}: {}\n", contract.verdict.name()));
        if known.findings.is_empty() {
            text.push_str(&format!("{indent}{}\n", silence(known, dossier)));
        }
        for finding in &known.findings {
            text.push_str(&finding_lines(finding, indent));
        }
        for action in &known.actions {
            text.push_str(&action_line(action, indent));
        }
        text.push_str(&rows(known, indent));
    }
    if dossier.more {
        text.push_str("\nthe key has more divergences than are shown\n");
    }
    if let Some(earlier) = earlier {
        text.push_str(&format!("\nresolved since run {}, which found\n", visible(&earlier.audit.run_id)));
        for finding in &earlier.findings {
            text.push_str(&finding_lines(finding, indent));
        }
    }
    text
}

/// What it means that a run found nothing of the key.
fn silence(known: &Known<'_>, dossier: &Dossier) -> &'static str {
    if known.contract.verdict == Verdict::Unverified {
        "nothing was found, which proves nothing: the contract is unverified"
    } else if dossier.audit.settings.contains_key("where") {
        "nothing was found, but the run was of a part of the keys"
    } else {
        "it does not diverge"
    }
}

fn quoted(value: Option<&str>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| format!("\"{}\"", visible(value)))
}

/// `  mismatch, medium: premium "10.00" → "n/a"`, and below it why, and since when.
fn finding_lines(finding: &Recorded, indent: &str) -> String {
    let of = |column: &str| visible(finding.get(column).unwrap_or_default());
    let mut text = format!("{indent}{}, {}", of("kind"), of("severity"));
    if let Some(attribute) = finding.get("attribute") {
        let values = (finding.get("authority_value"), finding.get("projection_value"));
        text.push_str(&format!(": {} {} → {}", visible(attribute), quoted(values.0), quoted(values.1)));
    } else if let (Some(authority), Some(projection)) =
        (finding.get("authority_value"), finding.get("projection_value"))
    {
        text.push_str(&format!(": {} at the authority, {} in the projection", visible(authority), visible(projection)));
    }
    text.push('\n');
    let others = finding.columns.iter().filter(|(name, _)| !TOLD.contains(&name.as_str()));
    for (name, value) in others.filter_map(|(name, value)| Some((name, value.as_deref()?))) {
        text.push_str(&format!("{indent}  {:<18}  {}\n", visible(name), visible(value)));
    }
    if let Some(decided) = &finding.decision {
        let until = decided.until.as_deref().map_or_else(String::new, |until| format!(" until {until}"));
        let (choice, who, why) = (visible(&decided.decision), visible(&decided.who), visible(&decided.why));
        text.push_str(&format!("{indent}  {:<18}  {choice}{until} by {who}: {why}\n", "decision"));
    }
    if let Some(line) = &finding.recurrence {
        let runs = if line.runs == 1 { "1 run".to_owned() } else { format!("{} runs", line.runs) };
        let since = format!("{} in run {}, {runs}", visible(&line.first_seen), visible(&line.first_run));
        text.push_str(&format!("{indent}  {:<18}  {}, first seen at {since}\n", "history", line.status.name()));
    }
    text
}

fn action_line(action: &Value, indent: &str) -> String {
    let of = |member: &str| visible(action[member].as_str().unwrap_or_default());
    let mut text = format!("{indent}plan: {}, {}: {}\n", of("op"), of("safety"), of("reason"));
    for member in ["before", "after", "guard"] {
        if !action[member].is_null() {
            text.push_str(&format!("{indent}  {member:<18}  {}\n", visible(&action[member].to_string())));
        }
    }
    text
}

fn rows(known: &Known<'_>, indent: &str) -> String {
    let found = match &known.rows {
        Ok(found) => found,
        Err(why) => {
            return format!(
                "{indent}rows: not read again ({}); the values above are those that the run saw\n",
                visible(why)
            );
        }
    };
    let mut text = format!(
        "{indent}rows: {} at the authority, {} in the projection, read again: contract and inputs are those of the run\n",
        found.count.authority, found.count.projection
    );
    if found.count.authority + found.count.projection == 0 {
        return text;
    }
    let lines = side_by_side(found);
    let width = |texts: Vec<&str>| texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(9);
    let names = width(lines.iter().map(|(name, ..)| name.as_str()).collect());
    let values = width(lines.iter().map(|(_, values, _)| values.authority.as_str()).collect());
    text.push_str(&format!("{indent}    {:<names$}  {:<values$}  projection\n", "attribute", "authority"));
    for (name, pair, alike) in &lines {
        let mark = if *alike { ' ' } else { '*' };
        let line =
            format!("{indent}  {mark} {:<names$}  {:<values$}  {}", visible(name), pair.authority, pair.projection);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if found.count.authority.max(found.count.projection) > 1 {
        text.push_str(&format!("{indent}  the first row of each side is shown; `--format json` has more\n"));
    }
    let unreadable = found.unreadable.authority + found.unreadable.projection;
    if unreadable > 0 {
        let rows = if unreadable == 1 { "1 row".to_owned() } else { format!("{unreadable} rows") };
        text.push_str(&format!("{indent}  {rows} could not be read, among which it may be too\n"));
    }
    text
}

/// The same lines in a block, in which Markdown changes nothing.
pub(super) fn markdown(key: &str, dossier: &Dossier, known: &[Known<'_>], earlier: Option<&Dossier>) -> String {
    let lines = text(key, dossier, known, earlier, "  ");
    let lines: String =
        lines.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect();
    format!("# A key, explained\n\n{lines}")
}

pub(super) fn document(key: &str, dossier: &Dossier, known: &[Known<'_>], earlier: Option<&Dossier>) -> Value {
    let contracts: Vec<Value> = known.iter().map(contract).collect();
    let mut document = json!({
        "format_version": 1,
        "run_id": dossier.audit.run_id,
        "started_at": dossier.audit.started_at.to_string(),
        "key": key,
        "contracts": contracts,
        "more": dossier.more,
    });
    if let Some(earlier) = earlier {
        let findings: Vec<Value> = earlier.findings.iter().map(finding).collect();
        document["resolved_since"] = json!({"run_id": earlier.audit.run_id, "divergences": findings});
    }
    document
}

fn contract(known: &Known<'_>) -> Value {
    let findings: Vec<Value> = known.findings.iter().map(|found| finding(found)).collect();
    let mut document = json!({
        "name": known.contract.name,
        "version": known.contract.version,
        "verdict": known.contract.verdict.name(),
        "divergences": findings,
        "actions": known.actions,
    });
    match &known.rows {
        Ok(found) => {
            let rows = |side: Side| -> Vec<Value> {
                let row = |row: &Vec<Option<String>>| {
                    let members = found.attributes.iter().zip(row);
                    Value::Object(members.map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>())
                };
                found.rows.get(side).iter().map(row).collect()
            };
            document["rows"] = json!({
                "read_again": true,
                "count": counts(found),
                "authority": rows(Side::Authority),
                "projection": rows(Side::Projection),
            });
        }
        Err(why) => document["rows"] = json!({"read_again": false, "because": why}),
    }
    document
}

fn finding(finding: &Recorded) -> Value {
    let mut members: Map<String, Value> =
        finding.columns.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    if let Some(line) = &finding.recurrence {
        members.insert(
            "recurrence".to_owned(),
            json!({"status": line.status.name(), "first_run": line.first_run, "first_seen": line.first_seen, "runs": line.runs}),
        );
    }
    if let Some(decided) = &finding.decision {
        let decision = json!({
            "decision": decided.decision,
            "until": decided.until,
            "who": decided.who,
            "why": decided.why,
            "recorded_at": decided.recorded_at,
        });
        members.insert("decision".to_owned(), decision);
    }
    Value::Object(members)
}
