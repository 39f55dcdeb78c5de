//! Tests of dates, times and durations.

use proptest::prelude::*;

use super::*;

#[test]
fn usual_spellings_of_a_timestamp_are_read() {
    let at = |seconds: i128, nanoseconds: i128| seconds * SECOND + nanoseconds;
    for (text, local, offset) in [
        ("1970-01-02", at(86_400, 0), None),
        ("1970-01-01T00:00:01", at(1, 0), None),
        ("1970-01-01 00:01", at(60, 0), None),
        ("1970-01-01t00:00:01.5z", at(1, 500_000_000), Some(0)),
        ("1970-01-01 00:00:00.123456789+02:00", at(0, 123_456_789), Some(7200)),
        ("1970-01-01 00:00:00+0230", 0, Some(9000)),
        ("1970-01-01 00:00:00-05", 0, Some(-18_000)),
        ("1970-01-01 00:00:00 UTC", 0, Some(0)),
        ("1970-01-01T00:00:00.1000000000000", at(0, 100_000_000), None),
        ("+10000-01-01", i128::from(days_of(10_000, 1, 1)) * DAY, None),
    ] {
        assert_eq!(parse_stamp(text), Ok(Stamp { local, offset }), "{text}");
    }
}

#[test]
fn other_texts_are_not_timestamps() {
    for text in [
        "",
        "1970",
        "1970-1-1",
        "01.02.1970",
        "1970-02-29",
        "1970-13-01",
        "1970-00-01",
        "1970-01-00",
        "19700101",
        "1970-01-01T",
        "1970-01-01T24:00:00",
        "1970-01-01T00:60",
        "1970-01-01T23:59:60",
        "1970-01-01T00:00:00.",
        "1970-01-01T00:00:00+2",
        "1970-01-01 ",
        " 1970-01-01",
        "1970-01-01T00:00:00Zx",
        "10000-01-01",
    ] {
        assert_eq!(parse_stamp(text), Err(FaultReason::Unparseable), "{text}");
    }
    assert_eq!(parse_stamp("1970-01-01T00:00:00.1234567891"), Err(FaultReason::OutOfType));
}

#[test]
fn local_times_in_a_gap_or_fold_are_ambiguous() {
    let rome = TimeZone::get("Europe/Rome").unwrap();
    let local = |text| parse_stamp(text).unwrap().local;
    assert_eq!(instant_of(local("2024-07-01T12:00"), &rome), Ok(local("2024-07-01T10:00")));
    assert_eq!(instant_of(local("2024-03-31T02:30"), &rome), Err(FaultReason::AmbiguousTime));
    assert_eq!(instant_of(local("2024-10-27T02:30"), &rome), Err(FaultReason::AmbiguousTime));
    assert_eq!(instant_of(local("+12024-10-27T02:30"), &rome), Err(FaultReason::OutOfType));
    assert_eq!(local_of(local("2024-07-01T10:00"), &rome), Ok(local("2024-07-01T12:00")));
}

#[test]
fn patterns_read_what_they_say_and_no_leap_second() {
    assert_eq!(parse_stamp_by("%d.%m.%Y", "02.01.1970"), Ok(Stamp { local: DAY, offset: None }));
    assert_eq!(parse_stamp_by("%d.%m.%Y", "1970-01-02"), Err(FaultReason::Unparseable));
    let read = |text| parse_stamp_by("%d.%m.%Y %H:%M:%S", text);
    assert_eq!(read("01.01.1970 00:00:59"), Ok(Stamp { local: 59 * SECOND, offset: None }));
    assert_eq!(read("01.01.1970 00:00:60"), Err(FaultReason::Unparseable));
    let zoned = parse_stamp_by("%Y-%m-%d %H:%M %z", "1970-01-01 02:00 +0200").unwrap();
    assert_eq!(zoned.instant(), Some(0));
}

#[test]
fn durations_are_read_in_iso_and_clock_form() {
    for (text, expected) in [
        ("PT1H2M3.5S", 3_723_500_000_000),
        ("-PT1S", -SECOND),
        ("01:02:03.5", 3_723_500_000_000),
        ("100:00:00", 360_000 * SECOND),
        ("PT0S", 0),
    ] {
        assert_eq!(parse_length(text).map(|length| length.nanoseconds), Ok(expected), "{text}");
    }
    let length = parse_length("P1Y2M1W3DT4H").unwrap();
    assert_eq!((length.months, length.days, length.nanoseconds), (14, 10, 4 * 3600 * SECOND));
    for text in ["", "P", "PT", "P1DT", "PT1", "1:02:03", "PT1.5H", "PT1S1M", "1h", "P1M1Y", "PT1H1H"] {
        assert_eq!(parse_length(text), Err(FaultReason::Unparseable), "{text}");
    }
}

proptest! {
    #[test]
    fn texts_read_back(nanoseconds in -400_000_000_000_000_000_000_i128..400_000_000_000_000_000_000) {
        let stamp = Stamp { local: nanoseconds, offset: None };
        prop_assert_eq!(parse_stamp(&stamp_text(nanoseconds)), Ok(stamp));
        prop_assert_eq!(parse_length(&duration_text(nanoseconds)).unwrap().nanoseconds, nanoseconds);
    }

    #[test]
    fn days_and_dates_are_inverse(days in -3_000_000_i64..3_000_000) {
        let (year, month, day) = civil_of(days);
        prop_assert_eq!(days_of(year, month, day), days);
    }
}
