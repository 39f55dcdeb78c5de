//! The sessions of one source: the first one takes the snapshot and holds it, the others read in it. A session serves one
//! short reading at a time and waits for nobody in between, so that readers cannot wait for each other in a circle.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_postgres::CancelToken;
use tokio_postgres::error::SqlState;

use super::super::pace::Pace;
use super::watch::is_busy;
use crate::contract::{Database, PauseIf};
use crate::database::postgres::{Access, Failure, Link};
use crate::database::runtime::runtime;
use crate::source::Error;

/// Connections at a time where the contract does not say.
const CONNECTIONS: usize = 2;
/// Bytes of a reading that are held in memory; what goes beyond lies in a file.
pub(super) const HELD_BYTES: usize = 8 << 20;
/// How long what was seen of the server's load holds.
const WATCHED: Duration = Duration::from_secs(1);
/// Bytes and number of the blocks of a stream that are on their way.
const STREAMED_BYTES: usize = 1 << 20;
const STREAMED_BLOCKS: usize = 4;
/// How long after one another a lost connection is tried again.
const AGAIN: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(1600),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A server, and the state of it that is read.
pub(super) struct Server {
    access: Access,
    /// The location, and what is read of it, as messages show it.
    pub(super) place: String,
    /// What every session is told first.
    settings: String,
    /// What the others read in; None where the server cannot share one, so that the first session reads alone.
    snapshot: Option<String>,
    /// As many as may be open.
    permits: Semaphore,
    /// Sessions that read nothing now.
    idle: Mutex<Vec<Session>>,
    /// The session that holds the snapshot is gone.
    is_lost: AtomicBool,
    /// A stream lost its connection.
    was_cut: AtomicBool,
    pub(super) pace: Pace,
    pause_if: Option<PauseIf>,
    /// When the server was last seen with little to do.
    seen_calm: Mutex<Option<Instant>>,
}

/// A session, within its transaction.
pub(super) struct Session {
    pub(super) link: Link,
    /// It holds the snapshot: without it there is nothing that others could read in.
    holds: bool,
}

/// What a reading brought: the bytes of `COPY`, those beyond the held ones in a file.
pub(super) struct Brought {
    pub(super) held: Vec<u8>,
    pub(super) rest: Option<File>,
    pub(super) bytes: u64,
}

impl Server {
    /// Begins a session that is to hold the snapshot; it has no transaction yet.
    pub(super) async fn first(database: &Database, pace: &Pace) -> Result<(Access, Session, String), Failure> {
        let access = Access::new(database)?;
        let link = in_time(pace, access.connect()).await?;
        let settings = settings(database);
        link.client.batch_execute(&settings).await.map_err(|error| Failure::of(&error))?;
        Ok((access, Session { link, holds: true }, settings))
    }

    /// The server with its first session, whose transaction has the snapshot.
    pub(super) fn new(
        database: &Database,
        place: String,
        (access, first, settings): (Access, Session, String),
        snapshot: Option<String>,
        pace: Pace,
    ) -> Self {
        let most = database.limits.max_connections.unwrap_or(CONNECTIONS).max(1);
        let permits = Semaphore::new(if snapshot.is_some() { most } else { 1 });
        Self {
            access,
            place,
            settings,
            snapshot,
            permits,
            idle: Mutex::new(vec![first]),
            is_lost: AtomicBool::new(false),
            was_cut: AtomicBool::new(false),
            pace,
            pause_if: database.limits.pause_if,
            seen_calm: Mutex::new(None),
        }
    }

    /// Waits while the server has more to do than the contract wants to add to.
    async fn calm(&self) -> Result<(), Failure> {
        let Some(pause) = self.pause_if else { return Ok(()) };
        let seen = || self.seen_calm.lock().unwrap_or_else(PoisonError::into_inner);
        while seen().is_none_or(|at| at.elapsed() >= WATCHED) {
            let session = self.session().await?;
            match is_busy(&session.link.client, pause).await {
                Ok(is_busy) => {
                    self.idle().push(session);
                    if is_busy {
                        tokio::time::sleep(WATCHED).await;
                    } else {
                        *seen() = Some(Instant::now());
                    }
                }
                Err(failure) => {
                    self.give_up(&session);
                    return Err(failure);
                }
            }
        }
        Ok(())
    }

    /// Reads what a `COPY … TO STDOUT` gives, whole or not at all.
    pub(super) async fn bring(&self, copy: &str) -> Result<Brought, Failure> {
        let _permit = self.permits.acquire().await.expect("nobody closes it");
        in_time(
            &self.pace,
            again(|| async {
                self.calm().await?;
                self.bring_once(copy).await
            }),
        )
        .await
    }

    /// Asks for a `COPY … TO STDOUT`, whose bytes come as they are sent. It is not tried again.
    pub(super) fn stream(self: &Arc<Self>, copy: String) -> Receiver<Result<Vec<u8>, Failure>> {
        let (sender, receiver) = channel(STREAMED_BLOCKS);
        let server = Arc::clone(self);
        runtime().spawn(async move {
            let _permit = server.permits.acquire().await.expect("nobody closes it");
            if let Err(failure) = in_time(&server.pace, server.stream_once(&copy, &sender)).await {
                // Nobody may be there to hear it.
                let _ = sender.send(Err(failure)).await;
            }
        });
        receiver
    }

    async fn stream_once(&self, copy: &str, sender: &Sender<Result<Vec<u8>, Failure>>) -> Result<(), Failure> {
        self.calm().await?;
        let session = self.session().await?;
        let running = Running { access: &self.access, cancel: Some(session.link.cancel.clone()) };
        let streamed = streamed(&session, copy, sender).await;
        if streamed.as_ref().is_ok_and(|whole| *whole) {
            running.ended();
            self.idle().push(session);
            return Ok(());
        }
        self.give_up(&session);
        match streamed {
            Err(failure) => {
                self.was_cut.store(failure.lost && !self.is_lost.load(Ordering::SeqCst), Ordering::SeqCst);
                Err(failure)
            }
            Ok(_) => Ok(()),
        }
    }

    /// Whether the last stream ended because its connection was lost, though the snapshot is not.
    pub(super) fn take_cut(&self) -> bool {
        self.was_cut.swap(false, Ordering::SeqCst)
    }

    async fn bring_once(&self, copy: &str) -> Result<Brought, Failure> {
        let session = self.session().await?;
        let running = Running { access: &self.access, cancel: Some(session.link.cancel.clone()) };
        let brought = brought(&session, copy).await;
        running.ended();
        match &brought {
            Err(failure) if failure.lost => self.give_up(&session),
            // The transaction goes on as if the reading had never begun.
            Err(_) => match session.link.client.batch_execute("ROLLBACK TO SAVEPOINT reading").await {
                Ok(()) => self.idle().push(session),
                Err(_) => self.give_up(&session),
            },
            Ok(_) => self.idle().push(session),
        }
        match brought {
            Err(failure) if failure.lost && self.is_lost.load(Ordering::SeqCst) => Err(Failure {
                lost: false,
                hint: Some("run again when the server is up".to_owned()),
                ..Failure::new(format!("{}, and with it the snapshot that all rows are read in", failure.problem))
            }),
            brought => brought,
        }
    }

    /// An idle session, or a new one in the same snapshot.
    async fn session(&self) -> Result<Session, Failure> {
        loop {
            let Some(session) = self.idle().pop() else { break };
            if !session.link.client.is_closed() {
                return Ok(session);
            }
            self.give_up(&session);
        }
        let Some(snapshot) = self.snapshot.as_ref().filter(|_| !self.is_lost.load(Ordering::SeqCst)) else {
            return Err(Failure::new("the connection was lost, and with it the snapshot that all rows are read in")
                .with_hint("run again when the server is up"));
        };
        let link = self.access.connect().await?;
        // The name is the server's own: digits and dashes.
        let begin = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{}'; {SAVEPOINT}", snapshot.replace('\'', "''"));
        for statements in [&self.settings, &begin] {
            link.client.batch_execute(statements).await.map_err(|error| Failure::of(&error))?;
        }
        Ok(Session { link, holds: false })
    }

    fn give_up(&self, session: &Session) {
        if session.holds {
            self.is_lost.store(true, Ordering::SeqCst);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement that runs: the server is asked to stop it where nobody waits for it any more.
struct Running<'a> {
    access: &'a Access,
    cancel: Option<CancelToken>,
}

impl Running<'_> {
    fn ended(mut self) {
        self.cancel = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            let access = self.access.clone();
            runtime().spawn(async move { access.stop(&cancel).await });
        }
    }
}

/// A failure as the source's error.
pub(super) fn error(place: impl Into<String>, failure: Failure) -> Error {
    Error { place: place.into(), problem: failure.problem, hint: failure.hint }
}

/// How every transaction begins.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Where a transaction goes back to when a reading fails.
pub(super) const SAVEPOINT: &str = "SAVEPOINT reading";

/// What makes a session gentle, its texts the same on every server, and its rows all that there are: where a policy would hide
/// some it is refused, and no index may leave some out. Rows come in one order however often they are
/// asked for: nobody joins a scan that is under way, and no helper mixes its rows in.
fn settings(database: &Database) -> String {
    let mut settings = String::from(
        "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; \
         SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 3; SET bytea_output = 'hex'; \
         SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET transform_null_equals = off; \
         SET xmlbinary = 'base64'; SET row_security = off; SET gin_fuzzy_search_limit = 0; \
         SET synchronize_seqscans = off; SET max_parallel_workers_per_gather = 0; \
         SET idle_in_transaction_session_timeout = 0; SET lock_timeout = '30s'",
    );
    if let Some(timeout) = database.limits.statement_timeout {
        let milliseconds = (timeout.0 / 1_000_000).clamp(1, i128::from(i32::MAX));
        settings.push_str(&format!("; SET statement_timeout = {milliseconds}"));
    }
    settings
}

async fn brought(session: &Session, copy: &str) -> Result<Brought, Failure> {
    let of = |error: tokio_postgres::Error| Failure::of(&error);
    let stream = session.link.client.copy_out(copy).await.map_err(of)?;
    let mut stream = std::pin::pin!(stream);
    let mut brought = Brought { held: Vec::new(), rest: None, bytes: 0 };
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(of)?;
        brought.bytes += bytes.len() as u64;
        if brought.rest.is_none() && brought.held.len() + bytes.len() <= HELD_BYTES {
            brought.held.extend_from_slice(&bytes);
            continue;
        }
        let set_aside = match &mut brought.rest {
            Some(file) => file.write_all(&bytes),
            None => tempfile::tempfile().and_then(|file| brought.rest.insert(file).write_all(&bytes)),
        };
        set_aside.map_err(aside)?;
    }
    if let Some(file) = &mut brought.rest {
        file.rewind().map_err(aside)?;
    }
    Ok(brought)
}

/// Sends the bytes on in blocks; whether they came to their end, and not to that of whoever listens.
async fn streamed(session: &Session, copy: &str, sender: &Sender<Result<Vec<u8>, Failure>>) -> Result<bool, Failure> {
    let of = |error: tokio_postgres::Error| Failure::of(&error);
    let stream = session.link.client.copy_out(copy).await.map_err(of)?;
    let mut stream = std::pin::pin!(stream);
    let mut block = Vec::with_capacity(STREAMED_BYTES);
    while let Some(bytes) = stream.next().await {
        block.extend_from_slice(&bytes.map_err(of)?);
        if block.len() >= STREAMED_BYTES {
            let full = std::mem::replace(&mut block, Vec::with_capacity(STREAMED_BYTES));
            if sender.send(Ok(full)).await.is_err() {
                return Ok(false);
            }
        }
    }
    Ok(sender.send(Ok(block)).await.is_ok())
}

#[expect(clippy::needless_pass_by_value, reason = "it takes what `map_err` gives")]
fn aside(error: std::io::Error) -> Failure {
    let folder = std::env::temp_dir();
    Failure::new(format!("what was read cannot be set aside in {}: {error}", folder.display()))
        .with_hint("make room there, or name another folder in TMPDIR")
}

/// Tries again what failed because a connection was lost, a little later each time.
async fn again<T, F: Future<Output = Result<T, Failure>>>(mut attempt: impl FnMut() -> F) -> Result<T, Failure> {
    for pause in AGAIN {
        match attempt().await {
            Err(failure) if failure.lost => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    attempt().await
}

/// Within what is left of the time that the whole may take.
async fn in_time<T>(pace: &Pace, reading: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let Some(left) = pace.left().map_err(Failure::new)? else { return reading.await };
    match tokio::time::timeout(left, reading).await {
        Ok(done) => done,
        Err(_) => Err(Failure::new(pace.left().err().unwrap_or_else(|| "max_duration has passed".to_owned()))),
    }
}

/// Whether a reading took longer than one statement may.
pub(super) fn is_timeout(failure: &Failure) -> bool {
    failure.is(&SqlState::QUERY_CANCELED)
}

pub(super) type Shared = Arc<Server>;
