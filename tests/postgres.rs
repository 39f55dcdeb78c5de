//! PostgreSQL as a source: a real server against files and against itself.

use std::process::Stdio;

use crate::servers::postgres::{Server, database, shared};
use crate::support::Workspace;

const ORDERS: &str = "CREATE TABLE orders (id int8 PRIMARY KEY, total numeric(12, 2), placed timestamptz, note text);
    INSERT INTO orders SELECT i, i * 1.25, timestamptz '2026-03-01 00:00:00+00' + i * interval '1 second',
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'note ' || i END FROM generate_series(1, 5000) i;";

#[test]
fn two_tables_of_one_server_are_compared_row_by_row() {
    let (workspace, database) = (Workspace::new(), database());
    database.sql(ORDERS);
    database.sql("CREATE TABLE copy AS TABLE orders ORDER BY total DESC");
    let diff = || workspace.reconcile(["diff", &database.table("orders"), &database.table("copy"), "--key", "id"]);
    diff().expect(0, &["agreed", "5,000"]);
    database.sql(
        "DELETE FROM copy WHERE id = 7; UPDATE copy SET total = total + 0.01 WHERE id = 9; \
         INSERT INTO copy VALUES (0, 1, NULL, '')",
    );
    diff().expect(1, &["missing", "orphan", "mismatch", "11.25", "11.26"]);
}

#[test]
fn a_server_that_is_killed_while_it_is_read_leaves_the_contract_unverified() {
    let (workspace, server) = (Workspace::new(), Server::start());
    let database = server.database();
    database.sql(ORDERS);
    workspace.file(
        "reconcile.toml",
        &format!(
            "version = 1\n[source.authority]\nlocation = \"{0}\"\ntable = \"orders\"\nmax_rows_per_second = 1000\n\
             [source.projection]\nlocation = \"{0}\"\ntable = \"orders\"\n[contract.pair]\nversion = \"1.0.0\"\n\
             authority = \"authority\"\nprojection = \"projection\"\nkey = [\"id\"]\n",
            database.url()
        ),
    );
    let mut command = workspace.command(["run", "--threads", "1"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The reading takes five seconds, and the server's own list tells when it has begun.
    while database.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reconcile'") == "0" {}
    server.kill();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let summary = workspace.summary();
    assert_eq!(summary["verdict"], "unverified");
    let error = summary["contracts"][0]["error"].as_str().unwrap();
    assert!(error.contains("connect") || error.contains("snapshot"), "{error}");
}

#[test]
fn tls_is_as_strict_as_the_url_asks() {
    let (workspace, database, server) = (Workspace::new(), database(), shared());
    database.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
    let plain = database.url();
    let root = server.authority().display().to_string();
    let call = |host: &str, query: &str| {
        let url = plain.replace("127.0.0.1", host);
        let location = format!("{url}?{query}#t");
        workspace.reconcile(["diff", &location, &location, "--key", "id"])
    };
    for mode in ["disable", "allow", "prefer", "require"] {
        call("127.0.0.1", &format!("sslmode={mode}")).expect(0, &["agreed"]);
    }
    call("localhost", &format!("sslmode=verify-full&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-ca&sslrootcert={root}")).expect(0, &["agreed"]);
    call("127.0.0.1", &format!("sslmode=verify-full&sslrootcert={root}")).expect(2, &["certificate"]);
    call("localhost", "sslmode=verify-ca").expect(2, &["certificate"]);
    call("localhost", "sslmode=no").expect(2, &["`sslmode` is not one of disable, allow"]);
}
