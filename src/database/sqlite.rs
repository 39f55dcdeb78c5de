//! Opens SQLite files: for reading only, or for repairs. A file that is not there is never made, no other process is taken
//! for absent (`immutable`), and a misspelt column never becomes a text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::refused::Refused;

/// How long a lock of another process is waited for.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// Opens a database for reading only.
///
/// # Errors
/// A file that is not there or is no SQLite database.
pub fn open_read_only(path: &Path) -> Result<Connection, Refused> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a database that is there for reading and writing.
///
/// # Errors
/// A file that is not there, cannot be written, or is no SQLite database.
pub fn open_existing(path: &Path) -> Result<Connection, Refused> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

fn open(path: &Path, mode: OpenFlags) -> Result<Connection, Refused> {
    let path = plain(path);
    let facts = std::fs::metadata(&path).map_err(|error| {
        Refused::new(format!("cannot be opened: {error}")).with_hint("give the path of a SQLite database that is there")
    })?;
    if !facts.is_file() {
        return Err(Refused::new("is no file, expected a SQLite database"));
    }
    let connection = Connection::open_with_flags(&path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    let connection = connection.map_err(|error| refused(&error))?;
    let prepared = connection
        .busy_timeout(BUSY_WAIT)
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false).map(drop))
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false).map(drop))
        .and_then(|()| connection.pragma_update(None, "temp_store", "FILE"));
    prepared.map_err(|error| refused(&error))?;
    Ok(connection)
}

/// A path that SQLite takes for nothing else: neither for a URI nor for a database in memory.
fn plain(path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_path_buf() } else { Path::new(".").join(path) }
}

/// What SQLite said, without the statement, which may hold what is secret.
#[must_use]
pub fn refused(error: &rusqlite::Error) -> Refused {
    let said = match error {
        rusqlite::Error::SqlInputError { msg, .. } => return Refused::new(format!("refuses the statement: {msg}")),
        rusqlite::Error::SqliteFailure(_, Some(said)) => said.clone(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Refused::new("is no SQLite database, or is encrypted")
            .with_hint("check the path; an encrypted database has to be decrypted first"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Refused::new(format!(
            "is locked by another process: {said}"
        ))
        .with_hint("try again when the writer is done; in WAL mode readers and writers do not wait for each other"),
        Some(ErrorCode::DatabaseCorrupt) => Refused::new(format!("is damaged: {said}"))
            .with_hint("`PRAGMA integrity_check` tells more; restore it from a backup"),
        Some(ErrorCode::DiskFull) => Refused::new(format!("there is no room for a temporary file: {said}"))
            .with_hint("set SQLITE_TMPDIR to a folder with room"),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Refused::new(format!(
            "cannot be opened: {said}"
        ))
        .with_hint(
            "in WAL mode, and after a crash, whoever reads needs to write the files beside it (-wal, -shm, -journal)",
        ),
        Some(ErrorCode::OperationInterrupted) => Refused::new("was stopped, as it took longer than is allowed"),
        _ => Refused::new(said),
    }
}
