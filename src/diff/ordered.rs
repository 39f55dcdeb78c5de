//! Compares batches whose rows are in the order of their keys, side by side: no digests, no tags, only keys and values.
//!
//! The order is that of canonical values, the same on both sides; it means nothing to people. Rows that are equal here are
//! equal; what is not is a candidate, and `resolve` judges it by the contract's tolerances.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{
    Array, ArrowPrimitiveType, AsArray, BinaryViewArray, ByteView, FixedSizeBinaryArray, GenericByteViewArray,
    StringViewArray,
};
use arrow::datatypes::{
    ArrowNativeType, ByteViewType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type,
};

use super::resolve::Cells;
use crate::normalise::{CanonicalBatch, CanonicalColumn};
use crate::sides::{Side, Sides};

/// The keys of a batch whose rows all have a whole one.
pub struct Keys<'a> {
    columns: Vec<KeyColumn<'a>>,
}

/// A key column whose layout was looked at once.
enum KeyColumn<'a> {
    Integer(&'a [i64]),
    Date(&'a [i32]),
    Wide(&'a [i128]),
    Offsets(&'a [i32], &'a [u8]),
    LargeOffsets(&'a [i64], &'a [u8]),
    Texts(&'a StringViewArray),
    Views(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
}

impl<'a> Keys<'a> {
    /// The keys in these columns; None where their type has no order here.
    #[must_use]
    pub fn of(columns: &'a [CanonicalColumn]) -> Option<Self> {
        let columns = columns.iter().map(|column| KeyColumn::of(column.values.as_ref())).collect::<Option<_>>()?;
        Some(Self { columns })
    }

    /// Compares two rows' keys.
    #[inline]
    #[must_use]
    pub fn compare(&self, row: usize, other: &Keys<'_>, other_row: usize) -> Ordering {
        for (one, other) in self.columns.iter().zip(&other.columns) {
            let ordering = one.compare(row, other, other_row);
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// Compares a row's key with one that was kept.
    #[must_use]
    pub fn compare_kept(&self, row: usize, kept: &OwnedKey) -> Ordering {
        for (column, kept) in self.columns.iter().zip(&kept.0) {
            let ordering = match (column, kept) {
                (KeyColumn::Integer(values), OwnedCell::Integer(kept)) => values[row].cmp(kept),
                (KeyColumn::Date(values), OwnedCell::Date(kept)) => values[row].cmp(kept),
                (KeyColumn::Wide(values), OwnedCell::Wide(kept)) => values[row].cmp(kept),
                (column, OwnedCell::Bytes(kept)) => column.bytes(row).cmp(kept),
                _ => unreachable!("the layout of a key's canonical column is fixed by its comparison"),
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }

    /// The key of one row, to keep.
    #[must_use]
    pub fn keep(&self, row: usize) -> OwnedKey {
        let cell = |column: &KeyColumn<'_>| match column {
            KeyColumn::Integer(values) => OwnedCell::Integer(values[row]),
            KeyColumn::Date(values) => OwnedCell::Date(values[row]),
            KeyColumn::Wide(values) => OwnedCell::Wide(values[row]),
            column => OwnedCell::Bytes(column.bytes(row).into()),
        };
        OwnedKey(self.columns.iter().map(cell).collect())
    }

    /// Whether each row's key is greater than the one before it.
    #[must_use]
    pub fn ascend(&self, rows: usize) -> bool {
        if let [KeyColumn::Integer(values)] = self.columns[..] {
            return values[..rows].is_sorted_by(|one, next| one < next);
        }
        if let [KeyColumn::Integer(first), KeyColumn::Integer(second)] = self.columns[..] {
            let (first, second) = (&first[..rows], &second[..rows]);
            return first
                .windows(2)
                .zip(second.windows(2))
                .all(|(first, second)| first[0] < first[1] || (first[0] == first[1] && second[0] < second[1]));
        }
        (1..rows).all(|row| self.compare(row - 1, self, row) == Ordering::Less)
    }

    /// How many rows from there on have the same keys as those across, at most so many.
    #[must_use]
    pub fn alike(&self, row: usize, other: &Keys<'_>, other_row: usize, most: usize) -> usize {
        let mut alike = most;
        for (one, other) in self.columns.iter().zip(&other.columns) {
            alike = match (one, other) {
                (KeyColumn::Integer(one), KeyColumn::Integer(other)) => {
                    alike_values(&one[row..row + alike], &other[other_row..])
                }
                (KeyColumn::Date(one), KeyColumn::Date(other)) => {
                    alike_values(&one[row..row + alike], &other[other_row..])
                }
                (KeyColumn::Wide(one), KeyColumn::Wide(other)) => {
                    alike_values(&one[row..row + alike], &other[other_row..])
                }
                _ => (0..alike)
                    .find(|index| one.compare(row + index, other, other_row + index) != Ordering::Equal)
                    .unwrap_or(alike),
            };
        }
        alike
    }
}

fn alike_values<V: PartialEq>(one: &[V], other: &[V]) -> usize {
    one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(one.len())
}

impl<'a> KeyColumn<'a> {
    fn of(values: &'a dyn Array) -> Option<Self> {
        Some(match values.data_type() {
            DataType::Int64 => Self::Integer(values.as_primitive::<Int64Type>().values()),
            DataType::Date32 => Self::Date(values.as_primitive::<Date32Type>().values()),
            DataType::Decimal128(..) => Self::Wide(values.as_primitive::<Decimal128Type>().values()),
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
            DataType::Utf8View => Self::Texts(values.as_string_view()),
            DataType::BinaryView => Self::Views(values.as_binary_view()),
            DataType::FixedSizeBinary(_) => Self::Fixed(values.as_fixed_size_binary()),
            _ => return None,
        })
    }

    #[inline]
    fn compare(&self, row: usize, other: &KeyColumn<'_>, other_row: usize) -> Ordering {
        match (self, other) {
            (Self::Integer(one), KeyColumn::Integer(other)) => one[row].cmp(&other[other_row]),
            (Self::Date(one), KeyColumn::Date(other)) => one[row].cmp(&other[other_row]),
            (Self::Wide(one), KeyColumn::Wide(other)) => one[row].cmp(&other[other_row]),
            _ => self.bytes(row).cmp(other.bytes(other_row)),
        }
    }

    fn bytes(&self, row: usize) -> &[u8] {
        match self {
            Self::Offsets(offsets, data) => &data[offsets[row].as_usize()..offsets[row + 1].as_usize()],
            Self::LargeOffsets(offsets, data) => &data[offsets[row].as_usize()..offsets[row + 1].as_usize()],
            Self::Texts(texts) => texts.value(row).as_bytes(),
            Self::Views(views) => views.value(row),
            Self::Fixed(fixed) => fixed.value(row),
            Self::Integer(_) | Self::Date(_) | Self::Wide(_) => {
                unreachable!("the layout of a key's canonical column is fixed by its comparison")
            }
        }
    }
}

/// A key by itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnedKey(Vec<OwnedCell>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum OwnedCell {
    Integer(i64),
    Date(i32),
    Wide(i128),
    Bytes(Box<[u8]>),
}

/// Rows of both sides that lie side by side.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The first row on each side.
    pub first: Sides<usize>,
    /// How many there are.
    pub rows: usize,
}

/// Which attributes of each row of some runs are unlike: a bit for each.
#[derive(Default)]
pub struct Unlike {
    words: usize,
    masks: Vec<u64>,
    /// The rows in which one column is unlike.
    column: Vec<bool>,
}

impl Unlike {
    /// The rows in which any attribute is unlike, each with its bits; `runs` are those that were looked at.
    pub fn rows<'u>(&'u self, runs: &'u [Run]) -> impl Iterator<Item = (Sides<usize>, &'u [u64])> {
        let rows = runs.iter().flat_map(|run| (0..run.rows).map(|row| run.first.map(|_, first| first + row)));
        let masks = self.masks.chunks_exact(self.words.max(1));
        rows.zip(masks).filter(|(_, mask)| mask.iter().any(|word| *word != 0))
    }

    fn begin(&mut self, attributes: usize, rows: usize) {
        self.words = attributes.div_ceil(64);
        self.masks.clear();
        self.masks.resize(self.words * rows, 0);
    }

    /// Takes in the rows in which one attribute is unlike.
    fn note(&mut self, attribute: usize) {
        let (word, bit) = (attribute / 64, 1 << (attribute % 64));
        for (mask, unlike) in self.masks.iter_mut().skip(word).step_by(self.words).zip(&self.column) {
            *mask |= if *unlike { bit } else { 0 };
        }
    }
}

/// Tells which of the columns from `skip` on are not strictly equal in each row of some runs, or have a fault.
pub fn mark_differing(batches: Sides<&CanonicalBatch>, skip: usize, runs: &[Run], unlike: &mut Unlike) {
    let rows = runs.iter().map(|run| run.rows).sum();
    unlike.begin(batches.authority.columns.len(), rows);
    let columns = batches.authority.columns.iter().zip(&batches.projection.columns).enumerate().skip(skip);
    for (attribute, (authority, projection)) in columns {
        unlike.column.clear();
        unlike.column.resize(rows, false);
        let columns = Sides { authority, projection };
        mark_unequal(columns, runs, &mut unlike.column);
        for (side, column) in columns.iter().filter(|(_, column)| !column.faults.is_empty()) {
            mark_faults(column, runs.iter().map(|run| stretch(*run.first.get(side), run.rows)), &mut unlike.column);
        }
        if unlike.column.contains(&true) {
            unlike.note(attribute);
        }
    }
}

fn mark_faults(column: &CanonicalColumn, stretches: impl Iterator<Item = Range<usize>>, mut differing: &mut [bool]) {
    for rows in stretches {
        let (here, rest) = differing.split_at_mut(rows.len());
        let from = column.faults.partition_point(|fault| (fault.row as usize) < rows.start);
        for fault in column.faults[from..].iter().take_while(|fault| (fault.row as usize) < rows.end) {
            here[fault.row as usize - rows.start] = true;
        }
        differing = rest;
    }
}

fn mark_unequal(columns: Sides<&CanonicalColumn>, runs: &[Run], differing: &mut [bool]) {
    let arrays = columns.map(|_, column| column.values.as_ref());
    let has_nulls = arrays.iter().any(|(_, array)| array.null_count() > 0 || array.data_type() == &DataType::Null);
    match (arrays.authority.data_type(), arrays.projection.data_type()) {
        _ if has_nulls => mark_cells(arrays, runs, differing),
        (DataType::Int64, DataType::Int64) => mark_primitives::<Int64Type>(arrays, runs, differing),
        (DataType::Date32, DataType::Date32) => mark_primitives::<Date32Type>(arrays, runs, differing),
        (DataType::Decimal128(..), DataType::Decimal128(..)) => {
            mark_primitives::<Decimal128Type>(arrays, runs, differing);
        }
        (DataType::Decimal256(..), DataType::Decimal256(..)) => {
            mark_primitives::<Decimal256Type>(arrays, runs, differing);
        }
        (DataType::Float64, DataType::Float64) => {
            let values = arrays.map(|_, array| array.as_primitive::<Float64Type>().values().as_ref());
            each_run(runs, values, differing, |differs, one: &f64, other| *differs = one.to_bits() != other.to_bits());
        }
        (DataType::Utf8View, DataType::Utf8View) => {
            mark_views(arrays.map(|_, array| array.as_string_view()), runs, differing);
        }
        (DataType::BinaryView, DataType::BinaryView) => {
            mark_views(arrays.map(|_, array| array.as_binary_view()), runs, differing);
        }
        _ => mark_cells(arrays, runs, differing),
    }
}

fn stretch(first: usize, rows: usize) -> Range<usize> {
    first..first + rows
}

/// Calls for the two values of each row of the runs, in their order.
fn each_run<V>(runs: &[Run], values: Sides<&[V]>, mut differing: &mut [bool], mark: impl Fn(&mut bool, &V, &V) + Copy) {
    for run in runs {
        let (here, rest) = differing.split_at_mut(run.rows);
        let of = values.map(|side, values| &values[stretch(*run.first.get(side), run.rows)]);
        for ((differs, one), other) in here.iter_mut().zip(of.authority).zip(of.projection) {
            mark(differs, one, other);
        }
        differing = rest;
    }
}

fn mark_primitives<T: ArrowPrimitiveType>(arrays: Sides<&dyn Array>, runs: &[Run], differing: &mut [bool]) {
    let values = arrays.map(|_, array| array.as_primitive::<T>().values().as_ref());
    each_run(runs, values, differing, |differs, one: &T::Native, other| *differs = one != other);
}

/// A short value lies within its view; of a long one the view tells length and first bytes.
fn mark_views<T: ByteViewType + ?Sized>(arrays: Sides<&GenericByteViewArray<T>>, runs: &[Run], differing: &mut [bool]) {
    const SHORT: u32 = 12;
    let views = arrays.map(|_, array| array.views().as_ref());
    let data = arrays.map(|_, array| array.data_buffers());
    each_run(runs, views, differing, |differs, &one: &u128, &other| {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest half of a view is its length and first bytes")]
        let (head, other_head) = (one as u64, other as u64);
        *differs = if head as u32 <= SHORT {
            one != other
        } else if head != other_head {
            true
        } else {
            let at = |view: u128| {
                let view = ByteView::from(view);
                (view.buffer_index as usize, stretch(view.offset as usize, view.length as usize))
            };
            let ((one, one_at), (other, other_at)) = (at(one), at(other));
            data.authority[one][one_at] != data.projection[other][other_at]
        };
    });
}

/// Any layout, NULLs among the values.
fn mark_cells(arrays: Sides<&dyn Array>, runs: &[Run], differing: &mut [bool]) {
    let cells = arrays.map(|_, array| Cells::of(array));
    let nulls = arrays.map(|_, array| array.logical_nulls());
    let null = |side: Side, row: usize| nulls.get(side).as_ref().is_some_and(|nulls| nulls.is_null(row));
    let rows = runs.iter().flat_map(|run| (0..run.rows).map(|row| run.first.map(|_, first| first + row)));
    for (differs, at) in differing.iter_mut().zip(rows) {
        *differs = match (null(Side::Authority, at.authority), null(Side::Projection, at.projection)) {
            (true, true) => false,
            (false, false) => cells.authority.value(at.authority) != cells.projection.value(at.projection),
            _ => true,
        };
    }
}
