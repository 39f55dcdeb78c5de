//! Fixed vectors of the byte format, its injectivity, and every instruction set against plain BLAKE3.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Int64Array, StringArray};
use blake3::platform::Platform;
use proptest::prelude::*;

use super::hash::hash_rows_on;
use super::*;
use crate::normalise::{CanonicalColumn, Fault, FaultReason};

fn column(values: impl arrow::array::Array + 'static) -> CanonicalColumn {
    CanonicalColumn { values: Arc::new(values) as ArrayRef, faults: Vec::new() }
}

fn batch(columns: Vec<CanonicalColumn>) -> CanonicalBatch {
    CanonicalBatch { rows: columns[0].values.len(), columns }
}

fn encoded(columns: &[CanonicalColumn], side: Side) -> Encoded {
    let mut buffer = Encoded::default();
    encode(columns, side, 0..columns[0].values.len(), &mut buffer);
    buffer
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sample() -> Vec<CanonicalColumn> {
    vec![
        column(Int64Array::from(vec![Some(1), None, Some(-1)])),
        column(StringArray::from(vec![Some("one"), Some(""), None])),
        column(BooleanArray::from(vec![Some(true), Some(false), None])),
        column(Date32Array::from(vec![Some(0), Some(19_000), None])),
        column(Decimal128Array::from(vec![Some(10), None, Some(-10)])),
    ]
}

#[test]
fn format_2_is_these_bytes_and_no_others() {
    let rows = encoded(&sample(), Side::Authority);
    let row = |row| hex(rows.row(row)).trim_end_matches('0').to_owned();
    // fault, NULL bits, integer, boolean, date, decimal, length, text.
    assert_eq!(row(0), "0000010000000000000001000000000a000000000000000000000000000000036f6e65");
    assert_eq!(row(1), "0011000000000000000000384a");
    assert_eq!(row(2), "000effffffffffffffff0000000000f6ffffffffffffffffffffffffffffff");
}

#[test]
fn format_2_has_these_digests() {
    let digester = Digester { key_count: 1, side: Side::Authority, tag_bits: 64 };
    let mut found = Vec::new();
    digester.digest(&batch(sample()), &mut Buffers::default(), |_, digest| found.push(digest));
    let rows = encoded(&sample(), Side::Authority);
    for (row, digest) in found.iter().enumerate() {
        let expected = blake3::hash(rows.row(row));
        assert_eq!(digest.row.to_bytes(), *expected.as_bytes());
        assert_eq!(digest.row_tag.to_be_bytes(), expected.as_bytes()[8..16]);
    }
    let first = hex(&found[0].row.to_bytes());
    assert_eq!(first, FIRST_ROW_DIGEST, "the bytes changed: so must FORMAT");
}

const FIRST_ROW_DIGEST: &str = "0864543f287f7d93a76df0523b7206897369aa7cce6aae8733666b2314f1bd92";

/// Every platform of this machine, named in the test's output.
fn platforms() -> Vec<(&'static str, Platform)> {
    let mut platforms = vec![("portable", Platform::portable())];
    #[cfg(target_arch = "x86_64")]
    {
        platforms.extend(Platform::sse2().map(|platform| ("sse2", platform)));
        platforms.extend(Platform::sse41().map(|platform| ("sse4.1", platform)));
        platforms.extend(Platform::avx2().map(|platform| ("avx2", platform)));
        platforms.extend(Platform::avx512().map(|platform| ("avx512", platform)));
    }
    platforms.push(("detected", Platform::detect()));
    platforms
}

#[test]
fn every_length_on_every_platform_is_the_ordinary_blake3() {
    let texts: Vec<String> = (0..2_500).map(|length| "x".repeat(length)).collect();
    let columns = [column(StringArray::from(texts))];
    let rows = encoded(&columns, Side::Projection);
    for (name, platform) in platforms() {
        let mut lanes = Lanes::default();
        hash_rows_on(platform, &rows, &mut lanes);
        for row in 0..rows.rows() {
            assert_eq!(lanes.digest(row), blake3::hash(rows.row(row)).as_bytes(), "{name}, text of {row} bytes");
        }
        #[expect(clippy::print_stderr, reason = "the test's output names the instruction sets that were checked")]
        {
            eprintln!("every row length up to {} bytes equals blake3::hash on {name}", rows.row(rows.rows() - 1).len());
        }
    }
}

#[test]
fn a_faulted_row_never_equals_one_across() {
    let mut columns = sample();
    columns[1].faults.push(Fault { row: 2, reason: FaultReason::Unparseable, shown: "x".into() });
    let (here, there) = (encoded(&columns, Side::Authority), encoded(&columns, Side::Projection));
    assert_eq!(here.row(0), there.row(0));
    assert_ne!(here.row(2), there.row(2));
}

#[test]
fn a_pair_that_occurs_twice_does_not_cancel() {
    let digester = Digester { key_count: 0, side: Side::Authority, tag_bits: 64 };
    let sum = |values: Vec<i64>| {
        let mut sum = Sum::default();
        digester.digest(&batch(vec![column(Int64Array::from(values))]), &mut Buffers::default(), |_, digest| {
            sum += digest.row;
        });
        sum
    };
    assert_ne!(sum(vec![1, 1]), sum(vec![2, 2]));
    assert_ne!(sum(vec![1, 1]), Sum::default());
    assert_eq!(sum(vec![1, 2, 3]), sum(vec![3, 1, 2]));
}

#[test]
fn a_batch_leaves_nothing_to_the_next() {
    let wide = [column(StringArray::from(vec!["x".repeat(300); 40])), column(Int64Array::from(vec![-1; 40]))];
    let narrow = [
        column(StringArray::from(vec![Some("y"), None, Some("")])),
        column(Int64Array::from(vec![None, Some(2), None])),
    ];
    let mut reused = Encoded::default();
    encode(&wide, Side::Authority, 0..40, &mut reused);
    encode(&narrow, Side::Authority, 0..3, &mut reused);
    let fresh = encoded(&narrow, Side::Authority);
    for row in 0..3 {
        assert_eq!(reused.row(row), fresh.row(row));
    }
}

#[test]
fn the_layout_of_an_array_changes_neither_bytes_nor_tags() {
    let texts: Vec<Option<String>> =
        (0..300).map(|length: usize| (length % 7 != 3).then(|| "äb".chars().cycle().take(length).collect())).collect();
    let numbers = column(Int64Array::from_iter_values(0..300));
    let layouts: Vec<Vec<CanonicalColumn>> = vec![
        vec![column(texts.iter().map(Option::as_deref).collect::<StringArray>()), numbers.clone()],
        vec![column(texts.iter().map(Option::as_deref).collect::<arrow::array::LargeStringArray>()), numbers.clone()],
        vec![column(texts.iter().map(Option::as_deref).collect::<arrow::array::StringViewArray>()), numbers.clone()],
        vec![column(texts.iter().map(|text| text.as_deref().map(str::as_bytes)).collect::<BinaryArray>()), numbers],
    ];
    let digests = |columns: &Vec<CanonicalColumn>| {
        let mut found = Vec::new();
        let digester = Digester { key_count: 2, side: Side::Authority, tag_bits: 64 };
        digester.digest(&batch(columns.clone()), &mut Buffers::default(), |_, digest| found.push(digest));
        found
    };
    let first = digests(&layouts[0]);
    for other in &layouts[1..] {
        assert_eq!(digests(other), first);
    }
    let tags: std::collections::BTreeSet<u64> = first.iter().map(|digest| digest.key_tag).collect();
    assert_eq!(tags.len(), 300, "keys that differ have tags that differ");
}

/// One row as plain values; the encoding must tell any two apart.
type Plain = (Option<i64>, Option<String>, Option<Vec<u8>>, Option<bool>, Option<String>);

fn encode_plain(plain: &Plain) -> Vec<u8> {
    let mut columns = vec![
        column(Int64Array::from(vec![plain.0])),
        column(StringArray::from(vec![plain.1.as_deref()])),
        column(BinaryArray::from(vec![plain.2.as_deref()])),
        column(BooleanArray::from(vec![plain.3])),
    ];
    if let Some(shown) = &plain.4 {
        columns[0] = column(Int64Array::from(vec![None::<i64>]));
        columns[0].faults.push(Fault { row: 0, reason: FaultReason::OutOfType, shown: shown.as_str().into() });
    }
    encoded(&columns, Side::Authority).row(0).to_vec()
}

fn plain() -> impl Strategy<Value = Plain> {
    let text = proptest::option::of("[a\u{0}]{0,3}");
    let bytes = proptest::option::of(proptest::collection::vec(0_u8..3, 0..4));
    (proptest::option::of(-1_i64..2), text, bytes, any::<Option<bool>>(), proptest::option::of("[a\u{0}]{0,2}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn the_encoding_is_injective(one in plain(), two in plain()) {
        let same = if one.4.is_some() || two.4.is_some() {
            (&one.1, &one.2, &one.3, &one.4) == (&two.1, &two.2, &two.3, &two.4)
        } else {
            one == two
        };
        prop_assert_eq!(encode_plain(&one) == encode_plain(&two), same);
    }

    #[test]
    fn rows_encode_alike_alone_and_among_others(rows in proptest::collection::vec(plain(), 1..40)) {
        let rows: Vec<Plain> = rows.into_iter().map(|row| (row.0, row.1, row.2, row.3, None)).collect();
        let columns = [
            column(rows.iter().map(|row| row.0).collect::<Int64Array>()),
            column(rows.iter().map(|row| row.1.as_deref()).collect::<StringArray>()),
            column(rows.iter().map(|row| row.2.as_deref()).collect::<BinaryArray>()),
            column(rows.iter().map(|row| row.3).collect::<BooleanArray>()),
        ];
        let together = encoded(&columns, Side::Authority);
        for (index, row) in rows.iter().enumerate() {
            prop_assert_eq!(together.row(index), encode_plain(row));
        }
    }
}

#[test]
fn a_tombstone_is_like_one_of_its_key_and_like_no_row_that_lives() {
    let of = |side: Side, deleted: [bool; 3], columns: Vec<CanonicalColumn>| {
        let digester = Digester { key_count: 1, side, tag_bits: 64 };
        let mut found = Vec::new();
        let each = |row: usize, digest: RowDigest| {
            assert_eq!(row, found.len(), "rows are digested in order");
            found.push(digest);
        };
        digester.digest_with_tombstones(&batch(columns), |row| deleted[row], &mut Buffers::default(), each);
        found
    };
    let mut others = sample();
    others[1] = column(StringArray::from(vec!["another", "value", "here"]));
    let living = of(Side::Authority, [false; 3], sample());
    let authority = of(Side::Authority, [true, false, true], sample());
    let projection = of(Side::Projection, [true, true, true], others);
    assert_eq!((authority[0], authority[2]), (projection[0], projection[2]));
    assert_eq!(authority[1], living[1]);
    for row in 0..3 {
        assert_eq!(living[row].key_tag, projection[row].key_tag, "a tombstone meets the rows of its key");
        assert_ne!(living[row].row, projection[row].row);
        assert_ne!(living[row].row_tag, projection[row].row_tag);
    }
    // The row that has no other column than the key is no tombstone either.
    let key_only = of(Side::Authority, [false, false, true], vec![sample().remove(0)]);
    assert_ne!(key_only[0].row, authority[0].row);
    assert_eq!(key_only[2].row, authority[2].row);
}

#[test]
fn a_tombstone_whose_key_has_no_canonical_form_is_like_none_across() {
    let faulted = || {
        let fault = Fault { row: 0, reason: FaultReason::Unparseable, shown: "x".into() };
        vec![CanonicalColumn { faults: vec![fault], ..column(Int64Array::from(vec![None])) }]
    };
    let of = |side: Side| {
        let digester = Digester { key_count: 1, side, tag_bits: 64 };
        let mut found = None;
        let each = |_: usize, digest: RowDigest| found = Some(digest.row);
        digester.digest_with_tombstones(&batch(faulted()), |_| true, &mut Buffers::default(), each);
        found
    };
    assert_ne!(of(Side::Authority), of(Side::Projection));
}
