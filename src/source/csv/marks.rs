//! Finds where all fields of a text end at once, where all its records are alike and none is broken; anything else is left to
//! [`super::record::Parser`], whose slow twin this is not allowed to differ from.
//!
//! Quotes are first taken for a switch: between an odd and the next even one, delimiters and line feeds are text. That is
//! what the parser sees too if every field without a quote at its start has none at all, and every other one ends in a
//! quote and has only doubled ones between; which is checked.

use super::record::Quoting;

/// Where the fields of a text end.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The places of delimiters and line feeds, after one that stands before the text.
    at: Vec<u32>,
    /// The places of quotes.
    quotes: Vec<u32>,
    /// Fields in each record; 0 where the records are not all alike, or were not looked at.
    width: usize,
}

/// What stands before the text: the byte after it is the first.
const BEFORE: u32 = u32::MAX;

/// Bytes that are looked at together.
const LANE: usize = 64;

impl Marks {
    /// Takes over a text; whether every record in it ends in a line feed, has `width` fields and is not broken. A blank
    /// line is no such record, where there is more than one field.
    pub(super) fn take_over(&mut self, bytes: &[u8], delimiter: u8, has_quotes: bool, width: usize) -> bool {
        self.clear();
        if u32::try_from(bytes.len()).is_err() || bytes.last() != Some(&b'\n') {
            return false;
        }
        self.at.push(BEFORE);
        let mut is_inside = 0;
        let (lanes, rest) = bytes.as_chunks::<LANE>();
        // The bytes that fill up the last lane are zeros.
        let mut last = [0; LANE];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1_u64 << rest.len()) - 1;
        let lanes = lanes.iter().map(|lane| (lane, u64::MAX)).chain([(&last, within)]);
        for (base, (lane, within)) in (0_u32..).step_by(LANE).zip(lanes) {
            let mut ends = bits(lane, |byte| byte == delimiter || byte == b'\n') & within;
            if has_quotes {
                let quotes = bits(lane, |byte| byte == b'"');
                push_all(&mut self.quotes, base, quotes);
                let inside = switched(quotes) ^ is_inside;
                is_inside = if inside >> (LANE - 1) == 1 { u64::MAX } else { 0 };
                ends &= !inside;
            }
            push_all(&mut self.at, base, ends);
        }
        let is_line_end = |mark: &u32| bytes[*mark as usize] == b'\n';
        let alike = |record: &[u32]| {
            let (end, inner) = record.split_last().expect("a record has at least one mark");
            is_line_end(end) && !inner.iter().any(is_line_end)
        };
        let marks = &self.at[1..];
        if is_inside == 0
            && marks.last().is_some_and(|last| *last as usize + 1 == bytes.len())
            && marks.len() % width == 0
            && marks.chunks_exact(width).all(alike)
            && self.is_well_quoted(bytes)
        {
            self.width = width;
        }
        self.width > 0
    }

    /// Whether quotes stand only where they may.
    fn is_well_quoted(&self, bytes: &[u8]) -> bool {
        let mut quotes = &self.quotes[..];
        let mut fields = self.at.windows(2);
        while let Some(first) = quotes.first() {
            let Some(field) = fields.find(|field| *first < field[1]) else { return false };
            let (start, mut end) = (field[0].wrapping_add(1), field[1]);
            if bytes[end as usize] == b'\n' && bytes[end as usize - 1] == b'\r' {
                end -= 1;
            }
            let count = quotes.iter().take_while(|quote| **quote < end).count();
            let (own, later) = quotes.split_at(count);
            quotes = later;
            let [open, doubled @ .., close] = own else { return false };
            let (pairs, odd) = doubled.as_chunks::<2>();
            let is_sound = *open == start && *close + 1 == end && odd.is_empty();
            if !is_sound || pairs.iter().any(|[one, other]| one + 1 != *other) {
                return false;
            }
        }
        true
    }

    /// Forgets the text.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.quotes.clear();
        self.width = 0;
    }

    /// Whether any field may be quoted.
    pub(super) fn has_quotes(&self) -> bool {
        !self.quotes.is_empty()
    }

    /// Records, where all are alike.
    pub(super) fn records(&self) -> usize {
        self.at.len().saturating_sub(1).checked_div(self.width).unwrap_or(0)
    }

    /// Where a record begins.
    pub(super) fn start_of(&self, record: usize) -> usize {
        self.at[record * self.width].wrapping_add(1) as usize
    }

    /// Start and end of one field of some records; a carriage return before a line feed is no part of it.
    pub(super) fn field<'a>(
        &'a self,
        bytes: &'a [u8],
        field: usize,
        records: std::ops::Range<usize>,
    ) -> impl Iterator<Item = (usize, usize)> + Clone + 'a {
        let (width, is_last) = (self.width, field + 1 == self.width);
        records.map(move |record| {
            let mark = record * width + field;
            let (start, end) = (self.at[mark].wrapping_add(1) as usize, self.at[mark + 1] as usize);
            let has_return = is_last && start < end && bytes[end - 1] == b'\r';
            (start, end - usize::from(has_return))
        })
    }
}

/// A bit for each byte of a lane that is meant.
fn bits(lane: &[u8; LANE], is_meant: impl Fn(u8) -> bool) -> u64 {
    /// Moves the lowest bits of eight bytes together into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let found = lane.map(|byte| u8::from(is_meant(byte)));
    let (words, _) = found.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, word| (bits << 8) | (u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56))
}

/// The bits from each odd one up to the next even one, which is left out.
fn switched(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// A field without the quotes around it, and how it is quoted.
pub(super) fn unquoted(field: &[u8]) -> (&[u8], Quoting) {
    match field {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'"', inner).is_some() => (inner, Quoting::Escaped),
        [b'"', inner @ .., b'"'] => (inner, Quoting::Quoted),
        _ => (field, Quoting::Plain),
    }
}

/// Appends the places of the bits.
fn push_all(into: &mut Vec<u32>, base: u32, mut bits: u64) {
    let mut places = [0; LANE];
    let mut count = 0;
    while bits != 0 {
        places[count] = base + bits.trailing_zeros();
        count += 1;
        bits &= bits - 1;
    }
    into.extend_from_slice(&places[..count]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::{Outcome, Parser};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn marks_are_where_the_parser_sees_fields_end(
            fields in prop::collection::vec(
                prop::sample::select(vec![
                    "", "x", "long enough to reach into the next lane of sixty-four bytes, or even", "\"\"", "\"a,b\"",
                    "\"a\nb\"", "\"a\"\"b\"", "\"\"\"\"", "é", "\r", "\"a\"\r", "\"", "x\"", "\"a\"b", "\0", "a,b", "\n",
                ]),
                0..40,
            ),
            tame in 0_usize..17,
        ) {
            // The first of the texts are those that are not broken, so that many cases have none other.
            let tame = if tame < 9 { "\r" } else { "" };
            let mut text = String::new();
            for pair in fields.chunks(2) {
                let sound = |field: &&str| tame.is_empty() || !matches!(*field, "\"" | "x\"" | "\"a\"b" | "a,b" | "\n");
                let pair: Vec<&str> = pair.iter().copied().filter(sound).collect();
                text += &if pair.len() == 2 || tame.is_empty() { pair.join(",") } else { "x,y".to_owned() };
                text += "\n";
            }
            let bytes = text.as_bytes();
            let mut parser = Parser::new(b',');
            parser.begin(bytes.to_vec(), 1);
            let mut expected = Vec::new();
            let mut are_alike = !bytes.is_empty();
            while let Some(outcome) = parser.next_record() {
                are_alike &= outcome == Outcome::Fields && parser.field_count() == 2;
                expected.push((parser.record_start(), (0..parser.field_count()).map(|i| parser.field(i)).collect::<Vec<_>>()));
            }
            let mut marks = Marks::default();
            let alike = marks.take_over(bytes, b',', text.contains('"'), 2);
            // A carriage return before the line feed of a quoted text that is not the last field is broken to the parser.
            prop_assert_eq!(alike, are_alike, "{:?}", text);
            if alike {
                prop_assert_eq!(marks.records(), expected.len());
                for (record, (start, fields)) in expected.iter().enumerate() {
                    prop_assert_eq!(marks.start_of(record), *start);
                    for (index, expected) in fields.iter().enumerate() {
                        let (start, end) = marks.field(bytes, index, record..record + 1).next().unwrap();
                        let (raw, quoting) = unquoted(&bytes[start..end]);
                        let mut value = Vec::new();
                        super::super::record::append_value(&mut value, raw, quoting);
                        prop_assert_eq!(&value, expected);
                    }
                }
            }
        }
    }
}
