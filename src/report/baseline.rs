//! How the projection stands to the old copy, in words for people.

use super::escape::{count, counted, quoted, shorten, visible};
use crate::audit::{ContractAudit, Status, ThreeWay, ThreeWayExample};
use crate::contract::Kind;

/// What came of it; nothing without an old copy.
pub(super) fn told(contract: &ContractAudit) -> Option<String> {
    let baseline = contract.baseline.as_ref()?;
    let Some(found) = &baseline.parity else {
        return Some(format!("{} was not compared to the end", baseline.input.source));
    };
    let old = &baseline.input.source;
    let mut parts = vec![format!("{} ({old} is right)", counted(found.regressions, "regression"))];
    let more = [
        (found.changed, "changed".to_owned()),
        (found.inherited, "inherited".to_owned()),
        (found.healed, "healed".to_owned()),
        (found.in_flight, "in flight".to_owned()),
        (found.untold, format!("in what {old} does not tell ({})", found.unseen.join(", "))),
    ];
    parts.extend(more.iter().filter(|(lines, _)| *lines > 0).map(|(lines, what)| format!("{} {what}", count(*lines))));
    Some(parts.join(", "))
}

/// The examples that are shown: what is in flight or cannot be told says nothing of either copy.
pub(super) fn shown(found: &ThreeWay) -> impl Iterator<Item = &ThreeWayExample> {
    found.examples.iter().filter(|example| !matches!(example.status, Status::InFlight | Status::Untold))
}

/// What each of the three says.
pub(super) fn values(example: &ThreeWayExample) -> [String; 3] {
    let value = |value: &Option<Box<str>>| shorten(&quoted(value.as_deref()), 40);
    let pairs = [example.projection_kind, example.baseline_kind].into_iter().flatten().any(pair);
    let of_attribute = example.attribute.is_some() && pairs;
    let authority = if of_attribute { value(&example.authority_value) } else { String::new() };
    let copy = |kind: Option<Kind>, own: &Option<Box<str>>| match kind {
        None => "right".to_owned(),
        Some(kind) if pair(kind) && example.attribute.is_some() => value(own),
        Some(kind) => kind.name().to_owned(),
    };
    let projection = copy(example.projection_kind, &example.projection_value);
    [authority, projection, copy(example.baseline_kind, &example.baseline_value)]
}

/// Whether a kind is one of pairs, whose lines have values.
fn pair(kind: Kind) -> bool {
    matches!(kind, Kind::Mismatch | Kind::Stale | Kind::Ahead | Kind::InFlight)
}

/// The key and the attribute.
pub(super) fn place(example: &ThreeWayExample) -> [String; 2] {
    let text = |part: &Option<Box<str>>| shorten(&visible(part.as_deref().unwrap_or_default()), 50);
    [text(&example.key), text(&example.attribute)]
}
