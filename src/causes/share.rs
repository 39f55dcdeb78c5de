//! What each cause explains, counted while rows are told: how many, and the first examples. It adds up in any grouping and order.

use super::clues::Shown;
use super::gap::Held;
use super::rank::{Firsts, Rank};

/// What each suspect explains.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    pub(super) attributes: Vec<Vec<Share>>,
    pub(super) swaps: Vec<Share>,
    pub(super) ranges: Vec<Share>,
    pub(super) gaps: Vec<GapShare>,
}

/// Missing keys that a gap holds, and its ends.
#[derive(Clone, Debug, Default)]
pub(super) struct GapShare {
    pub(super) rows: u64,
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
}

impl GapShare {
    pub(super) fn count(&mut self, held: Held, key: impl FnOnce() -> String) {
        self.rows += 1;
        match held {
            Held::First => self.first = Some(key()),
            Held::Last => self.last = Some(key()),
            Held::Between => {}
        }
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.first = self.first.take().or(other.first);
        self.last = self.last.take().or(other.last);
    }
}

/// Rows that a suspect explains, and the first two that show something else.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    pub(super) rows: u64,
    pub(super) examples: Firsts<Shown>,
}

impl Share {
    pub(super) fn count(&mut self, rank: Rank, show: impl FnOnce() -> Shown) {
        self.rows += 1;
        self.examples.offer(rank, show);
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.examples.add(other.examples);
    }
}

impl Explained {
    /// Adds what was explained of other differences.
    pub fn add(&mut self, other: Self) {
        let lists = self.attributes.iter_mut().flatten().chain(&mut self.swaps).chain(&mut self.ranges);
        let others = other.attributes.into_iter().flatten().chain(other.swaps).chain(other.ranges);
        lists.zip(others).for_each(|(here, there)| here.add(there));
        self.gaps.iter_mut().zip(other.gaps).for_each(|(here, there)| here.add(there));
    }
}
