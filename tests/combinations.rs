//! What is served by itself is served together: allowances, decisions, what is in flight, totals; names across files; what a
//! crash between a run and its ledger line leaves.

use std::fs;

use serde_json::Value;

use crate::support::{Workspace, contract, pair_contract, read_json};

const CONTRACT: &str = r#"
version = 1
[source.admin]
location = "a.csv"
updated_at = "updated_at"
[source.crm]
location = "b.csv"
captured_at = "2026-03-01T12:00:00Z"

[contract.pair]
version = "1.0.0"
authority = "admin"
projection = "crm"
key = ["id"]
window = "1h"
ignore = ["authority:updated_at"]
allow = { keys = 2 }
[contract.pair.attribute.amount]
type = "decimal"
[[contract.pair.total]]
name = "amounts"
sum = ["amount"]
#SEVERITY
"#;

fn newest(workspace: &Workspace) -> Value {
    let run = workspace.runs().pop().unwrap();
    contract(&read_json(&run.join("summary.json")), "pair").clone()
}

#[test]
fn allowances_decisions_what_is_in_flight_and_totals_each_have_their_say() {
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", CONTRACT);
    let early = "2026-02-01T00:00:00Z";
    let mut authority = "id,amount,updated_at\n".to_owned();
    for (id, amount, updated) in
        [(1, 10, early), (2, 20, early), (3, 30, early), (4, 40, "2026-03-01T11:30:00Z"), (5, 50, early)]
    {
        authority.push_str(&format!("{id},{amount},{updated}\n"));
    }
    workspace.file("a.csv", &authority);
    workspace.file("b.csv", "id,amount\n1,11\n2,21\n3,31\n4,41\n5,50\n");
    // Three keys diverge where two are allowed; what is in flight is not counted.
    workspace.reconcile(["run"]).expect(1, &["3 keys diverge at or above low, 2 are allowed"]);
    let found = newest(&workspace);
    assert_eq!(
        (found["divergences"]["mismatch"].as_u64(), found["divergences"]["in_flight"].as_u64()),
        (Some(3), Some(1))
    );
    // One of them is decided: two are left, which is allowed, and the total is only warned of.
    let out = workspace.path().join("review.csv");
    workspace.reconcile(["review", "export", "--out", out.to_str().unwrap()]).expect(0, &[]);
    let mut lines: Vec<Vec<String>> = Vec::new();
    let mut reader = csv::Reader::from_path(&out).unwrap();
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let place = |name: &str| head.iter().position(|own| own == name).unwrap();
    for record in reader.records() {
        let mut line: Vec<String> = record.unwrap().iter().map(str::to_owned).collect();
        if line[place("key")] == r#"{"id":"1"}"# {
            for (name, text) in [("decision", "accept-projection"), ("who", "amy"), ("why", "meant so")] {
                text.clone_into(&mut line[place(name)]);
            }
        }
        lines.push(line);
    }
    assert_eq!(lines.len(), 3, "what is in flight waits for nobody: {lines:?}");
    let mut writer = csv::Writer::from_path(&out).unwrap();
    writer.write_record(&head).unwrap();
    lines.iter().for_each(|line| writer.write_record(line).unwrap());
    writer.flush().unwrap();
    workspace.reconcile(["review", "import", out.to_str().unwrap()]).expect(0, &["1 decision"]);
    workspace.reconcile(["run"]).expect(0, &["within what the contract allows", "amounts"]);
    assert_eq!(newest(&workspace)["divergences"]["mismatch"], 3, "what was decided is counted all the same");
    // A total that counts drifts it, whatever is allowed, decided or in flight.
    workspace.file("reconcile.toml", &CONTRACT.replace("#SEVERITY", "severity = \"high\""));
    workspace.reconcile(["run"]).expect(1, &["amounts"]);
    // The row that was decided changes: the decision lapses, and three are too many again.
    workspace.file("reconcile.toml", CONTRACT);
    workspace.file("b.csv", "id,amount\n1,12\n2,21\n3,31\n4,41\n5,50\n");
    workspace.reconcile(["run"]).expect(1, &["3 keys diverge at or above low, 2 are allowed"]);
}

#[test]
fn two_contracts_of_one_name_in_two_files_are_an_error_that_names_both() {
    let workspace = Workspace::new();
    workspace.file("a.csv", "id,x\n1,1\n");
    workspace.file("b.csv", "id,x\n1,1\n");
    workspace.file(
        "reconcile.toml",
        &(pair_contract("a.csv", "b.csv").replace("version = 1\n", "version = 1\ninclude = [\"more/*.toml\"]\n")),
    );
    let second = "version = 1\n[contract.pair]\nversion = \"2.0.0\"\nauthority = \"authority\"\nprojection = \"projection\"\nkey = [\"id\"]\n";
    workspace.file("more/one.toml", second);
    for command in ["check", "run"] {
        let outcome = workspace.reconcile([command]);
        outcome.expect(2, &["pair", "reconcile.toml", "more/one.toml"]);
    }
    assert!(workspace.runs().is_empty(), "nothing was compared");
}

#[test]
fn what_recurs_is_counted_on_though_a_run_was_stopped_before_its_ledger_line() {
    let told = |crash: bool| {
        let workspace = Workspace::pair(("a.csv", b"id,x\n1,1\n2,2\n3,3\n"), ("b.csv", b"id,x\n1,9\n2,2\n3,3\n"));
        let run = || workspace.reconcile(["run"]).expect(1, &[]).status;
        run();
        let ledger = workspace.path().join("reports/ledger.ndjson");
        let before = fs::read(&ledger).unwrap();
        workspace.file("b.csv", "id,x\n1,9\n2,8\n3,3\n");
        run();
        if crash {
            fs::write(&ledger, before).unwrap();
        }
        workspace.file("b.csv", "id,x\n1,1\n2,8\n3,7\n");
        run();
        workspace.reconcile(["audit", "verify"]).expect(0, &["3"]);
        newest(&workspace)["recurrence"].clone()
    };
    let (whole, crashed) = (told(false), told(true));
    let counts = |told: &Value| ["new", "recurring", "resolved"].map(|name| told[name].as_u64());
    assert_eq!(counts(&whole), [Some(1), Some(1), Some(1)], "{whole}");
    assert_eq!(counts(&crashed), counts(&whole), "{crashed}");
}
