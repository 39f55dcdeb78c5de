//! One contract as a page shows it: every part that there is something to say of, in reading order. It only puts into words what
//! the audit holds.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::escape::{count, counted, percent};
use super::super::told::taken_over;
use super::super::{lag, segments};
use super::charts::{shade, share};
use super::{Extras, charts, evidence, examples, overview, places, plan, totals};
use crate::audit::gallery::Gallery;
use crate::audit::{Audit, Books, ContractAudit, InputFacts, Verdict};
use crate::contract::{Kind, Severity};
use crate::sides::{Side, Sides};

/// The contract in its place.
pub(super) fn view(place: usize, contract: &ContractAudit, audit: &Audit, extras: &Extras<'_>) -> Value {
    let gallery = extras.galleries.get(&contract.name);
    let past = extras.past.get(&contract.name).map_or(&[][..], Vec::as_slice);
    let error: Vec<&str> = contract.error.iter().flat_map(|error| error.lines()).collect();
    let warnings = (contract.warnings.len() + usize::from(segments::told(contract).is_some())) as u64;
    let (hints, problems): (Vec<&str>, Vec<&str>) = error.into_iter().partition(|line| line.starts_with("hint: "));
    json!({
        "id": format!("c{}", place + 1),
        "name": contract.name,
        "version": contract.version,
        "verdict": contract.verdict.name(),
        "because": contract.because,
        // What agrees among others is a line that can be unfolded.
        "open": contract.verdict != Verdict::Agreed || audit.contracts.len() == 1,
        "told": (warnings > 0).then(|| counted(warnings, "warning")),
        "description": contract.description,
        "team": contract.team,
        "runbook": contract.runbook,
        "runbook_link": contract.runbook.as_deref().filter(|link| is_link(link)),
        "key": contract.key,
        "problems": problems,
        "hints": hints.iter().map(|hint| hint.trim_start_matches("hint: ")).collect::<Vec<_>>(),
        "warnings": contract.warnings.iter().cloned().chain(segments::told(contract)).collect::<Vec<_>>(),
        "coverage": percent(contract.coverage),
        "keys": count(overview::diverging(contract)),
        "compared": compared(contract),
        "kinds": kinds(contract, gallery),
        "causes": causes(contract),
        "places": places::view(contract, gallery),
        "attributes": attributes(contract, gallery),
        "lag": waits(contract),
        "over_time": over_time(contract),
        "trend": charts::trend(contract, audit, past),
        "figures": totals::view(contract),
        "baseline": totals::baseline(contract),
        "plan": plan::view(contract, gallery),
        "decided": decided(contract),
        "examples": examples::view(contract, extras),
        "lineage": evidence::lineage(contract),
    })
}

/// Whether a text is an address that a page may lead to.
fn is_link(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// What was compared with what, as of when, how completely.
fn compared(contract: &ContractAudit) -> Value {
    let side = |side: Side| {
        let (input, books) = (contract.inputs.get(side), contract.books.get(side));
        json!({
            "source": input.source,
            "context": input.context,
            "location": input.location,
            "as_of": input.captured_at.map(|at| at.to_string()),
            "files": counted(input.files.len() as u64, "file"),
            "read": count(books.read),
            "parts": parts(books),
        })
    };
    let accounts: Vec<Value> = accounts(&contract.books)
        .into_iter()
        .filter(|(_, rows)| rows.iter().any(|(_, rows)| *rows > 0))
        .map(|(name, rows)| json!({"name": name, "authority": count(rows.authority), "projection": count(rows.projection)}))
        .collect();
    let again = super::super::recheck::told(contract).map(|text| ("second look", text));
    let said = lag::sentences(contract).into_iter().map(|(label, text)| json!({"label": label, "text": text}));
    let said: Vec<Value> = said.chain(again.map(|(label, text)| json!({"label": label, "text": text}))).collect();
    json!({
        "authority": side(Side::Authority),
        "projection": side(Side::Projection),
        "accounts": accounts,
        "said": said,
        "taken_over": taken_over(contract),
        "left_out": super::super::left_out::told(contract, 100),
    })
}

fn accounts(books: &Sides<Books>) -> Vec<(&'static str, Sides<u64>)> {
    let of = |rows: fn(&Books) -> u64| books.as_ref().map(|_, books| rows(books));
    vec![
        ("Rows read", of(|books| books.read)),
        ("Rows that agree", of(|books| books.agree)),
        ("In pairs that differ", of(|books| books.differ)),
        ("Without a partner", of(|books| books.unpaired)),
        ("Of duplicate keys", of(|books| books.duplicate)),
        ("With NULL in a key", of(|books| books.null_key)),
        ("Tombstones without a partner", of(|books| books.tombstone)),
        ("Could not be read", of(|books| books.unreadable)),
        ("Not compared", of(|books| books.uncompared)),
        ("Out of scope", of(|books| books.out_of_scope)),
    ]
}

/// The rows of a side as parts of a bar, in hundredths.
fn parts(books: &Books) -> Vec<Value> {
    let diverging = books.read.saturating_sub(books.agree + books.unreadable + books.uncompared);
    let parts = [("agree", books.agree), ("diverge", diverging), ("unread", books.unreadable + books.uncompared)];
    let mut at = 0.0;
    let mut shown = Vec::new();
    for (class, rows) in parts.into_iter().filter(|(_, rows)| *rows > 0) {
        // What there is can be seen, however little of it, but where others fill the bar.
        let width = (share(rows, books.read) * 100.0).max(0.6).min(100.0 - at).max(0.0);
        let bar =
            charts::Bar::new([at, 0.0, width, 1.0], class.to_owned(), format!("{} {class}", counted(rows, "row")));
        shown.push(json!(bar));
        at += width;
    }
    shown
}

/// Kinds by severities.
fn kinds(contract: &ContractAudit, gallery: Option<&Gallery>) -> Value {
    let mut cells: BTreeMap<(Kind, Severity), u64> = BTreeMap::new();
    for (sort, seen, _) in gallery.into_iter().flat_map(Gallery::sorts) {
        *cells.entry((sort.kind, sort.severity.0)).or_default() += seen;
    }
    let most = cells.values().copied().max().unwrap_or(0);
    let severities: Vec<Severity> = Severity::ALL
        .into_iter()
        .filter(|severity| contract.severities.get(severity).is_some_and(|lines| *lines > 0))
        .collect();
    let row = |(kind, keys): (&Kind, &u64)| {
        let cell = |severity: &Severity| {
            let lines = cells.get(&(*kind, *severity)).copied().unwrap_or(0);
            json!({"lines": count(lines), "shade": shade(lines, most)})
        };
        let cells: Vec<Value> = severities.iter().map(cell).collect();
        json!({"name": kind.name(), "keys": count(*keys), "cells": cells})
    };
    let rows: Vec<Value> = contract.keys.iter().filter(|(_, keys)| **keys > 0).map(row).collect();
    let foot: Vec<String> =
        severities.iter().map(|severity| count(contract.severities.get(severity).copied().unwrap_or(0))).collect();
    json!({
        "severities": severities.iter().map(|severity| severity.name()).collect::<Vec<_>>(),
        "rows": rows,
        "foot": foot,
        "unsorted": gallery.map(Gallery::unsorted).filter(|lines| *lines > 0).map(count),
        "none": match contract.verdict {
            // Where not all was compared, "none" alone would say more than is known.
            Verdict::Unverified => "No divergences were found in what was compared.",
            Verdict::Agreed | Verdict::Drifted => "No divergences.",
        },
    })
}

fn causes(contract: &ContractAudit) -> Vec<Value> {
    let shown = |cause: &crate::causes::Cause| {
        let width = share(cause.keys, cause.of.max(cause.keys)) * 100.0;
        json!({
            "name": cause.cause,
            "attribute": cause.attribute,
            "keys": count(cause.keys),
            "of": count(cause.of),
            "share": percent(share(cause.keys, cause.of)),
            "bar": charts::Bar::new([0.0, 0.0, width.max(0.6), 1.0], "part".to_owned(), String::new()),
            "evidence": cause.evidence,
            "option": cause.option.as_deref().map(|option| option.trim_end().lines().collect::<Vec<_>>()),
        })
    };
    contract.causes.iter().map(shown).collect()
}

/// Attributes by kinds of pairs, those with most first.
fn attributes(contract: &ContractAudit, gallery: Option<&Gallery>) -> Value {
    let mut cells: BTreeMap<(&str, Kind), u64> = BTreeMap::new();
    let mut causes: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (sort, seen, _) in gallery.into_iter().flat_map(Gallery::sorts) {
        let Some(attribute) = sort.attribute.as_deref() else { continue };
        *cells.entry((attribute, sort.kind)).or_default() += seen;
        if let Some(cause) = sort.cause {
            *causes.entry(attribute).or_default().entry(cause).or_default() += seen;
        }
    }
    let mut kinds: Vec<Kind> = cells.keys().map(|(_, kind)| *kind).filter(|kind| *kind != Kind::Schema).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let most = contract.attributes.iter().map(|(_, keys)| *keys).max().unwrap_or(0);
    let pairs = super::super::json::matched(&contract.books);
    let mut differing: Vec<&(String, u64)> = contract.attributes.iter().filter(|(_, keys)| *keys > 0).collect();
    differing.sort_by_key(|(_, keys)| std::cmp::Reverse(*keys));
    let row = |(name, keys): &(String, u64)| {
        let cell = |kind: &Kind| {
            let lines = cells.get(&(name.as_str(), *kind)).copied().unwrap_or(0);
            json!({"lines": count(lines), "shade": shade(lines, most)})
        };
        let cause = causes.get(name.as_str()).and_then(|causes| causes.iter().max_by_key(|(_, lines)| **lines));
        json!({
            "name": name,
            "keys": count(*keys),
            "share": percent(share(*keys, pairs)),
            "shade": shade(*keys, most),
            "cells": kinds.iter().map(cell).collect::<Vec<_>>(),
            "cause": cause.map(|(cause, _)| *cause),
            "owner": contract.attribute_owners.get(name),
        })
    };
    let agreeing = contract.attributes.len() - differing.len();
    json!({
        "kinds": kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
        "rows": differing.iter().take(ATTRIBUTES).map(|one| row(one)).collect::<Vec<_>>(),
        "more": differing.len().saturating_sub(ATTRIBUTES),
        "agreeing": (agreeing > 0).then(|| match agreeing {
            1 => "1 more attribute agrees".to_owned(),
            more => format!("{more} more attributes agree"),
        }),
        "pairs": count(pairs),
    })
}

/// So many attributes are shown.
const ATTRIBUTES: usize = 60;

/// How long keys have waited, in steps that people think in.
fn waits(contract: &ContractAudit) -> Option<Value> {
    const STEPS: [(u64, &str); 11] = [
        (10, "10 s"),
        (60, "1 min"),
        (300, "5 min"),
        (900, "15 min"),
        (3600, "1 h"),
        (10_800, "3 h"),
        (43_200, "12 h"),
        (86_400, "1 d"),
        (172_800, "2 d"),
        (691_200, "8 d"),
        (2_592_000, "30 d"),
    ];
    let lag = contract.lag.as_ref()?;
    let counts = lag.waits.between(&STEPS.map(|(seconds, _)| seconds));
    let most = *counts.iter().max()?;
    if most == 0 {
        return None;
    }
    let window = lag.window.and_then(|window| u64::try_from(window / 1_000_000_000).ok());
    let name = |place: usize| match place {
        0 => format!("under {}", STEPS[0].1),
        place if place == STEPS.len() => format!("{} and more", STEPS[place - 1].1),
        place => format!("{} to {}", STEPS[place - 1].1, STEPS[place].1),
    };
    let bars = counts.iter().enumerate().map(|(place, keys)| {
        let beyond = window.is_some_and(|window| place > 0 && STEPS[place - 1].0 >= window);
        let width = if *keys == 0 { 0.0 } else { (share(*keys, most) * 100.0).max(0.6) };
        let class = if beyond { "beyond" } else { "part" };
        let bar = charts::Bar::new([0.0, 0.0, width, 1.0], class.to_owned(), String::new());
        json!({"name": name(place), "keys": count(*keys), "bar": bar, "beyond": beyond})
    });
    let bars: Vec<Value> = bars.collect();
    let first = counts.iter().position(|keys| *keys > 0).unwrap_or(0);
    let last = counts.iter().rposition(|keys| *keys > 0).unwrap_or(0);
    Some(json!({
        "bars": bars[first..=last],
        "window": window.map(crate::audit::lag::span),
        "counted": match lag.counted {
            crate::audit::lag::Counted::ToTheSnapshot => "from the change at the authority to the projection's snapshot",
            crate::audit::lag::Counted::BetweenMarkers => "from one `updated_at` to the other",
        },
    }))
}

fn over_time(contract: &ContractAudit) -> Option<Value> {
    let found = contract.recurrence.as_ref()?;
    let tile = |what: &str, lines: u64| json!({"what": what, "lines": count(lines)});
    let mut tiles = vec![tile("new", found.new), tile("recurring", found.recurring), tile("resolved", found.resolved)];
    if found.unseen > 0 {
        tiles.push(tile("not looked at", found.unseen));
    }
    Some(json!({
        "since": found.since,
        "tiles": tiles,
        "oldest": found.oldest.as_ref().map(|oldest| json!({
            "at": charts::minute(oldest.first_seen),
            "run": oldest.first_run,
            "runs": counted(oldest.runs, "run"),
        })),
    }))
}

fn decided(contract: &ContractAudit) -> Option<Value> {
    let decided = &contract.decided;
    let group = |(group, lines): (&crate::audit::decision::Group, &u64)| {
        json!({
            "choice": group.choice.name(),
            "until": group.until.map(|until| until.to_string()),
            "who": group.who,
            "lines": count(*lines),
            "away": group.choice.away(),
        })
    };
    decided.any().then(|| {
        json!({
            "groups": decided.groups.iter().map(group).collect::<Vec<_>>(),
            "lapsed": (decided.lapsed > 0).then(|| count(decided.lapsed)),
            "ran_out": (decided.ran_out > 0).then(|| count(decided.ran_out)),
        })
    })
}

/// What is said of an input in its place.
pub(super) fn as_of(input: &InputFacts) -> String {
    input.captured_at.map_or_else(|| "not told".to_owned(), |at| at.to_string())
}
