//! `reconcile review`: hands what needs a person out as CSV, and takes decisions back. What a decision does to a run is
//! `run`'s business, how it is recorded `history`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::failure::{self, Failure};
use super::{ExitStatus, Format, Global, Reports, ReviewExport, ReviewImport, configuration, interrupt, signing};
use crate::audit::decision::{Choice, Decisions};
use crate::console::Console;
use crate::contract::{Kind, Problem};
use crate::history::{self, DecisionLine, Finding, Findings, Proposals, Proposed, Unwatched, Watch};
use crate::plan;

mod sheet;

/// What is counted.
const DIVERGENCE: &str = "divergence";

use sheet::{COLUMNS, Decided, escaped};

pub(super) fn export(options: &ReviewExport, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    if global.format != Format::Text {
        return Err(Failure::with_hint(
            "review export: writes CSV, so `--format` is of no use with it",
            "`reconcile plan --format json` and `reconcile report RUN --format ndjson` are for programs",
        ));
    }
    let reports = configuration::reports(&Reports { reports: options.reports.clone() }, global)?;
    let cannot =
        |error: &io::Error| Failure::of_run(&reports, &format!("run `{}` cannot be exported", options.run), error);
    let bars = interrupt::told_beside(options.out.is_none(), console)?;
    bars.begin_counting("exporting", DIVERGENCE, 0);
    let folder = history::run_folder(&reports, &options.run).map_err(|error| cannot(&error))?;
    let run_id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let audit = history::load(&reports, &options.run).map_err(|error| cannot(&error))?;
    for name in &options.contracts {
        if audit.contracts.iter().all(|contract| contract.name != *name) {
            let there: Vec<&str> = audit.contracts.iter().map(|contract| contract.name.as_str()).collect();
            let message = format!("contract \"{name}\": is not in run `{run_id}` (there are: {})", there.join(", "));
            return Err(Failure::new(message));
        }
    }
    let beside = folder.parent().unwrap_or(&reports);
    let stand = history::standing_lines(beside).map_err(|error| cannot(&error))?;
    let source = Source {
        folder: &folder,
        run_id: &run_id,
        wanted: Wanted::Of(options),
        stand: &stand,
        today: today(),
        watch: &bars,
    };
    let Some(out) = &options.out else {
        source.write(&mut *console.out()).map_err(|halt| halt.told(&cannot, &Failure::stdout))?;
        return Ok(ExitStatus::Agreed);
    };
    let lines = new_file(out, |file| source.write(file));
    let lines = lines.map_err(|halt| halt.told(&cannot, &|error| unwritten(out, error)))?;
    bars.finish();
    let lines = if lines == 1 { "1 divergence is".to_owned() } else { format!("{lines} divergences are") };
    console.note(&format!("{lines} in {}", failure::shown(out)));
    Ok(ExitStatus::Agreed)
}

/// Writes some lines of a run's divergences, by their numbers, to a file that is not there yet.
pub(super) fn export_lines(reports: &Path, folder: &Path, lines: &BTreeSet<u64>, out: &Path) -> Result<u64, Failure> {
    let run_id = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = folder.parent().unwrap_or(reports);
    let stand = history::standing_lines(beside)
        .map_err(|error| Failure::path(reports, "the decisions of people cannot be read", &error))?;
    let wanted = Wanted::Lines(lines);
    // Whoever marked them sees another screen.
    let source = Source { folder, run_id: &run_id, wanted, stand: &stand, today: today(), watch: &Unwatched };
    let cannot = |error: &io::Error| Failure::of_run(reports, &format!("run `{run_id}` cannot be exported"), error);
    new_file(out, |file| source.write(file)).map_err(|halt| halt.told(&cannot, &|error| unwritten(out, error)))
}

/// What ends an export before its end.
enum Halt {
    /// The run cannot be read.
    Read(io::Error),
    /// What it is written to takes no more.
    Write(io::Error),
}

impl Halt {
    fn told(&self, unread: &dyn Fn(&io::Error) -> Failure, unwritten: &dyn Fn(&io::Error) -> Failure) -> Failure {
        match self {
            Self::Read(error) => unread(error),
            Self::Write(error) => unwritten(error),
        }
    }
}

impl From<csv::Error> for Halt {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

fn today() -> Date {
    Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn unwritten(out: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("{}: is there already, and may hold decisions", failure::shown(out));
        return Failure::with_hint(message, "name another file with `--out FILE`");
    }
    Failure::path(out, "cannot be written", error)
}

/// Writes a file that is not there yet, whole or not at all.
fn new_file(out: &Path, write: impl FnOnce(&mut dyn Write) -> Result<u64, Halt>) -> Result<u64, Halt> {
    let file = OpenOptions::new().write(true).create_new(true).open(out).map_err(Halt::Write)?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file).and_then(|lines| {
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(Halt::Write)?;
        Ok(lines)
    });
    if written.is_err() {
        _ = fs::remove_file(out);
    }
    written
}

/// Which lines are exported.
enum Wanted<'a> {
    /// What needs a person, or what the options say.
    Of(&'a ReviewExport),
    /// These, whatever they are.
    Lines(&'a BTreeSet<u64>),
}

/// What is exported.
struct Source<'a> {
    folder: &'a Path,
    run_id: &'a str,
    wanted: Wanted<'a>,
    stand: &'a BTreeMap<String, DecisionLine>,
    today: Date,
    watch: &'a dyn Watch,
}

impl Source<'_> {
    fn write(&self, out: &mut dyn Write) -> Result<u64, Halt> {
        let mut proposals = Proposals::open(self.folder).map_err(Halt::Read)?;
        let findings = Findings::open(self.folder).map_err(Halt::Read)?;
        let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(out);
        writer.write_record(COLUMNS)?;
        let mut lines = 0;
        self.watch.goes_through("exporting", DIVERGENCE, findings.lines());
        for (number, finding) in (0..).zip(findings) {
            let finding = finding.map_err(Halt::Read)?;
            self.watch.did(1, 0);
            let proposed = proposals.of(&finding).map_err(Halt::Read)?;
            let decided = self.decided(&finding);
            if self.wanted(number, &finding, proposed.as_ref(), decided.is_some()) {
                writer.write_record(self.cells(&finding, proposed.as_ref(), decided))?;
                lines += 1;
            }
        }
        writer.flush().map_err(Halt::Write)?;
        Ok(lines)
    }

    /// What was decided of a divergence and still holds.
    fn decided(&self, finding: &Finding) -> Option<&DecisionLine> {
        let line = self.stand.get(&finding.fingerprint)?;
        let over =
            line.until.as_deref().and_then(|until| until.parse().ok()).is_some_and(|until: Date| until <= self.today);
        (Some(&line.row_digest) == finding.row_digest.as_ref() && !over).then_some(line)
    }

    fn wanted(&self, number: u64, finding: &Finding, proposed: Option<&Proposed>, decided: bool) -> bool {
        let options = match self.wanted {
            Wanted::Of(options) => options,
            Wanted::Lines(lines) => return lines.contains(&number),
        };
        let contracts = &options.contracts;
        if !contracts.is_empty() && !contracts.contains(&finding.contract) {
            return false;
        }
        let repaired = proposed.is_some_and(|proposed| proposed.safety == "safe");
        options.all || !(repaired || decided || finding.kind == Kind::InFlight.name())
    }

    fn cells(&self, finding: &Finding, proposed: Option<&Proposed>, decided: Option<&DecisionLine>) -> Vec<String> {
        let proposed = proposed.map_or_else(|| "none".to_owned(), |one| format!("{} ({})", one.op, one.safety));
        let cells: [Option<&str>; COLUMNS.len()] = [
            Some(&finding.contract),
            Some(&finding.fingerprint),
            finding.key.as_deref(),
            Some(&finding.kind),
            Some(&finding.severity),
            finding.attribute.as_deref(),
            finding.authority_value.as_deref(),
            finding.projection_value.as_deref(),
            Some(&finding.reason),
            finding.cause.as_deref(),
            Some(&proposed),
            decided.map(|line| line.decision.as_str()),
            decided.and_then(|line| line.until.as_deref()),
            decided.map(|line| line.who.as_str()),
            decided.map(|line| line.why.as_str()),
            Some(self.run_id),
            finding.row_digest.as_deref(),
        ];
        cells.into_iter().map(escaped).collect()
    }
}

/// A file of decisions is small: what people wrote, line by line.
const MOST_BYTES: u64 = 1 << 30;
/// Reasons of a line for which its owner has no one value.
const NO_VALUE: [&str; 5] =
    ["owner_lacks_key", "owner_key_twice", "lookup_lacks_key", "lookup_key_twice", "not_derivable"];
/// So many problems are told; the rest is counted.
const MOST_TOLD: usize = 200;
const MOST_WHO: usize = 200;
const MOST_WHY: usize = 1000;

pub(super) fn import(options: &ReviewImport, global: &Global, console: &mut Console) -> Result<ExitStatus, Failure> {
    let reports = configuration::reports(&options.reports, global)?;
    let file = &options.file;
    let unread = |error: &io::Error| {
        let failure = Failure::path(file, "cannot be read", error);
        if error.kind() == io::ErrorKind::NotFound {
            return failure
                .advised("`reconcile review export --out FILE` writes such a file; fill in what was decided");
        }
        failure
    };
    let length = fs::metadata(file).map_err(|error| unread(&error))?.len();
    if length > MOST_BYTES {
        let message = format!("{}: is too large ({length} bytes), at most {MOST_BYTES} are read", failure::shown(file));
        return Err(Failure::with_hint(message, "leave only the lines with a decision in it"));
    }
    let bytes = fs::read(file).map_err(|error| unread(&error))?;
    let decided = sheet::read(&bytes).map_err(|problems| refused(file, problems))?;
    drop(bytes);
    if decided.len() > Decisions::MOST {
        let message = format!(
            "{}: holds {} decisions, at most {} can stand",
            failure::shown(file),
            decided.len(),
            Decisions::MOST
        );
        return Err(Failure::new(message));
    }
    let now = Timestamp::now();
    let mut problems = sheet::Problems::new();
    let mut lines = Vec::new();
    for one in &decided {
        match written(one, options.who.as_deref(), now) {
            Ok(line) => lines.push((one.line, line)),
            Err(said) => problems.extend(said.into_iter().map(|said| (one.line, said))),
        }
    }
    said_twice(&lines, &mut problems);
    let bars = interrupt::told(console)?;
    against_runs(&reports, &mut lines, &mut problems, &bars)
        .map_err(|error| Failure::path(&reports, "the runs cannot be read", &error))?;
    if !problems.is_empty() {
        return Err(refused(file, problems));
    }
    let count = lines.len();
    let signer = signing::of_file(global, options.reports.reports.is_some())?;
    let lines = lines.into_iter().map(|(_, line)| line).collect();
    bars.begin_counting("recording", "decision", 0);
    let new = history::record_decisions(&reports, lines, now, signer.as_ref())
        .map_err(|error| Failure::path(&reports, "the decisions cannot be recorded", &error))?;
    bars.finish();
    tell(global.format, new, count - new, console)
}

fn tell(format: Format, new: usize, stood: usize, console: &mut Console) -> Result<ExitStatus, Failure> {
    let document = json!({ "format_version": 1, "decisions": new, "stood_already": stood });
    let decisions = if new == 1 { "1 decision was".to_owned() } else { format!("{new} decisions were") };
    let text = match format {
        Format::Json => format!("{document:#}\n"),
        Format::Ndjson => format!("{document}\n"),
        Format::Text | Format::Markdown => {
            let stood = if stood > 0 { format!(", {stood} stood already") } else { String::new() };
            format!("{decisions} taken in{stood}; the next run applies them\n")
        }
    };
    console.out().write_all(text.as_bytes()).map_err(|error| Failure::stdout(&error))?;
    Ok(ExitStatus::Agreed)
}

/// Every problem with its line; nothing was taken in.
fn refused(file: &Path, mut problems: sheet::Problems) -> Failure {
    problems.sort();
    let more = problems.len().saturating_sub(MOST_TOLD);
    let place = |line: u64| (usize::try_from(line).unwrap_or(usize::MAX), 1);
    let told = problems.into_iter().take(MOST_TOLD).map(|(line, message)| Problem {
        file: Some(file.to_owned()),
        position: Some(place(line)),
        message,
        ..Problem::default()
    });
    let mut told: Vec<Problem> = told.collect();
    if more > 0 {
        told.push(Problem {
            file: Some(file.to_owned()),
            message: if more == 1 { "1 more problem".to_owned() } else { format!("{more} more problems") },
            ..Problem::default()
        });
    }
    if let Some(last) = told.last_mut() {
        last.hint = Some("nothing was taken in: mend the lines and import the file again".to_owned());
    }
    Failure { problems: told }
}

/// A decision as it is recorded, or all that is wrong with the line by itself.
fn written(one: &Decided, who: Option<&str>, now: Timestamp) -> Result<DecisionLine, Vec<String>> {
    let mut problems = Vec::new();
    let (name, day) = match one.decision.split_once(char::is_whitespace) {
        Some((name, day)) => (name.to_lowercase(), day.trim()),
        None => (one.decision.to_lowercase(), ""),
    };
    let choice = Choice::of(&name);
    if choice.is_none() {
        let names = Choice::ALL.map(Choice::name);
        let near = failure::nearest(&name, names).map(|near| format!(": {near}")).unwrap_or_default();
        problems.push(format!("decision `{}` is not one of {}{near}", one.decision, names.join(", ")));
    }
    let until = match (day, one.until.as_str()) {
        (day, until) if !day.is_empty() && !until.is_empty() && day != until => {
            problems.push(format!("two days are given, `{day}` and `{until}`, expected one"));
            ""
        }
        ("", until) => until,
        (day, _) => day,
    };
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let parsed: Option<Date> = until.parse().ok().filter(|_| until.len() == "2026-01-01".len());
    match (choice, until, parsed) {
        (Some(Choice::IgnoreUntil), "", _) => {
            problems.push("ignore-until needs a day, as `until`: YYYY-MM-DD".to_owned());
        }
        (Some(Choice::IgnoreUntil), _, None) => {
            problems.push(format!("until `{until}` is not a day, expected YYYY-MM-DD"));
        }
        (Some(Choice::IgnoreUntil), _, Some(day)) if day <= today => {
            problems.push(format!("until `{until}` is not after today, {today}"));
        }
        (Some(choice), day, _) if choice != Choice::IgnoreUntil && !day.is_empty() => {
            problems.push(format!("{} holds without a day, but `{day}` is given", choice.name()));
        }
        _ => {}
    }
    let who = if one.who.is_empty() { who.map(str::trim).unwrap_or_default() } else { &one.who };
    if who.is_empty() {
        problems.push("nobody is named: fill in `who`, or say `--who NAME`".to_owned());
    }
    if one.why.is_empty() {
        problems.push("no reason is given: fill in `why`".to_owned());
    }
    for (column, text, most) in [("who", who, MOST_WHO), ("why", &*one.why, MOST_WHY)] {
        let characters = text.chars().count();
        if characters > most {
            problems.push(format!("{column} is too long ({characters} characters), at most {most} are kept"));
        }
    }
    if blake3::Hash::from_hex(&one.fingerprint).is_err() {
        problems.push("fingerprint is not the one that was exported".to_owned());
    }
    if one.row_digest.is_empty() {
        problems.push("cannot be decided: nothing tells a later run that it is the same row".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(DecisionLine {
        contract: one.contract.clone(),
        fingerprint: one.fingerprint.clone(),
        decision: name,
        until: parsed.map(|until| until.to_string()),
        who: who.to_owned(),
        why: one.why.clone(),
        row_digest: one.row_digest.clone(),
        ..history::decision_line(now)
    })
}

fn said_twice(lines: &[(u64, DecisionLine)], problems: &mut sheet::Problems) {
    let mut first = BTreeMap::new();
    for (number, line) in lines {
        if let Some(before) = first.insert(&line.fingerprint, *number) {
            problems.push((*number, format!("line {before} decides the same divergence")));
        }
    }
}

/// What the newest run of a contract says of the divergences that were decided.
#[derive(Default)]
struct Seen {
    findings: BTreeMap<String, About>,
    runs: BTreeMap<String, String>,
}

/// A divergence that something was decided of.
struct About {
    finding: Finding,
    proposed: Option<Proposed>,
    /// How many there are that cannot be told apart.
    count: u64,
}

impl About {
    /// Why the authority has no value that could be accepted; a rule's name stands before the reason of the line.
    fn lacks_value(&self) -> Option<&str> {
        let own = Some(self.finding.reason.as_str()).filter(|reason| NO_VALUE.contains(reason));
        let planned = self.proposed.as_ref().filter(|proposed| proposed.safety == "manual");
        own.or(planned.map(|proposed| proposed.reason.as_str()).filter(|reason| plan::lacks_value(reason)))
    }
}

/// Holds every decision against the newest run of its contract, and takes from there what it is about.
fn against_runs(
    reports: &Path,
    lines: &mut [(u64, DecisionLine)],
    problems: &mut sheet::Problems,
    watch: &dyn Watch,
) -> io::Result<()> {
    watch.reads("proving the newest runs", 0);
    let contracts: BTreeSet<&str> = lines.iter().map(|(_, line)| line.contract.as_str()).collect();
    let mut folders: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut seen = Seen::default();
    for contract in contracts {
        if let Some((run_id, folder)) = history::newest_run(reports, contract, &|bytes| watch.did(0, bytes))? {
            folders.entry(folder).or_default().insert(contract.to_owned());
            seen.runs.insert(contract.to_owned(), run_id);
        }
    }
    let wanted: BTreeSet<&str> = lines.iter().map(|(_, line)| line.fingerprint.as_str()).collect();
    for (folder, contracts) in folders {
        let mut proposals = Proposals::open(&folder)?;
        let findings = Findings::open(&folder)?;
        watch.goes_through("looking at what was decided", DIVERGENCE, findings.lines());
        for finding in findings {
            let finding = finding?;
            watch.did(1, 0);
            let proposed = proposals.of(&finding)?;
            if contracts.contains(&finding.contract) && wanted.contains(finding.fingerprint.as_str()) {
                let about = || About { finding: finding.clone(), proposed, count: 0 };
                seen.findings.entry(finding.fingerprint.clone()).or_insert_with(about).count += 1;
            }
        }
    }
    drop(wanted);
    for (number, line) in lines {
        match seen.of(line) {
            Ok((run_id, finding)) => {
                line.run_id = run_id.clone();
                line.kind.clone_from(&finding.kind);
                line.key.clone_from(&finding.key);
                line.attribute.clone_from(&finding.attribute);
            }
            Err(problem) => problems.push((*number, problem)),
        }
    }
    Ok(())
}

impl Seen {
    fn of(&self, line: &DecisionLine) -> Result<(&String, &Finding), String> {
        let Some(run_id) = self.runs.get(&line.contract) else {
            return Err(format!("contract \"{}\" has no run here", line.contract));
        };
        let found = self.findings.get(&line.fingerprint).filter(|about| about.finding.contract == line.contract);
        let Some(about @ About { finding, count, .. }) = found else {
            return Err(format!(
                "run `{run_id}`, the newest of contract \"{}\", does not know the divergence: it was resolved, or was not looked at",
                line.contract
            ));
        };
        if *count > 1 {
            return Err(format!("{count} divergences of run `{run_id}` are alike, so none can be decided by itself"));
        }
        if finding.row_digest.as_ref() != Some(&line.row_digest) {
            return Err(format!("the row has changed since: run `{run_id}` saw another; export again and look"));
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == finding.kind);
        let choice = Choice::of(&line.decision).zip(kind);
        let fits =
            choice.map_or(Err("the run speaks of a kind that is not known here"), |(choice, kind)| choice.fits(kind));
        fits.map_err(|why| format!("{} cannot be decided of a {}: {why}", line.decision, finding.kind))?;
        if let Some(why) = about.lacks_value().filter(|_| line.decision == Choice::AcceptAuthority.name()) {
            return Err(format!(
                "accept-authority cannot be decided: there is no value to accept ({why}); mend it at its owner, and decide fix-elsewhere"
            ));
        }
        Ok((run_id, finding))
    }
}
