//! Rows that come in no order which could be asked for again: they are copied once to a nameless temporary file, as
//! compressed Arrow blocks, and read from there in one numbering however often.

use std::fs::File;
use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::super::{Error, Piece, Pieces, Unit, Unreadable};

/// Rows and bytes (as stored) of a unit, of which the first that is reached ends it.
const UNIT_ROWS: u64 = 1 << 16;
const UNIT_BYTES: u64 = 16 << 20;

/// The most stretches of rows that cannot be read.
const MOST_UNREADABLE: usize = 10_000;

/// A spool that is being filled.
pub(super) struct Spool {
    shown: String,
    file: Arc<File>,
    /// Where the next block of the file begins, whoever writes it.
    end: Arc<AtomicU64>,
    blocks: Vec<Block>,
    /// The block behind them, which is being written while the next one is read.
    last: Option<JoinHandle<Result<Block, Error>>>,
    /// All rows.
    pub rows: u64,
    /// Blocks of rows that cannot be read, of all that are in the file.
    unreadable: Arc<AtomicUsize>,
}

/// A batch in the file, or rows that could not be read.
#[derive(Clone, Debug)]
struct Block {
    offset: u64,
    length: usize,
    rows: u64,
    /// Bytes in memory.
    decoded: u64,
    /// What kept its rows from being read.
    problem: Option<String>,
    /// Nothing behind it was read.
    is_end: bool,
}

/// Brings a batch as it was spooled to the schema of the source.
pub(super) type Finish = dyn Fn(RecordBatch) -> Result<RecordBatch, ArrowError> + Send + Sync;

impl Spool {
    /// An empty one; `shown` is the source for messages.
    ///
    /// # Errors
    /// No temporary file.
    pub(super) fn new(shown: &str) -> Result<Self, Error> {
        let file = tempfile::tempfile().map_err(|error| full(shown, &error))?;
        let (shown, file) = (shown.to_owned(), Arc::new(file));
        Ok(Self {
            shown,
            file,
            end: Arc::default(),
            blocks: Vec::new(),
            last: None,
            rows: 0,
            unreadable: Arc::default(),
        })
    }

    /// Another one in the same file, for other rows.
    #[cfg(feature = "mysql")]
    pub(super) fn beside(&self, shown: String) -> Self {
        let (file, end, unreadable) = (Arc::clone(&self.file), Arc::clone(&self.end), Arc::clone(&self.unreadable));
        Self { shown, file, end, blocks: Vec::new(), last: None, rows: 0, unreadable }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// A full disk, which may be told with the next one.
    pub(super) fn write(&mut self, batch: RecordBatch) -> Result<(), Error> {
        self.settle()?;
        self.rows += batch.num_rows() as u64;
        let (shown, file, end) = (self.shown.clone(), Arc::clone(&self.file), Arc::clone(&self.end));
        let write = move || {
            let bytes = encoded(&batch).map_err(|error| Error::new(&shown, error.to_string()))?;
            let offset = end.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            file.write_all_at(&bytes, offset).map_err(|error| full(&shown, &error))?;
            let rows = batch.num_rows() as u64;
            let decoded = batch.get_array_memory_size() as u64;
            Ok(Block { offset, length: bytes.len(), rows, decoded, problem: None, is_end: false })
        };
        let begun = std::thread::Builder::new().name("spool".to_owned()).spawn(write);
        self.last = Some(begun.map_err(|error| full(&self.shown, &error))?);
        Ok(())
    }

    /// Waits for the block that is being written.
    fn settle(&mut self) -> Result<(), Error> {
        if let Some(last) = self.last.take() {
            self.blocks.push(last.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(())
    }

    /// Notes a row that cannot be read.
    ///
    /// # Errors
    /// More of them than are worth telling one by one.
    #[cfg_attr(
        all(not(feature = "mysql"), not(test)),
        expect(dead_code, reason = "PostgreSQL ends the reading instead")
    )]
    pub(super) fn unreadable(&mut self, problem: String) -> Result<(), Error> {
        self.settle()?;
        self.rows += 1;
        if let Some(last) = self.blocks.last_mut()
            && last.problem.as_ref() == Some(&problem)
            && !last.is_end
        {
            last.rows += 1;
            return Ok(());
        }
        if self.unreadable.fetch_add(1, Ordering::SeqCst) >= MOST_UNREADABLE {
            let said = format!("more than {MOST_UNREADABLE} rows cannot be read, the last because it {problem}");
            return Err(Error::new(&self.shown, said));
        }
        self.push_problem(1, problem, false);
        Ok(())
    }

    /// Notes that the rows behind were not read, however many they are.
    #[cfg(test)]
    pub(super) fn broken_off(&mut self, problem: String) {
        self.settle().unwrap();
        self.push_problem(0, problem, true);
    }

    fn push_problem(&mut self, rows: u64, problem: String, is_end: bool) {
        self.blocks.push(Block { offset: 0, length: 0, rows, decoded: 0, problem: Some(problem), is_end });
    }

    /// The units, of some blocks each; `finish` gives their batches the schema of the source.
    ///
    /// # Errors
    /// A full disk.
    pub(super) fn units(mut self, schema: &SchemaRef, finish: Arc<Finish>) -> Result<Vec<Box<dyn Unit>>, Error> {
        self.settle()?;
        let Self { shown, file, blocks, .. } = self;
        let shared = Arc::new(Shared { shown, file, schema: Arc::clone(schema), finish });
        let mut units: Vec<Box<dyn Unit>> = Vec::new();
        let mut next: Vec<Block> = Vec::new();
        let mut first_row = 0;
        let mut push = |blocks: Vec<Block>| {
            let unit = SpooledUnit { shared: Arc::clone(&shared), first_row, blocks };
            first_row += unit.blocks.iter().map(|block| block.rows).sum::<u64>();
            units.push(Box::new(unit));
        };
        for block in blocks {
            next.push(block);
            let rows: u64 = next.iter().map(|block| block.rows).sum();
            let bytes: u64 = next.iter().map(|block| block.length as u64).sum();
            if rows >= UNIT_ROWS || bytes >= UNIT_BYTES {
                push(std::mem::take(&mut next));
            }
        }
        if !next.is_empty() {
            push(next);
        }
        Ok(units)
    }
}

fn full(shown: &str, error: &std::io::Error) -> Error {
    Error::new(shown, format!("cannot keep its rows in a temporary file: {error}"))
        .with_hint("set TMPDIR to a folder with room")
}

fn encoded(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options)?;
    writer.write(batch)?;
    writer.into_inner()
}

struct Shared {
    shown: String,
    file: Arc<File>,
    schema: SchemaRef,
    finish: Arc<Finish>,
}

struct SpooledUnit {
    shared: Arc<Shared>,
    first_row: u64,
    blocks: Vec<Block>,
}

impl SpooledUnit {
    fn piece(&self, block: &Block, columns: &[usize]) -> Result<Piece, Error> {
        match &block.problem {
            Some(problem) if block.is_end => Err(Error::new(self.place(), problem.clone())),
            None => self.block(block, columns).map(Piece::Rows),
            Some(problem) => {
                Ok(Piece::Unreadable(Unreadable { rows: block.rows, place: self.place(), problem: problem.clone() }))
            }
        }
    }

    fn block(&self, block: &Block, columns: &[usize]) -> Result<RecordBatch, Error> {
        let failed = |said: String| Error::new(self.place(), said);
        let mut bytes = vec![0; block.length];
        let read = self.shared.file.read_exact_at(&mut bytes, block.offset);
        read.map_err(|error| failed(format!("cannot be read back from its temporary file: {error}")))?;
        let decoded = || -> Result<RecordBatch, ArrowError> {
            let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
            let batch = reader.next().transpose()?;
            let batch = batch.ok_or_else(|| ArrowError::IpcError("its block is empty".to_owned()))?;
            (self.shared.finish)(batch)?.project(columns)
        };
        let batch = decoded().map_err(|error| failed(error.to_string()))?;
        let expected = self.shared.schema.project(columns).map_err(|error| failed(error.to_string()))?;
        if batch.schema().fields() != expected.fields() {
            return Err(failed("its temporary file gives other columns than the source has".to_owned()));
        }
        Ok(batch)
    }
}

impl Unit for SpooledUnit {
    fn place(&self) -> String {
        format!("{}, from row {}", self.shared.shown, self.first_row + 1)
    }

    fn rows(&self) -> Option<u64> {
        let is_whole = self.blocks.iter().all(|block| !block.is_end);
        is_whole.then(|| self.blocks.iter().map(|block| block.rows).sum())
    }

    fn bytes(&self) -> u64 {
        self.blocks.iter().map(|block| block.length as u64).sum()
    }

    fn memory(&self, _: &[usize]) -> u64 {
        // Compressed, decoded, and in the schema of the source.
        let largest = self.blocks.iter().map(|block| block.length as u64 + 2 * block.decoded).max();
        largest.unwrap_or_default()
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let columns = columns.to_vec();
        let mut failed = false;
        let pieces = self.blocks.iter().map(move |block| self.piece(block, &columns));
        Ok(Box::new(pieces.take_while(move |piece| !std::mem::replace(&mut failed, piece.is_err()))))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn what_was_spooled_comes_back_in_its_order_and_as_often_as_it_is_asked_for() {
        let batch = |first: i64| {
            let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + 30_000));
            let names: ArrayRef =
                Arc::new(StringArray::from_iter_values((first..first + 30_000).map(|id| format!("name {id}"))));
            RecordBatch::try_from_iter([("id", ids), ("name", names)]).unwrap()
        };
        let mut spool = Spool::new("a query").unwrap();
        for first in (0..150_000).step_by(30_000) {
            spool.write(batch(first)).unwrap();
        }
        assert_eq!(spool.rows, 150_000);
        let schema = batch(0).schema();
        let units = spool.units(&schema, Arc::new(Ok)).unwrap();
        assert_eq!(units.iter().map(|unit| unit.rows().unwrap()).collect::<Vec<_>>(), [90_000, 60_000]);
        assert_eq!(units[1].place(), "a query, from row 90001");
        for _ in 0..2 {
            let pieces = units.iter().flat_map(|unit| unit.read(&[0]).unwrap());
            let ids: Vec<i64> = pieces
                .flat_map(|piece| match piece.unwrap() {
                    Piece::Rows(batch) => batch.column(0).as_primitive::<Int64Type>().values().to_vec(),
                    Piece::Unreadable(_) => panic!("all rows can be read"),
                })
                .collect();
            assert_eq!(ids, (0..150_000).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_could_not_be_read_is_said_where_it_was() {
        let batch = |id: i64| {
            let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
            RecordBatch::try_from_iter([("id", ids)]).unwrap()
        };
        let mut spool = Spool::new("a query").unwrap();
        spool.write(batch(1)).unwrap();
        spool.unreadable("is no text".to_owned()).unwrap();
        spool.unreadable("is no text".to_owned()).unwrap();
        spool.write(batch(4)).unwrap();
        spool.broken_off("took too long".to_owned());
        assert_eq!(spool.rows, 4);
        let units = spool.units(&batch(0).schema(), Arc::new(Ok)).unwrap();
        assert_eq!(units.len(), 1);
        let told: Vec<String> = units[0]
            .read(&[0])
            .unwrap()
            .map(|piece| match piece {
                Ok(Piece::Rows(batch)) => format!("{} row", batch.num_rows()),
                Ok(Piece::Unreadable(range)) => format!("{} unreadable: {}", range.rows, range.problem),
                Err(error) => error.to_string(),
            })
            .collect();
        let end = "a query, from row 1: took too long";
        assert_eq!(told, ["1 row", "2 unreadable: is no text", "1 row", end]);
        let mut many = Spool::new("a query").unwrap();
        let outcome = (0..=MOST_UNREADABLE).try_for_each(|row| many.unreadable(format!("row {row}")));
        assert!(outcome.unwrap_err().to_string().contains("more than 10000 rows cannot be read"));
    }
}
