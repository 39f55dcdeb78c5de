//! A table that was altered since the run: its key names several rows, its columns hold less, it is a view now. Nothing of a plan is
//! written there that its run did not see, and nothing is bent to fit.

use reconcile::apply::Quietly;
use reconcile::apply::journal::Story;
use reconcile::apply::work::{prepare, scripts};

use super::buried::client;
use super::held::{manual, stage};
use super::places::Place;
use super::{line, outcomes, update};
use crate::servers::{mariadb, postgres};

const SEVERAL: &str = "the key names several rows of the target";
const MOVED: &str = "the row has moved since: it does not hold what the plan saw";
const BENT: &str = "the target does not keep the values as they were written, so nothing was";
const VIEW: &str = "the projection is a view, which has no rows of its own";

/// A table of other columns in place of `t`, with its rows.
fn altered(place: &Place<'_>, columns: &str, end: &str) {
    place.ask("DROP TABLE IF EXISTS new_t");
    place.ask(&format!("CREATE TABLE new_t ({columns}){end}"));
    place.ask("INSERT INTO new_t SELECT * FROM t");
    place.ask("DROP TABLE t");
    place.ask("ALTER TABLE new_t RENAME TO t");
}

fn reset(place: &Place<'_>) {
    place.ask("DROP TABLE IF EXISTS t");
    place.ask("CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, name varchar(20), total decimal(10, 2), big bigint)");
    place.ask("INSERT INTO t VALUES (1, 'x', 1, 1), (2, 'x', 1, 1), (3, 'x', 1, 1), (5, 'x', 1.25, 1)");
}

fn rows(place: &Place<'_>) -> String {
    place.ask("SELECT concat(id, name) FROM t ORDER BY id, name").replace('\n', " ")
}

#[test]
fn a_key_that_names_several_rows_now_is_left_alone_by_apply_and_by_scripts() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        let plan = [
            update("t", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "delete", 2, r#"{"id":2,"name":"x","total":"1","big":1}"#, "null"),
            update("t", 3, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "insert", 4, "null", r#"{"id":4,"name":"n"}"#),
            line("t", "insert", 6, "null", r#"{"id":6,"name":"n"}"#),
        ];
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), &place.location(), "", "", &plan);
        // The primary key is of another column now, and rows came that only that allows: the same in all that the plan names.
        let rekeyed = || {
            altered(&place, "id bigint, name varchar(20), total decimal(10, 2), big bigint", "");
            place.ask("INSERT INTO t VALUES (1, 'x', 1, 1), (2, 'x', 1, 1), (4, 'm', 1, 1)");
        };
        reset(&place);
        let (mut script, mut undo) = (Vec::new(), Vec::new());
        scripts(&mut stage.target(), "run", &stage.chosen(), &mut script, &mut undo).unwrap();
        rekeyed();
        client(&place, &script);
        let after = "1x 1x 2x 2x 3y 4m 5x 6n";
        assert_eq!(rows(&place), after, "{}", place.location());
        place.ask("INSERT INTO t VALUES (6, 'n', NULL, NULL), (3, 'y', 1, 1)");
        client(&place, &undo);
        assert_eq!(rows(&place), "1x 1x 2x 2x 3y 3y 4m 5x 6n 6n", "{}", place.location());
        reset(&place);
        rekeyed();
        let told = stage.apply("A1", &Quietly);
        let there = "the row has moved since: there is one of this key now";
        assert_eq!(outcomes(&told), [SEVERAL, SEVERAL, "done", there, "done"], "{}", place.location());
        assert_eq!(rows(&place), after);
        place.ask("INSERT INTO t VALUES (6, 'n', NULL, NULL), (3, 'y', 1, 1)");
        assert_eq!(outcomes(&stage.undo("A1", "A2", &Quietly)), [SEVERAL; 2]);
    }
}

#[test]
fn what_a_narrower_column_would_bend_is_not_written() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        reset(&place);
        let plan = [
            update("t", 1, r#"{"total":"1"}"#, r#"{"total":"2.5"}"#),
            update("t", 2, r#"{"name":"x"}"#, r#"{"name":"abcdef"}"#),
            update("t", 3, r#"{"big":1}"#, r#"{"big":70000}"#),
            line("t", "insert", 4, "null", r#"{"id":4,"name":"n","total":"1.25","big":1}"#),
            line("t", "delete", 5, r#"{"id":5,"name":"x","total":"1.25","big":1}"#, "null"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), &place.location(), "", "", &plan);
        // SQLite holds columns to their types only where it is told to.
        let (columns, end) = match place {
            Place::Sqlite(_) => (
                "id INTEGER PRIMARY KEY, name TEXT CHECK (length(name) < 4), total INTEGER, big INTEGER CHECK (big < 32768)",
                " STRICT",
            ),
            _ => ("id bigint PRIMARY KEY, name varchar(3), total decimal(10, 0), big smallint", ""),
        };
        place.ask("UPDATE t SET total = 1 WHERE id = 5");
        altered(&place, columns, end);
        let told = stage.apply("A1", &Quietly);
        let said = outcomes(&told);
        let refused = |place: usize| said[place].starts_with("the target refused it: ");
        assert!(refused(1) && refused(2), "{said:?}");
        for bent in [0, 3] {
            assert!(said[bent] == BENT || refused(bent) && matches!(place, Place::Sqlite(_)), "{said:?}");
        }
        assert_eq!(said[4], MOVED);
        assert_eq!(rows(&place), "1x 2x 3x 5x");
        assert_eq!(place.ask("SELECT count(*) FROM t WHERE total = 1 AND big = 1"), "4");
    }
}

#[test]
fn a_key_of_another_type_names_the_same_row_or_none() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        reset(&place);
        let plan = [
            update("t", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            update("t", 7, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "insert", 8, "null", r#"{"id":8,"name":"n"}"#),
        ];
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), &place.location(), "", "", &plan);
        altered(&place, "id varchar(9) PRIMARY KEY, name varchar(20), total decimal(10, 2), big bigint", "");
        place.ask("INSERT INTO t VALUES ('01', 'x', 1, 1), ('7 ', 'x', 1, 1), ('007', 'x', 1, 1)");
        let by_number = "`id` is compared as a number, so no look-up of column `id` tells whether the row is there in another spelling";
        assert_eq!(manual(&stage), [(2, by_number.to_owned())], "{}", place.location());
        let none = "the row has moved since: there is none of this key now";
        assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done", none], "{}", place.location());
        assert_eq!(place.ask("SELECT count(*) FROM t WHERE name = 'y' AND id = '1'"), "1");
        assert_eq!(place.ask("SELECT count(*) FROM t WHERE name = 'y'"), "1");
    }
}

/// A receipt tells values as the server wrote them: what stands for a number would stand for other bytes in a text.
#[test]
fn nothing_is_brought_back_into_a_column_of_another_type() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        reset(&place);
        let plan =
            [update("t", 1, r#"{"big":1}"#, r#"{"big":null}"#), update("t", 2, r#"{"name":"x"}"#, r#"{"name":null}"#)];
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), &place.location(), "", "", &plan);
        assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"; 2]);
        altered(&place, "id bigint PRIMARY KEY, name varchar(30), total decimal(12, 2), big varchar(20)", "");
        let mut target = prepare(stage.database(), &[]).unwrap();
        let story = Story::read(&stage.folder.join("reports/applied/A1.ndjson")).unwrap();
        target.undo(&story, &|_| None).unwrap();
        let said: Vec<String> = target.manual.values().cloned().collect();
        drop(target);
        let told = stage.undo("A1", "A2", &Quietly);
        let now =
            place.ask("SELECT concat(id, coalesce(name, '-'), coalesce(big, '-')) FROM t WHERE id < 3 ORDER BY id");
        if matches!(place, Place::Sqlite(_)) {
            assert_eq!((outcomes(&told), now.as_str()), (vec!["done"; 2], "1x1\n2x1"), "each value tells what it is");
            continue;
        }
        assert_eq!(said, ["column `big` held values of another type when it was written (integer, now text)"]);
        // A longer text is a text all the same.
        assert_eq!((outcomes(&told), now.as_str()), (vec!["done"], "1x-\n2x1"), "{}", place.location());
    }
}

#[test]
fn a_view_in_place_of_the_table_is_never_written_through() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        reset(&place);
        let plan = [
            update("t", 1, r#"{"name":"x"}"#, r#"{"name":"y"}"#),
            line("t", "insert", 4, "null", r#"{"id":4,"name":"n"}"#),
            line("t", "delete", 2, r#"{"id":2,"name":"x","total":"1","big":1}"#, "null"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), &place.location(), "", "", &plan);
        assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"; 3]);
        let written = rows(&place);
        assert_eq!(written, "1y 3x 4n 5x");
        place.ask("ALTER TABLE t RENAME TO old_t");
        place.ask("CREATE VIEW t AS SELECT * FROM old_t");
        let all = |places: [usize; 3]| places.map(|place| (place, VIEW.to_owned()));
        assert_eq!(manual(&stage), all([0, 1, 2]), "{}", place.location());
        assert_eq!(outcomes(&stage.apply("A2", &Quietly)), Vec::<&str>::new());
        // Nor is anything brought back through it.
        assert_eq!(outcomes(&stage.undo("A1", "A3", &Quietly)), Vec::<&str>::new(), "{}", place.location());
        assert_eq!(rows(&place), written);
    }
}
