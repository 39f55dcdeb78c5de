//! Holds the sorted lines of two copies against each other, in one pass. It sees no values.
//!
//! A row that one copy lacks, has twice or ought not to have says nothing of its attributes: against such a row no attribute of
//! the other copy is right or healed, the fault has changed.

use std::cmp::Ordering;
use std::io;

use super::lines::{Line, Sorted};
use crate::audit::Status;

/// Lines with the first of them at hand.
struct Ahead<'a> {
    rest: Sorted<'a>,
    line: Option<Line>,
    /// The last row that was wrong as a whole in this copy alone.
    row: Option<Line>,
}

impl<'a> Ahead<'a> {
    fn new(mut rest: Sorted<'a>) -> io::Result<Self> {
        let line = rest.next()?;
        Ok(Self { rest, line, row: None })
    }

    fn take(&mut self) -> io::Result<Option<Line>> {
        let next = self.rest.next()?;
        Ok(std::mem::replace(&mut self.line, next))
    }

    /// Takes a line that the other copy does not have.
    fn take_alone(&mut self) -> io::Result<Option<Line>> {
        let taken = self.take()?;
        if let Some(line) = taken.filter(Line::is_row) {
            self.row = Some(line);
        }
        Ok(taken)
    }

    /// The fault of this copy that stands against a line of the other one: the row as a whole, or the first attribute where
    /// the line is about the row as a whole.
    fn against(&self, line: &Line) -> Option<Line> {
        let first = self.line.filter(|own| line.is_row() && own.key == line.key);
        self.row.filter(|row| row.key == line.key).or(first)
    }
}

/// Tells how each line of either copy stands to the other copy, in the order of keys. What of the old copy is neither
/// matched nor healed (on its way, not compared, a part of what has changed) is not told.
pub(super) fn weigh(
    projection: Sorted<'_>,
    baseline: Sorted<'_>,
    mut each: impl FnMut(Status, Option<Line>, Option<Line>),
) -> io::Result<()> {
    let (mut new, mut old) = (Ahead::new(projection)?, Ahead::new(baseline)?);
    loop {
        let place = |line: Line| (line.key, line.attribute);
        let both = match (new.line.map(place), old.line.map(place)) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) => one.cmp(&other),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
        };
        match both {
            Ordering::Equal => {
                let (Some(one), Some(other)) = (new.take()?, old.take()?) else { return Ok(()) };
                let status = match () {
                    () if one.in_flight => Status::InFlight,
                    () if one.value == other.value => Status::Inherited,
                    () => Status::Changed,
                };
                each(status, Some(one), Some(other));
            }
            Ordering::Less => {
                let Some(one) = new.take_alone()? else { return Ok(()) };
                let other = old.against(&one);
                let status = match () {
                    () if one.in_flight => Status::InFlight,
                    () if other.is_some() => Status::Changed,
                    () if one.untold => Status::Untold,
                    () => Status::Regression,
                };
                each(status, Some(one), other);
            }
            Ordering::Greater => {
                let Some(other) = old.take_alone()? else { return Ok(()) };
                if new.against(&other).is_none() && !other.untold && !other.in_flight {
                    each(Status::Healed, None, Some(other));
                }
            }
        }
    }
}
