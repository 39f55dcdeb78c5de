//! Resolves rows that were brought together by their exact keys before, and whose values were compared: no sorting, no digests; only
//! tolerances are asked. It trusts whoever brought them together that each key occurs once on a side.

use super::pairs::Differing;
use super::{Difference, Resolved, RowAt, Rows};
use crate::normalise::{Binding, within};
use crate::sides::{Side, Sides};

/// Rows of one batch a side that have met: each is in one pair, or stands alone.
#[derive(Clone, Debug, Default)]
pub struct Met {
    /// Rows of equal keys that are not strictly equal.
    pub pairs: Vec<Sides<u32>>,
    /// For each pair the attributes that are not, a bit for each.
    pub unlike: Vec<u64>,
    /// Rows whose key is not across.
    pub alone: Sides<Vec<u32>>,
}

impl Met {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.alone.iter().all(|(_, alone)| alone.is_empty())
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.pairs.clear();
        self.unlike.clear();
        for side in Side::BOTH {
            self.alone.get_mut(side).clear();
        }
    }

    /// The rows of one side, in no order.
    pub fn rows(&self, side: Side) -> impl Iterator<Item = u32> {
        self.pairs.iter().map(move |pair| *pair.get(side)).chain(self.alone.get(side).iter().copied())
    }
}

/// What rows that have met come to; `rows` has one batch of each side that has any of them. Pairs come first, then those that stand alone.
#[must_use]
pub fn resolve_met(binding: &Binding, rows: &Sides<Rows>, met: &Met) -> Resolved {
    let at = |row: u32| RowAt { batch: 0, row: row as usize };
    let mut differ = Differing::new(binding, met.unlike.clone());
    for (index, attribute) in binding.attributes.iter().enumerate().skip(binding.key_count) {
        let Some(bound) = &attribute.tolerance else { continue };
        let tolerated = |pair: &Sides<u32>| {
            let columns = rows.as_ref().map(|_, rows| &rows.canonical[0].columns[index]);
            within(bound, &attribute.comparison, columns, pair.map(|_, row| row as usize))
        };
        differ.relieve(index, |pair| tolerated(&met.pairs[pair]));
    }
    let mut resolved = Resolved::default();
    resolved.differences.reserve(met.pairs.len());
    for (index, pair) in met.pairs.iter().enumerate() {
        match differ.attributes(index) {
            Some(attributes) => {
                resolved.differences.push(Difference::Differ { rows: pair.map(|_, row| at(row)), attributes });
            }
            None => resolved.agree += 1,
        }
    }
    for (side, alone) in met.alone.iter() {
        let unpaired = |row: &u32| Difference::Unpaired { side, row: at(*row), fault: None };
        resolved.differences.extend(alone.iter().map(unpaired));
    }
    resolved
}
