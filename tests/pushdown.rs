//! Sums of segments in a database: whatever is planted, a run that reads only unequal segments says what a run says that
//! reads every row. Cases are made from their number.

use reconcile::audit::Checksums;
use reconcile::run::Tuning;

use crate::engine::{Silent, said};
use crate::support::Workspace;

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(all(feature = "postgres", feature = "mysql", feature = "sqlite"))]
mod servers;

#[cfg(all(feature = "postgres", feature = "mysql"))]
mod fickle;

#[cfg(all(feature = "postgres", feature = "mysql"))]
mod polite;

/// Runs with and without checksums and holds them to the same answer; tells what the checksums spared. Segments are meant to have
/// so many rows.
#[track_caller]
fn held(workspace: &Workspace, write: impl Fn(&str) -> String, segment_rows: u64, about: &str) -> Checksums {
    let tuning = Tuning { segment_rows: Some(segment_rows), ..Tuning::default() };
    workspace.file("reconcile.toml", &write("never"));
    let read = said(workspace, tuning, 2, &Silent);
    assert_eq!(read.checksums, None, "{about}");
    workspace.file("reconcile.toml", &write("always"));
    let summed = said(workspace, tuning, 2, &Silent);
    assert_eq!(summed.divergences, read.divergences, "{about}");
    assert_eq!(summed.books, read.books, "{about}");
    assert_eq!(summed.warnings, read.warnings, "{about}");
    summed.checksums.unwrap()
}
