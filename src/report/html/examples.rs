//! Divergences with both values side by side: the worst ones of the audit, then some of every sort. It says how many more there
//! are and where.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::escape::{count, counted};
use super::marks::{Piece, pieces};
use super::{Extras, REST};
use crate::audit::ContractAudit;
use crate::audit::gallery::{Excerpt, Line, Sort};
use crate::contract::Kind;
use crate::sides::{Side, Sides};

/// A run of text that both sides have is cut where it is longer.
const SAME: usize = 160;

/// The table of a contract; None where nothing diverges.
pub(super) fn view(contract: &ContractAudit, extras: &Extras<'_>) -> Option<Value> {
    let lines = chosen(contract, extras);
    let all: u64 = contract.severities.values().sum();
    if all == 0 || lines.is_empty() {
        return None;
    }
    let told = |values: fn(&Sort) -> Option<String>| -> Vec<String> {
        let set: BTreeSet<String> = lines.iter().filter_map(|(sort, _)| values(sort)).collect();
        set.into_iter().collect()
    };
    let severities: Vec<&str> = crate::contract::Severity::ALL
        .into_iter()
        .filter(|severity| lines.iter().any(|(sort, _)| sort.severity.0 == *severity))
        .map(crate::contract::Severity::name)
        .collect();
    Some(json!({
        "rows": lines.iter().map(|(sort, line)| row(sort, line, contract, extras)).collect::<Vec<_>>(),
        "shown": count(lines.len() as u64),
        "all": count(all),
        "whole": lines.len() as u64 >= all,
        "rest": REST,
        "severities": severities,
        "kinds": told(|sort| Some(sort.kind.name().to_owned())),
        "attributes": told(|sort| sort.attribute.as_deref().map(str::to_owned)),
        "causes": told(|sort| sort.cause.map(str::to_owned)),
        "over_time": contract.recurrence.is_some(),
    }))
}

/// The worst first, then by key as people count.
fn chosen(contract: &ContractAudit, extras: &Extras<'_>) -> Vec<(Sort, Line)> {
    let sort = |divergence: &crate::classify::Divergence| Sort {
        severity: std::cmp::Reverse(divergence.severity),
        kind: divergence.kind,
        attribute: divergence.attribute.clone(),
        cause: divergence.cause,
    };
    let mut lines: Vec<(Sort, Line)> =
        contract.examples.iter().map(|divergence| (sort(divergence), Line::of(divergence))).collect();
    let known: BTreeSet<[u8; 32]> = lines.iter().map(|(_, line)| line.fingerprint).collect();
    if let Some(gallery) = extras.galleries.get(&contract.name) {
        for (sort, _, held) in gallery.sorts() {
            let others = held.iter().filter(|line| !known.contains(&line.fingerprint));
            lines.extend(others.map(|line| (sort.clone(), line.clone())));
        }
    }
    let key = |line: &Line| line.key.as_ref().map(|key| key.text.clone()).unwrap_or_default();
    lines.sort_by_cached_key(|(sort, line)| {
        let key = key(line);
        (sort.severity, sort.kind, key.len(), key, sort.attribute.clone())
    });
    lines
}

fn row(sort: &Sort, line: &Line, contract: &ContractAudit, extras: &Extras<'_>) -> Value {
    let values = values(sort, line);
    let since = contract.recurrence.as_ref().map(|found| {
        let seen = extras.sightings.get(&line.fingerprint).or_else(|| found.examples.get(&line.fingerprint));
        match seen {
            Some(seen) => json!({"runs": counted(seen.runs, "run"), "at": super::charts::minute(seen.first_seen)}),
            None => json!({"runs": null}),
        }
    });
    json!({
        "severity": sort.severity.0.name(),
        "rank": 9 - sort.severity.0 as u8,
        "kind": sort.kind.name(),
        "key": line.key.as_ref().map(key),
        "attribute": sort.attribute.as_deref(),
        "authority": values.authority,
        "projection": values.projection,
        "reason": line.reason,
        "cause": sort.cause,
        "source": line.source.as_ref(),
        "since": since,
    })
}

/// A key as people write it, where it is whole.
fn key(key: &Excerpt) -> Value {
    excerpt(&Excerpt { text: if key.after == 0 { plainly(&key.text) } else { key.text.clone() }, ..key.clone() })
}

/// A JSON object of one member as its value, of several as `name: value`; anything else as it stands.
pub(super) fn plainly(object: &str) -> String {
    let Ok(members) = serde_json::from_str::<serde_json::Map<String, Value>>(object) else { return object.to_owned() };
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // A number that JSON's reader would round stands as it is written.
    if members.values().any(Value::is_f64) {
        return object.to_owned();
    }
    match members.len() {
        0 => object.to_owned(),
        1 => members.values().map(shown).collect(),
        _ => members.iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect::<Vec<_>>().join(", "),
    }
}

/// What each side's cell says.
fn values(sort: &Sort, line: &Line) -> Sides<Value> {
    let text = |side: Side| line.values.get(side).as_ref().map(|value| value.text.as_str());
    match sort.kind {
        Kind::DuplicateKey | Kind::NullKey | Kind::Unreadable => Sides::from_fn(|side| match text(side) {
            Some(said) => json!({"note": if sort.kind == Kind::Unreadable { said.to_owned() } else { rows(said) }}),
            None => json!({"absent": true}),
        }),
        _ if sort.attribute.is_none() => {
            let there = match sort.kind {
                Kind::Missing | Kind::Stale | Kind::InFlight => ["row", "no row"],
                Kind::Orphan => ["no row", "row"],
                Kind::Resurrected => ["deleted", "row"],
                _ => ["", ""],
            };
            let [authority, projection] = there.map(|note| json!({"note": note}));
            Sides { authority, projection }
        }
        _ => compared(&line.values),
    }
}

/// `2 rows`.
fn rows(said: &str) -> String {
    said.parse().map_or_else(|_| said.to_owned(), |rows| counted(rows, "row"))
}

fn compared(values: &Sides<Option<Excerpt>>) -> Sides<Value> {
    let (Some(authority), Some(projection)) = (&values.authority, &values.projection) else {
        return values.as_ref().map(|_, value| match value {
            Some(value) => excerpt(value),
            None => json!({"null": true}),
        });
    };
    let (ours, theirs) = pieces(&authority.text, &projection.text);
    Sides { authority: marked(authority, &ours), projection: marked(projection, &theirs) }
}

fn excerpt(value: &Excerpt) -> Value {
    marked(value, &[Piece { text: value.text.clone(), marked: false }])
}

/// Pieces with what was left out said in its place.
fn marked(value: &Excerpt, pieces: &[Piece]) -> Value {
    let mut shown = Vec::new();
    let left_out = |characters: usize| json!({"out": count(characters as u64)});
    if value.before > 0 {
        shown.push(left_out(value.before));
    }
    let changed = pieces.iter().any(|piece| piece.marked);
    for (place, piece) in pieces.iter().enumerate() {
        let characters: Vec<char> = piece.text.chars().collect();
        if piece.marked || !changed || characters.len() <= SAME {
            shown.push(json!({"text": piece.text, "marked": piece.marked}));
            continue;
        }
        let head = if place == 0 { 0 } else { SAME / 4 };
        let tail = if place + 1 == pieces.len() { 0 } else { SAME / 4 };
        let part = |range: std::ops::Range<usize>| characters[range].iter().collect::<String>();
        shown.push(json!({"text": part(0..head), "marked": false}));
        shown.push(left_out(characters.len() - head - tail));
        shown.push(json!({"text": part(characters.len() - tail..characters.len()), "marked": false}));
    }
    if value.after > 0 {
        shown.push(left_out(value.after));
    }
    json!({"pieces": shown, "empty": value.text.is_empty() && value.before + value.after == 0})
}
