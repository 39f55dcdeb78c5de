//! Which rows come first, whatever order they are looked at in: the order of the digests of their keys, which depends on nothing but the
//! rows. So the same rows give the same examples, however they were brought together.

use crate::diff::resolve::{Difference, RowAt, Rows};
use crate::sides::{Side, Sides};

/// The place of a difference in that order. Where it is not known all are equal, and of equals the first that came is the first.
pub(super) type Rank = u64;

/// The rank of a difference.
pub(super) fn rank_of(rows: &Sides<Rows>, difference: &Difference) -> Rank {
    let (side, at): (Side, RowAt) = match difference {
        Difference::Differ { rows, .. } | Difference::Tombstone { rows, .. } => (Side::Authority, rows.authority),
        Difference::Unpaired { side, row, .. }
        | Difference::DuplicateKey { side, row, .. }
        | Difference::NullKey { side, row } => (*side, *row),
    };
    rows.get(side).order.get(at.batch).map_or(0, |order| order[at.row])
}

/// The first two unlike ones of what rows show.
#[derive(Clone, Debug)]
pub(super) struct Firsts<T>(Vec<(Rank, T)>);

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: PartialEq> Firsts<T> {
    const MOST: usize = 2;

    /// Takes what a row shows where that is among the first; it is asked for only then.
    pub(super) fn offer(&mut self, rank: Rank, show: impl FnOnce() -> T) {
        if self.0.len() < Self::MOST || self.0.last().is_some_and(|(last, _)| rank < *last) {
            self.take(rank, show());
        }
    }

    fn take(&mut self, rank: Rank, shown: T) {
        if let Some(place) = self.0.iter().position(|(_, held)| *held == shown) {
            if self.0[place].0 <= rank {
                return;
            }
            self.0.remove(place);
        }
        let place = self.0.partition_point(|(held, _)| *held <= rank);
        self.0.insert(place, (rank, shown));
        self.0.truncate(Self::MOST);
    }

    /// Adds those of other rows.
    pub(super) fn add(&mut self, others: Self) {
        for (rank, shown) in others.0 {
            self.take(rank, shown);
        }
    }

    /// The rank of the first.
    pub(super) fn least(&self) -> Option<Rank> {
        self.0.first().map(|(rank, _)| *rank)
    }

    /// What they show, the first one first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, shown)| shown)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_ones_depend_on_no_order_and_no_grouping(
            shown in prop::collection::vec(0_u8..5, 0..12),
            order in any::<prop::sample::Index>(),
            split in any::<prop::sample::Index>(),
        ) {
            let ranked: Vec<(Rank, u8)> = shown.iter().enumerate().map(|(rank, shown)| (rank as u64, *shown)).collect();
            let of = |some: &[(Rank, u8)]| {
                let mut firsts = Firsts::default();
                some.iter().for_each(|(rank, shown)| firsts.offer(*rank, || *shown));
                firsts
            };
            let mut expected: Vec<u8> = Vec::new();
            for shown in shown {
                if expected.len() < 2 && !expected.contains(&shown) {
                    expected.push(shown);
                }
            }
            let mut turned = ranked.clone();
            turned.reverse();
            turned.rotate_left(order.index(ranked.len() + 1).min(ranked.len()));
            let (one, other) = turned.split_at(split.index(ranked.len() + 1));
            let mut firsts = of(one);
            firsts.add(of(other));
            prop_assert_eq!(firsts.iter().copied().collect::<Vec<_>>(), expected);
        }
    }
}
