//! Zones that are UTC itself for a part of the year: times in them agree with UTC in that part and lie apart in the other.
//!
//! The rows that differ show one distance, as a constant offset would. What tells them apart are the rows that agree, which
//! were not looked at: all rows are counted by whether the zone is UTC at their instant. It is that zone only where no row
//! that agrees lies in the other part, and some lie in this one. It never guesses between zones of other rules.

use crate::contract::Kind;
use crate::diff::resolve::Difference;
use crate::normalise::{Binding, Comparison, Reading, Readings};
use crate::sides::Side;

use super::class::Class;
use super::clues::Clues;
use super::suspect::{LEAST, Suspect};
use super::zones::Apart;
use super::{MINUTE, Values};

/// An attribute whose times lie one distance apart, as a zone would in a part of the year.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) attribute: usize,
    /// Whose times are the instants.
    pub(super) instants: Side,
    /// The zones that explain every distance, the commonest first, by their places in `Apart`.
    zones: Vec<usize>,
    /// Pairs that the zone would explain.
    rows: u64,
    /// Rows of the side of the instants that neither agree nor are explained.
    others: Apart,
}

/// The attributes that may hold instants or local times.
pub(super) fn timed(binding: &Binding) -> Vec<usize> {
    let is_time =
        |index: &usize| matches!(binding.attributes[*index].comparison, Comparison::Timestamp | Comparison::Instant);
    let most = binding.attributes.len().min(binding.key_count + super::ATTRIBUTES);
    (binding.key_count..most).filter(is_time).collect()
}

/// Notes the rows of a difference whose times neither agree nor lie apart as a zone would.
pub(super) fn note(
    timed: &[usize],
    values: &Values<'_>,
    difference: &Difference,
    (kind, lags): (Kind, bool),
    clues: &mut [Clues],
) {
    let mut add = |attribute: usize, side: Side, at| {
        if let Reading::Time(time) = values.one(attribute, side, at) {
            clues[attribute].others.get_mut(side).note(time);
        }
    };
    match difference {
        Difference::Differ { rows, attributes } if kind != Kind::Resurrected => {
            for &attribute in timed.iter().filter(|attribute| attributes.binary_search(attribute).is_ok()) {
                let both = values.both(attribute, *rows);
                let is_explained =
                    !lags && matches!(super::class_of(both.authority, both.projection), Class::Quarters(_));
                if !is_explained {
                    rows.iter().for_each(|(side, at)| add(attribute, side, *at));
                }
            }
        }
        // Others may be tombstones, which nobody counts: with them no zone is told.
        Difference::Unpaired { side, row, fault: None } => {
            timed.iter().for_each(|attribute| add(*attribute, *side, *row));
        }
        _ => {}
    }
}

/// What must be counted of all rows, where the differing ones lie in one distance that a zone may have.
pub(super) fn doubts(attributes: &[Clues], suspects: &[Vec<Suspect>]) -> Vec<Doubt> {
    let of = |(attribute, (clues, suspects)): (usize, (&Clues, &Vec<Suspect>))| {
        suspects.iter().find(|suspect| is_quarters(suspect))?;
        let quarters = clues.classes.iter().filter(|(class, _)| matches!(class, Class::Quarters(_)));
        let rows = quarters.map(|(_, rows)| rows).sum();
        let doubt = |instants: Side| {
            let zones: Vec<usize> = clues.zones.get(instants).partly().collect();
            let others = *clues.others.get(instants);
            (clues.equal >= LEAST && !zones.is_empty()).then_some(Doubt { attribute, instants, zones, rows, others })
        };
        Side::BOTH.into_iter().find_map(doubt)
    };
    attributes.iter().zip(suspects).enumerate().filter_map(of).collect()
}

/// Whether it is a distance that a zone may have.
fn is_quarters(suspect: &Suspect) -> bool {
    matches!(suspect, Suspect::Offset(nanoseconds) if nanoseconds % (15 * MINUTE) == 0 && nanoseconds.abs() <= 14 * 60 * MINUTE)
}

impl Doubt {
    /// Counts a row of the side of the instants.
    pub(super) fn count(column: &Readings<'_>, row: usize, count: &mut Apart) {
        if let Reading::Time(time) = column.at(row) {
            count.note(time);
        }
    }

    /// Puts the zone in the place of the distance, where all rows that were counted bear it out.
    pub(super) fn settle(&self, counted: &Apart, suspects: &mut Vec<Suspect>) {
        let agreeing = |place: usize| {
            let (all, others) = (counted.of(place), self.others.of(place));
            let apart = all.apart.checked_sub(others.apart)?.checked_sub(self.rows)?;
            all.at_utc.checked_sub(others.at_utc).filter(|rows| apart == 0 && *rows >= LEAST)
        };
        let found = self.zones.iter().find_map(|place| Some((Apart::name(*place), agreeing(*place)?)));
        let (Some((name, agreeing)), Some(first)) = (found, suspects.iter().position(is_quarters)) else { return };
        suspects[first] = Suspect::Zone { name, instants: self.instants, agreeing };
        suspects.retain(|suspect| !is_quarters(suspect));
    }
}
