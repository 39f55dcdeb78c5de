//! Batches of statements that are made first to last and written last to first. They wait in a nameless temporary file, so that
//! a script of any length takes little memory.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

/// What waits.
pub(super) struct Backwards {
    file: BufWriter<File>,
    /// Where each batch ends.
    ends: Vec<u64>,
}

impl Backwards {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(tempfile::tempfile()?), ends: Vec::new() })
    }

    /// Adds a batch.
    pub(super) fn add(&mut self, statements: Vec<String>) -> io::Result<()> {
        let mut end = self.ends.last().copied().unwrap_or_default();
        for statement in statements.into_iter().rev() {
            self.file.write_all(statement.as_bytes())?;
            self.file.write_all(b"\n")?;
            end += statement.len() as u64 + 1;
        }
        self.ends.push(end);
        Ok(())
    }

    /// Hands out every batch, the last first.
    pub(super) fn write(self, mut batch: impl FnMut(&mut dyn Read) -> io::Result<()>) -> io::Result<()> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        for place in (0..self.ends.len()).rev() {
            let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
            file.seek(SeekFrom::Start(start))?;
            batch(&mut (&mut file).take(self.ends[place] - start))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_comes_first() {
        let mut backwards = Backwards::new().unwrap();
        for batch in [&["1", "2"][..], &[], &["3"]] {
            backwards.add(batch.iter().map(ToString::to_string).collect()).unwrap();
        }
        let mut all = String::new();
        backwards
            .write(|batch| {
                all.push('[');
                batch.read_to_string(&mut all)?;
                all.push(']');
                Ok(())
            })
            .unwrap();
        assert_eq!(all, "[3\n][][2\n1\n]");
    }
}
