//! Judges a difference into a divergence: kind, severity, and the reason that set it.
//!
//! It is the policy as a flat list, first match wins. It never reads the clock, never looks at other rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::{Map, Value};

use crate::contract::{Contract, Kind, Severity};
use crate::diff::resolve::{Difference, RowAt, Rows, fault_at};
use crate::normalise::{Binding, FaultReason, SchemaDifference, SchemaReason, canonical_json, show};
use crate::sides::{Side, Sides};

pub mod explain;

/// What judgement rests on, besides the difference itself.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// The policy.
    pub contract: &'a Contract,
    /// The attributes as they were compared.
    pub binding: &'a Binding,
    /// The rows that differences point into.
    pub rows: &'a Sides<Rows>,
}

/// Judges one difference: a pair gives one divergence for each differing attribute, all else gives one.
#[must_use]
pub fn judge(bench: Bench<'_>, difference: &Difference) -> Vec<Divergence> {
    match difference {
        Difference::Unpaired { side, row, fault } => {
            let kind = match side {
                Side::Authority => Kind::Missing,
                Side::Projection => Kind::Orphan,
            };
            vec![bench.of_row(kind, *side, *row, Sides::default(), *fault)]
        }
        Difference::Differ { rows, attributes } => {
            attributes.iter().map(|&attribute| bench.of_attribute(*rows, attribute)).collect()
        }
        Difference::DuplicateKey { counts, side, row } => {
            let values = counts.map(|_, count| Some(count.to_string().into_boxed_str()));
            vec![bench.of_row(Kind::DuplicateKey, *side, *row, values, None)]
        }
        Difference::NullKey { side, row } => {
            // Which side the row is on shows in whose count is there.
            let mut values = Sides::default();
            *values.get_mut(*side) = Some("1".into());
            vec![bench.of_row(Kind::NullKey, *side, *row, values, None)]
        }
    }
}

/// Judges a column that could not be compared.
#[must_use]
pub fn judge_schema(contract: &Contract, difference: &SchemaDifference) -> Divergence {
    let attribute: Arc<str> = difference.attribute.as_str().into();
    let (severity, reason) = severity(contract, Kind::Schema, Some(&attribute));
    let mut values = difference.types.as_ref().map(|_, shown| shown.as_deref().map(Box::from));
    if difference.reason == SchemaReason::ZoneUnknown {
        values = values.map(|_, shown: Option<Box<str>>| shown.map(|text| format!("{text}, zone unknown").into()));
    }
    Divergence {
        kind: Kind::Schema,
        severity,
        reason,
        key: None,
        fingerprint: fingerprint(contract, Kind::Schema, None, Some(&attribute)),
        attribute: Some(attribute),
        values,
        authority_source: contract.sources.authority.name.as_str().into(),
    }
}

/// Judges a row or range that could not be read. The place and the problem stand as the value of its side.
#[must_use]
pub fn judge_unreadable(contract: &Contract, side: Side, place: &str, problem: &str) -> Divergence {
    let (severity, reason) = severity(contract, Kind::Unreadable, None);
    let mut values = Sides::default();
    *values.get_mut(side) = Some(format!("{place}: {problem}").into());
    Divergence {
        kind: Kind::Unreadable,
        severity,
        reason,
        key: None,
        attribute: None,
        values,
        authority_source: contract.sources.authority.name.as_str().into(),
        fingerprint: fingerprint(contract, Kind::Unreadable, Some(place), None),
    }
}

impl Bench<'_> {
    fn of_row(
        self,
        kind: Kind,
        side: Side,
        row: RowAt,
        values: Sides<Option<Box<str>>>,
        fault: Option<FaultReason>,
    ) -> Divergence {
        let key = self.key(side, row);
        let (severity, reason) = severity(self.contract, kind, None);
        Divergence {
            kind,
            severity,
            reason: fault.map_or(reason, Reason::Value),
            fingerprint: fingerprint(self.contract, kind, Some(&key), None),
            key: Some(key),
            attribute: None,
            values,
            authority_source: self.contract.sources.authority.name.as_str().into(),
        }
    }

    fn of_attribute(self, rows: Sides<RowAt>, index: usize) -> Divergence {
        let attribute: Arc<str> = self.binding.attributes[index].name.as_str().into();
        let key = self.key(Side::Authority, rows.authority);
        let (severity, reason) = severity(self.contract, Kind::Mismatch, Some(&attribute));
        let fault = Side::BOTH.into_iter().find_map(|side| {
            let at = *rows.get(side);
            fault_at(&self.rows.get(side).canonical[at.batch].columns[index], at.row)
        });
        let values = rows.map(|side, at| {
            let raw: &RecordBatch = &self.rows.get(side).raw[at.batch];
            show(self.binding, side, index, raw, at.row).map(String::into_boxed_str)
        });
        Divergence {
            kind: Kind::Mismatch,
            severity,
            reason: fault.map_or(reason, Reason::Value),
            fingerprint: fingerprint(self.contract, Kind::Mismatch, Some(&key), Some(&attribute)),
            key: Some(key),
            attribute: Some(attribute),
            values,
            authority_source: self.contract.sources.authority.name.as_str().into(),
        }
    }

    /// The key as JSON object text; without a key the whole row identifies itself.
    pub(crate) fn key(self, side: Side, at: RowAt) -> Box<str> {
        let count = if self.binding.key_count == 0 { self.binding.attributes.len() } else { self.binding.key_count };
        let canonical = &self.rows.get(side).canonical[at.batch];
        let mut object = Map::new();
        for (attribute, column) in self.binding.attributes.iter().zip(&canonical.columns).take(count) {
            let value = match column.faults.binary_search_by(|fault| (fault.row as usize).cmp(&at.row)) {
                Ok(found) => Value::String(column.faults[found].shown.to_string()),
                Err(_) => canonical_json(&attribute.comparison, column, at.row),
            };
            object.insert(attribute.name.clone(), value);
        }
        Value::Object(object).to_string().into_boxed_str()
    }
}

/// What a divergence costs and what says so. First match wins.
fn severity(contract: &Contract, kind: Kind, attribute: Option<&Arc<str>>) -> (Severity, Reason) {
    if let Some(name) = attribute.filter(|_| kind == Kind::Mismatch) {
        let declared = contract.attributes.iter().find(|declared| *declared.name == **name);
        if let Some(severity) = declared.and_then(|declared| declared.severity) {
            return (severity, Reason::Attribute(Arc::clone(name)));
        }
    }
    if let Some(&severity) = contract.severity.get(&kind) {
        return (severity, Reason::Kind(kind));
    }
    (kind.default_severity(), Reason::Default)
}

/// BLAKE3 over contract name, major version, kind, key and attribute, each after its length in eight bytes (an absent one is
/// all ones): stable across runs, and no two sequences of parts share their bytes.
fn fingerprint(contract: &Contract, kind: Kind, key: Option<&str>, attribute: Option<&str>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let major = contract.version.major.to_string();
    for part in [Some(contract.name.as_str()), Some(&major), Some(kind.name()), key, attribute] {
        hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default().as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// One disagreement, judged. Kinds of pairs have one for each differing attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// What it is.
    pub kind: Kind,
    /// What it costs.
    pub severity: Severity,
    /// What set the severity, and for values that need it, why they differ.
    pub reason: Reason,
    /// The key as JSON object text, canonical; None for `schema` and `unreadable`.
    pub key: Option<Box<str>>,
    /// The attribute, for pairs and columns.
    pub attribute: Option<Arc<str>>,
    /// Both values as they stand; None for NULL or absent. For `duplicate_key` the counts of rows.
    pub values: Sides<Option<Box<str>>>,
    /// The authority source of the attribute.
    pub authority_source: Arc<str>,
    /// Stable across runs.
    pub fingerprint: [u8; 32],
}

/// Why a divergence has its severity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// `rule:NAME`
    Rule(Arc<str>),
    /// `attribute:NAME`
    Attribute(Arc<str>),
    /// `kind:NAME`
    Kind(Kind),
    /// `default`
    Default,
    /// `unparseable`, `out_of_type`, `ambiguous_time`: the value itself is why.
    Value(FaultReason),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(name) => write!(formatter, "rule:{name}"),
            Self::Attribute(name) => write!(formatter, "attribute:{name}"),
            Self::Kind(kind) => write!(formatter, "kind:{}", kind.name()),
            Self::Default => formatter.write_str("default"),
            Self::Value(FaultReason::Unparseable) => formatter.write_str("unparseable"),
            Self::Value(FaultReason::OutOfType) => formatter.write_str("out_of_type"),
            Self::Value(FaultReason::AmbiguousTime) => formatter.write_str("ambiguous_time"),
        }
    }
}
