//! Plans that are applied to databases: under their guards, once, and undone to the byte.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reconcile::apply::deed::{Deed, place_of};
use reconcile::apply::given::Action;
use reconcile::apply::journal::{Begun, FORMAT_VERSION, Story};
use reconcile::apply::work::{Chosen, Target, Told, prepare, scripts};
use reconcile::apply::{Outcome, Quietly, Steps};
use reconcile::contract::{Configuration, Database, load_text};

/// Tables that are others than they were when the run saw them.
mod altered;
/// Servers that break, refuse, wait and are killed while they are written to, and full disks.
mod broken;
/// Tombstones: rows that were buried since, or would be by a repair.
mod buried;
/// What the server would do to other rows when a row is removed.
mod cascades;
/// Through the binary: run, apply, run again.
mod command;
/// Plans, receipts and journals of another database than the one that a name stands for now.
mod elsewhere;
/// What a row or a value must be for it to be written: whose it is, how it is stored and spelled.
mod held;
/// Applies that are killed at every step, on every system.
mod killed;
/// Lists and documents, as each system holds them.
mod lists;
/// Touched keys are looked up, and the tables around them are not read.
mod looked_up;
/// MariaDB: every type, hostile names, its own client.
mod mariadb;
/// The same tables in every system.
mod places;
/// PostgreSQL: every type, hostile names, constraints that wait, its own client.
mod postgres;
/// Plans and moments in which nothing may be applied.
mod refused;
/// Random values on real servers whose settings are hostile.
mod survives;

/// A table in a SQLite file, a plan for it, and the folder of its receipts.
struct Stage {
    folder: PathBuf,
    configuration: Configuration,
    plan: Vec<String>,
}

impl Stage {
    fn new(folder: &Path, tables: &str, plan: &[String]) -> Self {
        let stage = Self::at(folder, "sqlite:target.db", plan);
        rusqlite::Connection::open(folder.join("target.db")).unwrap().execute_batch(tables).unwrap();
        std::fs::create_dir_all(folder.join("reports")).unwrap();
        stage
    }

    /// The stage of a folder and a database in which it was made before.
    fn at(folder: &Path, location: &str, plan: &[String]) -> Self {
        Self::of(folder, location, &[("parent", "parent"), ("child", "child")], plan)
    }

    /// Contracts by name, each with the table that it repairs.
    fn of(folder: &Path, location: &str, tables: &[(&str, &str)], plan: &[String]) -> Self {
        let contract = |(name, table): &(&str, &str)| {
            format!(
                "[source.{name}_db]\nlocation = \"{location}\"\ntable = '''{table}'''\n[contract.{name}]\nversion = \"1.0.0\"\n\
                 authority = \"a\"\nprojection = \"{name}_db\"\nkey = [\"id\"]\n"
            )
        };
        let contracts: String = tables.iter().map(contract).collect();
        let text = format!("version = 1\n[source.a]\nlocation = \"a.csv\"\n{contracts}");
        std::fs::create_dir_all(folder.join("reports")).unwrap();
        let configuration = load_text(&folder.join("reconcile.toml"), &text).unwrap();
        Self { folder: folder.to_owned(), configuration, plan: plan.to_vec() }
    }

    fn database(&self) -> &Database {
        self.configuration.contracts[0].sources.projection.database().unwrap()
    }

    fn chosen(&self) -> Vec<Chosen<'_>> {
        let chosen = |line: &String| {
            let action = Action::parse(line).unwrap();
            let contract = self.configuration.contracts.iter().find(|one| one.name == action.contract).unwrap();
            Chosen { contract, action, personal: std::collections::BTreeSet::new() }
        };
        self.plan.iter().map(chosen).collect()
    }

    fn target(&self) -> Target {
        prepare(self.database(), &self.chosen()).unwrap()
    }

    /// Ends what was stopped, then applies: all that `apply --execute` does with one target.
    fn apply(&self, id: &str, steps: &dyn Steps) -> Told {
        self.carry_out(self.target(), id, None, steps)
    }

    fn undo(&self, of: &str, id: &str, steps: &dyn Steps) -> Told {
        let mut target = prepare(self.database(), &[]).unwrap();
        let story = Story::read(&self.folder.join(format!("reports/applied/{of}.ndjson"))).unwrap();
        target.undo(&story, &|_| Some(&*self.configuration.contracts[0].sources.projection)).unwrap();
        self.carry_out(target, id, Some(of), steps)
    }

    fn carry_out(&self, mut target: Target, id: &str, undoes: Option<&str>, steps: &dyn Steps) -> Told {
        let now = || "2026-11-21T17:00:00Z".parse().unwrap();
        let reports = self.folder.join("reports");
        let deed = Deed { reports: &reports, key: [0; 32], now: &now, steps, signer: None };
        // A server may notice a little later that the process before this one is gone.
        assert!((0..200).any(|_| {
            let taken = target.take().unwrap();
            if !taken {
                std::thread::sleep(Duration::from_millis(50));
            }
            taken
        }));
        deed.settle(&mut target, self.database()).unwrap();
        let begun = Begun {
            format_version: FORMAT_VERSION,
            apply_id: id.to_owned(),
            run_id: "run".to_owned(),
            target: self.database().shown.clone(),
            place: Some(place_of(self.database())),
            plan: "plan".to_owned(),
            started_at: "2026-11-21T17:00:00Z".to_owned(),
            columns: std::collections::BTreeMap::new(),
            rolls_back: undoes.map(str::to_owned),
        };
        deed.carry_out(&mut target, begun, &mut |_| Ok((0, 0))).unwrap()
    }

    /// Every row of both tables, to the byte.
    fn dump(&self) -> Vec<String> {
        let rows = |table: &str| {
            let connection = rusqlite::Connection::open(self.folder.join("target.db")).unwrap();
            let columns: Vec<String> = connection
                .prepare(&format!("SELECT name FROM pragma_table_xinfo('{table}')"))
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let list: Vec<String> =
                columns.iter().map(|name| format!("typeof(\"{name}\") || ':' || hex(\"{name}\")")).collect();
            connection
                .prepare(&format!("SELECT {} FROM \"{table}\" ORDER BY 1", list.join(" || ',' || ")))
                .unwrap()
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap()
                .map(|row| format!("{table} {}", row.unwrap()))
                .collect::<Vec<_>>()
        };
        [rows("parent"), rows("child")].concat()
    }

    /// How often each row was written, where the tables count it.
    fn most_writes(&self) -> i64 {
        let connection = rusqlite::Connection::open(self.folder.join("target.db")).unwrap();
        let count = "SELECT coalesce(max(times), 0) FROM (SELECT count(*) AS times FROM writes GROUP BY what)";
        connection.query_row(count, [], |row| row.get(0)).unwrap()
    }
}

fn outcomes(told: &Told) -> Vec<&str> {
    let mut all: Vec<(usize, &str)> = told
        .outcomes
        .iter()
        .map(|(place, outcome)| {
            let said = match outcome {
                Outcome::Done => "done",
                Outcome::Already => "already",
                Outcome::Skipped(why) => why.as_str(),
            };
            (*place, said)
        })
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(_, said)| said).collect()
}

fn update(contract: &str, id: i64, before: &str, after: &str) -> String {
    line(contract, "update", id, before, after)
}

fn line(contract: &str, op: &str, id: i64, before: &str, after: &str) -> String {
    format!(
        r#"{{"action_id":"{op}-{contract}-{id}","contract":"{contract}","kind":"mismatch","op":"{op}","key":{{"id":{id}}},"before":{before},"after":{after},"guard":null,"safety":"safe","reason":"r"}}"#
    )
}

/// Parents with a unique code, children that refer to them, and a count of every write.
const FAMILY: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY, code TEXT UNIQUE, note TEXT NOT NULL DEFAULT '-', loud TEXT AS (upper(code)));
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id), bytes BLOB, amount REAL);
    CREATE TABLE writes (what TEXT);
    CREATE TRIGGER t1 AFTER INSERT ON parent BEGIN INSERT INTO writes VALUES ('p+' || new.id); END;
    CREATE TRIGGER t2 AFTER UPDATE ON parent BEGIN INSERT INTO writes VALUES ('p~' || new.id); END;
    CREATE TRIGGER t3 AFTER DELETE ON parent BEGIN INSERT INTO writes VALUES ('p-' || old.id); END;
    CREATE TRIGGER t4 AFTER INSERT ON child BEGIN INSERT INTO writes VALUES ('c+' || new.id); END;
    CREATE TRIGGER t5 AFTER UPDATE ON child BEGIN INSERT INTO writes VALUES ('c~' || new.id); END;
    CREATE TRIGGER t6 AFTER DELETE ON child BEGIN INSERT INTO writes VALUES ('c-' || old.id); END;
    INSERT INTO parent (id, code, note) VALUES (1, 'a', 'x'), (2, 'b', 'it''s ''; drop table parent; --'), (9, 'gone', 'z');
    INSERT INTO child VALUES (1, 1, x'00ff', 0.1), (2, 9, NULL, 9e999);
";

/// Every way in which rows of `FAMILY` can be repaired, in an order in which they cannot be written.
fn family_plan() -> Vec<String> {
    let mut plan = vec![
        line("child", "insert", 3, "null", r#"{"id":3,"parent":3,"bytes":"00010203","amount":"0.30000000000000004"}"#),
        line("parent", "delete", 9, r#"{"id":9,"code":"gone","note":"z"}"#, "null"),
        update("parent", 1, r#"{"code":"a"}"#, r#"{"code":"b"}"#),
        update(
            "parent",
            2,
            r#"{"code":"b","note":"it's '; drop table parent; --"}"#,
            r#"{"code":"c","note":"\u0000\"\\ \ud83e\udd80 ' $1"}"#,
        ),
        line("child", "delete", 2, r#"{"id":2,"parent":9,"bytes":null,"amount":"Infinity"}"#, "null"),
        line("parent", "insert", 3, "null", r#"{"id":3,"code":"a","note":"n"}"#),
        update("child", 1, r#"{"bytes":"00ff","amount":"0.1"}"#, r#"{"bytes":"","amount":null}"#),
    ];
    // More than one transaction.
    for id in 100..310 {
        plan.push(line("parent", "insert", id, "null", &format!(r#"{{"id":{id},"code":"n{id}","note":"n"}}"#)));
    }
    plan
}

#[test]
fn a_plan_is_written_in_an_order_that_keys_survive_and_is_undone_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), FAMILY, &family_plan());
    let before = stage.dump();
    let target = stage.target();
    assert_eq!(target.manual, std::collections::BTreeMap::new());
    assert_eq!(target.by_itself.len(), 6, "{:?}", target.by_itself);
    drop(target);
    let told = stage.apply("A1", &Quietly);
    assert!(told.halted.is_none());
    assert!(outcomes(&told).iter().all(|said| *said == "done"), "{:?}", outcomes(&told));
    let after = stage.dump();
    assert_ne!(before, after);
    let note: String = rusqlite::Connection::open(folder.path().join("target.db"))
        .unwrap()
        .query_row("SELECT note FROM parent WHERE id = 2", [], |row| row.get(0))
        .unwrap();
    assert_eq!(note, "\0\"\\ \u{1f980} ' $1");
    let again = stage.apply("A2", &Quietly);
    assert!(outcomes(&again).iter().all(|said| *said == "already"), "{:?}", outcomes(&again));
    assert_eq!(stage.dump(), after);
    assert_eq!(stage.most_writes(), 1, "nothing happened twice");
    let undone = stage.undo("A1", "A3", &Quietly);
    assert!(outcomes(&undone).iter().all(|said| *said == "done"), "{:?}", outcomes(&undone));
    assert_eq!(stage.dump(), before);
    let found = reconcile::history::verify(&folder.path().join("reports")).unwrap();
    assert_eq!(found.changed, Vec::<String>::new());
}

#[test]
fn a_row_that_has_moved_is_skipped_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let plan = [
        update("parent", 1, r#"{"note":"x"}"#, r#"{"note":"y"}"#),
        update("parent", 2, r#"{"note":"other"}"#, r#"{"note":"y"}"#),
        update("parent", 77, r#"{"note":"x"}"#, r#"{"note":"y"}"#),
        line("parent", "insert", 9, "null", r#"{"id":9,"code":"new","note":"n"}"#),
        line("child", "delete", 1, r#"{"id":1,"parent":1,"bytes":"00","amount":"0.1"}"#, "null"),
        line("parent", "insert", 10, "null", r#"{"id":10,"code":"a","note":"n"}"#),
    ];
    let stage = Stage::new(folder.path(), FAMILY, &plan);
    let connection = rusqlite::Connection::open(folder.path().join("target.db")).unwrap();
    connection.execute("UPDATE parent SET note = 'moved' WHERE id = 1", []).unwrap();
    let before = stage.dump();
    let told = stage.apply("A1", &Quietly);
    assert_eq!(
        outcomes(&told),
        [
            "the row has moved since: it does not hold what the plan saw",
            "the row has moved since: it does not hold what the plan saw",
            "the row has moved since: there is none of this key now",
            "the row has moved since: there is one of this key now",
            "the row has moved since: it does not hold what the plan saw",
            "another row holds a value that must be unique",
        ]
    );
    assert_eq!(stage.dump(), before);
}

#[test]
fn what_cannot_be_written_is_for_a_person_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let plan = [
        update("parent", 1, r#"{"code":"a"}"#, r#"{"code":"b"}"#),
        update("parent", 2, r#"{"code":"b"}"#, r#"{"code":"a"}"#),
        update("parent", 9, r#"{"loud":"GONE"}"#, r#"{"loud":"X"}"#),
        update("parent", 9, r#"{"nowhere":"GONE"}"#, r#"{"nowhere":"X"}"#),
        update("child", 1, r#"{"amount":"0.1"}"#, r#"{"amount":"NaN"}"#),
        line("strict", "insert", 1, "null", r#"{"id":1}"#).replace("\"strict\"", "\"child\""),
    ];
    let tables = FAMILY
        .replace("bytes BLOB", "bytes BLOB, must TEXT NOT NULL")
        .replace("x'00ff', 0.1), (2, 9, NULL, 9e999)", "x'00ff', 'm', 0.1), (2, 9, NULL, 'm', 9e999)");
    let stage = Stage::new(folder.path(), &tables, &plan);
    let target = stage.target();
    let ring = "it takes a unique value that another row of the plan gives up only when it gets this one's in turn, and the \
                constraint does not wait for the end of a transaction";
    let said: Vec<(usize, &str)> = target.manual.iter().map(|(place, why)| (*place, why.as_str())).collect();
    assert_eq!(
        said,
        [
            (0, ring),
            (1, ring),
            (2, "column `loud` is computed by the server"),
            (3, "`nowhere` is no column of the table"),
            (4, "column `amount` (REAL) cannot hold NaN"),
            (5, "column `must` needs a value that the contract does not know"),
        ]
    );
    assert!(target.items.is_empty());
}

#[test]
fn the_client_makes_the_same_of_plan_sql_and_undoes_it() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stage = Stage::new(folder.path(), FAMILY, &family_plan());
    let applied = Stage::new(other.path(), FAMILY, &family_plan());
    let before = stage.dump();
    let (mut plan, mut rollback) = (Vec::new(), Vec::new());
    scripts(&mut stage.target(), "run", &stage.chosen(), &mut plan, &mut rollback).unwrap();
    let client = |sql: &[u8]| {
        let script = folder.path().join("script.sql");
        std::fs::write(&script, sql).unwrap();
        let read = format!(".read {}", script.display());
        let database = folder.path().join("target.db");
        let told = Command::new("sqlite3").arg("-bail").arg(database).arg(read).output().expect("the client `sqlite3`");
        assert!(told.status.success() && told.stderr.is_empty(), "{}", String::from_utf8_lossy(&told.stderr));
    };
    client(&plan);
    applied.apply("A1", &Quietly);
    assert_eq!(stage.dump(), applied.dump());
    client(&plan);
    assert_eq!(stage.dump(), applied.dump(), "a second time changes nothing");
    client(&rollback);
    assert_eq!(stage.dump(), before);
}

#[test]
fn a_long_text_and_a_locked_database_are_no_surprise() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x'\\\u{0}é".repeat(200_000);
    let after = serde_json::json!({ "note": long }).to_string();
    let stage = Stage::new(folder.path(), FAMILY, &[update("parent", 1, r#"{"note":"x"}"#, &after)]);
    let held = rusqlite::Connection::open(folder.path().join("target.db")).unwrap();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let refused = prepare(stage.database(), &stage.chosen()).map(|_| ()).unwrap_err();
    assert!(refused.lost && refused.message.contains("locked"), "{refused:?}");
    held.execute_batch("ROLLBACK").unwrap();
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done"]);
    let note: String = held.query_row("SELECT note FROM parent WHERE id = 1", [], |row| row.get(0)).unwrap();
    assert!(note == long, "{} characters", note.len());
}

#[test]
fn only_one_apply_at_a_time_has_a_target() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::new(folder.path(), FAMILY, &[]);
    let (mut first, mut second) = (stage.target(), stage.target());
    assert!(first.take().unwrap());
    assert!(!second.take().unwrap());
    drop(first);
    assert!(second.take().unwrap());
}
