//! `reconcile history`: how each contract went, run by run. What the runs tell is `history::trends`' business.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::failure::{Failure, nearest};
use super::{ExitStatus, Format, Global, History, configuration, contracts, interrupt};
use crate::console::Console;
use crate::contract::Kind;
use crate::history::{self, Point, Spoke, Standing, State, Trail, Trend, Worth};
use crate::report::escape::visible;
use crate::report::json::{by_kind, by_severity, hex};

mod chart;

/// How many runs of each contract are told where nothing else is said.
const LAST: usize = 30;

pub(super) fn run(options: &History, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::present(global, options.reports.reports.is_some())?;
    let reports = match (&options.reports.reports, &configuration) {
        (Some(reports), _) => reports.clone(),
        (None, Some(configuration)) => configuration.run.reports.clone(),
        (None, None) => "reports".into(),
    };
    let unreadable = |error: std::io::Error| Failure::path(&reports, "the runs cannot be read", &error);
    let bars = interrupt::told(console)?;
    bars.begin_counting("reading runs", "run", 0);
    let standings: BTreeMap<String, Standing> = match &configuration {
        Some(configuration) => contracts::standings(configuration, &reports)?,
        None => Vec::new(),
    }
    .into_iter()
    .map(|standing| (standing.contract.clone(), standing))
    .collect();
    let trail = Trail::open(&reports).map_err(unreadable)?.ok_or_else(|| {
        Failure::with_hint(
            format!("{}: holds no ledger, so there is no history", super::failure::shown(&reports)),
            "the first `reconcile run` makes it; `--reports DIR` names another folder",
        )
    })?;
    let (mut trends, problems) =
        history::trends(&trail, &options.contracts, options.last.unwrap_or(LAST), &bars).map_err(unreadable)?;
    bars.finish();
    for name in options.contracts.iter().chain(standings.keys().filter(|_| options.contracts.is_empty())) {
        if !trends.contains_key(name) && !standings.contains_key(name) {
            return Err(unknown(name, &trail, &standings));
        }
        trends.entry(name.clone()).or_default();
    }
    let text = match global.format {
        Format::Text => {
            trends.iter().map(|(name, trend)| chart::text(name, trend, standings.get(name), options.ascii)).collect()
        }
        Format::Markdown => trends.iter().map(|(name, trend)| markdown(name, trend, standings.get(name))).collect(),
        Format::Json => {
            let contracts: Vec<Value> =
                trends.iter().map(|(name, trend)| document(name, trend, standings.get(name))).collect();
            format!("{:#}\n", json!({"format_version": 1, "contracts": contracts, "problems": problems}))
        }
        Format::Ndjson => trends
            .iter()
            .map(|(name, trend)| format!("{}\n", document(name, trend, standings.get(name))))
            .collect::<String>(),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    // They decide the status, so they are said also where somebody asked for quiet.
    for problem in &problems {
        console.error(problem, Some("`reconcile audit verify` says more"));
    }
    Ok(if problems.is_empty() { ExitStatus::Agreed } else { ExitStatus::Unverified })
}

fn unknown(name: &str, trail: &Trail, standings: &BTreeMap<String, Standing>) -> Failure {
    let mut known: BTreeSet<&str> = trail.runs().flat_map(|entry| entry.contracts().collect::<Vec<_>>()).collect();
    known.extend(standings.keys().map(String::as_str));
    let list: Vec<&str> = known.into_iter().collect();
    let message =
        format!("contract \"{name}\" is neither in the ledger nor in the file (there are: {})", list.join(", "));
    match nearest(name, list) {
        Some(hint) => Failure::with_hint(message, hint),
        None => Failure::new(message),
    }
}

/// `never ran`, or when it ran last and what came of it; and whether it ought to have run since. A run over some keys does not speak
/// for the whole.
fn last(trend: &Trend, standing: Option<&Standing>) -> String {
    let mut text = match (&trend.whole, &trend.narrowed) {
        (Some(Spoke { verdict, run_id, worth }), _) => match worth {
            Worth::Whole | Worth::Narrowed => format!("{verdict} in {run_id}"),
            Worth::Pruned => format!("{verdict} in {run_id}, which was pruned"),
            Worth::Damaged => format!("{verdict} by the ledger in {run_id}, which is missing or was changed"),
        },
        (None, Some(_)) => "never ran as a whole".to_owned(),
        (None, None) => "never ran".to_owned(),
    };
    if let Some(Spoke { verdict, run_id, .. }) = &trend.narrowed {
        text.push_str(&format!("; {verdict} in {run_id}, narrowed by --where"));
    }
    if let Some((_, every)) = standing.filter(|standing| standing.overdue).and_then(|standing| standing.every.as_ref())
    {
        text.push_str(&format!(", overdue: it must run every {every}"));
    }
    text
}

fn markdown(name: &str, trend: &Trend, standing: Option<&Standing>) -> String {
    let cell = |text: &str| visible(text).replace('|', "\\|");
    let mut text = format!("## {}\n\n{}\n\n", cell(name), cell(&last(trend, standing)));
    if trend.points.is_empty() {
        return text;
    }
    let kinds: Vec<Kind> = chart::kinds(&trend.points);
    let names: String = kinds.iter().map(|kind| format!(" {} |", kind.name())).collect();
    text.push_str(&format!(
        "| run | state | version | verdict | coverage |{names}\n| --- | --- | --- | --- | ---: |{}\n",
        " ---: |".repeat(kinds.len())
    ));
    for point in &trend.points {
        let found = point.whole();
        let version = found.map_or("", |found| &found.version);
        let coverage = found.map_or_else(String::new, |found| found.coverage.to_string());
        let counts: String = kinds
            .iter()
            .map(|kind| {
                format!(" {} |", chart::count_of(point, *kind).map_or_else(String::new, |keys| keys.to_string()))
            })
            .collect();
        text.push_str(&format!(
            "| {} | {} | {} | {} | {coverage} |{counts}\n",
            cell(&point.run_id),
            point.worth().name(),
            cell(version),
            cell(&point.verdict)
        ));
    }
    text.push('\n');
    text
}

fn document(name: &str, trend: &Trend, standing: Option<&Standing>) -> Value {
    let runs: Vec<Value> = trend.points.iter().map(run_document).collect();
    json!({
        "name": name,
        "runs_in_ledger": trend.runs,
        "overdue": standing.is_some_and(|standing| standing.overdue),
        "cadence": standing.and_then(|standing| standing.every.as_ref()).map(|(_, every)| every),
        "last_run_at": standing.and_then(|standing| standing.last_run).map(|at| at.to_string()),
        "last": trend.whole.as_ref().map(last_document),
        "last_agreed_at": standing.and_then(|standing| standing.last_success).map(|at| at.to_string()),
        "runs": runs,
    })
}

/// The newest run over all keys, whether or not it is among those that are shown.
fn last_document(last: &Spoke) -> Value {
    json!({"run_id": last.run_id, "verdict": last.verdict, "state": last.worth.name()})
}

fn run_document(point: &Point) -> Value {
    let mut document = json!({
        "run_id": point.run_id,
        "recorded_at": point.recorded_at.map(|at| at.to_string()),
        "verdict": point.verdict,
        "state": point.worth().name(),
    });
    let State::Known { contract, narrowed } = &point.state else { return document };
    document["where"] = json!(narrowed);
    document["version"] = json!(contract.version);
    document["contract_digest"] = json!(hex(&contract.contract_digest));
    document["coverage"] = json!(contract.coverage);
    document["divergences"] = Value::Object(by_kind(&contract.keys));
    document["severities"] = Value::Object(by_severity(&contract.severities));
    if let Some(known) = &contract.recurrence {
        document["recurrence"] = json!({
            "since": known.since,
            "new": known.new,
            "recurring": known.recurring,
            "resolved": known.resolved,
            "unseen": known.unseen,
        });
    }
    document
}
