//! Tests of the join by tags, and of records in memory and spilled.

use std::sync::Mutex;

use proptest::prelude::*;

use super::places::Places;
use super::*;
use crate::sides::Sides;

/// A spill that lies in memory.
#[derive(Default)]
struct Heap(Mutex<Vec<u8>>);

impl Spill for Heap {
    fn write(&self, bytes: &[u8]) -> io::Result<Extent> {
        let mut all = self.0.lock().unwrap();
        let extent = Extent { offset: all.len() as u64, length: bytes.len() as u64 };
        all.extend_from_slice(bytes);
        Ok(extent)
    }

    fn read(&self, extent: Extent) -> io::Result<Vec<u8>> {
        let start = usize::try_from(extent.offset).unwrap();
        Ok(self.0.lock().unwrap()[start..start + usize::try_from(extent.length).unwrap()].to_vec())
    }
}

/// Small numbers stand for tags that differ in the bits that are kept.
fn record(key: u64, row_tag: u64, row: u64) -> Record {
    Record::new(key << 38, row_tag << 40, 0, Position::new(0, row, true))
}

fn records(tags: &[(u64, u64)]) -> Vec<Record> {
    tags.iter().zip(0..).map(|(&(key, row), number)| record(key, row, number)).collect()
}

const KEYED: JoinRules = JoinRules { multiset: false, scoped: false };

/// Joins, and tells what agrees and the candidate rows of each side.
fn joined(authority: &[(u64, u64)], projection: &[(u64, u64)], rules: JoinRules) -> (u64, Vec<u64>, Vec<u64>) {
    let joined = join(Sides { authority: records(authority), projection: records(projection) }, rules);
    let rows = |positions: &[Position]| {
        let mut rows: Vec<u64> = positions.iter().map(|position| position.row()).collect();
        rows.sort_unstable();
        rows
    };
    (joined.agree, rows(&joined.candidates.authority), rows(&joined.candidates.projection))
}

#[test]
fn a_position_keeps_unit_row_and_scope() {
    for (unit, row, in_scope) in [(0, 0, false), (5, 7, true), (Position::UNITS - 1, Position::ROWS - 1, true)] {
        let position = Position::new(unit, row, in_scope);
        assert_eq!((position.unit(), position.row(), position.in_scope()), (unit, row, in_scope));
    }
}

#[test]
fn only_single_rows_of_equal_tags_agree() {
    assert_eq!(joined(&[(1, 10), (2, 20)], &[(2, 20), (1, 10)], KEYED), (2, vec![], vec![]));
    assert_eq!(joined(&[(1, 10)], &[(1, 11)], KEYED), (0, vec![0], vec![0]));
    assert_eq!(joined(&[(1, 10)], &[(2, 10)], KEYED), (0, vec![0], vec![0]));
}

#[test]
fn a_key_twice_on_both_sides_never_agrees_by_its_tags() {
    assert_eq!(joined(&[(1, 10), (1, 10)], &[(1, 10), (1, 10)], KEYED), (0, vec![0, 1], vec![0, 1]));
}

#[test]
fn without_a_key_equal_rows_pair_as_often_as_both_sides_have_them() {
    let rules = JoinRules { multiset: true, ..KEYED };
    assert_eq!(joined(&[(1, 10), (1, 10)], &[(1, 10), (1, 10)], rules), (2, vec![], vec![]));
    assert_eq!(joined(&[(1, 10), (1, 10)], &[(1, 10)], rules), (0, vec![0, 1], vec![0]));
    assert_eq!(joined(&[(1, 10), (1, 11)], &[(1, 10), (1, 10)], rules), (0, vec![0, 1], vec![0, 1]));
}

#[test]
fn a_record_tells_keys_rows_and_positions_apart() {
    let at = |key_tag, row_tag, row| Record::new(key_tag, row_tag, 3, Position::new(5, row, true));
    let one = at(1 << 40, 1 << 40, 7);
    assert_eq!((one.position().unit(), one.position().row(), one.position().in_scope()), (5, 7, true));
    assert!(one.same_row(at(1 << 40, 1 << 40, 9)));
    for bit in 17..61 {
        assert_ne!(one.key(), at(1 << 40 ^ 1 << bit, 1 << 40, 7).key(), "bit {bit} of the key tag");
    }
    for bit in 35..64 {
        assert!(!one.same_row(at(1 << 40, 1 << 40 ^ 1 << bit, 7)), "bit {bit} of the row tag");
    }
}

/// What an index says of rows that ask one after the other, as a join says it.
fn asked(first: &[(u64, u64)], second: &[(u64, u64)]) -> (u64, Vec<u64>, Vec<u64>) {
    let (budget, heap) = (Budget::new(u64::MAX), Heap::default());
    let all = Records::new(0, Expected { rows: 0, shelved: true }, u64::MAX, &budget, &heap);
    let mut collector = all.collector();
    records(first).into_iter().for_each(|record| collector.pair(0, record).unwrap());
    collector.finish().unwrap();
    let shelf = Shelf::new(all.keep(0), &mut Scratch::default());
    let index = Index::new(vec![Some(shelf)], &all);
    assert_eq!(index.records(), first.len());
    let mut caught = Vec::new();
    for some in records(second).chunks(3) {
        let mut questions = Questions::default();
        for record in some {
            questions.ask(0, usize::try_from(record.position().row()).unwrap(), *record);
        }
        index.answer(&mut questions, |row| caught.push(u64::from(row)));
    }
    let swept = index.sweep(0).unwrap();
    let let_go = |row: &u64| {
        let key = record(second[usize::try_from(*row).unwrap()].0, 0, 0).key();
        swept.let_go.iter().any(|let_go| let_go.may_be(key))
    };
    let rows = 0..second.len() as u64;
    let second: Vec<u64> = rows.filter(|row| caught.contains(row) || let_go(row)).collect();
    let mut first: Vec<u64> = swept.candidates.iter().map(|position| position.row()).collect();
    first.sort_unstable();
    (swept.agree, first, second)
}

#[test]
fn a_key_is_out_of_scope_where_none_of_its_rows_is_in_it() {
    let rules = JoinRules { scoped: true, ..KEYED };
    let at = |row, in_scope| Record::new(row << 40, row << 40, 0, Position::new(0, row, in_scope));
    let sides = Sides {
        authority: vec![at(1, false), at(2, true), at(3, false)],
        projection: vec![at(1, false), at(2, true), at(3, true)],
    };
    let joined = join(sides, rules);
    assert_eq!((joined.agree, joined.out_of_scope), (1, Sides { authority: 1, projection: 1 }));
    // Equal rows of which only one is in scope are looked at: the sums are of rows in scope.
    assert_eq!(joined.candidates.authority, [Position::new(0, 3, false)]);
    assert_eq!(joined.candidates.projection, [Position::new(0, 3, true)]);
}

proptest! {
    #[test]
    fn records_come_back_from_memory_and_from_the_spill(
        tags in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..200),
        bits in 0_u32..4,
        limit in 0_u64..4_000,
        room in 0_u64..300,
        shelved: bool,
        places in proptest::sample::select(vec![Places::MOST, 0, 3]),
        apart in proptest::sample::select(vec![1, 1_000, 50_000]),
    ) {
        let (budget, heap) = (Budget::new(limit), Heap::default());
        let all = Records::new(bits, Expected { rows: room, shelved }, limit / 2, &budget, &heap).with_places(places);
        let made = |row: u64, (key_tag, row_tag): (u64, u64)| {
            let position = Position::new((row % 3) as usize, row * apart, row % 5 > 0);
            (partition_of(key_tag, bits), Record::new(key_tag, row_tag, bits, position))
        };
        let mut expected = Vec::new();
        for some in tags.chunks(17) {
            let mut collector = all.collector();
            for (row, tags) in (0..).zip(some) {
                let (partition, record) = made(row, *tags);
                collector.pair(partition, record).unwrap();
                expected.push((partition, record));
            }
            collector.finish().unwrap();
        }
        prop_assert!(budget.has(0), "no more is held than the budget has");
        let mut found = Vec::new();
        for partition in 0..1 << bits {
            let resident = all.resident(partition);
            let taken = all.take(partition).unwrap();
            prop_assert!(resident || room > 0 || !taken.is_empty());
            prop_assert!(!resident || taken.is_empty() || places > 0);
            found.extend(taken.into_iter().map(|record| (partition, record)));
        }
        expected.sort_unstable();
        found.sort_unstable();
        prop_assert_eq!(found, expected);
        prop_assert!(budget.has(limit), "all is given back");
    }

    #[test]
    fn an_index_says_what_a_join_says(
        first in proptest::collection::vec((0_u64..12, 0_u64..3), 0..40),
        second in proptest::collection::vec((0_u64..12, 0_u64..3), 0..40),
        step in proptest::sample::select(vec![1, 0x15_5555, 0x20_0001]),
    ) {
        // Keys lie close together, or apart.
        let spread = |all: Vec<(u64, u64)>| -> Vec<(u64, u64)> { all.into_iter().map(|(key, row)| (key * step, row)).collect() };
        let (first, second) = (spread(first), spread(second));
        prop_assert_eq!(asked(&first, &second), joined(&first, &second, KEYED));
    }

    #[test]
    fn keys_that_slots_do_not_tell_apart_are_looked_at_again(
        first in proptest::collection::vec((0_u64..12, 0_u64..3), 0..40),
        second in proptest::collection::vec((0_u64..12, 0_u64..3), 0..40),
    ) {
        // Only what slots leave out of the keys differs; no two keys have a row's tag in common.
        let alike = |all: Vec<(u64, u64)>| -> Vec<(u64, u64)> { all.into_iter().map(|(key, row)| (key << 14, key * 3 + row)).collect() };
        let (first, second) = (alike(first), alike(second));
        let (agree, of_first, of_second) = asked(&first, &second);
        let (truly, first_again, second_again) = joined(&first, &second, KEYED);
        prop_assert!(agree <= truly);
        prop_assert_eq!(agree + of_first.len() as u64, first.len() as u64);
        prop_assert!(first_again.iter().all(|row| of_first.contains(row)));
        prop_assert!(second_again.iter().all(|row| of_second.contains(row)));
    }

    #[test]
    fn marked_rows_are_found_among_any_batches(rows in proptest::collection::btree_set(0_u64..500, 0..60), size in 1_usize..200) {
        let candidates = Candidates::new(&[500]);
        for &row in &rows {
            candidates.mark(0, row);
        }
        let mut found = Vec::new();
        for first in (0..500_u64).step_by(size) {
            let batch = size.min(usize::try_from(500 - first).unwrap());
            found.extend(candidates.among(0, first, batch).into_iter().map(|offset| first + u64::from(offset)));
        }
        prop_assert_eq!(found, rows.into_iter().collect::<Vec<_>>());
    }
}
