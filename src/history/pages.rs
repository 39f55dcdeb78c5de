//! A published run's divergences, a block of lines at a time and from anywhere in the file, so that a person can look at
//! millions of them in little memory. The file is held against the manifest before it is read. It never changes a run.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::file::metadata::PageIndexPolicy;

use super::findings::{Finding, finding};
use super::manifest::{self, Manifest};
use super::place::{at, invalid};
use super::trail::open_file;

const FILE: &str = "divergences.parquet";
/// Columns that tell which group a line is of.
const GROUPING: [&str; 5] = ["contract", "kind", "severity", "attribute", "cause"];
/// Columns of a line that are looked through for a text, besides those.
const TEXTS: [&str; 4] = ["reason", "key", "authority_value", "projection_value"];
/// Lines that are decoded at once: values may be long.
const BATCH: usize = 256;

/// The lines of a run's `divergences.parquet`.
#[derive(Debug)]
pub struct Pages {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    /// The first line of each row group, and the number of all lines.
    starts: Vec<u64>,
}

/// A line without what was not asked for; None for NULL.
#[derive(Clone, Copy)]
pub struct LineRef<'a> {
    columns: &'a Columns,
    row: usize,
}

/// Columns of a batch, each where it is there.
struct Columns([Option<StringArray>; 9]);

impl Pages {
    /// Opens the divergences of a run: a run id, a unique prefix, `latest`, or a path.
    ///
    /// # Errors
    /// That there is no such run, or that the file was changed or cannot be read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(manifest::FILE);
        let manifest =
            Manifest::parse(&fs::read(&path).map_err(at(&path))?).map_err(|problem| invalid(&path, problem))?;
        let file = open_file(folder, &manifest.files, FILE, &|_| {})?;
        let file = file.ok_or_else(|| invalid(&path, format!("lists no {FILE}")))?;
        let path = folder.join(FILE);
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(|error| invalid(&path, error))?;
        let mut starts = vec![0];
        for group in metadata.metadata().row_groups() {
            starts.push(starts[starts.len() - 1] + u64::try_from(group.num_rows()).unwrap_or(0));
        }
        Ok(Self { path, file, metadata, starts })
    }

    /// How many lines there are.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// Tells the lines of `range` in their order. Of values and keys at most `longest` bytes are told, and where there are more,
    /// how many.
    ///
    /// # Errors
    /// What kept them from being read.
    pub fn each(&self, range: Range<u64>, longest: usize, tell: &mut dyn FnMut(u64, Finding)) -> io::Result<()> {
        let mut line = range.start;
        for batch in self.batches(&range, None)? {
            let batch = batch.map_err(|error| invalid(&self.path, error))?;
            for row in 0..batch.num_rows() {
                let mut found = finding(&batch, row);
                let Finding { key, authority_value, projection_value, .. } = &mut found;
                for text in [key, authority_value, projection_value].into_iter().flatten() {
                    cut(text, longest);
                }
                tell(line, found);
                line += 1;
            }
        }
        Ok(())
    }

    /// Looks at the lines of `range` in their order, as long as `look` wants more. Texts are read only where they are asked for.
    ///
    /// # Errors
    /// What kept them from being read.
    pub fn look(
        &self,
        range: Range<u64>,
        texts: bool,
        look: &mut dyn FnMut(u64, LineRef<'_>) -> bool,
    ) -> io::Result<()> {
        let names: Vec<&str> = GROUPING.iter().chain(TEXTS.iter().filter(|_| texts)).copied().collect();
        let mut line = range.start;
        for batch in self.batches(&range, Some(&names))? {
            let batch = batch.map_err(|error| invalid(&self.path, error))?;
            let columns = Columns::of(&batch);
            for row in 0..batch.num_rows() {
                if !look(line, LineRef { columns: &columns, row }) {
                    return Ok(());
                }
                line += 1;
            }
        }
        Ok(())
    }

    fn batches(&self, range: &Range<u64>, columns: Option<&[&str]>) -> io::Result<ParquetRecordBatchReader> {
        let range = range.start.min(self.lines())..range.end.min(self.lines());
        let groups: Vec<usize> = (0..self.starts.len() - 1)
            .filter(|group| self.starts[*group] < range.end && self.starts[group + 1] > range.start)
            .collect();
        let before = groups.first().map_or(0, |group| range.start - self.starts[*group]);
        let length = if groups.is_empty() { 0 } else { range.end - range.start };
        let rows = |lines: u64| usize::try_from(lines).unwrap_or(usize::MAX);
        let selection = RowSelection::from(vec![RowSelector::skip(rows(before)), RowSelector::select(rows(length))]);
        let file = self.file.try_clone().map_err(at(&self.path))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = match columns {
            Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
            None => ProjectionMask::all(),
        };
        let builder = builder.with_row_groups(groups).with_row_selection(selection).with_projection(mask);
        // Where no values are read a batch may be larger.
        let batch = if columns.is_some_and(|columns| columns.len() == GROUPING.len()) { 8192 } else { BATCH };
        builder.with_batch_size(batch).build().map_err(|error| invalid(&self.path, error))
    }
}

/// Cuts what is too long to be held for a person.
fn cut(text: &mut String, longest: usize) {
    if text.len() > longest {
        let bytes = text.len();
        text.truncate((0..=longest).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0));
        text.shrink_to_fit();
        text.push_str(&format!("… ({bytes} bytes)"));
    }
}

impl Columns {
    fn of(batch: &RecordBatch) -> Self {
        let names: Vec<&str> = GROUPING.into_iter().chain(TEXTS).collect();
        Self(std::array::from_fn(|index| batch.column_by_name(names[index])?.as_string_opt::<i32>().cloned()))
    }
}

impl<'a> LineRef<'a> {
    fn get(self, column: usize) -> Option<&'a str> {
        let column = self.columns.0[column].as_ref()?;
        column.is_valid(self.row).then(|| column.value(self.row))
    }

    /// Contract, kind, severity, attribute, cause.
    #[must_use]
    pub fn grouping(self) -> [Option<&'a str>; 5] {
        std::array::from_fn(|column| self.get(column))
    }

    /// Whatever of it was read.
    pub fn texts(self) -> impl Iterator<Item = &'a str> {
        (0..self.columns.0.len()).filter_map(move |column| self.get(column))
    }
}
