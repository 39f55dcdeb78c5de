//! The journal of an apply, which becomes its receipt: what every row was and what it became, on the disk before the rows are.
//!
//! ```text
//! {"record":"apply", …}                       which plan, when
//! {"record":"batch","batch":1,"writes":[…]}   on the disk before the transaction is committed
//! {"record":"committed","batch":1}            or "given_up": it was not
//! …
//! {"record":"end", …}                         then the ledger holds the digest of all of it
//! ```
//!
//! A line is whole or it is not there: what a crash cut short is taken away when the apply goes on. It decides nothing.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::contract::Database;
use crate::database::place;

/// Of the lines.
pub const FORMAT_VERSION: u32 = 1;

/// A line.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Line {
    /// The first.
    Apply(Begun),
    /// What a transaction is about to make durable.
    Batch {
        /// Its number, from 1.
        batch: u64,
        /// In order.
        writes: Vec<Written>,
        /// The server's number of the transaction, where it can be asked what came of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transaction: Option<String>,
    },
    /// The transaction is durable.
    Committed {
        /// Its number.
        batch: u64,
    },
    /// The transaction was not durable, as was found later.
    GivenUp {
        /// Its number.
        batch: u64,
    },
    /// An action that was not done, and why.
    Skipped {
        /// Which.
        action_id: String,
        /// As a sentence part.
        why: String,
    },
    /// The touched keys were compared again.
    Compared {
        /// Keys that agree now.
        agree: u64,
        /// Keys that still diverge.
        diverge: u64,
        /// Why nothing can be said, where that is so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unknown: Option<String>,
    },
    /// The last.
    End(Ended),
}

/// The first line.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Begun {
    /// Of the lines.
    pub format_version: u32,
    /// Its id, which is the file's name.
    pub apply_id: String,
    /// The run whose plan it is.
    pub run_id: String,
    /// The target, without any secret.
    pub target: String,
    /// The digest of where that is, which tells it from every other one; None in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// BLAKE3 of the plan, or of the receipt that is rolled back.
    pub plan: String,
    /// When it began.
    pub started_at: String,
    /// By table and column, what the values are (`Family::name`), which decides how they are written down; empty in journals of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, BTreeMap<String, String>>,
    /// The apply that it undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolls_back: Option<String>,
}

impl Begun {
    /// Whether it is of this database. A name that a variable is part of tells nothing of where it led.
    #[must_use]
    pub fn is_of(&self, database: &Database) -> bool {
        match &self.place {
            Some(known) => *known == place(database),
            None => self.target == database.shown && !self.target.contains("${"),
        }
    }
}

/// The last line.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Actions that were done.
    pub done: u64,
    /// Actions whose rows were as they ought to be already.
    pub already: u64,
    /// Actions that were not done.
    pub skipped: u64,
    /// When it ended.
    pub ended_at: String,
}

/// A row that is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Written {
    /// The action.
    pub action_id: String,
    /// The contract.
    pub contract: String,
    /// The key as the plan has it, JSON text.
    pub key: String,
    /// `insert`, `update`, `delete`.
    pub op: String,
    /// The table as the contract names it.
    pub table: String,
    /// The columns of the key.
    pub key_columns: Vec<String>,
    /// The columns that the repair wrote.
    pub columns: Vec<String>,
    /// All columns before; None where there was no row.
    pub before: Option<Image>,
    /// All columns after; None where there is no row.
    pub after: Option<Image>,
    /// Shares its transaction with the one before, because only the two together keep what must be unique.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
}

/// The columns of a row as the server wrote them as text.
pub type Image = BTreeMap<String, Value>;

/// A value of a row.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// As `literal::reading` reads it.
    Read(Option<String>),
    /// The keyed digest of what is personal, or may be.
    Personal {
        /// BLAKE3.
        pii: String,
    },
}

/// What stands in a journal.
#[derive(Debug, Default)]
pub struct Story {
    /// The first line.
    pub begun: Option<Begun>,
    /// What was brought to the disk before each transaction ended.
    pub batches: Vec<Batch>,
    /// The last line, where it ended.
    pub ended: Option<Ended>,
    /// Bytes of whole lines.
    pub bytes: u64,
}

/// A transaction as a journal tells it.
#[derive(Debug)]
pub struct Batch {
    /// Its number.
    pub number: u64,
    /// In order.
    pub writes: Vec<Written>,
    /// The server's number of it.
    pub transaction: Option<String>,
    /// Whether it is durable; None: not known.
    pub durable: Option<bool>,
}

impl Story {
    /// Reads a journal.
    ///
    /// # Errors
    /// What could not be read, or is no journal.
    pub fn read(path: &Path) -> io::Result<Self> {
        let content = std::fs::read(path).map_err(|error| named(path, &error))?;
        let mut story = Self::default();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            if !line.ends_with(b"\n") {
                break;
            }
            let read: Line = serde_json::from_slice(line)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display())))?;
            story.bytes += line.len() as u64;
            story.add(read);
        }
        Ok(story)
    }

    fn add(&mut self, line: Line) {
        let mut settle = |number: u64, durable: bool| {
            if let Some(batch) = self.batches.iter_mut().find(|batch| batch.number == number) {
                batch.durable = Some(durable);
            }
        };
        match line {
            Line::Apply(begun) => self.begun = Some(begun),
            Line::Batch { batch: number, writes, transaction } => {
                self.batches.push(Batch { number, writes, transaction, durable: None });
            }
            Line::Committed { batch } => settle(batch, true),
            Line::GivenUp { batch } => settle(batch, false),
            Line::End(ended) => self.ended = Some(ended),
            Line::Skipped { .. } | Line::Compared { .. } => {}
        }
    }

    /// What was durably written.
    pub fn written(&self) -> impl DoubleEndedIterator<Item = &Written> {
        self.batches.iter().filter(|batch| batch.durable == Some(true)).flat_map(|batch| &batch.writes)
    }
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins one; there must be none of this name.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn begin(path: &Path, begun: &Begun) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| named(path, &error))?;
        alone(&file, path)?;
        // Whoever takes away what was left of an apply may have come between.
        if !path.exists() {
            return Err(named(path, &io::Error::new(io::ErrorKind::NotFound, "was taken away while it was begun")));
        }
        let mut journal = Self { path: path.to_owned(), file };
        journal.write(&Line::Apply(begun.clone()))?;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| named(folder, &error))?;
        }
        Ok(journal)
    }

    /// Goes on with one, behind its last whole line.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn go_on(path: &Path, story: &Story) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path).map_err(|error| named(path, &error))?;
        alone(&file, path)?;
        file.set_len(story.bytes).map_err(|error| named(path, &error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes a line and brings it to the disk.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        self.write_all(std::iter::once(line))
    }

    /// Writes lines and brings them to the disk at once.
    ///
    /// # Errors
    /// What kept them from being written.
    pub fn write_all<L: std::borrow::Borrow<Line>>(&mut self, lines: impl Iterator<Item = L>) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line.borrow())?;
            text.push(b'\n');
        }
        self.file.write_all(&text).and_then(|()| self.file.sync_data()).map_err(|error| named(&self.path, &error))
    }
}

/// Takes away a journal without a first line; nothing is written to a target before that is whole. One that somebody is just
/// beginning is left.
///
/// # Errors
/// What kept it from being taken away.
pub fn remove_unborn(path: &Path) -> io::Result<()> {
    let file = match OpenOptions::new().append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(named(path, &error)),
    };
    // Where a file system has no locks, nobody knows whose it is: it does no harm there.
    if file.try_lock().is_err() || Story::read(path)?.begun.is_some() {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(|error| named(path, &error))
}

/// Holds a journal for this process alone, so that no other takes it for one that was left. A file system without locks has
/// none, and there the lock of the target has to do.
fn alone(file: &File, path: &Path) -> io::Result<()> {
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "the apply that writes it is still at work");
            Err(named(path, &busy))
        }
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
