//! What keeps a row from being written although its values are as the plan saw them: it is not the contract's any more, what
//! refers to it cannot be seen, the column would bend the value, or it may be there in another spelling.

use std::path::Path;

use reconcile::apply::Quietly;
use reconcile::apply::work::scripts;
use reconcile::contract::load_text;

use super::places::Place;
use super::{Stage, line, outcomes, update};
use crate::servers::{mariadb, postgres};
use crate::support::tree;

/// A contract `t` of a table `t`, with more of its projection and of itself.
pub(super) fn stage(folder: &Path, location: &str, source: &str, contract: &str, plan: &[String]) -> Stage {
    keyed(folder, location, "[\"id\"]", source, contract, plan)
}

fn keyed(folder: &Path, location: &str, key: &str, source: &str, contract: &str, plan: &[String]) -> Stage {
    let text = format!(
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.p]\nlocation = \"{location}\"\ntable = \"t\"\n{source}\n\
         [contract.t]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = {key}\n{contract}\n"
    );
    std::fs::create_dir_all(folder.join("reports")).unwrap();
    let configuration = load_text(&folder.join("reconcile.toml"), &text).unwrap();
    Stage { folder: folder.to_owned(), configuration, plan: plan.to_vec() }
}

/// A table in SQLite, with a stage for it.
fn in_sqlite(folder: &Path, table: &str, contract: &str, plan: &[String]) -> Stage {
    rusqlite::Connection::open(folder.join("family.db")).unwrap().execute_batch(table).unwrap();
    stage(folder, &Place::Sqlite(folder).location(), "", contract, plan)
}

pub(super) fn manual(stage: &Stage) -> Vec<(usize, String)> {
    stage.target().manual.into_iter().collect()
}

const OUTSIDE: &str =
    "the row has moved since: the only row of this key is not among those that the source's filter takes";
const LEAVES: &str = "with this the row would leave those that the source's filter takes, so nothing was written";

/// A filter says whose rows they are: a row that went to another tenant since is not the contract's.
#[test]
fn rows_outside_of_the_filter_are_left_alone() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        place.ask("CREATE TABLE t (tenant varchar(9) NOT NULL DEFAULT 'a', id int, name varchar(9), PRIMARY KEY (tenant, id))");
        place.ask("INSERT INTO t VALUES ('a', 1, 'x'), ('a', 2, 'x'), ('a', 3, 'x'), ('a', 4, 'x'), ('b', 2, 'x'), ('b', 7, 'x')");
        let plan = [
            line("t", "update", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "update", 2, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "delete", 3, r#"{"id":3,"name":"x"}"#, "null"),
            line("t", "update", 4, r#"{"tenant":"a"}"#, r#"{"tenant":"b"}"#),
            line("t", "insert", 7, "null", r#"{"id":7,"name":"n"}"#),
            line("t", "insert", 8, "null", r#"{"id":8,"name":"n"}"#),
        ];
        let folder = tempfile::tempdir().unwrap();
        let filter = "filter = \"tenant = 'a' -- ours\"";
        let stage = stage(folder.path(), &place.location(), filter, "", &plan);
        // A script is held to the same.
        let (mut script, mut undo) = (Vec::new(), Vec::new());
        scripts(&mut stage.target(), "run", &stage.chosen(), &mut script, &mut undo).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.matches("tenant = 'a' -- ours").count() >= 3, "{script}");
        place.ask("UPDATE t SET tenant = 'b' WHERE id IN (1, 3)");
        let told = stage.apply("A1", &Quietly);
        assert_eq!(outcomes(&told), [OUTSIDE, "done", OUTSIDE, LEAVES, OUTSIDE, "done"], "{}", place.location());
        let rows = || place.ask("SELECT concat(tenant, id, name) FROM t ORDER BY id, tenant").replace('\n', " ");
        assert_eq!(rows(), "b1x a2y b2x b3x a4x b7x a8n");
        let receipt = std::fs::read_to_string(folder.path().join("reports/applied/A1.ndjson")).unwrap();
        assert_eq!(receipt.matches("\"record\":\"skipped\"").count(), 4, "{receipt}");
        // Nor is a row brought back that is another tenant's now.
        place.ask("UPDATE t SET tenant = 'c' WHERE tenant = 'a' AND id = 2");
        place.ask("DELETE FROM t WHERE tenant = 'b' AND id = 2");
        assert_eq!(outcomes(&stage.undo("A1", "A2", &Quietly)), ["done", OUTSIDE]);
        assert_eq!(rows(), "b1x c2y b3x a4x b7x");
    }
}

/// Who may see too little to know what the server would remove with a row removes none.
#[test]
fn a_user_of_mariadb_who_sees_too_little_deletes_nothing() {
    let database = mariadb::database();
    let (name, place) = (database.name(), Place::Mariadb(&database));
    let user = format!("few_{name}");
    database.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(9)) ENGINE = InnoDB;
         CREATE TABLE child (t int, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE) ENGINE = InnoDB;
         INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'x'); INSERT INTO child VALUES (1), (3);
         CREATE USER '{user}'@'%' IDENTIFIED BY 's3cret'; GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.t TO '{user}'@'%';
         GRANT SELECT ON {name}.child TO '{user}'@'%'"
    ));
    let folder = tempfile::tempdir().unwrap();
    let removed = |id| line("t", "delete", id, &format!(r#"{{"id":{id},"name":"x"}}"#), "null");
    let plan = [removed(1), removed(2)];
    let location = database.url_of(&format!("{user}:s3cret"));
    let stage = stage(folder.path(), &location, "", "", &plan);
    let unseen = "this user cannot see whether rows of other tables would go with it: that takes SELECT on the whole database, or PROCESS";
    assert_eq!(manual(&stage), [(0, unseen.to_owned()), (1, unseen.to_owned())]);
    // All tables can be seen, though not what happens to their rows.
    database.sql(&format!("GRANT SELECT ON {name}.* TO '{user}'@'%'"));
    let refers = "rows of `child` refer to it, on which the server would act (on delete unknown to this user), so the row is left for a person";
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), [refers, "done"]);
    assert_eq!(place.ask("SELECT id FROM t ORDER BY id"), "1\n3");
    // All is told, and one of the tables may not be read.
    database.sql(&format!(
        "REVOKE SELECT ON {name}.* FROM '{user}'@'%'; REVOKE SELECT ON {name}.child FROM '{user}'@'%'; GRANT PROCESS ON *.* TO '{user}'@'%'"
    ));
    let hidden = "tables refer to it whose rows would go with it, and which this user may not see, so the row is left for a person";
    assert_eq!(manual(&stage), [(0, hidden.to_owned()), (1, hidden.to_owned())]);
    database.sql(&format!("GRANT SELECT ON {name}.child TO '{user}'@'%'"));
    assert_eq!(outcomes(&stage.apply("A2", &Quietly)), [refers, "already"]);
    assert_eq!(place.ask("SELECT t FROM child ORDER BY t"), "1\n3");
}

/// A policy hides rows from the user, not from the server's own deletes.
#[test]
fn a_user_of_postgres_whom_a_policy_hides_rows_from_deletes_nothing() {
    let database = postgres::database();
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, name text); CREATE TABLE child (t int REFERENCES t ON DELETE CASCADE, owner text);
         INSERT INTO t VALUES (1, 'x'), (2, 'x'); INSERT INTO child VALUES (1, 'somebody');
         ALTER TABLE child ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON child USING (owner = current_user);
         DROP ROLE IF EXISTS hidden_of_apply; CREATE ROLE hidden_of_apply LOGIN PASSWORD 'hidden';
         GRANT SELECT, INSERT, UPDATE, DELETE ON t TO hidden_of_apply; GRANT SELECT ON child TO hidden_of_apply;
         ALTER ROLE hidden_of_apply SET lock_timeout = '10min'",
    );
    let folder = tempfile::tempdir().unwrap();
    let plan = [
        line("t", "delete", 1, r#"{"id":1,"name":"x"}"#, "null"),
        update("t", 2, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
    ];
    let stage = stage(folder.path(), &database.url_of("hidden_of_apply:hidden"), "", "", &plan);
    let told = stage.apply("A1", &Quietly);
    let said = outcomes(&told);
    assert!(said[0].contains("would be affected by row-level security policy for table \"child\""), "{said:?}");
    assert_eq!(said[1], "done");
    assert_eq!(database.sql("SELECT count(*) FROM child"), "1");
    // Nor is a lock waited for as long as the role would.
    let waits = stage.target().link.rows("SHOW lock_timeout").unwrap();
    assert_eq!(waits, [[Some("5s".to_owned())]]);
}

/// A constraint of SQLite may say that another row makes way for one that takes its value.
#[test]
fn no_other_row_makes_way_in_sqlite() {
    for act in ["REPLACE", "ROLLBACK", "IGNORE", "FAIL"] {
        let folder = tempfile::tempdir().unwrap();
        let table = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT UNIQUE ON CONFLICT {act}); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"
        );
        let plan = [
            update("t", 1, r#"{"code":"a"}"#, r#"{"code":"b"}"#),
            line("t", "insert", 4, "null", r#"{"id":4,"code":"b"}"#),
            update("t", 3, r#"{"code":"c"}"#, r#"{"code":"d"}"#),
        ];
        let stage = in_sqlite(folder.path(), &table, "", &plan);
        let place = Place::Sqlite(folder.path());
        let rows = || place.ask("SELECT id || code FROM t ORDER BY id").replace('\n', " ");
        let (mut script, mut undo) = (Vec::new(), Vec::new());
        scripts(&mut stage.target(), "run", &stage.chosen(), &mut script, &mut undo).unwrap();
        let database = rusqlite::Connection::open(folder.path().join("family.db")).unwrap();
        let refused = database.execute_batch(&String::from_utf8(script).unwrap()).unwrap_err();
        assert!(refused.to_string().contains("UNIQUE constraint failed"), "{refused}");
        drop(database);
        assert_eq!(rows(), "1a 2b 3c", "{act}");
        let told = stage.apply("A1", &Quietly);
        let taken = "the target refused it: UNIQUE constraint failed: t.code";
        assert_eq!(outcomes(&told), [taken, "another row holds a value that must be unique", "done"], "{act}");
        assert_eq!(rows(), "1a 2b 3d", "{act}");
    }
}

/// A column without a type stores what it is given, as it is given.
#[test]
fn a_column_without_a_type_stores_what_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let plan = [
        line("t", "insert", 1, "null", r#"{"id":1,"amount":"3.5","data":"dead","note":"hello there","count":7}"#),
        line("t", "insert", 2, "null", r#"{"id":2,"amount":"3.5","data":"dead","note":"12.5","count":7}"#),
        line("t", "insert", 3, "null", r#"{"id":3,"amount":null,"data":null,"note":"beef","count":null}"#),
        update("t", 9, r#"{"amount":"1.5","data":"00ff"}"#, r#"{"amount":"2.5","data":"ff"}"#),
    ];
    let types = "[contract.t.attribute.amount]\ntype = \"decimal\"\n[contract.t.attribute.data]\ntype = \"binary\"";
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, amount, data, note, count); INSERT INTO t VALUES (9, 1.5, x'00ff', 'n', 1)";
    let stage = in_sqlite(folder.path(), table, types, &plan);
    let why = "column `note` has no type, so it is not known whether it stores a number, a text or bytes: give the attribute a `type`";
    assert_eq!(manual(&stage), [(1, why.to_owned()), (2, why.to_owned())]);
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done", "done"]);
    let stored = Place::Sqlite(folder.path())
        .ask("SELECT typeof(amount) || typeof(data) || typeof(note) || typeof(count) FROM t ORDER BY id");
    assert_eq!(stored, "realblobtextinteger\nrealblobtextinteger");
}

/// A key that is spelled in another way is the same key: it is looked for as it compares.
#[test]
fn a_key_that_is_there_in_another_spelling_is_not_added_again() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    let there = "the row has moved since: there is one of this key now, in another spelling";
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        let binary = if matches!(place, Place::Mariadb(_)) { " COLLATE utf8mb4_bin" } else { "" };
        let end = if binary.is_empty() { "" } else { " CHARACTER SET utf8mb4" };
        place.ask(&format!(
            "CREATE TABLE t (id varchar(20){end}{binary}, part int, name varchar(9), PRIMARY KEY (id, part))"
        ));
        place.ask("INSERT INTO t VALUES ('ABC', 1, 'x'), ('ABD', 2, 'x'), (' a  b ', 1, 'x'), ('stra\u{df}e', 1, 'x'), ('caf\u{e9}', 1, 'x'), ('\u{df}\u{c9}', 1, 'x')");
        let keys = ["abc", "abd", "A B", "STRASSE", "cafe\u{301}", "abe", "SS\u{e9}", "sse"];
        let plan = keys.map(|key| {
            let row = format!(r#"{{"id":"{key}","part":1,"name":"n"}}"#);
            line("t", "insert", 1, "null", &row)
                .replace(r#""key":{"id":1}"#, &format!(r#""key":{{"id":"{key}","part":1}}"#))
                .replace("insert-t-1", &format!("insert-{key}"))
        });
        let options =
            "[contract.t.attribute.id]\ncase = \"ignore\"\ntrim = \"both\"\nspaces = \"collapse\"\nunicode = \"nfc\"";
        let folder = tempfile::tempdir().unwrap();
        let stage = keyed(folder.path(), &place.location(), r#"["id", "part"]"#, "", options, &plan);
        let told = stage.apply("A1", &Quietly);
        let expected = [there, "done", there, there, there, "done", there, "done"];
        assert_eq!(outcomes(&told), expected, "{}", place.location());
        assert_eq!(place.ask("SELECT count(*) FROM t"), "9");
        let (mut script, mut undo) = (Vec::new(), Vec::new());
        scripts(&mut stage.target(), "run", &stage.chosen(), &mut script, &mut undo).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert_eq!(script.matches("may be there with its key in another spelling").count(), keys.len(), "{script}");
    }
}

/// Where the other spellings are without number, it is for a person.
#[test]
fn a_key_whose_spellings_cannot_be_looked_for_is_for_a_person() {
    let options = [
        ("TEXT", "7", "type = \"int64\"", Some("under another `type` than text")),
        ("TEXT", "7", "", Some("as a number")),
        ("TEXT", "null", "null_equals = [\"\"]", Some("with `null_equals`")),
        ("TEXT", "\"abc\"", "type = \"text\"", None),
        ("INTEGER", "7", "type = \"int64\"", None),
    ];
    for (column, key, option, expected) in options {
        let folder = tempfile::tempdir().unwrap();
        let table =
            format!("CREATE TABLE t (id {column}, name TEXT); INSERT INTO t VALUES ('ABC', 'x'), ('008 ', 'x')");
        let plan = [line("t", "insert", 1, "null", &format!(r#"{{"id":{key},"name":"n"}}"#))
            .replace("\"key\":{\"id\":1}", &format!("\"key\":{{\"id\":{key}}}"))];
        let stage = in_sqlite(folder.path(), &table, &format!("[contract.t.attribute.id]\n{option}"), &plan);
        match expected {
            Some(why) => {
                let why = format!(
                    "`id` is compared {why}, so no look-up of column `id` tells whether the row is there in another spelling"
                );
                assert_eq!(manual(&stage), [(0, why)]);
            }
            None => assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"], "{column} {option}"),
        }
    }
}

/// What a domain would cut or round is refused, as it is in a column of the type under it; and a month is not thirty days.
#[test]
fn no_domain_bends_a_value_and_lengths_of_time_are_told_apart() {
    let database = postgres::database();
    database.sql(
        "CREATE DOMAIN short AS varchar(3); CREATE DOMAIN code AS short CHECK (value <> 'zzz'); CREATE DOMAIN money1 AS numeric(6, 1);
         CREATE TABLE t (id int PRIMARY KEY, name code, total money1, span interval);
         INSERT INTO t SELECT n, 'abc', 1, CASE n WHEN 4 THEN '30 days' ELSE '1 mon' END::interval FROM generate_series(1, 5) n",
    );
    let folder = tempfile::tempdir().unwrap();
    let plan = [
        update("t", 1, r#"{"name":"abc"}"#, r#"{"name":"abcdef"}"#),
        update("t", 2, r#"{"total":1}"#, r#"{"total":"1.25"}"#),
        update("t", 3, r#"{"name":"abc","total":1}"#, r#"{"name":"abd","total":"1.5"}"#),
        update("t", 4, r#"{"span":"1 mon"}"#, r#"{"span":"2 mons"}"#),
        update("t", 5, r#"{"span":"1 mon"}"#, r#"{"span":"2 mons"}"#),
        line("t", "insert", 6, "null", r#"{"id":6,"name":"abcd","total":1,"span":"1 day"}"#),
    ];
    let stage = stage(folder.path(), &database.url(), "", "", &plan);
    let long = "the target refused it: value too long for type character varying(3)";
    let rounded = "the target does not keep the values as they were written, so nothing was";
    let moved = "the row has moved since: it does not hold what the plan saw";
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), [long, rounded, "done", moved, "done", long]);
    let rows = database.sql("SELECT id, name, total, span FROM t ORDER BY id");
    assert_eq!(rows, "1|abc|1.0|1 mon\n2|abc|1.0|1 mon\n3|abd|1.5|1 mon\n4|abc|1.0|30 days\n5|abc|1.0|2 mons");
}

/// A session of MySQL or MariaDB waits for no table for a day, and notices a network that is gone.
#[test]
fn a_session_of_mariadb_does_not_wait_for_ever() {
    let database = mariadb::database();
    database.sql("CREATE TABLE t (id int PRIMARY KEY) ENGINE = InnoDB");
    let folder = tempfile::tempdir().unwrap();
    let mut target = stage(folder.path(), &database.url(), "", "", &[]).target();
    let mut ask = |sql: &str| target.link.rows(sql).unwrap().remove(0).remove(0).unwrap();
    assert_eq!(ask("SELECT @@lock_wait_timeout"), "5");
    let port =
        ask("SELECT SUBSTRING_INDEX(HOST, ':', -1) FROM information_schema.PROCESSLIST WHERE ID = CONNECTION_ID()");
    let local = format!("0100007F:{:04X}", port.parse::<u16>().unwrap());
    // sl, local address, remote address, state, queues, which timer runs: 02 asks whether the other end is there.
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let ours = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|cells| cells[1] == local);
    let ours = ours.unwrap_or_else(|| panic!("no socket {local} in\n{sockets}"));
    assert!(ours[5].starts_with("02:"), "no keepalive: {ours:?}");
}

/// A journal that another apply is just beginning has no first line yet, and is not what a killed one left.
#[test]
fn a_journal_that_is_just_begun_is_not_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let plan = [update("t", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#)];
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'x')";
    let stage = in_sqlite(folder.path(), table, "", &plan);
    let applied = folder.path().join("reports/applied");
    std::fs::create_dir(&applied).unwrap();
    let newborn = std::fs::File::create(applied.join("A0.ndjson")).unwrap();
    newborn.lock().unwrap();
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"]);
    assert_eq!(tree(&applied), ["A0.ndjson", "A1.ndjson"]);
    drop(newborn);
    assert_eq!(outcomes(&stage.apply("A2", &Quietly)), ["already"]);
    assert_eq!(tree(&applied), ["A1.ndjson", "A2.ndjson"], "nobody writes it any more");
}
