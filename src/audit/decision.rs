//! What people decide of a divergence, and what of a run's divergences was decided. A decision is about one divergence of
//! rows as they were seen: where one of them has changed, it holds no more. It never hides a divergence: all are counted and
//! written, and beside them stands what was decided, by whom, until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::contract::Kind;

/// What a person can decide of a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Choice {
    /// The authority is right: the repair may be done.
    AcceptAuthority,
    /// The projection may stay as it is.
    AcceptProjection,
    /// It is not looked at before a day.
    IgnoreUntil,
    /// It is repaired somewhere else: it drifts until then, and no action is drafted.
    FixElsewhere,
    /// What was decided before is taken back.
    Reopen,
}

impl Choice {
    /// Every choice, in the order of the documents.
    pub const ALL: [Self; 5] =
        [Self::AcceptAuthority, Self::AcceptProjection, Self::IgnoreUntil, Self::FixElsewhere, Self::Reopen];

    /// Its fixed name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AcceptAuthority => "accept-authority",
            Self::AcceptProjection => "accept-projection",
            Self::IgnoreUntil => "ignore-until",
            Self::FixElsewhere => "fix-elsewhere",
            Self::Reopen => "reopen",
        }
    }

    /// The choice of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }

    /// Whether the divergence does not drift its contract any more.
    #[must_use]
    pub fn away(self) -> bool {
        matches!(self, Self::AcceptProjection | Self::IgnoreUntil)
    }

    /// Whether it can be decided of this kind, or why not, as a sentence part.
    ///
    /// # Errors
    /// Why not.
    pub fn fits(self, kind: Kind) -> Result<(), &'static str> {
        match (self, kind) {
            (_, Kind::Schema) => {
                Err("columns that cannot be compared are never decided away: mend the contract or the source")
            }
            (_, Kind::Unreadable) => Err("rows that cannot be read are never decided away: mend the file"),
            (_, Kind::NullKey) => Err("a row without a whole key has nothing by which a later run could know it again"),
            (Self::AcceptAuthority, Kind::DuplicateKey) => {
                Err("the key does not say which of its rows is meant, so there is no row to take over")
            }
            _ => Ok(()),
        }
    }
}

/// A decision that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub choice: Choice,
    /// For `ignore-until`: the day, in UTC, from which it counts again.
    pub until: Option<Date>,
    /// Who decided.
    pub who: Arc<str>,
    /// What the rows were when it was decided.
    pub row_digest: [u8; 32],
}

/// Every decision that stands, by the fingerprint of its divergence.
#[derive(Clone, Debug, Default)]
pub struct Decisions(pub BTreeMap<[u8; 32], Decision>);

/// What a decision means for a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nothing was decided.
    Open,
    /// It holds.
    Holds(&'a Decision),
    /// The rows have changed since.
    Lapsed,
    /// Its day has come.
    RanOut,
}

impl Decisions {
    /// So many decisions may stand at once, so that a run holds them all in little memory.
    pub const MOST: usize = 100_000;

    /// What was decided of a divergence, for a run that began then.
    #[must_use]
    pub fn standing(&self, fingerprint: &[u8; 32], row_digest: Option<&[u8; 32]>, began: Timestamp) -> Standing<'_> {
        let Some(decision) = self.0.get(fingerprint) else { return Standing::Open };
        if row_digest != Some(&decision.row_digest) {
            return Standing::Lapsed;
        }
        let today = began.to_zoned(TimeZone::UTC).date();
        if decision.choice == Choice::IgnoreUntil && decision.until.is_none_or(|until| until <= today) {
            return Standing::RanOut;
        }
        Standing::Holds(decision)
    }
}

/// Divergences of which the same was decided by the same person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// What.
    pub choice: Choice,
    /// Until when.
    pub until: Option<Date>,
    /// By whom.
    pub who: Arc<str>,
}

/// What of a contract's divergences was decided; it adds up in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Divergences of each group.
    pub groups: BTreeMap<Group, u64>,
    /// Divergences whose decision holds no more, because their rows have changed.
    pub lapsed: u64,
    /// Divergences whose `ignore-until` is over.
    pub ran_out: u64,
}

impl Decided {
    /// Whether anything was.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Divergences that do not drift the contract.
    #[must_use]
    pub fn away(&self) -> u64 {
        self.groups.iter().filter(|(group, _)| group.choice.away()).map(|(_, divergences)| divergences).sum()
    }

    /// Notes one divergence.
    pub fn note(&mut self, standing: Standing<'_>) {
        match standing {
            Standing::Open => {}
            Standing::Lapsed => self.lapsed += 1,
            Standing::RanOut => self.ran_out += 1,
            Standing::Holds(decision) => {
                let Decision { choice, until, who, .. } = decision.clone();
                *self.groups.entry(Group { choice, until, who }).or_default() += 1;
            }
        }
    }

    /// Adds what was noted elsewhere.
    pub fn add(&mut self, more: Self) {
        for (group, divergences) in more.groups {
            *self.groups.entry(group).or_default() += divergences;
        }
        self.lapsed += more.lapsed;
        self.ran_out += more.ran_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_holds_for_the_rows_that_were_seen_and_until_its_day() {
        let decision = |choice, until: Option<&str>| Decision {
            choice,
            until: until.map(|until| until.parse().expect("a date")),
            who: "amy".into(),
            row_digest: [1; 32],
        };
        let of = |decision: Decision| Decisions([([7; 32], decision)].into());
        let at = |text: &str| text.parse::<Timestamp>().expect("an instant");
        let began = at("2026-11-30T23:59:59Z");
        let accepted = of(decision(Choice::AcceptProjection, None));
        assert_eq!(accepted.standing(&[8; 32], Some(&[1; 32]), began), Standing::Open);
        assert_eq!(accepted.standing(&[7; 32], Some(&[2; 32]), began), Standing::Lapsed);
        assert_eq!(accepted.standing(&[7; 32], None, began), Standing::Lapsed);
        assert!(matches!(accepted.standing(&[7; 32], Some(&[1; 32]), began), Standing::Holds(_)));
        let ignored = of(decision(Choice::IgnoreUntil, Some("2026-12-01")));
        assert!(matches!(ignored.standing(&[7; 32], Some(&[1; 32]), began), Standing::Holds(_)));
        let next_day = at("2026-12-01T00:00:00Z");
        assert_eq!(ignored.standing(&[7; 32], Some(&[1; 32]), next_day), Standing::RanOut);
        assert_eq!(ignored.standing(&[7; 32], Some(&[2; 32]), next_day), Standing::Lapsed);
    }

    #[test]
    fn what_cannot_be_read_or_compared_is_never_decided_away() {
        for choice in Choice::ALL {
            assert_eq!(Choice::of(choice.name()), Some(choice));
            for kind in [Kind::Schema, Kind::Unreadable, Kind::NullKey] {
                assert!(choice.fits(kind).is_err(), "{choice:?} {kind:?}");
            }
            assert!(choice.fits(Kind::Mismatch).is_ok());
        }
    }
}
