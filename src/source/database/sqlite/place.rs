//! What is read: finds a table's columns and its rowid, or copies to a temporary table what has none.

use std::sync::mpsc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::contract::System;
use crate::database::dialect::{quoted_name, table_parts};
use crate::database::refused::Refused;
use crate::database::sqlite::refused;

/// The temporary table that rows are copied to; it is gone with the connection.
const COPY: &str = "temp.\"reconcile: rows\"";

/// Names of the rowid, of which a column may hide some.
const ROWIDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A column as it is read.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name.
    pub name: String,
    /// The type that it is declared with; empty where there is none.
    pub declared: String,
    /// The expression that reads it.
    pub expression: String,
}

/// Rows that are read by their rowid.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The table in SQL.
    pub from: String,
    /// Its rowid in SQL.
    pub rowid: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// What the contract names.
#[derive(Debug)]
pub(super) enum Place {
    /// A table that is read where it is.
    Own(Table),
    /// The result of a statement, which is copied.
    Copied {
        /// The statement.
        select: String,
        columns: Vec<Column>,
    },
}

impl Place {
    /// A table or view.
    ///
    /// # Errors
    /// A name that is none, or that no table has.
    pub(super) fn of_table(connection: &Connection, written: &str, filter: Option<&str>) -> Result<Self, Refused> {
        let (name, is_own) = find(connection, written)?;
        let columns = columns(connection, &name).map_err(|error| refused(&error))?;
        let from = format!("main.{}", quoted_name(System::Sqlite, &name));
        let hidden = |rowid: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(rowid));
        let rowid = ROWIDS.into_iter().find(|rowid| !hidden(rowid));
        match (rowid, filter) {
            (Some(rowid), None) if is_own => Ok(Self::Own(Table { from, rowid, columns })),
            _ => {
                let expressions: Vec<&str> = columns.iter().map(|column| column.expression.as_str()).collect();
                let filter = filter.map(|filter| format!("\nWHERE (\n{filter}\n)")).unwrap_or_default();
                let select = format!("SELECT {} FROM {from}{filter}", expressions.join(", "));
                Ok(Self::Copied { select, columns })
            }
        }
    }

    /// The result of a query.
    ///
    /// # Errors
    /// A query that is refused, or has two columns of one name.
    pub(super) fn of_query(connection: &Connection, query: &str, filter: Option<&str>) -> Result<Self, Refused> {
        let query = query.trim().trim_end_matches(';');
        let statement = connection.prepare(query).map_err(|error| refused(&error))?;
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(Refused::new("`query` is no query, expected a SELECT"));
        }
        let column = |(name, declared): (String, String)| {
            let expression = quoted_name(System::Sqlite, &name);
            Column { name, declared, expression }
        };
        let told = statement.columns();
        let told = told.map(|told| (told.name().to_owned(), told.decl_type().unwrap_or_default().to_owned()));
        let columns: Vec<Column> = told.map(column).collect();
        for (index, column) in columns.iter().enumerate() {
            if columns[..index].iter().any(|earlier| earlier.name.eq_ignore_ascii_case(&column.name)) {
                let problem = format!("`query` has two columns named `{}`, expected each name once", column.name);
                return Err(Refused::new(problem).with_hint("name them apart: SELECT a.id AS a_id, b.id AS b_id …"));
            }
        }
        let filter = filter.map(|filter| format!("\nWHERE (\n{filter}\n)")).unwrap_or_default();
        Ok(Self::Copied { select: format!("SELECT * FROM (\n{query}\n){filter}"), columns })
    }

    /// Rows with a rowid. A copy is made within the transaction, and stopped when it takes longer than it may.
    ///
    /// # Errors
    /// A statement that is refused or takes too long; a full disk.
    pub(super) fn table(self, connection: &Connection, limit: Option<Duration>) -> Result<Table, Refused> {
        let (select, mut columns) = match self {
            Self::Own(table) => return Ok(table),
            Self::Copied { select, columns } => (select, columns),
        };
        // Columns without a declared type convert nothing.
        let names: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
        let create = format!("CREATE TABLE {COPY} ({})", names.join(", "));
        let copy = format!("INSERT INTO {COPY} {select}");
        let copied = within(connection, limit, || {
            connection.execute(&create, [])?;
            connection.execute(&copy, [])
        });
        copied.map_err(|error| refused(&error))?;
        for (column, name) in columns.iter_mut().zip(names) {
            column.expression = name;
        }
        Ok(Table { from: COPY.to_owned(), rowid: "rowid", columns })
    }
}

/// The table's own name, and whether it has rowids of its own.
fn find(connection: &Connection, written: &str) -> Result<(String, bool), Refused> {
    let mut parts = table_parts(written).map_err(Refused::new)?;
    if parts.len() == 2 && parts[0].eq_ignore_ascii_case("main") {
        parts.remove(0);
    }
    let [name] = &parts[..] else {
        let problem = format!("the table `{written}` has a schema, expected a name alone or `main.` before it");
        return Err(Refused::new(problem).with_hint("a name that holds a dot is written in quotes: \"a.b\""));
    };
    let found = connection
        .query_row(
            "SELECT name, type = 'table' AND NOT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional();
    match found.map_err(|error| refused(&error))? {
        Some(found) => Ok(found),
        None => Err(missing(connection, name)),
    }
}

/// The error for a table that is not there; it names some that are.
fn missing(connection: &Connection, name: &str) -> Refused {
    const MOST: i64 = 20;
    let listed = || -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT ?1";
        let mut statement = connection.prepare(sql)?;
        statement.query_map([MOST], |row| row.get(0))?.collect()
    };
    let refused = Refused::new(format!("has no table `{name}`"));
    match listed() {
        Ok(names) if names.is_empty() => refused.with_hint("it has no tables at all: check the path"),
        Ok(names) => refused.with_hint(format!("tables are: {}", names.join(", "))),
        Err(_) => refused,
    }
}

/// The columns of a table, generated ones too.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    let mut statement =
        connection.prepare("SELECT name, type FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 1 ORDER BY cid")?;
    let columns = statement.query_map(params![table], |row| {
        let name: String = row.get(0)?;
        let expression = quoted_name(System::Sqlite, &name);
        Ok(Column { name, declared: row.get(1)?, expression })
    })?;
    columns.collect()
}

/// Does something on a connection and stops it where it takes too long.
pub(super) fn within<T>(connection: &Connection, limit: Option<Duration>, act: impl FnOnce() -> T) -> T {
    let Some(limit) = limit else { return act() };
    let handle = connection.get_interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if waiting.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        let result = act();
        drop(done);
        result
    })
}
