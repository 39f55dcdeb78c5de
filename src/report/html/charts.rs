//! The geometry of charts, in units that a page scales: rectangles with a class and a sentence each. Every chart has its
//! numbers in words beside it, so nothing is known by colour or shape alone. It never rounds a figure that it names.

use serde::Serialize;

use super::super::escape::count;
use super::{PastRun, Unknown};
use crate::audit::{Audit, ContractAudit, Verdict};

/// A rectangle.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) class: String,
    pub(super) title: String,
}

impl Bar {
    pub(super) fn new([x, y, w, h]: [f64; 4], class: String, title: String) -> Self {
        let unit = |number: f64| format!("{number:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
        Self { x: unit(x), y: unit(y), width: unit(w), height: unit(h), class, title }
    }
}

/// A contract run by run.
#[derive(Debug, Serialize)]
pub(super) struct Trend {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) bars: Vec<Bar>,
    /// Newest first: run, when, verdict, version, keys.
    pub(super) rows: Vec<[String; 5]>,
    /// What the chart says, in a sentence.
    pub(super) said: String,
    pub(super) most: String,
    /// Some run is not there any more as it was.
    pub(super) gone: bool,
}

/// How high a chart of bars is.
const HEIGHT: u32 = 100;
/// Places for runs, so that a short history is not stretched.
const SLOTS: usize = 24;
const SLOT: u32 = 10;

/// A length as a share of another, for drawing.
#[expect(clippy::cast_precision_loss, reason = "it is drawn, and the number stands beside it")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How dark a count is among others, in five steps; 0 is nothing.
pub(super) fn shade(part: u64, most: u64) -> u8 {
    match (part, share(part, most)) {
        (0, _) => 0,
        (_, of) if of > 0.6 => 5,
        (_, of) if of > 0.25 => 4,
        (_, of) if of > 0.08 => 3,
        (_, of) if of > 0.01 => 2,
        _ => 1,
    }
}

/// The runs of a contract with this one; None where there was none before.
pub(super) fn trend(contract: &ContractAudit, audit: &Audit, past: &[PastRun]) -> Option<Trend> {
    if past.is_empty() {
        return None;
    }
    let now = PastRun {
        run_id: audit.run_id.clone(),
        at: Some(audit.started_at),
        verdict: contract.verdict.name().to_owned(),
        version: Some(contract.version.clone()),
        keys: match (contract.verdict, audit.narrowed()) {
            (_, Some(_)) => Err(Unknown::Narrowed),
            (Verdict::Unverified, None) => Err(Unknown::Unverified),
            (_, None) => Ok(contract.keys.values().sum()),
        },
    };
    let runs: Vec<&PastRun> = past.iter().chain([&now]).collect();
    let runs = &runs[runs.len().saturating_sub(SLOTS)..];
    let most = runs.iter().filter_map(|run| run.keys.ok()).max().unwrap_or(0);
    let first = SLOTS - runs.len();
    let bars = runs.iter().enumerate().map(|(place, run)| {
        #[expect(clippy::cast_precision_loss, reason = "a place among two dozen")]
        let x = (first + place) as f64 * f64::from(SLOT) + 1.0;
        let full = f64::from(HEIGHT);
        let height = run.keys.map_or(full, |keys| (share(keys, most) * (full - 4.0)).max(2.0));
        let class = match run.keys {
            Ok(_) => format!("{} known", run.verdict),
            Err(Unknown::Unverified | Unknown::Narrowed) => format!("{} unknown", run.verdict),
            Err(Unknown::Pruned | Unknown::Damaged) => "gone".to_owned(),
        };
        Bar::new([x, full - height, f64::from(SLOT) - 2.0, height], class, said(run))
    });
    let said = match (past.last().and_then(|last| last.keys.ok()), now.keys.ok()) {
        (Some(before), Some(keys)) if keys > before => format!("{} more than in the run before", count(keys - before)),
        (Some(before), Some(keys)) if keys < before => format!("{} fewer than in the run before", count(before - keys)),
        (Some(_), Some(_)) => "as many as in the run before".to_owned(),
        _ => "not known for one of the last two runs".to_owned(),
    };
    Some(Trend {
        width: SLOTS as u32 * SLOT,
        height: HEIGHT,
        bars: bars.collect(),
        rows: runs.iter().rev().map(|run| row(run)).collect(),
        said,
        most: count(most),
        gone: runs.iter().any(|run| matches!(run.keys, Err(Unknown::Pruned | Unknown::Damaged))),
    })
}

impl Unknown {
    fn words(self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Narrowed => "narrowed by --where",
            Self::Pruned => "pruned",
            Self::Damaged => "missing or changed",
        }
    }
}

fn row(run: &PastRun) -> [String; 5] {
    [
        run.run_id.clone(),
        run.at.map_or_else(String::new, minute),
        run.verdict.clone(),
        run.version.clone().unwrap_or_default(),
        run.keys.map_or_else(|why| format!("not known: {}", why.words()), count),
    ]
}

fn said(run: &PastRun) -> String {
    let [id, at, verdict, version, keys] = row(run);
    let version = if version.is_empty() { version } else { format!(", version {version}") };
    format!("{at} ({id}): {verdict}, keys that diverge: {keys}{version}")
}

/// An instant to the minute.
pub(super) fn minute(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
