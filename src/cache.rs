//! What is kept between runs, so that an unchanged file need not be read again: one folder, safe to delete at any time.
//!
//! ```text
//! CACHE/CONTRACT/state      what the last run saw: units, their candidates, digests of files
//! CACHE/CONTRACT/ID.unit    what reading one unit left: tags of its rows, sums by partition
//! CACHE/CONTRACT/ID.rows    the values of its candidates
//! ```
//!
//! An id is a digest of all that the content depends on: the program, the digest's format, the contract and the schemas (together
//! the sense), and what identifies the file. So nothing is ever found under the wrong circumstances, and nothing is brought up to
//! date: what is not found is made anew. Every entry ends with a BLAKE3 over its kind, its id and its bytes; where that does not
//! hold, the entry is not there. Entries are written aside and renamed, so that runs side by side never see half of one. The
//! folder never decides a result: it hands back bytes that it proved, or nothing.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

mod bytes;
mod rows;
mod state;
mod unit;

#[cfg(test)]
mod tests;

pub use rows::KeptRows;
pub use state::{Known, State};
pub use unit::{Seen, Unit};

/// The version of everything that is written here. Whoever changes what a row leaves behind, or its bytes, changes this.
const FORMAT: &str = "reconcile cache 1";

/// The name of the folder within the folder of reports: hidden, because what is seen there are runs.
pub const FOLDER: &str = ".cache";

/// What an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 32]);

impl Id {
    /// The digest of some parts, each told from the next.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex()[..40].to_owned()
    }
}

/// What is kept of one contract.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    sense: Id,
    /// Tells this run's unfinished files from those of others.
    aside: String,
}

const STATE: &str = "state";
const ASIDE: &str = ".aside";
/// A file aside that is older was left by a run that died.
const ASIDE_LIVES: Duration = Duration::from_secs(24 * 60 * 60);

impl Cache {
    /// The folder of a contract within `root`. `meaning` is all that a row's bytes depend on besides its file; to it come the
    /// program and its formats.
    #[must_use]
    pub fn new(root: &Path, contract: &[&[u8]], meaning: &[&[u8]], run: &str) -> Self {
        let mut parts: Vec<Vec<u8>> = vec![FORMAT.into(), program(), zones()];
        parts.extend(meaning.iter().map(|part| part.to_vec()));
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let folder = root.join(&Id::of(contract).hex()[..16]);
        Self { folder, sense: Id::of(&parts), aside: format!("{ASIDE}-{}-{run}", std::process::id()) }
    }

    /// Removes all that was kept of the contract. What cannot be removed is found by nobody: it is of another sense.
    pub fn remove(&self) {
        _ = fs::remove_dir_all(&self.folder);
    }

    /// All that a unit's content depends on, but for the unit itself.
    #[must_use]
    pub fn sense(&self) -> Id {
        self.sense
    }

    /// What the last run saw, if it ran in the same sense.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        State::parse(&self.load(STATE, self.sense)?)
    }

    /// Whether there is an entry of a unit, which may yet turn out damaged.
    #[must_use]
    pub fn has(&self, id: Id) -> bool {
        self.folder.join(unit_name(id)).is_file()
    }

    /// What reading a unit left.
    #[must_use]
    pub fn unit(&self, id: Id) -> Option<Unit> {
        Unit::parse(self.load(&unit_name(id), id)?)
    }

    /// What reading a unit left in this run.
    #[must_use]
    pub fn unit_aside(&self, id: Id) -> Option<Unit> {
        let name = unit_name(id);
        Unit::parse(self.load_from(&format!("{name}{}", self.aside), &name, id)?)
    }

    /// The values of a unit's candidates.
    #[must_use]
    pub fn rows(&self, id: Id) -> Option<KeptRows> {
        KeptRows::parse(&self.load(&rows_name(id), id)?)
    }

    /// Writes what reading a unit left, aside.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn keep_unit(&self, id: Id, seen: &Seen) -> io::Result<()> {
        let head = seen.head();
        self.store(&unit_name(id), id, &[&head, seen.key_tags(), seen.row_tags()])
    }

    /// Writes the values of a unit's candidates, aside.
    ///
    /// # Errors
    /// What kept them from being written.
    pub fn keep_rows(&self, id: Id, rows: &KeptRows) -> io::Result<()> {
        self.store(&rows_name(id), id, &[&rows.to_bytes()?])
    }

    /// Puts what was written aside into its place, then the state, and removes what the state does not need.
    ///
    /// # Errors
    /// What kept it from being written; the folder then holds what it held, or more that nothing points to.
    pub fn publish(&self, state: &State) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        for name in self.names()? {
            if let Some(place) = name.strip_suffix(&self.aside) {
                fs::rename(self.folder.join(&name), self.folder.join(place))?;
            }
        }
        self.store(STATE, self.sense, &[&state.to_bytes()])?;
        fs::rename(self.folder.join(format!("{STATE}{}", self.aside)), self.folder.join(STATE))?;
        self.sweep(state)
    }

    /// Removes what no unit of the state needs, and what a run that died left aside.
    fn sweep(&self, state: &State) -> io::Result<()> {
        let mut needed = BTreeSet::from([STATE.to_owned()]);
        for (_, units) in state.units.iter() {
            needed.extend(units.iter().flat_map(|known| [unit_name(known.id), rows_name(known.id)]));
        }
        for name in self.names()?.into_iter().filter(|name| !needed.contains(name)) {
            let path = self.folder.join(&name);
            if name.contains(ASIDE) && !fs::metadata(&path).is_ok_and(|metadata| older(&metadata, ASIDE_LIVES)) {
                continue;
            }
            // Another run may have been first.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// The bytes of an entry, if they are what was written. Whatever is wrong with it, it is as if it were not there.
    fn load(&self, name: &str, id: Id) -> Option<Vec<u8>> {
        self.load_from(name, name, id)
    }

    fn load_from(&self, file: &str, name: &str, id: Id) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.folder.join(file)).ok()?;
        let body = bytes.len().checked_sub(blake3::OUT_LEN)?;
        let mut hasher = opening(name, id);
        hasher.update(&bytes[..body]);
        if hasher.finalize().as_bytes()[..] != bytes[body..] {
            return None;
        }
        bytes.truncate(body);
        Some(bytes)
    }

    fn store(&self, name: &str, id: Id, pieces: &[&[u8]]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = File::create(self.folder.join(format!("{name}{}", self.aside)))?;
        let mut hasher = opening(name, id);
        for piece in pieces {
            hasher.update(piece);
            file.write_all(piece)?;
        }
        file.write_all(hasher.finalize().as_bytes())
    }
}

impl Drop for Cache {
    /// What was not published is removed.
    fn drop(&mut self) {
        for name in self.names().unwrap_or_default() {
            if name.ends_with(&self.aside) {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
        // Where nothing was kept at all, no folder is either; one that is not empty stays.
        let _ = fs::remove_dir(&self.folder);
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}

fn unit_name(id: Id) -> String {
    format!("{}.unit", id.hex())
}

fn rows_name(id: Id) -> String {
    format!("{}.rows", id.hex())
}

/// A hasher that has seen what the entry is of, so that one is never taken for another.
fn opening(name: &str, id: Id) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORMAT.as_bytes()).update(name.as_bytes()).update(&id.0);
    hasher
}

fn older(metadata: &Metadata, than: Duration) -> bool {
    let age = metadata.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age > than)
}

/// What tells one build of the program from another, which may read or normalise in another way.
fn program() -> Vec<u8> {
    let executable = std::env::current_exe().and_then(fs::metadata);
    let seen = executable.map_or((0, 0, 0), |seen| (seen.size(), seen.mtime(), seen.mtime_nsec()));
    format!("{} {seen:?}", env!("CARGO_PKG_VERSION")).into_bytes()
}

/// What tells one edition of the system's time zones from another.
fn zones() -> Vec<u8> {
    let folder = std::env::var_os("TZDIR").map_or_else(|| PathBuf::from("/usr/share/zoneinfo"), PathBuf::from);
    let seen = ["", "tzdata.zi", "+VERSION"].map(|name| {
        let metadata = fs::metadata(folder.join(name)).ok()?;
        Some((metadata.size(), metadata.mtime(), metadata.ctime()))
    });
    format!("{seen:?}").into_bytes()
}
