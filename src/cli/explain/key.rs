//! `reconcile explain RUN KEY`: everything known of one key in a run. What the files hold is `history::dossier`'s business,
//! what stands in the sources `run::look_up`'s.

use serde_json::{Value, json};

use super::super::failure::Failure;
use super::super::outcome::ambient_limit;
use super::super::{ExitStatus, Explain, Format, Global, configuration, interrupt};
use crate::audit::{Audit, ContractAudit};
use crate::console::{Bars, Console};
use crate::contract::{Configuration, Contract};
use crate::history::{self, Dossier, NoSuchRun, Recorded, WantedKey};
use crate::report::escape::visible;
use crate::run::{LookedUp, Progress, Quiet, Then, look_up};
use crate::sides::{Side, Sides};

mod shown;

/// Threads and memory.
type Room = (usize, Option<u64>);

/// Everything known of the key under one contract.
struct Known<'a> {
    contract: &'a ContractAudit,
    findings: Vec<&'a Recorded>,
    actions: Vec<&'a Value>,
    /// Both sides' rows, or why they were not read again.
    rows: Result<LookedUp, String>,
}

pub(super) fn run(
    (run, key): (&str, &str),
    options: &Explain,
    global: &Global,
    console: &mut Console,
) -> Result<ExitStatus, Failure> {
    let configuration = configuration::present(global, options.reports.reports.is_some())?;
    let reports = match (&options.reports.reports, &configuration) {
        (Some(reports), _) => reports.clone(),
        (None, Some(configuration)) => configuration.run.reports.clone(),
        (None, None) => "reports".into(),
    };
    let wanted = WantedKey::parse(key);
    let bars = interrupt::told(console)?;
    let dossier = history::dossier(&reports, run, &wanted, &bars).map_err(|error| {
        let failure = Failure::of_run(&reports, &format!("run `{run}` cannot be explained"), &error);
        if !NoSuchRun::is(&error) || !reports.exists() {
            return failure;
        }
        // Two words of the list may have been meant.
        let message = format!("explain: {}", failure.problems.first().map_or("", |problem| &problem.message));
        Failure::with_hint(message, "`reconcile explain RUN KEY` takes a run id, the start of one, `latest` or a path; `reconcile explain` alone lists the words that can be explained")
    })?;
    for warning in &dossier.audit.warnings {
        console.warning(warning, None);
    }
    let room = room(configuration.as_ref(), global);
    let known: Vec<Known<'_>> = dossier
        .audit
        .contracts
        .iter()
        .map(|contract| gather(contract, &dossier, configuration.as_ref(), &wanted, (room, &bars)))
        .filter(Known::says_something)
        .collect();
    let earlier = if known.iter().all(|known| known.findings.is_empty()) {
        resolved(&reports, &dossier, &wanted, &bars, console)
    } else {
        None
    };
    bars.finish();
    if known.is_empty() && earlier.is_none() {
        let message = format!(
            "explain: run `{}` holds nothing of the key {}, and no row has it",
            dossier.audit.run_id,
            visible(key)
        );
        return Err(Failure::with_hint(
            message,
            "a key is a JSON object as reports show it, like '{\"policy_id\":1042}', or the value alone where the key has \
             one attribute",
        ));
    }
    let text = match global.format {
        Format::Text => shown::text(key, &dossier, &known, earlier.as_ref(), "  "),
        Format::Markdown => shown::markdown(key, &dossier, &known, earlier.as_ref()),
        Format::Json => format!("{:#}\n", shown::document(key, &dossier, &known, earlier.as_ref())),
        Format::Ndjson => format!("{}\n", shown::document(key, &dossier, &known, earlier.as_ref())),
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

impl Known<'_> {
    fn says_something(&self) -> bool {
        let rows = self.rows.as_ref().is_ok_and(|rows| rows.count.authority + rows.count.projection > 0);
        rows || !self.findings.is_empty() || !self.actions.is_empty()
    }
}

fn gather<'a>(
    contract: &'a ContractAudit,
    dossier: &'a Dossier,
    configuration: Option<&Configuration>,
    wanted: &WantedKey,
    room: (Room, &dyn Progress),
) -> Known<'a> {
    let of_contract = |name: Option<&str>| name == Some(contract.name.as_str());
    Known {
        contract,
        findings: dossier.findings.iter().filter(|finding| of_contract(finding.get("contract"))).collect(),
        actions: dossier.actions.iter().filter(|action| of_contract(action["contract"].as_str())).collect(),
        rows: read_again(contract, &dossier.audit, configuration, wanted, room),
    }
}

/// The rows as they stand in the sources, where contract and inputs are what they were in the run.
fn read_again(
    contract: &ContractAudit,
    audit: &Audit,
    configuration: Option<&Configuration>,
    wanted: &WantedKey,
    (room, progress): (Room, &dyn Progress),
) -> Result<LookedUp, String> {
    if audit.command != "run" {
        return Err("the run was of no contract file".to_owned());
    }
    if audit.settings.contains_key("where") {
        return Err("the run was of a part of the keys".to_owned());
    }
    let configured = configuration.ok_or("there is no contract file that can be read")?;
    let now = configured.contracts.iter().find(|known| known.name == contract.name);
    let now: &Contract = now.ok_or("the contract is not in the file")?;
    if now.digest != contract.contract_digest {
        return Err("the contract has changed since".to_owned());
    }
    let then = Then {
        files: contract.inputs.as_ref().map(|_, input| input.files.as_slice()),
        owners: &contract.owners,
        instant: contract.inputs.projection.captured_at.unwrap_or(audit.started_at),
    };
    let mut found = look_up(now, &then, room, progress, &|key| wanted.is(key))?;
    // Nothing that a run would not write is shown here either.
    for (index, personal) in found.personal.iter().copied().enumerate() {
        for side in Side::BOTH {
            for row in found.rows.get_mut(side) {
                if let Some(value) = &mut row[index] {
                    *value =
                        if personal { "(personal data)".to_owned() } else { now.secrets.redact(value).into_owned() };
                }
            }
        }
    }
    Ok(found)
}

/// Threads and memory that rows are read again with.
pub(in crate::cli) fn room(configuration: Option<&Configuration>, global: &Global) -> Room {
    let threads = super::super::values::threads(global.threads).unwrap_or(0);
    let of_file = configuration.and_then(|configuration| configuration.run.memory_limit);
    (threads, global.memory_limit.or(of_file).or_else(ambient_limit))
}

/// The rows of a key side by side, as `browse` shows them.
pub(in crate::cli) fn rows(
    contract: &ContractAudit,
    audit: &Audit,
    configuration: Option<&Configuration>,
    key: &str,
    room: Room,
) -> Result<Vec<(String, Sides<String>, bool)>, String> {
    let found = read_again(contract, audit, configuration, &WantedKey::parse(key), (room, &Quiet))?;
    Ok(side_by_side(&found))
}

/// What the run that this one was held against found of the key, where this one found nothing more.
fn resolved(
    reports: &std::path::Path,
    dossier: &Dossier,
    wanted: &WantedKey,
    bars: &Bars,
    console: &mut Console,
) -> Option<Dossier> {
    let before = dossier.audit.contracts.iter().find_map(|contract| Some(&contract.recurrence.as_ref()?.since))?;
    match history::dossier(reports, before, wanted, bars) {
        Ok(before) => (!before.findings.is_empty()).then_some(before),
        Err(error) => {
            console.warning(&format!("run `{before}`, which this one was held against, tells nothing: {error}"), None);
            None
        }
    }
}

/// The rows of both sides, a line an attribute: name, authority, projection, whether they are written alike.
fn side_by_side(rows: &LookedUp) -> Vec<(String, Sides<String>, bool)> {
    let value = |side: Side, index: usize| match rows.rows.get(side).first() {
        None => "(no row)".to_owned(),
        Some(row) => row[index].as_ref().map_or_else(|| "null".to_owned(), |text| format!("\"{}\"", visible(text))),
    };
    let line = |(index, name): (usize, &String)| {
        let values = Sides::from_fn(|side| value(side, index));
        let alike = values.authority == values.projection;
        (name.clone(), values, alike)
    };
    rows.attributes.iter().enumerate().map(line).collect()
}

/// A dossier's document lists counts of rows as numbers.
fn counts(rows: &LookedUp) -> Value {
    json!({"authority": rows.count.authority, "projection": rows.count.projection})
}
