//! SQLite: the file is opened for writing, never created. Foreign keys are enforced.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Answer, Link, Refused, preamble, unknown};
use crate::apply::literal::quoted;
use crate::apply::table::{Column, Family, Foreign, Referring, Table, Unique};
use crate::contract::{Database, System};
use crate::database::dialect::{quoted_name, table_parts};

/// How long another writer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

struct Sqlite {
    connection: Connection,
    path: String,
    lock: Option<File>,
}

pub(super) fn open(database: &Database) -> Result<Box<dyn Link>, Refused> {
    let path = database.url.reveal().to_owned();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|error| refused(&error))?;
    connection.busy_timeout(PATIENCE).map_err(|error| refused(&error))?;
    let mut link = Sqlite { connection, path, lock: None };
    for line in preamble(System::Sqlite) {
        link.run(line)?;
    }
    Ok(Box::new(link))
}

fn refused(error: &rusqlite::Error) -> Refused {
    let code = error.sqlite_error_code().map_or_else(|| "sqlite".to_owned(), |code| format!("{code:?}"));
    let fatal = [ErrorCode::DiskFull, ErrorCode::SystemIoFailure, ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase];
    let busy = [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::ReadOnly, ErrorCode::CannotOpen];
    let lost = error.sqlite_error_code().is_some_and(|code| fatal.contains(&code) || busy.contains(&code));
    Refused { code, message: error.to_string(), lost }
}

impl Link for Sqlite {
    fn run(&mut self, sql: &str) -> Result<(), Refused> {
        self.rows(sql).map(|_| ())
    }

    fn write(&mut self, sql: &str) -> Result<u64, Refused> {
        self.rows(sql)?;
        Ok(self.connection.changes())
    }

    fn rows(&mut self, sql: &str) -> Result<Vec<Answer>, Refused> {
        let mut statement = self.connection.prepare(sql).map_err(|error| refused(&error))?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(|error| refused(&error))?;
        let mut answers = Vec::new();
        while let Some(row) = rows.next().map_err(|error| refused(&error))? {
            let cell = |index| {
                Ok(match row.get_ref(index)? {
                    ValueRef::Null => None,
                    ValueRef::Integer(value) => Some(value.to_string()),
                    ValueRef::Real(value) => Some(value.to_string()),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                })
            };
            let answer: Result<Answer, rusqlite::Error> = (0..columns).map(cell).collect();
            answers.push(answer.map_err(|error| refused(&error))?);
        }
        Ok(answers)
    }

    fn table(&mut self, written: &str) -> Result<Table, Refused> {
        let parts =
            table_parts(written).map_err(|message| Refused { code: "table".to_owned(), message, lost: false })?;
        let (schema, name) = match parts.as_slice() {
            [name] => ("main", name.as_str()),
            [schema, name] => (schema.as_str(), name.as_str()),
            _ => return Err(unknown(written)),
        };
        Catalog { link: self, schema: quoted_name(System::Sqlite, schema), name }.table(written)
    }

    fn take(&mut self) -> Result<bool, Refused> {
        let failed =
            |error: std::io::Error| Refused { code: "lock".to_owned(), message: error.to_string(), lost: true };
        let path = std::fs::canonicalize(Path::new(&self.path)).map_err(failed)?;
        let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        let lock = std::env::temp_dir().join(format!("reconcile-apply-{}.lock", &name[..16]));
        let file = File::options().create(true).append(true).open(lock).map_err(failed)?;
        let taken = file.try_lock().is_ok();
        self.lock = taken.then_some(file);
        Ok(taken)
    }

    fn begin(&self) -> &'static [&'static str] {
        &["BEGIN IMMEDIATE", "PRAGMA defer_foreign_keys = ON"]
    }
}

struct Catalog<'a> {
    link: &'a mut Sqlite,
    schema: String,
    name: &'a str,
}

impl Catalog<'_> {
    fn pragma(&mut self, pragma: &str, of: &str) -> Result<Vec<Answer>, Refused> {
        let name = quoted_name(System::Sqlite, of);
        self.link.rows(&format!("PRAGMA {}.{pragma}({name})", self.schema))
    }

    fn table(&mut self, written: &str) -> Result<Table, Refused> {
        let text = quoted(System::Sqlite, self.name).unwrap_or_default();
        let known = format!(
            "SELECT type, name FROM {}.sqlite_schema WHERE lower(name) = lower({text}) AND type IN ('table', 'view')",
            self.schema
        );
        let found = self.link.rows(&known)?;
        let Some(kind) = found.first().and_then(|row| row[0].clone()) else { return Err(unknown(written)) };
        let info = self.pragma("table_xinfo", self.name)?;
        let keys = info.iter().filter(|row| row[5].as_deref() != Some("0")).count();
        let columns: Vec<Column> = info.iter().map(|row| column(row, keys)).collect();
        let sql = format!("{}.{}", self.schema, quoted_name(System::Sqlite, self.name));
        let mut table = Table {
            system: System::Sqlite,
            sql,
            identity: self.name.to_lowercase(),
            columns,
            unique: Vec::new(),
            foreign: Vec::new(),
            referring: Vec::new(),
            by_itself: Vec::new(),
            unseen: None,
            refused: (kind == "view").then(|| "the projection is a view, which has no rows of its own".to_owned()),
        };
        let number = |index: &usize| info[*index][5].as_ref().and_then(|number| number.parse::<usize>().ok());
        let mut primary: Vec<usize> =
            (0..info.len()).filter(|index| number(index).is_some_and(|place| place > 0)).collect();
        primary.sort_by_key(number);
        if !primary.is_empty() {
            table.unique.push(Unique { columns: primary, deferrable: false });
        }
        self.unique(&mut table)?;
        table.foreign = self.foreign(self.name, &table)?;
        self.by_itself(&mut table)?;
        Ok(table)
    }

    fn unique(&mut self, table: &mut Table) -> Result<(), Refused> {
        for index in self.pragma("index_list", self.name)? {
            let (Some(name), Some("1")) = (&index[1], index[2].as_deref()) else { continue };
            let info = self.pragma("index_info", name)?;
            let columns: Option<Vec<usize>> = info.iter().map(|row| row[1].as_ref()?.parse().ok()).collect();
            let unique = columns.map(|columns| Unique { columns, deferrable: false });
            table.unique.extend(unique.filter(|unique| !table.unique.contains(unique)));
        }
        Ok(())
    }

    fn foreign(&mut self, name: &str, table: &Table) -> Result<Vec<Foreign>, Refused> {
        let mut all: Vec<(String, Foreign)> = Vec::new();
        for row in self.pragma("foreign_key_list", name)? {
            let text = |index: usize| row[index].clone().unwrap_or_default();
            let Some(column) = table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(&text(3)))
            else {
                continue;
            };
            if all.last().is_none_or(|(id, _)| *id != text(0)) {
                let foreign = Foreign { columns: Vec::new(), refers_to: text(2).to_lowercase(), referred: Vec::new() };
                all.push((text(0), foreign));
            }
            if let Some((_, foreign)) = all.last_mut() {
                foreign.columns.push(column);
                foreign.referred.push(text(4));
            }
        }
        Ok(all.into_iter().map(|(_, foreign)| foreign).collect())
    }

    /// The foreign keys of a table that act when a row of this one is removed.
    fn referring(&self, name: &str, keys: &[Answer], table: &Table) -> Vec<Referring> {
        let mut all: Vec<(String, Option<Referring>)> = Vec::new();
        for row in keys {
            let text = |index: usize| row[index].clone().unwrap_or_default();
            let act = text(6).to_lowercase();
            if !text(2).eq_ignore_ascii_case(self.name) || matches!(act.as_str(), "no action" | "restrict") {
                continue;
            }
            if all.last().is_none_or(|(id, _)| *id != text(0)) {
                let foreign = Referring {
                    sql: format!("{}.{}", self.schema, quoted_name(System::Sqlite, name)),
                    shown: name.to_owned(),
                    own: name.eq_ignore_ascii_case(self.name),
                    columns: Vec::new(),
                    referred: Vec::new(),
                    act,
                };
                all.push((text(0), Some(foreign)));
            }
            // Without columns it refers to the primary key, in its order.
            let referred = match &row[4] {
                Some(to) => table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(to)),
                None => {
                    text(1).parse::<usize>().ok().and_then(|place| table.unique.first()?.columns.get(place).copied())
                }
            };
            if let Some((_, foreign)) = all.last_mut() {
                match (foreign.as_mut(), referred) {
                    (Some(foreign), Some(referred)) => {
                        foreign.columns.push(quoted_name(System::Sqlite, &text(3)));
                        foreign.referred.push(referred);
                    }
                    _ => *foreign = None,
                }
            }
        }
        all.into_iter().filter_map(|(_, foreign)| foreign).collect()
    }

    fn by_itself(&mut self, table: &mut Table) -> Result<(), Refused> {
        let names = format!(
            "SELECT name, type, tbl_name FROM {}.sqlite_schema WHERE type IN ('table', 'trigger') ORDER BY name",
            self.schema
        );
        for row in self.link.rows(&names)? {
            let (Some(name), Some(kind)) = (row[0].clone(), row[1].as_deref()) else { continue };
            let of = row[2].clone().unwrap_or_default();
            if kind == "trigger" {
                if of.eq_ignore_ascii_case(self.name) {
                    table.by_itself.push(format!("trigger `{name}`"));
                }
                continue;
            }
            let mut told = std::collections::BTreeSet::new();
            let keys = self.pragma("foreign_key_list", &name)?;
            table.referring.extend(self.referring(&name, &keys, table));
            for foreign in keys {
                let acts = [foreign[5].as_deref(), foreign[6].as_deref()];
                let acts = acts.into_iter().flatten().any(|act| !matches!(act, "NO ACTION" | "RESTRICT"));
                let refers = foreign[2].as_deref().is_some_and(|to| to.eq_ignore_ascii_case(self.name));
                if acts && refers && told.insert(foreign[0].clone()) {
                    let act = format!(
                        "foreign key of `{name}` (on delete {}, on update {})",
                        foreign[6].as_deref().unwrap_or_default().to_lowercase(),
                        foreign[5].as_deref().unwrap_or_default().to_lowercase(),
                    );
                    table.by_itself.push(act);
                }
            }
        }
        Ok(())
    }
}

/// A line of `table_xinfo`: cid, name, type, notnull, default, pk, hidden.
fn column(row: &Answer, keys: usize) -> Column {
    let text = |index: usize| row[index].clone().unwrap_or_default();
    let declared = text(2).to_uppercase();
    let generated = matches!(text(6).as_str(), "2" | "3");
    let row_id = keys == 1 && text(5) != "0" && declared == "INTEGER";
    Column {
        name: text(1),
        family: family(&declared),
        type_sql: String::new(),
        shown: if declared.is_empty() { "no type".to_owned() } else { text(2) },
        required: text(3) != "0" && row[4].is_none() && !generated && !row_id,
        generated,
        identity_always: false,
        element: None,
    }
}

/// By the affinity of the declared type, as SQLite finds it.
fn family(declared: &str) -> Family {
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        Family::Numeric
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Family::Text
    } else if has("BLOB") {
        Family::Binary
    } else if declared.is_empty() {
        Family::Anything
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Family::Float64
    } else {
        Family::Numeric
    }
}
