//! Whether two canonical values are near enough. Exact in every case: numbers as decimals, times in nanoseconds.

use arrow::array::Array;

use crate::contract::Tolerance;
use crate::sides::Sides;

use super::cell::{Cell, cell, number};
use super::number::{Bound, near};
use super::time::DAY;
use super::{CanonicalColumn, Comparison};

/// See `normalise::within`.
pub(super) fn within(
    tolerance: &Tolerance,
    comparison: &Comparison,
    columns: Sides<&CanonicalColumn>,
    rows: Sides<usize>,
) -> bool {
    let places = columns.zip(rows);
    if places.iter().any(|(_, (column, row))| is_fault(column, *row)) {
        return false;
    }
    let cells = places.map(|_, (column, row)| cell(column.values.as_ref() as &dyn Array, row));
    match (cells.authority, cells.projection) {
        (Cell::Null, Cell::Null) => return true,
        (Cell::Null, _) | (_, Cell::Null) => return false,
        _ => {}
    }
    let bound = match tolerance {
        Tolerance::Absolute(bound) => Bound::Absolute(bound),
        Tolerance::Relative(fraction) => Bound::Relative(fraction),
        Tolerance::Time(span) => {
            let distance = match (nanoseconds(comparison, cells.authority), nanoseconds(comparison, cells.projection)) {
                (Some(authority), Some(projection)) => authority.checked_sub(projection),
                _ => None,
            };
            return distance.is_some_and(|distance| distance.unsigned_abs() <= span.0.max(0).unsigned_abs());
        }
    };
    match (number(comparison, cells.authority), number(comparison, cells.projection)) {
        (Some(authority), Some(projection)) => near([&authority, &projection], bound),
        _ => false,
    }
}

/// Whether a row of a column is a fault.
pub(super) fn is_fault(column: &CanonicalColumn, row: usize) -> bool {
    !column.faults.is_empty()
        && u32::try_from(row).is_ok_and(|row| column.faults.binary_search_by_key(&row, |fault| fault.row).is_ok())
}

fn nanoseconds(comparison: &Comparison, cell: Cell<'_>) -> Option<i128> {
    match (comparison, cell) {
        (Comparison::Date, Cell::Day(days)) => Some(i128::from(days) * DAY),
        (Comparison::Time, Cell::Int(value)) => Some(i128::from(value)),
        (Comparison::Timestamp | Comparison::Instant | Comparison::Duration, Cell::Wide(value)) => Some(value),
        _ => None,
    }
}
