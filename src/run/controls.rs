//! Control totals and invariants: what is looked at of every row in the first reading, on both sides.
//!
//! Rows are grouped batch by batch and added to what is shared; sums are exact and groups are held in order, so nothing
//! depends on which batch came first. Both are about all rows that `filter` keeps, whatever `--where` says.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use arrow::array::{AsArray, BooleanArray, RecordBatch};

use super::Halt;
use super::examples::natural;
use crate::audit::{InvariantFigures, TotalFigures};
use crate::contract::{Contract, Invariant, Total};
use crate::normalise::{Binding, CanonicalBatch, Comparison, write_named};
use crate::sides::{Side, Sides};

mod total;
mod verdict;

use total::{Bound, Gauge};
pub(super) use verdict::{warnings, weigh};

/// Columns of a side's source that invariants are written over, each with the option that names it.
pub(super) fn columns(contract: &Contract, side: Side) -> impl Iterator<Item = (&str, String)> {
    let of_side = contract.controls.invariants.iter().filter(move |invariant| invariant.sides.contains(&side));
    of_side.flat_map(|invariant| {
        let columns = invariant.when.columns().iter();
        columns.map(|name| (name.as_str(), format!("invariant `{}`", invariant.name)))
    })
}

/// What is measured of every row.
#[derive(Default)]
pub(super) struct Gauges {
    totals: Vec<Gauge>,
    invariants: Sides<Vec<Watch>>,
    /// The attributes that name a row; empty where they must not be written.
    named_by: Vec<usize>,
}

/// One invariant on one side.
struct Watch {
    invariant: Invariant,
    seen: Mutex<Broken>,
}

#[derive(Default)]
struct Broken {
    rows: u64,
    /// The first few keys, in the order of a reader.
    keys: BTreeSet<(Vec<u8>, String)>,
}

impl Gauges {
    /// How many keys an invariant names.
    const EXAMPLES: usize = 3;

    /// Nothing is measured.
    pub(super) fn none() -> Self {
        Self { totals: Vec::new(), invariants: Sides::default(), named_by: Vec::new() }
    }

    /// Brings totals and what a row is worth together with the columns.
    pub(super) fn new(contract: &Contract, binding: &Binding) -> Result<Self, Vec<Halt>> {
        let (mut totals, mut halts) = (Vec::new(), Vec::new());
        let controls = &contract.controls;
        for total in &controls.totals {
            match bound(total, binding, controls.totals.len()) {
                Ok(bound) => totals.push(Gauge::new(total.clone(), bound)),
                Err(halt) => halts.push(halt),
            }
        }
        let worth = controls.value_at_risk.as_deref();
        halts.extend(worth.and_then(|name| place("value_at_risk", name, true, binding).err()));
        halts.extend(personal_ones(contract));
        if !halts.is_empty() {
            return Err(halts);
        }
        let watch = |invariant: &Invariant| Watch { invariant: invariant.clone(), seen: Mutex::default() };
        let invariants = Sides::from_fn(|side| {
            let of_side = controls.invariants.iter().filter(|invariant| invariant.sides.contains(&side));
            of_side.map(watch).collect()
        });
        let count = if binding.key_count == 0 { binding.attributes.len() } else { binding.key_count };
        let personal = |index: &usize| {
            let name = &binding.attributes[*index].name;
            contract.attributes.iter().any(|declared| declared.name == *name && declared.pii.is_some())
        };
        let named_by = if (0..count).any(|index| personal(&index)) { Vec::new() } else { (0..count).collect() };
        Ok(Self { totals, invariants, named_by })
    }

    /// Looks at one batch: as it was read, which of its rows `filter` keeps, and those canonical.
    pub(super) fn see(
        &self,
        binding: &Binding,
        side: Side,
        rows: &RecordBatch,
        kept: Option<&BooleanArray>,
        canonical: &CanonicalBatch,
    ) -> Result<(), Halt> {
        for gauge in &self.totals {
            gauge.see(binding, side, canonical);
        }
        for watch in self.invariants.get(side) {
            let name = &watch.invariant.name;
            let said = |said: String| Halt::Contract(format!("{side}: invariant `{name}`: {said}"));
            let breaking = watch.invariant.when.mask(rows).map_err(said)?;
            let breaking = match kept {
                None => breaking,
                Some(kept) => {
                    let filtered = arrow::compute::filter(&breaking, kept).expect("both masks are of the same rows");
                    filtered.as_boolean().clone()
                }
            };
            watch.see(binding, &self.named_by, &breaking, canonical);
        }
        Ok(())
    }

    /// Forgets what was seen, since all rows are read again.
    pub(super) fn forget(&self) {
        self.totals.iter().for_each(Gauge::forget);
        for watch in self.invariants.iter().flat_map(|(_, of_side)| of_side) {
            *watch.seen.lock().unwrap_or_else(PoisonError::into_inner) = Broken::default();
        }
    }

    /// What was found of the totals, in the order of the contract.
    pub(super) fn totals(&self) -> Vec<TotalFigures> {
        self.totals.iter().map(Gauge::figures).collect()
    }

    /// What was found of the invariants, in the order of the contract.
    pub(super) fn invariants(&self, contract: &Contract) -> Vec<InvariantFigures> {
        let of = |invariant: &Invariant, side: Side| {
            let watch = self.invariants.get(side).iter().find(|watch| watch.invariant.name == invariant.name)?;
            let seen = watch.seen.lock().unwrap_or_else(PoisonError::into_inner);
            Some(InvariantFigures {
                name: invariant.name.clone(),
                side,
                severity: invariant.severity,
                rows: seen.rows,
                examples: seen.keys.iter().map(|(_, key)| key.clone()).collect(),
            })
        };
        let each =
            |invariant: &Invariant| invariant.sides.iter().filter_map(|side| of(invariant, *side)).collect::<Vec<_>>();
        contract.controls.invariants.iter().flat_map(each).collect()
    }
}

/// Attributes whose values would be written although they are personal: what `check` cannot know before the columns are.
fn personal_ones(contract: &Contract) -> impl Iterator<Item = Halt> {
    let controls = &contract.controls;
    let of_total = |total: &'_ Total| {
        let names = total.by.iter().chain(&total.sum).cloned().collect::<Vec<_>>();
        names.into_iter().map(|name| (format!("total `{}`", total.name), name)).collect::<Vec<_>>()
    };
    let worth = controls.value_at_risk.iter().map(|name| ("value_at_risk".to_owned(), name.clone()));
    let named = controls.totals.iter().flat_map(of_total).chain(worth);
    named.filter(|(_, name)| contract.personal().any(|(attribute, _)| attribute.name == *name)).map(|(option, name)| {
        Halt::Contract(format!("{option}: the values of `{name}` are personal (pii) and would be written"))
    })
}

/// A total's attributes, or why one of them cannot be compared.
fn bound(total: &Total, binding: &Binding, totals: usize) -> Result<Result<Bound, String>, Halt> {
    let option = format!("total `{}`", total.name);
    let (mut by, mut sum) = (Vec::new(), Vec::new());
    for (names, places, summed) in [(&total.by, &mut by, false), (&total.sum, &mut sum, true)] {
        for name in names {
            match place(&option, name, summed, binding)? {
                Some(index) => places.push(index),
                None => return Ok(Err(format!("`{name}` cannot be compared"))),
            }
        }
    }
    Ok(Ok(Bound::new(by, sum, binding, totals)))
}

/// The place of an attribute that the contract names; None where its columns cannot be compared, which `schema` says.
fn place(option: &str, name: &str, summed: bool, binding: &Binding) -> Result<Option<usize>, Halt> {
    let Some(index) = binding.attributes.iter().position(|attribute| attribute.name == name) else {
        if binding.schema.iter().any(|difference| difference.attribute == name) {
            return Ok(None);
        }
        let have: Vec<&str> = binding.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        return Err(Halt::Contract(format!(
            "{option}: no attribute `{name}` is compared (attributes are: {})",
            have.join(", ")
        )));
    };
    let number = matches!(
        binding.attributes[index].comparison,
        Comparison::Decimal { .. } | Comparison::Integer | Comparison::Float | Comparison::Number | Comparison::Null
    );
    if summed && !number {
        return Err(Halt::Contract(format!(
            "{option}: `{name}` is not compared as a number, and a sum needs numbers\nhint: give the attribute a numeric `type`, such as \"decimal\""
        )));
    }
    Ok(Some(index))
}

impl Watch {
    /// Counts the rows that break it, and keeps the first of their keys.
    fn see(&self, binding: &Binding, named_by: &[usize], breaking: &BooleanArray, batch: &CanonicalBatch) {
        let (mut rows, mut keys) = (0, BTreeSet::new());
        for (row, _) in breaking.iter().enumerate().filter(|(_, breaks)| *breaks == Some(true)) {
            rows += 1;
            if !named_by.is_empty() {
                let (mut key, mut order) = (String::new(), Vec::new());
                write_named(binding, batch, named_by, row, &mut key);
                natural(&key, &mut order);
                keys.insert((order, key));
                first_few(&mut keys);
            }
        }
        if rows > 0 {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.rows += rows;
            seen.keys.append(&mut keys);
            first_few(&mut seen.keys);
        }
    }
}

fn first_few(keys: &mut BTreeSet<(Vec<u8>, String)>) {
    while keys.len() > Gauges::EXAMPLES {
        keys.pop_last();
    }
}
