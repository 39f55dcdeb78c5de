//! Finds all delimiters and line feeds of a text at once, for texts in which no quote gives them another meaning. Never
//! decides what a record is.

/// Where the fields of a text end.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The places of delimiters and line feeds, after one that stands before the text.
    at: Vec<u32>,
    /// Fields in each record; 0 where the records are not all alike, or were not looked at.
    width: usize,
}

/// What stands before the text: the byte after it is the first.
const BEFORE: u32 = u32::MAX;

/// Bytes that are looked at together.
const LANE: usize = 64;

impl Marks {
    /// Takes over a text without quotes; whether every record in it ends in a line feed and has `width` fields. A blank
    /// line is no such record, where there is more than one field.
    pub(super) fn take_over(&mut self, bytes: &[u8], delimiter: u8, width: usize) -> bool {
        self.width = 0;
        self.at.clear();
        self.at.push(BEFORE);
        if u32::try_from(bytes.len()).is_err() || bytes.last() != Some(&b'\n') {
            return false;
        }
        let (lanes, rest) = bytes.as_chunks::<LANE>();
        for (base, lane) in (0_u32..).step_by(LANE).zip(lanes) {
            push_all(&mut self.at, base, marked(lane, delimiter));
        }
        let mut last = [0; LANE];
        last[..rest.len()].copy_from_slice(rest);
        let within = (1_u64 << rest.len()) - 1;
        push_all(&mut self.at, (bytes.len() - rest.len()) as u32, marked(&last, delimiter) & within);
        let marks = &self.at[1..];
        let is_line_end = |mark: &u32| bytes[*mark as usize] == b'\n';
        let alike = |record: &[u32]| {
            let (end, inner) = record.split_last().expect("a record has at least one mark");
            is_line_end(end) && !inner.iter().any(is_line_end)
        };
        if marks.len() % width == 0 && marks.chunks_exact(width).all(alike) {
            self.width = width;
        }
        self.width > 0
    }

    /// Forgets the text.
    pub(super) fn clear(&mut self) {
        self.at.clear();
        self.width = 0;
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
        let is_last = field + 1 == self.width;
        self.at[records.start * self.width + field..]
            .windows(2)
            .step_by(self.width)
            .take(records.len())
            .map(move |pair| {
                let (start, end) = (pair[0].wrapping_add(1) as usize, pair[1] as usize);
                let has_return = is_last && start < end && bytes[end - 1] == b'\r';
                (start, end - usize::from(has_return))
            })
    }
}

/// A bit for each delimiter or line feed of a lane.
fn marked(lane: &[u8; LANE], delimiter: u8) -> u64 {
    /// Moves the lowest bits of eight bytes together into the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut found = [0_u8; LANE];
    for (found, byte) in found.iter_mut().zip(lane) {
        *found = u8::from(*byte == delimiter) | u8::from(*byte == b'\n');
    }
    let (words, _) = found.as_chunks::<8>();
    words.iter().rev().fold(0, |bits, word| (bits << 8) | (u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56))
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

    use super::*;

    proptest! {
        #[test]
        fn marks_are_the_delimiters_and_line_feeds_one_by_one(
            bytes in prop::collection::vec(prop::sample::select(b",\n\r;x\xFF\x00".to_vec()), 0..300),
            delimiter in prop::sample::select(b",;\x00".to_vec()),
        ) {
            let text = [bytes, b"\n".to_vec()].concat();
            let mut marks = Marks::default();
            let alike = marks.take_over(&text, delimiter, 2);
            let plain = |byte: &u8| *byte == delimiter || *byte == b'\n';
            let places: Vec<u32> = (0..).zip(&text).filter(|(_, byte)| plain(byte)).map(|(at, _)| at).collect();
            prop_assert_eq!(&marks.at[1..], &places);
            let lines = text.strip_suffix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n');
            let two = lines.clone().all(|line| line.iter().filter(|byte| **byte == delimiter).count() == 1);
            prop_assert_eq!(alike, two);
            if alike {
                prop_assert_eq!(marks.records(), lines.clone().count());
                let second: Vec<&[u8]> =
                    marks.field(&text, 1, 0..marks.records()).map(|(start, end)| &text[start..end]).collect();
                let expected: Vec<&[u8]> = lines
                    .map(|line| line.splitn(2, |byte| *byte == delimiter).nth(1).unwrap_or_default())
                    .map(|field| field.strip_suffix(b"\r").unwrap_or(field))
                    .collect();
                prop_assert_eq!(second, expected);
            }
        }
    }
}
