//! Opens a location and hands over an Arrow schema and units of record batches that can be read in parallel, again and
//! again in the same numbering. Never compares, never guesses a value: what cannot be read is said, not dropped.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::contract::Source;

/// A source that has been opened.
pub struct Opened {
    /// All files united by column name.
    pub schema: SchemaRef,
    /// Parts that can be read in parallel. Their order and cut depend only on the files.
    pub units: Vec<Box<dyn Unit>>,
    /// What was opened, for progress, manifest and freshness.
    pub files: Vec<FileFact>,
    /// What is worth a word: an empty glob match, a file without rows, …
    pub warnings: Vec<String>,
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
    /// Reads the named columns (indices in `Opened::schema`, ascending), always in the same row order.
    /// Every batch has exactly these columns in the order and with the types of the schema.
    ///
    /// # Errors
    /// What kept the unit from being opened at all.
    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error>;
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

/// What `open` is told besides the source.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Columns (top level) that an attribute compares under `type = "json"`: JSON sources hand these over as JSON members
    /// (`notation::Notation::JsonMember`).
    pub as_json: Vec<String>,
    /// Rows in a batch; 0: the source's choice.
    pub batch_rows: usize,
}

/// Opens a source: finds its files, reads their schemas, cuts them into units.
///
/// # Errors
/// A location that is missing, empty, foreign, unreadable, or whose files cannot be united.
pub fn open(source: &Source, options: &OpenOptions) -> Result<Opened, Error> {
    let _ = (source, options);
    todo!()
}

/// Checks that a file is still what it was when it was opened (size, modification time, identity).
///
/// # Errors
/// That it changed while it was read.
pub fn unchanged(opened: &Opened) -> Result<(), Error> {
    let _ = opened;
    todo!()
}

/// Digests.
///
/// # Errors
/// Reading.
pub fn digest_files(opened: &Opened) -> Result<Vec<String>, Error> {
    let _ = opened;
    todo!()
}

/// Captured.
///
/// # Errors
/// Reading.
pub fn captured_at(source: &Source, opened: &Opened) -> Result<Option<jiff::Timestamp>, Error> {
    let _ = (source, opened);
    todo!()
}
