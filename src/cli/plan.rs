//! `reconcile plan`: shows and filters the plan of a run. It writes nothing but to stdout; applying is another command's.

use std::collections::BTreeSet;
use std::io;

use super::failure::{Failure, nearest};
use super::{ExitStatus, Format, Global, Plan, configuration, interrupt, table};
use crate::console::Console;
use crate::contract::{Kind, Severity};
use crate::history::{self, Planned, Severities};

mod replay;

/// How many actions are printed where nothing else is said.
const LIMIT: usize = 20;
const SAFETIES: [&str; 3] = ["safe", "review", "manual"];

pub(super) fn run(options: &Plan, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    if options.replay && matches!(global.format, Format::Json | Format::Markdown) {
        return Err(Failure::with_hint(
            "plan --replay: prints a JSON line for each command, expected `--format ndjson` or none",
            "the plan itself is one document: `reconcile plan --format json`",
        ));
    }
    known("--kind", &options.kinds, &Kind::ALL.map(Kind::name))?;
    known("--severity", &options.severities, &Severity::ALL.map(Severity::name))?;
    known("--safety", &options.safeties, &SAFETIES)?;
    let reports = configuration::reports(&options.reports, global)?;
    let cannot = |error: &io::Error| {
        Failure::of_run(&reports, &format!("the plan of run `{}` cannot be shown", options.run), error)
    };
    let bars = interrupt::told_beside(options.replay || global.format == Format::Ndjson, console)?;
    bars.begin("", "reading the plan", 0);
    let folder = history::run_folder(&reports, &options.run).map_err(|error| cannot(&error))?;
    let audit = history::load(&reports, &options.run).map_err(|error| cannot(&error))?;
    let compared: Vec<&str> = audit.contracts.iter().map(|contract| contract.name.as_str()).collect();
    known("--contract", &options.contracts, &compared)?;
    for contract in audit.contracts.iter().filter(|contract| contract.plan_truncated) {
        console.warning(
            &format!("contract \"{}\": the plan is over `max_actions`: it is cut and cannot be applied", contract.name),
            None,
        );
    }
    let limit = options.limit.unwrap_or(if global.format == Format::Ndjson { usize::MAX } else { LIMIT });
    let (mut shown, mut fitting) = (Vec::new(), 0_usize);
    let mut severities = Severities::open(&folder).map_err(|error| cannot(&error))?;
    let plan = history::Plan::open(&folder).map_err(|error| cannot(&error))?;
    bars.begin("", "reading the plan", plan.bytes());
    for planned in plan {
        let planned = planned.map_err(|error| cannot(&error))?;
        bars.advance(0, planned.line.len() as u64 + 1);
        let severity = severities.of(&planned).map_err(|error| cannot(&error))?.map_or("", Severity::name);
        if !fits(options, &planned, severity) {
            continue;
        }
        if options.replay {
            for line in replay::commands(&planned, &audit) {
                writeln!(console.out(), "{line}").map_err(|error| Failure::stdout(&error))?;
            }
            continue;
        }
        fitting += 1;
        if fitting > limit {
            continue;
        }
        if global.format == Format::Ndjson {
            writeln!(console.out(), "{}", planned.line).map_err(|error| Failure::stdout(&error))?;
        } else {
            shown.push((planned, severity));
        }
    }
    bars.finish();
    if options.replay {
        return Ok(ExitStatus::Agreed);
    }
    let text = match global.format {
        Format::Ndjson => String::new(),
        Format::Json => document(&audit.run_id, fitting, &shown),
        Format::Text => format!("{}{}", table::text(&HEAD, &rows(&shown)), sum(fitting, shown.len())),
        Format::Markdown => table::markdown(&HEAD, &rows(&shown)),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

const HEAD: [&str; 8] = ["safety", "op", "severity", "kind", "contract", "key", "attributes", "reason"];

fn rows(shown: &[(Planned, &str)]) -> Vec<Vec<String>> {
    let row = |(planned, severity): &(Planned, &str)| {
        let attributes: Vec<&str> = planned.attributes.iter().map(String::as_str).collect();
        let cells = [
            &planned.proposed.safety,
            &planned.proposed.op,
            *severity,
            &planned.kind,
            &planned.contract,
            &planned.key,
            &attributes.join(", "),
            &planned.proposed.reason,
        ];
        cells.iter().map(|cell: &&str| (*cell).to_owned()).collect()
    };
    shown.iter().map(row).collect()
}

fn sum(fitting: usize, shown: usize) -> String {
    let actions = if fitting == 1 { "1 action".to_owned() } else { format!("{fitting} actions") };
    if shown < fitting { format!("{actions}, the first {shown} are shown\n") } else { format!("{actions}\n") }
}

fn document(run_id: &str, fitting: usize, shown: &[(Planned, &str)]) -> String {
    // The lines are put in as they stand, because a key may have more digits than any number here.
    let lines: Vec<String> = shown.iter().map(|(planned, _)| format!("    {}", planned.line)).collect();
    let lines = if lines.is_empty() { String::new() } else { format!("\n{}\n  ", lines.join(",\n")) };
    let run_id = serde_json::Value::from(run_id);
    format!(
        "{{\n  \"format_version\": 1,\n  \"run_id\": {run_id},\n  \"count\": {fitting},\n  \"actions\": [{lines}]\n}}\n"
    )
}

fn fits(options: &Plan, planned: &Planned, severity: &str) -> bool {
    let asked = |words: &[String], word: &str| words.is_empty() || words.iter().any(|one| one == word);
    asked(&options.contracts, &planned.contract)
        && asked(&options.kinds, &planned.kind)
        && asked(&options.severities, severity)
        && asked(&options.safeties, &planned.proposed.safety)
}

/// What was asked for and cannot be there is an error, never an empty answer.
fn known(option: &str, words: &[String], names: &[&str]) -> Result<(), Failure> {
    let all: BTreeSet<&str> = names.iter().copied().collect();
    let Some(word) = words.iter().find(|word| !all.contains(word.as_str())) else { return Ok(()) };
    let message = format!("{option}: `{word}` is not one of {}", names.join(", "));
    Err(match nearest(word, names.iter().copied()) {
        Some(hint) => Failure::with_hint(message, hint),
        None => Failure::new(message),
    })
}
