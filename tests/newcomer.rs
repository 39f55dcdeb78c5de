//! `reconcile.toml` at the root, against truths that were counted by other means.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, counts, divergences, read_json, root, tree};

#[path = "../examples/insurer_estate/main.rs"]
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
    let outcome = run_root(&workspace, &[]);
    outcome.expect(1, &["airports-strict", "claims-coverage"]);
    assert_eq!(crate::formats::complaints(&workspace.run()), "");
    let summary = workspace.summary();
    assert_eq!(summary["verdict"], "drifted");
    let strict = contract(&summary, "airports-strict");
    assert_eq!(by_kind(strict), known([("missing", 766), ("orphan", 653), ("mismatch", 27_088)]));
    let lenient = contract(&summary, "airports");
    assert_eq!(by_kind(lenient), known([("missing", 766), ("orphan", 653), ("mismatch", 2_087)]));

    let truth = read_json(&root().join("fixtures/insurer/truth.json"));
    let lines = divergences(&workspace.run());
    assert_eq!(truth["contracts"].as_object().unwrap().len(), 4);
    for (name, planted) in truth["contracts"].as_object().unwrap() {
        let found = contract(&summary, name);
        assert_eq!(causes(found), counts(&planted["causes"]), "{name}: causes");
        figures(found, planted);
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
    nobody_is_named(&workspace);
    the_sample_is_of_this_run(&workspace, &outcome);
}

/// The causes of a contract with their attributes, and the keys of each.
fn causes(contract: &Value) -> BTreeMap<String, u64> {
    let told = contract["causes"].as_array().unwrap().iter().map(|cause| {
        let name = format!("{} {}", cause["cause"].as_str().unwrap(), cause["attribute"].as_str().unwrap());
        (name, cause["keys"].as_u64().unwrap())
    });
    told.collect()
}

/// Control totals, invariants and the value at risk, against what was planted of them.
fn figures(found: &Value, planted: &Value) {
    for (invariant, rows) in planted["invariants"].as_object().into_iter().flatten() {
        let invariants = found["invariants"].as_array().unwrap();
        let said = invariants.iter().find(|said| said["name"] == *invariant).unwrap();
        assert_eq!(said["rows"], *rows, "{invariant}");
    }
    if let Some(sums) = planted.get("value_at_risk") {
        let kinds = found["value_at_risk"]["kinds"].as_object().unwrap();
        let found: BTreeMap<_, _> = kinds.iter().map(|(kind, worth)| (kind, &worth["sum"])).collect();
        assert_eq!(found, sums.as_object().unwrap().iter().collect());
    }
    if let Some(planted) = planted.get("three_way") {
        let said = found["baseline"].as_object().unwrap();
        let found: BTreeMap<&String, &Value> =
            planted.as_object().unwrap().keys().map(|name| (name, &said[name])).collect();
        assert_eq!(found, planted.as_object().unwrap().iter().collect());
    }
    let Some(totals) = planted.get("totals") else { return };
    let total = &found["totals"][0];
    let sides = ["authority", "projection"];
    let planted = sides.map(|side| totals[side].as_object().unwrap());
    let none = serde_json::json!([0, "0"]);
    let of = |group: &String| planted.map(|groups| groups.get(group).unwrap_or(&none));
    let off: BTreeMap<&String, [&Value; 2]> = planted
        .iter()
        .flat_map(|groups| groups.keys())
        .map(|group| (group, of(group)))
        .filter(|(_, [authority, projection])| authority != projection)
        .collect();
    assert!(off.len() > 2, "{off:?}");
    assert_eq!(total["unbalanced"].as_u64(), Some(off.len() as u64));
    for (group, planted) in off {
        let key = serde_json::json!({ "policy_status": group }).to_string();
        let worst = total["worst"].as_array().unwrap();
        let found = worst.iter().find(|found| found["group"] == key.as_str()).unwrap_or_else(|| panic!("no {key}"));
        for (side, planted) in sides.into_iter().zip(planted) {
            let figures = serde_json::json!([found[side]["rows"], found[side]["sums"][0]["sum"]]);
            assert_eq!(figures, *planted, "{group}: {side}");
        }
    }
}

/// No file of a run holds the name of anybody who is in the register of parties.
fn nobody_is_named(workspace: &Workspace) {
    let parties = fs::read_to_string(root().join("fixtures/insurer/parties/parties.csv")).unwrap();
    let names: BTreeSet<&str> = parties.lines().skip(1).map(|line| line.split_once(',').unwrap().1).collect();
    assert!(names.len() > 100);
    let run = workspace.run();
    let mut texts: Vec<String> = tree(&run)
        .iter()
        .map(|name| String::from_utf8_lossy(&fs::read(run.join(name)).unwrap()).into_owned())
        .collect();
    texts.extend(divergences(&run).into_iter().flat_map(BTreeMap::into_values));
    for name in names.into_iter().chain(["Max Mustermann"]) {
        assert!(texts.iter().all(|text| !text.contains(name)), "{name} is in a file of the run");
    }
}

/// A text without what changes from run to run and from machine to machine. The instants of the data stay.
fn stable(workspace: &Workspace, text: &str) -> String {
    let run = workspace.run().file_name().unwrap().to_string_lossy().into_owned();
    let summary = workspace.summary();
    let mut text = text.replace(&run, "[run]").replace(summary["started_at"].as_str().unwrap(), "[instant]");
    for folder in [workspace.path(), root()] {
        text = text.replace(&folder.display().to_string(), "[folder]");
    }
    text = text.replace(concat!("reconcile ", env!("CARGO_PKG_VERSION")), "reconcile [version]");
    let replacements = [
        (r#""elapsed_ms": \d+"#, r#""elapsed_ms": 0"#),
        (r"\| took \| .* \|", "| took | [time] |"),
        (r"\| threads \| \d+ \|", "| threads | [threads] |"),
    ];
    for (pattern, words) in replacements {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, words).into_owned();
    }
    text
}

/// `reports/sample` is what the run says, but for its id, instants and durations.
fn the_sample_is_of_this_run(workspace: &Workspace, outcome: &Outcome) {
    let run = workspace.run();
    let read = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    let written = [
        ("stdout.txt", outcome.stdout.clone()),
        ("report.md", read("report.md")),
        ("summary.json", read("summary.json")),
    ];
    let folder = root().join("reports/sample");
    for (name, text) in written {
        let text = stable(workspace, &text);
        let path = folder.join(name);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let sample = fs::read_to_string(&path).unwrap_or_default();
        assert!(sample == text, "{} is not what a run says: UPDATE_EXPECT=1 rewrites it", path.display());
        // What is there to be pasted cannot be broken.
        let long = |line: &&str| line.chars().count() > 80 && !line.trim_start().starts_with("translate = ");
        let lines = if name == "stdout.txt" { text.as_str() } else { "" };
        assert_eq!(lines.lines().find(long), None, "wider than a terminal");
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
        // What a row was is kept as a keyed digest, since some of it is personal.
        let key = workspace.file("reports/.pii.key", &"07".repeat(32));
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
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
    the_page_of_the_sample_is_of_this_run(&workspace);
}

/// `reports/sample/report.html` is the page of the nightly contracts, but for what depends on the run and the machine, and
/// digests, some of which are keyed.
fn the_page_of_the_sample_is_of_this_run(workspace: &Workspace) {
    let page = fs::read_to_string(workspace.run().join("report.html")).unwrap();
    let escaped = |folder: &std::path::Path| folder.display().to_string().replace('/', "&#x2f;");
    let mut page =
        [workspace.path(), root()].iter().fold(page, |page, folder| page.replace(&escaped(folder), "[folder]"));
    let replacements = [
        (r"\b[0-9a-f]{12,64}\b", "[digest]"),
        (r"(<dt>Started</dt><dd>)[^<]*", "$1[instant]"),
        (r"(<dt>Took</dt><dd>)[^<]*", "$1[time]"),
        (r"(<dt>threads</dt><dd>)[^<]*", "$1[threads]"),
        (r"[\d,]+( bytes</td><td><code)", "[n]$1"),
        (r"( bytes</td><td>)\d{4}-\d\d-\d\dT[^<]*", "$1[instant]"),
    ];
    for (pattern, words) in replacements {
        page = regex::Regex::new(pattern).unwrap().replace_all(&page, words).into_owned();
    }
    let page = stable(workspace, &page);
    let path = root().join("reports/sample/report.html");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let sample = fs::read_to_string(&path).unwrap_or_default();
    let other = sample.lines().zip(page.lines()).find(|(sample, page)| sample != page);
    assert!(sample == page, "{} is not what a run writes: UPDATE_EXPECT=1 rewrites it: {other:?}", path.display());
}

#[test]
fn the_gate_of_claims_stays_shut_while_the_ledger_is_right_where_claims_is_not() {
    let workspace = Workspace::new();
    run_root(&workspace, &["claims-coverage", "--no-cache"])
        .expect(1, &["claims_ledger", "66 regressions", "41 inherited", "6 changed", "16 healed"]);
    let page = fs::read_to_string(workspace.run().join("report.html")).unwrap();
    assert!(page.contains("The old copy beside the new") && page.contains("claims_ledger"));
    let config = root().join("reconcile.toml");
    let reports = workspace.path().join("reports");
    let config = ["--config", config.to_str().unwrap(), "parity", "claims-coverage", "--reports"];
    let gate = workspace.reconcile(config.iter().copied().chain([reports.to_str().unwrap()]));
    gate.expect(1, &["not yet", "66"]);
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
