//! Makes what came out of the data safe and short to look at. It never changes a file that a program reads: Parquet and
//! JSON hold every value as it stands.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns of a value a person is shown.
pub(super) const VALUE_COLUMNS: usize = 60;

/// How many columns of a terminal a text takes.
pub(crate) fn columns(text: &str) -> usize {
    text.width()
}

/// The same of a character that others may stand upon. Those take none by themselves, but count as one, so that no pile of
/// them is ever without end.
fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0).max(1)
}

/// A text on one line in which nothing can hide: control characters, bidirectional marks, invisible characters and
/// white space other than U+0020 are written as escapes.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if hides(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// A value between quotes, so that NULL, the empty text and white space at the ends can be told apart.
pub(crate) fn quoted(value: Option<&str>) -> String {
    match value {
        None => "null".to_owned(),
        Some(value) => format!("\"{}\"", visible(&value.replace('\\', "\\\\").replace('"', "\\\""))),
    }
}

/// Two values that differ, each short, cut so that the difference is still seen.
pub(crate) fn quoted_pair(authority: Option<&str>, projection: Option<&str>) -> (String, String) {
    let whole = (quoted(authority), quoted(projection));
    let cut = (shorten(&whole.0, VALUE_COLUMNS), shorten(&whole.1, VALUE_COLUMNS));
    if cut.0 != cut.1 || whole.0 == whole.1 {
        return cut;
    }
    // Cut in the middle both look alike, so the window moves to where they part.
    let same = whole.0.chars().zip(whole.1.chars()).take_while(|(one, other)| one == other).count();
    let start = same.saturating_sub(VALUE_COLUMNS / 4);
    (window(&whole.0, start), window(&whole.1, start))
}

/// A text of at most so many columns, with … in its middle where it was wider.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if text.chars().map(columns_of).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let kept = columns.saturating_sub(1);
    let head: String = fitting(text.chars(), kept.div_ceil(2)).collect();
    let tail: Vec<char> = fitting(text.chars().rev(), kept / 2).collect();
    head.chars().chain(['…']).chain(tail.into_iter().rev()).collect()
}

fn window(text: &str, start: usize) -> String {
    let rest = || text.chars().skip(start);
    let shown: String = fitting(rest(), VALUE_COLUMNS - 2).collect();
    let after = if rest().count() > shown.chars().count() { "…" } else { "" };
    format!("…{shown}{after}")
}

/// As many of the characters, from the first, as so many columns hold.
fn fitting(characters: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    characters
        .scan(0, |taken, character| {
            *taken += columns_of(character);
            Some((*taken, character))
        })
        .take_while(move |(taken, _)| *taken <= columns)
        .map(|(_, character)| character)
}

/// A text on lines of at most so many columns, parted at spaces. A word that is wider stays whole, so that a path can be
/// copied.
pub(crate) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

pub(super) fn hides(character: char) -> bool {
    character.is_control()
        || (character.is_whitespace() && character != ' ')
        || matches!(
            character,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180E}'
                | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
                | '\u{FFA0}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// A count with its thousands apart, as people read it.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 key`, `2 keys`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A part of one as a percentage that is never rounded up: only what is whole is shown as 100%.
pub(super) fn percent(part: f64) -> String {
    if part >= 1.0 {
        return "100%".to_owned();
    }
    if part > 0.0 && part < 0.0001 {
        return "<0.01%".to_owned();
    }
    format!("{:.2}%", (part * 10_000.0).floor() / 100.0)
}

/// A length of time as people say it.
pub(super) fn elapsed(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{seconds}.{} s", milliseconds % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_can_hide_or_move_the_cursor() {
        let cases = [
            ("plain", "plain"),
            ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("abc\u{202e}fed", "abc\\u{202e}fed"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("no\u{a0}break", "no\\u{a0}break"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("größe 木", "größe 木"),
        ];
        for (value, expected) in cases {
            assert_eq!(visible(value), expected);
        }
    }

    #[test]
    fn null_and_texts_that_look_like_it_are_told_apart() {
        assert_eq!(quoted(None), "null");
        assert_eq!(quoted(Some("null")), "\"null\"");
        assert_eq!(quoted(Some("")), "\"\"");
        assert_eq!(quoted(Some("say \"hi\" \\o")), "\"say \\\"hi\\\" \\\\o\"");
    }

    #[test]
    fn long_values_that_differ_in_their_middle_still_look_different() {
        let (head, tail) = ("x".repeat(200), "y".repeat(200));
        let (authority, projection) = (format!("{head}1{tail}"), format!("{head}2{tail}"));
        let shown = quoted_pair(Some(&authority), Some(&projection));
        assert_ne!(shown.0, shown.1);
        assert!(shown.0.contains("x1y") && shown.1.contains("x2y"), "{shown:?}");
        assert!(shown.0.chars().count() <= VALUE_COLUMNS);
        assert_eq!(shorten("abcdefghij", 5), "ab…ij");
    }

    #[test]
    fn what_is_cut_is_cut_by_columns() {
        assert_eq!(columns("木a"), 3);
        assert_eq!(shorten("木木木木", 8), "木木木木");
        assert_eq!(shorten("木木木木木", 8), "木木…木");
        assert_eq!(shorten(&"e\u{301}".repeat(100), 5).chars().count(), 5);
    }

    #[test]
    fn a_text_is_parted_at_spaces_only() {
        assert_eq!(lines("one two three", 8), ["one two", "three"]);
        assert_eq!(lines("a/very/long/path: no", 8), ["a/very/long/path:", "no"]);
        assert_eq!(lines("", 8), [""]);
    }

    #[test]
    fn a_percentage_is_never_rounded_up_to_whole() {
        let cases = [(1.0, "100%"), (0.999_999_9, "99.99%"), (0.5, "50.00%"), (0.0, "0.00%"), (0.000_000_1, "<0.01%")];
        for (part, expected) in cases {
            assert_eq!(percent(part), expected);
        }
    }

    #[test]
    fn counts_and_times_read_as_people_say_them() {
        assert_eq!([0, 999, 1000, 27_088, 1_234_567].map(count), ["0", "999", "1,000", "27,088", "1,234,567"]);
        assert_eq!((counted(1, "key"), counted(2, "key")), ("1 key".to_owned(), "2 keys".to_owned()));
        assert_eq!([7, 1250, 61_000, 7_260_000].map(elapsed), ["7 ms", "1.2 s", "1 min 1 s", "2 h 1 min"]);
    }
}
