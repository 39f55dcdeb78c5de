//! Tells candidates apart by their values: which rows pair, which attributes of a pair differ, which rows stand alone.
//!
//! It goes by exact key bytes and canonical values, never by tags, so a collision cannot mislead it. Rows are sorted by the
//! digest of their key and merged; the values of all pairs are then compared a column at a time. It never judges.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use rustc_hash::FxHashMap;

use crate::digest::{Encoded, Lanes, encode, hash_rows};
use crate::normalise::{Binding, CanonicalBatch, CanonicalColumn, FaultReason, Mark};
use crate::sides::{Side, Sides};

mod again;
mod met;
mod pairs;

pub use again::Again;
pub use met::{Met, resolve_met};
pub(in crate::diff) use pairs::Cells;
use pairs::{Pair, differing};

/// Candidate rows of one side, some batches of them.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// As they were read.
    pub raw: Vec<RecordBatch>,
    /// The same, canonical.
    pub canonical: Vec<CanonicalBatch>,
    /// Whether `--where` holds for each; empty where it is not given.
    pub in_scope: Vec<Vec<bool>>,
    /// Whether each is a tombstone; empty where the side has none.
    pub deleted: Vec<Vec<bool>>,
    /// The version of each; empty where the side has no `version_column`.
    pub version: Vec<Vec<Option<Mark>>>,
    /// When each was changed last; empty where the side has no `updated_at`.
    pub updated: Vec<Vec<Option<Mark>>>,
    /// The file of each, by its number; empty where the side has one.
    pub files: Vec<Vec<u32>>,
    /// The order of each row's key (`key_order`); empty where it is not known.
    pub order: Vec<Vec<u64>>,
    /// How many further rows of a row's key were left out.
    pub more: FxHashMap<RowAt, u64>,
    /// What a second look made of the difference that is named by a row; empty where none was taken.
    pub again: FxHashMap<RowAt, Again>,
}

impl Rows {
    /// The rows of all batches.
    fn count(&self) -> usize {
        self.canonical.iter().map(|batch| batch.rows).sum()
    }

    /// The file that a row lies in, where there are several.
    #[must_use]
    pub fn file_of(&self, at: RowAt) -> Option<u32> {
        self.files.get(at.batch).map(|files| files[at.row])
    }

    /// Whether a row is a tombstone.
    #[must_use]
    pub fn is_deleted(&self, at: RowAt) -> bool {
        self.deleted.get(at.batch).is_some_and(|deleted| deleted[at.row])
    }

    /// The version of a row, where it is known.
    #[must_use]
    pub fn version_of(&self, at: RowAt) -> Option<Mark> {
        self.version.get(at.batch)?[at.row]
    }

    /// When a row was changed last, where that is known.
    #[must_use]
    pub fn updated_of(&self, at: RowAt) -> Option<Mark> {
        self.updated.get(at.batch)?[at.row]
    }
}

/// A row among candidates: batch, and row within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowAt {
    /// Index of the batch.
    pub batch: usize,
    /// Row within it.
    pub row: usize,
}

/// A raw fact about rows, which `classify` judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A row without partner: its key (or, without a key, a copy of it) is not across.
    Unpaired {
        /// Where the row is.
        side: Side,
        /// Which row.
        row: RowAt,
        /// Why its key cannot pair, if that is the reason.
        fault: Option<FaultReason>,
    },
    /// A pair in which attributes differ.
    Differ {
        /// The two rows.
        rows: Sides<RowAt>,
        /// The attributes, ascending.
        attributes: Arc<[usize]>,
    },
    /// A pair of which one is a tombstone and the other lives.
    Tombstone {
        /// The two rows.
        rows: Sides<RowAt>,
        /// Where the tombstone is.
        side: Side,
    },
    /// A key that occurs more than once on a side.
    DuplicateKey {
        /// How often on each.
        counts: Sides<u64>,
        /// A row that has it.
        side: Side,
        /// Which row.
        row: RowAt,
    },
    /// A row with NULL in its key.
    NullKey {
        /// Where the row is.
        side: Side,
        /// Which row.
        row: RowAt,
    },
}

/// What became of the candidates.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// In the order of key digest, key, and side, which depends on nothing but the rows; of rows that have met in the order of their keys
    /// pairs first.
    pub differences: Vec<Difference>,
    /// What each difference was before a second look found it otherwise; empty where none was taken.
    pub first: Vec<Difference>,
    /// Pairs that agree after all (rows of either side).
    pub agree: u64,
    /// Rows that are out of scope.
    pub out_of_scope: Sides<u64>,
    /// Tombstones whose key is not across.
    pub tombstones: Sides<u64>,
}

/// How candidates are resolved.
#[derive(Clone, Copy, Debug)]
pub struct ResolveRules {
    /// NULLs in a key pair with each other.
    pub null_keys_match: bool,
}

/// Resolves the candidates whose key tags lie in one partition.
#[must_use]
pub fn resolve(binding: &Binding, rules: ResolveRules, rows: &Sides<Rows>) -> Resolved {
    let keys = rows.as_ref().map(|side, rows| Keys::new(binding, side, rows));
    let mut merge = Merge {
        binding,
        rows,
        keys: &keys,
        pairs: Vec::new(),
        found: Vec::new(),
        out_of_scope: Sides::default(),
        tombstones: Sides::default(),
        agree: 0,
    };
    let mut alone: Vec<Found> = Vec::new();
    let sorted = rows.as_ref().map(|side, rows| keyed(binding, rules, (side, rows), keys.get(side), &mut alone));
    merge.all(&sorted);
    let Merge { pairs, mut found, out_of_scope, tombstones, mut agree, .. } = merge;
    let mut differ = differing(binding, rows, &pairs);
    if !alone.is_empty() {
        found.splice(0..0, alone);
        // Equal keys occur only for rows that stand alone, whose order within a side shows nowhere.
        found.sort_by(|one, other| one.sort_key(&keys).cmp(&other.sort_key(&keys)));
    }
    let mut differences = Vec::with_capacity(found.len());
    for found in found {
        let Some(pair) = found.pair else {
            differences.extend(found.difference);
            continue;
        };
        match differ.attributes(pair) {
            Some(attributes) => differences.push(Difference::Differ { rows: pairs[pair].rows(), attributes }),
            None => agree += 1,
        }
    }
    Resolved { differences, first: Vec::new(), agree, out_of_scope, tombstones }
}

/// What a key, or a row that stands alone, came to.
struct Found {
    tag: u64,
    /// A row that has the key.
    at: (Side, usize),
    /// It is this pair.
    pair: Option<usize>,
    /// It is no pair.
    difference: Option<Difference>,
}

impl Found {
    fn sort_key<'k>(&self, keys: &'k Sides<Keys>) -> (u64, &'k [u8], Side) {
        let side = if self.pair.is_some() { Side::Authority } else { self.at.0 };
        (self.tag, keys.get(self.at.0).bytes_of(self.at.1), side)
    }
}

/// The keys of all rows of a side, numbered through its batches. Without a key the whole row is one.
#[derive(Default)]
struct Keys {
    tags: Vec<u64>,
    bytes: Vec<u8>,
    /// Where each row's bytes begin, and at the end where the last ones end.
    starts: Vec<usize>,
    /// The first row of each batch.
    firsts: Vec<usize>,
}

impl Keys {
    fn new(binding: &Binding, side: Side, rows: &Rows) -> Self {
        let mut keys = Self { starts: vec![0], ..Self::default() };
        for (index, batch) in rows.canonical.iter().enumerate() {
            keys.firsts.push(keys.starts.len() - 1);
            let order = rows.order.get(index);
            match order {
                Some(order) => keys.tags.extend_from_slice(order),
                None => keys.tags.extend(key_order(binding, side, batch)),
            }
            let columns = key_columns(binding, batch);
            let mut encoded = Encoded::default();
            for some in stretches(batch.rows) {
                encode(columns, side, some, &mut encoded);
                for row in 0..encoded.rows() {
                    keys.bytes.extend_from_slice(encoded.row(row));
                    keys.starts.push(keys.bytes.len());
                }
            }
        }
        keys
    }

    fn bytes_of(&self, row: usize) -> &[u8] {
        &self.bytes[self.starts[row]..self.starts[row + 1]]
    }

    fn at(&self, row: usize) -> RowAt {
        let batch = self.firsts.partition_point(|&first| first <= row) - 1;
        RowAt { batch, row: row - self.firsts[batch] }
    }
}

/// Rows that are encoded together stay in the cache.
fn stretches(rows: usize) -> impl Iterator<Item = Range<usize>> {
    const ROWS: usize = 1024;
    (0..rows).step_by(ROWS).map(move |start| start..rows.min(start + ROWS))
}

/// The rows of a side that can pair by their keys, sorted; the others stand alone.
fn keyed(
    binding: &Binding,
    rules: ResolveRules,
    (side, rows): (Side, &Rows),
    keys: &Keys,
    alone: &mut Vec<Found>,
) -> Vec<(u64, u32)> {
    let mut sorted = Vec::with_capacity(rows.count());
    for (batch, (canonical, &first)) in rows.canonical.iter().zip(&keys.firsts).enumerate() {
        let all = all_keyed(binding, rules, canonical);
        for row in 0..canonical.rows {
            let (number, at) = (first + row, RowAt { batch, row });
            let standing = if all { Standing::Keyed } else { standing(binding, rules, canonical, row) };
            let difference = match standing {
                Standing::Keyed => {
                    sorted
                        .push((keys.tags[number], u32::try_from(number).expect("a partition has fewer than 2³² rows")));
                    continue;
                }
                Standing::Null => Difference::NullKey { side, row: at },
                Standing::Faulted(reason) => Difference::Unpaired { side, row: at, fault: Some(reason) },
            };
            alone.push(Found { tag: keys.tags[number], at: (side, number), pair: None, difference: Some(difference) });
        }
    }
    sorted.sort_unstable();
    sorted
}

/// Whether no row of the batch can lack a whole key, so that none need be asked.
fn all_keyed(binding: &Binding, rules: ResolveRules, canonical: &CanonicalBatch) -> bool {
    let nulls_matter = binding.key_count > 0 && !rules.null_keys_match;
    key_columns(binding, canonical).iter().all(|column| {
        let whole = column.values.null_count() == 0 && column.values.data_type() != &DataType::Null;
        column.faults.is_empty() && (whole || !nulls_matter)
    })
}

/// Walks the sorted rows of both sides, a key at a time.
struct Merge<'a> {
    binding: &'a Binding,
    rows: &'a Sides<Rows>,
    keys: &'a Sides<Keys>,
    pairs: Vec<Pair>,
    found: Vec<Found>,
    out_of_scope: Sides<u64>,
    tombstones: Sides<u64>,
    agree: u64,
}

impl Merge<'_> {
    fn all(&mut self, sorted: &Sides<Vec<(u64, u32)>>) {
        let (mut authority, mut projection) = (sorted.authority.as_slice(), sorted.projection.as_slice());
        self.found.reserve(authority.len().max(projection.len()));
        while let Some(tag) = [authority, projection].iter().filter_map(|rest| Some(rest.first()?.0)).min() {
            let run = Sides { authority: take_run(&mut authority, tag), projection: take_run(&mut projection, tag) };
            match (run.authority, run.projection) {
                (&[(_, one)], &[(_, other)]) if self.same(one, other) => {
                    self.group(tag, Sides { authority: &[one], projection: &[other] });
                }
                (&[(_, one)], []) => self.group(tag, Sides { authority: &[one], projection: &[] }),
                ([], &[(_, other)]) => self.group(tag, Sides { authority: &[], projection: &[other] }),
                _ => self.many(tag, &run),
            }
        }
    }

    fn same(&self, authority: u32, projection: u32) -> bool {
        self.keys.authority.bytes_of(authority as usize) == self.keys.projection.bytes_of(projection as usize)
    }

    /// Rows of one tag that are more than a pair: equal tags need not be equal keys.
    fn many(&mut self, tag: u64, run: &Sides<&[(u64, u32)]>) {
        let keys = self.keys;
        let of =
            |side: Side| run.get(side).iter().map(move |&(_, row)| (keys.get(side).bytes_of(row as usize), side, row));
        let mut members: Vec<_> = of(Side::Authority).chain(of(Side::Projection)).collect();
        members.sort_unstable();
        for of_key in members.chunk_by(|one, other| one.0 == other.0) {
            let split = of_key.partition_point(|member| member.1 == Side::Authority);
            let rows = |members: &[(&[u8], Side, u32)]| members.iter().map(|member| member.2).collect::<Vec<u32>>();
            let (authority, projection) = (rows(&of_key[..split]), rows(&of_key[split..]));
            self.group(tag, Sides { authority: &authority, projection: &projection });
        }
    }

    /// All rows of one key.
    fn group(&mut self, tag: u64, group: Sides<&[u32]>) {
        let keys = self.keys;
        let at = |side: Side, row: u32| keys.get(side).at(row as usize);
        let counts = group.map(|side, group| {
            let more = &self.rows.get(side).more;
            let further = |row: &u32| if more.is_empty() { 0 } else { more.get(&at(side, *row)).copied().unwrap_or(0) };
            group.len() as u64 + group.iter().map(further).sum::<u64>()
        });
        if self.leaves_out(group) {
            self.out_of_scope.authority += counts.authority;
            self.out_of_scope.projection += counts.projection;
            return;
        }
        let side = if group.authority.is_empty() { Side::Projection } else { Side::Authority };
        let first = group.get(side)[0];
        let mut found = Found { tag, at: (side, first as usize), pair: None, difference: None };
        if self.binding.key_count == 0 {
            return self.surplus(tag, group, counts);
        }
        match (counts.authority, counts.projection) {
            (1, 1) => {
                let rows = group.map(|side, rows| at(side, rows[0]));
                let deleted = rows.as_ref().map(|side, at| self.rows.get(side).is_deleted(*at));
                match (deleted.authority, deleted.projection) {
                    (false, false) => {
                        found.pair = Some(self.pairs.len());
                        self.pairs.push(Pair::new(rows.authority, rows.projection));
                    }
                    (true, true) => {
                        self.agree += 1;
                        return;
                    }
                    (authority, _) => {
                        let side = if authority { Side::Authority } else { Side::Projection };
                        found.difference = Some(Difference::Tombstone { rows, side });
                    }
                }
            }
            (1, 0) | (0, 1) if self.rows.get(side).is_deleted(at(side, first)) => {
                *self.tombstones.get_mut(side) += 1;
                return;
            }
            (1, 0) | (0, 1) => {
                found.difference = Some(Difference::Unpaired { side, row: at(side, first), fault: None });
            }
            _ => found.difference = Some(Difference::DuplicateKey { counts, side, row: at(side, first) }),
        }
        self.found.push(found);
    }

    /// Without a key, each copy that one side has more of stands alone.
    fn surplus(&mut self, tag: u64, group: Sides<&[u32]>, counts: Sides<u64>) {
        let pairs = counts.authority.min(counts.projection);
        self.agree += pairs;
        for side in Side::BOTH {
            let rows = group.get(side);
            for copy in pairs..*counts.get(side) {
                // Copies are alike, so one that was left out is told by the last that is there.
                let row = rows[usize::try_from(copy).unwrap_or(usize::MAX).min(rows.len() - 1)] as usize;
                let difference = Difference::Unpaired { side, row: self.keys.get(side).at(row), fault: None };
                self.found.push(Found { tag, at: (side, row), pair: None, difference: Some(difference) });
            }
        }
    }

    /// Whether `--where` holds for no row of the key.
    fn leaves_out(&self, group: Sides<&[u32]>) -> bool {
        if self.rows.iter().all(|(_, rows)| rows.in_scope.is_empty()) {
            return false;
        }
        let holds = |side: Side, row: u32| {
            let at = self.keys.get(side).at(row as usize);
            self.rows.get(side).in_scope[at.batch][at.row]
        };
        !group.iter().any(|(side, rows)| rows.iter().any(|&row| holds(side, row)))
    }
}

/// Takes the rows of this tag from the front.
fn take_run<'r>(rest: &mut &'r [(u64, u32)], tag: u64) -> &'r [(u64, u32)] {
    let length = rest.iter().take_while(|(of, _)| *of == tag).count();
    let (run, after) = rest.split_at(length);
    *rest = after;
    run
}

/// The first eight bytes of the BLAKE3 of every row's key, without a key of the whole row: the order of what is found.
#[must_use]
pub fn key_order(binding: &Binding, side: Side, canonical: &CanonicalBatch) -> Vec<u64> {
    let columns = key_columns(binding, canonical);
    let mut tags = Vec::with_capacity(canonical.rows);
    let (mut encoded, mut lanes) = (Encoded::default(), Lanes::default());
    for some in stretches(canonical.rows) {
        encode(columns, side, some, &mut encoded);
        hash_rows(&encoded, &mut lanes);
        tags.extend((0..encoded.rows()).map(|row| {
            let (first, _) = lanes.digest(row).split_first_chunk().expect("a digest has 32 bytes");
            u64::from_be_bytes(*first)
        }));
    }
    tags
}

/// The exact bytes of one row's key, as they are told apart.
pub fn key_bytes(
    binding: &Binding,
    side: Side,
    canonical: &CanonicalBatch,
    row: usize,
    encoded: &mut Encoded,
) -> Box<[u8]> {
    encode(key_columns(binding, canonical), side, row..row + 1, encoded);
    encoded.row(0).into()
}

/// The exact bytes of every row's key, as they are told apart, with their order.
pub fn each_key(
    binding: &Binding,
    side: Side,
    canonical: &CanonicalBatch,
    order: &[u64],
    mut each: impl FnMut(usize, u64, &[u8]),
) {
    let mut encoded = Encoded::default();
    for some in stretches(canonical.rows) {
        let first = some.start;
        encode(key_columns(binding, canonical), side, some, &mut encoded);
        for row in 0..encoded.rows() {
            each(first + row, order[first + row], encoded.row(row));
        }
    }
}

fn key_columns<'a>(binding: &Binding, canonical: &'a CanonicalBatch) -> &'a [CanonicalColumn] {
    if binding.key_count == 0 { &canonical.columns } else { &canonical.columns[..binding.key_count] }
}

/// Whether a row can pair by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Keyed,
    /// A key attribute is NULL.
    Null,
    /// A key attribute (without a key: any) has no canonical form.
    Faulted(FaultReason),
}

/// Whether a row can pair by its key.
#[must_use]
pub fn standing(binding: &Binding, rules: ResolveRules, canonical: &CanonicalBatch, row: usize) -> Standing {
    let columns = key_columns(binding, canonical);
    if let Some(reason) = columns.iter().find_map(|column| fault_at(column, row)) {
        return Standing::Faulted(reason);
    }
    let null = |column: &CanonicalColumn| column.values.data_type() == &DataType::Null || column.values.is_null(row);
    if binding.key_count > 0 && !rules.null_keys_match && columns.iter().any(null) {
        return Standing::Null;
    }
    Standing::Keyed
}

/// The fault of one value, if it has one.
#[must_use]
pub fn fault_at(column: &CanonicalColumn, row: usize) -> Option<FaultReason> {
    column.fault(row).map(|fault| fault.reason)
}
