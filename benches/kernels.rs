//! Kernels: encode, digest, join. `cargo bench --bench kernels`

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, StringArray, StringViewArray};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use reconcile::diff::{JoinRules, Position, Record, join};
use reconcile::digest::{Buffers, Digester, Encoded, Lanes, encode, hash_rows};
use reconcile::normalise::{CanonicalBatch, CanonicalColumn};
use reconcile::sides::{Side, Sides};

fn main() {
    divan::main();
}

const ROWS: usize = 8192;

/// Named shapes of tables.
const SHAPES: [&str; 5] = ["line items, 16 columns", "line items as views", "5 integers", "wide strings", "all NULL"];

fn column(values: impl arrow::array::Array + 'static) -> CanonicalColumn {
    CanonicalColumn { values: Arc::new(values) as ArrayRef, faults: Vec::new() }
}

/// A fixed sequence that looks random (splitmix64).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn table(shape: &str) -> CanonicalBatch {
    let integers = |salt: u64| {
        column(Int64Array::from_iter_values((0..ROWS as u64).map(|row| (mixed(row ^ salt) >> 8).cast_signed())))
    };
    let texts = |length: usize| {
        column(StringArray::from_iter_values((0..ROWS).map(|row| "x".repeat(length / 2 + row % length.max(1)))))
    };
    let columns = match shape {
        "5 integers" => (0..5).map(integers).collect(),
        "wide strings" => vec![integers(0), texts(200), texts(400)],
        "all NULL" => (0..8).map(|_| column(Int64Array::from(vec![None::<i64>; ROWS]))).collect(),
        "line items as views" => {
            // The lengths of TPC-H's texts: a view holds some of them itself, and of one column every other.
            let texts = [vec![1], vec![1], vec![4, 11, 16, 17], vec![3, 4, 5, 7], (10..=43).collect()];
            let views = (1..).zip(texts).map(|(salt, lengths)| views(salt, &lengths));
            (0..8).map(integers).chain(dates()).chain(views).collect()
        }
        _ => {
            let texts = [1, 1, 12, 5, 27].map(texts);
            (0..8).map(integers).chain(dates()).chain(texts).collect()
        }
    };
    CanonicalBatch { rows: ROWS, columns }
}

/// Texts as Parquet gives them, of lengths that no one can foretell.
fn views(salt: u64, lengths: &[usize]) -> CanonicalColumn {
    let length = |row: u64| lengths[mixed(row ^ (salt << 32)) as usize % lengths.len()];
    column(StringViewArray::from_iter_values((0..ROWS as u64).map(|row| "x".repeat(length(row)))))
}

fn dates() -> impl Iterator<Item = CanonicalColumn> {
    let days = || (0..ROWS).map(|row| 8000 + i32::try_from(row % 2000).unwrap());
    (0..3).map(move |_| column(Date32Array::from_iter_values(days())))
}

#[divan::bench(args = SHAPES)]
fn encode_rows(bencher: Bencher<'_, '_>, shape: &str) {
    let table = table(shape);
    let mut encoded = Encoded::default();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        for start in (0..ROWS).step_by(1024) {
            encode(black_box(&table.columns), Side::Authority, start..start + 1024, &mut encoded);
        }
    });
}

#[divan::bench(args = SHAPES)]
fn hash_encoded_rows(bencher: Bencher<'_, '_>, shape: &str) {
    let table = table(shape);
    let (mut encoded, mut lanes) = (Encoded::default(), Lanes::default());
    encode(&table.columns, Side::Authority, 0..1024, &mut encoded);
    bencher.counter(ItemsCount::new(1024_usize)).bench_local(|| hash_rows(black_box(&encoded), &mut lanes));
}

#[divan::bench(args = SHAPES)]
fn digest_rows(bencher: Bencher<'_, '_>, shape: &str) {
    let table = table(shape);
    let digester = Digester { key_count: 1, side: Side::Authority, tag_bits: 64 };
    let mut buffers = Buffers::default();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut mix = 0;
        digester.digest(black_box(&table), &mut buffers, |_, digest| mix ^= digest.key_tag);
        mix
    });
}

#[divan::bench(args = [0, 100, 10_000])]
fn join_records(bencher: Bencher<'_, '_>, differing_in_a_million: u64) {
    let rows = 64 * 1024_u64;
    let side = |salt: u64| -> Vec<Record> {
        (0..rows)
            .map(|row| {
                let changed = mixed(row) % 1_000_000 < differing_in_a_million;
                let row_tag = mixed(row ^ if changed { salt } else { 0 });
                Record::new(mixed(row), row_tag, 0, Position::new(0, row, true))
            })
            .collect()
    };
    let sides = Sides { authority: side(1), projection: side(2) };
    let rules = JoinRules { multiset: false, scoped: false };
    bencher
        .counter(ItemsCount::new(2 * rows))
        .with_inputs(|| sides.clone())
        .bench_local_values(|sides| join(sides, rules));
}
