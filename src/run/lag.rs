//! What the markers of both sides come to: the pace that rows are judged by, the counts of how far they lie behind, and what
//! keeps markers from telling anything.

use jiff::Timestamp;

use super::Halt;
use super::carried::MarkerFacts;
use super::compare::Work;
use super::tally::Tally;
use crate::audit::lag::{Counted, Histogram, Lag, Oldest};
use crate::audit::strip::Strip;
use crate::classify::{Bench, Divergence, Pace};
use crate::contract::{Contract, Kind};
use crate::diff::resolve::Difference;
use crate::normalise::Clock;
use crate::sides::{Side, Sides};
use crate::source;

/// How far the keys of some partitions lie behind; counts add up in any order.
#[derive(Debug, Default)]
pub(super) struct LagCounts {
    within: u64,
    beyond: u64,
    versions: Histogram,
    seconds: Histogram,
    /// The earliest change, and of equals the least key.
    oldest: Option<(i128, Box<str>)>,
    /// When the rows of divergences were changed.
    changed: Strip,
}

impl LagCounts {
    /// Counts a difference that was judged.
    pub(super) fn note(&mut self, bench: Bench<'_>, difference: &Difference, divergences: &[Divergence]) {
        let Some(first) = divergences.first() else { return };
        if let Some(at) = changed_at(bench, difference) {
            self.changed.add(first.kind, at);
        }
        match first.kind {
            Kind::InFlight => self.within += 1,
            Kind::Stale => self.beyond += 1,
            _ => return,
        }
        let behind = bench.behind(difference);
        behind.versions.into_iter().for_each(|versions| self.versions.add(versions));
        behind.seconds.into_iter().for_each(|seconds| self.seconds.add(seconds));
        if let (Some(since), Some(key)) = (behind.since, &first.key) {
            self.older((since, key.clone()));
        }
    }

    fn older(&mut self, one: (i128, Box<str>)) {
        if self.oldest.as_ref().is_none_or(|held| one < *held) {
            self.oldest = Some(one);
        }
    }

    /// Counts what another has counted.
    pub(super) fn join(&mut self, other: Self) {
        self.within += other.within;
        self.beyond += other.beyond;
        self.versions.join(&other.versions);
        self.seconds.join(&other.seconds);
        self.changed.join(other.changed);
        other.oldest.into_iter().for_each(|oldest| self.older(oldest));
    }

    /// As the audit has it, with the key as it may be shown.
    pub(super) fn closed(self, contract: &Contract, counted: Counted, shown: impl Fn(&str) -> Box<str>) -> Lag {
        let oldest = self.oldest.and_then(|(since, key)| {
            Some(Oldest { key: shown(&key).into(), since: Timestamp::from_nanosecond(since).ok()? })
        });
        Lag {
            window: contract.window.map(|window| window.0),
            within: self.within,
            beyond: self.beyond,
            versions: self.versions.spread(),
            seconds: self.seconds.spread(),
            counted,
            oldest,
            waits: self.seconds,
            changed: self.changed,
        }
    }
}

/// When the row that a difference is named by was changed, in seconds since 1970.
fn changed_at(bench: Bench<'_>, difference: &Difference) -> Option<i128> {
    let (side, at) = match difference {
        Difference::Differ { rows, .. } | Difference::Tombstone { rows, .. } => (Side::Authority, rows.authority),
        Difference::Unpaired { side, row, .. }
        | Difference::DuplicateKey { side, row, .. }
        | Difference::NullKey { side, row } => (*side, *row),
    };
    bench.rows.get(side).updated_of(at).map(|mark| mark.at.div_euclid(Clock::UNIT))
}

impl Work<'_> {
    /// What rows are judged by, now that all were seen; None where there are neither markers nor tombstones. Says what keeps
    /// markers from telling anything.
    pub(super) fn pace(&self, tally: &mut Tally<'_>) -> Result<Option<Pace>, Halt> {
        let contract = self.batch.contract;
        let captured = self.inputs.sides.as_ref().try_map(|side, input| {
            let told = source::captured_at(contract.sources.get(side), &input.opened);
            let told = told.map_err(|error| Halt::Source { side, error })?;
            Ok::<_, Halt>(told.or(tally.captured_at(side)))
        })?;
        for warning in warnings(contract, tally.markers(), &captured) {
            tally.warn(warning);
        }
        let marked =
            contract.sources.iter().any(|(_, source)| source.version_column.is_some() || source.updated_at.is_some());
        if contract.window.is_some() || marked {
            let snapshot = captured.projection.is_some();
            tally.lags(if snapshot { Counted::ToTheSnapshot } else { Counted::BetweenMarkers });
        }
        let markers = &tally.markers().projection;
        Ok(self.inputs.carries().then(|| Pace {
            window: contract.window.map(|window| window.0),
            captured_at: captured.projection.map(Timestamp::as_nanosecond),
            began: self.batch.settings.started_at.as_nanosecond(),
            version: markers.version,
            updated: markers.updated,
        }))
    }
}

/// What keeps markers from telling anything.
fn warnings(contract: &Contract, markers: &Sides<MarkerFacts>, captured: &Sides<Option<Timestamp>>) -> Vec<String> {
    let sources = &contract.sources;
    if contract.key.is_empty() {
        let marked = |side| sources.get(side).version_column.is_some() || sources.get(side).updated_at.is_some();
        let used = contract.window.is_some() || Side::BOTH.into_iter().any(marked);
        let said = "without a key rows have no pairs: `version_column`, `updated_at` and `window` say nothing";
        return if used { vec![said.to_owned()] } else { Vec::new() };
    }
    let mut said = Vec::new();
    let given = |option: &str, of: Sides<bool>| {
        let only = match (of.authority, of.projection) {
            (true, false) => "authority",
            (false, true) => "projection",
            _ => return None,
        };
        Some(format!("`{option}` is given for the {only} only, so no pair can be told by it"))
    };
    said.extend(given("version_column", sources.as_ref().map(|_, source| source.version_column.is_some())));
    if sources.authority.updated_at.is_none() || contract.window.is_none() {
        // With a window the authority's alone is of use.
        said.extend(given("updated_at", sources.as_ref().map(|_, source| source.updated_at.is_some())));
    }
    for (side, facts) in markers.iter() {
        for (option, values, expected) in [
            ("version_column", facts.unknown_versions, "neither number nor time"),
            ("updated_at", facts.unknown_updates, "no time"),
        ] {
            if values > 0 {
                said.push(match values {
                    1 => format!("{side}: 1 value of `{option}` is {expected} and tells nothing"),
                    _ => format!("{side}: {values} values of `{option}` are {expected} and tell nothing"),
                });
            }
        }
        let instants_across = markers.get(side.other()).updated.of(Clock::Instant).is_some();
        let for_window = side == Side::Authority && contract.window.is_some();
        if facts.local_updates > 0 && (instants_across || for_window) {
            said.push(format!("{side}: times of `updated_at` have no zone, so they have no order with instants and are excused by no `window`: set `timezone` of source `{}`", sources.get(side).name));
        }
    }
    said.extend(other_sorts(markers));
    said.extend(window_in_vain(contract, captured));
    said
}

/// Versions that are all of one sort on one side and all of another on the other.
fn other_sorts(markers: &Sides<MarkerFacts>) -> Option<String> {
    let clocks = markers
        .as_ref()
        .map(|_, facts| [Clock::Number, Clock::Instant, Clock::Local].map(|clock| facts.version.of(clock).is_some()));
    let some = |side: Side| clocks.get(side).contains(&true);
    let common = (0..3).any(|clock| clocks.authority[clock] && clocks.projection[clock]);
    let apart = some(Side::Authority) && some(Side::Projection) && !common;
    apart.then(|| "`version_column` holds numbers on one side and times on the other, or times of which one side's have no zone: no pair can be told by it".to_owned())
}

/// Why a window excuses nothing, or what it cannot.
fn window_in_vain(contract: &Contract, captured: &Sides<Option<Timestamp>>) -> Option<String> {
    let window = contract.window?;
    let sources = &contract.sources;
    if sources.authority.updated_at.is_none() {
        let source = &sources.authority.name;
        return Some(format!(
            "`window` excuses nothing: nothing tells when a row of the authority was changed; set `updated_at` of source `{source}`"
        ));
    }
    let Some(projection) = captured.projection else {
        let source = &sources.projection.name;
        return Some(format!(
            "`window` excuses nothing: nothing tells when the projection was captured; set `captured_at` of source `{source}`"
        ));
    };
    let gap = captured.authority?.as_nanosecond() - projection.as_nanosecond();
    (gap > window.0).then(|| {
        format!("the projection was captured {} before the authority, more than the window: changes in between count as in flight, and only a later copy can show that they arrived", span(gap))
    })
}

/// A length of time in its two greatest units.
fn span(nanoseconds: i128) -> String {
    crate::audit::lag::span(u64::try_from(nanoseconds / Clock::UNIT).unwrap_or(0))
}
