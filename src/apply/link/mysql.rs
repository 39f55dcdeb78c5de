//! MySQL and MariaDB: statements as text, so that what is written is what `plan.sql` says. The target is taken by a named lock.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use super::{Answer, Link, Refused, preamble, unknown};
use crate::apply::literal::quoted;
use crate::apply::table::{Column, Family, Foreign, Table, Unique};
use crate::contract::{Database, System};
use crate::database::dialect::{quoted_name, table_parts};
use crate::database::mysql::{Access, is_lost, refused};
use crate::database::runtime::wait;

mod referring;

/// How long an answer is waited for. No look-up of a row takes as long, even without an index; a network that is gone does.
const ANSWER: Duration = Duration::from_secs(600);

struct Mysql {
    connection: Conn,
    /// How long a statement may be, in bytes.
    longest: usize,
}

pub(super) fn open(database: &Database) -> Result<Box<dyn Link>, Refused> {
    let failed = |failure: crate::database::refused::Refused| Refused {
        code: "connection".to_owned(),
        message: failure.to_string(),
        lost: true,
    };
    let access = Access::new(database).map_err(failed)?;
    let connection = wait(access.connect()).map_err(failed)?;
    let mut link = Mysql { connection, longest: usize::MAX };
    for line in preamble(System::Mysql) {
        link.run(line)?;
    }
    // Nobody is waited for endlessly.
    link.run("SET SESSION innodb_lock_wait_timeout = LEAST(@@innodb_lock_wait_timeout, 5), lock_wait_timeout = 5")?;
    let longest = link.ask("SELECT CAST(@@max_allowed_packet AS CHAR)")?;
    let longest = longest.first().and_then(|row| row[0].as_ref()?.parse().ok());
    link.longest = longest.unwrap_or(usize::MAX);
    Ok(Box::new(link))
}

impl Mysql {
    fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Refused> {
        if sql.len() >= self.longest {
            // The server would end the session, and every other row's repair with it.
            return Err(Refused {
                code: "1153".to_owned(),
                message: format!("a statement of {} bytes is longer than `max_allowed_packet`", sql.len()),
                lost: false,
            });
        }
        let asking = self.connection.query(sql);
        let asked: Result<mysql_async::Result<Vec<Row>>, _> =
            wait(async { tokio::time::timeout(ANSWER, asking).await });
        let asked = asked.map_err(|_| Refused {
            code: "connection".to_owned(),
            message: format!("the server did not answer within {} s", ANSWER.as_secs()),
            lost: true,
        })?;
        let rows = asked.map_err(|error| match &error {
            mysql_async::Error::Server(said) => {
                Refused { code: said.code.to_string(), message: said.message.clone(), lost: is_lost(&error) }
            }
            _ => Refused { code: "connection".to_owned(), message: refused(&error).to_string(), lost: true },
        })?;
        let text = |value: Value| match value {
            Value::NULL => None,
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
        };
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }
}

/// A table in the catalog: conditions on its schema and name.
struct Place {
    schema: String,
    name: String,
}

impl Place {
    fn is(&self, schema: &str, name: &str) -> String {
        format!("{schema} = {} AND {name} = {}", self.schema, self.name)
    }
}

impl Mysql {
    fn columns(&mut self, place: &Place) -> Result<(Vec<Column>, Vec<String>), Refused> {
        let rows = self.ask(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT IS NULL, LOWER(EXTRA) \
             FROM information_schema.COLUMNS WHERE {} ORDER BY ORDINAL_POSITION",
            place.is("TABLE_SCHEMA", "TABLE_NAME")
        ))?;
        let renewed = rows.iter().filter(|row| row[5].as_deref().is_some_and(|extra| extra.contains("on update")));
        let renewed =
            renewed.map(|row| format!("column `{}`, which is set on update,", row[0].as_deref().unwrap_or_default()));
        let renewed = renewed.collect();
        Ok((rows.iter().map(column).collect(), renewed))
    }

    fn unique(&mut self, place: &Place, columns: &[Column]) -> Result<Vec<Unique>, Refused> {
        let rows = self.ask(&format!(
            "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE NON_UNIQUE = 0 AND {} \
             ORDER BY INDEX_NAME, SEQ_IN_INDEX",
            place.is("TABLE_SCHEMA", "TABLE_NAME")
        ))?;
        let mut all: Vec<(Option<String>, Unique)> = Vec::new();
        for row in rows {
            let Some(column) = columns.iter().position(|column| Some(&column.name) == row[1].as_ref()) else {
                continue;
            };
            match all.last_mut() {
                Some((name, unique)) if *name == row[0] => unique.columns.push(column),
                _ => all.push((row[0].clone(), Unique { columns: vec![column], deferrable: false })),
            }
        }
        Ok(all.into_iter().map(|(_, unique)| unique).collect())
    }

    fn foreign(&mut self, place: &Place, columns: &[Column]) -> Result<Vec<Foreign>, Refused> {
        let rows = self.ask(&format!(
            "SELECT CONSTRAINT_NAME, COLUMN_NAME, CONCAT(REFERENCED_TABLE_SCHEMA, '.', REFERENCED_TABLE_NAME), \
             REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL \
             AND {} ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION",
            place.is("TABLE_SCHEMA", "TABLE_NAME")
        ))?;
        let mut all: Vec<(Option<String>, Foreign)> = Vec::new();
        for row in rows {
            let Some(column) = columns.iter().position(|column| Some(&column.name) == row[1].as_ref()) else {
                continue;
            };
            let (to, referred) = (row[2].clone().unwrap_or_default(), row[3].clone().unwrap_or_default());
            match all.last_mut() {
                Some((name, foreign)) if *name == row[0] => {
                    foreign.columns.push(column);
                    foreign.referred.push(referred);
                }
                _ => all
                    .push((row[0].clone(), Foreign { columns: vec![column], refers_to: to, referred: vec![referred] })),
            }
        }
        Ok(all.into_iter().map(|(_, foreign)| foreign).collect())
    }
}

impl Link for Mysql {
    fn run(&mut self, sql: &str) -> Result<(), Refused> {
        self.ask(sql).map(|_| ())
    }

    fn write(&mut self, sql: &str) -> Result<u64, Refused> {
        self.ask(sql)?;
        Ok(self.connection.affected_rows())
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Answer>, Refused> {
        self.ask(sql)
    }

    fn table(&mut self, written: &str) -> Result<Table, Refused> {
        let parts =
            table_parts(written).map_err(|message| Refused { code: "table".to_owned(), message, lost: false })?;
        let text = |name: &str| quoted(System::Mysql, name).unwrap_or_default();
        let place = match parts.as_slice() {
            [name] => Place { schema: "DATABASE()".to_owned(), name: text(name) },
            [schema, name] => Place { schema: text(schema), name: text(name) },
            _ => return Err(unknown(written)),
        };
        let found = self.ask(&format!(
            "SELECT t.TABLE_SCHEMA, t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, e.TRANSACTIONS FROM information_schema.TABLES t \
             LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE {}",
            place.is("t.TABLE_SCHEMA", "t.TABLE_NAME")
        ))?;
        let Some(row) = found.first() else { return Err(unknown(written)) };
        let of = |index: usize| row[index].clone().unwrap_or_default();
        let refused = match (of(2).as_str(), of(4).as_str()) {
            ("VIEW" | "SYSTEM VIEW", _) => Some("the projection is a view, which has no rows of its own".to_owned()),
            (_, "YES") => None,
            _ => Some(format!("its table's engine ({}) has no transactions, so nothing could be taken back", of(3))),
        };
        let name = |name: &str| quoted_name(System::Mysql, name);
        let (sql, identity) = (format!("{}.{}", name(&of(0)), name(&of(1))), format!("{}.{}", of(0), of(1)));
        let (columns, mut by_itself) = self.columns(&place)?;
        by_itself.extend(self.by_itself(&place)?);
        let referring = self.referring(&place, &columns)?;
        Ok(Table {
            system: System::Mysql,
            sql,
            identity,
            unique: self.unique(&place, &columns)?,
            foreign: self.foreign(&place, &columns)?,
            unseen: self.unseen([&of(0), &of(1)], &referring)?,
            referring,
            columns,
            by_itself,
            refused,
        })
    }

    fn take(&mut self) -> Result<bool, Refused> {
        let taken = self.ask("SELECT GET_LOCK(CONCAT('reconcile_', MD5(COALESCE(DATABASE(), ''))), 0)")?;
        Ok(taken.first().and_then(|row| row[0].as_deref()) == Some("1"))
    }

    fn release(&mut self) {
        let _ = self.ask("SELECT RELEASE_LOCK(CONCAT('reconcile_', MD5(COALESCE(DATABASE(), ''))))");
    }

    fn begin(&self) -> &'static [&'static str] {
        &["START TRANSACTION"]
    }
}

/// A line of `columns`.
fn column(row: &Answer) -> Column {
    let text = |index: usize| row[index].clone().unwrap_or_default();
    let data_type = text(1).to_lowercase();
    let extra = text(5);
    let generated = extra.contains("generated") && !extra.contains("default_generated") || extra.contains("persistent");
    let given = generated || extra.contains("auto_increment");
    Column {
        name: text(0),
        family: family(&data_type),
        type_sql: if data_type == "json" { data_type } else { String::new() },
        shown: text(2),
        required: text(3) == "NO" && text(4) == "1" && !given,
        generated,
        identity_always: false,
        element: None,
    }
}

fn family(data_type: &str) -> Family {
    match data_type {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => Family::Integer,
        "decimal" => Family::Decimal,
        "float" => Family::Float32,
        "double" => Family::Float64,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => Family::Text,
        // Geometries and vectors have no text: their bytes.
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "geometry" | "point"
        | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
        | "geomcollection" | "vector" => Family::Binary,
        "bit" => Family::Bits,
        "date" => Family::Date,
        "time" => Family::Time,
        "datetime" => Family::Timestamp,
        "timestamp" => Family::Instant,
        "json" => Family::Json,
        _ => Family::Spelled,
    }
}
