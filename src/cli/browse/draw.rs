//! What the screen shows, as lines of styled text for any size of terminal. It reads no key and changes no mark. Colour only
//! adds: what is selected has `>` before it, what is marked `*`, and what differs is shown inverse.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};

use super::filter::{CONTRACT, Group, Wanted};
use super::line;
use super::state::{App, Prompt, TABS, View};
use crate::contract::Severity;
use crate::history::Finding;
use crate::report::escape::{columns, count, counted, quoted_pair, shorten, visible};
use crate::sides::Sides;

/// Below this nothing can be shown.
const LEAST: (u16, u16) = (20, 6);

/// What every key does, for the help.
const HELP: [(&str, &str); 15] = [
    ("↑ ↓  j k", "move"),
    ("PgUp PgDn Home End", "move further"),
    ("Tab  1 2 3 4", "contracts, causes, kinds, attributes"),
    ("Enter", "open: a group's lines, a line's values"),
    ("Esc", "back, one step at a time"),
    ("/", "search keys, values, reasons; case does not count"),
    ("Space", "mark or unmark a line for review"),
    ("a", "mark or unmark all lines of the list"),
    ("m", "only what is marked"),
    ("e", "export the marked lines as CSV for review"),
    ("← →  p n", "the line before, the next (in a line)"),
    ("r", "read both rows from the sources (in a line)"),
    ("?", "this help"),
    ("q", "leave"),
    ("Ctrl-C", "leave at once"),
];

/// Everything, for a terminal of this size. `color` is whether it may be coloured.
pub(super) fn screen(app: &mut App<'_>, width: u16, height: u16, color: bool) -> Text<'static> {
    if width < LEAST.0 || height < LEAST.1 {
        return Text::from(vec![Line::from("too small;"), Line::from("q leaves")]);
    }
    let (width, height) = (usize::from(width), usize::from(height));
    let mut lines = vec![header(app, width), status(app, width)];
    if app.view == View::Groups {
        lines.push(tabs(app, width));
    }
    let body = height - lines.len() - 2;
    app.height = body;
    let mut shown = match app.view {
        View::Groups => groups(app, width, body, color),
        View::Lines => list(app, width, body, color),
        View::Line => line::lines(app, width, body, color),
        View::Help => help(width),
    };
    shown.resize_with(body, Line::default);
    lines.append(&mut shown);
    lines.push(message(app, width));
    lines.push(keys(app, width));
    Text::from(lines)
}

fn inverse() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// What a severity looks like, besides its word.
pub(super) fn style_of(severity: &str, color: bool) -> Style {
    match severity {
        _ if !color => Style::new(),
        "critical" => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        "high" => Style::new().fg(Color::Red),
        "medium" => Style::new().fg(Color::Yellow),
        _ => Style::new().add_modifier(Modifier::DIM),
    }
}

/// A text made exactly so wide.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = shorten(text, width);
    let blanks = width.saturating_sub(columns(&text));
    text + &" ".repeat(blanks)
}

fn header(app: &App<'_>, width: usize) -> Line<'static> {
    let text = format!(" reconcile browse  {}  {}", visible(&app.audit.run_id), app.audit.verdict().name());
    Line::styled(fit(&text, width), inverse())
}

/// What is looked at, how much of it, how many are marked.
fn status(app: &App<'_>, width: usize) -> Line<'static> {
    let found = app.scan.found();
    let mut right = counted(found.lines, "divergence");
    if !found.done {
        let percent = found.looked * 100 / app.pages.lines().max(1);
        right = format!("{right} so far, {percent}% looked at");
    }
    if !app.marks.is_empty() {
        right = format!("{right}, {} marked", count(app.marks.len() as u64));
    }
    let right = shorten(&right, width.saturating_sub(6));
    let left = width.saturating_sub(columns(&right) + 1);
    Line::from(format!("{} {right}", fit(&app.filter.told(), left)))
}

fn tabs(app: &App<'_>, width: usize) -> Line<'static> {
    let mut spans = Vec::new();
    let mut taken = 0;
    for (index, (name, _)) in TABS.iter().enumerate() {
        let text = if index == app.tab { format!("[{} {name}]", index + 1) } else { format!(" {} {name} ", index + 1) };
        taken += text.len();
        if taken > width {
            // On a narrow terminal the one that is shown matters.
            return Line::styled(format!("[{} {}]  Tab: next", app.tab + 1, TABS[app.tab].0), bold());
        }
        spans.push(Span::styled(text, if index == app.tab { bold() } else { Style::new() }));
    }
    Line::from(spans)
}

fn groups(app: &mut App<'_>, width: usize, body: usize, color: bool) -> Vec<Line<'static>> {
    let groups = app.groups();
    let at = app.at[app.tab].min(groups.len().saturating_sub(1));
    app.at[app.tab] = at;
    let top = at.saturating_sub(body.saturating_sub(1));
    let others = app.scan.found().tally.others;
    if others > 0 {
        app.said.get_or_insert(format!("{} of too many sorts are in no group", counted(others, "divergence")));
    }
    if groups.is_empty() {
        let text = if app.scan.found().done { "  nothing diverges here" } else { "  counting …" };
        return vec![Line::from(text)];
    }
    let label = groups.iter().map(|group| columns(&label(group))).max().unwrap_or(0).min(width * 2 / 5).max(8);
    let shown = groups.iter().enumerate().skip(top).take(body);
    shown.map(|(index, group)| group_line(app, group, index == at, (label, width), color)).collect()
}

/// What a group is called.
fn label(group: &Group) -> String {
    let name = |(column, value): (usize, &Option<String>)| match (column, value) {
        (_, Some(value)) => visible(value),
        (super::filter::CAUSE, None) => "(no cause)".to_owned(),
        _ => "(whole row)".to_owned(),
    };
    let mut values = group.values.iter().filter(|(column, _)| *column != CONTRACT || group.values.len() == 1);
    let first = values.next().map(|(column, value)| name((*column, value))).unwrap_or_default();
    let others = values.filter_map(|(_, value)| value.as_deref().map(visible));
    others.fold(first, |label, other| format!("{label} of {other}"))
}

fn group_line(
    app: &App<'_>,
    group: &Group,
    selected: bool,
    (wide, width): (usize, usize),
    color: bool,
) -> Line<'static> {
    let mut spans = vec![
        Span::raw(if selected { "> " } else { "  " }),
        Span::styled(fit(&label(group), wide), if selected { bold() } else { Style::new() }),
        Span::raw(format!(" {:>11} ", count(group.lines))),
    ];
    let mut room = width.saturating_sub(wide + 15);
    let contract = group.values.iter().find(|(column, _)| *column == CONTRACT).and_then(|(_, value)| value.as_deref());
    let verdict = app.audit.contracts.iter().find(|known| Some(known.name.as_str()) == contract);
    let mut parts: Vec<(String, Style)> = Vec::new();
    if let Some(known) = verdict.filter(|_| group.values.len() == 1) {
        parts.push((known.verdict.name().to_owned(), Style::new()));
    }
    for (severity, lines) in Severity::ALL.iter().zip(group.severities).filter(|(_, lines)| *lines > 0) {
        parts.push((format!("{} {}", count(lines), severity.name()), style_of(severity.name(), color)));
    }
    // Of one contract in many it is said last; its name alone would be nothing new where there is but one.
    if let Some(contract) = contract.filter(|_| group.values.len() > 1 && app.audit.contracts.len() > 1) {
        parts.push((format!("in {}", visible(contract)), Style::new()));
    }
    for (text, style) in parts {
        let text = format!(" {text}");
        if columns(&text) > room {
            break;
        }
        room -= columns(&text);
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

fn list(app: &mut App<'_>, width: usize, body: usize, color: bool) -> Vec<Line<'static>> {
    let (lines, done) = {
        let found = app.scan.found();
        (found.lines, found.done)
    };
    if lines == 0 {
        return vec![Line::from(if done { "  nothing is like that: Esc leads back" } else { "  looking …" })];
    }
    app.selected = app.selected.min(lines - 1);
    app.top = app.top.min(app.selected).max((app.selected + 1).saturating_sub(body as u64));
    let (top, selected) = (app.top, app.selected);
    let window = app.window(top, body);
    let several = app.audit.contracts.len() > 1 && app.filter.columns[CONTRACT] == Wanted::Any;
    let told = window.iter().zip(top..).map(|((number, finding), place)| {
        let lead = (place == selected, app.marks.contains(number));
        list_line(finding, lead, several, width, color)
    });
    told.collect()
}

fn list_line(
    finding: &Finding,
    (selected, marked): (bool, bool),
    several: bool,
    width: usize,
    color: bool,
) -> Line<'static> {
    let lead = format!("{}{} ", if selected { '>' } else { ' ' }, if marked { '*' } else { ' ' });
    let severity = fit(&finding.severity, 8);
    let kind = fit(&finding.kind, if width < 60 { 9 } else { 13 });
    let room = width.saturating_sub(lead.len() + 8 + 1 + columns(&kind) + 2);
    let mut parts = Vec::new();
    if several {
        parts.push(shorten(&visible(&finding.contract), 24));
    }
    parts.push(finding.key.as_deref().map_or_else(|| "(no key)".to_owned(), |key| shorten(&visible(key), 40)));
    parts.extend(finding.attribute.as_deref().map(|name| shorten(&visible(name), 30)));
    parts.extend(values(finding).map(|Sides { authority, projection }| format!("{authority} → {projection}")));
    let text = fit(&parts.join("  "), room);
    Line::from(vec![
        Span::raw(lead),
        Span::styled(severity, style_of(&finding.severity, color)),
        Span::raw(" "),
        Span::raw(kind),
        Span::raw("  "),
        Span::styled(text.trim_end().to_owned(), if selected { bold() } else { Style::new() }),
    ])
}

/// Both values, where the line has any.
fn values(finding: &Finding) -> Option<Sides<String>> {
    let (authority, projection) = (finding.authority_value.as_deref(), finding.projection_value.as_deref());
    if finding.attribute.is_none() && authority.is_none() && projection.is_none() {
        return None;
    }
    let (authority, projection) = quoted_pair(authority, projection);
    Some(Sides { authority, projection })
}

fn help(width: usize) -> Vec<Line<'static>> {
    let keys = if width < 60 { 12 } else { 22 };
    HELP.iter().map(|(key, what)| Line::from(fit(&format!(" {} {what}", fit(key, keys)), width))).collect()
}

fn message(app: &App<'_>, width: usize) -> Line<'static> {
    let (text, typed) = match (&app.prompt, &app.said) {
        (Some(Prompt::Search(text)), _) => (format!("search: {}_", visible(text)), true),
        (Some(Prompt::Export(text)), _) => (format!("export to: {}_", visible(text)), true),
        (None, Some(said)) => (visible(said), false),
        (None, None) => return Line::default(),
    };
    // Of what is typed the end matters.
    let over = columns(&text).saturating_sub(width);
    let text = if typed && over > 0 { text.chars().skip(over).collect() } else { shorten(&text, width) };
    Line::styled(text, bold())
}

/// The keys that matter here, as many as there is room for; the last two always.
fn keys(app: &App<'_>, width: usize) -> Line<'static> {
    let here: &[(&str, &str)] = match (app.view, &app.prompt) {
        (_, Some(_)) => &[("Enter", "done"), ("Esc", "never mind")],
        (View::Groups, _) => {
            &[("Enter", "open"), ("Tab", "next list"), ("/", "search"), ("Esc", "back"), ("e", "export")]
        }
        (View::Lines, _) => &[
            ("Enter", "open"),
            ("Space", "mark"),
            ("/", "search"),
            ("Tab", "groups"),
            ("Esc", "back"),
            ("m", "marked"),
            ("e", "export"),
        ],
        (View::Line, _) => &[("Esc", "back"), ("←→", "other lines"), ("Space", "mark"), ("r", "rows"), ("e", "export")],
        (View::Help, _) => &[("any key", "back")],
    };
    let last: &[(&str, &str)] = if app.prompt.is_some() { &[] } else { &[("?", "help"), ("q", "quit")] };
    let text = |(key, what): &(&str, &str)| format!(" {key} {what} ");
    let mut room = width.saturating_sub(last.iter().map(|pair| columns(&text(pair))).sum());
    let mut shown = Vec::new();
    for pair in here {
        let text = text(pair);
        if columns(&text) > room {
            break;
        }
        room -= columns(&text);
        shown.push(text);
    }
    shown.extend(last.iter().map(text));
    Line::styled(fit(&shown.concat(), width), inverse())
}
