//! Reads JSON: an object a line, or one array of objects.
//!
//! Opening reads all of it once to learn the types, which are those of the whole source: one pass in parallel over plain
//! files, a stream over compressed ones. A line or element that is no sound object is said with its place and never
//! dropped; the rules for that do not depend on the columns that are asked for.

use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use encoding_rs::UTF_8;
use rayon::prelude::*;
use serde_json::value::RawValue;

use crate::contract::Format;

use super::file::SourceFile;
use super::format::{Compression, not};
use super::text::{
    Block, Blocks, Boundaries, Cuts, Lines, Plain, Range, RowPieces, RowReader, Step, Steps, Stream, cut, decoded,
    line_ranges, stream_error,
};
use super::unite::Contents;
use super::{Error, Piece, Pieces, Unit, Unreadable};

mod build;
mod elements;
mod flat;
mod record;
mod records;
mod shape;
#[cfg(test)]
mod tests;

use build::Rows;
use elements::ArrayScan;
use flat::Flat;
use record::{Problem, object};
use records::{Record, Records};
pub(super) use shape::Members;
use shape::Shape;

/// How a file of JSON is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// `Ndjson` or `Json`.
    pub(super) format: Format,
    /// Its compression.
    pub(super) compression: Compression,
    /// How it is cut.
    pub(super) cuts: Cuts,
}

/// What the first pass over a file learnt.
pub(super) struct Survey {
    file: Arc<SourceFile>,
    request: Request,
    extents: Vec<Extent>,
    /// The types of its members.
    pub(super) members: Members,
    rows: u64,
}

/// What a unit covers.
#[derive(Clone, Copy, Debug)]
enum Extent {
    Range(Range, u64),
    /// Offsets in the decompressed text.
    Stream(Range, u64),
}

/// Reads a file once to learn its types.
///
/// # Errors
/// A file that is foreign, unreadable, or no array where one was expected.
pub(super) fn survey(file: &Arc<SourceFile>, request: Request) -> Result<Survey, Error> {
    let raw = super::head(file, Compression::None)?;
    let compressed_alike = match request.compression {
        Compression::None => true,
        Compression::Gzip => raw.starts_with(b"\x1F\x8B"),
        Compression::Zstd => raw.starts_with(b"\x28\xB5\x2F\xFD"),
    };
    if !compressed_alike {
        return Err(not(file, &raw, request.format, request.compression));
    }
    let head = super::head(file, request.compression)?;
    if head.is_empty() {
        return Err(file.error("is empty below its compression, expected data"));
    }
    if super::format::foreign(&head).is_some() || head.iter().take(4).any(|byte| *byte == 0) {
        return Err(not(file, &head, request.format, request.compression));
    }
    let mark = if head.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let learnt = match (request.format, request.compression) {
        (Format::Json, Compression::None) => survey_array(file, request, mark)?,
        (Format::Json, _) => survey_array_stream(file, request)?,
        (_, Compression::None) => survey_lines(file, request, mark)?,
        (_, _) => survey_line_stream(file, request)?,
    };
    if request.format != Format::Json && learnt.objects == 0 && learnt.rows > 0 {
        let first = head[usize::try_from(mark).unwrap_or(0)..].iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            return Err(file
                .error("begins with `[` and has no line that is an object, expected an object a line")
                .with_hint("say format = \"json\" for one array of objects"));
        }
    }
    let Learnt { members, extents, rows, .. } = learnt;
    Ok(Survey { file: Arc::clone(file), request, extents, members, rows })
}

struct Learnt {
    members: Members,
    extents: Vec<Extent>,
    rows: u64,
    objects: u64,
}

/// The types of the records in a block.
#[derive(Default)]
struct BlockFacts {
    members: Members,
    rows: u64,
    objects: u64,
    lines: u64,
}

/// How the parts of a plain file are read: lines in blocks, elements of an array a whole part at once, because they are
/// not told apart as cheaply.
fn block_cuts(format: Format, cuts: Cuts) -> Cuts {
    if format == Format::Json { Cuts { block_bytes: usize::MAX, ..cuts } } else { cuts }
}

fn learn(records: &mut Records, block: Block, facts: &mut BlockFacts) {
    facts.lines += super::text::count_lines(&block.bytes);
    records.begin(block);
    let mut flat = Flat::new();
    let mut entries = Vec::new();
    while let Some(record) = records.next_record() {
        facts.rows += 1;
        if let Some(members) = records.text(&record).and_then(|text| flat.members(text)) {
            facts.objects += 1;
            facts.members.absorb_flat(&entries, members);
            continue;
        }
        let mut members = Vec::new();
        if object(records.bytes(&record), &mut members).is_ok() {
            facts.objects += 1;
            facts.members.absorb(&members);
            if flat.learn(&members) {
                entries = facts.members.entries_of(flat.names());
            }
        }
    }
}

fn learn_ranges(file: &SourceFile, format: Format, cuts: Cuts, ranges: Vec<Range>) -> Result<Learnt, Error> {
    let facts: Vec<Result<BlockFacts, Error>> = ranges
        .par_iter()
        .map(|range| {
            let mut blocks = Blocks::Plain(Plain::new(*range, block_cuts(format, cuts)));
            let mut facts = BlockFacts::default();
            let mut records = Records::new(format);
            while let Some(block) = blocks.next(file, Compression::None, &mut Lines, records.take_spent())? {
                learn(&mut records, block, &mut facts);
            }
            Ok(facts)
        })
        .collect();
    let mut learnt = Learnt { members: Members::default(), extents: Vec::new(), rows: 0, objects: 0 };
    let mut line = ranges.first().map_or(1, |range| range.first_line);
    for (range, facts) in ranges.into_iter().zip(facts) {
        let facts = facts?;
        // Ranges of lines are cut without being read, so that their line numbers are known only now.
        learnt.extents.push(Extent::Range(Range { first_line: line, ..range }, facts.rows));
        line += facts.lines;
        learnt.rows += facts.rows;
        learnt.objects += facts.objects;
        learnt.members.merge(facts.members);
    }
    Ok(learnt)
}

fn survey_lines(file: &SourceFile, request: Request, mark: u64) -> Result<Learnt, Error> {
    let whole = Range { start: mark, end: file.identity.bytes, first_line: 1 };
    let ranges = line_ranges(file, whole, request.cuts)?;
    learn_ranges(file, request.format, request.cuts, ranges)
}

fn survey_line_stream(file: &SourceFile, request: Request) -> Result<Learnt, Error> {
    let reader = decoded(file, request.compression, UTF_8)?;
    let mut blocks = Blocks::Stream(Box::new(Stream::new(reader, 1, request.cuts)));
    let mut learnt = Learnt { members: Members::default(), extents: Vec::new(), rows: 0, objects: 0 };
    let mut records = Records::new(request.format);
    while let Some(block) = blocks.next(file, request.compression, &mut Lines, records.take_spent())? {
        let mut facts = BlockFacts::default();
        learn(&mut records, block, &mut facts);
        learnt.rows += facts.rows;
        learnt.objects += facts.objects;
        learnt.members.merge(facts.members);
    }
    learnt.extents.push(Extent::Stream(Range { start: 0, end: u64::MAX, first_line: 1 }, learnt.rows));
    Ok(learnt)
}

/// Skips white space and the opening bracket; how many bytes and lines they are.
fn skip_opening(file: &SourceFile, compression: Compression, reader: &mut dyn Read) -> Result<(u64, u64), Error> {
    let (mut bytes, mut lines) = (0, 0);
    let mut byte = [0];
    loop {
        let read = reader.read(&mut byte).map_err(|error| stream_error(file, compression, &error))?;
        if read == 0 {
            return Err(file.error("holds only white space, expected `[` and objects"));
        }
        bytes += 1;
        match byte[0] {
            b'[' => return Ok((bytes, lines)),
            b'\n' => lines += 1,
            b' ' | b'\t' | b'\r' => {}
            b'{' => {
                return Err(file
                    .error("begins with `{`, expected `[`: an array of objects")
                    .with_hint("say format = \"ndjson\" for an object a line"));
            }
            other => {
                let shown = std::ascii::escape_default(other);
                return Err(file.error(format!("begins with `{shown}`, expected `[`: an array of objects")));
            }
        }
    }
}

fn survey_array(file: &SourceFile, request: Request, mark: u64) -> Result<Learnt, Error> {
    let mut reader = decoded(file, Compression::None, UTF_8)?;
    let (opening, lines) = skip_opening(file, Compression::None, &mut reader)?;
    let start = mark + opening;
    let whole = Range { start, end: file.identity.bytes, first_line: 1 + lines };
    let mut scan = ArrayScan::default();
    let mut ranges = cut(file, whole, &mut scan, request.cuts)?;
    let end = start + closed(file, &scan)?;
    ranges.retain(|range| range.start < end);
    if let Some(last) = ranges.last_mut() {
        last.end = end;
    }
    let first_lines: Vec<u64> = ranges.iter().map(|range| range.first_line).collect();
    let mut learnt = learn_ranges(file, request.format, request.cuts, ranges)?;
    for (extent, line) in learnt.extents.iter_mut().zip(first_lines) {
        if let Extent::Range(range, _) = extent {
            range.first_line = line;
        }
    }
    Ok(learnt)
}

fn survey_array_stream(file: &SourceFile, request: Request) -> Result<Learnt, Error> {
    let mut reader = decoded(file, request.compression, UTF_8)?;
    let (start, lines) = skip_opening(file, request.compression, &mut reader)?;
    let mut blocks = Blocks::Stream(Box::new(Stream::new(reader, 1 + lines, request.cuts)));
    let mut scan = ArrayScan::default();
    let mut learnt = Learnt { members: Members::default(), extents: Vec::new(), rows: 0, objects: 0 };
    let mut seen = 0;
    let mut records = Records::new(request.format);
    while let Some(mut block) = blocks.next(file, request.compression, &mut scan, records.take_spent())? {
        let length = block.bytes.len() as u64;
        if let Some(end) = scan.closed_at() {
            block.bytes.truncate(usize::try_from(end.saturating_sub(seen)).unwrap_or(usize::MAX));
        }
        seen += length;
        let mut facts = BlockFacts::default();
        learn(&mut records, block, &mut facts);
        learnt.rows += facts.rows;
        learnt.objects += facts.objects;
        learnt.members.merge(facts.members);
    }
    let end = start + closed(file, &scan)?;
    learnt.extents.push(Extent::Stream(Range { start, end, first_line: 1 + lines }, learnt.rows));
    Ok(learnt)
}

/// Where the array is closed, which it must be, with nothing after it.
fn closed(file: &SourceFile, scan: &ArrayScan) -> Result<u64, Error> {
    let Some(end) = scan.closed_at() else {
        return Err(file
            .error("ends inside its array, expected `]`: it is truncated, or a quote or bracket is never closed")
            .with_hint("fetch or write the file again"));
    };
    if scan.has_trailing_comma() {
        return Err(file.error("has a comma before the closing `]`, expected an object after it"));
    }
    if scan.has_more() {
        return Err(file.error("goes on after the closing `]`, expected nothing after it"));
    }
    Ok(end)
}

impl Survey {
    /// What the file holds, under the types of all JSON files of the source.
    pub(super) fn contents(self, columns: &[Column], batch_rows: usize) -> Contents {
        let fields: Vec<_> = columns.iter().map(|column| column.shape.field(&column.name)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let layout = Arc::new(Layout {
            file: self.file,
            request: self.request,
            columns: columns.to_vec(),
            schema: Arc::clone(&schema),
            batch_rows,
        });
        let mut units: Vec<Box<dyn Unit>> = Vec::with_capacity(self.extents.len());
        for extent in self.extents {
            units.push(Box::new(JsonUnit { layout: Arc::clone(&layout), extent, steps: OnceLock::new() }));
        }
        Contents { schema, units, rows: Some(self.rows), warnings: Vec::new() }
    }
}

/// A column of all JSON files of a source.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: Box<str>,
    shape: Shape,
}

/// The columns that the members of all JSON files make; `as_json` names those that are handed over as JSON.
pub(super) fn columns(members: &Members, as_json: &[String]) -> Vec<Column> {
    let column = |(name, tree): (&str, &shape::Tree)| {
        let is_json = as_json.iter().any(|wanted| wanted == name);
        Column { name: name.into(), shape: if is_json { Shape::Member } else { tree.shape() } }
    };
    members.iter().map(column).collect()
}

struct Layout {
    file: Arc<SourceFile>,
    request: Request,
    columns: Vec<Column>,
    schema: SchemaRef,
    batch_rows: usize,
}

struct JsonUnit {
    layout: Arc<Layout>,
    extent: Extent,
    /// Where rows begin, from the first reading that came to the end.
    steps: OnceLock<Steps>,
}

impl Unit for JsonUnit {
    fn place(&self) -> String {
        match self.extent {
            Extent::Range(range, _) => format!("{}, from line {}", self.layout.file.shown, range.first_line),
            Extent::Stream(..) => self.layout.file.shown.clone(),
        }
    }

    fn rows(&self) -> Option<u64> {
        let (Extent::Range(_, rows) | Extent::Stream(_, rows)) = self.extent;
        Some(rows)
    }

    fn bytes(&self) -> u64 {
        match self.extent {
            Extent::Range(range, _) => range.end - range.start,
            Extent::Stream(..) => self.layout.file.identity.bytes,
        }
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let Layout { file, request, .. } = &*self.layout;
        let blocks = match self.extent {
            Extent::Range(range, _) => Blocks::Plain(Plain::new(range, block_cuts(request.format, request.cuts))),
            Extent::Stream(range, _) => {
                let mut reader = decoded(file, request.compression, UTF_8)?;
                std::io::copy(&mut reader.by_ref().take(range.start), &mut std::io::sink())
                    .map_err(|error| stream_error(file, request.compression, &error))?;
                let reader = Box::new(reader.take(range.end - range.start));
                Blocks::Stream(Box::new(Stream::new(reader, range.first_line, request.cuts)))
            }
        };
        Ok(Box::new(RowPieces::new(self.rows_of(blocks, columns)?, self.layout.batch_rows)))
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let Extent::Range(range, _) = self.extent else { return None };
        if self.layout.request.format == Format::Json {
            return None;
        }
        let batch = self.fetch(range, self.steps.get()?, columns, rows);
        Some(batch.map(|batch| Box::new(std::iter::once(Ok(Piece::Rows(batch)))) as Pieces<'_>))
    }
}

impl JsonUnit {
    fn rows_of<'a>(&'a self, blocks: Blocks, columns: &[usize]) -> Result<JsonRows<'a>, Error> {
        let Layout { file, request, .. } = &*self.layout;
        let boundaries: Box<dyn Boundaries + Send> = match request.format {
            Format::Json => Box::new(ArrayScan::default()),
            _ => Box::new(Lines),
        };
        let schema = self.layout.schema.project(columns).map_err(|error| file.error(error.to_string()))?;
        let asked = columns.iter().map(|index| &self.layout.columns[*index]);
        let rows = Rows::new(Arc::new(schema), asked.map(|column| (&*column.name, &column.shape)));
        Ok(JsonRows {
            layout: &self.layout,
            blocks,
            boundaries,
            records: Records::new(request.format),
            flat: Flat::new(),
            rows,
            offset: 0,
            count: 0,
            steps: Steps::default(),
            learnt: &self.steps,
        })
    }

    /// The named rows in one batch, each found from the step before it.
    fn fetch(&self, range: Range, steps: &Steps, columns: &[usize], rows: &[u64]) -> Result<RecordBatch, Error> {
        let file = &self.layout.file;
        let blocks = Blocks::Plain(Plain::new(range, self.layout.request.cuts));
        let mut found = self.rows_of(blocks, columns)?;
        let (mut left, mut taken) = (rows, 0);
        while let Some((first, start, end)) = left.first().and_then(|row| steps.around(*row)) {
            let (start, end) = (range.start + start, end.map_or(range.end, |end| range.start + end));
            let bytes = file.range(start, end)?;
            found.records.begin(Block { bytes, first_line: range.first_line, offset: 0 });
            let (mut row, before) = (first, left.len());
            while let (Some(wanted), Some(record)) = (left.first(), found.records.next_record()) {
                if row == *wanted {
                    left = &left[1..];
                    taken += usize::from(matches!(found.take(&record)?, Step::Rows(1)));
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

struct JsonRows<'a> {
    layout: &'a Layout,
    blocks: Blocks,
    boundaries: Box<dyn Boundaries + Send>,
    records: Records,
    flat: Flat,
    rows: Rows,
    /// Where the current block begins in its unit.
    offset: u64,
    /// Rows so far.
    count: u64,
    steps: Steps,
    learnt: &'a OnceLock<Steps>,
}

impl JsonRows<'_> {
    fn take(&mut self, record: &Record) -> Result<Step, Error> {
        let shown = &self.layout.file.shown;
        let appended = 'appended: {
            if let Some(text) = self.records.text(record)
                && let Some(members) = self.flat.members(text)
            {
                break 'appended self.rows.append_flat(text, members);
            }
            let bytes = self.records.bytes(record);
            let mut members: Vec<(Cow<'_, str>, &RawValue)> = Vec::with_capacity(self.layout.columns.len());
            if let Err(Problem { byte, problem }) = object(bytes, &mut members) {
                let (line, column) = record.locate(bytes, byte);
                let place = format!("{shown}, line {line}, column {column}");
                return Ok(Step::Unreadable(Unreadable { rows: 1, place, problem }));
            }
            if self.flat.learn(&members) {
                self.rows.follow(&self.flat);
            }
            self.rows.append(&members)
        };
        // The columns were made for all sound rows, so that a row that does not fit is another than was surveyed.
        appended.map_err(|problem| Error::new(format!("{shown}, line {}", record.line), problem))?;
        self.steps.note(self.count, self.offset + record.start() as u64);
        self.count += 1;
        Ok(Step::Rows(1))
    }
}

impl RowReader for JsonRows<'_> {
    fn next_rows(&mut self, _: usize) -> Result<Step, Error> {
        loop {
            if let Some(record) = self.records.next_record() {
                return self.take(&record);
            }
            let Layout { file, request, .. } = self.layout;
            let spent = self.records.take_spent();
            let Some(block) = self.blocks.next(file, request.compression, &mut *self.boundaries, spent)? else {
                let _ = self.learnt.set(std::mem::take(&mut self.steps));
                return Ok(Step::End);
            };
            self.offset = block.offset;
            self.records.begin(block);
        }
    }

    fn pending_bytes(&self) -> usize {
        self.rows.bytes()
    }

    fn take_batch(&mut self, rows: usize) -> Result<RecordBatch, Error> {
        self.rows.finish(rows).map_err(|error| self.layout.file.error(format!("makes no batch: {error}")))
    }
}

/// Reads arbitrary bytes as lines and as elements; for fuzzing, which asks that nothing panics and that what the first
/// pass learnt holds the rows of the second.
pub(super) fn fuzz(bytes: &[u8]) {
    for format in [Format::Ndjson, Format::Json] {
        let block = || Block { bytes: bytes.to_vec(), first_line: 1, offset: 0 };
        let mut facts = BlockFacts::default();
        learn(&mut Records::new(format), block(), &mut facts);
        let columns = columns(&facts.members, &[]);
        let fields: Vec<_> = columns.iter().map(|column| column.shape.field(&column.name)).collect();
        let mut rows =
            Rows::new(Arc::new(Schema::new(fields)), columns.iter().map(|column| (&*column.name, &column.shape)));
        let mut records = Records::new(format);
        records.begin(block());
        let mut appended = 0;
        while let Some(record) = records.next_record() {
            let mut members = Vec::new();
            if object(records.bytes(&record), &mut members).is_ok() {
                rows.append(&members).expect("the columns were made of these very rows");
                appended += 1;
            }
        }
        let batch = rows.finish(appended).expect("columns of one length make a batch");
        assert_eq!(batch.num_rows() as u64, facts.objects, "the two passes see the same rows");
    }
}
