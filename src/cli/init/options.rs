//! Which options bring two columns together. Each is tried with the engine itself, on rows of one key: an option that
//! settles a share of them is proposed, one that settles a few is written beside it as a comment.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::align::Aligned;
use super::draft::{self, Draft, DraftPair, Suggestion};
use super::loose::loose;
use super::pairs::MAP_MAX;
use super::profile::{ColumnProfile, Profile};
use super::table::Table;
use super::{grouped, share};
use crate::contract::{Contract, Tolerance};
use crate::normalise::{self, BindRequest, Binding, BoundAttribute, CanonicalColumn, Comparison, SchemaReason};
use crate::sides::Sides;

/// From this share of the compared rows on an option is proposed; below, it is only mentioned.
const PROPOSED_FROM: f64 = 0.05;
/// Of all values of a map, the share that must follow it.
const MAP_FROM: f64 = 0.9;
/// One in so many values of a map may have no fixed partner; it is said, and not translated.
const UNFIXED_ONE_IN: usize = 3;
/// Differences that are looked at to find a tolerance, as powers of ten.
const TOLERANCES: [&str; 11] = [
    "0.0000000001",
    "0.000000001",
    "0.00000001",
    "0.0000001",
    "0.000001",
    "0.00001",
    "0.0001",
    "0.001",
    "0.01",
    "0.1",
    "1",
];
const TIME_TOLERANCES: [&str; 4] = ["1us", "1ms", "1s", "1m"];

/// The rows that options are tried on.
pub(super) struct Bench<'a> {
    pub(super) tables: &'a Sides<Table>,
    pub(super) profiles: &'a Sides<Profile>,
    pub(super) aligned: &'a Aligned,
    /// Sources and key.
    pub(super) frame: &'a Draft,
}

/// For each value of the authority the one that it becomes, how often, and of how many.
struct Images {
    /// Nearly always the same.
    map: BTreeMap<String, (String, usize, usize)>,
    /// Now this, now that: the commonest.
    unfixed: BTreeMap<String, (String, usize, usize)>,
}

/// What the engine makes of two columns under some options.
enum Trial {
    /// For each row whether it agrees.
    Compared {
        agrees: Vec<bool>,
        comparison: Comparison,
        size: Option<f64>,
    },
    NotComparable(SchemaReason),
    Refused,
}

impl Trial {
    fn agreeing(&self) -> usize {
        match self {
            Self::Compared { agrees, .. } => agrees.iter().filter(|agrees| **agrees).count(),
            Self::NotComparable(_) | Self::Refused => 0,
        }
    }
}

impl Bench<'_> {
    /// Adds to a pair what its values call for. `columns` are its numbers on each side.
    pub(super) fn fit(&self, mut pair: DraftPair, columns: Sides<usize>, in_key: bool) -> DraftPair {
        let rows = self.aligned.rows;
        let mut now = self.attempt(&pair, in_key);
        let plain = now.agreeing();
        if let Trial::NotComparable(SchemaReason::ZoneUnknown) = now {
            let zone = ("timezone".to_owned(), draft::value("UTC"));
            let tried = self.attempt(&with(&pair, &zone), in_key);
            if tried.agreeing() * 2 > rows {
                pair.options.push(zone);
                now = tried;
            } else {
                let why = "one side's times have no zone: say which".to_owned();
                pair.suggested.push(Suggestion { name: zone.0, value: zone.1, gain: 0, why });
            }
        }
        for (name, value) in self.choices(columns) {
            if now.agreeing() == rows {
                break;
            }
            self.consider(&mut pair, &mut now, (name.to_owned(), value), in_key);
        }
        if !in_key {
            self.consider_map(&mut pair, &mut now, columns);
            self.consider_tolerance(&mut pair, &mut now);
        }
        pair.evidence.push(self.said(&pair, &now, plain));
        if let Trial::NotComparable(_) = now {
            let described =
                columns.as_ref().map(|side, column| self.tables.get(side).columns[*column].described.clone());
            let Sides { authority, projection } = described;
            pair.evidence.push(format!("{authority} against {projection}: a run reports this as `schema`"));
        }
        pair
    }

    fn said(&self, pair: &DraftPair, now: &Trial, plain: usize) -> String {
        let rows = grouped(self.aligned.rows);
        let agreeing = now.agreeing();
        let mut said = format!("{} of {rows} rows of both sides agree", grouped(agreeing));
        if agreeing != plain {
            said.push_str(&format!(", {} without the options below", grouped(plain)));
        }
        if !pair.suggested.is_empty() {
            said.push_str("; more would with what stands here as a comment");
        }
        said
    }

    /// Options that could settle what these columns hold.
    fn choices(&self, columns: Sides<usize>) -> Vec<(&'static str, String)> {
        let seen = Sides::from_fn(|side| &self.profiles.get(side).columns[*columns.get(side)]);
        let comparisons = Sides::from_fn(|side| &self.tables.get(side).columns[*columns.get(side)].comparison);
        let is_text = comparisons.map(|_, comparison| *comparison == Comparison::Text);
        let mut choices = Vec::new();
        if is_text.authority || is_text.projection {
            for (option, value) in
                [("trim", "right"), ("trim", "both"), ("case", "ignore"), ("spaces", "collapse"), ("unicode", "nfc")]
            {
                choices.push((option, draft::value(value)));
            }
            let texts = null_texts(&seen);
            if !texts.is_empty() {
                let texts: Vec<String> = texts.iter().map(|text| draft::value(text)).collect();
                choices.push(("null_equals", format!("[{}]", texts.join(", "))));
            }
        }
        if is_text.authority && is_text.projection {
            let both = |count: fn(&ColumnProfile) -> usize| seen.iter().all(|(_, seen)| seen.mostly(count(seen)));
            let types: [(&str, bool); 6] = [
                ("decimal", both(|seen| seen.numbers)),
                ("date", both(|seen| seen.dates)),
                ("timestamptz", both(|seen| seen.dates + seen.stamps) && seen.iter().any(|(_, seen)| seen.zoned > 0)),
                ("timestamp", both(|seen| seen.dates + seen.stamps)),
                ("uuid", both(|seen| seen.values)),
                ("boolean", both(|seen| seen.values) && seen.iter().all(|(_, seen)| seen.distinct() <= 6)),
            ];
            choices.extend(types.into_iter().filter(|(_, fits)| *fits).map(|(name, _)| ("type", draft::value(name))));
        }
        choices
    }

    /// Tries one option on top of the others and keeps it, notes it, or lets it be.
    fn consider(&self, pair: &mut DraftPair, now: &mut Trial, option: (String, String), in_key: bool) {
        let (name, value) = option.clone();
        if name == "type" && pair.options.iter().any(|(other, _)| *other == name) {
            return;
        }
        let tried = self.attempt(&with(pair, &option), in_key);
        let gain = tried.agreeing().saturating_sub(now.agreeing());
        if gain == 0 {
            return;
        }
        if share(gain, self.aligned.rows) >= PROPOSED_FROM && gain > 1 {
            pair.options.retain(|(other, _)| *other != name);
            pair.suggested.retain(|other| other.name != name);
            pair.options.push(option);
            *now = tried;
            return;
        }
        let why = format!("would settle {} more", rows(gain));
        let suggestion = Suggestion { name, value, gain, why };
        match pair.suggested.iter_mut().find(|other| other.name == suggestion.name) {
            Some(known) if known.gain < gain => *known = suggestion,
            Some(_) => {}
            None => pair.suggested.push(suggestion),
        }
    }

    /// Proposes `translate` where one value stands for another throughout.
    fn consider_map(&self, pair: &mut DraftPair, now: &mut Trial, columns: Sides<usize>) {
        let rows = self.aligned.rows;
        if now.agreeing() * 2 > rows || rows < 4 {
            return;
        }
        let Some(Images { map, unfixed }) = self.map(columns) else { return };
        let entries: Vec<String> =
            map.iter().map(|(from, (to, _, _))| format!("{} = {}", draft::key(from), draft::value(to))).collect();
        let option = ("translate".to_owned(), format!("{{ {} }}", entries.join(", ")));
        let alone = DraftPair { options: Vec::new(), ..pair.clone() };
        let tried = self.attempt(&with(&alone, &option), false);
        if share(tried.agreeing(), rows) < 0.5 || tried.agreeing() <= now.agreeing() {
            return;
        }
        pair.options = vec![option];
        pair.suggested.clear();
        *now = tried;
        for (from, (to, held, of)) in &map {
            pair.evidence.push(format!("\"{from}\" is \"{to}\" in {} of {}", grouped(*held), grouped(*of)));
        }
        for (from, (to, held, of)) in &unfixed {
            let (held, of) = (grouped(*held), grouped(*of));
            pair.evidence.push(format!("\"{from}\" is \"{to}\" in only {held} of {of}, and so not translated"));
        }
        let seen = &self.profiles.authority.columns[columns.authority];
        if let Some(small) = &seen.small {
            let unseen: Vec<String> = small
                .keys()
                .filter(|value| !map.contains_key(*value) && !unfixed.contains_key(*value))
                .map(|value| format!("\"{value}\""))
                .collect();
            if !unseen.is_empty() {
                pair.evidence.push(format!("not seen in a pair of rows, and so not translated: {}", unseen.join(", ")));
            }
        }
    }

    /// Each value of the authority with the one that stands for it, how often, and of how many.
    fn map(&self, columns: Sides<usize>) -> Option<Images> {
        let texts = Sides::from_fn(|side| {
            let mut texts: Vec<Option<String>> = vec![None; self.aligned.rows];
            let table = self.tables.get(side);
            table.reader().each(self.aligned.batches.get(side), *columns.get(side), |row, text| {
                texts[row] = Some(text.to_owned());
            });
            texts
        });
        let mut images: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        for (from, to) in texts.authority.into_iter().zip(texts.projection) {
            if let (Some(from), Some(to)) = (from, to) {
                *images.entry(from).or_default().entry(to).or_default() += 1;
            }
            if images.len() > MAP_MAX {
                return None;
            }
        }
        let (mut map, mut unfixed) = (BTreeMap::new(), BTreeMap::new());
        for (from, image) in images {
            let of: usize = image.values().sum();
            // The sort is stable, so that of two that are as frequent the first in order wins.
            let (to, held) = image.into_iter().rev().max_by_key(|(_, count)| *count)?;
            let fixed = share(held, of) >= MAP_FROM;
            if fixed { &mut map } else { &mut unfixed }.insert(from, (to, held, of));
        }
        // Where many have none, the columns are no two vocabularies of one thing.
        if unfixed.len() * UNFIXED_ONE_IN > map.len() {
            return None;
        }
        let targets: std::collections::BTreeSet<&String> = map.values().map(|(to, _, _)| to).collect();
        (targets.len() > 1 && map.len() <= MAP_MAX).then_some(Images { map, unfixed })
    }

    /// The least tolerance that settles nearly all that a wider one settles. One that settles a few rows must be very
    /// small beside the values: what else it hides would be real.
    fn consider_tolerance(&self, pair: &mut DraftPair, now: &mut Trial) {
        let before = now.agreeing();
        let Trial::Compared { comparison, size, .. } = &*now else { return };
        if before == self.aligned.rows || self.frame.key_count == 0 {
            return;
        }
        let numbers = |share: f64| -> Vec<&str> {
            let most = size.unwrap_or(0.0) * share;
            TOLERANCES.into_iter().filter(|width| width.parse::<f64>().is_ok_and(|width| width <= most)).collect()
        };
        let tries: [(Vec<&str>, f64); 2] = match comparison {
            Comparison::Decimal { .. } | Comparison::Float | Comparison::Number | Comparison::Text => {
                [(numbers(0.00001), 0.0), (numbers(0.001), PROPOSED_FROM)]
            }
            Comparison::Timestamp | Comparison::Instant => {
                [(TIME_TOLERANCES.to_vec(), PROPOSED_FROM), (Vec::new(), 0.0)]
            }
            _ => return,
        };
        let option = |width: &str| ("tolerance".to_owned(), draft::value(width));
        for (widths, least) in tries {
            let gain = |width: &str| self.attempt(&with(pair, &option(width)), false).agreeing().saturating_sub(before);
            let most = widths.last().map_or(0, |widest| gain(widest));
            if most == 0 || share(most, self.aligned.rows) < least {
                continue;
            }
            // A wider tolerance settles no fewer rows.
            let least = widths.partition_point(|width| gain(width) * 100 < most * 95);
            if let Some(width) = widths.get(least) {
                return self.consider(pair, now, option(width), false);
            }
        }
    }

    fn attempt(&self, pair: &DraftPair, in_key: bool) -> Trial {
        let mut draft = self.frame.clone();
        if in_key {
            draft.key_count = 1;
            draft.pairs = vec![pair.clone()];
        } else {
            draft.pairs.truncate(draft.key_count);
            draft.pairs.push(pair.clone());
        }
        draft.declared = Some(String::new());
        draft.left_out.clear();
        let Ok(contract) = draft.contract() else { return Trial::Refused };
        self.compare(&contract, pair)
    }

    fn compare(&self, contract: &Contract, pair: &DraftPair) -> Trial {
        let schemas = self.tables.as_ref().map(|_, table| &*table.opened.schema);
        let Ok(binding) = normalise::bind(BindRequest { contract, schemas }) else { return Trial::Refused };
        if let Some(difference) = binding.schema.first() {
            return Trial::NotComparable(difference.reason);
        }
        let Some(attribute) = binding.attributes.iter().find(|attribute| attribute.name == pair.name).cloned() else {
            return Trial::Refused;
        };
        let binding = Binding { attributes: vec![attribute.clone()], key_count: 0, ..binding };
        let columns = Sides::from_fn(|side| {
            let read = normalise::columns_read(&binding, side);
            let own = &self.tables.get(side).reader().read;
            let positions: Option<Vec<usize>> = read.iter().map(|index| own.binary_search(index).ok()).collect();
            let batch: Option<RecordBatch> =
                positions.and_then(|positions| self.aligned.batches.get(side).project(&positions).ok());
            batch.map(|batch| normalise::normalise(&binding, side, &batch).columns.remove(0))
        });
        let Sides { authority: Some(authority), projection: Some(projection) } = columns else { return Trial::Refused };
        agreement(&attribute, &Sides { authority, projection }, self.aligned.rows)
    }
}

fn agreement(attribute: &BoundAttribute, columns: &Sides<CanonicalColumn>, rows: usize) -> Trial {
    let comparison = attribute.comparison.clone();
    let faulty = columns.as_ref().map(|_, column| {
        let mut faulty = vec![false; rows];
        column.faults.iter().for_each(|fault| faulty[fault.row as usize] = true);
        faulty
    });
    let mut sizes = Vec::new();
    let mut agrees = Vec::with_capacity(rows);
    for row in 0..rows {
        let texts = columns.as_ref().map(|_, column| normalise::canonical_text(&comparison, column, row));
        if let Some(size) = texts.authority.as_ref().and_then(|text| text.parse::<f64>().ok()) {
            sizes.push(size.abs());
        }
        let near = |tolerance: &Tolerance| {
            normalise::within(tolerance, &comparison, columns.as_ref(), Sides::from_fn(|_| row))
        };
        agrees.push(
            !faulty.authority[row]
                && !faulty.projection[row]
                && (texts.authority == texts.projection || attribute.tolerance.as_ref().is_some_and(near)),
        );
    }
    sizes.sort_by(f64::total_cmp);
    let size = sizes.get(sizes.len() / 2).copied();
    Trial::Compared { agrees, comparison, size }
}

/// Texts of one side that could stand for NULL: the usual ones, where there are some.
fn null_texts(seen: &Sides<&ColumnProfile>) -> Vec<String> {
    const USUAL: [&str; 9] = ["", "n/a", "na", "null", "none", "-", "unknown", "nan", "nil"];
    let mut texts: Vec<String> = seen
        .iter()
        .flat_map(|(_, seen)| seen.small.iter().flat_map(BTreeMap::keys))
        .filter(|text| USUAL.contains(&loose(text, super::loose::Style::default()).0.as_str()))
        .cloned()
        .collect();
    if seen.iter().any(|(_, seen)| seen.small.is_none()) {
        texts.extend([String::new(), "N/A".to_owned()]);
    }
    texts.sort();
    texts.dedup();
    texts
}

fn with(pair: &DraftPair, option: &(String, String)) -> DraftPair {
    let mut pair = pair.clone();
    pair.options.retain(|(name, _)| *name != option.0);
    pair.options.push(option.clone());
    pair
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(count)) }
}
