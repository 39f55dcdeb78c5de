//! `reconcile apply`: which plan, which of its actions, may it be done at all; then each target, and what came of it. How rows
//! are written is `apply`'s business.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::failure::{self, Failure};
use super::outcome::ambient_limit;
use super::{Apply, ExitStatus, Global, configuration, interrupt, signing};
use crate::apply::deed::{Deed, place_of};
use crate::apply::journal::Begun;
use crate::apply::work::{Chosen, Target, Told, prepare};
use crate::apply::{Outcome, Steps};
use crate::console::{Bars, Console};
use crate::contract::{Configuration, Database, PiiKey};
use crate::history::{self, Proved, Signer};

mod again;
mod choose;
mod copy;
mod narrow;
mod shown;
mod undo;

pub(super) use choose::most_bytes;
use shown::Line;

/// What is counted.
const ACTION: &str = "action";
/// How many actions one apply takes on; the rest is said, and the next apply takes it on.
pub(super) const MOST: usize = 100_000;

/// One call of the command.
pub(super) struct Call<'a> {
    options: &'a Apply,
    global: &'a Global,
    configuration: Configuration,
    started_at: Timestamp,
    /// What signs the ledger's line of what is executed.
    signer: Option<Arc<Signer>>,
    /// How far it is.
    bars: Bars,
}

impl Steps for Bars {
    fn taken(&self, _step: &str) {}

    fn settled(&self, actions: u64) {
        self.advance(actions, 0);
    }
}

pub(super) fn run(options: &Apply, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let configuration = configuration::load(global)?;
    let signer = signer(options, global, &configuration)?;
    let bars = interrupt::told(console)?;
    let call = Call { options, global, configuration, started_at: Timestamp::now(), signer, bars };
    let reports = options.reports.clone().unwrap_or_else(|| call.configuration.run.reports.clone());
    if options.execute {
        history::may_append(&reports, call.signer.as_ref())
            .map_err(|error| Failure::path(&reports, "nothing can be applied", &error))?;
    }
    if let Some(receipt) = &options.rollback {
        return undo::run(&call, &reports, receipt, console);
    }
    let wanted = choose::plan_of(options.plan.as_deref().unwrap_or("latest"));
    call.bars.begin_counting("reading the plan", ACTION, 0);
    let proved = history::proved(&reports, &wanted)
        .map_err(|error| Failure::of_run(&reports, &format!("the plan of run `{wanted}` cannot be applied"), &error))?;
    choose::may_be_applied(&call, &proved)?;
    let mut picked = choose::actions(&call, &proved)?;
    if let Some(out) = &options.out {
        return copy::run(&call, &proved, picked, out, console);
    }
    let (mut lines, targets) = split(&picked.chosen);
    let chosen = again::in_clear(&call, &proved, std::mem::take(&mut picked.chosen))?;
    let mut chosen: Vec<Option<Chosen<'_>>> = chosen.into_iter().map(Some).collect();
    let mut status = if picked.left > 0 { ExitStatus::Drifted } else { ExitStatus::Agreed };
    let alone = targets.len() == 1;
    for (number, (database, places)) in targets.iter().enumerate() {
        let part: Vec<Chosen<'_>> = places.iter().filter_map(|&place| chosen[place].take()).collect();
        let came = match one_target(&call, &proved, (number, database), &part, console) {
            Err(failure) if alone => return Err(failure),
            // What was written to the others is said all the same.
            Err(failure) => Came::failed(&part, &failure, console),
            Ok(came) => came,
        };
        status = status.max(came.status);
        lines.extend(came.lines.into_iter().map(|(place, line)| (places[place], line)));
    }
    shown::print(&call, &proved.audit.run_id, &picked, lines, status, console)
}

/// What will sign the line of what is executed; a dry run records nothing.
fn signer(options: &Apply, global: &Global, configuration: &Configuration) -> Result<Option<Arc<Signer>>, Failure> {
    let sign = configuration.run.sign.as_ref().filter(|_| options.execute);
    let memory_limit = global.memory_limit.or(configuration.run.memory_limit).or_else(ambient_limit);
    signing::signer(sign, &configuration.contracts, memory_limit)
}

/// The targets with the places of their actions, and what has none.
fn split(chosen: &[Chosen<'_>]) -> (BTreeMap<usize, Line>, Vec<(Database, Vec<usize>)>) {
    let mut lines = BTreeMap::new();
    let mut targets: Vec<(Database, Vec<usize>)> = Vec::new();
    for (place, one) in chosen.iter().enumerate() {
        let Some(database) = one.contract.sources.projection.database() else {
            let why = "the projection is no table of a database: `--out FILE` writes a repaired copy of a file";
            lines.insert(place, Line::manual(&one.action, why));
            continue;
        };
        match targets.iter_mut().find(|(known, _)| (known.system, &known.url) == (database.system, &database.url)) {
            Some((_, places)) => places.push(place),
            None => targets.push((database.clone(), vec![place])),
        }
    }
    (lines, targets)
}

/// What came of a target: the actions by their place among those that were handed in.
struct Came {
    lines: BTreeMap<usize, Line>,
    status: ExitStatus,
}

impl Came {
    /// Of a target that could not be worked on at all.
    fn failed(part: &[Chosen<'_>], failure: &Failure, console: &mut Console) -> Self {
        for problem in &failure.problems {
            console.error(&failure::line(problem), problem.hint.as_deref());
        }
        let why: Vec<&str> = failure.problems.iter().map(|problem| problem.message.as_str()).collect();
        let why = why.join("; ");
        let lines = part.iter().enumerate().map(|(place, one)| (place, Line::skipped(&one.action, &why)));
        Self { lines: lines.collect(), status: ExitStatus::Unverified }
    }
}

fn one_target(
    call: &Call<'_>,
    proved: &Proved,
    (number, database): (usize, &Database),
    part: &[Chosen<'_>],
    console: &mut Console,
) -> Result<Came, Failure> {
    let at = |problem: &str| Failure::new(format!("{}: {problem}", database.shown));
    call.bars.begin_counting("asking the target", ACTION, part.len() as u64);
    let mut target = prepare(database, part).map_err(|refused| at(&refused.message))?;
    for told in &target.by_itself {
        console.warning(
            &format!(
                "{}: {told} acts by itself when rows are written, and no rollback undoes what it does",
                database.shown
            ),
            None,
        );
    }
    let mut lines: BTreeMap<usize, Line> =
        target.manual.iter().map(|(&place, why)| (place, Line::manual(&part[place].action, why))).collect();
    let mut status = if lines.is_empty() { ExitStatus::Agreed } else { ExitStatus::Drifted };
    if !call.options.execute {
        lines.extend(target.items.iter().map(|(place, _)| (*place, Line::would(&part[*place].action))));
        return Ok(Came { lines, status });
    }
    taken(&mut target, database)?;
    settle(call, &proved.reports, &mut target, database, console)?;
    let apply_id = apply_id(call.started_at, database, number);
    let begun = begun(call, &apply_id, &proved.audit.run_id, &proved.plan, database, None);
    let touched: Vec<&Chosen<'_>> = part.iter().collect();
    let (told, applied) = carry_out(call, &proved.reports, &mut target, begun, console, &touched)?;
    for (place, outcome) in &told.outcomes {
        if let Outcome::Skipped(_) = outcome {
            status = status.max(ExitStatus::Drifted);
        }
        lines.insert(*place, Line::came(&part[*place].action, outcome));
    }
    if let Some(halted) = told.halted {
        console.error(
            &format!("{}: {halted}; the apply ended here", database.shown),
            Some("the same command goes on with it"),
        );
        let not_reached: Vec<usize> = (0..part.len()).filter(|place| !lines.contains_key(place)).collect();
        for place in not_reached {
            lines.insert(place, Line::skipped(&part[place].action, "the apply ended before it"));
        }
        return Ok(Came { lines, status: ExitStatus::Unverified });
    }
    if let Some((_, diverge)) = applied.filter(|(_, diverge)| *diverge > 0) {
        console.warning(
            &format!("{}: {diverge} of the keys that were written still diverge", database.shown),
            Some("`reconcile run` says how"),
        );
        status = status.max(ExitStatus::Drifted);
    }
    Ok(Came { lines, status })
}

/// Only one apply at a time.
fn taken(target: &mut Target, database: &Database) -> Result<(), Failure> {
    match target.take() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::with_hint(
            format!("{}: another apply is writing to it", database.shown),
            "wait until it has ended; nothing was written",
        )),
        Err(refused) => Err(Failure::new(format!("{}: {}", database.shown, refused.message))),
    }
}

/// The first line of a journal.
fn begun(call: &Call<'_>, id: &str, run_id: &str, plan: &str, database: &Database, rolls_back: Option<&str>) -> Begun {
    Begun {
        format_version: crate::apply::journal::FORMAT_VERSION,
        apply_id: id.to_owned(),
        run_id: run_id.to_owned(),
        plan: plan.to_owned(),
        target: database.shown.clone(),
        place: Some(place_of(database)),
        started_at: call.started_at.to_string(),
        columns: BTreeMap::new(),
        rolls_back: rolls_back.map(ToOwned::to_owned),
    }
}

/// Sorts by time; the digits at the end tell the targets of one call apart.
fn apply_id(started_at: Timestamp, database: &Database, number: usize) -> String {
    let target = blake3::hash(format!("{} {number}", place_of(database)).as_bytes()).to_hex();
    format!("A{}{:03}Z-{}", started_at.strftime("%Y%m%dT%H%M%S"), started_at.subsec_millisecond(), &target[..8])
}

/// Writes what the target holds, compares the touched keys again, and records the receipt. How many of them agree and diverge,
/// where that was found.
fn carry_out(
    call: &Call<'_>,
    reports: &Path,
    target: &mut Target,
    begun: Begun,
    console: &mut Console,
    touched: &[&Chosen<'_>],
) -> Result<(Told, Option<(u64, u64)>), Failure> {
    let key = again::digest_key(reports, call, touched)?;
    let now = Timestamp::now;
    let deed = Deed { reports, key, now: &now, steps: &call.bars, signer: call.signer.as_ref() };
    call.bars.begin_counting("writing", ACTION, target.items.len() as u64);
    let mut compared = None;
    let id = begun.apply_id.clone();
    let told = deed
        .carry_out(target, begun, &mut |outcomes| {
            let known = again::compare(call, touched, outcomes);
            compared = known.as_ref().ok().copied();
            if let Err(why) = &known {
                console.warning(&format!("the keys that were written could not be compared again: {why}"), None);
            }
            known
        })
        .map_err(|error| Failure::path(reports, "the receipt cannot be written", &error))?;
    if told.halted.is_none() {
        console.note(&format!("receipt {id} is in {}", failure::shown(&reports.join("applied"))));
    }
    Ok((told, compared))
}

/// Ends what an apply that was stopped left of this target, and records it.
fn settle(
    call: &Call<'_>,
    reports: &Path,
    target: &mut Target,
    database: &Database,
    console: &mut Console,
) -> Result<(), Failure> {
    let key = again::any_key(reports, call)?;
    let deed = Deed { reports, key, now: &Timestamp::now, steps: &call.bars, signer: call.signer.as_ref() };
    let settled = deed
        .settle(target, database)
        .map_err(|said| Failure::new(format!("an apply that did not end cannot be ended: {said}")))?;
    for one in settled {
        console.warning(
            &format!(
                "apply `{}` did not end: {} of its actions were done, which its receipt holds now; this one goes on with the rest",
                one.apply_id, one.done
            ),
            (one.unknown > 0).then_some("what its last transaction did is not known, because its rows have moved since"),
        );
    }
    Ok(())
}

/// What digests of personal values are keyed with, where the contract file says it.
fn configured_key(call: &Call<'_>) -> Option<PiiKey> {
    call.configuration.run.pii_key
}
