//! The one place of `contract` that touches files: the contract files themselves, what they include, and the tables of
//! `translate`. It never looks into what it reads.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{ContractFile, Secrets};

/// What the checks need of a file system.
pub(super) trait Disk {
    /// The whole file.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>>;
    /// The files that a glob below a folder matches, sorted; or what is wrong with the glob.
    fn matching(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String>;
    /// A name that is the same for every way to write the file's path.
    fn identity(&self, file: &Path) -> PathBuf;
}

/// The real one.
pub(super) struct Files;

impl Disk for Files {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(file)
    }

    fn matching(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let folder = glob::Pattern::escape(&folder.to_string_lossy());
        let whole = Path::new(&folder).join(pattern);
        let paths = glob::glob(&whole.to_string_lossy()).map_err(|error| error.msg.to_owned())?;
        paths.map(|path| path.map_err(|error| error.to_string())).collect()
    }

    fn identity(&self, file: &Path) -> PathBuf {
        std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf())
    }
}

/// Another disk, of which it is remembered what was read.
pub(super) struct Digesting<'a> {
    disk: &'a dyn Disk,
    read: RefCell<BTreeMap<PathBuf, String>>,
}

impl<'a> Digesting<'a> {
    pub(super) fn new(disk: &'a dyn Disk) -> Self {
        Self { disk, read: RefCell::default() }
    }

    /// Every file that was read, from a folder.
    pub(super) fn files(&self, folder: &Path, secrets: &Secrets) -> Vec<ContractFile> {
        let read = self.read.borrow();
        let files = read.iter().map(|(path, blake3)| {
            let path = path.strip_prefix(folder).unwrap_or(path).display().to_string();
            ContractFile { path: secrets.redact(&path).into_owned(), blake3: blake3.clone() }
        });
        files.collect()
    }
}

impl Disk for Digesting<'_> {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let bytes = self.disk.read(file)?;
        self.read.borrow_mut().insert(file.to_path_buf(), blake3::hash(&bytes).to_hex().to_string());
        Ok(bytes)
    }

    fn matching(&self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        self.disk.matching(folder, pattern)
    }

    fn identity(&self, file: &Path) -> PathBuf {
        self.disk.identity(file)
    }
}

/// One text, and nothing around it.
pub(super) struct OneText<'a>(pub(super) &'a Path, pub(super) &'a str);

impl Disk for OneText<'_> {
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        if file == self.0 { Ok(self.1.as_bytes().to_vec()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn matching(&self, _folder: &Path, _pattern: &str) -> Result<Vec<PathBuf>, String> {
        Ok(Vec::new())
    }

    fn identity(&self, file: &Path) -> PathBuf {
        file.to_path_buf()
    }
}
