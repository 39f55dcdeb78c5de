//! Tags of keys: 64 well mixed bits by which rows are brought together. They propose pairs and prove nothing, so they are
//! made by multiplying and folding (as in wyhash) at a fraction of what BLAKE3 costs.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int64Type};

use super::encode::{Variable, some_nulls};
use crate::normalise::CanonicalColumn;

/// Odd constants with about as many ones as zeros: digits of the golden ratio, √2, √3 and √5.
const MIX: [u64; 4] = [0x9E37_79B9_7F4A_7C15, 0x6A09_E667_F3BC_C909, 0xBB67_AE85_84CA_A73B, 0x3C6E_F372_FE94_F82B];
/// What a NULL is mixed in as.
const NULL: u64 = 0xA54F_F53A_5F1D_36F1;

/// The high and the low half of a product, folded together.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ (product >> 64) as u64
}

/// Mixes a word into a tag.
#[inline]
fn mix(tag: u64, word: u64) -> u64 {
    fold(tag ^ word ^ MIX[1], MIX[0]).wrapping_add(word ^ MIX[2])
}

/// Tags the rows of a range over the key's columns. Equal canonical values give equal tags, whatever arrays hold them.
pub(super) fn tag_keys(columns: &[CanonicalColumn], range: &Range<usize>, tags: &mut Vec<u64>) {
    tags.clear();
    tags.resize(range.len(), MIX[3]);
    for column in columns {
        mix_column(column.values.as_ref(), range, tags);
    }
    for tag in tags {
        *tag = fold(*tag ^ MIX[3], MIX[1]) ^ *tag;
    }
}

fn mix_column(values: &dyn Array, range: &Range<usize>, tags: &mut [u64]) {
    let nulls = some_nulls(values);
    let mut each = |word: &dyn Fn(u64, usize) -> u64| {
        for (tag, row) in tags.iter_mut().zip(range.clone()) {
            let null = nulls.is_some_and(|nulls| nulls.is_null(row));
            *tag = if null { mix(*tag, NULL) } else { word(*tag, row) };
        }
    };
    match values.data_type() {
        DataType::Null => tags.iter_mut().for_each(|tag| *tag = mix(*tag, NULL)),
        DataType::Boolean => {
            let values = values.as_boolean();
            each(&|tag, row| mix(tag, u64::from(values.value(row))));
        }
        DataType::Date32 => {
            let values = values.as_primitive::<Date32Type>().values();
            each(&|tag, row| mix(tag, u64::from(values[row].cast_unsigned())));
        }
        DataType::Int64 => {
            let values = &values.as_primitive::<Int64Type>().values()[range.clone()];
            if nulls.is_none() {
                tags.iter_mut().zip(values).for_each(|(tag, value)| *tag = mix(*tag, value.cast_unsigned()));
            } else {
                each(&|tag, row| mix(tag, values[row - range.start].cast_unsigned()));
            }
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>().values();
            each(&|tag, row| mix(tag, values[row].to_bits()));
        }
        DataType::Decimal128(..) => {
            let values = values.as_primitive::<Decimal128Type>().values();
            each(&|tag, row| mix_bytes(tag, &values[row].to_le_bytes()));
        }
        DataType::Decimal256(..) => {
            let values = values.as_primitive::<Decimal256Type>().values();
            each(&|tag, row| mix_bytes(tag, &values[row].to_le_bytes()));
        }
        _ => {
            let variable = Variable::of(values);
            each(&|tag, row| variable.with_value(row, |bytes| mix_bytes(tag, bytes)));
        }
    }
}

/// Mixes a string of bytes into a tag: its words, its last bytes, its length.
#[inline]
fn mix_bytes(tag: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let tag = words.iter().fold(tag, |tag, word| mix(tag, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(tag, u64::from_le_bytes(last) ^ (bytes.len() as u64).wrapping_mul(MIX[3]))
}
