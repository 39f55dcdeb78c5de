//! What stands first: the verdict, the sum in one sentence, and a line for each contract. It only adds up.

use serde_json::{Value, json};

use super::super::escape::{count, counted, elapsed, percent};
use super::super::sum::{signal_name, sum};
use super::Extras;
use super::charts::minute;
use crate::audit::{Audit, ContractAudit, Verdict};
use crate::contract::Severity;

/// The head of the page.
pub(super) fn view(audit: &Audit, extras: &Extras<'_>) -> Value {
    let contracts: Vec<Value> =
        audit.contracts.iter().enumerate().map(|(place, one)| line(place, one, audit, extras)).collect();
    let rows: u64 = audit.contracts.iter().map(|one| one.books.authority.read + one.books.projection.read).sum();
    let keys: u64 = audit.contracts.iter().map(diverging).sum();
    let lines = |severity: Severity| -> u64 {
        audit.contracts.iter().map(|one| one.severities.get(&severity).copied().unwrap_or(0)).sum()
    };
    let (safe, waiting) = audit
        .contracts
        .iter()
        .fold((0, 0), |(safe, waiting), one| (safe + one.plan.safe, waiting + one.plan.review + one.plan.manual));
    let all: u64 = Severity::ALL.into_iter().map(lines).sum();
    json!({
        "verdict": audit.verdict().name(),
        "meaning": meaning(audit),
        "sum": sum(audit),
        "run": audit.run_id,
        "started": audit.started_at.strftime("%A %-d %B %Y, %H:%M:%S UTC").to_string(),
        "took": elapsed(audit.elapsed_ms),
        "command": audit.command,
        "warnings": audit.warnings,
        "narrowed": audit.narrowed(),
        "contracts": contracts,
        "tiles": [
            json!({"figure": count(rows), "what": "rows read on both sides"}),
            json!({"figure": count(keys), "what": "keys diverge"}),
            json!({"figure": count(lines(Severity::Critical)), "what": "critical lines", "class": if lines(Severity::Critical) > 0 { "s-critical" } else { "" }}),
            json!({"figure": count(safe), "what": "repairs are safe"}),
            json!({"figure": count(waiting), "what": "repairs wait for a person"}),
        ],
        "lines": count(all),
    })
}

/// Keys that diverge.
pub(super) fn diverging(contract: &ContractAudit) -> u64 {
    contract.keys.values().sum()
}

fn meaning(audit: &Audit) -> String {
    let resumed = crate::report::segments::of_run(audit).map(|told| format!(" The run {told}."));
    format!("{}{}", outcome(audit), resumed.unwrap_or_default())
}

fn outcome(audit: &Audit) -> String {
    if let Some(signal) = audit.interrupted {
        return format!("The run was interrupted by {}. It holds what was finished.", signal_name(signal));
    }
    let contracts = audit.contracts.len() as u64;
    let of = |verdict: Verdict| audit.contracts.iter().filter(|one| one.verdict == verdict).count() as u64;
    let parts = |wanted: Verdict, what: &str| match (of(wanted), contracts) {
        (1, 1) => format!("The contract {what}."),
        (some, all) if some == all => format!("All {} {what}.", counted(all, "contract")),
        (some, all) => format!("{} of {} {what}.", count(some), counted(all, "contract")),
    };
    match audit.verdict() {
        Verdict::Agreed if audit.narrowed().is_some() => parts(
            Verdict::Agreed,
            "compared for the keys that satisfy --where, and nothing among them diverges beyond what is allowed",
        ),
        Verdict::Agreed => parts(Verdict::Agreed, "compared to the end, and nothing diverges beyond what is allowed"),
        Verdict::Drifted => {
            parts(Verdict::Drifted, "diverged beyond what is allowed; everything was compared to the end")
        }
        Verdict::Unverified if contracts == 0 => "Nothing was compared.".to_owned(),
        Verdict::Unverified => {
            parts(Verdict::Unverified, "could not be compared to the end, so nothing is known of the rest")
        }
    }
}

fn line(place: usize, contract: &ContractAudit, audit: &Audit, extras: &Extras<'_>) -> Value {
    let none = Vec::new();
    let past = extras.past.get(&contract.name).unwrap_or(&none);
    let severities: Vec<Value> = Severity::ALL
        .into_iter()
        .map(|severity| (severity.name(), contract.severities.get(&severity).copied().unwrap_or(0)))
        .filter(|(_, lines)| *lines > 0)
        .map(|(name, lines)| json!({"name": name, "lines": count(lines)}))
        .collect();
    let new = contract.recurrence.as_ref().map(|found| count(found.new));
    json!({
        "id": format!("c{}", place + 1),
        "name": contract.name,
        "version": contract.version,
        "team": contract.team,
        "verdict": contract.verdict.name(),
        "because": contract.because,
        "keys": count(diverging(contract)),
        "coverage": percent(contract.coverage),
        "severities": severities,
        "new": new,
        "as_of": contract.inputs.projection.captured_at.map(minute),
        "trend": super::charts::trend(contract, audit, past),
    })
}
