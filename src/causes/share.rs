//! What each cause explains, counted while rows are told: how many, and the first examples. It adds up in the order of rows.

use super::clues::Shown;
use super::gap::Held;

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

    fn add(&mut self, later: Self) {
        self.rows += later.rows;
        self.first = self.first.take().or(later.first);
        self.last = self.last.take().or(later.last);
    }
}

/// Rows that a suspect explains, and the first two.
#[derive(Clone, Debug, Default)]
pub(super) struct Share {
    pub(super) rows: u64,
    pub(super) examples: Vec<Shown>,
}

impl Share {
    const EXAMPLES: usize = 2;

    pub(super) fn count(&mut self, show: impl FnOnce() -> Shown) {
        self.rows += 1;
        if self.examples.len() < Self::EXAMPLES {
            let shown = show();
            if !self.examples.contains(&shown) {
                self.examples.push(shown);
            }
        }
    }

    fn add(&mut self, later: Self) {
        self.rows += later.rows;
        for shown in later.examples {
            if self.examples.len() < Self::EXAMPLES && !self.examples.contains(&shown) {
                self.examples.push(shown);
            }
        }
    }
}

impl Explained {
    /// Adds what was explained of differences that come after these.
    pub fn add(&mut self, later: Self) {
        let lists = self.attributes.iter_mut().flatten().chain(&mut self.swaps).chain(&mut self.ranges);
        let others = later.attributes.into_iter().flatten().chain(later.swaps).chain(later.ranges);
        lists.zip(others).for_each(|(here, there)| here.add(there));
        self.gaps.iter_mut().zip(later.gaps).for_each(|(here, there)| here.add(there));
    }
}
