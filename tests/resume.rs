//! Going on from a run that was cut off: what it compared to its end is taken over as it found it, what it read is kept, and
//! whatever does not fit is refused.

use std::fs;
use std::path::Path;

use crate::formats::complaints;
use crate::signing::make_keys;
use crate::support::{Outcome, Workspace, contract, divergences, read_json};

#[cfg(all(feature = "postgres", feature = "mysql"))]
mod servers;

/// The id of the newest run.
fn newest(workspace: &Workspace) -> String {
    let run = workspace.runs().pop().expect("a run was published");
    run.file_name().unwrap().to_string_lossy().into_owned()
}

/// A contract that drifts, one that agrees, and one whose projection is not there.
fn three() -> Workspace {
    let workspace = Workspace::new();
    let contract = |name: &str| {
        format!(
            "[source.{name}_a]\nlocation = \"{name}-a.csv\"\n[source.{name}_p]\nlocation = \"{name}-p.csv\"\n\
             [contract.{name}]\nversion = \"1.0.0\"\nauthority = \"{name}_a\"\nprojection = \"{name}_p\"\nkey = [\"id\"]\n\
             repair = {{ missing = \"auto\" }}\n"
        )
    };
    workspace
        .file("reconcile.toml", &format!("version = 1\n{}{}{}", contract("one"), contract("two"), contract("three")));
    workspace.file("one-a.csv", "id,n\n1,a\n2,b\n3,c\n4,1e3\n");
    workspace.file("one-p.csv", "id,n\n1,a\n2,x\n4,\"\u{202e}\"\n");
    for file in ["two-a.csv", "two-p.csv", "three-a.csv"] {
        workspace.file(file, "id,n\n1,a\n2,b\n");
    }
    workspace
}

#[test]
fn what_was_compared_to_its_end_is_taken_over_as_it_was_found() {
    let workspace = three();
    workspace.reconcile(["run"]).expect(2, &["unverified  three"]);
    let first = workspace.runs().pop().unwrap();
    workspace.file("three-p.csv", "id,n\n1,a\n");
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome
        .unbroken()
        .expect(1, &["drifted one", "agreed two", "drifted three", "goes on from run", "2 contracts taken"]);
    outcome.unbroken().expect(1, &["nothing of it was read now"]);
    let second = workspace.runs().pop().unwrap();
    assert_ne!(first, second);
    // The lines of the first run, and one more.
    let (before, after) = (divergences(&first), divergences(&second));
    assert_eq!(before, after[..before.len()], "what was told once is told again");
    assert_eq!(after.len(), before.len() + 1);
    let plan = |run: &Path| fs::read_to_string(run.join("plan.ndjson")).unwrap();
    assert!(!plan(&first).is_empty() && plan(&second).starts_with(&plan(&first)), "{}", plan(&second));
    let (then, now) = (read_json(&first.join("summary.json")), read_json(&second.join("summary.json")));
    assert_eq!(now["resumed"]["run_id"], then["run_id"]);
    let manifest = blake3::hash(&fs::read(first.join("manifest.json")).unwrap()).to_hex().to_string();
    assert_eq!(now["resumed"]["manifest"], manifest);
    for name in ["one", "two"] {
        let (then, now) = (contract(&then, name), contract(&now, name));
        for field in ["verdict", "rows", "divergences", "coverage", "books", "captured_at"] {
            assert_eq!(then[field], now[field], "{name}: {field}");
        }
        assert_eq!(now["segments"]["whole"], true, "{name}");
        assert_eq!(now["segments"]["readings"][0]["rows"]["authority"], then["rows"]["authority"], "{name}");
    }
    assert_eq!(contract(&now, "three")["segments"], serde_json::Value::Null);
    workspace.reconcile(["audit", "verify"]).expect(0, &["2 runs"]);
    assert_eq!(complaints(&first) + &complaints(&second), "");
    workspace.reconcile(["report", "latest"]).unbroken().expect(1, &["goes on from run"]);
    workspace
        .reconcile(["audit", "reproduce", "latest"])
        .unbroken()
        .expect(2, &["it goes on from run", "other instants"]);
}

#[test]
fn a_file_that_has_changed_since_is_compared_anew() {
    let workspace = three();
    workspace.reconcile(["run"]).expect(2, &[]);
    workspace.file("three-p.csv", "id,n\n1,a\n2,b\n");
    workspace.file("one-p.csv", "id,n\n1,a\n2,b\n3,c\n4,1e3\n");
    fs::remove_file(workspace.path().join("two-p.csv")).unwrap();
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(
        2,
        &["agreed one", "unverified two", "is compared anew", "has changed since", "cannot be read any more"],
    );
    // And that run can be gone on with in turn.
    workspace.file("two-p.csv", "id,n\n1,a\n2,b\n");
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(0, &["3 agreed", "2 contracts taken over"]);
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(2, &["compared every contract to its end"]);
}

#[cfg(feature = "sqlite")]
#[test]
fn what_was_found_of_another_database_is_compared_anew() {
    let workspace = three();
    for (name, text) in [("stage", "b"), ("prod", "wrong")] {
        let database = rusqlite::Connection::open(workspace.path().join(format!("{name}.db"))).unwrap();
        let rows = format!("INSERT INTO t VALUES (1, 'a'), (2, '{text}')");
        database.execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); {rows}")).unwrap();
    }
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let location = "location = \"sqlite:${WHICH}.db\"\ntable = \"t\"";
    workspace.file("reconcile.toml", &text.replace("location = \"two-p.csv\"", location));
    let run = |which: &str, arguments: &[&str]| {
        Outcome::of(&workspace.command(arguments).env("WHICH", which).output().unwrap()).unbroken()
    };
    run("stage", &["run"]).expect(2, &["agreed two", "unverified three"]);
    run("stage", &["run", "--resume", "latest"]).expect(2, &["agreed two", "2 contracts taken"]);
    let told = ["drifted two", "is compared anew: a database that it read is another one now"];
    run("prod", &["run", "--resume", "latest"]).expect(2, &told);
}

#[test]
fn what_is_older_than_allowed_by_now_is_compared_anew() {
    let workspace = three();
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let aging =
        text.replacen("one-a.csv\"\n", "one-a.csv\"\ncaptured_at = { file = \"mtime\" }\nmax_age = \"5s\"\n", 1);
    workspace.file("reconcile.toml", &aging);
    workspace.reconcile(["run"]).unbroken().expect(2, &["drifted one"]);
    std::thread::sleep(std::time::Duration::from_secs(6));
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(2, &["older by now than its `max_age` allows", "unverified one"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let workspace = three();
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(2, &["cannot be gone on with"]);
    workspace.reconcile(["run"]).expect(2, &[]);
    let run = newest(&workspace);
    let refused = |arguments: &[&str], texts: &[&str]| {
        let all = ["run", "--resume", "latest"].iter().chain(arguments);
        workspace.reconcile(all).unbroken().expect(2, texts);
        assert_eq!(workspace.runs().len(), 1, "nothing is published");
    };
    refused(&["--where", "id > 1"], &["it was of all keys, without `--where`"]);
    refused(&["--no-plan"], &["it drafted a plan: leave `--no-plan` out"]);
    refused(&["one"], &["cannot be used with"]);
    workspace.reconcile(["run", "--resume", "2020"]).unbroken().expect(2, &["no run `2020`"]);
    let changes = [
        (
            "version = \"1.0.0\"\nauthority = \"one_a\"",
            "version = \"1.0.1\"\nauthority = \"one_a\"",
            "contract \"one\" means something else",
        ),
        ("location = \"two-a.csv\"", "location = \"./two-a.csv\"", "contract \"two\" reads other places"),
        ("[contract.three]", "[contract.four]", "contract \"three\" is not in reconcile.toml"),
    ];
    for (from, to, expected) in changes {
        assert!(text.contains(from), "{from}");
        workspace.file("reconcile.toml", &text.replace(from, to));
        refused(&[], &[expected]);
    }
    workspace.file("reconcile.toml", &text);
    for file in ["resume.json", "divergences.parquet", "manifest.json"] {
        let path = workspace.path().join("reports").join(&run).join(file);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[10] ^= 1;
        fs::write(&path, &changed).unwrap();
        refused(&[], &[file, "was changed", "nothing is taken over"]);
        fs::write(&path, &whole).unwrap();
    }
    // Another run makes it old enough to be pruned.
    workspace.file("three-p.csv", "id,n\n1,a\n2,b\n");
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(2, &["compared every contract to its end"]);
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[]);
    workspace.reconcile(["run", "--resume", &run]).unbroken().expect(2, &["was pruned"]);
}

/// What another version wrote may mean something else, whatever its files look like.
#[test]
fn what_another_version_wrote_is_refused() {
    let workspace = three();
    for (pointer, value, expected) in [
        ("/tool/version", serde_json::json!("0.0.9"), "it was written by version 0.0.9, and this is version"),
        ("/digest_format", serde_json::json!(99), "its digests are of another format than those of this version"),
    ] {
        workspace.reconcile(["run"]).expect(2, &[]);
        let run = newest(&workspace);
        let path = workspace.path().join("reports").join(&run).join("manifest.json");
        let mut manifest = read_json(&path);
        *manifest.pointer_mut(pointer).unwrap() = value;
        fs::write(&path, manifest.to_string()).unwrap();
        // The next run takes it up as it is now.
        fs::remove_file(workspace.path().join("reports/ledger.ndjson")).unwrap();
        workspace.reconcile(["run"]).expect(2, &["was adopted"]);
        let runs = workspace.runs().len();
        workspace.reconcile(["run", "--resume", &run]).unbroken().expect(2, &["cannot be gone on with", expected]);
        assert_eq!(workspace.runs().len(), runs, "nothing is published");
    }
}

/// What was taken over is as old as the run that found it, and so is the plan.
#[test]
fn a_plan_that_was_taken_over_is_as_old_as_it_was() {
    let workspace = three();
    workspace.reconcile(["run"]).expect(2, &[]);
    let began = read_json(&workspace.run().join("summary.json"))["started_at"].as_str().unwrap().to_owned();
    let began: jiff::Timestamp = began.parse().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    workspace.file("three-p.csv", "id,n\n1,a\n2,b\n");
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(1, &["2 contracts taken over"]);
    let age = format!("{}s", jiff::Timestamp::now().duration_since(began).as_secs());
    let apply = |age: &str| workspace.reconcile(["apply", "latest", "--max-age", age]);
    apply(&age).unbroken().expect(2, &["its plan is", &format!("at most {age} is allowed")]);
    apply("1h").unbroken().expect(1, &["for a person"]);
}

#[test]
fn a_run_that_names_another_than_the_ledger_holds_is_complained_of() {
    let workspace = three();
    workspace.reconcile(["run"]).expect(2, &[]);
    let first = newest(&workspace);
    workspace.file("three-p.csv", "id,n\n1,a\n2,b\n");
    workspace.reconcile(["run", "--resume", "latest"]).expect(1, &[]);
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
    // Whoever removes the run that was cut off is found out; a run that is pruned leaves its line.
    workspace.reconcile(["audit", "prune", "--keep-runs", "1"]).expect(0, &[]);
    workspace.reconcile(["audit", "verify"]).expect(0, &[&format!("run `{first}` was pruned")]);
}

#[test]
fn a_signature_is_not_given_to_what_nobody_signed_and_none_is_lost() {
    let workspace = three();
    make_keys(&workspace, "one");
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let signs = format!("{text}\n[run.sign]\nkey = \"one.key\"\n");
    workspace.reconcile(["run"]).expect(2, &[]);
    workspace.file("reconcile.toml", &signs);
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(2, &["it is not signed, and this run would sign what nobody signed then"]);
    workspace.reconcile(["run"]).expect(2, &[]);
    workspace.file("reconcile.toml", &text);
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(2, &["it is signed, and this run would not be"]);
    assert_eq!(workspace.runs().len(), 2);
    workspace.file("reconcile.toml", &signs);
    workspace.file("three-p.csv", "id,n\n1,a\n2,b\n");
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(1, &["2 contracts taken over"]);
}
