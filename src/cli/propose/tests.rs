//! Which columns are proposed as keys.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

use super::*;

fn sampled(columns: &[(&str, ArrayRef)]) -> Sample {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
    let mut sample = empty(&batch.schema());
    add(&mut sample, &batch);
    sample
}

fn integers<const N: usize>(values: [Option<i64>; N]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts<const N: usize>(values: [&str; N]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn proposed(authority: &[(&str, ArrayRef)], projection: &[(&str, ArrayRef)]) -> Vec<String> {
    propose(&Sides { authority: sampled(authority), projection: sampled(projection) })
        .iter()
        .map(|proposal| format!("{} {}", argument(&proposal.columns), proposal.common))
        .collect()
}

#[test]
fn a_unique_column_that_meets_its_other_side_is_proposed() {
    let authority = [
        ("place", texts(["x", "x", "y"])),
        ("id", integers([Some(1), Some(2), Some(3)])),
        ("other", integers([Some(7), Some(8), Some(9)])),
    ];
    let projection =
        [("id", texts(["3", "2", "4"])), ("place", texts(["x", "y", "z"])), ("other", texts(["a", "b", "c"]))];
    assert_eq!(proposed(&authority, &projection), ["id 2"]);
}

#[test]
fn a_column_with_null_or_floats_is_not_proposed() {
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]));
    let side = [("id", integers([Some(1), None, Some(3)])), ("lat", floats)];
    assert_eq!(proposed(&side, &side), [""; 0]);
}

#[test]
fn a_pair_is_proposed_where_no_column_is_unique() {
    let side = [
        ("country", texts(["IT", "IT", "FR"])),
        ("code, local", integers([Some(1), Some(2), Some(1)])),
        ("same", texts(["s", "s", "s"])),
    ];
    assert_eq!(proposed(&side, &side), ["'country,\"code, local\"' 3"]);
}

#[test]
fn unique_columns_whose_values_never_meet_are_proposed_with_that_said() {
    let samples = Sides {
        authority: sampled(&[("id", integers([Some(1)]))]),
        projection: sampled(&[("id", integers([Some(2)]))]),
    };
    assert_eq!(
        hint(&samples),
        "`--key id` is unique and never NULL in all rows, but none of the values read are on both sides"
    );
}

#[test]
fn without_common_names_both_lists_are_shown() {
    let samples = Sides {
        authority: sampled(&[("id", integers([Some(1)]))]),
        projection: sampled(&[("nr", integers([Some(1)]))]),
    };
    assert_eq!(
        hint(&samples),
        "the sides share no column name; say which belong together with `--map attribute=projection_column` (authority \
         has: id; projection has: nr)"
    );
}

#[test]
fn numbers_of_another_scale_are_one_key() {
    for (text, plain) in
        [("7.00", "7"), ("-7.0", "-7"), ("7.10", "7.10"), ("a.0", "a.0"), ("7", "7"), ("1.2.0", "1.2.0")]
    {
        assert_eq!(plain_number(text), plain);
    }
}
