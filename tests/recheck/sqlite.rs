//! Pairs of SQLite files, in which every sort of divergence arrives, stands, or goes on changing.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Mutex;

use rusqlite::Connection;

use super::{pair, run, run_within};
use crate::oracle::random::Random;
use crate::support::{Outcome, Workspace};

/// A database that can be written to while it is read.
struct Database(Mutex<Connection>);

impl Database {
    fn sql(&self, statements: &str) {
        self.0.lock().unwrap().execute_batch(statements).unwrap();
    }
}

fn database(workspace: &Workspace, name: &str, sql: &str) -> Database {
    let database = Database(Mutex::new(Connection::open(workspace.path().join(name)).unwrap()));
    database.sql(&format!("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {sql}"));
    database
}

const TABLE: &str = "CREATE TABLE t (id INTEGER, v TEXT, w TEXT);";

fn tables(workspace: &Workspace, authority: &str, projection: &str, lines: &str) -> (Database, Database) {
    let one = database(workspace, "a.db", &format!("{TABLE} INSERT INTO t VALUES {authority}"));
    let other = database(workspace, "b.db", &format!("{TABLE} INSERT INTO t VALUES {projection}"));
    let text = pair("sqlite:a.db", "sqlite:b.db", lines);
    workspace.file("reconcile.toml", &text.replace(".db\"\n", ".db\"\ntable = \"t\"\n"));
    (one, other)
}

#[test]
fn what_arrives_between_two_looks_is_in_flight_and_only_the_rest_stands() {
    let workspace = Workspace::new();
    let (_one, other) = tables(
        &workspace,
        "(1,'a','a'),(2,'b','b'),(4,'d','d'),(6,'f','f'),(7,'g','g'),(8,'h','h'),(NULL,'n','n')",
        "(2,'x','b'),(3,'c','c'),(4,'d','d'),(4,'d','d'),(6,'q','f'),(8,'h','h'),(NULL,'n','n'),(NULL,'m','m')",
        "key = [\"id\"]",
    );
    let said = run(&workspace, 2, |look| {
        let sql = match look {
            1 => "INSERT INTO t VALUES (1,'a','a'); UPDATE t SET v = 'b' WHERE id = 2",
            2 => "DELETE FROM t WHERE id = 3; DELETE FROM t WHERE rowid = (SELECT max(rowid) FROM t WHERE id = 4)",
            _ => "DELETE FROM t WHERE v = 'm'; UPDATE t SET v = 'z' WHERE id = 8",
        };
        other.sql(sql);
    });
    assert_eq!(
        said.lines(),
        [
            r#"{"id":1} in_flight settled"#,
            r#"{"id":2} in_flight settled v b x"#,
            r#"{"id":3} in_flight settled"#,
            r#"{"id":4} in_flight settled"#,
            r#"{"id":6} mismatch default v f q"#,
            r#"{"id":7} missing default"#,
            r#"{"id":null} in_flight settled"#,
            r#"{"id":null} null_key default"#,
            r#"{"id":null} null_key default"#,
        ]
    );
    let second = said.contract.second_look.as_ref().unwrap();
    let looks: Vec<(u64, u64)> = second.looks.iter().map(|look| (look.keys, look.settled)).collect();
    assert_eq!(looks, [(9, 2), (7, 2), (5, 1)]);
    assert_eq!((second.keys, second.settled, second.unstable, second.standing(), second.left), (9, 5, 0, 4, 0));
    assert!(second.looks.iter().all(|look| look.read_at.authority.is_some() && look.read_at.projection.is_some()));
    let books = said.contract.books;
    assert_eq!((books.authority.read, books.authority.unpaired, books.authority.differ), (7, 2, 2));
    assert_eq!((books.projection.read, books.projection.duplicate, books.projection.null_key), (8, 2, 2));
    let actions: Vec<(&str, &str)> =
        said.actions.iter().map(|action| (action.op.name(), &*action.key)).filter(|(op, _)| *op != "review").collect();
    assert_eq!(actions, [("insert", r#"{"id":7}"#), ("update", r#"{"id":6}"#)]);
    assert_eq!(said.contract.attributes, [("v".to_owned(), 2), ("w".to_owned(), 0)]);
}

#[test]
fn what_stands_is_told_and_repaired_by_what_the_last_look_saw() {
    let workspace = Workspace::new();
    let (one, other) = tables(
        &workspace,
        "(1,'a','a'),(2,'b','b'),(3,'c','c')",
        "(1,'x','a'),(2,'x','b'),(3,'x','c')",
        "key = [\"id\"]",
    );
    let said = run(&workspace, 2, |look| {
        if look == 1 {
            // Another value, another attribute as well, and no row any more.
            other.sql(
                "UPDATE t SET v = 'y' WHERE id = 1; UPDATE t SET w = 'y' WHERE id = 2; DELETE FROM t WHERE id = 3",
            );
            one.sql("UPDATE t SET v = 'new' WHERE id = 1");
        }
    });
    assert_eq!(
        said.lines(),
        [
            r#"{"id":1} mismatch default v new y"#,
            r#"{"id":2} mismatch default v b x"#,
            r#"{"id":2} mismatch default w b y"#,
            r#"{"id":3} missing default"#,
        ]
    );
    let update = said.actions.iter().find(|action| &*action.key == r#"{"id":1}"#).unwrap();
    assert_eq!(update.before, Some(serde_json::json!({"v": "y"})));
    assert_eq!(update.after, Some(serde_json::json!({"v": "new"})));
    assert_eq!(update.guard, Some(serde_json::json!({"row": "present", "values": {"v": "y"}})));
    assert_eq!(update.safety.name(), "safe");
    let kinds: Vec<(&str, u64)> = said.contract.keys.iter().map(|(kind, keys)| (kind.name(), *keys)).collect();
    assert_eq!(kinds, [("missing", 1), ("mismatch", 2)]);
    assert_eq!(said.contract.books.projection.differ, 3, "the books are those of the first reading");
}

#[test]
fn a_row_that_flaps_is_unstable_and_never_repaired_without_a_look() {
    let workspace = Workspace::new();
    let (one, other) = tables(&workspace, "(1,'0','a'),(2,'0','b')", "(1,'-','a'),(2,'-','b')", "key = [\"id\"]");
    let said = run(&workspace, 2, |look| {
        one.sql(&format!("UPDATE t SET v = '{look}' WHERE id = 1"));
        other.sql(&format!("UPDATE t SET v = '{}' WHERE id = 1", look - 1));
    });
    assert_eq!(said.lines(), [r#"{"id":1} mismatch unstable v 3 2"#, r#"{"id":2} mismatch default v 0 -"#]);
    let safety: BTreeMap<&str, &str> = said.actions.iter().map(|action| (&*action.key, action.safety.name())).collect();
    assert_eq!(safety, BTreeMap::from([(r#"{"id":1}"#, "review"), (r#"{"id":2}"#, "safe")]));
    let second = said.contract.second_look.unwrap();
    assert_eq!((second.settled, second.unstable, second.standing()), (0, 1, 1));
}

#[test]
fn a_row_that_leaves_the_scope_of_where_is_not_taken_to_agree() {
    let workspace = Workspace::new();
    let (one, other) =
        tables(&workspace, "(1,'open','a'),(2,'open','b')", "(1,'open','x'),(2,'open','y')", "key = [\"id\"]");
    workspace.reconcile(["run", "--where", "v = 'open'"]).expect(1, &[]);
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("\"1ms\"", "\"200ms\""));
    let closes = std::thread::spawn(move || {
        // Whenever it comes, the row differs in `w`, and is out of scope on both sides at last.
        std::thread::sleep(std::time::Duration::from_millis(250));
        one.sql("UPDATE t SET v = 'closed' WHERE id = 1");
        other.sql("UPDATE t SET v = 'closed' WHERE id = 1");
    });
    let outcome = workspace.reconcile(["run", "--where", "v = 'open'", "--format", "json"]);
    closes.join().unwrap();
    outcome.expect(1, &[]);
    let summary: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let found = &summary["contracts"][0]["divergences"];
    assert_eq!(found["in_flight"], 0, "{found}");
    assert!(found["mismatch"].as_u64() >= Some(1), "{found}");
}

#[test]
fn keys_of_any_type_and_option_are_read_again() {
    // A text with quotes, one whose case is ignored (the table is read whole), two parts of which one is NULL, a fault.
    for (lines, columns, one, other, repaired) in [
        (
            "key = [\"k\"]",
            "k TEXT, v TEXT",
            "('it''s; --', '1'), ('ü', '2')",
            "('it''s; --', '0'), ('ü', '0')",
            "UPDATE t SET v = '1' WHERE v = '0' AND k LIKE 'it%'",
        ),
        (
            "key = [\"k\"]\n[contract.pair.attribute.k]\ncase = \"ignore\"",
            "k TEXT, v TEXT",
            "('ABC', '1'), ('D', '2')",
            "('abc', '0'), ('d', '0')",
            "UPDATE t SET v = '1', k = 'Abc' WHERE k = 'abc'",
        ),
        (
            "key = [\"k\", \"l\"]\nnull_keys = \"match\"",
            "k TEXT, l INTEGER, v TEXT",
            "('a', NULL, '1'), ('a', 2, '2')",
            "('a', NULL, '0'), ('a', 2, '0')",
            "UPDATE t SET v = '1' WHERE l IS NULL",
        ),
        (
            "key = [\"k\"]\n[contract.pair.attribute.k]\ntype = \"int64\"",
            "k TEXT, v TEXT",
            "('7', '1'), ('8', '2')",
            "('007', '0'), ('+8', '0')",
            "UPDATE t SET v = '1' WHERE k = '007'",
        ),
    ] {
        let workspace = Workspace::new();
        let table = format!("CREATE TABLE t ({columns});");
        database(&workspace, "a.db", &format!("{table} INSERT INTO t VALUES {one}"));
        let connection = database(&workspace, "b.db", &format!("{table} INSERT INTO t VALUES {other}"));
        let text = pair("sqlite:a.db", "sqlite:b.db", lines);
        workspace.file("reconcile.toml", &text.replace(".db\"\n", ".db\"\ntable = \"t\"\n"));
        let said = run(&workspace, 2, |_| connection.sql(repaired));
        let kinds: Vec<(&str, u64)> = said.contract.keys.iter().map(|(kind, keys)| (kind.name(), *keys)).collect();
        assert_eq!(kinds, [("mismatch", 1), ("in_flight", 1)], "{lines}: {:?} {:?}", said.lines(), said.contract.error);
    }
}

#[test]
fn what_checksums_left_to_be_read_is_looked_at_again() {
    let workspace = Workspace::new();
    let rows = |wrong: &[usize]| -> String {
        let row = |id: usize| format!("({id},'{}','w')", if wrong.contains(&id) { "wrong" } else { "right" });
        (1..=3000).map(row).collect::<Vec<_>>().join(",")
    };
    let (_one, other) = tables(&workspace, &rows(&[]), &rows(&[7, 2900]), "key = [\"id\"]");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("table = \"t\"\n", "table = \"t\"\npushdown = \"always\"\n"));
    let said = run(&workspace, 2, |look| {
        if look == 2 {
            other.sql("UPDATE t SET v = 'right' WHERE id = 7; UPDATE t SET v = 'later' WHERE id = 1500");
        }
    });
    assert_eq!(
        said.lines(),
        [r#"{"id":2900} mismatch default v right wrong"#, r#"{"id":7} in_flight settled v right wrong"#]
    );
    assert!(said.contract.checksums.unwrap().used);
    assert_eq!(said.contract.books.authority.read, 3000);
}

#[test]
fn a_file_that_stays_is_held_against_what_a_database_has_by_then() {
    let workspace = Workspace::new();
    // Large enough that a float would take it for its neighbour.
    workspace.file("a.csv", "id,v\n9007199254740993.00,a\n2.00,b\n3.00,c\n");
    let other = database(
        &workspace,
        "b.db",
        "CREATE TABLE t (id INTEGER, v TEXT); INSERT INTO t VALUES (9007199254740993, 'x'), (2, 'x'), (4, 'd')",
    );
    let text = pair("a.csv", "sqlite:b.db", "key = [\"id\"]\n[contract.pair.attribute.id]\ntype = \"decimal(20, 2)\"");
    workspace.file("reconcile.toml", &text.replace(".db\"\n", ".db\"\ntable = \"t\"\n"));
    let said = run(&workspace, 2, |look| {
        if look == 2 {
            other.sql("UPDATE t SET v = 'b' WHERE id = 2; DELETE FROM t WHERE id = 4");
        }
    });
    assert_eq!(
        said.lines(),
        [
            r#"{"id":"2.00"} in_flight settled v b x"#,
            r#"{"id":"3.00"} missing default"#,
            r#"{"id":"4.00"} in_flight settled"#,
            r#"{"id":"9007199254740993.00"} mismatch default v a x"#,
        ]
    );
    assert_eq!(said.looks, 3);
}

#[test]
fn a_signal_ends_the_pause_before_a_look() {
    let workspace = Workspace::new();
    tables(&workspace, "(1,'a','a')", "(1,'b','a')", "key = [\"id\"]");
    let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
    workspace.file("reconcile.toml", &text.replace("\"1ms\"", "\"1h\""));
    let running = workspace.command(["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let id = running.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", Outcome::of(&output).shown());
    assert_eq!(workspace.summary()["verdict"], "unverified");
}

#[test]
fn a_key_that_does_not_parse_stands_until_it_is_mended() {
    let workspace = Workspace::new();
    database(&workspace, "a.db", "CREATE TABLE t (k INTEGER, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    let other = database(
        &workspace,
        "b.db",
        "CREATE TABLE t (k TEXT, v TEXT); INSERT INTO t VALUES ('one', 'a'), ('two', 'b')",
    );
    let text = pair("sqlite:a.db", "sqlite:b.db", "key = [\"k\"]");
    workspace.file("reconcile.toml", &text.replace(".db\"\n", ".db\"\ntable = \"t\"\n"));
    let said = run(&workspace, 1, |_| other.sql("UPDATE t SET k = '1' WHERE k = 'one'"));
    assert_eq!(
        said.lines(),
        [
            r#"{"k":"one"} in_flight settled"#,
            r#"{"k":"two"} orphan unparseable"#,
            r#"{"k":1} in_flight settled"#,
            r#"{"k":2} missing default"#
        ]
    );
}

/// A table of the model: key to value.
type Model = BTreeMap<usize, usize>;

fn differs(one: &Model, other: &Model, key: usize) -> Option<&'static str> {
    match (one.get(&key), other.get(&key)) {
        (Some(_), None) => Some("missing"),
        (None, Some(_)) => Some("orphan"),
        (one, other) if one != other => Some("mismatch"),
        _ => None,
    }
}

fn fill(database: &Database, model: &Model) {
    let rows: Vec<String> = model.iter().map(|(key, value)| format!("({key}, '{value}', 'w')")).collect();
    let insert = if rows.is_empty() { String::new() } else { format!("INSERT INTO t VALUES {}", rows.join(",")) };
    database.sql(&format!("BEGIN; DELETE FROM t; {insert}; COMMIT"));
}

/// What ought to be said of each key, from the tables at each look.
fn expected(states: &[(Model, Model)]) -> Vec<String> {
    let (one, other) = &states[0];
    let keys: std::collections::BTreeSet<usize> = one.keys().chain(other.keys()).copied().collect();
    let mut lines = Vec::new();
    for key in keys.into_iter().filter(|key| differs(one, other, *key).is_some()) {
        // What the projection never had does not arrive by being lost.
        let is_missing = other.get(&key).is_none();
        let has_settled = |(one, other): &(Model, Model)| {
            differs(one, other, key).is_none() && !(is_missing && other.get(&key).is_none())
        };
        let settled = states[1..].iter().any(has_settled);
        let at = |look: usize| (states[look].0.get(&key), states[look].1.get(&key));
        let last = states.len() - 1;
        let (kind, reason, values) = match (settled, at(last) == at(last - 1)) {
            (true, _) => ("in_flight", "settled", at(0)),
            _ if at(last) == (None, None) => ("missing", "unstable", at(0)),
            (false, true) => (differs(&states[last].0, &states[last].1, key).unwrap(), "default", at(last)),
            (false, false) => (differs(&states[last].0, &states[last].1, key).unwrap(), "unstable", at(last)),
        };
        let values = match values {
            (Some(one), Some(other)) => format!(" v {one} {other}"),
            _ => String::new(),
        };
        lines.push(format!("{{\"id\":{key}}} {kind} {reason}{values}"));
    }
    lines.sort();
    lines
}

#[test]
fn whatever_is_written_between_looks_each_key_is_told_as_a_plain_model_tells_it() {
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let workspace = Workspace::new();
        let (one, other) = tables(&workspace, "(0,'0','w')", "(0,'0','w')", "key = [\"id\"]");
        let mut models: (Model, Model) = Default::default();
        for key in 0..40 {
            let value = random.below(3);
            if !random.percent(20) {
                models.0.insert(key, value);
            }
            if !random.percent(20) {
                models.1.insert(key, if random.percent(60) { value } else { random.below(3) });
            }
        }
        // The first row keeps the columns' types.
        models.0.insert(99, 1);
        models.1.insert(99, 1);
        fill(&one, &models.0);
        fill(&other, &models.1);
        let mut states = vec![models];
        let said = run(&workspace, 1 + (seed % 3) as usize, |_| {
            let mut next = states.last().unwrap().clone();
            for _ in 0..random.below(12) {
                let key = random.below(40);
                match random.below(5) {
                    0 => drop(next.0.remove(&key)),
                    1 => drop(next.1.remove(&key)),
                    2 => drop(next.0.insert(key, random.below(3))),
                    3 => drop(next.1.insert(key, random.below(3))),
                    _ => match next.0.get(&key).copied() {
                        Some(value) => drop(next.1.insert(key, value)),
                        None => drop(next.1.remove(&key)),
                    },
                }
            }
            fill(&one, &next.0);
            fill(&other, &next.1);
            states.push(next);
        });
        assert_eq!(said.contract.error, None, "seed {seed}");
        let told = said.lines();
        if states.len() > 1 {
            assert_eq!(told, expected(&states), "seed {seed}");
        }
        for line in told {
            let word: Vec<&str> = line.split(' ').skip(1).take(2).collect();
            *kinds.entry(word.join(" ")).or_default() += 1;
        }
    }
    for kind in ["in_flight settled", "mismatch default", "mismatch unstable", "missing default", "orphan unstable"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 5), "{kind}: {kinds:?}");
    }
}

#[test]
fn keys_that_are_too_many_for_the_memory_are_left_as_they_were_first_read() {
    let workspace = Workspace::new();
    // Eight MiB of keys are looked at again, each of them held twice: as it compares, and as it is asked for.
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)";
    let insert = |v: &str| {
        format!("CREATE TABLE t (k TEXT, v TEXT); INSERT INTO t {numbers} SELECT printf('%01000d', i), '{v}' FROM n")
    };
    database(&workspace, "a.db", &insert("right"));
    let other = database(&workspace, "b.db", &insert("wrong"));
    let text = pair("sqlite:a.db", "sqlite:b.db", "key = [\"k\"]");
    workspace.file("reconcile.toml", &text.replace(".db\"\n", ".db\"\ntable = \"t\"\n"));
    let said = run_within(&workspace, 2, Some(256 << 20), |look| {
        if look == 1 {
            other.sql("UPDATE t SET v = 'right'");
        }
    });
    assert_eq!(said.contract.error, None);
    let second = said.contract.second_look.as_ref().unwrap();
    assert!((3000..5000).contains(&second.keys), "{second:?}");
    assert_eq!((second.settled, second.left), (second.keys, 6000 - second.keys));
    let because = second.because.as_deref().unwrap();
    assert!(because.contains("at most 100000 keys, and 8 MiB of them"), "{because}");
    let kinds: Vec<(&str, u64)> = said.contract.keys.iter().map(|(kind, keys)| (kind.name(), *keys)).collect();
    assert_eq!(kinds, [("mismatch", second.left), ("in_flight", second.keys)]);
}

#[test]
fn a_loose_collation_brings_no_row_twice() {
    let workspace = Workspace::new();
    let table = "CREATE TABLE t (k TEXT COLLATE NOCASE, v TEXT);";
    let rows = |prefix: &str| (0..600).map(|id| format!("('{prefix}{id:05}', 'x')")).collect::<Vec<_>>().join(",");
    let _one = database(&workspace, "a.db", &format!("{table} INSERT INTO t VALUES {}", rows("KEY")));
    let _other = database(&workspace, "b.db", &format!("{table} INSERT INTO t VALUES {}", rows("key")));
    let text = pair("sqlite:a.db", "sqlite:b.db", "key = [\"k\"]").replace(".db\"\n", ".db\"\ntable = \"t\"\n");
    workspace.file("reconcile.toml", &text.replace("times = 3", "times = 1"));
    let said = run(&workspace, 2, |_| {});
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    said.divergences.iter().for_each(|line| *kinds.entry(line.kind.name()).or_default() += 1);
    assert_eq!(kinds, BTreeMap::from([("missing", 600), ("orphan", 600)]));
    assert_eq!(said.contract.second_look.unwrap().unstable, 0);
}
