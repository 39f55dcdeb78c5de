//! Finds the files behind a path, a glob or a directory, with what Hive folders say of them. Never opens a file.
//!
//! Names that begin with `.` or `_` are skipped in directories, as every writer of such directories expects; a skipped
//! file that looks like data is worth a warning. Files come sorted by path.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

use crate::contract::Format;

use super::Error;
use super::file::cannot_open;
use super::format::{Compression, EXTENSIONS, by_name};

/// A file that a location leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it is.
    pub(super) path: PathBuf,
    /// As messages show it: relative as the user wrote it.
    pub(super) shown: String,
    /// `name=value` folders above it, below what the user named; None is NULL.
    pub(super) partitions: Vec<(String, Option<String>)>,
    /// Its format.
    pub(super) format: Format,
    /// Its compression.
    pub(super) compression: Compression,
}

/// The files behind a location, sorted by path, and what was left out.
///
/// # Errors
/// A location that leads to no file, or to one whose format is unknown.
pub(super) fn locate(written: &str, path: &Path, declared: Option<Format>) -> Result<(Vec<Found>, Vec<String>), Error> {
    let mut search = Search { declared, found: Vec::new(), warnings: Vec::new() };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            search.directory(path, Path::new(written), &[], &mut Vec::new())?;
            if search.found.is_empty() {
                return Err(Error::new(written, "is a directory without data files, expected at least one")
                    .with_hint(format!("data files end in {EXTENSIONS}; for others say `format`")));
            }
        }
        Ok(_) => search.file(path, Path::new(written), &[], true)?,
        Err(error) => match split_glob(path) {
            Some((base, pattern)) if error.kind() == std::io::ErrorKind::NotFound => {
                search.glob(written, &base, &pattern)?;
            }
            _ => return Err(cannot_open(written, &error)),
        },
    }
    search.found.sort_by(|one, other| one.path.cmp(&other.path));
    search.found.dedup_by(|one, other| one.path == other.path);
    Ok((search.found, search.warnings))
}

/// Cuts a path into the folders that are written out and the pattern below them, where there is a pattern.
fn split_glob(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut base = PathBuf::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.peek() {
        let is_pattern = match component {
            Component::Normal(name) => {
                has_glob(name) && !fs::symlink_metadata(base.join(name)).is_ok_and(|metadata| metadata.is_dir())
            }
            _ => false,
        };
        if is_pattern {
            break;
        }
        base.push(component);
        components.next();
    }
    let pattern: PathBuf = components.collect();
    let has_pattern = pattern.components().any(|component| has_glob(component.as_os_str()));
    has_pattern.then_some((base, pattern))
}

fn has_glob(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().any(|byte| b"*?[{".contains(byte))
}

struct Search {
    declared: Option<Format>,
    found: Vec<Found>,
    warnings: Vec<String>,
}

impl Search {
    /// One file. Where its format is unknown, a file that was named is an error, one that was met is left out.
    fn file(
        &mut self,
        path: &Path,
        shown: &Path,
        partitions: &[(String, Option<String>)],
        named: bool,
    ) -> Result<(), Error> {
        let shown = shown.display().to_string();
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
        let (by_extension, compression) = by_name(&name);
        let Some(format) = self.declared.or(by_extension) else {
            if named {
                return Err(Error::new(&shown, "has no known extension, expected one that tells the format")
                    .with_hint(format!("say `format`; known are {EXTENSIONS}")));
            }
            self.warnings.push(format!("{shown}: left out, its extension tells no known format"));
            return Ok(());
        };
        if format == Format::Parquet && compression != Compression::None {
            return Err(Error::new(&shown, "is Parquet compressed as a whole, expected a plain Parquet file")
                .with_hint("decompress it; Parquet compresses its own pages"));
        }
        self.found.push(Found { path: path.to_owned(), shown, partitions: partitions.to_vec(), format, compression });
        Ok(())
    }

    /// All visible files below a folder. `above` holds the folders on the way here, against links that lead in circles.
    fn directory(
        &mut self,
        path: &Path,
        shown: &Path,
        partitions: &[(String, Option<String>)],
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        let entered = enter(path, shown, above)?;
        above.push(entered);
        for (name, is_directory) in entries(path, shown)? {
            let (below, below_shown) = (path.join(&name), shown.join(&name));
            let is_hidden = matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
            if is_hidden {
                let looks_like_data = !is_directory && by_name(&name.to_string_lossy()).0.is_some();
                if looks_like_data && name.as_encoded_bytes()[0] == b'_' {
                    self.warnings.push(format!("{}: left out, its name begins with `_`", below_shown.display()));
                }
            } else if is_directory {
                let mut with_this = partitions.to_vec();
                extend_partitions(&mut with_this, &name, &below_shown)?;
                self.directory(&below, &below_shown, &with_this, above)?;
            } else {
                self.file(&below, &below_shown, partitions, false)?;
            }
        }
        above.pop();
        Ok(())
    }

    fn glob(&mut self, written: &str, base: &Path, pattern: &Path) -> Result<(), Error> {
        let text = pattern.to_str().ok_or_else(|| Error::new(written, "is a glob that is not UTF-8"))?;
        let matcher = GlobBuilder::new(text)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| Error::new(written, format!("is not a glob: {}", error.kind())))?
            .compile_matcher();
        let mut written_base = PathBuf::from(written);
        for _ in pattern.components() {
            written_base.pop();
        }
        if base.is_dir() {
            let walk = Walk { base, matcher: &matcher, dotted: pattern_names_hidden(text) };
            self.matching(&walk, base, &written_base, &[], &mut Vec::new())?;
        }
        if self.found.is_empty() {
            return Err(Error::new(written, "matches no data file, expected at least one")
                .with_hint(format!("the search began in {}", written_base.join(".").display())));
        }
        Ok(())
    }

    fn matching(
        &mut self,
        walk: &Walk<'_>,
        path: &Path,
        shown: &Path,
        partitions: &[(String, Option<String>)],
        above: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        let entered = enter(path, shown, above)?;
        above.push(entered);
        for (name, is_directory) in entries(path, shown)? {
            if name.as_encoded_bytes().starts_with(b".") && !walk.dotted {
                continue;
            }
            let (below, below_shown) = (path.join(&name), shown.join(&name));
            let matches = below.strip_prefix(walk.base).is_ok_and(|relative| walk.matcher.is_match(relative));
            if is_directory {
                let mut with_this = partitions.to_vec();
                extend_partitions(&mut with_this, &name, &below_shown)?;
                if matches {
                    self.directory(&below, &below_shown, &with_this, above)?;
                } else {
                    self.matching(walk, &below, &below_shown, &with_this, above)?;
                }
            } else if matches {
                // `_SUCCESS` and its like are no data, even where a wide pattern meets them.
                let is_marker =
                    name.as_encoded_bytes().starts_with(b"_") && by_name(&name.to_string_lossy()).0.is_none();
                if !is_marker {
                    self.file(&below, &below_shown, partitions, true)?;
                }
            }
        }
        above.pop();
        Ok(())
    }
}

struct Walk<'a> {
    base: &'a Path,
    matcher: &'a GlobMatcher,
    /// The pattern itself names something hidden.
    dotted: bool,
}

fn pattern_names_hidden(pattern: &str) -> bool {
    pattern.split('/').any(|part| part.starts_with('.'))
}

fn enter(path: &Path, shown: &Path, above: &[PathBuf]) -> Result<PathBuf, Error> {
    let real = path.canonicalize().map_err(|error| cannot_open(&shown.display().to_string(), &error))?;
    if above.contains(&real) {
        return Err(Error::new(shown.display().to_string(), "is a link to a folder above it, expected no circle"));
    }
    Ok(real)
}

fn entries(path: &Path, shown: &Path) -> Result<Vec<(std::ffi::OsString, bool)>, Error> {
    let place = shown.display().to_string();
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| cannot_open(&place, &error))? {
        let entry = entry.map_err(|error| cannot_open(&place, &error))?;
        let name = entry.file_name();
        let below = shown.join(&name).display().to_string();
        // Through links: what they lead to counts.
        let metadata = fs::metadata(entry.path()).map_err(|error| cannot_open(&below, &error));
        let is_hidden = matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
        match metadata {
            Ok(metadata) => entries.push((name, metadata.is_dir())),
            Err(_) if is_hidden => {}
            Err(error) => return Err(error),
        }
    }
    entries.sort();
    Ok(entries)
}

/// Adds what a folder named `name=value` says.
fn extend_partitions(partitions: &mut Vec<(String, Option<String>)>, name: &OsStr, shown: &Path) -> Result<(), Error> {
    let Some(text) = name.to_str() else { return Ok(()) };
    let Some((column, value)) = text.split_once('=') else { return Ok(()) };
    if column.is_empty() {
        return Ok(());
    }
    let place = shown.display().to_string();
    let broken = || Error::new(&place, "has a name whose percent-encoding is not UTF-8, expected `column=value`");
    let column = percent_decoded(column).ok_or_else(broken)?;
    let value = match value {
        "__HIVE_DEFAULT_PARTITION__" => None,
        value => Some(percent_decoded(value).ok_or_else(broken)?),
    };
    if partitions.iter().any(|(existing, _)| *existing == column) {
        return Err(Error::new(
            &place,
            format!("names the partition column `{column}` a second time, expected it once"),
        ));
    }
    partitions.push((column, value));
    Ok(())
}

/// Percent-decoding in which a `%` that begins no escape stands for itself; None where the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).ok()?);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}
