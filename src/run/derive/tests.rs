//! Derivations over every way in which a source writes numbers.

use arrow::array::{Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};

use super::*;
use crate::contract::{DiffRequest, for_diff};

fn source() -> Arc<Source> {
    let request = DiffRequest {
        authority: "a.csv".to_owned(),
        projection: "b.csv".to_owned(),
        key: vec!["id".to_owned()],
        ..DiffRequest::default()
    };
    Arc::clone(&for_diff(&request).unwrap().sources.authority)
}

fn batch() -> RecordBatch {
    let decimals = Decimal128Array::from(vec![Some(10_050), None, Some(-5)]).with_precision_and_scale(12, 2).unwrap();
    RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from(vec![Some("100.10"), Some("x"), Some("1e3")])) as ArrayRef),
        ("decimal", Arc::new(decimals)),
        ("integer", Arc::new(Int64Array::from(vec![3, 7, 0]))),
        ("float", Arc::new(Float64Array::from(vec![0.1, 0.2, f64::NAN]))),
        ("status", Arc::new(StringArray::from(vec![Some("due"), Some("paid"), None]))),
        ("day", Arc::new(Date32Array::from(vec![0, 1, 2]))),
    ])
    .unwrap()
}

/// The value of each row, or the reason why there is none.
fn derived(written: &str) -> Result<Vec<String>, String> {
    let batch = batch();
    let derivation = Derivation::new(written, &source(), &batch.schema())?;
    let columns: Vec<usize> = derivation.columns().iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
    let (values, codes) = derivation.evaluate(&batch.project(&columns).unwrap())?;
    let values = arrow::compute::cast(&values, &DataType::Utf8).unwrap();
    let values = values.as_string::<i32>();
    let reason = |code: u8| FaultReason::ALL.into_iter().find(|reason| reason.code() == code);
    let row = |row: usize| match reason(codes[row]) {
        Some(reason) => {
            assert!(values.is_null(row), "a fault has no value");
            reason.name().to_owned()
        }
        None if values.is_null(row) => "NULL".to_owned(),
        None => values.value(row).to_owned(),
    };
    Ok((0..3).map(row).collect())
}

#[test]
fn numbers_are_exact_whatever_holds_them() {
    for (written, expected) in [
        ("decimal - integer", ["97.5", "NULL", "-0.05"]),
        ("text - decimal", ["-0.4", "unparseable", "1000.05"]),
        ("float + 0.2", ["0.3", "0.4", "out_of_type"]),
        ("float * 3", ["0.3", "0.6", "out_of_type"]),
        ("-integer", ["-3", "-7", "0"]),
        ("abs(decimal) * 2", ["201", "NULL", "0.1"]),
        ("round(decimal / integer, 2)", ["33.5", "NULL", "not_derivable"]),
        ("round(integer / 2, 0)", ["2", "4", "0"]),
        ("round(decimal, 1)", ["100.5", "NULL", "-0.1"]),
        ("coalesce(decimal, 0) + 1", ["101.5", "1", "0.95"]),
        ("case when status = 'due' then decimal - 1 else 0 end", ["99.5", "0", "0"]),
        ("case when integer > 5 then 'many' else 'few' end", ["few", "many", "few"]),
        ("integer > 5 and status = 'paid'", ["false", "true", "false"]),
        ("cast(text as decimal(12, 1)) + 0", ["100.1", "unparseable", "1000"]),
        ("cast(decimal as decimal(12, 1)) + 0", ["100.5", "NULL", "out_of_type"]),
        (
            "cast('0.12345678901234567890' as decimal(38, 20)) * integer",
            ["0.3703703670370370367", "0.8641975230864197523", "0"],
        ),
        ("upper(status)", ["DUE", "PAID", "NULL"]),
        ("status || '!'", ["due!", "paid!", "NULL"]),
        ("text", ["100.10", "x", "1e3"]),
        ("42", ["42", "42", "42"]),
    ] {
        let derived = derived(written).unwrap_or_else(|said| panic!("{written}: {said}"));
        assert_eq!(derived, expected, "{written}");
    }
}

#[test]
fn what_is_not_about_one_row_or_not_exact_is_refused_before_any_row() {
    for (written, said) in [
        ("decimal / integer", "say how many places hold: round(a / b, 2)"),
        ("sum(decimal)", "looks at other rows"),
        ("decimal - sum(decimal)", "looks at other rows"),
        ("row_number() over () + 1", "looks at other rows"),
        ("(select 1) + integer", ""),
        ("absent + 1", "names no column `absent`"),
        ("decimal -", "parse"),
        ("day + 1", "column `day` is Date32"),
        ("sqrt(decimal - 1)", "has no exact result"),
        ("case when integer > 5 then day else 0 end", "not served here"),
        ("decimal + 0.12345678901234567", "more than 15 digits"),
        ("round(decimal, 100)", "at most 76"),
    ] {
        let error = derived(written).expect_err(written);
        assert!(error.contains(said), "{written}: {error}");
    }
}

#[test]
fn texts_of_any_length_are_written_without_losing_a_digit() {
    for (coefficient, exponent, expected) in
        [(0, 5, "0"), (15, 2, "1500"), (-15, -1, "-1.5"), (5, -3, "0.005"), (1, 40, "1e40"), (-7, -70, "-7e-70")]
    {
        assert_eq!(Exact { coefficient: BigInt::from(coefficient), exponent }.text(), expected);
    }
}
