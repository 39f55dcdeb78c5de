//! examples/monitoring against the metrics of real runs: Prometheus' own tool checks the rules and tries them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use crate::formats::promtool;
use crate::support::{Workspace, read_json, root};

fn example(name: &str) -> PathBuf {
    root().join("examples/monitoring").join(name)
}

/// The metrics of a scenario's run, or of more runs one after the other.
fn metrics_of(scenario: &str, runs: usize) -> String {
    let workspace = Workspace::new();
    crate::scenarios::copy(&root().join("fixtures/scenarios").join(scenario), workspace.path());
    for _ in 0..runs {
        workspace.reconcile(["run"]);
    }
    fs::read_to_string(workspace.runs().pop().unwrap().join("metrics.prom")).unwrap()
}

fn names(metrics: &str) -> BTreeSet<String> {
    metrics.lines().filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned())).collect()
}

/// What real runs write, of contracts that ask for everything that a dashboard shows.
fn written() -> BTreeSet<String> {
    let scenarios = [
        ("beyond-the-window", 2),
        ("overdue-by-its-cadence", 1),
        ("lost-on-the-way", 1),
        ("captured-by-a-column", 1),
        ("one-cause-for-many", 1),
    ];
    scenarios.into_iter().flat_map(|(scenario, runs)| names(&metrics_of(scenario, runs))).collect()
}

fn metrics_in(expression: &str) -> Vec<String> {
    let name = regex::Regex::new(r"\breconcile_[a-z_]+").unwrap();
    name.find_iter(expression).map(|found| found.as_str().to_owned()).collect()
}

#[test]
fn the_alert_rules_are_rules_over_metrics_that_there_are() {
    promtool(&["check", "rules", example("alerts.yml").to_str().unwrap()], root(), "").expect(0, &["8 rules found"]);
    let written = written();
    for name in metrics_in(&fs::read_to_string(example("alerts.yml")).unwrap()) {
        assert!(written.contains(&name), "no run writes {name}");
    }
}

#[test]
fn the_dashboard_shows_metrics_that_there_are_by_expressions_that_parse() {
    let dashboard = read_json(&example("dashboard.json"));
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    let (mut rules, mut seen) = ("groups:\n- name: panels\n  rules:\n".to_owned(), BTreeSet::new());
    let (panels, written) = (dashboard["panels"].as_array().unwrap(), written());
    let mut ids = BTreeSet::new();
    for (number, panel) in panels.iter().enumerate() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another panel's too");
        let place = &panel["gridPos"];
        assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{title}: out of the grid");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            for name in metrics_in(expression) {
                assert!(written.contains(&name), "{title}: no run writes {name}");
                seen.insert(name);
            }
            writeln!(rules, "  - record: panel:{number}\n    expr: {}", Value::from(expression)).unwrap();
        }
    }
    let variables = dashboard["templating"]["list"].to_string();
    for name in metrics_in(&variables) {
        assert!(written.contains(&name), "a variable: no run writes {name}");
    }
    assert!(panels.len() >= 12 && seen.len() >= 12, "{} panels, {seen:?}", panels.len());
    let folder = Workspace::new();
    let path = folder.file("panels.yml", &rules);
    promtool(&["check", "rules", path.to_str().unwrap()], folder.path(), "").expect(0, &["SUCCESS"]);
}

/// The series of a run as promtool takes them, as if the run had begun at 0: rules ask the clock, which begins there.
fn series(metrics: &str, hours: usize) -> String {
    let began: f64 = value(metrics, "reconcile_run_start_timestamp_seconds ");
    let mut text = String::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let value: f64 = value.parse().unwrap();
        let value = if name.ends_with("_timestamp_seconds") { value - began } else { value };
        writeln!(text, "  - series: '{series}'\n    values: '{value}+0x{hours}'").unwrap();
    }
    text
}

fn value(metrics: &str, start: &str) -> f64 {
    metrics.lines().find_map(|line| line.strip_prefix(start)).unwrap().parse().unwrap()
}

/// The annotations of each alert for one contract, as the rules word them.
fn annotations(contract: &str) -> BTreeMap<String, (String, Vec<(String, String)>)> {
    let text = fs::read_to_string(example("alerts.yml")).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let rules = documents[0]["groups"].as_sequence().unwrap()[0]["rules"].as_sequence().unwrap();
    let of = |rule: &Yaml<'_>| {
        let text = |value: &Yaml<'_>| value.as_str().unwrap().replace("{{ $labels.contract }}", contract);
        let said = |name: &str| (name.to_owned(), text(&rule["annotations"][name]));
        (text(&rule["alert"]), (text(&rule["labels"]["severity"]), vec![said("summary"), said("description")]))
    };
    rules.iter().map(of).collect()
}

/// Asks promtool which alerts fire for a contract so many hours after a run with these metrics.
fn expected(contract: &str, hours: u64, firing: &[&str]) -> String {
    let mut text = String::new();
    for (alert, (severity, said)) in annotations(contract) {
        writeln!(text, "  - eval_time: {hours}h\n    alertname: {alert}").unwrap();
        if !firing.contains(&alert.as_str()) {
            writeln!(text, "    exp_alerts: []").unwrap();
            continue;
        }
        writeln!(text, "    exp_alerts:\n    - exp_labels: {{severity: {severity}, contract: {contract}}}").unwrap();
        writeln!(text, "      exp_annotations:").unwrap();
        for (name, words) in said {
            writeln!(text, "        {name}: {}", Value::from(words)).unwrap();
        }
    }
    text
}

/// Metrics of one run over a contract `pair` with a cadence.
fn pair(projection: &str, more: &str) -> String {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", projection.as_bytes()));
    let text = crate::support::pair_contract("a.csv", "b.csv");
    let text = text.replace("location = \"b.csv\"", "location = \"b.csv\"\ncaptured_at = { file = \"mtime\" }");
    workspace.file("reconcile.toml", &format!("{text}cadence = \"24h\"\n{more}"));
    workspace.reconcile(["run"]);
    fs::read_to_string(workspace.run().join("metrics.prom")).unwrap()
}

#[test]
fn each_alert_fires_when_it_should_and_not_before() {
    let critical = "[contract.pair.severity]\nmismatch = \"critical\"\n";
    let cases = [
        ("agreed", pair("id,name\n1,Anna\n2,Bert\n", ""), 1, vec![]),
        ("a day later", pair("id,name\n1,Anna\n2,Bert\n", ""), 25, vec!["ReconcileOverdue"]),
        (
            "two more hours",
            pair("id,name\n1,Anna\n2,Bert\n", ""),
            27,
            vec!["ReconcileOverdue", "ReconcileNoSuccess", "ReconcileStaleProjection"],
        ),
        (
            "drifted, never agreed",
            pair("id,name\n1,Anna\n2,Berta\n", ""),
            1,
            vec!["ReconcileDrifted", "ReconcileNoSuccess"],
        ),
        (
            "critical",
            pair("id,name\n1,Anna\n2,Berta\n", critical),
            1,
            vec!["ReconcileDrifted", "ReconcileCriticalDivergences", "ReconcileNoSuccess"],
        ),
        (
            "a row that cannot be read",
            pair("id,name\n1,Anna\n2,Bert,too,many\n", ""),
            1,
            vec!["ReconcileUnverified", "ReconcileCoverage", "ReconcileNoSuccess"],
        ),
    ];
    for (name, metrics, hours, firing) in cases {
        let folder = Workspace::new();
        fs::copy(example("alerts.yml"), folder.path().join("alerts.yml")).unwrap();
        let test = format!(
            "rule_files: [alerts.yml]\nevaluation_interval: 1h\ntests:\n- interval: 1h\n  input_series:\n{}  alert_rule_test:\n{}",
            series(&metrics, 40),
            expected("pair", hours, &firing)
        );
        folder.file("test.yml", &test);
        let outcome = promtool(&["test", "rules", "test.yml"], folder.path(), "");
        assert_eq!(outcome.status, Some(0), "{name}\n{}\n{test}", outcome.shown());
    }
}

#[test]
fn metrics_that_are_gone_are_missed() {
    let folder = Workspace::new();
    fs::copy(example("alerts.yml"), folder.path().join("alerts.yml")).unwrap();
    let (severity, said) = annotations("").remove("ReconcileMetricsMissing").unwrap();
    let said: String =
        said.iter().map(|(name, words)| format!("        {name}: {}\n", Value::from(words.as_str()))).collect();
    folder.file(
        "test.yml",
        &format!(
            "rule_files: [alerts.yml]\nevaluation_interval: 10m\ntests:\n- interval: 10m\n  input_series: []\n  alert_rule_test:\n  \
             - eval_time: 30m\n    alertname: ReconcileMetricsMissing\n    exp_alerts: []\n  - eval_time: 2h\n    \
             alertname: ReconcileMetricsMissing\n    exp_alerts:\n    - exp_labels: {{severity: {severity}}}\n      \
             exp_annotations:\n{said}"
        ),
    );
    promtool(&["test", "rules", "test.yml"], folder.path(), "").expect(0, &[]);
}
