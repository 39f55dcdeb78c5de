//! Repairs of MariaDB tables, on a real server.

use crate::servers::mariadb::{Database, database};
use crate::support::Workspace;

/// A table with most types, whose name and columns would be SQL if they were not quoted.
const TYPES: &str = "CREATE TABLE `NAME'; drop table x; --` (
    id bigint PRIMARY KEY, `na``me; drop` longtext, n decimal(30, 10), f4 float, f8 double, b longblob, yes tinyint(1), d date,
    ts datetime(6), tz timestamp(6) NULL, tm time(6), j json, u uuid, c char(5), v varchar(20) CHARACTER SET latin1, m enum('it''s', 'b'),
    s set('x', 'y'), bits bit(10), y year, big bigint unsigned, must text NOT NULL, auto text DEFAULT 'filled',
    twice decimal(32, 10) AS (n * 2) STORED) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;";

const ROWS: &str = "INSERT INTO `auth'; drop table x; --`
    (id, `na``me; drop`, n, f4, f8, b, yes, d, ts, tz, tm, j, u, c, v, m, s, bits, y, big, must) VALUES
    (1, 'same', 1, 1, 1, x'01', 1, '2026-01-01', '2026-01-01', '2026-01-01', '01:02:03', '{\"a\": 1}', '00000000-0000-0000-0000-000000000001', 'ab', 'v', 'b', 'x', 1, 2026, 1, 'm'),
    (2, 'quote '' back\\\\slash 🦀 \"x\" $1 ; -- \\n\\t\\0', 12345678901234567890.0123456789, 0.1, 1e-300, x'00ff275c', 0, '1000-01-01', '9999-12-31 23:59:59.999999', '2038-01-01 00:00:00.000001', '23:59:59.999999', '[1, \"x''y\"]', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'abcde', 'é', 'it''s', 'x,y', 1023, 1901, 18446744073709551615, ''),
    (3, NULL, NULL, NULL, 0.30000000000000004, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', '', NULL, '', NULL, NULL, NULL, 'n'),
    (4, repeat('1 MB of ''\\\\', 90000), 0, 3.4e38, -0.0, repeat(x'00ff', 5000), 1, '2026-01-01', '1999-12-31 23:59:59', NULL, '00:00', 'null', NULL, NULL, NULL, NULL, NULL, 0, 2000, 0, 'long');
    INSERT INTO `copy'; drop table x; --` (id, `na``me; drop`, n, f4, f8, b, yes, d, ts, tz, tm, j, u, c, v, m, s, bits, y, big, must)
    SELECT v.id, `na``me; drop`, n, f4, f8, b, yes, d, ts, tz, tm, j, u, c, v, m, s, bits, y, big, must FROM `auth'; drop table x; --` a JOIN (SELECT 1 AS id UNION SELECT 2 UNION SELECT 9) v WHERE a.id = 1;
    INSERT INTO `copy'; drop table x; --` (id, `na``me; drop`, n, f8, must, tz) VALUES (3, 'SAME', 5, 0.1, 'x''; drop table x; --', '2026-01-01');";

const DUMP: &str = "SELECT COALESCE(MD5(GROUP_CONCAT(CONCAT_WS('|', id, HEX(`na``me; drop`), n, CAST(f4 AS DOUBLE), f8, HEX(b), yes, d, ts, tz, tm, HEX(j), u, c, HEX(v), m, s,
    HEX(bits), y, big, HEX(must), HEX(auto), ISNULL(`na``me; drop`), ISNULL(b), ISNULL(tz), ISNULL(v)) ORDER BY id SEPARATOR '\\n')), '') FROM `copy'; drop table x; --`";

fn made() -> Database {
    let database = database();
    let (auth, copy) = (TYPES.replace("NAME", "auth"), TYPES.replace("NAME", "copy"));
    // The server takes quotes for names unless it is told otherwise.
    database.sql(&format!("SET sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'; {auth} {copy} {ROWS}"));
    database
}

fn dump(database: &Database) -> String {
    database.sql(&format!("SET sql_mode = '', time_zone = '+00:00', group_concat_max_len = 100000000; {DUMP}"))
}

fn contract(workspace: &Workspace, database: &Database, names: [&str; 2], more: &str) {
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.a]\nlocation = \"{0}\"\ntable = '''`{1}`'''\n[source.p]\nlocation = \"{0}\"\ntable = '''`{2}`'''\n\
             [contract.pair]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n{more}\
             [contract.pair.repair]\nmissing = \"auto\"\nmismatch = \"auto\"\n",
            database.url(),
            names[0],
            names[1],
        ),
    );
}

#[test]
fn every_value_survives_apply_rollback_and_the_client() {
    let (workspace, database) = (Workspace::new(), made());
    let names = ["auth'; drop table x; --", "copy'; drop table x; --"];
    contract(&workspace, &database, names, "ignore = [\"auto\", \"twice\"]\n");
    workspace.reconcile(["run"]).expect(1, &[]);
    let before = dump(&database);
    let run = workspace.run();
    workspace.reconcile(["apply", "latest", "--execute", "--include-review"]).expect(0, &["4 done"]);
    let applied = dump(&database);
    assert_ne!(applied, before);
    workspace.reconcile(["run"]).expect(0, &[]);
    workspace.reconcile(["apply", run.to_str().unwrap(), "--execute", "--include-review"]).expect(0, &["4 already"]);
    let receipts = crate::support::tree(&workspace.path().join("reports/applied"));
    let first = workspace.path().join("reports/applied").join(&receipts[0]);
    workspace.reconcile(["apply", "--rollback", first.to_str().unwrap(), "--execute"]).expect(0, &["4 done"]);
    assert_eq!(dump(&database), before, "to the byte");
    for (script, expected) in [("plan.sql", &applied), ("plan.sql", &applied), ("rollback.sql", &before)] {
        database.sql(&std::fs::read_to_string(run.join(script)).unwrap());
        assert_eq!(dump(&database), *expected, "{script}");
    }
    workspace.reconcile(["audit", "verify"]).expect(0, &["unchanged"]);
}

#[test]
fn what_the_target_cannot_hold_or_undo_is_said_and_not_written() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(
        "SET sql_mode = 'STRICT_ALL_TABLES';
         CREATE TABLE a (id int PRIMARY KEY, name varchar(20), total decimal(9, 2), code int) ENGINE = InnoDB CHARACTER SET utf8mb4;
         CREATE TABLE p (id int PRIMARY KEY, name varchar(3) CHARACTER SET latin1, total decimal(9, 1), code int UNIQUE, changed timestamp(6) DEFAULT now(6) ON UPDATE now(6));
         CREATE TABLE kid (p int, FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL);
         CREATE TRIGGER loud BEFORE UPDATE ON p FOR EACH ROW SET NEW.code = NEW.code;
         CREATE TABLE old (id int PRIMARY KEY, name varchar(20), total decimal(9, 2), code int) ENGINE = MyISAM;
         INSERT INTO a VALUES (1, 'long name', 1, 1), (2, '🦀', 1, 2), (3, 'x', 1.25, 3), (4, 'y', 1, 4), (5, 'x', 1, 6), (6, 'x', 1, 5);
         INSERT INTO p (id, name, total, code) VALUES (1, 'x', 1, 1), (2, 'x', 1, 2), (3, 'x', 1, 3), (4, 'x', 1, 4), (5, 'x', 1, 5), (6, 'x', 1, 6);
         INSERT INTO old VALUES (1, 'x', 1, 1)",
    );
    contract(&workspace, &database, ["a", "p"], "ignore = [\"changed\"]\n");
    workspace.reconcile(["run"]).expect(1, &[]);
    let before = database.sql("SELECT * FROM p ORDER BY id");
    let said = [
        "trigger `loud` acts by itself",
        "on delete set null",
        "column `changed`, which is set on update,",
        "Data too long",
        "Incorrect string value",
        "does not keep the values",
        "1 done",
        "3 skipped",
        "2 for a person",
    ];
    workspace.reconcile(["apply", "latest", "--execute"]).expect(1, &said);
    assert_eq!(database.sql("SELECT name FROM p WHERE id = 4"), "y");
    workspace.reconcile(["apply", "--rollback", "latest", "--execute"]).expect(0, &["1 done"]);
    assert_eq!(database.sql("SELECT * FROM p ORDER BY id"), before, "what the server set by itself comes back too");
    let other = Workspace::new();
    contract(&other, &database, ["a", "old"], "");
    other.reconcile(["run"]).expect(1, &[]);
    other.reconcile(["apply", "latest", "--execute"]).expect(1, &["MyISAM", "no transactions", "6 for a person"]);
}
