//! The cutover gate: whether the last runs of a contract are evidence enough that the copy can be relied on.
//!
//! It walks from the newest run back, until enough runs count or one breaks the row. A run that proves too little (a part
//! of the keys, several instants, inputs that were not read or are the same as those of another run) neither counts nor breaks,
//! unless it drifted. It never says ready where a run, a file of a run or the ledger is not as it was written.

use std::collections::BTreeMap;
use std::io;

use super::reproduce::inputs;
use super::size;
use super::trail::{Entry, Facts, Kept, Trail};
use super::watch::Watch;
use crate::audit::{Baseline, ContractAudit, InputFile, Verdict};
use crate::contract::{Contract, ExactDecimal, Kind, Parity, Severity};

/// What the gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Every condition is met.
    Ready,
    /// At least one is not.
    NotYet,
    /// What it would rest on is not there or was changed.
    Unknown,
}

impl Status {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotYet => "not_yet",
            Self::Unknown => "unknown",
        }
    }
}

/// One condition of the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its fixed name.
    pub name: &'static str,
    /// Whether it is met.
    pub met: bool,
    /// What was found, as a sentence part.
    pub says: String,
}

/// The judgement with what it rests on.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What it says.
    pub status: Status,
    /// Each condition, in the order in which they are told.
    pub conditions: Vec<Condition>,
    /// The runs that count, the newest first.
    pub counted: Vec<String>,
    /// Runs that neither count nor break the row, with why.
    pub passed_over: Vec<(String, String)>,
    /// Why it cannot tell.
    pub problems: Vec<String>,
    /// How the newest run's divergences stand to the old copy, where there is one.
    pub baseline: Option<Baseline>,
}

/// The runs of a row as it is walked.
#[derive(Default)]
struct Row {
    counted: Vec<String>,
    passed_over: Vec<(String, String)>,
    problems: Vec<String>,
    /// What the run that broke the row lacks, by condition.
    broken: BTreeMap<&'static str, String>,
    /// Repair actions of the newest run that wait for a person.
    waiting: Option<Result<u64, String>>,
    /// How the projection stands to the old copy, by the newest run of the whole contract.
    baseline: Option<Baseline>,
    /// What was read by each run that counts, with the run.
    evidence: BTreeMap<String, String>,
}

/// Judges a contract by its rule. `overdue`: it ought to have run since, by its cadence. `watch` is told how far it is.
///
/// # Errors
/// What kept a run from being read.
pub fn parity(
    trail: Option<&Trail>,
    contract: &Contract,
    rule: &Parity,
    overdue: bool,
    watch: &dyn Watch,
) -> io::Result<Gate> {
    let mut row = Row::default();
    let mut ran = false;
    if let Some(trail) = trail {
        row.problems = trail.complaints();
        let unknown = trail.without_line()?.into_iter();
        row.problems.extend(
            unknown.map(|run| format!("run `{run}` has no ledger line; the next run adopts it if it is whole")),
        );
        // As if the newest were those that count.
        let enough = usize::try_from(rule.consecutive_runs).unwrap_or(usize::MAX);
        let newest = trail.of_contract(&contract.name).take(enough);
        watch.reads("proving the runs", newest.map(|entry| size(&entry.folder())).sum());
        for entry in trail.of_contract(&contract.name) {
            ran = true;
            if !row.take(entry, contract, rule, watch)? {
                break;
            }
        }
    }
    if !ran {
        row.problems.push(format!("contract \"{}\" has no run in the ledger", contract.name));
    }
    Ok(row.judged(contract, rule, overdue))
}

impl Row {
    /// Takes the next older run; says whether to go on.
    fn take(&mut self, entry: Entry<'_>, contract: &Contract, rule: &Parity, watch: &dyn Watch) -> io::Result<bool> {
        let run_id = entry.run_id();
        let kept = match entry.read()? {
            Facts::Whole(kept) => kept,
            Facts::Pruned => {
                self.broken.insert("consecutive_runs", format!("run `{run_id}` was pruned"));
                return Ok(false);
            }
            Facts::Damaged(problem) => {
                self.problems.push(problem);
                return Ok(false);
            }
        };
        let Some(found) = kept.contract(&contract.name) else { return Ok(true) };
        if kept.audit.command != "run" {
            return Ok(true);
        }
        if kept.narrowed().is_some() && found.verdict != Verdict::Drifted {
            self.pass_over(run_id, "`--where` left out a part of the keys");
            return Ok(true);
        }
        if self.waiting.is_none() {
            self.baseline.clone_from(&found.baseline);
        }
        self.waiting.get_or_insert_with(|| waiting(&kept, found));
        let sum = found.segments.as_ref().filter(|segments| segments.is_sum());
        if let Some(before) = sum.filter(|_| found.verdict == Verdict::Agreed) {
            let before = before.resumed.as_deref().unwrap_or_default();
            self.pass_over(run_id, &format!("it goes on from run `{before}`, so that it is of no one instant"));
            return Ok(true);
        }
        self.broken = lacks(run_id, found, contract, rule);
        if !self.broken.is_empty() {
            return Ok(false);
        }
        let changed = entry.check(&|bytes| watch.did(0, bytes))?;
        if !changed.is_empty() {
            self.problems.extend(changed);
            return Ok(false);
        }
        if let Some(why) = not_digested(found) {
            self.pass_over(run_id, &why);
            return Ok(true);
        }
        if let Some(same) = self.evidence.insert(evidence(found), run_id.to_owned()) {
            let why = format!("it read the very inputs that run `{same}` read, which proves nothing more");
            self.pass_over(run_id, &why);
            return Ok(true);
        }
        self.counted.push(run_id.to_owned());
        Ok((self.counted.len() as u64) < rule.consecutive_runs)
    }

    fn pass_over(&mut self, run_id: &str, why: &str) {
        self.passed_over.push((run_id.to_owned(), why.to_owned()));
    }

    fn judged(mut self, contract: &Contract, rule: &Parity, overdue: bool) -> Gate {
        let mut conditions = vec![self.enough(rule)];
        conditions.push(self.condition("verdict", "every run that counts agreed"));
        conditions.push(
            self.condition("coverage", &format!("at least {} in every run that counts", percent(rule.min_coverage))),
        );
        conditions.push(self.condition("critical", "no critical divergence in a run that counts"));
        if let Some(most) = rule.max_ratio {
            let met = format!("at most {} of the keys diverge in a run that counts", percent(most));
            conditions.push(self.condition("ratio", &met));
        }
        if let Some(most) = rule.max_regressions {
            let met = format!("at most {most} regressions in a run that counts");
            conditions.push(self.condition("regressions", &met));
        }
        let version = format!("version {} and its meaning, the same in every run that counts", contract.version.text);
        conditions.push(self.condition("contract_unchanged", &version));
        let (met, says) = match &self.waiting {
            Some(Ok(0)) => (true, "nothing waits for a person".to_owned()),
            Some(Ok(1)) => (false, "1 repair of the newest run waits for a person".to_owned()),
            Some(Ok(actions)) => (false, format!("{actions} repairs of the newest run wait for a person")),
            Some(Err(why)) => (false, why.clone()),
            None => (false, "no run of the whole contract tells".to_owned()),
        };
        conditions.push(Condition { name: "open_review", met, says });
        if contract.cadence.is_some() {
            let says = if overdue { "it ought to have run since" } else { "it ran as often as it must" };
            conditions.push(Condition { name: "cadence", met: !overdue, says: says.to_owned() });
        }
        let status = match (self.problems.is_empty(), conditions.iter().all(|condition| condition.met)) {
            (false, _) => Status::Unknown,
            (true, true) => Status::Ready,
            (true, false) => Status::NotYet,
        };
        let Self { counted, passed_over, problems, baseline, .. } = self;
        Gate { status, conditions, counted, passed_over, problems, baseline }
    }

    fn enough(&mut self, rule: &Parity) -> Condition {
        let count = self.counted.len() as u64;
        let met = count >= rule.consecutive_runs;
        let mut says = format!("{count} of {} count", rule.consecutive_runs);
        if let Some(why) = self.broken.remove("consecutive_runs").filter(|_| !met) {
            says.push_str(&format!("; {why}"));
        }
        if let Some(why) = self.broken.values().next().filter(|_| !met) {
            says.push_str(if count == 0 { "; " } else { "; before them, " });
            says.push_str(why);
        }
        match (met, self.passed_over.len()) {
            (true, _) | (_, 0) => {}
            (_, 1) => says.push_str("; 1 run proves too little to count"),
            (_, runs) => says.push_str(&format!("; {runs} runs prove too little to count")),
        }
        Condition { name: "consecutive_runs", met, says }
    }

    fn condition(&self, name: &'static str, met: &str) -> Condition {
        match self.broken.get(name) {
            Some(why) => Condition { name, met: false, says: why.clone() },
            // Of no run nothing holds.
            None if self.counted.is_empty() => Condition { name, met: false, says: "no run counts".to_owned() },
            None => Condition { name, met: true, says: met.to_owned() },
        }
    }
}

/// What keeps a run from being clean, by condition.
fn lacks(run_id: &str, found: &ContractAudit, contract: &Contract, rule: &Parity) -> BTreeMap<&'static str, String> {
    let mut lacks = BTreeMap::new();
    if found.verdict != Verdict::Agreed {
        lacks.insert("verdict", format!("run `{run_id}` is {}: {}", found.verdict.name(), found.because));
    }
    if !covered(found, rule.min_coverage) {
        lacks.insert("coverage", format!("run `{run_id}` covers {:.4}% of the rows", found.coverage * 100.0));
    }
    let critical = found.severities.get(&Severity::Critical).copied().unwrap_or(0);
    if critical > 0 {
        lacks.insert("critical", format!("run `{run_id}` has {critical} that are critical"));
    }
    // What is still on its way does not diverge yet.
    let keys: u64 = found.keys.iter().filter(|(kind, _)| **kind != Kind::InFlight).map(|(_, keys)| keys).sum();
    let rows = found.books.authority.read;
    if rule.max_ratio.is_some_and(|most| keys > 0 && most.less_than(keys, rows)) {
        lacks.insert("ratio", format!("run `{run_id}` has {keys} diverging keys to {rows} authority rows"));
    }
    if let Some(why) = rule.max_regressions.and_then(|most| regressed(run_id, found, most)) {
        lacks.insert("regressions", why);
    }
    if found.version != contract.version.text {
        lacks.insert("contract_unchanged", format!("run `{run_id}` was of version {}", found.version));
    } else if found.contract_digest != contract.digest {
        let why = format!("the contract's meaning is another than in run `{run_id}`, though its version is not");
        lacks.insert("contract_unchanged", why);
    }
    lacks
}

/// Why a run has more regressions than are allowed, or does not tell. What the old copy does not tell may be one.
fn regressed(run_id: &str, found: &ContractAudit, most: u64) -> Option<String> {
    let Some(against) = found.baseline.as_ref().and_then(|baseline| baseline.parity.as_ref()) else {
        return Some(format!("run `{run_id}` did not compare the old copy to its end"));
    };
    let (regressions, untold) = (against.regressions, against.untold);
    let besides = if untold > 0 { format!(", and {untold} that the old copy does not tell") } else { String::new() };
    (regressions + untold > most).then(|| format!("run `{run_id}` has {regressions} regressions{besides}"))
}

/// Whether at least such a share of the rows was compared, exactly.
fn covered(found: &ContractAudit, least: ExactDecimal) -> bool {
    let (mut scope, mut uncovered) = (0, 0);
    for (_, books) in found.books.iter() {
        scope += books.read;
        uncovered += books.unreadable + books.uncompared;
    }
    // coverage < least, with uncovered rows where the arithmetic allows it: 1 - least < uncovered / scope
    let rest = u32::try_from(-i64::from(least.exponent))
        .ok()
        .and_then(|places| 10_i128.checked_pow(places))
        .and_then(|one| one.checked_sub(least.coefficient));
    match rest {
        _ if uncovered == 0 => true,
        Some(rest) => !ExactDecimal { coefficient: rest, exponent: least.exponent }.less_than(uncovered, scope),
        None => false,
    }
}

/// Repair actions that a person has yet to look at; why that is not known.
fn waiting(kept: &Kept, found: &ContractAudit) -> Result<u64, String> {
    let diverging: u64 = found.keys.values().sum();
    if diverging > 0 && kept.audit.settings.get("plan").is_some_and(|plan| plan == "false") {
        return Err("the newest run drafted no plan (`--no-plan`), so it does not tell".to_owned());
    }
    Ok(found.plan.review + found.plan.manual)
}

/// Why a run does not prove what its inputs held.
fn not_digested(found: &ContractAudit) -> Option<String> {
    if found.second_look.as_ref().is_some_and(|second| second.replaced && second.settled > 0) {
        return Some("what it read of a replaced file in its second look was not digested".to_owned());
    }
    let inputs = || inputs(found).into_iter().map(|(_, input)| input);
    if inputs().any(|input| input.taken_over.any()) {
        return Some(
            "what it did not read again was trusted to be unchanged; `reconcile run --no-cache` reads all".to_owned(),
        );
    }
    // A database has no content to digest: the state that was read, and the sum of its rows, stand for it.
    let of_files = |files: &[InputFile]| !files.is_empty() && files.iter().all(|file| !file.blake3.is_empty());
    let digested =
        inputs().all(|input| of_files(&input.files) || input.snapshot.is_some() && !input.table_digest.is_empty());
    (!digested).then(|| "the content of its inputs was not digested".to_owned())
}

/// What tells the inputs of one run from those of another: the instants that they speak for, and their content.
fn evidence(found: &ContractAudit) -> String {
    let mut text = String::new();
    for (place, input) in inputs(found) {
        let captured = input.captured_at.map(|at| at.to_string()).unwrap_or_default();
        let mut digests: Vec<&str> = input.files.iter().map(|file| file.blake3.as_str()).collect();
        digests.sort_unstable();
        text.push_str(&format!("{place} {captured} {}\n", digests.join(",")));
        text.extend(input.snapshot.iter().map(|state| format!("{state} {}\n", input.table_digest)));
    }
    text
}

/// A share as people write it.
fn percent(share: ExactDecimal) -> String {
    format!("{}%", ExactDecimal { coefficient: share.coefficient, exponent: share.exponent + 2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn share(coefficient: i128, exponent: i32) -> ExactDecimal {
        ExactDecimal { coefficient, exponent }
    }

    #[test]
    fn coverage_is_exact_at_its_bound() {
        let mut found = sample::small("a").contracts.swap_remove(0);
        let cases = [
            (0, share(1, 0), true),
            (1, share(1, 0), false),
            (60, share(99, -2), true),
            (61, share(99, -2), false),
            (6000, share(0, 0), true),
            (3000, share(5, -1), true),
            (3001, share(5, -1), false),
        ];
        for (uncompared, least, expected) in cases {
            found.books.authority.read = 3000;
            found.books.projection.read = 3000;
            found.books.authority.uncompared = uncompared;
            let seen = covered(&found, least);
            assert_eq!(seen, expected, "{uncompared} {least:?}");
        }
    }

    #[test]
    fn the_order_of_files_is_no_evidence_and_their_content_and_instant_are() {
        let found = || sample::small("a").contracts.swap_remove(0);
        let with = |change: &dyn Fn(&mut ContractAudit)| {
            let mut found = found();
            let mut other = found.inputs.authority.files[0].clone();
            other.blake3 = "ef".repeat(32);
            found.inputs.authority.files.push(other);
            change(&mut found);
            evidence(&found)
        };
        let as_it_is = with(&|_| {});
        assert_eq!(as_it_is, with(&|found| found.inputs.authority.files.reverse()));
        assert_ne!(as_it_is, with(&|found| found.inputs.authority.files[0].blake3 = "01".repeat(32)));
        assert_ne!(as_it_is, with(&|found| found.inputs.projection.captured_at = Some(jiff::Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_share_is_shown_in_percent() {
        assert_eq!(percent(share(1, 0)), "100%");
        assert_eq!(percent(share(1, -4)), "0.01%");
        assert_eq!(percent(share(999, -3)), "99.9%");
    }
}
