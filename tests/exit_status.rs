//! The exit statuses of spec §2, each through the binary.

use crate::support::{Workspace, pair_contract};

const ONE: &[u8] = b"id,name\n1,Anna\n2,Bert\n";
const OTHER: &[u8] = b"id,name\n1,Anna\n2,Berta\n";

#[test]
fn zero_where_the_copies_agree() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", ONE));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    assert_eq!(workspace.summary()["verdict"], "agreed");
}

#[test]
fn one_where_they_drifted() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", OTHER));
    workspace.reconcile(["run"]).expect(1, &["drifted"]);
    assert_eq!(workspace.summary()["verdict"], "drifted");
}

#[test]
fn two_where_a_source_failed_and_the_rest_still_runs() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", OTHER));
    let contract = pair_contract("a.csv", "b.csv");
    let more = "[source.gone]\nlocation = \"gone.csv\"\n\n[contract.broken]\nversion = \"1.0.0\"\nauthority = \
                \"authority\"\nprojection = \"gone\"\nkey = [\"id\"]\n";
    workspace.file("reconcile.toml", &format!("{contract}\n{more}"));
    workspace.reconcile(["run"]).expect(2, &["unverified", "gone.csv"]);
    let summary = workspace.summary();
    assert_eq!(crate::support::contract(&summary, "pair")["verdict"], "drifted");
    assert_eq!(crate::support::contract(&summary, "broken")["verdict"], "unverified");
    assert_eq!(summary["verdict"], "unverified");
}

#[test]
fn two_for_bad_usage() {
    let workspace = Workspace::new();
    for arguments in [&["frobnicate"][..], &["run", "--threads", "many"], &["run"], &["diff", "a.csv"]] {
        workspace.reconcile(arguments).expect(2, &[]);
    }
}

#[test]
fn two_for_a_contract_that_is_not_there() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", ONE));
    workspace.reconcile(["run", "pear"]).expect(2, &["pear", "pair"]);
    assert!(workspace.runs().is_empty(), "a run was published for bad usage");
}

#[test]
fn diff_has_the_same_statuses_and_keeps_nothing() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", OTHER));
    workspace.reconcile(["diff", "a.csv", "a.csv", "--key", "id"]).expect(0, &["agreed"]);
    workspace.reconcile(["diff", "a.csv", "b.csv", "--key", "id"]).expect(1, &["drifted", "name"]);
    workspace.reconcile(["diff", "a.csv", "gone.csv", "--key", "id"]).expect(2, &["gone.csv"]);
    assert!(!workspace.path().join("reports").exists(), "diff without --out left a folder");
}

#[test]
fn diff_without_a_key_proposes_one() {
    let workspace = Workspace::pair(("a.csv", ONE), ("b.csv", OTHER));
    workspace.reconcile(["diff", "a.csv", "b.csv"]).expect(2, &["--key", "id", "--no-key"]);
}

#[test]
fn help_and_version_are_on_stdout() {
    let workspace = Workspace::new();
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"], &["schema"], &["completions", "bash"]] {
        let outcome = workspace.reconcile(arguments);
        outcome.expect(0, &[]);
        assert!(!outcome.stdout.is_empty(), "{arguments:?} printed nothing\n{}", outcome.shown());
    }
}

#[test]
fn the_printed_schema_accepts_the_root_file() {
    let workspace = Workspace::new();
    let schema: serde_json::Value = serde_json::from_str(&workspace.reconcile(["schema"]).stdout).unwrap();
    let text = std::fs::read_to_string(crate::support::root().join("reconcile.toml")).unwrap();
    let file: serde_json::Value = toml::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> =
        validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    let wrong = serde_json::json!({"version": 1, "sauce": {}});
    assert!(!validator.is_valid(&wrong), "the schema accepts an unknown table");
}

#[test]
fn every_kind_and_reason_explains_itself() {
    let workspace = Workspace::new();
    let kinds = reconcile::contract::Kind::ALL.map(reconcile::contract::Kind::name);
    let of_values = reconcile::normalise::FaultReason::ALL.map(reconcile::normalise::FaultReason::name);
    let besides = ["deleted_in_projection", "default", "rule:x", "attribute:x", "kind:missing"];
    for word in kinds.into_iter().chain(of_values).chain(besides) {
        workspace.reconcile(["explain", word]).expect(0, &[word.split(':').next().unwrap()]);
    }
    workspace.reconcile(["explain", "mismach"]).expect(2, &["mismatch"]);
}
