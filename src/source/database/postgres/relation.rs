//! What a source reads of a server: the table or query as SQL, its columns, and where its rows lie. It reads no row.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Statement};

use super::constant::is_constant;
use super::server::{BEGIN, SAVEPOINT};
use super::types::{Column, Facts, column};
use super::watch::{BEGUN_FROM, FOLLOWED};
use crate::contract::{Rows, Source, System};
use crate::database::dialect::{quoted_name, quoted_table, table_parts};
use crate::database::postgres::Failure;
use crate::source::Snapshot;

/// A table or query, as it is read.
pub(super) struct Relation {
    /// The table's name, or the query.
    pub(super) named: String,
    /// What stands behind `FROM`.
    pub(super) from: String,
    /// The contract's filter, and the parts that the table had within the snapshot.
    pub(super) filter: Option<String>,
    pub(super) columns: Vec<Column>,
    /// Columns that the user may not read, as their numbers in `columns`.
    pub(super) hidden: BTreeSet<usize>,
    /// Where the rows lie; None where only the server knows.
    pub(super) heap: Option<Heap>,
    /// Rows and bytes that the server expects, where it was asked.
    pub(super) expected: (Option<u64>, u64),
}

/// Rows that lie in pages of their own, which can be read a range at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heap {
    /// Pages of the longest part.
    pub(super) pages: u64,
    /// Bytes of all parts, with what lies beside them.
    pub(super) bytes: u64,
    /// Rows, about, where they were ever counted.
    pub(super) rows: Option<u64>,
    /// Parts: partitions, or the table alone.
    pub(super) parts: u64,
    /// The server could join other tables in, so that the order of rows must be asked for.
    pub(super) is_mixed: bool,
}

/// Bytes of a page where the server was built as everybody builds it.
const PAGE: u64 = 8192;
/// The oldest server that is read.
const OLDEST: i32 = 100_000;

/// The transaction with its snapshot.
pub(super) struct Begun {
    pub(super) snapshot: Snapshot,
    /// By which others read in the same one.
    pub(super) shared: Option<String>,
    pub(super) facts: Facts,
    pub(super) version: i32,
}

/// Begins the transaction that all is read in, with the table locked against being emptied or changed first: what was
/// emptied is empty in older snapshots too.
pub(super) async fn begin(client: &Client, rows: &Rows, is_shared: bool) -> Result<Begun, Failure> {
    let of = |error: tokio_postgres::Error| Failure::of(&error);
    client.batch_execute(BEGIN).await.map_err(of)?;
    if let Rows::Table(name) = rows {
        let table = quoted_table(System::Postgres, name).map_err(Failure::new)?;
        client.batch_execute("SAVEPOINT locking").await.map_err(of)?;
        if let Err(error) = client.batch_execute(&format!("LOCK TABLE {table} IN ACCESS SHARE MODE")).await {
            let failure = Failure::of(&error);
            if failure.lost || failure.is(&SqlState::LOCK_NOT_AVAILABLE) {
                return Err(failure);
            }
            // A user who may read some columns only may not lock; what is no table cannot be locked. Reading tells.
            client.batch_execute("ROLLBACK TO SAVEPOINT locking").await.map_err(of)?;
        }
        client.batch_execute("RELEASE SAVEPOINT locking").await.map_err(of)?;
    }
    let version = "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
                   coalesce(current_setting('zero_damaged_pages', true), 'off')::bool";
    let version = client.query_one(version, &[]).await.map_err(of)?;
    let (version, name, loses): (i32, String, bool) = (version.get(0), version.get(1), version.get(2));
    if version < OLDEST {
        return Err(Failure::new(format!("the server is PostgreSQL {name}, expected 10 or later")));
    }
    if loses {
        return Err(Failure::new("the server leaves out rows of damaged pages (zero_damaged_pages = on)")
            .with_hint("switch it off, and run again"));
    }
    let current = if version >= 130_000 { "pg_current_snapshot()" } else { "txid_current_snapshot()" };
    let asked = format!(
        "SELECT {current}::text, (extract(epoch FROM {FOLLOWED}) * 1000000)::int8, scale(1::money::numeric)::int4"
    );
    let told = client.query_one(&asked, &[]).await.map_err(of)?;
    let (described, microseconds, money): (String, Option<i64>, i32) = (told.get(0), told.get(1), told.get(2));
    let microseconds = match microseconds {
        Some(microseconds) => microseconds,
        None => client.query_one(BEGUN_FROM, &[]).await.map_err(of)?.get(0),
    };
    let taken_at = jiff::Timestamp::from_microsecond(microseconds)
        .map_err(|_| Failure::new("the server's clock is out of range"))?;
    // Before the savepoint: within one nothing is shared.
    let shared = if is_shared {
        Some(client.query_one("SELECT pg_export_snapshot()", &[]).await.map_err(of)?.get(0))
    } else {
        None
    };
    client.batch_execute(SAVEPOINT).await.map_err(of)?;
    Ok(Begun {
        snapshot: Snapshot { taken_at, described: format!("PostgreSQL {name}, snapshot {described}") },
        shared,
        facts: Facts { money_scale: i8::try_from(money).unwrap_or(2) },
        version,
    })
}

/// What the source reads, as the server has it within the snapshot.
pub(super) async fn relation(
    client: &Client,
    source: &Source,
    rows: &Rows,
    begun: &Begun,
    is_wide: impl Fn(&str) -> bool,
) -> Result<Relation, Failure> {
    let from = match rows {
        Rows::Table(name) => quoted_table(System::Postgres, name).map_err(Failure::new)?,
        // A comment at its end reaches no further than its line.
        Rows::Query(query) => format!("({}\n) AS query", query.trim().trim_end_matches(';')),
    };
    let statement = match client.prepare(&format!("SELECT * FROM {from}")).await {
        Ok(statement) => statement,
        Err(error) => return Err(absent(client, rows, Failure::of(&error)).await),
    };
    let nested = nested(client, &statement).await;
    let mut columns: Vec<Column> = Vec::new();
    for found in statement.columns() {
        let name = found.name();
        if columns.iter().any(|column| column.name == name) {
            return Err(Failure::new(format!("two columns are named `{name}`, expected each name once"))
                .with_hint("name them apart in the query: … AS …"));
        }
        let is_nested = found.table_oid().zip(found.column_id()).is_some_and(|place| nested.contains(&place));
        columns.push(column(name, found.type_(), found.type_modifier(), begun.facts, is_wide(name) || is_nested));
    }
    if columns.is_empty() {
        return Err(Failure::new("has no columns, and without columns there is nothing to compare"));
    }
    let filter = source.filter.clone();
    if let Some(filter) = &filter {
        client.prepare(&format!("SELECT FROM {from} WHERE ({filter}\n)")).await.map_err(|error| Failure {
            problem: format!("filter: {}", Failure::of(&error).problem),
            ..Failure::of(&error)
        })?;
    }
    let (is_partly, hidden) = match rows {
        Rows::Table(_) => hidden(client, &from, &columns).await?,
        Rows::Query(_) => (false, BTreeSet::new()),
    };
    let is_same = match &filter {
        Some(filter) => is_constant(client, filter, &columns).await?,
        None => true,
    };
    // Who may read some columns only may not ask where rows lie; and what every statement would choose anew is chosen once.
    let found = match rows {
        Rows::Table(name) if is_same && !is_partly => heap(client, name, begun.version).await?,
        _ => None,
    };
    let Some((heap, parts)) = found else {
        let expected = expected(client, &from, filter.as_deref(), &columns, &hidden).await;
        return Ok(Relation { named: from.clone(), from, filter, columns, hidden, heap: None, expected });
    };
    let heap = Heap { is_mixed: heap.is_mixed || filter.is_some(), ..heap };
    let (read, filter) = parts.only(&from, filter);
    Ok(Relation { named: from, from: read, filter, columns, hidden, heap: Some(heap), expected: (None, 0) })
}

/// Whether the user may read some columns of a table only, and which not.
async fn hidden(client: &Client, table: &str, columns: &[Column]) -> Result<(bool, BTreeSet<usize>), Failure> {
    let asked = "SELECT NOT has_table_privilege(c.oid, 'SELECT') AND has_any_column_privilege(c.oid, 'SELECT'), \
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
         AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')) \
         FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1)";
    let told = client.query_opt(asked, &[&table]).await.map_err(|error| Failure::of(&error))?;
    let Some((true, hidden)) = told.map(|told| (told.get::<_, bool>(0), told.get::<_, Vec<String>>(1))) else {
        return Ok((false, BTreeSet::new()));
    };
    let is_hidden = |(_, column): &(usize, &Column)| hidden.contains(&column.name);
    Ok((true, columns.iter().enumerate().filter(is_hidden).map(|(index, _)| index).collect()))
}

/// The parts of a table that has rows of its own, as they were within the snapshot. The server would read those that it has
/// when a statement begins: one that is attached meanwhile would be read in part.
struct Parts {
    oids: Vec<u32>,
    /// It is one table, and no parent.
    is_plain: bool,
}

impl Parts {
    /// What stands behind `FROM` and `WHERE`, so that only these parts are read.
    fn only(&self, table: &str, filter: Option<String>) -> (String, Option<String>) {
        if self.is_plain {
            return (format!("ONLY {table}"), filter);
        }
        let oids: Vec<String> = self.oids.iter().map(u32::to_string).collect();
        let parts = format!("tableoid IN ({})", oids.join(", "));
        let filter = filter.map_or_else(|| parts.clone(), |filter| format!("{parts} AND ({filter}\n)"));
        (table.to_owned(), Some(filter))
    }
}

/// Columns that are declared as arrays of more dimensions than one, by table and number: every value is likely to have them.
async fn nested(client: &Client, statement: &Statement) -> BTreeSet<(u32, i16)> {
    let tables: BTreeSet<u32> = statement.columns().iter().filter_map(tokio_postgres::Column::table_oid).collect();
    let tables: Vec<u32> = tables.into_iter().collect();
    let asked = "SELECT attrelid, attnum FROM pg_attribute WHERE attrelid = ANY ($1) AND attndims > 1";
    let found = client.query(asked, &[&tables]).await.unwrap_or_default();
    found.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Rows and bytes that the server's planner expects.
async fn expected(
    client: &Client,
    from: &str,
    filter: Option<&str>,
    columns: &[Column],
    hidden: &BTreeSet<usize>,
) -> (Option<u64>, u64) {
    let filter = filter.map(|filter| format!("WHERE ({filter}\n)")).unwrap_or_default();
    let seen = columns.iter().enumerate().filter(|(index, _)| !hidden.contains(index));
    let seen: Vec<String> = seen.map(|(_, column)| quoted_name(System::Postgres, &column.name)).collect();
    let seen = seen.join(", ");
    let asked = client.query_one(&format!("EXPLAIN (FORMAT JSON) SELECT {seen} FROM {from} {filter}"), &[]).await;
    if asked.is_err() {
        // What the server refuses here it refuses again when it is read, and then it is told.
        let _ = client.batch_execute("ROLLBACK TO SAVEPOINT reading").await;
    }
    let plan: Option<serde_json::Value> = asked.ok().and_then(|row| row.try_get::<_, Json>(0).ok()).map(|json| json.0);
    let plan = plan.as_ref().map(|plan| &plan[0]["Plan"]);
    let Some(rows) = plan.and_then(|plan| plan["Plan Rows"].as_u64()) else { return (None, 0) };
    let width = plan.and_then(|plan| plan["Plan Width"].as_u64()).unwrap_or(100);
    (Some(rows), rows.saturating_mul(width))
}

/// A value of the type `json`.
struct Json(serde_json::Value);

impl<'a> FromSql<'a> for Json {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(serde_json::from_slice(bytes)?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }
}

/// What is said of a table that is not there: with the tables that are.
async fn absent(client: &Client, rows: &Rows, failure: Failure) -> Failure {
    let Rows::Table(name) = rows else { return failure };
    if !failure.is(&SqlState::UNDEFINED_TABLE) || client.batch_execute("ROLLBACK TO SAVEPOINT reading").await.is_err() {
        return failure;
    }
    let parts = table_parts(name).unwrap_or_default();
    let schema = if parts.len() > 1 { parts.get(parts.len() - 2).map(String::as_str) } else { None };
    let listed = "SELECT CASE WHEN n.nspname = ANY (current_schemas(false)) THEN c.relname ELSE n.nspname || '.' || c.relname END \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND ($1::text IS NULL OR n.nspname = $1) AND NOT c.relispartition ORDER BY 1 LIMIT 200";
    let found = client.query(listed, &[&schema]).await.unwrap_or_default();
    let found: Vec<String> = found.iter().map(|row| row.get(0)).collect();
    let near = found.iter().max_by(|one, other| {
        let likeness = |table: &str| strsim::jaro_winkler(&table.to_lowercase(), &name.to_lowercase());
        likeness(one).total_cmp(&likeness(other))
    });
    let hint = match near {
        Some(near) if strsim::jaro_winkler(&near.to_lowercase(), &name.to_lowercase()) > 0.8 => {
            format!("did you mean \"{near}\"?")
        }
        Some(_) => format!("tables are: {}", found.iter().take(10).cloned().collect::<Vec<_>>().join(", ")),
        None => "no table is there that this user can see".to_owned(),
    };
    Failure::new(format!("there is no table `{name}`")).with_hint(hint)
}

/// Where a table's rows lie, if that can be asked for.
async fn heap(client: &Client, name: &str, version: i32) -> Result<Option<(Heap, Parts)>, Failure> {
    // Ranges of pages are found without reading the rest since version 14.
    if version < 140_000 {
        return Ok(None);
    }
    let of = |error: tokio_postgres::Error| Failure::of(&error);
    let table = quoted_table(System::Postgres, name).map_err(Failure::new)?;
    let parts = client
        .query(
            "WITH RECURSIVE part AS (SELECT to_regclass($1)::oid AS oid UNION ALL \
             SELECT i.inhrelid FROM pg_inherits i JOIN part ON i.inhparent = part.oid) \
             SELECT c.relkind::text, coalesce(a.amname = 'heap', false), c.relrowsecurity OR c.relhasrules, \
             c.reltuples::float8, coalesce(pg_relation_size(c.oid), 0), coalesce(pg_table_size(c.oid), 0), c.oid \
             FROM part JOIN pg_class c ON c.oid = part.oid LEFT JOIN pg_am a ON a.oid = c.relam",
            &[&table],
        )
        .await
        .map_err(of)?;
    let mut heap = Heap { pages: 0, bytes: 0, rows: Some(0), parts: 0, is_mixed: parts.len() > 1 };
    let is_plain = parts.len() == 1 && parts[0].get::<_, &str>(0) == "r";
    let mut read = Parts { oids: Vec::new(), is_plain };
    for part in &parts {
        let (kind, is_heap, is_mixed): (String, bool, bool) = (part.get(0), part.get(1), part.get(2));
        let (rows, own, whole): (f64, i64, i64) = (part.get(3), part.get(4), part.get(5));
        heap.is_mixed |= is_mixed;
        match kind.as_str() {
            "p" => continue,
            "r" | "m" if is_heap => {}
            _ => return Ok(None),
        }
        heap.parts += 1;
        read.oids.push(part.get(6));
        heap.pages = heap.pages.max(own.unsigned_abs().div_ceil(PAGE));
        heap.bytes += whole.unsigned_abs();
        // Below zero: never counted.
        #[expect(clippy::cast_sign_loss, reason = "it is not below zero")]
        let counted = (rows >= 0.0).then_some(rows as u64);
        heap.rows = heap.rows.zip(counted).map(|(sum, rows)| sum + rows);
    }
    Ok((heap.parts > 0).then_some((heap, read)))
}
