//! The cutover gate through the binary: what counts as a run, what breaks a row, when it cannot tell.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Workspace, pair_contract};

/// A workspace with a contract that asks for so many runs; `more` stands in its table.
fn gated(runs: u64, more: &str) -> Workspace {
    let workspace = Workspace::pair(("a.csv", b""), ("b.csv", b""));
    contract(&workspace, runs, more);
    data(&workspace, 0);
    workspace
}

fn contract(workspace: &Workspace, runs: u64, more: &str) {
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{text}{more}\n[contract.pair.parity]\nconsecutive_runs = {runs}\n"));
}

/// Two equal tables that no other number gives.
fn data(workspace: &Workspace, number: u64) {
    let text = format!("id,name\n1,Anna\n2,Bert{number}\n");
    workspace.file("a.csv", &text);
    workspace.file("b.csv", &text);
}

/// So many runs, each over tables of its own.
fn runs(workspace: &Workspace, numbers: std::ops::Range<u64>) {
    for number in numbers {
        data(workspace, number);
        workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    }
}

fn judged(workspace: &Workspace, status: i32, texts: &[&str]) -> Value {
    workspace.reconcile(["parity", "pair"]).expect(status, texts);
    workspace.reconcile(["parity", "pair", "--format", "markdown"]).expect(status, &["| condition | met |"]);
    serde_json::from_str(&workspace.reconcile(["parity", "pair", "--format", "json"]).expect(status, &[]).stdout)
        .unwrap()
}

fn missing(document: &Value) -> Vec<&str> {
    let conditions = document["conditions"].as_array().unwrap().iter();
    conditions
        .filter(|condition| condition["met"] == false)
        .map(|condition| condition["name"].as_str().unwrap())
        .collect()
}

fn ledger(workspace: &Workspace) -> PathBuf {
    workspace.path().join("reports/ledger.ndjson")
}

#[test]
fn so_many_clean_runs_in_a_row_are_ready() {
    let workspace = gated(3, "");
    runs(&workspace, 0..2);
    let document = judged(&workspace, 1, &["not yet: pair 1.0.0", "missing  consecutive_runs", "2 of 3 count"]);
    assert_eq!((&document["status"], missing(&document)), (&"not_yet".into(), vec!["consecutive_runs"]));
    runs(&workspace, 2..3);
    let document = judged(&workspace, 0, &["ready: pair 1.0.0", "3 of 3 count"]);
    assert_eq!((&document["ready"], document["counted"].as_array().unwrap().len()), (&true.into(), 3));
}

#[test]
fn a_drifted_or_unverified_run_breaks_the_row() {
    let workspace = gated(2, "");
    runs(&workspace, 0..2);
    judged(&workspace, 0, &[]);
    workspace.file("b.csv", "id,name\n1,Anna\n2,Berta\n");
    workspace.reconcile(["run", "--no-cache"]).expect(1, &[]);
    let document = judged(&workspace, 1, &["is drifted"]);
    assert_eq!(
        missing(&document),
        ["consecutive_runs", "verdict", "coverage", "critical", "contract_unchanged", "open_review"]
    );
    runs(&workspace, 2..3);
    assert_eq!(missing(&judged(&workspace, 1, &["1 of 2 count; before them, run"])), ["consecutive_runs", "verdict"]);
    runs(&workspace, 3..4);
    judged(&workspace, 0, &[]);
    fs::remove_file(workspace.path().join("b.csv")).unwrap();
    workspace.reconcile(["run", "--no-cache"]).expect(2, &[]);
    judged(&workspace, 1, &["is unverified", "coverage"]);
}

#[test]
fn the_same_inputs_and_trusted_ones_and_a_part_of_the_keys_do_not_count() {
    let workspace = gated(2, "");
    runs(&workspace, 0..1);
    workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    judged(&workspace, 1, &["1 of 2 count", "it read the very inputs"]);
    workspace.reconcile(["run", "--where", "id = '1'", "--no-cache"]).expect(0, &[]);
    judged(&workspace, 1, &["1 of 2 count", "`--where` left out"]);
    runs(&workspace, 1..2);
    judged(&workspace, 0, &["2 of 2 count"]);
    // A part of the keys that drifted proves that the whole does.
    workspace.file("b.csv", "id,name\n1,Anne\n2,Bert1\n");
    workspace.reconcile(["run", "--where", "id = '1'", "--no-cache"]).expect(1, &[]);
    judged(&workspace, 1, &["is drifted"]);
}

#[test]
fn what_was_taken_over_by_the_files_identity_does_not_count() {
    let workspace = gated(1, "");
    // Old enough that the cache trusts it.
    for name in ["a.csv", "b.csv"] {
        let file = fs::File::options().write(true).open(workspace.path().join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(2500));
    workspace.reconcile(["run"]).expect(0, &[]);
    judged(&workspace, 0, &[]);
    let second = workspace.reconcile(["run"]);
    second.unbroken().expect(0, &["taken over from an earlier run"]);
    // The run before still counts, and this one is passed over.
    judged(&workspace, 0, &["was trusted to be unchanged; `reconcile run --no-cache` reads all"]);
    contract(&workspace, 2, "");
    judged(&workspace, 1, &["1 of 2 count; 1 run proves too little"]);
}

/// A contract that was compared to its end in a run that was cut off counts there; one that was cut off counts nowhere.
#[test]
fn a_run_that_goes_on_counts_no_second_time() {
    let workspace = gated(1, "");
    let other = "[source.late]\nlocation = \"late.csv\"\n[contract.other]\nversion = \"1.0.0\"\nauthority = \"authority\"\n\
                 projection = \"late\"\nkey = [\"id\"]\n[contract.other.parity]\nconsecutive_runs = 1\n";
    let with_other = |runs: u64| {
        contract(&workspace, runs, "");
        let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
        workspace.file("reconcile.toml", &(text + other));
    };
    with_other(1);
    workspace.reconcile(["run", "--no-cache"]).expect(2, &[]);
    judged(&workspace, 0, &["1 of 1 count"]);
    workspace.reconcile(["parity", "other"]).expect(1, &["is unverified", "0 of 1 count"]);
    workspace.file("late.csv", &fs::read_to_string(workspace.path().join("a.csv")).unwrap());
    workspace.reconcile(["run", "--resume", "latest", "--no-cache"]).expect(0, &["1 contract taken over"]);
    let document = judged(&workspace, 0, &["1 of 1 count", "it goes on from run"]);
    assert_eq!(document["passed_over"].as_array().unwrap().len(), 1);
    // It compared the other one itself, and as a whole.
    workspace.reconcile(["parity", "other"]).expect(0, &["1 of 1 count"]);
    with_other(2);
    judged(&workspace, 1, &["1 of 2 count; 1 run proves too little"]);
    data(&workspace, 7);
    workspace.file("late.csv", &fs::read_to_string(workspace.path().join("a.csv")).unwrap());
    workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    judged(&workspace, 0, &["2 of 2 count"]);
}

#[test]
fn another_instant_makes_other_evidence() {
    let captured = "\n[source.authority]\ncaptured_at = \"${AS_OF}\"\n";
    let workspace = gated(2, "");
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("\n[source.authority]\n", captured));
    for as_of in ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"] {
        let output = workspace.command(["run", "--no-cache"]).env("AS_OF", as_of).output().unwrap();
        crate::support::Outcome::of(&output).expect(0, &[]);
    }
    let output = workspace.command(["parity", "pair"]).env("AS_OF", "2026-03-02T00:00:00Z").output().unwrap();
    crate::support::Outcome::of(&output).expect(0, &["2 of 2 count"]);
}

#[test]
fn a_changed_contract_starts_the_row_again() {
    let workspace = gated(2, "");
    runs(&workspace, 0..2);
    contract(&workspace, 2, "fail_on = \"high\"");
    let document = judged(&workspace, 1, &["meaning is another than in run"]);
    assert!(missing(&document).contains(&"contract_unchanged"), "{document:#}");
    // The gate itself is no part of the meaning.
    contract(&workspace, 1, "");
    judged(&workspace, 0, &[]);
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("\"1.0.0\"", "\"1.0.1\""));
    judged(&workspace, 1, &["was of version 1.0.0"]);
}

#[test]
fn what_is_allowed_may_still_be_critical_too_much_or_wait_for_a_person() {
    let allow = "allow = { keys = 5 }\nrepair = { mismatch = \"ignore\" }\n";
    let workspace = gated(1, allow);
    workspace.file("b.csv", "id,name\n1,Anna\n2,Berta\n");
    workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    judged(&workspace, 0, &["nothing waits for a person"]);
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let limited = text.replace("consecutive_runs = 1", "consecutive_runs = 1\nmax_ratio = \"10%\"");
    workspace.file("reconcile.toml", &limited);
    assert!(missing(&judged(&workspace, 1, &["1 diverging keys to 2 authority rows"])).contains(&"ratio"));
    workspace.file("reconcile.toml", &limited.replace("10%", "50%"));
    judged(&workspace, 0, &["at most 50% of the keys diverge"]);
    contract(&workspace, 1, &allow.replace("repair", "severity = { mismatch = \"critical\" }\nrepair"));
    workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    assert!(missing(&judged(&workspace, 1, &["1 that are critical"])).contains(&"critical"));
    contract(&workspace, 1, "allow = { keys = 5 }\n");
    workspace.reconcile(["run", "--no-cache"]).expect(0, &[]);
    assert_eq!(missing(&judged(&workspace, 1, &["1 repair of the newest run waits"])), ["open_review"]);
    workspace.reconcile(["run", "--no-cache", "--no-plan"]).expect(0, &[]);
    assert_eq!(missing(&judged(&workspace, 1, &["drafted no plan"])), ["open_review"]);
}

#[test]
fn an_overdue_contract_is_not_ready() {
    let workspace = gated(1, "cadence = \"1ms\"");
    runs(&workspace, 0..1);
    assert_eq!(missing(&judged(&workspace, 1, &["it ought to have run since"])), ["cadence"]);
    contract(&workspace, 1, "cadence = \"24h\"");
    judged(&workspace, 0, &["it ran as often as it must"]);
}

#[test]
fn it_cannot_tell_without_runs_without_a_gate_and_without_the_contract() {
    let workspace = gated(1, "");
    assert_eq!(judged(&workspace, 2, &["cannot tell", "has no run in the ledger"])["status"], "unknown");
    workspace.reconcile(["parity", "pairs"]).expect(2, &["is not in the file", "did you mean `pair`?"]);
    workspace.file("reconcile.toml", &pair_contract("a.csv", "b.csv"));
    workspace.reconcile(["parity", "pair"]).expect(2, &["has no [contract.pair.parity]"]);
    contract(&workspace, 0, "");
    workspace.reconcile(["parity", "pair"]).expect(2, &["consecutive_runs is 0, expected at least 1"]);
}

#[test]
fn it_cannot_tell_where_ledger_or_runs_were_changed() {
    let workspace = gated(2, "");
    runs(&workspace, 0..3);
    let whole = fs::read_to_string(ledger(&workspace)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for (what, text) in [
        ("a line is gone", format!("{}\n{}\n", lines[0], lines[2])),
        ("the last line is cut short", whole[..whole.len() - 9].to_owned()),
        ("the last line is gone", format!("{}\n{}\n", lines[0], lines[1])),
    ] {
        fs::write(ledger(&workspace), text).unwrap();
        assert_eq!(judged(&workspace, 2, &["cannot tell"])["status"], "unknown", "{what}");
    }
    fs::write(ledger(&workspace), &whole).unwrap();
    judged(&workspace, 0, &[]);
    let newest = workspace.runs().pop().unwrap();
    for name in ["manifest.json", "divergences.parquet", "recurrence.parquet"] {
        let bytes = fs::read(newest.join(name)).unwrap();
        fs::write(newest.join(name), [&bytes[..], b" "].concat()).unwrap();
        judged(&workspace, 2, &["cannot tell", name]);
        fs::write(newest.join(name), bytes).unwrap();
    }
    // What was pruned is no evidence any more, but nothing was tampered with.
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[]);
    judged(&workspace, 1, &["1 of 2 count", "was pruned"]);
    fs::remove_dir_all(newest).unwrap();
    judged(&workspace, 2, &["its folder is missing"]);
}
