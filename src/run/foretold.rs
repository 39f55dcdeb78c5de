//! Rows judged while they are looked at for causes, by the causes that a part of them suggests. Where all turn out to suggest the same
//! the judgement holds, and all but that part is brought out or read once; else it is thrown away, and they are judged after all.
//!
//! It serves only where nothing is wanted but counts and examples: these add up in any order, and who explains a row is all that
//! causes say of them.

use std::sync::{Mutex, PoisonError};

use super::Halt;
use super::causes::{Differing, partitions_with_rows};
use super::compare::Work;
use super::examples::Examples;
use super::gather::Partitioned;
use super::judge::Judged;
use crate::audit::Recorder;
use crate::causes::Suspects;
use crate::classify::{Bench, Scale};
use crate::diff::resolve::Resolved;
use crate::sides::Sides;

/// Rows that were judged by causes that are not certain yet.
pub(super) struct Foretold {
    guess: Suspects,
    /// What all threads have found worth showing, so that each takes no more than is left to take.
    examples: Mutex<Examples>,
    /// One for each thread that was at it at once.
    judged: Mutex<Vec<Judged>>,
}

impl Foretold {
    /// Nothing judged yet.
    pub(super) fn new(guess: Suspects, examples: Examples) -> Self {
        Self { guess: guess.of_pairs(), examples: Mutex::new(examples), judged: Mutex::default() }
    }

    /// Judges some rows.
    pub(super) fn judge(&self, bench: Bench<'_>, resolved: &Resolved) {
        let taken = lock(&self.judged).pop();
        let examples = lock(&self.examples).below();
        let mut judged = taken.unwrap_or_else(|| Judged::new(bench.binding, Examples::default(), &self.guess));
        judged.examples = examples;
        judged.count(bench, resolved, &self.guess);
        let examples = std::mem::take(&mut judged.examples);
        lock(&self.examples).take(examples);
        lock(&self.judged).push(judged);
    }

    /// What was judged, where these causes explain as the guessed ones do.
    pub(super) fn come_true(self, suspects: &Suspects) -> Option<Vec<Judged>> {
        let mut judged = self.judged.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = judged.first_mut() {
            first.examples = self.examples.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        self.guess.explain_as(suspects).then_some(judged)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work<'_> {
    /// One partition in so many is looked at for a guess.
    const SAMPLE: usize = 16;
    /// Fewer partitions are as soon looked at twice.
    const FEWEST: usize = 8;

    /// Whether rows may be judged by a guess.
    pub(super) fn foretells(&self, scale: &Scale, differing: Differing<'_, '_>, recorder: &dyn Recorder) -> bool {
        differing.second.is_none() && self.batch.notes.is_none() && self.counts_alone(scale, recorder)
    }

    /// Whether nothing is wanted but counts and examples, and differences tell their severity.
    pub(super) fn counts_alone(&self, scale: &Scale, recorder: &dyn Recorder) -> bool {
        let settings = self.batch.settings;
        let wanted = recorder.keeps() || settings.draft_plan || !settings.decisions.0.is_empty();
        scale.by_difference() && !wanted && self.inputs.binding.key_count > 0
    }

    /// A guess from some of the partitions, where so many pairs agree besides all of them; None where there are too few.
    pub(super) fn foretold(
        &self,
        kept: &Sides<Partitioned<'_>>,
        scale: &Scale,
        agree: u64,
        examples: Examples,
    ) -> Result<Option<Foretold>, Halt> {
        let mut some = partitions_with_rows(kept);
        let all = some.len();
        if all < Self::FEWEST {
            return Ok(None);
        }
        some.truncate(all.div_ceil(Self::SAMPLE));
        let agree = u128::from(agree) * some.len() as u128 / all as u128;
        let mut evidence = self.evidence((kept, some), None, scale, None)?;
        evidence.agreeing(u64::try_from(agree).expect("a part is no more than all"));
        Ok(Some(Foretold::new(evidence.suspects(), examples)))
    }
}
