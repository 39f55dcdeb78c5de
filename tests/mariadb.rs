//! MariaDB as a source: a real server against files and against itself.

use std::process::Stdio;

use crate::servers::mariadb::{Database, Server, database, shared};
use crate::support::{Outcome, Workspace, contract, counts};

/// Columns of every type: declared, a value in SQL, the same in CSV, and another value.
const TYPES: [(&str, &str, &str, &str); 44] = [
    ("tinyint", "-128", "-128", "-127"),
    ("tinyint unsigned", "255", "255", "254"),
    ("smallint", "-32768", "-32768", "0"),
    ("mediumint unsigned", "16777215", "16777215", "16777214"),
    ("int", "-2147483648", "-2147483648", "1"),
    ("bigint", "-9223372036854775808", "-9223372036854775808", "-9223372036854775807"),
    ("bigint unsigned", "18446744073709551615", "18446744073709551615", "18446744073709551614"),
    ("int(8) zerofill", "7", "7", "8"),
    ("decimal(12,2)", "-0.01", "-0.0100", "0.00"),
    (
        "decimal(65,30)",
        "-99999999999999999999999999999999999.999999999999999999999999999999",
        "-99999999999999999999999999999999999.999999999999999999999999999999",
        "-99999999999999999999999999999999999.999999999999999999999999999998",
    ),
    ("decimal(38,0) unsigned", "99999999999999999999999999999999999999", "99999999999999999999999999999999999999", "0"),
    ("float", "0.1", "0.1", "0.10000001"),
    ("double", "0.1", "0.1", "0.10000000000000002"),
    ("double", "-1.7976931348623157e308", "-1.7976931348623157e308", "0"),
    ("bit(1)", "b'1'", "1", "b'0'"),
    ("bit(64)", "0xffffffffffffffff", "18446744073709551615", "0xfffffffffffffffe"),
    ("boolean", "true", "1", "false"),
    ("year", "2155", "2155", "1901"),
    ("char(5)", "'ab'", "ab", "'aB'"),
    ("varchar(20)", "'ab '", "\"ab \"", "'ab'"),
    ("varchar(20) collate utf8mb4_general_ci", "'ÄÖ'", "ÄÖ", "'äö'"),
    ("varchar(20) character set latin1", "'naïve €'", "naïve €", "'naive €'"),
    ("text", "''", "\"\"", "NULL"),
    ("longtext", "'日本語 😀'", "日本語 😀", "'日本語 😁'"),
    ("enum('bound','lapsed, or not','')", "'lapsed, or not'", "\"lapsed, or not\"", "'bound'"),
    ("set('a','b','c')", "'c,a'", "\"a,c\"", "'a'"),
    ("binary(4)", "0x00ff", "00ff0000", "0x00ff01"),
    ("varbinary(10)", "0x00ff", "00ff", "0x00ff00"),
    ("blob", "x''", "\"\"", "NULL"),
    ("date", "'2024-02-29'", "2024-02-29", "'2024-02-28'"),
    ("date", "'9999-12-31'", "9999-12-31", "'1000-01-01'"),
    ("date", "'0000-00-00'", "0000-00-00", "NULL"),
    ("date", "'2024-00-10'", "2024-00-10", "'2024-00-00'"),
    ("datetime", "'0000-00-00'", "0000-00-00 00:00:00", "'2024-00-00'"),
    ("time", "'23:59:59'", "23:59:59", "'23:59:58'"),
    ("time", "'838:59:59'", "838:59:59", "'-838:59:59'"),
    ("time(6)", "'-00:00:00.000001'", "-00:00:00.000001", "'00:00:00.000001'"),
    ("datetime(6)", "'2024-03-31 02:30:00.123456'", "2024-03-31T02:30:00.123456", "'2024-03-31 02:30:00.123457'"),
    ("timestamp(6) null", "'2024-07-01 05:45:00.5'", "2024-07-01T00:00:00.5Z", "'2024-07-01 05:45:00.6'"),
    ("json", "'{\"b\": [1, null], \"a\": 1.0}'", "\"{\"\"b\"\": [1, null], \"\"a\"\": 1.0}\"", "'{}'"),
    ("uuid", "'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000", "uuid()"),
    ("inet6", "'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329", "'::1'"),
    ("inet4", "'10.0.0.1'", "10.0.0.1", "'10.0.0.2'"),
    ("int as (7 * 6) persistent", "DEFAULT", "42", ""),
];

/// A table of all types with a row of values and one of NULLs, and its text.
fn types(database: &Database, workspace: &Workspace) {
    let named = |pattern: &dyn Fn(usize, &(&str, &str, &str, &str)) -> String| {
        TYPES.iter().enumerate().map(|(index, kind)| pattern(index, kind)).collect::<Vec<_>>().join(", ")
    };
    let columns = named(&|index, (declared, ..)| format!("c{index} {declared}"));
    let values = named(&|_, (_, value, ..)| (*value).to_owned());
    let empty = named(&|_, (declared, ..)| (if declared.contains(" as ") { "DEFAULT" } else { "NULL" }).to_owned());
    // What the server takes depends on its modes, which are others than those that reading sets.
    database.sql(&format!(
        "SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT INTO t VALUES (1, {values}), (2, {empty})"
    ));
    let header = named(&|index, _| format!("c{index}")).replace(", ", ",");
    let written = TYPES.map(|(_, _, text, _)| text).join(",");
    let nulls = TYPES.map(|(declared, ..)| if declared.contains(" as ") { "42" } else { "" }).join(",");
    workspace.file("t.csv", &format!("id,{header}\n1,{written}\n2,{nulls}\n"));
}

fn attributes(outcome: &Outcome) -> Vec<String> {
    let summary = serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.shown()));
    counts(&contract(&summary, "diff")["attributes"]).into_keys().collect()
}

#[test]
fn every_type_agrees_with_its_text_and_every_change_is_found() {
    let (workspace, database) = (Workspace::new(), database());
    types(&database, &workspace);
    let table = database.table("t");
    let diff = |authority: &str, projection: &str| {
        workspace.reconcile(["diff", authority, projection, "--key", "id", "--format", "json"])
    };
    for [authority, projection] in [[table.as_str(), "t.csv"], ["t.csv", table.as_str()]] {
        let outcome = diff(authority, projection);
        assert_eq!(attributes(&outcome), [""; 0], "{}", outcome.shown());
        outcome.expect(0, &[]);
    }
    for (index, (declared, value, _, other)) in TYPES.iter().enumerate().filter(|(_, kind)| !kind.3.is_empty()) {
        let set = |value: &str| {
            database
                .sql(&format!("SET sql_mode = 'ALLOW_INVALID_DATES'; UPDATE t SET c{index} = {value} WHERE id = 1"));
        };
        set(other);
        let outcome = diff(&table, "t.csv");
        outcome.expect(1, &[]);
        assert_eq!(attributes(&outcome), [format!("c{index}")], "{declared} {other}");
        set(value);
    }
    diff(&table, "t.csv").expect(0, &[]);
}

#[test]
fn two_tables_of_one_server_are_compared_row_by_row() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE orders (id bigint PRIMARY KEY, total decimal(12, 2), placed timestamp(3) NULL, note text);
         INSERT INTO orders SELECT seq, seq * 1.25, '2026-03-01 00:00:00' + INTERVAL seq SECOND,
           IF(seq % 3 = 0, NULL, CONCAT('note ', seq)) FROM seq_1_to_100000;
         CREATE TABLE copy AS SELECT * FROM orders ORDER BY total DESC;
         CREATE VIEW seen AS SELECT * FROM copy",
    );
    let diff =
        |name: &str| workspace.reconcile(["diff", &database.table("orders"), &database.table(name), "--key", "id"]);
    diff("copy").expect(0, &["agreed", "100,000"]);
    database.sql(
        "DELETE FROM copy WHERE id = 7; UPDATE copy SET total = total + 0.01 WHERE id = 9;
         INSERT INTO copy VALUES (0, 1, NULL, '')",
    );
    diff("copy").expect(1, &["missing", "orphan", "mismatch", "11.25", "11.26"]);
    diff("seen").expect(1, &["missing", "orphan", "mismatch"]);
}

#[test]
fn a_contract_reads_a_query_with_a_filter_in_the_servers_own_dialect() {
    let (workspace, database) = (Workspace::new(), database());
    let hostile = "odd `name`.\"x\"; drop table t; -- ü";
    let quoted = hostile.replace('`', "``");
    database.sql(&format!(
        "CREATE TABLE `{quoted}` (`the ``key``` int PRIMARY KEY, `select` longtext);
         INSERT INTO `{quoted}` VALUES (1, '''; drop table t; --'), (2, 'a\\\\b\"c\\n\\0d'), (3, 'left out'), (4, REPEAT('ü', 1000000))"
    ));
    workspace.file(
        "t.csv",
        &format!("key,said\n1,'; drop table t; --\n2,\"a\\b\"\"c\n\0d\"\n4,{}\n", "ü".repeat(1_000_000)),
    );
    let written = format!("\"{}\"", hostile.replace('"', "\"\""));
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.authority]\nlocation = \"{0}\"\ntable = '''{written}'''\nfilter = \"`select` <> 'left out' -- so\"\n\
             [source.again]\nlocation = \"{0}\"\nquery = '''SELECT `the ``key``` AS \"key\", `select` AS said FROM `{quoted}`; '''\nfilter = \"said <> 'left out'\"\n\
             [source.projection]\nlocation = \"t.csv\"\n\
             [contract.table]\nversion = \"1.0.0\"\nauthority = \"authority\"\nprojection = \"projection\"\nkey = [\"key\"]\n\
             [contract.table.attribute.key]\ncolumn = \"the `key`\"\n[contract.table.attribute.said]\ncolumn = \"select\"\n\
             [contract.query]\nversion = \"1.0.0\"\nauthority = \"again\"\nprojection = \"projection\"\nkey = [\"key\"]\n",
            database.url()
        ),
    );
    workspace.reconcile(["check", "--sources"]).expect(0, &[]);
    workspace.reconcile(["run"]).expect(0, &["2 contracts", "agreed"]);
    assert_eq!(database.sql(&format!("SELECT COUNT(*) FROM `{quoted}`")), "4");
}

#[test]
fn a_type_that_has_no_place_is_named_and_never_skipped() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql("CREATE TABLE t (id int PRIMARY KEY, place point, v int); INSERT INTO t VALUES (1, POINT(1, 2), 1)");
    workspace.file("t.csv", "id,place,v\n1,POINT(1 2),1\n");
    let outcome = workspace.reconcile(["diff", &database.table("t"), "t.csv", "--key", "id"]);
    outcome.unbroken().expect(1, &["geometry (not supported)", "schema"]);
}

#[test]
fn an_engine_without_snapshots_is_said() {
    let (workspace, database) = (Workspace::new(), database());
    for engine in ["MyISAM", "Aria", "MEMORY"] {
        database.sql(&format!(
            "CREATE OR REPLACE TABLE t (id int PRIMARY KEY) ENGINE = {engine}; INSERT INTO t VALUES (1)"
        ));
        workspace.file("t.csv", "id\n1\n");
        let outcome = workspace.reconcile(["diff", &database.table("t"), "t.csv", "--key", "id"]);
        outcome.unbroken().expect(0, &[&format!("engine {engine} has no snapshots")]);
    }
}

#[test]
fn a_user_who_may_only_select_suffices_and_refusals_are_clear() {
    let (workspace, database) = (Workspace::new(), database());
    let name = database.name();
    database.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE TABLE closed (id int);
         CREATE USER 'reader_{name}'@'%' IDENTIFIED BY 's3cret'; GRANT SELECT ON {name}.t TO 'reader_{name}'@'%'"
    ));
    workspace.file("t.csv", "id\n1\n");
    let diff = |location: &str| {
        let outcome = workspace.reconcile(["diff", location, "t.csv", "--key", "id"]).unbroken();
        assert!(!outcome.shown().contains("s3cret"), "{}", outcome.shown());
        outcome
    };
    let reader = database.url_of(&format!("reader_{name}:s3cret"));
    diff(&format!("{reader}#t")).expect(0, &["agreed"]);
    diff(&format!("{reader}#closed")).expect(2, &["has no table `closed`, or the user may not see it", "GRANT SELECT"]);
    diff(&format!("{reader}#T")).expect(2, &["has no table `T`"]);
    let wrong = database.url_of(&format!("reader_{name}:wrong"));
    diff(&format!("{wrong}#t")).expect(2, &["does not let the user in", "password_file"]);
    diff("mysql://root@127.0.0.1:1/shop#t").expect(2, &["cannot be reached"]);
    diff("mysql://root@127.0.0.1:1/shop?ssl=1#t").expect(2, &["not one of sslmode"]);
    workspace.file("password", "s3cret\nand more\n");
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{}\"\ntable = \"{name}.t\"\npassword_file = \"password\"\n\
             [source.b]\nlocation = \"t.csv\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n",
            database.url_of(&format!("reader_{name}"))
        ),
    );
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
    for file in crate::support::tree(&workspace.path().join("reports")) {
        let bytes = std::fs::read(workspace.path().join("reports").join(&file)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "{file}");
    }
}

fn endless(database: &Database, limit: &str) -> String {
    format!(
        "version = 1\n[source.a]\nlocation = \"{}\"\nquery = \"SELECT seq AS id, SLEEP(0.05) AS n FROM seq_1_to_100000\"\n{limit}\n\
         [source.b]\nlocation = \"t.csv\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n",
        database.url()
    )
}

#[test]
fn what_takes_too_long_is_unverified() {
    let (workspace, database) = (Workspace::new(), database());
    workspace.file("t.csv", "id,n\n1,0\n");
    workspace.file("reconcile.toml", &endless(&database, "statement_timeout = \"300ms\""));
    workspace.reconcile(["run"]).unbroken().expect(2, &["took longer than is allowed", "unverified"]);
    workspace.file("reconcile.toml", &endless(&database, "max_duration = \"300ms\""));
    workspace.reconcile(["run"]).unbroken().expect(2, &["unverified"]);
    let limits = "max_duration = \"2s\"\nmax_rows_per_second = 100";
    let many =
        endless(&database, limits).replace("SLEEP(0.05) AS n FROM seq_1_to_100000", "0 AS n FROM seq_1_to_1000000000");
    workspace.file("reconcile.toml", &many);
    let outcome = workspace.reconcile(["run", "--format", "json"]);
    outcome.expect(2, &["unverified", "max_duration of 2 s has passed"]);
    // The server is told to stop.
    let reading = "information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT * FROM (%seq_1_to_1000000000%'";
    let still = || database.sql(&format!("SELECT COUNT(*) FROM {reading} AND DB = '{}'", database.name())) != "0";
    let begun = std::time::Instant::now();
    while still() {
        assert!(begun.elapsed().as_secs() < 60, "the server reads on a minute after it was to stop");
    }
}

#[test]
fn a_server_that_is_killed_while_it_is_read_leaves_the_contract_unverified() {
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    workspace.file("t.csv", "id,n\n1,0\n");
    workspace.file("reconcile.toml", &endless(&database, ""));
    let mut command = workspace.command(["run"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reading would take more than an hour, and the server's own list tells when it has begun.
    let begun = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT * FROM (%'";
    crate::support::meanwhile(&mut running, || database.sql(begun) != "0");
    server.kill();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", Outcome::of(&output).shown());
    let summary = workspace.summary();
    assert_eq!(summary["verdict"], "unverified");
    let error = summary["contracts"][0]["error"].as_str().unwrap();
    assert!(error.contains("cannot be reached"), "{error}");
}

#[test]
fn a_connection_that_is_cut_begins_again_and_counts_nothing_twice() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql("CREATE TABLE t AS SELECT seq AS id, 0 AS n FROM seq_1_to_3000");
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{0}\"\nquery = \"SELECT seq AS id, SLEEP(0.001) AS n FROM seq_1_to_3000 /* cut */\"\n\
             [source.b]\nlocation = \"{0}\"\ntable = \"t\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n",
            database.url()
        ),
    );
    let running = workspace.command(["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let reading = "information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT * FROM (%/* cut */%'";
    let id = loop {
        let id = database.sql(&format!("SELECT ID FROM {reading}"));
        if !id.is_empty() {
            break id;
        }
    };
    database.sql(&format!("KILL {id}"));
    let outcome = Outcome::of(&running.wait_with_output().unwrap());
    outcome.expect(0, &["agreed", "3,000"]);
}

#[test]
fn a_writer_who_goes_on_tears_nothing() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT seq, 0 FROM seq_1_to_20000;
         CREATE TABLE sums AS SELECT 1 AS id, SUM(n) AS n, COUNT(*) AS c FROM t",
    );
    // Each transaction leaves the sum as it is.
    let writer = "SET autocommit = 1; BEGIN NOT ATOMIC FOR i IN 1..100000 DO START TRANSACTION; UPDATE t SET n = n + 1 WHERE id = 1 + i % 100; \
                  UPDATE t SET n = n - 1 WHERE id = 20000 - i % 100; COMMIT; END FOR; END";
    let mut writing = database.client(writer).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{0}\"\ntable = \"t\"\n[source.b]\nlocation = \"{0}\"\ntable = \"t\"\n\
             [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n[[contract.c.total]]\nname = \"all\"\nsum = [\"n\"]\n",
            database.url()
        ),
    );
    let outcome = workspace.reconcile(["run", "--format", "json"]);
    writing.kill().unwrap();
    writing.wait().unwrap();
    // The two snapshots differ in rows, and in no sum: each is the state between two transactions.
    let summary: serde_json::Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.shown()));
    let only = contract(&summary, "c");
    assert_eq!(only["rows"]["authority"], 20000, "{}", outcome.shown());
    let total = &only["totals"][0];
    assert_eq!((&total["unbalanced"], &total["groups"]), (&0.into(), &1.into()), "{total:#}");
    for side in ["authority", "projection"] {
        assert_eq!(total["whole"][side]["sums"][0]["sum"], "0", "{total:#}");
    }
    assert!(outcome.status == Some(0) || outcome.status == Some(1), "{}", outcome.shown());
}

/// A contract over two tables of a server.
fn over_both(database: &Database, tables: [&str; 2], options: &str, rest: &str) -> String {
    let source = |name: &str, table: &str| {
        format!(
            "[source.{name}]\nlocation = \"{}\"\ntable = \"{table}\"\npushdown = \"never\"\n{options}\n",
            database.url()
        )
    };
    format!(
        "version = 1\n{}{}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n{rest}",
        source("a", tables[0]),
        source("p", tables[1])
    )
}

#[test]
fn a_large_table_is_read_over_several_connections_that_see_one_state() {
    let server = Server::start();
    let database = server.database();
    database.sql(
        "SET sql_mode = 'ALLOW_INVALID_DATES';
         CREATE TABLE a (id bigint PRIMARY KEY, part int, day date, n int); INSERT INTO a SELECT CAST(seq AS SIGNED) * 3 - 100000, seq % 7, '2026-01-01', 0 FROM seq_1_to_160000;
         UPDATE a SET day = '2024-02-31' WHERE id = 200003; CREATE TABLE p LIKE a; INSERT INTO p SELECT * FROM a;
         UPDATE p SET part = 8 WHERE id IN (-99997, 50000, 379997); DELETE FROM p WHERE id = 350000; INSERT INTO p VALUES (400001, 1, NULL, 0); ANALYZE TABLE a, p;
         SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON",
    );
    let mut bytes = Vec::new();
    for (options, connections) in [("", "2"), ("max_connections = 1", "0")] {
        let workspace = Workspace::new();
        workspace.file(
            "reconcile.toml",
            &over_both(&database, ["a", "p"], &format!("{options}\nfilter = \"part <> 3 -- so\""), ""),
        );
        // What the server does of its own accord may keep the proof from being found, once in a while.
        let read = "mysql.general_log WHERE command_type = 'Prepare' AND argument LIKE '%`a`%BETWEEN%'";
        for _ in 0..5 {
            database.sql("TRUNCATE mysql.general_log");
            workspace.reconcile(["run", "--quiet"]).expect(1, &[]);
            if database.sql(&format!("SELECT COUNT(DISTINCT thread_id) FROM {read}")) == connections {
                break;
            }
        }
        assert_eq!(database.sql(&format!("SELECT COUNT(DISTINCT thread_id) FROM {read}")), connections);
        let run = workspace.runs().pop().unwrap();
        bytes.push(std::fs::read(run.join("divergences.parquet")).unwrap());
        let summary = crate::support::read_json(&run.join("summary.json"));
        let told = contract(&summary, "c");
        let found = ["missing", "orphan", "mismatch"].map(|kind| told["divergences"][kind].as_u64().unwrap());
        assert_eq!(found, [1, 1, 3], "{told:#}");
    }
    assert!(bytes[0] == bytes[1], "one answer, however it was read");
}

#[test]
fn a_writer_who_goes_on_tears_nothing_that_several_connections_read() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT seq, 0 FROM seq_1_to_200000; ANALYZE TABLE t",
    );
    // Each transaction leaves the sum as it is, and waits for the next, so that proofs are found between two.
    let writer = "SET autocommit = 1; BEGIN NOT ATOMIC FOR i IN 1..100000 DO START TRANSACTION; UPDATE t SET n = n + 1 WHERE id = 1 + i % 100; \
                  UPDATE t SET n = n - 1 WHERE id = 200000 - i % 100; COMMIT; DO SLEEP(0.01); END FOR; END";
    let mut writing = database.client(writer).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    workspace.file(
        "reconcile.toml",
        &over_both(&database, ["t", "t"], "", "[[contract.c.total]]\nname = \"all\"\nsum = [\"n\"]\n"),
    );
    let outcome = workspace.reconcile(["run", "--format", "json"]);
    writing.kill().unwrap();
    writing.wait().unwrap();
    let summary: serde_json::Value =
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("{}", outcome.shown()));
    let total = &contract(&summary, "c")["totals"][0];
    for side in ["authority", "projection"] {
        assert_eq!(total["whole"][side]["sums"][0]["sum"], "0", "{total:#}");
    }
}

#[test]
fn tls_is_as_strict_as_the_url_asks() {
    let (workspace, database, server) = (Workspace::new(), database(), shared());
    database.sql("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    workspace.file("t.csv", "id\n1\n");
    let (plain, root) = (database.url(), server.authority().display().to_string());
    let call = |host: &str, query: &str| {
        let url = plain.replace("127.0.0.1", host);
        workspace.reconcile(["diff", &format!("{url}?{query}#t"), "t.csv", "--key", "id"]).unbroken()
    };
    for query in ["sslmode=disable", "sslmode=prefer", "sslmode=require", "ssl-mode=REQUIRED"] {
        call("127.0.0.1", query).expect(0, &["agreed"]);
    }
    call("nowhere.invalid", &format!("socket={}", server.socket().display())).expect(0, &["agreed"]);
    call("localhost", &format!("sslmode=verify-full&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")).expect(2, &["TLS cannot be agreed on"]);
    call("localhost", "sslmode=verify-full").expect(2, &["TLS cannot be agreed on"]);
    call("localhost", "sslmode=verify-ca").expect(2, &["TLS cannot be agreed on"]);
    call("localhost", "sslmode=strict").expect(2, &["`sslmode` of the URL is not one of"]);
    call("localhost", "sslmode=verify-full&sslrootcert=/nowhere").expect(2, &["cannot read the certificates"]);
}
