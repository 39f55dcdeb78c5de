//! A Parquet file that is written batch by batch: the same batches give the same bytes, and an error of the destination keeps its
//! kind. It never knows what a column holds.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

/// Lines in a row group.
const LINES_IN_ROW_GROUP: usize = 128 * 1024;

/// A file that has begun.
pub(in crate::report) struct Sink<W: Write + Send> {
    out: Shared<W>,
    writer: ArrowWriter<Shared<W>>,
    schema: SchemaRef,
}

impl<W: Write + Send> Sink<W> {
    /// Begins a file with these columns.
    pub(in crate::report) fn new(out: W, fields: Vec<Field>) -> io::Result<Self> {
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_created_by("reconcile".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(LINES_IN_ROW_GROUP))
            .build();
        let out = Shared(Arc::new(Mutex::new(out)));
        let writer =
            ArrowWriter::try_new(Shared(Arc::clone(&out.0)), Arc::clone(&schema), Some(properties)).map_err(as_io)?;
        Ok(Self { out, writer, schema })
    }

    /// Writes some lines.
    pub(in crate::report) fn write(&mut self, columns: Vec<ArrayRef>) -> io::Result<()> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(as_io)
    }

    /// Bytes of the row group that is open.
    pub(in crate::report) fn held(&self) -> usize {
        self.writer.in_progress_size()
    }

    /// Ends the row group that is open.
    pub(in crate::report) fn end_group(&mut self) -> io::Result<()> {
        self.writer.flush().map_err(as_io)
    }

    /// Ends the file and gives the destination back. A file without lines is a valid file too.
    pub(in crate::report) fn finish(mut self) -> io::Result<W> {
        self.writer.finish().map_err(as_io)?;
        let Self { out, writer, .. } = self;
        drop(writer);
        let out = Arc::into_inner(out.0).expect("the only other owner was the writer, which is dropped");
        Ok(out.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The destination, which outlives the Parquet writer: the writer's own way of giving it back loses the kind of the error
/// that the last bytes met, and "no space left" must not become "other".
struct Shared<W>(Arc<Mutex<W>>);

impl<W: Write> Write for Shared<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// The error of the destination itself, where there is one: "no space left" says more than "external".
fn as_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
