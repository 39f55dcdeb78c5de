//! Compares contracts again for an apply: before it, to have the personal values that a plan does not hold; after it, to say
//! whether the touched keys agree. It keeps nothing of what it compares.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::outcome::ambient_limit;
use super::{Call, configured_key, narrow};
use crate::apply::Outcome;
use crate::apply::given::Action as Given;
use crate::apply::work::{Again, Chosen};
use crate::audit::{Audit, Recorder, Verdict};
use crate::classify::Divergence;
use crate::contract::{Contract, PiiKey};
use crate::history::{self, Proved};
use crate::plan::Action;
use crate::report;
use crate::run::{self, Settings, Stop, Tuning};

/// The actions with the values that the plan does not hold, where there are any such. An action that the authority does not
/// ask for any more keeps its digests, so that it is not done.
pub(super) fn in_clear<'a>(
    call: &Call<'_>,
    proved: &Proved,
    mut chosen: Vec<Chosen<'a>>,
) -> Result<Vec<Chosen<'a>>, Failure> {
    let wanted: BTreeSet<&str> =
        chosen.iter().filter(|one| one.action.is_personal()).map(|one| one.action.id.as_str()).collect();
    if wanted.is_empty() || !(call.options.execute || call.options.out.is_some()) {
        return Ok(chosen);
    }
    let mut revealed = Reveal { wanted: wanted.into_iter().map(str::to_owned).collect(), found: BTreeMap::new() };
    let personal: Vec<&Contract> = distinct(chosen.iter().filter(|one| one.action.is_personal()));
    let key = any_key(&proved.reports, call)?;
    for contract in personal {
        let actions: Vec<&Given> = chosen
            .iter()
            .filter(|one| one.contract.name == contract.name && one.action.is_personal())
            .map(|one| &one.action)
            .collect();
        let by_key = by_key(call, contract, &actions, (key, true), &mut revealed);
        if by_key && actions.iter().all(|action| revealed.found.contains_key(&action.id)) {
            continue;
        }
        compared(call, &[Arc::new(contract.clone())], key, true, &mut revealed).map_err(|error| {
            Failure::new(format!("the personal values cannot be fetched from the authority: {error}"))
        })?;
    }
    for one in &mut chosen {
        if let Some(action) = revealed.found.remove(&one.action.id) {
            // What a person allowed since stands in the plan, not in the values.
            one.action.before = action.before;
            one.action.after = action.after;
            one.action.key = action.key;
        }
    }
    Ok(chosen)
}

/// How many of the touched keys agree now, and how many diverge in what was written.
pub(super) fn compare(call: &Call<'_>, touched: &[&Chosen<'_>], outcomes: &[(usize, Outcome)]) -> Again {
    compare_as(call, touched, outcomes, &Clone::clone)
}

/// The same of contracts that are changed by `of`: to look at a copy in place of the projection.
pub(super) fn compare_as(
    call: &Call<'_>,
    touched: &[&Chosen<'_>],
    outcomes: &[(usize, Outcome)],
    of: &dyn Fn(&Contract) -> Contract,
) -> Again {
    let done = outcomes.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Skipped(_)));
    let chosen: Vec<&Chosen<'_>> = done.filter_map(|(place, _)| touched.get(*place).copied()).collect();
    if chosen.is_empty() {
        return Ok((0, 0));
    }
    if chosen.iter().any(|one| one.contract.has_pii()) && configured_key(call).is_none() && call.reports_key().is_none()
    {
        return Err("there is no key for digests of personal data".to_owned());
    }
    let mut watch = Watch::default();
    for one in &chosen {
        let attributes = one.action.attributes().into_iter().map(str::to_owned);
        watch.keys.entry((one.contract.name.clone(), one.action.key_text.clone())).or_default().extend(attributes);
    }
    let key = configured_key(call).or_else(|| call.reports_key()).map(|key| *key.bytes()).unwrap_or_default();
    for one in distinct(chosen.iter().copied()) {
        let contract = of(one);
        let actions: Vec<&Given> =
            chosen.iter().filter(|touched| touched.contract.name == one.name).map(|touched| &touched.action).collect();
        let before = watch.diverge.clone();
        if !by_key(call, &contract, &actions, (key, false), &mut watch) {
            watch.diverge = before;
            compared(call, &[Arc::new(contract)], key, false, &mut watch)?;
        }
    }
    let all = watch.keys.len() as u64;
    let diverge = watch.diverge.len() as u64;
    Ok((all - diverge, diverge))
}

fn distinct<'a, 'b: 'a>(chosen: impl Iterator<Item = &'a Chosen<'b>>) -> Vec<&'b Contract> {
    let mut contracts: Vec<&'b Contract> = Vec::new();
    for one in chosen {
        if !contracts.iter().any(|known| known.name == one.contract.name) {
            contracts.push(one.contract);
        }
    }
    contracts
}

/// Compares the keys of some actions alone. False where that is not possible, or where rows that must be there were not found,
/// so that it takes the whole.
fn by_key(
    call: &Call<'_>,
    contract: &Contract,
    actions: &[&Given],
    (key, draft_plan): ([u8; 32], bool),
    recorder: &mut dyn Recorder,
) -> bool {
    let Some(parts) = narrow::parts(contract, actions) else { return false };
    parts.into_iter().all(|part| {
        let audit = compared(call, &[Arc::new(part.contract)], key, draft_plan, recorder);
        // A row that is meant to be missing yet is there is a divergence, which is told.
        let there = |books: u64| draft_plan || books >= part.present;
        audit.is_ok_and(|audit| {
            let books = audit.contracts.first().map(|contract| &contract.books);
            books.is_some_and(|books| there(books.authority.read) && there(books.projection.read))
        })
    })
}

/// Compares contracts to their end, and tells the recorder.
fn compared(
    call: &Call<'_>,
    contracts: &[Arc<Contract>],
    key: [u8; 32],
    draft_plan: bool,
    recorder: &mut dyn Recorder,
) -> Result<Audit, String> {
    let threads = super::super::values::threads(call.global.threads).unwrap_or(call.configuration.run.threads);
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let settings = Settings {
        run_id: "apply".to_owned(),
        started_at: Timestamp::now(),
        command: "apply".to_owned(),
        threads,
        memory_limit: call.global.memory_limit.or(call.configuration.run.memory_limit).or_else(ambient_limit),
        spill_folder: std::env::temp_dir(),
        cache: None,
        examples: 0,
        draft_plan,
        digest_inputs: false,
        signed: false,
        pii_key: Some(key),
        decisions: Arc::default(),
        earlier: None,
        shown: BTreeMap::new(),
        tuning: Tuning::default(),
    };
    let audit =
        run::run(contracts, &settings, recorder, &call.bars, &Stop::default()).map_err(|error| error.to_string())?;
    match audit.contracts.iter().find(|contract| contract.verdict == Verdict::Unverified) {
        Some(contract) => {
            let why = contract.error.as_deref().unwrap_or(&contract.because);
            Err(format!("contract \"{}\": {}", contract.name, why.lines().next().unwrap_or_default()))
        }
        None => Ok(audit),
    }
}

impl Call<'_> {
    /// The key that lies beside the runs, where there is one.
    fn reports_key(&self) -> Option<PiiKey> {
        let reports = self.options.reports.clone().unwrap_or_else(|| self.configuration.run.reports.clone());
        let there = reports.is_dir().then(|| history::personal_key(&reports).ok()).flatten();
        there.map(|(secret, _)| PiiKey::of(&secret))
    }
}

/// What a receipt's digests of personal values are keyed with.
pub(super) fn digest_key(reports: &Path, call: &Call<'_>, touched: &[&Chosen<'_>]) -> Result<[u8; 32], Failure> {
    if touched.iter().any(|one| one.contract.has_pii()) { any_key(reports, call) } else { Ok([0; 32]) }
}

/// The key of digests of personal data: the contract file's, or the one beside the runs.
pub(super) fn any_key(reports: &Path, call: &Call<'_>) -> Result<[u8; 32], Failure> {
    if let Some(key) = configured_key(call) {
        return Ok(*key.bytes());
    }
    if !call.configuration.contracts.iter().any(|contract| contract.has_pii()) {
        return Ok([0; 32]);
    }
    let (secret, _) = history::personal_key(reports)
        .map_err(|error| Failure::path(reports, "the key of personal data cannot be read", &error))?;
    Ok(*PiiKey::of(&secret).bytes())
}

/// Keeps the values of the actions that are wanted.
struct Reveal {
    wanted: BTreeSet<String>,
    found: BTreeMap<String, Given>,
}

impl Recorder for Reveal {
    fn divergence(&mut self, _: &str, _: &Divergence) -> io::Result<()> {
        Ok(())
    }

    fn action(&mut self, _: &Action) -> io::Result<()> {
        Ok(())
    }

    fn reveals(&self) -> bool {
        true
    }

    fn revealed(&mut self, written: &Action, clear: &Action) {
        if !self.wanted.contains(&written.action_id) {
            return;
        }
        let mut line = Vec::new();
        let text = report::plan::write_action(clear, &mut line).ok().and_then(|()| String::from_utf8(line).ok());
        if let Some(action) = text.and_then(|text| Given::parse(&text).ok()) {
            self.found.insert(written.action_id.clone(), action);
        }
    }
}

/// Looks whether touched keys still diverge in what was written.
#[derive(Default)]
struct Watch {
    keys: BTreeMap<(String, String), BTreeSet<String>>,
    diverge: BTreeSet<(String, String)>,
}

impl Recorder for Watch {
    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        let Some(key) = &divergence.key else { return Ok(()) };
        let place = (contract.to_owned(), key.to_string());
        let touched = self
            .keys
            .get(&place)
            .is_some_and(|attributes| divergence.attribute.as_deref().is_none_or(|name| attributes.contains(name)));
        if touched {
            self.diverge.insert(place);
        }
        Ok(())
    }

    fn action(&mut self, _: &Action) -> io::Result<()> {
        Ok(())
    }
}
