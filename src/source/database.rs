//! Rows of a database as units that are read in one snapshot. One file a system; what a build leaves out is said.

use crate::contract::{Database, Source, System};

use super::{Error, OpenOptions, Opened};
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
use super::{Snapshot, Unit};

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod pace;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod spool;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "other systems look at all values first"))]
mod wider;

/// Opens a table or query: connects, takes the snapshot, learns the columns, and cuts the rows into units.
///
/// # Errors
/// A server that cannot be reached or refuses, a table that is not there, a build without the system.
pub(super) fn open(source: &Source, database: &Database, options: &OpenOptions) -> Result<Opened, Error> {
    #[cfg(not(any(feature = "postgres", feature = "mysql", feature = "sqlite")))]
    let _ = (source, options);
    match database.system {
        #[cfg(feature = "postgres")]
        System::Postgres => postgres::open(source, database, options),
        #[cfg(not(feature = "postgres"))]
        System::Postgres => Err(absent(database)),
        #[cfg(feature = "sqlite")]
        System::Sqlite => sqlite::open(source, database, options),
        #[cfg(not(feature = "sqlite"))]
        System::Sqlite => Err(absent(database)),
        #[cfg(feature = "mysql")]
        System::Mysql => mysql::open(source, database, options),
        #[cfg(not(feature = "mysql"))]
        System::Mysql => Err(absent(database)),
    }
}

/// How many columns are known by now to hold what their usual type cannot.
pub(super) fn widened() -> usize {
    wider::count()
}

/// What a build without a system says.
#[cfg(not(all(feature = "postgres", feature = "mysql", feature = "sqlite")))]
fn absent(database: &Database) -> Error {
    let system = database.system;
    Error::new(&database.shown, format!("this build does not read {}", system.called()))
        .with_hint(format!("build it with the feature `{}`", system.name()))
}
