//! Everything that a run's files hold of one key: its divergences, its repair actions, since when they recur. Every file is
//! held against the manifest before it is read, and read in bounded memory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use serde_json::value::RawValue;

use super::manifest::{self, Manifest};
use super::place::{at, invalid};
use super::previous::{self, Open};
use super::trail::open_file;
use super::watch::Watch;
use crate::audit::Audit;
use crate::report::recurrence::Line;

const DIVERGENCES: &str = "divergences.parquet";
const PLAN: &str = "plan.ndjson";
/// The most divergences of one key that are held: a key without uniqueness may have as many as a table has rows.
const MOST: usize = 1000;

/// A key as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedKey {
    /// A JSON object: each attribute with its value as text.
    Object(BTreeMap<String, String>),
    /// The value of a key of one attribute.
    Bare(String),
}

impl WantedKey {
    /// Reads a word: a JSON object, or else a bare value.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match members(word) {
            Some(members) => Self::Object(members),
            None => Self::Bare(word.to_owned()),
        }
    }

    /// Whether it is the key that a file names by this JSON text. Texts and numbers of the same digits are the same here.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        let Some(members) = members(key) else { return false };
        match self {
            Self::Object(wanted) => members == *wanted,
            Self::Bare(value) => members.len() == 1 && members.values().next() == Some(value),
        }
    }
}

/// The members of a JSON object as texts: what a text says, and every other value as it is written, without spaces.
fn members(json: &str) -> Option<BTreeMap<String, String>> {
    let raw: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let text = |value: &RawValue| match serde_json::from_str::<String>(value.get()) {
        Ok(text) => text,
        // Numbers keep their digits; what is nested is written again without spaces.
        Err(_) if value.get().starts_with(['{', '[']) => serde_json::from_str::<Value>(value.get())
            .map_or_else(|_| value.get().to_owned(), |value| value.to_string()),
        Err(_) => value.get().to_owned(),
    };
    Some(raw.into_iter().map(|(name, value)| (name, text(value))).collect())
}

/// One divergence of the key.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The columns of `divergences.parquet`, in their order; None for NULL.
    pub columns: Vec<(String, Option<String>)>,
    /// Since when it recurs, where the run says.
    pub recurrence: Option<Line>,
    /// What a person decided of it, as far as that was not taken back.
    pub decision: Option<super::DecisionLine>,
}

impl Recorded {
    /// A column's text.
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&str> {
        self.columns.iter().find(|(name, _)| name == column)?.1.as_deref()
    }
}

/// What a run's files hold of one key.
#[derive(Debug)]
pub struct Dossier {
    /// The run.
    pub audit: Audit,
    /// The divergences of the key, in the order of the file.
    pub findings: Vec<Recorded>,
    /// There are more than are held.
    pub more: bool,
    /// Its repair actions, as `plan.ndjson` writes them.
    pub actions: Vec<Value>,
}

/// Gathers it. `run` is a run id, a unique prefix, `latest`, or a path. `watch` is told how far it is.
///
/// # Errors
/// That there is no such run, or that a file of it was changed or cannot be read.
pub fn dossier(reports: &Path, run: &str, key: &WantedKey, watch: &dyn Watch) -> io::Result<Dossier> {
    watch.reads("proving the run", 0);
    let audit = super::load(reports, run)?;
    let folder = super::find(reports, run)?;
    let path = folder.join(manifest::FILE);
    let manifest = Manifest::parse(&fs::read(&path).map_err(at(&path))?).map_err(|problem| invalid(&path, problem))?;
    let names = [DIVERGENCES, previous::FILE, PLAN];
    let proved = manifest.files.iter().filter(|file| names.contains(&file.name.as_str()));
    watch.reads("proving the run", proved.map(|file| file.bytes).sum());
    let file = |name: &str| open_file(&folder, &manifest.files, name, &|bytes| watch.did(0, bytes));
    let missing = |name: &str| invalid(&path, format!("lists no {name}"));
    let divergences = file(DIVERGENCES)?.ok_or_else(|| missing(DIVERGENCES))?;
    let recurrence = file(previous::FILE)?;
    let plan = file(PLAN)?.ok_or_else(|| missing(PLAN))?;
    let (mut findings, more) = findings(divergences, key, watch).map_err(at(&folder.join(DIVERGENCES)))?;
    if let Some(recurrence) = recurrence {
        recurrences(&recurrence, &mut findings, watch).map_err(at(&folder.join(previous::FILE)))?;
    }
    watch.reads("looking for decisions", 0);
    let decisions = super::standing_lines(folder.parent().unwrap_or(reports))?;
    for finding in &mut findings {
        finding.decision = finding.get("fingerprint").and_then(|fingerprint| decisions.get(fingerprint)).cloned();
    }
    let actions = actions(plan, key, watch).map_err(at(&folder.join(PLAN)))?;
    Ok(Dossier { audit, findings, more, actions })
}

fn findings(file: File, key: &WantedKey, watch: &dyn Watch) -> io::Result<(Vec<Recorded>, bool)> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(io::Error::other)?;
    let lines = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or_default();
    watch.goes_through("looking for the key", "divergence", lines);
    let reader = builder.with_batch_size(1024).build().map_err(io::Error::other)?;
    let mut found = Vec::new();
    for batch in reader {
        let batch = batch.map_err(io::Error::other)?;
        let column = batch.column_by_name("key").and_then(|column| column.as_string_opt::<i32>());
        let keys = column.ok_or_else(|| io::Error::other("it has no column `key` of texts"))?;
        watch.did(batch.num_rows() as u64, 0);
        for row in 0..batch.num_rows() {
            if keys.is_null(row) || !key.is(keys.value(row)) {
                continue;
            }
            if found.len() == MOST {
                return Ok((found, true));
            }
            found.push(Recorded { columns: texts(&batch, row)?, recurrence: None, decision: None });
        }
    }
    Ok((found, false))
}

fn texts(batch: &RecordBatch, row: usize) -> io::Result<Vec<(String, Option<String>)>> {
    let text = |(field, column): (&arrow::datatypes::FieldRef, &arrow::array::ArrayRef)| {
        let one = cast(&column.slice(row, 1), &DataType::Utf8).map_err(io::Error::other)?;
        let one = one.as_string::<i32>();
        Ok((field.name().clone(), one.is_valid(0).then(|| one.value(0).to_owned())))
    };
    batch.schema().fields().iter().zip(batch.columns()).map(text).collect()
}

fn recurrences(file: &File, findings: &mut [Recorded], watch: &dyn Watch) -> io::Result<()> {
    let contracts: std::collections::BTreeSet<String> =
        findings.iter().filter_map(|finding| finding.get("contract").map(str::to_owned)).collect();
    for contract in contracts {
        let mut open = Open::new(file, &contract, true)?;
        watch.goes_through("looking since when", "line", open.most);
        while let Some(line) = open.next()? {
            watch.did(1, 0);
            let same = |finding: &&mut Recorded| {
                finding.get("fingerprint") == Some(&line.fingerprint) && finding.get("contract") == Some(&contract)
            };
            for finding in findings.iter_mut().filter(same) {
                finding.recurrence = Some(line.clone());
            }
        }
    }
    Ok(())
}

/// The part of a line of the plan that tells whose it is.
#[derive(serde::Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    key: &'a RawValue,
}

fn actions(file: File, key: &WantedKey, watch: &dyn Watch) -> io::Result<Vec<Value>> {
    watch.reads("looking for repairs", file.metadata()?.len());
    let mut reader = BufReader::new(file);
    let (mut actions, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line)? > 0 {
        watch.did(0, line.len() as u64);
        let keyed: Keyed<'_> = serde_json::from_str(&line)?;
        if actions.len() < MOST && key.is(keyed.key.get()) {
            actions.push(serde_json::from_str(&line)?);
        }
        line.clear();
    }
    Ok(actions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_however_it_is_written() {
        let stored = r#"{"country":"IT","code":12345678901234567890123}"#;
        for word in [
            stored,
            r#"{ "code": 12345678901234567890123, "country": "IT" }"#,
            r#"{"country":"IT","code":"12345678901234567890123"}"#,
        ] {
            assert!(WantedKey::parse(word).is(stored), "{word}");
        }
        for word in ["IT", r#"{"country":"IT"}"#, r#"{"country":"IT","code":12345678901234567890124}"#, "{", ""] {
            assert!(!WantedKey::parse(word).is(stored), "{word}");
        }
        for (word, stored) in [("1042", r#"{"id":1042}"#), ("a b", r#"{"id":"a b"}"#), ("{x", r#"{"id":"{x"}"#)] {
            assert!(WantedKey::parse(word).is(stored), "{word}");
        }
        assert!(!WantedKey::parse("").is(r#"{"id":null}"#));
    }
}
