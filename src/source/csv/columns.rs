//! Gathers the asked fields of records into Arrow text columns, straight into offsets and bytes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, RecordBatch, RecordBatchOptions, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;

use super::marks::{Marks, unquoted};
use super::record::{Parser, Quoting, append_value};
use crate::source::Error;

/// The columns of the next batch.
pub(super) struct Columns {
    schema: SchemaRef,
    gathered: Vec<Column>,
    null: Option<NullTexts>,
    bytes: usize,
}

struct Column {
    field: usize,
    offsets: Vec<i32>,
    values: Vec<u8>,
    nulls: NullBufferBuilder,
}

/// The texts that `csv.null` lists.
struct NullTexts {
    texts: Vec<Vec<u8>>,
    longest: usize,
}

impl NullTexts {
    fn contains(&self, value: &[u8]) -> bool {
        value.len() <= self.longest && self.texts.iter().any(|text| text == value)
    }
}

impl Columns {
    /// The named columns of a file; `null` as in `csv.null`.
    ///
    /// # Errors
    /// A column that the file does not have.
    pub(super) fn new(schema: &Schema, fields: &[usize], null: Option<&[String]>) -> Result<Self, Error> {
        let projected = schema.project(fields).map_err(|error| Error::new("", error.to_string()))?;
        let column = |field: &usize| Column {
            field: *field,
            offsets: vec![0],
            values: Vec::new(),
            nulls: NullBufferBuilder::new(0),
        };
        let null = null.map(|texts| NullTexts {
            texts: texts.iter().map(|text| text.as_bytes().to_vec()).collect(),
            longest: texts.iter().map(String::len).max().unwrap_or(0),
        });
        Ok(Self { schema: Arc::new(projected), gathered: fields.iter().map(column).collect(), null, bytes: 0 })
    }

    /// Appends the parser's current record, whose fields are complete.
    pub(super) fn append(&mut self, parser: &Parser) {
        for column in &mut self.gathered {
            let (bytes, quoting) = parser.raw_field(column.field);
            self.bytes += column.append(bytes, quoting, self.null.as_ref());
        }
    }

    /// Appends some records of a text in which all are alike, all at once; it is UTF-8, and their fields are complete.
    pub(super) fn append_alike(&mut self, bytes: &[u8], marks: &Marks, records: Range<usize>) {
        for column in &mut self.gathered {
            let fields = marks.field(bytes, column.field, records.clone());
            let before = column.values.len();
            if self.null.is_some() || (marks.has_quotes() && fields.clone().any(|(start, _)| bytes[start] == b'"')) {
                for (start, end) in fields {
                    let (bytes, quoting) = unquoted(&bytes[start..end]);
                    column.append(bytes, quoting, self.null.as_ref());
                }
            } else {
                column.append_plain(bytes, fields);
            }
            self.bytes += column.values.len() - before;
        }
    }

    /// Bytes of text since the last batch.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the rows since the last batch.
    ///
    /// # Errors
    /// Columns that make no batch.
    pub(super) fn finish(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        self.bytes = 0;
        let arrays = self.gathered.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// Fields up to this length are copied by moves of this length, which may take along what follows and is overwritten.
const SHORT: usize = 16;

impl Column {
    /// Appends one field; the bytes that it took.
    fn append(&mut self, bytes: &[u8], quoting: Quoting, null: Option<&NullTexts>) -> usize {
        let start = self.values.len();
        append_value(&mut self.values, bytes, quoting);
        let value = &self.values[start..];
        let is_null = match null {
            None => quoting == Quoting::Plain && value.is_empty(),
            Some(texts) => texts.contains(value),
        };
        if is_null {
            self.values.truncate(start);
        }
        self.nulls.append(!is_null);
        // Batches are taken long before their text reaches what 32-bit offsets can address.
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
        self.values.len() - start
    }

    /// Appends fields without quotes, of which the empty ones are NULL.
    fn append_plain(&mut self, bytes: &[u8], fields: impl Iterator<Item = (usize, usize)> + Clone) {
        let first = self.offsets.len();
        let mut total = self.values.len();
        let mut has_null = false;
        self.offsets.extend(fields.clone().map(|(start, end)| {
            has_null |= start == end;
            total += end - start;
            i32::try_from(total).unwrap_or(i32::MAX)
        }));
        let mut at = self.values.len();
        self.values.resize(total + SHORT, 0);
        for (start, end) in fields.clone() {
            let length = end - start;
            match (self.values[at..].first_chunk_mut::<SHORT>(), bytes[start..].first_chunk::<SHORT>()) {
                (Some(target), Some(value)) if length <= SHORT => *target = *value,
                _ => self.values[at..at + length].copy_from_slice(&bytes[start..end]),
            }
            at += length;
        }
        self.values.truncate(total);
        if has_null {
            fields.for_each(|(start, end)| self.nulls.append(start < end));
        } else {
            self.nulls.append_n_non_nulls(self.offsets.len() - first);
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        // The next batch will be about as large as this one.
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(values), self.nulls.finish())?;
        Ok(Arc::new(array))
    }
}
