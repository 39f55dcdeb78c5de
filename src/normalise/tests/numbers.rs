//! Numbers compare by value across widths, signedness and representation.

use super::*;

#[test]
fn one_value_is_equal_in_every_exact_representation() {
    let spellings: Vec<ArrayRef> = vec![
        Arc::new(Int8Array::from(vec![100])),
        Arc::new(UInt8Array::from(vec![100])),
        Arc::new(Int16Array::from(vec![100])),
        Arc::new(UInt32Array::from(vec![100])),
        Arc::new(Int64Array::from(vec![100])),
        Arc::new(UInt64Array::from(vec![100])),
        Arc::new(Decimal32Array::from(vec![10_000]).with_precision_and_scale(9, 2).unwrap()),
        Arc::new(Decimal64Array::from(vec![1000]).with_precision_and_scale(18, 1).unwrap()),
        Arc::new(decimals(&[100_000], 38, 3)),
        Arc::new(decimals(&[1], 5, -2)),
        Arc::new(Decimal256Array::from(vec![i256::from_i128(1_000_000)]).with_precision_and_scale(76, 4).unwrap()),
        Arc::new(Float32Array::from(vec![100.0])),
        Arc::new(Float64Array::from(vec![100.0])),
        Arc::new(Float16Array::from(vec![<Float16Type as ArrowPrimitiveType>::Native::from_f64(100.0)])),
        Arc::new(text(&["+0100.00"])),
        Arc::new(text(&["1e2"])),
    ];
    for one in &spellings {
        for two in &spellings {
            let pair = pair_of(Arc::clone(one), Arc::clone(two));
            if pair.comparison() != Comparison::Text {
                all(&pair, "equal");
            }
            all(&pair.tolerance(0, 0), "equal");
            all(&pair_of(Arc::clone(one), Arc::clone(two)).typed(LogicalType::Decimal(Some((9, 3)))), "equal");
            all(
                &pair_of(Arc::clone(one), Arc::clone(two)).typed(LogicalType::Integer { bits: 8, signed: false }),
                "equal",
            );
            all(
                &pair_of(Arc::clone(one), Arc::clone(two)).typed(LogicalType::Integer { bits: 64, signed: false }),
                "equal",
            );
            all(&pair_of(Arc::clone(one), Arc::clone(two)).typed(LogicalType::Float32), "equal");
            all(&pair_of(Arc::clone(one), Arc::clone(two)).with(|options| options.round = Some(1)), "equal");
        }
    }
}

#[test]
fn neighbours_differ_where_a_float_in_between_would_not_see_it() {
    let float = || Float64Array::from(vec![9_007_199_254_740_992.0]);
    all(&pair(float(), Int64Array::from(vec![9_007_199_254_740_993])), "differs");
    all(&pair(float(), Int64Array::from(vec![9_007_199_254_740_992])), "equal");
    all(&pair(UInt64Array::from(vec![u64::MAX]), Int64Array::from(vec![-1])), "differs");
    all(&pair(UInt64Array::from(vec![u64::MAX]), text(&["18446744073709551615"])), "equal");
    let wide = 12_345_678_901_234_567_890_123_456_789_012_345_678_i128;
    all(&pair(decimals(&[wide], 38, 0), decimals(&[wide + 1], 38, 0)), "differs");
    let huge = |text: &str| {
        Decimal256Array::from(vec![i256::from_string(text).unwrap()]).with_precision_and_scale(76, 10).unwrap()
    };
    let digits = "1234567890123456789012345678901234567890123456789012345678901234567890123456";
    let other = "1234567890123456789012345678901234567890123456789012345678901234567890123457";
    all(&pair(huge(digits), huge(other)), "differs");
    all(&pair(huge(digits), huge(digits)), "equal");
    // Beyond 76 digits in all there is still an exact number.
    all(&pair(huge(digits), decimals(&[wide], 38, 38)), "differs");
}

#[test]
fn floats_stand_for_their_shortest_decimal_against_exact_numbers() {
    all(&pair(Float64Array::from(vec![0.1]), decimals(&[1], 3, 1)), "equal");
    all(&pair(Float32Array::from(vec![0.1]), decimals(&[1], 3, 1)), "equal");
    all(&pair(Float64Array::from(vec![0.1]), text(&["0.1"])), "equal");
    // Against text the float's own type holds, and it holds the nearest.
    all(&pair(Float64Array::from(vec![0.1]), text(&["0.1000000000000000055511151231257827"])), "equal");
    all(&pair(Float64Array::from(vec![0.1]), text(&["0.10000000000000002"])), "differs");
    all(&pair(Float32Array::from(vec![0.1]), text(&["0.1"])), "equal");
    all(&pair(Float32Array::from(vec![0.1]), text(&["0.1000001"])), "differs");
    all(&pair(Float32Array::from(vec![0.1]), Float64Array::from(vec![0.1])), "differs");
    all(&pair(Float32Array::from(vec![0.1]), Float64Array::from(vec![f64::from(0.1_f32)])), "equal");
    all(&pair(Float32Array::from(vec![0.1]), Float64Array::from(vec![0.1])).typed(LogicalType::Float32), "equal");
}

#[test]
fn zeros_nans_and_infinities_have_one_form_each() {
    let odd = f64::from_bits(0xfff8_0000_0000_0001);
    all(
        &pair(
            Float64Array::from(vec![-0.0, f64::NAN, f64::INFINITY]),
            Float64Array::from(vec![0.0, odd, f64::INFINITY]),
        ),
        "equal",
    );
    all(
        &pair(Float64Array::from(vec![f64::INFINITY, f64::NAN]), Float64Array::from(vec![f64::NEG_INFINITY, 0.0])),
        "differs",
    );
    all(&pair(Float64Array::from(vec![-0.0]), Int64Array::from(vec![0])), "equal");
    let texts = text(&["NaN", "Infinity", "-inf", "-0"]);
    all(&pair(texts, Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0])), "equal");
    all(&pair(Float32Array::from(vec![f32::NAN]), decimals(&[0], 3, 1)), "differs");
}

#[test]
fn a_type_never_rounds() {
    let money = LogicalType::Decimal(Some((5, 2)));
    let judged = |one: &str, two: &str| pair(text(&[one]), text(&[two])).typed(money).judged()[0];
    assert_eq!(judged("1.50", "1.5"), "equal");
    assert_eq!(judged("1.505", "1.505"), "out of type");
    assert_eq!(judged("1000", "1000"), "out of type");
    assert_eq!(judged("abc", "abc"), "unparseable");
    assert_eq!(judged("1,5", "1.5"), "unparseable");
    all(&pair(Float64Array::from(vec![0.1 + 0.2]), decimals(&[30], 5, 2)).typed(money), "out of type");
    let byte = LogicalType::Integer { bits: 8, signed: true };
    all(&pair(Int32Array::from(vec![128, -129]), Int32Array::from(vec![128, -129])).typed(byte), "out of type");
    all(&pair(text(&["1.5", "128"]), text(&["1.5", "128"])).typed(byte), "out of type");
    all(
        &pair(UInt64Array::from(vec![u64::MAX]), Int8Array::from(vec![-1]))
            .typed(LogicalType::Integer { bits: 64, signed: false }),
        "out of type",
    );
    all(&pair(text(&["1e400"]), text(&["1e400"])).typed(LogicalType::Float64), "out of type");
    all(&pair(text(&["0.1000000000000000055"]), Float64Array::from(vec![0.1])).typed(LogicalType::Float64), "equal");
    all(&pair(text(&["NaN"]), text(&["NaN"])).typed(LogicalType::Decimal(None)), "out of type");
}

#[test]
fn text_beside_a_number_is_read_to_its_full_value() {
    all(
        &pair(Int64Array::from(vec![1, 1]), text(&["1.5", "1.0000000000000000000000000000000000000000001"])),
        "out of type",
    );
    all(&pair(Int64Array::from(vec![1, 10_000_000_000, 7, 5]), text(&["1.0", "1e10", "007", "+5"])), "equal");
    all(&pair(Int64Array::from(vec![1]), text(&["one"])), "unparseable");
    all(&pair(decimals(&[1], 5, 2), text(&[".01"])), "equal");
    all(&pair(Int64Array::from(vec![1]), text(&[" 1"])), "unparseable");
    all(&pair(Int64Array::from(vec![1]), text(&[" 1"])).with(|options| options.trim = Some(Trim::Both)), "equal");
    let german =
        pair(decimals(&[150], 5, 2), text(&["1,5"])).source(Side::Projection, |source| source.csv.decimal = ',');
    all(&german, "equal");
    // Text against text stays text.
    all(&pair(text(&["1.0"]), text(&["1"])), "differs");
}

#[test]
fn marked_numbers_are_numbers() {
    let marked =
        |one: &str, other: ArrayRef| pair_of(Arc::new(text(&[one])), other).noted(Side::Authority, Notation::Number);
    all(&marked("1.50", Arc::new(decimals(&[15], 5, 1))), "equal");
    all(&marked("1.50", Arc::new(text(&["1.5"]))), "equal");
    all(&marked("1e400", Arc::new(Float64Array::from(vec![f64::INFINITY]))), "differs");
    all(&marked("1", Arc::new(BooleanArray::from(vec![true]))), "incomparable");
}

#[test]
fn the_bound_of_a_tolerance_is_equal() {
    all(&pair(Float64Array::from(vec![1.0, -1.0]), Float64Array::from(vec![1.1, -1.1])).tolerance(1, -1), "equal");
    all(
        &pair(Float64Array::from(vec![1.0]), Float64Array::from(vec![1.100_000_000_000_000_3])).tolerance(1, -1),
        "differs",
    );
    all(&pair(Float32Array::from(vec![0.1]), Float32Array::from(vec![0.2])).tolerance(1, -1), "equal");
    all(&pair(text(&["1.0"]), text(&["1.1"])).tolerance(1, -1), "equal");
    all(&pair(Int64Array::from(vec![i64::MIN]), UInt64Array::from(vec![u64::MAX])).tolerance(1, 19), "differs");
    all(&pair(Int64Array::from(vec![1]), text(&["1.5"])).tolerance(5, -1), "equal");
    let infinite = pair(
        Float64Array::from(vec![f64::INFINITY, f64::INFINITY, f64::NAN]),
        Float64Array::from(vec![f64::MAX, f64::NEG_INFINITY, 0.0]),
    );
    all(&infinite.tolerance(1, 400), "differs");
    all(&pair(Int64Array::from(vec![None, Some(0)]), Int64Array::from(vec![Some(0), None])).tolerance(1, 9), "differs");
    let percent = Tolerance::Relative(ExactDecimal { coefficient: 1, exponent: -2 });
    let relative = |one, two| {
        pair(decimals(&[one], 10, 2), Int64Array::from(vec![two]))
            .with(|options| options.tolerance = Some(percent.clone()))
    };
    all(&relative(9900, 100), "equal");
    all(&relative(9899, 100), "differs");
}

#[test]
fn only_round_rounds() {
    let rounded = |one: ArrayRef, two: ArrayRef| pair_of(one, two).with(|options| options.round = Some(2));
    all(&rounded(Arc::new(Float64Array::from(vec![0.125, -0.125])), Arc::new(decimals(&[13, -13], 5, 2))), "equal");
    all(
        &rounded(Arc::new(text(&["0.1249999999999999999999999999999999999999999"])), Arc::new(decimals(&[12], 5, 2))),
        "equal",
    );
    all(&pair(Float64Array::from(vec![0.125]), decimals(&[13], 5, 2)), "differs");
    let typed = rounded(Arc::new(text(&["9.995"])), Arc::new(text(&["10"])));
    all(&typed.typed(LogicalType::Decimal(Some((4, 3)))), "out of type");
}

#[test]
fn tolerances_need_numbers() {
    all(&pair(BooleanArray::from(vec![true]), BooleanArray::from(vec![true])).tolerance(1, 0), "error");
    all(&pair(Date32Array::from(vec![1]), Date32Array::from(vec![1])).tolerance(1, 0), "error");
    let span = |pair: Pair| pair.with(|options| options.tolerance = Some(Tolerance::Time(Span(5))));
    all(&span(pair(text(&["a"]), text(&["a"]))), "error");
    all(&span(pair(Int64Array::from(vec![1]), Int64Array::from(vec![1]))), "error");
}
