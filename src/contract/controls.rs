//! What a contract asks for beside the comparison of its rows: rules, control totals, invariants, and what a row is worth.

use std::sync::Arc;

use super::Severity;
use crate::sides::Side;
use crate::sql::Predicate;

/// The columns of `divergences.parquet` in the order of the file, which rules are written over.
pub const DIVERGENCE_COLUMNS: [&str; 11] = [
    "contract",
    "kind",
    "severity",
    "reason",
    "key",
    "attribute",
    "authority_value",
    "projection_value",
    "authority_source",
    "cause",
    "fingerprint",
];

/// Everything of that kind that a contract asks for.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// `[[contract.NAME.rule]]`, in the order of the file: the first match decides.
    pub rules: Vec<Rule>,
    /// `[[contract.NAME.total]]`, in the order of the file.
    pub totals: Vec<Total>,
    /// `[[contract.NAME.invariant]]`, in the order of the file.
    pub invariants: Vec<Invariant>,
    /// The attribute that says what a row is worth.
    pub value_at_risk: Option<String>,
}

impl Controls {
    /// The names of rules, totals and invariants, and of the attributes that they name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().map(|rule| &*rule.name);
        let totals = self.totals.iter().flat_map(|total| total.by.iter().chain(&total.sum).chain([&total.name]));
        let others = self.invariants.iter().map(|invariant| &invariant.name).chain(&self.value_at_risk);
        rules.chain(totals.chain(others).map(String::as_str))
    }

    /// Whether the values of all rows are looked at, so that nothing may be taken over from an earlier run.
    #[must_use]
    pub fn need_every_row(&self) -> bool {
        !self.totals.is_empty() || !self.invariants.is_empty()
    }
}

/// A severity by SQL over divergences.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the reason names it.
    pub name: Arc<str>,
    /// The divergences that it is about.
    pub when: Predicate,
    /// What they cost.
    pub severity: Severity,
}

/// Counts and sums by group on both sides.
#[derive(Clone, Debug)]
pub struct Total {
    /// As reports name it.
    pub name: String,
    /// The attributes that rows are grouped by.
    pub by: Vec<String>,
    /// The attributes that are summed.
    pub sum: Vec<String>,
    /// What it costs where a group does not balance; None: it is shown and warned of.
    pub severity: Option<Severity>,
}

/// What no row of a side may be.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// As reports name it.
    pub name: String,
    /// The sides whose rows it is about.
    pub sides: Vec<Side>,
    /// The rows that break it.
    pub when: Predicate,
    /// What a row that breaks it costs.
    pub severity: Severity,
}
