//! Unites the files of one source by column name, where every value stays exact. Never rounds, never guesses.
//!
//! A column that a file does not have is NULL there. Types that differ meet in one that holds every value of both; where
//! there is none, the error names both files. Folders named `name=value` become text columns; a column that every file
//! has itself wins over the folder's.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, RecordBatch,
    RecordBatchOptions, StringArray, StructArray, new_null_array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::notation::{Notation, field, notation};

use super::file::SourceFile;
use super::{Error, Piece, Pieces, Unit};

/// What one file holds.
pub(super) struct Contents {
    /// Its own schema, which its units count columns by.
    pub(super) schema: SchemaRef,
    /// Its parts.
    pub(super) units: Vec<Box<dyn Unit>>,
    /// Rows, where known.
    pub(super) rows: Option<u64>,
    /// What is worth a word.
    pub(super) warnings: Vec<String>,
}

/// A file among those of a source.
pub(super) struct Member {
    /// The file.
    pub(super) file: Arc<SourceFile>,
    /// What it holds.
    pub(super) contents: Contents,
    /// What its folders say.
    pub(super) partitions: Vec<(String, Option<String>)>,
}

/// The members as one.
pub(super) struct United {
    /// Columns of all members.
    pub(super) schema: SchemaRef,
    /// Units of all members, in their order.
    pub(super) units: Vec<Box<dyn Unit>>,
    /// What is worth a word.
    pub(super) warnings: Vec<String>,
}

/// A column as the files have it so far.
struct Column {
    field: Field,
    /// The file that set the type, for messages.
    file: String,
}

/// Unites files, which come sorted by path.
///
/// # Errors
/// Two columns of one name in a file, or columns that do not unite.
pub(super) fn unite(members: Vec<Member>) -> Result<United, Error> {
    let mut columns: Vec<Column> = Vec::new();
    for member in &members {
        let place = &member.file.shown;
        for (index, own) in member.contents.schema.fields().iter().enumerate() {
            if member.contents.schema.fields()[..index].iter().any(|earlier| earlier.name() == own.name()) {
                return Err(Error::new(
                    place,
                    format!("has two columns named `{}`, expected each name once", own.name()),
                ));
            }
            let own = plain_field(own);
            match columns.iter_mut().find(|column| column.field.name() == own.name()) {
                None => columns.push(Column { field: own, file: place.clone() }),
                Some(column) => column.meet(&own, place)?,
            }
        }
    }
    let mut warnings = Vec::new();
    let partitions = partition_columns(&members, &columns, &mut warnings)?;
    let fields = columns.iter().map(|column| column.field.clone());
    let fields = fields.chain(partitions.iter().map(|name| Field::new(name, DataType::Utf8, true)));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut units: Vec<Box<dyn Unit>> = Vec::new();
    for member in members {
        warnings.extend(member.contents.warnings);
        let origins = Arc::new(origins(&schema, &member.contents.schema, &member.partitions));
        for inner in member.contents.units {
            units.push(Box::new(UnitedUnit {
                inner,
                schema: Arc::clone(&schema),
                origins: Arc::clone(&origins),
                file: Arc::clone(&member.file),
            }));
        }
    }
    Ok(United { schema, units, warnings })
}

/// A field without the metadata that mean nothing here, nullable.
fn plain_field(own: &Field) -> Field {
    match notation(own) {
        Some(known) => field(own.name(), own.data_type().clone(), known),
        None => Field::new(own.name(), own.data_type().clone(), true),
    }
}

impl Column {
    fn meet(&mut self, other: &Field, file: &str) -> Result<(), Error> {
        let (mine, theirs) = (self.field.data_type(), other.data_type());
        if *theirs == DataType::Null {
            return Ok(());
        }
        if *mine == DataType::Null {
            *self = Self { field: other.clone(), file: file.to_owned() };
            return Ok(());
        }
        let same_notation = notation(&self.field) == notation(other);
        match common(mine, theirs) {
            Some(data_type) if same_notation => {
                if data_type == *theirs && data_type != *mine {
                    file.clone_into(&mut self.file);
                }
                self.field = self.field.clone().with_data_type(data_type);
                Ok(())
            }
            _ => Err(Error::new(
                file,
                format!(
                    "column `{}` is {}, but in {} it is {}; expected one type that holds every value exactly",
                    other.name(),
                    described(other),
                    self.file,
                    described(&self.field),
                ),
            )
            .with_hint("write the files with one type, or give each its own source")),
        }
    }
}

fn described(field: &Field) -> String {
    match notation(field) {
        Some(Notation::Number) => "a number".to_owned(),
        Some(Notation::Json | Notation::JsonDocument | Notation::JsonMember) => "JSON".to_owned(),
        Some(Notation::Uuid) => "a UUID".to_owned(),
        Some(Notation::Unmapped) => "of a type that is not mapped".to_owned(),
        None => field.data_type().to_string(),
    }
}

/// The columns that folders add, in the order of first appearance.
fn partition_columns(members: &[Member], columns: &[Column], warnings: &mut Vec<String>) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = Vec::new();
    for member in members {
        for (name, _) in &member.partitions {
            if !columns.iter().any(|column| column.field.name() == name) {
                if !names.contains(name) {
                    names.push(name.clone());
                }
                continue;
            }
            let without = members.iter().find(|member| member.contents.schema.index_of(name).is_err());
            if let Some(without) = without {
                return Err(Error::new(
                    &member.file.shown,
                    format!(
                        "column `{name}` comes from the folder's name, but some files hold it themselves and {} does \
                         not; expected all or none",
                        without.file.shown
                    ),
                ));
            }
            let warning =
                format!("column `{name}` is in the files and in the folders' names; the files' values are read");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    Ok(names)
}

/// Where a file's part of a column comes from.
enum Origin {
    /// The file's column of this index.
    Own(usize),
    /// The folder; None is NULL.
    Folder(Option<String>),
    /// Nowhere: NULL.
    Absent,
}

fn origins(united: &Schema, own: &Schema, partitions: &[(String, Option<String>)]) -> Vec<Origin> {
    let origin = |field: &FieldRef| match own.index_of(field.name()) {
        Ok(index) => Origin::Own(index),
        Err(_) => match partitions.iter().find(|(name, _)| name == field.name()) {
            Some((_, value)) => Origin::Folder(value.clone()),
            None => Origin::Absent,
        },
    };
    united.fields().iter().map(origin).collect()
}

struct UnitedUnit {
    inner: Box<dyn Unit>,
    schema: SchemaRef,
    origins: Arc<Vec<Origin>>,
    file: Arc<SourceFile>,
}

impl Unit for UnitedUnit {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn rows(&self) -> Option<u64> {
        self.inner.rows()
    }

    fn bytes(&self) -> u64 {
        self.inner.bytes()
    }

    fn memory(&self, columns: &[usize]) -> u64 {
        self.inner.memory(&self.own(columns))
    }

    fn read(&self, columns: &[usize]) -> Result<Pieces<'_>, Error> {
        let own = self.own(columns);
        let pieces = self.inner.read(&own)?;
        self.united(columns, own, pieces)
    }

    fn read_rows(&self, columns: &[usize], rows: &[u64]) -> Option<Result<Pieces<'_>, Error>> {
        let own = self.own(columns);
        let pieces = self.inner.read_rows(&own, rows)?;
        Some(pieces.and_then(|pieces| self.united(columns, own, pieces)))
    }
}

impl UnitedUnit {
    /// The file's own columns among those asked for.
    fn own(&self, columns: &[usize]) -> Vec<usize> {
        let own = columns.iter().filter_map(|column| match self.origins[*column] {
            Origin::Own(index) => Some(index),
            Origin::Folder(_) | Origin::Absent => None,
        });
        let mut own: Vec<usize> = own.collect();
        own.sort_unstable();
        own.dedup();
        own
    }

    /// The file's pieces as those of the source.
    fn united<'a>(&'a self, columns: &[usize], own: Vec<usize>, pieces: Pieces<'a>) -> Result<Pieces<'a>, Error> {
        let schema = self.schema.project(columns).map_err(|error| self.file.error(error.to_string()))?;
        let schema = Arc::new(schema);
        let columns = columns.to_vec();
        Ok(Box::new(pieces.map(move |piece| match piece? {
            Piece::Rows(batch) => {
                let converted = self.convert(&schema, &columns, &own, &batch);
                converted.map(Piece::Rows).map_err(|error| {
                    Error::new(self.inner.place(), format!("has a value that the united column cannot hold: {error}"))
                })
            }
            unreadable @ Piece::Unreadable(_) => Ok(unreadable),
        })))
    }

    fn convert(
        &self,
        schema: &SchemaRef,
        columns: &[usize],
        own: &[usize],
        batch: &RecordBatch,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = batch.num_rows();
        let mut arrays = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(schema.fields()) {
            arrays.push(match &self.origins[*column] {
                Origin::Own(index) => {
                    let at = own.partition_point(|earlier| earlier < index);
                    converted(batch.column(at), field.data_type())?
                }
                Origin::Folder(Some(value)) => {
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows)))
                }
                Origin::Folder(None) | Origin::Absent => new_null_array(field.data_type(), rows),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
    }
}

/// The narrowest common type that holds every value of both exactly, if there is one.
pub(super) fn common(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Dictionary, Duration, FixedSizeBinary, FixedSizeList, Float16, Float32, Float64,
        LargeBinary, LargeList, LargeUtf8, List, Map, Null, Struct, Time32, Time64, Timestamp, Utf8, Utf8View,
    };
    if one == other {
        return Some(one.clone());
    }
    if let Some(number) = common_number(one, other) {
        return Some(number);
    }
    Some(match (one, other) {
        (Null, typed) | (typed, Null) => typed.clone(),
        (Dictionary(_, values), typed) | (typed, Dictionary(_, values)) => common(values, typed)?,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => LargeUtf8,
        (
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
            Binary | LargeBinary | BinaryView | FixedSizeBinary(_),
        ) => LargeBinary,
        (Float16 | Float32, Float16 | Float32) => Float32,
        (Float16 | Float32 | Float64, Float16 | Float32 | Float64) => Float64,
        (Timestamp(unit, zone), Timestamp(other_unit, other_zone)) if zone == other_zone => {
            Timestamp(finer(*unit, *other_unit), zone.clone())
        }
        (Duration(unit), Duration(other_unit)) => Duration(finer(*unit, *other_unit)),
        (Time32(unit) | Time64(unit), Time32(other_unit) | Time64(other_unit)) => {
            let unit = finer(*unit, *other_unit);
            if matches!(unit, TimeUnit::Second | TimeUnit::Millisecond) { Time32(unit) } else { Time64(unit) }
        }
        (List(item), List(other_item)) => List(common_field(item, other_item)?),
        (List(item) | LargeList(item), List(other_item) | LargeList(other_item)) => {
            LargeList(common_field(item, other_item)?)
        }
        (FixedSizeList(item, size), FixedSizeList(other_item, other_size)) if size == other_size => {
            FixedSizeList(common_field(item, other_item)?, *size)
        }
        (Map(entries, sorted), Map(other_entries, other_sorted)) => {
            Map(common_entries(entries, other_entries)?, *sorted && *other_sorted)
        }
        (Struct(fields), Struct(other_fields)) => Struct(common_fields(fields, other_fields)?),
        _ => return None,
    })
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    one.max(other)
}

/// Digits before and after the point of an integer or decimal type, and whether it is unsigned.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => (*precision, *scale),
        _ => return None,
    })
}

fn common_number(one: &DataType, other: &DataType) -> Option<DataType> {
    use DataType::{Float64, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};
    const SIGNED: [DataType; 4] = [Int8, Int16, Int32, Int64];
    const UNSIGNED: [DataType; 4] = [UInt8, UInt16, UInt32, UInt64];
    let rank = |types: &[DataType; 4], data_type| types.iter().position(|known| known == data_type);
    let is_small = |data_type: &DataType| matches!(data_type, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32);
    match (one, other) {
        (Float64, integer) | (integer, Float64) if is_small(integer) => return Some(Float64),
        _ => {}
    }
    if let (Some(one), Some(other)) = (rank(&SIGNED, one), rank(&SIGNED, other)) {
        return Some(SIGNED[one.max(other)].clone());
    }
    if let (Some(one), Some(other)) = (rank(&UNSIGNED, one), rank(&UNSIGNED, other)) {
        return Some(UNSIGNED[one.max(other)].clone());
    }
    let mixed = match (rank(&SIGNED, one), rank(&UNSIGNED, other)) {
        (Some(signed), Some(unsigned)) => Some((signed, unsigned)),
        _ => rank(&SIGNED, other).zip(rank(&UNSIGNED, one)),
    };
    if let Some((signed, unsigned)) = mixed
        && unsigned < 3
    {
        return Some(SIGNED[signed.max(unsigned + 1)].clone());
    }
    let ((precision, scale), (other_precision, other_scale)) = (digits(one)?, digits(other)?);
    let integer = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    let scale_both = scale.max(other_scale).max(0);
    let whole = integer(precision, scale).max(integer(other_precision, other_scale));
    let precision_both = u8::try_from(whole + i16::from(scale_both)).ok()?;
    match precision_both {
        0..=38 => Some(DataType::Decimal128(precision_both.max(1), scale_both)),
        39..=76 => Some(DataType::Decimal256(precision_both, scale_both)),
        _ => None,
    }
}

fn common_field(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let is_null = |field: &FieldRef| *field.data_type() == DataType::Null;
    if notation(one) != notation(other) && !is_null(one) && !is_null(other) {
        return None;
    }
    let data_type = common(one.data_type(), other.data_type())?;
    let lead = if is_null(one) { other } else { one };
    let named = plain_field(&Field::clone(lead).with_name(one.name()));
    Some(Arc::new(named.with_data_type(data_type)))
}

fn common_fields(one: &Fields, other: &Fields) -> Option<Fields> {
    let has_twice = |fields: &Fields| {
        fields.iter().enumerate().any(|(index, field)| fields[..index].iter().any(|known| known.name() == field.name()))
    };
    if has_twice(one) || has_twice(other) {
        return None;
    }
    let mut fields = Vec::with_capacity(one.len());
    for field in one {
        fields.push(match other.find(field.name()) {
            Some((_, theirs)) => common_field(field, theirs)?,
            None => Arc::new(plain_field(field)),
        });
    }
    let added = other.iter().filter(|field| one.find(field.name()).is_none());
    fields.extend(added.map(|field| Arc::new(plain_field(field))));
    Some(fields.into())
}

/// The entries of a map keep their names and that neither entries nor keys are NULL.
fn common_entries(one: &FieldRef, other: &FieldRef) -> Option<FieldRef> {
    let (DataType::Struct(fields), DataType::Struct(other_fields)) = (one.data_type(), other.data_type()) else {
        return None;
    };
    let ([key, value], [other_key, other_value]) = (fields.as_ref(), other_fields.as_ref()) else { return None };
    let key = Field::clone(&*common_field(key, other_key)?).with_nullable(false);
    let value = common_field(value, other_value)?;
    let entries = DataType::Struct(vec![Arc::new(key), value].into());
    Some(Arc::new(Field::new(one.name(), entries, false)))
}

/// An array in a type that `common` gave for it.
fn converted(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), target) {
        (DataType::Null, _) => Ok(new_null_array(target, array.len())),
        (DataType::Struct(_), DataType::Struct(fields)) => converted_struct(array.as_struct(), fields),
        (DataType::List(_), DataType::List(item)) => converted_list(array.as_list::<i32>(), item),
        (DataType::LargeList(_), DataType::LargeList(item)) => converted_list(array.as_list::<i64>(), item),
        (DataType::List(item), DataType::LargeList(_)) => {
            let widened = cast_exactly(array, &DataType::LargeList(Arc::clone(item)))?;
            converted(&widened, target)
        }
        (DataType::FixedSizeList(..), DataType::FixedSizeList(item, size)) => {
            let list = array.as_fixed_size_list();
            let values = converted(list.values(), item.data_type())?;
            let list = FixedSizeListArray::try_new_with_length(
                Arc::clone(item),
                *size,
                values,
                list.nulls().cloned(),
                list.len(),
            )?;
            Ok(Arc::new(list))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(ArrowError::CastError("a map's entries are no struct".to_owned()));
            };
            let own: ArrayRef = Arc::new(map.entries().clone());
            let columns = own.as_struct().columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| converted(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let own = StructArray::try_new(fields.clone(), columns, None)?;
            let map =
                MapArray::try_new(Arc::clone(entries), map.offsets().clone(), own, map.nulls().cloned(), *sorted)?;
            Ok(Arc::new(map))
        }
        _ => cast_exactly(array, target),
    }
}

fn cast_exactly(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    // `safe` would turn what does not fit into NULL.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, target, &options)
}

fn converted_struct(own: &StructArray, fields: &Fields) -> Result<ArrayRef, ArrowError> {
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        columns.push(match own.column_by_name(field.name()) {
            Some(column) => converted(column, field.data_type())?,
            None => new_null_array(field.data_type(), own.len()),
        });
    }
    let array = StructArray::try_new_with_length(fields.clone(), columns, own.nulls().cloned(), own.len())?;
    Ok(Arc::new(array))
}

fn converted_list<O: OffsetSizeTrait>(own: &GenericListArray<O>, item: &FieldRef) -> Result<ArrayRef, ArrowError> {
    let values = converted(own.values(), item.data_type())?;
    let list = GenericListArray::<O>::try_new(Arc::clone(item), own.offsets().clone(), values, own.nulls().cloned())?;
    Ok(Arc::new(list))
}
