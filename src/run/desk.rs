//! Where people's decisions meet the divergences of a run: which hold, what of them drifts no more, which actions they change.
//!
//! A decision is found by the fingerprint of its divergence and holds only while the rows are what they were. It takes nothing
//! out of any count or file but the actions; it only says which keys the verdict leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::privacy::Privacy;
use crate::audit::decision::{Choice, Decided, Decisions, Standing};
use crate::classify::{Bench, Divergence, kind_of};
use crate::contract::{Attribute, Contract, Options, Origin, Repair, Severity};
use crate::diff::resolve::{Again, Difference, RowAt};
use crate::digest::{Encoded, encode};
use crate::plan::{Action, Complete, Op, Safety, draft};
use crate::sides::{Side, Sides};

/// Keys by the worst severity of all their divergences, and by that of those that were not decided away.
pub(super) type Relieved = BTreeMap<(Severity, Option<Severity>), u64>;

/// Where decisions are looked up.
pub(super) struct Desk {
    decisions: Arc<Decisions>,
    privacy: Arc<Privacy>,
    began: Timestamp,
    /// Whether what the rows were is written.
    keeps: bool,
}

/// What was decided of one difference, a standing for each of its divergences.
pub(super) struct Ruled<'a>(Vec<Standing<'a>>);

impl Desk {
    pub(super) fn new(decisions: &Arc<Decisions>, privacy: Arc<Privacy>, began: Timestamp, keeps: bool) -> Self {
        Self { decisions: Arc::clone(decisions), privacy, began, keeps }
    }

    /// Whether nothing at all was decided.
    pub(super) fn is_empty(&self) -> bool {
        self.decisions.0.is_empty()
    }

    /// Says what the rows of each divergence were, and what was decided of it.
    pub(super) fn rule(
        &self,
        bench: Bench<'_>,
        difference: &Difference,
        divergences: &mut [Divergence],
        encoded: &mut Encoded,
    ) -> Ruled<'_> {
        if self.is_empty() && !self.keeps {
            return Ruled(Vec::new());
        }
        for divergence in divergences.iter_mut() {
            let digest = row_digest(bench, difference, divergence.attribute.as_deref(), encoded);
            divergence.row_digest = digest.map(|digest| self.privacy.row_digest(digest));
        }
        if self.is_empty() {
            return Ruled(Vec::new());
        }
        let standing = |divergence: &Divergence| {
            let fingerprint = self.privacy.fingerprint(divergence);
            self.decisions.standing(&fingerprint, divergence.row_digest.as_ref(), self.began)
        };
        Ruled(divergences.iter().map(standing).collect())
    }
}

impl Ruled<'_> {
    fn of(&self, index: usize) -> Standing<'_> {
        self.0.get(index).copied().unwrap_or(Standing::Open)
    }

    fn choice(&self, index: usize) -> Option<Choice> {
        match self.of(index) {
            Standing::Holds(decision) => Some(decision.choice),
            _ => None,
        }
    }

    /// Whether a divergence drifts its contract no more.
    pub(super) fn away(&self, index: usize) -> bool {
        self.choice(index).is_some_and(Choice::away)
    }

    /// Adds what was decided to the counts.
    pub(super) fn count(&self, divergences: &[Divergence], decided: &mut Decided, relieved: &mut Relieved) {
        self.0.iter().for_each(|standing| decided.note(*standing));
        let left = divergences.iter().enumerate().filter(|(index, _)| !self.away(*index));
        let left = left.map(|(_, divergence)| divergence.severity).max();
        let worst = divergences.iter().map(|divergence| divergence.severity).max();
        if let Some(worst) = worst.filter(|worst| Some(*worst) != left) {
            *relieved.entry((worst, left)).or_default() += 1;
        }
    }

    /// Drafts the repair as people decided: none of what they left as it is, and a safe one of what they gave free.
    pub(super) fn draft(
        &self,
        bench: Bench<'_>,
        difference: &Difference,
        divergences: &[Divergence],
        complete: Complete,
    ) -> Vec<Action> {
        if (0..divergences.len()).all(|index| self.choice(index).is_none()) {
            return draft(bench, difference, complete);
        }
        let named = |wanted: fn(Choice) -> bool| -> BTreeSet<&str> {
            let of = |index: &usize| self.choice(*index).is_some_and(wanted);
            (0..divergences.len()).filter(of).filter_map(|index| divergences[index].attribute.as_deref()).collect()
        };
        let freed = named(|choice| choice == Choice::AcceptAuthority);
        let held = named(|choice| choice != Choice::AcceptAuthority);
        let contract;
        let actions = match difference {
            Difference::Differ { rows, attributes } => {
                let name = |index: &usize| bench.binding.attributes[*index].name.as_str();
                let left: Vec<usize> = attributes.iter().copied().filter(|index| !held.contains(name(index))).collect();
                if left.is_empty() {
                    return Vec::new();
                }
                contract = repairing(bench.contract, &freed);
                let rest = Difference::Differ { rows: *rows, attributes: left.into() };
                draft(Bench { contract: &contract, ..bench }, &rest, complete)
            }
            _ if self.choice(0) == Some(Choice::AcceptAuthority) => {
                let mut own = bench.contract.clone();
                for kind in [kind_of(difference), divergences[0].kind] {
                    own.repair.kinds.insert(kind, Repair::Auto);
                }
                contract = own;
                draft(Bench { contract: &contract, ..bench }, difference, complete)
            }
            _ => Vec::new(),
        };
        // What keeps changing is freed by nobody.
        let unstable = bench.again(difference) == Some(Again::Unstable);
        actions.into_iter().map(|action| if unstable { action } else { self.freed(action, &freed) }).collect()
    }

    /// An action that a person gave free under its own guard.
    fn freed(&self, mut action: Action, freed: &BTreeSet<&str>) -> Action {
        let touches = |name: &&str| action.after.as_ref().is_some_and(|after| after.get(*name).is_some());
        if !freed.is_empty() && !freed.iter().any(touches) {
            return action;
        }
        let who: BTreeSet<&str> = self.0.iter().filter_map(|standing| freed_by(*standing)).collect();
        if action.op == Op::Delete && action.safety == Safety::Review && action.guard.is_some() {
            action.safety = Safety::Safe;
        }
        if action.safety == Safety::Safe && !who.is_empty() {
            let who: Vec<&str> = who.into_iter().collect();
            action.reason = format!("{} by {}", Choice::AcceptAuthority.name(), who.join(", "));
        }
        action
    }
}

fn freed_by(standing: Standing<'_>) -> Option<&str> {
    match standing {
        Standing::Holds(decision) if decision.choice == Choice::AcceptAuthority => Some(&decision.who),
        _ => None,
    }
}

/// The contract, with these attributes repaired without a person.
fn repairing(contract: &Contract, attributes: &BTreeSet<&str>) -> Contract {
    let mut contract = contract.clone();
    for name in attributes {
        match contract.attributes.iter_mut().find(|attribute| attribute.name == *name) {
            Some(attribute) => attribute.repair = Some(Repair::Auto),
            None => contract.attributes.push(Attribute {
                name: (*name).to_owned(),
                column: Vec::new(),
                origin: Origin::default(),
                projected_as: Vec::new(),
                options: Options::default(),
                severity: None,
                repair: Some(Repair::Auto),
                pii: None,
            }),
        }
    }
    contract
}

/// A digest of what a divergence is about: of a pair the attribute on both sides, of a row all of it, of a key that occurs
/// more than once the counts. None of rows that a later run could not know again: without a key that is whole.
fn row_digest(
    bench: Bench<'_>,
    difference: &Difference,
    attribute: Option<&str>,
    encoded: &mut Encoded,
) -> Option<[u8; 32]> {
    if bench.binding.key_count == 0 {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    let mut add = |side: Side, at: RowAt, column: Option<usize>| {
        let columns = &bench.rows.get(side).canonical[at.batch].columns;
        let columns = column.map_or(columns.as_slice(), |index| &columns[index..=index]);
        encode(columns, side, at.row..at.row + 1, encoded);
        let bytes = encoded.row(0);
        hasher.update(side.name().as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    };
    match difference {
        Difference::Unpaired { side, row, fault: None } => add(*side, *row, None),
        Difference::Differ { rows, attributes } => {
            let named = |index: &&usize| Some(bench.binding.attributes[**index].name.as_str()) == attribute;
            let column = attributes.iter().find(named).copied();
            rows.iter().for_each(|(side, at)| add(side, *at, column));
        }
        Difference::Tombstone { rows, .. } => rows.iter().for_each(|(side, at)| add(side, *at, None)),
        Difference::DuplicateKey { counts: Sides { authority, projection }, .. } => {
            hasher.update(&authority.to_le_bytes()).update(&projection.to_le_bytes());
        }
        Difference::Unpaired { fault: Some(_), .. } | Difference::NullKey { .. } => return None,
    }
    Some(*hasher.finalize().as_bytes())
}

/// Keys by the worst severity of what was not decided away.
pub(super) fn open(keys: &BTreeMap<Severity, u64>, relieved: &Relieved) -> BTreeMap<Severity, u64> {
    let mut open = keys.clone();
    for ((worst, left), keys) in relieved {
        *open.entry(*worst).or_default() -= keys;
        if let Some(left) = left {
            *open.entry(*left).or_default() += keys;
        }
    }
    open.retain(|_, keys| *keys > 0);
    open
}

/// Why a contract agrees although it diverges.
pub(super) fn decided_away(decided: &Decided) -> String {
    let mut by: BTreeMap<&str, u64> = BTreeMap::new();
    for (group, divergences) in decided.groups.iter().filter(|(group, _)| group.choice.away()) {
        *by.entry(&group.who).or_default() += divergences;
    }
    let named: Vec<&str> = by.keys().copied().take(3).collect();
    let others = if by.len() > named.len() { " and others" } else { "" };
    let (count, verb) = match decided.away() {
        1 => ("1 divergence".to_owned(), "was"),
        away => (format!("{away} divergences"), "were"),
    };
    format!(
        "{count} {verb} decided away by {}{others}, and what else diverges is within what the contract allows",
        named.join(", ")
    )
}

/// What is worth a word of decisions that hold no more.
pub(super) fn lapsed(decided: &Decided) -> Vec<String> {
    let counted = |count: u64| if count == 1 { "1 divergence".to_owned() } else { format!("{count} divergences") };
    let mut said = Vec::new();
    if decided.lapsed > 0 {
        said.push(format!(
            "what was decided of {} holds no more, because the rows have changed since: `reconcile review export` hands them out again",
            counted(decided.lapsed)
        ));
    }
    if decided.ran_out > 0 {
        said.push(format!(
            "what was ignored until a day counts again, because the day has come: {}",
            counted(decided.ran_out)
        ));
    }
    said
}
