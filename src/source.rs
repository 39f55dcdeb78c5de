//! Opens a location and hands over an Arrow schema and units of record batches that can be read in parallel, again and
//! again in the same numbering. Never compares, never guesses a value: what cannot be read is said, not dropped.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use rayon::prelude::*;

use crate::contract::{CapturedAt, Format, Location, PushDown, Source};

mod csv;
mod database;
mod file;
mod format;
mod guard;
mod ipc;
mod json;
mod locate;
mod parquet;
mod remote;
#[cfg(test)]
mod tests;
mod text;
mod unite;

use file::SourceFile;
use format::Compression;
use locate::Found;
pub use remote::Remote;
use text::Cuts;
use unite::{Contents, Member};

/// A source that has been opened. Clones read the same parts, a database's in the same state.
#[derive(Clone)]
pub struct Opened {
    /// All files united by column name.
    pub schema: SchemaRef,
    /// Parts that can be read in parallel. Their order and cut depend only on the files.
    pub units: Vec<Arc<dyn Unit>>,
    /// What was opened, for progress, manifest and freshness.
    pub files: Vec<FileFact>,
    /// For each unit its file, as an index in `files`.
    pub file_of: Vec<usize>,
    /// What is worth a word: an empty glob match, a file without rows, …
    pub warnings: Vec<String>,
    /// What a database tells of the state that all units are read in; files have none.
    pub snapshot: Option<Snapshot>,
    /// The files and what they were, for `unchanged`.
    witnesses: Vec<Arc<SourceFile>>,
}

impl Opened {
    /// The same without any rows.
    #[must_use]
    pub fn without_rows(&self) -> Self {
        Self {
            schema: Arc::clone(&self.schema),
            units: Vec::new(),
            files: self.files.clone(),
            file_of: Vec::new(),
            warnings: Vec::new(),
            snapshot: None,
            witnesses: Vec::new(),
        }
    }
}

/// The one state of a database that all units of a source are read in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When it was taken, by the database's own clock.
    pub taken_at: jiff::Timestamp,
    /// Which server and version, and what it calls the state (a snapshot's name, a position in its log).
    pub described: String,
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Where it is.
    pub path: PathBuf,
    /// As messages and reports show it: relative as the user wrote it.
    pub shown: String,
    /// Its size when it was opened.
    pub bytes: u64,
    /// Its modification time when it was opened.
    pub modified: Option<jiff::Timestamp>,
    /// Rows, where the format tells without reading.
    pub rows: Option<u64>,
}

/// A part of a source.
pub trait Unit: Send + Sync {
    /// For messages: the file, and where in it.
    fn place(&self) -> String;
    /// Rows, where known beforehand.
    fn rows(&self) -> Option<u64>;
    /// Bytes that reading it takes from the disk, about.
    fn bytes(&self) -> u64;
    /// Bytes of memory that reading it takes at a time, about.
    fn memory(&self, columns: &[usize]) -> u64 {
        let _ = columns;
        USUAL_MEMORY
    }
    /// Reads the named columns (indices in `Opened::schema`, ascending), always in the same row order.
    /// Every batch has exactly these columns in the order and with the types of the schema.
    ///
    /// # Errors
    /// What kept the unit from being opened at all.
    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error>;
    /// Reads only some rows, by their ascending numbers in a reading that found all of them readable, without decoding
    /// the others. None where the format gains nothing by it.
    ///
    /// # Errors
    /// What kept the unit from being opened at all.
    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let _ = (columns, rows);
        None
    }
    /// What the database of these rows offers besides; files have none.
    fn remote(&self) -> Option<&dyn Remote> {
        None
    }
}

/// What a unit yields. After an `Err` nothing follows; the rows that were not read are unknown in number.
pub type Pieces<'a> = Box<dyn Iterator<Item = Result<Piece, Error>> + Send + 'a>;

/// A step through a unit.
pub enum Piece {
    /// Rows that were read.
    Rows(RecordBatch),
    /// Rows that could not be read, between those that could.
    Unreadable(Unreadable),
}

/// A row or range that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// How many rows, at least one.
    pub rows: u64,
    /// File and line, or row group.
    pub place: String,
    /// What was seen and what was expected.
    pub problem: String,
}

/// What keeps a source from being opened or read.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Error {
    /// The file, and where in it.
    pub place: String,
    /// What was seen and what was expected.
    pub problem: String,
    /// What the reader can do now.
    pub hint: Option<String>,
}

impl Error {
    fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), hint: None }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What `open` is told besides the source.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Columns (top level) that an attribute compares under `type = "json"`: JSON sources hand these over as JSON members
    /// (`notation::Notation::JsonMember`).
    pub as_json: Vec<String>,
    /// Only columns that the contract names are compared, so that a source may hide others.
    pub declared: bool,
    /// Rows in a batch; 0: the source's choice.
    pub batch_rows: usize,
    /// What the contract says of checksums: a database may leave its rows where they are, to be asked for sums first
    /// (`Remote::is_deferred`). None: all rows are read.
    pub pushdown: Option<PushDown>,
    /// Ranges of the key are asked for one after the other: a database may leave its rows where they are until then.
    pub in_spans: bool,
    /// When the source was opened first, where it is opened again; None: now.
    pub began: Option<Instant>,
}

/// Rows in a batch where the caller does not say.
const BATCH_ROWS: usize = 8192;

/// What text formats take: a block, the columns made of it, and what is on its way.
const USUAL_MEMORY: u64 = 8 << 20;

/// Opens a source: finds its files, reads their schemas, cuts them into units.
///
/// # Errors
/// A location that is missing, empty, foreign, unreadable, or whose files cannot be united.
pub fn open(source: &Source, options: &OpenOptions) -> Result<Opened, Error> {
    let opened = open_cut(source, options, Cuts::default())?;
    if opened.schema.fields().is_empty() {
        return Err(without_columns(source.location.shown(), &opened.units));
    }
    Ok(opened)
}

fn open_cut(source: &Source, options: &OpenOptions, cuts: Cuts) -> Result<Opened, Error> {
    let (written, path) = match &source.location {
        Location::Files { written, path } => (written, path),
        Location::Database(database) => return database::open(source, database, options),
        Location::Remote { scheme, shown } => return Err(remote(scheme, shown)),
    };
    let (found, mut warnings) = locate::locate(written, path, source.format)?;
    let files =
        first_error(found.par_iter().map(|found| SourceFile::inspect(&found.path, &found.shown).map(Arc::new)))?;
    let contents = contents(source, options, cuts, &found, &files)?;
    let mut facts = Vec::with_capacity(files.len());
    let mut members = Vec::with_capacity(files.len());
    let mut file_of = Vec::new();
    for ((found, file), contents) in found.into_iter().zip(&files).zip(contents) {
        if contents.rows == Some(0) {
            warnings.push(format!("{}: has no rows", found.shown));
        }
        facts.push(FileFact {
            path: found.path,
            shown: found.shown,
            bytes: file.identity.bytes,
            modified: file.identity.modified(),
            rows: contents.rows,
        });
        file_of.extend(std::iter::repeat_n(members.len(), contents.units.len()));
        members.push(Member { file: Arc::clone(file), contents, partitions: found.partitions });
    }
    let united = unite::unite(members)?;
    warnings.extend(united.warnings);
    Ok(Opened {
        schema: united.schema,
        units: shared(united.units),
        files: facts,
        file_of,
        warnings,
        snapshot: None,
        witnesses: files,
    })
}

/// Units that clones of what was opened share.
fn shared(units: Vec<Box<dyn Unit>>) -> Vec<Arc<dyn Unit>> {
    units.into_iter().map(Into::into).collect()
}

/// The error for a source that shows no column: JSON of which no row could be read, or that has none.
fn without_columns(written: &str, units: &[Arc<dyn Unit>]) -> Error {
    for unit in units {
        let mut pieces = match unit.read(&[]) {
            Ok(pieces) => pieces,
            Err(error) => return error,
        };
        match pieces.find(|piece| !matches!(piece, Ok(Piece::Rows(_)))) {
            Some(Ok(Piece::Unreadable(first))) => {
                let problem = format!("{}; no row of the source can be read", first.problem);
                return Error::new(first.place, problem).with_hint("check that the file is what its extension says");
            }
            Some(Err(error)) => return error,
            _ => {}
        }
    }
    Error::new(written, "has no rows, and without rows this format has no columns to compare")
        .with_hint("an empty table needs a format that keeps its columns: Parquet, Arrow, or CSV with a header")
}

fn remote(scheme: &str, shown: &str) -> Error {
    let what = match scheme {
        "kafka" => "topics",
        "s3" | "gs" | "az" | "http" | "https" => "remote files",
        _ => "locations of this kind",
    };
    Error::new(
        shown,
        format!("`{scheme}:` is served by a later version, this one reads files and databases; {what} come next"),
    )
    .with_hint("export it to Parquet, Arrow, CSV or JSON files and give their path")
}

/// The contents of each file, in their order. JSON files learn their types together.
fn contents(
    source: &Source,
    options: &OpenOptions,
    cuts: Cuts,
    found: &[Found],
    files: &[Arc<SourceFile>],
) -> Result<Vec<Contents>, Error> {
    let batch_rows = if options.batch_rows == 0 { BATCH_ROWS } else { options.batch_rows };
    let opened = first_error(found.par_iter().zip(files).map(|(found, file)| {
        let compression = found.compression;
        Ok(match found.format {
            Format::Parquet => First::Contents(parquet::open(file, batch_rows)?),
            Format::Arrow => First::Contents(ipc::open(file, compression, batch_rows)?),
            Format::Csv | Format::Tsv => {
                let request =
                    csv::Request { format: found.format, compression, options: &source.csv, batch_rows, cuts };
                First::Contents(csv::open(file, &request)?)
            }
            Format::Ndjson | Format::Json => {
                First::Survey(json::survey(file, json::Request { format: found.format, compression, cuts })?)
            }
        })
    }))?;
    let mut all = json::Members::default();
    for first in &opened {
        if let First::Survey(survey) = first {
            all.merge(survey.members.clone());
        }
    }
    let columns = json::columns(&all, &options.as_json);
    let finish = |first| match first {
        First::Contents(contents) => contents,
        First::Survey(survey) => survey.contents(&columns, batch_rows),
    };
    Ok(opened.into_iter().map(finish).collect())
}

/// What the first look at a file gave.
enum First {
    Contents(Contents),
    /// JSON, whose types wait for those of the other files.
    Survey(json::Survey),
}

/// All results, or the error of the first file in their order, whatever thread met one first.
fn first_error<T: Send>(results: impl IndexedParallelIterator<Item = Result<T, Error>>) -> Result<Vec<T>, Error> {
    let results: Vec<Result<T, Error>> = results.collect();
    results.into_iter().collect()
}

/// The first bytes of a file, below its compression.
fn head(file: &SourceFile, compression: Compression) -> Result<Vec<u8>, Error> {
    const HEAD_BYTES: u64 = 64;
    let mut bytes = Vec::new();
    let stream = text::decompressed(file, compression)?;
    stream.take(HEAD_BYTES).read_to_end(&mut bytes).map_err(|error| text::stream_error(file, compression, &error))?;
    Ok(bytes)
}

/// Checks that a file is still what it was when it was opened (size, modification time, identity).
///
/// # Errors
/// That it changed while it was read.
pub fn unchanged(opened: &Opened) -> Result<(), Error> {
    opened.witnesses.iter().try_for_each(|file| file.unchanged())
}

/// Whether a source's files are those that were opened, and still what they were then. Of a database that is never known.
#[must_use]
pub fn is_unchanged(source: &Source, opened: &Opened) -> bool {
    let Location::Files { written, path } = &source.location else { return false };
    let Ok((found, _)) = locate::locate(written, path, source.format) else { return false };
    let same = found.iter().map(|found| &found.path).eq(opened.files.iter().map(|file| &file.path));
    same && unchanged(opened).is_ok()
}

/// How many columns of databases were met that hold values which their usual type cannot. Where there are more than before,
/// the source that failed is worth opening again.
#[must_use]
pub fn widened() -> usize {
    database::widened()
}

/// When the snapshot was taken, as far as it is known without reading rows: `captured_at = { column = … }` gives None
/// here, because it is the greatest value of that column.
///
/// # Errors
/// A file without a modification time that can be written.
pub fn captured_at(source: &Source, opened: &Opened) -> Result<Option<jiff::Timestamp>, Error> {
    match &source.captured_at {
        CapturedAt::At(instant) => Ok(Some(*instant)),
        CapturedAt::SourceTells => Ok(opened.snapshot.as_ref().map(|snapshot| snapshot.taken_at)),
        CapturedAt::Column(_) => Ok(None),
        CapturedAt::FileModified => {
            let instants = opened.files.iter().map(|file| {
                file.modified.ok_or_else(|| Error::new(&file.shown, "has no modification time, expected one"))
            });
            Ok(instants.collect::<Result<Vec<_>, _>>()?.into_iter().min())
        }
    }
}

/// What an unchanged file has and another has not: 32 bytes of path, device, inode, size, both times in nanoseconds, and the
/// file's edges. None where it was changed so shortly before `before` that a later change might not show.
///
/// # Errors
/// A file that changed or cannot be read.
pub fn identities(opened: &Opened, before: jiff::Timestamp) -> Result<Vec<Option<[u8; 32]>>, Error> {
    first_error(opened.witnesses.par_iter().map(|file| file::identify(file, before)))
}

/// The BLAKE3 of each file's content in hex, in the order of `Opened::files`; where it is `known`, that. `told` of every byte
/// that is read.
///
/// # Errors
/// A file that changed or cannot be read.
pub fn digest_files(
    opened: &Opened,
    known: impl Fn(usize) -> Option<String> + Sync,
    told: &(dyn Fn(u64) + Sync),
) -> Result<Vec<String>, Error> {
    let files = opened.witnesses.par_iter().enumerate();
    first_error(files.map(|(index, file)| known(index).map_or_else(|| digest_file(file, told), Ok)))
}

fn digest_file(file: &SourceFile, told: &(dyn Fn(u64) + Sync)) -> Result<String, Error> {
    const BLOCK_BYTES: usize = 4 << 20;
    let handle = file.open()?;
    let mut hasher = blake3::Hasher::new();
    let mut position = 0;
    let mut block = vec![0; BLOCK_BYTES];
    while position < handle.length() {
        let wanted = usize::try_from(handle.length() - position).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        handle.read_exact_at(&mut block[..wanted], position).map_err(|error| file.read_error(&error))?;
        hasher.update_rayon(&block[..wanted]);
        position += wanted as u64;
        told(wanted as u64);
    }
    file.unchanged()?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Keeps the panics of decoders on malformed data, which are caught and become problems with a place, from being printed
/// as well. The binary calls it once at its start, after any hook of its own.
pub fn silence_decoder_panics() {
    guard::silence();
}

/// Reads arbitrary bytes as CSV; nothing may panic.
#[doc(hidden)]
pub fn fuzz_csv(bytes: &[u8]) {
    csv::fuzz(bytes);
}

/// Reads arbitrary bytes as JSON; nothing may panic.
#[doc(hidden)]
pub fn fuzz_json(bytes: &[u8]) {
    json::fuzz(bytes);
}
