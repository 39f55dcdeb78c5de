//! `decisions.ndjson`, beside the ledger: what people decided, a line each, only ever appended to. A line of the ledger says how
//! many bytes of it are recorded and what their BLAKE3 is.
//!
//! ```text
//! decisions.ndjson   line … line │ line … line │ what a crash left: not recorded, so not decided
//! ledger.ndjson                  ▲             ▲
//!                     {"record":"decisions", "bytes":…, "blake3":…}
//! ```
//!
//! The lines are written first and recorded after, so that a crash in between leaves nothing decided; the next import takes the
//! rest away. Where the recorded bytes are not what they were, no decision is believed.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ledger::{self, Draft, Ledger, Record};
use super::place::{at, invalid, sync_folder};
use super::sign::Signer;
use crate::audit::decision::{Choice, Decision, Decisions};

pub(super) const FILE: &str = "decisions.ndjson";
const FORMAT_VERSION: u32 = 1;

/// What the ledger says of the decisions.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(super) struct Recorded {
    /// New ones.
    pub(super) decisions: u64,
    /// All that is recorded of the file.
    pub(super) bytes: u64,
    /// Of those bytes.
    pub(super) blake3: String,
}

/// A line of the file, and all that is kept of a decision.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// `decision`.
    pub record: String,
    /// Of the line.
    pub format_version: u32,
    /// When it was taken in.
    pub recorded_at: String,
    /// The run that showed the divergence.
    pub run_id: String,
    /// Whose divergence.
    pub contract: String,
    /// Which divergence, in hex.
    pub fingerprint: String,
    /// Its kind.
    pub kind: String,
    /// Its key as the run wrote it.
    pub key: Option<String>,
    /// Its attribute.
    pub attribute: Option<String>,
    /// What was decided.
    pub decision: String,
    /// For `ignore-until`.
    pub until: Option<String>,
    /// By whom.
    pub who: String,
    /// Why.
    pub why: String,
    /// What the rows were, in hex.
    pub row_digest: String,
}

impl Line {
    /// What every line says.
    pub(super) const RECORD: &str = "decision";

    /// Whether the same was decided of the same rows.
    fn same(&self, other: &Self) -> bool {
        let of = |line: &Self| {
            let Self { decision, until, who, why, row_digest, .. } = line.clone();
            (decision, until, who, why, row_digest)
        };
        of(self) == of(other)
    }

    fn decision(&self) -> Result<([u8; 32], Decision), String> {
        let digest = |text: &str| {
            let hash = blake3::Hash::from_hex(text).map_err(|_| format!("`{text}` is not a BLAKE3 in hex"))?;
            Ok::<_, String>(*hash.as_bytes())
        };
        let choice = Choice::of(&self.decision).ok_or_else(|| format!("`{}` is not a decision", self.decision))?;
        let until = self.until.as_deref().map(|until| until.parse().map_err(|_| format!("`{until}` is not a day")));
        let decision = Decision {
            choice,
            until: until.transpose()?,
            who: Arc::from(self.who.as_str()),
            row_digest: digest(&self.row_digest)?,
        };
        Ok((digest(&self.fingerprint)?, decision))
    }
}

/// A new line, without what recording adds.
#[must_use]
pub fn line(recorded_at: jiff::Timestamp) -> Line {
    Line {
        record: Line::RECORD.to_owned(),
        format_version: FORMAT_VERSION,
        recorded_at: recorded_at.to_string(),
        run_id: String::new(),
        contract: String::new(),
        fingerprint: String::new(),
        kind: String::new(),
        key: None,
        attribute: None,
        decision: String::new(),
        until: None,
        who: String::new(),
        why: String::new(),
        row_digest: String::new(),
    }
}

/// The decisions that stand, for a run; and where none is believed, why.
///
/// # Errors
/// What could not be read.
pub fn decisions(reports: &Path) -> io::Result<(Decisions, Option<String>)> {
    let _lock = ledger::lock_shared(reports)?;
    let ledger = Ledger::read(reports)?;
    if !ledger.broken().is_empty() && recorded(&ledger).is_some() {
        let why = "the ledger was changed, so no decision of people is believed: `reconcile audit verify` says more";
        return Ok((Decisions::default(), Some(why.to_owned())));
    }
    match those(reports, &ledger, None) {
        Ok(decisions) => Ok((decisions, None)),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let why = format!("{error}; no decision of people is believed: `reconcile audit verify` says more");
            Ok((Decisions::default(), Some(why)))
        }
        Err(error) => Err(error),
    }
}

/// The decisions that stood when a run began.
///
/// # Errors
/// What could not be read; of kind `InvalidData` where it is not what was recorded.
pub fn decisions_before(reports: &Path, began: jiff::Timestamp) -> io::Result<Decisions> {
    let _lock = ledger::lock_shared(reports)?;
    those(reports, &Ledger::read(reports)?, Some(began))
}

fn those(reports: &Path, ledger: &Ledger, before: Option<jiff::Timestamp>) -> io::Result<Decisions> {
    let mut decisions = Decisions::default();
    each_recorded(reports, ledger, |line| {
        let recorded_at: jiff::Timestamp =
            line.recorded_at.parse().map_err(|_| format!("`{}` is not an instant", line.recorded_at))?;
        if before.is_some_and(|before| recorded_at >= before) {
            return Ok(());
        }
        let (fingerprint, decision) = line.decision()?;
        if decision.choice == Choice::Reopen {
            decisions.0.remove(&fingerprint);
        } else {
            decisions.0.insert(fingerprint, decision);
        }
        Ok(())
    })?;
    Ok(decisions)
}

/// The newest decision of each divergence, by fingerprint, but for those that were taken back.
///
/// # Errors
/// What could not be read; of kind `InvalidData` where it is not what was recorded.
pub fn standing_lines(reports: &Path) -> io::Result<BTreeMap<String, Line>> {
    let _lock = ledger::lock_shared(reports)?;
    standing(reports, &Ledger::read(reports)?)
}

/// Takes decisions in: all of them or none. Those that stand already are left out; returns how many were new.
///
/// # Errors
/// What kept them from being written, or that too many would stand.
pub fn record(
    reports: &Path,
    lines: Vec<Line>,
    now: jiff::Timestamp,
    signer: Option<&Arc<Signer>>,
) -> io::Result<usize> {
    let lock = ledger::lock(reports)?;
    let mut ledger = Ledger::read(reports)?.signed_with(signer);
    ledger.unsigned_line(signer.is_some()).map_err(|problem| invalid(reports, problem))?;
    if let Some(complaint) = ledger.broken().first() {
        return Err(invalid(reports, format!("{complaint}; nothing is added to a ledger that was changed")));
    }
    let mut stand = standing(reports, &ledger)?;
    let mut new = Vec::new();
    for line in lines {
        let before = stand.get(&line.fingerprint);
        let reopens = line.decision == Choice::Reopen.name();
        if before.is_some_and(|before| before.same(&line)) || (reopens && before.is_none()) {
            continue;
        }
        if reopens {
            stand.remove(&line.fingerprint);
        } else {
            stand.insert(line.fingerprint.clone(), line.clone());
        }
        new.push(line);
    }
    if stand.len() > Decisions::MOST {
        let problem = format!("{} decisions would stand, at most {} can", stand.len(), Decisions::MOST);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    if new.is_empty() {
        return Ok(0);
    }
    let recorded = append(reports, recorded(&ledger), &new)?;
    ledger.append(&lock, Draft::Decisions { recorded_at: now.to_string(), recorded })?;
    Ok(new.len())
}

/// Writes lines after what is recorded, in place of what a crash may have left there.
fn append(reports: &Path, before: Option<&Recorded>, lines: &[Line]) -> io::Result<Recorded> {
    let path = reports.join(FILE);
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(at(&path))?;
    let start = before.map_or(0, |recorded| recorded.bytes);
    let mut hasher = blake3::Hasher::new();
    digest(&mut file, start, &mut hasher).map_err(at(&path))?;
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    hasher.update(&text);
    let written = file
        .set_len(start)
        .and_then(|()| file.seek(SeekFrom::Start(start)))
        .and_then(|_| file.write_all(&text))
        .and_then(|()| file.sync_all());
    written.map_err(at(&path))?;
    sync_folder(reports)?;
    let (decisions, bytes) = (lines.len() as u64, start + text.len() as u64);
    Ok(Recorded { decisions, bytes, blake3: hasher.finalize().to_hex().to_string() })
}

/// What the newest line of the ledger says of decisions.
fn recorded(ledger: &Ledger) -> Option<&Recorded> {
    all_recorded(ledger).last().map(|(_, recorded)| recorded)
}

fn all_recorded(ledger: &Ledger) -> impl Iterator<Item = (usize, &Recorded)> {
    ledger.records().filter_map(|(number, record)| match record {
        Record::Decisions(line) => Some((number, &line.recorded)),
        _ => None,
    })
}

/// The newest decision of each divergence, of what is recorded.
fn standing(reports: &Path, ledger: &Ledger) -> io::Result<BTreeMap<String, Line>> {
    let mut lines = BTreeMap::new();
    each_recorded(reports, ledger, |line| {
        if line.decision == Choice::Reopen.name() {
            lines.remove(&line.fingerprint);
        } else {
            lines.insert(line.fingerprint.clone(), line);
        }
        Ok(())
    })?;
    Ok(lines)
}

/// Gives the recorded lines one after the other, in little memory. What was given counts only where this ends well: the
/// proof comes last.
fn each_recorded(reports: &Path, ledger: &Ledger, mut each: impl FnMut(Line) -> Result<(), String>) -> io::Result<()> {
    let Some(recorded) = recorded(ledger) else { return Ok(()) };
    let path = reports.join(FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(invalid(&path, "is missing")),
        Err(error) => return Err(at(&path)(error)),
    };
    let (mut reader, mut hasher) = (BufReader::new(file.take(recorded.bytes)), blake3::Hasher::new());
    let (mut text, mut number, mut bytes, mut problem) = (Vec::new(), 0_u64, 0_u64, None);
    while reader.read_until(b'\n', &mut text).map_err(at(&path))? > 0 {
        number += 1;
        bytes += text.len() as u64;
        hasher.update(&text);
        let read = parse(&text).and_then(&mut each);
        problem = problem.or(read.err().map(|said| format!("line {number}: {said}")));
        text.clear();
    }
    if bytes != recorded.bytes || hasher.finalize().to_hex().as_str() != recorded.blake3 {
        return Err(invalid(&path, "its recorded part was changed: its BLAKE3 is not the one in the ledger"));
    }
    problem.map_or(Ok(()), |problem| Err(invalid(&path, problem)))
}

fn parse(text: &[u8]) -> Result<Line, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| format!("not a decision: {error}"))?;
    match (line.record.as_str(), line.format_version) {
        (Line::RECORD, FORMAT_VERSION) => Ok(line),
        (record, version) => {
            Err(format!("`{record}` of format version {version}, this version reads {FORMAT_VERSION}"))
        }
    }
}

/// What of the file is not as the ledger says, and what a crash left.
pub(super) fn check(reports: &Path, ledger: &Ledger) -> io::Result<(Vec<String>, Option<String>)> {
    let path = reports.join(FILE);
    let mut recorded = all_recorded(ledger).peekable();
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = recorded.peek().map(|_| format!("{FILE} is missing"));
            return Ok((missing.into_iter().collect(), None));
        }
        Err(error) => return Err(at(&path)(error)),
    };
    let length = file.metadata().map_err(at(&path))?.len();
    let (mut done, mut hasher) = (0, blake3::Hasher::new());
    for (number, line) in recorded {
        let read = digest(&mut file, line.bytes.saturating_sub(done), &mut hasher).map_err(at(&path))?;
        done += read;
        if done != line.bytes || hasher.finalize().to_hex().as_str() != line.blake3 {
            let problem = format!("{FILE} was changed: what line {number} of the ledger recorded of it is not there");
            return Ok((vec![problem], None));
        }
    }
    let rest = length.saturating_sub(done);
    let note =
        (rest > 0).then(|| format!("{FILE}: its last {rest} bytes were never recorded, so nothing of them is decided"));
    Ok((Vec::new(), note))
}

/// Digests so many bytes from where the file stands; returns how many there were.
fn digest(file: &mut File, bytes: u64, hasher: &mut blake3::Hasher) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut part = file.take(bytes);
    let mut digested = 0;
    loop {
        let read = part.read(&mut buffer)?;
        if read == 0 {
            return Ok(digested);
        }
        hasher.update(&buffer[..read]);
        digested += read as u64;
    }
}

/// The name of the key of digests of personal data.
pub(super) const KEY_FILE: &str = ".pii.key";

/// The key of digests of personal data, made at its first use and readable by its owner alone; and what is worth a word of it.
///
/// # Errors
/// What kept it from being read or made.
pub fn personal_key(reports: &Path) -> io::Result<(String, Option<String>)> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    fs::create_dir_all(reports).map_err(at(reports))?;
    let _lock = ledger::lock(reports)?;
    let path = reports.join(KEY_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = text.trim().to_owned();
            if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(invalid(&path, "is not a key: expected 64 hex digits (restore it, or set `run.pii_key`)"));
            }
            let mode = fs::metadata(&path).map_err(at(&path))?.permissions().mode();
            let open = (mode & 0o077 != 0).then(|| {
                format!("{}: others may read the key of digests of personal data: `chmod 600` it", path.display())
            });
            Ok((text, open))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut random = [0; 32];
            let source = Path::new("/dev/urandom");
            File::open(source).and_then(|mut file| file.read_exact(&mut random)).map_err(at(source))?;
            let text = blake3::Hash::from_bytes(random).to_hex().to_string();
            let aside = reports.join(format!("{KEY_FILE}.partial"));
            _ = fs::remove_file(&aside);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).map_err(at(&aside))?;
            file.write_all(format!("{text}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(at(&aside))?;
            fs::rename(&aside, &path).map_err(at(&path))?;
            sync_folder(reports)?;
            Ok((text, None))
        }
        Err(error) => Err(at(&path)(error)),
    }
}

/// The key where it was made already; none is made.
///
/// # Errors
/// What kept it from being read.
pub fn personal_key_made(reports: &Path) -> io::Result<Option<String>> {
    if !reports.join(KEY_FILE).is_file() {
        return Ok(None);
    }
    personal_key(reports).map(|(key, _)| Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn now() -> jiff::Timestamp {
        NOW.parse().expect("an instant")
    }

    fn decided(number: u8, decision: &str) -> Line {
        Line {
            run_id: "run".to_owned(),
            contract: "pair".to_owned(),
            fingerprint: blake3::hash(&[number]).to_hex().to_string(),
            kind: "missing".to_owned(),
            decision: decision.to_owned(),
            who: "amy".to_owned(),
            why: "seen".to_owned(),
            row_digest: blake3::hash(b"row").to_hex().to_string(),
            ..line(now())
        }
    }

    #[test]
    fn a_crash_between_the_files_leaves_nothing_decided_and_the_next_import_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = folder.path();
        assert_eq!(record(reports, vec![decided(1, "accept-projection")], now(), None).expect("recorded"), 1);
        let whole = fs::read(reports.join(FILE)).expect("the file");
        // The line was written; the ledger's was not.
        let ledger = Ledger::read(reports).expect("a ledger");
        append(reports, recorded(&ledger), &[decided(2, "accept-projection")]).expect("appended");
        let half = fs::read(reports.join(FILE)).expect("the file");
        for cut in [half.len(), half.len() - 7, whole.len() + 1] {
            fs::write(reports.join(FILE), &half[..cut]).expect("written");
            let (decisions, warning) = decisions(reports).expect("readable");
            assert_eq!((decisions.0.len(), warning), (1, None), "cut at {cut}");
            let (changed, note) = check(reports, &Ledger::read(reports).expect("a ledger")).expect("readable");
            assert!(changed.is_empty() && note.is_some_and(|note| note.contains("never recorded")), "cut at {cut}");
        }
        assert_eq!(record(reports, vec![decided(3, "fix-elsewhere")], now(), None).expect("recorded"), 1);
        assert_eq!(decisions(reports).expect("readable").0.0.len(), 2);
        let (changed, note) = check(reports, &Ledger::read(reports).expect("a ledger")).expect("readable");
        assert_eq!((changed, note), (Vec::new(), None));
    }

    #[test]
    fn what_was_changed_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = folder.path();
        record(reports, vec![decided(1, "accept-projection"), decided(2, "fix-elsewhere")], now(), None)
            .expect("recorded");
        let whole = fs::read(reports.join(FILE)).expect("the file");
        for place in [0, whole.len() / 2, whole.len() - 2] {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(reports.join(FILE), changed).expect("written");
            let (decisions, warning) = decisions(reports).expect("readable");
            assert!(decisions.0.is_empty() && warning.is_some(), "{place}");
            assert_eq!(check(reports, &Ledger::read(reports).expect("a ledger")).expect("readable").0.len(), 1);
            assert!(record(reports, vec![decided(3, "fix-elsewhere")], now(), None).is_err());
        }
        fs::remove_file(reports.join(FILE)).expect("removed");
        assert!(decisions(reports).expect("readable").1.is_some());
    }

    #[test]
    fn the_newest_decision_stands_and_one_can_be_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let reports = folder.path();
        let taken = |lines| record(reports, lines, now(), None).expect("recorded");
        assert_eq!(taken(vec![decided(1, "accept-projection")]), 1);
        assert_eq!(taken(vec![decided(1, "accept-projection")]), 0, "it stands already");
        assert_eq!(taken(vec![decided(1, "fix-elsewhere")]), 1);
        let stand = standing_lines(reports).expect("readable");
        assert_eq!(stand.values().map(|line| line.decision.as_str()).collect::<Vec<_>>(), ["fix-elsewhere"]);
        assert_eq!(taken(vec![decided(1, "reopen")]), 1);
        assert_eq!(taken(vec![decided(1, "reopen")]), 0);
        assert!(decisions(reports).expect("readable").0.0.is_empty());
    }

    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let (key, _) = personal_key(folder.path()).expect("made");
        let path = folder.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(personal_key(folder.path()).expect("read"), (key, None));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changed");
        assert!(personal_key(folder.path()).expect("read").1.is_some_and(|said| said.contains("chmod 600")));
        fs::write(&path, "short").expect("written");
        assert!(personal_key(folder.path()).is_err());
    }
}
