//! Holds rows that were read against those that lay in the same place in the last run, by their tags, so that only rows that are
//! new or gone are joined again. It may take equal rows for different ones, where they lie far from where they lay. Different ones
//! it takes for equal only where their tags are, which the sums tell.

use crate::cache::Unit;

/// How far rows are looked for.
const WINDOW: usize = 64;

/// What is kept of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) key_tag: u64,
    pub(super) digest_tag: u64,
    /// The last run agreed with it by its tags alone, or it was only read now.
    pub(super) settled: bool,
}

impl Row {
    fn same(self, other: Self) -> bool {
        self.key_tag == other.key_tag && self.digest_tag == other.digest_tag && self.settled && other.settled
    }
}

/// The rows of a unit, some at a time; `was_candidate` knows them by their numbers. None where there is no unit.
pub(super) fn parts(unit: Option<Unit>, was_candidate: impl Fn(u64) -> bool) -> impl Iterator<Item = Option<Vec<Row>>> {
    const AT_ONCE: usize = 4096;
    let count = unit.as_ref().map_or(1, |unit| unit.key_tags().len());
    let part = move |first: usize| {
        let unit = unit.as_ref()?;
        let row = |index: usize| Row {
            key_tag: u64::from_le_bytes(unit.key_tags()[index]),
            digest_tag: unit.row_tag(index),
            settled: !was_candidate(unit.number(index)),
        };
        Some((first..count.min(first + AT_ONCE)).map(row).collect())
    };
    (0..count).step_by(AT_ONCE).map(part)
}

/// Tells all rows of either edition that have no equal in the other, as far as the order of both tells. None where a part cannot
/// be had.
pub(super) fn differing(
    old: impl Iterator<Item = Option<Vec<Row>>>,
    new: impl Iterator<Item = Option<Vec<Row>>>,
    mut differs: impl FnMut(&[Row]),
) -> Option<()> {
    let (mut old, mut new) = (Edition::of(old), Edition::of(new));
    loop {
        old.fill()?;
        new.fill()?;
        if old.rest().is_empty() || new.rest().is_empty() {
            // Of the other one, nothing has an equal.
            differs(old.rest());
            differs(new.rest());
            if old.ended && new.ended {
                return Some(());
            }
            (old.at, new.at) = (old.rows.len(), new.rows.len());
            continue;
        }
        let behind = |ended: bool| if ended { 0 } else { WINDOW };
        let (old_behind, new_behind) = (behind(old.ended), behind(new.ended));
        // How many rows in a row had no equal near.
        let mut lost = 0;
        while old.rest().len() > old_behind && new.rest().len() > new_behind {
            let (mine, yours) = (old.rest(), new.rest());
            if mine[0].same(yours[0]) {
                (old.at, new.at, lost) = (old.at + 1, new.at + 1, 0);
                continue;
            }
            let near = near(mine, yours, lost);
            let (gone, come) = near.unwrap_or((1, 1));
            lost = if near.is_some() { 0 } else { lost + 1 };
            differs(&mine[..gone]);
            differs(&yours[..come]);
            (old.at, new.at) = (old.at + gone, new.at + come);
        }
    }
}

/// How many rows of either to pass over until both go on alike: rows that are gone, new, or changed.
fn near(old: &[Row], new: &[Row], lost: usize) -> Option<(usize, usize)> {
    /// After so many rows without an equal only now and then.
    const PATIENCE: usize = 64;
    if lost > PATIENCE && !lost.is_multiple_of(PATIENCE) {
        return None;
    }
    let same = |gone: usize, come: usize| {
        let pair = old.get(gone).zip(new.get(come));
        pair.is_some_and(|(old, new)| old.same(*new))
    };
    (1..WINDOW).flat_map(|step| [(step, step), (0, step), (step, 0)]).find(|&(gone, come)| same(gone, come))
}

/// Rows of one part after the other, of which few are held.
struct Edition<I> {
    parts: I,
    rows: Vec<Row>,
    at: usize,
    ended: bool,
}

impl<I: Iterator<Item = Option<Vec<Row>>>> Edition<I> {
    fn of(parts: I) -> Self {
        Self { parts, rows: Vec::new(), at: 0, ended: false }
    }

    fn rest(&self) -> &[Row] {
        &self.rows[self.at..]
    }

    /// Makes sure that as many rows are there as are looked at. None where they cannot be had.
    fn fill(&mut self) -> Option<()> {
        while !self.ended && self.rest().len() <= WINDOW {
            match self.parts.next() {
                Some(part) => {
                    self.rows.drain(..self.at);
                    self.at = 0;
                    self.rows.append(&mut part?);
                }
                None => self.ended = true,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A row of a number and a value.
    fn row(number: u64, value: u64) -> Row {
        Row { key_tag: number, digest_tag: number << 32 | value, settled: true }
    }

    fn shown(rows: &[Row]) -> Vec<(u64, u64, bool)> {
        rows.iter().map(|row| (row.key_tag, row.digest_tag, row.settled)).collect()
    }

    /// The rows that are told to differ, in either edition as often as in both together.
    fn told(old: &[Vec<Row>], new: &[Vec<Row>]) -> Vec<(u64, u64, bool)> {
        let parts = |parts: &[Vec<Row>]| parts.iter().cloned().map(Some).collect::<Vec<_>>().into_iter();
        let mut told = Vec::new();
        differing(parts(old), parts(new), |rows| told.extend(shown(rows))).unwrap();
        told.sort_unstable();
        told
    }

    fn in_parts(rows: &[Row], size: usize) -> Vec<Vec<Row>> {
        rows.chunks(size).map(<[Row]>::to_vec).collect()
    }

    /// One edit at a place: the value changes, some rows go, some come, two change places.
    fn edit(rows: &mut Vec<Row>, (kind, at, count): (u8, usize, usize)) {
        let at = at % rows.len().max(1);
        let many = count.min(rows.len().saturating_sub(at));
        match kind {
            0 => rows[at..at + many].iter_mut().for_each(|row| row.digest_tag += 1),
            1 => drop(rows.drain(at..at + many)),
            2 => drop(rows.splice(at..at, (0..count as u64).map(|new| row(1_000_000 + new, new)))),
            3 => drop(rows.splice(at..at, vec![row(at as u64, 0); count])),
            _ => rows[at..at + many].reverse(),
        }
    }

    proptest! {
        #[test]
        fn what_is_not_told_is_the_same_in_both(
            length in 0..600_usize,
            edits in prop::collection::vec((0..5_u8, 0..600_usize, 0..90_usize), 0..5),
            candidates in prop::collection::vec(0..600_usize, 0..4),
            sizes in (1..300_usize, 1..300_usize),
        ) {
            let mut old: Vec<Row> = (0..length as u64).map(|number| row(number, 7)).collect();
            let mut new = old.clone();
            edits.into_iter().for_each(|one| edit(&mut new, one));
            for at in candidates {
                old.iter_mut().skip(at).take(1).for_each(|row| row.settled = false);
            }
            let told = told(&in_parts(&old, sizes.0), &in_parts(&new, sizes.1));
            // Both together, sorted, without what is told: each row is there in pairs, one of either edition, and was no candidate.
            let (shown_old, shown_new) = (shown(&old), shown(&new));
            let (mut all, mut told) = ([&shown_old[..], &shown_new].concat(), told.into_iter().peekable());
            all.sort_unstable();
            all.retain(|row| told.next_if_eq(row).is_none());
            prop_assert!(told.next().is_none());
            for same in all.chunk_by(|one, other| one == other) {
                let count = |rows: &[(u64, u64, bool)]| rows.iter().filter(|row| **row == same[0]).count();
                let pairs = same.len() / 2;
                prop_assert!(same[0].2 && same.len() % 2 == 0 && pairs <= count(&shown_old) && pairs <= count(&shown_new));
            }
        }
    }

    #[test]
    fn only_what_was_edited_is_told() {
        let old: Vec<Row> = (0..5000).map(|number| row(number, 7)).collect();
        let of = |edit: fn(&mut Vec<Row>)| {
            let mut new = old.clone();
            edit(&mut new);
            told(&in_parts(&old, 700), &in_parts(&new, 900)).len()
        };
        assert_eq!(of(|_| {}), 0);
        assert_eq!(of(|rows| [3, 700, 701, 4999].iter().for_each(|at| rows[*at].digest_tag += 1)), 8);
        assert_eq!(of(|rows| drop(rows.drain(650..700))), 50);
        assert_eq!(of(|rows| drop(rows.splice(0..0, (0..60).map(|new| row(9000 + new, 0))))), 60);
        assert_eq!(of(|rows| rows.push(row(9000, 0))), 1);
        assert_eq!(of(|rows| rows.truncate(1000)), 4000);
        // As many rows changed as nothing is looked for that far: the rows behind lie where they lay.
        assert_eq!(of(|rows| rows[100..400].iter_mut().for_each(|row| row.digest_tag += 1)), 600);
    }

    #[test]
    fn a_part_that_cannot_be_had_is_told() {
        let part = || Some(vec![row(1, 1)]);
        assert!(differing([part(), None].into_iter(), [part()].into_iter(), |_| {}).is_none());
        assert!(differing([part()].into_iter(), [None].into_iter(), |_| {}).is_none());
        assert!(differing(std::iter::empty(), [part(), None].into_iter(), |_| {}).is_none());
    }
}
