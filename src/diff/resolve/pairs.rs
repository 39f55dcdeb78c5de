//! Compares the values of many pairs, a column at a time: its layout is looked at once. What has a tolerance is asked of it
//! only where the values differ.

use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType, AsArray, BooleanArray, OffsetSizeTrait};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type, i256};

use super::{RowAt, Rows, fault_at};
use crate::normalise::{Binding, CanonicalColumn, within};
use crate::sides::Sides;

/// Two rows of one key: batch and row of each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    authority: (u32, u32),
    projection: (u32, u32),
}

impl Pair {
    pub(super) fn new(authority: RowAt, projection: RowAt) -> Self {
        let small = |number: usize| u32::try_from(number).expect("a partition has fewer than 2³² rows");
        let packed = |at: RowAt| (small(at.batch), small(at.row));
        Self { authority: packed(authority), projection: packed(projection) }
    }

    pub(super) fn rows(self) -> Sides<RowAt> {
        let at = |(batch, row): (u32, u32)| RowAt { batch: batch as usize, row: row as usize };
        Sides { authority: at(self.authority), projection: at(self.projection) }
    }
}

/// Which attributes of each pair differ: a bit for each.
pub(super) struct Differing {
    words: usize,
    masks: Vec<u64>,
    /// The pair whose attributes were asked for last: often the next has the same.
    last: Option<(usize, Arc<[usize]>)>,
}

impl Differing {
    /// As they were found, a bit for each attribute of the binding.
    pub(super) fn new(binding: &Binding, masks: Vec<u64>) -> Self {
        Self { words: binding.attributes.len().div_ceil(64), masks, last: None }
    }

    /// Takes an attribute from those that differ wherever it is tolerated.
    pub(super) fn relieve(&mut self, attribute: usize, tolerated: impl Fn(usize) -> bool) {
        let (word, bit) = (attribute / 64, 1 << (attribute % 64));
        for (pair, mask) in self.masks.chunks_exact_mut(self.words).enumerate() {
            if mask[word] & bit != 0 && tolerated(pair) {
                mask[word] &= !bit;
            }
        }
    }

    /// The attributes that differ, ascending; None where none does.
    pub(super) fn attributes(&mut self, pair: usize) -> Option<Arc<[usize]>> {
        let mask = self.mask(pair);
        if mask.iter().all(|word| *word == 0) {
            return None;
        }
        if let Some((last, attributes)) = &self.last
            && self.mask(*last) == mask
        {
            return Some(Arc::clone(attributes));
        }
        let set = |index: &usize| mask[index / 64] >> (index % 64) & 1 == 1;
        let attributes: Arc<[usize]> = (0..mask.len() * 64).filter(set).collect();
        self.last = Some((pair, Arc::clone(&attributes)));
        Some(attributes)
    }

    fn mask(&self, pair: usize) -> &[u64] {
        &self.masks[pair * self.words..(pair + 1) * self.words]
    }
}

/// Compares all attributes of all pairs but those of the key.
pub(super) fn differing(binding: &Binding, rows: &Sides<Rows>, pairs: &[Pair]) -> Differing {
    let words = binding.attributes.len().div_ceil(64);
    let mut masks = vec![0_u64; if pairs.is_empty() { 0 } else { words * pairs.len() }];
    if !pairs.is_empty() {
        for (index, attribute) in binding.attributes.iter().enumerate().skip(binding.key_count) {
            let columns = rows.as_ref().map(|_, rows| {
                rows.canonical.iter().map(|batch| &batch.columns[index]).collect::<Vec<&CanonicalColumn>>()
            });
            let (word, bit) = (index / 64, 1 << (index % 64));
            each_difference(&columns, pairs, |pair| {
                let at = pairs[pair].rows();
                let tolerated = attribute.tolerance.as_ref().is_some_and(|bound| {
                    let columns = columns.as_ref().map(|side, columns| columns[at.get(side).batch]);
                    within(bound, &attribute.comparison, columns, at.map(|_, at| at.row))
                });
                if !tolerated {
                    masks[pair * words + word] |= bit;
                }
            });
        }
    }
    Differing::new(binding, masks)
}

/// Calls for each pair whose values differ, faults among them; it may call twice for the same.
fn each_difference(columns: &Sides<Vec<&CanonicalColumn>>, pairs: &[Pair], mut differs: impl FnMut(usize)) {
    let arrays = columns.as_ref().map(|_, columns| columns.iter().map(|column| column.values.as_ref()).collect());
    each_unequal(&arrays, pairs, &mut differs);
    if columns.iter().any(|(_, columns)| columns.iter().any(|column| !column.faults.is_empty())) {
        for (index, pair) in pairs.iter().enumerate() {
            let is_fault = |column: &CanonicalColumn, at: RowAt| fault_at(column, at.row).is_some();
            if pair.rows().iter().any(|(side, at)| is_fault(columns.get(side)[at.batch], *at)) {
                differs(index);
            }
        }
    }
}

fn each_unequal(arrays: &Sides<Vec<&dyn Array>>, pairs: &[Pair], differs: &mut dyn FnMut(usize)) {
    let mut types = arrays.iter().flat_map(|(_, arrays)| arrays.iter().map(|array| array.data_type()));
    // Scale and precision of canonical decimals are those of the comparison, or mean nothing.
    let first = types.next().cloned().unwrap_or(DataType::Null);
    let alike = types.all(|other| std::mem::discriminant(other) == std::mem::discriminant(&first));
    match first {
        DataType::Null if alike => {}
        DataType::Date32 if alike => unequal_primitives::<Date32Type>(arrays, pairs, differs),
        DataType::Int64 if alike => unequal_primitives::<Int64Type>(arrays, pairs, differs),
        DataType::Decimal128(..) if alike => unequal_primitives::<Decimal128Type>(arrays, pairs, differs),
        DataType::Decimal256(..) if alike => unequal_primitives::<Decimal256Type>(arrays, pairs, differs),
        _ => {
            let cells =
                arrays.as_ref().map(|_, arrays| arrays.iter().map(|array| Cells::of(*array)).collect::<Vec<_>>());
            unequal(
                arrays,
                pairs,
                |(batch, row)| cells.authority[batch as usize].value(row as usize),
                |(batch, row)| cells.projection[batch as usize].value(row as usize),
                differs,
            );
        }
    }
}

fn unequal_primitives<T: ArrowPrimitiveType>(
    arrays: &Sides<Vec<&dyn Array>>,
    pairs: &[Pair],
    differs: &mut dyn FnMut(usize),
) {
    let values = arrays.as_ref().map(|_, arrays| {
        arrays.iter().map(|array| array.as_primitive::<T>().values().as_ref()).collect::<Vec<&[T::Native]>>()
    });
    unequal(
        arrays,
        pairs,
        |(batch, row)| values.authority[batch as usize][row as usize],
        |(batch, row)| values.projection[batch as usize][row as usize],
        differs,
    );
}

/// The loop over the pairs. What lies under a NULL is not looked at.
fn unequal<V: PartialEq>(
    arrays: &Sides<Vec<&dyn Array>>,
    pairs: &[Pair],
    authority: impl Fn((u32, u32)) -> V,
    projection: impl Fn((u32, u32)) -> V,
    differs: &mut dyn FnMut(usize),
) {
    let nulls = arrays.as_ref().map(|_, arrays| arrays.iter().map(|array| array.logical_nulls()).collect::<Vec<_>>());
    let has_nulls = |nulls: &Vec<Option<NullBuffer>>| nulls.iter().flatten().any(|nulls| nulls.null_count() > 0);
    if nulls.iter().any(|(_, nulls)| has_nulls(nulls)) {
        let null = |nulls: &[Option<NullBuffer>], (batch, row): (u32, u32)| {
            nulls[batch as usize].as_ref().is_some_and(|nulls| nulls.is_null(row as usize))
        };
        for (index, pair) in pairs.iter().enumerate() {
            let unequal = match (null(&nulls.authority, pair.authority), null(&nulls.projection, pair.projection)) {
                (true, true) => false,
                (false, false) => authority(pair.authority) != projection(pair.projection),
                _ => true,
            };
            if unequal {
                differs(index);
            }
        }
        return;
    }
    for (index, pair) in pairs.iter().enumerate() {
        if authority(pair.authority) != projection(pair.projection) {
            differs(index);
        }
    }
}

/// One canonical value that is not NULL, whatever array holds it.
#[derive(PartialEq)]
pub(in crate::diff) enum Cell<'a> {
    Boolean(bool),
    Date(i32),
    Integer(i64),
    Float(u64),
    Wide(i128),
    Widest(i256),
    Bytes(&'a [u8]),
}

/// A canonical column whose layout was looked at once.
pub(in crate::diff) enum Cells<'a> {
    Null,
    Boolean(&'a BooleanArray),
    Date(&'a [i32]),
    Integer(&'a [i64]),
    Float(&'a [f64]),
    Wide(&'a [i128]),
    Widest(&'a [i256]),
    Offsets(&'a [i32], &'a [u8]),
    LargeOffsets(&'a [i64], &'a [u8]),
    Bytes(Box<dyn Fn(usize) -> &'a [u8] + 'a>),
}

impl<'a> Cells<'a> {
    pub(in crate::diff) fn of(values: &'a dyn Array) -> Self {
        match values.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean(values.as_boolean()),
            DataType::Date32 => Self::Date(values.as_primitive::<Date32Type>().values()),
            DataType::Int64 => Self::Integer(values.as_primitive::<Int64Type>().values()),
            DataType::Float64 => Self::Float(values.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(..) => Self::Wide(values.as_primitive::<Decimal128Type>().values()),
            DataType::Decimal256(..) => Self::Widest(values.as_primitive::<Decimal256Type>().values()),
            DataType::Utf8 => Self::Offsets(values.as_string().value_offsets(), values.as_string::<i32>().value_data()),
            DataType::LargeUtf8 => {
                Self::LargeOffsets(values.as_string().value_offsets(), values.as_string::<i64>().value_data())
            }
            DataType::Binary => {
                Self::Offsets(values.as_binary().value_offsets(), values.as_binary::<i32>().value_data())
            }
            DataType::LargeBinary => {
                Self::LargeOffsets(values.as_binary().value_offsets(), values.as_binary::<i64>().value_data())
            }
            DataType::Utf8View => Self::Bytes(Box::new(|row| values.as_string_view().value(row).as_bytes())),
            DataType::BinaryView => Self::Bytes(Box::new(|row| values.as_binary_view().value(row))),
            DataType::FixedSizeBinary(_) => Self::Bytes(Box::new(|row| values.as_fixed_size_binary().value(row))),
            other => unreachable!("`normalise` makes no canonical column of type {other}"),
        }
    }

    #[inline]
    pub(in crate::diff) fn value(&self, row: usize) -> Option<Cell<'a>> {
        fn stretch<'a, O: OffsetSizeTrait>(offsets: &[O], data: &'a [u8], row: usize) -> Cell<'a> {
            Cell::Bytes(&data[offsets[row].as_usize()..offsets[row + 1].as_usize()])
        }
        Some(match self {
            Self::Null => return None,
            Self::Boolean(values) => Cell::Boolean(values.value(row)),
            Self::Date(values) => Cell::Date(values[row]),
            Self::Integer(values) => Cell::Integer(values[row]),
            Self::Float(values) => Cell::Float(values[row].to_bits()),
            Self::Wide(values) => Cell::Wide(values[row]),
            Self::Widest(values) => Cell::Widest(values[row]),
            Self::Offsets(offsets, data) => stretch(offsets, data, row),
            Self::LargeOffsets(offsets, data) => stretch(offsets, data, row),
            Self::Bytes(value) => Cell::Bytes(value(row)),
        })
    }
}
