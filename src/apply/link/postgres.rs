//! PostgreSQL: statements as text, so that what is written is what `plan.sql` says. The target is taken by an advisory lock.

use std::collections::BTreeMap;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Answer, Link, Refused, preamble, unknown};
use crate::apply::literal::quoted;
use crate::apply::table::{Column, Family, Foreign, Referring, Table, Unique};
use crate::contract::{Database, System};
use crate::database::dialect::{quoted_name, quoted_table};
use crate::database::postgres::{Access, Failure};
use crate::database::runtime::wait;

/// A statement that took too long, or that somebody ended.
const CANCELED: &str = "57014";

struct Postgres {
    client: Client,
}

pub(super) fn open(database: &Database) -> Result<Box<dyn Link>, Refused> {
    let failed = |failure: Failure| Refused {
        code: failure.code.unwrap_or_else(|| "connection".to_owned()),
        message: failure.problem,
        lost: true,
    };
    let access = Access::new(database).map_err(failed)?;
    let link = wait(access.connect()).map_err(failed)?;
    let mut link = Postgres { client: link.client };
    for line in preamble(System::Postgres) {
        link.run(line)?;
    }
    // Nobody is waited for endlessly, and what is said to be durable is.
    let current = "pg_catalog.current_setting";
    for (setting, value, unless) in [
        ("lock_timeout", "5s", format!("{current}('lock_timeout')::interval NOT BETWEEN '1 ms' AND '5 s'")),
        ("synchronous_commit", "on", format!("{current}('synchronous_commit') = 'off'")),
    ] {
        link.run(&format!("SELECT pg_catalog.set_config('{setting}', '{value}', false) WHERE {unless}"))?;
    }
    Ok(Box::new(link))
}

impl Postgres {
    fn messages(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Refused> {
        wait(self.client.simple_query(sql)).map_err(|error| match error.as_db_error() {
            Some(said) => Refused {
                code: said.code().code().to_owned(),
                message: said.message().to_owned(),
                // Connections that fail, resources that are gone, an operator's hand, a broken server.
                lost: said.code().code() != CANCELED
                    && ["08", "53", "57", "58", "XX"].iter().any(|class| said.code().code().starts_with(class)),
            },
            None => {
                Refused { code: "connection".to_owned(), message: "the connection was lost".to_owned(), lost: true }
            }
        })
    }

    fn ask(&mut self, sql: &str) -> Result<Vec<Answer>, Refused> {
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect())
            }
            _ => None,
        };
        Ok(self.messages(sql)?.into_iter().filter_map(row).collect())
    }

    fn columns(&mut self, oid: &str) -> Result<Vec<Column>, Refused> {
        let rows = self.ask(&format!(
            // A literal of a domain would be cut or rounded to fit it, so it is one of the type under all its domains.
            "SELECT a.attname, n.nspname, t.typname, t.typcategory, a.attnotnull, \
             (d.oid IS NOT NULL), a.attgenerated, a.attidentity, pg_catalog.format_type(a.atttypid, a.atttypmod), \
             e.schema, e.name, e.category, e.list_schema, e.list \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = (\
             WITH RECURSIVE under AS (SELECT u.oid, u.typbasetype FROM pg_catalog.pg_type u WHERE u.oid = a.atttypid UNION ALL \
             SELECT u.oid, u.typbasetype FROM under JOIN pg_catalog.pg_type u ON u.oid = under.typbasetype) \
             SELECT under.oid FROM under WHERE under.typbasetype = 0) \
             JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             LEFT JOIN LATERAL ({ELEMENT}) e ON true LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        ))?;
        Ok(rows.iter().map(column).collect())
    }

    /// Numbers of columns in the catalog to places among those that are there.
    fn places(&mut self, oid: &str) -> Result<BTreeMap<String, usize>, Refused> {
        let rows = self.ask(&format!(
            "SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped \
             ORDER BY attnum"
        ))?;
        Ok(rows.into_iter().enumerate().filter_map(|(place, row)| Some((row[0].clone()?, place))).collect())
    }

    fn unique(&mut self, oid: &str) -> Result<Vec<Unique>, Refused> {
        let places = self.places(oid)?;
        let rows = self.ask(&format!(
            "SELECT array_to_string((i.indkey::int2[])[0:coalesce((to_jsonb(i) ->> 'indnkeyatts')::int, i.indnatts) - 1], ' '), NOT i.indimmediate FROM pg_catalog.pg_index i \
             WHERE i.indrelid = {oid} AND (i.indisunique OR i.indisexclusion) ORDER BY i.indexrelid"
        ))?;
        let unique = |row: &Answer| {
            let columns: Option<Vec<usize>> =
                row[0].as_ref()?.split(' ').map(|number| places.get(number).copied()).collect();
            Some(Unique { columns: columns?, deferrable: row[1].as_deref() == Some("t") })
        };
        Ok(rows.iter().filter_map(unique).collect())
    }

    fn foreign(&mut self, oid: &str) -> Result<Vec<Foreign>, Refused> {
        let places = self.places(oid)?;
        let rows = self.ask(&format!(
            "SELECT array_to_string(c.conkey, ' '), c.confrelid::text, (SELECT pg_catalog.string_agg(a.attname, \
             E'\\x01' ORDER BY u.place) FROM pg_catalog.unnest(c.confkey) WITH ORDINALITY AS u(number, place) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = u.number) \
             FROM pg_catalog.pg_constraint c WHERE c.conrelid = {oid} AND c.contype = 'f' ORDER BY c.oid"
        ))?;
        let foreign = |row: &Answer| {
            let columns: Option<Vec<usize>> =
                row[0].as_ref()?.split(' ').map(|number| places.get(number).copied()).collect();
            let referred = row[2].as_ref()?.split('\u{1}').map(str::to_owned).collect();
            Some(Foreign { columns: columns?, refers_to: row[1].clone()?, referred })
        };
        Ok(rows.iter().filter_map(foreign).collect())
    }

    fn referring(&mut self, oid: &str) -> Result<Vec<Referring>, Refused> {
        let places = self.places(oid)?;
        let rows = self.ask(&format!(
            "SELECT n.nspname, r.relname, c.conrelid = c.confrelid, CASE c.confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN \
             'set null' ELSE 'set default' END, (SELECT pg_catalog.string_agg(a.attname, E'\\x01' ORDER BY u.place) FROM \
             pg_catalog.unnest(c.conkey) WITH ORDINALITY AS u(number, place) JOIN pg_catalog.pg_attribute a ON \
             a.attrelid = c.conrelid AND a.attnum = u.number), pg_catalog.array_to_string(c.confkey, ' ') \
             FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
             WHERE c.confrelid = {oid} AND c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') ORDER BY c.oid"
        ))?;
        let name = |name: &str| quoted_name(System::Postgres, name);
        let referring = |row: &Answer| {
            let (schema, table) = (row[0].as_ref()?, row[1].as_ref()?);
            let referred: Option<Vec<usize>> =
                row[5].as_ref()?.split(' ').map(|number| places.get(number).copied()).collect();
            Some(Referring {
                sql: format!("{}.{}", name(schema), name(table)),
                shown: table.clone(),
                own: row[2].as_deref() == Some("t"),
                columns: row[4].as_ref()?.split('\u{1}').map(name).collect(),
                referred: referred?,
                act: row[3].clone()?,
            })
        };
        Ok(rows.iter().filter_map(referring).collect())
    }

    fn by_itself(&mut self, oid: &str) -> Result<Vec<String>, Refused> {
        let rows = self.ask(&format!(
            "SELECT 'trigger `' || tgname || '`' FROM pg_catalog.pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal \
             AND tgenabled <> 'D' UNION ALL SELECT 'rule `' || rulename || '`' FROM pg_catalog.pg_rewrite \
             WHERE ev_class = {oid} AND rulename <> '_RETURN' UNION ALL \
             SELECT 'foreign key `' || conname || '` of `' || conrelid::pg_catalog.regclass || '` (on delete ' || \
             CASE confdeltype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default' ELSE 'no action' END \
             || ', on update ' || CASE confupdtype WHEN 'c' THEN 'cascade' WHEN 'n' THEN 'set null' WHEN 'd' THEN 'set default' \
             ELSE 'no action' END || ')' FROM pg_catalog.pg_constraint WHERE confrelid = {oid} AND contype = 'f' \
             AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')) ORDER BY 1"
        ))?;
        Ok(rows.into_iter().filter_map(|row| row[0].clone()).collect())
    }
}

impl Link for Postgres {
    fn run(&mut self, sql: &str) -> Result<(), Refused> {
        self.ask(sql).map(|_| ())
    }

    fn write(&mut self, sql: &str) -> Result<u64, Refused> {
        let messages = self.messages(sql)?;
        let counted = messages.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        });
        Ok(counted.unwrap_or(0))
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Answer>, Refused> {
        self.ask(sql)
    }

    fn table(&mut self, written: &str) -> Result<Table, Refused> {
        let name = quoted_table(System::Postgres, written).map_err(|message| Refused {
            code: "table".to_owned(),
            message,
            lost: false,
        })?;
        let text = quoted(System::Postgres, &name).map_err(|_| unknown(written))?;
        let found = self.ask(&format!(
            "SELECT c.oid::text, n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass({text})"
        ))?;
        let Some([Some(oid), Some(schema), Some(table), Some(kind)]) = found.first().map(Vec::as_slice) else {
            return Err(unknown(written));
        };
        let (oid, kind) = (oid.clone(), kind.clone());
        let sql = format!("{}.{}", quoted_name(System::Postgres, schema), quoted_name(System::Postgres, table));
        let refused = match kind.as_str() {
            "r" | "p" => None,
            "v" => Some("the projection is a view, which has no rows of its own"),
            "m" => Some("the projection is a materialized view, which is refreshed and not written"),
            "f" => Some("the projection is a foreign table, whose rows are another server's"),
            _ => Some("the projection is no table"),
        };
        Ok(Table {
            system: System::Postgres,
            sql,
            columns: self.columns(&oid)?,
            unique: self.unique(&oid)?,
            foreign: self.foreign(&oid)?,
            referring: self.referring(&oid)?,
            by_itself: self.by_itself(&oid)?,
            unseen: None,
            identity: oid,
            refused: refused.map(str::to_owned),
        })
    }

    fn take(&mut self) -> Result<bool, Refused> {
        // The number is arbitrary and always the same; the lock is of this database alone.
        let taken = self.ask("SELECT pg_catalog.pg_try_advisory_lock(6148914691236517205)")?;
        Ok(taken.first().and_then(|row| row[0].as_deref()) == Some("t"))
    }

    fn release(&mut self) {
        let _ = self.ask("SELECT pg_catalog.pg_advisory_unlock(6148914691236517205)");
    }

    fn begin(&self) -> &'static [&'static str] {
        &["BEGIN ISOLATION LEVEL READ COMMITTED", "SET CONSTRAINTS ALL DEFERRED"]
    }

    fn transaction(&mut self) -> Result<Option<String>, Refused> {
        let rows = self.ask("SELECT pg_catalog.txid_current()::pg_catalog.text")?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }

    fn fate(&mut self, transaction: &str) -> Result<Option<bool>, Refused> {
        let number = transaction.parse::<u64>().map_or_else(|_| "NULL".to_owned(), |number| number.to_string());
        match self.ask(&format!("SELECT pg_catalog.txid_status({number})")) {
            Ok(rows) => Ok(match rows.first().and_then(|row| row[0].as_deref()) {
                Some("committed") => Some(true),
                Some("aborted") => Some(false),
                _ => None,
            }),
            Err(refused) if refused.lost => Err(refused),
            // A server that is too old, or another one than it was.
            Err(_) => Ok(None),
        }
    }
}

/// A line of `columns`.
fn column(row: &Answer) -> Column {
    let text = |index: usize| row[index].clone().unwrap_or_default();
    let is = |index: usize| row[index].as_deref() == Some("t");
    let generated = !matches!(text(6).as_str(), "" | "\0");
    let identity = text(7);
    // Of the catalog's name alone, so that no length cuts or fills a literal.
    let type_sql = |schema: usize, name: usize| {
        format!("{}.{}", quoted_name(System::Postgres, &text(schema)), quoted_name(System::Postgres, &text(name)))
    };
    let column = Column {
        name: text(0),
        family: family(&text(2), &text(3)),
        type_sql: type_sql(1, 2),
        shown: text(8),
        required: is(4) && !is(5) && !generated && !matches!(identity.as_str(), "a" | "d"),
        generated,
        identity_always: identity == "a",
        element: None,
    };
    if row[9].is_none() {
        return column;
    }
    let element = Column { family: family(&text(10), &text(11)), type_sql: type_sql(9, 10), ..column.clone() };
    Column { family: Family::List, type_sql: type_sql(12, 13), element: Some(Box::new(element)), ..column }
}

/// What the elements of an array `t` are under all domains, and the array of these; no row for other types.
const ELEMENT: &str = "WITH RECURSIVE under AS (SELECT u.oid, u.typbasetype FROM pg_catalog.pg_type u \
     WHERE u.oid = t.typelem AND u.typarray = t.oid UNION ALL \
     SELECT u.oid, u.typbasetype FROM under JOIN pg_catalog.pg_type u ON u.oid = under.typbasetype) \
     SELECT s.nspname AS schema, o.typname AS name, o.typcategory AS category, ls.nspname AS list_schema, l.typname AS list \
     FROM under JOIN pg_catalog.pg_type o ON o.oid = under.oid JOIN pg_catalog.pg_namespace s ON s.oid = o.typnamespace \
     JOIN pg_catalog.pg_type l ON l.oid = o.typarray JOIN pg_catalog.pg_namespace ls ON ls.oid = l.typnamespace \
     WHERE under.typbasetype = 0";

fn family(name: &str, category: &str) -> Family {
    match name {
        "bool" => Family::Boolean,
        "int2" | "int4" | "int8" | "oid" => Family::Integer,
        "numeric" => Family::Decimal,
        "float4" => Family::Float32,
        "float8" => Family::Float64,
        "bpchar" => Family::Padded,
        "bytea" => Family::Binary,
        "bit" | "varbit" => Family::Bits,
        "date" => Family::Date,
        "timestamp" => Family::Timestamp,
        "timestamptz" => Family::Instant,
        "time" | "timetz" => Family::Time,
        "json" | "jsonb" => Family::Json,
        // A month and thirty days are equal to the server, and are not the same length of time.
        "xml" | "interval" => Family::Opaque,
        _ if category == "S" => Family::Text,
        _ if category == "E" => Family::Label,
        // What of it would be written by JSON is not what the server reads.
        "hstore" => Family::Nested,
        _ if category == "C" => Family::Nested,
        _ if category == "G" => Family::Opaque,
        _ => Family::Spelled,
    }
}
