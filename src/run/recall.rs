//! What a run takes over from the last one instead of reading it again, and what it leaves for the next.
//!
//! A unit of an unchanged file is not read: its sums and tags come from the cache. The last run told all its candidates apart and
//! proved that every other row had its equal across. So only some of the rows are joined again, be they taken over or read: those
//! that were candidates, and those whose key tag is *hot*, because a row with that tag is new or gone since then (`editions`). The
//! others are counted as agreeing unseen. That a row agrees rests on no trust in the last run: as always the sums of all rows, less
//! those of the candidates, must be equal on both sides, or the partition is read and compared by value. Only of keys that were
//! doubled alike on both sides its word is taken: they were candidates.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::gather::{Gathered, Pending};
use super::input::Inputs;
use super::reader::Reader;
use super::scan::{UnitFacts, compact, take_rows};
use super::{Batch, Halt};
use crate::audit::InputFacts;
use crate::cache::{Cache, Id, KeptRows, Known, Seen, State, Unit};
use crate::diff::{Candidates, Collector, Marks, Position, Record, Records, partition_of};
use crate::sides::{Side, Sides};
use crate::source;

mod editions;
mod hot;
mod recognised;

use editions::differing;
use hot::Hot;
use recognised::{Recognised, cache, recognised, unit_ids, worth_it};

/// What is remembered of the last run, and noted for the next.
pub(super) struct Recall {
    cache: Cache,
    /// What tells each file from another; None where that cannot be relied on.
    files: Sides<Vec<Option<Id>>>,
    /// Of each unit.
    ids: Sides<Vec<Id>>,
    /// For each unit what the last run knew of it, if it is taken over.
    known: Sides<Vec<Option<Known>>>,
    digests: FxHashMap<Id, [u8; 32]>,
    bits: u32,
    /// Units that are gone, each with the unit it lay behind that is still there.
    gone: Sides<Vec<(Option<Id>, Known)>>,
    /// Units that were read, and what is kept of them.
    fresh: Mutex<Sides<BTreeMap<usize, Id>>>,
    /// Rows of units that are new or gone.
    expected: u64,
    hot: Hot,
    /// For each partition the rows that are counted unseen.
    unseen: Sides<Vec<AtomicU64>>,
    /// What was kept turned out damaged: everything is read.
    forgotten: AtomicBool,
    noted: Mutex<Noted>,
    /// Bytes of values that may still be kept.
    room: AtomicU64,
}

/// What is noted for the next run.
#[derive(Default)]
struct Noted {
    state: State,
    /// Values of candidates, by side and unit.
    rows: FxHashMap<(Side, usize), Vec<(Vec<u32>, RecordBatch)>>,
    failed: Option<std::io::Error>,
}

/// What a predicate may call that answers otherwise at another time. Found in a column's name it costs only speed.
const INCONSTANT: [&str; 6] = ["now", "current", "today", "rand", "uuid", "local"];

impl Recall {
    /// Looks for what the last run left. None where nothing is to be kept. `bits` is what the partitions would be without it.
    pub(super) fn open(batch: &Batch<'_>, inputs: &Inputs, bits: u32) -> Option<Self> {
        let root = batch.settings.cache.as_ref()?;
        // What is kept are tags and values of rows, which nobody may find personal data in.
        if batch.contract.has_pii() {
            cache(batch, inputs, root).remove();
            return None;
        }
        let filters = batch.contract.sources.iter().filter_map(|(_, source)| source.filter.as_ref());
        let inconstant = |filter: &String| INCONSTANT.iter().any(|word| filter.to_lowercase().contains(word));
        // What is measured of every row is not kept.
        if batch.contract.controls.need_every_row() {
            return None;
        }
        // What other sources hold, or a database, may have changed without any file of the two sides.
        if inputs.owners.is_some()
            || inputs.sides.iter().any(|(_, input)| input.opened.snapshot.is_some())
            || inputs.binding.key_count == 0
            || inputs.row_filter.is_some()
            || inputs.carries()
            || filters.into_iter().any(inconstant)
        {
            return None;
        }
        let cache = cache(batch, inputs, root);
        let began = batch.settings.started_at;
        let files = inputs.sides.as_ref().map(|_, input| {
            let found = source::identities(&input.opened, began);
            // What cannot be identified says so when it is read.
            let found = found.unwrap_or_else(|_| vec![None; input.opened.files.len()]);
            found.into_iter().map(|id| id.map(Id)).collect::<Vec<_>>()
        });
        let ids = Sides::from_fn(|side| unit_ids(batch, inputs, side, (cache.sense(), files.get(side))));
        let state = cache.state().unwrap_or_default();
        let Recognised { known, gone, bits } = recognised(&cache, &state, &ids, bits);
        let known = if worth_it(inputs, &known) { known } else { known.map(|_, units| vec![None; units.len()]) };
        let active = known.iter().any(|(_, units)| units.iter().any(Option::is_some));
        let fresh: Sides<u64> = Sides::from_fn(|side| {
            let units = inputs.sides.get(side).opened.units.iter().zip(known.get(side));
            units.filter(|(_, known)| known.is_none()).map(|(unit, _)| unit.rows().unwrap_or(unit.bytes() / 100)).sum()
        });
        let gone_rows = gone.iter().flat_map(|(_, gone)| gone).map(|(_, known)| known.rows);
        let expected = gone_rows.sum::<u64>() + fresh.authority + fresh.projection;
        // What cannot be held against the last run is joined without it.
        let whole = gone.iter().flat_map(|(_, gone)| gone).all(|(_, known)| cache.has(known.id));
        Some(Self {
            digests: state.files.into_iter().collect(),
            cache,
            files,
            ids,
            known,
            bits,
            gone,
            fresh: Mutex::default(),
            expected,
            hot: Hot::new(if active { expected } else { 0 }, batch.budget / 16),
            unseen: Sides::from_fn(|_| (0..1_usize << bits).map(|_| AtomicU64::new(0)).collect()),
            forgotten: AtomicBool::new(!(active && whole)),
            noted: Mutex::default(),
            room: AtomicU64::new(batch.budget / 16),
        })
    }

    /// Marks the keys as hot of which a row is new or gone: what was read is held against what lay there in the last run.
    pub(super) fn hold_against_the_last_run(&self) -> Result<(), Halt> {
        let fresh = self.fresh();
        let mut places: BTreeMap<(Side, Option<Id>), (Vec<&Known>, Vec<Id>)> = BTreeMap::new();
        for (side, gone) in self.gone.iter() {
            for (behind, known) in gone {
                places.entry((side, *behind)).or_default().0.push(known);
            }
            let mut behind = None;
            for (unit, known) in self.known.get(side).iter().enumerate() {
                behind = known.as_ref().map(|known| known.id).or(behind);
                if let Some(id) = fresh.get(side).get(&unit) {
                    places.entry((side, behind)).or_default().1.push(*id);
                }
            }
        }
        drop(fresh);
        let held = places.into_values().par_bridge().map(|(gone, fresh)| {
            let old = gone.into_iter();
            let old =
                old.flat_map(|known| editions::parts(self.cache.unit(known.id), |number| known.candidates.has(number)));
            let new = fresh.into_iter().flat_map(|id| editions::parts(self.cache.unit_aside(id), |_| false));
            differing(old, new, |rows| {
                rows.chunks(Self::TOGETHER).for_each(|some| self.hot.add(some.iter().map(|row| row.key_tag)));
            })
        });
        held.collect::<Option<()>>().filter(|()| self.active()).ok_or(Halt::Forgotten)
    }

    /// From here on nothing is taken over.
    pub(super) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
        self.noted().rows.clear();
    }

    /// Whether anything is taken over.
    pub(super) fn active(&self) -> bool {
        !self.forgotten.load(Ordering::Relaxed)
    }

    /// Bits of the partitions, such that what is taken over adds up to them.
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    /// How many records a side will leave at most, about: those of its own new rows, and those whose keys are hot.
    pub(super) fn expected(&self) -> u64 {
        // Most keys are there twice: they are gone from the old file and new in the other.
        self.expected / 2
    }

    /// Whether a unit is taken over instead of being read.
    pub(super) fn takes(&self, side: Side, unit: usize) -> bool {
        self.active() && self.known.get(side)[unit].is_some()
    }

    /// How many rows of a partition are counted unseen.
    pub(super) fn unseen(&self, side: Side, partition: usize) -> u64 {
        if self.active() { self.unseen.get(side)[partition].load(Ordering::Relaxed) } else { 0 }
    }

    /// The BLAKE3 of a file's content as the last run saw it, in hex.
    pub(super) fn digest_of(&self, side: Side, file: usize) -> Option<String> {
        let digest = self.digests.get(&self.files.get(side)[file]?)?;
        Some(blake3::Hash::from_bytes(*digest).to_hex().to_string())
    }

    /// How many files of a side are taken over whole.
    pub(super) fn files(&self, side: Side, inputs: &Inputs) -> u64 {
        let input = &inputs.sides.get(side).opened;
        let mut whole = vec![None; input.files.len()];
        for (unit, &file) in input.file_of.iter().enumerate() {
            whole[file] = Some(whole[file].unwrap_or(true) && self.takes(side, unit));
        }
        whole.into_iter().filter(|whole| *whole == Some(true)).count() as u64
    }

    /// Rows were read whose keys may have others.
    pub(super) fn read(&self, key_tags: &[u64]) {
        for some in key_tags.chunks(Self::TOGETHER).filter(|_| self.active()) {
            self.hot.add(some.iter().copied());
        }
    }

    fn fresh(&self) -> MutexGuard<'_, Sides<BTreeMap<usize, Id>>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what reading a unit left.
    pub(super) fn keep(&self, side: Side, unit: usize, mut seen: Seen, facts: &UnitFacts) {
        (seen.rows, seen.read, seen.bytes) = (facts.rows, facts.read, facts.bytes);
        (seen.sum, seen.captured) = (facts.sum, facts.captured);
        let id = self.noted_id(side, unit, facts);
        let kept = if seen.fits() {
            self.cache.keep_unit(id, &seen)
        } else {
            Err(std::io::Error::other("a part of a file has more than 2³² rows"))
        };
        match kept {
            Ok(()) => _ = self.fresh().get_mut(side).insert(unit, id),
            Err(error) => {
                // Its rows were to be joined from what is kept of them.
                self.forget();
                self.fail(error);
            }
        }
    }

    /// A unit of which some rows could not be read is never taken over, but its keys are remembered.
    fn noted_id(&self, side: Side, unit: usize, facts: &UnitFacts) -> Id {
        let id = self.ids.get(side)[unit];
        if facts.unreadable.is_empty() { id } else { Id::of(&[b"unreadable", &id.0, self.cache.sense().0.as_slice()]) }
    }

    /// What a unit left when it was read, instead of reading it.
    pub(super) fn replay(&self, reader: Reader<'_>, unit: usize, records: &Records<'_>) -> Result<UnitFacts, Halt> {
        reader.go_on()?;
        let side = reader.side;
        let known = self.known.get(side)[unit].as_ref().ok_or(Halt::Forgotten)?;
        let kept = self.cache.unit(known.id).filter(|kept| kept.bits() >= self.bits).ok_or(Halt::Forgotten)?;
        let mut collector = records.collector();
        for share in kept.seen.shares() {
            collector.add_sum(share.partition >> (kept.bits() - self.bits), share.sum);
        }
        self.join(side, (unit, &kept), Some(&known.candidates), &mut collector)?;
        let read = &reader.input().opened.units[unit];
        reader.batch.progress.advance(kept.seen.rows, read.bytes());
        let seen = kept.seen;
        Ok(UnitFacts {
            rows: seen.rows,
            read: seen.read,
            bytes: seen.bytes,
            sum: seen.sum,
            captured: seen.captured,
            alone: kept.alone,
            taken_over: true,
            ..UnitFacts::default()
        })
    }

    /// Joins the rows of a unit that was read in this run, as far as their keys are hot.
    pub(super) fn join_fresh(&self, side: Side, unit: usize, records: &Records<'_>) -> Result<(), Halt> {
        let Some(id) = self.fresh().get(side).get(&unit).copied() else { return Ok(()) };
        let kept = self.cache.unit_aside(id).ok_or(Halt::Forgotten)?;
        self.join(side, (unit, &kept), None, &mut records.collector())
    }

    /// Joins the rows of a unit whose keys are hot, or that were candidates. The others are counted unseen.
    fn join(
        &self,
        side: Side,
        (unit, kept): (usize, &Unit),
        candidates: Option<&Marks>,
        collector: &mut Collector<'_, '_>,
    ) -> Result<(), Halt> {
        let mut unseen = vec![0_u64; 1 << self.bits];
        for share in kept.seen.shares() {
            unseen[share.partition >> (kept.bits() - self.bits)] += share.count;
        }
        let was_candidate = |index| candidates.is_some_and(|candidates| candidates.has(kept.number(index)));
        let mut joined = Vec::new();
        for (block, tags) in kept.key_tags().chunks(Self::TOGETHER).enumerate() {
            let first = block * Self::TOGETHER;
            self.choose(tags, |offset| was_candidate(first + offset), &mut joined);
            for &offset in &joined {
                let (key_tag, index) = (u64::from_le_bytes(tags[offset]), first + offset);
                let partition = partition_of(key_tag, self.bits);
                unseen[partition] = unseen[partition].checked_sub(1).ok_or(Halt::Forgotten)?;
                let position = Position::new(unit, kept.number(index), true);
                let record = Record::new(key_tag, kept.row_tag(index), self.bits, position);
                collector.pair(partition, record).map_err(Halt::Spill)?;
            }
        }
        collector.finish().map_err(Halt::Spill)?;
        for (partition, count) in unseen.into_iter().enumerate() {
            self.unseen.get(side)[partition].fetch_add(count, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Tags that are looked up together.
    const TOGETHER: usize = 1024;

    /// Which of some rows are joined again. All are looked up before any is acted on, so that the memory that they wait
    /// for is fetched for many side by side.
    fn choose(&self, tags: &[[u8; 8]], was_candidate: impl Fn(usize) -> bool, joined: &mut Vec<usize>) {
        joined.resize(Self::TOGETHER, 0);
        let mut count = 0;
        for (offset, tag) in tags.iter().enumerate() {
            joined[count] = offset;
            count += usize::from(self.hot.has(u64::from_le_bytes(*tag)) | was_candidate(offset));
        }
        joined.truncate(count);
    }

    /// Gathers the candidates of one unit, of which the last run kept the values of some. Tells whether it could.
    pub(super) fn gather(
        &self,
        reader: Reader<'_>,
        unit: usize,
        gathered: &Gathered<'_>,
        candidates: &Candidates,
    ) -> Result<bool, Halt> {
        let Some(rows) = candidates.few(unit) else { return Ok(false) };
        let known = if self.takes(reader.side, unit) { self.known.get(reader.side)[unit].as_ref() } else { None };
        let kept = known.and_then(|known| self.cache.rows(known.id)).filter(|kept| fits(kept, reader));
        let mut held: FxHashMap<u64, u32> = FxHashMap::default();
        if let Some(kept) = &kept {
            held.extend(kept.numbers.iter().zip(0_u32..).map(|(number, offset)| (u64::from(*number), offset)));
        }
        let (taken, others): (Vec<u64>, Vec<u64>) = rows.into_iter().partition(|row| held.contains_key(row));
        let mut found = Vec::new();
        if !others.is_empty() {
            let fetched = reader.fetch(unit, &others, |rows, batch| {
                found.push((rows.to_vec(), compact(&batch)));
                Ok(())
            })?;
            if !fetched {
                return Ok(false);
            }
        }
        if let Some(kept) = kept.as_ref().filter(|_| !taken.is_empty()) {
            let batch = take_rows(&kept.batch, taken.iter().map(|row| held[row]).collect());
            found.push((taken, batch));
        }
        let mut pending = Pending::of(reader, unit);
        for (_, batch) in &found {
            let all = 0..u32::try_from(batch.num_rows()).expect("a batch has fewer than 2³² rows");
            gathered.catch(reader, batch, all.collect(), &mut pending)?;
        }
        gathered.keep(&mut pending)?;
        // What is kept stays as it is where nothing is missing and little is in vain.
        let needed: usize = found.iter().map(|(rows, _)| rows.len()).sum();
        if !others.is_empty() || held.len() > 2 * needed {
            found.iter().for_each(|(rows, batch)| self.keep_rows(reader.side, unit, rows, batch));
        }
        Ok(true)
    }

    /// Keeps the values of some rows of a batch. Few are worth their place, many are read again as fast.
    pub(super) fn keep_some(&self, (side, unit): (Side, usize), numbers: &[u64], batch: &RecordBatch, rows: &[u32]) {
        if !rows.is_empty() && rows.len() * 16 <= batch.num_rows() {
            self.keep_rows(side, unit, numbers, &take_rows(batch, rows.to_vec()));
        }
    }

    /// Keeps the values of candidates, while there is room.
    fn keep_rows(&self, side: Side, unit: usize, rows: &[u64], batch: &RecordBatch) {
        let bytes = batch.get_array_memory_size() as u64;
        let taken = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes));
        let numbers: Option<Vec<u32>> = rows.iter().map(|row| u32::try_from(*row).ok()).collect();
        if let (Ok(_), Some(numbers)) = (taken, numbers) {
            self.noted().rows.entry((side, unit)).or_default().push((numbers, batch.clone()));
        }
    }

    /// Notes which rows were candidates: all that did not agree by their tags alone.
    pub(super) fn note(&self, units: &Sides<Vec<UnitFacts>>, candidates: &Sides<Candidates>) {
        let mut noted = self.noted();
        for (side, units) in units.iter() {
            for (unit, facts) in units.iter().enumerate() {
                let mut marks = candidates.get(side).marks(unit);
                marks.join(&facts.caught);
                let id = self.noted_id(side, unit, facts);
                let bits = match &self.known.get(side)[unit] {
                    Some(known) if facts.taken_over => known.bits,
                    _ => self.bits,
                };
                noted.state.units.get_mut(side).push(Known { id, rows: facts.rows, bits, candidates: marks });
            }
        }
    }

    /// Leaves all that was noted for the next run. What kept it from that is a sentence for people.
    pub(super) fn publish(&self, inputs: &Sides<InputFacts>) -> Option<String> {
        let mut noted = std::mem::take(&mut *self.noted());
        for (side, facts) in inputs.iter() {
            for (id, file) in self.files.get(side).iter().zip(&facts.files) {
                if let (Some(id), Ok(digest)) = (id, blake3::Hash::from_hex(&file.blake3)) {
                    noted.state.files.push((*id, *digest.as_bytes()));
                }
            }
        }
        let ended = noted.failed.take().map_or(Ok(()), Err);
        let ended = ended.and_then(|()| {
            #[expect(clippy::iter_over_hash_type, reason = "each goes into a file of its own")]
            for ((side, unit), parts) in noted.rows {
                let numbers = parts.iter().flat_map(|(numbers, _)| numbers.iter().copied()).collect();
                let batches = parts.iter().map(|(_, batch)| batch);
                let Ok(batch) = concat_batches(&parts[0].1.schema(), batches) else { continue };
                let id = noted.state.units.get(side).get(unit).map_or(self.ids.get(side)[unit], |known| known.id);
                self.cache.keep_rows(id, &KeptRows { numbers, batch })?;
            }
            self.cache.publish(&noted.state)
        });
        ended.err().map(|error| format!("the cache could not be written, so the next run reads everything: {error}"))
    }

    fn fail(&self, error: std::io::Error) {
        self.noted().failed.get_or_insert(error);
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether kept rows have the columns that are compared.
fn fits(kept: &KeptRows, reader: Reader<'_>) -> bool {
    let input = reader.input();
    let schema = &input.opened.schema;
    let types = input.compared.iter().map(|&column| schema.field(input.columns[column]).data_type());
    kept.batch.schema().fields().iter().map(|field| field.data_type()).eq(types)
}
