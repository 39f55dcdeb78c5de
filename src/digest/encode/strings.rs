//! Columns of strings of bytes: how long each is, and writing them a column at a time over the rows. It never writes what stands
//! before a row's strings, and leaves up to a block of anything behind them.

use std::hint::select_unpredictable;
use std::ops::Range;

use arrow::array::{Array, AsArray, ByteView, GenericByteArray, GenericByteViewArray, OffsetSizeTrait};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{ArrowNativeType, ByteArrayType, ByteViewType, DataType};

use super::BLOCK;

/// A column of strings of bytes, whatever its Arrow layout.
pub(in crate::digest) enum Variable<'a> {
    Offsets(&'a [i32], &'a [u8]),
    LargeOffsets(&'a [i64], &'a [u8]),
    /// The views, their own bytes, and those that they point to.
    Views(&'a [u128], &'a [u8], &'a [Buffer]),
    FixedSize(usize, &'a [u8]),
}

impl<'a> Variable<'a> {
    /// Sees the column's strings.
    pub(in crate::digest) fn of(values: &'a dyn Array) -> Self {
        fn views<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Variable<'_> {
            Variable::Views(array.views(), array.views().inner().as_slice(), array.data_buffers())
        }
        fn offsets<T: ByteArrayType<Offset = i32>>(array: &GenericByteArray<T>) -> Variable<'_> {
            Variable::Offsets(array.value_offsets(), array.value_data())
        }
        fn large_offsets<T: ByteArrayType<Offset = i64>>(array: &GenericByteArray<T>) -> Variable<'_> {
            Variable::LargeOffsets(array.value_offsets(), array.value_data())
        }
        match values.data_type() {
            DataType::Utf8 => offsets(values.as_string::<i32>()),
            DataType::LargeUtf8 => large_offsets(values.as_string::<i64>()),
            DataType::Utf8View => views(values.as_string_view()),
            DataType::Binary => offsets(values.as_binary::<i32>()),
            DataType::LargeBinary => large_offsets(values.as_binary::<i64>()),
            DataType::BinaryView => views(values.as_binary_view()),
            DataType::FixedSizeBinary(_) => {
                let array = values.as_fixed_size_binary();
                Self::FixedSize(
                    usize::try_from(array.value_length()).expect("a size is not negative"),
                    array.value_data(),
                )
            }
            other => unreachable!("`normalise` makes no canonical column of type {other}"),
        }
    }

    /// Hands over the bytes that a row's slot holds, also where it is NULL.
    pub(in crate::digest) fn with_value<T>(&self, row: usize, job: impl FnOnce(&[u8]) -> T) -> T {
        let (data, start, length) = match self {
            Self::Offsets(offsets, data) => {
                let start = offsets[row].as_usize();
                (*data, start, offsets[row + 1].as_usize() - start)
            }
            Self::LargeOffsets(offsets, data) => {
                let start = offsets[row].as_usize();
                (*data, start, offsets[row + 1].as_usize() - start)
            }
            Self::Views(views, own, buffers) => {
                let length = view_length(views[row]);
                let (data, start) = view_place(views[row], row, length, own, buffers);
                (data, start, length)
            }
            Self::FixedSize(size, data) => (*data, row * size, *size),
        };
        job(&data[start..start + length])
    }

    /// How long each row's string is; NULL has none.
    pub(super) fn lengths(&self, nulls: Option<&NullBuffer>, range: &Range<usize>, lengths: &mut [usize]) {
        fn differences<O: OffsetSizeTrait>(offsets: &[O], range: &Range<usize>, lengths: &mut [usize]) {
            let pairs = offsets[range.start..=range.end].windows(2);
            lengths.iter_mut().zip(pairs).for_each(|(length, pair)| *length = pair[1].as_usize() - pair[0].as_usize());
        }
        match self {
            Self::Offsets(offsets, _) => differences(offsets, range, lengths),
            Self::LargeOffsets(offsets, _) => differences(offsets, range, lengths),
            Self::Views(views, ..) => {
                let views = &views[range.clone()];
                lengths.iter_mut().zip(views).for_each(|(length, view)| *length = view_length(*view));
            }
            Self::FixedSize(size, _) => lengths.fill(*size),
        }
        if let Some(nulls) = nulls {
            for (length, row) in lengths.iter_mut().zip(range.clone()) {
                *length = if nulls.is_valid(row) { *length } else { 0 };
            }
        }
    }

    /// Writes each row's string where `ends` tells that the row ends so far, and moves that past it. No length is greater
    /// than `bound`.
    pub(super) fn write(
        &self,
        range: &Range<usize>,
        lengths: &[usize],
        bound: usize,
        ends: &mut [usize],
        bytes: &mut [u8],
    ) {
        let rows = Rows { lengths, bound, ends, bytes };
        match self {
            Self::Offsets(offsets, data) => {
                rows.write(&offsets[range.clone()], |_, offset| (*data, offset.as_usize()));
            }
            Self::LargeOffsets(offsets, data) => {
                rows.write(&offsets[range.clone()], |_, offset| (*data, offset.as_usize()));
            }
            Self::Views(views, own, buffers) => {
                let (views, first) = (&views[range.clone()], range.start);
                // `bound` may be too great; no bit beyond the fourth is set here unless a length is.
                let beyond = || lengths.iter().fold(0, |beyond, length| beyond | INLINE.wrapping_sub(*length));
                if bound <= INLINE || beyond() < INLINE.next_power_of_two() {
                    rows.write_inline(views);
                } else if lengths.len() < FEW {
                    rows.write(views, |(row, length), view| view_place(view, first + row, length, own, buffers));
                } else {
                    let data: Vec<&[u8]> = std::iter::once(*own).chain(buffers.iter().map(Buffer::as_slice)).collect();
                    rows.write(views, |(row, length), view| chosen_place(view, first + row, length, &data));
                }
            }
            Self::FixedSize(size, data) => {
                rows.write(lengths, |(row, _), _| (*data, (range.start + row) * size));
            }
        }
    }
}

/// Bytes that a view holds itself.
const INLINE: usize = 12;

#[inline]
fn view_length(view: u128) -> usize {
    (view & u128::from(u32::MAX)) as usize
}

/// Rows below which it does not pay to list the buffers first: there may be many.
const FEW: usize = 32;

/// Where a view's string begins: in the view itself or where it points.
#[inline]
fn view_place<'a>(view: u128, row: usize, length: usize, own: &'a [u8], buffers: &'a [Buffer]) -> (&'a [u8], usize) {
    if length <= INLINE {
        return (own, size_of::<u128>() * row + size_of::<u32>());
    }
    let view = ByteView::from(view);
    (&buffers[view.buffer_index as usize], view.offset as usize)
}

/// The same, of the views' own bytes and those that they point to. Which comes next can often not be foretold, and a branch would
/// cost more than both.
#[inline]
fn chosen_place<'a>(view: u128, row: usize, length: usize, data: &[&'a [u8]]) -> (&'a [u8], usize) {
    let view = ByteView::from(view);
    let inline = length <= INLINE;
    let data = data[select_unpredictable(inline, 0, 1 + view.buffer_index as usize)];
    (data, select_unpredictable(inline, size_of::<u128>() * row + size_of::<u32>(), view.offset as usize))
}

/// Lengths from here on take eight bytes before the value; below, one byte says all.
pub(super) const LONG: usize = 0xFF;

/// The rows into which one column's strings are written.
struct Rows<'a> {
    lengths: &'a [usize],
    bound: usize,
    ends: &'a mut [usize],
    bytes: &'a mut [u8],
}

impl Rows<'_> {
    /// Writes the strings, of which `place` tells where they begin, in the steps that the longest of them needs.
    fn write<'a, S: Copy>(self, slots: &[S], place: impl Fn((usize, usize), S) -> (&'a [u8], usize)) {
        match self.bound {
            0..=16 => self.write_by::<_, 16>(slots, place),
            17..=32 => self.write_by::<_, 32>(slots, place),
            33..LONG => self.write_by::<_, BLOCK>(slots, place),
            LONG.. => self.write_any(slots, place),
        }
    }

    fn write_by<'a, S: Copy, const STEP: usize>(
        self,
        slots: &[S],
        place: impl Fn((usize, usize), S) -> (&'a [u8], usize),
    ) {
        let Self { lengths, ends, bytes, .. } = self;
        for (row, ((end, &length), &slot)) in ends.iter_mut().zip(lengths).zip(slots).enumerate() {
            let (data, start) = place((row, length), slot);
            put::<STEP>(&mut bytes[*end..], data, start, length);
            *end += length;
        }
    }

    fn write_any<'a, S: Copy>(self, slots: &[S], place: impl Fn((usize, usize), S) -> (&'a [u8], usize)) {
        let Self { lengths, ends, bytes, .. } = self;
        for (row, ((end, &length), &slot)) in ends.iter_mut().zip(lengths).zip(slots).enumerate() {
            let (data, start) = place((row, length), slot);
            if length >= LONG {
                bytes[*end..*end + 8].copy_from_slice(&(length as u64).to_le_bytes());
                *end += 8;
            }
            put::<BLOCK>(&mut bytes[*end..], data, start, length);
            *end += length;
        }
    }

    /// Writes strings that the views hold themselves: all that follows a view's length, whatever the length.
    fn write_inline(self, views: &[u128]) {
        let Self { lengths, ends, bytes, .. } = self;
        for ((end, &length), view) in ends.iter_mut().zip(lengths).zip(views) {
            let to = &mut bytes[*end..*end + INLINE];
            to[..4].copy_from_slice(&((view >> 32) as u32).to_le_bytes());
            to[4..].copy_from_slice(&((view >> 64) as u64).to_le_bytes());
            *end += length;
        }
    }
}

/// Writes a string to the beginning of `to`. What follows it may be written over: a copy of a known size takes less time than
/// one that fits.
#[inline]
fn put<const STEP: usize>(to: &mut [u8], data: &[u8], start: usize, length: usize) {
    match (data.get(start..start + STEP), to.first_chunk_mut::<STEP>()) {
        (Some(step), Some(to)) if length <= STEP => to.copy_from_slice(step),
        _ => put_exactly(to, &data[start..start + length]),
    }
}

/// Not inlined, for the compiler would make both copies one of unknown size.
#[inline(never)]
fn put_exactly(to: &mut [u8], string: &[u8]) {
    to[..string.len()].copy_from_slice(string);
}
