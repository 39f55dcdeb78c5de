//! What reading one unit left: counts, sums by partition, and for each row the tags of its key and its digest: 12 bytes a row.

use super::bytes::{Rest, put, put_small};
use crate::diff::partition_of;
use crate::digest::{RowDigest, Sum};

/// What is seen of a unit while it is read.
#[derive(Debug, Default)]
pub struct Seen {
    /// Rows in the unit's numbering.
    pub rows: u64,
    /// Rows that were digested.
    pub read: u64,
    /// Bytes that the compared columns took in memory.
    pub bytes: u64,
    /// The sum of all rows' digests.
    pub sum: Sum,
    /// The greatest of `captured_at`'s column.
    pub captured: Option<i64>,
    bits: u32,
    shares: Vec<Share>,
    key_tags: Vec<[u8; 8]>,
    row_tags: Vec<[u8; 4]>,
    /// Rows of the tags; empty where they are all rows in their order.
    numbers: Vec<u32>,
    /// Rows that stand alone.
    alone: Vec<u32>,
    /// A row's number was larger than what is kept.
    too_large: bool,
}

/// What a unit has in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The partition.
    pub partition: usize,
    /// Rows that may pair.
    pub count: u64,
    /// Of the digests of all rows.
    pub sum: Sum,
}

impl Seen {
    /// Bytes of a row in memory.
    pub const ROW_BYTES: u64 = 12;

    /// Nothing yet, in `2^bits` partitions.
    #[must_use]
    pub fn new(bits: u32, expected: u64) -> Self {
        let expected = usize::try_from(expected).unwrap_or(0);
        let share = |partition| Share { partition, ..Share::default() };
        Self {
            bits,
            shares: (0..1_usize << bits).map(share).collect(),
            key_tags: Vec::with_capacity(expected),
            row_tags: Vec::with_capacity(expected),
            ..Self::default()
        }
    }

    /// A row that may pair.
    #[inline]
    pub fn pair(&mut self, digest: &RowDigest, number: u64) {
        let next = self.key_tags.len();
        if next as u64 != number || !self.numbers.is_empty() {
            if self.numbers.is_empty() {
                self.numbers.extend((0_u32..).take(next));
            }
            self.too_large |= number > u64::from(u32::MAX);
            self.numbers.push(number as u32);
        }
        self.key_tags.push(digest.key_tag.to_le_bytes());
        self.row_tags.push(((digest.row_tag >> 32) as u32).to_le_bytes());
        let share = &mut self.shares[partition_of(digest.key_tag, self.bits)];
        share.count += 1;
        share.sum += digest.row;
    }

    /// A row that stands alone.
    pub fn alone(&mut self, digest: &RowDigest, number: u64) {
        self.too_large |= number > u64::from(u32::MAX);
        self.alone.push(number as u32);
        self.shares[partition_of(digest.key_tag, self.bits)].sum += digest.row;
    }

    /// What it has in each partition.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Whether all of it can be kept.
    #[must_use]
    pub fn fits(&self) -> bool {
        !self.too_large && u32::try_from(self.rows).is_ok()
    }

    /// All but the tags.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut into = Vec::new();
        let (captured, instant) = self.captured.map_or((0, 0), |instant| (1, instant.cast_unsigned()));
        put(&mut into, &[self.rows, self.read, self.bytes, captured, instant, u64::from(self.bits)]);
        into.extend_from_slice(&self.sum.to_bytes());
        let some: Vec<&Share> =
            self.shares.iter().filter(|share| share.count > 0 || share.sum != Sum::default()).collect();
        put(&mut into, &[some.len() as u64]);
        for share in some {
            put(&mut into, &[share.partition as u64, share.count]);
            into.extend_from_slice(&share.sum.to_bytes());
        }
        put_small(&mut into, &self.alone);
        put_small(&mut into, &self.numbers);
        put(&mut into, &[self.key_tags.len() as u64]);
        into
    }

    pub(super) fn key_tags(&self) -> &[u8] {
        self.key_tags.as_flattened()
    }

    pub(super) fn row_tags(&self) -> &[u8] {
        self.row_tags.as_flattened()
    }
}

/// What reading a unit left, read back.
#[derive(Debug)]
pub struct Unit {
    /// Counts and lists, without tags.
    pub seen: Seen,
    /// Rows that stand alone.
    pub alone: Vec<u32>,
    content: Vec<u8>,
    tags_at: usize,
    count: usize,
}

impl Unit {
    pub(super) fn parse(content: Vec<u8>) -> Option<Self> {
        const SHARE_BYTES: usize = 48;
        let mut rest = Rest(&content);
        let mut seen = Seen { rows: rest.number()?, read: rest.number()?, bytes: rest.number()?, ..Seen::default() };
        let (captured, instant) = (rest.number()?, rest.number()?);
        seen.captured = (captured == 1).then_some(instant.cast_signed());
        seen.bits = u32::try_from(rest.number()?).ok().filter(|bits| *bits <= 16)?;
        seen.sum = Sum::from_bytes(rest.array()?);
        for _ in 0..rest.count(SHARE_BYTES)? {
            let partition = usize::try_from(rest.number()?).ok().filter(|partition| partition >> seen.bits == 0)?;
            seen.shares.push(Share { partition, count: rest.number()?, sum: Sum::from_bytes(rest.array()?) });
        }
        let alone = rest.small()?;
        seen.numbers = rest.small()?;
        let count = rest.count(12)?;
        let tags_at = content.len() - rest.0.len();
        rest.take(count * 12)?;
        rest.end()?;
        let whole = seen.numbers.is_empty() || seen.numbers.len() == count;
        whole.then_some(Self { seen, alone, content, tags_at, count })
    }

    /// Bits of the partition number in `shares`.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.seen.bits
    }

    /// The tags of the keys of its rows.
    #[must_use]
    pub fn key_tags(&self) -> &[[u8; 8]] {
        self.content[self.tags_at..self.tags_at + 8 * self.count].as_chunks().0
    }

    /// The tag of a row's digest, of which the upper half is kept.
    #[must_use]
    pub fn row_tag(&self, index: usize) -> u64 {
        let tags: &[[u8; 4]] = self.content[self.tags_at + 8 * self.count..].as_chunks().0;
        u64::from(u32::from_le_bytes(tags[index])) << 32
    }

    /// A row's number within the unit.
    #[must_use]
    pub fn number(&self, index: usize) -> u64 {
        if self.seen.numbers.is_empty() { index as u64 } else { u64::from(self.seen.numbers[index]) }
    }
}
