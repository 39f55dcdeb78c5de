//! Every type of PostgreSQL that docs/types.md has a row for, against what it is said to compare with.

use crate::servers::postgres::database;
use crate::support::{Workspace, divergences, root};

/// A type as the page names it, its declaration here, and values: as SQL, and as what they equal in a file of JSON lines.
struct Case {
    name: &'static str,
    declared: &'static str,
    values: &'static [(&'static str, &'static str)],
    /// Under which `type` they are compared; empty: as they are.
    under: &'static str,
}

const fn case(name: &'static str, declared: &'static str, values: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, declared, values, under: "" }
}

const CASES: &[Case] = &[
    case("boolean", "boolean", &[("true", "true"), ("false", "false"), ("NULL", "null")]),
    case("smallint", "smallint", &[("-32768", "-32768"), ("32767", "32767"), ("NULL", "null")]),
    case("integer", "integer", &[("-2147483648", "-2147483648"), ("2147483647", "2147483647.0")]),
    case(
        "bigint",
        "bigint",
        &[("-9223372036854775808", "-9223372036854775808"), ("9007199254740993", "9007199254740993")],
    ),
    case("oid", "oid", &[("4294967295", "4294967295")]),
    case("xid8", "xid8", &[("'18446744073709551615'", "18446744073709551615")]),
    case("real", "real", &[("0.1", "0.1"), ("1.5e30", "1.5e30"), ("'-0'", "0")]),
    case(
        "double precision",
        "double precision",
        &[("0.1", "0.1"), ("1e300", "1e300"), ("9007199254740992", "9007199254740992")],
    ),
    case("double precision", "double precision", &[("'NaN'", "\"NaN\""), ("'-Infinity'", "\"-inf\"")]),
    case(
        "numeric",
        "numeric",
        &[
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890.00000001",
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890.00000001",
            ),
            ("-0.10", "-0.1"),
            ("0", "0.000"),
            ("NULL", "null"),
        ],
    ),
    case("numeric", "numeric", &[("'NaN'", "\"NaN\""), ("'Infinity'", "\"inf\""), ("'-Infinity'", "\"-Infinity\"")]),
    case(
        "numeric(p, s)",
        "numeric(12, 2)",
        &[("10.5", "10.50"), ("-9999999999.99", "-9999999999.99"), ("NULL", "null")],
    ),
    case(
        "numeric(p, s)",
        "numeric(60, 30)",
        &[(
            "123456789012345678901234567890.000000000000000000000000000001",
            "123456789012345678901234567890.000000000000000000000000000001",
        )],
    ),
    case("numeric(p, s)", "numeric(3, -2)", &[("12345", "12300"), ("-100", "-1e2")]),
    case("numeric(p, s)", "numeric(2, 5)", &[("0.00012", "0.00012")]),
    case("numeric(p, s)", "numeric(12, 2)", &[("10.5", "\"10.50\""), ("'NaN'", "\"NaN\"")]),
    case("money", "money", &[("1234.56", "1234.56"), ("-0.01", "-0.01")]),
    case("bit(n), bit varying", "bit(4)", &[("B'1010'", "\"1010\"")]),
    case("bit(n), bit varying", "bit varying", &[("B'10'", "\"10\""), ("B''", "\"\"")]),
    case(
        "text, varchar(n)",
        "varchar(20)",
        &[("'ab  '", "\"ab  \""), ("''", "\"\""), ("'ü😀'", "\"ü😀\""), ("NULL", "null")],
    ),
    case("text, varchar(n)", "text", &[("E'a\\tb\\nc'", "\"a\\tb\\nc\""), ("'NULL'", "\"NULL\"")]),
    case("char(n)", "char(5)", &[("'ab'", "\"ab\""), ("' a'", "\" a\""), ("''", "\"\"")]),
    case("name, \"char\"", "\"char\"", &[("'x'", "\"x\"")]),
    case("name, \"char\"", "name", &[("'x y'", "\"x y\"")]),
    case("citext", "citext", &[("'Ab'", "\"Ab\"")]),
    case("bytea", "bytea", &[("'\\x00ff'", "\"00ff\""), ("''", "\"\"")]),
    case("uuid", "uuid", &[("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"")]),
    case("enum", "mood", &[("'so so'", "\"so so\""), ("NULL", "null")]),
    case("domain", "price", &[("10.50", "10.5")]),
    case("date", "date", &[("'2026-03-01'", "\"2026-03-01\""), ("'0044-03-15 BC'", "\"-0043-03-15\"")]),
    case("date", "date", &[("'infinity'", "\"infinity\""), ("'2026-03-01'", "\"2026-03-01\"")]),
    case("time", "time", &[("'23:59:59.999999'", "\"23:59:59.999999\""), ("'00:00'", "\"00:00:00\"")]),
    case("time with time zone", "timetz", &[("'12:00:00+02'", "\"12:00:00+02\"")]),
    case("timestamp", "timestamp", &[("'2026-03-01 12:00:00.123456'", "\"2026-03-01T12:00:00.123456\"")]),
    case(
        "timestamp",
        "timestamp",
        &[("'-infinity'", "\"-infinity\""), ("'2026-03-01 12:00'", "\"2026-03-01 12:00:00\"")],
    ),
    case("timestamp with time zone", "timestamptz", &[("'2026-03-01 12:00:00+02'", "\"2026-03-01T10:00:00Z\"")]),
    case(
        "timestamp with time zone",
        "timestamptz",
        &[("'infinity'", "\"infinity\""), ("'2026-03-01 12:00+02'", "\"2026-03-01 10:00:00+00\"")],
    ),
    case(
        "interval",
        "interval",
        &[("'1 year 2 mons 3 days 04:05:06.5'", "\"P1Y2M3DT4H5M6.5S\""), ("'36:00:00'", "\"PT36H\"")],
    ),
    case("json, jsonb", "json", &[("'{\"a\": 1.0, \"b\": [2, \"x\"]}'", "{\"b\": [2, \"x\"], \"a\": 1}")]),
    case(
        "json, jsonb",
        "jsonb",
        &[("'{\"a\": 12345678901234567890.1}'", "{\"a\": 12345678901234567890.1}"), ("NULL", "null")],
    ),
    case("arrays", "integer[]", &[("'{1,NULL,3}'", "[1, null, 3]"), ("'{}'", "[]"), ("NULL", "null")]),
    case("arrays", "text[]", &[("ARRAY['a,b', '\"']", "[\"a,b\", \"\\\"\"]")]),
    case("arrays", "numeric(5,1)[]", &[("'{1.5,2}'", "[1.5, 2]")]),
    case("arrays", "integer[][]", &[("'{{1,2},{3,4}}'", "[[1, 2], [3, 4]]"), ("'{}'", "[]")]),
    case("arrays", "int4range[]", &[("ARRAY[int4range(1,5)]", "[\"[1,5)\"]")]),
    case("composite", "pair", &[("ROW(1, 'x')", "{\"a\": 1, \"b\": \"x\"}"), ("NULL", "null")]),
    case("composite", "pair[]", &[("ARRAY[ROW(1, NULL)::pair]", "[{\"a\": 1, \"b\": null}]")]),
    Case {
        name: "hstore",
        declared: "hstore",
        values: &[("'a=>1, b=>NULL'", "{\"a\": \"1\", \"b\": null}")],
        under: "json",
    },
    case("ranges, multiranges", "int4range", &[("'[1,4]'", "\"[1,5)\""), ("'empty'", "\"empty\"")]),
    case("ranges, multiranges", "tstzrange", &[("'[2026-03-01 12:00+02,)'", "\"[\\\"2026-03-01 10:00:00+00\\\",)\"")]),
    case("ranges, multiranges", "int4multirange", &[("'{[1,5), [7,9)}'", "\"{[1,5),[7,9)}\"")]),
    case(
        "inet, cidr",
        "inet",
        &[("'10.0.0.1'", "\"10.0.0.1\""), ("'10.0.0.1/8'", "\"10.0.0.1/8\""), ("'::1'", "\"::1\"")],
    ),
    case("inet, cidr", "cidr", &[("'10.0.0.0/8'", "\"10.0.0.0/8\""), ("'10.1.1.1/32'", "\"10.1.1.1/32\"")]),
    case("macaddr, macaddr8", "macaddr", &[("'08-00-2B-01-02-03'", "\"08:00:2b:01:02:03\"")]),
    case("macaddr, macaddr8", "macaddr8", &[("'08:00:2b:01:02:03:04:05'", "\"08:00:2b:01:02:03:04:05\"")]),
    case("xml", "xml", &[("'<a>1</a>'", "\"<a>1</a>\"")]),
    case("tsvector, tsquery", "tsvector", &[("'b a'", "\"'a' 'b'\"")]),
    case("tsvector, tsquery", "tsquery", &[("'a & b'", "\"'a' & 'b'\"")]),
    case("point, line, lseg, box, path, polygon, circle", "point", &[("'(1.5,2)'", "\"(1.5,2)\"")]),
    case("point, line, lseg, box, path, polygon, circle", "polygon", &[("'((0,0),(1,1))'", "\"((0,0),(1,1))\"")]),
    case("jsonpath, pg_lsn, tid, pg_snapshot, reg*", "jsonpath", &[("'$.a'", "\"$.\\\"a\\\"\"")]),
    case("jsonpath, pg_lsn, tid, pg_snapshot, reg*", "pg_lsn", &[("'16/B374D848'", "\"16/B374D848\"")]),
    case("generated columns", "integer GENERATED ALWAYS AS (7) STORED", &[("DEFAULT", "7")]),
];

#[test]
fn every_type_compares_as_the_page_says() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TYPE mood AS ENUM ('so so', 'fine'); \
         CREATE DOMAIN price AS numeric(12, 2) CHECK (VALUE >= 0); CREATE TYPE pair AS (a integer, b text)",
    );
    let mut wrong = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let table = format!("t{number}");
        let mut lines = String::new();
        database.sql(&format!("CREATE TABLE {table} (id integer, v {})", case.declared));
        for (id, (sql, json)) in case.values.iter().enumerate() {
            database.sql(&format!("INSERT INTO {table} VALUES ({id}, {sql})"));
            lines.push_str(&format!("{{\"id\": {id}, \"v\": {json}}}\n"));
        }
        workspace.file("file.ndjson", &lines);
        let under = format!("v={}", case.under);
        let call = |authority: &str, projection: &str| {
            let more: &[&str] = if case.under.is_empty() { &[] } else { &["--type", &under] };
            workspace.reconcile(["diff", authority, projection, "--key", "id"].iter().chain(more))
        };
        let location = database.table(&table);
        let as_the_file = call(&location, "file.ndjson");
        let as_itself = call(&location, &location);
        // One more row: all that is there must have been compared.
        workspace.file("file.ndjson", &format!("{lines}{{\"id\": 99, \"v\": null}}\n"));
        let unlike = call("file.ndjson", &location);
        let statuses = [&as_the_file, &as_itself, &unlike].map(|said| said.status);
        if statuses != [Some(0), Some(0), Some(1)] {
            let said = as_the_file.shown();
            wrong.push(format!("{} ({}): {statuses:?}\n{said}", case.name, case.declared));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_row_of_the_page_has_a_case() {
    let page = std::fs::read_to_string(root().join("docs/types.md")).unwrap();
    let (_, own) = page.split_once("## PostgreSQL").unwrap();
    let own = own.split("\n## ").next().unwrap();
    let rows: Vec<String> = own
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(" | "))
        .map(|(names, _)| format!("`{names}").replace('`', ""))
        .collect();
    assert!(rows.len() > 30, "{rows:?}");
    for case in CASES {
        assert!(rows.iter().any(|row| row == case.name), "docs/types.md has no row for {}: {rows:?}", case.name);
    }
    let untested: Vec<&String> = rows
        .iter()
        .filter(|row| row.as_str() != "other types" && !CASES.iter().any(|case| case.name == **row))
        .collect();
    assert!(untested.is_empty(), "no case for {untested:?}");
}

#[test]
fn a_type_that_is_not_mapped_is_a_difference_of_schemas_that_names_it() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE EXTENSION cube; CREATE TABLE t (id integer, v cube, w integer); INSERT INTO t VALUES (1, '(1,2)', 3)",
    );
    workspace.file("file.ndjson", "{\"id\": 1, \"v\": \"(1, 2)\", \"w\": 3}\n");
    let diff = workspace.reconcile(["diff", &database.table("t"), "file.ndjson", "--key", "id"]);
    diff.expect(1, &["schema", "cube (not supported)"]);
    let cast = workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{}\"\nquery = \"select id, v::text as v, w from t\"\n[source.b]\n\
             location = \"file.ndjson\"\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"b\"\nkey = [\"id\"]\n",
            database.url()
        ),
    );
    assert!(cast.exists());
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}

#[test]
fn values_that_only_postgresql_has_are_equal_to_themselves_and_to_nothing_else() {
    let (workspace, database) = (Workspace::new(), database());
    let columns = "(id int, n numeric(12, 2), d date, t time, z timestamptz, a int[], i interval)";
    let values = "(1, 'NaN', 'infinity', '24:00:00', '-infinity', '{{1},{2}}', '1 mon'), (2, 1, '2026-03-01', '01:00', now(), '{1,2}', '30 days')";
    database.sql(&format!("CREATE TABLE t {columns}; INSERT INTO t VALUES {values}; CREATE TABLE u AS TABLE t"));
    let diff = || workspace.reconcile(["diff", &database.table("t"), &database.table("u"), "--key", "id"]);
    diff().expect(0, &["agreed"]);
    for (set, shown) in [
        ("n = 0", "NaN"),
        ("d = '5000-01-01'", "infinity"),
        ("t = '00:00'", "24:00:00"),
        ("z = 'infinity'", "-infinity"),
        ("a = '{1,2}'", "[[1]"),
        ("i = '30 days'", "P"),
    ] {
        database.sql(&format!("UPDATE u SET {set} WHERE id = 1"));
        let said = diff();
        said.expect(1, &["mismatch       {\"id\":1}", shown]);
        database.sql("DELETE FROM u WHERE id = 1; INSERT INTO u SELECT * FROM t WHERE id = 1");
    }
}

#[test]
fn a_schema_that_differs_only_when_a_column_is_read_wider_is_counted_and_listed() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "CREATE TYPE stay AS (x int, until timestamp); CREATE TABLE a (id int, stay stay); CREATE TABLE p (id int, stay stay);
         INSERT INTO a VALUES (1, '(1,infinity)'); INSERT INTO p VALUES (1, '(1,2026-01-01 00:00:00)')",
    );
    let source = |name: &str| format!("[source.{name}]\nlocation = \"{}\"\ntable = \"{name}\"\n", database.url());
    let contract = "[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n";
    workspace.file("reconcile.toml", &format!("version = 1\n{}{}{contract}", source("a"), source("p")));
    workspace.reconcile(["run"]).expect(1, &["schema"]);
    let counted = &workspace.summary()["contracts"][0]["divergences"]["schema"];
    let lines = divergences(&workspace.run());
    let listed = lines.iter().filter(|line| line["kind"] == "schema").count();
    assert_eq!(counted, &serde_json::json!(1), "{lines:?}");
    assert_eq!(listed, 1, "{lines:?}");
}
