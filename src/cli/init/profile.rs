//! One reading of a whole table: for each column its NULLs, how many different values, what they look like, and the
//! smallest digests of its values, by which two columns of any size tell how many values they share.
//!
//! Memory is bounded by the number of columns. The result does not depend on threads or on the order of rows.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use rayon::prelude::*;
use rustc_hash::FxHasher;

use super::loose::{Look, loose};
use super::table::Table;
use super::{real, share};
use crate::cli::failure::Failure;
use crate::console::Bars;
use crate::sides::Side;
use crate::source::{self, Piece, Unit};

/// Digests of values that are kept for each column.
const KEPT: usize = 1024;
/// Different values that are kept as they stand.
const SMALL_MAX: usize = 64;
const SMALL_BYTES: usize = 80;

/// What was seen of a table.
pub(super) struct Profile {
    pub(super) rows: usize,
    pub(super) unreadable: u64,
    pub(super) columns: Vec<ColumnProfile>,
}

/// What was seen of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct ColumnProfile {
    /// That are not NULL.
    pub(super) values: usize,
    pub(super) numbers: usize,
    pub(super) whole_numbers: usize,
    pub(super) dates: usize,
    pub(super) stamps: usize,
    pub(super) zoned: usize,
    /// The values themselves with their counts, where they are few.
    pub(super) small: Option<BTreeMap<String, usize>>,
    /// One value in each part of the source that has several rows.
    pub(super) constant_in_parts: bool,
    parts: usize,
    smallest: Smallest,
}

impl ColumnProfile {
    pub(super) fn distinct(&self) -> usize {
        self.smallest.distinct()
    }

    /// Whether nearly all its values look so.
    pub(super) fn mostly(&self, count: usize) -> bool {
        self.values > 0 && count * 20 >= self.values * 19
    }

    /// How many of the values of the column with fewer are in the other too, as a share.
    pub(super) fn containment(&self, other: &Self) -> f64 {
        self.smallest.containment(&other.smallest)
    }

    /// Whether it looks like the time of a load: one for each of several parts.
    pub(super) fn is_load_time(&self) -> bool {
        self.constant_in_parts && self.parts > 0 && self.mostly(self.dates + self.stamps) && self.values > 1
    }

    fn merge(&mut self, other: Self) {
        self.values += other.values;
        self.numbers += other.numbers;
        self.whole_numbers += other.whole_numbers;
        self.dates += other.dates;
        self.stamps += other.stamps;
        self.zoned += other.zoned;
        self.constant_in_parts &= other.constant_in_parts;
        self.parts += other.parts;
        self.small = match (self.small.take(), other.small) {
            (Some(mut one), Some(other)) => {
                for (value, count) in other {
                    *one.entry(value).or_default() += count;
                }
                Some(one).filter(|small| small.len() <= SMALL_MAX)
            }
            _ => None,
        };
        self.smallest.merge(other.smallest);
    }

    fn add(&mut self, text: &str, look: Look, digest: u64) {
        self.values += 1;
        match look {
            Look::Number { whole } => {
                self.numbers += 1;
                self.whole_numbers += usize::from(whole);
            }
            Look::Date => self.dates += 1,
            Look::Stamp { zoned } => {
                self.stamps += 1;
                self.zoned += usize::from(zoned);
            }
            Look::Text => {}
        }
        self.smallest.add(digest);
        let Some(small) = &mut self.small else { return };
        if let Some(count) = small.get_mut(text) {
            *count += 1;
        } else if small.len() == SMALL_MAX || text.len() > SMALL_BYTES {
            self.small = None;
        } else {
            small.insert(text.to_owned(), 1);
        }
    }
}

/// The smallest digests of a set.
#[derive(Clone, Debug, Default)]
struct Smallest {
    /// Sorted and without repeats up to `sorted`.
    kept: Vec<u64>,
    /// Digests from here on are not kept.
    bound: Option<u64>,
}

impl Smallest {
    fn add(&mut self, digest: u64) {
        if self.bound.is_some_and(|bound| digest >= bound) {
            return;
        }
        self.kept.push(digest);
        if self.kept.len() >= 2 * KEPT {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.kept.sort_unstable();
        self.kept.dedup();
        if self.kept.len() > KEPT {
            self.bound = Some(self.kept[KEPT]);
            self.kept.truncate(KEPT);
        }
    }

    fn merge(&mut self, other: Self) {
        self.bound = self.bound.into_iter().chain(other.bound).min();
        self.kept.extend(other.kept);
        self.kept.retain(|digest| self.bound.is_none_or(|bound| *digest < bound));
        self.settle();
    }

    /// Exact where all are kept, estimated by their density where not.
    fn distinct(&self) -> usize {
        match self.bound {
            None => self.kept.len(),
            Some(bound) => {
                let density = real(usize::try_from(bound >> 32).unwrap_or(usize::MAX)) / 4_294_967_296.0;
                whole(real(self.kept.len()) / density)
            }
        }
    }

    fn containment(&self, other: &Self) -> f64 {
        let bound = self.bound.into_iter().chain(other.bound).min().unwrap_or(u64::MAX);
        let below = |set: &Self| set.kept.partition_point(|digest| *digest < bound);
        let (one, many) = (&self.kept[..below(self)], &other.kept[..below(other)]);
        let common = one.iter().filter(|digest| many.binary_search(digest).is_ok()).count();
        let few = one.len().min(many.len());
        if few == 0 { 0.0 } else { share(common, few) }
    }
}

#[expect(clippy::cast_sign_loss, reason = "a count is not negative")]
fn whole(number: f64) -> usize {
    number.round() as usize
}

/// Reads every row of a table once.
pub(super) fn profile(table: &Table, side: Side, bars: &Bars) -> Result<Profile, Failure> {
    bars.begin("", &format!("reading the {side}"), table.opened.units.iter().map(|unit| unit.bytes()).sum());
    let empty = || Profile { rows: 0, unreadable: 0, columns: vec![ColumnProfile::empty(); table.columns.len()] };
    let whole = table.opened.units.par_iter().map(|unit| of_unit(table, unit.as_ref(), empty())).try_reduce(
        empty,
        |mut one, other| {
            one.rows += other.rows;
            one.unreadable += other.unreadable;
            one.columns.iter_mut().zip(other.columns).for_each(|(one, other)| one.merge(other));
            Ok(one)
        },
    );
    let mut whole = whole?;
    whole.columns.iter_mut().for_each(|column| column.smallest.settle());
    Ok(whole)
}

impl ColumnProfile {
    fn empty() -> Self {
        Self { small: Some(BTreeMap::new()), constant_in_parts: true, ..Self::default() }
    }
}

fn of_unit(table: &Table, unit: &dyn Unit, mut profile: Profile) -> Result<Profile, source::Error> {
    let reader = table.reader();
    let mut first: Vec<Option<u64>> = vec![None; table.columns.len()];
    for piece in table.told(unit, &reader.read)? {
        let batch = match piece? {
            Piece::Rows(batch) => batch,
            Piece::Unreadable(unreadable) => {
                profile.unreadable += unreadable.rows;
                continue;
            }
        };
        profile.rows += batch.num_rows();
        for (number, column) in profile.columns.iter_mut().enumerate() {
            let first = &mut first[number];
            reader.each(&batch, number, |_, text| {
                let (form, look) = loose(text, table.style);
                let digest = digest(&form);
                column.constant_in_parts &= *first.get_or_insert(digest) == digest;
                column.add(text, look, digest);
            });
        }
    }
    for column in &mut profile.columns {
        column.parts += usize::from(profile.rows > 1);
    }
    Ok(profile)
}

/// A digest whose order has nothing to do with the text's.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = FxHasher::default();
    text.hash(&mut hasher);
    let mut mixed = hasher.finish();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = usize>) -> Smallest {
        let mut smallest = Smallest::default();
        values.into_iter().for_each(|value| smallest.add(digest(&value.to_string())));
        smallest.settle();
        smallest
    }

    #[test]
    fn different_values_and_common_ones_are_told_within_a_tenth() {
        assert_eq!(of((0..500).chain(0..500)).distinct(), 500);
        let (one, other) = (of(0..40_000), of(20_000..100_000));
        assert!((36_000..44_000).contains(&one.distinct()), "{}", one.distinct());
        assert!((0.4..0.6).contains(&one.containment(&other)), "{}", one.containment(&other));
        assert!(of(0..10).containment(&of(20..30)) < 0.01);
        assert!(of(0..1000).containment(&of(0..50_000)) > 0.9);
    }

    #[test]
    fn parts_in_any_order_make_one_whole() {
        let whole = of(0..30_000);
        let mut merged = of(25_000..30_000);
        merged.merge(of(0..4_000));
        merged.merge(of(3_000..26_000));
        assert_eq!((merged.kept, merged.bound), (whole.kept, whole.bound));
    }
}
