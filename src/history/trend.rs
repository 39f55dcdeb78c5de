//! How each contract went, run by run, as far as ledger and manifests tell. What they do not tell any more is a point
//! without figures, never a gap; what was changed is said.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use jiff::Timestamp;

use super::previous::major;
use super::trail::{Entry, Facts, Trail};
use super::watch::Watch;
use crate::audit::ContractAudit;

/// One contract over time.
#[derive(Debug, Default)]
pub struct Trend {
    /// Its newest runs, the oldest of them first.
    pub points: Vec<Point>,
    /// How many runs of it the ledger holds.
    pub runs: usize,
    /// The newest run over all keys, whether or not it is among the points.
    pub whole: Option<Spoke>,
    /// The same of a newer one that `--where` narrowed.
    pub narrowed: Option<Spoke>,
}

/// A run and how the contract ended in it, by the ledger.
#[derive(Debug)]
pub struct Spoke {
    /// The run.
    pub run_id: String,
    /// How the contract ended.
    pub verdict: String,
    /// What is left of the run: of one that is gone nobody knows whether it was of all keys.
    pub worth: Worth,
}

/// What a run is worth beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It tells all that it found, of all keys.
    Whole,
    /// The same, of the keys that `--where` left.
    Narrowed,
    /// Its folder was removed, and a line says so.
    Pruned,
    /// It is missing or was changed.
    Damaged,
}

impl Worth {
    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Narrowed => "narrowed",
            Self::Pruned => "pruned",
            Self::Damaged => "damaged",
        }
    }

    fn of(facts: &Facts) -> Self {
        match facts {
            Facts::Whole(kept) if kept.narrowed().is_some() => Self::Narrowed,
            Facts::Whole(_) => Self::Whole,
            Facts::Pruned => Self::Pruned,
            Facts::Damaged(_) => Self::Damaged,
        }
    }
}

/// One run of a contract.
#[derive(Debug)]
pub struct Point {
    /// The run.
    pub run_id: String,
    /// When it ended.
    pub recorded_at: Option<Timestamp>,
    /// How the contract ended, by the ledger.
    pub verdict: String,
    /// What else is known.
    pub state: State,
}

/// What is known of a run besides its verdict.
#[derive(Debug)]
pub enum State {
    /// What it found of the contract.
    Known {
        /// The figures.
        contract: Box<ContractAudit>,
        /// The predicate that left out a part of the keys, where there was one.
        narrowed: Option<String>,
    },
    /// Its folder was removed, and a line says so.
    Pruned,
    /// It is missing or was changed.
    Damaged,
}

impl Point {
    /// What the run is worth beside others.
    #[must_use]
    pub fn worth(&self) -> Worth {
        match self.state {
            State::Known { narrowed: None, .. } => Worth::Whole,
            State::Known { narrowed: Some(_), .. } => Worth::Narrowed,
            State::Pruned => Worth::Pruned,
            State::Damaged => Worth::Damaged,
        }
    }

    /// The figures, where the run was of the whole.
    #[must_use]
    pub fn whole(&self) -> Option<&ContractAudit> {
        match &self.state {
            State::Known { contract, narrowed: None } => Some(contract),
            _ => None,
        }
    }
}

impl Trend {
    /// Takes the verdict of a run, which is older than all that were taken before.
    fn spoke(&mut self, entry: Entry<'_>, name: &str, facts: &Facts) {
        let worth = Worth::of(facts);
        let said = || Spoke {
            run_id: entry.run_id().to_owned(),
            verdict: entry.verdict_of(name).unwrap_or_default().to_owned(),
            worth,
        };
        match (&self.whole, worth) {
            (Some(_), _) => {}
            (None, Worth::Narrowed) => self.narrowed = self.narrowed.take().or_else(|| Some(said())),
            (None, _) => self.whole = Some(said()),
        }
    }

    /// Where the newest major version begins among the points, with the version before it, where there is one.
    #[must_use]
    pub fn anew(&self) -> Option<(usize, &str)> {
        let whole = self.points.iter().enumerate().filter_map(|(index, point)| Some((index, point.whole()?)));
        let versions: Vec<(usize, &str)> = whole.map(|(index, contract)| (index, contract.version.as_str())).collect();
        let changed = versions.windows(2).rev().find(|pair| major(pair[0].1) != major(pair[1].1))?;
        Some((changed[1].0, changed[0].1))
    }
}

/// The trends of the contracts of the ledger, or of those that are named, at most so many runs of each; and what was
/// changed or is missing on the way, each a sentence.
///
/// # Errors
/// What kept a run from being read.
pub fn trends(
    trail: &Trail,
    named: &[String],
    last: usize,
    watch: &dyn Watch,
) -> io::Result<(BTreeMap<String, Trend>, Vec<String>)> {
    watch.goes_through("reading runs", "run", trail.runs().count() as u64);
    let mut problems = trail.complaints();
    let mut trends: BTreeMap<String, Trend> = BTreeMap::new();
    for entry in trail.runs().rev() {
        watch.did(1, 0);
        let wanted: BTreeSet<&str> =
            entry.contracts().filter(|name| named.is_empty() || named.iter().any(|known| known == name)).collect();
        let mut facts = None;
        for name in wanted {
            let trend = trends.entry(name.to_owned()).or_default();
            trend.runs += 1;
            let shown = trend.points.len() < last;
            if shown || trend.whole.is_none() {
                let facts = match &facts {
                    Some(facts) => facts,
                    None => facts.insert(entry.read()?),
                };
                trend.spoke(entry, name, facts);
                trend.points.extend(shown.then(|| point(entry, name, facts)));
            }
        }
        if let Some(Facts::Damaged(problem)) = facts {
            problems.push(problem);
        }
    }
    for trend in trends.values_mut() {
        trend.points.reverse();
    }
    let unknown = trail.without_line()?.into_iter();
    problems.extend(unknown.map(|run| format!("run `{run}` has no ledger line, so it is not shown")));
    Ok((trends, problems))
}

fn point(entry: Entry<'_>, name: &str, facts: &Facts) -> Point {
    let state = match facts {
        Facts::Whole(kept) => match kept.contract(name) {
            Some(contract) => State::Known {
                contract: Box::new(ContractAudit { examples: Vec::new(), ..contract.clone() }),
                narrowed: kept.narrowed().map(str::to_owned),
            },
            None => State::Damaged,
        },
        Facts::Pruned => State::Pruned,
        Facts::Damaged(_) => State::Damaged,
    };
    Point {
        run_id: entry.run_id().to_owned(),
        recorded_at: entry.recorded_at(),
        verdict: entry.verdict_of(name).unwrap_or_default().to_owned(),
        state,
    }
}
