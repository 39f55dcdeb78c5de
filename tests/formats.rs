//! What machines read is what docs/schemas says: of every scenario, of each command, and of runs of earlier versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::support::{Outcome, Workspace, pair_contract, read_json, root};

/// Each command, and what a schema may not lose.
mod every;

fn schema(name: &str) -> Value {
    read_json(&root().join(format!("docs/schemas/{name}.schema.json")))
}

fn validator(schema: &Value) -> Validator {
    assert!(jsonschema::draft202012::meta::is_valid(schema), "not a schema: {schema:#}");
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

/// The schema for writers: what it does not name is not there. Readers pass over it.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for (_, member) in members.iter_mut() {
                *member = closed(member.take());
            }
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties")
            {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = closed(item.take())),
        _ => {}
    }
    schema
}

/// The published schemas, closed; and what is held to be OpenLineage.
fn strict(name: &str) -> &'static Validator {
    static ALL: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let published = published().into_iter().map(|name| (name.clone(), validator(&closed(schema(&name)))));
        let lineage = validator(&read_json(&root().join("tests/schemas/openlineage.schema.json")));
        published.chain([("openlineage".to_owned(), lineage)]).collect()
    });
    all.get(name).unwrap_or_else(|| panic!("no schema `{name}`"))
}

fn published() -> Vec<String> {
    let names = fs::read_dir(root().join("docs/schemas")).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().trim_end_matches(".schema.json").to_owned())
        .collect();
    names.sort();
    names
}

/// What is wrong with a document, with the way to mend it.
fn faults(name: &str, what: &str, document: &Value) -> String {
    let complaint = |error: jsonschema::ValidationError<'_>| {
        format!("{what} at `{}`: {error}: is docs/schemas/{name}.schema.json what is meant?\n", error.instance_path())
    };
    strict(name).iter_errors(document).map(complaint).collect()
}

#[track_caller]
pub(crate) fn holds(name: &str, document: &Value) {
    assert_eq!(faults(name, name, document), "", "{document:#}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// What of a run folder and its ledger is not what it is documented to be; for the walk through the scenarios.
pub(crate) fn complaints(run: &Path) -> String {
    let mut complaints = String::new();
    for name in ["summary", "manifest"] {
        complaints.push_str(&faults(name, name, &read_json(&run.join(format!("{name}.json")))));
    }
    let resume = run.join("resume.json");
    if resume.exists() {
        complaints.push_str(&faults("resume", "resume.json", &read_json(&resume)));
    }
    let beside = run.parent().unwrap();
    let files = [
        ("plan-action", run.join("plan.ndjson")),
        ("openlineage", run.join("openlineage.ndjson")),
        ("ledger-line", beside.join("ledger.ndjson")),
    ];
    for (name, path) in files {
        for line in lines(&path) {
            complaints.push_str(&faults(name, &path.file_name().unwrap().to_string_lossy(), &line));
        }
    }
    complaints.push_str(&metrics_complaints(&fs::read_to_string(run.join("metrics.prom")).unwrap()));
    complaints
}

/// What promtool, or a collector that finds a series twice, has against metrics.
pub(crate) fn metrics_complaints(metrics: &str) -> String {
    let mut seen = std::collections::BTreeSet::new();
    let series = metrics.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let twice: String =
        series.filter(|(series, _)| !seen.insert(*series)).map(|(series, _)| format!("{series} twice\n")).collect();
    let checked = promtool(&["check", "metrics"], Path::new("."), metrics);
    if checked.status == Some(0) { twice } else { format!("{twice}metrics.prom: {}\n", checked.shown()) }
}

/// Runs promtool over a text on its stdin.
#[track_caller]
pub(crate) fn promtool(arguments: &[&str], folder: &Path, text: &str) -> Outcome {
    use std::io::Write as _;
    let started = Command::new("promtool")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.expect("promtool is there: .ci/test installs Debian's `prometheus`");
    // One that reads nothing closes its end.
    _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    Outcome::of(&child.wait_with_output().unwrap())
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{}", outcome.shown()))
}

/// A contract with a gate over two tables that differ.
fn gated() -> Workspace {
    let workspace = Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n"), ("b.csv", b"id,name\n1,Anna\n2,Berta\n"));
    let gate = "[contract.pair.parity]\nconsecutive_runs = 2\n";
    workspace.file("reconcile.toml", &format!("{}{gate}", pair_contract("a.csv", "b.csv")));
    workspace
}

#[test]
fn every_command_prints_what_its_schema_says() {
    let workspace = gated();
    holds("summary", &json(workspace.reconcile(["run", "--format", "json"]).expect(1, &[])));
    let outcome = workspace.reconcile(["run", "--format", "ndjson", "--no-cache"]);
    let printed: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, found) = printed.split_last().unwrap();
    holds("summary", last);
    assert_eq!(found.len(), 1, "{}", outcome.shown());
    found.iter().for_each(|line| holds("divergence-line", line));
    holds("audit-verify", &json(workspace.reconcile(["audit", "verify", "--format", "json"]).expect(0, &[])));
    let history = json(workspace.reconcile(["history", "--format", "json"]).expect(0, &[]));
    holds("history", &history);
    assert_eq!(history["contracts"][0]["runs"].as_array().unwrap().len(), 2);
    holds("parity", &json(workspace.reconcile(["parity", "pair", "--format", "json"]).expect(1, &[])));
    holds("failure", &json(workspace.reconcile(["run", "other", "--format", "json"]).expect(2, &[])));

    workspace.reconcile(["review", "export", "--out", "review.csv"]).expect(0, &[]);
    let exported = fs::read_to_string(workspace.path().join("review.csv")).unwrap();
    let mut rows = csv_rows(&exported);
    let column = |rows: &[Vec<String>], name: &str| rows[0].iter().position(|head| head == name).unwrap();
    for (name, value) in [("decision", "fix-elsewhere"), ("who", "amy"), ("why", "known")] {
        let at = column(&rows, name);
        rows[1][at] = value.to_owned();
    }
    let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
    let written: String = rows.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
    workspace.file("decided.csv", &written);
    workspace.reconcile(["review", "import", "decided.csv"]).expect(0, &[]);
    let decisions = lines(&workspace.path().join("reports/decisions.ndjson"));
    assert_eq!(decisions.len(), 1);
    holds("decision-line", &decisions[0]);
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[]);
    let ledger = lines(&workspace.path().join("reports/ledger.ndjson"));
    let records: Vec<&str> = ledger.iter().map(|line| line["record"].as_str().unwrap()).collect();
    assert_eq!(records, ["run", "run", "decisions", "prune"]);
    ledger.iter().for_each(|line| holds("ledger-line", line));
}

/// Cells without line breaks, each quoted.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.trim_matches('"').split("\",\"").map(|cell| cell.replace("\"\"", "\"")).collect();
    text.trim_start_matches('\u{feff}').lines().map(row).collect()
}

/// `tests/schemas/old` is what version 0.1.0 wrote before there were schemas.
fn old() -> PathBuf {
    root().join("tests/schemas/old")
}

#[test]
fn what_an_earlier_version_wrote_is_still_read() {
    let open = |name: &str| validator(&schema(name));
    let check = |name: &str, document: &Value| {
        let faults: Vec<String> = open(name).iter_errors(document).map(|error| error.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    };
    let runs = crate::support::runs_in(&old().join("reports"));
    assert_eq!(runs.len(), 2);
    for run in &runs {
        for name in ["summary", "manifest"] {
            check(name, &read_json(&run.join(format!("{name}.json"))));
        }
        let actions = lines(&run.join("plan.ndjson"));
        assert!(!actions.is_empty());
        actions.iter().for_each(|action| check("plan-action", action));
    }
    lines(&old().join("reports/ledger.ndjson")).iter().for_each(|line| check("ledger-line", line));
    let printed = lines(&old().join("run.ndjson"));
    let (last, found) = printed.split_last().unwrap();
    check("summary", last);
    found.iter().for_each(|line| check("divergence-line", line));
    check("audit-verify", &read_json(&old().join("audit-verify.json")));
    check("history", &read_json(&old().join("history.json")));
}

#[test]
fn the_reports_of_an_earlier_version_are_verified_rendered_and_followed() {
    let workspace = Workspace::new();
    crate::scenarios::copy(&old(), workspace.path());
    workspace.reconcile(["audit", "verify"]).expect(0, &["2 runs unchanged"]);
    let shown = json(workspace.reconcile(["report", "latest", "--format", "json"]).expect(1, &[]));
    let newest = workspace.runs().pop().unwrap();
    let then = read_json(&newest.join("summary.json"));
    assert_eq!(shown["contracts"][0]["divergences"], then["contracts"][0]["divergences"]);
    assert_eq!(shown["run_id"], then["run_id"]);
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["audit", "verify"]).expect(0, &["3 runs unchanged"]);
    let now = read_json(&workspace.runs().pop().unwrap().join("summary.json"));
    let known = &now["contracts"][0]["recurrence"];
    assert_eq!((known["since"].clone(), known["new"].as_u64()), (then["run_id"].clone(), Some(0)), "{known}");
}

#[test]
fn a_schema_refuses_what_it_does_not_know() {
    let mut summary = read_json(&crate::support::runs_in(&old().join("reports"))[0].join("summary.json"));
    holds("summary", &summary);
    summary["contracts"][0]["books"]["authority"]["lost"] = 1.into();
    assert!(faults("summary", "summary.json", &summary).contains("docs/schemas/summary.schema.json"));
    summary["verdict"] = "fine".into();
    assert!(validator(&schema("summary")).validate(&summary).is_err());
}

#[test]
fn every_schema_is_named_where_the_formats_are_described() {
    let text = fs::read_to_string(root().join("docs/formats.md")).unwrap();
    let published = published();
    assert!(published.len() >= 10, "{published:?}");
    for name in published {
        assert!(text.contains(&format!("schemas/{name}.schema.json")), "docs/formats.md does not name {name}");
    }
}
