//! Rows that lie in no pages of their own: views, queries, foreign tables, servers before version 14. The server is asked
//! once, when the first row is wanted; what it answers is kept in a temporary file, and every reading takes it from there.

use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;

use super::super::spool::Spool;
use super::server::{HELD_BYTES, Shared};
use super::{Batches, Table};
use crate::source::{Error, Pieces, Remote, Unit};

/// Units that the rows are divided into, so that they can be read in parallel.
const UNITS: usize = 16;
/// How often a reading that lost its connection is begun again from its first row.
const ATTEMPTS: usize = 3;

/// All rows of a source, or those for which a condition holds.
struct Whole {
    table: Arc<Table>,
    condition: Option<String>,
    /// The columns that are kept, ascending.
    columns: Vec<usize>,
    /// What the file holds, once it does.
    kept: OnceLock<Result<Vec<Box<dyn Unit>>, Said>>,
    rows: Option<u64>,
    bytes: u64,
}

/// An error that is told to each who asks.
type Said = (String, String, Option<String>);

/// One of the units.
struct Share {
    whole: Arc<Whole>,
    number: usize,
}

/// The units; `rows` and `bytes` are what the server expects.
pub(super) fn units(table: &Arc<Table>, (rows, bytes): (Option<u64>, u64)) -> Vec<Box<dyn Unit>> {
    let hidden = &table.relation.hidden;
    let columns = (0..table.schema.fields().len()).filter(|column| !hidden.contains(column)).collect();
    let table = Arc::clone(table);
    let whole = Arc::new(Whole { table, condition: None, columns, kept: OnceLock::new(), rows, bytes });
    (0..UNITS).map(|number| -> Box<dyn Unit> { Box::new(Share { whole: Arc::clone(&whole), number }) }).collect()
}

/// The rows for which a condition holds, of which no other columns are asked for.
pub(super) fn picked(table: &Arc<Table>, condition: String, columns: &[usize]) -> Box<dyn Unit> {
    let (table, columns) = (Arc::clone(table), columns.to_vec());
    let whole = Whole { table, condition: Some(condition), columns, kept: OnceLock::new(), rows: None, bytes: 0 };
    Box::new(Picked { whole })
}

/// Chosen rows.
struct Picked {
    whole: Whole,
}

impl Whole {
    /// The numbers that columns have among those that are kept.
    fn numbers(&self, columns: &[usize]) -> Result<Vec<usize>, Error> {
        let number = |column: &usize| {
            self.columns.binary_search(column).map_err(|_| {
                let name = &self.table.relation.columns[*column].name;
                Error::new(&self.table.server.place, format!("the user may not read the column `{name}`"))
                    .with_hint("GRANT SELECT on it, `ignore` it, or compare what the contract declares only")
            })
        };
        columns.iter().map(number).collect()
    }

    fn kept(&self) -> Result<&[Box<dyn Unit>], Error> {
        let kept = self.kept.get_or_init(|| {
            let said = |error: Error| (error.place, error.problem, error.hint);
            (1..ATTEMPTS).find_map(|_| self.keep().transpose()).or_else(|| self.keep().transpose()).map_or_else(
                || {
                    let place = &self.table.server.place;
                    Err((place.clone(), "the connection was lost again and again".to_owned(), None))
                },
                |kept| kept.map_err(said),
            )
        });
        match kept {
            Ok(units) => Ok(units),
            Err((place, problem, hint)) => {
                Err(Error { place: place.clone(), problem: problem.clone(), hint: hint.clone() })
            }
        }
    }

    /// Asks the server and keeps what it answers; None where the connection was lost and another can be had.
    fn keep(&self) -> Result<Option<Vec<Box<dyn Unit>>>, Error> {
        let table = &self.table;
        let server: &Shared = &table.server;
        let columns = &self.columns;
        let filter = table.relation.filter.as_ref().map(|filter| format!("({filter}\n)"));
        let all: Vec<String> = self.condition.iter().map(|condition| format!("({condition})")).chain(filter).collect();
        let only = if all.is_empty() { String::new() } else { format!("WHERE {}", all.join(" AND ")) };
        let coming = server.stream(table.copy(columns, &only));
        let mut spool = Spool::new(&server.place)?;
        let kept = table.coming(columns, coming).and_then(|mut batches: Batches<'_>| {
            while let Some(batch) = batches.next()? {
                server.pace.wait(batch.num_rows()).map_err(|said| Error::new(&server.place, said))?;
                spool.write(batch)?;
            }
            Ok(())
        });
        match kept {
            Ok(()) => {
                let schema = table.schema.project(columns).expect("the columns are the schema's own");
                Ok(Some(spool.units(&Arc::new(schema), Arc::new(|batch: RecordBatch| Ok(batch)))?))
            }
            Err(_) if server.take_cut() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Share {
    /// The units of the file that are this one's.
    fn own(&self) -> Result<&[Box<dyn Unit>], Error> {
        let kept = self.whole.kept()?;
        let at = |number: usize| kept.len() * number / UNITS;
        Ok(&kept[at(self.number)..at(self.number + 1)])
    }
}

impl Unit for Share {
    fn place(&self) -> String {
        self.whole.table.server.place.clone()
    }

    fn rows(&self) -> Option<u64> {
        // What the server expects, also when more is known: who divides work by it must not divide it anew meanwhile.
        self.whole.rows.map(|rows| rows / UNITS as u64)
    }

    fn bytes(&self) -> u64 {
        self.whole.bytes / UNITS as u64
    }

    fn memory(&self, _: &[usize]) -> u64 {
        3 * HELD_BYTES as u64
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let kept = self.whole.numbers(columns)?;
        chained(self.own()?, &kept)
    }

    fn remote(&self) -> Option<&dyn Remote> {
        Some(&self.whole.table)
    }
}

impl Unit for Picked {
    fn place(&self) -> String {
        format!("{}, rows of segments", self.whole.table.server.place)
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn memory(&self, _: &[usize]) -> u64 {
        3 * HELD_BYTES as u64
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let kept = self.whole.numbers(columns)?;
        chained(self.whole.kept()?, &kept)
    }
}

/// The rows of units, one after the other.
fn chained<'a>(units: &'a [Box<dyn Unit>], columns: &[usize]) -> Result<Pieces<'a>, Error> {
    let read: Result<Vec<Pieces<'a>>, Error> = units.iter().map(|unit| unit.read(columns)).collect();
    Ok(Box::new(read?.into_iter().flatten()))
}
