//! What a collector asks of a run besides its counts, as metrics: how old the snapshots were, which share diverges,
//! how long each part took.

use std::time::Duration;

use super::{Metric, each, seconds};
use crate::audit::{Audit, ContractAudit, Measured};
use crate::contract::Kind;

/// The metrics; one without samples is not written.
pub(super) fn metrics<'a>(audit: &'a Audit, measured: &'a Measured) -> Vec<Metric<'a>> {
    vec![
        Metric {
            name: "reconcile_build_info",
            help: "The version of reconcile; always 1.",
            samples: vec![(vec![("version", env!("CARGO_PKG_VERSION"))], "1".to_owned())],
        },
        each(
            audit,
            "reconcile_divergence_ratio",
            "Diverging keys, without those in flight, over the authority's rows.",
            |contract| ratio(contract).map(|ratio| (vec![], ratio)).into_iter().collect(),
        ),
        each(audit, "reconcile_snapshot_age_seconds", "How old the snapshot was when the run began.", |contract| {
            let told = contract.inputs.iter().filter_map(|(side, input)| Some((side, input.captured_at?)));
            let age = |at: jiff::Timestamp| audit.started_at.as_millisecond() - at.as_millisecond();
            told.map(|(side, at)| (vec![("side", side.name())], seconds(age(at)))).collect()
        }),
        each(
            audit,
            "reconcile_divergence_kind_lines",
            "Lines of divergences.parquet, by kind and severity.",
            |contract| {
                let sample = |(kind, severity, lines): (Kind, crate::contract::Severity, u64)| {
                    (vec![("kind", kind.name()), ("severity", severity.name())], lines.to_string())
                };
                measured.lines.of(&contract.name).map(sample).collect()
            },
        ),
        each(audit, "reconcile_contract_duration_seconds", "How long the contract took.", |contract| {
            let timing = measured.timing(&contract.name);
            timing.map(|timing| (vec![], lasted(timing.took))).into_iter().collect()
        }),
        each(audit, "reconcile_phase_duration_seconds", "How long each phase of the contract took.", |contract| {
            let phases = measured.timing(&contract.name).into_iter().flat_map(crate::audit::Timing::by_phase);
            phases.map(|(name, took)| (vec![("phase", name)], lasted(took))).collect()
        }),
    ]
}

/// Which share of the authority's rows diverges; None where it has none.
fn ratio(contract: &ContractAudit) -> Option<String> {
    let keys: u64 = contract.keys.iter().filter(|(kind, _)| **kind != Kind::InFlight).map(|(_, keys)| keys).sum();
    let rows = contract.books.authority.read;
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people; the counts stand beside it")]
    let ratio = keys as f64 / rows as f64;
    (rows > 0).then(|| ratio.to_string())
}

fn lasted(took: Duration) -> String {
    seconds(i64::try_from(took.as_millis()).unwrap_or(i64::MAX))
}
