//! The crosswalk: which key of the authority is which key of the projection. A pair of keys counts only where neither
//! stands in another pair; what is ambiguous on one side is so on both, so that no row is silently without its partner.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::Field;
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::{Batch, Halt, mebibytes};
use super::join::{as_kept, kept};
use super::other::{Facts, KeyOf, Matching, Other};
use super::store::Key;
use crate::audit::OwnerBooks;
use crate::normalise::{FaultReason, composed_column};
use crate::sides::{Side, Sides};

/// The crosswalk of a contract.
pub(super) struct Crossing {
    pub(super) other: Other,
    /// How each side's keys find its lines.
    pub(super) matching: Sides<Matching>,
    /// Its column of the projection's keys, as an index in its schema.
    projected: usize,
    field: Field,
    loaded: OnceLock<Loaded>,
}

struct Loaded {
    facts: Facts,
    null_key: u64,
    ambiguous_rows: u64,
    by_key: Sides<FxHashMap<Key, Place>>,
    values: Vec<ArrayRef>,
    /// For each pair, how many rows say it, and whether a row of the authority asked for it.
    pairs: Vec<(u64, AtomicBool)>,
}

/// Where a key leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pair { pair: usize, batch: u32, row: u32 },
    Ambiguous,
}

/// Lines as they are read.
#[derive(Default)]
struct Lines {
    values: Vec<ArrayRef>,
    /// By the authority's key: the projection's, where its text lies, and how many rows say so.
    pairs: FxHashMap<(Key, Key), (u32, u32, u64)>,
    bytes: u64,
}

/// What a pair takes in the maps, about.
const PAIR_BYTES: u64 = 256;

impl Crossing {
    pub(super) fn new(mut other: Other, matching: Sides<Matching>, projected: &str) -> Result<Self, Halt> {
        let projected = other.take(projected, "crosswalk")?;
        let field = kept(other.opened.schema.field(projected));
        Ok(Self { other, matching, projected, field, loaded: OnceLock::new() })
    }

    /// The field of the keys that it maps to.
    pub(super) fn field(&self) -> &Field {
        &self.field
    }

    /// Reads all of it; refused where it takes more than so many bytes.
    pub(super) fn load(&self, own: &Batch<'_>, limit: u64) -> Result<u64, Halt> {
        let lines = Mutex::new(Lines::default());
        let null_key = AtomicU64::new(0);
        let columns = self.matching.as_ref().map(|_, matching| matching.columns(Side::Projection));
        let facts = self.other.read(own, |rows| {
            let keys = Sides::from_fn(|side| {
                self.matching.get(side).keys(Side::Projection, &self.other.only(rows, columns.get(side)))
            });
            let values = self.other.only(rows, &[self.projected]);
            let values = as_kept(values.column(0), &self.field).map_err(Halt::Contract)?;
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = u32::try_from(lines.values.len()).expect("fewer than 2³² batches");
            for (row, (one, other)) in (0_u32..).zip(keys.authority.iter().zip(&keys.projection)) {
                match (one.key(), other.key()) {
                    (Some(one), Some(other)) => lines.pairs.entry((one, other)).or_insert((batch, row, 0)).2 += 1,
                    _ => drop(null_key.fetch_add(1, Ordering::Relaxed)),
                }
            }
            lines.bytes += values.get_array_memory_size() as u64;
            lines.values.push(values);
            let bytes = lines.bytes + lines.pairs.len() as u64 * PAIR_BYTES;
            if bytes > limit {
                return Err(Halt::Contract(format!(
                    "source `{}`: the crosswalk takes more than the {} MiB of memory that are left for it\nhint: raise the memory limit, or keep only the lines of keys that are compared (`filter`)",
                    self.other.source.name,
                    mebibytes(limit)
                )));
            }
            Ok(())
        })?;
        let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        let held = lines.bytes + lines.pairs.len() as u64 * PAIR_BYTES;
        _ = self.loaded.set(self.settled(lines, facts, null_key.into_inner()));
        Ok(held)
    }

    /// Which pairs stand alone, and which keys are ambiguous.
    fn settled(&self, lines: Lines, facts: Facts, null_key: u64) -> Loaded {
        let Lines { mut values, pairs, .. } = lines;
        let mut by_key: Sides<FxHashMap<Key, Place>> = Sides::default();
        let mut counted = Vec::with_capacity(pairs.len());
        let mut all: Vec<_> = pairs.into_iter().collect();
        all.sort_unstable_by_key(|(keys, _)| *keys);
        let mut ambiguous: Sides<FxHashSet<Key>> = Sides::default();
        for (pair, ((one, other), (batch, row, rows))) in all.iter().enumerate() {
            let keys = Sides { authority: *one, projection: *other };
            for (side, key) in keys.iter() {
                if by_key.get_mut(side).insert(*key, Place::Pair { pair, batch: *batch, row: *row }).is_some() {
                    ambiguous.get_mut(side).insert(*key);
                }
            }
            counted.push((*rows, AtomicBool::new(false)));
        }
        let mut ambiguous_rows = 0;
        for ((one, other), (.., rows)) in &all {
            if ambiguous.authority.contains(one) || ambiguous.projection.contains(other) {
                ambiguous_rows += rows;
                by_key.authority.insert(*one, Place::Ambiguous);
                by_key.projection.insert(*other, Place::Ambiguous);
            }
        }
        values.push(new_null_array(self.field.data_type(), 1));
        Loaded { facts, null_key, ambiguous_rows, by_key, values, pairs: counted }
    }

    /// The composed key column of a side's rows, whose key columns the batch holds.
    pub(super) fn compose(
        &self,
        side: Side,
        batch: &RecordBatch,
        (own, field): (&ArrayRef, &Field),
        counts: &dyn Fn(usize) -> bool,
    ) -> Result<ArrayRef, Halt> {
        let not_yet = || Halt::Contract("the crosswalk was not read before it was needed".to_owned());
        let loaded = self.loaded.get().ok_or_else(not_yet)?;
        let matching = self.matching.get(side);
        let canonical = matching.canonical(Side::Authority, batch);
        let keys = matching.keys(Side::Authority, batch);
        let nothing = (loaded.values.len() - 1, 0);
        let (mut codes, mut from) = (vec![0; keys.len()], vec![nothing; keys.len()]);
        for (row, key) in keys.iter().enumerate() {
            let place = match key {
                KeyOf::Null => continue,
                KeyOf::Faulted(reason) => {
                    codes[row] = reason.code();
                    continue;
                }
                KeyOf::Key(key) => loaded.by_key.get(side).get(key),
            };
            match place {
                None => codes[row] = FaultReason::UnmappedKey.code(),
                Some(Place::Ambiguous) => codes[row] = FaultReason::AmbiguousKey.code(),
                Some(Place::Pair { pair, batch, row: at }) => {
                    from[row] = (*batch as usize, *at as usize);
                    if side == Side::Authority && counts(row) {
                        loaded.pairs[*pair].1.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
        let shown = |(row, code): (usize, &u8)| if *code == 0 { None } else { matching.text(&canonical, row) };
        let shown: StringArray = codes.iter().enumerate().map(shown).collect();
        let values = match side {
            Side::Authority => {
                let arrays: Vec<&dyn Array> = loaded.values.iter().map(AsRef::as_ref).collect();
                interleave(&arrays, &from).map_err(|error| Halt::Contract(error.to_string()))?
            }
            // The projection's keys stay what they are, but for those that have no partner.
            Side::Projection => {
                let marked = codes.iter().map(|code| Some(*code != 0)).collect();
                let own =
                    as_kept(own, &kept(&Field::new("", own.data_type().clone(), true))).map_err(Halt::Contract)?;
                arrow::compute::nullif(&own, &marked).map_err(|error| Halt::Contract(error.to_string()))?
            }
        };
        Ok(composed_column(field, values, codes, Some(shown)))
    }

    /// What was read; None before.
    pub(super) fn facts(&self) -> Option<&Facts> {
        self.loaded.get().map(|loaded| &loaded.facts)
    }

    /// Its rows, when all rows of the authority have asked (`joined`), or when they have not.
    pub(super) fn books(&self, joined: bool) -> OwnerBooks {
        let Some(loaded) = self.loaded.get() else { return OwnerBooks::default() };
        let unreadable: u64 = loaded.facts.unreadable.iter().map(|range| range.rows).sum();
        let (null_key, read) = (loaded.null_key, loaded.facts.rows + unreadable);
        let rest = loaded.facts.rows - null_key;
        if !joined {
            return OwnerBooks { read, null_key, unreadable, unjoined: rest, ..OwnerBooks::default() };
        }
        let good: FxHashSet<usize> = loaded
            .by_key
            .authority
            .values()
            .filter_map(|place| if let Place::Pair { pair, .. } = place { Some(*pair) } else { None })
            .collect();
        let asked = |(pair, (rows, asked)): (usize, &(u64, AtomicBool))| {
            if good.contains(&pair) && asked.load(Ordering::Relaxed) { *rows } else { 0 }
        };
        let joined: u64 = loaded.pairs.iter().enumerate().map(asked).sum();
        let duplicate = loaded.ambiguous_rows;
        OwnerBooks { read, joined, unknown: rest - duplicate - joined, duplicate, null_key, unreadable, unjoined: 0 }
    }
}
