//! A plan, a receipt and a journal are of the database that they were made for, whatever a variable of its name says now.

use std::path::Path;

use crate::support::{Outcome, Workspace};

const CONTRACT: &str = "version = 1\n[source.owner]\nlocation = \"owner.csv\"\n[source.copy]\nlocation = \"sqlite:${ENVI}.db\"\ntable = \"t\"\n\
    [contract.people]\nversion = \"1.0.0\"\nauthority = \"owner\"\nprojection = \"copy\"\nkey = [\"id\"]\n\
    [contract.people.repair]\nmismatch = \"auto\"\norphan = \"review\"\n";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("owner.csv", "id,name\n1,Anna\n2,Bert\n");
    workspace.file("reconcile.toml", CONTRACT);
    for name in ["stage.db", "prod.db"] {
        let rows = "INSERT INTO t VALUES (1, 'Anna'), (2, 'Berta'), (3, 'Cleo')";
        let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)";
        let database = rusqlite::Connection::open(workspace.path().join(name)).unwrap();
        database.execute_batch(&format!("{table}; {rows}")).unwrap();
    }
    workspace
}

fn in_place(workspace: &Workspace, place: &str, arguments: &[&str]) -> Outcome {
    Outcome::of(&workspace.command(arguments).env("ENVI", place).output().unwrap()).unbroken()
}

fn rows(folder: &Path, name: &str) -> String {
    let database = rusqlite::Connection::open(folder.join(name)).unwrap();
    let all = "SELECT group_concat(id || name, ' ') FROM (SELECT * FROM t ORDER BY id)";
    database.query_row(all, [], |row| row.get(0)).unwrap()
}

const EXECUTE: [&str; 4] = ["apply", "latest", "--include-review", "--execute"];
const UNTOUCHED: &str = "1Anna 2Berta 3Cleo";

#[test]
fn a_plan_and_a_receipt_are_not_carried_out_on_another_database() {
    let workspace = workspace();
    in_place(&workspace, "stage", &["run"]).expect(1, &[]);
    let said = ["made for another database than `sqlite:${ENVI}.db` stands for now", "or run it again"];
    in_place(&workspace, "prod", &EXECUTE).expect(2, &said);
    in_place(&workspace, "prod", &["apply", "latest"]).expect(2, &said);
    // Nor where the name itself is another one.
    workspace.file("reconcile.toml", &CONTRACT.replace("${ENVI}", "prod"));
    in_place(&workspace, "stage", &EXECUTE).expect(2, &["made for another database than `sqlite:prod.db`"]);
    workspace.file("reconcile.toml", CONTRACT);
    assert_eq!(rows(workspace.path(), "prod.db"), UNTOUCHED);
    in_place(&workspace, "stage", &EXECUTE).expect(0, &["2 done"]);
    assert_eq!(rows(workspace.path(), "stage.db"), "1Anna 2Bert");
    // In the other one the rows are as the apply left them here.
    let prod = rusqlite::Connection::open(workspace.path().join("prod.db")).unwrap();
    prod.execute_batch("DELETE FROM t WHERE id = 3; UPDATE t SET name = 'Bert' WHERE id = 2").unwrap();
    let back = ["apply", "--rollback", "latest", "--execute"];
    in_place(&workspace, "prod", &back).expect(2, &["made for another database than"]);
    assert_eq!(rows(workspace.path(), "prod.db"), "1Anna 2Bert");
    in_place(&workspace, "stage", &back).expect(0, &["2 done"]);
    assert_eq!(rows(workspace.path(), "stage.db"), UNTOUCHED);
}

#[test]
fn what_an_apply_left_unfinished_is_settled_in_its_own_database_only() {
    let workspace = workspace();
    in_place(&workspace, "stage", &["run"]).expect(1, &[]);
    in_place(&workspace, "stage", &EXECUTE).expect(0, &["2 done"]);
    // As it was left by an apply that was killed before its transaction was durable.
    let applied = workspace.path().join("reports/applied");
    let name = crate::support::tree(&applied).remove(0);
    let receipt = std::fs::read_to_string(applied.join(&name)).unwrap();
    let id = name.trim_end_matches(".ndjson");
    let begun: Vec<&str> = receipt.lines().take(2).collect();
    let begun = format!("{}\n", begun.join("\n")).replace(id, "A20261121T000000000Z-00000000");
    let left = applied.join("A20261121T000000000Z-00000000.ndjson");
    std::fs::write(&left, &begun).unwrap();
    in_place(&workspace, "prod", &["run"]).expect(1, &[]);
    in_place(&workspace, "prod", &EXECUTE).expect(0, &["2 done"]);
    assert_eq!(std::fs::read_to_string(&left).unwrap(), begun, "it says nothing of these rows");
    in_place(&workspace, "stage", &["run"]).expect(0, &[]);
    let settled = in_place(&workspace, "stage", &["apply", "--rollback", id, "--execute"]);
    settled.expect(0, &["apply `A20261121T000000000Z-00000000` did not end", "2 done"]);
    assert!(std::fs::read_to_string(&left).unwrap().contains("\"record\":\"end\""));
}

/// A value of the environment stands in no file, so a script cannot hold a filter with one.
#[test]
fn a_filter_with_a_value_of_the_environment_is_in_no_script() {
    let workspace = workspace();
    let filter = "table = \"t\"\nfilter = \"name <> '${ENVI}'\"\n";
    workspace.file("reconcile.toml", &CONTRACT.replace("${ENVI}", "stage").replace("table = \"t\"\n", filter));
    in_place(&workspace, "whisper", &["run"]).expect(1, &[]);
    let run = workspace.run();
    let scripts = ["plan.sql", "rollback.sql"].map(|name| std::fs::read_to_string(run.join(name)).unwrap()).concat();
    assert!(scripts.contains("the source's filter holds a value of the environment"), "{scripts}");
    assert!(!scripts.contains("whisper"), "{scripts}");
    in_place(&workspace, "whisper", &EXECUTE).expect(0, &["2 done"]);
    assert_eq!(rows(workspace.path(), "stage.db"), "1Anna 2Bert");
    let kept = crate::support::tree(&workspace.path().join("reports"));
    for file in kept.iter().map(|name| workspace.path().join("reports").join(name)).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(7).any(|part| part == b"whisper"), "{}", file.display());
    }
}

/// A call to be repeated: the second time it changes nothing, and says so.
#[test]
fn to_roll_the_latest_back_twice_is_to_do_it_once() {
    let workspace = workspace();
    in_place(&workspace, "stage", &["run"]).expect(1, &[]);
    in_place(&workspace, "stage", &EXECUTE).expect(0, &["2 done"]);
    in_place(&workspace, "stage", &EXECUTE).expect(0, &["2 already"]);
    let back = ["apply", "--rollback", "latest", "--execute"];
    in_place(&workspace, "stage", &back).expect(0, &["2 done"]);
    in_place(&workspace, "stage", &back).expect(0, &["was rolled back already, by `A", "0 done, 2 already"]);
    assert_eq!(rows(workspace.path(), "stage.db"), UNTOUCHED);
}

const TWO: &str = "version = 1\n[source.owner]\nlocation = \"owner.csv\"\n[source.one]\nlocation = \"sqlite:${ONE}.db\"\ntable = \"t\"\n\
    [source.two]\nlocation = \"sqlite:${ENVI}.db\"\ntable = \"t\"\n\
    [contract.one]\nversion = \"1.0.0\"\nauthority = \"owner\"\nprojection = \"one\"\nkey = [\"id\"]\n\
    [contract.two]\nversion = \"1.0.0\"\nauthority = \"owner\"\nprojection = \"two\"\nkey = [\"id\"]\n\
    [defaults.repair]\nmismatch = \"auto\"\norphan = \"review\"\n";

/// Several targets of one plan: each has a receipt, and the failure of one does not hide what was written to the others.
#[test]
fn every_target_of_a_call_has_its_receipt_and_its_lines() {
    let workspace = workspace();
    workspace.file("reconcile.toml", &TWO.replace("${ONE}", "stage"));
    in_place(&workspace, "prod", &["run"]).expect(1, &[]);
    // Another apply has the second one.
    let path = std::fs::canonicalize(workspace.path().join("prod.db")).unwrap();
    let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
    let lock = std::env::temp_dir().join(format!("reconcile-apply-{}.lock", &name[..16]));
    let held = std::fs::File::create(&lock).unwrap();
    held.lock().unwrap();
    let said = ["another apply is writing to it", "2 done", "2 skipped"];
    in_place(&workspace, "prod", &EXECUTE).expect(2, &said);
    drop(held);
    in_place(&workspace, "prod", &EXECUTE).expect(0, &["2 done", "2 already"]);
    in_place(&workspace, "prod", &["apply", "--rollback", "latest", "--execute"]).expect(0, &["2 done"]);
    // Both at once, under names that look the same.
    workspace.file("reconcile.toml", &TWO.replace("${ONE}", "stage"));
    let stage = rusqlite::Connection::open(workspace.path().join("stage.db")).unwrap();
    stage.execute_batch("INSERT INTO t VALUES (3, 'Cleo')").unwrap();
    in_place(&workspace, "prod", &["run"]).expect(1, &[]);
    in_place(&workspace, "prod", &EXECUTE).expect(0, &["3 done"]);
    let back = in_place(&workspace, "prod", &["apply", "--rollback", "latest", "--execute"]);
    back.expect(0, &["wrote to other databases too: their receipts are `A"]);
}

/// A name may be the same and the database another one: by a password that a variable holds, or, here, by the user.
#[test]
fn targets_that_go_by_one_name_are_all_written_to() {
    let database = crate::servers::postgres::database();
    database.sql("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'Anna'), (2, 'Berta')");
    database.sql("CREATE TABLE u (id int PRIMARY KEY, name text); INSERT INTO u VALUES (1, 'Anna'), (2, 'Berta')");
    database.sql("DROP ROLE IF EXISTS second_of_apply; CREATE ROLE second_of_apply LOGIN PASSWORD 'second' SUPERUSER");
    let workspace = Workspace::new();
    workspace.file("owner.csv", "id,name\n1,Anna\n2,Bert\n");
    let source = |name: &str, url: &str, table: &str| {
        let contract = format!("version = \"1.0.0\"\nauthority = \"owner\"\nprojection = \"{name}\"\nkey = [\"id\"]");
        format!("[source.{name}]\nlocation = \"{url}\"\ntable = \"{table}\"\n[contract.{name}]\n{contract}\n")
    };
    let (one, two) =
        (source("one", &database.url(), "t"), source("two", &database.url_of("second_of_apply:second"), "u"));
    let head = "version = 1\n[source.owner]\nlocation = \"owner.csv\"\n[defaults.repair]\nmismatch = \"auto\"\n";
    workspace.file("reconcile.toml", &format!("{head}{one}{two}"));
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace.reconcile(["apply", "latest", "--execute"]).expect(0, &["2 done"]);
    assert_eq!(crate::support::tree(&workspace.path().join("reports/applied")).len(), 2);
    assert_eq!(database.sql("SELECT name FROM t WHERE id = 2 UNION ALL SELECT name FROM u WHERE id = 2"), "Bert\nBert");
}
