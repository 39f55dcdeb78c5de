//! What the text formats share: decompressing, decoding, cutting at record boundaries, and the walk from rows to batches.
//!
//! A block always ends where a record ends, so that what reads records never sees half of one. It knows no format:
//! where a record ends is told by a [`Boundaries`].

use std::collections::VecDeque;
use std::io::{self, BufReader, Read};

use arrow::array::RecordBatch;
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};
use rayon::prelude::*;

use super::file::{Positioned, SourceFile};
use super::format::Compression;
use super::{Error, Piece, Unreadable};

/// A record of more than this is an error: a quote or bracket that was opened and never closed would take the memory of
/// the whole file.
pub(super) const RECORD_BYTES_MAX: usize = 256 << 20;

/// How text files are cut; tests make it small.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts {
    /// Bytes of a unit, about.
    pub(super) unit_bytes: usize,
    /// Bytes that are read at once from a stream, or looked at together for boundaries.
    pub(super) block_bytes: usize,
}

impl Default for Cuts {
    fn default() -> Self {
        Self { unit_bytes: 8 << 20, block_bytes: 256 << 10 }
    }
}

/// Tells where records end, over bytes that come in order.
pub(super) trait Boundaries {
    /// Looks at the next bytes; the offset after the last record that ends in them.
    fn last_boundary(&mut self, bytes: &[u8]) -> Option<usize>;
}

/// Boundaries that are always line feeds, though not every line feed is one.
pub(super) trait LineBoundaries: Boundaries {
    /// Whether a record begins with the next byte.
    fn is_at_boundary(&self) -> bool;
}

/// Records that end at every line feed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines;

impl Boundaries for Lines {
    fn last_boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr::memrchr(b'\n', bytes).map(|at| at + 1)
    }
}

/// A part of a plain file, from one record boundary to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// First byte.
    pub(super) start: u64,
    /// After the last byte.
    pub(super) end: u64,
    /// The physical line of the first byte, from 1.
    pub(super) first_line: u64,
}

/// Bytes from one record boundary to another.
#[derive(Debug)]
pub(super) struct Block {
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// The physical line of the first byte, from 1.
    pub(super) first_line: u64,
    /// Where it begins in its unit.
    pub(super) offset: u64,
}

/// Line feeds in bytes.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Cuts a plain file into ranges of about `unit_bytes`, in one sequential pass.
///
/// # Errors
/// What kept the file from being read.
pub(super) fn cut(
    file: &SourceFile,
    from: Range,
    boundaries: &mut dyn Boundaries,
    cuts: Cuts,
) -> Result<Vec<Range>, Error> {
    let opened = file.open()?;
    let mut buffer = vec![0; cuts.block_bytes.clamp(1, cuts.unit_bytes.max(1))];
    let mut ranges = Vec::new();
    let mut unit = Range { start: from.start, end: from.start, first_line: from.first_line };
    let mut position = from.start;
    let mut line = from.first_line;
    while position < from.end {
        let wanted = usize::try_from(from.end - position).unwrap_or(usize::MAX).min(buffer.len());
        let block = &mut buffer[..wanted];
        opened.read_exact_at(block, position).map_err(|error| file.read_error(&error))?;
        let boundary = boundaries.last_boundary(block).unwrap_or(0);
        let boundary_position = position + boundary as u64;
        if boundary > 0 && boundary_position - unit.start >= cuts.unit_bytes as u64 {
            line += count_lines(&block[..boundary]);
            ranges.push(Range { end: boundary_position, ..unit });
            unit = Range { start: boundary_position, end: boundary_position, first_line: line };
            line += count_lines(&block[boundary..]);
        } else {
            line += count_lines(block);
        }
        position += wanted as u64;
    }
    if unit.start < from.end {
        ranges.push(Range { end: from.end, ..unit });
    }
    Ok(ranges)
}

/// Cuts a plain file into ranges of about `unit_bytes`: guesses that a record ends at the first line feed near each wanted
/// place, looks at all parts in parallel, and reads again only those that began inside a record after all.
///
/// # Errors
/// What kept the file from being read.
pub(super) fn cut_at_lines<B: LineBoundaries + Clone + Send + Sync>(
    file: &SourceFile,
    from: Range,
    fresh: &B,
    cuts: Cuts,
) -> Result<Vec<Range>, Error> {
    let guesses = line_ranges(file, from, cuts)?;
    let seen: Vec<Result<(B, Seen), Error>> = guesses
        .par_iter()
        .map(|guess| {
            let mut scan = fresh.clone();
            let seen = look(file, *guess, &mut scan, cuts)?;
            Ok((scan, seen))
        })
        .collect();
    let mut ranges = Vec::with_capacity(guesses.len());
    let mut line = from.first_line;
    // A unit whose last record goes on, and the scan up to its end.
    let mut open: Option<(Range, B)> = None;
    for (guess, seen) in guesses.into_iter().zip(seen) {
        let (scan, Seen { lines, .. }) = seen?;
        let (unit, scan) = match open.take() {
            None => (Range { first_line: line, ..guess }, scan),
            Some((unit, mut scan)) => match look(file, guess, &mut scan, cuts)?.first {
                None => (Range { end: guess.end, ..unit }, scan),
                Some((position, before)) => {
                    ranges.push(Range { end: position, ..unit });
                    (Range { start: position, end: guess.end, first_line: line + before }, scan)
                }
            },
        };
        line += lines;
        if scan.is_at_boundary() {
            ranges.extend((unit.start < unit.end).then_some(unit));
        } else {
            open = Some((unit, scan));
        }
    }
    ranges.extend(open.map(|(unit, _)| unit));
    Ok(ranges)
}

/// What a look at a range found.
struct Seen {
    /// Line feeds.
    lines: u64,
    /// An early boundary, and the line feeds before it.
    first: Option<(u64, u64)>,
}

fn look(file: &SourceFile, range: Range, scan: &mut dyn Boundaries, cuts: Cuts) -> Result<Seen, Error> {
    let opened = file.open()?;
    let mut seen = Seen { lines: 0, first: None };
    let mut buffer = vec![0; cuts.block_bytes.max(1).min(length_of(file, range)?)];
    let mut position = range.start;
    while position < range.end {
        let wanted = usize::try_from(range.end - position).unwrap_or(usize::MAX).min(buffer.len());
        let block = &mut buffer[..wanted];
        opened.read_exact_at(block, position).map_err(|error| file.read_error(&error))?;
        let boundary = scan.last_boundary(block);
        if let (None, Some(at)) = (seen.first, boundary) {
            seen.first = Some((position + at as u64, seen.lines + count_lines(&block[..at])));
        }
        seen.lines += count_lines(block);
        position += wanted as u64;
    }
    Ok(seen)
}

fn length_of(file: &SourceFile, range: Range) -> Result<usize, Error> {
    usize::try_from(range.end - range.start)
        .map_err(|_| file.error("has a part that is larger than the memory can address"))
}

/// Cuts a range at line feeds near the wanted places, without reading what lies between; the line numbers are not known.
///
/// # Errors
/// What kept the file from being read.
pub(super) fn line_ranges(file: &SourceFile, whole: Range, cuts: Cuts) -> Result<Vec<Range>, Error> {
    let handle = file.open()?;
    let mut probe = vec![0; cuts.block_bytes.clamp(1, 64 << 10)];
    let mut ranges = Vec::new();
    let mut from = whole.start;
    while from < whole.end {
        let mut at = from.saturating_add((cuts.unit_bytes as u64).max(1)) - 1;
        let end = loop {
            if at >= whole.end {
                break whole.end;
            }
            let wanted = usize::try_from(whole.end - at).unwrap_or(usize::MAX).min(probe.len());
            handle.read_exact_at(&mut probe[..wanted], at).map_err(|error| file.read_error(&error))?;
            match memchr::memchr(b'\n', &probe[..wanted]) {
                Some(found) => break at + found as u64 + 1,
                None => at += wanted as u64,
            }
        };
        ranges.push(Range { start: from, end, first_line: whole.first_line });
        from = end;
    }
    Ok(ranges)
}

/// Opens a file as a stream of UTF-8, in which a byte 0xFF stands for what could not be decoded; a byte order mark is
/// removed.
///
/// # Errors
/// What kept the file from being opened.
pub(super) fn decoded(
    file: &SourceFile,
    compression: Compression,
    encoding: &'static Encoding,
) -> Result<Box<dyn Read + Send>, Error> {
    let bytes = decompressed(file, compression)?;
    if encoding == UTF_8 {
        return without_mark(bytes).map_err(|error| stream_error(file, compression, &error));
    }
    Ok(Box::new(Transcode::new(bytes, encoding)))
}

/// Opens a file as a stream of what it holds below its compression.
///
/// # Errors
/// What kept the file from being opened.
pub(super) fn decompressed(file: &SourceFile, compression: Compression) -> Result<Box<dyn Read + Send>, Error> {
    let raw = BufReader::with_capacity(256 << 10, file.open()?);
    Ok(match compression {
        Compression::None => Box::new(raw),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(raw)),
        Compression::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(|error| file.read_error(&error))?;
            Box::new(decoder)
        }
    })
}

/// The error of a stream that broke off.
pub(super) fn stream_error(file: &SourceFile, compression: Compression, error: &io::Error) -> Error {
    let name = match compression {
        Compression::None => return file.read_error(error),
        Compression::Gzip => "gzip",
        Compression::Zstd => "Zstandard",
    };
    if error.kind() == io::ErrorKind::UnexpectedEof || error.to_string().contains("incomplete frame") {
        return file
            .error(format!("ends inside its {name} data, expected the end of the last member: it is truncated"))
            .with_hint("fetch or write the file again");
    }
    file.error(format!("has {name} data that do not decompress: {}", super::file::plain(error)))
        .with_hint("fetch or write the file again")
}

fn without_mark(mut bytes: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::with_capacity(3);
    bytes.by_ref().take(3).read_to_end(&mut head)?;
    if head == b"\xEF\xBB\xBF" {
        return Ok(bytes);
    }
    Ok(Box::new(io::Cursor::new(head).chain(bytes)))
}

/// Decodes an encoding to UTF-8 while it is read; what is malformed becomes the byte 0xFF, which no UTF-8 has.
struct Transcode {
    inner: Box<dyn Read + Send>,
    decoder: Decoder,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    at_end: bool,
    output: Vec<u8>,
    given: usize,
    /// The decoder was told the end and must not be called again.
    finished: bool,
}

impl Transcode {
    fn new(inner: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            input: vec![0; 64 << 10],
            taken: 0,
            filled: 0,
            at_end: false,
            output: Vec::new(),
            given: 0,
            finished: false,
        }
    }

    /// Decodes some more into the output, which is empty; whether there may be more after it.
    fn refill(&mut self) -> io::Result<bool> {
        self.output.resize(256 << 10, 0);
        let mut written_total = 0;
        while written_total == 0 {
            if self.taken == self.filled && !self.at_end {
                self.filled = self.inner.read(&mut self.input)?;
                self.taken = 0;
                self.at_end = self.filled == 0;
            }
            let was_last = self.at_end;
            let space = self.output.len() - 1;
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                &self.input[self.taken..self.filled],
                &mut self.output[..space],
                was_last,
            );
            self.taken += read;
            written_total += written;
            match result {
                DecoderResult::Malformed(..) => {
                    self.output[written_total] = 0xFF;
                    written_total += 1;
                }
                DecoderResult::InputEmpty if was_last => {
                    self.output.truncate(written_total);
                    return Ok(false);
                }
                DecoderResult::InputEmpty | DecoderResult::OutputFull => {}
            }
        }
        self.output.truncate(written_total);
        Ok(true)
    }
}

impl Read for Transcode {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.output.len() {
            self.given = 0;
            self.output.clear();
            if self.finished {
                return Ok(0);
            }
            self.finished = !self.refill()?;
        }
        let count = buffer.len().min(self.output.len() - self.given);
        buffer[..count].copy_from_slice(&self.output[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// A stream in blocks that end at record boundaries, with bounded memory.
pub(super) struct Stream {
    reader: Box<dyn Read + Send>,
    carry: Vec<u8>,
    line: u64,
    offset: u64,
    block_bytes: usize,
    ended: bool,
}

impl Stream {
    /// A stream whose first byte lies in `first_line`.
    pub(super) fn new(reader: Box<dyn Read + Send>, first_line: u64, cuts: Cuts) -> Self {
        let block_bytes = cuts.block_bytes.max(1);
        Self { reader, carry: Vec::new(), line: first_line, offset: 0, block_bytes, ended: false }
    }

    /// The next block; None at the end. `spare` is a former block, whose memory is used again.
    ///
    /// # Errors
    /// What kept the stream from being read, or a record without end.
    pub(super) fn next_block(&mut self, boundaries: &mut dyn Boundaries, spare: Vec<u8>) -> io::Result<Option<Block>> {
        let mut bytes = spare;
        bytes.clear();
        bytes.append(&mut self.carry);
        let mut boundary = None;
        while boundary.is_none() && !self.ended {
            let seen = bytes.len();
            let read = self.reader.by_ref().take(self.block_bytes as u64).read_to_end(&mut bytes)?;
            self.ended = read == 0;
            boundary = boundaries.last_boundary(&bytes[seen..]).map(|at| seen + at);
            if boundary.is_none() && bytes.len() > RECORD_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, endless(self.line)));
            }
        }
        if let Some(boundary) = boundary {
            self.carry.extend_from_slice(&bytes[boundary..]);
            bytes.truncate(boundary);
        }
        Ok(whole_block(bytes, &mut self.line, &mut self.offset))
    }
}

/// A range of a plain file in blocks that end at record boundaries.
pub(super) struct Plain {
    range: Range,
    opened: Option<Positioned>,
    carry: Vec<u8>,
    position: u64,
    line: u64,
    offset: u64,
    block_bytes: usize,
}

impl Plain {
    /// The blocks of a range.
    pub(super) fn new(range: Range, cuts: Cuts) -> Self {
        Self {
            range,
            opened: None,
            carry: Vec::new(),
            position: range.start,
            line: range.first_line,
            offset: 0,
            block_bytes: cuts.block_bytes.max(1),
        }
    }

    fn next_block(
        &mut self,
        file: &SourceFile,
        boundaries: &mut dyn Boundaries,
        spare: Vec<u8>,
    ) -> Result<Option<Block>, Error> {
        if self.range.end - self.range.start > 2 * RECORD_BYTES_MAX as u64 {
            return Err(file.error(endless(self.range.first_line)));
        }
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => file.open()?,
        };
        // Kept at its length, so that only what it grows by is cleared.
        let mut bytes = spare;
        let mut filled = self.carry.len();
        let mut boundary = None;
        bytes.resize(bytes.len().max(filled), 0);
        bytes[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        while boundary.is_none() && self.position < self.range.end {
            let left = usize::try_from(self.range.end - self.position).unwrap_or(usize::MAX);
            let wanted = left.min(self.block_bytes);
            bytes.resize(bytes.len().max(filled + wanted), 0);
            let read = &mut bytes[filled..filled + wanted];
            opened.read_exact_at(read, self.position).map_err(|error| file.read_error(&error))?;
            self.position += wanted as u64;
            // A range ends where a record does, or the file.
            let is_last = self.position == self.range.end;
            boundary = if is_last { Some(wanted) } else { boundaries.last_boundary(read) }.map(|at| filled + at);
            filled += wanted;
        }
        self.opened = Some(opened);
        let end = boundary.unwrap_or(filled);
        self.carry.extend_from_slice(&bytes[end..filled]);
        bytes.truncate(end);
        Ok(whole_block(bytes, &mut self.line, &mut self.offset))
    }
}

/// A block of these bytes, of which line and offset are told and moved on; None where there are none.
fn whole_block(bytes: Vec<u8>, line: &mut u64, offset: &mut u64) -> Option<Block> {
    if bytes.is_empty() {
        return None;
    }
    let block = Block { first_line: *line, offset: *offset, bytes };
    *line += count_lines(&block.bytes);
    *offset += block.bytes.len() as u64;
    Some(block)
}

/// What is said of a record that does not end.
pub(super) fn endless(line: u64) -> String {
    format!(
        "the record at line {line} is longer than {} MiB, expected shorter: a quote or bracket may never be closed",
        RECORD_BYTES_MAX >> 20
    )
}

/// Where a unit's blocks come from.
pub(super) enum Blocks {
    /// A range of a plain file, opened when it is first asked for.
    Plain(Plain),
    /// A stream.
    Stream(Box<Stream>),
}

impl Blocks {
    /// The next block; None at the end. `spare` is a former block, whose memory is used again.
    ///
    /// # Errors
    /// What kept it from being read.
    pub(super) fn next(
        &mut self,
        file: &SourceFile,
        compression: Compression,
        boundaries: &mut dyn Boundaries,
        spare: Vec<u8>,
    ) -> Result<Option<Block>, Error> {
        match self {
            Self::Plain(plain) => plain.next_block(file, boundaries, spare),
            Self::Stream(stream) => stream.next_block(boundaries, spare).map_err(|error| match error.kind() {
                io::ErrorKind::FileTooLarge => file.error(error.to_string()),
                _ => stream_error(file, compression, &error),
            }),
        }
    }
}

/// Where every so many rows of a unit begin, learnt while it is read, so that single rows can be fetched.
#[derive(Debug, Default)]
pub(super) struct Steps {
    offsets: Vec<u64>,
}

impl Steps {
    /// Rows from one step to the next.
    pub(super) const ROWS: u64 = 64;

    /// Notes where the row of this number begins in its unit, if it is one of the steps.
    pub(super) fn note(&mut self, row: u64, offset: u64) {
        if row == self.offsets.len() as u64 * Self::ROWS {
            self.offsets.push(offset);
        }
    }

    /// The step in which a row lies, and where that begins and the next one does, if there is one.
    pub(super) fn around(&self, row: u64) -> Option<(u64, u64, Option<u64>)> {
        let step = usize::try_from(row / Self::ROWS).ok()?;
        Some((step as u64 * Self::ROWS, *self.offsets.get(step)?, self.offsets.get(step + 1).copied()))
    }
}

/// What reading on came to.
pub(super) enum Step {
    /// So many rows are in the columns.
    Rows(usize),
    /// One is not, and why.
    Unreadable(Unreadable),
    /// There is none.
    End,
}

/// Reads rows one after the other into columns.
pub(super) trait RowReader: Send {
    /// Reads the next row, or some more of them at once, but not more than `at_most`.
    ///
    /// # Errors
    /// What keeps this and all later rows from being read.
    fn next_rows(&mut self, at_most: usize) -> Result<Step, Error>;
    /// Bytes in the columns, about.
    fn pending_bytes(&self) -> usize;
    /// Takes the rows that were read since the last call.
    ///
    /// # Errors
    /// Rows that make no batch.
    fn take_batch(&mut self, rows: usize) -> Result<RecordBatch, Error>;
}

/// A batch is given early when its text has so many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// The pieces that a row reader makes: batches, and between them, in their place, what could not be read.
pub(super) struct RowPieces<R> {
    reader: R,
    batch_rows: usize,
    waiting: VecDeque<Result<Piece, Error>>,
    ended: bool,
}

impl<R: RowReader> RowPieces<R> {
    /// Pieces with batches of so many rows.
    pub(super) fn new(reader: R, batch_rows: usize) -> Self {
        Self { reader, batch_rows, waiting: VecDeque::new(), ended: false }
    }

    fn fill(&mut self) {
        let mut rows = 0;
        let last = loop {
            if rows == self.batch_rows || self.reader.pending_bytes() > BATCH_BYTES_MAX {
                break None;
            }
            match self.reader.next_rows(self.batch_rows - rows) {
                Ok(Step::Rows(more)) => rows += more,
                Ok(Step::Unreadable(unreadable)) => break Some(Ok(Piece::Unreadable(unreadable))),
                Ok(Step::End) => {
                    self.ended = true;
                    break None;
                }
                Err(error) => {
                    self.ended = true;
                    break Some(Err(error));
                }
            }
        };
        if rows > 0 {
            let batch = self.reader.take_batch(rows).map(Piece::Rows);
            let failed = batch.is_err();
            self.waiting.push_back(batch);
            if failed {
                self.ended = true;
                return;
            }
        }
        self.waiting.extend(last);
    }
}

impl<R: RowReader> Iterator for RowPieces<R> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.is_empty() && !self.ended {
            self.fill();
        }
        self.waiting.pop_front()
    }
}
