//! Control totals, invariants and rules through the binary, where a scenario folder cannot show it: many groups, a second run,
//! `--where`, threads and memory.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use serde_json::Value;

use crate::support::{Workspace, contract, read_json, write_parquet};

const CONTRACT: &str = "version = 1\n\n[source.a]\nlocation = \"a.csv\"\n\n[source.p]\nlocation = \"p.csv\"\n\n\
                        [contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n\
                        attribute.amount.type = \"decimal\"\n";

fn pair(rows: usize, groups: usize, more: &str) -> Workspace {
    let workspace = Workspace::new();
    let mut text = "id,name,amount\n".to_owned();
    for id in 0..rows {
        writeln!(text, "{id},n{},{}.25", id % groups, id % 97).unwrap();
    }
    workspace.file("a.csv", &text);
    // The last row is worth more across.
    let last = format!("{},n{},{}.25\n", rows - 1, (rows - 1) % groups, (rows - 1) % 97);
    let other = text.replace(&last, &last.replace(".25", ".26"));
    assert_ne!(text, other);
    workspace.file("p.csv", &other);
    workspace.file("reconcile.toml", &format!("{CONTRACT}{more}"));
    workspace
}

fn last_summary(workspace: &Workspace) -> Value {
    read_json(&workspace.runs().last().unwrap().join("summary.json"))
}

const BY_NAME: &str = "[[contract.pair.total]]\nname = \"by name\"\nby = [\"name\"]\nsum = [\"amount\"]\n";

#[test]
fn a_total_of_too_many_groups_says_so_and_never_agrees_where_it_counts() {
    let tolerant = "allow.keys = 1\n";
    let workspace = pair(70_000, 70_000, &format!("{tolerant}{BY_NAME}"));
    workspace.reconcile(["run"]).expect(0, &["total `by name` could not be computed: it has more than 26214"]);
    let total = &contract(&last_summary(&workspace), "pair")["totals"][0].clone();
    assert_eq!((&total["groups"], &total["worst"]), (&Value::from(0), &Value::Array(Vec::new())));
    let counts = format!("{CONTRACT}{tolerant}{BY_NAME}severity = \"high\"\n");
    workspace.file("reconcile.toml", &counts);
    workspace.reconcile(["run"]).expect(2, &["unverified", "total `by name` could not be computed"]);
}

#[test]
fn a_second_run_reads_everything_again_and_says_the_same() {
    let invariant =
        "[[contract.pair.invariant]]\nname = \"small\"\nside = \"both\"\nwhen = \"id > '990'\"\nseverity = \"info\"\n";
    let workspace = pair(1_000, 7, &format!("{BY_NAME}{invariant}"));
    let mut said = Vec::new();
    for threads in ["1", "2", "1"] {
        workspace.reconcile(["run", "--threads", threads]).expect(1, &["by name: 1 of 7 groups does not balance"]);
        let summary = last_summary(&workspace);
        let found = contract(&summary, "pair");
        assert!(found["taken_over"].is_null(), "{found:#}");
        assert_eq!(found["invariants"][0]["rows"], 9, "{found:#}");
        said.push((found["totals"].clone(), found["invariants"].clone()));
    }
    assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:#?}");
}

#[test]
fn totals_and_invariants_are_of_all_rows_whatever_where_says() {
    let workspace = pair(100, 2, BY_NAME);
    let outcome = workspace.reconcile(["run", "--where", "id = '5'"]);
    outcome.expect(0, &["control totals and invariants are of all rows", "by name: 1 of 2 groups does not balance"]);
    let summary = workspace.summary();
    assert_eq!(contract(&summary, "pair")["totals"][0]["whole"]["authority"]["rows"], 100);
}

#[test]
fn an_attribute_that_is_not_compared_or_no_number_is_said_before_rows_are_read() {
    for (more, said) in [
        ("value_at_risk = \"worth\"\n", "value_at_risk: no attribute `worth` is compared (attributes are:"),
        ("value_at_risk = \"name\"\n", "value_at_risk: `name` is not compared as a number"),
        ("total = [{ name = \"t\", by = [\"nome\"] }]\n", "total `t`: no attribute `nome` is compared"),
        (
            "invariant = [{ name = \"i\", side = \"both\", when = \"nome = 'x'\", severity = \"low\" }]\n",
            "source `a`, invariant `i`: no column `nome`",
        ),
    ] {
        let workspace = pair(3, 2, more);
        workspace.reconcile(["check", "--sources"]).expect(2, &[said]);
        workspace.reconcile(["run"]).expect(2, &[said, "unverified"]);
    }
}

#[test]
fn a_total_of_a_column_that_one_side_lacks_is_not_computed_and_the_contract_drifts() {
    let workspace = pair(3, 2, &format!("value_at_risk = \"amount\"\n{BY_NAME}severity = \"high\"\n"));
    workspace.file("p.csv", "id,name\n0,n0\n1,n1\n2,n0\n");
    workspace.reconcile(["run"]).expect(
        1,
        &[
            "1 column could not be compared; total `by name` could not be",
            "by name: not computed, `amount` cannot be compared",
            "value at risk: `amount` cannot be compared",
        ],
    );
}

#[test]
fn a_run_with_figures_is_rendered_again_from_its_manifest() {
    let workspace = pair(50, 3, &format!("value_at_risk = \"amount\"\n{BY_NAME}"));
    workspace.reconcile(["run"]).expect(1, &["at risk"]);
    let run = workspace.run();
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    let again = workspace.reconcile(["report", &name, "--format", "markdown"]);
    assert_eq!(again.stdout, std::fs::read_to_string(run.join("report.md")).unwrap());
    assert!(again.stdout.contains("### Control totals") && again.stdout.contains("### Value at risk"));
    let metrics = std::fs::read_to_string(run.join("metrics.prom")).unwrap();
    assert!(
        metrics.contains("reconcile_total_groups_unbalanced{contract=\"pair\",total=\"by name\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn totals_are_the_same_however_rows_are_brought_together() {
    let ids: Vec<i64> = (0..1_600).collect();
    let column = |worth: fn(&i64) -> i64, order: &[i64]| -> Vec<(&'static str, ArrayRef)> {
        vec![
            ("id", Arc::new(order.iter().copied().collect::<Int64Array>()) as ArrayRef),
            ("name", Arc::new(order.iter().map(|id| id % 3).collect::<Int64Array>())),
            ("amount", Arc::new(order.iter().map(worth).collect::<Int64Array>())),
        ]
    };
    let mut shuffled = ids.clone();
    shuffled.sort_by_key(|id| id * 7919 % 1_601);
    // Two rows apart: still in order but for stragglers.
    let mut strayed = ids.clone();
    strayed.swap(400, 1_200);
    let mut said = Vec::new();
    for order in [&ids, &strayed, &shuffled] {
        for threads in ["1", "2", "4"] {
            let workspace = Workspace::new();
            write_parquet(&workspace.path().join("a.parquet"), column(|id| id * 10, order), 64);
            write_parquet(&workspace.path().join("p.parquet"), column(|id| id * 10 + i64::from(*id == 9), order), 64);
            let invariant =
                "[[contract.pair.invariant]]\nname = \"i\"\nside = \"both\"\nwhen = \"id < 7\"\nseverity = \"low\"\n";
            let text = CONTRACT.replace("csv", "parquet").replace("attribute.amount.type = \"decimal\"\n", "");
            workspace.file("reconcile.toml", &format!("{text}{BY_NAME}{invariant}"));
            workspace
                .reconcile(["run", "--threads", threads, "--no-cache"])
                .expect(1, &["1 of 3 groups does not balance"]);
            let summary = workspace.summary();
            let found = contract(&summary, "pair");
            said.push((found["totals"].clone(), found["invariants"].clone()));
        }
    }
    assert_eq!(said[0].0[0]["whole"]["authority"]["rows"], 1_600);
    assert_eq!(said[0].0[0]["worst"][0]["differences"][0], "-1");
    assert_eq!(said[0].1[0]["rows"], 7);
    assert!(said.windows(2).all(|two| two[0] == two[1]), "{said:#?}");
}
