//! Which run is the newest is what the ledger says, whatever lies beside the runs; one that is missing is said, never passed over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Workspace;

const DIFFER: &[u8] = b"id,name\n1,Anna\n2,Berta\n";
const COMMANDS: [&[&str]; 7] = [
    &["report", "latest"],
    &["plan"],
    &["review", "export"],
    &["apply", "latest"],
    &["audit", "export", "latest", "--out", "run.tar.zst"],
    &["audit", "prove", "latest"],
    &["explain", "latest", "1"],
];

/// Two runs: one that agreed, then one that drifted.
fn agreed_then_drifted() -> (Workspace, [PathBuf; 2]) {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n"), ("b.csv", b"id,name\n1,Anna\n"));
    workspace.reconcile(["run"]).expect(0, &[]);
    workspace.bytes("a.csv", DIFFER);
    workspace.reconcile(["run"]).expect(1, &[]);
    let runs = workspace.runs().try_into().unwrap();
    (workspace, runs)
}

fn name(run: &Path) -> String {
    run.file_name().unwrap().to_string_lossy().into_owned()
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
}

#[test]
fn the_newest_run_that_is_missing_is_an_error_and_no_older_one_stands_in() {
    let (workspace, [older, newest]) = agreed_then_drifted();
    fs::rename(&newest, workspace.path().join("gone")).unwrap();
    for words in COMMANDS {
        let outcome = workspace.reconcile(words);
        outcome.expect(2, &[&name(&newest), "its folder is missing"]);
        assert_eq!(outcome.stdout, "", "{words:?}");
    }
    workspace.reconcile(["report", &name(&older)]).expect(0, &["agreed"]);
}

#[test]
fn a_copy_beside_the_runs_is_not_the_newest_whatever_it_is_called() {
    let (workspace, [older, newest]) = agreed_then_drifted();
    let reports = workspace.path().join("reports");
    copy(&older, &reports.join("first-night"));
    copy(&older, &reports.join("29991231T000000000Z-0000"));
    workspace.reconcile(["report", "latest"]).expect(1, &["drifted"]);
    // Without a ledger the ids tell, of folders that hold the run that they are called after.
    fs::remove_file(reports.join("ledger.ndjson")).unwrap();
    workspace.reconcile(["report", "latest"]).expect(1, &["drifted"]);
    fs::remove_dir_all(&newest).unwrap();
    workspace.reconcile(["report", "latest"]).expect(0, &["agreed"]);
}

#[test]
fn a_folder_that_says_that_it_is_no_run_is_neither_missed_nor_adopted() {
    let (workspace, [older, _]) = agreed_then_drifted();
    let aside = workspace.path().join("reports/first-night");
    copy(&older, &aside);
    fs::write(aside.join(".not-a-run"), "the first night, for the wall\n").unwrap();
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    workspace.reconcile(["history"]).expect(0, &[]);
    let outcome = workspace.reconcile(["run"]);
    outcome.expect(1, &[]);
    assert!(!outcome.shown().contains("first-night"), "{}", outcome.shown());
    workspace.reconcile(["report", "first"]).expect(2, &["no run `first`"]);
    // Whoever names it sees it, and what it is.
    workspace.reconcile(["report", "first-night"]).expect(0, &["it holds run"]);
}

#[test]
fn a_pruned_run_is_not_the_newest_and_one_that_a_crash_kept_from_its_line_is() {
    let (workspace, [older, newest]) = agreed_then_drifted();
    let ledger = workspace.path().join("reports/ledger.ndjson");
    let lines = fs::read_to_string(&ledger).unwrap();
    let first = lines.split_inclusive('\n').next().unwrap();
    fs::write(&ledger, first).unwrap();
    workspace.reconcile(["report", "latest"]).expect(1, &["drifted", "has no line of run"]);
    fs::write(&ledger, &lines).unwrap();
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[]);
    assert!(!older.exists() && newest.exists());
    workspace.reconcile(["report", "latest"]).expect(1, &["drifted"]);
}
