//! `divergences.parquet`, written as the divergences are found, in bounded memory. The same divergences give the same
//! bytes: nothing in the file tells when, where or by which version it was written. It never sorts and never drops a line.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::{DataType, Field};

use super::json::hex;
use crate::classify::Divergence;

pub(super) mod sink;

use sink::Sink;

/// The columns in the order of the file: name, and whether it can be NULL.
const COLUMNS: [(&str, bool); 12] = [
    ("contract", false),
    ("kind", false),
    ("severity", false),
    ("reason", false),
    ("key", true),
    ("attribute", true),
    ("authority_value", true),
    ("projection_value", true),
    ("authority_source", false),
    ("cause", true),
    ("fingerprint", false),
    ("row_digest", true),
];

/// Lines held as Arrow builders before they go to the Parquet writer.
const LINES_IN_BATCH: usize = 4096;
/// Bytes held, in builders or in the open row group, before they are written whatever their lines: values may be long.
const BYTES_HELD: usize = 16 << 20;

/// Writes `divergences.parquet`.
pub struct DivergenceWriter<W: Write + Send> {
    sink: Sink<W>,
    columns: [StringBuilder; COLUMNS.len()],
    lines: usize,
    bytes: usize,
}

impl<W: Write + Send> DivergenceWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// What kept its first bytes from being written.
    pub fn new(out: W) -> io::Result<Self> {
        let fields = COLUMNS.map(|(name, nullable)| Field::new(name, DataType::Utf8, nullable));
        let sink = Sink::new(out, fields.to_vec())?;
        let columns = std::array::from_fn(|_| StringBuilder::new());
        Ok(Self { sink, columns, lines: 0, bytes: 0 })
    }

    /// Adds one line.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn write(&mut self, contract: &str, divergence: &Divergence) -> io::Result<()> {
        let (reason, fingerprint) = (divergence.reason.to_string(), hex(&divergence.fingerprint));
        let row_digest = divergence.row_digest.as_ref().map(hex);
        let line: [Option<&str>; COLUMNS.len()] = [
            Some(contract),
            Some(divergence.kind.name()),
            Some(divergence.severity.name()),
            Some(&reason),
            divergence.key.as_deref(),
            divergence.attribute.as_deref(),
            divergence.values.authority.as_deref(),
            divergence.values.projection.as_deref(),
            Some(&divergence.authority_source),
            divergence.cause,
            Some(&fingerprint),
            row_digest.as_deref(),
        ];
        for (column, value) in self.columns.iter_mut().zip(line) {
            column.append_option(value);
            self.bytes += value.map_or(0, str::len);
        }
        self.lines += 1;
        if self.lines >= LINES_IN_BATCH || self.bytes >= BYTES_HELD {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Ends the file and gives the destination back. A file without lines is a valid file too.
    ///
    /// # Errors
    /// What kept the rest from being written.
    ///
    /// # Panics
    /// Never: nobody else owns the destination once the Parquet writer is dropped.
    pub fn finish(mut self) -> io::Result<W> {
        self.hand_over()?;
        self.sink.finish()
    }

    fn hand_over(&mut self) -> io::Result<()> {
        if self.lines == 0 {
            return Ok(());
        }
        let columns = self.columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        self.sink.write(columns)?;
        if self.sink.held() >= BYTES_HELD {
            self.sink.end_group()?;
        }
        (self.lines, self.bytes) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, RecordBatch};
    use arrow::datatypes::SchemaRef;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::report::sample;

    fn written(divergences: &[Divergence]) -> Vec<u8> {
        let mut writer = DivergenceWriter::new(Vec::new()).expect("a vector takes all");
        for divergence in divergences {
            writer.write("crm-policy-view", divergence).expect("a vector takes all");
        }
        writer.finish().expect("a vector takes all")
    }

    fn read(bytes: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("room for a small file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
        let schema = Arc::clone(builder.schema());
        (schema, builder.build().expect("a reader").map(|batch| batch.expect("a batch")).collect())
    }

    #[test]
    fn every_column_holds_its_value_as_it_stands_and_null_stays_null() {
        let (schema, batches) = read(&written(&sample::divergences()));
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, COLUMNS.map(|(name, _)| name));
        assert!(schema.fields().iter().all(|field| field.data_type() == &DataType::Utf8));
        let last = |column: usize| {
            let column = batches[0].column(column).as_string::<i32>();
            column.is_valid(3).then(|| column.value(3).to_owned())
        };
        let expected = [
            Some("crm-policy-view"),
            Some("mismatch"),
            Some("medium"),
            Some("attribute:holder"),
            Some(r#"{"policy_id":19}"#),
            Some("holder"),
            Some("<b>`Anna|\n\u{202e}"),
            None,
            Some("policy_admin"),
            None,
        ];
        for (column, value) in expected.into_iter().enumerate() {
            assert_eq!(last(column).as_deref(), value, "{}", COLUMNS[column].0);
        }
        assert_eq!(last(10), Some(hex(&sample::divergences()[3].fingerprint)));
    }

    #[test]
    fn a_run_without_divergences_writes_a_valid_file() {
        let (schema, batches) = read(&written(&[]));
        assert_eq!(schema.fields().len(), COLUMNS.len());
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }

    #[test]
    fn the_same_divergences_give_the_same_bytes_and_none_is_lost_between_batches() {
        let many: Vec<_> = sample::divergences().into_iter().cycle().take(3 * LINES_IN_BATCH + 5).collect();
        let bytes = written(&many);
        assert_eq!(bytes, written(&many));
        assert_eq!(read(&bytes).1.iter().map(RecordBatch::num_rows).sum::<usize>(), many.len());
    }

    #[test]
    fn an_error_of_the_destination_keeps_its_kind() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = DivergenceWriter::new(Full).and_then(DivergenceWriter::finish).map(|_| ()).expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
