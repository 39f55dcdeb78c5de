//! Files that must be there after a power cut, and errors that say which file they are about. It never decides what is
//! written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::manifest::FileRecord;

pub use crate::contract::plain;

/// Puts the place before an error, and keeps its kind.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {}", path.display(), plain(&error)))
}

/// An error about what a file holds.
pub(super) fn invalid(path: &Path, problem: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {problem}", path.display()))
}

/// A new file of a run that counts and digests what is written to it, so that its record says what was meant, not what a
/// disk made of it.
pub(super) struct Digested {
    path: PathBuf,
    name: String,
    out: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Digested {
    pub(super) fn create(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(at(&path))?;
        let (out, hasher) = (BufWriter::new(file), blake3::Hasher::new());
        Ok(Self { path, name: name.to_owned(), out, hasher, bytes: 0 })
    }

    /// Says what the file holds, which others then bring to the disk.
    pub(super) fn finish(mut self, unsynced: &Unsynced) -> io::Result<FileRecord> {
        self.flush()?;
        let file = self.out.into_inner().map_err(|error| at(&self.path)(error.into_error()))?;
        unsynced.add(self.path, file);
        Ok(FileRecord { name: self.name, bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

/// Files that are written and not yet known to be on the disk.
#[derive(Debug, Default)]
pub(super) struct Unsynced(Mutex<Vec<(PathBuf, File)>>);

impl Unsynced {
    pub(super) fn add(&self, path: PathBuf, file: File) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, file));
    }

    /// Brings all of them to the disk, at once: a file system that is asked for several takes about as long as for one.
    pub(super) fn sync(&self) -> io::Result<()> {
        let files = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let sync = |(path, file): &(PathBuf, File)| file.sync_all().map_err(at(path));
        std::thread::scope(|scope| {
            let started = files.iter().map(|one| {
                // Where there is no thread for it, it is done here.
                let thread = std::thread::Builder::new().name("sync".to_owned()).spawn_scoped(scope, move || sync(one));
                thread.map_or_else(|_| Err(sync(one)), Ok)
            });
            let started: Vec<_> = started.collect();
            let ended = started.into_iter().map(|thread| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("a file could not be synced"))),
                Err(synced) => synced,
            });
            // All of them, so that none is left running.
            ended.collect::<Vec<_>>().into_iter().collect()
        })
    }
}

impl Write for Digested {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes).map_err(at(&self.path))?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(at(&self.path))
    }
}

/// Who hears how many more bytes were read.
pub type Heard<'a> = &'a dyn Fn(u64);

/// What a file holds now; None where there is none, or where the name stands for something else than a file.
pub(super) fn record(folder: &Path, name: &str) -> io::Result<Option<FileRecord>> {
    record_heard(folder, name, &|_| {})
}

/// The same, telling how far it is.
pub(super) fn record_heard(folder: &Path, name: &str, heard: Heard<'_>) -> io::Result<Option<FileRecord>> {
    let path = folder.join(name);
    let metadata = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    if !metadata.is_file() {
        return Ok(None);
    }
    let mut file = File::open(&path).map_err(at(&path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(at(&path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
        heard(read as u64);
    }
    Ok(Some(FileRecord { name: name.to_owned(), bytes, blake3: hasher.finalize().to_hex().to_string() }))
}

/// Brings a folder's list of names to the disk.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened and synced; elsewhere the file system does it by itself.
    if cfg!(unix) { File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder)) } else { Ok(()) }
}

/// The names in a folder, sorted. A name that is not UTF-8 is shown as well as it can be; it is never one of ours.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        names.push(entry.map_err(at(folder))?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
