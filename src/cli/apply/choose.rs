//! Which actions of a plan are applied, and what keeps a plan from being applied at all. It asks no target.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::failure::{Failure, nearest};
use super::super::outcome::ambient_limit;
use super::{Call, MOST};
use crate::apply::deed::place_of;
use crate::apply::given::{Action, Given};
use crate::apply::work::Chosen;
use crate::audit::{ContractAudit, Verdict};
use crate::contract::{Contract, Kind, Severity};
use crate::history::{self, DecisionLine, Proved, Severities, WantedKey};
use crate::report::escape::counted;
use crate::run::Settings;
use crate::sides::Side;

/// How many bytes of actions one apply holds, whatever memory there is.
const MOST_BYTES: usize = 256 << 20;

/// Of the memory that may be taken, the share that the lines of a plan may have: with their SQL they take some times as much.
const SHARE: u64 = 6;

/// How many bytes of a plan are taken on at once under a memory limit.
pub(in crate::cli) fn most_bytes(memory_limit: Option<u64>) -> usize {
    let limit = memory_limit.unwrap_or(Settings::USUAL_MEMORY);
    usize::try_from(limit / SHARE).unwrap_or(usize::MAX).min(MOST_BYTES)
}

/// The actions that were chosen.
pub(super) struct Picked<'a> {
    /// In the order of the plan.
    pub(super) chosen: Vec<Chosen<'a>>,
    /// How many more there are than one apply takes on, or than were asked for.
    pub(super) left: usize,
    /// How many wait for a person, and were not asked for.
    pub(super) waiting: usize,
}

/// The run that a word or path names.
pub(super) fn plan_of(word: &str) -> String {
    let path = Path::new(word);
    if path.file_name().is_some_and(|name| name == "plan.ndjson") {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()).display().to_string();
    }
    word.to_owned()
}

/// Refuses a plan that is too old, or of a run that was not whole.
pub(super) fn may_be_applied(call: &Call<'_>, proved: &Proved) -> Result<(), Failure> {
    let audit = &proved.audit;
    let refused = |why: String, hint: &str| Err(Failure::with_hint(format!("run `{}`: {why}", audit.run_id), hint));
    if audit.command != "run" {
        return refused(
            "its plan is of no contract file".to_owned(),
            "`reconcile run` makes a plan that can be applied",
        );
    }
    if audit.interrupted.is_some() {
        return refused("it was interrupted, so its plan is not applied".to_owned(), "run it again");
    }
    // A run that went on from another is as old as the first reading that it rests on: a key that is missing now may lie in what
    // was read then.
    let taken = audit.contracts.iter().filter_map(|contract| contract.segments.as_ref().filter(|of| of.is_sum()));
    let taken = taken.flat_map(|segments| Side::BOTH.into_iter().filter_map(|side| segments.oldest(side)));
    let oldest = taken.chain([audit.started_at]).min().unwrap_or(audit.started_at);
    let age = call.started_at.duration_since(oldest);
    if age > call.options.max_age {
        let why = format!("its plan is {age:#} old, at most {:#} is allowed", call.options.max_age);
        return refused(why, "`reconcile run` makes a new one, `--max-age` allows an older one");
    }
    Ok(())
}

/// Why a contract's part of a plan is not applied.
fn whole(contract: &ContractAudit, configured: Option<&Contract>) -> Result<(), (String, &'static str)> {
    if contract.plan_truncated {
        let why = "its plan is over `max_actions`: it is cut, so it is not applied".to_owned();
        return Err((
            why,
            "raise `[contract.NAME.repair] max_actions` and run it again, or find out why so much diverges",
        ));
    }
    if contract.verdict == Verdict::Unverified {
        let why = format!("it is unverified ({}), so its plan is not applied", contract.because);
        return Err((why, "mend what kept it from being compared and run it again"));
    }
    match configured {
        None => Err(("it is not in the contract file any more".to_owned(), "name the file with --config")),
        Some(now) if now.digest != contract.contract_digest => {
            Err(("the contract has changed since the run".to_owned(), "run it again"))
        }
        Some(now) => same_place(contract, now),
    }
}

/// A plan is for the database that its run compared, whatever the location names now.
fn same_place(then: &ContractAudit, now: &Contract) -> Result<(), (String, &'static str)> {
    let Some(database) = now.sources.projection.database() else { return Ok(()) };
    let hint = "run it again where it is to be repaired";
    match &then.inputs.projection.place {
        Some(place) if *place == place_of(database) => Ok(()),
        Some(_) => Err((
            format!("its plan was made for another database than `{}` stands for now", database.shown),
            "name the same database as in the run, or run it again",
        )),
        None => Err(("the run does not say which database its plan was made for".to_owned(), hint)),
    }
}

/// What `--only` asks for.
#[derive(Default)]
struct Only {
    kinds: BTreeSet<String>,
    severities: BTreeSet<Severity>,
    keys: Vec<WantedKey>,
}

impl Only {
    fn of(words: &[String]) -> Self {
        let mut only = Self::default();
        for word in words {
            let severity = Severity::ALL.into_iter().find(|severity| severity.name() == word);
            if Kind::ALL.iter().any(|kind| kind.name() == word) {
                only.kinds.insert(word.clone());
            } else if let Some(severity) = severity {
                only.severities.insert(severity);
            } else {
                only.keys.push(WantedKey::parse(word));
            }
        }
        only
    }

    fn fits(&self, action: &Action, severity: Option<Severity>) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&action.kind))
            && (self.severities.is_empty() || severity.is_some_and(|severity| self.severities.contains(&severity)))
            && (self.keys.is_empty() || self.keys.iter().any(|key| key.is(&action.key_text)))
    }
}

/// The actions that were asked for, each of a contract that may be applied.
pub(super) fn actions<'a>(call: &'a Call<'_>, proved: &Proved) -> Result<Picked<'a>, Failure> {
    let unreadable = |error: &std::io::Error| Failure::path(&proved.folder, "its plan cannot be read", error);
    let options = call.options;
    for name in &options.contracts {
        known_contract(name, proved)?;
    }
    let only = Only::of(&options.only);
    let decided = decided(proved)?;
    let mut picked = Picked { chosen: Vec::new(), left: 0, waiting: 0 };
    let most = options.max_actions.unwrap_or(MOST).min(MOST);
    let limit = call.global.memory_limit.or(call.configuration.run.memory_limit).or_else(ambient_limit);
    let (mut bytes, most_bytes) = (0, most_bytes(limit));
    let mut severities = Severities::open(&proved.folder).map_err(|error| unreadable(&error))?;
    let mut checked: BTreeMap<String, &Contract> = BTreeMap::new();
    for planned in history::Plan::open(&proved.folder).map_err(|error| unreadable(&error))? {
        let planned = planned.map_err(|error| unreadable(&error))?;
        let severity = severities.of(&planned).map_err(|error| unreadable(&error))?;
        if !options.contracts.is_empty() && !options.contracts.contains(&planned.contract) {
            continue;
        }
        let action = Action::parse(&planned.line).map_err(|said| Failure::new(format!("the plan: {said}")))?;
        if !only.fits(&action, severity) {
            continue;
        }
        let free = action.safety == "safe" || (action.safety == "review" && is_decided(&decided, &action));
        if !free && !options.include_review {
            picked.waiting += 1;
            continue;
        }
        let contract = if let Some(contract) = checked.get(&planned.contract) {
            contract
        } else {
            let contract = contract(call, proved, &planned.contract)?;
            checked.insert(planned.contract.clone(), contract);
            contract
        };
        bytes += planned.line.len();
        // One action is taken on, however large it is.
        if picked.chosen.len() >= most || (bytes > most_bytes && !picked.chosen.is_empty()) {
            picked.left += 1;
            continue;
        }
        let personal = personal(&action);
        picked.chosen.push(Chosen { contract, action, personal });
    }
    within_limits(proved, &picked)?;
    Ok(picked)
}

fn personal(action: &Action) -> BTreeSet<String> {
    let members = action.before.iter().chain(&action.after).flatten().chain(&action.key);
    members.filter(|(_, value)| matches!(value, Given::Personal(_))).map(|(name, _)| name.clone()).collect()
}

fn known_contract(name: &str, proved: &Proved) -> Result<(), Failure> {
    let names: Vec<&str> = proved.audit.contracts.iter().map(|contract| contract.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let message = format!("--contract: `{name}` is not one of {}", names.join(", "));
    Err(match nearest(name, names) {
        Some(hint) => Failure::with_hint(message, hint),
        None => Failure::new(message),
    })
}

fn contract<'a>(call: &'a Call<'_>, proved: &Proved, name: &str) -> Result<&'a Contract, Failure> {
    let about = |why: &str| format!("run `{}`, contract \"{name}\": {why}", proved.audit.run_id);
    let Some(compared) = proved.audit.contracts.iter().find(|contract| contract.name == name) else {
        return Err(Failure::new(about("the run did not compare it")));
    };
    let configured = call.configuration.contracts.iter().find(|contract| contract.name == name).map(|one| &**one);
    whole(compared, configured).map_err(|(why, hint)| Failure::with_hint(about(&why), hint))?;
    configured.ok_or_else(|| Failure::new(about("it is not in the contract file any more")))
}

/// Refuses more than the contract lets be repaired without a look at why.
fn within_limits(proved: &Proved, picked: &Picked<'_>) -> Result<(), Failure> {
    let mut counts: BTreeMap<&str, (u64, &Contract)> = BTreeMap::new();
    for one in &picked.chosen {
        counts.entry(&one.contract.name).or_insert((0, one.contract)).0 += 1;
    }
    for (name, (count, contract)) in counts {
        let policy = &contract.repair;
        let rows = proved.audit.contracts.iter().find(|one| one.name == name).map_or(0, |one| one.books.authority.read);
        let limit = if policy.max_actions.is_some_and(|most| count > most) {
            "max_actions"
        } else if policy.max_ratio.is_some_and(|most| most.less_than(count, rows)) {
            "max_ratio"
        } else {
            continue;
        };
        return Err(Failure::with_hint(
            format!(
                "contract \"{name}\": {} on {}, more than its `repair.{limit}` allows; nothing was done",
                counted(count, "action"),
                counted(rows, "row"),
            ),
            "look at why so much diverges; `--only` and `--max-actions` choose fewer",
        ));
    }
    Ok(())
}

/// What people decided of this run's divergences, by contract and key.
fn decided(proved: &Proved) -> Result<BTreeMap<(String, String), Vec<DecisionLine>>, Failure> {
    let lines = history::standing_lines(&proved.reports)
        .map_err(|error| Failure::path(&proved.reports, "the decisions of people cannot be read", &error))?;
    let mut by_key: BTreeMap<(String, String), Vec<DecisionLine>> = BTreeMap::new();
    for line in lines.into_values().filter(|line| line.run_id == proved.audit.run_id) {
        let key = line.key.clone().unwrap_or_default();
        by_key.entry((line.contract.clone(), key)).or_default().push(line);
    }
    Ok(by_key)
}

/// Whether a person accepted the authority's values for all that the action writes.
fn is_decided(decided: &BTreeMap<(String, String), Vec<DecisionLine>>, action: &Action) -> bool {
    let Some(lines) = decided.get(&(action.contract.clone(), action.key_text.clone())) else { return false };
    let accepted = |attribute: Option<&str>| {
        lines.iter().any(|line| line.decision == "accept-authority" && line.attribute.as_deref() == attribute)
    };
    match action.op.as_str() {
        "update" => action.attributes().into_iter().all(|name| accepted(Some(name))),
        _ => accepted(None),
    }
}
