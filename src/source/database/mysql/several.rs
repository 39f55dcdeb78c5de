//! A table that is read over several connections at once, each by spans of its key, where it can be proved that all of them see
//! one state; else by one. The proof, for MariaDB alone: every transaction lies at the same position of a binary log that
//! everything is written to, and between the first and the last of them the engine began and ended no transaction that
//! writes. It asks for no privilege and holds up nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::build::{Columns, integer};
use super::kind::Column;
use super::place::Place;
use super::{Access, Reading, Server, Stop, fill};
use crate::contract::System;
use crate::database::dialect::quoted_name;
use crate::database::runtime::wait;
use crate::source::database::spool::Spool;
use crate::source::{Snapshot, Unit};

/// Connections where the contract does not say.
const CONNECTIONS: usize = 2;
/// The most connections, whatever the contract says.
const MOST: usize = 8;
/// How often transactions are begun anew where something was written in between.
const ATTEMPTS: usize = 3;
/// Rows of a span, about.
const SPAN_ROWS: u64 = 1 << 16;
/// The most spans.
const MOST_SPANS: u64 = 1 << 12;

/// How many connections a source may be read by: where its table has a key of whole numbers and more rows than a span.
pub(super) async fn wanted(reading: &Reading<'_>, connection: &mut Conn, place: &Place) -> Result<usize, Stop> {
    let most = reading.database.limits.max_connections.unwrap_or(CONNECTIONS).clamp(1, MOST);
    if most == 1 || place.leading(connection).await?.is_none() {
        return Ok(1);
    }
    let rows = place.size(connection).await?.map_or(0, |(rows, _)| rows);
    Ok(most.min(usize::try_from(rows / SPAN_ROWS).unwrap_or(MOST)).max(1))
}

/// Begins the transaction that all is read in, on as many connections as are wanted and can be proved to see the same.
pub(super) async fn begin(
    reading: &Reading<'_>,
    access: &Access,
    server: &Server,
    first: &mut Conn,
    wanted: usize,
) -> Result<(Vec<Conn>, Snapshot), Stop> {
    let mut others = Vec::new();
    if wanted > 1 && writes_all(server, first).await? {
        for _ in 1..wanted {
            // Fewer do as well, where the server has no room for more.
            let Ok(mut other) = access.connect().await else { break };
            reading.limit(&mut other, server).await?;
            others.push(other);
        }
    }
    for _ in 0..ATTEMPTS {
        let before = transactions(first, &others).await?;
        let snapshot = server.begin(first).await?;
        for other in &mut others {
            server.start(other).await?;
        }
        let position = server.position(first).await?;
        let mut is_same = position.is_some() && before.is_some() && before == transactions(first, &others).await?;
        for other in &mut others {
            is_same &= server.position(other).await? == position;
        }
        if is_same || others.is_empty() {
            return Ok((others, snapshot));
        }
    }
    for other in others {
        let _ = other.disconnect().await;
    }
    Ok((Vec::new(), server.begin(first).await?))
}

/// Whether whatever changes rows there moves the position in the binary log.
async fn writes_all(server: &Server, connection: &mut Conn) -> Result<bool, Stop> {
    if !server.is_mariadb {
        return Ok(false);
    }
    let told: Option<(u8, u8, u8)> = connection
        .query_first("SELECT @@GLOBAL.log_bin, @@GLOBAL.log_slave_updates, COALESCE(@@GLOBAL.wsrep_on, 0)")
        .await
        .or_else(|error| if matches!(error, mysql_async::Error::Server(_)) { Ok(None) } else { Err(error) })?;
    let running: Option<(String, u64)> = connection.query_first("SHOW GLOBAL STATUS LIKE 'Slaves_running'").await?;
    // What a replica or a cluster brings is in the log only where the server is told so.
    Ok(
        matches!((told, running), (Some((1, logs_others, cluster)), Some((_, running))) if logs_others == 1 || (cluster, running) == (0, 0)),
    )
}

/// A number that grows whenever a transaction that writes begins or ends; asked only where several connections are to be alike.
async fn transactions(connection: &mut Conn, others: &[Conn]) -> Result<Option<u64>, Stop> {
    if others.is_empty() {
        return Ok(None);
    }
    let told: Option<(String, u64)> = connection.query_first("SHOW GLOBAL STATUS LIKE 'Innodb_max_trx_id'").await?;
    Ok(told.map(|(_, number)| number))
}

/// What was read over several connections.
pub(super) struct Brought {
    pub(super) made: Columns,
    /// One for each span, in the order of the key.
    pub(super) spools: Vec<Spool>,
}

/// Reads all rows; None where there are none.
pub(super) async fn read(
    reading: &Reading<'_>,
    connections: &mut [Conn],
    place: &Place,
    columns: &[Column],
) -> Result<Option<Brought>, Stop> {
    let Some((first, rest)) = connections.split_first_mut() else { return Ok(None) };
    let Some(name) = place.leading(first).await? else { return Ok(None) };
    let key = quoted_name(System::Mysql, &name);
    let ends: Option<Row> = first.exec_first(format!("SELECT MIN({key}), MAX({key}) FROM {}", place.from), ()).await?;
    let end = |index: usize| ends.as_ref().and_then(|row| row.as_ref(index)).and_then(integer);
    let (Some(low), Some(high)) = (end(0), end(1)) else { return Ok(None) };
    let rows = place.size(first).await?.map_or(0, |(rows, _)| rows);
    let spans = cut(low, high, (rows / SPAN_ROWS).clamp(1, MOST_SPANS));
    let whole = Spool::new(&reading.database.shown)?;
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = |connection: &mut Conn| -> Result<Columns, Stop> {
        let mut made = Columns::new(columns);
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let Some((from, to)) = spans.get(number).copied() else { return Ok(made) };
            let mut spool = whole.beside(format!("{}, {name} from {from} to {to}", reading.database.shown));
            let statement = place.within(&format!("{key} BETWEEN {from} AND {to}"));
            let filled: Result<(), Stop> = wait(async {
                let statement = connection.prep(statement).await?;
                fill(&reading.flow, connection, &statement, &mut made, &mut spool).await?;
                connection.close(statement).await?;
                Ok(())
            });
            if filled.is_err() {
                // The others need not go on.
                next.store(spans.len(), Ordering::SeqCst);
            }
            filled?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, spool));
        }
    };
    // A thread each: they decode what comes.
    let made = std::thread::scope(|scope| {
        let others: Vec<_> = rest.iter_mut().map(|connection| scope.spawn(|| work(connection))).collect();
        let own = scope.spawn(|| work(first)).join();
        let joined = std::iter::once(own).chain(others.into_iter().map(std::thread::ScopedJoinHandle::join));
        joined.map(|made| made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect::<Vec<_>>()
    });
    let made = made.into_iter().collect::<Result<Vec<Columns>, Stop>>()?;
    let made = made.into_iter().reduce(Columns::with).unwrap_or_else(|| Columns::new(columns));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    Ok(Some(Brought { made, spools: done.into_iter().map(|(_, spool)| spool).collect() }))
}

/// The schema that holds every value of what was brought, its units, and how many rows they have.
pub(super) fn units(brought: Brought) -> Result<(SchemaRef, Vec<Box<dyn Unit>>, u64), Stop> {
    let (schema, finish) = brought.made.schema();
    let rows = brought.spools.iter().map(|spool| spool.rows).sum();
    let mut units = Vec::new();
    for spool in brought.spools {
        units.extend(spool.units(&schema, Arc::clone(&finish))?);
    }
    Ok((schema, units, rows))
}

/// Spans of equal width, in order.
fn cut(low: i128, high: i128, spans: u64) -> Vec<(i128, i128)> {
    let width = (high - low) / i128::from(spans) + 1;
    let mut cut = Vec::new();
    let mut next = low;
    while next <= high {
        cut.push((next, (next + width - 1).min(high)));
        next += width;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn spans_cover_every_number_once() {
        for (low, high, spans) in
            [(1, 1, 1), (1, 10, 3), (-5, 5, 4), (i128::from(i64::MIN), i128::from(u64::MAX), 4096), (7, 9, 4096)]
        {
            let spans_of = cut(low, high, spans);
            assert_eq!((spans_of[0].0, spans_of[spans_of.len() - 1].1), (low, high));
            assert!(spans_of.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0));
            assert!(spans_of.len() as u64 <= spans, "{}", spans_of.len());
        }
    }
}
