//! Equal canonical values have equal texts, and only they: over types, scales, units and zones. And what texts, sums and
//! statements look like.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use super::*;
use crate::contract::System;
use crate::normalise::{BindRequest, Binding, CanonicalBatch, bind, normalise};
use crate::notation::{Notation, field};
use crate::sides::{Side, Sides};
use statement::{Column, Table};

/// Two columns, bound under a `type`.
fn bound(fields: Sides<Field>, logical: &str) -> Binding {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reconcile.toml");
    let attribute =
        if logical.is_empty() { String::new() } else { format!("[contract.c.attribute.v]\ntype = \"{logical}\"\n") };
    let text = format!(
        "version = 1\n[source.a]\nlocation = \"a.csv\"\n[source.p]\nlocation = \"p.csv\"\n\
         [contract.c]\nversion = \"1.0.0\"\nauthority = \"a\"\nprojection = \"p\"\nkey = [\"v\"]\n{attribute}"
    );
    std::fs::write(&path, text).unwrap();
    let configuration = crate::contract::load(&path, &|_| None).unwrap();
    let schemas = fields.map(|_, field| Schema::new(vec![field]));
    bind(BindRequest { contract: &configuration.contracts[0], schemas: schemas.as_ref() }).unwrap()
}

fn canonical(binding: &Binding, side: Side, field: &Field, values: ArrayRef) -> CanonicalBatch {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    normalise(binding, side, &RecordBatch::try_new(schema, vec![values]).unwrap())
}

/// Holds every value of one side against every one of the other.
fn check(fields: &Sides<Field>, values: &Sides<ArrayRef>, logical: &str) {
    let mut binding = bound(fields.clone(), logical);
    // NULL in a key is unsure; here it is a value.
    binding.key_count = 0;
    let batches = Sides::from_fn(|side| canonical(&binding, side, fields.get(side), Arc::clone(values.get(side))));
    let kernel = Kernel::new(&binding).unwrap();
    let mut texts = batches.as_ref().map(|_, batch| kernel.texts(batch, false));
    let column = |side: Side| &batches.get(side).columns[0];
    let faulty = |side: Side, row: usize| column(side).faults.iter().any(|fault| fault.row as usize == row);
    for one in 0..batches.authority.rows {
        for other in 0..batches.projection.rows {
            let first = texts.authority.text(one).map(<[u8]>::to_vec);
            let second = texts.projection.text(other).map(<[u8]>::to_vec);
            assert_eq!(first.is_none(), faulty(Side::Authority, one) || is_fine(&column(Side::Authority).values, one));
            let (Some(first), Some(second)) = (first, second) else { continue };
            let equal = column(Side::Authority).values.slice(one, 1) == column(Side::Projection).values.slice(other, 1);
            assert_eq!(
                first == second,
                equal,
                "{} and {} of {:?}",
                String::from_utf8_lossy(&first),
                String::from_utf8_lossy(&second),
                binding.attributes[0].comparison
            );
        }
    }
}

/// Whether a moment is finer than a microsecond.
fn is_fine(values: &ArrayRef, row: usize) -> bool {
    matches!(values.data_type(), DataType::Decimal128(38, 0))
        && values.is_valid(row)
        && values.as_primitive::<arrow::datatypes::Decimal128Type>().value(row) % 1000 != 0
}

fn plain(data_type: DataType) -> Field {
    Field::new("v", data_type, true)
}

/// Few values, so that equal ones meet.
fn small() -> impl Strategy<Value = Vec<Option<i64>>> {
    let near = prop_oneof![-30_i64..30, Just(100), Just(1000), Just(-1000), Just(123_450)];
    proptest::collection::vec(proptest::option::weighted(0.9, near), 1..30)
}

/// A column of a type, made of small numbers.
fn column(data_type: &DataType, numbers: &[Option<i64>]) -> ArrayRef {
    let of = |text: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(numbers.iter().map(|number| number.map(text)).collect::<StringArray>())
    };
    match data_type {
        DataType::Boolean => {
            Arc::new(numbers.iter().map(|number| number.map(|number| number % 2 == 0)).collect::<BooleanArray>())
        }
        DataType::Utf8 => of(&|number| {
            ["a", "A", "a|", "a\\|", "\\N", "|", "é", "e\u{301}", ""][number.rem_euclid(9) as usize].to_owned()
        }),
        DataType::Binary => Arc::new(
            numbers
                .iter()
                .map(|number| number.map(|number| number.to_le_bytes()[..(number.rem_euclid(3) as usize)].to_vec()))
                .collect::<BinaryArray>(),
        ),
        DataType::Decimal128(precision, scale) => Arc::new(
            numbers
                .iter()
                .map(|number| number.map(i128::from))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(*precision, *scale)
                .unwrap(),
        ),
        DataType::Decimal256(precision, scale) => Arc::new(
            numbers
                .iter()
                .map(|number| number.map(|number| arrow::datatypes::i256::from_i128(i128::from(number))))
                .collect::<Decimal256Array>()
                .with_precision_and_scale(*precision, *scale)
                .unwrap(),
        ),
        DataType::UInt64 => {
            Arc::new(numbers.iter().map(|number| number.map(i64::unsigned_abs)).collect::<UInt64Array>())
        }
        DataType::Int32 => {
            Arc::new(numbers.iter().map(|number| number.map(|number| number as i32)).collect::<Int32Array>())
        }
        DataType::Date32 => {
            Arc::new(numbers.iter().map(|number| number.map(|number| number as i32 * 7)).collect::<Date32Array>())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            Arc::new(numbers.iter().copied().collect::<TimestampMicrosecondArray>().with_timezone_opt(zone.clone()))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => Arc::new(
            numbers
                .iter()
                .map(|number| number.map(|number| number * 500))
                .collect::<TimestampNanosecondArray>()
                .with_timezone_opt(zone.clone()),
        ),
        _ => Arc::new(numbers.iter().copied().collect::<Int64Array>()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn equal_canonical_values_have_equal_texts_and_only_they(one in small(), other in small()) {
        use DataType as T;
        let utc = || Some("UTC".into());
        let pairs = [
            (T::Int64, T::Int64, ""),
            (T::Int32, T::UInt64, ""),
            (T::Int64, T::Decimal128(12, 2), ""),
            (T::Decimal128(10, 3), T::Decimal128(20, 1), ""),
            (T::Decimal256(60, 10), T::Decimal128(38, 5), ""),
            (T::UInt64, T::Decimal256(76, 0), ""),
            (T::Int64, T::Decimal128(9, 1), "decimal"),
            (T::Boolean, T::Boolean, ""),
            (T::Boolean, T::Int64, "boolean"),
            (T::Utf8, T::Utf8, ""),
            (T::Binary, T::Binary, ""),
            (T::Date32, T::Date32, ""),
            (T::Timestamp(TimeUnit::Microsecond, None), T::Timestamp(TimeUnit::Nanosecond, None), ""),
            (T::Timestamp(TimeUnit::Microsecond, utc()), T::Timestamp(TimeUnit::Nanosecond, utc()), ""),
        ];
        for (authority, projection, logical) in pairs {
            let types = Sides { authority, projection };
            let numbers = Sides { authority: &one, projection: &other };
            let values = Sides::from_fn(|side| column(types.get(side), numbers.get(side)));
            check(&types.map(|_, data_type| plain(data_type)), &values, logical);
        }
    }

    #[test]
    fn numbers_of_any_length_are_written_by_their_value(digits in "-?[0-9]{1,25}(\\.[0-9]{1,20})?") {
        let fields = Sides::from_fn(|_| field("v", DataType::Utf8, Notation::Number));
        let values = |texts: [String; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let longer = if digits.contains('.') { format!("{digits}00") } else { format!("{digits}.00") };
        check(&fields, &Sides { authority: values([digits.clone(), "1e3".to_owned()]), projection: values([longer, "1000".to_owned()]) }, "");
    }
}

#[test]
fn texts_are_those_that_databases_write() {
    use DataType as T;
    let number = |value: i64, scale: i8| column(&T::Decimal128(20, scale), &[Some(value)]);
    let cases: Vec<(T, ArrayRef, &str)> = vec![
        (T::Decimal128(20, 2), number(1050, 2), "10.5"),
        (T::Decimal128(20, 2), number(-5, 2), "-0.05"),
        (T::Decimal128(20, 2), number(0, 2), "0"),
        (T::Decimal128(20, 0), number(-1000, 0), "-1000"),
        (T::Int64, column(&T::Int64, &[Some(7)]), "7"),
        (T::Boolean, column(&T::Boolean, &[Some(2)]), "1"),
        (T::Utf8, Arc::new(StringArray::from(vec!["a|b\\N"])), "a\\|b\\\\N"),
        (T::Binary, Arc::new(BinaryArray::from(vec![&b"\x00\xff|"[..]])), "00ff7c"),
        (T::Date32, Arc::new(Date32Array::from(vec![-719_162])), "0001-01-01"),
        (
            T::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Arc::new(TimestampMicrosecondArray::from(vec![-1]).with_timezone("UTC")),
            "1969-12-31 23:59:59.999999",
        ),
    ];
    for (data_type, values, expected) in cases {
        let fields = Sides::from_fn(|_| plain(data_type.clone()));
        let mut binding = bound(fields.clone(), "");
        binding.key_count = 0;
        let batch = canonical(&binding, Side::Authority, &fields.authority, values);
        let mut texts = Kernel::new(&binding).unwrap().texts(&batch, false);
        assert_eq!(texts.text(0).map(String::from_utf8_lossy).as_deref(), Some(expected));
    }
    let nulls: ArrayRef = column(&T::Int64, &[None]);
    let fields = Sides::from_fn(|_| plain(T::Int64));
    let mut binding = bound(fields.clone(), "");
    let batch = canonical(&binding, Side::Authority, &fields.authority, Arc::clone(&nulls));
    assert_eq!(Kernel::new(&binding).unwrap().texts(&batch, false).text(0), None, "NULL in a key is unsure");
    binding.key_count = 0;
    assert_eq!(Kernel::new(&binding).unwrap().texts(&batch, false).text(0), Some(&b"\\N"[..]));
}

#[test]
fn the_lanes_are_those_of_md5() {
    let fields = Sides::from_fn(|_| plain(DataType::Utf8));
    let binding = bound(fields.clone(), "");
    let batch = canonical(&binding, Side::Authority, &fields.authority, Arc::new(StringArray::from(vec!["abc"])));
    let mut texts = Kernel::new(&binding).unwrap().texts(&batch, false);
    // MD5 of `abc`, of RFC 1321.
    assert_eq!(texts.lanes(0), Some([0x9001_5098, 0x3cd2_4fb0, 0xd696_3f7d, 0x28e1_7f72]));
    assert_eq!(texts.segment(&Cut::Hash { bits: 4 }, 0), Some(9));
    assert_eq!(texts.segment(&Cut::Hash { bits: 0 }, 0), Some(0));
}

#[test]
fn segments_agree_only_where_nothing_is_unsure_and_no_key_is_twice() {
    let mut one = Sums::default();
    one.add(Some([1, 2, 3, u32::MAX]));
    one.add(Some([1, 2, 3, u32::MAX]));
    let mut other = Sums::default();
    other.merge(&one);
    assert_eq!(other.lanes[3], 2 * u128::from(u32::MAX));
    assert!(one.agree(&other, true));
    assert!(!one.agree(&other, false), "nobody vouches for the keys");
    other.keys = Some(2);
    assert!(one.agree(&other, false), "the keys were counted on a side");
    other.keys = Some(1);
    assert!(!one.agree(&other, false));
    one.add(None);
    other.add(None);
    assert!(!one.agree(&other, true), "no sum tells about a row");
}

#[test]
fn ranges_touch_and_end_where_numbers_do() {
    let stretch = Stretch { low: -10, high: 0, step: 4, count: 3, first: 0 };
    assert_eq!((stretch.segment(0), stretch.segment(2)), ((-10, -7), (-2, 0)));
    let mut ranges = Vec::new();
    for range in [(1, 4), (5, 8), (10, 12), (12, 20), (i64::MAX, i64::MAX)] {
        Chosen::join(&mut ranges, range);
    }
    assert_eq!(ranges, [(1, 8), (10, 20), (i64::MAX, i64::MAX)]);
    let chosen = Chosen::Ranges(ranges);
    let reads = |number| chosen.has_number(Some(number), false);
    assert_eq!([0, 1, 8, 9, 10, 20, 21].map(reads), [false, true, true, false, true, true, false]);
    assert!(chosen.has_number(None, false) && chosen.has_number(Some(0), true), "what has no segment is read");
}

#[test]
fn names_and_numbers_are_all_that_stands_in_a_statement() {
    for (system, quoted) in
        [(System::Postgres, "\"a\"\"; drop\""), (System::Mysql, "`a\"; drop`"), (System::Sqlite, "\"a\"\"; drop\"")]
    {
        let name = crate::database::dialect::quoted_name(system, "a\"; drop");
        assert_eq!(name, quoted);
        let column = Column { sql: name.clone(), native: Native::Integer, form: Form::Number };
        let table = Table {
            system,
            from: "t".to_owned(),
            filter: Some("x > 1 -- all".to_owned()),
            columns: vec![column],
            key_count: 1,
        };
        let cut = Cut::Ranges(vec![Stretch { low: -5, high: 14, step: 10, count: 2, first: 0 }]);
        let sums = table.sums(&cut, 0, Some((-5, 14)), true);
        assert!(sums.contains(&format!("({quoted}")) || sums.contains(&format!("CAST({quoted}")), "{sums}");
        assert!(sums.contains("(x > 1 -- all\n) AND"), "a comment ends with its line: {sums}");
        assert!(sums.contains("BETWEEN -5 AND 14"), "{sums}");
        let conditions = table.conditions(&Chosen::Ranges(vec![(1, 2), (5, 6), (9, 9)]), 2);
        assert_eq!(conditions.len(), 3, "{conditions:?}");
        assert!(conditions[2].ends_with("IS NULL"));
        let conditions = table.conditions(&Chosen::Hash { bits: 3, segments: vec![1, 7] }, 10);
        assert!(conditions[0].ends_with("IN (1, 7)"), "{conditions:?}");
    }
}
