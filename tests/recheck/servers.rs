//! PostgreSQL and MariaDB, whose tables are written to while they are compared: the authority first, its copy a moment later.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Said, pair, run};
use crate::oracle::random::Random;
use crate::servers::{mariadb, postgres};
use crate::support::Workspace;

/// A database of either system.
enum Database {
    Postgres(postgres::Database),
    Mariadb(mariadb::Database),
}

impl Database {
    fn sql(&self, statements: &str) {
        match self {
            Self::Postgres(database) => drop(database.sql(statements)),
            Self::Mariadb(database) => drop(database.sql(statements)),
        }
    }

    fn url(&self) -> String {
        let url = match self {
            Self::Postgres(database) => database.url(),
            Self::Mariadb(database) => database.url(),
        };
        // A machine that is busy answers late.
        format!("{url}?connect_timeout=120")
    }
}

/// One database of each, the authority's first.
fn both_ways() -> [[Database; 2]; 2] {
    let postgres = || Database::Postgres(postgres::database());
    let mariadb = || Database::Mariadb(mariadb::database());
    [[postgres(), mariadb()], [mariadb(), postgres()]]
}

fn contract(workspace: &Workspace, databases: &[Database; 2], lines: &str, rows: [&str; 2]) {
    let urls = databases.each_ref().map(Database::url);
    let text = pair(&urls[0], &urls[1], lines);
    let text = text.replacen(&format!("\"{}\"\n", urls[0]), &format!("\"{}\"\n{}\n", urls[0], rows[0]), 1);
    let text = text.replacen(&format!("\"{}\"\n", urls[1]), &format!("\"{}\"\n{}\n", urls[1], rows[1]), 1);
    workspace.file("reconcile.toml", &text);
}

/// What is not in flight.
fn standing(said: &Said) -> Vec<String> {
    said.lines().into_iter().filter(|line| !line.contains(" in_flight ")).collect()
}

/// Writes rows of some keys to the authority, and to its copy a tenth of a second later, until it is told to stop. One row is
/// never the same on both sides, and none of the others is written again before all were. Tells how often it wrote.
fn keep_writing(databases: &[Database; 2], stop: &AtomicBool, written: &AtomicU64) {
    let mut random = Random::new(7);
    let mut ids = (0..).map(|count| 1 + 7 * count % 300);
    for turn in 0.. {
        let statements: String = (&mut ids)
            .take(6)
            .map(|id| {
                let value = random.below(1000);
                match random.below(4) {
                    0 => format!("DELETE FROM t WHERE id = {id};"),
                    1 => format!("DELETE FROM t WHERE id = {id}; INSERT INTO t VALUES ({id}, 'new{value}');"),
                    _ => format!("UPDATE t SET v = 'v{value}' WHERE id = {id};"),
                }
            })
            .collect();
        let flap = |side: &str| format!("BEGIN; {statements} UPDATE t SET v = '{side}{turn}' WHERE id = 500; COMMIT;");
        databases[0].sql(&flap("one"));
        std::thread::sleep(Duration::from_millis(100));
        databases[1].sql(&flap("other"));
        written.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

#[test]
fn under_a_workload_no_false_divergence_survives_and_every_planted_one_is_found() {
    for databases in both_ways() {
        let workspace = Workspace::new();
        let rows: Vec<String> = (1..=1000).map(|id| format!("({id}, 'v{id}')")).collect();
        for database in &databases {
            database.sql(&format!(
                "CREATE TABLE t (id int PRIMARY KEY, v varchar(20)); INSERT INTO t VALUES {}",
                rows.join(",")
            ));
        }
        databases[0].sql("INSERT INTO t VALUES (2001, 'missing'), (2002, 'on its way')");
        databases[1].sql("INSERT INTO t VALUES (2003, 'orphan'); UPDATE t SET v = 'wrong' WHERE id = 900");
        contract(&workspace, &databases, "key = [\"id\"]", ["table = \"t\"", "table = \"t\""]);
        let text = std::fs::read_to_string(workspace.path().join("reconcile.toml")).unwrap();
        workspace.file("reconcile.toml", &text.replace("after = \"1ms\", times = 3", "after = \"700ms\", times = 5"));
        let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
        let said = std::thread::scope(|scope| {
            scope.spawn(|| keep_writing(&databases, &stop, &written));
            while written.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            let said = run(&workspace, 2, |look| {
                if look == 1 {
                    databases[1].sql("INSERT INTO t VALUES (2002, 'on its way')");
                }
            });
            stop.store(true, Ordering::Relaxed);
            said
        });
        assert_eq!(said.contract.error, None);
        let told: BTreeSet<String> =
            standing(&said).iter().map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            r#"{"id":2001} missing default"#,
            r#"{"id":2003} orphan default"#,
            r#"{"id":500} mismatch unstable"#,
            r#"{"id":900} mismatch default"#,
        ];
        assert_eq!(told, expected.map(str::to_owned).into(), "{:#?}", said.contract.second_look);
        assert!(said.lines().contains(&r#"{"id":2002} in_flight settled"#.to_owned()), "{:?}", said.lines());
        assert!(written.load(Ordering::Relaxed) > 5, "the workload wrote too little to mean anything");
        let second = said.contract.second_look.unwrap();
        assert_eq!(second.looks.len(), 5);
        assert!(second.looks.is_sorted_by_key(|look| look.read_at.projection));
    }
}

#[test]
fn keys_of_every_type_are_asked_for_in_both_systems() {
    let uuid = |last: u8| format!("'0190a3c0-0000-7000-8000-00000000000{last}'");
    let (one, two) = (uuid(1), uuid(2));
    let cases: [(&str, [&str; 2], [&str; 2], &str, &str); 6] = [
        ("[\"k\"]", ["k bigint", "k bigint"], ["-9007199254740993", "7"], "k = 7", "table = \"t\""),
        ("[\"k\"]", ["k numeric(12, 2)", "k decimal(12, 2)"], ["1.50", "-0.01"], "k = -0.01", "table = \"t\""),
        (
            "[\"k\"]",
            ["k varchar(40)", "k varchar(40)"],
            ["'it''s; DROP TABLE t; --'", "'Ünï :name ? 日本 😀'"],
            "k LIKE '%:name%'",
            "table = \"t\"",
        ),
        (
            "[\"k\"]",
            ["k uuid", "k char(36)"],
            [&one, &two],
            "k = '0190a3c0-0000-7000-8000-000000000002'",
            "table = \"t\"",
        ),
        (
            "[\"k\", \"l\"]",
            ["k int, l date", "k int, l date"],
            ["1, '2026-02-28'", "1, '2026-03-01'"],
            "l = '2026-03-01'",
            "table = \"t\"",
        ),
        ("[\"k\"]", ["k int", "k int"], ["1", "2"], "k = 2", "query = \"SELECT * FROM t WHERE k > 0\""),
    ];
    for databases in both_ways() {
        for (key, declared, values, repaired, rows) in cases {
            let workspace = Workspace::new();
            let postgres_first = matches!(databases[0], Database::Postgres(_));
            for (database, value) in databases.iter().zip(["right", "wrong"]) {
                let of = usize::from(matches!(database, Database::Mariadb(_)));
                database.sql(&format!(
                    "DROP TABLE IF EXISTS t; CREATE TABLE t ({}, v varchar(10)); INSERT INTO t VALUES ({}, '{value}'), ({}, '{value}')",
                    declared[of], values[0], values[1]
                ));
            }
            let type_line = if declared[0] == "k uuid" { "[contract.pair.attribute.k]\ntype = \"uuid\"" } else { "" };
            contract(&workspace, &databases, &format!("key = {key}\n{type_line}"), [rows, rows]);
            let said = run(&workspace, 2, |look| {
                if look == 1 {
                    databases[1].sql(&format!("UPDATE t SET v = 'right' WHERE {repaired}"));
                }
            });
            let about = format!("{key} {declared:?} {postgres_first} {:?} {:?}", said.lines(), said.contract.error);
            let kinds: Vec<(&str, u64)> = said.contract.keys.iter().map(|(kind, keys)| (kind.name(), *keys)).collect();
            assert_eq!(kinds, [("mismatch", 1), ("in_flight", 1)], "{about}");
        }
    }
}

#[test]
fn a_server_that_dies_between_two_looks_leaves_what_was_seen_and_the_contract_unverified() {
    let workspace = Workspace::new();
    let server = mariadb::Server::start();
    let databases = [Database::Postgres(postgres::database()), Database::Mariadb(server.database())];
    for (database, value) in databases.iter().zip(["right", "wrong"]) {
        database.sql(&format!(
            "CREATE TABLE t (id int PRIMARY KEY, v varchar(10)); INSERT INTO t VALUES (1, '{value}'), (2, '{value}')"
        ));
    }
    contract(&workspace, &databases, "key = [\"id\"]", ["table = \"t\"", "table = \"t\""]);
    let said = run(&workspace, 2, |look| match look {
        1 => databases[1].sql("UPDATE t SET v = 'right' WHERE id = 2"),
        _ => server.kill(),
    });
    assert_eq!(said.contract.verdict.name(), "unverified");
    assert_eq!(said.contract.because, "what differs could not be looked at again");
    let error = said.contract.error.clone().unwrap();
    assert!(error.starts_with("look 2 at what differs: projection: "), "{error}");
    assert_eq!(
        said.lines(),
        [r#"{"id":1} mismatch default v right wrong"#, r#"{"id":2} in_flight settled v right wrong"#]
    );
    assert_eq!(said.contract.second_look.unwrap().looks.len(), 1);
}
