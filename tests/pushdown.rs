//! Sums of segments in a database: whatever is planted, a run that reads only unequal segments says what a run says that
//! reads every row. Cases are made from their number.

use std::collections::BTreeMap;
use std::io;

use reconcile::audit::{Books, Checksums, Recorder};
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Progress, Settings, Stop, Tuning};
use reconcile::sides::Sides;

use crate::support::Workspace;

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
mod servers;

#[cfg(feature = "postgres")]
mod polite;

#[derive(Default)]
struct Notes {
    divergences: Vec<Divergence>,
}

impl Recorder for Notes {
    fn divergence(&mut self, _contract: &str, divergence: &Divergence) -> io::Result<()> {
        self.divergences.push(divergence.clone());
        Ok(())
    }

    fn action(&mut self, _action: &Action) -> io::Result<()> {
        Ok(())
    }
}

struct Silent;

impl Progress for Silent {
    fn begin(&self, _contract: &str, _phase: &str, _bytes: u64) {}
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

/// What a run says, and what it did.
struct Said {
    divergences: Vec<Divergence>,
    books: Sides<Books>,
    checksums: Option<Checksums>,
    warnings: Vec<String>,
}

/// Runs the one contract of a workspace; segments are meant to have so many rows.
fn said(workspace: &Workspace, segment_rows: u64, threads: usize) -> Said {
    let configuration = reconcile::contract::load(&workspace.path().join("reconcile.toml"), &|_| None).unwrap();
    let settings = Settings {
        run_id: "pushdown".to_owned(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        command: "run".to_owned(),
        threads,
        memory_limit: None,
        spill_folder: workspace.path().to_owned(),
        cache: None,
        examples: 3,
        draft_plan: false,
        digest_inputs: true,
        signed: false,
        pii_key: None,
        decisions: std::sync::Arc::default(),
        shown: BTreeMap::new(),
        tuning: Tuning { segment_rows: Some(segment_rows), ..Tuning::default() },
    };
    let mut notes = Notes::default();
    let audit =
        reconcile::run::run(&configuration.contracts, &settings, &mut notes, &Silent, &Stop::default()).unwrap();
    let contract = audit.contracts.into_iter().next().unwrap();
    assert_eq!(contract.error, None);
    Said {
        divergences: notes.divergences,
        books: contract.books,
        checksums: contract.checksums,
        warnings: contract.warnings,
    }
}

/// Runs with and without checksums and holds them to the same answer; tells what the checksums spared.
fn held(workspace: &Workspace, write: impl Fn(&str) -> String, segment_rows: u64, about: &str) -> Checksums {
    workspace.file("reconcile.toml", &write("never"));
    let read = said(workspace, segment_rows, 2);
    assert_eq!(read.checksums, None, "{about}");
    workspace.file("reconcile.toml", &write("always"));
    let summed = said(workspace, segment_rows, 2);
    assert_eq!(summed.divergences, read.divergences, "{about}");
    assert_eq!(summed.books, read.books, "{about}");
    assert_eq!(summed.warnings, read.warnings, "{about}");
    summed.checksums.unwrap()
}
