//! Keeps on disk what memory does not hold: one nameless temporary file, which the system removes even after a crash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::diff::{Extent, Spill};

pub mod sorted;

/// A spill file that is made when the first bytes come.
#[derive(Debug)]
pub struct SpillFile {
    folder: PathBuf,
    file: OnceLock<File>,
    end: AtomicU64,
}

impl SpillFile {
    /// No file yet; it will lie in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: OnceLock::new(), end: AtomicU64::new(0) }
    }

    /// Bytes that were spilled.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    fn file(&self) -> io::Result<&File> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let made = std::fs::create_dir_all(&self.folder).and_then(|()| tempfile::tempfile_in(&self.folder));
        let file = made.map_err(|error| self.said("create a spill file in", &error))?;
        // Where two threads were first at once, one file is kept and the other closed, which removes it.
        Ok(self.file.get_or_init(|| file))
    }

    fn said(&self, doing: &str, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", self.folder.display()))
    }
}

impl Spill for SpillFile {
    fn write(&self, bytes: &[u8]) -> io::Result<Extent> {
        let extent =
            Extent { offset: self.end.fetch_add(bytes.len() as u64, Ordering::Relaxed), length: bytes.len() as u64 };
        self.file()?
            .write_all_at(bytes, extent.offset)
            .map_err(|error| self.said("write the spill file in", &error))?;
        Ok(extent)
    }

    fn read(&self, extent: Extent) -> io::Result<Vec<u8>> {
        let length = usize::try_from(extent.length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.file()?
            .read_exact_at(&mut bytes, extent.offset)
            .map_err(|error| self.said("read the spill file in", &error))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spilled_comes_back_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let spill = SpillFile::new(folder.path());
        let first = spill.write(b"first").unwrap();
        let second = spill.write(b"the second").unwrap();
        assert_eq!(spill.read(second).unwrap(), b"the second");
        assert_eq!(spill.read(first).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = SpillFile::new(Path::new("/dev/null/at/all")).write(b"x").unwrap_err();
        assert!(error.to_string().contains("/dev/null/at/all"), "{error}");
    }
}
