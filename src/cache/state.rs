//! What the last run saw of one contract: its units on either side, which of their rows were candidates, and the digests of
//! its files. All other rows agreed.

use super::Id;
use super::bytes::{Rest, put, put_small};
use crate::diff::Marks;
use crate::sides::Sides;

/// What the last run saw.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All units that it compared.
    pub units: Sides<Vec<Known>>,
    /// Files, and the BLAKE3 of their content.
    pub files: Vec<(Id, [u8; 32])>,
}

/// A unit that was compared.
#[derive(Clone, Debug)]
pub struct Known {
    /// Which.
    pub id: Id,
    /// Its rows.
    pub rows: u64,
    /// Bits of the partitions that its sums are of.
    pub bits: u32,
    /// Rows that were told apart by their values.
    pub candidates: Marks,
}

impl State {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut into = Vec::new();
        for (_, units) in self.units.iter() {
            put(&mut into, &[units.len() as u64]);
            for known in units {
                into.extend_from_slice(&known.id.0);
                put(&mut into, &[known.rows, u64::from(known.bits)]);
                put_marks(&mut into, &known.candidates);
            }
        }
        put(&mut into, &[self.files.len() as u64]);
        for (id, digest) in &self.files {
            into.extend_from_slice(&id.0);
            into.extend_from_slice(digest);
        }
        into
    }

    pub(super) fn parse(content: &[u8]) -> Option<Self> {
        let mut rest = Rest(content);
        let mut units = Sides::<Vec<Known>>::default();
        for side in crate::sides::Side::BOTH {
            for _ in 0..rest.count(32)? {
                let id = Id(*rest.array()?);
                let (rows, bits) = (rest.number()?, u32::try_from(rest.number()?).ok()?);
                units.get_mut(side).push(Known { id, rows, bits, candidates: marks(&mut rest)? });
            }
        }
        let mut files = Vec::new();
        for _ in 0..rest.count(64)? {
            files.push((Id(*rest.array()?), *rest.array()?));
        }
        rest.end()?;
        Some(Self { units, files })
    }
}

/// As a list of rows, or as bits where those are fewer bytes.
fn put_marks(into: &mut Vec<u8>, marks: &Marks) {
    let words = marks.words();
    let rows: Vec<u32> = marks.rows().map_while(|row| u32::try_from(row).ok()).take(words.len() * 2 + 1).collect();
    if rows.len() <= words.len() * 2 {
        put(into, &[0]);
        put_small(into, &rows);
    } else {
        put(into, &[1, words.len() as u64]);
        put(into, words);
    }
}

fn marks(rest: &mut Rest<'_>) -> Option<Marks> {
    let mut marks = Marks::default();
    if rest.number()? == 0 {
        rest.small()?.into_iter().for_each(|row| marks.mark(u64::from(row)));
        return Some(marks);
    }
    let count = rest.count(8)?;
    let words = rest.take(count * 8)?.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    Some(Marks::of(words.collect()))
}
