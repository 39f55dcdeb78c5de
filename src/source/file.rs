//! One input file: what it was when it was opened, and reads at positions that share nothing between threads.
//!
//! Every opening checks that the file is still the one that was seen first. It never interprets content.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;

/// A file and what it was when the source was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Where it is.
    pub(super) path: PathBuf,
    /// As messages show it.
    pub(super) shown: String,
    /// Size, times and identity.
    pub(super) identity: Identity,
}

/// What tells a file from another, or from itself after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Size.
    pub(super) bytes: u64,
    modified: (i64, i64),
    /// When content or attributes changed last, which nobody can set back.
    changed: (i64, i64),
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// The modification time, where it is an instant that can be written.
    pub(super) fn modified(&self) -> Option<jiff::Timestamp> {
        let nanoseconds = i32::try_from(self.modified.1).ok()?;
        jiff::Timestamp::new(self.modified.0, nanoseconds).ok()
    }

    /// All of it, for a digest.
    fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let times = [self.modified.0, self.modified.1, self.changed.0, self.changed.1];
        for number in [self.bytes, self.device, self.inode] {
            hasher.update(&number.to_le_bytes());
        }
        for number in times {
            hasher.update(&number.to_le_bytes());
        }
    }

    /// Whether it was changed so long before an instant that a change after that instant has another time.
    fn settled(&self, instant: jiff::Timestamp) -> bool {
        /// No system counts more coarsely than this in nanoseconds; one that counts in seconds may in two.
        const TICK: i128 = 20_000_000;
        const COARSE: i128 = 2_000_000_000;
        let slack = if self.changed.1 == 0 { COARSE } else { TICK };
        let of = |(seconds, nanoseconds): (i64, i64)| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        of(self.changed).max(of(self.modified)) + slack < instant.as_nanosecond()
    }
}

/// What an unchanged file has and another has not, in 32 bytes.
pub(super) fn identify(file: &SourceFile, before: jiff::Timestamp) -> Result<Option<[u8; 32]>, Error> {
    if !file.identity.settled(before) {
        return Ok(None);
    }
    let mut hasher = blake3::Hasher::new();
    let path = file.path.as_os_str().as_encoded_bytes();
    hasher.update(&(path.len() as u64).to_le_bytes()).update(path);
    file.identity.hash_into(&mut hasher);
    hasher.update(&file.edges()?);
    Ok(Some(*hasher.finalize().as_bytes()))
}

impl SourceFile {
    /// Looks at a file for the first time.
    ///
    /// # Errors
    /// A file that is missing, unreadable, empty, or cannot be read more than once.
    pub(super) fn inspect(path: &Path, shown: &str) -> Result<Self, Error> {
        // Before it is opened, because opening a pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(|error| cannot_open(shown, &error))?;
        if !kind.is_file() {
            return Err(Error::new(shown, "is not a regular file, expected one that can be read more than once")
                .with_hint("write it to a file first"));
        }
        let file = File::open(path).map_err(|error| cannot_open(shown, &error))?;
        let metadata = file.metadata().map_err(|error| cannot_open(shown, &error))?;
        if metadata.size() == 0 {
            return Err(Error::new(shown, "is empty (0 bytes), expected data")
                .with_hint("check whether the export that writes it has finished"));
        }
        Ok(Self { path: path.to_owned(), shown: shown.to_owned(), identity: Identity::of(&metadata) })
    }

    /// An own handle at its start.
    ///
    /// # Errors
    /// That it cannot be opened any more, or is another than before.
    pub(super) fn open(&self) -> Result<Positioned, Error> {
        let file = File::open(&self.path).map_err(|error| self.read_error(&error))?;
        let metadata = file.metadata().map_err(|error| self.read_error(&error))?;
        self.compare(&Identity::of(&metadata))?;
        Ok(Positioned { file: Arc::new(file), length: self.identity.bytes, position: 0 })
    }

    /// Whether it is still the same.
    ///
    /// # Errors
    /// That it changed, and how.
    pub(super) fn unchanged(&self) -> Result<(), Error> {
        let metadata = std::fs::metadata(&self.path).map_err(|error| self.read_error(&error))?;
        self.compare(&Identity::of(&metadata))
    }

    fn compare(&self, now: &Identity) -> Result<(), Error> {
        let before = &self.identity;
        if now == before {
            return Ok(());
        }
        let how = if now.bytes != before.bytes {
            format!("it had {} bytes, now {}", before.bytes, now.bytes)
        } else if (now.device, now.inode) != (before.device, before.inode) {
            "another file took its place".to_owned()
        } else {
            "it was modified".to_owned()
        };
        Err(Error::new(&self.shown, format!("changed while it was read: {how}"))
            .with_hint("run again when nothing writes to it, or read a copy"))
    }

    /// The bytes of a range.
    ///
    /// # Errors
    /// A range that is not there any more, or an error of the system.
    pub(super) fn range(&self, start: u64, end: u64) -> Result<Vec<u8>, Error> {
        let opened = self.open()?;
        let length = usize::try_from(end.saturating_sub(start))
            .map_err(|_| Error::new(&self.shown, "has a part that is larger than the memory can address"))?;
        let mut bytes = vec![0; length];
        opened.file.read_exact_at(&mut bytes, start).map_err(|error| self.read_error(&error))?;
        Ok(bytes)
    }

    /// Its first and last bytes; of a Parquet file the whole footer, which holds offsets and statistics of every part.
    fn edges(&self) -> Result<Vec<u8>, Error> {
        const EDGE: u64 = 4 << 10;
        let length = self.identity.bytes;
        let mut edges = self.range(0, EDGE.min(length))?;
        let mut tail = self.range(length.saturating_sub(EDGE), length)?;
        if let [.., a, b, c, d, b'P', b'A', b'R', b'1'] = tail[..] {
            let footer = u64::from(u32::from_le_bytes([a, b, c, d])) + 8;
            if footer > EDGE && footer <= length {
                tail = self.range(length - footer, length)?;
            }
        }
        edges.append(&mut tail);
        Ok(edges)
    }

    /// An error about this file.
    pub(super) fn error(&self, problem: impl Into<String>) -> Error {
        Error::new(&self.shown, problem)
    }

    /// An error of the system while this file was read.
    pub(super) fn read_error(&self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.error("ends before its data do: it was truncated, or shrank while it was read")
            }
            io::ErrorKind::NotFound => self.error("was there and is not any more: it changed while it was read"),
            _ => self.error(format!("cannot be read: {}", plain(error))),
        }
    }
}

/// An error of the system without its number.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// The error for a path that does not open at all.
pub(super) fn cannot_open(shown: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::new(shown, "does not exist, expected a file, a directory or a glob")
            .with_hint("check the path: in a contract file a relative one starts at that file's folder, on the command line at the \
                 working directory"),
        io::ErrorKind::PermissionDenied => {
            Error::new(shown, "cannot be opened: permission denied").with_hint("grant read permission to this user")
        }
        _ => Error::new(shown, format!("cannot be opened: {}", plain(error))),
    }
}

/// A file handle whose position is its own and that reads no further than the file went when it was opened.
#[derive(Debug)]
pub(super) struct Positioned {
    file: Arc<File>,
    length: u64,
    position: u64,
}

impl Positioned {
    /// Fills the buffer from a position.
    ///
    /// # Errors
    /// A range that is not there, or an error of the system.
    pub(super) fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, position)
    }

    /// Another handle on the same file, at its start.
    pub(super) fn duplicate(&self) -> Self {
        Self { file: Arc::clone(&self.file), length: self.length, position: 0 }
    }

    /// The size when it was opened.
    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Positioned {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..wanted], self.position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Positioned {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position =
            target.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a position before the file's start"))?;
        Ok(self.position)
    }
}
