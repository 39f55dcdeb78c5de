//! Real database servers for tests, in temporary folders, on free ports, as an ordinary user. A server goes with the process
//! that started it, however that ends. A machine without one makes its tests fail by its name.

use std::fs;
use std::io::{Seek, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub(crate) mod mariadb;
pub(crate) mod postgres;

/// Where a program of a server lies: in the folders of its package first, because the name may be another program's too.
#[track_caller]
pub(crate) fn program(name: &str, pattern: &str, package: &str) -> PathBuf {
    let mut packaged: Vec<PathBuf> = glob::glob(pattern).unwrap().map(Result::unwrap).collect();
    // The newest version last; its number is as long as those of its like.
    packaged.sort();
    let of_path = std::env::var_os("PATH").unwrap_or_default();
    let found = packaged.into_iter().next_back();
    let found =
        found.or_else(|| std::env::split_paths(&of_path).map(|folder| folder.join(name)).find(|at| at.exists()));
    found.unwrap_or_else(|| panic!("`{name}` is not installed, and this test needs it: apt-get install {package}"))
}

/// A port that nobody listens on now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether this process may be any user, so that a server that refuses to be root must be started as another.
fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&id.stdout).trim() == "0"
}

/// The ordinary user that a server is started as, where this process is root.
fn ordinary(user: &str) -> Option<String> {
    let exists =
        |user: &str| Command::new("id").arg(user).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    is_root().then(|| if exists(user).success() { user.to_owned() } else { "nobody".to_owned() })
}

/// A command as an ordinary user.
pub(crate) fn as_user(user: &str, program: &Path) -> Command {
    let Some(user) = ordinary(user) else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]).arg(program);
    command
}

/// Gives a folder to the ordinary user.
pub(crate) fn hand_over(user: &str, folder: &Path) {
    let Some(user) = ordinary(user) else { return };
    assert!(Command::new("chown").args(["-R", &user]).arg(folder).status().unwrap().success());
}

/// A server that runs. It is gone when this is dropped, or the process is.
pub(crate) struct Running {
    folder: PathBuf,
    port: u16,
    /// One for each time that it was started.
    guards: Vec<Child>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.guards.iter_mut().for_each(|guard| drop(guard.stdin.take()));
        self.guards.iter_mut().for_each(|guard| _ = guard.wait());
    }
}

impl Running {
    /// Starts it, and waits until it answers.
    fn start(server: Command, folder: PathBuf, port: u16, answers: impl Fn() -> bool) -> Self {
        let mut running = Self { guards: Vec::new(), folder, port };
        running.restart(server, answers);
        running
    }

    /// Starts it again after it was killed.
    fn restart(&mut self, server: Command, answers: impl Fn() -> bool) {
        self.guards.push(guarded(server, &self.folder));
        for _ in 0..600 {
            if answers() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        panic!("the server in {} does not answer\n{log}", self.folder.display());
    }

    /// The certificate that the server's is signed by.
    fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }
}

/// A name that no database of this process has.
fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Statements, as a client reads them.
fn input(statements: &str) -> Stdio {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(statements.as_bytes()).unwrap();
    file.rewind().unwrap();
    Stdio::from(file)
}

/// What a client prints for statements that it has.
#[track_caller]
fn printed(client: &mut Command, statements: &str) -> String {
    let output = client.output().unwrap();
    assert!(output.status.success(), "{statements}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Calls `openssl` in a folder.
pub(crate) fn openssl(folder: &Path, arguments: &str) {
    let mut openssl = Command::new(program("openssl", "/usr/bin/openssl", "openssl"));
    let output = openssl.args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A certificate for a user by the authority of a server, and its key: `NAME.crt` and `NAME.key` in a folder.
pub(crate) fn certify(folder: &Path, user: &str, authority: &Path) {
    let (certificate, key) = (authority.display(), authority.with_extension("key"));
    openssl(folder, &format!("req -newkey rsa:2048 -nodes -keyout {user}.key -out {user}.csr -subj /CN={user}"));
    fs::write(folder.join("client"), "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth\n").unwrap();
    let by = format!("-CA {certificate} -CAkey {} -set_serial 0x{} -extfile client", key.display(), hex(user));
    openssl(folder, &format!("x509 -req -in {user}.csr -out {user}.crt -days 30 {by}"));
    fs::set_permissions(folder.join(format!("{user}.key")), fs::Permissions::from_mode(0o600)).unwrap();
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A certificate for `localhost`, and the authority that signed it.
fn certificates(folder: &Path) {
    let call = |arguments: &str| openssl(folder, arguments);
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    call("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=tests");
    call("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
    call("x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 30 -extfile names");
}

/// Starts a server that is killed, and its folder removed, as soon as the answer is dropped or this process is gone.
pub(crate) fn guarded(mut server: Command, folder: &Path) -> Child {
    // The shell waits for the end of its input, which comes whenever nobody holds the other end any more.
    let script = "\"$@\" </dev/null & server=$!; trap '' INT TERM; cat >/dev/null; kill -KILL $server; wait $server; rm -rf \"$FOLDER\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "server"]).arg(server.get_program()).args(server.get_args());
    command.env("FOLDER", folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    server.stdin(Stdio::null());
    command.spawn().unwrap()
}
