//! Judges a difference into a divergence: kind, severity, and the reason that set it.
//!
//! It is the policy as a flat list, first match wins. It never reads the clock, never looks at other rows.

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::Value;

use crate::contract::{Contract, Kind, Severity};
use crate::diff::resolve::{Again, Difference, RowAt, Rows, fault_at};
use crate::normalise::{
    Binding, BoundAttribute, FaultReason, SchemaDifference, SchemaReason, show, show_each, small_integer,
    write_canonical_json,
};
use crate::sides::{Side, Sides};

pub mod explain;
mod lag;

pub use lag::{Behind, Pace};
mod rule;

pub use rule::{judge_by_rules, rule};

/// What judgement rests on, besides the difference itself.
#[derive(Clone, Copy, Debug)]
pub struct Bench<'a> {
    /// The policy.
    pub contract: &'a Contract,
    /// The attributes as they were compared.
    pub binding: &'a Binding,
    /// The rows that differences point into.
    pub rows: &'a Sides<Rows>,
    /// The policy, looked up.
    pub scale: &'a Scale,
}

/// What the policy says of each kind and attribute, and the texts that many divergences share. One for a comparison.
#[derive(Debug)]
pub struct Scale {
    kinds: Vec<(Kind, Severity, Reason)>,
    attributes: Vec<Attribute>,
    authority_source: Arc<str>,
    /// What fingerprints begin with.
    prefix: Vec<u8>,
    /// What markers are judged by, where the contract has any.
    pace: Option<Pace>,
    /// The same for what a second look saw.
    pace_again: Option<Pace>,
    by_difference: bool,
}

/// What is the same for all divergences of one attribute.
#[derive(Debug)]
struct Attribute {
    name: Arc<str>,
    /// As a member of a JSON object, with the colon.
    member: String,
    severity: Severity,
    reason: Reason,
    /// The source that owns it.
    owner: Arc<str>,
}

impl Scale {
    /// Looks the policy up.
    #[must_use]
    pub fn new(contract: &Contract, binding: &Binding) -> Self {
        let kinds = Kind::ALL.map(|kind| {
            let (severity, reason) = severity(contract, kind, None);
            (kind, severity, reason)
        });
        let attribute = |attribute: &BoundAttribute| {
            let name: Arc<str> = attribute.name.as_str().into();
            let (severity, reason) = severity(contract, Kind::Mismatch, Some(&name));
            let owner = owner(contract, &name);
            Attribute { member: format!("{}:", Value::from(attribute.name.as_str())), name, severity, reason, owner }
        };
        Self {
            kinds: kinds.into(),
            attributes: binding.attributes.iter().map(attribute).collect(),
            authority_source: contract.sources.authority.name.as_str().into(),
            prefix: fingerprint_prefix(contract),
            by_difference: contract.controls.rules.is_empty()
                && contract.controls.value_at_risk.is_none()
                && contract.recheck.is_none(),
            pace: None,
            pace_again: None,
        }
    }

    /// The same for a contract that has markers or tombstones.
    #[must_use]
    pub fn with_pace(self, pace: Option<Pace>) -> Self {
        Self { pace, pace_again: pace, ..self }
    }

    /// The same where a second look was taken, whose rows are of a later instant.
    #[must_use]
    pub fn with_pace_again(self, pace: impl FnOnce(&Pace) -> Pace) -> Self {
        Self { pace_again: self.pace_again.as_ref().map(pace), ..self }
    }

    /// What the markers of a difference are judged by, where the contract has any.
    #[must_use]
    fn pace(&self, again: Option<Again>) -> Option<&Pace> {
        let seen_again = matches!(again, Some(Again::Stands | Again::Unstable));
        if seen_again { self.pace_again.as_ref() } else { self.pace.as_ref() }
    }

    /// Whether a difference alone tells kind and severity of its lines, so that they can be counted without being made.
    #[must_use]
    pub fn by_difference(&self) -> bool {
        self.by_difference && self.pace.is_none()
    }

    fn of_kind(&self, kind: Kind) -> (Severity, &Reason) {
        let found = self.kinds.iter().find(|(of, ..)| *of == kind);
        let (_, severity, reason) = found.expect("every kind is looked up");
        (*severity, reason)
    }

    /// The severity of each line that a difference gives.
    pub fn severities(&self, difference: &Difference) -> impl Iterator<Item = Severity> {
        let (of_row, attributes): (_, &[usize]) = match difference {
            Difference::Differ { attributes, .. } => (None, attributes),
            other => (Some(self.of_kind(kind_of(other)).0), &[]),
        };
        of_row.into_iter().chain(attributes.iter().map(|&attribute| self.attributes[attribute].severity))
    }

    /// The attribute of each line that a difference gives.
    pub fn attributes<'d>(&'d self, difference: &'d Difference) -> impl Iterator<Item = Option<&'d Arc<str>>> {
        let (of_row, attributes): (_, &[usize]) = match difference {
            Difference::Differ { attributes, .. } => (None, attributes),
            _ => (Some(None), &[]),
        };
        of_row.into_iter().chain(attributes.iter().map(|&attribute| Some(&self.attributes[attribute].name)))
    }
}

/// What a difference is without markers.
#[must_use]
pub fn kind_of(difference: &Difference) -> Kind {
    match difference {
        Difference::Unpaired { side: Side::Authority, .. } | Difference::Tombstone { side: Side::Projection, .. } => {
            Kind::Missing
        }
        Difference::Unpaired { side: Side::Projection, .. } => Kind::Orphan,
        Difference::Differ { .. } => Kind::Mismatch,
        Difference::Tombstone { side: Side::Authority, .. } => Kind::Resurrected,
        Difference::DuplicateKey { .. } => Kind::DuplicateKey,
        Difference::NullKey { .. } => Kind::NullKey,
    }
}

/// Judges one difference: a pair gives one divergence for each differing attribute, all else gives one.
#[must_use]
pub fn judge(bench: Bench<'_>, difference: &Difference) -> Vec<Divergence> {
    judge_with(bench, difference, |side, at, attribute| {
        let raw: &RecordBatch = &bench.rows.get(side).raw[at.batch];
        show(bench.binding, side, attribute, raw, at.row).map(String::into_boxed_str)
    })
}

/// Judges many differences, in order; the values of pairs are written a column at a time.
pub fn judge_all(bench: Bench<'_>, differences: &[Difference], mut each: impl FnMut(&Difference, Vec<Divergence>)) {
    let mut shown = vec![Sides::from_fn(|_| Vec::new()); bench.binding.attributes.len()];
    let mut wanted: Vec<Sides<Vec<RowAt>>> = shown.iter().map(|_| Sides::default()).collect();
    for difference in differences {
        let Difference::Differ { rows, attributes } = difference else { continue };
        for &attribute in attributes.iter() {
            for side in Side::BOTH {
                wanted[attribute].get_mut(side).push(*rows.get(side));
            }
        }
    }
    for (attribute, wanted) in wanted.into_iter().enumerate() {
        for (side, rows) in wanted.iter() {
            *shown[attribute].get_mut(side) = bench.show_many(side, attribute, rows);
        }
    }
    let mut shown: Vec<_> =
        shown.into_iter().map(|sides: Sides<Vec<Option<Box<str>>>>| sides.map(|_, shown| shown.into_iter())).collect();
    for difference in differences {
        each(
            difference,
            judge_with(bench, difference, |side, _, attribute| shown[attribute].get_mut(side).next().flatten()),
        );
    }
}

fn judge_with(
    bench: Bench<'_>,
    difference: &Difference,
    mut show: impl FnMut(Side, RowAt, usize) -> Option<Box<str>>,
) -> Vec<Divergence> {
    let kind = bench.kind_of(difference);
    let mut divergences = match difference {
        Difference::Unpaired { side, row, fault } => vec![bench.of_row(kind, *side, *row, Sides::default(), *fault)],
        Difference::Tombstone { rows, side } => {
            let mut divergence = bench.of_row(kind, Side::Authority, rows.authority, Sides::default(), None);
            if *side == Side::Projection {
                divergence.reason = Reason::DeletedInProjection;
            }
            vec![divergence]
        }
        Difference::Differ { rows, attributes } => {
            let key = bench.key(Side::Authority, rows.authority);
            let values = |index: usize| rows.map(|side, at| show(side, at, index));
            let shown: Vec<_> = attributes.iter().copied().map(values).collect();
            let of = |(&index, values)| bench.of_attribute(kind, *rows, index, &key, values);
            attributes.iter().zip(shown).map(of).collect()
        }
        Difference::DuplicateKey { counts, side, row } => {
            let values = counts.map(|_, count| Some(count.to_string().into_boxed_str()));
            vec![bench.of_row(kind, *side, *row, values, None)]
        }
        Difference::NullKey { side, row } => {
            // Which side the row is on shows in whose count is there.
            let mut values = Sides::default();
            *values.get_mut(*side) = Some("1".into());
            vec![bench.of_row(kind, *side, *row, values, None)]
        }
    };
    let reason = match bench.again(difference) {
        Some(Again::Settled) => Reason::Settled,
        Some(Again::Unstable) => Reason::Unstable,
        Some(Again::Stands) | None => return divergences,
    };
    divergences.iter_mut().for_each(|divergence| divergence.reason = reason.clone());
    divergences
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
        cause: None,
        fingerprint: fingerprint(contract, Kind::Schema, None, Some(&attribute)),
        authority_source: owner(contract, &attribute),
        attribute: Some(attribute),
        values,
        row_digest: None,
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
        cause: None,
        fingerprint: fingerprint(contract, Kind::Unreadable, Some(place), None),
        row_digest: None,
    }
}

impl<'a> Bench<'a> {
    /// What a second look made of a difference, if one was taken.
    #[must_use]
    pub fn again(self, difference: &Difference) -> Option<Again> {
        let (side, at) = difference.named_by();
        self.rows.get(side).again.get(&at).copied()
    }

    fn of_row(
        self,
        kind: Kind,
        side: Side,
        row: RowAt,
        values: Sides<Option<Box<str>>>,
        fault: Option<FaultReason>,
    ) -> Divergence {
        let key = self.key(side, row);
        let (severity, reason) = self.scale.of_kind(kind);
        Divergence {
            kind,
            severity,
            reason: fault.map_or_else(|| reason.clone(), Reason::Value),
            cause: None,
            fingerprint: fingerprint_after(&self.scale.prefix, kind, Some(&key), None),
            key: Some(key),
            attribute: None,
            values,
            authority_source: Arc::clone(&self.scale.authority_source),
            row_digest: None,
        }
    }

    fn of_attribute(
        self,
        kind: Kind,
        rows: Sides<RowAt>,
        index: usize,
        key: &str,
        values: Sides<Option<Box<str>>>,
    ) -> Divergence {
        let attribute = &self.scale.attributes[index];
        // An attribute's own severity holds for every kind of pair; the kind's only where it has none.
        let (severity, reason) = match &attribute.reason {
            own @ Reason::Attribute(_) => (attribute.severity, own),
            _ => self.scale.of_kind(kind),
        };
        let fault = Side::BOTH.into_iter().find_map(|side| {
            let at = *rows.get(side);
            fault_at(&self.rows.get(side).canonical[at.batch].columns[index], at.row)
        });
        Divergence {
            kind,
            severity,
            reason: fault.map_or_else(|| reason.clone(), Reason::Value),
            cause: None,
            fingerprint: fingerprint_after(&self.scale.prefix, kind, Some(key), Some(&attribute.name)),
            key: Some(key.into()),
            attribute: Some(Arc::clone(&attribute.name)),
            values,
            authority_source: Arc::clone(&attribute.owner),
            row_digest: None,
        }
    }

    /// One attribute's values of many rows as they stand.
    fn show_many(self, side: Side, attribute: usize, rows: &[RowAt]) -> Vec<Option<Box<str>>> {
        let mut shown = vec![None; rows.len()];
        for (index, raw) in self.rows.get(side).raw.iter().enumerate() {
            let of_batch = || rows.iter().enumerate().filter(|(_, at)| at.batch == index);
            let wanted: Vec<usize> = of_batch().map(|(_, at)| at.row).collect();
            if wanted.is_empty() {
                continue;
            }
            let numbers: Vec<usize> = of_batch().map(|(number, _)| number).collect();
            show_each(self.binding, side, attribute, raw, &wanted, |row, text| shown[numbers[row]] = Some(text.into()));
        }
        shown
    }

    /// The key as JSON object text; without a key the whole row identifies itself.
    pub(crate) fn key(self, side: Side, at: RowAt) -> Box<str> {
        let mut text = String::new();
        self.write_key(side, at, &mut text);
        text.into_boxed_str()
    }

    /// Writes the key of the row that a difference is named by.
    pub fn write_key_of(self, difference: &Difference, out: &mut String) {
        let (side, at) = difference.named_by();
        out.clear();
        self.write_key(side, at, out);
    }

    /// The number that the key of a difference begins with and the member that it stands in, as `write_key_of` writes them: a
    /// whole number that is not negative.
    pub(crate) fn leading_number(self, difference: &Difference) -> Option<(&'a str, u64)> {
        let (side, at) = difference.named_by();
        let (attribute, known) = self.binding.attributes.first().zip(self.scale.attributes.first())?;
        let column = &self.rows.get(side).canonical[at.batch].columns[0];
        let number = small_integer(&attribute.comparison, column, at.row).filter(|_| column.fault(at.row).is_none())?;
        Some((known.member.as_str(), u64::try_from(number).ok()?))
    }

    fn write_key(self, side: Side, at: RowAt, out: &mut String) {
        let count = if self.binding.key_count == 0 { self.binding.attributes.len() } else { self.binding.key_count };
        let canonical = &self.rows.get(side).canonical[at.batch];
        let attributes = self.binding.attributes.iter().zip(&self.scale.attributes);
        for (index, ((attribute, known), column)) in attributes.zip(&canonical.columns).take(count).enumerate() {
            out.push(if index == 0 { '{' } else { ',' });
            out.push_str(&known.member);
            match column.fault(at.row) {
                Some(fault) => out.push_str(&Value::from(&*fault.shown).to_string()),
                None => write_canonical_json(&attribute.comparison, column, at.row, out),
            }
        }
        if count == 0 {
            out.push('{');
        }
        out.push('}');
    }
}

/// The source that owns an attribute.
fn owner(contract: &Contract, name: &str) -> Arc<str> {
    let declared = contract.attributes.iter().find(|declared| declared.name == name);
    declared.map_or(&contract.sources.authority, |declared| contract.owner(declared)).name.as_str().into()
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
    fingerprint_after(&fingerprint_prefix(contract), kind, key, attribute)
}

fn fingerprint_prefix(contract: &Contract) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [contract.name.as_str(), &contract.version.major.to_string()] {
        fingerprint_part(Some(part), &mut bytes);
    }
    bytes
}

fn fingerprint_after(prefix: &[u8], kind: Kind, key: Option<&str>, attribute: Option<&str>) -> [u8; 32] {
    let length = [key, attribute].into_iter().flatten().map(str::len).sum::<usize>();
    let mut bytes = Vec::with_capacity(prefix.len() + length + 64);
    bytes.extend_from_slice(prefix);
    for part in [Some(kind.name()), key, attribute] {
        fingerprint_part(part, &mut bytes);
    }
    *blake3::hash(&bytes).as_bytes()
}

fn fingerprint_part(part: Option<&str>, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
    bytes.extend_from_slice(part.unwrap_or_default().as_bytes());
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
    /// The cause that it shares with many others, where one was found.
    pub cause: Option<&'static str>,
    /// Stable across runs.
    pub fingerprint: [u8; 32],
    /// What the rows were, as far as they concern it: another one where they have changed. None where a later run could not
    /// know the divergence again.
    pub row_digest: Option<[u8; 32]>,
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
    /// `unparseable`, `out_of_type`, `owner_lacks_key`, …: the value itself is why.
    Value(FaultReason),
    /// `deleted_in_projection`: the row is there, as a tombstone.
    DeletedInProjection,
    /// `settled`: a second look found both sides agreed.
    Settled,
    /// `unstable`: it differed in every look, and never in the same way for long.
    Unstable,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(name) => write!(formatter, "rule:{name}"),
            Self::Attribute(name) => write!(formatter, "attribute:{name}"),
            Self::Kind(kind) => write!(formatter, "kind:{}", kind.name()),
            Self::Default => formatter.write_str("default"),
            Self::Value(reason) => formatter.write_str(reason.name()),
            Self::DeletedInProjection => formatter.write_str("deleted_in_projection"),
            Self::Settled => formatter.write_str("settled"),
            Self::Unstable => formatter.write_str("unstable"),
        }
    }
}
