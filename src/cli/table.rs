//! Lays out rows of words as a table, for the terminal or for Markdown. It knows nothing of what they
//! say, and shows what else would hide in a cell or move the cursor.

use crate::report::escape::visible;

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
    fn cells_line_up() {
        let rows = vec![vec!["orders".to_owned(), "a|b".to_owned()], vec!["ä".to_owned(), String::new()]];
        assert_eq!(text(&["name", "key"], &rows), "name    key\norders  a|b\nä\n");
        assert_eq!(markdown(&["name", "key"], &rows), "| name | key |\n| --- | --- |\n| orders | a\\|b |\n| ä |  |\n");
    }
}
