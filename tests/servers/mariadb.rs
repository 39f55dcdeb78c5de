//! A MariaDB server for tests: one that all share, each with a database of its own, or one to be killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::{Running, as_user, certificates, free_port, hand_over, input, new_name, printed, program};

const PACKAGE: &str = "mariadb-server";
const USER: &str = "mysql";

/// A server.
pub(crate) struct Server {
    running: Running,
    /// What it is started with besides.
    settings: Vec<String>,
}

/// A database of its own on a server.
pub(crate) struct Database {
    name: String,
    port: u16,
}

/// The server that all tests of the process share.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// A new database on the shared server.
pub(crate) fn database() -> Database {
    shared().database()
}

fn binary(folder: &str, name: &str) -> PathBuf {
    program(name, &format!("{folder}/{name}"), PACKAGE)
}

/// How the server of a folder is started.
fn command(folder: &Path, port: u16, settings: &[String]) -> Command {
    let mut server = as_user(USER, &binary("/usr/sbin", "mariadbd"));
    server.arg("--no-defaults");
    for (setting, file) in [
        ("datadir", "data"),
        ("tmpdir", ""),
        ("socket", "socket"),
        ("pid-file", "server.pid"),
        ("log-error", "server.log"),
        ("ssl-cert", "server.crt"),
        ("ssl-key", "server.key"),
        ("ssl-ca", "ca.crt"),
        ("log-bin", "data/binlog"),
    ] {
        server.arg(format!("--{setting}={}", folder.join(file).display()));
    }
    server.arg(format!("--port={port}")).args([
        "--bind-address=127.0.0.1",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=64M",
        "--sync-binlog=0",
        "--default-time-zone=+05:45",
        "--sql-mode=ANSI_QUOTES",
        "--character-set-server=utf8mb4",
        "--max-allowed-packet=64M",
        // A machine that is busy answers later than the ten seconds that are usual.
        "--connect-timeout=120",
    ]);
    server.args(settings);
    server
}

fn answers(port: u16) -> bool {
    let database = Database { name: "mysql".to_owned(), port };
    database.client("SELECT 1").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

impl Server {
    /// Starts a server of its own.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with more settings.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("mariadb").tempdir().unwrap().keep();
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        hand_over(USER, &folder);
        let made = as_user(USER, &binary("/usr/bin", "mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--force"])
            .arg(format!("--datadir={}", data.display()))
            // In the folder of all, servers that start take each other's files for leftovers.
            .arg(format!("--tmpdir={}", folder.display()))
            .current_dir(&folder)
            // Others that are made on this machine at the same time may use the same names.
            .env("TMPDIR", &folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        certificates(&folder);
        hand_over(USER, &folder);
        let (port, settings) = (free_port(), settings.iter().map(ToString::to_string).collect::<Vec<_>>());
        let server = command(&folder, port, &settings);
        Self { running: Running::start(server, folder, port, || answers(port)), settings }
    }

    /// Starts it again after it was killed.
    pub(crate) fn restart(&mut self) {
        let port = self.running.port;
        let server = command(&self.running.folder, port, &self.settings);
        self.running.restart(server, || answers(port));
    }

    /// The certificate that the server's is signed by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.running.authority()
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.running.folder.join("socket")
    }

    /// Kills the server at once, as a crash would.
    pub(crate) fn kill(&self) {
        let id = fs::read_to_string(self.running.folder.join("server.pid")).unwrap();
        assert!(Command::new("kill").args(["-KILL", id.trim()]).status().unwrap().success());
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database {
        let name = new_name();
        let database = Database { name: "mysql".to_owned(), port: self.running.port };
        database.sql(&format!("CREATE DATABASE {name}"));
        Database { name, ..database }
    }
}

impl Database {
    /// The same database on another server.
    pub(crate) fn on(&self, server: &Server) -> Self {
        Self { name: self.name.clone(), port: server.running.port }
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, as the first user.
    pub(crate) fn url(&self) -> String {
        self.url_of("root")
    }

    /// Its URL with other user information.
    pub(crate) fn url_of(&self, user: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// The location of a table, for commands.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}#{name}", self.url())
    }

    /// Runs statements, and gives what they print: fields with tabs between them.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> String {
        printed(&mut self.client(statements), statements)
    }

    /// The client, ready to run statements.
    pub(crate) fn client(&self, statements: &str) -> Command {
        let mut command = Command::new(binary("/usr/bin", "mariadb"));
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root", "--batch"]);
        command.args(["--skip-column-names", "--default-character-set=utf8mb4", "--max-allowed-packet=64M"]);
        command.arg(format!("--port={}", self.port)).arg(&self.name).stdin(input(statements));
        command
    }
}
