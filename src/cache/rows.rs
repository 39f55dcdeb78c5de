//! The values of a unit's candidates as they were read, with their numbers within the unit.

use std::io;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::bytes::{Rest, put_small};

/// Some rows of a unit.
#[derive(Clone, Debug)]
pub struct KeptRows {
    /// Their numbers, in the order of the batch.
    pub numbers: Vec<u32>,
    /// Their compared columns.
    pub batch: RecordBatch,
}

impl KeptRows {
    pub(super) fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut into = Vec::new();
        put_small(&mut into, &self.numbers);
        let mut writer = StreamWriter::try_new(&mut into, &self.batch.schema()).map_err(io::Error::other)?;
        writer.write(&self.batch).and_then(|()| writer.finish()).map_err(io::Error::other)?;
        drop(writer);
        Ok(into)
    }

    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let mut rest = Rest(content);
        let numbers = rest.small()?;
        let batch = StreamReader::try_new(rest.0, None).ok()?.next()?.ok()?;
        (batch.num_rows() == numbers.len()).then_some(Self { numbers, batch })
    }
}
