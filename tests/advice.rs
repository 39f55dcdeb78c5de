//! What a person is told to do next is what helps, and what was left out is said.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::formats;
use crate::support::{Outcome, Workspace, pair_contract, read_json};

#[test]
fn columns_that_are_left_out_are_named_wherever_a_run_is_told() {
    let workspace =
        Workspace::pair(("a.csv", b"id,name,w,only_here\n1,Anna,1,x\n"), ("b.csv", b"id,name,w\n1,Anna,2\n"));
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{text}ignore = [\"w\", \"authority:only_*\"]\n"));
    let outcome = workspace.reconcile(["run"]).unbroken();
    outcome.expect(0, &["every row agrees", "left out authority: only_here, w; projection: w"]);
    let run = workspace.run();
    let expected = serde_json::json!({"authority": ["only_here", "w"], "projection": ["w"]});
    let summary = read_json(&run.join("summary.json"));
    formats::holds("summary", &summary);
    assert_eq!(summary["contracts"][0]["left_out"], expected);
    let manifest = read_json(&run.join("manifest.json"));
    formats::holds("manifest", &manifest);
    assert_eq!(manifest["contracts"][0]["inputs"]["authority"]["left_out"], expected["authority"]);
    for name in ["report.md", "report.html"] {
        let text = fs::read_to_string(run.join(name)).unwrap();
        assert!(text.contains("Columns left out: authority: only"), "{name}\n{text}");
    }
    // Read back it says the same.
    workspace
        .reconcile(["report", "latest"])
        .unbroken()
        .expect(0, &["left out authority: only_here, w; projection: w"]);
    // Only what is named, and nothing left out at all.
    workspace.file("reconcile.toml", &format!("{text}compare = \"declared\"\n[contract.pair.attribute.name]\n"));
    workspace.reconcile(["run"]).unbroken().expect(0, &["left out authority: only_here, w; projection: w"]);
    let whole = workspace.reconcile(["diff", "b.csv", "b.csv", "--key", "id"]);
    assert!(!whole.expect(0, &[]).stdout.contains("left out"), "{}", whole.shown());
}

#[test]
fn what_to_do_next_is_what_helps() {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n"), ("b.csv", b"id,name\n1,Anna\n2,too,many\n"));
    let next = |words: &[&str]| {
        let outcome = workspace.reconcile(words);
        outcome.expect(2, &[]);
        outcome.stdout.lines().find_map(|line| line.strip_prefix("next: ").map(str::to_owned))
    };
    assert_eq!(next(&["run"]).as_deref(), Some("reconcile explain unreadable"));
    fs::remove_file(workspace.path().join("b.csv")).unwrap();
    assert_eq!(next(&["run"]).as_deref(), Some("reconcile check --sources"));
    fs::rename(workspace.path().join("reconcile.toml"), workspace.path().join("the night.toml")).unwrap();
    let named = next(&["run", "--config", "the night.toml"]);
    assert_eq!(named.as_deref(), Some("reconcile check --sources --config 'the night.toml'"));
}

#[test]
fn a_contract_whose_key_is_ignored_passes_no_check() {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n"), ("b.csv", b"id,name\n1,Anna\n"));
    let text = pair_contract("a.csv", "b.csv");
    for ignore in ["*", "i?", "projection:i*", "id"] {
        workspace.file("reconcile.toml", &format!("{text}ignore = [\"{ignore}\"]\n"));
        let said = format!("ignore \"{ignore}\" leaves out key attribute \"id\", which the contract names");
        workspace.reconcile(["check"]).expect(2, &[&said, "hint: "]);
    }
    // Of another attribute that the contract names it is a word.
    workspace.file("reconcile.toml", &format!("{text}ignore = [\"n*\"]\n[contract.pair.attribute.name]\n"));
    workspace.reconcile(["check"]).expect(0, &["warning: ", "leaves out attribute \"name\""]);
}

#[test]
fn a_run_that_is_not_done_again_to_its_end_says_so() {
    let rows: String = (0..60_000).map(|row| format!("{row},Anna {row},{}.50\n", row * 7 % 1_000)).collect();
    let (one, other) = (format!("id,name,amount\n{rows}"), format!("id,name,amount\n{}", rows.replace("Anna", "Anne")));
    let workspace = Workspace::pair(("a.csv", one.as_bytes()), ("b.csv", other.as_bytes()));
    workspace.reconcile(["run", "--no-progress"]).expect(1, &[]);
    let words = ["audit", "reproduce", "latest", "--format", "json", "--no-progress"];
    let began = Instant::now();
    workspace.reconcile(words).expect(0, &[]);
    let whole = began.elapsed();
    let mut stopped = 0;
    for part in [15, 30, 45, 60, 75] {
        let child = workspace.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(whole * part / 100);
        let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        assert!(sent.is_ok(), "there is no `kill` command");
        let outcome = Outcome::of(&child.wait_with_output().unwrap());
        if outcome.status == Some(130) {
            stopped += 1;
            assert!(outcome.stderr.contains("a signal stopped it before it was done again"), "{}", outcome.shown());
            let document: Value = serde_json::from_str(&outcome.stdout).unwrap();
            assert_eq!(document["verdict"], "unverified");
        }
    }
    assert!(stopped > 0, "no signal came while it ran");
}

#[test]
fn a_command_that_has_no_document_refuses_to_print_one() {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n"), ("b.csv", b"id,name\n1,Bert\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    let commands: [&[&str]; 3] =
        [&["report", "latest", "--open"], &["review", "export"], &["review", "export", "--out", "decisions.csv"]];
    for words in commands {
        for format in ["json", "ndjson", "markdown"] {
            let outcome = workspace.reconcile([words, &["--format", format]].concat());
            outcome.expect(2, &["`--format` is of no use with it", "hint: "]);
            if format != "markdown" {
                assert_eq!(serde_json::from_str::<Value>(&outcome.stdout).unwrap()["verdict"], "unverified");
            }
        }
    }
    assert!(!workspace.path().join("decisions.csv").exists());
}

#[test]
fn before_the_first_run_every_command_says_what_makes_one() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    let commands: [&[&str]; 9] = [
        &["report", "latest"],
        &["report", "latest", "--open"],
        &["plan"],
        &["review", "export"],
        &["apply", "latest"],
        &["explain", "latest", "1"],
        &["audit", "prune", "--keep-runs", "1"],
        &["audit", "prove", "latest"],
        &["audit", "export", "latest"],
    ];
    for words in commands {
        let outcome = workspace.reconcile(words);
        outcome.expect(2, &["reports: is not there, so there are no runs", "hint: the first `reconcile run` makes it"]);
        assert!(!outcome.shown().contains("os error"), "{}", outcome.shown());
    }
    let outcome = workspace.reconcile(["run", "--out", "a.csv"]);
    outcome.expect(2, &["a.csv: is a file, expected the folder of reports"]);
    assert!(!outcome.shown().contains("os error"), "{}", outcome.shown());
}

#[test]
fn a_folder_that_may_not_be_entered_is_not_one_without_runs() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{text}[contract.pair.parity]\nconsecutive_runs = 1\n"));
    workspace.reconcile(["run"]).expect(0, &[]);
    // A link to itself cannot be followed, whoever asks; a folder without rights may be by root.
    let ledger = workspace.path().join("reports/ledger.ndjson");
    fs::remove_file(&ledger).unwrap();
    std::os::unix::fs::symlink("ledger.ndjson", &ledger).unwrap();
    for words in [&["history"][..], &["parity", "pair"], &["contracts"]] {
        let outcome = workspace.reconcile(words);
        outcome.expect(2, &["reports/ledger.ndjson: "]);
        assert!(!outcome.shown().contains("holds no ledger"), "{}", outcome.shown());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_not_the_one_aside() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    // Nobody makes files there, not even root.
    let outcome = workspace.reconcile(["run", "--junit", "/proc/junit.xml"]);
    outcome.expect(2, &["error: /proc/junit.xml: cannot be written: "]);
    assert!(!outcome.shown().contains(".partial") && !outcome.shown().contains("os error"), "{}", outcome.shown());
}
