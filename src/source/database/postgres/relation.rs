//! What a source reads of a server: the table or query as SQL, its columns, and where its rows lie. It reads no row.

use std::collections::BTreeSet;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Statement};

use super::server::{BEGIN, SAVEPOINT};
use super::types::{Column, Facts, column};
use crate::contract::{Rows, Source, System};
use crate::database::dialect::{quoted_table, table_parts};
use crate::database::postgres::Failure;
use crate::source::Snapshot;

/// A table or query, as it is read.
pub(super) struct Relation {
    /// What stands behind `FROM`.
    pub(super) from: String,
    /// The contract's filter.
    pub(super) filter: Option<String>,
    pub(super) columns: Vec<Column>,
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
    let version = "SELECT current_setting('server_version_num')::int4, current_setting('server_version')";
    let version = client.query_one(version, &[]).await.map_err(of)?;
    let (version, name): (i32, String) = (version.get(0), version.get(1));
    if version < OLDEST {
        return Err(Failure::new(format!("the server is PostgreSQL {name}, expected 10 or later")));
    }
    let current = if version >= 130_000 { "pg_current_snapshot()" } else { "txid_current_snapshot()" };
    // A replica speaks for the moment up to which it followed, unless it has all that it was sent.
    let asked = format!(
        "SELECT {current}::text, (extract(epoch FROM CASE WHEN pg_is_in_recovery() \
         AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn() \
         THEN coalesce(pg_last_xact_replay_timestamp(), statement_timestamp()) \
         ELSE statement_timestamp() END) * 1000000)::int8, scale(1::money::numeric)::int4"
    );
    let told = client.query_one(&asked, &[]).await.map_err(of)?;
    let (described, microseconds, money): (String, i64, i32) = (told.get(0), told.get(1), told.get(2));
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
    let heap = match rows {
        Rows::Table(name) => heap(client, name, begun.version).await?,
        Rows::Query(_) => None,
    };
    let is_filtered = filter.is_some();
    let heap = heap.map(|heap| Heap { is_mixed: heap.is_mixed || is_filtered, ..heap });
    let expected = if heap.is_some() { (None, 0) } else { expected(client, &from, filter.as_deref()).await };
    Ok(Relation { from, filter, columns, heap, expected })
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
async fn expected(client: &Client, from: &str, filter: Option<&str>) -> (Option<u64>, u64) {
    let filter = filter.map(|filter| format!("WHERE ({filter}\n)")).unwrap_or_default();
    let asked = client.query_one(&format!("EXPLAIN (FORMAT JSON) SELECT * FROM {from} {filter}"), &[]).await;
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
async fn heap(client: &Client, name: &str, version: i32) -> Result<Option<Heap>, Failure> {
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
             c.reltuples::float8, coalesce(pg_relation_size(c.oid), 0), coalesce(pg_table_size(c.oid), 0) \
             FROM part JOIN pg_class c ON c.oid = part.oid LEFT JOIN pg_am a ON a.oid = c.relam",
            &[&table],
        )
        .await
        .map_err(of)?;
    let mut heap = Heap { pages: 0, bytes: 0, rows: Some(0), parts: 0, is_mixed: parts.len() > 1 };
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
        heap.pages = heap.pages.max(own.unsigned_abs().div_ceil(PAGE));
        heap.bytes += whole.unsigned_abs();
        // Below zero: never counted.
        #[expect(clippy::cast_sign_loss, reason = "it is not below zero")]
        let counted = (rows >= 0.0).then_some(rows as u64);
        heap.rows = heap.rows.zip(counted).map(|(sum, rows)| sum + rows);
    }
    Ok((heap.parts > 0).then_some(heap))
}
