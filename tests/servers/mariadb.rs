//! A MariaDB server for tests: one that all share, each with a database of its own, or one to be killed.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{as_user, free_port, guarded, hand_over, program};

const PACKAGE: &str = "mariadb-server";
const USER: &str = "mysql";

/// A server. It is gone when this is dropped, or the process is.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    guard: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
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

impl Server {
    /// Starts a server of its own.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("mariadb").tempdir().unwrap().keep();
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        hand_over(USER, &folder);
        let made = as_user(USER, &binary("/usr/bin", "mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--force"])
            .arg(format!("--datadir={}", data.display()))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "mariadb-install-db: {}", String::from_utf8_lossy(&made.stderr));
        certificates(&folder);
        hand_over(USER, &folder);
        let port = free_port();
        let mut server = as_user(USER, &binary("/usr/sbin", "mariadbd"));
        server.arg("--no-defaults");
        for (setting, file) in [
            ("datadir", "data"),
            ("socket", "socket"),
            ("pid-file", "server.pid"),
            ("log-error", "server.log"),
            ("ssl-cert", "server.crt"),
            ("ssl-key", "server.key"),
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
        ]);
        let server = Self { guard: guarded(server, &folder), folder, port };
        server.wait();
        server
    }

    fn wait(&self) {
        let database = Database { name: "mysql".to_owned(), port: self.port };
        for _ in 0..600 {
            let answer = database.client("SELECT 1").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            if answer.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        panic!("MariaDB in {} does not answer\n{log}", self.folder.display());
    }

    /// The certificate that the server's is signed by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Its socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    /// Kills the server at once, as a crash would.
    pub(crate) fn kill(&self) {
        let id = fs::read_to_string(self.folder.join("server.pid")).unwrap();
        assert!(Command::new("kill").args(["-KILL", id.trim()]).status().unwrap().success());
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let database = Database { name: "mysql".to_owned(), port: self.port };
        database.sql(&format!("CREATE DATABASE {name}"));
        Database { name, ..database }
    }
}

impl Database {
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
        let output = self.client(statements).output().unwrap();
        assert!(output.status.success(), "{statements}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The client, ready to run statements.
    pub(crate) fn client(&self, statements: &str) -> Command {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(statements.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let mut command = Command::new(binary("/usr/bin", "mariadb"));
        command.args(["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", "--user=root", "--batch"]);
        command.args(["--skip-column-names", "--default-character-set=utf8mb4", "--max-allowed-packet=64M"]);
        command.arg(format!("--port={}", self.port)).arg(&self.name).stdin(Stdio::from(file));
        command
    }
}

/// A certificate for `localhost`, and the authority that signed it.
fn certificates(folder: &Path) {
    let openssl = program("openssl", "/usr/bin/openssl", "openssl");
    let call = |arguments: &str| {
        let output = Command::new(&openssl).args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    call("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=tests");
    call("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    call("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 -extfile names");
}
