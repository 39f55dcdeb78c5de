//! Finds what many divergences have in common and says it once: rounding, a zone, a map of codes, a lost range of keys.
//!
//! It looks at all differences twice. The first look gathers evidence, which adds up in any grouping and whose size is
//! bounded; from it come the causes that may be named. The second gives each row to the first named cause that explains
//! it, exactly, and counts. Precision comes first: what explains few rows, or no more than chance would, stays unnamed.
//! It never reads sources, never judges, and never changes what is a divergence.

use std::collections::BTreeMap;

use crate::contract::{Contract, Kind};
use crate::diff::resolve::{Difference, RowAt, Rows};
use crate::normalise::{Binding, Comparison, Reading, Readings, show};
use crate::sides::{Side, Sides};

mod alike;
mod census;
mod class;
mod clues;
mod daylight;
mod gap;
mod number;
mod option;
mod place;
mod ranges;
mod rank;
mod share;
mod suspect;
mod tell;
mod text;
mod whereabouts;
mod zones;

pub use census::{Census, Counted, MissingKeys, Question};
use class::{Class, class_of};
use clues::Clues;
use gap::{Gap, Gaps};
use place::{Places, Whereabouts};
use ranges::{Missing, Range};
use rank::{Rank, rank_of};
pub use share::Explained;
use share::{GapShare, Share};
use suspect::{LEAST, Suspect, encode_pair, standing_still, suspects};
pub use tell::grouped;

/// The names of all causes, as reports write them and `explain` knows them.
pub const NAMES: [&str; 23] = [
    "columns_swapped",
    "key_range_missing",
    "null_spelled",
    "null_in_place",
    "default_in_place",
    "stuck_version",
    "letter_case",
    "white_space",
    "unicode_form",
    "mojibake",
    "leading_zeros",
    "scientific_notation",
    "number_spelling",
    "text_cut",
    "sign_flipped",
    "constant_factor",
    "rounded",
    "truncated",
    "time_offset",
    "enum_ordinal",
    "value_map",
    "one_value_only",
    "one_file_only",
];

/// In how many attributes, the key aside, causes are looked for.
pub const ATTRIBUTES: usize = 256;
/// Of how many differing attributes of a pair any two may be swapped.
const SWAPS: usize = 24;
const MINUTE: i128 = 60_000_000_000;

/// A cause that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its fixed name.
    pub cause: String,
    /// The attribute, for swapped columns the first of the two, for lost rows that of the key.
    pub attribute: Option<String>,
    /// How many keys it explains.
    pub keys: u64,
    /// Of how many mismatches of the attribute, or missing keys.
    pub of: u64,
    /// What it says, with two examples.
    pub evidence: String,
    /// What to paste into `reconcile.toml`, where an option would settle it.
    pub option: Option<String>,
}

/// The rows that differences point into.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The attributes as they were compared.
    pub binding: &'a Binding,
    /// Candidate rows.
    pub rows: &'a Sides<Rows>,
}

/// Who knows of a difference what causes do not.
#[derive(Clone, Copy)]
pub struct Teller<'a> {
    /// Its kind, markers and all.
    pub kind: &'a dyn Fn(&Difference) -> Kind,
    /// Its key, as reports write it.
    pub key: &'a dyn Fn(&Difference) -> String,
}

impl Teller<'_> {
    /// Whether markers tell why the rows differ: the projection has an earlier row, or a later one.
    fn lags(&self, difference: &Difference) -> bool {
        matches!((self.kind)(difference), Kind::Stale | Kind::InFlight | Kind::Ahead)
    }
}

/// The columns of a scene, each looked at once.
struct Values<'a> {
    scene: Scene<'a>,
    /// By attribute, side, batch.
    columns: Vec<Sides<Vec<Readings<'a>>>>,
}

impl<'a> Values<'a> {
    fn new(scene: Scene<'a>) -> Self {
        let columns = scene.binding.attributes.iter().enumerate().map(|(index, attribute)| {
            scene.rows.as_ref().map(|_, rows| {
                rows.canonical.iter().map(|batch| Readings::new(&attribute.comparison, &batch.columns[index])).collect()
            })
        });
        Self { scene, columns: columns.collect() }
    }

    fn one(&self, attribute: usize, side: Side, at: RowAt) -> Reading<'_> {
        self.columns[attribute].get(side)[at.batch].at(at.row)
    }

    fn both(&self, attribute: usize, rows: Sides<RowAt>) -> Sides<Reading<'_>> {
        rows.map(|side, at| self.one(attribute, side, at))
    }

    fn shown(&self, attribute: usize, side: Side, at: RowAt) -> Option<Box<str>> {
        let Scene { binding, rows } = self.scene;
        show(binding, side, attribute, &rows.get(side).raw[at.batch], at.row).map(String::into_boxed_str)
    }

    fn rank(&self, difference: &Difference) -> Rank {
        rank_of(self.scene.rows, difference)
    }

    /// The attributes that causes are looked for in.
    fn looked_at<'d>(&self, attributes: &'d [usize]) -> &'d [usize] {
        let most = self.scene.binding.key_count + ATTRIBUTES;
        &attributes[..attributes.partition_point(|attribute| *attribute < most)]
    }

    /// Calls for each two attributes of a pair whose values stand in each other's place.
    fn each_swap(&self, rows: Sides<RowAt>, attributes: &[usize], mut call: impl FnMut((usize, usize), Reading<'_>)) {
        if attributes.len() < 2 || attributes.len() > SWAPS {
            return;
        }
        for (place, &one) in attributes.iter().enumerate() {
            for &two in &attributes[place + 1..] {
                let comparison = |attribute: usize| &self.scene.binding.attributes[attribute].comparison;
                if comparison(one) != comparison(two) || *comparison(one) == Comparison::Boolean {
                    continue;
                }
                let (first, second) = (self.both(one, rows), self.both(two, rows));
                let whole = |reading: Reading<'_>| {
                    !matches!(reading, Reading::Null | Reading::Other | Reading::Fault(_) | Reading::Nothing)
                };
                if first.authority == second.projection
                    && second.authority == first.projection
                    && whole(first.authority)
                    && whole(second.authority)
                {
                    call((one, two), first.authority);
                }
            }
        }
    }
}

/// What all differences have in common, as far as they were seen.
#[derive(Clone, Debug)]
pub struct Evidence {
    attributes: Vec<Clues>,
    /// The same of pairs that lag explains.
    lagging: Vec<Clues>,
    swaps: BTreeMap<(usize, usize), Swap>,
    missing: Missing,
    gaps: Gaps,
    places: Whereabouts,
    /// The attributes that hold times.
    timed: Vec<usize>,
    /// How many attributes the key has.
    key_count: usize,
    /// Pairs that agree, and pairs that differ in anything.
    agree: u64,
    differ: u64,
}

/// Rows in which two attributes were swapped.
#[derive(Clone, Debug, Default)]
struct Swap {
    rows: u64,
    /// The least hashes of the first one's values.
    met: Vec<u64>,
}

impl Swap {
    fn meet(&mut self, hash: u64) {
        if let Err(place) = self.met.binary_search(&hash) {
            self.met.insert(place, hash);
            self.met.truncate(3);
        }
    }
}

impl Evidence {
    /// None yet.
    #[must_use]
    pub fn new(binding: &Binding) -> Self {
        let attributes: Vec<Clues> = binding.attributes.iter().map(|_| Clues::default()).collect();
        Self {
            lagging: attributes.clone(),
            attributes,
            swaps: BTreeMap::new(),
            missing: Missing::new(binding),
            gaps: Gaps::new(binding),
            places: Whereabouts::default(),
            timed: daylight::timed(binding),
            key_count: binding.key_count,
            agree: 0,
            differ: 0,
        }
    }

    /// Looks at some differences. What `lags` was another value once, and says nothing of how values are copied but that the
    /// projection stands still.
    pub fn look(&mut self, scene: Scene<'_>, differences: &[Difference], teller: &Teller<'_>) {
        let values = Values::new(scene);
        let mut scratch = Vec::new();
        for difference in differences {
            let kind = (teller.kind)(difference);
            self.places.note(&values, difference, kind, teller);
            if !self.timed.is_empty() {
                daylight::note(&self.timed, &values, difference, (kind, teller.lags(difference)), &mut self.attributes);
            }
            match difference {
                Difference::Differ { rows, attributes } => {
                    let attributes = values.looked_at(attributes);
                    let (lags, rank) = (teller.lags(difference), values.rank(difference));
                    self.differ += 1;
                    for &attribute in attributes {
                        let both = values.both(attribute, *rows);
                        let class = class_of(both.authority, both.projection);
                        let show = |side: Side| values.shown(attribute, side, *rows.get(side));
                        let clues = if lags { &mut self.lagging } else { &mut self.attributes };
                        clues[attribute].note(both, class, (rank, show), &mut scratch);
                    }
                    if lags {
                        continue;
                    }
                    values.each_swap(*rows, attributes, |pair, first| {
                        scratch.clear();
                        clues::encode(first, &mut scratch);
                        let swap = self.swaps.entry(pair).or_default();
                        swap.rows += 1;
                        swap.meet(clues::hash_of(&scratch));
                    });
                }
                Difference::Unpaired { side: Side::Authority, row, fault: None } if !teller.lags(difference) => {
                    self.gaps.note(&values, *row);
                    if self.missing.wanted() {
                        self.missing.note(values.one(0, Side::Authority, *row));
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts pairs that agree.
    pub fn agreeing(&mut self, pairs: u64) {
        self.agree += pairs;
    }

    /// Adds what was seen of other differences.
    pub fn add(&mut self, other: Self) {
        self.agree += other.agree;
        self.differ += other.differ;
        let all = self.attributes.iter_mut().chain(&mut self.lagging);
        for (here, there) in all.zip(other.attributes.into_iter().chain(other.lagging)) {
            here.take(there);
        }
        for (pair, swap) in other.swaps {
            let here = self.swaps.entry(pair).or_default();
            here.rows += swap.rows;
            swap.met.into_iter().for_each(|hash| here.meet(hash));
        }
        self.missing.add(other.missing);
        self.gaps.add(other.gaps);
        self.places.add(other.places);
    }

    /// The causes that may be named.
    #[must_use]
    pub fn suspects(mut self) -> Suspects {
        let all = self.agree + self.differ;
        for (clues, lagging) in self.attributes.iter_mut().zip(&self.lagging) {
            clues.equal = all.saturating_sub(clues.mismatches + lagging.mismatches);
        }
        let equal = self.attributes.iter().map(|clues| clues.equal).collect();
        let mut mismatches: Vec<u64> = self.attributes.iter().map(|clues| clues.mismatches).collect();
        let swapped = |((one, two), swap): ((usize, usize), Swap)| {
            let of_both = mismatches[one].max(mismatches[two]);
            // Few unlike values are often in each other's place by chance.
            (swap.rows >= LEAST && swap.rows * 2 >= of_both && swap.met.len() >= 3).then_some((one, two))
        };
        let swaps: Vec<_> = self.swaps.into_iter().filter_map(swapped).collect();
        let standing: Vec<(u64, Vec<Suspect>)> =
            self.lagging.iter().map(|clues| (clues.mismatches, standing_still(clues))).collect();
        let attributes = self.attributes.iter().zip(standing).zip(&mut mismatches).map(|((clues, standing), all)| {
            let mut found = suspects(clues);
            if !standing.1.is_empty() {
                *all += standing.0;
            }
            found.extend(standing.1);
            found
        });
        let attributes: Vec<Vec<Suspect>> = attributes.collect();
        let daylight = daylight::doubts(&self.attributes, &attributes);
        let (ranges, missing) = self.missing.ranges();
        let missing = missing.max(self.gaps.rows());
        let gap = if ranges.is_empty() { self.gaps.doubt() } else { None };
        let question = Question::new(self.places.doubts(), gap, daylight, self.key_count);
        Suspects {
            attributes,
            mismatches,
            equal,
            swaps,
            ranges,
            missing,
            question,
            gaps: Vec::new(),
            places: Places::default(),
        }
    }
}

/// Causes that may be named.
#[derive(Clone, Debug)]
pub struct Suspects {
    /// By attribute, in the order in which they explain.
    attributes: Vec<Vec<Suspect>>,
    mismatches: Vec<u64>,
    /// By attribute, in how many pairs it agrees.
    equal: Vec<u64>,
    swaps: Vec<(usize, usize)>,
    ranges: Vec<Range>,
    /// How many keys are missing.
    missing: u64,
    /// What all rows must be counted for.
    question: Option<Question>,
    gaps: Vec<Gap>,
    places: Places,
}

impl Suspects {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let rows = self.swaps.is_empty() && self.ranges.is_empty() && self.attributes.iter().all(Vec::is_empty);
        rows && self.gaps.is_empty() && self.places.is_empty()
    }

    /// What must be counted of all rows before more can be named; None where nothing must.
    pub fn question(&mut self) -> Option<Question> {
        self.question.take()
    }

    /// Takes in what was counted, and how many rows lie in each file of a side that has several.
    pub fn answered(&mut self, question: Question, census: &Census, by_file: &Sides<Vec<u64>>) {
        question.settle(census, &mut self.attributes);
        (self.places, self.gaps) = question.answer(census, by_file);
    }

    /// Nothing counted yet.
    #[must_use]
    pub fn counts(&self) -> Explained {
        let none = |count: usize| (0..count).map(|_| Share::default()).collect::<Vec<_>>();
        Explained {
            attributes: self.attributes.iter().map(|suspects| none(suspects.len())).collect(),
            swaps: none(self.swaps.len()),
            ranges: none(self.ranges.len()),
            gaps: self.gaps.iter().map(|_| GapShare::default()).collect(),
        }
    }

    /// Gives each difference to its cause; calls for each with the names for its lines, none where it has no cause.
    pub fn explain(
        &self,
        scene: Scene<'_>,
        differences: &[Difference],
        teller: &Teller<'_>,
        explained: &mut Explained,
        mut each: impl FnMut(&[Option<&'static str>]),
    ) {
        let values = Values::new(scene);
        let (mut names, mut scratch) = (Vec::new(), Vec::new());
        for difference in differences {
            names.clear();
            match difference {
                Difference::Differ { rows, attributes } => {
                    let lag = (teller.lags(difference), values.rank(difference));
                    self.explain_pair(&values, *rows, (attributes, lag), explained, &mut names, &mut scratch);
                }
                Difference::Unpaired { side: Side::Authority, row, fault: None }
                    if !self.ranges.is_empty() && !teller.lags(difference) =>
                {
                    let key = values.one(0, Side::Authority, *row);
                    let found = self.ranges.iter().position(|range| range.holds(key));
                    if let Some(found) = found {
                        let shown = Sides { authority: values.shown(0, Side::Authority, *row), projection: None };
                        explained.ranges[found].count(values.rank(difference), || shown);
                    }
                    names.push(found.map(|_| "key_range_missing"));
                }
                Difference::Unpaired { side: Side::Authority, row, fault: None } if !teller.lags(difference) => {
                    let held = Gap::that_holds(&self.gaps, &values, *row);
                    if let Some((gap, held)) = held {
                        explained.gaps[gap].count(held, || (teller.key)(difference));
                    }
                    names.push(held.map(|_| "key_range_missing"));
                }
                _ => names.push(None),
            }
            if !self.places.is_empty() {
                let attributes: &[usize] =
                    if let Difference::Differ { attributes, .. } = difference { attributes } else { &[] };
                self.places.name((teller.kind)(difference), attributes, &mut names);
            }
            each(&names);
        }
    }

    fn explain_pair(
        &self,
        values: &Values<'_>,
        rows: Sides<RowAt>,
        (attributes, (lags, rank)): (&[usize], (bool, Rank)),
        explained: &mut Explained,
        names: &mut Vec<Option<&'static str>>,
        scratch: &mut Vec<u8>,
    ) {
        names.resize(attributes.len(), None);
        let shown = |attribute: usize| rows.map(|side, at| values.shown(attribute, side, at));
        if !self.swaps.is_empty() && !lags {
            values.each_swap(rows, values.looked_at(attributes), |pair, _| {
                let Some(found) = self.swaps.iter().position(|swap| *swap == pair) else { return };
                explained.swaps[found].count(rank, || shown(pair.0));
                for (name, attribute) in names.iter_mut().zip(attributes) {
                    if *attribute == pair.0 || *attribute == pair.1 {
                        *name = Some("columns_swapped");
                    }
                }
            });
        }
        for (name, &attribute) in names.iter_mut().zip(attributes) {
            let suspects = &self.attributes[attribute];
            if suspects.is_empty() || name.is_some() {
                continue;
            }
            let both = values.both(attribute, rows);
            let class = class_of(both.authority, both.projection);
            let split = encode_pair(both, scratch);
            let explains = |suspect: &Suspect| {
                (!lags || suspect.holds_of_lag()) && class != Class::Untold && suspect.explains(class, (scratch, split))
            };
            if let Some(found) = suspects.iter().position(explains) {
                explained.attributes[attribute][found].count(rank, || shown(attribute));
                *name = Some(suspects[found].name());
            }
        }
    }

    /// The causes that explain anything, those that explain the most first. `files` are the names of each side's.
    #[must_use]
    pub fn tell(
        &self,
        explained: &Explained,
        contract: &Contract,
        binding: &Binding,
        files: &Sides<Vec<String>>,
    ) -> Vec<Cause> {
        tell::tell(self, explained, (contract, binding), files)
    }
}

#[cfg(test)]
mod tests;
