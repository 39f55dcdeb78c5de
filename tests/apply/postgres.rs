//! Repairs of PostgreSQL tables, on a real server.

use crate::servers::postgres::{Database, database};
use crate::support::{Outcome, Workspace};

/// A table with most types, whose name and columns would be SQL if they were not quoted.
const TYPES: &str = r#"
    CREATE TYPE mood AS ENUM ('it''s', 'b\d');
    CREATE TABLE SCHEMA."t'; drop table x; --" (
        id int8 PRIMARY KEY, "na""me; drop" text, n numeric(30, 10), f4 float4, f8 float8, b bytea, yes bool, d date,
        ts timestamp, tz timestamptz, tm time, j json, jb jsonb, u uuid, c char(5), v varchar(20), m mood, ip inet, ym interval,
        small int2, must text NOT NULL, auto text DEFAULT 'filled', twice numeric GENERATED ALWAYS AS (n * 2) STORED);
"#;

const ROWS: &str = r#"
    INSERT INTO auth."t'; drop table x; --" VALUES
     (1, 'same', 1, 1, 1, '\x01', true, '2026-01-01', '2026-01-01', '2026-01-01Z', '01:02:03', '{"a":1}', '{"a":1}', '00000000-0000-0000-0000-000000000001', 'ab', 'v', 'it''s', '10.0.0.1', '1 day', 1, 'm'),
     (2, E'quote '' back\\slash \U0001F980 "x" $1 ; -- \n\t', 12345678901234567890.0123456789, 0.1, 'NaN', '\x00ff27', false, '0044-03-15 BC', '2026-05-05 23:59:59.999999', '1900-01-01 00:00:00.000001Z', '23:59:59.999999', '{"b": [1, "x''y"]}', '{"b": [1.50, null]}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'abcde', 'w', E'b\\d', '::1', '1 mon 2 days 03:04:05.5', -32768, ''),
     (3, NULL, NULL, 'Infinity', '-Infinity', '', NULL, NULL, '2026-05-05 01:02:03.456789', '2026-05-05 01:02:03.456789+03', NULL, NULL, NULL, NULL, '', '', NULL, NULL, NULL, NULL, 'n'),
     (4, repeat(E'1 MB of ''\\', 90000), 0, '-0', 1e-300, decode(repeat('00ff', 5000), 'hex'), true, '9999-12-31', '1999-12-31 23:59:59', '1999-12-31 23:59:59Z', '00:00', '"text"', '[]', NULL, NULL, NULL, 'it''s', NULL, NULL, 7, 'long');
    INSERT INTO copy."t'; drop table x; --" SELECT id, 'same', 1, 1, 1, '\x01', true, '2026-01-01', '2026-01-01', '2026-01-01Z', '01:02:03', '{"a":1}', '{"a":1}',
      '00000000-0000-0000-0000-000000000001', 'ab', 'v', 'it''s', '10.0.0.1', '1 day', 1, 'm' FROM (VALUES (1), (2), (9)) v (id);
    INSERT INTO copy."t'; drop table x; --" SELECT id, NULL, NULL, 'NaN', '-Infinity', NULL, NULL, '1999-01-01', '1999-01-01', '1999-01-01Z', NULL, '[1]', 'null', NULL, NULL, E'o\\''', NULL, '1.2.3.0/24', '-1 mon', 3, '' FROM (VALUES (3)) v (id);
"#;

const DUMP: &str =
    r#"SELECT coalesce(md5(string_agg(t::text, E'\n' ORDER BY id)), '') FROM copy."t'; drop table x; --" t"#;

fn made() -> Database {
    let database = database();
    database.sql(&format!(
        "CREATE SCHEMA auth; CREATE SCHEMA copy; {} {} {ROWS}",
        TYPES.replace("SCHEMA", "auth"),
        TYPES.replace("SCHEMA", "copy").replace("CREATE TYPE mood AS ENUM ('it''s', 'b\\d');", "")
    ));
    database
}

fn contract(workspace: &Workspace, database: &Database, table: &str, more: &str) {
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{0}\"\ntable = '''auth.{table}'''\n[source.p]\nlocation = \"{0}\"\ntable = '''copy.{table}'''\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n{more}\
             [contract.pair.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\n",
            database.url()
        ),
    );
}

#[track_caller]
fn ends(outcome: &Outcome, status: i32, words: &[&str]) {
    outcome.expect(status, words);
}

#[test]
fn every_value_survives_apply_rollback_and_the_client() {
    let (workspace, database) = (Workspace::new(), made());
    contract(&workspace, &database, r#""t'; drop table x; --""#, "ignore = [\"auto\", \"twice\"]\n");
    ends(&workspace.reconcile(["run"]), 1, &[]);
    let before = database.sql(DUMP);
    let run = workspace.run();
    let script = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
    ends(&workspace.reconcile(["apply", "latest", "--execute", "--include-review"]), 0, &["4 done"]);
    let applied = database.sql(DUMP);
    assert_ne!(applied, before);
    ends(&workspace.reconcile(["run"]), 0, &[]);
    ends(&workspace.reconcile(["apply", run.to_str().unwrap(), "--execute", "--include-review"]), 0, &["4 already"]);
    ends(&workspace.reconcile(["apply", "--rollback", "A", "--execute"]), 2, &["begin like that"]);
    let mut receipts: Vec<_> =
        std::fs::read_dir(workspace.path().join("reports/applied")).unwrap().map(|one| one.unwrap().path()).collect();
    receipts.sort();
    ends(&workspace.reconcile(["apply", "--rollback", receipts[0].to_str().unwrap(), "--execute"]), 0, &["4 done"]);
    assert_eq!(database.sql(DUMP), before, "to the byte");
    let psql = |sql: &str| {
        let output = database.psql(sql).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    psql(&script("plan.sql"));
    assert_eq!(database.sql(DUMP), applied, "the client makes the same of it");
    psql(&script("plan.sql"));
    assert_eq!(database.sql(DUMP), applied);
    psql(&script("rollback.sql"));
    assert_eq!(database.sql(DUMP), before);
    ends(&workspace.reconcile(["audit", "verify"]), 0, &["unchanged"]);
}

#[test]
fn unique_values_swap_where_the_constraint_waits_and_are_for_a_person_where_it_does_not() {
    for (wait, status, words) in [("DEFERRABLE", 0, "2 done"), ("", 1, "2 for a person")] {
        let (workspace, database) = (Workspace::new(), database());
        let table = |schema: &str| {
            format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (id int PRIMARY KEY, code text UNIQUE {wait});")
        };
        database.sql(&format!(
            "{}{}INSERT INTO auth.t VALUES (1, 'a'), (2, 'b'); INSERT INTO copy.t VALUES (1, 'b'), (2, 'a')",
            table("auth"),
            table("copy")
        ));
        contract(&workspace, &database, "t", "");
        ends(&workspace.reconcile(["run"]), 1, &[]);
        ends(&workspace.reconcile(["apply", "latest", "--execute"]), status, &[words]);
        let expected = if status == 0 { "1|a\n2|b" } else { "1|b\n2|a" };
        assert_eq!(database.sql("SELECT * FROM copy.t ORDER BY id"), expected);
    }
}

#[test]
fn what_the_target_cannot_hold_or_changes_is_said_and_not_written() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE SCHEMA copy; CREATE TABLE copy.t (id int PRIMARY KEY, name text, total numeric(6, 1), shout text);
         CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.shout := upper(NEW.shout); RETURN NEW; END $$;
         CREATE TRIGGER loud BEFORE UPDATE ON copy.t FOR EACH ROW EXECUTE FUNCTION up();
         CREATE TABLE copy.kid (t int REFERENCES copy.t ON DELETE CASCADE);
         INSERT INTO copy.t VALUES (1, 'x', 1, 'A'), (2, 'x', 1, 'A'), (3, 'x', 1, 'A'), (4, 'x', 1, 'A')",
    );
    workspace.file("a.ndjson", "{\"id\":1,\"name\":\"a\\u0000b\",\"total\":1,\"shout\":\"A\"}\n{\"id\":2,\"name\":\"x\",\"total\":1.25,\"shout\":\"A\"}\n{\"id\":3,\"name\":\"x\",\"total\":1,\"shout\":\"b\"}\n{\"id\":4,\"name\":\"y\",\"total\":1,\"shout\":\"A\"}\n");
    contract(&workspace, &database, "t", "");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    let url = format!("[source.a]\nlocation = \"{}\"\ntable = '''auth.t'''", database.url());
    workspace.file("reconcile.toml", &text.replace(&url, "[source.a]\nlocation = \"a.ndjson\""));
    ends(&workspace.reconcile(["run"]), 1, &[]);
    ends(
        &workspace.reconcile(["apply", "latest", "--execute"]),
        1,
        &[
            "trigger `loud` acts by itself",
            "on delete cascade",
            "cannot hold the character NUL",
            "does not keep the values",
            "1 done",
            "2 skipped",
            "1 for a person",
        ],
    );
    assert_eq!(database.sql("SELECT * FROM copy.t ORDER BY id"), "1|x|1.0|A\n2|x|1.0|A\n3|x|1.0|A\n4|y|1.0|A");
}

#[test]
fn a_user_who_may_only_read_is_refused_and_nothing_is_written() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE SCHEMA auth; CREATE SCHEMA copy; CREATE TABLE auth.t AS SELECT 1 AS id, 'a' AS name; CREATE TABLE copy.t AS SELECT 1 AS id, 'b' AS name;
         DROP ROLE IF EXISTS reader_of_apply; CREATE ROLE reader_of_apply LOGIN PASSWORD 'only reads';
         GRANT USAGE ON SCHEMA auth, copy TO reader_of_apply; GRANT SELECT ON ALL TABLES IN SCHEMA auth, copy TO reader_of_apply",
    );
    contract(&workspace, &database, "t", "");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace(&database.url(), &database.url_of("reader_of_apply:only%20reads")));
    ends(&workspace.reconcile(["run"]), 1, &[]);
    assert!(workspace.run().join("plan.sql").is_file(), "reading suffices for plan.sql");
    let outcome = workspace.reconcile(["apply", "latest", "--execute"]);
    ends(&outcome, 1, &["permission denied", "1 skipped"]);
    assert!(!outcome.stderr.contains("only reads") && !outcome.stdout.contains("only%20reads"));
    assert_eq!(database.sql("SELECT name FROM copy.t"), "b");
}
