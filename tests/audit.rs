//! What `audit verify` proves and `audit prune` leaves, through the binary.

use std::fs;
use std::path::PathBuf;

use crate::support::{Workspace, tree};

/// A workspace with so many runs.
fn with_runs(count: usize) -> Workspace {
    let workspace =
        Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b"id,name\n1,Anna\n2,Berta\n3,Carl\n"));
    for _ in 0..count {
        workspace.reconcile(["run"]).expect(1, &[]);
    }
    assert_eq!(workspace.runs().len(), count);
    workspace
}

fn ledger(workspace: &Workspace) -> PathBuf {
    workspace.path().join("reports/ledger.ndjson")
}

fn run_id(run: &PathBuf) -> String {
    PathBuf::from(run).file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn unchanged_runs_verify() {
    let workspace = with_runs(3);
    workspace.reconcile(["audit", "verify"]).expect(0, &["3"]);
}

#[test]
fn any_changed_byte_of_a_run_is_found_and_named() {
    let workspace = with_runs(2);
    let run = workspace.runs()[0].clone();
    for name in tree(&run) {
        let path = run.join(&name);
        let whole = fs::read(&path).unwrap();
        for place in [0, whole.len() / 2, whole.len().saturating_sub(1)] {
            let mut changed = whole.clone();
            let Some(byte) = changed.get_mut(place) else { continue };
            *byte ^= 1;
            fs::write(&path, &changed).unwrap();
            workspace.reconcile(["audit", "verify"]).expect(1, &[&run_id(&run), &name]);
        }
        fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
        workspace.reconcile(["audit", "verify"]).expect(1, &[&run_id(&run), &name]);
        fs::remove_file(&path).unwrap();
        workspace.reconcile(["audit", "verify"]).expect(1, &[&run_id(&run), &name]);
        fs::write(&path, &whole).unwrap();
    }
    fs::write(run.join("smuggled.txt"), "x").unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &["smuggled.txt"]);
    fs::remove_file(run.join("smuggled.txt")).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}

#[test]
fn a_cut_changed_or_reordered_ledger_is_found() {
    let workspace = with_runs(4);
    let path = ledger(&workspace);
    let whole = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 4);
    let join = |lines: &[&str]| lines.join("\n") + "\n";
    let mut changes = vec![
        ("the first line is gone", join(&lines[1..])),
        ("a line in the middle is gone", join(&[lines[0], lines[2], lines[3]])),
        ("two lines changed places", join(&[lines[0], lines[2], lines[1], lines[3]])),
        ("a line came twice", join(&[lines[0], lines[1], lines[1], lines[2], lines[3]])),
        ("the last line is half", whole[..whole.len() - 20].to_owned()),
        ("a space was added", whole.replacen('{', "{ ", 1)),
        ("the last line is gone", join(&lines[..3])),
    ];
    for (index, line) in lines.iter().enumerate() {
        let place = line.rfind(|letter: char| letter.is_ascii_digit()).unwrap();
        let other = if line.as_bytes()[place] == b'7' { "8" } else { "7" };
        let edited = format!("{}{other}{}", &line[..place], &line[place + 1..]);
        let mut all = lines.clone();
        all[index] = &edited;
        changes.push(("a digit was edited", join(&all)));
    }
    for (what, text) in changes {
        fs::write(&path, text).unwrap();
        let outcome = workspace.reconcile(["audit", "verify"]);
        // The last line alone may be missing after a crash: the next run adopts the folder. It is never passed over.
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        let named = said.contains(&run_id(workspace.runs().last().unwrap()));
        let adoptable = what == "the last line is gone" && outcome.status == Some(0) && named;
        assert!(adoptable || outcome.status == Some(1), "{what}\n{}", outcome.shown());
    }
    fs::write(&path, &whole).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}

#[test]
fn a_run_folder_that_is_gone_is_named() {
    let workspace = with_runs(2);
    let run = workspace.runs()[0].clone();
    fs::remove_dir_all(&run).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &[&run_id(&run)]);
}

#[test]
fn what_cannot_be_read_is_another_status() {
    let workspace = Workspace::pair(("a.csv", b"id\n1\n"), ("b.csv", b"id\n1\n"));
    fs::create_dir_all(ledger(&workspace)).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(2, &["ledger.ndjson"]);
}

#[test]
fn pruned_runs_leave_their_lines_and_still_verify() {
    let workspace = with_runs(4);
    let runs = workspace.runs();
    workspace.reconcile(["audit", "prune", "--keep-runs", "2", "--dry-run"]).expect(0, &[&run_id(&runs[0])]);
    assert_eq!(workspace.runs().len(), 4, "a dry run removed something");
    let lines = fs::read_to_string(ledger(&workspace)).unwrap();
    workspace.reconcile(["audit", "prune", "--keep-runs", "2"]).expect(0, &[&run_id(&runs[0]), &run_id(&runs[1])]);
    assert_eq!(workspace.runs(), runs[2..]);
    assert!(fs::read_to_string(ledger(&workspace)).unwrap().starts_with(&lines), "lines of the ledger went");
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}

#[test]
fn a_run_can_be_shown_again() {
    let workspace = with_runs(1);
    // Its status is that of the run.
    workspace.reconcile(["report", "latest"]).expect(1, &["pair", "drifted", "mismatch"]);
    let json = workspace.reconcile(["--format", "json", "report", &run_id(&workspace.run())]);
    let shown: serde_json::Value = serde_json::from_str(&json.expect(1, &[]).stdout).unwrap();
    assert_eq!(shown, workspace.summary());
}

#[test]
fn what_says_itself_that_it_is_no_run_is_not_remarked_on() {
    let workspace = with_runs(1);
    workspace.file("reports/sample/stdout.txt", "a sample\n");
    workspace.reconcile(["audit", "verify"]).expect(0, &["`sample` is neither a run nor the ledger"]);
    workspace.file("reports/sample/.not-a-run", "kept beside the runs\n");
    let outcome = workspace.reconcile(["audit", "verify"]);
    outcome.expect(0, &[]);
    assert!(!outcome.shown().contains("sample"), "{}", outcome.shown());
    // A run cannot be hidden so.
    let run = workspace.runs().into_iter().find(|run| !run.ends_with("sample")).unwrap();
    fs::write(run.join(".not-a-run"), "").unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &[&run_id(&run)]);
}
