//! Turns canonical batches into digests: for each row the BLAKE3 of the whole row over the bytes below, and a tag of its key.
//!
//! Equal rows have equal digests and, but for a collision of BLAKE3, only they do. The digest is not for signatures
//! (anyone can compute it) and says nothing about nearness: an attribute with a tolerance is in it as it stands.
//! This module never reads, never pairs rows, never judges.
//!
//! # The bytes of a row, format 2
//!
//! The columns, their order and their comparisons are fixed for all rows of a contract. All integers are little-endian.
//!
//! ```text
//! ┌────────┬────────────┬───────────────┬───────────────────┬──────────────────┬──────────────┬───────────────┐
//! │ fault  │ NULL bits  │ fixed widths  │ lengths           │ variable bytes   │ fault tail   │ zeros up to a │
//! │ 1 byte │ ⌈n/8⌉      │ in order      │ 1 byte a column   │ in order         │ where fault≠0│ multiple of 64│
//! └────────┴────────────┴───────────────┴───────────────────┴──────────────────┴──────────────┴───────────────┘
//! ```
//!
//! * `fault`: 0; or 1 at the authority and 2 in the projection where a value of the row has no canonical form, so that
//!   such a row never equals one across.
//! * NULL bits: bit i of the area is set where column i is NULL (or faulted); its other bytes are then zeros.
//! * fixed widths: boolean 1 byte; integers, decimals of at most 18 digits and times of day 8; dates 4; floats 8 (IEEE 754, one NaN, no
//!   negative zero); decimals of at most 38 digits, timestamps, instants and durations 16; decimals of at most 76 digits 32.
//! * lengths: of each variable column's bytes (text in UTF-8, binary, UUIDs, numbers, JSON, nested values); `FF` means that
//!   the bytes are preceded by their length in 8 bytes.
//! * fault tail: for each faulted column its index (4 bytes), its reason (1 byte), the length (8 bytes) and bytes of the value as it stands;
//!   their number is that of the bytes that remain, and no tail is empty.
//!
//! Every part tells its own length, so the padding adds no ambiguity: the encoding is injective for given columns.
//! A row digest is the ordinary BLAKE3 of these bytes over all columns, a key digest that over the key's columns. The digest of a
//! tombstone is the keyed BLAKE3 of its key digest (`digest/tombstone.rs`).
//!
//! # How it is fast
//!
//! A batch is encoded a column at a time into one buffer that stays in the second-level cache, and rows of equal block count are hashed side by
//! side through `blake3::platform` (hidden from its docs; the exact version is pinned and a test compares every
//! length on every instruction set with `blake3::hash`).

mod encode;
mod hash;
mod tag;
mod tombstone;

pub use encode::{Encoded, encode};
pub use hash::{Lanes, hash_rows};

use encode::encode_some;

use crate::normalise::CanonicalBatch;
use crate::sides::Side;

/// The version of the bytes above. It goes into every manifest; a change of the bytes changes it.
pub const FORMAT: u32 = 2;

/// Rows that are encoded together: about 200 bytes each, so that the buffer stays in the second-level cache.
const ROWS_AT_ONCE: usize = 1024;

/// Bytes of rows that are encoded together, about, however long they are.
const BYTES_AT_ONCE: usize = 1 << 20;

/// The digests of one row, cut to what the comparison keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowDigest {
    /// Brings rows of equal keys together; without a key, the first eight bytes of the row's digest.
    pub key_tag: u64,
    /// The second eight bytes of the row's digest.
    pub row_tag: u64,
    /// The whole of the row's digest, for sums.
    pub row: Sum,
}

/// A digest as two lanes of 128 bits that add up without order. Sums of equal multisets of rows are equal; a pair that
/// occurs twice does not cancel, as it would under XOR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    lanes: [u128; 2],
}

impl Sum {
    fn from_digest(digest: &[u8; 32]) -> Self {
        let (low, high) = digest.split_at(16);
        let lane = |bytes: &[u8]| u128::from_le_bytes(bytes.try_into().expect("half of 32 bytes"));
        Self { lanes: [lane(low), lane(high)] }
    }

    /// The sum of these lanes' bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::from_digest(bytes)
    }

    /// The lanes' bytes, for a table digest.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.lanes[0].to_le_bytes());
        bytes[16..].copy_from_slice(&self.lanes[1].to_le_bytes());
        bytes
    }
}

impl std::ops::AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        for (lane, more) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(more);
        }
    }
}

impl std::ops::SubAssign for Sum {
    fn sub_assign(&mut self, other: Self) {
        for (lane, less) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_sub(less);
        }
    }
}

/// What digesting works with; kept from batch to batch, so that it is allocated once.
#[derive(Debug, Default)]
pub struct Buffers {
    encoded: Encoded,
    lanes: Lanes,
    keys: Vec<u64>,
}

/// How the digests are made; one for a contract.
#[derive(Clone, Copy, Debug)]
pub struct Digester {
    /// Key attributes, which come first; 0: the whole row identifies itself.
    pub key_count: usize,
    /// The side, which a faulted row carries in its digest.
    pub side: Side,
    /// Bits of the tags that are kept. 64, but for the tests that walk collisions.
    pub tag_bits: u32,
}

impl Digester {
    /// The bits of a tag that are kept.
    fn mask(&self) -> u64 {
        if self.tag_bits >= 64 { u64::MAX } else { !(u64::MAX >> self.tag_bits) }
    }

    /// The tag that eight bytes of a digest give.
    fn tag(&self, bytes: &[u8]) -> u64 {
        u64::from_be_bytes(bytes.try_into().expect("eight bytes")) & self.mask()
    }

    /// Digests every row of a batch, in order.
    pub fn digest(&self, batch: &CanonicalBatch, buffers: &mut Buffers, mut each: impl FnMut(usize, RowDigest)) {
        let mask = self.mask();
        let tag = |bytes: &[u8]| self.tag(bytes);
        let Buffers { encoded, lanes, keys } = buffers;
        let mut start = 0;
        while start < batch.rows {
            let range = start..batch.rows.min(start + ROWS_AT_ONCE);
            encode_some(&batch.columns, self.side, range, BYTES_AT_ONCE, encoded);
            let range = start..start + encoded.rows();
            hash_rows(encoded, lanes);
            if self.key_count > 0 {
                tag::tag_keys(&batch.columns[..self.key_count], &range, keys);
            }
            for (offset, row) in range.clone().enumerate() {
                let whole = lanes.digest(offset);
                let key_tag = if self.key_count > 0 { keys[offset] & mask } else { tag(&whole[..8]) };
                let row_tag = tag(&whole[8..16]);
                each(row, RowDigest { key_tag, row_tag, row: Sum::from_digest(whole) });
            }
            start = range.end;
        }
    }
}

#[cfg(test)]
mod tests;
