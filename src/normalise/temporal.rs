//! Columns of dates, times, timestamps, durations and intervals become exact counts on the comparison's clock. It converts
//! between local times and instants only by a zone that the contract or the source names.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit,
    IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::column::{Bytes, Converted, Fixed, each_text, each_valid, layout};
use super::rules::SideRules;
use super::time::{DAY, Stamp, instant_of, local_of, parse_length, parse_stamp, parse_stamp_by, parse_time};
use super::{Comparison, FaultReason};

/// Brings a column of times into `Date`, `Time`, `Timestamp`, `Instant`, `Duration` or `Interval`. None for others.
pub(super) fn convert(array: &ArrayRef, comparison: &Comparison, rules: &SideRules) -> Option<Converted> {
    match comparison {
        Comparison::Date => Some(to_date(array, rules)),
        Comparison::Time => Some(to_time(array, rules)),
        Comparison::Timestamp => Some(to_stamp(array, comparison, rules, local)),
        Comparison::Instant => Some(to_stamp(array, comparison, rules, instant)),
        Comparison::Duration => Some(to_duration(array, rules)),
        Comparison::Interval => Some(to_interval(array, rules)),
        _ => None,
    }
}

/// A moment as a column gives it.
#[derive(Clone, Copy)]
enum Moment {
    /// On an unnamed clock, in nanoseconds.
    Local(i128),
    /// On the world's clock, in nanoseconds.
    Instant(i128),
    /// As a text gives it.
    Written(Stamp),
}

fn to_date(array: &ArrayRef, rules: &SideRules) -> Converted {
    if array.data_type() == &DataType::Date32 {
        return Converted::clean(Arc::clone(array));
    }
    let mut out = Fixed::new(array.len());
    each_moment(array, rules, true, |row, moment| {
        let day = moment.and_then(|moment| match (moment, &rules.zone) {
            (Moment::Local(local), _) => Ok(local),
            (Moment::Written(stamp), _) if stamp.offset.is_none() => Ok(stamp.local),
            (Moment::Instant(instant), Some(zone)) => local_of(instant, zone),
            // A text with an offset is no date, and an instant without a named zone has none.
            _ => Err(FaultReason::Unparseable),
        });
        out.set(row, day.and_then(whole_days));
    });
    out.finish::<Date32Type>(&DataType::Date32)
}

fn whole_days(local: i128) -> Result<i32, FaultReason> {
    if local.rem_euclid(DAY) != 0 {
        return Err(FaultReason::OutOfType);
    }
    i32::try_from(local.div_euclid(DAY)).map_err(|_| FaultReason::OutOfType)
}

fn local(moment: Moment, rules: &SideRules) -> Result<i128, FaultReason> {
    match moment {
        Moment::Local(local) | Moment::Written(Stamp { local, offset: None }) => Ok(local),
        Moment::Written(stamp) => {
            let (Some(zone), Some(instant)) = (&rules.zone, stamp.instant()) else {
                return Err(FaultReason::Unparseable);
            };
            let local = local_of(instant, zone)?;
            // Where two instants show one clock, that clock does not say which of them is meant.
            instant_of(local, zone).map(|_| local)
        }
        Moment::Instant(_) => Err(FaultReason::Unparseable),
    }
}

fn instant(moment: Moment, rules: &SideRules) -> Result<i128, FaultReason> {
    let of_zone = |local| match &rules.zone {
        Some(zone) => instant_of(local, zone),
        None => Err(FaultReason::AmbiguousTime),
    };
    match moment {
        Moment::Instant(instant) => Ok(instant),
        Moment::Local(local) => of_zone(local),
        Moment::Written(stamp) => stamp.instant().map_or_else(|| of_zone(stamp.local), Ok),
    }
}

fn to_stamp(
    array: &ArrayRef,
    comparison: &Comparison,
    rules: &SideRules,
    resolve: fn(Moment, &SideRules) -> Result<i128, FaultReason>,
) -> Converted {
    // The common case first: the column counts on the comparison's own clock, so that only the unit changes.
    let own_clock = match (comparison, array.data_type()) {
        (Comparison::Timestamp, DataType::Timestamp(_, None)) => true,
        (Comparison::Instant, DataType::Timestamp(_, zone)) => zone.is_some(),
        _ => false,
    };
    if own_clock && let Some(converted) = rescaled(array) {
        return converted;
    }
    let mut out = Fixed::new(array.len());
    each_moment(array, rules, false, |row, moment| out.set(row, moment.and_then(|moment| resolve(moment, rules))));
    out.finish::<Decimal128Type>(&layout(comparison))
}

/// Nanoseconds in one step of a unit.
fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A column of 64-bit counts, and how many nanoseconds one is.
fn counts(array: &ArrayRef) -> Option<(&ScalarBuffer<i64>, i128)> {
    let (values, unit) = match array.data_type() {
        DataType::Timestamp(unit, _) => {
            let values = match unit {
                TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().values(),
            };
            (values, unit)
        }
        DataType::Duration(unit) => {
            let values = match unit {
                TimeUnit::Second => array.as_primitive::<DurationSecondType>().values(),
                TimeUnit::Millisecond => array.as_primitive::<DurationMillisecondType>().values(),
                TimeUnit::Microsecond => array.as_primitive::<DurationMicrosecondType>().values(),
                TimeUnit::Nanosecond => array.as_primitive::<DurationNanosecondType>().values(),
            };
            (values, unit)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            (array.as_primitive::<Time64MicrosecondType>().values(), &TimeUnit::Microsecond)
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            (array.as_primitive::<Time64NanosecondType>().values(), &TimeUnit::Nanosecond)
        }
        _ => return None,
    };
    Some((values, nanoseconds(*unit)))
}

fn rescaled(array: &ArrayRef) -> Option<Converted> {
    let (values, unit) = counts(array)?;
    let values: Vec<i128> = values.iter().map(|value| i128::from(*value) * unit).collect();
    let values = Decimal128Array::new(ScalarBuffer::from(values), array.nulls().cloned());
    Some(Converted::clean(Arc::new(values.with_data_type(layout(&Comparison::Instant)))))
}

fn each_moment(
    array: &ArrayRef,
    rules: &SideRules,
    is_date: bool,
    mut call: impl FnMut(usize, Result<Moment, FaultReason>),
) {
    match array.data_type() {
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            each_valid(values.nulls(), values.len(), |row| {
                call(row, Ok(Moment::Local(i128::from(values.value(row)) * DAY)));
            });
        }
        DataType::Date64 => {
            let values = array.as_primitive::<Date64Type>();
            each_valid(values.nulls(), values.len(), |row| {
                call(row, Ok(Moment::Local(i128::from(values.value(row)) * 1_000_000)));
            });
        }
        DataType::Timestamp(_, zone) => {
            let Some((values, unit)) = counts(array) else { return };
            let moment = if zone.is_some() { Moment::Instant } else { Moment::Local };
            each_valid(array.nulls(), array.len(), |row| call(row, Ok(moment(i128::from(values[row]) * unit))));
        }
        _ => each_text(array, |row, text| {
            if let Some(text) = rules.text.apply(text) {
                call(row, written(&text, rules, is_date).map(Moment::Written));
            }
        }),
    }
}

/// A text by the source's own pattern where one is given, else by the usual spellings.
fn written(text: &str, rules: &SideRules, is_date: bool) -> Result<Stamp, FaultReason> {
    let (dates, timestamps) = (rules.spelling.date_format.as_deref(), rules.spelling.timestamp_format.as_deref());
    let (first, second) = if is_date { (dates, timestamps) } else { (timestamps, dates) };
    let read = first.map_or_else(|| parse_stamp(text), |format| parse_stamp_by(format, text));
    match (read, second) {
        (Err(FaultReason::Unparseable), Some(format)) => parse_stamp_by(format, text),
        (read, _) => read,
    }
}

fn to_time(array: &ArrayRef, rules: &SideRules) -> Converted {
    let mut out = Fixed::new(array.len());
    let narrow = |value: i128| i64::try_from(value).map_err(|_| FaultReason::OutOfType);
    match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            let values = array.as_primitive::<Time32SecondType>().values();
            each_valid(array.nulls(), array.len(), |row| out.set(row, narrow(i128::from(values[row]) * 1_000_000_000)));
        }
        DataType::Time32(_) => {
            let values = array.as_primitive::<Time32MillisecondType>().values();
            each_valid(array.nulls(), array.len(), |row| out.set(row, narrow(i128::from(values[row]) * 1_000_000)));
        }
        DataType::Time64(_) => {
            if let Some((values, unit)) = counts(array) {
                each_valid(array.nulls(), array.len(), |row| out.set(row, narrow(i128::from(values[row]) * unit)));
            }
        }
        _ => each_text(array, |row, text| {
            if let Some(text) = rules.text.apply(text) {
                out.set(row, parse_time(&text).and_then(narrow));
            }
        }),
    }
    out.finish::<Int64Type>(&DataType::Int64)
}

fn to_duration(array: &ArrayRef, rules: &SideRules) -> Converted {
    if let DataType::Duration(_) = array.data_type()
        && let Some(converted) = rescaled(array)
    {
        return converted;
    }
    let mut out = Fixed::new(array.len());
    each_text(array, |row, text| {
        if let Some(text) = rules.text.apply(text) {
            let length = parse_length(&text).and_then(|length| match length.months {
                0 => Ok(i128::from(length.days) * DAY + length.nanoseconds),
                // A month has no length of its own.
                _ => Err(FaultReason::OutOfType),
            });
            out.set(row, length);
        }
    });
    out.finish::<Decimal128Type>(&layout(&Comparison::Duration))
}

fn write_interval(months: i32, days: i32, nanoseconds: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&months.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&nanoseconds.to_be_bytes());
}

fn to_interval(array: &ArrayRef, rules: &SideRules) -> Converted {
    let mut out = Bytes::new(array.len());
    let mut set = |row, months, days, nanoseconds| {
        out.write(row, |bytes| {
            write_interval(months, days, nanoseconds, bytes);
            Ok(())
        });
    };
    match array.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => {
            let values = array.as_primitive::<IntervalYearMonthType>().values();
            each_valid(array.nulls(), array.len(), |row| set(row, values[row], 0, 0));
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let values = array.as_primitive::<IntervalDayTimeType>().values();
            each_valid(array.nulls(), array.len(), |row| {
                set(row, 0, values[row].days, i64::from(values[row].milliseconds) * 1_000_000);
            });
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let values = array.as_primitive::<IntervalMonthDayNanoType>().values();
            each_valid(array.nulls(), array.len(), |row| {
                set(row, values[row].months, values[row].days, values[row].nanoseconds);
            });
        }
        _ => each_text(array, |row, text| {
            let Some(text) = rules.text.apply(text) else { return };
            out.write(row, |bytes| {
                let length = parse_length(&text)?;
                let out_of_type = |_| FaultReason::OutOfType;
                let months = i32::try_from(length.months).map_err(out_of_type)?;
                let days = i32::try_from(length.days).map_err(out_of_type)?;
                let nanoseconds = i64::try_from(length.nanoseconds).map_err(out_of_type)?;
                write_interval(months, days, nanoseconds, bytes);
                Ok(())
            });
        }),
    }
    out.finish()
}
