//! Real database servers for tests, in temporary folders, on free ports, as an ordinary user. A server goes with the process
//! that started it, however that ends. A machine without one makes its tests fail by its name.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

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
