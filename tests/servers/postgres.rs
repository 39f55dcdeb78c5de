//! A PostgreSQL server for tests: one that all share, each with a database of its own, or one to be killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Running, as_user, certificates, free_port, hand_over, input, new_name, printed, program};

const BINARIES: &str = "/usr/lib/postgresql/*/bin/";
const PACKAGE: &str = "postgresql";
const USER: &str = "postgres";

/// A server.
pub(crate) struct Server {
    running: Running,
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

fn binary(name: &str) -> PathBuf {
    program(name, &format!("{BINARIES}{name}"), PACKAGE)
}

/// How the server of a folder is started.
fn command(folder: &Path, port: u16) -> Command {
    let mut server = as_user(USER, &binary("postgres"));
    server.arg("-D").arg(folder.join("data")).arg("-p").arg(port.to_string());
    let key = format!("ssl_key_file={}", folder.join("server.key").display());
    let certificate = format!("ssl_cert_file={}", folder.join("server.crt").display());
    let authority = format!("ssl_ca_file={}", folder.join("ca.crt").display());
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "full_page_writes=off",
        "autovacuum=off",
        "max_connections=60",
        "TimeZone=Asia/Kathmandu",
        "ssl=on",
        &key,
        &certificate,
        &authority,
    ] {
        server.args(["-c", setting]);
    }
    server
}

fn answers(port: u16) -> bool {
    let port = port.to_string();
    Command::new(binary("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success()
}

impl Server {
    /// Starts a server of its own.
    pub(crate) fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("postgres").tempdir().unwrap().keep();
        let data = folder.join("data");
        fs::create_dir(&data).unwrap();
        hand_over(USER, &folder);
        let made = as_user(USER, &binary("initdb"))
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8", "-D"])
            .arg(&data)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        certificates(&folder);
        // The first user comes in as it is, two others by a certificate (one of them by password too), everybody else by password.
        let hosts = ["127.0.0.1/32", "::1/128"];
        let lines = hosts.map(|host| {
            format!(
                "host all postgres {host} trust\nhost replication postgres {host} trust\nhostssl all certified {host} cert\n\
                 hostssl all certified_too {host} scram-sha-256 clientcert=verify-full\nhost all all {host} scram-sha-256\n"
            )
        });
        fs::write(data.join("pg_hba.conf"), lines.concat()).unwrap();
        hand_over(USER, &folder);
        let port = free_port();
        let server = command(&folder, port);
        Self { running: Running::start(server, folder, port, || answers(port)) }
    }

    /// Starts a server that follows this one.
    pub(crate) fn replica(&self) -> Self {
        let folder = tempfile::Builder::new().prefix("replica").tempdir().unwrap().keep();
        let data = folder.join("data");
        hand_over(USER, &folder);
        let copied = as_user(USER, &binary("pg_basebackup"))
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-p",
            ])
            .arg(self.running.port.to_string())
            .arg("-D")
            .arg(&data)
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        certificates(&folder);
        hand_over(USER, &folder);
        let port = free_port();
        let server = command(&folder, port);
        Self { running: Running::start(server, folder, port, || answers(port)) }
    }

    /// Starts it again after it was killed.
    pub(crate) fn restart(&mut self) {
        // The process that this names is dead, but nobody has taken notice of it yet.
        fs::remove_file(self.running.folder.join("data/postmaster.pid")).unwrap();
        let port = self.running.port;
        let server = command(&self.running.folder, port);
        self.running.restart(server, || answers(port));
    }

    /// The certificate that the server's is signed by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.running.authority()
    }

    /// Kills every process of the server at once, as a crash would.
    pub(crate) fn kill(&self) {
        let first = fs::read_to_string(self.running.folder.join("data/postmaster.pid")).unwrap();
        let id = first.lines().next().unwrap().to_owned();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &id]).output().unwrap();
        let children =
            String::from_utf8_lossy(&children.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(Command::new("kill").arg("-KILL").arg(&id).args(&children).status().is_ok());
    }

    /// A new database.
    pub(crate) fn database(&self) -> Database {
        let name = new_name();
        let database = Database { name: "postgres".to_owned(), port: self.running.port };
        database.sql(&format!("CREATE DATABASE {name}"));
        Database { name, ..database }
    }
}

impl Database {
    /// Its name on the server.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The same database on a replica.
    pub(crate) fn on(&self, replica: &Server) -> Self {
        Self { name: self.name.clone(), port: replica.running.port }
    }

    /// Its URL, as the first user.
    pub(crate) fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Its URL with other user information.
    pub(crate) fn url_of(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{}", self.port, self.name)
    }

    /// The location of a table, for commands.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}#{name}", self.url())
    }

    /// Runs statements, and gives what they print: fields with `|` between them.
    #[track_caller]
    pub(crate) fn sql(&self, statements: &str) -> String {
        printed(&mut self.psql(statements), statements)
    }

    /// `psql`, ready to run statements.
    pub(crate) fn psql(&self, statements: &str) -> Command {
        let mut command = Command::new(binary("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url()]);
        command.env("PGCLIENTENCODING", "UTF8").stdin(input(statements));
        command
    }
}
