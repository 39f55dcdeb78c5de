//! How each contract stands to its cadence: when it ran last, when it last agreed, whether it is overdue. It never reads
//! the clock.

use std::io;

use jiff::Timestamp;

use super::manifest::recorded_at;
use super::trail::{Facts, Trail};
use crate::audit::{Audit, Verdict};

/// What a contract says of how often it must run.
#[derive(Clone, Debug)]
pub struct Cadence {
    /// The contract.
    pub contract: String,
    /// How often it must have run, in nanoseconds, and as the contract writes it.
    pub every: Option<(i128, String)>,
}

/// How a contract stands to its cadence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The contract.
    pub contract: String,
    /// How often it must have run, in nanoseconds, and as the contract writes it.
    pub every: Option<(i128, String)>,
    /// When it last ran as a whole, whatever came of it.
    pub last_run: Option<Timestamp>,
    /// When it last agreed.
    pub last_success: Option<Timestamp>,
    /// It ought to have run since.
    pub overdue: bool,
}

impl Standing {
    /// How it stands at an instant, by the ledger alone. A run that `--where` narrowed is not one of the whole.
    ///
    /// # Errors
    /// What kept a run from being read.
    pub fn of(trail: Option<&Trail>, cadence: &Cadence, now: Timestamp) -> io::Result<Self> {
        let (mut last_run, mut last_success) = (None, None);
        for entry in trail.into_iter().flat_map(|trail| trail.of_contract(&cadence.contract)) {
            let agreed = entry.verdict_of(&cadence.contract) == Some(Verdict::Agreed.name());
            if last_run.is_some() && !agreed {
                continue;
            }
            if let Facts::Whole(kept) = entry.read()?
                && kept.narrowed().is_some()
            {
                continue;
            }
            last_run = last_run.or(entry.recorded_at());
            if agreed {
                last_success = entry.recorded_at();
                break;
            }
        }
        let mut standing = Self {
            contract: cadence.contract.clone(),
            every: cadence.every.clone(),
            last_run,
            last_success,
            overdue: false,
        };
        standing.overdue = standing.late_at(now);
        Ok(standing)
    }

    fn late_at(&self, now: Timestamp) -> bool {
        self.every.as_ref().is_some_and(|(every, _)| {
            self.last_run.is_none_or(|last| now.as_nanosecond() - last.as_nanosecond() > *every)
        })
    }

    /// The sentence about one that is overdue. One that never ran is only said where `also_new`.
    pub(super) fn complaint(&self, also_new: bool) -> Option<String> {
        let (_, every) = self.every.as_ref().filter(|_| self.overdue)?;
        let name = &self.contract;
        match self.last_run {
            Some(last) => {
                Some(format!("contract \"{name}\" is overdue: it must run every {every}, and ran last at {last}"))
            }
            None if also_new => {
                Some(format!("contract \"{name}\" is overdue: it must run every {every}, and never ran"))
            }
            None => None,
        }
    }
}

/// How every contract stands when a run ends, that run counted.
pub(super) fn standings(trail: Option<&Trail>, audit: &Audit, cadences: &[Cadence]) -> io::Result<Vec<Standing>> {
    let now = recorded_at(audit.started_at, audit.elapsed_ms).map_err(io::Error::other)?;
    let whole = !audit.settings.contains_key("where");
    let mut standings = Vec::with_capacity(cadences.len());
    for cadence in cadences {
        let mut standing = Standing::of(trail, cadence, now)?;
        if let Some(contract) = audit.contracts.iter().find(|contract| contract.name == cadence.contract && whole) {
            standing.last_run = Some(now);
            if contract.verdict == Verdict::Agreed {
                standing.last_success = Some(now);
            }
            standing.overdue = false;
        }
        standings.push(standing);
    }
    Ok(standings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_overdue_when_its_cadence_has_passed_or_it_never_ran() {
        let now: Timestamp = "2026-11-22T08:00:00Z".parse().expect("an instant");
        let day = Some((86_400_000_000_000, "24h".to_owned()));
        let cases = [
            (day.clone(), Some("2026-11-21T08:00:00Z"), false),
            (day.clone(), Some("2026-11-21T07:59:59Z"), true),
            (day, None, true),
            (None, None, false),
        ];
        for (every, last_run, overdue) in cases {
            let last_run = last_run.map(|last| last.parse().expect("an instant"));
            let standing =
                Standing { contract: "orders".to_owned(), every, last_run, last_success: None, overdue: false };
            assert_eq!(standing.late_at(now), overdue, "{standing:?}");
        }
    }
}
