//! A row is not removed while others refer to it on which the server would act: they are not the plan's. Once the plan has moved
//! or removed them itself, it is. Nor does the server's computing keep a row from being added.

use reconcile::apply::Quietly;
use reconcile::apply::work::scripts;

use super::places::Place;
use super::{Stage, line, outcomes, update};
use crate::servers::{mariadb, postgres};

/// Parents, children that go with them, and rows that refer to rows of their own table.
fn make(place: &Place<'_>, act: &str) {
    let end = if matches!(place, Place::Mariadb(_)) { " ENGINE = InnoDB" } else { "" };
    for sql in [
        "DROP TABLE IF EXISTS child".to_owned(),
        "DROP TABLE IF EXISTS parent".to_owned(),
        format!(
            "CREATE TABLE parent (id int PRIMARY KEY, up int, note varchar(20), FOREIGN KEY (up) REFERENCES parent (id) ON DELETE {act}){end}"
        ),
        format!(
            "CREATE TABLE child (id int PRIMARY KEY, parent int DEFAULT 1, note varchar(20), FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE {act}){end}"
        ),
        "INSERT INTO parent VALUES (1, NULL, 'one')".to_owned(),
        "INSERT INTO parent VALUES (2, 2, 'itself')".to_owned(),
        "INSERT INTO parent VALUES (3, 1, 'has a child')".to_owned(),
        "INSERT INTO parent VALUES (4, NULL, 'has one below')".to_owned(),
        "INSERT INTO parent VALUES (5, 4, 'below')".to_owned(),
        "INSERT INTO child VALUES (1, 3, 'kept')".to_owned(),
    ] {
        place.ask(&sql);
    }
}

fn dump(place: &Place<'_>) -> String {
    let parents = place.ask("SELECT id FROM parent ORDER BY id");
    let children = place.ask("SELECT concat(id, ' of ', coalesce(parent, 0)) FROM child ORDER BY id");
    format!("{}; {}", parents.replace('\n', " "), children.replace('\n', ", "))
}

fn parent(id: i64, up: &str, note: &str) -> String {
    line("parent", "delete", id, &format!(r#"{{"id":{id},"up":{up},"note":"{note}"}}"#), "null")
}

fn walk(place: &Place<'_>, act: &str, client: &dyn Fn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let three = || parent(3, "1", "has a child");
    let stage = |folder: &tempfile::TempDir, plan: &[String]| Stage::at(folder.path(), &place.location(), plan);
    // Two refers to itself alone, which goes with it.
    let plan = [three(), parent(2, "2", "itself"), parent(4, "null", "has one below")];
    make(place, act);
    let said =
        outcomes(&stage(&folder, &plan).apply("A1", &Quietly)).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let act = act.to_lowercase();
    let refused = |table: &str| {
        format!(
            "rows of `{table}` refer to it, on which the server would act (on delete {act}), so the row is left for a person"
        )
    };
    assert_eq!(said, [refused("child"), "done".to_owned(), refused("parent")], "{act}");
    assert_eq!(dump(place), "1 3 4 5; 1 of 3", "{act}");
    // The same by hand, which says nothing but does no harm either.
    make(place, &act);
    let (mut sql, mut undo) = (Vec::new(), Vec::new());
    let mut target = stage(&folder, &plan).target();
    scripts(&mut target, "plan", &stage(&folder, &plan).chosen(), &mut sql, &mut undo).unwrap();
    drop(target);
    client(&String::from_utf8(sql).unwrap());
    assert_eq!(dump(place), "1 3 4 5; 1 of 3", "{act}");
    client(&String::from_utf8(undo).unwrap());
    assert_eq!(dump(place), "1 2 3 4 5; 1 of 3", "{act}");
    // What the plan itself moves or removes is in nobody's way.
    make(place, &act);
    let moved = update("child", 1, r#"{"parent":"3"}"#, r#"{"parent":"1"}"#);
    let plan = [three(), moved, parent(4, "null", "has one below"), parent(5, "4", "below")];
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(&folder, &plan);
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"; 4], "{act}");
    assert_eq!(dump(place), "1 2; 1 of 1", "{act}");
    stage.undo("A1", "A2", &Quietly);
    assert_eq!(dump(place), "1 2 3 4 5; 1 of 3", "{act}");
}

#[test]
fn a_row_that_others_would_go_with_is_left_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let client = |sql: &str| {
        rusqlite::Connection::open(folder.path().join("family.db")).unwrap().execute_batch(sql).unwrap();
    };
    for act in ["CASCADE", "SET NULL", "SET DEFAULT"] {
        walk(&Place::Sqlite(folder.path()), act, &client);
    }
}

#[test]
fn a_row_that_others_would_go_with_is_left_in_postgres() {
    let database = postgres::database();
    for act in ["CASCADE", "SET NULL", "SET DEFAULT"] {
        walk(&Place::Postgres(&database), act, &|sql| _ = database.sql(sql));
    }
}

#[test]
fn a_row_that_others_would_go_with_is_left_in_mariadb() {
    let database = mariadb::database();
    for act in ["CASCADE", "SET NULL"] {
        walk(&Place::Mariadb(&database), act, &|sql| _ = database.sql(sql));
    }
}

/// The rollback of an insert is a delete, and under the same rule.
#[test]
fn what_was_added_is_not_undone_under_rows_that_came_to_refer_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Sqlite(folder.path());
    make(&place, "CASCADE");
    let plan = [line("parent", "insert", 9, "null", r#"{"id":9,"up":null,"note":"new"}"#)];
    let stage = Stage::at(folder.path(), &place.location(), &plan);
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"]);
    place.ask("INSERT INTO child VALUES (7, 9, 'came later')");
    let told = stage.undo("A1", "A2", &Quietly);
    assert!(outcomes(&told)[0].contains("rows of `child` refer to it"), "{:?}", outcomes(&told));
    assert_eq!(dump(&place), "1 2 3 4 5 9; 1 of 3, 7 of 9");
}

#[test]
fn what_the_server_computes_is_looked_at_and_never_written() {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Postgres(&postgres), Place::Mariadb(&mariadb)] {
        place.reset();
        let location = place.location();
        let plan = [
            line("parent", "insert", 20, "null", r#"{"id":20,"code":"twenty","note":"n","loud":"TWENTY"}"#),
            line("parent", "insert", 21, "null", r#"{"id":21,"code":"other","note":"n","loud":"not it"}"#),
            update("parent", 1, r#"{"code":"a","loud":"A"}"#, r#"{"code":"aa","loud":"AA"}"#),
            update("parent", 2, r#"{"code":"b","loud":"B"}"#, r#"{"code":"bb","loud":"not it"}"#),
        ];
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::at(folder.path(), &location, &plan);
        let told = stage.apply("A1", &Quietly);
        let kept = "the target does not keep the values as they were written, so nothing was";
        assert_eq!(outcomes(&told), ["done", kept, "done", kept], "{location}");
        let codes = place.ask("SELECT loud FROM parent ORDER BY id").replace('\n', " ");
        assert_eq!(codes, "AA B GONE TWENTY");
        stage.undo("A1", "A2", &Quietly);
        assert_eq!(place.ask("SELECT loud FROM parent ORDER BY id").replace('\n', " "), "A B GONE");
    }
}

#[test]
fn identities_that_the_server_gives_come_back_and_are_never_changed() {
    let database = postgres::database();
    let place = Place::Postgres(&database);
    place.ask(
        "CREATE TABLE parent (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number int GENERATED ALWAYS AS IDENTITY, note text)",
    );
    place.ask("CREATE TABLE child (id int)");
    place.ask("INSERT INTO parent (note) VALUES ('a'), ('b')");
    let plan = [
        line("parent", "delete", 1, r#"{"id":1,"number":1,"note":"a"}"#, "null"),
        line("parent", "insert", 7, "null", r#"{"id":7,"number":70,"note":"seven"}"#),
        update("parent", 2, r#"{"number":2}"#, r#"{"number":3}"#),
    ];
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::at(folder.path(), &place.location(), &plan);
    let manual = stage.target().manual;
    assert_eq!(manual.get(&2).map(String::as_str), Some("column `number` is given by the server and never changed"));
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done", "done"]);
    assert_eq!(place.ask("SELECT * FROM parent ORDER BY id"), "2|2|b\n7|70|seven");
    stage.undo("A1", "A2", &Quietly);
    assert_eq!(place.ask("SELECT * FROM parent ORDER BY id"), "1|1|a\n2|2|b");
}

/// A long ring of unique values in a constraint that waits is more than a transaction's usual number of rows, there and back.
#[test]
fn a_ring_of_unique_values_is_written_and_undone_whole() {
    let database = postgres::database();
    let place = Place::Postgres(&database);
    place.ask("CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE DEFERRABLE)");
    place.ask("CREATE TABLE child (id int)");
    place.ask("INSERT INTO parent SELECT i, i::text FROM generate_series(0, 249) i");
    let plan: Vec<String> = (0..250)
        .map(|id| {
            update("parent", id, &format!(r#"{{"code":"{id}"}}"#), &format!(r#"{{"code":"{}"}}"#, (id + 1) % 250))
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::at(folder.path(), &place.location(), &plan);
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"; 250]);
    assert_eq!(place.ask("SELECT count(*) FROM parent WHERE code = ((id + 1) % 250)::text"), "250");
    assert_eq!(outcomes(&stage.undo("A1", "A2", &Quietly)), ["done"; 250]);
    assert_eq!(place.ask("SELECT count(*) FROM parent WHERE code = id::text"), "250");
}
