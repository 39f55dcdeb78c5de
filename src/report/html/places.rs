//! Where divergences lie: in the order of their keys, and in the time at which their rows were changed. A line of cells for
//! each kind, the darker the more. It never shows where rows that agree lie: these were let go.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::escape::{count, counted, shorten, visible};
use super::charts::{Bar, shade};
use crate::audit::ContractAudit;
use crate::audit::gallery::Gallery;
use crate::audit::places::Order;
use crate::audit::strip::Strip;
use crate::contract::Kind;

/// One such line of lines.
#[derive(Debug, Serialize)]
pub(super) struct Places {
    title: String,
    /// What the order is.
    said: String,
    width: u32,
    kinds: Vec<Lane>,
    ends: [String; 2],
    /// Where nothing diverges for so long that it is not drawn: from, to, and where in the drawing.
    gaps: Vec<(String, String)>,
    /// Lines at the gaps.
    cuts: Vec<Bar>,
    /// The steps that hold most, as words.
    most: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Lane {
    kind: &'static str,
    keys: String,
    cells: Vec<Bar>,
}

/// A step: its place, its kind, how many, and how people call it.
type Step = (u32, Kind, u64, String);

/// Places and what separates them.
struct Drawing {
    steps: Vec<Step>,
    ends: [String; 2],
    gaps: Vec<(u32, String, String)>,
}

/// So many places are drawn, about.
const PLACES: i128 = 120;
/// A stretch without divergences that is longer than this part of the whole is left out.
const GAP: i128 = 6;

/// In the order of keys and in time, as far as each is known.
pub(super) fn view(contract: &ContractAudit, gallery: Option<&Gallery>) -> Vec<Places> {
    let mut places = Vec::new();
    places.extend(gallery.and_then(|gallery| by_key(contract, gallery)));
    let changed = contract.lag.as_ref().map(|lag| &lag.changed);
    places.extend(changed.filter(|strip| strip.ends().is_some_and(|(least, most)| least < most)).map(by_time));
    places
}

fn by_key(contract: &ContractAudit, gallery: &Gallery) -> Option<Places> {
    let (order, placed, elsewhere) = gallery.places().order()?;
    let first = contract.key.first()?;
    let first = if contract.key.len() > 1 { format!("{first}, the first part of the key") } else { first.clone() };
    let (drawing, how) = match &order {
        Order::Numbers(before, digits, strip) => {
            let shown = |number| format!("{}{number:0width$}", shorten(&visible(before), 20), width = *digits);
            (of_strip(strip, shown), "by number")
        }
        Order::Days(strip) => (of_strip(strip, day), "by day"),
        Order::Beginnings(counts) => (of_beginnings(counts), "by how it begins, where anything diverges"),
    };
    let mut said = format!("{} of {}, {how}", counted(placed, "line"), visible(&first));
    if elsewhere > 0 {
        said.push_str(&format!("; {} without a place in this order", counted(elsewhere, "line")));
    }
    Some(drawn("In the order of keys", said, drawing))
}

fn by_time(strip: &Strip) -> Places {
    let shown = |seconds: i128| {
        let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        at.map_or_else(|| seconds.to_string(), super::charts::minute)
    };
    let said = format!("{} by when the row was changed", counted(strip.counted(), "key"));
    drawn("In time", said, of_strip(strip, shown))
}

fn of_beginnings(counts: &BTreeMap<(String, Kind), u64>) -> Drawing {
    let texts: std::collections::BTreeSet<&str> = counts.keys().map(|(text, _)| text.as_str()).collect();
    let at = |text: &str| texts.iter().position(|known| *known == text).unwrap_or(0) as u32;
    let name = |text: &str| format!("{}…", shorten(&visible(text), 20));
    let steps = counts.iter().map(|((text, kind), count)| (at(text), *kind, *count, name(text))).collect();
    let ends = [texts.first(), texts.last()].map(|end| name(end.copied().unwrap_or_default()));
    Drawing { steps, ends, gaps: Vec::new() }
}

/// Even places along each stretch between long gaps; a stretch has as many as it holds of all steps.
fn of_strip(strip: &Strip, shown: impl Fn(i128) -> String) -> Drawing {
    let (least, most) = strip.ends().unwrap_or_default();
    let mut firsts: Vec<i128> = strip.steps().map(|(first, ..)| first.max(least)).collect();
    firsts.dedup();
    let last_of = |first: i128| first.saturating_add(strip.width() - 1 - first.rem_euclid(strip.width())).min(most);
    let long = most.saturating_sub(least) / GAP;
    let mut stretches: Vec<(i128, i128, i128)> = Vec::new();
    for first in firsts {
        match stretches.last_mut() {
            Some(stretch) if first.saturating_sub(stretch.1) <= long.max(strip.width()) => {
                (stretch.1, stretch.2) = (last_of(first), stretch.2 + 1);
            }
            _ => stretches.push((first, last_of(first), 1)),
        }
    }
    let all: i128 = stretches.iter().map(|stretch| stretch.2).sum();
    let mut drawing = Drawing { steps: Vec::new(), ends: [shown(least), shown(most)], gaps: Vec::new() };
    let mut merged: BTreeMap<(u32, Kind), u64> = BTreeMap::new();
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    let mut begin = 0_u32;
    for (place, (first, last, steps)) in stretches.iter().enumerate() {
        let length = last.saturating_sub(*first).saturating_add(1);
        let places = (PLACES * steps / all.max(1)).clamp(3, PLACES).min(length);
        let each = (length / places + i128::from(length % places > 0)).max(1);
        for (at, kind, count) in strip.steps().filter(|(at, ..)| (at.max(&least) >= first) && at <= last) {
            let step = u32::try_from((at.max(*first) - first) / each).unwrap_or(0);
            *merged.entry((begin + step, kind)).or_default() += count;
            names.entry(begin + step).or_insert_with(|| {
                let from = first.saturating_add(i128::from(step) * each);
                let (from, to) = (shown(from), shown(from.saturating_add(each - 1).max(last_of(at)).min(*last)));
                if from == to { from } else { format!("{from} to {to}") }
            });
        }
        begin += u32::try_from(places).unwrap_or(1);
        if let Some((next, ..)) = stretches.get(place + 1) {
            drawing.gaps.push((begin, shown(*last), shown(*next)));
            begin += 1;
        }
    }
    drawing.steps = merged
        .into_iter()
        .map(|((at, kind), count)| (at, kind, count, names.get(&at).cloned().unwrap_or_default()))
        .collect();
    drawing
}

fn drawn(title: &str, said: String, drawing: Drawing) -> Places {
    let Drawing { steps, ends, gaps } = drawing;
    let width = steps.iter().map(|step| step.0).max().unwrap_or(0) + 1;
    let mut kinds: BTreeMap<Kind, Vec<&Step>> = BTreeMap::new();
    steps.iter().for_each(|step| kinds.entry(step.1).or_default().push(step));
    let most = steps.iter().map(|step| step.2).max().unwrap_or(0);
    let cuts = gaps.iter().map(|(at, from, to)| {
        let title = format!("left out, nothing diverges: {from} to {to}");
        Bar::new([f64::from(*at) + 0.1, 0.0, 0.8, 1.0], "cut".to_owned(), title)
    });
    let cuts: Vec<Bar> = cuts.collect();
    let lane = |(kind, steps): (Kind, Vec<&Step>)| Lane {
        kind: kind.name(),
        keys: count(steps.iter().map(|step| step.2).sum()),
        cells: steps.iter().map(|step| cell(step, most)).collect(),
    };
    let mut worst: Vec<&Step> = steps.iter().collect();
    worst.sort_by_key(|step| (std::cmp::Reverse(step.2), step.0, step.1));
    let most = worst.iter().take(3).map(|(_, kind, keys, name)| format!("{} {} at {name}", count(*keys), kind.name()));
    let most = most.collect();
    let gaps = gaps.into_iter().map(|(_, from, to)| (from, to)).collect();
    Places {
        title: title.to_owned(),
        said,
        width,
        kinds: kinds.into_iter().map(lane).collect(),
        ends,
        gaps,
        cuts,
        most,
    }
}

fn cell((place, kind, keys, name): &Step, most: u64) -> Bar {
    let title = format!("{name}: {} {}", count(*keys), kind.name());
    Bar::new([f64::from(*place), 0.0, 1.0, 1.0], format!("q{}", shade(*keys, most)), title)
}

fn day(days: i128) -> String {
    let span = i32::try_from(days).ok().map(|days| jiff::Span::new().days(days));
    let date = span.and_then(|span| jiff::civil::date(1970, 1, 1).checked_add(span).ok());
    date.map_or_else(|| days.to_string(), |date| date.to_string())
}
