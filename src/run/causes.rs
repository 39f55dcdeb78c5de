//! Looks at all that differs once before it is judged, so that what many rows have in common is known when each is told.

use rayon::prelude::*;

use super::Halt;
use super::compare::Work;
use super::gather::Partitioned;
use super::looked::Looked;
use crate::causes::{Evidence, Explained, Scene, Suspects};
use crate::classify::{Bench, Divergence, Scale};
use crate::contract::Kind;
use crate::diff::resolve::{Difference, ResolveRules, resolve};
use crate::sides::{Side, Sides};

impl Work<'_> {
    /// The causes that may be named; so many pairs agree besides. The rows stay where they are.
    pub(super) fn suspects(
        &self,
        gathered: &Sides<Partitioned<'_>>,
        scale: &Scale,
        agree: u64,
        looked: &Looked<'_>,
    ) -> Result<Suspects, Halt> {
        let binding = &self.inputs.binding;
        if binding.key_count == 0 {
            // Rows of a multiset are there or not; none is another's copy.
            return Ok(Evidence::new(binding).suspects());
        }
        let rules = ResolveRules { null_keys_match: self.batch.contract.null_keys_match };
        let partitions: Vec<usize> = (0..gathered.authority.partitions())
            // A pair has rows on both sides, and so has what is lost among others.
            .filter(|&partition| gathered.authority.has(partition))
            .collect();
        let look = |mut evidence: Evidence, partition: usize| {
            self.reader(Side::Authority).go_on()?;
            let rows = gathered.as_ref().try_map(|side, gathered| gathered.look(self.reader(side), partition))?;
            let resolved = resolve(binding, rules, &rows);
            evidence.agreeing(resolved.agree);
            let bench = Bench { contract: self.batch.contract, binding, rows: &rows, scale };
            evidence.look(Scene { binding, rows: &rows }, &resolved.differences, |difference| lags(bench, difference));
            looked.hold(partition, gathered, rows, resolved);
            Ok(evidence)
        };
        // Evidence is added in the order of the partitions, whoever looked at them.
        let evidence = self.batch.threads.install(|| {
            partitions.into_par_iter().try_fold(|| Evidence::new(binding), look).try_reduce(
                || Evidence::new(binding),
                |mut one, other| {
                    one.add(other);
                    Ok(one)
                },
            )
        });
        evidence.map(|mut evidence| {
            evidence.agreeing(agree);
            evidence.suspects()
        })
    }
}

/// Gives the differences of one partition to their causes.
pub(super) fn explain(suspects: &Suspects, bench: Bench<'_>, differences: &[Difference]) -> (Explained, Names) {
    let mut explained = suspects.counts();
    let mut names = Vec::new();
    if !suspects.is_empty() {
        let scene = Scene { binding: bench.binding, rows: bench.rows };
        let lags = |difference: &Difference| lags(bench, difference);
        suspects.explain(scene, differences, lags, &mut explained, |of_lines| names.extend_from_slice(of_lines));
    }
    (explained, Names(names.into_iter()))
}

/// Whether markers tell why the rows differ: the projection has an earlier row, or a later one.
fn lags(bench: Bench<'_>, difference: &Difference) -> bool {
    matches!(bench.kind_of(difference), Kind::Stale | Kind::InFlight | Kind::Ahead)
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
