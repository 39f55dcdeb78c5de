//! What a run says of time, and what `history`, `contracts` and `explain RUN KEY` tell of runs, through the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::support::{Outcome, Workspace, contract, pair_contract, read_json};

const AUTHORITY: &str = "id,name\n1,Anna\n2,Bert\n3,Carl\n4,Dora\n";

/// A workspace whose projection holds these rows.
fn workspace(projection: &str) -> Workspace {
    let projection = format!("id,name\n{projection}");
    Workspace::pair(("a.csv", AUTHORITY.as_bytes()), ("b.csv", projection.as_bytes()))
}

fn project(workspace: &Workspace, rows: &str) {
    workspace.file("b.csv", &format!("id,name\n{rows}"));
}

fn newest(workspace: &Workspace) -> PathBuf {
    workspace.runs().pop().unwrap()
}

fn run_id(run: &Path) -> String {
    run.file_name().unwrap().to_string_lossy().into_owned()
}

/// The `recurrence` of `pair` in the newest run.
fn recurrence(workspace: &Workspace) -> Value {
    contract(&read_json(&newest(workspace).join("summary.json")), "pair")["recurrence"].clone()
}

/// new, recurring, resolved
fn counts(recurrence: &Value) -> [u64; 3] {
    ["new", "recurring", "resolved"].map(|status| recurrence[status].as_u64().unwrap())
}

/// The lines of `recurrence.parquet`: status, first run and runs, in their order.
fn lines(run: &Path) -> Vec<(String, String, u64)> {
    let file = fs::File::open(run.join("recurrence.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut lines = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let text = |name: &str| arrow::compute::cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap();
        let (status, first, runs) = (text("status"), text("first_run"), text("runs"));
        for row in 0..batch.num_rows() {
            let value = |column: &arrow::array::ArrayRef| column.as_string::<i32>().value(row).to_owned();
            lines.push((value(&status), value(&first), value(&runs).parse().unwrap()));
        }
    }
    lines
}

fn statuses(run: &Path) -> BTreeMap<String, usize> {
    let mut statuses = BTreeMap::new();
    for (status, ..) in lines(run) {
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

#[test]
fn three_runs_tell_what_is_new_recurs_and_is_resolved() {
    // 2 differs, 4 is missing.
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n");
    let first = workspace.reconcile(["run"]).unbroken();
    first.expect(1, &[]);
    assert!(!first.stdout.contains("over time"), "nothing is held against a first run\n{}", first.shown());
    assert_eq!(recurrence(&workspace), Value::Null);
    assert_eq!(statuses(&newest(&workspace)), [("new".to_owned(), 2)].into());
    let first = run_id(&newest(&workspace));

    // 4 has come, 3 differs now.
    project(&workspace, "1,Anna\n2,Berta\n3,Karl\n4,Dora\n");
    workspace
        .reconcile(["run"])
        .unbroken()
        .expect(1, &["over time", "1 new", "1 recurring (since", "1 resolved", &first]);
    let seen = recurrence(&workspace);
    assert_eq!(counts(&seen), [1, 1, 1]);
    assert_eq!(
        (&seen["since"], &seen["oldest"]["first_run"], &seen["oldest"]["runs"]),
        (&first.clone().into(), &first.clone().into(), &2.into())
    );
    let markdown = fs::read_to_string(newest(&workspace).join("report.md")).unwrap();
    assert!(markdown.contains("### Over time") && markdown.contains("| resolved | 1 |"), "{markdown}");
    let metrics = fs::read_to_string(newest(&workspace).join("metrics.prom")).unwrap();
    assert!(metrics.contains("reconcile_recurrence{contract=\"pair\",status=\"resolved\"} 1"), "{metrics}");

    // 2 is the same divergence though its value is another one.
    project(&workspace, "1,Anna\n2,Bertha\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 recurring (since", "3 runs", "1 resolved"]);
    assert_eq!(counts(&recurrence(&workspace)), [0, 1, 1]);
    let again = workspace.reconcile(["report", "latest", "--format", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&again.stdout).unwrap(),
        read_json(&newest(&workspace).join("summary.json"))
    );

    project(&workspace, &AUTHORITY["id,name\n".len()..]);
    workspace.reconcile(["run"]).unbroken().expect(0, &["1 resolved"]);
    assert_eq!(lines(&newest(&workspace)), [("resolved".to_owned(), first, 3)]);
    // What was resolved is not resolved again, and comes back as new.
    project(&workspace, "1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 new"]);
    assert_eq!(counts(&recurrence(&workspace)), [1, 0, 0]);
    workspace.reconcile(["audit", "verify"]).expect(0, &["5 runs unchanged"]);
}

#[test]
fn the_divergences_depend_on_inputs_alone_and_the_recurrence_on_the_order_of_nothing() {
    let rows = "1,Anna\n2,Berta\n3,Karl\n";
    let workspace = workspace(rows);
    workspace.reconcile(["run", "--threads", "1"]).unbroken().expect(1, &[]);
    workspace.reconcile(["run", "--threads", "4", "--no-cache"]).unbroken().expect(1, &[]);
    project(&workspace, "3,Karl\n2,Berta\n1,Anna\n");
    workspace.reconcile(["run", "--threads", "2"]).unbroken().expect(1, &[]);
    let runs = workspace.runs();
    let bytes = |run: &PathBuf| fs::read(run.join("divergences.parquet")).unwrap();
    assert_eq!(bytes(&runs[0]), bytes(&runs[1]));
    assert_eq!(bytes(&runs[0]), bytes(&runs[2]));
    let [second, third] = [&runs[1], &runs[2]].map(|run| lines(run));
    assert_eq!(second.iter().map(|line| line.2).collect::<Vec<_>>(), [2, 2, 2]);
    assert_eq!(third.iter().map(|line| line.2).collect::<Vec<_>>(), [3, 3, 3]);
    assert_eq!(
        second.iter().map(|line| &line.1).collect::<Vec<_>>(),
        third.iter().map(|line| &line.1).collect::<Vec<_>>()
    );
}

#[test]
fn a_run_that_could_not_compare_or_compared_a_part_resolves_nothing_and_is_no_basis() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Karl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let first = run_id(&newest(&workspace));
    fs::rename(workspace.path().join("b.csv"), workspace.path().join("away.csv")).unwrap();
    workspace.reconcile(["run"]).unbroken().expect(2, &[]);
    assert_eq!((recurrence(&workspace), lines(&newest(&workspace)).len()), (Value::Null, 0));
    fs::rename(workspace.path().join("away.csv"), workspace.path().join("b.csv")).unwrap();
    workspace.reconcile(["run", "--where", "id = '2'"]).unbroken().expect(1, &[]);
    assert_eq!((recurrence(&workspace), lines(&newest(&workspace)).len()), (Value::Null, 0));
    workspace.reconcile(["run"]).unbroken().expect(1, &["2 recurring"]);
    assert_eq!((counts(&recurrence(&workspace)), &recurrence(&workspace)["since"]), ([0, 2, 0], &first.into()));
}

#[test]
fn what_a_lost_column_hides_is_not_called_resolved() {
    let workspace =
        Workspace::pair(("a.csv", b"id,name,town\n1,Anna,Rom\n"), ("b.csv", b"id,name,town\n1,Anne,Roma\n"));
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    workspace.file("b.csv", "id,name\n1,Anne\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 not seen, but a column was not compared"]);
    let seen = recurrence(&workspace);
    assert_eq!((counts(&seen), seen["unseen"].as_u64()), ([1, 1, 0], Some(1)));
    // It is still known when the column is back.
    workspace.file("b.csv", "id,name,town\n1,Anna,Roma\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let seen = recurrence(&workspace);
    assert_eq!((counts(&seen), seen["oldest"]["runs"].as_u64()), ([0, 1, 2], Some(2)));
}

#[test]
fn alike_rows_of_a_multiset_and_of_one_null_key_count_once() {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,a\n1,a\n1,a\n2,b\n"), ("b.csv", b"id,name\n2,b\n"));
    let text = pair_contract("a.csv", "b.csv").replace("key = [\"id\"]", "key = []");
    workspace.file("reconcile.toml", &text);
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    assert_eq!(statuses(&newest(&workspace)), [("new".to_owned(), 1)].into());
    workspace.file("a.csv", "id,name\n1,a\n2,b\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 recurring"]);
}

#[test]
fn a_new_major_version_starts_anew_and_a_changed_meaning_is_warned_of() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{text}\n[contract.pair.attribute.name]\nseverity = \"high\"\n"));
    workspace
        .reconcile(["run"])
        .unbroken()
        .expect(1, &["its meaning has changed since run", "its version is still 1.0.0", "1 recurring"]);
    let quiet = workspace.reconcile(["run"]).unbroken();
    assert!(!quiet.expect(1, &["1 recurring"]).stdout.contains("meaning has changed"), "{}", quiet.shown());
    workspace.file("reconcile.toml", &text.replace("version = \"1.0.0\"", "version = \"1.1.0\""));
    let minor = workspace.reconcile(["run"]).unbroken();
    assert!(!minor.expect(1, &["1 recurring"]).stdout.contains("meaning has changed"), "{}", minor.shown());
    workspace.file("reconcile.toml", &text.replace("version = \"1.0.0\"", "version = \"2.0.0\""));
    let major = workspace.reconcile(["run"]).unbroken();
    major.expect(1, &["version 2.0.0 has another major than 1.1.0", "starts anew"]);
    assert_eq!(recurrence(&workspace), Value::Null);
    workspace.reconcile(["history"]).expect(0, &["version 2.0.0 starts anew after 1.1.0"]);
}

#[test]
fn a_basis_that_was_pruned_changed_or_removed_is_said_and_stops_no_run() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let first = newest(&workspace);
    // Two unverified runs, so that the basis is not among the newest two.
    fs::rename(workspace.path().join("b.csv"), workspace.path().join("away.csv")).unwrap();
    workspace.reconcile(["run"]).unbroken().expect(2, &[]);
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[&run_id(&first)]);
    fs::rename(workspace.path().join("away.csv"), workspace.path().join("b.csv")).unwrap();
    workspace.reconcile(["run"]).unbroken().expect(1, &["was pruned", "starts anew"]);
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 recurring"]);
    let path = newest(&workspace).join("recurrence.parquet");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    workspace.reconcile(["audit", "verify"]).expect(1, &["recurrence.parquet was changed"]);
    workspace.reconcile(["run"]).unbroken().expect(1, &["recurrence.parquet", "was changed", "starts anew"]);
    fs::remove_dir_all(newest(&workspace)).unwrap();
    workspace.reconcile(["run"]).unbroken().expect(1, &["its folder is missing", "starts anew"]);
    workspace.reconcile(["run"]).unbroken().expect(1, &["1 recurring"]);
}

#[test]
fn an_adopted_run_is_a_basis_and_a_broken_ledger_is_none() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let ledger = workspace.path().join("reports/ledger.ndjson");
    let text = fs::read_to_string(&ledger).unwrap();
    let first = text.lines().next().unwrap();
    fs::write(&ledger, format!("{first}\n")).unwrap();
    let adopted = run_id(&newest(&workspace));
    workspace.reconcile(["history"]).expect(2, &[&adopted, "has no ledger line"]);
    workspace.reconcile(["run"]).unbroken().expect(1, &["was adopted", "1 recurring", "3 runs"]);
    assert_eq!(recurrence(&workspace)["since"], adopted.as_str());
    // The first line is gone: the chain is broken.
    let lines: Vec<String> = fs::read_to_string(&ledger).unwrap().lines().skip(1).map(str::to_owned).collect();
    fs::write(&ledger, lines.join("\n") + "\n").unwrap();
    workspace.reconcile(["run"]).unbroken().expect(1, &["is not said, because the ledger is broken"]);
    assert_eq!(recurrence(&workspace), Value::Null);
    workspace.reconcile(["history"]).expect(2, &["ledger.ndjson, line 1"]);
}

#[test]
fn a_run_that_died_leaves_nothing_in_the_way() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let dead = workspace.path().join("reports/.20260101T000000000Z-dead.partial");
    fs::create_dir(&dead).unwrap();
    fs::write(dead.join("recurrence.parquet"), "half").unwrap();
    workspace.reconcile(["run"]).unbroken().expect(1, &["removed what a run left", "1 recurring"]);
    assert!(!dead.exists());
}

#[test]
fn history_draws_each_kind_and_tells_the_same_as_data() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Karl\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    project(&workspace, "1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    project(&workspace, &AUTHORITY["id,name\n".len()..]);
    workspace.reconcile(["run"]).unbroken().expect(0, &[]);
    let drawn = workspace.reconcile(["history"]);
    drawn.expect(0, &["pair: agreed in", "verdict       dda", "mismatch      █▄_  2 → 0", "missing       █__  1 → 0"]);
    assert!(drawn.stdout.lines().all(|line| line.chars().count() <= 80), "{}", drawn.shown());
    let ascii = workspace.reconcile(["history", "pair", "--ascii"]);
    assert!(ascii.expect(0, &["mismatch      @=_  2 -> 0"]).stdout.is_ascii(), "{}", ascii.shown());
    workspace.reconcile(["history", "--format", "markdown"]).expect(0, &["| run | state | version |", "| agreed |"]);
    let document =
        |words: &[&str]| -> Value { serde_json::from_str(&workspace.reconcile(words).expect(0, &[]).stdout).unwrap() };
    let all = document(&["history", "--format", "json"]);
    let runs = all["contracts"][0]["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter().map(|run| run["divergences"]["mismatch"].as_u64()).collect::<Vec<_>>(),
        [Some(2), Some(1), Some(0)]
    );
    assert_eq!(runs[1]["recurrence"]["resolved"], 2);
    let last = document(&["history", "--format", "json", "--last", "1"]);
    assert_eq!(last["contracts"][0]["runs"].as_array().unwrap().len(), 1);
    assert_eq!(last["contracts"][0]["runs_in_ledger"], 3);
    workspace.reconcile(["history", "pairs"]).expect(2, &["did you mean `pair`?"]);
}

#[test]
fn history_says_what_is_pruned_narrowed_or_damaged() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Karl\n");
    for _ in 0..3 {
        workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    }
    workspace.reconcile(["run", "--where", "id = '2'"]).unbroken().expect(1, &[]);
    workspace.reconcile(["audit", "prune", "--keep-runs", "3"]).expect(0, &[]);
    workspace.reconcile(["history"]).expect(
        0,
        &[
            "verdict       ddd~",
            "state         x..~",
            "mismatch      x██~",
            "x pruned: the ledger's verdict alone is left, ~ narrowed by --where",
        ],
    );
    workspace.reconcile(["history", "--format", "markdown"]).expect(0, &["| pruned |  | drifted |  |  |"]);
    let damaged = workspace.runs()[0].clone();
    fs::write(damaged.join("manifest.json"), "{}").unwrap();
    workspace.reconcile(["history"]).expect(
        2,
        &["verdict       d!d~", "state         x!.~", "mismatch      x!█~", &run_id(&damaged), "was changed"],
    );
    workspace
        .reconcile(["history", "--format", "json"])
        .expect(2, &["\"state\": \"damaged\"", "\"state\": \"pruned\""]);
    // The page of the next run marks them, and so does the heading where nothing newer is left.
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let page = fs::read_to_string(workspace.runs().pop().unwrap().join("report.html")).unwrap();
    for words in [
        "drifted, keys that diverge: not known: pruned",
        "drifted, keys that diverge: not known: missing or changed",
        "not known: narrowed by --where",
        "class=\"gone\"",
        "pruned, missing or changed since",
    ] {
        assert!(page.contains(words), "{words}");
    }
    let newest = workspace.runs().pop().unwrap();
    fs::remove_dir_all(&newest).unwrap();
    let gone = format!("pair: drifted by the ledger in {}, which is missing or was changed", run_id(&newest));
    workspace.reconcile(["history"]).expect(2, &[&gone]);
}

#[test]
fn a_folder_without_runs_has_no_history_and_a_contract_may_not_have_run_yet() {
    let workspace = workspace("1,Anna\n");
    workspace.reconcile(["history"]).expect(2, &["no ledger"]);
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let text = pair_contract("a.csv", "b.csv");
    let other = text.split("[contract.pair]").nth(1).unwrap();
    workspace.file("reconcile.toml", &format!("{text}cadence = \"24h\"\n[contract.other]{other}cadence = \"12h\"\n"));
    workspace.reconcile(["history"]).expect(0, &["other: never ran, overdue: it must run every 12h"]);
}

#[test]
fn a_diff_that_is_kept_is_held_against_the_same_diff() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n4,Dora\n");
    let diff = |more: &[&str]| {
        let words = [&["diff", "a.csv", "b.csv", "--key", "id", "--out", "reports"], more].concat();
        workspace.reconcile(words).unbroken()
    };
    let first = diff(&[]);
    assert!(!first.expect(1, &[]).stdout.contains("over time"), "{}", first.shown());
    diff(&[]).expect(1, &["1 recurring"]);
    let other = diff(&["--trim"]);
    assert!(!other.expect(1, &[]).stdout.contains("over time"), "{}", other.shown());
    diff(&[]).expect(1, &["1 recurring", "3 runs"]);
    workspace.reconcile(["history", "diff"]).expect(0, &["diff: drifted in"]);
    explained(&workspace, &["latest", "2"]).expect(0, &["not read again (the run was of no contract file)"]);
}

/// Two contracts, of which `run --tag` runs one.
fn two_contracts(cadence: &str) -> Workspace {
    let workspace = workspace("1,Anna\n2,Bert\n3,Carl\n4,Dora\n");
    let text = pair_contract("a.csv", "b.csv");
    let other = text.split("[contract.pair]").nth(1).unwrap();
    let both = format!(
        "{text}tags = [\"nightly\", \"crm\"]\ncadence = \"{cadence}\"\n\n[contract.other]{other}tags = [\"hourly\"]\ncadence = \"{cadence}\"\n"
    );
    workspace.file("reconcile.toml", &both);
    workspace
}

#[test]
fn what_is_overdue_is_said_by_runs_contracts_history_and_metrics() {
    let workspace = two_contracts("1h");
    workspace
        .reconcile(["run", "--tag", "crm"])
        .unbroken()
        .expect(0, &["contract \"other\" is overdue: it must run every 1h, and never"]);
    let metrics = fs::read_to_string(newest(&workspace).join("metrics.prom")).unwrap();
    for line in [
        "reconcile_contract_overdue{contract=\"pair\"} 0",
        "reconcile_contract_overdue{contract=\"other\"} 1",
        "reconcile_contract_cadence_seconds{contract=\"other\"} 3600.000",
        "reconcile_contract_last_success_timestamp_seconds{contract=\"pair\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("last_success_timestamp_seconds{contract=\"other\"}"), "{metrics}");
    workspace.reconcile(["contracts"]).expect(0, &["never run, overdue"]);
    workspace.reconcile(["history"]).expect(0, &["other: never ran, overdue"]);
    // Both tags, and both contracts.
    let both = workspace.reconcile(["run", "--tag", "nightly", "--tag", "hourly"]).unbroken();
    assert!(!both.expect(0, &["2 contracts: 2 agreed"]).stdout.contains("overdue"), "{}", both.shown());
    assert!(!workspace.reconcile(["contracts"]).expect(0, &[]).stdout.contains("overdue"));
    workspace.reconcile(["run", "--tag", "weekly"]).unbroken().expect(2, &["\"weekly\"", "is not in the file"]);
}

#[test]
fn a_cadence_that_has_passed_is_overdue_and_a_part_of_the_keys_does_not_help() {
    let workspace = two_contracts("1ms");
    workspace.reconcile(["run", "pair", "--where", "id = '1'"]).unbroken().expect(0, &["\"pair\" is overdue"]);
    workspace.reconcile(["run", "pair"]).unbroken().expect(0, &[]);
    let contracts = workspace.reconcile(["contracts", "--format", "json"]);
    let document: Value = serde_json::from_str(&contracts.expect(0, &[]).stdout).unwrap();
    assert_eq!(document["contracts"][0]["overdue"], true, "a millisecond has passed");
    workspace
        .reconcile(["run", "other"])
        .unbroken()
        .expect(0, &["contract \"pair\" is overdue: it must run every 1ms, and ran last at"]);
}

fn explained(workspace: &Workspace, words: &[&str]) -> Outcome {
    workspace.reconcile([&["explain"], words].concat())
}

#[test]
fn a_key_of_a_run_is_explained_with_both_rows_its_plan_and_its_history() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let both = [
        "pair 1.0.0: drifted",
        "mismatch, medium: name \"Bert\" → \"Berta\"",
        "recurring, first seen at",
        "2 runs",
        "plan: update, review",
    ];
    for key in ["2", r#"{"id":2}"#, r#"{ "id" : "2" }"#] {
        explained(&workspace, &["latest", key])
            .expect(0, &both)
            .expect(0, &["read again", "* name       \"Bert\"     \"Berta\""]);
    }
    explained(&workspace, &["latest", "4"]).expect(0, &["missing, high", "plan: insert", "\"Dora\"", "(no row)"]);
    explained(&workspace, &["latest", "1"]).expect(0, &["it does not diverge", "\"Anna\""]);
    explained(&workspace, &["latest", "99"]).expect(2, &["holds nothing of the key 99"]);
    explained(&workspace, &["2031", "2"]).expect(2, &["no run `2031`"]);
    let json = explained(&workspace, &["latest", "2", "--format", "json"]);
    let document: Value = serde_json::from_str(&json.expect(0, &[]).stdout).unwrap();
    assert_eq!(document["contracts"][0]["rows"]["projection"][0]["name"], "Berta");
    assert_eq!(document["contracts"][0]["divergences"][0]["recurrence"]["runs"], 2);
    explained(&workspace, &["latest", "2", "--format", "markdown"])
        .expect(0, &["# A key, explained", "    contract pair"]);

    // Once an input is another one, nothing is read again: what the run saw is shown.
    project(&workspace, "1,Anna\n2,Beate\n3,Carl\n4,Dora\n");
    let later = explained(&workspace, &["latest", "2"]);
    later.expect(0, &["not read again", "b.csv is not what it was in the run", "\"Berta\""]);
    assert!(!later.stdout.contains("Beate"), "{}", later.shown());
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    explained(&workspace, &["latest", "4"]).expect(0, &["resolved since run", "missing, high", "it does not diverge"]);
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &format!("{text}fail_on = \"high\"\n"));
    explained(&workspace, &["latest", "2"]).expect(0, &["not read again (the contract has changed since)"]);
}

#[test]
fn nothing_found_in_a_run_that_did_not_compare_is_not_called_equal() {
    let workspace = workspace("1,Anna\n2,Bert\n3,Carl\n4\n");
    workspace.reconcile(["run"]).expect(2, &[]);
    let told = explained(&workspace, &["latest", "1"]);
    told.expect(0, &["which proves nothing: the contract is unverified", "1 row could not be read"]);
    workspace.file("b.csv", "id,name\n1,Anna\n2,Bert\n3,Carl\n4,Dora\n");
    workspace.reconcile(["run", "--where", "id = '2'"]).expect(0, &[]);
    // A part of the keys was compared, and nothing is read again.
    explained(&workspace, &["latest", "1"]).expect(2, &["holds nothing of the key 1"]);
}

#[test]
fn a_changed_file_of_a_run_explains_nothing() {
    let workspace = workspace("1,Anna\n2,Berta\n3,Carl\n");
    workspace.reconcile(["run"]).unbroken().expect(1, &[]);
    let plan = newest(&workspace).join("plan.ndjson");
    fs::write(&plan, fs::read_to_string(&plan).unwrap().replace("Bert", "Bart")).unwrap();
    explained(&workspace, &["latest", "2"]).expect(2, &["plan.ndjson", "was changed"]);
}

#[test]
fn personal_data_and_secrets_are_not_read_out_of_the_sources() {
    let workspace = workspace("1,Anna\n2,Bert\n3,Carl\n4,Dora\n");
    let mut text = pair_contract("a.csv", "b.csv");
    text.push_str("[contract.pair.attribute.name]\nnull_equals = [\"${NOTHING:-Anna}\"]\n");
    workspace.file("reconcile.toml", &text);
    let mut command = workspace.command(["run"]);
    Outcome::of(&command.env("NOTHING", "Anna").output().unwrap()).expect(0, &[]);
    let mut command = workspace.command(["explain", "latest", "1"]);
    let told = Outcome::of(&command.env("NOTHING", "Anna").output().unwrap());
    assert!(!told.expect(0, &["read again"]).stdout.contains("Anna"), "{}", told.shown());
}
