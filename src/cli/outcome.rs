//! Carries out a batch for `run` and `diff`, and writes an audit to stdout in the format that was asked for.
//!
//! Here the world comes in: the time, the run's id, signals, folders. What the batch does with them is `run::run`'s
//! business, what a file looks like is `report`'s.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::clock::Clock;
use super::failure::{self, Failure};
use super::interrupt::Interrupt;
use super::resume::Resume;
use super::tell::{BUDGET, Draft, Parcel, Teller};
use super::{Comparison, ExitStatus, Format, Global, cgroup, people, scripts, signing};
use crate::audit::{Audit, ContractAudit, LineCounts, Measured, Recorder, Verdict};
use crate::classify::Divergence;
use crate::console::{Bars, Console};
use crate::contract::{Contract, ContractFile, PiiKey, Sign, Tell};
use crate::history::{Cadence, RunFolder};
use crate::plan::Action;
use crate::report;
use crate::report::escape::visible;
use crate::report::prometheus::Whole;
use crate::run::{self, Earlier, Progress, Settings, Stop, Tuning};

mod limit;

/// How many divergences of each contract are printed where nothing else is said, and how many the files of a run show.
pub(super) const LIMIT: usize = Settings::USUAL_EXAMPLES;

/// One batch, as `run` or `diff` asks for it.
pub(super) struct Batch<'a> {
    /// `run` or `diff`.
    pub(super) command: &'static str,
    /// What is compared.
    pub(super) contracts: Vec<Arc<Contract>>,
    /// Where the run is kept, if it is.
    pub(super) reports: Option<PathBuf>,
    /// Where what serves the next run is kept, if nothing else is said.
    pub(super) cache: Option<PathBuf>,
    /// Worker threads; 0 means all cores.
    pub(super) threads: usize,
    /// Bytes of memory, if limited.
    pub(super) memory_limit: Option<u64>,
    /// The options that `run` and `diff` share.
    pub(super) comparison: &'a Comparison,
    /// For the manifest.
    pub(super) shown: BTreeMap<String, String>,
    /// What the audit has to say of the run itself.
    pub(super) warnings: Vec<String>,
    /// What digests of personal data are keyed with, where the contract file says it.
    pub(super) pii_key: Option<PiiKey>,
    /// How often each contract of the file must run.
    pub(super) cadences: Vec<Cadence>,
    /// The files that the contracts were read from.
    pub(super) contract_files: Vec<ContractFile>,
    /// What signs the run.
    pub(super) sign: Option<Sign>,
    /// Who is told of it.
    pub(super) tell: Tell,
    /// It is of every contract that there is.
    pub(super) whole: bool,
    /// The run that it goes on from.
    pub(super) resume: Option<Arc<Resume>>,
}

/// Compares, publishes, prints.
pub(super) fn carry_out(mut batch: Batch<'_>, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let stop = Stop::default();
    let interrupt = Interrupt::install(&stop)
        .map_err(|error| Failure::new(format!("signals: cannot be caught: {}", failure::plain(&error))))?;
    let mut settings = settings(&batch);
    let signer = signing::signer(batch.sign.as_ref(), &batch.contracts, settings.memory_limit)?;
    if let Some(signer) = &signer {
        settings.shown.insert("signed_by".to_owned(), signer.key_id());
    }
    let mut warnings = std::mem::take(&mut batch.warnings);
    people::prepare(&batch, &mut settings, &mut warnings)?;
    let teller = Teller::of(&batch, &mut warnings)?;
    let folder = match &batch.reports {
        Some(reports) => {
            let (mut folder, adopted) = RunFolder::begin_signed(reports, &settings.run_id, signer)
                .map_err(|error| unwritable(reports, &error))?;
            folder.read_from(&batch.contract_files);
            folder.of_contracts(&batch.contracts);
            warnings.extend(adopted);
            Some(folder)
        }
        None => None,
    };
    console.detail(&format!("run {} with {} threads", settings.run_id, settings.threads));

    let lines = global.format == Format::Ndjson;
    let bars = console.bars(lines);
    bars.expect_contracts(batch.contracts.len(), stop.flag());
    let lines = lines.then(|| Lines::new(console.out(), batch.comparison.limit));
    let counted = (folder.is_some() || teller.counts()).then(LineCounts::default);
    let mut recorder = Tee { folder, lines, counted };
    let clock = Clock::new(&bars);
    let outcome = run::run(&batch.contracts, &settings, &mut recorder, &clock, &stop);
    let timings = clock.timings();
    bars.end();
    let Tee { mut folder, lines, counted } = recorder;
    let measured = Measured { timings, lines: counted.unwrap_or_default() };
    let failed_line = lines.and_then(|lines| lines.failed);
    let mut audit = outcome.map_err(|error| unpublished(batch.reports.as_deref(), &error))?;
    audit.warnings.splice(0..0, warnings);
    note(&batch, &mut audit);
    // The files of a run are the same whatever is printed.
    let printed = limit::beyond_files(&mut audit, settings.examples);
    if let Some(folder) = &mut folder {
        completed(folder, &batch, &mut audit, (&bars, settings.memory_limit))
            .map_err(|error| unpublished(batch.reports.as_deref(), &error))?;
        folder.measured(measured.clone());
    }
    bars.begin("", "publishing", 0);
    let (parcels, drafts) = composed(&teller, &mut audit, folder.as_ref(), &measured)?;
    let kept = match folder {
        Some(folder) => Some(folder.publish(&audit).map_err(|error| unpublished(batch.reports.as_deref(), &error))?),
        None => None,
    };
    let written = teller.write(&drafts);
    if kept.is_some() {
        renew_index(batch.reports.as_deref(), console);
    }
    told(&parcels, &mut audit, &bars, &stop);
    drop(bars);
    interrupt.end_patience();
    limit::printed(&mut audit, printed);
    limit::say(batch.comparison.limit, settings.examples, global.format, console);
    say_all(&mut audit, (&batch, kept.as_deref(), failed_line), global, console)?;
    Ok(ended(&audit, written, console))
}

/// Prints the run. It is published whether or not that can be written, so where it is kept is said all the same.
fn say_all(
    audit: &mut Audit,
    (batch, kept, failed_line): (&Batch<'_>, Option<&Path>, Option<io::Error>),
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    let browsable = kept.filter(|_| console.width().is_some()).map(failure::shown);
    let printed = match failed_line {
        Some(error) => Err(Failure::stdout(&error)),
        None => print(audit, (global.format, browsable.as_deref()), batch.comparison.limit, console),
    };
    if let Some(kept) = kept {
        console.note(&format!("run {} is in {}", audit.run_id, failure::shown(kept)));
    }
    printed
}

/// How the process ends. A file that could not be written is said on stderr alone, because the document of the run stands on stdout.
fn ended(audit: &Audit, written: Result<(), Failure>, console: &mut Console) -> ExitStatus {
    let status = ExitStatus::of_audit(audit);
    match written {
        Ok(()) => status,
        Err(failure) => {
            failure.problems.iter().for_each(|problem| failure::say(problem, console));
            status.max(ExitStatus::Unverified)
        }
    }
}

/// What the record says besides: the run that it goes on from, and the keys that it was narrowed to.
fn note(batch: &Batch<'_>, audit: &mut Audit) {
    if let Some(resume) = &batch.resume {
        resume.note(audit);
    }
    if let Some(row_filter) = &batch.comparison.row_filter {
        let shown = people::shown_filter(row_filter, &batch.contracts, audit);
        audit.settings.insert("where".to_owned(), shown);
    }
}

/// The limit that the process' control group sets, where that is less than a run would take anyway. One that leaves less than a
/// run needs is tried all the same: small tables may yet fit.
pub(super) fn ambient_limit() -> Option<u64> {
    let limit = cgroup::memory_limit()?.max(Settings::LEAST_MEMORY);
    (limit < Settings::USUAL_MEMORY).then_some(limit)
}

/// Holds the run against those before it, and writes what is made of its plan.
fn completed(
    folder: &mut RunFolder,
    batch: &Batch<'_>,
    audit: &mut Audit,
    (bars, memory_limit): (&Bars, Option<u64>),
) -> io::Result<()> {
    bars.begin("", "looking at earlier runs", 0);
    folder.over_time(audit, &batch.cadences)?;
    bars.begin("", "writing scripts", 0);
    scripts::write(folder, &batch.contracts, memory_limit, audit)
}

/// Sends what there is to send. Whoever wants it to end has the run all the same.
fn told(parcels: &[Parcel], audit: &mut Audit, bars: &Bars, stop: &Stop) {
    if parcels.is_empty() {
        return;
    }
    bars.begin("", "telling", 0);
    // A run that a signal stopped is told of all the same, once each; a signal that comes now ends the telling.
    let signal = || stop.requested().is_some();
    let (began, stopped) = (Instant::now(), signal());
    let over = || began.elapsed() >= BUDGET || (signal() && !stopped);
    let hurry = || signal() || over();
    audit.warnings.extend(parcels.iter().filter_map(|parcel| parcel.send(&hurry, &over).err()));
}

/// What is told of the run and the files besides it, of the facts that its record holds: sent and written once it is published.
fn composed(
    teller: &Teller,
    audit: &mut Audit,
    folder: Option<&RunFolder>,
    measured: &Measured,
) -> Result<(Vec<Parcel>, Vec<Draft>), Failure> {
    let cadences = folder.map(RunFolder::cadences).unwrap_or_default();
    let mut warnings = Vec::new();
    let parcels = teller.parcels(&Whole { audit, cadences: &cadences, measured }, &mut warnings);
    audit.warnings.extend(warnings);
    let drafts = teller.drafts(&Whole { audit, cadences: &cadences, measured })?;
    Ok((parcels, drafts))
}

/// Renews the page over all runs. It is derived: that it cannot be written costs the run nothing.
pub(super) fn renew_index(reports: Option<&Path>, console: &mut Console) {
    if let Some(reports) = reports
        && let Err(error) = crate::history::renew_index(reports)
    {
        let problem = failure::path_message(reports, "the page over all runs (`index.html`) is not renewed", &error);
        console.warning(&problem, None);
    }
}

fn settings(batch: &Batch<'_>) -> Settings {
    let started_at = Timestamp::now();
    let threads = match batch.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let mut shown = batch.shown.clone();
    let comparison = batch.comparison;
    shown.insert("threads".to_owned(), threads.to_string());
    shown.insert("plan".to_owned(), (!comparison.no_plan).to_string());
    if let Some(bytes) = batch.memory_limit {
        shown.insert("memory_limit".to_owned(), bytes.to_string());
    }
    if let Some(row_filter) = &comparison.row_filter {
        // Of people it is shown once the names in it are known.
        if !people::any(&batch.contracts) {
            shown.insert("where".to_owned(), row_filter.clone());
        }
    }
    if let Some(limit) = comparison.limit {
        shown.insert("limit".to_owned(), limit.to_string());
    }
    let memory_limit = batch.memory_limit.or_else(ambient_limit);
    Settings {
        run_id: run_id(started_at),
        started_at,
        command: batch.command.to_owned(),
        threads,
        memory_limit,
        // What is spilled has no name, so not even a killed process leaves anything behind.
        spill_folder: std::env::temp_dir(),
        cache: (!comparison.no_cache).then(|| comparison.cache.clone().or_else(|| batch.cache.clone())).flatten(),
        examples: limit::held(comparison.limit, memory_limit),
        draft_plan: !comparison.no_plan,
        // Evidence is for a run that is kept; an operator's quick check need not read its inputs twice.
        digest_inputs: batch.reports.is_some(),
        signed: batch.sign.is_some(),
        pii_key: batch.pii_key.map(|key| *key.bytes()),
        decisions: Arc::default(),
        earlier: batch.resume.clone().map(|resume| resume as Arc<dyn Earlier>),
        shown,
        tuning: Tuning::default(),
    }
}

/// Sorts by time; the digits at the end keep two runs of one millisecond apart.
fn run_id(started_at: Timestamp) -> String {
    let salt = RandomState::new().build_hasher().finish() & 0xffff;
    format!("{}{:03}Z-{salt:04x}", started_at.strftime("%Y%m%dT%H%M%S"), started_at.subsec_millisecond())
}

pub(super) fn unwritable(reports: &Path, error: &io::Error) -> Failure {
    let message = if reports.is_file() {
        format!("{}: is a file, expected the folder of reports", failure::shown(reports))
    } else {
        failure::path_message(reports, "the folder of reports cannot be written", error)
    };
    Failure::with_hint(message, "nothing was compared; name another folder with `--out DIR`")
}

fn unpublished(reports: Option<&Path>, error: &io::Error) -> Failure {
    match reports {
        Some(reports) => Failure::with_hint(
            failure::path_message(reports, "the run cannot be published", error),
            "nothing of it was published; make room, or name another folder with `--out DIR`",
        ),
        None => Failure::new(format!("the comparison cannot be recorded: {}", failure::plain(error))),
    }
}

/// Writes an audit to stdout, with the folder of its run where somebody could look through it. Under `ndjson` its divergences
/// are there already.
pub(super) fn print(
    audit: &mut Audit,
    (format, kept): (Format, Option<&str>),
    limit: Option<usize>,
    console: &mut Console,
) -> Result<(), Failure> {
    for contract in &mut audit.contracts {
        contract.examples.truncate(limit.unwrap_or(LIMIT));
    }
    if matches!(format, Format::Json | Format::Ndjson) {
        for warning in &audit.warnings {
            console.warning(warning, None);
        }
    }
    // The report of a text says it; but who asked for quiet may have thrown that away.
    if format != Format::Text || console.quiet() {
        for contract in &audit.contracts {
            say_error(contract, console);
        }
    }
    // Rendered whole before it is written, so that a defect in a renderer cannot leave half a document on stdout.
    let mut text = Vec::new();
    let rendered = match format {
        Format::Text => {
            let style = report::text::Style {
                color: console.color(),
                limit: limit.unwrap_or(LIMIT),
                verbose: console.verbose(),
                kept,
            };
            report::text::render(audit, style, &mut text)
        }
        Format::Json => report::json::render(audit, &mut text),
        Format::Ndjson => writeln!(text, "{}", report::json::summary_line(audit)),
        Format::Markdown => report::markdown::render(audit, &mut text),
    };
    if format == Format::Markdown {
        text = report::markdown::fit(&String::from_utf8_lossy(&text), report::markdown::COMMENT).into_bytes();
    }
    rendered.and_then(|()| console.out().write_all(&text)).map_err(|error| Failure::stdout(&error))
}

/// What kept a contract from being compared, for whoever reads no data. Where no error did, the sentence of its verdict tells.
fn say_error(contract: &ContractAudit, console: &mut Console) {
    if contract.error.is_none() && contract.verdict == Verdict::Unverified {
        console.error(&format!("contract \"{}\": {}", contract.name, visible(&contract.because)), None);
    }
    let mut lines = contract.error.iter().flat_map(|error| error.lines()).peekable();
    while let Some(line) = lines.next() {
        let mut hints = Vec::new();
        while let Some(hint) = lines.peek().and_then(|line| line.strip_prefix("hint: ")) {
            hints.push(visible(hint));
            lines.next();
        }
        let hint = (!hints.is_empty()).then(|| hints.join("\n"));
        console.error(&format!("contract \"{}\": {}", contract.name, visible(line)), hint.as_deref());
    }
}

/// Tells each divergence to the run folder, to stdout, to both or to none.
struct Tee<'a> {
    folder: Option<RunFolder>,
    lines: Option<Lines<'a>>,
    /// How they spread, where someone asks.
    counted: Option<LineCounts>,
}

impl Recorder for Tee<'_> {
    fn keeps(&self) -> bool {
        self.folder.is_some() || self.lines.is_some() || self.counted.is_some()
    }

    fn divergence(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        if let Some(lines) = &mut self.lines {
            lines.write(contract, divergence);
        }
        if let Some(counted) = &mut self.counted {
            counted.add(contract, divergence.kind, divergence.severity);
        }
        self.folder.as_mut().map_or(Ok(()), |folder| folder.divergence(contract, divergence))
    }

    fn action(&mut self, action: &Action) -> io::Result<()> {
        self.folder.as_mut().map_or(Ok(()), |folder| folder.action(action))
    }
}

/// A line on stdout for each divergence. That stdout fails must not cost the run its record, so the failure waits here.
struct Lines<'a> {
    out: &'a mut dyn Write,
    limit: Option<usize>,
    written: BTreeMap<String, usize>,
    failed: Option<io::Error>,
}

impl<'a> Lines<'a> {
    fn new(out: &'a mut dyn Write, limit: Option<usize>) -> Self {
        Self { out, limit, written: BTreeMap::new(), failed: None }
    }

    fn write(&mut self, contract: &str, divergence: &Divergence) {
        if self.failed.is_some() {
            return;
        }
        if let Some(limit) = self.limit {
            let written = self.written.entry(contract.to_owned()).or_default();
            if *written >= limit {
                return;
            }
            *written += 1;
        }
        self.failed = writeln!(self.out, "{}", report::json::divergence_line(contract, divergence)).err();
    }
}

impl Progress for Bars {
    fn leave(&self) {
        Self::leave(self);
    }

    fn expect(&self, rows: u64) {
        self.expect_rows(rows);
    }

    fn begin(&self, contract: &str, phase: &str, bytes: u64) {
        Self::begin(self, contract, phase, bytes);
    }

    fn advance(&self, rows: u64, bytes: u64) {
        Self::advance(self, rows, bytes);
    }

    fn end(&self) {
        Self::end(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_sort_by_time() {
        let early: Timestamp = "2026-11-21T07:25:00.005Z".parse().unwrap();
        let late: Timestamp = "2026-11-21T07:25:00.040Z".parse().unwrap();
        let id = run_id(early);
        assert!(id.starts_with("20261121T072500005Z-"), "{id}");
        assert_eq!(id.len(), "20261121T072500005Z-abcd".len());
        assert!(id < run_id(late));
    }
}
