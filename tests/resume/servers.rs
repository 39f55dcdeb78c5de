//! The same where a server is killed in the middle, or a reading may not take as long as it needs.

use std::fs;
use std::process::Stdio;

use reconcile::run::Tuning;
use serde_json::Value;

use crate::engine::{Silent, said};
use crate::formats::complaints;
use crate::servers::{mariadb, postgres};
use crate::support::{Outcome, Workspace, contract, divergences, meanwhile, read_json};

/// Rows of each table.
const ROWS: u64 = 20_000;

/// Two tables with a difference near the first and near the last row, which are read so gently that it takes seconds.
fn contract_of(url: &str, options: &str) -> String {
    format!(
        "version = 1\n[source.a]\nlocation = \"{url}\"\ntable = \"a\"\n{options}\n[source.p]\nlocation = \"{url}\"\ntable = \"p\"\n{options}\n\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n"
    )
}

const POSTGRES: &str = "CREATE TABLE a (id int8 PRIMARY KEY, note text, share float8);
    INSERT INTO a SELECT i, 'note ' || i, i / 7.0 FROM generate_series(1, 20000) i;
    CREATE TABLE p (LIKE a INCLUDING ALL); INSERT INTO p SELECT * FROM a;
    UPDATE p SET note = 'first' WHERE id = 700; DELETE FROM p WHERE id = 19000; INSERT INTO p VALUES (0, 'orphan', 0); ANALYZE";

const MARIADB: &str = "CREATE TABLE a (id int PRIMARY KEY, note varchar(40), share double);
    INSERT INTO a SELECT seq, CONCAT('note ', seq), seq / 7 FROM seq_1_to_20000;
    CREATE TABLE p LIKE a; INSERT INTO p SELECT * FROM a;
    UPDATE p SET note = 'first' WHERE id = 700; DELETE FROM p WHERE id = 19000; INSERT INTO p VALUES (0, 'orphan', 0)";

/// The three differences, and nothing else.
#[track_caller]
fn planted(run: &std::path::Path) {
    let mut found: Vec<(String, String)> =
        divergences(run).into_iter().map(|line| (line["kind"].clone(), line["key"].clone())).collect();
    found.sort();
    let expected = [("mismatch", "{\"id\":700}"), ("missing", "{\"id\":19000}"), ("orphan", "{\"id\":0}")];
    assert_eq!(found, expected.map(|(kind, key)| (kind.to_owned(), key.to_owned())));
}

fn summary(run: &std::path::Path) -> Value {
    read_json(&run.join("summary.json"))
}

fn rows_kept(contract: &Value) -> u64 {
    let readings = contract["segments"]["readings"].as_array().cloned().unwrap_or_default();
    readings.iter().map(|reading| reading["rows"]["authority"].as_u64().unwrap()).sum()
}

#[test]
fn a_run_goes_on_where_a_killed_server_left_it() {
    let (workspace, mut server) = (Workspace::new(), postgres::Server::start());
    let database = server.database();
    database.sql(POSTGRES);
    let slow = contract_of(&database.url(), "max_rows_per_second = 4000");
    workspace.file("reconcile.toml", &slow);
    let mut command = workspace.command(["run"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The whole takes five seconds; some ranges of keys are done with by the time that later ones are asked for.
    let later = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconcile' \
                 AND substring(query from 'BETWEEN ([0-9]+)')::int > 6000";
    meanwhile(&mut running, || database.sql(later) != "0");
    server.kill();
    let outcome = Outcome::of(&running.wait_with_output().unwrap());
    outcome.unbroken().expect(2, &["unverified", "need not be read again", "reconcile run --resume"]);
    let first = workspace.run();
    let cut = summary(&first);
    let kept = rows_kept(contract(&cut, "c"));
    assert!((4000..ROWS - 1000).contains(&kept), "{kept} rows are kept");
    let coverage = contract(&cut, "c")["coverage"].as_f64().unwrap();
    assert!(coverage > 0.15 && coverage < 0.99, "{coverage}");
    assert_eq!(contract(&cut, "c")["books"]["authority"]["agree"], kept);

    // What was kept is not lost by a run that cannot even begin.
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(2, &["unverified", "need not be read again"]);
    let without_server = summary(&workspace.runs().pop().unwrap());
    assert_eq!(rows_kept(contract(&without_server, "c")), kept);
    assert_eq!(contract(&without_server, "c")["coverage"], 0.0, "it read nothing itself");

    server.restart();
    // What happens in a kept range after it was read is not told, and not said to agree as of now.
    database.sql("UPDATE p SET note = 'since' WHERE id = 3000; UPDATE p SET note = 'since then' WHERE id = 18000");
    database.sql(&format!("ALTER DATABASE {} SET enable_seqscan = off; SELECT pg_stat_reset()", database.name()));
    workspace.file("reconcile.toml", &contract_of(&database.url(), "max_rows_per_second = 40000"));
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(1, &["goes on from run", "stand as they were read before", "coverage is the sum"]);
    let second = workspace.runs().pop().unwrap();
    let whole = summary(&second);
    let of_contract = contract(&whole, "c");
    assert_eq!(of_contract["coverage"], 1.0);
    assert_eq!(of_contract["rows"]["authority"], ROWS);
    assert_eq!(of_contract["rows"]["projection"], ROWS);
    let readings = of_contract["segments"]["readings"].as_array().unwrap();
    assert_eq!(readings.len(), 2, "{readings:?}");
    assert_eq!(readings[0]["rows"]["authority"], kept);
    assert_eq!(readings[1]["rows"]["authority"], ROWS - kept);
    assert_eq!(readings[0]["read_at"], contract(&cut, "c")["segments"]["readings"][0]["read_at"]);
    assert_eq!(of_contract["captured_at"], readings[0]["read_at"], "it speaks for the first reading");
    assert!(readings[0]["read_at"]["projection"].as_str() < readings[1]["read_at"]["projection"].as_str());
    // Changed in what was read now: found. Changed in what is kept: told by a run that reads it.
    assert_eq!(divergences(&second).iter().filter(|line| line["key"] == "{\"id\":18000}").count(), 1);
    assert_eq!(divergences(&second).iter().filter(|line| line["key"] == "{\"id\":3000}").count(), 0);
    // The server read no more than what was left, and the few segments that differ, in which there are rows in doubt, twice more.
    let read =
        "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'a'";
    let read: u64 = database.sql(read).parse().unwrap();
    assert!(read < ROWS - kept + 5000, "{read} rows of {ROWS} were read, though {kept} were kept");
    workspace.reconcile(["audit", "verify"]).expect(0, &["3 runs"]);

    database.sql("UPDATE p SET note = 'note 3000' WHERE id = 3000; UPDATE p SET note = 'note 18000' WHERE id = 18000");
    workspace.reconcile(["run"]).expect(1, &[]);
    let fresh = workspace.runs().pop().unwrap();
    planted(&fresh);
    assert_eq!(complaints(&first) + &complaints(&second), "");
    assert_eq!(contract(&summary(&fresh), "c")["segments"], Value::Null);
}

#[test]
fn what_goes_on_is_as_old_as_its_first_reading_and_no_evidence_of_one_instant() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    database.sql(POSTGRES);
    database.sql("TRUNCATE p; INSERT INTO p SELECT * FROM a; ANALYZE");
    let with = |options: &str| {
        let more = "repair = { mismatch = \"auto\" }\n[contract.c.parity]\nconsecutive_runs = 1\n";
        workspace.file("reconcile.toml", &(contract_of(&database.url(), options) + more));
    };
    let parity = |status: i32, texts: &[&str]| _ = workspace.reconcile(["parity", "c"]).expect(status, texts);
    let cut_off = || {
        with("max_rows_per_second = 4000\nmax_duration = \"3s\"");
        workspace
            .reconcile(["run"])
            .unbroken()
            .expect(2, &["max_duration of 3 s has passed", "need not be read again"]);
        with("max_rows_per_second = 40000");
    };
    cut_off();
    parity(1, &["0 of 1 count", "is unverified"]);
    // Every row of it was compared, and no instant at which all of them agreed is known.
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(0, &["coverage is the sum"]);
    let whole = summary(&workspace.runs().pop().unwrap());
    assert_eq!(contract(&whole, "c")["coverage"], 1.0);
    assert_eq!(contract(&whole, "c")["rows"]["authority"], ROWS);
    parity(1, &["0 of 1 count", "so that it is of no one instant"]);
    workspace.reconcile(["run"]).expect(0, &[]);
    parity(0, &["1 of 1 count"]);
    // One that drifts breaks the row all the same, however it was read.
    cut_off();
    database.sql("UPDATE p SET note = 'other' WHERE id = 19990");
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(1, &["goes on from run", "1 key diverges"]);
    parity(1, &["0 of 1 count", "is drifted"]);
    // Its plan is as old as what it kept.
    let kept = summary(&workspace.runs().pop().unwrap());
    let first = contract(&kept, "c")["segments"]["readings"][0]["read_at"]["projection"].as_str().unwrap().to_owned();
    let first: jiff::Timestamp = first.parse().unwrap();
    let age = format!("{}s", jiff::Timestamp::now().duration_since(first).as_secs());
    let apply = |age: &str| workspace.reconcile(["apply", "latest", "--max-age", age]).unbroken();
    apply(&age).expect(2, &["its plan is", &format!("at most {age} is allowed")]);
    apply("1h").expect(0, &["would"]);
}

#[test]
fn a_table_says_the_same_whether_it_is_read_in_spans_or_as_a_whole() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    database.sql(
        "CREATE TABLE a (id int8 PRIMARY KEY, code text, note text, share float8, doc jsonb);
         INSERT INTO a SELECT i * 3, 'c' || i % 7, repeat('x', i % 90), i / 7.0, jsonb_build_object('n', i) FROM generate_series(-500, 2500) i;
         CREATE TABLE p (LIKE a); ALTER TABLE p ALTER id DROP NOT NULL; INSERT INTO p SELECT * FROM a; DELETE FROM p WHERE id % 500 = 3;
         UPDATE p SET share = share + 1 WHERE id % 400 = 0; INSERT INTO p SELECT * FROM p WHERE id IN (-6, 999);
         INSERT INTO p VALUES (NULL, 'a', 'b', 1, NULL), (10000, 'far', NULL, NULL, NULL); CREATE INDEX ON p (id); ANALYZE",
    );
    // Every odd row of a file: a key that is none, twice, not there, far away.
    let rows: Vec<String> = (-500..=2500).map(|i| format!("{},c{}\n", i * 3, (i + 700) % 7)).collect();
    workspace.file(
        "p.csv",
        &format!("id,code\n{}{}x17,c1\n6,c2\n6,c9\n,c4\n99999999999999999999,c5\n-90000,c6\n", rows.concat(), ""),
    );
    let table = |name: &str| format!("location = \"{}\"\ntable = \"{name}\"\n", database.url());
    let file = "location = \"p.csv\"\n".to_owned();
    let ignored = "ignore = [\"note\", \"share\", \"doc\"]\n";
    for (authority, projection, rest) in [
        (table("a"), table("p"), ""),
        (table("p"), table("a"), "[contract.c.attribute.share]\ntolerance = \"0.5\"\n"),
        (table("a"), file.clone(), ignored),
        (file, table("a"), ignored),
        (table("a"), table("a"), "key = [\"id\", \"code\"]\n"),
    ] {
        let key = if rest.contains("key =") { "" } else { "key = [\"id\"]\n" };
        workspace.file(
            "reconcile.toml",
            &format!(
                "version = 1\n[source.a]\n{authority}[source.p]\n{projection}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\n{key}{rest}"
            ),
        );
        let whole = said(&workspace, Tuning { large_rows: u64::MAX, ..Tuning::default() }, 2, &Silent);
        for (segment_rows, threads) in [(1, 1), (7, 2), (512, 2), (100_000, 1)] {
            let tuning = Tuning { large_rows: 0, segment_rows: Some(segment_rows), ..Tuning::default() };
            let spans = said(&workspace, tuning, threads, &Silent);
            assert_eq!(spans.divergences, whole.divergences, "{segment_rows}: {rest}");
            assert_eq!(spans.books, whole.books, "{segment_rows}: {rest}");
            assert_eq!(spans.digests, whole.digests, "{segment_rows}: {rest}");
            assert_eq!(spans.warnings, whole.warnings, "{segment_rows}: {rest}");
        }
    }
}

#[test]
fn another_table_other_columns_and_what_was_tampered_with_are_not_taken_for_what_was_read() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    database.sql(POSTGRES);
    let limits = "max_rows_per_second = 4000\nmax_duration = \"3s\"";
    workspace.file("reconcile.toml", &contract_of(&database.url(), limits));
    workspace.reconcile(["run"]).unbroken().expect(2, &["max_duration of 3 s has passed", "need not be read again"]);
    let first = workspace.run();
    let text = fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("table = \"p\"", "table = \"public.p\""));
    workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(2, &["means something else"]);
    // Numbers that are personal are kept nowhere.
    let personal = Workspace::new();
    personal.file("reconcile.toml", &format!("{text}[contract.c.attribute.id]\npii = \"mask\"\n"));
    personal.reconcile(["run"]).unbroken().expect(2, &["max_duration of 3 s has passed"]);
    let left = read_json(&personal.run().join("resume.json"));
    assert_eq!(left["contracts"][0]["ranges"], serde_json::json!([]));
    let elsewhere = first.display().to_string();
    personal.reconcile(["run", "--resume", &elsewhere]).unbroken().expect(2, &["lies outside of"]);
    let fast = contract_of(&database.url(), "max_rows_per_second = 40000");
    workspace.file("reconcile.toml", &fast);
    // A column that was not there then was not compared then.
    database.sql("ALTER TABLE a ADD more int; ALTER TABLE p ADD more int; UPDATE p SET more = 1 WHERE id = 50");
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome
        .unbroken()
        .expect(1, &["is kept, and all rows are read: the database or the columns of the authority are others"]);
    let second = workspace.runs().pop().unwrap();
    assert_eq!(divergences(&second).iter().filter(|line| line["key"] == "{\"id\":50}").count(), 1);
    let path = first.join("resume.json");
    let kept = fs::read_to_string(&path).unwrap();
    fs::write(&path, kept.replacen("\"from\":", "\"from\": ", 1)).unwrap();
    let run = first.file_name().unwrap().to_string_lossy().into_owned();
    workspace.reconcile(["run", "--resume", &run]).unbroken().expect(2, &["resume.json", "was changed"]);
}

#[test]
fn a_reading_that_may_not_take_long_is_done_in_several_runs() {
    let (workspace, database) = (Workspace::new(), mariadb::database());
    database.sql(MARIADB);
    for pushdown in ["", "pushdown = \"never\"\n"] {
        let limits = format!("{pushdown}max_rows_per_second = 4000\nmax_duration = \"4s\"");
        workspace.file("reconcile.toml", &contract_of(&database.url(), &limits));
        let mut outcome = workspace.reconcile(["run"]);
        outcome.unbroken().expect(2, &["max_duration of 4 s has passed", "need not be read again"]);
        let (mut runs, mut kept) = (1, rows_kept(contract(&summary(&workspace.runs().pop().unwrap()), "c")));
        while outcome.status == Some(2) {
            outcome = workspace.reconcile(["run", "--resume", "latest"]);
            runs += 1;
            let now = rows_kept(contract(&summary(&workspace.runs().pop().unwrap()), "c"));
            assert!(now > kept, "run {runs} of several keeps more than the one before: {now}\n{}", outcome.shown());
            kept = now;
        }
        outcome.unbroken().expect(1, &["goes on from run", "coverage is the sum"]);
        let last = workspace.runs().pop().unwrap();
        planted(&last);
        let whole = summary(&last);
        assert_eq!(contract(&whole, "c")["rows"]["matched"], ROWS - 1);
        assert_eq!(contract(&whole, "c")["segments"]["readings"].as_array().unwrap().len(), runs);
        assert_eq!(kept, ROWS);
    }
    workspace.reconcile(["audit", "verify"]).expect(0, &[]);
}

#[test]
fn a_killed_server_of_mariadb_and_a_file_across() {
    let (workspace, mut server) = (Workspace::new(), mariadb::Server::start());
    let database = server.database();
    database.sql(MARIADB);
    let rows: Vec<String> = (1..=ROWS).map(|id| format!("{id},note {id}\n")).collect();
    workspace.file("p.csv", &format!("id,note\n{}", rows.concat().replace(",note 19000\n", ",other\n")));
    let text = |options: &str| {
        format!(
            "version = 1\n[source.a]\nlocation = \"{}\"\ntable = \"a\"\n{options}\n[source.p]\nlocation = \"p.csv\"\n\
             [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\nignore = [\"share\"]\n",
            database.url()
        )
    };
    workspace.file("reconcile.toml", &text("max_rows_per_second = 4000"));
    let mut command = workspace.command(["run"]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let rows_read = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'ROWS_SENT'";
    let begun: u64 = database.sql(rows_read).parse().unwrap();
    meanwhile(&mut running, || database.sql(rows_read).parse::<u64>().unwrap() > begun + 8000);
    server.kill();
    Outcome::of(&running.wait_with_output().unwrap()).expect(2, &["unverified", "reconcile run --resume"]);
    let kept = rows_kept(contract(&workspace.summary(), "c"));
    assert!(kept > 2000 && kept < ROWS, "{kept}");
    server.restart();
    workspace.file("reconcile.toml", &text(""));
    let outcome = workspace.reconcile(["run", "--resume", "latest"]);
    outcome.unbroken().expect(1, &["goes on from run"]);
    let second = workspace.runs().pop().unwrap();
    assert_eq!(divergences(&second).len(), 1);
    assert_eq!(contract(&summary(&second), "c")["rows"]["authority"], ROWS);
    assert_eq!(contract(&summary(&second), "c")["segments"]["readings"][0]["rows"]["authority"], kept);
    // A file that has changed since tells nothing of what was compared with it.
    workspace.file("p.csv", &format!("id,note\n{}", rows.concat().replace(",note 50\n", ",other\n")));
    let first = workspace.runs()[0].file_name().unwrap().to_string_lossy().into_owned();
    let outcome = workspace.reconcile(["run", "--resume", &first]);
    outcome.unbroken().expect(1, &["is kept, and all rows are read: the projection has changed since"]);
    let last = workspace.runs().pop().unwrap();
    assert_eq!(divergences(&last)[0]["key"], "{\"id\":50}");
}

#[test]
fn what_a_signal_cut_off_or_a_database_summed_is_gone_on_with() {
    let (mut server, slow) = (postgres::Server::start(), "max_rows_per_second = 4000\n");
    let database = server.database();
    database.sql(POSTGRES);
    let run = |options: &str, seen: &str, cut: &dyn Fn(u32)| {
        let workspace = Workspace::new();
        let text = |options: &str| contract_of(&database.url(), options) + "ignore = [\"share\"]\n";
        workspace.file("reconcile.toml", &text(&format!("{slow}{options}")));
        let mut command = workspace.command(["run"]);
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let asked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconcile' AND datname = '{}' AND {seen}",
            database.name()
        );
        meanwhile(&mut running, || database.sql(&asked) != "0");
        cut(running.id());
        let status = running.wait_with_output().unwrap().status.code();
        workspace.file("reconcile.toml", &text("max_rows_per_second = 40000"));
        (workspace, status)
    };
    let goes_on = |workspace: &Workspace, least: u64| {
        let kept = rows_kept(contract(&workspace.summary(), "c"));
        assert!((least..ROWS).contains(&kept), "{kept}");
        workspace.reconcile(["run", "--resume", "latest"]).unbroken().expect(1, &["goes on from run"]);
        let last = workspace.runs().pop().unwrap();
        planted(&last);
        assert_eq!(contract(&summary(&last), "c")["rows"]["matched"], ROWS - 1);
        assert_eq!(contract(&summary(&last), "c")["segments"]["readings"][0]["rows"]["authority"], kept);
        workspace.reconcile(["audit", "verify"]).expect(0, &["2 runs"]);
    };
    let (workspace, status) =
        run("pushdown = \"never\"", "substring(query from 'BETWEEN ([0-9]+)')::int > 6000", &|id| {
            std::process::Command::new("kill").args(["-INT", &id.to_string()]).status().unwrap();
        });
    assert_eq!(status, Some(130));
    goes_on(&workspace, 4000);
    // The segments that are not equal are read only after all were summed.
    let (workspace, status) =
        run("pushdown = \"always\"", "query LIKE '%ORDER BY tableoid, ctid%'", &|_| server.kill());
    assert_eq!(status, Some(2));
    server.restart();
    goes_on(&workspace, 15_000);
}
