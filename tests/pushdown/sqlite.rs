//! SQLite on both sides, and against a Parquet file that our own kernel sums.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Int64Array, StringArray};
use rusqlite::Connection;

use super::held;
use crate::oracle::random::Random;
use crate::support::{Workspace, contract, read_json, write_parquet};

#[derive(Clone, Debug)]
struct Row {
    id: Option<i64>,
    region: Option<String>,
    name: Option<String>,
    open: Option<bool>,
    raw: Option<Vec<u8>>,
}

/// Texts that look alike, hold what separates and escapes, or are NULL's own mark.
const TEXTS: [&str; 14] =
    ["", " ", "a", "A", "a ", "é", "e\u{301}", "ß", "a|b", "a\\|b", "\\N", "\\", "日本 😀", "x'); drop table t; --"];

fn row(random: &mut Random, id: i64) -> Row {
    let text = |random: &mut Random| (!random.percent(10)).then(|| format!("{}{}", random.pick(&TEXTS), id % 3));
    Row {
        id: Some(id),
        region: Some(random.pick(&TEXTS).to_owned()),
        name: text(random),
        open: random.pick(&[None, Some(true), Some(false)]),
        raw: random.pick(&[None, Some(vec![]), Some(vec![0, 124, 92, 255]), Some(b"|\\N".to_vec())]),
    }
}

fn tables(random: &mut Random) -> [Vec<Row>; 2] {
    let count = 40 + random.below(160);
    // Close together, far apart, or a few far away.
    let step = random.pick(&[1_i64, 7, 1_000_003]);
    let mut rows: Vec<Row> = (0..i64::try_from(count).unwrap()).map(|id| row(random, (id - 20) * step)).collect();
    if random.percent(30) {
        let far = random.pick(&[i64::MAX, i64::MIN, 1 << 61]);
        rows.push(row(random, far));
    }
    let mut sides = [rows.clone(), rows];
    for _ in 0..random.pick(&[0, 1, 3, 6]) {
        let rows = &mut sides[random.below(2)];
        let at = random.below(rows.len());
        match random.below(10) {
            0 => drop(rows.remove(at)),
            1 => drop(rows.remove(0)),
            2 => drop(rows.pop()),
            3 => rows[at].name = Some("changed".to_owned()),
            4 => rows[at].open = rows[at].open.map_or(Some(true), |_| None),
            5 => rows.push(rows[at].clone()),
            6 => rows[at].id = None,
            7 => rows[at].region = None,
            8 => rows[at].raw = Some(vec![1]),
            _ => rows.push(row(random, i64::try_from(at).unwrap() * 3 + 1)),
        }
    }
    // The same duplicate and NULL on both sides are divergences all the same.
    if random.percent(20) {
        let copy = sides[0][0].clone();
        sides.iter_mut().for_each(|rows| rows.push(copy.clone()));
    }
    if random.percent(20) {
        let alone = Row { id: None, ..row(random, 5) };
        sides.iter_mut().for_each(|rows| rows.push(alone.clone()));
    }
    sides
}

fn literal(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

fn write_database(workspace: &Workspace, name: &str, table: &str, rows: &[Row]) {
    let connection = Connection::open(workspace.path().join(name)).unwrap();
    let quoted = format!("\"{}\"", table.replace('"', "\"\""));
    let mut sql = format!(
        "BEGIN; CREATE TABLE {quoted} (\"the \"\"id\" INTEGER, region TEXT, name TEXT, open BOOLEAN, raw BLOB);"
    );
    for row in rows {
        let id = row.id.map_or_else(
            || "NULL".to_owned(),
            |id| {
                format!(
                    "cast({} AS INTEGER)",
                    if id == i64::MIN { "-9223372036854775807 - 1".to_owned() } else { id.to_string() }
                )
            },
        );
        let open = row.open.map_or_else(|| "NULL".to_owned(), |open| u8::from(open).to_string());
        let raw = row.raw.as_ref().map_or_else(
            || "NULL".to_owned(),
            |raw| format!("x'{}'", raw.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        );
        let (region, name) = (literal(row.region.as_deref()), literal(row.name.as_deref()));
        writeln!(sql, "INSERT INTO {quoted} VALUES ({id}, {region}, {name}, {open}, {raw});").unwrap();
    }
    connection.execute_batch(&format!("{sql} COMMIT;")).unwrap();
}

fn write_file(workspace: &Workspace, name: &str, rows: &[Row], rows_of_group: usize) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("the \"id", Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>())),
        ("region", Arc::new(rows.iter().map(|row| row.region.as_deref()).collect::<StringArray>())),
        ("name", Arc::new(rows.iter().map(|row| row.name.as_deref()).collect::<StringArray>())),
        ("open", Arc::new(rows.iter().map(|row| row.open).collect::<BooleanArray>())),
        ("raw", Arc::new(rows.iter().map(|row| row.raw.as_deref()).collect::<BinaryArray>())),
    ];
    write_parquet(&workspace.path().join(name), columns, rows_of_group);
}

/// A contract of which a side may be a file.
fn agreement(pushdown: &str, files: [bool; 2], key: &str, filter: &str, null_keys: &str) -> String {
    let source = |name: &str, is_file: bool| {
        if is_file {
            return format!("[source.{name}]\nlocation = \"{name}.parquet\"\n{filter}");
        }
        let table = r#"'"a table; ""drop"" |"'"#;
        format!(
            "[source.{name}]\nlocation = \"sqlite:{name}.db\"\ntable = {table}\npushdown = \"{pushdown}\"\n{filter}"
        )
    };
    format!(
        "version = 1\n{}{}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = {key}\nnull_keys = \"{null_keys}\"\n",
        source("a", files[0]),
        source("p", files[1])
    )
}

#[test]
fn sums_of_segments_say_what_reading_every_row_says() {
    let (mut used, mut spared) = (0, 0);
    for seed in 0..250 {
        let mut random = Random::new(seed);
        let tables = tables(&mut random);
        let workspace = Workspace::new();
        let files = random.pick(&[[false, false], [false, false], [true, false], [false, true]]);
        for ((name, rows), is_file) in ["a", "p"].into_iter().zip(&tables).zip(files) {
            if is_file {
                write_file(&workspace, &format!("{name}.parquet"), rows, random.pick(&[7, 50, 1000]));
            } else {
                write_database(&workspace, &format!("{name}.db"), "a table; \"drop\" |", rows);
            }
        }
        let key = random.pick(&[
            "['the \"id']",
            "['region', 'the \"id']",
            "['the \"id', 'region']",
            "['name', 'the \"id', 'region']",
        ]);
        let filter = random.pick(&["", "", "filter = \"region <> 'é' or region is null\"\n"]);
        let null_keys = random.pick(&["report", "match"]);
        let segment_rows = random.pick(&[1, 4, 16]);
        let about = format!("seed {seed}, key {key}, files {files:?}, {filter}, {null_keys}, {segment_rows}");
        let write = |pushdown: &str| agreement(pushdown, files, key, filter, null_keys);
        let checksums = held(&workspace, write, segment_rows, &about);
        used += usize::from(checksums.used);
        spared += checksums.proved;
        assert!(checksums.used || checksums.because == "most segments are not equal", "{about}: {}", checksums.because);
    }
    assert!(used > 150, "checksums were used in {used} cases only");
    assert!(spared > 10_000, "only {spared} rows were spared");
}

/// Two small databases with a column of each sort.
fn estate(workspace: &Workspace) {
    for name in ["a", "p"] {
        let connection = Connection::open(workspace.path().join(format!("{name}.db"))).unwrap();
        let mut sql = "BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, rate REAL, gone BOOLEAN);".to_owned();
        for id in 0..200 {
            let name = if name == "p" && id == 77 { "changed" } else { "name" };
            write!(sql, "INSERT INTO t VALUES ({id}, '{name} {id}', {id} + 0.5, {});", id % 2).unwrap();
        }
        connection.execute_batch(&format!("{sql} COMMIT;")).unwrap();
    }
}

fn over(source: &str, contract: &str) -> String {
    let side = |name: &str| {
        format!("[source.{name}]\nlocation = \"sqlite:{name}.db\"\ntable = \"t\"\npushdown = \"always\"\n{source}")
    };
    format!(
        "version = 1\n{}{}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n{contract}",
        side("a"),
        side("p")
    )
}

#[test]
fn what_is_said_of_every_row_keeps_all_rows_read_and_the_report_says_so() {
    let only = "compare = \"declared\"\n[contract.c.attribute.name]\n";
    let cases = [
        ("", only, None),
        ("", "", Some("attribute `rate`: it is compared as a float")),
        ("", "ignore = [\"rate\"]\ntrim = \"both\"\n", Some("an option changes its values")),
        // Keys beyond 127 are equal on both sides, and yet no value of this type.
        (
            "",
            "ignore = [\"rate\"]\n[contract.c.attribute.id]\ntype = \"int8\"\n",
            Some("attribute `id`: its type may not hold every value of the authority"),
        ),
        ("deleted = \"gone\"\n", only, Some("`deleted` of the authority is looked at in every row")),
        ("version_column = \"id\"\n", only, Some("`version_column` of the authority")),
        ("captured_at = { column = \"name\" }\n", only, Some("`captured_at` of the authority")),
        ("", &format!("{only}[[contract.c.total]]\nname = \"all\"\n"), Some("totals are of every row")),
        (
            "",
            &format!(
                "{only}[[contract.c.invariant]]\nname = \"i\"\nside = \"authority\"\nseverity = \"low\"\nwhen = \"id < 0\"\n"
            ),
            Some("invariants are about every row"),
        ),
    ];
    for (source, contract, because) in cases {
        let workspace = Workspace::new();
        estate(&workspace);
        workspace.file("reconcile.toml", &over(source, contract));
        workspace.command(["run", "--quiet"]).status().unwrap();
        let summary = workspace.summary();
        let checksums = &summary["contracts"][0]["checksums"];
        match because {
            None => assert_eq!(checksums["used"], true, "{summary}"),
            Some(because) => {
                assert_eq!(checksums["used"], false, "{contract}");
                let said = checksums["because"].as_str().unwrap();
                assert!(said.contains(because), "{said}");
            }
        }
    }
}

#[test]
fn a_run_tells_on_the_terminal_and_in_its_files_what_was_not_read() {
    let workspace = Workspace::new();
    estate(&workspace);
    workspace.file("reconcile.toml", &over("", "compare = \"declared\"\n[contract.c.attribute.name]\n"));
    let outcome = workspace.reconcile(["run"]);
    outcome.unbroken().expect(1, &["checksums used, the contract asks for it: 1 of 2 segments were read, 100 rows"]);
    let summary = workspace.summary();
    let told = contract(&summary, "c");
    assert_eq!(told["rows"]["authority"], 200);
    assert_eq!(told["rows"]["matched"], 200);
    assert_eq!(told["divergences"]["mismatch"], 1);
    let run = workspace.run();
    let manifest = read_json(&run.join("manifest.json"));
    assert_eq!(manifest["contracts"][0]["checksums"], told["checksums"]);
    assert_eq!(manifest["contracts"][0]["inputs"]["authority"]["table_digest"], "", "not all rows were digested");
    let markdown = std::fs::read_to_string(run.join("report.md")).unwrap();
    assert!(markdown.contains("Checksums in the database: used"), "{markdown}");
    // What the manifest keeps makes the same report again.
    let id = run.file_name().unwrap().to_string_lossy().into_owned();
    let again = workspace.reconcile(["report", &id, "--format", "markdown"]);
    assert_eq!(again.stdout, markdown);
}

#[test]
fn left_to_the_program_a_database_on_this_machine_is_read() {
    let workspace = Workspace::new();
    estate(&workspace);
    let text = over("", "compare = \"declared\"\n[contract.c.attribute.name]\n").replace("pushdown = \"always\"\n", "");
    workspace.file("reconcile.toml", &text);
    workspace.reconcile(["run", "--quiet"]).expect(1, &[]);
    let checksums = &workspace.summary()["contracts"][0]["checksums"];
    assert_eq!(checksums["because"], "the database lies on this machine");
    workspace.file("reconcile.toml", &text.replace("table = \"t\"\n", "table = \"t\"\npushdown = \"sometimes\"\n"));
    workspace.reconcile(["check"]).expect(2, &["not one of auto, always, never"]);
}

#[test]
fn a_row_that_cannot_be_read_is_never_summed_into_agreement() {
    let workspace = Workspace::new();
    estate(&workspace);
    for name in ["a", "p"] {
        let connection = Connection::open(workspace.path().join(format!("{name}.db"))).unwrap();
        connection.execute("UPDATE t SET name = CAST(x'ff' AS TEXT) WHERE id IN (5, 77)", []).unwrap();
    }
    let text = over("", "compare = \"declared\"\n[contract.c.attribute.name]\n");
    for pushdown in ["always", "never"] {
        let workspace_of = Workspace::new();
        for name in ["a.db", "p.db"] {
            std::fs::copy(workspace.path().join(name), workspace_of.path().join(name)).unwrap();
        }
        workspace_of.file("reconcile.toml", &text.replace("always", pushdown));
        workspace_of.reconcile(["run"]).expect(2, &["unverified", "holds text that is no UTF-8"]);
        assert_eq!(workspace_of.summary()["contracts"][0]["divergences"]["unreadable"], 4, "{pushdown}");
    }
}

#[test]
fn causes_that_ask_every_row_are_named_alike() {
    let workspace = Workspace::new();
    estate(&workspace);
    let connection = Connection::open(workspace.path().join("p.db")).unwrap();
    // A stretch of keys that is lost, and one sort of rows whose name is cut.
    connection
        .execute_batch("DELETE FROM t WHERE id BETWEEN 40 AND 59; UPDATE t SET name = substr(name, 1, 3) WHERE id BETWEEN 100 AND 115")
        .unwrap();
    let write = |pushdown: &str| {
        over("", "compare = \"declared\"\n[contract.c.attribute.name]\n[contract.c.attribute.gone]\n")
            .replace("always", pushdown)
    };
    let checksums = held(&workspace, write, 4, "causes");
    assert!(checksums.used && checksums.proved > 120, "{checksums:?}");
}

/// Two alike tables of texts by number, of which the second has some other texts.
fn numbered(workspace: &Workspace, ids: &[i64], is_changed: impl Fn(i64) -> bool) {
    for name in ["a", "p"] {
        let connection = Connection::open(workspace.path().join(format!("{name}.db"))).unwrap();
        connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL); BEGIN").unwrap();
        let mut insert = connection.prepare("INSERT INTO t VALUES (?1, ?2)").unwrap();
        for id in ids {
            let text = if name == "p" && is_changed(*id) { "changed".to_owned() } else { format!("name {id}") };
            insert.execute((id, text)).unwrap();
        }
        drop(insert);
        connection.execute_batch("COMMIT").unwrap();
    }
}

#[test]
fn many_unequal_ranges_are_no_deeper_than_sqlite_can_read() {
    let workspace = Workspace::new();
    let ids: Vec<i64> = (0..12_000).collect();
    numbered(&workspace, &ids, |id| id % 8 == 3);
    let checksums = held(&workspace, |pushdown: &str| over("", "").replace("always", pushdown), 2, "1,500 ranges");
    assert!(checksums.used && checksums.read >= 1_500, "{checksums:?}");
}
