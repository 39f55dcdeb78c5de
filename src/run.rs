//! The batch as one page: open, normalise, digest, compare, classify, plan, record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use jiff::Timestamp;

use crate::audit::{Audit, Recorder};
use crate::contract::Contract;
use crate::normalise::Binding;

/// How a batch is carried out; every instant and name that could vary comes in here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sorts by time.
    pub run_id: String,
    /// When the run began.
    pub started_at: Timestamp,
    /// `run` or `diff`.
    pub command: String,
    /// Worker threads, at least 1.
    pub threads: usize,
    /// Bytes of memory, if limited.
    pub memory_limit: Option<u64>,
    /// Where spilled data goes; cleaned up afterwards.
    pub spill_folder: PathBuf,
    /// How many divergences of each contract the audit keeps as examples.
    pub examples: usize,
    /// Whether repair actions are drafted.
    pub draft_plan: bool,
    /// For the manifest, as the user would recognise them.
    pub shown: BTreeMap<String, String>,
}

/// Set by a signal handler; the batch looks at it between batches of rows.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicI32>);

impl Stop {
    /// Asks the batch to stop because of a signal.
    pub fn request(&self, signal: i32) {
        self.0.store(signal, Ordering::SeqCst);
    }

    /// The shared flag, for a signal handler.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicI32> {
        Arc::clone(&self.0)
    }

    /// The signal that asked, if any.
    #[must_use]
    pub fn requested(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// Who is told how far the batch is. Called from many threads, at most once a batch of rows.
pub trait Progress: Sync {
    /// A phase of a contract begins; `bytes` is what it will read, about.
    fn begin(&self, contract: &str, phase: &str, bytes: u64);
    /// Rows and bytes since the last call.
    fn advance(&self, rows: u64, bytes: u64);
    /// The phase ended.
    fn end(&self);
}

/// Compares every contract, one after the other, and tells the recorder each divergence. A contract that fails is a
/// result, and the batch goes on.
///
/// # Errors
/// Only what keeps the record itself from being written; what concerns a contract is in its audit.
pub fn run(
    contracts: &[Arc<Contract>],
    settings: &Settings,
    recorder: &mut dyn Recorder,
    progress: &dyn Progress,
    stop: &Stop,
) -> std::io::Result<Audit> {
    let _ = (contracts, settings, recorder, progress, stop);
    todo!()
}

/// What `check --sources` does for one contract: opens both sides and binds them, reading no rows.
///
/// # Errors
/// Every problem, as lines for people.
pub fn check_sources(contract: &Contract) -> Result<(Binding, Vec<String>), Vec<String>> {
    let _ = contract;
    todo!()
}
