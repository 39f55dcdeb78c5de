//! What a SQLite file answers besides its rows: sums of segments, by the functions that are registered here, and rows chosen
//! by a condition. All in the transaction of the snapshot.

use std::sync::{Arc, PoisonError};

use md5::{Digest, Md5};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use super::super::super::{Error, Remote, Unit};
use super::kind::Kind;
use super::place::within;
use super::unit::RangeUnit;
use crate::contract::System;
use crate::database::sqlite::refused;
use crate::database::{Native, SQLITE_LANE, SQLITE_MD5};

/// Gives a connection the functions that statements for sums use.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(SQLITE_MD5, 1, flags, |context| Ok(md5_of(context)))?;
    connection.create_scalar_function(SQLITE_LANE, 2, flags, |context| {
        let ValueRef::Text(digits) = context.get_raw(0) else { return Ok(None) };
        let from = usize::try_from(context.get::<i64>(1)?).unwrap_or(0).saturating_sub(1);
        let lane = digits.get(from..from + 8).and_then(|lane| std::str::from_utf8(lane).ok());
        Ok(lane.and_then(|lane| u32::from_str_radix(lane, 16).ok()).map(i64::from))
    })
}

/// The MD5 of UTF-8 text; None of anything else.
fn md5_of(context: &Context<'_>) -> Option<String> {
    let ValueRef::Text(text) = context.get_raw(0) else { return None };
    std::str::from_utf8(text).ok()?;
    let digest: [u8; 16] = Md5::digest(text).into();
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Remote for RangeUnit {
    fn system(&self) -> System {
        System::Sqlite
    }

    fn from(&self) -> String {
        self.shared.table.from.clone()
    }

    fn filter(&self) -> Option<String> {
        // What a filter leaves was copied.
        None
    }

    fn column(&self, index: usize) -> Option<(String, Native)> {
        let native = match self.shared.kinds.get(index)? {
            Kind::Boolean => Native::Boolean,
            Kind::Integer => Native::Integer,
            Kind::Text => Native::Text,
            Kind::Blob => Native::Bytes,
            Kind::Null | Kind::Real | Kind::Number | Kind::Mixed(_) => return None,
        };
        Some((self.shared.table.columns[index].expression.clone(), native))
    }

    fn is_unique(&self, _: &[usize]) -> Result<bool, Error> {
        // Nothing is sent anywhere, so that keys are counted soon enough.
        Ok(false)
    }

    fn is_ordered(&self, _: usize) -> Result<bool, Error> {
        Ok(false)
    }

    fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        let shared = &self.shared;
        let failed = |error: rusqlite::Error| {
            let said = refused(&error);
            Error { place: shared.shown.clone(), problem: said.problem, hint: said.hint }
        };
        let left = shared.pace.left().map_err(|said| Error::new(&shared.shown, said))?;
        let limit = [left, shared.statement_timeout].into_iter().flatten().min();
        let connection = shared.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = within(&connection, limit, || {
            let mut statement = connection.prepare(sql)?;
            let columns = statement.column_count();
            let mut rows = statement.query([])?;
            let mut lines = Vec::new();
            while let Some(row) = rows.next()? {
                let line = (0..columns).map(|index| {
                    Ok(match row.get_ref(index)? {
                        ValueRef::Integer(number) => Some(number.to_string()),
                        _ => None,
                    })
                });
                lines.push(line.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            Ok(lines)
        });
        lines.map_err(failed)
    }

    fn pace(&self, rows: u64) -> Result<(), Error> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.shared.pace.wait(rows).map_err(|said| Error::new(&self.shared.shown, said))
    }

    fn pick(&self, condition: String, _: Option<&[usize]>) -> Box<dyn Unit> {
        Box::new(Self::picked(Arc::clone(&self.shared), condition))
    }

    fn is_local(&self) -> bool {
        true
    }
}
