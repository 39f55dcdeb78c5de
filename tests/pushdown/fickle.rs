//! Views and queries as sides of a comparison by checksums: what is the same whenever it is asked is summed, what is made up
//! anew is read as a whole, and so are dates that no calendar has.

use super::held;
use crate::servers::{mariadb, postgres};
use crate::support::Workspace;

fn over(sides: [&str; 2], pushdown: &str) -> String {
    let source = |name: &str, side: &str| format!("[source.{name}]\n{side}\npushdown = \"{pushdown}\"\n");
    format!(
        "version = 1\n{}{}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n",
        source("a", sides[0]),
        source("p", sides[1])
    )
}

/// A table of two thousand rows and its copy, of which one row differs and one is lost.
fn tables() -> (postgres::Database, mariadb::Database) {
    let (postgres, mariadb) = (postgres::database(), mariadb::database());
    postgres.sql(
        "CREATE TABLE t (id bigint, name text, day date);
         INSERT INTO t SELECT i, 'name ' || i, date '2026-01-01' + i % 60 FROM generate_series(1, 2000) i;
         CREATE VIEW seen AS SELECT id, name, day FROM t WHERE id > 10",
    );
    mariadb.sql(
        "CREATE TABLE t (id bigint, name varchar(40), day date);
         INSERT INTO t SELECT seq, CONCAT('name ', seq), DATE '2026-01-01' + INTERVAL seq % 60 DAY FROM seq_1_to_2000;
         UPDATE t SET name = 'changed' WHERE id = 77; DELETE FROM t WHERE id = 1500;
         CREATE VIEW seen AS SELECT id, name, day FROM t WHERE id > 10",
    );
    (postgres, mariadb)
}

#[test]
fn views_and_queries_are_summed_where_the_contract_asks_for_it() {
    let (postgres, mariadb) = tables();
    let at = |url: &str, what: &str| format!("location = \"{url}\"\n{what}");
    let (view, query) = ("table = \"seen\"", "query = \"select id, name, day from t where id > 10; \"");
    for (a, p) in [(view, view), (query, query), (view, query)] {
        let filters = ["", "\nfilter = \"id < 1900 -- so\""];
        for filter in filters {
            let sides = [at(&postgres.url(), &format!("{a}{filter}")), at(&mariadb.url(), &format!("{p}{filter}"))];
            for sides in [[&sides[0], &sides[1]], [&sides[1], &sides[0]]] {
                let write = |pushdown: &str| over([sides[0], sides[1]], pushdown);
                let checksums = held(&Workspace::new(), write, 16, &format!("{sides:?}"));
                assert!(checksums.used, "{sides:?}: {}", checksums.because);
                assert!(checksums.proved > 1700, "{sides:?}: {checksums:?}");
            }
        }
    }
    let workspace = Workspace::new();
    workspace.file("reconcile.toml", &over([&at(&postgres.url(), view), &at(&mariadb.url(), view)], "auto"));
    workspace.reconcile(["run", "--quiet"]).expect(1, &[]);
    let checksums = &workspace.summary()["contracts"][0]["checksums"];
    assert_eq!(checksums["used"], false, "nobody asked for it");
}

#[test]
fn a_query_that_makes_its_rows_up_anew_is_read_as_a_whole() {
    let (postgres, mariadb) = tables();
    let random = "case when id = 300 then (random() * 1000000000)::int8 else 7 end";
    let chance = "case when id = 300 then cast(rand() * 1000000000 as signed) else 7 end";
    let side = |url: &str, expression: &str| {
        format!("location = \"{url}\"\nquery = \"select id, {expression} as n from t where id <> 1500\"")
    };
    let fixed = [side(&postgres.url(), "7::int8"), side(&mariadb.url(), "7")];
    let fickle = [side(&postgres.url(), random), side(&mariadb.url(), chance)];
    for sides in [[&fickle[0], &fixed[1]], [&fixed[0], &fickle[1]], [&fickle[1], &fixed[0]]] {
        let workspace = Workspace::new();
        workspace.file("reconcile.toml", &over([sides[0], sides[1]], "always"));
        workspace.reconcile(["run", "--quiet"]).expect(1, &[]);
        let told = &workspace.summary()["contracts"][0];
        assert_eq!(told["checksums"]["used"], false, "{told:#}");
        let because = "a view or query gave other rows when it was asked again";
        assert_eq!(told["checksums"]["because"], because, "{told:#}");
        assert_eq!(told["divergences"]["mismatch"], 1, "{told:#}");
        assert_eq!(told["rows"]["matched"], 1999, "{told:#}");
    }
}

#[test]
fn dates_that_no_calendar_has_are_never_summed_into_agreement() {
    for value in ["0000-00-00", "2024-00-10", "2024-02-31"] {
        let mariadb = mariadb::database();
        mariadb.sql(&format!(
            "SET sql_mode = 'ALLOW_INVALID_DATES';
             CREATE TABLE a (id bigint PRIMARY KEY, day date, local datetime(6)); INSERT INTO a SELECT seq, '2026-01-01', NULL FROM seq_1_to_1000;
             UPDATE a SET day = '{value}', local = '{value}' WHERE id IN (5, 500); CREATE TABLE p LIKE a; INSERT INTO p SELECT * FROM a;
             UPDATE p SET day = '2024-03-02' WHERE id = 500; UPDATE p SET local = '2026-01-01' WHERE id = 900"
        ));
        let side = |table: &str| format!("location = \"{}\"\ntable = \"{table}\"", mariadb.url());
        let write = |pushdown: &str| over([&side("a"), &side("p")], pushdown);
        let checksums = held(&Workspace::new(), write, 16, value);
        assert!(!checksums.used, "{value}: {checksums:?}");
    }
}
