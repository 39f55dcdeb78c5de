//! How servers are reached and spared: a password from wherever it may come, and reading that waits for a replica or for others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::servers::mariadb::{Database, Server};
use crate::servers::postgres;
use crate::support::{Outcome, Workspace};

fn contract(sides: &[String; 2]) -> String {
    format!(
        "version = 1\n[source.a]\n{}\n[source.p]\n{}\n[contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\n",
        sides[0], sides[1]
    )
}

#[test]
fn a_password_comes_from_the_url_a_file_the_environment_or_pgpass() {
    let (workspace, database) = (Workspace::new(), postgres::database());
    let name = database.sql("SELECT current_database()");
    let role = format!("reader_{name}");
    database.sql(&format!(
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1); CREATE ROLE {role} LOGIN PASSWORD 'o:p\\n'; GRANT SELECT ON t TO {role}"
    ));
    let url = database.url_of(&role);
    let port = url.rsplit_once(':').unwrap().1.split('/').next().unwrap();
    let line = |password: &str| {
        format!("# all of them\nother:{port}:*:{role}:wrong\n127.0.0.1:{port}:{name}:{role}:{password}\n")
    };
    let pass = |folder: &str, text: &str, mode: u32| {
        let path = workspace.file(&format!("{folder}/.pgpass"), text);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let right = pass("right", &line("o\\:p\\\\n"), 0o600);
    let (wrong, open) = (pass("wrong", &line("none"), 0o600), pass("open", &line("o\\:p\\\\n"), 0o644));
    let home = |folder: &str| workspace.path().join(folder).display().to_string();
    workspace.file("password", "o:p\\n\nand more\n");
    let cases: [(&str, &str, Vec<(&str, String)>, bool); 9] = [
        ("", "", vec![], false),
        ("", "password_file = \"password\"", vec![("PGPASSWORD", "none".to_owned())], true),
        ("", "", vec![("PGPASSWORD", "o:p\\n".to_owned()), ("PGPASSFILE", wrong.clone())], true),
        ("", "", vec![("PGPASSFILE", right.clone())], true),
        ("", "", vec![("PGPASSFILE", wrong.clone())], false),
        ("", "", vec![("PGPASSFILE", open)], false),
        ("", "", vec![("HOME", home("right"))], true),
        ("", "", vec![("HOME", home("wrong"))], false),
        ("passfile", "", vec![("PGPASSFILE", wrong)], true),
    ];
    for (number, (option, lines, variables, is_let_in)) in cases.into_iter().enumerate() {
        let option = if option.is_empty() { String::new() } else { format!("?{option}={right}") };
        let side = || format!("location = \"{url}{option}\"\ntable = \"t\"\n{lines}");
        workspace.file("reconcile.toml", &contract(&[side(), side()]));
        let mut command: Command = workspace.command(["run"]);
        for name in ["PGPASSWORD", "PGPASSFILE"] {
            command.env_remove(name);
        }
        command.env("HOME", home("nobody")).envs(variables);
        let outcome = Outcome::of(&command.output().unwrap());
        assert!(!outcome.shown().contains("o:p"), "case {number}: {}", outcome.shown());
        assert_eq!(outcome.status, Some(if is_let_in { 0 } else { 2 }), "case {number}: {}", outcome.shown());
        outcome.expect(outcome.status.unwrap(), &[if is_let_in { "agreed" } else { "password" }]);
    }
}

fn table(database: &Database, options: &str) -> String {
    format!("location = \"{}\"\ntable = \"t\"\n{options}", database.url())
}

#[test]
fn reading_waits_while_others_are_at_work() {
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3); CREATE USER 'busy'@'%'; GRANT SELECT ON *.* TO 'busy'@'%'",
    );
    // Whoever is at work is waited for.
    let mut busy = database.client("SELECT SLEEP(3)");
    let mut busy = busy.arg("--user=busy").stdout(Stdio::null()).spawn().unwrap();
    while database
        .sql("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'busy' AND INFO LIKE '%SLEEP%'")
        == "0"
    {}
    for pushdown in ["always", "never"] {
        let side = |options: &str| table(&database, &format!("pushdown = \"{pushdown}\"\n{options}"));
        workspace.file("reconcile.toml", &contract(&[side("pause_if = \"load > 0\""), side("")]));
        workspace.reconcile(["run"]).expect(0, &["agreed"]);
        assert!(busy.try_wait().unwrap().is_some(), "the other session was still at work");
    }
}

#[test]
fn reading_a_replica_waits_until_it_has_followed() {
    let (workspace, primary) = (Workspace::new(), Server::start());
    let database = primary.database();
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3);
         CREATE USER 'follower'@'%' IDENTIFIED BY 'f0llow'; GRANT REPLICATION SLAVE ON *.* TO 'follower'@'%'",
    );
    // Who follows nobody tells nothing.
    workspace.file(
        "reconcile.toml",
        &contract(&[table(&database, "pause_if = \"replica_lag > 1s\""), table(&database, "")]),
    );
    workspace
        .reconcile(["run"])
        .unbroken()
        .expect(0, &["`pause_if`: the server tells this user nothing of replication"]);

    let replica = Server::start_with(&["--server-id=2"]);
    let copy = database.on(&replica);
    let administrator = replica.database();
    let follow = |delay: u32| {
        administrator.sql(&format!("STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = {delay}; START SLAVE"));
    };
    let first = database.sql("SHOW BINARY LOGS").split('\t').next().unwrap().to_owned();
    administrator.sql(&format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'follower', MASTER_PASSWORD = 'f0llow', \
         MASTER_LOG_FILE = '{first}', MASTER_LOG_POS = 4; START SLAVE",
        database.port()
    ));
    let rows = || {
        administrator.sql(&format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = 't'",
            database.name()
        ))
    };
    let until = |holds: &dyn Fn() -> bool, what: &str| {
        let held = (0..600).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            holds()
        });
        assert!(held, "{what}: {}", administrator.sql("SHOW SLAVE STATUS"));
    };
    until(&|| rows() == "1" && copy.sql("SELECT COUNT(*) FROM t") == "3", "the replica has not followed");
    follow(3600);
    database.sql("INSERT INTO t VALUES (4)");
    // Its 33rd field is how many seconds it lies behind.
    let behind =
        || administrator.sql("SHOW SLAVE STATUS").split('\t').nth(32).and_then(|field| field.parse::<u64>().ok());
    until(&|| behind().is_some_and(|seconds| seconds >= 2), "the replica does not lie behind");
    let waiting = |options: &str| {
        contract(&[table(&database, ""), table(&copy, &format!("pause_if = \"replica_lag > 1s\"\n{options}"))])
    };
    workspace.file("reconcile.toml", &waiting("max_duration = \"2s\""));
    workspace.reconcile(["run"]).unbroken().expect(2, &["max_duration of 2 s has passed", "unverified"]);
    follow(0);
    until(&|| copy.sql("SELECT COUNT(*) FROM t") == "4", "the replica has not followed again");
    workspace.file("reconcile.toml", &waiting(""));
    workspace.reconcile(["run"]).expect(0, &["agreed"]);
}
