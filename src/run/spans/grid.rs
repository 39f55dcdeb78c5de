//! How the leading number of the key is cut: what can be read by ranges, the segments that are not kept of an earlier run, and
//! what of it is left. It reads no row.

use super::super::input::Inputs;
use super::super::pushdown::remote;
use super::super::{Batch, Halt};
use crate::audit::{Kept, Range, Reading};
use crate::contract::System;
use crate::database::Native;
use crate::digest::Sum;
use crate::normalise::{BoundAttribute, Comparison};
use crate::segment::{self, Kernel, covers, statement, uncovered};
use crate::sides::{Side, Sides};
use crate::source::{Error, Remote};

/// Rows that a segment is meant to have.
const SEGMENT_ROWS: u64 = 512;
/// Rows that a span is meant to have.
const SPAN_ROWS: u64 = 16_384;
/// The most segments, besides those that what is kept cuts off.
const SEGMENTS: u64 = 1 << 16;
/// Pieces of a span that one statement names.
const NAMED: usize = 64;
/// Leading numbers beyond these are not computed with.
const FARTHEST: i64 = 1 << 62;

/// A key whose leading number cuts both sides' tables into ranges.
pub(super) struct Axis {
    /// Its column in each database.
    columns: Sides<Option<String>>,
    /// The least and the greatest number of the databases.
    extent: (i64, i64),
    /// Rows of the larger side, about.
    rows: u64,
    /// Rows that a segment, and that a span is meant to have.
    each: (u64, u64),
}

impl Axis {
    /// Learns what keys there are; or why all rows are read as ever.
    pub(super) fn of(batch: &Batch<'_>, inputs: &Inputs) -> Result<Result<Self, String>, Halt> {
        let keys = &inputs.binding.attributes[..inputs.binding.key_count];
        if let Some((key, because)) = keys.iter().find_map(|key| Some((key, uncovered(key)?))) {
            return Ok(Err(format!("key `{}`: {because}", key.name)));
        }
        if super::is_personal(batch, inputs) {
            return Ok(Err(format!(
                "`{}`, which leads the key, is personal, and ranges of it are not kept",
                keys[0].name
            )));
        }
        if batch.contract.null_keys_match && keys.len() > 1 {
            return Ok(Err("rows with NULL in a key are paired, which no index vouches for".to_owned()));
        }
        let mut of_key = inputs.binding.clone();
        of_key.attributes.truncate(of_key.key_count);
        let whole =
            matches!(keys[0].comparison, Comparison::Integer | Comparison::Decimal { scale: 0, precision: 0..=38 });
        if !whole || Kernel::new(&of_key).is_none() {
            return Ok(Err(format!("`{}`, which leads the key, is no whole number", keys[0].name)));
        }
        let (mut columns, mut extent, mut is_unique) = (Sides::default(), None::<(i64, i64)>, false);
        for side in Side::BOTH {
            let told = match of_side(batch, inputs, side).map_err(|error| Halt::Source { side, error })? {
                Ok(Some(told)) => told,
                Ok(None) => continue,
                Err(because) => return Ok(Err(because)),
            };
            is_unique |= told.is_unique;
            if let Some((low, high)) = told.ends {
                extent = Some(extent.map_or((low, high), |(least, greatest)| (low.min(least), high.max(greatest))));
            }
            *columns.get_mut(side) = Some(told.sql);
        }
        let Some(extent) = extent else { return Ok(Err("no database of it holds a row".to_owned())) };
        if !is_unique {
            return Ok(Err("no index of a database vouches that a key occurs once".to_owned()));
        }
        Ok(Ok(Self { columns, extent, rows: rows(inputs), each: each(batch) }))
    }

    /// Cuts what is not kept.
    pub(super) fn grid(self, kept: &Kept) -> Grid {
        let Self { columns, extent, rows, each: (of_segment, of_span) } = self;
        let first = kept.ranges.first().map_or(extent.0, |range| range.low.min(extent.0));
        let last = kept.ranges.last().map_or(extent.1, |range| range.high.max(extent.1));
        let extent = (first, last);
        let gaps = gaps(extent, &kept.ranges);
        let width: u128 = gaps.iter().map(|(low, high)| wide(*low, *high)).sum();
        let rows = rows.saturating_sub(kept.rows()).max(1);
        let wanted = rows.div_ceil(of_segment).clamp(1, SEGMENTS);
        let step = width.div_ceil(u128::from(wanted)).max(1);
        let segments: Vec<(i64, i64)> = gaps.into_iter().flat_map(|gap| cut(gap, step)).collect();
        let of_one = (rows / segments.len().max(1) as u64).max(1);
        let each_span = usize::try_from(of_span / of_one).unwrap_or(1).clamp(1, NAMED);
        Grid { columns, extent, rows, segments, step, each_span }
    }
}

/// The segments that are read.
pub(super) struct Grid {
    columns: Sides<Option<String>>,
    /// The least and the greatest number that is asked about or kept.
    pub(super) extent: (i64, i64),
    /// Rows of the larger side that are not kept, about.
    pub(super) rows: u64,
    /// First and last number of each, in ascending order.
    pub(super) segments: Vec<(i64, i64)>,
    /// Numbers that a segment has at most.
    step: u128,
    /// Segments of a span.
    pub(super) each_span: usize,
}

impl Grid {
    /// What is read together.
    pub(super) fn spans(&self) -> impl Iterator<Item = &[(i64, i64)]> {
        self.segments.chunks(self.each_span)
    }

    /// Holds for the rows of some ranges.
    pub(super) fn condition(&self, side: Side, ranges: &[(i64, i64)]) -> String {
        let number = self.columns.get(side).as_deref().expect("only a database is asked");
        let mut joined = Vec::new();
        ranges.iter().for_each(|range| segment::Chosen::join(&mut joined, *range));
        let one = |(low, high): &(i64, i64)| format!("{number} BETWEEN {low} AND {high}");
        joined.iter().map(one).collect::<Vec<_>>().join(" OR ")
    }

    /// Conditions that hold, together, for each row once that is left.
    pub(super) fn conditions(&self, side: Side, left: &[(i64, i64)]) -> Vec<String> {
        let Some(number) = self.columns.get(side) else { return Vec::new() };
        let pieces: Vec<(i64, i64)> = left.iter().flat_map(|range| cut(*range, self.step)).collect();
        let chunks = pieces.chunks(NAMED).map(|ranges| self.condition(side, ranges));
        chunks.chain([format!("{number} IS NULL")]).collect()
    }

    /// What no range holds.
    pub(super) fn left(&self, ranges: &[Range]) -> Vec<(i64, i64)> {
        gaps(self.extent, ranges)
    }
}

/// What the database of a side tells of the key.
struct Told {
    /// The column of its leading number.
    sql: String,
    /// The least and the greatest number, where there is a row.
    ends: Option<(i64, i64)>,
    /// No key is twice there.
    is_unique: bool,
}

/// Asks the database of a side, if one serves it; or says why all rows are read.
fn of_side(batch: &Batch<'_>, inputs: &Inputs, side: Side) -> Result<Result<Option<Told>, String>, Error> {
    let keys = &inputs.binding.attributes[..inputs.binding.key_count];
    let (opened, name) = (&inputs.sides.get(side).opened, &keys[0].name);
    let Some(asked) = remote(opened) else {
        let at_once = || Err(format!("the {side} was read at once, or its database serves no ranges"));
        return Ok(if opened.files.is_empty() { at_once() } else { Ok(None) });
    };
    let indices: Vec<usize> = keys.iter().map(|key| key.columns.get(side).index).collect();
    let told = |key: &BoundAttribute| {
        let (sql, native) = asked.column(key.columns.get(side).index)?;
        covers(native, &key.comparison).then_some((sql, native))
    };
    let Some((sql, Native::Integer)) = told(&keys[0]) else {
        return Ok(Err(format!("`{name}`, which leads the key, is no whole number in the {side}")));
    };
    if asked.is_fickle() || !asked.is_ordered(indices[0])? {
        return Ok(Err(format!("no index of the {side} finds ranges of `{name}`")));
    }
    if batch.part().is_none() && !asked.is_clustered(indices[0])? {
        return Ok(Err(format!("rows of the {side} lie in another order than `{name}`, so that ranges cost more")));
    }
    let is_unique = keys.iter().all(|key| told(key).is_some()) && asked.is_unique(&indices)?;
    let ends = match ends(asked, &sql)? {
        Ends::None => None,
        Ends::Far => return Ok(Err(format!("numbers of `{name}` lie too far apart"))),
        Ends::Some(low, high) => Some((low, high)),
    };
    Ok(Ok(Some(Told { sql, ends, is_unique })))
}

/// The least and the greatest number.
enum Ends {
    None,
    Far,
    Some(i64, i64),
}

fn ends(asked: &dyn Remote, sql: &str) -> Result<Ends, Error> {
    let column = statement::Column { sql: sql.to_owned(), native: Native::Integer, form: segment::Form::Number };
    let system: System = asked.system();
    let table =
        statement::Table { system, from: asked.from(), filter: asked.filter(), columns: vec![column], key_count: 1 };
    let lines = asked.ask(&table.extent())?;
    let number = |index: usize| -> Option<i128> { lines.first()?.get(index)?.as_ref()?.parse().ok() };
    let within = |number: i128| i64::try_from(number).ok().filter(|it| (-FARTHEST..=FARTHEST).contains(it));
    let (Some(low), Some(high)) = (number(0), number(1)) else { return Ok(Ends::None) };
    Ok(within(low).zip(within(high)).map_or(Ends::Far, |(low, high)| Ends::Some(low, high)))
}

/// Rows of the larger side, about.
pub(super) fn rows(inputs: &Inputs) -> u64 {
    let of_side = |side: Side| -> u64 {
        let units = inputs.sides.get(side).opened.units.iter();
        units.map(|unit| unit.rows().unwrap_or(unit.bytes() / 100)).sum()
    };
    of_side(Side::Authority).max(of_side(Side::Projection))
}

/// Rows that a segment and a span are meant to have: fewer where few may be read in a second.
fn each(batch: &Batch<'_>) -> (u64, u64) {
    let rate = super::limits(batch.contract).filter_map(|limits| limits.max_rows_per_second).min();
    let most = rate.map_or(u64::MAX, |rate| (rate / 4).max(1));
    let of_segment = batch.settings.tuning.segment_rows.unwrap_or(SEGMENT_ROWS).max(1);
    (of_segment.min(most), SPAN_ROWS.min(most))
}

/// How many numbers there are from one to another.
fn wide(low: i64, high: i64) -> u128 {
    u128::try_from(i128::from(high) - i128::from(low) + 1).unwrap_or(0)
}

/// Cuts a range into pieces of so many numbers; the last one may have fewer.
fn cut((low, high): (i64, i64), step: u128) -> impl Iterator<Item = (i64, i64)> {
    let step = i128::try_from(step).unwrap_or(i128::MAX / 4).max(1);
    let (low, high) = (i128::from(low), i128::from(high));
    let count = (high - low) / step + 1;
    let bound = move |number: i128| i64::try_from(number.min(high)).unwrap_or(i64::MAX);
    (0..count).map(move |index| (bound(low + index * step), bound(low + (index + 1) * step - 1)))
}

/// What ascending ranges leave of an extent.
fn gaps((low, high): (i64, i64), ranges: &[Range]) -> Vec<(i64, i64)> {
    let (mut gaps, mut next) = (Vec::new(), i128::from(low));
    for range in ranges {
        if i128::from(range.low) > next {
            gaps.push((i64::try_from(next).unwrap_or(i64::MAX), range.low - 1));
        }
        next = next.max(i128::from(range.high) + 1);
    }
    if let Ok(next) = i64::try_from(next)
        && next <= high
    {
        gaps.push((next, high));
    }
    gaps
}

/// What was kept and what was found now, in order; ranges of one reading that touch become one.
pub(super) fn merged(before: Kept, own: Reading, found: Vec<Range>) -> Kept {
    let Kept { mut readings, mut ranges, inputs } = before;
    if found.is_empty() {
        return Kept { readings, ranges, inputs };
    }
    let reading = readings.len();
    let rows = found.iter().map(|range| range.rows).sum();
    readings.push(Reading { rows: Sides::from_fn(|_| rows), ..own });
    ranges.extend(found.into_iter().map(|range| Range { reading, ..range }));
    ranges.sort_unstable_by_key(|range| range.low);
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.reading == range.reading && last.high.checked_add(1) == Some(range.low) => {
                last.high = range.high;
                last.rows += range.rows;
                last.sum = last.sum.zip(range.sum).map(|(one, other)| {
                    let mut sum = Sum::from_bytes(&one);
                    sum += Sum::from_bytes(&other);
                    sum.to_bytes()
                });
            }
            _ => joined.push(range),
        }
    }
    Kept { readings, ranges: joined, inputs }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: i64, high: i64, rows: u64, reading: usize) -> Range {
        Range { low, high, rows, sum: Some([u8::try_from(rows).unwrap(); 32]), reading }
    }

    fn axis(extent: (i64, i64), rows: u64, each: (u64, u64)) -> Axis {
        Axis { columns: Sides::from_fn(|_| Some("id".to_owned())), extent, rows, each }
    }

    #[test]
    fn segments_and_what_is_kept_cover_every_number_once() {
        let far = (-FARTHEST, FARTHEST);
        for (extent, kept, rows) in [
            ((1, 10_000), vec![], 10_000),
            ((1, 10_000), vec![range(1, 5000, 5000 % 256, 0), range(7000, 20_000, 9, 0)], 10_000),
            ((5, 5), vec![], 1),
            ((5, 5), vec![range(4, 6, 1, 0)], 1),
            ((1, 100), vec![range(-50, -40, 3, 0)], 4),
            (far, vec![range(0, 0, 1, 0)], 1 << 40),
        ] {
            let kept = Kept { readings: vec![Reading::default()], ranges: kept, ..Kept::default() };
            let grid = axis(extent, rows, (512, 16_384)).grid(&kept);
            let mut all: Vec<(i64, i64)> = kept.ranges.iter().map(|range| (range.low, range.high)).collect();
            all.extend(&grid.segments);
            all.sort_unstable();
            assert_eq!((all[0].0, all[all.len() - 1].1), grid.extent, "{extent:?}");
            assert!(grid.extent.0 <= extent.0 && extent.1 <= grid.extent.1);
            assert!(all.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{extent:?}");
            assert!(all.iter().all(|(low, high)| low <= high));
            assert!(grid.segments.len() as u64 <= SEGMENTS + 2);
            assert_eq!(grid.spans().map(<[_]>::len).sum::<usize>(), grid.segments.len());
        }
    }

    #[test]
    fn what_is_left_is_asked_for_once() {
        let grid = axis((1, 1000), 1000, (100, 1000)).grid(&Kept::default());
        assert_eq!((grid.segments.len(), grid.segments[0]), (10, (1, 100)));
        let left = grid.left(&[range(1, 100, 1, 0), range(201, 1000, 1, 0)]);
        assert_eq!(left, [(101, 200)]);
        assert_eq!(grid.conditions(Side::Projection, &left), ["id BETWEEN 101 AND 200", "id IS NULL"]);
        assert_eq!(grid.left(&[range(1, 1000, 1, 0)]), []);
    }

    #[test]
    fn ranges_of_one_reading_that_touch_become_one() {
        let before = Kept {
            readings: vec![Reading { rows: Sides::from_fn(|_| 2), ..Reading::default() }],
            ranges: vec![range(11, 20, 2, 0)],
            ..Kept::default()
        };
        let found = vec![range(31, 40, 3, 0), range(1, 10, 4, 0), range(21, 30, 5, 0)];
        let own = Reading { run_id: "b".to_owned(), ..Reading::default() };
        let all = merged(before, own, found);
        assert_eq!(all.broken(), None);
        assert_eq!((all.rows(), all.readings.len(), all.readings[1].rows.authority), (14, 2, 12));
        assert_eq!(
            all.ranges,
            [range(1, 10, 4, 1), range(11, 20, 2, 0), Range { sum: Some([8; 32]), ..range(21, 40, 8, 1) }]
        );
    }
}
