//! What is measured of a run besides what it found: how long each part took, and how its lines spread over kinds and
//! severities. Instants come in as values; it never reads the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::contract::{Kind, Severity};

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// One for each contract that was begun, in their order.
    pub timings: Vec<Timing>,
    /// Lines by contract, kind and severity.
    pub lines: LineCounts,
}

impl Measured {
    /// How long a contract took, where it was begun.
    #[must_use]
    pub fn timing(&self, contract: &str) -> Option<&Timing> {
        self.timings.iter().find(|timing| timing.contract == contract)
    }
}

/// How long one contract took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The contract.
    pub contract: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Its phases, in the order in which they began.
    pub phases: Vec<Phase>,
}

/// One phase of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// As progress bars name it.
    pub name: String,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
}

impl Timing {
    /// How long the phases of each name took together, in the order in which the names first came.
    #[must_use]
    pub fn by_phase(&self) -> Vec<(&str, Duration)> {
        let mut sums: Vec<(&str, Duration)> = Vec::new();
        for phase in &self.phases {
            match sums.iter_mut().find(|(name, _)| *name == phase.name) {
                Some((_, took)) => *took += phase.took,
                None => sums.push((&phase.name, phase.took)),
            }
        }
        sums
    }
}

/// How many lines of `divergences.parquet` each contract has, by kind and severity.
#[derive(Clone, Debug, Default)]
pub struct LineCounts(BTreeMap<String, BTreeMap<(Kind, Severity), u64>>);

impl LineCounts {
    /// One more line.
    pub fn add(&mut self, contract: &str, kind: Kind, severity: Severity) {
        if !self.0.contains_key(contract) {
            self.0.insert(contract.to_owned(), BTreeMap::new());
        }
        if let Some(counts) = self.0.get_mut(contract) {
            *counts.entry((kind, severity)).or_default() += 1;
        }
    }

    /// Those of one contract, in the order of kinds, then of severities.
    pub fn of(&self, contract: &str) -> impl Iterator<Item = (Kind, Severity, u64)> {
        self.0.get(contract).into_iter().flatten().map(|((kind, severity), lines)| (*kind, *severity, *lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_of_one_name_are_added_up_where_the_first_stood() {
        let phase = |name: &str, seconds| Phase {
            name: name.to_owned(),
            began: Timestamp::UNIX_EPOCH,
            took: Duration::from_secs(seconds),
        };
        let timing = Timing {
            contract: "a".to_owned(),
            began: Timestamp::UNIX_EPOCH,
            took: Duration::from_secs(9),
            phases: vec![phase("reading", 1), phase("looking closer", 2), phase("reading", 4)],
        };
        let seconds: Vec<_> = timing.by_phase().into_iter().map(|(name, took)| (name, took.as_secs())).collect();
        assert_eq!(seconds, [("reading", 5), ("looking closer", 2)]);
    }

    #[test]
    fn lines_are_counted_by_contract_kind_and_severity() {
        let mut lines = LineCounts::default();
        for (contract, severity) in [("a", Severity::High), ("b", Severity::Low), ("a", Severity::High)] {
            lines.add(contract, Kind::Missing, severity);
        }
        assert_eq!(lines.of("a").collect::<Vec<_>>(), [(Kind::Missing, Severity::High, 2)]);
        assert_eq!(lines.of("c").count(), 0);
    }
}
