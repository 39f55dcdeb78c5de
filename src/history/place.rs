//! Files that must be there after a power cut, and errors that say which file they are about. It never decides what is
//! written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::manifest::FileRecord;

/// Puts the place before an error, and keeps its kind.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {}", path.display(), plain(&error)))
}

/// An error of the operating system as a sentence part: without its number, in lower case.
#[must_use]
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(code) = error.raw_os_error() else { return text };
    let text = text.strip_suffix(&format!(" (os error {code})")).unwrap_or(&text);
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
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

    /// Brings the file to the disk and says what it holds.
    pub(super) fn finish(mut self) -> io::Result<FileRecord> {
        self.flush()?;
        self.out.get_ref().sync_all().map_err(at(&self.path))?;
        Ok(FileRecord { name: self.name, bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
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

/// What a file holds now; None where there is none, or where the name stands for something else than a file.
pub(super) fn record(folder: &Path, name: &str) -> io::Result<Option<FileRecord>> {
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
