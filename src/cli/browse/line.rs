//! One divergence on the screen: what is known of it, the values of both sides beside each other, and both rows where they were
//! asked for. What differs is shown inverse. It reads nothing.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::draw::style_of;
use super::state::{App, Opened, RowsOf};
use crate::history::Finding;
use crate::report::escape::{columns, quoted, shorten, visible};
use crate::report::html::marks::{Piece, pieces};
use crate::sides::{Side, Sides};

/// From so wide on both sides stand beside each other.
const BESIDE: usize = 60;
/// Values that are alike for longer than this begin shortly before they part.
const ALIKE: usize = 400;
/// How much of what is alike is shown then.
const BEFORE: usize = 60;

/// A text on several lines, each of pieces with whether they are marked.
type Marked = Vec<Vec<(String, bool)>>;

/// The lines of the opened divergence from where it was scrolled to.
pub(super) fn lines(app: &mut App<'_>, width: usize, body: usize, color: bool) -> Vec<Line<'static>> {
    let Some(opened) = &app.opened else { return Vec::new() };
    let marked = app.marks.contains(&opened.line);
    let all = whole(opened, marked, width, color);
    app.scroll = app.scroll.min(all.len().saturating_sub(body));
    all.into_iter().skip(app.scroll).take(body).collect()
}

fn whole(opened: &Opened, marked: bool, width: usize, color: bool) -> Vec<Line<'static>> {
    let Some((_, finding)) = opened.of_key.iter().find(|(number, _)| *number == opened.line) else { return Vec::new() };
    let mark = if marked { "* marked" } else { "" };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", finding.severity), style_of(&finding.severity, color)),
        Span::raw(format!("{}  {}  {mark}", finding.kind, shorten(&visible(&finding.reason), 60))),
    ])];
    let facts =
        [("contract", Some(&finding.contract)), ("key", finding.key.as_ref()), ("cause", finding.cause.as_ref())];
    for (name, value) in facts {
        let Some(value) = value else { continue };
        for (index, part) in wrapped(&[(visible(value), false)], width.saturating_sub(10)).into_iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(Line::from(format!("{name:<10}{}", part.into_iter().map(|(text, _)| text).collect::<String>())));
        }
    }
    lines.push(Line::default());
    let table: Vec<(String, Sides<Vec<Piece>>, bool)> =
        opened.of_key.iter().map(|(number, line)| told(line, *number == opened.line)).collect();
    beside("", &table, width, color, &mut lines);
    match &opened.rows {
        RowsOf::Unasked => {}
        RowsOf::Coming(_) => lines.extend([Line::default(), Line::from("both rows are being read …")]),
        RowsOf::There(Err(problem)) => {
            lines.push(Line::default());
            for part in wrapped(&[(format!("the rows cannot be told: {}", visible(problem)), false)], width) {
                lines.push(Line::from(part.into_iter().map(|(text, _)| text).collect::<String>()));
            }
        }
        RowsOf::There(Ok(rows)) => {
            lines.push(Line::default());
            let table: Vec<_> = rows.iter().map(|(name, values, _)| (name.clone(), differing(values), false)).collect();
            beside("both rows, as they stand in the sources", &table, width, color, &mut lines);
        }
    }
    lines
}

/// A line of the table: the attribute, both values with what differs, and whether it is the line that was opened.
fn told(finding: &Finding, opened: bool) -> (String, Sides<Vec<Piece>>, bool) {
    let name = finding.attribute.clone().unwrap_or_else(|| format!("({})", finding.kind));
    let nothing =
        finding.attribute.is_none() && finding.authority_value.is_none() && finding.projection_value.is_none();
    let value = |value: &Option<String>| if nothing { String::new() } else { quoted(value.as_deref()) };
    let mut values = Sides { authority: value(&finding.authority_value), projection: value(&finding.projection_value) };
    if nothing && finding.kind == "missing" {
        values = Sides { authority: "(row)".to_owned(), projection: "(no row)".to_owned() };
    } else if nothing && finding.kind == "orphan" {
        values = Sides { authority: "(no row)".to_owned(), projection: "(row)".to_owned() };
    }
    (name, differing(&values), opened)
}

/// Both texts in pieces, without most of what both begin with.
fn differing(values: &Sides<String>) -> Sides<Vec<Piece>> {
    let same = values.authority.chars().zip(values.projection.chars()).take_while(|(one, other)| one == other).count();
    let short = if values.authority != values.projection && same > ALIKE { same - BEFORE } else { 0 };
    let rest = |side: Side| values.get(side).chars().skip(short).collect::<String>();
    let (authority, projection) = pieces(&rest(Side::Authority), &rest(Side::Projection));
    Sides { authority, projection }.map(|_, mut pieces| {
        if short > 0 {
            pieces.insert(0, Piece { text: format!("({short} characters alike) …"), marked: false });
        }
        pieces
    })
}

/// The table, beside each other where there is room, else below each other.
fn beside(
    title: &str,
    table: &[(String, Sides<Vec<Piece>>, bool)],
    width: usize,
    color: bool,
    lines: &mut Vec<Line<'static>>,
) {
    if !title.is_empty() {
        lines.push(Line::from(title.to_owned()));
    }
    let names = table.iter().map(|(name, ..)| columns(&visible(name))).max().unwrap_or(0).clamp(9, width / 4);
    let room = width.saturating_sub(names + 6) / 2;
    if width >= BESIDE {
        lines.push(Line::from(format!("  {:names$}  {:room$}  projection", "", "authority")));
    }
    for (name, values, opened) in table {
        let lead = if *opened { "> " } else { "  " };
        let name = shorten(&visible(name), if width >= BESIDE { names } else { width - 2 });
        let blanks = " ".repeat(names.saturating_sub(columns(&name)));
        if width >= BESIDE {
            let sides = values.as_ref().map(|_, pieces| wrapped(&shown(pieces), room));
            for index in 0..sides.authority.len().max(sides.projection.len()) {
                let first = index == 0;
                let head = if first { format!("{lead}{name}{blanks}  ") } else { " ".repeat(names + 4) };
                let mut spans = vec![Span::raw(head)];
                let taken = side(&sides.authority, index, color, &mut spans);
                spans.push(Span::raw(" ".repeat(room.saturating_sub(taken) + 2)));
                side(&sides.projection, index, color, &mut spans);
                lines.push(Line::from(spans));
            }
        } else {
            lines.push(Line::from(format!("{lead}{name}")));
            for (of, pieces) in values.iter() {
                let parts = wrapped(&shown(pieces), width.saturating_sub(15));
                for index in 0..parts.len() {
                    let head = if index == 0 { of.name() } else { "" };
                    let mut spans = vec![Span::raw(format!("    {head:<11}"))];
                    side(&parts, index, color, &mut spans);
                    lines.push(Line::from(spans));
                }
            }
        }
    }
}

fn shown(pieces: &[Piece]) -> Vec<(String, bool)> {
    pieces.iter().map(|piece| (visible(&piece.text), piece.marked)).collect()
}

/// Adds one line of a value; how many columns it takes.
fn side(value: &Marked, index: usize, color: bool, spans: &mut Vec<Span<'static>>) -> usize {
    let mut taken = 0;
    for (text, marked) in value.get(index).into_iter().flatten() {
        taken += columns(text);
        let mut style = Style::new();
        if *marked {
            style = style.add_modifier(Modifier::REVERSED);
            style = if color { style.fg(Color::Yellow) } else { style };
        }
        spans.push(Span::styled(text.clone(), style));
    }
    taken
}

/// Pieces on lines of at most so many columns, parted wherever a line is full: a value has spaces that count.
fn wrapped(pieces: &[(String, bool)], width: usize) -> Marked {
    let mut lines: Marked = vec![Vec::new()];
    let mut taken = 0;
    for (text, marked) in pieces {
        let mut part = String::new();
        for character in text.chars() {
            let wide = columns(character.encode_utf8(&mut [0; 4]));
            if taken + wide > width.max(2) {
                let full = std::mem::take(&mut part);
                lines.last_mut().expect("there is always one").push((full, *marked));
                lines.push(Vec::new());
                taken = 0;
            }
            taken += wide;
            part.push(character);
        }
        lines.last_mut().expect("there is always one").push((part, *marked));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(width: usize, authority: &str, projection: &str) -> Vec<String> {
        let finding = Finding {
            kind: "mismatch".to_owned(),
            attribute: Some("holder".to_owned()),
            authority_value: Some(authority.to_owned()),
            projection_value: Some(projection.to_owned()),
            ..Finding::default()
        };
        let mut lines = Vec::new();
        beside("", &[told(&finding, true)], width, false, &mut lines);
        let text = |span: &Span<'_>| {
            let marked = span.style.add_modifier.contains(Modifier::REVERSED);
            if marked { format!("[{}]", span.content) } else { span.content.to_string() }
        };
        lines.iter().map(|line| line.spans.iter().map(text).collect()).collect()
    }

    #[test]
    fn both_values_stand_beside_each_other_and_what_differs_is_marked() {
        assert_eq!(
            table(60, "Via Roma 12", "Via Roma 21"),
            [
                "             authority               projection",
                "> holder     \"Via Roma [12]\"           \"Via Roma [21]\"",
            ]
        );
        assert_eq!(table(40, "a\u{1b}", "b"), ["> holder", "    authority  \"[a\\u{1b}]\"", "    projection \"[b]\"",]);
    }

    #[test]
    fn long_values_begin_where_they_part_and_wide_characters_stay_within_the_width() {
        let [one, other] = ["x", "y"].map(|end| format!("{}{end}", "木".repeat(1000)));
        let lines = table(80, &one, &other);
        assert!(lines[1].contains("characters alike) …"), "{lines:?}");
        assert!(lines.iter().all(|line| columns(&line.replace(['[', ']'], "")) <= 80), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("[x]") && line.contains("[y]")), "{lines:?}");
    }
}
