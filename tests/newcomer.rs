//! `reconcile.toml` at the root, against truths that were counted by other means.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, counts, divergences, read_json, root, tree};

#[path = "../examples/insurer_estate.rs"]
#[expect(dead_code, reason = "`main` is for `cargo run --example`")]
#[expect(unreachable_pub, reason = "an example's items are public so that this test can call them")]
mod insurer_estate;

/// Runs the root file, its output in a folder of the workspace.
fn run_root(workspace: &Workspace, more: &[&str]) -> Outcome {
    let config = root().join("reconcile.toml");
    let reports = workspace.path().join("reports");
    let mut arguments = vec!["--config", config.to_str().unwrap(), "run", "--out", reports.to_str().unwrap()];
    arguments.extend(more);
    workspace.reconcile(arguments)
}

fn by_kind(contract: &Value) -> BTreeMap<String, u64> {
    counts(&contract["divergences"])
}

fn known<const N: usize>(counts: [(&str, u64); N]) -> BTreeMap<String, u64> {
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[test]
fn the_airports_and_the_insurers_estate_show_their_known_drift() {
    let workspace = Workspace::new();
    run_root(&workspace, &[]).expect(1, &["airports-strict", "claims-coverage"]);
    let summary = workspace.summary();
    assert_eq!(summary["verdict"], "drifted");
    let strict = contract(&summary, "airports-strict");
    assert_eq!(by_kind(strict), known([("missing", 766), ("orphan", 653), ("mismatch", 27_088)]));
    let lenient = contract(&summary, "airports");
    assert_eq!(by_kind(lenient), known([("missing", 766), ("orphan", 653), ("mismatch", 2_087)]));

    let truth = read_json(&root().join("fixtures/insurer/truth.json"));
    let lines = divergences(&workspace.run());
    for (name, planted) in truth["contracts"].as_object().unwrap() {
        let found = contract(&summary, name);
        assert_eq!(found["verdict"], planted["verdict"], "{name}");
        assert_eq!(by_kind(found), counts(&planted["divergences"]), "{name}: divergences");
        assert_eq!(counts(&found["attributes"]), counts(&planted["attributes"]), "{name}: attributes");
        for side in ["authority", "projection"] {
            assert_eq!(found["rows"][side], planted["rows"][side], "{name}: rows of the {side}");
        }
        for (reason, count) in planted["reasons"].as_object().unwrap() {
            let found = lines.iter().filter(|line| line["contract"] == *name && line["reason"] == *reason).count();
            assert_eq!(Some(found as u64), count.as_u64(), "{name}: {reason}");
        }
    }
}

#[test]
fn the_summary_counts_the_lines_of_the_divergences() {
    let workspace = Workspace::new();
    run_root(&workspace, &[]).expect(1, &[]);
    let summary = workspace.summary();
    let lines = divergences(&workspace.run());
    for contract in summary["contracts"].as_array().unwrap() {
        let name = contract["name"].as_str().unwrap();
        let mut severities: BTreeMap<String, u64> = BTreeMap::new();
        for line in lines.iter().filter(|line| line["contract"] == name) {
            *severities.entry(line["severity"].clone()).or_default() += 1;
        }
        assert_eq!(counts(&contract["severities"]), severities, "{name}");
    }
}

#[test]
fn one_thread_and_many_write_the_same_bytes() {
    let [one, many] = [["--threads", "1"], ["--threads", "4"]].map(|threads| {
        let workspace = Workspace::new();
        run_root(&workspace, &threads).expect(1, &[]);
        ["divergences.parquet", "plan.ndjson"].map(|name| fs::read(workspace.run().join(name)).unwrap())
    });
    assert!(one[0] == many[0], "divergences.parquet depends on the number of threads");
    assert!(one[1] == many[1], "plan.ndjson depends on the number of threads");
}

#[test]
fn json_on_stdout_is_one_document_although_the_run_drifted() {
    let workspace = Workspace::new();
    let outcome = run_root(&workspace, &["--format", "json"]);
    outcome.expect(1, &[]);
    let printed: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(printed, workspace.summary());
}

#[test]
fn a_tag_chooses_the_contracts() {
    let workspace = Workspace::new();
    run_root(&workspace, &["--tag", "nightly"]).expect(1, &["crm-policy-view", "crm-receivables"]);
    let summary = workspace.summary();
    let names: Vec<&str> =
        summary["contracts"].as_array().unwrap().iter().map(|contract| contract["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["crm-policy-view", "crm-receivables"]);
}

#[test]
fn the_root_file_passes_its_own_check() {
    let workspace = Workspace::new();
    let config = root().join("reconcile.toml");
    workspace.reconcile(["--config", config.to_str().unwrap(), "check", "--sources"]).expect(0, &[]);
}

#[test]
fn the_estate_is_what_its_generator_makes() {
    let made = tempfile::tempdir().unwrap();
    insurer_estate::generate(made.path()).unwrap();
    let committed = root().join("fixtures/insurer");
    let mut files = tree(&committed);
    files.retain(|name| name != "README.md");
    assert_eq!(tree(made.path()), files, "other files than the committed ones");
    for name in files.iter().filter(|name| committed.join(name).is_file()) {
        let same = fs::read(made.path().join(name)).unwrap() == fs::read(committed.join(name)).unwrap();
        assert!(same, "fixtures/insurer/{name} is not what the generator makes: cargo run --example insurer_estate");
    }
}
