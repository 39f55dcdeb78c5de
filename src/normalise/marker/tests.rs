//! Markers of every type and spelling, and what is none.

use std::sync::Arc;

use arrow::array::{
    Date32Array, Decimal128Array, Float64Array, Int64Array, NullArray, StringArray, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow::datatypes::{DataType, TimeUnit};

use super::*;
use crate::contract::{CapturedAt, CsvOptions, Location};

fn source(zone: Option<&str>) -> Source {
    Source {
        name: "shop".to_owned(),
        context: None,
        location: Location::Files { written: "a.csv".to_owned(), path: "a.csv".into() },
        format: None,
        filter: None,
        version_column: None,
        updated_at: None,
        deleted: None,
        captured_at: CapturedAt::SourceTells,
        max_age: None,
        timezone: zone.map(|zone| jiff::tz::TimeZone::get(zone).expect("a zone")),
        csv: CsvOptions::default(),
    }
}

fn read(array: &ArrayRef, zone: Option<&str>, times_only: bool) -> Vec<Option<(Clock, i128)>> {
    let field = Field::new("marker", array.data_type().clone(), true);
    let marks = Marker::bind(&source(zone), &field, times_only).expect("a marker").read(array);
    marks.values.into_iter().map(|mark| mark.map(|mark| (mark.clock, mark.at))).collect()
}

fn texts(texts: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

const UNIT: i128 = Clock::UNIT;

#[test]
fn a_number_is_the_same_marker_in_every_type_and_as_text() {
    let seven = Some((Clock::Number, 7 * UNIT));
    let decimal = Decimal128Array::from(vec![700]).with_precision_and_scale(10, 2).expect("fits");
    let columns: [ArrayRef; 5] = [
        Arc::new(Int64Array::from(vec![7])),
        Arc::new(UInt64Array::from(vec![7])),
        Arc::new(Float64Array::from(vec![7.0])),
        Arc::new(decimal),
        texts(&["007"]),
    ];
    for column in columns {
        assert_eq!(read(&column, None, false), [seven], "{}", column.data_type());
    }
    let greatest = i128::from(u64::MAX) * UNIT;
    assert_eq!(
        read(&(Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef), None, false),
        [Some((Clock::Number, greatest))]
    );
}

#[test]
fn texts_of_numbers_have_the_order_of_numbers() {
    let marks = read(&texts(&["9", "10", "1e3", "-1"]), None, false);
    assert_eq!(marks, [9, 10, 1000, -1].map(|number| Some((Clock::Number, number * UNIT))));
}

#[test]
fn a_time_is_an_instant_where_its_zone_is_known_and_else_a_local_time() {
    let at = 1_767_225_600 * UNIT; // 2026-01-01T00:00:00Z
    let column = texts(&["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01 00:00:00"]);
    let instant = Some((Clock::Instant, at));
    assert_eq!(read(&column, None, true), [instant, instant, Some((Clock::Local, at))]);
    let rome = read(&column, Some("Europe/Rome"), true);
    assert_eq!(rome, [instant, instant, Some((Clock::Instant, at - 3600 * UNIT))]);
    let days: ArrayRef = Arc::new(Date32Array::from(vec![20_454]));
    assert_eq!(read(&days, None, true), [Some((Clock::Local, at))]);
    assert_eq!(read(&days, Some("UTC"), true), [instant]);
    let zoned = TimestampMicrosecondArray::from(vec![1_767_225_600_000_000]);
    assert_eq!(read(&(Arc::new(zoned.clone().with_timezone("UTC")) as ArrayRef), None, false), [instant]);
    assert_eq!(read(&(Arc::new(zoned) as ArrayRef), None, false), [Some((Clock::Local, at))]);
}

#[test]
fn what_is_no_marker_tells_nothing_and_is_counted() {
    let column: ArrayRef =
        Arc::new(StringArray::from(vec![Some("v7"), None, Some("NaN"), Some("8"), Some("2026-03-29 02:30:00")]));
    let field = Field::new("marker", DataType::Utf8, true);
    let rome = source(Some("Europe/Rome"));
    let marks = Marker::bind(&rome, &field, false).expect("a marker").read(&column);
    assert_eq!(marks.values, [None, None, None, Some(Mark { clock: Clock::Number, at: 8 * UNIT }), None]);
    assert_eq!(marks.unknown, 3, "the NULL is no value, the hour that does not exist is one");
    assert_eq!(read(&(Arc::new(NullArray::new(2)) as ArrayRef), None, false), [None, None]);
    assert_eq!(read(&texts(&["7"]), None, true), [None], "a number is no time");
}

#[test]
fn a_column_that_can_be_no_marker_is_said() {
    let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
    let said = |data_type: DataType, times_only: bool| {
        let field = Field::new("marker", data_type, true);
        Marker::bind(&source(None), &field, times_only).map(|_| ()).expect_err("no marker")
    };
    assert!(said(list, false).contains("expected numbers or times"));
    assert!(said(DataType::Int64, true).contains("column `marker`"), "seconds or milliseconds: it is not guessed");
    assert!(said(DataType::Time64(TimeUnit::Microsecond), false).contains("expected"));
}

#[test]
fn markers_of_two_sorts_have_no_order() {
    let mark = |clock, at| Mark { clock, at };
    assert_eq!(mark(Clock::Number, 3).after(mark(Clock::Number, 1)), Some(2));
    assert_eq!(mark(Clock::Number, 3).after(mark(Clock::Instant, 1)), None);
    let mut greatest = Greatest::default();
    [mark(Clock::Number, 3), mark(Clock::Number, 1), mark(Clock::Local, 0)]
        .into_iter()
        .for_each(|one| greatest.add(one));
    let mut joined = Greatest::default();
    joined.join(greatest);
    joined.join(Greatest::default());
    assert_eq!(joined.of(Clock::Number), Some(mark(Clock::Number, 3)));
    assert_eq!(joined.of(Clock::Instant), None);
}

#[test]
fn a_flag_is_a_boolean_however_it_is_written_and_null_is_not_deleted() {
    let flags = |array: ArrayRef| {
        let field = Field::new("gone", array.data_type().clone(), true);
        let read = Flag::bind(&source(None), &field).expect("a flag").read(&array)?;
        Ok::<_, String>(read.values().iter().collect::<Vec<bool>>())
    };
    let column: ArrayRef = Arc::new(StringArray::from(vec![Some("true"), Some("false"), None, Some("1"), Some("0")]));
    assert_eq!(flags(column), Ok(vec![true, false, false, true, false]));
    assert_eq!(flags(Arc::new(Int64Array::from(vec![Some(1), Some(0), None]))), Ok(vec![true, false, false]));
    assert_eq!(flags(Arc::new(BooleanArray::from(vec![Some(true), None]))), Ok(vec![true, false]));
    assert_eq!(flags(Arc::new(NullArray::new(1))), Ok(vec![false]));
    assert_eq!(flags(texts(&["false", "maybe"])), Err("maybe".to_owned()));
    assert!(Flag::bind(&source(None), &Field::new("gone", DataType::Date32, true)).is_err());
}
