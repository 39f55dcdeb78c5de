//! What was found of a contract's control totals and invariants, and what its divergences add up to. Sums are exact
//! numbers as text.

use std::collections::BTreeMap;

use crate::contract::{Kind, Severity};
use crate::sides::{Side, Sides};

/// Everything of that kind; empty where the contract asks for nothing of it, or was not compared to the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// In the order of the contract.
    pub totals: Vec<TotalFigures>,
    /// In the order of the contract, one for each side that it is about.
    pub invariants: Vec<InvariantFigures>,
    /// What the divergences add up to.
    pub value_at_risk: Option<ValueAtRisk>,
}

/// One control total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalFigures {
    /// Its name.
    pub name: String,
    /// The attributes that rows are grouped by.
    pub by: Vec<String>,
    /// The attributes that are summed.
    pub sum: Vec<String>,
    /// What it costs where a group does not balance.
    pub severity: Option<Severity>,
    /// Why it was not computed, if it was not; then there are no figures.
    pub not_computed: Option<String>,
    /// How many groups there are on either side.
    pub groups: u64,
    /// How many of them do not balance.
    pub unbalanced: u64,
    /// The worst few of those: by the difference of the first sum, then of the next, then of the rows, then by name.
    pub worst: Vec<GroupFigures>,
    /// All groups together.
    pub whole: Sides<Figure>,
}

/// One group of a control total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFigures {
    /// The group as JSON object text, attributes in the order of `by`.
    pub group: String,
    /// Each side's figure.
    pub sides: Sides<Figure>,
    /// The authority's sums less the projection's, in the order of `sum`.
    pub differences: Vec<String>,
}

/// Rows and sums of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figure {
    /// How many rows.
    pub rows: u64,
    /// In the order of the total's `sum`.
    pub sums: Vec<SumFigure>,
}

/// One sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SumFigure {
    /// Of all values that could be added.
    pub sum: String,
    /// Rows in which there is no value.
    pub nulls: u64,
    /// Rows whose value cannot be added: not a number of its type, NaN, infinite, or beyond 10^±400.
    pub unsummed: u64,
}

/// One invariant on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvariantFigures {
    /// Its name.
    pub name: String,
    /// Where it was looked at.
    pub side: Side,
    /// What a row that breaks it costs.
    pub severity: Severity,
    /// How many rows break it.
    pub rows: u64,
    /// The first few of their keys, as JSON object text; none where a key is personal.
    pub examples: Vec<String>,
}

/// What the divergences add up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueAtRisk {
    /// The attribute that says what a row is worth.
    pub attribute: String,
    /// Why it was not computed, if it was not; then there are no figures.
    pub not_computed: Option<String>,
    /// Of all kinds together.
    pub sum: String,
    /// By kind, where there is any key of it.
    pub kinds: BTreeMap<Kind, KindAtRisk>,
    /// The mismatches of the attribute itself, where there are any.
    pub own: Option<OwnMismatches>,
}

/// The diverging keys of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindAtRisk {
    /// Keys (rows of NULL keys).
    pub keys: u64,
    /// Of those, the ones whose value is not added: NULL, no number, or a key that occurs more than once.
    pub unvalued: u64,
    /// The authority's values; of an orphan the projection's.
    pub sum: String,
}

/// Pairs in which the attribute itself differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnMismatches {
    /// How many.
    pub keys: u64,
    /// Of those, the ones where a side has no number.
    pub unvalued: u64,
    /// The authority's values less the projection's.
    pub net: String,
    /// The same, each difference without its sign.
    pub gross: String,
}
