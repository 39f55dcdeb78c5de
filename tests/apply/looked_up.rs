//! After an apply the touched keys are compared again on both sides by asking for them alone; what cannot be asked for so is
//! compared as a whole, and says the same.

use crate::servers::{mariadb, postgres};
use crate::support::{Workspace, tree};

/// How many rows the tables have around those that differ.
const ROWS: usize = 30_000;

fn contract(workspace: &Workspace, [authority, projection]: [&str; 2], key: &str, more: &str) {
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{authority}\"\ntable = \"a\"\n[source.p]\nlocation = \"{projection}\"\ntable = \"p\"\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = {key}\n{more}\
             [contract.pair.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\norphan = \"review\"\n"
        ),
    );
}

/// What the newest receipt says of the touched keys: how many agree, how many diverge.
fn compared(workspace: &Workspace) -> (u64, u64) {
    let folder = workspace.path().join("reports/applied");
    let text = std::fs::read_to_string(folder.join(tree(&folder).last().unwrap())).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let found = lines.rev().find(|line| line["record"] == "compared").unwrap();
    assert!(found["unknown"].is_null(), "{found}");
    (found["agree"].as_u64().unwrap(), found["diverge"].as_u64().unwrap())
}

#[test]
fn postgres_is_asked_for_the_touched_keys_alone() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    database.sql(&format!(
        "CREATE TABLE a (id int, part varchar(20), name text, PRIMARY KEY (id, part)); CREATE TABLE p (LIKE a INCLUDING ALL);
         INSERT INTO a SELECT i, 'it''s \\' || i, 'name ' || i FROM generate_series(1, {ROWS}) i; INSERT INTO p SELECT * FROM a; ANALYZE;
         UPDATE p SET name = 'wrong' WHERE id = 7; DELETE FROM p WHERE id = 8; INSERT INTO p VALUES (0, 'x', 'y')"
    ));
    contract(&workspace, [&database.url(), &database.url()], "[\"id\", \"part\"]", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let read = || database.sql("SELECT pg_stat_clear_snapshot(), sum(seq_tup_read) FROM pg_stat_user_tables");
    let before = read();
    workspace.reconcile(["apply", "latest", "--execute", "--include-review"]).expect(0, &["3 done"]);
    assert_eq!(read(), before, "no table was read");
    assert_eq!(compared(&workspace), (3, 0));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}

#[test]
fn mariadb_and_sqlite_are_asked_for_the_touched_keys_alone() {
    let (workspace, database) = (Workspace::new(), mariadb::database());
    database.sql(&format!(
        "CREATE TABLE p (id varchar(20) CHARACTER SET latin1 PRIMARY KEY, name varchar(50)) CHARACTER SET utf8mb4; \
         INSERT INTO p SELECT concat('k', seq), concat('name ', seq) FROM seq_1_to_{ROWS}; \
         UPDATE p SET name = 'wrong' WHERE id = 'k7'; DELETE FROM p WHERE id = 'k8'; INSERT INTO p VALUES ('it''s \\\\', 'y')"
    ));
    let file = rusqlite::Connection::open(workspace.path().join("a.db")).unwrap();
    file.execute_batch(&format!(
        "CREATE TABLE a (id TEXT PRIMARY KEY, name TEXT); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS}) \
         INSERT INTO a SELECT 'k' || i, 'name ' || i FROM n"
    ))
    .unwrap();
    contract(&workspace, ["sqlite:a.db", &database.url()], "[\"id\"]", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    let read =
        || database.sql("SELECT ROWS_READ FROM information_schema.TABLE_STATISTICS WHERE TABLE_SCHEMA = DATABASE()");
    database.sql("SET GLOBAL userstat = 1");
    workspace.reconcile(["apply", "latest", "--execute", "--include-review"]).expect(0, &["3 done"]);
    let few: usize = read().parse().unwrap();
    assert!(few < 1_000, "{few} rows were read");
    assert_eq!(compared(&workspace), (3, 0));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}

/// Keys that compare otherwise than the database compares them are found by comparing the whole.
#[test]
fn keys_that_do_not_compare_as_they_stand_are_compared_with_everything() {
    let more = "[contract.pair.attribute.id]\ncase = \"ignore\"\n";
    for (key, name) in [(more, "folded"), ("", "as it stands")] {
        let workspace = Workspace::new();
        let database = rusqlite::Connection::open(workspace.path().join("copy.db")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE p (id TEXT PRIMARY KEY, name TEXT); INSERT INTO p VALUES ('a', 'one'), ('b', 'wrong');
                 CREATE TABLE a (id TEXT PRIMARY KEY, name TEXT); INSERT INTO a VALUES ('A', 'one'), ('B', 'two'), ('C', 'three')",
            )
            .unwrap();
        contract(&workspace, ["sqlite:copy.db", "sqlite:copy.db"], "[\"id\"]", key);
        workspace.reconcile(["run"]).expect(1, &[]);
        let done = if name == "folded" { "2 done" } else { "5 done" };
        workspace.reconcile(["apply", "latest", "--execute", "--include-review"]).expect(0, &[done]);
        assert_eq!(compared(&workspace), (if name == "folded" { 2 } else { 5 }, 0), "{name}");
        workspace.reconcile(["run"]).expect(0, &["agreed"]);
    }
}

/// What changes between the writing and the second comparison is said.
#[test]
fn a_key_that_diverges_again_is_counted() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    database.sql(
        "CREATE TABLE a (id int PRIMARY KEY, name text, other text); CREATE TABLE p (LIKE a INCLUDING ALL);
         INSERT INTO a VALUES (1, 'right', 'x'), (2, 'right', 'x'); INSERT INTO p VALUES (1, 'wrong', 'x'), (2, 'wrong', 'x');
         CREATE FUNCTION later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE a SET name = 'newer' WHERE id = NEW.id; RETURN NULL; END $$;
         CREATE TRIGGER later AFTER UPDATE ON p FOR EACH ROW WHEN (NEW.id = 2) EXECUTE FUNCTION later()",
    );
    contract(&workspace, [&database.url(), &database.url()], "[\"id\"]", "");
    workspace.reconcile(["run"]).expect(1, &[]);
    workspace
        .reconcile(["apply", "latest", "--execute"])
        .expect(1, &["2 done", "1 of the keys that were written still diverge"]);
    assert_eq!(compared(&workspace), (1, 1));
}
