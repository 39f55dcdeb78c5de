//! The first pass over all rows: which storage classes each column holds, and where units begin and end.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::database::refused::Refused;
use crate::database::sqlite::refused;

use super::super::pace::Pace;
use super::kind::{Seen, is_written_number};
use super::place::Table;

/// Rows and bytes of a unit, of which the first that is reached ends it.
const UNIT_ROWS: u64 = 1 << 16;
const UNIT_BYTES: u64 = 16 << 20;

/// How many rows pass between two looks at the clock.
const CLOCK_ROWS: u64 = 1024;

/// What was learnt.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// For each column what its values are.
    pub seen: Vec<Seen>,
    /// Where units begin and end.
    pub ranges: Vec<Range>,
    /// All rows.
    pub rows: u64,
    /// Bytes of text and bytes of the largest row.
    pub largest_row: u64,
}

/// Rows of a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Range {
    /// The first and last rowid.
    pub first: i64,
    pub last: i64,
    /// How many rows there are.
    pub rows: u64,
    /// Bytes that they take, about.
    pub bytes: u64,
}

/// Looks at every row.
///
/// # Errors
/// What SQLite said, or that the whole has taken as long as it may.
pub(super) fn survey(connection: &Connection, table: &Table, pace: &Pace) -> Result<Survey, Refused> {
    let failed = |error: rusqlite::Error| refused(&error);
    let mut expressions = vec![table.rowid];
    expressions.extend(table.columns.iter().map(|column| column.expression.as_str()));
    let sql = format!("SELECT {} FROM {} ORDER BY {}", expressions.join(", "), table.from, table.rowid);
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut survey = Survey { seen: vec![Seen::default(); table.columns.len()], ..Survey::default() };
    let mut range = Range::default();
    while let Some(row) = rows.next().map_err(failed)? {
        if survey.rows % CLOCK_ROWS == 0 {
            pace.left().map_err(Refused::new)?;
        }
        let rowid: i64 = row.get(0).map_err(failed)?;
        let mut bytes = 0;
        for (index, seen) in survey.seen.iter_mut().enumerate() {
            bytes += 8 + look(row.get_ref(index + 1).map_err(failed)?, seen);
        }
        survey.rows += 1;
        survey.largest_row = survey.largest_row.max(bytes);
        if range.rows == 0 {
            range.first = rowid;
        }
        range.last = rowid;
        range.rows += 1;
        range.bytes += bytes;
        if range.rows >= UNIT_ROWS || range.bytes >= UNIT_BYTES {
            survey.ranges.push(std::mem::take(&mut range));
        }
    }
    if range.rows > 0 {
        survey.ranges.push(range);
    }
    Ok(survey)
}

/// Notes a value; its length.
fn look(value: ValueRef<'_>, seen: &mut Seen) -> u64 {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(value) => {
            seen.integer = true;
            seen.beyond_bit |= !(0..=1).contains(&value);
        }
        ValueRef::Real(_) => seen.real = true,
        ValueRef::Text(text) => {
            seen.text = true;
            seen.written_number = seen.written_number || is_written_number(text);
            return text.len() as u64;
        }
        ValueRef::Blob(bytes) => {
            seen.blob = true;
            return bytes.len() as u64;
        }
    }
    0
}
