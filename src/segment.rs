//! Checksums of parts of a table that a database computes where its rows lie, and the same again here: the text of a row,
//! its MD5 as four lanes, their sums, and how keys are cut into segments. It reads nothing and connects to nothing.
//!
//! ```text
//!   key ──► segment                       row, attributes in the binding's order, the key first
//!     whole numbers: (key - low) / step     7 │ Grün │ 10.50 │ NULL
//!     all else: first bits of MD5(key)             │ canonical text of each form, escaped: \ as \\ and | as \|, NULL as \N
//!                                                  ▼
//!                                         7|Grün|10.5|\N        UTF-8
//!                                                  │ MD5
//!                                                  ▼
//!                                         ac1d… = lane 0, lane 1, lane 2, lane 3, of 32 bits each
//!   for each segment                               │
//!     COUNT(*) ◄───────────────────────────────────┤
//!     SUM of each lane, as an exact integer ◄──────┘
//!     how many rows are unsure: a value that the text does not cover, or NULL in the key
//! ```
//!
//! Equal rows have equal texts, and only they: no form writes `|` or `\` unescaped, and no form writes `\N`. A value that its
//! form does not cover (infinity, a zero date, a fault) makes its row unsure, and a segment with such a row is never taken
//! to be equal: it is read, and compared like everything else.

use crate::database::Native;
use crate::normalise::{BoundAttribute, Comparison};

mod kernel;
pub mod statement;
#[cfg(test)]
mod tests;

pub use kernel::{Kernel, Texts};

/// What a value becomes before it is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A number: its digits, a point only where something follows it that is not zero.
    Number,
    /// `1` and `0`.
    Boolean,
    /// Itself.
    Text,
    /// Hexadecimal digits, in lower case.
    Bytes,
    /// `2026-02-28`, from the year 1 to 9999.
    Date,
    /// `2026-02-28 02:00:00.000000`: to the microsecond; instants in UTC.
    Stamp,
    /// Its 36 characters, in lower case.
    Uuid,
}

impl Form {
    /// The form of what is compared so; None where there is no text that all systems write alike.
    #[must_use]
    pub fn of(comparison: &Comparison) -> Option<Self> {
        match comparison {
            Comparison::Integer | Comparison::Decimal { .. } | Comparison::Number => Some(Self::Number),
            Comparison::Boolean => Some(Self::Boolean),
            Comparison::Text => Some(Self::Text),
            Comparison::Binary => Some(Self::Bytes),
            Comparison::Date => Some(Self::Date),
            Comparison::Timestamp | Comparison::Instant => Some(Self::Stamp),
            Comparison::Uuid => Some(Self::Uuid),
            Comparison::Null
            | Comparison::Float
            | Comparison::Time
            | Comparison::Duration
            | Comparison::Interval
            | Comparison::Json
            | Comparison::Nested(_) => None,
        }
    }
}

/// Whether a database's text of a column is that of the comparison, for every value that is not unsure.
#[must_use]
pub fn covers(native: Native, comparison: &Comparison) -> bool {
    match native {
        Native::Integer => {
            matches!(
                comparison,
                Comparison::Integer | Comparison::Decimal { .. } | Comparison::Number | Comparison::Boolean
            )
        }
        Native::Decimal => matches!(comparison, Comparison::Decimal { .. } | Comparison::Number),
        Native::Boolean => *comparison == Comparison::Boolean,
        Native::Text => *comparison == Comparison::Text,
        Native::Bytes => *comparison == Comparison::Binary,
        Native::Date => *comparison == Comparison::Date,
        Native::Local => *comparison == Comparison::Timestamp,
        Native::Instant => *comparison == Comparison::Instant,
        Native::Uuid => *comparison == Comparison::Uuid,
    }
}

/// Why an attribute has no text that all systems write alike, whatever its columns are; None where it may have one.
#[must_use]
pub fn uncovered(attribute: &BoundAttribute) -> Option<&'static str> {
    let options = &attribute.options;
    if attribute.tolerance.is_some() || options.tolerance.is_some() {
        return Some("it has a tolerance");
    }
    if options.unicode.is_some()
        || options.collapse_spaces
        || options.trim.is_some()
        || options.ignore_case
        || !options.null_equals.is_empty()
        || options.translate.is_some()
        || options.round.is_some()
    {
        return Some("an option changes its values before they are compared");
    }
    if attribute.columns.iter().any(|(_, column)| !column.members.is_empty()) {
        return Some("it is a member of a struct");
    }
    match attribute.comparison {
        Comparison::Float => Some("it is compared as a float"),
        Comparison::Json => Some("it is compared as JSON"),
        Comparison::Null => Some("it is NULL in every row of both sides"),
        ref comparison => Form::of(comparison).is_none().then_some("systems write its type in different ways"),
    }
}

/// What was counted and summed of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Rows.
    pub rows: u64,
    /// Sums of the lanes of each row's MD5.
    pub lanes: [u128; 4],
    /// Rows that no sum tells about.
    pub unsure: u64,
    /// Keys that differ, where they were counted.
    pub keys: Option<u64>,
}

impl Sums {
    /// Counts a row.
    pub fn add(&mut self, lanes: Option<[u32; 4]>) {
        self.rows += 1;
        match lanes {
            None => self.unsure += 1,
            Some(lanes) => {
                self.lanes.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += u128::from(lane));
            }
        }
    }

    /// Adds the rows of another part of the same segment.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.unsure += other.unsure;
        self.lanes.iter_mut().zip(other.lanes).for_each(|(sum, lane)| *sum += lane);
    }

    /// Whether both hold the same rows, and no key twice: on one side that is known or was counted, and so it holds on both.
    #[must_use]
    pub fn agree(&self, other: &Self, unique: bool) -> bool {
        let counted = [self, other].iter().any(|sums| sums.keys == Some(sums.rows));
        self.unsure == 0
            && other.unsure == 0
            && self.rows == other.rows
            && self.lanes == other.lanes
            && (unique || counted)
    }
}

/// How keys are cut into segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By the leading attribute of the key, a whole number on both sides: stretches in ascending order that do not overlap.
    Ranges(Vec<Stretch>),
    /// By so many bits of the MD5 of the key's text.
    Hash {
        /// From 0 to 16.
        bits: u32,
    },
}

/// Whole numbers from `low` to `high`, in `count` segments of `step` numbers each; the last segment may have fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first number.
    pub low: i64,
    /// The last number.
    pub high: i64,
    /// Numbers in a segment, at least one.
    pub step: u64,
    /// Segments.
    pub count: u32,
    /// The number of its first segment among all.
    pub first: u32,
}

impl Stretch {
    /// The numbers of one of its segments, the first and the last.
    #[must_use]
    pub fn segment(&self, index: u32) -> (i64, i64) {
        let low = i128::from(self.low) + i128::from(self.step) * i128::from(index);
        let high = low + i128::from(self.step) - 1;
        // What lies behind the last number is no part of the stretch, and may be one of the next.
        let within = |number: i128| i64::try_from(number).map_or(self.high, |number| number.min(self.high));
        (within(low), within(high))
    }
}

impl Cut {
    /// How many segments there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Ranges(stretches) => stretches.last().map_or(0, |last| (last.first + last.count) as usize),
            Self::Hash { bits } => 1 << bits,
        }
    }
}

/// The rows that are read all the same, by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Those whose leading number lies in one of these ranges, ascending, first and last; and those that have none.
    Ranges(Vec<(i64, i64)>),
    /// Those of these segments, ascending; and those that have none.
    Hash {
        /// Bits of the cut.
        bits: u32,
        /// The segments.
        segments: Vec<u32>,
    },
}

impl Chosen {
    /// Adds a range behind the others; ranges that touch become one.
    pub fn join(ranges: &mut Vec<(i64, i64)>, (low, high): (i64, i64)) {
        match ranges.last_mut() {
            Some(last) if last.1.checked_add(1).is_none_or(|next| low <= next) => last.1 = last.1.max(high),
            _ => ranges.push((low, high)),
        }
    }

    /// Whether a row is read, by its leading number.
    #[must_use]
    pub fn has_number(&self, number: Option<i64>, outside: bool) -> bool {
        let Self::Ranges(ranges) = self else { return true };
        let Some(number) = number.filter(|_| !outside) else { return true };
        let behind = ranges.partition_point(|(low, _)| *low <= number);
        behind.checked_sub(1).is_some_and(|index| number <= ranges[index].1)
    }
}
