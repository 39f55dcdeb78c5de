//! How far a projection lies behind its authority: counts, spreads, the oldest key. All of it adds up in any order.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::strip::Strip;

/// What the markers of a contract tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The contract's `window`, in nanoseconds.
    pub window: Option<i128>,
    /// Keys that are in flight: their change is younger than the window.
    pub within: u64,
    /// Keys that are stale: beyond the window, or without one.
    pub beyond: u64,
    /// How many versions these keys are behind, where both sides have a version that is a number.
    pub versions: Option<Spread>,
    /// How many whole seconds.
    pub seconds: Option<Spread>,
    /// What the seconds are counted from.
    pub counted: Counted,
    /// The key whose change has waited longest.
    pub oldest: Option<Oldest>,
    /// The seconds themselves; empty in a run that was read back.
    pub waits: Histogram,
    /// When the rows of divergences were changed, in seconds since 1970; empty in a run that was read back.
    pub changed: Strip,
}

/// What the seconds behind are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// From the authority's change to the instant that the projection speaks for.
    ToTheSnapshot,
    /// From the projection's `updated_at` (of a missing row: the latest there) to the authority's.
    #[default]
    BetweenMarkers,
}

impl Counted {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ToTheSnapshot => "to_the_snapshot",
            Self::BetweenMarkers => "between_markers",
        }
    }
}

/// Where some whole numbers lie. The middle ones are the least number that so many are not above (nearest rank). They
/// are exact below 2,048, and above it rounded down by less than one part in 1,024; least and most are always exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many numbers.
    pub keys: u64,
    /// The least.
    pub min: u64,
    /// Half are not above it.
    pub median: u64,
    /// 95 in 100 are not above it.
    pub p95: u64,
    /// 99 in 100 are not above it.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// A key, and since when the projection has lacked what the authority has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// As JSON object text.
    pub key: String,
    /// When the authority's row was changed.
    pub since: Timestamp,
}

/// A length of time for people, in its two greatest units: `3h12m`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let Some(first) = units.iter().position(|(unit, _)| seconds >= *unit) else { return "0s".to_owned() };
    let mut rest = seconds;
    let mut shown = String::new();
    for (unit, name) in units.iter().skip(first).take(2) {
        if rest >= *unit {
            shown.push_str(&format!("{}{name}", rest / unit));
        }
        rest %= unit;
    }
    shown
}

/// Counts of whole numbers in at most some sixty thousand buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u64, u64>,
    keys: u64,
    least: Option<u64>,
    most: Option<u64>,
}

impl Histogram {
    /// Bits of a number that tell buckets apart.
    const BITS: u32 = 11;

    /// The least number of a number's bucket.
    fn bucket(number: u64) -> u64 {
        let surplus = (u64::BITS - number.leading_zeros()).saturating_sub(Self::BITS);
        number >> surplus << surplus
    }

    /// Counts a number.
    pub fn add(&mut self, number: u64) {
        *self.buckets.entry(Self::bucket(number)).or_default() += 1;
        self.keys += 1;
        self.least = Some(self.least.map_or(number, |least| least.min(number)));
        self.most = self.most.max(Some(number));
    }

    /// Counts all that another has counted.
    pub fn join(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.keys += other.keys;
        self.least = self.least.into_iter().chain(other.least).min();
        self.most = self.most.max(other.most);
    }

    /// How many numbers lie from each bound to the next, the first below the first bound and the last from the last on. Bounds
    /// are as near as buckets are wide.
    #[must_use]
    pub fn between(&self, bounds: &[u64]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len() + 1];
        for (bucket, count) in &self.buckets {
            counts[bounds.partition_point(|bound| bound <= bucket)] += count;
        }
        counts
    }

    /// Where the numbers lie; None where there are none.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        let (min, max) = (self.least?, self.most?);
        let at = |percent: u64| {
            let rank = u64::try_from((u128::from(self.keys) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX);
            let mut passed = 0;
            let bucket = self.buckets.iter().find(|(_, count)| {
                passed += **count;
                passed >= rank
            });
            bucket.map_or(max, |(bucket, _)| *bucket).clamp(min, max)
        };
        Some(Spread { keys: self.keys, min, median: at(50), p95: at(95), p99: at(99), max })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread(numbers: &[u64]) -> Option<Spread> {
        let mut histogram = Histogram::default();
        numbers.iter().for_each(|number| histogram.add(*number));
        histogram.spread()
    }

    #[test]
    fn percentiles_are_the_least_number_that_so_many_are_not_above() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7]), Some(Spread { keys: 1, min: 7, median: 7, p95: 7, p99: 7, max: 7 }));
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(spread(&hundred), Some(Spread { keys: 100, min: 1, median: 50, p95: 95, p99: 99, max: 100 }));
        assert_eq!(spread(&[u64::MAX, 0]).map(|spread| (spread.min, spread.max)), Some((0, u64::MAX)));
    }

    #[test]
    fn a_length_of_time_is_shown_in_its_two_greatest_units() {
        for (seconds, shown) in [(0, "0s"), (59, "59s"), (60, "1m"), (3_605, "1h"), (11_520, "3h12m"), (90_000, "1d1h")]
        {
            assert_eq!(span(seconds), shown);
        }
    }

    proptest! {
        #[test]
        fn a_percentile_is_off_by_less_than_one_in_a_thousand_however_the_numbers_are_shared(
            mut numbers in prop::collection::vec(prop_oneof![0_u64..3_000, any::<u64>()], 1..200),
            split in 0_usize..200,
        ) {
            let (one, other) = numbers.split_at(split.min(numbers.len()));
            let mut joined = Histogram::default();
            for part in [other, one] {
                let mut histogram = Histogram::default();
                part.iter().for_each(|number| histogram.add(*number));
                joined.join(&histogram);
            }
            prop_assert_eq!(joined.spread(), spread(&numbers));
            numbers.sort_unstable();
            let found = joined.spread().expect("there are numbers");
            for (percent, seen) in [(50, found.median), (95, found.p95), (99, found.p99)] {
                let exact = numbers[(numbers.len() * percent).div_ceil(100) - 1];
                prop_assert!(seen <= exact && exact - seen <= exact / 1024, "p{percent}: {seen} for {exact}");
                prop_assert!(exact >= 2048 || seen == exact);
            }
            prop_assert_eq!((found.min, found.max), (numbers[0], numbers[numbers.len() - 1]));
        }
    }
}
