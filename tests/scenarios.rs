//! Walks `fixtures/scenarios`. A scenario is a folder: README.md (two sentences), the files, and `expected/`.
//!
//! `expected/counts.toml` is written by hand, by thinking, and is never rewritten; the rest of `expected/` is what the
//! product said, rewritten by `UPDATE_EXPECT=1 cargo test scenarios` and reviewed as a diff. A file `args` holds the
//! arguments, one a line, where they are not just `run`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;
use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, counts, divergences, root};

/// The truth of a scenario, by hand.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    status: i32,
    /// The run's verdict; absent where no run is published.
    verdict: Option<String>,
    /// What stdout or stderr says.
    #[serde(default)]
    says: Vec<String>,
    /// What neither says.
    #[serde(default)]
    never_says: Vec<String>,
    #[serde(default)]
    contract: BTreeMap<String, ContractTruth>,
}

/// What is not named is zero.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractTruth {
    verdict: String,
    #[serde(default)]
    divergences: BTreeMap<String, u64>,
    #[serde(default)]
    attributes: BTreeMap<String, u64>,
    /// Lines of `divergences.parquet` by reason, where given.
    reasons: Option<BTreeMap<String, u64>>,
    severities: Option<BTreeMap<String, u64>>,
    rows: Option<BTreeMap<String, u64>>,
}

pub(crate) fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("fixtures/scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

#[test]
fn every_scenario_does_what_its_folder_says() {
    let folders = folders();
    assert!(folders.len() >= 40, "only {} scenarios were found", folders.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8) {
            scope.spawn(|| {
                while let Some(folder) = folders.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(complaints) = check(folder) {
                        failures.lock().unwrap().insert(folder.clone(), complaints);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let shown: String =
        failures.iter().fold(String::new(), |all, (folder, text)| format!("{all}\n=== {}\n{text}", folder.display()));
    assert!(failures.is_empty(), "{} of {} scenarios fail:\n{shown}", failures.len(), folders.len());
}

fn check(folder: &Path) -> Result<(), String> {
    let workspace = Workspace::new();
    copy(folder, workspace.path());
    let arguments = fs::read_to_string(folder.join("args")).unwrap_or_else(|_| "run".to_owned());
    let outcome = workspace
        // A machine so slow that a line were told of how far it is must not change what is expected.
        .reconcile(arguments.lines().filter(|line| !line.is_empty()).chain(["--no-progress"]));
    let summary = workspace.runs().first().map(|run| crate::support::read_json(&run.join("summary.json")));
    let mut complaints = against_truth(folder, &workspace, &outcome, summary.as_ref());
    complaints.extend(workspace.runs().first().map(|run| crate::formats::complaints(run)));
    if complaints.is_empty() {
        complaints = against_record(folder, &recorded(&workspace, &outcome, summary));
    } else {
        write!(complaints, "{}", outcome.shown()).unwrap();
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints) }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_owned();
        if name == "expected" {
            continue;
        }
        if path.is_dir() {
            fs::create_dir_all(to.join(&name)).unwrap();
            copy(&path, &to.join(&name));
        } else {
            fs::copy(&path, to.join(&name)).unwrap();
        }
    }
}

fn against_truth(folder: &Path, workspace: &Workspace, outcome: &Outcome, summary: Option<&Value>) -> String {
    let path = folder.join("expected/counts.toml");
    let Ok(text) = fs::read_to_string(&path) else {
        return format!("{} is missing: write it by hand\n", path.display());
    };
    let truth: Truth = match toml::from_str(&text) {
        Ok(truth) => truth,
        Err(error) => return format!("{}: {error}\n", path.display()),
    };
    let mut complaints = String::new();
    let mut same = |what: &str, seen: String, expected: String| {
        if seen != expected {
            writeln!(complaints, "{what}: {seen}, by hand: {expected}").unwrap();
        }
    };
    same("status", format!("{:?}", outcome.status), format!("{:?}", Some(truth.status)));
    let verdict = summary.map(|summary| summary["verdict"].as_str().unwrap_or_default().to_owned());
    same("verdict", format!("{verdict:?}"), format!("{:?}", truth.verdict));
    let said = format!("{}\n{}", outcome.stdout, outcome.stderr);
    for text in &truth.says {
        same(&format!("says `{text}`"), said.contains(text.as_str()).to_string(), true.to_string());
    }
    for text in truth.never_says.iter().map(String::as_str).chain(["panicked at"]) {
        same(&format!("says `{text}`"), said.contains(text).to_string(), false.to_string());
    }
    for (name, expected) in &truth.contract {
        let Some(summary) = summary else { break };
        let seen = contract(summary, name);
        same(name, seen["verdict"].as_str().unwrap_or_default().to_owned(), expected.verdict.clone());
        same(
            &format!("{name}: divergences"),
            format!("{:?}", counts(&seen["divergences"])),
            format!("{:?}", expected.divergences),
        );
        same(
            &format!("{name}: attributes"),
            format!("{:?}", counts(&seen["attributes"])),
            format!("{:?}", expected.attributes),
        );
        if let Some(severities) = &expected.severities {
            same(
                &format!("{name}: severities"),
                format!("{:?}", counts(&seen["severities"])),
                format!("{severities:?}"),
            );
        }
        if let Some(rows) = &expected.rows {
            let sides = ["authority", "projection"];
            let seen: BTreeMap<_, _> =
                sides.iter().map(|side| (*side, seen["rows"][side].as_u64().unwrap_or_default())).collect();
            same(&format!("{name}: rows"), format!("{seen:?}"), format!("{rows:?}"));
        }
        if let Some(reasons) = &expected.reasons {
            let mut seen: BTreeMap<String, u64> = BTreeMap::new();
            for line in divergences(&workspace.run()).iter().filter(|line| line["contract"] == *name) {
                *seen.entry(line["reason"].clone()).or_default() += 1;
            }
            same(&format!("{name}: reasons"), format!("{seen:?}"), format!("{reasons:?}"));
        }
    }
    complaints
}

/// What the product said, by file name, without what changes from run to run.
fn recorded(workspace: &Workspace, outcome: &Outcome, summary: Option<Value>) -> BTreeMap<&'static str, String> {
    let mut files = BTreeMap::new();
    files.insert("status", format!("{}\n", outcome.status.unwrap_or(-1)));
    files.insert("stdout.txt", workspace.filtered(&outcome.stdout));
    files.insert("stderr.txt", workspace.filtered(&outcome.stderr));
    if let Some(mut summary) = summary {
        for (name, fixed) in [("run_id", "[run]".into()), ("started_at", "[instant]".into()), ("elapsed_ms", 0.into())]
        {
            summary[name] = fixed;
        }
        files.insert("summary.json", workspace.filtered(&format!("{summary:#}\n")));
        let run = workspace.run();
        let lines: String = divergences(&run).iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        files.insert("divergences.ndjson", lines);
        files.insert("plan.ndjson", fs::read_to_string(run.join("plan.ndjson")).unwrap_or_default());
    }
    files.retain(|_, text| !text.is_empty());
    files
}

fn against_record(folder: &Path, files: &BTreeMap<&'static str, String>) -> String {
    let expected = folder.join("expected");
    let kept: Vec<PathBuf> = fs::read_dir(&expected).unwrap().map(|entry| entry.unwrap().path()).collect();
    let known = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name == "counts.toml" || files.contains_key(name.as_str())
    };
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        kept.iter().filter(|path| !known(path)).for_each(|path| fs::remove_file(path).unwrap());
        for (name, text) in files {
            fs::write(expected.join(name), text).unwrap();
        }
        return String::new();
    }
    let mut complaints = String::new();
    for (name, text) in files {
        match fs::read_to_string(expected.join(name)) {
            Err(_) => writeln!(complaints, "expected/{name} is missing: UPDATE_EXPECT=1 writes it").unwrap(),
            Ok(kept) if kept != *text => {
                writeln!(complaints, "expected/{name} has changed\n--- expected\n{kept}\n--- now\n{text}").unwrap();
            }
            Ok(_) => {}
        }
    }
    for path in kept.iter().filter(|path| !known(path)) {
        writeln!(complaints, "{} is no longer written", path.display()).unwrap();
    }
    complaints
}
