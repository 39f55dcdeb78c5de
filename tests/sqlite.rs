//! SQLite files as users compare them: with text files, with each other, through every command that opens a source.

use rusqlite::Connection;

use crate::support::{Workspace, contract, counts, divergences};

const TABLE: &str = "CREATE TABLE policies (id INTEGER PRIMARY KEY, holder TEXT, premium DECIMAL(12,2), open BOOLEAN, day DATE, at DATETIME, raw BLOB, rate REAL);
    INSERT INTO policies VALUES
      (1, 'Ünï''s \"shop\"', 3, 1, '2024-02-29', '2024-02-29 12:30:00', x'00ff', 0.1),
      (2, '', 12.34, 0, '1999-12-31', '1999-12-31 23:59:59.5', x'', -1e300),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (9223372036854775807, '日本 😀', -0.01, 1, '0001-01-01', '0001-01-01 00:00:00', x'deadbeef', 3);";

const CSV: &str = "id,holder,premium,open,day,at,raw,rate\n\
    1,\"Ünï's \"\"shop\"\"\",3.00,true,2024-02-29,2024-02-29 12:30:00,00ff,0.1\n\
    2,\"\",12.34,false,1999-12-31,1999-12-31 23:59:59.5,\"\",-1e300\n\
    3,,,,,,,\n\
    9223372036854775807,日本 😀,-0.01,true,0001-01-01,0001-01-01 00:00:00,deadbeef,3\n";

fn database(workspace: &Workspace, name: &str, sql: &str) -> Connection {
    let connection = Connection::open(workspace.path().join(name)).unwrap();
    connection.execute_batch(sql).unwrap();
    connection
}

#[test]
fn a_table_agrees_with_its_text_both_ways_round_and_every_change_is_found() {
    let workspace = Workspace::new();
    let connection = database(&workspace, "a.db", TABLE);
    workspace.file("a.csv", CSV);
    for [authority, projection] in [["sqlite:a.db#policies", "a.csv"], ["a.csv", "sqlite:a.db#main.policies"]] {
        workspace.reconcile(["diff", authority, projection, "--key", "id"]).expect(0, &["agreed"]);
    }
    let changes = [
        ("holder", "'Uni'"),
        ("premium", "3.01"),
        ("open", "0"),
        ("day", "'2024-03-01'"),
        ("at", "'2024-02-29 12:30:01'"),
        ("raw", "x'00fe'"),
        ("rate", "0.10000000000000002"),
    ];
    for (column, value) in changes {
        connection
            .execute_batch(&format!("SAVEPOINT s; UPDATE policies SET {column} = {value} WHERE id = 1; RELEASE s"))
            .unwrap();
        let outcome = workspace.reconcile(["diff", "sqlite:a.db#policies", "a.csv", "--key", "id", "--format", "json"]);
        outcome.expect(1, &[]);
        let summary = serde_json::from_str(&outcome.stdout).unwrap();
        let found = counts(&contract(&summary, "diff")["attributes"]);
        assert_eq!(found.get(column), Some(&1), "{column}: {found:?}");
        assert_eq!(found.len(), 1, "{column}: {found:?}");
        connection.execute_batch("DELETE FROM policies; DROP TABLE policies").unwrap();
        connection.execute_batch(TABLE).unwrap();
    }
}

#[test]
fn two_databases_are_compared_by_one_contract_with_filter_and_query() {
    let workspace = Workspace::new();
    database(&workspace, "owner.db", TABLE);
    database(
        &workspace,
        "copy.db",
        "CREATE TABLE \"select\" (\"the key\" INTEGER, who TEXT, gone INTEGER); INSERT INTO \"select\" VALUES (1, 'Ünï''s \"shop\"', 0), (2, 'x', 0), (77, 'y', 0), (78, 'z', 1)",
    );
    workspace.file(
        "reconcile.toml",
        r#"version = 1
[source.owner]
location = "sqlite:owner.db"
query = "SELECT id, holder AS who FROM policies WHERE id < 3"
[source.copy]
location = "sqlite:copy.db"
table = "select"
filter = "\"gone\" = 0"
[contract.seam]
version = "1.0.0"
authority = "owner"
projection = "copy"
key = ["id"]
ignore = ["gone"]
[contract.seam.attribute.id]
projected_as = "the key"
"#,
    );
    workspace.reconcile(["check", "--sources"]).expect(0, &[]);
    workspace.reconcile(["run"]).expect(1, &["drifted"]);
    let mut told: Vec<String> =
        divergences(&workspace.run()).iter().map(|line| format!("{} {}", line["kind"], line["key"])).collect();
    told.sort();
    assert_eq!(told, [r#"mismatch {"id":2}"#, r#"orphan {"id":77}"#]);
    let manifest = std::fs::read_to_string(workspace.run().join("manifest.json")).unwrap();
    assert!(manifest.contains("seam"), "{manifest}");
}

#[test]
fn mixed_storage_classes_never_agree_falsely() {
    let workspace = Workspace::new();
    database(
        &workspace,
        "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v); INSERT INTO t VALUES (1, 5, 5), (2, 'none', '5'), (3, 7, 7)",
    );
    workspace.file("a.csv", "id,n,v\n1,5,5\n2,none,5\n3,7.0,7\n");
    let outcome = workspace.reconcile(["diff", "sqlite:a.db#t", "a.csv", "--key", "id"]);
    outcome.unbroken().expect(1, &["mixed integer and text values (not supported)", "unparseable"]);
    let outcome = workspace.reconcile(["diff", "sqlite:a.db#t", "a.csv", "--key", "id", "--format", "json"]);
    let summary = serde_json::from_str(&outcome.stdout).unwrap();
    let found = counts(&contract(&summary, "diff")["divergences"]);
    assert_eq!(found, [("mismatch".to_owned(), 1), ("schema".to_owned(), 1)].into());
}

#[test]
fn what_cannot_be_read_ends_unverified_and_makes_no_file() {
    let workspace = Workspace::new();
    database(
        &workspace,
        "a.db",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, CAST(x'ff' AS TEXT))",
    );
    workspace.file("a.csv", "id,v\n1,a\n2,b\n");
    let diff = |location: &str| workspace.reconcile(["diff", location, "a.csv", "--key", "id"]);
    diff("sqlite:a.db#t").expect(2, &["unverified", "no UTF-8"]);
    diff("sqlite:none.db#t").expect(2, &["sqlite:none.db", "cannot be opened"]);
    assert!(!workspace.path().join("none.db").exists());
    diff("sqlite:a.db#x").unbroken().expect(2, &["has no table `x`", "tables are: t"]);
    diff("sqlite:a.csv#t").unbroken().expect(2, &["is no SQLite database"]);
    diff("sqlite:a.db").unbroken().expect(2, &["names no table"]);
    workspace.file(
        "reconcile.toml",
        "version = 1\n[source.a]\nlocation = \"sqlite:a.db\"\nquery = \"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS id FROM n\"\n\
         statement_timeout = \"100ms\"\n[source.b]\nlocation = \"a.csv\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n",
    );
    workspace.reconcile(["run"]).unbroken().expect(2, &["took longer than is allowed", "unverified"]);
}

#[test]
fn a_locked_database_is_said_to_be_locked() {
    let workspace = Workspace::new();
    let connection = database(&workspace, "a.db", TABLE);
    workspace.file("a.csv", CSV);
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let outcome = workspace.reconcile(["diff", "sqlite:a.db#policies", "a.csv", "--key", "id"]);
    outcome.unbroken().expect(2, &["is locked by another process", "WAL"]);
}
