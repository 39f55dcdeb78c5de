//! What an ordinary user of a server sees is all that is there, whatever the server's settings are, or it is said.

use super::contract;
use crate::servers::mariadb::{Server, database};
use crate::support::Workspace;

#[test]
fn no_setting_of_a_server_hides_what_differs() {
    // A server of its own: settings of all sessions are changed.
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    let name = database.name();
    database.sql(&format!(
        "CREATE TABLE a (id int PRIMARY KEY, name varchar(40)) CHARACTER SET utf8mb4;
         INSERT INTO a VALUES (1, 'Anna 😀'), (2, 'Berta'); CREATE TABLE party LIKE a; INSERT INTO party VALUES (1, 'Anna 🎉'), (2, 'Berta');
         CREATE TABLE second LIKE a; INSERT INTO second VALUES (1, 'Anna 😀'), (2, 'Bertha');
         CREATE TABLE recent (id int PRIMARY KEY, name varchar(40)) WITH SYSTEM VERSIONING; INSERT INTO recent VALUES (1, 'x');
         CREATE TABLE past (id int PRIMARY KEY, name varchar(40)) WITH SYSTEM VERSIONING; INSERT INTO past VALUES (1, 'y');
         CREATE USER 'reader'@'%' IDENTIFIED BY 's3cret'; GRANT SELECT ON {name}.* TO 'reader'@'%';
         SET GLOBAL init_connect = 'SET NAMES utf8', GLOBAL sql_select_limit = 1, GLOBAL group_concat_max_len = 4,
           GLOBAL system_versioning_asof = '2020-01-01'"
    ));
    let reader = database.url_of("reader:s3cret");
    let diff = |one: &str, other: &str| {
        workspace.reconcile(["diff", &format!("{reader}#{one}"), &format!("{reader}#{other}"), "--key", "id"])
    };
    diff("a", "party").expect(1, &["authority 2, projection 2", "\"Anna 😀\" → \"Anna 🎉\""]);
    diff("a", "second").expect(1, &["authority 2, projection 2", "\"Berta\" → \"Bertha\""]);
    diff("recent", "past").expect(1, &["authority 1, projection 1", "\"x\" → \"y\""]);
    let query = |table: &str| {
        format!(
            "location = \"{reader}\"\nquery = \"SELECT 1 AS id, GROUP_CONCAT(name ORDER BY id) AS names FROM {table}\""
        )
    };
    contract(&workspace, [&query("a"), &query("second")], "");
    workspace.reconcile(["run"]).expect(1, &["\"Anna 😀,Berta\" → \"Anna 😀,Bertha\""]);
    contract(&workspace, [&query("a"), &query("a")], "");
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}

#[test]
fn columns_that_the_user_may_not_see_are_said_and_never_left_out() {
    let (workspace, database) = (Workspace::new(), database());
    let name = database.name();
    database.sql(&format!(
        "CREATE TABLE a (id int PRIMARY KEY, name text, salary int, note text INVISIBLE);
         INSERT INTO a (id, name, salary) VALUES (1, 'x', 10); CREATE TABLE b LIKE a; INSERT INTO b (id, name, salary) VALUES (1, 'x', 99);
         CREATE VIEW seen AS SELECT * FROM b;
         CREATE USER 'some_{name}'@'%' IDENTIFIED BY 's3cret'; CREATE USER 'most_{name}'@'%' IDENTIFIED BY 's3cret';
         GRANT SELECT (id, name) ON {name}.a TO 'some_{name}'@'%'; GRANT SELECT (id, name) ON {name}.b TO 'some_{name}'@'%';
         GRANT SELECT (id, name) ON {name}.seen TO 'some_{name}'@'%'; GRANT SELECT (id, name, salary) ON {name}.a TO 'most_{name}'@'%'"
    ));
    let at = |user: &str, what: &str| {
        format!("location = \"{}\"\n{what}", database.url_of(&format!("{user}_{name}:s3cret")))
    };
    let run = |sides: [&str; 2], lines: &str| {
        contract(&workspace, sides, lines);
        workspace.reconcile(["run"]).unbroken()
    };
    let (a, b) = (at("some", "table = \"a\""), at("some", "table = \"b\""));
    for pushdown in ["", "\npushdown = \"always\""] {
        let (a, b) = (format!("{a}{pushdown}"), format!("{b}{pushdown}"));
        run([&a, &b], "").expect(2, &["unverified", "may see some columns", "SELECT on the whole table", "`query`"]);
    }
    run([&a, &at("some", "table = \"seen\"")], "").expect(2, &["`seen` only"]);
    // A column that `SELECT *` would not show either.
    let most = at("most", "table = \"a\"");
    run([&most, &most], "").expect(2, &["may see some columns"]);
    // Who names the columns gets them.
    run([&a, &b], "compare = \"declared\"\n[contract.pair.attribute.name]").expect(0, &["agreed"]);
    let query = |table: &str| at("some", &format!("query = \"SELECT id, name FROM {table}\""));
    run([&query("a"), &query("b")], "").expect(0, &["agreed"]);
    run([&query("a"), &at("some", "query = \"SELECT id, salary FROM b\"")], "").expect(2, &["denied", "GRANT SELECT"]);
}
