//! Compares two opened sides: scan, settle by tags, gather, prove, resolve, record.

use std::sync::Arc;

use rayon::prelude::*;

use super::causes::Differing;
use super::foretold::Foretold;
use super::gather::{Gathered, Room, partitioned};
use super::input::Inputs;
use super::merge::{Because, Merged, Span, Told};
use super::pairing::Pairing;
use super::reader::{Again, Reader};
use super::recall::Recall;
use super::scan::{Scan, UnitFacts};
use super::settle::{First, Settled, Sought};
use super::tally::Tally;
use super::{Batch, Halt, Join};
use crate::audit::Recorder;
use crate::classify::Scale;
use crate::diff::resolve::ResolveRules;
use crate::diff::{Budget, Expected, Index, Position, Records};
use crate::digest::Sum;
use crate::sides::{Side, Sides};
use crate::source::{Unit, unchanged};
use crate::spill::SpillFile;

/// Compares the two sides to the end, or says what kept it from that. What was kept and turns out damaged is done without.
pub(super) fn compare(
    batch: &Batch<'_>,
    inputs: &Inputs,
    recall: Option<&Recall>,
    tally: &mut Tally<'_>,
    recorder: &mut dyn Recorder,
) -> Result<(), Halt> {
    match (compare_once(batch, inputs, recall, tally, recorder), recall) {
        (Err(Halt::Forgotten), Some(recall)) => {
            recall.forget();
            compare_once(batch, inputs, Some(recall), tally, recorder)
        }
        (ended, _) => ended,
    }
}

fn compare_once(
    batch: &Batch<'_>,
    inputs: &Inputs,
    recall: Option<&Recall>,
    tally: &mut Tally<'_>,
    recorder: &mut dyn Recorder,
) -> Result<(), Halt> {
    tally.schema(recorder)?;
    if compare_in_order(batch, inputs, recall, tally, recorder)? {
        return Ok(());
    }
    // What was measured while merging is measured again.
    inputs.gauges.forget();
    let (budget, spill) = (batch.spill_budget(), SpillFile::new(&batch.settings.spill_folder));
    Pairing::new(batch, inputs, recall, (&budget, &spill), false).compare(tally, recorder)
}

/// Merges sources that are in the order of their keys, and tells whether they are.
fn compare_in_order(
    batch: &Batch<'_>,
    inputs: &Inputs,
    recall: Option<&Recall>,
    tally: &mut Tally<'_>,
    recorder: &mut dyn Recorder,
) -> Result<bool, Halt> {
    let spill = SpillFile::new(&batch.settings.spill_folder);
    let budget = batch.spill_budget();
    let work = Work { batch, inputs, budget: &budget, recall, beside: false };
    work.countable()?;
    let Some(spans) = work.spans() else { return Ok(false) };
    let gathered = work.gathered(&spill);
    match work.merge(&spans, &gathered, work.tells(recorder))? {
        Ok(merged) => return work.kept(&merged, gathered, tally, recorder).map(|()| true),
        Err(Because::Unsorted) => return Ok(false),
        Err(because) => {
            forget(gathered, inputs);
            if because == Because::Dense {
                let foretold = work.foretold_of(&spans, &spill, tally, recorder)?;
                let stragglers = work.gathered(&spill);
                match work.tell(&spans, &stragglers, foretold)? {
                    Ok((merged, told)) => {
                        return work.told(&merged, (&told, stragglers), tally, recorder).map(|()| true);
                    }
                    Err(Because::Unsorted) => return Ok(false),
                    Err(Because::Dense | Because::Touched) => forget(stragglers, inputs),
                }
            }
        }
    }
    let gathered = work.gathered(&spill);
    let Ok(merged) = work.merge(&spans, &gathered, false)? else { return Ok(false) };
    work.kept(&merged, gathered, tally, recorder).map(|()| true)
}

/// Gives back what was held, and forgets what was measured: merging begins anew.
fn forget(gathered: Sides<Gathered<'_>>, inputs: &Inputs) {
    drop(partitioned(gathered, |_| 0));
    inputs.gauges.forget();
}

/// What the steps of one comparison share.
pub(super) struct Work<'a> {
    pub(super) batch: &'a Batch<'a>,
    pub(super) inputs: &'a Inputs,
    pub(super) budget: &'a Budget,
    pub(super) recall: Option<&'a Recall>,
    /// The authority is read for another comparison, and leaves its records here.
    pub(super) beside: bool,
}

/// Facts of the units of each side.
pub(super) type Units = Sides<Vec<UnitFacts>>;

/// The sum of all rows' digests.
fn sum_of(units: &[UnitFacts]) -> Sum {
    let mut sum = Sum::default();
    units.iter().for_each(|unit| sum += unit.sum);
    sum
}

/// How many rows a side has, as far as it is known.
fn rows(inputs: &Inputs, side: Side) -> u64 {
    let units = inputs.sides.get(side).opened.units.iter();
    // Where the rows are not known, a hundred bytes each is a guess that only costs speed where it is wrong.
    units.map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum()
}

/// About 64 thousand rows a partition, so that one is joined within the second-level cache.
pub(super) fn record_bits(batch: &Batch<'_>, inputs: &Inputs) -> u32 {
    if let Some(bits) = batch.settings.tuning.partition_bits {
        return bits;
    }
    let rows = rows(inputs, Side::Authority).max(rows(inputs, Side::Projection));
    (rows >> 16).max(1).next_power_of_two().ilog2().min(12)
}

impl<'w> Work<'w> {
    /// Room for the records of both sides.
    pub(super) fn records(&self, spill: &'w SpillFile) -> Sides<Records<'w>> {
        // The side that asks an index leaves few records or none.
        let expected = |side| match (self.taken(), self.first()) {
            (Some(recall), _) => recall.expected().min(self.rows(side)),
            (None, Some(first)) if first != side => 0,
            (None, _) => self.rows(side),
        };
        let shelved = self.taken().is_none() && self.first().is_some();
        let expected = |side| Expected { rows: expected(side), shelved };
        let share = if self.first().is_some() { self.budget.limit() } else { self.budget.limit() / 2 };
        Sides::from_fn(|side| Records::new(self.record_bits(), expected(side), share, self.budget, spill))
    }

    pub(super) fn gathered(&self, spill: &'w SpillFile) -> Sides<Gathered<'w>> {
        let room = Arc::<Room>::default();
        Sides::from_fn(|_| Gathered::new(self.record_bits(), Arc::clone(&room), self.budget, spill))
    }

    /// Whether sources that are in the order of their keys are merged: where nothing is kept for the next run, and there is room
    /// to read both sides at once on every thread.
    pub(super) fn merges(&self) -> bool {
        let room = self
            .batch
            .settings
            .memory_limit
            .is_none_or(|limit| 2 * self.inputs.memory() * self.batch.settings.threads as u64 <= limit / 4);
        match self.batch.settings.tuning.join {
            // What is read for two comparisons is read unit by unit.
            _ if self.batch.beside.is_some() => false,
            Some(join) => join == Join::Merge,
            None => self.recall.is_none() && room && self.enough(),
        }
    }

    /// Whether rows that do not agree can be told in passes instead of kept: nobody wants them whole, in order, or a second time, and
    /// no database is asked for them more than once.
    fn tells(&self, recorder: &dyn Recorder) -> bool {
        let contract = self.batch.contract;
        let again = contract.recheck.is_some() && contract.not_rechecked().is_none();
        let wanted = recorder.keeps() || self.batch.settings.draft_plan || again || self.batch.notes.is_some();
        let mut units = self.inputs.sides.iter().flat_map(|(_, input)| &input.opened.units);
        !wanted && units.all(|unit| unit.remote().is_none())
    }

    /// What sources in the order of their keys may be judged by while they are told, where it can be guessed.
    fn foretold_of(
        &self,
        spans: &[Span],
        spill: &SpillFile,
        tally: &Tally<'_>,
        recorder: &dyn Recorder,
    ) -> Result<Option<Foretold>, Halt> {
        if !self.counts_alone(&Scale::new(self.batch.contract, &self.inputs.binding), recorder) {
            return Ok(None);
        }
        let nothing = self.gathered(spill);
        let evidence = self.sample(spans, &nothing)?;
        forget(nothing, self.inputs);
        Ok(Some(Foretold::new(evidence.suspects(), tally.examples())))
    }

    /// Records sources that were merged, whose rows that do not agree are kept.
    fn kept(
        &self,
        merged: &Merged,
        gathered: Sides<Gathered<'_>>,
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        tally.scanned(&merged.units, Sides::default());
        tally.table_sums(Self::sums_of_merged(&merged.units, &gathered));
        tally.joined(merged.agree, Sides::default());
        self.finish(gathered, &merged.units, tally, recorder)
    }

    /// Records sources that were merged, whose rows that do not agree are told once more, and makes sure that they are still what
    /// they were.
    fn told(
        &self,
        merged: &Merged,
        (told, stragglers): (&Told<'_>, Sides<Gathered<'_>>),
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        tally.scanned(&merged.units, Sides::default());
        tally.table_sums(merged.units.as_ref().map(|_, units| sum_of(units)));
        tally.joined(merged.agree, Sides::default());
        let stragglers = partitioned(stragglers, |bytes| self.together(bytes));
        let differing = Differing { kept: &stragglers, second: None, told: Some(told) };
        self.resolve(differing, &self.rows_by_file(&merged.units), tally, recorder)?;
        for (side, input) in self.inputs.sides.iter() {
            unchanged(&input.opened).map_err(|error| Halt::Source { side, error })?;
        }
        tally.gauged(self.inputs);
        tally.compared();
        Ok(())
    }

    /// Resolves and records what was gathered, and makes sure that the sources are still what they were.
    pub(super) fn finish(
        &self,
        gathered: Sides<Gathered<'_>>,
        units: &Units,
        tally: &mut Tally<'_>,
        recorder: &mut dyn Recorder,
    ) -> Result<(), Halt> {
        let gathered = partitioned(gathered, |bytes| self.together(bytes));
        let had = units.as_ref().map(|_, units| units.iter().any(|unit| unit.read > 0));
        let second = self.second_look(&gathered, had)?;
        let differing = Differing { kept: &gathered, second: second.as_ref(), told: None };
        self.resolve(differing, &self.rows_by_file(units), tally, recorder)?;
        // Before a second look, which a file may be replaced for, that was made sure of.
        for (side, input) in self.inputs.sides.iter().filter(|_| second.is_none()) {
            unchanged(&input.opened).map_err(|error| Halt::Source { side, error })?;
        }
        tally.gauged(self.inputs);
        tally.compared();
        second.and_then(|second| tally.looked_again(second)).map_or(Ok(()), Err)
    }

    /// How candidates are told apart.
    pub(super) fn rules(&self) -> ResolveRules {
        ResolveRules { null_keys_match: self.batch.contract.null_keys_match }
    }

    /// What earlier runs left, where some of it is taken over.
    pub(super) fn taken(&self) -> Option<&Recall> {
        self.recall.filter(|recall| recall.active())
    }

    pub(super) fn reader(&self, side: Side) -> Reader<'_> {
        Reader { batch: self.batch, inputs: self.inputs, side }
    }

    fn rows(&self, side: Side) -> u64 {
        rows(self.inputs, side)
    }

    pub(super) fn record_bits(&self) -> u32 {
        self.recall.map_or_else(|| record_bits(self.batch, self.inputs), Recall::bits)
    }

    /// Of so many bytes of candidates, those that are brought out together: few enough for memory and caches, and that all threads
    /// have some.
    fn together(&self, all: u64) -> u64 {
        const LEAST: u64 = 1 << 16;
        const MOST: u64 = 1 << 21;
        let by_threads = all / (4 * self.batch.settings.threads as u64);
        // Brought out and judged, rows take several times their bytes, and some more partitions than there are threads are at hand.
        by_threads.clamp(LEAST, MOST).min(self.budget.limit() / 32)
    }

    /// Which side is read first and asked by the other, where that serves: with a key, all rows in scope, and units enough
    /// that the threads have work while one side alone is read.
    fn first(&self) -> Option<Side> {
        let keyed = self.inputs.binding.key_count > 0 && self.inputs.row_filter.is_none();
        // What is taken over can be chosen only when both sides' new rows are known, and its values cannot be caught.
        let serves = keyed && self.taken().is_none();
        let smaller = !self.beside && self.rows(Side::Projection) < self.rows(Side::Authority) / 2;
        let first = if smaller { Side::Projection } else { Side::Authority };
        let indexed = self.batch.settings.tuning.join.map_or_else(|| self.enough(), |join| join != Join::Sort);
        (serves && indexed).then_some(first)
    }

    /// Whether the threads have work while one side alone is read.
    fn enough(&self) -> bool {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        counts.authority.min(counts.projection) >= 4 * self.batch.settings.threads
    }

    pub(super) fn units_of(&self, sides: &[Side]) -> Vec<(Side, usize)> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        let longest = counts.authority.max(counts.projection);
        // Both sides' units in turn, so that neither waits for the other.
        let pairs = (0..longest).flat_map(|unit| sides.iter().map(move |side| (*side, unit)));
        pairs.filter(|(side, unit)| unit < counts.get(*side)).collect()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.inputs.sides.iter().flat_map(|(_, input)| &input.opened.units).map(|unit| unit.bytes()).sum()
    }

    /// Rows of both sides, where every part knows of its own; 0 where one does not.
    pub(super) fn known_rows(&self) -> u64 {
        let units = self.inputs.sides.iter().flat_map(|(_, input)| &input.opened.units);
        units.map(|unit| unit.rows()).sum::<Option<u64>>().unwrap_or(0)
    }

    pub(super) fn countable(&self) -> Result<(), Halt> {
        let counts = self.inputs.sides.as_ref().map(|_, input| input.opened.units.len());
        let too_many = counts.iter().find(|(_, count)| **count > Position::UNITS);
        too_many
            .map_or(Ok(()), |(side, count)| Err(Halt::Contract(format!("{side}: {count} parts are too many to read"))))
    }

    /// Reads both sides: in turn, or one after the other. Units of the authority that were `left` are not read again.
    pub(super) fn scan(
        &self,
        records: &Sides<Records<'_>>,
        gathered: &Sides<Gathered<'_>>,
        left: Vec<Option<UnitFacts>>,
        tally: &mut Tally<'_>,
    ) -> Result<(Units, Option<First>), Halt> {
        self.begin_reading(&left);
        let projection = vec![None; self.inputs.sides.projection.opened.units.len()];
        let mut units = Sides { authority: left, projection };
        let mut halted = None;
        let mut scan = |mut some: Vec<(Side, usize)>, index: Option<&Index>| {
            some.retain(|(side, unit)| units.get(*side)[*unit].is_none());
            let recall = self.recall;
            let scanned: Vec<(Side, usize, Result<UnitFacts, Halt>)> = self.batch.threads.install(|| {
                let one = |(side, unit)| {
                    let scan = Scan { records: records.get(side), index, gathered: gathered.get(side), recall };
                    let reader = self.reader(side);
                    let facts = match self.taken().filter(|recall| recall.takes(side, unit)) {
                        Some(recall) => recall.replay(reader, unit, records.get(side)),
                        None => reader.scan(unit, scan),
                    };
                    (side, unit, facts)
                };
                some.into_par_iter().with_max_len(1).map(one).collect()
            });
            for (side, unit, facts) in scanned {
                match facts {
                    Ok(facts) => units.get_mut(side)[unit] = Some(facts),
                    Err(halt) => halted = halted.take().or(Some(halt)),
                }
            }
            halted.is_none()
        };
        let index = match (self.taken(), self.first()) {
            (Some(recall), _) => {
                let all = self.units_of(&Side::BOTH).into_iter();
                let (taken, read): (Vec<_>, Vec<_>) = all.partition(|(side, unit)| recall.takes(*side, *unit));
                if scan(read.clone(), None) {
                    self.join_fresh(recall, read, records).inspect_err(|_| self.batch.progress.end())?;
                }
                scan(taken, None);
                None
            }
            (None, None) => {
                scan(self.units_of(&Side::BOTH), None);
                None
            }
            (None, Some(side)) => {
                scan(self.units_of(&[side]), None);
                let index = self.index(records.get(side));
                scan(self.units_of(&[side.other()]), Some(&index));
                Some(First { side, index })
            }
        };
        self.batch.progress.end();
        if let Some(Halt::Forgotten) = halted {
            return Err(Halt::Forgotten);
        }
        let units = units.map(|_, units| units.into_iter().flatten().collect::<Vec<UnitFacts>>());
        let files = |side| self.taken().map_or(0, |recall| recall.files(side, self.inputs));
        tally.scanned(&units, Sides::from_fn(files));
        if let Some(halt) = halted {
            return Err(halt);
        }
        tally.table_sums(units.as_ref().map(|_, units| sum_of(units)));
        Ok((units, index))
    }

    /// Tells how much is to be read: all but what is `left` of the authority.
    fn begin_reading(&self, left: &[Option<UnitFacts>]) {
        let bytes = |(unit, _): (&Arc<dyn Unit>, _)| unit.bytes();
        let read = self.inputs.sides.authority.opened.units.iter().zip(left).filter(|(_, left)| left.is_some());
        let rows = left.iter().flatten().map(|facts| facts.rows).sum();
        let bytes = self.bytes().saturating_sub(read.map(bytes).sum());
        self.batch.progress.begin(&self.batch.contract.name, "reading", bytes);
        self.batch.progress.expect(self.known_rows().saturating_sub(rows));
    }

    /// Joins what was read beside what is taken over, as far as it is not as it was in the last run.
    fn join_fresh(&self, recall: &Recall, read: Vec<(Side, usize)>, records: &Sides<Records<'_>>) -> Result<(), Halt> {
        self.batch.threads.install(|| {
            recall.hold_against_the_last_run()?;
            let one = |(side, unit)| {
                self.reader(side).go_on()?;
                recall.join_fresh(side, unit, records.get(side))
            };
            read.into_par_iter().with_max_len(1).try_for_each(one)
        })
    }

    /// Reads the candidates again.
    pub(super) fn gather(&self, settled: &Settled, units: &Units, gathered: &Sides<Gathered<'_>>) -> Result<(), Halt> {
        let all = self.units_of(&Side::BOTH).into_iter();
        let doubted: Vec<_> = all.filter(|(side, unit)| settled.candidates.get(*side).any(*unit)).collect();
        self.again(doubted, |side, unit| {
            let whole = units.get(side)[unit].unreadable.is_empty();
            if let Some(recall) = self.recall.filter(|_| whole)
                && recall.gather(self.reader(side), unit, gathered.get(side), settled.candidates.get(side))?
            {
                return Ok(());
            }
            let again = Again { unit, rows: Some(units.get(side)[unit].rows) };
            gathered.get(side).gather(self.reader(side), again, whole, settled.candidates.get(side))
        })
    }

    /// Reads all of a side again for rows that were let go.
    pub(super) fn find_again(
        &self,
        settled: &Settled,
        units: &Units,
        gathered: &Sides<Gathered<'_>>,
        sought: &Sought,
    ) -> Result<(), Halt> {
        if sought.partitions.is_empty() && sought.keys.is_empty() {
            return Ok(());
        }
        self.again(self.units_of(&sought.sides), |side, unit| {
            let held = |row| units.get(side)[unit].caught.has(row) || settled.candidates.get(side).has(unit, row);
            let wanted = |key_tag| sought.wants(side, key_tag);
            let found = |row| settled.candidates.get(side).mark(unit, row);
            let again = Again { unit, rows: Some(units.get(side)[unit].rows) };
            self.reader(side).find_again(again, gathered.get(side), held, wanted, found)
        })
    }

    /// Reads some units again, in parallel.
    pub(super) fn again(
        &self,
        units: Vec<(Side, usize)>,
        read: impl Fn(Side, usize) -> Result<(), Halt> + Sync,
    ) -> Result<(), Halt> {
        let bytes = units.iter().map(|(side, unit)| self.inputs.sides.get(*side).opened.units[*unit].bytes()).sum();
        self.batch.progress.begin(&self.batch.contract.name, "looking closer", bytes);
        let ended = self
            .batch
            .threads
            .install(|| units.into_par_iter().with_max_len(1).try_for_each(|(side, unit)| read(side, unit)));
        self.batch.progress.end();
        ended
    }

    /// The sums of both sides, of which only the authority's rows were digested: the projection's that agree have the same.
    fn sums_of_merged(units: &Units, gathered: &Sides<Gathered<'_>>) -> Sides<Sum> {
        let authority = sum_of(&units.authority);
        let mut projection = authority;
        projection -= gathered.authority.sum_of_all();
        projection += gathered.projection.sum_of_all();
        Sides { authority, projection }
    }
}
