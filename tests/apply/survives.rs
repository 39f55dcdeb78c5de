//! Whatever the bytes of a value, what is written is what is read again, and what is undone is what was there: random values, in
//! tables whose names would be SQL, on servers and in sessions whose settings are as hostile as they can be.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reconcile::apply::Quietly;
use serde_json::json;

use super::places::Place;
use super::{Stage, outcomes};
use crate::servers::{mariadb, postgres};

/// The characters that mean something to somebody, and all others.
fn text() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(
        "'\\\"`$;%?\0\n\r\t\u{8}\u{1a}\u{1f980}-/*_:@{}é\u{e000}\u{feff}nN0xEu& ".chars().collect::<Vec<_>>(),
    );
    proptest::collection::vec(prop_oneof![3 => special, 1 => any::<char>()], 0..40).prop_map(String::from_iter)
}

/// A row of the table: a text or NULL, bytes, a text within JSON.
#[derive(Clone, Debug)]
struct Row {
    text: Option<String>,
    bytes: Vec<u8>,
    json: String,
}

fn row() -> impl Strategy<Value = Row> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..60);
    (proptest::option::weighted(0.9, text()), bytes, text()).prop_map(|(text, bytes, json)| Row { text, bytes, json })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Names of columns that would be SQL if they were not quoted.
const NAMES: [&str; 3] = ["t\\'\"`; drop table v; --", "b$1 ?", "j%s\\"];

/// A table in a system, and how its rows are read: the key, then each value in hex.
struct Values<'a> {
    place: Place<'a>,
    table: &'a str,
    read: &'a dyn Fn() -> String,
    /// Texts cannot hold this character.
    never: Option<char>,
}

impl Values<'_> {
    fn members(&self, id: usize, row: &Row) -> serde_json::Value {
        let clean = |text: &str| text.chars().filter(|one| Some(*one) != self.never).collect::<String>();
        json!({
            "id": id,
            NAMES[0]: row.text.as_deref().map(clean),
            NAMES[1]: hex(&row.bytes),
            NAMES[2]: json!([clean(&row.json)]).to_string(),
        })
    }

    /// What `select` must answer.
    fn expected(&self, rows: &[Row]) -> String {
        let line = |(id, row): (usize, &Row)| {
            let members = self.members(id, row);
            let cell = |name: &str| members[name].as_str().map_or_else(|| "-".to_owned(), |text| hex(text.as_bytes()));
            format!("{id},{},{},{}", cell(NAMES[0]), hex(&row.bytes), cell(NAMES[2]))
        };
        rows.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    fn plan(&self, rows: &[Row], before: Option<&[Row]>) -> Vec<String> {
        let action = |(id, row): (usize, &Row)| {
            let without_key = |mut members: serde_json::Value| {
                members.as_object_mut().unwrap().remove("id");
                members
            };
            let seen = before.map(|rows| without_key(self.members(id, &rows[id])));
            let op = if before.is_some() { "update" } else { "insert" };
            let wanted = self.members(id, row);
            let wanted = if before.is_some() { without_key(wanted) } else { wanted };
            json!({
                "action_id": format!("{op}-{id}"), "contract": "v", "kind": "mismatch", "op": op, "key": { "id": id },
                "before": seen, "after": wanted, "guard": null, "safety": "safe", "reason": "r",
            })
            .to_string()
        };
        rows.iter().enumerate().map(action).collect()
    }

    fn stage(&self, folder: &tempfile::TempDir, plan: &[String]) -> Stage {
        Stage::of(folder.path(), &self.place.location(), &[("v", self.table)], plan)
    }

    /// Adds rows, changes all of them, and undoes both.
    fn survive(&self, first: &[Row], second: &[Row]) {
        let folder = tempfile::tempdir().unwrap();
        let added = self.stage(&folder, &self.plan(first, None));
        let told = added.apply("A1", &Quietly);
        assert!(outcomes(&told).iter().all(|said| *said == "done"), "{:?}", outcomes(&told));
        assert_eq!((self.read)(), self.expected(first));
        let changed = self.stage(&folder, &self.plan(second, Some(first)));
        let told = changed.apply("A2", &Quietly);
        assert!(outcomes(&told).iter().all(|said| ["done", "already"].contains(said)), "{:?}", outcomes(&told));
        assert_eq!((self.read)(), self.expected(second));
        changed.undo("A2", "A3", &Quietly);
        assert_eq!((self.read)(), self.expected(first), "undone to the byte");
        added.undo("A1", "A4", &Quietly);
        assert_eq!((self.read)(), "");
    }

    fn random(&self) {
        let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
        let rows = proptest::collection::vec((row(), row()), 1..30);
        TestRunner::new(config)
            .run(&rows, |pairs| {
                let (first, second): (Vec<Row>, Vec<Row>) = pairs.into_iter().unzip();
                self.survive(&first, &second);
                Ok(())
            })
            .unwrap();
        let long = Row {
            text: Some("'\\\"\n\0\u{1f980}; drop".repeat(90_000)),
            bytes: [0, 255, 39, 92].repeat(100_000),
            json: "\\'\"".repeat(100_000),
        };
        let short = Row { text: None, bytes: Vec::new(), json: String::new() };
        self.survive(&[long.clone(), short.clone()], &[short, long]);
    }
}

#[test]
fn values_survive_in_postgres_whatever_its_settings() {
    let database = postgres::database();
    let name = database.name();
    for setting in [
        "standard_conforming_strings = off",
        "backslash_quote = off",
        "escape_string_warning = on",
        "client_encoding = 'LATIN1'",
        "bytea_output = 'escape'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "DateStyle = 'SQL, DMY'",
        "extra_float_digits = -10",
        "quote_all_identifiers = on",
        "synchronous_commit = off",
    ] {
        database.sql(&format!("ALTER DATABASE {name} SET {setting}"));
    }
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let [text, bytes, json] = NAMES.map(quoted);
    database.sql(&format!("CREATE TABLE \"v'; drop\" (id int PRIMARY KEY, {text} text, {bytes} bytea, {json} json)"));
    let select = format!(
        "SELECT id || ',' || coalesce(upper(encode(convert_to({text}, 'UTF8'), 'hex')), '-') || ',' || upper(encode({bytes}, 'hex')) \
         || ',' || upper(encode(convert_to({json}::text, 'UTF8'), 'hex')) FROM \"v'; drop\" ORDER BY id"
    );
    let (place, read) = (Place::Postgres(&database), || database.sql(&select));
    Values { place, table: "\"v'; drop\"", read: &read, never: Some('\0') }.random();
}

#[test]
fn values_survive_in_mariadb_whatever_its_settings() {
    let server = mariadb::Server::start();
    let database = server.database();
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let [text, bytes, json] = NAMES.map(quoted);
    database.sql(&format!(
        "CREATE TABLE `v'; drop` (id int PRIMARY KEY, {text} longtext, {bytes} longblob, {json} json) CHARACTER SET utf8mb4 \
         COLLATE utf8mb4_general_ci; \
         SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,IGNORE_SPACE,ORACLE'; \
         SET GLOBAL autocommit = 0; SET GLOBAL character_set_connection = latin1; SET GLOBAL character_set_client = latin1; \
         SET GLOBAL character_set_results = latin1; SET GLOBAL sql_safe_updates = 1; SET GLOBAL sql_auto_is_null = 1; \
         SET GLOBAL foreign_key_checks = 0; SET GLOBAL tx_isolation = 'SERIALIZABLE'; SET GLOBAL sql_select_limit = 1"
    ));
    let select = format!(
        "SET sql_select_limit = 18446744073709551615; SELECT concat_ws(',', id, coalesce(hex({text}), '-'), hex({bytes}), hex({json})) FROM `v'; drop` ORDER BY id"
    );
    let (place, read) = (Place::Mariadb(&database), || database.sql(&select));
    Values { place, table: "`v'; drop`", read: &read, never: None }.random();
}

#[test]
fn values_survive_in_sqlite_whatever_its_encoding() {
    for encoding in ["UTF-8", "UTF-16le", "UTF-16be"] {
        let folder = tempfile::tempdir().unwrap();
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let [text, bytes, json] = NAMES.map(quoted);
        rusqlite::Connection::open(folder.path().join("family.db"))
            .unwrap()
            .execute_batch(&format!(
                "PRAGMA encoding = '{encoding}'; CREATE TABLE \"v'; drop\" (id INTEGER PRIMARY KEY, {text} TEXT, {bytes} BLOB, {json} TEXT)"
            ))
            .unwrap();
        // Read as characters, because the bytes of a text are those of the encoding.
        let select = format!("SELECT id, {text}, {bytes}, {json} FROM \"v'; drop\" ORDER BY id");
        let read = || {
            let connection = rusqlite::Connection::open(folder.path().join("family.db")).unwrap();
            let mut statement = connection.prepare(&select).unwrap();
            let line = |row: &rusqlite::Row<'_>| {
                let text = row.get::<_, Option<String>>(1)?.map_or_else(|| "-".to_owned(), |text| hex(text.as_bytes()));
                let (bytes, json) = (row.get::<_, Vec<u8>>(2)?, row.get::<_, String>(3)?);
                Ok(format!("{},{text},{},{}", row.get::<_, i64>(0)?, hex(&bytes), hex(json.as_bytes())))
            };
            statement.query_map([], line).unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
        };
        let place = Place::Sqlite(folder.path());
        let values = Values { place, table: "\"v'; drop\"", read: &read, never: None };
        assert_eq!(values.place.ask("PRAGMA encoding"), encoding);
        values.random();
    }
}
