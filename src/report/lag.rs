//! How far a projection lies behind, in sentences that every report for people takes; where no marker was given there are none.

use super::escape::{count, counted, shorten, visible};
use crate::audit::ContractAudit;
use crate::audit::lag::{Counted, Lag, Spread, span};

/// Labels and sentences, in reading order.
pub(super) fn sentences(contract: &ContractAudit) -> Vec<(&'static str, String)> {
    let Some(lag) = &contract.lag else { return Vec::new() };
    let mut said = Vec::new();
    if lag.within + lag.beyond > 0 {
        said.push(("lag", keys(lag)));
    }
    if let Some(versions) = &lag.versions {
        said.push(("behind", spread(versions, count, if versions.max == 1 { " version" } else { " versions" })));
    }
    if let Some(seconds) = &lag.seconds {
        let counted = match lag.counted {
            Counted::ToTheSnapshot => "from the change to the projection's snapshot",
            Counted::BetweenMarkers => "from one `updated_at` to the other",
        };
        said.push(("behind", format!("{}, {counted}", spread(seconds, span, ""))));
    }
    if let Some(oldest) = &lag.oldest {
        said.push(("oldest", format!("{}, since {}", shorten(&visible(&oldest.key), 100), oldest.since)));
    }
    said.extend(gap(contract).map(|gap| ("snapshots", gap)));
    said
}

fn keys(lag: &Lag) -> String {
    let all = counted(lag.within + lag.beyond, "key");
    match lag.window.and_then(|window| u64::try_from(window / 1_000_000_000).ok()) {
        Some(window) => {
            let (within, beyond) = (count(lag.within), count(lag.beyond));
            format!("{all} behind: {within} within the window of {}, {beyond} beyond it", span(window))
        }
        None => format!("{all} behind"),
    }
}

fn spread(spread: &Spread, shown: impl Fn(u64) -> String, unit: &str) -> String {
    if spread.min == spread.max {
        return format!("{}{unit}", shown(spread.max));
    }
    let [min, median, p95, p99, max] = [spread.min, spread.median, spread.p95, spread.p99, spread.max].map(shown);
    format!("{min} to {max}{unit} (median {median}, p95 {p95}, p99 {p99})")
}

/// How far apart the snapshots were taken, where both tell.
fn gap(contract: &ContractAudit) -> Option<String> {
    let (authority, projection) = (contract.inputs.authority.captured_at?, contract.inputs.projection.captured_at?);
    let gap = authority.as_second() - projection.as_second();
    Some(match gap {
        0 => "taken at one time".to_owned(),
        1.. => format!("taken {} apart, the projection's first", span(gap.unsigned_abs())),
        _ => format!("taken {} apart, the authority's first", span(gap.unsigned_abs())),
    })
}
