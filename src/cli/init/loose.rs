//! A value's loose form: what is left of a text when everything that an option could settle is taken away. It serves to
//! find what belongs together; whether two values are equal is the engine's to say, never this file's.

use jiff::civil::{Date, DateTime};
use unicode_normalization::UnicodeNormalization;

/// How a source's texts spell numbers and dates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    /// `1.234,50` is a number.
    pub(super) decimal_comma: bool,
    /// Dates that are not written as ISO 8601 has them.
    pub(super) date: Option<DateOrder>,
}

/// A way to write dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DateOrder {
    /// The sign between the parts.
    pub(super) between: char,
    /// The day comes before the month.
    pub(super) day_first: bool,
}

impl DateOrder {
    /// Every way that is looked for; where a date can be read in two, the earlier wins.
    pub(super) const ALL: [Self; 6] = [
        Self { between: '.', day_first: true },
        Self { between: '/', day_first: true },
        Self { between: '/', day_first: false },
        Self { between: '-', day_first: true },
        Self { between: '-', day_first: false },
        Self { between: '.', day_first: false },
    ];

    /// The same as the contract says it.
    pub(super) fn pattern(self) -> String {
        let between = self.between;
        if self.day_first { format!("%d{between}%m{between}%Y") } else { format!("%m{between}%d{between}%Y") }
    }

    pub(super) fn read(self, text: &str) -> Option<Date> {
        let mut parts = text.split(self.between);
        let (first, second, year) = (parts.next()?, parts.next()?, parts.next()?);
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if parts.next().is_some() || year.len() != 4 || ![first, second, year].into_iter().all(digits) {
            return None;
        }
        let (day, month) = if self.day_first { (first, second) } else { (second, first) };
        Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
    }
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Number { whole: bool },
    Date,
    Stamp { zoned: bool },
    Text,
}

/// The loose form, and what the value looks like.
pub(super) fn loose(text: &str, style: Style) -> (String, Look) {
    let text = text.trim();
    let first = text.bytes().next().unwrap_or(b' ');
    if first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.' | b',') {
        if let Some((number, whole)) = number(text, style.decimal_comma) {
            return (number, Look::Number { whole });
        }
        if let Some((time, look)) = time(text, style.date) {
            return (time, look);
        }
    }
    (folded(text), Look::Text)
}

fn folded(text: &str) -> String {
    if text.is_ascii() && !text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        return text.to_ascii_lowercase();
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase().nfc().collect()
}

/// A plain number in one spelling, and whether it is whole.
fn number(text: &str, decimal_comma: bool) -> Option<(String, bool)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let point = if decimal_comma { ',' } else { '.' };
    let (whole, fraction) = digits.split_once(point).unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative && whole.len() + fraction.len() > 0 { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    Some((text, fraction.is_empty()))
}

/// A date or time in one spelling; an instant as its time in UTC, so that it meets a local one there.
fn time(text: &str, date: Option<DateOrder>) -> Option<(String, Look)> {
    if let Some(day) = date.and_then(|order| order.read(text)) {
        return Some((day.to_string(), Look::Date));
    }
    if text.len() < 10 || text.as_bytes()[4] != b'-' || !text.as_bytes()[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    if text.len() == 10 {
        let day: Date = text.parse().ok()?;
        return Some((day.to_string(), Look::Date));
    }
    let zoned = text.parse::<jiff::Timestamp>();
    let (at, zoned) = match zoned {
        Ok(instant) => (jiff::tz::Offset::UTC.to_datetime(instant), true),
        Err(_) => (text.parse::<DateTime>().ok()?, false),
    };
    let midnight = at.time() == jiff::civil::Time::midnight();
    let text = if midnight { at.date().to_string() } else { at.to_string() };
    Some((text, Look::Stamp { zoned }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_options_could_settle_is_one_form() {
        let plain = Style::default();
        let german = Style { decimal_comma: true, date: Some(DateOrder::ALL[0]) };
        let cases = [
            (" Groß  Weiß ", plain, "groß weiß"),
            ("ACTIVE", plain, "active"),
            ("Zoe\u{308}", plain, "zoë"),
            ("007.50", plain, "7.5"),
            ("+0", plain, "0"),
            ("-0.0", plain, "0"),
            ("1,5", plain, "1,5"),
            ("1,50", german, "1.5"),
            ("16.12.2025", german, "2025-12-16"),
            ("2024-03-10T19:08:07.472389+02:00", plain, "2024-03-10T17:08:07.472389"),
            ("2024-03-10 17:08:07.472389", plain, "2024-03-10T17:08:07.472389"),
            ("2024-03-10T00:00:00Z", plain, "2024-03-10"),
            ("1234-x", plain, "1234-x"),
            ("", plain, ""),
        ];
        for (text, style, expected) in cases {
            assert_eq!(loose(text, style).0, expected, "{text}");
        }
    }

    #[test]
    fn a_date_is_read_in_its_own_order_only() {
        let american = DateOrder { between: '/', day_first: false };
        assert_eq!(american.read("12/31/2025"), Some(Date::constant(2025, 12, 31)));
        assert_eq!(american.read("31/12/2025"), None);
        assert_eq!(american.pattern(), "%m/%d/%Y");
    }
}
