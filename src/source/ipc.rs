//! Reads Arrow IPC: the file format in units of record batches, the stream format as one unit.
//!
//! Opening walks over all messages without decoding their bodies, so that the number of rows is known, and a file that
//! was cut off, even between two messages, is an error and not a shorter table.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::ipc::{Block, Message, MessageHeader, root_as_footer, root_as_message};

use crate::contract::Format;

use super::file::{Positioned, SourceFile};
use super::format::{Compression, foreign, not};
use super::guard::guarded;
use super::text::{decompressed, stream_error};
use super::unite::Contents;
use super::{Error, Piece, Pieces, Unit, Unreadable};

#[cfg(test)]
mod tests;

/// Record batches below this are read together.
const UNIT_BYTES_MIN: u64 = 8 << 20;
const FILE_MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xFF; 4];

/// Opens an Arrow IPC file or stream.
///
/// # Errors
/// A file that is foreign, truncated, or whose messages cannot be read.
pub(super) fn open(file: &Arc<SourceFile>, compression: Compression, batch_rows: usize) -> Result<Contents, Error> {
    let head = super::head(file, compression).map_err(|error| {
        if compression == Compression::None { error } else { foreign_compression(file, compression) }
    })?;
    let is_file = head.starts_with(FILE_MAGIC);
    if !is_file && (foreign(&head).is_some_and(|_| !head.starts_with(&CONTINUATION)) || !looks_like_stream(&head)) {
        return Err(not(file, &head, Format::Arrow, compression));
    }
    if is_file && compression == Compression::None {
        open_file(file, batch_rows)
    } else {
        open_stream(file, compression, is_file, batch_rows)
    }
}

fn foreign_compression(file: &SourceFile, compression: Compression) -> Error {
    match super::head(file, Compression::None) {
        Ok(head) => not(file, &head, Format::Arrow, compression),
        Err(error) => error,
    }
}

/// A stream begins with the continuation marker, or in its oldest form with the length of the schema's message.
fn looks_like_stream(head: &[u8]) -> bool {
    match head.first_chunk::<4>() {
        Some(first) => *first == CONTINUATION || (8..1 << 24).contains(&i32::from_le_bytes(*first)),
        None => false,
    }
}

/// One record batch as its message tells it.
#[derive(Clone, Copy, Debug)]
struct Batch {
    rows: u64,
    bytes: u64,
}

fn open_file(file: &Arc<SourceFile>, batch_rows: usize) -> Result<Contents, Error> {
    let handle = file.open()?;
    let batches = file_batches(file, &handle)?;
    let reader = guarded(|| FileReader::try_new(handle.duplicate(), None));
    let schema = reader.map_err(|problem| broken(file, &problem))?.schema();
    let shared = Arc::new(IpcFile { file: Arc::clone(file), compression: Compression::None, schema, batch_rows });
    let mut units: Vec<Box<dyn Unit>> = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (index, batch) in batches.iter().enumerate() {
        bytes += batch.bytes;
        if bytes >= UNIT_BYTES_MIN || index + 1 == batches.len() {
            let rows = batches[start..=index].iter().map(|batch| batch.rows).collect();
            units.push(Box::new(BatchUnit { ipc: Arc::clone(&shared), range: start..index + 1, rows, bytes }));
            start = index + 1;
            bytes = 0;
        }
    }
    let rows = batches.iter().map(|batch| batch.rows).sum();
    Ok(Contents { schema: Arc::clone(&shared.schema), units, rows: Some(rows), warnings: Vec::new() })
}

fn open_stream(
    file: &Arc<SourceFile>,
    compression: Compression,
    has_footer: bool,
    batch_rows: usize,
) -> Result<Contents, Error> {
    let batches = stream_batches(file, compression, has_footer)?;
    let reader = stream(file, compression, has_footer)?;
    let reader = guarded(|| StreamReader::try_new(reader, None));
    let schema = reader.map_err(|problem| broken(file, &problem))?.schema();
    let shared = IpcFile { file: Arc::clone(file), compression, schema: Arc::clone(&schema), batch_rows };
    let rows = batches.iter().map(|batch| batch.rows).sum();
    let unit = StreamUnit { ipc: Arc::new(shared), has_footer, rows };
    Ok(Contents { schema, units: vec![Box::new(unit)], rows: Some(rows), warnings: Vec::new() })
}

fn broken(file: &SourceFile, problem: &str) -> Error {
    file.error(format!("is Arrow IPC that cannot be read: {problem}")).with_hint("fetch or write the file again")
}

fn truncated(file: &SourceFile, expected: &str) -> Error {
    file.error(format!("ends after {} bytes, expected {expected}: it is truncated", file.identity.bytes))
        .with_hint("fetch or write the file again")
}

/// Walks over the blocks of the file format.
fn file_batches(file: &SourceFile, handle: &Positioned) -> Result<Vec<Batch>, Error> {
    const TAIL: usize = 10;
    let length = file.identity.bytes;
    let mut tail = [0; TAIL];
    if length < (TAIL + FILE_MAGIC.len()) as u64 {
        return Err(truncated(file, "a footer and `ARROW1`"));
    }
    handle.read_exact_at(&mut tail, length - TAIL as u64).map_err(|error| file.read_error(&error))?;
    if !tail.ends_with(FILE_MAGIC) {
        return Err(truncated(file, "a footer and `ARROW1`"));
    }
    let footer_length = tail.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let Some(start) = (length - TAIL as u64).checked_sub(u64::from(footer_length)) else {
        return Err(broken(file, &format!("its footer claims {footer_length} bytes, more than the file has")));
    };
    let footer = file.range(start, length - TAIL as u64)?;
    let footer = root_as_footer(&footer).map_err(|error| broken(file, &format!("footer: {error}")))?;
    let check = |block: &Block| {
        let parts = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()].map(u64::try_from);
        let [Ok(offset), Ok(metadata), Ok(body)] = parts else { return None };
        let end = offset.checked_add(metadata)?.checked_add(body)?;
        (end <= length && metadata >= 8).then_some((offset, metadata, body))
    };
    let outside = || broken(file, "a block lies outside the file");
    for block in footer.dictionaries().into_iter().flatten() {
        check(block).ok_or_else(outside)?;
    }
    let mut batches = Vec::new();
    for block in footer.recordBatches().into_iter().flatten() {
        let (offset, metadata, body) = check(block).ok_or_else(outside)?;
        let bytes = file_range(file, handle, offset, metadata)?;
        let message = if bytes.starts_with(&CONTINUATION) { &bytes[8..] } else { &bytes[4..] };
        let message = root_as_message(message).map_err(|error| broken(file, &error.to_string()))?;
        let rows = batch_rows_of(file, &message)?.ok_or_else(|| broken(file, "a block is no record batch"))?;
        let positions = Positions { file, handle, start: offset + metadata, length: body };
        check_buffers(&message, &positions)?;
        batches.push(Batch { rows, bytes: metadata + body });
    }
    Ok(batches)
}

fn file_range(file: &SourceFile, handle: &Positioned, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let length = usize::try_from(length).map_err(|_| broken(file, "a block is larger than memory"))?;
    let mut bytes = vec![0; length];
    handle.read_exact_at(&mut bytes, offset).map_err(|error| file.read_error(&error))?;
    Ok(bytes)
}

struct Positions<'a> {
    file: &'a SourceFile,
    handle: &'a Positioned,
    start: u64,
    length: u64,
}

/// Refuses a compressed buffer that claims to become absurdly large: the decoder would ask for that memory at once.
fn check_buffers(message: &Message<'_>, body: &Positions<'_>) -> Result<(), Error> {
    const RATIO_MAX: u64 = 1 << 16;
    let Some(batch) = message.header_as_record_batch() else { return Ok(()) };
    if batch.compression().is_none() {
        return Ok(());
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let (Ok(offset), Ok(length)) = (u64::try_from(buffer.offset()), u64::try_from(buffer.length())) else {
            return Err(broken(body.file, "a buffer has a negative place"));
        };
        if offset.checked_add(length).is_none_or(|end| end > body.length) {
            return Err(broken(body.file, "a buffer lies outside its record batch"));
        }
        if length < 8 {
            continue;
        }
        let mut prefix = [0; 8];
        body.handle.read_exact_at(&mut prefix, body.start + offset).map_err(|error| body.file.read_error(&error))?;
        let claimed = i64::from_le_bytes(prefix);
        if claimed > 0 && claimed.unsigned_abs() > (length - 8).saturating_mul(RATIO_MAX).max(1 << 20) {
            let problem = format!("a compressed buffer of {length} bytes claims to hold {claimed}");
            return Err(broken(body.file, &problem));
        }
    }
    Ok(())
}

/// Rows of a message, if it is a record batch.
fn batch_rows_of(file: &SourceFile, message: &Message<'_>) -> Result<Option<u64>, Error> {
    let Some(batch) = message.header_as_record_batch() else { return Ok(None) };
    let rows = u64::try_from(batch.length())
        .map_err(|_| broken(file, &format!("a record batch claims {} rows", batch.length())))?;
    Ok(Some(rows))
}

/// The stream within a file: all of it, or below the compression of a whole IPC file what lies after the magic.
fn stream(file: &SourceFile, compression: Compression, has_footer: bool) -> Result<Box<dyn Read + Send>, Error> {
    let mut reader = decompressed(file, compression)?;
    if !has_footer {
        return Ok(reader);
    }
    // The magic is padded to 8 bytes, by some writers with more zeros than the format asks for.
    let mut word = [0; 8];
    loop {
        reader.read_exact(&mut word).map_err(|error| stream_error(file, compression, &error))?;
        if !word.starts_with(FILE_MAGIC) && word != [0; 8] {
            return Ok(Box::new(io::Cursor::new(word).chain(reader)));
        }
    }
}

/// Walks over the messages of a stream to its end, which must be there.
fn stream_batches(file: &SourceFile, compression: Compression, has_footer: bool) -> Result<Vec<Batch>, Error> {
    let mut reader = stream(file, compression, has_footer)?;
    let failed = |error: &io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof if compression == Compression::None => truncated(file, "the rest of a message"),
        _ => stream_error(file, compression, error),
    };
    let mut batches = Vec::new();
    let mut is_first = true;
    loop {
        let Some(length) = message_length(&mut reader).map_err(|error| failed(&error))? else {
            return Err(truncated(file, "the mark that ends an Arrow stream"));
        };
        if length == 0 {
            break;
        }
        let length = u64::try_from(length).map_err(|_| broken(file, "a message has a negative length"))?;
        let mut metadata = Vec::new();
        reader.by_ref().take(length).read_to_end(&mut metadata).map_err(|error| failed(&error))?;
        if (metadata.len() as u64) < length {
            return Err(truncated(file, "the rest of a message"));
        }
        let message = root_as_message(&metadata).map_err(|error| broken(file, &error.to_string()))?;
        if is_first != (message.header_type() == MessageHeader::Schema) {
            return Err(broken(file, "the schema is not the first message, or not the only schema"));
        }
        is_first = false;
        let body = u64::try_from(message.bodyLength()).map_err(|_| broken(file, "a message has a negative length"))?;
        let skipped = io::copy(&mut reader.by_ref().take(body), &mut io::sink()).map_err(|error| failed(&error))?;
        if skipped < body {
            return Err(truncated(file, "the rest of a record batch"));
        }
        if let Some(rows) = batch_rows_of(file, &message)? {
            batches.push(Batch { rows, bytes: length + body });
        }
    }
    check_rest(file, &mut reader, has_footer).map_err(|error| failed(&error))??;
    Ok(batches)
}

/// The length of the next message; 0 is the mark of the end, None the end without a mark.
fn message_length(reader: &mut dyn Read) -> io::Result<Option<i32>> {
    let mut bytes = Vec::with_capacity(4);
    reader.take(4).read_to_end(&mut bytes)?;
    let Some(mut length) = bytes.first_chunk::<4>().copied() else {
        return if bytes.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
    };
    if length == CONTINUATION {
        reader.read_exact(&mut length)?;
    }
    Ok(Some(i32::from_le_bytes(length)))
}

/// What may follow the mark of the end: the footer of a file, otherwise nothing.
fn check_rest(file: &SourceFile, reader: &mut dyn Read, has_footer: bool) -> io::Result<Result<(), Error>> {
    let mut rest = Vec::new();
    let limit = if has_footer { 64 << 20 } else { 1 };
    reader.take(limit).read_to_end(&mut rest)?;
    if has_footer {
        return Ok(if rest.ends_with(FILE_MAGIC) { Ok(()) } else { Err(truncated(file, "a footer and `ARROW1`")) });
    }
    if rest.is_empty() {
        return Ok(Ok(()));
    }
    Ok(Err(file
        .error("goes on after the mark that ends an Arrow stream, expected nothing after it")
        .with_hint("several streams in one file are not one table; write them to several files")))
}

struct IpcFile {
    file: Arc<SourceFile>,
    compression: Compression,
    schema: SchemaRef,
    batch_rows: usize,
}

/// Cuts a record batch, which may be as long as its file, into batches of the wanted size.
fn slices(batch: &RecordBatch, batch_rows: usize) -> impl Iterator<Item = RecordBatch> + use<'_> {
    let rows = batch.num_rows();
    (0..rows).step_by(batch_rows).map(move |start| batch.slice(start, batch_rows.min(rows - start)))
}

struct BatchUnit {
    ipc: Arc<IpcFile>,
    range: Range<usize>,
    rows: Vec<u64>,
    bytes: u64,
}

impl BatchUnit {
    fn batch_place(&self, index: usize) -> String {
        format!("{}, record batch {index}", self.ipc.file.shown)
    }
}

impl Unit for BatchUnit {
    fn place(&self) -> String {
        match self.range.len() {
            1 => self.batch_place(self.range.start),
            _ => format!("{}, record batches {} to {}", self.ipc.file.shown, self.range.start, self.range.end - 1),
        }
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.iter().sum())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn memory(&self, _: &[usize]) -> u64 {
        // A batch is read whole: as it is stored, and once more where it is compressed.
        2 * self.bytes
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let file = &self.ipc.file;
        let handle = file.open()?;
        let columns = columns.to_vec();
        let reader = guarded(|| FileReader::try_new(handle, Some(columns.clone())));
        let mut reader = Some(reader.map_err(|problem| broken(file, &problem))?);
        let batches = self.range.clone().zip(&self.rows);
        Ok(Box::new(batches.flat_map(move |(index, rows)| {
            let Some(mut own) = reader.take() else { return Vec::new() };
            let read = guarded(|| {
                own.set_index(index)?;
                Ok::<_, ArrowError>(own.next().transpose())
            });
            let problem = match read {
                Ok(Ok(Some(batch))) if batch.num_rows() as u64 == *rows => {
                    reader = Some(own);
                    return slices(&batch, self.ipc.batch_rows).map(|batch| Ok(Piece::Rows(batch))).collect();
                }
                Ok(Ok(_)) => "holds another number of rows than its message says".to_owned(),
                Ok(Err(error)) => {
                    reader = Some(own);
                    guarded::<(), _>(|| Err(error)).err().unwrap_or_default()
                }
                // A reader that panicked is not used again, but a fresh one may do the rest.
                Err(problem) => {
                    let fresh = file.open().ok();
                    reader =
                        fresh.and_then(|handle| guarded(|| FileReader::try_new(handle, Some(columns.clone()))).ok());
                    problem
                }
            };
            let place = self.batch_place(index);
            let lost = reader.is_none().then(|| Err(Error::new(&place, "the rest of the file cannot be read")));
            let unreadable = (*rows > 0).then(|| Ok(Piece::Unreadable(Unreadable { rows: *rows, place, problem })));
            unreadable.into_iter().chain(lost).collect()
        })))
    }
}

struct StreamUnit {
    ipc: Arc<IpcFile>,
    has_footer: bool,
    rows: u64,
}

impl Unit for StreamUnit {
    fn place(&self) -> String {
        self.ipc.file.shown.clone()
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows)
    }

    fn bytes(&self) -> u64 {
        self.ipc.file.identity.bytes
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let file = &self.ipc.file;
        let stream = stream(file, self.ipc.compression, self.has_footer)?;
        let reader = guarded(|| StreamReader::try_new(stream, Some(columns.to_vec())));
        let mut reader = Some(reader.map_err(|problem| broken(file, &problem))?);
        let mut rows_left = self.rows;
        let pieces = std::iter::from_fn(move || {
            let mut own = reader.take()?;
            let read = guarded(|| {
                let batch = own.next().transpose()?;
                Ok::<_, ArrowError>((batch, own))
            });
            let problem = match read {
                Ok((None, _)) if rows_left == 0 => return None,
                Ok((None, _)) => "the stream ends before the rows that its messages count".to_owned(),
                Ok((Some(batch), own)) => {
                    if let Some(left) = rows_left.checked_sub(batch.num_rows() as u64) {
                        rows_left = left;
                        reader = Some(own);
                        return Some(slices(&batch, self.ipc.batch_rows).map(|batch| Ok(Piece::Rows(batch))).collect());
                    }
                    return Some(vec![Err(file.error("holds more rows than its messages count"))]);
                }
                Err(problem) => problem,
            };
            if rows_left == 0 {
                return Some(vec![Err(broken(file, &problem))]);
            }
            let place = format!("{}, after row {}", file.shown, self.rows - rows_left);
            Some(vec![Ok(Piece::Unreadable(Unreadable { rows: rows_left, place, problem }))])
        });
        Ok(Box::new(pieces.flat_map(std::convert::identity::<Vec<Result<Piece, Error>>>)))
    }
}
