//! What people decided of a contract's divergences, in every format. Nothing is said where nothing was decided.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::escape::{counted, visible};
use crate::audit::decision::{Choice, Decided, Group};

/// Groups that a person is shown; a summary holds them all.
const SHOWN: usize = 10;

/// What was decided, as sentences.
pub(super) fn sentences(decided: &Decided) -> Vec<String> {
    let mut said: Vec<String> = decided
        .groups
        .iter()
        .take(SHOWN)
        .map(|(group, divergences)| {
            let until = group.until.map(|until| format!(" {until}")).unwrap_or_default();
            let effect = if group.choice.away() { ", not counted against the contract" } else { "" };
            let who = visible(&group.who);
            format!("{} {}{until} by {who}{effect}", counted(*divergences, "divergence"), group.choice.name())
        })
        .collect();
    if decided.groups.len() > SHOWN {
        let rest: u64 = decided.groups.values().skip(SHOWN).sum();
        said.push(format!("{} decided otherwise or by others", counted(rest, "divergence")));
    }
    said
}

/// What was decided, on the wire.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct DecidedRecord {
    /// Divergences that do not drift the contract.
    away: u64,
    groups: Vec<GroupRecord>,
    lapsed: u64,
    ran_out: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct GroupRecord {
    decision: String,
    until: Option<String>,
    who: String,
    divergences: u64,
}

impl DecidedRecord {
    /// None where nothing was decided.
    pub(crate) fn of(decided: &Decided) -> Option<Self> {
        let group = |(group, divergences): (&Group, &u64)| GroupRecord {
            decision: group.choice.name().to_owned(),
            until: group.until.map(|until| until.to_string()),
            who: group.who.to_string(),
            divergences: *divergences,
        };
        decided.any().then(|| Self {
            away: decided.away(),
            groups: decided.groups.iter().map(group).collect(),
            lapsed: decided.lapsed,
            ran_out: decided.ran_out,
        })
    }

    /// The problem is a sentence part.
    pub(crate) fn into_facts(self) -> Result<Decided, String> {
        let group = |record: GroupRecord| {
            let choice =
                Choice::of(&record.decision).ok_or_else(|| format!("`{}` is not a decision", record.decision))?;
            let until = record.until.map(|until| until.parse().map_err(|_| format!("`{until}` is not a day")));
            Ok((Group { choice, until: until.transpose()?, who: record.who.into() }, record.divergences))
        };
        let groups = self.groups.into_iter().map(group).collect::<Result<_, String>>()?;
        let decided = Decided { groups, lapsed: self.lapsed, ran_out: self.ran_out };
        if decided.away() != self.away {
            return Err(format!("{} divergences were decided away, but its groups give {}", self.away, decided.away()));
        }
        Ok(decided)
    }
}

/// The section of `report.md`.
pub(super) fn markdown(decided: &Decided, plain: fn(&str) -> String, out: &mut dyn Write) -> io::Result<()> {
    if decided.groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "### Decided by people\n\n| decision | until | who | divergences |\n| --- | --- | --- | ---: |")?;
    for (group, divergences) in &decided.groups {
        let until = group.until.map(|until| until.to_string()).unwrap_or_default();
        writeln!(out, "| {} | {until} | {} | {divergences} |", group.choice.name(), plain(&group.who))?;
    }
    writeln!(out, "\nDivergences that do not count against the contract: {}.\n", decided.away())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided() -> Decided {
        let group = |choice, until: Option<&str>, who: &str| Group {
            choice,
            until: until.map(|until| until.parse().expect("a day")),
            who: who.into(),
        };
        let groups = [
            (group(Choice::AcceptProjection, None, "amy"), 2),
            (group(Choice::IgnoreUntil, Some("2026-12-01"), "bob"), 1),
            (group(Choice::FixElsewhere, None, "amy"), 4),
        ];
        Decided { groups: groups.into(), lapsed: 1, ran_out: 0 }
    }

    #[test]
    fn every_group_is_said_with_who_and_until_when() {
        assert_eq!(
            sentences(&decided()),
            [
                "2 divergences accept-projection by amy, not counted against the contract",
                "1 divergence ignore-until 2026-12-01 by bob, not counted against the contract",
                "4 divergences fix-elsewhere by amy",
            ]
        );
        assert!(sentences(&Decided::default()).is_empty());
    }

    #[test]
    fn what_was_decided_is_read_back_as_it_was_written() {
        let record = DecidedRecord::of(&decided()).expect("something was decided");
        let read: DecidedRecord = serde_json::from_str(&serde_json::to_string(&record).expect("JSON")).expect("JSON");
        assert_eq!(read.clone().into_facts(), Ok(decided()));
        assert!(DecidedRecord { away: 9, ..read }.into_facts().is_err());
        assert!(DecidedRecord::of(&Decided::default()).is_none());
    }
}
