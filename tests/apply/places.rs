//! The same two tables in every system: parents with a unique code, children that refer to them, and a count of every write.

use std::path::Path;

use super::{FAMILY, family_plan};
use crate::servers::{mariadb, postgres};

/// A database of a system.
pub(super) enum Place<'a> {
    /// A file in this folder.
    Sqlite(&'a Path),
    Postgres(&'a postgres::Database),
    Mariadb(&'a mariadb::Database),
}

const POSTGRES: &str = "
    DROP TABLE IF EXISTS child, parent, writes;
    CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE, note text NOT NULL DEFAULT '-', loud text GENERATED ALWAYS AS (upper(code)) STORED);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent (id), bytes bytea, amount float8);
    CREATE TABLE writes (what text);
    CREATE OR REPLACE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO writes VALUES (concat(TG_TABLE_NAME, TG_OP, CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END)); RETURN NULL; END $$;
    CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON parent FOR EACH ROW EXECUTE FUNCTION told();
    CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION told();
    INSERT INTO parent (id, code, note) VALUES (1, 'a', 'x'), (2, 'b', 'it''s ''; drop table parent; --'), (9, 'gone', 'z');
    INSERT INTO child VALUES (1, 1, '\\x00ff', 0.1), (2, 9, NULL, 'Infinity');
    TRUNCATE writes;
";

const MARIADB: &str = "
    SET sql_mode = 'STRICT_ALL_TABLES';
    DROP TABLE IF EXISTS child, parent, writes;
    CREATE TABLE parent (id int PRIMARY KEY, code varchar(50) UNIQUE, note longtext NOT NULL DEFAULT '-', loud varchar(50) AS (upper(code)) STORED);
    CREATE TABLE child (id int PRIMARY KEY, parent int, bytes longblob, amount double, FOREIGN KEY (parent) REFERENCES parent (id));
    CREATE TABLE writes (what text);
    INSERT INTO parent (id, code, note) VALUES (1, 'a', 'x'), (2, 'b', 'it''s ''; drop table parent; --'), (9, 'gone', 'z');
    INSERT INTO child VALUES (1, 1, x'00ff', 0.1), (2, 9, NULL, 2.5);
    CREATE TRIGGER t1 AFTER INSERT ON parent FOR EACH ROW INSERT INTO writes VALUES (CONCAT('p+', NEW.id));
    CREATE TRIGGER t2 AFTER UPDATE ON parent FOR EACH ROW INSERT INTO writes VALUES (CONCAT('p~', NEW.id));
    CREATE TRIGGER t3 AFTER DELETE ON parent FOR EACH ROW INSERT INTO writes VALUES (CONCAT('p-', OLD.id));
    CREATE TRIGGER t4 AFTER INSERT ON child FOR EACH ROW INSERT INTO writes VALUES (CONCAT('c+', NEW.id));
    CREATE TRIGGER t5 AFTER UPDATE ON child FOR EACH ROW INSERT INTO writes VALUES (CONCAT('c~', NEW.id));
    CREATE TRIGGER t6 AFTER DELETE ON child FOR EACH ROW INSERT INTO writes VALUES (CONCAT('c-', OLD.id));
";

const MOST: &str =
    "SELECT coalesce(max(times), 0) FROM (SELECT count(*) AS times FROM writes GROUP BY what) AS counted";

/// The first actions of the family's plan, with values that the database of a location can hold.
pub(super) fn plan_at(location: &str, actions: usize) -> Vec<String> {
    let fitting = |line: String| match location.split_once(':').map(|(system, _)| system) {
        Some("postgres") => line.replace("\\u0000", ""),
        Some("mysql") => line.replace("\"Infinity\"", "\"2.5\""),
        _ => line,
    };
    family_plan().into_iter().take(actions).map(fitting).collect()
}

impl Place<'_> {
    /// As contracts write it.
    pub(super) fn location(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.join("family.db").display()),
            Self::Postgres(database) => database.url(),
            Self::Mariadb(database) => database.url(),
        }
    }

    /// Makes the tables as they were at first.
    pub(super) fn reset(&self) {
        match self {
            Self::Sqlite(folder) => {
                let file = folder.join("family.db");
                if file.exists() {
                    std::fs::remove_file(&file).unwrap();
                }
                rusqlite::Connection::open(&file).unwrap().execute_batch(FAMILY).unwrap();
            }
            Self::Postgres(database) => _ = database.sql(POSTGRES),
            Self::Mariadb(database) => _ = database.sql(MARIADB),
        }
    }

    /// Every row, to the byte.
    pub(super) fn dump(&self) -> String {
        let (parent, child) = match self {
            Self::Sqlite(_) => (
                "hex(code) || '|' || hex(note) || '|' || hex(loud)",
                "coalesce(parent, '') || '|' || coalesce(hex(bytes), '-') || '|' || quote(amount)",
            ),
            Self::Postgres(_) => ("parent::text", "child::text"),
            Self::Mariadb(_) => (
                "CONCAT_WS('|', HEX(code), HEX(note), HEX(loud))",
                "CONCAT_WS('|', IFNULL(parent, '-'), IFNULL(HEX(bytes), '-'), IFNULL(amount, '-'))",
            ),
        };
        ["parent", "child"]
            .map(|table| {
                let list = if table == "parent" { parent } else { child };
                self.ask(&format!("SELECT id, {list} FROM {table} ORDER BY id"))
            })
            .join("\n--\n")
    }

    /// How often the row was written that was written most often.
    pub(super) fn most_writes(&self) -> String {
        self.ask(MOST)
    }

    /// What a statement answers, as text.
    pub(super) fn ask(&self, sql: &str) -> String {
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.join("family.db")).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let columns = statement.column_count();
                let row = |row: &rusqlite::Row<'_>| {
                    let cells = (0..columns).map(|index| row.get::<_, rusqlite::types::Value>(index));
                    Ok(cells
                        .map(|cell| match cell.unwrap() {
                            rusqlite::types::Value::Integer(value) => value.to_string(),
                            rusqlite::types::Value::Text(text) => text,
                            other => format!("{other:?}"),
                        })
                        .collect::<Vec<_>>()
                        .join("|"))
                };
                statement.query_map([], row).unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
            }
            Self::Postgres(database) => database.sql(sql),
            Self::Mariadb(database) => database.sql(sql),
        }
    }
}
