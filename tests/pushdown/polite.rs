//! What is asked of a server while it sums: no more, and no longer, than reading may.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::servers::mariadb;
use crate::servers::postgres::database;
use crate::support::{Workspace, divergences};

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

const COPY: &str = "CREATE TABLE a (id bigint PRIMARY KEY, note text);
    INSERT INTO a SELECT seq, CONCAT(REPEAT('note ', 20), seq) FROM seq_1_to_60000;
    CREATE TABLE p LIKE a; INSERT INTO p SELECT * FROM a; UPDATE p SET note = 'changed' WHERE id = 30000;";

#[test]
fn a_user_of_mariadb_who_may_only_select_sums() {
    let (workspace, database) = (Workspace::new(), mariadb::database());
    let name = database.name();
    database.sql(COPY);
    database.sql(&format!(
        "CREATE USER 'summing_{name}'@'%' IDENTIFIED BY 's3cret'; GRANT SELECT ON {name}.* TO 'summing_{name}'@'%'"
    ));
    workspace.file("reconcile.toml", &over(&database.url_of(&format!("summing_{name}:s3cret")), ""));
    let outcome = workspace.reconcile(["run"]);
    outcome.unbroken().expect(1, &["checksums used"]);
    assert!(!outcome.shown().contains("s3cret"), "{}", outcome.shown());
    let summary = workspace.summary();
    let checksums = &summary["contracts"][0]["checksums"];
    assert_eq!(summary["contracts"][0]["rows"]["matched"], 60_000);
    assert!(checksums["rows_not_read"].as_u64().unwrap() > 58_000, "{checksums}");
}

#[test]
fn rows_that_are_summed_count_against_the_rate() {
    for url in [
        {
            let database = database();
            database.sql(TABLE);
            database.url()
        },
        {
            let database = mariadb::database();
            database.sql(COPY);
            database.url()
        },
    ] {
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", &over(&url, "max_rows_per_second = 40000\n"));
        let begun = Instant::now();
        workspace.reconcile(["run"]).unbroken().expect(1, &["checksums used"]);
        assert!(begun.elapsed() >= Duration::from_millis(1500), "60,000 rows at 40,000 a second take 1.5 s");
    }
}

/// A query whose sums would take minutes.
fn endless(url: &str, query: &str, options: &str) -> String {
    let (authority, projection) = ("table = \"a\"\npushdown = \"always\"", "table = \"p\"\npushdown = \"always\"");
    let query = format!("query = \"{query}\"\npushdown = \"always\"");
    over(url, options).replace(authority, &query).replace(projection, &query)
}

#[test]
fn sums_end_when_a_statement_or_the_whole_takes_longer_than_it_may() {
    let (postgres, mariadb) = (database(), mariadb::database());
    let sleeping = [
        (
            postgres.url(),
            "select i as id, case when pg_sleep(0.05) is null then 'x' else 'y' end as n from generate_series(1, 100000) i",
        ),
        (mariadb.url(), "select seq as id, concat('x', sleep(0.05)) as n from seq_1_to_100000"),
    ];
    for (url, query) in sleeping {
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", &endless(&url, query, "statement_timeout = \"300ms\"\n"));
        let outcome = workspace.reconcile(["run"]).unbroken();
        outcome.expect(2, &["checksums could not be computed, all rows are read", "unverified"]);
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", &endless(&url, query, "max_duration = \"1s\"\n"));
        workspace.reconcile(["run"]).unbroken().expect(2, &["unverified", "max_duration of 1 s has passed"]);
    }
    // The servers are told to stop.
    let reading = "information_schema.PROCESSLIST WHERE INFO LIKE '%seq_1_to_100000%' AND ID <> CONNECTION_ID()";
    while mariadb.sql(&format!("SELECT COUNT(*) FROM {reading} AND DB = '{}'", mariadb.name())) != "0" {}
    let reading =
        "pg_stat_activity where query like '%pg_sleep(0.05)%' and state = 'active' and datname = current_database()";
    while postgres.sql(&format!("select count(*) from {reading} and pid <> pg_backend_pid()")) != "0" {}
}

/// Compares a table with itself while each transaction moves one from a row to another: whatever of it differs between two
/// snapshots, what rows gained others lost.
fn untorn(url: &str, mut writer: Command) {
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", &over(url, "").replace("table = \"p\"", "table = \"a\""));
    let mut writing = writer.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let outcome = workspace.reconcile(["run"]);
    writing.kill().unwrap();
    writing.wait().unwrap();
    assert!(matches!(outcome.status, Some(0 | 1)), "{}", outcome.shown());
    outcome.unbroken().expect(outcome.status.unwrap(), &["checksums used"]);
    let number = |line: &std::collections::BTreeMap<String, String>, name: &str| line[name].parse::<i64>().unwrap();
    let moved = divergences(&workspace.run())
        .iter()
        .map(|line| number(line, "authority_value") - number(line, "projection_value"))
        .sum::<i64>();
    assert_eq!(moved, 0, "{}", outcome.shown());
}

#[test]
fn a_writer_who_goes_on_tears_nothing_that_is_summed() {
    let (postgres, mariadb) = (database(), mariadb::database());
    postgres.sql(
        "CREATE TABLE a (id int8 PRIMARY KEY, n int8); INSERT INTO a SELECT i, 0 FROM generate_series(1, 60000) i",
    );
    mariadb.sql("CREATE TABLE a (id bigint PRIMARY KEY, n bigint); INSERT INTO a SELECT seq, 0 FROM seq_1_to_60000");
    untorn(
        &postgres.url(),
        postgres.psql(
            "DO $$ BEGIN FOR i IN 1..100000 LOOP UPDATE a SET n = n + 1 WHERE id = 1 + i % 100; \
             UPDATE a SET n = n - 1 WHERE id = 60000 - i % 100; COMMIT; END LOOP; END $$",
        ),
    );
    untorn(
        &mariadb.url(),
        mariadb.client(
            "SET autocommit = 1; BEGIN NOT ATOMIC FOR i IN 1..100000 DO START TRANSACTION; UPDATE a SET n = n + 1 WHERE id = 1 + i % 100; \
             UPDATE a SET n = n - 1 WHERE id = 60000 - i % 100; COMMIT; END FOR; END",
        ),
    );
}
