//! Arrow columns without their layouts: dictionaries and runs opened, texts and bytes walked whatever their offsets, and
//! canonical columns collected with their faults. Bytes under a NULL are never looked at.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder, FixedSizeBinaryArray, LargeBinaryArray,
    PrimitiveArray, UInt64Array, new_null_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::{cast, nullif, take};
use arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DataType, Int16Type, Int32Type, Int64Type, RunEndIndexType,
};

use super::{Comparison, FaultReason};

/// A canonical column and the rows that have no canonical value, in order.
#[derive(Clone, Debug)]
pub(super) struct Converted {
    /// In the layout that the comparison fixes; NULL at faults.
    pub values: ArrayRef,
    /// Sorted by row.
    pub faults: Vec<(usize, FaultReason)>,
}

impl Converted {
    /// A column without faults.
    pub(super) fn clean(values: ArrayRef) -> Self {
        Self { values, faults: Vec::new() }
    }

    /// A column of NULLs.
    pub(super) fn nulls(comparison: &Comparison, rows: usize) -> Self {
        Self::clean(new_null_array(&layout(comparison), rows))
    }

    /// A column of which nothing could be read: every value that is there is a fault, so that none agrees.
    pub(super) fn unreadable(comparison: &Comparison, array: &dyn Array) -> Self {
        let nulls = array.logical_nulls();
        let there = |row: &usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row));
        let faults = (0..array.len()).filter(there).map(|row| (row, FaultReason::OutOfType)).collect();
        Self { faults, ..Self::nulls(comparison, array.len()) }
    }

    /// Rows picked by index; None gives NULL.
    fn pick(&self, comparison: &Comparison, rows: &UInt64Array) -> Self {
        let Some(values) = take_or_widen(&self.values, rows) else {
            // Only where even 64-bit offsets do not hold the result.
            return Self::unreadable(comparison, rows);
        };
        let mut faults = Vec::new();
        if !self.faults.is_empty() {
            let reasons: rustc_hash::FxHashMap<usize, FaultReason> = self.faults.iter().copied().collect();
            for (row, from) in rows.iter().enumerate() {
                let from = from.and_then(|from| usize::try_from(from).ok());
                if let Some(reason) = from.and_then(|from| reasons.get(&from)) {
                    faults.push((row, *reason));
                }
            }
        }
        Self { values, faults }
    }
}

fn take_or_widen(values: &ArrayRef, rows: &UInt64Array) -> Option<ArrayRef> {
    let wide = match values.data_type() {
        DataType::Utf8 => DataType::LargeUtf8,
        DataType::Binary => DataType::LargeBinary,
        _ => return take(values, rows, None).ok(),
    };
    // A short dictionary value repeated often can pass what 32-bit offsets hold.
    let total = values.get_buffer_memory_size().saturating_mul(rows.len());
    if i32::try_from(total).is_ok() {
        return take(values, rows, None).ok();
    }
    take(&cast(values, &wide).ok()?, rows, None).ok()
}

/// A column whose values are all there.
pub(super) fn all_there(rows: usize) -> BooleanArray {
    BooleanArray::from(vec![true; rows])
}

/// The Arrow type of a comparison's canonical column, where the comparison leaves no choice or nothing is there.
#[must_use]
pub(super) fn layout(comparison: &Comparison) -> DataType {
    match comparison {
        Comparison::Null => DataType::Null,
        Comparison::Boolean => DataType::Boolean,
        Comparison::Decimal { precision, .. } if *precision <= 18 => DataType::Int64,
        Comparison::Decimal { precision, scale } if *precision <= 38 => DataType::Decimal128(*precision, *scale),
        Comparison::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale),
        Comparison::Integer | Comparison::Time => DataType::Int64,
        Comparison::Float => DataType::Float64,
        Comparison::Text => DataType::Utf8,
        Comparison::Date => DataType::Date32,
        Comparison::Timestamp | Comparison::Instant | Comparison::Duration => DataType::Decimal128(38, 0),
        Comparison::Uuid => DataType::FixedSizeBinary(16),
        Comparison::Number | Comparison::Binary | Comparison::Interval | Comparison::Json | Comparison::Nested(_) => {
            DataType::Binary
        }
    }
}

/// The values of a dictionary or of runs, and which of them each row has; None where the column holds its values itself.
pub(super) fn unfold(array: &dyn Array) -> Option<(ArrayRef, UInt64Array)> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let keys = cast(dictionary.keys(), &DataType::UInt64).ok()?;
        return Some((Arc::clone(dictionary.values()), keys.as_primitive().clone()));
    }
    match array.data_type() {
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array),
            DataType::Int32 => runs::<Int32Type>(array),
            DataType::Int64 => runs::<Int64Type>(array),
            _ => None,
        },
        _ => None,
    }
}

fn runs<R: RunEndIndexType>(array: &dyn Array) -> Option<(ArrayRef, UInt64Array)> {
    let runs = array.as_run_opt::<R>()?;
    let rows = (0..array.len()).map(|row| runs.get_physical_index(row) as u64);
    Some((Arc::clone(runs.values()), UInt64Array::from_iter_values(rows)))
}

/// Converts the values of a dictionary or of runs once each, then spreads them over the rows.
pub(super) fn convert_unfolded(
    comparison: &Comparison,
    (values, rows): (ArrayRef, UInt64Array),
    convert: impl Fn(&ArrayRef) -> Converted,
) -> Converted {
    // A dictionary that is larger than the batch costs more than the rows themselves.
    if values.len() > rows.len()
        && let Ok(spread) = take(&values, &rows, None)
    {
        return convert(&spread);
    }
    convert(&values).pick(comparison, &rows)
}

/// A struct's member, NULL where the struct is NULL.
#[must_use]
pub(super) fn member(array: &ArrayRef, name: &str) -> Option<ArrayRef> {
    let parent = array.as_struct_opt()?;
    let child = parent.column_by_name(name)?;
    let Some(nulls) = parent.nulls().filter(|nulls| nulls.null_count() > 0) else { return Some(Arc::clone(child)) };
    if let Some((values, rows)) = unfold(child) {
        let masked = rows.iter().enumerate().map(|(row, from)| from.filter(|_| nulls.is_valid(row)));
        return take(&values, &masked.collect::<UInt64Array>(), None).ok();
    }
    if child.data_type().is_null() {
        return Some(Arc::clone(child));
    }
    nullif(child, &BooleanArray::new(!nulls.inner(), None)).ok()
}

/// Calls for each text that is there.
pub(super) fn each_text<'a>(array: &'a dyn Array, mut call: impl FnMut(usize, &'a str)) {
    macro_rules! walk {
        ($texts:expr) => {{
            let texts = $texts;
            each_valid(texts.nulls(), texts.len(), |row| call(row, texts.value(row)));
        }};
    }
    match array.data_type() {
        DataType::Utf8 => walk!(array.as_string::<i32>()),
        DataType::LargeUtf8 => walk!(array.as_string::<i64>()),
        DataType::Utf8View => walk!(array.as_string_view()),
        _ => {}
    }
}

/// Calls for each string of bytes that is there.
pub(super) fn each_bytes<'a>(array: &'a dyn Array, mut call: impl FnMut(usize, &'a [u8])) {
    macro_rules! walk {
        ($bytes:expr) => {{
            let bytes = $bytes;
            each_valid(bytes.nulls(), bytes.len(), |row| call(row, bytes.value(row)));
        }};
    }
    match array.data_type() {
        DataType::Binary => walk!(array.as_binary::<i32>()),
        DataType::LargeBinary => walk!(array.as_binary::<i64>()),
        DataType::BinaryView => walk!(array.as_binary_view()),
        DataType::FixedSizeBinary(_) => walk!(array.as_fixed_size_binary()),
        _ => {}
    }
}

/// Calls for each row that is not NULL.
pub(super) fn each_valid(nulls: Option<&NullBuffer>, rows: usize, mut call: impl FnMut(usize)) {
    match nulls {
        None => (0..rows).for_each(call),
        Some(nulls) => nulls.valid_indices().for_each(&mut call),
    }
}

/// A canonical column of fixed-width values that is filled out of what is there; what is not filled is NULL.
pub(super) struct Fixed<T> {
    values: Vec<T>,
    valid: BooleanBufferBuilder,
    faults: Vec<(usize, FaultReason)>,
}

impl<T: Copy + Default> Fixed<T> {
    /// A column of NULLs.
    pub(super) fn new(rows: usize) -> Self {
        let mut valid = BooleanBufferBuilder::new(rows);
        valid.append_n(rows, false);
        Self { values: vec![T::default(); rows], valid, faults: Vec::new() }
    }

    /// Sets a row's value or fault; rows come in order.
    pub(super) fn set(&mut self, row: usize, value: Result<T, FaultReason>) {
        match value {
            Ok(value) => {
                self.values[row] = value;
                self.valid.set_bit(row, true);
            }
            Err(reason) => self.faults.push((row, reason)),
        }
    }

    fn finish_parts(mut self) -> (Vec<T>, NullBuffer, Vec<(usize, FaultReason)>) {
        (self.values, NullBuffer::new(self.valid.finish()), self.faults)
    }

    /// The column.
    pub(super) fn finish<P: ArrowPrimitiveType<Native = T>>(self, data_type: &DataType) -> Converted
    where
        T: ArrowNativeType,
    {
        let (values, nulls, faults) = self.finish_parts();
        let array = PrimitiveArray::<P>::new(ScalarBuffer::from(values), Some(nulls));
        Converted { values: Arc::new(array.with_data_type(data_type.clone())), faults }
    }
}

impl Fixed<bool> {
    /// The column.
    pub(super) fn finish_boolean(self) -> Converted {
        let (values, nulls, faults) = self.finish_parts();
        Converted { values: Arc::new(BooleanArray::new(values.into(), Some(nulls))), faults }
    }
}

impl Fixed<[u8; 16]> {
    /// The column.
    pub(super) fn finish_uuid(self) -> Converted {
        let (values, nulls, faults) = self.finish_parts();
        let array = FixedSizeBinaryArray::new(16, Buffer::from_vec(values.concat()), Some(nulls));
        Converted { values: Arc::new(array), faults }
    }
}

/// A canonical column of bytes, filled row by row.
pub(super) struct Bytes {
    rows: usize,
    lengths: Vec<usize>,
    data: Vec<u8>,
    valid: BooleanBufferBuilder,
    faults: Vec<(usize, FaultReason)>,
}

impl Bytes {
    /// An empty column that will have this many rows.
    pub(super) fn new(rows: usize) -> Self {
        let lengths = Vec::with_capacity(rows);
        Self { rows, lengths, data: Vec::new(), valid: BooleanBufferBuilder::new(rows), faults: Vec::new() }
    }

    fn pad_to(&mut self, row: usize) {
        let missing = row - self.lengths.len();
        self.lengths.resize(row, 0);
        self.valid.append_n(missing, false);
    }

    /// Writes a row's bytes; rows come in order, those left out are NULL. Whatever is written for a fault is dropped.
    pub(super) fn write(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<(), FaultReason>) {
        self.pad_to(row);
        let start = self.data.len();
        let written = write(&mut self.data);
        if let Err(reason) = written {
            self.data.truncate(start);
            self.faults.push((row, reason));
        }
        self.lengths.push(self.data.len() - start);
        self.valid.append(written.is_ok());
    }

    fn finish_parts(mut self) -> (Vec<usize>, Buffer, NullBuffer, Vec<(usize, FaultReason)>) {
        self.pad_to(self.rows);
        (self.lengths, Buffer::from_vec(self.data), NullBuffer::new(self.valid.finish()), self.faults)
    }

    /// The column: `BinaryArray`, or `LargeBinaryArray` where 32-bit offsets do not reach.
    pub(super) fn finish(self) -> Converted {
        let (lengths, bytes, nulls, faults) = self.finish_parts();
        let values: ArrayRef = if i32::try_from(bytes.len()).is_ok() {
            Arc::new(BinaryArray::new(OffsetBuffer::from_lengths(lengths), bytes, Some(nulls)))
        } else {
            Arc::new(LargeBinaryArray::new(OffsetBuffer::from_lengths(lengths), bytes, Some(nulls)))
        };
        Converted { values, faults }
    }

    /// The column as text, of bytes that were all written as text.
    pub(super) fn finish_text(self) -> Converted {
        let rows = self.rows;
        let converted = self.finish();
        let text = match converted.values.data_type() {
            DataType::Binary => DataType::Utf8,
            _ => DataType::LargeUtf8,
        };
        match cast(&converted.values, &text) {
            Ok(values) => Converted { values, ..converted },
            Err(_) => Converted::unreadable(&Comparison::Text, &all_there(rows)),
        }
    }
}
