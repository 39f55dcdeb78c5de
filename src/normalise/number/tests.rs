//! Tests of exact numbers.

use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Number {
    Number::parse(text, '.').unwrap_or_else(|| panic!("`{text}` is a number"))
}

fn bytes(number: &Number) -> Vec<u8> {
    let mut out = Vec::new();
    number.write_canonical(&mut out);
    out
}

#[test]
fn spellings_of_one_number_are_equal() {
    for spellings in [
        &["3000", "3000.0", "3000.00", "3e3", "+3000", "003000", "3000.", "0.3E4", "30000e-1"][..],
        &["0", "-0", "0.0", "0e5", "0e-10000", ".0", "+0."],
        &["0.01", ".01", "1e-2", "1E-02"],
        &["NaN", "nan", "-NaN"],
        &["inf", "Infinity", "+INF"],
        &["123456789012345678901234567890123456789012345", "123456789012345678901234567890123456789012345.000"],
        &["1e50", "100000000000000000000000000000000000000000000000000"],
    ] {
        for spelling in spellings {
            assert_eq!(number(spelling), number(spellings[0]), "{spelling}");
            assert_eq!(bytes(&number(spelling)), bytes(&number(spellings[0])), "{spelling}");
        }
    }
}

#[test]
fn texts_that_are_not_numbers_do_not_parse() {
    for text in [
        "", " 1", "1 ", "1,000", "1_000", ".", "-", "+", "e5", "1e", "1e+", "--1", "1.2.3", "0x10", "1e10001", "in",
        "١",
    ] {
        assert_eq!(Number::parse(text, '.'), None, "{text}");
    }
    assert_eq!(Number::parse("1,5", ','), Some(number("1.5")));
    assert_eq!(Number::parse("1.5", ','), None);
    assert_eq!(Number::parse("1٫5", '٫'), Some(number("1.5")));
}

#[test]
fn floats_stand_for_their_shortest_decimal() {
    assert_eq!(Number::from_f64(0.1), number("0.1"));
    assert_eq!(Number::from_f32(0.1), number("0.1"));
    assert_eq!(Number::from_f64(f64::from(0.1_f32)), number("0.10000000149011612"));
    assert_eq!(Number::from_f64(9_007_199_254_740_992.0), number("9007199254740992"));
    assert_eq!(Number::from_f64(-0.0), Number::ZERO);
    assert_eq!(Number::from_f64(5e-324), number("5e-324"));
    assert_eq!(Number::from_f64(f64::MAX), number("1.7976931348623157e308"));
    let half = <Float16Type as ArrowPrimitiveType>::Native::from_f64(0.1);
    assert_eq!(Number::from_f16(half), number("0.1"));
}

#[test]
fn rounding_is_half_away_from_zero() {
    for (text, places, expected) in [
        ("0.125", 2, "0.13"),
        ("-0.125", 2, "-0.13"),
        ("0.124999", 2, "0.12"),
        ("9.99", 1, "10"),
        ("0.5", 0, "1"),
        ("0.49", 0, "0"),
        ("0.05", 0, "0"),
        ("-0.004", 2, "0"),
        ("1e-60", 3, "0"),
        ("123456789012345678901234567890123456789012345.5", 0, "123456789012345678901234567890123456789012346"),
        ("0.99999999999999999999999999999999999999999999999", 2, "1"),
        ("0.6e-39", 39, "1e-39"),
    ] {
        assert_eq!(number(text).round(places), number(expected), "{text} to {places}");
    }
}

#[test]
fn the_bound_itself_is_near() {
    let near_at = |one: &str, two: &str, bound: &str| {
        let Number::Finite(finite) = number(bound) else { unreachable!("bounds are finite") };
        let decimal = ExactDecimal { coefficient: finite.scaled(finite.exponent).unwrap(), exponent: finite.exponent };
        near([&number(one), &number(two)], Bound::Absolute(&decimal))
    };
    assert!(near_at("1.0", "1.1", "0.1"));
    assert!(!near_at("1.0", "1.1000000000000000000000000000000000000000000001", "0.1"));
    assert!(near_at("1e10000", "1e10000", "0"));
    assert!(!near_at("1e10000", "1", "1e30"));
    assert!(near_at("1e-10000", "-1e-10000", "1"));
    assert!(!near_at("inf", "1", "1e30"));
    assert!(near_at("inf", "inf", "0"));
    assert!(!near_at("inf", "-inf", "1e30"));
    assert!(near_at("NaN", "NaN", "0"));
    assert!(!near_at("NaN", "1", "1e30"));
}

#[test]
fn a_relative_bound_is_of_the_larger_magnitude() {
    let percent = ExactDecimal { coefficient: 1, exponent: -2 };
    let near_at = |one: &str, two: &str| near([&number(one), &number(two)], Bound::Relative(&percent));
    assert!(near_at("99", "100"));
    assert!(near_at("-99", "-100"));
    assert!(!near_at("98.9999999999999999999999999", "100"));
    assert!(!near_at("100", "101.02"));
    assert!(near_at("0", "0"));
    assert!(!near_at("0", "1e-300"));
}

#[test]
fn display_reads_back() {
    for text in ["0", "-1.5", "0.001", "1e300", "1.25e-300", "NaN", "-inf", "12300", "0.1"] {
        assert_eq!(number(&number(text).to_string()), number(text), "{text}");
    }
    assert_eq!(number("1e3").to_string(), "1000");
    assert_eq!(number("-0.0500").to_string(), "-0.05");
    assert_eq!(number("1.5e300").to_string(), "1.5e300");
}

#[test]
fn wide_integers_survive() {
    let wide = i256::MAX;
    assert_eq!(Number::from_scaled_256(wide, 0).to_scaled_256(0), Some(wide));
    assert_eq!(Number::from_scaled_256(i256::MIN, 5).to_scaled_256(5), Some(i256::MIN));
    assert_eq!(number("1e80").to_scaled_256(0), None);
    assert_eq!(number("1.5").to_scaled(0), None);
    assert_eq!(number("1.5").to_scaled(2), Some(150));
}

proptest! {
    #[test]
    fn canonical_bytes_are_injective_and_read_back(
        one in any::<i128>(), two in any::<i128>(), scales in (-10_i8..40, -10_i8..40), cut in 0_u32..39
    ) {
        let (one, two) = (one / 10_i128.pow(cut.min(38)), two / 10_i128.pow(cut.min(38)));
        let numbers = [Number::from_scaled(one, scales.0), Number::from_scaled(two, scales.1)];
        prop_assert_eq!(bytes(&numbers[0]) == bytes(&numbers[1]), numbers[0] == numbers[1]);
        prop_assert_eq!(Number::from_canonical(&bytes(&numbers[0])), Some(numbers[0].clone()));
        let big = |value: i128, scale: i8| BigInt::from(value) * BigInt::from(10).pow(u32::from((40 - scale).unsigned_abs()));
        prop_assert_eq!(numbers[0] == numbers[1], big(one, scales.0) == big(two, scales.1));
    }

    #[test]
    fn every_float_reads_back_from_its_number(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        let back = Number::from_f64(float).to_f64().unwrap();
        let same = back.to_bits() == float.to_bits() || back.is_nan() && float.is_nan();
        prop_assert!(same || back.abs().to_bits() == 0 && float.abs().to_bits() == 0);
    }

    #[test]
    fn near_agrees_with_plain_big_integers(one in any::<i64>(), two in any::<i64>(), bound in any::<u32>(), exponents in (-30_i32..30, -30_i32..30, -30_i32..30)) {
        let expand = |value: i128, exponent: i32| BigInt::from(value) * BigInt::from(10).pow((exponent + 30).unsigned_abs());
        let numbers = [one, two].map(i128::from);
        let finite = |value: i128, exponent| Number::Finite(Finite::new(value < 0, value.unsigned_abs(), exponent));
        let decimal = ExactDecimal { coefficient: i128::from(bound), exponent: exponents.2 };
        let distance = expand(numbers[0], exponents.0) - expand(numbers[1], exponents.1);
        let expected = distance.magnitude() <= expand(decimal.coefficient, decimal.exponent).magnitude();
        let values = [finite(numbers[0], exponents.0), finite(numbers[1], exponents.1)];
        prop_assert_eq!(near([&values[0], &values[1]], Bound::Absolute(&decimal)), expected);
    }
}
