//! Tables, views and queries of a SQLite file, read in one read transaction. What has no rowid that is its own (views, queries,
//! `WITHOUT ROWID` tables, what `filter` leaves) is copied first to a temporary table of SQLite, so that everything is read
//! by ascending rowid and a unit is the same whenever it is read. The file is never written, and no value is converted.
//!
//! SQLite's columns hold values of any storage class, so a first pass over the rows learns which classes each really
//! holds (`survey`); the declared type alone is never believed.

use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use arrow::datatypes::{Schema, SchemaRef};
use rusqlite::Connection;

use crate::contract::{Database, Rows, Source};
use crate::database::refused::Refused;
use crate::database::sqlite::{open_read_only, refused};

use super::pace::{Pace, duration};
use super::{Error, OpenOptions, Opened, Snapshot, Unit};

mod build;
mod kind;
mod place;
mod remote;
mod survey;
#[cfg(test)]
mod tests;
mod unit;

use kind::Kind;
use place::{Place, Table};
use survey::Survey;
use unit::RangeUnit;

/// Opens a table or query of a SQLite file.
///
/// # Errors
/// A file that is not there or is no database, a table that is not there, a query that is refused.
pub(super) fn open(source: &Source, database: &Database, options: &OpenOptions) -> Result<Opened, Error> {
    let failed =
        |refused: Refused| Error { place: database.shown.clone(), problem: refused.problem, hint: refused.hint };
    let path = Path::new(database.url.reveal());
    let connection = open_read_only(path).map_err(failed)?;
    remote::register(&connection).map_err(|error| failed(refused(&error)))?;
    let pace = Pace::new(&database.limits, options.began);
    let snapshot = begin(&connection).map_err(|error| failed(refused(&error)))?;
    let place = match &database.rows {
        Rows::Table(name) => Place::of_table(&connection, name, source.filter.as_deref()),
        Rows::Query(query) => Place::of_query(&connection, query, source.filter.as_deref()),
    };
    let limit =
        [pace.left().map_err(|said| failed(Refused::new(said)))?, database.limits.statement_timeout.map(duration)];
    let limit = limit.into_iter().flatten().min();
    let table = place.and_then(|place| place.table(&connection, limit)).map_err(failed)?;
    let survey = survey::survey(&connection, &table, &pace).map_err(failed)?;
    let warnings = if survey.rows == 0 { vec![format!("{}: has no rows", database.shown)] } else { Vec::new() };
    let (schema, units) = units(connection, table, &survey, pace, database, options);
    Ok(Opened {
        schema,
        files: Vec::new(),
        file_of: Vec::new(),
        units: super::super::shared(units),
        warnings,
        snapshot: Some(snapshot),
        witnesses: Vec::new(),
    })
}

/// Begins the transaction that everything is read in, and tells of its state.
fn begin(connection: &Connection) -> rusqlite::Result<Snapshot> {
    connection.execute_batch("BEGIN")?;
    // The first reading takes the snapshot.
    connection.query_row("SELECT count(*) FROM main.sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    let taken_at = jiff::Timestamp::now();
    let number = |name: &str| connection.pragma_query_value(Some("main"), name, |row| row.get::<_, i64>(0));
    let journal: String = connection.pragma_query_value(Some("main"), "journal_mode", |row| row.get(0))?;
    let described = format!(
        "SQLite {}, journal mode {journal}, schema version {}, data version {}, {} pages of {} bytes",
        rusqlite::version(),
        number("schema_version")?,
        number("data_version")?,
        number("page_count")?,
        number("page_size")?,
    );
    Ok(Snapshot { taken_at, described })
}

/// The schema, and the units that share the connection.
fn units(
    connection: Connection,
    table: Table,
    survey: &Survey,
    pace: Pace,
    database: &Database,
    options: &OpenOptions,
) -> (SchemaRef, Vec<Box<dyn Unit>>) {
    let kinds: Vec<Kind> =
        table.columns.iter().zip(&survey.seen).map(|(column, seen)| kind::kind(&column.declared, *seen)).collect();
    let fields: Vec<_> = table.columns.iter().zip(&kinds).map(|(column, kind)| kind.field(&column.name)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let shared = Arc::new(unit::Shared {
        shown: database.shown.clone(),
        connection: Mutex::new(connection),
        table,
        kinds,
        schema: Arc::clone(&schema),
        pace,
        statement_timeout: database.limits.statement_timeout.map(duration),
        batch_rows: if options.batch_rows == 0 { super::super::BATCH_ROWS } else { options.batch_rows },
        largest_row: survey.largest_row,
        unreadable: AtomicUsize::new(0),
    });
    let unit =
        |range: &survey::Range| -> Box<dyn Unit> { Box::new(RangeUnit::new(Arc::clone(&shared), range.clone())) };
    (schema, survey.ranges.iter().map(unit).collect())
}
