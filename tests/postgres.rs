//! PostgreSQL as a source: a real server against files and against itself.

use std::process::Stdio;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, StringArray};

use crate::servers::postgres::{Server, database, shared};
use crate::support::{Workspace, meanwhile, write_parquet};

const ORDERS: &str = "CREATE TABLE orders (id int8 PRIMARY KEY, total numeric(12, 2), placed timestamptz, note text);
    INSERT INTO orders SELECT i, i * 1.25, timestamptz '2026-03-01 00:00:00+00' + i * interval '1 second',
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'note ' || i END FROM generate_series(1, 5000) i;";

#[test]
fn two_tables_of_one_server_are_compared_row_by_row() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(ORDERS);
    database.sql("CREATE TABLE copy AS TABLE orders ORDER BY total DESC");
    let diff = || workspace.reconcile(["diff", &database.table("orders"), &database.table("copy"), "--key", "id"]);
    diff().expect(0, &["agreed", "5,000"]);
    database.sql(
        "DELETE FROM copy WHERE id = 7; UPDATE copy SET total = total + 0.01 WHERE id = 9; \
         INSERT INTO copy VALUES (0, 1, NULL, '')",
    );
    diff().expect(1, &["missing", "orphan", "mismatch", "11.25", "11.26"]);
}

#[test]
fn a_server_that_is_killed_while_it_is_read_leaves_the_contract_unverified() {
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    database.sql(ORDERS);
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.authority]\nlocation = \"{0}\"\ntable = \"orders\"\nmax_rows_per_second = 1000\n\
             [source.projection]\nlocation = \"{0}\"\ntable = \"orders\"\n[contract.pair]\nversion = \"1.0.0\"\n\
             authority = \"authority\"\nprojection = \"projection\"\nkey = [\"id\"]\n",
            database.url()
        ),
    );
    let mut command = workspace.command(["run", "--threads", "1"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reading takes five seconds, and the server's own list tells when it has begun.
    meanwhile(&mut running, || {
        database.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconcile'") != "0"
    });
    server.kill();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let summary = workspace.summary();
    assert_eq!(summary["verdict"], "unverified");
    let error = summary["contracts"][0]["error"].as_str().unwrap();
    assert!(error.contains("connect") || error.contains("snapshot"), "{error}");
}

#[test]
fn tls_is_as_strict_as_the_url_asks() {
    let (workspace, database, server) = (Workspace::new(), database(), shared());
    database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    let plain = database.url();
    let root = server.authority().display().to_string();
    let call = |host: &str, query: &str| {
        let url = plain.replace("127.0.0.1", host);
        let location = format!("{url}?{query}#t");
        workspace.reconcile(["diff", &location, &location, "--key", "id"])
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        call("127.0.0.1", &format!("sslmode={mode}")).expect(0, &["agreed"]);
    }
    call("localhost", &format!("sslmode=verify-full&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")).expect(2, &["certificate"]);
    call("localhost", "sslmode=verify-ca").expect(2, &["certificate"]);
    call("localhost", "sslmode=no").expect(2, &["`sslmode` is not one of disable, allow"]);
}

/// A contract `pair` with two sources, each given by its lines.
fn contract(workspace: &Workspace, authority: &str, projection: &str) {
    let text = format!(
        "version = 1\n[source.authority]\n{authority}\n[source.projection]\n{projection}\n[contract.pair]\n\
         version = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"projection\"\nkey = [\"id\"]\n"
    );
    workspace.file("reconcile.toml", &text);
}

#[test]
fn tables_views_queries_and_partitions_hold_the_same_rows_as_a_file() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(ORDERS);
    database.sql(
        "CREATE VIEW seen AS SELECT * FROM orders; CREATE MATERIALIZED VIEW kept AS SELECT * FROM orders ORDER BY total DESC;
         CREATE TABLE parted (LIKE orders) PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF parted FOR VALUES FROM (0) TO (2000);
         CREATE TABLE high PARTITION OF parted FOR VALUES FROM (2000) TO (10000); INSERT INTO parted SELECT * FROM orders;
         CREATE TABLE parent (LIKE orders); CREATE TABLE child () INHERITS (parent);
         INSERT INTO parent SELECT * FROM orders WHERE id <= 100; INSERT INTO child SELECT * FROM orders WHERE id > 100;
         CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;",
    );
    let csv = database.sql("COPY orders TO STDOUT (FORMAT csv, HEADER)");
    workspace.file("orders.csv", &format!("{csv}\n"));
    for table in ["orders", "seen", "kept", "parted", "parent"] {
        let location = database.table(table);
        let forth = workspace.reconcile(["diff", &location, "orders.csv", "--key", "id"]);
        forth.expect(0, &["authority 5,000, projection 5,000, matched 5,000"]);
        let back = workspace.reconcile(["diff", "orders.csv", &location, "--key", "id", "--threads", "1"]);
        back.expect(0, &["authority 5,000, projection 5,000, matched 5,000"]);
    }
    let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url());
    let query = "query = \"select * from orders where id > 10; \"";
    contract(
        &workspace,
        &source(query),
        &source("table = \"parted\"\nfilter = \"id > 10 -- the first ones are tests\""),
    );
    workspace.reconcile(["run"]).expect(0, &["matched 4,990", "PostgreSQL 1", "snapshot"]);
    // Rows that a filter by another table chooses come in one order however they are found.
    let filter = "filter = \"id in (select id from seen where total > 100)\"";
    contract(
        &workspace,
        &source(&format!("table = \"orders\"\n{filter}")),
        &source(&format!("table = \"seen\"\n{filter}")),
    );
    database.sql("UPDATE parted SET note = 'another' WHERE id = 4321");
    workspace.reconcile(["run"]).expect(0, &["matched 4,920"]);
    let differs = workspace.reconcile(["diff", &database.table("parted"), "orders.csv", "--key", "id"]);
    differs.expect(1, &["mismatch       {\"id\":4321}", "another"]);
}

#[test]
fn names_and_values_may_hold_anything() {
    let (workspace, database) = (Workspace::new(), database());
    let name = "we\"ird; DROP TABLE orders; -- 'x' ü";
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let long = "x".repeat(1 << 20);
    database.sql(&format!(
        "CREATE TABLE orders (id int); CREATE SCHEMA {quoted};
         CREATE TABLE {quoted}.{quoted} (id int, {quoted} text, \"$\" bytea, \"select\" text);
         INSERT INTO {quoted}.{quoted} SELECT i, E'\\'; DROP TABLE orders; --\\n\\\\' || i, '\\x0027', repeat('x', 1 << 20)
         FROM generate_series(1, 40) i"
    ));
    let mut lines = String::new();
    for id in 1..=40 {
        let text = format!("'; DROP TABLE orders; --\n\\{id}");
        let line = serde_json::json!({ "id": id, name: text, "$": "0027", "select": long });
        lines.push_str(&format!("{line}\n"));
    }
    workspace.file("file.ndjson", &lines);
    let table = serde_json::json!(format!("{quoted}.{quoted}"));
    contract(&workspace, &format!("location = \"{}\"\ntable = {table}", database.url()), "location = \"file.ndjson\"");
    workspace.reconcile(["run"]).expect(0, &["matched 40"]);
    assert_eq!(database.sql("SELECT count(*) FROM orders"), "0");
}

#[test]
fn one_snapshot_is_read_whatever_is_written_meanwhile() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, v int, pad text); \
        INSERT INTO t SELECT i, 0, repeat('x', 500) FROM generate_series(1, 60000) i; CREATE TABLE u AS TABLE t",
    );
    let mut writer = database
        .psql("DO $$ BEGIN FOR i IN 1..1000000 LOOP UPDATE t SET v = v + 1 WHERE id % 3000 = i % 3000; COMMIT; END LOOP; END $$")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    meanwhile(&mut writer, || database.sql("SELECT max(v) FROM t") != "0");
    // All rows of one moment: the sum of a moment is what the snapshot's own session says.
    let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url());
    contract(&workspace, &source("table = \"t\""), &source("table = \"u\""));
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{text}compare = \"declared\"\n"));
    for _ in 0..3 {
        workspace.reconcile(["run"]).expect(0, &["authority 60,000, projection 60,000, matched 60,000"]);
    }
    writer.kill().unwrap();
    writer.wait().unwrap();
}

#[test]
fn what_keeps_a_source_from_being_read_is_one_clear_message_without_secrets() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE orders (id int, secret text); INSERT INTO orders VALUES (1, 'x'); CREATE TABLE empty (); \
         CREATE ROLE reader LOGIN PASSWORD 'r3ad'; CREATE ROLE nobody_yet LOGIN PASSWORD 'r3ad'; GRANT SELECT (id) ON orders TO reader",
    );
    let diff = |location: &str| workspace.reconcile(["diff", location, location, "--key", "id"]);
    let url = database.url();
    let host = url.replace("127.0.0.1", "no-such-host.invalid");
    let port = url.replace(url.rsplit_once(':').unwrap().1, &format!("1/{}", url.rsplit_once('/').unwrap().1));
    let cases = [
        (
            format!("{}#orders", database.url_of("reader:wr0ng")),
            vec!["password authentication failed", "check user and password"],
        ),
        (format!("{}#orders", database.url_of("reader")), vec!["password"]),
        (format!("{host}#orders"), vec!["cannot connect"]),
        (format!("{port}#orders"), vec!["nothing listens there"]),
        (database.table("order"), vec!["there is no table `order`", "did you mean \"orders\"?"]),
        (database.table("empty"), vec!["has no columns"]),
        (format!("{}#orders", database.url_of("nobody_yet:r3ad")), vec!["permission denied", "GRANT SELECT"]),
        (url.replace("/test", "/no_such_test") + "#orders", vec!["does not exist"]),
        (url.clone(), vec!["names no table"]),
    ];
    for (location, texts) in cases {
        let said = diff(&location).unbroken();
        said.expect(2, &texts);
        for secret in ["wr0ng", "r3ad", "reader"] {
            assert!(!said.stdout.contains(secret) && !said.stderr.contains(secret), "{}", said.shown());
        }
    }
    // One column is all that it may see, and all that it needs.
    let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url_of("reader:r3ad"));
    contract(&workspace, &source("query = \"select id from orders\""), &source("query = \"select id from orders\""));
    workspace.reconcile(["run"]).expect(0, &["matched 1"]);
    for (wrong, text) in [
        ("table = \"orders\"\nfilter = \"id = 'x'\"", "filter: invalid input syntax"),
        ("table = \"orders\"\nfilter = \"none = 1\"", "column \"none\" does not exist"),
        ("query = \"select id, id from orders\"", "two columns are named `id`"),
        ("query = \"delete from orders returning id\"", "syntax error"),
        ("query = \"select nextval('s') as id\"", "does not exist"),
        ("query = \"select 1 as id) as q; delete from orders; select (1\"", "multiple commands"),
    ] {
        let source = format!("location = \"{url}\"\n{wrong}");
        contract(&workspace, &source, &source);
        workspace.reconcile(["run"]).unbroken().expect(2, &[text]);
    }
    assert_eq!(database.sql("SELECT count(*) FROM orders"), "1");
}

#[test]
fn a_statement_or_a_reading_that_takes_too_long_leaves_the_contract_unverified() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(ORDERS);
    let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url());
    let slow = "query = \"select id, pg_sleep(1)::text from orders where id < 9\"";
    for (limit, text) in
        [("statement_timeout = \"200ms\"", "statement timeout"), ("max_duration = \"500ms\"", "max_duration")]
    {
        contract(&workspace, &source(&format!("{slow}\n{limit}")), &source("table = \"orders\""));
        workspace.reconcile(["run", "--no-cache"]).unbroken().expect(2, &["unverified", text]);
    }
    assert_eq!(
        database.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%' AND state = 'active'"),
        "0"
    );
}

#[test]
fn reading_waits_while_others_are_at_work() {
    // A server of its own: the other tests are at work on the shared one.
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    database.sql(ORDERS);
    let source = |lines: &str| format!("location = \"{}\"\ntable = \"orders\"\n{lines}", database.url());
    let application = "SET application_name = 'busy'; SELECT pg_sleep(3)";
    let mut busy = database.psql(application).stdout(Stdio::null()).spawn().unwrap();
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'";
    meanwhile(&mut busy, || database.sql(at_work) != "0");
    contract(&workspace, &source("pause_if = \"load > 0\""), &source(""));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    assert!(busy.try_wait().unwrap().is_some(), "the other session was still at work");
    contract(&workspace, &source("pause_if = \"lag\""), &source(""));
    workspace.reconcile(["check"]).unbroken().expect(2, &["`pause_if` is no state of a database", "replica_lag > 5s"]);
}

#[test]
fn the_state_that_was_read_is_evidence() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(ORDERS);
    let source = format!("location = \"{}\"\ntable = \"orders\"\nmax_age = \"1h\"", database.url());
    contract(&workspace, &source, &source);
    workspace.reconcile(["run"]).expect(0, &["as of 20", "PostgreSQL 1"]);
    let manifest = std::fs::read_to_string(workspace.run().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let state = manifest.pointer("/contracts/0/inputs/authority/snapshot").unwrap().as_str().unwrap();
    assert!(state.starts_with("PostgreSQL 1") && state.contains(", snapshot "), "{state}");
    let report = std::fs::read_to_string(workspace.run().join("report.md")).unwrap();
    assert!(report.contains("| files | — | — |"), "{report}");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &format!("{text}[contract.pair.parity]\nconsecutive_runs = 1\n"));
    workspace.reconcile(["parity", "pair"]).expect(0, &[]);
}

#[test]
fn a_connection_that_is_cut_is_made_again_in_the_same_snapshot() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int, pad text); INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i; \
         CREATE TABLE u AS TABLE t",
    );
    let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url());
    // Rows are read, and not summed where they lie.
    let rows = "pushdown = \"never\"\nmax_rows_per_second = 15000";
    contract(&workspace, &source(&format!("table = \"t\"\n{rows}")), &source(&format!("table = \"u\"\n{rows}")));
    let mut command = workspace.command(["run", "--threads", "2"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The oldest session of each source holds its snapshot; those that came later are cut.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name = \
        'reconcile' AND datname = current_database() ORDER BY backend_start OFFSET 2) AS later";
    meanwhile(&mut running, || database.sql(cut) != "0");
    let output = running.wait_with_output().unwrap();
    let said = crate::support::Outcome::of(&output);
    said.expect(0, &["authority 60,000, projection 60,000, matched 60,000"]);
}

#[test]
fn a_table_and_a_parquet_file_are_compared_either_way() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int8, price numeric(9, 2), name text); INSERT INTO t VALUES (1, 1.50, 'a'), (2, NULL, 'b')",
    );
    let prices = Decimal128Array::from(vec![Some(150), None]).with_precision_and_scale(12, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("price", Arc::new(prices)),
        ("name", Arc::new(StringArray::from(vec!["a", "b"]))),
    ];
    write_parquet(&workspace.path().join("file.parquet"), columns, 10);
    let location = database.table("t");
    for (authority, projection) in [(location.as_str(), "file.parquet"), ("file.parquet", location.as_str())] {
        workspace.reconcile(["diff", authority, projection, "--key", "id"]).expect(0, &["matched 2"]);
    }
    database.sql("UPDATE t SET price = 1.51 WHERE id = 1");
    workspace.reconcile(["diff", "file.parquet", &location, "--key", "id"]).expect(1, &["\"1.50\" → \"1.51\""]);
    workspace.reconcile(["diff", "file.parquet", &location]).expect(2, &["id"]);
    workspace.reconcile(["init", &location, "file.parquet"]).expect(0, &["id"]);
}

#[test]
fn init_leaves_the_password_to_the_environment() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE orders (id int PRIMARY KEY, n int); INSERT INTO orders VALUES (1, 2), (2, 3); \
         CREATE ROLE amy_of_init LOGIN PASSWORD 'hunter2'; GRANT SELECT ON orders TO amy_of_init",
    );
    workspace.file("b.csv", "id,n\n1,2\n2,3\n");
    let location = format!("{}#orders", database.url_of("amy_of_init:hunter2"));
    let outcome = workspace.reconcile(["init", &location, "b.csv"]);
    outcome.expect(0, &["the password of source", "is not written"]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let json = workspace.reconcile(["init", &location, "b.csv", "--force", "--format", "json"]);
    for text in [&text, &outcome.shown(), &json.shown()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let found = regex::Regex::new(r"amy_of_init:\$\{([A-Z0-9_]+_PASSWORD)\}@127").unwrap();
    let variable = &found.captures(&text).unwrap_or_else(|| panic!("{text}"))[1];
    assert!(!variable.contains("AMY"), "it is named for the database: {variable}");
    assert!(outcome.stderr.contains(variable) && json.stdout.contains(variable), "{}", outcome.shown());
    workspace.reconcile(["run"]).expect(2, &[variable]);
    let run = workspace.command(["run"]).env(variable, "hunter2").output().unwrap();
    crate::support::Outcome::of(&run).expect(0, &["agreed"]);
}
