//! What was planted, by contract: counted while planting, never found by comparing.

use std::collections::BTreeMap;

use serde_json::json;

use super::{SEED, amount};

/// What was planted, per contract.
#[derive(Default)]
pub(super) struct Truth(BTreeMap<&'static str, Planted>);

#[derive(Default)]
pub(super) struct Planted {
    pub(super) rows: [u64; 2],
    kinds: BTreeMap<&'static str, u64>,
    attributes: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<&'static str, u64>,
    settled: BTreeMap<&'static str, u64>,
    causes: BTreeMap<String, u64>,
    invariants: BTreeMap<&'static str, u64>,
    /// How lines stand to the old copy, by status.
    three_way: BTreeMap<&'static str, u64>,
    seen: BTreeMap<&'static str, u64>,
    /// What diverging keys are worth, in cents, by kind.
    at_risk: BTreeMap<&'static str, i128>,
    /// By side: the rows of each group, and their sum in cents.
    totals: [BTreeMap<&'static str, (u64, i128)>; 2],
}

impl Truth {
    pub(super) fn of(&mut self, contract: &'static str) -> &mut Planted {
        self.0.entry(contract).or_default()
    }

    pub(super) fn text(&self) -> String {
        let contracts: serde_json::Map<String, serde_json::Value> =
            self.0.iter().map(|(name, planted)| ((*name).to_owned(), planted.json())).collect();
        let whole = json!({"seed": SEED, "contracts": contracts});
        format!("{whole:#}\n")
    }
}

impl Planted {
    fn json(&self) -> serde_json::Value {
        let mut value = json!({
            "verdict": "drifted",
            "rows": {"authority": self.rows[0], "projection": self.rows[1]},
            "divergences": self.kinds,
            "attributes": self.attributes,
            "reasons": self.reasons,
            "settled_by_options": self.settled,
            "causes": self.causes,
        });
        let side = |groups: &BTreeMap<&'static str, (u64, i128)>| -> serde_json::Value {
            groups.iter().map(|(name, (rows, cents))| ((*name).to_owned(), json!([rows, plain(*cents)]))).collect()
        };
        if !self.invariants.is_empty() {
            value["invariants"] = json!(self.invariants);
        }
        if !self.three_way.is_empty() {
            value["three_way"] = json!(self.three_way);
        }
        if !self.at_risk.is_empty() {
            let sums = self.at_risk.iter().map(|(kind, cents)| ((*kind).to_owned(), json!(plain(*cents))));
            value["value_at_risk"] = sums.collect();
        }
        if !self.totals[0].is_empty() {
            value["totals"] = json!({"authority": side(&self.totals[0]), "projection": side(&self.totals[1])});
        }
        value
    }

    pub(super) fn kind(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// One key of a kind, and what it is worth.
    pub(super) fn worth(&mut self, kind: &'static str, cents: i128) {
        self.kind(kind);
        *self.at_risk.entry(kind).or_default() += cents;
    }

    /// These attributes of one pair differ.
    pub(super) fn attributes(&mut self, attributes: &[&'static str]) {
        for attribute in attributes {
            *self.attributes.entry(attribute).or_default() += 1;
        }
    }

    /// One pair that differs in these attributes.
    pub(super) fn mismatch(&mut self, attributes: &[&'static str]) {
        self.kind("mismatch");
        self.attributes(attributes);
    }

    /// A line whose reason is fixed.
    pub(super) fn reason(&mut self, reason: &'static str) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    /// A difference that an option of the contract settles.
    pub(super) fn settled(&mut self, option: &'static str) {
        *self.settled.entry(option).or_default() += 1;
    }

    /// One of the many keys of a cause.
    pub(super) fn cause(&mut self, cause: &str, attribute: &str) {
        *self.causes.entry(format!("{cause} {attribute}")).or_default() += 1;
    }

    /// A row that breaks an invariant.
    pub(super) fn breaks(&mut self, invariant: &'static str) {
        *self.invariants.entry(invariant).or_default() += 1;
    }

    /// So many lines that stand to the old copy in one way.
    pub(super) fn stands(&mut self, status: &'static str, lines: u64) {
        *self.three_way.entry(status).or_default() += lines;
    }

    /// How often this was asked of it, this time included.
    pub(super) fn seen(&mut self, what: &'static str) -> u64 {
        let seen = self.seen.entry(what).or_default();
        *seen += 1;
        *seen
    }

    /// A row of the authority (0) or the projection (1) that a control total counts.
    pub(super) fn counted(&mut self, side: usize, group: &'static str, cents: i128) {
        let (rows, sum) = self.totals[side].entry(group).or_default();
        *rows += 1;
        *sum += cents;
    }
}

/// An amount without zeros that say nothing, as sums are written.
fn plain(cents: i128) -> String {
    let text = amount(cents, '.');
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
