//! Entries come back as they were written, or not at all.

use super::*;
use crate::diff::Marks;
use crate::digest::{RowDigest, Sum};
use crate::sides::Sides;

fn seen(count: u64, gap: u64) -> Seen {
    let mut seen = Seen::new(3, count);
    for row in 0..count {
        let tag = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let digest = RowDigest { key_tag: tag, row_tag: !tag, row: Sum::from_bytes(&[row as u8; 32]) };
        seen.pair(&digest, row + if row > 5 { gap } else { 0 });
        seen.sum += digest.row;
    }
    (seen.rows, seen.read, seen.bytes, seen.captured) = (count + gap, count, 7 * count, Some(-5));
    seen
}

fn marks(rows: &[u64]) -> Marks {
    let mut marks = Marks::default();
    rows.iter().for_each(|row| marks.mark(*row));
    marks
}

fn published(folder: &Path) -> (Cache, State, Id) {
    let cache = Cache::new(folder, &[b"pair"], &[b"meaning"], "one");
    let id = Id::of(&[b"unit"]);
    cache.keep_unit(id, &seen(20, 0)).unwrap();
    let known = |rows: &[u64]| Known { id, rows: 20, bits: 3, candidates: marks(rows) };
    let dense: Vec<u64> = (0..200).filter(|row| row % 3 != 0).collect();
    let state = State {
        units: Sides { authority: vec![known(&[3, 19])], projection: vec![known(&dense), known(&[])] },
        files: vec![(id, [9; 32])],
    };
    cache.publish(&state).unwrap();
    (cache, state, id)
}

#[test]
fn entries_come_back_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, state, id) = published(folder.path());
    let (unit, written) = (cache.unit(id).unwrap(), seen(20, 0));
    assert_eq!(unit.key_tags().as_flattened(), written.key_tags());
    assert_eq!((unit.seen.rows, unit.seen.captured, unit.seen.sum), (20, Some(-5), written.sum));
    assert_eq!(
        unit.seen.shares(),
        written.shares().iter().filter(|share| share.count > 0).copied().collect::<Vec<_>>()
    );
    for index in 0..20 {
        let tag = !(index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        assert_eq!((unit.row_tag(index), unit.number(index)), (tag >> 32 << 32, index as u64));
    }
    let back = cache.state().unwrap();
    assert_eq!(format!("{back:?}").len(), format!("{state:?}").len());
    for (one, other) in back
        .units
        .authority
        .iter()
        .chain(&back.units.projection)
        .zip(state.units.authority.iter().chain(&state.units.projection))
    {
        assert_eq!(one.candidates.rows().collect::<Vec<_>>(), other.candidates.rows().collect::<Vec<_>>());
    }
    cache.keep_unit(id, &seen(20, 4)).unwrap();
    cache.publish(&state).unwrap();
    let unit = cache.unit(id).unwrap();
    assert_eq!((unit.number(5), unit.number(6), unit.number(19)), (5, 10, 23));
}

#[test]
fn every_flipped_byte_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, _, id) = published(folder.path());
    for name in [STATE.to_owned(), unit_name(id)] {
        let path = cache.folder.join(&name);
        let written = fs::read(&path).unwrap();
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 0x10;
            fs::write(&path, &damaged).unwrap();
            let there = if name == STATE { cache.state().is_some() } else { cache.unit(id).is_some() };
            assert!(!there, "{name}: byte {at}");
            fs::write(&path, &written[..at]).unwrap();
            let there = if name == STATE { cache.state().is_some() } else { cache.unit(id).is_some() };
            assert!(!there, "{name}: cut at {at}");
        }
        fs::write(&path, &written).unwrap();
    }
    assert!(cache.state().is_some() && cache.unit(id).is_some());
}

#[test]
fn another_sense_finds_nothing_and_what_is_not_published_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, _, _) = published(folder.path());
    let other = Cache::new(folder.path(), &[b"pair"], &[b"another meaning"], "two");
    assert!(cache.state().is_some() && other.state().is_none());
    let late = Id::of(&[b"late"]);
    other.keep_unit(late, &seen(3, 0)).unwrap();
    assert!(!other.has(late));
    let names = other.names().unwrap().len();
    drop(other);
    assert_eq!(cache.names().unwrap().len(), names - 1);
}
