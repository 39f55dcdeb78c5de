//! The engine as tests of its ways call it: the one contract of a folder, in this process, with sizes that no user can set. It
//! keeps all that a run tells, and never knows what is right.

use std::collections::BTreeMap;
use std::io;

use reconcile::audit::{Books, Checksums, ContractAudit, Recorder};
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Progress, Settings, Stop, Tuning};
use reconcile::sides::Sides;

use crate::support::Workspace;

/// What a recorder was told.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) divergences: Vec<Divergence>,
    pub(crate) actions: Vec<Action>,
}

impl Recorder for Notes {
    fn divergence(&mut self, _contract: &str, divergence: &Divergence) -> io::Result<()> {
        self.divergences.push(divergence.clone());
        Ok(())
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.actions.push(action.clone());
        Ok(())
    }
}

/// Nobody is told how far it is.
pub(crate) struct Silent;

impl Progress for Silent {
    fn begin(&self, _contract: &str, _phase: &str, _bytes: u64) {}
    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

/// What a run says, and what it did.
pub(crate) struct Said {
    pub(crate) divergences: Vec<Divergence>,
    pub(crate) books: Sides<Books>,
    pub(crate) digests: Sides<String>,
    pub(crate) checksums: Option<Checksums>,
    pub(crate) warnings: Vec<String>,
}

/// Runs the one contract of a workspace, which is compared to the end.
#[track_caller]
pub(crate) fn said(workspace: &Workspace, tuning: Tuning, threads: usize, progress: &dyn Progress) -> Said {
    let settings = Settings { draft_plan: false, ..settings(workspace, tuning, threads) };
    let (contract, notes) = audited(workspace, &settings, progress);
    assert_eq!(contract.error, None);
    Said {
        divergences: notes.divergences,
        books: contract.books,
        digests: contract.inputs.map(|_, input| input.table_digest),
        checksums: contract.checksums,
        warnings: contract.warnings,
    }
}

/// How a contract is run.
pub(crate) fn settings(workspace: &Workspace, tuning: Tuning, threads: usize) -> Settings {
    Settings {
        run_id: "engine".to_owned(),
        started_at: jiff::Timestamp::UNIX_EPOCH,
        command: "run".to_owned(),
        threads,
        memory_limit: None,
        spill_folder: workspace.path().to_owned(),
        cache: None,
        examples: 3,
        draft_plan: true,
        digest_inputs: true,
        signed: false,
        pii_key: None,
        decisions: std::sync::Arc::default(),
        earlier: None,
        shown: BTreeMap::new(),
        tuning,
    }
}

/// Runs the one contract of a workspace, however it ends.
#[track_caller]
pub(crate) fn audited(workspace: &Workspace, settings: &Settings, progress: &dyn Progress) -> (ContractAudit, Notes) {
    let configuration = reconcile::contract::load(&workspace.path().join("reconcile.toml"), &|_| None).unwrap();
    let mut notes = Notes::default();
    let audit =
        reconcile::run::run(&configuration.contracts, settings, &mut notes, progress, &Stop::default()).unwrap();
    (audit.contracts.into_iter().next().unwrap(), notes)
}
