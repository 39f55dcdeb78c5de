//! SIGINT and SIGTERM at any moment: 130 or 143, the run folder whole or absent, the ledger unbroken.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Outcome, Workspace, read_json};

/// Large enough that a debug build compares it for a while.
fn table(name: &str) -> String {
    let mut text = String::from("id,name,amount\n");
    text.extend((0..60_000).map(|row| format!("{row},{name} {row},{}.50\n", row * 7 % 1_000)));
    text
}

fn interrupted_after(workspace: &Workspace, signal: &str, delay: Duration) -> Outcome {
    let mut command = workspace.command(["run", "--no-progress"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(delay);
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).stderr(Stdio::null()).status();
    assert!(sent.is_ok(), "there is no `kill` command");
    Outcome::of(&child.wait_with_output().unwrap())
}

fn stops_at_any_moment(signal: &str, status: i32) {
    let (authority, projection) = (table("one"), table("other"));
    let workspace = Workspace::pair(("a.csv", authority.as_bytes()), ("b.csv", projection.as_bytes()));
    let begun = Instant::now();
    workspace.reconcile(["run", "--no-progress"]).expect(1, &[]);
    let whole = begun.elapsed();
    let mut stopped = 0;
    for part in [5, 25, 45, 65, 85] {
        let before = workspace.runs().len();
        let outcome = interrupted_after(&workspace, signal, whole * part / 100);
        let new = workspace.runs().len() - before;
        // None: the signal came before the handler stood. 1: the run was through.
        match outcome.status {
            Some(1) => assert_eq!(new, 1, "{}", outcome.shown()),
            None => assert_eq!(new, 0, "{}", outcome.shown()),
            _ => {
                outcome.expect(status, &[]);
                stopped += 1;
                assert!(new <= 1);
            }
        }
        for run in workspace.runs() {
            for name in ["manifest.json", "summary.json", "divergences.parquet", "plan.ndjson", "report.md"] {
                assert!(run.join(name).is_file(), "{} has no {name}\n{}", run.display(), outcome.shown());
            }
        }
        if outcome.status == Some(status) && new == 1 {
            let summary = read_json(&workspace.runs().last().unwrap().join("summary.json"));
            assert_eq!(summary["verdict"], "unverified", "an interrupted run believes itself");
        }
        workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    }
    assert!(stopped > 0, "no run was stopped by {signal}");
    workspace.reconcile(["run", "--no-progress"]).expect(1, &[]);
}

#[test]
fn an_interrupted_run_is_whole_or_absent() {
    stops_at_any_moment("INT", 130);
}

#[test]
fn a_terminated_run_is_whole_or_absent() {
    stops_at_any_moment("TERM", 143);
}
