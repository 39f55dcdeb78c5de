//! Which column of one side belongs to which of the other: by the values of rows that have the same key, measured against
//! what chance would give, and by name where values say little.

use std::collections::BTreeMap;

use super::align::Aligned;
use super::loose::loose;
use super::names::likeness;
use super::profile::{Profile, digest};
use super::table::{Column, Table};
use super::{real, share};
use crate::sides::{Side, Sides};

/// Different values that a map of values may have.
pub(super) const MAP_MAX: usize = 64;
/// Rows of which each must be shifted against chance.
const SHIFTS: [usize; 3] = [1, 7, 31];

/// Two columns that belong together, as numbers on each side.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pair {
    pub(super) columns: Sides<usize>,
    /// Rows where both sides hold a value.
    pub(super) rows: usize,
    /// Of those, how many are alike.
    pub(super) alike: usize,
    pub(super) why: Why,
}

/// What brought two columns together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Values,
    /// One value always stands for another.
    Map,
    /// Numbers are near each other.
    Near,
    Name,
}

/// The values of one column at the aligned rows.
struct Values {
    /// 0 where NULL.
    digests: Vec<u64>,
    numbers: Vec<Option<f64>>,
}

/// Finds the pairs among the columns that the key does not take, the best first.
pub(super) fn find(
    tables: &Sides<Table>,
    profiles: &Sides<Profile>,
    aligned: Option<&Aligned>,
    key: &[Sides<usize>],
) -> Vec<Pair> {
    let values = Sides::from_fn(|side| {
        let table = tables.get(side);
        (0..table.columns.len())
            .map(|column| aligned.map(|aligned| values(table, aligned.batches.get(side), column)))
            .collect::<Vec<_>>()
    });
    let mut edges = Vec::new();
    for authority in 0..tables.authority.columns.len() {
        for projection in 0..tables.projection.columns.len() {
            let columns = Sides { authority, projection };
            let both = Sides::from_fn(|side| &tables.get(side).columns[*columns.get(side)]);
            let seen = match (&values.authority[authority], &values.projection[projection]) {
                (Some(one), Some(other)) => Seen::of(one, other),
                _ => Seen::by_profile(profiles, columns),
            };
            if let Some((strength, pair)) = judge(columns, both, &seen) {
                edges.push((strength, pair));
            }
        }
    }
    edges.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut taken: Sides<Vec<Vec<String>>> = Sides::default();
    let path = |side: Side, column: usize| tables.get(side).columns[column].path.clone();
    for pair in key {
        Side::BOTH.into_iter().for_each(|side| taken.get_mut(side).push(path(side, *pair.get(side))));
    }
    let mut pairs = Vec::new();
    for (_, pair) in edges {
        let paths = pair.columns.map(path);
        // A struct and one of its members are not both taken.
        let is_free = |side: Side| !taken.get(side).iter().any(|other| overlaps(other, paths.get(side)));
        if Side::BOTH.into_iter().all(is_free) {
            Side::BOTH.into_iter().for_each(|side| taken.get_mut(side).push(paths.get(side).clone()));
            pairs.push(pair);
        }
    }
    pairs
}

fn overlaps(one: &[String], other: &[String]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

fn values(table: &Table, batch: &arrow::array::RecordBatch, column: usize) -> Values {
    let mut values = Values { digests: vec![0; batch.num_rows()], numbers: vec![None; batch.num_rows()] };
    let nested = table.columns[column].is_nested();
    table.reader().each(batch, column, |row, text| {
        if nested {
            let mut words: Vec<String> = text
                .split(|letter: char| "{}[],:\"".contains(letter))
                .map(|word| loose(word, table.style).0)
                .filter(|word| !word.is_empty())
                .collect();
            words.sort_unstable();
            values.digests[row] = digest(&words.join("\u{1f}")) | 1;
            return;
        }
        let (form, look) = loose(text, table.style);
        if matches!(look, super::loose::Look::Number { .. }) {
            values.numbers[row] = form.parse().ok();
        }
        values.digests[row] = digest(&form) | 1;
    });
    values
}

/// What two columns show side by side.
struct Seen {
    rows: usize,
    alike: usize,
    /// Shares, less what chance would give.
    by_value: f64,
    by_map: f64,
    by_nearness: f64,
    /// Nearly all values are alike, but they are nearly all one: the name must decide.
    constant: bool,
}

impl Seen {
    fn of(one: &Values, other: &Values) -> Self {
        let rows: Vec<usize> =
            (0..one.digests.len()).filter(|&row| one.digests[row] != 0 && other.digests[row] != 0).collect();
        let alike = rows.iter().filter(|&&row| one.digests[row] == other.digests[row]).count();
        let by_value = beyond_chance(&rows, |row, across| one.digests[row] == other.digests[across]);
        let near = |row: usize, across: usize| match (one.numbers[row], other.numbers[across]) {
            (Some(one), Some(other)) => (one - other).abs() <= 0.001 * one.abs().max(other.abs()),
            _ => false,
        };
        let by_nearness = if by_value > 0.9 { 0.0 } else { beyond_chance(&rows, near) };
        let by_map = if by_value > 0.9 { 0.0 } else { by_map(&rows, one, other) };
        let constant = rows.len() > 1 && alike * 20 >= rows.len() * 19 && by_value < 0.5;
        Self { rows: rows.len(), alike, by_value, by_map, by_nearness, constant }
    }

    /// Without rows side by side: by the values that both have at all.
    fn by_profile(profiles: &Sides<Profile>, columns: Sides<usize>) -> Self {
        let seen = Sides::from_fn(|side| &profiles.get(side).columns[*columns.get(side)]);
        let many = seen.authority.distinct().min(seen.projection.distinct());
        let by_value = if many < 10 { 0.0 } else { seen.authority.containment(seen.projection) };
        Self { rows: 0, alike: 0, by_value, by_map: 0.0, by_nearness: 0.0, constant: false }
    }
}

/// How often something holds for rows of one key, less how often it holds for rows of others, as a share of what is left.
fn beyond_chance(rows: &[usize], holds: impl Fn(usize, usize) -> bool) -> f64 {
    if rows.len() < 2 {
        return 0.0;
    }
    let count = |shift: usize| {
        let across = rows.iter().cycle().skip(shift % rows.len());
        rows.iter().zip(across).filter(|&(&row, &across)| holds(row, across)).count()
    };
    let shifts: Vec<usize> = SHIFTS.into_iter().filter(|shift| shift % rows.len() != 0).collect();
    let chance = shifts.iter().map(|shift| share(count(*shift), rows.len())).sum::<f64>() / real(shifts.len().max(1));
    let held = share(count(0), rows.len());
    if chance >= 0.999 { 0.0 } else { (held - chance) / (1.0 - chance) }
}

/// How far each value of one side stands for one value of the other, beyond what the commonest value would give.
fn by_map(rows: &[usize], one: &Values, other: &Values) -> f64 {
    let mut images: BTreeMap<u64, BTreeMap<u64, usize>> = BTreeMap::new();
    let mut totals: BTreeMap<u64, usize> = BTreeMap::new();
    for &row in rows {
        *images.entry(one.digests[row]).or_default().entry(other.digests[row]).or_default() += 1;
        *totals.entry(other.digests[row]).or_default() += 1;
        if images.len() > MAP_MAX || totals.len() > MAP_MAX {
            return 0.0;
        }
    }
    if totals.len() < 2 || rows.len() < 4 * images.len() {
        return 0.0;
    }
    let held: usize = images.values().map(|image| image.values().max().copied().unwrap_or(0)).sum();
    let commonest = share(totals.values().max().copied().unwrap_or(0), rows.len());
    if commonest >= 0.999 { 0.0 } else { (share(held, rows.len()) - commonest) / (1.0 - commonest) }
}

/// Whether two columns may be a pair, and how strongly; the name decides between equals.
fn judge(columns: Sides<usize>, both: Sides<&Column>, seen: &Seen) -> Option<(f64, Pair)> {
    // Columns of one name belong together whatever they hold: what cannot be compared, a run reports.
    if both.authority.is_nested() != both.projection.is_nested() && both.authority.path != both.projection.path {
        return None;
    }
    let shown = both.map(|_, column| column.shown());
    let last = both.map(|_, column| column.path.last().cloned().unwrap_or_default());
    let alike = likeness(&shown.authority, &shown.projection).max(likeness(&last.authority, &last.projection));
    let (by_values, why) =
        [(seen.by_value, Why::Values), (seen.by_nearness * 0.95, Why::Near), (seen.by_map * 0.9, Why::Map)]
            .into_iter()
            .max_by(|one, other| one.0.total_cmp(&other.0))?;
    // Few rows prove little without a name, unless nearly all of them meet and no others do.
    let meet = seen.rows >= 4 && by_values >= 0.75 && why != Why::Map;
    let few = seen.rows < 8 && !meet;
    let by_values_alone = by_values >= 0.5 && (!few || alike >= 0.3);
    let contradicted = seen.rows >= 30 && by_values < 0.02 && !seen.constant;
    let by_name =
        alike >= 0.95 || (alike >= 0.7 && !contradicted) || (alike >= 0.4 && (by_values >= 0.2 || seen.constant));
    if !by_values_alone && !by_name {
        return None;
    }
    let depth = 0.02 * real(both.authority.path.len() + both.projection.path.len());
    let constant = if seen.constant { 0.3 } else { 0.0 };
    let strength = by_values.max(constant) + 0.5 * alike - depth;
    let why = if by_values >= 0.2 { why } else { Why::Name };
    Some((strength, Pair { columns, rows: seen.rows, alike: seen.alike, why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Values {
        let of = |text: &&str| if text.is_empty() { 0 } else { digest(text) | 1 };
        Values {
            digests: texts.iter().map(of).collect(),
            numbers: texts.iter().map(|text| text.parse().ok()).collect(),
        }
    }

    fn repeated<'a>(texts: &[&'a str], times: usize) -> Vec<&'a str> {
        texts.iter().cycle().take(texts.len() * times).copied().collect()
    }

    #[test]
    fn equal_values_count_beyond_chance_only() {
        let ids: Vec<String> = (0..50).map(|id| id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let seen = Seen::of(&values(&ids), &values(&ids));
        assert!(seen.by_value > 0.99 && seen.alike == 50);
        let constant = vec!["EUR"; 50];
        let seen = Seen::of(&values(&constant), &values(&constant));
        assert!(seen.by_value == 0.0 && seen.constant);
    }

    #[test]
    fn a_handful_of_rows_is_enough_where_all_of_them_meet() {
        let column = |name: &str| Column {
            path: vec![name.to_owned()],
            described: "text".to_owned(),
            comparison: crate::normalise::Comparison::Text,
        };
        let (one, other) = (column("p"), column("q"));
        let judged = |seen: &Seen| {
            let both = Sides { authority: &one, projection: &other };
            judge(Sides { authority: 0, projection: 0 }, both, seen).map(|(_, pair)| pair.alike)
        };
        let towns = ["Rome", "Oslo", "Bern", "Prague", "Kiel"];
        assert_eq!(judged(&Seen::of(&values(&towns), &values(&towns))), Some(5));
        let others = ["Rome", "Bern", "Oslo", "Kiel", "Prague"];
        assert_eq!(judged(&Seen::of(&values(&towns), &values(&others))), None);
        assert_eq!(judged(&Seen::of(&values(&towns[..3]), &values(&towns[..3]))), None);
    }

    #[test]
    fn a_map_of_values_is_seen_where_no_value_is_alike() {
        let one = repeated(&["A", "B", "C", "A", "D"], 20);
        let other = repeated(&["x", "y", "z", "x", "y"], 20);
        let seen = Seen::of(&values(&one), &values(&other));
        assert!(seen.by_map > 0.99 && seen.alike == 0, "{}", seen.by_map);
        let unrelated: Vec<&str> = (0..100).map(|row| ["x", "y", "z"][row * 7 / 3 % 3]).collect();
        let seen = Seen::of(&values(&one), &values(&unrelated));
        assert!(seen.by_map < 0.4, "{}", seen.by_map);
    }

    #[test]
    fn near_numbers_are_a_pair_and_far_ones_are_not() {
        let one: Vec<String> = (0..40).map(|row| format!("{}.123456", row * 10)).collect();
        let other: Vec<String> = (0..40).map(|row| format!("{}.1235", row * 10)).collect();
        let texts = |texts: &[String]| values(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let seen = Seen::of(&texts(&one), &texts(&other));
        assert!(seen.by_nearness > 0.9 && seen.by_value < 0.1, "{}", seen.by_nearness);
    }
}
