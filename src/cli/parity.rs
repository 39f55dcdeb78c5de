//! `reconcile parity CONTRACT`: whether the last runs let a cutover go on. How that is judged is `history::parity`'s
//! business.

use serde_json::{Map, Value, json};

use super::failure::{self, Failure, nearest};
use super::{ExitStatus, Format, Global, Parity, configuration, contracts, interrupt};
use crate::audit::ThreeWay;
use crate::console::Console;
use crate::contract::{Configuration, Contract};
use crate::history::{self, Gate, Status, Trail};
use crate::report::escape::visible;

pub(super) fn run(options: &Parity, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?;
    let (index, contract) = find(&configuration, &options.contract)?;
    let rule = contract.parity.ok_or_else(|| {
        Failure::with_hint(
            format!("contract \"{}\" has no [contract.{0}.parity], so nobody said what is clean enough", contract.name),
            "say how many runs in a row must be clean: `consecutive_runs = 7`",
        )
    })?;
    let reports = options.reports.reports.as_ref().unwrap_or(&configuration.run.reports);
    let unreadable = |error: std::io::Error| Failure::path(reports, "the runs cannot be read", &error);
    let bars = interrupt::told(console)?;
    bars.begin("", "proving the runs", 0);
    let overdue = contracts::standings(&configuration, reports)?[index].overdue;
    let trail = Trail::open(reports).map_err(unreadable)?;
    let gate = history::parity(trail.as_ref(), contract, &rule, overdue, &bars).map_err(unreadable)?;
    bars.finish();
    let text = match global.format {
        Format::Text => text(contract, &gate),
        Format::Markdown => markdown(contract, &gate),
        Format::Json => format!("{:#}\n", document(contract, &gate)),
        Format::Ndjson => format!("{}\n", document(contract, &gate)),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(match gate.status {
        Status::Ready => ExitStatus::Agreed,
        Status::NotYet => ExitStatus::Drifted,
        Status::Unknown => ExitStatus::Unverified,
    })
}

fn find<'c>(configuration: &'c Configuration, name: &str) -> Result<(usize, &'c Contract), Failure> {
    let mut contracts = configuration.contracts.iter().enumerate();
    if let Some((index, contract)) = contracts.find(|(_, contract)| contract.name == name) {
        return Ok((index, contract));
    }
    let names: Vec<&str> = configuration.contracts.iter().map(|contract| contract.name.as_str()).collect();
    let file = failure::shown(&configuration.file);
    let message = format!("{file}: contract \"{name}\": is not in the file (there are: {})", names.join(", "));
    Err(match nearest(name, names) {
        Some(hint) => Failure::with_hint(message, hint),
        None => Failure::new(message),
    })
}

fn headline(contract: &Contract, gate: &Gate) -> String {
    let status = match gate.status {
        Status::Ready => "ready",
        Status::NotYet => "not yet",
        Status::Unknown => "cannot tell",
    };
    format!("{status}: {} {}", contract.name, contract.version.text)
}

/// The headline, then a line for each condition: what is met, what is missing.
fn text(contract: &Contract, gate: &Gate) -> String {
    let mut text = format!("{}\n", visible(&headline(contract, gate)));
    for problem in &gate.problems {
        text.push_str(&format!("  unknown  {}\n", visible(problem)));
    }
    for condition in &gate.conditions {
        let met = if condition.met { "met" } else { "missing" };
        text.push_str(&format!("  {met:<7}  {:<18}  {}\n", condition.name, visible(&condition.says)));
    }
    if let Some(told) = baseline(gate) {
        text.push_str(&format!("  baseline {}\n", visible(&told)));
    }
    for run in &gate.counted {
        text.push_str(&format!("  counts   run {}\n", visible(run)));
    }
    for (run, why) in &gate.passed_over {
        text.push_str(&format!("  passed   run {}: {}\n", visible(run), visible(why)));
    }
    text
}

/// What of the newest run is wrong and was right in the old copy, apart from what was wrong before.
fn baseline(gate: &Gate) -> Option<String> {
    let baseline = gate.baseline.as_ref()?;
    let Some(found) = &baseline.parity else {
        return Some(format!("{}: the newest run did not compare it to the end", baseline.input.source));
    };
    let counts = found.counts().map(|(name, lines)| format!("{} {lines}", name.replace('_', " ")));
    Some(format!("{}: {} in the newest run", baseline.input.source, counts.join(", ")))
}

fn markdown(contract: &Contract, gate: &Gate) -> String {
    let cell = |text: &str| visible(text).replace('|', "\\|");
    let mut text = format!("# Parity: {}\n\n", cell(&headline(contract, gate)));
    for problem in &gate.problems {
        text.push_str(&format!("- unknown: {}\n", cell(problem)));
    }
    text.push_str("\n| condition | met | found |\n| --- | --- | --- |\n");
    for condition in &gate.conditions {
        let met = if condition.met { "yes" } else { "no" };
        text.push_str(&format!("| {} | {met} | {} |\n", condition.name, cell(&condition.says)));
    }
    if let Some(told) = baseline(gate) {
        text.push_str(&format!("\nBaseline: {}.\n", cell(&told)));
    }
    let counted: Vec<String> = gate.counted.iter().map(|run| cell(run)).collect();
    let counted = if counted.is_empty() { "none".to_owned() } else { counted.join(", ") };
    text.push_str(&format!("\nRuns that count: {counted}.\n"));
    for (run, why) in &gate.passed_over {
        text.push_str(&format!("\n- run {} does not count: {}\n", cell(run), cell(why)));
    }
    text
}

fn document(contract: &Contract, gate: &Gate) -> Value {
    let conditions = gate
        .conditions
        .iter()
        .map(|condition| json!({"name": condition.name, "met": condition.met, "says": condition.says}));
    let passed_over = gate.passed_over.iter().map(|(run, why)| json!({"run_id": run, "because": why}));
    json!({
        "format_version": 1,
        "contract": contract.name,
        "version": contract.version.text,
        "status": gate.status.name(),
        "ready": gate.status == Status::Ready,
        "conditions": conditions.collect::<Vec<_>>(),
        "counted": gate.counted,
        "passed_over": passed_over.collect::<Vec<_>>(),
        "problems": gate.problems,
        "baseline": gate.baseline.as_ref().map(|baseline| {
            let counts = baseline.parity.iter().flat_map(ThreeWay::counts);
            let counts: Map<String, Value> = counts.map(|(name, lines)| (name.to_owned(), lines.into())).collect();
            json!({"source": baseline.input.source, "divergences": baseline.parity.as_ref().map(|_| counts)})
        }),
    })
}
