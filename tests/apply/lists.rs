//! Lists and documents: arrays of PostgreSQL element by element, JSON as each system keeps it, and what only a person can write.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reconcile::apply::Quietly;
use serde_json::json;

use super::held::{manual, stage};
use super::places::Place;
use super::{line, outcomes, update};
use crate::servers::postgres::{Database, database};
use crate::servers::{mariadb, postgres};
use crate::support::Workspace;

/// Arrays of most types.
const TYPES: &str = "CREATE TABLE SCHEMA.t (id int PRIMARY KEY, texts text[], short varchar(9)[], pads char(5)[], ints int4[],
    big int8[], nums numeric[], cents public.cents[], halves float4[], floats float8[], flags bool[], days date[], ats timestamp[],
    tzs timestamptz[], times time[], spans interval[], bytes bytea[], ids uuid[], moods public.mood[], bits varbit[], ips inet[],
    tags public.tags, deep int[][], docs jsonb);";

const ROWS: &str = r#"
    INSERT INTO auth.t VALUES
     (1, ARRAY[NULL, '', 'NULL', 'null', 'it''s', E'b\\s', '"q"', '{a,b}', ',', ' sp ', '''; drop table auth.t; --', E'\n\t\x01', '🦀', 'é', 'é'],
      '{a,"b c"}', '{ab,"c d"}', '{1,NULL,-2147483648}', '{9223372036854775807}', '{1.5,NaN,12345678901234567890.0123456789}', '{1.5,NULL}',
      '{0.1,Infinity}', '{0.1,NaN,1e-300,NULL}', '{t,f,NULL}', '{2026-01-01,NULL,"0044-03-15 BC"}',
      '{"2026-05-05 23:59:59.999999"}', '{"1900-01-01 00:00:00.000001Z",NULL}', '{24:00,01:02:03.5}', '{"1 mon 2 days 03:04:05.5",-1 day}',
      ARRAY['\x00ff27'::bytea, '', NULL], '{ffffffff-ffff-ffff-ffff-ffffffffffff}', ARRAY['it''s', NULL]::mood[], '{101,B0}', '{10.0.0.1,::1}',
      '{x,NULL}', '{{1,2},{NULL,4}}', '[{"a": [1.5, null, "x''y"]}, []]'),
     (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '[]'),
     (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{7}', 'null'),
     (4, '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}',
      '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{}'),
     (5, ARRAY[repeat(E'long ''\\"', 20000)], '{a}', '{a}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}', '{t}', '{2026-01-01}', '{2026-01-01}',
      '{2026-01-01}', '{01:00}', '{1 day}', '{}', '{}', '{}', '{}', '{}', '{}', '{{{1}}}', '{"deep": {"er": [1, {"a": "b"}]}}');
    INSERT INTO copy.t SELECT * FROM auth.t WHERE id IN (2, 3);
    INSERT INTO copy.t SELECT 1, texts, short, pads, ints, big, nums, cents, halves, floats, flags, days, ats, tzs, times, spans, bytes, ids, moods,
      bits, ips, tags, deep, docs FROM auth.t WHERE id = 2;
    UPDATE copy.t SET texts = '{a,NULL}', nums = '{7}', floats = '{0.5}', deep = '{{1},{2}}', docs = '{"a":1}' WHERE id = 2;
    UPDATE copy.t SET texts = '{NULL}', spans = '{30 days}', moods = '{"b\\d"}' WHERE id = 3;
    INSERT INTO copy.t (id, texts, deep) VALUES (9, '{gone}', '{}');
"#;

const DUMP: &str = "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY id), '') FROM SCHEMA.t t WHERE id < 9";

fn made() -> Database {
    let database = database();
    let types = |schema: &str| TYPES.replace("SCHEMA", schema);
    database.sql(&format!(
        "CREATE SCHEMA auth; CREATE SCHEMA copy; CREATE TYPE mood AS ENUM ('it''s', 'b\\d'); CREATE DOMAIN cents AS numeric(6, 2);
         CREATE DOMAIN tags AS text[]; {} {} {ROWS}",
        types("auth"),
        types("copy")
    ));
    database
}

#[test]
fn every_array_survives_apply_rollback_and_the_client() {
    let (workspace, database) = (Workspace::new(), made());
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{0}\"\ntable = \"auth.t\"\n[source.p]\nlocation = \"{0}\"\ntable = \"copy.t\"\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n\
             repair = {{ missing = \"auto\", mismatch = \"auto\" }}\n",
            database.url()
        ),
    );
    let dump = |schema: &str| database.sql(&DUMP.replace("SCHEMA", schema));
    workspace.reconcile(["run"]).expect(1, &["6 actions"]);
    let (run, before) = (workspace.run(), dump("copy"));
    let all = ["apply", "latest", "--execute", "--include-review"];
    workspace.reconcile(all).expect(0, &["6 done"]);
    assert_eq!(dump("copy"), dump("auth"), "to the byte");
    workspace.reconcile(["run"]).expect(0, &[]);
    workspace.reconcile(["apply", "--rollback", "latest", "--execute"]).expect(0, &["6 done"]);
    assert_eq!(dump("copy"), before, "to the byte");
    for (name, expected) in [("plan.sql", dump("auth")), ("plan.sql", dump("auth")), ("rollback.sql", before)] {
        let script = std::fs::read_to_string(run.join(name)).unwrap();
        let output = database.psql(&script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(dump("copy"), expected, "{name}");
    }
}

#[test]
fn random_texts_survive_in_arrays() {
    let database = database();
    database.sql("CREATE TABLE t (id int PRIMARY KEY, texts text[])");
    let special = "'\\\"`$;{}[],\n\r\t\u{8}\u{1f980} nulNUL".chars().collect::<Vec<_>>();
    let text = proptest::collection::vec(
        prop_oneof![3 => proptest::sample::select(special), 1 => any::<char>().prop_filter("NUL", |one| *one != '\0')],
        0..12,
    );
    let text = proptest::option::weighted(0.9, text.prop_map(String::from_iter));
    let lists = proptest::collection::vec(proptest::collection::vec(text, 0..6), 1..20);
    let config = Config { cases: 10, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(lists.clone(), lists), |(first, second)| {
            database.sql("TRUNCATE t");
            let rows = first.len().min(second.len());
            let list = |list: &Vec<Option<String>>| json!({ "texts": json!(list).to_string() });
            let insert = |id: usize| {
                let mut row = list(&first[id]);
                row["id"] = json!(id);
                line("t", "insert", i64::try_from(id).unwrap(), "null", &row.to_string())
            };
            let change = |id: usize| {
                update("t", i64::try_from(id).unwrap(), &list(&first[id]).to_string(), &list(&second[id]).to_string())
            };
            let folder = tempfile::tempdir().unwrap();
            let of = |plan: Vec<String>| stage(folder.path(), &database.url(), "", "", &plan);
            let read = || database.sql("SELECT coalesce(json_agg(texts ORDER BY id), '[]') FROM t");
            let is = |lists: &[Vec<Option<String>>]| {
                let read: Vec<Vec<Option<String>>> = serde_json::from_str(&read()).unwrap();
                assert_eq!(read, lists[..rows]);
            };
            let added = of((0..rows).map(insert).collect());
            assert!(outcomes(&added.apply("A1", &Quietly)).iter().all(|said| *said == "done"));
            is(&first);
            let told = of((0..rows).map(change).collect()).apply("A2", &Quietly);
            assert!(outcomes(&told).iter().all(|said| ["done", "already"].contains(said)), "{:?}", outcomes(&told));
            is(&second);
            added.undo("A2", "A3", &Quietly);
            is(&first);
            Ok(())
        })
        .unwrap();
}

#[test]
fn an_array_that_moved_or_cannot_hold_a_list_is_left_alone() {
    let database = database();
    database.sql(
        "CREATE DOMAIN cents AS numeric(6, 2); CREATE TYPE pair AS (a int, b text); CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
         CREATE TABLE t (id int PRIMARY KEY, texts text[] COLLATE loose, ints int[], short varchar(2)[], cents cents[], spans interval[], docs jsonb[], pair pair, deep int[]);
         INSERT INTO t SELECT n, '{a}', '{1}', '{a}', '{1}', '{1 mon}', '{}', '(1,x)', '{1}' FROM generate_series(1, 12) n;
         UPDATE t SET texts = '{A}' WHERE id = 2; UPDATE t SET ints = '{2}' WHERE id = 3; UPDATE t SET ints = '[0:0]={1}' WHERE id = 4;
         UPDATE t SET spans = '{30 days}' WHERE id = 7",
    );
    let texts = |id: i64| update("t", id, r#"{"texts":"[\"a\"]"}"#, r#"{"texts":"[\"b\"]"}"#);
    let ints = |id: i64, to: &str| update("t", id, r#"{"ints":"[1]"}"#, &format!("{{\"ints\":\"{to}\"}}"));
    let plan = [
        texts(1),
        texts(2),
        ints(3, "[2,3]"),
        ints(4, "[2]"),
        update("t", 5, r#"{"short":"[\"a\"]"}"#, r#"{"short":"[\"abc\"]"}"#),
        update("t", 6, r#"{"cents":"[1]"}"#, r#"{"cents":"[1.234]"}"#),
        update("t", 7, r#"{"spans":"[\"P1M\"]"}"#, r#"{"spans":"[\"P2M\"]"}"#),
        ints(8, "[1.5]"),
        ints(9, "[[1],[2,3]]"),
        update("t", 10, r#"{"docs":"[]"}"#, r#"{"docs":"[null]"}"#),
        update("t", 11, r#"{"pair":"{\"a\":1,\"b\":\"x\"}"}"#, r#"{"pair":"{\"a\":2,\"b\":\"x\"}"}"#),
        ints(12, "[[1,2],[3,null]]"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path(), &database.url(), "", "", &plan);
    let said = manual(&stage);
    let whys = [
        (7, "column `ints` (integer[]) cannot hold what is no whole number"),
        (8, "column `ints` (integer[]) cannot hold lists of unequal length in a list, or other values beside them"),
        (9, "column `docs` (jsonb[]) cannot hold a list or an object"),
        (10, "column `pair` (pair) cannot hold a list or an object"),
    ];
    assert_eq!(said, whys.map(|(place, why)| (place, why.to_owned())));
    let moved = "the row has moved since: it does not hold what the plan saw";
    let long = "the target refused it: value too long for type character varying(2)";
    let rounded = "the target does not keep the values as they were written, so nothing was";
    assert_eq!(outcomes(&stage.apply("A1", &Quietly)), ["done", moved, moved, moved, long, rounded, moved, "done"]);
    assert_eq!(
        database.sql("SELECT texts, ints FROM t WHERE id IN (1, 2, 12) ORDER BY id"),
        "{b}|{1}\n{A}|{1}\n{a}|{{1,2},{3,NULL}}"
    );
}

/// Documents, and lists of another system, are JSON text where a column holds that; it is guarded as it stands there.
#[test]
fn documents_are_written_as_text_where_json_is_text() {
    let (authority, mariadb) = (postgres::database(), mariadb::database());
    authority.sql(
        r#"CREATE TABLE a (id int PRIMARY KEY, doc jsonb, tags text[]);
           INSERT INTO a VALUES (1, '{"b": [1.50, null, {"x": "it''s \\ \""}], "a": "🦀"}', ARRAY['a', NULL, E'b\\"c', '']),
            (2, '[]', '{}'), (3, NULL, NULL), (4, '{"same": 1.0}', '{x}'), (5, '"text"', '{}'), (6, '{}', '{y}')"#,
    );
    let folder = tempfile::tempdir().unwrap();
    for place in [Place::Sqlite(folder.path()), Place::Mariadb(&mariadb)] {
        let json = if matches!(place, Place::Mariadb(_)) { "json" } else { "text" };
        place.ask(&format!("CREATE TABLE p (id int PRIMARY KEY, doc {json}, tags {json})"));
        place.ask(
            "INSERT INTO p VALUES (1, '{ \"b\": 1 }', '[ \"a\" ]'), (2, '[1]', '[null]'), (3, '{}', '[\"z\"]'), (4, '{ \"same\" : 1 }', '[ \"x\" ]'), (6, '[ 7 ]', '[ ]')",
        );
        let workspace = Workspace::new();
        workspace.file(
            "reconcile.toml",
            &format!(
                "version = 1\n[source.a]\nlocation = \"{}\"\ntable = \"a\"\n[source.p]\nlocation = \"{}\"\ntable = \"p\"\n\
                 [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n\
                 repair = {{ missing = \"auto\", mismatch = \"auto\" }}\n[contract.c.attribute.doc]\ntype = \"json\"\n\
                 [contract.c.attribute.tags]\ntype = \"json\"\n",
                authority.url(),
                place.location()
            ),
        );
        workspace.reconcile(["run"]).expect(1, &["5 actions (5 safe)"]);
        let rows = || {
            place.ask("SELECT id, coalesce(doc, 'NULL'), coalesce(tags, 'NULL') FROM p ORDER BY id").replace('\t', "|")
        };
        let before = rows();
        // The same document, spelled in another way since, is not what the plan saw: nobody looked at it.
        place.ask("UPDATE p SET doc = '[7]' WHERE id = 6");
        workspace
            .reconcile(["apply", "latest", "--execute"])
            .expect(1, &["4 done", "1 skipped", "does not hold what the plan saw"]);
        let expected = [
            r#"1|{"a":"🦀","b":[1.5,null,{"x":"it's \\ \""}]}|["a",null,"b\\\"c",""]"#,
            "2|[]|[]",
            "3|NULL|NULL",
            r#"4|{ "same" : 1 }|[ "x" ]"#,
            r#"5|"text"|[]"#,
            "6|[7]|[ ]",
        ];
        let escaped = |line: &str| match place {
            // The client shows a backslash as two.
            Place::Mariadb(_) => line.replace('\\', "\\\\"),
            _ => line.to_owned(),
        };
        assert_eq!(rows(), expected.map(escaped).join("\n"));
        workspace.reconcile(["apply", "--rollback", "latest", "--execute"]).expect(0, &["4 done"]);
        place.ask("UPDATE p SET doc = '[ 7 ]' WHERE id = 6");
        assert_eq!(rows(), before);
    }
}
