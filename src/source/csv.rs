//! Reads delimited text by RFC 4180, and says of every record that does not keep to it where it lies.
//!
//! All columns are text. An unquoted empty field is NULL and a quoted one is `''`, unless `csv.null` lists the texts
//! that are NULL. Blank lines are skipped, but in a file of one column a blank line is an empty field, since nothing else
//! could stand for it. It never drops a record and never interprets a value.
//!
//! A quote opens a field only at the field's start. That one rule, kept alike by [`scan::QuoteScan`] and
//! [`record::Parser`], makes the cut into units and the records themselves agree, also in broken files.

use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::contract::{CsvOptions, Format};

use super::file::SourceFile;
use super::format::{Compression, foreign, not};
use super::text::{
    Block, Blocks, Cuts, Plain, Range, RowPieces, RowReader, Step, Steps, Stream, cut_at_lines, decoded, stream_error,
};
use super::unite::Contents;
use super::{Error, Piece, Pieces, Unit, Unreadable};

mod columns;
mod marks;
mod record;
mod scan;
#[cfg(test)]
mod tests;

use columns::Columns;
use marks::Marks;
use record::{Outcome, Parser};
use scan::QuoteScan;

/// What is asked of a file of delimited text.
#[derive(Clone, Debug)]
pub(super) struct Request<'a> {
    /// `Csv` or `Tsv`.
    pub(super) format: Format,
    /// Its compression.
    pub(super) compression: Compression,
    /// `csv = { … }`.
    pub(super) options: &'a CsvOptions,
    /// Rows in a batch.
    pub(super) batch_rows: usize,
    /// How it is cut.
    pub(super) cuts: Cuts,
}

/// Opens a file of delimited text.
///
/// # Errors
/// A file that is foreign, unreadable, without a usable header.
pub(super) fn open(file: &Arc<SourceFile>, request: &Request<'_>) -> Result<Contents, Error> {
    let delimiter = delimiter(file, request)?;
    let mark = check_start(file, request)?;
    let (names, data) = header(file, request, delimiter)?;
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let layout = Arc::new(Layout {
        file: Arc::clone(file),
        compression: request.compression,
        encoding: request.options.encoding,
        delimiter,
        null: request.options.null.clone(),
        schema: Arc::new(Schema::new(fields)),
        batch_rows: request.batch_rows,
        cuts: request.cuts,
    });
    let units = units(&layout, data, mark)?;
    Ok(Contents { schema: Arc::clone(&layout.schema), units, rows: None, warnings: Vec::new() })
}

/// What all units of a file share.
struct Layout {
    file: Arc<SourceFile>,
    compression: Compression,
    encoding: &'static Encoding,
    delimiter: u8,
    null: Option<Vec<String>>,
    schema: SchemaRef,
    batch_rows: usize,
    cuts: Cuts,
}

/// Where the data begin in the decoded text, after the header.
#[derive(Clone, Copy)]
struct DataStart {
    offset: u64,
    line: u64,
}

fn delimiter(file: &SourceFile, request: &Request<'_>) -> Result<u8, Error> {
    let usual = if request.format == Format::Tsv { b'\t' } else { b',' };
    let delimiter = request.options.delimiter.unwrap_or(usual);
    if matches!(delimiter, b'"' | b'\n' | b'\r') || !delimiter.is_ascii() {
        let shown = std::ascii::escape_default(delimiter);
        return Err(file.error(format!(
            "`csv.delimiter` is `{shown}`, expected an ASCII character that is no quote and no line end"
        )));
    }
    Ok(delimiter)
}

/// Refuses content that is no such text; the length of a UTF-8 byte order mark in a plain file.
fn check_start(file: &SourceFile, request: &Request<'_>) -> Result<u64, Error> {
    let head = super::head(file, Compression::None)?;
    let is_compressed = match request.compression {
        Compression::None => true,
        Compression::Gzip => head.starts_with(b"\x1F\x8B"),
        Compression::Zstd => head.starts_with(b"\x28\xB5\x2F\xFD"),
    };
    if !is_compressed {
        return Err(not(file, &head, request.format, request.compression));
    }
    let head = super::head(file, request.compression)?;
    if head.is_empty() {
        return Err(file.error("is empty below its compression, expected data"));
    }
    let declared = request.options.encoding;
    let marked = Encoding::for_bom(&head).map(|(encoding, _)| encoding);
    if let Some(marked) = marked
        && marked != declared
    {
        return Err(file
            .error(format!(
                "begins with the byte order mark of {}, expected text in {}",
                marked.name(),
                declared.name()
            ))
            .with_hint(format!("say csv = {{ encoding = \"{}\" }}", marked.name().to_lowercase())));
    }
    let is_wide = [UTF_16LE, UTF_16BE].contains(&declared);
    if foreign(&head).is_some() || (!is_wide && head.iter().take(4).any(|byte| *byte == 0)) {
        return Err(not(file, &head, request.format, request.compression));
    }
    Ok(if marked == Some(UTF_8) { 3 } else { 0 })
}

/// The names of the columns, and where the data begin.
fn header(file: &SourceFile, request: &Request<'_>, delimiter: u8) -> Result<(Vec<String>, DataStart), Error> {
    let reader = decoded(file, request.compression, request.options.encoding)?;
    let mut blocks = Blocks::Stream(Box::new(Stream::new(reader, 1, request.cuts)));
    let mut scan = QuoteScan::new(delimiter);
    let mut offset = 0;
    while let Some(block) = blocks.next(file, request.compression, &mut scan, Vec::new())? {
        let mut parser = Parser::new(delimiter);
        parser.begin(block.bytes, block.first_line);
        while let Some(outcome) = parser.next_record() {
            let place = format!("{}, line {}", file.shown, parser.record_line());
            match outcome {
                Outcome::Blank => {}
                Outcome::Bad(problem) => {
                    return Err(Error::new(place, format!("{problem}, expected the names of the columns")));
                }
                Outcome::Fields if request.options.header => {
                    let names = names(&parser, &place)?;
                    let start = DataStart { offset: offset + parser.position() as u64, line: parser.line() };
                    return Ok((names, start));
                }
                Outcome::Fields => {
                    let names = (1..=parser.field_count()).map(|number| format!("column_{number}")).collect();
                    return Ok((names, DataStart { offset: 0, line: 1 }));
                }
            }
        }
        offset += parser.position() as u64;
    }
    Err(file.error("holds only blank lines, expected a header or a record"))
}

fn names(parser: &Parser, place: &str) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::with_capacity(parser.field_count());
    for index in 0..parser.field_count() {
        let bytes = parser.field(index);
        let number = index + 1;
        let name = String::from_utf8(bytes).map_err(|_| {
            Error::new(place, format!("the name of column {number} is not text in the declared encoding"))
        })?;
        if name.contains('\r') {
            return Err(Error::new(place, "lines end in a carriage return alone, expected a line feed")
                .with_hint("convert the line ends"));
        }
        if name.is_empty() {
            return Err(Error::new(place, format!("column {number} has no name, expected one for each column"))
                .with_hint("name it in the header, or say csv = { header = false }"));
        }
        if let Some(first) = names.iter().position(|known| *known == name) {
            return Err(Error::new(
                place,
                format!("columns {} and {number} are both named `{name}`, expected each name once", first + 1),
            ));
        }
        names.push(name);
    }
    Ok(names)
}

fn units(layout: &Arc<Layout>, data: DataStart, mark: u64) -> Result<Vec<Box<dyn Unit>>, Error> {
    let file = &layout.file;
    if layout.compression != Compression::None || layout.encoding != UTF_8 {
        return Ok(vec![Box::new(CsvUnit::new(layout, Extent::Stream(data)))]);
    }
    let whole = Range { start: data.offset + mark, end: file.identity.bytes, first_line: data.line };
    let ranges = cut_at_lines(file, whole, &QuoteScan::new(layout.delimiter), layout.cuts)?;
    let mut units: Vec<Box<dyn Unit>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        units.push(Box::new(CsvUnit::new(layout, Extent::Range(range))));
    }
    Ok(units)
}

/// What a unit covers.
#[derive(Clone, Copy)]
enum Extent {
    Range(Range),
    Stream(DataStart),
}

struct CsvUnit {
    layout: Arc<Layout>,
    extent: Extent,
    /// Where rows begin, from the first reading that came to the end.
    steps: OnceLock<Steps>,
}

impl CsvUnit {
    fn new(layout: &Arc<Layout>, extent: Extent) -> Self {
        Self { layout: Arc::clone(layout), extent, steps: OnceLock::new() }
    }

    fn rows_of<'a>(&'a self, blocks: Blocks, columns: &[usize]) -> Result<CsvRows<'a>, Error> {
        let layout = &*self.layout;
        Ok(CsvRows {
            layout,
            blocks,
            scan: QuoteScan::new(layout.delimiter),
            parser: Parser::new(layout.delimiter),
            marks: Marks::default(),
            alike: 0,
            offset: 0,
            rows: 0,
            steps: Steps::default(),
            learnt: &self.steps,
            columns: Columns::new(&layout.schema, columns, layout.null.as_deref())?,
        })
    }

    /// The named rows in one batch, each found from the step before it.
    fn fetch(&self, range: Range, steps: &Steps, columns: &[usize], rows: &[u64]) -> Result<RecordBatch, Error> {
        let mut found = self.rows_of(Blocks::Plain(Plain::new(range, self.layout.cuts)), columns)?;
        let mut taken = 0;
        let mut left = rows;
        while let Some((first, start, end)) = left.first().and_then(|row| steps.around(*row)) {
            let (start, end) = (range.start + start, end.map_or(range.end, |end| range.start + end));
            found.parser.begin(self.layout.file.range(start, end)?, range.first_line);
            let (mut row, before) = (first, left.len());
            while let (Some(wanted), Some(outcome)) = (left.first(), found.parser.next_record()) {
                if outcome == Outcome::Blank && self.layout.schema.fields().len() > 1 {
                    continue;
                }
                if row == *wanted {
                    left = &left[1..];
                    if outcome == Outcome::Fields || outcome == Outcome::Blank {
                        taken += usize::from(matches!(found.take(), Step::Rows(1)));
                    }
                }
                row += 1;
            }
            // Rows that are not where they were: the caller counts, and says so.
            if left.len() == before {
                break;
            }
        }
        found.take_batch(taken)
    }
}

impl Unit for CsvUnit {
    fn place(&self) -> String {
        match self.extent {
            Extent::Range(range) => format!("{}, from line {}", self.layout.file.shown, range.first_line),
            Extent::Stream(_) => self.layout.file.shown.clone(),
        }
    }

    fn rows(&self) -> Option<u64> {
        None
    }

    fn bytes(&self) -> u64 {
        match self.extent {
            Extent::Range(range) => range.end - range.start,
            Extent::Stream(_) => self.layout.file.identity.bytes,
        }
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let layout = &self.layout;
        let blocks = match self.extent {
            Extent::Range(range) => Blocks::Plain(Plain::new(range, layout.cuts)),
            Extent::Stream(data) => {
                let mut reader = decoded(&layout.file, layout.compression, layout.encoding)?;
                std::io::copy(&mut std::io::Read::take(&mut reader, data.offset), &mut std::io::sink())
                    .map_err(|error| stream_error(&layout.file, layout.compression, &error))?;
                Blocks::Stream(Box::new(Stream::new(reader, data.line, layout.cuts)))
            }
        };
        Ok(Box::new(RowPieces::new(self.rows_of(blocks, columns)?, layout.batch_rows)))
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let Extent::Range(range) = self.extent else { return None };
        let batch = self.fetch(range, self.steps.get()?, columns, rows);
        Some(batch.map(|batch| Box::new(std::iter::once(Ok(Piece::Rows(batch)))) as Pieces<'_>))
    }
}

struct CsvRows<'a> {
    layout: &'a Layout,
    blocks: Blocks,
    scan: QuoteScan,
    parser: Parser,
    /// The fields of the current block, where its records are all alike.
    marks: Marks,
    /// Records of those that were taken.
    alike: usize,
    /// Where the current block begins in its unit.
    offset: u64,
    /// Rows so far.
    rows: u64,
    steps: Steps,
    learnt: &'a OnceLock<Steps>,
    columns: Columns,
}

impl CsvRows<'_> {
    fn unreadable(&self, problem: String) -> Step {
        let place = format!("{}, line {}", self.layout.file.shown, self.parser.record_line());
        Step::Unreadable(Unreadable { rows: 1, place, problem })
    }

    /// Checks the whole record, whatever columns are asked for, and takes those that are.
    fn take(&mut self) -> Step {
        let expected = self.layout.schema.fields().len();
        let seen = self.parser.field_count();
        if seen != expected {
            let fields = if seen == 1 { "field" } else { "fields" };
            return self.unreadable(format!("has {seen} {fields}, expected {expected}"));
        }
        if let Some((field, byte)) = self.parser.undecoded() {
            let name = self.layout.schema.field(field).name();
            let encoding = self.layout.encoding.name();
            return self.unreadable(format!("column `{name}`, byte {byte} of the record: is not {encoding}"));
        }
        self.columns.append(&self.parser);
        self.steps.note(self.rows, self.offset + self.parser.record_start() as u64);
        self.rows += 1;
        Step::Rows(1)
    }

    /// Takes records of a block in which they are all alike.
    fn take_alike(&mut self, text_records: usize, at_most: usize) -> Step {
        let until = text_records.min(self.alike + at_most);
        for record in self.alike..until {
            self.steps.note(self.rows, self.offset + self.marks.start_of(record) as u64);
            self.rows += 1;
        }
        self.columns.append_alike(self.parser.bytes(), &self.marks, self.alike..until);
        let taken = until - self.alike;
        self.alike = until;
        Step::Rows(taken)
    }

    /// Goes on to the next block; false at the end.
    fn next_block(&mut self) -> Result<bool, Error> {
        let spent = self.parser.take_spent();
        let block = self.blocks.next(&self.layout.file, self.layout.compression, &mut self.scan, spent)?;
        let Some(Block { bytes, first_line, offset }) = block else {
            let _ = self.learnt.set(std::mem::take(&mut self.steps));
            return Ok(false);
        };
        self.offset = offset;
        self.parser.begin(bytes, first_line);
        self.alike = 0;
        self.marks.clear();
        // Of one field a blank line is a record, which marks do not tell from the end of a text.
        let width = self.layout.schema.fields().len();
        let (text, has_quotes) = (self.parser.bytes(), self.parser.has_quotes());
        if width > 1 && self.parser.is_utf8() && self.marks.take_over(text, self.layout.delimiter, has_quotes, width) {
            self.parser.skip_all();
        }
        Ok(true)
    }
}

impl RowReader for CsvRows<'_> {
    fn next_rows(&mut self, at_most: usize) -> Result<Step, Error> {
        loop {
            let alike = self.marks.records();
            if self.alike < alike {
                return Ok(self.take_alike(alike, at_most));
            }
            match self.parser.next_record() {
                Some(Outcome::Fields) => return Ok(self.take()),
                Some(Outcome::Bad(problem)) => return Ok(self.unreadable(problem)),
                Some(Outcome::Blank) => {
                    if self.layout.schema.fields().len() == 1 {
                        return Ok(self.take());
                    }
                }
                None if self.next_block()? => {}
                None => return Ok(Step::End),
            }
        }
    }

    fn pending_bytes(&self) -> usize {
        self.columns.bytes()
    }

    fn take_batch(&mut self, rows: usize) -> Result<RecordBatch, Error> {
        self.columns.finish(rows).map_err(|error| self.layout.file.error(format!("makes no batch: {error}")))
    }
}

/// Reads arbitrary bytes as delimited text, once whole and once in small units; for fuzzing, which asks that nothing
/// panics and that both give the same number of rows.
pub(super) fn fuzz(bytes: &[u8]) {
    let mut whole = Parser::new(b',');
    whole.begin(bytes.to_vec(), 1);
    let mut records = 0_u64;
    while whole.next_record().is_some() {
        records += 1;
        for index in 0..whole.field_count() {
            let _ = whole.field(index);
        }
        let _ = whole.undecoded();
    }
    let mut scan = QuoteScan::new(b',');
    let reader = Box::new(std::io::Cursor::new(bytes.to_vec()));
    let mut stream = Stream::new(reader, 1, Cuts { unit_bytes: 1, block_bytes: 1 });
    let mut in_blocks = 0_u64;
    while let Ok(Some(block)) = stream.next_block(&mut scan, Vec::new()) {
        let mut parser = Parser::new(b',');
        parser.begin(block.bytes, block.first_line);
        while parser.next_record().is_some() {
            in_blocks += 1;
        }
    }
    assert_eq!(records, in_blocks, "the cut into blocks changes the number of records");
}
