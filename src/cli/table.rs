//! Lays out rows of words as a table, for the terminal or for Markdown. It knows nothing of what they
//! say, and shows what else would hide in a cell or move the cursor.

use crate::report::escape::{columns, visible};

/// Columns aligned with two spaces between them, no blanks at the ends of lines.
pub(super) fn text(headers: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let mut widths: Vec<usize> = headers.iter().map(|header| header.chars().count()).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    let heading: Vec<String> = headers.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        table.push_str(cells.join("  ").trim_end());
        table.push('\n');
    }
    table
}

/// Below this no column is made narrower.
const NARROW: usize = 10;

/// The same within so many columns, if there is such a limit: wide cells go on below, and where that does not help either, each
/// row is a paragraph.
pub(super) fn fitted(headers: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let table = text(headers, rows);
    let Some(width) = width.filter(|width| table.lines().any(|line| columns(line) > *width)) else { return table };
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| visible(cell)).collect()).collect();
    let widest = |column: usize| rows.iter().map(|row| columns(&row[column])).max().unwrap_or(0);
    let mut widths: Vec<usize> =
        headers.iter().enumerate().map(|(column, header)| columns(header).max(widest(column))).collect();
    while widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > width {
        match widths.iter_mut().max() {
            Some(most) if *most > NARROW => *most -= 1,
            _ => return paragraphs(headers, &rows, width),
        }
    }
    let heading: Vec<String> = headers.iter().map(ToString::to_string).collect();
    let mut table = String::new();
    for row in std::iter::once(&heading).chain(&rows) {
        let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| broken(cell, *width)).collect();
        for index in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let of_line = cells.iter().zip(&widths).map(|(cell, width)| {
                let part = cell.get(index).map_or("", String::as_str);
                format!("{part}{}", " ".repeat(width.saturating_sub(columns(part))))
            });
            table.push_str(of_line.collect::<Vec<_>>().join("  ").trim_end());
            table.push('\n');
        }
    }
    table
}

/// A row after the other, each cell on a line of its own.
fn paragraphs(headers: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let label = headers.iter().map(|header| columns(header)).max().unwrap_or(0) + 2;
    let paragraph = |row: &Vec<String>| {
        let mut paragraph = String::new();
        for (header, cell) in headers.iter().zip(row) {
            for (index, part) in broken(cell, width.saturating_sub(label).max(1)).iter().enumerate() {
                let header = if index == 0 { header } else { "" };
                paragraph.push_str(format!("{header:<label$}{part}").trim_end());
                paragraph.push('\n');
            }
        }
        paragraph
    };
    rows.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// A text on lines of at most so many columns: parted at spaces, else behind a mark that parts words, else where a line is full.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while columns(rest) > width {
        let (mut taken, mut full, mut space, mut mark) = (0, rest.len(), None, None);
        for (index, character) in rest.char_indices() {
            let wide = columns(character.encode_utf8(&mut [0; 4]));
            if taken + wide > width && index > 0 {
                full = index;
                // A space at the end of a full line takes no room.
                space = if character == ' ' { Some(index) } else { space };
                break;
            }
            taken += wide;
            match character {
                ' ' => space = Some(index),
                ',' | '-' | '_' | '/' | '.' | ':' => mark = Some(index + 1),
                _ => {}
            }
        }
        let end = space.or(mark).filter(|end| *end > 0).unwrap_or(full);
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines.push(rest.to_owned());
    lines
}

/// The same as Markdown.
pub(super) fn markdown(headers: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = line(headers.iter().map(ToString::to_string).collect());
    table.push_str(&line(vec!["---".to_owned(); headers.len()]));
    for row in rows {
        table.push_str(&line(row.iter().map(|cell| visible(cell).replace('|', "\\|")).collect()));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hides_in_a_cell() {
        let rows = vec![vec!["\u{1b}[31mred\n\u{202e}".to_owned()]];
        assert_eq!(text(&["team"], &rows), "team\n\\u{1b}[31mred\\n\\u{202e}\n");
        assert_eq!(markdown(&["team"], &rows), "| team |\n| --- |\n| \\u{1b}[31mred\\n\\u{202e} |\n");
    }

    #[test]
    fn a_wide_table_goes_on_below_and_a_very_wide_one_becomes_paragraphs() {
        let headers = ["contract", "key", "last verdict"];
        let rows = vec![
            vec![
                "crm".to_owned(),
                "country, policy_number, valid_from_date".to_owned(),
                "agreed in 20261121T1".to_owned(),
            ],
            vec!["a-very-long-name-of-a-contract".to_owned(), "木木木木木木".to_owned(), "never run".to_owned()],
        ];
        assert_eq!(fitted(&headers, &rows, None), text(&headers, &rows));
        assert_eq!(fitted(&headers, &rows, Some(200)), text(&headers, &rows));
        assert_eq!(
            fitted(&headers, &rows, Some(50)).lines().collect::<Vec<_>>(),
            [
                "contract          key              last verdict",
                "crm               country,         agreed in",
                "                  policy_number,   20261121T1",
                "                  valid_from_date",
                "a-very-long-      木木木木木木     never run",
                "name-of-a-",
                "contract",
            ]
        );
        let narrow = fitted(&headers, &rows, Some(24));
        assert!(narrow.starts_with("contract      crm\nkey           country,\n"), "{narrow}");
        for width in 20..120 {
            let table = fitted(&headers, &rows, Some(width));
            assert!(table.lines().all(|line| columns(line) <= width), "{width}\n{table}");
            let words: String = table.split_whitespace().collect();
            assert!(words.contains("valid_from_date") || width < 40, "{table}");
        }
    }

    #[test]
    fn cells_line_up() {
        let rows = vec![vec!["orders".to_owned(), "a|b".to_owned()], vec!["ä".to_owned(), String::new()]];
        assert_eq!(text(&["name", "key"], &rows), "name    key\norders  a|b\nä\n");
        assert_eq!(markdown(&["name", "key"], &rows), "| name | key |\n| --- | --- |\n| orders | a\\|b |\n| ä |  |\n");
    }
}
