//! Brings the files together: includes, names that may be there once, `extends` and `[defaults]`.
//!
//! What comes out are the tables of single contracts, whole but not yet understood.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::{Problem, plain};
use super::super::raw::{self, nearest};
use super::super::read::Disk;
use super::super::shape;
use super::super::tree::{self, Entry, Node, Place, Problems, Table};

/// All files, by what they hold.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// In the order in which they were read.
    pub(super) files: Vec<PathBuf>,
    /// What each holds, for excerpts.
    pub(super) texts: Vec<(PathBuf, String)>,
    /// The main file's table.
    pub(super) main: Table,
    /// Every `[source.NAME]`.
    pub(super) sources: Vec<Entry>,
    /// Every `[contract.NAME]`.
    pub(super) contracts: Vec<Entry>,
    /// Whether every file could be read and parsed, so that what is not there is really missing.
    pub(super) complete: bool,
}

/// Reads the main file and all that it includes.
pub(super) fn gather(
    file: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    disk: &dyn Disk,
    problems: &mut Problems,
    warnings: &mut Problems,
) -> Gathered {
    let gathered = Gathered { complete: true, ..Gathered::default() };
    let mut reader =
        Gatherer { environment, disk, problems, warnings, gathered, above: Vec::new(), known: BTreeSet::new() };
    reader.read(file, None);
    reader.gathered
}

struct Gatherer<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    disk: &'a dyn Disk,
    problems: &'a mut Problems,
    warnings: &'a mut Problems,
    gathered: Gathered,
    /// The files that led here, by identity.
    above: Vec<PathBuf>,
    /// The files that were read, by identity.
    known: BTreeSet<PathBuf>,
}

impl Gatherer<'_> {
    /// Reads one file; `by` is where it was included.
    fn read(&mut self, file: &Path, by: Option<&Place>) {
        let identity = self.disk.identity(file);
        if let (Some(by), true) = (by, self.above.contains(&identity)) {
            let message = format!("`include` makes a cycle: {} leads here", file.display());
            self.problems.add(by, None, message, Some("a file must not include itself".to_owned()));
            return;
        }
        if !self.known.insert(identity.clone()) {
            return;
        }
        self.gathered.files.push(file.to_path_buf());
        let Some(table) = self.parse(file, by) else {
            self.gathered.complete = false;
            return;
        };
        let section = if by.is_none() { &raw::FILE } else { &raw::INCLUDED };
        shape::check_file(&table, section, self.problems);
        if by.is_none() {
            let top = Place::File { file: Arc::from(file), line: 1, column: 1 };
            shape::check_required(&table, section, &top, None, self.problems);
        }
        self.keep("source", &table);
        self.keep("contract", &table);
        self.above.push(identity);
        for (pattern, at) in table.texts("include") {
            self.include(pattern, at);
        }
        self.above.pop();
        if by.is_none() {
            self.gathered.main = table;
        }
    }

    fn parse(&mut self, file: &Path, by: Option<&Place>) -> Option<Table> {
        let bytes = match self.disk.read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                match by {
                    Some(by) => {
                        let message = format!("included file {} cannot be read: {}", file.display(), plain(&error));
                        self.problems.add(by, None, message, None);
                    }
                    None => self.problems.push(Problem {
                        file: Some(file.to_path_buf()),
                        message: format!("cannot be read: {}", plain(&error)),
                        hint: Some("name the file with --config, or write one as docs/contract.md says; the shipped reconcile.toml is an example".to_owned()),
                        ..Problem::default()
                    }),
                }
                return None;
            }
        };
        let shared: Arc<Path> = Arc::from(file);
        self.gathered.texts.push((file.to_path_buf(), String::from_utf8_lossy(&bytes).into_owned()));
        match String::from_utf8(bytes) {
            Ok(text) => tree::parse(&shared, &text, self.environment, self.problems),
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = memchr::memchr_iter(b'\n', before).count() + 1;
                let start = memchr::memrchr(b'\n', before).map_or(0, |index| index + 1);
                let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
                let at = Place::File { file: shared, line, column };
                self.problems.add(&at, None, "not valid UTF-8, expected a TOML file in UTF-8", None);
                None
            }
        }
    }

    fn include(&mut self, pattern: &str, at: &Place) {
        let folder = at.folder().unwrap_or_else(|| Path::new("")).to_path_buf();
        if !pattern.contains(['*', '?', '[']) {
            return self.read(&folder.join(pattern), Some(at));
        }
        match self.disk.matching(&folder, pattern) {
            Ok(files) if files.is_empty() => {
                self.warnings.add(at, None, format!("`include` \"{pattern}\" matches no file"), None);
            }
            Ok(files) => files.iter().for_each(|file| self.read(file, Some(at))),
            Err(error) => {
                self.problems.add(at, None, format!("`include` \"{pattern}\" cannot be resolved: {error}"), None);
            }
        }
    }

    /// Keeps the tables below `source` or `contract`; a name may be there once in all files.
    fn keep(&mut self, what: &str, table: &Table) {
        let list = if what == "source" { &mut self.gathered.sources } else { &mut self.gathered.contracts };
        for entry in table.table(what).into_iter().flat_map(|named| &named.0) {
            match list.iter().find(|held| held.key == entry.key) {
                Some(held) => {
                    let first = match &held.at {
                        Place::File { file, line, .. } => format!("{}:{line}", file.display()),
                        Place::Flag(flag) => (*flag).to_owned(),
                    };
                    let about = format!("{what} \"{}\"", entry.key);
                    let message = format!("the name is taken, it was first used at {first}");
                    self.problems.add(&entry.at, Some(&about), message, None);
                }
                None => list.push(entry.clone()),
            }
        }
    }
}

/// Every contract's table over what it extends, over the defaults; None where that cannot be resolved.
pub(super) fn merge(contracts: &[Entry], defaults: &Table, problems: &mut Problems) -> Vec<Option<Table>> {
    let by_name: BTreeMap<&str, &Entry> = contracts.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    let merged = contracts.iter().map(|entry| {
        let own = entry.node.table()?;
        let mut chain = vec![entry.key.as_str()];
        let mut whole = own.clone();
        let mut next = own.entry("extends");
        while let Some(extends) = next {
            let base = base(&by_name, &chain, extends, problems)?;
            chain.push(&base.key);
            let table = base.node.table()?;
            whole = whole.over(table, &atomic);
            next = table.entry("extends");
        }
        Some(whole.over(defaults, &atomic))
    });
    merged.collect()
}

fn base<'a>(
    by_name: &BTreeMap<&'a str, &'a Entry>,
    chain: &[&str],
    extends: &Entry,
    problems: &mut Problems,
) -> Option<&'a Entry> {
    let Node { at, .. } = &extends.node;
    let name = extends.node.text()?;
    let about = chain.last().map(|last| format!("contract \"{last}\""));
    if let Some(start) = chain.iter().position(|link| *link == name.text) {
        // Said where the cycle closes, and only for a contract that is on it: others would repeat it.
        if start == 0 {
            let cycle = [chain, &[name.text.as_str()]].concat().join(" → ");
            problems.add(at, about.as_deref(), format!("`extends` makes a cycle: {cycle}"), None);
        }
        return None;
    }
    let base = by_name.get(name.text.as_str()).copied();
    if base.is_none() {
        let near = nearest(&name.text, by_name.keys().copied()).map(|near| format!("did you mean \"{near}\"?"));
        problems.add(at, about.as_deref(), format!("extends \"{}\" is no contract", name.shown()), near);
    }
    base
}

/// Tables that are one value: what extends them replaces them whole.
fn atomic(key: &str) -> bool {
    matches!(key, "translate" | "captured_at")
}
