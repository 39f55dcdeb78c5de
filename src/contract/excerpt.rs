//! The line of a contract file that a complaint is about, with a mark below what it means. It shows nothing that could be
//! a secret: what stands behind `://`, or is given to a key that holds one, is left out. It never decides what is wrong.

use std::ops::Range;
use std::path::PathBuf;

use unicode_width::UnicodeWidthChar;

use super::Secrets;
use super::error::Problem;

/// How wide the whole may be.
const WIDTH: usize = 80;
/// Where the next column after a tab begins.
const TAB: usize = 4;
/// Keys of which no value is shown, wherever they stand.
const PRIVATE: [&str; 13] = [
    "passw",
    "passp",
    "pasw",
    "pwd",
    "pii_key",
    "secret",
    "token",
    "api_key",
    "authoriz",
    "authoris",
    "bearer",
    "credential",
    "webhook",
];

/// A line as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// `14 | missing = "critcal"`
    pub line: String,
    /// `   |           ^^^^^^^^^`
    pub mark: String,
}

/// Gives every complaint with a place its line, from the texts of the files.
pub(super) fn give(problems: &mut [Problem], texts: &[(PathBuf, String)], secrets: &Secrets) {
    for problem in problems {
        let (Some(file), Some((row, column))) = (&problem.file, problem.position) else { continue };
        let Some((_, text)) = texts.iter().find(|(known, _)| known == file) else { continue };
        let line = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').nth(row - 1);
        problem.excerpt = line.map(|line| Excerpt::of(row, line.trim_end_matches('\r'), column, secrets));
    }
}

impl Excerpt {
    /// Of a line and a column, which counts characters from 1.
    fn of(row: usize, line: &str, column: usize, secrets: &Secrets) -> Self {
        let start = line.char_indices().nth(column - 1).map_or(line.len(), |(index, _)| index);
        let (shown, marked) = without_secrets(line, start..start + token(&line[start..]));
        // A variable's value may stand in the file as well; then a mark below it would say where it was.
        let redacted = secrets.redact(&shown);
        let marked = if redacted == shown { Some(marked) } else { None };
        let number = row.to_string();
        let gutter = " ".repeat(number.len());
        let (text, mark) = fitted(&cells(&redacted, marked.as_ref()), WIDTH - number.len() - 6);
        Self {
            line: format!("   {number} | {text}").trim_end().to_owned(),
            mark: format!("   {gutter} | {mark}").trim_end().to_owned(),
        }
    }
}

/// How many bytes from here on are one thing: a text between quotes, a header, a word, or a character.
fn token(rest: &str) -> usize {
    let Some(first) = rest.chars().next() else { return 0 };
    let closing = match first {
        '"' | '\'' => first,
        '[' => ']',
        _ => {
            let word = |character: char| character.is_alphanumeric() || "_-.".contains(character);
            return rest.find(|character| !word(character)).unwrap_or(rest.len()).max(first.len_utf8());
        }
    };
    let mut escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if first == '"' => escaped = true,
            _ if character == closing => return index + 1,
            _ => {}
        }
    }
    rest.trim_end().len().max(1)
}

/// The line without what could be a secret, and where the marked part is then.
fn without_secrets(line: &str, marked: Range<usize>) -> (String, Range<usize>) {
    let Some(hidden) = hidden(line) else { return (line.to_owned(), marked) };
    let place = |index: usize| match index {
        index if index <= hidden.start => index,
        index if index < hidden.end => hidden.start,
        index => hidden.start + "…".len() + (index - hidden.end),
    };
    let shown = format!("{}…{}", &line[..hidden.start], &line[hidden.end..]);
    let start = place(marked.start);
    (shown, start..place(marked.end).max(start))
}

/// The first part of a line that is not shown, to the last quote behind it: where quotes are missing nobody knows where a secret ends.
fn hidden(line: &str) -> Option<Range<usize>> {
    let end = |start: usize| line.rfind(['"', '\'']).filter(|quote| *quote > start).unwrap_or(line.len());
    let url = line.find("://").map(|index| index + "://".len());
    let value = PRIVATE.iter().filter_map(|key| {
        let after = line.to_lowercase().find(key)? + key.len();
        // The rest of its name.
        let rest = line.get(after..)?.trim_start_matches(|next: char| next.is_alphanumeric() || "_-".contains(next));
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start().strip_prefix('=')?.trim_start();
        let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        Some(line.len() - rest.len())
    });
    url.into_iter().chain(value).min().map(|start| start..end(start))
}

/// A piece of the line with the columns that it takes and whether it is marked.
struct Cell {
    text: String,
    columns: usize,
    marked: bool,
}

/// A line as a terminal can show it.
fn cells(line: &str, marked: Option<&Range<usize>>) -> Vec<Cell> {
    let mut column = 0;
    let is_marked = |index: usize| marked.is_some_and(|marked| marked.contains(&index) || marked.start == index);
    let cell = |(index, character): (usize, char)| {
        let text = match character {
            '\t' => " ".repeat(TAB - column % TAB),
            _ if character.width().unwrap_or(0) == 0 => character.escape_unicode().to_string(),
            _ => character.to_string(),
        };
        let columns = text.chars().map(|character| character.width().unwrap_or(1)).sum();
        column += columns;
        Cell { text, columns, marked: is_marked(index) }
    };
    let mut cells: Vec<Cell> = line.char_indices().map(cell).collect();
    if is_marked(line.len()) {
        cells.push(Cell { text: String::new(), columns: 1, marked: true });
    }
    cells
}

/// The line and the marks below it, with … where the room does not hold all.
fn fitted(cells: &[Cell], room: usize) -> (String, String) {
    let whole: usize = cells.iter().map(|cell| cell.columns).sum();
    let first = cells.iter().position(|cell| cell.marked).unwrap_or(0);
    let mut start = 0;
    if whole > room {
        // A third of the room tells what stands before the mark.
        let mut before = 0;
        start = first;
        while start > 0 && before + cells[start - 1].columns <= room / 3 {
            start -= 1;
            before += cells[start].columns;
        }
    }
    let (mut text, mut mark, mut taken) = (String::new(), String::new(), 0);
    if start > 0 {
        text.push('…');
        mark.push(' ');
        taken = 1;
    }
    for cell in &cells[start..] {
        if taken + cell.columns > room {
            text.push('…');
            break;
        }
        taken += cell.columns;
        text.push_str(&cell.text);
        mark.push_str(&if cell.marked { "^" } else { " " }.repeat(cell.columns));
    }
    (text.trim_end().to_owned(), mark.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str, column: usize) -> String {
        let secrets = Secrets::new([("WORD".to_owned(), "hunter2".to_owned())]);
        let excerpt = Excerpt::of(14, line, column, &secrets);
        format!("{}\n{}", excerpt.line, excerpt.mark)
    }

    #[test]
    fn the_mark_stands_below_what_is_meant_however_wide_what_comes_before_is() {
        let cases = [
            ("missing = \"critcal\"", 11, "missing = \"critcal\"", "          ^^^^^^^^^"),
            ("\tmissing = 7", 12, "    missing = 7", "              ^"),
            ("a\tb = 7", 3, "a   b = 7", "    ^"),
            ("木 = \"x\" # note", 5, "木 = \"x\" # note", "     ^^^"),
            ("[contract.a-b]", 1, "[contract.a-b]", "^^^^^^^^^^^^^^"),
            ("[contract.a-b]", 11, "[contract.a-b]", "          ^^^"),
            ("key = \"a \\\" b\"", 7, "key = \"a \\\" b\"", "      ^^^^^^^^"),
            ("key = ", 7, "key =", "      ^"),
            ("", 1, "", "^"),
            ("open = \"never", 8, "open = \"never", "       ^^^^^^"),
            ("a = \"x\u{202e}y\"", 5, "a = \"x\\u{202e}y\"", "    ^^^^^^^^^^^^"),
        ];
        for (line, column, text, mark) in cases {
            assert_eq!(
                shown(line, column),
                format!("   14 | {text}\n      | {mark}").replace("| \n", "|\n").trim_end()
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark_and_stays_within_the_width() {
        let line = format!("{} = \"{}\" # {}", "k".repeat(90), "v".repeat(10), "c".repeat(90));
        let shown = shown(&line, 94);
        let [text, mark] = shown.split('\n').collect::<Vec<_>>()[..] else { panic!("two lines") };
        assert!(
            text.chars().count() <= WIDTH && text.contains("… = \"vvvvvvvvvv\" # c") || text.contains("…k"),
            "{text}"
        );
        let at = mark.chars().position(|character| character == '^');
        assert_eq!(at, text.chars().position(|character| character == '"'), "{shown}");
        assert_eq!(mark.matches('^').count(), 12);
        assert!(text.ends_with('…'));
    }

    #[test]
    fn nothing_that_could_be_a_secret_is_shown() {
        let cases = [
            "location = \"postgres://amy:hunter3@db/shop?password=hunter3\"",
            "location = \"postgres://amy:hunter3 'x@db",
            "{ url = \"https://hooks.example/hunter3\", on = [\"drifted\"] }",
            "password = \"hunter3\"",
            "pasword = \"hunter3\"",
            "authorization = \"Bearer hunter3\"",
            "sign = { key = \"a.key\", password = 'hunter3' }",
            "Password = hunter3",
            "pii_key = \"hunter3\" # hunter3",
            "\"api_key\" = \"hunter3\"",
            "name = \"hunter2\"",
        ];
        for line in cases {
            for column in 1..=line.chars().count() + 1 {
                let shown = shown(line, column);
                assert!(!shown.replace("# hunter3", "").contains("hunter"), "{line}: {shown}");
            }
        }
        assert_eq!(shown("url = \"https://x.y\" # z", 7), "   14 | url = \"https://…\" # z\n      |       ^^^^^^^^^^^");
    }
}
