//! Tells the kinds of pairs and of missing rows by their markers: which side is behind, which is ahead, and what may still
//! be on its way. The first that fits: resurrected, ahead, in_flight, stale, and else what it is without markers.
//!
//! What is not known excuses nothing: a marker that is NULL, is on one side only, or is of another sort than the other's
//! leaves the kind that there would be without markers. It never reads the clock: instants come in as values.

use super::{Bench, kind_of};
use crate::contract::Kind;
use crate::diff::resolve::{Again, Difference, RowAt};
use crate::normalise::{Clock, Greatest, Mark};
use crate::sides::{Side, Sides};

/// What the kinds rest on besides the rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Changes younger than this may still be on their way, in nanoseconds.
    pub window: Option<i128>,
    /// The instant that the projection speaks for, in nanoseconds since 1970 UTC.
    pub captured_at: Option<i128>,
    /// When the run began: what is dated after it excuses nothing.
    pub began: i128,
    /// The greatest versions in the projection.
    pub version: Greatest,
    /// The latest changes in the projection.
    pub updated: Greatest,
}

/// How far the projection lies behind at one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Behind {
    /// In versions, where both sides have one that is a number.
    pub versions: Option<u64>,
    /// In whole seconds.
    pub seconds: Option<u64>,
    /// When the authority's row was changed, in nanoseconds since 1970 UTC.
    pub since: Option<i128>,
}

impl Pace {
    /// Whether a change of the authority is so young that it may still be on its way.
    fn is_young(&self, updated: Option<Mark>) -> bool {
        let (Some(window), Some(captured_at)) = (self.window, self.captured_at) else { return false };
        updated.is_some_and(|mark| {
            mark.clock == Clock::Instant && mark.at <= self.began && captured_at.saturating_sub(mark.at) < window
        })
    }

    /// Whether a row that the projection lacks was changed after all that the projection has. Times go before versions, which
    /// may count within each row.
    fn is_later_than_all(&self, version: Option<Mark>, updated: Option<Mark>) -> bool {
        let after = |mark: Option<Mark>, greatest: &Greatest| {
            let mark = mark?;
            mark.after(greatest.of(mark.clock)?)
        };
        after(updated, &self.updated).or_else(|| after(version, &self.version)).is_some_and(|after| after > 0)
    }
}

impl Bench<'_> {
    /// What a difference is.
    #[must_use]
    pub fn kind_of(self, difference: &Difference) -> Kind {
        let again = self.again(difference);
        if again == Some(Again::Settled) {
            return Kind::InFlight;
        }
        let without = kind_of(difference);
        let Some(pace) = self.scale.pace(again) else { return without };
        match difference {
            Difference::Unpaired { side: Side::Authority, row, fault: None } => {
                let (version, updated) = (self.version(Side::Authority, *row), self.updated(Side::Authority, *row));
                match () {
                    () if pace.is_young(updated) => Kind::InFlight,
                    () if pace.is_later_than_all(version, updated) => Kind::Stale,
                    () => without,
                }
            }
            Difference::Differ { rows, .. } | Difference::Tombstone { rows, side: Side::Projection } => {
                self.kind_of_pair(pace, *rows).unwrap_or(without)
            }
            _ => without,
        }
    }

    fn kind_of_pair(self, pace: &Pace, rows: Sides<RowAt>) -> Option<Kind> {
        let versions = rows.map(|side, at| self.version(side, at));
        let updated = rows.map(|side, at| self.updated(side, at));
        let (by_version, by_time) = (lead(versions), lead(updated));
        match () {
            () if by_version.is_some_and(|lead| lead < 0) => Some(Kind::Ahead),
            () if pace.is_young(updated.authority) => Some(Kind::InFlight),
            () if by_version.is_some_and(|lead| lead > 0) || by_time.is_some_and(|lead| lead > 0) => Some(Kind::Stale),
            () => None,
        }
    }

    /// How far the projection lies behind at the key of a difference that is stale or in flight.
    #[must_use]
    pub fn behind(self, difference: &Difference) -> Behind {
        let Some(pace) = self.scale.pace(self.again(difference)) else { return Behind::default() };
        let whole = |lead: i128| u64::try_from((lead / Clock::UNIT).max(0)).unwrap_or(u64::MAX);
        let (version, updated, gap) = match difference {
            Difference::Unpaired { row, .. } => {
                let updated = self.updated(Side::Authority, *row);
                let latest = updated.and_then(|mark| pace.updated.of(mark.clock));
                (None, updated, lead(Sides { authority: updated, projection: latest }))
            }
            Difference::Differ { rows, .. } | Difference::Tombstone { rows, .. } => {
                let versions = rows.map(|side, at| self.version(side, at));
                let updated = rows.map(|side, at| self.updated(side, at));
                let counted = versions.authority.is_some_and(|mark| mark.clock == Clock::Number);
                (lead(versions).filter(|lead| counted && *lead > 0), updated.authority, lead(updated))
            }
            Difference::DuplicateKey { .. } | Difference::NullKey { .. } => (None, None, None),
        };
        let since = updated.filter(|mark| mark.clock == Clock::Instant).map(|mark| mark.at);
        let seconds = match pace.captured_at {
            Some(captured_at) => since.map(|since| captured_at.saturating_sub(since)),
            None => gap,
        };
        Behind { versions: version.map(whole), seconds: seconds.map(whole), since }
    }

    fn version(self, side: Side, at: RowAt) -> Option<Mark> {
        self.rows.get(side).version_of(at)
    }

    fn updated(self, side: Side, at: RowAt) -> Option<Mark> {
        self.rows.get(side).updated_of(at)
    }
}

/// How far the authority's marker lies after the projection's.
fn lead(marks: Sides<Option<Mark>>) -> Option<i128> {
    marks.authority?.after(marks.projection?)
}

#[cfg(test)]
mod tests;
