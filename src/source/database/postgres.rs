//! Tables and queries of PostgreSQL: one snapshot that several sessions read in, ranges of pages by binary `COPY`, decoded
//! straight into Arrow columns. It writes nothing there, and reads no row that the snapshot does not have.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use super::pace::Pace;
use super::wider;
use crate::contract::{Database, Rows, Source, System};
use crate::database::dialect::quoted_name;
use crate::database::postgres::Failure;
use crate::database::runtime::{runtime, wait};
use crate::source::{BATCH_ROWS, Error, OpenOptions, Opened, Piece, Pieces, Remote, Unit};

mod build;
mod constant;
mod feed;
mod numeric;
mod relation;
mod remote;
mod server;
mod spooled;
mod types;
mod watch;

use build::{Builder, Misfit};
use feed::{Broken, Feed};
use relation::{Heap, Relation};
use server::{Brought, HELD_BYTES, Server, Shared, error, is_timeout};
use types::Column;

/// Pages that one unit has at least.
const UNIT_PAGES: u64 = 1024;
/// Units that a table has at most.
const UNITS: u64 = 512;
/// Rows of a unit that are asked for one by one at most: the server passes over those before each of them.
const SINGLE_ROWS: usize = 64;
/// Bytes that one reading is meant to bring.
const WANTED_BYTES: u64 = 4 << 20;
/// Bytes of columns in a batch.
const BATCH_BYTES: usize = 4 << 20;

/// Connects, takes the snapshot, learns the columns, and cuts the rows into units.
pub(super) fn open(source: &Source, database: &Database, options: &OpenOptions) -> Result<Opened, Error> {
    let (place, identity) = (place(database), wider::identity(database));
    let pace = Pace::new(&database.limits, options.began);
    let opened = wait(async {
        let first = Server::first(database, &pace).await?;
        let client = &first.1.link.client;
        let is_shared = database.limits.max_connections != Some(1);
        let begun = relation::begin(client, &database.rows, is_shared).await?;
        let untold = if database.limits.pause_if.is_some() { watch::untold(client).await } else { None };
        let relation =
            relation::relation(client, source, &database.rows, &begun, |column| wider::knows(&identity, column))
                .await?;
        Ok((first, begun, relation, untold))
    });
    let (first, begun, relation, untold) = opened.map_err(|failure| error(&place, failure))?;
    let server = Arc::new(Server::new(database, place, first, begun.shared, pace));
    let schema = Arc::new(Schema::new(relation.columns.iter().map(|column| column.field.clone()).collect::<Vec<_>>()));
    let batch_rows = if options.batch_rows == 0 { BATCH_ROWS } else { options.batch_rows };
    let table = Arc::new(Table { server, identity, relation, schema: Arc::clone(&schema), batch_rows });
    let units: Vec<Box<dyn Unit>> = match table.relation.heap {
        Some(heap) => ranges(heap).into_iter().map(|range| Pages::unit(&table, heap, range)).collect(),
        None => spooled::units(&table, table.relation.expected),
    };
    Ok(Opened {
        schema,
        file_of: Vec::new(),
        units: crate::source::shared(units),
        files: Vec::new(),
        warnings: untold.into_iter().collect(),
        snapshot: Some(begun.snapshot),
        witnesses: Vec::new(),
    })
}

/// The location and what is read of it, as messages show it.
fn place(database: &Database) -> String {
    match &database.rows {
        Rows::Table(name) => format!("{} {name}", database.shown),
        Rows::Query(_) => format!("{} (query)", database.shown),
    }
}

/// A table or query of a server.
struct Table {
    server: Shared,
    /// By which `wider` knows it.
    identity: String,
    relation: Relation,
    schema: SchemaRef,
    batch_rows: usize,
}

impl Table {
    /// `COPY` of some columns; `where_and_order` chooses rows.
    fn copy(&self, columns: &[usize], where_and_order: &str) -> String {
        let columns: Vec<String> = columns.iter().map(|&column| sent(&self.relation.columns[column])).collect();
        let (columns, from) = (columns.join(", "), &self.relation.from);
        format!("COPY (SELECT {columns} FROM {from} {where_and_order}) TO STDOUT (FORMAT binary)")
    }

    /// `COPY` of some of the rows that `where_and_order` chooses, by their numbers, ascending.
    fn copy_rows(&self, columns: &[usize], where_and_order: &str, rows: &[u64]) -> String {
        let columns: Vec<String> = columns.iter().map(|&column| sent(&self.relation.columns[column])).collect();
        let (columns, from) = (columns.join(", "), &self.relation.from);
        let one = |row: &u64| format!("(SELECT {columns} FROM {from} {where_and_order} LIMIT 1 OFFSET {row})");
        let each: Vec<String> = rows.iter().map(one).collect();
        format!("COPY ({}) TO STDOUT (FORMAT binary)", each.join(" UNION ALL "))
    }

    /// The rows of what was brought, batch by batch.
    fn rows(&self, columns: &[usize], brought: Brought) -> Result<Batches<'_>, Error> {
        self.batches(columns, Feed::new(brought))
    }

    /// The rows of what is still coming, batch by batch.
    fn coming(&self, columns: &[usize], coming: Receiver<Result<Vec<u8>, Failure>>) -> Result<Batches<'_>, Error> {
        self.batches(columns, Feed::coming(coming))
    }

    fn batches(&self, columns: &[usize], feed: Result<Feed, Broken>) -> Result<Batches<'_>, Error> {
        let feed = feed.map_err(|broken| self.ended(broken, "is no binary COPY"))?;
        let builders = columns.iter().map(|&column| {
            let column = &self.relation.columns[column];
            Builder::new(&column.kind, column.field.data_type())
        });
        let schema = self.schema.project(columns).expect("the columns are the schema's own");
        Ok(Batches {
            table: self,
            builders: builders.collect(),
            columns: columns.to_vec(),
            schema: Arc::new(schema),
            feed,
        })
    }

    fn ended(&self, broken: Broken, what: &str) -> Error {
        match broken {
            Broken::Bytes => self.broken(what),
            Broken::Failed(failure) => error(&self.server.place, failure),
        }
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(&self.server.place, format!("what the server sent {what}"))
    }

    fn misfit(&self, column: usize, misfit: Misfit) -> Error {
        let Column { name, field, .. } = &self.relation.columns[column];
        let problem = match misfit {
            Misfit::Wider => {
                wider::note(&self.identity, name);
                format!("column `{name}` holds a value that {} cannot hold", field.data_type())
            }
            Misfit::Broken => format!("column `{name}` holds bytes that are not what its type says"),
        };
        Error::new(&self.server.place, problem).with_hint("read it by a `query` that casts the column to text")
    }
}

/// A column as the server is asked for it.
fn sent(column: &Column) -> String {
    let name = quoted_name(System::Postgres, &column.name);
    column.sent.map_or_else(|| name.clone(), |sent| sent.replace('$', &name))
}

/// Rows of one reading.
struct Batches<'a> {
    table: &'a Table,
    columns: Vec<usize>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    feed: Feed,
}

impl Batches<'_> {
    /// The next batch; None behind the last.
    fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let (mut rows, mut bytes) = (0, 0);
        while rows < self.table.batch_rows && bytes < BATCH_BYTES {
            let more = self.feed.next(&mut fields).map_err(|broken| self.table.ended(broken, "ends within a row"))?;
            if !more {
                break;
            }
            if fields.len() != self.columns.len() {
                return Err(self.table.broken("has other columns than were asked for"));
            }
            for ((span, builder), column) in fields.iter().zip(&mut self.builders).zip(&self.columns) {
                let value = span.clone().map(|span| &self.feed.bytes()[span]);
                bytes += value.map_or(0, <[u8]>::len);
                builder.push(value).map_err(|misfit| self.table.misfit(*column, misfit))?;
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        Ok(Some(batch.expect("columns are built by the schema")))
    }
}

/// Pages from one to before another; the last range has no end, because a table may have grown since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: u64,
    until: u64,
    /// Nothing lies behind it that another range has.
    is_last: bool,
}

/// Cuts pages into units, by their number alone.
fn ranges(heap: Heap) -> Vec<Range> {
    let step = UNIT_PAGES.max(heap.pages.div_ceil(UNITS));
    let count = heap.pages.div_ceil(step).max(1);
    let range = |index: u64| {
        let is_last = index + 1 == count;
        Range { from: index * step, until: if is_last { heap.pages.max(1) } else { (index + 1) * step }, is_last }
    };
    (0..count).map(range).collect()
}

/// The rows of a range of pages.
struct Pages {
    table: Arc<Table>,
    range: Range,
    /// Pages that one reading begins with.
    step: u64,
    rows: Option<u64>,
    bytes: u64,
}

impl Pages {
    fn unit(table: &Arc<Table>, heap: Heap, range: Range) -> Box<dyn Unit> {
        let pages = range.until - range.from;
        let share = |whole: u64| u64::try_from(u128::from(whole) * u128::from(pages) / u128::from(heap.pages.max(1)));
        let bytes = share(heap.bytes).unwrap_or(u64::MAX);
        // As many pages as hold what one reading is meant to bring, in all parts together.
        let step = (WANTED_BYTES * pages / bytes.max(1)).clamp(1, pages);
        let rows = heap.rows.and_then(|rows| share(rows).ok());
        Box::new(Self { table: Arc::clone(table), range, step, rows, bytes })
    }
}

impl Unit for Pages {
    fn place(&self) -> String {
        format!("{}, from page {} to {}", self.table.server.place, self.range.from, self.range.until)
    }

    fn rows(&self) -> Option<u64> {
        self.rows
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn memory(&self, _: &[usize]) -> u64 {
        // What is decoded, what is on its way, and the columns of a batch.
        3 * HELD_BYTES as u64
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(&self.table)
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let mut reading = Reading {
            unit: self,
            columns: columns.to_vec(),
            next: self.range.from,
            step: self.step,
            coming: None,
            batches: None,
            is_over: false,
        };
        reading.ask();
        Ok(Box::new(reading))
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let relation = &self.table.relation;
        // With a filter, or several parts, the server may find rows in another order when it is asked for few of them.
        if relation.filter.is_some() || relation.heap.is_none_or(|heap| heap.is_mixed) || rows.len() > SINGLE_ROWS {
            return None;
        }
        let copy = self.table.copy_rows(columns, &within(relation, self.range), rows);
        let server = &self.table.server;
        let brought = match wait(server.bring(&copy)) {
            Ok(brought) => brought,
            // All of them are read in stretches that take less time.
            Err(failure) if is_timeout(&failure) => return None,
            Err(failure) => return Some(Err(error(self.place(), failure))),
        };
        let reading = |batches| Reading {
            unit: self,
            columns: columns.to_vec(),
            next: self.range.until,
            step: self.step,
            coming: None,
            batches: Some(batches),
            is_over: false,
        };
        let batches = self.table.rows(columns, brought);
        Some(batches.map(|batches| Box::new(reading(batches)) as Pieces<'_>))
    }
}

/// A reading of a unit: while one stretch of pages is decoded the next one is on its way.
struct Reading<'a> {
    unit: &'a Pages,
    columns: Vec<usize>,
    /// The first page that was not asked for.
    next: u64,
    /// Pages that are asked for at a time.
    step: u64,
    coming: Option<(Range, JoinHandle<Result<Brought, Failure>>)>,
    batches: Option<Batches<'a>>,
    is_over: bool,
}

impl Reading<'_> {
    /// Asks for the next stretch, where there is one.
    fn ask(&mut self) {
        let whole = self.unit.range;
        if self.next >= whole.until {
            return;
        }
        let until = whole.until.min(self.next + self.step);
        let range = Range { from: self.next, until, is_last: whole.is_last && until == whole.until };
        self.next = until;
        let table = Arc::clone(&self.unit.table);
        let copy = table.copy(&self.columns, &within(&table.relation, range));
        let server = Arc::clone(&table.server);
        self.coming = Some((range, runtime().spawn(async move { server.bring(&copy).await })));
    }

    /// Asks for fewer pages next time where these held much, and for more where they held little.
    fn adapt(&mut self, range: Range, bytes: u64) {
        let pages = range.until - range.from;
        if bytes > HELD_BYTES as u64 {
            self.step = (pages / 2).max(1);
        } else if bytes < WANTED_BYTES / 4 && pages == self.step {
            self.step *= 2;
        }
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            if let Some(batches) = &mut self.batches {
                match batches.next()? {
                    Some(batch) => {
                        let wait = self.unit.table.server.pace.wait(batch.num_rows());
                        return wait.map(|()| Some(batch)).map_err(|said| Error::new(self.unit.place(), said));
                    }
                    None => self.batches = None,
                }
            }
            let Some((range, coming)) = self.coming.take() else { return Ok(None) };
            let brought = match wait(coming).expect("a reading does not panic") {
                Ok(brought) => brought,
                // Fewer pages take less time than one statement may.
                Err(failure) if is_timeout(&failure) && range.until - range.from > 1 => {
                    (self.next, self.step) = (range.from, (range.until - range.from) / 2);
                    self.ask();
                    continue;
                }
                Err(failure) => return Err(error(self.unit.place(), failure)),
            };
            self.adapt(range, brought.bytes);
            self.ask();
            self.batches = Some(self.unit.table.rows(&self.columns, brought)?);
        }
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let next = self.step();
        self.is_over = !matches!(next, Ok(Some(_)));
        next.transpose().map(|batch| batch.map(Piece::Rows))
    }
}

/// The rows of a range, in the order in which they lie.
fn within(relation: &Relation, range: Range) -> String {
    let mut clause = format!("WHERE ctid >= '({},0)'::tid", range.from);
    if !range.is_last {
        clause.push_str(&format!(" AND ctid < '({},0)'::tid", range.until));
    }
    if let Some(filter) = &relation.filter {
        clause.push_str(&format!(" AND ({filter}\n)"));
    }
    if relation.heap.is_some_and(|heap| heap.is_mixed) {
        clause.push_str(" ORDER BY tableoid, ctid");
    }
    clause
}
