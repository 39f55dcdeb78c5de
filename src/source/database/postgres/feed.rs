//! Takes the bytes of a binary `COPY` apart into rows of fields. It looks into no field.

use std::fs::File;
use std::io::Read;
use std::ops::Range;

use tokio::sync::mpsc::Receiver;

use super::server::Brought;
use crate::database::postgres::Failure;

/// What every binary `COPY` begins with, before 32 bits of flags and the length of what may follow them.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// What is read of a file at a time.
const BLOCK: usize = 1 << 20;

/// Rows, one after the other.
pub(super) struct Feed {
    bytes: Vec<u8>,
    /// Where the next row begins.
    at: usize,
    /// What is not in `bytes` yet.
    rest: Rest,
}

/// Where the bytes come from that are not there yet.
enum Rest {
    Nowhere,
    File(File),
    Server(Receiver<Result<Vec<u8>, Failure>>),
}

/// A field of a row: where its bytes lie; None: NULL.
pub(super) type Span = Option<Range<usize>>;

/// Why there is no next row.
pub(super) enum Broken {
    /// The bytes are not what the server's protocol says.
    Bytes,
    /// The server could not go on.
    Failed(Failure),
}

impl Feed {
    pub(super) fn new(brought: Brought) -> Result<Self, Broken> {
        Self::begin(Self { bytes: brought.held, at: 0, rest: brought.rest.map_or(Rest::Nowhere, Rest::File) })
    }

    /// Rows that are still coming.
    pub(super) fn coming(from: Receiver<Result<Vec<u8>, Failure>>) -> Result<Self, Broken> {
        Self::begin(Self { bytes: Vec::new(), at: 0, rest: Rest::Server(from) })
    }

    fn begin(mut feed: Self) -> Result<Self, Broken> {
        while feed.bytes.len() < SIGNATURE.len() + 8 && feed.more()? {}
        let behind = feed.bytes.strip_prefix(SIGNATURE).and_then(|behind| behind.get(4..8)).ok_or(Broken::Bytes)?;
        let extension = u32::from_be_bytes(behind.try_into().map_err(|_| Broken::Bytes)?);
        feed.at = SIGNATURE.len() + 8 + extension as usize;
        Ok(feed)
    }

    /// The bytes that spans point into, until the next row is asked for.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The fields of the next row; false behind the last one.
    pub(super) fn next(&mut self, fields: &mut Vec<Span>) -> Result<bool, Broken> {
        loop {
            match row(&self.bytes, self.at, fields) {
                Some(Row::Last) => return Ok(false),
                Some(Row::Until(end)) => {
                    self.at = end;
                    return Ok(true);
                }
                None if self.more()? => {}
                None => return Err(Broken::Bytes),
            }
        }
    }

    /// Reads on; false where there is nothing more.
    fn more(&mut self) -> Result<bool, Broken> {
        self.bytes.drain(..self.at.min(self.bytes.len()));
        self.at = 0;
        let before = self.bytes.len();
        match &mut self.rest {
            Rest::Nowhere => {}
            Rest::File(file) => {
                file.take(BLOCK as u64).read_to_end(&mut self.bytes).map_err(|_| Broken::Bytes)?;
            }
            Rest::Server(coming) => match coming.blocking_recv() {
                Some(Ok(bytes)) => self.bytes.extend_from_slice(&bytes),
                Some(Err(failure)) => return Err(Broken::Failed(failure)),
                None => {}
            },
        }
        Ok(self.bytes.len() > before)
    }
}

enum Row {
    Last,
    Until(usize),
}

/// The row that begins at a place; None where the bytes end within it.
fn row(bytes: &[u8], at: usize, fields: &mut Vec<Span>) -> Option<Row> {
    fields.clear();
    let count = i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?);
    let Ok(count) = u16::try_from(count) else { return Some(Row::Last) };
    let mut at = at + 2;
    for _ in 0..count {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4;
        let Ok(length) = usize::try_from(length) else {
            fields.push(None);
            continue;
        };
        bytes.get(at..at + length)?;
        fields.push(Some(at..at + length));
        at += length;
    }
    Some(Row::Until(at))
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn rows(held: &[u8], rest: &[u8]) -> Result<Vec<Vec<Option<Vec<u8>>>>, Broken> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(rest).unwrap();
        file.rewind().unwrap();
        let mut feed = Feed::new(Brought { held: held.to_vec(), rest: Some(file), bytes: 0 })?;
        let (mut fields, mut rows) = (Vec::new(), Vec::new());
        while feed.next(&mut fields)? {
            rows.push(fields.iter().map(|span| span.clone().map(|span| feed.bytes()[span].to_vec())).collect());
        }
        Ok(rows)
    }

    #[test]
    fn rows_are_whole_wherever_the_bytes_are_parted() {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0; 8]);
        bytes.extend([0, 2, 0, 0, 0, 3, b'a', b'b', b'c', 255, 255, 255, 255]);
        bytes.extend([0, 2, 0, 0, 0, 0, 0, 0, 0, 1, b'd']);
        bytes.extend([255, 255]);
        let expected = vec![vec![Some(b"abc".to_vec()), None], vec![Some(Vec::new()), Some(b"d".to_vec())]];
        for cut in 0..=bytes.len() {
            assert!(rows(&bytes[..cut], &bytes[cut..]).is_ok_and(|rows| rows == expected), "cut at {cut}");
        }
        for end in 0..bytes.len() - 2 {
            assert!(rows(&bytes[..end], &[]).is_err(), "ends at {end}");
        }
    }
}
