//! Tables, views and queries of MySQL and MariaDB, read once within one consistent snapshot, row by row, into a spool, so that
//! every unit gives the same rows whenever it is read: by one statement, or by spans of a key over several connections (`several`).
//! The server never holds a result that waits. A connection that breaks begins again with a new snapshot, before any row is
//! handed over. Where it may be asked for sums first, nothing is read until it is known what (`deferred`).

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Statement};

use crate::contract::{Database, Source};
use crate::database::mysql::{Access, is_lost, refused};
use crate::database::refused::Refused;
use crate::database::runtime::wait;

use super::pace::{Pace, duration};
use super::spool::Spool;
use super::{Error, OpenOptions, Opened, Snapshot, Unit};

mod build;
mod constant;
mod deferred;
mod kind;
mod place;
mod several;
mod stamp;
mod watch;

use build::Columns;
use kind::{Column, column};
use place::Place;
use watch::Flow;

/// Pauses before a connection that broke is tried again.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(4)];

/// Opens a table or query of a server.
///
/// # Errors
/// A server that cannot be reached or refuses, a table that is not there, a query that takes too long.
pub(super) fn open(source: &Source, database: &Database, options: &OpenOptions) -> Result<Opened, Error> {
    let access = Access::new(database).map_err(|refused| Stop::Refused(refused).error(&database.shown))?;
    let batch_rows = if options.batch_rows == 0 { super::super::BATCH_ROWS } else { options.batch_rows };
    let pace = Pace::new(&database.limits, options.began);
    let flow = Arc::new(Flow::new(pace, batch_rows, database.limits.pause_if, &access));
    let declared = options.declared;
    let reading = Reading { database, filter: source.filter.as_deref(), declared, flow };
    let wish = deferred::Wish { pushdown: options.pushdown, in_spans: options.in_spans };
    if wish.any()
        // Whatever keeps it from being opened so is told by the other way.
        && let Ok(Some(opened)) = wait(deferred::open(&reading, &access, wish))
    {
        return Ok(opened);
    }
    wait(async {
        let mut pauses = PAUSES.iter();
        loop {
            match reading.attempt(&access).await {
                Err(Stop::Lost(refused)) => match pauses.next() {
                    Some(pause) if reading.flow.pace.left().is_ok() => tokio::time::sleep(*pause).await,
                    _ => return Err(Stop::Lost(refused).error(&database.shown)),
                },
                Err(stop) => return Err(stop.error(&database.shown)),
                Ok(opened) => return Ok(opened),
            }
        }
    })
}

/// What is read, and how gently.
struct Reading<'a> {
    database: &'a Database,
    filter: Option<&'a str>,
    declared: bool,
    flow: Arc<Flow>,
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

impl Stop {
    fn error(self, place: &str) -> Error {
        match self {
            Self::Lost(refused) | Self::Refused(refused) => {
                Error { place: place.to_owned(), problem: refused.problem, hint: refused.hint }
            }
            Self::Late(said) => Error::new(place, said),
            Self::Source(error) => error,
        }
    }
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
    /// Connects, takes the snapshot and reads everything.
    async fn attempt(&self, access: &Access) -> Result<Opened, Stop> {
        let mut connections = vec![access.connect().await?];
        let server = Server::of(&mut connections[0]).await?;
        self.limit(&mut connections[0], &server).await?;
        let place = Place::find(&mut connections[0], &self.database.rows, self.filter, self.declared).await?;
        let untold = self.flow.untold(&mut connections[0]).await?;
        let wanted = several::wanted(self, &mut connections[0], &place).await?;
        self.flow.calm().await?;
        let (others, snapshot) = several::begin(self, access, &server, &mut connections[0], wanted).await?;
        connections.extend(others);
        let threads: Vec<u32> = connections.iter().map(Conn::id).collect();
        let brought = self.bring(&mut connections, &place).await;
        if let Err(Stop::Late(_)) = brought {
            for thread in threads {
                // The server would go on sending what nobody reads; that it cannot be told so is no loss.
                let _ = access.end(thread).await;
            }
        }
        let (schema, units, rows) = brought?;
        for connection in connections {
            // Everything is here; that the server cannot be told goodbye is no loss either.
            let _ = connection.disconnect().await;
        }
        let mut warnings = place.warnings(&self.database.shown);
        warnings.extend(untold);
        warnings.extend(server.untried(&self.database.shown));
        if rows == 0 {
            warnings.push(format!("{}: has no rows", self.database.shown));
        }
        Ok(opened(schema, units, warnings, snapshot))
    }

    /// Reads all rows, over as many connections as there are: schema, units, and how many rows they have.
    async fn bring(
        &self,
        connections: &mut [Conn],
        place: &Place,
    ) -> Result<(SchemaRef, Vec<Box<dyn Unit>>, u64), Stop> {
        let statement = connections[0].prep(place.select.as_str()).await?;
        let columns: Vec<Column> = statement.columns().iter().map(column).collect();
        if connections.len() > 1
            && let Some(brought) = several::read(self, connections, place, &columns).await?
        {
            return several::units(brought);
        }
        let (mut made, mut spool) = (Columns::new(&columns), Spool::new(&self.database.shown)?);
        fill(&self.flow, &mut connections[0], &statement, &mut made, &mut spool).await?;
        let ((schema, finish), rows) = (made.schema(), spool.rows);
        Ok((Arc::clone(&schema), spool.units(&schema, finish)?, rows))
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

/// A source of these units.
fn opened(schema: SchemaRef, units: Vec<Box<dyn Unit>>, warnings: Vec<String>, snapshot: Snapshot) -> Opened {
    Opened {
        schema,
        units: crate::source::shared(units),
        files: Vec::new(),
        file_of: Vec::new(),
        warnings,
        snapshot: Some(snapshot),
        witnesses: Vec::new(),
    }
}

/// Reads all rows of a statement into a spool.
async fn fill(
    flow: &Flow,
    connection: &mut Conn,
    statement: &Statement,
    made: &mut Columns,
    spool: &mut Spool,
) -> Result<(), Stop> {
    let pace = &flow.pace;
    flow.calm().await?;
    let mut result = in_time(pace, connection.exec_iter(statement, ())).await?;
    while let Some(row) = in_time(pace, result.next()).await? {
        if let Err(problem) = made.append(row.unwrap_raw()) {
            write(made, spool)?;
            spool.unreadable(problem)?;
        }
        if made.rows() >= pace.portion().min(flow.batch_rows) || made.bytes() >= Columns::MOST_BYTES {
            let rows = made.rows();
            write(made, spool)?;
            pace.wait(rows).map_err(Stop::Late)?;
            flow.calm().await?;
        }
    }
    write(made, spool)
}

/// Waits for an answer, no longer than the whole may take.
async fn in_time<T, E>(pace: &Pace, answer: impl Future<Output = Result<T, E>>) -> Result<T, Stop>
where
    Stop: From<E>,
{
    match pace.left().map_err(Stop::Late)? {
        None => Ok(answer.await?),
        Some(left) => match tokio::time::timeout(left, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Stop::Late(pace.left().err().unwrap_or_default())),
        },
    }
}

/// Adds the rows since the last batch to the spool.
fn write(made: &mut Columns, spool: &mut Spool) -> Result<(), Stop> {
    if made.rows() == 0 {
        return Ok(());
    }
    let batch = made.batch().map_err(|error| Refused::new(error.to_string()))?;
    Ok(spool.write(batch)?)
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

    /// What is to be known of a server that no test of this program has seen.
    fn untried(&self, shown: &str) -> Option<String> {
        (!self.is_mariadb).then(|| {
            let version = &self.version;
            format!("{shown}: is MySQL {version}; this program is tested with MariaDB, so look closely at what it says first")
        })
    }

    /// Begins the transaction that everything is read in, and tells of its state.
    async fn begin(&self, connection: &mut Conn) -> Result<Snapshot, Stop> {
        self.start(connection).await?;
        let taken: Option<String> = connection.query_first("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)").await?;
        let taken_at = taken.and_then(|text| format!("{}Z", text.replace(' ', "T")).parse().ok());
        let taken_at = taken_at.ok_or_else(|| Refused::new("the server does not tell its time"))?;
        let name = if self.is_mariadb { "MariaDB" } else { "MySQL" };
        let position = self.position(connection).await?.map(|position| format!(", {position}")).unwrap_or_default();
        Ok(Snapshot { taken_at, described: format!("{name} {}{position}", self.version) })
    }

    /// Begins a transaction with its snapshot.
    async fn start(&self, connection: &mut Conn) -> Result<(), Stop> {
        connection.query_drop("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
        Ok(connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?)
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

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_server_that_no_test_has_seen_is_told() {
        let told =
            |version: &str, is_mariadb| Server { version: version.to_owned(), is_mariadb }.untried("shop.orders");
        assert!(
            told("9.1.0", false)
                .unwrap()
                .starts_with("shop.orders: is MySQL 9.1.0; this program is tested with MariaDB")
        );
        assert_eq!(told("11.8.3-MariaDB", true), None);
    }
}
