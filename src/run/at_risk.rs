//! Adds up what diverging rows are worth, by the attribute that the contract names.

use std::collections::BTreeMap;

use crate::audit::{KindAtRisk, OwnMismatches, ValueAtRisk};
use crate::classify::Bench;
use crate::contract::{Contract, Kind};
use crate::diff::resolve::{Difference, RowAt};
use crate::normalise::{Binding, ExactSum, Number, canonical_number};
use crate::sides::Side;

/// What some differences add up to, in any order.
#[derive(Default)]
pub(super) struct AtRisk {
    kinds: BTreeMap<Kind, Worth>,
    own: Own,
}

#[derive(Default)]
struct Worth {
    keys: u64,
    unvalued: u64,
    sum: ExactSum,
}

/// Pairs in which the attribute itself differs.
#[derive(Default)]
struct Own {
    keys: u64,
    unvalued: u64,
    net: ExactSum,
    gross: ExactSum,
}

/// The attribute that says what a row is worth, as its place in the binding.
pub(super) fn attribute(contract: &Contract, binding: &Binding) -> Option<usize> {
    let name = contract.controls.value_at_risk.as_ref()?;
    binding.attributes.iter().position(|attribute| attribute.name == *name)
}

impl AtRisk {
    /// Adds a difference that was judged to be of this kind.
    pub(super) fn add(&mut self, bench: Bench<'_>, attribute: usize, difference: &Difference, kind: Kind) {
        let worth = |side: Side, at: RowAt| {
            let column = &bench.rows.get(side).canonical[at.batch].columns[attribute];
            canonical_number(&bench.binding.attributes[attribute].comparison, column, at.row)
        };
        let value = match difference {
            Difference::Differ { rows, attributes } => {
                let values = rows.map(worth);
                if attributes.contains(&attribute) {
                    self.own.add(values.authority.as_ref(), values.projection.as_ref());
                }
                values.authority
            }
            Difference::Unpaired { side, row, .. } | Difference::NullKey { side, row } => worth(*side, *row),
            // The one that lives.
            Difference::Tombstone { rows, side } => worth(side.other(), *rows.get(side.other())),
            // Which of its rows is meant is what nobody knows.
            Difference::DuplicateKey { .. } => None,
        };
        let held = self.kinds.entry(kind).or_default();
        held.keys += 1;
        held.unvalued += u64::from(!value.is_some_and(|value| held.sum.add(&value)));
    }

    /// Adds what others add up to.
    pub(super) fn merge(&mut self, others: &Self) {
        for (kind, other) in &others.kinds {
            let held = self.kinds.entry(*kind).or_default();
            held.keys += other.keys;
            held.unvalued += other.unvalued;
            held.sum.merge(&other.sum);
        }
        self.own.keys += others.own.keys;
        self.own.unvalued += others.own.unvalued;
        self.own.net.merge(&others.own.net);
        self.own.gross.merge(&others.own.gross);
    }

    /// What it comes to; None where the contract does not ask. `bound`: the attribute is among those that are compared.
    pub(super) fn figures(&self, contract: &Contract, bound: bool) -> Option<ValueAtRisk> {
        let attribute = contract.controls.value_at_risk.clone()?;
        if !bound {
            let why = format!("`{attribute}` cannot be compared");
            return Some(ValueAtRisk {
                attribute,
                not_computed: Some(why),
                sum: String::new(),
                kinds: BTreeMap::new(),
                own: None,
            });
        }
        let mut all = ExactSum::default();
        self.kinds.values().for_each(|worth| all.merge(&worth.sum));
        let kind = |(kind, worth): (&Kind, &Worth)| {
            (*kind, KindAtRisk { keys: worth.keys, unvalued: worth.unvalued, sum: worth.sum.to_string() })
        };
        let own = (self.own.keys > 0).then(|| OwnMismatches {
            keys: self.own.keys,
            unvalued: self.own.unvalued,
            net: self.own.net.to_string(),
            gross: self.own.gross.to_string(),
        });
        Some(ValueAtRisk {
            attribute,
            not_computed: None,
            sum: all.to_string(),
            kinds: self.kinds.iter().map(kind).collect(),
            own,
        })
    }
}

impl Own {
    fn add(&mut self, authority: Option<&Number>, projection: Option<&Number>) {
        self.keys += 1;
        let sum = |number: Option<&Number>| {
            let mut sum = ExactSum::default();
            number.is_some_and(|number| sum.add(number)).then_some(sum)
        };
        match (sum(authority), sum(projection)) {
            (Some(authority), Some(projection)) => {
                let difference = authority.less(&projection);
                self.net.merge(&difference);
                self.gross.merge(&difference.absolute());
            }
            _ => self.unvalued += 1,
        }
    }
}
