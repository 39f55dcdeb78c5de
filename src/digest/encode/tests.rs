//! The encoder against a plain twin that writes one row at a time, over all layouts of arrays.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, BinaryViewBuilder, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, FixedSizeBinaryArray, Float64Array, Int64Array, LargeBinaryArray, LargeStringArray, NullArray,
    StringArray, StringViewArray, StringViewBuilder,
};
use arrow::datatypes::i256;
use proptest::prelude::*;

use super::*;
use crate::normalise::{Fault, FaultReason};

/// One column: the array, and what a row of it holds as plain bytes.
struct Twin {
    column: CanonicalColumn,
    kind: Kind,
    values: Vec<Option<Vec<u8>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Fixed(usize),
    Variable,
}

/// What a column is made of.
#[derive(Clone, Debug)]
struct Recipe {
    layout: usize,
    /// Columns like it, side by side.
    alike: usize,
    nulls: bool,
    faults: bool,
    shortest: usize,
    longest: usize,
}

fn recipe() -> impl Strategy<Value = Recipe> {
    let lengths = prop_oneof![
        Just((0, 3)),
        Just((0, 12)),
        Just((11, 13)),
        Just((15, 17)),
        Just((0, 40)),
        Just((62, 66)),
        Just((0, 300)),
        Just((253, 257)),
        Just((1000, 1100)),
    ];
    // With more than 56 columns the NULL bits take more than eight bytes.
    let alike = prop_oneof![9 => 1..10_usize, 1 => 57..66_usize];
    (0..LAYOUTS, alike, any::<bool>(), prop::bool::weighted(0.2), lengths).prop_map(
        |(layout, alike, nulls, faults, (shortest, longest))| Recipe {
            layout,
            alike: if longest > 100 { 1 } else { alike },
            nulls,
            faults,
            shortest,
            longest,
        },
    )
}

/// A fixed sequence that looks random (splitmix64).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const LAYOUTS: usize = 14;

/// Makes a column. Under its NULLs lie values like the others.
fn twin(recipe: &Recipe, rows: usize, seed: &mut u64) -> Twin {
    let nulls: Option<NullBuffer> = recipe.nulls.then(|| (0..rows).map(|_| next(seed) % 4 > 0).collect());
    let numbers: Vec<u64> = (0..rows).map(|_| next(seed)).collect();
    let (array, kind, values) = match recipe.layout {
        0 => (Arc::new(NullArray::new(rows)) as ArrayRef, Kind::Null, vec![Vec::new(); rows]),
        1..=6 => fixed(recipe.layout, &numbers, nulls.clone()),
        7 => {
            let strings = numbers.iter().map(|number| vec![*number as u8; recipe.shortest]).collect::<Vec<_>>();
            let (size, data) = (i32::try_from(recipe.shortest).unwrap(), strings.concat().into());
            let array = FixedSizeBinaryArray::try_new_with_len(size, data, nulls.clone(), rows).unwrap();
            (Arc::new(array) as ArrayRef, Kind::Variable, strings)
        }
        _ => {
            let span = (recipe.longest - recipe.shortest + 1) as u64;
            let length = |number: u64| recipe.shortest + (number >> 8) as usize % span as usize;
            let text = |number: &u64| char::from(b'a' + (number % 26) as u8).to_string().repeat(length(*number));
            let texts: Vec<String> = numbers.iter().map(text).collect();
            let array = variable(recipe.layout, &texts, nulls.clone());
            (array, Kind::Variable, texts.into_iter().map(String::into_bytes).collect())
        }
    };
    let valid = |row: usize| kind != Kind::Null && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
    let values = values.into_iter().enumerate().map(|(row, value)| valid(row).then_some(value)).collect();
    let mut faults = Vec::new();
    for row in (0..rows).filter(|row| recipe.faults && !valid(*row) && row % 3 == 0) {
        let shown = "f".repeat(next(seed) as usize % 150).into();
        faults.push(Fault { row: u32::try_from(row).unwrap(), reason: FaultReason::Unparseable, shown });
    }
    Twin { column: CanonicalColumn { values: array, faults }, kind, values }
}

fn fixed(layout: usize, numbers: &[u64], nulls: Option<NullBuffer>) -> (ArrayRef, Kind, Vec<Vec<u8>>) {
    fn each<T, const WIDTH: usize>(
        numbers: &[u64],
        value: impl Fn(u64) -> T,
        bytes: impl Fn(T) -> [u8; WIDTH],
    ) -> (Vec<T>, Kind, Vec<Vec<u8>>) {
        let plain = numbers.iter().map(|number| bytes(value(*number)).to_vec()).collect();
        (numbers.iter().map(|number| value(*number)).collect(), Kind::Fixed(WIDTH), plain)
    }
    match layout {
        1 => {
            let (values, kind, plain) = each(numbers, |number| number % 2 == 1, |value| [u8::from(value)]);
            (Arc::new(BooleanArray::new(values.into(), nulls)), kind, plain)
        }
        2 => {
            let (values, kind, plain) = each(numbers, |number| number as i32, i32::to_le_bytes);
            (Arc::new(Date32Array::new(values.into(), nulls)), kind, plain)
        }
        3 => {
            let (values, kind, plain) = each(numbers, u64::cast_signed, i64::to_le_bytes);
            (Arc::new(Int64Array::new(values.into(), nulls)), kind, plain)
        }
        4 => {
            let (values, kind, plain) = each(numbers, |number| f64::from(number as u32), f64::to_le_bytes);
            (Arc::new(Float64Array::new(values.into(), nulls)), kind, plain)
        }
        5 => {
            let (values, kind, plain) = each(numbers, |number| -i128::from(number), i128::to_le_bytes);
            (Arc::new(Decimal128Array::new(values.into(), nulls)), kind, plain)
        }
        _ => {
            let (values, kind, plain) = each(numbers, |number| i256::from_i128(-i128::from(number)), i256::to_le_bytes);
            (Arc::new(Decimal256Array::new(values.into(), nulls)), kind, plain)
        }
    }
}

fn variable(layout: usize, texts: &[String], nulls: Option<NullBuffer>) -> ArrayRef {
    let bytes = || texts.iter().map(String::as_bytes);
    match layout {
        8 => {
            let (offsets, data, _) = StringArray::from_iter_values(texts).into_parts();
            Arc::new(StringArray::new(offsets, data, nulls))
        }
        9 => {
            let (offsets, data, _) = LargeStringArray::from_iter_values(texts).into_parts();
            Arc::new(LargeStringArray::new(offsets, data, nulls))
        }
        10 => {
            let (offsets, data, _) = BinaryArray::from_iter_values(bytes()).into_parts();
            Arc::new(BinaryArray::new(offsets, data, nulls))
        }
        11 => {
            let (offsets, data, _) = LargeBinaryArray::from_iter_values(bytes()).into_parts();
            Arc::new(LargeBinaryArray::new(offsets, data, nulls))
        }
        12 => {
            // So small that the views point into many.
            let mut builder = StringViewBuilder::new().with_fixed_block_size(1500);
            texts.iter().for_each(|text| builder.append_value(text));
            let (views, data, _) = builder.finish().into_parts();
            Arc::new(StringViewArray::new(views, data, nulls))
        }
        _ => {
            let mut builder = BinaryViewBuilder::new();
            bytes().for_each(|bytes| builder.append_value(bytes));
            let (views, data, _) = builder.finish().into_parts();
            Arc::new(BinaryViewArray::new(views, data, nulls))
        }
    }
}

/// The bytes of a row as the format is drawn, one after the other.
fn plain_row(columns: &[Twin], side: Side, row: usize) -> Vec<u8> {
    let faults: Vec<(usize, &Fault)> = columns
        .iter()
        .enumerate()
        .flat_map(|(index, twin)| twin.column.faults.iter().map(move |fault| (index, fault)))
        .filter(|(_, fault)| fault.row as usize == row)
        .collect();
    let mark = if side == Side::Authority { 1 } else { 2 };
    let mut bytes = vec![if faults.is_empty() { 0 } else { mark }];
    let null = |index: usize| u8::from(columns[index].values[row].is_none());
    for first in (0..columns.len()).step_by(8) {
        bytes.push((first..columns.len().min(first + 8)).map(|index| null(index) << (index - first)).sum());
    }
    for twin in columns {
        if let Kind::Fixed(width) = twin.kind {
            bytes.extend(twin.values[row].clone().unwrap_or_else(|| vec![0; width]));
        }
    }
    let variable = || columns.iter().filter(|twin| twin.kind == Kind::Variable).map(|twin| twin.values[row].as_ref());
    bytes.extend(variable().map(|value| value.map_or(0, |value| value.len().min(0xFF) as u8)));
    for value in variable().flatten() {
        if value.len() >= 0xFF {
            bytes.extend((value.len() as u64).to_le_bytes());
        }
        bytes.extend(value);
    }
    for (index, fault) in faults {
        bytes.extend(u32::try_from(index).unwrap().to_le_bytes());
        bytes.push(fault.reason.code());
        bytes.extend((fault.shown.len() as u64).to_le_bytes());
        bytes.extend(fault.shown.as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes
}

/// The same columns without their first rows: arrays that begin within their buffers.
fn sliced(columns: Vec<Twin>, offset: usize) -> Vec<Twin> {
    let sliced = |twin: Twin| {
        let values = twin.column.values.slice(offset, twin.values.len() - offset);
        let faults = twin.column.faults.into_iter().filter(|fault| fault.row as usize >= offset);
        let faults = faults.map(|fault| Fault { row: fault.row - u32::try_from(offset).unwrap(), ..fault }).collect();
        let column = CanonicalColumn { values, faults };
        Twin { column, kind: twin.kind, values: twin.values[offset..].to_vec() }
    };
    columns.into_iter().map(sliced).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn rows_are_the_bytes_of_the_plain_twin(
        recipes in prop::collection::vec(recipe(), 1..8),
        rows in 1..420_usize,
        (offset, from, to) in (0..100_usize, 0..100_usize, 0..100_usize),
        most in prop_oneof![Just(usize::MAX), 1..20_000_usize],
        mut seed in any::<u64>(),
    ) {
        // Mostly a small part is left out.
        let share = |of: usize, part: usize| of * part * part / 10_000;
        let columns: Vec<Twin> = recipes
            .iter()
            .flat_map(|recipe| std::iter::repeat_n(recipe, recipe.alike))
            .map(|recipe| twin(recipe, rows, &mut seed))
            .collect();
        let columns = sliced(columns, share(rows, offset));
        let canonical: Vec<CanonicalColumn> = columns.iter().map(|twin| twin.column.clone()).collect();
        let rows = columns[0].values.len();
        let side = if seed % 2 == 0 { Side::Authority } else { Side::Projection };

        // What an earlier batch left: no byte is clear.
        let mut encoded = Encoded { bytes: vec![0xA5; 4096], starts: vec![0; 7] };
        let start = share(rows, from);
        let range = start..rows - share(rows - start, to);
        let mut start = range.start;
        while start < range.end {
            encode_some(&canonical, side, start..range.end, most, &mut encoded);
            prop_assert!((1..=range.end - start).contains(&encoded.rows()));
            prop_assert!(most < usize::MAX || encoded.rows() == range.len());
            for row in 0..encoded.rows() {
                prop_assert_eq!(encoded.row(row), plain_row(&columns, side, start + row), "row {}", start + row);
            }
            start += encoded.rows();
            encoded.bytes.fill(0xA5);
        }
        encode_some(&canonical, side, range.end..range.end, most, &mut encoded);
        prop_assert_eq!(encoded.rows(), 0);
    }
}
