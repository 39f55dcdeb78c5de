//! Where many numbers lie on a line, told in a bounded number of even steps, however many there are and however far apart.
//!
//! A step is a power of two wide, and no wider than it takes for all that was seen to lie in so few steps: so the outcome does
//! not depend on the order in which it was seen, nor on how it was shared out. Steps in which nothing lies cost nothing, so
//! that a few numbers far away leave the others as they are. It never keeps a number.

use std::collections::BTreeMap;

use crate::contract::Kind;

/// Counts by kind along a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strip {
    /// A step is two to this power wide.
    shift: u32,
    steps: BTreeMap<(i128, Kind), u64>,
    ends: Option<(i128, i128)>,
}

impl Strip {
    /// No strip has more steps in which something lies.
    pub const STEPS: usize = 1024;

    /// Counts a number.
    pub fn add(&mut self, kind: Kind, at: i128) {
        self.ends = Some(self.ends.map_or((at, at), |(least, most)| (least.min(at), most.max(at))));
        *self.steps.entry((at >> self.shift, kind)).or_default() += 1;
        self.settle();
    }

    /// Counts all that another has counted.
    pub fn join(&mut self, other: Self) {
        let Some((least, most)) = other.ends else { return };
        self.ends = Some(self.ends.map_or((least, most), |(first, last)| (first.min(least), last.max(most))));
        self.widen(other.shift);
        for ((step, kind), count) in other.steps {
            *self.steps.entry((step >> (self.shift - other.shift), kind)).or_default() += count;
        }
        self.settle();
    }

    /// The least and the greatest number; None where there is none.
    #[must_use]
    pub fn ends(&self) -> Option<(i128, i128)> {
        self.ends
    }

    /// How wide a step is.
    #[must_use]
    pub fn width(&self) -> i128 {
        1 << self.shift
    }

    /// Each step that holds something: its first number, the kind, and how many.
    pub fn steps(&self) -> impl Iterator<Item = (i128, Kind, u64)> {
        self.steps.iter().map(|((step, kind), count)| (step << self.shift, *kind, *count))
    }

    /// How many numbers were counted.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.steps.values().sum()
    }

    fn settle(&mut self) {
        while self.steps.len() > Self::STEPS && self.places() > Self::STEPS {
            self.widen(self.shift + 1);
        }
    }

    /// In how many steps something lies, of whatever kind.
    fn places(&self) -> usize {
        let mut steps: Vec<i128> = self.steps.keys().map(|(step, _)| *step).collect();
        steps.dedup();
        steps.len()
    }

    fn widen(&mut self, shift: u32) {
        if shift <= self.shift {
            return;
        }
        let by = shift - self.shift;
        for ((step, kind), count) in std::mem::take(&mut self.steps) {
            *self.steps.entry((step >> by, kind)).or_default() += count;
        }
        self.shift = shift;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_strip_is_the_same_in_any_order_and_however_it_is_shared(
            numbers in prop::collection::vec(prop_oneof![0_i128..5000, any::<i64>().prop_map(i128::from), any::<i128>()], 1..3000),
            split in 0_usize..3000,
        ) {
            let strip = |numbers: &[i128]| {
                let mut strip = Strip::default();
                numbers.iter().for_each(|number| strip.add(Kind::Missing, *number));
                strip
            };
            let whole = strip(&numbers);
            let backwards: Vec<i128> = numbers.iter().rev().copied().collect();
            prop_assert_eq!(&strip(&backwards), &whole);
            let (one, other) = numbers.split_at(split.min(numbers.len()));
            let mut joined = strip(other);
            joined.join(strip(one));
            prop_assert_eq!(&joined, &whole);
            prop_assert_eq!(whole.counted(), numbers.len() as u64);
            prop_assert!(whole.steps().count() <= Strip::STEPS);
            prop_assert!(whole.width() == 1 || whole.steps().count() > Strip::STEPS / 2 - 1 || numbers.len() < Strip::STEPS);
            for number in numbers.iter().take(50) {
                let holds = |(first, _, _): (i128, Kind, u64)| first <= *number && number - first < whole.width();
                prop_assert!(whole.steps().any(|step| step.0.checked_sub(*number).is_some() && holds(step)));
            }
        }
    }
}
