//! A row that was alive when the run saw it and is a tombstone now is not the row of the plan any more, whatever its values are.

use reconcile::apply::Quietly;
use reconcile::apply::work::scripts;

use super::held::{manual, stage};
use super::places::Place;
use super::{line, outcomes};
use crate::servers::{mariadb, postgres};
use crate::support::Workspace;

const BURIED: &str = "the row has moved since: it is a tombstone now";
const WOULD: &str = "with this the row would be a tombstone, so nothing was written";
const THERE: &str = "the row has moved since: there is one of this key now";

/// What tells tombstones, how a row becomes one, and what an update would write that makes one of it.
const WAYS: [(&str, &str, &str, &str); 5] = [
    ("gone", "gone = true", r#"{"gone":false}"#, r#"{"gone":true}"#),
    ("not (gone = false)", "gone = true", r#"{"gone":false}"#, r#"{"gone":true}"#),
    ("status = 'D'", "status = 'D'", r#"{"status":"A"}"#, r#"{"status":"D"}"#),
    ("status in ('D', 'it''s') or at is not null", "status = 'it''s'", r#"{"status":"A"}"#, r#"{"status":"it's"}"#),
    ("at is not null", "at = '2026-01-01 00:00:00'", r#"{"at":null}"#, r#"{"at":"2026-01-01T00:00:00"}"#),
];

/// Runs a script as a client would.
pub(super) fn client(place: &Place<'_>, script: &[u8]) {
    let script = std::str::from_utf8(script).unwrap();
    match place {
        Place::Sqlite(folder) => {
            rusqlite::Connection::open(folder.join("family.db")).unwrap().execute_batch(script).unwrap();
        }
        Place::Postgres(_) | Place::Mariadb(_) => _ = place.ask(script),
    }
}

fn reset(place: &Place<'_>) {
    place.ask("DROP TABLE IF EXISTS t");
    let local = if matches!(place, Place::Mariadb(_)) { "datetime" } else { "timestamp" };
    place.ask(&format!(
        "CREATE TABLE t (id int PRIMARY KEY, name varchar(9), gone boolean DEFAULT false, status varchar(9) DEFAULT 'A', at {local})"
    ));
    // To no guard is a small letter a capital, whatever the server's collation says; NULL is not deleted.
    place.ask("INSERT INTO t (id, name, status) VALUES (1, 'x', 'A'), (2, 'x', 'A'), (3, 'x', 'A'), (4, 'x', 'A'), (5, 'x', 'A'), (6, 'x', 'd')");
    place.ask("UPDATE t SET gone = NULL WHERE id = 1");
}

#[test]
fn a_row_that_was_buried_since_is_left_alone() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        for (deleted, buries, alive, dead) in WAYS {
            // A number is no boolean to a comparison with one.
            if matches!(place, Place::Mariadb(_)) && deleted.contains("= false") {
                continue;
            }
            reset(&place);
            let change = |id| line("t", "update", id, r#"{"name":"x"}"#, r#"{"name":"y"}"#);
            let remove = |id| line("t", "delete", id, &format!(r#"{{"id":{id},"name":"x"}}"#), "null");
            let add = |id| line("t", "insert", id, "null", &format!(r#"{{"id":{id},"name":"n"}}"#));
            let plan = [change(1), change(2), remove(3), remove(4), change(6), add(7), add(8)];
            let (folder, about) = (tempfile::tempdir().unwrap(), format!("{deleted} at {}", place.location()));
            let stage = |plan: &[String]| {
                stage(folder.path(), &place.location(), &format!("deleted = \"\"\"{deleted}\"\"\""), "", plan)
            };
            let rows = || place.ask("SELECT concat(id, name) FROM t ORDER BY id").replace('\n', " ");
            let bury = |id: i32| _ = place.ask(&format!("UPDATE t SET {buries} WHERE id = {id}"));
            let meanwhile = || {
                _ = [2, 3].map(bury);
                place.ask("INSERT INTO t (id, name, status) VALUES (7, 'n', 'A')");
                bury(7);
            };
            let since = || _ = [1, 8].map(bury);
            // As a script.
            let (mut script, mut undo) = (Vec::new(), Vec::new());
            let all = stage(&plan);
            scripts(&mut all.target(), "run", &all.chosen(), &mut script, &mut undo).unwrap();
            meanwhile();
            client(&place, &script);
            assert_eq!(rows(), "1y 2x 3x 5x 6y 7n 8n", "{about}");
            since();
            client(&place, &undo);
            assert_eq!(rows(), "1y 2x 3x 4x 5x 6x 7n 8n", "{about}");
            // As it is applied.
            reset(&place);
            meanwhile();
            let told = all.apply("A1", &Quietly);
            assert_eq!(outcomes(&told), ["done", BURIED, BURIED, "done", "done", THERE, "done"], "{about}");
            assert_eq!(rows(), "1y 2x 3x 5x 6y 7n 8n", "{about}");
            since();
            let undone = all.undo("A1", "A2", &Quietly);
            let mut said = outcomes(&undone);
            said.sort_unstable();
            assert_eq!(said, ["done", "done", BURIED, BURIED], "{about}");
            assert_eq!(rows(), "1y 2x 3x 4x 5x 6x 7n 8n", "{about}");
            // Nor does a repair bury a row.
            let buries = stage(&[line("t", "update", 5, alive, dead)]);
            assert_eq!(outcomes(&buries.apply("A3", &Quietly)), [WOULD], "{about}");
        }
    }
}

#[test]
fn what_no_guard_can_hold_is_for_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path());
    reset(&place);
    let plan = [
        line("t", "update", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
        line("t", "delete", 2, r#"{"id":2,"name":"x"}"#, "null"),
        line("t", "insert", 9, "null", r#"{"id":9,"name":"n"}"#),
    ];
    let of = "deleted = \"upper(status) = 'D'\"";
    let reports = tempfile::tempdir().unwrap();
    let stage = stage(reports.path(), &place.location(), of, "", &plan);
    let said = manual(&stage);
    assert_eq!(said.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [0, 1]);
    assert!(
        said[0].1.starts_with("no guard can hold whether the row is a tombstone: in `deleted` of its source"),
        "{said:?}"
    );
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"]);
}

#[test]
fn a_plan_of_a_run_with_tombstones_holds_them_through_the_command() {
    let workspace = Workspace::new();
    let database = rusqlite::Connection::open(workspace.path().join("p.db")).unwrap();
    let rows = "CREATE TABLE p (id INTEGER PRIMARY KEY, n TEXT, status TEXT); \
                INSERT INTO p VALUES (1, 'x', 'A'), (2, 'x', 'A'), (3, 'x', 'withdrawn-9')";
    database.execute_batch(rows).unwrap();
    workspace.file("a.csv", "id,n\n1,a\n2,b\n3,c\n");
    let contract = "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.p]\nlocation = \"sqlite:p.db\"\ntable = \"p\"\n\
                    deleted = \"status = '${MARK}'\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\n\
                    key = [\"id\"]\nignore = [\"status\"]\nrepair = { mismatch = \"auto\", missing = \"auto\" }\n";
    workspace.file("reconcile.toml", contract);
    let call = |arguments: &[&str]| {
        crate::support::Outcome::of(&workspace.command(arguments).env("MARK", "withdrawn-9").output().unwrap())
            .unbroken()
    };
    call(&["run"]).expect(1, &["3 actions"]);
    // What came from the environment stands in no script.
    let script = std::fs::read_to_string(workspace.run().join("plan.sql")).unwrap();
    assert!(script.contains("holds a value of the environment") && !script.contains("withdrawn"), "{script}");
    database.execute("UPDATE p SET status = 'withdrawn-9' WHERE id = 1", []).unwrap();
    call(&["apply", "latest", "--execute"]).expect(1, &["it is a tombstone now", "1 done", "1 skipped"]);
    let left: Vec<String> = database
        .prepare("SELECT id || n || status FROM p ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(left, ["1xwithdrawn-9", "2bA", "3xwithdrawn-9"]);
}
