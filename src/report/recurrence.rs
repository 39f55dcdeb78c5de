//! `recurrence.parquet`: for each fingerprint of a run whether it is new, recurs or is resolved, and since when. It never
//! decides which, and writes the lines in the order in which they come.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, UInt64Builder};
use arrow::datatypes::{DataType, Field};

use super::parquet::sink::Sink;

/// Lines held before they go to the Parquet writer.
const LINES_IN_BATCH: usize = 4096;

/// How a fingerprint stands to the run before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Found now and not then, or there is no then.
    New,
    /// Found then and now.
    Recurring,
    /// Found then and not now.
    Resolved,
    /// Found then; now not everything was looked at.
    Unseen,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::New, Self::Recurring, Self::Resolved, Self::Unseen];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Recurring => "recurring",
            Self::Resolved => "resolved",
            Self::Unseen => "unseen",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// In hex, as in `divergences.parquet`.
    pub fingerprint: String,
    /// How it stands.
    pub status: Status,
    /// The first run without a gap that found it.
    pub first_run: String,
    /// When that run began, as an instant in UTC.
    pub first_seen: String,
    /// In how many runs it was found.
    pub runs: u64,
}

/// Writes `recurrence.parquet`.
pub struct RecurrenceWriter<W: Write + Send> {
    sink: Sink<W>,
    /// contract, fingerprint, status, first_run, first_seen
    texts: [StringBuilder; 5],
    runs: UInt64Builder,
    lines: usize,
}

impl<W: Write + Send> RecurrenceWriter<W> {
    /// Begins the file.
    ///
    /// # Errors
    /// What kept its first bytes from being written.
    pub fn new(out: W) -> io::Result<Self> {
        let text = |name| Field::new(name, DataType::Utf8, false);
        let mut fields = ["contract", "fingerprint", "status", "first_run", "first_seen"].map(text).to_vec();
        fields.push(Field::new("runs", DataType::UInt64, false));
        let sink = Sink::new(out, fields)?;
        let texts = std::array::from_fn(|_| StringBuilder::new());
        Ok(Self { sink, texts, runs: UInt64Builder::new(), lines: 0 })
    }

    /// Adds one line.
    ///
    /// # Errors
    /// What kept it from being written.
    pub fn write(&mut self, contract: &str, line: &Line) -> io::Result<()> {
        let values = [contract, &line.fingerprint, line.status.name(), &line.first_run, &line.first_seen];
        for (column, value) in self.texts.iter_mut().zip(values) {
            column.append_value(value);
        }
        self.runs.append_value(line.runs);
        self.lines += 1;
        if self.lines >= LINES_IN_BATCH { self.hand_over() } else { Ok(()) }
    }

    /// Ends a contract's lines, so that each contract's stand in row groups of their own.
    ///
    /// # Errors
    /// What kept them from being written.
    pub fn end_contract(&mut self) -> io::Result<()> {
        self.hand_over()?;
        self.sink.end_group()
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
        let mut columns: Vec<ArrayRef> =
            self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        columns.push(Arc::new(self.runs.finish()));
        self.lines = 0;
        self.sink.write(columns)
    }
}
