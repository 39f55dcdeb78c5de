//! What a table, view or query of PostgreSQL answers besides its rows: sums of segments, what its indexes vouch for, and rows chosen by a
//! condition. All in the snapshot, by the sessions that read the rows, and as gently.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::server::{Brought, error};
use super::types::Kind;
use super::{Batches, Table, spooled};
use crate::contract::System;
use crate::database::Native;
use crate::database::dialect::quoted_name;
use crate::database::runtime::wait;
use crate::source::{Error, Piece, Pieces, Remote, Unit};

/// Bytes that an answer may have.
const ANSWER_BYTES: u64 = 64 << 20;

impl Remote for Arc<Table> {
    fn system(&self) -> System {
        System::Postgres
    }

    fn from(&self) -> String {
        self.relation.from.clone()
    }

    fn filter(&self) -> Option<String> {
        self.relation.filter.clone()
    }

    fn column(&self, index: usize) -> Option<(String, Native)> {
        let column = self.relation.columns.get(index).filter(|column| column.sent.is_none())?;
        let native = match column.kind {
            Kind::Boolean => Native::Boolean,
            Kind::Int16 | Kind::Int32 | Kind::Int64 => Native::Integer,
            Kind::Decimal128 { .. } | Kind::Decimal256 { .. } | Kind::Number => Native::Decimal,
            Kind::Text => Native::Text,
            Kind::Binary => Native::Bytes,
            Kind::Uuid => Native::Uuid,
            Kind::Date => Native::Date,
            Kind::Timestamp => Native::Local,
            Kind::TimestampTz => Native::Instant,
            _ => return None,
        };
        Some((quoted_name(System::Postgres, &column.name), native))
    }

    fn is_unique(&self, columns: &[usize]) -> Result<bool, Error> {
        let names: Vec<String> = columns.iter().map(|column| literal(&self.relation.columns[*column].name)).collect();
        // What is no table has no name to be looked up by.
        if self.relation.heap.is_none() {
            return Ok(false);
        }
        // A key of a parent says nothing of the tables that inherit from it, unless they are its partitions.
        self.holds(&format!(
            "SELECT count(*) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
             WHERE c.oid = to_regclass({table}) AND i.indisunique AND i.indisvalid AND i.indimmediate \
             AND i.indpred IS NULL AND i.indexprs IS NULL \
             AND (c.relkind = 'p' OR NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid)) \
             AND (SELECT bool_and(a.attname::text = ANY (ARRAY[{names}]::text[])) FROM generate_series(0, i.indnkeyatts - 1) n \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n])",
            table = literal(&self.relation.named),
            names = names.join(", ")
        ))
    }

    fn is_ordered(&self, column: usize) -> Result<bool, Error> {
        if self.relation.heap.is_none() {
            return Ok(false);
        }
        self.holds(&format!(
            "SELECT count(*) FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
             JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_am m ON m.oid = x.relam \
             WHERE i.indrelid = to_regclass({table}) AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree' \
             AND a.attname::text = {name}",
            table = literal(&self.relation.named),
            name = literal(&self.relation.columns[column].name)
        ))
    }

    fn is_clustered(&self, column: usize) -> Result<bool, Error> {
        // What was never looked at, or may not be, is taken to lie so, as a table does that was filled in order.
        let scattered = self.holds(&format!(
            "SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname \
             WHERE c.oid = to_regclass({table}) AND s.attname = {name} AND abs(s.correlation) < 0.5",
            table = literal(&self.relation.named),
            name = literal(&self.relation.columns[column].name)
        ))?;
        Ok(!scattered)
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let place = &self.server.place;
        let brought = wait(self.server.bring(&format!("COPY ({sql}) TO STDOUT")));
        let brought = brought.map_err(|failure| error(place, failure))?;
        if brought.bytes > ANSWER_BYTES {
            return Err(Error::new(place, "an answer is longer than expected"));
        }
        let Brought { held: mut bytes, rest, .. } = brought;
        if let Some(mut rest) = rest {
            rest.read_to_end(&mut bytes).map_err(|failed| Error::new(place, failed.to_string()))?;
        }
        let text = String::from_utf8(bytes).map_err(|_| Error::new(place, "an answer is no text"))?;
        let field = |field: &str| (field != "\\N").then(|| field.to_owned());
        Ok(text.lines().map(|line| line.split('\t').map(field).collect()).collect())
    }

    fn pace(&self, rows: u64) -> Result<(), Error> {
        let server = &self.server;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        server.pace.wait(rows).map_err(|said| Error::new(&server.place, said))
    }

    fn pick(&self, condition: String, columns: Option<&[usize]>) -> Box<dyn Unit> {
        if self.relation.heap.is_none() {
            let all: Vec<usize> =
                (0..self.relation.columns.len()).filter(|column| !self.relation.hidden.contains(column)).collect();
            return spooled::picked(self, condition, columns.unwrap_or(&all));
        }
        Box::new(Picked { table: Arc::clone(self), condition })
    }

    fn is_fickle(&self) -> bool {
        self.relation.heap.is_none()
    }
}

impl Table {
    /// Whether a count is not zero.
    fn holds(self: &Arc<Self>, sql: &str) -> Result<bool, Error> {
        let told = self.ask(sql)?;
        Ok(told.first().and_then(|line| line.first()).is_some_and(|count| count.as_deref() != Some("0")))
    }
}

/// A text in SQL, whatever the server takes backslashes for.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The rows for which a condition holds, in the order in which they lie.
struct Picked {
    table: Arc<Table>,
    condition: String,
}

impl Unit for Picked {
    fn place(&self) -> String {
        format!("{}, rows of segments", self.table.server.place)
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn memory(&self, _: &[usize]) -> u64 {
        3 * super::HELD_BYTES as u64
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let table = &self.table;
        let filter = table.relation.filter.as_ref().map(|filter| format!(" AND ({filter}\n)")).unwrap_or_default();
        let chosen = format!("WHERE ({}){filter} ORDER BY tableoid, ctid", self.condition);
        let brought = wait(table.server.bring(&table.copy(columns, &chosen)));
        let brought = brought.map_err(|failure| error(self.place(), failure))?;
        Ok(Box::new(Rows { unit: self, batches: Some(table.rows(columns, brought)?) }))
    }
}

/// The rows of a reading.
struct Rows<'a> {
    unit: &'a Picked,
    /// None behind the last.
    batches: Option<Batches<'a>>,
}

impl Rows<'_> {
    fn step(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(batch) = self.batches.as_mut().map_or(Ok(None), Batches::next)? else { return Ok(None) };
        let waited = self.unit.table.server.pace.wait(batch.num_rows());
        waited.map(|()| Some(batch)).map_err(|said| Error::new(self.unit.place(), said))
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.step();
        if !matches!(next, Ok(Some(_))) {
            self.batches = None;
        }
        next.transpose().map(|batch| batch.map(Piece::Rows))
    }
}
