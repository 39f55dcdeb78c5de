//! Brings what a run says to those who wait for it: over HTTP, tried again with a longer pause before each attempt, or as a file
//! that is there whole or not at all. It never knows what it carries, shows no address, and keeps nobody waiting who wants to
//! leave.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// What is sent, and where.
#[derive(Clone)]
pub struct Letter<'a> {
    /// The address; it can hold a secret.
    pub url: &'a str,
    /// Of the body.
    pub content_type: &'static str,
    /// More headers; they can hold secrets.
    pub headers: &'a [(String, String)],
    /// What is sent.
    pub body: &'a [u8],
}

/// How long and how often it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Of one attempt, from the look-up of the host to the answer's head.
    pub timeout: Duration,
    /// How often it is tried at most, at least once.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each that follows.
    pub pause: Duration,
}

impl Patience {
    /// The pause before the second attempt.
    pub const PAUSE: Duration = Duration::from_millis(250);
    /// How often it is looked whether somebody wants to leave.
    const LOOK: Duration = Duration::from_millis(50);
}

/// Why it did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// What came of the last attempt.
    pub problem: String,
    /// How often it was tried.
    pub attempts: u32,
}

impl fmt::Display for Undelivered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.attempts == 1 { "once".to_owned() } else { format!("{} times", self.attempts) };
        write!(formatter, "{} (tried {times})", self.problem)
    }
}

/// Sends it with POST. What may pass (no connection, no answer, status 408, 429 and 5xx) is tried again. Where `hurry` says so
/// from the beginning, it is tried once; where it comes to say so, whatever is being waited for is given up at once. A
/// redirection is not followed: what is sent may not be for whoever is there.
///
/// # Errors
/// What came of the last attempt, without the address.
pub fn send(letter: &Letter<'_>, patience: Patience, hurry: &dyn Fn() -> bool) -> Result<(), Undelivered> {
    let hurried = hurry();
    let leaving = || !hurried && hurry();
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(patience.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("reconcile/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let mut pause = patience.pause;
    let mut attempt = 1;
    loop {
        let (problem, again) = match attempted(&agent, letter, patience.timeout, &leaving) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if !again || attempt >= patience.attempts || hurry() {
            return Err(Undelivered { problem, attempts: attempt });
        }
        rest(pause, &leaving);
        if leaving() {
            return Err(Undelivered { problem, attempts: attempt });
        }
        pause *= 2;
        attempt += 1;
    }
}

/// Waits, but not for somebody who leaves.
fn rest(pause: Duration, leaving: &dyn Fn() -> bool) {
    let began = Instant::now();
    while let Some(left) = pause.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        if leaving() {
            return;
        }
        std::thread::sleep(left.min(Patience::LOOK));
    }
}

/// One attempt, in a thread of its own, so that who leaves need not wait for an answer. The thread ends by its time-out.
fn attempted(
    agent: &ureq::Agent,
    letter: &Letter<'_>,
    timeout: Duration,
    leaving: &dyn Fn() -> bool,
) -> Result<(), (String, bool)> {
    let (told, answer) = channel();
    let (agent, url, content_type) = (agent.clone(), letter.url.to_owned(), letter.content_type);
    let (headers, body) = (letter.headers.to_vec(), letter.body.to_vec());
    let work = move || {
        let letter = Letter { url: &url, content_type, headers: &headers, body: &body };
        // Whoever asked may have left.
        let _ = told.send(once(&agent, &letter, timeout));
    };
    if let Err(error) = std::thread::Builder::new().name("courier".to_owned()).spawn(work) {
        return Err((format!("no thread can be started: {}", error.kind()), false));
    }
    loop {
        match answer.recv_timeout(Patience::LOOK) {
            Ok(came) => return came,
            Err(RecvTimeoutError::Timeout) if leaving() => {
                return Err(("it was interrupted before there was an answer".to_owned(), false));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(("the attempt ended before its end, which is a defect".to_owned(), false));
            }
        }
    }
}

/// One attempt: what is wrong, and whether that may pass.
fn once(agent: &ureq::Agent, letter: &Letter<'_>, timeout: Duration) -> Result<(), (String, bool)> {
    let mut request = agent.post(letter.url).header("content-type", letter.content_type);
    for (name, value) in letter.headers {
        request = request.header(name, value);
    }
    let status = match request.send(letter.body) {
        Ok(answer) => answer.status().as_u16(),
        Err(error) => return Err(told(&error, timeout)),
    };
    match status {
        200..=299 => Ok(()),
        408 | 429 | 500..=599 => Err((format!("it answered with status {status}"), true)),
        300..=399 => Err((format!("it answered with status {status}, and redirections are not followed"), false)),
        _ => Err((format!("it answered with status {status}"), false)),
    }
}

/// What kept a request from being answered, and whether that may pass. An error's own text can hold the address.
fn told(error: &ureq::Error, timeout: Duration) -> (String, bool) {
    match error {
        ureq::Error::Timeout(_) => (format!("no answer within {} ms", timeout.as_millis()), true),
        ureq::Error::HostNotFound => ("its host was not found".to_owned(), true),
        ureq::Error::ConnectionFailed => ("no connection".to_owned(), true),
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => ("the connection was refused".to_owned(), true),
            kind => (format!("the connection failed: {kind}"), true),
        },
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
            ("TLS failed: is its certificate one that is trusted?".to_owned(), false)
        }
        ureq::Error::InvalidProxyUrl => ("the proxy that the environment names is no address".to_owned(), false),
        _ => ("the request could not be made: are address and headers valid?".to_owned(), false),
    }
}

/// Writes a file that others read at any moment: aside, to the disk, then renamed. It may be read by all, as the file of a
/// collector must be. A link stays, and what it leads to is written; what is no file (a pipe, a device) is written straight into.
///
/// # Errors
/// What kept it from being written; then what was there before is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = match place_of(path)? {
        Place::File(path) => path,
        Place::Stream(path) => return fs::OpenOptions::new().append(true).open(path)?.write_all(bytes),
    };
    let folder = folder_of(&path);
    // Its name ends otherwise than those that a collector reads.
    let aside = tempfile::Builder::new().prefix(".reconcile-").suffix(".partial").tempfile_in(folder);
    // Its error would name the file aside.
    let mut aside = aside.map_err(|error| named_by_number(&error))?;
    aside.write_all(bytes)?;
    readable_by_all(aside.as_file())?;
    aside.as_file().sync_all()?;
    aside.persist(&path).map_err(|error| error.error)?;
    // Only Unix lets a folder be opened and synced.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that a file is in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Where bytes go that are written to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file, there or not, behind all links.
    File(PathBuf),
    /// A pipe, a device, or what the process has open, which nothing may be put in the place of.
    Stream(PathBuf),
}

/// More links than these lead nowhere.
const LINKS_MAX: usize = 40;

/// Follows the links of a path, also where the last leads to what is not there yet.
///
/// # Errors
/// What kept it from being followed.
pub fn place_of(path: &Path) -> io::Result<Place> {
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_symlink() => {
                // Those of the system (`/dev/stdout`) lead to what is open, not to what has a name.
                let from = std::path::absolute(&place)?;
                if from.starts_with("/dev") || from.starts_with("/proc") {
                    return Ok(Place::Stream(path.to_owned()));
                }
                place = folder_of(&place).join(fs::read_link(&place)?);
            }
            Ok(found) if found.is_file() || found.is_dir() => return Ok(Place::File(place)),
            Ok(_) => return Ok(Place::Stream(place)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Place::File(place)),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("more links than can be followed"))
}

/// The same error by the system's number, without the path that a library put before it.
fn named_by_number(error: &io::Error) -> io::Error {
    let inner = error.get_ref().and_then(std::error::Error::source);
    let number = inner.and_then(|inner| inner.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    number.or(error.raw_os_error()).map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

#[cfg(unix)]
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable_by_all(_file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
