//! Dates, times, instants and durations: reading their usual spellings, writing them in one, and telling which instant a
//! local time is. Everything is exact in nanoseconds (`i128`). It never guesses a zone, an order of day and month, or a
//! century, and never reads the clock.

use jiff::civil::Date;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::FaultReason;

/// Nanoseconds in a second.
pub(super) const SECOND: i128 = 1_000_000_000;
/// Nanoseconds in a day.
pub(super) const DAY: i128 = 86_400 * SECOND;

/// A date and time as a text gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Since 1970-01-01T00:00:00 on the clock that the text speaks of.
    pub local: i128,
    /// The offset that the text gives, in seconds east.
    pub offset: Option<i32>,
}

impl Stamp {
    /// The instant, where the text says the offset.
    #[must_use]
    pub(super) fn instant(self) -> Option<i128> {
        self.offset.map(|offset| self.local - i128::from(offset) * SECOND)
    }
}

/// Which instant a local time is.
///
/// # Errors
/// `AmbiguousTime` where the zone does not have it or has it twice, `OutOfType` where it lies outside the years -9999 to
/// 9999 that zones are known for.
pub(super) fn instant_of(local: i128, zone: &TimeZone) -> Result<i128, FaultReason> {
    if let Ok(offset) = zone.to_fixed_offset() {
        return Ok(local - i128::from(offset.seconds()) * SECOND);
    }
    let (year, month, day) = civil_of(i64::try_from(local.div_euclid(DAY)).map_err(|_| FaultReason::OutOfType)?);
    let date = i16::try_from(year).ok().and_then(|year| Date::new(year, month, day).ok());
    let date = date.ok_or(FaultReason::OutOfType)?;
    let of_day = u64::try_from(local.rem_euclid(DAY)).unwrap_or(0);
    let seconds = of_day / 1_000_000_000;
    let part = |value: u64| i8::try_from(value).unwrap_or(0);
    let nanosecond = i32::try_from(of_day % 1_000_000_000).unwrap_or(0);
    let civil = date.at(part(seconds / 3600), part(seconds / 60 % 60), part(seconds % 60), nanosecond);
    match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => Ok(local - i128::from(offset.seconds()) * SECOND),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => Err(FaultReason::AmbiguousTime),
    }
}

/// What the clocks of a zone show at an instant.
///
/// # Errors
/// `OutOfType` outside the years that zones are known for.
pub(super) fn local_of(instant: i128, zone: &TimeZone) -> Result<i128, FaultReason> {
    let timestamp = jiff::Timestamp::from_nanosecond(instant).map_err(|_| FaultReason::OutOfType)?;
    Ok(instant + i128::from(zone.to_offset(timestamp).seconds()) * SECOND)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
#[must_use]
pub(super) fn days_of(year: i64, month: i8, day: i8) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of days since 1970-01-01.
#[must_use]
pub(super) fn civil_of(days: i64) -> (i64, i8, i8) {
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, i8::try_from(month).unwrap_or(1), i8::try_from(day).unwrap_or(1))
}

/// A text that is being read from its start.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.0.first() == Some(&byte);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let (head, tail) = self.0.split_at_checked(digits)?;
        let value = head
            .iter()
            .try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))?;
        self.0 = tail;
        Some(value)
    }

    fn digits(&self) -> usize {
        self.0.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    /// Two digits, at most `limit`.
    fn pair(&mut self, limit: i64) -> Option<i64> {
        self.number(2).filter(|value| *value <= limit)
    }

    /// `YYYY-MM-DD`, in days; years of more digits carry a sign, as ISO 8601 has it.
    fn date(&mut self) -> Option<i64> {
        let sign = if self.take(b'-') {
            Some(-1)
        } else if self.take(b'+') {
            Some(1)
        } else {
            None
        };
        let digits = self.digits();
        let sensible = if sign.is_some() { (4..=6).contains(&digits) } else { digits == 4 };
        if !sensible {
            return None;
        }
        let year = self.number(digits)? * sign.unwrap_or(1);
        let month = self.take(b'-').then(|| self.pair(12))??;
        let day = self.take(b'-').then(|| self.pair(31))??;
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let days = days_of(year, month.max(1), day);
        (month >= 1 && civil_of(days) == (year, month, day)).then_some(days)
    }

    /// What follows a point: a fraction of a second in nanoseconds.
    fn fraction(&mut self) -> Result<i128, FaultReason> {
        let digits = self.digits();
        if digits == 0 {
            return Err(FaultReason::Unparseable);
        }
        let (head, tail) = self.0.split_at(digits);
        self.0 = tail;
        let (exact, rest) = head.split_at(digits.min(9));
        if rest.iter().any(|byte| *byte != b'0') {
            return Err(FaultReason::OutOfType);
        }
        let value = exact.iter().fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'));
        Ok(value * 10_i128.pow(9 - u32::try_from(exact.len()).unwrap_or(9)))
    }

    /// `HH:MM[:SS[.f]]`, in nanoseconds since midnight.
    fn clock(&mut self) -> Result<i128, FaultReason> {
        let unparseable = FaultReason::Unparseable;
        let hour = self.pair(23).ok_or(unparseable)?;
        let minute = self.take(b':').then(|| self.pair(59)).flatten().ok_or(unparseable)?;
        let mut of_day = i128::from(hour * 3600 + minute * 60) * SECOND;
        if self.take(b':') {
            of_day += i128::from(self.pair(59).ok_or(unparseable)?) * SECOND;
            if self.take(b'.') {
                of_day += self.fraction()?;
            }
        }
        Ok(of_day)
    }

    /// `Z`, `UTC`, `+02`, `+0200`, `+02:00`, in seconds.
    fn offset(&mut self) -> Option<i32> {
        self.take(b' ');
        if self.take(b'Z') || self.take(b'z') {
            return Some(0);
        }
        if self.0.eq_ignore_ascii_case(b"UTC") {
            self.0 = &[];
            return Some(0);
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return None;
        };
        let mut seconds = self.pair(23)? * 3600;
        let colon = self.take(b':');
        if colon || self.digits() > 0 {
            seconds += self.pair(59)? * 60;
            if colon && self.take(b':') {
                seconds += self.pair(59)?;
            }
        }
        i32::try_from(sign * seconds).ok()
    }
}

fn finished<T>(reader: &Reader<'_>, value: T) -> Result<T, FaultReason> {
    if reader.0.is_empty() { Ok(value) } else { Err(FaultReason::Unparseable) }
}

/// Reads a time of day, in nanoseconds since midnight. A leap second has no place on that scale and does not parse.
///
/// # Errors
/// `Unparseable`; `OutOfType` for more than nine digits of a second that are not zeros.
pub(super) fn parse_time(text: &str) -> Result<i128, FaultReason> {
    let mut reader = Reader(text.as_bytes());
    let time = reader.clock()?;
    finished(&reader, time)
}

/// Reads a date and time in ISO 8601 or RFC 3339, with `T` or a space between, or a date alone, which is its midnight.
///
/// # Errors
/// `Unparseable`; `OutOfType` for more than nine digits of a second that are not zeros.
pub(super) fn parse_stamp(text: &str) -> Result<Stamp, FaultReason> {
    let mut reader = Reader(text.as_bytes());
    let days = reader.date().ok_or(FaultReason::Unparseable)?;
    let midnight = i128::from(days) * DAY;
    if reader.0.is_empty() {
        return Ok(Stamp { local: midnight, offset: None });
    }
    if !(reader.take(b'T') || reader.take(b't') || reader.take(b' ')) {
        return Err(FaultReason::Unparseable);
    }
    let local = midnight + reader.clock()?;
    if reader.0.is_empty() {
        return Ok(Stamp { local, offset: None });
    }
    let offset = Some(reader.offset().ok_or(FaultReason::Unparseable)?);
    finished(&reader, Stamp { local, offset })
}

/// Reads a date by a strptime pattern; a time in the text is read too.
///
/// # Errors
/// `Unparseable`.
pub(super) fn parse_stamp_by(format: &str, text: &str) -> Result<Stamp, FaultReason> {
    let parse = |text: &str| BrokenDownTime::parse(format, text).ok();
    let parsed = parse(text).ok_or(FaultReason::Unparseable)?;
    // strptime reads second 60 as 59, which would make two different texts equal.
    if parsed.second() == Some(59) {
        let leap = text.match_indices("60").any(|(at, _)| {
            let other = format!("{}58{}", &text[..at], &text[at + 2..]);
            parse(&other).is_some_and(|other| other.second() == Some(58))
        });
        if leap {
            return Err(FaultReason::Unparseable);
        }
    }
    if let Some(instant) = parsed.timestamp() {
        return Ok(Stamp { local: instant.as_nanosecond(), offset: Some(0) });
    }
    let date = parsed.to_date().map_err(|_| FaultReason::Unparseable)?;
    let time = parsed.to_time().map_err(|_| FaultReason::Unparseable)?;
    let midnight = i128::from(days_of(i64::from(date.year()), date.month(), date.day())) * DAY;
    let of_day = i128::from(time.hour()) * 3600 + i128::from(time.minute()) * 60 + i128::from(time.second());
    let local = midnight + of_day * SECOND + i128::from(time.subsec_nanosecond());
    match (parsed.offset(), parsed.iana_time_zone()) {
        (Some(offset), _) => Ok(Stamp { local, offset: Some(offset.seconds()) }),
        (None, None) => Ok(Stamp { local, offset: None }),
        (None, Some(name)) => {
            let zone = TimeZone::get(name).map_err(|_| FaultReason::Unparseable)?;
            Ok(Stamp { local: instant_of(local, &zone)?, offset: Some(0) })
        }
    }
}

/// Months, days and nanoseconds of a length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Length {
    /// Months.
    pub months: i64,
    /// Days.
    pub days: i64,
    /// Nanoseconds.
    pub nanoseconds: i128,
}

/// Reads an ISO 8601 duration (`PT1H2M3.5S`, `P1Y2M3DT4H`) or `HH:MM:SS[.f]`, either with a sign.
///
/// # Errors
/// `Unparseable`; `OutOfType` for more than nine digits of a second that are not zeros.
pub(super) fn parse_length(text: &str) -> Result<Length, FaultReason> {
    // Either letter case, because `case = "ignore"` folds a text before it is read.
    let text = text.to_ascii_uppercase();
    let mut reader = Reader(text.as_bytes());
    let negative = reader.take(b'-');
    if !negative {
        reader.take(b'+');
    }
    let length = if reader.take(b'P') { iso_length(&mut reader)? } else { clock_length(&mut reader)? };
    let sign = if negative { -1 } else { 1 };
    let Length { months, days, nanoseconds } = finished(&reader, length)?;
    Ok(Length { months: sign * months, days: sign * days, nanoseconds: i128::from(sign) * nanoseconds })
}

fn clock_length(reader: &mut Reader<'_>) -> Result<Length, FaultReason> {
    let unparseable = FaultReason::Unparseable;
    let digits = reader.digits();
    if !(2..=15).contains(&digits) {
        return Err(unparseable);
    }
    let hours = reader.number(digits).ok_or(unparseable)?;
    let minutes = reader.take(b':').then(|| reader.pair(59)).flatten().ok_or(unparseable)?;
    let seconds = reader.take(b':').then(|| reader.pair(59)).flatten().ok_or(unparseable)?;
    let fraction = if reader.take(b'.') { reader.fraction()? } else { 0 };
    let whole = i128::from(hours) * 3600 + i128::from(minutes * 60 + seconds);
    Ok(Length { nanoseconds: whole * SECOND + fraction, ..Length::default() })
}

fn iso_length(reader: &mut Reader<'_>) -> Result<Length, FaultReason> {
    let unparseable = FaultReason::Unparseable;
    let mut length = Length::default();
    // The designators that may still come; each is taken once, in this order.
    let mut units: &[(u8, bool)] =
        &[(b'Y', false), (b'M', false), (b'W', false), (b'D', false), (b'H', true), (b'M', true), (b'S', true)];
    let (mut in_time, mut any, mut any_in_time) = (false, false, true);
    while !reader.0.is_empty() {
        if !in_time && reader.take(b'T') {
            (in_time, any_in_time) = (true, false);
        }
        let digits = reader.digits();
        if !(1..=18).contains(&digits) {
            return Err(unparseable);
        }
        let value = reader.number(digits).ok_or(unparseable)?;
        let fraction = if reader.take(b'.') { Some(reader.fraction()?) } else { None };
        let place = units.iter().position(|(unit, time)| *time == in_time && reader.0.first() == Some(unit));
        let (unit, _) = units[place.ok_or(unparseable)?];
        units = &units[place.unwrap_or(0) + 1..];
        reader.take(unit);
        if fraction.is_some() && unit != b'S' {
            return Err(unparseable);
        }
        let seconds = |factor: i128| i128::from(value) * factor * SECOND;
        match (unit, in_time) {
            (b'Y', _) => length.months += value.checked_mul(12).ok_or(unparseable)?,
            (b'M', false) => length.months = length.months.checked_add(value).ok_or(unparseable)?,
            (b'W', _) => length.days += value.checked_mul(7).ok_or(unparseable)?,
            (b'D', _) => length.days = length.days.checked_add(value).ok_or(unparseable)?,
            (b'H', _) => length.nanoseconds += seconds(3600),
            (b'M', true) => length.nanoseconds += seconds(60),
            _ => length.nanoseconds += seconds(1) + fraction.unwrap_or(0),
        }
        (any, any_in_time) = (true, any_in_time || in_time);
    }
    if any && any_in_time { Ok(length) } else { Err(unparseable) }
}

/// `2024-01-02`; years beyond four digits with a sign.
#[must_use]
pub(super) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_of(days);
    if (0..=9999).contains(&year) {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:+05}-{month:02}-{day:02}")
    }
}

fn fraction_text(nanoseconds: i128) -> String {
    if nanoseconds == 0 {
        return String::new();
    }
    let digits = format!("{nanoseconds:09}");
    format!(".{}", digits.trim_end_matches('0'))
}

/// `03:04:05.5`
#[must_use]
pub(super) fn time_text(of_day: i128) -> String {
    // Arrow lets a column hold what no clock shows; then the number itself is the only honest text.
    if !(0..DAY).contains(&of_day) {
        return format!("{of_day} ns");
    }
    let seconds = of_day / SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}{}", fraction_text(of_day % SECOND))
}

/// `2024-01-02T03:04:05.5`
#[must_use]
pub(super) fn stamp_text(local: i128) -> String {
    let days = i64::try_from(local.div_euclid(DAY)).unwrap_or(i64::MAX);
    format!("{}T{}", date_text(days), time_text(local.rem_euclid(DAY)))
}

/// `PT1H2M3.5S`
#[must_use]
pub(super) fn duration_text(nanoseconds: i128) -> String {
    length_text(Length { nanoseconds, ..Length::default() })
}

/// `P14M3DT4H`, each part with its own sign.
#[must_use]
pub(super) fn length_text(length: Length) -> String {
    let Length { months, days, nanoseconds } = length;
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let magnitude = nanoseconds.abs();
    let seconds = magnitude / SECOND;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let fraction = fraction_text(magnitude % SECOND);
    let mut time = String::new();
    for (value, unit) in [(hour, 'H'), (minute, 'M')] {
        if value != 0 {
            time += &value.to_string();
            time.push(unit);
        }
    }
    if second != 0 || !fraction.is_empty() {
        time += &[second.to_string(), fraction, "S".to_owned()].concat();
    }
    if months == 0 && days == 0 {
        // One sign before the whole, which is also how it is read back.
        return if time.is_empty() { "PT0S".to_owned() } else { format!("{sign}PT{time}") };
    }
    let mut text = "P".to_owned();
    for (value, unit) in [(months, 'M'), (days, 'D')] {
        if value != 0 {
            text += &value.to_string();
            text.push(unit);
        }
    }
    if time.is_empty() { text } else { format!("{text}T{sign}{time}") }
}

#[cfg(test)]
mod tests;
