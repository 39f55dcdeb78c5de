//! The crosswalk: which key of the authority is which key of the projection. A pair of keys counts only where neither
//! stands in another pair; what is ambiguous on one side is so on both, so that no row is silently without its partner.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::{cast, interleave};
use arrow::datatypes::Field;
use rustc_hash::{FxHashMap, FxHashSet};

use super::super::{Batch, Halt, mebibytes};
use super::join::{as_kept, kept};
use super::other::{Facts, KeyOf, Matching, Other};
use super::store::Key;
use crate::audit::OwnerBooks;
use crate::normalise::{CanonicalBatch, FaultReason, composed_column};
use crate::sides::{Side, Sides};

/// The crosswalk of a contract.
pub(super) struct Crossing {
    pub(super) other: Other,
    /// How each side's keys find its lines.
    pub(super) matching: Sides<Matching>,
    /// Its columns of the projection's keys, as indices in its schema, and their fields as they are kept.
    projected: Vec<(usize, Field)>,
    named: Named,
    loaded: OnceLock<Loaded>,
}

/// How people know a key of the authority that has no partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// Each attribute of the key by the authority's column of it.
    Each,
    /// The first by all of the authority's own columns, the others by nothing.
    ByTheirOwn,
}

/// A part of the key that is composed.
pub(super) struct Part<'a> {
    /// Its place in the key.
    pub(super) index: usize,
    /// The side's own column of it, if there is one.
    pub(super) own: Option<&'a ArrayRef>,
    pub(super) field: &'a Field,
}

struct Loaded {
    facts: Facts,
    null_key: u64,
    ambiguous_rows: u64,
    by_key: Sides<FxHashMap<Key, Place>>,
    /// The projection's keys, batch by batch, column by column; the last holds one NULL.
    values: Vec<Vec<ArrayRef>>,
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
    values: Vec<Vec<ArrayRef>>,
    /// By the authority's key: the projection's, where its text lies, and how many rows say so.
    pairs: FxHashMap<(Key, Key), (u32, u32, u64)>,
    bytes: u64,
}

/// What a pair takes in the maps, about.
const PAIR_BYTES: u64 = 256;

impl Crossing {
    pub(super) fn new(
        mut other: Other,
        matching: Sides<Matching>,
        projected: &[String],
        named: Named,
    ) -> Result<Self, Halt> {
        let mut columns = Vec::with_capacity(projected.len());
        for name in projected {
            let index = other.take(name, "crosswalk")?;
            columns.push((index, kept(other.opened.schema.field(index))));
        }
        Ok(Self { other, matching, projected: columns, named, loaded: OnceLock::new() })
    }

    /// The field of a part of the keys that it maps to.
    pub(super) fn field(&self, place: usize) -> &Field {
        &self.projected[place].1
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
            let values: Vec<ArrayRef> = self.values(rows).map_err(Halt::Contract)?;
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            let batch = u32::try_from(lines.values.len()).expect("fewer than 2³² batches");
            for (row, (one, other)) in (0_u32..).zip(keys.authority.iter().zip(&keys.projection)) {
                match (one.key(), other.key()) {
                    (Some(one), Some(other)) => lines.pairs.entry((one, other)).or_insert((batch, row, 0)).2 += 1,
                    _ => drop(null_key.fetch_add(1, Ordering::Relaxed)),
                }
            }
            lines.bytes += values.iter().map(|values| values.get_array_memory_size() as u64).sum::<u64>();
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

    /// The projection's keys of its lines.
    fn values(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, String> {
        let value = |(index, field): &(usize, Field)| as_kept(self.other.only(rows, &[*index]).column(0), field);
        self.projected.iter().map(value).collect()
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
        values.push(self.projected.iter().map(|(_, field)| new_null_array(field.data_type(), 1)).collect());
        Loaded { facts, null_key, ambiguous_rows, by_key, values, pairs: counted }
    }

    /// The composed columns of these parts of the key of a side's rows, whose key columns the batch holds.
    pub(super) fn compose(
        &self,
        side: Side,
        batch: &RecordBatch,
        parts: &[Part<'_>],
        counts: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<ArrayRef>, Halt> {
        let not_yet = || Halt::Contract("the crosswalk was not read before it was needed".to_owned());
        let loaded = self.loaded.get().ok_or_else(not_yet)?;
        let matching = self.matching.get(side);
        let canonical = matching.canonical(Side::Authority, batch);
        let keys = matching.keys(Side::Authority, batch);
        let nothing = (loaded.values.len() - 1, 0);
        let (mut codes, mut from) = (vec![0; keys.len()], vec![nothing; keys.len()]);
        let mut nulls = vec![false; keys.len()];
        for (row, key) in keys.iter().enumerate() {
            let place = match key {
                KeyOf::Null => {
                    nulls[row] = true;
                    continue;
                }
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
        let compose = |part: &Part<'_>| -> Result<ArrayRef, Halt> {
            let values = match (side, part.own) {
                // The projection's keys stay what they are, but for those that have no partner.
                (Side::Projection, Some(own)) => {
                    let marked = codes.iter().map(|code| Some(*code != 0)).collect();
                    let own =
                        as_kept(own, &kept(&Field::new("", own.data_type().clone(), true))).map_err(Halt::Contract)?;
                    arrow::compute::nullif(&own, &marked).map_err(said)?
                }
                _ => loaded.keys_at(part.index, &from, part.own.map(|own| (own, &nulls[..])))?,
            };
            let (codes, shown) = self.marks(side, part.index, (&codes, matching, &canonical));
            Ok(composed_column(part.field, values, codes, Some(shown)))
        };
        parts.iter().map(compose).collect()
    }

    /// Why a part of the key has no value, row by row, and what people know it by then.
    fn marks(
        &self,
        side: Side,
        index: usize,
        (codes, matching, canonical): (&[u8], &Matching, &CanonicalBatch),
    ) -> (Vec<u8>, StringArray) {
        let own = side == Side::Authority && self.named == Named::ByTheirOwn;
        if own && index > 0 {
            return (vec![0; codes.len()], StringArray::new_null(codes.len()));
        }
        let shown = |(row, code): (usize, &u8)| match code {
            0 => None,
            _ if own => matching.whole_text(canonical, row),
            _ => matching.text(canonical, index, row),
        };
        (codes.to_vec(), codes.iter().enumerate().map(shown).collect())
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

impl Loaded {
    /// A part of the keys that rows are mapped to. Where a part of a row's own key is NULL nothing is mapped, and what stands there
    /// is shown as far as the type of the crosswalk's column holds it.
    fn keys_at(
        &self,
        index: usize,
        from: &[(usize, usize)],
        own: Option<(&ArrayRef, &[bool])>,
    ) -> Result<ArrayRef, Halt> {
        let mut arrays: Vec<&dyn Array> = self.values.iter().map(|columns| columns[index].as_ref()).collect();
        let Some((own, nulls)) = own.filter(|(own, nulls)| own.null_count() < own.len() && nulls.contains(&true))
        else {
            return interleave(&arrays, from).map_err(said);
        };
        let own = cast(own, arrays[0].data_type()).unwrap_or_else(|_| new_null_array(arrays[0].data_type(), own.len()));
        let itself = arrays.len();
        arrays.push(&own);
        let from: Vec<(usize, usize)> =
            from.iter().enumerate().map(|(row, place)| if nulls[row] { (itself, row) } else { *place }).collect();
        interleave(&arrays, &from).map_err(said)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` asks for")]
fn said(error: arrow::error::ArrowError) -> Halt {
    Halt::Contract(format!("the crosswalk cannot be put together: {error}"))
}
