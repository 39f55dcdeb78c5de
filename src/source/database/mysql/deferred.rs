//! Rows of MySQL or MariaDB that stay where they are until it is known which of them are read: the server answers statements
//! for sums, and gives the rows that a condition chooses, on the one connection that holds the snapshot.
//!
//! Columns are what the server tells before any row. A date that no calendar has shows only in a row that is read: then the
//! column is remembered, and the source is opened again to be read as a whole. It never reads a row that was not chosen.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Schema, SchemaRef};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use tokio::sync::Mutex;

use super::build::Columns;
use super::constant::is_constant;
use super::kind::{Column, Kind};
use super::place::{Place, literal};
use super::watch::Flow;
use super::{Access, Reading, Server, Stop, in_time};
use crate::contract::{PushDown, System};
use crate::database::Native;
use crate::database::dialect::quoted_name;
use crate::database::runtime::wait;
use crate::source::database::spool::Spool;
use crate::source::database::wider;
use crate::source::{Error, Opened, Pieces, Remote, Unit};

/// Tables below this are read at once, unless the contract asks for sums.
const SMALL_BYTES: u64 = 8 << 20;

/// Why rows may stay where they are.
#[derive(Clone, Copy)]
pub(super) struct Wish {
    /// The server may be asked for sums.
    pub(super) pushdown: Option<PushDown>,
    /// It is asked for one range of the key after the other.
    pub(super) in_spans: bool,
}

impl Wish {
    /// Whether there is a reason.
    pub(super) fn any(self) -> bool {
        self.pushdown.is_some() || self.in_spans
    }
}

/// Opens a source without reading it, where that may serve; None: it is read as a whole.
pub(super) async fn open(reading: &Reading<'_>, access: &Access, wish: Wish) -> Result<Option<Opened>, Stop> {
    let mut connection = access.connect().await?;
    let thread = connection.id();
    let server = Server::of(&mut connection).await?;
    reading.limit(&mut connection, &server).await?;
    reading.flow.calm().await?;
    let snapshot = server.begin(&mut connection).await?;
    let learnt = in_time(&reading.flow.pace, learnt(reading, &mut connection, wish)).await;
    if let Err(Stop::Late(_)) = learnt {
        let _ = access.end(thread).await;
    }
    let Some(Learnt { place, rows, bytes, columns, mut warnings }) = learnt? else {
        let _ = connection.disconnect().await;
        return Ok(None);
    };
    warnings.extend(server.untried(&reading.database.shown));
    let schema: SchemaRef = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let table = Deferred {
        shown: reading.database.shown.clone(),
        identity: wider::identity(reading.database),
        access: access.clone(),
        thread,
        connection: Mutex::new(connection),
        place,
        filter: reading.filter.map(str::to_owned),
        columns,
        schema: Arc::clone(&schema),
        flow: Arc::clone(&reading.flow),
        rows,
        bytes,
    };
    Ok(Some(super::opened(schema, vec![Box::new(Whole { table: Arc::new(table) })], warnings, snapshot)))
}

/// What is known of a source before any row is read.
struct Learnt {
    place: Place,
    rows: u64,
    bytes: u64,
    columns: Vec<Column>,
    warnings: Vec<String>,
}

/// Learns what may be asked; None: the source is to be read as a whole.
async fn learnt(reading: &Reading<'_>, connection: &mut Conn, wish: Wish) -> Result<Option<Learnt>, Stop> {
    let place = Place::find(connection, &reading.database.rows, reading.filter, reading.declared).await?;
    let in_spans = wish.in_spans && place.leading(connection).await?.is_some();
    let wish = match wish.pushdown {
        _ if in_spans => PushDown::Always,
        Some(wish) => wish,
        None => return Ok(None),
    };
    let (rows, bytes) = match place.size(connection).await? {
        Some(size) => size,
        None if place.is_without_snapshot() || wish == PushDown::Auto => return Ok(None),
        None => (place.count(connection).await?, 0),
    };
    if wish == PushDown::Auto && bytes < SMALL_BYTES || !place.has_rows(connection).await? {
        return Ok(None);
    }
    let statement = connection.prep(place.select.as_str()).await?;
    let columns: Vec<Column> = statement.columns().iter().map(super::kind::column).collect();
    let identity = wider::identity(reading.database);
    let is_plain = columns.iter().all(|column| !wider::knows(&identity, &column.name));
    let warnings = reading.flow.untold(connection).await?.into_iter().collect();
    Ok(is_plain.then_some(Learnt { place, rows, bytes, columns, warnings }))
}

/// What is asked, and the connection whose transaction is the snapshot.
struct Deferred {
    shown: String,
    /// By which `wider` knows it.
    identity: String,
    access: Access,
    /// The connection's number at the server.
    thread: u32,
    connection: Mutex<Conn>,
    place: Place,
    filter: Option<String>,
    columns: Vec<Column>,
    schema: SchemaRef,
    flow: Arc<Flow>,
    rows: u64,
    bytes: u64,
}

impl Deferred {
    /// What a statement gives, or the error; the server is told to stop what nobody waits for.
    fn done<T>(&self, asked: impl Future<Output = Result<T, Stop>>) -> Result<T, Error> {
        wait(async {
            let done = asked.await;
            if let Err(Stop::Late(_)) = done {
                let _ = self.access.end(self.thread).await;
            }
            done.map_err(|stop| stop.error(&self.shown))
        })
    }

    /// Lines of an answer, as text.
    async fn lines(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Stop> {
        let mut connection = self.connection.lock().await;
        self.flow.calm().await?;
        let rows: Vec<mysql_async::Row> = in_time(&self.flow.pace, connection.query(sql)).await?;
        let field = |value: Option<Value>| match value {
            None | Some(Value::NULL) => None,
            Some(Value::Bytes(bytes)) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Some(Value::Int(number)) => Some(number.to_string()),
            Some(Value::UInt(number)) => Some(number.to_string()),
            Some(other) => Some(other.as_sql(true)),
        };
        Ok(rows.into_iter().map(|row| row.unwrap_raw().into_iter().map(field).collect()).collect())
    }

    /// Whether a count is not zero.
    fn holds(&self, sql: &str) -> Result<bool, Error> {
        let lines = self.done(self.lines(sql))?;
        Ok(lines.first().and_then(|line| line.first()).is_some_and(|count| count.as_deref() != Some("0")))
    }

    /// Reads some columns of chosen rows into a spool.
    async fn bring(&self, columns: &[usize], condition: &str) -> Result<Vec<Box<dyn Unit>>, Stop> {
        let told: Vec<Column> = columns.iter().map(|column| self.columns[*column].clone()).collect();
        let names: Vec<String> = told.iter().map(|column| quoted_name(System::Mysql, &column.name)).collect();
        let filter = self.filter.as_ref().map(|filter| format!(" AND ({filter}\n)")).unwrap_or_default();
        let sql = format!("SELECT {} FROM {} WHERE ({condition}){filter}", names.join(", "), self.place.from);
        let (mut made, mut spool) = (Columns::new(&told), Spool::new(&self.shown)?);
        let mut connection = self.connection.lock().await;
        let statement = in_time(&self.flow.pace, connection.prep(sql)).await?;
        super::fill(&self.flow, &mut connection, &statement, &mut made, &mut spool).await?;
        // Many small answers are as many rows as one large one.
        let portion = self.flow.pace.portion().min(self.flow.batch_rows).max(1) as u64;
        let rest = usize::try_from(spool.rows % portion).unwrap_or(usize::MAX);
        self.flow.pace.wait(rest).map_err(Stop::Late)?;
        // A statement for each unit would fill what the server keeps of them.
        let _ = connection.close(statement).await;
        let (schema, finish) = made.schema();
        for (field, column) in schema.fields().iter().zip(&told) {
            if *field.data_type() == DataType::Utf8 && *column.field().data_type() != DataType::Utf8 {
                wider::note(&self.identity, &column.name);
                let problem = format!("column `{}` holds a date that no calendar has", column.name);
                return Err(Stop::Source(Error::new(&self.shown, problem)));
            }
        }
        let expected = self.schema.project(columns).map_err(|error| Error::new(&self.shown, error.to_string()))?;
        Ok(spool.units(&Arc::new(expected), finish)?)
    }
}

/// All rows, to be asked about.
struct Whole {
    table: Arc<Deferred>,
}

impl Unit for Whole {
    fn place(&self) -> String {
        self.table.shown.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.table.rows)
    }

    fn bytes(&self) -> u64 {
        self.table.bytes
    }

    fn read(&self, _: &[usize]) -> Result<Pieces<'_>, Error> {
        Err(Error::new(&self.table.shown, "was opened to be asked for sums, and is to be opened again to be read"))
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(self)
    }
}

impl Remote for Whole {
    fn system(&self) -> System {
        System::Mysql
    }

    fn from(&self) -> String {
        self.table.place.from.clone()
    }

    fn filter(&self) -> Option<String> {
        self.table.filter.clone()
    }

    fn column(&self, index: usize) -> Option<(String, Native)> {
        let column = self.table.columns.get(index)?;
        let native = match column.kind {
            Kind::Int8
            | Kind::Int16
            | Kind::Int32
            | Kind::Int64
            | Kind::UInt8
            | Kind::UInt16
            | Kind::UInt32
            | Kind::UInt64 => Native::Integer,
            Kind::Decimal { .. } => Native::Decimal,
            Kind::Text => Native::Text,
            Kind::Binary => Native::Bytes,
            Kind::Date => Native::Date,
            Kind::Local => Native::Local,
            Kind::Instant => Native::Instant,
            _ => return None,
        };
        Some((quoted_name(System::Mysql, &column.name), native))
    }

    fn is_unique(&self, columns: &[usize]) -> Result<bool, Error> {
        let names: Vec<String> = columns.iter().map(|column| literal(&self.table.columns[*column].name)).collect();
        self.indexes(&format!(
            "NON_UNIQUE = 0 AND INDEX_NAME NOT IN (SELECT INDEX_NAME FROM information_schema.STATISTICS \
             WHERE {{of}} AND (COLUMN_NAME IS NULL OR COLUMN_NAME NOT IN ({})))",
            names.join(", ")
        ))
    }

    fn is_ordered(&self, column: usize) -> Result<bool, Error> {
        let name = literal(&self.table.columns[column].name);
        self.indexes(&format!("SEQ_IN_INDEX = 1 AND INDEX_TYPE = 'BTREE' AND COLUMN_NAME = {name}"))
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.table.done(self.table.lines(sql))
    }

    fn pace(&self, rows: u64) -> Result<(), Error> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.table.flow.pace.wait(rows).map_err(|said| Error::new(&self.table.shown, said))
    }

    fn pick(&self, condition: String, columns: Option<&[usize]>) -> Box<dyn Unit> {
        let columns = columns.map_or_else(OnceLock::new, |columns| OnceLock::from(columns.to_vec()));
        let table = Arc::clone(&self.table);
        Box::new(Picked { table, condition, columns, brought: OnceLock::new() })
    }

    fn is_deferred(&self) -> bool {
        true
    }

    fn is_fickle(&self) -> bool {
        !self.table.place.is_table() || self.table.filter.as_deref().is_some_and(|filter| !is_constant(filter))
    }
}

impl Whole {
    /// Whether the table has an index of which this holds; `{of}` stands for the table.
    fn indexes(&self, holds: &str) -> Result<bool, Error> {
        let Some((schema, name)) = self.table.place.table() else { return Ok(false) };
        let of = format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(schema), literal(name));
        let holds = holds.replace("{of}", &of);
        self.table.holds(&format!("SELECT COUNT(*) FROM information_schema.STATISTICS WHERE {of} AND {holds}"))
    }
}

/// The rows for which a condition holds, brought once.
struct Picked {
    table: Arc<Deferred>,
    condition: String,
    /// All that are ever asked for, ascending.
    columns: OnceLock<Vec<usize>>,
    brought: OnceLock<Result<Vec<Box<dyn Unit>>, (String, String, Option<String>)>>,
}

impl Unit for Picked {
    fn place(&self) -> String {
        format!("{}, rows of segments", self.table.shown)
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn memory(&self, _: &[usize]) -> u64 {
        4 * Columns::MOST_BYTES as u64
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let all = self.columns.get_or_init(|| columns.to_vec());
        let brought = self.brought.get_or_init(|| {
            let brought = self.table.done(self.table.bring(all, &self.condition));
            brought.map_err(|error| (error.place, error.problem, error.hint))
        });
        let units = brought.as_ref().map_err(|(place, problem, hint)| Error {
            place: place.clone(),
            problem: problem.clone(),
            hint: hint.clone(),
        })?;
        let wanted: Option<Vec<usize>> = columns.iter().map(|column| all.binary_search(column).ok()).collect();
        let wanted = wanted.ok_or_else(|| Error::new(self.place(), "is asked for columns that were not brought"))?;
        let pieces: Result<Vec<Pieces<'_>>, Error> = units.iter().map(|unit| unit.read(&wanted)).collect();
        Ok(Box::new(pieces?.into_iter().flatten()))
    }
}
