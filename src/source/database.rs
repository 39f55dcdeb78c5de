//! Rows of a database as units that are read in one snapshot. One file a system; what a build leaves out is said.

use crate::contract::{Database, Source, System};

use super::{Error, OpenOptions, Opened};
#[cfg(any(feature = "mysql", feature = "sqlite"))]
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
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql")),
    expect(dead_code, reason = "SQLite looks at all values first")
)]
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
#[cfg(any(test, not(all(feature = "postgres", feature = "mysql", feature = "sqlite"))))]
fn absent(database: &Database) -> Error {
    let system = database.system;
    Error::new(&database.shown, format!("this build does not read {}", system.called()))
        .with_hint(format!("build it with the feature `{0}`: cargo build --features {0}", system.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::load_text;

    #[test]
    fn a_build_without_a_system_says_which_feature_reads_it() {
        for (location, system, feature) in [
            ("postgres://amy:secret@db/shop", "PostgreSQL", "postgres"),
            ("mysql://amy:secret@db/shop", "MySQL", "mysql"),
            ("sqlite:shop.db", "SQLite", "sqlite"),
        ] {
            let text = format!(
                "version = 1\n[source.a]\nlocation = \"{location}\"\ntable = \"t\"\n[source.p]\nlocation = \"p.csv\"\n\
                 [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n"
            );
            let configuration = load_text(std::path::Path::new("/reconcile.toml"), &text).unwrap();
            let error = absent(configuration.contracts[0].sources.authority.database().unwrap());
            let said = error.to_string();
            assert!(said.contains("this build does not read") && said.contains(system), "{said}");
            assert!(!said.contains("secret"), "{said}");
            let hint = error.hint.unwrap_or_default();
            assert!(hint.contains(&format!("cargo build --features {feature}")), "{hint}");
        }
    }
}
