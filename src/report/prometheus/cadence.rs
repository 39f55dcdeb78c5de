//! When each contract ran last and last agreed, for alerts that no job sends any more. It never decides what is overdue.

use jiff::Timestamp;

use super::{Metric, Sample, seconds};

/// How one contract stands to its cadence.
#[derive(Clone, Copy, Debug)]
pub struct Cadence<'a> {
    /// Its name.
    pub contract: &'a str,
    /// How often it must have run, in nanoseconds.
    pub every: Option<i128>,
    /// When it last ran.
    pub last_run: Option<Timestamp>,
    /// When it last agreed.
    pub last_success: Option<Timestamp>,
    /// It ought to have run since.
    pub overdue: bool,
}

/// The metrics; a contract without a figure has no sample.
pub(super) fn metrics<'a>(contracts: &'a [Cadence<'a>]) -> Vec<Metric<'a>> {
    let instant = |at: Option<Timestamp>| at.map(|at| seconds(at.as_millisecond()));
    vec![
        each(
            contracts,
            "reconcile_contract_overdue",
            "Whether it ought to have run since, by its cadence.",
            |contract| contract.every.map(|_| u8::from(contract.overdue).to_string()),
        ),
        each(contracts, "reconcile_contract_cadence_seconds", "How often it must have run.", |contract| {
            contract.every.map(|every| seconds(i64::try_from(every / 1_000_000).unwrap_or(i64::MAX)))
        }),
        each(
            contracts,
            "reconcile_contract_last_run_timestamp_seconds",
            "When it last ran as a whole, whatever came of it, in seconds since 1970.",
            |contract| instant(contract.last_run),
        ),
        each(
            contracts,
            "reconcile_contract_last_success_timestamp_seconds",
            "When it last agreed, in seconds since 1970.",
            |contract| instant(contract.last_success),
        ),
    ]
}

fn each<'a>(
    contracts: &'a [Cadence<'a>],
    name: &'static str,
    help: &'static str,
    value: impl Fn(&Cadence<'a>) -> Option<String>,
) -> Metric<'a> {
    let sample = |contract: &'a Cadence<'a>| -> Option<Sample<'a>> {
        Some((vec![("contract", contract.contract)], value(contract)?))
    };
    Metric { name, help, samples: contracts.iter().filter_map(sample).collect() }
}
