//! The digest of a tombstone: of its key alone, in a domain of its own, so that two tombstones of one key are alike whatever
//! their values, and none is like a row that lives.

use super::{Buffers, Digester, RowDigest, Sum};
use crate::normalise::CanonicalBatch;

/// The key under which digests of tombstones are hashed: 32 bytes that no row is hashed with.
const DOMAIN: &[u8; 32] = b"reconcile: a tombstone of a key.";

impl Digester {
    /// Digests every row of a batch, in order; those that are `deleted` by their keys alone. There must be a key.
    pub fn digest_with_tombstones(
        &self,
        batch: &CanonicalBatch,
        deleted: impl Fn(usize) -> bool,
        buffers: &mut Buffers,
        mut each: impl FnMut(usize, RowDigest),
    ) {
        let mut tombstones = Vec::new();
        if (0..batch.rows).any(&deleted) {
            let keys = CanonicalBatch { rows: batch.rows, columns: batch.columns[..self.key_count].to_vec() };
            self.digest(&keys, buffers, |row, digest| {
                if deleted(row) {
                    tombstones.push((row, self.of_tombstone(digest)));
                }
            });
        }
        let mut tombstones = tombstones.into_iter().peekable();
        self.digest(batch, buffers, |row, digest| match tombstones.next_if(|(of, _)| *of == row) {
            Some((_, tombstone)) => each(row, tombstone),
            None => each(row, digest),
        });
    }

    fn of_tombstone(&self, key: RowDigest) -> RowDigest {
        let whole = blake3::keyed_hash(DOMAIN, &key.row.to_bytes());
        let row_tag = self.tag(&whole.as_bytes()[8..16]);
        RowDigest { key_tag: key.key_tag, row_tag, row: Sum::from_digest(whole.as_bytes()) }
    }
}
