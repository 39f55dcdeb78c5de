//! Every pair of systems, both ways round, on one table of types: where the tables are equal they agree, and of two that
//! differ in one value of each column every difference is found, and nothing else.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use rusqlite::Connection;

use crate::servers::{mariadb, postgres};
use crate::support::{Workspace, contract, counts, write_parquet};

/// A column: its name, its types in PostgreSQL, MariaDB and SQLite, the contract's type where one is needed, the values of the rows
/// (None: NULL) and one that differs from the first.
struct Column {
    name: &'static str,
    declared: [&'static str; 3],
    logical: Option<&'static str>,
    values: [Option<&'static str>; 4],
    other: &'static str,
}

const COLUMNS: [Column; 12] = [
    Column {
        name: "small",
        declared: ["smallint", "smallint", "SMALLINT"],
        logical: None,
        values: [Some("7"), Some("-32768"), Some("32767"), None],
        other: "8",
    },
    Column {
        name: "large",
        declared: ["bigint", "bigint", "BIGINT"],
        logical: None,
        values: [Some("9007199254740993"), Some("-9223372036854775808"), Some("9223372036854775807"), None],
        other: "9007199254740992",
    },
    Column {
        name: "price",
        declared: ["numeric(14, 4)", "decimal(14, 4)", "DECIMAL(14, 4)"],
        logical: None,
        values: [Some("12.3400"), Some("-9999999999.9999"), Some("0.0001"), None],
        other: "12.3401",
    },
    Column {
        name: "ratio",
        declared: ["double precision", "double", "DOUBLE"],
        logical: None,
        values: [Some("0.1"), Some("-1.7976931348623157e308"), Some("5e-324"), None],
        other: "0.10000000000000002",
    },
    Column {
        name: "flag",
        declared: ["boolean", "boolean", "BOOLEAN"],
        logical: Some("boolean"),
        values: [Some("true"), Some("false"), Some("true"), None],
        other: "false",
    },
    Column {
        name: "name",
        declared: ["text", "longtext", "TEXT"],
        logical: None,
        values: [Some("Ünï's \"shop\"; drop table t; --"), Some(""), Some("日本語 😀 e\u{301} \\ \\n"), None],
        other: "ünï's \"shop\"; drop table t; --",
    },
    Column {
        name: "code",
        declared: ["varchar(10)", "varchar(10)", "VARCHAR(10)"],
        logical: None,
        values: [Some("007"), Some(" x "), Some("NULL"), None],
        other: "7",
    },
    Column {
        name: "day",
        declared: ["date", "date", "DATE"],
        logical: None,
        values: [Some("2024-02-29"), Some("0001-01-01"), Some("9999-12-31"), None],
        other: "2024-02-28",
    },
    Column {
        name: "clock",
        declared: ["time(6)", "time(6)", "TIME"],
        logical: Some("time"),
        values: [Some("12:30:00"), Some("00:00:00"), Some("23:59:59.999999"), None],
        other: "12:30:00.000001",
    },
    Column {
        name: "local",
        declared: ["timestamp(6)", "datetime(6)", "DATETIME"],
        logical: Some("timestamp"),
        values: [
            Some("2024-03-31 02:30:00"),
            Some("1900-01-01 00:00:00.000001"),
            Some("9999-12-31 23:59:59.999999"),
            None,
        ],
        other: "2024-03-31 02:30:00.000001",
    },
    Column {
        name: "instant",
        declared: ["timestamptz(6)", "timestamp(6) null", "TEXT"],
        logical: Some("timestamptz"),
        values: [Some("2024-07-01 00:00:00.5Z"), Some("1970-01-02 00:00:00Z"), Some("2038-01-19 03:14:07Z"), None],
        other: "2024-07-01 00:00:00.500001Z",
    },
    Column {
        name: "raw",
        declared: ["bytea", "varbinary(100)", "BLOB"],
        logical: Some("binary"),
        values: [Some("00ff27225c"), Some(""), Some("deadbeef"), None],
        other: "00ff27225d",
    },
];

/// Rows beyond those of the values: one for each column to differ in.
const ROWS: usize = COLUMNS.len() + 4;

/// The value of a column in a row; `differs`: in the table that differs once in each column.
fn value(column: usize, row: usize, differs: bool) -> Option<&'static str> {
    let values = COLUMNS[column].values;
    match row.checked_sub(COLUMNS.len()) {
        Some(base) => values[base],
        None if differs && row == column => Some(COLUMNS[column].other),
        None => values[0],
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Postgres,
    Mariadb,
    Sqlite,
    Parquet,
    Csv,
    Ndjson,
}

const SYSTEMS: [System; 6] =
    [System::Postgres, System::Mariadb, System::Sqlite, System::Parquet, System::Csv, System::Ndjson];

/// A value in SQL.
fn literal(system: System, column: &Column, value: Option<&str>) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    let quoted = format!("'{}'", value.replace('\'', "''"));
    match (column.name, system) {
        ("raw", System::Postgres) => format!("'\\x{value}'"),
        ("raw", _) => format!("x'{value}'"),
        ("small" | "large" | "price" | "ratio" | "flag", _) => value.to_owned(),
        // Its session is in UTC.
        ("instant", System::Mariadb) => quoted.replace('Z', ""),
        (_, System::Mariadb) => quoted.replace('\\', "\\\\"),
        _ => quoted,
    }
}

/// The statements that make a table.
fn statements(system: System, table: &str, differs: bool) -> String {
    let place = SYSTEMS.iter().position(|other| *other == system).unwrap();
    let columns: Vec<String> =
        COLUMNS.iter().map(|column| format!("{} {}", column.name, column.declared[place])).collect();
    let mut sql = format!("CREATE TABLE {table} (id bigint PRIMARY KEY, {});\n", columns.join(", "));
    for row in 0..ROWS {
        let values: Vec<String> = COLUMNS
            .iter()
            .enumerate()
            .map(|(index, column)| literal(system, column, value(index, row, differs)))
            .collect();
        writeln!(sql, "INSERT INTO {table} VALUES ({row}, {});", values.join(", ")).unwrap();
    }
    sql
}

fn csv(differs: bool) -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    let mut text = format!("id,{}\n", names.join(","));
    for row in 0..ROWS {
        let quoted = |value: &str| format!("\"{}\"", value.replace('"', "\"\""));
        let values: Vec<String> =
            (0..COLUMNS.len()).map(|column| value(column, row, differs).map(quoted).unwrap_or_default()).collect();
        writeln!(text, "{row},{}", values.join(",")).unwrap();
    }
    text
}

fn ndjson(differs: bool) -> String {
    let mut text = String::new();
    for row in 0..ROWS {
        let members = COLUMNS.iter().enumerate().map(|(index, column)| {
            let written = match (column.name, value(index, row, differs)) {
                (_, None) => "null".to_owned(),
                ("small" | "large" | "price" | "ratio" | "flag", Some(value)) => value.to_owned(),
                (_, Some(value)) => serde_json::Value::from(value).to_string(),
            };
            format!(",\"{}\":{written}", column.name)
        });
        writeln!(text, "{{\"id\":{row}{}}}", members.collect::<String>()).unwrap();
    }
    text
}

fn parquet(path: &std::path::Path, differs: bool) {
    let typed = |index: usize, column: &Column| -> ArrayRef {
        let texts: StringArray = (0..ROWS).map(|row| value(index, row, differs)).collect();
        let bytes = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let to = match column.name {
            "small" => DataType::Int16,
            "large" => DataType::Int64,
            "price" => DataType::Decimal128(14, 4),
            "ratio" => DataType::Float64,
            "flag" => DataType::Boolean,
            "day" => DataType::Date32,
            "clock" => DataType::Time64(TimeUnit::Microsecond),
            "local" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "instant" => DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())),
            "raw" => {
                let values: Vec<Option<Vec<u8>>> = texts.iter().map(|text| text.map(bytes)).collect();
                return Arc::new(BinaryArray::from_iter(values));
            }
            _ => return Arc::new(texts),
        };
        let made = cast(&texts, &to).unwrap();
        assert_eq!(made.null_count(), texts.null_count(), "{}", column.name);
        made
    };
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(0..i64::try_from(ROWS).unwrap()));
    let columns = COLUMNS.iter().enumerate().map(|(index, column)| (column.name, typed(index, column)));
    write_parquet(path, std::iter::once(("id", ids)).chain(columns).collect(), 5);
}

/// Makes both tables in a system, and says where they are.
fn sources(workspace: &Workspace, servers: &(postgres::Database, mariadb::Database), system: System) -> String {
    let mut text = String::new();
    for (name, differs) in [("t", false), ("u", true)] {
        let file = |extension: &str| format!("{name}.{extension}");
        let sql = || statements(system, name, differs);
        let location = match system {
            System::Postgres => {
                servers.0.sql(&sql());
                servers.0.url()
            }
            System::Mariadb => {
                servers.1.sql(&format!("SET time_zone = '+00:00';\n{}", sql()));
                servers.1.url()
            }
            System::Sqlite => {
                Connection::open(workspace.path().join("pairs.db")).unwrap().execute_batch(&sql()).unwrap();
                "sqlite:pairs.db".to_owned()
            }
            System::Parquet => {
                parquet(&workspace.path().join(file("parquet")), differs);
                file("parquet")
            }
            System::Csv => {
                workspace.file(&file("csv"), &csv(differs));
                file("csv")
            }
            System::Ndjson => {
                workspace.file(&file("ndjson"), &ndjson(differs));
                file("ndjson")
            }
        };
        writeln!(text, "[source.{system:?}-{name}]\nlocation = \"{location}\"").unwrap();
        if matches!(system, System::Postgres | System::Mariadb | System::Sqlite) {
            writeln!(text, "table = \"{name}\"").unwrap();
        }
    }
    text
}

#[test]
fn every_pair_of_systems_agrees_where_equal_and_finds_one_difference_in_each_column() {
    let workspace = Workspace::new();
    let servers = (postgres::database(), mariadb::database());
    let mut file = "version = 1\n".to_owned();
    for system in SYSTEMS {
        file.push_str(&sources(&workspace, &servers, system));
    }
    for authority in SYSTEMS {
        for projection in SYSTEMS {
            for table in ["t", "u"] {
                let name = format!("{authority:?}-{projection:?}-{table}");
                writeln!(
                    file,
                    "[contract.{name}]\nversion = \"1.0.0\"\nauthority = \"{authority:?}-t\"\nprojection = \
                     \"{projection:?}-{table}\"\nkey = [\"id\"]"
                )
                .unwrap();
                for column in &COLUMNS {
                    if let Some(logical) = column.logical {
                        writeln!(file, "attribute.{}.type = \"{logical}\"", column.name).unwrap();
                    }
                }
            }
        }
    }
    workspace.file("reconcile.toml", &file);
    let outcome = workspace.reconcile(["run", "--format", "json", "--no-plan"]);
    outcome.expect(1, &[]);
    let summary = serde_json::from_str(&outcome.stdout).unwrap();
    for authority in SYSTEMS {
        for projection in SYSTEMS {
            let of = |table: &str| contract(&summary, &format!("{authority:?}-{projection:?}-{table}"));
            let equal = of("t");
            assert_eq!(equal["verdict"], "agreed", "{equal:#}");
            assert_eq!(equal["rows"]["matched"], ROWS, "{equal:#}");
            let other = of("u");
            let once = COLUMNS.iter().map(|column| (column.name.to_owned(), 1)).collect();
            assert_eq!(counts(&other["attributes"]), once, "{other:#}");
            let mismatches = [("mismatch".to_owned(), COLUMNS.len() as u64)].into();
            assert_eq!(counts(&other["divergences"]), mismatches, "{other:#}");
        }
    }
}
