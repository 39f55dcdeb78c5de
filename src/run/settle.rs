//! What the tags of both sides say of their rows: how many agree, which must be read again, and where a tag has collided. It
//! reads no source, and never takes the tags' word for more than the sums bear out.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Halt;
use super::compare::{Units, Work};
use super::gather::Gathered;
use crate::diff::{Candidates, Index, JoinRules, LetGo, Position, Record, Records, Scratch, Shelf, join, partition_of};
use crate::digest::Sum;
use crate::sides::{Side, Sides};

/// The records of the side that was read first, and which side that is.
pub(super) struct First {
    pub(super) side: Side,
    pub(super) index: Index,
}

/// What the tags say.
pub(super) struct Settled {
    partitions: Vec<SettledPartition>,
    /// Rows to be read again.
    pub(super) candidates: Sides<Candidates>,
    /// Rows that were let go and must be found again.
    pub(super) let_go: Sought,
}

struct SettledPartition {
    agree: u64,
    out_of_scope: Sides<u64>,
    /// Of the digests of all its rows in scope.
    sums: Sides<Sum>,
    /// Rows that agreed in the last run and were not joined again.
    unseen: Sides<u64>,
}

/// Key tags whose rows are sought.
pub(super) struct Sought {
    pub(super) sides: Vec<Side>,
    bits: u32,
    /// Keys of a side that were found before.
    found: Option<(Side, Keys)>,
    /// Whole partitions.
    pub(super) partitions: FxHashSet<usize>,
    /// Single keys of partitions.
    pub(super) keys: Keys,
}

/// Keys of partitions, as far as slots tell them.
#[derive(Clone, Default)]
pub(super) struct Keys(FxHashMap<(usize, u32), LetGo>);

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, partition: usize, key: LetGo) {
        let known = self.0.entry((partition, key.low)).or_insert(key);
        known.high = (known.high.0.min(key.high.0), known.high.1.max(key.high.1));
    }

    fn has(&self, partition: usize, key: u64) -> bool {
        self.0.get(&(partition, LetGo::parts(key).0)).is_some_and(|known| known.may_be(key))
    }
}

impl Sought {
    pub(super) fn wants(&self, side: Side, key_tag: u64) -> bool {
        let partition = partition_of(key_tag, self.bits);
        let key = Record::new(key_tag, 0, self.bits, Position::new(0, 0, true)).key();
        let found = self.found.as_ref().is_some_and(|(of, keys)| *of == side && keys.has(partition, key));
        !found && (self.partitions.contains(&partition) || self.keys.has(partition, key))
    }

    /// The same, but for what was sought, and so found, before.
    pub(super) fn without(mut self, before: &Self) -> Self {
        self.found = before.sides.first().map(|side| (*side, before.keys.clone()));
        self
    }
}

impl Settled {
    pub(super) fn agree(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.agree + partition.unseen.authority).sum()
    }

    pub(super) fn out_of_scope(&self) -> Sides<u64> {
        Sides::from_fn(|side| self.partitions.iter().map(|partition| partition.out_of_scope.get(side)).sum())
    }

    /// Forgets what the tags said of partitions whose rows are all candidates now.
    pub(super) fn distrust(&mut self, collided: &Sought) {
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            if collided.partitions.contains(&number) {
                partition.agree = 0;
                partition.unseen = Sides::default();
                partition.out_of_scope = Sides::default();
            }
        }
    }
}

impl Work<'_> {
    /// Makes the index of all partitions that are in memory.
    pub(super) fn index(&self, records: &Records<'_>) -> Index {
        let shelf = |scratch: &mut Scratch, partition: usize| {
            records.resident(partition).then(|| Shelf::new(records.keep(partition), scratch))
        };
        let partitions = (0..1_usize << records.bits()).into_par_iter();
        let shelves = self.batch.threads.install(|| partitions.map_init(Scratch::default, shelf).collect());
        Index::new(shelves, records)
    }

    /// Asks the tags, a partition at a time.
    pub(super) fn settle(
        &self,
        records: &Sides<Records<'_>>,
        units: &Units,
        first: Option<&First>,
    ) -> Result<Settled, Halt> {
        let candidates = units.as_ref().map(|_, units| {
            let rows: Vec<u64> = units.iter().map(|unit| unit.rows).collect();
            let candidates = Candidates::new(&rows);
            for (unit, facts) in units.iter().enumerate() {
                facts.alone.iter().for_each(|row| candidates.mark(unit, u64::from(*row)));
            }
            candidates
        });
        let rules =
            JoinRules { multiset: self.inputs.binding.key_count == 0, scoped: self.inputs.row_filter.is_some() };
        let one = |partition: usize| {
            let sums = records.as_ref().map(|_, records| records.sum(partition));
            let unseen = Sides::from_fn(|side| self.taken().map_or(0, |recall| recall.unseen(side, partition)));
            let swept = first.and_then(|first| Some((first.side, first.index.sweep(partition)?)));
            if let Some((side, swept)) = swept {
                for position in swept.candidates {
                    candidates.get(side).mark(position.unit(), position.row());
                }
                let let_go: Vec<(usize, LetGo)> = swept.let_go.into_iter().map(|key| (partition, key)).collect();
                let out_of_scope = Sides::default();
                return Ok((SettledPartition { agree: swept.agree, out_of_scope, sums, unseen }, let_go));
            }
            let taken = records.as_ref().try_map(|_, records| records.take(partition)).map_err(Halt::Spill)?;
            let joined = join(taken, rules);
            for (side, positions) in joined.candidates.iter() {
                for position in positions {
                    candidates.get(side).mark(position.unit(), position.row());
                }
            }
            let (agree, out_of_scope) = (joined.agree, joined.out_of_scope);
            Ok((SettledPartition { agree, out_of_scope, sums, unseen }, Vec::new()))
        };
        let partitions = 0..1_usize << self.record_bits();
        let settled: Vec<_> =
            self.batch.threads.install(|| partitions.into_par_iter().map(one).collect::<Result<_, Halt>>())?;
        let (partitions, let_go): (Vec<_>, Vec<_>) = settled.into_iter().unzip();
        if let Some(first) = first {
            records.get(first.side).give_back(first.index.records());
        }
        let mut keys = Keys::default();
        let_go.into_iter().flatten().for_each(|(partition, key)| keys.add(partition, key));
        let let_go = Sought {
            sides: first.iter().copied().map(|first| first.side.other()).collect(),
            bits: self.record_bits(),
            found: None,
            partitions: FxHashSet::default(),
            keys,
        };
        Ok(Settled { partitions, candidates, let_go })
    }

    /// The partitions in which a tag has collided: their sums, less those of the candidates, differ.
    pub(super) fn collided(&self, settled: &Settled, gathered: &Sides<Gathered<'_>>) -> Sought {
        let differs = |(number, partition): (usize, &SettledPartition)| {
            let mut rest = partition.sums;
            rest.authority -= gathered.authority.sum(number);
            rest.projection -= gathered.projection.sum(number);
            let unlike = rest.authority != rest.projection || partition.unseen.authority != partition.unseen.projection;
            unlike.then_some(number)
        };
        let partitions = settled.partitions.iter().enumerate().filter_map(differs).collect();
        Sought { sides: Side::BOTH.to_vec(), bits: self.record_bits(), found: None, partitions, keys: Keys::default() }
    }
}
