//! What a SQLite file holds, read as it stands, always the same.

use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::contract::{Limits, Location, Secret, System};
use crate::notation::{Notation, notation, unmapped_type};
use crate::source::{Piece, Unreadable};

/// A database in a folder that goes with it.
struct Desk {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Desk {
    fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let desk = Self { _folder: folder, path };
        desk.write(sql).unwrap();
        desk
    }

    fn write(&self, sql: &str) -> rusqlite::Result<()> {
        let connection = Connection::open(&self.path)?;
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
        connection.execute_batch(sql)
    }

    fn open(&self, rows: Rows, set: impl FnOnce(&mut Source, &mut Database)) -> Result<Opened, Error> {
        let mut source = crate::source::tests::source(Path::new(""));
        let mut database = Database {
            system: System::Sqlite,
            url: Secret::new(self.path.to_string_lossy()),
            shown: "sqlite:shop.db".to_owned(),
            rows,
            password_file: None,
            limits: Limits::default(),
        };
        set(&mut source, &mut database);
        source.location = Location::Database(Box::new(database.clone()));
        open(&source, &database, &OpenOptions::default())
    }

    fn table(&self, name: &str) -> Result<Opened, Error> {
        self.open(Rows::Table(name.to_owned()), |_, _| {})
    }

    fn query(&self, query: &str) -> Result<Opened, Error> {
        self.open(Rows::Query(query.to_owned()), |_, _| {})
    }
}

/// All rows of some columns, and what could not be read.
fn read(opened: &Opened, columns: &[usize]) -> (RecordBatch, Vec<Unreadable>) {
    let (mut batches, mut unreadable) = (Vec::new(), Vec::new());
    for unit in &opened.units {
        for piece in unit.read(columns).unwrap() {
            match piece.unwrap() {
                Piece::Rows(batch) => batches.push(batch),
                Piece::Unreadable(range) => unreadable.push(range),
            }
        }
    }
    let schema = Arc::new(opened.schema.project(columns).unwrap());
    (concat_batches(&schema, &batches).unwrap(), unreadable)
}

/// The rows as texts, `-` for NULL.
fn texts(opened: &Opened) -> Vec<Vec<String>> {
    let all: Vec<usize> = (0..opened.schema.fields().len()).collect();
    let (batch, unreadable) = read(opened, &all);
    assert_eq!(unreadable, []);
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

fn refusal(result: Result<Opened, Error>) -> String {
    let error = result.err().expect("it opens");
    format!("{error}; {}", error.hint.clone().unwrap_or_default())
}

#[test]
fn every_storage_class_is_read_as_it_stands() {
    let desk = Desk::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, price DECIMAL(12,2), is_open BOOLEAN, day DATE, raw BLOB, rate REAL, free, empty TEXT);
         INSERT INTO t VALUES (1, 3.00, 1, '2024-02-29', x'00ff', 0.1, NULL, NULL), (9223372036854775807, 12.34, 0, 'soon', x'', 1e300, NULL, NULL),
           (-9223372036854775808, 9007199254740993, NULL, '', NULL, 3, NULL, NULL);",
    );
    let opened = desk.table("t").unwrap();
    let rows = [
        ["-9223372036854775808", "9007199254740993", "-", "", "-", "3.0", "-", "-"],
        ["1", "3", "true", "2024-02-29", "00ff", "0.1", "-", "-"],
        ["9223372036854775807", "12.34", "false", "soon", "", "1e300", "-", "-"],
    ];
    assert_eq!(texts(&opened), rows);
    let types: Vec<&DataType> = opened.schema.fields().iter().map(|field| field.data_type()).collect();
    let (text, null) = (&DataType::Utf8, &DataType::Null);
    let expected =
        [&DataType::Int64, text, &DataType::Boolean, text, &DataType::Binary, &DataType::Float64, null, null];
    assert_eq!(types, expected);
    assert_eq!(notation(opened.schema.field(1)), Some(Notation::Number));
    let snapshot = opened.snapshot.unwrap();
    assert!(snapshot.described.starts_with("SQLite 3."), "{}", snapshot.described);
}

#[test]
fn mixed_classes_lose_no_value() {
    let desk = Desk::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, amount INTEGER, anything);
         INSERT INTO t VALUES (1, 5, 5), (2, 'n/a', '5'), (3, 2.5, x'35');",
    );
    let opened = desk.table("t").unwrap();
    assert_eq!(texts(&opened), [["1", "5", "5"], ["2", "n/a", "5"], ["3", "2.5", "35"]]);
    assert_eq!(notation(opened.schema.field(1)), Some(Notation::Number));
    assert_eq!(unmapped_type(opened.schema.field(2)), Some("mixed integer and text and blob values"));
}

#[test]
fn views_queries_filters_and_tables_without_rowid_are_read_alike() {
    let desk = Desk::new(
        "CREATE TABLE \"odd \"\" name.x\" (k TEXT, n INTEGER, d GENERATED ALWAYS AS (n * 2) VIRTUAL, s AS (n + 1) STORED, PRIMARY KEY (k, n)) WITHOUT ROWID;
         INSERT INTO \"odd \"\" name.x\" VALUES ('b', 2), ('a', 1), ('A', 1);
         CREATE VIEW v AS SELECT k, n FROM \"odd \"\" name.x\" UNION ALL SELECT 7, '007';
         CREATE TABLE hidden (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO hidden VALUES ('x', 'y', 'z');
         CREATE TABLE empty (a INTEGER);",
    );
    let own = desk.table("\"odd \"\" name.x\"").unwrap();
    assert_eq!(texts(&own), [["A", "1", "2", "2"], ["a", "1", "2", "2"], ["b", "2", "4", "3"]]);
    // What a column with a declared type would have converted is as it was.
    let view = desk.table("v").unwrap();
    assert_eq!(texts(&view), [["A", "1"], ["a", "1"], ["b", "2"], ["7", "007"]]);
    assert_eq!(texts(&desk.table("main.hidden").unwrap()), [["x", "y", "z"]]);
    let query = desk.query("SELECT k AS key, n FROM \"odd \"\" name.x\" WHERE n = 1 ORDER BY k DESC; ").unwrap();
    assert_eq!(texts(&query), [["a", "1"], ["A", "1"]]);
    let with_comment = desk.query("SELECT 1 AS id -- and no more").unwrap();
    assert_eq!(texts(&with_comment), [["1"]]);
    let filtered =
        desk.open(Rows::Table("v".to_owned()), |source, _| source.filter = Some("n = '007' -- only".to_owned()));
    assert_eq!(texts(&filtered.unwrap()), [["7", "007"]]);
    let empty = desk.table("empty").unwrap();
    assert_eq!((texts(&empty).len(), empty.units.len()), (0, 0));
    assert_eq!(empty.warnings, ["sqlite:shop.db: has no rows"]);
}

#[test]
fn a_unit_is_the_same_whenever_it_is_read_whatever_others_write() {
    for journal in ["WAL", "DELETE"] {
        let desk = Desk::new(&format!(
            "PRAGMA journal_mode = {journal}; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
             INSERT INTO t SELECT i * 3, 'value ' || i FROM n;",
        ));
        let opened = desk.table("t").unwrap();
        assert_eq!(opened.units.len(), 3, "150000 rows are three units");
        let (first, _) = read(&opened, &[0, 1]);
        let connection = Connection::open(&desk.path).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        let written = connection
            .execute_batch("DELETE FROM t WHERE id % 2 = 0; UPDATE t SET v = 'other'; INSERT INTO t VALUES (1, 'new')");
        assert_eq!(written.is_ok(), journal == "WAL", "without WAL the writer waits for the reader: {written:?}");
        let (again, _) = read(&opened, &[0, 1]);
        assert_eq!(first, again);
        assert_eq!(first.num_rows(), 150_000);
        let (only, _) = read(&opened, &[1]);
        assert_eq!(only.num_rows(), 150_000);
        let (none, _) = read(&opened, &[]);
        assert_eq!((none.num_columns(), none.num_rows()), (0, 150_000));
        let rows: u64 = opened.units.iter().map(|unit| unit.rows().unwrap()).sum();
        assert_eq!(rows, 150_000);
        assert!(first.column(0).as_primitive::<Int64Type>().values().windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn text_that_is_none_is_unreadable_and_the_rows_around_it_are_read() {
    let desk = Desk::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         INSERT INTO t VALUES (1, 'a'), (2, CAST(x'ff' AS TEXT)), (3, 'c' || char(0) || 'd'), (9223372036854775807, 'e');",
    );
    let opened = desk.table("t").unwrap();
    let (batch, unreadable) = read(&opened, &[0, 1]);
    assert_eq!(batch.column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "c\0d", "e"]);
    let [one] = &unreadable[..] else { panic!("{unreadable:?}") };
    assert_eq!((one.rows, one.place.as_str()), (1, "sqlite:shop.db, row 2"));
    assert!(one.problem.contains("column `v` holds text that is no UTF-8"), "{}", one.problem);
    // Columns that can be read are.
    assert_eq!(read(&opened, &[0]).0.num_rows(), 4);
}

#[test]
fn what_cannot_be_opened_is_said_with_what_to_do() {
    let desk = Desk::new("CREATE TABLE orders (id INTEGER PRIMARY KEY); CREATE TABLE \"no one\" (a);");
    let missing = refusal(desk.table("order"));
    assert!(missing.contains("has no table `order`; tables are: no one, orders"), "{missing}");
    let schema = refusal(desk.table("other.orders"));
    assert!(schema.contains("has a schema, expected a name alone"), "{schema}");
    let wrong = refusal(desk.query("SELECT \"misspelt\" FROM orders"));
    assert!(wrong.contains("no such column: \"misspelt\""), "{wrong}");
    let filter =
        desk.open(Rows::Table("orders".to_owned()), |source, _| source.filter = Some("\"misspelt\" = 1".to_owned()));
    assert!(refusal(filter).contains("no such column"));
    for no_query in ["DELETE FROM orders", "PRAGMA journal_mode = WAL", "SELECT 1; DROP TABLE orders"] {
        let said = refusal(desk.query(no_query));
        assert!(said.contains("no query") || said.contains("syntax error") || said.contains("Multiple"), "{said}");
    }
    assert!(refusal(desk.query("SELECT id, id FROM orders")).contains("two columns named `id`"));
    std::fs::write(&desk.path, "id,name\n1,Anna\nthis is a text file of some length\n".repeat(40)).unwrap();
    assert!(refusal(desk.table("orders")).contains("is no SQLite database"));
    std::fs::remove_file(&desk.path).unwrap();
    assert!(refusal(desk.table("orders")).contains("No such file"));
    assert!(!desk.path.exists(), "a database that is not there is not made");
}

#[test]
fn what_takes_too_long_is_stopped() {
    let desk = Desk::new("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    for set in [
        |limits: &mut Limits| limits.statement_timeout = Some(crate::contract::Span(50_000_000)),
        |limits: &mut Limits| limits.max_duration = Some(crate::contract::Span(50_000_000)),
    ] {
        let opened = desk.open(Rows::Query(endless.to_owned()), |_, database| set(&mut database.limits));
        let said = refusal(opened);
        assert!(said.contains("took longer than is allowed"), "{said}");
    }
}
