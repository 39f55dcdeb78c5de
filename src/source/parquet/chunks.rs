//! Positioned reads for the Parquet crate, into buffers that are used again. It reads nothing beyond the file's end, and keeps no
//! more than some megabytes.

use std::io::{BufReader, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use super::super::file::Positioned;

/// Positioned reads for the Parquet crate, no larger than the file.
pub(super) struct Chunks {
    pub(super) handle: Positioned,
}

/// Buffers that were read into and let go, for the next reads: new ones would have to be cleared first.
#[derive(Debug)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// Those of all files: what one file's last page was read into serves the next file.
static BUFFERS: Buffers = Buffers(Mutex::new(Vec::new()));

impl Buffers {
    /// How many are kept: about as many as the columns that threads read at once.
    const MOST: usize = 64;
    /// How many bytes they have together.
    const MOST_BYTES: usize = 16 << 20;
    /// Longer ones are rare, and too much to keep.
    const LARGEST: usize = 2 << 20;

    /// A buffer of at least so many bytes that is not much larger.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<u8>| buffer.len() >= length && buffer.len() / 4 <= length;
        match kept.iter().position(fits) {
            Some(index) => kept.swap_remove(index),
            None => vec![0; length],
        }
    }

    fn give(&self, buffer: Vec<u8>) {
        if buffer.len() > Self::LARGEST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = Self::MOST_BYTES - buffer.len();
        while kept.len() >= Self::MOST || kept.iter().map(Vec::len).sum::<usize>() > most {
            kept.swap_remove(0);
        }
        kept.push(buffer);
    }
}

/// A buffer that goes back when nobody reads it any more.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        BUFFERS.give(std::mem::take(&mut self.buffer));
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.handle.length()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<Positioned>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        let mut own = self.handle.duplicate();
        own.seek(SeekFrom::Start(start))?;
        // Only headers of pages are read this way.
        Ok(BufReader::with_capacity(1 << 10, own))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let fits = start.checked_add(length as u64).is_some_and(|end| end <= self.handle.length());
        if !fits {
            return Err(ParquetError::EOF(format!(
                "bytes {start} to {} are wanted, the file has {}",
                start.saturating_add(length as u64),
                self.handle.length()
            )));
        }
        let mut buffer = BUFFERS.take(length);
        self.handle.read_exact_at(&mut buffer[..length], start)?;
        Ok(Bytes::from_owner(Lent { buffer, length }))
    }
}
