//! Instants compare as instants, local times by their clocks, and nothing guesses a zone.

use super::*;

/// 2024-07-01T12:00:00Z
const NOON: i64 = 1_719_835_200;
const HOUR: i64 = 3600;

fn utc(seconds: &[i64]) -> TimestampSecondArray {
    TimestampSecondArray::from(seconds.to_vec()).with_timezone("UTC")
}

fn local(seconds: &[i64]) -> TimestampSecondArray {
    TimestampSecondArray::from(seconds.to_vec())
}

#[test]
fn the_same_moment_in_another_unit_or_offset_is_equal() {
    let nanoseconds = || TimestampNanosecondArray::from(vec![NOON * 1_000_000_000]).with_timezone("America/New_York");
    all(&pair(utc(&[NOON]), nanoseconds()), "equal");
    let later = TimestampNanosecondArray::from(vec![NOON * 1_000_000_000 + 1]).with_timezone("UTC");
    all(&pair(utc(&[NOON]), later), "differs");
    all(
        &pair(
            utc(&[NOON; 3]),
            text(&["2024-07-01T12:00:00Z", "2024-07-01 14:00:00+02:00", "2024-07-01T07:00:00.000-0500"]),
        ),
        "equal",
    );
    all(&pair(utc(&[i64::MAX]), utc(&[i64::MAX - 1])), "differs");
}

#[test]
fn a_local_time_meets_an_instant_only_by_a_named_zone() {
    all(&pair(utc(&[NOON]), local(&[NOON])), "zone unknown");
    all(&pair(utc(&[NOON]), local(&[NOON + 2 * HOUR])).zone(Side::Projection, "Europe/Rome"), "equal");
    all(&pair(utc(&[NOON]), local(&[NOON])).zone(Side::Authority, "Europe/Rome"), "zone unknown");
    let attribute = pair(utc(&[NOON]), local(&[NOON + 2 * HOUR]));
    all(&attribute.with(|options| options.timezone = Some(TimeZone::get("Europe/Rome").unwrap())), "equal");
    all(&pair(utc(&[NOON]), text(&["2024-07-01T12:00:00"])), "ambiguous");
    all(&pair(utc(&[NOON]), text(&["2024-07-01T14:00:00"])).zone(Side::Projection, "Europe/Rome"), "equal");
}

#[test]
fn gaps_and_folds_are_ambiguous_unless_both_sides_are_local() {
    // 2024-03-31T02:30 does not exist in Rome, 2024-10-27T02:30 exists twice.
    let (gap, fold) = (1_711_852_200, 1_729_996_200);
    let against_instants = pair(utc(&[gap, fold]), local(&[gap, fold])).zone(Side::Projection, "Europe/Rome");
    all(&against_instants, "ambiguous");
    let both = pair(local(&[gap, fold]), local(&[gap, fold]));
    all(&both.zone(Side::Authority, "Europe/Rome").zone(Side::Projection, "Europe/Rome"), "equal");
    let texts = pair(local(&[gap]), text(&["2024-03-31T02:30"]));
    all(&texts.zone(Side::Authority, "Europe/Rome"), "equal");
}

#[test]
fn local_times_of_different_named_zones_are_instants() {
    let zones = |pair: Pair| pair.zone(Side::Authority, "Europe/Rome").zone(Side::Projection, "Europe/London");
    all(&zones(pair(local(&[NOON]), local(&[NOON - HOUR]))), "equal");
    all(&zones(pair(local(&[NOON]), local(&[NOON]))), "differs");
    all(&pair(local(&[NOON]), local(&[NOON])).zone(Side::Authority, "Europe/Rome"), "equal");
    all(&zones(pair(Date32Array::from(vec![1]), Date32Array::from(vec![1]))), "equal");
}

#[test]
fn a_date_equals_its_midnight() {
    let day = 19_905; // 2024-07-01
    let midnight = i64::from(day) * 24 * HOUR;
    let dates = || Date32Array::from(vec![day]);
    all(&pair(dates(), local(&[midnight])), "equal");
    all(&pair(dates(), local(&[midnight + 1])), "differs");
    all(&pair(dates(), utc(&[midnight])), "zone unknown");
    all(&pair(dates(), utc(&[midnight - 2 * HOUR])).zone(Side::Authority, "Europe/Rome"), "equal");
    all(&pair(dates(), Date64Array::from(vec![midnight * 1000])), "equal");
    all(&pair(dates(), Date64Array::from(vec![midnight * 1000 + 1])), "out of type");
    all(&pair(dates(), text(&["2024-07-01"])), "equal");
    all(&pair(dates(), text(&["2024-07-01T00:00:00"])), "equal");
    all(&pair(dates(), text(&["2024-07-01T00:00:01"])), "out of type");
    all(&pair(dates(), text(&["01.07.2024"])), "unparseable");
    all(&pair(local(&[midnight]), text(&["2024-07-01"])), "equal");
    let typed = pair(utc(&[midnight - 2 * HOUR]), text(&["2024-07-01"])).typed(LogicalType::Date);
    all(&typed.zone(Side::Authority, "Europe/Rome"), "equal");
    let german = pair(dates(), text(&["01.07.2024"]));
    all(&german.source(Side::Projection, |source| source.csv.date_format = Some("%d.%m.%Y".to_owned())), "equal");
}

#[test]
fn text_with_an_offset_is_no_local_time() {
    all(&pair(local(&[NOON]), text(&["2024-07-01T12:00:00Z"])), "unparseable");
    all(&pair(local(&[NOON]), text(&["2024-07-01 12:00"])), "equal");
    all(
        &pair(text(&["2024-07-01T12:00Z"]), text(&["2024-07-01T14:00+02:00"])).typed(LogicalType::TimestampTz),
        "equal",
    );
    all(&pair(text(&["2024-07-01T12:00"]), text(&["2024-07-01 12:00:00.000"])).typed(LogicalType::Timestamp), "equal");
    all(&pair(utc(&[NOON]), local(&[NOON])).typed(LogicalType::Timestamp), "zone unknown");
}

#[test]
fn times_and_durations_are_exact_in_every_unit() {
    all(&pair(Time32SecondArray::from(vec![60]), Time64NanosecondArray::from(vec![60_000_000_000])), "equal");
    all(&pair(Time32MillisecondArray::from(vec![60_001]), Time64MicrosecondArray::from(vec![60_001_000])), "equal");
    all(&pair(Time32SecondArray::from(vec![60]), text(&["00:01"])), "equal");
    all(&pair(Time32SecondArray::from(vec![60]), text(&["00:01:60"])), "unparseable");
    let durations =
        pair(DurationSecondArray::from(vec![3661, i64::MAX]), DurationMillisecondArray::from(vec![3_661_000, 1]));
    assert_eq!(durations.judged(), ["equal", "differs"]);
    all(&pair(DurationSecondArray::from(vec![3661]), text(&["PT1H1M1S"])), "equal");
    let folded = pair(DurationSecondArray::from(vec![3661]), text(&["PT1H1M1S"]));
    all(&folded.with(|options| options.ignore_case = true), "equal");
    all(&pair(DurationSecondArray::from(vec![3661]), text(&["P1M"])), "out of type");
}

#[test]
fn intervals_compare_part_by_part() {
    let month =
        IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(14, 0, 0), IntervalMonthDayNano::new(0, 30, 0)]);
    assert_eq!(pair(month.clone(), IntervalYearMonthArray::from(vec![14, 1])).judged(), ["equal", "differs"]);
    all(&pair(month, text(&["P1Y2M", "P30D"])), "equal");
    all(&pair(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 5)]), text(&["P1DT0.005S"])), "equal");
    all(&pair(DurationSecondArray::from(vec![1]), IntervalYearMonthArray::from(vec![1])), "incomparable");
}

#[test]
fn tolerances_of_time_include_their_bound() {
    let half_a_second = |pair: Pair| pair.with(|options| options.tolerance = Some(Tolerance::Time(Span(500_000_000))));
    let milliseconds = |value| TimestampMillisecondArray::from(vec![value]);
    all(&half_a_second(pair(milliseconds(1_000), milliseconds(1_500))), "equal");
    all(&half_a_second(pair(milliseconds(1_000), milliseconds(1_501))), "differs");
    all(&half_a_second(pair(Date32Array::from(vec![1]), Date32Array::from(vec![2]))), "differs");
    all(&half_a_second(pair(DurationSecondArray::from(vec![1]), text(&["PT1.5S"]))), "equal");
}

#[test]
fn a_text_with_an_offset_meets_local_time_where_a_zone_is_named() {
    let offsets = text(&["2024-07-01T12:00:00Z", "2024-07-01T14:00:00+02:00"]);
    let clocks = || local(&[NOON + 2 * HOUR, NOON + 2 * HOUR]);
    let rome = |options: &mut Options| options.timezone = Some(TimeZone::get("Europe/Rome").unwrap());
    all(&pair(clocks(), offsets.clone()).with(rome), "equal");
    all(&pair(clocks(), offsets), "unparseable");
    all(&pair(local(&[NOON]), text(&["2024-07-01T12:00:00Z"])).with(rome), "differs");
    // 02:30 in Rome is two instants on that night, so the clock does not say which is meant.
    let fold = local(&[1_729_996_200]);
    all(&pair(fold, text(&["2024-10-27T00:30:00Z"])).with(rome), "ambiguous");
}
