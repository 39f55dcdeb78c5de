//! Reads Parquet files, a row group (or a few very small ones) a unit.
//!
//! The metadata are read once per file; every read of a unit has its own positioned handle. A page that does not decode
//! costs the rest of its row group, which is said with its number of rows; it is never a panic and never a silent end.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::basic::{Compression as ParquetCompression, LogicalType, Type as PhysicalType};

use crate::contract::Format;
use crate::notation::{Notation, field};

use super::file::{Positioned, SourceFile};
use super::format::{Compression, not};
use super::guard::guarded;
use super::unite::Contents;
use super::{Error, Piece, Pieces, Unit, Unreadable};

mod chunks;

use chunks::Chunks;

/// Row groups below this are read together.
const UNIT_BYTES_MIN: u64 = 1 << 20;

/// Opens a Parquet file.
///
/// # Errors
/// A file that is foreign, truncated, encrypted, or whose metadata contradict themselves.
pub(super) fn open(file: &Arc<SourceFile>, batch_rows: usize) -> Result<Contents, Error> {
    check_magic(file)?;
    let reader = Chunks { handle: file.open()? };
    let metadata = load(file, &reader)?;
    let (fields, roots) = fields(file, &metadata)?;
    let (groups, rows) = groups(file, &metadata)?;
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let parquet =
        Arc::new(ParquetFile { file: Arc::clone(file), metadata, roots, schema: Arc::clone(&schema), batch_rows });
    let mut units: Vec<Box<dyn Unit>> = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (index, group) in groups.iter().enumerate() {
        bytes += group.bytes;
        if bytes >= UNIT_BYTES_MIN || index + 1 == groups.len() {
            let unit = GroupUnit {
                parquet: Arc::clone(&parquet),
                range: start..index + 1,
                rows: groups[start..=index].iter().map(|group| group.rows).collect(),
                bytes,
            };
            units.push(Box::new(unit));
            start = index + 1;
            bytes = 0;
        }
    }
    Ok(Contents { schema, units, rows: Some(rows), warnings: Vec::new() })
}

fn check_magic(file: &SourceFile) -> Result<(), Error> {
    let head = super::head(file, Compression::None)?;
    if head.starts_with(b"PARE") {
        return Err(file
            .error("is an encrypted Parquet file, expected a plain one")
            .with_hint("decrypt it first; this version holds no keys"));
    }
    if !head.starts_with(b"PAR1") {
        return Err(not(file, &head, Format::Parquet, Compression::None));
    }
    let length = file.identity.bytes;
    let tail = file.range(length.saturating_sub(8).max(4.min(length)), length)?;
    if tail.ends_with(b"PARE") {
        return Err(file.error("is a Parquet file with an encrypted footer, expected a plain one"));
    }
    if tail.len() < 8 || !tail.ends_with(b"PAR1") {
        return Err(file
            .error(format!(
                "ends after {length} bytes without a Parquet footer, expected `PAR1` at its end: it is truncated"
            ))
            .with_hint("fetch or write the file again"));
    }
    Ok(())
}

fn load(file: &SourceFile, reader: &Chunks) -> Result<ArrowReaderMetadata, Error> {
    let attempt = |options| {
        guarded(|| ArrowReaderMetadata::load(reader, options)).map_err(|problem| {
            file.error(format!("has a Parquet footer that cannot be read: {problem}"))
                .with_hint("fetch or write the file again")
        })
    };
    let metadata = attempt(ArrowReaderOptions::new()).or_else(|first| {
        // The writer's Arrow schema is only a hint; the file's own schema suffices.
        attempt(ArrowReaderOptions::new().with_skip_arrow_metadata(true)).map_err(|_| first)
    })?;
    Ok(as_stored(&metadata).unwrap_or(metadata))
}

/// The same columns in the Arrow types that cost the least to decode: text and bytes as views into the decoded pages, decimals
/// of 64 bits as such. None where the crate does not read them so.
fn as_stored(metadata: &ArrowReaderMetadata) -> Option<ArrowReaderMetadata> {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let stored_in_64_bits = |field: &Field| {
        let root = roots.iter().find(|root| root.name() == field.name());
        let physical = root.filter(|root| root.is_primitive()).map(|root| root.get_physical_type());
        matches!(physical, Some(PhysicalType::INT32 | PhysicalType::INT64))
    };
    let cheapest = |field: &Field| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8) => {
            DataType::Utf8View
        }
        DataType::Decimal128(precision, scale) if *precision <= 18 && stored_in_64_bits(field) => {
            DataType::Decimal64(*precision, *scale)
        }
        other => other.clone(),
    };
    let schema = metadata.schema();
    let fields = schema.fields().iter().map(|field| Field::clone(field).with_data_type(cheapest(field)));
    let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    guarded(|| ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)).ok()
}

/// The columns, and for each its root in the Parquet schema.
fn fields(file: &SourceFile, metadata: &ArrowReaderMetadata) -> Result<(Vec<Field>, Vec<usize>), Error> {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let mut fields = Vec::with_capacity(roots.len());
    let mut indices = Vec::with_capacity(roots.len());
    for own in metadata.schema().fields() {
        let mut same = roots.iter().enumerate().filter(|(_, root)| root.name() == own.name());
        let Some((index, root)) = same.next() else {
            return Err(file.error(format!("column `{}` is in the Arrow schema and not in the file", own.name())));
        };
        if same.next().is_some() {
            return Err(file.error(format!("has two columns named `{}`, expected each name once", own.name())));
        }
        let is_uuid = root.is_primitive() && root.get_basic_info().logical_type_ref() == Some(&LogicalType::Uuid);
        fields.push(if is_uuid {
            field(own.name(), own.data_type().clone(), Notation::Uuid)
        } else {
            Field::clone(own)
        });
        indices.push(index);
    }
    Ok((fields, indices))
}

struct Group {
    rows: u64,
    bytes: u64,
}

fn groups(file: &SourceFile, metadata: &ArrowReaderMetadata) -> Result<(Vec<Group>, u64), Error> {
    let metadata = metadata.metadata();
    let mut groups = Vec::with_capacity(metadata.num_row_groups());
    let mut total: u64 = 0;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let rows = u64::try_from(group.num_rows())
            .map_err(|_| file.error(format!("row group {index} claims {} rows", group.num_rows())))?;
        // Only for progress and for joining small ones, so that an absurd figure does no harm.
        let bytes = group.columns().iter().map(|column| u64::try_from(column.compressed_size()).unwrap_or(0));
        let bytes = bytes.fold(0, u64::saturating_add).min(file.identity.bytes);
        total = total.saturating_add(rows);
        groups.push(Group { rows, bytes });
    }
    let claimed = metadata.file_metadata().num_rows();
    if u64::try_from(claimed) != Ok(total) {
        return Err(file.error(format!("its footer claims {claimed} rows, but its row groups hold {total}")));
    }
    Ok((groups, total))
}

struct ParquetFile {
    file: Arc<SourceFile>,
    metadata: ArrowReaderMetadata,
    roots: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
}

impl ParquetFile {
    /// Rows of a batch of a row group, so few that they take some megabytes.
    fn batch_rows(&self, group: usize) -> usize {
        const BATCH_BYTES: u128 = 4 << 20;
        let group = self.metadata.metadata().row_group(group);
        let positive = |figure: i64| u128::try_from(figure).unwrap_or(0).max(1);
        let rows = BATCH_BYTES * positive(group.num_rows()) / positive(group.total_byte_size());
        usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, self.batch_rows)
    }

    /// Bytes that reading some columns of a row group takes: a page of each, as stored and as decoded.
    fn memory(&self, columns: &[usize], group: usize) -> u64 {
        /// Writers end a page at a megabyte, but look only after so many values.
        const PAGE_BYTES: u64 = 5 << 18;
        const PAGE_VALUES: u64 = 1024;
        let roots: Vec<usize> = columns.iter().map(|column| self.roots[*column]).collect();
        let group = self.metadata.metadata().row_group(group);
        let schema = self.metadata.parquet_schema();
        let chunks = group.columns().iter().enumerate();
        let chunks = chunks.filter(|(leaf, _)| roots.contains(&schema.get_column_root_idx(*leaf)));
        let positive = |figure: i64| u64::try_from(figure).unwrap_or(0);
        let pages = chunks.map(|(_, chunk)| {
            let (decoded, values) = (positive(chunk.uncompressed_size()), positive(chunk.num_values()));
            let value = decoded / values.max(1);
            let page = decoded.min(PAGE_BYTES.max(value.saturating_mul(PAGE_VALUES)));
            // Of a page of text, or of a dictionary of texts, each value has a view.
            let views = if chunk.column_type() == PhysicalType::BYTE_ARRAY {
                (page / value.max(1)).min(values) * 16
            } else {
                0
            };
            let page = page.saturating_add(views);
            match chunk.compression() {
                // What is stored is what is read.
                ParquetCompression::UNCOMPRESSED => page,
                _ => page + positive(chunk.compressed_size()).min(page),
            }
        });
        pages.fold(4 << 20, u64::saturating_add)
    }
}

struct GroupUnit {
    parquet: Arc<ParquetFile>,
    range: Range<usize>,
    rows: Vec<u64>,
    bytes: u64,
}

impl Unit for GroupUnit {
    fn place(&self) -> String {
        let shown = &self.parquet.file.shown;
        match self.range.len() {
            1 => format!("{shown}, row group {}", self.range.start),
            _ => format!("{shown}, row groups {} to {}", self.range.start, self.range.end - 1),
        }
    }

    fn rows(&self) -> Option<u64> {
        Some(self.rows.iter().sum())
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn memory(&self, columns: &[usize]) -> u64 {
        let groups = self.range.clone().map(|group| self.parquet.memory(columns, group));
        groups.max().unwrap_or_default()
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let groups = self.groups(columns, None)?;
        Ok(Box::new(groups))
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        Some(self.groups(columns, Some(self.by_group(rows))).map(|groups| Box::new(groups) as Pieces<'_>))
    }
}

impl GroupUnit {
    /// Rows of each row group, by their numbers within it.
    fn by_group(&self, rows: &[u64]) -> Vec<Vec<u64>> {
        let mut first = 0;
        let mut rest = rows;
        let groups = self.rows.iter().map(|&count| {
            let (mine, after) = rest.split_at(rest.partition_point(|&row| row < first + count));
            let mine = mine.iter().map(|&row| row - first).collect();
            first += count;
            rest = after;
            mine
        });
        groups.collect()
    }

    fn groups(&self, columns: &[usize], wanted: Option<Vec<Vec<u64>>>) -> Result<Groups<'_>, Error> {
        let parquet = &self.parquet;
        let roots = columns.iter().map(|column| parquet.roots[*column]);
        let mask = ProjectionMask::roots(parquet.metadata.parquet_schema(), roots);
        let schema = parquet.schema.project(columns).map_err(|error| parquet.file.error(error.to_string()))?;
        let handle = parquet.file.open()?;
        let schema = Arc::new(schema);
        Ok(Groups { unit: self, mask, schema, handle, wanted, next: 0, current: None, failed: false })
    }
}

/// Single rows as the Parquet crate selects them.
fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::with_capacity(rows.len() * 2);
    let mut next = 0;
    for &row in rows {
        let position = usize::try_from(row).expect("a row group's rows are counted in memory");
        selectors.extend((position > next).then(|| RowSelector::skip(position - next)));
        selectors.push(RowSelector::select(1));
        next = position + 1;
    }
    selectors.into()
}

struct Groups<'a> {
    unit: &'a GroupUnit,
    mask: ProjectionMask,
    schema: SchemaRef,
    handle: Positioned,
    /// Only these rows of each row group.
    wanted: Option<Vec<Vec<u64>>>,
    next: usize,
    current: Option<Current>,
    failed: bool,
}

struct Current {
    reader: Option<ParquetRecordBatchReader>,
    group: usize,
    rows_left: u64,
}

impl Groups<'_> {
    fn begin(&mut self) -> Option<Piece> {
        let wanted = self.wanted.as_ref().map(|wanted| wanted[self.next].as_slice());
        let rows_left = wanted.map_or(self.unit.rows[self.next], |rows| rows.len() as u64);
        let selection = wanted.map(selection);
        let group = self.unit.range.start + self.next;
        self.next += 1;
        if rows_left == 0 {
            return None;
        }
        let parquet = &self.unit.parquet;
        let built = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                Chunks { handle: self.handle.duplicate() },
                parquet.metadata.clone(),
            );
            let builder = builder
                .with_row_groups(vec![group])
                .with_projection(self.mask.clone())
                .with_batch_size(parquet.batch_rows(group));
            match selection {
                Some(selection) => builder.with_row_selection(selection).build(),
                None => builder.build(),
            }
        });
        match built {
            Ok(reader) => {
                self.current = Some(Current { reader: Some(reader), group, rows_left });
                None
            }
            Err(problem) => Some(self.unreadable(group, rows_left, problem)),
        }
    }

    fn unreadable(&self, group: usize, rows: u64, problem: String) -> Piece {
        let place = format!("{}, row group {group}", self.unit.parquet.file.shown);
        Piece::Unreadable(Unreadable { rows, place, problem })
    }

    /// The next piece of the current row group; None where it is done.
    fn step(&mut self, mut current: Current) -> Option<Result<Piece, Error>> {
        // Taken out first: a reader that panicked is never called again.
        let mut reader = current.reader.take()?;
        let read = guarded(|| {
            let batch = reader.next().transpose()?;
            Ok::<_, ArrowError>((batch, reader))
        });
        let group = current.group;
        match read {
            Ok((None, _)) if current.rows_left == 0 => None,
            Ok((None, _)) => {
                let problem = "the data end before the rows that the footer counts".to_owned();
                Some(Ok(self.unreadable(group, current.rows_left, problem)))
            }
            Ok((Some(batch), reader)) => {
                let Some(rows_left) = current.rows_left.checked_sub(batch.num_rows() as u64) else {
                    self.failed = true;
                    let place = format!("{}, row group {group}", self.unit.parquet.file.shown);
                    return Some(Err(Error::new(place, "holds more rows than its footer counts")));
                };
                self.current = Some(Current { reader: Some(reader), group, rows_left });
                let expected = self.schema.fields().iter().map(|field| field.data_type());
                if !batch.columns().iter().map(|column| column.data_type()).eq(expected) {
                    self.failed = true;
                    let place = format!("{}, row group {group}", self.unit.parquet.file.shown);
                    return Some(Err(Error::new(place, "its columns are of other types than the footer says")));
                }
                Some(Ok(Piece::Rows(batch)))
            }
            Err(problem) if current.rows_left == 0 => {
                self.failed = true;
                let place = format!("{}, row group {group}", self.unit.parquet.file.shown);
                Some(Err(Error::new(place, problem)))
            }
            Err(problem) => Some(Ok(self.unreadable(group, current.rows_left, problem))),
        }
    }
}

impl Iterator for Groups<'_> {
    type Item = Result<Piece, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            let piece = match self.current.take() {
                Some(current) => self.step(current),
                None if self.next < self.unit.rows.len() => self.begin().map(Ok),
                None => return None,
            };
            match piece {
                Some(Ok(Piece::Rows(batch))) if batch.num_rows() == 0 => {}
                Some(piece) => return Some(piece),
                None => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
