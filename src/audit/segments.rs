//! What of a contract was compared by segments of its key, when, and by which run: what a run that was cut off leaves to the
//! one that goes on from it. Only values; nothing is compared here.

use jiff::Timestamp;

use crate::sides::{Side, Sides};

/// A reading of both sides, by one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The run.
    pub run_id: String,
    /// The instant that each side was read at: that of a database's snapshot; of files when the run began.
    pub read_at: Sides<Option<Timestamp>>,
    /// What each database calls the state that was read.
    pub snapshot: Sides<Option<String>>,
    /// Rows of each side that stand as they were read then.
    pub rows: Sides<u64>,
}

/// How a contract stands to the run that was cut off before, or to the one that may go on from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    /// The run that this one goes on from; None where it is no continuation, and was itself cut off.
    pub resumed: Option<String>,
    /// The contract was taken over as that run found it, and nothing of it was read now.
    pub whole: bool,
    /// The readings, the oldest first. In a contract that was compared to its end they cover every row.
    pub readings: Vec<Reading>,
    /// What another run may keep of a contract that was cut off.
    pub kept: Option<Kept>,
}

impl Segments {
    /// The earliest instant that a side was read at.
    #[must_use]
    pub fn oldest(&self, side: Side) -> Option<Timestamp> {
        oldest(&self.readings, side)
    }

    /// Whether anything stands as an earlier run read it.
    #[must_use]
    pub fn is_sum(&self) -> bool {
        self.resumed.is_some() && !self.readings.is_empty()
    }
}

/// Rows that agree, by ranges of the leading number of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The readings that the ranges name by their place, the oldest first.
    pub readings: Vec<Reading>,
    /// In ascending order; none overlaps another.
    pub ranges: Vec<Range>,
    /// By which the inputs are known again: a digest of a side's columns, and of the content of its files. None where there is no
    /// telling.
    pub inputs: Sides<Option<[u8; 32]>>,
}

/// All rows whose leading number lies in it agree: both sides have as many, and the sums of their digests are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first number.
    pub low: i64,
    /// The last number.
    pub high: i64,
    /// Rows of each side.
    pub rows: u64,
    /// The sum of the digests of either side's rows; None where a database told other sums.
    pub sum: Option<[u8; 32]>,
    /// Which reading found it, by its place.
    pub reading: usize,
}

impl Kept {
    /// Rows of each side.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.ranges.iter().map(|range| range.rows).sum()
    }

    /// The earliest instant that a side was read at.
    #[must_use]
    pub fn oldest(&self, side: Side) -> Option<Timestamp> {
        oldest(&self.readings, side)
    }

    /// In what it contradicts itself, if it does: then nothing of it is believed.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        let mut rows = vec![0_u64; self.readings.len()];
        let mut before: Option<i64> = None;
        for range in &self.ranges {
            if range.low > range.high || before.is_some_and(|high| range.low <= high) {
                return Some(format!("the range from {} to {} overlaps another, or is none", range.low, range.high));
            }
            before = Some(range.high);
            let Some(of_reading) = rows.get_mut(range.reading) else {
                return Some(format!("the range from {} to {} is of no reading", range.low, range.high));
            };
            *of_reading = of_reading.saturating_add(range.rows);
        }
        let unlike = |(reading, rows): (&Reading, &u64)| reading.rows != Sides::from_fn(|_| *rows);
        let unlike = self.readings.iter().zip(&rows).any(unlike);
        unlike.then(|| "the rows of its ranges are not those of its readings".to_owned())
    }
}

fn oldest(readings: &[Reading], side: Side) -> Option<Timestamp> {
    readings.iter().filter_map(|reading| *reading.read_at.get(side)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ranges: &[(i64, i64, u64, usize)], rows: &[u64]) -> Kept {
        let range = |&(low, high, rows, reading): &_| Range { low, high, rows, sum: None, reading };
        let reading = |rows: &u64| Reading { rows: Sides::from_fn(|_| *rows), ..Reading::default() };
        Kept {
            readings: rows.iter().map(reading).collect(),
            ranges: ranges.iter().map(range).collect(),
            inputs: Sides::default(),
        }
    }

    #[test]
    fn what_contradicts_itself_is_not_believed() {
        assert_eq!(kept(&[(1, 5, 5, 0), (6, 6, 1, 1), (9, 9, 0, 0)], &[5, 1]).broken(), None);
        assert_eq!(kept(&[(1, 5, 5, 0), (6, 6, 1, 1)], &[5, 1]).rows(), 6);
        let cases: [(Kept, &str); 5] = [
            (kept(&[(1, 5, 5, 0), (5, 6, 1, 0)], &[6]), "from 5 to 6 overlaps"),
            (kept(&[(5, 6, 1, 0), (1, 4, 5, 0)], &[6]), "from 1 to 4 overlaps"),
            (kept(&[(5, 4, 1, 0)], &[1]), "or is none"),
            (kept(&[(1, 5, 5, 1)], &[5]), "is of no reading"),
            (kept(&[(1, 5, 5, 0)], &[4]), "are not those of its readings"),
        ];
        for (kept, expected) in cases {
            let said = kept.broken().unwrap_or_default();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_side_is_as_old_as_the_first_reading_of_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut kept = kept(&[], &[0, 0]);
        kept.readings[0].read_at = Sides { authority: Some(at(7)), projection: None };
        kept.readings[1].read_at = Sides { authority: Some(at(9)), projection: Some(at(8)) };
        assert_eq!((kept.oldest(Side::Authority), kept.oldest(Side::Projection)), (Some(at(7)), Some(at(8))));
    }
}
