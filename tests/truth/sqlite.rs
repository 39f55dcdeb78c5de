//! Storage classes are never mixed into agreement, and rows that cannot be read take no memory each.

use rusqlite::Connection;

use super::contract;
use crate::support::{Workspace, divergences};

fn database(workspace: &Workspace, name: &str, sql: &str) {
    Connection::open(workspace.path().join(name)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_text_that_is_a_number_is_no_number_where_sqlite_keeps_both() {
    let cases = [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v ANY) STRICT", ["(1, 7), (2, '8')", "(1, '007'), (2, 8)"], ""),
        ("CREATE TABLE s (id INTEGER PRIMARY KEY, v)", ["(1, 2.5), (2, ' 8 ')", "(1, '2.50'), (2, 8)"], "v"),
    ];
    for (create, rows, of_view) in cases {
        let workspace = Workspace::new();
        for (name, rows) in ["a.db", "b.db"].into_iter().zip(rows) {
            // The view declares its column by the first of its parts, which is a number.
            let view = "CREATE TABLE n (id INTEGER, v NUMERIC); CREATE VIEW t AS SELECT id, v FROM n UNION ALL SELECT id, v FROM s";
            let (table, view) = if of_view.is_empty() { ("t", "") } else { ("s", view) };
            database(&workspace, name, &format!("{create}; INSERT INTO {table} VALUES {rows}; {view}"));
        }
        let outcome = workspace.reconcile(["diff", "sqlite:a.db#t", "sqlite:b.db#t", "--key", "id"]).unbroken();
        outcome.expect(1, &["and text values (not supported)", "schema"]);
    }
}

#[test]
fn neighbours_that_cannot_be_read_are_one_stretch_and_too_many_stretches_end_it() {
    let run = |broken: &str| {
        let workspace = Workspace::new();
        let rows = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
             INSERT INTO t SELECT i, CASE WHEN {broken} THEN CAST(x'ff' AS TEXT) ELSE 'fine' END FROM n"
        );
        database(&workspace, "a.db", &rows);
        workspace.file("t.csv", "id,v\n1,fine\n");
        contract(&workspace, ["location = \"sqlite:a.db\"\ntable = \"t\"", "location = \"t.csv\""], "");
        let outcome = workspace.reconcile(["run"]).unbroken();
        outcome.expect(2, &["unverified", "no UTF-8"]);
        (workspace, outcome)
    };
    let (workspace, _) = run("i BETWEEN 101 AND 29900");
    let told = divergences(&workspace.run());
    assert_eq!(told.iter().filter(|line| line["kind"] == "unreadable").count(), 1);
    let books = &workspace.summary()["contracts"][0]["books"];
    assert_eq!(books["authority"]["unreadable"], 29_800, "{books:#}");
    run("i % 2 = 0 AND i <= 20000");
    let (_, outcome) = run("i % 2 = 0");
    outcome.expect(2, &["more than 10000 rows cannot be read"]);
}
