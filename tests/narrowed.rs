//! A run that `--where` narrowed says so wherever it is shown, and speaks for the whole nowhere.

use std::fs;

use serde_json::Value;

use crate::formats;
use crate::receiver::{Answer, Receiver};
use crate::support::{Outcome, Workspace, pair_contract, read_json};

/// A contract whose copy differs at the key 2 and lacks 3; `run` stands under `[run]`.
fn drifted(run: &str) -> Workspace {
    let workspace =
        Workspace::pair(("a.csv", b"id,name\n1,Anna\n2,Bert\n3,Cleo\n"), ("b.csv", b"id,name\n1,Anna\n2,Quirinus\n"));
    let text = pair_contract("a.csv", "b.csv");
    workspace.file("reconcile.toml", &text.replacen("version = 1\n", &format!("version = 1\n{run}\n"), 1));
    workspace
}

const NARROWED: [&str; 3] = ["run", "--where", "id = '1'"];

fn json(workspace: &Workspace, words: &[&str]) -> Value {
    serde_json::from_str(&workspace.reconcile(words).stdout).unwrap()
}

#[test]
fn its_sentence_and_every_file_say_what_was_left_out() {
    let workspace = drifted("");
    workspace.reconcile(["run", "--no-cache"]).expect(1, &[]);
    let outcome = workspace.reconcile(NARROWED).unbroken();
    outcome.expect(
        0,
        &[
            "every row that satisfies `--where` agrees (2 rows of the authority and 1 of the projection out of scope)",
            "narrowed by --where: id = '1'",
        ],
    );
    assert!(!outcome.stdout.contains("every row agrees"), "{}", outcome.shown());
    let run = workspace.runs().pop().unwrap();
    let summary = read_json(&run.join("summary.json"));
    formats::holds("summary", &summary);
    assert_eq!(summary["where"], "id = '1'");
    let text = |name: &str| fs::read_to_string(run.join(name)).unwrap();
    let expected = [
        ("junit.xml", "<property name=\"where\" value=\"id = '1'\"/>"),
        ("junit.xml", "every row that satisfies `--where` agrees"),
        ("metrics.prom", "\nreconcile_run_narrowed 1\n"),
        ("openlineage.ndjson", "\"reconcile_scope\""),
        ("openlineage.ndjson", "agrees with its authority where --where holds"),
        ("report.md", "Only keys that satisfy `--where` were compared"),
        ("report.html", "Narrowed by --where"),
    ];
    for (name, words) in expected {
        assert!(text(name).contains(words), "{name} does not say {words}\n{}", text(name));
    }
    assert!(!text("openlineage.ndjson").contains("id = "), "a predicate may hold a value");
    assert_eq!(formats::complaints(&run), "");
    // A run over all keys says none of it.
    let whole = workspace.runs().remove(0);
    for (name, words) in [("summary.json", "\"where\""), ("metrics.prom", "narrowed"), ("openlineage.ndjson", "scope")]
    {
        assert!(!fs::read_to_string(whole.join(name)).unwrap().contains(words), "{name}");
    }
}

#[test]
fn it_is_no_last_verdict_and_does_not_head_the_history() {
    let workspace = drifted("");
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(NARROWED).expect(0, &[]);
    let [whole, narrowed] = &workspace.runs()[..] else { panic!("two runs are expected") };
    let [whole, narrowed] = [whole, narrowed].map(|run| run.file_name().unwrap().to_string_lossy().into_owned());
    let listed = json(&workspace, &["contracts", "--format", "json"]);
    assert_eq!(listed["contracts"][0]["last_verdict"], "drifted");
    assert_eq!(listed["contracts"][0]["last_run"], *whole);
    let heading = format!("pair: drifted in {whole}; agreed in {narrowed}, narrowed by --where");
    workspace.reconcile(["history"]).expect(0, &[&heading]);
    // Whatever is drawn.
    workspace.reconcile(["history", "--last", "1"]).expect(0, &[&heading]);
    workspace.reconcile(["history", "--last", "0"]).expect(0, &[&heading]);
    let index = fs::read_to_string(workspace.path().join("reports/index.html")).unwrap();
    let head = index.split("<main").next().unwrap();
    assert!(head.contains("<h1>Drifted</h1>"), "{head}");
    assert!(head.contains("1 later run compared only some keys"), "{head}");
    assert!(index.contains("only keys that satisfy --where"), "{index}");
}

#[test]
fn where_nothing_else_ran_it_is_shown_as_what_it_is() {
    let workspace = drifted("");
    workspace.reconcile(NARROWED).expect(0, &[]);
    workspace.reconcile(["contracts"]).expect(0, &["never run"]);
    workspace.reconcile(["history"]).expect(0, &["pair: never ran as a whole; agreed in", "narrowed by --where"]);
    let index = fs::read_to_string(workspace.path().join("reports/index.html")).unwrap();
    assert!(index.contains("which <code>--where</code> narrowed to some keys"), "{index}");
}

#[test]
fn a_recovery_is_told_though_a_narrowed_run_agreed_before() {
    let receiver = Receiver::start(&[Answer::Status(200)]);
    let workspace =
        drifted("[run.notify]\nurl = \"${HOOK}\"\ntimeout = \"60s\"\non = [\"agreed\", \"drifted\", \"recovered\"]");
    let run = |words: &[&str], status: i32| {
        let mut command = workspace.command(words);
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        Outcome::of(&command.env("HOOK", receiver.url()).output().unwrap()).expect(status, &[]);
        let request = receiver.requests().pop().unwrap();
        let notice: Value = serde_json::from_slice(&request.body).unwrap();
        formats::holds("notice", &notice);
        notice
    };
    assert_eq!(run(&["run"], 1)["narrowed"], Value::Null);
    let narrowed = run(&NARROWED, 0);
    assert_eq!((&narrowed["narrowed"], &narrowed["recovered"]), (&Value::Bool(true), &serde_json::json!([])));
    fs::copy(workspace.path().join("a.csv"), workspace.path().join("b.csv")).unwrap();
    let whole = run(&["run"], 0);
    assert_eq!(whole["contracts"][0]["before"], "drifted");
    assert_eq!(whole["recovered"], serde_json::json!(["pair"]));
}
