//! Control totals, invariants and the value at risk in sentences, which text and Markdown share. Everything in them is safe
//! to show on a terminal.

use super::escape::{count, counted, shorten, visible};
use crate::audit::{Figure, GroupFigures, InvariantFigures, TotalFigures, ValueAtRisk};
use crate::sides::Side;

/// How wide a group or a key may be.
const NAME: usize = 60;

/// What became of a total.
pub(super) fn total(total: &TotalFigures) -> String {
    let name = visible(&total.name);
    if let Some(why) = &total.not_computed {
        return format!("{name}: not computed, {}", visible(why));
    }
    let groups = counted(total.groups, "group");
    match (total.unbalanced, total.by.is_empty(), total.groups) {
        (0, false, 1) => format!("{name}: {groups} balances"),
        (0, false, _) => format!("{name}: {groups} balance"),
        (0, true, _) => format!("{name}: balances"),
        (_, true, _) => format!("{name}: does not balance"),
        (1, false, _) => format!("{name}: 1 of {groups} does not balance"),
        (unbalanced, false, _) => format!("{name}: {} of {groups} do not balance", count(unbalanced)),
    }
}

/// The group as it is shown.
pub(super) fn group(total: &TotalFigures, group: &GroupFigures) -> String {
    if total.by.is_empty() { "all rows".to_owned() } else { shorten(&visible(&group.group), NAME) }
}

/// `GROUP: 2 rows → 1`, `premium 300 → 200 (100)`.
pub(super) fn figures(total: &TotalFigures, of: &GroupFigures) -> Vec<String> {
    let (authority, projection) = (&of.sides.authority, &of.sides.projection);
    let rows = format!("{} → {}", counted(authority.rows, "row"), count(projection.rows));
    let mut parts = vec![format!("{}: {rows}", group(total, of))];
    for (place, name) in total.sum.iter().enumerate() {
        let [one, other] = [authority, projection].map(|figure| sum(figure, place));
        let difference = of.differences.get(place).map_or("", String::as_str);
        parts.push(format!("{} {one} → {other} ({difference})", shorten(&visible(name), NAME)));
    }
    parts
}

/// A sum with what could not be added.
pub(super) fn sum(figure: &Figure, place: usize) -> String {
    let Some(sum) = figure.sums.get(place) else { return String::new() };
    let mut text = sum.sum.clone();
    for (rows, what) in [(sum.nulls, "null"), (sum.unsummed, "not summed")] {
        if rows > 0 {
            text.push_str(&format!(" + {} {what}", count(rows)));
        }
    }
    text
}

/// What became of an invariant on one side.
pub(super) fn invariant(found: &InvariantFigures) -> String {
    let place = match found.side {
        Side::Authority => "at the authority",
        Side::Projection => "in the projection",
    };
    let (name, severity) = (visible(&found.name), found.severity.name());
    if found.rows == 0 {
        return format!("{name} ({severity}): holds {place}");
    }
    let mut keys: Vec<String> = found.examples.iter().map(|key| shorten(&visible(key), NAME)).collect();
    if keys.len() as u64 != found.rows && !keys.is_empty() {
        keys.push("…".to_owned());
    }
    let examples = if keys.is_empty() { String::new() } else { format!(": {}", keys.join(", ")) };
    let verb = if found.rows == 1 { "breaks" } else { "break" };
    format!("{name} ({severity}): {} {place} {verb} it{examples}", counted(found.rows, "row"))
}

/// What the divergences add up to, and what the attribute's own mismatches come to: sentences, each in parts that commas join.
pub(super) fn at_risk(worth: &ValueAtRisk) -> Vec<Vec<String>> {
    let attribute = visible(&worth.attribute);
    if let Some(why) = &worth.not_computed {
        return vec![vec![format!("{attribute}: not computed, {}", visible(why))]];
    }
    let keys = |keys: u64, unvalued: u64| match unvalued {
        0 => counted(keys, "key"),
        _ => format!("{}, {} without a value", counted(keys, "key"), count(unvalued)),
    };
    let mut kinds: Vec<String> = worth
        .kinds
        .iter()
        .map(|(kind, found)| format!("{} {} ({})", kind.name(), found.sum, keys(found.keys, found.unvalued)))
        .collect();
    let Some(first) = kinds.first_mut() else {
        return vec![vec![format!("{attribute} 0"), "no key diverges".to_owned()]];
    };
    *first = format!("{attribute} {}: {first}", worth.sum);
    let mut told = vec![kinds];
    told.extend(worth.own.as_ref().map(|own| {
        let differs = format!("{attribute} itself differs in {}: net {}", keys(own.keys, own.unvalued), own.net);
        vec![differs, format!("gross {}", own.gross)]
    }));
    told
}

#[cfg(test)]
mod tests {
    use super::super::{markdown, prometheus, sample, text};

    fn rendered(render: impl FnOnce(&crate::audit::Audit, &mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut audit = sample::small("20260301T020000Z-0001");
        audit.contracts[0].figures = sample::figures();
        let mut out = Vec::new();
        render(&audit, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn the_terminal_says_what_is_off_within_its_width() {
        let text = rendered(|audit, out| text::render(audit, text::Style::default(), out));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let figures: String = text
            .lines()
            .skip_while(|line| !line.starts_with("  total"))
            .take_while(|line| !line.is_empty())
            .map(|line| format!("{}\n", line.trim_end()))
            .collect();
        insta::assert_snapshot!(figures, @r#"
          total       by status | *: 2 of 3 groups do not balance
                      {"status":"<b>\u{1b}"}: 2 rows → 1,
                      premium 300.5 → 0.1 + 1 null (300.4)
          total       all: not computed, `premium` cannot be compared
          invariant   positive (high): 4 rows at the authority break it: {"id":1},
                      {"id":2}, …
          invariant   positive (high): holds in the projection
          at risk     premium 12.5: missing 10 (2 keys),
                      mismatch 2.5 (3 keys, 1 without a value)
                      premium itself differs in 1 key: net -0.5, gross 0.5
        "#);
    }

    #[test]
    fn markdown_shows_both_sides_and_no_value_becomes_markup() {
        let text = rendered(|audit, out| markdown::render(audit, out));
        assert!(text.contains("### Control totals\n\nby status \\| \\*: 2 of 3 groups do not balance\n"), "{text}");
        assert!(text.contains("| authority | 2 | 300.5 |\n"), "{text}");
        assert!(text.contains("| projection | 1 | 0.1 + 1 null |\n"), "{text}");
        assert!(text.contains("| difference | 1 | 300.4 |\n"), "{text}");
        assert!(text.contains("And 1 more.") && text.contains("### Invariants") && text.contains("### Value at risk"));
        assert!(!text.contains("<b>") && !text.contains('\u{1b}'));
    }

    #[test]
    fn metrics_have_what_was_computed() {
        let text = rendered(|audit, out| {
            let measured = crate::audit::Measured::default();
            prometheus::render(&prometheus::Whole { audit, cadences: &[], measured: &measured }, out)
        });
        for line in [
            r#"reconcile_total_groups{contract="billing-view",total="by status | *"} 3"#,
            r#"reconcile_total_groups_unbalanced{contract="billing-view",total="by status | *"} 2"#,
            r#"reconcile_invariant_broken_rows{contract="billing-view",invariant="positive",side="projection"} 0"#,
            r#"reconcile_value_at_risk{contract="billing-view",attribute="premium",kind="missing"} 10"#,
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line}\n{text}");
        }
        assert!(!text.contains(r#"total="all""#));
    }
}
