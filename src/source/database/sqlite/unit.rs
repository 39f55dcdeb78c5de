//! A range of rowids, read page by page on the one connection that holds the snapshot. A page asks for the rows behind the
//! last one, so nothing is held between two pages, and any number of units can be read in turn.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use rusqlite::Connection;

use crate::database::sqlite::refused;

use super::super::super::{Error, Piece, Pieces, Remote, Unit, Unreadable};
use super::super::pace::Pace;
use super::build::Columns;
use super::kind::Kind;
use super::place::Table;
use super::survey::Range;

/// Bytes of a page, at which it ends.
const PAGE_BYTES: usize = 4 << 20;

/// The most stretches of rows that cannot be read, of all units together.
const MOST_UNREADABLE: usize = 10_000;

/// What all units of a source share.
pub(super) struct Shared {
    /// For messages.
    pub shown: String,
    /// The connection whose transaction is the snapshot.
    pub connection: Mutex<Connection>,
    pub table: Table,
    /// For each column what it is read as.
    pub kinds: Vec<Kind>,
    pub schema: SchemaRef,
    pub pace: Pace,
    /// The longest that one statement may take.
    pub statement_timeout: Option<Duration>,
    /// Rows in a batch.
    pub batch_rows: usize,
    /// Bytes of the largest row.
    pub largest_row: u64,
    /// Stretches of rows that cannot be read, of all units.
    pub unreadable: AtomicUsize,
}

/// Rows between two rowids.
pub(super) struct RangeUnit {
    pub(super) shared: Arc<Shared>,
    range: Range,
    /// Holds for the rows that are read, where not all are.
    condition: Option<String>,
    /// The most stretches of rows that could not be read in one reading.
    unreadable: AtomicUsize,
}

impl RangeUnit {
    pub(super) fn new(shared: Arc<Shared>, range: Range) -> Self {
        Self { shared, range, condition: None, unreadable: AtomicUsize::new(0) }
    }

    /// All rows for which a condition holds.
    pub(super) fn picked(shared: Arc<Shared>, condition: String) -> Self {
        let range = Range { first: i64::MIN, last: i64::MAX, ..Range::default() };
        Self { shared, range, condition: Some(condition), unreadable: AtomicUsize::new(0) }
    }
}

impl Unit for RangeUnit {
    fn place(&self) -> String {
        if self.condition.is_some() {
            return format!("{}, rows of segments", self.shared.shown);
        }
        format!("{}, rows {} to {}", self.shared.shown, self.range.first, self.range.last)
    }

    fn rows(&self) -> Option<u64> {
        self.condition.is_none().then_some(self.range.rows)
    }

    fn bytes(&self) -> u64 {
        self.range.bytes
    }

    fn memory(&self, _: &[usize]) -> u64 {
        // A row comes on top of a page that is full, and stands in SQLite's memory as well; builders grow by doubling.
        4 * (PAGE_BYTES as u64 + self.shared.largest_row)
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let shared = &self.shared;
        let schema = shared.schema.project(columns).map_err(|error| Error::new(self.place(), error.to_string()))?;
        let mut expressions = vec![shared.table.rowid];
        expressions.extend(columns.iter().map(|column| shared.table.columns[*column].expression.as_str()));
        let Table { from, rowid, .. } = &shared.table;
        let condition = self.condition.as_ref().map(|condition| format!(" AND ({condition})")).unwrap_or_default();
        let sql = format!(
            "SELECT {} FROM {from} WHERE {rowid} BETWEEN ?1 AND ?2{condition} ORDER BY {rowid} LIMIT ?3",
            expressions.join(", ")
        );
        Ok(Box::new(Pages {
            unit: self,
            kinds: columns.iter().map(|column| &shared.kinds[*column]).collect(),
            schema: Arc::new(schema),
            sql,
            next: Some(self.range.first),
            rows: 0,
            ready: VecDeque::new(),
            broken: None,
            stretches: 0,
        }))
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
}

/// The pages of a unit.
struct Pages<'a> {
    unit: &'a RangeUnit,
    kinds: Vec<&'a Kind>,
    schema: SchemaRef,
    sql: String,
    /// The rowid that the next page begins at; None behind the last.
    next: Option<i64>,
    /// Rows so far.
    rows: u64,
    ready: VecDeque<Piece>,
    /// The last rows, where they cannot be read: more may follow.
    broken: Option<Unreadable>,
    /// Stretches of such rows so far.
    stretches: usize,
}

impl Iterator for Pages<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            let Some(from) = self.next.take() else {
                return self.broken.take().map(|broken| Ok(Piece::Unreadable(broken)));
            };
            if let Err(problem) = self.page(from) {
                self.ready.clear();
                (self.next, self.broken) = (None, None);
                return Some(Err(problem));
            }
        }
    }
}

impl Pages<'_> {
    /// Notes a row that cannot be read, with its neighbours where these cannot for the same reason.
    fn break_at(&mut self, rowid: i64, problem: String) -> Result<(), Error> {
        let (unit, shared) = (self.unit, &self.unit.shared);
        if let Some(broken) = self.broken.as_mut().filter(|broken| broken.problem == problem) {
            broken.rows += 1;
            return Ok(());
        }
        self.stretches += 1;
        // A unit that is read again has the same ones.
        if unit.unreadable.fetch_max(self.stretches, Ordering::SeqCst) < self.stretches
            && shared.unreadable.fetch_add(1, Ordering::SeqCst) >= MOST_UNREADABLE
        {
            let said = format!("more than {MOST_UNREADABLE} rows cannot be read, one of them because {problem}");
            return Err(Error::new(&shared.shown, said));
        }
        let place = format!("{}, row {rowid}", shared.shown);
        self.ready.extend(self.broken.replace(Unreadable { rows: 1, place, problem }).map(Piece::Unreadable));
        Ok(())
    }

    /// Reads a page, and says where the next begins.
    fn page(&mut self, from: i64) -> Result<(), Error> {
        let before = self.rows;
        self.next = self.read_page(from)?;
        let shared = &self.unit.shared;
        let read = usize::try_from(self.rows - before).unwrap_or(usize::MAX);
        shared.pace.wait(read).map_err(|said| Error::new(self.unit.place(), said))?;
        let expected = self.unit.range.rows;
        if self.unit.condition.is_none() && self.next.is_none() && self.rows != expected {
            let problem = format!("gave {} rows, and {expected} when it was first read", self.rows);
            return Err(Error::new(self.unit.place(), problem));
        }
        Ok(())
    }

    fn read_page(&mut self, from: i64) -> Result<Option<i64>, Error> {
        let (unit, shared) = (self.unit, &self.unit.shared);
        let failed = |error: rusqlite::Error| {
            let said = refused(&error);
            Error { place: unit.place(), problem: said.problem, hint: said.hint }
        };
        let made = |error: arrow::error::ArrowError| Error::new(unit.place(), error.to_string());
        let connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = connection.prepare_cached(&self.sql).map_err(failed)?;
        let limit = i64::try_from(shared.batch_rows).unwrap_or(i64::MAX);
        let mut rows = statement.query((from, unit.range.last, limit)).map_err(failed)?;
        let mut columns = Columns::new(self.kinds.iter().copied());
        let mut last = None;
        while let Some(row) = rows.next().map_err(failed)? {
            let rowid: i64 = row.get(0).map_err(failed)?;
            last = Some(rowid);
            self.rows += 1;
            let value = |index: usize| row.get_ref(index + 1);
            let problem = (0..self.kinds.len()).find_map(|index| match value(index) {
                Ok(value) => columns.problem(index, value).map(|problem| (index, problem)),
                Err(_) => Some((index, "cannot be read")),
            });
            if let Some((index, problem)) = problem {
                if columns.rows > 0 {
                    self.ready.push_back(Piece::Rows(columns.finish(&self.schema).map_err(made)?));
                }
                let problem = format!("column `{}` {problem}", self.schema.field(index).name());
                self.break_at(rowid, problem)?;
                continue;
            }
            self.ready.extend(self.broken.take().map(Piece::Unreadable));
            for index in 0..self.kinds.len() {
                columns.append(index, value(index).map_err(failed)?);
            }
            columns.rows += 1;
            if columns.bytes >= PAGE_BYTES {
                break;
            }
        }
        if columns.rows > 0 {
            self.ready.push_back(Piece::Rows(columns.finish(&self.schema).map_err(made)?));
        }
        Ok(last.filter(|last| *last < unit.range.last).map(|last| last + 1))
    }
}
