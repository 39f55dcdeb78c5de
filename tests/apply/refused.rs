//! What keeps a plan from being applied: each is said with its reason, ends with status 2, and nothing is written.

use crate::support::{Workspace, read_json};

const OWNER: &str = "id,name\n1,Anna\n2,Bert\n3,Cleo\n4,Dora\n";

/// A contract of a CSV authority and a SQLite projection in which one row differs, one is missing and one too many.
fn workspace(source: &str, contract: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("owner.csv", OWNER);
    let database = rusqlite::Connection::open(workspace.path().join("copy.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE told (what TEXT);
             CREATE TABLE kid (t INTEGER REFERENCES t (id) ON DELETE CASCADE);
             CREATE TRIGGER loud AFTER UPDATE ON t BEGIN INSERT INTO told VALUES (new.id); END;
             INSERT INTO t VALUES (1, 'Anna'), (2, 'Berta'), (4, 'Dora'), (9, 'Old'); INSERT INTO kid VALUES (1)",
        )
        .unwrap();
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.owner]\nlocation = \"owner.csv\"\n{source}[source.copy]\nlocation = \"sqlite:copy.db\"\ntable = \"t\"\n\
             [contract.people]\nversion = \"1.0.0\"\nauthority = \"owner\"\nprojection = \"copy\"\nkey = [\"id\"]\n{contract}\
             [contract.people.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\n"
        ),
    );
    workspace
}

fn names(workspace: &Workspace) -> String {
    let database = rusqlite::Connection::open(workspace.path().join("copy.db")).unwrap();
    let all = "SELECT group_concat(id || name, ' ') FROM (SELECT * FROM t ORDER BY id)";
    database.query_row(all, [], |row| row.get(0)).unwrap()
}

const UNTOUCHED: &str = "1Anna 2Berta 4Dora 9Old";

/// Both a look and an execution are refused, and neither writes anything.
#[track_caller]
fn refused(workspace: &Workspace, arguments: &[&str], words: &[&str]) {
    for execute in [&["--execute"][..], &[]] {
        workspace.reconcile([&["apply"], arguments, execute].concat()).unbroken().expect(2, words);
        assert_eq!(names(workspace), UNTOUCHED);
    }
    assert!(!workspace.path().join("reports/applied").exists(), "there is no receipt of what was not done");
}

#[test]
fn the_plan_of_a_contract_that_is_unverified() {
    let workspace = workspace("captured_at = \"2020-01-01T00:00:00Z\"\nmax_age = \"1h\"\n", "");
    workspace.reconcile(["run"]).expect(2, &["unverified"]);
    refused(
        &workspace,
        &["latest"],
        &["contract \"people\": it is unverified", "so its plan is not applied", "run it again"],
    );
}

#[test]
fn the_plan_of_a_run_that_could_not_read_all_rows() {
    let workspace = workspace("", "");
    workspace.file("owner.csv", &format!("{OWNER}5,\"broken\n"));
    workspace.reconcile(["run"]).expect(2, &["unverified"]);
    refused(&workspace, &["latest"], &["it is unverified"]);
}

#[test]
fn the_plan_of_a_run_that_was_interrupted() {
    let workspace = workspace("", "");
    let rows: String = (1..400_000).map(|id| format!("{id},somebody with a long name {id}\n")).collect();
    workspace.file("owner.csv", &format!("id,name\n{rows}"));
    // A first look at the rows takes long enough to be interrupted while it is taken.
    let mut child = workspace.command(["run", "--no-progress", "--threads", "1"]).spawn().unwrap();
    while !workspace.path().join("reports").exists() {
        assert!(child.try_wait().unwrap().is_none());
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let manifest = read_json(&workspace.run().join("manifest.json"));
    assert!(manifest["interrupted"].is_number(), "{manifest}");
    refused(&workspace, &["latest"], &["it was interrupted, so its plan is not applied", "run it again"]);
}

#[test]
fn a_plan_that_is_older_than_is_allowed() {
    let workspace = workspace("", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    refused(
        &workspace,
        &["latest", "--max-age", "0s"],
        &["its plan is", "old, at most 0s is allowed", "`--max-age` allows an older one"],
    );
    workspace.reconcile(["apply", "latest", "--max-age", "1h"]).expect(0, &["would"]);
}

#[test]
fn a_plan_or_run_that_was_changed() {
    for (file, from, to) in [
        ("plan.ndjson", "Cleo", "Clea"),
        ("manifest.json", "\"version\": \"1.0.0\"", "\"version\": \"1.0.1\""),
        ("report.md", "people", "persons"),
    ] {
        let workspace = workspace("", "");
        workspace.reconcile(["run"]).expect(1, &[]);
        let path = workspace.run().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        refused(&workspace, &["latest"], &[file]);
        let folder = workspace.run();
        refused(&workspace, &[folder.to_str().unwrap()], &[file]);
        refused(&workspace, &[folder.join("plan.ndjson").to_str().unwrap()], &[file]);
    }
}

#[test]
fn a_plan_whose_contract_is_another_one_now() {
    let workspace = workspace("", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    for (from, to) in [
        ("1.0.0", "1.0.1"),
        ("key = [\"id\"]\n", "key = [\"id\"]\nfail_on = \"high\"\n"),
        ("missing = \"auto\"\n", "missing = \"auto\"\norphan = \"review\"\n"),
        ("table = \"t\"", "table = \"kid\""),
    ] {
        workspace.file("reconcile.toml", &text.replace(from, to));
        refused(
            &workspace,
            &["latest"],
            &["contract \"people\": the contract has changed since the run", "run it again"],
        );
    }
    workspace.file("reconcile.toml", &text.replace("contract.people", "contract.persons"));
    refused(&workspace, &["latest"], &["it is not in the contract file any more"]);
}

#[test]
fn more_than_the_contract_lets_be_repaired() {
    let workspace = workspace("", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    for (breaker, name) in [("max_ratio = \"49%\"", "max_ratio"), ("max_actions = 1", "max_actions")] {
        let workspace = self::workspace("", "");
        workspace.file("reconcile.toml", &format!("{text}{breaker}\n"));
        workspace.reconcile(["run"]).expect(1, &[]);
        refused(&workspace, &["latest"], &[name]);
    }
    workspace.file("reconcile.toml", &format!("{text}max_ratio = \"50%\"\nmax_actions = 3\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["apply", "latest", "--execute"]).expect(0, &["2 done"]);
    workspace.reconcile(["apply", "--rollback", "latest", "--execute"]).expect(0, &["2 done"]);
    // What was accepted or asked for besides counts too.
    workspace.file("reconcile.toml", &format!("{text}orphan = \"review\"\nmax_ratio = \"50%\"\n"));
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace
        .reconcile(["apply", "latest", "--include-review", "--execute"])
        .expect(2, &["max_ratio", "nothing was done"]);
    assert_eq!(names(&workspace), UNTOUCHED);
}

#[test]
fn what_acts_by_itself_is_said_before_anything_is_written() {
    let workspace = workspace("", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let look = workspace.reconcile(["apply", "latest"]);
    look.unbroken().expect(
        0,
        &[
            "table `t`: trigger `loud` acts by itself when rows are written, and no rollback undoes what it does",
            "foreign key of `kid` (on delete cascade, on update no action)",
            "2 would be done",
        ],
    );
    let script = std::fs::read_to_string(workspace.run().join("plan.sql")).unwrap();
    assert!(script.contains("-- acts by itself: table `t`: trigger `loud`"), "{script}");
    assert_eq!(names(&workspace), UNTOUCHED);
}

/// What people accepted after the run is done like what is safe; nothing else that waits for a person is.
#[test]
fn what_was_accepted_after_the_run_is_applied_and_nothing_else_that_waits() {
    let workspace = workspace("", "");
    let database = rusqlite::Connection::open(workspace.path().join("copy.db")).unwrap();
    database.execute_batch("INSERT INTO t VALUES (8, 'Other')").unwrap();
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["apply", "latest"]).expect(0, &["2 would be done", "2 more actions wait for a person"]);
    let rows = workspace.reconcile(["review", "export"]).stdout;
    let line = rows.lines().find(|line| line.contains("Old") || line.contains("\"\"id\"\":9")).unwrap();
    let head = rows.lines().next().unwrap();
    let place = csv::Reader::from_reader(head.as_bytes())
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "decision")
        .unwrap();
    let record =
        csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes()).records().next().unwrap().unwrap();
    let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
    cells[place] = "accept-authority".to_owned();
    cells[place + 3] = "it was cancelled".to_owned();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(head.split(',').map(|cell| cell.trim_matches('"'))).unwrap();
    writer.write_record(&cells).unwrap();
    workspace.bytes("review.csv", &writer.into_inner().unwrap());
    workspace.reconcile(["review", "import", "review.csv", "--who", "amy"]).expect(0, &["1 decision"]);
    workspace.reconcile(["apply", "latest", "--execute"]).expect(0, &["3 done", "1 more action waits for a person"]);
    assert_eq!(names(&workspace), "1Anna 2Bert 3Cleo 4Dora 8Other");
    workspace.reconcile(["apply", "--rollback", "latest", "--execute"]).expect(0, &["3 done"]);
    assert_eq!(names(&workspace), "1Anna 2Berta 4Dora 8Other 9Old");
}

#[test]
fn a_target_that_another_apply_writes_to() {
    let workspace = workspace("", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let path = std::fs::canonicalize(workspace.path().join("copy.db")).unwrap();
    let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
    let lock = std::env::temp_dir().join(format!("reconcile-apply-{}.lock", &name[..16]));
    let held = std::fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    workspace
        .reconcile(["apply", "latest", "--execute"])
        .expect(2, &["another apply is writing to it", "nothing was written"]);
    assert_eq!(names(&workspace), UNTOUCHED);
    drop(held);
    workspace.reconcile(["apply", "latest", "--execute"]).expect(0, &["2 done"]);
}
