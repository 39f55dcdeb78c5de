//! Rows that a server hides from a user, chooses anew in each session, or gets while it is read; and how old a replica is.

use std::process::Stdio;
use std::time::Duration;

use super::contract;
use crate::servers::postgres::{Server, database};
use crate::support::{Outcome, Workspace, divergences, read_json};

const STARTED: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconcile' AND datname = current_database() AND query LIKE 'COPY%'";

#[test]
fn a_policy_that_hides_rows_leaves_the_contract_unverified() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int, tenant text); INSERT INTO t VALUES (1, 'a'), (2, 'b'); CREATE TABLE u (id int, tenant text);
         INSERT INTO u VALUES (1, 'a'), (3, 'c'); CREATE ROLE tenant_a LOGIN PASSWORD 'r3ad'; GRANT SELECT ON t, u TO tenant_a;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON t USING (tenant = 'a');
         ALTER TABLE u ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON u USING (tenant = 'a'); CREATE VIEW of_a AS SELECT * FROM t WHERE tenant = 'a';
         GRANT SELECT ON of_a TO tenant_a",
    );
    let url = database.url_of("tenant_a:r3ad");
    let diff = |one: &str, other: &str| {
        workspace.reconcile(["diff", &format!("{url}#{one}"), &format!("{url}#{other}"), "--key", "id"]).unbroken()
    };
    diff("t", "u").expect(2, &["row-level security", "a policy hides rows", "BYPASSRLS"]);
    diff("of_a", "of_a").expect(0, &["authority 1, projection 1"]);
    database.sql("ALTER ROLE tenant_a BYPASSRLS");
    diff("t", "u").expect(1, &["missing", "orphan", "authority 2, projection 2"]);
}

#[test]
fn no_setting_of_a_database_or_role_changes_what_is_read() {
    let (workspace, database) = (Workspace::new(), database());
    let settings = [
        ("DateStyle", "SQL, DMY", "ISO, YMD"),
        ("IntervalStyle", "postgres", "iso_8601"),
        ("TimeZone", "Asia/Kathmandu", "UTC"),
        ("bytea_output", "escape", "hex"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("extra_float_digits", "0", "3"),
        ("gin_fuzzy_search_limit", "5", "0"),
        ("row_security", "on", "off"),
        ("standard_conforming_strings", "off", "on"),
        ("synchronize_seqscans", "on", "off"),
        ("transform_null_equals", "on", "off"),
        ("xmlbinary", "hex", "base64"),
    ];
    let name = database.sql("SELECT current_database()");
    let odd = settings.map(|(setting, odd, _)| format!("ALTER DATABASE {name} SET {setting} = '{odd}';"));
    database.sql(&odd.concat().replace("'SQL, DMY'", "SQL, DMY"));
    let lines = settings.map(|(setting, _, fixed)| format!("{setting},\"{fixed}\"\n")).concat();
    workspace.file("settings.csv", &format!("id,setting\n{lines}"));
    let names = settings.map(|(setting, ..)| format!("'{setting}'")).join(", ");
    let query = format!("query = \"select name as id, setting from pg_settings where name in ({names})\"");
    contract(&workspace, [&format!("location = \"{}\"\n{query}", database.url()), "location = \"settings.csv\""], "");
    workspace.reconcile(["run"]).expect(0, &["matched 12"]);
    // What a server loses by its own setting is nobody's to agree on.
    let server = Server::start();
    let damaged = server.database();
    damaged.sql("CREATE TABLE t (id int); ALTER SYSTEM SET zero_damaged_pages = on");
    damaged.sql("SELECT pg_reload_conf()");
    while damaged.sql("SHOW zero_damaged_pages") == "off" {}
    let table = damaged.table("t");
    workspace.reconcile(["diff", &table, &table, "--key", "id"]).expect(2, &["zero_damaged_pages"]);
}

#[test]
fn a_filter_that_answers_otherwise_in_each_session_is_asked_once() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int, pad text); INSERT INTO t SELECT i, repeat('x', 500) FROM generate_series(1, 60000) i",
    );
    workspace.file("none.csv", "id,pad\n0,x\n");
    // Each session has its own number, as each has its own `now()`.
    let filter = "filter = \"id % 4096 = pg_backend_pid() % 4096\"";
    let table = format!("location = \"{}\"\ntable = \"t\"\n{filter}", database.url());
    contract(&workspace, [&table, "location = \"none.csv\""], "");
    workspace.reconcile(["run", "--threads", "4"]).expect(1, &[]);
    let keys: Vec<i64> = divergences(&workspace.run())
        .iter()
        .filter(|line| line["kind"] == "missing")
        .map(|line| line["key"].chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap())
        .collect();
    assert!(keys.len() >= 14 && keys.iter().all(|key| key % 4096 == keys[0] % 4096), "{keys:?}");
    // The same for what the clock says.
    database.sql("ALTER TABLE t ADD COLUMN valid_to timestamptz DEFAULT now() + interval '1 hour'");
    let table = |filter: &str| format!("location = \"{}\"\ntable = \"t\"\n{filter}", database.url());
    let filter = "filter = \"valid_to > clock_timestamp() and lower(pad) <> 'none'\"";
    contract(&workspace, [&table(filter), &table("filter = \"lower(pad) <> 'none'\"")], "");
    workspace.reconcile(["run"]).expect(0, &["matched 60,000"]);
    // The server, which has counted nothing yet, expects many times as many.
    database.sql("CREATE VIEW seen AS SELECT id, pad FROM t");
    let view = format!("location = \"{}\"\ntable = \"seen\"", database.url());
    contract(&workspace, [&view, &view], "");
    workspace.reconcile(["run"]).expect(0, &["matched 60,000"]);
}

#[test]
fn a_part_that_is_attached_meanwhile_is_not_read_in_part() {
    let parents = [
        (
            "CREATE TABLE t (id int, pad text) PARTITION BY RANGE (id); CREATE TABLE early PARTITION OF t FOR VALUES FROM (0) TO (100000)",
            "ALTER TABLE t ATTACH PARTITION later FOR VALUES FROM (100000) TO (200000)",
        ),
        ("CREATE TABLE t (id int, pad text)", "ALTER TABLE later INHERIT t"),
    ];
    for (create, attach) in parents {
        let (workspace, database) = (Workspace::new(), database());
        let rows =
            |from: u32, until: u32| format!("SELECT i, repeat('x', 500) FROM generate_series({from}, {until}) i");
        database.sql(&format!(
            "{create}; INSERT INTO t {}; CREATE TABLE later (id int, pad text); INSERT INTO later {}; CREATE TABLE u AS TABLE t",
            rows(1, 60_000),
            rows(100_001, 160_000)
        ));
        let source = |lines: &str| format!("location = \"{}\"\n{lines}", database.url());
        contract(&workspace, [&source("table = \"t\"\nmax_rows_per_second = 15000"), &source("table = \"u\"")], "");
        let mut command = workspace.command(["run", "--threads", "2"]);
        let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        while database.sql(STARTED) == "0" {}
        database.sql(attach);
        let said = Outcome::of(&running.wait_with_output().unwrap());
        said.expect(0, &["authority 60,000, projection 60,000, matched 60,000"]);
        contract(&workspace, [&source("table = \"t\""), &source("table = \"u\"")], "");
        workspace.reconcile(["run"]).expect(1, &["authority 120,000, projection 60,000"]);
    }
}

#[test]
fn single_columns_suffice_and_those_that_may_not_be_read_are_named() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE a (id int PRIMARY KEY, name text, salary int); INSERT INTO a SELECT i, 'n' || i, i FROM generate_series(1, 1000) i;
         CREATE TABLE b AS SELECT id, name, salary + 1 AS salary FROM a; CREATE VIEW seen AS TABLE b;
         CREATE ROLE some_columns LOGIN PASSWORD 'r3ad'; GRANT SELECT (id, name) ON a, b, seen TO some_columns;
         CREATE ROLE all_columns LOGIN PASSWORD 'r3ad'; GRANT SELECT (id, name, salary) ON a, b TO all_columns",
    );
    let run = |user: &str, tables: [&str; 2], lines: &str| {
        let [a, b] = tables.map(|table| format!("location = \"{}\"\ntable = \"{table}\"", database.url_of(user)));
        contract(&workspace, [&a, &b], lines);
        workspace.reconcile(["run"]).unbroken()
    };
    let some = "some_columns:r3ad";
    for b in ["b", "seen"] {
        run(some, ["a", b], "").expect(2, &["unverified", "may not read the column `salary`", "GRANT SELECT"]);
        run(some, ["a", b], "compare = \"declared\"\n[contract.pair.attribute.name]").expect(0, &["matched 1,000"]);
        run(some, ["a", b], "ignore = [\"salary\"]").expect(0, &["matched 1,000"]);
    }
    run("all_columns:r3ad", ["a", "b"], "").expect(1, &["salary"]);
    database.sql("UPDATE b SET name = 'other' WHERE id = 500");
    run(some, ["a", "b"], "ignore = [\"salary\"]").expect(1, &["\"n500\" → \"other\""]);
}

#[test]
fn a_replica_that_is_cut_off_speaks_for_what_it_followed_last() {
    let (workspace, primary) = (Workspace::new(), Server::start());
    let database = primary.database();
    database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    let began = database.sql("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')");
    let replica = primary.replica();
    let database = database.on(&replica);
    let streams = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' AND latest_end_lsn <= pg_last_wal_replay_lsn()";
    while database.sql(streams) == "0" {}
    let source = |age: &str| format!("location = \"{}\"\ntable = \"t\"\nmax_age = \"{age}\"", database.url());
    let run = |age: &str| {
        contract(&workspace, [&source(age), &source(age)], "");
        workspace.reconcile(["run"]).unbroken()
    };
    run("1h").expect(0, &["agreed"]);
    let manifest = read_json(&workspace.run().join("manifest.json"));
    let captured = manifest.pointer("/contracts/0/inputs/authority/captured_at").unwrap().as_str().unwrap();
    assert!(captured > began.as_str(), "{captured}, {began}");
    primary.kill();
    while database.sql("SELECT count(*) FROM pg_stat_wal_receiver") != "0" {}
    std::thread::sleep(Duration::from_secs(2));
    run("1s").expect(2, &["unverified", "speaks for"]);
    run("1h").expect(0, &["agreed"]);
}
