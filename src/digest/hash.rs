//! Hashes encoded rows side by side. The result for each is the ordinary BLAKE3 of its padded bytes.

use blake3::IncrementCounter;
use blake3::platform::Platform;

use super::encode::{BLOCK, Encoded};

/// BLAKE3's initialization vector as words (SHA-256's, see the BLAKE3 paper, §2.2).
const IV: [u32; 8] =
    [0x6A09_E667, 0xBB67_AE85, 0x3C6E_F372, 0xA54F_F53A, 0x510E_527F, 0x9B05_688C, 0x1F83_D9AB, 0x5BE0_CD19];
/// Domain flags (the BLAKE3 paper, §2.2).
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
/// A message of at most this many bytes is one chunk, which is hashed without a tree.
const CHUNK: usize = 1024;
/// Rows handed to the platform at once: a multiple of every platform's width.
const AT_ONCE: usize = 64;

/// The digests of some rows.
#[derive(Debug, Default)]
pub struct Lanes {
    digests: Vec<[u8; 32]>,
    by_blocks: Vec<Vec<u32>>,
}

impl Lanes {
    /// The digest of one row.
    #[must_use]
    pub fn digest(&self, row: usize) -> &[u8; 32] {
        &self.digests[row]
    }
}

/// Hashes every row of `encoded` with the best instruction set of this machine.
pub fn hash_rows(encoded: &Encoded, lanes: &mut Lanes) {
    hash_rows_on(Platform::detect(), encoded, lanes);
}

pub(super) fn hash_rows_on(platform: Platform, encoded: &Encoded, lanes: &mut Lanes) {
    let Lanes { digests, by_blocks } = lanes;
    // Every digest is written below, so what an earlier batch left need not be cleared.
    digests.resize(encoded.rows().max(digests.len()), [0; 32]);
    let digests = &mut digests[..encoded.rows()];
    by_blocks.resize_with(CHUNK / BLOCK + 1, Vec::new);
    for rows in by_blocks.iter_mut() {
        rows.clear();
    }
    for (row, digest) in digests.iter_mut().enumerate() {
        let bytes = encoded.row(row);
        match by_blocks.get_mut(bytes.len() / BLOCK) {
            Some(rows) => rows.push(u32::try_from(row).expect("rows are encoded a thousand at a time")),
            None => *digest = *blake3::hash(bytes).as_bytes(),
        }
    }
    macro_rules! each_length {
        ($($blocks:literal)*) => { $(
            hash_equal::<{ $blocks * BLOCK }>(platform, encoded, &by_blocks[$blocks], digests);
        )* };
    }
    each_length!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

fn hash_equal<const LENGTH: usize>(platform: Platform, encoded: &Encoded, rows: &[u32], digests: &mut [[u8; 32]]) {
    let mut out = [0; 32 * AT_ONCE];
    let mut inputs = [&[0; LENGTH]; AT_ONCE];
    for some in rows.chunks(AT_ONCE) {
        for (input, &row) in inputs.iter_mut().zip(some) {
            *input = encoded.row(row as usize).try_into().expect("rows are grouped by their length");
        }
        // A last few lanes cost as much one by one as all of them side by side, so the lanes are filled with what is there.
        let filled = some.len().next_multiple_of(platform.simd_degree()).min(AT_ONCE);
        platform.hash_many(
            &inputs[..filled],
            &IV,
            0,
            IncrementCounter::No,
            0,
            CHUNK_START,
            CHUNK_END | ROOT,
            &mut out[..32 * filled],
        );
        for (digest, &row) in out.as_chunks().0.iter().zip(some) {
            digests[row as usize] = *digest;
        }
    }
}
