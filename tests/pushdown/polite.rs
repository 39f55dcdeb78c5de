//! What is asked of a server while it sums: no more, and no longer, than reading may.

use crate::servers::postgres::database;
use crate::support::Workspace;

const TABLE: &str = "CREATE TABLE a (id int8 PRIMARY KEY, note text);
    INSERT INTO a SELECT i, repeat('note ', 20) || i FROM generate_series(1, 60000) i;
    CREATE TABLE p AS TABLE a; UPDATE p SET note = 'changed' WHERE id = 30000;";

fn over(url: &str, options: &str) -> String {
    format!(
        "version = 1\n[source.a]\nlocation = \"{url}\"\ntable = \"a\"\npushdown = \"always\"\n{options}\
         [source.p]\nlocation = \"{url}\"\ntable = \"p\"\npushdown = \"always\"\n{options}\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n"
    )
}

#[test]
fn a_user_who_may_only_select_sums_on_one_connection() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(TABLE);
    database.sql("DROP ROLE IF EXISTS summing; CREATE ROLE summing LOGIN PASSWORD 'secret word'; GRANT SELECT ON a, p TO summing");
    let url = database.url_of("summing:secret%20word");
    workspace.file("reconcile.toml", &over(&url, "max_connections = 1\n"));
    let outcome = workspace.reconcile(["run"]);
    outcome.unbroken().expect(1, &["checksums used"]);
    assert!(!outcome.shown().contains("secret"), "{}", outcome.shown());
    let summary = workspace.summary();
    let checksums = &summary["contracts"][0]["checksums"];
    assert_eq!(summary["contracts"][0]["rows"]["matched"], 60_000);
    assert!(checksums["rows_not_read"].as_u64().unwrap() > 58_000, "{checksums}");
}

#[test]
fn what_takes_longer_than_it_may_is_said() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(TABLE);
    workspace.file("reconcile.toml", &over(&database.url(), "max_duration = \"1ms\"\n"));
    workspace.reconcile(["run"]).expect(2, &["max_duration"]);
}
