//! What an apply says on stdout: a line an action, then the sum. It shows no value of a row.

use std::collections::BTreeMap;

use serde_json::json;
use serde_json::value::RawValue;

use super::super::failure::Failure;
use super::super::{ExitStatus, Format, table};
use super::Call;
use super::choose::Picked;
use crate::apply::Outcome;
use crate::apply::given::Action;
use crate::apply::journal::Written;
use crate::console::Console;
use crate::report::escape::visible;

/// How many lines are printed where nothing else is said.
const LIMIT: usize = 20;

/// One action, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Line {
    outcome: &'static str,
    op: String,
    contract: String,
    key: String,
    attributes: String,
    id: String,
    why: String,
}

impl Line {
    fn of(action: &Action, outcome: &'static str, why: &str) -> Self {
        Self {
            outcome,
            op: action.op.clone(),
            contract: action.contract.clone(),
            key: action.key_text.clone(),
            attributes: if action.op == "update" {
                action.attributes().into_iter().collect::<Vec<_>>().join(", ")
            } else {
                String::new()
            },
            id: action.id.clone(),
            why: why.to_owned(),
        }
    }

    pub(super) fn would(action: &Action) -> Self {
        Self::of(action, "would", "")
    }

    pub(super) fn manual(action: &Action, why: &str) -> Self {
        Self::of(action, "manual", why)
    }

    pub(super) fn skipped(action: &Action, why: &str) -> Self {
        Self::of(action, "skipped", why)
    }

    pub(super) fn came(action: &Action, outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::of(action, "done", ""),
            Outcome::Already => Self::of(action, "already", "the row is as it ought to be"),
            Outcome::Skipped(why) => Self::of(action, "skipped", why),
        }
    }

    /// What is undone of a receipt.
    pub(super) fn undone(written: &Written, outcome: &'static str, why: &str) -> Self {
        Self {
            outcome,
            op: format!("undo {}", written.op),
            contract: written.contract.clone(),
            key: written.key.clone(),
            attributes: if written.op == "update" { written.columns.join(", ") } else { String::new() },
            id: written.action_id.clone(),
            why: why.to_owned(),
        }
    }
}

/// Prints, and gives the status.
pub(super) fn print(
    call: &Call<'_>,
    run_id: &str,
    picked: &Picked<'_>,
    lines: BTreeMap<usize, Line>,
    status: ExitStatus,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let manual = lines.values().any(|line| line.outcome == "manual");
    let status = if manual { status.max(ExitStatus::Drifted) } else { status };
    let mut said = Vec::new();
    if picked.left > 0 {
        said.push(format!("{} more actions of the plan were left: apply it again", picked.left));
    }
    if picked.waiting > 0 {
        said.push(format!(
            "{} more actions wait for a person: `--include-review`, or `reconcile review`",
            picked.waiting
        ));
    }
    write(call, run_id, &lines.into_values().collect::<Vec<_>>(), &said, console)?;
    Ok(status)
}

/// Prints lines and sentences in the format that was asked for.
pub(super) fn write(
    call: &Call<'_>,
    run_id: &str,
    lines: &[Line],
    said: &[String],
    console: &mut Console,
) -> Result<(), Failure> {
    let execute = call.options.execute;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.outcome).or_default() += 1);
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    let document = || {
        json!({
            "format_version": 1,
            "run_id": run_id,
            "executed": execute,
            "counts": {"would": of("would"), "done": of("done"), "already": of("already"), "skipped": of("skipped"), "manual": of("manual")},
            "said": said,
            "actions": lines.iter().map(as_json).collect::<Vec<_>>(),
        })
    };
    let shown = &lines[..lines.len().min(call.options.limit.unwrap_or(LIMIT))];
    let cells: Vec<Vec<String>> = shown.iter().map(cells).collect();
    let text = match call.global.format {
        Format::Json => format!("{:#}\n", document()),
        Format::Ndjson => {
            let each: String = lines.iter().map(|line| format!("{}\n", as_json(line))).collect();
            each
        }
        Format::Markdown => table::markdown(&HEAD, &cells),
        Format::Text => {
            let mut text = if cells.is_empty() { String::new() } else { table::text(&HEAD, &cells) };
            if shown.len() < lines.len() {
                text.push_str(&format!("… the first {} of {} are shown\n", shown.len(), lines.len()));
            }
            said.iter().for_each(|sentence| text.push_str(&format!("{sentence}\n")));
            text.push_str(&sum(execute, &of, lines.len()));
            text
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}

const HEAD: [&str; 6] = ["outcome", "op", "contract", "key", "attributes", "why"];

fn cells(line: &Line) -> Vec<String> {
    let cells = [line.outcome, &line.op, &line.contract, &line.key, &line.attributes, &line.why];
    cells.iter().map(|cell| visible(cell)).collect()
}

fn as_json(line: &Line) -> serde_json::Value {
    let key = RawValue::from_string(line.key.clone()).ok().and_then(|raw| serde_json::to_value(raw).ok());
    json!({
        "action_id": line.id,
        "outcome": line.outcome,
        "op": line.op,
        "contract": line.contract,
        "key": key,
        "why": line.why,
    })
}

fn sum(execute: bool, of: &dyn Fn(&str) -> usize, all: usize) -> String {
    let actions = |count: usize| if count == 1 { "1 action".to_owned() } else { format!("{count} actions") };
    if execute {
        return format!(
            "{}: {} done, {} already as they ought to be, {} skipped, {} for a person\n",
            actions(all),
            of("done"),
            of("already"),
            of("skipped"),
            of("manual")
        );
    }
    format!(
        "{}: {} would be done, {} for a person; nothing was written (--execute writes)\n",
        actions(all),
        of("would"),
        of("manual")
    )
}
