//! The order in which repairs are written, so that unique and foreign keys hold at every step: what frees a value comes before
//! what takes it, what is referred to comes before what refers to it. A ring that no order serves is for a person, unless
//! the constraint waits for the end of the transaction.

use std::collections::BTreeMap;

use super::statement::{Cell, Repair, Write};
use super::table::{Foreign, Table};

/// A repair with its table.
pub struct Ordered<'a> {
    /// Its place in the plan.
    pub index: usize,
    /// Its table, by its place among all.
    pub table: usize,
    /// What it does.
    pub repair: &'a Repair,
}

/// The places of the repairs in the order in which they are to be written; those that must share a transaction with the one
/// before them; and those that no order serves, with the reason.
pub struct Order {
    /// In order.
    pub places: Vec<usize>,
    /// Of `places`: must not be parted from the one before.
    pub tied: Vec<bool>,
    /// For a person.
    pub refused: BTreeMap<usize, String>,
}

/// Orders repairs: removals first, from what refers to what is referred to; then, table by table the other way, changes and
/// additions.
#[must_use]
pub fn order(tables: &[Table], repairs: &[Ordered<'_>]) -> Order {
    let ranks = ranks(tables);
    let mut order = Order { places: Vec::new(), tied: Vec::new(), refused: BTreeMap::new() };
    let mut by_rank: Vec<usize> = (0..tables.len()).collect();
    by_rank.sort_by_key(|&table| (ranks[table], table));
    let of = |table: usize, write: Write| {
        repairs.iter().filter(move |one| one.table == table && one.repair.write == write).collect::<Vec<_>>()
    };
    for &table in by_rank.iter().rev() {
        let deletes = of(table, Write::Delete);
        let mut places = by_reference(&tables[table], &deletes, |repair| &repair.seen);
        places.reverse();
        order.extend(places.into_iter().map(|place| deletes[place].index), false);
    }
    for &table in &by_rank {
        updates(&tables[table], &of(table, Write::Update), &mut order);
        let inserts = of(table, Write::Insert);
        let places = by_reference(&tables[table], &inserts, |repair| &repair.wanted);
        order.extend(places.into_iter().map(|place| inserts[place].index), false);
    }
    order
}

impl Order {
    fn extend(&mut self, places: impl Iterator<Item = usize>, tied: bool) {
        for (number, place) in places.enumerate() {
            self.places.push(place);
            self.tied.push(tied && number > 0);
        }
    }
}

/// How far each table is from those that refer to nothing. Tables in a ring have the rank at which it was met.
fn ranks(tables: &[Table]) -> Vec<usize> {
    let mut ranks = vec![0; tables.len()];
    for _ in 0..tables.len() {
        for (place, table) in tables.iter().enumerate() {
            for foreign in &table.foreign {
                let referred = tables.iter().position(|other| other.identity == foreign.refers_to);
                if let Some(referred) = referred.filter(|&referred| referred != place) {
                    ranks[place] = ranks[place].max(ranks[referred] + 1).min(tables.len());
                }
            }
        }
    }
    ranks
}

/// Rows of one table, those that are referred to before those that refer to them.
fn by_reference(table: &Table, repairs: &[&Ordered<'_>], of: impl Fn(&Repair) -> &[Cell]) -> Vec<usize> {
    let own: Vec<&Foreign> = table.foreign.iter().filter(|foreign| foreign.refers_to == table.identity).collect();
    let mut before = vec![Vec::new(); repairs.len()];
    for foreign in own {
        let referred: Option<Vec<usize>> = foreign.referred.iter().map(|name| table.column(name)).collect();
        let Some(referred) = referred else { continue };
        let by_value: BTreeMap<Vec<String>, usize> = repairs
            .iter()
            .enumerate()
            .filter_map(|(place, one)| Some((values(&referred, of(one.repair))?, place)))
            .collect();
        for (place, one) in repairs.iter().enumerate() {
            let parent = values(&foreign.columns, of(one.repair)).and_then(|value| by_value.get(&value).copied());
            before[place].extend(parent.filter(|&parent| parent != place));
        }
    }
    let (mut places, rest) = sorted(&before);
    places.extend(rest);
    places
}

fn values(columns: &[usize], cells: &[Cell]) -> Option<Vec<String>> {
    let value = |column: &usize| {
        let cell = cells.iter().find(|cell| cell.column == *column)?;
        (cell.literal != "NULL").then(|| cell.literal.clone())
    };
    columns.iter().map(value).collect()
}

/// Updates: whoever gives a unique value up comes before whoever takes it.
fn updates(table: &Table, repairs: &[&Ordered<'_>], order: &mut Order) {
    let mut before = vec![Vec::new(); repairs.len()];
    let mut waits = vec![true; repairs.len()];
    for unique in &table.unique {
        let freed: BTreeMap<Vec<String>, usize> = repairs
            .iter()
            .enumerate()
            .filter_map(|(place, one)| {
                let changes = one.repair.wanted.iter().any(|cell| unique.columns.contains(&cell.column));
                Some((changes.then(|| one.repair.unique(unique, &one.repair.seen)).flatten()?, place))
            })
            .collect();
        for (place, one) in repairs.iter().enumerate() {
            let taken = one.repair.unique(unique, &one.repair.wanted);
            if let Some(&giver) = taken.and_then(|value| freed.get(&value)).filter(|&&giver| giver != place) {
                before[place].push(giver);
                waits[place] &= table.waits(unique);
                waits[giver] &= table.waits(unique);
            }
        }
    }
    let (places, rest) = sorted(&before);
    order.extend(places.into_iter().map(|place| repairs[place].index), false);
    if rest.iter().all(|&place| waits[place]) {
        order.extend(rest.into_iter().map(|place| repairs[place].index), true);
        return;
    }
    let why = "it takes a unique value that another row of the plan gives up only when it gets this one's in turn, and the \
               constraint does not wait for the end of a transaction";
    order.refused.extend(rest.into_iter().map(|place| (repairs[place].index, why.to_owned())));
}

/// Places in an order in which each comes after those before it, and the places of rings and what waits for them.
fn sorted(before: &[Vec<usize>]) -> (Vec<usize>, Vec<usize>) {
    let mut waiting: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut after = vec![Vec::new(); before.len()];
    for (place, all) in before.iter().enumerate() {
        all.iter().for_each(|&first| after[first].push(place));
    }
    let mut ready: std::collections::BTreeSet<usize> = (0..before.len()).filter(|&place| waiting[place] == 0).collect();
    let mut places = Vec::with_capacity(before.len());
    while let Some(place) = ready.pop_first() {
        places.push(place);
        for &next in &after[place] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert(next);
            }
        }
    }
    (places, (0..before.len()).filter(|&place| waiting[place] > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_comes_first_and_rings_are_left() {
        assert_eq!(sorted(&[vec![1], vec![2], vec![]]), (vec![2, 1, 0], vec![]));
        assert_eq!(sorted(&[vec![1], vec![0], vec![]]), (vec![2], vec![0, 1]));
        assert_eq!(sorted(&[vec![], vec![], vec![]]), (vec![0, 1, 2], vec![]));
    }
}
