//! `reconcile audit reproduce`: does a run again, as the contract file and the run's manifest say, and holds what comes of it
//! against what was published. It publishes nothing and keeps nothing.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::super::execute;
use super::super::failure::{self, Failure};
use super::super::interrupt::Interrupt;
use super::super::outcome::ambient_limit;
use super::super::{ExitStatus, Format, Global, Reproduce, configuration, people, values};
use crate::audit::{Audit, ContractAudit};
use crate::console::Console;
use crate::contract::{CapturedAt, Configuration, Contract, PiiKey, Source};
use crate::history::{self, Evidence, Retelling};
use crate::run::{self, Settings, Stop, Tuning};

pub(in super::super) fn run(
    options: &Reproduce,
    global: &Global,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?;
    let reports = options.reports.reports.clone().unwrap_or_else(|| configuration.run.reports.clone());
    let stop = Stop::default();
    let interrupt = Interrupt::install(&stop)
        .map_err(|error| Failure::new(format!("signals: cannot be caught: {}", failure::plain(&error))))?;
    interrupt.end_patience();
    let bars = console.bars(false);
    let then = history::evidence(&reports, &options.run, &bars)
        .map_err(|error| Failure::of_run(&reports, "the run cannot be reproduced", &error))?;
    bars.end();
    let contracts = as_then(&then.audit, &configuration, options.row_filter.as_deref())?;
    let settings = settings(&then.audit, &contracts, &configuration, &reports, global)?;
    if then.tool_version != env!("CARGO_PKG_VERSION") {
        console.note(&format!("the run was written by version {}, this is another", then.tool_version));
    }
    interrupt.be_patient();
    let failed =
        |error: std::io::Error| Failure::new(format!("the run cannot be done again: {}", failure::plain(&error)));
    let mut retelling = Retelling::new().map_err(failed)?;
    let outcome = run::run(&contracts, &settings, &mut retelling, &bars, &stop);
    drop(bars);
    let now = outcome.map_err(failed)?;
    let divergences = retelling.finish().map_err(failed)?;
    interrupt.end_patience();
    if let Some(signal) = now.interrupted {
        let stopped =
            format!("run {}: a signal stopped it before it was done again, so nothing is known", then.audit.run_id);
        let failure = Failure::new(stopped);
        failure.problems.iter().for_each(|problem| failure::say(problem, console));
        execute::write_document(&failure, global.format, console).map_err(|error| Failure::stdout(&error))?;
        return Ok(ExitStatus::of_signal(signal));
    }
    let told = history::compare(&then, &now, &divergences);
    if !then.same_digest_format {
        console.note("the run's table digests are of another byte format and were not compared");
    }
    for place in &told.undigested {
        console.note(&format!("{place}: no content was digested, so a change of it shows only in what was found"));
    }
    if !told.inputs.is_empty() {
        let mut failure =
            Failure::new(format!("run {} cannot be reproduced, because its inputs have changed:", then.audit.run_id));
        failure.problems.extend(told.inputs.iter().flat_map(|input| Failure::new(input.clone()).problems));
        return Err(failure);
    }
    say(&then, &told, settings.threads, global.format, console)?;
    Ok(if told.results.is_empty() { ExitStatus::Agreed } else { ExitStatus::Drifted })
}

/// The run's contracts, which must mean what they meant, with the instants that the run recorded.
fn as_then(then: &Audit, configuration: &Configuration, wanted: Option<&str>) -> Result<Vec<Arc<Contract>>, Failure> {
    let cannot = |problem: String| Failure::new(format!("run {} cannot be reproduced: {problem}", then.run_id));
    if then.command != "run" {
        return Err(cannot("it was of no contract file".to_owned()));
    }
    if let Some(before) = &then.resumed {
        let because = "what it keeps was read at other instants";
        return Err(cannot(format!("it goes on from run {}: {because}", before.run_id)));
    }
    if then.interrupted.is_some() {
        return Err(cannot("it was stopped before its end".to_owned()));
    }
    let looked_again =
        |contract: &&ContractAudit| contract.second_look.as_ref().is_some_and(|second| second.settled > 0);
    if let Some(contract) = then.contracts.iter().find(looked_again) {
        let name = &contract.name;
        return Err(cannot(format!(
            "what \"{name}\" says rests on a second look, and what that saw was written in the meantime"
        )));
    }
    let file = failure::shown(&configuration.file);
    let mut problems = Vec::new();
    let mut contracts = Vec::new();
    for before in &then.contracts {
        let known = configuration.contracts.iter().find(|contract| contract.name == before.name);
        match known {
            None => problems.push(format!("contract \"{}\" is not in {file}", before.name)),
            Some(known) if known.digest != before.contract_digest => {
                problems.push(format!("contract \"{}\" means something else in {file} than in the run", before.name));
            }
            Some(known) => contracts.push(at_its_instants(known, before)),
        }
    }
    if !problems.is_empty() {
        let problems = problems.into_iter().flat_map(|problem| cannot(problem).problems).collect();
        return Err(Failure { problems });
    }
    if let Some(row_filter) = row_filter(then, &contracts, wanted).map_err(cannot)? {
        for contract in &mut contracts {
            Arc::make_mut(contract).row_filter = Some(row_filter.clone());
        }
    }
    Ok(contracts)
}

/// The contract, whose sides speak for the instants that they spoke for then: a copy of a file has a time of its own.
fn at_its_instants(contract: &Arc<Contract>, before: &ContractAudit) -> Arc<Contract> {
    let mut contract = Contract::clone(contract);
    contract.sources = contract.sources.map(|side, source| match before.inputs.get(side).captured_at {
        Some(instant) if matches!(source.captured_at, CapturedAt::FileModified | CapturedAt::SourceTells) => {
            Arc::new(Source { captured_at: CapturedAt::At(instant), ..Source::clone(&source) })
        }
        _ => source,
    });
    Arc::new(contract)
}

/// The run's `--where`. Where the run hid its values it must be given again.
pub(in super::super) fn row_filter(
    then: &Audit,
    contracts: &[Arc<Contract>],
    wanted: Option<&str>,
) -> Result<Option<String>, String> {
    let hidden = |text: &str| people::shown_filter(text, contracts, then);
    match (then.settings.get("where"), wanted) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("it was of all keys, without `--where`".to_owned()),
        (Some(said), None) if hidden(said) == *said && !said.contains("***") => Ok(Some(said.clone())),
        (Some(said), None) => Err(format!("its `--where` is not recorded with its values ({said}); give it again")),
        (Some(said), Some(wanted)) if hidden(wanted) == *said => Ok(Some(wanted.to_owned())),
        (Some(said), Some(_)) => Err(format!("its `--where` was another one: {said}")),
    }
}

fn settings(
    then: &Audit,
    contracts: &[Arc<Contract>],
    configuration: &Configuration,
    reports: &Path,
    global: &Global,
) -> Result<Settings, Failure> {
    let unread = |error| Failure::path(reports, "the run cannot be reproduced", &error);
    let mut pii_key = configuration.run.pii_key.map(|key| *key.bytes());
    if pii_key.is_none() && contracts.iter().any(|contract| contract.has_pii()) {
        let made = history::personal_key_made(reports).map_err(unread)?;
        let secret = made.ok_or_else(|| {
            Failure::with_hint(
                format!("run {} cannot be reproduced: the key of digests of personal data is not there", then.run_id),
                "it was in `.pii.key` in the folder of reports, or in `run.pii_key`",
            )
        })?;
        pii_key = Some(*PiiKey::of(&secret).bytes());
    }
    let threads = values::threads(global.threads).unwrap_or(configuration.run.threads);
    Ok(Settings {
        run_id: then.run_id.clone(),
        started_at: then.started_at,
        command: then.command.clone(),
        threads: match threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads => threads,
        },
        memory_limit: global.memory_limit.or(configuration.run.memory_limit).or_else(ambient_limit),
        spill_folder: std::env::temp_dir(),
        cache: None,
        examples: 1,
        draft_plan: then.settings.get("plan").is_none_or(|plan| plan != "false"),
        digest_inputs: true,
        // A database is asked for its rows, whatever the link is like today: the digests are of rows that were read.
        signed: true,
        pii_key,
        decisions: Arc::new(history::decisions_before(reports, then.started_at).map_err(unread)?),
        earlier: None,
        shown: then.settings.clone(),
        tuning: Tuning::default(),
    })
}

fn say(
    then: &Evidence,
    told: &history::Comparison,
    threads: usize,
    format: Format,
    console: &mut Console,
) -> Result<(), Failure> {
    let run_id = &then.audit.run_id;
    let document = json!({
        "format_version": 1,
        "run_id": run_id,
        "reproduced": told.results.is_empty(),
        "differs": told.results,
        "divergences": { "bytes": then.divergences.0, "blake3": then.divergences.1 },
        "table_digests": told.tables,
        "threads": threads,
    });
    let text = match format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => {
            let mut text: String = told.results.iter().map(|result| format!("differs: {result}\n")).collect();
            let tables = told.tables;
            text.push_str(&match told.results.len() {
                0 => format!(
                    "{run_id}: reproduced: divergences.parquet has the same {} bytes, {tables} table digests are the same\n",
                    then.divergences.0
                ),
                1 => format!("{run_id}: not reproduced, 1 difference\n"),
                count => format!("{run_id}: not reproduced, {count} differences\n"),
            });
            text
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))
}
