//! One control total: rows and exact sums by group and side, held within a cap that does not depend on the order of rows.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::audit::{Figure, GroupFigures, SumFigure, TotalFigures};
use crate::contract::Total;
use crate::normalise::{Binding, CanonicalBatch, CanonicalColumn, Comparison, ExactSum, canonical_number, write_named};
use crate::sides::{Side, Sides};

/// One control total.
pub(super) struct Gauge {
    total: Total,
    /// Or why it cannot be computed.
    bound: Result<Bound, String>,
    groups: Mutex<Groups>,
}

/// A total's attributes as their places in the binding.
pub(super) struct Bound {
    by: Vec<usize>,
    sum: Vec<usize>,
    /// How many groups are held at most.
    most_groups: usize,
    /// How many bytes their names may take.
    most_bytes: usize,
}

/// The groups of a total, or that there are too many.
#[derive(Default)]
struct Groups {
    held: BTreeMap<String, Sides<Option<Sums>>>,
    /// Of their names.
    bytes: usize,
    too_many: bool,
}

/// Rows and sums of a group on one side.
#[derive(Clone)]
struct Sums {
    rows: u64,
    sums: Vec<Sum>,
}

#[derive(Clone, Default)]
struct Sum {
    added: ExactSum,
    nulls: u64,
    unsummed: u64,
}

impl Bound {
    /// How many groups a total may have.
    const MOST_GROUPS: usize = 1 << 16;
    /// How many bytes names and sums of all totals of a contract may take, half for each; whatever the memory limit, so that a
    /// total is computed or not by its data alone.
    const MOST_BYTES: usize = 32 << 20;

    pub(super) fn new(by: Vec<usize>, sum: Vec<usize>, binding: &Binding, totals: usize) -> Self {
        // What the sums of both sides take at most.
        let width = |index: &usize| match binding.attributes[*index].comparison {
            Comparison::Float | Comparison::Number => 512,
            _ => 256,
        };
        let each = 128 + sum.iter().map(width).sum::<usize>();
        let share = Self::MOST_BYTES / 2 / totals.max(1);
        Self { by, sum, most_groups: (share / each).min(Self::MOST_GROUPS), most_bytes: share }
    }
}

impl Gauge {
    pub(super) fn new(total: Total, bound: Result<Bound, String>) -> Self {
        Self { total, bound, groups: Mutex::default() }
    }

    /// Adds the rows of one batch.
    pub(super) fn see(&self, binding: &Binding, side: Side, batch: &CanonicalBatch) {
        let Ok(bound) = &self.bound else { return };
        if self.groups().too_many {
            return;
        }
        let (mut places, mut found) = (FxHashMap::<String, usize>::default(), Vec::<(String, Sums)>::new());
        let mut name = String::new();
        for row in 0..batch.rows {
            name.clear();
            write_named(binding, batch, &bound.by, row, &mut name);
            let place = places.get(name.as_str()).copied().unwrap_or_else(|| {
                places.insert(name.clone(), found.len());
                found.push((name.clone(), Sums::none(bound.sum.len())));
                found.len() - 1
            });
            let group = &mut found[place].1;
            group.rows += 1;
            for (sum, &index) in group.sums.iter_mut().zip(&bound.sum) {
                sum.add(&binding.attributes[index].comparison, &batch.columns[index], row);
            }
        }
        let mut groups = self.groups();
        for (name, sums) in found {
            groups.add(bound, name, side, sums);
        }
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        *self.groups() = Groups::default();
    }

    /// What was found.
    pub(super) fn figures(&self) -> TotalFigures {
        let total = &self.total;
        let mut figures = TotalFigures {
            name: total.name.clone(),
            by: total.by.clone(),
            sum: total.sum.clone(),
            severity: total.severity,
            not_computed: None,
            groups: 0,
            unbalanced: 0,
            worst: Vec::new(),
            whole: Sides::default(),
        };
        let groups = self.groups();
        match &self.bound {
            Err(why) => figures.not_computed = Some(why.clone()),
            Ok(bound) if groups.too_many => {
                figures.not_computed = Some(format!(
                    "it has more than {} groups, or their names take more than {} MiB",
                    bound.most_groups,
                    bound.most_bytes >> 20
                ));
            }
            Ok(bound) => groups.tell(bound.sum.len(), &mut figures),
        }
        figures
    }
}

impl Groups {
    fn add(&mut self, bound: &Bound, name: String, side: Side, sums: Sums) {
        if self.too_many {
            return;
        }
        if let Some(held) = self.held.get_mut(&name) {
            match held.get_mut(side) {
                Some(held) => held.merge(&sums),
                none => *none = Some(sums),
            }
            return;
        }
        self.bytes += name.len();
        if self.held.len() == bound.most_groups || self.bytes > bound.most_bytes {
            *self = Self { too_many: true, ..Self::default() };
            return;
        }
        let mut held = Sides::default();
        *held.get_mut(side) = Some(sums);
        self.held.insert(name, held);
    }

    /// How many of the groups that do not balance are told.
    const TOLD: usize = 10;

    fn tell(&self, sums: usize, figures: &mut TotalFigures) {
        let mut whole = Sides::from_fn(|_| Sums::none(sums));
        let mut unbalanced = Vec::new();
        for (name, sides) in &self.held {
            let sides = sides.as_ref().map(|_, held| held.clone().unwrap_or_else(|| Sums::none(sums)));
            for (side, held) in sides.iter() {
                whole.get_mut(side).merge(held);
            }
            if !sides.authority.balances(&sides.projection) {
                let differences: Vec<ExactSum> = sides
                    .authority
                    .sums
                    .iter()
                    .zip(&sides.projection.sums)
                    .map(|(one, other)| one.added.less(&other.added))
                    .collect();
                unbalanced.push((differences, name, sides));
            }
        }
        figures.groups = self.held.len() as u64;
        figures.unbalanced = unbalanced.len() as u64;
        // The sort is stable, so equals stay in the order of their names.
        unbalanced.sort_by(|(one, _, of_one), (other, _, of_other)| {
            let rows = |sides: &Sides<Sums>| sides.authority.rows.abs_diff(sides.projection.rows);
            let sums = one.iter().zip(other).map(|(one, other)| other.compare_magnitudes(one));
            sums.fold(Ordering::Equal, Ordering::then).then(rows(of_other).cmp(&rows(of_one)))
        });
        figures.worst = unbalanced
            .into_iter()
            .take(Self::TOLD)
            .map(|(differences, name, sides)| GroupFigures {
                group: name.clone(),
                sides: sides.as_ref().map(|_, sums| sums.figure()),
                differences: differences.iter().map(ToString::to_string).collect(),
            })
            .collect();
        figures.whole = whole.as_ref().map(|_, sums| sums.figure());
    }
}

impl Sums {
    fn none(sums: usize) -> Self {
        Self { rows: 0, sums: vec![Sum::default(); sums] }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (sum, other) in self.sums.iter_mut().zip(&other.sums) {
            sum.added.merge(&other.added);
            sum.nulls += other.nulls;
            sum.unsummed += other.unsummed;
        }
    }

    fn balances(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Sum, &Sum)| {
            (one.nulls, one.unsummed) == (other.nulls, other.unsummed) && one.added == other.added
        };
        self.rows == other.rows && self.sums.iter().zip(&other.sums).all(alike)
    }

    fn figure(&self) -> Figure {
        let sum = |sum: &Sum| SumFigure { sum: sum.added.to_string(), nulls: sum.nulls, unsummed: sum.unsummed };
        Figure { rows: self.rows, sums: self.sums.iter().map(sum).collect() }
    }
}

impl Sum {
    fn add(&mut self, comparison: &Comparison, column: &CanonicalColumn, row: usize) {
        let faulty = || column.fault(row).is_some();
        match canonical_number(comparison, column, row) {
            Some(number) => self.unsummed += u64::from(!self.added.add(&number)),
            None if faulty() => self.unsummed += 1,
            None => self.nulls += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(most_groups: usize, most_bytes: usize, names: &[(Side, &str)]) -> (bool, usize) {
        let bound = Bound { by: vec![0], sum: Vec::new(), most_groups, most_bytes };
        let mut groups = Groups::default();
        for (side, name) in names {
            groups.add(&bound, (*name).to_owned(), *side, Sums { rows: 1, sums: Vec::new() });
        }
        (groups.too_many, groups.held.len())
    }

    #[test]
    fn whether_there_are_too_many_groups_does_not_depend_on_their_order() {
        use Side::{Authority, Projection};
        let mut names = [(Authority, "a"), (Projection, "b"), (Authority, "b"), (Projection, "a"), (Projection, "ccc")];
        for _ in 0..names.len() {
            names.rotate_left(1);
            assert_eq!(told(3, 100, &names), (false, 3), "{names:?}");
            assert_eq!(told(2, 100, &names), (true, 0), "{names:?}");
            assert_eq!(told(3, 5, &names), (false, 3), "{names:?}");
            assert_eq!(told(3, 4, &names), (true, 0), "{names:?}");
        }
    }

    #[test]
    fn the_worst_group_is_the_one_whose_first_sum_is_furthest_off() {
        let sum = |text: &str| {
            let mut sum = Sum::default();
            assert!(sum.added.add(&crate::normalise::Number::parse(text, '.').expect("a number")));
            sum
        };
        let sums = |rows: u64, first: &str, second: &str| Some(Sums { rows, sums: vec![sum(first), sum(second)] });
        let mut groups = Groups::default();
        for (name, authority, projection) in [
            ("rows", sums(9, "1", "1"), sums(1, "1", "1")),
            ("balanced", sums(9, "1.0", "1"), sums(9, "1", "1.00")),
            ("second", sums(1, "1", "1"), sums(1, "1", "2")),
            ("less", sums(1, "1", "1"), sums(1, "0.5", "900")),
            ("one side", sums(1, "-7", "0"), None),
            ("second too", sums(1, "1", "2"), sums(1, "1", "1")),
        ] {
            groups.held.insert(name.to_owned(), Sides { authority, projection });
        }
        let total = Total { name: "t".to_owned(), by: vec![], sum: vec![], severity: None };
        let mut figures = Gauge::new(total, Err(String::new())).figures();
        groups.tell(2, &mut figures);
        let worst: Vec<&str> = figures.worst.iter().map(|group| group.group.as_str()).collect();
        assert_eq!(worst, ["one side", "less", "second", "second too", "rows"]);
        assert_eq!((figures.groups, figures.unbalanced), (6, 5));
        assert_eq!(figures.whole.authority.rows, 22);
        assert_eq!(figures.worst[1].differences, ["0.5", "-899"]);
    }
}
