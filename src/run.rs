//! The batch as one page: open, normalise, digest, compare, classify, plan, record.
//!
//! It knows the order and decides nothing about rows. A contract that fails is a result, and the batch goes on.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use jiff::Timestamp;

use crate::audit::decision::Decisions;
use crate::audit::{Audit, ContractAudit, Recorder, Verdict};
use crate::contract::Contract;
use crate::diff::Budget;
use crate::normalise::Binding;

mod again;
mod at_risk;
mod baseline;
mod carried;
mod causes;
mod census;
mod compare;
mod controls;
mod derive;
mod desk;
mod examples;
mod foretold;
mod gather;
mod input;
mod judge;
mod lag;
mod lookup;
mod merge;
mod owners;
mod pairing;
mod privacy;
mod pushdown;
mod reader;
mod recall;
mod recheck;
mod resume;
mod rows;
mod scan;
mod settle;
mod spans;
mod tally;

use baseline::{compare_both, open_baseline};
use compare::{compare, record_bits};
use input::{Inputs, freshness, open, open_again, open_to_ask};
pub use lookup::{LookedUp, Quiet, Then, look_up};
use pushdown::push_down;
use recall::Recall;
pub use resume::Earlier;
pub use rows::{Keyed, projection_rows};
use spans::read_in_spans;
use tally::{Taken, Tally};

/// Compares every contract, one after the other, and tells the recorder each divergence.
///
/// # Errors
/// Only what keeps the record itself from being written, or the threads from being started; what concerns a contract
/// is in its audit.
pub fn run(
    contracts: &[Arc<Contract>],
    settings: &Settings,
    recorder: &mut dyn Recorder,
    progress: &dyn Progress,
    stop: &Stop,
) -> io::Result<Audit> {
    let began = Instant::now();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(settings.threads).build().map_err(io::Error::other)?;
    let mut audits = Vec::with_capacity(contracts.len());
    for contract in contracts {
        progress.enter(&contract.name);
        let batch = Batch {
            contract,
            settings,
            began,
            progress,
            stop,
            threads: &threads,
            budget: settings.budget(0),
            notes: None,
            beside: None,
        };
        audits.push(match resume::take_over(&batch, recorder)? {
            Ok(found) => found,
            Err(because) => batch.still(again::compare(&batch, recorder)?.warned(because)),
        });
        progress.leave();
    }
    Ok(Audit {
        run_id: settings.run_id.clone(),
        started_at: settings.started_at,
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        command: settings.command.clone(),
        settings: settings.shown.clone(),
        contracts: audits,
        warnings: Vec::new(),
        interrupted: stop.requested(),
        resumed: None,
    })
}

/// What `check --sources` does for one contract: opens both sides and binds them, reading no rows.
///
/// # Errors
/// Every problem, as lines for people.
pub fn check_sources(contract: &Contract) -> Result<(Binding, Vec<String>), Vec<String>> {
    let redacted = |text: &str| contract.secrets.redact(text).into_owned();
    let opened = |instant| {
        open(contract, &Tuning::default(), instant)
            .map_err(|halts| halts.iter().map(|halt| redacted(&halt.to_string())).collect::<Vec<_>>())
    };
    // Every owner that an attribute ever has, the last one last.
    let mut inputs = opened(Timestamp::MIN)?;
    for instant in contract.handovers() {
        inputs = opened(instant)?;
    }
    let old = baseline::check(contract, &inputs).map_err(|problem| vec![redacted(&problem)])?;
    let warnings = inputs.sides.iter().flat_map(|(_, input)| &input.opened.warnings).cloned();
    let warnings = warnings.chain(inputs.owners.iter().flat_map(owners::Owners::warnings));
    let warnings = warnings.chain(old).map(|warning| redacted(&warning)).collect();
    Ok((inputs.binding, warnings))
}

/// One contract in a batch, with all that its comparison may use.
#[derive(Clone, Copy)]
struct Batch<'a> {
    contract: &'a Contract,
    settings: &'a Settings,
    /// When `settings.started_at` was.
    began: Instant,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    threads: &'a rayon::ThreadPool,
    /// Bytes of records and candidate rows that may be held before they are spilled.
    budget: u64,
    /// Where differences are noted for what is held side by side with this comparison, if anything is.
    notes: Option<&'a baseline::Notes>,
    /// Another comparison of the same authority, which takes its rows as they are read for this one.
    beside: Option<&'a pairing::Pairing<'a>>,
}

impl Batch<'_> {
    /// The steps of one contract, in the product's own order.
    fn one(&self, recorder: &mut dyn Recorder) -> io::Result<ContractAudit> {
        let mut tally = Tally::new(self.contract, self.settings);
        if let Some(halt) = self.refused() {
            return Ok(tally.halted(&halt));
        }
        let began = Instant::now();
        self.progress.begin(&self.contract.name, "opening", 0);
        let mut inputs = match open_to_ask(self) {
            Ok(inputs) => inputs,
            Err(halts) => return Ok(tally.refused(&halts)),
        };
        let pushed = match push_down(self, &mut inputs, &mut tally) {
            Ok(pushed) => pushed,
            Err(halt) => return Ok(tally.halted(&halt)),
        };
        let spanned = match if pushed { Ok(false) } else { read_in_spans(self, &mut inputs, &mut tally) } {
            Ok(spanned) => spanned,
            Err(halt) => return Ok(tally.halted(&halt)),
        };
        if !pushed && !spanned && inputs.is_deferred() {
            drop(inputs);
            inputs = match open_again(self.contract, &self.settings.tuning, self.settings.started_at, began) {
                Ok(inputs) => inputs,
                Err(halts) => return Ok(tally.refused(&halts)),
            };
        }
        let baseline = open_baseline(self, &mut inputs, &mut tally);
        let old = baseline.as_ref().and_then(|opened| opened.as_ref().ok());
        let reading = inputs.memory().max(old.map_or(0, |old| old.memory()));
        if let Some(limit) = self.settings.memory_limit.filter(|&limit| reading > limit / 4) {
            tally.warn(format!(
                "reading one part of a source takes about {} MiB, more than a quarter of the memory limit of {} MiB, which may not be kept: raise the limit, or write the source in smaller parts (row groups)",
                mebibytes(reading),
                mebibytes(limit)
            ));
        }
        let readers = self.settings.readers(reading);
        // Fewer threads where the limit has no room for all to read at once.
        let fewer = rayon::ThreadPoolBuilder::new().num_threads(readers);
        let fewer = (readers < self.settings.threads).then(|| fewer.build()).transpose().map_err(io::Error::other)?;
        let contract = inputs.contract.as_ref().unwrap_or(self.contract);
        let threads = fewer.as_ref().unwrap_or(self.threads);
        let own = Batch { contract, threads, budget: self.settings.budget(reading), ..*self };
        let recall = if pushed || spanned { None } else { Recall::open(&own, &inputs, record_bits(&own, &inputs)) };
        let recall = recall.as_ref();
        if !spanned {
            tally.opened(&inputs, Taken { recall, first: None }, self.progress);
        }
        match compare_both(&own, (&inputs, recall), &baseline, &mut tally, recorder) {
            Ok(()) => {
                let mut audit = tally.finished();
                if let Some(recall) = recall.filter(|_| audit.verdict != Verdict::Unverified) {
                    audit.warnings.extend(recall.publish(&audit.inputs));
                }
                Ok(audit)
            }
            Err(Halt::Record(error)) => Err(error),
            Err(halt) => Ok(tally.halted(&halt)),
        }
    }

    /// This instant, by the clock that said when the run started.
    fn now(&self) -> Timestamp {
        self.settings.started_at.checked_add(self.began.elapsed()).unwrap_or(self.settings.started_at)
    }

    /// What records and candidate rows of one comparison share.
    fn spill_budget(&self) -> Budget {
        Budget::new(self.settings.tuning.budget.unwrap_or(self.budget))
    }

    /// Reads what the authority is composed of, compares, and says how old everything is.
    fn composed(
        &mut self,
        inputs: &Inputs,
        recall: Option<&Recall>,
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        if let Some(owners) = &inputs.owners {
            let held = owners.load(self, tally)?;
            self.budget = self.budget.saturating_sub(held).max(self.budget / 4);
        }
        compare(self, inputs, recall, tally, recorder)?;
        inputs.owners.iter().try_for_each(|owners| owners.close(self, tally))?;
        freshness(self, inputs, tally)
    }

    /// What keeps the contract from being begun at all.
    fn refused(&self) -> Option<Halt> {
        if let Some(signal) = self.stop.requested() {
            return Some(Halt::Interrupted(signal));
        }
        if let Some(limit) = self.settings.memory_limit.filter(|&limit| limit < Settings::LEAST_MEMORY) {
            let given = if limit < 1 << 20 { format!("{limit} bytes") } else { format!("{} MiB", mebibytes(limit)) };
            return Some(Halt::Contract(format!(
                "memory limit: {given} are too few to work with, at least {} MiB are needed\nhint: raise `--memory-limit` or `run.memory_limit`",
                Settings::LEAST_MEMORY >> 20
            )));
        }
        if self.contract.has_pii() && self.settings.pii_key.is_none() {
            return Some(Halt::Contract("there is no key for digests of personal data (`pii`)".to_owned()));
        }
        let hidden: Vec<String> = self
            .contract
            .unserved
            .iter()
            .filter(|option| option.hides)
            .map(|option| format!("`{}`: {}", option.option, option.consequence))
            .collect();
        if hidden.is_empty() {
            return None;
        }
        Some(Halt::Contract(format!(
            "the contract asks for what this version does not do, and leaving it out could hide a divergence: {}",
            hidden.join("; ")
        )))
    }
}

/// A number of bytes in MiB, with the decimal that tells it from a rounder one.
fn mebibytes(bytes: u64) -> String {
    let tenths = (u128::from(bytes) * 10) >> 20;
    format!("{}.{}", tenths / 10, tenths % 10)
}

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
    /// Where what serves the next run is kept, if anywhere.
    pub cache: Option<PathBuf>,
    /// How many divergences of each contract the audit keeps as examples.
    pub examples: usize,
    /// Whether repair actions are drafted.
    pub draft_plan: bool,
    /// Whether the content of the inputs is digested, as evidence.
    pub digest_inputs: bool,
    /// Whether the run is signed: evidence that rests on rows that were read.
    pub signed: bool,
    /// What digests of personal data are keyed with; needed where a contract has such data.
    pub pii_key: Option<[u8; 32]>,
    /// What people decided of earlier divergences.
    pub decisions: Arc<Decisions>,
    /// The run that this one goes on from.
    pub earlier: Option<Arc<dyn Earlier>>,
    /// For the manifest, as the user would recognise them.
    pub shown: BTreeMap<String, String>,
    /// Sizes that change no result.
    pub tuning: Tuning,
}

impl Settings {
    /// Below this a run cannot hold its buffers.
    pub const LEAST_MEMORY: u64 = 256 << 20;
    /// How many divergences of each contract the files of a run show.
    pub const USUAL_EXAMPLES: usize = 20;
    /// What may be held where no limit is given.
    pub const USUAL_MEMORY: u64 = 4 << 30;

    /// What the program takes itself.
    const PROGRAM: u64 = 96 << 20;
    /// What a thread works with besides what it reads.
    const THREAD: u64 = 8 << 20;

    fn limit(&self) -> u64 {
        self.memory_limit.unwrap_or(Self::USUAL_MEMORY)
    }

    /// How many threads may read at once, where one takes so many bytes.
    fn readers(&self, reading: u64) -> usize {
        let fit = self.limit() / 4 / reading.max(1);
        usize::try_from(fit).unwrap_or(usize::MAX).clamp(1, self.threads)
    }

    /// Bytes of records and candidate rows that may be held before they are spilled, where threads take so many bytes to read.
    /// Half is left to the allocator, which cannot give back all that is free at once.
    fn budget(&self, reading: u64) -> u64 {
        let readers = self.readers(reading) as u64;
        let others = Self::PROGRAM + readers * (reading + Self::THREAD);
        (self.limit().saturating_sub(others) / 2).max(self.limit() / 16)
    }
}

/// Sizes that change no result; tests vary them, users cannot.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// Bits of the tags that are kept.
    pub tag_bits: u32,
    /// Rows in a batch; 0: the source's choice.
    pub batch_rows: usize,
    /// How rows are brought together; None: as serves best.
    pub join: Option<Join>,
    /// Bits of the partition number; None: by the rows.
    pub partition_bits: Option<u32>,
    /// Bytes that may be held before they are spilled; None: by the memory limit.
    pub budget: Option<u64>,
    /// Rows that a segment is meant to have where a table is summed or read by segments; None: as serves best.
    pub segment_rows: Option<u64>,
    /// Rows from which a table is read in spans where no limit asks for it.
    pub large_rows: u64,
    /// Rows that do not agree, from which on they are told in two passes instead of kept, where most rows are such.
    pub dense_rows: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            tag_bits: 64,
            batch_rows: 0,
            join: None,
            partition_bits: None,
            budget: None,
            segment_rows: None,
            large_rows: 20_000_000,
            dense_rows: 1 << 15,
        }
    }
}

/// How rows are brought together. Each way says the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Both sides are read in the order of their keys, where they have it; else as with `Index`.
    Merge,
    /// One side's records are indexed and asked by the other's, where there is a key and nothing is left out.
    Index,
    /// Both sides' records are sorted.
    Sort,
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
    /// A contract begins.
    fn enter(&self, _contract: &str) {}
    /// The contract ended.
    fn leave(&self) {}
    /// A phase of a contract begins; `bytes` is what it will read, about.
    fn begin(&self, contract: &str, phase: &str, bytes: u64);
    /// The phase that has begun will come by so many rows, about.
    fn expect(&self, _rows: u64) {}
    /// Rows and bytes since the last call.
    fn advance(&self, rows: u64, bytes: u64);
    /// The phase ended.
    fn end(&self);
}

/// What ends a contract before its end.
#[derive(Debug, thiserror::Error)]
enum Halt {
    /// A side could not be opened or read.
    #[error("{side}: {error}")]
    Source { side: crate::sides::Side, error: crate::source::Error },
    /// The contract and its sources do not fit, or something else of the contract.
    #[error("{0}")]
    Contract(String),
    /// Records or candidates could not be spilled.
    #[error("{0}")]
    Spill(io::Error),
    /// The record could not be written: this ends the run.
    #[error("{0}")]
    Record(io::Error),
    /// A signal.
    #[error("interrupted by signal {0} before everything was compared")]
    Interrupted(i32),
    /// What an earlier run left is damaged, so it is done without.
    #[error("what an earlier run left is damaged")]
    Forgotten,
    /// The old copy could not be opened, read or held against the projection.
    #[error("baseline `{0}`: {1}")]
    Baseline(String, String),
    /// What differs could not be read again: which look, and why.
    #[error("look {0} at what differs: {1}")]
    SecondLook(usize, Box<Halt>),
    /// The books do not balance.
    #[error(transparent)]
    Unbalanced(#[from] crate::audit::Unbalanced),
}
