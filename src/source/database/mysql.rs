//! Tables, views and queries of MySQL and MariaDB, read once by one statement within one consistent snapshot, row by row, into
//! a spool, so that every unit gives the same rows whenever it is read. The server is asked for nothing twice, and never
//! holds a result that waits. A connection that breaks begins again with a new snapshot, before any row is handed over.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};

use crate::contract::{Database, Source};
use crate::database::mysql::{Access, is_lost, refused};
use crate::database::refused::Refused;
use crate::database::runtime::wait;

use super::pace::{Pace, duration};
use super::spool::Spool;
use super::{Error, OpenOptions, Opened, Snapshot};

mod build;
mod kind;
mod place;
mod stamp;

use build::Columns;
use kind::{Column, column};
use place::Place;

/// Pauses before a connection that broke is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

/// Opens a table or query of a server.
///
/// # Errors
/// A server that cannot be reached or refuses, a table that is not there, a query that takes too long.
pub(super) fn open(source: &Source, database: &Database, options: &OpenOptions) -> Result<Opened, Error> {
    let reading = Reading {
        database,
        filter: source.filter.as_deref(),
        batch_rows: if options.batch_rows == 0 { super::super::BATCH_ROWS } else { options.batch_rows },
        pace: Pace::new(&database.limits),
    };
    let access = Access::new(database).map_err(|refused| reading.failed(refused))?;
    wait(async {
        let mut pauses = PAUSES.iter();
        loop {
            match reading.attempt(&access).await {
                Err(Stop::Lost(refused)) => match pauses.next() {
                    Some(pause) if reading.pace.left().is_ok() => tokio::time::sleep(*pause).await,
                    _ => return Err(reading.failed(refused)),
                },
                Err(Stop::Refused(refused)) => return Err(reading.failed(refused)),
                Err(Stop::Late(said)) => return Err(reading.failed(Refused::new(said))),
                Err(Stop::Source(error)) => return Err(error),
                Ok(opened) => return Ok(opened),
            }
        }
    })
}

/// What is read, and how gently.
struct Reading<'a> {
    database: &'a Database,
    filter: Option<&'a str>,
    batch_rows: usize,
    pace: Pace,
}

/// Why an attempt ended.
enum Stop {
    /// The connection broke; another may do better.
    Lost(Refused),
    /// What was asked for is refused.
    Refused(Refused),
    /// The whole has taken as long as it may.
    Late(String),
    /// It cannot be kept here.
    Source(Error),
}

impl From<mysql_async::Error> for Stop {
    fn from(error: mysql_async::Error) -> Self {
        if is_lost(&error) { Self::Lost(refused(&error)) } else { Self::Refused(refused(&error)) }
    }
}

impl From<Refused> for Stop {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Source(error)
    }
}

impl Reading<'_> {
    fn failed(&self, refused: Refused) -> Error {
        Error { place: self.database.shown.clone(), problem: refused.problem, hint: refused.hint }
    }

    /// Connects, takes the snapshot and reads everything.
    async fn attempt(&self, access: &Access) -> Result<Opened, Stop> {
        let mut connection = access.connect().await?;
        let server = Server::of(&mut connection).await?;
        self.limit(&mut connection, &server).await?;
        let snapshot = server.begin(&mut connection).await?;
        let place = Place::find(&mut connection, &self.database.rows, self.filter).await?;
        let mut warnings = place.warnings(&self.database.shown);
        let statement = connection.prep(place.select.as_str()).await?;
        let columns: Vec<Column> = statement.columns().iter().map(column).collect();
        let (mut made, mut spool) = (Columns::new(&columns), Spool::new(&self.database.shown)?);
        let thread = connection.id();
        let filled = self.fill(&mut connection, &statement, &mut made, &mut spool).await;
        if let Err(Stop::Late(_)) = filled {
            // The server would go on sending what nobody reads; that it cannot be told so is no loss.
            let _ = access.end(thread).await;
        }
        filled?;
        // Everything is here; that the server cannot be told goodbye is no loss either.
        let _ = connection.disconnect().await;
        if spool.rows == 0 {
            warnings.push(format!("{}: has no rows", self.database.shown));
        }
        let (schema, finish) = made.schema();
        Ok(Opened {
            units: spool.units(&schema, finish),
            schema,
            files: Vec::new(),
            file_of: Vec::new(),
            warnings,
            snapshot: Some(snapshot),
            witnesses: Vec::new(),
        })
    }

    /// Reads all rows into the spool.
    async fn fill(
        &self,
        connection: &mut Conn,
        statement: &Statement,
        made: &mut Columns,
        spool: &mut Spool,
    ) -> Result<(), Stop> {
        let mut result = self.in_time(connection.exec_iter(statement, ())).await?;
        while let Some(row) = self.in_time(result.next()).await? {
            if let Err(problem) = made.append(row.unwrap_raw()) {
                write(made, spool)?;
                spool.unreadable(problem)?;
            }
            let most = self.pace.portion().min(self.batch_rows);
            if made.rows() >= most || made.bytes() >= Columns::MOST_BYTES {
                let rows = made.rows();
                write(made, spool)?;
                self.pace.wait(rows).map_err(Stop::Late)?;
            }
        }
        write(made, spool)
    }

    /// Waits for an answer, no longer than the whole may take.
    async fn in_time<T>(&self, answer: impl Future<Output = mysql_async::Result<T>>) -> Result<T, Stop> {
        match self.pace.left().map_err(Stop::Late)? {
            None => Ok(answer.await?),
            Some(left) => match tokio::time::timeout(left, answer).await {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(Stop::Late(self.pace.left().err().unwrap_or_default())),
            },
        }
    }

    /// Bounds each statement's time.
    async fn limit(&self, connection: &mut Conn, server: &Server) -> Result<(), Stop> {
        let Some(limit) = self.database.limits.statement_timeout.map(duration) else { return Ok(()) };
        let milliseconds = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).clamp(1, 31_536_000_000);
        let set = if server.is_mariadb {
            format!("SET max_statement_time = {}.{:03}", milliseconds / 1000, milliseconds % 1000)
        } else {
            format!("SET max_execution_time = {}", milliseconds.min(u64::from(u32::MAX)))
        };
        connection.query_drop(set).await?;
        Ok(())
    }
}

/// Adds the rows since the last batch to the spool.
fn write(made: &mut Columns, spool: &mut Spool) -> Result<(), Stop> {
    if made.rows() == 0 {
        return Ok(());
    }
    let batch = made.batch().map_err(|error| Refused::new(error.to_string()))?;
    Ok(spool.write(&batch)?)
}

/// Which server answers.
struct Server {
    version: String,
    is_mariadb: bool,
}

impl Server {
    async fn of(connection: &mut Conn) -> Result<Self, Stop> {
        let version: Option<String> = connection.query_first("SELECT VERSION()").await?;
        let version = version.unwrap_or_default();
        Ok(Self { is_mariadb: version.contains("MariaDB"), version })
    }

    /// Begins the transaction that everything is read in, and tells of its state.
    async fn begin(&self, connection: &mut Conn) -> Result<Snapshot, Stop> {
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        let taken: Option<String> = connection.query_first("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)").await?;
        let taken_at = taken.and_then(|text| format!("{}Z", text.replace(' ', "T")).parse().ok());
        let taken_at = taken_at.ok_or_else(|| Refused::new("the server does not tell its time"))?;
        let name = if self.is_mariadb { "MariaDB" } else { "MySQL" };
        let position = self.position(connection).await?.map(|position| format!(", {position}")).unwrap_or_default();
        Ok(Snapshot { taken_at, described: format!("{name} {}{position}", self.version) })
    }

    /// Where the snapshot lies in the binary log, as far as the user may see it.
    async fn position(&self, connection: &mut Conn) -> Result<Option<String>, Stop> {
        if !self.is_mariadb {
            let executed: mysql_async::Result<Option<String>> =
                connection.query_first("SELECT @@GLOBAL.gtid_executed").await;
            return match executed {
                Ok(executed) => {
                    Ok(executed.filter(|executed| !executed.is_empty()).map(|it| format!("gtid_executed {it}")))
                }
                Err(mysql_async::Error::Server(_)) => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let status: Vec<(String, String)> = connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
        let of = |wanted: &str| {
            let found = status.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        let (Some(file), Some(offset)) = (of("binlog_snapshot_file"), of("binlog_snapshot_position")) else {
            return Ok(None);
        };
        Ok(Some(format!("binary log {file} position {offset}")))
    }
}
