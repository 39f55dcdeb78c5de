//! Rows that do not agree, told while both sources are at hand: each look at them merges the sources once more, and only stragglers are kept.
//! Where most rows differ that costs less than to make rows bytes and bytes rows. It judges nothing, and trusts no file to be what it was:
//! whoever is told must come to the same books.

use std::sync::{Mutex, PoisonError};

use super::super::Halt;
use super::super::compare::Work;
use super::super::foretold::Foretold;
use super::super::gather::Gathered;
use super::line::Block;
use super::{Because, Bench, Density, Merged, Span, Stopped, Way, lock};
use crate::causes::{Evidence, Scene};
use crate::classify::{self, Scale};
use crate::diff::resolve::{Met, Resolved, Rows, resolve_met};
use crate::run::causes::telling;
use crate::sides::{Side, Sides};

/// Sources in the order of their keys whose rows that do not agree were told once, and can be told again.
pub(in crate::run) struct Told<'a> {
    spans: &'a [Span],
    /// What was seen the first time, until it is asked for.
    evidence: Mutex<Option<Evidence>>,
    /// What was judged the first time, by a guess.
    foretold: Mutex<Option<Foretold>>,
    /// Pairs that are strictly equal.
    agree: u64,
}

impl Told<'_> {
    /// What was judged the first time, by a guess. It is given away once.
    pub(in crate::run) fn foretold(&self) -> Option<Foretold> {
        lock(&self.foretold).take()
    }

    /// What was seen the first time. It is given away once.
    pub(in crate::run) fn evidence(&self) -> Option<Evidence> {
        lock(&self.evidence).take()
    }
}

impl Work<'_> {
    /// Merges sources in which most rows do not agree, and looks at these for causes; stragglers are gathered. What can be foretold
    /// is judged too.
    pub(in crate::run) fn tell<'a>(
        &self,
        spans: &'a [Span],
        stragglers: &Sides<Gathered<'_>>,
        foretold: Option<Foretold>,
    ) -> Result<Result<(Merged, Told<'a>), Because>, Halt> {
        let binding = &self.inputs.binding;
        let scale = Scale::new(self.batch.contract, binding);
        let look = |evidence: &mut Evidence, rows: &Sides<Rows>, resolved: &Resolved| {
            evidence.agreeing(resolved.agree);
            let bench = classify::Bench { contract: self.batch.contract, binding, rows, scale: &scale };
            telling(bench, |teller| evidence.look(Scene { binding, rows }, &resolved.differences, &teller));
            if let Some(foretold) = &foretold {
                foretold.judge(bench, resolved);
            }
            Ok(())
        };
        // No more than one for each thread is at hand besides.
        let evidence = Mutex::new(Evidence::new(binding));
        let add = |of_span| lock(&evidence).add(of_span);
        let bench = self.bench(Way::Told(stragglers));
        let agree = match self.tell_all(&bench, spans, (|| Evidence::new(binding), add), look)? {
            Ok((_, agree)) => agree,
            Err(because) => return Ok(Err(because)),
        };
        if !self.touched(&bench).is_empty() {
            return Ok(Err(Because::Touched));
        }
        let evidence = Mutex::new(evidence.into_inner().ok());
        Ok(Ok((
            Merged { units: bench.units(), agree },
            Told { spans, evidence, foretold: Mutex::new(foretold), agree },
        )))
    }

    /// Merges the sources once more: for each span what was made of its rows that do not agree.
    pub(in crate::run) fn tell_again<T: Send>(
        &self,
        told: &Told<'_>,
        new: impl Fn() -> T + Sync,
        look: impl Fn(&mut T, &Sides<Rows>, &Resolved) -> Result<(), Halt> + Sync,
    ) -> Result<Vec<T>, Halt> {
        match self.tell_all(&self.bench(Way::ToldAgain), told.spans, (new, |made| made), look)? {
            Ok((made, agree)) if agree == told.agree => Ok(made),
            _ => Err(self.other_rows()),
        }
    }

    /// Rows that have met, and what they come to.
    fn met(&self, bench: &Bench<'_>, blocks: Sides<Option<&mut Block>>, met: &Met) -> (Sides<Rows>, Resolved) {
        // A pair is known by the authority's row.
        let ordered = |side| !met.alone.get(side).is_empty() || (side == Side::Authority && !met.pairs.is_empty());
        let rows =
            blocks.map(|side, block| block.map(|block| block.rows(bench, side, ordered(side))).unwrap_or_default());
        let resolved = resolve_met(&self.inputs.binding, &rows, met);
        (rows, resolved)
    }

    /// What the first rows that do not agree have in common, for a guess.
    pub(in crate::run) fn sample(&self, spans: &[Span], nothing: &Sides<Gathered<'_>>) -> Result<Evidence, Halt> {
        let binding = &self.inputs.binding;
        let scale = Scale::new(self.batch.contract, binding);
        // As many as that, however few of all they are.
        let density = Density::new(self.batch.settings.tuning.dense_rows, u64::MAX);
        let bench = self.bench(Way::Gathered(nothing, Some(&density)));
        let evidence = Mutex::new(Evidence::new(binding));
        let take = |(): &mut (), blocks: Sides<Option<&mut Block>>, met: &Met| {
            let (rows, resolved) = self.met(&bench, blocks, met);
            let (scene, of_rows) = (
                Scene { binding, rows: &rows },
                classify::Bench { contract: self.batch.contract, binding, rows: &rows, scale: &scale },
            );
            telling(of_rows, |teller| lock(&evidence).look(scene, &resolved.differences, &teller));
            Ok(())
        };
        // It ends where there are enough of them; what keeps the sources from being told shows when they are.
        self.begin("looking for causes");
        let ended = self.merge_all(&bench, spans, (|| (), |()| ()), take);
        self.batch.progress.end();
        _ = ended?;
        let mut evidence = evidence.into_inner().unwrap_or_else(PoisonError::into_inner);
        evidence.agreeing(density.agree());
        Ok(evidence)
    }

    /// Why a source does not tell the same as before.
    fn other_rows(&self) -> Halt {
        let changed = self.inputs.sides.iter().find_map(|(side, input)| {
            crate::source::unchanged(&input.opened).err().map(|error| Halt::Source { side, error })
        });
        changed.unwrap_or_else(|| {
            Halt::Contract(
                "the sources gave other rows when they were read once more; hint: run again when nothing writes to them, or read copies"
                    .to_owned(),
            )
        })
    }

    /// For each span what was made of its rows, and how many pairs agree in all.
    fn tell_all<T, U: Send>(
        &self,
        bench: &Bench<'_>,
        spans: &[Span],
        ends: (impl Fn() -> T + Sync, impl Fn(T) -> U + Sync),
        look: impl Fn(&mut T, &Sides<Rows>, &Resolved) -> Result<(), Halt> + Sync,
    ) -> Result<Result<(Vec<U>, u64), Because>, Halt> {
        let take = |made: &mut T, blocks: Sides<Option<&mut Block>>, met: &Met| {
            let (rows, resolved) = self.met(bench, blocks, met);
            look(made, &rows, &resolved).map_err(Stopped::from)
        };
        self.begin(if matches!(bench.way, Way::ToldAgain) { "judging" } else { "comparing" });
        let merged = self.merge_all(bench, spans, ends, take);
        self.batch.progress.end();
        Ok(merged?.map(|merged| {
            let agree = merged.iter().map(|(_, agree)| agree).sum();
            (merged.into_iter().map(|(made, _)| made).collect(), agree)
        }))
    }
}
