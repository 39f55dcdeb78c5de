//! Builds Arrow columns from the members of sound objects, under shapes that hold all of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Decimal128Builder, Decimal256Builder, Int64Builder, ListArray, NullArray,
    NullBufferBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StructArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{FieldRef, Fields, SchemaRef, i256};
use arrow::error::ArrowError;
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::flat::{Flat, Member, Number, Value};
use super::record::{elements, members, string};
use super::shape::{Decimal, Shape};

/// The columns of the next batch.
pub(super) struct Rows {
    schema: SchemaRef,
    members: MemberBuilders,
    bytes: usize,
    /// For each name of flat objects the builder of its values.
    flat_route: Vec<Option<usize>>,
}

impl Rows {
    /// Empty columns, in the order of the schema.
    pub(super) fn new<'a>(schema: SchemaRef, columns: impl Iterator<Item = (&'a str, &'a Shape)>) -> Self {
        Self { schema, members: MemberBuilders::new(columns), bytes: 0, flat_route: Vec::new() }
    }

    /// Appends a row.
    ///
    /// # Errors
    /// A value that its column's shape does not hold; the file is then not the one that was surveyed.
    pub(super) fn append(&mut self, row: &[(Cow<'_, str>, &RawValue)]) -> Result<(), String> {
        self.bytes += row.iter().map(|(_, value)| value.get().len()).sum::<usize>();
        self.members.append(Some(row))
    }

    /// Prepares for flat objects with these names.
    pub(super) fn follow(&mut self, flat: &Flat) {
        let index = &self.members.index;
        self.flat_route = flat.names().map(|name| index.get(name).copied()).collect();
    }

    /// Appends a flat object as a row.
    ///
    /// # Errors
    /// As of `append`.
    pub(super) fn append_flat(&mut self, text: &str, row: &[Member]) -> Result<(), String> {
        self.bytes += text.len();
        let MemberBuilders { builders, positions, .. } = &mut self.members;
        positions.fill(None);
        for (position, member) in row.iter().enumerate() {
            if let Some(builder) = self.flat_route[member.name] {
                positions[builder] = Some(position);
            }
        }
        for (builder, position) in builders.iter_mut().zip(positions) {
            match position {
                Some(position) => builder.append_flat(text, &row[*position])?,
                None => builder.append(None)?,
            }
        }
        Ok(())
    }

    /// Bytes of text since the last batch, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the rows since the last batch.
    ///
    /// # Errors
    /// Columns that make no batch.
    pub(super) fn finish(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        self.bytes = 0;
        let arrays = self.members.finish(self.schema.fields())?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// Builders of named values: the columns of a batch, or the members of a struct.
struct MemberBuilders {
    builders: Vec<Builder>,
    index: FxHashMap<Box<str>, usize>,
    /// For each position in the last object the builder that its name led to.
    route: Vec<(Box<str>, Option<usize>)>,
    /// For each builder the position of its value in the current object.
    positions: Vec<Option<usize>>,
}

impl MemberBuilders {
    fn new<'a>(shapes: impl Iterator<Item = (&'a str, &'a Shape)>) -> Self {
        let mut index = FxHashMap::default();
        let mut builders = Vec::new();
        for (name, shape) in shapes {
            index.insert(name.into(), builders.len());
            builders.push(Builder::new(shape));
        }
        Self { positions: vec![None; builders.len()], builders, index, route: Vec::new() }
    }

    /// Appends an object's values, or NULL to every member.
    fn append(&mut self, object: Option<&[(Cow<'_, str>, &RawValue)]>) -> Result<(), String> {
        let object = object.unwrap_or_default();
        self.positions.fill(None);
        for (position, (name, _)) in object.iter().enumerate() {
            if let Some(builder) = self.builder_of(position, name) {
                self.positions[builder] = Some(position);
            }
        }
        for (builder, position) in self.builders.iter_mut().zip(&self.positions) {
            builder.append(position.map(|position| object[position].1.get()))?;
        }
        Ok(())
    }

    fn builder_of(&mut self, position: usize, name: &str) -> Option<usize> {
        match self.route.get_mut(position) {
            Some((known, builder)) if **known == *name => *builder,
            Some(entry) => {
                *entry = (name.into(), self.index.get(name).copied());
                entry.1
            }
            None => {
                // Positions come in order, so that this is the next one.
                let builder = self.index.get(name).copied();
                self.route.push((name.into(), builder));
                builder
            }
        }
    }

    fn finish(&mut self, fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
        self.builders.iter_mut().zip(fields).map(|(builder, field)| builder.finish(field)).collect()
    }
}

/// Builds one column.
enum Builder {
    Null(usize),
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Decimal128(Decimal128Builder, i8),
    Decimal256(Decimal256Builder, i8),
    Text(StringBuilder),
    /// Numbers and JSON as they are written; null is NULL.
    Written(StringBuilder),
    /// JSON as it is written; null stays, absent is empty.
    Member(StringBuilder),
    List {
        offsets: Vec<i32>,
        nulls: NullBufferBuilder,
        items: Box<Builder>,
        length: i32,
    },
    Struct {
        nulls: NullBufferBuilder,
        members: MemberBuilders,
    },
}

impl Builder {
    fn new(shape: &Shape) -> Self {
        match shape {
            Shape::Null => Self::Null(0),
            Shape::Boolean => Self::Boolean(BooleanBuilder::new()),
            Shape::Int64 => Self::Int64(Int64Builder::new()),
            Shape::Decimal128(_, scale) => Self::Decimal128(Decimal128Builder::new(), *scale),
            Shape::Decimal256(_, scale) => Self::Decimal256(Decimal256Builder::new(), *scale),
            Shape::Text => Self::Text(StringBuilder::new()),
            Shape::Number | Shape::Json => Self::Written(StringBuilder::new()),
            Shape::Member => Self::Member(StringBuilder::new()),
            Shape::List(item) => Self::List {
                offsets: vec![0],
                nulls: NullBufferBuilder::new(0),
                items: Box::new(Self::new(item)),
                length: 0,
            },
            Shape::Struct(members) => Self::Struct {
                nulls: NullBufferBuilder::new(0),
                members: MemberBuilders::new(members.iter().map(|(name, shape)| (&**name, shape))),
            },
        }
    }

    /// Appends a value as it is written; None is an absent one.
    fn append(&mut self, raw: Option<&str>) -> Result<(), String> {
        let value = raw.filter(|raw| !raw.starts_with('n'));
        let foreign =
            || "holds a value of another type than when it was opened: it changed while it was read".to_owned();
        match self {
            Self::Null(length) if value.is_none() => *length += 1,
            Self::Null(_) => return Err(foreign()),
            Self::Boolean(builder) => builder.append_option(value.map(|raw| raw.starts_with('t'))),
            Self::Int64(builder) => {
                let number = value.map(str::parse::<i64>).transpose().map_err(|_| foreign())?;
                builder.append_option(number);
            }
            Self::Decimal128(builder, scale) => {
                let number = value.map(|raw| scaled(raw, *scale)?.parse::<i128>().ok().ok_or(()));
                builder.append_option(number.transpose().map_err(|()| foreign())?);
            }
            Self::Decimal256(builder, scale) => {
                let number = value.map(|raw| i256::from_string(&scaled(raw, *scale)?).ok_or(()));
                builder.append_option(number.transpose().map_err(|()| foreign())?);
            }
            Self::Text(builder) => {
                let text = value.map(string).transpose().map_err(|problem| problem.problem)?;
                builder.append_option(text);
            }
            Self::Written(builder) => builder.append_option(value),
            Self::Member(builder) => builder.append_value(raw.unwrap_or_default()),
            Self::List { offsets, nulls, items, length } => {
                let mut values = Vec::new();
                if let Some(raw) = value {
                    elements(raw, &mut values).map_err(|problem| problem.problem)?;
                }
                for element in &values {
                    items.append(Some(element.get()))?;
                }
                *length = i32::try_from(values.len())
                    .ok()
                    .and_then(|added| length.checked_add(added))
                    .ok_or("has more elements than a list can hold")?;
                offsets.push(*length);
                nulls.append(value.is_some());
            }
            Self::Struct { nulls, members: builders } => {
                let mut inner = Vec::new();
                if let Some(raw) = value {
                    members(raw, &mut inner).map_err(|problem| problem.problem)?;
                }
                builders.append(Some(&inner))?;
                nulls.append(value.is_some());
            }
        }
        Ok(())
    }

    /// Appends the value of a member of a flat object.
    fn append_flat(&mut self, text: &str, member: &Member) -> Result<(), String> {
        let raw = &text[member.range.clone()];
        match (&mut *self, &member.value) {
            (Self::Text(builder), Value::Text) => builder.append_value(&raw[1..raw.len() - 1]),
            (Self::Int64(builder), Value::Number(Number { is_negative, digits, places: 0, .. })) => {
                let number = digits.cast_signed();
                builder.append_value(if *is_negative { -number } else { number });
            }
            (Self::Decimal128(builder, scale), Value::Number(number)) => match scaled_flat(*number, *scale) {
                Some(value) => builder.append_value(value),
                None => self.append(Some(raw))?,
            },
            _ => self.append(Some(raw))?,
        }
        Ok(())
    }

    fn finish(&mut self, field: &FieldRef) -> Result<ArrayRef, ArrowError> {
        use arrow::datatypes::DataType;
        Ok(match self {
            Self::Null(length) => Arc::new(NullArray::new(std::mem::take(length))),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            // The next batch will be about as large as this one.
            Self::Int64(builder) => {
                let next = Int64Builder::with_capacity(builder.len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Decimal128(builder, _) => {
                let next = Decimal128Builder::with_capacity(builder.len());
                let array = std::mem::replace(builder, next).finish();
                Arc::new(array.with_data_type(field.data_type().clone()))
            }
            Self::Decimal256(builder, _) => Arc::new(builder.finish().with_data_type(field.data_type().clone())),
            Self::Text(builder) | Self::Written(builder) | Self::Member(builder) => {
                let next = StringBuilder::with_capacity(builder.len(), builder.values_slice().len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::List { offsets, nulls, items, length } => {
                let DataType::List(item) = field.data_type() else {
                    return Err(ArrowError::SchemaError("a list's column is no list".to_owned()));
                };
                *length = 0;
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])));
                let values = items.finish(item)?;
                Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls.finish())?)
            }
            Self::Struct { nulls, members } => {
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(ArrowError::SchemaError("a struct's column is no struct".to_owned()));
                };
                let length = nulls.len();
                let arrays = members.finish(fields)?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, nulls.finish(), length)?)
            }
        })
    }
}

fn scaled(raw: &str, scale: i8) -> Result<String, ()> {
    Decimal::of(raw).map(|decimal| decimal.scaled(scale)).ok_or(())
}

/// A flat number times ten to `scale`, where few digits are added.
fn scaled_flat(number: Number, scale: i8) -> Option<i128> {
    let zeros = u32::try_from(scale).ok()?.checked_sub(number.places)?;
    let value = i128::from(number.digits).checked_mul(10_i128.checked_pow(zeros)?)?;
    Some(if number.is_negative { -value } else { value })
}
