//! Dates and times as the server sends them, as numbers where the calendar has them, and as text where it does not:
//! `0000-00-00`, `2024-00-10`, `-12:00:00`, `838:59:59`.

use mysql_async::Value;

use super::kind::Kind;

/// A date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// Days, microseconds since 1970, or microseconds since midnight.
    Number(i64),
    /// No day of the calendar, no time of a day: as it was sent.
    Odd(Odd),
}

/// What no Arrow type of its kind holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    Date { year: u16, month: u8, day: u8, clock: Option<Clock> },
    Time { negative: bool, hours: u64, clock: Clock },
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) micros: u32,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// Reads a value of a column of dates or times; None for what is none.
pub(super) fn stamp(kind: &Kind, value: &Value) -> Option<Stamp> {
    match (kind, value) {
        (Kind::Date, &Value::Date(year, month, day, ..)) => Some(match days(year, month, day) {
            Some(days) => Stamp::Number(days),
            None => Stamp::Odd(Odd::Date { year, month, day, clock: None }),
        }),
        (Kind::Local | Kind::Instant, &Value::Date(year, month, day, hour, minute, second, micros)) => {
            let clock = Clock { hour, minute, second, micros };
            Some(match days(year, month, day) {
                Some(days) => Stamp::Number(days * DAY_MICROS + clock.micros()),
                None => Stamp::Odd(Odd::Date { year, month, day, clock: Some(clock) }),
            })
        }
        (Kind::Time, &Value::Time(negative, days, hour, minute, second, micros)) => {
            let clock = Clock { hour, minute, second, micros };
            let is_of_day = days == 0 && (!negative || clock.micros() == 0);
            Some(if is_of_day {
                Stamp::Number(clock.micros())
            } else {
                Stamp::Odd(Odd::Time { negative, hours: u64::from(days) * 24 + u64::from(hour), clock })
            })
        }
        _ => None,
    }
}

/// Whether `stamp` reads a value.
pub(super) fn is_stamp(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Date | Kind::Local | Kind::Instant => matches!(value, Value::Date(..)),
        Kind::Time => matches!(value, Value::Time(..)),
        _ => false,
    }
}

/// The days since 1970 of a day that the calendar has.
fn days(year: u16, month: u8, day: u8) -> Option<i64> {
    let part = |part: u8| i8::try_from(part).ok();
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, part(month)?, part(day)?).ok()?;
    Some(date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours() / 24)
}

impl Clock {
    fn micros(self) -> i64 {
        let seconds = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        seconds * 1_000_000 + i64::from(self.micros)
    }

    /// A time of day of microseconds since midnight.
    fn of(micros: i64) -> Self {
        let (seconds, part) = (micros / 1_000_000, |value: i64| u8::try_from(value).unwrap_or(0));
        Self {
            hour: part(seconds / 3600),
            minute: part(seconds / 60 % 60),
            second: part(seconds % 60),
            micros: u32::try_from(micros % 1_000_000).unwrap_or(0),
        }
    }

    /// `:MM:SS` and what is left of a second, without zeros at its end.
    fn behind_hours(self) -> String {
        let fraction = format!("{:06}", self.micros);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!(":{:02}:{:02}{point}{fraction}", self.minute, self.second)
    }
}

impl Odd {
    /// As it was sent.
    pub(super) fn text(self) -> String {
        match self {
            Self::Date { year, month, day, clock } => {
                let clock = clock.map(|clock| format!(" {:02}{}", clock.hour, clock.behind_hours()));
                format!("{year:04}-{month:02}-{day:02}{}", clock.unwrap_or_default())
            }
            Self::Time { negative, hours, clock } => {
                format!("{}{hours:02}{}", if negative { "-" } else { "" }, clock.behind_hours())
            }
        }
    }
}

/// A number of a column as text, in the spelling of those that are odd; an instant says that it is in UTC.
pub(super) fn text(kind: &Kind, number: i64) -> String {
    let date = |days: i64| {
        let days = jiff::SignedDuration::from_hours(days * 24);
        let date = jiff::civil::date(1970, 1, 1).checked_add(days);
        date.map_or_else(|_| String::new(), |date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
    };
    let clock = |micros: i64| {
        let clock = Clock::of(micros);
        format!("{:02}{}", clock.hour, clock.behind_hours())
    };
    let stamp =
        |micros: i64| format!("{} {}", date(micros.div_euclid(DAY_MICROS)), clock(micros.rem_euclid(DAY_MICROS)));
    match kind {
        Kind::Date => date(number),
        Kind::Time => clock(number),
        Kind::Instant => format!("{}Z", stamp(number)),
        _ => stamp(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(kind: &Kind, value: &Value) -> (bool, String) {
        match stamp(kind, value).unwrap() {
            Stamp::Number(number) => (true, text(kind, number)),
            Stamp::Odd(odd) => (false, odd.text()),
        }
    }

    #[test]
    fn what_the_calendar_lacks_is_written_as_it_was_sent() {
        let date = |year, month, day| Value::Date(year, month, day, 0, 0, 0, 0);
        let cases = [
            (Kind::Date, date(2024, 2, 29), true, "2024-02-29"),
            (Kind::Date, date(1, 1, 1), true, "0001-01-01"),
            (Kind::Date, date(9999, 12, 31), true, "9999-12-31"),
            (Kind::Date, date(0, 0, 0), false, "0000-00-00"),
            (Kind::Date, date(2024, 0, 10), false, "2024-00-10"),
            (Kind::Date, date(2024, 2, 31), false, "2024-02-31"),
            (Kind::Local, Value::Date(1969, 12, 31, 23, 59, 59, 999_999), true, "1969-12-31 23:59:59.999999"),
            (Kind::Local, date(0, 0, 0), false, "0000-00-00 00:00:00"),
            (Kind::Instant, Value::Date(2038, 1, 19, 3, 14, 7, 500_000), true, "2038-01-19 03:14:07.5Z"),
            (Kind::Time, Value::Time(false, 0, 23, 59, 59, 1), true, "23:59:59.000001"),
            (Kind::Time, Value::Time(true, 0, 0, 0, 0, 0), true, "00:00:00"),
            (Kind::Time, Value::Time(true, 0, 12, 0, 0, 0), false, "-12:00:00"),
            (Kind::Time, Value::Time(false, 34, 22, 59, 59, 0), false, "838:59:59"),
            (Kind::Time, Value::Time(false, 1, 1, 0, 0, 250_000), false, "25:00:00.25"),
        ];
        for (kind, value, is_plain, expected) in cases {
            assert!(is_stamp(&kind, &value));
            assert_eq!(both(&kind, &value), (is_plain, expected.to_owned()), "{value:?}");
        }
        for kind in [Kind::Date, Kind::Local, Kind::Instant, Kind::Time, Kind::Text] {
            for value in [Value::Int(1), Value::NULL, date(2024, 2, 30), Value::Time(true, 1, 0, 0, 0, 0)] {
                assert_eq!(is_stamp(&kind, &value), stamp(&kind, &value).is_some(), "{kind:?} {value:?}");
            }
        }
        assert_eq!(stamp(&Kind::Local, &date(1970, 1, 2)), Some(Stamp::Number(DAY_MICROS)));
    }
}
