//! What an apply says on stdout: a line an action, then the sum. It shows no value of a row.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::super::failure::Failure;
use super::super::{ExitStatus, Format, table};
use super::Call;
use super::choose::Picked;
use crate::apply::Outcome;
use crate::apply::given::Action;
use crate::apply::journal::Written;
use crate::console::Console;
use crate::report::escape::{count, visible};

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
    let more = |number: usize, one: &str, many: &str| {
        let number = number as u64;
        format!("{} more {}", count(number), if number == 1 { one } else { many })
    };
    let mut said = Vec::new();
    if picked.left > 0 {
        let left = more(picked.left, "action of the plan was left", "actions of the plan were left");
        said.push(format!("{left}: apply it again"));
    }
    if picked.waiting > 0 {
        let waiting = more(picked.waiting, "action waits for a person", "actions wait for a person");
        said.push(format!("{waiting}: `--include-review`, or `reconcile review`"));
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
    call.bars.finish();
    let execute = call.options.execute;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *counts.entry(line.outcome).or_default() += 1);
    let of = |name: &str| counts.get(name).copied().unwrap_or(0);
    let summary = |record, actions| Summary {
        record,
        format_version: 1,
        run_id,
        executed: execute,
        counts: OUTCOMES.iter().map(|outcome| (*outcome, of(outcome))).collect(),
        said,
        actions,
    };
    let shown = &lines[..lines.len().min(call.options.limit.unwrap_or(LIMIT))];
    let cells: Vec<Vec<String>> = shown.iter().map(cells).collect();
    let closing = || -> String {
        let said = said.iter().map(|sentence| format!("{sentence}\n")).collect::<String>();
        said + &sum(execute, &of, lines.len())
    };
    let text = match call.global.format {
        Format::Json => {
            let actions = lines.iter().map(Shown::of).collect();
            format!("{}\n", as_text(serde_json::to_string_pretty(&summary(None, Some(actions))))?)
        }
        Format::Ndjson => {
            let mut text = String::new();
            for line in lines {
                text.push_str(&format!("{}\n", as_text(serde_json::to_string(&Shown::of(line)))?));
            }
            text.push_str(&format!("{}\n", as_text(serde_json::to_string(&summary(Some("summary"), None)))?));
            text
        }
        Format::Markdown => {
            let table = if cells.is_empty() { String::new() } else { format!("{}\n", table::markdown(&HEAD, &cells)) };
            table + &closing()
        }
        Format::Text => {
            let mut text = if cells.is_empty() { String::new() } else { table::text(&HEAD, &cells) };
            if shown.len() < lines.len() {
                text.push_str(&format!("… the first {} of {} are shown\n", shown.len(), lines.len()));
            }
            text + &closing()
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}

const HEAD: [&str; 6] = ["outcome", "op", "contract", "key", "attributes", "why"];

fn cells(line: &Line) -> Vec<String> {
    let cells = [line.outcome, &line.op, &line.contract, &line.key, &line.attributes, &line.why];
    cells.iter().map(|cell| visible(cell)).collect()
}

/// What can come of an action.
const OUTCOMES: [&str; 5] = ["would", "done", "already", "skipped", "manual"];

/// The whole of it as data; as the last line of several it says so, and holds no actions.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'static str>,
    format_version: u32,
    run_id: &'a str,
    executed: bool,
    counts: BTreeMap<&'static str, usize>,
    said: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Shown<'a>>>,
}

/// One action as data.
#[derive(Serialize)]
struct Shown<'a> {
    action_id: &'a str,
    outcome: &'a str,
    op: &'a str,
    contract: &'a str,
    /// As the plan writes it, because a number in it may have more digits than any number here.
    key: Option<&'a RawValue>,
    why: &'a str,
}

impl<'a> Shown<'a> {
    fn of(line: &'a Line) -> Self {
        Self {
            action_id: &line.id,
            outcome: line.outcome,
            op: &line.op,
            contract: &line.contract,
            key: serde_json::from_str(&line.key).ok(),
            why: &line.why,
        }
    }
}

fn as_text(written: serde_json::Result<String>) -> Result<String, Failure> {
    written.map_err(|error| Failure::new(format!("the actions cannot be written as JSON: {error}")))
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
