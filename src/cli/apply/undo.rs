//! `reconcile apply --rollback RECEIPT`: brings rows back to what they were, where they are still what the apply made of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::ExitStatus;
use super::super::failure::Failure;
use super::shown::{self, Line};
use super::{Call, apply_id, begun, carry_out, settle, taken};
use crate::apply::Outcome;
use crate::apply::journal::{Begun, Story, Written};
use crate::apply::work::prepare;
use crate::console::Console;
use crate::contract::Database;
use crate::history::{self, Receipt};

pub(super) fn run(call: &Call<'_>, reports: &Path, wanted: &str, console: &mut Console) -> Result<ExitStatus, Failure> {
    let cannot = |said: &str| Failure::new(format!("receipt `{wanted}` cannot be undone: {said}"));
    let found = history::receipt(reports, wanted).map_err(|error| cannot(&error.to_string()))?;
    told_of(&found, console);
    let (path, applied) = (found.path, found.applied);
    let story = Story::read(&path).map_err(|error| cannot(&error.to_string()))?;
    let first = story.begun.clone().ok_or_else(|| cannot("it has no first line"))?;
    let database = target(call, &story, &first).map_err(|named| elsewhere(wanted, &first.target, named))?;
    let reports = path.parent().and_then(Path::parent).unwrap_or(reports);
    let mut target = prepare(&database, &[]).map_err(|refused| cannot(&refused.message))?;
    let projection = |name: &str| {
        let of = call.configuration.contracts.iter().find(|contract| contract.name == name);
        of.map(|contract| &*contract.sources.projection)
    };
    target.undo(&story, &projection).map_err(|refused| cannot(&refused.message))?;
    let written: Vec<&Written> = story.written().rev().collect();
    let mut lines: BTreeMap<usize, Line> =
        target.manual.iter().map(|(&place, why)| (place, Line::undone(written[place], "manual", why))).collect();
    let mut status = if lines.is_empty() { ExitStatus::Agreed } else { ExitStatus::Drifted };
    if call.options.execute {
        taken(&mut target, &database)?;
        settle(call, reports, &mut target, &database, console)?;
        let id = apply_id(call.started_at, &database, 0);
        let begun = begun(call, &id, &applied.run_id, &applied.receipt, &database, Some(&applied.apply_id));
        let (told, _) = carry_out(call, reports, &mut target, begun, console, &[])?;
        for (place, outcome) in &told.outcomes {
            let (name, why) = match outcome {
                Outcome::Done => ("done", ""),
                Outcome::Already => ("already", "the row is as it was"),
                Outcome::Skipped(why) => ("skipped", why.as_str()),
            };
            status = if name == "skipped" { status.max(ExitStatus::Drifted) } else { status };
            lines.insert(*place, Line::undone(written[*place], name, why));
        }
        if let Some(halted) = told.halted {
            console.error(
                &format!("{}: {halted}; the rollback ended here", database.shown),
                Some("the same command goes on with it"),
            );
            status = ExitStatus::Unverified;
        }
    } else {
        let would = target.items.iter().map(|(place, _)| (*place, Line::undone(written[*place], "would", "")));
        lines.extend(would);
    }
    shown::write(call, &applied.run_id, &lines.into_values().collect::<Vec<_>>(), &[], console)?;
    Ok(status)
}

/// What else is worth knowing of a receipt.
fn told_of(found: &Receipt, console: &mut Console) {
    let id = &found.applied.apply_id;
    if let Some(by) = &found.undone_by {
        let hint = "another apply, or that rollback, is undone by its own id";
        console.warning(&format!("apply `{id}` was rolled back already, by `{by}`"), Some(hint));
    }
    if !found.beside.is_empty() {
        let others = found.beside.join("`, `");
        console.warning(
            &format!("the same call of apply wrote to other databases too: their receipts are `{others}`"),
            Some("each is rolled back by its own id"),
        );
    }
}

/// The database of a receipt: a projection of the contract file at the same place. Else whether one goes by its name.
fn target(call: &Call<'_>, story: &Story, first: &Begun) -> Result<Database, bool> {
    let names: Vec<&str> = story.written().map(|written| written.contract.as_str()).collect();
    let of = |contract: &std::sync::Arc<crate::contract::Contract>| contract.sources.projection.database().cloned();
    let contracts = &call.configuration.contracts;
    let named = contracts.iter().filter(|contract| names.contains(&contract.name.as_str())).filter_map(of);
    let all: Vec<Database> = named.chain(contracts.iter().filter_map(of)).collect();
    let by_name = all.iter().any(|database| database.shown == first.target);
    all.into_iter().find(|database| first.is_of(database)).ok_or(by_name)
}

/// What was written elsewhere is not undone here.
fn elsewhere(wanted: &str, target: &str, named: bool) -> Failure {
    if named {
        return Failure::with_hint(
            format!(
                "receipt `{wanted}` cannot be undone: it was made for another database than `{target}` stands for now"
            ),
            "name the same database as in that apply",
        );
    }
    Failure::with_hint(
        format!("receipt `{wanted}` cannot be undone: no projection of the contract file is at {target}"),
        "name the contract file of that apply with --config",
    )
}
