//! Proposes keys: columns that are nearly unique and nearly never NULL on both sides, and whose values meet. What is
//! proposed is then counted over all rows; where not all keys fit into memory, over a share of the keys that depends on
//! nothing but their digests, so that both sides take the same.

use std::collections::{BTreeMap, HashSet};

use arrow::array::RecordBatch;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::loose::loose;
use super::names::{identifies, is_of_load, likeness};
use super::profile::{ColumnProfile, Profile, digest};
use super::table::{Column, Reader, Table};
use super::{real, share};
use crate::cli::failure::Failure;
use crate::normalise::Comparison;
use crate::sides::{Side, Sides};
use crate::source::Piece;

/// Keys that are counted over all rows.
const COUNTED_MAX: usize = 4;
/// Columns that are tried in pairs and threes.
const COMBINED_COLUMNS_MAX: usize = 12;
/// Rows at the head that are tried.
const COMBINED_ROWS: usize = 20_000;
/// At most one row in so many may have a key that is NULL or not its own.
const FAULTS_ONE_IN: usize = 33;

/// Columns that could be the key, as numbers of columns on each side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) columns: Vec<Sides<usize>>,
    /// The more the better.
    pub(super) score: f64,
}

/// What was counted of a candidate.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) candidate: Candidate,
    pub(super) sides: Sides<Counts>,
    /// Different keys on both sides.
    pub(super) common: usize,
    /// One key in so many was looked at; 1: all.
    pub(super) one_in: u64,
    /// Keys that are on both sides and on each only once, those with the smallest digests.
    pub(super) pairs: Vec<u128>,
}

/// Of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) rows: usize,
    pub(super) null: usize,
    /// Different keys, among those that were looked at.
    pub(super) keys: usize,
    /// Of those, found more than once.
    pub(super) repeated: usize,
}

impl Counts {
    /// Few rows have no key or share one.
    pub(super) fn serves(&self) -> bool {
        (self.null * FAULTS_ONE_IN <= self.rows)
            && (self.repeated * FAULTS_ONE_IN <= self.keys)
            && self.null < self.rows.max(1)
    }
}

/// The best candidates first.
pub(super) fn candidates(tables: &Sides<Table>, profiles: &Sides<Profile>) -> Vec<Candidate> {
    let mut found = single(tables, profiles);
    if found.iter().all(|candidate| candidate.score < 0.5) {
        found.extend(combined(tables, profiles));
    }
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    found.truncate(COUNTED_MAX);
    found
}

fn can_identify(column: &Column) -> bool {
    !column.is_nested() && !matches!(column.comparison, Comparison::Float | Comparison::Boolean | Comparison::Null)
}

fn is_nearly_unique(column: &ColumnProfile, rows: usize) -> bool {
    // What is estimated may be a few in a hundred off; it is counted afterwards.
    let distinct = column.distinct();
    let estimated = distinct > 1000;
    let least = if estimated { column.values * 9 / 10 } else { column.values - column.values / FAULTS_ONE_IN };
    (rows - column.values.min(rows)) * FAULTS_ONE_IN <= rows && distinct >= least
}

fn single(tables: &Sides<Table>, profiles: &Sides<Profile>) -> Vec<Candidate> {
    let usable = Sides::from_fn(|side| {
        let profile = profiles.get(side);
        let columns = tables.get(side).columns.iter().zip(&profile.columns).enumerate();
        columns
            .filter(|(_, (column, seen))| can_identify(column) && is_nearly_unique(seen, profile.rows))
            .map(|(number, _)| number)
            .collect::<Vec<_>>()
    });
    let mut found = Vec::new();
    for &authority in &usable.authority {
        for &projection in &usable.projection {
            let pair = Sides { authority, projection };
            if let Some(score) = score(tables, profiles, pair) {
                found.push(Candidate { columns: vec![pair], score });
            }
        }
    }
    found
}

/// How well two columns would serve as (part of) a key. None where neither values nor names meet.
fn score(tables: &Sides<Table>, profiles: &Sides<Profile>, pair: Sides<usize>) -> Option<f64> {
    let columns = Sides::from_fn(|side| &tables.get(side).columns[*pair.get(side)]);
    let seen = Sides::from_fn(|side| &profiles.get(side).columns[*pair.get(side)]);
    let contained = seen.authority.containment(seen.projection);
    let alike = likeness(&columns.authority.shown(), &columns.projection.shown());
    if contained < 0.05 && alike < 0.9 {
        return None;
    }
    let mut score = contained + 0.2 * alike;
    for (side, column) in columns.iter() {
        let seen = seen.get(side);
        if identifies(column.path.last().map_or("", String::as_str)) {
            score += 0.1;
        }
        // Times and fractions are unique by accident, members of structs seldom identify their row.
        if seen.mostly(seen.dates + seen.stamps) {
            score -= 0.4;
        } else if seen.mostly(seen.numbers) && !seen.mostly(seen.whole_numbers) {
            score -= 0.5;
        }
        if column.path.len() > 1 {
            score -= 0.15;
        }
        if is_of_load(&column.shown()) {
            score -= 0.4;
        }
        score -= 0.001 * real((*pair.get(side)).min(50));
    }
    Some(score)
}

/// Pairs and threes of columns that are unique together at the head of both sides.
fn combined(tables: &Sides<Table>, profiles: &Sides<Profile>) -> Vec<Candidate> {
    let partners = partners(tables, profiles);
    let values = Sides::from_fn(|side| {
        let table = tables.get(side);
        partners.iter().map(|(pair, _)| head_values(table, *pair.get(side))).collect::<Vec<_>>()
    });
    let is_unique = |set: &[usize]| {
        Side::BOTH
            .into_iter()
            .all(|side| unique_together(&set.iter().map(|&column| &values.get(side)[column][..]).collect::<Vec<_>>()))
    };
    let candidate = |set: &[usize]| {
        let total: f64 = set.iter().map(|&column| partners[column].1).sum();
        let columns = set.iter().map(|&column| partners[column].0).collect();
        // A key of fewer columns goes first.
        Candidate { columns, score: total / real(set.len()) - 0.1 * real(set.len()) }
    };
    let mut found: Vec<Candidate> = Vec::new();
    let mut unique_pairs = HashSet::new();
    for one in 0..partners.len() {
        for two in one + 1..partners.len() {
            if is_unique(&[one, two]) {
                unique_pairs.insert((one, two));
                found.push(candidate(&[one, two]));
            }
        }
    }
    if !found.is_empty() {
        return found;
    }
    for one in 0..partners.len() {
        for two in one + 1..partners.len() {
            for three in two + 1..partners.len() {
                if is_unique(&[one, two, three]) {
                    found.push(candidate(&[one, two, three]));
                }
            }
        }
    }
    found
}

/// For each column of the authority the one of the projection that it would meet, with the score; the best ones.
fn partners(tables: &Sides<Table>, profiles: &Sides<Profile>) -> Vec<(Sides<usize>, f64)> {
    let serves = |side: Side, number: usize| {
        let profile = profiles.get(side);
        let seen = &profile.columns[number];
        can_identify(&tables.get(side).columns[number])
            && seen.distinct() > 1
            && (profile.rows - seen.values.min(profile.rows)) * FAULTS_ONE_IN <= profile.rows
    };
    let mut edges = Vec::new();
    for authority in (0..tables.authority.columns.len()).filter(|&number| serves(Side::Authority, number)) {
        for projection in (0..tables.projection.columns.len()).filter(|&number| serves(Side::Projection, number)) {
            let pair = Sides { authority, projection };
            // Columns of few values share them by accident: here the name must say something too.
            let names = Sides::from_fn(|side| tables.get(side).columns[*pair.get(side)].shown());
            let alike = likeness(&names.authority, &names.projection);
            if let Some(score) =
                score(tables, profiles, pair).filter(|score| *score > 0.3 && (alike > 0.4 || *score > 0.9))
            {
                edges.push((pair, score + 0.3 * alike));
            }
        }
    }
    edges.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut taken = Sides::<HashSet<usize>>::default();
    let mut kept = Vec::new();
    for (pair, score) in edges {
        let free = !taken.authority.contains(&pair.authority) && !taken.projection.contains(&pair.projection);
        if free && kept.len() < COMBINED_COLUMNS_MAX {
            taken.authority.insert(pair.authority);
            taken.projection.insert(pair.projection);
            kept.push((pair, score));
        }
    }
    kept
}

fn head_values(table: &Table, column: usize) -> Vec<u64> {
    let mut values = Vec::new();
    for batch in &table.head {
        let start = values.len();
        values.resize(start + batch.num_rows(), 0);
        table.reader().each(batch, column, |row, text| values[start + row] = digest(&loose(text, table.style).0));
        if values.len() >= COMBINED_ROWS {
            values.truncate(COMBINED_ROWS);
            break;
        }
    }
    values
}

fn unique_together(columns: &[&[u64]]) -> bool {
    let rows = columns.first().map_or(0, |column| column.len());
    let mut seen = HashSet::with_capacity_and_hasher(rows, FxBuildHasher);
    let repeated = (0..rows)
        .filter(|&row| {
            let key = columns.iter().fold(0_u64, |key, column| digest(&format!("{key:x} {:x}", column[row])));
            !seen.insert(key)
        })
        .count();
    rows > 0 && repeated * FAULTS_ONE_IN <= rows
}

/// The digests of a batch's keys; None where one of its columns is NULL.
pub(super) fn keys_of(table: &Table, reader: &Reader, columns: &[usize], batch: &RecordBatch) -> Vec<Option<u128>> {
    let mut rows: Vec<(Vec<u8>, usize)> = vec![(Vec::new(), 0); batch.num_rows()];
    for &column in columns {
        reader.each(batch, column, |row, text| {
            let (form, _) = loose(text, table.style);
            let (bytes, values) = &mut rows[row];
            bytes.extend((form.len() as u64).to_le_bytes());
            bytes.extend(form.as_bytes());
            *values += 1;
        });
    }
    let digest = |(bytes, values): (Vec<u8>, usize)| {
        let whole = *blake3::hash(&bytes).as_bytes();
        let (low, _) = whole.split_first_chunk::<16>().expect("a digest has 32 bytes");
        (values == columns.len()).then(|| u128::from_le_bytes(*low))
    };
    rows.into_iter().map(digest).collect()
}

/// Keys with how often each was found (once, or more), of those whose digests end in so many zeros.
struct Set {
    found: FxHashMap<u128, bool>,
    zeros: u32,
    room: usize,
    counts: Counts,
}

impl Set {
    fn add(&mut self, key: Option<u128>) {
        self.counts.rows += 1;
        let Some(key) = key else {
            self.counts.null += 1;
            return;
        };
        if key.trailing_zeros() < self.zeros {
            return;
        }
        self.found.entry(key).and_modify(|more| *more = true).or_insert(false);
        while self.found.len() > self.room {
            self.keep(self.zeros + 1);
        }
    }

    fn keep(&mut self, zeros: u32) {
        self.zeros = zeros;
        self.found.retain(|key, _| key.trailing_zeros() >= zeros);
    }
}

/// Counts candidates over all rows, both sides one after the other. `bytes` is what the keys may take.
pub(super) fn count(
    tables: &Sides<Table>,
    candidates: Vec<Candidate>,
    bytes: u64,
    pairs: usize,
) -> Result<Vec<Counted>, Failure> {
    const BYTES_OF_KEY: u64 = 48;
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let room = bytes / BYTES_OF_KEY / (2 * candidates.len().max(1) as u64);
    let room = usize::try_from(room).unwrap_or(usize::MAX).max(10_000);
    let sets = Sides {
        authority: sets(tables, Side::Authority, &candidates, room)?,
        projection: sets(tables, Side::Projection, &candidates, room)?,
    };
    let both = sets.authority.into_iter().zip(sets.projection);
    let counted = candidates.into_iter().zip(both).map(|(candidate, (mut authority, mut projection))| {
        let zeros = authority.zeros.max(projection.zeros);
        authority.keep(zeros);
        projection.keep(zeros);
        let sides = Sides { authority, projection };
        let mut common: Vec<(u128, bool)> = Vec::new();
        common.extend(sides.authority.found.iter().filter_map(|(key, more)| {
            let across = sides.projection.found.get(key)?;
            Some((*key, *more || *across))
        }));
        let all = common.len();
        let mut once: Vec<u128> = common.into_iter().filter(|(_, more)| !more).map(|(key, _)| key).collect();
        once.sort_unstable();
        once.truncate(pairs);
        let sides = sides.map(|_, set| Counts {
            keys: set.found.len(),
            repeated: set.found.values().filter(|more| **more).count(),
            ..set.counts
        });
        Counted { candidate, sides, common: all, one_in: 1 << zeros.min(63), pairs: once }
    });
    Ok(counted.collect())
}

fn sets(tables: &Sides<Table>, side: Side, candidates: &[Candidate], room: usize) -> Result<Vec<Set>, Failure> {
    let table = tables.get(side);
    let mut needed = BTreeMap::new();
    for pair in candidates.iter().flat_map(|candidate| &candidate.columns) {
        let next = needed.len();
        needed.entry(*pair.get(side)).or_insert(next);
    }
    let mut order: Vec<usize> = needed.keys().copied().collect();
    order.sort_by_key(|column| needed[column]);
    let reader = table.reader_of(&order)?;
    let columns: Vec<Vec<usize>> = candidates
        .iter()
        .map(|candidate| candidate.columns.iter().map(|pair| needed[pair.get(side)]).collect())
        .collect();
    let mut sets: Vec<Set> = candidates
        .iter()
        .map(|_| Set { found: FxHashMap::default(), zeros: 0, room, counts: Counts::default() })
        .collect();
    for unit in &table.opened.units {
        for piece in table.told(unit.as_ref(), &reader.read)? {
            let Piece::Rows(batch) = piece? else { continue };
            for (set, columns) in sets.iter_mut().zip(&columns) {
                keys_of(table, &reader, columns, &batch).into_iter().for_each(|key| set.add(key));
            }
        }
    }
    Ok(sets)
}

/// Of two that were counted, whether keys meet more in the first, or as much at a better score.
pub(super) fn best(counted: &[Counted]) -> Option<usize> {
    let rank = |counted: &Counted| {
        let keys = counted.sides.authority.keys.min(counted.sides.projection.keys);
        let met = if keys == 0 { 0.0 } else { share(counted.common, keys) };
        (met > 0.0, met + counted.candidate.score)
    };
    let serving =
        counted.iter().enumerate().filter(|(_, counted)| counted.sides.iter().all(|(_, counts)| counts.serves()));
    serving
        .max_by(|(one_index, one), (other_index, other)| {
            let (one, other) = (rank(one), rank(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)).then(other_index.cmp(one_index))
        })
        .map(|(index, _)| index)
}
