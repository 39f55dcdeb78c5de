//! Markers: columns whose values tell earlier from later (`version_column`, `updated_at`), and the column that says whether
//! a row is a tombstone (`deleted`).
//!
//! A marker is a number, an instant, or a time on a clock without zone, whatever type or text holds it. Two markers
//! have an order only where they are of one sort; a value that is none of them tells nothing. It never guesses a zone, and
//! never takes one text for later than another because of its letters.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{Decimal128Type, Field};

use crate::contract::{LogicalType, Options, Source};

use super::bind::own;
use super::ground::{Shape, describe, shape};
use super::rules::SideRules;
use super::{Comparison, convert};

/// What a marker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Clock {
    /// Numbers, in thousand-millionths.
    Number,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Instant,
    /// Nanoseconds since 1970-01-01T00:00:00 on a clock whose zone nothing says.
    Local,
}

impl Clock {
    const ALL: [Self; 3] = [Self::Number, Self::Instant, Self::Local];
    /// Of a marker in one version, or in one second.
    pub const UNIT: i128 = 1_000_000_000;
}

/// One marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// What it counts.
    pub clock: Clock,
    /// How far it has come.
    pub at: i128,
}

impl Mark {
    /// How far it lies after another, where the two have an order.
    #[must_use]
    pub fn after(self, other: Self) -> Option<i128> {
        if self.clock == other.clock { self.at.checked_sub(other.at) } else { None }
    }
}

/// How a column is read as markers.
#[derive(Clone, Debug)]
pub struct Marker {
    rules: SideRules,
    times_only: bool,
}

impl Marker {
    /// How a source's column is read: `times_only` where a number would be no marker.
    ///
    /// # Errors
    /// What is wrong with the column's type, as a sentence part.
    pub fn bind(source: &Source, field: &Field, times_only: bool) -> Result<Self, String> {
        let fits = match shape(field) {
            Shape::Null | Shape::Text | Shape::Date | Shape::Local | Shape::Zoned => true,
            Shape::Integer { .. } | Shape::Decimal { .. } | Shape::Float { .. } | Shape::NumberText => !times_only,
            _ => false,
        };
        if !fits {
            let expected = if times_only { "times" } else { "numbers or times" };
            return Err(format!("column `{}` is {}, expected {expected}", field.name(), describe(field)));
        }
        Ok(Self { rules: rules(source, field, None), times_only })
    }

    /// The markers of a column.
    #[must_use]
    pub fn read(&self, array: &ArrayRef) -> Marks {
        let mut marks = Marks { values: vec![None; array.len()], unknown: 0 };
        if array.data_type().is_null() {
            return marks;
        }
        for clock in Clock::ALL {
            if self.counts(clock) {
                self.add(array, clock, &mut marks.values);
            }
        }
        let nulls = array.logical_nulls();
        let there = (0..array.len()).filter(|row| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)));
        marks.unknown = there.filter(|row| marks.values[*row].is_none()).count() as u64;
        marks
    }

    /// Whether the column may hold such markers.
    fn counts(&self, clock: Clock) -> bool {
        let is_zoned = self.rules.zone.is_some();
        match shape(&self.rules.field) {
            Shape::Text => match clock {
                Clock::Number => !self.times_only,
                Clock::Instant => true,
                Clock::Local => !is_zoned,
            },
            Shape::Date | Shape::Local => clock == if is_zoned { Clock::Instant } else { Clock::Local },
            Shape::Zoned => clock == Clock::Instant,
            _ => clock == Clock::Number,
        }
    }

    /// Reads the column as one sort of marker, for the rows that have none yet.
    fn add(&self, array: &ArrayRef, clock: Clock, into: &mut [Option<Mark>]) {
        if into.iter().all(Option::is_some) {
            return;
        }
        let comparison = match clock {
            Clock::Number => Comparison::Decimal { precision: 38, scale: 9 },
            Clock::Instant => Comparison::Instant,
            Clock::Local => Comparison::Timestamp,
        };
        let converted = convert(array, &comparison, &self.rules);
        let Some(values) = converted.values.as_primitive_opt::<Decimal128Type>() else { return };
        let mut faults = converted.faults.iter().map(|(row, _)| *row).peekable();
        for (row, mark) in into.iter_mut().enumerate() {
            let fault = faults.next_if_eq(&row).is_some();
            if mark.is_none() && !fault && values.is_valid(row) {
                *mark = Some(Mark { clock, at: values.value(row) });
            }
        }
    }
}

/// The markers of some rows.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// Of each row; None for NULL and for what is no marker.
    pub values: Vec<Option<Mark>>,
    /// How many values are no markers.
    pub unknown: u64,
}

/// The greatest markers of a side, one of each sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Greatest([Option<i128>; 3]);

impl Greatest {
    /// Takes a marker in.
    pub fn add(&mut self, mark: Mark) {
        let held = &mut self.0[mark.clock as usize];
        *held = (*held).max(Some(mark.at));
    }

    /// Takes another's in.
    pub fn join(&mut self, other: Self) {
        for (held, more) in self.0.iter_mut().zip(other.0) {
            *held = (*held).max(more);
        }
    }

    /// The greatest of this sort.
    #[must_use]
    pub fn of(&self, clock: Clock) -> Option<Mark> {
        self.0[clock as usize].map(|at| Mark { clock, at })
    }
}

/// A boolean column that says of each row whether it is a tombstone.
#[derive(Clone, Debug)]
pub struct Flag(SideRules);

impl Flag {
    /// How a source's column is read as booleans.
    ///
    /// # Errors
    /// What is wrong with the column's type, as a sentence part.
    pub fn bind(source: &Source, field: &Field) -> Result<Self, String> {
        match shape(field) {
            Shape::Null | Shape::Boolean | Shape::Text | Shape::NumberText | Shape::Integer { .. } => {
                Ok(Self(rules(source, field, Some(LogicalType::Boolean))))
            }
            _ => Err(format!("column `{}` is {}, expected a boolean", field.name(), describe(field))),
        }
    }

    /// Which rows it is true of; NULL is not true.
    ///
    /// # Errors
    /// The first value that is no boolean, as it stands.
    pub fn read(&self, array: &ArrayRef) -> Result<BooleanArray, String> {
        if array.data_type().is_null() {
            return Ok(std::iter::repeat_n(Some(false), array.len()).collect());
        }
        let converted = convert(array, &Comparison::Boolean, &self.0);
        if let Some((row, _)) = converted.faults.first() {
            return Err(super::shown(array, &self.0, *row).unwrap_or_default());
        }
        Ok(converted.values.as_boolean().iter().map(|value| Some(value == Some(true))).collect())
    }
}

/// How a source's own column is read, without the options of any attribute.
fn rules(source: &Source, field: &Field, logical_type: Option<LogicalType>) -> SideRules {
    let options = Options { logical_type, ..Options::default() };
    let mut rules = SideRules::new(field, &options, &source.csv, false);
    rules.own = own(field);
    rules.zone.clone_from(&source.timezone);
    rules
}

#[cfg(test)]
mod tests;
