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

/// `2 rows → 1, premium 300 → 200 (100)`.
pub(super) fn figures(total: &TotalFigures, group: &GroupFigures) -> String {
    let (authority, projection) = (&group.sides.authority, &group.sides.projection);
    let mut parts = vec![format!("{} → {}", counted(authority.rows, "row"), count(projection.rows))];
    for (place, name) in total.sum.iter().enumerate() {
        let [one, other] = [authority, projection].map(|figure| sum(figure, place));
        let difference = group.differences.get(place).map_or("", String::as_str);
        parts.push(format!("{} {one} → {other} ({difference})", shorten(&visible(name), NAME)));
    }
    parts.join(", ")
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

/// What the divergences add up to, and what the attribute's own mismatches come to.
pub(super) fn at_risk(worth: &ValueAtRisk) -> Vec<String> {
    let attribute = visible(&worth.attribute);
    if let Some(why) = &worth.not_computed {
        return vec![format!("{attribute}: not computed, {}", visible(why))];
    }
    let keys = |keys: u64, unvalued: u64| match unvalued {
        0 => counted(keys, "key"),
        _ => format!("{}, {} without a value", counted(keys, "key"), count(unvalued)),
    };
    let kinds: Vec<String> = worth
        .kinds
        .iter()
        .map(|(kind, found)| format!("{} {} ({})", kind.name(), found.sum, keys(found.keys, found.unvalued)))
        .collect();
    if kinds.is_empty() {
        return vec![format!("{attribute} 0, no key diverges")];
    }
    let mut told = vec![format!("{attribute} {}: {}", worth.sum, kinds.join(", "))];
    told.extend(worth.own.as_ref().map(|own| {
        format!("{attribute} itself differs in {}: net {}, gross {}", keys(own.keys, own.unvalued), own.net, own.gross)
    }));
    told
}
