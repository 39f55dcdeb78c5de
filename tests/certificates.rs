//! Client certificates: servers that let a user in by one, and what is said of those that do not serve.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::servers::{certify, mariadb, openssl, postgres};
use crate::support::{Outcome, Workspace};

/// Certificates of a user and of somebody else by an authority, and one of the user by nobody that is known; keys in other forms.
fn made(folder: &Path, user: &str, authority: &Path) {
    certify(folder, user, authority);
    certify(folder, "somebody", authority);
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.crt -days 30 -subj /CN=own");
    fs::create_dir(folder.join("unknown")).unwrap();
    certify(&folder.join("unknown"), user, &folder.join("own.crt"));
    openssl(folder, &format!("pkey -in {user}.key -aes256 -passout pass:open-sesame -out closed.key"));
    openssl(folder, &format!("rsa -in {user}.key -traditional -out old.key"));
    fs::copy(folder.join(format!("{user}.key")), folder.join("open.key")).unwrap();
    for (key, mode) in [("closed.key", 0o600), ("old.key", 0o600), ("open.key", 0o644)] {
        fs::set_permissions(folder.join(key), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// No part of a key stands in what is said.
#[track_caller]
fn keeps_keys(outcome: &Outcome, folder: &Path) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    for key in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if key.extension().is_some_and(|extension| extension == "key") {
            let text = fs::read_to_string(&key).unwrap();
            let told = text.lines().find(|line| line.len() > 20 && !line.starts_with('-') && said.contains(line));
            assert_eq!(told, None, "{}", key.display());
        }
    }
    assert!(!said.contains("sesame"), "{said}");
}

/// Compares the table with `t.csv`; no key is told whatever comes of it.
fn compared(workspace: &Workspace, table: &str, keys: &Path) -> Outcome {
    let outcome = workspace.reconcile(["diff", table, "t.csv", "--key", "id"]);
    keeps_keys(&outcome, keys);
    outcome.unbroken()
}

#[test]
fn postgres_lets_a_user_in_by_a_certificate() {
    let (workspace, database, server) = (Workspace::new(), postgres::database(), postgres::shared());
    database.sql(
        "CREATE TABLE t (id int PRIMARY KEY, n text); INSERT INTO t VALUES (1, 'a'); CREATE ROLE certified LOGIN;
         CREATE ROLE certified_too LOGIN PASSWORD 'open-sesame'; GRANT SELECT, UPDATE ON t TO certified, certified_too",
    );
    let keys = tempfile::tempdir().unwrap();
    made(keys.path(), "certified", &server.authority());
    certify(keys.path(), "certified_too", &server.authority());
    workspace.file("t.csv", "id,n\n1,a\n");
    let root = format!("sslmode=verify-full&sslrootcert={}", server.authority().display());
    let at = |name: &str| keys.path().join(name).display().to_string();
    let diff = |user: &str, query: &str| {
        let url = database.url_of(user).replace("127.0.0.1", "localhost");
        compared(&workspace, &format!("{url}?{root}{query}#t"), keys.path())
    };
    let with = |certificate: &str, key: &str| format!("&sslcert={}&sslkey={}", at(certificate), at(key));
    for key in ["certified.key", "old.key"] {
        diff("certified", &with("certified.crt", key)).expect(0, &["agreed"]);
    }
    let too = with("certified_too.crt", "certified_too.key");
    diff("certified_too:open-sesame", &too).expect(0, &["agreed"]);
    diff("certified_too", &too).expect(2, &["PGPASSWORD or pgpass"]);
    for (user, query, told) in [
        ("certified", String::new(), vec!["requires a valid client certificate", "sslcert, sslkey"]),
        ("certified_too:open-sesame", String::new(), vec!["requires a valid client certificate"]),
        ("certified", with("somebody.crt", "somebody.key"), vec!["certificate", "sslcert, sslkey"]),
        ("certified", with("unknown/certified.crt", "unknown/certified.key"), vec!["cannot connect"]),
        ("certified", with("certified.crt", "somebody.key"), vec!["somebody.key is not the key of the certificate"]),
        ("certified", with("certified.crt", "closed.key"), vec!["is protected by a password", "openssl pkey"]),
        ("certified", with("certified.crt", "open.key"), vec!["may be read or written by others", "chmod 600"]),
        ("certified", with("certified.crt", "no.key"), vec!["cannot read `sslkey`", "no.key"]),
        ("certified", with("certified.key", "certified.key"), vec!["certified.key holds no certificate"]),
        ("certified", format!("&sslcert={}", at("certified.crt")), vec!["no `sslkey` is named"]),
        ("certified", format!("&sslkey={}", at("certified.key")), vec!["`sslkey` and no `sslcert`"]),
        ("certified", "&sslpassword=open-sesame".to_owned(), vec!["keys with a password are not served"]),
    ] {
        let outcome = diff(user, &query);
        outcome.expect(2, &told);
        assert!(!outcome.stderr.contains("\"certified"), "the user is nobody's business: {}", outcome.shown());
    }
    // As for the system's own client, one that lies in the user's folder is taken; and repairs come in the same way.
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join(".postgresql");
    fs::create_dir(&own).unwrap();
    for kind in ["crt", "key"] {
        fs::copy(at(&format!("certified.{kind}")), own.join(format!("postgresql.{kind}"))).unwrap();
    }
    workspace.file("t.csv", "id,n\n1,b\n");
    let url = format!("{}?{root}", database.url_of("certified").replace("127.0.0.1", "localhost"));
    let contract = format!(
        "version = 1\n[source.a]\nlocation = \"t.csv\"\n[source.p]\nlocation = \"{url}\"\ntable = \"t\"\n[contract.c]\n\
         version = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"id\"]\nrepair = {{ mismatch = \"auto\" }}\n"
    );
    workspace.file("reconcile.toml", &contract);
    let call = |arguments: &[&str]| {
        let output = workspace.command(arguments).env("HOME", home.path()).output().unwrap();
        Outcome::of(&output).unbroken()
    };
    call(&["run"]).expect(1, &["1 key diverges"]);
    call(&["apply", "latest", "--execute"]).expect(0, &["1 done"]);
    assert_eq!(database.sql("SELECT n FROM t"), "b");
}

#[test]
fn mariadb_lets_a_user_in_by_a_certificate() {
    let (workspace, database, server) = (Workspace::new(), mariadb::database(), mariadb::shared());
    database.sql(&format!(
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
         CREATE USER 'certified'@'%' REQUIRE X509; GRANT SELECT ON {0}.t TO 'certified'@'%';
         CREATE USER 'certified_too'@'%' IDENTIFIED BY 'open-sesame' REQUIRE SUBJECT '/CN=certified';
         GRANT SELECT ON {0}.t TO 'certified_too'@'%'",
        database.name()
    ));
    let keys = tempfile::tempdir().unwrap();
    made(keys.path(), "certified", &server.authority());
    workspace.file("t.csv", "id\n1\n");
    let root = format!("ssl-mode=VERIFY_IDENTITY&ssl-ca={}", server.authority().display());
    let at = |name: &str| keys.path().join(name).display().to_string();
    let diff = |user: &str, query: &str| {
        let url = database.url_of(user).replace("127.0.0.1", "localhost");
        compared(&workspace, &format!("{url}?{root}{query}#t"), keys.path())
    };
    let with = |certificate: &str, key: &str| format!("&ssl-cert={}&ssl-key={}", at(certificate), at(key));
    for key in ["certified.key", "old.key", "open.key"] {
        diff("certified", &with("certified.crt", key)).expect(0, &["agreed"]);
    }
    diff("certified_too:open-sesame", &with("certified.crt", "certified.key")).expect(0, &["agreed"]);
    let refused = "the server does not let the user in";
    for (user, query, told) in [
        ("certified", String::new(), vec![refused, "`ssl-cert` and `ssl-key`"]),
        ("certified_too", with("certified.crt", "certified.key"), vec![refused]),
        ("certified_too:open-sesame", with("somebody.crt", "somebody.key"), vec![refused]),
        ("certified", with("unknown/certified.crt", "unknown/certified.key"), vec!["TLS"]),
        ("certified", with("certified.crt", "somebody.key"), vec!["somebody.key is not the key of the certificate"]),
        ("certified", with("certified.crt", "closed.key"), vec!["is protected by a password", "openssl pkey"]),
        ("certified", with("no.crt", "certified.key"), vec!["cannot read `ssl-cert`", "no.crt"]),
        ("certified", with("certified.crt", "certified.crt"), vec!["certified.crt holds no private key"]),
        ("certified", format!("&ssl-cert={}", at("certified.crt")), vec!["one of `ssl-cert` and `ssl-key`"]),
    ] {
        diff(user, &query).expect(2, &told);
    }
}
