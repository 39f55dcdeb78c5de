//! Compares two opened sides: scan, join, gather, resolve, record.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::gather::Gathered;
use super::input::Inputs;
use super::scan::{Reader, UnitFacts};
use super::tally::{Judged, Tally};
use super::{Batch, Halt};
use crate::audit::Recorder;
use crate::classify::{Bench, judge};
use crate::diff::resolve::{ResolveRules, resolve};
use crate::diff::{Budget, Candidates, JoinRules, Position, Records, join};
use crate::digest::Sum;
use crate::plan::draft;
use crate::sides::{Side, Sides};
use crate::source::unchanged;
use crate::spill::SpillFile;

/// Compares the two sides to the end, or says what kept it from that.
pub(super) fn compare(
    batch: &Batch<'_>,
    inputs: &Inputs,
    tally: &mut Tally<'_>,
    recorder: &mut dyn Recorder,
) -> Result<(), Halt> {
    tally.schema(recorder).map_err(Halt::Record)?;
    let spill = SpillFile::new(&batch.settings.spill_folder);
    let budget = Budget::new(batch.settings.tuning.budget.unwrap_or_else(|| batch.settings.budget()));
    let work = Work { batch, inputs, spill: &spill, budget: &budget };
    let records = Sides::from_fn(|_| Records::new(work.record_bits(), &budget, &spill));
    let units = work.scan(&records, tally)?;
    tally.unreadable(recorder).map_err(Halt::Record)?;
    let mut distrusted = BTreeSet::new();
    let (joined, gathered) = loop {
        let joined = work.join(&records, &units, &distrusted)?;
        let gathered = work.gather(&joined, &units)?;
        let collided = work.collided(&joined, &gathered, &distrusted);
        if collided.is_empty() {
            break (joined, gathered);
        }
        distrusted.extend(collided);
    };
    records.map(|_, records| records.clear());
    tally.joined(joined.agree, joined.out_of_scope);
    work.resolve(&gathered, tally, recorder)?;
    for (side, input) in inputs.sides.iter() {
        unchanged(&input.opened).map_err(|error| Halt::Source { side, error })?;
    }
    tally.compared();
    Ok(())
}

/// What the steps of one comparison share.
struct Work<'a> {
    batch: &'a Batch<'a>,
    inputs: &'a Inputs,
    spill: &'a SpillFile,
    budget: &'a Budget,
}

/// What the tags say, over all partitions.
struct AllJoined {
    agree: u64,
    out_of_scope: Sides<u64>,
    candidates: Sides<Candidates>,
    /// For each partition, the sum of all its rows' digests.
    sums: Vec<Sides<Sum>>,
}

/// Facts of the units of each side.
type Units = Sides<Vec<UnitFacts>>;

impl<'a> Work<'a> {
    fn reader(&self, side: Side) -> Reader<'_> {
        Reader { batch: self.batch, inputs: self.inputs, side }
    }

    /// About 64 thousand rows a partition, so that one is joined within the second-level cache.
    fn record_bits(&self) -> u32 {
        if let Some(bits) = self.batch.settings.tuning.partition_bits {
            return bits;
        }
        let rows_of = |side: Side| {
            let units = self.inputs.sides.get(side).opened.units.iter();
            // Where the rows are not known, a hundred bytes each is a guess that only costs speed where it is wrong.
            units.map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum::<u64>()
        };
        let rows = rows_of(Side::Authority).max(rows_of(Side::Projection));
        (rows >> 16).max(1).next_power_of_two().ilog2().min(12)
    }

    /// Both sides' units in turn, so that neither waits for the other.
    fn all_units(&self) -> Vec<(Side, usize)> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        let longest = counts.authority.max(counts.projection);
        let pairs = (0..longest).flat_map(|unit| Side::BOTH.map(|side| (side, unit)));
        pairs.filter(|(side, unit)| unit < counts.get(*side)).collect()
    }

    fn bytes(&self) -> u64 {
        self.inputs.sides.iter().flat_map(|(_, input)| &input.opened.units).map(|unit| unit.bytes()).sum()
    }

    fn scan(&self, records: &Sides<Records<'_>>, tally: &mut Tally<'_>) -> Result<Units, Halt> {
        self.batch.progress.begin(&self.batch.contract.name, "reading", self.bytes());
        for (side, input) in self.inputs.sides.iter() {
            if input.opened.units.len() > Position::UNITS {
                return Err(Halt::Contract(format!("{side}: {} parts are too many to read", input.opened.units.len())));
            }
        }
        let scanned: Vec<(Side, usize, Result<UnitFacts, Halt>)> = self.batch.threads.install(|| {
            self.all_units()
                .into_par_iter()
                .with_max_len(1)
                .map(|(side, unit)| (side, unit, self.reader(side).scan(unit, records.get(side))))
                .collect()
        });
        self.batch.progress.end();
        let mut units = self.inputs.sides.as_ref().map(|_, _| Vec::new());
        let mut halted = None;
        for (side, _, facts) in scanned {
            match facts {
                Ok(facts) => units.get_mut(side).push(facts),
                Err(halt) => halted = halted.or(Some(halt)),
            }
        }
        tally.scanned(&units);
        if let Some(halt) = halted {
            return Err(halt);
        }
        let table = records.as_ref().try_map(|_, records| {
            let mut sum = Sum::default();
            for partition in 0..1_usize << self.record_bits() {
                sum += records.sum(partition);
            }
            Ok::<_, Halt>(sum)
        })?;
        tally.table_sums(table);
        Ok(units)
    }

    fn join(
        &self,
        records: &Sides<Records<'_>>,
        units: &Units,
        distrusted: &BTreeSet<usize>,
    ) -> Result<AllJoined, Halt> {
        let candidates = units.as_ref().map(|_, units| {
            let rows: Vec<u64> = units.iter().map(|unit| unit.rows).collect();
            let candidates = Candidates::new(&rows);
            for (index, unit) in units.iter().enumerate() {
                for &row in &unit.alone {
                    candidates.mark(index, row);
                }
            }
            candidates
        });
        let one = |partition: usize| {
            let taken = records.as_ref().try_map(|_, records| records.take(partition)).map_err(Halt::Spill)?;
            let sums = taken.as_ref().map(|_, (_, sum)| *sum);
            let rules = JoinRules {
                multiset: self.inputs.binding.key_count == 0,
                scoped: self.inputs.row_filter.is_some(),
                distrust: distrusted.contains(&partition),
            };
            let joined = join(taken.map(|_, (records, _)| records), rules);
            for (side, positions) in joined.candidates.iter() {
                for position in positions {
                    candidates.get(side).mark(position.unit(), position.row());
                }
            }
            Ok((joined.agree, joined.out_of_scope, sums))
        };
        let partitions = 0..1_usize << self.record_bits();
        let joined: Vec<_> =
            self.batch.threads.install(|| partitions.into_par_iter().map(one).collect::<Result<_, Halt>>())?;
        let mut all = AllJoined { agree: 0, out_of_scope: Sides::default(), candidates, sums: Vec::new() };
        for (agree, out_of_scope, sums) in joined {
            all.agree += agree;
            all.out_of_scope.authority += out_of_scope.authority;
            all.out_of_scope.projection += out_of_scope.projection;
            all.sums.push(sums);
        }
        Ok(all)
    }

    fn gather(&self, joined: &AllJoined, units: &Units) -> Result<Sides<Gathered<'a>>, Halt> {
        let bits = self.gather_bits(joined, units);
        let gathered = Sides::from_fn(|_| Gathered::new(bits, self.record_bits(), self.budget, self.spill));
        let doubted: Vec<(Side, usize)> =
            self.all_units().into_iter().filter(|(side, unit)| joined.candidates.get(*side).any(*unit)).collect();
        let bytes = doubted.iter().map(|(side, unit)| self.inputs.sides.get(*side).opened.units[*unit].bytes()).sum();
        self.batch.progress.begin(&self.batch.contract.name, "looking closer", bytes);
        let ended = self.batch.threads.install(|| {
            doubted.into_par_iter().with_max_len(1).try_for_each(|(side, unit)| {
                let whole = units.get(side)[unit].unreadable.is_empty();
                gathered.get(side).gather(self.reader(side), unit, whole, joined.candidates.get(side))
            })
        });
        self.batch.progress.end();
        ended.map(|()| gathered)
    }

    /// So many partitions that one is a small part of the budget, and that all threads have some.
    fn gather_bits(&self, joined: &AllJoined, units: &Units) -> u32 {
        let mut partitions = 1;
        for (side, candidates) in joined.candidates.iter() {
            let units = units.get(side);
            let (rows, bytes) = units.iter().fold((1, 0), |(rows, bytes), unit| (rows + unit.read, bytes + unit.bytes));
            let expected = bytes / rows * candidates.count();
            partitions = partitions.max(candidates.count() >> 15).max(expected / (self.budget.limit() / 16).max(1));
        }
        partitions.max(1).next_power_of_two().ilog2().min(12)
    }

    /// The partitions in which a tag has collided: their sums, less those of the candidates, differ.
    fn collided(&self, joined: &AllJoined, gathered: &Sides<Gathered<'_>>, distrusted: &BTreeSet<usize>) -> Vec<usize> {
        if self.inputs.row_filter.is_some() {
            // Keys out of scope may differ, so the sums say nothing; what agrees then rests on 128 bits of digest.
            return Vec::new();
        }
        let differs = |partition: &usize| {
            let mut rest = joined.sums[*partition];
            rest.authority -= gathered.authority.sum(*partition);
            rest.projection -= gathered.projection.sum(*partition);
            rest.authority != rest.projection
        };
        (0..joined.sums.len()).filter(|partition| !distrusted.contains(partition)).filter(differs).collect()
    }

    fn resolve(
        &self,
        gathered: &Sides<Gathered<'_>>,
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        let partitions: Vec<usize> = (0..gathered.authority.partitions()).collect();
        // A wave is recorded before the next is judged, so that what is judged never piles up.
        for wave in partitions.chunks(self.batch.settings.threads * 2) {
            self.reader(Side::Authority).go_on()?;
            let complete = tally.complete();
            let judged: Vec<Judged> = self.batch.threads.install(|| {
                wave.par_iter().map(|&partition| self.judge(gathered, partition, complete)).collect::<Result<_, Halt>>()
            })?;
            for judged in judged {
                tally.record(judged, recorder).map_err(Halt::Record)?;
            }
        }
        Ok(())
    }

    fn judge(&self, gathered: &Sides<Gathered<'_>>, partition: usize, complete: Sides<bool>) -> Result<Judged, Halt> {
        let rows = gathered.as_ref().try_map(|side, gathered| gathered.take(self.reader(side), partition))?;
        let rules = ResolveRules { null_keys_match: self.batch.contract.null_keys_match };
        let resolved = resolve(&self.inputs.binding, rules, &rows);
        let bench = Bench { contract: self.batch.contract, binding: &self.inputs.binding, rows: &rows };
        let mut judged = Judged { agree: resolved.agree, out_of_scope: resolved.out_of_scope, findings: Vec::new() };
        for difference in resolved.differences {
            let divergences = judge(bench, &difference);
            let actions = if self.batch.settings.draft_plan { draft(bench, &difference, complete) } else { Vec::new() };
            judged.findings.push((difference, divergences, actions));
        }
        Ok(judged)
    }
}
