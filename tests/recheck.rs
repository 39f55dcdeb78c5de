//! The second look: what differs is read again, and only what stands is a divergence. Tables change at known moments, right
//! before a look is taken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use reconcile::audit::ContractAudit;
use reconcile::classify::Divergence;
use reconcile::plan::Action;
use reconcile::run::{Progress, Settings, Tuning};

use crate::engine::{Notes, audited, settings};
use crate::support::Workspace;

mod files;
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod servers;
#[cfg(feature = "sqlite")]
mod sqlite;

/// Does something right before each look, given its number from 1.
struct Between<'a> {
    looks: AtomicUsize,
    act: Mutex<Box<dyn FnMut(usize) + Send + 'a>>,
}

impl Progress for Between<'_> {
    fn begin(&self, _contract: &str, phase: &str, _bytes: u64) {
        if phase == "looking again" {
            let look = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
            (*self.act.lock().unwrap())(look);
        }
    }

    fn advance(&self, _rows: u64, _bytes: u64) {}
    fn end(&self) {}
}

/// What a run said.
struct Said {
    contract: ContractAudit,
    divergences: Vec<Divergence>,
    actions: Vec<Action>,
    looks: usize,
}

impl Said {
    /// Kind, reason, key and attribute of each line, in their order by key.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self
            .divergences
            .iter()
            .map(|line| {
                let value = |value: &Option<Box<str>>| value.as_deref().unwrap_or("-").to_owned();
                let key = line.key.as_deref().unwrap_or_default();
                let attribute = line.attribute.as_deref().map_or(String::new(), |attribute| {
                    format!(" {attribute} {} {}", value(&line.values.authority), value(&line.values.projection))
                });
                format!("{key} {} {}{attribute}", line.kind.name(), line.reason)
            })
            .collect();
        lines.sort();
        lines
    }
}

/// Runs the one contract of a workspace, and does something before each look.
fn run<'a>(workspace: &Workspace, threads: usize, act: impl FnMut(usize) + Send + 'a) -> Said {
    run_within(workspace, threads, None, act)
}

/// The same within so many bytes of memory.
fn run_within<'a>(
    workspace: &Workspace,
    threads: usize,
    memory_limit: Option<u64>,
    act: impl FnMut(usize) + Send + 'a,
) -> Said {
    let settings = Settings { memory_limit, ..settings(workspace, Tuning::default(), threads) };
    let between = Between { looks: AtomicUsize::new(0), act: Mutex::new(Box::new(act)) };
    let (contract, notes) = audited(workspace, &settings, &between);
    let Notes { divergences, actions } = notes;
    Said { contract, divergences, actions, looks: between.looks.into_inner() }
}

/// A contract `pair` over two locations, with lines of its own.
fn pair(authority: &str, projection: &str, lines: &str) -> String {
    format!(
        "version = 1\n[source.one]\nlocation = \"{authority}\"\n[source.other]\nlocation = \"{projection}\"\n\
         [contract.pair]\nversion = \"1.0.0\"\nauthority = \"one\"\nprojection = \"other\"\nrecheck = {{ after = \"1ms\", times = 3 }}\n\
         repair = {{ missing = \"auto\", mismatch = \"auto\" }}\n{lines}\n"
    )
}
