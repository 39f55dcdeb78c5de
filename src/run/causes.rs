//! Looks at all that differs once before it is judged, so that what many rows have in common is known when each is told.

use rayon::prelude::*;

use super::Halt;
use super::compare::Work;
use super::foretold::Foretold;
use super::gather::Partitioned;
use super::merge::Told;
use super::recheck::{Second, unsettled};
use crate::causes::{Evidence, Explained, MissingKeys, Question, Scene, Suspects, Teller};
use crate::classify::{Bench, Divergence, Scale};
use crate::diff::resolve::{Again, Difference, ResolveRules, Resolved, Rows, resolve};
use crate::sides::{Side, Sides};

/// Where the rows that do not agree come from, as often as they are looked at.
#[derive(Clone, Copy)]
pub(super) struct Differing<'d, 's> {
    /// Those that are kept, in partitions.
    pub(super) kept: &'d Sides<Partitioned<'s>>,
    /// What a second look made of them, where one was taken.
    pub(super) second: Option<&'d Second<'s>>,
    /// Those that are told while the sources are merged once more.
    pub(super) told: Option<&'d Told<'d>>,
}

impl Work<'_> {
    /// The causes that may be named; so many pairs agree besides. The rows stay where they are.
    pub(super) fn suspects(
        &self,
        differing: Differing<'_, '_>,
        foretold: Option<&Foretold>,
        scale: &Scale,
        (agree, complete): (u64, Sides<bool>),
        by_file: &Sides<Vec<u64>>,
    ) -> Result<Suspects, Halt> {
        let binding = &self.inputs.binding;
        if binding.key_count == 0 {
            // Rows of a multiset are there or not; none is another's copy.
            return Ok(Evidence::new(binding).suspects());
        }
        let second = differing.second;
        let all = partitions_with_rows(differing.kept);
        let mut evidence = self.evidence((differing.kept, all), second, scale, foretold)?;
        differing.told.and_then(Told::evidence).into_iter().for_each(|told| evidence.add(told));
        evidence.agreeing(agree);
        let mut suspects = evidence.suspects();
        // A file cannot be counted that another one has replaced, nor keys that a second look found; and where that was taken it is not
        // known which rows `--where` keeps by then.
        let narrowed = self.inputs.row_filter.is_some();
        let countable = second.is_none_or(|second| !second.replaced() && !narrowed);
        let answerable = |question: &Question| countable && (second.is_none() || !question.is_open());
        let in_scope = |question: Question| if narrowed { question.in_scope() } else { Some(question) };
        if let Some(mut question) = suspects.question().and_then(in_scope).filter(answerable) {
            let (census, by_file) = self.census(&question, complete, by_file)?;
            if question.must_look(&census) {
                question.looked(self.missing_keys(&question, differing, scale)?);
            }
            suspects.answered(question, &census, &by_file);
        }
        Ok(suspects)
    }

    /// What kept rows of some partitions have in common. They are judged too, where it is foretold.
    pub(super) fn evidence(
        &self,
        (gathered, partitions): (&Sides<Partitioned<'_>>, Vec<usize>),
        second: Option<&Second<'_>>,
        scale: &Scale,
        foretold: Option<&Foretold>,
    ) -> Result<Evidence, Halt> {
        let binding = &self.inputs.binding;
        let look = |mut evidence: Evidence, partition: usize| {
            self.reader(Side::Authority).go_on()?;
            let bytes = gathered.iter().map(|(_, side)| side.bytes(partition)).sum();
            let rows = gathered.as_ref().try_map(|side, gathered| gathered.rows(self.reader(side), partition))?;
            let (rows, resolved) = self.resolved(second, partition, rows)?;
            evidence.agreeing(resolved.agree);
            let bench = Bench { contract: self.batch.contract, binding, rows: &rows, scale };
            let scene = Scene { binding, rows: &rows };
            if second.is_some() {
                // What was on its way has no cause.
                let open = unsettled(&rows, &resolved.differences);
                telling(bench, |teller| evidence.look(scene, &open, &teller));
            } else {
                telling(bench, |teller| evidence.look(scene, &resolved.differences, &teller));
            }
            if let Some(foretold) = foretold {
                foretold.judge(bench, &resolved);
            }
            self.batch.progress.advance(0, bytes);
            Ok::<_, Halt>(evidence)
        };
        let add = |mut one: Evidence, other: Evidence| {
            one.add(other);
            Ok(one)
        };
        self.batch.threads.install(|| {
            let partitions = partitions.into_par_iter();
            partitions.try_fold(|| Evidence::new(binding), look).try_reduce(|| Evidence::new(binding), add)
        })
    }
}

pub(super) fn partitions_with_rows(gathered: &Sides<Partitioned<'_>>) -> Vec<usize> {
    let has_rows = |partition: &usize| gathered.iter().any(|(_, side)| side.has(*partition));
    (0..gathered.authority.partitions()).filter(has_rows).collect()
}

impl Work<'_> {
    /// The rows of a partition and what they come to, a second look included where one was taken. What was brought out to look for
    /// causes is brought out again to be judged, and is the same: holding it takes memory, which costs more than to bring it out.
    pub(super) fn resolved(
        &self,
        second: Option<&Second<'_>>,
        partition: usize,
        rows: Sides<Rows>,
    ) -> Result<(Sides<Rows>, Resolved), Halt> {
        if let Some(second) = second {
            return self.brought_out(second, partition, rows);
        }
        let rules = ResolveRules { null_keys_match: self.batch.contract.null_keys_match };
        let resolved = resolve(&self.inputs.binding, rules, &rows);
        Ok((rows, resolved))
    }

    /// Counts once more which keys are missing, where they were too many to be kept.
    fn missing_keys(
        &self,
        question: &Question,
        differing: Differing<'_, '_>,
        scale: &Scale,
    ) -> Result<MissingKeys, Halt> {
        let binding = &self.inputs.binding;
        let note = |missing: &mut MissingKeys, rows: &Sides<Rows>, resolved: &Resolved| {
            let bench = Bench { contract: self.batch.contract, binding, rows, scale };
            telling(bench, |teller| question.look(Scene { binding, rows }, &resolved.differences, &teller, missing));
            Ok::<_, Halt>(())
        };
        let gathered = differing.kept;
        let look = |mut missing: MissingKeys, partition: usize| {
            self.reader(Side::Authority).go_on()?;
            let rows = gathered.as_ref().try_map(|side, gathered| gathered.rows(self.reader(side), partition))?;
            let (rows, resolved) = self.resolved(None, partition, rows)?;
            note(&mut missing, &rows, &resolved)?;
            Ok::<_, Halt>(missing)
        };
        let add = |mut one: MissingKeys, other: MissingKeys| {
            one.add(&other);
            Ok(one)
        };
        let mut missing = self.batch.threads.install(|| {
            let partitions = partitions_with_rows(gathered).into_par_iter();
            partitions.try_fold(MissingKeys::default, look).try_reduce(MissingKeys::default, add)
        })?;
        if let Some(told) = differing.told {
            let of_spans = self.tell_again(told, MissingKeys::default, note)?;
            of_spans.iter().for_each(|of_span| missing.add(of_span));
        }
        Ok(missing)
    }
}

/// Who tells kinds and keys of differences.
pub(super) fn telling<T>(bench: Bench<'_>, told: impl FnOnce(Teller<'_>) -> T) -> T {
    let key = |difference: &Difference| {
        let mut key = String::new();
        bench.write_key_of(difference, &mut key);
        key
    };
    told(Teller { kind: &|difference| bench.kind_of(difference), key: &key })
}

/// Gives the differences of one partition to their causes.
pub(super) fn explain(suspects: &Suspects, bench: Bench<'_>, differences: &[Difference]) -> (Explained, Names) {
    let mut explained = suspects.counts();
    let mut names = Vec::new();
    if !suspects.is_empty() {
        let scene = Scene { binding: bench.binding, rows: bench.rows };
        let mut named = Vec::new();
        let mut each = |of_lines: &[Option<&'static str>]| named.push(of_lines.to_vec());
        let is_settled = |difference: &Difference| bench.again(difference) == Some(Again::Settled);
        telling(bench, |teller| {
            if differences.iter().any(is_settled) {
                let open = unsettled(bench.rows, differences);
                suspects.explain(scene, &open, &teller, &mut explained, &mut each);
            } else {
                suspects
                    .explain(scene, differences, &teller, &mut explained, |of_lines| names.extend_from_slice(of_lines));
            }
        });
        if !named.is_empty() || names.is_empty() {
            // What was on its way has no cause.
            let mut named = named.into_iter();
            for difference in differences {
                match difference {
                    Difference::Differ { attributes, .. } if is_settled(difference) => {
                        names.extend(attributes.iter().map(|_| None));
                    }
                    _ if is_settled(difference) => names.push(None),
                    _ => names.extend(named.next().into_iter().flatten()),
                }
            }
        }
    }
    (explained, Names(names.into_iter()))
}

/// The causes of the lines of some differences, in their order; none where none was found.
pub(super) struct Names(std::vec::IntoIter<Option<&'static str>>);

impl Names {
    /// Writes the causes of the next lines into them.
    pub(super) fn name(&mut self, lines: &mut [Divergence]) {
        for (line, cause) in lines.iter_mut().zip(&mut self.0) {
            line.cause = cause;
        }
    }
}
