//! Every pair of systems, with tables whose keys, texts and values are those that dialects and collations differ over.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};

use super::held;
use crate::oracle::random::Random;
use crate::servers::{mariadb, postgres};
use crate::support::{Workspace, write_parquet};

#[derive(Clone, Copy, Debug, PartialEq)]
enum System {
    Postgres,
    Mariadb,
    Sqlite,
    File,
}

#[derive(Clone, Debug)]
struct Row {
    id: Option<i64>,
    region: Option<String>,
    cents: Option<i64>,
    open: Option<bool>,
    day: Option<i32>,
    /// Microseconds since 1970.
    local: Option<i64>,
    instant: Option<i64>,
    raw: Option<Vec<u8>>,
}

const TEXTS: [&str; 16] = [
    "",
    " ",
    "a",
    "A",
    "a ",
    "á",
    "é",
    "e\u{301}",
    "ß",
    "ss",
    "a|b",
    "a\\|b",
    "\\N",
    "\\",
    "日本 😀",
    "x'); drop table t; -- \"`",
];
const TABLE: &str = "a table; \"drop\" |";

fn row(random: &mut Random, id: i64) -> Row {
    let some = |random: &mut Random| !random.percent(15);
    let moment = random.pick(&[0, -1, 1_700_000_000_123_456, 978_307_200_000_000, 1_000_000]);
    Row {
        id: Some(id),
        region: Some(random.pick(&TEXTS).to_owned()),
        cents: some(random).then(|| random.pick(&[0, 1, -5, 1050, 100, -100_000, 9_999_999_999])),
        open: random.pick(&[None, Some(true), Some(false)]),
        day: some(random).then(|| random.pick(&[0, -1, 19_782, 47_482])),
        local: some(random).then_some(moment),
        instant: some(random).then(|| random.pick(&[1_000_000, 1_700_000_000_123_456, 978_307_200_000_001])),
        raw: random.pick(&[None, Some(vec![]), Some(vec![0, 124, 92, 255]), Some(b"|\\N".to_vec())]),
    }
}

/// What a system's table is called in a contract, and its rows in it.
struct Side {
    system: System,
    postgres: Option<postgres::Database>,
    mariadb: Option<mariadb::Database>,
}

impl Side {
    fn new(system: System) -> Self {
        Self {
            system,
            postgres: (system == System::Postgres).then(postgres::database),
            mariadb: (system == System::Mariadb).then(mariadb::database),
        }
    }

    fn source(&self, name: &str, pushdown: &str) -> String {
        let url = match self.system {
            System::Sqlite => format!("sqlite:{name}.db"),
            System::File => return format!("[source.{name}]\nlocation = \"{name}.parquet\"\n"),
            System::Postgres => self.postgres.as_ref().unwrap().url(),
            System::Mariadb => self.mariadb.as_ref().unwrap().url(),
        };
        let table = r#"'"a table; ""drop"" |"'"#;
        format!("[source.{name}]\nlocation = \"{url}\"\ntable = {table}\npushdown = \"{pushdown}\"\n")
    }

    fn write(&self, workspace: &Workspace, name: &str, rows: &[Row], keyed: bool) {
        match self.system {
            System::File => write_file(workspace, &format!("{name}.parquet"), rows),
            System::Sqlite => write_sqlite(&workspace.path().join(format!("{name}.db")), rows),
            System::Postgres => {
                let table = format!("\"{}\"", TABLE.replace('"', "\"\""));
                let key = if keyed { "bigint PRIMARY KEY" } else { "bigint" };
                let mut sql = format!(
                    "DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id {key}, region text, amount numeric(12, 2), open boolean, day date, local timestamp, instant timestamptz, raw bytea);"
                );
                insert(
                    &mut sql,
                    &table,
                    rows,
                    |raw| format!("'\\x{raw}'::bytea"),
                    |text| format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                    "+00",
                );
                self.postgres.as_ref().unwrap().sql(&sql);
            }
            System::Mariadb => {
                let table = format!("`{TABLE}`");
                let key = if keyed { "bigint PRIMARY KEY" } else { "bigint" };
                let mut sql = format!(
                    "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'; DROP TABLE IF EXISTS {table}; CREATE TABLE {table} (id {key}, region varchar(90) COLLATE utf8mb4_general_ci, amount decimal(14, 4), open boolean, day date, local datetime(6), instant timestamp(6) NULL, raw varbinary(60));"
                );
                insert(
                    &mut sql,
                    &table,
                    rows,
                    |raw| format!("x'{raw}'"),
                    |text| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
                    "",
                );
                self.mariadb.as_ref().unwrap().sql(&sql);
            }
        }
    }
}

fn insert(
    sql: &mut String,
    table: &str,
    rows: &[Row],
    raw: impl Fn(&str) -> String,
    text: impl Fn(&str) -> String,
    zone: &str,
) {
    let or_null = |text: Option<String>| text.unwrap_or_else(|| "NULL".to_owned());
    let moment =
        |micros: i64| jiff::Timestamp::from_microsecond(micros).unwrap().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string();
    for row in rows {
        let values = [
            row.id.map(|id| id.to_string()),
            row.region.as_deref().map(&text),
            row.cents.map(|cents| {
                format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
            }),
            row.open.map(|open| open.to_string()),
            row.day.map(|day| format!("'{}'", &moment(i64::from(day) * 86_400_000_000)[..10])),
            row.local.map(|local| format!("'{}'", moment(local))),
            row.instant.map(|instant| format!("'{}{zone}'", moment(instant))),
            row.raw.as_ref().map(|bytes| raw(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        ];
        writeln!(sql, "INSERT INTO {table} VALUES ({});", values.map(or_null).join(", ")).unwrap();
    }
}

/// Only what SQLite has types for.
fn write_sqlite(path: &Path, rows: &[Row]) {
    let table = format!("\"{}\"", TABLE.replace('"', "\"\""));
    let mut connection = rusqlite::Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction
        .execute_batch(&format!("CREATE TABLE {table} (id INTEGER, region TEXT, open BOOLEAN, raw BLOB)"))
        .unwrap();
    for row in rows {
        transaction
            .execute(
                &format!("INSERT INTO {table} VALUES (?, ?, ?, ?)"),
                rusqlite::params![row.id, row.region, row.open, row.raw],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
}

fn write_file(workspace: &Workspace, name: &str, rows: &[Row]) {
    let cents = rows.iter().map(|row| row.cents.map(i128::from)).collect::<Decimal128Array>();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>())),
        ("region", Arc::new(rows.iter().map(|row| row.region.as_deref()).collect::<StringArray>())),
        ("amount", Arc::new(cents.with_precision_and_scale(12, 2).unwrap())),
        ("open", Arc::new(rows.iter().map(|row| row.open).collect::<BooleanArray>())),
        ("day", Arc::new(rows.iter().map(|row| row.day).collect::<Date32Array>())),
        ("local", Arc::new(rows.iter().map(|row| row.local).collect::<TimestampMicrosecondArray>())),
        (
            "instant",
            Arc::new(rows.iter().map(|row| row.instant).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        ),
        ("raw", Arc::new(rows.iter().map(|row| row.raw.as_deref()).collect::<BinaryArray>())),
    ];
    write_parquet(&workspace.path().join(name), columns, 70);
}

/// What is planted, by name; each gets both tables.
type Planted = (&'static str, fn(&mut [Vec<Row>; 2]));

const PLANTED: [Planted; 11] = [
    ("nothing", |_| {}),
    ("one value", |tables| tables[1][77].cents = Some(1051)),
    ("letter case", |tables| (tables[0][5].region, tables[1][5].region) = (Some("a".into()), Some("A".into()))),
    ("a space", |tables| (tables[0][9].region, tables[1][9].region) = (Some("a".into()), Some("a ".into()))),
    ("Unicode forms", |tables| {
        (tables[0][3].region, tables[1][3].region) = (Some("é".into()), Some("e\u{301}".into()));
    }),
    ("NULL and its mark", |tables| (tables[0][8].region, tables[1][8].region) = (None, Some("\\N".into()))),
    ("a microsecond", |tables| (tables[0][60].instant, tables[1][60].instant) = (Some(1_000_000), Some(1_000_001))),
    ("rows at the ends", |tables| {
        tables[0].remove(0);
        tables[1].pop();
    }),
    ("rows between", |tables| {
        tables[0].remove(100);
        let far = Row { id: Some(1_000_000), ..tables[1][7].clone() };
        tables[1].push(far);
    }),
    ("a key twice on both sides", |tables| tables.iter_mut().for_each(|rows| rows.push(rows[50].clone()))),
    ("NULL in the key on both sides", |tables| {
        tables.iter_mut().for_each(|rows| rows.push(Row { id: None, region: None, ..rows[50].clone() }));
    }),
];

/// Changes some rows of either side, in a way that its number tells.
fn plant(number: usize, tables: &mut [Vec<Row>; 2]) -> String {
    if let Some((about, plant)) = PLANTED.get(number) {
        plant(tables);
        return (*about).to_owned();
    }
    let mut random = Random::new(number as u64);
    for _ in 0..random.pick(&[1, 3, 9]) {
        let rows = &mut tables[random.below(2)];
        let at = random.below(rows.len());
        let id = rows[at].id;
        match random.below(4) {
            0 => drop(rows.remove(at)),
            1 => rows.push(Row { id: Some(10_000 + i64::try_from(at).unwrap()), ..rows[at].clone() }),
            _ => rows[at] = Row { id, ..row(&mut random, 0) },
        }
    }
    format!("random case {number}")
}

fn pair(systems: [System; 2], keys: &[&str]) {
    let sides = systems.map(Side::new);
    let mut used = 0;
    for number in 0..PLANTED.len() + RANDOM {
        let mut random = Random::new(number as u64);
        let rows: Vec<Row> = (0..200).map(|id| row(&mut random, id * 3 - 90)).collect();
        let mut tables = [rows.clone(), rows];
        let about = plant(number, &mut tables);
        let key = keys[number % keys.len()];
        let workspace = Workspace::new();
        // Only where no key is twice or NULL may the table say so, and only of its own column.
        let keyed = number < 9 && number % 2 == 0;
        for ((side, name), rows) in sides.iter().zip(["a", "p"]).zip(&tables) {
            side.write(&workspace, name, rows, keyed);
        }
        let only = if systems.contains(&System::Sqlite) {
            "compare = \"declared\"\n[contract.c.attribute.region]\n[contract.c.attribute.raw]\n"
        } else {
            ""
        };
        let write = |pushdown: &str| {
            format!(
                "version = 1\n{}{}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = {key}\n{only}[contract.c.attribute.open]\ntype = \"boolean\"\n",
                sides[0].source("a", pushdown),
                sides[1].source("p", pushdown)
            )
        };
        let checksums = held(&workspace, write, 8, &format!("{systems:?}, {about}, key {key}"));
        // Where much differs, or lies far from all else, all rows are read.
        let is_much = checksums.because == "most segments are not equal";
        assert!(checksums.used || is_much, "{systems:?}, {about}: {}", checksums.because);
        assert!(is_much || checksums.proved >= 80, "{systems:?}, {about}: {checksums:?}");
        used += usize::from(checksums.used);
    }
    assert!(used >= PLANTED.len(), "{systems:?}: sums served in {used} cases only");
}

/// Cases that are made from their number.
const RANDOM: usize = 6;

const KEYS: [&str; 3] = ["['id']", "['region', 'id']", "['id', 'region']"];

#[test]
fn postgres_with_postgres() {
    pair([System::Postgres, System::Postgres], &KEYS);
}

#[test]
fn postgres_with_a_file() {
    pair([System::File, System::Postgres], &KEYS);
}

#[test]
fn mariadb_with_mariadb() {
    pair([System::Mariadb, System::Mariadb], &KEYS);
}

#[test]
fn postgres_with_mariadb() {
    pair([System::Postgres, System::Mariadb], &KEYS);
}

#[test]
fn mariadb_with_postgres() {
    pair([System::Mariadb, System::Postgres], &KEYS);
}

#[test]
fn mariadb_with_a_file() {
    pair([System::Mariadb, System::File], &KEYS);
}

#[test]
fn mariadb_with_sqlite() {
    pair([System::Mariadb, System::Sqlite], &KEYS);
}

#[test]
fn sqlite_with_mariadb() {
    pair([System::Sqlite, System::Mariadb], &KEYS);
}

#[test]
fn the_file_of_divergences_is_the_same_to_the_byte() {
    let sides = [System::Postgres, System::Mariadb].map(Side::new);
    let mut random = Random::new(99);
    let rows: Vec<Row> = (0..3000).map(|id| row(&mut random, id)).collect();
    let mut tables = [rows.clone(), rows];
    for at in [5, 70, 71, 499] {
        tables[1][at].region = Some("changed".to_owned());
    }
    tables[0].remove(150);
    tables[1].remove(20);
    let mut bytes = Vec::new();
    for (side, rows) in sides.iter().zip(&tables) {
        side.write(&Workspace::new(), "", rows, true);
    }
    for pushdown in ["never", "always"] {
        let workspace = Workspace::new();
        let (a, p) = (sides[0].source("a", pushdown), sides[1].source("p", pushdown));
        workspace.file(
            "reconcile.toml",
            &format!(
                "version = 1\n{a}{p}[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = ['id']\n[contract.c.attribute.open]\ntype = \"boolean\"\n"
            ),
        );
        workspace.reconcile(["run", "--quiet"]).expect(1, &[]);
        let told = &workspace.summary()["contracts"][0];
        assert_eq!(told["checksums"]["used"].as_bool(), (pushdown == "always").then_some(true), "{told:#}");
        assert_eq!((&told["divergences"]["missing"], &told["divergences"]["orphan"]), (&1.into(), &1.into()));
        bytes.push(std::fs::read(workspace.run().join("divergences.parquet")).unwrap());
    }
    assert!(bytes[0] == bytes[1], "{} and {} bytes", bytes[0].len(), bytes[1].len());
}

#[test]
fn a_segment_that_is_cut_finer_counts_no_row_of_the_next() {
    // Nearly all rows lie in the first segment, which is cut again, and its width is no multiple of the parts'. In the last case
    // most of the rows that are counted first are gone.
    for (ids, far, segment_rows) in [("1, 3000", 1_000_000, 4), ("1, 3001", 999_983, 4), ("512, 3000", 1_000_000, 64)] {
        let (workspace, database) = (Workspace::new(), postgres::database());
        database.sql(&format!(
            "CREATE TABLE a (id int8 PRIMARY KEY, note text);
             INSERT INTO a SELECT i, 'note ' || i FROM generate_series({ids}) i; INSERT INTO a VALUES (-9, 'low'), ({far}, 'far');
             CREATE TABLE p (LIKE a INCLUDING ALL); INSERT INTO p TABLE a; UPDATE p SET note = 'changed' WHERE id = -9;"
        ));
        let source = |name: &str, pushdown: &str| {
            let url = database.url();
            format!("[source.{name}]\nlocation = \"{url}\"\ntable = \"{name}\"\npushdown = \"{pushdown}\"\n")
        };
        let write = |pushdown: &str| {
            let sources = [source("a", pushdown), source("p", pushdown)].concat();
            let contract = "version = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n";
            format!("version = 1\n{sources}[contract.c]\n{contract}")
        };
        let checksums = held(&workspace, write, segment_rows, &format!("{ids} and {far}"));
        assert!(checksums.used, "{ids} and {far}: {}", checksums.because);
    }
}
