//! Builds Arrow columns of SQLite's values, each of the kind that the survey found.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, NullArray, RecordBatch, RecordBatchOptions,
    StringBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use rusqlite::types::ValueRef;

use super::kind::Kind;

/// The columns of the next batch.
pub(super) struct Columns {
    builders: Vec<Builder>,
    /// Rows so far.
    pub rows: usize,
    /// Bytes of text and bytes so far.
    pub bytes: usize,
}

enum Builder {
    Null,
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Real(Float64Builder),
    /// Text, or anything written as text.
    Text(StringBuilder),
    Blob(BinaryBuilder),
}

impl Columns {
    pub(super) fn new<'a>(kinds: impl Iterator<Item = &'a Kind>) -> Self {
        let builder = |kind: &Kind| match kind {
            Kind::Null => Builder::Null,
            Kind::Boolean => Builder::Boolean(BooleanBuilder::new()),
            Kind::Integer => Builder::Integer(Int64Builder::new()),
            Kind::Real => Builder::Real(Float64Builder::new()),
            Kind::Number | Kind::Text | Kind::Mixed(_) => Builder::Text(StringBuilder::new()),
            Kind::Blob => Builder::Blob(BinaryBuilder::new()),
        };
        Self { builders: kinds.map(builder).collect(), rows: 0, bytes: 0 }
    }

    /// What keeps a row's values from being read, looked at before any is appended.
    pub(super) fn problem(&self, index: usize, value: ValueRef<'_>) -> Option<&'static str> {
        let fits = match (&self.builders[index], value) {
            (Builder::Text(_), ValueRef::Text(bytes)) => {
                return std::str::from_utf8(bytes).err().map(|_| "holds text that is no UTF-8");
            }
            (_, ValueRef::Null)
            | (Builder::Text(_), _)
            | (Builder::Boolean(_), ValueRef::Integer(0 | 1))
            | (Builder::Integer(_), ValueRef::Integer(_))
            | (Builder::Real(_), ValueRef::Real(_))
            | (Builder::Blob(_), ValueRef::Blob(_)) => true,
            _ => false,
        };
        (!fits).then_some("holds a value of another storage class than when it was first read")
    }

    /// Appends a value that `problem` found none in.
    pub(super) fn append(&mut self, index: usize, value: ValueRef<'_>) {
        match (&mut self.builders[index], value) {
            (Builder::Null, _) => {}
            (Builder::Boolean(builder), ValueRef::Integer(value)) => builder.append_value(value != 0),
            (Builder::Boolean(builder), _) => builder.append_null(),
            (Builder::Integer(builder), ValueRef::Integer(value)) => builder.append_value(value),
            (Builder::Integer(builder), _) => builder.append_null(),
            (Builder::Real(builder), ValueRef::Real(value)) => builder.append_value(value),
            (Builder::Real(builder), _) => builder.append_null(),
            (Builder::Blob(builder), ValueRef::Blob(bytes)) => {
                self.bytes += bytes.len();
                builder.append_value(bytes);
            }
            (Builder::Blob(builder), _) => builder.append_null(),
            (Builder::Text(builder), value) => match written(value) {
                Some(text) => {
                    self.bytes += text.len();
                    builder.append_value(text);
                }
                None => builder.append_null(),
            },
        }
    }

    /// Takes the rows since the last batch.
    ///
    /// # Errors
    /// Columns that make no batch.
    pub(super) fn finish(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let array = |builder: &mut Builder| -> ArrayRef {
            match builder {
                Builder::Null => Arc::new(NullArray::new(rows)),
                Builder::Boolean(builder) => Arc::new(builder.finish()),
                Builder::Integer(builder) => Arc::new(builder.finish()),
                Builder::Real(builder) => Arc::new(builder.finish()),
                Builder::Text(builder) => Arc::new(builder.finish()),
                Builder::Blob(builder) => Arc::new(builder.finish()),
            }
        };
        let arrays = self.builders.iter_mut().map(array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
    }
}

/// A value in the notation of text: floats by the shortest decimal that reads back as them, bytes in hexadecimal.
fn written(value: ValueRef<'_>) -> Option<std::borrow::Cow<'_, str>> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Integer(value) => value.to_string().into(),
        ValueRef::Real(value) => zmij::Buffer::new().format(value).to_owned().into(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    })
}
