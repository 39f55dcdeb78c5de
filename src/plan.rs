//! Drafts the repair of a divergence: what would be done, what it rests on, how safe it is. It only makes values;
//! writing them anywhere is `apply`'s business.

use serde_json::{Map, Value, json};

use crate::classify::Bench;
use crate::contract::{Kind, Repair};
use crate::diff::resolve::{Again, Difference, RowAt, fault_at};
use crate::normalise::{Comparison, FaultReason, canonical_json, canonical_text, local_time, owned_value, show};
use crate::sides::{Side, Sides};

mod lag;

/// Whether all rows of each side could be read: what is not known to be absent is not inserted or deleted.
pub type Complete = Sides<bool>;

/// Drafts the repair of one difference, or two where a pair's attributes differ in who may repair them (one for each safety).
#[must_use]
pub fn draft(bench: Bench<'_>, difference: &Difference, complete: Complete) -> Vec<Action> {
    let mut actions = draft_of(bench, difference, complete);
    if bench.again(difference) == Some(Again::Unstable) {
        actions.iter_mut().for_each(Action::distrust);
    }
    actions
}

fn draft_of(bench: Bench<'_>, difference: &Difference, complete: Complete) -> Vec<Action> {
    if let Some(actions) = lag::draft(bench, difference, complete) {
        return actions;
    }
    match difference {
        Difference::Unpaired { side: Side::Authority, row, fault } => {
            bench.insert(Kind::Missing, *row, fault.is_some(), complete)
        }
        Difference::Unpaired { side: Side::Projection, row, fault } => bench.delete(*row, fault.is_some(), complete),
        Difference::Differ { rows, attributes } => bench.update(Kind::Mismatch, *rows, attributes),
        // Drafted above, whichever side has it.
        Difference::Tombstone { .. } => Vec::new(),
        Difference::DuplicateKey { side, row, .. } => {
            bench.by_hand(Kind::DuplicateKey, *side, *row, "the key does not say which of its rows is meant")
        }
        Difference::NullKey { side, row } => {
            bench.by_hand(Kind::NullKey, *side, *row, "a row without a whole key cannot be addressed")
        }
    }
}

/// What the reason of an action says where the authority has no value to write.
const NOT_KNOWN: &str = "is not known";

/// Whether an action of this reason is a person's because the authority has no value to write, whatever is decided.
#[must_use]
pub fn lacks_value(reason: &str) -> bool {
    reason.contains(NOT_KNOWN)
}

/// What the contract says of a repair.
struct Consent {
    op: Option<Op>,
    safety: Safety,
    reason: String,
}

impl Bench<'_> {
    fn consent(self, kind: Kind, attribute: Option<&str>) -> Option<Consent> {
        let declared = attribute.and_then(|name| self.contract.attributes.iter().find(|one| one.name == name));
        let by_attribute =
            declared.and_then(|one| one.repair.map(|repair| (repair, format!("attribute:{}", one.name))));
        let by_kind = self.contract.repair.kinds.get(&kind).map(|&repair| (repair, format!("kind:{}", kind.name())));
        let (repair, said) = by_attribute.or(by_kind).unwrap_or((Repair::Review, "default".to_owned()));
        let (op, safety) = match repair {
            // A delete is never safe by default, and never becomes safe by a general word: only `review` at best.
            Repair::Auto if matches!(kind, Kind::Orphan | Kind::Resurrected) => (None, Safety::Review),
            Repair::Auto => (None, Safety::Safe),
            Repair::Review => (None, Safety::Review),
            Repair::Replay => (Some(Op::Replay), Safety::Review),
            Repair::Ignore => return None,
        };
        Some(Consent { op, safety, reason: format!("repair {} ({said})", repair_name(repair)) })
    }

    fn insert(self, kind: Kind, row: RowAt, faulted: bool, complete: Complete) -> Vec<Action> {
        if faulted || self.binding.key_count == 0 {
            return self.by_hand(kind, Side::Authority, row, "the row cannot be addressed by a key");
        }
        let columns = &self.rows.authority.canonical[row.batch].columns;
        if let Some(index) = columns.iter().position(|column| fault_at(column, row.row).is_some()) {
            let why = format!("the value of `{}` {NOT_KNOWN}", self.binding.attributes[index].name);
            return self.by_hand(Kind::Missing, Side::Authority, row, &why);
        }
        if !complete.projection {
            let why = "not all of the projection could be read, so the row may be there";
            return self.by_hand(kind, Side::Authority, row, why);
        }
        let Some(consent) = self.consent(kind, None) else { return Vec::new() };
        let after = self.object(0..self.binding.attributes.len(), |index| self.expected(row, index));
        let guard = json!({ "row": "absent" });
        let op = consent.op.unwrap_or(Op::Insert);
        vec![self.action(kind, op, self.key(Side::Authority, row), (None, Some(after), Some(guard)), consent)]
    }

    fn delete(self, row: RowAt, faulted: bool, complete: Complete) -> Vec<Action> {
        if faulted || self.binding.key_count == 0 {
            return self.by_hand(Kind::Orphan, Side::Projection, row, "the row cannot be addressed by a key");
        }
        if !complete.authority {
            let why = "not all of the authority could be read, so its row may be there";
            return self.by_hand(Kind::Orphan, Side::Projection, row, why);
        }
        let Some(consent) = self.consent(Kind::Orphan, None) else { return Vec::new() };
        let before = self.object(0..self.binding.attributes.len(), |index| self.seen(row, index));
        let guard = json!({ "row": "present", "values": before });
        let op = consent.op.unwrap_or(Op::Delete);
        vec![self.action(Kind::Orphan, op, self.key(Side::Projection, row), (Some(before), None, Some(guard)), consent)]
    }

    fn update(self, kind: Kind, rows: Sides<RowAt>, attributes: &[usize]) -> Vec<Action> {
        let mut by_consent: Vec<(Consent, Vec<usize>)> = Vec::new();
        for &index in attributes {
            let Some(mut consent) = self.consent(kind, Some(&self.binding.attributes[index].name)) else {
                continue;
            };
            let column = &self.rows.authority.canonical[rows.authority.batch].columns[index];
            if let Some(fault) = fault_at(column, rows.authority.row) {
                let reason = match fault {
                    FaultReason::Unparseable | FaultReason::OutOfType | FaultReason::AmbiguousTime => {
                        "the authority's value cannot be brought to the attribute's type".to_owned()
                    }
                    of_owner => format!("the owner's value {NOT_KNOWN} ({})", of_owner.name()),
                };
                consent = Consent { op: Some(Op::Review), safety: Safety::Manual, reason };
            }
            match by_consent.iter_mut().find(|(one, _)| (one.op, one.safety) == (consent.op, consent.safety)) {
                Some((_, same)) => same.push(index),
                None => by_consent.push((consent, vec![index])),
            }
        }
        let key = self.key(Side::Authority, rows.authority);
        by_consent
            .into_iter()
            .map(|(consent, same)| {
                let before = self.object(same.iter().copied(), |index| self.seen(rows.projection, index));
                let manual = consent.safety == Safety::Manual;
                let after =
                    (!manual).then(|| self.object(same.iter().copied(), |index| self.expected(rows.authority, index)));
                let guard = (!manual).then(|| self.present(rows, &before));
                let op = consent.op.unwrap_or(Op::Update);
                self.action(kind, op, key.clone(), (Some(before), after, guard), consent)
            })
            .collect()
    }

    fn by_hand(self, kind: Kind, side: Side, row: RowAt, why: &str) -> Vec<Action> {
        if self.contract.repair.kinds.get(&kind) == Some(&Repair::Ignore) {
            return Vec::new();
        }
        let consent = Consent { op: Some(Op::Review), safety: Safety::Manual, reason: why.to_owned() };
        vec![self.action(kind, Op::Review, self.key(side, row), (None, None, None), consent)]
    }

    fn action(self, kind: Kind, op: Op, key: Box<str>, change: Change, consent: Consent) -> Action {
        let (before, after, guard) = change;
        let mut hasher = blake3::Hasher::new();
        let shown = |value: &Option<Value>| value.as_ref().map_or(String::new(), Value::to_string);
        for part in [&*self.contract.name, &*key, op.name(), &shown(&before), &shown(&after)] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Action {
            action_id: hasher.finalize().to_hex()[..32].to_owned(),
            contract: self.contract.name.clone(),
            kind,
            op,
            key,
            before,
            after,
            guard,
            safety: consent.safety,
            reason: consent.reason,
        }
    }

    fn object(self, attributes: impl Iterator<Item = usize>, value: impl Fn(usize) -> Value) -> Value {
        let members: Map<String, Value> =
            attributes.map(|index| (self.binding.attributes[index].name.clone(), value(index))).collect();
        Value::Object(members)
    }

    /// What the projection ought to hold: the authority's value, translated, before what makes unlike values alike.
    fn expected(self, row: RowAt, index: usize) -> Value {
        let column = &self.rows.authority.canonical[row.batch].columns[index];
        let attribute = &self.binding.attributes[index];
        let comparison = &attribute.comparison;
        let owned = || owned_value(self.binding, index, &self.rows.authority.raw[row.batch], row.row);
        match comparison {
            Comparison::Boolean => canonical_json(comparison, column, row.row),
            Comparison::Integer if attribute.options.round.is_none() => canonical_json(comparison, column, row.row),
            _ => {
                let text = owned().or_else(|| canonical_text(comparison, column, row.row));
                let local = text.as_deref().and_then(|text| local_time(attribute, text));
                local.or(text).map_or(Value::Null, Value::String)
            }
        }
    }

    /// The guard of a pair. Where the projection spells the key otherwise than it compares, the spelling is part of it.
    fn present(self, rows: Sides<RowAt>, before: &Value) -> Value {
        let key = 0..self.binding.key_count;
        let canonical = &self.rows.authority.canonical[rows.authority.batch].columns;
        let spelled_alike = key.clone().all(|index| {
            let comparison = &self.binding.attributes[index].comparison;
            let text = canonical_text(comparison, &canonical[index], rows.authority.row);
            let seen = match self.seen(rows.projection, index) {
                Value::String(seen) => Some(seen),
                Value::Null => None,
                other => Some(other.to_string()),
            };
            seen == text
        });
        if spelled_alike {
            return json!({ "row": "present", "values": before });
        }
        let key = self.object(key, |index| self.seen(rows.projection, index));
        json!({ "row": "present", "key": key, "values": before })
    }

    /// What the projection holds, as it stands.
    fn seen(self, row: RowAt, index: usize) -> Value {
        let rows = &self.rows.projection;
        let comparison = &self.binding.attributes[index].comparison;
        let column = &rows.canonical[row.batch].columns[index];
        let faulted = fault_at(column, row.row).is_some();
        match comparison {
            Comparison::Boolean | Comparison::Integer if !faulted => canonical_json(comparison, column, row.row),
            _ => show(self.binding, Side::Projection, index, &rows.raw[row.batch], row.row)
                .map_or(Value::Null, Value::String),
        }
    }
}

/// Before, after, guard.
type Change = (Option<Value>, Option<Value>, Option<Value>);

fn repair_name(repair: Repair) -> &'static str {
    match repair {
        Repair::Auto => "auto",
        Repair::Review => "review",
        Repair::Replay => "replay",
        Repair::Ignore => "ignore",
    }
}

/// One repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// BLAKE3 over contract, key, op, before and after, in hex, cut to 32 digits.
    pub action_id: String,
    /// The contract.
    pub contract: String,
    /// The divergence that it answers.
    pub kind: Kind,
    /// What would be done in the projection.
    pub op: Op,
    /// The key as JSON object text, canonical.
    pub key: Box<str>,
    /// Attributes as they were seen in the projection (JSON object), None where there is no such row.
    pub before: Option<serde_json::Value>,
    /// Attributes as they ought to be in the projection (JSON object), None for a delete or a review.
    pub after: Option<serde_json::Value>,
    /// What must still hold when it is done, as a JSON object: `{"row": "absent"}` or `{"row": "present", "values": {…}}`.
    pub guard: Option<serde_json::Value>,
    /// Who may do it.
    pub safety: Safety,
    /// Why it has this safety, as a sentence part.
    pub reason: String,
}

impl Action {
    /// Asks for a look first, because the row kept changing.
    fn distrust(&mut self) {
        if self.safety == Safety::Safe {
            self.safety = Safety::Review;
            self.reason.push_str("; the row kept changing while it was looked at again");
        }
    }
}

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// Add the row.
    Insert,
    /// Change attributes.
    Update,
    /// Remove the row.
    Delete,
    /// Ask the owner to send it again.
    Replay,
    /// Ask a person.
    Review,
}

impl Op {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Replay => "replay",
            Self::Review => "review",
        }
    }
}

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// The contract calls it auto and the guard covers it.
    Safe,
    /// After a person has looked.
    Review,
    /// Only by a person.
    Manual,
}

impl Safety {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Review => "review",
            Self::Manual => "manual",
        }
    }
}
