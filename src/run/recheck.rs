//! The second look: what differs is read again by its keys, on both sides, after a while, in newer snapshots. What agrees by
//! then was on its way; what differs every time stands, with the rows of the last look; what differs every time and
//! changed between the last two looks is unstable.
//!
//! ```text
//!   candidates of the first reading ──► keys that differ, up to a cap
//!                                          │  pause ──► read these keys again, both sides ──► which of them still differ?
//!                                          │    ▲                                                   │ those only
//!                                          │    └───────────── so many times ───────────────────────┘
//!                                          ▼
//!   judged: a difference that settled as it was first seen, all others as the last look saw them
//! ```
//!
//! It takes for granted that a row that agreed in the first reading needs no other look. The books are those of the first
//! reading, whatever a look finds; rows that came after it are not looked at. A look that fails takes nothing back: what the
//! looks before it said stands, and the contract ends unverified. It never judges.

use std::time::{Duration, Instant};

use super::Halt;
use super::compare::Work;
use super::gather::Partitioned;
use crate::audit::{Look, SecondLook};
use crate::classify::Pace;
use crate::contract::Source;
use crate::diff::resolve::{Again, Difference, Resolved, Rows, resolve};
use crate::sides::{Side, Sides};
use crate::source;

mod ask;
mod keys;
mod read;

use keys::{Keys, Known};
use read::{Last, Seen};

/// What the looks made of the keys that differed.
pub(super) struct Second<'s> {
    keys: Keys,
    /// The rows of the last look that was taken to its end.
    last: Option<Last<'s>>,
    facts: SecondLook,
    /// Why a look could not be taken to its end.
    failed: Option<Halt>,
}

impl<'s> Second<'s> {
    /// Whether a file of the first reading is no longer what it was.
    pub(super) fn replaced(&self) -> bool {
        self.last.as_ref().is_some_and(Last::replaced)
    }

    /// What the rows of the last look are judged by: the instants that it speaks for.
    pub(super) fn pace(&self, projection: &Source, first: &Pace) -> Pace {
        self.last.as_ref().map_or(*first, |last| last.pace(projection, first))
    }

    /// What is told of it, where so many keys differed in all; and why it did not come to its end, if it did not.
    pub(super) fn close(self, differed: u64) -> (SecondLook, Option<Halt>) {
        let replaced = self.replaced();
        let mut facts = self.facts;
        // Where no look was taken to its end nothing was looked at again.
        if self.last.is_some() {
            facts.keys = self.keys.count();
            facts.left = differed.saturating_sub(facts.keys);
            (facts.settled, facts.unstable) = self.keys.fates();
            facts.replaced = replaced;
        }
        if self.keys.is_full() && self.last.is_some() {
            let said =
                format!("at most {} keys, and {} MiB of them, are looked at again", Keys::MOST, self.keys.room());
            facts.because.get_or_insert(said);
        }
        (facts, self.failed)
    }

    /// Takes a look in, and lets the one before go.
    fn take(&mut self, work: &Work<'_>, first: &Sides<Partitioned<'s>>, last: Last<'s>) -> Result<(), Halt> {
        let (before, settled) = (self.keys.pending(), self.keys.fates().0);
        for partition in self.keys.partitions() {
            let rows = last.rows(work, partition, |side| first.get(side).rows(work.reader(side), partition))?;
            let resolved = resolve(&work.inputs.binding, work.rules(), &rows);
            self.keys.seen(&Known { work, rows: &rows }, partition, &resolved.differences);
        }
        let settled = self.keys.fates().0 - settled;
        self.facts.looks.push(Look { read_at: last.read_at, keys: before, settled });
        self.last = Some(last);
        Ok(())
    }

    /// Puts what the last look saw in the place of what the first reading did, for one partition.
    pub(super) fn apply(
        &self,
        work: &Work<'_>,
        partition: usize,
        rows: &mut Sides<Rows>,
        resolved: &mut Resolved,
    ) -> Result<(), Halt> {
        let Some(last) = &self.last else { return Ok(()) };
        let mut found = Vec::new();
        let mut seen = Sides::<Rows>::default();
        if self.keys.stands_in(partition) {
            seen = last.rows(work, partition, |side| Ok(rows.get(side).clone()))?;
            found = resolve(&work.inputs.binding, work.rules(), &seen).differences;
        }
        let known = Known { work, rows: &seen };
        let mut standing = self.keys.standing(&known, found);
        let known = Known { work, rows };
        let keys: Vec<Option<usize>> =
            resolved.differences.iter().map(|difference| self.keys.find(&known, difference)).collect();
        let before = rows.as_ref().map(|_, rows| rows.raw.len());
        for side in Side::BOTH {
            rows.get_mut(side).append(std::mem::take(seen.get_mut(side)));
        }
        resolved.first.clone_from(&resolved.differences);
        for (difference, key) in resolved.differences.iter_mut().zip(keys) {
            let Some(key) = key else { continue };
            let again = match standing.get_mut(&key).and_then(std::collections::VecDeque::pop_front) {
                Some(found) => {
                    *difference = found.behind(&before);
                    if self.keys.is_unstable(key) { Again::Unstable } else { Again::Stands }
                }
                // The authority lacks it now, which does not bring it to the projection.
                None if self.keys.is_lost(key) => Again::Unstable,
                None => Again::Settled,
            };
            let (side, at) = difference.named_by();
            rows.get_mut(side).again.insert(at, again);
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Takes the looks that the contract asks for; None where it asks for none.
    /// `had` says which sides had rows.
    pub(super) fn second_look<'s>(
        &self,
        first: &Sides<Partitioned<'s>>,
        had: Sides<bool>,
    ) -> Result<Option<Second<'s>>, Halt> {
        let contract = self.batch.contract;
        let Some(recheck) = contract.recheck.filter(|_| contract.not_rechecked().is_none()) else { return Ok(None) };
        for (side, input) in self.inputs.sides.iter() {
            source::unchanged(&input.opened).map_err(|error| Halt::Source { side, error })?;
        }
        let keys = self.differing_keys(first)?;
        let mut second = Second { keys, last: None, facts: SecondLook::default(), failed: None };
        let after = Duration::from_nanos(u64::try_from(recheck.after.0).unwrap_or(u64::MAX));
        for number in 1..=recheck.times {
            if second.keys.pending() == 0 {
                break;
            }
            self.batch.progress.begin(&contract.name, "looking again", 0);
            let known = source::widened();
            let seen = self.pause(after).and_then(|()| self.look_again((first, had), &second.keys));
            let taken = match seen {
                Ok(Seen::Rows(last)) => second.take(self, first, *last),
                Ok(Seen::Nothing(because)) => {
                    second.facts.because = Some(because);
                    self.batch.progress.end();
                    break;
                }
                Err(halt) => Err(halt),
            };
            self.batch.progress.end();
            match taken {
                Ok(()) => {}
                Err(halt @ Halt::Interrupted(_)) => return Err(halt),
                // The contract is compared once more, with columns that hold what was met.
                Err(halt) if source::widened() > known => return Err(halt),
                Err(halt) => {
                    second.failed = Some(Halt::SecondLook(usize::try_from(number).unwrap_or(0), Box::new(halt)));
                    break;
                }
            }
        }
        Ok(Some(second))
    }

    /// The rows of a partition and what they come to, as the last look has it where there was one.
    pub(super) fn brought_out(
        &self,
        second: &Second<'_>,
        partition: usize,
        mut rows: Sides<Rows>,
    ) -> Result<(Sides<Rows>, Resolved), Halt> {
        let mut resolved = resolve(&self.inputs.binding, self.rules(), &rows);
        second.apply(self, partition, &mut rows, &mut resolved)?;
        Ok((rows, resolved))
    }

    /// The keys that differ in the first reading, in the order of what is told, as many as are looked at again.
    fn differing_keys(&self, first: &Sides<Partitioned<'_>>) -> Result<Keys, Halt> {
        let mut keys = Keys::new(self.batch.settings.limit());
        for partition in 0..first.authority.partitions() {
            self.reader(Side::Authority).go_on()?;
            if keys.is_full() || first.iter().all(|(_, side)| !side.has(partition)) {
                continue;
            }
            let rows = first.as_ref().try_map(|side, rows| rows.rows(self.reader(side), partition))?;
            let resolved = resolve(&self.inputs.binding, self.rules(), &rows);
            keys.add(&Known { work: self, rows: &rows }, partition, &resolved.differences);
        }
        Ok(keys)
    }

    /// Waits, as long as no signal asks to stop.
    fn pause(&self, length: Duration) -> Result<(), Halt> {
        const STEP: Duration = Duration::from_millis(50);
        let began = Instant::now();
        loop {
            self.reader(Side::Authority).go_on()?;
            let left = length.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STEP));
        }
    }
}

/// The differences of one partition that no look has settled.
pub(super) fn unsettled(rows: &Sides<Rows>, differences: &[Difference]) -> Vec<Difference> {
    let settled = |difference: &&Difference| {
        let (side, at) = difference.named_by();
        rows.get(side).again.get(&at) == Some(&Again::Settled)
    };
    differences.iter().filter(|difference| !settled(difference)).cloned().collect()
}
